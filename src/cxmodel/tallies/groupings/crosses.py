"""Several groupings at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Block, Unit, Vocabulary
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, ranges
from cxmodel.tallies.groupings.base import NONE, Assigned, By

K1 = TypeVar("K1")
K2 = TypeVar("K2")


@frozen
class ByBoth(By[tuple[K1, K2]], Generic[K1, K2]):
    """Every combination of two groupings; unassigned where either is."""

    first: By[K1]
    second: By[K2]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of both."""
        return (*self.first.names, *self.second.names)

    def views(self, facts: Facts) -> Sequence[Facts]:
        """The views of one within those of the other."""
        return [inner for outer in self.first.views(facts) for inner in self.second.views(outer)]

    def missing(self, facts: Facts, unit: Unit) -> str | None:
        """What is missing for either."""
        return self.first.missing(facts, unit) or self.second.missing(facts, unit)

    def overlapping(self, facts: Facts, unit: Unit) -> bool:
        """When either overlaps."""
        return self.first.overlapping(facts, unit) or self.second.overlapping(facts, unit)

    def size(self, vocabulary: Vocabulary) -> int:
        """Product of the sizes."""
        return self.first.size(vocabulary) * self.second.size(vocabulary)

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[tuple[K1, K2]]:
        """Pairs of labels."""
        width = self.second.size(vocabulary)
        left, right = (
            self.first.labels(vocabulary, codes // width),
            self.second.labels(vocabulary, codes % width),
        )
        return list(zip(left, right, strict=True))

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """Each group of the first with each group of the second, row by row."""
        a, b = self.first.assign(block, unit, at), self.second.assign(block, unit, at)
        width = self.second.size(block.vocabulary)
        if a.rows.size == at.size and b.rows.size == at.size:
            rows, left, right = a.rows, a.group, b.group[np.argsort(b.rows, kind="stable")][a.rows]
        else:
            order = np.argsort(b.rows, kind="stable")
            count = np.bincount(b.rows, minlength=at.size)
            start = np.cumsum(count) - count
            rows, left = np.repeat(a.rows, count[a.rows]), np.repeat(a.group, count[a.rows])
            right = b.group[order][ranges(start[a.rows], count[a.rows])]
        return Assigned(rows, np.where((left < 0) | (right < 0), NONE, left * width + right))
