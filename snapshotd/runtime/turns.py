"""Whose turn it is among the keys that are due: by priority, then by tenant, then by time.

The algorithm. Every priority has a ring of tenants (namespaces), every tenant a line of keys.

- The most urgent priority that has keys is served; one that was passed over `_PATIENCE` times in a
  row goes before it. So a lower priority gets at least one turn in `_PATIENCE` + 1 for each that is
  above it, and nothing starves however busy the others are: ageing counted in turns, which needs no
  clock and cannot be wrong about one.
- Within a priority the tenants are served in a ring, a key each: one tenant's ten thousand keys
  cost another's single one no more than a turn of each tenant in the ring.
- Within a tenant, first come first served.

A key stands in one line; it may move to a more urgent one. Costs: O(1) for every operation (the
priorities are three); memory O(keys).
"""

import dataclasses
import enum
import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sized
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_PATIENCE: Final = 8  # turns that a priority lets pass before it must be served


class Priority(enum.IntEnum):
    """How urgent a key is; the smaller number goes first."""

    REQUEST = 0  # somebody changed something just now
    RETRY = 1  # it failed, or asked to be looked at again
    BACKLOG = 2  # it was there when we started, or a resync looks at it


@dataclasses.dataclass(frozen=True, slots=True)
class Place:
    """Where a key stands: how urgent it is, and whose."""

    priority: Priority = Priority.REQUEST
    tenant: Hashable = None

    def ahead(self, other: "Place | None") -> "Place":
        """Return this place, or one as urgent as `other` if that is more so."""
        if other is None or self.priority <= other.priority:
            return self
        return Place(other.priority, self.tenant)


class Turns(Generic[K]):
    """The keys that are due."""

    def __init__(self) -> None:
        """Start empty."""
        self._rings: tuple[OrderedDict[Hashable, OrderedDict[K, float]], ...] = tuple(
            OrderedDict() for _ in Priority
        )
        self._places: dict[K, Place] = {}
        self._passed_over = [0 for _ in Priority]

    def __len__(self) -> int:
        """Return how many keys are due."""
        return len(self._places)

    def __iter__(self) -> Iterator[tuple[K, float]]:
        """Yield every key with the time it is due since, in no order: O(keys)."""
        for ring in self._rings:
            for line in ring.values():
                yield from line.items()

    def __contains__(self, key: K) -> bool:
        """Say whether the key is due."""
        return key in self._places

    def readings(self) -> dict[str, Callable[[], int]]:
        """Return, by the name of each priority, what counts its keys: O(tenants) a call."""
        return {
            priority.name.lower(): functools.partial(_keys_in, self._rings[priority])
            for priority in Priority
        }

    def put(self, key: K, place: Place, since: float) -> None:
        """Add a key that is not here, due `since`."""
        self._places[key] = place
        self._rings[place.priority].setdefault(place.tenant, OrderedDict())[key] = since

    def hurry(self, key: K, place: Place) -> None:
        """Move a key that is here to a more urgent place, if this one is; it keeps its age."""
        before = self._places[key]
        if place.priority < before.priority:
            since = self._leave(key, before)
            self.put(key, Place(place.priority, before.tenant), since)

    def pop(self) -> tuple[K, float]:
        """Remove the key whose turn it is and return it with the time it is due since.

        Raises `KeyError` if there is none.
        """
        if not self._places:
            raise KeyError("no key is due")
        ring = self._rings[self._choose()]
        tenant, line = next(iter(ring.items()))
        key, since = line.popitem(last=False)
        del self._places[key]
        if line:
            ring.move_to_end(tenant)
        else:
            del ring[tenant]
        return key, since

    def _choose(self) -> Priority:
        """Return the priority to serve, and count who is passed over for it."""
        waiting = [priority for priority in Priority if self._rings[priority]]
        impatient = [each for each in waiting if self._passed_over[each] >= _PATIENCE]
        chosen = impatient[-1] if impatient else waiting[0]
        for each in waiting:
            self._passed_over[each] += 1
        self._passed_over[chosen] = 0
        return chosen

    def _leave(self, key: K, place: Place) -> float:
        ring = self._rings[place.priority]
        since = ring[place.tenant].pop(key)
        if not ring[place.tenant]:
            del ring[place.tenant]
        return since


def _keys_in(ring: Mapping[Hashable, Sized]) -> int:
    return sum(map(len, ring.values()))
