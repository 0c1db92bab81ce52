"""A cluster whose roles reach the API server and the driver through what fails on purpose.

The API server, driver and provisioner are one process, which keeps its state on disk; controllers
and sidecars are the commands that users run, each with leader election and very short leases.
"""

import contextlib
import re
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import e2e
from fault_plan import Entry, Plan, Rule
from fault_proxy import FaultProxy, Thread
from fault_socket import FaultSocket

# The last moment at which a leader may have a write under way is half-way between the second and
# the first, after its last renewal: half a second is what the network may take.
LEASE, RENEW, RETRY = 3.0, 2.0, 0.5  # seconds

_ELECTION = (
    "--leader-election",
    "--leader-election-namespace=kube-system",
    f"--leader-election-lease-duration={LEASE:g}s",
    f"--leader-election-renew-deadline={RENEW:g}s",
    f"--leader-election-retry-period={RETRY * 1000:g}ms",
)
_QUEUES = (
    "--retry-interval-start=100ms",
    "--retry-interval-max=1s",
    "--retry-crd-interval-max=2s",  # of reflectors
    "--v=4",
    "--resync-period=0s",  # what an event did not bring stays away
)
_SIDECAR = ("--timeout=2s", "--ready-poll-interval=200ms")


class Role:
    """One process of a role; `who` is what the proxy calls it, another one each time."""

    def __init__(self, who: str, part: e2e.Part) -> None:
        self.who = who
        self.name = who.partition(".")[0]
        self.part = part
        self.woken: list[float] = []  # when it was let go on after it had been stopped
        self.stopped = False

    @property
    def running(self) -> bool:
        return self.part.process.poll() is None

    def freeze(self) -> None:
        self.stopped = True
        self.part.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        if self.stopped:
            self.woken.append(time.monotonic())
            self.stopped = False
            self.part.process.send_signal(signal.SIGCONT)

    def end(self, number: signal.Signals) -> int:
        self.thaw()
        return self.part.stop(number)

    def log(self) -> str:
        return self.part.log.read_text()


class Cluster:
    """All of it; use it as a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._starts: dict[str, int] = {}
        self.roles: dict[str, Role] = {}
        self.past: list[Role] = []
        self.dev = self._start_dev()

    def __enter__(self) -> Self:
        self.dev.started()
        self._thread = Thread()
        self.proxy = FaultProxy(self._thread, self._folder / "proxy", self.dev.kubeconfig)
        socket = self.dev.folder / "csi.sock"
        self.socket = FaultSocket(self._thread, self._folder / "s.sock", socket)
        return self

    def __exit__(self, *_: object) -> None:
        for role in self.roles.values():
            role.end(signal.SIGKILL)
        self.dev.stop(signal.SIGKILL)
        self.socket.stop()
        self.proxy.stop()
        requests = "\n".join(str(entry) for entry in self.proxy.log)
        (self._folder / "proxy.log").write_text(requests)
        self._thread.stop()

    @property
    def kubectl(self) -> e2e.Kubectl:
        return self.dev.kubectl

    def start(self, name: str) -> Role:
        """Start `controller-…` or `sidecar-…` through the proxy."""
        who = self._next(name)
        command = name.partition("-")[0]
        words = [f"--kubeconfig={self.proxy.kubeconfig(who)}", *_ELECTION, *_QUEUES]
        if command == "sidecar":
            words += [f"--csi-address={self.socket.path}", *_SIDECAR]
        if name in self.roles:
            self.past.append(self.roles[name])
        role = Role(who, e2e.Part(self._folder / f"{who}.log", command, *words))
        self.roles[name] = role
        return role

    def restart_dev(self, number: signal.Signals) -> None:
        """End API server and driver, and start them on what they left."""
        self.dev.stop(number)
        self.dev = self._start_dev().started()

    def _start_dev(self) -> e2e.Dev:
        dev = e2e.Dev.__new__(e2e.Dev)
        dev.folder = self._folder / "d"
        dev.kubeconfig = dev.folder / "kubeconfig"
        dev.log = self._folder / f"{self._next('dev')}.log"
        dev._output = dev.log.open("w+b")
        words = ("dev", f"--data-dir={dev.folder}", "--parts=apiserver,driver,provisioner")
        dev.process = subprocess.Popen(
            [e2e.program("snapshotd"), *words],
            stdout=dev._output,
            stderr=dev._output,
            start_new_session=True,
        )
        return dev

    def _next(self, name: str) -> str:
        self._starts[name] = self._starts.get(name, 0) + 1
        return f"{name}.{self._starts[name]}"

    def until(self, holds: Callable[[], bool], why: str) -> None:
        """Wait for other processes; start again a role that ended, as a kubelet does."""

        def alive_and_so() -> bool:
            for name, role in list(self.roles.items()):
                if not role.running:
                    assert "lost the lease" in role.log(), f"{role.who} ended"
                    role.end(signal.SIGKILL)
                    self.start(name)
            return holds()

        try:
            self.dev.until(alive_and_so, why)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.tails()}") from None

    def linger(self, seconds: float) -> None:
        """Let time pass, in which faults are what is waited for."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.dev.process.wait(timeout=seconds)

    def tails(self) -> str:
        """Return the end of every log."""
        logs = sorted(self._folder.glob("*.log"), key=lambda each: each.stat().st_mtime)
        ends = {log.name: log.read_text().splitlines()[-15:] for log in logs}
        return "\n".join(f"--- {name}\n" + "\n".join(lines) for name, lines in ends.items())

    def disturb(self, *rules: Rule, seed: int = 0) -> Plan:
        plan = Plan(rules, seed=seed)
        self.proxy.plan(plan)
        return plan

    def calm(self) -> None:
        """No more faults."""
        self.proxy.plan(Plan())
        self.socket.flow()
        self.dev.faults({})

    def seen(self, who: str, path: str = "") -> list[Entry]:
        return [
            entry
            for entry in list(self.proxy.log)
            if entry.who.startswith(who) and re.search(path, entry.path)
        ]

    def on_disk(self, what: str = "snapshots") -> set[str]:
        return {each.name for each in (self.dev.folder / what).iterdir()}
