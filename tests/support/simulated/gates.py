"""Where an operation stops: before and after every request, call and sleep, until it may go on.

An operation is one reconcile in flight, a task of its own. So everything else, another process
included, may happen between any two of its steps, and it may die at each of them.
"""

import asyncio
import contextlib
import contextvars
import enum
from collections.abc import Awaitable, Callable, Hashable, Iterator
from typing import Protocol

from snapshotd.decide import intents
from snapshotd.model import keys, wire
from snapshotd.runtime import actor
from snapshotd.runtime import store as caches

_CURRENT: contextvars.ContextVar["Operation | None"] = contextvars.ContextVar(
    "operation", default=None
)
_TICKS = 4  # of the loop: what a cancelled child task needs to end
_MOST_TICKS = 200


class Crash(BaseException):
    """The process dies here."""


class Stop(enum.Enum):
    """What an operation waits for."""

    REQUEST = "a write is on its way to the API server"
    ANSWER = "its answer is on its way back"
    READ = "a read is on its way"
    CALL = "a call is on its way to the driver"
    REPLY = "its answer is on its way back, or the driver takes long"
    SLEEP = "some time is to pass"


_CALLING = {Stop.CALL, Stop.REPLY}


class Parked:
    """One stop of one operation; `about` is what is on its way."""

    def __init__(self, operation: "Operation", stop: Stop, about: intents.Anything | None) -> None:
        self.operation = operation
        self.stop = stop
        self.about = about
        self.future: asyncio.Future[enum.Enum | None] = asyncio.get_running_loop().create_future()


class Owner(Protocol):
    """The process an operation is part of."""

    dead: bool
    cache: caches.Store[wire.Object]


class Operation:
    """One reconcile in flight."""

    def __init__(self, owner: Owner, key: keys.Key, known: frozenset[Hashable]) -> None:
        self.owner = owner
        self.key = key
        self.known = known  # what was cached when it began
        self.parked: list[Parked] = []
        self.task: asyncio.Task[actor.Verdict] | None = None

    def begin(
        self,
        loop: asyncio.AbstractEventLoop,
        reconcile: Callable[[keys.Key], Awaitable[actor.Verdict]],
    ) -> None:
        """Run as far as the first stop, or to the end."""
        context = contextvars.copy_context()
        context.run(_CURRENT.set, self)
        self.task = loop.create_task(self._run(reconcile), context=context)
        loop.run_until_complete(self._quiet(alone=True))

    def go_on(
        self, loop: asyncio.AbstractEventLoop, parked: Parked, fate: enum.Enum | None
    ) -> None:
        """Let it go on from one stop, with this fate, as far as the next."""
        self.parked.remove(parked)
        alone = not self.parked
        parked.future.set_result(fate)
        loop.run_until_complete(self._quiet(alone=alone))

    def die(self, loop: asyncio.AbstractEventLoop) -> None:
        """End it where it stands."""
        assert self.task is not None
        self.task.cancel()
        loop.run_until_complete(asyncio.wait([self.task]))
        if not self.task.cancelled():
            self.task.exception()  # looked at, so that asyncio does not warn of it

    @property
    def done(self) -> bool:
        """Whether it came to its end."""
        return self.task is not None and self.task.done()

    async def _run(
        self, reconcile: Callable[[keys.Key], Awaitable[actor.Verdict]]
    ) -> actor.Verdict:
        return await reconcile(self.key)

    async def _quiet(self, *, alone: bool) -> None:
        """Wait for the next stop; `alone`: only a call to the driver has a task beside it."""
        for ticks in range(_MOST_TICKS):
            stops = {each.stop for each in self.parked}
            stopped = bool(stops - {Stop.SLEEP})
            waited = ticks >= _TICKS or (alone and stops.isdisjoint(_CALLING))
            if self.done or (stopped and waited):
                return
            await asyncio.sleep(0)
        raise AssertionError(f"{self.key}: neither stopped nor done")


def current() -> Operation | None:
    """Return the operation that is running, None outside of any."""
    return _CURRENT.get()


@contextlib.contextmanager
def acting(operation: Operation) -> Iterator[None]:
    """Have what happens now count as done by this operation: its request, arriving late."""
    token = _CURRENT.set(operation)
    try:
        yield
    finally:
        _CURRENT.reset(token)


async def stop(why: Stop, about: intents.Anything | None = None) -> enum.Enum | None:
    """Wait until the story lets the operation go on; return what becomes of what is on its way."""
    operation = _CURRENT.get()
    if operation is None:
        return None
    if operation.owner.dead:
        raise Crash
    parked = Parked(operation, why, about)
    operation.parked.append(parked)
    try:
        return await parked.future
    finally:
        if parked in operation.parked:
            operation.parked.remove(parked)
