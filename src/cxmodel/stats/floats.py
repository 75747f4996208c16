"""The array type and the small guards that the statistics modules share."""

from typing import TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats: TypeAlias = NDArray[np.float64]
Bounds: TypeAlias = tuple[Floats, Floats]


def floats(values: ArrayLike) -> Floats:
    """Return the values as a float64 array, without a copy where they are one already."""
    return np.asarray(values, dtype=np.float64)


def ratio(numerator: ArrayLike, denominator: ArrayLike, empty: float = np.nan) -> Floats:
    """Divide elementwise; where the denominator is 0 the result is `empty`, without a warning.

    >>> ratio([1, 0], [2, 0]).tolist()
    [0.5, nan]
    """
    top, bottom = np.broadcast_arrays(floats(numerator), floats(denominator))
    out = np.full(top.shape, empty)
    np.divide(top, bottom, out=out, where=bottom != 0)
    return out


def root(values: ArrayLike) -> Floats:
    """Return the square root, taking the small negative numbers that rounding leaves as 0."""
    return floats(np.sqrt(np.maximum(floats(values), 0.0)))
