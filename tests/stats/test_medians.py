"""Exact medians, of many groups at once and of one group in pieces."""

from __future__ import annotations

import statistics
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxmodel.stats import medians
from cxmodel.stats.medians import grouped_medians, median_of_pieces

ENDS = np.iinfo(np.int64)
NUMBERS = st.integers(-5, 5) | st.integers(-(2**40), 2**40) | st.integers(-(2**61), 2**61)
PIECES = st.lists(st.lists(NUMBERS, min_size=1, max_size=12), min_size=1, max_size=6)


@given(groups=st.lists(st.lists(st.integers(-50, 50), max_size=60), max_size=6))
def test_groups_against_the_standard_library(groups: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, groups)])
    found = grouped_medians(np.array([value for group in groups for value in group], np.int64), offsets)
    for mine, group in zip(found.tolist(), groups, strict=True):
        assert mine == statistics.median(group) if group else np.isnan(mine)


@given(pieces=PIECES, bins=st.sampled_from([2, 3, 2**16]), few=st.sampled_from([0, 3]))
def test_pieces_against_the_whole(pieces: list[list[int]], bins: int, few: int) -> None:
    """However few values may be put together at the end, and however coarse the bins are."""
    arrays = [np.array(piece, np.int64) for piece in pieces]
    whole = np.concatenate(arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(medians, "_BINS", bins)
        patch.setattr(medians, "_FEW", few)
        assert median_of_pieces(arrays) == grouped_medians(whole, np.array([0, whole.size]))[0]


def test_the_ends_of_the_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(medians, "_FEW", 0)
    pieces = [np.array([ENDS.min, 0, ENDS.max]), np.array([7, 7])]
    assert median_of_pieces(pieces) == 7.0


def test_many_values_are_never_put_together(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of them are equal: the bin of the median can be made narrow, but not small."""
    monkeypatch.setattr(medians, "_FEW", 1_000)
    generator = np.random.default_rng(5)
    pieces = [np.where(generator.random(50_000) < 0.5, 42, generator.integers(0, 10**9, 50_000)) for _ in range(40)]
    expected = float(np.median(np.concatenate(pieces)))
    tracemalloc.start()
    found = median_of_pieces(pieces)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == expected
    assert most < sum(piece.nbytes for piece in pieces) / 2
