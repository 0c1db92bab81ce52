"""aiohttp's client: it carries watches, and all else where a proxy stands between.

A watch is a few thousand chunks over one request, and a proxy is rare: here a client that knows
everything is worth more than one that is cheap.
"""

import socket
from collections.abc import Callable
from typing import Final

import aiohttp
import anyio
import yarl

from snapshotd.kube import credentials, fencing, messages, pool

_HEAD_WITHIN: Final = 30.0  # seconds for a stream to begin, which API servers do at once


class Stream:
    """An answer that goes on: chunks as they arrive."""

    def __init__(self, response: aiohttp.ClientResponse, request: messages.Request) -> None:
        """Read from a response whose head has come."""
        self._response = response
        self._request = request

    @property
    def status(self) -> int:
        """Return the HTTP status."""
        return self._response.status

    @property
    def authorization(self) -> str:
        """Return what was sent to say who we are."""
        return self._response.request_info.headers.get("Authorization", "")

    async def read(self) -> bytes:
        """Return what has arrived, at least a byte; b'' at the end. Raises `Unavailable`."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise messages.lost(self._request, error) from error

    async def whole(self) -> messages.Answer:
        """Return all of it; raises `OSError`."""
        try:
            body = await self._response.read()
        except aiohttp.ClientError as error:
            raise _no_answer(error) from error
        paused = messages.seconds(self._response.headers.get("Retry-After", ""))
        return messages.Answer(self.status, body, paused)

    async def finish(self) -> None:
        """Let go of it; cut its connection if it was not read to its end.

        A polite TLS farewell would wait half a minute for a peer that may not be there any more.
        """
        connection = self._response.connection  # None once all was read: it is kept then
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        self._response.release()
        await self._response.wait_for_close()


class Session:
    """The connections of one channel, by any way that leads to the server."""

    def __init__(
        self,
        identity: credentials.Credentials,
        most: int,
        *,
        make_socket: Callable[[aiohttp.AddrInfoType], socket.socket],
        buffer: int = 2**16,
    ) -> None:
        """Keep at most so many connections open, 0 for any number."""
        self._identity = identity
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=most, keepalive_timeout=pool.KEEP_IDLE, socket_factory=make_socket
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers=messages.common(),
            read_bufsize=buffer,
            trust_env=False,  # its look-ups would triple the cost of a request
        )

    async def exchange(
        self,
        request: messages.Request,
        authorization: str,
        *,
        within: float,
        heard: messages.Heard,
    ) -> messages.Answer:
        """Send a request and return its answer: see `messages.Sender`."""
        limit = aiohttp.ClientTimeout(total=within, sock_connect=pool.CONNECT_WITHIN)
        found = await self._open(request, authorization, limit)
        heard(found.status)
        try:
            return await found.whole()
        finally:
            await found.finish()

    async def begin(
        self, request: messages.Request, authorization: str, *, silence: float
    ) -> Stream:
        """Send a request and return the answer once its head is there; raises `OSError`.

        It is cut after `silence` seconds without a byte.
        """
        limit = aiohttp.ClientTimeout(
            total=None, sock_connect=pool.CONNECT_WITHIN, sock_read=silence
        )
        with anyio.fail_after(_HEAD_WITHIN):
            return await self._open(request, authorization, limit)

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()

    async def _open(
        self, request: messages.Request, authorization: str, limit: aiohttp.ClientTimeout
    ) -> Stream:
        url = yarl.URL(self._identity.host + request.path, encoded=True)
        who = {"Authorization": authorization} if authorization else {}
        try:
            response = await self._session.request(
                request.method,
                url.with_query(request.query) if request.query else url,
                data=_body(request),
                headers=who | messages.own(request),
                timeout=limit,
                allow_redirects=False,
                ssl=self._identity.tls,  # each time: a renewed one makes new connections
                server_hostname=self._identity.server_name,
                proxy=self._identity.proxy,
            )
        except aiohttp.ClientError as error:
            raise _no_answer(error) from error
        return Stream(response, request)


def _body(request: messages.Request) -> fencing.Guarded | None:
    """Return the body: a write is complete with its last byte, so the fence stands there."""
    return None if request.body is None else fencing.Guarded(request.body, request.fence)


def _no_answer(error: aiohttp.ClientError) -> messages.NoAnswer:
    return messages.NoAnswer(str(error) or type(error).__name__)
