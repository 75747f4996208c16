"""Decompositions: sums that are exact, references, and intervals that cover."""

import json
import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate

answers = st.lists(st.tuples(st.sampled_from(["a", "b", "c", ""]), st.integers(0, 10), st.integers(1, 3)), min_size=1)


def survey(rows: list[tuple[str, int, int]]) -> cx.Responses:
    records = [{"group": group or None, "score": score, "weight": weight} for group, score, weight in rows]
    return cx.read_responses(records, score="score", scale=cx.Scale.nps(), attributes=["group"], weight="weight")


def by_group(rows: list[tuple[str, int, int]], min_n: int = 0) -> Breakdown[str, Estimate]:
    return survey(rows).measure(cx.metrics.Nps(min_n=min_n), by=cx.by.attribute("group"))


def csat(groups: Mapping[str, tuple[int, int]]) -> Breakdown[str, Estimate]:
    rows = [{"score": 5 if i < good else 1, "group": group} for group, (n, good) in groups.items() for i in range(n)]
    found = cx.read_responses(rows, score="score", scale=cx.Scale.csat(), attributes=["group"])
    return found.measure(cx.metrics.Csat(min_n=0), by=cx.by.attribute("group"))


@settings(max_examples=30)
@given(answers)
def test_contributions_sum_to_the_score_with_what_belongs_to_no_group(rows: list[tuple[str, int, int]]) -> None:
    parts = cx.contributions(by_group(rows))
    overall = survey(rows).measure(cx.metrics.Nps(min_n=0)).require()
    assert math.fsum(part.contribution.require() for part in parts.parts) == pytest.approx(overall, abs=1e-9)
    assert parts.score.require() == pytest.approx(overall, abs=1e-9)
    assert math.fsum(part.share for part in parts.parts) == pytest.approx(1)
    assert (sum(part.n for part in parts.parts), parts.left_out) == (len(rows), 0)
    assert any(part.group is None for part in parts.parts) == any(not group for group, _, _ in rows)


@settings(max_examples=15)
@given(answers, answers)
def test_mix_and_rate_sum_to_the_change_and_turn_round(
    before: list[tuple[str, int, int]], after: list[tuple[str, int, int]]
) -> None:
    there = cx.decompose(by_group(before), by_group(after), across=True)
    back = cx.decompose(by_group(after), by_group(before), across=True)
    change = survey(after).measure(cx.metrics.Nps(min_n=0)).require() - (
        survey(before).measure(cx.metrics.Nps(min_n=0)).require()
    )
    assert there.change.require() == pytest.approx(change, abs=1e-9)
    assert there.mix.require() + there.rate.require() == pytest.approx(change, abs=1e-9)
    for whole, part in ((there.mix, "mix"), (there.rate, "rate")):
        parts = math.fsum(getattr(each, part).require() for each in there.parts)
        assert parts == pytest.approx(whole.require(), abs=1e-9)
    assert back.mix.require() == pytest.approx(-there.mix.require(), abs=1e-9)
    assert back.rate.require() == pytest.approx(-there.rate.require(), abs=1e-9)


def test_the_worked_example_of_kitagawa() -> None:
    # rates .2 and .3 to .27 and .31, shares ½ and ½ to ¼ and ¾, by hand
    found = cx.decompose(csat({"x": (100, 20), "y": (100, 30)}), csat({"x": (100, 27), "y": (300, 93)}), across=True)
    assert found.change.require() == pytest.approx(0.30 - 0.25)
    assert found.mix.require() == pytest.approx(-0.25 * 0.235 + 0.25 * 0.305)
    assert found.rate.require() == pytest.approx(0.07 * 0.375 + 0.01 * 0.625)


def test_a_group_at_one_time_only_gives_mix_alone() -> None:
    found = cx.decompose(csat({"x": (50, 10)}), csat({"x": (50, 10), "new": (50, 40)}), across=True)
    new = next(part for part in found.parts if part.group == "new")
    assert (new.before, new.after, new.rate.require()) == (None, 0.8, 0)
    assert found.mix.require() == pytest.approx(found.change.require())


def test_suppressed_groups_are_left_out_of_both_sides_and_counted() -> None:
    few = [("a", 10, 1)] * 20 + [("b", 3, 1)] * 4
    many = [("a", 3, 1)] * 20 + [("b", 3, 1)] * 30
    parts = cx.contributions(by_group(few, min_n=10))
    assert ([part.group for part in parts.parts], parts.left_out, parts.score.value) == (["a"], 4, 100)
    change = cx.decompose(by_group(few, min_n=10), by_group(many, min_n=10), across=True)
    assert ([part.group for part in change.parts], change.left_out, change.change.value) == (["a"], 34, -200)


def test_intervals_of_mix_and_rate_cover() -> None:
    generator = np.random.Generator(np.random.PCG64(3))
    # shares .4 and .6 change places; both rates rise by .1
    truths, runs = (0.2 * (0.85 - 0.45), 0.1), 50
    hits = [0, 0]
    for _ in range(runs):
        sides = []
        for share, (x, y) in ((0.4, (0.8, 0.4)), (0.6, (0.9, 0.5))):
            n = int(generator.binomial(400, share))
            sides.append(
                csat({"x": (n, int(generator.binomial(n, x))), "y": (400 - n, int(generator.binomial(400 - n, y)))})
            )
        found = cx.decompose(*sides, across=True)
        for i, (part, truth) in enumerate(zip((found.mix, found.rate), truths, strict=True)):
            assert part.interval is not None
            hits[i] += truth in part.interval
    # 95 % nominal: below 42 of 50 with probability below 0.001
    assert min(hits) >= 42


def test_what_is_no_mean_or_overlaps_is_refused() -> None:
    rows = [{"who": i % 7, "at": f"2026-01-{1 + i % 28:02d}", "what": "ab"[i % 2]} for i in range(60)]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    with pytest.raises(cx.errors.NotComparableError, match="share nothing"):
        cx.contributions(journeys.measure(cx.metrics.Length(), by="touchpoint"))
    empty = by_group([("a", 3, 1)], min_n=10)
    with pytest.raises(cx.errors.NoValueError, match="no group has a value"):
        cx.contributions(empty)
    with pytest.raises(cx.errors.NoValueError, match="before"):
        cx.decompose(empty, empty)
    with pytest.raises(cx.errors.NotComparableError, match="csat by group"):
        cx.decompose(csat({"a": (9, 9)}), by_group([("a", 3, 1)]))
    made = Breakdown(by=("group",), metric="nps", groups={"a": Estimate(value=1.0, n=9)})
    with pytest.raises(cx.errors.NotComparableError, match="do not remember"):
        cx.contributions(made)


def test_other_populations_are_decomposed_only_where_that_is_meant() -> None:
    rows = [{"who": i, "at": f"2026-01-{1 + i % 28:02d}", "what": "a", "shop": "ns"[i % 3 > 0]} for i in range(60)]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at", attributes=["shop"])
    part, whole = (each.measure(cx.metrics.Length(), by=cx.by.attribute("shop"))
                   for each in (journeys.where(shop="n"), journeys))  # fmt: skip
    with pytest.raises(cx.errors.NotComparableError, match=r"shop is n[\s\S]*across=True"):
        cx.decompose(part, whole)
    assert cx.decompose(part, whole, across=True).change.value == pytest.approx(0)


def test_decompositions_go_to_json() -> None:
    found = by_group([("a", 3, 1), ("", 10, 2)])
    told = json.loads(
        json.dumps({"parts": cx.contributions(found).to_dict(), "of": cx.decompose(found, found).to_dict()})
    )
    assert [part["group"] for part in told["parts"]["parts"]] == [{"group": "a"}, {"group": None}]
    assert told["of"]["change"]["value"] == 0
