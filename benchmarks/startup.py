"""Scenario startup: a cold start over N settled snapshots, with new ones asked for meanwhile.

"Settled" is ready, bound, and left alone; claims and volumes are a twentieth of them. A subject
that tells in its log when its caches are complete is taken at its word.
"""

import dataclasses
import math
import time

import anyio

from benchmarks import figures, lives, objects, processes, results, scene, subjects, waiting

_NEW = "benchmark-fresh"


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    subjects: tuple[subjects.Subject, ...]
    counts: tuple[int, ...]  # of settled snapshots; the server is filled up from one to the next
    rounds: int
    asked: int = 15  # new snapshots
    apart: float = 1.0  # seconds


async def run(stand: scene.Scene, plan: Plan) -> list[results.Result]:
    """Run all rounds, smallest first."""
    await stand.namespace(_NEW, plan.asked)
    found = []
    there = 0
    for count in sorted(plan.counts):
        await stand.settled(count, before=there)
        there = count
        for number in range(plan.rounds):
            order = plan.subjects if number % 2 == 0 else tuple(reversed(plan.subjects))
            for subject in order:
                stand.show.say(f"{subject.name}: cold start with {count}, round {number + 1}")
                told = await _start(stand, plan, subject)
                found.append(results.Result(subject.name, count, number, told))
                stand.show.say(f"  {results.brief(told)}")
    return [*found, *_growth(found)]


async def _start(stand: scene.Scene, plan: Plan, subject: subjects.Subject) -> dict[str, float]:
    life = lives.Lives(stand.api, _NEW)
    synced: dict[str, float] = {}
    async with anyio.create_task_group() as group:
        await group.start(life.watch)
        began = time.perf_counter()
        with subjects.running(stand.stage, subject) as running:
            for name, each in running.items():
                if words := subject.role(name).synced:
                    group.start_soon(_note_synced, each, words, synced)
            with stand.patience("the new snapshots"):
                await _ask(life, plan)
            await stand.quiet(running)
            told = _figures(life, began, synced)
            told |= _memory(running)
            with stand.patience("the new snapshots' end"):
                for name in life.all:
                    gone = await life.delete(name)
                    await gone.is_gone.wait()
        group.cancel_scope.cancel()
    return told


async def _note_synced(running: subjects.Running, words: str, found: dict[str, float]) -> None:
    await waiting.until(lambda: running.says(words), pause=0.02)
    found[running.name] = time.perf_counter()


async def _ask(life: lives.Lives, plan: Plan) -> None:
    for number in range(plan.asked):
        await life.ask(f"fresh-{number}", objects.claim_name(number))
        await anyio.sleep(plan.apart)
    for each in life.all.values():
        await each.is_ready.wait()


def _figures(life: lives.Lives, began: float, synced: dict[str, float]) -> dict[str, float]:
    known = list(life.all.values())
    waited = [each.ready - each.asked for each in known]
    told = {"first ready after s": min(each.ready for each in known) - began}
    complete = max(synced.values()) if synced else math.nan
    told["synced after s"] = complete - began
    told |= figures.latencies("asked to ready", waited)
    if synced:
        late = [each.ready - max(each.asked, complete) for each in known]
        told["worst since asked and synced ms"] = max(late) * 1000
    return told


def _memory(running: dict[str, subjects.Running]) -> dict[str, float]:
    told: dict[str, float] = {}
    for name, each in running.items():
        told[f"{name} CPU s"] = processes.cpu_seconds(each.pid)
        told[f"peak {name} MB"] = processes.peak_megabytes(each.pid)
        told[f"resident {name} MB"] = processes.resident_megabytes(each.pid)
    for what in ("peak", "resident"):
        told[f"{what} both MB"] = sum(told[f"{what} {name} MB"] for name in running)
    return told


def _growth(found: list[results.Result]) -> list[results.Result]:
    """Return the growth of memory from the least to the most settled snapshots."""
    least, most = min(r.count for r in found), max(r.count for r in found)
    if least == most:
        return []
    made = []
    for subject in dict.fromkeys(each.subject for each in found):
        mean = {
            count: figures.spread(
                [
                    each.figures["resident both MB"]
                    for each in found
                    if (each.subject, each.count) == (subject, count)
                ]
            ).median
            for count in (least, most)
        }
        kilobytes = (mean[most] - mean[least]) * 1024 / (most - least)
        grown = {"growth both KB each": kilobytes}
        made.append(results.Result(subject, most, -1, grown))
    return made
