"""The process dies at each point of a group's making and end, and the next one goes on.

Each row is a story and the points it passes, in order; it is played once for each of them.
"""

import dataclasses
from collections.abc import Callable

import grpc
import objects
import pytest
import simulated
from beside_driver import GroupStory

CUT = ["before CreateGroupSnapshot", "after CreateGroupSnapshot"]
ASKED = ["before CheckGroupSnapshot", "after CheckGroupSnapshot"]
TOLD = ["before PublishStatus", "after PublishStatus"]
PATCHED = ["before UpdateMetadata", "after UpdateMetadata"]
DELETED = ["before DeleteGroupSnapshot", "after DeleteGroupSnapshot"]
NAME = "groupsnapshot-uid-7"


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the driver does, and the points that a process passes until the group is ready."""

    name: str
    points: list[str]
    fault: grpc.StatusCode | None = None
    done: bool = False
    looks: int = 0


PLANS = [
    Plan("fast", CUT + TOLD),
    Plan("slow", CUT + TOLD + ASKED + TOLD, looks=1),
    Plan(
        "lost",
        CUT + TOLD + PATCHED + CUT + TOLD + PATCHED,
        fault=grpc.StatusCode.UNAVAILABLE,
        done=True,
    ),
    Plan("busy", CUT + PATCHED + CUT + TOLD + PATCHED, fault=grpc.StatusCode.ABORTED),
    Plan("refused", CUT + TOLD + CUT + TOLD, fault=grpc.StatusCode.INVALID_ARGUMENT),
    Plan("failed", CUT + TOLD + CUT + TOLD, fault=grpc.StatusCode.INTERNAL, done=True),
]
each_point = pytest.mark.parametrize(
    ("plan", "at"),
    [(plan, at) for plan in PLANS for at in range(len(plan.points))],
    ids=lambda value: value.name if isinstance(value, Plan) else str(value),
)


async def through(story: GroupStory, goal: Callable[[], bool]) -> int:
    """Go on, with a new process for each that dies, until the goal; return how many died."""
    died = 0
    for _ in range(20):
        try:
            await story.settle()
            if goal():
                return died
            await story.look()
        except simulated.Crash:
            died += 1
            await story.start()
    raise AssertionError(story.content())


async def begin(story: GroupStory, plan: Plan, at: int | None) -> None:
    """Start with this plan, to die at this point."""
    if plan.fault is not None:
        story.driver.fail("CreateVolumeGroupSnapshot", plan.fault, done=plan.done)
    story.driver.looks_until_ready = plan.looks
    await story.start()
    story.points.dies_at = at
    story.api.put(objects.group_content())


def nothing_is_left(story: GroupStory) -> bool:
    return not story.driver.groups and not story.driver.kept


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
async def test_these_are_the_points_that_a_process_passes(grouped: GroupStory, plan: Plan) -> None:
    await begin(grouped, plan, None)
    assert await through(grouped, lambda: grouped.content().ready) == 0
    assert grouped.points.passed == plan.points


@each_point
async def test_a_group_is_made_once_wherever_the_process_dies(
    grouped: GroupStory, plan: Plan, at: int
) -> None:
    await begin(grouped, plan, at)
    died = await through(grouped, lambda: grouped.content().ready and not grouped.marked())
    assert died == 1
    assert grouped.content().handle == f"{NAME}#1"
    assert grouped.content().member_handles == (f"{NAME}#1/vol-a", f"{NAME}#1/vol-b")
    assert grouped.problem() == ""
    assert grouped.driver.made == [NAME]


@each_point
async def test_a_deletion_leaves_no_member_wherever_the_process_died_before(
    grouped: GroupStory, plan: Plan, at: int
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
    await through(grouped, grouped.gone)
    assert nothing_is_left(grouped)
    assert len(grouped.driver.made) <= 1


@dataclasses.dataclass(frozen=True)
class End:
    """How the group was before its deletion, and the points of that."""

    name: str
    points: list[str]


ENDS = [
    End("ready", DELETED + PATCHED),
    End("lost", CUT + TOLD + DELETED + PATCHED),
    End("part", DELETED + CUT + TOLD + DELETED + PATCHED),
    End("nameless", CUT + TOLD + DELETED + PATCHED),
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
    died += await through(grouped, grouped.gone)
    assert died == 1
    assert nothing_is_left(grouped)
