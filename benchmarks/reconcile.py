"""Scenario reconcile: N snapshots asked for, ready, deleted, gone; subjects in turns."""

import contextlib
import dataclasses
import time
from collections.abc import Iterator, Sequence

import anyio

from benchmarks import figures, lives, objects, processes, profiling, results, scene, subjects

NAMESPACE = "benchmark-reconcile"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    subjects: tuple[subjects.Subject, ...]
    counts: tuple[int, ...]
    claims: int  # 0: one to one with snapshots
    rounds: int
    closed_loop: bool  # ask for the next only when one is ready
    settled: int  # snapshots that are there before, ready and in another namespace
    profile: bool = False


def turns(plan: Plan) -> Iterator[tuple[int, int, subjects.Subject]]:
    """Yield count, round and subject: in turns, and in the other order every second round."""
    for count in plan.counts:
        for number in range(plan.rounds):
            order = plan.subjects if number % 2 == 0 else tuple(reversed(plan.subjects))
            for subject in order:
                yield count, number, subject


async def run(stand: scene.Scene, plan: Plan) -> list[results.Result]:
    """Run all rounds."""
    claims = plan.claims or max(plan.counts)
    await stand.namespace(NAMESPACE, claims)
    if plan.settled:
        await stand.settled(plan.settled)
    found = []
    for count, number, subject in turns(plan):
        stand.show.say(f"{subject.name}: {count} snapshots, round {number + 1} of {plan.rounds}")
        one = _Round(stand, plan, claims)
        with subjects.running(stand.stage, subject) as running:
            measured, requests = await one.run(running, count)
        found.append(results.Result(subject.name, count, number, measured, requests))
        stand.show.say(f"  {results.brief(measured)}")
    return found


class _Round:
    """One subject, once."""

    def __init__(self, stand: scene.Scene, plan: Plan, claims: int) -> None:
        self._scene = stand
        self._plan = plan
        self._claims = claims
        self._lives = lives.Lives(stand.api, NAMESPACE)

    async def run(
        self, running: dict[str, subjects.Running], count: int
    ) -> tuple[dict[str, float], dict[str, dict[str, float]]]:
        """Return the figures, and the requests per snapshot of each phase."""
        found: dict[str, float] = {}
        requests: dict[str, dict[str, float]] = {}
        async with anyio.create_task_group() as group:
            await group.start(self._lives.watch)
            await self._scene.warm(self._lives, objects.claim_name(0))
            await self._scene.quiet(running)
            names = [f"snap-{number}" for number in range(count)]
            for phase, work in (("ready", self._make), ("gone", self._delete)):
                with self._spied(running, phase):
                    async with scene.measured(self._scene, running) as used:
                        found |= await work(names)
                cost = used()
                found |= cost.figures(phase, count)
                requests[phase] = {w: number / count for w, number in cost.requests.items()}
            found |= _memory(running)
            group.cancel_scope.cancel()
        return found, requests

    def _spied(
        self, running: dict[str, subjects.Running], phase: str
    ) -> contextlib.AbstractContextManager[None]:
        if not self._plan.profile:
            return contextlib.nullcontext()
        folder = self._scene.options.logs / f"profile-{phase}"
        folder.mkdir(exist_ok=True)
        return profiling.profiled(running, folder)

    async def _make(self, names: Sequence[str]) -> dict[str, float]:
        began = time.perf_counter()
        with self._scene.show.step("ready", len(names)) as tick:

            async def ask(number: int) -> None:
                claim = objects.claim_name(number % self._claims)
                life = await self._lives.ask(names[number], claim)
                if self._plan.closed_loop:
                    await life.is_ready.wait()

            with self._scene.patience("all ready"):
                await objects.many(ask, len(names), self._scene.options.concurrency)
                for name in names:
                    await self._lives.all[name].is_ready.wait()
                    tick()
        known = self._lives.all.values()
        seconds = max(each.ready for each in known) - began
        found = {"ready per s": len(names) / seconds}
        found |= figures.latencies("to bound", [each.bound - each.asked for each in known])
        return found | figures.latencies("to ready", [each.ready - each.asked for each in known])

    async def _delete(self, names: Sequence[str]) -> dict[str, float]:
        began = time.perf_counter()
        with self._scene.show.step("gone", len(names)) as tick:

            async def drop(number: int) -> None:
                life = await self._lives.delete(names[number])
                if self._plan.closed_loop:
                    await life.is_gone.wait()

            with self._scene.patience("all gone"):
                await objects.many(drop, len(names), self._scene.options.concurrency)
                for name in names:
                    await self._lives.all[name].is_gone.wait()
                    tick()
        known = self._lives.all.values()
        seconds = max(each.gone for each in known) - began
        found = {"gone per s": len(names) / seconds}
        return found | figures.latencies("to gone", [each.gone - each.deleted for each in known])


def _memory(running: dict[str, subjects.Running]) -> dict[str, float]:
    peaks = {name: processes.peak_megabytes(each.pid) for name, each in running.items()}
    found = {f"peak {name} MB": peak for name, peak in peaks.items()}
    return found | {"peak both MB": sum(peaks.values())}
