"""A CSI driver for tests that has the GroupController service, and says what it is told."""

from typing import Any

import scripted_driver

from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc


class ScriptedGroups(scripted_driver.Scripted, csi_pb2_grpc.GroupControllerServicer):
    """A driver whose answers about groups are what it is told; so are all others."""

    def __init__(self) -> None:
        super().__init__()
        self.group_able: list[int] = [1, 999]
        self.group = csi_pb2.VolumeGroupSnapshot(
            group_snapshot_id="group",
            snapshots=[
                csi_pb2.Snapshot(
                    snapshot_id=f"{volume}#1", source_volume_id=volume, group_snapshot_id="group"
                )
                for volume in ("one", "two")
            ],
        )

    async def GroupControllerGetCapabilities(  # noqa: N802 - CSI's
        self, request: Any, context: Any
    ) -> Any:
        capability: Any = csi_pb2.GroupControllerServiceCapability
        response = csi_pb2.GroupControllerGetCapabilitiesResponse(
            capabilities=[capability(rpc=capability.RPC(type=each)) for each in self.group_able]
        )
        return await self._answer(request, context, response)

    async def CreateVolumeGroupSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = csi_pb2.CreateVolumeGroupSnapshotResponse(group_snapshot=self.group)
        return await self._answer(request, context, response)

    async def DeleteVolumeGroupSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        return await self._answer(request, context, csi_pb2.DeleteVolumeGroupSnapshotResponse())

    async def GetVolumeGroupSnapshot(self, request: Any, context: Any) -> Any:  # noqa: N802
        response = csi_pb2.GetVolumeGroupSnapshotResponse(group_snapshot=self.group)
        return await self._answer(request, context, response)


def scripted() -> ScriptedGroups:
    """Return a driver that says what it is told to."""
    return ScriptedGroups()  # type: ignore[abstract] # as in `scripted_driver`
