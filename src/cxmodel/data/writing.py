"""Writing: what is half written is never seen under its name, and what went wrong is told with the path."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final

from cxmodel.data.locks import held
from cxmodel.data.temporary import FullDiskError
from cxmodel.errors import CxmodelError, UnwritableError

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def write(path: Path, content: bytes) -> None:
    """Write a file, all or nothing; see `drafted`."""
    with drafted(path) as out:
        out.write(content)


@contextmanager
def drafted(path: Path) -> Generator[IO[bytes]]:
    """A file to write into, which takes the place of the one at this path when it is whole.

    A link is followed, and the permissions of what is replaced stay. What a killed process left of its draft is used
    up by the next one that writes here; two that write at once wait for each other.

    Args:
        path: Where to; its folder is made.

    Raises:
        FullDiskError: There is no room; what was there before still is.
        UnwritableError: It cannot be written there.
    """
    with told(path):
        if path.exists() and not path.is_file():
            # a device or a pipe is written to, not replaced
            with path.open("wb") as out:
                yield out
            return
        make_folder(path.parent)
        target = Path(os.path.realpath(path))
        make_folder(target.parent)
        draft = draft_of(target)
        with held(draft) as lock:
            try:
                yield from _whole(lock.file, draft, target, closing=not lock.sure)
            except BaseException:
                draft.unlink(missing_ok=True)
                raise


def draft_of(path: Path) -> Path:
    """Where a file is written before it takes its place."""
    return path.with_name(f".{path.name}.part")


def _whole(raw: IO[bytes], draft: Path, target: Path, *, closing: bool) -> Iterator[IO[bytes]]:
    raw.truncate(0)
    with os.fdopen(os.dup(raw.fileno()), "wb") as out:
        yield out
        flush(out)
    with suppress(FileNotFoundError):
        draft.chmod(stat.S_IMODE(target.stat().st_mode))
    if closing:
        raw.close()  # a system without locks does not rename open files either
    os.replace(draft, target)
    flush_folder(target.parent)


def flush(out: IO[bytes]) -> None:
    """Have the content of a file on the disk."""
    out.flush()
    os.fsync(out.fileno())


def flush_folder(folder: Path) -> None:
    """Have the names of a folder's files on the disk, where the system lets folders be opened."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def make_folder(path: Path) -> None:
    """Make a folder and those above it, where they are missing.

    Raises:
        UnwritableError: What stands in the way.
    """
    for each in (path, *path.parents):
        if each.is_symlink() and not each.exists():
            raise UnwritableError(
                f"{each} is a link to {os.readlink(each)}, which does not exist",
                hint="Make that folder, or remove the link",
            )
        if each.exists() and not each.is_dir():
            raise UnwritableError(f"{each} is a file, and a folder is needed there", hint="Choose another folder")
    path.mkdir(parents=True, exist_ok=True)


@contextmanager
def told(path: Path) -> Generator[None]:
    """Tell what the system reports on the way in this library's words, with the path that was to be written."""
    try:
        yield
    except CxmodelError:
        raise
    except OSError as error:
        why = error.strerror or str(error)
        if error.errno in _NO_ROOM:
            raise FullDiskError(
                f"there is no room for {path}: {why}", hint="Free some space, or choose a place on a larger disk"
            ) from None
        raise UnwritableError(
            f"{path} cannot be written: {why}", hint="Choose another place, or see who may write to this one"
        ) from None
