"""A content made by a former leader's last request, after its snapshot was let go without one."""

import cluster_role
import objects
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import names

MARKED = {names.BEING_DELETED_ANNOTATION: names.MARK}


async def let_go(*finalizers: str) -> cluster_role.Cluster:
    """Return a controller that let a snapshot go when there was no content."""
    snapshot = objects.snapshot(metadata__finalizers=(*objects.BOTH, *finalizers))
    cluster = cluster_role.Cluster(snapshot)
    cluster.delete(cluster_role.SNAPSHOT)
    assert await cluster.settle() == ["releases snap"]
    return cluster


async def test_a_content_that_comes_too_late_is_deleted() -> None:
    cluster = await let_go()
    cluster.put(objects.content())
    assert await cluster.settle() == ["marks snapcontent-uid-1", "deletes snapcontent-uid-1"]
    assert cluster.content().metadata.annotations == MARKED
    assert cluster.content().metadata.deleting
    assert cluster.events == []
    cluster.vanish(cluster_role.CONTENT)
    assert await cluster.settle() == []


async def test_it_is_deleted_though_another_still_holds_the_snapshot() -> None:
    cluster = await let_go("x/y")
    cluster.put(objects.content())
    assert await cluster.settle() == ["marks snapcontent-uid-1", "deletes snapcontent-uid-1"]


async def test_one_that_is_to_be_retained_is_marked_alone() -> None:
    cluster = await let_go()
    cluster.put(objects.content(spec__deletion_policy=names.RETAIN))
    assert await cluster.settle() == ["marks snapcontent-uid-1"]
    assert not cluster.content().metadata.deleting


@pytest.mark.parametrize(
    "content",
    [
        objects.ready_content(),
        objects.content(spec__volume_snapshot_ref__uid="another"),
        objects.content(metadata__name="snapcontent-uid-2"),
        objects.given_content(
            metadata__finalizers=(names.CONTENT_FINALIZER,), spec__volume_snapshot_ref__uid="uid-1"
        ),
    ],
)
async def test_a_content_that_may_be_wanted_is_left_alone(content: object) -> None:
    cluster = await let_go()
    assert isinstance(content, type(objects.content()))
    cluster.put(content)
    assert await cluster.settle() == []


async def test_a_given_content_made_for_the_next_snapshot_of_the_name_is_left_alone() -> None:
    """A content made by hand may follow at once: its name says nothing about whose it is."""
    cluster = cluster_role.Cluster(objects.given_snapshot())
    cluster.delete(cluster_role.SNAPSHOT)
    await cluster.settle()
    cluster.put(
        objects.given_content(
            metadata__finalizers=(names.CONTENT_FINALIZER,), spec__volume_snapshot_ref__uid="uid-1"
        )
    )
    assert await cluster.settle() == []


async def test_a_successor_that_did_not_see_it_leaves_the_content_alone() -> None:
    """A content whose snapshot is merely missing is never deleted."""
    cluster = await let_go()
    cluster.put(objects.content())
    successor = cluster_role.Cluster(api=cluster.api)
    assert await successor.settle() == []
    assert not successor.content().metadata.deleting


async def test_a_snapshot_that_was_not_let_go_after_all_counts_for_nothing() -> None:
    cluster = cluster_role.Cluster(objects.snapshot())
    cluster.delete(cluster_role.SNAPSHOT)
    cluster.fail(intents.UpdateMetadata, errors.Conflict("409"), times=-1)
    assert await cluster.settle() == ["releases snap, in vain"]
    cluster.put(objects.content())
    cluster.heal()
    # The snapshot is still there: it is its own content that it takes along.
    assert await cluster.settle() == ["marks snapcontent-uid-1", "deletes snapcontent-uid-1"]
    cluster.vanish(cluster_role.CONTENT)
    assert await cluster.settle() == ["releases snap"]


async def test_a_deletion_of_it_that_fails_is_tried_again() -> None:
    cluster = await let_go()
    cluster.fail(intents.DeleteContent, errors.Conflict("409"), times=2)
    cluster.put(objects.content())
    await cluster.settle()
    assert isinstance(cluster.failed[cluster_role.CONTENT], errors.Conflict)
    assert await cluster.retry() == ["deletes snapcontent-uid-1"]


async def test_one_that_the_driver_makes_ready_after_its_mark_is_deleted_all_the_same() -> None:
    cluster = await let_go()
    cluster.fail(intents.DeleteContent, errors.Conflict("409"), times=2)
    cluster.put(objects.content())
    await cluster.settle()
    cluster.change(cluster_role.CONTENT, status=objects.STATUS)
    assert await cluster.settle() == ["deletes snapcontent-uid-1"]


async def test_a_content_seen_to_go_needs_no_question() -> None:
    """What was made for one snapshot can be made again by nobody: its going is remembered."""
    cluster = cluster_role.Cluster(*cluster_role.ready_pair())
    cluster.delete(cluster_role.SNAPSHOT)
    await cluster.settle()
    cluster.vanish(cluster_role.CONTENT)
    assert await cluster.settle() == ["releases snap"]
    assert cluster.reads == []
