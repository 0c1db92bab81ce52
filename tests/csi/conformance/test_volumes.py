"""CreateVolume, DeleteVolume, ListVolumes and ValidateVolumeCapabilities, clause by clause."""

from typing import Any

import anyio
import grpc
import pytest
from csi_plugin import Plugin, block, content, mount

from snapshotd.csi._pb import csi_pb2

MODES = csi_pb2.VolumeCapability.AccessMode.Mode
ORDINARY = range(1, 6)  # the access modes that need no capability of their own


def sized(required: int = 0, limit: int = 0) -> Any:
    return csi_pb2.CapacityRange(required_bytes=required, limit_bytes=limit)


async def refused(plugin: Plugin, name: str = "vol", **fields: Any) -> str:
    fields = {"volume_capabilities": [mount()]} | fields
    return await plugin.refusal("CreateVolume", name=name, **fields)


async def volumes(plugin: Plugin, **fields: Any) -> list[Any]:
    return [each.volume for each in (await plugin.call("ListVolumes", **fields)).entries]


@pytest.mark.parametrize("wanted", [sized(1), sized(9, 9), sized(3, 7), sized(0, 5)], ids=str)
async def test_a_new_volume_has_an_id_and_the_capacity_asked_for(
    plugin: Plugin, wanted: Any
) -> None:
    # Volume: `volume_id` is required; CapacityRange
    made = await plugin.volume(capacity_range=wanted)
    assert 1 <= len(made.volume_id.encode()) <= 128
    assert wanted.required_bytes <= made.capacity_bytes
    assert made.capacity_bytes <= (wanted.limit_bytes or made.capacity_bytes)
    assert not made.HasField("content_source")
    assert not made.accessible_topology  # needs VOLUME_ACCESSIBILITY_CONSTRAINTS


async def test_volumes_of_two_names_have_two_ids(plugin: Plugin) -> None:
    # Volume: `volume_id` tells a volume from all others
    made = [(await plugin.volume(name)).volume_id for name in ("a", "A", "a ", "á")]
    assert len(set(made)) == 4


async def test_a_volume_asked_for_again_is_the_same(plugin: Plugin) -> None:
    # CreateVolume: MUST be idempotent
    fields = {"capacity_range": sized(5, 9), "parameters": {"kind": "fast"}}
    first = await plugin.volume(**fields)
    assert await plugin.volume(**fields) == first
    assert await plugin.volume(**fields, secrets={"another": "day"}) == first
    assert await volumes(plugin) == [first]


async def test_a_restore_asked_for_again_is_the_same(plugin: Plugin) -> None:
    # CreateVolume: MUST be idempotent; also when its source is gone by then
    snapshot = (await plugin.cut((await plugin.volume()).volume_id)).snapshot_id
    source = content(snapshot=snapshot)
    first = await plugin.volume("new", volume_content_source=source)
    await plugin.call("DeleteSnapshot", snapshot_id=snapshot)
    assert await plugin.volume("new", volume_content_source=source) == first


async def test_a_name_taken_by_another_volume_already_exists(plugin: Plugin) -> None:
    # CreateVolume Errors: Volume already exists but is incompatible
    source = (await plugin.volume("source")).volume_id
    one, two = [(await plugin.cut(source, name)).snapshot_id for name in ("one", "two")]
    kept = await plugin.volume(volume_content_source=content(snapshot=one))
    size = kept.capacity_bytes
    same = {"volume_content_source": content(snapshot=one)}
    for other in (
        {},
        {"volume_content_source": content(snapshot=two)},
        {"volume_content_source": content(volume=source)},
        same | {"capacity_range": sized(size + 1)},
        same | {"capacity_range": sized(0, size - 1)},
        same | {"parameters": {"kind": "fast"}},
    ):
        assert await refused(plugin, **other) == "ALREADY_EXISTS", other
    assert await plugin.volume(**same) == kept


@pytest.mark.parametrize("gone", ["no-such", "../volumes", "/", ".", "x" * 128])
async def test_a_source_that_does_not_exist_is_not_found(plugin: Plugin, gone: str) -> None:
    # CreateVolume Errors: Source does not exist
    assert await refused(plugin, volume_content_source=content(snapshot=gone)) == "NOT_FOUND"
    assert await refused(plugin, volume_content_source=content(volume=gone)) == "NOT_FOUND"
    assert plugin.trees("volumes") == set()


async def test_a_source_of_the_other_kind_is_not_found(plugin: Plugin) -> None:
    # VolumeContentSource: a snapshot's id is no volume's
    volume = (await plugin.volume("source")).volume_id
    snapshot = (await plugin.cut(volume)).snapshot_id
    assert await refused(plugin, volume_content_source=content(snapshot=volume)) == "NOT_FOUND"
    assert await refused(plugin, volume_content_source=content(volume=snapshot)) == "NOT_FOUND"


async def test_a_volume_says_what_it_was_filled_from(plugin: Plugin) -> None:
    # Volume: `content_source`; CreateVolume: from a snapshot, from a volume
    volume = (await plugin.volume("source")).volume_id
    snapshot = (await plugin.cut(volume)).snapshot_id
    for source in (content(snapshot=snapshot), content(volume=volume)):
        made = await plugin.volume(source.WhichOneof("type"), volume_content_source=source)
        assert made.content_source == source
        assert made in await volumes(plugin)


@pytest.mark.parametrize(
    ("wanted", "code"),
    [
        (sized(9, 5), "OUT_OF_RANGE"),
        (sized(-1), "INVALID_ARGUMENT"),
        (sized(0, -1), "INVALID_ARGUMENT"),
    ],
    ids=["CreateVolume-Errors", "required_bytes", "limit_bytes"],
)
async def test_a_capacity_that_cannot_be_is_refused(plugin: Plugin, wanted: Any, code: str) -> None:
    assert await refused(plugin, capacity_range=wanted) == code
    assert plugin.trees("volumes") == set()


async def test_a_volume_smaller_than_its_snapshot_is_out_of_range(plugin: Plugin) -> None:
    # CreateVolume Errors: Unsupported `capacity_range`; Snapshot: `size_bytes`
    snapshot = await plugin.cut((await plugin.volume(capacity_range=sized(7))).volume_id)
    source = content(snapshot=snapshot.snapshot_id)
    small = sized(0, snapshot.size_bytes - 1)
    code = await refused(plugin, "new", volume_content_source=source, capacity_range=small)
    assert code == "OUT_OF_RANGE"
    exact = sized(snapshot.size_bytes, snapshot.size_bytes)
    await plugin.volume("new", volume_content_source=source, capacity_range=exact)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.Name)
async def test_only_modes_of_told_capabilities_are_supported(plugin: Plugin, mode: int) -> None:
    # CreateVolume: ALL `volume_capabilities`, or an error; SINGLE_NODE_MULTI_WRITER
    assert "SINGLE_NODE_MULTI_WRITER" not in await plugin.capabilities()
    wanted = [mount(), mount(mode)]
    if mode in ORDINARY:
        await plugin.volume(volume_capabilities=wanted)
    else:
        assert await refused(plugin, volume_capabilities=wanted) == "INVALID_ARGUMENT"


async def test_a_mode_of_a_later_version_is_not_supported(plugin: Plugin) -> None:
    # ValidateVolumeCapabilities: an older plugin does not confirm what it does not understand
    assert await refused(plugin, volume_capabilities=[mount(99)]) == "INVALID_ARGUMENT"
    volume = (await plugin.volume()).volume_id
    asked = {"volume_id": volume, "volume_capabilities": [mount(99)]}
    assert not (await plugin.call("ValidateVolumeCapabilities", **asked)).HasField("confirmed")


@pytest.mark.parametrize(
    "field",
    [
        {"mutable_parameters": {"kind": "fast"}},
        {"accessibility_requirements": csi_pb2.TopologyRequirement()},
    ],
    ids=["MODIFY_VOLUME", "VOLUME_ACCESSIBILITY_CONSTRAINTS"],
)
async def test_a_field_of_a_capability_that_is_not_told_is_invalid(
    plugin: Plugin, field: dict[str, Any]
) -> None:
    # Error Scheme: Invalid or unsupported field in the request
    told = {*await plugin.capabilities(), *await plugin.services()}
    assert not told & {"MODIFY_VOLUME", "VOLUME_ACCESSIBILITY_CONSTRAINTS"}
    assert await refused(plugin, **field) == "INVALID_ARGUMENT"


async def test_capabilities_are_confirmed_as_they_were_asked_for(plugin: Plugin) -> None:
    # ValidateVolumeCapabilities: `confirmed` only if all are; else `message`
    volume = (await plugin.volume()).volume_id
    asked = [mount(), mount(5, fs_type="ext4", mount_flags=["ro"])]
    fields = {"volume_id": volume, "volume_capabilities": asked}
    yes = await plugin.call("ValidateVolumeCapabilities", **fields)
    assert list(yes.confirmed.volume_capabilities) == asked
    assert not yes.message
    fields["volume_capabilities"] = [*asked, block()]
    no = await plugin.call("ValidateVolumeCapabilities", **fields)
    assert not no.HasField("confirmed")
    assert 1 <= len(no.message.encode()) <= 128
    fields["volume_id"] = "no-such"
    assert await plugin.refusal("ValidateVolumeCapabilities", **fields) == "NOT_FOUND"


@pytest.mark.parametrize("unknown", ["no-such", "../snapshots", "..", ".", "/", "x" * 128, "é"])
async def test_a_volume_that_does_not_exist_is_deleted(plugin: Plugin, unknown: str) -> None:
    # DeleteVolume: MUST be idempotent
    kept = await plugin.volume()
    for _ in range(2):
        await plugin.call("DeleteVolume", volume_id=unknown)
    assert await volumes(plugin) == [kept]
    assert (plugin.folder / "snapshots").is_dir()


async def test_a_deleted_volume_is_gone_and_its_name_is_free(plugin: Plugin) -> None:
    # DeleteVolume; CreateVolume: `name`
    first = (await plugin.volume()).volume_id
    for _ in range(2):
        await plugin.call("DeleteVolume", volume_id=first)
    assert await volumes(plugin) == []
    assert (await plugin.volume(parameters={"now": "another"})).volume_id != first


async def test_a_volumes_snapshots_outlive_it(plugin: Plugin) -> None:
    # DeleteVolume: its snapshots stay listed, and sources of new volumes
    volume = (await plugin.volume()).volume_id
    (plugin.folder / "volumes" / volume / "file").write_text("content")
    snapshot = await plugin.cut(volume)
    await plugin.call("DeleteVolume", volume_id=volume)
    assert await plugin.listed(source_volume_id=volume) == [snapshot]
    assert await plugin.cut(volume) == snapshot  # idempotent still
    source = content(snapshot=snapshot.snapshot_id)
    made = await plugin.volume("new", volume_content_source=source)
    assert (plugin.folder / "volumes" / made.volume_id / "file").read_text() == "content"


async def test_pages_hold_every_volume_once(plugin: Plugin) -> None:
    # ListVolumes: `max_entries`, `next_token`
    made = [(await plugin.volume(f"v{number}")).volume_id for number in range(5)]
    for most in (1, 2, 4, 5, 6, 0):
        found = await plugin.paged("ListVolumes", most)
        assert sorted(each.volume.volume_id for each in found) == sorted(made)


async def test_a_list_of_volumes_that_cannot_be_is_refused(plugin: Plugin) -> None:
    # ListVolumes: `max_entries` MUST NOT be negative; ListVolumes Errors
    assert await plugin.refusal("ListVolumes", max_entries=-1) == "INVALID_ARGUMENT"
    assert await plugin.refusal("ListVolumes", starting_token="none of yours") == "ABORTED"


async def test_a_volume_asked_for_many_times_at_once_is_one(plugin: Plugin) -> None:
    # Error Scheme: Operation pending for volume
    codes: list[str] = []
    ids: set[str] = set()

    async def make() -> None:
        try:
            ids.add((await plugin.volume()).volume_id)
        except grpc.aio.AioRpcError as error:
            codes.append(error.code().name)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(make)
    assert set(codes) <= {"ABORTED"}
    assert {each.volume_id for each in await volumes(plugin)} == ids
    assert len(ids) == 1
