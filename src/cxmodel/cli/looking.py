"""Commands that look around: what is in a file, what is installed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cxmodel.cli.options import EventOptions, event_options, files_argument, format_option, out_option, top_option
from cxmodel.cli.tables import cut, table
from cxmodel.cli.talk import Format, as_json, deliver

if TYPE_CHECKING:
    from cxmodel.journeys import Journeys


@click.command(short_help="What is in a file, and what could not be read.")
@files_argument
@event_options
@top_option
@format_option
@out_option
def check(files: Sequence[str], events: EventOptions, top: int, format_: Format | None, out: Path | None) -> None:
    """Read events and say what is there: rows kept and rejected, with the reason and examples of each."""
    from cxmodel.cli.reading import read_journeys

    journeys = read_journeys(files, events, quiet=True)
    deliver(journeys, _checked(journeys, top), _check_document(journeys), format_=format_, out=out)


def _check_document(journeys: Journeys) -> dict[str, Any]:
    facts, reading = journeys.facts, journeys.reading.to_dict()
    return {
        "schema": "cxmodel/check/1",
        "rows": reading["rows"], "kept": reading["kept"], "rejected": reading["rejected"],
        "customers": facts.customers, "journeys": facts.journeys, "events": facts.events,
        "touchpoints": len(facts.touchpoints), "names": list(facts.touchpoints),
        "first": facts.first and facts.first.isoformat(), "last": facts.last and facts.last.isoformat(),
        "columns": {"events": list(facts.event_columns), "journeys": list(facts.journey_columns)},
        "notes": reading["notes"], **_vocabulary_document(journeys),
    }  # fmt: skip


def _vocabulary_document(journeys: Journeys) -> dict[str, Any]:
    report = journeys.vocabulary_report
    return {} if report is None else {"vocabulary": report.to_dict()}


def _checked(journeys: Journeys, top: int) -> str:
    facts, reading = journeys.facts, journeys.reading
    counts = journeys.transitions()
    lines = [f"{reading.rows:,} rows read, {reading.kept:,} kept, {reading.rejected_rows:,} rejected"]
    for reason, each in reading.rejected.items():
        lines.append(f"  {each.count:,} rejected: {reason}")
        lines += [
            f"    {e.file}, row {e.row}: {'(empty)' if e.value is None else repr(e.value)}" for e in each.examples
        ]
    lines += [f"  Note: {note}" for note in reading.notes]
    lines.append(
        f"{facts.customers:,} customers, {facts.journeys:,} journeys, {facts.events:,} events at "
        f"{len(facts.touchpoints):,} touchpoints"
    )
    if facts.first and facts.last:
        lines.append(f"from {facts.first:%Y-%m-%d %H:%M:%S} to {facts.last:%Y-%m-%d %H:%M:%S} UTC")
    rows = sorted(
        zip(counts.touchpoints, counts.count.tolist(), counts.passing.tolist(), strict=True),
        key=lambda row: (-row[1], row[0]),
    )
    head = ["touchpoint", "events", "journeys"]
    counted = [[name, f"{n:,}", f"{passing:,}"] for name, n, passing in rows]
    lines += ["", cut(head, counted, top, "touchpoints", right=(1, 2))]
    if (report := journeys.vocabulary_report) is not None:
        used = [[str(use.rule), f"{use.names:,}", f"{use.events:,}"] for use in report.uses]
        lines += ["", table(["rule", "names", "events"], used, right=(1, 2))]
        lost = [[name, f"{events:,}"] for name, events in report.unmatched]
        lines += ["", cut(["matched by no rule", "events"], lost, top, "names", right=(1,))] if lost else []
    columns = [*facts.event_columns, *facts.journey_columns]
    if columns:
        lines += ["", "Can be grouped by: " + ", ".join(columns)]
    return "\n".join(lines)


@click.command(short_help="Metrics, exporters and readers that are installed.")
@format_option
def plugins(format_: Format | None) -> None:
    """Metrics, exporters and readers: what is there, from where, and what is broken and why."""
    from cxmodel.exporting import installed_plugins

    installed = installed_plugins()
    if format_ == "json":
        click.echo(as_json([{"schema": "cxmodel/plugins/1", **each.to_dict()} for each in installed]))
        return
    rows = [[p.kind, p.name, f"{p.distribution} {p.version}", p.status, p.reason or ""] for p in installed]
    click.echo(table(["kind", "name", "from", "status", "reason"], rows))
