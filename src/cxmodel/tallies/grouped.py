"""Grouped: a tally that keeps no groups apart itself, asked of every group's journeys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, TypeVar

import numpy as np
from attrs import evolve, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.data.selecting import keep_journeys
from cxmodel.errors import NotMeasurableError
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import integers
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally

R = TypeVar("R")

MOST_GROUPS: Final = 10_000


@frozen
class Grouped(Tally[Mapping[int, Any], R]):
    """A tally of each group of journeys.

    Attributes:
        tally: What looks at the journeys of one group.
    """

    observes: ClassVar[Unit] = "journey"

    tally: Tally[Any, R]

    @property
    def name(self) -> str:  # type: ignore[override]
        """The tally's name."""
        return self.tally.name

    def missing(self, facts: Facts) -> str | None:
        """What the tally misses."""
        return self.tally.missing(facts)

    def start(self) -> Mapping[int, Any]:
        """No group yet."""
        return {}

    def add(self, state: Mapping[int, Any], block: Block, cells: Cells[Any]) -> Mapping[int, Any]:
        """Let the tally look at each group's journeys."""
        assert cells.by is not None
        rows, group = cells.by.assign(block, "journey", np.arange(block.journeys))
        distinct = integers(np.unique(group))
        if len(distinct) > MOST_GROUPS:
            raise NotMeasurableError(f"{self.name}: {len(distinct):,} groups are too many to keep apart")
        out = dict(state)
        for code in distinct:
            keep = np.zeros(block.journeys, np.bool_)
            keep[rows[group == code]] = True
            seen = self.tally.add(self.tally.start(), keep_journeys(block, keep), _whole(cells))
            out[code] = self.tally.merge(out[code], seen) if code in out else seen
        return out

    def merge(self, a: Mapping[int, Any], b: Mapping[int, Any]) -> Mapping[int, Any]:
        """Group by group."""
        both = {code: self.tally.merge(a[code], b[code]) for code in a.keys() & b.keys()}
        return {**a, **b, **both}

    def finish(self, state: Mapping[int, Any], cells: Cells[Any], level: float) -> Mapping[int, R]:
        """Group by group."""
        return {code: self.tally.finish(each, _whole(cells), level)[0] for code, each in state.items()}


def _whole(cells: Cells[Any]) -> Cells[Any]:
    return evolve(cells, by=None)
