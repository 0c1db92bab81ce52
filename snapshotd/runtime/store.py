"""The one cache of every kind: what the watches deliver and what our own writes returned.

Invariants: a cached object never goes back to an older version; an object seen to be deleted stays
deleted, however late the answer to an earlier write arrives; every index and every subscriber has
seen a change by the time the call that made it returns.

Costs, with k objects under an index value: `get`, and `put` where no index value changes, O(1); a
value gained or lost O(log k) comparisons and a memmove of k pointers; `by_index` O(k); `replace`
O(objects of the kind). Nothing here awaits, so nothing interleaves.
"""

import bisect
import dataclasses
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any, Generic, Protocol, TypeVar

from snapshotd.model import keys


class Metadata(Protocol):
    """What the store reads of an object's metadata."""

    @property
    def resource_version(self) -> str:
        """The version, text of a decimal number."""

    @property
    def uid(self) -> str:
        """The incarnation."""


class Object(Protocol):
    """What the store can keep: immutable, and knowing its key."""

    @property
    def key(self) -> keys.Key:
        """Kind, namespace and name."""

    @property
    def metadata(self) -> Metadata:
        """Version and incarnation."""


T = TypeVar("T", bound=Object)
U = TypeVar("U")


@dataclasses.dataclass(frozen=True, slots=True)
class Change(Generic[T]):
    """One object before and after: `old` is None when it appears, `new` when it goes.

    Both are set, with different uids, when a name was deleted and taken again unseen.
    """

    key: keys.Key
    old: T | None
    new: T | None


@dataclasses.dataclass(frozen=True, slots=True)
class Index:
    """Finds the objects of one kind by the values that a pure function reads from each."""

    kind: keys.Kind
    values: Callable[[Any], Iterable[Hashable]]


class _Graveyard:
    """The last deletions: at which version each key went, and which incarnations did.

    Bounded, oldest forgotten first: what it guards against is an answer that is late by seconds.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._versions: OrderedDict[keys.Key, int] = OrderedDict()
        self._uids: OrderedDict[tuple[keys.Key, str], None] = OrderedDict()

    def bury(self, key: keys.Key, version: int) -> None:
        self._versions[key] = max(version, self._versions.pop(key, -1))
        if len(self._versions) > self._size:
            self._versions.popitem(last=False)

    def mourn(self, key: keys.Key, uid: str) -> None:
        self._uids[key, uid] = None
        if len(self._uids) > self._size:
            self._uids.popitem(last=False)

    def died_at(self, key: keys.Key) -> int:
        return self._versions.get(key, -1)

    def holds(self, key: keys.Key, uid: str) -> bool:
        return (key, uid) in self._uids


class Store(Generic[T]):
    """The cache. Versions are compared as integers; text that is none raises `ValueError`."""

    def __init__(
        self, indexes: Mapping[str, Index] | None = None, *, tombstones: int = 10_000
    ) -> None:
        """Start empty, with these indexes by name; `tombstones` bounds the deletions remembered."""
        self._indexes = dict(indexes or {})
        self._objects: dict[keys.Kind, dict[keys.Key, T]] = {}
        self._buckets: dict[str, dict[Hashable, list[keys.Key]]] = {
            name: {} for name in self._indexes
        }
        self._graves = _Graveyard(tombstones)
        self._listed: dict[keys.Kind, int] = {}
        self._subscribers: list[Callable[[Change[T]], None]] = []

    def subscribe(self, callback: Callable[[Change[T]], None]) -> None:
        """Have `callback` called, in the caller's stack, after every change from now on."""
        self._subscribers.append(callback)

    def get(self, key: keys.Key) -> T | None:
        """Return the object, None if it is not cached."""
        return self._of(key.kind).get(key)

    def find(self, type_: type[U], key: keys.Key) -> U | None:
        """Return the object if it is cached and of this type: `get` for typed callers."""
        found = self.get(key)
        return found if isinstance(found, type_) else None

    def of_kind(self, kind: keys.Kind) -> list[T]:
        """Return all objects of a kind, in the order in which they first came."""
        return list(self._of(kind).values())

    def count(self, kind: keys.Kind) -> int:
        """Return how many objects of a kind are cached."""
        return len(self._of(kind))

    def by_index(self, name: str, value: Hashable) -> list[T]:
        """Return the objects under one value of an index, ordered by key."""
        objects = self._of(self._indexes[name].kind)
        return [objects[key] for key in self._buckets[name].get(value, ())]

    def was_deleted(self, key: keys.Key, uid: str) -> bool:
        """Say whether this process has lately seen that incarnation go, or leave what is watched.

        False means nothing: it may be unknown, alive or long gone.
        """
        return self._graves.holds(key, uid)

    def put(self, obj: T) -> Change[T] | None:
        """Keep a watched or just written object if it is news; None if it is not.

        Not news: the version cached already or an older one, and anything older than the deletion
        of its key, or than a complete list of its kind that did not hold it.
        """
        change = self._keep(obj, self._listed.get(obj.key.kind, -1))
        self._tell(change)
        return change

    def remove(self, key: keys.Key, version: int) -> Change[T] | None:
        """Drop an object that was deleted at `version`; None if it is not cached, or newer."""
        change = self._drop(key, version)
        self._tell(change)
        return change

    def replace(self, kind: keys.Kind, objects: Iterable[T], version: int) -> list[Change[T]]:
        """Make the cache equal to a complete list taken at `version`.

        Objects that are absent from the list are removed, unless they are newer than it: those
        are our own writes. Subscribers are told when all of the list is in.
        """
        latest = self._listed.get(kind, -1)
        floor = latest if version < latest else -1  # a list from the past brings nothing back
        listed = {obj.key: obj for obj in objects}
        absent = [key for key in self._of(kind) if key not in listed]
        maybe = [self._drop(key, version) for key in absent]
        maybe += [self._keep(obj, floor) for obj in listed.values()]
        self._listed[kind] = max(version, latest)
        changes = [change for change in maybe if change is not None]
        for change in changes:
            self._tell(change)
        return changes

    def _of(self, kind: keys.Kind) -> dict[keys.Key, T]:
        return self._objects.setdefault(kind, {})

    def _keep(self, obj: T, floor: int) -> Change[T] | None:
        key = obj.key
        version = keys.version_number(obj.metadata.resource_version)
        objects = self._of(key.kind)
        old = objects.get(key)
        if old is None:
            if version <= max(floor, self._graves.died_at(key)):
                return None
        elif version <= keys.version_number(old.metadata.resource_version):
            return None
        elif old.metadata.uid != obj.metadata.uid:
            self._graves.mourn(key, old.metadata.uid)
        objects[key] = obj
        self._reindex(key, old, obj)
        return Change(key, old, obj)

    def _drop(self, key: keys.Key, version: int) -> Change[T] | None:
        objects = self._of(key.kind)
        old = objects.get(key)
        if old is not None and keys.version_number(old.metadata.resource_version) > version:
            return None
        self._graves.bury(key, version)
        if old is None:
            return None
        self._graves.mourn(key, old.metadata.uid)
        del objects[key]
        self._reindex(key, old, None)
        return Change(key, old, None)

    def _reindex(self, key: keys.Key, old: T | None, new: T | None) -> None:
        for name, index in self._indexes.items():
            if index.kind != key.kind:
                continue
            before = frozenset() if old is None else frozenset(index.values(old))
            after = frozenset() if new is None else frozenset(index.values(new))
            buckets = self._buckets[name]
            for value in before - after:
                bucket = buckets[value]
                del bucket[bisect.bisect_left(bucket, key)]
                if not bucket:
                    del buckets[value]
            for value in after - before:
                bisect.insort(buckets.setdefault(value, []), key)

    def _tell(self, change: Change[T] | None) -> None:
        if change is not None:
            for subscriber in self._subscribers:
                subscriber(change)
