"""The API server in memory: versions, preconditions, finalizers, deletion, and a stream a kind."""

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from snapshotd import errors
from snapshotd.decide import intents
from snapshotd.model import families, groups, keys, snapshots, times, wire

T = TypeVar("T")
_BEGINNING = 1_767_225_600.0  # 2026-01-01


class Event(NamedTuple):
    """What a watch tells of one object; no object: it is gone."""

    version: int
    key: keys.Key
    obj: wire.Object | None


Watcher = Callable[[wire.Object | None, wire.Object], None]


class Api:
    """Objects with versions, and all changes since the beginning, a stream for each kind."""

    def __init__(self) -> None:
        self.objects: dict[keys.Key, wire.Object] = {}
        self.changes: list[Event] = []
        self.streams: dict[keys.Kind, list[Event]] = {}
        self.watchers: list[Watcher] = []  # told of every change: what was, and what was written
        self.sent: list[Callable[[intents.Write], None]] = []  # told of requests before they come
        self.vain: list[Callable[[intents.Write], None]] = []  # told of those that changed nothing
        self.writes = 0
        self.version = 0
        self._uids = 0

    def stamp(self) -> str:
        """Return the time now: it passes with the versions, and several share a second."""
        return times.rfc3339(_BEGINNING + self.version // 4)

    def put(self, obj: T) -> T:
        """Create or replace an object as its author would, and return it as stored."""
        assert isinstance(obj, wire.Object)
        self.version += 1
        replace = msgspec.structs.replace
        metadata = replace(obj.metadata, resource_version=str(self.version))
        if not metadata.uid:
            self._uids += 1
            metadata = replace(metadata, uid=f"uid-{self._uids}")
        if metadata.creation_timestamp is None:
            metadata = replace(metadata, creation_timestamp=self.stamp())
        stored = replace(obj, metadata=metadata)
        old = self.objects.get(stored.key)
        ends = metadata.deleting and not metadata.finalizers
        if ends:
            self.objects.pop(stored.key, None)
        else:
            self.objects[stored.key] = stored
        event = Event(self.version, stored.key, None if ends else stored)
        self.changes.append(event)
        self.streams.setdefault(stored.key.kind, []).append(event)
        for watcher in self.watchers:
            watcher(old, stored)
        return stored

    def delete(self, key: keys.Key) -> wire.Object | None:
        """Delete, or mark as to be deleted; return what is stored then."""
        obj = self.objects.get(key)
        if obj is None or obj.metadata.deleting:
            return obj
        metadata = msgspec.structs.replace(obj.metadata, deletion_timestamp=self.stamp())
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
        if isinstance(intent, intents.CreateContent | intents.CreateMember):
            made = intent.content if isinstance(intent, intents.CreateContent) else intent.snapshot
            if made.key in self.objects:
                raise errors.Conflict(f"{made.key} exists")
            return self.put(made)
        target = intent.target
        obj = self.objects.get(target.key)
        if obj is None:
            raise errors.Gone(str(target.key))
        stale = target.version not in {"", obj.metadata.resource_version}
        if obj.metadata.uid != target.uid or stale:
            raise errors.Conflict(str(target.key))
        if isinstance(intent, intents.DeleteContent | intents.DeleteMember):
            return self.delete(target.key)
        changed = _changed(obj, intent)
        if changed == obj:
            for each in self.vain:
                each(intent)
            return obj
        self.put(changed)
        return self.objects.get(target.key)


def _changed(obj: wire.Object, intent: intents.Write) -> wire.Object:
    replace = msgspec.structs.replace
    match intent:
        case intents.UpdateMetadata():
            labels = {**obj.metadata.labels, **intent.labels}
            labelled = replace(obj, metadata=replace(obj.metadata, labels=labels))
            return _with_metadata(labelled, intent.finalizers, intent.annotations)
        case intents.PrepareSnapshot():
            prepared = _with_metadata(obj, intent.finalizers, {})
            if intent.owners is not None:
                metadata = replace(prepared.metadata, owner_references=intent.owners)
                prepared = replace(prepared, metadata=metadata)
            if intent.class_name is None:
                return prepared
            return _with_spec(prepared, class_name=intent.class_name)
        case intents.BindContent():
            assert isinstance(obj, groups.AnyContent)
            ref = replace(obj.ref, uid=intent.snapshot_uid)
            bound = _with_metadata(obj, intent.finalizers, {})
            class_name = intent.class_name or obj.class_name
            return _with_spec(bound, ref=ref, class_name=class_name)
        case intents.PublishStatus():
            assert isinstance(obj, groups.AnySnapshot | groups.AnyContent)
            empty = _EMPTY[type(obj)]
            told = msgspec.structs.asdict(intent.status)
            fields = {name: value for name, value in told.items() if value is not msgspec.UNSET}
            return replace(obj, status=replace(obj.status or empty, **fields))
        case _:
            raise AssertionError(intent)


_EMPTY: dict[type, msgspec.Struct] = {
    snapshots.VolumeSnapshot: snapshots.VolumeSnapshotStatus(),
    snapshots.VolumeSnapshotContent: snapshots.VolumeSnapshotContentStatus(),
    groups.VolumeGroupSnapshot: groups.GroupStatus(),
    groups.VolumeGroupSnapshotContent: groups.GroupContentStatus(),
}


def _with_spec(obj: wire.Object, **fields: object) -> wire.Object:
    """Return the object with other fields of its spec: `ref`, `class_name`, as the kind has it."""
    assert isinstance(obj, groups.AnySnapshot | groups.AnyContent)
    word = "volume_snapshot" if obj.family is families.SINGLE else "volume_group_snapshot"
    changed = {f"{word}_{name}": value for name, value in fields.items()}
    return msgspec.structs.replace(obj, spec=msgspec.structs.replace(obj.spec, **changed))


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
