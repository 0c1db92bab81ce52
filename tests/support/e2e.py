"""`snapshotd dev` as users run it, and kubectl as their client."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PATIENCE = 60.0  # seconds for anything to happen on a loaded machine

JsonObject = dict[str, Any]

_CREATED = re.compile(r"^(\S+/\S+) created$", re.MULTILINE)


def program(name: str) -> str:
    """Return a program beside this Python, or on the PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        pytest.skip(f"there is no {name}: pip install -e '.[test]' brings it")
    return found


class Kubectl:
    """kubectl with one kubeconfig; what it makes is noted, newest last, as `kind.group/name`."""

    def __init__(
        self, kubeconfig: Path, namespace: str = "default", made: list[str] | None = None
    ) -> None:
        self.command = [program("kubectl"), f"--kubeconfig={kubeconfig}"]
        self.namespace = namespace
        self.made = [] if made is None else made

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
        self.made += _CREATED.findall(done.stdout)
        return done.stdout

    def apply(self, manifest: str) -> str:
        """Apply manifests; what they say of the namespace `default` is said of the test's own."""
        here = manifest.replace("namespace: default", f"namespace: {self.namespace}")
        return self("apply", "-f", "-", given=here)

    def items(self, kind: str, *words: str) -> list[JsonObject]:
        """Return all objects of a kind."""
        found: list[JsonObject] = json.loads(self("get", kind, "-o", "json", *words))["items"]
        return found

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

    def members(self, group: str) -> list[JsonObject]:
        """Return the members of a group snapshot that owns them, by their claims' names."""
        found = [
            each
            for each in self.items("volumesnapshot")
            for owner in each["metadata"].get("ownerReferences", [])
            if (owner["kind"], owner["name"]) == ("VolumeGroupSnapshot", group)
        ]
        return sorted(found, key=lambda each: each["spec"]["source"]["persistentVolumeClaimName"])

    def reasons(self, name: str) -> set[str]:
        events = self.items("events")
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
