"""A role that is asked whether it overlooked something: it looks, and does nothing."""

import cluster_role
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import keys, meta, names, snapshots, wire


def lose(cluster: cluster_role.Cluster) -> None:
    """Lose the keys that a change woke, as a defect of routing would."""
    cluster.deliver()
    cluster.queue.now.clear()


async def test_a_role_that_has_settled_overlooked_nothing() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()
    assert [key for key in cluster.role.known() if cluster.role.overlooked(key)] == []
    assert {key.kind for key in cluster.role.known()} == {
        keys.Kind.VOLUME_SNAPSHOT,
        keys.Kind.VOLUME_SNAPSHOT_CONTENT,
        keys.Kind.CLAIM,
    }


@pytest.mark.parametrize(
    ("key", "change"),
    [
        (cluster_role.SNAPSHOT, objects.ready_content()),
        (cluster_role.CONTENT, objects.content(metadata__finalizers=())),
        (cluster_role.CLAIM, cluster_role.bare_claim()),
    ],
)
async def test_something_to_do_that_nobody_is_about_to_do_was_overlooked(
    key: keys.Key, change: wire.Object
) -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()
    cluster.put(change)
    lose(cluster)
    assert cluster.overlooked() == [key]
    assert cluster.diary == []  # it was only asked

    cluster.role.wake(key)  # what the slow resync does
    assert not cluster.role.overlooked(key)
    assert await cluster.settle() != []


async def test_a_key_that_somebody_will_look_at_was_not_overlooked() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    assert cluster.overlooked() == []  # all of them are queued
    lose(cluster)
    assert cluster.overlooked() == [cluster_role.CLAIM]
    cluster.fail(intents.UpdateMetadata, errors.Unavailable("503"))
    await cluster.work(cluster_role.CLAIM)
    assert cluster.failed.keys() == {cluster_role.CLAIM}
    cluster.queue.now.clear()
    assert cluster.overlooked() == []  # it will be tried again
    cluster.queue.failed.clear()
    cluster.queue.later[cluster_role.CLAIM] = 5.0
    assert cluster.overlooked() == []
    cluster.queue.later.clear()
    cluster.queue.in_hand = cluster_role.CLAIM
    assert cluster.overlooked() == []
    cluster.queue.in_hand = None
    assert cluster.overlooked() == [cluster_role.CLAIM]


GOING = {"metadata__deletion_timestamp": objects.NOW_TEXT}
RESTORE = cluster_role.bare_claim(
    metadata__name="restored",
    metadata__annotations={"volume.kubernetes.io/storage-provisioner": "any"},
    status__phase=names.PENDING,
    spec__data_source=meta.TypedReference("VolumeSnapshot", "snap", names.SNAPSHOT_GROUP),
)
GROUP = objects.group()
MEMBER = snapshots.VolumeSnapshotStatus(volume_group_snapshot_name="all")
NO_SOURCE = snapshots.VolumeSnapshotContentSource()


@pytest.mark.parametrize(
    ("key", "held", "does"),
    [
        (
            cluster_role.SNAPSHOT,
            (objects.ready_snapshot(**GOING), objects.ready_content(), RESTORE),
            intents.Announce,
        ),
        (
            cluster_role.SNAPSHOT,
            (objects.snapshot(status=MEMBER, **GOING), GROUP),
            intents.Announce,
        ),
        (cluster_role.CONTENT, (objects.content(spec__source=NO_SOURCE),), intents.Announce),
        (cluster_role.SNAPSHOT, (objects.snapshot(**GOING),), intents.Refresh),
        (cluster_role.SNAPSHOT, (objects.ready_snapshot(),), intents.Refresh),
        (
            cluster_role.SNAPSHOT,
            (*cluster_role.source(), cluster_role.new_snapshot()),
            intents.Wake,
        ),
    ],
)
async def test_telling_looking_again_and_waking_are_nothing_to_do(
    key: keys.Key, held: tuple[wire.Object, ...], does: type[intents.Intent]
) -> None:
    cluster = cluster_role.Cluster(*held)
    lose(cluster)
    (intent,) = cluster.role.look(key).intents
    assert isinstance(intent, does)
    assert not cluster.role.overlooked(key)


async def test_what_is_not_there_or_not_ours_was_not_overlooked() -> None:
    cluster = cluster_role.Cluster(objects.class_())
    for key in (
        cluster_role.SNAPSHOT,
        cluster_role.CONTENT,
        cluster_role.CLAIM,
        cluster_role.CLASS,
    ):
        assert cluster.role.look(key) == intents.SETTLED
        assert not cluster.role.overlooked(key)
        cluster.role.wake(key)
    assert cluster_role.CLASS not in cluster.queue.now  # its kind has no queue
    assert await cluster.settle() == []


async def test_a_look_says_what_is_waited_for() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()
    assert cluster.role.look(cluster_role.SNAPSHOT).why == (
        "waits for the driver to make the snapshot ready"
    )
    assert cluster.role.look(cluster_role.CLAIM).why == "a snapshot is being cut from it"
    assert cluster.role.look(cluster_role.CONTENT) == intents.SETTLED


async def test_a_look_that_breaks_is_left_to_the_actor_and_harms_no_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()

    def breaks(_key: keys.Key) -> intents.Decision:
        raise ZeroDivisionError

    monkeypatch.setattr(cluster.role, "look", breaks)
    cluster.change(cluster_role.CLAIM, metadata__labels={"a": "b"})
    cluster.deliver()  # the watch goes on
    assert cluster_role.CLAIM in cluster.queue.now
    cluster.queue.now.clear()
    assert cluster.role.overlooked(cluster_role.CLAIM)
