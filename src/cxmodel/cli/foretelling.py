"""Commands that look ahead: outlook, positions, what-if, orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from attrs import evolve

from cxmodel.cli.options import EventOptions, event_options, files_argument, format_option, out_option
from cxmodel.cli.talk import Format, deliver, say

if TYPE_CHECKING:
    from cxmodel.journeys import Journeys
    from cxmodel.model.goals import Goal

_goal_option = click.option(
    "--goal", required=True, metavar="NAME[=TP,TP]", help="Where journeys are to lead: a touchpoint, or a name of some."
)


def _moment(_ctx: click.Context, _param: click.Parameter, text: str | None) -> datetime | None:
    try:
        return None if text is None else datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is no time; write 2026-01-31 or 2026-01-31T12:00+01:00") from None


@click.command(short_help="What is likely next and in the end, fitted to be asked later.")
@files_argument
@event_options
@_goal_option
@click.option("--order", type=click.IntRange(1, 6), default=3, show_default=True, help="Most touchpoints remembered.")
@click.option(
    "--split", callback=_moment, metavar="TIME", help="Fit on what was before, and hold later journeys against it."
)
@click.option("--save", type=click.Path(dir_okay=False, path_type=Path), help="Write the outlook for an app to open.")
@format_option
@out_option
def outlook(
    files: Sequence[str], events: EventOptions, goal: str, order: int, split: datetime | None, save: Path | None,
    format_: Format | None, out: Path | None,
) -> None:  # fmt: skip
    """What is likely next and in the end. With --split it says how well later journeys were foretold.

    --split TIME --out reliability.svg draws the chances that were foretold against what came.
    """
    journeys, wanted = _asked(files, events, goal)
    fitted = journeys.outlook(wanted, order=order, until=split)
    if save is not None:
        fitted.save(save)
        say(f"Wrote {save}")
    _deliver(fitted if split is None else fitted.evaluate(journeys), format_, out)


@click.command(short_help="Where customers are: before, now and next.")
@files_argument
@event_options
@_goal_option
@click.option("--who", metavar="ID", help="Only this customer, with what came before and all that is likely next.")
@click.option("--now", callback=_moment, metavar="TIME", help="The present; the end of the data if not given.")
@click.option("--top", type=click.IntRange(0), default=20, show_default=True, help="How many to show as text.")
@format_option
@out_option
def positions(
    files: Sequence[str], events: EventOptions, goal: str, who: str | None, now: datetime | None, top: int,
    format_: Format | None, out: Path | None,
) -> None:  # fmt: skip
    """Where all customers are in their latest journeys, with the chance of the goal; JSON lists all of them."""
    from cxmodel.cli.wording import positions_text
    from cxmodel.exporters.documents import document

    journeys, wanted = _asked(files, events, goal)
    if who is not None:
        _deliver(journeys.position(who, goal=wanted, now=now), format_, out)
        return
    result = journeys.positions(wanted, now=now)
    deliver(result, positions_text(result, top), document(result), format_=format_, out=out)


@click.command("what-if", short_help="Where a point of improvement pays, if the chain may be asked.")
@files_argument
@event_options
@_goal_option
@click.option("--top", type=click.IntRange(1), default=10, show_default=True, help="How many improvements to show.")
@click.option(
    "--by", type=click.FloatRange(0, 1, min_open=True), default=0.01, show_default=True,
    help="Share of the visits that is kept from leaving.",
)  # fmt: skip
@format_option
@out_option
def what_if(
    files: Sequence[str], events: EventOptions, goal: str, top: int, by: float, format_: Format | None,
    out: Path | None,
) -> None:  # fmt: skip
    """The checks of a first-order chain, and where it pays most to keep customers from leaving.

    Exit code 1 where the checks refuse an answer.
    """
    journeys, wanted = _asked(files, events, goal)
    result = evolve(journeys.what_if(wanted), by=by, most=top)
    lines = [str(result)]
    if result.refused is None:
        from cxmodel.analysis.what_if import ASSUMES

        lines.append(f"If {ASSUMES}:")
        lines += [f"  {by:.1%} kept at {each.touchpoint!r} for {each.to!r}: {each.gain:+.2%}" for each in
                  result.ranking()]  # fmt: skip
    _deliver(result, format_, out, "\n".join(lines))
    if result.refused is not None:
        click.get_current_context().exit(1)


@click.command(short_help="How many touchpoints journeys remember.")
@files_argument
@event_options
@_goal_option
@click.option("--most", type=click.IntRange(1, 6), default=4, show_default=True, help="Longest memory.")
@format_option
@out_option
def orders(
    files: Sequence[str], events: EventOptions, goal: str, most: int, format_: Format | None, out: Path | None
) -> None:  # fmt: skip
    """Chains of order 0 to --most on the same steps: likelihood, BIC, AIC and held-out log-loss."""
    journeys, wanted = _asked(files, events, goal)
    _deliver(journeys.chain_orders(wanted, most=most), format_, out)


def _asked(files: Sequence[str], events: EventOptions, goal: str) -> tuple[Journeys, Goal]:
    from cxmodel.cli.reading import goal_of, read_journeys

    journeys = read_journeys(files, events)
    return journeys, goal_of(goal, journeys.facts)


def _deliver(result: Any, format_: Format | None, out: Path | None, text: str | None = None) -> None:
    from cxmodel.exporters.documents import document

    deliver(result, text or str(result), document(result), format_=format_, out=out)
