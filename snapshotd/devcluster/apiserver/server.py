"""The server: TLS on loopback, a bearer token, and each request to its verb.

Every answer is JSON, and every failure a `Status`: no traceback and no dropped connection reaches a
client. One request takes this path: token, place, resource, verb, answer.
"""

import base64
import dataclasses
import hmac
import secrets
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgspec
import structlog
from aiohttp import web

from snapshotd import errors as our_errors
from snapshotd.devcluster.apiserver import (
    builtin,
    certificates,
    crd,
    dispatch,
    errors,
    persistence,
    reads,
    resources,
    storage,
    system,
    writes,
)

JsonObject = dict[str, Any]
log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_OPEN = {"/healthz", "/livez", "/readyz", "/version"}
_LARGEST_BODY = 3 * 1024 * 1024  # as the real server's limit


@dataclasses.dataclass(frozen=True, slots=True)
class Settings:
    """Where to listen and what to keep.

    `port` 0 takes any free one. `folder` holds the state file, certificates and token; None keeps
    everything in memory. Without `tls` the server speaks plain HTTP: for tests, on loopback.
    """

    port: int = 0
    folder: Path | None = None
    tls: bool = True
    history: int = 20_000  # changes of each kind that can be watched from the past
    # by group, what stands for the conversion webhooks that definitions name by their services
    converters: Mapping[str, crd.Converter] = dataclasses.field(default_factory=dict)


class ApiServer:
    """One server over one storage."""

    def __init__(self, settings: Settings) -> None:
        """Load the state; raises `Misconfigured` where that cannot be."""
        self._settings = settings
        folder = settings.folder
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = persistence.Persistence(folder / "state.db") if folder else None
        self.token = _token(folder)
        self.registry = resources.Registry()
        for resource in builtin.RESOURCES:
            self.registry.put(resource)
        self.storage = storage.Storage(self._file, window=settings.history)
        self.writes = writes.Writes(self.storage, self.registry)
        system.Housekeeping(self.storage, self.registry, self.writes, settings.converters)
        reader = reads.Reads(self.storage)
        self.requests: Counter[dispatch.Counted] = Counter()
        self._dispatch = dispatch.Dispatch(self, reader, self.writes, self.requests)
        self._authority = b""
        self.port = settings.port

    @property
    def url(self) -> str:
        """Return where the server listens; complete once it runs."""
        return f"{'https' if self._settings.tls else 'http'}://127.0.0.1:{self.port}"

    def kubeconfig(self) -> JsonObject:
        """Return a kubeconfig with everything a client needs."""
        cluster: JsonObject = {"server": self.url}
        if self._settings.tls:
            cluster["certificate-authority-data"] = base64.b64encode(self._authority).decode()
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "snapshotd-dev", "cluster": cluster}],
            "users": [{"name": system.USER, "user": {"token": self.token}}],
            "contexts": [
                {
                    "name": "snapshotd-dev",
                    "context": {
                        "cluster": "snapshotd-dev",
                        "user": system.USER,
                        "namespace": "default",
                    },
                }
            ],
            "current-context": "snapshotd-dev",
        }

    async def run(
        self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Serve until cancelled; started once the port is open."""
        tls = None
        if self._settings.tls:
            folder = self._settings.folder
            tls, self._authority = certificates.context(folder / "tls" if folder else None)
        runner = web.ServerRunner(
            web.Server(
                self._handle,
                access_log=None,
                keepalive_timeout=120.0,
                handler_cancellation=True,  # a watch ends when its client is gone, not later
            )
        )
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", self._settings.port, ssl_context=tls)
            await self._open(site)
            self.port = runner.addresses[0][1]
            task_status.started()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(5):
                await runner.cleanup()
            if self._file is not None:
                self._file.close()

    async def _open(self, site: web.TCPSite) -> None:
        try:
            await site.start()
        except OSError as error:
            raise our_errors.Misconfigured(
                f"cannot listen on 127.0.0.1:{self._settings.port}: {error.strerror or error}; "
                "stop what uses that port, or choose another with --port (0 takes a free one)"
            ) from error

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        try:
            self._admit(request)
            return await self._dispatch.answer(request)
        except errors.ApiError as error:
            return _failure(error)
        except (ConnectionError, TimeoutError):
            raise
        except Exception as defect:
            log.exception("request_crashed", method=request.method, path=request.path)
            told = f"{type(defect).__name__}: this is a defect of the embedded API server"
            return _failure(errors.ApiError(500, "InternalError", told))

    def _admit(self, request: web.BaseRequest) -> None:
        """Let in who has the token, with no more than the server can take; raises 401 or 413."""
        header = request.headers.get("Authorization", "")
        known = hmac.compare_digest(header.encode(), f"Bearer {self.token}".encode())
        if not known and request.path not in _OPEN:
            raise errors.ApiError(401, "Unauthorized", "Unauthorized")
        if (request.content_length or 0) > _LARGEST_BODY:
            told = f"Request entity too large: limit is {_LARGEST_BODY}"
            raise errors.ApiError(413, "RequestEntityTooLarge", told)


def _failure(error: errors.ApiError) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(error.to_status()),
        status=error.code,
        content_type="application/json",
    )


def _token(folder: Path | None) -> str:
    """Return the bearer token: kept in the folder, so that a kubeconfig stays good."""
    if folder is None:
        return secrets.token_urlsafe(24)
    path = folder / "token"
    if not path.exists():
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24))
    return path.read_text().strip()
