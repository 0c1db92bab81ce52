"""The everyday verbs of kubectl, over both API servers."""

import json
import os
import re
from pathlib import Path

import e2e
import pytest

pytestmark = pytest.mark.e2e

SNAPSHOT = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: snap}
spec: {source: {persistentVolumeClaimName: nothing}}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: claim}
spec:
  storageClassName: nobodys
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
"""


def test_objects_are_made_changed_and_shown(dev: e2e.Dev, tmp_path: Path) -> None:
    kubectl = dev.kubectl
    assert "created" in kubectl.apply(SNAPSHOT)
    assert "unchanged" in kubectl.apply(SNAPSHOT)
    assert "labeled" in kubectl("label", "vs", "snap", "a=b")
    assert "annotated" in kubectl("annotate", "vs", "snap", "c=d")
    patch = '{"spec":{"volumeSnapshotClassName":"one"}}'
    assert "patched" in kubectl("patch", "vs", "snap", "--type=merge", "-p", patch)
    patch = '[{"op":"replace","path":"/spec/volumeSnapshotClassName","value":"two"}]'
    assert "patched" in kubectl("patch", "vs", "snap", "--type=json", "-p", patch)
    assert kubectl("get", "vs", "-l", "a=b", "-o", "name") == (
        "volumesnapshot.snapshot.storage.k8s.io/snap\n"
    )
    wide = kubectl("get", "vs", "snap", "-o", "wide").splitlines()
    assert wide[0].split()[:3] == ["NAME", "READYTOUSE", "SOURCEPVC"]
    columns = "custom-columns=C:.spec.volumeSnapshotClassName"
    assert kubectl("get", "vs", "snap", "-o", columns).split() == ["C", "two"]
    assert re.search(r"Class Name: +two\n", kubectl("describe", "vs", "snap"))
    _edit_and_diff(dev, tmp_path)
    assert "deleted" in kubectl("delete", "vs", "snap", "--timeout=60s")


def _edit_and_diff(dev: e2e.Dev, tmp_path: Path) -> None:
    kubectl = dev.kubectl
    manifest = SNAPSHOT.replace("spec: {", "spec: {volumeSnapshotClassName: three, ")
    different = kubectl.run("diff", "-f", "-", given=manifest)
    assert different.returncode == 1
    assert "+  volumeSnapshotClassName: three" in different.stdout
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/two/edited/ "$1"\n')
    editor.chmod(0o755)
    os.environ["KUBE_EDITOR"] = str(editor)
    try:
        assert "edited" in kubectl("edit", "vs", "snap")
    finally:
        del os.environ["KUBE_EDITOR"]
    kubectl.wait("vs/snap", "jsonpath={.spec.volumeSnapshotClassName}=edited")
    assert "replaced" in kubectl("replace", "-f", "-", given=manifest)


def test_ownership_of_fields_is_kept_and_told(dev: e2e.Dev) -> None:
    kubectl = dev.kubectl
    kubectl.apply(CLAIM)
    applied = kubectl("apply", "--server-side", "-f", "-", given=CLAIM)
    assert "serverside-applied" in applied
    labelled = CLAIM.replace("{name: claim}", "{name: claim, labels: {team: NAME}}")
    one = ["apply", "--server-side", "--field-manager=one", "-f", "-"]
    kubectl(*one, given=labelled.replace("NAME", "red"))
    two = ["apply", "--server-side", "--field-manager=two", "-f", "-"]
    clash = kubectl.run(*two, given=labelled.replace("NAME", "blue"))
    assert clash.returncode == 1
    assert 'conflict with "one"' in clash.stderr
    assert ".metadata.labels.team" in clash.stderr
    kubectl(*two, "--force-conflicts", given=labelled.replace("NAME", "blue"))
    found = kubectl.get("pvc", "claim")
    assert found is not None
    assert found["metadata"]["labels"] == {"team": "blue"}


def test_the_api_explains_itself(dev: e2e.Dev) -> None:
    kubectl = dev.kubectl
    assert "persistentVolumeClaimName" in kubectl("explain", "volumesnapshot.spec.source")
    assert "dataSourceRef" in kubectl("explain", "pvc.spec", "--recursive")
    served = kubectl("api-resources", "--api-group=snapshot.storage.k8s.io", "--no-headers")
    kinds = {line.split()[-1] for line in served.splitlines()}
    assert kinds == {"VolumeSnapshot", "VolumeSnapshotClass", "VolumeSnapshotContent"}
    assert "snapshot.storage.k8s.io/v1beta1" in kubectl("api-versions").splitlines()
    assert kubectl("auth", "can-i", "create", "volumesnapshots").strip() == "yes"


def test_typed_commands_and_a_namespace_with_an_end(dev: e2e.Dev) -> None:
    kubectl = dev.kubectl
    kubectl("create", "configmap", "c", "--from-literal=a=b")
    kubectl("create", "secret", "generic", "s", "--from-literal=p=q")
    secret = json.loads(kubectl("get", "secret", "s", "-o", "json"))
    assert secret["data"] == {"p": "cQ=="}
    kubectl("create", "serviceaccount", "a")
    kubectl("create", "namespace", "n")
    kubectl("create", "configmap", "c", "-n", "n")
    kubectl("delete", "configmap", "c", "-n", "n")
    assert kubectl.run("get", "configmap", "c", "-n", "n").returncode == 1


def test_what_may_not_be_is_refused_with_a_reason(dev: e2e.Dev) -> None:
    kubectl = dev.kubectl
    strict = kubectl.run("create", "-f", "-", given=SNAPSHOT.replace("source:", "sauce:"))
    assert 'unknown field "spec.sauce"' in strict.stderr
    kubectl.apply(CLAIM)
    grown = kubectl.run("patch", "pvc", "claim", "-p", '{"spec":{"accessModes":["ReadWriteMany"]}}')
    assert "spec is immutable after creation" in grown.stderr
    dry = kubectl("apply", "--dry-run=server", "-f", "-", given=SNAPSHOT)
    assert "server dry run" in dry
    assert kubectl.get("volumesnapshot", "snap") is None
