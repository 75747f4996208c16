"""Ends of events: one before its beginning is as good as none, and is counted."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx

NOTE = "end before they begin; their end is taken as unknown"
EVENTS = st.lists(st.tuples(st.integers(0, 50), st.none() | st.integers(-9, 9)), min_size=1, max_size=8)


def log(events: list[tuple[int, int | None]]) -> cx.Journeys:
    def at(minute: int) -> str:
        return f"2026-01-01 10:{minute:02}"

    rows: list[dict[str, Any]] = [
        {"who": "a", "what": "call", "at": at(begin), "end": None if lasts is None else at(max(begin + lasts, 0))}
        for begin, lasts in events
    ]
    return cx.read_events(rows, customer="who", touchpoint="what", time="at", until="end")


@settings(max_examples=40)
@given(EVENTS)
def test_an_end_before_its_beginning_is_as_good_as_none(events: list[tuple[int, int | None]]) -> None:
    reversed_ = [lasts is not None and lasts < 0 and begin > 0 for begin, lasts in events]
    found = log(events)
    plain = log([(begin, None if wrong else lasts) for (begin, lasts), wrong in zip(events, reversed_, strict=True)])
    for metric in (cx.metrics.WaitMean(), cx.metrics.Duration(), cx.metrics.EffortMinutes(idle=timedelta(minutes=5))):
        assert found.measure(metric).value == plain.measure(metric).value
    notes = [note for note in found.reading.notes if NOTE in note]
    assert notes == ([f"{sum(reversed_)} events {NOTE}"] if any(reversed_) else [])
    assert not any(NOTE in note for note in plain.reading.notes)


def test_a_complete_before_its_start_is_said_too() -> None:
    rows = [
        {"who": "a", "what": "wash", "at": "2026-01-01 10:05", "phase": "start"},
        {"who": "a", "what": "wash", "at": "2026-01-01 10:00", "phase": "complete"},
        {"who": "a", "what": "eat", "at": "2026-01-01 10:30", "phase": "start"},
    ]
    found = cx.read_events(rows, customer="who", touchpoint="what", time="at", lifecycle=("phase", "start", "complete"))
    assert f"1 events {NOTE}" in found.reading.notes
    assert found.measure(cx.metrics.WaitMean()).value == 25 * 60
