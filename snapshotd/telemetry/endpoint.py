"""The HTTP endpoint: metrics for Prometheus, health for the kubelet.

    /metrics                   (the path can be changed) text or OpenMetrics, as the client asks
    /livez /healthz            500 when the process should be restarted
    /readyz                    500 while it cannot do its work; liveness problems count too
    /healthz/leader-election   500 when the lease is overdue; 404 where there is no election
    /statusz /statusz.json     what the process is doing, for people and for programs

Invariant: answering never waits for anything but the event loop, so a stuck loop fails its probe.
"""

import dataclasses
import errno
from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

import anyio
import anyio.abc
import prometheus_client
import structlog
from aiohttp import web
from prometheus_client.aiohttp import make_aiohttp_handler

from snapshotd import errors
from snapshotd.telemetry import ports, statusz

Check: TypeAlias = Callable[[], str | None]
"""Says what is wrong, None while nothing is. It must not wait."""

_Handler: TypeAlias = Callable[[web.Request], Awaitable[web.Response]]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_FAREWELL: Final = 2.0  # seconds that a scrape under way has to finish on shutdown


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where to listen; no host means every interface, port 0 any free port."""

    host: str | None
    port: int

    def __str__(self) -> str:
        """Return `host:port` as it is written in the flag."""
        host = self.host or ""
        return f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `host:port`, `:port` or `[v6]:port`; raises `Misconfigured`."""
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if colon and port.isdecimal() and int(port) < 65536 and (":" not in bare or bare != host):
        return Address(bare or None, int(port))
    raise errors.Misconfigured(
        f"--http-endpoint {text!r} is no address: write host:port, such as 127.0.0.1:8080 or :8080"
    )


class Health:
    """Named checks, which the composition root adds, by what a failure should lead to."""

    def __init__(self) -> None:
        """Start healthy: with no checks."""
        self._live: dict[str, Check] = {}
        self._ready: dict[str, Check] = {}
        self._leader: Check | None = None

    def add_live(self, name: str, check: Check) -> None:
        """Add a check whose failure means that a restart would help."""
        self._live[name] = check

    def add_ready(self, name: str, check: Check) -> None:
        """Add a check whose failure means that the work cannot be done now."""
        self._ready[name] = check

    def watch_leader(self, check: Check) -> None:
        """Serve /healthz/leader-election with this check."""
        self._leader = check

    def liveness(self) -> dict[str, str | None]:
        """Return each liveness check's name and problem."""
        return {name: _ask(check) for name, check in self._live.items()}

    def readiness(self) -> dict[str, str | None]:
        """Return each check's name and problem, liveness first."""
        return self.liveness() | {name: _ask(check) for name, check in self._ready.items()}

    def leadership(self) -> dict[str, str | None] | None:
        """Return the leader check's problem; None where there is no election."""
        return None if self._leader is None else {"leader-election": _ask(self._leader)}


def _ask(check: Check) -> str | None:
    try:
        return check()
    except Exception as defect:  # noqa: BLE001 - a broken check is a problem to show, not to raise
        return f"the check itself failed: {type(defect).__name__}: {defect}"


class Endpoint:
    """The server; `run` fits `supervisor.Part`. After the start `port` is the real one."""

    def __init__(
        self,
        address: Address,
        *,
        registry: prometheus_client.CollectorRegistry,
        health: Health,
        metrics_path: str = "/metrics",
        board: statusz.Board | None = None,
    ) -> None:
        """Prepare the routes, /statusz where there is a board; raises `Misconfigured`."""
        self.address = address
        self.port = address.port
        pages: dict[str, _Handler] = {
            "/livez": _page(health.liveness),
            "/healthz": _page(health.liveness),
            "/readyz": _page(health.readiness),
            "/healthz/leader-election": _page(health.leadership),
        }
        if board is not None:
            board.problems = health.readiness
            pages |= {"/statusz": board.page, "/statusz.json": board.data}
        if not metrics_path.startswith("/") or metrics_path in pages:
            raise errors.Misconfigured(
                f"--metrics-path {metrics_path!r}: write a path that begins with / and is none of "
                + ", ".join(pages)
            )
        self._app = web.Application()
        self._app.router.add_get(metrics_path, make_aiohttp_handler(registry))
        for path, page in pages.items():
            self._app.router.add_get(path, page)

    async def run(
        self, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; raises `Misconfigured` if the address cannot be had."""
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=_FAREWELL)
        await runner.setup()
        try:
            await self._listen(runner)
            log.info("endpoint_listening", address=str(self.address), port=self.port)
            task_status.started()
            await anyio.sleep_forever()
        finally:
            with anyio.move_on_after(2 * _FAREWELL, shield=True):
                await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> None:
        try:
            site = web.SockSite(runner, ports.listen(self.address.host, self.address.port))
            await site.start()
        except OSError as problem:
            raise errors.Misconfigured(_advice(self.address, problem)) from problem
        self.port = runner.addresses[0][1]


def _page(read: Callable[[], dict[str, str | None] | None]) -> _Handler:
    """Return a handler that answers in the words of Kubernetes' own health pages."""

    async def handle(request: web.Request) -> web.Response:
        problems = read()
        if problems is None:
            raise web.HTTPNotFound
        failed = any(problems.values())
        if not failed and "verbose" not in request.query:
            return web.Response(text="ok")
        lines = [
            f"[-]{name}: {problem}" if problem else f"[+]{name} ok"
            for name, problem in problems.items()
        ]
        return web.Response(status=500 if failed else 200, text="\n".join(lines) + "\n")

    return handle


def _advice(address: Address, problem: OSError) -> str:
    """Tell why the address cannot be had and what to do about it."""
    if problem.errno == errno.EADDRINUSE:
        return (
            f"--http-endpoint {address}: the port is in use: choose another one, or stop what "
            f"listens there (`ss -ltnp 'sport = :{address.port}'` shows it)"
        )
    if problem.errno == errno.EACCES:
        return f"--http-endpoint {address}: not allowed: choose a port of 1024 or above"
    return f"--http-endpoint {address}: cannot listen there: {problem.strerror or problem}"
