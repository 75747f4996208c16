"""Partitioning: rows by customer into parts that fit the cache, in place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from cxmodel.stats.arrays import Ints, Keys, Scalar, counting_order, offsets_of
from cxmodel.stats.key_tables import PARTITION

STRETCH: Final = 1 << 16
_ROWS_PER_SLICE: Final = 1 << 10


@frozen(eq=False)
class Parts:
    """Where the rows of each part stand: in every stretch of rows one slice, part after part.

    Attributes:
        bounds: (parts + 1, stretches) first row of each part in each stretch, and the row behind the last.
    """

    bounds: Ints

    @property
    def sizes(self) -> Ints:
        """(parts,) number of rows of each part."""
        return np.asarray((self.bounds[1:] - self.bounds[:-1]).sum(axis=1))

    def of(self, array: NDArray[Scalar], part: int) -> NDArray[Scalar]:
        """The rows of one part, in the order of the source."""
        slices = zip(self.bounds[part].tolist(), self.bounds[part + 1].tolist(), strict=True)
        pieces = [array[a:b] for a, b in slices]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def partition_of(customer: Keys, bits: int) -> NDArray[np.int32]:
    """The partition of each customer's key, one of 2 ** bits; a stretch at a time, which stays in the cache."""
    out = np.empty(customer.size, np.int32)
    buffer = np.empty(min(customer.size, STRETCH), np.uint64)
    for start in range(0, customer.size, STRETCH):
        keys = customer[start : start + STRETCH]
        hashed = np.multiply(keys, PARTITION, out=buffer[: keys.size])
        out[start : start + STRETCH] = np.right_shift(hashed, np.uint64(64 - bits), out=hashed)
    return out


def parted(customer: Keys, others: Iterable[NDArray[Any]], bits: int) -> Parts:
    """Rearrange the rows of every stretch by the partition of their customer; rows of a part keep their order.

    The arrays are changed in place: a stretch fits the cache, and no second copy of the rows is needed.

    Args:
        customer: (n,) key of each row's customer.
        others: All other columns of the rows.
        bits: Parts are 2 to this power.
    """
    if not bits:
        return Parts(np.array([[0], [customer.size]]))
    columns = [customer, *others]
    rows = max(STRETCH, _ROWS_PER_SLICE << bits)
    starts = range(0, customer.size, rows)

    def arranged(start: int) -> Ints:
        return _arranged([column[start : start + rows] for column in columns], bits) + start

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        bounds = list(pool.map(arranged, starts))
    return Parts(np.ascontiguousarray(np.array(bounds).T))


def _arranged(columns: Sequence[NDArray[Any]], bits: int) -> Ints:
    offsets, order = counting_order(partition_of(columns[0], bits), 1 << bits)
    rows = order.astype(np.intp)
    for column in columns:
        column[:] = column[rows]
    return offsets


def blocks_of(sizes: Ints, bits: int, block_bits: int) -> list[tuple[range, Ints]]:
    """The parts of each block that has any rows, and (parts + 1,) where each begins in it."""
    step = 1 << (bits - block_bits)
    runs = [range(first, first + step) for first in range(0, 1 << bits, step)]
    return [(run, offsets_of(sizes[run.start : run.stop])) for run in runs if sizes[run.start : run.stop].any()]
