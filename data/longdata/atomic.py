"""Files and folders that are there whole or not at all, whatever kills the process.

    with writing(Path("units/ab12")) as part:       # units/.part-7f3a…
        part.write_bytes(rows)
    # now units/ab12 is there, on disk; before that moment nothing of that name was

    exchange(Path("out.new"), Path("out"))          # two folders swap their names at once

What a killed process leaves are names that begin with `.part-`; `remove_parts` sweeps them away.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from longdata.errors import UserError

_PART = ".part-"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_OF_THE_DISK = (*_FULL, errno.EROFS, errno.EIO, errno.EACCES, errno.EPERM)
_UNSUPPORTED = (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP)


def write_file(path: Path, content: bytes | str) -> None:
    """The file with this content, replacing one of that name; text is written as UTF-8."""
    with writing(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """A name to write to; the file gets its own name when the block ends without an error."""
    part = path.with_name(f"{_PART}{secrets.token_hex(8)}")
    try:
        yield part
        _sync(part)
        part.replace(path)
        _sync(path.parent)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def exchange(new: Path, old: Path) -> None:
    """Two folders on one file system swap their names: in one step where the system has it.

    Linux and macOS do it at once. Elsewhere (NFS, some FUSE file systems) `old` has no name for a
    moment, during which it is called `new` + ".swap"; `finish_exchange` repairs a kill there.
    """
    if not _exchange_at_once(new, old):
        aside = _aside(new)
        old.rename(aside)
        new.rename(old)
        aside.rename(new)
    _sync(old.parent)


def finish_exchange(new: Path, old: Path) -> None:
    """Undo or complete an `exchange` that was killed between its steps; else do nothing."""
    aside = _aside(new)
    if aside.is_dir():
        aside.rename(new if old.is_dir() else old)
        _sync(old.parent)


def remove_parts(folder: Path) -> int:
    """Remove what killed writers left in a folder; the number of files and folders removed."""
    parts = [path for path in folder.iterdir() if path.name.startswith(_PART)]
    for path in parts:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    return len(parts)


def sync_tree(folder: Path) -> None:
    """Bring every file and folder below (and including) a folder to the disk."""
    for directory, _, files in os.walk(folder):
        for name in files:
            _sync(Path(directory, name))
        _sync(Path(directory))


@contextlib.contextmanager
def disk_errors(folder: Path) -> Iterator[None]:
    """Turns what the disk says (full, read-only, gone) into the line for the user.

    Other `OSError`s, about files that do not lie in `folder`, stay what they are.
    """
    try:
        yield
    except OSError as error:
        named = error.filename if isinstance(error.filename, str) else ""
        if error.errno in _OF_THE_DISK or (named and Path(named).is_relative_to(folder)):
            raise cannot_write(folder, error) from error
        raise


def cannot_write(path: Path, error: OSError) -> UserError:
    """The line for a disk that is full, read-only or gone."""
    said = error.strerror or str(error) or type(error).__name__
    fix = "make room" if error.errno in _FULL else "make it writable or choose another --out"
    return UserError(
        f"got an output folder that cannot be written ({path}: {said}); allowed: a writable folder "
        f"with room; fix: {fix} and run the same command again, it goes on where it was"
    )


def _exchange_at_once(new: Path, old: Path) -> bool:
    library = ctypes.CDLL(None, use_errno=True)
    first, second = os.fsencode(new), os.fsencode(old)
    if sys.platform == "linux" and hasattr(library, "renameat2"):
        failed = library.renameat2(_AT_FDCWD, first, _AT_FDCWD, second, _RENAME_EXCHANGE)
    elif sys.platform == "darwin" and hasattr(library, "renamex_np"):
        failed = library.renamex_np(first, second, _RENAME_EXCHANGE)
    else:
        return False
    if failed and ctypes.get_errno() in _UNSUPPORTED:
        return False
    if failed:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(old))
    return True


def _aside(new: Path) -> Path:
    return new.with_name(f"{new.name}.swap")


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _UNSUPPORTED:  # some file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)
