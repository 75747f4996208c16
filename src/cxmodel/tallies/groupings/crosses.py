"""Several groupings at once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from itertools import combinations
from math import prod
from typing import Any, Final, TypeVar

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit, Vocabulary
from cxmodel.errors import InvalidValueError
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, ranges
from cxmodel.tallies.groupings.base import NONE, Assigned, By

K = TypeVar("K", bound=tuple[object, ...])
_MOST_CELLS: Final = 2**62


def _flat(parts: Sequence[By[Any]]) -> tuple[By[Any], ...]:
    """The parts, with those of a cross in its place."""
    flat = tuple(inner for part in parts for inner in (part.parts if isinstance(part, ByCross) else (part,)))
    names = [name for part in flat for name in part.names]
    for one, other in combinations(names, 2):
        if one == other:
            raise InvalidValueError(f"{one!r} is grouped by twice")
    if len(flat) < 2:
        raise InvalidValueError(f"several groupings are needed for every combination, got {len(flat)}")
    return flat


@frozen
class ByCross(By[K]):
    """Every combination of several groupings; unassigned where any of them is.

    Attributes:
        parts: The groupings; the label of a group is the tuple of theirs.
    """

    parts: tuple[By[Any], ...] = field(converter=_flat)

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all."""
        return tuple(name for part in self.parts for name in part.names)

    def views(self, facts: Facts) -> Sequence[Facts]:
        """The views of each within those of the one before."""
        return reduce(lambda found, part: [inner for each in found for inner in part.views(each)], self.parts, [facts])

    def missing(self, facts: Facts, unit: Unit) -> str | None:
        """What is missing for the first that cannot be had."""
        return next((reason for part in self.parts if (reason := part.missing(facts, unit))), None)

    def overlapping(self, facts: Facts, unit: Unit) -> bool:
        """When any overlaps."""
        return any(part.overlapping(facts, unit) for part in self.parts)

    def size(self, vocabulary: Vocabulary) -> int:
        """Product of the sizes."""
        size = prod(self._sizes(vocabulary))
        if size > _MOST_CELLS:
            raise InvalidValueError(
                f"{' and '.join(self.names)} have too many combinations together ({size:.1e})",
                hint="Leave one of them out, or take longer periods",
            )
        return size

    def _sizes(self, vocabulary: Vocabulary) -> list[int]:
        return [part.size(vocabulary) for part in self.parts]

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[K]:
        """Tuples of labels."""
        columns: list[list[Any]] = []
        for part, size in zip(reversed(self.parts), reversed(self._sizes(vocabulary)), strict=True):
            columns.append(part.labels(vocabulary, codes % max(size, 1)))
            codes = codes // max(size, 1)
        out: list[Any] = list(zip(*reversed(columns), strict=True))
        return out

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """Each group of one with each group of the others, row by row."""
        self.size(block.vocabulary)
        found = self.parts[0].assign(block, unit, at)
        for part, size in zip(self.parts[1:], self._sizes(block.vocabulary)[1:], strict=True):
            found = _crossed(found, part.assign(block, unit, at), size, at.size)
        return found


def _crossed(a: Assigned, b: Assigned, width: int, rows: int) -> Assigned:
    """Each group of a with each group of b, of which there are ``width``."""
    order = np.argsort(b.rows, kind="stable")
    if a.rows.size == rows and b.rows.size == rows:
        row, left, right = a.rows, a.group, b.group[order][a.rows]
    else:
        count = np.bincount(b.rows, minlength=rows)
        start = np.cumsum(count) - count
        row, left = np.repeat(a.rows, count[a.rows]), np.repeat(a.group, count[a.rows])
        right = b.group[order][ranges(start[a.rows], count[a.rows])]
    return Assigned(row, np.where((left < 0) | (right < 0), NONE, left * width + right))
