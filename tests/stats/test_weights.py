"""Laws, slow definitions and reference values of the weighted statistics."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cxmodel.stats.weights import (
    cluster_variance,
    design_effect,
    effective_n,
    kish_n,
    mean_variance,
    ratio_mean,
    ratio_variance,
    unit_sums,
)

ANSWER = st.tuples(st.sampled_from([-1, 0, 1]), st.floats(0.1, 5), st.integers(0, 4))
SAMPLES = st.lists(ANSWER, min_size=2, max_size=25)
Sample = list[tuple[int, float, int]]


def columns(sample: Sample) -> list[Any]:
    return [np.array(column) for column in zip(*sample, strict=True)]


def slow_variance(sample: Sample, *, clustered: bool) -> float:
    total = sum(w for _, w, _ in sample)
    mean = sum(w * s for s, w, _ in sample) / total
    sums: dict[int, float] = {}
    for number, (s, w, cluster) in enumerate(sample):
        key = cluster if clustered else number
        sums[key] = sums.get(key, 0.0) + w * (s - mean)
    if len(sums) < 2:
        return math.nan
    return len(sums) / (len(sums) - 1) * sum(v * v for v in sums.values()) / total**2


@given(SAMPLES)
def test_variances_equal_their_definition(sample: Sample) -> None:
    values, weights, clusters = columns(sample)
    expected = slow_variance(sample, clustered=False)
    assert float(mean_variance(values, weights)) == pytest.approx(expected, abs=1e-12)
    expected = slow_variance(sample, clustered=True)
    assert float(cluster_variance(values, weights, clusters)) == pytest.approx(expected, abs=1e-12, nan_ok=True)


@given(SAMPLES, st.floats(0.01, 100))
def test_the_unit_of_the_weights_does_not_matter(sample: Sample, factor: float) -> None:
    values, weights, _ = columns(sample)
    scaled = weights * factor
    assert float(mean_variance(values, scaled)) == pytest.approx(float(mean_variance(values, weights)), abs=1e-9)
    assert float(kish_n(scaled)) == pytest.approx(float(kish_n(weights)))
    assert 1 - 1e-9 <= float(kish_n(weights)) <= len(sample) + 1e-9


@given(SAMPLES)
def test_equal_weights_give_the_plain_variance(sample: Sample) -> None:
    values = columns(sample)[0]
    ones = np.ones(values.size)
    assert float(mean_variance(values, ones)) == pytest.approx(values.var(ddof=1) / values.size, abs=1e-12)
    assert float(kish_n(ones)) == values.size


@given(SAMPLES, st.integers(0, 3))
def test_sums_of_parts_and_padding_give_the_same(sample: Sample, padding: int) -> None:
    values, weights, _ = columns(sample)
    whole = unit_sums(np.append(weights, [0.0] * padding), np.append(weights * values, [0.0] * padding))
    parts = [unit_sums(weights[part], (weights * values)[part]) for part in (slice(0, 1), slice(1, None))]
    for name in ["units", "b", "a", "bb", "ab", "aa"]:
        assert float(getattr(whole, name)) == pytest.approx(sum(float(getattr(part, name)) for part in parts))
    assert float(ratio_mean(whole)) == pytest.approx(np.average(values, weights=weights))


def test_many_groups_at_once_and_groups_too_small() -> None:
    rng = np.random.default_rng(2)
    weights, values = rng.uniform(0.5, 2, (7, 9)), rng.integers(-1, 2, (7, 9))
    weights[0], weights[1, 1:] = 0.0, 0.0
    found = ratio_variance(unit_sums(weights, weights * values))
    assert np.isnan(found[:2]).all()
    assert np.isnan(ratio_mean(unit_sums(weights, weights * values))[0])
    assert kish_n(weights)[0] == 0
    for row in range(2, 7):
        assert found[row] == pytest.approx(float(mean_variance(values[row], weights[row])))


@given(st.floats(0.1, 10), st.integers(1, 500), st.floats(0.01, 1))
def test_effective_n_gives_the_variance_back(deff: float, n: int, spread: float) -> None:
    variance = deff * spread / n
    found = design_effect(variance, spread, n)
    assert float(found) == pytest.approx(deff)
    assert spread / float(effective_n(n, found, n)) == pytest.approx(variance)


def test_answers_that_all_agree_fall_back() -> None:
    assert np.isnan(design_effect(0.0, 0.0, 12))
    assert effective_n(12, design_effect(0.0, [0.0, 0.5], 12), 7).tolist() == [7.0, 7.0]


@pytest.mark.open_data
def test_weighted_references(open_data: Path) -> None:
    text = (open_data / "reference" / "nps_csat_ces.json").read_text(encoding="utf-8")
    case = json.loads(text)["weighted"]
    values, weights = np.array(case["scores_pm1"]), np.array(case["weights"])
    variance = float(mean_variance(values, weights))
    assert float(ratio_mean(unit_sums(weights, weights * values))) == pytest.approx(case["nps_w"])
    assert variance == pytest.approx(case["var_linearised_HC1"], abs=1e-14)
    assert math.sqrt(variance) == pytest.approx(case["se"], abs=1e-14)
    assert float(kish_n(weights)) == pytest.approx(case["kish_neff"])
    clustered = float(cluster_variance(values, weights, case["clusters"]))
    assert clustered == pytest.approx(case["var_cluster_CR1"], abs=1e-14)
    assert clustered == pytest.approx(case["statsmodels_cluster_var"], abs=1e-14)
