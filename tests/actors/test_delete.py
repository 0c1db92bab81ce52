"""A snapshot that is to go: its content is marked and deleted first, or kept; then it is let go.

Reference: pkg/common-controller/snapshot_delete_test.go, and the mark of snapshot_update_test.go.
"""

from typing import Any

import cluster_role
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import meta, names, snapshots, volumes, wire

REFUSED = errors.Refused("no")
MARKED = {names.BEING_DELETED_ANNOTATION: names.MARK}


def pair(*, given: bool, **content: Any) -> tuple[wire.Object, wire.Object]:
    """Return a ready snapshot of either mode, and its content."""
    if not given:
        return objects.ready_snapshot(), objects.ready_content(**content)
    status = objects.changed(
        objects.ready_snapshot().status, bound_volume_snapshot_content_name="content"
    )
    base = {
        "metadata__finalizers": (names.CONTENT_FINALIZER,),
        "spec__volume_snapshot_ref__uid": "uid-1",
        "status": objects.STATUS,
    }
    return objects.given_snapshot(status=status), objects.given_content(**{**base, **content})


BOTH_MODES = pytest.mark.parametrize("given", [False, True])


@BOTH_MODES
async def test_a_snapshot_that_nobody_deletes_stays(*, given: bool) -> None:  # 1-1
    cluster = cluster_role.Cluster(*pair(given=given))
    assert await cluster.settle() == []


@BOTH_MODES
async def test_policy_delete_deletes_the_content_and_then_lets_go(*, given: bool) -> None:
    # 3-1, 3-7
    snapshot, content = pair(given=given)
    cluster = cluster_role.Cluster(snapshot, content)
    cluster.delete(snapshot.key)
    name = content.metadata.name
    assert await cluster.settle() == [f"marks {name}", f"deletes {name}"]
    going = cluster.content(name)
    assert going.metadata.deleting
    assert going.metadata.annotations == MARKED
    assert cluster.snapshot().metadata.finalizers == objects.BOTH

    cluster.vanish(content.key)  # the driver's side has deleted what it stands for
    assert await cluster.settle() == ["releases snap"]
    assert snapshot.key not in cluster.api.objects
    # Of a content made by hand a new one may be on its way: the API server is asked.
    assert cluster.reads == ([content.key] if given else [])


@BOTH_MODES
async def test_policy_retain_keeps_the_content_and_lets_go(*, given: bool) -> None:  # 3-3, 3-9
    snapshot, content = pair(given=given, spec__deletion_policy=names.RETAIN)
    cluster = cluster_role.Cluster(snapshot, content)
    cluster.delete(snapshot.key)
    name = content.metadata.name
    assert await cluster.settle() == [f"marks {name}", "releases snap"]
    assert snapshot.key not in cluster.api.objects
    kept = cluster.content(name)
    assert not kept.metadata.deleting
    assert kept.metadata.finalizers == (names.CONTENT_FINALIZER,)


@BOTH_MODES
async def test_a_content_that_was_gone_before_does_not_hold_the_snapshot(*, given: bool) -> None:
    # 1-2, 3-4, 3-10
    snapshot, content = pair(given=given)
    cluster = cluster_role.Cluster(snapshot)
    cluster.delete(snapshot.key)
    assert await cluster.settle() == ["releases snap"]
    assert cluster.reads == [content.key]
    assert snapshot.key not in cluster.api.objects


@BOTH_MODES
async def test_a_content_that_only_our_watch_has_not_seen_is_deleted_first(*, given: bool) -> None:
    snapshot, content = pair(given=given)
    cluster = cluster_role.Cluster(snapshot)
    cluster.deaf.add(content.key.kind)
    cluster.put(content)
    cluster.delete(snapshot.key)
    name = content.metadata.name
    assert await cluster.settle() == [f"marks {name}", f"deletes {name}"]
    assert cluster.reads == [content.key]


@BOTH_MODES
@pytest.mark.parametrize("policy", [names.DELETE, names.RETAIN])
@pytest.mark.parametrize(
    "other",
    [
        {"spec__volume_snapshot_ref__uid": "another"},  # 3-5, 3-11
        {"spec__volume_snapshot_ref__name": "other"},  # 3-6, 3-12, 1-3
        {"spec__volume_snapshot_ref__namespace": "elsewhere"},
    ],
)
async def test_a_content_of_another_snapshot_is_left_alone(
    *, given: bool, policy: str, other: dict[str, str]
) -> None:
    snapshot, content = pair(given=given, spec__deletion_policy=policy, **other)
    cluster = cluster_role.Cluster(snapshot, content)
    before = cluster.api.objects[content.key]
    cluster.delete(snapshot.key)
    assert await cluster.settle() == ["releases snap"]
    assert cluster.api.objects[content.key] == before


@BOTH_MODES
async def test_a_deletion_that_is_refused_is_announced_and_tried_again(*, given: bool) -> None:
    # 3-2, 3-8
    snapshot, content = pair(given=given)
    cluster = cluster_role.Cluster(snapshot, content)
    cluster.delete(snapshot.key)
    cluster.fail(intents.DeleteContent, REFUSED, times=2)
    name = content.metadata.name
    done = await cluster.settle()
    assert done == [
        f"marks {name}",
        f"deletes {name}, in vain",
        "says SnapshotContentObjectDeleteError of snap",
        f"deletes {name}, in vain",  # its own mark had woken it
        "says SnapshotContentObjectDeleteError of snap",
    ]
    assert cluster.events[0].message == f"Failed to delete snapshot content API object {name}: no"
    assert cluster.failed == {snapshot.key: REFUSED}
    assert cluster.snapshot().metadata.finalizers == objects.BOTH
    assert await cluster.retry() == [f"deletes {name}"]


async def test_a_mark_that_is_refused_is_announced_and_nothing_is_deleted() -> None:
    # 5-3 to 5-8: upstream believes the mark is set, and deletes a content without it
    snapshot, content = pair(given=False)
    cluster = cluster_role.Cluster(snapshot, content)
    cluster.delete(snapshot.key)
    cluster.fail(intents.UpdateMetadata, REFUSED)
    assert await cluster.settle() == [
        "marks snapcontent-uid-1, in vain",
        "says SnapshotFinalizerError of snap",
    ]
    assert not cluster.content().metadata.deleting
    assert await cluster.retry() == ["marks snapcontent-uid-1", "deletes snapcontent-uid-1"]


async def test_a_content_that_somebody_deleted_before_is_marked_once_its_snapshot_goes() -> None:
    """Without the mark the driver's side keeps hands off: the snapshot may be wanted."""
    cluster = cluster_role.Cluster(*pair(given=False))
    cluster.delete(cluster_role.CONTENT)
    assert await cluster.settle() == []
    assert cluster.content().metadata.annotations == {}
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["marks snapcontent-uid-1"]


async def test_a_content_already_marked_is_not_marked_again() -> None:
    cluster = cluster_role.Cluster(*pair(given=False, metadata__annotations=MARKED))
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["deletes snapcontent-uid-1"]


async def test_a_policy_that_becomes_retain_after_the_mark_keeps_the_content() -> None:
    cluster = cluster_role.Cluster(*pair(given=False))
    cluster.delete(cluster_role.SNAPSHOT)
    cluster.fail(intents.DeleteContent, errors.Conflict("409"), times=2)
    await cluster.settle()
    cluster.change(cluster_role.CONTENT, spec__deletion_policy=names.RETAIN)
    assert await cluster.settle() == ["releases snap"]
    assert not cluster.content().metadata.deleting


async def test_marks_and_finalizers_of_others_are_kept() -> None:
    snapshot, content = pair(given=False, spec__deletion_policy=names.RETAIN)
    cluster = cluster_role.Cluster(snapshot, content)
    cluster.change(cluster_role.CONTENT, metadata__annotations={"x": "y"})
    cluster.change(cluster_role.SNAPSHOT, metadata__finalizers=("x/y", *objects.BOTH))
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["marks snapcontent-uid-1", "releases snap"]
    assert cluster.content().metadata.annotations == {"x": "y", **MARKED}
    assert cluster.snapshot().metadata.finalizers == ("x/y",)
    cluster.vanish(cluster_role.SNAPSHOT)
    assert await cluster.settle() == []


async def test_a_release_that_lost_a_race_keeps_what_another_added() -> None:
    snapshot, content = pair(given=False, spec__deletion_policy=names.RETAIN)
    cluster = cluster_role.Cluster(snapshot, content)
    cluster.delete(snapshot.key)
    cluster.deliver()
    cluster.change(snapshot.key, metadata__finalizers=("x/y", *objects.BOTH))
    await cluster.work(snapshot.key)
    assert isinstance(cluster.failed[snapshot.key], errors.Conflict)
    await cluster.settle()
    assert cluster.snapshot().metadata.finalizers == ("x/y",)
    assert cluster.events == []


async def test_a_release_that_is_refused_is_announced() -> None:  # 7-7
    cluster = cluster_role.Cluster(objects.ready_snapshot())
    cluster.delete(cluster_role.SNAPSHOT)
    cluster.fail(intents.UpdateMetadata, REFUSED)
    assert await cluster.settle() == [
        "releases snap, in vain",
        "says SnapshotFinalizerError of snap",
    ]
    assert await cluster.retry() == ["releases snap"]
    assert cluster_role.SNAPSHOT not in cluster.api.objects


async def test_a_snapshot_that_never_got_a_content_goes_and_its_claim_is_released() -> None:
    _, *rest = cluster_role.source()
    cluster = cluster_role.Cluster(*rest, cluster_role.new_snapshot())
    cluster.change(cluster_role.SNAPSHOT, metadata__finalizers=objects.BOTH[:1])
    await cluster.settle()
    assert cluster.guards_claim()
    cluster.delete(cluster_role.SNAPSHOT)
    assert sorted(await cluster.settle()) == ["releases claim", "releases snap"]
    assert cluster_role.SNAPSHOT not in cluster.api.objects


# Restores in progress


def restore(**fields: Any) -> volumes.PersistentVolumeClaim:
    source = meta.TypedReference("VolumeSnapshot", "snap", names.SNAPSHOT_GROUP)
    base = {
        "metadata__name": "restored",
        "metadata__uid": "uid-8",
        "metadata__annotations": {"volume.kubernetes.io/storage-provisioner": "any"},
        "status__phase": names.PENDING,
        "spec__data_source": source,
    }
    return cluster_role.bare_claim(**{**base, **fields})


OTHER_NAMESPACE = restore(
    metadata__namespace="other",
    spec__data_source=None,
    spec__data_source_ref=meta.TypedReference(
        "VolumeSnapshot", "snap", names.SNAPSHOT_GROUP, namespace="ns"
    ),
)
GOES = ["marks snapcontent-uid-1", "deletes snapcontent-uid-1"]


@pytest.mark.parametrize("claim", [restore(), OTHER_NAMESPACE])
@pytest.mark.parametrize("how", ["bound", "gone"])
async def test_a_restore_holds_the_snapshot_until_it_is_bound_or_gone(
    claim: volumes.PersistentVolumeClaim, how: str
) -> None:  # 3-1a
    cluster = cluster_role.Cluster(*pair(given=False), claim)
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["says SnapshotDeletePending of snap"]
    assert "used to restore a PVC: restored." in cluster.events[0].message
    assert cluster.failed == {}  # the claim ends the wait, no timer

    if how == "bound":
        cluster.change(claim.key, status__phase=names.BOUND)
    else:
        cluster.delete(claim.key)
    assert await cluster.settle() == GOES


@pytest.mark.parametrize(
    "claim",
    [
        restore(metadata__annotations={}),  # waits for its first consumer
        restore(metadata__creation_timestamp="2026-01-01T01:00:00Z"),  # made afterwards
        restore(status__phase=names.BOUND),
        restore(
            spec__data_source=meta.TypedReference("VolumeSnapshot", "other", names.SNAPSHOT_GROUP)
        ),
        restore(metadata__namespace="other"),
    ],
)
async def test_a_claim_that_does_not_take_from_it_does_not_hold_it(
    claim: volumes.PersistentVolumeClaim,
) -> None:
    cluster = cluster_role.Cluster(*pair(given=False), claim)
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == GOES


async def test_one_restore_that_is_bound_does_not_free_it_of_another() -> None:
    second = restore(metadata__name="second", metadata__uid="uid-9")
    cluster = cluster_role.Cluster(*pair(given=False), restore(), second)
    cluster.delete(cluster_role.SNAPSHOT)
    await cluster.settle()
    cluster.change(restore().key, status__phase=names.BOUND)
    assert await cluster.settle() == ["says SnapshotDeletePending of snap"]
    assert ": second. " in cluster.events[-1].message
    cluster.delete(second.key)
    assert await cluster.settle() == GOES


async def test_a_restore_of_a_snapshot_whose_content_is_gone_holds_nothing() -> None:
    cluster = cluster_role.Cluster(objects.ready_snapshot(), restore())
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["releases snap"]


async def test_a_successor_finishes_what_was_begun() -> None:
    cluster = cluster_role.Cluster(*pair(given=False))
    cluster.delete(cluster_role.SNAPSHOT)
    cluster.fail(intents.DeleteContent, errors.Unavailable("lost"), times=2)
    await cluster.settle()
    successor = cluster_role.Cluster(api=cluster.api)
    assert await successor.settle() == ["deletes snapcontent-uid-1"]
    third = cluster_role.Cluster(api=cluster.api)
    assert await third.settle() == []
    third.vanish(cluster_role.CONTENT)
    assert await third.settle() == ["releases snap"]
    assert third.api.all_of(snapshots.VolumeSnapshot) == []
