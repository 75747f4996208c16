"""Documents: results as plain, versioned objects, and back without loss.

Every document carries ``schema`` (``"cxmodel/graph/1"``). Readers ignore keys they do not know, so a minor addition
never changes the number; a new number means that old readers must not guess.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from cxmodel.analysis.credits import CreditComparison, CreditTable
from cxmodel.analysis.driver_results import DriverTable
from cxmodel.analysis.funnels import FunnelTable
from cxmodel.analysis.impact_results import ImpactTable
from cxmodel.analysis.paths import Path, PathTable, Remainder, TopPaths
from cxmodel.analysis.priority_results import PriorityTable
from cxmodel.analysis.transitions import TransitionTable
from cxmodel.errors import DocumentError, listed
from cxmodel.exporters.analyses import KINDS, READ, Analysis, analysis_body, analysis_of, record_of
from cxmodel.exporters.columns import transitions_body, transitions_of
from cxmodel.exporters.impacts import impact_body, impact_of
from cxmodel.exporters.measures import (
    breakdown_body,
    breakdown_of,
    comparison_body,
    comparison_of,
    credit_body,
    credit_of,
    estimate_body,
    estimate_row,
    origin_of,
    origin_record,
    single_estimate_of,
)
from cxmodel.exporters.parsing import Place
from cxmodel.exporters.plain import plain
from cxmodel.graph import JourneyGraph
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate

VERSION: Final = 1
Record = dict[str, Any]


def document(obj: object, *, metric: str = "value") -> Record:
    """The document of a result: plain values, with its schema.

    Args:
        obj: A graph, an estimate, a breakdown, paths, a funnel, transitions, credits, a path analysis, or a dict of
            named ones. Any other result is told by its ``to_dict``, and cannot be read back.
        metric: What a single estimate measures; it does not know its name.

    Raises:
        InvalidValueError: There is no document for such an object.
    """
    if isinstance(obj, dict):
        return _versioned("bundle", {"results": {str(name): document(each) for name, each in obj.items()}})
    if isinstance(obj, JourneyGraph):
        return _versioned("graph", _graph_body(obj))
    if isinstance(obj, (TopPaths, PathTable)):
        top = obj.top(obj.distinct) if isinstance(obj, PathTable) else obj
        return _versioned("paths", {**top.to_dict(), "population": origin_record(top.origin)})
    if isinstance(obj, FunnelTable):
        return _versioned("funnel", _funnel_body(obj))
    if isinstance(obj, TransitionTable):
        return _versioned("transitions", transitions_body(obj))
    return _versioned("measure", _measure_body(obj, metric))


def result(root: Place) -> object:
    """The result that a document describes.

    Raises:
        DocumentError: The document has no schema, one that is not known, or does not follow it; says where.
    """
    return _READERS[_kind(root)](root)


def _measure_body(obj: object, metric: str) -> Record:
    if isinstance(obj, Estimate):
        return estimate_body(obj, metric)
    if isinstance(obj, CreditTable):
        return credit_body(obj)
    if isinstance(obj, CreditComparison):
        return comparison_body(obj)
    if isinstance(obj, ImpactTable):
        return impact_body(obj)
    if isinstance(obj, Breakdown) and not isinstance(obj, (DriverTable, PriorityTable)):
        return breakdown_body(obj, document)
    if isinstance(obj, Analysis):
        return analysis_body(obj, None if metric == "value" else metric)
    to_dict = getattr(obj, "to_dict", None)
    told = plain(obj if to_dict is None else to_dict(), type(obj).__name__)
    row = {"group": {}, "quantity": metric, "result": told}
    return {"metric": metric, "kind": "other", "results": [row], "unassigned": None, "overlapping": False}


def _versioned(kind: str, body: Mapping[str, Any]) -> Record:
    return {"schema": f"cxmodel/{kind}/{VERSION}", **body}


def _kind(root: Place) -> str:
    if not isinstance(root.value, dict) or "schema" not in root.value:
        raise DocumentError(
            f"{root.path} has no schema, so it is not known what it holds",
            hint=f'Write "schema": one of {listed(_schemas())}',
        )
    schema = root["schema"].text()
    parts = schema.split("/")
    if len(parts) != 3 or parts[0] != "cxmodel" or parts[1] not in _READERS or not parts[2].isdecimal():
        raise DocumentError(
            f"{root.path}.schema is {schema!r}, which is not a result", hint=f"Known are {listed(_schemas())}"
        )
    if int(parts[2]) != VERSION:
        raise DocumentError(
            f"{root.path}.schema is {schema!r}; this version of cxmodel reads cxmodel/{parts[1]}/{VERSION}",
            hint="The file was written by a newer version: pip install --upgrade cxmodel" if int(parts[2]) > VERSION
            else f"Write the result again, or set the schema to cxmodel/{parts[1]}/{VERSION}",
        )  # fmt: skip
    return parts[1]


def _schemas() -> list[str]:
    return [f"cxmodel/{kind}/{VERSION}" for kind in sorted(_READERS)]


def _graph_body(graph: JourneyGraph) -> Record:
    body = graph.to_dict()
    return {key: plain(value, f"graph.{key}") for key, value in body.items()}


def _read_graph(root: Place) -> JourneyGraph:
    seen = set()
    for node in root["nodes"]:
        seen.add(node["id"].text())
    for edge in root["edges"]:
        for end in ("source", "target"):
            if edge[end].text() not in seen:
                raise DocumentError(f"{edge.path}.{end} is {edge[end].text()!r}, which is no node")
    return JourneyGraph.from_dict(root.record())


def _read_paths(root: Place) -> TopPaths:
    shown = tuple(
        Path(each["touchpoints"].texts(), each["count"].whole(), each["share"].number()) for each in root["paths"]
    )
    other = root["other"]
    return TopPaths(
        journeys=root["journeys"].whole(), distinct=root["distinct"].whole(), shown=shown,
        other=Remainder(other["paths"].whole(), other["count"].whole(), other["share"].number()),
        origin=origin_of(root.get("population")),
    )  # fmt: skip


def _funnel_body(funnel: FunnelTable) -> Record:
    steps = [
        {
            **step.to_dict(),
            "of_first": estimate_row(step.of_first, funnel.origin),
            "of_previous": estimate_row(step.of_previous, funnel.origin),
        }
        for step in funnel.steps
    ]
    return {**funnel.to_dict(), "steps": steps, "population": origin_record(funnel.origin)}


def _read_funnel(root: Place) -> FunnelTable:
    return record_of(root, FunnelTable, origin_of(root.get("population")))


def _read_measure(root: Place) -> object:
    known = ("breakdown", "credit", "credits", "estimate", "impact", "other", *KINDS.values())
    kind = root["kind"].one_of(known)
    if kind in READ:
        return analysis_of(root)
    if kind in KINDS.values():
        raise DocumentError(
            f"{root.path} is of the kind {kind!r}, which is written in summary and not read back",
            hint="Read $.results[0].result with json.loads",
        )
    if kind == "other":
        raise DocumentError(
            f"{root.path} is the result of {root['metric'].text()!r}, whose class only its plugin knows",
            hint="Read $.results[0].result with json.loads",
        )
    if kind == "estimate":
        return single_estimate_of(root)
    if kind == "credit":
        return credit_of(root)
    if kind == "impact":
        return impact_of(root)
    return comparison_of(root) if kind == "credits" else breakdown_of(root, result)


def _read_bundle(root: Place) -> dict[str, object]:
    return {name: result(root["results"][name]) for name in root["results"].record()}


_READERS: Final[dict[str, Callable[[Place], object]]] = {
    "bundle": _read_bundle,
    "funnel": _read_funnel,
    "graph": _read_graph,
    "measure": _read_measure,
    "paths": _read_paths,
    "transitions": transitions_of,
}
