"""A CSI driver for tests that keeps groups, and is as strict about them as the spec allows.

It tells a group again to whoever asks by its name, and takes no list of members but the whole one.
"""

from typing import Any

import grpc
import scripted_driver

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc

GROUPS = "CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT"


class KeepingGroups(scripted_driver.Keeping, csi_pb2_grpc.GroupControllerServicer):
    """A driver that keeps groups by name and by handle; their members are kept as any snapshot.

    `untold` are the volumes of whose snapshots it says nothing for the time being; `slow` gives
    volumes whose snapshot is ready, and its size known, at the look after so many others.
    """

    def __init__(self, name: str, *able: int) -> None:
        super().__init__(name, *able)
        self.group_able = [csi_pb2.GroupControllerServiceCapability.RPC.Type.Value(GROUPS)]
        self.groups: dict[str, list[str]] = {}  # the members' handles, by the group's
        self.untold: set[str] = set()
        self.slow: dict[str, int] = {}
        self.backwards = False
        self.checks = True  # whether a list of members is one that it knows
        self._volumes: dict[str, list[str]] = {}  # by the group's name

    def cut_group(self, name: str, *volumes: str) -> str:
        """Cut a group as another caller's CreateVolumeGroupSnapshot does; return its handle."""
        handle = self._named.get(name, "")
        if handle not in self.groups:
            self.made.append(name)
            handle = self._named[name] = f"{name}#{len(self.made)}"
            self._volumes[name] = list(volumes)
            self.groups[handle] = [f"{handle}/{each}" for each in volumes]
            for each in volumes:
                self.keep(f"{handle}/{each}", each)
        return handle

    async def GroupControllerGetCapabilities(  # noqa: N802 - CSI's
        self, request: Any, context: Any
    ) -> Any:
        capability: Any = csi_pb2.GroupControllerServiceCapability
        response = csi_pb2.GroupControllerGetCapabilitiesResponse(
            capabilities=[capability(rpc=capability.RPC(type=each)) for each in self.group_able]
        )
        return await self._answer(request, context, response)

    async def CreateVolumeGroupSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        def work() -> Any:
            handle = self.cut_group(request.name, *request.source_volume_ids)
            return csi_pb2.CreateVolumeGroupSnapshotResponse(group_snapshot=self._tell(handle))

        volumes = self._volumes.get(request.name, request.source_volume_ids)
        if sorted(volumes) != sorted(request.source_volume_ids):
            self._object("CreateVolumeGroupSnapshot", grpc.StatusCode.ALREADY_EXISTS)
        return await self._do("CreateVolumeGroupSnapshot", request, context, work)

    async def DeleteVolumeGroupSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        def work() -> Any:
            for each in self.groups.pop(request.group_snapshot_id, []):
                self.kept.pop(each, None)
            return csi_pb2.DeleteVolumeGroupSnapshotResponse()

        if request.group_snapshot_id in self.groups:
            self._check("DeleteVolumeGroupSnapshot", request)
        return await self._do("DeleteVolumeGroupSnapshot", request, context, work)

    async def GetVolumeGroupSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        def work() -> Any:
            told = self._tell(request.group_snapshot_id)
            return csi_pb2.GetVolumeGroupSnapshotResponse(group_snapshot=told)

        if request.group_snapshot_id not in self.groups:
            self._object("GetVolumeGroupSnapshot", grpc.StatusCode.NOT_FOUND)
        else:
            self._check("GetVolumeGroupSnapshot", request)
        return await self._do("GetVolumeGroupSnapshot", request, context, work)

    def _check(self, method: str, request: Any) -> None:
        members = self.groups[request.group_snapshot_id]
        if self.checks and sorted(members) != sorted(request.snapshot_ids):
            self._object(method, grpc.StatusCode.INVALID_ARGUMENT)

    def _object(self, method: str, code: grpc.StatusCode) -> None:
        self.faults[method].appendleft(scripted_driver.Fault(code))

    def _tell(self, handle: str) -> csi_pb2.VolumeGroupSnapshot:
        self._looks[handle] += 1
        told = csi_pb2.VolumeGroupSnapshot(group_snapshot_id=handle)
        told.ready_to_use = self._looks[handle] > self.looks_until_ready
        if self.tells_time:
            told.creation_time.seconds = 10**9
        for each in sorted(self.groups[handle], reverse=self.backwards):
            kept = self.kept[each]
            if kept.source_volume_id not in self.untold:
                told.snapshots.append(self._member(kept, handle))
        return told

    def _member(self, kept: csi_pb2.Snapshot, group: str) -> csi_pb2.Snapshot:
        told = csi_pb2.Snapshot()
        told.CopyFrom(kept)
        told.group_snapshot_id = group
        waits = self.slow.get(kept.source_volume_id, 0)
        told.ready_to_use = self._looks[group] > waits
        if not told.ready_to_use:
            told.size_bytes = 0
        if not self.tells_time:
            told.ClearField("creation_time")
        return told


def keeping(name: str, *able: int) -> KeepingGroups:
    """Return a driver that keeps groups; `able` is told beside CREATE_DELETE_SNAPSHOT."""
    return KeepingGroups(name, *able)  # type: ignore[abstract] # as in `scripted_driver`
