"""A webhook that runs, a client that asks it, and one that sends byte by byte."""

import asyncio
import contextlib
import json
import ssl
import subprocess
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import certificates
import e2e
import prometheus_client

from snapshotd import settings
from snapshotd.app.webhook import serving
from snapshotd.runtime import clock
from snapshotd.telemetry import conversions

JsonObject = dict[str, Any]

GROUP = "groupsnapshot.storage.k8s.io"
ENTRY: JsonObject = {"volumeHandle": "v", "snapshotHandle": "s", "readyToUse": True}
CONTENT: JsonObject = {
    "apiVersion": f"{GROUP}/v1",
    "kind": "VolumeGroupSnapshotContent",
    "metadata": {"name": "c"},
    "status": {"volumeSnapshotInfoList": [ENTRY]},
}


def review(version: str = "v1beta1", *objects: JsonObject) -> JsonObject:
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "ConversionReview",
        "request": {
            "uid": "u-1",
            "desiredAPIVersion": f"{GROUP}/{version}",
            "objects": list(objects or (CONTENT,)),
        },
    }


class Files:
    """The two files, as somebody who renews certificates writes them."""

    def __init__(self, folder: Path) -> None:
        self.chain, self.key = folder / "tls.crt", folder / "tls.key"

    def put(self, identity: certificates.Identity) -> "Files":
        self.chain.write_bytes(identity.certificate)
        self.key.write_bytes(identity.key)
        return self


class Client:
    """A client that trusts one certificate."""

    def __init__(self, port: int, identity: certificates.Identity) -> None:
        self.port = port
        self.tls = ssl.create_default_context(cadata=identity.certificate.decode())

    async def ask(
        self,
        body: object = None,
        *,
        method: str = "POST",
        path: str = "/convert",
        kind: str = "application/json",
        **headers: str,
    ) -> tuple[int, str, str]:
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Content-Type": kind, **headers}
        url = f"https://127.0.0.1:{self.port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=data, headers=sent, ssl=self.tls) as response,
        ):
            return response.status, response.content_type, await response.text()

    async def open(self, name: str | None = None) -> "Wire":
        """Open a connection, and say the server's name if there is one."""
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", self.port, ssl=self.tls, server_hostname=name or "127.0.0.1"
        )
        return Wire(reader, writer)


class Wire:
    """One connection, byte by byte."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def begin(self, body: bytes, *, missing: int = 1, long: str = "") -> None:
        """Send a request for a conversion, but for its last bytes."""
        fields = {"Host": "h", "Content-Type": "application/json", "X-Long": long}
        fields["Content-Length"] = str(len(body))
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        await self.send(f"POST /convert HTTP/1.1\r\n{head}\r\n".encode() + body[:-missing])

    async def status(self) -> int:
        line = await self.reader.readline()
        length = 0
        while (field := await self.reader.readline()).strip():
            if field.lower().startswith(b"content-length:"):
                length = int(field.split(b":")[1])
        await self.reader.readexactly(length)
        return int(line.split()[1])

    def certificate(self) -> bytes:
        found: bytes = self.writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return found

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (ConnectionError, ssl.SSLError):
            return


class Running:
    """A webhook that runs, and a client of it."""

    def __init__(self, hook: serving.Webhook, client: Client, registry: Any) -> None:
        self.hook, self.client, self._registry = hook, client, registry
        self.ended = anyio.Event()

    def count(self, name: str, **labels: str) -> float:
        return self._registry.get_sample_value(f"snapshotd_{name}_total", labels) or 0.0


@contextlib.asynccontextmanager
async def running(
    files: Files, identity: certificates.Identity, **values: Any
) -> AsyncIterator[Running]:
    chosen = settings.Converting(
        tls_cert_file=str(files.chain), tls_private_key_file=str(files.key), port=0, **values
    )
    registry = prometheus_client.CollectorRegistry()
    meters = conversions.ConversionMetrics(registry)
    hook = serving.Webhook(chosen, time=clock.SystemClock(), meters=meters, host="127.0.0.1")
    async with anyio.create_task_group() as group:

        async def run(task_status: anyio.abc.TaskStatus[None]) -> None:
            await hook.run(task_status)
            made.ended.set()

        made = Running(hook, Client(0, identity), registry)
        await group.start(run)
        made.client.port = hook.port
        yield made
        hook.stop()


def said(part: e2e.Part, event: str) -> JsonObject:
    """Wait for another process to log an event: nothing but asking tells how far it is."""
    deadline = time.monotonic() + e2e.PATIENCE
    while True:
        lines = [line for line in part.log.read_text().splitlines() if f'"{event}"' in line]
        if lines:
            found: JsonObject = json.loads(lines[0])
            return found
        assert part.process.poll() is None, part.log.read_text()
        assert time.monotonic() < deadline, part.log.read_text()
        with contextlib.suppress(subprocess.TimeoutExpired):
            part.process.wait(timeout=0.05)
