"""One group content in three versions, as kubectl sees it, on both API servers.

The embedded server converts in its own process, or asks a `snapshotd webhook`; the real one asks.
"""

import base64
import contextlib
import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import certificates
import choice
import controlplane
import converting
import e2e
import pytest

pytestmark = pytest.mark.e2e

JsonObject = dict[str, Any]

CRDS = Path(__file__).parents[2] / "config" / "crd"
GROUP = "groupsnapshot.storage.k8s.io"
KIND = "volumegroupsnapshotcontents"
CONTENT = """
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshotContent
metadata: {name: cut, labels: {a: b}}
spec:
  deletionPolicy: Delete
  driver: d
  source: {volumeHandles: [v, w]}
  volumeGroupSnapshotRef: {name: group, namespace: ns}
"""
FIRST: JsonObject = {
    "volumeHandle": "v",
    "snapshotHandle": "s",
    "creationTime": 1_700_000_000_000_000_001,
    "readyToUse": True,
    "restoreSize": 5,
}
SECOND: JsonObject = {**FIRST, "volumeHandle": "w", "snapshotHandle": "t", "readyToUse": False}


def pair(entry: JsonObject) -> JsonObject:
    return {name: entry[name] for name in ("volumeHandle", "snapshotHandle")}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    ways = {"embedded": ["in-process", "embedded-asks"], "real": ["real-asks"], "kubeconfig": []}
    chosen = [way for server in choice.servers(metafunc.config) for way in ways[server]]
    metafunc.parametrize("cluster", chosen, indirect=True)


@pytest.fixture
def cluster(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[e2e.Kubectl]:
    """A cluster that converts."""
    with contextlib.ExitStack() as stack:
        try:
            kubectl = stack.enter_context(_cluster(tmp_path, real=request.param == "real-asks"))
        except controlplane.Unobtainable as error:
            pytest.skip(str(error))
        if request.param != "in-process":
            client = stack.enter_context(_webhook(tmp_path))
            webhook = {
                "clientConfig": {**client, "service": None},
                "conversionReviewVersions": ["v1"],
            }
            change = {"spec": {"conversion": {"strategy": "Webhook", "webhook": webhook}}}
            kubectl("patch", "crd", f"{KIND}.{GROUP}", "--type=merge", "-p", json.dumps(change))
        yield kubectl


@contextlib.contextmanager
def _cluster(folder: Path, *, real: bool) -> Iterator[e2e.Kubectl]:
    if real:
        with controlplane.running(folder / "plane") as plane:
            kubectl = e2e.Kubectl(plane.administrator)
            kubectl("apply", "-k", str(CRDS))
            kubectl("wait", "crd", "--all", "--for=condition=Established", "--timeout=60s")
            yield kubectl
        return
    dev = e2e.Dev(folder / "d").started()
    try:
        yield dev.kubectl
    finally:
        code = dev.stop()
    assert code == 0


@contextlib.contextmanager
def _webhook(folder: Path) -> Iterator[JsonObject]:
    """Run `snapshotd webhook`, and return how a definition names it."""
    identity = certificates.make()
    files = converting.Files(folder).put(identity)
    words = ["--tls-cert-file", str(files.chain), "--tls-private-key-file", str(files.key)]
    part = e2e.Part(folder / "log", "webhook", *words, "--port", "0", "--logging-format", "json")
    try:
        port = converting.said(part, "webhook_listening")["port"]
        bundle = base64.b64encode(identity.certificate).decode()
        yield {"url": f"https://127.0.0.1:{port}/convert", "caBundle": bundle}
    finally:
        part.stop(signal.SIGTERM)


def read(kubectl: e2e.Kubectl, version: str) -> JsonObject:
    found = kubectl.get(f"{KIND}.{version}.{GROUP}", "cut")
    assert found is not None
    assert found["apiVersion"] == f"{GROUP}/{version}"
    return found


def told(kubectl: e2e.Kubectl, version: str, status: JsonObject) -> None:
    change = json.dumps({"status": status})
    words = ["--subresource=status", "--type=merge", "-p", change]
    kubectl("patch", f"{KIND}.{version}.{GROUP}", "cut", *words)


def test_one_content_is_read_and_written_in_each_version(cluster: e2e.Kubectl) -> None:
    cluster.apply(CONTENT)
    told(cluster, "v1", {"volumeSnapshotInfoList": [FIRST, SECOND]})
    # A real server takes a moment to hear of the webhook that its definition names.
    pairs = "jsonpath={.status.volumeSnapshotHandlePairList}"
    cluster.wait(f"{KIND}.v1beta1.{GROUP}/cut", pairs)
    for version in ("v1", "v1beta2"):
        found = read(cluster, version)
        assert found["status"] == {"volumeSnapshotInfoList": [FIRST, SECOND]}
    old = read(cluster, "v1beta1")
    assert old["status"] == {"volumeSnapshotHandlePairList": [pair(FIRST), pair(SECOND)]}
    assert old["metadata"]["labels"] == {"a": "b"}

    # An old client knows pairs alone: it lists them in another order, and adds one.
    added = {"volumeHandle": "x", "snapshotHandle": "u"}
    pairs_now = [pair(SECOND), pair(FIRST), added]
    told(cluster, "v1beta1", {"volumeSnapshotHandlePairList": pairs_now})
    assert read(cluster, "v1")["status"] == {"volumeSnapshotInfoList": [SECOND, FIRST, added]}
    assert read(cluster, "v1beta1")["status"] == {"volumeSnapshotHandlePairList": pairs_now}

    [listed] = cluster.items(f"{KIND}.v1beta1.{GROUP}")
    assert listed["status"] == {"volumeSnapshotHandlePairList": pairs_now}
    table = cluster("get", f"{KIND}.v1beta1.{GROUP}", "--no-headers")
    assert table.split()[:3] == ["cut", "Delete", "d"]
    cluster("annotate", f"{KIND}.v1beta1.{GROUP}", "cut", "c=d")
    found = read(cluster, "v1")
    assert found["status"] == {"volumeSnapshotInfoList": [SECOND, FIRST, added]}
    assert found["metadata"]["annotations"]["c"] == "d"
    assert not any("info-list" in name for name in found["metadata"]["annotations"])
    definition = cluster.get("crd", f"{KIND}.{GROUP}")
    assert definition is not None
    assert definition["status"]["storedVersions"] == ["v1beta2"]
    cluster("delete", f"{KIND}.v1beta1.{GROUP}", "cut", "--timeout=60s")
    assert cluster.items(f"{KIND}.{GROUP}") == []
