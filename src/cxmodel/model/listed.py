"""Rows of large tables that are made when somebody looks at them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import TypeVar, overload

from attrs import field, frozen

from cxmodel.errors import UnknownNameError, unknown

R = TypeVar("R")


@frozen(eq=False, slots=False)
class Listed(Sequence[R]):
    """Rows by touchpoint: the table keeps columns, so that memory does not follow the number of touchpoints.

    Attributes:
        names: Touchpoint of each row.
        make: From the number of a row to the row.
    """

    names: Sequence[str]
    make: Callable[[int], R] = field(repr=False)

    @classmethod
    def of(cls, names: Sequence[str], rows: Sequence[R]) -> Listed[R]:
        """Rows that are there already."""
        return cls(names, lambda at: rows[at])

    def __len__(self) -> int:
        return len(self.names)

    @overload
    def __getitem__(self, at: int) -> R: ...
    @overload
    def __getitem__(self, at: slice) -> tuple[R, ...]: ...
    def __getitem__(self, at: int | slice) -> R | tuple[R, ...]:
        if isinstance(at, slice):
            return tuple(self.make(row) for row in range(*at.indices(len(self))))
        return self.make(range(len(self))[at])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and not isinstance(other, str) and tuple(self) == tuple(other)

    def __hash__(self) -> int:
        return hash(tuple(self.names))

    def __repr__(self) -> str:
        return f"<{len(self):,} rows>"

    def named(self, touchpoint: str) -> R:
        """The row of a touchpoint.

        Raises:
            UnknownNameError: There is none.
        """
        if touchpoint not in self._place:
            raise UnknownNameError(unknown("touchpoint", touchpoint, self.names))
        return self.make(self._place[touchpoint])

    @cached_property
    def _place(self) -> Mapping[str, int]:
        return {name: row for row, name in enumerate(self.names)}
