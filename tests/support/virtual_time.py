"""Virtual time for tests: a loop that, instead of waiting for a timer, jumps to it.

Only for tests whose waits are all timers: sockets and threads run in real time.
"""

import asyncio
import selectors
from typing import Any

import anyio

EPOCH = 1_700_000_000.0


class _Selector(selectors.DefaultSelector):
    """Never waits; remembers how long it was asked to."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        found: list[Any] = super().select(0)
        if not found and timeout is None:
            message = "every task waits, and no timer is set: this test would never end"
            raise RuntimeError(message)
        if not found and timeout:
            self.skipped += timeout
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """Hours pass in no time. Only timers: nothing here may wait for a socket or a thread."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.skipped


class VirtualClock:
    """The clock of a `VirtualLoop`."""

    def now(self) -> float:
        return EPOCH + self.monotonic()

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)
