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

from cxmodel.errors import CxmodelError
from cxmodel.model.scales import Scale

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


class Duration(click.ParamType[timedelta]):
    """``30min``, ``7d``, ``1h30m`` or ``PT30M``."""

    name = "DURATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:  # noqa: ANN401
        """A positive duration."""
        found = value if isinstance(value, timedelta) else duration(str(value))
        if found is None:
            self.fail(f"{value!r} is no duration. Write for instance 30min, 7d, 1h30m or PT30M.", param, ctx)
        if found <= timedelta(0):
            self.fail(f"{value!r} is not longer than nothing.", param, ctx)
        return found


class ScaleType(click.ParamType[Scale]):
    """The scale of a survey question."""

    name = "SCALE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Scale:  # noqa: ANN401
        """A scale by name, or of one's own."""
        try:
            return value if isinstance(value, Scale) else Scale.parse(str(value))
        except CxmodelError as error:
            self.fail(str(error), param, ctx)


class CodeType(click.ParamType[tuple[str, float | None]]):
    """``11=`` (a code that means blank) or ``99=5`` (a code that stands for a score)."""

    name = "CODE="

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, float | None]:  # noqa: ANN401
        """The code and the score that it stands for."""
        if isinstance(value, tuple):
            return value
        code, sign, meant = str(value).partition("=")
        if not sign:
            self.fail(f"{value!r} says no meaning. Write {value}= for a blank, or {value}=5 for a score.", param, ctx)
        try:
            return code.strip(), float(meant) if meant.strip() else None
        except ValueError:
            self.fail(f"{meant!r} in {value!r} is no number.", param, ctx)


class SettingType(click.ParamType[tuple[str, str]]):
    """``NAME=VALUE``."""

    name = "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:  # noqa: ANN401
        """The name and the text."""
        if isinstance(value, tuple):
            return value
        name, sign, text = str(value).partition("=")
        if not sign or not name:
            self.fail(f"{value!r} is not NAME=VALUE.", param, ctx)
        return name.strip().replace("-", "_"), text


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
    tz: str | None
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
    names = [each.name for each in fields(into)]

    def decorate(command: F) -> F:
        @wraps(command)
        def packing(*args: Any, **given: Any) -> Any:  # noqa: ANN401 (a command's options)
            value = into(**{name: given.pop(name) for name in names})
            return command(*args, **{packed: value}, **given)

        wrapped: Any = packing
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
        click.option("--tz", metavar="ZONE", help="Zone of times that name none (Europe/Berlin); UTC if left out."),
        click.option("--gap", type=Duration(), help="Cut journeys where two events lie further apart (30min)."),
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
            "--scale", type=ScaleType(), multiple=True,
            help="nps, csat, ces1, ces2, emotion or own:LOW:HIGH:SATISFIED:higher|lower; one for all, or one per --score.",
        ),
        click.option("--question", metavar="NAME", help="Which question, where several fit; else a name for the one."),
        _column("weight", "Column with the answer weight."),
        click.option(
            "--about", metavar="COL|NAME",
            help="Column with the touchpoint that an answer is about, or the one touchpoint that all are about.",
        ),
        click.option(
            "--code", type=CodeType(), multiple=True, help="11= says that 11 means blank; 99=5 that it stands for 5."
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
level_option = click.option(
    "--level", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.95, show_default=True,
    help="Confidence level of the intervals.",
)  # fmt: skip
