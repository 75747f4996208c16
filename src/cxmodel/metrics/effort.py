"""Observed effort: what a journey cost the customer, component by component; there is no composite."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import ClassVar

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.data.columns import column_missing, distinct, event_codes, neighbours
from cxmodel.data.times import microseconds
from cxmodel.errors import InvalidValueError
from cxmodel.metrics.contacts import contact_events, contacts_missing, names_of
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import grouped_sum
from cxmodel.stats.floats import Floats
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import SumMetric
from cxmodel.tallies.observations import Observations, observe


@frozen(kw_only=True)
class EffortMetric(SumMetric):
    """One number per journey, then the mean over all with an event; lower is better, delta interval by customer."""

    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    observes: ClassVar[Unit] = "journey"

    @abstractmethod
    def of(self, block: Block) -> Floats:
        """(journeys,) the number of each journey."""

    def observe(self, block: Block) -> Observations:
        """Journeys with an event, and the number of each."""
        rows = np.flatnonzero(block.lengths > 0)
        return observe("journey", rows, effort=self.of(block)[rows])

    def value(self, sums: Columns) -> Floats:
        """Σ effort/n."""
        return sums["effort"] / sums["n"]


@frozen(kw_only=True)
class EffortSteps(EffortMetric):
    """Mean number of steps of a journey: its events; 1 or more, lower is better."""

    name: ClassVar[str] = "effort_steps"
    unit: ClassVar[str] = "steps"
    range: ClassVar[tuple[float, float]] = (1.0, np.inf)

    def of(self, block: Block) -> Floats:
        """Events."""
        return block.lengths.astype(np.float64)


@frozen(kw_only=True)
class EffortContacts(EffortMetric):
    """Mean number of contacts of a journey: events in which customer and company speak; 0 or more, lower is better.

    Attributes:
        touchpoints: The touchpoints that are contacts; those of kind ``"communication"`` unless given.
    """

    name: ClassVar[str] = "effort_contacts"
    unit: ClassVar[str] = "contacts"

    touchpoints: tuple[str, ...] | None = field(default=None, converter=names_of)

    def missing(self, facts: Facts) -> str | None:
        """Neither names nor kinds of touchpoints, or a name that never occurs."""
        return contacts_missing(self.touchpoints, facts)

    def of(self, block: Block) -> Floats:
        """Events at a contact."""
        hits = contact_events(block, self.touchpoints)
        return grouped_sum(block.journey, hits.astype(np.float64), block.journeys)


@frozen(kw_only=True)
class EffortTouchpoints(EffortMetric):
    """Mean number of different touchpoints of a journey; 1 or more, lower is better."""

    name: ClassVar[str] = "effort_touchpoints"
    unit: ClassVar[str] = "touchpoints"
    range: ClassVar[tuple[float, float]] = (1.0, np.inf)

    def of(self, block: Block) -> Floats:
        """Different touchpoints."""
        return distinct(event_codes(block, "touchpoint"), block.journey, block.journeys).astype(np.float64)


@frozen(kw_only=True)
class EffortRepeats(EffortMetric):
    """Mean number of repeated steps of a journey: events at a touchpoint met before; 0 or more, lower is better."""

    name: ClassVar[str] = "effort_repeats"
    unit: ClassVar[str] = "steps"

    def of(self, block: Block) -> Floats:
        """Events less different touchpoints."""
        return EffortSteps().of(block) - EffortTouchpoints().of(block)


@frozen(kw_only=True)
class SwitchMetric(EffortMetric):
    """Mean number of changes of a column between consecutive known values; unknown ones are passed over.

    Journeys without a known value do not count.
    """

    of_column: ClassVar[str]

    def missing(self, facts: Facts) -> str | None:
        """No such column."""
        return column_missing(self.of_column, facts)

    def observe(self, block: Block) -> Observations:
        """Journeys with a known value, and the changes of each."""
        rows = np.unique(block.journey[event_codes(block, self.of_column) >= 0])
        return observe("journey", rows, effort=self.of(block)[rows])

    def of(self, block: Block) -> Floats:
        """Consecutive known values that differ."""
        codes = event_codes(block, self.of_column)
        before, after = neighbours(codes, block.journey)
        changed = codes[before] != codes[after]
        return grouped_sum(block.journey[after], changed.astype(np.float64), block.journeys)


@frozen(kw_only=True)
class ChannelSwitches(SwitchMetric):
    """Mean number of changes of channel in a journey; 0 or more, lower is better."""

    name: ClassVar[str] = "channel_switches"
    unit: ClassVar[str] = "switches"
    of_column: ClassVar[str] = "channel"


@frozen(kw_only=True)
class DepartmentHandOffs(SwitchMetric):
    """Mean number of changes of department in a journey; 0 or more, lower is better."""

    name: ClassVar[str] = "department_hand_offs"
    unit: ClassVar[str] = "hand-offs"
    of_column: ClassVar[str] = "department"


@frozen(kw_only=True)
class EffortMinutes(EffortMetric):
    """Mean number of active minutes of a journey; 0 or more, lower is better.

    Between two steps the time from the start of one to the start of the next counts, unless the pause from the end of
    the one to the next is longer than ``idle``; then only the step itself counts (until its end, where the source has
    one). Without ends the last step takes no time, so the number is a lower bound.

    Attributes:
        idle: Longest pause that still counts as activity.
    """

    name: ClassVar[str] = "effort_minutes"
    unit: ClassVar[str] = "min"

    idle: timedelta = timedelta(minutes=30)

    def __attrs_post_init__(self) -> None:
        if self.idle < timedelta(0):
            raise InvalidValueError(f"idle is a duration of 0 or more, got {self.idle}")

    def of(self, block: Block) -> Floats:
        """Minutes of all steps."""
        ends = block.time if block.until is None else np.maximum(block.time, block.until)
        active = ends - block.time
        steps = block.steps
        following = block.time[steps + 1]
        short = following - ends[steps] <= microseconds(self.idle)
        active[steps[short]] = (following - block.time[steps])[short]
        return grouped_sum(block.journey, active / 60e6, block.journeys)
