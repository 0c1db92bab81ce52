import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from snapshotd.runtime import workqueue

BACKOFF = workqueue.BackoffSettings(start=1.0, max=300.0)
KEYS = st.sampled_from("abcdef")
DELAYS = st.sampled_from([-1.0, 0.0, 0.0, 1.0, 2.0, 3.0, 5.0])


def plain(delay: float) -> float:
    return delay


class Queueing(RuleBasedStateMachine):
    """The queue against a naive model: a table of due times that is searched every time."""

    def __init__(self) -> None:
        super().__init__()
        self.core: workqueue.Core[str] = workqueue.Core(BACKOFF, jitter=plain)
        self.now = 100.0
        self.turn = 0
        self.waiting: dict[str, tuple[float, int]] = {}
        self.in_hand: dict[str, float] = {}
        self.again: dict[str, float] = {}
        self.failures: dict[str, int] = {}
        self.not_before: dict[str, float] = {}

    def due(self) -> list[str]:
        found = [key for key, (at, _) in self.waiting.items() if at <= self.now]
        return sorted(found, key=lambda key: self.waiting[key])

    def place(self, key: str, at: float) -> None:
        self.turn += 1
        self.waiting[key] = (at, self.turn)

    @rule(key=KEYS, after=DELAYS)
    def add(self, key: str, after: float) -> None:
        at = max(self.now + after, self.now, self.not_before.get(key, 0.0))
        news = self.core.add(key, self.now, after=after)
        if key in self.in_hand:
            assert news == (at < self.again.get(key, float("inf")))
            self.again[key] = min(at, self.again.get(key, at))
        else:
            assert news == (
                at < self.waiting.get(key, (float("inf"), 0))[0] and key not in self.due()
            )
            if news:
                self.place(key, at)

    @rule()
    def take(self) -> None:
        taken = self.core.take(self.now)
        expected = next(iter(self.due()), None)
        assert (taken and taken.key) == expected
        if taken is not None:
            at, _ = self.waiting.pop(taken.key)
            assert taken.waited == self.now - at
            assert taken.key not in self.in_hand
            self.in_hand[taken.key] = self.now

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.in_hand)))
        assert self.core.done(key, self.now) == self.now - self.in_hand.pop(key)
        if key in self.again:
            self.place(key, max(self.now, self.again.pop(key), self.not_before.get(key, 0.0)))

    @precondition(lambda self: self.in_hand)
    @rule(data=st.data(), times=st.sampled_from([1, 3]))
    def fail(self, data: st.DataObject, times: int) -> None:
        key = data.draw(st.sampled_from(sorted(self.in_hand)))
        for _ in range(times):
            self.failures[key] = self.failures.get(key, 0) + 1
            if self.failures[key] >= 3:
                self.not_before[key] = self.now + BACKOFF.start
            assert self.core.failed(key, self.now) == BACKOFF.delay(self.failures[key])

    @rule(key=KEYS)
    def forget(self, key: str) -> None:
        self.core.forget(key)
        self.failures.pop(key, None)
        self.not_before.pop(key, None)

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0]))
    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    @invariant()
    def the_figures_agree(self) -> None:
        later = [at for at, _ in self.waiting.values() if at > self.now]
        assert self.core.next_due(self.now) == min(later, default=None)
        assert self.core.ready(self.now) == len(self.due())
        assert len(self.core) == len(self.waiting)
        ages = [self.now - since for since in self.in_hand.values()]
        assert self.core.unfinished(self.now) == sum(ages)
        assert self.core.longest(self.now) == max(ages, default=0.0)
        known = {key for key in "abcdef" if key in self.core}
        assert known == self.waiting.keys() | self.in_hand.keys()


TestQueueing = Queueing.TestCase


@settings(max_examples=10, deadline=None)  # many keys, on a busy machine
@given(st.randoms(use_true_random=False))
def test_ten_thousand_keys_come_once_each_in_the_order_of_their_times(
    dice: random.Random,
) -> None:
    core: workqueue.Core[int] = workqueue.Core(BACKOFF, jitter=plain)
    delays = [dice.randrange(600) for _ in range(300)]
    naive: dict[int, tuple[float, int]] = {}
    for turn in range(12_000):
        key, after = turn * 7919 % 10_000, delays[turn % 300]
        if core.add(key, 0.0, after=after):
            naive[key] = (after, turn)
    assert len(naive) == len(core) == 10_000

    served: list[int] = []
    for now in range(600):
        while (taken := core.take(float(now))) is not None:
            assert naive[taken.key][0] == now
            served.append(taken.key)
            core.done(taken.key, float(now))
    assert served == sorted(naive, key=lambda key: naive[key])


def test_a_key_is_never_in_two_hands() -> None:
    core: workqueue.Core[str] = workqueue.Core(BACKOFF)
    core.add("a", 0.0)
    core.take(0.0)
    core.add("a", 1.0)

    assert core.take(1.0) is None
    core.done("a", 2.0)
    assert core.take(2.0) == workqueue.Taken("a", 0.0)


def test_a_key_is_known_while_it_is_due_delayed_or_in_a_hand() -> None:
    core: workqueue.Core[str] = workqueue.Core(BACKOFF)
    core.add("due", 0.0)
    core.add("taken", 0.0)
    core.add("delayed", 0.0, after=5.0)
    core.add("finished", 0.0)
    order = [core.take(0.0) for _ in range(3)]
    core.done("due", 0.0)
    core.add("due", 0.0)
    core.done("finished", 0.0)

    assert [taken and taken.key for taken in order] == ["due", "taken", "finished"]
    assert "due" in core
    assert "taken" in core
    assert "delayed" in core
    assert "finished" not in core
    assert "never" not in core


def test_a_key_that_came_back_stands_behind_those_that_waited() -> None:
    core: workqueue.Core[str] = workqueue.Core(BACKOFF)
    core.add("busy", 0.0)
    core.take(0.0)
    core.add("busy", 1.0)
    core.add("patient", 2.0)
    core.done("busy", 3.0)

    assert core.take(4.0) == workqueue.Taken("patient", 2.0)


def test_a_key_that_fails_over_and_over_is_held_back_until_it_is_forgotten() -> None:
    core: workqueue.Core[str] = workqueue.Core(BACKOFF)
    for _ in range(2):
        core.failed("a", 0.0)
    core.add("a", 0.0)
    assert core.take(0.0) is not None
    core.failed("a", 0.0)
    core.done("a", 0.0)

    core.add("a", 0.5)
    assert core.take(0.9) is None
    assert core.take(1.0) is not None
    core.failed("a", 1.0)
    core.done("a", 1.0)
    core.forget("a")
    core.add("a", 1.0)
    assert core.take(1.0) is not None


def test_a_look_counts_all_and_shows_those_that_wait_longest() -> None:
    core: workqueue.Core[str] = workqueue.Core(BACKOFF, jitter=plain)
    for at, key in enumerate(["hand", "first", "second", "third"]):
        core.add(key, float(at))
    assert core.take(3.0)
    core.failed("later", 4.0)
    core.add("later", 4.0, after=10.0)
    core.add("sooner", 4.0, after=5.0)

    look = core.look(6.0, 10)
    assert (look.due, look.delayed, look.in_hand) == (3, 2, 1)
    assert [(each.key, each.where, each.seconds, each.failures) for each in look.oldest] == [
        ("hand", "in hand", 3.0, 0),
        ("first", "due", 5.0, 0),
        ("second", "due", 4.0, 0),
        ("third", "due", 3.0, 0),
        ("sooner", "delayed", 3.0, 0),
        ("later", "delayed", 8.0, 1),
    ]
    assert [each.key for each in core.look(6.0, 2).oldest] == ["hand", "first"]
    assert core.look(9.0, 10).due == 4


def test_giving_back_what_was_not_taken_is_a_defect() -> None:
    with pytest.raises(KeyError):
        workqueue.Core[str](BACKOFF).done("a", 0.0)


def test_moving_a_key_again_and_again_does_not_grow_the_heap() -> None:
    core: workqueue.Core[str] = workqueue.Core(BACKOFF)
    for turn in range(10_000):
        core.add("a", float(turn), after=300)
        core.add("a", float(turn))
        core.take(float(turn))
        core.done("a", float(turn))

    assert len(core._heap) <= 64
    assert core.next_due(10_000.0) is None


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(200, 300))
def test_moving_keys_earlier_grows_no_heap_and_keeps_the_order(
    dice: random.Random, moves: int
) -> None:
    core: workqueue.Core[int] = workqueue.Core(BACKOFF, jitter=plain)
    naive: dict[int, int] = {}
    for move in range(moves):
        key, after = dice.randrange(10), 10_000 - 20 * move + dice.randrange(20)
        core.add(key, 0.0, after=after)
        naive[key] = after

    assert len(core._heap) <= 2 * 10 + 64
    served = [core.take(20_000.0) for _ in naive]
    assert [taken and taken.key for taken in served] == sorted(naive, key=lambda key: naive[key])


@given(st.integers(1, 100_000))
def test_backoff_doubles_from_the_start_to_the_maximum(attempts: int) -> None:
    assert BACKOFF.delay(attempts) == (300.0 if attempts > 9 else 2.0 ** (attempts - 1))


@given(st.floats(0.0, 1e6))
def test_jitter_never_shortens_a_delay_nor_adds_more_than_a_tenth(delay: float) -> None:
    assert delay <= workqueue.spread(delay) <= delay * 1.1 * (1 + 1e-9)
