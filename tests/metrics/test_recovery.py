"""Components of a recovery against the score after it: least squares, a planted effect, and the study's truth."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.exporters.json import dumps
from cxmodel.metrics import Recovery, RecoveryDrivers
from cxmodel.metrics.recovery import RecoveryDriverTable

Build = Callable[..., cx.Journeys]
Row = dict[str, Any]
RECOVERY = Recovery(failed=["fail"], resolved=["fix"])

STEP = st.fixed_dictionaries(
    {
        "who": st.sampled_from("abcdef"), "what": st.sampled_from(["fail", "fix", "look"]), "at": st.integers(0, 10**6),
        "channel": st.sampled_from(["web", "phone", None]), "score": st.one_of(st.none(), st.integers(1, 5)),
    }
)  # fmt: skip
STEPS = st.lists(STEP, min_size=15, max_size=50, unique_by=lambda row: row["at"])


def slow(rows: list[Row]) -> list[tuple[float, ...]]:
    """Resolved, hours, switches, failures and score of every answer after a failure, event by event."""
    out: list[tuple[float, ...]] = []
    for who in sorted({row["who"] for row in rows}):
        span: list[Row] = []
        done: list[Row] = []
        for row in sorted((row for row in rows if row["who"] == who), key=lambda row: row["at"]):
            if row["what"] == "fail" and not span:
                span, done = [row], []
            elif span:
                span.append(row)
                if row["what"] == "fix":
                    span, done = [], span
            if row["score"] is None or not (span or done):
                continue
            mine = span or done
            channels = [each["channel"] for each in done if each["channel"]]
            hours = (done[-1]["at"] - done[0]["at"]) / 3600 if done else 0
            switches = sum(a != b for a, b in pairwise(channels))
            failures = sum(each["what"] == "fail" for each in mine)
            out.append((float(bool(done)), hours, switches, failures, row["score"]))
    return out


@given(STEPS, st.integers(1, 3))
def test_it_equals_least_squares_event_by_event(build: Build, steps: list[Row], blocks: int) -> None:
    ends: list[Row] = [
        {"who": "z", "what": what, "at": 10**6 + i, "channel": channel, "score": score}
        for i, (what, channel, score) in enumerate((("fail", "web", 1), ("fix", "phone", 5), ("look", None, 4)))
    ]
    rows = [*steps, *ends]
    table = build(rows, blocks=blocks).measure(RecoveryDrivers(recovery=RECOVERY, min_n=0))
    data = np.array(slow(rows))
    assert table.n == len(data)
    if len(data) < 6:
        assert "fewer than 6 answers" in (table.explained.reason or "")
        return
    varies = data.std(axis=0) > 0
    x, y = data[:, :4][:, varies[:4]], data[:, 4]
    if not varies[4] or not x.shape[1] or np.linalg.cond(np.corrcoef(x.T)) > 1e6:
        return
    coefficients = np.linalg.lstsq(np.column_stack([np.ones(len(y)), x]), y, rcond=None)[0][1:]
    beta = coefficients * x.std(axis=0) / y.std()
    part = beta * [np.corrcoef(column, y)[0, 1] for column in x.T]
    known = [driver for driver in table.drivers if driver.effect.value is not None]
    assert [driver.component for driver in known] == [
        driver.component for driver, there in zip(table.drivers, varies[:4], strict=True) if there
    ]
    np.testing.assert_allclose([driver.effect.require() for driver in known], coefficients, atol=1e-6)
    np.testing.assert_allclose([driver.standardised.require() for driver in known], beta, atol=1e-6)
    np.testing.assert_allclose(table.explained.require(), part.sum(), atol=1e-6)
    np.testing.assert_allclose(sum(driver.share.require() for driver in known), 1, atol=1e-4)


def planted(build: Build, seed: int) -> RecoveryDriverTable:
    """Scores 2 + 1.5 if resolved − 0.1 per hour − 0.5 per further failure, and noise of each customer."""
    draw = np.random.default_rng(seed)
    rows: list[Row] = []
    for i in range(150):
        fails, good, hours, own = draw.integers(1, 4), draw.random() < 0.6, draw.uniform(1, 10), draw.normal(0, 0.4)
        score = 5 + (1.5 - 0.1 * hours if good else 0) - 0.5 * fails + own
        steps = [("fail", 60 * each, "web") for each in range(fails)]
        steps += [("fix", round(3600 * hours), draw.choice(["web", "phone"]))] if good else []
        rows += [{"who": f"c{i}", "what": what, "at": at, "channel": on} for what, at, on in steps]
        rows += [{"who": f"c{i}", "what": "say", "at": 10**5 + k, "score": score} for k in range(draw.integers(1, 3))]
    return build(rows, scale=cx.Scale.own(0, 10)).measure(RecoveryDrivers(recovery=RECOVERY))


def test_planted_effects_are_found_as_often_as_the_level_says(build: Build) -> None:
    truth = {"resolved": 1.5, "hours": -0.1, "switches": 0.0, "failures": -0.5}
    tables = [planted(build, seed) for seed in range(60)]
    for name, value in truth.items():
        found = [driver.effect for table in tables for driver in table.drivers if driver.component == name]
        assert np.mean([each.value for each in found]) == pytest.approx(value, abs=0.03)
        assert np.mean([each.interval is not None and value in each.interval for each in found]) >= 0.85


def test_the_rental_study_says_what_it_planted() -> None:
    study = cx.datasets.car_rental()
    columns = study.events.columns
    log = [dict(zip(columns, values, strict=True)) for values in zip(*(columns[name] for name in columns), strict=True)]
    answers = study.responses.columns
    said = [dict(zip(answers, values, strict=True)) for values in zip(*answers.values(), strict=True)]
    survey = cx.read_responses(
        [{**row, "about": None} for row in said if row["question"] == "rental_csat"], customer="customer",
        journey="journey", score="score", time="time", scale=cx.Scale.csat(), codes={study.blank: None},
    )  # fmt: skip
    journeys = cx.read_events(
        log, customer="customer", journey="journey", touchpoint="touchpoint", time="time", channel="channel"
    )
    calls = Recovery(failed=["Call fails"], resolved=["Problem solved"])
    table = journeys.with_responses(survey).measure(RecoveryDrivers(recovery=calls))
    truth: Any = study.truth["rental_csat_mean"]
    assert table.drivers[0].effect.interval is not None
    assert truth["rescued by message"] - truth["not rescued"] in table.drivers[0].effect.interval
    assert table.drivers[0].share.require() > 0.8
    assert '"drivers"' in dumps(table)
    assert "answers after a failure" in str(table)


def test_what_cannot_be_told_apart_is_said(build: Build) -> None:
    def log(scores: list[int], fixed: bool = True) -> RecoveryDriverTable:
        rows: list[Row] = []
        for i, score in enumerate(scores):
            rows += [
                {"who": f"c{i}", "what": "fail", "at": 0},
                {"who": f"c{i}", "what": "say", "at": 9, "score": score},
            ]
            rows += [{"who": f"c{i}", "what": "fix", "at": 3}] if fixed and i % 2 else []
        rows += [{"who": "y", "what": "fail", "at": 0}, {"who": "y", "what": "fix", "at": 3}]
        return build(rows).measure(RecoveryDrivers(recovery=RECOVERY))

    assert log([1, 2, 3]).explained.reason == "fewer than 30 answers (n=3)"
    assert log([3] * 40).explained.reason == "neither the components nor the score may be all equal"
    assert log([1, 5] * 20, fixed=False).explained.value is None
    # all resolutions take equally long, so hours follow from resolved
    assert (log([1, 5] * 20).explained.reason or "").startswith("the components cannot be told apart")
    lone = build([{"who": f"c{i}", "what": w, "at": t * (1 + i), "score": 1 + i % 5 if w == "say" else None}
                  for i in range(40) for t, w in enumerate(("fail", "fail", "fix", "say")[i % 2 :])])  # fmt: skip
    drivers = {each.component: each for each in lone.measure(RecoveryDrivers(recovery=RECOVERY)).drivers}
    assert drivers["switches"].effect.reason == "no channel is known"
    assert drivers["resolved"].effect.reason == "resolved is 1 for every answer"
    assert drivers["failures"].effect.value is not None
