"""A group is there whole or not at all, at whichever step its making or removal was cut short."""

import errno
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from snapshotd.devcluster.hostpath import copying, groups, shelf

# Kills a child of its own before each single step by which a cut, or a removal, changes the disk.
_KILLED_AT_EVERY_STEP = """
import itertools, os, signal, sys
from pathlib import Path
from snapshotd.devcluster.hostpath import groups, shelf
STEPS = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod", "open"}

def deed(root, what, arm):
    volumes, ledger = shelf.Shelf(root, "volumes"), groups.Ledger(root)
    place = shelf.Shelf(root, "snapshots", read_only=True, groups=ledger.handles)
    wanted = []
    for name in ("one", "two"):
        made = volumes.make(shelf.Record("", name), Path.mkdir)
        (volumes.path(made.handle) / "file").write_text(name)
        record = shelf.Record("", source_volume=made.handle)
        wanted.append(shelf.New(record, shelf.Copy(volumes, made).fill))
    if what == "cut":
        arm()
    group = ledger.make("group", wanted, place)
    ledger.admit(group)
    members = place.all()
    if what == "removal":
        arm()
        ledger.remove(group, lambda: ledger.dismiss(group))
        for each in members:
            place.remove(each)

def child(root, what, last):
    steps = itertools.count(1)
    def look(event, _):
        if event in STEPS and next(steps) == last:
            os.kill(os.getpid(), signal.SIGKILL)
    deed(root, what, lambda: sys.addaudithook(look))
    os._exit(0)

for last in itertools.count(1):
    pid = os.fork()
    if not pid:
        child(Path(sys.argv[1]) / str(last), sys.argv[2], last)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0:
        break
print(last)
"""


def killed(base: Path, deed: str) -> list[Path]:
    """Return the folders of drivers that were killed at every step, of the last one after all."""
    script = [sys.executable, "-c", _KILLED_AT_EVERY_STEP, str(base), deed]
    ran = subprocess.run(script, check=True, capture_output=True, text=True)
    return [base / str(number + 1) for number in range(int(ran.stdout))]


def opened(root: Path) -> tuple[groups.Ledger, shelf.Shelf]:
    ledger = groups.Ledger(root)
    return ledger, shelf.Shelf(root, "snapshots", read_only=True, groups=ledger.handles)


def left(root: Path) -> list[Path]:
    places = ("snapshots", "state/snapshots", "state/groups", "staging/snapshots")
    return [path for place in places for path in (root / place).iterdir()]


def whole(root: Path) -> bool:
    """Say whether a driver that starts over this folder finds the group whole; else it is gone."""
    ledger, place = opened(root)
    group = ledger.named("group")
    if group is None:
        assert place.all() == []
        assert left(root) == []
        return False
    assert sorted(each.handle for each in place.all()) == sorted(group.members)
    contents = [(place.path(each) / "file").read_text() for each in group.members]
    assert contents == ["one", "two"]
    assert [place.find(each) is not None for each in group.members] == [True, True]
    assert len(left(root)) == 2 + 2 + 1
    return True


def repeat(root: Path) -> None:
    """Ask for the group again, as a caller does that had no answer."""
    ledger, place = opened(root)
    if ledger.named("group") is None:
        volumes = shelf.Shelf(root, "volumes")
        sources = [each for name in ("one", "two") if (each := volumes.named(name))]
        wanted = [
            shelf.New(shelf.Record("", source_volume=each.handle), shelf.Copy(volumes, each).fill)
            for each in sources
        ]
        ledger.admit(ledger.make("group", wanted, place))


def test_a_cut_killed_at_any_step_leaves_all_or_nothing_and_its_repetition_completes_it(
    tmp_path: Path,
) -> None:
    roots = killed(tmp_path, "cut")
    found = [whole(root) for root in roots]
    assert len(found) > 20
    assert found == sorted(found)  # nothing, and from one step on all of it
    assert found[-1]
    assert not found[len(found) // 2]
    for root in roots:
        repeat(root)
        assert whole(root)


def test_a_removal_killed_at_any_step_leaves_all_or_nothing(tmp_path: Path) -> None:
    found = [whole(root) for root in killed(tmp_path, "removal")]
    assert len(found) > 5
    assert found == sorted(found, reverse=True)
    assert found[0]
    assert not found[-1]


def test_nothing_is_written_between_the_copies(tmp_path: Path) -> None:
    """All members are of one moment: whatever has to be written down can wait."""
    happened: list[str] = []

    class Watched(shelf.Shelf):
        def _save(self, record: shelf.Record) -> None:
            happened.append("write")
            super()._save(record)

    def fill(folder: Path) -> None:
        happened.append("copy")
        folder.mkdir()

    ledger = groups.Ledger(tmp_path)
    place = Watched(tmp_path, "snapshots", groups=ledger.handles)
    wanted = [shelf.New(shelf.Record("", source_volume=name), fill) for name in "abc"]
    group = ledger.make("group", wanted, place)
    assert happened == ["copy"] * 3 + ["write"] * 3
    ledger.admit(group)
    assert {each.created for each in place.all()} == {group.created}
    assert group.volumes == ("a", "b", "c")


def test_a_group_that_cannot_be_written_down_leaves_no_member(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = shelf.save

    def fail(path: Path, record: Any) -> None:
        save(path, record)
        if isinstance(record, groups.Group):
            raise OSError(errno.EIO, "Input/output error")

    ledger, place = opened(tmp_path)
    monkeypatch.setattr(shelf, "save", fail)
    with pytest.raises(OSError, match="Input/output error"):
        ledger.make("group", [shelf.New(shelf.Record(""), Path.mkdir)] * 2, place)
    assert left(tmp_path) == []
    ledger, place = opened(tmp_path)
    assert (ledger.named("group"), place.all()) == (None, [])


def test_a_group_is_written_down_once_its_members_outlive_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    sync, save = copying.sync, shelf.save

    def watched_sync(folder: Path) -> None:
        happened.append(f"sync {folder.relative_to(tmp_path)}")
        sync(folder)

    def watched_save(path: Path, record: Any) -> None:
        happened.append(f"save {path.parent.relative_to(tmp_path)}")
        save(path, record)

    ledger, place = opened(tmp_path)
    monkeypatch.setattr(copying, "sync", watched_sync)
    monkeypatch.setattr(shelf, "save", watched_save)
    ledger.make("group", [shelf.New(shelf.Record(""), Path.mkdir)] * 2, place)
    assert happened == [
        *["save state/snapshots", "sync state/snapshots"] * 2,
        "sync snapshots",
        "save state/groups",
        "sync state/groups",
    ]
