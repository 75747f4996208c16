"""JSON: every result as a versioned document, and back."""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from attrs import frozen

from cxmodel.analysis.bottlenecks import BottleneckTable
from cxmodel.analysis.credits import CreditComparison, CreditTable
from cxmodel.analysis.funnels import FunnelTable
from cxmodel.analysis.paths import PathTable, TopPaths
from cxmodel.analysis.surprises import SurpriseTable
from cxmodel.analysis.time_to import TimeToGoal
from cxmodel.analysis.transitions import TransitionTable
from cxmodel.graph import JourneyGraph
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate
from cxmodel.plugins.bases import Exporter

SCHEMA: Final = "cxmodel/{kind}/1"


@frozen(kw_only=True)
class JsonExporter(Exporter[Any]):
    """Graphs, estimates, breakdowns, paths, funnels and credits as JSON."""

    name: ClassVar[str] = "json"
    extensions: ClassVar[tuple[str, ...]] = (".json",)
    takes: ClassVar[tuple[type, ...]] = (
        JourneyGraph, Breakdown, Estimate, TopPaths, PathTable, FunnelTable, TransitionTable, CreditComparison,
        SurpriseTable, BottleneckTable, TimeToGoal,
    )  # fmt: skip

    def write(self, obj: Any, extension: str) -> bytes:
        """UTF-8 text, indented by two."""
        return (json.dumps(document(obj), ensure_ascii=False, indent=2, allow_nan=False) + "\n").encode()


def document(obj: object) -> dict[str, Any]:
    """The document of a result: plain values, with its schema."""
    if isinstance(obj, JourneyGraph):
        return _document("graph", obj.to_dict())
    if isinstance(obj, (TopPaths, PathTable)):
        return _document("paths", obj.to_dict())
    if isinstance(obj, FunnelTable):
        return _document("funnel", obj.to_dict())
    if isinstance(obj, TransitionTable):
        return _document(
            "transitions", {"transitions": obj.to_records(), "journeys": obj.journeys, "events": obj.events}
        )
    return measure_document(obj, "value")


def measure_document(obj: object, metric: str) -> dict[str, Any]:
    """The document of a measurement: one row per group and quantity."""
    if isinstance(obj, Estimate):
        row = {"group": {}, "quantity": metric, **obj.to_dict()}
        return _document("measure", {"metric": metric, "results": [row], "unassigned": None, "overlapping": False})
    if isinstance(obj, CreditTable):
        body = {"metric": obj.metric, "goal": obj.goal, "conversions": obj.conversions, "results": obj.to_records()}
        return _document("measure", {**body, "unassigned": None, "overlapping": False})
    if isinstance(obj, Breakdown):
        rows = [row for row in obj.to_records() if any(value is not None for value in row["group"].values())]  # type: ignore[attr-defined]
        rest = obj.unassigned.to_dict() if isinstance(obj.unassigned, Estimate) else None
        body = {"metric": obj.metric, "results": rows, "unassigned": rest, "overlapping": obj.overlapping}
        return _document("measure", body)
    if isinstance(obj, CreditComparison):
        return _document(
            "measure", {"metric": metric, "results": obj.to_records(), "unassigned": None, "overlapping": False}
        )
    if isinstance(obj, (SurpriseTable, BottleneckTable, TimeToGoal)):
        body = {"metric": metric, "results": obj.to_records(), "unassigned": None, "overlapping": False}
        return _document("measure", body)
    return _document("measure", {"metric": metric, "results": [{"group": {}, "quantity": metric, "result": str(obj)}]})


def _document(kind: str, body: dict[str, Any]) -> dict[str, Any]:
    return {"schema": SCHEMA.format(kind=kind), **body}
