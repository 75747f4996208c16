"""Cooperative games: how the Shapley value shares out what all players make together."""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import ArrayLike

from cxmodel.stats.floats import Floats, floats


def shapley_values(worth: ArrayLike) -> Floats:
    """Shapley value of each player, `Σ_S |S|!(p−|S|−1)!/p!·(v(S + i) − v(S))`, shape (…, p); sums to v(all) − v(none).

    Shapley 1953, A value for n-person games. Time and memory grow with 2^p.

    Args:
        worth: v of every set of players, shape (…, 2^p); bit i of the index is player i.

    >>> shapley_values([0.0, 1.0, 0.0, 0.5]).tolist()
    [0.75, -0.25]
    """
    v = floats(worth)
    p = v.shape[-1].bit_length() - 1
    masks = np.arange(2**p)
    size = np.array([mask.bit_count() for mask in range(2**p)])
    weight = np.array([factorial(s) * factorial(p - s - 1) / factorial(p) for s in range(p)])
    out = np.empty((*v.shape[:-1], p))
    for i in range(p):
        lacking = masks[masks >> i & 1 == 0]
        out[..., i] = (v[..., lacking | 1 << i] - v[..., lacking]) @ weight[size[lacking]]
    return out
