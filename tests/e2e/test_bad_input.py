"""What is wrong is named, with what to do about it; nobody sees a traceback."""

import json
import socket
import subprocess
from pathlib import Path

import e2e
import pytest

pytestmark = pytest.mark.e2e

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: source}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [e2e.program("snapshotd"), *words],
        capture_output=True,
        text=True,
        timeout=e2e.PATIENCE,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["controller", "--worker-thread=3"], "did you mean --worker-threads?"),
        (["sidecar", "--timeout=soon"], "write it like 500ms, 10s or 1m30s"),
        (["controller", "--leader-election=maybe"], "'maybe' is not true or false"),
        (["sidecar", "--snapshot-name-uuid-length=40"], "not between -1 and 32"),
        (["sidecar", "--csi-address=tcp://1.2.3.4:5"], "not a unix socket"),
        (["controler"], "there is no command 'controler'"),
        (["dev", "--parts=apisrver"], "the parts are apiserver, driver"),
        (["controller", "--kubeconfig=/nowhere/at/all"], "/nowhere/at/all"),
        (["dev", "--data-dir=/proc/nowhere"], "choose a folder that can be written to"),
    ],
)
def test_a_bad_flag_ends_with_2_and_a_sentence(words: list[str], told: str) -> None:
    done = run(*words)
    assert done.returncode == 2
    assert told in done.stderr


def test_a_busy_port_is_told(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("dev", f"--data-dir={tmp_path / 'd'}", f"--port={port}")
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "choose another with --port" in done.stderr


def test_a_folder_in_use_is_told(dev: e2e.Dev) -> None:
    done = run("dev", f"--data-dir={dev.folder}")
    assert done.returncode == 2
    assert "another snapshotd dev uses" in done.stderr


def test_go_spellings_of_flags_are_understood() -> None:
    done = run("controller", "-v=5", "-leader-election=false", "--worker-threads", "3", "-version")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        ("spec: {source: {}}", "exactly one of volumeSnapshotContentName and"),
        ("spec: {source: {persistentVolumeClaimName: 3}}", "must be of type string"),
        ("spec: {sauce: {}}", 'unknown field "spec.sauce"'),
        ("spec: {volumeSnapshotClassName: '', source: {persistentVolumeClaimName: a}}", "empty"),
        ("spec: [", "yaml"),
    ],
)
def test_a_broken_manifest_is_refused(dev: e2e.Dev, manifest: str, told: str) -> None:
    head = "apiVersion: snapshot.storage.k8s.io/v1\nkind: VolumeSnapshot\nmetadata: {name: x}\n"
    done = dev.kubectl.run("apply", "-f", "-", given=head + manifest)
    assert done.returncode == 1
    assert told in done.stderr
    assert dev.kubectl.get("volumesnapshot", "x") is None


def _snapshot(claim: str, class_name: str) -> str:
    return json.dumps(
        {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshot",
            "metadata": {"name": "snap"},
            "spec": {
                "volumeSnapshotClassName": class_name,
                "source": {"persistentVolumeClaimName": claim},
            },
        }
    )


def test_a_missing_class_is_told_and_ends_when_it_comes(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIM)
    dev.kubectl.apply(_snapshot("source", "later"))
    dev.kubectl.wait("volumesnapshot/snap", "jsonpath={.status.error.message}")
    found = dev.kubectl.get("volumesnapshot", "snap")
    assert found is not None
    assert '"later" not found' in found["status"]["error"]["message"]
    dev.kubectl.apply(
        json.dumps(
            {
                "apiVersion": "snapshot.storage.k8s.io/v1",
                "kind": "VolumeSnapshotClass",
                "metadata": {"name": "later"},
                "driver": "hostpath.csi.k8s.io",
                "deletionPolicy": "Delete",
            }
        )
    )
    assert "error" not in dev.kubectl.ready("snap")["status"]
    assert "GetSnapshotClassFailed" in dev.kubectl.reasons("snap")


def test_a_class_of_another_driver_is_refused(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIM)
    dev.kubectl.wait("pvc/source", "jsonpath={.status.phase}=Bound")
    dev.kubectl.apply(
        json.dumps(
            {
                "apiVersion": "snapshot.storage.k8s.io/v1",
                "kind": "VolumeSnapshotClass",
                "metadata": {"name": "other"},
                "driver": "other.example.com",
                "deletionPolicy": "Delete",
            }
        )
    )
    dev.kubectl.apply(_snapshot("source", "other"))
    dev.kubectl.wait("volumesnapshot/snap", "jsonpath={.status.error.message}")
    found = dev.kubectl.get("volumesnapshot", "snap")
    assert found is not None
    message = found["status"]["error"]["message"]
    assert "other.example.com" in message
    assert "name a class of hostpath.csi.k8s.io" in message


def test_a_claim_that_is_not_bound_is_told(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIM.replace("spec: {", "spec: {storageClassName: nobodys, "))
    dev.kubectl.apply(_snapshot("source", "csi-hostpath-snapclass"))
    dev.kubectl.wait("volumesnapshot/snap", "jsonpath={.status.error.message}")
    found = dev.kubectl.get("volumesnapshot", "snap")
    assert found is not None
    assert "is not yet bound to a PV" in found["status"]["error"]["message"]
