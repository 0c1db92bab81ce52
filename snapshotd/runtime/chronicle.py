"""What the reconciles of one actor did, what its keys wait for, and what failed lately.

A reconcile notes what it does (`note`) and why it ends where it does (`because`) wherever it is:
the notes belong to the task, as the context of its log lines does. From them come one log line for
each reconcile that changed something, with all of it, and the memory that /statusz shows.

Invariants: nothing at info where nothing changed; a failure that repeats word for word (numbers
aside) is told at the 1st, 2nd, 4th, 8th, ... time with its count, and at debug in between; the
memory is bounded, by the keys that wait or fail and by `_LATELY` failures.
"""

import contextvars
import dataclasses
import logging
import re
from collections import OrderedDict
from collections.abc import Hashable, Iterable
from typing import Any, Final, Generic, TypeVar

import structlog

from snapshotd.runtime import clock as clocks
from snapshotd.telemetry import handles

K = TypeVar("K", bound=Hashable)
log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_LATELY: Final = 50  # failures remembered
_LONGEST: Final = 500  # characters of an error remembered
# Ids and numbers differ from one time to the next, and say nothing new.
_PASSING: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F-]{27}|\d+")


class Notes:
    """What one reconcile did so far, in order, and what it waits for in the end."""

    __slots__ = ("changed", "did", "why")

    def __init__(self) -> None:
        """Start with nothing done."""
        self.did: list[str] = []
        self.changed = False
        self.why = ""


_notes: contextvars.ContextVar[Notes | None] = contextvars.ContextVar("notes", default=None)


def note(deed: str, *, changed: bool) -> None:
    """Note something done in this reconcile, and whether it changed the world."""
    notes = _notes.get()
    if notes is not None:
        notes.did.append(deed)
        notes.changed = notes.changed or changed


def because(why: str) -> None:
    """Note what this reconcile's key waits for; the last word counts."""
    notes = _notes.get()
    if notes is not None:
        notes.why = why


@dataclasses.dataclass(frozen=True, slots=True)
class End:
    """How a reconcile ended; `level` is how loudly a failure is told, `defect` whose fault."""

    result: handles.Result
    level: int = logging.INFO
    error: str = ""
    retry_in: float = 0.0
    defect: Exception | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Failure(Generic[K]):
    """A failure as remembered: the last time (wall clock), and how many times in a row."""

    key: K
    at: float
    result: handles.Result
    error: str
    times: int
    reconcile_id: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class Wait(Generic[K]):
    """A key that waits for something to happen, and for how many seconds it has."""

    key: K
    seconds: float
    why: str


class Chronicle(Generic[K]):
    """The log and the memory of one actor."""

    def __init__(self, clock: clocks.Clock) -> None:
        """Start with nothing told."""
        self._clock = clock
        self._waits: dict[K, tuple[float, str]] = {}  # since; in the order of that
        self._repeats: dict[K, tuple[str, int]] = {}  # of keys that fail: the error, its count
        self._lately: OrderedDict[tuple[K, str], Failure[K]] = OrderedDict()

    def begin(self) -> Notes:
        """Take the notes of a reconcile that begins in this task."""
        notes = Notes()
        _notes.set(notes)
        return notes

    def tell(self, key: K, notes: Notes, end: End, seconds: float) -> None:
        """Log the end of a reconcile, if it is worth a line, and remember it."""
        self._remember_wait(key, end.error or notes.why)
        did: dict[str, Any] = {"did": notes.did, "seconds": round(seconds, 4)}
        if end.error:
            self._failed(key, end, did if notes.changed else {})
            return
        self._repeats.pop(key, None)
        if not (notes.did or notes.why):
            return
        why = {"why": notes.why} if notes.why else {}
        log.log(
            logging.INFO if notes.changed else logging.DEBUG,
            "reconciled",
            result=end.result,
            **did,
            **why,
        )

    def waits(self) -> int:
        """Return how many keys wait for something to happen."""
        return len(self._waits)

    def longest_waits(self, most: int) -> list[Wait[K]]:
        """Return those that have waited longest."""
        now = self._clock.monotonic()
        first = list(self._waits.items())[:most]
        return [Wait(key, now - since, why) for key, (since, why) in first]

    def lately(self) -> Iterable[Failure[K]]:
        """Return the last failures, newest first."""
        return reversed(self._lately.values())

    def _remember_wait(self, key: K, why: str) -> None:
        if not why:
            self._waits.pop(key, None)
            return
        since = self._waits[key][0] if key in self._waits else self._clock.monotonic()
        self._waits[key] = (since, why)

    def _failed(self, key: K, end: End, did: dict[str, Any]) -> None:
        kind = f"{end.result} {_PASSING.sub('#', end.error)}"
        before, count = self._repeats.get(key, ("", 0))
        count = count + 1 if kind == before else 1
        self._repeats[key] = (kind, count)
        told = {} if count == 1 else {"times": count}
        loud = count & (count - 1) == 0 or bool(did)
        level = end.level if loud else logging.DEBUG
        retry_in = round(end.retry_in, 3)
        if end.defect is not None:
            log.log(
                level, "reconcile_crashed", exc_info=end.defect, retry_in=retry_in, **told, **did
            )
        else:
            log.log(
                level,
                "reconcile_failed",
                result=end.result,
                error=end.error,
                retry_in=retry_in,
                **told,
                **did,
            )
        if end.level > logging.DEBUG:
            self._remember_failure(key, kind, end, count)

    def _remember_failure(self, key: K, kind: str, end: End, times: int) -> None:
        given = structlog.contextvars.get_contextvars().get("reconcile_id", "")
        error = end.error if len(end.error) <= _LONGEST else f"{end.error[:_LONGEST]}…"
        self._lately.pop((key, kind), None)
        self._lately[key, kind] = Failure(key, self._clock.now(), end.result, error, times, given)
        if len(self._lately) > _LATELY:
            self._lately.popitem(last=False)
