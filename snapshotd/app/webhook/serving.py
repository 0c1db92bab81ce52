"""The webhook's server: TLS, two paths, and a limit to whatever a client could use up.

    POST /convert   a ConversionReview, answered with one
    GET  /readyz    "ok"

A request has a share of memory (the largest body times the requests at once) and of time, and waits
for its turn within that time. Connections that send nothing, or nothing whole, end by themselves.
"""

import asyncio
import errno
import functools
from http import HTTPStatus
from pathlib import Path
from typing import Final

import anyio
import anyio.abc
import anyio.to_thread
import structlog
from aiohttp import web

from snapshotd import errors, settings
from snapshotd.app.webhook import answering, certificates
from snapshotd.runtime import clock
from snapshotd.telemetry import conversions, ports

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_IDLE: Final = 15.0  # seconds a connection may be without a whole request
_FAREWELL: Final = 2.0  # seconds for answers to leave once all are given
_LINGERING: Final = 1.0  # seconds for the rest of a body that was refused
_LARGE: Final = 256 * 1024  # bytes from which on a body is not the event loop's business
_MOST_HEADERS: Final = 64


class Webhook:
    """The server; `run` and `stop` fit `supervisor.Part`. After the start `port` is real."""

    def __init__(
        self,
        values: settings.Converting,
        *,
        time: clock.Clock,
        meters: conversions.ConversionMetrics,
        host: str = "",
    ) -> None:
        """Read the certificate; raises `Misconfigured`."""
        self._values = values
        self._time = time
        self._meters = meters
        self._host = host
        self.port = values.port
        self._stopping = anyio.Event()
        self._under_way = 0
        self._answered_all = anyio.Event()
        self._slots = anyio.Semaphore(values.max_concurrent_requests)
        self._threads = anyio.CapacityLimiter(values.max_concurrent_requests)
        self.certificates = certificates.Certificates(
            Path(values.tls_cert_file), Path(values.tls_private_key_file), count=meters.reloaded
        )
        self._app = web.Application(client_max_size=values.max_body_bytes)
        self._app.router.add_post("/convert", self._convert)
        self._app.router.add_get("/readyz", _ready)

    def stop(self) -> None:
        """Take no more requests; those under way are answered."""
        self._stopping.set()

    async def run(
        self, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until asked to stop; raises `Misconfigured` if the port cannot be had."""
        values = self._values
        runner = web.AppRunner(
            self._app,
            access_log=None,
            keepalive_timeout=_IDLE,
            lingering_time=_LINGERING,
            max_line_size=values.max_header_bytes,
            max_field_size=values.max_header_bytes,
            max_headers=_MOST_HEADERS,
            shutdown_timeout=_FAREWELL,
        )
        await runner.setup()
        listening: asyncio.Server | None = None
        try:
            listening = await self._listen(runner)
            self.port = listening.sockets[0].getsockname()[1]
            log.info("webhook_listening", port=self.port)
            async with anyio.create_task_group() as group:
                watch = functools.partial(
                    self.certificates.watch, self._time, values.tls_reload_interval
                )
                group.start_soon(watch, name="certificates")
                task_status.started()
                await self._stopping.wait()
                group.cancel_scope.cancel()
            listening.close()
            await self._drain()
        finally:
            if listening is not None:
                listening.close()
            with anyio.move_on_after(2 * _FAREWELL, shield=True):
                await runner.cleanup()

    async def _drain(self) -> None:
        """Wait for what is under way; aiohttp's own shutdown takes no more of a body."""
        if self._under_way:
            with anyio.move_on_after(self._values.request_timeout):
                await self._answered_all.wait()

    async def _listen(self, runner: web.AppRunner) -> asyncio.Server:
        assert runner.server is not None  # noqa: S101 - it is there from `setup` on
        try:
            return await asyncio.get_running_loop().create_server(
                runner.server,
                sock=ports.listen(self._host, self._values.port),
                ssl=self.certificates.context,
                ssl_handshake_timeout=self._values.request_timeout,
            )
        except OSError as problem:
            raise errors.Misconfigured(_advice(self._values.port, problem)) from problem

    async def _convert(self, http: web.Request) -> web.Response:
        began = self._time.monotonic()
        result = "crashed"
        self._under_way += 1
        try:
            result, response = await self._answered(http)
        except web.HTTPRequestEntityTooLarge:
            result = "too_large"
            return self._refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large())
        except ConnectionError:
            result = "gone"
            raise
        except Exception:
            log.exception("conversion_crashed")
            return _text(HTTPStatus.INTERNAL_SERVER_ERROR, "this is a defect of snapshotd webhook")
        else:
            if self._stopping.is_set():
                response.force_close()
            return response
        finally:
            self._under_way -= 1
            if self._stopping.is_set() and not self._under_way:
                self._answered_all.set()
            self._meters.requests.labels(result).inc()
            self._meters.seconds.observe(self._time.monotonic() - began)

    async def _answered(self, http: web.Request) -> tuple[str, web.Response]:
        limit = self._values.request_timeout
        if (http.content_length or 0) > self._values.max_body_bytes:
            return "too_large", self._refusal(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE, self._too_large()
            )
        turn = False
        try:
            with anyio.fail_after(limit):
                async with self._slots:
                    turn = True
                    answer = await self._answer(http, await http.read())
        except TimeoutError:
            if turn:
                return "slow", self._refusal(
                    HTTPStatus.REQUEST_TIMEOUT, f"the request took longer than {limit:g} s"
                )
            return "busy", self._refusal(
                HTTPStatus.SERVICE_UNAVAILABLE, f"no turn within {limit:g} s: too many requests"
            )
        except (answering.BadRequest, web.RequestPayloadError) as problem:
            return "refused", self._refusal(HTTPStatus.BAD_REQUEST, str(problem))
        response = web.Response(body=answer.body, content_type=answer.content_type)
        if answer.failure:
            log.warning("conversion_failed", uid=answer.uid, error=answer.failure)
            return "failed", response
        log.debug("converted", uid=answer.uid, objects=answer.objects)
        self._meters.objects.inc(answer.objects)
        return "converted", response

    async def _answer(self, http: web.Request, body: bytes) -> answering.Answer:
        """Answer at once, or in a thread where it could keep others waiting."""
        kind, accept = http.content_type, http.headers.get("Accept", "")
        if len(body) < _LARGE and not answering.is_yaml(kind):
            return answering.answer(body, kind, accept)
        return await anyio.to_thread.run_sync(
            answering.answer, body, kind, accept, abandon_on_cancel=True, limiter=self._threads
        )

    def _too_large(self) -> str:
        return f"the body is larger than {self._values.max_body_bytes} bytes"

    @staticmethod
    def _refusal(code: HTTPStatus, why: str) -> web.Response:
        """Refuse; a body that is not whole by then has its connection closed by aiohttp."""
        log.warning("conversion_refused", code=code.value, error=why)
        return _text(code, why)


async def _ready(_: web.Request) -> web.Response:
    return web.Response(text="ok")


def _text(code: HTTPStatus, why: str) -> web.Response:
    return web.Response(status=code, text=f"{why}\n")


def _advice(port: int, problem: OSError) -> str:
    """Tell why the port cannot be had and what to do about it."""
    if problem.errno == errno.EADDRINUSE:
        return f"--port {port}: it is in use: choose another one, or stop what listens there"
    if problem.errno == errno.EACCES:
        return f"--port {port}: not allowed: choose a port of 1024 or above"
    return f"--port {port}: cannot listen there: {problem.strerror or problem}"
