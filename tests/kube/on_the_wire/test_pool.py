"""Which connection carries a request, how often, and what becomes of it after."""

import socket
from typing import Any

import aiohappyeyeballs
import anyio
import bytewise
import pytest
from bytewise import HEAD, OK

from snapshotd import errors
from snapshotd.kube import connection as connections
from snapshotd.kube import pool


async def test_requests_one_after_another_share_a_connection(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    server.plans = [[[OK]] * 3]
    for _ in range(3):
        assert (await connection.request("GET", "/x")).body == b"ok"
    assert server.connections == 1


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_what_can_be_repeated_is_sent_once_more_when_a_kept_connection_is_gone(
    server: bytewise.Server, connection: connections.Connection, method: str
) -> None:
    server.plans = [[[OK], [None]], [[OK]]]
    await connection.request("GET", "/x")
    assert (await connection.request(method, "/y")).body == b"ok"
    assert len(server.requests) == 3


async def test_it_is_not_sent_a_third_time(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    server.plans = [[[OK], [None]], [[None]], [[OK]]]
    await connection.request("GET", "/x")
    with pytest.raises(errors.Unavailable, match="GET /y: no answer: the server hung up"):
        await connection.request("GET", "/y")
    assert len(server.requests) == 3


@pytest.mark.parametrize("method", ["POST", "PATCH"])
async def test_what_cannot_be_repeated_is_sent_once(
    server: bytewise.Server, connection: connections.Connection, method: str
) -> None:
    server.plans = [[[OK], [None]], [[OK]]]
    await connection.request("GET", "/x")
    with pytest.raises(errors.Unavailable, match="no answer: the server hung up"):
        await connection.request(method, "/y", body=b"{}")
    assert len(server.requests) == 2


@pytest.mark.parametrize("last", [[OK, None], [OK, 0.001, b"HTTP/1.1 408 Too Late\r\n\r\n"]])
async def test_a_connection_that_the_server_has_ended_meanwhile_is_not_used(
    server: bytewise.Server,
    connection: connections.Connection,
    last: list[bytewise.Part],
) -> None:
    server.plans = [[last], [[OK]]]
    await connection.request("GET", "/x")
    await bytewise.settled(lambda: not bytewise.idle(connection))
    assert (await connection.request("POST", "/y", body=b"{}")).body == b"ok"
    assert (server.connections, len(server.requests)) == (2, 2)


async def test_a_connection_that_was_idle_for_long_is_not_used(
    server: bytewise.Server, connection: connections.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.plans = [[[OK]], [[OK]]]
    await connection.request("GET", "/x")
    monkeypatch.setattr(pool, "KEEP_IDLE", -1.0)
    await connection.request("POST", "/y", body=b"{}")
    assert server.connections == 2


async def test_a_connection_that_is_being_closed_is_not_used(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    server.plans = [[[OK]], [[OK]]]
    await connection.request("GET", "/x")
    bytewise.work(connection)._idle[0]._transport.close()
    await connection.request("POST", "/y", body=b"{}")
    assert server.connections == 2


async def test_once_all_is_closed_nothing_is_sent_any_more(
    server: bytewise.Server, connection: connections.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a request comes then, waits for its connection, or for its answer."""
    release = anyio.Event()
    connect, waiting = aiohappyeyeballs.start_connection, anyio.Event()

    async def slowly(addresses: Any, **options: Any) -> socket.socket:
        waiting.set()
        await release.wait()
        return await connect(addresses, **options)

    server.plans = [[[release, OK]]]
    async with anyio.create_task_group() as group:
        group.start_soon(connection.request, "GET", "/answered")
        await bytewise.settled(lambda: len(server.requests) == 1)
        monkeypatch.setattr(aiohappyeyeballs, "start_connection", slowly)
        group.start_soon(_lost, connection.work)
        await waiting.wait()
        await bytewise.work(connection).close()
        with anyio.fail_after(10):
            await _lost(connection.work)
        assert server.connections == 1
        release.set()
    assert len(server.requests) == 1
    assert not bytewise.work(connection)._idle


async def test_connections_that_nobody_needs_any_more_are_closed(
    server: bytewise.Server, connection: connections.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "KEEP_IDLE", 0.05)
    server.plans = [[[0.01, OK], [OK]] for _ in range(5)]
    async with anyio.create_task_group() as group:
        for _ in range(5):
            group.start_soon(connection.request, "GET", "/x")
    assert bytewise.idle(connection) == 5
    await bytewise.settled(lambda: not bytewise.work(connection)._idle)
    assert bytewise.work(connection)._sweep is None
    server.plans = [[[OK]]]
    await connection.request("GET", "/y")
    assert server.connections == 6


async def test_a_request_that_is_cancelled_takes_its_connection_with_it(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    """Else its answer, which comes late, would be taken for that of the next request."""
    late = anyio.Event()
    server.plans = [[[late, HEAD + b"Content-Length: 4\r\n\r\nlate"]], [[OK]]]
    async with anyio.create_task_group() as group:
        group.start_soon(connection.request, "GET", "/x")
        await bytewise.settled(lambda: len(server.requests) == 1)
        group.cancel_scope.cancel()
    late.set()
    assert (await connection.request("GET", "/y")).body == b"ok"
    assert server.connections == 2


async def test_a_wait_for_one_of_few_connections_has_an_end(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    """Events never take more than two."""
    release = anyio.Event()
    server.plans = [[[release, OK], [OK]], [[release, OK], [OK]]]
    async with anyio.create_task_group() as group:
        for _ in range(2):
            group.start_soon(connection.events.request, "GET", "/x")
        await bytewise.settled(lambda: len(server.requests) == 2)
        with anyio.fail_after(10), pytest.raises(errors.Unavailable, match="no answer"):
            await connection.events.request("GET", "/y", timeout=0.05)
        group.start_soon(connection.events.request, "GET", "/z")
        release.set()
    assert (server.connections, len(server.requests)) == (2, 3)


async def test_requests_at_once_get_their_own_answers(
    server: bytewise.Server, connection: connections.Connection
) -> None:
    assert not server.plans

    async def ask(number: int) -> None:
        for turn in range(5):
            path = f"{number}-{turn}"
            assert (await connection.request("GET", f"/{path}")).body == path.encode()

    async with anyio.create_task_group() as group:
        for number in range(30):
            group.start_soon(ask, number)


async def test_a_server_is_found_by_its_name(
    server: bytewise.Server, client: bytewise.Client
) -> None:
    """Whose first address may be one at which nobody listens."""
    server.plans = [[[OK]]]
    async with client.to(f"http://localhost:{server.port}") as opened:
        assert (await opened.request("GET", "/x")).body == b"ok"
    assert b"Host: localhost:%d" % server.port in server.requests[0]


async def test_no_connection_is_named_by_where_it_should_lead(
    server: bytewise.Server, connection: connections.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(*_: object, **__: object) -> None:
        await anyio.sleep_forever()

    monkeypatch.setattr(aiohappyeyeballs, "start_connection", never)
    with (
        anyio.fail_after(10),
        pytest.raises(errors.Unavailable, match=f"no connection to 127.0.0.1:{server.port}"),
    ):
        await connection.request("GET", "/x", timeout=0.05)
    assert server.connections == 0


async def test_no_connection_outlives_its_end(
    server: bytewise.Server, client: bytewise.Client
) -> None:
    server.plans = [[[OK]], [[anyio.Event()]]]
    async with anyio.create_task_group() as group:
        async with client.to(f"http://127.0.0.1:{server.port}") as opened:
            await opened.request("GET", "/x")
            group.start_soon(_lost, opened.leases)
            await bytewise.settled(lambda: len(server.requests) == 2)
        assert not opened._sockets._open()


async def _lost(channel: connections.Channel) -> None:
    with pytest.raises(errors.Unavailable):
        await channel.request("GET", "/y")
