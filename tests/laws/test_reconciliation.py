"""Reconciliation: what is asked in one pass describes one population, so that the numbers of all results agree."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from datetime import datetime, timedelta
from math import isnan
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import credit_of, in_blocks, read

import cxmodel as cx
from cxmodel import metrics
from cxmodel.testing import START, Row, logs, reference

few = settings(max_examples=12)
ways: st.SearchStrategy[tuple[str, Callable[[cx.Journeys], cx.Journeys]]] = st.sampled_from([
    ("as read", lambda journeys: journeys),
    ("cut at gaps", lambda journeys: journeys.split(gap=timedelta(minutes=7))),
    ("repeats merged", lambda journeys: journeys.merge_repeats()),
    ("a window", lambda journeys: journeys.between(START + timedelta(minutes=5), START + timedelta(minutes=25))),
    ("some events", lambda journeys: journeys.events_where(touchpoint=journeys.facts.touchpoints[:2])),
    ("rare ones folded", lambda journeys: journeys.fold_rare(keep=2)),
])  # fmt: skip


@st.composite
def populations(draw: st.DrawFn) -> cx.Journeys:
    rows = draw(logs(most=20, touchpoints=4))
    journeys = in_blocks(read(rows), rows, draw(st.integers(1, 40)))
    found = draw(ways)[1](journeys)
    return found if found.facts.events else journeys


@st.composite
def with_goals(draw: st.DrawFn) -> tuple[cx.Journeys, cx.Goal]:
    journeys = draw(populations())
    names = draw(st.lists(st.sampled_from(journeys.facts.touchpoints), min_size=1, max_size=2, unique=True))
    return journeys, cx.Goal("goal", touchpoints=names)


@few
@given(with_goals())
def test_one_pass_is_one_population(asked: tuple[cx.Journeys, cx.Goal]) -> None:
    journeys, goal = asked
    graph, paths, length, funnel = journeys.measure(
        metrics.Graph(), metrics.Paths(), metrics.Length(), metrics.Funnel([goal, goal])
    )
    ends, lengths, durations = journeys.measure(
        metrics.Ends(), metrics.LengthDistribution(), metrics.DurationDistribution()
    )
    table, conversion, credit = journeys.measure(
        metrics.Transitions(), metrics.ConversionRate(goal=goal), metrics.Credits(goal=goal)
    )
    top = paths.top(paths.distinct)
    totals = {
        "graph": graph.journeys, "paths": paths.journeys, "paths, summed": sum(path.count for path in top),
        "length": length.n, "funnel": funnel.journeys, "ends": ends.journeys, "lengths": lengths.journeys,
        "durations": durations.journeys, "transitions": table.journeys, "conversion": conversion.n,
        "starts": sum(data["starts"] for _, data in graph.nodes(data=True)),
        "ends of the graph": sum(data["ends"] for _, data in graph.nodes(data=True)),
        "entries": sum(end.count for end in ends.entries), "exits": sum(end.count for end in ends.exits),
    }  # fmt: skip
    assert set(totals.values()) == {journeys.facts.journeys}, totals
    events = {
        "graph": graph.events, "transitions": table.events,
        "nodes": sum(data["count"] for _, data in graph.nodes(data=True)),
        "paths": sum(path.count * len(path.touchpoints) for path in top),
        "edges": sum(data["count"] for *_, data in graph.edges(data=True)) + graph.journeys,
        "length": round(length.require() * length.n), "lengths": int((lengths.values * lengths.counts).sum()),
    }  # fmt: skip
    assert set(events.values()) == {journeys.facts.events}, events
    passing = sum(path.count for path in top if set(path.touchpoints) & set(goal.touchpoints))
    conversions = {
        "conversion": round(conversion.require() * conversion.n), "funnel": funnel.steps[0].reached,
        "where": journeys.where(passes=goal).facts.journeys,
        **{name: model.conversions for name, model in credit.models.items()},
    }  # fmt: skip
    assert set(conversions.values()) == {passing}, conversions
    assert {end.touchpoint: end.count for end in ends.entries} == {
        name: data["starts"] for name, data in graph.nodes(data=True) if data["starts"]
    }


@few
@given(with_goals())
def test_credit_and_direct_sum_to_the_conversions(asked: tuple[cx.Journeys, cx.Goal]) -> None:
    journeys, goal = asked
    models = journeys.measure(metrics.Credits(goal=goal)).models
    for model in models.values():
        rest = model.unassigned.require() if isinstance(model.unassigned, cx.Estimate) else 0
        total = sum(estimate.require() for estimate in model.values()) + model.direct.require() + rest
        assert total == pytest.approx(model.conversions)
    assert len({model.direct.value for model in models.values()}) == 1


@few
@given(with_goals())
def test_first_credit_is_where_converting_journeys_begin(asked: tuple[cx.Journeys, cx.Goal]) -> None:
    journeys, goal = asked
    first = journeys.measure(metrics.FirstCredit(goal=goal))
    converting = journeys.where(passes=goal)
    if not converting.facts.events:
        assert not first.conversions
        return
    starts = {name: data["starts"] for name, data in converting.graph().nodes(data=True) if data["starts"]}
    assert credit_of(first) == {name: n for name, n in starts.items() if name not in goal.touchpoints}
    assert first.direct.value == sum(n for name, n in starts.items() if name in goal.touchpoints)


@few
@given(populations(), st.integers(0, 6))
def test_what_a_cut_graph_leaves_out_is_counted(journeys: cx.Journeys, most: int) -> None:
    whole, cut = journeys.graph(), journeys.graph(max_edges=most)
    other = cut.graph.get("other", {"transitions": 0, "count": 0})
    assert sum(d["count"] for *_, d in cut.edges(data=True)) + other["count"] == sum(
        d["count"] for *_, d in whole.edges(data=True)
    )
    assert cut.number_of_edges() + other["transitions"] == whole.number_of_edges()
    assert list(cut.nodes(data=True)) == list(whole.nodes(data=True))


@few
@given(populations(), st.integers(1, 5))
def test_what_a_list_of_paths_leaves_out_is_counted(journeys: cx.Journeys, most: int) -> None:
    paths = journeys.paths()
    top = paths.top(most)
    assert sum(path.count for path in top) + top.other.count == paths.journeys
    assert len(tuple(top)) + top.other.paths == paths.distinct


@few
@given(populations())
def test_each_touchpoint_is_counted_alike(journeys: cx.Journeys) -> None:
    graph, top = journeys.graph(), journeys.paths()
    paths = top.top(top.distinct)
    for name, data in graph.nodes(data=True):
        step = journeys.funnel([name, name])
        assert step.steps[0].reached == data["journeys"] == journeys.where(passes=name).facts.journeys
        assert data["journeys"] == sum(path.count for path in paths if name in path.touchpoints)
        assert data["count"] == sum(path.count * path.touchpoints.count(name) for path in paths)
        out = sum(d["count"] for *_, d in graph.out_edges(name, data=True))
        into = sum(d["count"] for *_, d in graph.in_edges(name, data=True))
        assert data["count"] == out + data["ends"] == into + data["starts"]


@few
@given(logs(most=20, journeys=True), st.data())
def test_groups_and_the_unassigned_are_all(rows: list[Row], data: st.DataObject) -> None:
    table = [{"journey": row["journey"], "customer": row["customer"], "plan": "gold"} for row in rows[::2]]
    journeys = read(rows, channel="channel", value="value").with_attributes(
        table, journey="journey", customer="customer", columns=["plan"]
    )
    name = data.draw(st.sampled_from(journeys.facts.touchpoints))
    goal = cx.Goal(name, touchpoints=[name])
    conversion = metrics.ConversionRate(goal=goal)
    for metric in (metrics.Length(), conversion, metrics.Funnel([goal, goal])):
        whole: Any = journeys.measure(metric)
        parts: Any = journeys.measure(metric, by=cx.by.attribute("plan"))
        assert not parts.overlapping
        groups = [*parts.values(), *([] if parts.unassigned is None else [parts.unassigned])]
        assert sum(size(group) for group in groups) == size(whole)
        assert sum(total(group) for group in groups) == pytest.approx(total(whole))


def size(result: Any) -> int:
    return int(result.n if isinstance(result, cx.Estimate) else result.journeys)


def total(result: Any) -> float:
    if isinstance(result, cx.Estimate):
        return 0.0 if result.value is None else result.value * result.n
    return float(result.steps[0].reached)


@few
@given(logs(most=20), st.integers(1, 30))
def test_values_are_those_of_the_rows(rows: list[Row], size: int) -> None:
    journeys = read(rows, value="value")
    expected: defaultdict[str, float] = defaultdict(float)
    for trip in reference.trips(rows):
        for event in trip.events:
            if event.value is not None:
                expected[event.touchpoint] += event.value
    table = journeys.transitions()
    found = dict(zip(table.touchpoints, table.value.tolist(), strict=True))
    graph = journeys.graph()
    assert {name: value for name, value in found.items() if not isnan(value)} == pytest.approx(dict(expected))
    assert {n: d["value"] for n, d in graph.nodes(data=True) if "value" in d} == pytest.approx(dict(expected))
    merged = journeys.merge_repeats().split(gap=timedelta(minutes=size)).graph()
    assert sum(d.get("value", 0) for _, d in merged.nodes(data=True)) == pytest.approx(sum(expected.values()))


@few
@given(logs(most=20, touchpoints=4))
def test_results_of_other_populations_are_not_compared(rows: list[Row]) -> None:
    journeys = read(rows)
    plain = journeys.measure(metrics.Length())
    name = journeys.facts.touchpoints[0]
    others = [
        journeys.where(passes=name), journeys.split(gap=timedelta(minutes=3)), journeys.merge_repeats(),
        journeys.events_where(touchpoint=name), journeys.with_inactivity(timedelta(minutes=3)),
        read([{**row, "touchpoint": f"{row['touchpoint']}!"} for row in rows]),
    ]  # fmt: skip
    if len(journeys.facts.touchpoints) > 1:
        others.append(journeys.fold_rare(keep=1))
    for other in others:
        found = other.measure(metrics.Length())
        with pytest.raises(cx.errors.NotComparableError, match="across=True"):
            plain.minus(found)
        assert plain.minus(found, across=True).require() == pytest.approx(plain.require() - found.require())


def test_selections_that_sound_alike_are_not_compared() -> None:
    rows = [{"who": who, "what": what, "at": f"2026-01-01T00:0{i}"} for who in "ab" for i, what in enumerate("xyz")]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    one, other = (cx.Goal("goal", touchpoints=[name]) for name in "xy")

    def answered(score: int, **options: Any) -> cx.Journeys:
        answers = [{"who": "a", "score": score, "at": "2026-01-01T00:09"}]
        survey = cx.read_responses(answers, score="score", scale=cx.Scale.nps(), customer="who", time="at")
        return journeys.with_responses(survey, **options)

    pairs = [
        (journeys.where(passes=one), journeys.where(passes=other)),
        (journeys.split(at=one), journeys.split(at=other)),
        (journeys.sample(1 - 1e-6), journeys.sample(1 - 1e-7)),
        (journeys.with_inactivity(timedelta(minutes=1)), journeys.with_inactivity(timedelta(minutes=2))),
        (answered(9), answered(3)),
        (answered(9), answered(9, about="x")),
        (answered(9), answered(9, within=timedelta(minutes=1))),
    ]
    for left, right in pairs:
        with pytest.raises(cx.errors.NotComparableError, match="across=True"):
            left.measure(metrics.Length()).minus(right.measure(metrics.Length()))
    assert answered(9).measure(metrics.Length()).minus(answered(9).measure(metrics.Length())).value == 0


@few
@given(logs(most=20), st.integers(1, 39))
def test_windows_of_one_log_are_compared(rows: list[Row], minute: int) -> None:
    journeys = read(rows)
    at: datetime = START + timedelta(minutes=minute)
    before, after = journeys.between(None, at), journeys.between(at, None)
    if not (before.facts.events and after.facts.events):
        return
    early, late = (each.measure(metrics.Length()) for each in (before, after))
    assert late.minus(early).require() == pytest.approx(late.require() - early.require())
    cut = sum(int(block.cut.sum()) for block in before.population.parts if block.cut is not None)
    assert before.facts.journeys + after.facts.journeys == journeys.facts.journeys + cut
