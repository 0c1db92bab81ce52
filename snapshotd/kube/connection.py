"""The way to the API server: one set of credentials, and a channel of its own for each kind of use.

Channels share nothing that could fill up: a lease renewal waits neither for work nor for a socket,
watches hold as many connections as they like, Events never take more than two. Only the work
channel is throttled, and fenced: with a lease that is over, nothing is sent any more, and what is
under way is cut. Every answer that is no success, and every failure to get one, leaves here as one
of our errors; every request has a deadline.
"""

import dataclasses
import importlib.metadata
import math
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, Protocol, Self

import aiohttp
import anyio
import msgspec
import yarl

from snapshotd import errors
from snapshotd.kube import credentials, fencing, sockets, throttle
from snapshotd.kube import errors as answers
from snapshotd.runtime import clock as clocks
from snapshotd.telemetry import handles, metrics, tracing

JSON: Final = "application/json"
MERGE_PATCH: Final = "application/merge-patch+json"

_CONNECT_WITHIN: Final = 10.0  # seconds
_HEAD_WITHIN: Final = 30.0  # seconds for a stream to begin, which API servers do at once
_KEEP_IDLE: Final = 60.0  # seconds; the API server keeps connections longer
_CLOSE_WITHIN: Final = 5.0  # seconds
_WATCH_BUFFER: Final = 2**18  # bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """How to connect."""

    kubeconfig: str = ""  # path; '' tries $KUBECONFIG, then the pod's service account
    qps: float = 0.0  # requests a second on the work channel; 0 leaves it to the throttle alone
    burst: int = 0  # requests at once above qps
    service_account: str = credentials.SERVICE_ACCOUNT


class Response(msgspec.Struct, frozen=True, gc=False):
    """A success: its HTTP status, and its body whole."""

    status: int
    body: bytes


def _for_ever() -> float:
    return math.inf


class Requests(Protocol):
    """What a part needs that only asks and is answered: a `Channel` is one."""

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        timeout: float = 30.0,  # noqa: ASYNC109 - as for `Channel.request`
    ) -> Response:
        """Send one request: see `Channel.request`."""


class _Answer(msgspec.Struct, frozen=True, gc=False):
    status: int
    body: bytes
    retry_after: float | None
    authorization: str


@dataclasses.dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    query: Mapping[str, str]
    limit: aiohttp.ClientTimeout
    body: bytes | None = None
    content_type: str = JSON

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


class Stream:
    """An answer that goes on: chunks as they arrive."""

    def __init__(self, response: aiohttp.ClientResponse, request: _Request) -> None:
        """Read from a response whose head has come."""
        self._response = response
        self._request = request

    async def read(self) -> bytes:
        """Return what has arrived, at least a byte; b'' at the end. Raises `Unavailable`."""
        try:
            return await self._response.content.readany()
        except (aiohttp.ClientError, OSError) as error:
            raise _lost(self._request, error) from error


class Channel:
    """Requests of one kind of use, over connections of their own."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        identity: credentials.Credentials,
        *,
        meters: handles.RequestMetrics,
        clock: clocks.Clock,
        limiter: throttle.Throttle | None = None,
    ) -> None:
        """Use `Connection` instead."""
        self.fence: fencing.Fence = _for_ever
        self._session = session
        self._identity = identity
        self._meters = meters
        self._clock = clock
        self._limiter = limiter

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        timeout: float = 30.0,  # noqa: ASYNC109 - of the exchange, beside the wait for a place
    ) -> Response:
        """Send one request and return its success; raises what the answer means.

        `timeout` in seconds bounds the wait for a place and then, again, the exchange.
        """
        limit = aiohttp.ClientTimeout(total=timeout, sock_connect=_CONNECT_WITHIN)
        request = _Request(method, path, query or {}, limit, body, content_type)
        with tracing.span(method, client=True) as span:
            if span.on:
                span.set("http.request.method", method)
                span.set("url.path", path)
            answer = await self._attempt(request, timeout)
            if answer.status == 401 and await self._identity.renew(answer.authorization):
                answer = await self._attempt(request, timeout)
            span.set("http.response.status_code", answer.status)
            if not 200 <= answer.status < 300:
                raise _refusal(request, answer)
            return Response(answer.status, answer.body)

    @asynccontextmanager
    async def stream(
        self, path: str, *, query: Mapping[str, str], silence: float
    ) -> AsyncIterator[Stream]:
        """GET an answer without an end, cut after `silence` seconds without a byte.

        It begins soon or never: who is silent for long does so after the head of the answer.
        """
        limit = aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_WITHIN, sock_read=silence)
        request = _Request("GET", path, query, limit)
        async with AsyncExitStack() as stack:
            response = await self._begin(request)
            stack.push_async_callback(_finish, response)
            if response.status == 401 and await self._identity.renew(_shown(response)):
                response = await self._begin(request)
                stack.push_async_callback(_finish, response)
            if response.status != 200:
                raise _refusal(request, await _read(request, response))
            yield Stream(response, request)

    async def _begin(self, request: _Request) -> aiohttp.ClientResponse:
        try:
            with anyio.fail_after(_HEAD_WITHIN):
                return await self._open(request)
        except TimeoutError as error:
            raise _lost(request, error) from error

    async def _attempt(self, request: _Request, patience: float) -> _Answer:
        if self._limiter is None:
            return await self._exchange(request)
        async with self._limiter.place(patience) as report:
            answer = await self._exchange(self._fenced(request))
            overloaded = answer.status == 429 or answer.status >= 500
            report.verdict = throttle.Verdict.OVERLOADED if overloaded else throttle.Verdict.GOOD
            report.pause = (answer.retry_after or 0.0) if answer.status in {429, 503} else 0.0
            return answer

    def _fenced(self, request: _Request) -> _Request:
        """Return the request with no more time than we may have; raises `Unavailable` for none."""
        left = self.fence()
        if left <= 0.0:
            raise errors.Unavailable(f"{request}: not sent: the lease is not ours")
        total = request.limit.total or left
        if total <= left:
            return request
        limit = aiohttp.ClientTimeout(total=left, sock_connect=_CONNECT_WITHIN)
        return dataclasses.replace(request, limit=limit)

    async def _exchange(self, request: _Request) -> _Answer:
        response = await self._open(request)
        try:
            return await _read(request, response)
        finally:
            await _finish(response)

    async def _open(self, request: _Request) -> aiohttp.ClientResponse:
        """Send the request and return the head of its answer, which the caller finishes."""
        url = yarl.URL(self._identity.host + request.path, encoded=True)
        headers = await self._headers(request)
        begun = self._clock.monotonic()
        code: int | None = None
        try:
            response = await self._session.request(
                request.method,
                url.with_query(request.query) if request.query else url,
                data=self._body(request),
                headers=headers,
                timeout=request.limit,
                allow_redirects=False,
                ssl=self._identity.tls,  # each time: a renewed one makes new connections
                server_hostname=self._identity.server_name,
                proxy=self._identity.proxy,
            )
            code = response.status
        except (aiohttp.ClientError, OSError) as error:
            raise _lost(request, error) from error
        finally:
            self._meters.answered(request.method, code, self._clock.monotonic() - begun)
        return response

    def _body(self, request: _Request) -> fencing.Guarded | None:
        """Return the body: a write is complete with its last byte, so the fence stands there."""
        return None if request.body is None else fencing.Guarded(request.body, self.fence)

    async def _headers(self, request: _Request) -> dict[str, str]:
        headers = {} if request.body is None else {"Content-Type": request.content_type}
        authorization = await self._identity.authorization()
        if authorization:
            headers["Authorization"] = authorization
        return {**headers, **tracing.headers()}


class Connection:
    """The API server as all parts of a process share it; use with `async with`.

    Four channels: `work` for writes and reads, throttled; `watches` for lists and watches; `leases`
    for leader election alone; `events` for Kubernetes Events. All errors are ours.
    """

    work: Channel
    watches: Channel
    leases: Channel
    events: Channel
    throttle: throttle.Throttle  # of `work`

    def __init__(self, options: Options, *, clock: clocks.Clock, meters: metrics.Metrics) -> None:
        """Prepare; nothing is read or opened before `async with`."""
        self._options = options
        self._clock = clock
        self._meters = meters
        self._stack = AsyncExitStack()
        self._sockets = sockets.Sockets()
        self.host = ""

    async def __aenter__(self) -> Self:
        """Load the credentials and open the channels; raises `Misconfigured`. Sends nothing."""
        options, clock = self._options, self._clock
        identity = await credentials.load(
            options.kubeconfig, clock=clock, service_account=options.service_account
        )
        self.host = identity.host
        meters = self._meters.requests_to(yarl.URL(identity.host).authority)
        bounds = throttle.Bounds()
        cap = throttle.Bucket(options.qps, options.burst) if options.qps > 0 else None
        limiter = self.throttle = throttle.Throttle(clock, bounds=bounds, cap=cap)

        async def channel(
            most: int, *, limiter: throttle.Throttle | None = None, buffer: int = 2**16
        ) -> Channel:
            session = await self._stack.enter_async_context(
                _session(most, buffer, make_socket=self._sockets.make)
            )
            return Channel(session, identity, meters=meters, clock=clock, limiter=limiter)

        self.work = await channel(int(bounds.most), limiter=limiter)
        self.watches = await channel(0, buffer=_WATCH_BUFFER)  # no limit: a watch holds its own
        self.leases = await channel(2)
        self.events = await channel(2)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close all connections, at once."""
        with anyio.move_on_after(_CLOSE_WITHIN, shield=True):
            await self._stack.aclose()
            await self._sockets.close()

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = JSON,
        timeout: float = 30.0,  # noqa: ASYNC109 - as for `Channel.request`
    ) -> Response:
        """Send one request on the work channel: see `Channel.request`."""
        return await self.work.request(
            method, path, query=query, body=body, content_type=content_type, timeout=timeout
        )


def _session(
    most: int, buffer: int, *, make_socket: Callable[[aiohttp.AddrInfoType], socket.socket]
) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(
        limit=most, keepalive_timeout=_KEEP_IDLE, socket_factory=make_socket
    )
    return aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        # Compressing a list costs the API server more than sending it within the cluster
        headers={
            "User-Agent": f"snapshotd/{_version()}",
            "Accept": JSON,
            "Accept-Encoding": "identity",
        },
        read_bufsize=buffer,
        trust_env=False,  # its look-ups would triple the cost of a request
    )


async def _read(request: _Request, response: aiohttp.ClientResponse) -> _Answer:
    try:
        body = await response.read()
    except (aiohttp.ClientError, OSError) as error:
        raise _lost(request, error) from error
    retry_after = _seconds(response.headers.get("Retry-After", ""))
    shown = _shown(response) if response.status == 401 else ""  # nobody else asks, and it costs
    return _Answer(response.status, body, retry_after, shown)


async def _finish(response: aiohttp.ClientResponse) -> None:
    """Let go of an answer; cut its connection if it was not read to its end.

    A polite TLS farewell would wait half a minute for a peer that may not be there any more.
    """
    connection = response.connection  # None once all was read: the connection is kept then
    if connection is not None and connection.transport is not None:
        connection.transport.abort()
    response.release()
    await response.wait_for_close()


def _shown(response: aiohttp.ClientResponse) -> str:
    return response.request_info.headers.get("Authorization", "")


def _refusal(request: _Request, answer: _Answer) -> errors.SnapshotdError:
    return answers.from_answer(
        answer.status, answer.body, request=str(request), retry_after=answer.retry_after
    )


def _lost(request: _Request, error: Exception) -> errors.Unavailable:
    """Return what it means that no answer came: TimeoutError is an OSError too."""
    return errors.Unavailable(f"{request}: no answer: {error or type(error).__name__}")


def _seconds(retry_after: str) -> float | None:
    """Return a Retry-After of seconds; a date is read as one second, so that we do pause."""
    if not retry_after:
        return None
    return float(retry_after) if retry_after.isdecimal() else 1.0


def _version() -> str:
    try:
        return importlib.metadata.version("snapshotd")
    except importlib.metadata.PackageNotFoundError:
        return "unknown"
