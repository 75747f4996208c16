"""Waits, opening hours and time to a goal against plain loops, published values and laws."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.bottlenecks import Bottlenecks
from cxmodel.analysis.time_to import TimeTo, compare_times, cumulative_error
from cxmodel.data.business import business_time
from cxmodel.metrics.timing import WaitMean, WaitQuantile, WaitTotal
from cxmodel.model.calendars import WEEKDAYS, BusinessHours
from cxmodel.stats.survival import aalen_johansen, clustered_error, greenwood_se, risk_table
from cxmodel.tallies.quantiles import replicated_quantiles

Build = Callable[..., cx.Journeys]
DAY = 86_400
EVENT = st.fixed_dictionaries(
    {
        "who": st.sampled_from("abc"), "journey": st.sampled_from("12"), "what": st.sampled_from("pqr"),
        "at": st.integers(0, 40), "until": st.integers(0, 15),
    }
)  # fmt: skip


def with_end(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "until": row["at"] + row["until"]}


LOGS = st.lists(EVENT.map(with_end), min_size=1, max_size=25)
TURN = {"initiator": {"p": "organisation", "q": "customer"}}
KINDS = {"p": "wait", "q": "pause", "r": "unknown"}


def journeys_of(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    keys = sorted({(row["who"], row["journey"]) for row in rows})
    ordered = sorted(rows, key=lambda row: row["at"])
    return [[row for row in ordered if (row["who"], row["journey"]) == key] for key in keys]


def gaps_of(rows: list[dict[str, Any]]) -> list[tuple[str, str, int, bool]]:
    return [
        (a["what"], b["what"], max(b["at"] - a["until"], 0), b["at"] < a["until"])
        for journey in journeys_of(rows)
        for a, b in pairwise(journey)
    ]


@given(LOGS, st.sampled_from([None, "wait", "pause", "unknown"]), st.sampled_from([0.5, 0.9, 0.25]), st.integers(1, 3))
def test_waits_equal_plain_loops(
    build: Build, rows: list[dict[str, Any]], kind: Any, share: float, blocks: int
) -> None:
    log = build(rows, facts=TURN, blocks=blocks)
    lengths = [length for _, target, length, _ in gaps_of(rows) if kind in (None, KINDS[target])]
    mean, total, quantile = log.measure(WaitMean(kind=kind), WaitTotal(kind=kind), WaitQuantile(kind=kind, share=share))
    if not lengths:
        assert mean.value is total.value is quantile.value is None
        return
    assert mean.n == quantile.n == len(lengths)
    assert mean.require() == pytest.approx(sum(lengths) / len(lengths))
    assert total.require() == pytest.approx(sum(lengths))
    assert quantile.require() == pytest.approx(float(np.quantile(lengths, share)))
    if quantile.interval is not None:
        assert quantile.interval.low <= quantile.require() <= quantile.interval.high


@given(LOGS)
def test_quantiles_by_transition_equal_each_alone(build: Build, rows: list[dict[str, Any]]) -> None:
    groups: dict[tuple[str, str], list[int]] = {}
    for source, target, length, _ in gaps_of(rows):
        groups.setdefault((source, target), []).append(length)
    found = build(rows, blocks=2).measure(WaitQuantile(), by="transition")
    assert {tuple(key): each.value for key, each in found.items()} == {
        key: pytest.approx(float(np.median(lengths))) for key, lengths in groups.items()
    }


@given(LOGS, st.integers(1, 3))
def test_bottlenecks_equal_plain_loops(build: Build, rows: list[dict[str, Any]], blocks: int) -> None:
    table = build(rows, facts=TURN, blocks=blocks).measure(Bottlenecks(top=2))
    waits = [gap for gap in gaps_of(rows) if KINDS[gap[1]] == "wait"]
    edges = {gap[:2] for gap in waits}
    assert len(table.rows) + table.others == len(edges)
    shown = sum(row.total_s for row in table.rows)
    assert shown + table.others_total_s == pytest.approx(sum(gap[2] for gap in waits))
    assert [row.total_s for row in table.rows] == sorted((row.total_s for row in table.rows), reverse=True)
    for kind in ("wait", "pause", "unknown"):
        assert table.count[kind] == sum(KINDS[gap[1]] == kind for gap in gaps_of(rows))
    for row in table.rows:
        mine = [gap for gap in waits if gap[:2] == (row.source, row.target)]
        assert (row.n, row.overlaps) == (len(mine), sum(gap[3] for gap in mine))
        assert row.median_s == pytest.approx(float(np.median([gap[2] for gap in mine])))
        assert row.p90_s == pytest.approx(float(np.quantile([gap[2] for gap in mine], 0.9)))
        assert row.share is None or 0 <= row.share <= 1


def test_whose_turn_it_was_must_be_known(build: Build) -> None:
    log = build([{"who": "a", "what": "p", "at": i * 60} for i in range(3)])
    with pytest.raises(cx.errors.NotMeasurableError, match="cannot be told from pauses"):
        log.measure(Bottlenecks())
    assert log.measure(Bottlenecks(unknown_as="wait")).rows[0].total_s == 120
    assert log.measure(Bottlenecks(unknown_as="wait"), by="touchpoint")["p"].total_s["wait"] == 120


HOURS = BusinessHours(
    tz="Europe/Berlin", week={"Monday": "09:00-12:00 13:00-17:30", "Saturday": "22:00-24:00", "Sunday": "00:00-06:00"},
    holidays=[date(2026, 4, 6)],
)  # fmt: skip


def open_minutes(begin: int, end: int) -> int:
    """Minute by minute on the wall clock of the zone."""
    spans = {"Monday": [(540, 720), (780, 1050)], "Saturday": [(1320, 1440)], "Sunday": [(0, 360)]}
    count = 0
    for minute in range(begin, end):
        wall = datetime.fromtimestamp(minute * 60, tz=UTC).astimezone(ZoneInfo("Europe/Berlin"))
        inside = any(a <= wall.hour * 60 + wall.minute < b for a, b in spans.get(WEEKDAYS[wall.weekday()], []))
        count += inside and wall.date() != date(2026, 4, 6)
    return count


@settings(max_examples=25)
@example(9 * 1440, 2 * 1440)  # over the holiday, 6 April, a Monday
@given(st.integers(0, 12 * 1440), st.integers(0, 2 * 1440))
def test_business_time_equals_minute_by_minute(start: int, length: int) -> None:
    first = int(datetime(2026, 3, 27, tzinfo=UTC).timestamp()) // 60  # the clocks go forward on 29 March
    begin, end = first + start, first + start + length
    found = business_time(HOURS, np.array([begin * 60_000_000]), np.array([end * 60_000_000]))
    assert found.tolist() == [open_minutes(begin, end) * 60_000_000]


@given(st.lists(st.integers(0, 10**12), min_size=3, max_size=3).map(sorted))
def test_business_time_adds_up(times: list[int]) -> None:
    a, b, c = (np.array([each * 1000]) for each in times)
    whole = business_time(HOURS, a, c)
    assert (business_time(HOURS, a, b) + business_time(HOURS, b, c)).tolist() == whole.tolist()
    assert (business_time(HOURS, c, a) == -whole).all()
    assert 0 <= whole[0] <= (c - a)[0]


@pytest.mark.parametrize("text", ["9-17", "10:00-09:00", "09:00-12:00 11:00-13:00", "09:00-25:00", "09:70-10:00"])
def test_bad_hours_are_refused(text: str) -> None:
    with pytest.raises(cx.errors.InvalidValueError, match="no span of opening hours"):
        BusinessHours(week={"Monday": text})
    with pytest.raises(cx.errors.InvalidValueError, match="there is no weekday 'Mon'"):
        BusinessHours(week={"Mon": "09:00-17:00"})


def test_waits_within_opening_hours(build: Build) -> None:
    friday = int(datetime(2026, 1, 2, 15, tzinfo=UTC).timestamp())
    log = build([{"who": "a", "what": "p", "at": friday}, {"who": "a", "what": "p", "at": friday + 67 * 3600}])
    assert log.measure(WaitTotal(calendar=BusinessHours())).require() == 3 * 3600
    assert log.measure(Bottlenecks(unknown_as="wait", calendar=BusinessHours())).business_hours


GOAL = cx.Goal("goal", touchpoints=["done"])
OTHER = cx.Goal("other", touchpoints=["lost"])
Spell = tuple[int, int, str]
SPELLS = st.lists(
    st.tuples(st.integers(0, 8), st.sampled_from([0, 1, 2]), st.sampled_from("xy")), min_size=2, max_size=20
)


def waiting(build: Build, spells: list[Spell], **options: Any) -> cx.Journeys:
    names = {0: "seen", 1: "done", 2: "lost"}
    rows = [{"who": f"c{i}", "what": "start", "at": 0, "group": group} for i, (_, _, group) in enumerate(spells)]
    rows += [
        {"who": f"c{i}", "what": names[end], "at": time * DAY, "group": group}
        for i, (time, end, group) in enumerate(spells)
    ]
    for name in ("done", "lost"):  # so that the goals occur
        rows.append({"who": "z", "what": name, "at": 0, "group": "z"})
    return build(rows, **options)


@given(SPELLS, st.integers(1, 2))
def test_time_to_equals_the_table_of_spells(build: Build, spells: list[Spell], blocks: int) -> None:
    log = waiting(build, spells, blocks=blocks).measure(
        TimeTo(goal=GOAL, competing=[OTHER]), by=cx.by.attribute("group")
    )
    for group in {group for _, _, group in spells}:
        mine = [(time, cause) for time, cause, each in spells if each == group]
        found = log[group]
        table = risk_table([t * DAY for t, _ in mine], [c for _, c in mine], n_causes=2)
        shares, without = aalen_johansen(table.at_risk, table.events)
        assert found.causes == ("goal", "other")
        assert (found.n, found.reached) == (len(mine), sum(c == 1 for _, c in mine))
        assert found.shares == pytest.approx(shares)
        assert found.shares.sum(axis=0) + found.without == pytest.approx(np.ones(without.size))
        assert "open_unknown" in found.median.flags
        half = [t for t in sorted({t for t, _ in mine}) if found.share_by(timedelta(days=t)).require() >= 0.5 - 1e-9]
        assert found.median.value == (half[0] * DAY if half else None)


@given(SPELLS)
def test_without_censoring_the_share_is_the_plain_one(build: Build, spells: list[Spell]) -> None:
    ended = [(time, end or 1, group) for time, end, group in spells]
    found = waiting(build, ended).measure(TimeTo(goal=GOAL, competing=[OTHER]))
    plain = (sum(end == 1 for _, end, _ in ended) + 1) / (len(ended) + 1)  # the one customer who has both goals at once
    assert found.shares[0, -1] == pytest.approx(plain)


def test_inactivity_tells_dropped_from_open(build: Build) -> None:
    rows = [{"who": who, "what": "start", "at": 0} for who in "abc"]
    rows += [{"who": "a", "what": "done", "at": DAY}, {"who": "b", "what": "seen", "at": 2 * DAY}]
    found = build(rows, still_open={("c", "")}).measure(TimeTo(goal=GOAL))
    assert found.causes == ("goal", "dropped")
    assert (found.reached, found.censored) == (1, 1)
    assert found.shares[:, -1] == pytest.approx([1 / 3, 1 / 3])  # c is in progress when the data end, on day 2
    assert "open_unknown" not in found.median.flags


def test_a_window_lets_journeys_in_late_and_censors_at_its_end(build: Build) -> None:
    rows = [{"who": who, "what": "start", "at": at * DAY} for who, at in (("a", 0), ("b", 4), ("c", 0))]
    rows += [{"who": who, "what": "done", "at": at * DAY} for who, at in (("a", 6), ("b", 12), ("c", 1))]
    rows += [{"who": "c", "what": "seen", "at": 7 * DAY}]
    start = datetime(1970, 1, 1, tzinfo=UTC)
    log = build(rows).between(start + timedelta(days=3), start + timedelta(days=10))
    found = log.measure(TimeTo(goal=GOAL))
    # a comes in three days late, b is cut off after six days, c had reached the goal before the window
    assert (found.n, found.reached, found.censored, found.left_out) == (2, 1, 1, 1)
    assert found.spells.entry.tolist() == [3 * DAY * 10**6, -1]
    assert found.share_by(timedelta(days=6)).require() == 0.5


def test_nobody_at_risk_and_unknown_goals(build: Build) -> None:
    log = build([{"who": "a", "what": "start", "at": 0}, {"who": "b", "what": "done", "at": 0}])
    assert log.where(passes="start").measure(TimeTo(goal=cx.Goal("s", touchpoints=["start"]))).reached == 1
    with pytest.raises(cx.errors.NotMeasurableError, match="there is no touchpoint 'lost'"):
        log.measure(TimeTo(goal=GOAL, competing=[OTHER]))
    with pytest.raises(cx.errors.InvalidValueError, match="both the goal and a competing one"):
        TimeTo(goal=GOAL, competing=[GOAL])
    with pytest.raises(cx.errors.InvalidValueError, match="at least two groups"):
        compare_times([log.measure(TimeTo(goal=GOAL))])


@given(st.lists(st.tuples(st.integers(1, 8), st.integers(0, 1)), min_size=1, max_size=20))
def test_with_one_cause_the_error_is_greenwoods(observed: list[tuple[int, int]]) -> None:
    table = risk_table([t for t, _ in observed], [c for _, c in observed])
    expected = greenwood_se(table.at_risk, table.events[0])
    known = np.isfinite(expected)
    assert cumulative_error(table.at_risk, table.events)[known] == pytest.approx(expected[known], abs=1e-7)


def test_the_error_of_competing_shares_is_that_of_repeated_samples() -> None:
    generator = np.random.default_rng(7)
    shares, errors = [], []
    for _ in range(300):
        ends, seen = generator.exponential([1.0, 2.0], (150, 2)), generator.uniform(0, 3, 150)
        table = risk_table(
            np.minimum(ends.min(axis=1), seen),
            np.where(seen < ends.min(axis=1), 0, ends.argmin(axis=1) + 1),
            n_causes=2,
        )
        at = int(np.searchsorted(table.times, 1.0)) - 1
        shares.append(aalen_johansen(table.at_risk, table.events)[0][0, at])
        errors.append(cumulative_error(table.at_risk, table.events)[at])
    assert np.mean(errors) == pytest.approx(np.std(shares), rel=0.12)


@pytest.mark.open_data
def test_published_survival_values(build: Build, open_data: Path) -> None:
    reference = json.loads((open_data / "reference" / "time_continuity.json").read_text(encoding="utf-8"))
    case = reference["freireich_6mp"]
    spells = [(t, e, "x") for t, e in zip(case["time_6mp"], case["event_6mp"], strict=True)]
    spells += [(t, 1, "y") for t in case["time_placebo"]]
    found = waiting(build, spells).measure(TimeTo(goal=GOAL), by=cx.by.attribute("group"))
    assert found["x"].median.require() == case["median"] * DAY
    for row in case["km"]:
        assert 1 - found["x"].share_by(timedelta(days=row["t"])).require() == pytest.approx(row["S"])
    test = compare_times([found["x"], found["y"]])
    assert [test.statistic, test.p] == pytest.approx([case["logrank_chi2"], case["p"]])
    risks = reference["competing_risks"]
    competing = waiting(build, [(t, e, "x") for t, e in zip(risks["T"], risks["E"], strict=True)])
    shares = competing.measure(TimeTo(goal=GOAL, competing=[OTHER]), by=cx.by.attribute("group"))["x"]
    for time, exact, _ in risks["cif_converted"]:
        assert shares.share_by(timedelta(days=time)).require() == pytest.approx(float(Fraction(exact)))


def test_woodruffs_interval_covers_the_median_when_customers_repeat_themselves(build: Build) -> None:
    generator = np.random.default_rng(11)
    covered = 0
    for _ in range(200):
        typical = generator.exponential(100, 60)
        rows = []
        for c, scale in enumerate(typical):
            times = np.cumsum([0.0, *generator.normal(1000 + scale, 5, 6)])
            rows += [{"who": f"c{c}", "what": "p", "at": float(at)} for at in times]
        interval = build(rows).measure(WaitQuantile()).interval
        assert interval is not None
        covered += (1000 + 100 * np.log(2)) in interval
    assert 0.90 <= covered / 200 <= 0.99


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), min_size=1, max_size=12),
    st.sampled_from([0.1, 0.5, 0.9]), st.integers(0, 99),
)  # fmt: skip
def test_replicated_quantiles_are_those_of_the_drawn_values(
    seen: list[tuple[int, int]], share: float, seed: int
) -> None:
    rows = sorted(seen)
    group = np.array([g for g, _ in rows])
    ordered = np.array([float(value) for _, value in rows])
    sizes = np.array([count for count in np.bincount(group) if count])
    bucket = np.random.default_rng(seed).integers(0, 5, len(rows))
    drawn = np.random.default_rng(seed).integers(0, 3, (5, 4)).astype(float)
    found = replicated_quantiles(ordered, np.concatenate([[0], np.cumsum(sizes)]), share, bucket, drawn)
    for i, code in enumerate(np.unique(group)):
        for replicate in range(4):
            mine = group == code
            values = np.repeat(ordered[mine], drawn[bucket[mine], replicate].astype(int))
            expected = np.quantile(values, share) if values.size else np.nan
            assert found[i, replicate] == pytest.approx(expected, nan_ok=True)


def test_quantiles_honour_the_bootstrap(build: Build) -> None:
    draw = np.random.default_rng(2)
    rows = [
        {"who": f"c{c}", "journey": str(j), "what": what, "at": at}
        for c in range(300)
        for j in range(2)
        for what, at in (("a", 0), ("b", float(draw.exponential(100))))
    ]
    log = build(rows, blocks=2)
    plain, drawn = log.measure(WaitQuantile()), log.measure(WaitQuantile(), bootstrap=400, seed=3)
    assert plain.interval is not None
    assert drawn.interval is not None
    assert drawn.interval.method == "bootstrap of customers (400)"
    assert drawn.value == plain.value
    width = drawn.interval.high - drawn.interval.low
    assert width == pytest.approx(plain.interval.high - plain.interval.low, rel=0.4)
    few = build(rows[:200]).measure(WaitQuantile(), bootstrap=50).interval
    assert few is not None
    assert few.method.endswith("too few customers to resample")


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 2), st.integers(0, 4)), min_size=2, max_size=25))
def test_clustered_error_equals_plain_loops(seen: list[tuple[int, int, int]]) -> None:
    times, causes, folds = (np.array(each) for each in zip(*seen, strict=True))
    points = np.unique(times)
    left_out = []
    for fold in np.unique(folds):
        at_risk = np.array([float(((times >= t) & (folds != fold)).sum()) for t in points])
        events = np.array([[float(((times == t) & (causes == c) & (folds != fold)).sum()) for t in points]
                           for c in (1, 2)])  # fmt: skip
        left_out.append(aalen_johansen(at_risk, events)[0][0])
    g = len(left_out)
    found = clustered_error(times, causes, folds, n_causes=2)
    if g < 2:
        assert np.isnan(found).all()
    else:
        parts = np.stack(left_out)
        assert found == pytest.approx(np.sqrt((g - 1) / g * ((parts - parts.mean(axis=0)) ** 2).sum(axis=0)), abs=1e-7)


def test_ten_equal_journeys_of_a_customer_are_worth_one(build: Build) -> None:
    draw = np.random.default_rng(4)
    ends = [(f"c{c}", float(draw.integers(1, 30)) * DAY, bool(draw.integers(0, 2))) for c in range(400)]

    def told(journeys: int) -> Any:
        rows = [
            {"who": who, "journey": str(j), "what": what, "at": at}
            for who, time, hit in ends
            for j in range(journeys)
            for what, at in (("start", 0.0), ("done" if hit else "seen", time))
        ]
        return build(rows, blocks=2).measure(TimeTo(goal=GOAL))

    once, often = told(1), told(10)
    assert once.method == "log-log"
    assert often.method == "log-log, jackknife by customer"
    middle = len(once.times) // 2
    assert often.shares == pytest.approx(once.shares)
    assert often.se[middle] == pytest.approx(once.se[middle], rel=0.2)
    assert often.share_by(timedelta(days=15)).interval.method == often.method
