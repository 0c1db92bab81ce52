"""A bound snapshot's status: what the content says, and nothing written that stands there already.

Reference: pkg/common-controller/snapshot_update_test.go, what concerns the status.
"""

import cluster_role
import msgspec
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import names, snapshots, wire

UNREADY = snapshots.VolumeSnapshotContentStatus(ready_to_use=False)
BOUND = snapshots.VolumeSnapshotStatus(
    bound_volume_snapshot_content_name="snapcontent-uid-1", ready_to_use=False
)
FULL = objects.ready_snapshot().status
ERROR = snapshots.SnapshotError(time=objects.NOW_TEXT, message="mock error")
REFUSED = errors.Refused("no")


def unready_pair() -> tuple[wire.Object, ...]:
    content = objects.content(status=UNREADY)
    held = (objects.class_(), objects.claim(), objects.volume())
    return (*held, objects.snapshot(status=BOUND), content)


@pytest.mark.parametrize(
    "pair",
    [
        unready_pair(),  # 2-3
        (objects.class_(), *cluster_role.ready_pair()),  # 2-4, 2-14, 3-3
        (
            objects.class_(),
            objects.given_snapshot(
                status=objects.changed(FULL, bound_volume_snapshot_content_name="content")
            ),
            objects.given_content(
                metadata__finalizers=(names.CONTENT_FINALIZER,),
                spec__volume_snapshot_ref__uid="uid-1",
                status=objects.STATUS,
            ),
        ),
    ],
)
async def test_what_stands_as_it_should_is_not_written_again(pair: tuple[wire.Object, ...]) -> None:
    cluster = cluster_role.Cluster(*pair)
    assert await cluster.settle() == []
    for each in pair:
        cluster.change(each.key)  # a new version in which nothing is new
    assert await cluster.settle() == []
    assert cluster.reads == []


async def test_a_snapshot_becomes_ready_with_its_content() -> None:  # 2-5
    cluster = cluster_role.Cluster(*unready_pair())
    assert await cluster.settle() == []
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    assert await cluster.settle() == [
        "publishes snap",
        "says SnapshotCreated of snap",
        "says SnapshotReady of snap",
        "releases claim",
    ]
    assert cluster.snapshot().status == FULL
    assert [each.message for each in cluster.events] == [
        "Snapshot ns/snap was successfully created by the CSI driver.",
        "Snapshot ns/snap is ready to use.",
    ]


async def test_a_slow_snapshot_is_told_as_cut_first_and_as_ready_later() -> None:
    cluster = cluster_role.Cluster(*unready_pair())
    cut = msgspec.structs.replace(objects.STATUS, ready_to_use=False)
    cluster.change(cluster_role.CONTENT, status=cut)
    assert await cluster.settle() == ["publishes snap", "says SnapshotCreated of snap"]
    assert not cluster.snapshot().ready
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    assert await cluster.settle() == [
        "publishes snap",
        "says SnapshotReady of snap",
        "releases claim",
    ]


async def test_a_ready_snapshot_is_not_told_ready_twice_after_a_conflict() -> None:
    """Upstream announces before it writes, so a conflict doubles the Event."""
    cluster = cluster_role.Cluster(*unready_pair())
    await cluster.settle()
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    cluster.fail(intents.PublishStatus, errors.Conflict("409"))
    assert await cluster.settle() == ["publishes snap, in vain"]
    await cluster.retry()
    reasons = [each.reason for each in cluster.events]
    assert reasons == ["SnapshotCreated", "SnapshotReady"]


async def test_a_status_that_was_written_though_the_answer_was_lost_is_not_written_twice() -> None:
    cluster = cluster_role.Cluster(*unready_pair())
    await cluster.settle()
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    cluster.fail(intents.PublishStatus, errors.Unavailable("lost"), done=True)
    assert await cluster.settle() == ["publishes snap", "releases claim"]
    assert cluster.snapshot().ready
    assert await cluster.retry() == []


@pytest.mark.parametrize("error", [REFUSED, errors.Invalid("restoreSize: Invalid value")])
async def test_a_status_that_is_refused_is_announced(
    error: errors.SnapshotdError,
) -> None:  # 2-8, 2-9
    cluster = cluster_role.Cluster(*unready_pair())
    await cluster.settle()
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    cluster.fail(intents.PublishStatus, error)
    assert await cluster.settle() == [
        "publishes snap, in vain",
        "says SnapshotStatusUpdateFailed of snap",
    ]
    assert cluster.events[-1].message == f"Failed to update the status of the snapshot: {error}"
    assert cluster.failed == {cluster_role.SNAPSHOT: error}
    assert (await cluster.retry())[0] == "publishes snap"


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (None, ["SnapshotCreated", "SnapshotReady"]),  # 4-1, 8-1
        (snapshots.VolumeSnapshotStatus(), ["SnapshotCreated", "SnapshotReady"]),
        (objects.changed(FULL, bound_volume_snapshot_content_name=None), []),  # 4-2
        (objects.changed(FULL, creation_time=None), ["SnapshotCreated"]),  # 4-3
        (objects.changed(FULL, ready_to_use=None), ["SnapshotReady"]),  # 4-4
        (objects.changed(FULL, restore_size=None), []),
        (objects.changed(FULL, restore_size="0"), []),
        (objects.changed(FULL, error=ERROR), []),
        (objects.changed(FULL, error=ERROR, ready_to_use=False), ["SnapshotReady"]),  # 6-2, 8-3
    ],
)
async def test_a_status_is_rebuilt_from_its_content(
    status: snapshots.VolumeSnapshotStatus | None, told: list[str]
) -> None:
    cluster = cluster_role.Cluster(objects.snapshot(status=status), objects.ready_content())
    assert await cluster.settle() == ["publishes snap", *(f"says {each} of snap" for each in told)]
    assert cluster.snapshot().status == FULL


@pytest.mark.parametrize(
    ("said", "known", "expected"),
    [
        (None, ERROR, "mock error"),  # 6-1, 6-3
        (ERROR, None, None),  # 6-2
        (objects.changed(ERROR, message="older"), ERROR, "mock error"),
        (None, None, None),  # 6-4
        (ERROR, objects.changed(ERROR, time="2026-01-01T09:00:00Z"), "mock error"),
    ],
)
async def test_an_error_follows_the_contents(
    said: snapshots.SnapshotError | None,
    known: snapshots.SnapshotError | None,
    expected: str | None,
) -> None:
    cluster = cluster_role.Cluster(
        objects.claim(),
        objects.snapshot(status=objects.changed(BOUND, error=said)),
        objects.content(status=objects.changed(UNREADY, error=known)),
    )
    changed = (said.message if said else None) != expected
    assert await cluster.settle() == (["publishes snap"] if changed else [])
    assert cluster.error() == expected
    assert cluster.events == []  # beside the driver it was announced already


@pytest.mark.parametrize(
    ("content", "reason", "told"),
    [
        (None, "SnapshotContentMissing", "snapcontent-uid-1 is gone"),  # 3-1, 3-2
        (  # 3-4
            objects.ready_content(spec__volume_snapshot_ref__uid="another"),
            "SnapshotMisbound",
            "snapcontent-uid-1 refers to ns/snap another",
        ),
        (  # 3-5
            objects.ready_content(spec__volume_snapshot_ref__name="other"),
            "SnapshotMisbound",
            "snapcontent-uid-1 refers to ns/other uid-1",
        ),
    ],
)
async def test_a_ready_snapshot_that_lost_its_content_is_not_ready_any_more(
    content: snapshots.VolumeSnapshotContent | None, reason: str, told: str
) -> None:
    held = (content,) if content else ()
    cluster = cluster_role.Cluster(*cluster_role.source(), objects.ready_snapshot(), *held)
    done = await cluster.settle()
    assert [each for each in done if "claim" not in each] == [
        "publishes snap",
        f"says {reason} of snap",
    ]
    assert told in str(cluster.error())
    assert not cluster.snapshot().ready
    status = cluster.snapshot().status
    assert status is not None
    assert status.bound_volume_snapshot_content_name == "snapcontent-uid-1"
    assert status.creation_time == FULL.creation_time if FULL else None


async def test_a_given_snapshot_that_lost_its_content_is_ready_again_when_it_is_made_anew() -> None:
    # 3-6, 8-2
    status = objects.changed(FULL, bound_volume_snapshot_content_name="content")
    cluster = cluster_role.Cluster(objects.given_snapshot(status=status))
    assert await cluster.settle() == ["publishes snap", "says SnapshotContentMissing of snap"]
    assert "make it again for the same snapshotHandle" in str(cluster.error())
    cluster.put(objects.given_content(status=objects.STATUS))
    assert await cluster.settle() == [
        "binds content",
        "publishes snap",
        "says SnapshotReady of snap",
    ]
    assert cluster.error() is None


async def test_a_content_that_goes_before_our_eyes_is_missed() -> None:
    cluster = cluster_role.Cluster(*cluster_role.ready_pair())
    await cluster.settle()
    cluster.vanish(cluster_role.CONTENT)
    assert await cluster.settle() == ["publishes snap", "says SnapshotContentMissing of snap"]


async def test_a_class_that_goes_leaves_ready_snapshots_alone() -> None:  # 9-1
    cluster = cluster_role.Cluster(objects.class_(), *cluster_role.ready_pair())
    await cluster.settle()
    cluster.delete(cluster_role.CLASS)
    assert await cluster.settle() == []
    cluster.change(cluster_role.SNAPSHOT)
    assert await cluster.settle() == []
    assert cluster.snapshot().status == FULL


async def test_a_class_that_goes_leaves_a_snapshot_that_has_its_content_alone() -> None:
    cluster = cluster_role.Cluster(*unready_pair())
    await cluster.settle()
    cluster.delete(cluster_role.CLASS)
    assert await cluster.settle() == []
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    assert "says SnapshotReady of snap" in await cluster.settle()
