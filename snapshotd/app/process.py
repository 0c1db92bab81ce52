"""A role as a part of a process, from its connection to its workers; reads as the design.

Reflectors fill the cache; a change wakes keys; queues hand them to actors; actors decide and
perform through the writer, the driver and the recorder. `controller` and `sidecar` say what is
watched and who acts.
"""

import dataclasses
import os
from collections.abc import Iterable
from functools import partial
from importlib import metadata
from pathlib import Path

import anyio
import anyio.abc
import structlog

from snapshotd import errors, settings
from snapshotd.actors import ports, roles
from snapshotd.app import hangup, observing
from snapshotd.kube import connection, lease, recorder, reflector, writer
from snapshotd.model import keys, wire
from snapshotd.runtime import actor, clock, garbage, lag, store, supervisor, sweep, workqueue
from snapshotd.telemetry import endpoint, metrics, statusz

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_DEADLINE = 60.0  # seconds for one reconcile beyond its calls to the driver

Cache = store.Store[wire.Object]


class Shared:
    """What every part of a process shares: the clock, the metrics, the health."""

    def __init__(self) -> None:
        """Build them."""
        self.time = clock.SystemClock()
        self.meters = metrics.Metrics(version=metadata.version("snapshotd"))
        self.health = endpoint.Health()
        self.board = statusz.Board(metadata.version("snapshotd"), now=self.time.now)


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
        """Prepare; nothing runs before `run`. Raises `Misconfigured`."""
        self._lease_labels = _labels(leadership.leader_election_labels)
        self._api = api
        self._queues = queues
        self._leadership = leadership
        self.shared = shared
        self._actors: list[actor.Actor[keys.Key]] = []
        self._leading = anyio.CancelScope()
        self._stopping = False
        self.view = observing.View(self.name, shared.time)
        shared.board.add(self.name, self.view.status)

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
            scopes = [dataclasses.replace(each, streaming=True) for each in await self.scopes()]
            cache = Cache(self.indexes)
            watches = [
                reflector.Reflector(
                    link,
                    scope,
                    store=cache,
                    clock=shared.time,
                    meters=shared.meters,
                    timing=reflector.Timing(last_retry=api.retry_crd_interval_max),
                )
                for scope in scopes
            ]
            kinds = [scope.kind for scope in scopes]
            limit = link.throttle
            shared.meters.throttle().watch(
                lambda: limit.places, lambda: limit.in_use, waiting=lambda: limit.waiting
            )
            shared.meters.cached(self.name, {k: partial(cache.count, k) for k in kinds})
            self.view.watches(link, cache, dict(zip(kinds, watches, strict=True)))
            for scope, watch in zip(scopes, watches, strict=True):
                shared.health.add_ready(f"{self.name}: {scope.kind}", watch.check)
                group.start_soon(watch.run, name=f"watch {scope.kind}")
            told = recorder.Recorder(link, self.component, clock=shared.time, meters=shared.meters)
            group.start_soon(told.run, name="events")
            role = self._equip(cache, ports.World(writer.Writer(link), told, shared.time))
            for watch in watches:
                await watch.synced.wait()
            garbage.keep_what_is_here()
            log.info("caches_synced", role=self.name)
            if keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT in self.kinds:  # groups are wanted
                _tell_absent(watches)
            task_status.started()
            await self._work(link, role, told)
            told.stop()
            group.cancel_scope.cancel()

    indexes = roles.CLUSTER_INDEXES

    def stop(self) -> None:
        """Take no more keys; what is in hand is finished."""
        self._stopping = True
        self.view.turn("stopping")
        for each in self._actors:
            each.stop()
        if not self._actors:
            self._leading.cancel()

    def _equip(self, cache: Cache, world: ports.World) -> roles.Role:
        shared, values = self.shared, self._queues
        backoff = workqueue.BackoffSettings(values.retry_interval_start, values.retry_interval_max)
        queues = {
            kind: workqueue.WorkQueue[keys.Key](
                f"{self.name}-{kind}",
                shared.time,
                backoff=backoff,
                metrics=shared.meters,
                tenant=lambda key: roles.tenant_of(key, cache),
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
        self.view.works(role, queues, self._prepared)
        return role

    kinds: tuple[keys.Kind, ...] = roles.Cluster.kinds

    async def _work(
        self, link: connection.Connection, role: roles.Role, told: recorder.Recorder
    ) -> None:
        election: lease.LeaderElection | None = None

        async def lead() -> None:
            if election is not None:
                told.announce(election.announcement())
            self.view.turn("working" if election is None else "leading")
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
            link.work.fence = election.left
            self.shared.health.watch_leader(election.check)
            self.view.turn("standby")
            await election.run(lead)

    async def _sweep(self, role: roles.Role) -> None:
        """Look slowly over all keys, for as long as the workers work."""
        if self._queues.resync_period > 0:
            await sweep.Sweep(
                keys=role.known,
                overlooked=role.overlooked,
                wake=role.wake_late,
                period=self._queues.resync_period,
                clock=self.shared.time,
                metrics=self.shared.meters,
            ).run()

    def _election(self, link: connection.Connection) -> lease.LeaderElection:
        values = self._leadership
        lock = lease.Lock(
            _namespace(values.leader_election_namespace),
            self.lease_name(),
            lease.identity(),
            self._lease_labels,
        )
        self.view.lease = str(lock)
        timing = lease.Timing(
            values.leader_election_lease_duration,
            values.leader_election_renew_deadline,
            values.leader_election_retry_period,
        )
        meters = self.shared.meters
        meters.elects(lock.name)
        return lease.LeaderElection(
            link.leases,
            lock,
            clock=self.shared.time,
            timing=timing,
            on_change=lambda leading: meters.leads(lock.name, leading=leading),
            on_slow_path=lambda: meters.slow_path(lock.name),
        )


def _tell_absent(watches: Iterable[reflector.Reflector]) -> None:
    """Warn once of all the kinds that the API server does not have, or not for us."""
    absent = {str(each.kind): each.absent for each in watches if each.absent}
    if absent:
        log.warning(
            "goes_on_without",
            kinds=list(absent),
            why="; ".join(dict.fromkeys(absent.values())),
            advice="group snapshots are not served; they are as soon as these kinds are to be had, "
            "without a restart (kubectl apply -k config/crd), or switch them off with "
            "--feature-gates=CSIVolumeGroupSnapshot=false",
        )


async def supervise(
    values: settings.Observing, shared: Shared, role: supervisor.Part
) -> supervisor.Ending:
    """Run one role to its end, and its HTTP endpoint where there is to be one."""
    parts = [*hangup.parts(), *serving(values, shared), role]
    return await supervisor.Supervisor(parts).run()


def serving(values: settings.Observing, shared: Shared) -> list[supervisor.Part]:
    """Return the HTTP endpoint as a part, if there is to be one; raises `Misconfigured`."""
    if not values.http_endpoint:
        return []
    page = endpoint.Endpoint(
        endpoint.parse_address(values.http_endpoint),
        registry=shared.meters.registry,
        health=shared.health,
        metrics_path=values.metrics_path,
        board=shared.board,
    )
    measured = lag.Lag(shared.time, shared.meters)
    return [supervisor.Part("endpoint", page.run), supervisor.Part("loop lag", measured.run)]


def _labels(text: str) -> dict[str, str]:
    """Read `key:value,key:value`, as the reference writes labels; raises `Misconfigured`."""
    pairs = [each.partition(":") for each in text.split(",") if each.strip()]
    for key, colon, value in pairs:
        if not (key.strip() and colon and value.strip()):
            raise errors.Misconfigured(
                f"--leader-election-labels {text!r}: write key:value, joined by commas"
            )
    return {key.strip(): value.strip() for key, _, value in pairs}


def _namespace(given: str) -> str:
    """Return the namespace of the Lease: given, or the pod's, or default."""
    if given:
        return given
    if found := os.environ.get("POD_NAMESPACE"):
        return found
    account = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
    return account.read_text().strip() if account.is_file() else "default"
