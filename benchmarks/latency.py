"""Scenario latency: what one person waits while a backlog of somebody else's is worked off.

One namespace asks for N at once, another for one snapshot now and then: those asked for before the
backlog is done count.
"""

import dataclasses
import time

import anyio

from benchmarks import figures, lives, objects, results, scene, subjects

_FLOOD = "benchmark-flood"
_CALM = "benchmark-calm"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    subjects: tuple[subjects.Subject, ...]
    count: int  # the backlog
    probes: int
    apart: float  # seconds between two probes
    rounds: int
    settled: int = 0


async def run(stand: scene.Scene, plan: Plan) -> list[results.Result]:
    """Run all rounds."""
    await stand.namespace(_FLOOD, plan.count)
    await stand.namespace(_CALM, plan.probes)
    if plan.settled:
        await stand.settled(plan.settled)
    found = []
    for number in range(plan.rounds):
        order = plan.subjects if number % 2 == 0 else tuple(reversed(plan.subjects))
        for subject in order:
            stand.show.say(f"{subject.name}: a backlog of {plan.count}, round {number + 1}")
            with subjects.running(stand.stage, subject) as running:
                told = await _Round(stand, plan).run(running)
            found.append(results.Result(subject.name, plan.count, number, told))
            stand.show.say(f"  {results.brief(told)}")
    return found


class _Round:
    """One subject, once."""

    def __init__(self, stand: scene.Scene, plan: Plan) -> None:
        self._scene = stand
        self._plan = plan
        self._flood = lives.Lives(stand.api, _FLOOD)
        self._calm = lives.Lives(stand.api, _CALM)

    async def run(self, running: dict[str, subjects.Running]) -> dict[str, float]:
        """Return the figures."""
        async with anyio.create_task_group() as group:
            await group.start(self._flood.watch)
            await group.start(self._calm.watch)
            await self._scene.warm(self._calm, objects.claim_name(0))
            await self._scene.quiet(running)
            began = time.perf_counter()
            with self._scene.patience("the backlog"):
                async with anyio.create_task_group() as both:
                    both.start_soon(self._pour)
                    both.start_soon(self._probe)
                for each in [*self._flood.all.values(), *self._calm.all.values()]:
                    await each.is_ready.wait()
            told = self._figures(began)
            await self._clear()
            await self._scene.quiet(running)
            group.cancel_scope.cancel()
        return told

    async def _pour(self) -> None:
        async def ask(number: int) -> None:
            await self._flood.ask(f"flood-{number}", objects.claim_name(number))

        await objects.many(ask, self._plan.count, self._scene.options.concurrency)

    async def _probe(self) -> None:
        with self._scene.show.step("probes", self._plan.probes) as tick:
            for number in range(self._plan.probes):
                await anyio.sleep(self._plan.apart)
                if len(self._flood.all) == self._plan.count and all(
                    each.is_ready.is_set() for each in self._flood.all.values()
                ):
                    return
                await self._calm.ask(f"calm-{number}", objects.claim_name(number))
                tick()

    def _figures(self, began: float) -> dict[str, float]:
        done = max(each.ready for each in self._flood.all.values())
        during = [each for each in self._calm.all.values() if each.asked < done]
        told = figures.latencies("probe", [each.ready - each.asked for each in during])
        told["probes"] = float(len(during))
        told["backlog done after s"] = done - began
        return told

    async def _clear(self) -> None:
        for life in (self._calm, self._flood):
            names = list(life.all)

            async def drop(number: int, life: lives.Lives = life, names: list[str] = names) -> None:
                await life.delete(names[number])

            with self._scene.patience("clearing up"):
                await objects.many(drop, len(names), self._scene.options.concurrency)
                for each in life.all.values():
                    await each.is_gone.wait()
