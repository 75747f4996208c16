"""Graphs, paths and tables by group: each group's journeys on their own."""

from __future__ import annotations

from typing import Any

import cxmodel as cx
from cxmodel.testing import journeys_of

TEXT = "ann: ad@web 0, shop@store 3; bob: ad@web 0, call@phone 1, shop@store 9; cy: call@phone 0, call@phone 2"


def test_each_group_is_what_its_journeys_give_alone() -> None:
    journeys = journeys_of(TEXT)
    graphs = journeys.measure(cx.metrics.Graph(), by="channel")
    paths = journeys.measure(cx.metrics.Paths(), by="channel")
    assert list(graphs) == ["phone", "store", "web"]
    for channel in graphs:
        alone = journeys.where(channel=channel)
        assert graphs[channel].to_dict() == alone.graph().to_dict()
        assert paths[channel].to_dict() == alone.paths().to_dict()
    assert graphs.overlapping


def test_groups_merge_over_blocks() -> None:
    rows: list[dict[str, Any]] = [
        {"who": f"c{i}", "what": what, "at": f"2026-01-01 {10 + k}:00", "kind": "new" if i % 3 else None}
        for i in range(40)
        for k, what in enumerate(["ad", "shop", "ad"][: 1 + i % 3])
    ]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at", attributes=["kind"])
    tables = journeys.measure(cx.metrics.Transitions(), by=cx.by.attribute("kind"))
    assert tables["new"].events == journeys.where(kind="new").facts.events
    assert tables.unassigned is not None
    assert tables["new"].events + tables.unassigned.events == journeys.facts.events


def test_a_selection_without_conversions_has_a_rate_of_zero() -> None:
    journeys = journeys_of(TEXT)
    goal = cx.Goal("sale", touchpoints=["shop"])
    rate = journeys.where(passes="call").events_where(touchpoint="call").measure(cx.metrics.ConversionRate(goal=goal))
    assert (rate.value, rate.n) == (0.0, 2)


def test_unanimous_means_are_flagged() -> None:
    journeys = journeys_of("; ".join(f"c{i}: ad 0, shop {i + 1}" for i in range(40)))
    length = journeys.measure(cx.metrics.Length())
    assert length.flags == ("degenerate",)
    assert "degenerate" not in journeys.measure(cx.metrics.Duration()).flags


def test_funnels_are_resampled_when_asked() -> None:
    journeys = journeys_of("; ".join(f"c{i}: ad 0" + (", shop 1" if i % 3 else "") for i in range(300)))
    plain = journeys.funnel(["ad", "shop"]).steps[1].of_previous
    again = journeys.measure(cx.metrics.Funnel(["ad", "shop"]), bootstrap=500, seed=3).steps[1].of_previous
    assert plain.interval is not None
    assert again.interval is not None
    assert again.interval.method.startswith("bootstrap")
    width = plain.interval.high - plain.interval.low
    assert abs((again.interval.high - again.interval.low) / width - 1) < 0.2
