"""Groups as users make them: cut as one, restored one by one, kept or let go together."""

from pathlib import Path

import e2e
import pytest

pytestmark = pytest.mark.e2e

CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: NAME, labels: {app: db, tier: NAME}}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
"""
CLAIMS = "".join(CLAIM.replace("NAME", name) for name in ("data", "index", "log"))
GROUP = """
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: all}
spec: {source: {selector: {matchLabels: {app: db}}}}
"""
RETAINED = GROUP.replace("spec: {", "spec: {volumeGroupSnapshotClassName: retain, ")
CLASS = """
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshotClass
metadata: {name: NAME}
driver: DRIVER
deletionPolicy: Retain
"""
RETAIN = CLASS.replace("NAME", "retain").replace("DRIVER", "hostpath.csi.k8s.io")
RESTORE = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: CLAIM-restored}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
  dataSource: {apiGroup: snapshot.storage.k8s.io, kind: VolumeSnapshot, name: MEMBER}
---
"""
FOREIGN = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: foreign, labels: {app: db}}
spec:
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
  storageClassName: other
  volumeName: foreign-NAMESPACE
"""
FOREIGN_VOLUME = """
apiVersion: v1
kind: PersistentVolume
metadata: {name: foreign-NAMESPACE}
spec:
  accessModes: [ReadWriteOnce]
  capacity: {storage: 1Gi}
  storageClassName: other
  claimRef: {apiVersion: v1, kind: PersistentVolumeClaim, name: foreign, namespace: default}
  csi: {driver: other.example.com, volumeHandle: elsewhere}
"""


def write(dev: e2e.Dev, text: str) -> None:
    """Write the same into the volume of each claim, once there is one."""
    dev.kubectl("wait", "pvc", "-l", "app=db", "--for=jsonpath={.status.phase}=Bound")
    for claim in ("data", "index", "log"):
        (dev.volume_of(claim) / "round").write_text(text)


def group(dev: e2e.Dev, name: str = "all") -> e2e.JsonObject:
    found = dev.kubectl.get("volumegroupsnapshot", name)
    assert found is not None
    return found


def ready(dev: e2e.Dev, name: str = "all") -> e2e.JsonObject:
    """Return a group once it is ready."""
    dev.kubectl.wait(f"volumegroupsnapshot/{name}", "jsonpath={.status.readyToUse}=true")
    return group(dev, name)


def told(dev: e2e.Dev, name: str = "all") -> str:
    """Return what a group tells of its failure, once it does."""
    dev.kubectl.wait(f"volumegroupsnapshot/{name}", "jsonpath={.status.error.message}")
    return str(group(dev, name)["status"]["error"]["message"])


def contents(dev: e2e.Dev, members: list[e2e.JsonObject]) -> list[e2e.JsonObject]:
    """Return the contents of members."""
    names = [each["status"]["boundVolumeSnapshotContentName"] for each in members]
    found = [dev.kubectl.get("volumesnapshotcontent", name) for name in names]
    return [each for each in found if each is not None]


def trees(dev: e2e.Dev, of: list[e2e.JsonObject]) -> list[Path]:
    """Return where the files of contents are."""
    return [dev.folder / "snapshots" / str(each["status"]["snapshotHandle"]) for each in of]


def gone(dev: e2e.Dev, kind: str, objects: list[e2e.JsonObject]) -> None:
    for each in objects:
        dev.kubectl.wait(f"{kind}/{each['metadata']['name']}", "delete")


def test_a_group_is_cut_at_one_moment_restored_and_let_go(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIMS)
    write(dev, "before")
    dev.kubectl.apply(GROUP)
    made = ready(dev)
    assert made["spec"]["volumeGroupSnapshotClassName"] == "csi-hostpath-groupsnapclass"
    assert {"CreatingGroupSnapshot", "GroupSnapshotReady"} <= dev.kubectl.reasons("all")
    members = dev.kubectl.members("all")
    sources = [each["spec"]["source"]["persistentVolumeClaimName"] for each in members]
    assert sources == ["data", "index", "log"]
    for each in members:
        assert each["status"]["readyToUse"] is True
        assert each["status"]["volumeGroupSnapshotName"] == "all"
        assert each["status"]["creationTime"] == made["status"]["creationTime"]
    write(dev, "after")
    for claim, each in zip(sources, members, strict=True):
        name = each["metadata"]["name"]
        dev.kubectl.apply(RESTORE.replace("CLAIM", claim).replace("MEMBER", name))
    for claim in sources:
        dev.kubectl.wait(f"pvc/{claim}-restored", "jsonpath={.status.phase}=Bound")
        assert (dev.volume_of(f"{claim}-restored") / "round").read_text() == "before"
    owned = contents(dev, members)
    content = made["status"]["boundVolumeGroupSnapshotContentName"]
    dev.kubectl("delete", "volumegroupsnapshot", "all")
    gone(dev, "volumesnapshot", members)
    gone(dev, "volumesnapshotcontent", owned)
    assert dev.kubectl.get("volumegroupsnapshotcontent", content) is None
    assert not any(tree.exists() for tree in trees(dev, owned))
    assert not dev.kubectl.reasons(members[0]["metadata"]["name"])


def test_policy_retain_keeps_contents_and_files_and_they_can_be_given_again(dev: e2e.Dev) -> None:
    dev.kubectl.apply(RETAIN)
    dev.kubectl.apply(CLAIMS)
    write(dev, "before")
    dev.kubectl.apply(RETAINED)
    name = ready(dev)["status"]["boundVolumeGroupSnapshotContentName"]
    members = dev.kubectl.members("all")
    owned = contents(dev, members)
    dev.kubectl("delete", "volumegroupsnapshot", "all")
    gone(dev, "volumesnapshot", members)
    kept = dev.kubectl.get("volumegroupsnapshotcontent", name)
    assert kept is not None
    assert len(contents(dev, members)) == len(members)
    assert all(tree.is_dir() for tree in trees(dev, owned))
    handles = [each["status"]["snapshotHandle"] for each in owned]
    dev.kubectl.apply(given(kept["status"]["volumeGroupSnapshotHandle"], handles))
    assert ready(dev, "given")["status"]["creationTime"] == kept["status"]["creationTime"]
    adopted = [dev.kubectl.ready(f"given-{number}") for number in range(len(handles))]
    assert {each["status"]["volumeGroupSnapshotName"] for each in adopted} == {"given"}
    dev.kubectl.apply(RESTORE.replace("CLAIM", "data").replace("MEMBER", "given-0"))
    dev.kubectl.wait("pvc/data-restored", "jsonpath={.status.phase}=Bound")
    assert (dev.volume_of("data-restored") / "round").read_text() == "before"
    dev.kubectl("delete", "volumegroupsnapshot", "given")
    gone(dev, "volumesnapshot", adopted)
    assert len(contents(dev, adopted)) == len(handles)
    assert all(tree.is_dir() for tree in trees(dev, owned))


def given(group_handle: str, handles: list[str]) -> str:
    """Return a group with its members, made by hand for what is on storage."""
    lists = ", ".join(handles)
    pairs = [
        f"""
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshotContent
metadata: {{name: given}}
spec:
  deletionPolicy: Retain
  driver: hostpath.csi.k8s.io
  source:
    groupSnapshotHandles:
      volumeGroupSnapshotHandle: {group_handle}
      volumeSnapshotHandles: [{lists}]
  volumeGroupSnapshotRef: {{name: given, namespace: default}}
---
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {{name: given}}
spec: {{source: {{volumeGroupSnapshotContentName: given}}}}
"""
    ]
    pairs += [
        f"""
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshotContent
metadata: {{name: given-{number}}}
spec:
  deletionPolicy: Retain
  driver: hostpath.csi.k8s.io
  source: {{snapshotHandle: {handle}}}
  volumeSnapshotRef: {{name: given-{number}, namespace: default}}
---
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {{name: given-{number}}}
spec: {{source: {{volumeSnapshotContentName: given-{number}}}}}
"""
        for number, handle in enumerate(handles)
    ]
    return "---".join(pairs)


def test_expressions_select_and_a_claim_that_is_left_out_is_left_alone(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIMS)
    write(dev, "before")
    expressions = (
        "matchExpressions: [{key: app, operator: Exists}, "
        "{key: tier, operator: NotIn, values: [log]}]"
    )
    dev.kubectl.apply(GROUP.replace("matchLabels: {app: db}", expressions))
    ready(dev)
    members = dev.kubectl.members("all")
    assert [each["spec"]["source"]["persistentVolumeClaimName"] for each in members] == [
        "data",
        "index",
    ]


def test_a_claim_that_is_not_bound_is_told_and_nothing_is_cut_until_it_is(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIMS)
    unbound = CLAIM.replace("NAME", "unbound")
    dev.kubectl.apply(unbound.replace("spec: {", "spec: {storageClassName: nobodys, "))
    dev.kubectl.apply(GROUP)
    assert "unbound is not yet bound to a PV" in told(dev)
    assert dev.kubectl.members("all") == []
    dev.kubectl("delete", "pvc", "unbound")
    assert "error" not in ready(dev)["status"]
    assert len(dev.kubectl.members("all")) == 3


def test_a_volume_of_another_driver_is_told(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIMS)
    write(dev, "before")
    namespace = dev.kubectl.namespace
    dev.kubectl.apply(FOREIGN_VOLUME.replace("NAMESPACE", namespace))
    dev.kubectl.apply(FOREIGN.replace("NAMESPACE", namespace))
    bound = '{"status": {"phase": "Bound"}}'
    dev.kubectl("patch", "pvc", "foreign", "--subresource=status", "--type=merge", "-p", bound)
    named = "spec: {volumeGroupSnapshotClassName: csi-hostpath-groupsnapclass, "
    dev.kubectl.apply(GROUP.replace("spec: {", named))
    assert "other.example.com" in told(dev)
    assert dev.kubectl.members("all") == []


def test_a_selector_that_fits_no_claim_is_told_and_fits_the_first_that_comes(dev: e2e.Dev) -> None:
    dev.kubectl.apply(GROUP)
    assert "selects no PersistentVolumeClaim in namespace" in told(dev)
    dev.kubectl.apply(CLAIM.replace("NAME", "data"))
    assert "error" not in ready(dev)["status"]


def test_a_member_does_not_go_alone(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIMS)
    dev.kubectl.apply(GROUP)
    ready(dev)
    members = dev.kubectl.members("all")
    name = members[0]["metadata"]["name"]
    dev.kubectl("delete", "volumesnapshot", name, "--wait=false")
    dev.until(lambda: "SnapshotDeletePending" in dev.kubectl.reasons(name), "nobody tells")
    assert dev.kubectl.get("volumesnapshot", name) is not None
    owned = contents(dev, members)
    assert all(tree.is_dir() for tree in trees(dev, owned))
    dev.kubectl("delete", "volumegroupsnapshot", "all")
    gone(dev, "volumesnapshot", members)
    assert not any(tree.exists() for tree in trees(dev, owned))
