"""`--kubeconfig`: the stories run in a cluster that is somebody's, and leave nothing in it."""

import json
import subprocess
import sys
from pathlib import Path

import controlplane
import e2e
import pytest

pytestmark = pytest.mark.e2e

KINDS = (
    "crd,storageclass,persistentvolume,clusterrole,clusterrolebinding,csidriver",
    "serviceaccount,role,rolebinding,persistentvolumeclaim,secret",
)
LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "snapshot-controller-leader", "namespace": "kube-system"},
    "spec": {
        "holderIdentity": "somebody-else",
        "leaseDurationSeconds": 3600,
        "renewTime": "2099-01-01T00:00:00.000000Z",
    },
}


def run_in(cluster: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", f"--kubeconfig={cluster}", "-q", *words]
    root = Path(__file__).parents[2]
    return subprocess.run(
        command, cwd=root, capture_output=True, text=True, timeout=240, check=False
    )


def everything(kubectl: e2e.Kubectl) -> set[str]:
    return {
        name
        for kinds in KINDS
        for name in kubectl("get", kinds, "--all-namespaces", "-o", "name").split()
    }


def test_a_cluster_is_left_as_it_was_found(plane: controlplane.ControlPlane) -> None:
    kubectl = e2e.Kubectl(plane.administrator)
    before = everything(kubectl)
    stories = (
        "tests/e2e/test_seed_document.py::test_the_pre_provisioned_pair_ends_bound_and_ready",
        "tests/e2e/test_lifecycle.py::test_policy_retain_keeps_the_content_and_the_files",
        "tests/e2e/test_lifecycle.py::test_a_claim_stays_until_its_snapshot_is_ready",
    )
    done = run_in(plane.administrator, *stories)
    assert "3 passed" in done.stdout, done.stdout + done.stderr
    assert everything(kubectl) == before
    held = [n for n in kubectl.items("namespaces") if n["metadata"]["name"].startswith("snapshotd")]
    assert all(each["metadata"].get("deletionTimestamp") for each in held)


def test_a_cluster_with_a_snapshot_controller_is_left_alone(
    plane: controlplane.ControlPlane,
) -> None:
    e2e.Kubectl(plane.administrator).apply(json.dumps(LEASE))
    done = run_in(plane.administrator, "tests/e2e/test_lifecycle.py", "-k", "policy")
    assert done.returncode == 1, done.stdout
    assert "somebody-else holds the lease snapshot-controller-leader" in done.stdout
