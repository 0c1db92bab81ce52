"""The sidecar and its driver: who it is, what a lost connection means, and who came back."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import beside_driver
import grpc
import objects
import pytest
import scripted_driver
import simulated
from scripted_driver import GETS, LISTS

from snapshotd import errors, settings
from snapshotd.actors import ports, roles
from snapshotd.app import process
from snapshotd.app import sidecar as sidecars
from snapshotd.csi import connection, driver
from snapshotd.csi._pb import csi_pb2
from snapshotd.model import keys, wire
from snapshotd.runtime import clock, failures
from snapshotd.runtime import store as caches

CUTS = csi_pb2.ControllerServiceCapability.RPC.CREATE_DELETE_SNAPSHOT
OURS = "scripted.example.com"


class Instant(clock.SystemClock):
    """A clock whose sleeps are over at once."""

    def __init__(self) -> None:
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await anyio.lowlevel.checkpoint()


class Waiting(simulated.Waiting):
    """A queue that tells when somebody is woken."""

    def __init__(self) -> None:
        super().__init__()
        self.woken = anyio.Event()

    def add(self, key: keys.Key, *, priority: object = None) -> None:
        super().add(key, priority=priority)
        self.woken.set()


class Bench:
    """A sidecar with a role over one content, as far as both can be without a cluster."""

    def __init__(self, link: connection.Connection, **csi: Any) -> None:
        self.time = Instant()
        self.waiting = Waiting()
        self.link = link
        shared = process.Shared()
        shared.time = self.time
        self.shared = shared
        self.sidecar = sidecars.Sidecar(settings.Sidecar(csi=settings.Csi(**csi)), shared)
        self.sidecar._driver = driver.Driver(link)

    async def meet(self) -> None:
        """Meet the driver, and build the role, as `run` does."""
        await self.link.ready(10)
        self.sidecar._policy = await self.sidecar._meet()
        self.sidecar._meter = self.shared.meters.csi(self.sidecar._policy.driver)
        cache = caches.Store[wire.Object](roles.DRIVER_INDEXES)
        cache.put(objects.content(spec__driver=OURS))
        writer = beside_driver.Writer(simulated.Api(), beside_driver.Points())
        world = ports.World(writer, beside_driver.Recorder(), self.time)
        kind = keys.Kind.VOLUME_SNAPSHOT_CONTENT
        self.sidecar.build(cache, {kind: self.waiting}, world)

    def connected(self) -> float | None:
        """Return what the metrics say of the connection."""
        name = self.sidecar._policy.driver
        return self.shared.meters.registry.get_sample_value(
            "snapshotd_csi_connected", {"driver_name": name}
        )

    async def minded(self, meanwhile: Callable[[], Awaitable[object]]) -> Exception | None:
        """Mind the connection while something happens; return what ended that, if anything did."""
        try:
            with anyio.fail_after(30):
                async with anyio.create_task_group() as group:
                    group.start_soon(self.sidecar._mind, self.link)
                    while not self.connected():
                        await anyio.lowlevel.checkpoint()
                    await meanwhile()
                    group.cancel_scope.cancel()
        except Exception as error:  # noqa: BLE001 - whatever it is, the test looks at it
            return failures.told(error)
        return None


async def swapped(bench: Bench, socket: Path, then: scripted_driver.Scripted) -> Exception | None:
    """Have the driver go and `then` come in its place; go on until the role is woken."""
    first = await scripted_driver.serve(scripted_driver.scripted(), socket)
    await bench.meet()
    second: list[Any] = []

    async def meanwhile() -> None:
        await first.stop(None)
        while bench.connected():
            await anyio.lowlevel.checkpoint()
        second.append(await scripted_driver.serve(then, socket))
        await bench.waiting.woken.wait()

    ended = await bench.minded(meanwhile)
    for server in second:
        await server.stop(None)
    return ended


async def test_a_driver_that_came_back_is_followed_by_what_it_can_do_now(
    link: connection.Connection, socket: Path
) -> None:
    """And everything is looked at again: what waits for the driver waits in its backoff."""
    bench = Bench(link)
    then = scripted_driver.scripted()
    then.able = [CUTS]
    assert await swapped(bench, socket, then) is None
    assert not bench.sidecar._policy.can_list
    role = bench.sidecar._role
    assert role is not None
    assert role._contents._policy is bench.sidecar._policy
    assert list(bench.waiting.keys) == [objects.content().key]
    assert bench.connected() == 1


async def test_a_driver_that_is_not_ready_when_it_comes_back_is_met_once_it_is(
    link: connection.Connection, socket: Path
) -> None:
    bench = Bench(link)
    then = scripted_driver.scripted()
    then.unready = 3
    assert await swapped(bench, socket, then) is None
    assert bench.time.slept == [1.0, 1.0, 1.0]


async def test_a_driver_that_answers_with_failures_at_first_is_met_in_the_end(
    link: connection.Connection, socket: Path
) -> None:
    """Its connection is up, and so does not tell again that it came back."""
    bench = Bench(link)
    then = Failing(3)  # type: ignore[abstract] # the calls that nobody makes are gRPC's own
    assert await swapped(bench, socket, then) is None
    assert len(bench.time.slept) == 3
    assert all(bench.time.slept)


class Failing(scripted_driver.Scripted):
    """A driver whose first calls fail."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self._times = times

    async def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 - CSI's
        if self._times:
            self._times -= 1
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the array is not there yet")
        return await super().GetPluginInfo(request, context)


async def test_another_driver_in_its_place_ends_the_sidecar(
    link: connection.Connection, socket: Path
) -> None:
    bench = Bench(link)
    then = scripted_driver.scripted()
    then.name = "other.example.com"
    ended = await swapped(bench, socket, then)
    assert isinstance(ended, errors.Refused)
    assert str(ended).startswith(f"CSI driver {OURS} went, and other.example.com came")
    assert bench.sidecar._policy.driver == OURS
    assert bench.waiting.keys == {}


async def test_a_driver_that_forgot_how_to_cut_ends_the_sidecar(
    link: connection.Connection, socket: Path
) -> None:
    then = scripted_driver.scripted()
    then.able = [LISTS]
    ended = await swapped(Bench(link), socket, then)
    assert isinstance(ended, errors.Refused)
    assert "cannot take snapshots" in str(ended)


@pytest.mark.parametrize("there", [True, False])
async def test_a_lost_connection_ends_the_sidecar_where_asked_to(
    *,
    link: connection.Connection,
    socket: Path,
    monkeypatch: pytest.MonkeyPatch,
    there: bool,
) -> None:
    """As the reference's does; its last words go where Kubernetes shows them, if that is there."""
    words = socket.with_name("termination-log")
    monkeypatch.setattr(sidecars, "_LAST_WORDS", words)
    if there:
        words.touch()
    bench = Bench(link, exit_on_connection_loss=True)
    server = await scripted_driver.serve(scripted_driver.scripted(), socket)
    await bench.meet()

    async def meanwhile() -> None:
        await server.stop(None)
        await anyio.sleep_forever()

    ended = await bench.minded(meanwhile)
    assert isinstance(ended, errors.Unavailable)
    assert "--exit-on-connection-loss is given" in str(ended)
    assert bench.connected() == 0
    assert words.exists() is there
    if there:
        assert words.read_text() == "Lost connection to CSI driver, exiting"


async def test_a_lost_connection_is_waited_for_where_not(
    link: connection.Connection, socket: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sidecars, "_LAST_WORDS", socket.with_name("termination-log"))
    bench = Bench(link)
    server = await scripted_driver.serve(scripted_driver.scripted(), socket)
    await bench.meet()

    async def meanwhile() -> None:
        await server.stop(None)
        while bench.connected():
            await anyio.lowlevel.checkpoint()

    assert await bench.minded(meanwhile) is None
    assert bench.waiting.keys == {}


@pytest.mark.parametrize(
    ("able", "lists", "checks"),
    [([], False, False), ([LISTS], True, True), ([GETS], False, True), ([LISTS, GETS], True, True)],
)
async def test_the_rules_follow_the_drivers_word_and_the_flags(
    *,
    scripted: scripted_driver.Scripted,
    link: connection.Connection,
    able: list[int],
    lists: bool,
    checks: bool,
) -> None:
    scripted.able = [CUTS, *able]
    flags = {"snapshot_name_prefix": "cut", "snapshot_name_uuid_length": 8}
    flags |= {"groupsnapshot_name_prefix": "together", "groupsnapshot_name_uuid_length": 4}
    bench = Bench(link, **flags, extra_create_metadata=True, ready_poll_interval=5.0)
    await bench.meet()
    policy = bench.sidecar._policy
    assert (policy.driver, policy.can_list, policy.can_check) == (OURS, lists, checks)
    assert (policy.name_prefix, policy.name_uuid_length) == ("cut", 8)
    assert (policy.group_name_prefix, policy.group_name_uuid_length) == ("together", 4)
    assert (policy.extra_create_metadata, policy.poll_interval) == (True, 5.0)


async def test_a_driver_that_takes_no_snapshots_is_refused(
    scripted: scripted_driver.Scripted, link: connection.Connection
) -> None:
    scripted.able = []
    with pytest.raises(errors.Refused, match="nothing to do beside it"):
        await Bench(link).meet()


async def test_the_contents_of_this_driver_alone_are_watched_and_kept(
    scripted: scripted_driver.Scripted, link: connection.Connection
) -> None:
    del scripted
    bench = Bench(link)
    await bench.meet()
    contents, classes, *of_groups = await bench.sidecar.scopes()
    assert contents.query() == {"fieldSelector": f"spec.driver={OURS}"}
    assert contents.keep is not None
    assert contents.keep(objects.content(spec__driver=OURS))
    assert not contents.keep(objects.content(spec__driver="other.example.com"))
    assert not contents.keep(objects.class_(driver=OURS))
    assert (classes.kind, classes.query(), classes.keep) == (
        keys.Kind.VOLUME_SNAPSHOT_CLASS,
        {},
        None,
    )
    group_contents, group_classes = of_groups
    assert group_contents.query() == contents.query()
    assert group_contents.keep is not None
    assert group_contents.keep(objects.group_content(spec__driver=OURS))
    assert not group_contents.keep(objects.group_content())
    assert (group_contents.kind, group_classes.kind) == (
        keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT,
        keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS,
    )
    assert all(each.optional for each in of_groups)  # not every cluster has the definitions


async def test_with_node_deployment_this_nodes_contents_alone_are_watched(
    scripted: scripted_driver.Scripted,
    link: connection.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    del scripted
    monkeypatch.setenv("NODE_NAME", "node-1")
    bench = Bench(link, node_deployment=True)
    await bench.meet()
    contents, *_ = await bench.sidecar.scopes()
    assert contents.label_selector == "snapshot.storage.kubernetes.io/managed-by=node-1"


async def test_a_reconcile_has_time_for_two_calls_and_the_lease_is_the_references(
    scripted: scripted_driver.Scripted, link: connection.Connection
) -> None:
    del scripted
    bench = Bench(link, timeout=70.0)
    await bench.meet()
    assert bench.sidecar.deadline() == 60.0 + 2 * 70.0
    assert bench.sidecar.lease_name() == "external-snapshotter-leader-scripted-example-com"


@pytest.mark.parametrize(
    ("csi", "told"),
    [
        ({"snapshot_name_prefix": ""}, "^--snapshot-name-prefix must not be empty"),
        ({"snapshot_name_uuid_length": 33}, "^--snapshot-name-uuid-length 33 is not between -1"),
        ({"snapshot_name_uuid_length": -2}, "^--snapshot-name-uuid-length -2 is not between -1"),
        ({"groupsnapshot_name_prefix": ""}, "^--groupsnapshot-name-prefix must not be empty"),
        (
            {"groupsnapshot_name_uuid_length": 33},
            "^--groupsnapshot-name-uuid-length 33 is not between -1 and 32",
        ),
        (
            {"groupsnapshot_name_uuid_length": -2},
            "^--groupsnapshot-name-uuid-length -2 is not between -1 and 32",
        ),
        ({"volume_concurrency": 0}, "at least 1"),
        ({"node_deployment": True}, "NODE_NAME"),
    ],
)
async def test_settings_that_would_fail_later_are_refused_at_once(
    csi: dict[str, Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NODE_NAME", raising=False)

    values = settings.Sidecar(csi=settings.Csi(**csi))
    with pytest.raises(errors.Misconfigured, match=told):
        await sidecars.run(values)


async def test_one_sidecar_a_node_and_one_for_all_exclude_each_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NODE_NAME", "node-1")
    values = settings.Sidecar(
        csi=settings.Csi(node_deployment=True),
        leadership=settings.Leadership(leader_election=True),
    )
    with pytest.raises(errors.Misconfigured, match="exclude each other"):
        await sidecars.run(values)
