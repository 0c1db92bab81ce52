"""Scenario soak: a steady rate for minutes; memory and latency must be flat.

Every snapshot is deleted as soon as it is ready, so that what grows is not what is there.
"""

import dataclasses
import time

import anyio

from benchmarks import figures, lives, objects, processes, results, scene, subjects

_NAMESPACE = "benchmark-soak"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    subjects: tuple[subjects.Subject, ...]
    rate: float  # snapshots a second
    minutes: float
    slices: int = 10  # into which the time is cut; first and last are compared
    claims: int = 100


async def run(stand: scene.Scene, plan: Plan) -> list[results.Result]:
    """Run every subject once; each slice of time is a round in the result."""
    await stand.namespace(_NAMESPACE, plan.claims)
    found = []
    for subject in plan.subjects:
        stand.show.say(f"{subject.name}: {plan.rate:g} a second for {plan.minutes:g} minutes")
        with subjects.running(stand.stage, subject) as running:
            slices = await _Soak(stand, plan).run(running)
        for number, told in enumerate(slices):
            found.append(results.Result(subject.name, 0, number, told))
            stand.show.say(f"  {results.brief(told)}")
        drift = {
            f"last to first: {name}": slices[-1][name] / slices[0][name]
            for name in slices[0]
            if slices[0][name]
        }
        found.append(results.Result(subject.name, 1, 0, drift))
    return found


class _Soak:
    """One subject's minutes."""

    def __init__(self, stand: scene.Scene, plan: Plan) -> None:
        self._scene = stand
        self._plan = plan
        self._lives = lives.Lives(stand.api, _NAMESPACE)
        self._number = 0

    async def run(self, running: dict[str, subjects.Running]) -> list[dict[str, float]]:
        """Return the figures of each slice."""
        found = []
        pids = {name: each.pid for name, each in running.items()}
        async with anyio.create_task_group() as group:
            await group.start(self._lives.watch)
            await self._scene.warm(self._lives, objects.claim_name(0))
            with self._scene.show.step("slices", self._plan.slices) as tick:
                for _ in range(self._plan.slices):
                    used = sum(processes.cpu_of(pids).values())
                    told, count = await self._slice()
                    cpu = sum(processes.cpu_of(pids).values()) - used
                    told["both CPU ms each"] = cpu / count * 1000
                    for name, pid in pids.items():
                        told[f"resident {name} MB"] = processes.resident_megabytes(pid)
                    found.append(told)
                    tick()
            group.cancel_scope.cancel()
        return found

    async def _slice(self) -> tuple[dict[str, float], int]:
        """Ask at the rate for one slice of time, and wait for what was asked."""
        self._lives.forget()
        seconds = self._plan.minutes * 60 / self._plan.slices
        count = max(1, round(seconds * self._plan.rate))
        began = time.perf_counter()
        with anyio.fail_after(seconds + self._scene.options.patience):
            async with anyio.create_task_group() as group:
                for number in range(count):
                    due = began + number / self._plan.rate
                    await anyio.sleep(max(0.0, due - time.perf_counter()))
                    self._number += 1
                    group.start_soon(self._live, f"soak-{self._number}")
        known = self._lives.all.values()
        told = figures.latencies("to ready", [each.ready - each.asked for each in known])
        told |= figures.latencies("to gone", [each.gone - each.deleted for each in known])
        return told, count

    async def _live(self, name: str) -> None:
        life = await self._lives.ask(name, objects.claim_name(self._number % self._plan.claims))
        await life.is_ready.wait()
        await self._lives.delete(name)
        await life.is_gone.wait()
