"""Folders for temporary files: owned by whoever holds their lock, swept once nobody does.

A process number says little: it means another process in another container, and a child made by a fork uses what its
parent made. A lock of the system on the folder itself is shared with forked children, holds across containers on one
disk, and ends with the last process that held it, however that ended.

Where the system has no such locks (Windows, some network drives), a folder goes with the process that made it, and what
a killed process left stays until somebody removes it.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import weakref
from pathlib import Path
from typing import Final

PREFIX: Final = "cxmodel-spill-"


class OwnedFolder:
    """A temporary folder that lives as long as this, here or in a forked child.

    What killed processes left is swept first: that costs one look through the folder of temporary files, 0.1 ms per
    hundred of them.

    Attributes:
        path: The folder; the process number in its name is for whoever looks at it.

    Raises:
        OSError: It cannot be made.
    """

    def __init__(self) -> None:
        sweep(Path(tempfile.gettempdir()))
        self.path, held = _made()
        self._leave = weakref.finalize(self, _left, self.path, held, os.getpid())

    def close(self) -> None:
        """Leave it now; it is removed unless a forked child, or the parent of this one, uses it still."""
        self._leave()


def sweep(parent: Path) -> None:
    """Remove the folders that nobody holds any more."""
    with os.scandir(parent) as entries:
        found = [Path(entry.path) for entry in entries if entry.name.startswith(PREFIX)]
    for each in found:
        _swept(each)


def _made() -> tuple[Path, int | None]:
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
        held = _lock(path, wait=True)
        # between the two lines above another process may have taken it for a left one, and swept it
        if path.exists():
            return path, held
        if held is not None:
            os.close(held)


def _left(path: Path, held: int | None, maker: int) -> None:
    """Let go of a folder; the last one to do so removes it, or without a lock the process that made it."""
    if held is not None:
        os.close(held)
        _swept(path)
    elif os.getpid() == maker:
        shutil.rmtree(path, ignore_errors=True)


def _swept(path: Path) -> None:
    held = _lock(path, wait=False)
    if held is not None:
        shutil.rmtree(path, ignore_errors=True)
        os.close(held)


if sys.platform == "win32":

    def _lock(path: Path, *, wait: bool) -> int | None:
        return None

else:
    import fcntl

    def _lock(path: Path, *, wait: bool) -> int | None:
        """The folder, opened and locked; None where it is gone, another's, or held by another."""
        try:
            held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            fcntl.flock(held, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except OSError:
            os.close(held)
            return None
        return held
