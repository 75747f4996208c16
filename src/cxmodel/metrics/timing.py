"""Waiting: how long customers wait between two touchpoints, on the clock or within opening hours."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.bottlenecks import initiator_missing
from cxmodel.analysis.waits import GAP_KINDS, GapKind, gaps
from cxmodel.data.blocks import Block, Unit
from cxmodel.model import validators
from cxmodel.model.calendars import BusinessHours
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.floats import Floats
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import SumMetric
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.quantiles import QuantileMetric


def _observe(block: Block, kind: GapKind | None, calendar: BusinessHours | None, unknown_as: GapKind) -> Observations:
    """Transitions of the kind, with their length in seconds."""
    found = gaps(block, calendar, unknown_as)
    rows = np.arange(found.step.size) if kind is None else np.flatnonzero(found.kind == GAP_KINDS.index(kind))
    return observe("transition", found.step[rows], value=found.length[rows] / 1e6)


@frozen(kw_only=True)
class WaitMetric(SumMetric):
    """A number made of the sum of gaps between neighbouring events; overlapping ones count as 0.

    Attributes:
        kind: Only waits, pauses or unknown gaps; all of them unless given.
        calendar: Count only time within these opening hours.
        unknown_as: What a gap counts as where nobody knows whose turn it was.
    """

    unit: ClassVar[str] = "s"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    observes: ClassVar[Unit] = "transition"

    kind: GapKind | None = field(default=None, validator=validators.in_((None, *GAP_KINDS)))
    calendar: BusinessHours | None = None
    unknown_as: GapKind = field(default="unknown", validator=validators.in_(GAP_KINDS))

    def missing(self, facts: Facts) -> str | None:
        """A kind is asked for and nobody says whose turn it is."""
        return None if self.kind is None else initiator_missing(facts, self.unknown_as)

    def observe(self, block: Block) -> Observations:
        """Gaps of the kind."""
        return _observe(block, self.kind, self.calendar, self.unknown_as)


@frozen(kw_only=True)
class WaitMean(WaitMetric):
    """Mean time from one event (from its end, where it has one) to the next of the same journey.

    Seconds, 0 or more, lower is better; delta interval by customer. Completed steps only: what a customer is still
    waiting for does not count.
    """

    name: ClassVar[str] = "wait_mean"

    def value(self, sums: Columns) -> Floats:
        """Σ seconds/n."""
        return sums["value"] / sums["n"]


@frozen(kw_only=True)
class WaitTotal(WaitMetric):
    """All time between events, summed: what ranks bottlenecks. Seconds, 0 or more, lower is better; delta interval."""

    name: ClassVar[str] = "wait_total"

    def value(self, sums: Columns) -> Floats:
        """Σ seconds."""
        return sums["value"]


@frozen(kw_only=True)
class WaitQuantile(QuantileMetric):
    """Time between neighbouring events that a share of them does not exceed; the median unless ``share`` is given.

    Seconds, 0 or more, lower is better; exact, with Woodruff's interval by customer. Completed steps only.

    Attributes:
        share: 0.5 for the median, 0.9 for the 90 % quantile.
        kind: Only waits, pauses or unknown gaps; all of them unless given.
        calendar: Count only time within these opening hours.
        unknown_as: What a gap counts as where nobody knows whose turn it was.
    """

    name: ClassVar[str] = "wait_quantile"
    unit: ClassVar[str] = "s"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    observes: ClassVar[Unit] = "transition"

    kind: GapKind | None = field(default=None, validator=validators.in_((None, *GAP_KINDS)))
    calendar: BusinessHours | None = None
    unknown_as: GapKind = field(default="unknown", validator=validators.in_(GAP_KINDS))

    def missing(self, facts: Facts) -> str | None:
        """A kind is asked for and nobody says whose turn it is."""
        return None if self.kind is None else initiator_missing(facts, self.unknown_as)

    def observe(self, block: Block) -> Observations:
        """Gaps of the kind."""
        return _observe(block, self.kind, self.calendar, self.unknown_as)
