"""Each fault alone: a snapshot taken and deleted during it is taken and deleted all the same.

Its name is then given to another one, which a cache that missed a deletion would take for the old.
"""

import dataclasses
import signal

import e2e
import faulty
import pytest
from fault_plan import Fault, Plan, Rule

pytestmark = pytest.mark.e2e

SNAPSHOT = """
apiVersion: snapshot.storage.k8s.io/v1
kind: VolumeSnapshot
metadata: {name: snap}
spec: {source: {persistentVolumeClaimName: claim}}
"""
OURS = "/apis/snapshot"
WRITES = "POST|PATCH|DELETE"
LEASES = "/leases"
ROLES = ("controller", "sidecar")


def take(cluster: faulty.Cluster) -> None:
    cluster.kubectl.apply(SNAPSHOT)
    cluster.until(lambda: status(cluster).get("readyToUse") is True, "it is not taken")
    assert len(cluster.on_disk()) == 1


def drop(cluster: faulty.Cluster) -> None:
    cluster.kubectl("delete", "volumesnapshot", "snap", "--wait=false")
    cluster.until(lambda: not cluster.kubectl.get("volumesnapshot", "snap"), "it is not deleted")
    assert cluster.on_disk() == set()
    assert cluster.kubectl.items("volumesnapshotcontents") == []
    cluster.until(lambda: not finalizers(cluster), "the claim is not released")


def status(cluster: faulty.Cluster) -> e2e.JsonObject:
    found: e2e.JsonObject = (cluster.kubectl.get("volumesnapshot", "snap") or {}).get("status", {})
    return found


def finalizers(cluster: faulty.Cluster) -> list[str]:
    claim = cluster.kubectl.get("pvc", "claim")
    assert claim is not None
    return [each for each in claim["metadata"].get("finalizers", []) if "snapshot" in each]


def both(rule: Rule) -> list[Rule]:
    """Return the rule for the writes of the controller and of the sidecar."""
    times = rule.times or 3
    ours = dataclasses.replace(rule, path=OURS, method=WRITES, times=times)
    return [dataclasses.replace(ours, who=who) for who in ROLES]


def lines(rule: Rule) -> list[Rule]:
    """Return the rule for events of snapshots and contents, to both roles."""
    ours = dataclasses.replace(rule, path=OURS, line=f'"type":"({rule.line})"', times=2)
    return [dataclasses.replace(ours, who=who) for who in ROLES]


FAULTS = {
    "a delay before": both(Rule(Fault.DELAY_BEFORE, seconds=0.3)),
    "a delay after": both(Rule(Fault.DELAY_AFTER, seconds=0.5)),
    "a request lost": both(Rule(Fault.DROP_BEFORE)),
    "an answer lost": both(Rule(Fault.DROP_AFTER)),
    "a conflict": both(Rule(Fault.CONFLICT)),
    "too many requests": both(Rule(Fault.TOO_MANY, seconds=1.0)),
    "an internal error": both(Rule(Fault.BROKEN)),
    "an unavailable server": both(Rule(Fault.UNAVAILABLE)),
    "an unavailable server that says for how long": both(Rule(Fault.UNAVAILABLE, seconds=1.0)),
    "a half-open connection": both(Rule(Fault.HALF_OPEN, times=1)),
    "a black hole": both(Rule(Fault.BLACK_HOLE, times=1)),
    "a watch cut mid-line": lines(Rule(Fault.CUT, line="MODIFIED")),
    "a watch cut in the line of a deletion": lines(Rule(Fault.CUT, line="DELETED")),
    "a watch whose version is too old": lines(Rule(Fault.EXPIRED, line="MODIFIED")),
    "a watch whose version is too old at a deletion": lines(Rule(Fault.EXPIRED, line="DELETED")),
    "garbage in a watch": lines(Rule(Fault.GARBAGE, line="MODIFIED")),
    "garbage in place of a deletion": lines(Rule(Fault.GARBAGE, line="DELETED")),
    "events told twice": lines(Rule(Fault.REPEAT, line="ADDED|MODIFIED|DELETED")),
    "a watch that falls silent": lines(Rule(Fault.SILENCE, line="MODIFIED", seconds=1.0)),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_snapshot_outlives(cluster: faulty.Cluster, name: str) -> None:
    plan = cluster.disturb(*FAULTS[name])
    take(cluster)
    drop(cluster)
    assert 0 not in plan.struck(), "it did not happen to both roles"
    cluster.calm()
    take(cluster)
    drop(cluster)


def test_a_lease_outlives_one_lost_renewal(cluster: faulty.Cluster) -> None:
    who = cluster.roles["controller-a"].who
    for fault in (Fault.DROP_AFTER, Fault.CONFLICT, Fault.HALF_OPEN):
        plan = cluster.disturb(Rule(fault, who=who, method="PUT", path=LEASES, times=1))

        def lost_one(plan: Plan = plan) -> bool:
            return plan.struck() == [1]

        cluster.until(lost_one, "it does not try to renew")
        before = len(renewals(cluster, who))

        def renewed_twice(before: int = before) -> bool:
            return len(renewals(cluster, who)) > before + 1

        cluster.until(renewed_twice, "it does not renew")
    assert cluster.roles["controller-a"].running
    take(cluster)
    drop(cluster)


def renewals(cluster: faulty.Cluster, who: str) -> list[float]:
    return [e.received for e in cluster.seen(who, LEASES) if e.method == "PUT" and e.status == 200]


def test_a_list_and_a_read_may_arrive_twice(cluster: faulty.Cluster) -> None:
    cluster.roles.pop("controller-a").end(signal.SIGKILL)
    rule = Rule(Fault.TWICE, who="controller")
    cluster.disturb(rule)
    role = cluster.start("controller-a")
    take(cluster)
    assert any(Fault.TWICE in entry.faults for entry in cluster.seen(role.who))
    drop(cluster)


def test_both_roles_outlive_a_restart_of_the_server(cluster: faulty.Cluster) -> None:
    take(cluster)
    cluster.proxy.restart(0.5)
    drop(cluster)
    take(cluster)
    for number in (signal.SIGKILL, signal.SIGTERM):
        cluster.restart_dev(number)
    drop(cluster)
    take(cluster)
    drop(cluster)


def test_a_sidecar_outlives_a_driver_that_is_cut_off_slow_or_stopped(
    cluster: faulty.Cluster,
) -> None:
    cluster.socket.slow(0.05)
    take(cluster)
    cluster.socket.flow()
    assert cluster.socket.cut() > 0
    drop(cluster)
    cluster.socket.hold()
    cluster.kubectl.apply(SNAPSHOT)
    cluster.until(lambda: "error" in status(cluster), "nobody tells of it")
    cluster.socket.flow()
    cluster.until(lambda: status(cluster).get("readyToUse") is True, "it is not taken")
    drop(cluster)
