"""How late the event loop is: a timer that says by how much it was missed.

A loop that is late is one in which something computes for too long, or a machine that is short of
CPU: every watch, lease renewal and probe of this process is late with it. Costs two wake-ups a
second.
"""

from typing import Final, NoReturn

import anyio
import anyio.abc

from snapshotd.runtime import clock as clocks
from snapshotd.telemetry import metrics as meters

_PERIOD: Final = 0.5  # seconds


class Lag:
    """Measures for as long as `run` runs; `run` fits `supervisor.Part`."""

    def __init__(self, clock: clocks.Clock, metrics: meters.Metrics) -> None:
        """Prepare; nothing is measured before `run`."""
        self._clock = clock
        self._metrics = metrics

    async def run(
        self, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> NoReturn:
        """Set a timer again and again, and record how late it is served."""
        task_status.started()
        while True:
            due = self._clock.monotonic() + _PERIOD
            await self._clock.sleep(_PERIOD)
            self._metrics.late(max(0.0, self._clock.monotonic() - due))
