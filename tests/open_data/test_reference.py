"""Reference values: credit, transitions, survey metrics and their intervals, from rows made up to fit them."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm

import cxmodel as cx
from cxmodel import metrics
from cxmodel.analysis.credits import CreditTable
from cxmodel.plugins import SumTally

pytestmark = pytest.mark.open_data

Reference = Callable[[str], Any]
Row = dict[str, int | str]

GOAL = cx.Goal("conversion", touchpoints=["(goal)"])
Z95 = float(norm.ppf(0.975))


# credit


def log(paths: Iterable[tuple[Sequence[str], int, int]]) -> cx.Journeys:
    """Journeys from paths, with how many of them convert and how many do not; each is of another customer."""
    journeys = [
        touchpoints
        for path, converted, lost in paths
        for touchpoints in [*[[*path, "(goal)"]] * converted, *[list(path)] * lost]
    ]
    rows = [
        {"who": who, "what": what, "at": f"2026-01-01 00:{minute:02}"}
        for who, touchpoints in enumerate(journeys)
        for minute, what in enumerate(touchpoints)
    ]
    return cx.read_events(rows, customer="who", touchpoint="what", time="at")


def toy(reference: Reference, name: str) -> tuple[Any, cx.Journeys]:
    values = reference("attribution_toys.json")[name]
    return values, log([(path, converted, lost) for path, converted, lost, _ in values["rows"]])


def credit(table: CreditTable) -> dict[str, float]:
    """Credit by touchpoint, without those that get none."""
    total = sum(each.require() for each in table.values()) + table.direct.require()
    assert total == pytest.approx(table.conversions)
    return {name: each.require() for name, each in table.items() if each.require() > 1e-12}


def shared_out(effects: Mapping[str, float], conversions: int) -> dict[str, float]:
    return {name: conversions * each / sum(effects.values()) for name, each in effects.items() if each}


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (metrics.FirstCredit(goal=GOAL), "first"),
        (metrics.LastCredit(goal=GOAL), "last"),
        (metrics.LinearCredit(goal=GOAL), "linear"),
        (metrics.LinearDistinctCredit(goal=GOAL), "linear_unique"),
        (metrics.PositionCredit(goal=GOAL), "position_40_20_40"),
        (metrics.StepDecayCredit(goal=GOAL), "time_decay_halflife_1step"),
        (metrics.TimeDecayCredit(goal=GOAL, half_life=timedelta(minutes=1)), "time_decay_halflife_1step"),
        (metrics.ShapleyCredit(goal=GOAL), "shapley_count_game"),
    ],
    ids=lambda given: given if isinstance(given, str) else given.name,
)
def test_credit_of_the_toy(reference: Reference, model: SumTally[CreditTable], key: str) -> None:
    values, journeys = toy(reference, "toy_cx")
    table = journeys.measure(model)
    assert table.conversions == values["total_conversions"]
    assert credit(table) == pytest.approx({name: float(each) for name, each in values[key].items()})


@pytest.mark.parametrize("order", [1, 2])
def test_markov_credit_of_the_toy(reference: Reference, order: int) -> None:
    values, journeys = toy(reference, "toy_cx")
    of_order = values[f"order{order}"]
    found = credit(journeys.measure(metrics.MarkovCredit(goal=GOAL, order=order)))
    assert found == pytest.approx(shared_out(of_order["removal_effect"], 7))
    assert journeys.measure(metrics.ConversionRate(goal=GOAL)).value == pytest.approx(of_order["p_conversion"])


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("value", [None, "value"])
def test_removal_effects_of_the_toy(reference: Reference, order: int, value: str | None) -> None:
    values, _ = toy(reference, "toy_cx")
    journeys = valued(values["rows"])
    of_order = values[f"order{order}"]
    expected = of_order["removal_effect" if value is None else "removal_effect_value"]
    found = journeys.measure(metrics.RemovalEffects(goal=GOAL, order=order, value=value))
    assert {name: each.value for name, each in found.items()} == pytest.approx(expected, abs=1e-12)
    total = 7 if value is None else sum(row[3] for row in values["rows"])
    credit_ = journeys.measure(metrics.MarkovCredit(goal=GOAL, order=order, value=value))
    assert {name: each.value for name, each in credit_.items()} == pytest.approx(
        {name: total * each / sum(expected.values()) for name, each in expected.items()}, abs=1e-12
    )


def valued(rows: Iterable[tuple[Sequence[str], int, int, float]]) -> cx.Journeys:
    """The journeys of paths, whose conversions share out the value of their path."""
    told = []
    for number, (path, won, lost, value) in enumerate(rows):
        for i in range(won + lost):
            steps = [*path, "(goal)"] if i < won else path
            told += [
                {"who": f"{number}-{i}", "what": what, "at": f"2026-01-01 00:{minute:02}",
                 "worth": value / won if what == "(goal)" else None}
                for minute, what in enumerate(steps)
            ]  # fmt: skip
    return cx.read_events(told, customer="who", touchpoint="what", time="at", value="worth")


@pytest.mark.parametrize("order", [1, 2, 3, 4])
@pytest.mark.parametrize("collapse", [True, False])
def test_removal_effects_by_order_reach_participation(reference: Reference, order: int, collapse: bool) -> None:
    values = reference("markov.json")["order_limit_example"]
    journeys = log([(path, won, lost) for path, won, lost, _ in values["rows"]])
    found = journeys.measure(metrics.RemovalEffects(goal=GOAL, order=order, collapse=collapse))
    expected = values["re_by_order"][f"{order}_{collapse}"]
    assert {name: each.value for name, each in found.items()} == pytest.approx(expected, abs=1e-12)
    if order == 4:
        assert {n: e.value for n, e in found.items()} == pytest.approx(values["participation"], abs=1e-12)


def test_further_games_of_shapley_of_the_toy(reference: Reference) -> None:
    values, journeys = toy(reference, "toy_cx")
    ordered = journeys.measure(metrics.OrderedShapleyCredit(goal=GOAL))
    assert {key: each.value for key, each in ordered.items()} == pytest.approx({
        (name, int(place)): float(Fraction(due))
        for name, places in values["ordered_shapley"].items() for place, due in places.items()
    })  # fmt: skip
    rate = journeys.measure(metrics.RateShapley(goal=GOAL))
    assert {name: each.value for name, each in rate.items()} == pytest.approx(
        {name: float(Fraction(due)) for name, due in values["shapley_rate_game"].items()}, abs=1e-12
    )


def test_credit_of_a_log_whose_truth_is_known(reference: Reference) -> None:
    """The mechanism drawn again, with Checkout a touchpoint: harm gets positive credit, and no effect gets most."""
    values = reference("which_attribution_simulation.json")
    names = ["Home", "Ad", "Chat", "Complaint", "Gift", "Checkout"]
    draw = np.random.default_rng(11)
    n = 60_000

    def chance(x: Any) -> Any:
        return 1 / (1 + np.exp(-x))

    z = draw.normal(size=n)
    ad, chat = draw.random(n) < chance(-0.3 + 1.2 * z), draw.random(n) < 0.35
    complaint, gift = draw.random(n) < 0.2, draw.random(n) < 0.04
    won = draw.random(n) < chance(-1.6 + z + 0.8 * chat - 1.2 * complaint + 1.5 * gift)
    passed = np.stack([np.ones(n, bool), ad, chat, complaint, gift, won, won], axis=1)
    place = np.concatenate([np.zeros((n, 1)), draw.random((n, 4)) + 1, np.full((n, 1), 3.0), np.full((n, 1), 4.0)], 1)
    who, what = np.nonzero(passed)
    frame = {"who": who, "what": np.array([*names, "(goal)"])[what], "at": (place[who, what] * 1e6).astype("M8[us]")}
    journeys = cx.read_events(pd.DataFrame(frame), customer="who", touchpoint="what", time="at")
    found = journeys.measure(metrics.Credits(goal=GOAL))
    for model, key in (
        ("first_credit", "first"), ("last_credit", "last"), ("linear_credit", "linear"),
        ("shapley_credit", "shapley_count"), ("markov_credit", "markov_credit_share"),
    ):  # fmt: skip
        shares = {name: credit(found[model]).get(name, 0.0) / found[model].conversions for name in names}
        # another order of the middle touchpoints was drawn, which the order-free models do not see
        assert shares == pytest.approx(values[key], abs=0.006 if key == "markov_credit_share" else 1e-9), model
    assert found["markov_credit"]["Complaint"].require() > 0 > values["true_relative_removal_effect"]["Complaint"]


def test_markov_credit_of_the_toy_is_printed_too(reference: Reference) -> None:
    values, journeys = toy(reference, "toy_cx")
    found = {name: each.value for name, each in journeys.measure(metrics.MarkovCredit(goal=GOAL)).items()}
    assert found == pytest.approx(values["order1"]["credit"])


def test_all_models_in_one_result_are_the_models_alone(reference: Reference) -> None:
    _, journeys = toy(reference, "toy_cx")
    together = journeys.measure(metrics.Credits(goal=GOAL, order=2))
    alone = (
        metrics.FirstCredit(goal=GOAL), metrics.LastCredit(goal=GOAL), metrics.LinearCredit(goal=GOAL),
        metrics.ShapleyCredit(goal=GOAL), metrics.MarkovCredit(goal=GOAL, order=2),
    )  # fmt: skip
    assert {model.name: credit(journeys.measure(model)) for model in alone} == {
        name: credit(table) for name, table in together.models.items()
    }


def test_markov_credit_of_a_worked_example(reference: Reference) -> None:
    values, journeys = toy(reference, "toy_bryl")
    assert journeys.measure(metrics.ConversionRate(goal=GOAL)).value == pytest.approx(values["p_conversion"])
    assert credit(journeys.measure(metrics.MarkovCredit(goal=GOAL))) == pytest.approx(values["credit"])


def test_markov_credit_of_a_published_transition_matrix(reference: Reference) -> None:
    values = reference("attribution_toys.json")["toy_pychattr"]
    journeys = log([(["A", "B", "A"], 3, 0)])
    shares = {(a, b): facts["share"] for a, b, facts in journeys.graph().edges(data=True)}
    assert shares == {("A", "B"): 0.5, ("A", "(goal)"): 0.5, ("B", "A"): 1.0}
    assert credit(journeys.measure(metrics.MarkovCredit(goal=GOAL))) == pytest.approx(values["credit"])


@pytest.mark.parametrize(
    ("model", "key"),
    [
        (metrics.ShapleyCredit(goal=GOAL), "shapley"), (metrics.LinearCredit(goal=GOAL), "linear"),
        (metrics.PositionCredit(goal=GOAL, first=0.3, last=0.7), "position_30_70"),
    ],
)  # fmt: skip
def test_credit_of_published_cases(reference: Reference, model: SumTally[CreditTable], key: str) -> None:
    cases = [case for case in reference("attribution_toys.json")["published_mta_tests"]["cases"] if key in case]
    assert cases
    for case in cases:
        journeys = log([(path.split(" > "), converted, lost) for path, converted, lost in case["paths"]])
        assert credit(journeys.measure(model)) == pytest.approx(case[key])


def test_transitions_of_a_published_case(reference: Reference) -> None:
    cases = reference("attribution_toys.json")["published_mta_tests"]["cases"]
    (case,) = (each for each in cases if "transition" in each)
    graph = log([(path.split(" > "), converted, lost) for path, converted, lost in case["paths"]]).graph()
    assert graph.nodes["a"]["starts"] == graph.journeys
    for step, share in case["transition"].items():
        source, target = step.replace("conv", "(goal)").split(">")
        if source != "start":
            assert graph.edges[source, target]["share"] == pytest.approx(float(Fraction(share)))


@pytest.mark.parametrize(
    "model",
    [
        metrics.FirstCredit(goal=GOAL), metrics.LastCredit(goal=GOAL), metrics.LinearCredit(goal=GOAL),
        metrics.ShapleyCredit(goal=GOAL), metrics.MarkovCredit(goal=GOAL), metrics.MarkovCredit(goal=GOAL, order=2),
    ],
    ids=lambda model: f"{model.name}-{getattr(model, 'order', '')}",
)  # fmt: skip
def test_conversions_without_a_touchpoint_are_direct(reference: Reference, model: SumTally[CreditTable]) -> None:
    """Direct conversions leave every other credit alone, even where a channel is called so."""
    rows = reference("attribution_toys.json")["toy_cx"]["rows"]
    paths = [(["direct" if name == "web" else name for name in path], won, lost) for path, won, lost, _ in rows]
    before, after = log(paths).measure(model), log([*paths, ([], 4, 0)]).measure(model)
    assert (before.direct.value, after.direct.value) == (0, 4)
    assert (before.conversions, after.conversions) == (7, 11)
    assert credit(after) == pytest.approx(credit(before))


# transitions


def test_transition_graph_of_the_running_example(open_data: Path, reference: Reference) -> None:
    values = reference("conformance.json")["running_example"]
    journeys = cx.read_events(
        open_data / "reference/running_example.csv", customer="case:concept:name", touchpoint="concept:name",
        time="time:timestamp",
    )  # fmt: skip
    graph = journeys.graph()
    assert (graph.journeys, graph.events) == (values["n_cases"], values["n_events"]) == (6, 42)
    assert [(a, b, facts["count"]) for a, b, facts in sorted(graph.edges(data=True), key=lambda edge: edge[:2])] == [
        tuple(edge) for edge in sorted(values["dfg"])
    ]
    assert {name: facts["starts"] for name, facts in graph.nodes(data=True) if facts["starts"]} == values["start"]
    assert {name: facts["ends"] for name, facts in graph.nodes(data=True) if facts["ends"]} == values["end"]
    paths = journeys.paths()
    assert {path.touchpoints for path in paths.top(6)} == {tuple(trace) for trace in values["traces"]}
    assert paths.distinct == paths.singletons == 6


# surveys


def promoter_rows(counts: Sequence[int], region: str = "all") -> Iterator[Row]:
    """Answers with these numbers of detractors, passives and promoters."""
    for answer, count in zip((3, 7, 10), counts, strict=True):
        row: Row = {"score": answer, "region": region}
        yield from [row] * count


def nps_of(rows: Iterable[Row]) -> cx.Responses:
    return cx.read_responses(list(rows), score="score", scale=cx.Scale.nps(), attributes=["region"])


def ends(estimate: cx.Estimate) -> tuple[float, float]:
    assert estimate.interval is not None
    return estimate.interval.low, estimate.interval.high


Method = Literal["wald", "adjusted_wald", "score", "goodman"]


@pytest.mark.parametrize("method", get_args(Method))
def test_nps_and_its_intervals(reference: Reference, method: Method) -> None:
    cases = reference("nps_csat_ces.json")["one_sample"]
    assert len(cases) == 13
    for case in cases:
        nps = nps_of(promoter_rows(case["counts"])).measure(metrics.Nps(method=method, min_n=0))
        assert nps.n == sum(case["counts"])
        assert nps.value == pytest.approx(100 * case["nps"])
        assert ends(nps) == pytest.approx([100 * end for end in case[method]], abs=1e-4), case["counts"]


def test_nps_by_region_of_a_published_survey(reference: Reference) -> None:
    values = reference("nps_csat_ces.json")["NPS_testdata"]
    regions = values["by_region"]
    rows = [row for name, each in regions.items() for row in promoter_rows(each["counts"], region=name)]
    survey = nps_of(rows)
    by_region = survey.measure(metrics.Nps(method="score"), by=cx.by.attribute("region"))
    assert set(by_region) == set(regions)
    for name, each in by_region.items():
        assert each.value == pytest.approx(100 * regions[name]["nps"])
        assert ends(each) == pytest.approx([100 * end for end in regions[name]["score"]], abs=1e-4)
    total = values["overall"]
    for method, key in (("wald", "wald"), ("adjusted_wald", "aw"), ("score", "score")):
        nps = survey.measure("nps", method=method)
        assert nps.value == pytest.approx(100 * total["nps"])
        assert ends(nps) == pytest.approx([100 * end for end in total[key]], abs=1e-4)


@pytest.mark.parametrize(("customer", "key"), [(None, "var_linearised_HC1"), ("cluster", "var_cluster_CR1")])
def test_weighted_nps_and_its_variance(reference: Reference, customer: str | None, key: str) -> None:
    values = reference("nps_csat_ces.json")["weighted"]
    rows = [
        {"score": {-1: 2, 0: 8, 1: 9}[sign], "sign": sign, "weight": weight, "cluster": cluster}
        for sign, weight, cluster in zip(values["scores_pm1"], values["weights"], values["clusters"], strict=True)
    ]
    answers = cx.read_responses(rows, score="score", scale=cx.Scale.nps(), weight="weight", customer=customer)
    nps = answers.measure(metrics.Nps())
    assert nps.value == pytest.approx(100 * values["nps_w"])
    assert nps.n == len(rows)
    signs = cx.read_responses(rows, score="sign", scale=cx.Scale.own(-1, 1), weight="weight", customer=customer)
    mean = signs.measure(metrics.MeanScore())
    low, high = ends(mean)
    assert mean.value == pytest.approx(values["nps_w"])
    assert ((high - low) / 2 / Z95) ** 2 == pytest.approx(values[key])


def test_people_asked_twice_are_compared_with_themselves(reference: Reference) -> None:
    values = reference("nps_csat_ces.json")["paired"]
    table, answer = values["table_rows_t1_cols_t2_DPQ"], (3, 7, 10)
    pairs = [(answer[i], answer[j]) for i in range(3) for j in range(3) for _ in range(table[i][j])]
    rows = [{"who": who, "before": before, "after": after} for who, (before, after) in enumerate(pairs)]
    asked = {name: cx.Question(cx.Scale.nps()) for name in ("before", "after")}
    survey = cx.read_responses(rows, customer="who", questions=asked)
    before, after = survey.measure(metrics.Nps(question="before"), metrics.Nps(question="after"))
    change = after.minus(before)
    low, high = ends(change)
    assert change.value == pytest.approx(100 * values["delta"])
    # the interval comes from replicates of customers: near the paired error, far from the unpaired one
    assert (high - low) / 2 / Z95 == pytest.approx(100 * values["se_ddof0"], rel=0.15)
    assert 100 * values["unpaired_se"] > 1.5 * (high - low) / 2 / Z95


def test_satisfied_shares_and_wilson_intervals(reference: Reference) -> None:
    for case in reference("nps_csat_ces.json")["csat_wilson"]["cases"]:
        rows = [{"score": 5 if i < case["k"] else 2} for i in range(case["n"])]
        survey = cx.read_responses(rows, score="score", scale=cx.Scale.csat())
        share = survey.measure(metrics.Csat(method="wilson", min_n=0))
        assert share.value == pytest.approx(case["p"])
        assert ends(share) == pytest.approx(case["wilson"], abs=1e-9)


def test_satisfaction_and_effort_examples(reference: Reference) -> None:
    values = reference("nps_csat_ces.json")

    def survey(scores: Sequence[int], scale: cx.Scale) -> cx.Responses:
        return cx.read_responses([{"score": score} for score in scores], score="score", scale=scale)

    csat = survey(values["csat_example"]["ratings"], cx.Scale.csat())
    share, mean = csat.measure(metrics.Csat(min_n=0), metrics.MeanScore(min_n=0))
    assert (share.value, mean.value) == (values["csat_example"]["top2box"], values["csat_example"]["mean"])
    effort = values["ces_example"]
    agreed = survey(effort["ces2_1to7_agree"], cx.Scale.ces2())
    mean, top = agreed.measure(metrics.Ces2(min_n=0), metrics.Ces2Top(min_n=0))
    assert (mean.value, top.value) == pytest.approx((effort["mean"], effort["top3box_5to7"]))
    ces1 = survey(effort["ces1_effort_1to5"], cx.Scale.ces1()).measure(metrics.Ces1(min_n=0))
    assert (ces1.value, ces1.direction, mean.direction) == (effort["ces1_mean"], "lower", "higher")
