"""Pairs in order, loops, grams, distributions and ends against plain Python."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis import followings, loops
from cxmodel.errors import InvalidValueError, NotMeasurableError, UnknownNameError
from cxmodel.stats.intervals import wilson

NAMES = ("a", "b", "c", "d")
Customer = list[list[tuple[str, int]]]
"""The journeys of a customer; an event is a touchpoint and the seconds since the one before."""

EVENTS = st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, 90)), min_size=1, max_size=7)
CUSTOMERS = st.lists(st.lists(EVENTS, min_size=1, max_size=3), min_size=1, max_size=6)


def read(customers: list[Customer]) -> cx.Journeys:
    log = []
    for who, journeys in enumerate(customers):
        for which, events in enumerate(journeys):
            at = datetime(2026, 1, 1, tzinfo=UTC)
            for place, (what, gap) in enumerate(events):
                at += timedelta(seconds=gap)
                segment = "even" if who % 2 == 0 else "odd"
                row = {
                    "who": str(who),
                    "which": f"{who}-{which}",
                    "what": what,
                    "at": at,
                    "place": place,
                    "seg": segment,
                }
                log.append(row)
    return cx.read_events(
        log, customer="who", journey="which", touchpoint="what", time="at", order=["place"], attributes=["seg"]
    )


def paths_of(customers: list[Customer]) -> list[str]:
    return ["".join(what for what, _ in events) for journeys in customers for events in journeys]


def pairs_of(path: str) -> set[tuple[str, str]]:
    return {(a, b) for i, a in enumerate(path) for b in path[i + 1 :]}


@given(CUSTOMERS)
def test_pairs_in_order_are_those_of_all_pairs_of_events(customers: list[Customer]) -> None:
    journeys, paths = read(customers), paths_of(customers)
    table = journeys.measure(cx.metrics.EventuallyFollows())
    expected = Counter(pair for path in paths for pair in pairs_of(path))
    assert {(str(r["source"]), str(r["target"])): r["count"] for r in table.to_records()} == expected
    assert table.journeys == len(paths)
    counts = [int(str(record["count"])) for record in table.to_records()]
    assert counts == sorted(counts, reverse=True)
    source = paths[0][0]
    one = journeys.measure(cx.metrics.EventuallyFollows(source=source))
    assert {str(r["target"]): r["count"] for r in one.to_records()} == {
        b: n for (a, b), n in expected.items() if a == source
    }


@given(CUSTOMERS)
def test_shares_widen_with_customers_of_many_journeys(customers: list[Customer]) -> None:
    table = read(customers).measure(cx.metrics.EventuallyFollows())
    n = sum(len(journeys) for journeys in customers)
    for record in table.to_records():
        pair = (str(record["source"]), str(record["target"]))
        share = table.share(*pair)
        y = np.array([sum(pair in pairs_of(path) for path in paths_of([journeys])) for journeys in customers])
        m = np.array([len(journeys) for journeys in customers])
        p, g = y.sum() / n, len(customers)
        effect = 1.0
        if g > 1 and 0 < p < 1:
            effect = ((y - p * m) ** 2).sum() * g / (g - 1) / (n * p * (1 - p) * n / (n - 1))
        size = n / max(1.0, effect)
        low, high = wilson(p * size, size)
        assert share.interval is not None
        assert (share.value, share.n_eff) == pytest.approx((p, size))
        assert (share.interval.low, share.interval.high) == pytest.approx((float(low), float(high)))


@given(CUSTOMERS)
def test_groups_of_pairs_are_the_tables_of_the_selections(customers: list[Customer]) -> None:
    journeys = read(customers)
    groups = journeys.measure(cx.metrics.EventuallyFollows(), by=cx.by.attribute("seg"))
    ends = journeys.measure(cx.metrics.Ends(), by=cx.by.attribute("seg"))
    lengths = journeys.measure(cx.metrics.LengthDistribution(), by=cx.by.attribute("seg"))
    for segment, table in groups.items():
        alone = journeys.where(seg=segment)
        assert table.to_dict() == alone.measure(cx.metrics.EventuallyFollows()).to_dict()
        assert ends[segment].to_dict() == alone.measure(cx.metrics.Ends()).to_dict()
        assert lengths[segment].to_dict() == alone.measure(cx.metrics.LengthDistribution()).to_dict()


@given(CUSTOMERS)
def test_every_journey_begins_and_ends_once(customers: list[Customer]) -> None:
    table, paths = read(customers).measure(cx.metrics.Ends()), paths_of(customers)
    assert {end.touchpoint: end.count for end in table.entries} == Counter(path[0] for path in paths)
    assert {end.touchpoint: end.count for end in table.exits} == Counter(path[-1] for path in paths)
    assert sum(end.count for end in table.exits) == table.journeys == len(paths)
    assert all(end.share.value == end.count / table.journeys for end in table.entries)


def test_journeys_in_progress_have_no_exit_yet() -> None:
    journeys = read([[[("a", 0), ("b", 1)]], [[("a", 0), ("c", 5)]], [[("a", 90), ("b", 9)]], [[("c", 100)]]])
    unknown, known = (
        each.measure(cx.metrics.Ends()) for each in (journeys, journeys.with_inactivity(timedelta(seconds=30)))
    )
    assert ({end.touchpoint: end.count for end in unknown.exits}, unknown.still_open) == ({"b": 2, "c": 2}, 0)
    assert {end.touchpoint: end.count for end in known.exits} == {"b": 1, "c": 1}
    assert (known.journeys, known.still_open, known.to_dict()["still_open"]) == (4, 2, 2)
    assert [end.share.value for end in known.exits] == [0.5, 0.5]
    assert {end.touchpoint: end.share.value for end in known.entries} == {"a": 0.75, "c": 0.25}
    flags = [{"open_unknown" in end.share.flags for end in ends} for ends in (unknown.exits, unknown.entries)]
    assert flags == [{True}, {False}]
    assert not any("open_unknown" in end.share.flags for end in known.exits)
    assert str(known).splitlines()[-1] == "  still open: 2"


def test_rows_of_large_tables_are_made_when_they_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    journeys = read([[[(what, at) for at, what in enumerate("abcabc")]], [[("d", 0)]]])
    made: list[object] = []
    kept = loops.LoopRow

    def row(**values: Any) -> loops.LoopRow:
        made.append(values)
        return kept(**values)

    monkeypatch.setattr(loops, "LoopRow", row)
    table = journeys.measure(cx.metrics.Loops())
    assert (len(table.touchpoints), len(made), table.repeating) == (4, 1, 3)
    assert table.touchpoints[-1].touchpoint == "d"
    assert [row.touchpoint for row in table.touchpoints[:2]] == ["a", "b"]
    assert len(made) == 4
    assert (table.touchpoints == tuple(table.touchpoints), repr(table.touchpoints)) == (True, "<4 rows>")
    with pytest.raises(IndexError):
        table.touchpoints[4]


@given(CUSTOMERS)
def test_loops_are_counted_event_by_event(customers: list[Customer]) -> None:
    table = read(customers).measure(cx.metrics.Loops())
    self_loops, returns, looping = Counter[str](), Counter[str](), defaultdict[str, int](int)
    paths = paths_of(customers)
    for path in paths:
        for i, what in enumerate(path[1:], start=1):
            self_loops[what] += path[i - 1] == what
            returns[what] += path[i - 1] != what and what in path[:i]
        for what in set(path):
            looping[what] += path.count(what) > 1
    assert {row.touchpoint: (row.self_loops, row.returns) for row in table.touchpoints} == {
        what: (self_loops[what], returns[what]) for what in set("".join(paths))
    }
    assert table.whole.extra == sum(len(path) - len(set(path)) for path in paths)
    assert table.whole.extra == sum(row.extra for row in table.touchpoints)
    assert table.whole.reworked.value == sum(len(path) > len(set(path)) for path in paths) / len(paths)
    for row in table.touchpoints:
        assert row.journeys == sum(str(row.touchpoint) in path for path in paths)
        assert row.reworked.value == looping[str(row.touchpoint)] / row.journeys


@given(CUSTOMERS, st.integers(1, 4))
def test_grams_are_the_windows_of_the_paths(customers: list[Customer], order: int) -> None:
    table, paths = read(customers).measure(cx.metrics.Grams(order)), paths_of(customers)
    windows = [[path[i : i + order] for i in range(len(path) - order + 1)] for path in paths]
    expected = Counter(gram for each in windows for gram in each)
    journeys = Counter(gram for each in windows for gram in set(each))
    found = {"".join(gram.touchpoints): gram for gram in table.top(len(table))}
    assert {name: gram.count for name, gram in found.items()} == expected
    assert {name: gram.journeys for name, gram in found.items()} == journeys
    top = table.top(2)
    assert top.total == expected.total() == sum(gram.count for gram in top) + top.other
    assert [gram.count for gram in top] == [count for _, count in expected.most_common(2)]


@given(CUSTOMERS, st.floats(0, 1))
def test_quantiles_and_bins_are_exact(customers: list[Customer], share: float) -> None:
    journeys = read(customers)
    lengths = [len(path) for path in paths_of(customers)]
    seconds = [sum(gap for _, gap in events[1:]) for each in customers for events in each]
    for metric, values, edges in (
        (cx.metrics.LengthDistribution(edges=[1, 3, 5]), lengths, (1, 3, 5)),
        (cx.metrics.DurationDistribution(edges=[0, 30, 60]), seconds, (0, 30, 60)),
    ):
        found = journeys.measure(metric)
        assert found.quantile(share) == pytest.approx(float(np.quantile(values, share)))
        assert found.median == pytest.approx(float(np.median(values)))
        inside = [sum(low <= value < high for value in values) for low, high in pairwise(edges)]
        assert {each.low: each.count for each in found.bins if each.count} == {
            low: count for low, count in zip(edges, inside, strict=False) if count
        }
        assert sum(inside) + found.outside == found.journeys == len(values)


def test_usual_bins_leave_nothing_out() -> None:
    journeys = read([[[("a", 0), ("b", 5), ("c", 100_000)]], [[("a", 0)]]])
    found = journeys.measure(cx.metrics.DurationDistribution())
    assert found.outside == 0
    assert (found.bins[0].low, found.bins[-1].low) == (0.0, 86_400.0)
    assert str(journeys.measure(cx.metrics.LengthDistribution())).splitlines() == [
        "2 journeys, in events: least 1, 5 % 1.1, 25 % 1.5, median 2, 75 % 2.5, 90 % 2.8, 95 % 2.9, most 3",
        "  1 to below 2: 1 (50.0%)", "  2 to below 3: 0 (0.0%)", "  3 to below 4: 1 (50.0%)",
    ]  # fmt: skip


def test_pairs_are_the_same_however_few_are_held_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.Generator(np.random.PCG64(1))
    journeys = read([[[(str(what), 1) for what in generator.choice(NAMES, 5)]] * (1 + who % 2) for who in range(50)])
    whole = journeys.measure(cx.metrics.EventuallyFollows()).to_dict()
    monkeypatch.setattr(followings, "PAIRS_AT_ONCE", 40)
    assert journeys.measure(cx.metrics.EventuallyFollows()).to_dict() == whole
    monkeypatch.setattr(followings, "MOST_PAIRS", 8)
    with pytest.raises(NotMeasurableError, match=r"different touchpoints, too many for all pairs[\s\S]*source="):
        journeys.measure(cx.metrics.EventuallyFollows())
    assert len(journeys.measure(cx.metrics.EventuallyFollows(target="a"))) > 0


def test_what_cannot_be_asked_is_said_in_words() -> None:
    journeys = read([[[("a", 0), ("b", 5), ("a", 9)]]])
    follows = journeys.measure(cx.metrics.EventuallyFollows())
    assert follows.share("b", "b").value == 0.0
    assert follows.count("b", "b") == 0
    with pytest.raises(UnknownNameError, match="no touchpoint 'z'"):
        follows.count("a", "z")
    with pytest.raises(NotMeasurableError, match="no touchpoint 'z'"):
        journeys.measure(cx.metrics.EventuallyFollows(source="z"))
    with pytest.raises(InvalidValueError, match="1 to 8"):
        cx.metrics.Grams(9)
    with pytest.raises(InvalidValueError, match="ascending"):
        cx.metrics.LengthDistribution(edges=[3, 1])
    assert len(journeys.measure(cx.metrics.Grams(4))) == 0
    assert str(follows).splitlines()[0] == "1 journeys, 3 pairs in order"
    assert str(journeys.measure(cx.metrics.Loops())).splitlines()[1].startswith("  a: 0 self-loops, 1 returns")
    assert str(journeys.measure(cx.metrics.Ends())).splitlines()[1].startswith("  begin at a: 1, 100.0%")
