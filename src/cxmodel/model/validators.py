"""Checks of options, with the errors of this library: what the option may be, and what it was given."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

from attrs import Attribute
from attrs.validators import optional

from cxmodel.errors import InvalidValueError

__all__ = ["ge", "gt", "in_", "le", "lt", "optional"]

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


def _number(words: str, holds: Callable[[float], bool]) -> Check:
    def check(_instance: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, int | float) or not holds(value):
            raise InvalidValueError(f"{attribute.name} is {words}, got {value!r}")

    return check
