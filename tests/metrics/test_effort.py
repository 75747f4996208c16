"""Observed effort against plain loops, and its laws."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.metrics.effort import (
    ChannelSwitches,
    DepartmentHandOffs,
    EffortContacts,
    EffortMetric,
    EffortMinutes,
    EffortRepeats,
    EffortSteps,
    EffortTouchpoints,
)

Build = Callable[..., cx.Journeys]
MAYBE = st.sampled_from(["web", "phone", "store", None])
EVENT = st.fixed_dictionaries(
    {
        "who": st.sampled_from("abc"), "journey": st.sampled_from("12"), "what": st.sampled_from("pqr"),
        "at": st.integers(0, 5000), "channel": MAYBE, "department": MAYBE,
    }
)  # fmt: skip
LOGS = st.lists(EVENT, min_size=1, max_size=25)
KIND = {"kind": {"p": "communication", "q": "action"}}


def per_journey(rows: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    keys = sorted({(row["who"], row["journey"]) for row in rows})
    ordered = sorted(rows, key=lambda row: row["at"])
    return [[row for row in ordered if (row["who"], row["journey"]) == key] for key in keys]


def switches(journey: list[dict[str, Any]], column: str) -> int:
    known = [row[column] for row in journey if row[column]]
    return sum(a != b for a, b in pairwise(known))


def minutes(journey: list[dict[str, Any]], idle: int) -> float:
    gaps = [b["at"] - a["at"] for a, b in pairwise(journey)]
    return float(sum(gap for gap in gaps if gap <= idle)) / 60


@given(LOGS, st.integers(1, 3))
def test_equals_plain_loops(build: Build, rows: list[dict[str, Any]], blocks: int) -> None:
    log = build(rows, facts=KIND, blocks=blocks)
    slow: dict[EffortMetric, Callable[[list[dict[str, Any]]], float]] = {
        EffortSteps(): len,
        EffortTouchpoints(): lambda j: len({row["what"] for row in j}),
        EffortRepeats(): lambda j: len(j) - len({row["what"] for row in j}),
        EffortContacts(): lambda j: sum(row["what"] == "p" for row in j),
        ChannelSwitches(): lambda j: switches(j, "channel"),
        DepartmentHandOffs(): lambda j: switches(j, "department"),
        EffortMinutes(idle=timedelta(seconds=600)): lambda j: minutes(j, 600),
    }
    journeys = per_journey(rows)
    for metric, of in slow.items():
        found = log.measure(metric)
        column = {"channel_switches": "channel", "department_hand_offs": "department"}.get(metric.name)
        counted = [each for each in journeys if column is None or any(row[column] for row in each)]
        assert found.n == len(counted)
        mean = sum(map(of, counted)) / len(counted) if counted else None
        assert found.value == (mean if mean is None else pytest.approx(mean)), metric.name


@given(LOGS)
def test_repeats_and_touchpoints_make_the_steps(build: Build, rows: list[dict[str, Any]]) -> None:
    log = build(rows)
    steps, touchpoints, repeats = log.measure(EffortSteps(), EffortTouchpoints(), EffortRepeats())
    assert steps.require() == pytest.approx(touchpoints.require() + repeats.require())
    short, long = (log.measure(EffortMinutes(idle=timedelta(seconds=s))).require() for s in (10, 1000))
    assert short <= long + 1e-9


def test_ends_of_events_count(build: Build) -> None:
    rows = [
        {"who": "a", "what": "p", "at": 0, "until": 120},
        {"who": "a", "what": "q", "at": 60, "until": 90},
        {"who": "a", "what": "r", "at": 9000, "until": 9060},
    ]
    # one minute to the overlapping q, half a minute of q, and one of r after a long pause
    assert build(rows).measure(EffortMinutes()).require() == 2.5


def test_what_is_missing_is_said(build: Build) -> None:
    log = build([{"who": "a", "what": "p", "at": 0}])
    with pytest.raises(cx.errors.NotMeasurableError, match="no touchpoint says its kind"):
        log.measure(EffortContacts())
    with pytest.raises(cx.errors.NotMeasurableError, match="there is no column 'channel'"):
        log.measure(ChannelSwitches())
    with pytest.raises(cx.errors.NotMeasurableError, match="there is no touchpoint 'x'"):
        log.measure(EffortContacts(touchpoints=["x"]))
    assert log.measure(EffortContacts(touchpoints=["p"])).require() == 1
    assert log.measure(EffortSteps()).direction == "lower"
