"""A server that says exactly these bytes, and a connection to it."""

import contextlib
import dataclasses
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeAlias

import anyio
import anyio.abc
import scripted

from snapshotd.kube import connection as connections
from snapshotd.kube import pool
from snapshotd.telemetry import metrics

HEAD = b"HTTP/1.1 200 OK\r\n"
OK = HEAD + b"Content-Length: 2\r\n\r\nok"


Part: TypeAlias = bytes | float | anyio.Event | None
"""Of an answer: bytes; a pause; an Event to wait for; None hangs up."""


@dataclasses.dataclass
class Server:
    """Speaks bytes: for each connection, in order, what answers each of its requests.

    A connection without a plan answers with the end of the path.
    """

    port: int
    plans: list[list[list[Part]]] = dataclasses.field(default_factory=list)
    requests: list[bytes] = dataclasses.field(default_factory=list)
    connections: int = 0

    async def serve(self, stream: anyio.abc.SocketStream) -> None:
        self.connections += 1
        gone = (anyio.EndOfStream, anyio.BrokenResourceError, anyio.ClosedResourceError)
        async with stream:
            with contextlib.suppress(*gone):
                await (self._follow(self.plans.pop(0), stream) if self.plans else _echo(stream))

    async def _follow(self, plan: list[list[Part]], stream: anyio.abc.SocketStream) -> None:
        for answer in plan:
            self.requests.append(await _request(stream))
            for part in answer:
                if part is None:
                    return
                if isinstance(part, bytes):
                    await stream.send(part)
                elif isinstance(part, anyio.Event):
                    await part.wait()
                else:
                    await anyio.sleep(part)
        await stream.receive()


async def _echo(stream: anyio.abc.SocketStream) -> None:
    numbers = itertools.count()
    while True:
        path = (await _request(stream)).split()[1].rpartition(b"/")[2]
        await anyio.sleep(next(numbers) % 3 / 1000)
        await stream.send(HEAD + b"Content-Length: %d\r\n\r\n" % len(path) + path)


async def _request(stream: anyio.abc.SocketStream) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        got += await stream.receive()
    head, _, body = got.partition(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0] or 0)
    while len(body) < length:
        body += await stream.receive()
    return head + b"\r\n\r\n" + body


@asynccontextmanager
async def listening() -> AsyncIterator[Server]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    port = listener.extra(anyio.abc.SocketAttribute.local_port)  # noqa: S610 - not Django's
    made = Server(port)
    async with listener, anyio.create_task_group() as group:
        group.start_soon(listener.serve, made.serve)
        yield made
        group.cancel_scope.cancel()


@dataclasses.dataclass(frozen=True)
class Client:
    """Opens connections."""

    folder: Path
    clock: scripted.Clock
    meters: metrics.Metrics

    def to(self, url: str) -> connections.Connection:
        path = self.folder / "config"
        path.write_text(json.dumps(scripted.kubeconfig(url, {})))
        options = connections.Options(kubeconfig=str(path))
        return connections.Connection(options, clock=self.clock, meters=self.meters)


async def settled(until: Callable[[], bool]) -> None:
    """Let the loop go on until something has come about."""
    with anyio.fail_after(10):
        while not until():  # noqa: ASYNC110 - what is waited for knows no Event
            await anyio.sleep(0.001)


def idle(connection: connections.Connection) -> int:
    """How many connections of the work channel could carry another request."""
    return sum(each.usable for each in work(connection)._idle)


def work(connection: connections.Connection) -> pool.Pool:
    sender = connection.work._sender
    assert isinstance(sender, pool.Pool)
    return sender
