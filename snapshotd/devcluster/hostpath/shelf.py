"""Directories and what is known of them: nothing half made is ever seen, whenever we are killed.

Below the data folder:

    volumes/<handle>/      a volume's files        snapshots/<handle>/   a snapshot's files
    state/volumes/*.json   what is known of each   state/snapshots/*.json
    staging/               what is being made: swept at start

A thing is made in `staging`, written down, and then renamed into its place: the rename is what
makes it exist. A folder that somebody put into `volumes` or `snapshots` by hand is taken as it is.
"""

import os
import re
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec

from snapshotd import errors
from snapshotd.devcluster.hostpath import copying

_HANDLE = re.compile(r"[A-Za-z0-9][-A-Za-z0-9_.]{0,127}")


class Record(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is known of a volume or snapshot: times in Unix nanoseconds, sizes in bytes."""

    handle: str
    name: str = ""
    created: int = 0
    size: int = 0
    source_volume: str = ""
    source_snapshot: str = ""


class Shelf:
    """All things of one sort: volumes, or snapshots."""

    def __init__(self, root: Path, sort: str) -> None:
        """Take up what is there; sweep what a killed process left half made."""
        self.sort = sort
        self._trees = root / sort
        self._state = root / "state" / sort
        self._staging = root / "staging" / sort
        try:
            for folder in (self._trees, self._state, self._staging):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise errors.Misconfigured(
                f"cannot keep {sort} below {root}: {error.strerror}: choose a folder that can be "
                "written to"
            ) from error
        for left in self._staging.iterdir():
            copying.remove_tree(left)
        for half_written in self._state.glob("*.new"):
            half_written.unlink()
        self._records: dict[str, Record] = {}
        for path in self._state.glob("*.json"):
            record = _read(path)
            if (self._trees / record.handle).is_dir():
                self._records[record.handle] = record
            else:
                path.unlink()  # written down, never renamed into place
        self._by_name = {each.name: each for each in self._records.values() if each.name}

    def path(self, handle: str) -> Path:
        """Return where a thing's files are."""
        return self._trees / handle

    def named(self, name: str) -> Record | None:
        """Return the thing that was made under this name."""
        return self._by_name.get(name)

    def find(self, handle: str) -> Record | None:
        """Return what is known of a thing; a folder put there by hand is taken up now."""
        record = self._records.get(handle)
        if record is not None or not _HANDLE.fullmatch(handle):
            return record
        tree = self._trees / handle
        if not tree.is_dir():
            return None
        adopted = Record(
            handle, created=tree.stat().st_mtime_ns, size=max(1, copying.size_of(tree))
        )
        self._write_down(adopted)
        return adopted

    def all(self) -> list[Record]:
        """Return everything, ordered by handle, what was put there by hand included."""
        for tree in self._trees.iterdir():
            self.find(tree.name)
        return sorted(self._records.values(), key=lambda each: each.handle)

    def make(self, record: Record, fill: Callable[[Path], None]) -> Record:
        """Make a thing: `fill` makes its folder. Blocks: call it in a thread."""
        handle = str(uuid.uuid4())
        unfinished = self._staging / handle
        try:
            fill(unfinished)
        except BaseException:
            copying.remove_tree(unfinished)
            raise
        size = record.size or copying.size_of(unfinished)
        made = msgspec.structs.replace(
            record, handle=handle, created=time.time_ns(), size=max(1, size)
        )
        self._save(made)
        unfinished.rename(self._trees / handle)
        copying.sync(self._trees)
        return made

    def admit(self, made: Record) -> None:
        """Take up what `make` made: from now on it is found."""
        self._records[made.handle] = made
        if made.name:
            self._by_name[made.name] = made

    def remove(self, record: Record) -> Record:
        """Remove a thing, and return it. Blocks: call it in a thread."""
        tree = self._trees / record.handle
        if tree.exists():
            going = self._staging / f"{record.handle}.going"
            copying.remove_tree(going)
            tree.chmod(0o700)
            tree.rename(going)  # from here on it does not exist, whenever we are killed
            copying.remove_tree(going)
        (self._state / f"{record.handle}.json").unlink(missing_ok=True)
        return record

    def dismiss(self, record: Record) -> None:
        """Forget what `remove` removed."""
        self._records.pop(record.handle, None)
        if record.name:
            self._by_name.pop(record.name, None)

    def _write_down(self, record: Record) -> None:
        self._save(record)
        self.admit(record)

    def _save(self, record: Record) -> None:
        path = self._state / f"{record.handle}.json"
        unfinished = path.with_suffix(".new")
        with unfinished.open("wb") as out:
            out.write(msgspec.json.encode(record))
            out.flush()
            os.fsync(out.fileno())
        unfinished.rename(path)
        copying.sync(self._state)


def _read(path: Path) -> Record:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Record)
    except msgspec.DecodeError as error:
        raise errors.Misconfigured(
            f"{path} was not written by this driver ({error}): move it away, and its folder is "
            "taken up as one put there by hand"
        ) from None
