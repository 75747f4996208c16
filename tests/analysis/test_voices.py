"""Two voices: gaps are differences of what each survey shows, tested together; what cannot be compared is refused."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel import metrics
from cxmodel.exporters.json import dumps
from cxmodel.model.scales import Respondent
from cxmodel.stats.comparisons import benjamini_hochberg, holm

Said = list[tuple[str, int]]
SAID = st.lists(st.tuples(st.sampled_from(["desk", "web", "call"]), st.integers(0, 10)), min_size=1, max_size=30)


def survey(said: Said, respondent: Respondent, **more: Any) -> cx.Responses:
    rows = [{"score": score, "at": at} for at, score in said]
    options: dict[str, Any] = {"score": "score", "scale": cx.Scale.nps(), "touchpoint": "at", **more}
    return cx.read_responses(rows, respondent=respondent, **options)


@given(SAID, SAID, st.sampled_from(["holm", "bh"]))
def test_gaps_are_differences_corrected_together(customers: Said, employees: Said, correction: Any) -> None:
    gaps = cx.compare_voices(
        metrics.Nps(min_n=0), customers=survey(customers, "customer"), employees=survey(employees, "employee"),
        correction=correction,
    )  # fmt: skip

    def nps(said: Said, at: str) -> float | None:
        scores = [score for each, score in said if each == at]
        points = [1 if score >= 9 else -1 if score <= 6 else 0 for score in scores]
        return 100 * sum(points) / len(points) if points else None

    assert {row.group for row in gaps} == {at for at, _ in [*customers, *employees]}
    for row in gaps:
        mine, theirs = nps(customers, row.group), nps(employees, row.group)
        assert row.customers.value == (None if mine is None else pytest.approx(mine))
        assert row.employees.value == (None if theirs is None else pytest.approx(theirs))
        if mine is None or theirs is None:
            assert (row.gap.value, row.p, row.verdict) == (None, None, "no value")
        else:
            assert row.gap.require() == pytest.approx(theirs - mine)
            assert row.test == "permutation, exact"
            assert "dependence_unknown" not in row.gap.flags
    tested = [row for row in gaps if row.p is not None]
    assert gaps.tests == len(tested)
    rule = holm if correction == "holm" else benjamini_hochberg
    np.testing.assert_allclose([row.adjusted or 0 for row in tested], rule([row.p or 0 for row in tested]))
    assert f'"tests": {len(tested)}' in dumps(gaps)


def coverage(draws: int, seed: int) -> float:
    """How often the interval of a gap of 0.5 points holds it, with 40 employees and 120 customers."""
    draw = np.random.default_rng(seed)
    hits = 0
    for _ in range(draws):
        low, high = draw.binomial(10, 0.6, 120), draw.binomial(10, 0.65, 40)
        scores: Sequence[tuple[Respondent, Any]] = (("customer", low), ("employee", high))
        said, told = (survey([("desk", int(each)) for each in values], who) for who, values in scores)
        gap = cx.compare_voices(metrics.MeanScore(), customers=said, employees=told)["desk"].gap
        assert gap.interval is not None
        hits += 0.5 in gap.interval
    return hits / draws


def test_intervals_hold_the_gap_as_often_as_they_say() -> None:
    assert 0.89 < coverage(150, seed=3) <= 0.99


def test_employees_who_see_it_better_are_told_apart() -> None:
    customers = survey([("desk", 5), ("desk", 9)] * 40 + [("web", 9)] * 40, "customer")
    employees = survey([("desk", 10), ("desk", 9)] * 40 + [("web", 9)] * 5, "employee")
    gaps = cx.compare_voices(metrics.Nps(), customers=customers, employees=employees)
    assert gaps["desk"].verdict == "employees see it better"
    assert gaps["web"].gap.reason == "fewer than 10 answers (n=5)"
    assert "employees minus customers; 1 tests" in str(gaps)
    with pytest.raises(cx.errors.UnknownNameError, match="there is no group 'dsk'"):
        gaps["dsk"]


def test_what_is_no_pair_is_refused() -> None:
    customers, employees = survey([("desk", 5)] * 20, "customer"), survey([("desk", 5)] * 20, "employee")
    stars = survey([("desk", 5)] * 20, "employee", scale=cx.Scale.csat())
    whole = survey([("desk", 5)] * 20, "employee", kind="relational")
    mean = metrics.MeanScore()
    with pytest.raises(cx.errors.NotComparableError, match="customers are asked 'answer' on nps 0–10, employees"):
        cx.compare_voices(mean, customers=customers, employees=stars)
    with pytest.raises(cx.errors.NotComparableError, match="is transactional and 'answer' is relational"):
        cx.compare_voices(mean, customers=customers, employees=whole)
    with pytest.raises(cx.errors.NotMeasurableError, match="there are no answers of employees"):
        cx.compare_voices(mean, customers=customers, employees=customers)
    with pytest.raises(cx.errors.NotMeasurableError, match="no question to employees 'anser'"):
        cx.compare_voices(mean, customers=customers, employees=employees, question="anser")
    with pytest.raises(cx.errors.InvalidValueError, match="no question to customers fits, there is 'answer'"):
        cx.compare_voices(metrics.Csat(), customers=customers, employees=stars)


def test_voices_on_the_same_journeys_are_never_pooled(tmp_path: Path) -> None:
    log = [{"who": f"c{i}", "what": "call", "at": "2026-01-01"} for i in range(40)]
    journeys = cx.read_events(log, customer="who", touchpoint="what", time="at")

    def answers(respondent: Respondent, name: str, add: int) -> cx.Responses:
        rows = [{"who": f"c{i}", "score": i % 7 + add, "at": "2026-01-02"} for i in range(40)]
        return cx.read_responses(
            rows, customer="who", score="score", scale=cx.Scale.nps(), time="at", about="call", question=name,
            respondent=respondent,
        )  # fmt: skip

    both = journeys.with_responses(answers("customer", "asked", 1)).with_responses(answers("employee", "told", 3))
    with pytest.raises(cx.errors.NotComparableError, match="'asked' is already there, answered by customers"):
        both.with_responses(answers("employee", "asked", 0))
    with pytest.raises(cx.errors.NotMeasurableError, match="several questions fit"):
        both.measure(metrics.MeanScore())
    # the agent's answer is the customer's plus two, so the gap of each pair is known exactly
    gap = cx.compare_voices(metrics.MeanScore(), customers=both, employees=both)["call"].gap
    assert gap.interval is not None
    np.testing.assert_allclose([gap.require(), gap.interval.low, gap.interval.high], 2)
    both.save(tmp_path / "kept")
    assert cx.open_journeys(tmp_path / "kept").facts.questions == both.facts.questions
