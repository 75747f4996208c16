"""Laws, scipy as oracle, slow definitions and published values of the survival functions."""

import json
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf, logrank

from cxmodel.stats.survival import (
    RiskTable,
    aalen_johansen,
    common_tables,
    greenwood_se,
    kaplan_meier,
    log_rank,
    quantile_time,
    risk_table,
    survival_interval,
)

Observation = tuple[int, int]
OBSERVATIONS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2)), min_size=1, max_size=30)


def table_of(observations: list[Observation], **options: Any) -> RiskTable:
    times, causes = zip(*observations, strict=True)
    return risk_table(times, causes, n_causes=2, **options)


def censored(observations: list[Observation]) -> CensoredData:
    return CensoredData(
        uncensored=[t for t, cause in observations if cause],
        right=[t for t, cause in observations if not cause],
    )


@settings(deadline=None)
@given(OBSERVATIONS)
def test_kaplan_meier_equals_scipy(observations: list[Observation]) -> None:
    table = table_of(observations)
    events = table.events.sum(axis=0)
    oracle = ecdf(censored(observations)).sf
    found = kaplan_meier(table.at_risk, events)
    assert found == pytest.approx(oracle.evaluate(table.times))
    with warnings.catch_warnings():
        # scipy says aloud where this interval does not exist; those places are not compared.
        warnings.simplefilter("ignore", RuntimeWarning)
        interval: Any = oracle.confidence_interval(0.9, method="log-log")
    low, high = survival_interval(table.at_risk, events, 0.9)
    inside = (found > 1e-9) & (found < 1)
    assert low[inside] == pytest.approx(interval.low.evaluate(table.times)[inside])
    assert high[inside] == pytest.approx(interval.high.evaluate(table.times)[inside])
    assert np.all((low <= found) | ~inside)
    assert np.all((found <= high) | ~inside)


@given(OBSERVATIONS)
def test_competing_shares_and_survivors_sum_to_one(observations: list[Observation]) -> None:
    table = table_of(observations)
    shares, without = aalen_johansen(table.at_risk, table.events)
    assert shares.sum(axis=0) + without == pytest.approx(np.ones(table.times.size))
    assert np.all(np.diff(shares, axis=-1) >= 0)
    for cause in range(2):
        naive = 1 - kaplan_meier(table.at_risk, table.events[cause])
        assert np.all(naive >= shares[cause] - 1e-12)


@given(OBSERVATIONS)
def test_without_censoring_the_shares_are_counts(observations: list[Observation]) -> None:
    complete = [(t, max(cause, 1)) for t, cause in observations]
    table = table_of(complete)
    shares, _ = aalen_johansen(table.at_risk, table.events)
    for cause in range(2):
        expected = [np.mean([t <= time and c == cause + 1 for t, c in complete]) for time in table.times]
        assert shares[cause] == pytest.approx(expected)


@given(OBSERVATIONS, st.data())
def test_weights_are_repeated_observations(observations: list[Observation], data: st.DataObject) -> None:
    counts = data.draw(st.lists(st.integers(1, 3), min_size=len(observations), max_size=len(observations)))
    repeated = [row for row, count in zip(observations, counts, strict=True) for _ in range(count)]
    weighted, plain = table_of(observations, weights=counts), table_of(repeated)
    assert weighted.times.tolist() == plain.times.tolist()
    assert weighted.at_risk.tolist() == plain.at_risk.tolist()
    assert weighted.events.tolist() == plain.events.tolist()


@given(OBSERVATIONS, st.data())
def test_late_entry_counts_only_those_under_observation(observations: list[Observation], data: st.DataObject) -> None:
    entries = [data.draw(st.integers(0, t)) for t, _ in observations]
    table = table_of(observations, entries=entries)
    for time, found in zip(table.times, table.at_risk, strict=True):
        expected = sum(begin < time <= t for begin, (t, _) in zip(entries, observations, strict=True))
        assert found == expected


def test_an_observation_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(ValueError, match=r"got 3\.0 before 4\.0"):
        risk_table([5.0, 3.0], [1, 1], entries=[0.0, 4.0])


@given(OBSERVATIONS)
def test_leading_axes_hold_replicates(observations: list[Observation]) -> None:
    table = table_of(observations)
    rng = np.random.default_rng(len(observations))
    weights = rng.integers(0, 3, (4, len(observations)))
    tables = [table_of(observations, weights=row) for row in weights]
    at_risk, events = np.stack([t.at_risk for t in tables]), np.stack([t.events for t in tables])
    shares, without = aalen_johansen(at_risk, events)
    medians = quantile_time(table.times, without)
    for row, one in enumerate(tables):
        one_shares, one_without = aalen_johansen(one.at_risk, one.events)
        assert shares[row] == pytest.approx(one_shares)
        assert medians[row] == pytest.approx(float(quantile_time(one.times, one_without)), nan_ok=True)


@given(OBSERVATIONS)
def test_median_without_censoring_is_the_middle_observation(observations: list[Observation]) -> None:
    times = sorted(t for t, _ in observations)
    table = risk_table(times, [1] * len(times))
    median = float(quantile_time(table.times, kaplan_meier(table.at_risk, table.events[0])))
    assert median == times[(len(times) + 1) // 2 - 1]
    untouched = risk_table(times, [0] * len(times))
    assert np.isnan(quantile_time(untouched.times, kaplan_meier(untouched.at_risk, untouched.events[0])))


@settings(deadline=None)
@given(OBSERVATIONS, OBSERVATIONS)
def test_log_rank_equals_scipy(first: list[Observation], second: list[Observation]) -> None:
    _, at_risk, events = common_tables([table_of(first), table_of(second)])
    test = log_rank(at_risk, events.sum(axis=1))
    assert test.observed.sum() == pytest.approx(test.expected.sum())
    if test.df == 0:
        assert np.isnan(test.p)
        return
    oracle = logrank(censored(first), censored(second))
    assert test.statistic == pytest.approx(float(oracle.statistic) ** 2, abs=1e-9)
    assert test.p == pytest.approx(float(oracle.pvalue), abs=1e-9)
    assert log_rank(at_risk[::-1], events.sum(axis=1)[::-1]).statistic == pytest.approx(test.statistic, abs=1e-9)


def test_log_rank_of_three_groups_and_an_empty_one() -> None:
    # Groups 2 and 3 together behave as the second of two groups if they are equal.
    rows = [(1, 1), (2, 1), (4, 0), (5, 1)]
    _, at_risk, events = common_tables([table_of(rows), table_of([(3, 1), (6, 1)]), table_of([(3, 1), (6, 1)])])
    test = log_rank(at_risk, events[:, 0])
    assert test.df == 2
    padded = log_rank(np.vstack([at_risk, 0 * at_risk[:1]]), np.vstack([events[:, 0], 0 * events[:1, 0]]))
    assert [padded.df, padded.statistic] == pytest.approx([2, test.statistic])


@pytest.fixture
def reference(open_data: Path) -> dict[str, Any]:
    text = (open_data / "reference" / "time_continuity.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


@pytest.mark.open_data
def test_remission_times(reference: dict[str, Any]) -> None:
    case = reference["freireich_6mp"]
    treated = risk_table(case["time_6mp"], case["event_6mp"])
    placebo = risk_table(case["time_placebo"], [1] * len(case["time_placebo"]))
    survival = kaplan_meier(treated.at_risk, treated.events[0])
    errors = greenwood_se(treated.at_risk, treated.events[0])
    for row in case["km"]:
        at = int(np.searchsorted(treated.times, row["t"]))
        found = [treated.at_risk[at], treated.events[0, at], survival[at], errors[at]]
        assert found == pytest.approx([row[k] for k in ("at_risk", "events", "S", "greenwood_se")])
    assert float(quantile_time(treated.times, survival)) == case["median"]
    _, at_risk, events = common_tables([treated, placebo])
    test = log_rank(at_risk, events[:, 0])
    assert [test.statistic, test.p] == pytest.approx([case["logrank_chi2"], case["p"]])


@pytest.mark.open_data
def test_competing_risks(reference: dict[str, Any]) -> None:
    case = reference["competing_risks"]
    table = risk_table(case["T"], case["E"])
    shares, without = aalen_johansen(table.at_risk, table.events)
    for cause, name in enumerate(["cif_converted", "cif_dropped"]):
        for time, exact, _ in case[name]:
            at = int(np.searchsorted(table.times, time))
            assert shares[cause, at] == pytest.approx(float(Fraction(exact)))
    for time, exact in case["overall_survival"]:
        assert without[np.searchsorted(table.times, time)] == pytest.approx(float(Fraction(exact)), abs=1e-12)
    naive = 1 - kaplan_meier(table.at_risk, table.events[0])
    for time, value in case["one_minus_km_treating_drop_as_censor"]:
        assert naive[np.searchsorted(table.times, time)] == pytest.approx(value)
