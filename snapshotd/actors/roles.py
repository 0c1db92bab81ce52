"""Which queue feeds which actor, and which change wakes what: one object a role.

`app.py` gives a role its ports and its queues' workers; everything between a change in the cache
and an actor's hand is joined here.
"""

import typing
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

from snapshotd.actors import binding, creation, lanes, operations, perform, ports, protection
from snapshotd.decide import indexes, intents, routing, views
from snapshotd.model import groups, keys, snapshots, wire
from snapshotd.runtime import actor, turns
from snapshotd.runtime import store as caches

Reconcile = Callable[[keys.Key], Awaitable[actor.Verdict]]

CLUSTER_INDEXES: Mapping[str, caches.Index] = {
    indexes.SNAPSHOTS_BY_CLAIM: caches.Index(
        keys.Kind.VOLUME_SNAPSHOT, indexes.unfinished_by_claim
    ),
    indexes.SNAPSHOTS_BY_CONTENT: caches.Index(keys.Kind.VOLUME_SNAPSHOT, indexes.by_content),
    indexes.SNAPSHOTS_BY_CLASS: caches.Index(keys.Kind.VOLUME_SNAPSHOT, indexes.unbound_by_class),
    indexes.CLAIMS_BY_SNAPSHOT: caches.Index(keys.Kind.CLAIM, indexes.restore_of),
    indexes.MEMBERS_BY_GROUP: caches.Index(keys.Kind.VOLUME_SNAPSHOT, indexes.member_of),
    indexes.VOLUMES_BY_HANDLE: caches.Index(keys.Kind.VOLUME, indexes.by_handle),
    indexes.UNPLACED_CONTENTS: caches.Index(keys.Kind.VOLUME_SNAPSHOT_CONTENT, indexes.unplaced),
    indexes.UNPLACED_GROUP_CONTENTS: caches.Index(
        keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT, indexes.unplaced
    ),
    indexes.CLAIMS_BY_NAMESPACE: caches.Index(keys.Kind.CLAIM, indexes.by_namespace),
    indexes.GIVEN_BY_GROUP: caches.Index(keys.Kind.VOLUME_SNAPSHOT_CONTENT, indexes.given_by_group),
    indexes.GROUPS_BY_CONTENT: caches.Index(keys.Kind.VOLUME_GROUP_SNAPSHOT, indexes.by_content),
    indexes.GROUPS_BY_CLASS: caches.Index(
        keys.Kind.VOLUME_GROUP_SNAPSHOT, indexes.unbound_by_class
    ),
    indexes.GROUPS_BY_NAMESPACE: caches.Index(
        keys.Kind.VOLUME_GROUP_SNAPSHOT, indexes.unfinished_group
    ),
    indexes.GROUP_CONTENTS_BY_HANDLE: caches.Index(
        keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT, indexes.group_by_handle
    ),
}
DRIVER_INDEXES: Mapping[str, caches.Index] = {
    indexes.CONTENTS_BY_CLASS: caches.Index(
        keys.Kind.VOLUME_SNAPSHOT_CONTENT, indexes.unready_by_class
    ),
    indexes.GROUP_CONTENTS_BY_CLASS: caches.Index(
        keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT, indexes.unready_by_class
    ),
}


class Queue(Protocol):
    """Where keys wait: all that a role needs of `runtime.workqueue`."""

    def add(self, key: keys.Key, *, priority: turns.Priority) -> object:
        """Have a key served when it is its turn."""

    def __contains__(self, key: keys.Key) -> bool:
        """Say whether the key is queued or in a hand."""


Queues = Mapping[keys.Kind, Queue]

# What changes the world: all but looking again, waking and telling.
_ALWAYS = {keys.Kind.VOLUME_SNAPSHOT, keys.Kind.VOLUME_GROUP_SNAPSHOT}
_DEEDS = typing.get_args(intents.Write) + typing.get_args(intents.Call)


def tenant_of(key: keys.Key, cache: caches.Store[wire.Object]) -> str:
    """Return whose a key is, so that tenants are served in turn: the snapshot's namespace."""
    match cache.get(key):
        case snapshots.VolumeSnapshotContent() | groups.VolumeGroupSnapshotContent() as content:
            return content.ref.namespace
        case _:
            return key.namespace


class Role:
    """Queues by kind, and the reconcile that each kind's keys go to."""

    def __init__(self, cache: caches.Store[wire.Object], queues: Queues) -> None:
        """Take the cache and one queue for every kind that is reconciled."""
        self.cache = cache
        self.queues = queues
        self._news = turns.Priority.BACKLOG

    def start(self) -> None:
        """Take note that the cache is complete, and that from now on it is we who act.

        What changed until now is backlog; what changes from now on, somebody has just asked for.
        """
        self._news = turns.Priority.REQUEST

    def reconciles(self) -> Iterator[tuple[keys.Kind, Reconcile]]:
        """Yield each kind with the reconcile of its keys."""
        raise NotImplementedError

    def look(self, key: keys.Key) -> intents.Decision:
        """Decide for a key and do nothing."""
        raise NotImplementedError

    def overlooked(self, key: keys.Key) -> bool:
        """Say whether there is something to do for a key, and nobody is about to look at it."""
        queue = self.queues.get(key.kind)
        if queue is None or key in queue:
            return False
        return self.foresees(key, _DEEDS)

    def foresees(self, key: keys.Key, kinds: tuple[type, ...] = (object,)) -> bool:
        """Say whether a look at a key would lead to intents of these kinds.

        A look that breaks is for the actor to make again: it tells of it, counts it and backs off.
        """
        try:
            found = self.look(key).intents
        except Exception:  # noqa: BLE001 - a defect, which must harm no other key
            return True
        return any(isinstance(each, kinds) for each in found)

    def known(self) -> Iterator[keys.Key]:
        """Yield the key of every cached object that is reconciled."""
        for kind in self.queues:
            for obj in self.cache.of_kind(kind):
                yield obj.key

    def wake(self, key: keys.Key, priority: turns.Priority = turns.Priority.REQUEST) -> None:
        """Have a key looked at now; kinds without a queue are not ours to look at."""
        queue = self.queues.get(key.kind)
        if queue is not None:
            queue.add(key, priority=priority)

    def wake_late(self, key: keys.Key) -> None:
        """Have a key looked at when nothing more urgent waits."""
        self.wake(key, turns.Priority.BACKLOG)

    def wake_all(self) -> None:
        """Have every cached object looked at: once, when the cache is complete."""
        for key in self.known():
            self.wake_late(key)


class Cluster(Role):
    """The controller: snapshots and groups, the controller's half of contents, claims.

    Without queues for `group_kinds` it leaves groups alone.
    """

    kinds = (keys.Kind.VOLUME_SNAPSHOT, keys.Kind.VOLUME_SNAPSHOT_CONTENT, keys.Kind.CLAIM)
    group_kinds = (keys.Kind.VOLUME_GROUP_SNAPSHOT, keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT)

    def __init__(
        self,
        cache: caches.Store[wire.Object],
        queues: Queues,
        *,
        world: ports.World,
        policy: views.ClusterPolicy,
        measured: operations.Operations | None = None,
    ) -> None:
        """Build the actors and have changes wake them; the cache needs `CLUSTER_INDEXES`."""
        super().__init__(cache, queues)
        hands = perform.Performer(cache, world=world, wake=self.wake)
        self._snapshots = binding.SnapshotActor(cache, hands, policy=policy, time=world.time)
        self._claims = protection.ClaimActor(cache, hands)
        self._measured = measured
        cache.subscribe(self._route)

    def start(self) -> None:
        """Take note that it is we who act: from now on operations are measured."""
        super().start()
        if self._measured is not None:
            self._measured.start()

    def reconciles(self) -> Iterator[tuple[keys.Kind, Reconcile]]:
        """Yield each kind with the reconcile of its keys."""
        yield keys.Kind.VOLUME_SNAPSHOT, self._snapshots.reconcile
        yield keys.Kind.VOLUME_SNAPSHOT_CONTENT, self._snapshots.reconcile_content
        yield keys.Kind.CLAIM, self._claims.reconcile
        if keys.Kind.VOLUME_GROUP_SNAPSHOT in self.queues:
            yield keys.Kind.VOLUME_GROUP_SNAPSHOT, self._snapshots.reconcile
            yield keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT, self._snapshots.reconcile_content

    def look(self, key: keys.Key) -> intents.Decision:
        """Decide for a key and do nothing."""
        if key.kind is keys.Kind.CLAIM:
            return self._claims.look(key)
        return self._snapshots.look(key)

    def _route(self, change: caches.Change[wire.Object]) -> None:
        for key in routing.wakes_in_cluster(change.old, change.new, self.cache):
            # Claims and contents are decided on what is cached alone, and mostly need nothing: to
            # find that out here costs a quarter of a way through the queue.
            if key.kind in _ALWAYS or (key.kind in self.queues and self.foresees(key)):
                self.wake(key, self._news)


class Storage(Role):
    """The sidecar: contents of one driver, and of its groups where there is a queue for them."""

    kinds = (keys.Kind.VOLUME_SNAPSHOT_CONTENT,)
    group_kinds = (keys.Kind.VOLUME_GROUP_SNAPSHOT_CONTENT,)

    def __init__(
        self,
        cache: caches.Store[wire.Object],
        queues: Queues,
        *,
        world: ports.World,
        driver: ports.Driver,
        policy: views.DriverPolicy,
        limits: lanes.Limits | None = None,
    ) -> None:
        """Build the actor and have changes wake it; the cache needs `DRIVER_INDEXES`."""
        super().__init__(cache, queues)
        hands = perform.Performer(cache, world=world, wake=self.wake)
        self._contents = creation.ContentActor(
            cache,
            hands,
            driver=driver,
            policy=policy,
            limits=limits or lanes.Limits(),
            time=world.time,
        )
        cache.subscribe(self._route)

    def start(self) -> None:
        """Take what appears from now on as new: the cache is complete."""
        super().start()
        self._contents.start()

    def aside(self) -> int:
        """Return how many contents wait for room for a call to the driver."""
        return self._contents.aside()

    def driver_came_back(self, policy: views.DriverPolicy) -> None:
        """Look at everything again, by what the driver can do now."""
        self._contents.follow(policy)
        self.wake_all()

    def reconciles(self) -> Iterator[tuple[keys.Kind, Reconcile]]:
        """Yield each kind with the reconcile of its keys."""
        for kind in self.queues:
            yield kind, self._contents.reconcile

    def look(self, key: keys.Key) -> intents.Decision:
        """Decide for a key and do nothing."""
        return self._contents.look(key)

    def _route(self, change: caches.Change[wire.Object]) -> None:
        for key in routing.wakes_at_driver(change.old, change.new, self.cache):
            self.wake(key, self._news)
