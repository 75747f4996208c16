"""The one tree of errors: each says what happened with the offending value, then what to type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import ClassVar


class CxmodelError(Exception):
    """Base of everything that cxmodel raises on purpose.

    Attributes:
        code: A stable name for programs (``"unknown_column"``).
        hint: What to type instead, or None.
    """

    code: ClassVar[str] = "error"

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n{self.hint}" if self.hint else message


class InvalidValueError(CxmodelError, ValueError):
    """A value that this field or option cannot have."""

    code = "invalid_value"


class UnknownNameError(CxmodelError, LookupError):
    """A name that is not there: a touchpoint, a metric, a group, an exporter."""

    code = "unknown_name"


class UnknownColumnError(UnknownNameError):
    """A column that the source does not have."""

    code = "unknown_column"


class UnknownCustomerError(UnknownNameError):
    """A customer id that no event carries."""

    code = "unknown_customer"


class UnreadableSourceError(CxmodelError, ValueError):
    """A file or object that cannot be read as a table."""

    code = "unreadable_source"


class SourceNotFoundError(CxmodelError, FileNotFoundError):
    """A path or glob that matches no file."""

    code = "source_not_found"


class UnwritableError(CxmodelError, OSError):
    """A file or folder that cannot be written."""

    code = "unwritable"


class NoRowsError(CxmodelError, ValueError):
    """Nothing was left to work with after the bad rows were counted."""

    code = "no_rows"


class NotMeasurableError(CxmodelError, ValueError):
    """A metric or grouping that cannot be had here, with the reason in words."""

    code = "not_measurable"


class NoValueError(CxmodelError, ValueError):
    """An estimate without a value was asked for its number."""

    code = "no_value"


class NotComparableError(CxmodelError, ValueError):
    """Two results that must not be compared silently."""

    code = "not_comparable"


class PartialGraphError(CxmodelError, ValueError):
    """A population total was asked of a graph that is only part of a population."""

    code = "partial_graph"


class MissingExtraError(CxmodelError, ImportError):
    """An optional package or program is needed; the hint holds the exact command."""

    code = "missing_extra"


class PluginError(CxmodelError, RuntimeError):
    """A plugin that cannot be loaded, or two that claim one name."""

    code = "plugin"


class DocumentError(CxmodelError, ValueError):
    """A document (JSON, map) that does not follow its schema."""

    code = "document"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name most like ``name``, or None.

    Example:
        >>> nearest("chanel", ["channel", "touchpoint"])
        'channel'
    """
    found = get_close_matches(name.casefold(), list(by_fold := {k.casefold(): k for k in known}), n=1, cutoff=0.5)
    return by_fold[found[0]] if found else None


def listed(names: Sequence[str], most: int = 20) -> str:
    """Names for a message: quoted, joined, and cut with a count where there are many.

    Example:
        >>> listed(["a", "b", "c"], most=2)
        "'a', 'b' and 1 more"
    """
    shown = ", ".join(repr(name) for name in names[:most])
    return f"{shown} and {len(names) - most:,} more" if len(names) > most else shown or "nothing"


def unknown(kind: str, name: str, known: Sequence[str]) -> str:
    """The message for an unknown name: what is there, and the nearest of it."""
    guess = nearest(name, known)
    return f"there is no {kind} {name!r}; there is {listed(known)}" + (f". Did you mean {guess!r}?" if guess else "")
