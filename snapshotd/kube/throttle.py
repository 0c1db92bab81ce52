"""How many requests may be under way at once: as many as the API server takes gladly.

Additive growth while answers are good, come as fast as they lately could, and the room is used;
halving when the server says that it is too much, a pause where it says for how long: AIMD, as TCP
does it. More requests at once than the server can work on would only wait there instead of here,
where a lease or a watch does not stand behind them. The core (`Limit`) is told the time and waits
for nothing; the shell (`Throttle`) hands out places in the order in which they were
asked for. Invariant: a place given is given back exactly once, however its holder ends.

Costs: O(1) each, and no task or timer while there is room.
"""

import asyncio
import collections
import dataclasses
import enum
import math
from typing import Final

import anyio

from snapshotd import errors
from snapshotd.runtime import clock as clocks


class Verdict(enum.Enum):
    """What an answer says about the server's load."""

    GOOD = enum.auto()
    OVERLOADED = enum.auto()
    NEUTRAL = enum.auto()


@dataclasses.dataclass(frozen=True, slots=True)
class Bounds:
    """The places at the start, at least and at most; `longest_pause` and `calm` in seconds.

    20 at first: well within the API server's default share for one client (API Priority and
    Fairness), and enough for its whole throughput at a few milliseconds a request. `calm` is how
    long a halving protects from the next: all that was under way when the first came tells the
    same.
    """

    start: float = 20.0
    least: float = 1.0
    most: float = 200.0
    longest_pause: float = 60.0
    calm: float = 1.0


_WINDOW: Final = 30.0  # seconds: the fastest answers of the last one to two windows count
_SHARE: Final = 0.1  # of one answer in what is usual now
_SLOWER: Final = 2.0  # times as slow as the fastest, and
_MARGIN: Final = 0.01  # seconds more, is slow


class Pace:
    """How fast answers come, beside how fast they lately could."""

    def __init__(self) -> None:
        """Start with nothing known: whatever comes first is fast."""
        self._usual = 0.0
        self._fastest = [math.inf, math.inf]  # of the last window, and of this one
        self._turned = float("-inf")

    def note(self, seconds: float, now: float) -> None:
        """Take note of one good answer."""
        if now - self._turned >= _WINDOW:
            self._turned = now
            self._fastest = [self._fastest[1], math.inf]
        self._fastest[1] = min(self._fastest[1], seconds)
        first = self._usual == 0.0
        self._usual = seconds if first else self._usual + _SHARE * (seconds - self._usual)

    @property
    def good(self) -> bool:
        """Say whether answers are not much slower than they could be."""
        return self._usual <= _SLOWER * min(self._fastest) + _MARGIN


class Limit:
    """The core: how many places there are, how many are taken, and until when all must wait."""

    def __init__(self, bounds: Bounds) -> None:
        """Start with `bounds.start` places."""
        self._bounds = bounds
        self._pace = Pace()
        self.places = bounds.start
        self.taken = 0
        self.paused_until = float("-inf")
        self._halved_at = float("-inf")

    def admit(self, now: float) -> bool:
        """Take a place if one may be taken."""
        if now < self.paused_until or self.taken >= int(self.places):
            return False
        self.taken += 1
        return True

    def give_back(
        self, verdict: Verdict, now: float, *, pause: float = 0.0, seconds: float = 0.0
    ) -> None:
        """Return a place with what the answer said, and the seconds it took.

        `pause` is the server's Retry-After.
        """
        if verdict is Verdict.GOOD:
            self._pace.note(seconds, now)
        used = self.taken
        self.taken -= 1
        if pause > 0.0:
            until = now + min(pause, self._bounds.longest_pause)
            self.paused_until = max(self.paused_until, until)
        match verdict:
            case Verdict.OVERLOADED:
                self._halve(now)
            case Verdict.GOOD if used >= int(self.places) / 2 and self._pace.good:
                self.places = min(self._bounds.most, self.places + 1.0 / self.places)
            case _:
                pass  # idle places prove nothing

    def _halve(self, now: float) -> None:
        if now - self._halved_at >= self._bounds.calm:
            self._halved_at = now
            self.places = max(self._bounds.least, self.places / 2)


class Bucket:
    """A cap on requests a second, as `--kube-api-qps` and `--kube-api-burst` give it."""

    def __init__(self, rate: float, burst: int) -> None:
        """Start full: `burst` requests at once, then `rate` a second."""
        self._interval = 1.0 / rate
        self._credit = self._interval * (max(burst, 1) - 1)
        self._next = float("-inf")

    def reserve(self, now: float, within: float) -> float | None:
        """Book the next request and return the seconds until then; None if over `within`."""
        due = max(self._next, now - self._credit)
        delay = max(0.0, due - now)
        if delay > within:
            return None
        self._next = due + self._interval
        return delay


class Report:
    """What the holder of a place says of the answer before it gives the place back."""

    __slots__ = ("pause", "verdict")

    def __init__(self) -> None:
        """Start neutral: an answer that never came says nothing about load."""
        self.verdict = Verdict.NEUTRAL
        self.pause = 0.0


class _Waiter:
    __slots__ = ("admitted", "turn")

    def __init__(self) -> None:
        self.turn = anyio.Event()
        self.admitted = False


_NO_PAUSE: Final = 0.0


class Throttle:
    """The shell: places in the order asked for."""

    def __init__(
        self, clock: clocks.Clock, *, bounds: Bounds | None = None, cap: Bucket | None = None
    ) -> None:
        """Start with no request under way; `cap` bounds the rate beside the concurrency."""
        self._clock = clock
        self._limit = Limit(bounds or Bounds())
        self._cap = cap
        self._waiters: collections.deque[_Waiter] = collections.deque()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def places(self) -> int:
        """Return how many requests may be under way at once just now."""
        return int(self._limit.places)

    @property
    def in_use(self) -> int:
        """Return how many requests are under way."""
        return self._limit.taken

    @property
    def waiting(self) -> int:
        """Return how many wait for a place."""
        return len(self._waiters)

    def place(self, patience: float) -> "Place":
        """Return a place to hold, with `async with`: see `Place`."""
        return Place(self, patience)

    async def take(self, patience: float) -> float:
        """Take a place and return the moment; `Place` does it."""
        await self._obey_cap(patience)
        await self._take(patience)
        return self._clock.monotonic()

    def give_back(self, report: Report, begun: float) -> None:
        """Give back a place that was taken at `begun`; `Place` does it."""
        now = self._clock.monotonic()
        self._limit.give_back(report.verdict, now, pause=report.pause, seconds=now - begun)
        self._hand_out()

    async def _obey_cap(self, patience: float) -> None:
        if self._cap is None:
            return
        delay = self._cap.reserve(self._clock.monotonic(), patience)
        if delay is None:
            raise _impatient(patience, "--kube-api-qps allows no request sooner")
        if delay > 0.0:
            await self._clock.sleep(delay)

    async def _take(self, patience: float) -> None:
        if not self._waiters and self._limit.admit(self._clock.monotonic()):
            return
        waiter = _Waiter()
        self._waiters.append(waiter)
        self._hand_out()  # sets the timer where a pause is what we wait for
        try:
            with anyio.move_on_after(patience):
                await waiter.turn.wait()
        except BaseException:
            self._withdraw(waiter)
            raise
        if not waiter.admitted:
            self._withdraw(waiter)
            raise _impatient(patience, "the API server takes no more at once")

    def _withdraw(self, waiter: _Waiter) -> None:
        if waiter.admitted:
            self._limit.give_back(Verdict.NEUTRAL, self._clock.monotonic())
        else:
            self._waiters.remove(waiter)
        self._hand_out()

    def _hand_out(self) -> None:
        now = self._clock.monotonic()
        while self._waiters and self._limit.admit(now):
            waiter = self._waiters.popleft()
            waiter.admitted = True
            waiter.turn.set()
        left = self._limit.paused_until - now
        if self._waiters and left > _NO_PAUSE and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(left, self._resume)

    def _resume(self) -> None:
        self._timer = None
        self._hand_out()


class Place:
    """Holds a place; raises `Throttled` when none is free within the patience, in seconds.

    A class: as a generator it took a tenth of a request's CPU.
    """

    __slots__ = ("_begun", "_patience", "_report", "_throttle")

    def __init__(self, throttle: Throttle, patience: float) -> None:
        """Use `Throttle.place` instead."""
        self._throttle = throttle
        self._patience = patience
        self._report = Report()
        self._begun = 0.0

    async def __aenter__(self) -> Report:
        """Take it."""
        self._begun = await self._throttle.take(self._patience)
        return self._report

    async def __aexit__(self, *_: object) -> None:
        """Give it back."""
        self._throttle.give_back(self._report, self._begun)


def _impatient(patience: float, why: str) -> errors.Throttled:
    return errors.Throttled(f"not sent within {patience:g} s: {why}")
