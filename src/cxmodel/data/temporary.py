"""Temporary files: a folder for what is too large for memory, and arrays that wait there.

The folder belongs to the journeys that use it and goes with the last of them. An array that is put aside has no name on
disk at all where the system allows that.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import numpy as np
from attrs import fields, has
from numpy.typing import NDArray

from cxmodel.data.folders import OwnedFolder
from cxmodel.data.grouping import ROWS_PER_BLOCK
from cxmodel.errors import CxmodelError

S = TypeVar("S")

_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_SHARE: Final = 8  # a state may take this part of the limit before its arrays are put aside
_SMALL: Final = 2**16
_BYTES_PER_EVENT: Final = 500  # what several questions at once work out about an event, for a moment
_FEWEST: Final = 50_000


class FullDiskError(CxmodelError, OSError):
    """There was no room for the temporary files."""

    code = "full_disk"


class SpillFolder:
    """A temporary folder and a limit; it is removed with the last population that uses it.

    Args:
        limit: Bytes of memory that those who use it keep to.

    Raises:
        FullDiskError: It cannot be made.
    """

    def __init__(self, limit: float) -> None:
        self.limit = limit
        try:
            self._folder = OwnedFolder()
        except OSError as error:
            raise full_disk(error) from None

    @property
    def path(self) -> Path:
        """Where it is."""
        return self._folder.path

    @property
    def threads(self) -> int:
        """How many blocks are visited at once, so that small ones take half the limit at most."""
        return int(min(max(self.limit / 2 // (_BYTES_PER_EVENT * _FEWEST), 1), os.cpu_count() or 1))

    @property
    def rows_per_block(self) -> int:
        """Events of a block, so that those that are visited at once take half the limit at most."""
        return int(min(max(self.limit / 2 // (_BYTES_PER_EVENT * self.threads), _FEWEST), ROWS_PER_BLOCK))

    def fits(self, events: int) -> bool:
        """Whether this many events can be visited at once within the limit."""
        return events * _BYTES_PER_EVENT <= self.limit

    def close(self) -> None:
        """Remove it now."""
        self._folder.close()

    def settled(self, state: S) -> S:
        """A state; its arrays are put aside where they take more than a share of the limit.

        Args:
            state: Frozen attrs classes, arrays, and tuples and mappings of these.
        """
        held = sum(array.nbytes for array in _arrays(state) if not _is_mapped(array))
        return cast("S", _replaced(state, self._aside)) if held > self.limit / _SHARE else state

    def _aside(self, array: NDArray[Any]) -> NDArray[Any]:
        """The same array out of a file, which goes with it."""
        if array.nbytes < _SMALL or array.dtype.hasobject or _is_mapped(array):
            return array
        try:
            with tempfile.TemporaryFile(dir=self.path) as out:
                out.write(np.ascontiguousarray(array).data.cast("B"))
                out.flush()
                mapped = mmap.mmap(out.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise full_disk(error) from None
        return np.frombuffer(mapped, array.dtype).reshape(array.shape)


def _arrays(state: object) -> Iterator[NDArray[Any]]:
    """All arrays of a state."""
    if isinstance(state, np.ndarray):
        yield state
    elif type(state) is tuple:
        for each in state:
            yield from _arrays(each)
    elif isinstance(state, Mapping):
        for each in state.values():
            yield from _arrays(each)
    elif has(class_ := cast("type[Any]", type(state))):
        for field in fields(class_):
            yield from _arrays(getattr(state, field.name))


def _replaced(state: object, change: Callable[[NDArray[Any]], NDArray[Any]]) -> object:
    """The state with changed arrays."""
    if isinstance(state, np.ndarray):
        return change(state)
    if type(state) is tuple:
        return tuple(_replaced(each, change) for each in state)
    if isinstance(state, Mapping):
        return {key: _replaced(each, change) for key, each in state.items()}
    if has(class_ := cast("type[Any]", type(state))):
        changed = {field.alias: _replaced(getattr(state, field.name), change) for field in fields(class_)}
        return cast("object", class_(**changed))
    return state


def let_go(arrays: Iterable[NDArray[Any]]) -> None:
    """Pages of files that were looked at no longer count as memory of this process; they come back when asked for."""
    for array in arrays:
        mapped = _mapping(array)
        if mapped is not None and sys.platform != "win32":
            mapped.madvise(mmap.MADV_DONTNEED)


def _is_mapped(array: NDArray[Any]) -> bool:
    """Whether the numbers lie in a file."""
    return _mapping(array) is not None


def _mapping(array: NDArray[Any]) -> mmap.mmap | None:
    """The file in which the numbers lie, mapped."""
    base: Any = array
    while isinstance(base, np.ndarray):
        base = cast("Any", base).base
    base = base.obj if isinstance(base, memoryview) else base
    return base if isinstance(base, mmap.mmap) else None


def full_disk(error: OSError) -> FullDiskError:
    """The error for temporary files that cannot be written, in words."""
    if isinstance(error, FullDiskError):
        return error
    why = "there is no room for" if error.errno in _FULL else "it is not possible to write"
    return FullDiskError(
        f"{why} temporary files in {_parent()}: {error.strerror or error}",
        hint="Free some space, or set TMPDIR to a folder on a larger disk",
    )


def _parent() -> str:
    try:
        return tempfile.gettempdir()
    except OSError:
        return "any of the usual folders"
