"""How late the event loop is."""

import anyio
import pytest

from snapshotd.runtime import lag
from snapshotd.telemetry import metrics


class Late:
    """A clock whose sleeps take longer than asked for, by what is given, once each."""

    def __init__(self, *late: float) -> None:
        self._late = list(late)
        self._passed = 0.0
        self.done = anyio.Event()

    def now(self) -> float:
        return self._passed

    def monotonic(self) -> float:
        return self._passed

    async def sleep(self, seconds: float) -> None:
        if not self._late:
            self.done.set()
            await anyio.sleep_forever()
        self._passed += seconds + self._late.pop(0)


async def measured(meters: metrics.Metrics, *late: float) -> dict[str, float | None]:
    clock = Late(*late)
    async with anyio.create_task_group() as group:
        await group.start(lag.Lag(clock, meters).run)
        await clock.done.wait()
        group.cancel_scope.cancel()
    name = "snapshotd_event_loop_lag_seconds"
    return {end: meters.registry.get_sample_value(f"{name}_{end}") for end in ("count", "sum")}


async def test_a_loop_that_is_late_says_by_how_much(meters: metrics.Metrics) -> None:
    assert await measured(meters, 0.25, 0.0, 1.0) == {"count": 3, "sum": pytest.approx(1.25)}


async def test_a_timer_that_fires_early_is_not_late(meters: metrics.Metrics) -> None:
    assert await measured(meters, -0.25) == {"count": 1, "sum": 0}
