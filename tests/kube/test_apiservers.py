"""The same parts against the embedded API server and a real kube-apiserver: they must agree."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import controlplane
import msgspec
import pytest

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.devcluster.apiserver import server
from snapshotd.kube import connection as connections
from snapshotd.kube import lease, resources
from snapshotd.kube import recorder as recorders
from snapshotd.kube import reflector as reflectors
from snapshotd.kube import writer as writers
from snapshotd.model import keys, meta, names, snapshots, wire
from snapshotd.runtime import clock as clocks
from snapshotd.runtime import store as caches
from snapshotd.telemetry import metrics

CONTENT = keys.Kind.VOLUME_SNAPSHOT_CONTENT
OPEN = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
REFERENCE = {
    "type": "object",
    "x-kubernetes-map-type": "atomic",
    "properties": {field: {"type": "string"} for field in ("name", "namespace", "uid")},
}
SPEC = {**OPEN, "properties": {"volumeSnapshotRef": REFERENCE}}
DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {
        "name": "volumesnapshotcontents.snapshot.storage.k8s.io",
        "annotations": {"api-approved.kubernetes.io": "https://github.com/kubernetes/enhancements"},
    },
    "spec": {
        "group": names.SNAPSHOT_GROUP,
        "scope": "Cluster",
        "names": {"plural": "volumesnapshotcontents", "kind": "VolumeSnapshotContent"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {**OPEN, "properties": {"spec": SPEC, "status": OPEN}}
                },
            }
        ],
    },
}


REAL = pytest.param("real", marks=pytest.mark.e2e)


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[controlplane.ControlPlane]:
    try:
        with controlplane.running(tmp_path_factory.mktemp("plane")) as running:
            yield running
    except controlplane.Unobtainable as reason:
        pytest.skip(str(reason))


@pytest.fixture(params=["embedded", REAL])
async def kubeconfig(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Path]:
    if request.param == "real":
        plane: controlplane.ControlPlane = request.getfixturevalue("plane")
        yield plane.kubeconfig(plane.admin.token)
        return
    embedded = server.ApiServer(server.Settings())
    async with anyio.create_task_group() as group:
        await group.start(lambda *, task_status: embedded.run(task_status=task_status))
        yield _written(tmp_path / "embedded", embedded.kubeconfig())
        group.cancel_scope.cancel()


def _written(path: Path, content: dict[str, Any]) -> Path:
    path.write_bytes(msgspec.json.encode(content))
    return path


class Clock(clocks.SystemClock):
    """Lets a test wait until somebody has begun to sleep so many times."""

    def __init__(self) -> None:
        self._slept = 0
        self._goals: list[tuple[int, anyio.Event]] = []

    async def sleep(self, seconds: float) -> None:
        self._slept += 1
        for goal, reached in self._goals:
            if self._slept >= goal:
                reached.set()
        await super().sleep(seconds)

    async def until_slept(self, times: int) -> None:
        reached = anyio.Event()
        self._goals.append((self._slept + times, reached))
        with anyio.fail_after(30):
            await reached.wait()


@pytest.fixture
def real_clock() -> Clock:
    return Clock()


@pytest.fixture
async def connection(
    kubeconfig: Path, real_clock: Clock, meters: metrics.Metrics
) -> AsyncIterator[connections.Connection]:
    options = connections.Options(kubeconfig=str(kubeconfig))
    async with connections.Connection(options, clock=real_clock, meters=meters) as opened:
        with contextlib.suppress(errors.Conflict):
            await opened.request("POST", DEFINITIONS, body=msgspec.json.encode(DEFINITION))
        yield opened


Made = snapshots.VolumeSnapshotContent


async def make(writer: writers.Writer, name: str, *finalizers: str) -> Made:
    content = Made(
        metadata=meta.ObjectMeta(name=name, finalizers=finalizers),
        spec=snapshots.VolumeSnapshotContentSpec(
            deletion_policy="Delete",
            driver="d",
            source=snapshots.VolumeSnapshotContentSource(snapshot_handle="h"),
            volume_snapshot_ref=meta.ObjectReference(name="s", namespace="ns"),
        ),
    )
    stored = await writer.write(intents.CreateContent(content))
    assert isinstance(stored, Made)
    return stored


def target(content: Made, *, exact: bool = False) -> intents.Target:
    version = content.metadata.resource_version if exact else ""
    return intents.Target(content.key, content.metadata.uid, version)


class Cache:
    """What a reflector keeps, and a way to wait for it."""

    def __init__(
        self, connection: connections.Connection, clock: Clock, meters: metrics.Metrics
    ) -> None:
        self.store: caches.Store[wire.Object] = caches.Store()
        self._changed = anyio.Event()
        self.store.subscribe(self._wake)
        timing = reflectors.Timing(first_retry=0.05, last_retry=0.2, page=2)
        self.reflector = reflectors.Reflector(
            connection,
            reflectors.Scope(CONTENT),
            store=self.store,
            clock=clock,
            meters=meters,
            timing=timing,
        )

    def _wake(self, _: caches.Change[wire.Object]) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            await self._changed.wait()


@asynccontextmanager
async def kept(cache: Cache) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        group.start_soon(cache.reflector.run)
        with anyio.fail_after(30):  # a definition is served some time after it is made
            await cache.reflector.synced.wait()
        yield
        group.cancel_scope.cancel()


@pytest.fixture
def make_cache(
    connection: connections.Connection, real_clock: Clock, meters: metrics.Metrics
) -> Callable[[], Cache]:
    return lambda: Cache(connection, real_clock, meters)


@pytest.fixture
async def cache(make_cache: Callable[[], Cache]) -> AsyncIterator[Cache]:
    cache = make_cache()
    async with kept(cache):
        yield cache


@pytest.fixture
def writer(connection: connections.Connection, cache: Cache) -> writers.Writer:
    assert cache.reflector.check() is None  # the kind is served
    return writers.Writer(connection)


async def test_an_object_comes_changes_and_goes(writer: writers.Writer, cache: Cache) -> None:
    store = cache.store
    with anyio.fail_after(30):
        made = await make(writer, "story", "x.io/f")
        await cache.until(lambda: store.get(made.key) == made)
        change = intents.ContentStatusChange(ready_to_use=True, snapshot_handle="h")
        ready = await writer.write(intents.PublishStatus(target(made), change))
        await cache.until(lambda: store.get(made.key) == ready)
        held = await writer.write(intents.DeleteContent(target(made)))
        assert held is not None
        assert held.metadata.deleting
        assert await writer.write(intents.UpdateMetadata(target(made), ())) is None
        await cache.until(lambda: store.get(made.key) is None)

    assert isinstance(ready, Made)
    assert ready.ready
    assert store.was_deleted(made.key, made.metadata.uid)


async def test_a_list_in_pages_is_the_whole_list(
    writer: writers.Writer, cache: Cache, make_cache: Callable[[], Cache]
) -> None:
    made = [(await make(writer, f"page-{number}")).key for number in range(7)]
    with anyio.fail_after(30):
        await cache.until(lambda: all(map(cache.store.get, made)))
    listed = make_cache()  # two a page

    async with kept(listed):
        found = {obj.key: obj for obj in listed.store.of_kind(CONTENT)}

    assert found == {obj.key: obj for obj in cache.store.of_kind(CONTENT)}


async def test_a_binding_keeps_the_name_and_namespace(writer: writers.Writer) -> None:
    made = await make(writer, "bound")

    stored = await writer.write(intents.BindContent(target(made), "u1", ("x.io/f",), "fast"))

    assert isinstance(stored, Made)
    reference = meta.ObjectReference(name="s", namespace="ns", uid="u1")
    assert stored.spec.volume_snapshot_ref == reference
    assert stored.spec.volume_snapshot_class_name == "fast"
    assert stored.metadata.finalizers == ("x.io/f",)


async def test_preconditions_that_do_not_hold_are_conflicts(writer: writers.Writer) -> None:
    made = await make(writer, "held", "x.io/f")
    another = intents.Target(made.key, "00000000-0000-0000-0000-000000000000")
    status = intents.ContentStatusChange(ready_to_use=False)
    await writer.write(intents.UpdateMetadata(target(made), None, {"a": "b"}))

    for wrong in (
        intents.UpdateMetadata(another, ()),
        intents.UpdateMetadata(target(made, exact=True), ()),
        intents.PublishStatus(another, status),
        intents.PublishStatus(target(made, exact=True), status),
        intents.DeleteContent(another),
        intents.DeleteContent(target(made, exact=True)),
    ):
        with pytest.raises(errors.Conflict):
            await writer.write(wrong)
    with pytest.raises(errors.Conflict):
        await make(writer, "held")


async def test_what_is_being_deleted_takes_no_new_finalizer(writer: writers.Writer) -> None:
    made = await make(writer, "leaving", "x.io/f")
    await writer.write(intents.DeleteContent(target(made)))

    with pytest.raises(errors.Conflict):
        await writer.write(intents.UpdateMetadata(target(made), ("x.io/f", "x.io/g")))


async def test_what_is_gone_is_gone(writer: writers.Writer) -> None:
    made = await make(writer, "gone")

    assert await writer.write(intents.DeleteContent(target(made))) is None
    assert await writer.write(intents.DeleteContent(target(made))) is None
    assert await writer.read(made.key) is None
    with pytest.raises(errors.Gone):
        await writer.write(intents.UpdateMetadata(target(made), ()))


async def test_events_are_taken_and_counted(
    connection: connections.Connection, real_clock: Clock
) -> None:
    recorder = recorders.Recorder(
        connection, "snapshot-controller", clock=real_clock, meters=metrics.Metrics()
    )
    about = meta.ObjectReference(
        api_version=names.SNAPSHOT_API, kind="VolumeSnapshotContent", name="c", uid="u"
    )
    events = resources.of(keys.Kind.EVENT).collection("default")

    async def found() -> list[dict[str, Any]]:
        query = {"fieldSelector": "involvedObject.name=c"}
        response = await connection.request("GET", events, query=query)
        items: list[dict[str, Any]] = msgspec.json.decode(response.body)["items"]
        return items

    recorder.stop()  # so that each run ends when all is written
    for count in (1, 2):
        recorder.announce(intents.Announce(about, "Warning", "SnapshotCreationFailed", "no"))
        await recorder.run()
        assert [event["count"] for event in await found()] == [count]

    assert (recorder.failed, recorder.dropped) == (0, 0)


async def test_a_lease_is_taken_renewed_and_given_back(
    connection: connections.Connection, real_clock: Clock
) -> None:
    lock = lease.Lock("default", "leader", lease.identity(), {"team": "storage"})
    timing = lease.Timing(lease_duration=1.0, renew_deadline=0.5, retry_period=0.05)
    election = lease.LeaderElection(connection.leases, lock, clock=real_clock, timing=timing)
    path = resources.of(keys.Kind.LEASE).object("default", "leader")

    async def read() -> dict[str, Any]:
        found = await connection.request("GET", path)
        spec: dict[str, Any] = msgspec.json.decode(found.body)["spec"]
        return spec

    async def lead() -> None:
        first = await read()
        assert first["holderIdentity"] == lock.identity
        await real_clock.until_slept(3)
        assert (await read())["renewTime"] > first["renewTime"]

    await election.run(lead)

    assert (await read())["holderIdentity"] == ""
