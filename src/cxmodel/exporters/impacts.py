"""Impact as a document and back: one row per touchpoint, its quantities side by side."""

from __future__ import annotations

from typing import Any, Final

from cxmodel.analysis.impact_results import ImpactEstimate, ImpactTable, Positivity
from cxmodel.exporters.measures import estimate_row, origin_of, origin_record, read_estimate
from cxmodel.exporters.parsing import Place
from cxmodel.exporters.plain import finite
from cxmodel.model.estimates import Origin

Record = dict[str, Any]
_QUANTITIES: Final = ("reach", "effect", "population", "relative", "risk_ratio", "placebo")


def impact_body(table: ImpactTable) -> Record:
    """Rows, and what all of them share."""
    usual = table.average.origin
    rows = [
        {
            "group": {"touchpoint": name}, "quantity": table.metric,
            **{key: estimate_row(each, usual) for key, each in row.quantities.items()},
            "e_value": finite(row.e_value), "e_value_limit": finite(row.e_value_limit),
            "positivity": [each.to_dict() for each in row.positivity],
        }
        for name, row in table.items()
    ]  # fmt: skip
    return {
        "metric": table.metric, "kind": "impact", "by": list(table.by), "outcome": table.outcome,
        "journeys": table.journeys, "average": estimate_row(table.average, usual), "instead": table.instead,
        "adjusted_for": list(table.adjusted_for), "controls": list(table.controls),
        "control_outcomes": list(table.control_outcomes), "failed": list(table.failed),
        "holdout": None if table.holdout is None else estimate_row(table.holdout, usual),
        "results": rows, "unassigned": None, "overlapping": True, "population": origin_record(usual),
    }  # fmt: skip


def impact_of(root: Place) -> ImpactTable:
    """The impact of a document."""
    usual = origin_of(root.get("population"))
    holdout = root.get("holdout")
    rows = [_row(each, usual) for each in root["results"]]
    return ImpactTable(
        by=root["by"].texts(), metric=root["metric"].text(), overlapping=root["overlapping"].flag(),
        groups={row.touchpoint: row for row in rows}, outcome=root["outcome"].text(),
        journeys=root["journeys"].whole(), average=read_estimate(root["average"], usual),
        instead=root["instead"].text(), adjusted_for=root["adjusted_for"].texts(), controls=root["controls"].texts(),
        failed=root["failed"].texts(), control_outcomes=root["control_outcomes"].texts(),
        holdout=None if holdout.missing else read_estimate(holdout, usual),
    )  # fmt: skip


def _row(row: Place, usual: Origin | None) -> ImpactEstimate:
    reach, effect, population, relative, risk, placebo = (read_estimate(row[name], usual) for name in _QUANTITIES)
    return ImpactEstimate(
        touchpoint=row["group"]["touchpoint"].text(), reach=reach, effect=effect, population=population,
        relative=relative, risk_ratio=risk, placebo=placebo, e_value=row.get("e_value").number_or_none(),
        e_value_limit=row.get("e_value_limit").number_or_none(),
        positivity=tuple(
            Positivity(
                cell={name: each["cell"][name].text() for name in each["cell"].record()},
                exposed=each["exposed"].whole(), compared=each["compared"].whole(),
            )
            for each in row["positivity"]
        ),
    )  # fmt: skip
