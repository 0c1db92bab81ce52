"""The calls of CSI, answered with directories.

Each answer is what the specification's section on its call demands: idempotent by name, ABORTED
while the same thing is being made, ALREADY_EXISTS where the name is taken by something else. What
the file system refuses is an answer too.
"""

import contextlib
import errno
import functools
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NoReturn

import anyio
import grpc
from google.protobuf import timestamp_pb2

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc
from snapshotd.devcluster.hostpath import copying, faults, shelf, workshop

Context = Any  # grpc.aio.ServicerContext, whose type parameters say nothing here

_CAPABILITIES = (
    "CREATE_DELETE_VOLUME",
    "LIST_VOLUMES",
    "GET_CAPACITY",
    "CREATE_DELETE_SNAPSHOT",
    "LIST_SNAPSHOTS",
    "CLONE_VOLUME",
    "GET_SNAPSHOT",
)
_DEFAULT_SIZE = 1 << 30
_FULL = {errno.ENOSPC, errno.EDQUOT}


async def _fail(context: Context, code: grpc.StatusCode, message: str) -> NoReturn:
    await context.abort(code, message)
    raise AssertionError("abort raises")


class Identity(csi_pb2_grpc.IdentityServicer):
    """Who we are."""

    def __init__(self, name: str, version: str) -> None:
        """Answer to this name."""
        self._name = name
        self._version = version

    async def GetPluginInfo(self, request: Any, context: Context) -> Any:  # noqa: N802 - CSI's name
        """Tell name and version."""
        del request, context
        return csi_pb2.GetPluginInfoResponse(name=self._name, vendor_version=self._version)

    async def GetPluginCapabilities(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Tell that there is a controller service."""
        del request, context
        type_ = csi_pb2.PluginCapability.Service.CONTROLLER_SERVICE
        service = csi_pb2.PluginCapability.Service(type=type_)
        capability = csi_pb2.PluginCapability(service=service)
        return csi_pb2.GetPluginCapabilitiesResponse(capabilities=[capability])

    async def Probe(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Tell that we are ready, as we always are."""
        del request, context
        return csi_pb2.ProbeResponse()


class Controller(csi_pb2_grpc.ControllerServicer):
    """Volumes and snapshots."""

    def __init__(
        self,
        volumes: shelf.Shelf,
        snapshots: shelf.Shelf,
        *,
        trouble: faults.Faults,
        shop: workshop.Workshop,
    ) -> None:
        """Serve these; all work on directories is done in the workshop."""
        self._volumes = volumes
        self._snapshots = snapshots
        self._faults = trouble
        self._shop = shop

    async def ControllerGetCapabilities(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Tell what we can do."""
        del request, context
        value = csi_pb2.ControllerServiceCapability.RPC.Type.Value
        rpcs = [csi_pb2.ControllerServiceCapability.RPC(type=value(n)) for n in _CAPABILITIES]
        return csi_pb2.ControllerGetCapabilitiesResponse(
            capabilities=[csi_pb2.ControllerServiceCapability(rpc=rpc) for rpc in rpcs]
        )

    async def CreateVolume(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Make a volume, empty or from a snapshot or another volume."""
        async with self._troubled("CreateVolume", context):
            if not request.name or not request.volume_capabilities:
                missing = "name" if not request.name else "volume_capabilities"
                await _fail(context, grpc.StatusCode.INVALID_ARGUMENT, f"{missing} is missing")
            if any(each.HasField("block") for each in request.volume_capabilities):
                why = "block volumes are not supported: directories are file systems"
                await _fail(context, grpc.StatusCode.INVALID_ARGUMENT, why)
            source = request.volume_content_source
            snapshot, volume = source.snapshot.snapshot_id, source.volume.volume_id
            size = request.capacity_range.required_bytes or _DEFAULT_SIZE
            found = self._volumes.named(request.name)
            if found is not None:
                same = (found.source_snapshot, found.source_volume) == (snapshot, volume)
                limit = request.capacity_range.limit_bytes or found.size
                if not same or not size <= found.size <= max(limit, size):
                    why = f"volume {request.name} exists with another size or source"
                    await _fail(context, grpc.StatusCode.ALREADY_EXISTS, why)
                return csi_pb2.CreateVolumeResponse(volume=_volume(found))
            tree = await self._source(snapshot, volume, context)
            record = shelf.Record(
                "", request.name, size=size, source_snapshot=snapshot, source_volume=volume
            )
            made = await self._make(self._volumes, record, tree)
            return csi_pb2.CreateVolumeResponse(volume=_volume(made))

    async def _source(self, snapshot: str, volume: str, context: Context) -> Path | None:
        """Return the tree to fill a new volume from, None for an empty one."""
        place, handle = (self._snapshots, snapshot) if snapshot else (self._volumes, volume)
        if not handle:
            return None
        record = place.find(handle)
        if record is None:
            await _fail(context, grpc.StatusCode.NOT_FOUND, f"source {handle} does not exist")
        if snapshot and not self._ready(record):
            why = f"snapshot {handle} is not ready"
            await _fail(context, grpc.StatusCode.UNAVAILABLE, why)
        return place.path(handle)

    async def DeleteVolume(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Remove a volume; one that does not exist is removed already."""
        async with self._troubled("DeleteVolume", context):
            if not request.volume_id:
                await _fail(context, grpc.StatusCode.INVALID_ARGUMENT, "volume_id is missing")
            await self._remove(self._volumes, request.volume_id)
            return csi_pb2.DeleteVolumeResponse()

    async def ListVolumes(self, request: Any, context: Context) -> Any:  # noqa: N802
        """List volumes, page by page."""
        async with self._troubled("ListVolumes", context):
            page, token = await _page(self._volumes.all(), request, context)
            entries = [csi_pb2.ListVolumesResponse.Entry(volume=_volume(each)) for each in page]
            return csi_pb2.ListVolumesResponse(entries=entries, next_token=token)

    async def GetCapacity(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Tell what the file system has left."""
        del request, context
        left = shutil.disk_usage(self._volumes.path("")).free
        return csi_pb2.GetCapacityResponse(available_capacity=left)

    async def ValidateVolumeCapabilities(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Confirm file systems, and nothing else."""
        if not request.volume_id or not request.volume_capabilities:
            why = "volume_id and volume_capabilities are needed"
            await _fail(context, grpc.StatusCode.INVALID_ARGUMENT, why)
        if self._volumes.find(request.volume_id) is None:
            await _fail(context, grpc.StatusCode.NOT_FOUND, f"no volume {request.volume_id}")
        answer = csi_pb2.ValidateVolumeCapabilitiesResponse()
        if any(each.HasField("block") for each in request.volume_capabilities):
            answer.message = "block volumes are not supported"
        else:
            answer.confirmed.volume_capabilities.extend(request.volume_capabilities)
        return answer

    async def CreateSnapshot(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Cut a snapshot, or tell what became of it."""
        async with self._troubled("CreateSnapshot", context):
            if not request.name or not request.source_volume_id:
                missing = "name" if not request.name else "source_volume_id"
                await _fail(context, grpc.StatusCode.INVALID_ARGUMENT, f"{missing} is missing")
            found = self._snapshots.named(request.name)
            if found is not None:
                if found.source_volume != request.source_volume_id:
                    why = f"snapshot {request.name} exists, of volume {found.source_volume}"
                    await _fail(context, grpc.StatusCode.ALREADY_EXISTS, why)
                return csi_pb2.CreateSnapshotResponse(snapshot=self._snapshot(found))
            volume = self._volumes.find(request.source_volume_id)
            if volume is None:
                why = f"volume {request.source_volume_id} does not exist"
                await _fail(context, grpc.StatusCode.NOT_FOUND, why)
            record = shelf.Record("", request.name, size=volume.size, source_volume=volume.handle)
            made = await self._make(self._snapshots, record, self._volumes.path(volume.handle))
            return csi_pb2.CreateSnapshotResponse(snapshot=self._snapshot(made))

    async def DeleteSnapshot(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Remove a snapshot; one that does not exist is removed already."""
        async with self._troubled("DeleteSnapshot", context):
            if not request.snapshot_id:
                await _fail(context, grpc.StatusCode.INVALID_ARGUMENT, "snapshot_id is missing")
            await self._remove(self._snapshots, request.snapshot_id)
            return csi_pb2.DeleteSnapshotResponse()

    async def ListSnapshots(self, request: Any, context: Context) -> Any:  # noqa: N802
        """List snapshots: one, those of a volume, or all, page by page."""
        async with self._troubled("ListSnapshots", context):
            if request.snapshot_id:
                one = self._snapshots.find(request.snapshot_id)
                found = [one] if one is not None else []
            else:
                found = self._snapshots.all()
            wanted = request.source_volume_id
            found = [each for each in found if wanted in {"", each.source_volume}]
            page, token = await _page(found, request, context)
            entry = csi_pb2.ListSnapshotsResponse.Entry
            entries = [entry(snapshot=self._snapshot(each)) for each in page]
            return csi_pb2.ListSnapshotsResponse(entries=entries, next_token=token)

    async def GetSnapshot(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Tell of one snapshot."""
        async with self._troubled("GetSnapshot", context):
            if not request.snapshot_id:
                await _fail(context, grpc.StatusCode.INVALID_ARGUMENT, "snapshot_id is missing")
            found = self._snapshots.find(request.snapshot_id)
            if found is None:
                why = f"snapshot {request.snapshot_id} does not exist"
                await _fail(context, grpc.StatusCode.NOT_FOUND, why)
            return csi_pb2.GetSnapshotResponse(snapshot=self._snapshot(found))

    async def _make(
        self, place: shelf.Shelf, record: shelf.Record, tree: Path | None
    ) -> shelf.Record:
        fill = functools.partial(_fill, tree)
        return await self._shop.do(
            workshop.Job(
                f"{place.sort} {record.name}",
                functools.partial(place.make, record, fill),
                place.admit,
                reads=str(tree or ""),
            )
        )

    async def _remove(self, place: shelf.Shelf, handle: str) -> None:
        record = place.find(handle)
        if record is None:
            return
        await self._shop.do(
            workshop.Job(
                str(place.path(handle)), functools.partial(place.remove, record), place.dismiss
            )
        )

    def _ready(self, record: shelf.Record) -> bool:
        made = record.created + int(self._faults.current().ready_after * 1e9)
        return not record.name or time.time_ns() >= made

    def _snapshot(self, record: shelf.Record) -> csi_pb2.Snapshot:
        seconds, nanos = divmod(record.created, 1_000_000_000)
        return csi_pb2.Snapshot(
            snapshot_id=record.handle,
            source_volume_id=record.source_volume,
            size_bytes=record.size,
            creation_time=timestamp_pb2.Timestamp(seconds=seconds, nanos=nanos),
            ready_to_use=self._ready(record),
        )

    @contextlib.asynccontextmanager
    async def _troubled(self, method: str, context: Context) -> AsyncIterator[None]:
        """Let a fault strike, before the work or after it."""
        fault = self._faults.strike(method)
        if fault.latency:
            await anyio.sleep(fault.latency)
        if fault.hang:
            await anyio.sleep_forever()
        planned = grpc.StatusCode[fault.code] if fault.code else None
        if planned is not None and not fault.lose_answer:
            await _fail(context, planned, f"{method} fails: faults.json says so")
        try:
            yield
        except workshop.Busy as busy:
            why = f"an operation on {busy} is under way"
            await _fail(context, grpc.StatusCode.ABORTED, why)
        except OSError as error:
            full = error.errno in _FULL
            code = grpc.StatusCode.RESOURCE_EXHAUSTED if full else grpc.StatusCode.INTERNAL
            await _fail(context, code, f"{method}: {error.strerror or error}")
        if planned is not None:
            await _fail(context, planned, f"{method}'s answer is lost: faults.json says so")


def _fill(tree: Path | None, target: Path) -> None:
    if tree is None:
        target.mkdir(parents=True)
    else:
        copying.copy_tree(tree, target)


async def _page(
    found: list[shelf.Record], request: Any, context: Context
) -> tuple[list[shelf.Record], str]:
    """Return a page of a list and the token of the next; a token is the last handle given."""
    if request.max_entries < 0:
        await _fail(context, grpc.StatusCode.INVALID_ARGUMENT, "max_entries is negative")
    token = request.starting_token
    if token and not any(each.handle == token for each in found):
        await _fail(context, grpc.StatusCode.ABORTED, "starting_token is not valid any more")
    rest = [each for each in found if each.handle > token]
    page = rest[: request.max_entries] if request.max_entries else rest
    return page, page[-1].handle if len(page) < len(rest) else ""


def _volume(record: shelf.Record) -> csi_pb2.Volume:
    volume = csi_pb2.Volume(volume_id=record.handle, capacity_bytes=record.size)
    if record.source_snapshot:
        volume.content_source.snapshot.snapshot_id = record.source_snapshot
    elif record.source_volume:
        volume.content_source.volume.volume_id = record.source_volume
    return volume
