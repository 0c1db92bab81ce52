"""Groups switched off, and a server that has no groups yet: single snapshots go on as ever."""

import signal
from collections.abc import Iterator
from pathlib import Path

import apart
import clusters
import controlplane
import e2e
import pytest

pytestmark = pytest.mark.e2e

KINDS = ("volumegroupsnapshots", "volumegroupsnapshotcontents", "volumegroupsnapshotclasses")
DEFINITIONS = [f"{kind}.groupsnapshot.storage.k8s.io" for kind in KINDS]
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: source, labels: {app: db}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
SNAPSHOT = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: snap}
spec: {source: {persistentVolumeClaimName: source}}
"""
CLASS = """
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshotClass
metadata: {name: grouped}
driver: hostpath.csi.k8s.io
deletionPolicy: Delete
"""
GROUP = """
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: all}
spec: {source: {selector: {matchLabels: {app: db}}}, volumeGroupSnapshotClassName: grouped}
"""


@pytest.fixture
def dev(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[apart.Apart]:
    """Everything but the roles."""
    if request.param == "kubeconfig":
        pytest.skip("the definitions of a cluster are somebody's")
    try:
        with apart.running(request.param, tmp_path) as running:
            yield running
    except controlplane.Unobtainable as error:
        pytest.skip(str(error))


def synced(dev: apart.Apart, roles: list[e2e.Part]) -> None:
    for each in roles:
        dev.until(each.synced, f"it does not start: {each.log.read_text()}")


def ready(dev: apart.Apart) -> None:
    dev.kubectl.wait("volumegroupsnapshot/all", "jsonpath={.status.readyToUse}=true")
    (member,) = dev.kubectl.members("all")
    assert member["status"]["readyToUse"] is True


def test_groups_that_are_switched_off_are_left_alone_until_they_are_on(dev: apart.Apart) -> None:
    off = dev.start_roles("--feature-gates=CSIVolumeGroupSnapshot=false")
    synced(dev, off)
    dev.kubectl.apply(CLASS)
    dev.kubectl.apply(CLAIM)
    dev.kubectl.apply(GROUP)
    dev.kubectl.apply(SNAPSHOT)
    dev.kubectl.ready("snap")
    group = dev.kubectl.get("volumegroupsnapshot", "all")
    assert group is not None
    assert "status" not in group
    assert "finalizers" not in group["metadata"]
    assert not dev.kubectl.reasons("all")
    assert dev.kubectl.items("volumegroupsnapshotcontent") == []
    assert all("goes_on_without" not in each.log.read_text() for each in off)
    assert [each.stop(signal.SIGTERM) for each in off] == [0, 0]
    dev.start_roles()
    ready(dev)


def test_a_server_without_groups_is_told_once_and_gets_them_without_a_restart(
    dev: apart.Apart,
) -> None:
    dev.kubectl("delete", "crd", *DEFINITIONS)
    roles = dev.start_roles("--retry-crd-interval-max=500ms")
    synced(dev, roles)
    dev.kubectl.apply(CLAIM)
    dev.kubectl.apply(SNAPSHOT)
    dev.kubectl.ready("snap")
    dev.kubectl("apply", "-k", str(clusters.CONFIG / "crd"))
    dev.kubectl("wait", "crd", *DEFINITIONS, "--for=condition=Established", "--timeout=60s")
    dev.kubectl.apply(CLASS)
    dev.kubectl.apply(GROUP)
    ready(dev)
    dev.kubectl("delete", "volumegroupsnapshot", "all")
    for each in roles:
        log = each.log.read_text()
        (told,) = [line for line in log.splitlines() if "goes_on_without" in line]
        assert "kubectl apply -k config/crd" in told
        assert "Traceback" not in log
