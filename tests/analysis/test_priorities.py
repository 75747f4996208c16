"""Priorities against sums by hand, their rules and order, what is unknown, and how they are told."""

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.priority_results import PriorityTable
from cxmodel.errors import NotMeasurableError
from cxmodel.exporters.documents import document
from cxmodel.exporters.matplotlib.priorities import PriorityFigure
from cxmodel.stats.fronts import pareto_fronts

MEANS = {"search": 4.2, "cart": 3.0, "call": 2.0, "pay": 4.5}


def study(customers: int = 300, seed: int = 2) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    rng = np.random.default_rng(seed)
    events: list[dict[str, Any]] = []
    answers: list[dict[str, Any]] = []
    for who in range(customers):
        path = ["home", *(p for p, share in (("search", 0.8), ("cart", 0.5), ("call", 0.3)) if rng.random() < share)]
        path += ["call"] * int(rng.random() < 0.1) + ["pay"] * int(rng.random() < 0.3)
        events += [{"who": who, "what": p, "at": f"2026-01-01 00:{3 * i:02}"} for i, p in enumerate(path)]
        for place in sorted(set(path) - {"home"}):
            if rng.random() < 0.6:
                score = int(np.clip(np.rint(MEANS[place] + rng.normal()), 1, 5))
                answers.append({"who": who, "place": place, "score": score, "at": "2026-01-01 01:00"})
    return events, answers


def read(events: list[dict[str, Any]], answers: list[dict[str, Any]], scale: cx.Scale | None = None) -> cx.Journeys:
    given_ = cx.read_responses(
        answers, customer="who", time="at", touchpoint="place", score="score", scale=scale or cx.Scale.csat()
    )
    return cx.read_events(events, customer="who", touchpoint="what", time="at").with_responses(given_)


@pytest.fixture(scope="module")
def table() -> PriorityTable:
    return read(*study()).priorities(bootstrap=300, seed=1)


def test_quantities_are_those_of_sums_by_hand(table: PriorityTable) -> None:
    events, answers = study()
    paths = defaultdict(list)
    for event in events:
        paths[event["who"]].append(event["what"])
    scores = defaultdict(list)
    for answer in answers:
        scores[answer["place"]].append(answer["score"])
    followed = Counter(name for path in paths.values() for name in path[:-1])
    for name, row in table.items():
        passing = [path.count(name) for path in paths.values() if name in path]
        assert row.reach.value == pytest.approx(len(passing) / len(paths))
        assert row.effort.value == pytest.approx(sum(passing) / len(passing) - 1)
        assert row.wait.value == pytest.approx(followed[name] / followed.total())
        if name == "home":
            assert row.score.reason == "no answer is about it"
            continue
        mean = np.mean(scores[name])
        assert row.score.value == pytest.approx(mean)
        assert row.score.n == len(scores[name])
        assert row.pain.value == pytest.approx(np.mean([each < 3 for each in scores[name]]))
        assert row.shortfall.value == pytest.approx((5 - mean) / 4)
        assert row.priority.value == pytest.approx(row.reach.require() * (5 - mean) / 4)
        interval = row.priority.interval
        assert interval is not None
        assert interval.method == "bootstrap of customers (300)"
        assert interval.low < row.priority.require() < interval.high


def test_the_order_is_that_of_the_rule_and_says_how_sure_it_is(table: PriorityTable) -> None:
    known = [name for name, row in table.items() if row.priority.value is not None]
    assert known == sorted(known, key=lambda n: -table[n].priority.require()) == ["call", "cart", "search", "pay"]
    assert list(table)[-1] == "home"
    assert table.in_top("call") == 1.0
    assert table.in_top("home") is None
    assert table.stability is not None
    assert table.stability.probability("call", "pay") == 1.0
    journeys = read(*study())
    pain = journeys.priorities(rule="pain")
    for row in pain.values():
        if row.priority.value is not None:
            assert row.priority.value == pytest.approx(row.reach.require() * row.pain.require())
    fronts = [row.front for row in journeys.priorities(rule="pareto").values()]
    assert fronts[:-1] == sorted(each for each in fronts if each is not None)
    assert fronts[-1] is None


def test_a_scale_on_which_lower_is_better_is_turned_round() -> None:
    events, answers = study()
    turned = [{**each, "score": 6 - each["score"]} for each in answers]
    plain, other = read(events, answers).priorities(), read(events, turned, cx.Scale.ces1()).priorities()
    assert list(plain) == list(other)
    for name, row in plain.items():
        for quantity in ("priority", "pain", "shortfall"):
            assert other[name].quantities[quantity].value == pytest.approx(row.quantities[quantity].value)


def test_replicates_and_the_jackknife_agree(table: PriorityTable) -> None:
    left = read(*study()).priorities(bootstrap=0)
    for name in table:
        for quantity in ("priority", "reach", "score", "pain", "effort", "wait"):
            one, other = (each[name].quantities[quantity].interval for each in (table, left))
            if one is None or name in ("home", "pay"):
                continue  # shares near 0 and 1 are cut at their ends
            assert other is not None
            assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.25)
    assert left.stability is None
    few = read(*study(100)).priorities()
    interval = few["call"].reach.interval
    assert interval is not None
    assert interval.method.endswith("too few customers to resample")


def test_impact_stands_beside_or_says_why_not(table: PriorityTable) -> None:
    assert table["call"].impact.reason == "no outcome was asked for: priorities(outcome=…)"
    journeys = read(*study())
    asked = journeys.priorities(outcome="pay", bootstrap=0)
    impact = journeys.measure(cx.metrics.Impact(outcome=cx.Goal("pay", touchpoints=["pay"])))
    assert asked["call"].impact == impact["call"].population
    assert "unadjusted" in asked["call"].impact.flags
    assert "no journey of equal history does without it" in str(asked["home"].impact.reason)
    assert asked["pay"].impact.reason == "nothing passes it before the outcome"


def test_few_answers_and_missing_ones_are_told() -> None:
    events, answers = study()
    journeys = read(events, answers[:40])
    rows = journeys.priorities(min_n=12)
    hidden = [row for row in rows.values() if row.score.value is None and row.score.n]
    assert hidden
    assert all(row.score.reason == f"fewer than 12 answers about it (n={row.score.n})" for row in hidden)
    plain = cx.read_events(events, customer="who", touchpoint="what", time="at")
    with pytest.raises(NotMeasurableError, match="no answers are attached"):
        plain.priorities()


def test_a_table_tells_itself_and_is_drawn(table: PriorityTable) -> None:
    told = document(table)["results"][0]["result"]
    assert [each["touchpoint"] for each in told["touchpoints"]] == list(table)
    assert told["touchpoints"][0]["in_top_3"] == 1.0
    assert str(table).splitlines()[0] == "priorities by shortfall of answer, 300 journeys"
    figure = PriorityFigure().figure(table)
    words = {text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text"))}  # type: ignore[attr-defined]
    assert {"priority", "reach", "shortfall", "pain", "effort", "wait", *table} <= words
    assert "impact" not in words
    assert any("Among the first three" in each for each in words)


points = st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=12)


@settings(max_examples=60)
@given(points)
def test_fronts_are_peeled_one_by_one(rows: list[tuple[int, ...]]) -> None:
    left, front, expected = set(range(len(rows))), 0, [0] * len(rows)
    while left:
        front += 1
        first = {
            i for i in left
            if not any(all(a >= b for a, b in zip(rows[j], rows[i], strict=True)) and rows[j] != rows[i] for j in left)
        }  # fmt: skip
        for i in first:
            expected[i] = front
        left -= first
    assert pareto_fronts(np.array(rows, float)).tolist() == expected
