"""Shares of R² against regressions one by one, by their axioms, and against published values."""

import csv
import json
from collections.abc import Callable, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxmodel.stats.drivers import (
    KANO,
    coefficients,
    contrast,
    correlation,
    covariance,
    dependent,
    explained,
    johnson_weights,
    kano_category,
    kano_counts,
    lmg,
    moments,
    sampled_lmg,
)
from cxmodel.stats.games import shapley_values

few = settings(max_examples=20)
Reference = Callable[[str], Any]


@pytest.fixture
def reference(open_data: Path) -> Reference:
    return lambda name: json.loads((open_data / "reference" / name).read_text(encoding="utf-8"))


def sample(seed: int, p: int, n: int = 60) -> np.ndarray:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, p)) @ rng.normal(size=(p, p)) + rng.normal(size=(n, p))
    return np.column_stack([x, x @ rng.normal(size=p) + rng.normal(size=n)])


def of(data: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
    return covariance(moments(data, np.ones(len(data)) if weight is None else weight))


def fitted(data: np.ndarray, columns: Sequence[int], weight: np.ndarray) -> tuple[float, np.ndarray]:
    """R² and coefficients by least squares on rows scaled by the root of their weight."""
    y = data[:, -1]
    design = np.column_stack([np.ones(len(data)), data[:, list(columns)]])
    root = np.sqrt(weight)
    beta = np.linalg.lstsq(design * root[:, None], y * root, rcond=None)[0]
    rest = weight @ (y - design @ beta) ** 2
    middle = weight @ y / weight.sum()
    return 1 - rest / (weight @ (y - middle) ** 2), beta[1:]


@few
@given(st.integers(0, 10**6), st.integers(1, 4))
def test_shares_are_the_mean_gain_over_all_orders(seed: int, p: int) -> None:
    data = sample(seed, p)
    weight = np.random.default_rng(seed).uniform(0.5, 2, len(data))
    cov = of(data, weight)
    sets = [[i for i in range(p) if mask >> i & 1] for mask in range(2**p)]
    r2 = {frozenset(each): fitted(data, each, weight)[0] for each in sets}
    assert explained(cov) == pytest.approx([r2[frozenset(each)] for each in sets])
    orders = list(permutations(range(p)))
    gains = [
        np.mean([r2[frozenset(o[: o.index(i) + 1])] - r2[frozenset(o[: o.index(i)])] for o in orders]) for i in range(p)
    ]
    assert lmg(cov) == pytest.approx(np.array(gains))
    assert coefficients(cov) == pytest.approx(fitted(data, range(p), weight)[1])


@few
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_shares_sum_to_r2_and_do_not_mind_scale_or_order(seed: int, p: int) -> None:
    data = sample(seed, p)
    cov, whole = of(data), explained(of(data))[-1]
    for shares in (lmg, johnson_weights):
        found = shares(cov)
        assert (found >= -1e-12).all()
        assert found.sum() == pytest.approx(whole)
        scaled = data * np.append(np.linspace(-3, 7, p) + 0.1, -2.0) + 5
        assert shares(of(scaled)) == pytest.approx(found)
        order = np.random.default_rng(seed).permutation(p)
        assert shares(of(data[:, np.append(order, p)])) == pytest.approx(found[order])
    drawn = sampled_lmg(cov, 400, seed)
    assert drawn.share.sum() == pytest.approx(whole)
    assert (np.abs(drawn.share - lmg(cov)) <= 5 * drawn.error + 1e-12).all()


def test_uncorrelated_variables_get_their_own_r2() -> None:
    cov = np.array([[1.0, 0, 0, 0.5], [0, 1, 0, -0.5], [0, 0, 1, 0.0], [0.5, -0.5, 0.0, 1]])
    for shares in (lmg, johnson_weights):
        assert shares(cov) == pytest.approx([0.25, 0.25, 0.0])
    assert correlation(cov)[:-1, -1] == pytest.approx([0.5, -0.5, 0.0])


def test_a_batch_is_one_after_the_other() -> None:
    batch = np.stack([of(sample(seed, 4)) for seed in range(7)])
    for shares in (lmg, johnson_weights, coefficients):
        assert shares(batch) == pytest.approx(np.stack([shares(each) for each in batch]))


def test_dependent_variables_are_named_and_have_no_weights() -> None:
    data = sample(3, 3)
    double = np.column_stack([data[:, :2], data[:, 0] - 2 * data[:, 1], np.ones(len(data)), data[:, -1]])
    cov = of(double)
    assert dependent(cov).tolist() == [2, 3]
    assert np.isnan(johnson_weights(cov)).all()
    assert np.isnan(coefficients(cov)).all()
    assert dependent(of(data)).size == 0
    assert lmg(cov).sum() == pytest.approx(explained(of(np.column_stack([data[:, :2], data[:, -1]])))[-1])


@pytest.mark.open_data
def test_published_shares(reference: Reference, open_data: Path) -> None:
    values = reference("key_drivers.json")["swiss"]
    with open(open_data / "reference/swiss.csv", encoding="utf-8") as lines:
        rows = list(csv.DictReader(lines))
    cov = of(np.array([[float(row[name]) for name in [*values["predictors"], "Fertility"]] for row in rows]))
    assert lmg(cov) == pytest.approx(values["lmg_published_relaimpo"], abs=1e-12)
    assert johnson_weights(cov) == pytest.approx(values["johnson_relative_weights"], abs=1e-13)
    assert explained(cov)[-1] == pytest.approx(values["r2"], abs=1e-13)
    assert explained(cov)[[1 << i for i in range(5)]] == pytest.approx(values["first"])
    assert explained(cov)[-1] - explained(cov)[[31 ^ 1 << i for i in range(5)]] == pytest.approx(values["last"])


@pytest.mark.open_data
def test_shares_of_published_submodels(reference: Reference) -> None:
    values = reference("key_drivers.json")["displayr"]
    worth = [values["R2"][",".join(str(i + 1) for i in range(3) if mask >> i & 1)] for mask in range(8)]
    assert shapley_values(worth) == pytest.approx(values["lmg"])
    assert shapley_values(worth).sum() == pytest.approx(values["sum"])


@pytest.mark.open_data
def test_penalty_and_reward(reference: Reference) -> None:
    for case in reference("key_drivers.json")["prca"]["example"]:
        found = contrast(case["penalty"], case["reward"])
        assert list(found) == pytest.approx([case[key] for key in ("RIC", "SGP", "DGP", "IA")], abs=1e-9)
    assert np.isnan(contrast(0.0, 0.0).ia)
    assert float(contrast(0.3, 0.4).ia) == 1.0


@pytest.mark.open_data
def test_kano_table(reference: Reference) -> None:
    values = reference("key_drivers.json")["kano"]
    words = ("like", "expect", "neutral", "tolerate", "dislike")
    table = values["table_functional_then_dysfunctional"]
    assert tuple("".join(table[a][b] for b in words) for a in words) == KANO
    pairs = {KANO[a][b]: (a, b) for a in range(5) for b in range(5)}
    answers = np.array([pairs[name] for name, count in values["counts"].items() for _ in range(count)]).T
    counts = kano_counts(*answers)
    assert counts == values["counts"]
    assert kano_category(counts) == values["category"]
    assert kano_category(dict.fromkeys("AOMIRQ", 0)) is None
