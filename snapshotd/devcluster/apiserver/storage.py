"""Objects and their history: one version counter for all, and watches that miss nothing.

Invariants: versions only grow, and every change has its own; an object's encoded form is made once
a change and shared by every answer and every watcher; a change is in the file, where there is one,
before anybody is told of it. Everything here is synchronous, so nothing interleaves.
"""

import dataclasses
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from snapshotd.devcluster.apiserver import errors, persistence

JsonObject = dict[str, Any]
Ident = tuple[str, str]  # group and plural: what the versions of one kind share
Name = tuple[str, str]  # namespace ('' for cluster-scoped kinds) and name

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """One object in one version; `value` must not be changed by anybody."""

    value: JsonObject
    version: int
    body: bytes


@dataclasses.dataclass(frozen=True, slots=True)
class Change:
    """One change of one object: `old` is None for a creation, `new` for a deletion.

    `last` is what watchers of a deletion are shown: the object with the deletion's version.
    """

    version: int
    name: Name
    old: Stored | None
    new: Stored | None
    last: Stored


class _Shelf:
    """The objects of one kind, and the last changes to them."""

    def __init__(self, window: int, since: int) -> None:
        self.objects: dict[Name, Stored] = {}
        self.history: deque[Change] = deque(maxlen=window)
        self.since = since  # changes after this version are all in the history
        self.listeners: set[Callable[[Change], None]] = set()

    def remember(self, change: Change) -> None:
        if len(self.history) == self.history.maxlen:
            self.since = self.history[0].version
        self.history.append(change)


class Storage:
    """All objects of all kinds; `window` changes of each kind can be watched from the past."""

    def __init__(
        self, file: persistence.Persistence | None = None, *, window: int = 20_000
    ) -> None:
        """Take up what the file holds, if there is one."""
        self._file = file
        self._window = window
        self._shelves: dict[Ident, _Shelf] = {}
        self.version = 1
        if file is not None:
            self._load(file)

    def _load(self, file: persistence.Persistence) -> None:
        self.version = max(self.version, file.version())
        for row in file.rows():
            stored = Stored(_decode(row.body), row.version, row.body)
            self._shelf((row.group, row.plural)).objects[row.namespace, row.name] = stored

    def _shelf(self, ident: Ident) -> _Shelf:
        shelf = self._shelves.get(ident)
        if shelf is None:
            shelf = self._shelves[ident] = _Shelf(self._window, self.version)
        return shelf

    def get(self, ident: Ident, name: Name) -> Stored | None:
        """Return the object, None if there is none."""
        return self._shelf(ident).objects.get(name)

    def count(self, ident: Ident) -> int:
        """Return how many objects of a kind there are."""
        return len(self._shelf(ident).objects)

    def all_of(self, ident: Ident, namespace: str = "") -> list[tuple[Name, Stored]]:
        """Return a kind's objects ordered by name; of one namespace unless it is ''."""
        found = self._shelf(ident).objects.items()
        return sorted(
            (item for item in found if not namespace or item[0][0] == namespace),
            key=lambda item: item[0],
        )

    def idents(self) -> Iterator[Ident]:
        """Iterate over the kinds that have, or had, objects."""
        return iter(list(self._shelves))

    def put(self, ident: Ident, name: Name, value: JsonObject) -> Stored:
        """Store a new state (`value` is ours from here on); its resourceVersion is set here."""
        shelf = self._shelf(ident)
        old = shelf.objects.get(name)
        stored = self._stamp(value)
        self._save(ident, name, stored)
        shelf.objects[name] = stored
        self._tell(shelf, Change(stored.version, name, old, stored, stored))
        return stored

    def remove(self, ident: Ident, name: Name, value: JsonObject | None = None) -> Stored:
        """Remove an object; return its last state, with the deletion's version.

        `value` is that last state, where the write that ends an object changes it too.
        """
        shelf = self._shelf(ident)
        old = shelf.objects.pop(name)
        last = self._stamp(value or {**old.value, "metadata": {**old.value["metadata"]}})
        if self._file is not None:
            self._file.delete(ident, name, last.version)
        self._tell(shelf, Change(last.version, name, old, None, last))
        return last

    def forget(self, ident: Ident) -> None:
        """Remove a kind with its objects and history: its definition is gone."""
        for name in list(self._shelf(ident).objects):
            self.remove(ident, name)
        shelf = self._shelves.pop(ident)
        shelf.listeners.clear()

    def since(self, ident: Ident, version: int, listener: Callable[[Change], None]) -> list[Change]:
        """Return the changes after `version` and send later ones to `listener`: none is missed.

        Raises `errors.ApiError` 410 where the history does not reach back so far.
        """
        shelf = self._shelf(ident)
        if version < shelf.since:
            raise errors.expired(f"too old resource version: {version} ({shelf.since})")
        shelf.listeners.add(listener)
        missed: list[Change] = []
        for change in reversed(shelf.history):
            if change.version <= version:
                break
            missed.append(change)
        missed.reverse()
        return missed

    def reaches(self, ident: Ident, version: int) -> bool:
        """Say whether every change after `version` can still be told."""
        return version >= self._shelf(ident).since

    def ignore(self, ident: Ident, listener: Callable[[Change], None]) -> None:
        """Send nothing more to `listener`."""
        self._shelf(ident).listeners.discard(listener)

    def _stamp(self, value: JsonObject) -> Stored:
        self.version += 1
        value["metadata"]["resourceVersion"] = str(self.version)
        return Stored(value, self.version, _encode(value))

    def _save(self, ident: Ident, name: Name, stored: Stored) -> None:
        if self._file is not None:
            self._file.save(ident, name, stored.version, stored.body)

    def _tell(self, shelf: _Shelf, change: Change) -> None:
        shelf.remember(change)
        for listener in list(shelf.listeners):
            listener(change)
