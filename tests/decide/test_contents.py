"""The cluster's side of a content: what a new one holds, and what is added to it later."""

from typing import Any

import msgspec
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import contents, drafts, intents, release, views
from snapshotd.model import meta, names, snapshots, volumes

GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
DISTRIBUTED = msgspec.structs.replace(objects.POLICY, distributed=True)
TERM = volumes.NodeSelectorTerm((volumes.NodeSelectorRequirement("zone", "In", ("a",)),))
LOCAL = objects.volume(
    spec__node_affinity=volumes.VolumeNodeAffinity(volumes.NodeSelector((TERM,)))
)
NODE = volumes.Node(meta.ObjectMeta(name="node-1", labels={"zone": "a"}))
MARKED = {names.BEING_DELETED_ANNOTATION: names.MARK}


def view(**fields: Any) -> views.BindingView:
    return objects.binding_view(**fields)


def test_a_new_content_holds_all_that_it_needs_and_nothing_else() -> None:
    drafted = drafts.draft(view(), objects.class_(), (objects.volume(),), objects.POLICY)
    assert drafted == snapshots.VolumeSnapshotContent(
        meta.ObjectMeta(name="snapcontent-uid-1", finalizers=(names.CONTENT_FINALIZER,)),
        snapshots.VolumeSnapshotContentSpec(
            deletion_policy="Delete",
            driver=objects.DRIVER,
            source=snapshots.VolumeSnapshotContentSource(volume_handle="vol"),
            volume_snapshot_ref=objects.ABOUT,
            volume_snapshot_class_name="gold",
            source_volume_mode="Filesystem",
        ),
    )


@pytest.mark.parametrize(
    ("policy", "nodes", "labels"),
    [
        (objects.POLICY, (NODE,), {}),
        (DISTRIBUTED, (NODE,), {names.MANAGED_BY_LABEL: "node-1"}),
        (DISTRIBUTED, (), {}),
    ],
)
def test_only_a_distributed_deployment_labels_contents(
    policy: views.ClusterPolicy, nodes: tuple[volumes.Node, ...], labels: dict[str, str]
) -> None:
    drafted = drafts.draft(view(nodes=nodes), objects.class_(), (LOCAL,), policy)
    assert drafted.metadata.labels == labels


def decide(content: snapshots.VolumeSnapshotContent, **fields: Any) -> intents.Decision:
    return contents.decide(views.ContentHalfView(content, **fields))


def test_the_secret_of_a_class_may_be_named_after_the_content() -> None:
    parameters = {
        names.SECRET_NAME_PARAMETER: "${volumesnapshotcontent.name}.${volumesnapshot.name}",
        names.SECRET_NAMESPACE_PARAMETER: "in-${volumesnapshot.namespace}",
    }
    chosen = objects.class_(parameters=parameters)
    drafted = drafts.draft(view(), chosen, (objects.volume(),), objects.POLICY)
    assert drafted.metadata.annotations == {
        names.DELETION_SECRET_NAME: "snapcontent-uid-1.snap",
        names.DELETION_SECRET_NAMESPACE: "in-ns",
    }


def test_a_volume_of_no_csi_driver_is_refused_in_words() -> None:
    plain = objects.volume(spec__csi=None)
    with pytest.raises(errors.Invalid) as caught:
        drafts.draft(view(), objects.class_(), (plain,), objects.POLICY)
    assert str(caught.value) == (
        "cannot find CSI PersistentVolumeSource for volume pv: only volumes of CSI drivers can be "
        "snapshotted"
    )


def test_a_content_without_a_node_is_given_the_one_that_matches() -> None:
    """One that is going, too: only the sidecar of its node can let it go."""
    place = intents.UpdateMetadata(
        intents.Target(objects.content().key, "uid-2"),
        labels={names.MANAGED_BY_LABEL: "node-1"},
    )
    placed = intents.Decision(intents=(place,), again=0.0)
    for content in (objects.content(), objects.content(**GOING)):
        assert decide(content, volume=LOCAL, nodes=(NODE,)) == placed
    marked = objects.content(metadata__annotations=MARKED)
    assert decide(marked, volume=LOCAL, nodes=(NODE,), came_too_late=True) == placed


def test_a_late_content_is_marked_before_it_is_placed() -> None:
    """Once it has its node, the driver may make it ready at any moment."""
    decision = decide(objects.content(), volume=LOCAL, nodes=(NODE,), came_too_late=True)
    assert decision == release.give_up(objects.content(), None)


@pytest.mark.parametrize(
    ("content", "fields"),
    [
        (objects.content(), {"volume": LOCAL, "nodes": ()}),
        (objects.content(), {"volume": objects.volume(), "nodes": (NODE,)}),
        (objects.content(), {"volume": None, "nodes": (NODE,)}),
        (objects.ready_content(), {"volume": LOCAL, "nodes": (NODE,)}),
    ],
)
def test_a_content_is_not_placed_where_it_need_not_or_cannot_be(
    content: snapshots.VolumeSnapshotContent, fields: dict[str, Any]
) -> None:
    assert decide(content, **fields) == intents.SETTLED


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (objects.content(), True),
        (objects.content(metadata__labels={"other": "label"}), True),
        (objects.content(metadata__labels={names.MANAGED_BY_LABEL: "node-1"}), False),
        (objects.content(**GOING), True),
        (objects.content(status=snapshots.VolumeSnapshotContentStatus()), False),
    ],
)
def test_a_content_waits_for_its_node_until_it_is_labelled_or_cut(
    content: snapshots.VolumeSnapshotContent, *, expected: bool
) -> None:
    assert contents.unplaced(content) is expected


def test_a_free_content_is_tied_by_uid_and_class_in_one_exact_patch() -> None:
    source = snapshots.VolumeSnapshotSource(volume_snapshot_content_name="content")
    named = objects.given_snapshot(spec=snapshots.VolumeSnapshotSpec(source, "gold"))
    free = objects.given_content(metadata__finalizers=("x/y",))
    assert contents.bind(free, named) == intents.BindContent(
        intents.Target(free.key, "uid-2", "8"),
        snapshot_uid="uid-1",
        finalizers=("x/y", names.CONTENT_FINALIZER),
        class_name="gold",
    )


@pytest.mark.parametrize(
    ("wanted", "fields"),
    [
        (None, {"metadata__finalizers": (names.CONTENT_FINALIZER,)}),
        (None, {"spec__volume_snapshot_ref__uid": "uid-1"}),
        ("gold", {"spec__volume_snapshot_class_name": "own"}),
    ],
)
def test_a_pair_in_which_one_thing_is_missing_is_completed(
    wanted: str | None, fields: dict[str, Any]
) -> None:
    source = snapshots.VolumeSnapshotSource(volume_snapshot_content_name="content")
    snapshot = objects.given_snapshot(spec=snapshots.VolumeSnapshotSpec(source, wanted))
    bind = contents.bind(objects.given_content(**fields), snapshot)
    assert bind is not None
    assert bind.class_name is None
    assert bind.finalizers == (names.CONTENT_FINALIZER,)


def test_a_complete_pair_is_left_alone() -> None:
    complete = objects.given_content(
        metadata__finalizers=(names.CONTENT_FINALIZER,), spec__volume_snapshot_ref__uid="uid-1"
    )
    assert contents.bind(complete, objects.given_snapshot()) is None


def test_a_bound_content_gets_its_finalizer_by_an_exact_patch() -> None:
    bare = objects.content(metadata__finalizers=("x/y",))
    assert decide(bare) == intents.Decision(
        intents=(
            intents.UpdateMetadata(
                intents.Target(bare.key, "uid-2", "8"), ("x/y", names.CONTENT_FINALIZER)
            ),
        )
    )


@pytest.mark.parametrize(
    "content",
    [
        objects.content(),
        objects.given_content(),  # bound to nobody
        objects.content(metadata__finalizers=(), **GOING),
    ],
)
def test_a_content_that_is_guarded_free_or_going_needs_no_finalizer(
    content: snapshots.VolumeSnapshotContent,
) -> None:
    assert decide(content) == intents.SETTLED


def test_a_content_with_both_sources_or_none_is_told_why() -> None:
    both = objects.content(spec__source=snapshots.VolumeSnapshotContentSource("a", "b"))
    about = meta.ObjectReference(
        api_version="snapshot.storage.k8s.io/v1",
        kind="VolumeSnapshotContent",
        name="snapcontent-uid-1",
        uid="uid-2",
        resource_version="8",
    )
    message = "Exactly one of VolumeHandle and SnapshotHandle should be specified"
    told = intents.Announce(about, "Warning", "ContentValidationError", message)
    assert decide(both) == intents.Decision(intents=(told,), why=message)


def test_a_content_that_came_too_late_is_let_go_as_its_snapshot_was() -> None:
    late = objects.content()
    assert decide(late, came_too_late=True) == intents.Decision(
        intents=(
            intents.UpdateMetadata(intents.Target(late.key, "uid-2"), annotations={**MARKED}),
        ),
        again=0.0,
    )
    marked = objects.content(metadata__annotations=MARKED)
    decision = decide(marked, came_too_late=True)
    assert decision == release.give_up(marked, None)
    assert decision.intents == (intents.DeleteContent(intents.Target(late.key, "uid-2", "8")),)


def test_a_content_that_came_too_late_and_is_to_be_kept_is_only_marked() -> None:
    kept = objects.content(metadata__annotations=MARKED, spec__deletion_policy=names.RETAIN)
    assert decide(kept, came_too_late=True) == intents.SETTLED


def test_a_late_content_that_became_ready_after_its_mark_is_deleted_all_the_same() -> None:
    marked = objects.ready_content(metadata__annotations=MARKED)
    assert decide(marked, came_too_late=True) == release.give_up(marked, None)


def test_a_content_that_is_ready_did_not_come_too_late() -> None:
    """Somebody may restore from it: it is never given up on what a process remembers."""
    assert decide(objects.ready_content(), came_too_late=True) == intents.SETTLED
