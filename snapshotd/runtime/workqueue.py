"""The work queue: which key next, and when; one key in at most one hand.

`Core` is the algorithm: synchronous, and told the time with every call. `WorkQueue` is the thin
shell that gives it a clock, a timer, waiting workers and metrics.

A key the queue knows is in exactly one place:

- ready: due, and served by priority and in fairness to tenants (`turns`);
- delayed: due later (a heap by due time; a table says which heap entry of a key counts, so moving a
  key leaves its old entry behind, to be skipped when it surfaces);
- in a hand: taken and not yet done. Added meanwhile, it is noted with the earliest due time asked
  for, and goes back to ready or delayed when done.

Adding a known key merges: the earliest due time and the most urgent priority win, and no key is
ever queued twice. Keys of one tenant and priority are served in the order of their due times.

So a change overtakes a backoff: what it mended is seen at once. But a failure may itself write a
change (an error with a new text each time), and a key would spin on its own echo; from its third
failure in a row on, a key is served at most once in `BackoffSettings.start` seconds. And all keys
together fail no faster than `BackoffSettings.rate` a second: above it their retries are spread
further apart, so that an outage that fails everything does not end in a stampede.

Costs, n keys known: add, take and done are O(1) for keys due now, O(log n) for delayed ones, since
each delayed add pushes one heap entry, which is popped once. Entries left behind are swept, in
O(heap), when they outnumber the live ones: amortised O(1) for each add that left one. `retry` and
`forget` touch tables that hold failing keys only. Memory is O(n).
"""

import asyncio
import contextlib
import dataclasses
import heapq
import random
from collections import deque
from collections.abc import Callable, Hashable
from typing import Generic, TypeAlias, TypeVar

import anyio.lowlevel

from snapshotd.runtime import clock as clocks
from snapshotd.runtime import turns, waiting
from snapshotd.telemetry import metrics as meters

K = TypeVar("K", bound=Hashable)
_Entry: TypeAlias = tuple[float, int, K]  # due at; turn, for order among equals; key
Jitter: TypeAlias = Callable[[float], float]
Tenant: TypeAlias = Callable[[K], Hashable]

_SWEEP_FLOOR = 64  # below this many left-behind entries a sweep costs more than it frees

_PATIENCE = 3  # failures in a row from which on a key is held back even from being woken

_FIRST_COME = turns.Place()

_TICK = 0.001  # uvloop counts whole milliseconds: a timer that fires early would ring in a row


@dataclasses.dataclass(frozen=True, slots=True)
class BackoffSettings:
    """Seconds before the first retry of a failing key, doubled each time up to a maximum."""

    start: float = 1.0
    max: float = 300.0
    rate: float = 100.0  # retries a second of all keys together, beyond `burst` at once
    burst: int = 1000

    def delay(self, attempts: int) -> float:
        """Return the seconds to wait after the `attempts`-th failure in a row (from 1)."""
        return min(self.max, self.start * 2.0 ** min(attempts - 1, 62))


def spread(delay: float) -> float:
    """Return a delay up to a tenth longer, so that what failed together does not return together.

    Never shorter: an operator who set `--retry-interval-start` finds it kept.
    """
    return delay * random.uniform(1.0, 1.1)  # noqa: S311 - spreads load, guards nothing


@dataclasses.dataclass(frozen=True, slots=True)
class Taken(Generic[K]):
    """A key put into a hand, and the seconds it was due before."""

    key: K
    waited: float


class Core(Generic[K]):
    """The algorithm; `now` is in seconds and must not go back."""

    def __init__(self, backoff: BackoffSettings, *, jitter: Jitter = spread) -> None:
        """Start empty; `jitter` turns the delay before a retry into the one to use."""
        self._backoff = backoff
        self._jitter = jitter
        self._ready: turns.Turns[K] = turns.Turns()
        self.readings = self._ready.readings()
        self._places: dict[K, turns.Place] = {}  # of keys delayed, or in a hand and due again
        self._delayed: dict[K, _Entry[K]] = {}
        self._heap: list[_Entry[K]] = []
        self._turn = 0
        self._in_hand: dict[K, float] = {}  # taken at
        self._again: dict[K, float] = {}  # in a hand, and due again at
        self._attempts: dict[K, int] = {}
        self._not_before: dict[K, float] = {}  # of keys that fail over and over
        self._next_retry = float("-inf")

    def __len__(self) -> int:
        """Return how many keys are due or delayed, in no hand."""
        return len(self._ready) + len(self._delayed)

    def __contains__(self, key: K) -> bool:
        """Say whether the key is due, delayed or in a hand."""
        return key in self._ready or key in self._delayed or key in self._in_hand

    def ready(self, now: float) -> int:
        """Return how many keys could be taken."""
        self._advance(now)
        return len(self._ready)

    def add(
        self, key: K, now: float, *, after: float = 0.0, place: turns.Place = _FIRST_COME
    ) -> bool:
        """Have `key` served `after` seconds from now, or earlier if it is due earlier.

        Say whether that is news, False if the key was due by then anyway (it may still move to a
        more urgent place).
        """
        self._advance(now)
        due = max(now, now + after, self._not_before.get(key, now))
        if key in self._ready:
            self._ready.hurry(key, place)
            return False
        self._places[key] = place.ahead(self._places.get(key))
        if key in self._in_hand:
            known = self._again.get(key)
            news = known is None or due < known
            if news:
                self._again[key] = due
            return news
        entry = self._delayed.get(key)
        if entry is not None and entry[0] <= due:
            return False
        self._place(key, now, due)
        return True

    def take(self, now: float) -> Taken[K] | None:
        """Put the key whose turn it is into a hand; None if none is due."""
        self._advance(now)
        if not self._ready:
            return None
        key, since = self._ready.pop()
        self._in_hand[key] = now
        return Taken(key, now - since)

    def done(self, key: K, now: float) -> float:
        """Take `key` out of the hand and return the seconds it was there; `KeyError` if it was not.

        If it was added meanwhile, it is queued again.
        """
        self._advance(now)
        worked = now - self._in_hand.pop(key)
        due = self._again.pop(key, None)
        if due is not None:
            # Not before now: behind those that waited while it had its turn.
            self._place(key, now, max(due, self._not_before.get(key, now), now))
        return worked

    def failed(self, key: K, now: float, *, at_least: float = 0.0) -> float:
        """Count a failure of `key` and return the seconds to wait before it is added again."""
        attempts = self._attempts.get(key, 0) + 1
        self._attempts[key] = attempts
        if attempts >= _PATIENCE:
            self._not_before[key] = now + self._backoff.start
        return self._jitter(max(at_least, self._backoff.delay(attempts))) + self._queueing(now)

    def _queueing(self, now: float) -> float:
        """Book a retry at the overall rate and return the seconds it has to wait for that."""
        interval = 1.0 / self._backoff.rate
        due = max(self._next_retry, now - interval * (self._backoff.burst - 1))
        self._next_retry = due + interval
        return max(0.0, due - now)

    def forget(self, key: K) -> None:
        """Let the next failure of `key` count as its first."""
        self._attempts.pop(key, None)
        self._not_before.pop(key, None)

    def next_due(self, now: float) -> float | None:
        """Return when the next delayed key falls due; None if none is delayed."""
        self._advance(now)
        self._drop_stale()
        return self._heap[0][0] if self._heap else None

    def unfinished(self, now: float) -> float:
        """Return the seconds that keys in hand have been there, all together."""
        return sum(now - since for since in self._in_hand.values())

    def longest(self, now: float) -> float:
        """Return the seconds that the key longest in hand has been there; 0 if none is."""
        return max((now - since for since in self._in_hand.values()), default=0.0)

    def look(self, now: float, most: int) -> waiting.Look[K]:
        """Return how many keys are where, and up to `most` of those that wait longest."""
        self._advance(now)
        delayed = ((key, entry[0]) for key, entry in self._delayed.items())
        places = waiting.Places(self._ready, delayed, self._in_hand.items(), self._attempts)
        return waiting.look(places, now, most)

    def _place(self, key: K, now: float, due: float) -> None:
        """Put a key that is in no place, or delayed for later than `due`, where it belongs."""
        if due <= now:
            self._delayed.pop(key, None)
            self._ready.put(key, self._places.pop(key), due)
            return
        self._turn += 1
        entry = (due, self._turn, key)
        self._delayed[key] = entry
        heapq.heappush(self._heap, entry)
        if len(self._heap) > 2 * len(self._delayed) + _SWEEP_FLOOR:
            self._heap = list(self._delayed.values())
            heapq.heapify(self._heap)

    def _advance(self, now: float) -> None:
        """Move what has fallen due from delayed to ready, in the order of due times."""
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            due, _, key = entry
            if self._delayed.get(key) is entry:
                del self._delayed[key]
                self._ready.put(key, self._places.pop(key), due)

    def _drop_stale(self) -> None:
        """Bring the first entry that counts to the top of the heap."""
        while self._heap and self._delayed.get(self._heap[0][2]) is not self._heap[0]:
            heapq.heappop(self._heap)


def _nobody(key: Hashable) -> Hashable:
    """Take all keys for one tenant's."""
    del key
    return None


class WorkQueue(Generic[K]):
    """The shell: a `Core` with a clock, a timer for the next due key, workers that wait, metrics.

    Not thread-safe: all calls come from the event loop's thread. `len` counts keys due or delayed,
    in no hand.
    """

    def __init__(
        self,
        name: str,
        clock: clocks.Clock,
        *,
        backoff: BackoffSettings,
        metrics: meters.Metrics,
        tenant: Tenant[K] = _nobody,
        jitter: Jitter = spread,
    ) -> None:
        """Start empty and open; `name` is the queue's label in metrics.

        `tenant` says whose a key is, when it is added.
        """
        self.name = name
        self._tenant = tenant
        self.backoff = backoff
        self.clock = clock
        self._core: Core[K] = Core(backoff, jitter=jitter)
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_due = 0.0
        self._closed = False
        self._meter = metrics.queue(name)
        self._meter.watch(
            lambda: self._core.ready(clock.monotonic()),
            lambda: self._core.unfinished(clock.monotonic()),
            longest=self.longest_in_hand,
        )
        self._meter.watch_priorities(self._core.readings)

    def __len__(self) -> int:
        """Return how many keys are due or delayed, in no hand."""
        return len(self._core)

    def __contains__(self, key: K) -> bool:
        """Say whether the key is due, delayed or in a hand: somebody will look at it."""
        return key in self._core

    def add(
        self, key: K, after: float = 0.0, *, priority: turns.Priority = turns.Priority.REQUEST
    ) -> None:
        """Have `key` served `after` seconds from now, or earlier if it is due earlier."""
        place = turns.Place(priority, self._tenant(key))
        if self._core.add(key, self.clock.monotonic(), after=after, place=place):
            self._meter.added()
            self._wake()

    async def get(self) -> K | None:
        """Wait for a due key and take it; None once the queue is closed, whatever is left in it.

        The wait has no deadline: it ends with an add, with `close`, or with the worker. Every call
        lets other tasks run first, so that a long row of due keys cannot starve the loop.
        """
        await anyio.lowlevel.checkpoint()
        while not self._closed:
            now = self.clock.monotonic()
            taken = self._core.take(now)
            if taken is not None:
                self._meter.taken(taken.waited)
                return taken.key
            self._arm(now)
            await self._wait()
        return None

    def done(self, key: K) -> float:
        """Give `key` back after `get`; return the seconds it was in hand.

        If it was added meanwhile, it is queued again.
        """
        worked = self._core.done(key, self.clock.monotonic())
        self._meter.done(worked)
        self._wake()
        return worked

    def retry(self, key: K, *, at_least: float = 0.0) -> float:
        """Add `key` after its backoff, or later if `at_least` says so; return the delay."""
        delay = self._core.failed(key, self.clock.monotonic(), at_least=at_least)
        self._meter.retried()
        self.add(key, delay, priority=turns.Priority.RETRY)
        return delay

    def forget(self, key: K) -> None:
        """Let the next failure of `key` count as its first."""
        self._core.forget(key)

    def look(self, most: int) -> waiting.Look[K]:
        """Return how many keys are where, and up to `most` of those that wait longest."""
        return self._core.look(self.clock.monotonic(), most)

    def longest_in_hand(self) -> float:
        """Return the seconds that the key longest in hand has been there; 0 if none is."""
        return self._core.longest(self.clock.monotonic())

    def close(self) -> None:
        """Hand out no more keys; waiting workers get None at once. Adds are still accepted."""
        self._closed = True
        self._disarm()
        while self._waiters:
            self._release()

    async def _wait(self) -> None:
        waiter = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            with contextlib.suppress(ValueError):
                self._waiters.remove(waiter)
            self._wake()  # this worker may have been woken for a key that another must take now
            raise

    def _wake(self) -> None:
        """Wake as many waiting workers as there are due keys, and mind the next due one."""
        now = self.clock.monotonic()
        ready = self._core.ready(now)
        for _ in range(min(ready, len(self._waiters))):
            self._release()
        if self._waiters:
            self._arm(now)

    def _release(self) -> None:
        waiter = self._waiters.popleft()
        if not waiter.done():  # else its task was cancelled and has not run since
            waiter.set_result(None)

    def _arm(self, now: float) -> None:
        """Have the timer fire when the next delayed key falls due, or before.

        `now` is the moment at which none was due: by a later one, a key may have fallen due that
        nobody was woken for, and no timer would tell of it.
        """
        due = self._core.next_due(now)
        if due is None or (self._timer is not None and self._timer_due <= due):
            return  # a timer that fires too early only looks again
        self._disarm()
        self._timer = asyncio.get_running_loop().call_later(max(due - now, _TICK), self._ring)
        self._timer_due = due

    def _ring(self) -> None:
        self._timer = None
        self._wake()

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
