"""The sidecar's actor over the real queue and workers, with a driver that takes a minute a call."""

import collections
from collections.abc import Callable

import anyio
import beside_driver
import no_groups
import objects
import pytest
import simulated
import virtual_time

from snapshotd.actors import lanes, ports, roles
from snapshotd.decide import intents, outcomes, views
from snapshotd.model import keys, names, snapshots, wire
from snapshotd.runtime import actor as actors
from snapshotd.runtime import store as caches
from snapshotd.runtime import workqueue
from snapshotd.telemetry import metrics

CONTENT = keys.Kind.VOLUME_SNAPSHOT_CONTENT
WORKERS = 4
MINUTE = 60.0


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Callable[[], virtual_time.VirtualLoop]]]:
    return "asyncio", {"loop_factory": virtual_time.VirtualLoop}


class Slow(no_groups.NoGroups):
    """A driver whose every call lasts a minute; it notes how many were under way at once."""

    def __init__(self, clock: virtual_time.VirtualClock) -> None:
        self.most: collections.Counter[str] = collections.Counter()
        self.ended: list[tuple[float, str]] = []
        self._clock = clock
        self._now: collections.Counter[str] = collections.Counter()

    async def create_snapshot(
        self, call: intents.CreateSnapshot, credentials: object
    ) -> outcomes.SingleAnswer:
        del credentials
        await self._last(f"create on {call.source_volume}")
        return outcomes.SnapshotInfo(f"h-{call.name}", creation_time=10**18, size=1, ready=True)

    async def delete_snapshot(
        self, call: intents.DeleteSnapshot, credentials: object
    ) -> outcomes.SingleAnswer:
        del credentials
        await self._last(f"delete {call.handle}")
        return outcomes.Deleted()

    async def check_snapshot(self, call: object, credentials: object) -> outcomes.SingleAnswer:
        raise AssertionError(call, credentials)

    async def find_snapshots(self, call: object, credentials: object) -> outcomes.SingleAnswer:
        raise AssertionError(call, credentials)

    async def _last(self, what: str) -> None:
        for each in (what, "all"):
            self._now[each] += 1
            self.most[each] = max(self.most[each], self._now[each])
        await self._clock.sleep(MINUTE)
        for each in (what, "all"):
            self._now[each] -= 1
        self.ended.append((round(self._clock.monotonic(), 1), what))


def content(number: int, volume: str = "vol") -> snapshots.VolumeSnapshotContent:
    return objects.content(
        metadata__name=f"c{number}",
        metadata__uid=f"uid-c{number}",
        spec__source=snapshots.VolumeSnapshotContentSource(volume_handle=volume),
        spec__volume_snapshot_ref__uid=f"uid-{number}",
    )


def going(number: int) -> snapshots.VolumeSnapshotContent:
    made: snapshots.VolumeSnapshotContent = objects.changed(
        content(number),
        status=objects.changed(objects.STATUS, snapshot_handle=f"h{number}"),
        metadata__annotations={names.BEING_DELETED_ANNOTATION: names.MARK},
        metadata__deletion_timestamp=objects.NOW_TEXT,
    )
    return made


class Sidecar:
    """The role, its queue and four workers; writes go into its own cache at once."""

    def __init__(self) -> None:
        clock = virtual_time.VirtualClock()
        meters = metrics.Metrics()
        backoff = workqueue.BackoffSettings()
        self.api = simulated.Api()
        self.driver = Slow(clock)
        self.cache = caches.Store[wire.Object](roles.DRIVER_INDEXES)
        self.queue: workqueue.WorkQueue[keys.Key] = workqueue.WorkQueue(
            "contents", clock, backoff=backoff, metrics=meters, jitter=lambda delay: delay
        )
        writer = beside_driver.Writer(self.api, beside_driver.Points())
        self.role = roles.Storage(
            self.cache,
            {CONTENT: self.queue},
            world=ports.World(writer, beside_driver.Recorder(), clock),
            driver=self.driver,
            policy=views.DriverPolicy(objects.DRIVER),
            limits=lanes.Limits(WORKERS),
        )
        [(_, reconcile)] = self.role.reconciles()
        self.actor: actors.Actor[keys.Key] = actors.Actor(
            "contents",
            self.queue,
            reconcile=reconcile,
            workers=WORKERS,
            deadline=10 * MINUTE,
            metrics=meters,
        )
        self.add(objects.class_())
        self.role.start()

    def add(self, *objs: wire.Object) -> None:
        for obj in objs:
            self.cache.put(self.api.put(obj))

    async def work(self, minutes: float, *later: wire.Object) -> None:
        """Work so long on what is there, and on what comes half a minute later."""
        async with anyio.create_task_group() as group:
            await group.start(self.actor.run)
            await anyio.sleep(MINUTE / 2)
            self.add(*later)
            await anyio.sleep(MINUTE * (minutes - 0.5))
            group.cancel_scope.cancel()

    def ended(self, what: str) -> list[float]:
        """Return the minutes at which calls of a kind ended."""
        return [round(at / MINUTE, 2) for at, each in self.driver.ended if each == what]


async def test_a_busy_volume_leaves_workers_to_deletions_and_to_other_volumes() -> None:
    sidecar = Sidecar()
    sidecar.add(*(content(number) for number in range(20)))
    await sidecar.work(11, going(20), content(21, "another"))
    assert sidecar.ended("delete h20") == [1.5]
    assert sidecar.ended("create on another") == [1.5]
    assert sidecar.driver.most["create on vol"] == 2
    assert sidecar.driver.most["all"] == WORKERS
    assert sidecar.ended("create on vol") == [float(each // 2 + 1) for each in range(20)]
    made = sidecar.api.all_of(snapshots.VolumeSnapshotContent)
    assert len(made) == 21
    assert all(each.ready for each in made)


async def test_the_contents_of_one_volume_are_served_in_the_order_of_asking() -> None:
    sidecar = Sidecar()
    sidecar.add(*(content(number) for number in range(20)))
    await sidecar.work(5.5)
    ready = [each.metadata.name for each in sidecar.api.all_of(snapshots.VolumeSnapshotContent)]
    done = [
        each.metadata.name
        for each in sidecar.api.all_of(snapshots.VolumeSnapshotContent)
        if each.ready
    ]
    assert done == ready[:10]


async def test_a_flood_of_creations_leaves_one_worker_to_deletions() -> None:
    sidecar = Sidecar()
    sidecar.add(*(content(number, f"vol-{number}") for number in range(20)))
    await sidecar.work(9, going(20), going(21))
    assert sidecar.ended("delete h20") == [1.5]
    assert sidecar.ended("delete h21") == [2.0]  # by the first worker that is free
    assert sidecar.driver.most["all"] == WORKERS
    assert all(each.ready for each in sidecar.api.all_of(snapshots.VolumeSnapshotContent))


async def test_a_flood_of_deletions_leaves_one_worker_to_creations() -> None:
    sidecar = Sidecar()
    sidecar.add(*(going(number) for number in range(20)))
    await sidecar.work(9, content(20), content(21))
    assert sidecar.ended("create on vol") == [1.5, 2.0]
    assert sidecar.driver.most["all"] == WORKERS
    [left, right] = sidecar.api.all_of(snapshots.VolumeSnapshotContent)
    assert left.ready
    assert right.ready


async def test_a_content_that_waits_holds_no_worker_and_is_not_overlooked() -> None:
    """It will be woken: the slow resync has nothing to find."""
    sidecar = Sidecar()
    sidecar.add(*(content(number) for number in range(20)))
    async with anyio.create_task_group() as group:
        await group.start(sidecar.actor.run)
        await anyio.sleep(MINUTE / 2)
        assert len(sidecar.queue) == 0
        waiting = [each for each in sidecar.role.known() if each not in sidecar.queue]
        assert len(waiting) == 18
        assert not any(sidecar.role.overlooked(each) for each in waiting)
        group.cancel_scope.cancel()


async def test_one_that_is_deleted_while_it_waits_goes_without_a_call() -> None:
    """Nothing was asked for it; and those behind it move up."""
    sidecar = Sidecar()
    sidecar.add(*(content(number) for number in range(6)))
    gone = objects.changed(
        content(3),
        metadata__annotations={names.BEING_DELETED_ANNOTATION: names.MARK},
        metadata__deletion_timestamp=objects.NOW_TEXT,
    )
    await sidecar.work(4, gone)
    assert sidecar.ended("create on vol") == [1.0, 1.0, 2.0, 2.0, 3.0]
    assert gone.key not in sidecar.api.objects
