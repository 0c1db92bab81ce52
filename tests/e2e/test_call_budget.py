"""What a snapshot, and a group, cost the API server, by its own count: a budget that is kept."""

import re
import subprocess
from collections import Counter

import choice
import e2e
import pytest

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def alone(request: pytest.FixtureRequest) -> None:
    if "kubeconfig" in choice.servers(request.config):
        pytest.skip("somebody else's calls are in the counters of a cluster")


SNAPSHOT = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: snap}
spec: {source: {persistentVolumeClaimName: source}, volumeSnapshotClassName: CLASS}
"""
CLAIM = """
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: source}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
"""
VOLUMES = 50  # in the group
GROUP = """
apiVersion: groupsnapshot.storage.k8s.io/v1
kind: VolumeGroupSnapshot
metadata: {name: all}
spec:
  source: {selector: {matchLabels: {app: db}}}
  volumeGroupSnapshotClassName: csi-hostpath-groupsnapclass
"""
_LINE = re.compile(r"apiserver_request_total\{(.*)\} (\d+)")
_VERBS = {"GET", "POST", "PATCH", "DELETE", "PUT"}
_OURS = {"volumesnapshots", "volumesnapshotcontents", "persistentvolumeclaims"}
_OF_GROUPS = {"volumegroupsnapshots", "volumegroupsnapshotcontents", "events"}


def counted(dev: e2e.Dev) -> Counter[str]:
    """Return the requests so far by verb and resource, without lists, watches and failures."""
    found: Counter[str] = Counter()
    for labels, number in _LINE.findall(dev.kubectl("get", "--raw", "/metrics")):
        told = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if told["resource"] in _OURS | _OF_GROUPS and told["verb"] in _VERBS:
            what = told["resource"] + ("/status" if told["subresource"] else "")
            found[f"{told['verb']} {what}"] += int(number)
    return found


def settled(dev: e2e.Dev) -> Counter[str]:
    """Return the count once it stands still."""
    seen = [counted(dev)]

    def still() -> bool:
        seen.append(counted(dev))
        return len(seen) > 8 and all(each == seen[-1] for each in seen[-8:])

    dev.until(still, "the requests do not end")
    return seen[-1]


def test_one_snapshot_costs_six_writes_and_no_get(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIM)
    dev.kubectl.wait("pvc/source", "jsonpath={.status.phase}=Bound")
    before = settled(dev)
    made = subprocess.run(
        [*dev.kubectl.command, "create", "-f", "-"],
        input=SNAPSHOT.replace("CLASS", "csi-hostpath-snapclass"),
        text=True,
        check=True,
        capture_output=True,
    )
    assert "created" in made.stdout
    dev.kubectl("wait", "volumesnapshot", "--all", "--for=jsonpath={.status.readyToUse}=true")
    cost = settled(dev) - before
    cost.subtract({"POST volumesnapshots": 1})  # the user's own
    assert cost.pop("POST events") == 3  # it is being created, was created, is ready
    assert +cost == {
        "PATCH persistentvolumeclaims": 2,
        "PATCH volumesnapshots": 1,
        "POST volumesnapshotcontents": 1,
        "PATCH volumesnapshotcontents/status": 1,
        "PATCH volumesnapshots/status": 1,
    }


def test_one_deletion_costs_four_writes_and_no_get(dev: e2e.Dev) -> None:
    dev.kubectl.apply(CLAIM)
    dev.kubectl.apply(SNAPSHOT.replace("CLASS", "csi-hostpath-snapclass"))
    dev.kubectl.ready("snap")
    before = settled(dev)
    dev.kubectl("delete", "volumesnapshot", "snap", "--wait=false")
    dev.kubectl("wait", "volumesnapshot", "--all", "--for=delete", "--timeout=60s")
    cost = settled(dev) - before
    cost.subtract({"DELETE volumesnapshots": 1})  # the user's own
    gets = cost.pop("GET volumesnapshots", 0)
    assert gets <= 2  # kubectl looks whether it is gone
    assert +cost == {
        "PATCH volumesnapshotcontents": 2,
        "DELETE volumesnapshotcontents": 1,
        "PATCH volumesnapshots": 1,
    }


def claims_of_a_group(dev: e2e.Dev) -> None:
    labelled = "{name: source-NUMBER, labels: {app: db}}"
    claim = CLAIM.replace("{name: source}", labelled)
    claims = [claim.replace("NUMBER", str(number)) for number in range(VOLUMES)]
    dev.kubectl.apply("---".join(claims))
    dev.kubectl("wait", "pvc", "--all", "--for=jsonpath={.status.phase}=Bound", "--timeout=60s")


def cut(dev: e2e.Dev) -> None:
    dev.kubectl("create", "-f", "-", given=GROUP)
    ready = "--for=jsonpath={.status.readyToUse}=true"
    dev.kubectl("wait", "volumegroupsnapshot", "--all", ready, "--timeout=60s")


def test_a_group_costs_four_writes_a_member_two_a_claim_and_no_get(dev: e2e.Dev) -> None:
    claims_of_a_group(dev)
    before = settled(dev)
    cut(dev)
    cost = settled(dev) - before
    cost.subtract({"POST volumegroupsnapshots": 1})  # the user's own
    # Many members take longer than a status is held back: bound is told first, ready then.
    assert cost.pop("PATCH volumegroupsnapshots/status") <= 2
    # And a call that takes longer than that is marked, and its mark removed.
    assert cost.pop("PATCH volumegroupsnapshotcontents", 0) in {0, 2}
    assert +cost == {
        "PATCH persistentvolumeclaims": 2 * VOLUMES,
        "PATCH volumegroupsnapshots": 1,
        "POST volumegroupsnapshotcontents": 1,
        "PATCH volumegroupsnapshotcontents/status": 1,
        "POST volumesnapshots": VOLUMES,
        "POST volumesnapshotcontents": VOLUMES,
        "PATCH volumesnapshotcontents/status": VOLUMES,
        "PATCH volumesnapshots/status": VOLUMES,
        "POST events": 3,  # it is being created, was created, is ready
    }


def test_a_groups_deletion_costs_five_writes_a_member_and_no_get(dev: e2e.Dev) -> None:
    claims_of_a_group(dev)
    cut(dev)
    before = settled(dev)
    dev.kubectl("delete", "volumegroupsnapshot", "all", "--wait=false")
    kinds = (
        "volumegroupsnapshots,volumegroupsnapshotcontents,volumesnapshots,volumesnapshotcontents"
    )
    dev.until(lambda: not dev.kubectl("get", kinds, "-o", "name"), "something is left")
    cost = settled(dev) - before
    cost.subtract({"DELETE volumegroupsnapshots": 1})  # the user's own
    assert +cost == {
        "PATCH volumegroupsnapshotcontents": 2,
        "DELETE volumegroupsnapshotcontents": 1,
        "PATCH volumegroupsnapshots": 1,
        "DELETE volumesnapshots": VOLUMES,
        "PATCH volumesnapshotcontents": 2 * VOLUMES,
        "DELETE volumesnapshotcontents": VOLUMES,
        "PATCH volumesnapshots": VOLUMES,
    }
