"""Nobody sees a part of a group, however many ask, whatever fails, and whoever lends a hand."""

import errno
import threading
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import grpc
import pytest

from snapshotd import errors
from snapshotd.csi._pb import csi_pb2
from snapshotd.devcluster.hostpath import faults, groups, server, shelf


class Held(shelf.Shelf):
    """A shelf that waits for a sign before the second copy of a group, and the second removal."""

    def __init__(self, root: Path, known: AbstractSet[str]) -> None:
        super().__init__(root, "snapshots", read_only=True, groups=known)
        self.begun = threading.Event()
        self.go = threading.Event()
        self.cuts = 0
        self.removals = 0

    def make_together(
        self, wanted: Sequence[shelf.New], commit: Callable[[Sequence[shelf.Record]], None]
    ) -> list[shelf.Record]:
        self.cuts += 1
        first, *rest = [shelf.New(each.record, self._waiting(each)) for each in wanted]
        return super().make_together([wanted[0], *rest] if rest else [first], commit)

    def _waiting(self, new: shelf.New) -> Callable[[Path], None]:
        def fill(folder: Path) -> None:
            self._wait()
            new.fill(folder)

        return fill

    def remove(self, record: shelf.Record) -> shelf.Record:
        self.removals += 1
        if self.removals == 2:
            self._wait()
        return super().remove(record)

    def _wait(self) -> None:
        self.begun.set()
        assert self.go.wait(30)


class Full(shelf.Shelf):
    """A shelf on a disk with room for one more copy."""

    def make_together(
        self, wanted: Sequence[shelf.New], commit: Callable[[Sequence[shelf.Record]], None]
    ) -> list[shelf.Record]:
        def fail(folder: Path) -> None:
            folder.mkdir()
            raise OSError(errno.ENOSPC, "No space left on device")

        last = shelf.New(wanted[-1].record, fail)
        return super().make_together([*wanted[:-1], last], commit)


async def holding(running: Callable[..., Any], folder: Path) -> tuple[Any, Held]:
    made: list[Held] = []

    def hold(driver: server.HostpathDriver) -> None:
        made.append(Held(folder / "data", driver.groups.handles))
        driver.snapshots = made[0]

    return await running(hold), made[0]


def asked(volumes: list[str], name: str = "group") -> Any:
    return csi_pb2.CreateVolumeGroupSnapshotRequest(name=name, source_volume_ids=volumes)


async def cut(client: Any, volumes: list[str], name: str = "group") -> Any:
    answer = await client.together.CreateVolumeGroupSnapshot(asked(volumes, name))
    return answer.group_snapshot


async def delete(client: Any, group: Any) -> None:
    await client.together.DeleteVolumeGroupSnapshot(unwanted(group))


def unwanted(group: Any) -> Any:
    return csi_pb2.DeleteVolumeGroupSnapshotRequest(
        group_snapshot_id=group.group_snapshot_id,
        snapshot_ids=[each.snapshot_id for each in group.snapshots],
    )


def wanted(group: Any) -> Any:
    return csi_pb2.GetVolumeGroupSnapshotRequest(
        group_snapshot_id=group.group_snapshot_id,
        snapshot_ids=[each.snapshot_id for each in group.snapshots],
    )


async def test_nobody_sees_a_part_of_a_group_that_is_being_cut(
    running: Callable[..., Any], tmp_path: Path
) -> None:
    client, held = await holding(running, tmp_path)
    volumes = [await client.volume(name) for name in ("one", "two")]
    async with anyio.create_task_group() as group:
        group.start_soon(cut, client, volumes)
        assert await anyio.to_thread.run_sync(held.begun.wait, 30)
        listed = (await client.list()).entries
        again = await client.refused(client.together.CreateVolumeGroupSnapshot, asked(volumes))
        removals = [
            await client.refused(
                client.stub.DeleteVolume, csi_pb2.DeleteVolumeRequest(volume_id=each)
            )
            for each in volumes
        ]
        held.go.set()
    assert list(listed) == []
    assert again is grpc.StatusCode.ABORTED
    assert set(removals) == {grpc.StatusCode.ABORTED}  # nothing of ours changes a source meanwhile
    made = await cut(client, volumes)
    assert held.cuts == 1
    assert len((await client.list()).entries) == len(made.snapshots) == 2


async def test_a_cut_whose_caller_left_is_one_group(
    running: Callable[..., Any], tmp_path: Path
) -> None:
    client, held = await holding(running, tmp_path)
    volumes = [await client.volume(name) for name in ("one", "two")]
    left_alone = client.together.CreateVolumeGroupSnapshot(asked(volumes))
    assert await anyio.to_thread.run_sync(held.begun.wait, 30)
    left_alone.cancel()
    await client.list()  # on the same connection: the cancellation came before it
    code = await client.refused(client.together.CreateVolumeGroupSnapshot, asked(volumes))
    assert code is grpc.StatusCode.ABORTED
    held.go.set()
    with anyio.fail_after(30):
        while not client.driver.groups.handles:
            await client.list()
    made = await cut(client, volumes)
    assert held.cuts == 1
    assert client.driver.groups.handles == {made.group_snapshot_id}


async def test_nobody_sees_a_part_of_a_group_that_is_being_removed(
    running: Callable[..., Any], tmp_path: Path
) -> None:
    client, held = await holding(running, tmp_path)
    held.go.set()
    volumes = [await client.volume(name) for name in ("one", "two", "three")]
    made = await cut(client, volumes)
    held.go.clear()
    held.begun.clear()
    async with anyio.create_task_group() as group:
        group.start_soon(delete, client, made)
        assert await anyio.to_thread.run_sync(held.begun.wait, 30)
        listed = (await client.list()).entries
        got = await client.refused(client.together.GetVolumeGroupSnapshot, wanted(made))
        again = await client.refused(client.together.CreateVolumeGroupSnapshot, asked(volumes))
        held.go.set()
    assert held.removals == 3
    assert list(listed) == []
    assert got is grpc.StatusCode.NOT_FOUND
    assert again is grpc.StatusCode.ABORTED
    assert client.left() == set()


async def test_a_full_disk_leaves_no_part_of_a_group(
    running: Callable[..., Any], tmp_path: Path
) -> None:
    def fill_up(driver: server.HostpathDriver) -> None:
        driver.snapshots = Full(tmp_path / "data", "snapshots", groups=driver.groups.handles)

    client = await running(fill_up)
    volumes = [await client.volume(name) for name in ("one", "two")]
    code = await client.refused(client.together.CreateVolumeGroupSnapshot, asked(volumes))
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert client.left() == set()
    assert (await client.list()).entries == []


async def test_a_restarted_driver_finds_its_groups(running: Callable[[], Any]) -> None:
    first = await running()
    volumes = [await first.volume(name) for name in ("one", "two")]
    before = await cut(first, volumes)
    second = await running()
    assert await cut(second, volumes) == before
    got = await second.together.GetVolumeGroupSnapshot(wanted(before))
    assert got.group_snapshot == before
    alone = csi_pb2.DeleteSnapshotRequest(snapshot_id=before.snapshots[0].snapshot_id)
    code = await second.refused(second.stub.DeleteSnapshot, alone)
    assert code is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_group_that_lost_a_member_by_hand_is_not_ready_and_can_be_deleted(
    client: Any,
) -> None:
    volumes = [await client.volume(name) for name in ("one", "two")]
    made = await cut(client, volumes)
    client.tree("snapshots", made.snapshots[0].snapshot_id).rmdir()
    found = (await client.together.GetVolumeGroupSnapshot(wanted(made))).group_snapshot
    assert list(found.snapshots) == [made.snapshots[1]]
    assert not found.ready_to_use
    await client.together.DeleteVolumeGroupSnapshot(unwanted(made))
    assert (await client.list()).entries == []
    code = await client.refused(client.together.GetVolumeGroupSnapshot, wanted(made))
    assert code is grpc.StatusCode.NOT_FOUND


async def test_a_group_that_lost_its_last_member_by_hand_is_gone(
    running: Callable[[], Any],
) -> None:
    client = await running()
    volumes = [await client.volume(name) for name in ("one", "two")]
    made = await cut(client, volumes)
    for each in made.snapshots:
        client.tree("snapshots", each.snapshot_id).rmdir()
    another = await cut(client, volumes[:1])
    assert another.group_snapshot_id != made.group_snapshot_id
    again = await running()
    assert await cut(again, volumes[:1]) == another


def test_a_group_half_written_is_swept(tmp_path: Path) -> None:
    groups.Ledger(tmp_path)
    half = tmp_path / "state" / "groups" / "handle.new"
    half.write_text('{"han')
    assert not groups.Ledger(tmp_path).handles
    assert not half.exists()


def test_a_group_that_is_not_ours_is_told(tmp_path: Path) -> None:
    groups.Ledger(tmp_path)
    (tmp_path / "state" / "groups" / "handle.json").write_text("nonsense")
    with pytest.raises(errors.Misconfigured, match="move it away"):
        groups.Ledger(tmp_path)


def test_a_folder_that_cannot_hold_groups_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.Misconfigured, match="choose a folder"):
        groups.Ledger(tmp_path / "file")


@pytest.mark.parametrize(
    "method",
    [
        "GroupControllerGetCapabilities",
        "CreateVolumeGroupSnapshot",
        "DeleteVolumeGroupSnapshot",
        "GetVolumeGroupSnapshot",
    ],
)
async def test_faults_strike_the_calls_of_groups(client: Any, method: str) -> None:
    fault = faults.Fault(code="DATA_LOSS", times=1)
    client.driver.faults.plan = faults.Plan(methods={method: fault})
    request = getattr(csi_pb2, f"{method}Request")()
    code = await client.refused(getattr(client.together, method), request)
    assert code is grpc.StatusCode.DATA_LOSS


async def test_a_call_whose_answer_was_lost_did_its_work_and_may_be_repeated(client: Any) -> None:
    volumes = [await client.volume(name) for name in ("one", "two")]
    fault = faults.Fault(lose_answer=True, times=1)
    methods = ("CreateVolumeGroupSnapshot", "DeleteVolumeGroupSnapshot")
    client.driver.faults.plan = faults.Plan(methods=dict.fromkeys(methods, fault))
    call = client.together.CreateVolumeGroupSnapshot
    assert await client.refused(call, asked(volumes)) is grpc.StatusCode.UNAVAILABLE
    assert len((await client.list()).entries) == 2
    made = await cut(client, volumes)
    call = client.together.DeleteVolumeGroupSnapshot
    assert await client.refused(call, unwanted(made)) is grpc.StatusCode.UNAVAILABLE
    assert (await client.list()).entries == []
    await call(unwanted(made))
