"""The numbers of the group messages are the specification's: a wrong one reads another field."""

from typing import Any

import pytest

from snapshotd.csi._pb import csi_pb2

MESSAGES: dict[str, dict[str, int]] = {
    "GroupControllerGetCapabilitiesRequest": {},
    "GroupControllerGetCapabilitiesResponse": {"capabilities": 1},
    "GroupControllerServiceCapability": {"rpc": 1},
    "CreateVolumeGroupSnapshotRequest": {
        "name": 1,
        "source_volume_ids": 2,
        "secrets": 3,
        "parameters": 4,
    },
    "CreateVolumeGroupSnapshotResponse": {"group_snapshot": 1},
    "VolumeGroupSnapshot": {
        "group_snapshot_id": 1,
        "snapshots": 2,
        "creation_time": 3,
        "ready_to_use": 4,
    },
    "DeleteVolumeGroupSnapshotRequest": {"group_snapshot_id": 1, "snapshot_ids": 2, "secrets": 3},
    "DeleteVolumeGroupSnapshotResponse": {},
    "GetVolumeGroupSnapshotRequest": {"group_snapshot_id": 1, "snapshot_ids": 2, "secrets": 3},
    "GetVolumeGroupSnapshotResponse": {"group_snapshot": 1},
    "Snapshot": {
        "size_bytes": 1,
        "snapshot_id": 2,
        "source_volume_id": 3,
        "creation_time": 4,
        "ready_to_use": 5,
        "group_snapshot_id": 6,
    },
}
METHODS = [
    "GroupControllerGetCapabilities",
    "CreateVolumeGroupSnapshot",
    "DeleteVolumeGroupSnapshot",
    "GetVolumeGroupSnapshot",
]


@pytest.mark.parametrize(("name", "fields"), MESSAGES.items(), ids=MESSAGES)
def test_the_fields_of_a_group_message_have_their_numbers(
    name: str, fields: dict[str, int]
) -> None:
    described = csi_pb2.DESCRIPTOR.message_types_by_name[name]
    assert {field.name: field.number for field in described.fields} == fields


def test_the_group_service_has_its_methods_and_no_others() -> None:
    service = csi_pb2.DESCRIPTOR.services_by_name["GroupController"]
    assert service.full_name == "csi.v1.GroupController"
    assert [each.name for each in service.methods] == METHODS


def test_the_capabilities_of_groups_have_their_numbers() -> None:
    plugin: Any = csi_pb2.PluginCapability.Service
    group: Any = csi_pb2.GroupControllerServiceCapability.RPC
    assert plugin.Type.Value("GROUP_CONTROLLER_SERVICE") == 3
    assert dict(group.Type.items()) == {"UNKNOWN": 0, "CREATE_DELETE_GET_VOLUME_GROUP_SNAPSHOT": 1}
