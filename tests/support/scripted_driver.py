"""CSI drivers for tests, over a real socket: one that says what it is told, one that keeps things.

Both are asked by whatever speaks gRPC; what is behind them is a few dictionaries.
"""

import collections
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import grpc

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc

WORDS = "in the driver's own words"
LISTS = csi_pb2.ControllerServiceCapability.RPC.LIST_SNAPSHOTS
GETS = csi_pb2.ControllerServiceCapability.RPC.GET_SNAPSHOT


class Scripted(csi_pb2_grpc.ControllerServicer, csi_pb2_grpc.IdentityServicer):
    """A driver that says what it is told to."""

    def __init__(self) -> None:
        self.code: grpc.StatusCode | None = None
        self.hangs = False
        self.requests: list[Any] = []
        self.asked = anyio.Event()
        self.snapshot = csi_pb2.Snapshot(snapshot_id="handle", source_volume_id="vol")
        self.entries = [csi_pb2.ListSnapshotsResponse.Entry(snapshot=self.snapshot)]
        self.name = "scripted.example.com"
        self.unready = 0
        self.words = WORDS
        rpc = csi_pb2.ControllerServiceCapability.RPC
        self.able: list[int] = [rpc.CREATE_DELETE_SNAPSHOT, rpc.LIST_SNAPSHOTS, 999]

    async def _answer(self, request: Any, context: Any, response: Any) -> Any:
        self.requests.append(request)
        self.asked.set()
        if self.hangs:
            await anyio.sleep_forever()
        if self.code is not None:
            await context.abort(self.code, self.words)
        return response

    async def CreateSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802 - CSI's
        response = csi_pb2.CreateSnapshotResponse(snapshot=self.snapshot)
        return await self._answer(request, context, response)

    async def DeleteSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._answer(request, context, csi_pb2.DeleteSnapshotResponse())

    async def ListSnapshots(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = csi_pb2.ListSnapshotsResponse(entries=self.entries)
        return await self._answer(request, context, response)

    async def GetSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = csi_pb2.GetSnapshotResponse(snapshot=self.snapshot)
        return await self._answer(request, context, response)

    async def CreateVolume(self, request: Any, context: Any) -> Any:  # noqa: N802
        volume = csi_pb2.Volume(volume_id="new", capacity_bytes=7, volume_context={"on": "a"})
        response = csi_pb2.CreateVolumeResponse(volume=volume)
        return await self._answer(request, context, response)

    async def DeleteVolume(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._answer(request, context, csi_pb2.DeleteVolumeResponse())

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = csi_pb2.GetPluginInfoResponse(name=self.name)
        return await self._answer(request, context, response)

    async def Probe(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = csi_pb2.ProbeResponse()
        if self.unready:
            self.unready -= 1
            response.ready.value = False
        return await self._answer(request, context, response)

    async def ControllerGetCapabilities(self, request: Any, context: Any) -> Any:  # noqa: N802
        capability: Any = csi_pb2.ControllerServiceCapability
        response = csi_pb2.ControllerGetCapabilitiesResponse(
            capabilities=[capability(rpc=capability.RPC(type=each)) for each in self.able]
        )
        return await self._answer(request, context, response)


@dataclasses.dataclass(frozen=True)
class Fault:
    """How one call fails; `done`: the driver did what it was asked, and its answer was lost."""

    code: grpc.StatusCode
    done: bool = False
    words: str = WORDS


class Keeping(Scripted):
    """A driver that keeps snapshots by name and by handle; `faults` strike next calls, in order.

    Each snapshot is ready at the look after `looks_until_ready` others. With a `gate`, a call is
    answered once that is set.
    """

    def __init__(self, name: str, *able: int) -> None:
        super().__init__()
        self.name = name
        self.able = [csi_pb2.ControllerServiceCapability.RPC.CREATE_DELETE_SNAPSHOT, *able]
        self.kept: dict[str, csi_pb2.Snapshot] = {}
        self.made: list[str] = []  # every name that a snapshot was cut for
        self.calls: list[str] = []
        self.faults: dict[str, collections.deque[Fault]] = collections.defaultdict(
            collections.deque
        )
        self.looks_until_ready = 0
        self.tells_time = True
        self.filters = True  # a list is of the volume that was asked for
        self.page = 2  # entries of a list
        self.gate: anyio.Event | None = None
        self._named: dict[str, str] = {}
        self._looks: collections.Counter[str] = collections.Counter()

    def fail(self, method: str, *codes: grpc.StatusCode, done: bool = False) -> None:
        """Have the next calls of a method fail."""
        self.faults[method].extend(Fault(code, done) for code in codes)

    def keep(self, handle: str, volume: str = "vol", *, size: int = 1 << 30) -> None:
        """Put a snapshot there that nobody cut through us."""
        self.kept[handle] = csi_pb2.Snapshot(
            snapshot_id=handle, source_volume_id=volume, size_bytes=size
        )
        self.kept[handle].creation_time.seconds = 10**9

    def cut(self, name: str, volume: str = "vol") -> str:
        """Cut a snapshot as another caller's CreateSnapshot does; return its handle."""
        request = csi_pb2.CreateSnapshotRequest(name=name, source_volume_id=volume)
        return self._cut(request).snapshot_id

    async def CreateSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        def work() -> Any:
            return csi_pb2.CreateSnapshotResponse(snapshot=self._cut(request))

        return await self._do("CreateSnapshot", request, context, work)

    async def DeleteSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        def work() -> Any:
            self.kept.pop(request.snapshot_id, None)
            return csi_pb2.DeleteSnapshotResponse()

        return await self._do("DeleteSnapshot", request, context, work)

    async def ListSnapshots(self, request: Any, context: Any) -> Any:  # noqa: N802
        def work() -> Any:
            if request.snapshot_id:
                found = [request.snapshot_id] if request.snapshot_id in self.kept else []
                return _page([self._look(each) for each in found])
            of_volume = [each for each in self.kept.values() if self._is_of(each, request)]
            at = int(request.starting_token or 0)
            more = str(at + self.page) if at + self.page < len(of_volume) else ""
            return _page(of_volume[at : at + self.page], more)

        return await self._do("ListSnapshots", request, context, work)

    async def GetSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        def work() -> Any:
            return csi_pb2.GetSnapshotResponse(snapshot=self._look(request.snapshot_id))

        if request.snapshot_id not in self.kept:
            self.fail("GetSnapshot", grpc.StatusCode.NOT_FOUND)
        return await self._do("GetSnapshot", request, context, work)

    def _is_of(self, snapshot: csi_pb2.Snapshot, request: Any) -> bool:
        return not self.filters or snapshot.source_volume_id == request.source_volume_id

    async def _do(self, method: str, request: Any, context: Any, work: Callable[[], Any]) -> Any:
        self.calls.append(method)
        self.requests.append(request)
        self.asked.set()
        faults = self.faults[method]
        fault = faults.popleft() if faults else None
        answer = work() if fault is None or fault.done else None
        if self.gate is not None:
            await self.gate.wait()
        if fault is not None:
            await context.abort(fault.code, fault.words)
        return answer

    def _cut(self, request: Any) -> csi_pb2.Snapshot:
        handle = self._named.get(request.name, "")
        if handle not in self.kept:
            self.made.append(request.name)
            handle = self._named[request.name] = f"{request.name}#{len(self.made)}"
            self.keep(handle, request.source_volume_id)
        return self._look(handle)

    def _look(self, handle: str) -> csi_pb2.Snapshot:
        self._looks[handle] += 1
        told = csi_pb2.Snapshot()
        told.CopyFrom(self.kept[handle])
        told.ready_to_use = self._looks[handle] > self.looks_until_ready
        if not self.tells_time:
            told.ClearField("creation_time")
        return told


def _page(found: list[csi_pb2.Snapshot], token: str = "") -> Any:
    entry = csi_pb2.ListSnapshotsResponse.Entry
    entries = [entry(snapshot=each) for each in found]
    return csi_pb2.ListSnapshotsResponse(entries=entries, next_token=token)


async def serve(servicer: Scripted, socket: Path) -> Any:
    """Return a server that is started; whoever asked for it stops it."""
    server = grpc.aio.server()
    csi_pb2_grpc.add_ControllerServicer_to_server(servicer, server)
    csi_pb2_grpc.add_IdentityServicer_to_server(servicer, server)
    if isinstance(servicer, csi_pb2_grpc.GroupControllerServicer):
        csi_pb2_grpc.add_GroupControllerServicer_to_server(servicer, server)
    server.add_insecure_port(f"unix://{socket}")
    await server.start()
    return server


def scripted() -> Scripted:
    """Return a driver that says what it is told to."""
    return Scripted()  # type: ignore[abstract] # the calls that nobody makes are gRPC's own


def keeping(name: str, *able: int) -> Keeping:
    """Return a driver that keeps snapshots; `able` is told beside CREATE_DELETE_SNAPSHOT."""
    return Keeping(name, *able)  # type: ignore[abstract] # as above
