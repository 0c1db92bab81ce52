"""Secret references, placement, validation and the controller's own part in a content."""

import objects
import pytest

from snapshotd import errors
from snapshotd.decide import calls, contents, placement, secret_refs, validation, views
from snapshotd.model import families, meta, names, volumes

NAME, NAMESPACE = names.SECRET_NAME_PARAMETER, names.SECRET_NAMESPACE_PARAMETER


def resolve(name: str, namespace: str) -> tuple[str, str]:
    where = secret_refs.snapshotter(
        families.SINGLE,
        {NAME: name, NAMESPACE: namespace},
        content="c",
        namespace="ns",
        snapshot="s",
    )
    assert where is not None
    return where.namespace, where.name


@pytest.mark.parametrize(
    ("name", "namespace", "expected"),
    [
        ("plain", "space", ("space", "plain")),
        ("x" * 253, "y" * 63, ("y" * 63, "x" * 253)),
        ("${volumesnapshot.name}", "${volumesnapshot.namespace}", ("ns", "s")),
        ("${volumesnapshotcontent.name}", "x-${volumesnapshotcontent.name}", ("x-c", "c")),
        ("a.${volumesnapshot.namespace}.b", "x", ("x", "a.ns.b")),
    ],
)
def test_templates_are_filled_in(name: str, namespace: str, expected: tuple[str, str]) -> None:
    assert resolve(name, namespace) == expected


@pytest.mark.parametrize(
    ("name", "namespace", "told"),
    [
        ("${pvc.name}", "x", "invalid tokens"),
        ("x", "${volumesnapshot.name}", "invalid tokens"),
        ("${volumesnapshot.annotations['a']}", "x", "invalid tokens"),
        # Go's names hold no dots, so this one is `volumesnapshotcontent`, which means nothing
        ("$volumesnapshotcontent.name", "x", r"invalid tokens: \['volumesnapshotcontent'\]"),
        ("$$", "x", r"invalid tokens: \['\$'\]"),
        ("$1", "x", r"invalid tokens: \['1'\]"),
        ("a$", "x", "not a valid secret name"),
        ("Not Valid", "x", "not a valid secret name"),
        ("x" * 254, "x", "not a valid secret name"),
        ("x", "not.a.label", "not a valid namespace"),
        ("", "x", "Both must be specified"),
    ],
)
def test_templates_that_cannot_be_filled_in_are_told(name: str, namespace: str, told: str) -> None:
    with pytest.raises(errors.Invalid, match=told):
        resolve(name, namespace)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        (
            {NAME: "x"},
            (
                "either name and namespace for secrets specified, Both must be specified: set both "
                "csi.storage.k8s.io/snapshotter-secret-name and "
                "csi.storage.k8s.io/snapshotter-secret-namespace in the class, or neither"
            ),
        ),
        (
            {NAME: "Not Valid", NAMESPACE: "x"},
            (
                "csi.storage.k8s.io/snapshotter-secret-name gives 'Not Valid', which is not a "
                "valid secret name"
            ),
        ),
        (
            {NAME: "x", NAMESPACE: "a.b"},
            (
                "csi.storage.k8s.io/snapshotter-secret-namespace gives 'a.b', not a valid "
                "namespace name"
            ),
        ),
        (
            {NAME: "x", NAMESPACE: "${volumesnapshot.name}${b}"},
            (
                "csi.storage.k8s.io/snapshotter-secret-namespace has invalid tokens: "
                "['volumesnapshot.name', 'b']; it may use ${volumesnapshotcontent.name}, "
                "${volumesnapshot.namespace}"
            ),
        ),
    ],
)
def test_what_is_wrong_with_a_secrets_template_is_told_in_full(
    parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(errors.Invalid) as caught:
        secret_refs.snapshotter(
            families.SINGLE, parameters, content="c", namespace="ns", snapshot="s"
        )
    assert str(caught.value) == message


def test_a_secret_named_by_half_is_none() -> None:
    assert secret_refs.of_annotations(families.SINGLE, {names.DELETION_SECRET_NAME: "s"}) is None
    assert (
        secret_refs.of_annotations(families.SINGLE, {names.DELETION_SECRET_NAMESPACE: "n"}) is None
    )


def test_a_secret_for_listing_knows_only_its_content() -> None:
    parameters = {
        names.LIST_SECRET_NAME_PARAMETER: "s-${volumesnapshotcontent.name}",
        names.LIST_SECRET_NAMESPACE_PARAMETER: "n-${volumesnapshotcontent.name}",
    }
    where = secret_refs.lister(families.SINGLE, parameters, content="c")
    assert where is not None
    assert (where.namespace, where.name) == ("n-c", "s-c")
    parameters[names.LIST_SECRET_NAME_PARAMETER] = "${volumesnapshot.name}"
    with pytest.raises(errors.Invalid, match="invalid tokens"):
        secret_refs.lister(families.SINGLE, parameters, content="c")


def test_a_class_may_name_no_secret() -> None:
    assert (
        secret_refs.snapshotter(families.SINGLE, {}, content="c", namespace="n", snapshot="s")
        is None
    )
    assert secret_refs.lister(families.SINGLE, {}, content="c") is None
    assert secret_refs.of_annotations(families.SINGLE, {}) is None
    where = secret_refs.of_annotations(
        families.SINGLE, {names.DELETION_SECRET_NAME: "s", names.DELETION_SECRET_NAMESPACE: "n"}
    )
    assert where is not None
    assert (where.namespace, where.name) == ("n", "s")


def node(name: str, **labels: str) -> volumes.Node:
    return volumes.Node(meta.ObjectMeta(name=name, labels=labels))


NODES = (node("b", zone="z", size="5"), node("a", zone="y", size="9", odd="x"))


def place(*requirements: volumes.NodeSelectorRequirement, fields: bool = False) -> str:
    term = (
        volumes.NodeSelectorTerm(match_fields=requirements)
        if fields
        else volumes.NodeSelectorTerm(match_expressions=requirements)
    )
    affinity = volumes.VolumeNodeAffinity(volumes.NodeSelector((term,)))
    return placement.node_of(objects.volume(spec__node_affinity=affinity), NODES)


@pytest.mark.parametrize(
    ("key", "operator", "values", "expected"),
    [
        ("zone", "In", ("z",), "b"),
        ("zone", "In", ("y", "z"), "a"),
        ("zone", "NotIn", ("y",), "b"),
        ("odd", "Exists", (), "a"),
        ("odd", "DoesNotExist", (), "b"),
        ("size", "Gt", ("6",), "a"),
        ("size", "Gt", ("9",), ""),
        ("size", "Lt", ("5",), ""),
        ("size", "Lt", ("6",), "b"),
        ("size", "Gt", ("nine",), ""),
        ("size", "Gt", (), ""),
        ("none", "Lt", ("6",), ""),
        ("zone", "Near", ("z",), ""),
    ],
)
def test_a_node_is_found_by_every_operator(
    key: str, operator: str, values: tuple[str, ...], expected: str
) -> None:
    assert place(volumes.NodeSelectorRequirement(key, operator, values)) == expected


def test_a_node_is_found_by_its_name_and_an_empty_term_finds_none() -> None:
    by_name = volumes.NodeSelectorRequirement("metadata.name", "In", ("b",))
    assert place(by_name, fields=True) == "b"
    assert place() == ""
    bare = objects.volume(spec__node_affinity=volumes.VolumeNodeAffinity())
    assert placement.node_of(bare, NODES) == ""
    assert placement.node_of(objects.volume(), NODES) == ""


def test_a_content_is_its_drivers_if_its_class_says_so_too() -> None:
    driver = objects.DRIVER
    assert validation.is_for_driver(objects.content(), None, driver)
    assert validation.is_for_driver(objects.content(), objects.class_(), driver)
    assert not validation.is_for_driver(objects.content(), objects.class_(driver="x"), driver)
    assert not validation.is_for_driver(objects.content(), None, "x")


def test_a_pair_that_is_going_is_not_bound() -> None:
    going = objects.given_content(metadata__deletion_timestamp=objects.NOW_TEXT)
    assert contents.bind(going, objects.given_snapshot()) is None


def test_nothing_is_cut_without_a_volume_and_an_owner() -> None:
    view = views.ContentView(objects.given_content(), objects.class_())
    with pytest.raises(errors.Invalid, match="needs a volumeHandle"):
        calls.create(view, objects.DRIVER_POLICY)
