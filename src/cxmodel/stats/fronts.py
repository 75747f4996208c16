"""Pareto fronts: what nothing else beats in every respect."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cxmodel.stats.arrays import Ints
from cxmodel.stats.floats import floats


def pareto_fronts(values: ArrayLike) -> Ints:
    """Front of each row, from 1: a row of front 1 has no row that is at least as high in all and higher in one.

    Front 2 is the first of what is left without front 1, and so on.

    Args:
        values: (n, m) what is compared, higher first.

    >>> pareto_fronts([[1.0, 1.0], [2.0, 0.0], [0.5, 0.5], [2.0, 0.0]]).tolist()
    [1, 1, 2, 1]
    """
    rows = floats(values)
    front = np.zeros(len(rows), np.int64)
    # who beats a row stands before it in this order, so one look at the rows before settles its front
    for i in np.lexsort(-rows.T[::-1]).tolist():
        done = np.flatnonzero(front > 0)
        beaten = (rows[done] >= rows[i]).all(axis=1) & (rows[done] > rows[i]).any(axis=1)
        front[i] = front[done[beaten]].max(initial=0) + 1
    return front
