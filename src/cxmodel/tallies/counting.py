"""Counts by key: what is left of many rows where only how often matters."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from cxmodel.stats.arrays import Ints, compress
from cxmodel.stats.floats import Floats


@frozen(eq=False)
class Counted:
    """How often each key was seen.

    Attributes:
        keys: (r,) ascending distinct keys, 0 or more.
        counts: (r,) how often, or how much.
    """

    keys: Ints
    counts: Floats

    def plus(self, other: Counted) -> Counted:
        """Both together.

        Example:
            >>> both = counted(np.array([2, 5, 2])).plus(counted(np.array([5])))
            >>> both.keys.tolist(), both.counts.tolist()
            ([2, 5], [2.0, 2.0])
        """
        return counted(np.concatenate([self.keys, other.keys]), np.concatenate([self.counts, other.counts]))

    def of(self, wanted: Ints) -> Floats:
        """The counts of these keys; 0 for those that were not seen."""
        if not self.keys.size:
            return np.zeros(wanted.shape)
        row = np.minimum(np.searchsorted(self.keys, wanted), self.keys.size - 1)
        return np.where(self.keys[row] == wanted, self.counts[row], 0.0)


def counted(keys: Ints, weights: Floats | None = None) -> Counted:
    """Count keys, or add their weights up."""
    distinct, place = compress(keys)
    return Counted(distinct, np.bincount(place, weights, distinct.size).astype(np.float64))


def nothing() -> Counted:
    """No key."""
    return Counted(np.zeros(0, np.int64), np.zeros(0))
