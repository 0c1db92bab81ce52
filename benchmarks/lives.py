"""When each snapshot was asked for, bound, ready, deleted and gone, as one watch sees it.

All times are of this process's monotonic clock, at the moment a line of the watch is read.
"""

import dataclasses
import math
import time

import anyio
import anyio.abc
import msgspec

from benchmarks import client, objects


class _Metadata(msgspec.Struct):
    name: str = ""
    resource_version: str = msgspec.field(name="resourceVersion", default="")


class _Status(msgspec.Struct):
    content: str | None = msgspec.field(name="boundVolumeSnapshotContentName", default=None)
    ready: bool | None = msgspec.field(name="readyToUse", default=None)


class _Snapshot(msgspec.Struct):
    metadata: _Metadata
    status: _Status | None = None


class _Event(msgspec.Struct):
    type: str
    object: _Snapshot


_DECODER = msgspec.json.Decoder(_Event)


@dataclasses.dataclass(slots=True)
class Life:
    """One snapshot's times, NaN where it did not come so far."""

    asked: float
    bound: float = float("nan")
    ready: float = float("nan")
    deleted: float = float("nan")
    gone: float = float("nan")
    is_ready: anyio.Event = dataclasses.field(default_factory=anyio.Event)
    is_gone: anyio.Event = dataclasses.field(default_factory=anyio.Event)


class Lives:
    """The snapshots of one namespace that this benchmark asked for."""

    def __init__(self, api: client.Client, namespace: str) -> None:
        """Begin with none."""
        self._api = api
        self.namespace = namespace
        self.all: dict[str, Life] = {}

    async def watch(
        self, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED
    ) -> None:
        """Watch until cancelled; started when nothing can be missed any more."""
        version = await self._api.version("volumesnapshots", self.namespace)
        task_status.started()
        while True:
            async for line in self._api.watch("volumesnapshots", self.namespace, version):
                event = _DECODER.decode(line)
                if event.type == "ERROR":
                    raise client.Failed(410, line.decode())
                version = event.object.metadata.resource_version
                self._note(event)

    def _note(self, event: _Event) -> None:
        life = self.all.get(event.object.metadata.name)
        if life is None or event.type == "BOOKMARK":
            return
        now = time.perf_counter()
        status = event.object.status or _Status()
        if status.content and math.isnan(life.bound):
            life.bound = now
        if status.ready and not life.is_ready.is_set():
            life.ready = now
            life.is_ready.set()
        if event.type == "DELETED":
            life.gone = now
            life.is_gone.set()

    async def ask(self, name: str, claim: str) -> Life:
        """Ask for a snapshot."""
        life = self.all[name] = Life(time.perf_counter())
        wanted = objects.snapshot(name, claim)
        await self._api.create("volumesnapshots", self.namespace, wanted)
        return life

    async def delete(self, name: str) -> Life:
        """Ask for its deletion."""
        life = self.all[name]
        life.deleted = time.perf_counter()
        await self._api.delete("volumesnapshots", self.namespace, name)
        return life

    def forget(self) -> None:
        """Begin anew."""
        self.all.clear()
