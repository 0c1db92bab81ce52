"""`snapshotd explain`, as a person runs it: with a kubeconfig and nothing else."""

import json
import subprocess

import e2e
import pytest

pytestmark = pytest.mark.e2e

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: source}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
"""
SNAPSHOT = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: NAME}
spec: {source: {persistentVolumeClaimName: source}, volumeSnapshotClassName: CLASS}
"""


def explain(dev: e2e.Dev, *words: str) -> subprocess.CompletedProcess[str]:
    command = [e2e.program("snapshotd"), "explain", f"--kubeconfig={dev.kubeconfig}", *words]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=e2e.PATIENCE, check=False
    )


def test_a_snapshot_is_explained_from_its_first_trouble_to_its_end(dev: e2e.Dev) -> None:
    here = ["-n", dev.kubectl.namespace]
    dev.kubectl.apply(CLAIM + SNAPSHOT.replace("NAME", "one").replace("CLASS", "missing"))
    dev.kubectl.wait("pvc/source", "jsonpath={.status.phase}=Bound")
    told = explain(dev, *here, "one")
    assert told.returncode == 4, told.stderr
    assert '"missing" not found' in told.stdout
    assert "Somebody must act: a cluster administrator." in told.stdout

    dev.kubectl.apply(SNAPSHOT.replace("NAME", "one").replace("CLASS", "csi-hostpath-snapclass"))
    found = dev.kubectl.ready("one")
    assert explain(dev, *here, "one").returncode == 0
    content = found["status"]["boundVolumeSnapshotContentName"]
    assert explain(dev, f"content/{content}").returncode == 0
    assert explain(dev, *here, "pvc/source").returncode == 0
    everything = explain(dev, *here, "--all", "-o", "json")
    assert (everything.returncode, json.loads(everything.stdout)) == (0, [])

    dev.faults({"methods": {"DeleteSnapshot": {"code": "FAILED_PRECONDITION"}}})
    dev.kubectl("delete", "volumesnapshot", "one", "--wait=false")
    dev.until(lambda: explain(dev, *here, "one").returncode == 4, "nobody says what holds it")
    (report,) = json.loads(explain(dev, *here, "--all", "-o", "json").stdout)
    assert "cannot be deleted on storage" in report["verdict"]["told"]
    dev.faults({})
    dev.kubectl("wait", "volumesnapshot/one", "--for=delete", f"--timeout={e2e.PATIENCE:g}s")


GROUP = """
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: both}
spec: {source: {selector: {matchLabels: {app: db}}}}
"""


def test_a_group_is_explained_with_its_members_and_its_content(dev: e2e.Dev) -> None:
    here = ["-n", dev.kubectl.namespace]
    dev.kubectl.apply(CLAIM + GROUP)
    dev.kubectl.wait("pvc/source", "jsonpath={.status.phase}=Bound")
    told = explain(dev, *here, "group/both")
    assert told.returncode == 4, told.stderr
    assert "selects no PersistentVolumeClaim" in told.stdout
    (report,) = json.loads(explain(dev, *here, "--all", "-o", "json").stdout)
    assert report["subject"] == f"VolumeGroupSnapshot {dev.kubectl.namespace}/both"

    dev.kubectl("label", "pvc", "source", "app=db")
    dev.kubectl.wait("volumegroupsnapshot/both", "jsonpath={.status.readyToUse}=true")
    told = explain(dev, *here, "vgs/both", "-o", "json")
    assert told.returncode == 0, told.stdout
    (report,) = json.loads(told.stdout)
    own, of_member = report["findings"][-2:]
    assert own["told"] == of_member["told"] == "is ready to use"
    assert own["about"] == report["subject"]
    found = dev.kubectl.get("volumegroupsnapshot", "both")
    assert found is not None
    content = found["status"]["boundVolumeGroupSnapshotContentName"]
    assert explain(dev, f"groupcontent/{content}").returncode == 0
    (member,) = dev.kubectl.items("volumesnapshots")
    told = explain(dev, *here, member["metadata"]["name"])
    assert told.returncode == 0, told.stdout
    assert "is the group snapshot that it is a member of" in told.stdout

    dev.kubectl("delete", "volumesnapshot", member["metadata"]["name"], "--wait=false")
    told = explain(dev, *here, member["metadata"]["name"])
    assert told.returncode == 4, told.stdout
    assert f"kubectl -n {dev.kubectl.namespace} delete volumegroupsnapshot both" in told.stdout
    dev.kubectl("delete", "volumegroupsnapshot", "both", f"--timeout={e2e.PATIENCE:g}s")
    dev.until(
        lambda: explain(dev, *here, "--all", "-o", "json").stdout.strip() == "[]",
        "something is left that is not settled",
    )


def test_what_is_not_there_is_told_in_a_sentence(dev: e2e.Dev) -> None:
    told = explain(dev, "nothing")
    assert (told.returncode, told.stdout) == (2, "")
    assert told.stderr == "snapshotd: there is no VolumeSnapshot default/nothing\n"
    assert explain(dev).returncode == 2
    assert explain(dev, "odd/name").returncode == 2
