"""The slow look at every key: evenly spread, asking only, waking and counting what it finds."""

from collections.abc import Iterable

import anyio
import pytest
import structlog
import virtual_time

from snapshotd.runtime import clock as clocks
from snapshotd.runtime import sweep
from snapshotd.telemetry import metrics

PERIOD = 10.0


class Round:
    """Keys, those that were overlooked, and what the sweep did about them, and when."""

    def __init__(self, meters: metrics.Metrics, *keys: str, overlooked: Iterable[str] = ()) -> None:
        self.keys = list(keys)
        self.overlooked = set(overlooked)
        self.looked: list[tuple[float, str]] = []
        self.woken: list[str] = []
        self._meters = meters
        self._clock = virtual_time.VirtualClock()
        self._began = 0.0

    async def run(self, seconds: float, *, period: float = PERIOD) -> None:
        """Sweep for this long."""
        self._began = self._clock.monotonic()
        slow = sweep.Sweep(
            keys=lambda: self.keys,
            overlooked=self._ask,
            wake=self.woken.append,
            period=period,
            clock=self._clock,
            metrics=self._meters,
        )
        async with anyio.create_task_group() as group:
            await group.start(slow.run)
            await self._clock.sleep(seconds)
            group.cancel_scope.cancel()

    def counted(self, what: str) -> float | None:
        return self._meters.registry.get_sample_value(f"snapshotd_resync_{what}_total")

    def moments(self) -> list[float]:
        return [at for at, _ in self.looked]

    def _ask(self, key: str) -> bool:
        self.looked.append((round(self._clock.monotonic() - self._began, 6), key))
        return key in self.overlooked


async def test_a_pass_is_spread_evenly_over_its_period(meters: metrics.Metrics) -> None:
    around = Round(meters, *"abcdefghij")
    await around.run(PERIOD + 0.5)
    assert around.looked == [(float(n), key) for n, key in enumerate("abcdefghij", start=1)]


async def test_what_was_overlooked_is_woken_counted_and_told(meters: metrics.Metrics) -> None:
    around = Round(meters, "a", "b", "c", overlooked=["b"])
    with structlog.testing.capture_logs() as logs:
        await around.run(PERIOD + 0.5)
    assert around.woken == ["b"]
    assert (around.counted("looks"), around.counted("finds")) == (3, 1)
    assert logs == [{"event": "sweep_found", "key": "b", "log_level": "warning"}]


async def test_where_nothing_was_overlooked_nothing_is_woken(meters: metrics.Metrics) -> None:
    around = Round(meters, "a", "b")
    await around.run(PERIOD + 0.5)
    assert around.woken == []
    assert (around.counted("looks"), around.counted("finds")) == (2, 0)


async def test_without_keys_a_pass_still_takes_its_time(meters: metrics.Metrics) -> None:
    around = Round(meters)
    await around.run(PERIOD / 2)
    assert around.counted("looks") == 0
    around.keys = ["late"]  # an object that came during the pass is seen in the next
    await around.run(2 * PERIOD)
    assert around.moments()[0] == 1.0


async def test_a_key_that_comes_during_a_pass_is_looked_at_in_the_next(
    meters: metrics.Metrics,
) -> None:
    around = Round(meters, "a")

    async def add_later() -> None:
        await anyio.sleep(2.5)
        around.keys.append("b")

    async with anyio.create_task_group() as group:
        group.start_soon(add_later)
        await around.run(2 * PERIOD + 0.5)
    assert around.looked == [(1.0, "a"), (11.0, "a"), (12.0, "b")]


@pytest.mark.parametrize(
    ("count", "most_at_once"),
    [(1, 1), (9, 1), (10, 1), (11, 2), (25, 3), (100, 10)],
)
async def test_every_key_is_looked_at_once_and_no_second_is_crowded(
    meters: metrics.Metrics, count: int, most_at_once: int
) -> None:
    around = Round(meters, *(str(number) for number in range(count)))
    await around.run(PERIOD + 0.5)
    moments = around.moments()
    assert [key for _, key in around.looked] == around.keys
    assert max(moments.count(each) for each in moments) == most_at_once
    assert around.counted("looks") == count


async def test_a_pass_shorter_than_a_second_is_one_look_at_its_end(
    meters: metrics.Metrics,
) -> None:
    around = Round(meters, "a", "b")
    await around.run(0.6, period=0.5)
    assert around.looked == [(0.5, "a"), (0.5, "b")]


async def test_a_period_of_a_fraction_more_is_divided_evenly(meters: metrics.Metrics) -> None:
    around = Round(meters, "a", "b", "c")
    await around.run(2.6, period=2.5)
    assert around.moments() == pytest.approx([2.5 / 3, 5 / 3, 2.5])


async def test_pass_follows_pass_until_it_is_cancelled(
    meters: metrics.Metrics, clock: clocks.Clock
) -> None:
    around = Round(meters, "a", overlooked=["a"])
    before = clock.monotonic()
    await around.run(3 * PERIOD + 0.5)
    assert around.moments() == [1.0, 11.0, 21.0, 31.0][: len(around.looked)]
    assert around.woken == ["a"] * 3
    assert clock.monotonic() - before == pytest.approx(3 * PERIOD + 0.5)
