"""Composition roots: each part built once, all of them run in one task group; reads as the design.

Reflectors fill the cache; a change wakes keys; queues hand them to actors; actors decide and
perform through the writer, the driver and the recorder. A role is one `supervisor.Part`, so that
`snapshotd dev` runs the same roles as a cluster does.
"""

import os
from collections.abc import Awaitable, Callable, Iterable
from importlib import metadata
from pathlib import Path

import anyio
import anyio.abc
import structlog

from snapshotd import errors, settings
from snapshotd.actors import ports, roles
from snapshotd.csi import connection as channels
from snapshotd.csi import driver as drivers
from snapshotd.decide import views
from snapshotd.kube import connection, lease, recorder, reflector, writer
from snapshotd.model import keys, names, wire
from snapshotd.runtime import actor, clock, store, supervisor, sweep, workqueue
from snapshotd.telemetry import endpoint, metrics

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_DEADLINE = 60.0  # seconds for one reconcile beyond its calls to the driver
_DRIVER_WITHIN = 30.0  # seconds for a driver to accept the first connection, as the reference's

_WATCHED = (
    keys.Kind.VOLUME_SNAPSHOT,
    keys.Kind.VOLUME_SNAPSHOT_CONTENT,
    keys.Kind.VOLUME_SNAPSHOT_CLASS,
    keys.Kind.CLAIM,
    keys.Kind.VOLUME,
)
_WATCHED_BESIDE_A_DRIVER = (keys.Kind.VOLUME_SNAPSHOT_CONTENT, keys.Kind.VOLUME_SNAPSHOT_CLASS)

Cache = store.Store[wire.Object]
Task = tuple[str, Callable[[], Awaitable[object]]]


class Shared:
    """What every part of a process shares: the clock, the metrics, the health."""

    def __init__(self) -> None:
        """Build them."""
        self.time = clock.SystemClock()
        self.meters = metrics.Metrics(version=metadata.version("snapshotd"))
        self.health = endpoint.Health()


async def controller(values: settings.Controller) -> supervisor.Ending:
    """Run `snapshotd controller` to its end."""
    shared = Shared()
    role = Controller(values, shared)
    return await _supervise(values.observing, shared, role.part())


async def sidecar(values: settings.Sidecar) -> supervisor.Ending:
    """Run `snapshotd sidecar` to its end."""
    _check_sidecar(values)
    shared = Shared()
    role = Sidecar(values, shared)
    return await _supervise(values.observing, shared, role.part())


async def _supervise(
    observing: settings.Observing, shared: Shared, role: supervisor.Part
) -> supervisor.Ending:
    parts = [role]
    if observing.http_endpoint:
        page = endpoint.Endpoint(
            endpoint.parse_address(observing.http_endpoint),
            registry=shared.meters.registry,
            health=shared.health,
            metrics_path=observing.metrics_path,
        )
        parts.insert(0, supervisor.Part("endpoint", page.run))
    return await supervisor.Supervisor(parts).run()


class RoleProcess:
    """One role from its connection to its workers; subclasses say what is watched and who acts."""

    name = ""
    component = ""

    def __init__(
        self,
        *,
        api: settings.Api,
        queues: settings.Queues,
        leadership: settings.Leadership,
        shared: Shared,
    ) -> None:
        """Prepare; nothing runs before `run`."""
        self._api = api
        self._queues = queues
        self._leadership = leadership
        self.shared = shared
        self._actors: list[actor.Actor[keys.Key]] = []
        self._leading = anyio.CancelScope()
        self._stopping = False

    def part(self) -> supervisor.Part:
        """Return the role as a part of a process."""
        return supervisor.Part(self.name, self.run, stop=self.stop)

    async def scopes(self) -> Iterable[reflector.Scope]:
        """Return what is watched."""
        raise NotImplementedError

    def build(self, cache: Cache, queues: roles.Queues, world: ports.World) -> roles.Role:
        """Return the role's actors."""
        raise NotImplementedError

    def deadline(self) -> float:
        """Return how long one reconcile may take, in seconds."""
        return _DEADLINE

    def lease_name(self) -> str:
        """Return the name of the Lease that replicas of this role share."""
        raise NotImplementedError

    async def run(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Connect, fill the cache, and work; started when the cache is complete."""
        shared, api = self.shared, self._api
        options = connection.Options(api.kubeconfig, api.kube_api_qps, api.kube_api_burst)
        async with (
            connection.Connection(options, clock=shared.time, meters=shared.meters) as link,
            anyio.create_task_group() as group,
        ):
            scopes = tuple(await self.scopes())
            cache = Cache(self.indexes)
            watches = [
                reflector.Reflector(
                    link, scope, store=cache, clock=shared.time, meters=shared.meters
                )
                for scope in scopes
            ]
            for scope, watch in zip(scopes, watches, strict=True):
                shared.health.add_ready(f"{self.name}: {scope.kind}", watch.check)
                group.start_soon(watch.run, name=f"watch {scope.kind}")
            told = recorder.Recorder(link, self.component, clock=shared.time)
            group.start_soon(told.run, name="events")
            role = self._equip(cache, ports.World(writer.Writer(link), told, shared.time))
            for watch in watches:
                await watch.synced.wait()
            log.info("caches_synced", role=self.name)
            task_status.started()
            await self._work(link, role)
            told.stop()
            group.cancel_scope.cancel()

    indexes = roles.CLUSTER_INDEXES

    def stop(self) -> None:
        """Take no more keys; what is in hand is finished."""
        self._stopping = True
        for each in self._actors:
            each.stop()
        if not self._actors:
            self._leading.cancel()

    def _equip(self, cache: Cache, world: ports.World) -> roles.Role:
        shared, values = self.shared, self._queues
        backoff = workqueue.BackoffSettings(values.retry_interval_start, values.retry_interval_max)
        queues = {
            kind: workqueue.WorkQueue[keys.Key](
                f"{self.name}-{kind}", shared.time, backoff=backoff, metrics=shared.meters
            )
            for kind in self.kinds
        }
        role = self.build(cache, queues, world)
        self._prepared = [
            actor.Actor(
                f"{self.name}-{kind}",
                queues[kind],
                reconcile=reconcile,
                workers=values.worker_threads,
                deadline=self.deadline(),
                metrics=shared.meters,
            )
            for kind, reconcile in role.reconciles()
        ]
        return role

    kinds: tuple[keys.Kind, ...] = roles.Cluster.kinds

    async def _work(self, link: connection.Connection, role: roles.Role) -> None:
        async def lead() -> None:
            self._actors = self._prepared
            role.start()
            role.wake_all()
            if self._stopping:
                self.stop()
            async with anyio.create_task_group() as workers:
                async with anyio.create_task_group() as hands:
                    workers.start_soon(self._sweep, role, name="sweep")
                    for each in self._actors:
                        self.shared.health.add_live(each.name, each.stuck)
                        hands.start_soon(each.run, name=each.name)
                workers.cancel_scope.cancel()

        with self._leading:
            if not self._leadership.leader_election:
                await lead()
                return
            election = self._election(link)
            self.shared.health.watch_leader(election.check)
            await election.run(lead)

    async def _sweep(self, role: roles.Role) -> None:
        """Look slowly over all keys, for as long as the workers work."""
        if self._queues.resync_period > 0:
            await sweep.Sweep(
                keys=role.known,
                overlooked=role.overlooked,
                wake=role.wake,
                period=self._queues.resync_period,
                clock=self.shared.time,
                metrics=self.shared.meters,
            ).run()

    def _election(self, link: connection.Connection) -> lease.LeaderElection:
        values = self._leadership
        lock = lease.Lock(
            _namespace(values.leader_election_namespace), self.lease_name(), lease.identity()
        )
        timing = lease.Timing(
            values.leader_election_lease_duration,
            values.leader_election_renew_deadline,
            values.leader_election_retry_period,
        )
        return lease.LeaderElection(
            link.leases,
            lock,
            clock=self.shared.time,
            timing=timing,
            on_change=lambda leading: self.shared.meters.leads(lock.name, leading=leading),
        )


class Controller(RoleProcess):
    """The controller role."""

    name = "snapshot-controller"
    component = names.CONTROLLER_COMPONENT

    def __init__(self, values: settings.Controller, shared: Shared) -> None:
        """Take the settings."""
        super().__init__(
            api=values.api, queues=values.queues, leadership=values.leadership, shared=shared
        )
        rules = values.rules
        self._policy = views.ClusterPolicy(
            status_hold=rules.status_hold,
            prevent_volume_mode_conversion=rules.prevent_volume_mode_conversion,
            distributed=rules.enable_distributed_snapshotting,
        )

    async def scopes(self) -> Iterable[reflector.Scope]:
        """Watch snapshots, and all that binding rests on; groups where the server has them."""
        kinds = (*_WATCHED, keys.Kind.NODE) if self._policy.distributed else _WATCHED
        groups = reflector.Scope(keys.Kind.VOLUME_GROUP_SNAPSHOT, optional=True)
        return [*(reflector.Scope(kind) for kind in kinds), groups]

    def build(self, cache: Cache, queues: roles.Queues, world: ports.World) -> roles.Role:
        """Return the controller's actors."""
        return roles.Cluster(cache, queues, world=world, policy=self._policy)

    def lease_name(self) -> str:
        """Return the reference's name, so that never both lead."""
        return names.CONTROLLER_LEASE


class Sidecar(RoleProcess):
    """The sidecar role."""

    name = "csi-snapshotter"
    indexes = roles.DRIVER_INDEXES
    kinds = roles.Storage.kinds

    def __init__(self, values: settings.Sidecar, shared: Shared) -> None:
        """Take the settings."""
        super().__init__(
            api=values.api, queues=values.queues, leadership=values.leadership, shared=shared
        )
        self._csi = values.csi
        self._channel: channels.Connection | None = None

    async def run(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Reach the driver first, then run as any role."""
        self._channel = channels.Connection(self._csi.csi_address, timeout=self._csi.timeout)
        try:
            await self._meet(self._channel)
            await super().run(task_status)
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(2):
                await self._channel.close()

    async def _meet(self, channel: channels.Connection) -> None:
        await channel.ready(_DRIVER_WITHIN)
        self._driver = drivers.Driver(channel)
        name = await self._driver.identify()
        channel.observe = self.shared.meters.csi(name).called
        await self._driver.probe_until_ready(self.shared.time)
        able = await self._driver.capabilities()
        if drivers.CREATE_DELETE_SNAPSHOT not in able:
            raise errors.Refused(
                f"CSI driver {name} cannot take snapshots: it does not tell the capability "
                f"{drivers.CREATE_DELETE_SNAPSHOT}, so this sidecar has nothing to do beside it"
            )
        self.component = names.sidecar_component(name)
        self.shared.health.add_ready(
            "driver", lambda: None if channel.connected() else "no connection to the driver"
        )
        csi = self._csi
        self._policy = views.DriverPolicy(
            driver=name,
            can_list=drivers.LIST_SNAPSHOTS in able,
            name_prefix=csi.snapshot_name_prefix,
            name_uuid_length=csi.snapshot_name_uuid_length,
            extra_create_metadata=csi.extra_create_metadata,
            poll_interval=csi.ready_poll_interval,
        )
        log.info("driver_ready", driver=name, capabilities=sorted(able))

    async def scopes(self) -> Iterable[reflector.Scope]:
        """Watch contents, those of this node alone with --node-deployment, and classes."""
        label = ""
        if self._csi.node_deployment:
            label = f"{names.MANAGED_BY_LABEL}={os.environ['NODE_NAME']}"
        contents, classes = _WATCHED_BESIDE_A_DRIVER
        return [reflector.Scope(contents, label_selector=label), reflector.Scope(classes)]

    def build(self, cache: Cache, queues: roles.Queues, world: ports.World) -> roles.Role:
        """Return the sidecar's actors."""
        return roles.Storage(cache, queues, world=world, driver=self._driver, policy=self._policy)

    def deadline(self) -> float:
        """Leave room for two calls to the driver: asked once more, then deleted."""
        return _DEADLINE + 2 * self._csi.timeout

    def lease_name(self) -> str:
        """Return the reference's name, so that never both lead."""
        return names.sidecar_lease(self._policy.driver)


def _check_sidecar(values: settings.Sidecar) -> None:
    """Refuse what would fail later, object by object."""
    csi = values.csi
    if not csi.snapshot_name_prefix:
        raise errors.Misconfigured("--snapshot-name-prefix must not be empty")
    if not -1 <= csi.snapshot_name_uuid_length <= 32:
        raise errors.Misconfigured(
            f"--snapshot-name-uuid-length {csi.snapshot_name_uuid_length} is not between -1 and 32"
        )
    if csi.node_deployment and not os.environ.get("NODE_NAME"):
        raise errors.Misconfigured(
            "--node-deployment needs the environment variable NODE_NAME: set it from the pod's "
            "spec.nodeName"
        )
    if csi.node_deployment and values.leadership.leader_election:
        raise errors.Misconfigured(
            "--node-deployment and --leader-election exclude each other: every node has a sidecar "
            "of its own"
        )


def _namespace(given: str) -> str:
    """Return the namespace of the Lease: given, or the pod's, or default."""
    if given:
        return given
    if found := os.environ.get("POD_NAMESPACE"):
        return found
    account = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return account.read_text().strip() if account.is_file() else "default"
