"""Which snapshots belong together: one file a group, and that file is what makes the group exist.

    state/groups/*.json    a group: its name, its volumes, and the snapshot of each

Members stand among all other snapshots, and exist while their group does (`shelf`). A group is
written down once all of them stand there, and crossed out before the first of them is removed. The
invariant: whenever we are killed, all members of a group exist, or none.
"""

import uuid
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from snapshotd import errors
from snapshotd.devcluster.hostpath import copying, shelf


class Group(msgspec.Struct, frozen=True):
    """A group snapshot: `members` are snapshots of `volumes`, in the same order.

    `created` in Unix nanoseconds, the moment of each member.
    """

    handle: str
    name: str
    created: int
    volumes: tuple[str, ...]
    members: tuple[str, ...]


class Ledger:
    """All groups. The folders of their members are a shelf's."""

    def __init__(self, root: Path) -> None:
        """Take up what is there, sweep what was left half written; raises `Misconfigured`."""
        self._folder = root / "state" / "groups"
        self._groups: dict[str, Group] = {}
        self._by_name: dict[str, Group] = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for half_written in self._folder.glob("*.new"):
                half_written.unlink()
            for path in self._folder.glob("*.json"):
                self.admit(_read(path))
        except OSError as error:
            raise errors.Misconfigured(
                f"cannot keep groups below {root}: {error}: choose a folder that can be written to"
            ) from error

    @property
    def handles(self) -> AbstractSet[str]:
        """The handles of all groups, now and whenever it is looked at again."""
        return self._groups.keys()

    def named(self, name: str) -> Group | None:
        """Return the group that was made under this name."""
        return self._by_name.get(name)

    def find(self, handle: str) -> Group | None:
        """Return the group of this handle."""
        return self._groups.get(handle)

    def make(self, name: str, wanted: Sequence[shelf.New], snapshots: shelf.Shelf) -> Group:
        """Cut all members and write the group down. Long: call it in a thread, then `admit`."""
        handle = str(uuid.uuid4())
        written: list[Group] = []

        def write_down(members: Sequence[shelf.Record]) -> None:
            group = Group(
                handle,
                name,
                members[0].created,
                tuple(each.source_volume for each in members),
                tuple(each.handle for each in members),
            )
            try:
                shelf.save(self._path(handle), group)
            except BaseException:
                self._path(handle).unlink(missing_ok=True)
                raise
            written.append(group)

        bound = [
            shelf.New(msgspec.structs.replace(each.record, group=handle), each.fill)
            for each in wanted
        ]
        snapshots.make_together(bound, write_down)
        return written[0]

    def admit(self, group: Group) -> None:
        """Take up a group: from now on it is found, and all its members with it."""
        self._groups[group.handle] = group
        self._by_name[group.name] = group

    def remove(self, group: Group, gone: Callable[[], None]) -> None:
        """Cross a group out, and tell so. Long: call it in a thread; `gone` calls `dismiss`."""
        self._path(group.handle).unlink(missing_ok=True)
        copying.sync(self._folder)  # from here on it does not exist, whenever we are killed
        gone()

    def dismiss(self, group: Group) -> None:
        """Forget a group: from now on none of its members is found."""
        self._groups.pop(group.handle, None)
        if self._by_name.get(group.name) == group:
            del self._by_name[group.name]

    def _path(self, handle: str) -> Path:
        return self._folder / f"{handle}.json"


def _read(path: Path) -> Group:
    try:
        return msgspec.json.decode(path.read_bytes(), type=Group)
    except msgspec.DecodeError as error:
        raise errors.Misconfigured(
            f"{path} was not written by this driver ({error}): move it away, and the snapshots of "
            "that group are removed at the next start"
        ) from error
