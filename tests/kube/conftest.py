"""A scripted API server on loopback, and a connection to it."""

import json
from collections import deque
from collections.abc import AsyncIterator
from pathlib import Path

import certificates
import pytest
import reflecting
import scripted
from aiohttp import test_utils, web

from snapshotd.kube import connection as connections
from snapshotd.model import wire
from snapshotd.runtime import store as caches
from snapshotd.telemetry import metrics


@pytest.fixture
def meters() -> metrics.Metrics:
    return metrics.Metrics()


@pytest.fixture
def clock() -> scripted.Clock:
    return scripted.Clock()


@pytest.fixture
async def server() -> AsyncIterator[scripted.Server]:
    script = scripted.Server(seen=[], answers=deque())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    async with test_utils.TestServer(app, host="127.0.0.1") as listening:
        script.url = f"http://127.0.0.1:{listening.port}"
        yield script
        script.hung_up.set()


@pytest.fixture
def kubeconfig(server: scripted.Server, tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    path.write_text(json.dumps(scripted.kubeconfig(server.url, {"token": "t0"})))
    return path


@pytest.fixture
async def connection(
    kubeconfig: Path, clock: scripted.Clock, meters: metrics.Metrics
) -> AsyncIterator[connections.Connection]:
    options = connections.Options(kubeconfig=str(kubeconfig))
    async with connections.Connection(options, clock=clock, meters=meters) as opened:
        yield opened


@pytest.fixture(scope="session")
def identity() -> certificates.Identity:
    return certificates.make()


@pytest.fixture(scope="session")
def authority(identity: certificates.Identity) -> bytes:
    return identity.certificate


@pytest.fixture
def store() -> caches.Store[wire.Object]:
    return caches.Store()


@pytest.fixture
def make(
    connection: connections.Connection,
    store: caches.Store[wire.Object],
    clock: scripted.Clock,
    meters: metrics.Metrics,
) -> reflecting.Maker:
    return reflecting.Maker(connection, store, clock=clock, meters=meters)
