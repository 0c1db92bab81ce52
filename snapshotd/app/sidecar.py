"""The sidecar: the driver it works beside, what it watches, and what a lost connection means."""

import dataclasses
import os
from collections.abc import Iterable
from pathlib import Path

import anyio
import anyio.abc
import structlog

from snapshotd import errors, settings
from snapshotd.actors import lanes, ports, roles
from snapshotd.app import gates, process
from snapshotd.csi import connection as channels
from snapshotd.csi import driver as drivers
from snapshotd.csi import groups as group_drivers
from snapshotd.decide import views
from snapshotd.kube import reflector
from snapshotd.model import groups, keys, names, wire
from snapshotd.runtime import supervisor
from snapshotd.telemetry import statusz

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_MEET_AGAIN = 1.0  # seconds
_DRIVER_WITHIN = 30.0  # seconds for a driver to accept the first connection, as the reference's
_LAST_WORDS = Path("/dev/termination-log")  # what Kubernetes shows of a container that ended


async def run(values: settings.Sidecar) -> supervisor.Ending:
    """Run `snapshotd sidecar` to its end; raises `Misconfigured`."""
    _check(values)
    shared = process.Shared()
    return await process.supervise(values.observing, shared, Sidecar(values, shared).part())


class Sidecar(process.RoleProcess):
    """The sidecar role."""

    name = "csi-snapshotter"
    indexes = roles.DRIVER_INDEXES
    kinds: tuple[keys.Kind, ...] = roles.Storage.kinds

    def __init__(self, values: settings.Sidecar, shared: process.Shared) -> None:
        """Take the settings."""
        super().__init__(
            api=values.api, queues=values.queues, leadership=values.leadership, shared=shared
        )
        self._csi = values.csi
        self._groups = gates.groups_wanted(values.features)
        if self._groups:
            self.kinds = (*roles.Storage.kinds, *roles.Storage.group_kinds)
        self._limits = lanes.Limits(values.queues.worker_threads, values.csi.volume_concurrency)
        self._role: roles.Storage | None = None
        self._lost = False

    async def run(self, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Reach the driver first, then run as any role."""
        channel = channels.Connection(self._csi.csi_address, timeout=self._csi.timeout)
        self._driver = drivers.Driver(channel)
        try:
            await channel.ready(_DRIVER_WITHIN)
            self._policy = await self._meet()
            self._meter = self.shared.meters.csi(self._policy.driver)
            channel.observe = self._meter.called
            self.view.driver = lambda: statusz.Driver(
                self._policy.driver, channel.address, channel.connected()
            )
            self.component = names.sidecar_component(self._policy.driver)
            self.shared.health.add_ready(
                "driver", lambda: None if channel.connected() else "no connection to the driver"
            )
            async with anyio.create_task_group() as group:
                group.start_soon(self._mind, channel, name="driver connection")
                await super().run(task_status)
                group.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True), anyio.move_on_after(2):
                await channel.close()

    async def _mind(self, channel: channels.Connection) -> None:
        """Tell when the driver goes and comes back; what waits for it is looked at again then."""
        async with anyio.create_task_group() as group:

            def changed(up: bool) -> None:  # noqa: FBT001 - the channel's callback
                self._meter.connected(up=up)
                if not up:
                    self._lose(channel.address)
                elif self._lost:
                    group.start_soon(self._meet_again, channel, name="meet the driver again")

            await channel.watch(changed)

    def _lose(self, address: str) -> None:
        self._lost = True
        log.warning("driver_lost", driver=self._policy.driver, address=address)
        if self._csi.exit_on_connection_loss:
            if _LAST_WORDS.exists():
                _LAST_WORDS.write_text("Lost connection to CSI driver, exiting")
            raise errors.Unavailable(
                f"the connection to CSI driver {self._policy.driver} at {address} is lost, and "
                "--exit-on-connection-loss is given"
            )

    async def _meet_again(self, channel: channels.Connection) -> None:
        """Go on with a driver that came back, if it is the same; raises `Refused` if it is not.

        One that fails at first is asked again: its connection is up, and tells nothing more.
        """
        policy = None
        while policy is None:
            try:
                policy = await self._meet()
            except errors.Retryable as error:
                log.warning("driver_not_met", error=str(error))
                if not channel.connected():
                    return  # lost again: the connection tells when it is back
                await self.shared.time.sleep(_MEET_AGAIN)
        if policy.driver != self._policy.driver:
            raise errors.Refused(
                f"CSI driver {self._policy.driver} went, and {policy.driver} came in its place: "
                "start the sidecar again to work beside that one"
            )
        log.info("driver_came_back", driver=policy.driver)
        self._policy = policy
        if self._role is not None:
            self._role.driver_came_back(policy)

    async def _meet(self) -> views.DriverPolicy:
        """Ask who the driver is and what it can do; raises `Refused` if it takes no snapshots."""
        name = await self._driver.identify()
        await self._driver.probe_until_ready(self.shared.time)
        able = await self._driver.capabilities()
        if drivers.CREATE_DELETE_SNAPSHOT not in able:
            raise errors.Refused(
                f"CSI driver {name} cannot take snapshots: it does not tell the capability "
                f"{drivers.CREATE_DELETE_SNAPSHOT}, so this sidecar has nothing to do beside it"
            )
        able |= await self._driver.group_capabilities() if self._groups else frozenset()
        log.info("driver_ready", driver=name, capabilities=sorted(able))
        csi = self._csi
        return views.DriverPolicy(
            driver=name,
            can_list=drivers.LIST_SNAPSHOTS in able,
            can_check=not able.isdisjoint({drivers.LIST_SNAPSHOTS, drivers.GET_SNAPSHOT}),
            can_group=group_drivers.CREATE_DELETE_GET_GROUP in able,
            name_prefix=csi.snapshot_name_prefix,
            name_uuid_length=csi.snapshot_name_uuid_length,
            group_name_prefix=csi.groupsnapshot_name_prefix,
            group_name_uuid_length=csi.groupsnapshot_name_uuid_length,
            extra_create_metadata=csi.extra_create_metadata,
            poll_interval=csi.ready_poll_interval,
        )

    async def scopes(self) -> Iterable[reflector.Scope]:
        """Watch this driver's contents, with --node-deployment this node's alone, and classes."""
        driver = self._policy.driver

        def ours(obj: wire.Object) -> bool:
            return isinstance(obj, groups.AnyContent) and obj.spec.driver == driver

        label = ""
        if self._csi.node_deployment:
            label = f"{names.MANAGED_BY_LABEL}={os.environ['NODE_NAME']}"
        contents = reflector.Scope(
            keys.Kind.VOLUME_SNAPSHOT_CONTENT,
            label_selector=label,
            field_selector=f"spec.driver={driver}",
            keep=ours,
        )
        found = [contents, reflector.Scope(keys.Kind.VOLUME_SNAPSHOT_CLASS)]
        if self._groups:
            kind = keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT
            found.append(dataclasses.replace(contents, kind=kind, optional=True))
            found.append(reflector.Scope(keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS, optional=True))
        return found

    def build(self, cache: process.Cache, queues: roles.Queues, world: ports.World) -> roles.Role:
        """Return the sidecar's actors."""
        self._role = roles.Storage(
            cache,
            queues,
            world=world,
            driver=self._driver,
            policy=self._policy,
            limits=self._limits,
        )
        self._meter.watch_aside(self._role.aside)
        return self._role

    def deadline(self) -> float:
        """Leave room for two calls to the driver: asked once more, then deleted."""
        return super().deadline() + 2 * self._csi.timeout

    def lease_name(self) -> str:
        """Return the reference's name, so that never both lead."""
        return names.sidecar_lease(self._policy.driver)


def _check(values: settings.Sidecar) -> None:
    """Refuse what would fail later, object by object."""
    csi = values.csi
    for flag, prefix, length in (
        ("--snapshot-name", csi.snapshot_name_prefix, csi.snapshot_name_uuid_length),
        ("--groupsnapshot-name", csi.groupsnapshot_name_prefix, csi.groupsnapshot_name_uuid_length),
    ):
        if not prefix:
            raise errors.Misconfigured(f"{flag}-prefix must not be empty")
        if not -1 <= length <= 32:
            raise errors.Misconfigured(f"{flag}-uuid-length {length} is not between -1 and 32")
    if csi.volume_concurrency < 1:
        raise errors.Misconfigured(
            f"--volume-concurrency {csi.volume_concurrency}: at least 1, or no call could be made"
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
