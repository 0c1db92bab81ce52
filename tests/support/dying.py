"""Stories beside a driver in which the process dies at a point, and the next one goes on."""

import dataclasses
from collections.abc import Callable
from typing import Any

import beside_driver
import grpc
import simulated

TOLD = ["before PublishStatus", "after PublishStatus"]
PATCHED = ["before UpdateMetadata", "after UpdateMetadata"]


@dataclasses.dataclass(frozen=True)
class Plan:
    """What the driver does, and the points that a process passes until the content is ready."""

    name: str
    points: list[str]
    fault: grpc.StatusCode | None = None
    done: bool = False
    looks: int = 0


def plans(cut: list[str], asked: list[str]) -> list[Plan]:
    """Return a plan for each way a cut can go; `cut` and `asked` are the points of the calls."""
    return [
        Plan("fast", cut + TOLD),
        Plan("slow", cut + TOLD + asked + TOLD, looks=1),
        Plan(
            "lost",
            cut + TOLD + PATCHED + cut + TOLD + PATCHED,
            fault=grpc.StatusCode.UNAVAILABLE,
            done=True,
        ),
        Plan("busy", cut + PATCHED + cut + TOLD + PATCHED, fault=grpc.StatusCode.ABORTED),
        Plan("refused", cut + TOLD + cut + TOLD, fault=grpc.StatusCode.INVALID_ARGUMENT),
        Plan("failed", cut + TOLD + cut + TOLD, fault=grpc.StatusCode.INTERNAL, done=True),
    ]


def name_of(value: object) -> str:
    """Return what a plan, or a point of it, is called in a test's name."""
    return value.name if isinstance(value, Plan) else str(value)


async def through(story: beside_driver.Beside[Any], goal: Callable[[], bool]) -> int:
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


async def begin(story: beside_driver.Beside[Any], plan: Plan, *, call: str, at: int | None) -> None:
    """Start with this plan for a call, to die at this point; the content is yet to be made."""
    if plan.fault is not None:
        story.driver.fail(call, plan.fault, done=plan.done)
    story.driver.looks_until_ready = plan.looks
    await story.start()
    story.points.dies_at = at
