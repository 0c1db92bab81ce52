"""Volumes: made empty, restored or cloned, idempotent by name, listed, removed (CSI spec)."""

from types import SimpleNamespace
from typing import Any

import csi_plugin
import grpc
import pytest
from hypothesis import given, strategies

from snapshotd.csi._pb import csi_pb2
from snapshotd.devcluster.hostpath import service, shelf

GIB = 1 << 30


def asked(name: str = "vol", **fields: Any) -> Any:
    return csi_pb2.CreateVolumeRequest(
        name=name, volume_capabilities=[csi_plugin.mount()], **fields
    )


def sized(required: int = 0, limit: int = 0) -> Any:
    return csi_pb2.CapacityRange(required_bytes=required, limit_bytes=limit)


def cloned(volume: str) -> Any:
    source = csi_pb2.VolumeContentSource()
    source.volume.volume_id = volume
    return source


def restored(snapshot: str) -> Any:
    source = csi_pb2.VolumeContentSource()
    source.snapshot.snapshot_id = snapshot
    return source


@pytest.mark.parametrize(
    ("wanted", "size"),
    [
        (sized(), GIB),
        (sized(5), 5),
        (sized(5, 9), 5),
        (sized(0, 9), 9),
        (sized(7, 7), 7),
    ],
)
async def test_a_volume_has_the_size_that_was_asked_for(
    client: Any, wanted: Any, size: int
) -> None:
    made = (await client.stub.CreateVolume(asked(capacity_range=wanted))).volume
    assert made.capacity_bytes == size
    assert list(client.tree("volumes", made.volume_id).iterdir()) == []


async def test_the_same_name_is_the_same_volume(client: Any) -> None:
    request = asked(capacity_range=sized(5), parameters={"a": "b"})
    first = await client.stub.CreateVolume(request)
    assert await client.stub.CreateVolume(request) == first
    wider = asked(capacity_range=sized(4, 6), parameters={"a": "b"})
    assert await client.stub.CreateVolume(wider) == first


async def test_the_same_name_with_anything_else_is_already_exists(client: Any) -> None:
    other = (await client.stub.CreateVolume(asked("other"))).volume.volume_id
    await client.stub.CreateVolume(asked(capacity_range=sized(5), parameters={"a": "b"}))
    for fields in (
        {"capacity_range": sized(6), "parameters": {"a": "b"}},
        {"capacity_range": sized(0, 4), "parameters": {"a": "b"}},
        {"capacity_range": sized(5), "parameters": {"a": "c"}},
        {"capacity_range": sized(5)},
        {"capacity_range": sized(5), "parameters": {"a": "b"}} | _source(cloned(other)),
    ):
        code = await client.refused(client.stub.CreateVolume, asked(**fields))
        assert code is grpc.StatusCode.ALREADY_EXISTS, fields


def _source(source: Any) -> dict[str, Any]:
    return {"volume_content_source": source}


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": ""}, "INVALID_ARGUMENT"),
        ({"capacity_range": sized(-1)}, "INVALID_ARGUMENT"),
        ({"capacity_range": sized(9, 5)}, "OUT_OF_RANGE"),
        (_source(csi_pb2.VolumeContentSource()), "INVALID_ARGUMENT"),
        (_source(restored("")), "INVALID_ARGUMENT"),
        (_source(restored("nothing")), "NOT_FOUND"),
        (_source(cloned("nothing")), "NOT_FOUND"),
        (_source(cloned("../../etc")), "NOT_FOUND"),
    ],
)
async def test_a_volume_that_cannot_be_is_refused(
    client: Any, fields: dict[str, Any], code: str
) -> None:
    refused = await client.refused(client.stub.CreateVolume, asked(**fields))
    assert refused is grpc.StatusCode[code]
    assert client.driver.volumes.all() == []


async def test_a_volume_without_capabilities_is_refused(client: Any) -> None:
    code = await client.refused(client.stub.CreateVolume, csi_pb2.CreateVolumeRequest(name="vol"))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_restore_is_as_large_as_its_snapshot_and_says_what_it_came_from(
    client: Any,
) -> None:
    volume = (await client.stub.CreateVolume(asked(capacity_range=sized(7)))).volume.volume_id
    snapshot = (await client.cut(volume)).snapshot_id
    source = _source(restored(snapshot))
    made = (await client.stub.CreateVolume(asked("a", **source))).volume
    assert (made.capacity_bytes, made.content_source.snapshot.snapshot_id) == (7, snapshot)
    for wanted in (sized(6), sized(0, 6)):
        small = asked("b", capacity_range=wanted, **source)
        code = await client.refused(client.stub.CreateVolume, small)
        assert code is grpc.StatusCode.OUT_OF_RANGE
    large = asked("c", capacity_range=sized(70), **source)
    assert (await client.stub.CreateVolume(large)).volume.capacity_bytes == 70


async def test_a_deletion_may_be_repeated_and_leaves_the_snapshots(client: Any) -> None:
    volume = await client.volume()
    (client.tree("volumes", volume) / "file").write_text("content")
    snapshot = (await client.cut(volume)).snapshot_id
    request = csi_pb2.DeleteVolumeRequest(volume_id=volume)
    await client.stub.DeleteVolume(request)
    await client.stub.DeleteVolume(request)
    assert not client.tree("volumes", volume).exists()
    assert (client.tree("snapshots", snapshot) / "file").read_text() == "content"
    missing = csi_pb2.DeleteVolumeRequest()
    code = await client.refused(client.stub.DeleteVolume, missing)
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_volumes_are_listed_page_by_page(client: Any) -> None:
    made = [await client.volume(f"v{number}") for number in range(3)]
    first = await client.stub.ListVolumes(csi_pb2.ListVolumesRequest(max_entries=2))
    rest = csi_pb2.ListVolumesRequest(starting_token=first.next_token)
    second = await client.stub.ListVolumes(rest)
    found = [each.volume.volume_id for each in [*first.entries, *second.entries]]
    assert found == made
    assert not second.next_token


async def test_capabilities_are_confirmed_for_file_systems_alone(client: Any) -> None:
    volume = await client.volume()
    mount, block = csi_plugin.mount(), csi_plugin.block()
    ask = csi_pb2.ValidateVolumeCapabilitiesRequest
    validate = client.stub.ValidateVolumeCapabilities
    yes = await validate(ask(volume_id=volume, volume_capabilities=[mount]))
    assert list(yes.confirmed.volume_capabilities) == [mount]
    no = await validate(ask(volume_id=volume, volume_capabilities=[mount, block]))
    assert not no.HasField("confirmed")
    assert no.message
    code = await client.refused(validate, ask(volume_id="no", volume_capabilities=[mount]))
    assert code is grpc.StatusCode.NOT_FOUND
    code = await client.refused(validate, ask(volume_id=volume))
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_capacity_is_the_file_systems(client: Any) -> None:
    answer = await client.stub.GetCapacity(csi_pb2.GetCapacityRequest())
    assert answer.available_capacity > 0


async def test_what_is_told_to_be_possible_is(client: Any) -> None:
    ask = csi_pb2.ControllerGetCapabilitiesRequest()
    told = (await client.stub.ControllerGetCapabilities(ask)).capabilities
    name = csi_pb2.ControllerServiceCapability.RPC.Type.Name
    assert {name(each.rpc.type) for each in told} == {
        "CREATE_DELETE_VOLUME",
        "LIST_VOLUMES",
        "GET_CAPACITY",
        "CREATE_DELETE_SNAPSHOT",
        "LIST_SNAPSHOTS",
        "CLONE_VOLUME",
        "GET_SNAPSHOT",
    }


records = strategies.builds(
    lambda created, handle: shelf.Record(f"h{handle}", created=created),
    strategies.integers(0, 5),
    strategies.integers(0, 30),
)


@given(
    records=strategies.lists(records, unique_by=lambda each: each.handle, max_size=12),
    size=strategies.integers(1, 5),
    changes=strategies.lists(strategies.lists(records, max_size=3), max_size=20),
)
async def test_pages_hold_everything_exactly_once_while_others_come_and_go(
    records: list[shelf.Record], size: int, changes: list[list[shelf.Record]]
) -> None:
    """Of what is there from the first page to the last, all is visited, and nothing twice."""
    there = {each.handle: each for each in records}
    throughout = set(there)
    visited: list[str] = []
    token = ""
    while True:
        request = SimpleNamespace(max_entries=size, starting_token=token)
        listed = sorted(there.values(), key=shelf.order)
        page, token = await service._page(listed, request, None)
        assert len(page) <= size
        visited += [each.handle for each in page]
        if not token:
            break
        for each in changes.pop() if changes else []:
            if there.pop(each.handle, None) is None and each.handle not in visited:
                there[each.handle] = each
            throughout.discard(each.handle)
    assert throughout <= set(visited)
    assert len(visited) == len(set(visited))
