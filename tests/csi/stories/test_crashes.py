"""The process dies at each point between its calls and writes, and the next one goes on.

Each row is a story and the points it passes, in order; it is played once for each of them.
"""

import dying
import grpc
import objects
import pytest
import simulated
from beside_driver import Story

from snapshotd.model import names

CUT = ["before CreateSnapshot", "after CreateSnapshot"]
DELETED = ["before DeleteSnapshot", "after DeleteSnapshot"]


PLANS = dying.plans(CUT, CUT)
each_point = pytest.mark.parametrize(
    ("plan", "at"),
    [(plan, at) for plan in PLANS for at in range(len(plan.points))],
    ids=dying.name_of,
)


async def begin(story: Story, plan: dying.Plan, at: int | None) -> None:
    await dying.begin(story, plan, call="CreateSnapshot", at=at)
    story.api.put(objects.content())


@pytest.mark.parametrize("plan", PLANS, ids=dying.name_of)
async def test_these_are_the_points_that_a_process_passes(story: Story, plan: dying.Plan) -> None:
    await begin(story, plan, None)
    assert await dying.through(story, lambda: story.content().ready) == 0
    assert story.points.passed == plan.points


@each_point
async def test_a_snapshot_is_made_once_wherever_the_process_dies(
    story: Story, plan: dying.Plan, at: int
) -> None:
    await begin(story, plan, at)
    died = await dying.through(story, lambda: story.content().ready and not story.marked())
    assert died == 1
    status = story.content().status
    assert status is not None
    assert status.snapshot_handle == "snapshot-uid-1#1"
    assert status.error is None
    assert story.driver.made == ["snapshot-uid-1"]
    assert list(story.driver.kept) == ["snapshot-uid-1#1"]


@each_point
async def test_a_deletion_leaves_nothing_wherever_the_process_died_before(
    story: Story, plan: dying.Plan, at: int
) -> None:
    """The snapshot is deleted while no sidecar runs: the next one knows the objects alone."""
    await begin(story, plan, at)
    try:
        await story.settle()
        await story.look()
        await story.look()
    except simulated.Crash:
        pass
    marks = {**story.content().metadata.annotations, names.BEING_DELETED_ANNOTATION: names.MARK}
    story.api.put(objects.changed(story.content(), metadata__annotations=marks))
    story.api.delete(story.content().key)
    await story.start()
    await dying.through(story, story.gone)
    assert story.driver.kept == {}
    assert len(story.driver.made) <= 1


@pytest.mark.parametrize(
    ("lost", "points"),
    [(False, DELETED + dying.PATCHED), (True, CUT + dying.TOLD + DELETED + dying.PATCHED)],
)
async def test_these_are_the_points_of_a_deletion(
    *, story: Story, lost: bool, points: list[str]
) -> None:
    await to_be_deleted(story, lost=lost)
    story.points.passed.clear()
    await story.delete()
    assert story.gone()
    assert story.points.passed == points


@pytest.mark.parametrize(
    ("lost", "at"), [(False, at) for at in range(4)] + [(True, at) for at in range(8)]
)
async def test_a_deletion_leaves_nothing_wherever_the_process_dies_in_it(
    *, story: Story, lost: bool, at: int
) -> None:
    await to_be_deleted(story, lost=lost)
    story.points.passed.clear()
    story.points.dies_at = at
    try:
        await story.delete()
        died = 0
    except simulated.Crash:
        died = 1
        await story.start()
    died += await dying.through(story, story.gone)
    assert died == 1
    assert story.driver.kept == {}


async def to_be_deleted(story: Story, *, lost: bool) -> None:
    """Have a content that is ready, or one whose answer was lost."""
    if lost:
        story.driver.fail("CreateSnapshot", grpc.StatusCode.UNAVAILABLE, done=True)
    await story.start()
    await story.add(objects.content())
    assert story.content().ready is not lost
