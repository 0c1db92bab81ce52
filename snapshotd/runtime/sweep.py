"""A slow look at every key, in case something should be done that nothing woke.

Nothing relies on it: every wait is ended by an event, so it should find nothing, and what it finds
is counted and logged as a defect. It only asks; a key for which there is something to do is put
into its queue. A pass is spread evenly over the period, so that no second is busier than another,
and a pass costs no request and no place in a queue. Keys that are queued or in a hand are passed
over: somebody looks at them anyway.
"""

import math
from collections.abc import Callable, Hashable, Iterable
from typing import Final, Generic, NoReturn, TypeVar

import anyio
import anyio.abc
import structlog

from snapshotd.runtime import clock as clocks
from snapshotd.telemetry import metrics as meters

K = TypeVar("K", bound=Hashable)
log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_STEP: Final = 1.0  # seconds between two slices of a pass


class Sweep(Generic[K]):
    """Passes over `keys()` once in `period` seconds; `overlooked` says what should not be so."""

    def __init__(
        self,
        *,
        keys: Callable[[], Iterable[K]],
        overlooked: Callable[[K], bool],
        wake: Callable[[K], None],
        period: float,
        clock: clocks.Clock,
        metrics: meters.Metrics,
    ) -> None:
        """Prepare; the first pass begins when `run` is called."""
        self._keys = keys
        self._overlooked = overlooked
        self._wake = wake
        self._period = period
        self._clock = clock
        self._meter = metrics.sweep()

    async def run(
        self, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Pass over all keys again and again, until cancelled."""
        task_status.started()
        while True:
            await self._pass()

    async def _pass(self) -> None:
        keys = list(self._keys())
        steps = max(1, math.ceil(self._period / _STEP))
        slice_ = math.ceil(len(keys) / steps)
        for step in range(steps):
            await self._clock.sleep(self._period / steps)
            for key in keys[step * slice_ : (step + 1) * slice_]:
                self._look(key)

    def _look(self, key: K) -> None:
        self._meter.looked()
        if self._overlooked(key):
            self._meter.found()
            log.warning("sweep_found", key=str(key))
            self._wake(key)
