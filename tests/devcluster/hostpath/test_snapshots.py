"""Snapshots are copies of files: cut, listed, restored and deleted as the CSI spec has it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import csi_plugin
import grpc
import pytest
from hypothesis import HealthCheck, given, settings, strategies

from snapshotd import errors
from snapshotd.csi._pb import csi_pb2
from snapshotd.devcluster.hostpath import copying, faults, server, shelf


def fill(folder: Path) -> None:
    (folder / "below").mkdir()
    (folder / "file").write_text("content")
    (folder / "below" / "run").write_text("#!/bin/sh\n")
    (folder / "below" / "run").chmod(0o750)
    (folder / "link").symlink_to("below/run")
    os.link(folder / "file", folder / "hard")


def same(one: Path, other: Path, *, ignoring: int = 0) -> bool:
    for path in sorted(one.rglob("*")):
        twin = other / path.relative_to(one)
        if (path.lstat().st_mode ^ twin.lstat().st_mode) & ~ignoring:
            return False
        if path.is_file() and path.read_bytes() != twin.read_bytes():
            return False
    return len(list(one.rglob("*"))) == len(list(other.rglob("*")))


async def test_a_snapshot_is_a_copy_that_later_changes_do_not_reach(client: Any) -> None:
    volume = await client.volume()
    fill(client.tree("volumes", volume))
    snapshot = await client.cut(volume)
    tree = client.tree("snapshots", snapshot.snapshot_id)
    assert same(client.tree("volumes", volume), tree, ignoring=0o222)
    assert all(not path.stat().st_mode & 0o222 for path in tree.rglob("*") if path.is_file())
    assert (tree / "hard").stat().st_nlink == 2
    (client.tree("volumes", volume) / "file").write_text("later")
    assert (tree / "file").read_text() == "content"
    assert snapshot.ready_to_use
    assert snapshot.source_volume_id == volume
    assert snapshot.size_bytes == 1 << 30


async def test_a_restore_fills_a_new_volume(client: Any) -> None:
    volume = await client.volume()
    fill(client.tree("volumes", volume))
    snapshot = await client.cut(volume)
    restored = await client.volume("new", snapshot.snapshot_id)
    assert restored != volume
    assert same(client.tree("volumes", volume), client.tree("volumes", restored))


async def test_the_same_name_is_the_same_snapshot(client: Any) -> None:
    volume = await client.volume()
    first = await client.cut(volume)
    again = await client.cut(volume)
    assert first == again
    assert len((await client.list()).entries) == 1


async def test_the_same_name_of_another_volume_is_already_exists(client: Any) -> None:
    await client.cut(await client.volume("one"))
    request = csi_pb2.CreateSnapshotRequest(
        source_volume_id=await client.volume("two"), name="snap"
    )
    code = await client.refused(client.stub.CreateSnapshot, request)
    assert code is grpc.StatusCode.ALREADY_EXISTS


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"name": "a"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"source_volume_id": "a"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"name": "a", "source_volume_id": "nothing"}, grpc.StatusCode.NOT_FOUND),
        ({"name": "a", "source_volume_id": "../state"}, grpc.StatusCode.NOT_FOUND),
    ],
)
async def test_a_bad_request_is_refused(
    client: Any, fields: dict[str, str], code: grpc.StatusCode
) -> None:
    request = csi_pb2.CreateSnapshotRequest(**fields)  # type: ignore[arg-type]
    assert await client.refused(client.stub.CreateSnapshot, request) is code


async def test_a_deletion_removes_the_files_and_may_be_repeated(client: Any) -> None:
    volume = await client.volume()
    fill(client.tree("volumes", volume))
    handle = (await client.cut(volume)).snapshot_id
    (client.tree("snapshots", handle) / "below").chmod(0o500)
    await client.delete(handle)
    assert not client.tree("snapshots", handle).exists()
    await client.delete(handle)
    assert not (await client.list(snapshot_id=handle)).entries


async def test_snapshots_are_listed_by_volume(client: Any) -> None:
    one, two = await client.volume("one"), await client.volume("two")
    first = await client.cut(one, "a")
    await client.cut(two, "b")
    found = await client.list(source_volume_id=one)
    assert [each.snapshot.snapshot_id for each in found.entries] == [first.snapshot_id]


async def test_pages_hold_every_snapshot_once(client: Any) -> None:
    volume = await client.volume()
    made = {(await client.cut(volume, f"s{number}")).snapshot_id for number in range(5)}
    found: list[str] = []
    token = ""
    while True:
        page = await client.list(max_entries=2, starting_token=token)
        assert len(page.entries) <= 2
        found += [each.snapshot.snapshot_id for each in page.entries]
        token = page.next_token
        if not token:
            break
    assert sorted(found) == sorted(made)
    bad = csi_pb2.ListSnapshotsRequest(starting_token="nonsense")
    assert await client.refused(client.stub.ListSnapshots, bad) is grpc.StatusCode.ABORTED


async def test_a_restarted_driver_finds_everything(running: Callable[[], Any]) -> None:
    first = await running()
    volume = await first.volume()
    before = await first.cut(volume)
    second = await running()
    assert await second.cut(volume) == before
    assert [e.snapshot for e in (await second.list()).entries] == [before]


async def test_what_a_killed_driver_left_half_made_is_swept(running: Callable[[], Any]) -> None:
    first = await running()
    volume = await first.volume()
    half = first.folder / "staging" / "snapshots" / "half"
    half.mkdir()
    (half / "file").write_text("x")
    written_down_only = first.folder / "state" / "snapshots" / "gone.json"
    written_down_only.write_text('{"handle": "gone", "name": "snap"}')
    second = await running()
    assert not half.exists()
    assert not written_down_only.exists()
    assert (await second.cut(volume)).snapshot_id != "gone"


async def test_a_folder_put_there_by_hand_is_a_snapshot(client: Any) -> None:
    (client.folder / "snapshots" / "by-hand").mkdir()
    (client.folder / "snapshots" / "by-hand" / "file").write_text("x")
    found = await client.list(snapshot_id="by-hand")
    assert found.entries[0].snapshot.ready_to_use
    restored = await client.volume("new", "by-hand")
    assert (client.tree("volumes", restored) / "file").read_text() == "x"
    await client.delete("by-hand")
    assert not client.tree("snapshots", "by-hand").exists()


async def test_the_same_cut_asked_for_twice_at_once_is_aborted(client: Any) -> None:
    volume = await client.volume()
    codes: list[str] = []

    async def cut() -> None:
        try:
            await client.cut(volume)
            codes.append("OK")
        except grpc.aio.AioRpcError as error:
            codes.append(error.code().name)

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(cut)
    assert "OK" in codes
    assert set(codes) <= {"OK", "ABORTED"}
    assert len((await client.list()).entries) == 1


async def test_faults_strike_as_planned(client: Any) -> None:
    volume = await client.volume()
    fault = faults.Fault(code="UNAVAILABLE", times=1, lose_answer=True)
    client.driver.faults.plan = faults.Plan(methods={"CreateSnapshot": fault})
    request = csi_pb2.CreateSnapshotRequest(source_volume_id=volume, name="snap")
    code = await client.refused(client.stub.CreateSnapshot, request)
    assert code is grpc.StatusCode.UNAVAILABLE
    assert len((await client.list()).entries) == 1  # the work was done, the answer lost
    await client.cut(volume)


async def test_faults_are_read_from_the_file_again_when_it_changes(client: Any) -> None:
    volume = await client.volume()
    file = client.folder / "faults.json"
    file.write_text('{"ready_after": 3600}')
    assert not (await client.cut(volume)).ready_to_use
    file.write_text('{"nonsense": 1}')  # told in the log; the plan before stays
    assert not (await client.cut(volume)).ready_to_use
    file.unlink()
    assert (await client.cut(volume)).ready_to_use


async def test_a_snapshot_that_is_not_ready_cannot_be_restored(client: Any) -> None:
    volume = await client.volume()
    client.driver.faults.plan = faults.Plan(ready_after=3600)
    snapshot = await client.cut(volume)
    request = csi_pb2.CreateVolumeRequest(name="new", volume_capabilities=[csi_plugin.mount()])
    request.volume_content_source.snapshot.snapshot_id = snapshot.snapshot_id
    assert await client.refused(client.stub.CreateVolume, request) is grpc.StatusCode.UNAVAILABLE


async def test_a_block_volume_is_refused(client: Any) -> None:
    request = csi_pb2.CreateVolumeRequest(name="b", volume_capabilities=[csi_plugin.block()])
    code = await client.refused(client.stub.CreateVolume, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_the_driver_tells_who_it_is(client: Any) -> None:
    info = await client.identity.GetPluginInfo(csi_pb2.GetPluginInfoRequest())
    assert info.name == "hostpath.csi.k8s.io"
    probe = await client.identity.Probe(csi_pb2.ProbeRequest())
    assert not probe.HasField("ready")


async def test_a_socket_whose_path_is_too_long_is_told(tmp_path: Path) -> None:
    driver = server.HostpathDriver(
        server.Settings(tmp_path / "data", tmp_path / ("x" * 120) / "csi.sock")
    )
    with pytest.raises(errors.Misconfigured, match="shorter path"):
        await driver.run()


names = strategies.text(alphabet="abc", min_size=1, max_size=2)
trees = strategies.recursive(
    strategies.binary(max_size=20),
    lambda below: strategies.dictionaries(names, below, max_size=3),
    max_leaves=8,
).filter(lambda tree: isinstance(tree, dict))


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tree=trees)
def test_a_copy_is_the_tree(tmp_path: Path, tree: dict[str, Any]) -> None:
    """Whatever the files are called and hold."""
    copying.remove_tree(tmp_path / "one")
    copying.remove_tree(tmp_path / "two")
    _write(tmp_path / "one", tree)
    copying.copy_tree(tmp_path / "one", tmp_path / "two")
    assert same(tmp_path / "one", tmp_path / "two")
    assert copying.size_of(tmp_path / "one") == copying.size_of(tmp_path / "two")


def _write(folder: Path, tree: dict[str, Any]) -> None:
    folder.mkdir()
    for name, below in tree.items():
        if isinstance(below, dict):
            _write(folder / name, below)
        else:
            (folder / name).write_bytes(below)


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path) -> None:
    place = shelf.Shelf(tmp_path, "snapshots")

    def fail(target: Path) -> None:
        target.mkdir()
        (target / "file").write_text("x")
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        place.make(shelf.Record("", "snap"), fail)
    assert list((tmp_path / "staging" / "snapshots").iterdir()) == []
    assert place.all() == []
