"""Graph, paths, funnel, credit and the metrics of journeys agree with the slow implementation and with each other."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import counts_of, credit_of, edges_of, in_blocks, paths_of, read

import cxmodel as cx
from cxmodel.testing import Row, journeys_of, logs, reference

MINUTE = 60_000_000
MODELS = ("first_credit", "last_credit", "linear_credit", "shapley_credit", "markov_credit")
few = settings(max_examples=25)
fewest = settings(max_examples=12)


def goal_of(rows: list[Row]) -> cx.Goal:
    return cx.Goal("goal", touchpoints=[str(rows[-1]["touchpoint"])])


def renamed(rows: list[Row], suffix: str) -> list[Row]:
    return [{**row, "customer": f"{row['customer']}{suffix}"} for row in rows]


# transitions


@given(logs())
def test_graph(rows: list[Row]) -> None:
    trips, graph = reference.trips(rows), read(rows).graph()
    nodes, edges = reference.nodes(trips), reference.edges(trips)
    counted = {n: tuple(d[k] for k in ("count", "starts", "ends", "journeys")) for n, d in graph.nodes(data=True)}
    assert counted == nodes
    assert {(a, b): (d["count"], d["wait_median_s"], d["wait_total_s"]) for a, b, d in graph.edges(data=True)} == edges
    for _, _, data in graph.edges(data=True):
        assert data["wait_mean_s"] == pytest.approx(data["wait_total_s"] / data["count"])
    assert (graph.journeys, graph.events) == (len(trips), sum(len(t.events) for t in trips))


@given(logs(touchpoints=6))
def test_flow_is_kept(rows: list[Row]) -> None:
    graph: Any = read(rows).graph()
    edges = sum(count for _, _, count in graph.edges.data("count"))
    assert edges + graph.journeys == graph.events
    for name, data in graph.nodes(data=True):
        arriving = sum(count for _, _, count in graph.in_edges(name, data="count"))
        leaving = sum(count for _, _, count in graph.out_edges(name, data="count"))
        assert arriving + data["starts"] == leaving + data["ends"] == data["count"]
        assert sum(share for _, _, share in graph.out_edges(name, data="share")) + data["leave_share"] == pytest.approx(
            1
        )


def test_waits_of_centuries_do_not_overflow() -> None:
    rows = [
        {"customer": f"c{i}", "touchpoint": name, "time": time}
        for i in range(60)
        for name, time in (("a", "0005-01-01"), ("b", "9000-01-01"))
    ]
    edge = read(rows).graph().edges["a", "b"]
    once = (reference.micros("9000-01-01") - reference.micros("0005-01-01")) / 1e6
    assert edge["wait_median_s"] == edge["wait_mean_s"] == once
    assert edge["wait_total_s"] == 60 * once


# paths and funnel


@given(logs(touchpoints=3), st.integers(0, 4))
def test_paths(rows: list[Row], n: int) -> None:
    trips, table = reference.trips(rows), read(rows).paths()
    expected = reference.paths(trips)
    ranked = sorted(expected.items(), key=lambda item: (-item[1], item[0]))
    assert [(p.touchpoints, p.count) for p in table.top(99)] == ranked
    top = table.top(n)
    assert sum(path.count for path in top) + top.other.count == top.journeys == len(trips)
    assert len(top.shown) + top.other.paths == top.distinct == len(expected)
    assert table.count_of(trips[0].path) == expected[trips[0].path]


@given(
    logs(touchpoints=3),
    st.lists(st.sampled_from(["p000", "p001", "p002"]), min_size=2, max_size=4),
    st.none() | st.integers(1, 30),
)
def test_funnel(rows: list[Row], steps: list[str], within: int | None) -> None:
    journeys, trips = read(rows), reference.trips(rows)
    if not set(steps) <= set(journeys.facts.touchpoints):
        return
    table = journeys.funnel(steps, within=None if within is None else timedelta(minutes=within))
    reached = [step.reached for step in table.steps]
    expected = reference.funnel(trips, [{step} for step in steps], None if within is None else within * MINUTE)
    assert reached == expected
    for before, step in zip(table.steps, table.steps[1:], strict=False):
        if before.reached:
            assert step.of_previous.value == pytest.approx(step.reached / before.reached)
            assert step.of_first.interval is not None
            assert step.of_first.interval.low <= step.of_first.require() <= step.of_first.interval.high
        else:
            assert step.of_previous.value is None
            assert step.of_previous.reason


def test_funnel_takes_any_passage_that_fits() -> None:
    journeys = journeys_of("anna: ad 0, ad 100, shop 105, ad 200")
    assert [s.reached for s in journeys.funnel(["ad", "shop"], within=timedelta(minutes=5)).steps] == [1, 1]
    assert [s.reached for s in journeys.funnel(["ad", "shop"], within=timedelta(minutes=4)).steps] == [1, 0]


# credit


@given(logs(touchpoints=4))
def test_credit(rows: list[Row]) -> None:
    goal, trips = goal_of(rows), reference.trips(rows)
    found = read(rows).measure(cx.metrics.Credits(goal=goal))
    expected: dict[str, Any] = {
        "first_credit": reference.first_credit(trips, goal.touchpoints),
        "last_credit": reference.last_credit(trips, goal.touchpoints),
        "linear_credit": reference.linear_credit(trips, goal.touchpoints),
        "shapley_credit": reference.shapley_credit(trips, goal.touchpoints),
        "markov_credit": reference.markov_credit(trips, goal.touchpoints),
    }
    converted = reference.conversions(trips, goal.touchpoints)
    for model in MODELS:
        plain = {name: float(credit) for name, credit in expected[model].items() if credit}
        assert credit_of(found[model]) == pytest.approx(plain), model
        total = sum(e.require() for e in found[model].values()) + found[model].direct.require()
        assert total == pytest.approx(found[model].conversions) == pytest.approx(len(converted)), model
        assert found[model].direct.value == sum(not path for path in converted)


@few
@given(logs(touchpoints=3, customers=3), st.integers(2, 3))
def test_markov_credit_of_higher_order(rows: list[Row], order: int) -> None:
    goal, trips = goal_of(rows), reference.trips(rows)
    found = read(rows).measure(cx.metrics.MarkovCredit(goal=goal, order=order))
    plain = {n: float(c) for n, c in reference.markov_credit(trips, goal.touchpoints, order).items() if c}
    assert credit_of(found) == pytest.approx(plain)


@few
@given(logs())
def test_metrics_of_journeys(rows: list[Row]) -> None:
    goal, trips = goal_of(rows), reference.trips(rows)
    rate, length, duration = read(rows).measure(
        cx.metrics.ConversionRate(goal=goal), cx.metrics.Length(), cx.metrics.Duration()
    )
    assert rate.value == pytest.approx(float(reference.conversion_rate(trips, goal.touchpoints)))
    assert length.value == pytest.approx(float(reference.length(trips)))
    assert duration.value == pytest.approx(float(reference.duration_s(trips)))
    for estimate in (rate, length, duration):
        assert estimate.n == len(trips)
        if estimate.interval is not None:
            assert estimate.interval.low <= estimate.require() <= estimate.interval.high


# merging, copying, blocks


@few
@given(logs(), logs())
def test_logs_of_other_customers_add_up(first: list[Row], second: list[Row]) -> None:
    left, right = renamed(first, " left"), renamed(second, " right")
    if (left[0]["journey"] is None) != (right[0]["journey"] is None):
        right = [{**row, "journey": None if left[0]["journey"] is None else "j1"} for row in right]
    goal = cx.Goal("goal", touchpoints=[str(left[-1]["touchpoint"])])
    whole, parts = read(left + right), [read(left), read(right)]
    counts = [counts_of(part) for part in parts]
    for kind in ("nodes", "edges"):
        keys = {key for each in counts for key in each[kind]}
        added = {
            key: np.sum([each[kind][key] for each in counts if key in each[kind]], axis=0).tolist() for key in keys
        }
        assert {key: np.asarray(value).tolist() for key, value in counts_of(whole)[kind].items()} == added
    assert counts_of(whole)["totals"] == tuple(np.sum([each["totals"] for each in counts], axis=0))
    paths = [paths_of(part) for part in parts]
    assert paths_of(whole) == {key: sum(each.get(key, 0) for each in paths) for key in paths[0] | paths[1]}
    there = [part for part in parts if set(goal.touchpoints) <= set(part.facts.touchpoints)]
    for model in MODELS[:-1]:
        tables = [credit_of(part.measure(model, goal=goal)) for part in there]
        names = {name for table in tables for name in table}
        added = {name: sum(table.get(name, 0.0) for table in tables) for name in names}
        assert credit_of(whole.measure(model, goal=goal)) == pytest.approx(added)
    lengths = [part.measure(cx.metrics.Length()) for part in parts]
    mean = sum(each.require() * each.n for each in lengths) / sum(each.n for each in lengths)
    assert whole.measure(cx.metrics.Length()).value == pytest.approx(mean)


@few
@given(logs(), st.integers(2, 4))
def test_copies_of_all_customers(rows: list[Row], times: int) -> None:
    """Counts are multiplied, values stay."""
    once, many = read(rows), read([row for i in range(times) for row in renamed(rows, f" {i}")])
    goal = goal_of(rows)
    a, b = counts_of(once), counts_of(many)
    for kind in ("nodes", "edges"):
        assert {k: (np.asarray(v) * times).tolist() for k, v in a[kind].items()} == {
            k: np.asarray(v).tolist() for k, v in b[kind].items()
        }
    for edge, data in edges_of(many).items():
        assert (data["share"], data["wait_median_s"]) == pytest.approx(
            tuple(edges_of(once)[edge][k] for k in ("share", "wait_median_s"))
        )
    for metric in (cx.metrics.ConversionRate(goal=goal), cx.metrics.Length(), cx.metrics.Duration()):
        x, y = once.measure(metric), many.measure(metric)
        assert y.value == pytest.approx(x.value)
        assert y.n == times * x.n
    for model in MODELS:
        x, y = once.measure(model, goal=goal), many.measure(model, goal=goal)
        assert credit_of(y) == pytest.approx({name: times * value for name, value in credit_of(x).items()})


@fewest
@given(logs(touchpoints=3), st.integers(1, 9), st.integers(0, 300))
def test_size_of_blocks_does_not_matter(rows: list[Row], size: int, bootstrap: int) -> None:
    journeys, goal = read(rows), goal_of(rows)
    blocks = in_blocks(journeys, rows, size)
    steps = [goal, "p000" if "p000" in journeys.facts.touchpoints else goal]
    assert blocks.funnel(steps).to_dict() == journeys.funnel(steps).to_dict()
    for model in MODELS:
        x = journeys.measure(model, goal=goal, bootstrap=bootstrap)
        y = blocks.measure(model, goal=goal, bootstrap=bootstrap)
        assert close(x, y), model
    for metric in (cx.metrics.ConversionRate(goal=goal), cx.metrics.Length(), cx.metrics.Duration()):
        assert close(journeys.measure(metric, by="touchpoint"), blocks.measure(metric, by="touchpoint"))


def close(a: object, b: object) -> bool:
    """Equal records, floats to 1e-9."""
    x, y = a.to_records(), b.to_records()  # type: ignore[attr-defined]
    return len(x) == len(y) and all(
        left.keys() == right.keys()
        and all(
            left[k] == right[k]
            or (isinstance(left[k], float) and left[k] == pytest.approx(right[k], rel=1e-9, abs=1e-9))
            for k in left
        )
        for left, right in zip(x, y, strict=True)
    )
