"""Every manifest of the Kubernetes document on volume snapshots, as it stands there (v1beta1)."""

import e2e
import pytest

pytestmark = pytest.mark.e2e

DYNAMIC = """
apiVersion: snapshot.storage.k8s.io/v1beta1
kind: VolumeSnapshot
metadata:
  name: new-snapshot-test
spec:
  volumeSnapshotClassName: csi-hostpath-snapclass
  source:
    persistentVolumeClaimName: pvc-test
"""
PRE_PROVISIONED = """
apiVersion: snapshot.storage.k8s.io/v1beta1
kind: VolumeSnapshot
metadata:
  name: test-snapshot
spec:
  source:
        volumeSnapshotContentName: test-content
"""
DYNAMIC_CONTENT = """
apiVersion: snapshot.storage.k8s.io/v1beta1
kind: VolumeSnapshotContent
metadata:
  name: snapcontent-72d9a349-aacd-42d2-a240-d775650d2455
spec:
  deletionPolicy: Delete
  driver: hostpath.csi.k8s.io
  source:
    volumeHandle: ee0cfb94-f8d4-11e9-b2d8-0242ac110002
  volumeSnapshotClassName: csi-hostpath-snapclass
  volumeSnapshotRef:
    name: new-snapshot-test
    namespace: default
    uid: 72d9a349-aacd-42d2-a240-d775650d2455
"""
GIVEN_CONTENT = """
apiVersion: snapshot.storage.k8s.io/v1beta1
kind: VolumeSnapshotContent
metadata:
  name: new-snapshot-content-test
spec:
  deletionPolicy: Delete
  driver: hostpath.csi.k8s.io
  source:
    snapshotHandle: 7bdd0de3-aaeb-11e8-9aae-0242ac110002
  volumeSnapshotRef:
    name: new-snapshot-test
    namespace: default
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: pvc-test
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
"""


def test_the_dynamic_snapshot_ends_bound_and_ready(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIM)
    dev.kubectl.apply(DYNAMIC)
    snapshot = dev.kubectl.ready("new-snapshot-test")
    name = snapshot["status"]["boundVolumeSnapshotContentName"]
    assert name == f"snapcontent-{snapshot['metadata']['uid']}"
    content = dev.kubectl.get("volumesnapshotcontent", name)
    assert content is not None
    assert content["spec"]["volumeSnapshotRef"]["uid"] == snapshot["metadata"]["uid"]
    assert content["status"]["readyToUse"] is True
    assert snapshot["status"]["restoreSize"] == "1Gi"
    assert {"CreatingSnapshot", "SnapshotCreated", "SnapshotReady"} <= dev.kubectl.reasons(
        "new-snapshot-test"
    )


def test_the_content_of_the_document_is_cut_from_the_volume_it_names(dev: e2e.Dev) -> None:
    volume = dev.folder / "volumes" / "ee0cfb94-f8d4-11e9-b2d8-0242ac110002"
    volume.mkdir()
    (volume / "file").write_text("content")
    dev.kubectl.apply(DYNAMIC_CONTENT)
    name = "snapcontent-72d9a349-aacd-42d2-a240-d775650d2455"
    dev.kubectl.wait(f"volumesnapshotcontent/{name}", "jsonpath={.status.readyToUse}=true")
    content = dev.kubectl.get("volumesnapshotcontent", name)
    assert content is not None
    handle = content["status"]["snapshotHandle"]
    assert (dev.folder / "snapshots" / handle / "file").read_text() == "content"


def test_the_pre_provisioned_pair_ends_bound_and_ready(dev: e2e.Dev) -> None:
    handle = "7bdd0de3-aaeb-11e8-9aae-0242ac110002"
    (dev.folder / "snapshots" / handle).mkdir()
    dev.kubectl.apply(GIVEN_CONTENT)
    dev.kubectl.apply(
        DYNAMIC.replace("persistentVolumeClaimName: pvc-test", "volumeSnapshotContentName: X")
        .replace("X", "new-snapshot-content-test")
        .replace("  volumeSnapshotClassName: csi-hostpath-snapclass\n", "")
    )
    snapshot = dev.kubectl.ready("new-snapshot-test")
    assert snapshot["status"]["boundVolumeSnapshotContentName"] == "new-snapshot-content-test"
    content = dev.kubectl.get("volumesnapshotcontent", "new-snapshot-content-test")
    assert content is not None
    assert content["spec"]["volumeSnapshotRef"]["uid"] == snapshot["metadata"]["uid"]
    assert content["status"]["snapshotHandle"] == handle


def test_a_pre_provisioned_snapshot_waits_for_its_content_and_then_binds(dev: e2e.Dev) -> None:
    dev.kubectl.apply(PRE_PROVISIONED)
    dev.kubectl.wait(
        "volumesnapshot/test-snapshot",
        "jsonpath={.status.error.message}="
        "VolumeSnapshotContent is missing: nobody has made test-content yet",
    )
    waiting = dev.kubectl.get("volumesnapshot", "test-snapshot")
    assert waiting is not None
    assert "boundVolumeSnapshotContentName" not in waiting["status"]
    handle = "7bdd0de3-aaeb-11e8-9aae-0242ac110002"
    (dev.folder / "snapshots" / handle).mkdir()
    dev.kubectl.apply(
        GIVEN_CONTENT.replace("name: new-snapshot-content-test", "name: test-content").replace(
            "name: new-snapshot-test", "name: test-snapshot"
        )
    )
    snapshot = dev.kubectl.ready("test-snapshot")
    assert snapshot["status"]["boundVolumeSnapshotContentName"] == "test-content"
    assert "error" not in snapshot["status"]
