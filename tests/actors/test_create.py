"""A dynamic snapshot on its way to a content: what is written, in which order, and what is told.

Reference: pkg/common-controller/snapshot_create_test.go.
"""

import cluster_role
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import meta, names, snapshots, volumes, wire

CREATED = [
    "guards claim",
    "prepares snap",
    "creates snapcontent-uid-1",
    "says CreatingSnapshot of snap",
    "publishes snap",
]


async def test_a_snapshot_with_a_class_gets_its_content_in_five_writes() -> None:  # 6-1
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    # The bound-but-not-ready status is held back for a moment, in case the driver is fast.
    assert await cluster.settle() == CREATED
    assert cluster.clock.passed >= objects.POLICY.status_hold

    content = cluster.content()
    assert content.spec.volume_snapshot_class_name == "gold"
    assert content.spec.source.volume_handle == "vol"
    assert content.metadata.finalizers == (names.CONTENT_FINALIZER,)
    assert content.metadata.annotations == {}
    snapshot = cluster.snapshot()
    assert snapshot.metadata.finalizers == objects.BOTH
    assert snapshot.status == snapshots.VolumeSnapshotStatus(
        bound_volume_snapshot_content_name="snapcontent-uid-1", ready_to_use=False
    )
    assert cluster.guards_claim()
    assert cluster.reads == []


async def test_a_driver_that_answers_at_once_costs_one_status_write() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    while "creates snapcontent-uid-1" not in cluster.diary:
        cluster.deliver()
        await cluster.work(next(iter(cluster.queue.now)))
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)

    assert await cluster.settle() == [
        *CREATED[:-1],
        "publishes snap",
        "says SnapshotCreated of snap",
        "says SnapshotReady of snap",
        "releases claim",
    ]
    assert cluster.snapshot().ready
    assert not cluster.guards_claim()


async def test_a_class_that_retains_leaves_out_the_bound_protection() -> None:
    _, *rest = cluster_role.source()
    retaining = objects.class_(deletion_policy=names.RETAIN)
    cluster = cluster_role.Cluster(retaining, *rest, cluster_role.new_snapshot())
    assert await cluster.settle() == CREATED
    assert cluster.snapshot().metadata.finalizers == (names.SNAPSHOT_SOURCE_FINALIZER,)
    assert cluster.content().spec.deletion_policy == names.RETAIN


async def test_the_secret_of_a_class_is_noted_on_the_content() -> None:  # 6-2
    parameters = {
        names.SECRET_NAME_PARAMETER: "secret-of-${volumesnapshot.name}",
        names.SECRET_NAMESPACE_PARAMETER: "vault",
    }
    _, *rest = cluster_role.source()
    cluster = cluster_role.Cluster(
        objects.class_(parameters=parameters), *rest, cluster_role.new_snapshot()
    )
    assert await cluster.settle() == CREATED
    assert cluster.content().metadata.annotations == {
        names.DELETION_SECRET_NAME: "secret-of-snap",
        names.DELETION_SECRET_NAMESPACE: "vault",
    }


def without(kind: type[wire.Object], *instead: wire.Object) -> list[wire.Object]:
    """Return what a snapshot is cut from, but for one kind."""
    return [*(each for each in cluster_role.source() if not isinstance(each, kind)), *instead]


CLASS, PVC, PV = (
    snapshots.VolumeSnapshotClass,
    volumes.PersistentVolumeClaim,
    volumes.PersistentVolume,
)
PENDING = cluster_role.bare_claim(status__phase=names.PENDING)
BROKEN = objects.class_(parameters={names.SECRET_NAME_PARAMETER: "half"})
FAILED = "SnapshotContentCreationFailed"


@pytest.mark.parametrize(
    ("held", "reason", "told", "mended"),
    [
        (without(CLASS), "GetSnapshotClassFailed", '"gold" not found', objects.class_()),  # 7-1
        (without(PVC), FAILED, '"claim" not found', cluster_role.bare_claim()),  # 7-4
        (without(PV), FAILED, 'persistentvolume "pv" not found', objects.volume()),  # 7-5
        (without(PVC, PENDING), FAILED, "not yet bound to a PV", cluster_role.bare_claim()),  # 7-6
        (without(CLASS, BROKEN), FAILED, "Both must be specified", objects.class_()),  # 7-10
        (without(PV, objects.volume(spec__csi=None)), FAILED, "CSI", objects.volume()),
        (without(CLASS, objects.class_(driver="other")), FAILED, "driver", objects.class_()),
    ],
)
async def test_what_lacks_is_told_once_and_waited_for(
    held: list[wire.Object], reason: str, told: str, mended: wire.Object
) -> None:
    cluster = cluster_role.Cluster(*held, cluster_role.new_snapshot())
    done = await cluster.settle()
    assert [each for each in done if "claim" not in each] == [
        "publishes snap",
        f"says {reason} of snap",
    ]
    assert told in str(cluster.error())
    assert cluster.snapshot().status is not None
    assert not cluster.snapshot().ready
    assert cluster.failed == {}  # an event ends the wait, no timer

    cluster.put(mended)
    done = await cluster.settle()
    assert "creates snapcontent-uid-1" in done
    assert done[-1] == "publishes snap"
    assert cluster.error() is None


async def test_a_snapshot_whose_volume_belongs_to_another_claim_is_not_cut() -> None:
    other = objects.volume(spec__claim_ref=meta.ObjectReference(namespace="ns", name="other"))
    cluster = cluster_role.Cluster(*without(PV, other), cluster_role.new_snapshot())
    await cluster.settle()
    assert "claim in dataSource not bound or invalid" in str(cluster.error())
    cluster.put(objects.volume())  # it was given to the right claim
    assert "creates snapcontent-uid-1" in await cluster.settle()


async def test_a_problem_that_becomes_another_is_told_anew() -> None:  # 6-x
    cluster = cluster_role.Cluster(*without(CLASS), cluster_role.new_snapshot())
    await cluster.settle()
    first = cluster.error()
    cluster.put(objects.class_(driver="other"))
    assert await cluster.settle() == [
        "publishes snap",
        "says SnapshotContentCreationFailed of snap",
    ]
    assert cluster.error() != first


REFUSED = errors.Refused("admission webhook said no")


@pytest.mark.parametrize("error", [REFUSED, errors.Invalid("quota exceeded")])
async def test_a_content_that_is_refused_is_told_on_its_snapshot(
    error: errors.SnapshotdError,
) -> None:  # 7-11
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    cluster.fail(intents.CreateContent, error, times=2)
    assert await cluster.settle() == [
        "guards claim",
        "prepares snap",
        "creates snapcontent-uid-1, in vain",
        "publishes snap",
        "says SnapshotContentCreationFailed of snap",
        # What was written wakes the snapshot; the queue spaces these out.
        "creates snapcontent-uid-1, in vain",
    ]
    message = f"Failed to create snapshot content with error {error}"
    assert cluster.error() == message
    assert cluster.failed == {cluster_role.SNAPSHOT: error}

    done = await cluster.retry()
    assert done == [
        "creates snapcontent-uid-1",
        "says CreatingSnapshot of snap",
        "publishes snap",
    ]
    assert cluster.error() is None


async def test_a_content_whose_creation_got_no_answer_is_tried_again_without_a_word() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    cluster.fail(intents.CreateContent, errors.Unavailable("lost"), times=2)
    assert await cluster.settle() == [
        "guards claim",
        "prepares snap",
        "creates snapcontent-uid-1, in vain",
        "creates snapcontent-uid-1, in vain",  # at once: its own patch had woken it meanwhile
    ]
    assert cluster.events == []
    assert cluster.snapshot().status is None
    assert await cluster.retry() == CREATED[2:]


async def test_a_content_that_was_made_though_the_answer_was_lost_is_taken_up() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    cluster.fail(intents.CreateContent, errors.Unavailable("lost"), done=True)
    assert await cluster.settle() == [*CREATED[:3], "publishes snap"]
    assert len(cluster.api.all_of(snapshots.VolumeSnapshotContent)) == 1


async def test_a_content_that_exists_and_was_not_seen_is_read_and_taken_up() -> None:
    """A former leader made it, and our watch is behind."""
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    cluster.deaf.add(cluster_role.CONTENT.kind)
    cluster.put(objects.content())
    assert await cluster.settle() == [
        "guards claim",
        "prepares snap",
        "creates snapcontent-uid-1, in vain",
        "says CreatingSnapshot of snap",
        "publishes snap",
    ]
    assert cluster.reads == [cluster_role.CONTENT]
    assert cluster.failed == {}


async def test_a_name_that_another_snapshots_content_has_is_told() -> None:
    """POST answers Conflict, and what is there is somebody else's."""
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    cluster.deaf.add(cluster_role.CONTENT.kind)
    cluster.put(objects.content(spec__volume_snapshot_ref__uid="another"))
    done = await cluster.settle()
    assert done[-2:] == ["publishes snap", "says SnapshotContentMisbound of snap"]
    assert "bound to a different snapshot" in str(cluster.error())


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (intents.PrepareSnapshot, "SnapshotFinalizerError"),
        (intents.PublishStatus, "SnapshotStatusUpdateFailed"),
    ],
)
async def test_a_write_on_the_snapshot_that_is_refused_is_announced(
    kind: type[intents.Intent], reason: str
) -> None:  # 7-9
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    cluster.fail(kind, REFUSED)
    done = await cluster.settle()
    assert done[-2].endswith("snap, in vain")
    assert done[-1] == f"says {reason} of snap"
    assert "admission webhook said no" in cluster.events[-1].message
    assert cluster.failed == {cluster_role.SNAPSHOT: REFUSED}
    assert (await cluster.retry())[-1] == "publishes snap"


@pytest.mark.parametrize("error", [errors.Conflict("409"), errors.Unavailable("503")])
@pytest.mark.parametrize(
    "kind", [intents.UpdateMetadata, intents.PrepareSnapshot, intents.PublishStatus]
)
async def test_nothing_is_announced_of_a_write_that_will_do_next_time(
    kind: type[intents.Intent], error: errors.SnapshotdError
) -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    cluster.fail(kind, error)
    before = await cluster.settle()
    assert sum(each.endswith("in vain") for each in before) == 1
    after = await cluster.retry()
    assert [each for each in before + after if not each.endswith("in vain")] == CREATED


async def test_an_event_is_announced_only_after_its_write_succeeded() -> None:
    """Upstream announces first, and twice after a conflict."""
    cluster = cluster_role.Cluster(*without(CLASS), cluster_role.new_snapshot())
    cluster.fail(intents.PublishStatus, errors.Conflict("409"))
    assert [each for each in await cluster.settle() if "claim" not in each] == [
        "publishes snap, in vain"
    ]
    assert await cluster.retry() == ["publishes snap", "says GetSnapshotClassFailed of snap"]


@pytest.mark.parametrize(
    "source",
    [snapshots.VolumeSnapshotSource(), snapshots.VolumeSnapshotSource("claim", "content")],
)
async def test_a_source_that_is_not_one_is_told(source: snapshots.VolumeSnapshotSource) -> None:
    broken = cluster_role.new_snapshot(spec__source=source)
    cluster = cluster_role.Cluster(*cluster_role.source(), broken)
    done = await cluster.settle()
    assert done[-2:] == ["publishes snap", "says SnapshotValidationError of snap"]
    assert cluster.api.all_of(snapshots.VolumeSnapshotContent) == []
