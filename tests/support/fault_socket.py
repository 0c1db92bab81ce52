"""A unix socket between the sidecars and the driver, which can be cut, slowed and stopped.

Calls to a driver are gRPC over HTTP/2, so bytes are all that is looked at. It runs in the thread of
the proxy to the API server.
"""

import asyncio
import contextlib
from pathlib import Path

from fault_proxy import Thread

_CHUNK = 2**16


class FaultSocket:
    """The socket `path`, which leads to the socket `target`; what is public is for any thread."""

    def __init__(self, thread: Thread, path: Path, target: Path) -> None:
        self.path = path
        self.connections = 0  # so far
        self._thread = thread
        self._target = target
        self._delay = 0.0
        self._writers: set[asyncio.StreamWriter] = set()
        thread.do(self._start())

    def cut(self) -> int:
        """Cut all connections and return how many there were."""
        return self._thread.do(self._cut())

    def slow(self, seconds: float) -> None:
        """Hold each piece back for so long."""
        self._delay = seconds

    def hold(self) -> None:
        """Pass nothing on any more, and keep the connections."""
        self._thread.loop.call_soon_threadsafe(self._flowing.clear)

    def flow(self) -> None:
        """Pass all on again, without delay."""
        self._delay = 0.0
        self._thread.loop.call_soon_threadsafe(self._flowing.set)

    def stop(self) -> None:
        self._thread.do(self._stop())

    async def _start(self) -> None:
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server = await asyncio.start_unix_server(self._serve, self.path)

    async def _cut(self) -> int:
        found = len(self._writers)
        for writer in self._writers:
            writer.transport.abort()
        return found // 2  # each has two ends

    async def _stop(self) -> None:
        self._server.close()
        self._flowing.set()
        while self._writers:
            await self._cut()
            await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            there, onward = await asyncio.open_unix_connection(self._target)
        except OSError:
            writer.transport.abort()
            return
        ends = {writer, onward}
        self._writers |= ends
        try:
            await asyncio.gather(self._pump(reader, onward), self._pump(there, writer))
        finally:
            self._writers -= ends

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(_CHUNK):
                await asyncio.sleep(self._delay)
                await self._flowing.wait()
                if writer.is_closing():
                    break
                writer.write(data)
                await writer.drain()
        writer.close()
