"""Reading for a command: which columns are meant, what was assumed, what became of the rows."""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from cxmodel.cli.options import AnswerOptions, EventOptions
from cxmodel.cli.talk import SELECTED, say
from cxmodel.data.sources import columns_of
from cxmodel.errors import InvalidValueError, SourceNotFoundError, UnknownColumnError, UnknownNameError, listed, unknown
from cxmodel.model.goals import Goal
from cxmodel.model.readings import Facts, Reading
from cxmodel.model.scales import Question, Scale

if TYPE_CHECKING:
    from cxmodel.journeys import Journeys
    from cxmodel.responses import Responses

# The names that exports of common systems give these columns, the surest first.
USUAL: Final[Mapping[str, tuple[str, ...]]] = {
    "customer": (
        "customer", "customer_id", "customerid", "client", "client_id", "clientid", "user", "user_id", "userid",
        "visitor", "visitor_id", "person", "person_id", "distinct_id", "contact_id", "account_id", "patient",
        "patient_id", "case:concept:name", "case_id", "case",
    ),
    "touchpoint": (
        "touchpoint", "event", "event_name", "event_type", "activity", "activity_name", "concept:name", "action",
        "page", "step",
    ),
    "time": (
        "time", "timestamp", "ts", "datetime", "date", "event_time", "event_timestamp", "time:timestamp", "occurred_at",
        "created_at", "start_time", "answered_at", "submitted_at",
    ),
    "journey": ("journey", "journey_id"),
    "channel": ("channel",),
    "score": ("score", "answer", "rating", "nps", "csat", "ces"),
    "about": ("about", "touchpoint"),
}  # fmt: skip
_NEEDED: Final = ("customer", "touchpoint", "time")
NONE: Final = "-"


def usual(role: str, columns: Sequence[str]) -> str | None:
    """The column that plays a role by its usual name, or None.

    Example:
        >>> usual("customer", ["When", "User ID", "Event"])
        'User ID'
    """
    folded = {column.strip().casefold().replace(" ", "_").replace("-", "_"): column for column in reversed(columns)}
    return next((folded[name] for name in USUAL[role] if name in folded), None)


def shared_columns(files: Sequence[str]) -> list[str]:
    """The columns that all files have, in the order of the first."""
    first, *others = [columns_of(file) for file in files]
    return [name for name in first if all(name in columns for columns in others)]


def read_journeys(
    files: Sequence[str], options: EventOptions, *, by: Sequence[str] = (), quiet: bool = False
) -> Journeys:  # fmt: skip
    """The journeys of a command, with everything joined, cut and merged that was asked for.

    Args:
        files: Paths and globs.
        options: How to read them.
        by: Columns to group by; those that the files have are kept without asking.
        quiet: Leave it to the command to say what became of the rows.
    """
    from cxmodel.opening import read_events

    if options.preset is not None:
        columns, roles = list(options.attribute), {"journey": "journey"}
        wanted = dict.fromkeys(options.attribute)
        journeys = read_events(
            list(files), preset=options.preset, attributes=tuple(wanted), tz=options.tz,
            rules=options.rules.rules, unmatched=options.rules.unmatched, memory_limit=options.memory_limit,
        )  # fmt: skip
    else:
        columns = shared_columns(files)
        roles = _roles(options, columns, files)
        wanted = dict.fromkeys((*options.attribute, *(name for name in by if name in columns)))
        journeys = _tables(files, roles, options, tuple(wanted))
    if not quiet:
        tell(journeys.reading)
    for text in options.attributes_from:
        journeys = _joined(journeys, text, options.tz, has_journeys="journey" in roles)
    _check_there(by, journeys.facts, columns)
    if options.fold_rare is not None:
        journeys = journeys.fold_rare(min_events=options.fold_rare)
        say(f"Note: {journeys.reading.notes[-1]}")
    if options.gap is not None:
        journeys = journeys.split(gap=options.gap)
    if options.merge_repeats:
        journeys = journeys.merge_repeats()
    return journeys if options.matches is None else _matching(journeys, options.matches)


def _matching(journeys: Journeys, pattern: str) -> Journeys:
    kept = journeys.where(matches=pattern)
    selected = {"journeys": kept.facts.journeys, "of": journeys.facts.journeys}
    say(f"--matches {pattern}: {selected['journeys']:,} of {selected['of']:,} journeys match; the others are left out.")
    click.get_current_context().meta[SELECTED] = selected
    return kept


def _tables(files: Sequence[str], roles: dict[str, str], options: EventOptions, wanted: tuple[str, ...]) -> Journeys:
    from cxmodel.opening import read_events

    return read_events(
        list(files), customer=roles["customer"], touchpoint=roles["touchpoint"], time=roles["time"],
        journey=roles.get("journey"), channel=roles.get("channel"), value=options.value, until=options.until,
        attributes=wanted, rules=options.rules.rules, unmatched=options.rules.unmatched, tz=options.tz,
        memory_limit=options.memory_limit,
    )  # fmt: skip


def _check_there(by: Sequence[str], facts: Facts, columns: Sequence[str]) -> None:
    known = ["touchpoint", *facts.event_columns, *facts.journey_columns, *facts.touchpoint_columns]
    for name in by:
        if name not in known:
            everything = list(dict.fromkeys([*columns, *facts.journey_columns]))
            raise UnknownColumnError(
                f"there is no column {name!r} to group by; there is {listed(everything)}",
                hint=f"A column of another table comes with --attributes-from FILE:ID:{name}",
            )


def _roles(options: EventOptions, columns: Sequence[str], files: Sequence[str]) -> dict[str, str]:
    roles: dict[str, str] = {}
    for role in (*_NEEDED, "journey", "channel"):
        given: str | None = getattr(options, role)
        column = usual(role, columns) if given is None else given
        if given is None and column is not None and column not in roles.values():
            roles[role] = column
        elif given is not None and given != NONE:
            roles[role] = given
    missing = [role for role in _NEEDED if role not in roles]
    if missing:
        typed = " ".join(f"--{role} {_argument(roles.get(role, 'COL'))}" for role in _NEEDED)
        raise UnknownColumnError(
            f"{Path(files[0]).name}: cannot tell which column holds the {' and the '.join(missing)}; "
            f"there is {listed(columns)}",
            hint=f"Say which: {typed}",
        )
    assumed = {role: column for role, column in roles.items() if getattr(options, role) is None}
    if assumed:
        say("Assumed: " + " ".join(f"--{role} {_argument(column)}" for role, column in assumed.items()))
    return roles


def _argument(text: str) -> str:
    return f"'{text}'" if " " in text else text


def _joined(journeys: Journeys, text: str, tz: str | None, *, has_journeys: bool) -> Journeys:
    path, key, columns = attributes_from(text)
    there = columns_of(path)
    for name in (key, *columns):
        if name not in there:
            raise UnknownColumnError(f"{Path(path).name}: {unknown('column', name, there)}")
    chosen = columns or tuple(name for name in there if name != key)
    joined = journeys.with_attributes(
        path, journey=key if has_journeys else None, customer=None if has_journeys else key, columns=chosen, tz=tz
    )
    side = "journey" if has_journeys else "customer"
    say(f"{Path(path).name}, joined on the {side}'s id: {joined.matched[-1]}.")
    return joined


def attributes_from(text: str) -> tuple[str, str, tuple[str, ...]]:
    """The file, the id and the columns of ``FILE:ID[:COL,COL]``; a file's name may hold colons.

    Raises:
        SourceNotFoundError: When no such file is there.
        InvalidValueError: When no id is named.
    """
    parts = text.split(":")
    for cut in range(len(parts), 0, -1):
        path, rest = ":".join(parts[:cut]), parts[cut:]
        if not (Path(path).exists() or glob.glob(path)):
            continue
        if not rest or not rest[0] or len(rest) > 2:
            hint = f"Write --attributes-from {path}:order_id or {path}:order_id:late,state"
            raise InvalidValueError(f"--attributes-from {text!r} does not say which column holds the id", hint=hint)
        return path, rest[0], tuple(name.strip() for name in rest[1].split(",")) if len(rest) > 1 else ()
    raise SourceNotFoundError(
        f"{parts[0]} does not exist", hint="Write --attributes-from FILE:ID, for instance orders.csv:order_id"
    )


def read_answers(
    files: Sequence[str], options: AnswerOptions, events: EventOptions, *, default: Scale | None,
    attributes: Sequence[str] = (), journeys: Journeys | None = None,
) -> Responses:  # fmt: skip
    """The survey answers of a command.

    Args:
        files: Paths and globs.
        options: How to read them.
        events: Options that name columns; those that this file has too are meant in both.
        default: The scale that the metric needs, where none was named.
        attributes: Columns to group by, where the survey is measured on its own.
        journeys: The journeys that they will be attached to; without, they need neither customer nor time.
    """
    from cxmodel.responses import read_responses

    columns = shared_columns(files)
    found = {role: _answer_column(role, getattr(events, role), columns) for role in ("customer", "journey", "time")}
    if journeys is not None and journeys.population.vocabulary.journeys is None:
        found["journey"] = None
    about = options.about if options.about is not None else usual("about", columns)
    column = about if about in columns else None
    if about is not None and column is None and journeys is not None and about not in journeys.facts.touchpoints:
        message = f"{about!r} is neither a column of {Path(files[0]).name} nor a touchpoint"
        raise UnknownNameError(f"{message}: {unknown('touchpoint', about, journeys.facts.touchpoints)}")
    if journeys is not None and found["customer"] is None and found["journey"] is None:
        raise UnknownColumnError(
            f"{Path(files[0]).name}: cannot tell whose answers these are; there is {listed(columns)}",
            hint="Say which column: --customer COL or --journey COL, under the same name as in the events",
        )
    questions = _questions(options, columns, default, Path(files[0]).name)
    shown = {**found, "about": column, **{f"score ({q.scale})": name for name, q in questions.items()}}
    said = [f"{role} from {name!r}" for role, name in shown.items() if name is not None]
    said += [f"all about {about!r}"] if about is not None and column is None else []
    say("Answers: " + ", ".join(said))
    read = partial(
        read_responses, list(files), codes=dict(options.code), customer=found["customer"], journey=found["journey"],
        time=found["time"], touchpoint=column, about=None if column else about, weight=options.weight,
        attributes=tuple(attributes), tz=events.tz,
    )  # fmt: skip
    if len(questions) == 1 and options.question is not None:
        score, question = next(iter(questions.items()))
        answers = read(score=score, scale=question.scale, question=options.question)
    else:
        answers = read(questions=questions)
    tell(answers.reading)
    return answers


def _answer_column(role: str, given: str | None, columns: Sequence[str]) -> str | None:
    if given is not None:
        return given if given in columns else None
    return usual(role, columns)


def _questions(
    options: AnswerOptions, columns: Sequence[str], default: Scale | None, file: str
) -> dict[str, Question]:  # fmt: skip
    scores = options.score
    if not scores:
        guess = usual("score", columns)
        if guess is None:
            raise UnknownColumnError(
                f"{file}: cannot tell which column holds the answers; there is {listed(columns)}",
                hint="Say which: --score COL",
            )
        scores = (guess,)
    if len(options.scale) not in (0, 1, len(scores)):
        raise InvalidValueError(
            f"{len(scores)} columns of answers and {len(options.scale)} scales",
            hint="Give one --scale for all, or one for each --score in the same order",
        )
    scales = options.scale or (() if default is None else (default,))
    if not scales:
        raise InvalidValueError(
            f"the scale of {scores[0]!r} is not known",
            hint="Say which: --scale nps, csat, ces1, ces2 or own:1:5:4:higher",
        )
    every = scales if len(scales) == len(scores) else scales * len(scores)
    return {name: Question(scale) for name, scale in zip(scores, every, strict=True)}


def tell(reading: Reading) -> None:
    """What was rejected or noticed, on stderr; nothing where all is well."""
    if reading.rejected_rows or reading.notes:
        say(str(reading))


def goal_of(text: str, facts: Facts) -> Goal:
    """A goal from ``NAME`` or ``NAME=TP,TP``; the whole text may be the name of a touchpoint.

    Raises:
        UnknownNameError: When one of its touchpoints does not occur.
    """
    name, sign, rest = text.partition("=")
    if text in facts.known_touchpoints or not sign:
        name, touchpoints = text, [text]
    else:
        touchpoints = (
            [rest] if rest in facts.known_touchpoints else [each.strip() for each in rest.split(",") if each.strip()]
        )
    for touchpoint in touchpoints:
        if touchpoint not in facts.known_touchpoints:
            raise UnknownNameError(unknown("touchpoint", touchpoint, facts.known_touchpoints))
    return Goal(name.strip(), touchpoints=touchpoints)
