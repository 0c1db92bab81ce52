"""What is in a work queue, for people to look at: how many keys, and the few that wait longest.

Costs: O(keys of the queue), each time somebody looks, and nothing else ever.
"""

import dataclasses
import heapq
from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, Literal, TypeVar

K = TypeVar("K", bound=Hashable)

Where = Literal["in hand", "due", "delayed"]


@dataclasses.dataclass(frozen=True, slots=True)
class Waiting(Generic[K]):
    """One key: for how long it is where it is; a delayed one falls due in `seconds`."""

    key: K
    where: Where
    seconds: float
    failures: int


@dataclasses.dataclass(frozen=True, slots=True)
class Look(Generic[K]):
    """How many keys are where, and the ones that wait longest: in hand, then due, then delayed."""

    due: int
    delayed: int
    in_hand: int
    oldest: tuple[Waiting[K], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Places(Generic[K]):
    """The keys of a queue: due since, due at, in a hand since; and failures in a row."""

    due: Iterable[tuple[K, float]]
    delayed: Iterable[tuple[K, float]]
    in_hand: Iterable[tuple[K, float]]
    failures: Mapping[K, int]


def look(places: Places[K], now: float, most: int) -> Look[K]:
    """Return what is in a queue, with up to `most` keys."""
    due, delayed, in_hand = list(places.due), list(places.delayed), list(places.in_hand)
    found: list[Waiting[K]] = []
    rows: tuple[tuple[Where, list[tuple[K, float]]], ...] = (
        ("in hand", in_hand),
        ("due", due),
        ("delayed", delayed),
    )
    for where, row in rows:
        for key, at in heapq.nsmallest(most - len(found), row, key=_at):
            seconds = at - now if where == "delayed" else now - at
            found.append(Waiting(key, where, seconds, places.failures.get(key, 0)))
    return Look(len(due), len(delayed), len(in_hand), tuple(found))


def _at(entry: tuple[K, float]) -> float:
    return entry[1]
