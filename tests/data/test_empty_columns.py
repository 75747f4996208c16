"""Columns in which nearly everything is missing."""

from __future__ import annotations

import cxmodel as cx


def test_long_lists_whose_columns_are_empty_or_nearly_so() -> None:
    rows: list[dict[str, object]] = [
        {"who": i, "what": "ad", "at": "2026-01-01", "via": "", "team": None} for i in range(3_000)
    ]
    rows[-1]["team"] = "north"
    rows[-2]["via"] = None
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at", channel="via", attributes=["team"])
    assert journeys.facts.events == 3_000
    found = journeys.measure(cx.metrics.Length(), by=cx.by.attribute("team"))
    assert list(found) == ["north"]
    assert found["north"].n == 1
