"""One sidecar over the simulated API and a real driver's socket, served key by key.

Deciders, actor, cache, routing and the CSI client are the real ones. Time stands still unless a
test moves it; a key that asked for a later look gets it when the test says so.
"""

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

import anyio
import anyio.lowlevel
import keeping_groups
import msgspec
import objects
import scripted_driver
import simulated

from snapshotd import errors
from snapshotd.actors import lanes, ports, roles
from snapshotd.csi import connection
from snapshotd.csi import driver as drivers
from snapshotd.csi import groups as group_drivers
from snapshotd.decide import intents, outcomes, views
from snapshotd.model import groups, keys, meta, names, secrets, snapshots, wire
from snapshotd.runtime import failures
from snapshotd.runtime import store as caches

T = TypeVar("T", snapshots.VolumeSnapshotContent, groups.VolumeGroupSnapshotContent)

CONTENT = snapshots.content_key("snapcontent-uid-1")
GROUP = groups.group_content_key("groupsnapcontent-uid-7")
MOST_LOOKS = 50


class Clock:
    """Stands still; who sleeps is let go when a test moves it far enough."""

    def __init__(self) -> None:
        self.passed = 0.0
        self._sleepers: list[tuple[float, anyio.Event]] = []

    def now(self) -> float:
        return objects.NOW + self.passed

    def monotonic(self) -> float:
        return self.passed

    async def sleep(self, seconds: float) -> None:
        over = anyio.Event()
        self._sleepers.append((self.passed + seconds, over))
        await over.wait()

    def move(self, seconds: float) -> None:
        self.passed += seconds
        for due, over in self._sleepers:
            if due <= self.passed:
                over.set()


class Points:
    """The moments before and after each write and call; the process may die at one of them.

    `meanwhile` is what others do at the first of these moments.
    """

    def __init__(self) -> None:
        self.meanwhile: dict[str, Callable[[], None]] = {}
        self.passed: list[str] = []
        self.dies_at: int | None = None

    def pass_by(self, what: str) -> None:
        self.passed.append(what)
        self.meanwhile.pop(what, lambda: None)()
        if self.dies_at == len(self.passed) - 1:
            self.dies_at = None
            raise simulated.Crash(what)


class Writer:
    """`actors.ports.Writer` over the simulated API; Secrets may be out of reach."""

    def __init__(self, api: simulated.Api, points: Points) -> None:
        self.done: list[intents.Write] = []
        self.fails: list[errors.SnapshotdError] = []  # the next writes, in order
        self.secrets_fail: errors.SnapshotdError | None = None
        self._api = api
        self._points = points

    async def write(self, intent: intents.Write) -> wire.Object | None:
        await anyio.lowlevel.checkpoint()
        what = type(intent).__name__
        self._points.pass_by(f"before {what}")
        if self.fails:
            raise self.fails.pop(0)
        stored = self._api.write(intent)
        self.done.append(intent)
        self._points.pass_by(f"after {what}")
        return stored

    async def read(self, key: keys.Key) -> wire.Object | None:
        await anyio.lowlevel.checkpoint()
        if key.kind is keys.Kind.SECRET and self.secrets_fail is not None:
            raise self.secrets_fail
        return self._api.objects.get(key)


class Recorder:
    """Keeps what people are told."""

    def __init__(self) -> None:
        self.told: list[intents.Announce] = []

    def announce(self, event: intents.Announce) -> None:
        self.told.append(event)


C = TypeVar("C")
A = TypeVar("A")


class Client:
    """The CSI client, with a point before and after each call, and every answer kept."""

    def __init__(self, driver: drivers.Driver, points: Points) -> None:
        self.said: list[object] = []
        self._driver = driver
        self._points = points

    async def create_snapshot(
        self, call: intents.CreateSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        return await self._noted(call, credentials, self._driver.create_snapshot)

    async def delete_snapshot(
        self, call: intents.DeleteSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        return await self._noted(call, credentials, self._driver.delete_snapshot)

    async def check_snapshot(
        self, call: intents.CheckSnapshot, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        return await self._noted(call, credentials, self._driver.check_snapshot)

    async def find_snapshots(
        self, call: intents.FindSnapshots, credentials: secrets.Credentials
    ) -> outcomes.SingleAnswer:
        return await self._noted(call, credentials, self._driver.find_snapshots)

    async def create_group(
        self, call: intents.CreateGroupSnapshot, credentials: secrets.Credentials
    ) -> outcomes.GroupAnswer:
        return await self._noted(call, credentials, self._driver.create_group)

    async def delete_group(
        self, call: intents.DeleteGroupSnapshot, credentials: secrets.Credentials
    ) -> outcomes.GroupAnswer:
        return await self._noted(call, credentials, self._driver.delete_group)

    async def check_group(
        self, call: intents.CheckGroupSnapshot, credentials: secrets.Credentials
    ) -> outcomes.GroupAnswer:
        return await self._noted(call, credentials, self._driver.check_group)

    async def _noted(
        self,
        call: C,
        credentials: secrets.Credentials,
        method: Callable[[C, secrets.Credentials], Awaitable[A]],
    ) -> A:
        what = type(call).__name__
        self._points.pass_by(f"before {what}")
        answer = await method(call, credentials)
        self.said += [call, credentials, answer]
        self._points.pass_by(f"after {what}")
        return answer


@dataclasses.dataclass(frozen=True)
class Look:
    """How one reconcile ended: again after so many seconds, or as a failure."""

    after: float | None = None
    failure: Exception | None = None


class Beside(Generic[T]):
    """The API, the driver, and the sidecar between them, which may be started anew.

    A story is about one content, of `type_` and under the key `about`.
    """

    kinds: tuple[keys.Kind, ...] = (*roles.Storage.kinds, *roles.Storage.group_kinds)
    type_: type[T]
    about: keys.Key

    def __init__(self, driver: scripted_driver.Keeping, link: connection.Connection) -> None:
        self.api = simulated.Api()
        self.driver = driver
        self.clock = Clock()
        self.points = Points()
        self.writer = Writer(self.api, self.points)
        self.recorder = Recorder()
        self._using = drivers.Driver(link)

    async def start(self, **policy: object) -> None:
        """Start a new process of the sidecar over whatever is there."""
        followed = msgspec.structs.replace(await self._meet(), **policy)
        self.client = Client(self._using, self.points)
        self.waiting = simulated.Waiting()
        self._cache = caches.Store[wire.Object](roles.DRIVER_INDEXES)
        self.role = roles.Storage(
            self._cache,
            dict.fromkeys(self.kinds, self.waiting),
            world=ports.World(self.writer, self.recorder, self.clock),
            driver=self.client,
            policy=followed,
            limits=lanes.Limits(),
        )
        self._reconciles = dict(self.role.reconciles())
        self._read = len(self.api.changes)
        for obj in self.api.objects.values():
            if not isinstance(obj, secrets.Secret):
                self._cache.put(obj)
        self.role.start()
        self.role.wake_all()

    async def come_back(self) -> None:
        """Have the driver go and come back, able to do what it tells now."""
        self.role.driver_came_back(await self._meet())

    async def _meet(self) -> views.DriverPolicy:
        able = await self._using.capabilities() | await self._using.group_capabilities()
        self.driver.requests.clear()
        self.driver.asked = anyio.Event()
        can = not able.isdisjoint({drivers.LIST_SNAPSHOTS, drivers.GET_SNAPSHOT})
        return views.DriverPolicy(
            objects.DRIVER,
            can_check=can,
            can_list=drivers.LIST_SNAPSHOTS in able,
            can_group=group_drivers.CREATE_DELETE_GET_GROUP in able,
        )

    def deliver(self) -> None:
        """Deliver all that the watches have not."""
        while self._read < len(self.api.changes):
            version, key, obj = self.api.changes[self._read]
            self._read += 1
            if key.kind is keys.Kind.SECRET:
                continue
            if obj is None:
                self._cache.remove(key, version)
            else:
                self._cache.put(obj)

    async def settle(self) -> list[Look]:
        """Serve whoever is woken, until nobody is."""
        looks: list[Look] = []
        self.deliver()
        while self.waiting.keys:
            looks.append(await self.look(next(iter(self.waiting.keys))))
            self.deliver()
            assert len(looks) < MOST_LOOKS, "it does not settle"
        return looks

    async def look(self, key: keys.Key | None = None) -> Look:
        """Serve one key, as its timer would have it. Raises `Crash`."""
        key = key or self.about
        self.deliver()
        self.waiting.keys.pop(key, None)
        try:
            verdict = await self._reconciles[key.kind](key)
        except Exception as error:
            problem = failures.told(error)
            if not isinstance(problem, errors.SnapshotdError):
                raise
            return Look(failure=problem)
        except BaseExceptionGroup as group:
            if group.subgroup(simulated.Crash):
                raise simulated.Crash from group
            raise
        return Look(after=verdict.after)

    async def add(self, obj: wire.Object) -> list[Look]:
        """Put an object there as its author would, and settle."""
        self.api.put(obj)
        return await self.settle()

    async def delete(self, key: keys.Key | None = None, *, marked: bool = True) -> list[Look]:
        """Delete a content as the controller does (mark, then DELETE), or as a user does."""
        if marked:
            self.mark_for_deletion(key)
        self.api.delete(key or self.about)
        return await self.settle()

    def mark_for_deletion(self, key: keys.Key | None = None) -> None:
        """Mark a content as the controller does, and tell nobody yet."""
        found = self.content(key)
        mark = {**found.metadata.annotations, found.family.being_deleted: names.MARK}
        self.api.put(objects.changed(found, metadata__annotations=mark))

    def content(self, key: keys.Key | None = None) -> T:
        """Return the content, which is there."""
        found = self.api.find(self.type_, key or self.about)
        assert found is not None, "it is gone"
        return found

    def gone(self, key: keys.Key | None = None) -> bool:
        """Say whether the content is gone."""
        return (key or self.about) not in self.api.objects

    def marked(self) -> bool:
        """Say whether the content bears the being-created mark."""
        return self.content().being_created

    def problem(self, key: keys.Key | None = None) -> str:
        """Return the message of the error in the status, or ''."""
        error = self.content(key).error
        return (error.message or "") if error else ""

    def events(self) -> list[tuple[str, str]]:
        """Return the reason and message of each Event."""
        return [(each.reason, each.message) for each in self.recorder.told]


class Story(Beside[snapshots.VolumeSnapshotContent]):
    """A story of a single snapshot."""

    type_ = snapshots.VolumeSnapshotContent
    about = CONTENT


class GroupStory(Beside[groups.VolumeGroupSnapshotContent]):
    """A story of a group."""

    type_ = groups.VolumeGroupSnapshotContent
    about = GROUP
    driver: keeping_groups.KeepingGroups


def secret(name: str = "creds", **values: str) -> secrets.Secret:
    """Return a Secret in the namespace `vault`."""
    data = {key: value.encode() for key, value in values.items()}
    return secrets.Secret(meta.ObjectMeta(name=name, namespace="vault"), data)


def naming_secret(name: str = "creds", namespace: str = "vault") -> dict[str, str]:
    """Return the annotations by which a content names its Secret."""
    return {names.DELETION_SECRET_NAME: name, names.DELETION_SECRET_NAMESPACE: namespace}
