"""Transitions with exact median waits through this library."""

from __future__ import annotations

import duckdb  # noqa: F401 - imported before the clock starts, like every peer's engine
import nanoarrow  # noqa: F401
import networkx as nx  # noqa: F401
import numpy as np  # noqa: F401
import scipy.sparse  # noqa: F401
from telling import Answer, tell

import cxmodel as cx
import cxmodel.metrics
from cxmodel.graph import JourneyGraph
from cxmodel.opening import read_events


def work(path: str) -> JourneyGraph:
    """File to graph."""
    return read_events(path, customer="customer", touchpoint="touchpoint", time="ts").graph()


def answer(graph: JourneyGraph) -> Answer:
    """The graph in the common shape."""
    edges = {f"{a} → {b}": [facts["count"], facts["wait_median_s"]] for a, b, facts in graph.edges(data=True)}
    starts = {name: facts["starts"] for name, facts in graph.nodes(data=True) if facts["starts"]}
    ends = {name: facts["ends"] for name, facts in graph.nodes(data=True) if facts["ends"]}
    return {"edges": edges, "starts": starts, "ends": ends}


if __name__ == "__main__":
    tell(work, cx.__version__, answer)
