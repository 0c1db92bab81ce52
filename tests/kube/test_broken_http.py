import json
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import anyio.abc
import pytest
import scripted

from snapshotd import errors
from snapshotd.kube import connection as connections
from snapshotd.telemetry import metrics

OK = b"HTTP/1.1 200 OK\r\n"
BROKEN = [
    b"nonsense\r\n\r\n",
    b"HTTP/1.1 999999 X\r\n\r\n",
    b"\x16\x03\x01\x00\x05hello",
    OK + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    OK + b"Content-Length: 10\r\n\r\nab",
    OK + b"Content-Length: x\r\n\r\n",
    OK + b"Content-Encoding: gzip\r\nContent-Length: 2\r\n\r\nab",
    b"",
]


@pytest.fixture(params=BROKEN)
async def connection(
    request: pytest.FixtureRequest, tmp_path: Path, clock: scripted.Clock, meters: metrics.Metrics
) -> AsyncIterator[connections.Connection]:
    """A connection to a server that always answers with these bytes, and hangs up."""

    async def answer(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            if request.param:
                await stream.send(request.param)

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django's
    path = tmp_path / "config"
    path.write_text(json.dumps(scripted.kubeconfig(f"http://127.0.0.1:{port}", {})))
    options = connections.Options(kubeconfig=str(path))
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, answer)
        async with connections.Connection(options, clock=clock, meters=meters) as opened:
            yield opened
        group.cancel_scope.cancel()


async def test_an_answer_that_is_no_http_is_no_answer(connection: connections.Connection) -> None:
    with pytest.raises(errors.Unavailable, match="GET /x: no answer"):
        await connection.request("GET", "/x", timeout=5)


async def test_a_stream_that_is_no_http_is_no_answer(connection: connections.Connection) -> None:
    async def read_all() -> None:
        async with connection.watches.stream("/x", query={}, silence=5) as stream:
            while await stream.read():
                pass

    with pytest.raises(errors.Unavailable, match="GET /x: no answer"):
        await read_all()
