"""Continuity against published values and plain loops, and its laws."""

import json
from collections import Counter
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.metrics.continuity import Coc, ContinuityMetric, HandOffs, Mmci, Secon, UnknownShare, Upc

Build = Callable[..., cx.Journeys]
INDICES = (Upc(), Coc(), Secon(), Mmci())
SEQUENCES = st.lists(st.text("ABC-", min_size=1, max_size=8), min_size=1, max_size=5)


def log(build: Build, sequences: list[str], **options: Any) -> cx.Journeys:
    """One customer per sequence; ``-`` is an unknown contact. Two journeys that interleave."""
    return build(
        [
            {"who": f"c{c}", "what": "call", "at": i, "journey": str(i % 2), "contact": None if p == "-" else p}
            for c, sequence in enumerate(sequences)
            for i, p in enumerate(sequence)
        ],
        **options,
    )


def slow(metric: ContinuityMetric, met: str) -> Fraction:
    n, counts = len(met), Counter(met)
    changes = sum(a != b for a, b in pairwise(met))
    tenth = n + Fraction(1, 10)
    return {
        "upc": Fraction(max(counts.values()), n),
        "coc": Fraction(sum(k * k for k in counts.values()) - n, n * (n - 1)),
        "secon": 1 - Fraction(changes, n - 1),
        "mmci": (1 - len(counts) / tenth) / (1 - 1 / tenth),
        "hand_offs": Fraction(changes),
    }[metric.name]


@given(SEQUENCES, st.integers(2, 4), st.integers(1, 3))
def test_equals_plain_loops(build: Build, sequences: list[str], at_least: int, blocks: int) -> None:
    kept = [met for met in (sequence.replace("-", "") for sequence in sequences) if len(met) >= at_least]
    if not any(set(sequence) - {"-"} for sequence in sequences):
        return
    journeys = log(build, sequences, blocks=blocks)
    for kind in (Upc, Coc, Secon, Mmci, HandOffs):
        metric = kind(at_least=at_least)
        found = journeys.measure(metric)
        assert found.n == len(kept)
        if kept:
            assert found.require() == pytest.approx(float(sum(slow(metric, met) for met in kept) / len(kept)))
        else:
            assert found.flags == ("empty",)
    everything = "".join(sequences)
    assert journeys.measure(UnknownShare()).require() == pytest.approx(everything.count("-") / len(everything))


@given(st.text("ABC", min_size=2, max_size=10))
def test_one_provider_gives_one_and_order_matters_only_to_the_sequence(build: Build, sequence: str) -> None:
    found = {metric.name: log(build, [sequence]).measure(metric).require() for metric in INDICES}
    assert found["coc"] <= found["upc"] + 1e-12
    assert (len(set(sequence)) == 1) == (found["coc"] > 1 - 1e-9)
    ordered = {metric.name: log(build, ["".join(sorted(sequence))]).measure(metric).require() for metric in INDICES}
    assert all(found[name] == pytest.approx(ordered[name]) for name in ("upc", "coc", "mmci"))
    assert found["secon"] <= ordered["secon"] + 1e-9


@pytest.mark.open_data
def test_published_values(build: Build, open_data: Path) -> None:
    cases = json.loads((open_data / "reference" / "time_continuity.json").read_text(encoding="utf-8"))["continuity"]
    names = {"UPC": Upc(), "COC": Coc(), "SECON": Secon(), "MMCI": Mmci(), "handoffs": HandOffs()}
    for sequence, case in cases.items():
        if sequence.startswith("_"):
            continue
        for name, metric in names.items():
            found = log(build, [sequence]).measure(evolve(metric, at_least=metric.fewest))
            if case["n"] < metric.fewest:
                assert found.value is None
            else:
                assert found.require() == pytest.approx(float(Fraction(case[name])), abs=1e-12), (sequence, name)
                assert found.n == 1
        if case["n"] > 1:
            n, providers, coc = case["n"], case["providers"], log(build, [sequence]).measure(Coc()).require()
            assert ((n - 1) * coc + 1) / n == pytest.approx(float(Fraction(case["HHI"])))
            assert log(build, [sequence]).measure(Mmci()).require() == pytest.approx(
                (1 - providers / (n + 0.1)) / (1 - 1 / (n + 0.1))
            )


def test_any_column_can_name_the_provider(build: Build) -> None:
    rows = [{"who": "a", "what": w, "at": i, "channel": c} for i, (w, c) in enumerate(zip("ppq", "xyx", strict=True))]
    journeys = build(rows)
    assert journeys.measure(HandOffs(of="channel")).require() == 2
    assert journeys.measure(HandOffs(of="touchpoint")).require() == 1
    with pytest.raises(cx.errors.NotMeasurableError, match="there is no column 'contact'"):
        journeys.measure(Upc())
    with pytest.raises(cx.errors.InvalidValueError, match="at_least of coc is 2 or more, got 1"):
        Coc(at_least=1)
    with pytest.raises(cx.errors.InvalidValueError, match="at_least of upc is 1 or more, got 0"):
        Upc(at_least=0)
