"""Experience over a journey against slow versions, laws and published values; surprises against plain loops."""

import json
import math
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.surprises import Surprises, leave_one_out, robust_scale
from cxmodel.metrics.experience import (
    ExperienceEnd,
    ExperienceIntegral,
    ExperienceMean,
    ExperienceMetric,
    ExperiencePeak,
    ExperienceTrough,
    ExtremePeak,
    MemoryDecay,
    PeakEnd,
)
from cxmodel.stats.comparisons import benjamini_hochberg

Build = Callable[..., cx.Journeys]
DAY = timedelta(days=1)
Journeys = list[list[int]]
JOURNEYS = st.lists(st.lists(st.integers(1, 5), max_size=6), min_size=1, max_size=5).filter(any)
EVERY = (ExperienceMean, ExperiencePeak, ExperienceTrough, ExperienceEnd, ExtremePeak, PeakEnd, MemoryDecay)


class Scored:
    """One customer per journey; its scores one step apart, and a last event without a score."""

    build: Build

    def __call__(self, journeys: Journeys, scale: cx.Scale | None = None, step: timedelta = DAY) -> cx.Journeys:
        seconds = step.total_seconds()
        rows: list[dict[str, Any]] = [
            {"who": f"c{c}", "what": f"t{i % 3}", "at": i * seconds, "score": score}
            for c, scores in enumerate(journeys)
            for i, score in enumerate(scores)
        ]
        rows += [{"who": f"c{c}", "what": "end", "at": 99 * seconds} for c in range(len(journeys))]
        return self.build(rows, scale=scale, blocks=2)


scored = Scored()


@pytest.fixture(scope="module", autouse=True)
def _builder(build: Build) -> None:
    scored.build = build


def value(journeys: cx.Journeys, metric: ExperienceMetric) -> float:
    return journeys.measure(metric).require()


def slow(metric: ExperienceMetric, v: list[int], c: float = 3.0) -> float:
    extreme = min(x for x in v if abs(x - c) == max(abs(y - c) for y in v))
    if isinstance(metric, PeakEnd):
        return metric.peak * extreme + metric.end * v[-1] + metric.mean * sum(v) / len(v)
    if isinstance(metric, MemoryDecay):
        assert isinstance(metric.half_life, float)
        kept = [2 ** (-(len(v) - 1 - i) / metric.half_life) for i in range(len(v))]
        return sum(k * x for k, x in zip(kept, v, strict=True)) / sum(kept)
    if isinstance(metric, ExperienceIntegral):
        return sum((a + b) / 2 - c for a, b in pairwise(v)) * 24
    table = {
        "experience_mean": sum(v) / len(v), "experience_peak": max(v), "experience_trough": min(v),
        "experience_end": v[-1], "extreme_peak": extreme,
    }  # fmt: skip
    return table[metric.name]


@given(JOURNEYS, st.sampled_from([*EVERY, ExperienceIntegral]))
def test_equals_the_slow_version(journeys: Journeys, kind: type[ExperienceMetric]) -> None:
    metric = kind(min_n=0)
    each = [slow(metric, scores) for scores in journeys if scores]
    found = scored(journeys).measure(metric)
    assert found.n == len(each)
    assert found.require() == pytest.approx(sum(each) / len(each))


@given(JOURNEYS, st.sampled_from(EVERY))
def test_stays_within_the_scores(journeys: Journeys, kind: type[ExperienceMetric]) -> None:
    given_ = [score for scores in journeys for score in scores]
    assert min(given_) - 1e-9 <= value(scored(journeys), kind(min_n=0)) <= max(given_) + 1e-9


@given(JOURNEYS, st.sampled_from(EVERY), st.integers(-3, 3), st.integers(1, 4))
def test_moves_with_the_scale(journeys: Journeys, kind: type[ExperienceMetric], a: int, b: int) -> None:
    moved = [[a + b * score for score in scores] for scores in journeys]
    own = scored(moved, cx.Scale.own(a + b, a + 5 * b))
    assert value(own, kind(min_n=0)) == pytest.approx(a + b * value(scored(journeys), kind(min_n=0)))


@given(JOURNEYS)
def test_a_scale_where_lower_is_better_is_the_mirror_image(journeys: Journeys) -> None:
    mirrored = scored([[6 - score for score in scores] for scores in journeys], cx.Scale.ces1())
    plain = scored(journeys)
    for kind in (ExperiencePeak, ExperienceTrough, ExtremePeak, PeakEnd):
        assert value(mirrored, kind(min_n=0)) == pytest.approx(6 - value(plain, kind(min_n=0)))


@given(JOURNEYS, st.integers(2, 4))
def test_repeating_every_score_leaves_peak_end_and_changes_the_integral(journeys: Journeys, k: int) -> None:
    longer = [[score for score in scores for _ in range(k)] for scores in journeys]
    assert value(scored(longer), PeakEnd(min_n=0)) == value(scored(journeys), PeakEnd(min_n=0))
    assert value(scored([[4, 4]]), ExperienceIntegral(min_n=0)) == 24
    assert value(scored([[4] * 2 * k]), ExperienceIntegral(min_n=0)) == 24 * (2 * k - 1)


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(1, 5))
def test_a_better_end_lowers_peak_end_only_by_a_new_peak(scores: list[int], end: int) -> None:
    better = max(end, scores[-1])
    before, after = scored([scores]), scored([[*scores, better]])
    same = value(before, ExtremePeak(min_n=0)) == value(after, ExtremePeak(min_n=0))
    assert not same or value(after, PeakEnd(min_n=0)) >= value(before, PeakEnd(min_n=0))


@given(JOURNEYS)
def test_a_long_memory_is_the_mean_and_a_short_one_the_end(journeys: Journeys) -> None:
    log = scored(journeys)
    assert value(log, MemoryDecay(min_n=0, half_life=1e9)) == pytest.approx(value(log, ExperienceMean(min_n=0)))
    assert value(log, MemoryDecay(min_n=0, half_life=1e-3)) == pytest.approx(value(log, ExperienceEnd(min_n=0)))
    assert value(log, MemoryDecay(min_n=0, half_life=DAY)) == pytest.approx(value(log, MemoryDecay(min_n=0)))


def test_answers_about_the_whole_journey_are_no_moments() -> None:
    log = scored([[5, 5]])
    whole = cx.read_responses([{"who": "c0", "score": 1}], customer="who", score="score", scale=cx.Scale.csat())
    assert value(log.with_responses(whole), ExperienceTrough(min_n=0, question="answer")) == 5


def test_without_a_score_there_is_no_value_and_few_are_suppressed() -> None:
    log = scored([[3]])
    assert log.measure(PeakEnd()).flags == ("suppressed",)
    other = cx.Goal("nowhere", touchpoints=["end"])
    empty = scored([[3], []]).where(passes=other).measure(PeakEnd(min_n=0), by=cx.by.touchpoint)
    assert all(each.value is not None for each in empty.values())
    with pytest.raises(cx.errors.NotMeasurableError, match="no answers"):
        cx.read_events([{"c": 1, "t": "a", "d": "2026-01-01"}], customer="c", touchpoint="t", time="d").measure(
            PeakEnd()
        )


def test_weights_of_peak_end_sum_to_one() -> None:
    with pytest.raises(cx.errors.InvalidValueError, match="sum to 1"):
        PeakEnd(peak=0.5, end=0.6)
    with pytest.raises(cx.errors.InvalidValueError, match="half_life is positive"):
        MemoryDecay(half_life=0.0)


def test_answer_weights_weigh_journeys() -> None:
    rows = [
        {"who": who, "what": "t", "at": "2026-01-01", "score": score, "w": w}
        for who, score, w in [("a", 5, 3.0), ("b", 1, 1.0)]
    ]
    answers = cx.read_responses(
        rows, customer="who", touchpoint="what", time="at", score="score", scale=cx.Scale.csat(), weight="w"
    )
    log = cx.read_events(rows, customer="who", touchpoint="what", time="at").with_responses(answers)
    assert value(log, ExperienceMean(min_n=0)) == 4.0


@pytest.fixture
def reference(open_data: Path) -> Any:
    return json.loads((open_data / "reference" / "time_continuity.json").read_text(encoding="utf-8"))


@pytest.mark.open_data
def test_peak_end_reference(reference: Any) -> None:
    case = reference["peak_end"]
    log = scored([case["values"]])
    expected: dict[type[ExperienceMetric], str] = {
        ExtremePeak: "peak_extreme", ExperienceEnd: "end", PeakEnd: "peak_end", ExperienceMean: "mean",
        ExperiencePeak: "peak_positive", ExperienceTrough: "trough", MemoryDecay: "recency_halflife_1step",
    }  # fmt: skip
    for kind, name in expected.items():
        assert value(log, kind(min_n=0)) == pytest.approx(case[name])
    # what one score of 1 among noughts leaves behind is the weight of its place
    places = [[int(i == k) for i in range(4)] for k in range(4)]
    kept = [value(scored([scores], cx.Scale.own(0, 1)), MemoryDecay(min_n=0)) for scores in places]
    assert kept == pytest.approx(case["recency_weights"])


@pytest.mark.open_data
def test_surprise_reference(reference: Any) -> None:
    case = reference["surprise"]
    x = np.array(case["x"])
    middle, spread, rule = robust_scale(x)
    assert leave_one_out(x) == pytest.approx(case["loo_mean_residual"])
    assert (x - middle) / spread == pytest.approx(case["fallback_z"])
    assert (middle, rule) == (case["median"], "mean absolute deviation")
    assert (case["mad"], case["robust_z"]) == (np.median(np.abs(x - middle)), None)
    assert spread == pytest.approx(case["meanAD"] * math.sqrt(math.pi / 2))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 5)), min_size=4, max_size=30))
def test_surprises_equal_plain_loops(answers: list[tuple[int, int, int]]) -> None:
    rows = [{"who": f"c{c}", "what": f"t{t}", "at": i, "score": s} for i, (c, t, s) in enumerate(answers)]
    log = scored.build(rows, blocks=3)
    table = log.measure(Surprises(min_n=2))
    assert table.answers == len(answers)
    for row in table.rows:
        here = [s for _, t, s in answers if f"t{t}" == row.touchpoint]
        rest = [s for _, t, s in answers if f"t{t}" != row.touchpoint]
        assert row.n == len(here)
        assert row.mean == pytest.approx(sum(here) / len(here))
        if not rest:
            assert (row.expected, row.p) == (None, None)
            continue
        expected = sum(rest) / len(rest)
        assert row.surprise == pytest.approx(sum(here) / len(here) - expected)
        influence = [
            sum(s - row.mean for d, t, s in answers if d == c and f"t{t}" == row.touchpoint) / len(here)
            - sum(s - expected for d, t, s in answers if d == c and f"t{t}" != row.touchpoint) / len(rest)
            for c in range(5)
        ]
        se = math.sqrt(sum(x * x for x in influence))
        if row.low is not None and row.high is not None:
            assert row.high - row.low == pytest.approx(2 * 1.959963984540054 * se, abs=1e-6)
        middle, spread, _ = robust_scale(np.array(here, float))
        far = [(s - middle) / spread for s in here] if spread else []
        assert row.delights == sum(z >= 2.5 for z in far)
        assert row.disappointments == sum(z <= -2.5 for z in far)


def test_surprises_name_the_touchpoint_that_differs() -> None:
    log = scored([[5, 2, 3], [5, 3, 2], [5, 2, 2], [4, 3, 3], [5, 2, 3], [5, 3, 2]] * 3)
    table = log.measure(Surprises())
    assert {row.touchpoint: row.verdict for row in table.rows}["t0"] == "delight"
    of_each = log.measure(Surprises(), by="touchpoint")
    assert of_each["t0"] == log.where(passes="t0").measure(Surprises())


@given(
    st.lists(st.tuples(st.integers(0, 4), st.integers(0, 2), st.integers(1, 5)), min_size=4, max_size=30),
    st.lists(st.sampled_from(["new", "loyal", None]), min_size=5, max_size=5).filter(any),
)
def test_surprises_by_segment_are_those_of_the_segment_alone(
    answers: list[tuple[int, int, int]], personas: list[str | None]
) -> None:
    rows = [
        {"who": f"c{c}", "what": f"t{t}", "at": i, "score": s, "persona": personas[c]}
        for i, (c, t, s) in enumerate(answers)
    ]
    log = scored.build(rows, blocks=3)
    table = log.measure(Surprises(min_n=2, segment="persona"))
    assert table.answers + table.without_segment == len(answers)
    tested = [row for row in table.rows if row.p is not None]
    adjusted: list[float] = (
        benjamini_hochberg([row.p for row in tested if row.p is not None]).tolist() if tested else []
    )
    assert [row.p_adjusted for row in tested] == pytest.approx(adjusted)
    for persona in {p for (c, _, _), p in zip(answers, (personas[c] for c, _, _ in answers), strict=True) if p}:
        alone = scored.build([row for row in rows if row["persona"] == persona], blocks=2).measure(Surprises(min_n=2))
        here = {row.touchpoint: row for row in table.rows if row.segment == persona}
        assert len(here) == len(alone.rows)
        for row in alone.rows:
            found = here[row.touchpoint].to_dict()
            for name in ("n", "mean", "expected", "value", "low", "high", "p", "spread", "delights", "disappointments"):
                wanted = row.to_dict()[name]
                assert found[name] == (wanted if wanted is None else pytest.approx(wanted, abs=1e-9)), name


def test_an_unknown_segment_is_refused() -> None:
    log = scored([[5, 2, 3]])
    with pytest.raises(cx.errors.NotMeasurableError, match="persona"):
        log.measure(Surprises(segment="persona"))
