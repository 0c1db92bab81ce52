"""Who the driver is, what it can do, and that what it cannot do is said to be so."""

import re

import pytest
from csi_plugin import Plugin, block, mount

# Which capability a call needs: '' for those that every controller has.
CONTROLLER = {
    "ControllerGetCapabilities": "",
    "ValidateVolumeCapabilities": "",
    "CreateVolume": "CREATE_DELETE_VOLUME",
    "DeleteVolume": "CREATE_DELETE_VOLUME",
    "ListVolumes": "LIST_VOLUMES",
    "GetCapacity": "GET_CAPACITY",
    "CreateSnapshot": "CREATE_DELETE_SNAPSHOT",
    "DeleteSnapshot": "CREATE_DELETE_SNAPSHOT",
    "ListSnapshots": "LIST_SNAPSHOTS",
    "GetSnapshot": "GET_SNAPSHOT",
    "ControllerPublishVolume": "PUBLISH_UNPUBLISH_VOLUME",
    "ControllerUnpublishVolume": "PUBLISH_UNPUBLISH_VOLUME",
    "ControllerExpandVolume": "EXPAND_VOLUME",
    "ControllerGetVolume": "GET_VOLUME",
    "ControllerModifyVolume": "MODIFY_VOLUME",
}
OTHERS = {
    "GroupController/GroupControllerGetCapabilities": "GROUP_CONTROLLER_SERVICE",
    "GroupController/CreateVolumeGroupSnapshot": "GROUP_CONTROLLER_SERVICE",
    "GroupController/DeleteVolumeGroupSnapshot": "GROUP_CONTROLLER_SERVICE",
    "GroupController/GetVolumeGroupSnapshot": "GROUP_CONTROLLER_SERVICE",
    "SnapshotMetadata/GetMetadataAllocated": "SNAPSHOT_METADATA_SERVICE",
    "SnapshotMetadata/GetMetadataDelta": "SNAPSHOT_METADATA_SERVICE",
}
ANSWERS = {"OK", "INVALID_ARGUMENT"}  # to a request without any field


async def test_the_name_is_a_domain_name_of_63_characters_at_most(plugin: Plugin) -> None:
    # GetPluginInfo: `name`
    name = (await plugin.call("GetPluginInfo")).name
    label = "[A-Za-z]([-A-Za-z0-9]*[A-Za-z0-9])?"
    assert re.fullmatch(rf"{label}(\.{label})*", name)
    assert len(name) <= 63


async def test_a_version_is_told_and_the_manifest_fits(plugin: Plugin) -> None:
    # GetPluginInfo: `vendor_version` is required; Size Limits
    info = await plugin.call("GetPluginInfo")
    assert 1 <= len(info.vendor_version.encode()) <= 128
    assert sum(len(f"{key}{value}".encode()) for key, value in info.manifest.items()) <= 4096


async def test_who_the_driver_is_does_not_change(plugin: Plugin) -> None:
    # GetPluginCapabilities: the same for all instances of a version, whatever they serve
    before = [await plugin.call("GetPluginInfo"), await plugin.services()]
    await plugin.cut((await plugin.volume()).volume_id)
    assert [await plugin.call("GetPluginInfo"), await plugin.services()] == before


async def test_there_is_a_controller_service(plugin: Plugin) -> None:
    # GetPluginCapabilities: each service once, CONTROLLER_SERVICE among them
    services = await plugin.services()
    assert "CONTROLLER_SERVICE" in services
    assert "UNKNOWN" not in services
    assert len(services) == len(set(services))


async def test_a_driver_that_serves_is_ready(plugin: Plugin) -> None:
    # Probe: no `ready` is as good as a true one; it may be called at any time, and again
    for _ in range(3):
        answer = await plugin.call("Probe")
        assert not answer.HasField("ready") or answer.ready.value


async def test_capabilities_are_told_once_and_are_known(plugin: Plugin) -> None:
    # ControllerGetCapabilities
    told = await plugin.capabilities()
    assert "UNKNOWN" not in told
    assert len(told) == len(set(told))
    assert await plugin.capabilities() == told


@pytest.mark.parametrize(("method", "capability"), CONTROLLER.items(), ids=CONTROLLER)
async def test_a_controllers_call_is_implemented_if_its_capability_is_told(
    plugin: Plugin, method: str, capability: str
) -> None:
    # Error Scheme: UNIMPLEMENTED; each call's section: MUST implement if it has the capability
    code = await plugin.raw(f"/csi.v1.Controller/{method}")
    if capability in {"", *await plugin.capabilities()}:
        assert code in ANSWERS
    else:
        assert code == "UNIMPLEMENTED"


@pytest.mark.parametrize(("method", "capability"), OTHERS.items(), ids=OTHERS)
async def test_another_services_call_is_implemented_if_the_service_is_told(
    plugin: Plugin, method: str, capability: str
) -> None:
    # GetPluginCapabilities: GROUP_CONTROLLER_SERVICE, SNAPSHOT_METADATA_SERVICE
    code = await plugin.raw(f"/csi.v1.{method}")
    assert (code == "UNIMPLEMENTED") is (capability not in await plugin.services())


@pytest.mark.parametrize("path", ["Controller/CreateNothing", "Node/NodeGetInfo", "Nobody/Call"])
async def test_a_call_that_nobody_implements_is_unimplemented(plugin: Plugin, path: str) -> None:
    # Error Scheme: UNIMPLEMENTED
    assert await plugin.raw(f"/csi.v1.{path}") == "UNIMPLEMENTED"


async def test_who_cuts_snapshots_makes_volumes_from_them(plugin: Plugin) -> None:
    # ControllerServiceCapability: CREATE_DELETE_SNAPSHOT needs volumes made from snapshots
    told = await plugin.capabilities()
    assert {"CREATE_DELETE_SNAPSHOT", "CREATE_DELETE_VOLUME"} <= set(told)


async def test_the_capacity_is_that_for_volumes_which_can_be_made(plugin: Plugin) -> None:
    # GetCapacity: `volume_capabilities` are taken into account; never negative
    for possible in ([], [mount()]):
        answer = await plugin.call("GetCapacity", volume_capabilities=possible)
        assert answer.available_capacity > 0
    answer = await plugin.call("GetCapacity", volume_capabilities=[mount(), block()])
    assert answer.available_capacity == 0
