"""CSI Controller: volumes and snapshots that are directories.

Each answer is what the specification's section on its call demands: idempotent by name, and
ALREADY_EXISTS where the name is taken by something else. While a thing is being made or removed,
every other call about it is answered ABORTED at once, as the specification allows: waiting would
hold the caller's call open until its deadline, and hide that the work goes on after it.
"""

import functools
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import grpc
import msgspec

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc
from snapshotd.devcluster.hostpath import answers, faults, shelf, workshop

Context = answers.Context

_CAPABILITIES = (
    "CREATE_DELETE_VOLUME",
    "LIST_VOLUMES",
    "GET_CAPACITY",
    "CREATE_DELETE_SNAPSHOT",
    "LIST_SNAPSHOTS",
    "CLONE_VOLUME",
    "GET_SNAPSHOT",
)
_MODES = range(1, 6)  # all access modes but those of the capability SINGLE_NODE_MULTI_WRITER
_DEFAULT_SIZE = 1 << 30  # bytes
_TOKEN = re.compile(r"(-?[0-9]{1,28})/([0-9a-f]{64})")  # of `shelf.order`


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
        self._tell = answers.Teller(trouble)
        self._shop = shop

    async def ControllerGetCapabilities(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Tell what we can do."""
        del request, context
        value = csi_pb2.ControllerServiceCapability.RPC.Type.Value
        rpcs = [csi_pb2.ControllerServiceCapability.RPC(type=value(n)) for n in _CAPABILITIES]
        return csi_pb2.ControllerGetCapabilitiesResponse(
            capabilities=[csi_pb2.ControllerServiceCapability(rpc=rpc) for rpc in rpcs]
        )

    async def CreateVolume(self, request: Any, context: Context) -> Any:  # noqa: N802 - CSI's name
        """Make a volume, empty or from a snapshot or another volume."""
        await _check_new_volume(request, context)
        source = request.volume_content_source
        record = shelf.Record(
            "",
            request.name,
            source_snapshot=source.snapshot.snapshot_id,
            source_volume=source.volume.volume_id,
            parameters=dict(request.parameters),
        )
        found = self._volumes.named(request.name)
        if found is not None:
            if not _is_like(found, record, request.capacity_range):
                why = f"volume {request.name} exists with another size, source or parameters"
                await answers.fail(context, grpc.StatusCode.ALREADY_EXISTS, why)
            return csi_pb2.CreateVolumeResponse(volume=_volume(found))
        origin = await self._origin(record, context)
        size = await _size(request.capacity_range, origin, context)
        record = msgspec.structs.replace(record, size=size)
        place = self._snapshots if record.source_snapshot else self._volumes
        made = await self._make(
            self._volumes, record, shelf.Copy(place, origin) if origin else None
        )
        return csi_pb2.CreateVolumeResponse(volume=_volume(made))

    async def _origin(self, record: shelf.Record, context: Context) -> shelf.Record | None:
        """Return what a new volume is filled from, if it is filled."""
        if record.source_snapshot:
            what, found = record.source_snapshot, self._snapshots.find(record.source_snapshot)
        elif record.source_volume:
            what, found = record.source_volume, self._volumes.find(record.source_volume)
        else:
            return None
        if found is None:
            await answers.fail(context, grpc.StatusCode.NOT_FOUND, f"source {what} does not exist")
        if record.source_snapshot and not self._tell.ready(found):
            why = f"snapshot {what} is not ready yet"
            await answers.fail(context, grpc.StatusCode.UNAVAILABLE, why)
        return found

    async def DeleteVolume(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Remove a volume; one that does not exist is removed already."""
        if not request.volume_id:
            await answers.invalid(context, "volume_id is missing")
        await self._remove(self._volumes, request.volume_id)
        return csi_pb2.DeleteVolumeResponse()

    async def ListVolumes(self, request: Any, context: Context) -> Any:  # noqa: N802
        """List volumes, page by page."""
        page, token = await _page(self._volumes.all(), request, context)
        entries = [csi_pb2.ListVolumesResponse.Entry(volume=_volume(each)) for each in page]
        return csi_pb2.ListVolumesResponse(entries=entries, next_token=token)

    async def GetCapacity(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Tell what the file system has left for volumes such as these."""
        await _check_capabilities(request, context)
        if _unsupported(request.volume_capabilities):
            return csi_pb2.GetCapacityResponse(available_capacity=0)
        left = shutil.disk_usage(self._volumes.path("")).free
        return csi_pb2.GetCapacityResponse(available_capacity=left)

    async def ValidateVolumeCapabilities(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Confirm what a directory can be used as, and nothing else."""
        if not request.volume_id or not request.volume_capabilities:
            await answers.invalid(context, "volume_id and volume_capabilities are needed")
        await _check_capabilities(request, context)
        if self._volumes.find(request.volume_id) is None:
            why = f"volume {request.volume_id} does not exist"
            await answers.fail(context, grpc.StatusCode.NOT_FOUND, why)
        answer = csi_pb2.ValidateVolumeCapabilitiesResponse()
        answer.message = _unsupported(request.volume_capabilities)
        if not answer.message:
            answer.confirmed.volume_capabilities.extend(request.volume_capabilities)
        return answer

    async def CreateSnapshot(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Cut a snapshot, or tell what became of it.

        Only another source makes the same name another snapshot (CSI spec, "CreateSnapshot
        Errors"): we read no parameters, so that none can be incompatible.
        """
        if not request.name or not request.source_volume_id:
            missing = "source_volume_id" if request.name else "name"
            await answers.invalid(context, f"{missing} is missing")
        found = self._snapshots.named(request.name)
        if found is not None:
            if found.source_volume != request.source_volume_id:
                why = f"snapshot {request.name} exists, of volume {found.source_volume}"
                await answers.fail(context, grpc.StatusCode.ALREADY_EXISTS, why)
            return csi_pb2.CreateSnapshotResponse(snapshot=self._tell.snapshot(found))
        volume = self._volumes.find(request.source_volume_id)
        if volume is None:
            why = f"volume {request.source_volume_id} does not exist"
            await answers.fail(context, grpc.StatusCode.NOT_FOUND, why)
        record = shelf.Record("", request.name, size=volume.size, source_volume=volume.handle)
        made = await self._make(self._snapshots, record, shelf.Copy(self._volumes, volume))
        return csi_pb2.CreateSnapshotResponse(snapshot=self._tell.snapshot(made))

    async def DeleteSnapshot(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Remove a snapshot; one that does not exist is removed already.

        A member of a group is not one by itself (CSI spec, "DeleteSnapshot Errors").
        """
        if not request.snapshot_id:
            await answers.invalid(context, "snapshot_id is missing")
        found = self._snapshots.find(request.snapshot_id)
        if found is not None and found.group:
            why = f"snapshot {found.handle} is of group {found.group}: it goes with its group"
            await answers.invalid(context, why)
        await self._remove(self._snapshots, request.snapshot_id)
        return csi_pb2.DeleteSnapshotResponse()

    async def ListSnapshots(self, request: Any, context: Context) -> Any:  # noqa: N802
        """List snapshots: one, those of a volume, or all, page by page."""
        if request.snapshot_id:
            one = self._snapshots.find(request.snapshot_id)
            found = [] if one is None else [one]
        else:
            found = self._snapshots.all()
        wanted = request.source_volume_id
        found = [each for each in found if wanted in {"", each.source_volume}]
        page, token = await _page(found, request, context)
        entry = csi_pb2.ListSnapshotsResponse.Entry
        entries = [entry(snapshot=self._tell.snapshot(each)) for each in page]
        return csi_pb2.ListSnapshotsResponse(entries=entries, next_token=token)

    async def GetSnapshot(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Tell of one snapshot."""
        if not request.snapshot_id:
            await answers.invalid(context, "snapshot_id is missing")
        found = self._snapshots.find(request.snapshot_id)
        if found is None:
            why = f"snapshot {request.snapshot_id} does not exist"
            await answers.fail(context, grpc.StatusCode.NOT_FOUND, why)
        return csi_pb2.GetSnapshotResponse(snapshot=self._tell.snapshot(found))

    async def _make(
        self, place: shelf.Shelf, record: shelf.Record, copy: shelf.Copy | None
    ) -> shelf.Record:
        fill = Path.mkdir if copy is None else copy.fill
        job = workshop.Job(
            (f"{place.sort} {record.name}",),
            functools.partial(place.make, record, fill),
            place.admit,
            reads=() if copy is None else (str(copy.tree),),
        )
        return await self._shop.do(job)

    async def _remove(self, place: shelf.Shelf, handle: str) -> None:
        record = place.find(handle)
        if record is not None:
            tree = str(place.path(handle))
            work = functools.partial(place.remove, record)
            await self._shop.do(workshop.Job((tree,), work, place.dismiss))


async def _check_new_volume(request: Any, context: Context) -> None:
    if not request.name or not request.volume_capabilities:
        missing = "volume_capabilities" if request.name else "name"
        await answers.invalid(context, f"{missing} is missing")
    await _check_capabilities(request, context)
    if why := _unsupported(request.volume_capabilities):
        await answers.invalid(context, why)
    unsupported = {"accessibility_requirements", "mutable_parameters"}  # we tell no such capability
    for field, _ in request.ListFields():
        if field.name in unsupported:
            await answers.invalid(context, f"{field.name} is not supported")
    source = request.volume_content_source
    if request.HasField("volume_content_source") and not (
        source.snapshot.snapshot_id or source.volume.volume_id
    ):
        await answers.invalid(context, "volume_content_source names no source")
    wanted = request.capacity_range
    if wanted.required_bytes < 0 or wanted.limit_bytes < 0:
        await answers.invalid(context, "capacity_range is negative")


async def _check_capabilities(request: Any, context: Context) -> None:
    """Refuse volume capabilities that lack what each must have (CSI spec, `VolumeCapability`)."""
    for each in request.volume_capabilities:
        if not each.WhichOneof("access_type") or not each.access_mode.mode:
            await answers.invalid(
                context, "a volume capability needs an access_type and an access_mode"
            )


def _unsupported(capabilities: Sequence[Any]) -> str:
    """Return why a directory cannot be used so, '' if it can."""
    if not all(each.HasField("mount") for each in capabilities):
        return "only mounted volumes are supported: a volume is a directory"
    if any(each.access_mode.mode not in _MODES for each in capabilities):
        return "an access mode that needs a capability of its own is not supported"
    return ""


async def _size(wanted: Any, origin: shelf.Record | None, context: Context) -> int:
    """Return the bytes of a new volume; what is restored must fit (CSI spec, `size_bytes`)."""
    least = origin.size if origin else 1
    size = int(wanted.required_bytes) or (origin.size if origin else _DEFAULT_SIZE)
    if wanted.limit_bytes:
        size = min(size, wanted.limit_bytes)
    if size < max(least, wanted.required_bytes):
        why = f"{size} bytes are too few: at least {max(least, wanted.required_bytes)} are needed"
        await answers.fail(context, grpc.StatusCode.OUT_OF_RANGE, why)
    return size


def _is_like(found: shelf.Record, asked: shelf.Record, wanted: Any) -> bool:
    """Say whether a volume is the one asked for (CSI spec, "CreateVolume Errors")."""
    same = msgspec.structs.replace(
        asked, handle=found.handle, created=found.created, size=found.size
    )
    fits = wanted.required_bytes <= found.size <= (wanted.limit_bytes or found.size)
    return fits and same == found


async def _page(
    found: Sequence[shelf.Record], request: Any, context: Context
) -> tuple[Sequence[shelf.Record], str]:
    """Return a page of a list and the token of the next.

    A token says after what the next page begins, so that it stays good whatever is made or removed
    meanwhile, and no page repeats what another held.
    """
    if request.max_entries < 0:
        await answers.invalid(context, "max_entries is negative")
    rest = found
    if request.starting_token:
        parts = _TOKEN.fullmatch(request.starting_token)
        if parts is None:
            await answers.fail(context, grpc.StatusCode.ABORTED, "starting_token is none of ours")
        after = (int(parts[1]), parts[2])
        rest = [each for each in found if shelf.order(each) > after]
    page = rest[: request.max_entries or None]
    if len(page) == len(rest):
        return page, ""
    created, digest = shelf.order(page[-1])
    return page, f"{created}/{digest}"


def _volume(record: shelf.Record) -> csi_pb2.Volume:
    volume = csi_pb2.Volume(volume_id=record.handle, capacity_bytes=record.size)
    if record.source_snapshot:
        volume.content_source.snapshot.snapshot_id = record.source_snapshot
    elif record.source_volume:
        volume.content_source.volume.volume_id = record.source_volume
    return volume
