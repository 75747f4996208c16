"""Fitted weights of peak and end: against scipy, against a known truth, and under changes that must not matter."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import nnls

import cxmodel as cx
from cxmodel.analysis.peak_end_fit import PARTS, PeakEndFit, PeakEndWeights
from cxmodel.data.populations import MemoryPopulation
from cxmodel.stats.arrays import mix
from cxmodel.stats.nonnegative import nonnegative_fit, squared_error

WHOLE = cx.Scale.own(-100, 100)


def asked(
    moments: list[list[float]],
    wholes: list[float],
    scale: cx.Scale | None = None,
    whole: cx.Scale = WHOLE,
    when: list[str] | None = None,
) -> cx.Journeys:
    """One customer per journey; its moments a day apart, then the score of the whole."""
    rows = [
        {"who": f"c{c}", "what": f"t{i}", "at": f"2026-01-{i + 1:02d}", "moment": score}
        for c, scores in enumerate(moments)
        for i, score in enumerate(scores)
    ]
    last = [
        {"who": f"c{c}", "at": when[c] if when else "2026-02-01", "overall": score} for c, score in enumerate(wholes)
    ]
    about: dict[str, Any] = {"customer": "who", "time": "at"}
    first = cx.read_responses(
        rows, touchpoint="what", questions={"moment": cx.Question(scale or cx.Scale.csat())}, **about
    )
    second = cx.read_responses(last, questions={"overall": cx.Question(whole, kind="relational")}, **about)
    return cx.read_events(rows, touchpoint="what", **about).with_responses(first).with_responses(second)


def parts(scores: list[float], neutral: float = 3.0) -> list[float]:
    extreme = min(scores, key=lambda score: (-abs(score - neutral), score))
    return [float(np.mean(scores)), extreme, scores[-1], min(scores)]


def drawn(n: int, weights: list[float], noise: float, seed: int = 1) -> tuple[list[list[float]], list[float]]:
    generator = np.random.default_rng(seed)
    moments = [generator.integers(1, 6, generator.integers(2, 7)).astype(float).tolist() for _ in range(n)]
    wholes = [float(np.dot(weights, parts(scores)) + generator.normal(0, noise)) for scores in moments]
    return moments, wholes


def weights_of(fit: PeakEndFit) -> dict[str, float]:
    return {part: each.require() for part, each in fit.weights.items()}


@given(st.integers(0, 10_000), st.integers(1, 4))
def test_the_fit_is_that_of_scipy(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(12, count)) + 3
    y = x @ generator.normal(size=count) + generator.normal(size=12)
    rows = np.column_stack([np.ones(12), x, y])
    fit = nonnegative_fit(rows.T @ rows, list(range(1, count + 1)), count + 1)
    expected, residual = nnls(x - x.mean(axis=0), y - y.mean())
    assert fit[1:] == pytest.approx(expected, abs=1e-6)
    error = squared_error(rows.T @ rows, fit, list(range(1, count + 1)), count + 1)
    assert float(error) == pytest.approx(residual**2, rel=1e-6, abs=1e-9)


def test_known_weights_are_recovered() -> None:
    fit = asked(*drawn(600, [0.2, 0.3, 0.5, 0.0], 0.3)).measure(PeakEndWeights())
    for part, truth in {"mean": 0.2, "peak": 0.3, "end": 0.5}.items():
        interval = fit.weights[part].interval
        assert interval is not None
        assert truth in interval
        assert interval.high - interval.low < 0.15
    assert fit.slope.require() == pytest.approx(1, abs=0.05)
    assert fit.verdict == "better than the mean"
    assert fit.n == fit.customers == 600


def test_where_the_mean_is_the_truth_the_others_add_nothing() -> None:
    fit = asked(*drawn(200, [1.0, 0.0, 0.0, 0.0], 1.0)).measure(PeakEndWeights(parts=PARTS))
    assert fit.verdict == "not told apart"
    assert fit.weights["mean"].require() > 0.7


@settings(max_examples=5)
@given(st.integers(0, 100), st.sampled_from([-2.0, 0.5, 3.0]), st.sampled_from([0.5, 2.0]))
def test_weights_are_shares_and_do_not_mind_the_scale(seed: int, a: float, b: float) -> None:
    moments, wholes = drawn(40, [0.1, 0.5, 0.4, 0.0], 1.0, seed)
    plain = asked(moments, wholes).measure(PeakEndWeights(parts=PARTS), bootstrap=20)
    found = weights_of(plain)
    assert min(found.values()) >= 0
    assert sum(found.values()) == pytest.approx(1)
    moved = [[a + b * score for score in scores] for scores in moments]
    other = asked(moved, [7 - 3 * score for score in wholes], cx.Scale.own(a + b, a + 5 * b),
                  cx.Scale.own(-100, 100, direction="lower"))  # fmt: skip
    again = other.measure(PeakEndWeights(parts=PARTS), bootstrap=20)
    assert weights_of(again) == pytest.approx(found, abs=1e-6)
    assert again.slope.require() == pytest.approx(plain.slope.require() * 3 / b)
    assert again.r2.require() == pytest.approx(plain.r2.require())


def test_out_of_sample_r2_equals_plain_loops() -> None:
    moments, wholes = drawn(60, [0.2, 0.3, 0.5, 0.0], 0.8)
    log = asked(moments, wholes)
    found = log.measure(PeakEndWeights(folds=3), bootstrap=10, seed=4)
    population = log.population
    assert isinstance(population, MemoryPopulation)
    block = population.parts[0]
    assert block.answers is not None
    bucket = mix(block.customer_key, 4) % np.uint64(1024)
    owners = block.customer_rows("response", np.arange(block.answers.size)).tolist()
    of_score = dict(zip(block.answers.score.tolist(), owners, strict=True))
    x = np.array([parts(scores)[:3] for scores in moments])
    y = np.array(wholes)
    of = np.array([int(bucket[of_score[score]]) % 3 for score in wholes])
    error = spread = 0.0
    for k in range(3):
        out, train = of == k, of != k
        beta, _ = nnls(x[train] - x[train].mean(axis=0), y[train] - y[train].mean())
        foretold = y[train].mean() + (x[out] - x[train].mean(axis=0)) @ beta
        error += ((y[out] - foretold) ** 2).sum()
        spread += ((y[out] - y[train].mean()) ** 2).sum()
    assert found.r2.require() == pytest.approx(1 - error / spread)


def test_a_customer_remembers_all_journeys() -> None:
    moments, wholes = drawn(60, [0.2, 0.3, 0.5, 0.0], 0.3)
    log = asked(moments, wholes)
    assert (
        log.measure(PeakEndWeights(per="customer"), bootstrap=10).to_dict()["estimates"]
        == (log.measure(PeakEndWeights(), bootstrap=10).to_dict()["estimates"])
    )


def test_moments_after_the_whole_was_scored_are_not_remembered() -> None:
    moments, wholes = drawn(40, [0.2, 0.3, 0.5, 0.0], 0.3)
    rows = [[*scores, float(1 + c % 5)] for c, scores in enumerate(moments)]
    early = asked(rows, wholes, when=[f"2026-01-{len(scores):02d}T12:00" for scores in moments])
    assert weights_of(early.measure(PeakEndWeights())) == weights_of(asked(moments, wholes).measure(PeakEndWeights()))


def test_edges() -> None:
    few = asked(*drawn(12, [0.2, 0.3, 0.5, 0.0], 0.3)).measure(PeakEndWeights())
    assert (few.n, few.verdict, few.r2.flags) == (12, "no value", ("suppressed",))
    single = asked([[float(1 + c % 5)] for c in range(40)], [float(c % 5) for c in range(40)])
    assert "not_identifiable" in single.measure(PeakEndWeights()).weights["mean"].flags
    flat = asked([[1.0, float(1 + c % 5)] for c in range(40)], [3.0] * 40).measure(PeakEndWeights())
    assert flat.weights["mean"].value is None
    assert flat.r2.value is None
    with pytest.raises(cx.errors.InvalidValueError, match="two or more different"):
        PeakEndWeights(parts=["end"])
    with pytest.raises(cx.errors.InvalidValueError, match="beginning"):
        PeakEndWeights(parts=["beginning", "end"])
