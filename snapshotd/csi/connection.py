"""The channel to a driver's unix socket, and the one way a call goes over it.

Invariants: every call has a deadline of gRPC's own; a cancellation that a scope asked for stays
that scope's, although grpc.aio raises one of its own making; a call that gRPC itself gave up is an
answer (CANCELLED), never the silent end of a worker; a request is shown without its secrets alone.
"""

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import anyio
import anyio.lowlevel
import structlog

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # we never fork; uvloop's children warn

import grpc
from google.protobuf import message

from snapshotd import errors
from snapshotd.csi import errors as codes
from snapshotd.csi import redaction
from snapshotd.decide import outcomes
from snapshotd.telemetry import tracing

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

T = TypeVar("T")

# Volumes and snapshots are named in messages; only lists of thousands come near this.
_LARGEST_MESSAGE = 64 * 1024 * 1024
_LONGEST_PATH = 107  # bytes of a unix socket's path (unix(7))
_CLOSED = grpc.ChannelConnectivity.SHUTDOWN


class Observer(Protocol):
    """Where calls are counted."""

    def __call__(self, method: str, code: str, seconds: float) -> None:
        """Take note of one call: its full name, its status code, how long it took."""


def target_of(address: str) -> str:
    """Return a gRPC target for `/path`, `path` or `unix:///path`; raises `Misconfigured`."""
    path = address.removeprefix("unix://").removeprefix("unix:")
    if "://" in path or not path:
        raise errors.Misconfigured(
            f"--csi-address {address!r} is not a unix socket: give a path such as /csi/csi.sock"
        )
    absolute = os.path.abspath(path)  # noqa: PTH100 - text in, text out: nothing is looked up
    if len(absolute.encode()) > _LONGEST_PATH:
        raise errors.Misconfigured(
            f"--csi-address {absolute} has more than {_LONGEST_PATH} bytes, the most a socket's "
            "path may have: choose a shorter folder"
        )
    return f"unix://{absolute}"


class Connection:
    """One channel. `observe` is told of every call."""

    def __init__(self, address: str, *, timeout: float = 60.0) -> None:
        """Prepare a channel; nothing is connected before the first call."""
        self.address = address
        self.timeout = timeout
        self.observe: Observer | None = None
        self.channel = grpc.aio.insecure_channel(
            target_of(address),
            options=[
                ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
                ("grpc.initial_reconnect_backoff_ms", 200),
                ("grpc.max_reconnect_backoff_ms", 1000),
                ("grpc.client_idle_timeout_ms", 0x7FFFFFFF),
            ],
        )

    async def ready(self, within: float) -> None:
        """Wait until the driver accepts connections; raises `Unavailable` saying what to check."""
        try:
            with anyio.fail_after(within):
                await _own_cancellation(self.channel.channel_ready())
        except TimeoutError:
            raise errors.Unavailable(
                f"no CSI driver answers at {self.address} after {within:g} s: is it running, and "
                "is this the socket it listens on?"
            ) from None

    def connected(self) -> bool:
        """Say whether the channel is up now."""
        return self.channel.get_state() is grpc.ChannelConnectivity.READY

    async def watch(self, changed: Callable[[bool], None]) -> None:
        """Keep the channel connected, and tell at once when it goes up or down, until cancelled.

        A channel that lost its driver reconnects by itself, with backoff of at most a second; no
        call is needed to bring it back. Returns when the channel is closed.
        """
        up = False
        while (state := self.channel.get_state(try_to_connect=True)) is not _CLOSED:
            if (state is grpc.ChannelConnectivity.READY) is not up:
                up = not up
                changed(up)
            try:
                await _own_cancellation(self.channel.wait_for_state_change(state))
            except _GivenUp:
                return
            except grpc.aio.UsageError:
                return  # closed while we waited

    async def call(
        self, name: str, method: Callable[..., Awaitable[T]], request: message.Message
    ) -> T | outcomes.Refusal:
        """Make one call; return its answer, or what the failure was. Never raises a gRPC error."""
        with tracing.span(f"csi.v1.{name}", client=True) as span:
            answer = await self._call(name, method, request)
            # The code alone: a driver's message may repeat a secret
            code = answer.code if isinstance(answer, outcomes.Refusal) else "OK"
            if span.on:
                span.set("rpc.system", "grpc")
                span.set("rpc.grpc.status_code", code)
                if code != "OK":
                    span.failed(code)
            return answer

    async def _call(
        self, name: str, method: Callable[..., Awaitable[T]], request: message.Message
    ) -> T | outcomes.Refusal:
        if log.is_enabled_for(logging.DEBUG):
            log.debug("csi_call", method=name, request=redaction.shown(request))
        began = time.perf_counter()
        code: str = outcomes.Code.CANCELLED  # unless an answer says otherwise
        try:
            answer = await _own_cancellation(method(request, timeout=self.timeout))
        except grpc.aio.AioRpcError as error:
            refusal = codes.refusal_of(error)
            code = refusal.code
            return refusal
        except (_GivenUp, grpc.aio.UsageError):
            return outcomes.Refusal(outcomes.Code.CANCELLED, "the connection was closed")
        else:
            code = "OK"
            return answer
        finally:
            if self.observe is not None:
                self.observe(f"/csi.v1.{name}", code, time.perf_counter() - began)

    async def close(self) -> None:
        """Close the channel."""
        await self.channel.close(grace=None)


class _GivenUp(Exception):
    """gRPC ended a call that nobody of ours cancelled."""


async def _own_cancellation(call: Awaitable[T]) -> T:
    """Await a call so that its CancelledError is known to the scope that was cancelled.

    grpc.aio raises a fresh one, which anyio does not know as its own: it would leave
    `move_on_after`, or end a worker without a word. Where nobody cancelled this task, gRPC did
    (the channel was closed): then it raises `_GivenUp`.
    """
    try:
        return await call
    except asyncio.CancelledError:
        await anyio.lowlevel.checkpoint_if_cancelled()
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            raise _GivenUp from None
        raise
