"""A cluster as a person with kubectl sees it: plain objects by name, and waiting for them.

For the demo alone; the roles have caches and typed objects instead.
"""

from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import anyio
import msgspec

from snapshotd import errors
from snapshotd.kube import connection
from snapshotd.runtime import clock
from snapshotd.telemetry import metrics

JsonObject = dict[str, Any]

PATIENCE = 60.0  # seconds for anything to happen
_NAMESPACED = {"persistentvolumeclaims", "volumesnapshots", "volumegroupsnapshots", "events"}
_APIS = {
    "volumesnapshot": "/apis/snapshot.storage.k8s.io/v1",
    "volumegroupsnapshot": "/apis/groupsnapshot.storage.k8s.io/v1",
}


class Cluster:
    """A connection, and the verbs the story needs; every write may be repeated."""

    def __init__(self, kubeconfig: Path) -> None:
        """Prepare."""
        self._connection = connection.Connection(
            connection.Options(str(kubeconfig)),
            clock=clock.SystemClock(),
            meters=metrics.Metrics(version="demo"),
        )

    async def __aenter__(self) -> Self:
        """Connect."""
        await self._connection.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Disconnect."""
        await self._connection.__aexit__(kind, error, trace)

    def _path(self, plural: str, name: str = "") -> str:
        roots = (root for start, root in _APIS.items() if plural.startswith(start))
        root = next(roots, "/api/v1")
        where = "/namespaces/default" if plural in _NAMESPACED else ""
        return f"{root}{where}/{plural}" + (f"/{name}" if name else "")

    async def _ask(self, method: str, path: str, **more: Any) -> JsonObject:
        response = await self._connection.request(method, path, **more)
        answer: JsonObject = msgspec.json.decode(response.body)
        return answer

    async def get(self, plural: str, name: str) -> JsonObject | None:
        """Return an object, None if there is none."""
        try:
            return await self._ask("GET", self._path(plural, name))
        except errors.Gone:
            return None

    async def all(self, plural: str) -> list[JsonObject]:
        """Return every object of a kind."""
        items: list[JsonObject] = (await self._ask("GET", self._path(plural)))["items"]
        return items

    async def bring(self, plural: str, name: str, obj: JsonObject) -> None:
        """Create an object, unless it is there."""
        metadata = {**obj.get("metadata", {}), "name": name}
        body = msgspec.json.encode({**obj, "metadata": metadata})
        try:
            await self._ask("POST", self._path(plural), body=body)
        except errors.Conflict:
            return

    async def delete(self, plural: str, name: str) -> None:
        """Delete an object, if it is there."""
        try:
            await self._ask("DELETE", self._path(plural, name))
        except errors.Gone:
            return

    async def until(
        self, plural: str, name: str, holds: Callable[[JsonObject], bool]
    ) -> JsonObject:
        """Return an object once something holds of it; raises `Refused` saying what is so."""
        obj: JsonObject | None = None
        with anyio.move_on_after(PATIENCE):
            while True:
                obj = await self.get(plural, name)
                if obj is not None and holds(obj):
                    return obj
                await anyio.sleep(0.02)
        raise errors.Refused(await self._why(plural, name, obj))

    async def gone(self, plural: str, name: str) -> None:
        """Return once an object is gone; raises `Refused` saying what holds it."""
        obj: JsonObject | None = None
        with anyio.move_on_after(PATIENCE):
            while True:
                obj = await self.get(plural, name)
                if obj is None:
                    return
                await anyio.sleep(0.02)
        raise errors.Refused(await self._why(plural, name, obj))

    async def _why(self, plural: str, name: str, obj: JsonObject | None) -> str:
        if obj is None:
            return f"{plural}/{name} is not there after {PATIENCE:g} s"
        told = [
            f"{event['reason']}: {event['message']}"
            for event in await self.all("events")
            if event["involvedObject"].get("name") == name and event.get("type") == "Warning"
        ]
        held = obj["metadata"].get("finalizers", [])
        state = obj.get("status", {})
        return (
            f"{plural}/{name} after {PATIENCE:g} s: status {state}, finalizers {held}, "
            f"events {told or 'none'}"
        )
