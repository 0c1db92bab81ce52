import json
import ssl
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import certificates
import pytest
import scripted
from aiohttp import test_utils, web

from snapshotd import errors
from snapshotd.kube import connection as connections
from snapshotd.telemetry import metrics


@asynccontextmanager
async def serving(
    identity: certificates.Identity, folder: Path, *, clients: bool = False
) -> AsyncIterator[scripted.Server]:
    script = scripted.Server(seen=[], answers=deque())
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", script.handle)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    crt, key = write(identity, folder)
    context.load_cert_chain(crt, key)
    if clients:
        context.load_verify_locations(crt)
        context.verify_mode = ssl.CERT_REQUIRED
    listening = test_utils.TestServer(app, host="127.0.0.1", scheme="https")
    await listening.start_server(ssl=context)
    try:
        script.url = f"https://127.0.0.1:{listening.port}"
        yield script
    finally:
        script.hung_up.set()
        await listening.close()


def write(identity: certificates.Identity, folder: Path) -> tuple[Path, Path]:
    crt, key = folder / "tls.crt", folder / "tls.key"
    crt.write_bytes(identity.certificate)
    key.write_bytes(identity.key)
    return crt, key


class Client:
    """Opens a connection by a kubeconfig of its own."""

    def __init__(self, folder: Path, clock: scripted.Clock, meters: metrics.Metrics) -> None:
        self.path, self.clock, self.meters = folder / "config", clock, meters

    def __call__(self, url: str, authority: Path, **cluster: Any) -> connections.Connection:
        user = cluster.pop("user", {})
        trusted = {"certificate-authority": str(authority), **cluster}
        self.path.write_text(json.dumps(scripted.kubeconfig(url, user, **trusted)))
        options = connections.Options(kubeconfig=str(self.path))
        return connections.Connection(options, clock=self.clock, meters=self.meters)


@pytest.fixture
def client(tmp_path: Path, clock: scripted.Clock, meters: metrics.Metrics) -> Client:
    return Client(tmp_path, clock, meters)


async def test_a_server_of_the_trusted_authority_is_talked_to(
    identity: certificates.Identity, tmp_path: Path, client: Client
) -> None:
    async with serving(identity, tmp_path) as server:
        server.reply(200)
        async with client(server.url, tmp_path / "tls.crt") as connection:
            await connection.request("GET", "/x")


async def test_a_server_of_another_authority_is_not(
    identity: certificates.Identity, tmp_path: Path, client: Client
) -> None:
    (tmp_path / "other").mkdir()
    other, _ = write(certificates.make(), tmp_path / "other")
    async with serving(identity, tmp_path) as server, client(server.url, other) as connection:
        with pytest.raises(errors.Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await connection.request("GET", "/x")
        assert not server.seen


async def test_the_name_to_check_can_be_given(
    identity: certificates.Identity, tmp_path: Path, client: Client
) -> None:
    crt = tmp_path / "tls.crt"
    async with serving(identity, tmp_path) as server:
        server.reply(200)
        async with client(server.url, crt, **{"tls-server-name": "test"}) as connection:
            await connection.request("GET", "/x")
        async with client(server.url, crt, **{"tls-server-name": "other"}) as connection:
            with pytest.raises(errors.Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
                await connection.request("GET", "/x")


async def test_a_client_certificate_is_shown(
    identity: certificates.Identity, tmp_path: Path, client: Client
) -> None:
    crt, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    user = {"client-certificate": str(crt), "client-key": str(key)}
    async with serving(identity, tmp_path, clients=True) as server:
        server.reply(200)
        async with client(server.url, crt, user=user) as connection:
            await connection.request("GET", "/x")
        async with client(server.url, crt) as connection:
            with pytest.raises(errors.Unavailable):
                await connection.request("GET", "/x")
        assert len(server.seen) == 1


async def test_a_new_authority_counts_without_a_restart(
    identity: certificates.Identity, tmp_path: Path, client: Client, clock: scripted.Clock
) -> None:
    (tmp_path / "trust").mkdir()
    trusted, _ = write(certificates.make(), tmp_path / "trust")
    async with serving(identity, tmp_path) as server, client(server.url, trusted) as connection:
        with pytest.raises(errors.Unavailable):
            await connection.request("GET", "/x")

        write(identity, tmp_path / "trust")
        clock.passed += 60
        server.reply(200)
        await connection.request("GET", "/x")


async def test_a_connection_by_an_authority_that_counts_no_more_is_not_used_again(
    identity: certificates.Identity, tmp_path: Path, client: Client, clock: scripted.Clock
) -> None:
    (tmp_path / "trust").mkdir()
    trusted, _ = write(identity, tmp_path / "trust")
    async with serving(identity, tmp_path) as server, client(server.url, trusted) as connection:
        server.reply(200)
        await connection.request("GET", "/x")

        write(certificates.make(), tmp_path / "trust")
        clock.passed += 60
        with pytest.raises(errors.Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await connection.request("GET", "/x")
    assert len(server.seen) == 1
