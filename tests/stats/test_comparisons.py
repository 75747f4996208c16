"""Laws, oracles and reference values of comparisons."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2_contingency, false_discovery_control, ttest_ind_from_stats

from cxmodel.stats.comparisons import benjamini_hochberg, holm, mix_and_rate, two_proportions, welch
from cxmodel.stats.floats import Floats

P_VALUES = st.lists(st.floats(0, 1), min_size=1, max_size=12)
SHARES = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(lambda v: np.array(v) / sum(v))
RATES = st.lists(st.floats(-1, 1), min_size=4, max_size=4).map(np.array)
GROUP = st.tuples(st.floats(-5, 5), st.floats(0.1, 9), st.integers(2, 50))


def slow_holm(p: list[float]) -> list[float]:
    """Adjusted: the smallest level at which the step-down procedure rejects the hypothesis."""
    order = sorted(range(len(p)), key=lambda i: p[i])
    adjusted, highest = [0.0] * len(p), 0.0
    for step, index in enumerate(order):
        highest = max(highest, (len(p) - step) * p[index])
        adjusted[index] = min(1.0, highest)
    return adjusted


@given(P_VALUES)
def test_holm_equals_the_step_down_procedure(p: list[float]) -> None:
    assert holm(p) == pytest.approx(slow_holm(p))


@given(P_VALUES)
def test_benjamini_hochberg_equals_scipy(p: list[float]) -> None:
    assert benjamini_hochberg(p) == pytest.approx(false_discovery_control(p))


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
@given(p=P_VALUES, seed=st.integers(0, 99))
def test_adjustment_laws(adjust: Callable[[object], Floats], p: list[float], seed: int) -> None:
    values = np.array(p)
    adjusted = adjust(values)
    shuffle = np.random.default_rng(seed).permutation(values.size)
    assert np.all((adjusted >= values) & (adjusted <= 1))
    assert adjust(values[shuffle]) == pytest.approx(adjusted[shuffle])
    assert np.all(benjamini_hochberg(values) <= holm(values) + 1e-12)
    assert np.all(holm(values) <= np.minimum(1, values * values.size) + 1e-12)
    rows = adjust(np.stack([values, values[shuffle]]))
    assert rows[1] == pytest.approx(adjusted[shuffle])


@pytest.mark.parametrize("adjust", [holm, benjamini_hochberg])
def test_tests_not_made_do_not_count(adjust: Callable[[object], Floats]) -> None:
    nan = float("nan")
    with_gaps, without = adjust([0.03, nan, 0.01, nan]), adjust([0.03, 0.01])
    assert with_gaps == pytest.approx([without[0], nan, without[1], nan], nan_ok=True)
    assert np.isnan(adjust([nan, nan])).all()
    assert adjust(np.array([])).shape == (0,)
    with pytest.raises(ValueError, match="in one array"):
        adjust(0.03)


@given(GROUP, GROUP)
def test_welch_equals_scipy_and_is_signed(a: tuple[float, float, int], b: tuple[float, float, int]) -> None:
    test, back = welch(a, b), welch(b, a)
    oracle = ttest_ind_from_stats(b[0], np.sqrt(b[1]), b[2], a[0], np.sqrt(a[1]), a[2], equal_var=False)
    assert float(test.statistic) == pytest.approx(float(oracle.statistic), abs=1e-9)
    assert float(test.p) == pytest.approx(float(oracle.pvalue), abs=1e-9)
    assert (float(test.low), float(test.high)) == pytest.approx((-float(back.high), -float(back.low)))
    assert (test.low <= 0 <= test.high) == (test.p >= 0.05) or abs(float(test.p) - 0.05) < 1e-9


def test_welch_needs_two_observations_and_some_variance() -> None:
    test = welch((1.0, 0.5, [1, 5]), (2.0, [0.5, 0.5], [9, 5]))
    assert np.isnan(test.p).tolist() == [True, False]
    assert np.isnan(welch((1.0, 0.0, 5), (2.0, 0.0, 5)).p)


@given(st.integers(1, 60), st.integers(1, 60), st.floats(0, 1), st.floats(0, 1))
def test_two_proportions_equal_the_chi_square_test(n_a: int, n_b: int, share_a: float, share_b: float) -> None:
    k_a, k_b = round(share_a * n_a), round(share_b * n_b)
    test = two_proportions(k_a, n_a, k_b, n_b)
    assert float(test.value) == pytest.approx(k_b / n_b - k_a / n_a)
    assert test.low <= test.value <= test.high
    if 0 < k_a + k_b < n_a + n_b:
        oracle = chi2_contingency([[k_a, n_a - k_a], [k_b, n_b - k_b]], correction=False)
        assert float(test.statistic) ** 2 == pytest.approx(oracle.statistic, abs=1e-9)
        assert float(test.p) == pytest.approx(oracle.pvalue, abs=1e-9)
    else:
        assert np.isnan(test.p)


@given(SHARES, RATES, SHARES, RATES)
def test_mix_and_rate_sum_to_the_change(share_0: Floats, rate_0: Floats, share_1: Floats, rate_1: Floats) -> None:
    mix, rate = mix_and_rate(share_0, rate_0, share_1, rate_1)
    assert float((mix + rate).sum()) == pytest.approx(float(share_1 @ rate_1 - share_0 @ rate_0), abs=1e-12)
    back_mix, back_rate = mix_and_rate(share_1, rate_1, share_0, rate_0)
    assert back_mix == pytest.approx(-mix)
    assert back_rate == pytest.approx(-rate)
    assert mix_and_rate(share_0, rate_0, share_0, rate_1)[0] == pytest.approx(np.zeros(4))
    assert mix_and_rate(share_0, rate_0, share_1, rate_0)[1] == pytest.approx(np.zeros(4))


def test_a_new_group_is_mix_only() -> None:
    nan = float("nan")
    mix, rate = mix_and_rate([1.0, 0.0, 0.0], [0.2, nan, nan], [0.5, 0.5, 0.0], [0.2, 0.6, nan])
    assert mix == pytest.approx([-0.1, 0.3, 0.0])
    assert rate == pytest.approx([0.0, 0.0, 0.0])


@pytest.mark.open_data
def test_mix_and_rate_reference(open_data: Path) -> None:
    text = (open_data / "reference" / "nps_csat_ces.json").read_text(encoding="utf-8")
    case = json.loads(text)["kitagawa_mix_rate"]
    names = list(case["mix"])
    before, after = (
        np.array([case[period][name] for name in names]) for period in ("period0_share_nps", "period1_share_nps")
    )
    mix, rate = mix_and_rate(before[:, 0], before[:, 1], after[:, 0], after[:, 1])
    assert dict(zip(names, mix, strict=True)) == pytest.approx(case["mix"], abs=1e-12)
    assert dict(zip(names, rate, strict=True)) == pytest.approx(case["rate"], abs=1e-12)
    assert float((mix + rate).sum()) == pytest.approx(case["delta"], abs=1e-12)
