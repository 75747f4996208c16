"""Metrics of journeys: conversion rate, length and duration."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits import goal_missing
from cxmodel.data.blocks import Block, Unit
from cxmodel.model.estimates import Flag
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, SumMetric
from cxmodel.tallies.observations import Observations, observe


@frozen(kw_only=True)
class ConversionRate(SumMetric):
    """Share of the journeys at risk that reach the goal.

    Unit share, 0 to 1, higher is better. At risk are all journeys with an event, less those still in progress that have
    not reached the goal where an inactivity rule was declared; without such a rule nothing counts as in progress and
    the result is flagged ``open_unknown``. Wilson's interval on n over the design effect (customers with several
    journeys); ``method="wilson"`` uses plain n.

    Attributes:
        goal: What counts as a conversion.
        method: Which interval.
    """

    name: ClassVar[str] = "conversion_rate"
    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "journey"

    goal: Goal = field(converter=as_goal)
    method: Literal["wilson, design effect", "wilson"] = "wilson, design effect"

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur."""
        return goal_missing(self.goal, facts)

    def observe(self, block: Block) -> Observations:
        """Journeys at risk, converted or not."""
        reached = block.reached(self.goal) >= 0
        at_risk = block.lengths > 0
        if block.still_open is not None:
            at_risk &= reached | ~block.still_open
        rows = np.flatnonzero(at_risk)
        return observe("journey", rows, converted=reached[rows], undeclared=float(block.still_open is None))

    def value(self, sums: Columns) -> Floats:
        """converted/n."""
        return sums["converted"] / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Wilson's interval."""
        size = n_eff if "design" in self.method else n
        low, high = wilson(sums["converted"] / sums["n"] * size, size, level)
        return Closed(low, high, self.method)

    def flags(self, sums: Columns) -> dict[Flag, Bools]:
        """Whether journeys in progress could not be told from lost ones."""
        return {"open_unknown": sums["undeclared"] > 0}


@frozen(kw_only=True)
class Length(SumMetric):
    """Mean number of events of a journey; 1 or more, no direction; delta interval by customer."""

    name: ClassVar[str] = "length"
    unit: ClassVar[str] = "events"
    range: ClassVar[tuple[float, float]] = (1.0, np.inf)
    observes: ClassVar[Unit] = "journey"

    def observe(self, block: Block) -> Observations:
        """Journeys with an event, and how many."""
        rows = np.flatnonzero(block.lengths > 0)
        return observe("journey", rows, events=block.lengths[rows])

    def value(self, sums: Columns) -> Floats:
        """Σ events/n."""
        return sums["events"] / sums["n"]


@frozen(kw_only=True)
class Duration(SumMetric):
    """Mean time from the first to the last event of a journey (to its end, where the source has one), in seconds.

    0 or more, no direction: a long journey may be a loyal customer or a slow company. Delta interval by customer.
    """

    name: ClassVar[str] = "duration"
    unit: ClassVar[str] = "s"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    observes: ClassVar[Unit] = "journey"

    def observe(self, block: Block) -> Observations:
        """Journeys with an event, and how long."""
        rows = np.flatnonzero(block.lengths > 0)
        ends = block.time if block.until is None else np.maximum(block.time, block.until)
        last = np.maximum.reduceat(ends, block.first) if rows.size else ends[:0]
        return observe("journey", rows, seconds=(last - block.time[block.first]) / 1e6)

    def value(self, sums: Columns) -> Floats:
        """Σ seconds/n."""
        return sums["seconds"] / sums["n"]
