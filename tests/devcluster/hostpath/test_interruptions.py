"""Whatever is cut short - a call, the process, the disk - one name stays one whole snapshot."""

import errno
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import csi_plugin
import grpc
import pytest

from snapshotd import errors
from snapshotd.csi._pb import csi_pb2
from snapshotd.devcluster.hostpath import server, shelf, workshop


class Held(shelf.Shelf):
    """A shelf whose copying waits for a sign, as that of a large volume takes long."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, "snapshots")
        self.begun = threading.Event()
        self.go = threading.Event()
        self.admitted = anyio.Event()
        self.makes = 0

    def make(self, record: shelf.Record, fill: Callable[[Path], None]) -> shelf.Record:
        self.makes += 1
        self.begun.set()
        assert self.go.wait(30)
        return super().make(record, fill)

    def admit(self, made: shelf.Record) -> None:
        super().admit(made)
        self.admitted.set()


class Full(shelf.Shelf):
    """A shelf on a disk with nothing left."""

    def make(self, record: shelf.Record, fill: Callable[[Path], None]) -> shelf.Record:
        del record, fill
        raise OSError(errno.ENOSPC, "No space left on device")


async def holding(running: Callable[..., Any], folder: Path) -> tuple[Any, Held]:
    held = Held(folder / "data")

    def hold(driver: server.HostpathDriver) -> None:
        driver.snapshots = held

    return await running(hold), held


async def test_a_cut_whose_caller_left_is_one_snapshot(
    running: Callable[..., Any], tmp_path: Path
) -> None:
    """The sidecar's deadline passes, it asks again by the same name: as CSI has it be."""
    client, held = await holding(running, tmp_path)
    volume = await client.volume()
    request = csi_pb2.CreateSnapshotRequest(source_volume_id=volume, name="snap")
    left = client.stub.CreateSnapshot(request)
    assert await anyio.to_thread.run_sync(held.begun.wait, 30)
    left.cancel()
    await client.list()  # on the same connection: the cancellation came before it
    code = await client.refused(client.stub.CreateSnapshot, request)
    assert code is grpc.StatusCode.ABORTED
    held.go.set()
    with anyio.fail_after(30):
        await held.admitted.wait()
    found = await client.cut(volume)
    assert held.makes == 1
    assert [path.name for path in client.tree("snapshots", "").iterdir()] == [found.snapshot_id]
    assert [each.snapshot for each in (await client.list()).entries] == [found]


async def test_a_volume_is_not_removed_while_it_is_being_cut(
    running: Callable[..., Any], tmp_path: Path
) -> None:
    client, held = await holding(running, tmp_path)
    volume = await client.volume()
    (client.tree("volumes", volume) / "file").write_text("content")
    request = csi_pb2.DeleteVolumeRequest(volume_id=volume)
    async with anyio.create_task_group() as group:
        group.start_soon(client.cut, volume)
        assert await anyio.to_thread.run_sync(held.begun.wait, 30)
        code = await client.refused(client.stub.DeleteVolume, request)
        held.go.set()
    assert code is grpc.StatusCode.ABORTED
    found = await client.cut(volume)
    assert (client.tree("snapshots", found.snapshot_id) / "file").read_text() == "content"
    await client.stub.DeleteVolume(request)
    assert not client.tree("volumes", volume).exists()


async def test_two_cuts_of_one_volume_do_not_wait_for_each_other(
    running: Callable[..., Any], tmp_path: Path
) -> None:
    client, held = await holding(running, tmp_path)
    volume = await client.volume()
    held.go.set()
    async with anyio.create_task_group() as group:
        for name in ("one", "two"):
            group.start_soon(client.cut, volume, name)
    assert held.makes == 2


async def test_a_full_disk_is_an_answer(running: Callable[..., Any], tmp_path: Path) -> None:
    def fill_up(driver: server.HostpathDriver) -> None:
        driver.snapshots = Full(tmp_path / "data", "snapshots")

    client = await running(fill_up)
    request = csi_pb2.CreateSnapshotRequest(source_volume_id=await client.volume(), name="snap")
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await client.stub.CreateSnapshot(request)
    assert error.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert error.value.details() == "CreateSnapshot: No space left on device"


async def test_a_job_goes_on_when_nobody_waits_for_it_any_more() -> None:
    go = threading.Event()
    kept: list[str] = []
    job = workshop.Job(("snap",), lambda: str(go.wait(30)), kept.append, reads=("tree",))
    async with anyio.create_task_group() as group:
        shop = workshop.Workshop(group)
        with anyio.move_on_after(0.02) as scope:
            await shop.do(job)
        assert scope.cancelled_caught
        for changes in ("snap", "tree"):
            with pytest.raises(workshop.Busy, match=changes):
                await shop.do(workshop.Job((changes,), lambda: "", kept.append))
        with pytest.raises(workshop.Busy, match="snap"):
            await shop.do(workshop.Job(("other",), lambda: "", kept.append, reads=("snap",)))
        go.set()
    assert kept == ["True"]


_KILLED_WHILE_COPYING = """
import os, signal, sys
from pathlib import Path
from snapshotd.devcluster.hostpath import copying, shelf
root, source = Path(sys.argv[1]), Path(sys.argv[2])
def fill(target):
    copying.copy_tree(source, target)
    os.kill(os.getpid(), signal.SIGKILL)
shelf.Shelf(root, "snapshots").make(shelf.Record("", "snap"), fill)
"""


def test_a_process_killed_while_copying_leaves_nothing(tmp_path: Path) -> None:
    source, root = tmp_path / "source", tmp_path / "data"
    source.mkdir()
    (source / "file").write_text("content")
    killed = subprocess.run(
        [sys.executable, "-c", _KILLED_WHILE_COPYING, str(root), str(source)], check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert len(list((root / "staging" / "snapshots").iterdir())) == 1
    place = shelf.Shelf(root, "snapshots")
    assert place.all() == []
    assert list((root / "staging" / "snapshots").iterdir()) == []


def test_a_record_half_written_is_swept(tmp_path: Path) -> None:
    shelf.Shelf(tmp_path, "snapshots")
    half = tmp_path / "state" / "snapshots" / "handle.new"
    half.write_text('{"han')
    assert shelf.Shelf(tmp_path, "snapshots").all() == []
    assert not half.exists()


def test_a_record_that_is_not_ours_is_told(tmp_path: Path) -> None:
    shelf.Shelf(tmp_path, "snapshots")
    (tmp_path / "state" / "snapshots" / "handle.json").write_text("nonsense")
    with pytest.raises(errors.Misconfigured, match="move it away"):
        shelf.Shelf(tmp_path, "snapshots")


async def test_a_clone_is_a_copy_of_a_volume(client: Any) -> None:
    volume = await client.volume()
    (client.tree("volumes", volume) / "file").write_text("content")
    request = csi_pb2.CreateVolumeRequest(name="clone", volume_capabilities=[csi_plugin.mount()])
    request.volume_content_source.volume.volume_id = volume
    made = (await client.stub.CreateVolume(request)).volume
    assert made.content_source.volume.volume_id == volume
    (client.tree("volumes", volume) / "file").write_text("later")
    assert (client.tree("volumes", made.volume_id) / "file").read_text() == "content"
    assert (await client.stub.CreateVolume(request)).volume == made
    request.volume_content_source.volume.volume_id = made.volume_id
    code = await client.refused(client.stub.CreateVolume, request)
    assert code is grpc.StatusCode.ALREADY_EXISTS


async def test_a_fault_in_the_file_strikes_as_often_as_it_says(client: Any) -> None:
    request = csi_pb2.CreateSnapshotRequest(source_volume_id=await client.volume(), name="snap")
    (client.folder / "faults.json").write_text(
        '{"methods": {"CreateSnapshot": {"latency": 0.01, "code": "INTERNAL", "times": 2}}}'
    )
    for _ in range(2):
        code = await client.refused(client.stub.CreateSnapshot, request)
        assert code is grpc.StatusCode.INTERNAL
    assert not (await client.list()).entries
    await client.stub.CreateSnapshot(request)
    assert len((await client.list()).entries) == 1
