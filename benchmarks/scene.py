"""What every scenario stands on: a server, a driver, a namespace with claims, a place for logs."""

import contextlib
import dataclasses
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import anyio

from benchmarks import (
    client,
    counters,
    lives,
    objects,
    processes,
    progress,
    servers,
    subjects,
)

SETTLED = "benchmark-settled"  # the namespace of what is there before

_QUIET_WINDOW = 0.5  # seconds
_QUIET_SHARE = 0.04  # of one core, over the window
_QUIET_WITHIN = 30.0


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What all scenarios are told."""

    server: str
    kubeconfig: Path | None
    patience: float  # seconds for all that one phase waits for
    concurrency: int  # requests of the client at once
    logs: Path


@dataclasses.dataclass(frozen=True, slots=True)
class Scene:
    """A server with the driver beside it."""

    options: Options
    server: servers.Server
    driver: subjects.Running
    stage: subjects.Stage
    show: progress.Progress
    namespaces: list[str] = dataclasses.field(default_factory=list)

    @property
    def api(self) -> client.Client:
        """Return the load generator's client."""
        return self.server.api

    async def namespace(self, name: str, claims: int) -> str:
        """Make a namespace with this many bound claims."""
        await self._own(name)
        with self.show.step(f"{claims} claims in {name}", claims) as made:

            async def bring(number: int) -> None:
                await objects.bring_claim(self.api, name, number)
                made()

            await objects.many(bring, claims, self.options.concurrency)
        return name

    async def _own(self, name: str) -> None:
        """Make a namespace; one that somebody else has is none of ours, for we remove it later."""
        if name in self.namespaces:
            return
        try:
            await self.api.create("namespaces", "", {"metadata": {"name": name}})
        except client.Failed as error:
            if error.status != 409:
                raise
            raise subjects.Unusable(
                f"the cluster has a namespace {name!r} already, and benchmarks remove their own "
                "when they end: remove it if an interrupted run left it"
            ) from error
        self.namespaces.append(name)

    async def settled(self, count: int, *, before: int = 0) -> None:
        """Have this many ready snapshots, as a control plane left them; `before` are there.

        Claims and volumes are a twentieth of them.
        """
        claims = max(1, count // 20)
        await self.namespace(SETTLED, claims)
        with self.show.step(f"{count} settled snapshots", count - before) as made:

            async def bring(number: int) -> None:
                claim = objects.claim_name(number % claims)
                await objects.bring_settled(self.api, SETTLED, before + number, claim)
                made()

            await objects.many(bring, count - before, self.options.concurrency)

    @contextlib.contextmanager
    def patience(self, what: str) -> Iterator[None]:
        """Bound a wait; raises `Unusable` saying what was waited for."""
        try:
            with anyio.fail_after(self.options.patience):
                yield
        except TimeoutError as error:
            raise subjects.Unusable(
                f"{what}: not within {self.options.patience:g} s; logs are in {self.options.logs}"
            ) from error

    async def warm(self, life: lives.Lives, claim: str) -> float:
        """Return the seconds until a snapshot asked for now is ready; then it is deleted."""
        with self.patience("the first snapshot"):
            name = f"first-{time.monotonic_ns()}"
            first = await life.ask(name, claim)
            await first.is_ready.wait()
            await life.delete(name)
            await first.is_gone.wait()
        life.forget()
        return first.ready - first.asked

    async def quiet(self, running: dict[str, subjects.Running]) -> None:
        """Return when the subjects have stopped working, by their CPU time."""
        pids = {name: each.pid for name, each in running.items()}
        with anyio.move_on_after(_QUIET_WITHIN):
            used = sum(processes.cpu_of(pids).values())
            while True:
                await anyio.sleep(_QUIET_WINDOW)
                now = sum(processes.cpu_of(pids).values())
                if now - used <= _QUIET_SHARE * _QUIET_WINDOW:
                    return
                used = now


@dataclasses.dataclass(frozen=True, slots=True)
class Used:
    """What one phase cost: CPU seconds by process, and requests."""

    cpu: dict[str, float]
    requests: Counter[str]

    def figures(self, phase: str, count: int) -> dict[str, float]:
        """Return the figures per snapshot, by name."""
        each = {name: used / count * 1000 for name, used in self.cpu.items()}
        each["both"] = each.get("controller", 0.0) + each.get("sidecar", 0.0)
        found = {f"{phase}: {name} CPU ms": value for name, value in each.items()}
        real = counters.objects_alone(self.requests)
        writes, gets = counters.of_verbs(real, counters.WRITES), counters.of_verbs(real, ("GET",))
        found[f"{phase}: requests"] = self.requests.total() / count
        found[f"{phase}: object writes"] = writes / count
        found[f"{phase}: object GETs"] = gets / count
        return found


@contextlib.asynccontextmanager
async def measured(
    scene: Scene, running: dict[str, subjects.Running]
) -> AsyncIterator[Callable[[], Used]]:
    """Measure what happens inside, up to when the subjects are quiet; the result is for after."""
    pids = {name: each.pid for name, each in running.items()}
    pids |= {"driver": scene.driver.pid}
    done: list[Used] = []
    before = await scene.server.counts()
    own, cpu = Counter(scene.api.own), processes.cpu_of(pids)
    mine = time.process_time()
    yield lambda: done[0]
    await scene.quiet(running)
    used = {name: now - cpu[name] for name, now in processes.cpu_of(pids).items()}
    used["load generator"] = time.process_time() - mine
    after = await scene.server.counts()
    used |= {name: now - before.after[name] for name, now in after.before.items()}
    requests = counters.spent(
        counters.requests(before.metrics),
        counters.requests(after.metrics),
        Counter(scene.api.own) - own,
    )
    done.append(Used(used, requests))


@contextlib.asynccontextmanager
async def opened(options: Options, show: progress.Progress, resync: str) -> AsyncIterator[Scene]:
    """Start the server and the driver."""
    with tempfile.TemporaryDirectory(prefix="snapshotd-benchmark-") as temporary:
        folder = Path(temporary)
        options.logs.mkdir(parents=True, exist_ok=True)
        socket = folder / "csi.sock"
        command = [sys.executable, "-m", "benchmarks.driver", str(socket)]
        driver = subjects.Running("driver", command, options.logs / "driver.log")
        try:
            show.say(f"starting the API server ({options.server})")
            async with servers.running(
                options.server, folder / "server", options.kubeconfig
            ) as server:
                stage = subjects.Stage(server.kubeconfig, socket, options.logs, resync)
                stand = Scene(options, server, driver, stage, show)
                try:
                    yield stand
                finally:
                    await _leave(stand)
        finally:
            driver.stop()


async def _leave(stand: Scene) -> None:
    """Leave a cluster that was given to us as it was; but for the definitions, if it had none."""
    if stand.server.kind != "kubeconfig":
        return
    with anyio.CancelScope(shield=True), anyio.move_on_after(stand.options.patience):
        for name in dict.fromkeys(stand.namespaces):
            stand.show.say(f"removing what was made in {name}")
            await objects.remove(stand.api, name)
        await stand.api.delete("volumesnapshotclasses", "", objects.CLASS)
