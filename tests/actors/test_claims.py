"""The source claim: guarded once for all its snapshots, released once, and let go in good time.

Reference: pkg/common-controller/snapshot_finalizer_test.go; the races are not tested there.
"""

import cluster_role
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import names, snapshots, volumes, wire

REFUSED = errors.Refused("admission webhook said no")
FAILED = snapshots.VolumeSnapshotContentStatus(error=objects.ERROR, ready_to_use=False)
OTHERS = ("kubernetes.io/pvc-protection",)


def some(*which: str) -> list[snapshots.VolumeSnapshot]:
    return [cluster_role.new_snapshot(name) for name in which]


def of_claim(done: list[str]) -> list[str]:
    return [each for each in done if each.split(",")[0].endswith(" claim")]


def answer(cluster: cluster_role.Cluster, name: str) -> None:
    """Have the driver make a snapshot ready."""
    cluster.change(snapshots.content_key(f"snapcontent-uid-{name}"), status=objects.STATUS)


async def test_a_claim_is_guarded_once_for_many_snapshots() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), *some("a", "b", "c"))
    cluster.change(cluster_role.CLAIM, metadata__finalizers=OTHERS)
    done = await cluster.settle()
    assert of_claim(done) == ["guards claim"]
    assert sum(each.startswith("creates") for each in done) == 3
    claim = cluster.api.objects[cluster_role.CLAIM]
    assert claim.metadata.finalizers == (*OTHERS, names.CLAIM_FINALIZER)


async def test_a_claim_is_released_once_when_the_last_snapshot_is_ready() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), *some("a", "b"))
    cluster.change(cluster_role.CLAIM, metadata__finalizers=OTHERS)
    await cluster.settle()
    answer(cluster, "a")
    assert of_claim(await cluster.settle()) == []
    answer(cluster, "b")
    assert of_claim(await cluster.settle()) == ["releases claim"]
    assert cluster.api.objects[cluster_role.CLAIM].metadata.finalizers == OTHERS


async def test_a_claim_that_is_guarded_is_not_guarded_again() -> None:
    class_, _, volume = cluster_role.source()
    cluster = cluster_role.Cluster(class_, objects.claim(), volume, cluster_role.new_snapshot())
    done = await cluster.settle()
    assert of_claim(done) == []
    assert "creates snapcontent-uid-1" in done


@pytest.mark.parametrize(
    "held",
    [(), (objects.ready_snapshot(), objects.ready_content())],
)
async def test_a_claim_that_no_snapshot_needs_is_released(held: tuple[wire.Object, ...]) -> None:
    cluster = cluster_role.Cluster(objects.claim(), *held)
    assert await cluster.settle() == ["releases claim"]
    assert await cluster.settle() == []


async def test_a_claim_that_nobody_guarded_is_left_alone() -> None:
    cluster = cluster_role.Cluster(cluster_role.bare_claim(), *cluster_role.ready_pair())
    assert await cluster.settle() == []


async def test_a_claim_is_released_when_its_only_snapshot_goes_unready() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()
    cluster.delete(cluster_role.SNAPSHOT)
    assert of_claim(await cluster.settle()) == ["releases claim"]


async def test_a_claim_in_use_by_another_snapshot_is_kept_when_one_goes() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), *some("a", "b"))
    await cluster.settle()
    cluster.delete(objects.snapshot(metadata__name="a").key)
    assert of_claim(await cluster.settle()) == []
    assert cluster.guards_claim()


async def test_a_snapshot_of_the_same_name_elsewhere_guards_nothing_here() -> None:
    elsewhere = cluster_role.new_snapshot(metadata__namespace="other")
    cluster = cluster_role.Cluster(cluster_role.bare_claim(), elsewhere)
    assert of_claim(await cluster.settle()) == []


async def test_a_claim_that_goes_is_held_while_the_cut_is_under_way() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()
    cluster.delete(cluster_role.CLAIM)
    assert await cluster.settle() == []
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    assert "releases claim" in await cluster.settle()
    assert cluster_role.CLAIM not in cluster.api.objects
    assert cluster.snapshot().ready


async def test_a_claim_that_goes_is_let_go_once_its_snapshot_has_failed_for_good() -> None:
    """Upstream never lets it go (issue 1305)."""
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()
    cluster.delete(cluster_role.CLAIM)
    cluster.change(cluster_role.CONTENT, status=FAILED)
    assert of_claim(await cluster.settle()) == ["releases claim"]
    assert cluster_role.CLAIM not in cluster.api.objects


async def test_a_claim_that_goes_is_held_while_a_lost_call_is_in_doubt() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()
    cluster.delete(cluster_role.CLAIM)
    cluster.change(
        cluster_role.CONTENT,
        status=FAILED,
        metadata__annotations={names.BEING_CREATED_ANNOTATION: names.MARK},
    )
    assert of_claim(await cluster.settle()) == []
    cluster.change(cluster_role.CONTENT, metadata__annotations={})
    assert of_claim(await cluster.settle()) == ["releases claim"]


async def test_a_claim_that_goes_is_let_go_when_the_content_is_to_go_too() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()
    cluster.delete(cluster_role.CLAIM)
    cluster.delete(cluster_role.CONTENT)
    assert of_claim(await cluster.settle()) == ["releases claim"]


async def test_a_snapshot_that_was_aborted_does_not_hold_a_claim_that_goes() -> None:
    _, *rest = cluster_role.source()  # there is no class, so the snapshot never gets a content
    cluster = cluster_role.Cluster(*rest, cluster_role.new_snapshot())
    await cluster.settle()
    assert cluster.guards_claim()
    cluster.delete(cluster_role.CLAIM)
    assert "releases claim" in await cluster.settle()
    assert cluster_role.CLAIM not in cluster.api.objects


async def test_a_snapshot_that_comes_after_the_claims_deletion_is_not_cut() -> None:
    """Upstream's hangs (issues 349, 418); ours says why."""
    cluster = cluster_role.Cluster(*cluster_role.source())
    cluster.change(cluster_role.CLAIM, metadata__finalizers=OTHERS)
    cluster.delete(cluster_role.CLAIM)
    late = cluster_role.new_snapshot(metadata__creation_timestamp="2026-01-01T01:00:00Z")
    cluster.put(late)
    assert await cluster.settle() == [
        "publishes snap",
        "says SnapshotContentCreationFailed of snap",
    ]
    assert "because it is being deleted" in str(cluster.error())
    assert not cluster.guards_claim()


async def test_a_guard_that_is_refused_is_told_to_every_snapshot_that_waits() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), *some("a", "b"))
    cluster.fail(intents.UpdateMetadata, REFUSED, on="claim", times=-1)
    done = await cluster.settle()
    assert set(done) == {
        "guards claim, in vain",
        "says ErrorPVCFinalizer of a",
        "says ErrorPVCFinalizer of b",
    }
    assert cluster.events[0].message == (
        "Failed to update the protecting finalizer of claim claim: admission webhook said no"
    )
    assert cluster.failed == {cluster_role.CLAIM: REFUSED}

    cluster.heal()
    done = await cluster.retry()
    assert of_claim(done) == ["guards claim"]
    assert sum(each.startswith("creates") for each in done) == 2


async def test_a_guard_that_lost_a_race_is_made_anew_without_a_word() -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    cluster.change(cluster_role.CLAIM, metadata__finalizers=OTHERS)
    await cluster.work(cluster_role.CLAIM)
    assert isinstance(cluster.failed[cluster_role.CLAIM], errors.Conflict)
    done = await cluster.settle()
    assert of_claim(done) == ["guards claim, in vain", "guards claim"]
    assert not any("ErrorPVCFinalizer" in each for each in done)
    claim = cluster.api.objects[cluster_role.CLAIM]
    assert claim.metadata.finalizers == (*OTHERS, names.CLAIM_FINALIZER)


async def test_a_release_that_is_refused_is_tried_again() -> None:  # 7-7
    cluster = cluster_role.Cluster(*cluster_role.source(), cluster_role.new_snapshot())
    await cluster.settle()
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    cluster.fail(intents.UpdateMetadata, REFUSED, on="claim")
    done = await cluster.settle()
    assert of_claim(done) == ["releases claim, in vain"]
    assert cluster.snapshot().ready
    assert of_claim(await cluster.retry()) == ["releases claim"]


async def test_a_claim_that_is_made_anew_under_its_name_is_guarded_anew() -> None:
    _, *rest = cluster_role.source()  # no class yet: the snapshot waits
    cluster = cluster_role.Cluster(*rest, cluster_role.new_snapshot())
    await cluster.settle()
    cluster.vanish(cluster_role.CLAIM)
    await cluster.settle()
    cluster.put(cluster_role.bare_claim(metadata__uid="uid-33"))
    assert of_claim(await cluster.settle()) == ["guards claim"]
    assert isinstance(cluster.api.objects[cluster_role.CLAIM], volumes.PersistentVolumeClaim)
