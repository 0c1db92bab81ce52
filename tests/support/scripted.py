"""An API server that answers what it was told to, in order, and remembers what it was asked.

Also what tests of a client of it need: a clock whose sleeps take no time, and objects to answer.
"""

import dataclasses
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import anyio
import anyio.lowlevel
from aiohttp import web

Json = dict[str, Any]
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]

EPOCH = 1_700_000_000.0


class Clock:
    """Sleeps take no time: they are noted, and move the clock."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.slept: list[float] = []

    def now(self) -> float:
        return EPOCH + self.passed

    def monotonic(self) -> float:
        return self.passed

    def pass_by(self, seconds: float) -> None:
        self.passed += seconds

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += max(0.0, seconds)
        await anyio.lowlevel.checkpoint()


@dataclasses.dataclass(frozen=True)
class Seen:
    """One request as it arrived; `body` decoded, None where there was none."""

    method: str
    path: str
    query: dict[str, str]
    headers: Mapping[str, str]
    body: Any


@dataclasses.dataclass
class Server:
    """The script: `answers` are given in order, then everything hangs and `idle` is set."""

    seen: list[Seen]
    answers: deque[Answer]
    url: str = ""
    idle: anyio.Event = dataclasses.field(default_factory=anyio.Event)
    hung_up: anyio.Event = dataclasses.field(default_factory=anyio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        self.seen.append(
            Seen(
                request.method,
                request.rel_url.raw_path,
                dict(request.query),
                request.headers,
                json.loads(body) if body else None,
            )
        )
        if self.answers:
            return await self.answers.popleft()(request)
        self.idle.set()
        return await self.hang(request)

    async def hang(self, request: web.Request) -> web.StreamResponse:
        """Answer the head, and then nothing until the end of the test."""
        response = web.StreamResponse()
        await response.prepare(request)
        await self.hung_up.wait()
        return response

    def reply(
        self, status: int, body: Any = None, *, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer the next request with JSON (or these very bytes)."""
        content = body if isinstance(body, bytes) else json.dumps(body or {}).encode()

        async def answer(_: web.Request) -> web.StreamResponse:
            return web.Response(
                status=status, body=content, headers={**_JSON_TYPE, **(headers or {})}
            )

        self.answers.append(answer)

    def fail(self, code: int, reason: str = "", *, causes: Sequence[str] = ()) -> None:
        """Answer the next request with a Status; `causes` are fields."""
        self.reply(code, status(code, reason, causes=causes))

    def stream(
        self,
        *chunks: bytes,
        cut: bool = False,
        meanwhile: Callable[[], None] | None = None,
        then: anyio.Event | None = None,
    ) -> None:
        """Answer the next request in chunks; `cut` breaks off, `then` is waited for before."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            for chunk in chunks:
                await response.write(chunk)
            if meanwhile is not None:
                meanwhile()
            if then is not None:
                await then.wait()
            if cut:
                assert request.transport is not None
                request.transport.abort()
            return response

        self.answers.append(answer)

    def drop(self) -> None:
        """Close the connection of the next request without a word."""

        async def answer(request: web.Request) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        self.answers.append(answer)


_JSON_TYPE = {"Content-Type": "application/json"}


def kubeconfig(url: str, user: Json, **cluster: Any) -> Json:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "u", "user": user}],
        "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
        "current-context": "x",
    }


def status(code: int, reason: str, *, causes: Sequence[str] = ()) -> Json:
    whole: Json = {"kind": "Status", "apiVersion": "v1", "status": "Failure"}
    whole |= {"code": code, "reason": reason, "message": f"said {reason}"}
    if causes:
        whole["details"] = {"causes": [{"field": field} for field in causes]}
    return whole


def claim(name: str, version: int, **metadata: Any) -> Json:
    """A PersistentVolumeClaim, the kind that is always there."""
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {
            "name": name,
            "namespace": "default",
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            **metadata,
        },
        "spec": {"volumeName": f"pv-{name}"},
    }


def content(name: str, version: int, **metadata: Any) -> Json:
    """A VolumeSnapshotContent."""
    return {
        "apiVersion": "snapshot.storage.k8s.io/v1",
        "kind": "VolumeSnapshotContent",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": str(version),
            **metadata,
        },
        "spec": {
            "deletionPolicy": "Delete",
            "driver": "d",
            "source": {"volumeHandle": "v"},
            "volumeSnapshotRef": {"name": "s", "namespace": "default", "uid": "su"},
        },
    }


def listing(version: int, *items: Json, token: str = "") -> Json:
    metadata = {"resourceVersion": str(version)} | ({"continue": token} if token else {})
    return {"kind": "List", "apiVersion": "v1", "metadata": metadata, "items": list(items)}


def event(type_: str, obj: Json) -> bytes:
    return json.dumps({"type": type_, "object": obj}).encode() + b"\n"


def bookmark(version: int) -> bytes:
    return event("BOOKMARK", {"kind": "X", "metadata": {"resourceVersion": str(version)}})
