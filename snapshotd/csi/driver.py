"""A CSI driver as we use it: the port of the actors, and the calls a provisioner needs.

Nothing generated leaves this module: answers are Structs of ours. Credentials are revealed into
the request alone, and a driver that repeats one of them in its error is not repeated.
"""

from collections.abc import Mapping
from typing import cast

import msgspec

from snapshotd import errors
from snapshotd.csi import calls, connection, groups
from snapshotd.csi import errors as codes
from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc
from snapshotd.decide import intents, outcomes
from snapshotd.model import secrets
from snapshotd.runtime import clock as clocks

CREATE_DELETE_SNAPSHOT = "CREATE_DELETE_SNAPSHOT"
LIST_SNAPSHOTS = "LIST_SNAPSHOTS"
GET_SNAPSHOT = "GET_SNAPSHOT"
_PROBE_SECONDS = 1.0  # between two probes, as the reference's


class VolumeInfo(msgspec.Struct, frozen=True):
    """A volume as the driver describes it; `capacity` in bytes."""

    handle: str
    capacity: int
    context: dict[str, str]


class Driver(groups.GroupDriver):
    """One driver over one connection, with its calls about groups."""

    def __init__(self, link: connection.Connection) -> None:
        """Use this connection; nothing is sent yet."""
        super().__init__(link)
        self._gets = False
        identity = csi_pb2_grpc.IdentityStub(link.channel)
        controller = csi_pb2_grpc.ControllerStub(link.channel)
        # The stubs of an aio channel are asynchronous; only the generated types do not know it.
        self._identity = cast("csi_pb2_grpc.IdentityAsyncStub", identity)
        self._controller = cast("csi_pb2_grpc.ControllerAsyncStub", controller)

    async def identify(self) -> str:
        """Return the driver's name (GetPluginInfo); raises one of `snapshotd.errors`."""
        info: csi_pb2.GetPluginInfoResponse = await self._must(
            "Identity/GetPluginInfo", self._identity.GetPluginInfo, csi_pb2.GetPluginInfoRequest()
        )
        if not info.name:
            raise errors.Refused("the driver's GetPluginInfo gives no name: it cannot be used")
        return info.name

    async def probe_until_ready(self, time: clocks.Clock) -> None:
        """Probe each second until the driver is ready; raises what Probe itself fails with."""
        while True:
            answer = await self._link.call(
                "Identity/Probe", self._identity.Probe, csi_pb2.ProbeRequest()
            )
            if isinstance(answer, outcomes.Refusal):
                if answer.code is not outcomes.Code.DEADLINE_EXCEEDED:
                    raise codes.error_of(answer, "Probe")
            elif not answer.HasField("ready") or answer.ready.value:
                return
            await time.sleep(_PROBE_SECONDS)

    async def capabilities(self) -> frozenset[str]:
        """Return the names of what the controller service can do; GetSnapshot is used if it can."""
        answer: csi_pb2.ControllerGetCapabilitiesResponse = await self._must(
            "Controller/ControllerGetCapabilities",
            self._controller.ControllerGetCapabilities,
            csi_pb2.ControllerGetCapabilitiesRequest(),
        )
        name = csi_pb2.ControllerServiceCapability.RPC.Type.Name
        known = csi_pb2.ControllerServiceCapability.RPC.Type.values()
        types = [each.rpc.type for each in answer.capabilities]
        able = frozenset(name(each) for each in types if each in known)
        self._gets = GET_SNAPSHOT in able
        return able

    async def create_snapshot(
        self, call: intents.CreateSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        """CSI CreateSnapshot."""
        request = csi_pb2.CreateSnapshotRequest(
            source_volume_id=call.source_volume,
            name=call.name,
            secrets=credentials.reveal(),
            parameters=call.parameters,
        )
        answer = await self._ask(
            "Controller/CreateSnapshot", self._controller.CreateSnapshot, request, credentials
        )
        if isinstance(answer, outcomes.Refusal):
            return answer
        if not answer.snapshot.snapshot_id:
            return outcomes.Refusal(
                outcomes.Code.INTERNAL, "CreateSnapshot succeeded without a snapshot_id"
            )
        return calls.snapshot_info(answer.snapshot)

    async def delete_snapshot(
        self, call: intents.DeleteSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        """CSI DeleteSnapshot."""
        request = csi_pb2.DeleteSnapshotRequest(
            snapshot_id=call.handle, secrets=credentials.reveal()
        )
        answer = await self._ask(
            "Controller/DeleteSnapshot", self._controller.DeleteSnapshot, request, credentials
        )
        return answer if isinstance(answer, outcomes.Refusal) else outcomes.Deleted()

    async def check_snapshot(
        self, call: intents.CheckSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        """CSI GetSnapshot where the driver has it, else ListSnapshots of one snapshot_id."""
        if self._gets:
            return await self._get_snapshot(call, credentials)
        request = csi_pb2.ListSnapshotsRequest(
            snapshot_id=call.handle, secrets=credentials.reveal()
        )
        answer = await self._ask(
            "Controller/ListSnapshots", self._controller.ListSnapshots, request, credentials
        )
        if isinstance(answer, outcomes.Refusal):
            return answer
        if not answer.entries:
            return outcomes.NotListed()
        return calls.snapshot_info(answer.entries[0].snapshot)

    async def find_snapshots(
        self, call: intents.FindSnapshots, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        """CSI ListSnapshots of one source_volume_id, page after page."""
        found: list[outcomes.SnapshotInfo] = []
        token = ""
        while True:
            request = csi_pb2.ListSnapshotsRequest(
                source_volume_id=call.source_volume,
                starting_token=token,
                secrets=credentials.reveal(),
            )
            answer = await self._ask(
                "Controller/ListSnapshots", self._controller.ListSnapshots, request, credentials
            )
            if isinstance(answer, outcomes.Refusal):
                return answer
            found += [calls.snapshot_info(entry.snapshot) for entry in answer.entries]
            token = answer.next_token
            if not token:
                return outcomes.Found(tuple(found))

    async def _get_snapshot(
        self, call: intents.CheckSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        request = csi_pb2.GetSnapshotRequest(snapshot_id=call.handle, secrets=credentials.reveal())
        answer = await self._ask(
            "Controller/GetSnapshot", self._controller.GetSnapshot, request, credentials
        )
        if isinstance(answer, outcomes.Refusal):
            # CSI spec, GetSnapshot: NOT_FOUND says that there is none, as an empty list does.
            absent = answer.code is outcomes.Code.NOT_FOUND
            return outcomes.NotListed() if absent else answer
        return calls.snapshot_info(answer.snapshot)

    async def create_volume(
        self,
        name: str,
        capacity: int,
        *,
        parameters: Mapping[str, str],
        snapshot: str = "",
        source_volume: str = "",
    ) -> VolumeInfo:
        """CSI CreateVolume of `capacity` bytes, empty or filled from a snapshot or a volume.

        Both are handles, and the specification allows one of them. Raises one of
        `snapshotd.errors`.
        """
        mode = csi_pb2.VolumeCapability.AccessMode.SINGLE_NODE_WRITER
        request = csi_pb2.CreateVolumeRequest(
            name=name,
            capacity_range=csi_pb2.CapacityRange(required_bytes=capacity),
            volume_capabilities=[
                csi_pb2.VolumeCapability(
                    mount=csi_pb2.VolumeCapability.MountVolume(),
                    access_mode=csi_pb2.VolumeCapability.AccessMode(mode=mode),
                )
            ],
            parameters=dict(parameters),
        )
        if snapshot:
            request.volume_content_source.snapshot.snapshot_id = snapshot
        elif source_volume:
            request.volume_content_source.volume.volume_id = source_volume
        answer: csi_pb2.CreateVolumeResponse = await self._must(
            "Controller/CreateVolume", self._controller.CreateVolume, request
        )
        volume = answer.volume
        return VolumeInfo(volume.volume_id, volume.capacity_bytes, dict(volume.volume_context))

    async def delete_volume(self, handle: str) -> None:
        """CSI DeleteVolume; raises one of `snapshotd.errors`."""
        await self._must(
            "Controller/DeleteVolume",
            self._controller.DeleteVolume,
            csi_pb2.DeleteVolumeRequest(volume_id=handle),
        )
