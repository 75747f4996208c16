"""Impact: a slow reference, laws, the planted truth, mechanisms that it was not made for, and what it must refuse."""

from __future__ import annotations

import importlib.util
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.impact import e_values
from cxmodel.analysis.impact_results import ImpactTable
from cxmodel.data.selecting import keep_journeys
from cxmodel.exporters.json import dumps, loads
from cxmodel.stats.intervals import newcombe_difference

START = datetime(2026, 1, 1, tzinfo=UTC)
GOAL = cx.Goal("purchase", touchpoints=["pay"])
CHECKOUT = cx.Goal("purchase", touchpoints=["Checkout"])
Instead = Literal["nothing", "another"]
Impact = cx.metrics.Impact


def read(paths: list[str], **facts: list[str]) -> cx.Journeys:
    """One journey of one customer per path, a minute from touch to touch."""
    rows = [
        {"who": str(who), "what": what, "at": START + timedelta(minutes=place)}
        for who, path in enumerate(paths)
        for place, what in enumerate(path.split())
    ]
    log = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    if not facts:
        return log
    table = [{"who": str(who), **{name: values[who] for name, values in facts.items()}} for who in range(len(paths))]
    return log.with_customers(table, customer="who", attributes=list(facts))


@cache
def planted(seed: int = 0) -> cx.Journeys:
    study = cx.datasets.known_truth(5000, seed=seed)
    log = cx.read_events(
        study.events.to_dicts(), customer="customer", journey="journey", touchpoint="touchpoint", time="time"
    )
    return log.with_customers(study.customers.to_dicts(), customer="customer", attributes=["persona"])


def mechanisms() -> Any:
    """The mechanisms of the coverage benchmark."""
    path = Path(__file__).parents[2] / "benchmarks" / "coverage_impact.py"
    spec = importlib.util.spec_from_file_location("coverage_impact", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# the slow, obviously right way

STEPS = {"nothing": (0, 1, 4, 8), "another": tuple(range(32))}


def slow_effect(paths: list[str], personas: list[str], touchpoint: str, instead: Instead) -> tuple[float, int, float]:
    """Effect among the exposed that can be compared, how many these are, and the sum of differences."""
    sets: dict[object, list[tuple[bool, bool, float]]] = defaultdict(list)
    for path, persona in zip(paths, personas, strict=True):
        whole = path.split()
        before = whole[: whole.index("pay")] if "pay" in whole else whole
        first = before.index(touchpoint) if touchpoint in before else None
        for begin, end in zip(STEPS[instead], [*STEPS[instead][1:], 99], strict=True):
            reached = begin <= len(before) if instead == "nothing" else begin < len(before)
            if not reached or (first is not None and first < begin):
                continue
            now = first is not None and first < end
            later = first is not None and not now
            history = (begin, persona, before[0] if begin else None)
            if now or not later or instead == "another":
                sets[history].append((now, later, float("pay" in whole)))
    lift, n = 0.0, 0
    for rows in sets.values():
        exposed = [won for now, _, won in rows if now]
        others = [won for now, _, won in rows if not now]
        if exposed and others:
            lift += sum(exposed) - len(exposed) * sum(others) / len(others)
            n += len(exposed)
    return (lift / n if n else 0.0), n, lift


walk = st.lists(st.sampled_from(["a", "b", "c", "pay"]), min_size=1, max_size=10).map(" ".join)
logs = st.lists(st.tuples(walk, st.sampled_from(["x", "y"])), min_size=1, max_size=25).map(
    lambda rows: [*rows, ("a b c pay", "x")]
)


@settings(max_examples=20)
@given(logs, st.sampled_from(["nothing", "another"]))
def test_equals_the_slow_way(rows: list[tuple[str, str]], instead: Instead) -> None:
    paths, personas = [path for path, _ in rows], [persona for _, persona in rows]
    table = read(paths, persona=personas).measure(Impact(outcome=GOAL, adjust_for=["persona"], instead=instead))
    for name, row in table.items():
        effect, n, lift = slow_effect(paths, personas, name, instead)
        assert row.n == n
        if row.effect.value is None:
            assert n == 0 or "only journeys that reach the goal" in str(row.effect.reason)
            continue
        assert row.effect.value == pytest.approx(effect, abs=1e-9)
        assert row.population.require() == pytest.approx(lift / len(paths), abs=1e-9)
        assert row.relative.require() == pytest.approx(lift / sum("pay" in path for path in paths), abs=1e-9)


@settings(max_examples=10)
@given(logs, st.lists(st.sampled_from(["a", "b", "c", "new", "pay"]), max_size=5))
def test_nothing_after_the_goal_is_looked_at(rows: list[tuple[str, str]], more: list[str]) -> None:
    paths = [path for path, _ in rows]
    longer = [" ".join([path, *more]) if "pay" in path.split() else path for path in paths]
    metric = Impact(outcome=GOAL)
    assert read(paths).measure(metric).to_records() == read(longer).measure(metric).to_records()


@settings(max_examples=10)
@given(logs)
def test_blocks_apart_give_the_same(rows: list[tuple[str, str]]) -> None:
    journeys = read([path for path, _ in rows], persona=[persona for _, persona in rows])
    blocks = [
        keep_journeys(block, block.customer_of_journey == who)
        for block in journeys.population.blocks()
        for who in range(block.customers)
    ]
    apart = evolve(journeys, population=evolve(journeys.population, parts=blocks))
    metric = Impact(outcome=GOAL, adjust_for=["persona"])
    one, other = journeys.measure(metric).to_records(), apart.measure(metric).to_records()
    assert [(r["group"], r["quantity"], r["n"], r["flags"]) for r in one] == [
        (r["group"], r["quantity"], r["n"], r["flags"]) for r in other
    ]
    for key in ("value", "low", "high"):
        values, others = ([np.nan if r[key] is None else r[key] for r in records] for records in (one, other))
        assert values == pytest.approx(others, abs=1e-9, nan_ok=True)


# the planted truth


def test_recovers_the_planted_effects() -> None:
    """Of 24 intervals of 95 % one or two may miss by chance; the means may not."""
    truth = cx.datasets.known_truth(10).truth["removal_effect"]
    tables = [planted(seed).measure(Impact(outcome=CHECKOUT, adjust_for=["persona"])) for seed in range(6)]
    held = 0
    for name in ("Ad", "Chat", "Complaint", "Gift"):
        rows = [table[name].relative for table in tables]
        assert np.mean([row.require() for row in rows]) == pytest.approx(truth[name], abs=0.025)
        held += sum(row.interval is not None and truth[name] in row.interval for row in rows)
        assert all(row.interval is not None and row.interval.high - row.interval.low < 0.15 for row in rows)
    assert held >= 22
    table = tables[0]
    assert table["Complaint"].effect.require() < 0 < table["Chat"].effect.require()
    assert "unadjusted" not in table["Chat"].flags
    assert "not_identifiable" in table["Home"].flags
    assert table["Home"].effect.value is None


def test_without_the_confounder_the_declared_control_fails() -> None:
    table = planted().measure(Impact(outcome=CHECKOUT, controls=["Ad"]))
    assert table.failed == ("Ad",)
    assert all({"unadjusted", "control_failed"} <= set(row.flags) for row in table.values())
    held = planted().measure(Impact(outcome=CHECKOUT, adjust_for=["persona"], controls=["Ad"]))
    assert held.failed == ()
    assert not any({"unadjusted", "control_failed"} & set(row.flags) for row in held.values())


def test_effects_on_a_score() -> None:
    study = cx.datasets.known_truth(5000, seed=0)
    answers = cx.read_responses(
        study.responses.to_dicts(), customer="customer", journey="journey", question="satisfaction", score="score",
        time="time", scale=cx.Scale.own(0, 10, satisfied=8),
    )  # fmt: skip
    journeys = planted().with_responses(answers)
    table = journeys.measure(Impact(outcome=cx.metrics.MeanScore(question="satisfaction"), adjust_for=["persona"]))
    for name in ("Ad", "Chat", "Complaint", "Gift"):
        interval = table[name].effect.interval
        assert interval is not None
        assert study.truth["score_effect"][name] in interval
        assert table[name].relative.value is None
        assert table[name].e_value is None
    assert table.journeys == journeys.facts.responses


def test_replicates_agree_with_the_jackknife() -> None:
    metric = Impact(outcome=CHECKOUT, adjust_for=["persona"])
    jackknife, bootstrap = planted().measure(metric), planted().measure(metric, bootstrap=400)
    for name in ("Ad", "Chat", "Complaint", "Gift"):
        one, other = jackknife[name].relative.interval, bootstrap[name].relative.interval
        assert one is not None
        assert other is not None
        assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.25)


# mechanisms that the estimator was not made for


def test_longer_journeys_convert_more_and_touchpoints_do_nothing() -> None:
    """Against stopping every touchpoint seems to work, and says so; against another touchpoint none does."""
    module = mechanisms()
    journeys = module.journeys_of(*module.lengths(np.random.default_rng(5), 3000, None))
    fooled = journeys.measure(Impact(outcome=CHECKOUT))
    sound = journeys.measure(Impact(outcome=CHECKOUT, instead="another"))
    for name in module.NAMES:
        assert "structural_lift" in fooled[name].flags
        assert fooled[name].placebo.require() == pytest.approx(fooled[name].effect.require(), abs=0.05)
        assert 0.0 in sound[name].effect.interval
        assert "structural_lift" not in sound[name].flags


@pytest.mark.parametrize(("rule", "most"), [("repeated", 0.08), ("interacting", 0.08), ("fading", 0.08)])
def test_bias_under_other_mechanisms(rule: str, most: float) -> None:
    module = mechanisms()
    drawn = module.walks(getattr(module, rule))
    truth = module.truth_of(drawn, 8000)
    table = module.journeys_of(*drawn(np.random.default_rng(3), 8000, None)).measure(
        Impact(outcome=CHECKOUT, adjust_for=["persona"])
    )
    for name in module.NAMES:
        assert table[name].relative.require() == pytest.approx(truth[name], abs=most)


# what it must say, and what it must refuse


def test_a_touchpoint_that_only_converters_pass_is_not_identifiable() -> None:
    table = read(["a b pay", "a c", "a b pay", "a pay", "c"] * 10).measure(Impact(outcome=GOAL))
    assert table["b"].effect.value is None
    assert "not_identifiable" in table["b"].flags
    assert "only journeys that reach the goal" in str(table["b"].effect.reason)
    assert table["a"].effect.value is not None


def test_cells_without_comparison_are_counted() -> None:
    paths = ["a b pay", "a b", "a", "a pay", "c b"]
    table = read(paths, persona=["x", "x", "x", "x", "y"]).measure(Impact(outcome=GOAL, adjust_for=["persona"]))
    cells = {each.cell["persona"]: (each.exposed, each.compared) for each in table["b"].positivity}
    assert cells == {"x": (2, 2), "y": (1, 0)}
    assert table["b"].unmatched == pytest.approx(1 / 3)
    assert "33% without comparison" in str(table["b"])


def test_a_randomised_hold_out_comes_first() -> None:
    paths = ["a b pay", "a b", "a b pay", "a", "a pay", "a"]
    held = ["false", "false", "false", "true", "true", "true"]
    table = read(paths, held=held).measure(Impact(outcome=GOAL, holdout="held"))
    assert table.holdout is not None
    assert table.holdout.value == pytest.approx(2 / 3 - 1 / 3)
    low, high = newcombe_difference(2, 3, 1, 3)
    assert table.holdout.interval is not None
    assert (table.holdout.interval.low, table.holdout.interval.high) == pytest.approx((float(low), float(high)))
    assert table.to_records()[0]["quantity"] == "holdout"
    assert table.journeys == 6
    without = read(paths, held=held).measure(Impact(outcome=GOAL))
    assert [dict(row) for row in table.to_records()[1:]] == without.to_records()


def test_json_and_back() -> None:
    paths = ["a b pay", "a b", "a", "a pay", "c b", "pay"] * 8
    held = ["true", "false"] * 24
    table = read(paths, persona=list("xxyxyy") * 8, held=held).measure(
        Impact(outcome=GOAL, adjust_for=["persona"], controls=["c"], holdout="held")
    )
    back = loads(dumps(table))
    assert isinstance(back, ImpactTable)
    assert back == table
    assert dumps(back) == dumps(table)
    assert evolve(table, journeys=table.journeys + 1) != table


def test_every_group_has_its_own_table() -> None:
    journeys = read(["a b pay", "a b", "a", "a pay"] * 5, persona=list("xy") * 10)
    groups = journeys.measure(Impact(outcome=GOAL), by=cx.by.attribute("persona"))
    alone = journeys.where(persona="x").measure(Impact(outcome=GOAL))
    assert groups["x"]["b"].effect.value == alone["b"].effect.value


def test_no_journey_before_the_goal() -> None:
    table = read(["pay", "pay"]).measure(Impact(outcome=GOAL))
    assert len(table) == 0
    assert table.average.value == 1.0


def test_e_values_of_the_source() -> None:
    """VanderWeele & Ding 2017: a ratio of 3.9 with 1.8 to 8.7 has 7.3 and 3.0."""
    risk = cx.Estimate(value=3.9, n=100, interval=cx.Interval(1.8, 8.7, 0.95, "given"))
    assert e_values(risk) == pytest.approx((7.26, 3.0), abs=0.01)
    turned = cx.Estimate(value=1 / 3.9, n=100, interval=cx.Interval(1 / 8.7, 1 / 1.8, 0.95, "given"))
    assert e_values(turned) == pytest.approx(e_values(risk))
    assert e_values(cx.Estimate(value=1.2, n=9, interval=cx.Interval(0.9, 1.5, 0.95, "given")))[1] == 1.0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"adjust_for": ["personae"]}, "Did you mean 'persona'"),
        ({"controls": ["z"]}, "'z'"),
        ({"seen": ["z"]}, "'z'"),
        ({"holdout": "persona"}, "held out"),
        ({"outcome": cx.Goal("g", touchpoints=["paid"])}, "'paid'"),
        ({"outcome": cx.metrics.Length()}, "neither"),
        ({"outcome": cx.metrics.MeanScore()}, "no answers"),
    ],
)
def test_refused_in_words(options: dict[str, Any], words: str) -> None:
    journeys = read(["a pay", "a b"], persona=["x", "y"])
    with pytest.raises(cx.errors.NotMeasurableError, match=words):
        journeys.measure(Impact(**{"outcome": GOAL, **options}))


def test_a_text_is_no_list_of_names() -> None:
    with pytest.raises(cx.errors.InvalidValueError, match="list of names"):
        Impact(outcome=GOAL, adjust_for="persona")
    with pytest.raises(ValueError, match="instead"):
        Impact(outcome=GOAL, instead="none")  # type: ignore[arg-type]
