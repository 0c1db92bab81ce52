"""The process dies at each point of a group's making and end, and the next one goes on.

Each row is a story and the points it passes, in order; it is played once for each of them.
"""

import dataclasses

import dying
import grpc
import objects
import pytest
import simulated
from beside_driver import GroupStory

CUT = ["before CreateGroupSnapshot", "after CreateGroupSnapshot"]
ASKED = ["before CheckGroupSnapshot", "after CheckGroupSnapshot"]
DELETED = ["before DeleteGroupSnapshot", "after DeleteGroupSnapshot"]
NAME = "groupsnapshot-uid-7"


PLANS = dying.plans(CUT, ASKED)
each_point = pytest.mark.parametrize(
    ("plan", "at"),
    [(plan, at) for plan in PLANS for at in range(len(plan.points))],
    ids=dying.name_of,
)


async def begin(story: GroupStory, plan: dying.Plan, at: int | None) -> None:
    await dying.begin(story, plan, call="CreateVolumeGroupSnapshot", at=at)
    story.api.put(objects.group_content())


def nothing_is_left(story: GroupStory) -> bool:
    return not story.driver.groups and not story.driver.kept


@pytest.mark.parametrize("plan", PLANS, ids=dying.name_of)
async def test_these_are_the_points_that_a_process_passes(
    grouped: GroupStory, plan: dying.Plan
) -> None:
    await begin(grouped, plan, None)
    assert await dying.through(grouped, lambda: grouped.content().ready) == 0
    assert grouped.points.passed == plan.points


@each_point
async def test_a_group_is_made_once_wherever_the_process_dies(
    grouped: GroupStory, plan: dying.Plan, at: int
) -> None:
    await begin(grouped, plan, at)
    died = await dying.through(grouped, lambda: grouped.content().ready and not grouped.marked())
    assert died == 1
    assert grouped.content().handle == f"{NAME}#1"
    assert grouped.content().member_handles == (f"{NAME}#1/vol-a", f"{NAME}#1/vol-b")
    assert grouped.problem() == ""
    assert grouped.driver.made == [NAME]


@each_point
async def test_a_deletion_leaves_no_member_wherever_the_process_died_before(
    grouped: GroupStory, plan: dying.Plan, at: int
) -> None:
    """The group is deleted while no sidecar runs: the next one knows the objects alone."""
    await begin(grouped, plan, at)
    try:
        await grouped.settle()
        await grouped.look()
        await grouped.look()
    except simulated.Crash:
        pass
    grouped.mark_for_deletion()
    grouped.api.delete(grouped.about)
    await grouped.start()
    await dying.through(grouped, grouped.gone)
    assert nothing_is_left(grouped)
    assert len(grouped.driver.made) <= 1


@dataclasses.dataclass(frozen=True)
class End:
    """How the group was before its deletion, and the points of that."""

    name: str
    points: list[str]


ENDS = [
    End("ready", DELETED + dying.PATCHED),
    End("lost", CUT + dying.TOLD + DELETED + dying.PATCHED),
    End("part", DELETED + CUT + dying.TOLD + DELETED + dying.PATCHED),
    End("nameless", CUT + dying.TOLD + DELETED + dying.PATCHED),
]


async def to_be_deleted(story: GroupStory, end: End) -> None:
    """Have a group that is ready, was lost, or was told of in part or without a member."""
    await story.start()
    if end.name == "lost":
        story.driver.fail("CreateVolumeGroupSnapshot", grpc.StatusCode.UNAVAILABLE, done=True)
    untold = {"part": {"vol-b"}, "nameless": {"vol-a", "vol-b"}}
    story.driver.untold = untold.get(end.name, set())
    await story.add(objects.group_content())
    story.driver.untold = set()
    assert story.content().ready is (end.name == "ready")
    story.points.passed.clear()


@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.name)
async def test_these_are_the_points_of_a_deletion(grouped: GroupStory, end: End) -> None:
    await to_be_deleted(grouped, end)
    await grouped.delete()
    assert grouped.gone()
    assert grouped.points.passed == end.points


@pytest.mark.parametrize(
    ("end", "at"),
    [(end, at) for end in ENDS for at in range(len(end.points))],
    ids=lambda value: value.name if isinstance(value, End) else str(value),
)
async def test_a_deletion_leaves_no_member_wherever_the_process_dies_in_it(
    grouped: GroupStory, end: End, at: int
) -> None:
    await to_be_deleted(grouped, end)
    grouped.points.dies_at = at
    try:
        await grouped.delete()
        died = 0
    except simulated.Crash:
        died = 1
        await grouped.start()
    died += await dying.through(grouped, grouped.gone)
    assert died == 1
    assert nothing_is_left(grouped)
