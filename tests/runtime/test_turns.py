"""Whose turn it is: priorities, tenants in a ring, and nobody who starves."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from snapshotd.runtime import turns, workqueue
from snapshotd.runtime.turns import Place, Priority, Turns

KEYS = st.sampled_from("abcdefghij")
PRIORITIES = st.sampled_from(Priority)
TENANTS = st.sampled_from(["red", "green", "blue"])


class TakingTurns(RuleBasedStateMachine):
    """Against a naive model: one list of all keys, and one of each priority's tenants."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: Turns[str] = Turns()
        self.keys: list[tuple[str, Priority, str, float]] = []  # in order of arrival
        self.rings: dict[Priority, list[str]] = {each: [] for each in Priority}
        self.passed = dict.fromkeys(Priority, 0)
        self.now = 0.0

    def line(self, priority: Priority, tenant: str) -> list[tuple[str, Priority, str, float]]:
        return [each for each in self.keys if each[1] is priority and each[2] == tenant]

    def join(self, key: str, priority: Priority, *, tenant: str, since: float) -> None:
        if tenant not in self.rings[priority]:
            self.rings[priority].append(tenant)
        self.keys.append((key, priority, tenant, since))

    def leave(self, entry: tuple[str, Priority, str, float]) -> None:
        self.keys.remove(entry)
        if not self.line(entry[1], entry[2]):
            self.rings[entry[1]].remove(entry[2])

    @rule(key=KEYS, priority=PRIORITIES, tenant=TENANTS)
    def put_or_hurry(self, key: str, priority: Priority, tenant: str) -> None:
        self.now += 1.0
        known = next((each for each in self.keys if each[0] == key), None)
        if known is None:
            self.turns.put(key, Place(priority, tenant), self.now)
            self.join(key, priority, tenant=tenant, since=self.now)
            return
        self.turns.hurry(key, Place(priority, tenant))
        if priority < known[1]:
            self.leave(known)
            self.join(key, priority, tenant=known[2], since=known[3])

    @invariant()
    def all_are_told_with_their_age(self) -> None:
        assert sorted(self.turns) == sorted((key, since) for key, _, _, since in self.keys)

    @rule()
    def pop(self) -> None:
        if not self.keys:
            with pytest.raises(KeyError):
                self.turns.pop()
            return
        waiting = [each for each in Priority if self.rings[each]]
        starved = [each for each in waiting if self.passed[each] >= 8]
        priority = starved[-1] if starved else waiting[0]
        for each in waiting:
            self.passed[each] = 0 if each is priority else self.passed[each] + 1
        tenant = self.rings[priority][0]
        first = self.line(priority, tenant)[0]
        assert self.turns.pop() == (first[0], first[3])
        self.leave(first)
        if tenant in self.rings[priority]:
            self.rings[priority].remove(tenant)
            self.rings[priority].append(tenant)

    @invariant()
    def the_same_keys_are_known(self) -> None:
        assert len(self.turns) == len(self.keys)
        assert {key for key in "abcdefghij" if key in self.turns} == {each[0] for each in self.keys}


TestTakingTurns = TakingTurns.TestCase


def drained(line: Turns[str]) -> list[str]:
    return [line.pop()[0] for _ in range(len(line))]


def test_a_request_goes_before_a_retry_and_a_retry_before_the_backlog() -> None:
    line: Turns[str] = Turns()
    line.put("old", Place(Priority.BACKLOG), 0.0)
    line.put("failed", Place(Priority.RETRY), 0.0)
    line.put("new", Place(Priority.REQUEST), 1.0)
    assert drained(line) == ["new", "failed", "old"]


def test_one_namespaces_thousands_do_not_make_another_wait() -> None:
    line: Turns[str] = Turns()
    for number in range(10_000):
        line.put(f"flood-{number}", Place(tenant="flood"), 0.0)
    line.put("single", Place(tenant="quiet"), 1.0)
    assert [line.pop()[0] for _ in range(3)] == ["flood-0", "single", "flood-1"]


def test_the_backlog_gets_a_turn_however_many_requests_come() -> None:
    line: Turns[str] = Turns()
    line.put("backlog", Place(Priority.BACKLOG), 0.0)
    line.put("retry", Place(Priority.RETRY), 0.0)
    served = []
    for number in range(20):
        line.put(f"request-{number}", Place(), 0.0)
        served.append(line.pop()[0])
    assert served.index("backlog") == 8
    assert served.index("retry") == 9


def test_a_priority_that_has_been_served_waits_anew() -> None:
    line: Turns[str] = Turns()
    for number in range(2):
        line.put(f"backlog-{number}", Place(Priority.BACKLOG), 0.0)
    served = []
    for number in range(20):
        line.put(f"request-{number}", Place(), 0.0)
        served.append(line.pop()[0])
    assert [served.index(f"backlog-{number}") for number in range(2)] == [8, 17]


def test_a_key_that_is_asked_for_leaves_the_backlog_and_keeps_its_age() -> None:
    line: Turns[str] = Turns()
    line.put("other", Place(Priority.BACKLOG), 0.0)
    line.put("asked", Place(Priority.BACKLOG), 1.0)
    line.hurry("asked", Place(Priority.REQUEST))
    line.hurry("asked", Place(Priority.BACKLOG))  # never back
    assert line.pop() == ("asked", 1.0)


def test_a_delayed_key_remembers_the_more_urgent_of_its_places() -> None:
    core: workqueue.Core[str] = workqueue.Core(workqueue.BackoffSettings())
    core.add("a", 0.0, after=5.0, place=Place(Priority.REQUEST))
    core.add("a", 0.0, after=2.0, place=Place(Priority.BACKLOG))
    core.add("b", 0.0, place=Place(Priority.RETRY))
    assert core.take(2.0) == workqueue.Taken("a", 0.0)


def test_a_key_added_in_the_hand_comes_back_at_the_place_asked_for() -> None:
    core: workqueue.Core[str] = workqueue.Core(workqueue.BackoffSettings())
    core.add("a", 0.0)
    core.take(0.0)
    core.add("a", 0.0, place=Place(Priority.BACKLOG))
    core.add("b", 0.0, place=Place(Priority.RETRY))
    core.done("a", 0.0)
    taken = [core.take(0.0), core.take(0.0)]
    assert [each and each.key for each in taken] == ["b", "a"]


def test_a_request_moves_a_due_key_forward_and_is_no_news() -> None:
    core: workqueue.Core[str] = workqueue.Core(workqueue.BackoffSettings())
    core.add("a", 0.0, place=Place(Priority.BACKLOG))
    core.add("b", 0.0, place=Place(Priority.BACKLOG))
    assert not core.add("b", 0.0, place=Place(Priority.REQUEST))
    assert core.take(0.0) == workqueue.Taken("b", 0.0)


def test_all_retries_together_keep_to_a_rate() -> None:
    backoff = workqueue.BackoffSettings(start=1.0, rate=10.0, burst=5)
    core: workqueue.Core[int] = workqueue.Core(backoff, jitter=lambda delay: delay)
    delays = [core.failed(number, 100.0) for number in range(10)]
    assert delays == pytest.approx([1.0] * 5 + [1.1, 1.2, 1.3, 1.4, 1.5])
    assert core.failed(99, 200.0) == 1.0


def test_a_place_is_as_urgent_as_the_more_urgent_of_two() -> None:
    red, blue = Place(Priority.RETRY, "red"), Place(Priority.REQUEST, "blue")
    assert red.ahead(None) is red
    assert red.ahead(blue) == Place(Priority.REQUEST, "red")
    assert blue.ahead(red) is blue
    assert turns.Place() == Place(Priority.REQUEST, None)


def test_the_keys_of_each_priority_can_be_counted() -> None:
    due: Turns[str] = Turns()
    counts = due.readings()
    for key, priority, tenant in (
        ("a", Priority.REQUEST, "red"),
        ("b", Priority.BACKLOG, "red"),
        ("c", Priority.BACKLOG, "blue"),
        ("d", Priority.BACKLOG, "blue"),
    ):
        due.put(key, Place(priority, tenant), 0.0)

    def counted() -> dict[str, int]:
        return {name: count() for name, count in counts.items()}

    assert counted() == {"request": 1, "retry": 0, "backlog": 3}
    due.hurry("d", Place(Priority.RETRY, "blue"))
    assert counted() == {"request": 1, "retry": 1, "backlog": 2}
