"""Room for calls: how many at once, whose turn it is, and that nobody is forgotten."""

import collections
import random
from collections.abc import Hashable, Mapping
from typing import Any

import objects
import pytest
from hypothesis import given, strategies

from snapshotd.actors import lanes
from snapshotd.model import keys, snapshots

Room = Mapping[Any, int]  # the names of lanes are of any type
ONE = {"lane": 1}


def key(name: object) -> keys.Key:
    return snapshots.content_key(str(name))


A, B, C, D = map(key, "abcd")


class Bench:
    """Lanes, and who was woken, in order."""

    def __init__(self) -> None:
        self.woken: list[keys.Key] = []
        self.lanes = lanes.Lanes(self.woken.append)

    def enter(self, who: keys.Key, room: Room = ONE) -> bool:
        """Look at a key that calls, or is put aside: then its reconcile is over."""
        inside = self.lanes.enter(who, room)
        if not inside:
            self.lanes.seen(who)
        return inside

    def leave(self, who: keys.Key, room: Room = ONE) -> None:
        """End a key's call, and its reconcile."""
        self.lanes.leave(room)
        self.lanes.seen(who)


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_there_are_never_more_calls_than_room(bench: Bench) -> None:
    room = {"lane": 2}
    assert [bench.enter(each, room) for each in (A, B, C, D)] == [True, True, False, False]
    assert [each in bench.lanes for each in (A, B, C, D)] == [False, False, True, True]
    assert bench.woken == []


def test_who_waits_longest_is_woken_first_and_one_at_a_time(bench: Bench) -> None:
    for each in (A, B, C, D):
        bench.enter(each)
    bench.leave(A)
    assert bench.woken == [B]
    assert B not in bench.lanes
    assert bench.enter(B)
    bench.leave(B)
    assert bench.woken == [B, C]
    assert bench.enter(C)
    bench.leave(C)
    assert bench.enter(D)
    bench.leave(D)
    assert bench.woken == [B, C, D]


def test_each_call_that_ends_makes_room_for_one(bench: Bench) -> None:
    room = {"lane": 2}
    for each in (A, B, C, D):
        bench.enter(each, room)
    bench.leave(A, room)
    bench.leave(B, room)
    assert bench.woken == [C, D]
    assert bench.enter(D, room)
    assert bench.enter(C, room)


def test_a_key_that_needs_no_room_any_more_passes_it_on(bench: Bench) -> None:
    for each in (A, B, C):
        bench.enter(each)
    bench.leave(A)
    bench.lanes.seen(B)  # it was woken, and its content is gone
    assert bench.woken == [B, C]
    bench.lanes.seen(B)  # once
    assert bench.woken == [B, C]


def test_the_last_key_that_needs_no_room_leaves_the_lane_empty(bench: Bench) -> None:
    bench.enter(A)
    bench.enter(B)
    bench.leave(A)
    bench.lanes.seen(B)
    assert bench.enter(C)


def test_a_key_that_was_seen_and_never_woken_passes_nothing_on(bench: Bench) -> None:
    bench.enter(A)
    bench.enter(B)
    bench.lanes.seen(C)
    bench.lanes.seen(A)
    assert bench.woken == []


def test_a_key_whose_room_was_taken_goes_first_next_time(bench: Bench) -> None:
    for each in (A, B, C):
        bench.enter(each)
    bench.leave(A)
    assert bench.enter(D)  # it barged in, before the one that was woken came
    assert not bench.enter(B)
    assert B in bench.lanes
    bench.leave(D)
    assert bench.woken == [B, B]
    assert bench.enter(B)


def test_a_key_that_is_looked_at_while_it_waits_keeps_its_turn(bench: Bench) -> None:
    """Its content changed: that is no reason to begin to wait anew."""
    for each in (A, B, C):
        bench.enter(each)
    assert not bench.enter(B)
    bench.leave(A)
    assert bench.woken == [B]


def test_a_key_that_is_looked_at_when_there_is_room_waits_no_longer(bench: Bench) -> None:
    room = {"lane": 2}
    for each in (A, B, C):
        bench.enter(each, room)
    bench.leave(A, room)
    assert bench.enter(C, room)
    assert C not in bench.lanes
    bench.leave(B, room)
    bench.leave(C, room)
    assert bench.woken == [C]


def test_a_call_takes_room_in_all_its_lanes_or_in_none(bench: Bench) -> None:
    both = {"creating": 2, "volume": 1}
    assert bench.enter(A, both)
    assert not bench.enter(B, both)  # for the volume: its other lane stays free
    assert bench.enter(C, {"creating": 2, "another volume": 1})
    assert not bench.enter(D, {"creating": 2, "third volume": 1})
    bench.leave(C, {"creating": 2, "another volume": 1})
    assert bench.woken == [D]
    bench.leave(A, both)
    assert bench.woken == [D, B]


def test_a_key_woken_for_a_lane_that_then_waits_for_another_passes_the_first_on(
    bench: Bench,
) -> None:
    busy = {"creating": 1, "volume": 1}
    bench.enter(A, {"volume": 1})
    bench.enter(B, {"creating": 1})
    bench.enter(C, busy)  # for creating
    bench.enter(D, {"creating": 1})
    bench.leave(B, {"creating": 1})
    assert bench.woken == [C]
    assert not bench.enter(C, busy)  # the volume is taken
    assert bench.woken == [C, D]
    assert bench.enter(D, {"creating": 1})
    bench.leave(A, {"volume": 1})
    assert bench.woken == [C, D, C]


def test_a_key_woken_for_a_lane_that_it_needs_no_more_passes_it_on(bench: Bench) -> None:
    """It was to be created, and is to be deleted now."""
    for each in (A, B, C):
        bench.enter(each, {"creating": 1})
    bench.leave(A, {"creating": 1})
    assert bench.woken == [B]
    assert bench.enter(B, {"deleting": 1})
    assert bench.woken == [B, C]


def test_a_key_that_turns_to_another_lane_while_it_waits_is_woken_for_that_alone(
    bench: Bench,
) -> None:
    bench.enter(A, {"creating": 1})
    bench.enter(B, {"deleting": 1})
    bench.enter(C, {"creating": 1})
    assert not bench.enter(C, {"deleting": 1})
    bench.leave(A, {"creating": 1})
    assert bench.woken == []
    bench.leave(B, {"deleting": 1})
    assert bench.woken == [C]


def limits(workers: int, *, volume: int = 2) -> tuple[int, int]:
    """Return the most creations at once, and the most deletions."""
    found = lanes.Limits(workers, volume)
    made = objects.content()
    going = objects.content(metadata__deletion_timestamp=objects.NOW_TEXT)
    assert found.room_for(made)["volume", "vol"] == volume
    return found.room_for(made)["creating"], found.room_for(going)["deleting"]


@pytest.mark.parametrize(
    ("workers", "most"), [(1, 1), (2, 1), (3, 2), (4, 3), (8, 6), (10, 8), (100, 75)]
)
def test_each_kind_of_call_leaves_workers_to_the_other(workers: int, most: int) -> None:
    assert limits(workers) == (most, most)


def test_a_given_content_has_no_volume_to_be_busy() -> None:
    assert lanes.Limits(4).room_for(objects.given_content()) == {"creating": 3}


ROOMS: list[lanes.Room] = [
    {"creating": 1, "volume": 1},
    {"creating": 1},
    {"volume": 1},
    {"deleting": 2},
]


class Model:
    """What is promised, in the plainest words: counts, and a set of who is waiting."""

    def __init__(self) -> None:
        self.inside: dict[keys.Key, lanes.Room] = {}
        self.aside: set[keys.Key] = set()
        self.queue: collections.deque[keys.Key] = collections.deque()
        self.lanes = lanes.Lanes(self._wake)

    def _wake(self, who: keys.Key) -> None:
        self.aside.discard(who)
        if who not in self.queue:
            self.queue.append(who)

    def taken(self, lane: Hashable) -> int:
        return sum(lane in room for room in self.inside.values())

    def look(self, who: keys.Key, room: lanes.Room | None) -> None:
        """Serve a key that calls (its room), or has nothing to do any more (None)."""
        if who in self.inside:
            return  # in a hand: a queue does not give it to another
        if who in self.queue:
            self.queue.remove(who)
        if room is None:
            self.lanes.seen(who)
            return
        self.aside.discard(who)
        free = all(self.taken(lane) < most for lane, most in room.items())
        assert self.lanes.enter(who, room) is free
        if free:
            self.inside[who] = room
        else:
            self.aside.add(who)
            self.lanes.seen(who)
        assert all(self.taken(lane) <= most for lane, most in room.items())

    def end(self, who: keys.Key) -> None:
        """End a call."""
        self.lanes.leave(self.inside.pop(who))
        self.lanes.seen(who)


@given(
    steps=strategies.lists(
        strategies.tuples(
            strategies.integers(0, 4),
            strategies.sampled_from(["call", "end", "serve", "call"]),
            strategies.sampled_from([*ROOMS, None]),
        ),
        min_size=10,
        max_size=60,
    ),
    at_last=strategies.sampled_from([*ROOMS, None]),
)
def test_nobody_is_forgotten(
    steps: list[tuple[int, str, lanes.Room | None]], at_last: lanes.Room | None
) -> None:
    """When all calls have ended, whoever was put aside has been woken.

    What a key needs may change while it waits: nothing any more, or a call of the other kind.
    """
    model = Model()
    for number, step, room in steps:
        who = key(number)
        if step == "call":
            model.look(who, room)
        elif step == "serve" and model.queue:
            model.look(model.queue[0], room)
        elif step == "end" and who in model.inside:
            model.end(who)
    while model.inside or model.queue:
        for each in list(model.queue):
            model.look(each, at_last)
        for each in list(model.inside):
            model.end(each)
    assert model.aside == set()
    assert not any(key(number) in model.lanes for number in range(5))


@given(order=strategies.randoms(use_true_random=False))
def test_who_only_waits_is_served_in_the_order_of_asking(order: random.Random) -> None:
    bench = Bench()
    asked = [key(number) for number in range(8)]
    order.shuffle(asked)
    for each in asked:
        bench.enter(each)
    for each in asked:
        bench.leave(each)
        if bench.woken and bench.woken[-1] != each:
            assert bench.enter(bench.woken[-1])
    assert bench.woken == asked[1:]


def test_who_is_aside_is_counted(bench: Bench) -> None:
    for who in (A, B, C):
        bench.enter(who)
    assert len(bench.lanes) == 2
    bench.leave(A)
    assert len(bench.lanes) == 1
