"""Every wait is ended by its event, and by no other: what a change puts into the queue."""

import cluster_role
import msgspec
import objects
import pytest
import simulated

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import keys, meta, names, snapshots, volumes, wire

DISTRIBUTED = msgspec.structs.replace(objects.POLICY, distributed=True)
CLASS, PVC, PV = cluster_role.source()
SNAPSHOT = cluster_role.new_snapshot()
UNSET = cluster_role.new_snapshot(spec__volume_snapshot_class_name=None)
DEFAULT = objects.class_("any", metadata__annotations={names.DEFAULT_CLASS_ANNOTATION: "true"})
GIVEN = cluster_role.new_given()
GOING = objects.ready_snapshot(metadata__deletion_timestamp=objects.NOW_TEXT)
MEMBER = objects.changed(GOING, status__volume_group_snapshot_name="all")
GROUP = objects.group()
NODE = volumes.Node(meta.ObjectMeta(name="node-1", labels={"zone": "a"}))
RESTORE = cluster_role.bare_claim(
    metadata__name="restored",
    metadata__annotations={"volume.kubernetes.io/storage-provisioner": "any"},
    status__phase=names.PENDING,
    spec__data_source=meta.TypedReference("VolumeSnapshot", "snap", names.SNAPSHOT_GROUP),
)


@pytest.mark.parametrize(
    ("held", "event", "other"),
    [
        ((PVC, PV, SNAPSHOT), CLASS, objects.class_("other")),
        ((PVC, PV, UNSET), DEFAULT, objects.volume(metadata__name="other", spec__claim_ref=None)),
        ((CLASS, PV, SNAPSHOT), PVC, cluster_role.bare_claim(metadata__name="other")),
        ((CLASS, PV, SNAPSHOT), PVC, cluster_role.bare_claim(metadata__namespace="other")),
        ((CLASS, PVC, SNAPSHOT), PV, objects.volume(spec__claim_ref__name="other")),
        ((CLASS, PVC, PV, SNAPSHOT), objects.ready_content(), objects.content(metadata__name="c")),
        ((GIVEN,), objects.given_content(), objects.given_content(metadata__name="other")),
        (
            (GOING, objects.ready_content(), RESTORE),
            objects.changed(RESTORE, status__phase=names.BOUND),
            objects.claim(metadata__name="other", metadata__finalizers=()),
        ),
    ],
)
async def test_a_waiting_snapshot_is_woken_by_what_it_waits_for(
    held: tuple[wire.Object, ...], event: wire.Object, other: wire.Object
) -> None:
    cluster = cluster_role.Cluster(*held, policy=DISTRIBUTED)
    await cluster.settle()
    assert cluster.failed == {}
    assert cluster.queue.later == {}

    cluster.put(other)
    cluster.deliver()
    assert cluster_role.SNAPSHOT not in cluster.queue.now
    cluster.put(event)
    cluster.deliver()
    assert cluster_role.SNAPSHOT in cluster.queue.now
    await cluster.settle()


@pytest.mark.parametrize(
    ("held", "goes"),
    [
        ((GOING, objects.ready_content(), RESTORE), RESTORE.key),
        ((MEMBER, objects.ready_content(), GROUP), GROUP.key),
        ((objects.ready_snapshot(), objects.ready_content()), cluster_role.CONTENT),
        ((CLASS, PVC, PV, SNAPSHOT), cluster_role.CLAIM),
    ],
)
async def test_what_goes_wakes_the_snapshot_that_rests_on_it(
    held: tuple[wire.Object, ...], goes: keys.Key
) -> None:
    cluster = cluster_role.Cluster(*held)
    await cluster.settle()
    cluster.vanish(goes)
    cluster.deliver()
    assert cluster_role.SNAPSHOT in cluster.queue.now
    await cluster.settle()


async def test_nothing_is_woken_for_what_is_not_there() -> None:
    cluster = cluster_role.Cluster()
    cluster.put(PV, CLASS, NODE, GROUP, objects.given_content(), objects.claim())
    cluster.deliver()
    # The claim is guarded, and nobody is cut from it.
    assert set(cluster.queue.now) == {objects.claim().key, GROUP.key}


async def test_a_claim_or_content_for_which_there_is_nothing_to_do_is_not_woken() -> None:
    """Most changes around them are of that sort; a way through a queue costs more than a look."""
    cluster = cluster_role.Cluster(PVC, PV, CLASS, SNAPSHOT, objects.content())
    await cluster.settle()
    cluster.put(objects.changed(objects.ready_content(), metadata__labels={"x": "y"}))
    cluster.deliver()
    assert set(cluster.queue.now) == {cluster_role.SNAPSHOT}


async def test_an_unprotected_claim_is_woken_by_the_snapshot_that_needs_it() -> None:
    cluster = cluster_role.Cluster(CLASS, PVC, PV, SNAPSHOT)
    cluster.queue.now.clear()
    await cluster.work(cluster_role.SNAPSHOT)
    assert list(cluster.queue.now) == [cluster_role.CLAIM]
    assert cluster.diary == []


# What the actor does with answers that settle nothing


class Stubborn(simulated.Api):
    """A webhook strips the finalizers off every snapshot."""

    def write(self, intent: intents.Write) -> wire.Object | None:
        if isinstance(intent, intents.PrepareSnapshot):
            return self.objects[intent.target.key]
        return super().write(intent)


async def test_two_that_undo_each_others_work_are_given_up_for_now() -> None:
    api = Stubborn()
    for each in (CLASS, objects.claim(), PV, SNAPSHOT):
        api.put(each)
    cluster = cluster_role.Cluster(api=api)
    await cluster.work(cluster_role.SNAPSHOT)
    failed = cluster.failed[cluster_role.SNAPSHOT]
    assert isinstance(failed, errors.Unavailable)
    assert str(failed) == "VolumeSnapshot ns/snap did not settle in 12 rounds"
    assert cluster.diary == ["prepares snap"] * 12


async def test_a_content_that_went_unseen_before_it_was_deleted_is_gone_all_the_same() -> None:
    cluster = cluster_role.Cluster(GOING, objects.ready_content())
    cluster.change(
        cluster_role.CONTENT, metadata__annotations={names.BEING_DELETED_ANNOTATION: names.MARK}
    )
    cluster.deliver()
    cluster.deaf.add(keys.Kind.VOLUME_SNAPSHOT_CONTENT)
    cluster.vanish(cluster_role.CONTENT)
    assert await cluster.settle() == ["deletes snapcontent-uid-1, in vain", "releases snap"]
    assert cluster.api.all_of(snapshots.VolumeSnapshot) == []
    assert cluster.failed == {}


async def test_a_snapshot_that_went_unseen_is_not_written_to_for_ever() -> None:
    cluster = cluster_role.Cluster(GOING)
    cluster.deaf.add(keys.Kind.VOLUME_SNAPSHOT)
    cluster.vanish(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["releases snap, in vain"]
    assert isinstance(cluster.failed[cluster_role.SNAPSHOT], errors.Gone)
    cluster.deaf.clear()
    assert await cluster.retry() == []
    assert cluster.failed == {}


async def test_a_snapshot_made_anew_under_its_name_is_another() -> None:
    cluster = cluster_role.Cluster(CLASS, PVC, PV, SNAPSHOT)
    await cluster.settle()
    cluster.vanish(cluster_role.SNAPSHOT)
    cluster.put(cluster_role.new_snapshot(metadata__uid="uid-11"))
    done = await cluster.settle()
    assert "creates snapcontent-uid-11" in done
    assert cluster.content().spec.volume_snapshot_ref.uid == "uid-1"
    assert not cluster.content().metadata.deleting
