"""Which Kubernetes Event to write for something that happens again and again: the pure half.

As client-go's correlator has it, so that what people see in `kubectl describe` is what they are
used to: the same event again raises a count; more than ten that differ only in their message
within ten minutes become one; and one object gets 25 Events at once, then one in five minutes.
Invariant: everything remembered is bounded, the longest unused forgotten first.
"""

import dataclasses
from collections import OrderedDict
from collections.abc import Callable
from typing import Final, Generic, NamedTuple, TypeVar

from snapshotd.decide import intents

MOST_SIMILAR: Final = 10
SIMILAR_WITHIN: Final = 600.0  # seconds
BURST: Final = 25.0
REFILL: Final = 1.0 / 300.0  # a second
COMBINED: Final = "(combined from similar events): "
_REMEMBERED: Final = 4096

V = TypeVar("V")


class Topic(NamedTuple):
    """What makes events similar: all but the message."""

    kind: str
    namespace: str
    name: str
    uid: str
    type: str
    reason: str


class Series(NamedTuple):
    """What makes events the same; a combined one has no message of its own."""

    topic: Topic
    message: str | None


@dataclasses.dataclass(slots=True)
class Entry:
    """One Event object: its name once it was written, its count, when it was first and last."""

    event: intents.Announce
    message: str
    first: float
    last: float
    count: int = 1
    name: str = ""


@dataclasses.dataclass(slots=True)
class _Similar:
    last: float
    messages: set[str]


@dataclasses.dataclass(slots=True)
class _Budget:
    tokens: float
    since: float


class _Recent(Generic[V]):
    """A map that forgets what was not asked for the longest."""

    def __init__(self) -> None:
        self._kept: OrderedDict[object, V] = OrderedDict()

    def get(self, key: object, make: Callable[[], V]) -> V:
        found = self._kept.get(key)
        if found is None:
            found = self._kept[key] = make()
            if len(self._kept) > _REMEMBERED:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return found


class Correlator:
    """Tells for each event which Event object it belongs to; O(1), no clock of its own."""

    def __init__(self) -> None:
        """Start with nothing remembered."""
        self._similar: _Recent[_Similar] = _Recent()
        self._entries: _Recent[Entry] = _Recent()
        self._budgets: _Recent[_Budget] = _Recent()

    def observe(self, event: intents.Announce, now: float) -> tuple[Series, Entry] | None:
        """Return the series and its entry, counted up; None if the object had its share."""
        series = self._series(event, now)
        combined = series.message is None
        message = f"{COMBINED}{event.message}" if combined else event.message
        fresh = Entry(event, message, now, now, count=0)
        entry = self._entries.get(series, lambda: fresh)
        entry.event, entry.message, entry.last = event, message, now
        entry.count += 1
        return (series, entry) if self._affords(series.topic, now) else None

    def _series(self, event: intents.Announce, now: float) -> Series:
        about = event.about
        topic = Topic(about.kind, about.namespace, about.name, about.uid, event.type, event.reason)
        similar = self._similar.get(topic, lambda: _Similar(now, set()))
        if now - similar.last > SIMILAR_WITHIN:
            similar.messages.clear()
        similar.last = now
        if len(similar.messages) <= MOST_SIMILAR:
            similar.messages.add(event.message)
        many = len(similar.messages) > MOST_SIMILAR
        return Series(topic, None if many else event.message)

    def _affords(self, topic: Topic, now: float) -> bool:
        about = topic[:4]
        budget = self._budgets.get(about, lambda: _Budget(BURST, now))
        budget.tokens = min(BURST, budget.tokens + (now - budget.since) * REFILL)
        budget.since = now
        if budget.tokens < 1.0:
            return False
        budget.tokens -= 1.0
        return True
