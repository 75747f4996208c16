"""Spilling: a log that does not fit into memory goes through files, one per partition of customers.

While the source is scanned, rows are appended to the file of their customer's partition. Afterwards each partition
is grouped on its own and written as a block, which is mapped when it is visited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from cxmodel.data.memory import free_memory
from cxmodel.data.partitioning import partition_of
from cxmodel.data.rows import Scan, ScanTally
from cxmodel.data.sizes import parse_bytes
from cxmodel.stats.arrays import Keys, counting_order

_CHUNK: Final = 1_000_000
_MOST_BITS: Final = 9  # more would make each append small
_BYTES_PER_ROW: Final = 3.5  # what grouping in memory needs, as a multiple of the rows' own arrays
_BYTES_PER_WORD: Final = 1.5  # the same of words that only rows carry, not events


def spill_limit(scan: Scan, limit: str | None) -> float | None:
    """Bytes to keep to where grouping this in memory would need more than the limit, or than the machine has left."""
    needed = scan.rows * (scan.row_bytes * _BYTES_PER_ROW + scan.word_bytes * _BYTES_PER_WORD)
    most = float(parse_bytes(limit)) if limit else free_memory()
    return most if needed > most * (0.5 if limit else 0.8) else None


@define(eq=False)
class SpillShelf:
    """Rows on their way into the files of their partitions.

    Attributes:
        scan: The scan that fills it.
        folder: Where the files are.
        rows_per_block: Events that a partition is to have at most.
        tally: Counts of the scan, for times that move.
        kept: Rows so far.
    """

    scan: Scan
    folder: Path
    rows_per_block: int
    tally: ScanTally = field(factory=ScanTally)
    kept: int = 0
    _buffer: dict[str, NDArray[Any]] = field(factory=dict)
    _at: int = 0
    _size: int = 0
    _sizes: dict[int, int] = field(factory=dict)

    @property
    def bits(self) -> int:
        """Partitions are 2 to this power."""
        bits = 0
        while self.scan.rows >> bits > self.rows_per_block and bits < _MOST_BITS:
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

    def word(self, role: str) -> Keys:
        """Never asked for: ids of rows that are spilled are listed before."""
        raise AssertionError(role)

    def filled(self) -> None:
        """Go on behind it."""
        self._at += self._size

    def flush(self) -> None:
        """Append the buffered rows to the files of their partitions."""
        if not self._at:
            return
        rows = {role: array[: self._at] for role, array in self._buffer.items()}
        self.scan.to_instants(rows, self.tally)
        part = partition_of(rows["customer"], self.bits)
        offsets, order = counting_order(part, 1 << self.bits)
        for number in np.flatnonzero(np.diff(offsets)).tolist():
            picked = order[offsets[number] : offsets[number + 1]]
            self._append(number, {role: array[picked] for role, array in rows.items()})
        self.kept += self._at
        self._at = 0

    def _append(self, number: int, rows: Mapping[str, NDArray[Any]]) -> None:
        size = next(iter(rows.values())).size
        # opened anew each time: a process may hold few files open at once, on some systems 256
        with self._path(number).open("ab") as out:
            out.write(np.array([size], np.int64).tobytes())
            for array in rows.values():
                out.write(array.data.cast("B"))
        self._sizes[number] = self._sizes.get(number, 0) + size

    def _path(self, number: int) -> Path:
        return self.folder / f"rows-{number:05d}.bin"

    def partitions(self) -> Iterator[tuple[int, dict[str, NDArray[Any]]]]:
        """Each partition's number and rows, in the order of the source; its file is removed."""
        for number in sorted(self._sizes):
            yield number, self._rows(number)

    def _rows(self, number: int) -> dict[str, NDArray[Any]]:
        """The rows of a partition, read to where they belong: a second copy would not fit for a giant customer."""
        rows = {role: np.empty(self._sizes[number], kind) for role, kind in self.scan.kinds().items()}
        path, at = self._path(number), 0
        with path.open("rb") as source:
            while head := source.read(8):
                end = at + int(np.frombuffer(head, np.int64)[0])
                for array in rows.values():
                    source.readinto(array[at:end].data.cast("B"))
                at = end
        path.unlink()
        return rows
