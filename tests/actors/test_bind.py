"""A snapshot and a content that are to become a pair, or turn out not to be one.

Reference: pkg/common-controller/snapshot_update_test.go, what concerns binding.
"""

import cluster_role
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import meta, names, snapshots

BOUND = {
    "metadata__finalizers": (names.CONTENT_FINALIZER,),
    "spec__volume_snapshot_ref__uid": "uid-1",
}
REFUSED = errors.Refused("admission webhook said no")
BOUND_STATUS = snapshots.VolumeSnapshotStatus(
    bound_volume_snapshot_content_name="snapcontent-uid-1", ready_to_use=False
)


def named_class() -> snapshots.VolumeSnapshotSpec:
    source = snapshots.VolumeSnapshotSource(volume_snapshot_content_name="content")
    return snapshots.VolumeSnapshotSpec(source, "gold")


async def test_a_given_pair_is_tied_and_becomes_ready_in_three_writes() -> None:  # 2-6
    cluster = cluster_role.Cluster(
        cluster_role.new_given(), objects.given_content(status=objects.STATUS)
    )
    assert await cluster.settle() == [
        "prepares snap",
        "binds content",
        "publishes snap",
        "says SnapshotCreated of snap",
        "says SnapshotReady of snap",
    ]
    content = cluster.content("content")
    assert content.spec.volume_snapshot_ref.uid == "uid-1"
    assert content.spec.volume_snapshot_class_name is None
    assert content.metadata.finalizers == (names.CONTENT_FINALIZER,)
    assert cluster.snapshot().status == objects.changed(
        objects.ready_snapshot().status, bound_volume_snapshot_content_name="content"
    )
    assert cluster.snapshot().metadata.finalizers == objects.BOTH


async def test_a_given_pair_of_policy_retain_leaves_out_the_bound_protection() -> None:
    kept = objects.given_content(status=objects.STATUS, spec__deletion_policy=names.RETAIN)
    cluster = cluster_role.Cluster(cluster_role.new_given(), kept)
    await cluster.settle()
    assert cluster.snapshot().ready
    assert cluster.snapshot().metadata.finalizers == (names.SNAPSHOT_SOURCE_FINALIZER,)


async def test_a_given_pair_that_is_tied_is_not_tied_again() -> None:
    """Upstream patches a pair without a class at every sync."""
    cluster = cluster_role.Cluster(
        cluster_role.new_given(), objects.given_content(**BOUND, status=objects.STATUS)
    )
    done = await cluster.settle()
    assert not any(each.startswith("binds") for each in done)


async def test_a_class_that_only_the_snapshot_names_is_told_to_the_content() -> None:  # 2-11
    cluster = cluster_role.Cluster(
        objects.class_(), cluster_role.new_given(spec=named_class()), objects.given_content()
    )
    assert "binds content" in await cluster.settle()
    assert cluster.content("content").spec.volume_snapshot_class_name == "gold"


async def test_a_class_that_the_content_has_is_left_alone() -> None:
    own = objects.given_content(spec__volume_snapshot_class_name="own")
    cluster = cluster_role.Cluster(
        objects.class_(), cluster_role.new_given(spec=named_class()), own
    )
    await cluster.settle()
    assert cluster.content("content").spec.volume_snapshot_class_name == "own"


async def test_a_given_snapshot_needs_no_class_to_exist() -> None:
    cluster = cluster_role.Cluster(
        cluster_role.new_given(spec=named_class()), objects.given_content(status=objects.STATUS)
    )
    await cluster.settle()
    assert cluster.snapshot().ready


async def test_a_given_snapshot_waits_for_its_content_and_is_bound_when_that_comes() -> None:
    cluster = cluster_role.Cluster(cluster_role.new_given())
    assert await cluster.settle() == ["publishes snap", "says SnapshotContentMissing of snap"]
    assert cluster.error() == "VolumeSnapshotContent is missing: nobody has made content yet"
    assert cluster.failed == {}

    cluster.put(objects.given_content(status=objects.STATUS))
    assert (await cluster.settle())[-1] == "says SnapshotReady of snap"
    assert cluster.error() is None


async def test_a_given_content_waits_for_its_snapshot_and_carries_nothing_of_ours() -> None:
    cluster = cluster_role.Cluster(objects.given_content())
    assert await cluster.settle() == []
    cluster.put(cluster_role.new_given())
    assert await cluster.settle() == ["prepares snap", "binds content", "publishes snap"]


async def test_a_tie_that_is_refused_is_told_on_the_snapshot() -> None:  # 2-12
    cluster = cluster_role.Cluster(
        cluster_role.new_given(), objects.given_content(status=objects.STATUS)
    )
    cluster.fail(intents.BindContent, REFUSED, times=2)
    assert await cluster.settle() == [
        "prepares snap",
        "binds content, in vain",
        "publishes snap",
        "says SnapshotBindFailed of snap",
        "binds content, in vain",
    ]
    assert cluster.error() == (
        "Snapshot failed to bind VolumeSnapshotContent content: admission webhook said no"
    )
    assert cluster.failed == {cluster_role.SNAPSHOT: REFUSED}

    assert (await cluster.retry())[:2] == ["binds content", "publishes snap"]
    assert cluster.snapshot().ready
    assert cluster.error() is None


async def test_a_tie_that_lost_a_race_is_tried_again_without_a_word() -> None:
    cluster = cluster_role.Cluster(
        cluster_role.new_given(), objects.given_content(status=objects.STATUS)
    )
    cluster.fail(intents.BindContent, errors.Conflict("409"), times=2)
    await cluster.settle()
    assert cluster.events == []
    assert (await cluster.retry())[0] == "binds content"


@pytest.mark.parametrize(
    ("snapshot", "content", "reason", "told"),
    [
        (  # 2-2
            cluster_role.new_snapshot(),
            objects.content(spec__volume_snapshot_ref__name="other"),
            "SnapshotContentMisbound",
            "is bound to a different snapshot: ns/other uid-1",
        ),
        (  # 2-10
            cluster_role.new_given(),
            objects.given_content(
                metadata__finalizers=(names.CONTENT_FINALIZER,),
                spec__volume_snapshot_ref__uid="another",
            ),
            "SnapshotContentMisbound",
            "is bound to a different snapshot: ns/snap another",
        ),
        (  # 2-13
            cluster_role.new_snapshot(status=BOUND_STATUS),
            objects.content(
                spec__source=snapshots.VolumeSnapshotContentSource(snapshot_handle="h")
            ),
            "SnapshotContentMismatch",
            "is pre-provisioned while expecting a dynamically provisioned one",
        ),
        (
            cluster_role.new_given(),
            objects.given_content(
                spec__source=snapshots.VolumeSnapshotContentSource(volume_handle="v")
            ),
            "SnapshotContentMismatch",
            "is dynamically provisioned while expecting a pre-provisioned one",
        ),
        (
            cluster_role.new_given(),
            objects.given_content(
                metadata__deletion_timestamp=objects.NOW_TEXT, metadata__finalizers=("x/y",)
            ),
            "SnapshotContentMissing",
            "is being deleted",
        ),
    ],
)
async def test_a_content_that_is_not_its_own_is_told_and_not_touched(
    snapshot: snapshots.VolumeSnapshot,
    content: snapshots.VolumeSnapshotContent,
    reason: str,
    told: str,
) -> None:
    cluster = cluster_role.Cluster(*cluster_role.source(), snapshot, content)
    before = cluster.api.objects[content.key]
    done = await cluster.settle()
    assert [each for each in done if "claim" not in each] == [
        "publishes snap",
        f"says {reason} of snap",
    ]
    assert told in str(cluster.error())
    assert cluster.api.objects[content.key] == before


async def test_a_content_taken_by_another_is_followed_once_it_is_free() -> None:
    cluster = cluster_role.Cluster(
        cluster_role.new_given(), objects.given_content(spec__volume_snapshot_ref__uid="another")
    )
    await cluster.settle()
    cluster.change(
        cluster_role.GIVEN,
        spec__volume_snapshot_ref=meta.ObjectReference(namespace="ns", name="snap"),
    )
    assert "binds content" in await cluster.settle()
    assert cluster.error() is None


async def test_a_snapshot_bound_to_a_content_that_is_not_there_is_told_after_asking() -> None:
    # 2-1, 8-1: upstream makes the content again, another point in time under the old name
    cluster = cluster_role.Cluster(
        *cluster_role.source(), cluster_role.new_snapshot(status=BOUND_STATUS)
    )
    assert await cluster.settle() == [
        "guards claim",
        "publishes snap",
        "says SnapshotContentMissing of snap",
    ]
    assert set(cluster.reads) == {cluster_role.CONTENT}
    assert "it is not cut again" in str(cluster.error())
    assert cluster.api.all_of(snapshots.VolumeSnapshotContent) == []


async def test_a_content_that_only_our_watch_has_not_seen_is_not_missed() -> None:
    cluster = cluster_role.Cluster(
        *cluster_role.source(), cluster_role.new_snapshot(status=BOUND_STATUS)
    )
    cluster.deaf.add(cluster_role.CONTENT.kind)
    cluster.put(objects.content())
    done = await cluster.settle()
    assert not any(each.startswith("says") for each in done)
    assert cluster.reads == [cluster_role.CONTENT]


@pytest.mark.parametrize("finalizers", [(), ("x/y",)])
async def test_a_bound_content_gets_the_finalizer_that_it_lacks(
    finalizers: tuple[str, ...],
) -> None:  # 5-1
    content = objects.ready_content(metadata__finalizers=finalizers)
    cluster = cluster_role.Cluster(objects.ready_snapshot(), content)
    assert await cluster.settle() == ["guards snapcontent-uid-1"]
    assert cluster.content().metadata.finalizers == (*finalizers, names.CONTENT_FINALIZER)


async def test_a_contents_finalizer_that_is_refused_is_tried_again() -> None:  # 5-2
    cluster = cluster_role.Cluster(
        objects.ready_snapshot(), objects.ready_content(metadata__finalizers=())
    )
    cluster.fail(intents.UpdateMetadata, REFUSED)
    assert await cluster.settle() == ["guards snapcontent-uid-1, in vain"]
    assert cluster.failed == {cluster_role.CONTENT: REFUSED}
    assert await cluster.retry() == ["guards snapcontent-uid-1"]


async def test_a_finalizer_that_another_adds_meanwhile_is_kept() -> None:
    """The patch is exact: a version that was not seen makes it fail, and be made anew."""
    cluster = cluster_role.Cluster(
        objects.ready_snapshot(), objects.ready_content(metadata__finalizers=())
    )
    cluster.change(cluster_role.CONTENT, metadata__finalizers=("x/y",))
    await cluster.work(cluster_role.CONTENT)
    assert isinstance(cluster.failed[cluster_role.CONTENT], errors.Conflict)
    assert cluster.read_diary() == ["guards snapcontent-uid-1, in vain"]

    assert await cluster.settle() == ["guards snapcontent-uid-1"]  # the watch woke it
    assert cluster.content().metadata.finalizers == ("x/y", names.CONTENT_FINALIZER)


@pytest.mark.parametrize(
    "source",
    [snapshots.VolumeSnapshotContentSource(), snapshots.VolumeSnapshotContentSource("v", "h")],
)
async def test_a_content_whose_source_is_not_one_is_told(
    source: snapshots.VolumeSnapshotContentSource,
) -> None:
    content = objects.given_content(spec__source=source)
    cluster = cluster_role.Cluster(content)
    assert await cluster.settle() == ["says ContentValidationError of content"]
    assert cluster.events[0].message == (
        "Exactly one of VolumeHandle and SnapshotHandle should be specified"
    )
