"""A copy is the tree, whatever stands in it; a protected copy gives back what was taken."""

import os
import stat
from pathlib import Path

import pytest
import structlog.testing
from hypothesis import HealthCheck, given, settings, strategies

from snapshotd.devcluster.hostpath import copying


def test_holes_stay_holes(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    with (tmp_path / "one" / "disk").open("wb") as file:
        file.truncate(64 << 20)
        for place in (0, 20 << 20, 40 << 20):
            file.seek(place)
            file.write(b"data")
    copying.copy_tree(tmp_path / "one", tmp_path / "two")
    copy = (tmp_path / "two" / "disk").stat()
    assert copy.st_size == 64 << 20
    assert copy.st_blocks * 512 < 1 << 20
    assert (tmp_path / "two" / "disk").read_bytes() == (tmp_path / "one" / "disk").read_bytes()


def test_times_and_attributes_are_kept(tmp_path: Path) -> None:
    (tmp_path / "one" / "below").mkdir(parents=True)
    file = tmp_path / "one" / "below" / "file"
    file.write_text("x")
    os.utime(file, ns=(1_000_000_001, 2_000_000_003))
    os.utime(tmp_path / "one" / "below", ns=(3_000_000_001, 4_000_000_003))
    marked = True
    try:
        os.setxattr(file, "user.mark", b"red")
    except OSError:
        marked = False  # not on this file system
    copying.copy_tree(tmp_path / "one", tmp_path / "two")
    copy = tmp_path / "two" / "below" / "file"
    assert copy.stat().st_mtime_ns == 2_000_000_003
    assert (tmp_path / "two" / "below").stat().st_mtime_ns == 4_000_000_003
    if marked:
        assert os.getxattr(copy, "user.mark") == b"red"


def test_links_are_copied_as_links(tmp_path: Path) -> None:
    (tmp_path / "one" / "below").mkdir(parents=True)
    (tmp_path / "one" / "file").write_text("x")
    os.link(tmp_path / "one" / "file", tmp_path / "one" / "below" / "hard")
    (tmp_path / "one" / "nowhere").symlink_to("/nonexistent/target")
    (tmp_path / "one" / "folder").symlink_to("below")
    copying.copy_tree(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two" / "file").samefile(tmp_path / "two" / "below" / "hard")
    assert not (tmp_path / "one" / "file").samefile(tmp_path / "two" / "file")
    assert str((tmp_path / "two" / "nowhere").readlink()) == "/nonexistent/target"
    assert str((tmp_path / "two" / "folder").readlink()) == "below"


def test_special_files_are_left_out_and_told(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    os.mkfifo(tmp_path / "one" / "pipe")
    (tmp_path / "one" / "file").write_text("x")
    with structlog.testing.capture_logs() as logs:
        copying.copy_tree(tmp_path / "one", tmp_path / "two")
    assert [path.name for path in (tmp_path / "two").iterdir()] == ["file"]
    assert [each["event"] for each in logs] == ["special_file_left_out"]


def test_a_tree_deeper_than_pythons_stack_is_copied_and_removed(tmp_path: Path) -> None:
    deepest = tmp_path / "one"
    deepest.mkdir()
    for _ in range(1050):
        deepest = deepest / "d"
        deepest.mkdir()
    (deepest / "file").write_text("12345")
    copying.copy_tree(tmp_path / "one", tmp_path / "two")
    assert copying.size_of(tmp_path / "two") == 5
    for name in ("one", "two"):
        copying.remove_tree(tmp_path / name)
        assert not (tmp_path / name).exists()


def test_a_name_that_is_no_text_is_a_name(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    odd = os.fsdecode(b"\xff%41\xe9")
    (tmp_path / "one" / odd).write_text("x")
    (tmp_path / "one" / odd).chmod(0o664)
    copying.copy_tree(tmp_path / "one", tmp_path / "two")
    bits = copying.protect(tmp_path / "two")
    assert all(path.isascii() for path in bits)
    copying.unprotect(tmp_path / "two", bits)
    assert stat.S_IMODE((tmp_path / "two" / odd).stat().st_mode) == 0o664


def test_a_source_that_does_not_exist_is_no_empty_tree(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        copying.copy_tree(tmp_path / "nothing", tmp_path / "two")
    assert not (tmp_path / "two").exists()


def test_a_copy_belongs_to_whom_the_original_belongs(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root gives files away")
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "file").write_text("x")
    os.chown(tmp_path / "one" / "file", 1234, 5678)
    (tmp_path / "one" / "file").chmod(0o4755)
    copying.copy_tree(tmp_path / "one", tmp_path / "two")
    copy = (tmp_path / "two" / "file").stat()
    assert (copy.st_uid, copy.st_gid, stat.S_IMODE(copy.st_mode)) == (1234, 5678, 0o4755)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    modes=strategies.dictionaries(
        strategies.sampled_from("abcdef"), strategies.integers(0, 0o777), max_size=6
    ),
    linked=strategies.booleans(),
)
def test_what_was_protected_gets_its_modes_back(
    tmp_path: Path, modes: dict[str, int], *, linked: bool
) -> None:
    """Also in a copy of it, and where one file has several names."""
    for name in ("one", "two"):
        copying.remove_tree(tmp_path / name)
    (tmp_path / "one" / "below").mkdir(parents=True)
    for name, mode in modes.items():
        file = tmp_path / "one" / name
        file.write_text(name)
        if linked:
            os.link(file, tmp_path / "one" / "below" / name)
        file.chmod(mode)
    bits = copying.protect(tmp_path / "one")
    assert not any(
        path.stat().st_mode & 0o222 for path in (tmp_path / "one").rglob("*") if path.is_file()
    )
    copying.copy_tree(tmp_path / "one", tmp_path / "two")
    copying.unprotect(tmp_path / "two", bits)
    for name, mode in modes.items():
        assert stat.S_IMODE((tmp_path / "two" / name).stat().st_mode) == mode
