"""Array primitives against plain Python."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxmodel.data.texts import Texts
from cxmodel.stats.arrays import compress, distinct_codes, integer_texts, members
from cxmodel.stats.key_tables import KeyTable

KEYS = st.integers(0, 40) | st.integers(0, 2**64 - 1)
LOW, HIGH = -(2**63), 2**63 - 1


@given(st.lists(st.integers(LOW, HIGH) | st.integers(-20_000, 20_000) | st.sampled_from([LOW, HIGH, 0, 9_999, 10_000])))
def test_integers_as_texts(values: list[int]) -> None:
    data, offsets = integer_texts(np.array(values, np.int64))
    assert [bytes(data[a:b]).decode() for a, b in pairwise(offsets)] == [str(value) for value in values]


@pytest.mark.parametrize("width", range(1, 20))
def test_integers_of_one_length(width: int) -> None:
    values = [10 ** (width - 1), 10**width - 1 if width < 19 else HIGH]
    data, offsets = integer_texts(np.array(values, np.int64))
    assert bytes(data).decode() == "".join(map(str, values))
    assert offsets.tolist() == [0, width, 2 * width]


@given(st.lists(st.integers(0, 50) | st.integers(0, 2**60), max_size=30))
def test_codes_are_made_dense_through_a_table_or_a_sort(values: list[int]) -> None:
    codes = np.array(values, np.int64)
    distinct, place = compress(codes)
    assert distinct.tolist() == sorted(set(values)) == distinct_codes(codes).tolist()
    assert distinct[place].tolist() == values


@given(
    st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1)),
    st.lists(st.integers(0, 40) | st.integers(2**63, 2**64 - 1)),
)
def test_members_are_those_that_are_wanted(keys: list[int], wanted: list[int]) -> None:
    found = members(np.array(keys, np.uint64), np.array(wanted, np.uint64))
    assert found.tolist() == [key in wanted for key in keys]


@given(st.lists(st.text(max_size=20), max_size=12))
def test_the_hash_of_a_text_does_not_depend_on_the_others(texts: list[str]) -> None:
    together = Texts.of(texts).keys().tolist()
    assert together == [int(Texts.of([text]).keys()[0]) for text in texts]


@given(st.sets(KEYS), st.lists(KEYS))
def test_key_tables_find_what_they_hold(held: set[int], asked: list[int]) -> None:
    code = {key: i for i, key in enumerate(sorted(held))}
    table = KeyTable(np.array(list(code), np.uint64), np.array(list(code.values()), np.int32))
    assert table.found(np.array(asked, np.uint64)).tolist() == [code.get(key, -1) for key in asked]
    assert table.codes(np.array(list(code), np.uint64)).tolist() == list(code.values())
