"""Appending: the same answers as preparing everything at once."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.data import appending
from cxmodel.errors import InvalidValueError

ROW = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["ann", "bob", "cy", "7", "007", "dé"]),
        "trip": st.sampled_from(["1", "2"]),
        "what": st.sampled_from(["zoo", "ad", "pay", "mail", "call"]),
        "minute": st.integers(0, 40),
        "via": st.sampled_from(["web", "app", None]),
        "late": st.sampled_from(["yes", "no"]),
    }
)
LOG = st.lists(ROW, min_size=1, max_size=25)
GOAL = cx.Goal("sale", touchpoints=["pay"])


def read(rows: list[dict[str, Any]], **more: Any) -> cx.Journeys:
    return cx.read_events(
        rows, customer="who", journey="trip", touchpoint="what", time="at", channel="via", attributes=["late"], **more
    )


def dated(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "at": f"2026-01-01 10:{row['minute']:02d}"} for row in rows]


def answers(journeys: cx.Journeys) -> dict[str, Any]:
    graph = journeys.graph().to_dict()
    return {
        "facts": (journeys.facts.customers, journeys.facts.journeys, journeys.facts.events),
        "origin": journeys.population.origin,
        "nodes": sorted(graph["nodes"], key=lambda node: str(node["id"])),
        "edges": sorted(graph["edges"], key=lambda edge: (edge["source"], edge["target"])),
        "paths": journeys.paths().to_dict(),
        "length": journeys.measure(cx.metrics.Length(), by=cx.by.attribute("late")).to_records(),
        "kept": (journeys.reading.rows, journeys.reading.kept),
        "odd": {note for note in journeys.reading.notes if "repeat" in note or "begin before" in note},
    }


@given(LOG, LOG, LOG, st.sampled_from([0, 10, appending.SMALL]))
def test_appending_equals_reading_at_once(
    first: list[dict[str, Any]], second: list[dict[str, Any]], third: list[dict[str, Any]], small: int
) -> None:
    parts = [dated(part) for part in (first, second, third)]
    at_once = read([row for part in parts for row in part])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(appending, "SMALL", small)
        grown = read(parts[0]).append(parts[1]).append(parts[2])
    assert answers(grown) == answers(at_once)
    if small == appending.SMALL:
        assert len(grown.population.parts) == 1


def test_saved_journeys_grow(tmp_path: Any) -> None:
    rows = dated(
        [
            {"who": "ann", "trip": "1", "what": what, "minute": i, "via": "web", "late": "no"}
            for i, what in enumerate("abc")
        ]
    )
    read(rows[:1]).save(tmp_path / "kept")
    grown = cx.open_journeys(tmp_path / "kept").append(rows[1:])
    assert answers(grown) == answers(read(rows))


def test_what_was_selected_takes_no_more_rows() -> None:
    rows = dated([{"who": "ann", "trip": "1", "what": "pay", "minute": 1, "via": "web", "late": "no"}])
    with pytest.raises(InvalidValueError, match="channel is web"):
        read(rows).where(channel="web").append(rows)


def test_text_ids_do_not_join_whole_numbers() -> None:
    import pandas as pd

    frame = pd.DataFrame({"who": [1, 2], "what": ["a", "b"], "at": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    numbers = cx.read_events(frame, customer="who", touchpoint="what", time="at")
    grown = numbers.append([{"who": "2", "what": "c", "at": "2026-01-03"}])
    assert (grown.facts.customers, grown.graph().edges["b", "c"]["count"]) == (2, 1)
    with pytest.raises(InvalidValueError, match="'x2'"):
        numbers.append([{"who": "x2", "what": "c", "at": "2026-01-03"}])
