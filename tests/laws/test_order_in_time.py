"""Rows by journey and time: as sorting twice would put them, whatever the times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from cxmodel.data import grouping
from cxmodel.stats.arrays import compress

EDGES = [-(2**62), -1, 0, 1, 2**62, 2**63 - 1, -(2**63) + 1]
TIMES = st.integers(0, 5) | st.integers(0, 10**6) | st.integers(0, 2**50) | st.sampled_from(EDGES)


def by_sorting(segment: NDArray[Any], time: NDArray[Any]) -> list[int]:
    return sorted(range(segment.size), key=lambda row: (segment[row], time[row], row))


@given(st.lists(st.tuples(st.integers(0, 4), TIMES), min_size=1, max_size=60))
def test_order(rows: list[tuple[int, int]]) -> None:
    ordered = sorted(rows, key=lambda row: row[0])
    segment, time = np.array([row[0] for row in ordered]), np.array([row[1] for row in ordered], np.int64)
    for order in (grouping._stable_order, grouping._sorted_order):
        assert order(segment, time).tolist() == by_sorting(segment, time)


@pytest.mark.parametrize("spread", [1, 50, 10**6, 10**15], ids=["ties", "crowded", "spread", "wide"])
@pytest.mark.parametrize("outlier", [False, True])
def test_order_of_many(spread: int, outlier: bool) -> None:
    """Without an outlier neighbours change places; one that crowds the others into one slice makes all be sorted."""
    rng = np.random.default_rng(4)
    segment, time = np.sort(rng.integers(0, 300, 5_000)), rng.integers(0, spread, 5_000)
    if outlier:
        time[7] = 2**61
    assert grouping._stable_order(segment, time).tolist() == by_sorting(segment, time)


@pytest.mark.parametrize("shuffled", [0, 10, 5_000], ids=["in order", "nearly", "in none"])
def test_compressing_codes_of_a_wide_range(shuffled: int) -> None:
    rng = np.random.default_rng(5)
    codes = np.sort(rng.integers(0, 10**12, 5_000) // 7 * 7)
    codes[1::2] = codes[::2]
    at = rng.integers(0, codes.size, shuffled)
    codes[at] = rng.permutation(codes[at])
    distinct, place = compress(codes)
    wanted, row = np.unique(codes, return_inverse=True)
    assert distinct.tolist() == wanted.tolist()
    assert place.tolist() == row.tolist()
