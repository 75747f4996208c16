"""Commands that ask: graph, paths, funnel, measure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import click

from cxmodel.cli.options import (
    SHOWN,
    EventOptions,
    answer_options,
    as_duration,
    as_settings,
    by_option,
    event_options,
    files_argument,
    format_option,
    goal_option,
    level_option,
    out_option,
    top_option,
)
from cxmodel.cli.talk import Format, deliver
from cxmodel.cli.wording import graph_text, in_words, paths_text
from cxmodel.errors import InvalidValueError

_MEASURING: Final = """Measure nps, csat, ces1, ces2, mean_score, conversion_rate, length, duration, markov_credit…

'cxmodel plugins' lists all metrics.

\b
Events and answers:
  cxmodel measure csat events.csv --responses survey.csv --score rating --by touchpoint
A survey alone:
  cxmodel measure nps survey.csv --score answer --weight weight --code 11=
Events alone:
  cxmodel measure conversion_rate events.csv --goal purchase=payment_done --by channel
"""


@click.command(short_help="The journey graph: touchpoints and transitions.")
@files_argument
@event_options
@click.option(
    "--max-edges", type=click.IntRange(0), help="Keep only the most frequent transitions; the rest is counted."
)
@top_option
@format_option
@out_option
def graph(
    files: Sequence[str], events: EventOptions, max_edges: int | None, top: int, format_: Format | None,
    out: Path | None,
) -> None:  # fmt: skip
    """The journey graph: how often each touchpoint and each transition happens, with shares and median waits.

    With --out picture.svg it is drawn; .json, .graphml and others keep it for other programs.
    """
    from cxmodel.analysis.transitions import MOST_EDGES
    from cxmodel.cli.reading import read_journeys
    from cxmodel.exporters.documents import document

    table = read_journeys(files, events).transitions()
    if max_edges is None and len(table) > MOST_EDGES:
        raise InvalidValueError(
            f"{len(table):,} transitions are too many for a graph",
            hint="Keep the most frequent: --max-edges 1000; or have all as a table: cxmodel measure transitions",
        )
    result = table.graph(max_edges=max_edges)
    made = document(result)
    deliver(result, graph_text(made, top), made, format_=format_, out=out)


@click.command(short_help="The most frequent paths, and how many take another.")
@files_argument
@event_options
@click.option("--top", type=click.IntRange(0), default=10, show_default=True, help="How many paths to show.")
@format_option
@out_option
def paths(files: Sequence[str], events: EventOptions, top: int, format_: Format | None, out: Path | None) -> None:
    """The sequences of touchpoints that journeys take: the most frequent ones, and the rest as one line."""
    from cxmodel.cli.reading import read_journeys
    from cxmodel.exporters.documents import document

    result = read_journeys(files, events).paths().top(top)
    deliver(result, paths_text(result), document(result), format_=format_, out=out)


@click.command(short_help="How many journeys pass given steps in order.")
@files_argument
@event_options
@click.option("--step", "steps", multiple=True, required=True, metavar="NAME", help="A touchpoint; repeat in order.")
@click.option(
    "--goal",
    "goals",
    multiple=True,
    metavar="NAME[=TP,TP]",
    help="A goal that --step may name; without, the last step.",
)
@click.option(
    "--within", callback=as_duration, metavar="DURATION", help="Longest time from the first step to any later one."
)
@click.option("--strict", is_flag=True, help="Each step is the very next touchpoint after the one before it.")
@by_option
@level_option
@format_option
@out_option
def funnel(
    files: Sequence[str], events: EventOptions, steps: Sequence[str], goals: Sequence[str], within: timedelta | None,
    strict: bool, by: Sequence[str], level: float, format_: Format | None, out: Path | None,
) -> None:  # fmt: skip
    """How many journeys pass the steps in the given order; other touchpoints may lie between.

    A step is a touchpoint or the name of a --goal; a goal that no step names is the last step.
    """
    from cxmodel.cli.measuring import columns_of_groups, groupings
    from cxmodel.cli.reading import goal_of, read_journeys
    from cxmodel.exporters.documents import document

    if len(steps) + len(set(goals) - set(steps)) < 2:
        raise click.UsageError(f"a funnel needs two steps or more; repeat --step (there is only {steps[0]!r}).")
    grouped = groupings(by, events.tz)
    journeys = read_journeys(files, events, by=columns_of_groups(by))
    known = {goal.name: goal for goal in (goal_of(text, journeys.facts) for text in goals)}
    asked = [known.get(name) or goal_of(name, journeys.facts) for name in steps]
    asked += [goal for name, goal in known.items() if name not in steps]
    result: object = journeys.measure("funnel", by=grouped, level=level, steps=asked, within=within, strict=strict)
    made = document(result, metric="funnel")
    deliver(result, in_words(result, made, SHOWN), made, format_=format_, out=out)


@click.command(help=_MEASURING, short_help="Any metric, of everything or by touchpoint, channel, attribute…")
@click.argument("metric")
@click.argument("files", nargs=-1, metavar="[FILE]...")
@event_options
@answer_options
@by_option
@goal_option
@click.option("--step", "steps", multiple=True, metavar="NAME", help="A step of a funnel; repeat in order.")
@click.option(
    "--within",
    callback=as_duration,
    metavar="DURATION",
    help="Longest time: of a metric that has such a limit (a funnel, credit…), else from a touchpoint to an answer.",
)
@click.option("--min-n", type=click.IntRange(0), help="Show no value that rests on fewer answers than this.")
@click.option(
    "--option",
    "settings",
    callback=as_settings,
    metavar="NAME=VALUE",
    multiple=True,
    help="Any other option of the metric; repeatable.",
)
@level_option
@click.option(
    "--bootstrap", type=click.IntRange(0), default=0, help="Number of replicates of customers; 0 for formulas."
)
@click.option("--seed", type=int, default=0, help="Seed of the replicates.")
@top_option
@format_option
@out_option
def measure(metric: str, files: Sequence[str], format_: Format | None, out: Path | None, **asked: Any) -> None:
    """Measure a metric by its name and say what came out."""
    from cxmodel.cli.measuring import Asked, measured_result

    found = measured_result(metric, files, Asked(**asked))
    deliver(found.result, found.text, found.document, format_=format_, out=out)
    if not found.has_value:
        click.get_current_context().exit(1)
