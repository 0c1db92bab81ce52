import time

import anyio
import pytest

from snapshotd.runtime import clock as clocks


def test_the_system_clock_tells_the_time() -> None:
    clock = clocks.SystemClock()

    assert abs(clock.now() - time.time()) < 60
    assert clock.monotonic() <= clock.monotonic()


async def test_sleeping_takes_as_long_as_asked() -> None:
    before = anyio.current_time()

    await clocks.SystemClock().sleep(3600)

    assert anyio.current_time() - before == pytest.approx(3600)


async def test_a_sleep_into_the_past_ends_at_once() -> None:
    await clocks.SystemClock().sleep(-1)
