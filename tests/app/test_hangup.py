"""SIGHUP makes the logs say more, and less again."""

import io
import os
import signal

import anyio
import anyio.abc
import pytest
import structlog

from snapshotd.app import hangup
from snapshotd.telemetry import logging as logs

pytestmark = pytest.mark.usefixtures("logs_put_back")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_a_hangup_brings_debug_and_the_next_one_takes_it_away() -> None:
    file = io.BytesIO()
    logs.configure("json", 0, file=file)
    log = structlog.get_logger()
    (part,) = hangup.parts(io.StringIO())

    async def listen(*, task_status: anyio.abc.TaskStatus[None]) -> None:
        await part.run(task_status)

    async def hang_up(times: int) -> None:
        os.kill(os.getpid(), signal.SIGHUP)
        while file.getvalue().count(b"log_level_changed") < times:
            await anyio.lowlevel.checkpoint()

    with anyio.fail_after(10):
        async with anyio.create_task_group() as group:
            await group.start(listen)
            log.debug("before")
            await hang_up(1)
            log.debug("between")
            await hang_up(2)
            log.debug("after")
            group.cancel_scope.cancel()
    await anyio.lowlevel.checkpoint()
    await anyio.lowlevel.checkpoint()

    assert b'"level":"debug","event":"between"' in file.getvalue()
    assert b'"event":"log_level_changed","now":"debug"' in file.getvalue()
    assert b'"event":"log_level_changed","now":"info"' in file.getvalue()
    assert b"before" not in file.getvalue()
    assert b"after" not in file.getvalue()


def test_where_a_person_watches_a_hangup_ends_the_process_as_it_always_does() -> None:
    assert hangup.parts(Terminal()) == []
