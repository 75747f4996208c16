"""Exact medians of many groups at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from cxmodel.stats.arrays import Ints, ranges
from cxmodel.stats.floats import Floats

_ROW_BY_ROW: Final = 48
_BINS: Final = 2**16
_FEW: Final = 2**20


def grouped_medians(values: Ints, offsets: Ints) -> Floats:
    """The exact median of each of consecutive groups; NaN for an empty one.

    Small groups of one size are sorted side by side, large ones are partitioned one by one, so the work is linear in
    the values whether there are few large groups or many small ones.

    Args:
        values: (n,) values, group after group.
        offsets: (g + 1,) where each group begins.

    Example:
        >>> grouped_medians(np.array([3, 1, 2, 10]), np.array([0, 3, 3, 4])).tolist()
        [2.0, nan, 10.0]
    """
    sizes = np.diff(offsets)
    out = np.full(sizes.size, np.nan)
    for size in np.unique(sizes[(sizes > 0) & (sizes <= _ROW_BY_ROW)]).tolist():
        rows = np.flatnonzero(sizes == size)
        table = values[ranges(offsets[rows], sizes[rows])].reshape(rows.size, size)
        table.sort(axis=1)
        out[rows] = _middle(table[:, (size - 1) // 2], table[:, size // 2])
    for row in np.flatnonzero(sizes > _ROW_BY_ROW).tolist():
        group = values[offsets[row] : offsets[row + 1]].copy()
        low, high = (group.size - 1) // 2, group.size // 2
        group.partition((low, high) if low != high else low)
        out[row] = _middle(group[low : low + 1], group[high : high + 1])[0]
    return out


def median_of_pieces(pieces: Sequence[Ints]) -> float:
    """The exact median of one group that lies in several pieces, without putting them together.

    The values are counted in bins, then those of the bin that holds the median, until few are left: memory does not
    follow their number.

    Args:
        pieces: Values, none of the pieces empty.

    Example:
        >>> median_of_pieces([np.array([3, 1]), np.array([2, 10])])
        2.5
    """
    size = sum(piece.size for piece in pieces)
    low, high = _ranked(pieces, (size - 1) // 2), _ranked(pieces, size // 2)
    return float(_middle(low, high)[0])


def _ranked(pieces: Sequence[Ints], rank: int) -> Ints:
    """(1,) the value of this rank, from 0."""
    low, high = min(int(piece.min()) for piece in pieces), max(int(piece.max()) for piece in pieces)
    left = sum(piece.size for piece in pieces)
    while left > _FEW and low < high:
        width = (high - low) // _BINS + 1
        counts = sum(np.bincount(_bins(piece, low, high, width), minlength=_BINS) for piece in pieces)
        reached = np.cumsum(counts)
        found = int(np.searchsorted(reached, rank, side="right"))
        left = int(reached[found]) - (int(reached[found - 1]) if found else 0)
        rank -= int(reached[found]) - left
        low, high = low + found * width, min(low + (found + 1) * width - 1, high)
    if low == high:
        return np.array([low])
    near = np.concatenate([piece[(piece >= low) & (piece <= high)] for piece in pieces])
    near.partition(rank)
    return near[rank : rank + 1]


def _bins(piece: Ints, low: int, high: int, width: int) -> Ints:
    """The bin of each value between the two ends."""
    inside = piece[(piece >= low) & (piece <= high)]
    # the distance from the lowest fits 64 bits without a sign, whatever the two are
    distance = inside.view(np.uint64) - np.uint64(low % 2**64)
    return (distance // np.uint64(width)).astype(np.int64)


def _middle(low: Ints, high: Ints) -> Floats:
    # low + (high − low)/2 does not overflow where (low + high)/2 would
    return low.astype(np.float64) + (high - low).astype(np.float64) / 2
