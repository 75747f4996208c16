"""The columnar table of transitions as records, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from cxmodel.analysis.transitions import TransitionTable
from cxmodel.errors import DocumentError
from cxmodel.exporters.measures import origin_of, origin_record
from cxmodel.exporters.parsing import Place
from cxmodel.exporters.plain import finite
from cxmodel.model.estimates import Origin
from cxmodel.stats.arrays import Ints
from cxmodel.stats.floats import Floats


def transitions_body(table: TransitionTable) -> dict[str, Any]:
    """One record per touchpoint and per transition, in the order of the table."""
    share = table.share
    touchpoints = [
        {
            "touchpoint": name, "count": int(table.count[row]), "starts": int(table.starts[row]),
            "ends": int(table.ends[row]), "journeys": int(table.passing[row]), "value": finite(float(table.value[row])),
            "facts": {fact: texts[row] for fact, texts in table.facts.items()},
        }
        for row, name in enumerate(table.touchpoints)
    ]  # fmt: skip
    transitions = [
        {
            "source": table.touchpoints[table.source[row]], "target": table.touchpoints[table.target[row]],
            "count": int(table.transitions[row]), "share": float(share[row]),
            "wait_median_s": float(table.wait_median_s[row]), "wait_mean_s": float(table.wait_mean_s[row]),
            "wait_total_s": float(table.wait_total_s[row]), "bridged": int(table.bridged[row]),
        }
        for row in range(len(table))
    ]  # fmt: skip
    return {
        "journeys": table.journeys, "customers": table.customers, "events": table.events, "currency": table.currency,
        "facts": list(table.facts), "stages": list(table.stages), "touchpoints": touchpoints,
        "transitions": transitions,
        "population": origin_record(table.origin),
    }  # fmt: skip


def transitions_of(root: Place) -> TransitionTable:
    """The table of a document."""
    nodes, edges = list(root["touchpoints"]), list(root["transitions"])
    names = tuple(node["touchpoint"].text() for node in nodes)
    row = {name: i for i, name in enumerate(names)}
    values = [node.get("value").number_or_none() for node in nodes]
    return TransitionTable(
        touchpoints=names, count=_ints(nodes, "count"), starts=_ints(nodes, "starts"), ends=_ints(nodes, "ends"),
        passing=_ints(nodes, "journeys"), value=np.array([np.nan if v is None else v for v in values], np.float64),
        source=_rows(edges, "source", row), target=_rows(edges, "target", row), transitions=_ints(edges, "count"),
        bridged=_ints(edges, "bridged"), wait_mean_s=_floats(edges, "wait_mean_s"),
        wait_median_s=_floats(edges, "wait_median_s"), wait_total_s=_floats(edges, "wait_total_s"),
        journeys=root["journeys"].whole(), customers=root["customers"].whole(), events=root["events"].whole(),
        currency=root.get("currency").text_or_none(), origin=origin_of(root["population"]) or Origin(source="unknown"),
        stages=() if (stages := root.get("stages")).missing else stages.texts(),
        facts={
            fact: tuple(node["facts"].get(fact).text_or_none() for node in nodes) for fact in root["facts"].texts()
        },
    )  # fmt: skip


def _ints(records: list[Place], key: str) -> Ints:
    return np.array([record[key].whole() for record in records], np.int64)


def _floats(records: list[Place], key: str) -> Floats:
    return np.array([record[key].number() for record in records], np.float64)


def _rows(records: list[Place], key: str, row: dict[str, int]) -> Ints:
    for record in records:
        if record[key].text() not in row:
            raise DocumentError(f"{record.path}.{key} is {record[key].text()!r}, which is no touchpoint of the table")
    return np.array([row[record[key].text()] for record in records], np.int64)
