"""CSI GroupController: snapshots of several volumes, cut, told and removed as one.

Idempotent by name, as single snapshots are. All volumes are claimed before the first is copied, so
that nothing of ours changes one of them in between; what others write meanwhile is not held up:
a directory cannot be frozen, and a program that must not be torn has to be stopped by its owner.
"""

import collections
import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any

import anyio.from_thread
import grpc

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc
from snapshotd.devcluster.hostpath import answers, faults, groups, shelf, workshop

Context = answers.Context


@dataclasses.dataclass(frozen=True, slots=True)
class Shelves:
    """Where the driver keeps what it has."""

    volumes: shelf.Shelf
    snapshots: shelf.Shelf
    groups: groups.Ledger


class GroupController(csi_pb2_grpc.GroupControllerServicer):
    """Groups of snapshots."""

    def __init__(
        self, shelves: Shelves, *, trouble: faults.Faults, shop: workshop.Workshop
    ) -> None:
        """Serve these; all work on directories is done in the workshop."""
        self._volumes = shelves.volumes
        self._snapshots = shelves.snapshots
        self._groups = shelves.groups
        self._tell = answers.Teller(trouble)
        self._shop = shop

    async def GroupControllerGetCapabilities(  # noqa: N802 - CSI's name
        self, request: Any, context: Context
    ) -> Any:
        """Tell what we can do."""
        del request, context
        capability = csi_pb2.GroupControllerServiceCapability
        able = capability.RPC(type=capability.RPC.CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT)
        return csi_pb2.GroupControllerGetCapabilitiesResponse(capabilities=[capability(rpc=able)])

    async def CreateVolumeGroupSnapshot(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Cut a snapshot of each volume, or tell what became of them.

        Only other volumes make the same name another group (CSI spec, "CreateVolumeGroupSnapshot
        Errors"): we read no parameters, so that none can be incompatible.
        """
        asked = list(request.source_volume_ids)
        if not request.name or not asked or "" in asked:
            missing = "source_volume_ids" if request.name else "name"
            await answers.invalid(context, f"{missing} is missing")
        if twice := _twice(asked):
            await answers.invalid(context, f"volume {twice} is named twice")
        found = self._look(self._groups.named(request.name))
        if found is not None:
            if sorted(found.volumes) != sorted(asked):
                why = f"group snapshot {request.name} exists, of other volumes"
                await answers.fail(context, grpc.StatusCode.ALREADY_EXISTS, why)
            return csi_pb2.CreateVolumeGroupSnapshotResponse(group_snapshot=self._told(found))
        sources = [await self._source(each, context) for each in asked]
        made = await self._make(request.name, sources)
        return csi_pb2.CreateVolumeGroupSnapshotResponse(group_snapshot=self._told(made))

    async def DeleteVolumeGroupSnapshot(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Remove a group and all its members; one that does not exist is removed already."""
        found = await self._asked_for(request, context)
        if found is not None:
            await _check_members(found, request, context)
            await self._remove(found)
        return csi_pb2.DeleteVolumeGroupSnapshotResponse()

    async def GetVolumeGroupSnapshot(self, request: Any, context: Context) -> Any:  # noqa: N802
        """Tell of one group."""
        found = await self._asked_for(request, context)
        if found is None:
            why = f"group snapshot {request.group_snapshot_id} does not exist"
            await answers.fail(context, grpc.StatusCode.NOT_FOUND, why)
        await _check_members(found, request, context)
        return csi_pb2.GetVolumeGroupSnapshotResponse(group_snapshot=self._told(found))

    async def _asked_for(self, request: Any, context: Context) -> groups.Group | None:
        if not request.group_snapshot_id:
            await answers.invalid(context, "group_snapshot_id is missing")
        return self._look(self._groups.find(request.group_snapshot_id))

    async def _source(self, handle: str, context: Context) -> shelf.Record:
        volume = self._volumes.find(handle)
        if volume is None:
            why = f"volume {handle} does not exist"
            await answers.fail(context, grpc.StatusCode.NOT_FOUND, why)
        return volume

    def _look(self, group: groups.Group | None) -> groups.Group | None:
        """Return a group, unless its last member was removed by hand: then it is gone as well."""
        if group is None or self._members(group):
            return group
        self._groups.remove(group, functools.partial(self._groups.dismiss, group))
        return None

    def _members(self, group: groups.Group) -> list[shelf.Record]:
        found = (self._snapshots.find(each) for each in group.members)
        return [each for each in found if each is not None]

    async def _make(self, name: str, volumes: Sequence[shelf.Record]) -> groups.Group:
        copies = [shelf.Copy(self._volumes, each) for each in volumes]
        wanted = [
            shelf.New(shelf.Record("", size=each.size, source_volume=each.handle), copy.fill)
            for each, copy in zip(volumes, copies, strict=True)
        ]
        job = workshop.Job(
            (f"groups {name}",),
            functools.partial(self._groups.make, name, wanted, self._snapshots),
            self._groups.admit,
            reads=tuple(str(copy.tree) for copy in copies),
        )
        return await self._shop.do(job)

    async def _remove(self, group: groups.Group) -> None:
        members = self._members(group)

        def work() -> None:
            # In the loop, where lists are made: no list holds a part of the members.
            self._groups.remove(group, functools.partial(anyio.from_thread.run_sync, forget))
            for each in members:
                self._snapshots.remove(each)

        def forget() -> None:
            self._groups.dismiss(group)
            for each in members:
                self._snapshots.dismiss(each)

        trees = tuple(str(self._snapshots.path(each)) for each in group.members)
        await self._shop.do(workshop.Job((f"groups {group.name}", *trees), work, lambda _: None))

    def _told(self, group: groups.Group) -> csi_pb2.VolumeGroupSnapshot:
        """Return a group as the wire has it; one that lost a member by hand is never ready."""
        members = self._members(group)
        whole = len(members) == len(group.members)
        return csi_pb2.VolumeGroupSnapshot(
            group_snapshot_id=group.handle,
            snapshots=[self._tell.snapshot(each) for each in members],
            creation_time=answers.timestamp(group.created),
            ready_to_use=whole and all(self._tell.ready(each) for each in members),
        )


def _twice(handles: Iterable[str]) -> str:
    """Return what is named more than once, '' if nothing is."""
    return next((each for each, count in collections.Counter(handles).items() if count > 1), "")


async def _check_members(group: groups.Group, request: Any, context: Context) -> None:
    """Refuse a list of snapshots that is not the group's (CSI spec, `snapshot_ids`).

    The list is held against what the group was made of, so that a member which somebody removed by
    hand keeps nobody from deleting the rest.
    """
    if sorted(request.snapshot_ids) != sorted(group.members):
        why = f"snapshot_ids are not the members of group snapshot {group.handle}"
        await answers.invalid(context, why)
