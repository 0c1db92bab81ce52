"""Connections to the API server that are kept for the next request: how short requests are carried.

The one that was used last is taken first, so that those which a burst left over grow old and are
closed. Invariant: a request is sent twice only where that changes nothing (its method says so) and
its connection ended before an answer began.
"""

import asyncio
import collections
import functools
import ipaddress
import socket
import ssl
import sys
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import aiohappyeyeballs
import aiohttp
import anyio
import yarl

from snapshotd.kube import credentials, http1, messages

CONNECT_WITHIN: Final = 10.0  # seconds
KEEP_IDLE: Final = 60.0  # seconds; the API server keeps connections longer

_NEXT_FAMILY_AFTER: Final = 0.25  # seconds: RFC 8305, 5, as aiohttp has it
_CLOSED: Final = "all connections are closed"
_REPEATABLE: Final = frozenset({"GET", "PUT", "DELETE"})  # RFC 9110, 9.2.2, of those that we use


def reaches(identity: credentials.Credentials) -> bool:
    """Say whether a pool can do it: nothing between, and who we are is not in the URL."""
    return identity.proxy is None and yarl.URL(identity.host).user is None


class Pool:
    """The connections of one channel, with no proxy between."""

    def __init__(
        self,
        identity: credentials.Credentials,
        most: int,
        *,
        make_socket: Callable[[aiohttp.AddrInfoType], socket.socket],
    ) -> None:
        """Keep at most so many connections open, 0 for any number."""
        self._identity = identity
        self._url = yarl.URL(identity.host)
        self._make_socket = make_socket
        self._places = asyncio.Semaphore(most or sys.maxsize)
        self._idle: collections.deque[http1.Http1] = collections.deque()  # the oldest first
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False
        headers = {"Host": self._url.host_port_subcomponent or "", **messages.common()}
        self._common = _lines(headers)
        self._authorization, self._ours = "", self._common

    async def exchange(
        self,
        request: messages.Request,
        authorization: str,
        *,
        within: float,
        heard: messages.Heard,
    ) -> messages.Answer:
        """Send a request and return its answer: see `messages.Sender`."""
        data = self._written(request, authorization)
        deadline = asyncio.get_running_loop().time() + within
        if self._places.locked():
            with anyio.fail_after(within):
                await self._places.acquire()
        else:
            await self._places.acquire()  # at once
        try:
            try:
                return await self._sent(request, data, deadline, heard)
            except http1.Stale:
                if request.method not in _REPEATABLE:
                    raise
                return await self._sent(request, data, deadline, heard)
        finally:
            self._places.release()

    async def close(self) -> None:
        """Close all that are idle; who uses one has been cancelled."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        while self._idle:
            self._idle.pop().cut()

    async def _sent(
        self, request: messages.Request, data: bytes, deadline: float, heard: messages.Heard
    ) -> messages.Answer:
        if self._closed:
            raise messages.NoAnswer(_CLOSED)
        used = self._kept() or await self._connected(deadline)
        if request.body is not None and request.fence() <= 0.0:
            self._keep(used)
            raise PermissionError("the lease is not ours any more")
        try:
            left = deadline - asyncio.get_running_loop().time()
            return await used.exchange(data, within=left, heard=heard)
        finally:
            self._keep(used)

    def _written(self, request: messages.Request, authorization: str) -> bytes:
        """Return the bytes of a request."""
        if authorization != self._authorization:
            who = {"Authorization": authorization} if authorization else {}
            self._authorization, self._ours = authorization, self._common + _lines(who)
        query = _encoded(tuple(request.query.items())) if request.query else ""
        target = f"{self._url.raw_path.rstrip('/')}{request.path}{query}"
        if " " in target or not (target.isascii() and target.isprintable()):
            raise messages.NoAnswer(f"{target!r} is no path")
        headers = messages.own(request)
        if request.body is not None or request.method != "GET":
            headers["Content-Length"] = str(len(request.body or b""))
        head = f"{request.method} {target} HTTP/1.1\r\n{self._ours}{_lines(headers)}\r\n"
        return head.encode() + (request.body or b"")

    def _kept(self) -> http1.Http1 | None:
        """Take one that another request has left, if it may be used for this one."""
        oldest = asyncio.get_running_loop().time() - KEEP_IDLE
        while self._idle:
            found = self._idle.pop()
            if found.usable and found.tls is self._tls and found.kept_since >= oldest:
                return found
            found.cut()
        return None

    def _keep(self, used: http1.Http1) -> None:
        if self._closed or not used.usable:
            used.cut()
            return
        loop = asyncio.get_running_loop()
        used.kept_since = loop.time()
        self._idle.append(used)
        if self._sweep is None:
            self._sweep = loop.call_later(KEEP_IDLE, self._swept)

    def _swept(self) -> None:
        """Close those that nobody takes any more."""
        loop = asyncio.get_running_loop()
        oldest = loop.time() - KEEP_IDLE
        while self._idle and not (self._idle[0].usable and self._idle[0].kept_since > oldest):
            self._idle.popleft().cut()
        left = self._idle[0].kept_since - oldest if self._idle else None
        self._sweep = None if left is None else loop.call_later(left, self._swept)

    @property
    def _tls(self) -> ssl.SSLContext | None:
        """Return the context as it is now: a renewed one makes new connections."""
        return self._identity.tls if self._url.scheme == "https" else None

    async def _connected(self, deadline: float) -> http1.Http1:
        loop = asyncio.get_running_loop()
        try:
            with anyio.fail_after(min(CONNECT_WITHIN, deadline - loop.time())):
                made = await self._connect(loop)
        except OSError as error:
            why = str(error) or type(error).__name__
            where = self._url.host_port_subcomponent
            raise messages.NoAnswer(f"no connection to {where}: {why}") from error
        if self._closed:
            made.cut()
            raise messages.NoAnswer(_CLOSED)
        return made

    async def _connect(self, loop: asyncio.AbstractEventLoop) -> http1.Http1:
        host, tls = self._url.raw_host or "", self._tls
        made = await aiohappyeyeballs.start_connection(
            await _addresses(host, self._url.port or 0),
            happy_eyeballs_delay=_NEXT_FAMILY_AFTER,
            interleave=1,
            socket_factory=self._make_socket,
        )
        name = (self._identity.server_name or host).rstrip(".")  # certificates hold it without
        try:
            _, connected = await loop.create_connection(
                lambda: http1.Http1(tls),
                sock=made,
                ssl=tls,
                server_hostname=None if tls is None else name,
            )
        except BaseException:
            made.close()
            raise
        return connected


async def _addresses(host: str, port: int) -> Sequence[aiohttp.AddrInfoType]:
    """Look the host up; an address, which a pod has, needs no resolver and no thread for it."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        loop = asyncio.get_running_loop()
        return await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return aiohappyeyeballs.addr_to_addr_infos((host, port)) or []


@functools.lru_cache(maxsize=64)
def _encoded(query: tuple[tuple[str, str], ...]) -> str:
    return f"?{urllib.parse.urlencode(query)}"


def _lines(headers: Mapping[str, str]) -> str:
    for name, value in headers.items():
        if not value.isprintable():
            raise messages.NoAnswer(f"the header {name} would hold a character that ends it")
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
