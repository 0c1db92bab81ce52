"""The calls about groups of snapshots: the same driver, as its GroupController service.

Nothing generated leaves this module, and credentials are revealed into the request alone, as in
`driver`. The invariant: a success is one only if the group can be named. Members that cannot be
are left out, not the group for their sake: it is there, and must not be forgotten.
"""

from typing import cast

from snapshotd.csi import calls, connection
from snapshotd.csi import errors as codes
from snapshotd.csi._pb import csi_pb2, csi_pb2_grpc
from snapshotd.decide import intents, outcomes
from snapshotd.model import secrets

CREATE_DELETE_GET_GROUP = "CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT"


class GroupDriver(calls.Caller):
    """One driver over one connection, asked about groups."""

    def __init__(self, link: connection.Connection) -> None:
        """Use this connection; nothing is sent yet."""
        super().__init__(link)
        groups = csi_pb2_grpc.GroupControllerStub(link.channel)
        # As in `driver`: only the generated types do not know that it is asynchronous.
        self._groups = cast("csi_pb2_grpc.GroupControllerAsyncStub", groups)

    async def group_capabilities(self) -> frozenset[str]:
        """Return the names of what the service can do: none where there is no such service."""
        name = "GroupController/GroupControllerGetCapabilities"
        request = csi_pb2.GroupControllerGetCapabilitiesRequest()
        answer = await self._link.call(name, self._groups.GroupControllerGetCapabilities, request)
        if isinstance(answer, outcomes.Refusal):
            if answer.code is outcomes.Code.UNIMPLEMENTED:
                return frozenset()
            raise codes.error_of(answer, name)
        kinds = csi_pb2.GroupControllerServiceCapability.RPC.Type
        types = [each.rpc.type for each in answer.capabilities]
        return frozenset(kinds.Name(each) for each in types if each in kinds.values())

    async def create_group(
        self, call: intents.CreateGroupSnapshot, credentials: secrets.Credentials
    ) -> outcomes.GroupAnswer:
        """CSI CreateVolumeGroupSnapshot."""
        name = "CreateVolumeGroupSnapshot"
        request = csi_pb2.CreateVolumeGroupSnapshotRequest(
            name=call.name,
            source_volume_ids=call.source_volumes,
            secrets=credentials.reveal(),
            parameters=call.parameters,
        )
        answer = await self._ask(
            f"GroupController/{name}",
            self._groups.CreateVolumeGroupSnapshot,
            request,
            credentials,
        )
        return answer if isinstance(answer, outcomes.Refusal) else _info(name, answer)

    async def delete_group(
        self, call: intents.DeleteGroupSnapshot, credentials: secrets.Credentials
    ) -> outcomes.GroupAnswer:
        """CSI DeleteVolumeGroupSnapshot."""
        request = csi_pb2.DeleteVolumeGroupSnapshotRequest(
            group_snapshot_id=call.handle,
            snapshot_ids=call.members,
            secrets=credentials.reveal(),
        )
        answer = await self._ask(
            "GroupController/DeleteVolumeGroupSnapshot",
            self._groups.DeleteVolumeGroupSnapshot,
            request,
            credentials,
        )
        return answer if isinstance(answer, outcomes.Refusal) else outcomes.Deleted()

    async def check_group(
        self, call: intents.CheckGroupSnapshot, credentials: secrets.Credentials
    ) -> outcomes.GroupAnswer:
        """CSI GetVolumeGroupSnapshot, whose NOT_FOUND says that there is none."""
        name = "GetVolumeGroupSnapshot"
        request = csi_pb2.GetVolumeGroupSnapshotRequest(
            group_snapshot_id=call.handle,
            snapshot_ids=call.members,
            secrets=credentials.reveal(),
        )
        answer = await self._ask(
            f"GroupController/{name}",
            self._groups.GetVolumeGroupSnapshot,
            request,
            credentials,
        )
        if isinstance(answer, outcomes.Refusal):
            absent = answer.code is outcomes.Code.NOT_FOUND
            return outcomes.NotListed() if absent else answer
        return _info(name, answer)


def _info(
    call: str,
    answer: csi_pb2.CreateVolumeGroupSnapshotResponse | csi_pb2.GetVolumeGroupSnapshotResponse,
) -> outcomes.GroupInfo | outcomes.Refusal:
    group = answer.group_snapshot
    if not group.group_snapshot_id:
        told = f"{call} succeeded without a group_snapshot_id"
        return outcomes.Refusal(outcomes.Code.INTERNAL, told)
    created = group.creation_time if group.HasField("creation_time") else None
    return outcomes.GroupInfo(
        handle=group.group_snapshot_id,
        creation_time=calls.nanoseconds(created),
        ready=group.ready_to_use,
        members=tuple(calls.snapshot_info(each) for each in group.snapshots if each.snapshot_id),
    )
