"""The measure command: from names and texts to a metric, what it is measured on, and its document."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from attrs import NOTHING, frozen

from cxmodel.cli.converting import converted, kinds_of
from cxmodel.cli.options import AnswerOptions, EventOptions
from cxmodel.cli.reading import goal_of, read_answers, read_journeys
from cxmodel.cli.tables import measured
from cxmodel.cli.talk import document_of, say
from cxmodel.cli.wording import in_words
from cxmodel.errors import InvalidValueError, NotMeasurableError, UnknownNameError, unknown
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Scale
from cxmodel.plugins.registry import default_registry

if TYPE_CHECKING:
    from cxmodel.tallies.groupings import By

_SCALES: Final = {
    "nps": Scale.nps(), "csat": Scale.csat(), "ces1": Scale.ces1(), "ces2": Scale.ces2(),
    "ces2_net": Scale.ces2(), "ces2_top": Scale.ces2(),
}  # fmt: skip
_PATTERN: Final = "pattern:"
_LABEL: Final = re.compile(r"""([^=()\[\]{}<>|!*^$"']+)=(?!>)""")
_CLOCK: Final = ("year", "month", "week", "day", "weekday", "hour")
_WHERE_ANSWERS: Final = "Add --responses FILE; or, where FILE itself is a survey, --score COL"


@frozen(kw_only=True)
class Asked:
    """What was asked of a metric."""

    events: EventOptions
    answers: AnswerOptions
    by: tuple[str, ...]
    goal: str | None
    steps: tuple[str, ...]
    within: timedelta | None
    min_n: int | None
    settings: tuple[tuple[str, str], ...]
    level: float
    bootstrap: int
    seed: int
    top: int


@frozen(kw_only=True)
class Found:
    """A result with its text and its document.

    Attributes:
        result: What the exporters get.
        text: It for people.
        document: It as JSON.
        has_value: Whether anything in it has a value.
    """

    result: object
    text: str
    document: dict[str, Any]
    has_value: bool


def measured_result(metric: str, files: Sequence[str], asked: Asked) -> Found:
    """Measure a metric by its name.

    Args:
        metric: Name of the metric.
        files: Events; or a survey, where no answers are named otherwise and a score is.
        asked: Everything else.
    """
    known = _options_of(metric)
    by = groupings(asked.by, asked.events.tz)
    _check_sense(metric, known, files, asked)
    measurable = _measurable(metric, files, asked)
    options = _options(metric, known, asked, measurable.facts)
    try:
        result: Any = measurable.measure(
            metric, by=by, level=asked.level, bootstrap=asked.bootstrap, seed=asked.seed, **options
        )
    except NotMeasurableError as error:
        if "several questions" not in str(error):
            raise
        raise NotMeasurableError(str(error), hint="On the command line: --question NAME, or --by question") from None
    document = document_of(result, metric)
    rows = document.get("results")
    side_by_side = document.get("kind") == "credits"
    tabular = rows is not None and not side_by_side and all("value" in row for row in rows)
    text = measured(document, asked.top) if tabular else in_words(result, document, asked.top)
    has_value = rows is None or not tabular or _has_value(rows)
    return Found(result=result, text=text, document=document, has_value=has_value)


def _options_of(metric: str) -> list[str]:
    return [each.name for each in getattr(default_registry().metric(metric), "__attrs_attrs__", ())]


def _has_value(rows: Sequence[dict[str, Any]]) -> bool:
    return any("value" not in row or row["value"] is not None for row in rows)


def _check_sense(metric: str, known: Sequence[str], files: Sequence[str], asked: Asked) -> None:
    """What can be seen to be amiss before anything is read."""
    answers = asked.answers
    if not files and not answers.responses:
        raise InvalidValueError("no file was named", hint="Name the file of events, or --responses FILE")
    if answers.responses or answers.score:
        return
    about_answers = {
        "--scale": answers.scale, "--question": answers.question, "--weight": answers.weight, "--about": answers.about,
        "--code": answers.code, "--within": None if "within" in known else asked.within,
    }  # fmt: skip
    for flag, value in about_answers.items():
        if value:
            raise InvalidValueError(f"{flag} is about answers, and none were named", hint=_WHERE_ANSWERS)
    if getattr(default_registry().metric(metric), "observes", None) == "response":
        raise InvalidValueError(f"{metric} is measured on answers, and none were named", hint=_WHERE_ANSWERS)


def _measurable(metric: str, files: Sequence[str], asked: Asked) -> Any:
    columns = columns_of_groups(asked.by)
    answers, default = asked.answers, _SCALES.get(metric)
    survey = list(answers.responses) or (list(files) if answers.score else [])
    if not answers.responses and answers.score:
        say("Reading the file as a survey on its own (events go first and answers into --responses).")
    if not files or not answers.responses:
        if survey:
            return read_answers(survey, answers, asked.events, default=default, attributes=columns)
        return read_journeys(files, asked.events, by=columns)
    journeys = read_journeys(files, asked.events, by=columns)
    responses = read_answers(survey, answers, asked.events, default=default, journeys=journeys)
    in_metric = "within" in _options_of(metric)
    journeys = journeys.with_responses(responses, within=None if in_metric else asked.within)
    say(str(journeys.attached))
    return journeys


def _options(metric: str, known: Sequence[str], asked: Asked, facts: Facts) -> dict[str, object]:
    """The options that this metric takes; one that it does not take is an error."""
    goal = None if asked.goal is None else goal_of(asked.goal, facts)
    steps = [goal if goal is not None and name == goal.name else goal_of(name, facts) for name in asked.steps]
    aim = "outcome" if "outcome" in known and "goal" not in known else "goal"
    given: dict[str, object | None] = {
        aim: goal, "steps": steps or None, "min_n": asked.min_n,
        "within": asked.within if "within" in known else None,
        "question": asked.answers.question if "question" in known else None,
    }  # fmt: skip
    options = {name: value for name, value in given.items() if value is not None}
    for name in options:
        if name not in known:
            flag = {"steps": "step", aim: "goal"}.get(name, name.replace("_", "-"))
            raise UnknownNameError(f"{metric} takes no --{flag}; it takes {', '.join(sorted(known)) or 'no options'}")
    if goal is None and aim not in dict(asked.settings) and _needs(metric, aim):
        raise InvalidValueError(
            f"{metric} needs a goal: what counts as a conversion?",
            hint="Name a touchpoint, --goal payment_done; or several, --goal purchase=payment_done,invoice_paid",
        )
    kinds = kinds_of(default_registry().metric(metric))
    return options | {
        name: converted(name, text, kinds.get(name, object), facts) for name, text in asked.settings
    }  # fmt: skip


def _needs(metric: str, option: str) -> bool:
    """Whether the metric has this option and cannot do without."""
    known = getattr(default_registry().metric(metric), "__attrs_attrs__", ())
    return any(each.name == option and each.default is NOTHING for each in known)


def columns_of_groups(texts: Sequence[str]) -> list[str]:
    """Columns of the files that are grouped by."""
    columns = [text.partition(":")[2] for text in texts if text.startswith(("attribute:", "bins:"))]
    return [name.partition(":")[0] for name in columns]


def groupings(texts: Sequence[str], tz: str | None) -> list[str | By[Any]] | None:
    """Groupings from their names; all patterns are one grouping, by the first that a journey matches."""
    from cxmodel import by

    patterns = [text.partition(":")[2] for text in texts if text.startswith(_PATTERN)]
    found = [grouping(text, tz) for text in texts if not text.startswith(_PATTERN)]
    if patterns:
        named = [_labelled(text) for text in patterns]
        labels = [label for label, _ in named]
        if twice := [label for label in labels if labels.count(label) > 1]:
            raise InvalidValueError(
                f"two patterns are called {twice[0]!r}", hint=f"Name them apart: --by 'pattern:other={named[-1][1]}'"
            )
        found.append(by.pattern(dict(named)))
    return found or None


def _labelled(text: str) -> tuple[str, str]:
    """A pattern with its label: ``rescued=fail => help``; else it is its own."""
    named = _LABEL.match(text)
    return (named[1].strip(), text[named.end() :]) if named else (text, text)


def grouping(text: str, tz: str | None) -> str | By[Any]:
    """A grouping from its name, ``attribute:COL``, ``bins:COL:0,10,20``, or a period (in the zone of ``--tz``).

    Raises:
        InvalidValueError: When edges of bins are no numbers.
    """
    from cxmodel import by

    kind, colon, rest = text.partition(":")
    if colon and kind == "attribute":
        return by.attribute(rest)
    if colon and kind == "bins":
        name, _, edges = rest.rpartition(":")
        try:
            return by.bins(name, [float(edge) for edge in edges.split(",")])
        except ValueError:
            hint = "Write --by bins:age:0,20,40,60"
            raise InvalidValueError(f"the edges of {text!r} are not all numbers", hint=hint) from None
    if text == "daypart":
        return by.daypart(tz=tz or "UTC")
    if colon and kind == "season":
        hemisphere: Any = rest
        return by.season(hemisphere, tz=tz or "UTC")
    if text in _CLOCK:
        period: By[Any] = getattr(by, text)(tz=tz or "UTC")
        return period
    from cxmodel.measuring import as_by

    try:
        named = as_by(text)
    except UnknownNameError:
        names = [
            "touchpoint",
            "channel",
            "stage",
            "department",
            "contact",
            "persona",
            "source",
            "question",
            "transition",
        ]
        hint = f"A column of your own is grouped by with --by attribute:{text}"
        raise UnknownNameError(unknown("grouping", text, [*names, *_CLOCK, "daypart"]), hint=hint) from None
    return named if named is not None else text
