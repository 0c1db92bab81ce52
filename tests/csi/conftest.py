"""A scripted driver behind a real socket, and a connection to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import scripted_driver

from snapshotd.csi import connection


@pytest.fixture(scope="module", autouse=True)
async def one_loop(anyio_backend: object) -> AsyncIterator[None]:
    """Keep one event loop for all tests of a file: grpc's poller outlives a loop that is closed."""
    del anyio_backend  # named, so that anyio runs this for tests without a loop, too
    yield  # noqa: PT022 - only a generator keeps the loop


@pytest.fixture
async def scripted(tmp_path: Path) -> AsyncIterator[scripted_driver.Scripted]:
    servicer = scripted_driver.scripted()
    server = await scripted_driver.serve(servicer, tmp_path / "csi.sock")
    yield servicer
    await server.stop(None)


@pytest.fixture
async def link(tmp_path: Path) -> AsyncIterator[connection.Connection]:
    made = connection.Connection(str(tmp_path / "csi.sock"), timeout=10.0)
    yield made
    await made.close()
