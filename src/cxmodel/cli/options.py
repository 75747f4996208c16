"""Options: what a user types, as the values that the library takes."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import Any, Final, TypeVar

import click
from attrs import fields, frozen

from cxmodel.cli.rulebooks import RuleBook
from cxmodel.errors import CxmodelError
from cxmodel.model.scales import Scale

SHOWN: Final = 50
F = TypeVar("F", bound=Callable[..., Any])

_UNITS: Final = {
    "w": "weeks", "week": "weeks", "weeks": "weeks", "d": "days", "day": "days", "days": "days", "h": "hours",
    "hour": "hours", "hours": "hours", "m": "minutes", "min": "minutes", "mins": "minutes", "minute": "minutes",
    "minutes": "minutes", "s": "seconds", "sec": "seconds", "second": "seconds", "seconds": "seconds",
    "ms": "milliseconds",
}  # fmt: skip
_PART: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_ISO: Final = re.compile(
    r"P(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?",
    re.IGNORECASE,
)


def duration(text: str) -> timedelta | None:
    """A duration from text, or None where it is none.

    Example:
        >>> duration("1h30m"), duration("PT30M") == duration("30min"), duration("7d").days, duration("soon")
        (datetime.timedelta(seconds=5400), True, 7, None)
    """
    plain = text.strip()
    iso = _ISO.fullmatch(plain)
    try:
        if iso and any(iso.groups()):
            names = ("weeks", "days", "hours", "minutes", "seconds")
            return timedelta(**{name: float(n) for name, n in zip(names, iso.groups(), strict=True) if n})
        parts = _PART.findall(plain)
        if not parts or _PART.sub("", plain).strip() or any(unit.lower() not in _UNITS for _, unit in parts):
            return None
        return sum((timedelta(**{_UNITS[unit.lower()]: float(n)}) for n, unit in parts), timedelta(0))
    except OverflowError:
        return None


def as_duration(_ctx: click.Context, _param: click.Parameter, text: str | None) -> timedelta | None:
    """A positive duration."""
    if text is None:
        return None
    found = duration(text)
    if found is None:
        raise click.BadParameter(f"{text!r} is no duration. Write for instance 30min, 7d, 1h30m or PT30M.")
    if found <= timedelta(0):
        raise click.BadParameter(f"{text!r} is not longer than nothing.")
    return found


def as_scales(_ctx: click.Context, _param: click.Parameter, texts: Sequence[str]) -> tuple[Scale, ...]:
    """Scales by name, or of one's own."""
    try:
        return tuple(Scale.parse(text) for text in texts)
    except CxmodelError as error:
        raise click.BadParameter(str(error)) from None


def as_codes(
    _ctx: click.Context, _param: click.Parameter, texts: Sequence[str]
) -> tuple[tuple[str, float | None], ...]:  # fmt: skip
    """Codes of answers: ``11=`` means blank, ``99=5`` stands for a score."""
    return tuple(_code(text) for text in texts)


def _code(text: str) -> tuple[str, float | None]:
    code, sign, meant = text.partition("=")
    if not sign:
        raise click.BadParameter(f"{text!r} says no meaning. Write {text}= for a blank, or {text}=5 for a score.")
    try:
        return code.strip(), float(meant) if meant.strip() else None
    except ValueError:
        raise click.BadParameter(f"{meant!r} in {text!r} is no number.") from None


def as_rules(_ctx: click.Context, _param: click.Parameter, path: str | None) -> RuleBook:
    """The rules of a file; none without one."""
    try:
        return RuleBook() if path is None else RuleBook.read(Path(path))
    except CxmodelError as error:
        raise click.BadParameter(str(error)) from None


def as_settings(_ctx: click.Context, _param: click.Parameter, texts: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Settings ``NAME=VALUE``."""
    parts = [text.partition("=") for text in texts]
    for text, (name, sign, _) in zip(texts, parts, strict=True):
        if not sign or not name:
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.")
    return tuple((name.strip().replace("-", "_"), value) for name, _, value in parts)


@frozen(kw_only=True)
class EventOptions:
    """How to read events, and what to do with them before the question."""

    customer: str | None
    touchpoint: str | None
    time: str | None
    journey: str | None
    channel: str | None
    value: str | None
    until: str | None
    attribute: tuple[str, ...]
    attributes_from: tuple[str, ...]
    preset: str | None
    rules: RuleBook
    tz: str | None
    memory_limit: str | None
    fold_rare: int | None
    matches: str | None
    gap: timedelta | None
    merge_repeats: bool


@frozen(kw_only=True)
class AnswerOptions:
    """How to read survey answers."""

    responses: tuple[str, ...]
    score: tuple[str, ...]
    scale: tuple[Scale, ...]
    question: str | None
    weight: str | None
    about: str | None
    code: tuple[tuple[str, float | None], ...]


def _stacked(options: Sequence[Callable[[F], F]], packed: str, into: type[Any]) -> Callable[[F], F]:
    """A decorator that adds options to a command and hands them over as one value."""
    names: list[str] = [each.name for each in fields(into)]

    def decorate(command: F) -> F:
        @wraps(command)
        def packing(*args: Any, **given: Any) -> Any:
            value = into(**{name: given.pop(name) for name in names})
            return command(*args, **{packed: value}, **given)

        wrapped: Any = packing  # click stacks options on whatever it is given
        for option in reversed(options):
            wrapped = option(wrapped)
        return wrapped  # type: ignore[no-any-return]

    return decorate


def _column(name: str, text: str) -> Callable[[F], F]:
    return click.option(f"--{name}", metavar="COL", help=text)


event_options = _stacked(
    [
        _column("customer", "Column with the customer's id."),
        _column("touchpoint", "Column with the touchpoint (the event's name)."),
        _column("time", "Column with the time."),
        _column("journey", "Column with the journey's id; '-' for none: a customer's whole history is one journey."),
        _column("channel", "Column with the channel."),
        _column("value", "Column with what an event was worth."),
        _column("until", "Column with the end of the event."),
        click.option("--attribute", multiple=True, metavar="COL", help="Further column to keep; repeatable."),
        click.option(
            "--attributes-from", multiple=True, metavar="FILE:ID[:COL,COL]",
            help="Facts about journeys from another table, joined on its column ID; repeatable.",
        ),
        click.option("--preset", metavar="NAME", help="Reader of a format of its own (see cxmodel plugins)."),
        click.option(
            "--rules", callback=as_rules, metavar="FILE",
            help="How raw names and addresses become touchpoints: a list of rules, as JSON or TOML.",
        ),
        click.option("--tz", metavar="ZONE", help="Zone of times that name none (Europe/Berlin); UTC if left out."),
        click.option(
            "--memory-limit", metavar="SIZE",
            help="Most memory to use (2GB); what does not fit waits in temporary files, with the same answers.",
        ),
        click.option(
            "--fold-rare", type=click.IntRange(1), metavar="N",
            help="Make touchpoints with fewer than N events one touchpoint, 'other'.",
        ),
        click.option("--matches", metavar="PATTERN", help="Only journeys on this path: 'cart => pay'."),
        click.option("--gap", callback=as_duration, metavar="DURATION", help="Cut journeys at longer gaps (30min)."),
        click.option("--merge-repeats", is_flag=True, help="Make consecutive events at one touchpoint one event."),
    ],
    "events",
    EventOptions,
)  # fmt: skip

answer_options = _stacked(
    [
        click.option("--responses", multiple=True, metavar="FILE", help="Survey answers; repeatable."),
        click.option("--score", multiple=True, metavar="COL", help="Column with the answers; repeatable."),
        click.option(
            "--scale", callback=as_scales, metavar="SCALE", multiple=True,
            help="nps, csat, ces1, ces2, emotion or own:LOW:HIGH:SATISFIED:higher|lower; one, or one per score.",
        ),
        click.option("--question", metavar="NAME", help="Which question, where several fit; else a name for the one."),
        _column("weight", "Column with the answer weight."),
        click.option(
            "--about", metavar="COL|NAME",
            help="Column with the touchpoint that an answer is about, or the one touchpoint that all are about.",
        ),
        click.option(
            "--code", callback=as_codes, metavar="CODE=", multiple=True,
            help="11= says that 11 means blank; 99=5 that it stands for 5.",
        ),
    ],
    "answers",
    AnswerOptions,
)  # fmt: skip

files_argument = click.argument("files", nargs=-1, required=True, metavar="FILE...")
format_option = click.option("--format", "format_", type=click.Choice(["text", "json"]), help="How to write to stdout.")
out_option = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="Write to a file; its ending says how (.json, .txt, or an exporter's: see 'cxmodel plugins').",
)  # fmt: skip
goal_option = click.option(
    "--goal", metavar="NAME[=TP,TP]", help="A touchpoint to reach, or a name and the touchpoints that attain it."
)
by_option = click.option(
    "--by", multiple=True, metavar="NAME",
    help="Group by touchpoint, channel, month…, attribute:COL, or pattern:[LABEL=]PATTERN (the first that a journey "
    "matches); repeatable.",
)  # fmt: skip
top_option = click.option(
    "--top", type=click.IntRange(0), default=SHOWN, show_default=True,
    help="How many rows to show as text; the others are counted. JSON has all of them.",
)  # fmt: skip
level_option = click.option(
    "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True,
    help="Confidence level of the intervals.",
)  # fmt: skip
