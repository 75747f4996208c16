"""Laws, slow definitions, exact coverage and published values of the trinomial functions."""

import itertools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq, minimize_scalar

from cxmodel.stats.intervals import z_value
from cxmodel.stats.trinomial import (
    adjusted_wald,
    difference,
    goodman,
    nonresponse_bounds,
    paired_difference,
    permutation_p_value,
    sample_size,
    score,
    trinomial_value,
    trinomial_variance,
    wald,
)

COUNTS = st.tuples(*[st.integers(0, 40)] * 3).filter(lambda c: sum(c) > 0)
FRACTIONS = st.tuples(*[st.just(0.0) | st.floats(0.01, 40)] * 3).filter(lambda c: sum(c) > 0)
TINY = st.tuples(*[st.just(0.0) | st.floats(1e-12, 1)] * 3).filter(lambda c: sum(c) > 0)
METHODS = [wald, adjusted_wald, score, goodman]
Method = Callable[..., Any]


def slow_score(counts: tuple[float, float, float], level: float) -> tuple[float, float]:
    """Solve the definition by brentq, with the restricted estimate found numerically."""
    d, p, q = counts
    n, z = sum(counts), z_value(level)
    theta = (q - d) / n

    def log_likelihood(x: float, delta: float) -> float:
        parts = [(d, x), (q, x + delta), (p, 1 - 2 * x - delta)]
        return sum(k * math.log(max(share, 1e-300)) for k, share in parts if k > 0)

    def excess(delta: float) -> float:
        low, high = max(0.0, -delta), (1 - delta) / 2
        x = minimize_scalar(
            lambda v: -log_likelihood(v, delta),
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-13},
        ).x
        best = max([low, high, float(x)], key=lambda v: log_likelihood(v, delta))
        return abs(q - d - n * delta) - z * math.sqrt(max(n * (2 * best + delta * (1 - delta)), 0.0))

    low = -1.0 if d == n else brentq(excess, -1.0, theta - 1e-9, xtol=1e-12)
    high = 1.0 if q == n else brentq(excess, theta + 1e-9, 1.0, xtol=1e-12)
    return low, high


@pytest.mark.parametrize(
    "counts",
    [
        (1, 2, 3),
        (0, 0, 10),
        (10, 0, 0),
        (0, 10, 0),
        (5, 0, 5),
        (1, 0, 0),
        (3, 7, 0),
        (0, 4, 9),
        (2.5, 1.25, 0.75),
    ],
)
@pytest.mark.parametrize("level", [0.8, 0.95])
def test_score_equals_its_definition(counts: tuple[float, float, float], level: float) -> None:
    assert score(counts, level) == pytest.approx(slow_score(counts, level), abs=1e-6)


@given(FRACTIONS, st.sampled_from([0.5, 0.9, 0.95, 0.999]))
def test_score_ends_solve_the_equation(counts: tuple[float, float, float], level: float) -> None:
    d, _, q = counts
    n, z = sum(counts), z_value(level)
    for delta in map(float, score(counts, level)):
        b, c = -d - q + (2 * n - q + d) * delta, -d * delta * (1 - delta)
        x = (math.sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        gap = (q - d - n * delta) ** 2 - z * z * n * (2 * x + delta * (1 - delta))
        assert abs(delta) == 1 or gap / n**2 == pytest.approx(0, abs=1e-11)


@pytest.mark.parametrize("method", METHODS)
@given(counts=st.one_of(COUNTS, FRACTIONS, TINY))
def test_intervals_stay_in_range_and_turn_round(method: Method, counts: tuple[float, float, float]) -> None:
    low, high = method(counts)
    mirrored_low, mirrored_high = method(counts[::-1])
    assert -1 <= low <= high <= 1
    assert (mirrored_low, mirrored_high) == pytest.approx((-high, -low), abs=1e-12)


@pytest.mark.parametrize("method", METHODS)
@given(counts=COUNTS)
def test_intervals_contain_the_value(method: Method, counts: tuple[int, int, int]) -> None:
    low, high = method(counts)
    if method is adjusted_wald and sum(counts) == 1:
        assert low < high  # the one case where it need not contain the value
    else:
        assert low - 1e-12 <= (counts[2] - counts[0]) / sum(counts) <= high + 1e-12


@given(COUNTS)
def test_score_contains_the_value_to_the_last_bit_and_turns_round_exactly(
    counts: tuple[int, int, int],
) -> None:
    low, high = score(counts)
    assert low <= trinomial_value(counts) <= high
    mirrored_low, mirrored_high = score(counts[::-1])
    assert (float(mirrored_low), float(mirrored_high)) == (-float(high), -float(low))


@given(FRACTIONS)
def test_score_narrows_with_tenfold_counts_and_a_lower_level(counts: tuple[float, float, float]) -> None:
    low, high = score(counts)
    more_low, more_high = score([10 * k for k in counts])
    sure_low, sure_high = score(counts, 0.8)
    assert more_high - more_low < high - low
    assert low <= sure_low <= sure_high <= high


@pytest.mark.parametrize("method", [*METHODS, trinomial_value, trinomial_variance])
def test_arrays_and_scalars_agree(method: Method) -> None:
    counts = np.array(list(itertools.product([0, 1, 7.5], repeat=3)))[1:]
    whole = np.array(method(counts.reshape(2, 13, 3)))
    single = np.array([method(row) for row in counts])
    assert np.moveaxis(whole.reshape(-1, 26), 0, -1) == pytest.approx(single.reshape(26, -1), abs=1e-12)


@pytest.mark.parametrize("method", [*METHODS, trinomial_value, trinomial_variance])
def test_no_answers_give_no_value(method: Method) -> None:
    assert np.isnan(method([0, 0, 0])).all()
    assert np.isnan(difference([0, 0, 0], [1, 2, 3]).p)
    assert np.isnan(difference([0, 0, 0], [1, 2, 3], adjusted=True).value)
    assert np.isnan(paired_difference(np.zeros((3, 3))).value)
    assert math.isnan(permutation_p_value([0, 0, 0], [1, 2, 3]))


def test_wrong_shapes_and_margins_are_refused() -> None:
    with pytest.raises(ValueError, match=r"last axis of length 3"):
        trinomial_value([1, 2])
    with pytest.raises(ValueError, match=r"above 0"):
        sample_size(0.0)


@given(COUNTS, COUNTS)
def test_value_and_variance_laws(a: tuple[int, int, int], b: tuple[int, int, int]) -> None:
    value_a, value_b = float(trinomial_value(a)), float(trinomial_value(b))
    merged = float(trinomial_value(np.add(a, b)))
    answers = np.repeat([-1.0, 0.0, 1.0], a)
    assert value_a == pytest.approx(answers.mean())
    assert float(trinomial_variance(a)) == pytest.approx(answers.var(), abs=1e-12)
    assert 0 <= float(trinomial_variance(a)) <= 1 - value_a**2 + 1e-12
    assert min(value_a, value_b) - 1e-12 <= merged <= max(value_a, value_b) + 1e-12
    assert merged == pytest.approx((sum(a) * value_a + sum(b) * value_b) / (sum(a) + sum(b)), abs=1e-12)


@pytest.mark.parametrize("adjusted", [False, True])
@given(a=COUNTS, b=COUNTS)
def test_difference_is_signed(adjusted: bool, a: tuple[int, int, int], b: tuple[int, int, int]) -> None:
    there, back = difference(a, b, adjusted=adjusted), difference(b, a, adjusted=adjusted)
    assert float(there.value) == -float(back.value)
    assert (float(there.low), float(there.high)) == (-float(back.high), -float(back.low))
    assert np.isnan(there.p) or 0 <= there.p <= 1


@given(COUNTS, COUNTS)
def test_difference_is_the_difference_of_values(a: tuple[int, int, int], b: tuple[int, int, int]) -> None:
    assert float(difference(a, b).value) == float(trinomial_value(b) - trinomial_value(a))


@given(COUNTS)
def test_people_who_answer_the_same_twice_do_not_differ(counts: tuple[int, int, int]) -> None:
    test = paired_difference(np.diag(counts))
    assert (float(test.value), float(test.se)) == (0.0, 0.0)
    assert np.isnan(test.z)


@given(st.tuples(*[st.integers(0, 3)] * 3), st.tuples(*[st.integers(0, 3)] * 3))
def test_permutation_p_value_equals_all_deals(a: tuple[int, int, int], b: tuple[int, int, int]) -> None:
    if not sum(a) or not sum(b) or sum(a) + sum(b) > 10:
        a, b = (1, 0, 2), (2, 1, 0)
    answers = np.repeat([-1, 0, 1], np.add(a, b))
    observed = abs(float(trinomial_value(b) - trinomial_value(a)))
    gaps = []
    for chosen in itertools.combinations(range(answers.size), sum(a)):
        first = answers[list(chosen)]
        gaps.append(abs((answers.sum() - first.sum()) / sum(b) - first.mean()))
    expected = np.mean(np.array(gaps) >= observed - 1e-12)
    assert permutation_p_value(a, b) == pytest.approx(expected, abs=1e-10)


@given(st.floats(-1, 1), st.floats(0, 1))
def test_nonresponse_bounds_contain_the_value_and_close_at_full_response(value: float, rate: float) -> None:
    low, high = nonresponse_bounds(value, rate)
    assert -1 - 1e-12 <= low <= value + 1e-12
    assert value - 1e-12 <= high <= 1 + 1e-12
    assert nonresponse_bounds(value, 1.0) == pytest.approx((value, value))


@given(st.floats(0.02, 0.5), st.floats(0.01, 1))
def test_sample_size_is_the_smallest_that_serves(margin: float, variance: float) -> None:
    n = float(sample_size(margin, variance))
    assert z_value(0.95) * math.sqrt(variance / n) <= margin * (1 + 1e-9)
    assert n <= 1 or z_value(0.95) * math.sqrt(variance / (n - 1)) > margin * (1 - 1e-9)


def all_samples(n: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    return np.array([(d, n - d - q, q) for d in range(n + 1) for q in range(n + 1 - d)])


@pytest.fixture
def reference(open_data: Path) -> dict[str, Any]:
    text = (open_data / "reference" / "nps_csat_ces.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


@pytest.mark.open_data
def test_one_sample_references(reference: dict[str, Any]) -> None:
    for case in reference["one_sample"]:
        counts = case["counts"]
        assert float(trinomial_value(counts)) == pytest.approx(case["nps"], abs=1e-12)
        assert float(trinomial_variance(counts)) == pytest.approx(case["var"], abs=1e-12)
        for method in METHODS:
            assert method(counts) == pytest.approx(case[method.__name__], abs=1e-9)


@pytest.mark.open_data
def test_survey_references(reference: dict[str, Any]) -> None:
    overall = reference["NPS_testdata"]["overall"]
    names = {"wald": wald, "adjusted_wald": adjusted_wald, "aw": adjusted_wald, "score": score}
    for case in [overall, *reference["NPS_testdata"]["by_region"].values()]:
        assert float(trinomial_value(case["counts"])) == pytest.approx(case["nps"], abs=1e-12)
        for name in names.keys() & case.keys():
            assert names[name](case["counts"]) == pytest.approx(case[name], abs=1e-9)


@pytest.mark.open_data
def test_two_sample_references(reference: dict[str, Any]) -> None:
    for case in reference["two_sample"]:
        for name, adjusted in [("wald", False), ("adjusted_wald", True)]:
            test, expected = difference(case["x"], case["y"], adjusted=adjusted), case[name]
            found = [float(v) for v in (test.value, test.se, test.z, test.p)]
            assert found == pytest.approx([expected[k] for k in ("delta", "se", "z", "p")], abs=1e-10)
            assert (test.low, test.high) == pytest.approx(expected["ci"], abs=1e-10)
        # The reference is a simulation.
        assert permutation_p_value(case["x"], case["y"]) == pytest.approx(case["permutation_p_mc"], abs=0.003)


@pytest.mark.open_data
def test_paired_reference(reference: dict[str, Any]) -> None:
    case = reference["paired"]
    table = np.array(case["table_rows_t1_cols_t2_DPQ"])
    test = paired_difference(table)
    found = [float(v) for v in (test.value, test.se, test.z, test.p)]
    assert found == pytest.approx([case[k] for k in ("delta", "se_ddof0", "z", "p")], abs=1e-10)
    unpaired = difference(table.sum(axis=1), table.sum(axis=0))
    assert float(unpaired.se) == pytest.approx(case["unpaired_se"], abs=1e-10)


@pytest.mark.open_data
def test_planning_references(reference: dict[str, Any]) -> None:
    for case in reference["sample_size"]:
        margin = case["moe_points"] / 100
        assert sample_size(margin, [1.0, 0.65]).tolist() == [case["n_var1"], case["n_var_065"]]
    case = reference["nonresponse_bounds"]
    bounds = nonresponse_bounds(case["nps_respondents"], case["response_rate"])
    assert bounds == pytest.approx(case["bounds"], abs=1e-12)


@pytest.mark.open_data
@pytest.mark.parametrize(
    ("name", "method"),
    [("wald", wald), ("aw_075_15_075", adjusted_wald), ("score", score), ("goodman", goodman)],
)
def test_exact_coverage_by_enumeration(reference: dict[str, Any], name: str, method: Method) -> None:
    cases = [case for case in reference["exact_coverage_95"] if case["method"] == name]
    assert {case["n"] for case in cases} == {5, 10, 30, 50}
    for case in cases:
        samples = all_samples(case["n"])
        log_factorial = np.array([math.lgamma(k + 1) for k in range(case["n"] + 1)])
        logs = log_factorial[-1] - log_factorial[samples].sum(axis=1) + samples @ np.log(case["p"])
        low, high = method(samples)
        truth = case["p"][2] - case["p"][0]
        covered = (low <= truth) & (truth <= high)
        assert float(np.exp(logs) @ covered) == pytest.approx(case["coverage"], abs=1e-9)
        assert float(np.exp(logs) @ (high - low)) == pytest.approx(case["mean_width"], abs=1e-9)
