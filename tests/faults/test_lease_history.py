"""The judge of the soak blames what it must blame, and nothing else."""

import pytest
from fault_plan import Entry
from lease_history import judge, tenures

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/x"


def hold(who: str, at: float, holder: str = "me", status: int = 200) -> Entry:
    return Entry(
        who, "PUT", LEASE, at, forwarded=at, answered=at + 0.1, status=status, holder=holder
    )


def write(who: str, at: float, path: str = "/apis/snapshot.storage.k8s.io/v1/x") -> Entry:
    return Entry(who, "PATCH", path, at, forwarded=at, answered=at, status=200)


HISTORY = [
    hold("controller-a.1", 10.0),
    hold("controller-a.1", 12.0),
    hold("controller-b.1", 13.0, status=409),
    hold("sidecar-a.1", 13.0),
    hold("controller-b.1", 16.0),
    hold("controller-b.1", 17.0, holder=""),
    hold("controller-a.2", 17.5),
    hold("controller-b.2", 18.0),
]


@pytest.mark.parametrize(
    ("who", "at"),
    [
        ("controller-a.1", 10.2),
        ("controller-a.1", 14.9),
        ("controller-b.1", 16.5),
        ("controller-a.2", 18.05),
        ("controller-b.2", 21.0),
    ],
)
def test_who_holds_the_lease_may_write(who: str, at: float) -> None:
    verdict = judge([write(who, at)], "controller", tenures(HISTORY, "controller", 3.0), {})
    assert (verdict.blamed, verdict.excused, verdict.fair) == ([], [], 1)


@pytest.mark.parametrize(
    ("who", "at"),
    [
        ("controller-a.1", 9.0),
        ("controller-a.1", 10.05),
        ("controller-a.1", 15.1),
        ("controller-a.1", 16.5),
        ("controller-b.1", 13.5),
        ("controller-b.1", 17.05),
        ("controller-a.2", 18.2),
        ("controller-b.2", 21.1),
        ("controller-c.1", 14.0),
    ],
)
def test_who_does_not_hold_it_is_blamed_for_a_write(who: str, at: float) -> None:
    verdict = judge([write(who, at)], "controller", tenures(HISTORY, "controller", 3.0), {})
    assert len(verdict.blamed) == 1


def test_events_leases_and_other_roles_are_left_out() -> None:
    log = [
        write("controller-a.1", 1.0, "/api/v1/namespaces/default/events"),
        hold("controller-a.1", 1.0),
        write("sidecar-a.1", 1.0),
        Entry("controller-a.1", "GET", "/x", 1.0, forwarded=1.0, answered=1.0, status=200),
        Entry("controller-a.1", "POST", "/x", 1.0),
    ]
    verdict = judge(log, "controller", [], {})
    assert (verdict.blamed, verdict.fair) == ([], 0)


def test_one_write_a_freeze_is_excused_just_after_waking() -> None:
    late = [write("controller-a.1", at) for at in (20.01, 20.02, 20.2)]
    held = tenures(HISTORY, "controller", 3.0)
    verdict = judge(late, "controller", held, {"controller-a.1": [20.0]})
    assert (len(verdict.excused), len(verdict.blamed)) == (1, 2)
