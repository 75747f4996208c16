"""Orders of chains: published values, and the same numbers counted slowly."""

import itertools
import json
import math
from collections import Counter
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.stats.floats import Floats
from cxmodel.stats.orders import OrderFit, order_fits, ratio_test

WIDTH = 5
SERIES = st.lists(st.integers(1, 3), min_size=8, max_size=60)


def codes_of(series: list[int], most: int) -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], Floats]:
    runs = [tuple(series[i : i + most + 1]) for i in range(len(series) - most)]
    codes = [sum(digit * WIDTH ** (most - place) for place, digit in enumerate(run)) for run in runs]
    found, counts = np.unique(np.array(codes, np.int64), return_counts=True)
    return found, counts.astype(np.float64)


def fitted(series: list[int], most: int) -> tuple[OrderFit, ...]:
    return order_fits(*codes_of(series, most), WIDTH, most)


@given(SERIES, st.integers(0, 3))
@settings(max_examples=40)
def test_fits_are_the_counts(series: list[int], most: int) -> None:
    fits = fitted(series, most)
    for order, fit in enumerate(fits):
        runs = [(tuple(series[i - order : i]), series[i]) for i in range(most, len(series))]
        pairs, contexts = Counter(runs), Counter(context for context, _ in runs)
        slow = sum(n * math.log(n / contexts[context]) for (context, _), n in pairs.items())
        assert fit.log_likelihood == pytest.approx(slow, abs=1e-9)
        assert fit.contexts == len(contexts)
        assert fit.parameters_seen == len(pairs) - len(contexts)
        assert fit.n == len(runs)
    losses = [fit.log_likelihood for fit in fits]
    assert all(after >= before - 1e-9 for before, after in itertools.pairwise(losses))


@given(SERIES, st.integers(1, 3))
@settings(max_examples=40)
def test_parameters_are_those_of_all_contexts_that_single_steps_allow(series: list[int], most: int) -> None:
    steps = {(series[i - 1], series[i]) for i in range(most, len(series))}
    here = {a for a, _ in steps}
    for order in range(1, most + 1):
        walks = [
            walk
            for walk in itertools.product(sorted(here), repeat=order)
            if all(step in steps for step in itertools.pairwise(walk))
        ]
        slow = sum(sum(a == walk[-1] for a, _ in steps) - 1 for walk in walks)
        assert fitted(series, most)[order].parameters == slow


@pytest.mark.open_data
def test_daily_rain(open_data: Path) -> None:
    """Alofi rain: the values of the reference file, to the last digits of a float."""
    texts = (open_data / "reference/rain_sequence.txt").read_text(encoding="utf-8").split()
    rows = json.loads((open_data / "reference/markov.json").read_text(encoding="utf-8"))["rain"]
    digits = {name: place + 1 for place, name in enumerate(rows["alphabet"])}
    fits = fitted([digits[text] for text in texts], 4)
    expected = rows["order_selection_conditioning_on_first_4"]
    for fit, row in zip(fits, expected, strict=True):
        assert fit.log_likelihood == pytest.approx(row["loglik"], rel=1e-13)
        assert (fit.n, fit.contexts) == (row["n"], row["contexts_seen"])
        assert (fit.parameters, fit.parameters_seen) == (row["params_full"], row["params_observed"])
        assert fit.aic == pytest.approx(row["AIC"], rel=1e-13)
        assert fit.bic == pytest.approx(row["BIC"], rel=1e-13)
    for (shorter, longer), row in zip(itertools.pairwise(fits), expected[1:], strict=True):
        test, published = ratio_test(shorter, longer), row["LRT_vs_prev"]
        assert test.df == published["df"]
        assert test.statistic == pytest.approx(published["G"], rel=1e-10)
        assert test.p == pytest.approx(published["p"], rel=1e-8)
    assert min(fits, key=lambda fit: fit.bic).order == 1
    assert min(fits, key=lambda fit: fit.aic).order == 2
    alone = fitted([digits[text] for text in texts], 1)
    assert alone[1].log_likelihood == pytest.approx(rows["loglik_order1_condition1"], rel=1e-13)


@pytest.mark.open_data
def test_days_of_rain_as_transitions(open_data: Path) -> None:
    texts = (open_data / "reference/rain_sequence.txt").read_text(encoding="utf-8").split()
    rows = json.loads((open_data / "reference/markov.json").read_text(encoding="utf-8"))["rain"]
    day = date(2000, 1, 1)
    told = [{"who": "Alofi", "what": text, "at": day + timedelta(days=i)} for i, text in enumerate(texts)]
    graph = cx.read_events(told, customer="who", touchpoint="what", time="at").graph()
    counts = [[graph.edges[a, b]["count"] for b in rows["alphabet"]] for a in rows["alphabet"]]
    assert counts == rows["transition_counts"]
    shares = np.array([[graph.edges[a, b]["share"] for b in rows["alphabet"]] for a in rows["alphabet"]])
    # of the days of the last kind one has no next day: its share goes to the end
    to_next = shares / shares.sum(axis=1, keepdims=True)
    assert graph.nodes[texts[-1]]["ends"] == 1
    assert to_next == pytest.approx(np.array(rows["mle"]), abs=1e-12)
    assert to_next == pytest.approx(np.array(rows["published"]["mle"]), abs=5e-7)
