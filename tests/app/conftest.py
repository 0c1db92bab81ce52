"""A sidecar that has met its driver over a real socket; there is no cluster."""

from collections.abc import AsyncIterator
from pathlib import Path

import certificates
import converting
import pytest
import scripted_driver

from snapshotd.csi import connection


@pytest.fixture(scope="module", autouse=True)
async def one_loop(anyio_backend: object) -> AsyncIterator[None]:
    """Keep one event loop for all tests of a file: grpc's poller outlives a loop that is closed."""
    del anyio_backend  # named, so that anyio runs this for tests without a loop, too
    yield  # noqa: PT022 - only a generator keeps the loop


@pytest.fixture
def socket(tmp_path: Path) -> Path:
    return tmp_path / "csi.sock"


@pytest.fixture
async def scripted(socket: Path) -> AsyncIterator[scripted_driver.Scripted]:
    servicer = scripted_driver.scripted()
    server = await scripted_driver.serve(servicer, socket)
    yield servicer
    await server.stop(None)


@pytest.fixture
async def link(socket: Path) -> AsyncIterator[connection.Connection]:
    made = connection.Connection(str(socket), timeout=10.0)
    yield made
    await made.close()


@pytest.fixture(scope="module")
def identity() -> certificates.Identity:
    return certificates.make()


@pytest.fixture
def files(tmp_path: Path, identity: certificates.Identity) -> converting.Files:
    return converting.Files(tmp_path).put(identity)


@pytest.fixture
async def webhook(
    files: converting.Files, identity: certificates.Identity
) -> AsyncIterator[converting.Running]:
    async with converting.running(files, identity) as made:
        yield made
