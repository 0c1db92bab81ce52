"""The roles in processes of their own, with flags of the test's choice, over either API server.

So that a test can change the server before the roles see it, and read what each of them logs.
"""

import contextlib
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import clusters
import controlplane
import e2e


class Apart(Protocol):
    """Everything but the roles runs; they start when the test says so."""

    folder: Path

    @property
    def kubectl(self) -> e2e.Kubectl:
        """The administrator's kubectl."""

    def until(self, holds: Callable[[], bool], why: str) -> None:
        """Wait until something holds."""

    def start_roles(self, *flags: str) -> list[e2e.Part]:
        """Start controller and sidecar with these flags; return the two."""


class _Embedded(e2e.Dev):
    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "--parts=apiserver,driver,provisioner")
        self._roles: list[e2e.Part] = []

    def installed(self) -> "_Embedded":
        self.started()
        return self

    def start_roles(self, *flags: str) -> list[e2e.Part]:
        socket = f"--csi-address={self.folder / 'csi.sock'}"
        common = [f"--kubeconfig={self.kubeconfig}", *flags]
        for words in (["controller", *common], ["sidecar", *common, socket]):
            log = self.folder.with_name(f"{words[0]}-{len(self._roles)}.log")
            self._roles.append(e2e.Part(log, *words))
        return self._roles[-2:]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        codes = [each.stop(number) for each in self._roles]
        return next((code for code in codes if code), super().stop(signal.SIGINT))


@contextlib.contextmanager
def running(server: str, folder: Path) -> Iterator[Apart]:
    """Run a server, the driver and the provisioner; raises `controlplane.Unobtainable`."""
    with contextlib.ExitStack() as stack:
        dev: _Embedded | clusters.RealDev
        if server == "embedded":
            dev = _Embedded(folder / "d")
        else:
            plane = stack.enter_context(controlplane.running(folder / "plane"))
            dev = clusters.RealDev(folder / "d", plane)
        try:
            yield dev.installed()
        finally:
            code = dev.stop()
        assert code == 0
