"""Graphs, paths and funnels in words, for people who read a terminal."""

from __future__ import annotations

import math
from collections.abc import Mapping
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from cxmodel.cli.tables import cut, lasting, share, table

if TYPE_CHECKING:
    from cxmodel.analysis.funnels import FunnelTable
    from cxmodel.analysis.goal_paths import GoalPathTable
    from cxmodel.analysis.paths import TopPaths
    from cxmodel.analysis.positions import PositionTable
    from cxmodel.analysis.transitions import TransitionTable
    from cxmodel.model.breakdowns import Breakdown

STEPS: Final = ("from", "to", "count", "share of from", "median wait")


def in_words(result: object, document: Mapping[str, Any], top: int) -> str:
    """Whatever a metric gave that is no table of estimates.

    Args:
        result: It.
        document: Its document.
        top: How many rows to show.
    """
    from cxmodel.analysis.funnels import FunnelTable
    from cxmodel.analysis.goal_paths import GoalPathTable
    from cxmodel.analysis.grams import GramTable
    from cxmodel.analysis.paths import PathTable
    from cxmodel.analysis.transitions import TransitionTable
    from cxmodel.graph import JourneyGraph
    from cxmodel.model.breakdowns import Breakdown

    match result:
        case JourneyGraph():
            return graph_text(document, top)
        case TransitionTable():
            return transitions_text(result, top)
        case PathTable():
            return paths_text(result.top(top))
        case GramTable():
            return str(result.top(top))
        case GoalPathTable():
            return goal_paths_text(result, top)
        case FunnelTable():
            return funnel_text(result)
        case Breakdown():
            return _groups(result, document, top)
        case _:
            return str(result)


def _groups(result: Breakdown[Any, Any], document: Mapping[str, Any], top: int) -> str:
    """One result below the other, under the name of its group."""
    parts = []
    if not all("result" in row for row in document["results"]):
        return str(result)
    for row, value in list(zip(document["results"], result.values(), strict=True))[:top]:
        group = ", ".join(f"{name}: {label}" for name, label in row["group"].items())
        parts.append(f"{group}\n{in_words(value, row['result'], top)}")
    if len(result) > top:
        parts.append(f"{len(result) - top:,} more groups.")
    if result.unassigned is not None:
        parts.append(f"In no group\n{in_words(result.unassigned, document['unassigned']['result'], top)}")
    return "\n\n".join(parts) or "No group has anything to measure."


def graph_text(graph: Mapping[str, Any], top: int) -> str:
    """The document of a graph as two tables, the most frequent first and the others counted."""
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
        cut(["touchpoint", "events", "starts", "ends"], places, top, "touchpoints", right=(1, 2, 3)),
        "",
        cut(STEPS, steps, top, "transitions", right=(2, 3, 4)),
    ]
    if "other" in graph:
        other = graph["other"]
        lines.append(f"{other['transitions']:,} rarer transitions are left out ({other['count']:,} times).")
    return "\n".join(lines)


def transitions_text(found: TransitionTable, top: int) -> str:
    """Transitions as a table, the most frequent first and the others counted."""
    rows = [
        [
            str(each["source"]), str(each["target"]), f"{each['count']:,}", f"{each['share']:.1%}",
            lasting(float(str(each["wait_median_s"]))),
        ]
        for each in found.to_records(top)
    ]  # fmt: skip
    head = f"{found.journeys:,} journeys, {found.events:,} events, {len(found):,} different transitions"
    lines = [head, "", table(STEPS, rows, right=(2, 3, 4))]
    times = int(found.transitions.sum()) - sum(int(str(each["count"])) for each in found.to_records(top))
    return "\n".join([*lines, f"{len(found) - top:,} more transitions ({times:,} times)."] if times else lines)


def goal_paths_text(found: GoalPathTable, top: int) -> str:
    """Paths to a goal: how many, as varied as how many, where they can be cut, and through which touchpoints."""
    least = "at least " if found.capped else ""
    rows = [
        [
            row.touchpoint, f"{row.journeys:,}", f"{row.share:.1%}", f"{row.variants:,}", f"{least}{row.structural:,}",
            row.on, "unavoidable" if row.unavoidable else "",
        ]
        for row in found.touchpoints
    ]  # fmt: skip
    varied = "" if found.effective is None else f", as varied as {found.effective:.3g} equally frequent ones"
    cut_at = "nothing, for some reach it at once" if found.cut is None else ", ".join(found.cut) or "nothing"
    return "\n".join([
        f"{found.journeys:,} journeys reach {found.goal} on {found.variants:,} different paths{varied}",
        f"{found.direct:,} of them reach it at once, without a touchpoint before it",
        f"The graph allows {least}{found.structural:,} paths{'' if found.acyclic else ' without a repeat'}",
        f"A smallest set that every allowed path passes: {cut_at}",
        "",
        cut(["touchpoint", "journeys", "share", "paths", "allowed", "on paths", ""], rows, top, "touchpoints",
            right=(1, 3, 4)),
    ])  # fmt: skip


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
    strict = ", steps directly one after another" if result.strict else ""
    return "\n".join([f"{result.journeys:,} journeys{strict}", "", table(head, rows, right=(1, 4))])


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
