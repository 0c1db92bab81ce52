"""The only wall clock and the only sleep of the package, behind a Protocol so that tests own time.

`monotonic` never goes back and is what delays are measured by; `now` may jump when the machine's
clock is set, and is only ever shown to people or written into objects.
"""

import time
from typing import Protocol

import anyio


class Clock(Protocol):
    """Where time comes from."""

    def now(self) -> float:
        """Return wall time: seconds since the epoch, UTC."""

    def monotonic(self) -> float:
        """Return seconds since an arbitrary moment; never goes back."""

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only lets others run."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return wall time: seconds since the epoch, UTC."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds of CLOCK_MONOTONIC, which asyncio's and uvloop's timers follow too."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Wait; zero or less only lets others run."""
        await anyio.sleep(max(0.0, seconds))
