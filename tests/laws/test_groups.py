"""Groups, pairs of groups, intervals and differences."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import read

import cxmodel as cx
from cxmodel.testing import Row, journeys_of, logs, reference

few = settings(max_examples=25)


@few
@given(logs(journeys=True))
def test_pairs_are_nested_selections(rows: list[Row]) -> None:
    """By (a, b) gives what selecting a and then grouping by b gives."""
    fact = {"j1": "x", "j2": "y", "j3": None}
    journeys = read([{**row, "kind": fact[str(row["journey"])]} for row in rows], attributes=["kind"])
    if not {"x", "y"} & set(
        journeys.population.vocabulary.columns["kind"].names if journeys.population.vocabulary.columns["kind"] else ()
    ):
        return
    by_kind = cx.by.attribute("kind")
    for metric in (cx.metrics.Length(), cx.metrics.Duration()):
        pairs = journeys.measure(metric, by=(by_kind, cx.by.touchpoint))
        nested = {
            (kind, touchpoint): (estimate.value, estimate.n)
            for kind in journeys.measure(metric, by=by_kind)
            for touchpoint, estimate in journeys.where(kind=kind).measure(metric, by="touchpoint").items()
        }
        assert {key: (estimate.value, estimate.n) for key, estimate in pairs.items()} == nested
        assert pairs.by == ("kind", "touchpoint")
        assert pairs.overlapping


@few
@given(logs(journeys=True))
def test_groups_of_journeys_and_the_rest_are_the_whole(rows: list[Row]) -> None:
    fact = {"j1": "x", "j2": "y", "j3": None}
    journeys = read([{**row, "kind": fact[str(row["journey"])]} for row in rows], attributes=["kind"])
    if journeys.population.vocabulary.columns["kind"] is None:
        return
    total = journeys.measure(cx.metrics.Length())
    for by in (cx.by.attribute("kind"), cx.by.day(), cx.by.hour(), cx.by.month(tz="America/New_York")):
        groups: Any = journeys.measure(cx.metrics.Length(), by=by)
        parts = [*groups.values(), *([groups.unassigned] if groups.unassigned is not None else [])]
        assert not groups.overlapping
        assert sum(part.n for part in parts) == total.n
        assert sum(part.n * part.require() for part in parts) == pytest.approx(total.n * total.require())
    goal = cx.Goal("goal", touchpoints=[str(rows[0]["touchpoint"])])
    whole = journeys.measure(cx.metrics.LinearCredit(goal=goal))
    split: Any = journeys.measure(cx.metrics.LinearCredit(goal=goal), by=cx.by.attribute("kind"))
    tables = [*split.values(), *([split.unassigned] if split.unassigned is not None else [])]
    assert sum(table.conversions for table in tables) == whole.conversions


def test_groups_times_contexts_do_not_overflow() -> None:
    """Days × months × contexts of three touchpoints are more cells than 64 bits can number."""
    wide = ", ".join(f"p{i:03} {i}" for i in range(120))
    journeys = journeys_of(f"all: {wide}; anna: p001 1, p002 2, goal 3; bert: p002 0, goal 9; carl: p001 5")
    metric = cx.metrics.MarkovCredit(goal=cx.Goal("goal", touchpoints=["goal"]), order=3)
    plain = journeys.measure(metric)
    grouped: Any = journeys.measure(metric, by=(cx.by.day(), cx.by.month()))
    day = datetime(2026, 1, 1, tzinfo=UTC).date()
    assert list(grouped) == [(day, day)]
    assert {k: e.value for k, e in grouped[day, day].items()} == pytest.approx({k: e.value for k, e in plain.items()})


# intervals


def many(seed: int, customers: int = 900) -> list[dict[str, Any]]:
    """Customers with several journeys each, some long, some short; waits of weeks."""
    draw = np.random.default_rng(seed)
    start, rows = datetime(2026, 1, 1, tzinfo=UTC), []
    for c in range(customers):
        level = draw.exponential(20)
        for j in range(1 + draw.poisson(2)):
            at = start + timedelta(days=float(draw.uniform(0, 300)))
            for k in range(1 + draw.poisson(1 + level / 10)):
                name = "goal" if draw.random() < 0.2 else f"p{draw.integers(3)}"
                rows.append(
                    {
                        "customer": str(c),
                        "journey": f"{c}-{j}",
                        "touchpoint": name,
                        "time": at + timedelta(days=k * float(level)),
                    }
                )
    return rows


def test_delta_intervals_are_as_wide_as_two_thousand_replicates() -> None:
    journeys = read(many(7))
    goal = cx.Goal("goal", touchpoints=["goal"])
    for metric in (cx.metrics.Length(), cx.metrics.Duration(), cx.metrics.ConversionRate(goal=goal)):
        for by in (None, "touchpoint"):
            delta, drawn = journeys.measure(metric, by=by), journeys.measure(metric, by=by, bootstrap=2000, seed=3)  # type: ignore[call-overload]
            pairs = [(delta, drawn)] if by is None else [(delta[key], drawn[key]) for key in delta]
            for a, b in pairs:
                assert a.value == pytest.approx(b.value)
                assert "bootstrap" in b.interval.method
                if metric.name == "conversion_rate" and b.value == 1.0:
                    assert a.interval.high == b.interval.low == b.interval.high == 1.0  # replicates cannot differ
                    continue
                assert (a.interval.high - a.interval.low) / (b.interval.high - b.interval.low) == pytest.approx(
                    1, abs=0.09
                )


def test_units_do_not_matter_for_intervals() -> None:
    """A journey a thousand times as long has an interval a thousand times as wide."""
    wide = [journeys_of(
        "a/1: x 0, y 5; a/2: x 0; a/3: x 0, y 1; b/1: x 0, y 7; c/1: x 0, y 2; c/2: y 1", unit=unit
    ).measure(cx.metrics.Duration()) for unit in (timedelta(seconds=1), timedelta(days=20))]  # fmt: skip
    a, b = (estimate.interval for estimate in wide)
    assert a is not None
    assert b is not None
    assert (b.low, b.high) == pytest.approx((a.low * 20 * 86_400, a.high * 20 * 86_400))


@few
@given(logs(journeys=True, customers=5))
def test_differences_are_antisymmetric(rows: list[Row]) -> None:
    groups = read(rows).measure(cx.metrics.Length(), by="touchpoint")
    names = list(groups)
    a, b = groups[names[0]], groups[names[-1]]
    one, other = a.minus(b), b.minus(a)
    assert one.require() == -other.require() == pytest.approx(a.require() - b.require())
    assert one.n == other.n
    assert (one.interval is None) == (other.interval is None)
    if one.interval is not None and other.interval is not None:
        assert (one.interval.low, one.interval.high) == pytest.approx((-other.interval.high, -other.interval.low))
        assert one.interval.low - 1e-9 <= one.require() <= one.interval.high + 1e-9
        assert one.interval.method == other.interval.method


@few
@given(logs(), st.floats(0.5, 0.94))
def test_higher_levels_give_wider_intervals(rows: list[Row], level: float) -> None:
    journeys = read(rows)
    for metric in (
        cx.metrics.Length(),
        cx.metrics.ConversionRate(goal=cx.Goal("g", touchpoints=[str(rows[0]["touchpoint"])])),
    ):
        narrow, wide = journeys.measure(metric, level=level).interval, journeys.measure(metric).interval
        if narrow is not None and wide is not None:
            assert wide.low <= narrow.low + 1e-12
            assert narrow.high <= wide.high + 1e-12


def test_replicates_are_the_same_for_the_same_seed() -> None:
    rows = many(1, 250)
    journeys = read(rows)
    a, b, c = (journeys.measure(cx.metrics.Length(), bootstrap=200, seed=seed).interval for seed in (1, 1, 2))
    assert a == b != c
    renumbered = read(rows[::-1]).measure(cx.metrics.Length(), bootstrap=200, seed=1).interval
    assert a is not None
    assert renumbered is not None
    assert (renumbered.low, renumbered.high) == pytest.approx((a.low, a.high))


@few
@given(logs(journeys=True))
def test_journeys_stand_under_every_transition_that_they_make(rows: list[Row]) -> None:
    journeys = read(rows)
    paths = [[event.touchpoint for event in trip.events] for trip in reference.trips(rows)]
    wanted: dict[tuple[str, str], list[int]] = {}
    for path in paths:
        for pair in set(pairwise(path)):
            wanted.setdefault(pair, []).append(len(path))
    found = journeys.measure(cx.metrics.Length(), by="transition")
    assert found.overlapping
    assert {tuple(key): each.n for key, each in found.items()} == {key: len(each) for key, each in wanted.items()}
    assert all(found[cx.Transition(*key)].require() == pytest.approx(np.mean(each)) for key, each in wanted.items())
    alone = sum(len(path) == 1 for path in paths)
    assert (0 if found.unassigned is None else found.unassigned.n) == alone


def test_answers_stand_under_the_transition_that_led_there() -> None:
    rows = [
        {"who": who, "what": what, "at": f"2026-01-01 10:{minute:02}"}
        for who, path in (("a", "xyz"), ("b", "zy"), ("c", "y"))
        for minute, what in enumerate(path)
    ]
    said = [{"who": who, "about": "y", "at": "2026-01-01 11:00", "score": 9} for who in "abc"]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at").with_responses(
        cx.read_responses(
            said, customer="who", time="at", touchpoint="about", score="score", scale=cx.Scale.nps(), question="nps"
        )
    )
    found = journeys.measure(cx.metrics.Nps(min_n=0), by="transition")
    assert {tuple(key): each.n for key, each in found.items()} == {("x", "y"): 1, ("z", "y"): 1}
    assert found.unassigned is not None
    assert (found.unassigned.n, found.overlapping) == (1, False)
    rate = journeys.measure(cx.metrics.VisitResponseRate(), by="transition")
    assert {tuple(key): each.value for key, each in rate.items()} == {("x", "y"): 1, ("z", "y"): 1, ("y", "z"): 0}
    survey = cx.read_responses(said, customer="who", score="score", scale=cx.Scale.nps())
    with pytest.raises(cx.errors.NotMeasurableError, match="a survey on its own holds no transitions"):
        survey.measure(cx.metrics.Nps(), by="transition")
