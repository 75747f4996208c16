"""Spilling: a log that does not fit into memory goes through files, one per partition of customers.

While the source is scanned, rows are appended to the file of their customer's partition. Afterwards each partition
is grouped on its own and written as a mapped block. The folder belongs to the population, goes with it, and is swept
by the next process when its owner was killed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from cxmodel.data.grouping import PARTITION, ROWS_PER_BLOCK
from cxmodel.data.rows import Scan, ScanTally
from cxmodel.data.sizes import parse_bytes
from cxmodel.data.storage import alive
from cxmodel.errors import CxmodelError
from cxmodel.stats.arrays import counting_order

_CHUNK: Final = 1_000_000
_PREFIX: Final = "cxmodel-spill-"
_BYTES_PER_ROW: Final = 3.5  # what grouping in memory needs, as a multiple of the rows' own arrays


class FullDiskError(CxmodelError, OSError):
    """There was no room for the temporary partitions."""

    code = "full_disk"


def must_spill(scan: Scan, limit: str | None) -> bool:
    """Whether grouping this in memory would need more than the limit, or than the machine has left."""
    needed = scan.rows * sum(kind.itemsize for kind in scan.kinds().values()) * _BYTES_PER_ROW
    return needed > (parse_bytes(limit) * 0.5 if limit else _free_memory() * 0.8)


def _free_memory() -> float:
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return float("inf")


class SpillFolder:
    """A temporary folder of this process; it is removed with the last population that uses it."""

    def __init__(self) -> None:
        sweep(Path(tempfile.gettempdir()))
        self.path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def close(self) -> None:
        """Remove it now."""
        self._remove()


def sweep(parent: Path) -> None:
    """Remove the folders of processes that were killed."""
    for left in parent.glob(f"{_PREFIX}*"):
        owner = left.name.removeprefix(_PREFIX).split("-")[0]
        if owner.isdigit() and not alive(int(owner)):
            shutil.rmtree(left, ignore_errors=True)


@define(eq=False)
class SpillShelf:
    """Rows on their way into the files of their partitions.

    Attributes:
        scan: The scan that fills it.
        folder: Where the files are.
        tally: Counts of the scan, for times that move.
        kept: Rows so far.
    """

    scan: Scan
    folder: Path
    tally: ScanTally = field(factory=ScanTally)
    kept: int = 0
    _buffer: dict[str, NDArray[Any]] = field(factory=dict)
    _at: int = 0
    _size: int = 0
    _files: dict[int, IO[bytes]] = field(factory=dict)

    @property
    def bits(self) -> int:
        """Partitions are 2 to this power."""
        bits = 0
        while self.scan.rows >> bits > ROWS_PER_BLOCK:
            bits += 1
        return max(bits, 1)

    def room(self, size: int) -> Mapping[str, NDArray[Any]]:
        """Room in the buffer; a full one is written first."""
        if self._at + size > (next(iter(self._buffer.values())).size if self._buffer else 0):
            self.flush()
            if not self._buffer or size > next(iter(self._buffer.values())).size:
                self._buffer = {role: np.empty(max(size, _CHUNK), kind) for role, kind in self.scan.kinds().items()}
        self._size = size
        return {role: array[self._at : self._at + size] for role, array in self._buffer.items()}

    def filled(self) -> None:
        """Go on behind it."""
        self._at += self._size

    def flush(self) -> None:
        """Append the buffered rows to the files of their partitions."""
        if not self._at:
            return
        rows = {role: array[: self._at] for role, array in self._buffer.items()}
        self.scan.to_instants(rows, self.tally)
        part = (rows["customer"] * PARTITION >> np.uint64(64 - self.bits)).astype(np.int32)
        offsets, order = counting_order(part, 1 << self.bits)
        for number in np.flatnonzero(np.diff(offsets)).tolist():
            picked = order[offsets[number] : offsets[number + 1]]
            self._append(number, {role: array[picked] for role, array in rows.items()})
        self.kept += self._at
        self._at = 0

    def _append(self, number: int, rows: Mapping[str, NDArray[Any]]) -> None:
        if number not in self._files:
            self._files[number] = (self.folder / f"rows-{number:05d}.bin").open("wb")
        out = self._files[number]
        try:
            out.write(np.array([next(iter(rows.values())).size], np.int64).tobytes())
            for array in rows.values():
                out.write(array.tobytes())
        except OSError as error:
            raise full_disk(self.folder, error) from None

    def close(self) -> None:
        """Close the files."""
        for each in self._files.values():
            each.close()

    def partitions(self) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """Each partition's number and rows, in the order of the source; its file is removed."""
        kinds = self.scan.kinds()
        for number in sorted(self._files):
            path = self.folder / f"rows-{number:05d}.bin"
            parts: dict[str, list[NDArray[Any]]] = {role: [] for role in kinds}
            with path.open("rb") as source:
                while head := source.read(8):
                    size = int(np.frombuffer(head, np.int64)[0])
                    for role, kind in kinds.items():
                        parts[role].append(np.frombuffer(source.read(size * kind.itemsize), kind))
            yield number, {role: np.concatenate(each) for role, each in parts.items()}
            path.unlink()


def full_disk(folder: Path, error: OSError) -> FullDiskError:
    """The error for a disk without room."""
    return FullDiskError(
        f"there is no room for temporary partitions in {folder.parent}: {error.strerror or error}",
        hint="Free some space, or set TMPDIR to a folder on a larger disk",
    )
