"""How long operations on snapshots take, as users feel it: read off the changes of the cache.

An operation begins when it is wished for and ends with what the wish was for:

    CreateSnapshot          a snapshot that is not cut yet     its creationTime is there
    CreateSnapshotAndReady  a snapshot that is not ready yet   it is ready to use
    DeleteSnapshot          a deletion was asked for           the object is gone

The same holds of groups, in words of their own (CreateGroupSnapshot and so on); their members are
snapshots, and count as such. Of groups that nobody serves here nothing is recorded.

A creation whose snapshot is deleted first is cancelled at that moment, after its own duration. What
was there when we began to lead counts from the object's own creationTimestamp or deletionTimestamp:
a failover makes nothing look quicker than its user found it. What appears later counts from when we
see it, exact where those stamps are whole seconds.

No rule writes here: whatever ended an operation, the object tells it. Invariants: nothing is
recorded before `start` (a standby records nothing); what is remembered is of cached snapshots with
an open operation, and goes with them. Costs: O(1) for each change of a snapshot.
"""

import dataclasses
from collections.abc import Collection
from typing import Final

from snapshotd.decide import publishing
from snapshotd.model import families, groups, keys, times, wire
from snapshotd.runtime import clock as clocks
from snapshotd.runtime import store as caches
from snapshotd.telemetry import handles, metrics

_UNKNOWN: Final = "unknown"


@dataclasses.dataclass(frozen=True, slots=True)
class _Words:
    """What the operations on one family are called."""

    create: handles.OperationName
    create_and_ready: handles.OperationName
    delete: handles.OperationName


_WORDS: Final = {
    families.SINGLE.snapshot_kind: _Words(
        "CreateSnapshot", "CreateSnapshotAndReady", "DeleteSnapshot"
    ),
    families.GROUP.snapshot_kind: _Words(
        "CreateGroupSnapshot", "CreateGroupSnapshotAndReady", "DeleteGroupSnapshot"
    ),
}


@dataclasses.dataclass(slots=True)
class _Open:
    """The operations on one snapshot or group that are not at their end: since when (monotonic)."""

    driver: str = _UNKNOWN
    since: dict[handles.OperationName, float] = dataclasses.field(default_factory=dict)


class Operations:
    """The operations on the snapshots and groups of a cache; the controller's, while it leads."""

    def __init__(
        self,
        cache: caches.Store[wire.Object],
        *,
        time: clocks.Clock,
        meters: metrics.Metrics,
        served: Collection[keys.Kind] = tuple(_WORDS),
    ) -> None:
        """Watch the cache for the kinds that are served; nothing is recorded before `start`."""
        self._cache = cache
        self._served = [kind for kind in _WORDS if kind in served]
        self._time = time
        self._meter = meters.operating()
        self._open: dict[str, _Open] = {}  # by uid
        self._acting = False
        cache.subscribe(self.observe)

    def start(self) -> None:
        """Begin with what is there: from now on we lead."""
        self._acting = True
        self._meter.watch(self.in_flight, self.oldest)
        for family in (families.SINGLE, families.GROUP):
            for obj in self._cache.of_kind(family.class_kind):
                self._meet(obj)
        for kind in self._served:
            for obj in self._cache.of_kind(kind):
                if isinstance(obj, groups.AnySnapshot):
                    self._settle(obj, obj, age=self._age_of(obj))

    def in_flight(self) -> int:
        """Return how many operations are not at their end."""
        return sum(len(each.since) for each in self._open.values())

    def oldest(self, name: handles.OperationName) -> float:
        """Return the seconds since the oldest operation of this name was wished for, or 0."""
        now = self._time.monotonic()
        ages = (now - each.since[name] for each in self._open.values() if name in each.since)
        return max(ages, default=0.0)

    def observe(self, change: caches.Change[wire.Object]) -> None:
        """Note what a change began and ended."""
        if not self._acting:
            return
        old, new = change.old, change.new
        self._meet(new)
        if change.key.kind not in self._served:
            return
        goes = new is None or (old is not None and old.metadata.uid != new.metadata.uid)
        if goes and isinstance(old, groups.AnySnapshot):
            self._settle(old, None)
        if isinstance(new, groups.AnySnapshot):
            self._settle(new, new)

    def _settle(
        self,
        snapshot: groups.AnySnapshot,
        state: groups.AnySnapshot | None,
        *,
        age: float = 0.0,
    ) -> None:
        """End what is at its end by its state (None: it is gone), and open what is wished for.

        What opens was wished for `age` seconds ago.
        """
        uid = snapshot.metadata.uid
        wished = _wishes(state)
        entry = self._open.get(uid)
        if entry is None:
            if not wished:
                return
            entry = self._open[uid] = _Open()
        entry.driver = self._driver_of(snapshot) or entry.driver
        now = self._time.monotonic()
        for name in [each for each in entry.since if each not in wished]:
            seconds = now - entry.since.pop(name)
            self._meter.ended(_ended(name, snapshot, state, driver=entry.driver), seconds)
        for name in wished:
            entry.since.setdefault(name, now - age)
        if not entry.since:
            del self._open[uid]

    def _meet(self, obj: wire.Object | None) -> None:
        if isinstance(obj, groups.AnyClass):
            self._meter.known(obj.driver)

    def _age_of(self, snapshot: groups.AnySnapshot) -> float:
        """Return the seconds since the snapshot, or its end, was asked for."""
        stamp = snapshot.metadata.deletion_timestamp or snapshot.metadata.creation_timestamp
        try:
            return max(0.0, self._time.now() - times.seconds(stamp or ""))
        except ValueError:
            return 0.0

    def _driver_of(self, snapshot: groups.AnySnapshot) -> str:
        """Return the driver as far as the cache tells it, or ''."""
        family = snapshot.family
        content = self._cache.get(family.content_key(publishing.bound_name(snapshot)))
        if isinstance(content, groups.AnyContent):
            return content.spec.driver
        chosen = self._cache.get(family.class_key(snapshot.class_name or ""))
        return chosen.driver if isinstance(chosen, groups.AnyClass) else ""


def _wishes(state: groups.AnySnapshot | None) -> tuple[handles.OperationName, ...]:
    """Return the operations that are wished for and not at their end."""
    if state is None:
        return ()
    words = _WORDS[state.key.kind]
    if state.metadata.deleting:
        return (words.delete,)
    if not _is_cut(state):
        return (words.create, words.create_and_ready)
    return () if state.ready else (words.create_and_ready,)


def _is_cut(state: groups.AnySnapshot) -> bool:
    """Say whether the snapshot is cut; a driver may call one ready and give it no time."""
    return state.ready or (state.status is not None and state.status.creation_time is not None)


def _ended(
    name: handles.OperationName,
    snapshot: groups.AnySnapshot,
    state: groups.AnySnapshot | None,
    *,
    driver: str,
) -> handles.Operation:
    """Return an operation that ended, and how: a creation succeeds only if its wish came true."""
    words = _WORDS[snapshot.key.kind]
    if name == words.delete:
        well = True
    elif name == words.create:
        well = state is not None and _is_cut(state)
    else:
        well = state is not None and state.ready
    type_: handles.SnapshotType = "pre-provisioned" if snapshot.given_content else "dynamic"
    return handles.Operation(driver, name, type_, "success" if well else "cancel")
