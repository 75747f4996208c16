"""Locks: a file that one owner at a time holds, be it another thread or another process.

The system lets go of a lock when its owner ends, however it ends. So nobody has to guess from a process number whether
an owner is still alive: in a container every process may have the same one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any, Final

from attrs import frozen

_KNOWN: Final = find_spec("fcntl") is not None
_UNSUPPORTED: Final = frozenset({errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL})
_FLAGS: Final = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)


@frozen(eq=False)
class Lock:
    """A lock that is held.

    Attributes:
        file: The file that is locked, open for reading and writing.
        sure: Whether nobody else holds it; False where the system or the disk knows no such locks.
    """

    file: IO[bytes]
    sure: bool

    @classmethod
    def take(cls, path: Path, *, wait: bool = True) -> Lock | None:
        """Take the lock of a file, which is made where it is missing.

        Args:
            path: The file; its folder is there. A link is not followed.
            wait: Wait for whoever holds it.

        Returns:
            The lock; None when somebody else holds it and ``wait`` is off.
        """
        while True:
            file = os.fdopen(os.open(path, _FLAGS, 0o666), "r+b", buffering=0)
            try:
                sure = _locked(file, wait=wait)
                if sure is not None and _stands(file, path):
                    return cls(file, sure)
            except BaseException:
                file.close()
                raise
            file.close()
            if sure is None:
                return None
            # whoever held it removed the file or gave it another name: the lock is another file's now

    def release(self) -> None:
        """Let go of it."""
        if self.file.closed:
            return
        if self.sure:
            import fcntl

            # a process that was forked meanwhile has the file open too, and would hold the lock as long as it lives
            fcntl.flock(self.file, fcntl.LOCK_UN)
        self.file.close()


@contextmanager
def held(path: Path) -> Generator[Lock]:
    """Hold the lock of a file, and wait for it before; see `Lock.take`."""
    lock = Lock.take(path)
    assert lock is not None
    try:
        yield lock
    finally:
        lock.release()


def _locked(file: IO[Any], *, wait: bool) -> bool | None:
    """True when it is locked now, False where there are no locks, None when somebody else holds it."""
    if not _KNOWN:
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno in _UNSUPPORTED:
            return False
        raise
    return True


def _stands(file: IO[Any], path: Path) -> bool:
    """Whether the open file is still the one under this name."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), os.stat(path, follow_symlinks=False))
    except FileNotFoundError:
        return False
