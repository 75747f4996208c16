"""Converting: the text of an option as the value that the metric's field is declared to hold."""

from __future__ import annotations

import ast
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints

from attrs import frozen

from cxmodel.analysis.pattern_language import Pattern, parse
from cxmodel.cli.options import duration
from cxmodel.cli.reading import goal_of
from cxmodel.errors import InvalidValueError, listed
from cxmodel.model.goals import Goal
from cxmodel.model.readings import Facts

_WORDS: Final = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class _UnfitError(Exception):
    """A text that does not say such a value."""


@frozen
class _Kind:
    """A kind of value.

    Attributes:
        words: What it is called.
        example: How it is typed.
        read: It from a text.
    """

    words: str
    example: str
    read: Callable[[str], object]


def _flag(text: str) -> bool:
    return _WORDS[text.strip().casefold()]


def _lasting(text: str) -> timedelta:
    found = duration(text)
    if found is None:
        raise ValueError(text)
    return found


_KINDS: Final[dict[object, _Kind]] = {
    bool: _Kind("true or false", "true", _flag),
    int: _Kind("a whole number", "3", int),
    float: _Kind("a number", "0.5", float),
    timedelta: _Kind("a duration", "30d, or 12h, 30min", _lasting),
    datetime: _Kind("a time", "2026-01-31, or 2026-01-31T18:00Z", datetime.fromisoformat),
}


def kinds_of(metric: type[Any]) -> dict[str, object]:
    """The type of each field of a metric; a field whose annotation names what is not there has none."""
    try:
        return get_type_hints(metric)
    except (NameError, TypeError):
        known = {each.name: each.type for each in getattr(metric, "__attrs_attrs__", ())}
        return {name: _kind(annotation, metric.__module__) for name, annotation in known.items()}


def _kind(annotation: object, module: str) -> object:
    alone = type("Alone", (), {"__annotations__": {"field": annotation}, "__module__": module})
    try:
        return get_type_hints(alone)["field"]
    except (NameError, TypeError):
        return object


def converted(name: str, text: str, kind: object, facts: Facts) -> object:
    """The value that an option's text stands for.

    Args:
        name: Name of the option.
        text: What was typed.
        kind: The type of the field.
        facts: What goals may name.

    Raises:
        InvalidValueError: The text does not say such a value; says which kind it is and what to type.
        UnknownNameError: A goal at touchpoints that never occur.

    Example:
        >>> converted("strict", "no", bool, Facts()), converted("edges", "0,2.5", tuple[float, ...] | None, Facts())
        (False, (0.0, 2.5))
    """
    choices = [each for each in _choices(kind) if each is not NoneType]
    if len(choices) < len(_choices(kind)) and text.strip().casefold() == "none" and str not in choices:
        return None
    for choice in choices:
        try:
            return _value(text, choice, facts)
        except _UnfitError:
            continue
    raise InvalidValueError(
        f"{name} is {' or '.join(_words(each) for each in choices)}, got {text!r}",
        hint=f"Write {name}={_example(choices[0])}",
    )


def _choices(kind: object) -> tuple[object, ...]:
    return get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)


def _value(text: str, kind: object, facts: Facts) -> object:
    if kind is str:
        return text
    if get_origin(kind) is Literal:
        return _chosen(text, get_args(kind))
    if kind is Pattern:
        return parse(text)
    if kind is Goal:
        return goal_of(text, facts)
    if kind in _KINDS:
        try:
            return _KINDS[kind].read(text.strip())
        except (KeyError, ValueError):
            raise _UnfitError from None
    of = [each for each in get_args(kind) if each is not Ellipsis]
    if get_origin(kind) is tuple and set(of) <= {of[0]} and (of[0] in (str, Goal) or of[0] in _KINDS):
        return tuple(_value(part, of[0], facts) for part in _parts(text))
    return _literal(text)


def _chosen(text: str, choices: Sequence[object]) -> object:
    if text not in choices:
        raise _UnfitError
    return text


def _parts(text: str) -> list[str]:
    """Parts between commas; or written as a list, where a part holds a comma."""
    written = _literal(text) if text.lstrip().startswith(("[", "(")) else None
    if isinstance(written, list | tuple):
        return [str(part) for part in cast("Sequence[object]", written)]
    return [part.strip() for part in text.split(",") if part.strip()]


def _literal(text: str) -> object:
    """What the text says by itself, for fields of other types: a literal of Python, a duration, or the text."""
    try:
        return cast("object", ast.literal_eval(text))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        lasting = duration(text)
        return text if lasting is None else lasting


def _words(kind: object) -> str:
    if kind in _KINDS:
        return _KINDS[kind].words
    if get_origin(kind) is Literal:
        return f"one of {listed(get_args(kind))}"
    of = get_args(kind)
    return f"a list; each part is {_words(of[0])}" if of else getattr(kind, "__name__", str(kind))


def _example(kind: object) -> str:
    if kind in _KINDS:
        return _KINDS[kind].example
    of = get_args(kind)
    return ",".join([_example(of[0])] * 2) if of else "…"
