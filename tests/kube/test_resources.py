import pytest

from snapshotd import errors
from snapshotd.kube import resources
from snapshotd.model import keys, wire


def test_every_kind_has_a_resource() -> None:
    assert set(resources.RESOURCES) == set(keys.Kind)
    assert set(wire.TYPES) <= set(resources.RESOURCES)


def test_paths_are_those_of_the_api_server() -> None:
    snapshot = resources.of(keys.Kind.VOLUME_SNAPSHOT)
    claim = resources.of(keys.Kind.CLAIM)
    root = "/apis/snapshot.storage.k8s.io/v1"

    assert snapshot.collection() == f"{root}/volumesnapshots"
    assert snapshot.collection("a") == f"{root}/namespaces/a/volumesnapshots"
    assert (
        snapshot.object("a", "s", subresource="status")
        == f"{root}/namespaces/a/volumesnapshots/s/status"
    )
    assert claim.collection() == "/api/v1/persistentvolumeclaims"
    assert claim.object("a", "c") == "/api/v1/namespaces/a/persistentvolumeclaims/c"
    content = keys.Key(keys.Kind.VOLUME_SNAPSHOT_CONTENT, "", "c")
    assert resources.path_of(content) == f"{root}/volumesnapshotcontents/c"


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../secrets", "%2e%2e", "a%2Fb"])
def test_a_name_never_reaches_another_path(name: str) -> None:
    with pytest.raises(errors.Invalid):
        resources.path_of(keys.Key(keys.Kind.VOLUME_SNAPSHOT_CONTENT, "", name))


def test_an_odd_name_is_quoted() -> None:
    path = resources.path_of(keys.Key(keys.Kind.CLAIM, "a b", "c?watch=1#x"))

    assert path == "/api/v1/namespaces/a%20b/persistentvolumeclaims/c%3Fwatch%3D1%23x"


@pytest.mark.parametrize(("kind", "namespace"), [(keys.Kind.CLAIM, ""), (keys.Kind.NODE, "a")])
def test_a_namespace_belongs_to_namespaced_kinds_alone(kind: keys.Kind, namespace: str) -> None:
    with pytest.raises(errors.Invalid):
        resources.path_of(keys.Key(kind, namespace, "x"))
