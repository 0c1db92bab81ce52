"""The way to the API server: one set of credentials, and a channel of its own for each kind of use.

Channels share nothing that could fill up: a lease renewal waits neither for work nor for a socket,
watches hold as many connections as they like, Events never take more than two. Only the work
channel is throttled, and fenced: with a lease that is over, nothing is sent any more, and what is
under way is cut. Every answer that is no success, and every failure to get one, leaves here as one
of our errors; every request has a deadline.
"""

import dataclasses
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import TracebackType
from typing import Final, Protocol, Self

import anyio
import msgspec
import yarl

from snapshotd import errors
from snapshotd.kube import credentials, fencing, messages, pool, sessions, sockets, throttle
from snapshotd.kube import errors as answers
from snapshotd.runtime import clock as clocks
from snapshotd.telemetry import handles, metrics, tracing

JSON: Final = messages.JSON
MERGE_PATCH: Final = "application/merge-patch+json"

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


class Channel:
    """Requests of one kind of use, over connections of their own."""

    def __init__(
        self,
        sender: messages.Sender,
        streams: sessions.Session,
        identity: credentials.Credentials,
        *,
        meters: handles.RequestMetrics,
        clock: clocks.Clock,
        limiter: throttle.Throttle | None = None,
    ) -> None:
        """Use `Connection` instead."""
        self.fence: fencing.Fence = _for_ever
        self._sender = sender
        self._streams = streams
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
        request = messages.Request(method, path, query or {}, self.fence, body, content_type)
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
    ) -> AsyncIterator[sessions.Stream]:
        """GET an answer without an end, cut after `silence` seconds without a byte.

        It begins soon or never: who is silent for long does so after the head of the answer.
        """
        request = messages.Request("GET", path, query, self.fence)
        async with AsyncExitStack() as stack:
            found = await self._begin(request, silence)
            stack.push_async_callback(found.finish)
            if found.status == 401 and await self._identity.renew(found.authorization):
                found = await self._begin(request, silence)
                stack.push_async_callback(found.finish)
            if found.status != 200:
                raise _refusal(request, await _whole(request, found))
            yield found

    async def _begin(self, request: messages.Request, silence: float) -> sessions.Stream:
        authorization = await self._identity.authorization()
        code: int | None = None
        begun = self._clock.monotonic()
        try:
            found = await self._streams.begin(request, authorization, silence=silence)
            code = found.status
        except OSError as error:
            raise messages.lost(request, error) from error
        finally:
            self._meters.answered(request.method, code, self._clock.monotonic() - begun)
        return found

    async def _attempt(self, request: messages.Request, patience: float) -> messages.Answer:
        if self._limiter is None:
            return await self._exchange(request, patience)
        async with self._limiter.place(patience) as report:
            answer = await self._exchange(request, self._fenced(request, patience))
            overloaded = answer.status == 429 or answer.status >= 500
            report.verdict = throttle.Verdict.OVERLOADED if overloaded else throttle.Verdict.GOOD
            report.pause = (answer.retry_after or 0.0) if answer.status in {429, 503} else 0.0
            return answer

    def _fenced(self, request: messages.Request, within: float) -> float:
        """Return no more seconds than we may have; raises `Unavailable` for none."""
        left = self.fence()
        if left <= 0.0:
            raise errors.Unavailable(f"{request}: not sent: the lease is not ours")
        return min(within, left)

    async def _exchange(self, request: messages.Request, within: float) -> messages.Answer:
        authorization = await self._identity.authorization()
        begun = self._clock.monotonic()
        code: int | None = None

        def heard(status: int) -> None:
            nonlocal code
            code = status
            self._meters.answered(request.method, status, self._clock.monotonic() - begun)

        try:
            answer = await self._sender.exchange(request, authorization, within=within, heard=heard)
        except OSError as error:
            raise messages.lost(request, error) from error
        finally:
            if code is None:
                self._meters.answered(request.method, None, self._clock.monotonic() - begun)
        if answer.status == 401:
            return msgspec.structs.replace(answer, authorization=authorization)
        return answer


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

        def channel(
            most: int, *, limiter: throttle.Throttle | None = None, buffer: int = 2**16
        ) -> Channel:
            make_socket = self._sockets.make
            streams = sessions.Session(identity, most, make_socket=make_socket, buffer=buffer)
            self._stack.push_async_callback(streams.close)
            sender: messages.Sender = streams
            if pool.reaches(identity):
                sender = pool.Pool(identity, most, make_socket=make_socket)
                self._stack.push_async_callback(sender.close)
            return Channel(sender, streams, identity, meters=meters, clock=clock, limiter=limiter)

        self.work = channel(int(bounds.most), limiter=limiter)
        self.watches = channel(0, buffer=_WATCH_BUFFER)  # no limit: a watch holds its own
        self.leases = channel(2)
        self.events = channel(2)
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


async def _whole(request: messages.Request, found: sessions.Stream) -> messages.Answer:
    try:
        return await found.whole()
    except OSError as error:
        raise messages.lost(request, error) from error


def _refusal(request: messages.Request, answer: messages.Answer) -> errors.SnapshotdError:
    return answers.from_answer(
        answer.status, answer.body, request=str(request), retry_after=answer.retry_after
    )
