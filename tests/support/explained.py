"""One thing that `snapshotd explain` is asked about: what is so, and what it answers."""

import dataclasses
from collections.abc import Callable, Mapping

import objects

from snapshotd.app.explain import facts, walk
from snapshotd.model import groups, keys, leases, meta, names, snapshots, volumes, wire

SNAPSHOT = keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", "snap")
CONTENT = snapshots.content_key("snapcontent-uid-1")
CLAIM = volumes.claim_key("ns", "claim")
GROUP = groups.group_key("ns", "all")
GROUP_CONTENT = groups.group_content_key("groupsnapcontent-uid-7")
GOING = {"metadata__deletion_timestamp": "2025-12-31T23:00:00Z"}
MARKED = {names.BEING_DELETED_ANNOTATION: names.MARK}
SIDECAR = names.sidecar_lease(objects.DRIVER)


def lease(name: str, renewed: str = "2025-12-31T23:59:55.000000Z") -> leases.Lease:
    return leases.Lease(
        meta.ObjectMeta(name=name, namespace="kube-system"),
        leases.LeaseSpec("pod-1", 15, renew_time=renewed),
    )


ALIVE = {each: lease(each) for each in (names.CONTROLLER_LEASE, SIDECAR)}
LONG_AGO = "2025-12-31T20:00:00.000000Z"


@dataclasses.dataclass(frozen=True)
class Situation:
    """What is so, and what is asked about."""

    told: str
    held: tuple[wire.Object, ...]
    subject: keys.Key = SNAPSHOT
    at_work: Mapping[str, leases.Lease] | None = dataclasses.field(default_factory=lambda: ALIVE)
    drivers: frozenset[str] | None = frozenset({objects.DRIVER})
    events: tuple[facts.Told, ...] = ()

    def known(self) -> facts.Facts:
        known = facts.empty(objects.NOW)
        for number, obj in enumerate(self.held, start=100):
            known.cache.put(objects.changed(obj, metadata__resource_version=str(number)))
        known.held, known.drivers = self.at_work, self.drivers
        told = (CONTENT, GROUP_CONTENT, self.subject)
        known.told = dict.fromkeys(told, self.events)
        return known

    def report(self) -> facts.Report:
        walks: dict[keys.Kind, Callable[[facts.Facts, keys.Key], facts.Report]] = {
            keys.Kind.VOLUME_SNAPSHOT: walk.snapshot,
            keys.Kind.VOLUME_SNAPSHOT_CONTENT: walk.content,
            keys.Kind.CLAIM: walk.claim,
            keys.Kind.VOLUME_GROUP_SNAPSHOT: walk.group,
            keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT: walk.content,
        }
        return walks[self.subject.kind](self.known(), self.subject)
