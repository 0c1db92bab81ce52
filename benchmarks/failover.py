"""Scenario failover: two replicas of a role; the leader dies, or is asked to stop.

What counts is what a person waits: one snapshot is asked for at the moment the leader goes, and the
time until it is ready is taken. The other role runs on.
"""

import contextlib
import dataclasses
import signal
from collections.abc import Iterator

import anyio

from benchmarks import client, lives, objects, results, scene, subjects

_NAMESPACE = "benchmark-failover"
_STANDBY = 3.0  # seconds for the second replica to be there and wait
_SIGNALS = {"killed": signal.SIGKILL, "stopped": signal.SIGTERM}


@dataclasses.dataclass(frozen=True, slots=True)
class Plan:
    """What is to be run."""

    subjects: tuple[subjects.Subject, ...]
    rounds: int


async def run(stand: scene.Scene, plan: Plan) -> list[results.Result]:
    """Run all rounds: each role's leader killed, and stopped."""
    await stand.namespace(_NAMESPACE, 1)
    found = []
    for number in range(plan.rounds):
        for subject in plan.subjects:
            told = {}
            for role in subjects.ROLES:
                for how, sent in _SIGNALS.items():
                    stand.show.say(f"{subject.name}: {role} {how}, round {number + 1}")
                    seconds = await _once(stand, subject, role, sent)
                    told[f"{role} {how}: ready after s"] = seconds
                    stand.show.say(f"  ready after {seconds:.2f} s")
            found.append(results.Result(subject.name, 2, number, told))
    return found


async def _once(
    stand: scene.Scene, subject: subjects.Subject, role: str, sent: signal.Signals
) -> float:
    life = lives.Lives(stand.api, _NAMESPACE)
    async with anyio.create_task_group() as group:
        await group.start(life.watch)
        with subjects.running(stand.stage, subject, elect=True) as running:
            await stand.warm(life, objects.claim_name(0))  # the first replicas lead
            with _second(stand, subject, role):
                await anyio.sleep(_STANDBY)
                await stand.quiet(running)
                running[role].process.send_signal(sent)
                running[role].ended = True
                seconds = await stand.warm(life, objects.claim_name(0))
        await _free(stand)
        group.cancel_scope.cancel()
    return seconds


@contextlib.contextmanager
def _second(stand: scene.Scene, subject: subjects.Subject, role: str) -> Iterator[None]:
    second = stand.stage.start(subject, role, elect=True)
    try:
        yield
    finally:
        second.stop()


async def _free(stand: scene.Scene) -> None:
    """Remove the leases, so that the next round has not to wait for them to run out."""
    found = await stand.api.request("GET", client.path("leases", "kube-system"))
    for each in found["items"]:
        name = str(each["metadata"]["name"])
        if "snapshot" in name:
            await stand.api.delete("leases", "kube-system", name)
