"""Commands that weigh: what drives a score, and what to fix first."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import click

from cxmodel.cli.options import (
    AnswerOptions,
    EventOptions,
    answer_options,
    event_options,
    files_argument,
    format_option,
    goal_option,
    level_option,
    out_option,
)
from cxmodel.cli.tables import table
from cxmodel.cli.talk import Format, deliver, document_of

if TYPE_CHECKING:
    from cxmodel.analysis.driver_results import DriverTable
    from cxmodel.analysis.priorities import Order
    from cxmodel.analysis.priority_results import PriorityTable
    from cxmodel.model.estimates import Estimate

_DRIVERS: Final = """What drives a score: shares of R², with the sign of the coefficient.

\b
Several questions of one survey:
  cxmodel drivers survey.csv --score overall --score food --scale csat --of overall
Scores at touchpoints against a score about the whole:
  cxmodel drivers events.csv --responses survey.csv --score rating --score overall
    --scale csat --of overall
"""
_PRIORITIES: Final = """What to fix first: touchpoints by reach × shortfall of their scores, or by another rule.

\b
  cxmodel priorities events.csv --responses survey.csv --score rating --scale csat
    --goal purchase
"""


@click.command(short_help="What drives a score: other questions, or scores at touchpoints.", help=_DRIVERS)
@click.argument("files", nargs=-1, metavar="[FILE]...")
@event_options
@answer_options
@click.option("--of", required=True, metavar="QUESTION", help="The score that is to be explained: one of --score.")
@click.option("--item", "items", multiple=True, metavar="NAME", help="A driver; repeatable. All if left out.")
@click.option(
    "--missing",
    type=click.Choice(["leave-out", "mean"]),
    help="Rows that lack answers: left out, or the mean put in.",
)
@level_option
@click.option("--bootstrap", type=click.IntRange(0), default=500, show_default=True, help="Replicates of customers.")
@click.option("--seed", type=int, default=0, help="Seed of the replicates.")
@format_option
@out_option
def drivers(
    files: Sequence[str], events: EventOptions, answers: AnswerOptions, of: str, items: Sequence[str],
    missing: str | None, level: float, bootstrap: int, seed: int, format_: Format | None, out: Path | None,
) -> None:  # fmt: skip
    """What drives a score: shares of R², with the sign of the coefficient."""
    from cxmodel.cli.reading import read_answers, read_journeys

    if not files and not answers.responses:
        raise click.UsageError("no file was named: name the survey.")
    gap: Literal["leave out", "mean"] | None = None
    if missing is not None:
        gap = "mean" if missing == "mean" else "leave out"
    if files and answers.responses:
        journeys = read_journeys(files, events)
        given = read_answers(list(answers.responses), answers, events, default=None, journeys=journeys)
        result = journeys.with_responses(given).drivers(
            of, items=items or None, missing=gap or "mean", level=level, bootstrap=bootstrap, seed=seed
        )
    else:
        survey = read_answers(list(answers.responses or files), answers, events, default=None)
        result = survey.drivers(
            of, items=items or None, missing=gap or "leave out", level=level, bootstrap=bootstrap, seed=seed
        )
    deliver(result, drivers_text(result), document_of(result, "drivers"), format_=format_, out=out)


@click.command(short_help="What to fix first: reach, score, pain, effort and impact by touchpoint.", help=_PRIORITIES)
@files_argument
@event_options
@answer_options
@click.option(
    "--rule",
    type=click.Choice(["shortfall", "pain", "pareto"]),
    default="shortfall",
    show_default=True,
    help="Reach × distance from the good end; reach × share of bad answers; or Pareto fronts.",
)
@goal_option
@click.option("--min-n", type=click.IntRange(0), default=10, show_default=True, help="Fewest answers for a score.")
@level_option
@click.option("--bootstrap", type=click.IntRange(0), default=500, show_default=True, help="Replicates of customers.")
@click.option("--seed", type=int, default=0, help="Seed of the replicates.")
@format_option
@out_option
def priorities(
    files: Sequence[str], events: EventOptions, answers: AnswerOptions, rule: Order, goal: str | None, min_n: int,
    level: float, bootstrap: int, seed: int, format_: Format | None, out: Path | None,
) -> None:  # fmt: skip
    """What to fix first: touchpoints by reach × shortfall of their scores, or by another rule."""
    from cxmodel.cli.reading import goal_of, read_answers, read_journeys

    if not answers.responses:
        raise click.UsageError("no answers were named: add --responses FILE.")
    journeys = read_journeys(files, events)
    given = read_answers(list(answers.responses), answers, events, default=None, journeys=journeys)
    result = journeys.with_responses(given).priorities(
        answers.question, rule=rule, outcome=None if goal is None else goal_of(goal, journeys.facts), min_n=min_n,
        level=level, bootstrap=bootstrap, seed=seed,
    )  # fmt: skip
    deliver(result, priorities_text(result), document_of(result, "priorities"), format_=format_, out=out)


def priorities_text(result: PriorityTable) -> str:
    """Priorities as a table."""
    rows: list[list[str]] = []
    for name, each in result.items():
        top = result.in_top(name)
        rows.append([
            name, _cell(each.priority, ".3f"), _ends(each.priority, ".3f"), "–" if top is None else f"{top:.0%}",
            _cell(each.reach, ".1%"), _cell(each.score, ".2f"), _cell(each.pain, ".1%"), _cell(each.effort, ".2f"),
            _cell(each.wait, ".1%"), _cell(each.impact, "+.3f"), each.priority.reason or "",
        ])  # fmt: skip
    head = [
        "touchpoint", "priority", "interval", "in top 3", "reach", "score", "pain", "effort", "wait", "impact", "notes",
    ]  # fmt: skip
    impact = next((each.impact.reason for each in result.values() if each.impact.value is None), None)
    return "\n".join([
        str(result).splitlines()[0], "", table(head, rows, right=tuple(range(1, len(head) - 1))),
        "Priority: reach × " + ("share of bad answers." if result.rule == "pain" else "shortfall of the mean score."),
        *([f"No impact where “–” stands: {impact}."] if impact else []),
    ])  # fmt: skip


def drivers_text(result: DriverTable) -> str:
    """Drivers as a table."""
    rows = [
        [
            name, each.sign, _cell(each.share, ".3f"), _ends(each.share, ".3f"), _cell(each.coefficient, "+.2f"),
            _ends(each.coefficient, "+.2f"), _cell(each.penalty, "+.2f"), _cell(each.reward, "+.2f"),
            _cell(each.asymmetry, "+.2f"),
        ]
        for name, each in result.items()
    ]  # fmt: skip
    head = ["driver", "sign", "share of R²", "interval", "coefficient", "interval", "bad", "best", "asymmetry"]
    method = next((each.share.interval.method for each in result.values() if each.share.interval is not None), "none")
    return "\n".join([
        str(result).splitlines()[0], "", table(head, rows, right=tuple(range(2, len(head)))),
        f"Shares have no sign and sum to R²; the sign is the coefficient's. Intervals: {method}.",
    ])  # fmt: skip


def _cell(estimate: Estimate, spec: str) -> str:
    return "–" if estimate.value is None else format(estimate.value, spec)


def _ends(estimate: Estimate, spec: str) -> str:
    if estimate.interval is None:
        return "–"
    return f"{format(estimate.interval.low, spec)} to {format(estimate.interval.high, spec)}"
