"""The embedded driver behind a real socket, held against the CSI specification, version 1.12.

Each test names the section whose sentence it holds the driver to. A test knows of the driver what
any caller knows; the folder is looked into where the specification is about what must not happen.
"""

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import grpc
import pytest
from csi_plugin import Plugin

from snapshotd.devcluster.hostpath import server


@pytest.fixture(scope="module", autouse=True)
async def one_loop(anyio_backend: object) -> AsyncIterator[None]:
    """Keep one event loop for all tests here: grpc's poller outlives a loop that is closed."""
    del anyio_backend  # named, so that anyio runs this for tests without a loop, too
    yield  # noqa: PT022 - only a generator keeps the loop


@pytest.fixture
async def plugin(tmp_path: Path) -> AsyncIterator[Plugin]:
    """One driver over an empty folder."""
    settings = server.Settings(tmp_path / "data", tmp_path / "csi.sock")
    async with anyio.create_task_group() as group:
        await group.start(server.HostpathDriver(settings).run)
        channel = grpc.aio.insecure_channel(f"unix://{settings.socket}")
        yield Plugin(channel, settings.folder)
        await channel.close()
        group.cancel_scope.cancel()
