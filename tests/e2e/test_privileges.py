"""Each role may do what it does, and nothing more: its ClusterRole beside a real audit log."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import clusters
import controlplane
import e2e
import pytest
import yaml

pytestmark = pytest.mark.e2e

Use = tuple[str, str]  # verb, resource[/subresource]

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: source}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
SNAPSHOT = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: NAME}
spec: {source: {persistentVolumeClaimName: source}, volumeSnapshotClassName: CLASS}
"""
GROUP = """
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: NAME}
spec: {source: {selector: {matchLabels: {app: db}}}, volumeGroupSnapshotClassName: CLASS}
"""
GIVEN_GROUP = """
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: three}
spec: {source: {volumeGroupSnapshotContentName: three}}
---
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshotContent
metadata: {name: three}
spec:
  deletionPolicy: Delete
  driver: hostpath.csi.k8s.io
  source:
    groupSnapshotHandles: {volumeGroupSnapshotHandle: nothing, volumeSnapshotHandles: [nothing]}
  volumeGroupSnapshotRef: {name: three, namespace: default}
"""
# Granted for what one story cannot show: why is said beside each in config/rbac.
RARE = {("patch", "events")}
RARE_IN_CLUSTER = RARE | {("get", "volumesnapshots")}


def needed(used: set[Use], rare: set[Use]) -> set[Use]:
    """Return what was used, and what is granted for what one story cannot show."""
    lists = {("list", resource) for verb, resource in used if verb == "watch"}
    return used | rare | lists


@pytest.fixture
def real(tmp_path: Path, plane: controlplane.ControlPlane) -> Iterator[clusters.RealDev]:
    running = clusters.RealDev(tmp_path / "d", plane)
    yield running.started()
    running.stop()  # again, where the test did


def used(plane: controlplane.ControlPlane) -> dict[str, set[Use]]:
    """Return what each service account did, as the audit log tells it."""
    found: defaultdict[str, set[Use]] = defaultdict(set)
    for event in plane.audit():
        user: Any = event["user"]
        reference: Any = event.get("objectRef", {})
        prefix = "system:serviceaccount:kube-system:"
        if user["username"].startswith(prefix) and "resource" in reference:
            what = reference["resource"]
            if "subresource" in reference:
                what += f"/{reference['subresource']}"
            found[user["username"].removeprefix(prefix)].add((str(event["verb"]), what))
    return found


def granted(file: str, *roles: str) -> set[Use]:
    """Return what roles in a file of config/rbac allow."""
    documents = yaml.safe_load_all((clusters.CONFIG / "rbac" / file).read_text())
    return {
        (verb, resource)
        for document in documents
        if document["metadata"]["name"] in roles and "rules" in document
        for rule in document["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def play(dev: e2e.Dev) -> None:
    """Play a story in which each role does all it ever does."""
    dev.faults({"methods": {"CreateSnapshot": {"code": "INTERNAL", "times": 1}}})
    dev.kubectl.apply(CLAIM)
    dev.kubectl.apply(SNAPSHOT.replace("NAME", "one").replace("CLASS", "csi-hostpath-snapclass"))
    dev.kubectl.ready("one")
    dev.kubectl("delete", "volumesnapshot", "one")
    dev.kubectl.apply(SNAPSHOT.replace("NAME", "two").replace("CLASS", "missing"))
    dev.kubectl.wait("volumesnapshot/two", "jsonpath={.status.error.message}")
    dev.until(lambda: bool(dev.kubectl.reasons("two")), "nobody tells")
    dev.kubectl.apply(SNAPSHOT.replace("NAME", "two").replace("CLASS", "csi-hostpath-snapclass"))
    dev.kubectl.ready("two")
    handle = "by-hand"
    (dev.folder / "snapshots" / handle).mkdir()
    dev.kubectl.apply(
        f"""
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {{name: three}}
spec: {{source: {{volumeSnapshotContentName: three}}}}
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotContent
metadata: {{name: three}}
spec:
  deletionPolicy: Delete
  driver: hostpath.csi.k8s.io
  source: {{snapshotHandle: {handle}}}
  volumeSnapshotRef: {{name: three, namespace: default}}
"""
    )
    dev.kubectl.ready("three")
    dev.kubectl("delete", "volumesnapshot", "three")


def play_of_groups(dev: e2e.Dev) -> None:
    """Play the same with groups: of a class that is not there, one that is cut, and a given one."""
    dev.kubectl.apply(CLAIM.replace("{name: source}", "{name: grouped, labels: {app: db}}"))
    dev.kubectl.apply(GROUP.replace("NAME", "one").replace("CLASS", "missing"))
    dev.kubectl.wait("volumegroupsnapshot/one", "jsonpath={.status.error.message}")
    dev.until(lambda: bool(dev.kubectl.reasons("one")), "nobody tells")
    dev.kubectl("delete", "volumegroupsnapshot", "one")
    dev.kubectl.apply(GROUP.replace("NAME", "two").replace("CLASS", "csi-hostpath-groupsnapclass"))
    dev.kubectl.wait("volumegroupsnapshot/two", "jsonpath={.status.readyToUse}=true")
    (member,) = dev.kubectl.members("two")
    dev.kubectl("delete", "volumegroupsnapshot", "two")
    dev.kubectl.wait(f"volumesnapshot/{member['metadata']['name']}", "delete")
    dev.kubectl.apply(GIVEN_GROUP)
    bound = "jsonpath={.status.boundVolumeGroupSnapshotContentName}"
    dev.kubectl.wait("volumegroupsnapshot/three", bound)
    dev.kubectl("delete", "volumegroupsnapshot", "three")


def test_every_permission_is_used_and_no_other_is_missed(
    real: clusters.RealDev, plane: controlplane.ControlPlane
) -> None:
    play(real)
    play_of_groups(real)
    assert real.stop() == 0  # the leases are given back
    found = used(plane)
    controller = granted("controller.yaml", "snapshotd-controller", "snapshotd-controller-lease")
    assert needed(found["snapshot-controller"], RARE_IN_CLUSTER) == controller
    sidecar = granted("sidecar.yaml", "snapshotd-sidecar", "snapshotd-sidecar-lease")
    assert needed(found["csi-snapshotter"], RARE) == sidecar


def test_one_snapshot_keeps_to_the_budget_on_a_real_server(
    real: clusters.RealDev, plane: controlplane.ControlPlane
) -> None:
    """Six object writes and no GET to ready, four and none to gone, by the audit log."""
    real.kubectl.apply(CLAIM)
    real.kubectl.wait("pvc/source", "jsonpath={.status.phase}=Bound")
    quiet = _quiet(real, plane)
    real.kubectl.apply(SNAPSHOT.replace("NAME", "one").replace("CLASS", "csi-hostpath-snapclass"))
    real.kubectl.ready("one")
    made = _quiet(real, plane)
    assert _since(made, quiet) == [
        ("create", "volumesnapshotcontents"),
        ("patch", "persistentvolumeclaims"),
        ("patch", "persistentvolumeclaims"),
        ("patch", "volumesnapshotcontents/status"),
        ("patch", "volumesnapshots"),
        ("patch", "volumesnapshots/status"),
    ]
    real.kubectl("delete", "volumesnapshot", "one")
    gone = _quiet(real, plane)
    assert _since(gone, made) == [
        ("delete", "volumesnapshotcontents"),
        ("patch", "volumesnapshotcontents"),
        ("patch", "volumesnapshotcontents"),
        ("patch", "volumesnapshots"),
    ]


def _calls(plane: controlplane.ControlPlane) -> list[Use]:
    """Return what the roles asked for so far, but for lists, watches, leases and Events."""
    found: list[Use] = []
    for event in plane.audit():
        user: Any = event["user"]
        reference: Any = event.get("objectRef", {})
        if not user["username"].startswith("system:serviceaccount:kube-system:"):
            continue
        what = str(reference.get("resource", ""))
        if event["verb"] in {"list", "watch"} or what in {"leases", "events"}:
            continue
        below = f"/{reference['subresource']}" if "subresource" in reference else ""
        found.append((str(event["verb"]), what + below))
    return found


def _quiet(real: clusters.RealDev, plane: controlplane.ControlPlane) -> list[Use]:
    """Return the calls once no more come."""
    seen = [_calls(plane)]

    def still() -> bool:
        seen.append(_calls(plane))
        return len(seen) > 20 and len(seen[-1]) == len(seen[-20])

    real.until(still, "the requests do not end")
    return seen[-1]


def _since(now: list[Use], then: list[Use]) -> list[Use]:
    return sorted(now[len(then) :])
