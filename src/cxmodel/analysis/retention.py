"""Retention: of the customers who came once, the share seen again in each window after."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, ClassVar

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.data.times import instant, microseconds
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, no_value
from cxmodel.model.frames import Tabular
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Ints
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums, merge_sums, tabulate
from cxmodel.tallies.windows import FOREVER, Occasions, WindowShare, positive_duration


@frozen(kw_only=True)
class RetentionTable(Tabular):
    """Of the customers of a cohort, the share seen again in each window after their first event.

    Attributes:
        customers: Customers with an event.
        every: Length of a window.
        shares: For window 1, 2, …: share of those judged who have an event in it; ``censored`` counts the others.
    """

    customers: int
    every: timedelta
    shares: tuple[Estimate, ...]

    def to_records(self) -> list[dict[str, object]]:
        """One record per window."""
        return [
            {"group": {"window": number}, "quantity": "retention", **share.to_dict()}
            for number, share in enumerate(self.shares, start=1)
        ]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"customers": self.customers, "every_s": self.every.total_seconds(), "windows": self.to_records()}

    def __str__(self) -> str:
        rows = [f"  window {number}: {share:.1%}" for number, share in enumerate(self.shares, start=1)]
        return "\n".join([f"{self.customers:,} customers, seen again by windows of {self.every}", *rows])


@frozen(kw_only=True)
class _Share(WindowShare):
    """What one window shows, once it has been tabulated."""

    name: ClassVar[str] = "retention"
    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "customer"

    def until(self, block: Block, end: int) -> Observations:
        """Nothing of its own."""
        return observe("customer", np.zeros(0, np.int64))


@frozen(kw_only=True)
class Retention(SumTally[RetentionTable]):
    """Retention by windows: of the customers of a cohort, the share with an event in each window after their first.

    Share, 0 to 1, higher is better. With t the time of a customer's first event, window k is [t + k · every,
    t + (k + 1) · every), k = 1, 2, …; window 0 holds the first event and is 1 by definition. Judged in window k are the
    customers whose window is over when observation ends; the others are censored in it, and counted. Wilson's interval
    (10.1080/01621459.1927.10502953). With ``by=cx.by.month()`` one table per cohort.

    Attributes:
        every: Length of a window.
        windows: How many windows.
        end: When observation ended; the last event unless given.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": who, "what": "visit", "at": f"2026-01-{day:02d}"}
        ...        for who, days in (("a", (1, 9, 15)), ("b", (1, 2)), ("c", (20,))) for day in days]
        >>> journeys = read_events(log, customer="who", touchpoint="what", time="at")
        >>> table = journeys.measure(Retention(every=timedelta(days=7), windows=2, end=datetime(2026, 1, 28)))
        >>> [(each.value, each.n, each.censored) for each in table.shares]
        [(0.5, 2, 1), (0.5, 2, 1)]
    """

    name: ClassVar[str] = "retention"
    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "customer"

    every: timedelta = field(validator=positive_duration)
    windows: int = field(default=6, validator=validators.ge(1))
    end: datetime | None = None

    def add(self, state: Sums, block: Block, cells: Cells[Any]) -> Sums:
        """What was observed until the end."""
        end = self.end or cells.facts.last
        seen = self._until(block, FOREVER if end is None else instant(end))
        return merge_sums(state, tabulate(block, seen, cells))

    def observe(self, block: Block) -> Observations:
        """Every customer in every window, as if observation had gone on after the last event."""
        return self._until(block, FOREVER)

    def _until(self, block: Block, end: int) -> Observations:
        found = Occasions.of(block, np.arange(block.events))
        customer = found.customer[found.first]
        zero, length = found.time[found.first], microseconds(self.every)
        keys, hits = [], []
        for number in range(1, self.windows + 1):
            # windows are closed on the left here: [low, high) is (low − 1, high − 1] in whole µs
            low = zero + number * length - 1
            _, count = found.between(customer, low, low + length)
            keys.append(2 * number + (zero > end - (number + 1) * length))
            hits.append(count > 0)
        rows: Ints = np.tile(customer, self.windows)
        return observe("customer", rows, np.concatenate(keys), hit=np.concatenate(hits))

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> RetentionTable:
        """The share of each window."""
        shares = tuple(self._share(sums, number, cells, level) for number in range(1, self.windows + 1))
        return RetentionTable(
            customers=shares[0].n + shares[0].censored, every=self.every, shares=shares
        )  # fmt: skip

    def _share(self, sums: Sums, number: int, cells: Cells[Any], level: float) -> Estimate:
        mine = sums.where(sums.key // 2 == number) if sums.rows else sums
        if not mine.rows:
            return no_value("no customers to measure", unit=self.unit, direction=self.direction, range=self.range)
        found = _Share(within=self.every).finish(evolve(mine, key=mine.key % 2), cells, level)
        return evolve(next(iter(found.values())), dependence=None)
