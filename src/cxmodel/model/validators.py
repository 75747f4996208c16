"""Checks of options, with the errors of this library: what the option may be, and what it was given."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import timedelta
from typing import Any, TypeAlias

from attrs import Attribute
from attrs.validators import optional

from cxmodel.errors import InvalidValueError

__all__ = ["boolean", "duration", "ge", "gt", "in_", "le", "lt", "optional", "touchpoint", "whole"]

Check: TypeAlias = Callable[[Any, "Attribute[Any]", Any], None]


def ge(bound: float) -> Check:
    """At least this.

    Example:
        >>> from attrs import field, frozen
        >>> from cxmodel.model import validators
        >>> @frozen
        ... class Few:
        ...     least: int = field(validator=validators.ge(0))
        >>> Few(-1)
        Traceback (most recent call last):
        cxmodel.errors.InvalidValueError: least is at least 0, got -1
    """
    return _number(f"at least {bound:g}", lambda value: value >= bound)


def gt(bound: float) -> Check:
    """More than this."""
    return _number(f"more than {bound:g}", lambda value: value > bound)


def le(bound: float) -> Check:
    """At most this."""
    return _number(f"at most {bound:g}", lambda value: value <= bound)


def lt(bound: float) -> Check:
    """Less than this."""
    return _number(f"less than {bound:g}", lambda value: value < bound)


def in_(choices: Collection[Any]) -> Check:
    """One of these."""

    def check(_instance: object, attribute: Attribute[Any], value: object) -> None:
        if value not in choices:
            listed = ", ".join(map(repr, choices))
            raise InvalidValueError(f"{attribute.name} is one of {listed}, got {value!r}")

    return check


def whole(low: int, high: int | None = None) -> Check:
    """A whole number from ``low`` to ``high``; True and False are none.

    Example:
        >>> from attrs import field, frozen
        >>> from cxmodel.model import validators
        >>> @frozen
        ... class Runs:
        ...     order: int = field(validator=validators.whole(1, 8))
        >>> Runs(2.5)
        Traceback (most recent call last):
        cxmodel.errors.InvalidValueError: order is a whole number from 1 to 8, got 2.5
    """
    words = f"of at least {low:,}" if high is None else f"from {low:,} to {high:,}"

    def check(_instance: object, attribute: Attribute[Any], value: object) -> None:
        number = value if isinstance(value, int) and not isinstance(value, bool) else low - 1
        if number < low or (high is not None and number > high):
            raise InvalidValueError(f"{attribute.name} is a whole number {words}, got {value!r}")

    return check


def boolean(_instance: object, attribute: Attribute[Any], value: object) -> None:
    """True or False, and nothing that only looks like it: the text "no" is true."""
    if not isinstance(value, bool):
        raise InvalidValueError(
            f"{attribute.name} is True or False, got {value!r}", hint=f"Write {attribute.name}=True"
        )


def duration(_instance: object, attribute: Attribute[Any], value: object) -> None:
    """A duration longer than nothing."""
    if not isinstance(value, timedelta) or value <= timedelta(0):
        raise InvalidValueError(
            f"{attribute.name} is a positive duration, got {value if isinstance(value, timedelta) else repr(value)}",
            hint=f"Write {attribute.name}=timedelta(hours=1)",
        )


def touchpoint(_instance: object, attribute: Attribute[Any], value: object) -> None:
    """The name of a touchpoint."""
    if not isinstance(value, str):
        raise InvalidValueError(
            f"{attribute.name} is the name of a touchpoint, got {value!r}", hint=f'Write {attribute.name}="pay"'
        )


def _number(words: str, holds: Callable[[float], bool]) -> Check:
    def check(_instance: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, int | float) or not holds(value):
            raise InvalidValueError(f"{attribute.name} is {words}, got {value!r}")

    return check
