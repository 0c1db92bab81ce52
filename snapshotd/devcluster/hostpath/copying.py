"""Copying a tree of files so that the copy is the tree: names, contents, modes, times, links.

Files share their blocks with the original where the file system can (reflink), so that a snapshot
of a large volume is quick and small. What is neither file, folder nor link is left out, and told.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from pathlib import Path

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_FICLONE = 0x40049409  # ioctl_ficlone(2)
_NO_REFLINK = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS}


def copy_tree(source: Path, target: Path) -> None:
    """Copy what is in `source` into the new folder `target`, durably; raises `OSError`."""
    target.mkdir(parents=True)
    _copy_folder(source, target, {})


def _copy_folder(source: Path, target: Path, linked: dict[tuple[int, int], Path]) -> None:
    with os.scandir(source) as entries:
        for entry in sorted(entries, key=lambda each: each.name):
            _copy_entry(Path(entry.path), target / entry.name, linked)
    sync(target)
    shutil.copystat(source, target, follow_symlinks=False)


def _copy_entry(source: Path, target: Path, linked: dict[tuple[int, int], Path]) -> None:
    found = source.lstat()
    if stat.S_ISDIR(found.st_mode):
        target.mkdir()
        _copy_folder(source, target, linked)
    elif stat.S_ISLNK(found.st_mode):
        target.symlink_to(source.readlink())
        with contextlib.suppress(NotImplementedError):
            shutil.copystat(source, target, follow_symlinks=False)
    elif stat.S_ISREG(found.st_mode):
        identity = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and identity in linked:
            os.link(linked[identity], target)
            return
        _copy_file(source, target)
        linked[identity] = target
    else:
        log.warning("special_file_left_out", path=str(source))


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as original, target.open("xb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, original.fileno())
        except OSError as error:
            if error.errno not in _NO_REFLINK:
                raise
            shutil.copyfileobj(original, copy, 1024 * 1024)
        copy.flush()
        os.fsync(copy.fileno())
    shutil.copystat(source, target)


def sync(folder: Path) -> None:
    """Have the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder, each counted once."""
    seen: set[int] = set()
    total = 0
    for path in folder.rglob("*"):
        found = path.lstat()
        if stat.S_ISREG(found.st_mode) and found.st_ino not in seen:
            seen.add(found.st_ino)
            total += found.st_size
    return total


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it, also what is read-only; it need not be there."""

    def make_writable(function: object, path: str, _error: object) -> None:
        del function
        parent = Path(path).parent
        parent.chmod(parent.stat().st_mode | stat.S_IRWXU)
        if Path(path).is_dir() and not Path(path).is_symlink():
            Path(path).chmod(stat.S_IRWXU)
            shutil.rmtree(path)
        else:
            Path(path).unlink()

    if folder.exists():
        shutil.rmtree(folder, onerror=make_writable)
