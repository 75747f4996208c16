"""Exact medians of many groups at once."""

from __future__ import annotations

from typing import Final

import numpy as np

from cxmodel.stats.arrays import Ints, ranges
from cxmodel.stats.floats import Floats

_ROW_BY_ROW: Final = 48


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


def _middle(low: Ints, high: Ints) -> Floats:
    # low + (high − low)/2 does not overflow where (low + high)/2 would
    return low.astype(np.float64) + (high - low).astype(np.float64) / 2
