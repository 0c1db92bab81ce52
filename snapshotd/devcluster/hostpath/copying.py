"""Copying a tree of files so that the copy is the tree: names, contents, modes, times, links.

Files share their blocks with the original where the file system can (reflink), so that a snapshot
of a large volume is quick and small; holes stay holes. What is neither file, folder nor link is
left out, and told. Each file is copied as it was at one moment, also while it is written to; of
several files written together no such moment is known without the file system's help.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from io import FileIO
from pathlib import Path
from typing import BinaryIO
from urllib import parse

import structlog

log: structlog.typing.FilteringBoundLogger = structlog.get_logger(__name__)

_FICLONE = 0x40049409  # ioctl_ficlone(2)
_CHUNK = 1024 * 1024
_TRIES = 3  # for a file that is written to while it is copied
_WRITABLE = stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH


def copy_tree(source: Path, target: Path) -> None:
    """Copy what is in `source` into the new folder `target`, durably; raises `OSError`.

    What is removed from the source meanwhile is left out.
    """
    source.stat()
    folders = [(source, target)]
    linked: dict[tuple[int, int], Path] = {}
    for original, copy in folders:  # grows while we go down
        copy.mkdir(mode=0o700)  # nobody looks in before it has the modes it is to have
        for entry in _entries(original):
            twin = copy / entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append((Path(entry.path), twin))
                continue
            try:
                _copy_entry(Path(entry.path), twin, linked)
            except FileNotFoundError:
                twin.unlink(missing_ok=True)
    for original, copy in reversed(folders):  # last, since what is put into a folder touches it
        with contextlib.suppress(FileNotFoundError):
            _copy_attributes(original, copy)
        sync(copy)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _copy_entry(source: Path, target: Path, linked: dict[tuple[int, int], Path]) -> None:
    found = source.lstat()
    if stat.S_ISLNK(found.st_mode):
        target.symlink_to(source.readlink())
        _copy_attributes(source, target)
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
    with source.open("rb", buffering=0) as original, target.open("xb") as copy:
        for _ in range(_TRIES):
            before = os.fstat(original.fileno())
            _copy_contents(original, copy, before.st_size)
            after = os.fstat(original.fileno())
            if (before.st_mtime_ns, before.st_size) == (after.st_mtime_ns, after.st_size):
                break
        else:
            log.warning("file_changed_while_copied", path=str(source))
        _copy_attributes(source, target)
        os.fsync(copy.fileno())


def _copy_contents(original: FileIO, copy: BinaryIO, size: int) -> None:
    copy.truncate(0)
    with contextlib.suppress(OSError):  # what truly ails the disk shows when the bytes are copied
        fcntl.ioctl(copy.fileno(), _FICLONE, original.fileno())
        return
    copy.truncate(size)
    for start, end in _extents(original.fileno(), size):
        original.seek(start)
        copy.seek(start)
        while (left := end - original.tell()) > 0 and (chunk := original.read(min(left, _CHUNK))):
            copy.write(chunk)
    copy.flush()


def _extents(handle: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield where a file has data: from, up to. All of it where the file system cannot tell."""
    end = 0
    while end < size:
        try:
            start = os.lseek(handle, end, os.SEEK_DATA)
            hole = os.lseek(handle, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno != errno.ENXIO:  # which says: a hole up to the end
                yield end, size
            return
        yield start, hole
        end = hole


def _copy_attributes(source: Path, target: Path) -> None:
    found = source.lstat()
    with contextlib.suppress(PermissionError):  # only root gives files away
        os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    shutil.copystat(source, target, follow_symlinks=False)


def protect(folder: Path) -> dict[str, int]:
    """Make the files below a folder read-only; return the write bits of those with unusual ones.

    By their path below the folder, quoted as in a URL since a name need not be UTF-8. Folders stay
    as they are, so that a person can remove the whole with `rm -r`.
    """
    modes: dict[int, int] = {}  # by inode: a file may have several names
    unusual: dict[str, int] = {}
    for entry in _files(folder):
        found = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
        mode = modes.setdefault(entry.inode(), found)
        if mode & _WRITABLE != stat.S_IWUSR:
            unusual[_quoted(entry, folder)] = mode & _WRITABLE
        Path(entry.path).chmod(mode & ~_WRITABLE)
    return unusual


def unprotect(folder: Path, unusual: Mapping[str, int]) -> None:
    """Give the files below a folder the write bits back that `protect` took from them."""
    for entry in _files(folder):
        mode = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
        Path(entry.path).chmod(mode | unusual.get(_quoted(entry, folder), stat.S_IWUSR))


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield all files below a folder, however deep; links are not followed."""
    folders = [folder]
    for each in folders:
        for entry in _entries(each):
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            elif entry.is_file(follow_symlinks=False):
                yield entry


def _quoted(entry: os.DirEntry[str], folder: Path) -> str:
    return parse.quote_from_bytes(os.fsencode(os.path.relpath(entry.path, folder)))


def size_of(folder: Path) -> int:
    """Return the bytes of all files below a folder, each counted once."""
    sizes = {entry.inode(): entry.stat(follow_symlinks=False).st_size for entry in _files(folder)}
    return sum(sizes.values())


def remove_tree(folder: Path) -> None:
    """Remove a folder and all below it, also what is read-only; it need not be there."""
    if not folder.exists():
        return
    folders = [folder]
    for each in folders:
        each.chmod(stat.S_IRWXU)
        for entry in _entries(each):
            if entry.is_dir(follow_symlinks=False):
                folders.append(Path(entry.path))
            else:
                Path(entry.path).unlink(missing_ok=True)
    for each in reversed(folders):
        each.rmdir()


def sync(folder: Path) -> None:
    """Have the names in a folder outlive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
