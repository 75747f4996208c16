"""Graphs, paths and funnels in words, for people who read a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from cxmodel.cli.tables import lasting, share, table

if TYPE_CHECKING:
    from cxmodel.analysis.funnels import FunnelTable
    from cxmodel.analysis.paths import TopPaths
    from cxmodel.analysis.positions import PositionTable


def in_words(result: object, document: Mapping[str, Any]) -> str:
    """Whatever a metric gave that is no table of estimates."""
    from cxmodel.analysis.funnels import FunnelTable
    from cxmodel.analysis.paths import PathTable
    from cxmodel.graph import JourneyGraph

    if isinstance(result, JourneyGraph):
        return graph_text(document)
    if isinstance(result, PathTable):
        return paths_text(result.top())
    return funnel_text(result) if isinstance(result, FunnelTable) else str(result)


def graph_text(graph: Mapping[str, Any]) -> str:
    """The document of a graph as two tables, the most frequent first."""
    nodes: list[Mapping[str, Any]] = sorted(graph["nodes"], key=itemgetter("id"))
    edges: list[Mapping[str, Any]] = sorted(graph["edges"], key=itemgetter("source", "target"))
    nodes.sort(key=itemgetter("count"), reverse=True)
    edges.sort(key=itemgetter("count"), reverse=True)
    places = [[node["id"], *(f"{node[name]:,}" for name in ("count", "starts", "ends"))] for node in nodes]
    steps = [
        [edge["source"], edge["target"], f"{edge['count']:,}", share(edge["share"]), lasting(edge["wait_median_s"])]
        for edge in edges
    ]
    lines = [
        f"{graph['journeys']:,} journeys, {graph['events']:,} events",
        "",
        table(["touchpoint", "events", "starts", "ends"], places, right=(1, 2, 3)),
        "",
        table(["from", "to", "count", "share of from", "median wait"], steps, right=(2, 3, 4)),
    ]
    if "other" in graph:
        other = graph["other"]
        lines.append(f"{other['transitions']:,} rarer transitions are left out ({other['count']:,} times).")
    return "\n".join(lines)


def paths_text(top: TopPaths) -> str:
    """Paths as a table, with the rest as its last row."""
    rows = [[f"{path.count:,}", share(path.share), " → ".join(path.touchpoints)] for path in top]
    if top.other.paths:
        rows.append([f"{top.other.count:,}", share(top.other.share), f"({top.other.paths:,} other paths)"])
    head = f"{top.journeys:,} journeys on {top.distinct:,} distinct paths"
    return "\n".join([head, "", table(["journeys", "share", "path"], rows, right=(0, 1))])


def funnel_text(result: FunnelTable) -> str:
    """A funnel as a table."""
    rows: list[list[str]] = []
    for step in result.steps:
        shares = [f"{each:.1%}" if each.value is not None else "–" for each in (step.of_first, step.of_previous)]
        rows.append([step.touchpoint, f"{step.reached:,}", *shares, lasting(step.wait_median_s)])
    head = ["step", "journeys", "of first", "of the step before", "median wait"]
    return "\n".join([f"{result.journeys:,} journeys", "", table(head, rows, right=(1, 4))])


def positions_text(found: PositionTable, top: int) -> str:
    """Where customers are, those on the way with the highest chance first; the others are counted."""
    chances = [(math.isnan(chance), -chance) for chance in found.chance.tolist()]
    listed = found.to_records()
    records: list[Mapping[str, Any]] = [listed[row] for row in sorted(range(len(listed)), key=chances.__getitem__)]
    rows = [
        [
            str(each["customer"]), found.goal if each["reached"] else str(each["touchpoint"]),
            *([] if found.stages is None else [str(each["stage"] or "")]),
            lasting(each["waited_s"]), "" if each["reached"] else share(each["chance"]), str(each["next"] or ""),
            "" if each["reached"] else share(each["next_probability"]), _stuck(each),
        ]
        for each in records[:top]
    ]  # fmt: skip
    staged = [] if found.stages is None else ["stage"]
    head = ["customer", "at", *staged, "for", "chance", "next", "share", ""]
    lines = [str(found), "", table(head, rows, right=tuple(len(staged) + column for column in (2, 3, 5)))]
    return "\n".join([*lines, f"{len(records) - top:,} more customers."] if len(records) > top else lines)


def _stuck(each: Mapping[str, Any]) -> str:
    if each["stuck"]:
        return "stuck"
    return "stuck in the stage" if each["stuck_in_stage"] else ""
