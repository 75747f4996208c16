"""What a grouping is: observations in, groups out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Final, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from cxmodel.data.blocks import Block, Unit, Vocabulary
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints

K = TypeVar("K")

UNITS: Final[frozenset[Unit]] = frozenset({"customer", "journey", "event", "transition", "response"})
NONE: Final = -1
ByName: TypeAlias = Literal[
    "touchpoint", "stage", "channel", "department", "contact", "persona", "source", "question", "kind"
]


class Assigned(NamedTuple):
    """Rows of the observations and their group; −1 for no group. A row may stand in several groups."""

    rows: Ints
    group: Ints


class By(ABC, Generic[K]):
    """What to group by; K is the type of a group's label."""

    __slots__ = ()
    units: ClassVar[frozenset[Unit]] = UNITS

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """What the grouping is called in results, one name per part."""

    @abstractmethod
    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """The groups of observations; every row appears at least once."""

    @abstractmethod
    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[K]:
        """Labels of group codes."""

    @abstractmethod
    def size(self, vocabulary: Vocabulary) -> int:
        """One more than the highest possible group code."""

    def overlapping(self, facts: Facts, unit: Unit) -> bool:
        """Whether an observation may stand in several groups."""
        return False

    def views(self, facts: Facts) -> Sequence[Facts]:
        """What can be asked within the groups, where that differs; a metric needs one view in which it can be had."""
        return (facts,)

    def missing(self, facts: Facts, unit: Unit) -> str | None:
        """Why observations of this unit cannot be grouped so, or None when they can."""
        if unit in self.units:
            return None
        return f"{_plural(unit)} cannot be grouped by {' and '.join(self.names)}"


def _plural(unit: Unit) -> str:
    return "answers" if unit == "response" else f"{unit}s"
