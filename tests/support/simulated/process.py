"""One role of ours as a process: its cache, queues, watches, and the operations it has in hand.

The deciders, actors and caches are the real ones; its ports lead to the simulated world.
"""

import asyncio
import enum
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

import anyio.lowlevel

from simulated import api as apis
from simulated import driver, gates
from snapshotd import errors
from snapshotd.actors import ports, roles
from snapshotd.decide import intents, views
from snapshotd.model import keys, wire
from snapshotd.runtime import store as caches

DRIVER = "hostpath.csi.k8s.io"
WORKERS = 3
K = keys.Kind
WATCHED_BY_CONTROLLER = (
    K.VOLUME_SNAPSHOT,
    K.VOLUME_SNAPSHOT_CONTENT,
    K.VOLUME_SNAPSHOT_CLASS,
    K.CLAIM,
    K.VOLUME,
    K.VOLUME_GROUP_SNAPSHOT,
    K.VOLUME_GROUP_SNAPSHOT_CONTENT,
    K.VOLUME_GROUP_SNAPSHOT_CLASS,
    K.NODE,
)
WATCHED_BY_SIDECAR = (
    K.VOLUME_SNAPSHOT_CONTENT,
    K.VOLUME_SNAPSHOT_CLASS,
    K.VOLUME_GROUP_SNAPSHOT_CONTENT,
    K.VOLUME_GROUP_SNAPSHOT_CLASS,
)
CONTENTS = (K.VOLUME_SNAPSHOT_CONTENT, K.VOLUME_GROUP_SNAPSHOT_CONTENT)
T = TypeVar("T")


class Fault(enum.Enum):
    """What happens to one write."""

    NONE = enum.auto()
    CONFLICT = enum.auto()
    REFUSED = enum.auto()
    LOST_BEFORE = enum.auto()
    LOST_AFTER = enum.auto()
    CRASH_BEFORE = enum.auto()
    CRASH_AFTER = enum.auto()


_BEFORE: dict[Fault, type[BaseException]] = {
    Fault.CONFLICT: errors.Conflict,
    Fault.REFUSED: errors.Refused,
    Fault.LOST_BEFORE: errors.Unavailable,
    Fault.CRASH_BEFORE: gates.Crash,
}


class Time:
    """A clock that moves a little with every look at it; every wait is over when the story says."""

    def __init__(self) -> None:
        self._seconds = 1000.0

    def now(self) -> float:
        """Return a moment in 2026."""
        return 1_767_225_600.0

    def monotonic(self) -> float:
        """Return a moment later than the last."""
        self._seconds += 0.1
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        """Let others run."""
        del seconds
        await anyio.lowlevel.checkpoint()
        await gates.stop(gates.Stop.SLEEP)


class Silent:
    """A recorder nobody listens to."""

    def announce(self, event: intents.Announce) -> None:
        """Drop it."""


class Writer:
    """`actors.ports.Writer` over the API, with one fault planned at a time."""

    def __init__(self, api: apis.Api) -> None:
        self.api = api
        self.fault = Fault.NONE
        self.after = 0  # writes that go well before the fault strikes

    async def write(self, intent: intents.Write) -> wire.Object | None:
        """Do one write, unless its time has come."""
        for each in self.api.sent:
            each(intent)
        fault = await self._due(intent)
        if fault in _BEFORE:
            raise _BEFORE[fault]("planned")
        stored = self.api.write(intent)
        later = await gates.stop(gates.Stop.ANSWER, intent)
        if Fault.LOST_AFTER in {fault, later}:
            raise errors.Unavailable("planned")
        if fault is Fault.CRASH_AFTER:
            raise gates.Crash
        return stored

    async def read(self, key: keys.Key) -> wire.Object | None:
        """Return what is there."""
        if await gates.stop(gates.Stop.READ, intents.Refresh(key)) is Fault.LOST_BEFORE:
            raise errors.Unavailable("planned")
        found = self.api.objects.get(key)
        await gates.stop(gates.Stop.ANSWER, intents.Refresh(key))
        return found

    async def _due(self, intent: intents.Write) -> Fault:
        if gates.current() is not None:
            fate = await gates.stop(gates.Stop.REQUEST, intent)
            return fate if isinstance(fate, Fault) else Fault.NONE
        await anyio.lowlevel.checkpoint()
        if self.fault is Fault.NONE:
            return Fault.NONE
        if self.after > 0:
            self.after -= 1
            return Fault.NONE
        due, self.fault = self.fault, Fault.NONE
        return due


class Waiting:
    """A queue without time: the keys that somebody asked to look at, and those in a hand."""

    def __init__(self) -> None:
        self.keys: dict[keys.Key, None] = {}
        self.in_hand: set[keys.Key] = set()

    def add(self, key: keys.Key, *, priority: object = None) -> None:
        """Remember it once; what is urgent the story says."""
        del priority
        self.keys[key] = None

    def __contains__(self, key: keys.Key) -> bool:
        return key in self.keys or key in self.in_hand


class Process:
    """One role: its cache, its queues, and how far each of its watches has read."""

    def __init__(
        self,
        api: apis.Api,
        *,
        storage: driver.Storage | None,
        can_list: bool = True,
        distributed: bool = False,
    ) -> None:
        self.api = api
        self.writer = Writer(api)
        self.waiting = Waiting()
        self.operations: list[gates.Operation] = []
        self.dead = False
        self.watched = WATCHED_BY_CONTROLLER if storage is None else WATCHED_BY_SIDECAR
        self._of_node = distributed and storage is not None
        world = ports.World(self.writer, Silent(), Time())
        if storage is None:
            cluster = roles.Cluster
            self.cache = caches.Store[wire.Object](roles.CLUSTER_INDEXES)
            queues = dict.fromkeys(cluster.kinds + cluster.group_kinds, self.waiting)
            policy = views.ClusterPolicy(distributed=distributed)
            self.role: roles.Role = cluster(self.cache, queues, world=world, policy=policy)
        else:
            self.cache = caches.Store[wire.Object](roles.DRIVER_INDEXES)
            kinds = roles.Storage.kinds + roles.Storage.group_kinds
            queues = dict.fromkeys(kinds, self.waiting)
            self.role = roles.Storage(
                self.cache,
                queues,
                world=world,
                driver=storage,
                policy=views.DriverPolicy(
                    DRIVER, can_check=can_list, can_list=can_list, can_group=True
                ),
            )
        self._reconciles = dict(self.role.reconciles())
        self._streams = {kind: api.streams.setdefault(kind, []) for kind in self.watched}
        self._read = {kind: len(stream) for kind, stream in self._streams.items()}
        self._listed_at = dict(self._read)
        for obj in api.objects.values():
            if obj.key.kind in self.watched and self._selects(obj):
                self.cache.put(obj)
        self.role.start()
        self.role.wake_all()

    # What its watches tell it

    @property
    def late(self) -> list[keys.Kind]:
        """The kinds of which there is something to deliver."""
        read = self._read
        return [kind for kind, stream in self._streams.items() if read[kind] < len(stream)]

    @property
    def behind(self) -> int:
        """How many changes its watches have not delivered."""
        return sum(len(self._streams[kind]) - self._read[kind] for kind in self.watched)

    def deliver(self, kind: keys.Kind | None = None) -> None:
        """Deliver the next change of a kind, or the oldest of all, if there is one."""
        late = self.late
        if kind is None and late:
            kind = min(late, key=lambda each: self._streams[each][self._read[each]].version)
        if kind in late:
            self._read[kind] += 1
            self._take(self._streams[kind][self._read[kind] - 1])

    def deliver_again(self, kind: keys.Kind, choose: Callable[[int], int]) -> None:
        """Deliver one change again that was delivered since the kind was listed."""
        since = self._listed_at[kind]
        delivered = self._streams[kind][since : self._read[kind]]
        if delivered:
            self._take(delivered[choose(len(delivered))])

    def list_again(self, kind: keys.Kind, choose: Callable[[int], int]) -> None:
        """List a kind anew, as it is now or was a moment ago, and watch from there."""
        stream = self._streams[kind]
        if not stream:
            return
        end = self._read[kind] + choose(len(stream) - self._read[kind] + 1)
        state: dict[keys.Key, wire.Object] = {}
        for event in stream[:end]:
            state.pop(event.key, None)
            if event.obj is not None and self._selects(event.obj):
                state[event.key] = event.obj
        self.cache.replace(kind, state.values(), stream[end - 1].version if end else 0)
        self._read[kind] = self._listed_at[kind] = end

    def _take(self, event: apis.Event) -> None:
        if event.obj is None:
            self.cache.remove(event.key, event.version)
        elif self._selects(event.obj):
            self.cache.put(event.obj)

    def _selects(self, obj: wire.Object) -> bool:
        """Say whether its watch is for this object: a node's sidecar has a label selector."""
        labels = obj.metadata.labels
        return not self._of_node or obj.key.kind not in CONTENTS or bool(labels)

    # What it has in hand

    @property
    def parked(self) -> list[gates.Parked]:
        """Every stop at which one of its operations stands."""
        return [parked for each in self.operations for parked in each.parked]

    @property
    def takeable(self) -> list[keys.Key]:
        """The keys that a free worker could take, in an order that is no set's."""
        if len(self.operations) >= WORKERS:
            return []
        return sorted(key for key in self.waiting.keys if key not in self.waiting.in_hand)

    @property
    def idle(self) -> bool:
        """Whether nothing is left to do or to be told."""
        return not (self.operations or self.waiting.keys or self.late)

    def take(
        self, loop: asyncio.AbstractEventLoop, key: keys.Key, known: Iterable[Hashable]
    ) -> None:
        """Have a worker take a key, as far as its first request."""
        del self.waiting.keys[key]
        self.waiting.in_hand.add(key)
        operation = gates.Operation(self, key, frozenset(known))
        self.operations.append(operation)
        operation.begin(loop, self._reconciles[key.kind])
        self._see_to(operation)

    def go_on(
        self, loop: asyncio.AbstractEventLoop, parked: gates.Parked, fate: enum.Enum | None
    ) -> None:
        """Let an operation go on from where it stands."""
        parked.operation.go_on(loop, parked, fate)
        self._see_to(parked.operation)

    def die(self, loop: asyncio.AbstractEventLoop) -> None:
        """End here: what it had in hand is lost."""
        self.dead = True
        for operation in self.operations:
            operation.die(loop)
        self.operations.clear()

    def _see_to(self, operation: gates.Operation) -> None:
        if not operation.done:
            return
        self.operations.remove(operation)
        self.waiting.in_hand.discard(operation.key)
        assert operation.task is not None
        try:
            again = operation.task.result().after is not None
        except errors.SnapshotdError:
            again = True
        if again:
            self.waiting.add(operation.key)

    def work(self, loop: asyncio.AbstractEventLoop, key: keys.Key) -> bool:
        """Reconcile one key to its end; say whether it asks for another look. Raises `Crash`."""
        self.waiting.keys.pop(key, None)
        try:
            verdict = loop.run_until_complete(self._reconciles[key.kind](key))
        except errors.SnapshotdError:
            return True
        except BaseExceptionGroup as group:
            if group.subgroup(gates.Crash):
                raise gates.Crash from group
            raise
        return verdict.after is not None
