"""SIGHUP: debug logs from now on, and with the next one no more; no restart, nothing is lost.

Where standard error is a terminal, SIGHUP means what it always does: the terminal is gone, and the
process ends with it.
"""

import signal
import sys
from typing import TextIO

import anyio
import anyio.abc
import structlog

from snapshotd.runtime import supervisor
from snapshotd.telemetry import logging

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)


def parts(stderr: TextIO | None = None) -> list[supervisor.Part]:
    """Return the part that listens for SIGHUP, none where a person watches."""
    if (stderr or sys.stderr).isatty():
        return []
    return [supervisor.Part("log level", run)]


async def run(task_status: anyio.abc.TaskStatus[None]) -> None:
    """Change the level with every SIGHUP, until cancelled."""
    with anyio.open_signal_receiver(signal.SIGHUP) as arrivals:
        task_status.started()
        async for _ in arrivals:
            level = logging.toggle_debug()
            log.warning("log_level_changed", now=level)  # a warning: seen at most levels
