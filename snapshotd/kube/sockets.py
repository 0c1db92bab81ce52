"""The sockets of a connection: noticing peers that vanish, and leaving none behind.

Invariant: after `close` no socket made here is open, whatever its request was doing.
"""

import contextlib
import socket
import weakref
from typing import Final

import aiohttp
import anyio.lowlevel

# Seconds until a peer that vanished is noticed on a silent connection: 30 + 3 x 10
_KEEPALIVE: Final = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Sockets:
    """Makes the sockets, and sees to it that none is left when the connection ends."""

    def __init__(self) -> None:
        """Start with none."""
        self._made: weakref.WeakSet[socket.socket] = weakref.WeakSet()

    def make(self, address: aiohttp.AddrInfoType) -> socket.socket:
        """Return a socket that notices a peer which vanished without a word."""
        family, kind, protocol = address[:3]
        made = socket.socket(family, kind, protocol)
        self._made.add(made)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                made.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        return made

    async def close(self) -> None:
        """End the TLS farewells of requests that were cancelled, which nobody waits for."""
        for left in self._open():
            with contextlib.suppress(OSError):
                left.shutdown(socket.SHUT_RDWR)
        while self._open():
            await anyio.lowlevel.checkpoint()  # the loop hears of it in its next rounds

    def _open(self) -> list[socket.socket]:
        return [made for made in self._made if made.fileno() >= 0]
