"""Live journeys: results after each append are those of all events, whoever reads meanwhile."""

from __future__ import annotations

import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Thread
from typing import Any

import numpy as np
import pytest
from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.data import pieces
from cxmodel.data.blocks import Block
from cxmodel.data.times import instant
from cxmodel.errors import InvalidValueError
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import WholeMetric
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums, merge_sums, tabulate
from cxmodel.typing import Population

M = cx.metrics
ROW = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["ann", "bob", "cy", "7", "007", "dé"]),
        "trip": st.sampled_from(["1", "2"]),
        "what": st.sampled_from(["zoo", "ad", "pay", "mail", "call"]),
        "at": st.integers(0, 40).map("2026-01-01 10:{:02d}".format),
        "via": st.sampled_from(["web", "app", None]),
        "late": st.sampled_from(["yes", "no"]),
    }
)
BATCH = st.lists(ROW, max_size=6)


def read(rows: list[dict[str, Any]]) -> cx.Journeys:
    return cx.read_events(
        rows, customer="who", journey="trip", touchpoint="what", time="at", channel="via", attributes=["late"]
    )


def told(result: Any) -> Any:
    """A result as it is written."""
    return result.to_dict() if hasattr(result, "to_dict") else result.to_records()


def at_once(journeys: cx.Journeys) -> list[Any]:
    asked = journeys.measure(M.Graph(), M.Paths(), M.Length(), M.Transitions(), M.Duration())
    return [told(each) for each in asked]


@settings(max_examples=40)
@given(st.lists(ROW, min_size=1, max_size=10), st.lists(BATCH, max_size=4), st.sampled_from([1, 8, pieces.SMALLEST]))
def test_live_results_are_those_of_measuring(
    first: list[dict[str, Any]], batches: list[list[dict[str, Any]]], size: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "SMALLEST", size)
        live = cx.Live(read(first), M.Graph(), M.Paths(), M.Length(), M.Transitions(), M.Duration())
        by_channel = cx.Live(live.now.journeys, M.Length(), by=cx.by.attribute("late"))
        grown, rows = live.now.journeys, list(first)
        for batch in batches:
            if len(batch) % 2:
                assert live.now.results is not None
            grown, rows = grown.append(batch), [*rows, *batch]
            snapshot = live.append(batch)
            assert [told(each) for each in snapshot.results] == at_once(grown)
            assert told(by_channel.append(batch).results) == told(grown.measure(M.Length(), by=cx.by.attribute("late")))
        assert live.now.journeys.reading.kept == len(rows)
    assert dict(live.now.journeys.graph().edges) == dict(read(rows).graph().edges)


SEEN: list[int] = []


@frozen(kw_only=True)
class Recorded(M.Length):
    """Length, and how many events each block had that was looked at."""

    def observe(self, block: Block) -> Observations:
        """As length does."""
        SEEN.append(block.events)
        return super().observe(block)


@frozen(kw_only=True)
class Silence(M.Length):
    """Mean time from the last event of a journey to the end of the data, in seconds."""

    def add(self, state: Sums, block: Block, cells: Cells[Any]) -> Sums:
        """It asks for the end, which moves."""
        assert cells.facts.last is not None
        silent = (instant(cells.facts.last) - block.time[block.last]) / 1e6
        seen = observe("journey", np.flatnonzero(block.lengths > 0), events=silent)
        return merge_sums(state, tabulate(block, seen, cells))


def many(customers: int) -> list[dict[str, Any]]:
    return [
        {"who": f"c{i % customers}", "trip": "1", "what": "zoo" if i % 3 else "ad", "via": "web", "late": "no",
         "at": f"2026-01-01 10:{i % 60:02}"}
        for i in range(20 * customers)
    ]  # fmt: skip


def test_only_changed_blocks_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SMALLEST", 100)
    live = cx.Live(read(many(100)).append(many(100)[0]), Recorded())
    assert live.now.results.value == 20.01
    assert len(live.now.journeys.population.parts) > 10
    SEEN.clear()
    after = live.append({"who": "c7", "trip": "1", "what": "ad", "at": "2026-01-01 11:00"})
    assert after.results.value == 20.02
    assert 0 < sum(SEEN) < 500


def test_what_hangs_on_the_end_of_the_data_is_counted_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SMALLEST", 100)
    live = cx.Live(read(many(50)), Silence())
    first = live.now
    moments = [
        first,
        *(live.append({"who": "c7", "trip": "1", "what": "ad", "at": f"2026-01-01 1{i}:00"}) for i in (1, 2)),
    ]
    for snapshot in (moments[1], moments[0], moments[2]):
        assert snapshot.results == snapshot.journeys.measure(Silence())
    assert len({snapshot.results.value for snapshot in moments}) == 3


def test_readers_of_snapshots_with_other_ends_do_not_mix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SMALLEST", 100)
    live = cx.Live(read(many(50)), Silence())
    event = {"who": "c7", "trip": "1", "what": "ad"}
    moments = [live.append({**event, "at": f"2026-01-01 11:{i:02}"}) for i in range(24)]
    with ThreadPoolExecutor(max_workers=4) as pool:
        found = list(pool.map(lambda snapshot: snapshot.results, moments))
    assert found == [snapshot.journeys.measure(Silence()) for snapshot in moments]


def test_inactivity_moves_with_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SMALLEST", 100)
    goal, limit = cx.Goal("sale", touchpoints=["pay"]), timedelta(minutes=90)
    rows = [*many(50), {"who": "c1", "trip": "1", "what": "pay", "via": None, "late": "no", "at": "2026-01-01 10:00"}]
    live = cx.Live(read(rows).with_inactivity(limit), M.ConversionRate(goal=goal))
    assert live.now.results.n == 1
    late = {"who": "new", "trip": "1", "what": "zoo", "at": "2026-01-01 16:00"}
    after = live.append(late)
    assert after.results == after.journeys.measure(M.ConversionRate(goal=goal))
    at_once = read([*rows, late]).with_inactivity(limit).measure(M.ConversionRate(goal=goal))
    assert (after.results.value, after.results.n) == (at_once.value, at_once.n)
    assert after.results.n == 50


def test_blocks_stay_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pieces, "SMALLEST", 100)
    live = cx.Live(read(many(20)), M.Length())
    for i in range(600):
        live.append({"who": f"c{i * 7 % 31}" if i % 2 else f"n{i}", "trip": "1", "what": "ad", "at": "2026-01-02"})
    sizes = [block.events for block in live.now.journeys.population.parts]
    assert (sum(sizes), len(sizes) <= 2 * sum(sizes) // 100 + 1) == (1_000, True)


def test_readers_see_whole_snapshots_while_one_appends() -> None:
    batches = [
        [{"who": f"c{(i * 5 + k) % 40}", "trip": "1", "what": "pay", "via": "app", "late": "no",
          "at": f"2026-01-02 10:{i:02}"} for k in range(3)]
        for i in range(40)
    ]  # fmt: skip
    live = cx.Live(read(many(30)), M.Graph(), M.Length())
    wrong: list[object] = []
    done = False

    def look() -> None:
        while not done and not wrong:
            snapshot = live.now
            graph, length = snapshot.results
            events = snapshot.journeys.facts.events
            found = (graph.graph["events"], snapshot.journeys.reading.kept, round(length.n * (length.value or 0), 6))
            if found != (events, events, events):
                wrong.append(found)

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:
            wrong.append(error)

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        readers = [Thread(target=guarded, args=(look,)) for _ in range(3)]
        for reader in readers:
            reader.start()
        for batch in batches:
            live.append(batch)
        done = True
        for reader in readers:
            reader.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong
    every = read([*many(30), *(row for batch in batches for row in batch)])
    assert dict(live.now.results[0].edges) == dict(every.graph().edges)
    assert live.now.results[1].value == every.measure(M.Length()).value


@frozen
class Whole(WholeMetric[int]):
    """Number of blocks."""

    name = "whole"

    def compute(self, population: Population, *, by: object | None, level: float) -> int:
        """From all blocks."""
        return len(population.parts)


def test_what_needs_all_events_at_once_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="whole is no tally"):
        cx.Live(read(many(2)), Whole())
    with pytest.raises(InvalidValueError, match="no metric"):
        cx.Live(read(many(2)))  # type: ignore[call-overload]
