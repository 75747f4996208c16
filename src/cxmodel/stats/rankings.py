"""Ranks in replicates: how often each item keeps its place, and how often one stands before another."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cxmodel.stats.arrays import Ints
from cxmodel.stats.floats import Floats, floats


class Ranks(NamedTuple):
    """Shares of replicates.

    Attributes:
        order: (m,) the first m items, best first.
        shares: (m, m) share of replicates in which item i of the order stands at rank j.
        beats: (m, m) share of replicates in which item i stands before item j; ties count one half.
    """

    order: Ints
    shares: Floats
    beats: Floats


def rank_shares(values: ArrayLike, replicates: ArrayLike, most: int = 20) -> Ranks:
    """Rank items by value, highest first, in the data and in every replicate.

    Values that differ by less than rounding does are equal. Equal values stand in the order of the data, and equal
    values of the data in the order given. A replicate without a value (nan) for an item puts it last.

    Args:
        values: (k,) values.
        replicates: (k, b) values of the replicates.
        most: How many of the first to tell about.

    >>> ranks = rank_shares([3.0, 5.0], [[3.0, 6.0], [4.0, 5.0]])
    >>> ranks.order.tolist(), ranks.shares.tolist(), ranks.beats.tolist()
    ([1, 0], [[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [0.5, 0.5]])
    """
    drawn, whole = _told_apart(floats(replicates)), _told_apart(floats(values)[:, None])[:, 0]
    order = np.argsort(-whole, kind="stable")
    b, size = max(drawn.shape[1], 1), min(most, order.size)
    ranked = np.argsort(-drawn[order], axis=0, kind="stable")[:size]
    shares = np.zeros((size, size))
    for rank in range(ranked.shape[0]):
        inside = ranked[rank][ranked[rank] < size]
        shares[:, rank] = np.bincount(inside, minlength=size) / b
    first = drawn[order[:size]]
    beats = np.empty((size, size))
    for i in range(size):
        beats[i] = ((first[i] > first).sum(axis=1) + 0.5 * (first[i] == first).sum(axis=1)) / b
    return Ranks(order[:size], shares, beats)


def _told_apart(values: Floats) -> Floats:
    """The values to twelve digits of the largest of their replicate; nan is below all."""
    known = np.where(np.isfinite(values), values, 0.0)
    scale = np.abs(known).max(axis=0, initial=0.0)
    scale = np.where(scale > 0, scale, 1.0)
    return np.where(np.isnan(values), -np.inf, np.round(known / scale, 12) * scale)
