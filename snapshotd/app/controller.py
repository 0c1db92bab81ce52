"""The controller: what it watches, and how it decides."""

from collections.abc import Iterable

from snapshotd import settings
from snapshotd.actors import operations, ports, roles
from snapshotd.app import gates, process
from snapshotd.decide import views
from snapshotd.kube import reflector
from snapshotd.model import keys, names
from snapshotd.runtime import supervisor

_WATCHED = (
    keys.Kind.VOLUME_SNAPSHOT,
    keys.Kind.VOLUME_SNAPSHOT_CONTENT,
    keys.Kind.VOLUME_SNAPSHOT_CLASS,
    keys.Kind.CLAIM,
    keys.Kind.VOLUME,
)
_GROUPS = (
    keys.Kind.VOLUME_GROUP_SNAPSHOT,
    keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT,
    keys.Kind.VOLUME_GROUP_SNAPSHOT_CLASS,
)


async def run(values: settings.Controller) -> supervisor.Ending:
    """Run `snapshotd controller` to its end."""
    shared = process.Shared()
    return await process.supervise(values.observing, shared, Controller(values, shared).part())


class Controller(process.RoleProcess):
    """The controller role."""

    name = "snapshot-controller"
    component = names.CONTROLLER_COMPONENT

    def __init__(self, values: settings.Controller, shared: process.Shared) -> None:
        """Take the settings; raises `Misconfigured`."""
        super().__init__(
            api=values.api, queues=values.queues, leadership=values.leadership, shared=shared
        )
        self._groups = gates.groups_wanted(values.features)
        if self._groups:
            self.kinds = (*roles.Cluster.kinds, *roles.Cluster.group_kinds)
        rules = values.rules
        self._policy = views.ClusterPolicy(
            status_hold=rules.status_hold,
            prevent_volume_mode_conversion=rules.prevent_volume_mode_conversion,
            distributed=rules.enable_distributed_snapshotting,
        )

    async def scopes(self) -> Iterable[reflector.Scope]:
        """Watch snapshots, and all that binding rests on; groups where the server has them.

        Groups themselves always: as long as one is there its members must not go.
        """
        kinds = (*_WATCHED, keys.Kind.NODE) if self._policy.distributed else _WATCHED
        of_groups = _GROUPS if self._groups else _GROUPS[:1]
        return [
            *(reflector.Scope(kind) for kind in kinds),
            *(reflector.Scope(kind, optional=True) for kind in of_groups),
        ]

    def build(self, cache: process.Cache, queues: roles.Queues, world: ports.World) -> roles.Role:
        """Return the controller's actors."""
        measured = operations.Operations(
            cache, time=world.time, meters=self.shared.meters, served=self.kinds
        )
        return roles.Cluster(cache, queues, world=world, policy=self._policy, measured=measured)

    def lease_name(self) -> str:
        """Return the reference's name, so that never both lead."""
        return names.CONTROLLER_LEASE
