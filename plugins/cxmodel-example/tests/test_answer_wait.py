"""The metric: against a slow reference, its laws of merging, and what a broken merge would answer."""

from collections import defaultdict
from functools import reduce
from statistics import median
from typing import Any

import numpy as np
import pytest
from attrs import evolve, frozen
from cxmodel_example import AnswerWait, Waits
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.data.populations import MemoryPopulation
from cxmodel.errors import InvalidValueError, NotMeasurableError
from cxmodel.plugins import Block, Cells, Tally

Row = tuple[str, str, str, int]
"""Customer, touchpoint, channel, minute."""

rows_of = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cem", "dee"]), st.sampled_from(["question", "agent reply", "visit"]),
        st.sampled_from(["chat", "email"]), st.integers(0, 500),
    ),
    min_size=1, max_size=40, unique_by=lambda row: (row[0], row[3]),
)  # fmt: skip


def read(rows: list[Row]) -> cx.Journeys:
    start = np.datetime64("2026-01-01T00:00:00")
    table = [
        {"who": who, "what": what, "via": via, "at": str(start + np.timedelta64(minute, "m"))}
        for who, what, via, minute in rows
    ]
    return cx.read_events(table, customer="who", touchpoint="what", time="at", channel="via")


def slow(rows: list[Row]) -> dict[str, list[int | None]]:
    """Waits by channel of the question: walk every customer's history."""
    found: dict[str, list[int | None]] = defaultdict(list)
    for who in sorted({row[0] for row in rows}):
        open_since: tuple[str, int] | None = None
        for _, what, via, minute in sorted((row for row in rows if row[0] == who), key=lambda row: row[3]):
            if what == "question" and open_since is None:
                open_since = (via, minute)
            if what == "agent reply" and open_since is not None:
                found[open_since[0]].append(minute - open_since[1])
                open_since = None
        if open_since is not None:
            found[open_since[0]].append(None)
    return found


def cells_of(journeys: cx.Journeys) -> Cells[Any]:
    population = journeys.population
    return Cells(vocabulary=population.vocabulary, facts=population.facts, origin=population.origin, by=cx.by.channel)


def parts_of(journeys: cx.Journeys) -> list[Block]:
    """The same customers, each in a block of its own: the last by name first, then from the first on."""
    whole = journeys.population.parts[0]
    names = sorted(whole.vocabulary.customers.text(int(key)) for key in whole.customer)
    told = [{"who": name, "part": name} for name in names]
    marked = journeys.with_customers(told, customer="who", attributes=["part"])
    return [marked.where(part=name).population.parts[0] for name in (names[-1], *names[:-1])]


def in_parts(journeys: cx.Journeys) -> cx.Journeys:
    population = journeys.population
    assert isinstance(population, MemoryPopulation)
    return evolve(journeys, population=evolve(population, parts=parts_of(journeys)))


def same(a: Waits, b: Waits) -> bool:
    return all(np.array_equal(getattr(a, name), getattr(b, name)) for name in ("group", "wait", "customer"))


@given(rows_of)
def test_equals_the_slow_reference(rows: list[Row]) -> None:
    both = [*rows, ("zoe", "question", "chat", 0), ("zoe", "agent reply", "chat", 5)]
    expected = slow(both)
    found = read(both).measure(AnswerWait(), by="channel")
    assert set(found) == set(expected)
    for channel, waits in expected.items():
        known = [wait for wait in waits if wait is not None]
        assert found[channel].value == (median(known) if known else None)
        assert found[channel].n == len(known)
        assert ("censored" in found[channel].flags) == (0 < len(known) < len(waits))


@given(rows_of)
def test_merging_is_associative_and_commutative_with_a_neutral_start(rows: list[Row]) -> None:
    journeys, metric = read(rows), AnswerWait()
    cells = cells_of(journeys)
    states = [metric.add(metric.start(), block, cells) for block in parts_of(journeys)]
    whole = metric.add(metric.start(), journeys.population.parts[0], cells)
    assert same(reduce(metric.merge, states), whole)
    assert same(reduce(metric.merge, reversed(states)), whole)
    assert same(reduce(lambda a, b: metric.merge(b, a), states, metric.start()), whole)


HISTORY: list[Row] = [
    ("ann", "question", "chat", 0), ("ann", "agent reply", "chat", 2),
    ("bob", "question", "chat", 0), ("bob", "agent reply", "chat", 10),
    ("bob", "question", "chat", 20), ("bob", "agent reply", "chat", 31),
    ("cem", "question", "chat", 0), ("cem", "agent reply", "chat", 60),
]  # fmt: skip


class Keeps(AnswerWait):
    """Broken: merging forgets the second state."""

    def merge(self, a: Waits, b: Waits) -> Waits:
        return b if not a.wait.size else a


class Medians(AnswerWait):
    """Broken: merging keeps the median of each state, as if medians could be added up."""

    def merge(self, a: Waits, b: Waits) -> Waits:
        both = super().merge(a, b)
        middle = (both.wait.size - 1) // 2
        return Waits(both.group[:1], both.wait[middle : middle + 1], both.customer[:1])


class Unsorted(AnswerWait):
    """Broken: merging appends without sorting."""

    def merge(self, a: Waits, b: Waits) -> Waits:
        pairs = zip((a.group, a.wait, a.customer), (b.group, b.wait, b.customer), strict=True)
        return Waits(*(np.concatenate(pair) for pair in pairs))


@pytest.mark.parametrize(
    ("metric", "minutes"), [(AnswerWait(), 10.5), (Keeps(), 60.0), (Medians(), 2.0), (Unsorted(), 6.0)]
)
def test_a_broken_merge_gives_a_known_wrong_answer(metric: Tally[Waits, cx.Estimate], minutes: float) -> None:
    # ann waits 2 minutes, bob 10 and 11, cem 60: the median is 10.5
    split = in_parts(read(HISTORY))
    assert len(split.population.parts) == 3
    assert split.measure(metric).value == minutes


def test_blocks_change_nothing() -> None:
    journeys = read(HISTORY)
    assert in_parts(journeys).measure(AnswerWait(), by="touchpoint") == journeys.measure(AnswerWait(), by="touchpoint")


def test_interval_covers_as_often_as_it_says_where_customers_differ() -> None:
    # each of 60 customers asks four times and waits about as long each time; the true median is 60 minutes
    generator = np.random.default_rng(4)
    covered = 0
    for _ in range(200):
        usual = generator.normal(60, 15, 60)
        waits = np.clip(usual[:, None] + generator.normal(0, 3, (60, 4)), 1, None)
        found = of_waits(np.rint(waits * 60_000_000).astype(np.int64))
        assert found.interval is not None
        covered += 60.0 in found.interval
    assert 0.90 <= covered / 200 <= 0.99


def of_waits(waits: np.ndarray[Any, np.dtype[np.int64]]) -> cx.Estimate:
    """The estimate of waits in µs, one row per customer."""
    metric, journeys = AnswerWait(), read(HISTORY)
    customers, each = waits.shape
    keys = np.repeat(np.arange(customers, dtype=np.uint64), each)
    state = Waits(np.zeros(waits.size, np.int64), waits.ravel(), keys)
    return metric.finish(metric.merge(metric.start(), state), cells_of(journeys), 0.95)[0]


def test_too_few_waits_have_no_interval() -> None:
    found = read(HISTORY).measure(AnswerWait())
    assert (found.interval, found.flags, found.unit, found.direction) == (None, ("small_n",), "min", "lower")


def test_unanswered_questions_are_told() -> None:
    rows: list[Row] = [*HISTORY, ("dee", "question", "email", 0)]
    found = read(rows).measure(AnswerWait(), by="channel")
    assert found["email"].reason == "none of 1 questions was answered"
    assert "censored" in read(rows).measure(AnswerWait()).flags


def test_no_question_is_no_value() -> None:
    metric, cells = AnswerWait(), cells_of(read(HISTORY))
    assert metric.finish(metric.start(), cells, 0.95) == {}
    found = metric.finish(metric.start(), evolve(cells, by=None), 0.95)[0]
    assert (found.value, found.reason, found.flags) == (None, "no question was asked", ("empty",))


def test_touchpoints_that_never_occur_are_not_measurable() -> None:
    with pytest.raises(NotMeasurableError, match=r"replies=\[…\]"):
        read(HISTORY).measure(AnswerWait(replies=["bot"]))


def test_one_name_is_no_list_of_names() -> None:
    with pytest.raises(InvalidValueError, match="'question'"):
        AnswerWait(asks="question")


def test_found_by_name_and_options() -> None:
    journeys = read(HISTORY)
    assert journeys.measure("answer_wait", asks=["question"]) == journeys.measure(AnswerWait())


@frozen(kw_only=True)
class _Frozen(AnswerWait):
    pass


def test_options_are_values() -> None:
    assert AnswerWait(asks=["a"]) == AnswerWait(asks=("a",))
    assert len({AnswerWait(), AnswerWait()}) == 1
    assert AnswerWait() != _Frozen()
