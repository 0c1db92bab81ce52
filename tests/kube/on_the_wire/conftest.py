"""A server that speaks byte by byte, and a connection to it."""

from collections.abc import AsyncIterator
from pathlib import Path

import bytewise
import pytest
import scripted

from snapshotd.kube import connection as connections
from snapshotd.telemetry import metrics


@pytest.fixture
async def server() -> AsyncIterator[bytewise.Server]:
    async with bytewise.listening() as listening:
        yield listening


@pytest.fixture
def client(tmp_path: Path, clock: scripted.Clock, meters: metrics.Metrics) -> bytewise.Client:
    return bytewise.Client(tmp_path, clock, meters)


@pytest.fixture
async def connection(
    server: bytewise.Server, client: bytewise.Client
) -> AsyncIterator[connections.Connection]:
    async with client.to(f"http://127.0.0.1:{server.port}/prefix/") as opened:
        yield opened
