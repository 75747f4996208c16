"""Parsing documents: values that know where they stand, so that a fault names its place and what to write there."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NoReturn

from attrs import frozen

from cxmodel.errors import DocumentError, listed

_KINDS: Final[dict[type[object], str]] = {
    type(None): "null", bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list",
    dict: "an object",
}  # fmt: skip


@frozen
class Place:
    """A value of a document and the path to it.

    Attributes:
        value: The value.
        path: Where it stands (``"$.results[3].value"``).
    """

    value: object
    path: str = "$"

    def __getitem__(self, key: str) -> Place:
        record = self.record()
        if key not in record:
            raise DocumentError(f"{self.path} has no {key!r}; it has {listed(sorted(record))}")
        return Place(record[key], f"{self.path}.{key}")

    def __iter__(self) -> Iterator[Place]:
        if not isinstance(self.value, list):
            self.fail("a list")
        return iter([Place(item, f"{self.path}[{i}]") for i, item in enumerate(self.value)])

    def get(self, key: str) -> Place:
        """A value that may be absent; then it is null."""
        return Place(self.record().get(key), f"{self.path}.{key}")

    @property
    def missing(self) -> bool:
        """Whether it is null or absent."""
        return self.value is None

    def record(self) -> Mapping[str, object]:
        """The value as an object."""
        if not isinstance(self.value, dict):
            self.fail("an object")
        return self.value

    def text(self) -> str:
        """The value as text."""
        if not isinstance(self.value, str):
            self.fail("text")
        return self.value

    def flag(self) -> bool:
        """The value as true or false."""
        if not isinstance(self.value, bool):
            self.fail("true or false")
        return self.value

    def whole(self) -> int:
        """The value as a whole number."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            self.fail("a whole number")
        return self.value

    def number(self) -> float:
        """The value as a number."""
        if not isinstance(self.value, (int, float)) or isinstance(self.value, bool):
            self.fail("a number")
        return float(self.value)

    def number_or_none(self) -> float | None:
        """The value as a number, or None for null."""
        return None if self.missing else self.number()

    def text_or_none(self) -> str | None:
        """The value as text, or None for null."""
        return None if self.missing else self.text()

    def texts(self) -> tuple[str, ...]:
        """The value as a list of texts."""
        return tuple(item.text() for item in self)

    def one_of(self, allowed: Sequence[str]) -> str:
        """The value as one of the allowed words."""
        word = self.text()
        if word not in allowed:
            raise DocumentError(f"{self.path} is {word!r}, expected one of {listed(allowed)}")
        return word

    def fail(self, expected: str) -> NoReturn:
        """Refuse the value."""
        raise DocumentError(f"{self.path} is {_described(self.value)}, expected {expected}")


def parsed(text: str) -> Place:
    """The root of a JSON text.

    Raises:
        DocumentError: The text is no JSON; names line and column.
    """
    try:
        value: object = json.loads(text, parse_constant=_refuse)
    except json.JSONDecodeError as error:
        raise DocumentError(f"line {error.lineno}, column {error.colno}: this is no JSON ({error.msg})") from None
    except RecursionError:
        raise DocumentError("this JSON is nested too deeply to be a result") from None
    return Place(value)


def _refuse(word: str) -> NoReturn:
    raise DocumentError(f"the text holds {word}, which JSON has no word for", hint="Write null where there is no value")


def _described(value: object) -> str:
    kind = _KINDS.get(type(value), type(value).__name__)
    return kind if value is None or isinstance(value, (list, dict, bool)) else f"{kind}, {str(value)[:60]!r}"
