"""A job ends properly, however it ends; and every call claims what it makes and what it copies."""

import threading
from pathlib import Path
from typing import Any, TypeVar

import anyio
import anyio.abc
import anyio.to_thread
import csi_plugin
import pytest
import structlog.testing

from snapshotd.csi._pb import csi_pb2
from snapshotd.devcluster.hostpath import faults, group_service, groups, service, shelf, workshop

T = TypeVar("T")


def fail() -> str:
    raise OSError("the disk is full")


async def test_a_failure_reaches_the_caller_and_frees_the_thing() -> None:
    kept: list[str] = []
    async with anyio.create_task_group() as group:
        shop = workshop.Workshop(group)
        with structlog.testing.capture_logs() as logs, pytest.raises(OSError, match="full"):
            await shop.do(workshop.Job(("a",), fail, kept.append, reads=("b",)))
        assert logs == []  # the caller tells
        for thing in ("a", "b"):
            await shop.do(workshop.Job((thing,), lambda: "now", kept.append))
    assert kept == ["now", "now"]


async def test_a_failure_that_nobody_waits_for_is_told() -> None:
    go = threading.Event()

    def fail_later() -> str:
        go.wait(30)
        return fail()

    with structlog.testing.capture_logs() as logs:
        async with anyio.create_task_group() as group:
            shop = workshop.Workshop(group)
            with anyio.move_on_after(0.02):
                await shop.do(workshop.Job(("a",), fail_later, lambda _: None))
            go.set()
    assert [(each["of"], each["error"]) for each in logs] == [("a", "the disk is full")]


async def test_a_job_begun_while_the_driver_stops_is_done_too() -> None:
    """Calls in flight have some seconds: one of them may have waited before it began to work."""
    kept: list[str] = []
    async with anyio.create_task_group() as group:
        shop = workshop.Workshop(group)
        group.cancel_scope.cancel()
        with anyio.CancelScope(shield=True), anyio.fail_after(30):
            assert await shop.do(workshop.Job(("a",), lambda: "done", kept.append)) == "done"
    assert kept == ["done"]


class Watched(workshop.Workshop):
    """A workshop whose claims are seen."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        super().__init__(group)
        self.claims: list[tuple[tuple[str, ...], tuple[str, ...]]] = []

    async def do(self, job: workshop.Job[T]) -> T:
        self.claims.append((job.changes, job.reads))
        return await super().do(job)


async def test_every_call_claims_what_it_makes_and_what_it_copies(tmp_path: Path) -> None:
    """A source is claimed as its removal claims it: they exclude each other."""
    async with anyio.create_task_group() as group:
        watched = Watched(group)
        controller: Any = service.Controller(
            shelf.Shelf(tmp_path, "volumes"),
            shelf.Shelf(tmp_path, "snapshots"),
            trouble=faults.Faults(tmp_path / "faults.json"),
            shop=watched,
        )
        new = csi_pb2.CreateVolumeRequest(name="vol", volume_capabilities=[csi_plugin.mount()])
        volume = (await controller.CreateVolume(new, None)).volume.volume_id
        cut = csi_pb2.CreateSnapshotRequest(name="snap", source_volume_id=volume)
        snapshot = (await controller.CreateSnapshot(cut, None)).snapshot.snapshot_id
        new.name = "restored"
        new.volume_content_source.snapshot.snapshot_id = snapshot
        await controller.CreateVolume(new, None)
        gone = csi_pb2.DeleteSnapshotRequest(snapshot_id=snapshot)
        await controller.DeleteSnapshot(gone, None)
        await controller.DeleteVolume(csi_pb2.DeleteVolumeRequest(volume_id=volume), None)
    one, other = str(tmp_path / "volumes" / volume), str(tmp_path / "snapshots" / snapshot)
    assert watched.claims == [
        (("volumes vol",), ()),
        (("snapshots snap",), (one,)),
        (("volumes restored",), (other,)),
        ((other,), ()),
        ((one,), ()),
    ]


async def test_a_group_claims_every_volume_that_it_copies_and_every_member_that_goes(
    tmp_path: Path,
) -> None:
    """As a restore of a member and a volume's removal claim them: they exclude each other."""
    ledger = groups.Ledger(tmp_path)
    place = shelf.Shelf(tmp_path, "snapshots", groups=ledger.handles)
    volumes = shelf.Shelf(tmp_path, "volumes")
    sources = [volumes.make(shelf.Record("", name), Path.mkdir).handle for name in ("a", "b")]
    async with anyio.create_task_group() as group:
        watched = Watched(group)
        controller: Any = group_service.GroupController(
            group_service.Shelves(volumes, place, ledger),
            trouble=faults.Faults(tmp_path / "faults.json"),
            shop=watched,
        )
        cut = csi_pb2.CreateVolumeGroupSnapshotRequest(name="g", source_volume_ids=sources)
        made = (await controller.CreateVolumeGroupSnapshot(cut, None)).group_snapshot
        members = [each.snapshot_id for each in made.snapshots]
        gone = csi_pb2.DeleteVolumeGroupSnapshotRequest(
            group_snapshot_id=made.group_snapshot_id, snapshot_ids=members
        )
        await controller.DeleteVolumeGroupSnapshot(gone, None)
    trees = tuple(str(tmp_path / "snapshots" / each) for each in members)
    assert watched.claims == [
        (("groups g",), tuple(str(tmp_path / "volumes" / each) for each in sources)),
        (("groups g", *trees), ()),
    ]
