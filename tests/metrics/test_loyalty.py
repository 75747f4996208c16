"""Loyalty as behaviour, and attitude against it: plain loops, laws, and what is refused."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel import metrics
from cxmodel.exporters.json import dumps, loads

Build = Callable[..., cx.Journeys]
Row = dict[str, Any]
DAY = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
GOAL = cx.Goal("pay", touchpoints=["pay"])

VISIT = st.fixed_dictionaries(
    {
        "who": st.sampled_from("abcd"), "journey": st.sampled_from("123"), "what": st.sampled_from(["look", "pay"]),
        "at": st.integers(0, 40), "score": st.one_of(st.none(), st.integers(0, 10)),
    }
)  # fmt: skip
VISITS = st.lists(VISIT, min_size=1, max_size=25)


def seconds(count: int) -> timedelta:
    return timedelta(seconds=count)


def moment(at: int) -> datetime:
    return EPOCH + seconds(at)


def begins(rows: list[Row]) -> list[tuple[str, int]]:
    keys = {(row["who"], row["journey"]) for row in rows}
    return [(who, min(r["at"] for r in rows if (r["who"], r["journey"]) == (who, name))) for who, name in keys]


def agrees(found: cx.Estimate, judged: list[bool], censored: int) -> None:
    assert (found.n, found.censored) == (len(judged), censored)
    assert ("censored" in found.flags) == (censored > 0)
    assert found.value == (pytest.approx(sum(judged) / len(judged)) if judged else None)


@given(VISITS, st.integers(2, 15), st.integers(0, 1), st.integers(10, 60), st.integers(1, 3))
def test_returns_equal_plain_loops(
    build: Build, rows: list[Row], within: int, after: int, end: int, blocks: int
) -> None:
    rows = [*rows, {"who": "z", "journey": "1", "what": "pay", "at": 0, "score": None},
            {"who": "z", "journey": "2", "what": "look", "at": 1, "score": 9}]  # fmt: skip
    log = build(rows, scale=cx.Scale.nps(), blocks=blocks)
    options: dict[str, Any] = {"within": seconds(within), "after": seconds(after), "end": moment(end)}
    occasions = {
        "event": [(row["who"], row["at"]) for row in rows],
        "pay": [(row["who"], row["at"]) for row in rows if row["what"] == "pay"],
        "journey": begins(rows),
    }
    asked = {
        "event": metrics.RetentionRate(**options), "pay": metrics.RepeatRate(goal=GOAL, **options),
        "journey": metrics.RepeatRate(**options),
    }  # fmt: skip
    for name, seen in occasions.items():
        zero = {who: min(at for each, at in seen if each == who) for who, _ in seen}
        # a journey that begins together with the first is a second one
        low = 0 if name == "journey" and not after else after + 1
        hit = {
            who: sum(each == who and start + low <= at <= start + within for each, at in seen) > (low == 0)
            for who, start in zero.items()
        }
        early = [who for who, start in zero.items() if start + within <= end]
        agrees(log.measure(asked[name]), [hit[who] for who in early], len(zero) - len(early))
    only = log.measure(metrics.RetentionRate(at=["pay"], **options))
    assert (only.value, only.n) == (log.measure(asked["pay"]).value, log.measure(asked["pay"]).n)


@given(VISITS, st.integers(1, 12), st.integers(10, 60))
def test_what_follows_an_answer_equals_plain_loops(build: Build, rows: list[Row], within: int, end: int) -> None:
    rows = [*rows, {"who": "z", "journey": "1", "what": "pay", "at": 0, "score": 9},
            {"who": "z", "journey": "2", "what": "look", "at": 1, "score": None}]  # fmt: skip
    log = build(rows, scale=cx.Scale.nps(), blocks=2)
    options: dict[str, Any] = {"within": seconds(within), "end": moment(end), "min_n": 0}
    opinion = {"promoter": range(9, 11), "passive": range(7, 9), "detractor": range(7)}
    come, paid = log.measure(
        metrics.ReturnAfterAnswer(after=timedelta(0), **options), metrics.GoalAfterAnswer(goal=GOAL, **options),
        by=cx.by.opinion,
    )  # fmt: skip
    journeys = log.measure(metrics.JourneysAfterAnswer(**options), by=cx.by.opinion)
    answers = [row for row in rows if row["score"] is not None]
    for name, scores in opinion.items():
        mine = [row for row in answers if row["score"] in scores]
        if not mine:
            assert name not in come
            continue
        early = [row for row in mine if row["at"] + within <= end]

        def counts(seen: list[tuple[str, int]], asked: list[Row] = early) -> list[int]:
            return [
                sum(who == row["who"] and row["at"] < at <= row["at"] + within for who, at in seen) for row in asked
            ]

        events = [(row["who"], row["at"]) for row in rows]
        pays = [(row["who"], row["at"]) for row in rows if row["what"] == "pay"]
        agrees(come[name], [count > 0 for count in counts(events)], len(mine) - len(early))
        agrees(paid[name], [count > 0 for count in counts(pays)], len(mine) - len(early))
        begun = counts(begins(rows))
        assert journeys[name].value == (pytest.approx(sum(begun) / len(begun)) if begun else None)


@given(VISITS, st.integers(1, 4), st.integers(10, 60), st.integers(1, 3))
def test_retention_by_windows_equals_plain_loops(
    build: Build, rows: list[Row], every: int, end: int, blocks: int
) -> None:
    table = build(rows, scale=cx.Scale.nps(), blocks=blocks).measure(
        metrics.Retention(every=seconds(every), windows=3, end=moment(end))
    )
    times = {who: [row["at"] for row in rows if row["who"] == who] for who in {row["who"] for row in rows}}
    assert table.customers == len(times)
    for number, share in enumerate(table.shares, start=1):
        judged = [each for each in times.values() if min(each) + (number + 1) * every <= end]
        hits = [any(0 <= at - min(each) - number * every < every for at in each) for each in judged]
        agrees(share, hits, len(times) - len(judged))


MONTHS = st.lists(st.tuples(st.sampled_from("abcd"), st.integers(1, 9), st.integers(1, 28)), min_size=1, max_size=20)


@given(MONTHS, st.integers(2, 9))
def test_the_lifecycle_equals_plain_loops(visits: list[tuple[str, int, int]], months: int) -> None:
    log = [{"who": who, "what": "visit", "at": f"2026-{month:02d}-{day:02d}"} for who, month, day in visits]
    journeys = cx.read_events(log, customer="who", touchpoint="what", time="at")
    table = journeys.measure(metrics.Lifecycle(period="month", end=datetime(2026, months + 1, 15, tzinfo=UTC)))
    seen = {who: {month for each, month, _ in visits if each == who} for who, _, _ in visits}
    assert table.censored == sum(min(active) > months for active in seen.values())

    def state(active: set[int], month: int) -> str | None:
        if month not in active:
            return "lapsed" if min(active) < month else None
        return "new" if month == min(active) else "active" if month - 1 in active else "returned"

    first = min((min(active) for active in seen.values()), default=0)
    expected = [[state(active, month) for active in seen.values()] for month in range(first, months + 1)]
    for period, states in zip(table.periods, expected, strict=True):
        told = period.to_dict()
        assert {name: told[name] for name in ("new", "active", "returned", "lapsed")} == {
            name: states.count(name) for name in ("new", "active", "returned", "lapsed")
        }
    moves: dict[tuple[str, str], int] = {}
    for now, then in pairwise(expected):
        for source, target in zip(now, then, strict=True):
            if source is not None and target is not None:
                moves[source, target] = moves.get((source, target), 0) + 1
    pooled = {(move.source, move.target): move.count for move in table.moves if move.count}
    assert pooled == moves
    for (source, target), count in pooled.items():
        parts = [m.count for m in table.moves_by_period if (m.source, m.target) == (source, target)]
        assert sum(parts) == count
        share = table.share(source, target)
        assert share.interval is not None
        assert share.require() in share.interval
    assert loads(dumps(table.share("new", "active"))) == table.share("new", "active")


def test_periods_are_those_of_the_calendar() -> None:
    log = [{"who": "a", "what": "visit", "at": at} for at in ("2025-12-31T23:30:00Z", "2026-01-09T00:00:00Z")]
    journeys = cx.read_events(log, customer="who", touchpoint="what", time="at")
    for period, tz, expected in (
        ("year", "UTC", date(2025, 1, 1)), ("week", "UTC", date(2025, 12, 29)),
        ("day", "Europe/Berlin", date(2026, 1, 1)), ("month", "Europe/Berlin", date(2026, 1, 1)),
    ):  # fmt: skip
        end = datetime(2027, 1, 1, tzinfo=UTC) + timedelta(days=1)
        table = journeys.measure(metrics.Lifecycle(period=period, tz=tz, end=end))  # type: ignore[arg-type]
        assert table.periods[0].period == expected


def test_a_later_end_only_judges_more(build: Build) -> None:
    rows: list[Row] = [{"who": who, "what": "look", "at": i * DAY} for i, who in enumerate("aabbccdd" * 3)]
    before = -1
    for days in (5, 8, 60):
        found = build(rows).measure(metrics.RetentionRate(within=timedelta(days=4), end=moment(days * DAY)))
        assert found.n + found.censored == 4
        assert found.n > before
        before = found.n


def test_a_period_sets_time_zero_and_spending_is_summed() -> None:
    log = [
        {"who": who, "what": "buy", "at": f"2026-0{month}-01", "eur": eur}
        for who, month, eur in (("a", 1, 5), ("a", 2, 7), ("a", 3, 1.5), ("b", 2, 9))
    ]
    journeys = cx.read_events(log, customer="who", touchpoint="what", time="at", value="eur", attributes=["eur"])
    february = (datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC))
    rate = metrics.RetentionRate(within=timedelta(days=40), period=february, end=datetime(2026, 6, 1, tzinfo=UTC))
    assert (journeys.measure(rate).value, journeys.measure(rate).n) == (0.5, 2)
    survey = [{"who": "a", "score": 10, "at": "2026-01-02"}, {"who": "b", "score": 2, "at": "2026-01-02"}]
    asked = cx.read_responses(survey, customer="who", score="score", scale=cx.Scale.nps(), time="at", about="buy")
    joined = journeys.with_responses(asked)
    spent = metrics.ValueAfterAnswer(within=timedelta(days=60), end=datetime(2026, 6, 1, tzinfo=UTC), min_n=0)
    assert {name: each.value for name, each in joined.measure(spent, by=cx.by.opinion).items()} == {
        "promoter": 8.5, "detractor": 9.0
    }  # fmt: skip


def test_what_cannot_be_had_is_refused_in_words(build: Build) -> None:
    one = build([{"who": who, "what": "look", "at": 0} for who in "ab"])
    with pytest.raises(cx.errors.NotMeasurableError, match="every customer has one journey here"):
        one.measure(metrics.RepeatRate(within=timedelta(days=1)))
    with pytest.raises(cx.errors.NotMeasurableError, match="there are no answers"):
        one.measure(metrics.ReturnAfterAnswer(within=timedelta(days=2)))
    with pytest.raises(cx.errors.NotMeasurableError, match="there is no touchpoint 'lok'"):
        one.measure(metrics.RetentionRate(within=timedelta(days=2), at=["lok"]))
    with pytest.raises(cx.errors.InvalidValueError, match="nothing can lie in it"):
        metrics.RetentionRate(within=timedelta(hours=3))
    with pytest.raises(cx.errors.InvalidValueError, match="within is a positive duration"):
        metrics.RepeatRate(within=timedelta(0))
    with pytest.raises(cx.errors.InvalidValueError, match="got the text 'look'"):
        metrics.RetentionRate(within=timedelta(days=2), at="look")
    survey = cx.read_responses([{"score": 9}] * 20, score="score", scale=cx.Scale.nps())
    with pytest.raises(cx.errors.NotMeasurableError, match="does not know what happened next"):
        survey.measure(metrics.ReturnAfterAnswer(within=timedelta(days=2)))
    early = one.measure(metrics.RetentionRate(within=timedelta(days=2)))
    assert (early.value, early.n, early.censored) == (None, 0, 2)
    assert early.reason == "it is too early to judge any of 2 customers"
    assert json.loads(dumps(early))["results"][0]["censored"] == 2
    assert loads(dumps(early)) == early
