"""Ids that are spelled in words: nothing is lost, none are mixed up, and what cannot be spelled is listed instead."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.laws.reading import read, whole
from tests.laws.test_collisions import WORDS, plain

import cxmodel as cx
from cxmodel.data import events, rows
from cxmodel.data.spelling import MOST_BYTES, MOST_WORDS, UnspellableError, apart, key_of, texts_of, words_of
from cxmodel.data.texts import Texts
from cxmodel.stats.arrays import mix, unmixed
from cxmodel.testing import HOSTILE, reference

IDS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=MOST_BYTES // 4) | st.text(
    "ab", max_size=MOST_BYTES
)
Row = dict[str, object]


def log(ids: list[str]) -> list[Row]:
    """Three events of each customer, who take turns."""
    return [
        {"customer": who, "journey": None, "touchpoint": "abc"[turn], "time": f"2026-01-0{turn + 1}T00:{i % 60:02}"}
        for turn in range(3)
        for i, who in enumerate(ids)
    ]  # fmt: skip


def was_spelled(journeys: cx.Journeys) -> bool:
    return journeys.population.vocabulary.customers.later is not None


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1).map(lambda keys: np.array(keys, np.uint64)))
def test_mixing_can_be_undone(keys: np.typing.NDArray[np.uint64]) -> None:
    assert (unmixed(mix(keys)) == keys).all()


@given(st.lists(IDS))
def test_words_give_back_the_texts(ids: list[str]) -> None:
    texts = Texts.of(ids)
    words = words_of(texts)
    assert list(texts_of(key_of(words), words[1:])) == ids
    assert texts.blank(words[0].astype(np.uint8)).tolist() == [not text.strip() for text in ids]


@given(IDS, st.integers(0, MOST_WORDS))
def test_the_key_does_not_depend_on_the_others(who: str, more: int) -> None:
    alone = key_of(words_of(Texts.of([who])))
    assert key_of(words_of(Texts.of([who, "x" * 8 * more])))[0] == alone[0]


@pytest.mark.parametrize("who", ["a\0", "\0", "x" * (MOST_BYTES + 1)])
def test_what_cannot_be_spelled(who: str) -> None:
    with pytest.raises(UnspellableError):
        words_of(Texts.of(["a", who]))


@given(st.lists(st.integers(0, 6), max_size=40).map(lambda keys: np.array(keys, np.uint64)))
def test_shared_keys_are_taken_apart(keys: np.typing.NDArray[np.uint64]) -> None:
    found = apart(keys)
    assert np.unique(found).size == keys.size
    assert set(keys.tolist()) <= set(found.tolist())


@given(st.lists(IDS.filter(str.strip), min_size=1, max_size=30, unique=True))
def test_spelled_ids_are_read(ids: list[str]) -> None:
    found = read(log(ids))
    assert was_spelled(found)
    assert whole(found) == plain(reference.trips(log(ids)))


@pytest.mark.parametrize("more", [[], ["x" * (MOST_BYTES + 1)], ["b\0", "b"], ["\0", "\0c", "c"]])
def test_others_are_listed(more: list[str]) -> None:
    ids = [*(text for text in dict.fromkeys(HOSTILE) if text.strip()), *more]
    found = read(log(ids))
    assert was_spelled(found) == all("\0" not in who and len(who.encode()) <= MOST_BYTES for who in ids)
    assert whole(found) == plain(reference.trips(log(ids)))


def test_blank_ids_are_no_ids() -> None:
    found = read([*log(["ann"]), *log(["", "   ", "\u2003"])])
    assert whole(found) == plain(reference.trips(log(["ann"])))
    assert found.reading.rejected["no customer"].count == 9
    assert [each.row for each in found.reading.rejected["no customer"].examples][:2] == [4, 5]


@pytest.mark.parametrize("longest", [MOST_BYTES, MOST_BYTES + 1])
@pytest.mark.parametrize("first", ["a", "b" * (MOST_BYTES + 1)])
def test_longer_ids_may_come_late(monkeypatch: pytest.MonkeyPatch, longest: int, first: str) -> None:
    """The first rows tell how long ids are; the others may be longer, and are only then listed after all."""
    monkeypatch.setattr(rows, "_FIRST_ROWS", 1)
    ids = [first, *("a" + "ü" * (i // 2) + "b" * (i % 2) for i in range(1, longest))]
    found = read(log(ids))
    assert was_spelled(found) == (max(len(who.encode()) for who in ids) <= MOST_BYTES)
    assert whole(found) == plain(reference.trips(log(ids)))


def test_endless_ids_are_not_taken_into_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch holds many rows: of an id that is too long only as much is taken as shows that."""
    sizes: list[int] = []

    def looked_at(texts: Texts) -> object:
        sizes.append(texts.data.size)
        return words_of(texts)

    monkeypatch.setattr(rows, "words_of", looked_at)
    ids = [*(f"{i}" for i in range(3_000)), *(f"{'x' * 10_000}{i}" for i in range(20))]
    found = read(log(ids))
    assert not was_spelled(found)
    assert found.facts.customers == len(ids)
    assert 0 < max(sizes) < 3 * len(ids) * (MOST_BYTES + 1)


def test_many_customers_with_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Made-up words with one key for all fifty; the journeys are those of fifty customers."""
    odd = 0xC2B2AE3D27D4EB4F
    second = np.arange(1, 51, dtype=np.uint64)
    words = [np.uint64(7) - second * np.uint64(odd), second]
    assert np.unique(key_of(words)).size == 1
    monkeypatch.setattr(rows, "words_of", lambda texts: [word[numbers_of(texts)] for word in words])
    ids = [f"{i}" for i in range(50)]
    found = read(log(ids))
    assert was_spelled(found)
    [block] = found.population.parts
    assert np.unique(block.customer).size == 50
    assert np.diff(block.journey_offsets).tolist() == [3] * 50
    assert block.touchpoint.tolist() == [0, 1, 2] * 50


def numbers_of(texts: Texts) -> list[int]:
    return [int(text) for text in texts]


def test_starts_and_completes_of_colliding_customers_are_paired_apart() -> None:
    """Both are at one touchpoint at once; taken for one customer, the first start would end with the other's end."""
    table = [
        {"who": who, "what": "call", "state": state, "at": f"2026-01-01T{hour:02}:00"}
        for who, begin, end in ((WORDS[0][0], 9, 12), (WORDS[0][1], 10, 11))
        for state, hour in (("start", begin), ("complete", end))
    ]
    found = cx.read_events(
        table, customer="who", touchpoint="what", time="at", lifecycle=("state", "start", "complete")
    )
    assert was_spelled(found)
    [block] = found.population.parts
    assert block.until is not None
    lasted = {
        found.population.vocabulary.customers.text(int(block.customer[row])): int(block.until[row] - block.time[row])
        for row in range(2)
    }
    hour = timedelta(hours=1) // timedelta(microseconds=1)
    assert lasted == {WORDS[0][0]: 3 * hour, WORDS[0][1]: hour}


def test_spilled_rows_have_listed_ids(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "spill_limit", lambda scan, limit: 1e6)
    ids = [f"customer {i}" for i in range(50)]
    found = read(log(ids))
    assert not was_spelled(found)
    assert whole(found) == plain(reference.trips(log(ids)))
