"""Windows: what happens within a time after time zero; whoever's window is not over yet is censored, not lost."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final, cast

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block
from cxmodel.data.times import instant, microseconds
from cxmodel.errors import InvalidValueError
from cxmodel.model.estimates import Estimate
from cxmodel.stats.arrays import Ints, rows_until
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import PLURALS, Closed, SumMetric
from cxmodel.tallies.observations import Observations
from cxmodel.tallies.sums import Sums, merge_sums, tabulate

JUDGED: Final = 0
CENSORED: Final = 1
FOREVER: Final = np.iinfo(np.int64).max


@frozen(eq=False)
class Occasions:
    """What may happen in a window, in the order of (customer, time).

    Attributes:
        customer: (o,) row of the customer.
        time: (o,) µs UTC.
        row: (o,) row of the event.
    """

    customer: Ints
    time: Ints
    row: Ints

    @classmethod
    def of(cls, block: Block, row: Ints) -> Occasions:
        """The occasions at these events, given in the order of their rows."""
        customer, time = block.customer_of_journey[block.journey[row]], block.time[row]
        if ((customer[1:] == customer[:-1]) & (time[1:] < time[:-1])).any():
            order = np.lexsort((time, customer))
            return cls(customer[order], time[order], row[order])
        return cls(customer, time, row)

    @property
    def first(self) -> Ints:
        """Place of each customer's first occasion."""
        return np.flatnonzero(np.diff(self.customer, prepend=-1))

    def within(self, low: int, high: int) -> Occasions:
        """Those in [low, high)."""
        kept = np.flatnonzero((self.time >= low) & (self.time < high))
        return Occasions(self.customer[kept], self.time[kept], self.row[kept])

    def between(self, customer: Ints, low: Ints, high: Ints) -> tuple[Ints, Ints]:
        """For each customer and window (low, high]: place of its first occasion, and how many it holds."""
        first = rows_until(self.customer, self.time, customer, low)
        return first, rows_until(self.customer, self.time, customer, high) - first


def positive_duration(instance: object, attribute: Any, value: timedelta) -> None:
    """Refuse a duration of 0 or less, and what is none."""
    if not isinstance(cast("object", value), timedelta):
        raise InvalidValueError(
            f"{attribute.name} is a duration, got {value!r}", hint=f"Write {attribute.name}=timedelta(days=30)"
        )
    if value <= timedelta(0):
        raise InvalidValueError(f"{attribute.name} is a positive duration, got {value}")


@frozen(kw_only=True)
class WindowMetric(SumMetric):
    """A metric of what happens later than ``after`` and no later than ``within`` after time zero.

    Attributes:
        within: The window: how long after time zero something still counts.
        after: What happens no later than this after time zero does not count yet.
        end: When observation ended; the last event unless given.
    """

    within: timedelta = field(validator=positive_duration)
    after: timedelta = timedelta(0)
    end: datetime | None = None

    def __attrs_post_init__(self) -> None:
        if not timedelta(0) <= self.after < self.within:
            raise InvalidValueError(
                f"the window is later than after={self.after} and no later than within={self.within}: "
                "nothing can lie in it",
                hint="Write after=timedelta(days=1), within=timedelta(days=90)",
            )

    @abstractmethod
    def until(self, block: Block, end: int) -> Observations:
        """What is observed when observation ends at ``end``; `judged_by` makes the key."""

    def judged_by(self, zero: Ints, end: int) -> Ints:
        """The key of each time zero: judged, or censored because its window is not over at the end."""
        return np.where(zero <= end - microseconds(self.within), JUDGED, CENSORED)

    def inside(self, occasions: Occasions, customer: Ints, zero: Ints) -> tuple[Ints, Ints]:
        """For each customer and time zero: place of the first occasion in the window, and how many it holds."""
        low, high = zero + microseconds(self.after), zero + microseconds(self.within)
        return occasions.between(customer, low, high)

    def add(self, state: Sums, block: Block, cells: Cells[Any]) -> Sums:
        """What was observed until the end."""
        end = self.end or cells.facts.last
        seen = self.until(block, FOREVER if end is None else instant(end))
        return merge_sums(state, tabulate(block, seen, cells))

    def observe(self, block: Block) -> Observations:
        """What was observed, as if observation had gone on after the last event."""
        return self.until(block, FOREVER)

    def finish(self, state: Sums, cells: Cells[Any], level: float) -> Mapping[int, Estimate]:
        """Those that can be judged, and how many cannot."""
        judged = state.where(state.key == JUDGED)
        found = dict(super().finish(judged, cells, level)) if judged.rows or not state.rows else {}
        for row in np.flatnonzero(state.key == CENSORED).tolist():
            group, count = int(state.group[row]), int(state.count[row])
            reason = f"it is too early to judge any of {count:,} {PLURALS[self.observes]}"
            estimate = found.get(group) or self._without(0, reason, "censored", cells)
            found[group] = evolve(estimate, censored=count, flags=(*estimate.flags, "censored"))
        return found


@frozen(kw_only=True)
class WindowShare(WindowMetric):
    """Share of those judged of whom something is true (``hit``); Wilson's interval on n over the design effect."""

    def value(self, sums: Columns) -> Floats:
        """hit/n."""
        return sums["hit"] / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Wilson's interval."""
        low, high = wilson(sums["hit"] / sums["n"] * n_eff, n_eff, level)
        return Closed(low, high, "wilson, design effect")
