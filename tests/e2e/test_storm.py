"""A storm: hundreds of snapshots, a driver that fails in every way, and both killed over and over.

What is on disk in the end is exactly what the API shows. `SNAPSHOTS` sets how many there are.
"""

import json
import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path

import e2e
import pytest

pytestmark = pytest.mark.e2e

SNAPSHOTS = int(os.environ.get("SNAPSHOTS", "500"))
CLAIMS = 10
STEPS = 12  # kills, and plans of faults, in each half of the storm
CODES = (
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
METHODS = ("CreateSnapshot", "DeleteSnapshot", "ListSnapshots", "GetSnapshot")

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: claim-{number}}}
spec: {{accessModes: [ReadWriteOnce], resources: {{requests: {{storage: 1Gi}}}}}}
---
"""
SNAPSHOT = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {{name: snap-{number}}}
spec: {{source: {{persistentVolumeClaimName: claim-{claim}}}}}
---
"""


def plans(dice: random.Random) -> Iterator[e2e.JsonObject]:
    """Yield plans of faults without an end: each strikes a few calls of each method."""
    kinds: list[e2e.JsonObject] = [
        *({"code": code} for code in CODES),
        *({"code": code, "lose_answer": True} for code in ("UNAVAILABLE", "INTERNAL", "CANCELLED")),
        {"hang": True},
        {"hang": True, "lose_answer": True},
        {"latency": 0.2},
    ]
    while True:
        dice.shuffle(kinds)
        methods = {
            method: {**kind, "times": dice.randint(1, 12)}
            for method, kind in zip(METHODS, kinds, strict=False)
        }
        yield {"ready_after": dice.choice([0.0, 0.0, 0.3]), "methods": methods}


class Storm:
    """A cluster whose sidecar and driver run alone, so that each can be killed alone."""

    def __init__(self, folder: Path) -> None:
        self.dev = e2e.Dev(folder / "d", "--parts=apiserver,provisioner,controller")
        self._folder = folder
        self.kills = 0
        self.dev.until(self.dev.kubeconfig.exists, "the API server does not start")
        self._driver = self._start("driver", "dev", "--parts=driver")
        self.dev.started()
        self._sidecar = self._start_sidecar()
        self.dice = random.Random(7)  # noqa: S311 - a storm that can be had again
        self.weather = plans(self.dice)

    def _start(self, name: str, command: str, *words: str) -> e2e.Part:
        kubeconfig = f"--kubeconfig={self.dev.kubeconfig}"
        if command == "dev":
            words += (f"--data-dir={self.dev.folder}",)
        log = self._folder / f"{name}-{self.kills}.log"
        return e2e.Part(log, command, kubeconfig, *words)

    def _start_sidecar(self) -> e2e.Part:
        return self._start(
            "sidecar",
            "sidecar",
            f"--csi-address={self.dev.folder / 'csi.sock'}",
            "--timeout=2s",
            "--retry-interval-start=100ms",
            "--retry-interval-max=1s",
            "--ready-poll-interval=200ms",
        )

    def strike(self) -> None:
        """Kill the sidecar or the driver, start another, and let the driver fail in other ways."""
        self.kills += 1
        if self.kills % 3:
            self._sidecar.stop(signal.SIGKILL)
            self._sidecar = self._start_sidecar()
        else:
            self._driver.stop(signal.SIGKILL)
            self._driver = self._start("driver", "dev", "--parts=driver")
        self.dev.faults(next(self.weather))

    def until_ready(self, number: int) -> None:
        """Wait until so many are ready."""
        self.dev.until(lambda: sum(self.snapshots().values()) >= number, "too few become ready")

    def until_left(self, doomed: set[str], number: int) -> None:
        """Wait until no more than so many of these are left."""
        self.dev.until(lambda: len(doomed & self.snapshots().keys()) <= number, "too few go")

    def story_of(self, handles: set[str]) -> list[str]:
        """Return what the logs say of snapshots, by the uid in their names."""
        told = []
        for handle in sorted(handles):
            state = self.dev.folder / "state" / "snapshots" / f"{handle}.json"
            record = json.loads(state.read_text()) if state.exists() else {}
            uid = str(record.get("name", handle)).removeprefix("snapshot-")
            told.append(f"{handle}: {record}")
            for log in sorted(self._folder.glob("*.log"), key=lambda each: each.stat().st_mtime):
                lines = log.read_text().splitlines()
                told += [f"{log.name}: {line}" for line in lines if uid in line]
        return told

    def end(self) -> None:
        self._sidecar.stop(signal.SIGTERM)
        self.dev.stop()
        self._driver.stop(signal.SIGTERM)

    def snapshots(self) -> dict[str, bool]:
        """Return every snapshot's name, and whether it is ready."""
        found = self.dev.kubectl(
            "get",
            "volumesnapshots",
            "-o",
            r'jsonpath={range .items[*]}{.metadata.name}={.status.readyToUse}{"\n"}{end}',
        )
        pairs = (line.partition("=") for line in found.splitlines())
        return {name: ready == "true" for name, _, ready in pairs}

    def on_disk(self) -> set[str]:
        return {each.name for each in (self.dev.folder / "snapshots").iterdir()}


@pytest.fixture
def storm(tmp_path: Path) -> Iterator[Storm]:
    running = Storm(tmp_path)
    yield running
    running.end()


def test_what_is_on_disk_after_a_storm_is_what_the_api_shows(storm: Storm) -> None:
    dev = storm.dev
    manifest = "".join(CLAIM.format(number=number) for number in range(CLAIMS))
    dev.kubectl.apply(manifest)
    dev.kubectl("wait", "pvc", "--all", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
    dev.faults(next(storm.weather))
    manifest = "".join(SNAPSHOT.format(number=n, claim=n % CLAIMS) for n in range(SNAPSHOTS))
    dev.kubectl("create", "-f", "-", given=manifest)
    given_up = creation(storm)
    doomed = [name for name, ready in storm.snapshots().items() if ready][::2]
    deletion(storm, doomed)

    dev.faults({})
    kept = SNAPSHOTS - len(given_up) - len(doomed)
    dev.until(lambda: len(storm.snapshots()) == kept, "not all are let go")
    contents = dev.kubectl.items("volumesnapshotcontents")
    shown = {each["status"]["snapshotHandle"] for each in contents}
    assert storm.on_disk() == shown, storm.story_of(storm.on_disk() ^ shown)
    assert len(shown) == kept
    dev.kubectl("delete", "volumesnapshots", "--all", "--timeout=60s")
    assert storm.on_disk() == set()
    for claim in dev.kubectl.items("pvc"):
        held = claim["metadata"].get("finalizers", [])
        assert not any("snapshot" in each for each in held), held
    assert storm.kills == 2 * STEPS


def creation(storm: Storm) -> set[str]:
    """Let it storm until all are ready; return those that somebody gave up before they were."""
    given_up: set[str] = set()
    for step in range(1, STEPS + 1):
        wanted = SNAPSHOTS * step // STEPS - len(given_up)
        storm.until_ready(wanted)
        storm.strike()
        unready = {name for name, ready in storm.snapshots().items() if not ready} - given_up
        impatient = storm.dice.sample(sorted(unready), min(8, len(unready)) // 2)
        if impatient:
            storm.dev.kubectl("delete", "volumesnapshots", "--wait=false", *impatient)
            given_up.update(impatient)
    return given_up


def deletion(storm: Storm, doomed: list[str]) -> None:
    """Let it storm until all of these are gone."""
    storm.dev.kubectl("delete", "volumesnapshots", "--wait=false", *doomed)
    for step in range(1, STEPS + 1):
        storm.until_left(set(doomed), len(doomed) - len(doomed) * step // STEPS)
        storm.strike()
