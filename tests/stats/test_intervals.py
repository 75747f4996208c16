"""Laws, oracles and published values of the interval functions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, norm, t

from cxmodel.stats.intervals import (
    clopper_pearson,
    jackknife_se,
    mover_difference,
    newcombe_difference,
    normal_interval,
    percentile_interval,
    t_interval,
    wilson,
    z_value,
)

Method = Callable[..., Any]
LEVELS = st.sampled_from([0.5, 0.8, 0.9, 0.95, 0.99])
TRIALS = st.integers(1, 200).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
TRIPLES = st.tuples(*[st.floats(-1, 1)] * 3).map(sorted)


@given(LEVELS)
def test_z_value_is_the_normal_quantile(level: float) -> None:
    assert z_value(level) == pytest.approx(norm.ppf((1 + level) / 2), abs=1e-12)


@pytest.mark.parametrize("level", [0.0, 1.0, 95.0, -0.1, float("nan")])
def test_a_level_outside_0_to_1_is_refused(level: float) -> None:
    with pytest.raises(ValueError, match=r"Write 0\.95 for 95 %"):
        z_value(level)
    with pytest.raises(ValueError, match=r"between 0 and 1"):
        percentile_interval([1.0, 2.0], level)


@given(TRIALS, LEVELS)
def test_wilson_equals_scipy(trial: tuple[int, int], level: float) -> None:
    k, n = trial
    expected = binomtest(k, n).proportion_ci(level, method="wilson")
    assert wilson(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(TRIALS, LEVELS)
def test_clopper_pearson_equals_scipy(trial: tuple[int, int], level: float) -> None:
    k, n = trial
    expected = binomtest(k, n).proportion_ci(level, method="exact")
    assert clopper_pearson(k, n, level) == pytest.approx((expected.low, expected.high), abs=1e-9)


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
@given(trial=TRIALS, level=LEVELS)
def test_proportion_intervals_obey_the_laws(method: Method, trial: tuple[int, int], level: float) -> None:
    k, n = trial
    low, high = method(k, n, level)
    mirrored_low, mirrored_high = method(n - k, n, level)
    wide_low, wide_high = method(10 * k, 10 * n, level)
    assert 0 <= low <= k / n <= high <= 1
    assert (mirrored_low, mirrored_high) == pytest.approx((1 - high, 1 - low), abs=1e-9)
    assert wide_high - wide_low < high - low


@pytest.mark.parametrize("method", [wilson, clopper_pearson])
def test_proportion_intervals_take_arrays_fractions_and_nothing(method: Method) -> None:
    successes, n = np.array([[0.0, 3.0], [0.0, 2.5]]), np.array([[0.0, 3.0], [4.0, 7.25]])
    low, high = method(successes, n)
    assert low.shape == high.shape == (2, 2)
    assert np.isnan([low[0, 0], high[0, 0]]).all()
    for index in [(0, 1), (1, 0), (1, 1)]:
        assert (low[index], high[index]) == method(successes[index], n[index])
    assert high[0, 1] == 1.0
    assert low[1, 0] == 0.0


def test_t_interval_is_students_and_needs_a_degree_of_freedom() -> None:
    low, high = t_interval([4.8, 4.8], [0.6, 0.6], [9, 0], 0.9)
    assert (low[0], high[0]) == pytest.approx(t.interval(0.9, 9, loc=4.8, scale=0.6))
    assert np.isnan([low[1], high[1]]).all()


@given(st.floats(-1, 1), st.floats(0, 5), LEVELS)
def test_normal_interval_is_clipped_and_contains_the_value(value: float, se: float, level: float) -> None:
    low, high = normal_interval(value, se, level, -1.0, 1.0)
    assert -1 <= low <= value <= high <= 1
    free_low, free_high = normal_interval(value, se, level)
    assert (free_low, free_high) == pytest.approx(norm.interval(level, value, max(se, 1e-300)), abs=1e-9)


@given(TRIPLES, TRIPLES)
def test_mover_turns_round_and_contains_the_difference(a: list[float], b: list[float]) -> None:
    low, high = mover_difference(a[1], a[0], a[2], b[1], b[0], b[2])
    back_low, back_high = mover_difference(b[1], b[0], b[2], a[1], a[0], a[2])
    assert low <= a[1] - b[1] <= high
    assert (back_low, back_high) == pytest.approx((-high, -low), abs=1e-12)
    assert high - low <= (a[2] - a[0]) + (b[2] - b[0]) + 1e-12


@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 1), st.floats(0, 1))
def test_mover_of_symmetric_intervals_adds_the_squares(a: float, b: float, half_a: float, half_b: float) -> None:
    low, high = mover_difference(a, a - half_a, a + half_a, b, b - half_b, b + half_b)
    assert (high - low) / 2 == pytest.approx(np.hypot(half_a, half_b), abs=1e-12)


@pytest.mark.parametrize(
    ("counts", "expected"),
    # Newcombe 1998, table II, method 10.
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((10, 10, 0, 10), (0.6075, 1.0)),
    ],
)
def test_newcombe_published_examples(counts: tuple[int, int, int, int], expected: tuple[float, float]) -> None:
    assert newcombe_difference(*counts) == pytest.approx(expected, abs=5.1e-5)


def test_newcombe_of_an_empty_group_is_undefined() -> None:
    assert np.isnan(newcombe_difference(0, 0, 3, 5)).all()


@given(
    st.lists(st.one_of(st.floats(-5, 5), st.just(float("nan"))), min_size=1, max_size=30),
    LEVELS,
)
def test_percentile_interval_equals_the_sample_quantiles(values: list[float], level: float) -> None:
    low, high = percentile_interval([values, values], level)
    defined = np.array(values)[~np.isnan(values)]
    if defined.size == 0:
        assert np.isnan([low, high]).all()
        return
    expected = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    assert np.stack([low, high], axis=-1) == pytest.approx(np.stack([expected, expected]), abs=1e-9)


def test_percentile_interval_of_no_replicates_is_undefined() -> None:
    low, high = percentile_interval(np.empty((3, 0)))
    assert low.shape == (3,)
    assert np.isnan([low, high]).all()


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=40))
def test_jackknife_of_a_mean_is_its_standard_error(sample: list[float]) -> None:
    x = np.array(sample)
    left_out = (x.sum() - x) / (x.size - 1)
    expected = x.std(ddof=1) / np.sqrt(x.size)
    assert float(jackknife_se(left_out)) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert float(jackknife_se(left_out, x.mean())) == pytest.approx(expected, rel=1e-6, abs=1e-9)


def test_jackknife_keeps_leading_axes_and_needs_two_groups() -> None:
    replicates = np.random.default_rng(1).normal(size=(4, 3, 20))
    assert jackknife_se(replicates).shape == (4, 3)
    assert jackknife_se(replicates)[2, 1] == pytest.approx(float(jackknife_se(replicates[2, 1])))
    assert np.isnan(jackknife_se(np.ones((4, 1)))).all()


@pytest.mark.open_data
def test_wilson_reference_cases(open_data: Path) -> None:
    reference = json.loads((open_data / "reference" / "nps_csat_ces.json").read_text(encoding="utf-8"))
    for case in reference["csat_wilson"]["cases"]:
        assert wilson(case["k"], case["n"]) == pytest.approx(case["wilson"], abs=1e-12)
