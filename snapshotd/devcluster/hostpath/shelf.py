"""Directories and what is known of them: nothing half made is ever seen, whenever we are killed.

Below the data folder:

    volumes/<handle>/      a volume's files        snapshots/<handle>/   a snapshot's files
    state/volumes/*.json   what is known of each   state/snapshots/*.json
    staging/               what is being made: swept at start

A thing is made in `staging`, written down, and then renamed into its place: the rename is what
makes it exist. A folder that somebody put into `volumes` or `snapshots` by hand is taken as it is;
one that somebody removed by hand is gone. Members of a group exist for as long as the group is
written down (`groups`), wherever their folders are.
"""

import dataclasses
import hashlib
import os
import re
import time
import uuid
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from snapshotd import errors
from snapshotd.devcluster.hostpath import copying

_HANDLE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,127}")


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a volume or snapshot: times in Unix nanoseconds, sizes in bytes.

    `write_bits` is what `copying.protect` returned, None for files that were left writable.
    """

    handle: str
    name: str = ""
    created: int = 0
    size: int = 0
    source_volume: str = ""
    source_snapshot: str = ""
    parameters: dict[str, str] = {}
    write_bits: dict[str, int] | None = None
    group: str = ""


@dataclasses.dataclass(frozen=True, slots=True)
class New:
    """A thing to be made: `fill` makes its folder."""

    record: Record
    fill: Callable[[Path], None]


class Shelf:
    """All things of one sort: volumes, or snapshots; files of those made `read_only` are so.

    `groups` holds the handles of the groups there are now: members of others do not exist.
    """

    def __init__(
        self,
        root: Path,
        sort: str,
        *,
        read_only: bool = False,
        groups: AbstractSet[str] = frozenset(),
    ) -> None:
        """Take up what is there, sweep what was left half made; raises `Misconfigured`."""
        self.sort = sort
        self._read_only = read_only
        self._groups = groups
        self._trees = root / sort
        self._state = root / "state" / sort
        self._staging = root / "staging" / sort
        self._records: dict[str, Record] = {}
        self._by_name: dict[str, Record] = {}
        try:
            for folder in (self._trees, self._state, self._staging):
                folder.mkdir(parents=True, exist_ok=True)
            for left in self._staging.iterdir():
                copying.remove_tree(left)
            for half_written in self._state.glob("*.new"):
                half_written.unlink()
            for path in self._state.glob("*.json"):
                self._sweep(path.stem)
            self.all()
        except OSError as error:
            raise errors.Misconfigured(
                f"cannot keep {sort} below {root}: {error}: choose a folder that can be written to"
            ) from error

    def path(self, handle: str) -> Path:
        """Return where a thing's files are."""
        return self._trees / handle

    def named(self, name: str) -> Record | None:
        """Return the thing that was made under this name."""
        record = self._by_name.get(name)
        return None if record is None else self.find(record.handle)

    def find(self, handle: str) -> Record | None:
        """Return what is known of a thing; a folder put there by hand is taken up now."""
        record = self._records.get(handle)
        if not self._is_tree(handle):
            if record is not None:
                self.dismiss(record)
            return None
        record = record or self._read(handle) or self._adopt(handle)
        if not self._counts(record):
            return None
        self.admit(record)
        return record

    def all(self) -> list[Record]:
        """Return everything, in the order in which it was made, what was put there included."""
        found = [self.find(tree.name) for tree in self._trees.iterdir()]
        return sorted(filter(None, found), key=order)

    def make(self, record: Record, fill: Callable[[Path], None]) -> Record:
        """Make a thing: `fill` makes its folder. Long: call it in a thread, then `admit`."""
        [made] = self.make_together([New(record, fill)], lambda _: None)
        return made

    def make_together(
        self, wanted: Sequence[New], commit: Callable[[Sequence[Record]], None]
    ) -> list[Record]:
        """Make several things of one moment, all of them or none. Long: as `make`.

        The folders are filled one right after the other, and nothing is written meanwhile; once
        all stand in their places, `commit` is called, and what it raises undoes everything.
        """
        now = time.time_ns()
        made = [
            msgspec.structs.replace(each.record, handle=str(uuid.uuid4()), created=now)
            for each in wanted
        ]
        try:
            for record, each in zip(made, wanted, strict=True):
                each.fill(self._staging / record.handle)
            made = [self._write_down(record) for record in made]
            for record in made:
                (self._staging / record.handle).rename(self._trees / record.handle)
            copying.sync(self._trees)
            commit(made)
        except BaseException:
            for record in made:
                self._undo(record)
            raise
        return made

    def admit(self, made: Record) -> None:
        """Take up what `make` made: from now on it is found by its name."""
        self._records[made.handle] = made
        if made.name:
            self._by_name[made.name] = made

    def remove(self, record: Record) -> Record:
        """Remove a thing, and return it. Long: call it in a thread, then `dismiss`."""
        tree = self._trees / record.handle
        going = self._staging / f"{record.handle}.going"
        copying.remove_tree(going)
        tree.chmod(0o700)  # or it could not be moved
        tree.rename(going)  # from here on it does not exist, whenever we are killed
        copying.sync(self._trees)
        copying.remove_tree(going)
        (self._state / f"{record.handle}.json").unlink(missing_ok=True)
        return record

    def dismiss(self, record: Record) -> None:
        """Forget what is no more."""
        self._records.pop(record.handle, None)
        if record.name in self._by_name and self._by_name[record.name].handle == record.handle:
            del self._by_name[record.name]

    def _counts(self, record: Record) -> bool:
        """Say whether a thing whose folder is there exists: a member does while its group does."""
        return not record.group or record.group in self._groups

    def _sweep(self, handle: str) -> None:
        """Remove what was written down and never came to be, or whose group is gone."""
        record = self._read(handle)
        if record is None or (self._is_tree(handle) and self._counts(record)):
            return
        if self._is_tree(handle):
            self.remove(record)
        (self._state / f"{handle}.json").unlink(missing_ok=True)

    def _write_down(self, made: Record) -> Record:
        if self._read_only:
            bits = copying.protect(self._staging / made.handle)
            made = msgspec.structs.replace(made, write_bits=bits)
        self._save(made)
        return made

    def _undo(self, made: Record) -> None:
        copying.remove_tree(self._staging / made.handle)
        if self._is_tree(made.handle):
            self.remove(made)
        (self._state / f"{made.handle}.json").unlink(missing_ok=True)

    def _is_tree(self, handle: str) -> bool:
        tree = self._trees / handle
        return bool(_HANDLE.fullmatch(handle)) and tree.is_dir() and not tree.is_symlink()

    def _adopt(self, handle: str) -> Record:
        tree = self._trees / handle
        size = max(1, copying.size_of(tree))  # 0 would say that it is unknown
        adopted = Record(handle, created=tree.stat().st_mtime_ns, size=size)
        self._save(adopted)
        return adopted

    def _read(self, handle: str) -> Record | None:
        path = self._state / f"{handle}.json"
        try:
            return msgspec.json.decode(path.read_bytes(), type=Record)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise errors.Misconfigured(
                f"{path} was not written by this driver ({error}): move it away, and its folder is "
                "taken up as one put there by hand"
            ) from error

    def _save(self, record: Record) -> None:
        save(self._state / f"{record.handle}.json", record)


class Copy:
    """What a new thing is filled from: another, with the write bits that it was made with."""

    def __init__(self, place: Shelf, origin: Record) -> None:
        """Copy this thing, which stands in this place."""
        self.tree = place.path(origin.handle)
        self._write_bits = origin.write_bits

    def fill(self, folder: Path) -> None:
        """Make the folder."""
        copying.copy_tree(self.tree, folder)
        if self._write_bits is not None:
            copying.unprotect(folder, self._write_bits)


def save(path: Path, record: msgspec.Struct) -> None:
    """Write a file that is there whole or not at all, whenever we are killed."""
    unfinished = path.with_suffix(".new")
    with unfinished.open("wb") as out:
        out.write(msgspec.json.encode(record))
        out.flush()
        os.fsync(out.fileno())
    unfinished.rename(path)
    copying.sync(path.parent)


def order(record: Record) -> tuple[int, str]:
    """Return the place of a record in every list: what is made later comes later.

    Of one moment's, a digest decides: unlike a handle it always fits into a page's token.
    """
    return record.created, hashlib.sha256(record.handle.encode()).hexdigest()
