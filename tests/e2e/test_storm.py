"""A storm: hundreds of snapshots, a driver that fails in every way, and a sidecar that is killed.

What is on disk in the end is exactly what the API shows. `SNAPSHOTS` sets how many there are.
"""

import itertools
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
STEPS = 12  # kills of the sidecar, and plans of faults, in each half of the storm
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
    """A cluster whose sidecar runs alone, so that it can be killed alone."""

    def __init__(self, folder: Path) -> None:
        self.dev = e2e.Dev(folder / "d", "--parts=apiserver,driver,provisioner,controller")
        self._log = folder / "sidecar.log"
        self._sidecar: e2e.Part | None = None
        self.kills = 0

    def start_sidecar(self) -> None:
        self._sidecar = e2e.Part(
            self._log,
            "sidecar",
            f"--csi-address={self.dev.folder / 'csi.sock'}",
            f"--kubeconfig={self.dev.kubeconfig}",
            "--timeout=2s",
            "--retry-interval-start=100ms",
            "--retry-interval-max=1s",
            "--ready-poll-interval=200ms",
        )

    def kill_sidecar(self) -> None:
        assert self._sidecar is not None
        self._sidecar.stop(signal.SIGKILL)
        self.kills += 1
        self.start_sidecar()

    def end(self) -> None:
        if self._sidecar is not None:
            self._sidecar.stop(signal.SIGTERM)
        self.dev.stop()

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
    running.dev.started()
    running.start_sidecar()
    yield running
    running.end()


def test_what_is_on_disk_after_a_storm_is_what_the_api_shows(storm: Storm) -> None:
    dice = random.Random(7)  # noqa: S311 - a storm that can be had again
    weather = plans(dice)
    dev = storm.dev
    dev.kubectl.apply("".join(CLAIM.format(number=number) for number in range(CLAIMS)))
    dev.kubectl("wait", "pvc", "--all", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")
    dev.faults(next(weather))
    manifest = "".join(SNAPSHOT.format(number=n, claim=n % CLAIMS) for n in range(SNAPSHOTS))
    dev.kubectl("create", "-f", "-", given=manifest)

    steps = itertools.chain((SNAPSHOTS * step // STEPS for step in range(1, STEPS)), [SNAPSHOTS])
    for wanted in steps:
        dev.until(lambda n=wanted: sum(storm.snapshots().values()) >= n, "too few become ready")
        storm.kill_sidecar()
        dev.faults(next(weather))

    doomed = [f"snap-{number}" for number in range(0, SNAPSHOTS, 2)]
    dev.kubectl("delete", "volumesnapshots", "--wait=false", *doomed)
    for step in range(1, STEPS + 1):
        left = SNAPSHOTS - len(doomed) * step // STEPS
        dev.until(lambda n=left: len(storm.snapshots()) <= n, "too few are let go")
        storm.kill_sidecar()
        dev.faults(next(weather))

    dev.faults({})
    contents = dev.kubectl.items("volumesnapshotcontents")
    shown = {each["status"]["snapshotHandle"] for each in contents}
    assert storm.on_disk() == shown
    assert len(shown) == SNAPSHOTS - len(doomed)
    dev.kubectl("delete", "volumesnapshots", "--all", "--timeout=60s")
    assert storm.on_disk() == set()
    for claim in dev.kubectl.items("pvc"):
        held = claim["metadata"].get("finalizers", [])
        assert not any("snapshot" in each for each in held), held
    assert storm.kills == 2 * STEPS
