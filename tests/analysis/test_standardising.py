"""Like for like: plain sums over common strata, what standardising takes away, and what it leaves out."""

from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel import metrics
from cxmodel.exporters.json import dumps

Said = list[tuple[str, str, int]]
SAID = st.lists(
    st.tuples(st.sampled_from(["new", "old"]), st.sampled_from(["desk", "web", "call"]), st.integers(1, 5)),
    min_size=2, max_size=40,
)  # fmt: skip
BY = (cx.by.attribute("who"), cx.by.attribute("at"))


def table(said: Said, **more: Any) -> cx.Breakdown[tuple[str, str], cx.Estimate]:
    rows = [{"who": who, "at": at, "score": score} for who, at, score in said]
    survey = cx.read_responses(rows, score="score", scale=cx.Scale.csat(), attributes=["who", "at"])
    return survey.measure(metrics.MeanScore(min_n=0), by=BY, **more)


@given(SAID, st.sampled_from(["both", "first", "second"]))
def test_it_equals_plain_sums_over_common_strata(said: Said, standard: Any) -> None:
    said = [*said, ("new", "desk", 1), ("old", "desk", 5), ("new", "desk", 4), ("old", "desk", 2)]
    scores: dict[tuple[str, str], list[int]] = {}
    for who, at, score in said:
        scores.setdefault((who, at), []).append(score)
    common = sorted({at for who, at in scores if who == "new"} & {at for who, at in scores if who == "old"})
    found = cx.like_for_like(table(said), "new", "old", standard=standard)
    size = {
        at: sum(len(scores[who, at]) for who in ("new", "old") if standard in ("both", _place(who))) for at in common
    }
    expected = sum(
        size[at] / sum(size.values()) * (np.mean(scores["new", at]) - np.mean(scores["old", at])) for at in common
    )
    everything = [np.mean([score for each, _, score in said if each == who]) for who in ("new", "old")]
    assert found.difference.require() == pytest.approx(expected)
    assert found.raw.require() == pytest.approx(everything[0] - everything[1])
    assert found.raw.n == len(said)
    assert sorted(each.stratum for each in found.strata) == common
    assert sum(each.weight for each in found.strata) == pytest.approx(1)
    assert set(found.left_out) == {at for _, at, _ in said} - set(common)
    for who, share in zip(("new", "old"), found.left_out_share, strict=True):
        mine = [at for each, at, _ in said if each == who]
        assert share == pytest.approx(sum(at not in common for at in mine) / len(mine))
    other: Any = {"first": "second", "second": "first"}.get(standard, standard)
    back = cx.like_for_like(table(said), "old", "new", standard=other)
    assert back.difference.require() == pytest.approx(-expected)


def _place(who: str) -> str:
    return "first" if who == "new" else "second"


@given(SAID)
def test_one_stratum_is_the_raw_difference(said: Said) -> None:
    alike = [(who, "desk", score) for who, _, score in [*said, ("new", "", 2), ("old", "", 4)]]
    found = cx.like_for_like(table(alike), "new", "old")
    assert found.difference.require() == pytest.approx(found.raw.require())
    if found.difference.interval is not None and found.raw.interval is not None:
        assert found.difference.interval.low == pytest.approx(found.raw.interval.low)


def drawn(seed: int) -> cx.Breakdown[tuple[str, str], cx.Estimate]:
    """Customers with several answers; segments are treated alike, but meet other touchpoints."""
    draw = np.random.default_rng(seed)
    rows = []
    for i in range(240):
        who, own = ("new", "old")[i % 2], draw.normal(0, 0.5)
        for _ in range(draw.integers(1, 5)):
            at = "desk" if draw.random() < (0.8 if who == "new" else 0.3) else "web"
            score = np.clip(round((2.5 if at == "desk" else 3.5) + own + draw.normal(0, 0.6)), 1, 5)
            rows.append({"c": str(i), "who": who, "at": at, "score": float(score)})
    survey = cx.read_responses(
        rows, customer="c", score="score", scale=cx.Scale.own(1, 5), attributes=["who", "at"]
    )  # fmt: skip
    return survey.measure(metrics.MeanScore(min_n=0), by=BY)


def test_equal_treatment_is_found_as_often_as_the_level_says() -> None:
    found = [cx.like_for_like(drawn(seed), "new", "old") for seed in range(80)]
    held = [each.difference.interval is not None and 0 in each.difference.interval for each in found]
    assert 0.89 <= np.mean(held) <= 0.99
    told = [each.raw.interval is not None and 0 in each.raw.interval for each in found]
    assert np.mean(told) < 0.1  # the raw difference is one of touchpoints, not of treatment
    assert all((each.p or 1) < 0.05 for each, holds in zip(found, held, strict=True) if not holds)


def test_journeys_by_touchpoint_overlap_and_say_so() -> None:
    log = [
        {"who": f"c{i}", "what": what, "at": f"2026-01-01 10:0{j}", "kind": ("new", "old")[i % 2]}
        for i in range(80) for j, what in enumerate(("ad", "shop", "pay")[: 1 + i % 3])
    ]  # fmt: skip
    journeys = cx.read_events(log, customer="who", touchpoint="what", time="at", attributes=["kind"])
    goal = metrics.ConversionRate(goal=cx.Goal("sale", touchpoints=["pay"]))
    by = (cx.by.attribute("kind"), cx.by.touchpoint)
    found = cx.like_for_like(journeys.with_inactivity(timedelta(seconds=1)).measure(goal, by=by), "new", "old")
    assert "overlapping" in found.raw.flags
    assert '"segments"' in dumps(found)
    assert "like for like" in str(found)


def test_what_cannot_be_standardised_is_refused() -> None:
    said = [("new", "desk", 1), ("old", "web", 5), ("new", "desk", 2), ("old", "web", 4)]
    with pytest.raises(cx.errors.NoValueError, match="no stratum with a value in common"):
        cx.like_for_like(table(said), "new", "old")
    with pytest.raises(cx.errors.UnknownNameError, match="there is no segment 'young'"):
        cx.like_for_like(table(said), "young", "old")
    with pytest.raises(cx.errors.InvalidValueError, match="there is no standard 'all'"):
        cx.like_for_like(table(said), "new", "old", standard="all")  # type: ignore[arg-type]
    rows = [{"who": who, "score": score} for who, _, score in said]
    alone = cx.read_responses(rows, score="score", scale=cx.Scale.csat(), attributes=["who"])
    single: Any = alone.measure(metrics.MeanScore(min_n=0), by=BY[0])
    with pytest.raises(cx.errors.NotComparableError, match="there are no strata"):
        cx.like_for_like(single, "new", "old")
