"""One change from end to end: cache, subscriber, queue, actor, and the write back."""

import dataclasses

import anyio

from snapshotd import errors
from snapshotd.model import keys, meta, snapshots
from snapshotd.runtime import actor as actors
from snapshotd.runtime import clock as clocks
from snapshotd.runtime import store as stores
from snapshotd.runtime import supervisor as supervisors
from snapshotd.runtime import workqueue
from snapshotd.telemetry import endpoint, metrics

KIND = keys.Kind.VOLUME_SNAPSHOT


@dataclasses.dataclass
class Server:
    """Counts versions; refuses every third write."""

    version: int = 100
    writes: int = 0

    def finish(self, snapshot: snapshots.VolumeSnapshot) -> snapshots.VolumeSnapshot:
        self.writes += 1
        if self.writes % 3 == 0:
            raise errors.Conflict("somebody else was faster")
        self.version += 1
        return named(snapshot.metadata.name, self.version, finalizers=("done",))


def named(name: str, version: int, finalizers: tuple[str, ...] = ()) -> snapshots.VolumeSnapshot:
    return snapshots.VolumeSnapshot(
        metadata=meta.ObjectMeta(
            name=name,
            namespace="ns",
            uid=f"uid-{name}",
            resource_version=str(version),
            finalizers=finalizers,
        ),
        spec=snapshots.VolumeSnapshotSpec(source=snapshots.VolumeSnapshotSource()),
    )


async def test_every_object_of_a_list_is_worked_on_until_it_is_done(
    clock: clocks.Clock, meters: metrics.Metrics
) -> None:
    server = Server()
    store: stores.Store[snapshots.VolumeSnapshot] = stores.Store()
    queue: workqueue.WorkQueue[keys.Key] = workqueue.WorkQueue(
        "snapshots", clock, backoff=workqueue.BackoffSettings(), metrics=meters
    )
    store.subscribe(lambda change: queue.add(change.key))

    async def reconcile(key: keys.Key) -> actors.Verdict:
        snapshot = store.get(key)
        if snapshot is not None and not snapshot.metadata.finalizers:
            await anyio.sleep(0.01)
            store.put(server.finish(snapshot))
        return actors.Verdict()

    async def reflect(status: anyio.abc.TaskStatus[None]) -> None:
        store.replace(KIND, [named(str(number), number) for number in range(100)], 100)
        status.started()
        await anyio.sleep(60)

    actor = actors.Actor(
        "snapshots", queue, reconcile=reconcile, workers=10, deadline=10, metrics=meters
    )
    ending = await supervisors.Supervisor(
        [
            supervisors.Part("actor", actor.run, stop=actor.stop),
            supervisors.Part("reflector", reflect, may_end=True),
        ]
    ).run()

    assert ending == supervisors.Ending()
    assert {each.metadata.finalizers for each in store.of_kind(KIND)} == {("done",)}
    assert server.version == 200
    assert len(queue) == 0


def test_the_endpoint_and_its_checks_fit_the_supervisor_and_the_actors(
    clock: clocks.Clock, meters: metrics.Metrics
) -> None:
    queue: workqueue.WorkQueue[str] = workqueue.WorkQueue(
        "q", clock, backoff=workqueue.BackoffSettings(), metrics=meters
    )

    async def reconcile(_key: str) -> actors.Verdict:
        return actors.Verdict()

    actor = actors.Actor("a", queue, reconcile=reconcile, workers=1, deadline=1, metrics=meters)
    health = endpoint.Health()
    health.add_live("a", actor.stuck)
    server = endpoint.Endpoint(
        endpoint.parse_address(":0"), registry=meters.registry, health=health
    )

    assert supervisors.Part("endpoint", server.run).stop is None
