"""Paths to a goal: counts against enumeration, and the chain against exact reference values."""

import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis import goal_paths, path_chains
from cxmodel.errors import NotMeasurableError
from cxmodel.stats import sparse_chains
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.sums import no_sums

GOAL = cx.Goal("goal", touchpoints=["g"])
PATHS = st.lists(st.text(alphabet="abcdeg", min_size=1, max_size=6), min_size=1, max_size=8).map(lambda p: ["ag", *p])


def read(paths: list[str]) -> cx.Journeys:
    log = [
        {"who": str(who), "what": what, "at": f"2026-01-01T00:{i:02d}:00"}
        for who, path in enumerate(paths)
        for i, what in enumerate(path)
    ]
    return cx.read_events(log, customer="who", touchpoint="what", time="at")


def until_goal(path: str) -> str:
    return path.split("g", maxsplit=1)[0]


def simple_paths(edges: set[tuple[str, str]], path: str) -> Iterator[str]:
    for a, b in edges:
        if a == path[-1]:
            if b == "g":
                yield path
            elif b not in path:
                yield from simple_paths(edges, path + b)


def edges_of(paths: list[str]) -> set[tuple[str, str]]:
    steps = ["^" + until_goal(path) + "g" * ("g" in path) for path in paths]
    return {step for path in steps for step in pairwise(path)}


@given(PATHS)
def test_paths_through_touchpoints_are_those_of_enumeration(paths: list[str]) -> None:
    table = read(paths).measure(cx.metrics.GoalPaths(GOAL))
    reached = Counter(until_goal(path) for path in paths if "g" in path)
    possible = list(simple_paths(edges_of(paths), "^"))
    assert (table.journeys, table.variants, table.direct) == (reached.total(), len(reached), reached[""])
    assert (table.structural, table.capped) == (len(possible), False)
    shares = np.array(list(reached.values())) / reached.total()
    assert table.effective == pytest.approx(float(np.prod(shares**-shares)))
    assert {row.touchpoint for row in table.touchpoints} == set("".join(paths)) - {"g"}
    for row in table.touchpoints:
        on = [path for path in reached if row.touchpoint in path]
        assert (row.variants, row.journeys) == (len(on), sum(reached[path] for path in on))
        assert row.share.value == pytest.approx(row.journeys / table.journeys)
        assert row.structural == sum(row.touchpoint in path for path in possible)
        assert row.on == ("all" if len(on) == len(reached) else "some" if on else "none")
        assert row.unavoidable == (row.structural == len(possible))


@given(PATHS)
def test_a_cut_is_a_smallest_set_that_no_path_avoids(paths: list[str]) -> None:
    table = read(paths).measure(cx.metrics.GoalPaths(GOAL))
    possible = list(simple_paths(edges_of(paths), "^"))
    if table.direct:
        assert table.cut is None
        return
    assert table.cut is not None
    assert all(set(path) & set(table.cut) for path in possible)
    if len(table.cut) > 1:
        assert not any(row.unavoidable for row in table.touchpoints)
    for left_out in table.cut:
        smaller = set(table.cut) - {left_out}
        assert not all(set(path) & smaller for path in possible)


def test_the_diamond() -> None:
    table = read(["sacg", "sbcdg", "sx"]).measure(cx.metrics.GoalPaths(GOAL))
    assert (table.structural, table["d"].structural, table.acyclic) == (4, 2, True)
    assert (table["d"].variants, table["d"].journeys, table["d"].share.value) == (1, 1, 0.5)
    assert [table.on(role) for role in ("all", "some", "none")] == [("c", "s"), ("a", "b", "d"), ("x",)]
    assert [row.touchpoint for row in table.touchpoints if row.unavoidable] == ["c", "s"]
    assert table.cut in {("c",), ("s",)}
    lines = str(table).splitlines()
    assert lines[0] == "2 journeys reach goal on 2 different paths; the graph allows 4"
    assert lines[1].startswith("  c: 2 paths, 100.0%")
    assert lines[1].endswith("4 allowed, unavoidable")
    only = read(["sacg", "sbcdg"]).measure(cx.metrics.GoalPaths(GOAL, "d"))
    assert [row.touchpoint for row in only.touchpoints] == ["d"]


def test_many_layers_are_counted_exactly_and_cycles_up_to_the_cap() -> None:
    names = [chr(ord("A") + i) for i in range(26)]
    layers = list(zip(names[::2], names[1::2], strict=True))
    paths = ["".join(layer[(i >> (k % 2)) & 1] for k, layer in enumerate(layers)) + "g" for i in range(4)]
    table = read(paths).measure(cx.metrics.GoalPaths(GOAL))
    assert table.acyclic
    assert table.structural == 2**13
    assert table["C"].structural == 2**12
    cyclic = ["".join(each) + "g" for each in (names[:8], names[:8][::-1], "ACEGBDFH", "HFDBGECA", "AFCHEBGD")]
    capped = read(cyclic).measure(cx.metrics.GoalPaths(GOAL, cap=5))
    assert (capped.structural, capped.capped, capped.cap, capped.acyclic) == (5, True, 5, False)
    assert "at least 5 without a repeat" in str(capped)
    exact = read(cyclic).measure(cx.metrics.GoalPaths(GOAL))
    assert exact.structural is not None
    again = read(cyclic).measure(cx.metrics.GoalPaths(GOAL, cap=exact.structural))
    assert (again.structural, again.capped) == (exact.structural, False)


def test_graphs_too_large_to_count_keep_what_was_observed(monkeypatch: pytest.MonkeyPatch) -> None:
    journeys = read(["abg", "bag", "ag", "cx"])
    full = journeys.measure(cx.metrics.GoalPaths(GOAL))
    monkeypatch.setattr(goal_paths, "MOST_STEPS", 2)
    for table in (journeys.measure(cx.metrics.GoalPaths(GOAL)), journeys.measure(cx.metrics.GoalPaths(GOAL, "a"))):
        assert (table.journeys, table.variants, table.effective) == (3, 3, full.effective)
        assert (table.structural, table.acyclic, table.cut) == (None, None, None)
        assert table.reason is not None
        assert "fold_rare" in table.reason
        row = table["a"]
        assert (row.variants, row.journeys, row.on) == (3, 3, "all")
        assert (row.structural, row.unavoidable, row.reason) == (None, None, table.reason)
        assert str(table).splitlines()[0] == "3 journeys reach goal on 3 different paths"
        json.dumps(table.to_dict())


def test_touchpoints_that_are_met_only_after_the_goal_are_on_none_of_the_paths() -> None:
    table = read(["abgt", "xt"]).measure(cx.metrics.GoalPaths(GOAL))
    assert table.on("none") == ("t", "x")
    assert (table["t"].journeys, table["t"].share.value, table["t"].structural, table["t"].on) == (0, 0.0, 0, "none")
    with pytest.raises(cx.errors.UnknownNameError, match="no touchpoint 'z'"):
        table["z"]


def test_counts_that_stopped_at_the_cap_do_not_follow_the_names_of_touchpoints() -> None:
    names = "ABCDEFGH"
    turned = str.maketrans(names, names[::-1])
    paths = [each + "g" for each in (names, names[::-1], "ACEGBDFH", "HFDBGECA", "AFCHEBGD")]
    metric = cx.metrics.GoalPaths(GOAL, cap=5)
    one, other = read(paths).measure(metric), read([path.translate(turned) for path in paths]).measure(metric)
    for table in (one, other):
        assert (table.structural, table.capped) == (5, True)
        assert {row.structural for row in table.touchpoints} == {None}
        assert all("more than 5" in (row.reason or "") for row in table.touchpoints)
    turn = {row.touchpoint.translate(turned): (row.variants, row.unavoidable) for row in one.touchpoints}
    assert turn == {row.touchpoint: (row.variants, row.unavoidable) for row in other.touchpoints}


@given(PATHS)
def test_large_chains_are_followed_step_by_step_to_the_same_numbers(paths: list[str]) -> None:
    journeys = read(paths)
    exact = journeys.measure(cx.metrics.PathChain(goal=GOAL, k=5))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(path_chains, "MOST_DENSE", 0)
        patch.setattr(path_chains, "MOST_REPLICATED", 0)
        large = journeys.measure(cx.metrics.PathChain(goal=GOAL, k=5))
    assert large.goal_share == pytest.approx(exact.goal_share)
    assert large.shown == exact.shown
    for one, other in ((large.entropy, exact.entropy), (large.events, exact.events)):
        assert one.value == pytest.approx(other.value, abs=1e-12)
        assert (one.interval, set(one.flags) - set(other.flags)) == (None, {"not_replicated"})
    known = {each.touchpoint: (each.visits, each.to_goal) for each in exact.visits}
    for each in large.visits:
        assert (each.visits, each.to_goal) == pytest.approx(known[each.touchpoint])
        assert each.reach is None


def test_chains_that_go_round_for_too_long_to_be_followed_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(path_chains, "MOST_DENSE", 0)
    monkeypatch.setattr(sparse_chains, "MOST_TERMS", 10)
    with pytest.raises(NotMeasurableError, match="too long to follow"):
        read(["ab" * 20 + "g"]).measure(cx.metrics.PathChain(goal=GOAL))


def test_the_chain_says_where_nothing_tells_journeys_in_progress_from_lost_ones() -> None:
    journeys = read(["abg", "ab"])
    assert "open_unknown" in journeys.measure(cx.metrics.PathChain(goal=GOAL)).entropy.flags
    known = journeys.with_inactivity(timedelta(days=1)).measure(cx.metrics.PathChain(goal=GOAL))
    assert "open_unknown" not in known.entropy.flags


def test_a_touchpoint_that_is_not_there_is_named() -> None:
    with pytest.raises(NotMeasurableError, match="no touchpoint 'z'"):
        read(["ag"]).measure(cx.metrics.GoalPaths(GOAL, "z"))


@given(PATHS)
def test_the_chain_reproduces_what_complete_journeys_did(paths: list[str]) -> None:
    table = read(paths).measure(cx.metrics.PathChain(goal=GOAL, k=5))
    before = [until_goal(path) for path in paths]
    assert table.journeys == table.entropy.n == len(paths)
    assert table.goal_share == pytest.approx(sum("g" in path for path in paths) / len(paths))
    assert table.events.value == pytest.approx(sum(len(path) for path in before) / len(paths))
    assert {each.touchpoint: each.visits for each in table.visits} == pytest.approx(
        {what: count / len(paths) for what, count in Counter("".join(before)).items()}
    )
    probabilities = [each.probability for each in table.shown]
    assert probabilities == sorted(probabilities, reverse=True)
    assert sum(probabilities) + table.other == pytest.approx(table.goal_share)
    assert table.effective.require() == pytest.approx(2 ** table.entropy.require())
    assert table.effective.require() >= 1 - 1e-9


def test_chains_without_a_choice_have_one_path() -> None:
    table = read(["abg"] * 5).measure(cx.metrics.PathChain(goal=GOAL))
    assert table.entropy.value == pytest.approx(0.0)
    assert [each.touchpoints for each in table.shown] == [("a", "b")]
    assert str(table).splitlines()[1:] == ["  a → b: 100.00%", "  other paths to goal: 0.00%"]


def test_the_jackknife_is_near_the_bootstrap() -> None:
    generator = np.random.Generator(np.random.PCG64(5))
    paths = ["".join(generator.choice(list("abc"), generator.integers(1, 6))) + "g" * int(i % 2) for i in range(600)]
    metric = cx.metrics.PathChain(goal=cx.Goal("goal", touchpoints=["g"]), k=0)
    jackknife = read(paths).measure(metric).entropy.interval
    bootstrap = read(paths).measure(metric, bootstrap=300, seed=1).entropy.interval
    assert jackknife is not None
    assert bootstrap is not None
    assert jackknife.high - jackknife.low == pytest.approx(bootstrap.high - bootstrap.low, rel=0.2)
    assert (jackknife.method, bootstrap.method) == (
        "jackknife over customer buckets", "bootstrap of customers (300)",
    )  # fmt: skip


@pytest.mark.open_data
def test_the_chain_of_the_reference(open_data: Path) -> None:
    toy: dict[str, Any] = json.loads((open_data / "reference/markov.json").read_text(encoding="utf-8"))["cx_toy"]
    states = [name for name in toy["transient"] if name != "start"]
    visits = {name: float(Fraction(text)) for name, text in toy["expected_visits_from_start"].items()}
    place = {"start": 0, "DROP": 0, "BUY": len(states) + 1, **{name: i + 1 for i, name in enumerate(states)}}
    rows = sorted(
        (place[a] * (len(states) + 2) + place[b], visits[a] * float(Fraction(p)))
        for a, row in toy["transitions"].items()
        for b, p in row.items()
    )
    key, total = np.array([k for k, _ in rows]), np.array([t for _, t in rows])
    zeros = np.zeros(key.size, np.int64)
    sums = evolve(
        no_sums(), names=("n",), group=zeros, key=key, count=zeros + 1, customers=zeros, total=total[None, :],
        bucket_row=np.arange(key.size), bucket=zeros, bucket_total=total[None, :],
    )  # fmt: skip
    population = read(["ag"]).population
    cells: Cells[Any] = Cells(
        vocabulary=evolve(population.vocabulary, touchpoints=states), facts=population.facts, origin=population.origin
    )
    table = cx.metrics.PathChain(goal=GOAL, k=8).result(sums, cells, 0.95)
    assert table.entropy.require() == pytest.approx(toy["path_entropy_bits"], abs=1e-9)
    assert table.goal_share == pytest.approx(toy["p_convert_float"]["start"], abs=1e-12)
    assert {each.touchpoint: each.visits for each in table.visits} == pytest.approx(
        {name: visits[name] for name in states}
    )
    best = toy["k_best_converting_walks"]
    assert [list(each.touchpoints) for each in table.shown] == [walk["path"][1:-1] for walk in best]
    assert [each.probability for each in table.shown] == pytest.approx([walk["p"] for walk in best])
    assert table.entropy.interval is None
