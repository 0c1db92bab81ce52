"""The controller role in a world of its own, and a diary of what it wrote and said, in order.

The role, its actors, rules and cache are the real ones. Its watches deliver what the API holds
whenever the role is about to look; its keys are worked off one by one; time passes only while
nothing else is to be done. A key that failed waits for `retry`: nothing is ever looked at again but
what an event, a delay that was asked for, or `retry` brings back, and wherever the role settles,
it is asked whether it overlooked anything.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

import anyio.lowlevel
import objects
import simulated

from snapshotd import errors
from snapshotd.actors import ports, roles
from snapshotd.decide import intents, views
from snapshotd.model import keys, names, snapshots, volumes, wire
from snapshotd.runtime import store as caches

SNAPSHOT = keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", "snap")
CONTENT = snapshots.content_key("snapcontent-uid-1")
GIVEN = snapshots.content_key("content")
CLAIM = volumes.claim_key("ns", "claim")
CLASS = keys.Key(keys.Kind.VOLUME_SNAPSHOT_CLASS, "", "gold")
_MOST = 200  # looks before a role that does not settle is given up


@dataclasses.dataclass
class _Fault:
    """An error of some writes: of those that are `kind`, for `on`, after `skip` that go well."""

    kind: type[intents.Intent]
    error: errors.SnapshotdError
    on: str
    skip: int
    times: int
    done: bool

    def strikes(self, intent: intents.Write, name: str) -> bool:
        if not isinstance(intent, self.kind) or self.on not in {"", name} or self.times == 0:
            return False
        if self.skip > 0:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class Clock:
    """Stands still but for what passes while a role waits."""

    def __init__(self) -> None:
        self.passed = 0.0

    def now(self) -> float:
        return objects.NOW + self.passed

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        self.passed += max(0.0, seconds)
        await anyio.lowlevel.checkpoint()


class _World:
    """Both of the role's ports to the API server, keeping the diary."""

    def __init__(self, api: simulated.Api) -> None:
        self.api = api
        self.diary: list[str] = []
        self.events: list[intents.Announce] = []
        self.reads: list[keys.Key] = []
        self.faults: list[_Fault] = []

    async def write(self, intent: intents.Write) -> wire.Object | None:
        await anyio.lowlevel.checkpoint()
        name = _name_of(intent)
        entry = f"{self._verb(intent)} {name}"
        fault = next((each for each in self.faults if each.strikes(intent, name)), None)
        if fault is not None and not fault.done:
            self.diary.append(f"{entry}, in vain")
            raise fault.error
        try:
            stored = self._store(intent)
        except errors.SnapshotdError:
            self.diary.append(f"{entry}, in vain")
            raise
        self.diary.append(entry)
        if fault is not None:
            raise fault.error
        return stored

    async def read(self, key: keys.Key) -> wire.Object | None:
        await anyio.lowlevel.checkpoint()
        self.reads.append(key)
        return self.api.objects.get(key)

    def announce(self, event: intents.Announce) -> None:
        self.events.append(event)
        self.diary.append(f"says {event.reason} of {event.about.name}")

    def _store(self, intent: intents.Write) -> wire.Object | None:
        stored = self.api.write(intent)
        if isinstance(intent, intents.UpdateMetadata) and intent.labels and stored is not None:
            labels = {**stored.metadata.labels, **intent.labels}
            if labels != stored.metadata.labels:
                stored = self.api.put(objects.changed(stored, metadata__labels=labels))
        return stored

    def _verb(self, intent: intents.Write) -> str:
        match intent:
            case intents.UpdateMetadata(finalizers=None):
                return "places" if intent.labels else "marks"
            case intents.UpdateMetadata():
                old = self.api.objects.get(intent.target.key)
                before = old.metadata.finalizers if old else ()
                return "guards" if set(intent.finalizers or ()) - set(before) else "releases"
            case _:
                return _VERBS[type(intent)]


_VERBS: dict[type[intents.Intent], str] = {
    intents.PrepareSnapshot: "prepares",
    intents.CreateContent: "creates",
    intents.BindContent: "binds",
    intents.CreateMember: "creates",
    intents.DeleteContent: "deletes",
    intents.DeleteMember: "deletes",
    intents.PublishStatus: "publishes",
}


def _name_of(intent: intents.Write) -> str:
    match intent:
        case intents.CreateContent():
            return intent.content.metadata.name
        case intents.CreateMember():
            return intent.snapshot.metadata.name
        case _:
            return intent.target.key.name


class _Queue:
    """The keys that somebody asked to look at, and those that are to be looked at later."""

    def __init__(self) -> None:
        self.now: dict[keys.Key, None] = {}
        self.later: dict[keys.Key, float] = {}
        self.failed: dict[keys.Key, errors.SnapshotdError] = {}
        self.in_hand: keys.Key | None = None

    def add(self, key: keys.Key, *, priority: object = None) -> None:
        del priority
        self.now[key] = None

    def __contains__(self, key: keys.Key) -> bool:
        return key in self.now or key in self.later or key in self.failed or key == self.in_hand


class Cluster:
    """The controller over an API of its own, or over that of another one (its successor)."""

    def __init__(
        self,
        *held: wire.Object,
        policy: views.ClusterPolicy = objects.POLICY,
        api: simulated.Api | None = None,
        with_groups: bool = True,
    ) -> None:
        self.api = simulated.Api() if api is None else api
        for obj in held:
            self.api.put(obj)
        self.clock = Clock()
        self.deaf: set[keys.Kind] = set()  # kinds whose watch is behind
        self.queue = _Queue()
        self._world = _World(self.api)
        self._seen: dict[keys.Key, wire.Object] = {}
        self.cache = caches.Store[wire.Object](roles.CLUSTER_INDEXES)
        group_kinds = roles.Cluster.group_kinds if with_groups else ()
        self.role = roles.Cluster(
            self.cache,
            dict.fromkeys((*roles.Cluster.kinds, *group_kinds), self.queue),
            world=ports.World(self._world, self._world, self.clock),
            policy=policy,
        )
        self._reconciles = dict(self.role.reconciles())
        self.deliver()
        self.role.start()
        self.role.wake_all()

    # What it did

    @property
    def diary(self) -> list[str]:
        """Every write and every announcement, in order."""
        return self._world.diary

    @property
    def writes(self) -> int:
        """How many requests to write were sent, the refused ones too."""
        return sum(not each.startswith("says") for each in self.diary)

    @property
    def events(self) -> list[intents.Announce]:
        return self._world.events

    @property
    def reads(self) -> list[keys.Key]:
        return self._world.reads

    @property
    def failed(self) -> dict[keys.Key, errors.SnapshotdError]:
        """The keys that wait for another try, with the reason."""
        return self.queue.failed

    def read_diary(self) -> list[str]:
        """Return what was done since the last time."""
        found = list(self._world.diary)
        self._world.diary.clear()
        return found

    # What others do

    def put(self, *some: wire.Object) -> None:
        """Create or replace objects, as their author would."""
        for each in some:
            self.api.put(each)

    def change(self, key: keys.Key, **fields: Any) -> None:
        """Change an object that is there."""
        self.api.put(objects.changed(self.api.objects[key], **fields))

    def delete(self, key: keys.Key) -> None:
        """Ask for an object's deletion."""
        self.api.delete(key)

    def vanish(self, key: keys.Key) -> None:
        """Delete an object, and have nothing hold it."""
        self.change(key, metadata__finalizers=())
        self.delete(key)

    def fail(
        self,
        kind: type[intents.Intent],
        error: errors.SnapshotdError,
        *,
        on: str = "",
        nth: int = 1,
        times: int = 1,
        done: bool = False,
    ) -> None:
        """Have the `nth` write of a kind fail, and `times` - 1 more; `done`: after it was done."""
        self._world.faults.append(_Fault(kind, error, on, nth - 1, times, done))

    def heal(self) -> None:
        """Let every write go well from now on."""
        self._world.faults.clear()

    # What is there

    def snapshot(self, name: str = "snap") -> snapshots.VolumeSnapshot:
        found = self.api.objects[keys.Key(keys.Kind.VOLUME_SNAPSHOT, "ns", name)]
        assert isinstance(found, snapshots.VolumeSnapshot)
        return found

    def content(self, name: str = CONTENT.name) -> snapshots.VolumeSnapshotContent:
        found = self.api.objects[snapshots.content_key(name)]
        assert isinstance(found, snapshots.VolumeSnapshotContent)
        return found

    def guards_claim(self, name: str = "claim") -> bool:
        """Say whether the claim carries our finalizer."""
        claim = self.api.objects[volumes.claim_key("ns", name)]
        return names.CLAIM_FINALIZER in claim.metadata.finalizers

    def error(self, name: str = "snap") -> str | None:
        """Return the message in the snapshot's status, None if there is none."""
        status = self.snapshot(name).status
        return status.error.message if status and status.error else None

    def overlooked(self) -> list[keys.Key]:
        """Return the keys for which there is something to do that nobody is about to do."""
        return [key for key in self.role.known() if self.role.overlooked(key)]

    # How it runs

    def deliver(self) -> None:
        """Have the watches deliver what is new, but for the kinds that are `deaf`."""
        now = dict(self.api.objects)
        for key in self._news(now):
            obj = now.get(key)
            if obj is not None:
                self._seen[key] = obj
                self.cache.put(obj)
                continue
            gone = [self._seen.pop(key), self.cache.get(key)]
            versions = [int(each.metadata.resource_version) for each in gone if each]
            self.cache.remove(key, max(versions))

    def _news(self, now: dict[keys.Key, wire.Object]) -> Iterator[keys.Key]:
        for key in [*now, *(each for each in self._seen if each not in now)]:
            if key.kind not in self.deaf and self._seen.get(key) is not now.get(key):
                yield key

    async def settle(self) -> list[str]:
        """Work until there is nothing to do; return what was done since the diary was read."""
        for _ in range(_MOST):
            self.deliver()
            key = next(iter(self.queue.now), None)
            if key is not None:
                await self.work(key)
            elif self.queue.later:
                await self._pass_time()
            else:
                assert self.overlooked() == []
                return self.read_diary()
        raise AssertionError(f"does not settle: {self.diary[-10:]}")

    async def retry(self) -> list[str]:
        """Let the failed keys have another try."""
        for key in list(self.queue.failed):
            self.queue.add(key)
        return await self.settle()

    async def work(self, key: keys.Key) -> None:
        """Reconcile one key."""
        self.queue.now.pop(key, None)
        self.queue.later.pop(key, None)
        self.queue.failed.pop(key, None)
        self.queue.in_hand = key
        try:
            verdict = await self._reconciles[key.kind](key)
        except errors.SnapshotdError as error:
            self.queue.failed[key] = error
        else:
            if verdict.after is not None:
                self.queue.later[key] = self.clock.passed + verdict.after
        finally:
            self.queue.in_hand = None

    async def _pass_time(self) -> None:
        key = min(self.queue.later, key=self.queue.later.__getitem__)
        at = self.queue.later.pop(key)
        await self.clock.sleep(at - self.clock.passed)
        self.queue.add(key)


# Objects that stories begin with: as a user would have made them, untouched by us


def bare_claim(**fields: Any) -> volumes.PersistentVolumeClaim:
    """Return the source claim, not protected yet."""
    return objects.claim(**{"metadata__finalizers": (), **fields})


def new_snapshot(name: str = "snap", **fields: Any) -> snapshots.VolumeSnapshot:
    """Return a dynamic snapshot as a user makes it."""
    uid = "uid-1" if name == "snap" else f"uid-{name}"
    base = {"metadata__name": name, "metadata__uid": uid, "metadata__finalizers": ()}
    return objects.snapshot(**{**base, **fields})


def new_given(**fields: Any) -> snapshots.VolumeSnapshot:
    """Return a pre-provisioned snapshot as a user makes it."""
    return objects.given_snapshot(**{"metadata__finalizers": (), **fields})


def source() -> tuple[wire.Object, ...]:
    """Return what a dynamic snapshot is cut from: class, claim, volume."""
    return objects.class_(), bare_claim(), objects.volume()


def ready_pair(**fields: Any) -> tuple[snapshots.VolumeSnapshot, snapshots.VolumeSnapshotContent]:
    """Return a snapshot that is ready, and its content."""
    return objects.ready_snapshot(**fields), objects.ready_content()
