"""Comparing: signs, references, the level of the tests, and what is refused."""

import json
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.comparing import Correction
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate, Interval
from cxmodel.model.scales import Direction
from cxmodel.stats import trinomial

DIRECTIONS: tuple[Direction, ...] = ("higher", "lower", "none")
Counts = tuple[int, int, int]
counts = st.tuples(*[st.integers(0, 12)] * 3).filter(lambda each: sum(each) > 0)
corrections: st.SearchStrategy[Correction] = st.sampled_from(("holm", "bh"))
groups = st.dictionaries(st.sampled_from("abcd"), counts, min_size=2, max_size=4)


def rows_of(table: Mapping[str, Counts]) -> list[dict[str, object]]:
    return [
        {"score": score, "group": group}
        for group, each in table.items()
        for score, count in zip((3, 8, 10), each, strict=True)
        for _ in range(count)
    ]


def nps_by_group(table: Mapping[str, Counts], min_n: int = 0) -> Breakdown[str, Estimate]:
    survey = cx.read_responses(rows_of(table), score="score", scale=cx.Scale.nps(), attributes=["group"])
    return survey.measure(cx.metrics.Nps(min_n=min_n), by=cx.by.attribute("group"))


def ends(estimate: Estimate) -> tuple[float, float]:
    assert estimate.interval is not None
    return estimate.interval.low, estimate.interval.high


@settings(max_examples=25)
@given(groups)
def test_turning_a_comparison_round_turns_its_sign(table: dict[str, Counts]) -> None:
    found = nps_by_group(table)
    a, b, *_ = list(found)
    there = cx.compare({a: found[a], b: found[b]}, to=a)[b]
    back = cx.compare({a: found[a], b: found[b]}, to=b)[a]
    assert there.difference.require() == -back.difference.require()
    low, high = ends(there.difference)
    assert ends(back.difference) == pytest.approx((-high, -low))
    assert there.p == pytest.approx(back.p)


@settings(max_examples=25)
@given(groups, corrections)
def test_corrections_never_lower_p_and_follow_a_slow_one(table: dict[str, Counts], correction: Correction) -> None:
    found = cx.compare(nps_by_group(table), to="rest", correction=correction)
    p = [row.p for row in found if row.p is not None]
    order = sorted(range(len(p)), key=lambda i: p[i])
    slow = [0.0] * len(p)
    for rank, i in enumerate(order):
        if correction == "holm":
            slow[i] = min(1.0, max((len(p) - k) * p[order[k]] for k in range(rank + 1)))
        else:
            slow[i] = min([1.0, *(len(p) * p[order[k]] / (k + 1) for k in range(rank, len(p)))])
    assert [row.adjusted for row in found if row.p is not None] == pytest.approx(slow)
    assert found.tests == len(p)
    assert all(row.p <= (row.adjusted or 0) + 1e-12 for row in found if row.p is not None)


@settings(max_examples=25)
@given(groups)
def test_the_rest_is_everybody_else(table: dict[str, Counts]) -> None:
    found = cx.compare(nps_by_group(table), to="rest")
    for row in found:
        others = np.sum([each for name, each in table.items() if name != row.group], axis=0)
        assert row.against.require() == pytest.approx(100 * (others[2] - others[0]) / others.sum())
        assert row.against.n == others.sum()
        assert row.difference.require() == pytest.approx(row.value.require() - row.against.require())


def test_small_groups_get_the_exact_permutation_test() -> None:
    row = cx.compare(nps_by_group({"x": (3, 2, 5), "y": (1, 1, 8)}), to="x")["y"]
    assert row.test == "permutation, exact"
    assert row.p == pytest.approx(trinomial.permutation_p_value([3, 2, 5], [1, 1, 8]))
    assert row.p == pytest.approx(0.284, abs=0.002)
    assert row.difference.require() == pytest.approx(50)


def test_large_groups_agree_with_the_normal_test() -> None:
    row = cx.compare(nps_by_group({"x": (30, 20, 50), "y": (20, 20, 60)}), to="x")["y"]
    assert row.p == pytest.approx(0.0910, abs=0.005)
    assert row.difference.interval is not None
    assert row.difference.interval.method.startswith("MOVER")
    assert row.difference.flags == ()


def test_shared_customers_are_accounted_for() -> None:
    rows = [
        {"who": f"c{i}", "score": score, "place": place}
        for i in range(60)
        for place, score in (("shop", 10 if i % 3 else 2), ("web", 10 if i % 3 else 7))
    ]
    survey = cx.read_responses(rows, customer="who", score="score", scale=cx.Scale.nps(), attributes=["place"])
    found = survey.measure(cx.metrics.Nps(), by=cx.by.attribute("place"))
    row = cx.compare(found, to="shop")["web"]
    assert row.difference.interval is not None
    assert row.difference.interval.method == "paired customer buckets"
    low, high = ends(row.difference)
    separate = math.hypot(*(ends(each)[1] - ends(each)[0] for each in found.values()))
    assert high - low < 0.6 * separate


def test_periods_follow_one_another() -> None:
    rows = [
        {"score": 10 if i % 2 else 3 + month, "at": f"2026-{month:02d}-{1 + i % 27:02d}"}
        for month in (1, 2, 4)
        for i in range(30)
    ]
    survey = cx.read_responses(rows, score="score", scale=cx.Scale.nps(), time="at")
    found = cx.compare(survey.measure(cx.metrics.Nps(), by=cx.by.month()), to="previous")
    assert [row.reference for row in found] == [None, *(row.group for row in found)][:3]
    first = next(iter(found))
    assert (first.verdict, first.difference.reason) == ("no value", "there is nothing before it")
    assert found.tests == 2
    assert found.to_records()[1]["reference"] == "2026-01-01"


def test_the_level_holds_over_a_table_of_groups_that_do_not_differ() -> None:
    generator = np.random.Generator(np.random.PCG64(7))
    tables, alarms = 80, 0
    for _ in range(tables):
        drawn = {name: generator.multinomial(int(generator.integers(12, 90)), [0.2, 0.3, 0.5]) for name in "abcd"}
        found = cx.compare(nps_by_group({name: (int(d), int(p), int(q)) for name, (d, p, q) in drawn.items()}), to="a")
        alarms += any(row.verdict != "not told apart" for row in found)
    # 5 % nominal: above 11 of 80 with probability below 0.001
    assert alarms <= 11


def test_groups_without_a_value_stay_with_their_reason() -> None:
    found = nps_by_group({"a": (10, 10, 10), "b": (1, 0, 1)}, min_n=10)
    for to in ("a", "rest"):
        row = cx.compare(found, to=to)["b"]
        assert (row.p, row.adjusted, row.verdict, row.test) == (None, None, "no value", "none")
    assert cx.compare(found, to="rest")["a"].difference.reason == "no other group has a value"
    assert len(cx.compare({}, to="previous")) == 0


def test_all_equal_answers_are_told_apart_only_by_intervals_with_a_width() -> None:
    same = cx.compare(nps_by_group({"a": (0, 0, 20), "b": (0, 0, 30)}), to="a")["b"]
    assert (same.difference.value, same.p, same.verdict) == (0, 1.0, "not told apart")
    far = cx.compare(nps_by_group({"a": (0, 0, 40), "b": (40, 0, 0)}), to="a")["b"]
    low, high = ends(far.difference)
    assert low < high
    assert far.verdict == "worse"
    flat = {
        name: Estimate(value=v, n=9, interval=Interval(v, v, 0.95, "delta")) for name, v in (("a", 1.0), ("b", 2.0))
    }
    assert cx.compare(flat, to="a")["b"].p is None


def test_direction_decides_what_is_better() -> None:
    def made(value: float, direction: Direction) -> Estimate:
        return Estimate(value=value, n=99, interval=Interval(value - 1, value + 1, 0.95, "x"), direction=direction)

    verdicts = {
        direction: cx.compare({"a": made(1, direction), "b": made(9, direction)}, to="a")["b"].verdict
        for direction in DIRECTIONS
    }
    assert verdicts == {"higher": "better", "lower": "worse", "none": "higher"}


def test_questions_of_two_kinds_or_scales_are_refused_with_both_names() -> None:
    def asked(second: cx.Question) -> Breakdown[str, Estimate]:
        rows = [{"visit": 4, "firm": 5}] * 20
        questions = {"visit": cx.Question(cx.Scale.csat()), "firm": second}
        return cx.read_responses(rows, questions=questions).measure(cx.metrics.MeanScore(), by="question")

    with pytest.raises(cx.errors.NotComparableError, match=r"'visit' is transactional and 'firm' is relational"):
        cx.compare(asked(cx.Question(cx.Scale.csat(), kind="relational")), to="visit")
    with pytest.raises(cx.errors.NotComparableError, match=r"'visit' is asked on .*'firm' on"):
        cx.compare(asked(cx.Question(cx.Scale.ces2())), to="rest")
    assert cx.compare(asked(cx.Question(cx.Scale.csat())), to="visit")["firm"].difference.value == 1


def test_what_cannot_be_meant_is_refused_in_words() -> None:
    found = nps_by_group({"a": (1, 2, 3), "rest": (1, 1, 1)})
    with pytest.raises(cx.errors.InvalidValueError, match="a group called 'rest'"):
        cx.compare(found, to="rest")
    with pytest.raises(cx.errors.UnknownNameError, match="b"):
        cx.compare(found, to="b")
    with pytest.raises(cx.errors.InvalidValueError, match="bonferroni"):
        cx.compare(found, to="a", correction="bonferroni")  # type: ignore[arg-type]


def test_a_table_goes_to_json_and_names_its_correction(tmp_path: Path) -> None:
    found = cx.compare(nps_by_group({"a": (9, 9, 9), "b": (9, 0, 9)}), to="a", correction=None)
    told = json.loads(json.dumps(found.to_dict()))
    assert told["correction"] is None
    assert told["rows"][0]["group"] == {"group": "b"}
    assert told["rows"][0]["difference"]["value"] == found["b"].difference.value
    assert "false alarms grow" in str(found)
    cx.export(found, tmp_path / "found.json")
    assert json.loads((tmp_path / "found.json").read_text())["results"][0]["result"] == told
