"""What goes wrong between a role and the API server: rules, a seeded choice among them, and a log.

A rule strikes requests (or, for faults of a stream, lines of a watch) that its patterns fit, with a
chance, a number of times. The log says of each request who made it, what became of it, and when.
"""

import collections
import dataclasses
import enum
import random
import re
from collections.abc import Sequence


class Fault(enum.Enum):
    """What may happen to a request."""

    DELAY_BEFORE = "delay before"
    DELAY_AFTER = "delay after"
    DROP_BEFORE = "drop before forwarding"
    DROP_AFTER = "drop after forwarding"  # the answer is lost
    TWICE = "forward twice"  # of GETs alone: HTTP allows it of no other method we use
    CONFLICT = "409"
    TOO_MANY = "429"
    BROKEN = "500"
    UNAVAILABLE = "503"
    HALF_OPEN = "half-open"  # taken, and never answered
    BLACK_HOLE = "black hole"  # not even read
    # Of a watch, at one of its lines
    CUT = "cut mid-line"
    REPEAT = "line twice"
    EXPIRED = "ERROR 410"
    GARBAGE = "garbage"
    SILENCE = "silence, then a cut"


OF_LINES = frozenset({Fault.CUT, Fault.REPEAT, Fault.EXPIRED, Fault.GARBAGE, Fault.SILENCE})
ANSWERS = {
    Fault.CONFLICT: (409, "Conflict"),
    Fault.TOO_MANY: (429, "TooManyRequests"),
    Fault.BROKEN: (500, "InternalError"),
    Fault.UNAVAILABLE: (503, "ServiceUnavailable"),
}
WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


@dataclasses.dataclass(slots=True)
class Entry:
    """One request: `who` sent it, when it was received, forwarded and answered (monotonic)."""

    who: str
    method: str
    path: str
    received: float
    watch: bool = False
    forwarded: float | None = None
    answered: float | None = None
    status: int | None = None  # the API server's, or that of the fault
    holder: str | None = None  # of a Lease, as this write has it
    faults: list[Fault] = dataclasses.field(default_factory=list)

    @property
    def write(self) -> bool:
        return self.method in WRITES


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """A fault, and what it strikes; `seconds` is its delay, its silence or its Retry-After."""

    fault: Fault
    who: str = ""  # regular expressions, searched for
    method: str = ""
    path: str = ""
    line: str = ""
    chance: float = 1.0
    times: int = 0  # 0 is without a limit
    seconds: float = 0.0

    def fits(self, entry: Entry, line: str | None) -> bool:
        if (line is None) == (self.fault in OF_LINES):
            return False
        if self.fault is Fault.TWICE and (entry.method != "GET" or entry.watch):
            return False
        return bool(
            re.search(self.who, entry.who)
            and re.search(self.method, entry.method)
            and re.search(self.path, entry.path)
            and (line is None or re.search(self.line, line))
        )


class Plan:
    """Rules in order; the first that strikes does so alone."""

    def __init__(self, rules: Sequence[Rule] = (), *, seed: int = 0) -> None:
        self.rules = tuple(rules)
        self._struck: collections.Counter[int] = collections.Counter()
        self._dice = random.Random(seed)  # noqa: S311 - weather that can be had again

    def strike(self, entry: Entry, line: str | None = None) -> Rule | None:
        """Return what happens to this request, or to this line of its answer."""
        for number, rule in enumerate(self.rules):
            spent = rule.times and self._struck[number] >= rule.times
            if not spent and rule.fits(entry, line) and self._dice.random() < rule.chance:
                self._struck[number] += 1
                entry.faults.append(rule.fault)
                return rule
        return None

    def struck(self) -> list[int]:
        """Return how often each rule has struck."""
        return [self._struck[number] for number in range(len(self.rules))]
