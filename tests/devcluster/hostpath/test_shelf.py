"""What is on disk is the truth, whenever a process was killed and whoever lent a hand."""

from pathlib import Path

import pytest

from snapshotd import errors
from snapshotd.devcluster.hostpath import shelf


def empty(folder: Path) -> None:
    folder.mkdir()


def names(place: shelf.Shelf) -> list[str]:
    return [each.name for each in place.all()]


def test_a_list_while_a_thing_is_made_does_not_take_its_name(tmp_path: Path) -> None:
    """It stands in its place a moment before it is admitted: it must not be adopted as nameless."""
    place = shelf.Shelf(tmp_path, "snapshots")
    made = place.make(shelf.Record("", "snap", source_volume="vol"), empty)
    assert names(place) == ["snap"]
    place.admit(made)
    again = shelf.Shelf(tmp_path, "snapshots")
    assert again.named("snap") == made
    assert again.all() == [made]


def test_all_that_is_known_survives_a_restart(tmp_path: Path) -> None:
    place = shelf.Shelf(tmp_path, "snapshots", read_only=True)
    record = shelf.Record(
        "", "snap", size=7, source_volume="vol", source_snapshot="s", parameters={"a": "b"}
    )
    made = place.make(record, empty)
    assert made.created > 0
    assert shelf.Shelf(tmp_path, "snapshots").all() == [made]


def test_a_folder_removed_by_hand_is_gone(tmp_path: Path) -> None:
    place = shelf.Shelf(tmp_path, "snapshots")
    for name in ("kept", "gone"):
        place.admit(place.make(shelf.Record("", name), empty))
    gone = place.named("gone")
    assert gone is not None
    place.path(gone.handle).rmdir()
    assert place.named("gone") is None
    assert place.find(gone.handle) is None
    assert names(place) == ["kept"]
    place.admit(place.make(shelf.Record("", "gone"), empty))
    place.dismiss(gone)  # late, and of another thing of this name
    assert sorted(names(place)) == ["gone", "kept"]
    assert place.named("gone") is not None


def test_a_folder_put_there_before_the_start_is_taken_up(tmp_path: Path) -> None:
    handle = "7bdd0de3-aaeb-11e8-9aae-0242ac110002"
    (tmp_path / "snapshots" / handle).mkdir(parents=True)
    (tmp_path / "snapshots" / handle / "file").write_text("12345")
    [adopted] = shelf.Shelf(tmp_path, "snapshots").all()
    assert (adopted.handle, adopted.name, adopted.size) == (handle, "", 5)
    assert shelf.Shelf(tmp_path, "snapshots").all() == [adopted]


@pytest.mark.parametrize("name", ["..", ".hidden", "a b", "x" * 129])
def test_what_is_no_handle_is_not_taken_up(tmp_path: Path, name: str) -> None:
    place = shelf.Shelf(tmp_path, "snapshots")
    (tmp_path / "snapshots" / name).mkdir(exist_ok=True)
    assert place.find(name) is None
    assert place.all() == []


def test_a_link_is_not_taken_up(tmp_path: Path) -> None:
    """Removing it would remove, or open to all, what it points at."""
    place = shelf.Shelf(tmp_path, "snapshots")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "snapshots" / "link").symlink_to(tmp_path / "elsewhere")
    assert place.find("link") is None
    assert place.all() == []


def test_a_removal_takes_what_is_read_only_with_it(tmp_path: Path) -> None:
    place = shelf.Shelf(tmp_path, "snapshots")

    def fill(folder: Path) -> None:
        (folder / "below").mkdir(parents=True)
        (folder / "below" / "file").write_text("x")
        (folder / "below" / "elsewhere").symlink_to(tmp_path / "untouched")
        (folder / "below").chmod(0o500)
        folder.chmod(0o500)

    (tmp_path / "untouched").mkdir(mode=0o750)
    (tmp_path / "untouched" / "file").write_text("x")
    made = place.make(shelf.Record("", "snap"), fill)
    place.admit(made)
    place.remove(made)
    place.dismiss(made)
    assert place.all() == []
    assert list((tmp_path / "state" / "snapshots").iterdir()) == []
    assert list((tmp_path / "staging" / "snapshots").iterdir()) == []
    assert (tmp_path / "untouched" / "file").read_text() == "x"
    assert (tmp_path / "untouched").stat().st_mode & 0o777 == 0o750


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(errors.Misconfigured, match="choose a folder"):
        shelf.Shelf(tmp_path / "file", "snapshots")
