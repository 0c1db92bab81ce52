"""A Lease on an API server of its own, and those who want it; time is virtual."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import anyio
import virtual_time

from snapshotd import errors
from snapshotd.kube import connection as connections
from snapshotd.kube import lease

COLLECTION = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"
PATH = f"{COLLECTION}/snapshot-controller-leader"


class Leases:
    """An API server with room for one Lease; `trouble` is done before an answer."""

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.version = 0
        self.writes: list[tuple[float, str, dict[str, Any]]] = []
        self.requests = 0
        self.trouble: Callable[[], Any] | None = None

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,  # noqa: ARG002
        body: bytes | None = None,
        content_type: str = "application/json",  # noqa: ARG002
        timeout: float = 30.0,  # noqa: ASYNC109
    ) -> connections.Response:
        self.requests += 1
        with anyio.move_on_after(timeout):
            await anyio.lowlevel.checkpoint()
            if self.trouble is not None:
                await self.trouble()
            return self._answer(method, path, body)
        raise errors.Unavailable("no answer")

    def _answer(self, method: str, path: str, body: bytes | None) -> connections.Response:
        if method == "POST":
            assert path == COLLECTION
            if self.lease is not None:
                raise errors.Conflict("it exists")
        else:
            assert path == PATH
            if self.lease is None:
                raise errors.Gone("not found")
        if body is not None:
            sent = json.loads(body)
            version = sent["metadata"].get("resourceVersion")
            if self.lease is not None and version != str(self.version):
                raise errors.Conflict("it was modified")
            self.store(sent)
            self.writes.append((anyio.current_time(), method, sent["spec"]))
        return connections.Response(200, json.dumps(self.lease).encode())

    def store(self, sent: dict[str, Any]) -> None:
        self.version += 1
        metadata = {**sent["metadata"], "resourceVersion": str(self.version)}
        self.lease = {**sent, "metadata": metadata}

    @property
    def spec(self) -> dict[str, Any]:
        assert self.lease is not None
        spec: dict[str, Any] = self.lease["spec"]
        return spec


def candidate(api: Leases, identity: str = "a", **labels: str) -> lease.LeaderElection:
    lock = lease.Lock("kube-system", "snapshot-controller-leader", identity, labels)
    return lease.LeaderElection(api, lock, clock=virtual_time.VirtualClock())


class Reign:
    """A `lead` that leads until it is cancelled, or for some seconds."""

    def __init__(self, seconds: float = float("inf")) -> None:
        self.seconds = seconds
        self.began = anyio.Event()
        self.began_at = float("nan")
        self.ended_at = float("nan")

    async def __call__(self) -> None:
        self.began_at = anyio.current_time()
        self.began.set()
        try:
            await anyio.sleep(self.seconds)
        finally:
            self.ended_at = anyio.current_time()
