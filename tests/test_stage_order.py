"""Stages stand in the order in which the catalogue names them, wherever their touchpoints stand in the data."""

import cxmodel as cx

ROWS = [
    {"who": "a", "what": "alpha", "at": "2026-01-01"},
    {"who": "a", "what": "beta", "at": "2026-01-02"},
    {"who": "a", "what": "zulu", "at": "2026-01-03"},
]


def test_the_graph_knows_the_order_of_stages() -> None:
    journeys = cx.read_events(ROWS, customer="who", touchpoint="what", time="at")
    catalogue = {"zulu": {"stage": "First"}, "beta": {"stage": "Second"}, "alpha": {"stage": "Third"}}
    graph = journeys.with_touchpoints({**catalogue, "never": {"stage": "Absent"}}).graph()
    assert graph.graph["stages"] == ["First", "Second", "Third"]
    lengths = journeys.with_touchpoints(catalogue).measure(cx.metrics.Length(), by="stage")
    assert list(lengths) == ["First", "Second", "Third"]
    assert "stages" not in journeys.graph().graph


def test_a_graph_takes_any_text_as_a_touchpoint() -> None:
    graph = cx.JourneyGraph.of_counts([("half \ud83d", {"count": 1})], [])
    assert not graph.partial
