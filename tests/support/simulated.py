"""A world small enough to think about: an API, a driver and two roles, in which anything may fail.

The deciders, actors and caches in it are the real ones. The API knows versions, preconditions,
finalizers and deletion; its watches deliver when they are told to. Nothing waits for real time.
"""

import asyncio
import enum
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.lowlevel
import msgspec

from snapshotd import errors
from snapshotd.actors import ports, roles
from snapshotd.decide import intents, outcomes, views
from snapshotd.model import keys, meta, names, snapshots, volumes, wire
from snapshotd.runtime import store as caches

DRIVER = "hostpath.csi.k8s.io"
NAMESPACE = "default"
T = TypeVar("T")


class Crash(BaseException):
    """The process dies here."""


class Fault(enum.Enum):
    """What happens to one write."""

    NONE = enum.auto()
    CONFLICT = enum.auto()
    LOST_BEFORE = enum.auto()
    LOST_AFTER = enum.auto()
    CRASH_BEFORE = enum.auto()
    CRASH_AFTER = enum.auto()


class DriverFault(enum.Enum):
    """What happens to one call."""

    NONE = enum.auto()
    REFUSED = enum.auto()
    INTERNAL = enum.auto()
    BUSY = enum.auto()
    LOST_BEFORE = enum.auto()
    LOST_AFTER = enum.auto()
    SLOW = enum.auto()
    CRASH_AFTER = enum.auto()


class Api:
    """Objects with versions, and the changes since the beginning."""

    def __init__(self) -> None:
        self.objects: dict[keys.Key, wire.Object] = {}
        self.changes: list[tuple[int, keys.Key, wire.Object | None]] = []
        self.writes = 0
        self.version = 0
        self._uids = 0

    def put(self, obj: T) -> T:
        """Create or replace an object as its author would, and return it as stored."""
        assert isinstance(obj, wire.Object)
        self.version += 1
        metadata = obj.metadata
        if not metadata.uid:
            self._uids += 1
            metadata = msgspec.structs.replace(metadata, uid=f"uid-{self._uids}")
        metadata = msgspec.structs.replace(metadata, resource_version=str(self.version))
        stored = msgspec.structs.replace(obj, metadata=metadata)
        if metadata.deleting and not metadata.finalizers:
            self.objects.pop(stored.key, None)
            self.changes.append((self.version, stored.key, None))
        else:
            self.objects[stored.key] = stored
            self.changes.append((self.version, stored.key, stored))
        return stored

    def delete(self, key: keys.Key) -> wire.Object | None:
        """Delete, or mark as to be deleted; return what is stored then."""
        obj = self.objects.get(key)
        if obj is None or obj.metadata.deleting:
            return obj
        stamp = f"2026-01-01T00:00:{self.version % 60:02}Z"
        metadata = msgspec.structs.replace(obj.metadata, deletion_timestamp=stamp)
        self.put(msgspec.structs.replace(obj, metadata=metadata))
        return self.objects.get(key)

    def find(self, type_: type[T], key: keys.Key) -> T | None:
        """Return the object if it is there and of this type."""
        found = self.objects.get(key)
        return found if isinstance(found, type_) else None

    def all_of(self, type_: type[T]) -> list[T]:
        """Return every object of a type."""
        return [each for each in self.objects.values() if isinstance(each, type_)]

    def write(self, intent: intents.Write) -> wire.Object | None:
        """Do one write under its precondition."""
        self.writes += 1
        if isinstance(intent, intents.CreateContent):
            if intent.content.key in self.objects:
                raise errors.Conflict(f"{intent.content.key} exists")
            return self.put(intent.content)
        target = intent.target
        obj = self.objects.get(target.key)
        if obj is None:
            raise errors.Gone(str(target.key))
        stale = target.version not in {"", obj.metadata.resource_version}
        if obj.metadata.uid != target.uid or stale:
            raise errors.Conflict(str(target.key))
        if isinstance(intent, intents.DeleteContent):
            return self.delete(target.key)
        changed = _changed(obj, intent)
        if changed == obj:
            return obj
        self.put(changed)
        return self.objects.get(target.key)


def _changed(obj: wire.Object, intent: intents.Write) -> wire.Object:
    replace = msgspec.structs.replace
    match intent:
        case intents.UpdateMetadata():
            return _with_metadata(obj, intent.finalizers, intent.annotations)
        case intents.PrepareSnapshot():
            assert isinstance(obj, snapshots.VolumeSnapshot)
            prepared = _with_metadata(obj, intent.finalizers, {})
            if intent.class_name is None:
                return prepared
            spec = replace(obj.spec, volume_snapshot_class_name=intent.class_name)
            return replace(prepared, spec=spec)
        case intents.BindContent():
            assert isinstance(obj, snapshots.VolumeSnapshotContent)
            ref = replace(obj.spec.volume_snapshot_ref, uid=intent.snapshot_uid)
            class_name = intent.class_name or obj.spec.volume_snapshot_class_name
            spec_ = replace(
                obj.spec, volume_snapshot_ref=ref, volume_snapshot_class_name=class_name
            )
            return replace(_with_metadata(obj, intent.finalizers, {}), spec=spec_)
        case intents.PublishStatus():
            assert isinstance(obj, snapshots.VolumeSnapshot | snapshots.VolumeSnapshotContent)
            empty = (
                snapshots.VolumeSnapshotStatus()
                if isinstance(obj, snapshots.VolumeSnapshot)
                else snapshots.VolumeSnapshotContentStatus()
            )
            told = msgspec.structs.asdict(intent.status)
            fields = {name: value for name, value in told.items() if value is not msgspec.UNSET}
            return replace(obj, status=replace(obj.status or empty, **fields))
        case _:
            raise AssertionError(intent)


def _with_metadata(
    obj: wire.Object, finalizers: tuple[str, ...] | None, annotations: dict[str, str | None]
) -> wire.Object:
    metadata = obj.metadata
    added = set(finalizers or ()) - set(metadata.finalizers)
    if metadata.deleting and added:
        raise errors.Invalid(f"no new finalizers may be added to {obj.key}: it is being deleted")
    merged = {**metadata.annotations, **annotations}
    kept = {name: value for name, value in merged.items() if value is not None}
    return msgspec.structs.replace(
        obj,
        metadata=msgspec.structs.replace(
            metadata,
            finalizers=metadata.finalizers if finalizers is None else finalizers,
            annotations=kept,
        ),
    )


class Time:
    """A clock that moves a second with every look at it; every wait is over at once."""

    def __init__(self) -> None:
        self._seconds = 1000.0

    def now(self) -> float:
        """Return a moment in 2026."""
        return 1_767_225_600.0

    def monotonic(self) -> float:
        """Return a second more than the last time."""
        self._seconds += 1.0
        return self._seconds

    async def sleep(self, seconds: float) -> None:
        """Let others run."""
        del seconds
        await anyio.lowlevel.checkpoint()


class Silent:
    """A recorder nobody listens to."""

    def announce(self, event: intents.Announce) -> None:
        """Drop it."""


class Writer:
    """`actors.ports.Writer` over the API, with one fault planned at a time."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self.fault = Fault.NONE
        self.after = 0  # writes that go well before the fault strikes

    async def write(self, intent: intents.Write) -> wire.Object | None:
        """Do one write, unless its time has come."""
        await anyio.lowlevel.checkpoint()
        fault = self._due()
        if fault is Fault.CONFLICT:
            raise errors.Conflict("planned")
        if fault is Fault.LOST_BEFORE:
            raise errors.Unavailable("planned")
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        stored = self.api.write(intent)
        if fault is Fault.LOST_AFTER:
            raise errors.Unavailable("planned")
        if fault is Fault.CRASH_AFTER:
            raise Crash
        return stored

    async def read(self, key: keys.Key) -> wire.Object | None:
        """Return what is there."""
        await anyio.lowlevel.checkpoint()
        return self.api.objects.get(key)

    def _due(self) -> Fault:
        if self.fault is Fault.NONE:
            return Fault.NONE
        if self.after > 0:
            self.after -= 1
            return Fault.NONE
        due, self.fault = self.fault, Fault.NONE
        return due


class Storage:
    """A driver that keeps snapshots by name, and remembers every one it ever cut."""

    def __init__(self, may_delete: Callable[[str], bool]) -> None:
        self.by_name: dict[str, outcomes.SnapshotInfo] = {}
        self.given: set[str] = set()  # handles that were there before
        self.cut: dict[str, int] = {}
        self.faults: list[DriverFault] = []  # of the next calls, in order
        self.polls_until_ready = 0
        self._may_delete = may_delete
        self._polls: dict[str, int] = {}

    @property
    def handles(self) -> set[str]:
        """Every snapshot that exists."""
        return self.given | {info.handle for info in self.by_name.values()}

    def _fault(self) -> DriverFault:
        return self.faults.pop(0) if self.faults else DriverFault.NONE

    async def create_snapshot(
        self, call: intents.CreateSnapshot, credentials: object
    ) -> outcomes.Answer:
        """CSI CreateSnapshot, idempotent by name."""
        del credentials
        fault = self._fault()
        early = {
            DriverFault.REFUSED: outcomes.Code.INVALID_ARGUMENT,
            DriverFault.INTERNAL: outcomes.Code.INTERNAL,
            DriverFault.BUSY: outcomes.Code.ABORTED,
            DriverFault.LOST_BEFORE: outcomes.Code.UNAVAILABLE,
        }
        if fault in early and not (fault is DriverFault.REFUSED and call.name in self.by_name):
            return outcomes.Refusal(early[fault], "planned")
        if fault is DriverFault.SLOW:
            for _ in range(10):
                await anyio.lowlevel.checkpoint()
        if call.name not in self.by_name:
            self.cut[call.name] = self.cut.get(call.name, 0) + 1
            handle = f"{call.name}#{self.cut[call.name]}"
            self.by_name[call.name] = outcomes.SnapshotInfo(
                handle, call.source_volume, creation_time=10**18, size=1 << 30
            )
        if fault is DriverFault.CRASH_AFTER:
            raise Crash
        if fault is DriverFault.LOST_AFTER:
            return outcomes.Refusal(outcomes.Code.DEADLINE_EXCEEDED, "planned")
        return self._state(self.by_name[call.name])

    async def delete_snapshot(
        self, call: intents.DeleteSnapshot, credentials: object
    ) -> outcomes.Answer:
        """CSI DeleteSnapshot, idempotent."""
        del credentials
        fault = self._fault()
        if fault in {DriverFault.REFUSED, DriverFault.INTERNAL, DriverFault.BUSY}:
            return outcomes.Refusal(outcomes.Code.FAILED_PRECONDITION, "planned")
        if fault is DriverFault.LOST_BEFORE:
            return outcomes.Refusal(outcomes.Code.UNAVAILABLE, "planned")
        assert self._may_delete(call.handle), f"{call.handle} must not be deleted on storage"
        self.given.discard(call.handle)
        kept = {name: info for name, info in self.by_name.items() if info.handle != call.handle}
        self.by_name = kept
        if fault is DriverFault.CRASH_AFTER:
            raise Crash
        if fault is DriverFault.LOST_AFTER:
            return outcomes.Refusal(outcomes.Code.DEADLINE_EXCEEDED, "planned")
        return outcomes.Deleted()

    async def check_snapshot(
        self, call: intents.CheckSnapshot, credentials: object
    ) -> outcomes.Answer:
        """CSI ListSnapshots by id."""
        del credentials
        fault = self._fault()
        if fault is not DriverFault.NONE:
            return outcomes.Refusal(outcomes.Code.UNAVAILABLE, "planned")
        if call.handle in self.given:
            return outcomes.SnapshotInfo(call.handle, creation_time=10**18, size=1, ready=True)
        for info in self.by_name.values():
            if info.handle == call.handle:
                return self._state(info)
        return outcomes.NotListed()

    async def find_snapshots(
        self, call: intents.FindSnapshots, credentials: object
    ) -> outcomes.Answer:
        """CSI ListSnapshots of a volume."""
        del credentials
        if self._fault() is not DriverFault.NONE:
            return outcomes.Refusal(outcomes.Code.UNAVAILABLE, "planned")
        ours = (each for each in self.by_name.values() if each.source_volume == call.source_volume)
        return outcomes.Found(tuple(ours))

    def _state(self, info: outcomes.SnapshotInfo) -> outcomes.SnapshotInfo:
        polls = self._polls[info.handle] = self._polls.get(info.handle, 0) + 1
        return msgspec.structs.replace(info, ready=polls > self.polls_until_ready)


class Waiting:
    """A queue without time: the keys that somebody asked to look at."""

    def __init__(self) -> None:
        self.keys: dict[keys.Key, None] = {}

    def add(self, key: keys.Key, *, priority: object = None) -> None:
        """Remember it once."""
        del priority
        self.keys[key] = None

    def __contains__(self, key: keys.Key) -> bool:
        return key in self.keys


class Process:
    """One role: its cache, its queues and how far its watches have read."""

    def __init__(self, api: Api, *, storage: Storage | None, can_list: bool = True) -> None:
        self.api = api
        self.writer = Writer(api)
        self.waiting = Waiting()
        world = ports.World(self.writer, Silent(), Time())
        if storage is None:
            cluster = roles.Cluster
            self.cache = caches.Store[wire.Object](roles.CLUSTER_INDEXES)
            queues = dict.fromkeys(cluster.kinds, self.waiting)
            policy = views.ClusterPolicy()
            self.role: roles.Role = cluster(self.cache, queues, world=world, policy=policy)
        else:
            self.cache = caches.Store[wire.Object](roles.DRIVER_INDEXES)
            queues = dict.fromkeys(roles.Storage.kinds, self.waiting)
            self.role = roles.Storage(
                self.cache,
                queues,
                world=world,
                driver=storage,
                policy=views.DriverPolicy(DRIVER, can_check=can_list),
            )
        self._reconciles = dict(self.role.reconciles())
        self._read = len(api.changes)
        for obj in api.objects.values():
            self.cache.put(obj)
        self.role.start()
        self.role.wake_all()

    @property
    def behind(self) -> int:
        """How many changes its watches have not delivered."""
        return len(self.api.changes) - self._read

    def deliver(self) -> None:
        """Deliver the next change, if there is one."""
        if self.behind:
            version, key, obj = self.api.changes[self._read]
            self._read += 1
            if obj is None:
                self.cache.remove(key, version)
            else:
                self.cache.put(obj)

    def work(self, loop: asyncio.AbstractEventLoop, key: keys.Key) -> bool:
        """Reconcile one key; say whether it asks to be looked at again. Raises `Crash`."""
        self.waiting.keys.pop(key, None)
        try:
            verdict = loop.run_until_complete(self._reconciles[key.kind](key))
        except errors.SnapshotdError:
            return True
        except BaseExceptionGroup as group:
            if group.subgroup(Crash):
                raise Crash from group
            raise
        return verdict.after is not None


def snapshot_class(name: str, policy: str, *, default: bool = False) -> wire.Object:
    """Return a class of the driver."""
    annotations = {names.DEFAULT_CLASS_ANNOTATION: "true"} if default else {}
    return snapshots.VolumeSnapshotClass(
        meta.ObjectMeta(name=name, annotations=annotations), DRIVER, policy
    )


def bound_claim(name: str) -> tuple[volumes.PersistentVolumeClaim, volumes.PersistentVolume]:
    """Return a claim and its volume, each bound to the other."""
    claim = volumes.PersistentVolumeClaim(
        meta.ObjectMeta(name=name, namespace=NAMESPACE),
        volumes.ClaimSpec(volume_name=f"pv-{name}"),
        volumes.ClaimStatus(phase=names.BOUND),
    )
    volume = volumes.PersistentVolume(
        meta.ObjectMeta(name=f"pv-{name}"),
        volumes.VolumeSpec(
            csi=volumes.CsiVolumeSource(DRIVER, f"handle-{name}"),
            claim_ref=meta.ObjectReference(namespace=NAMESPACE, name=name),
        ),
    )
    return claim, volume
