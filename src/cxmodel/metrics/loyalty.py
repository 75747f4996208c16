"""Loyalty as behaviour: customers who are seen again, and customers who do it again."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import ClassVar

import numpy as np
from attrs import converters, field, frozen

from cxmodel.analysis.credits import goal_missing
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.times import instant, microseconds
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Ints
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.windows import Occasions, WindowShare


def touchpoints_of(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """Names of touchpoints as a tuple; a single text is a mistake.

    Raises:
        InvalidValueError: A text instead of a list.
    """
    if isinstance(names, str):
        raise InvalidValueError(f"a list of touchpoints is needed, got the text {names!r}", hint=f"Write [{names!r}]")
    return None if names is None else tuple(names)


def touchpoints_missing(names: tuple[str, ...] | None, facts: Facts) -> str | None:
    """Which of these touchpoints never occurs, in words."""
    lost = [name for name in names or () if name not in facts.known_touchpoints]
    return unknown("touchpoint", lost[0], facts.known_touchpoints) if lost else None


@frozen(kw_only=True)
class Again(WindowShare):
    """Share of customers with a further occasion within a window of their first.

    Attributes:
        period: The first occasion in [start, stop) is time zero; the first of all unless given.
    """

    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "customer"

    period: tuple[datetime, datetime] | None = None

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        if self.period is not None and instant(self.period[0]) >= instant(self.period[1]):
            raise InvalidValueError(
                f"the period begins at {self.period[0]} and ends at {self.period[1]}: nothing can lie in it"
            )

    @abstractmethod
    def occasions(self, block: Block) -> Occasions:
        """What counts as an occasion."""

    def until(self, block: Block, end: int) -> Observations:
        """Customers with an occasion, and whether another lies in the window."""
        found = self.occasions(block)
        early = found if self.period is None else found.within(*map(instant, self.period))
        customer, zero = early.customer[early.first], early.time[early.first]
        _, count = self.inside(found, customer, zero)
        return observe("customer", customer, self.judged_by(zero, end), hit=count > 0)


@frozen(kw_only=True)
class RetentionRate(Again):
    """Share of customers who are seen again within a window of their first event.

    Share, 0 to 1, higher is better. Time zero is a customer's first event (in ``period``, where one is given); seen
    again is an event later than ``after`` and no later than ``within`` after it, in whichever journey. A customer whose
    window is not over when observation ends is *censored*: not in n, but counted (``Estimate.censored``). Wilson's
    interval (10.1080/01621459.1927.10502953); a customer counts once, so n needs no correction. ``by=cx.by.month()``
    gives cohorts by month of the first event. Descriptive.

    Attributes:
        after: Events no later than this after time zero belong to the first visit; one day unless given.
        at: Touchpoints that count, for time zero and for being seen again; all unless given.
    """

    name: ClassVar[str] = "retention_rate"

    after: timedelta = timedelta(days=1)
    at: tuple[str, ...] | None = field(default=None, converter=touchpoints_of)

    def missing(self, facts: Facts) -> str | None:
        """Touchpoints that never occur."""
        return touchpoints_missing(self.at, facts)

    def occasions(self, block: Block) -> Occasions:
        """The events."""
        rows = np.arange(block.events) if self.at is None else np.flatnonzero(block.events_at(self.at))
        return Occasions.of(block, rows)


@frozen(kw_only=True)
class RepeatRate(Again):
    """Share of customers who begin a second journey, or reach a goal a second time, within a window of the first.

    Share, 0 to 1, higher is better. Time zero is the beginning of a customer's first journey, or with ``goal`` the
    first event that meets it; a repeat is another beginning (or event that meets the goal) later than ``after`` and no
    later than ``within`` after it. Two journeys that begin at the same instant are two unless ``after`` is given, two
    events that meet the goal are one. Customers whose window is not over are censored and counted, not lost; those who
    never reach the goal are not in it at all. Wilson's interval (10.1080/01621459.1927.10502953). Descriptive.

    Attributes:
        goal: What is repeated; a journey unless given.
    """

    name: ClassVar[str] = "repeat_rate"

    goal: Goal | None = field(default=None, converter=converters.optional(as_goal))

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur, or journeys of which each customer has one."""
        if self.goal is not None:
            return goal_missing(self.goal, facts)
        if 0 < facts.journeys == facts.customers:
            return (
                "every customer has one journey here, so a second could not be seen: read the events with journey=…, "
                "cut visits with journeys.split(gap=…), or name a goal"
            )
        return None

    def occasions(self, block: Block) -> Occasions:
        """Beginnings of journeys, or events that meet the goal."""
        rows = block.first if self.goal is None else np.flatnonzero(block.events_at(self.goal.touchpoints))
        return Occasions.of(block, rows)

    def inside(self, occasions: Occasions, customer: Ints, zero: Ints) -> tuple[Ints, Ints]:
        """As for every window; a journey that begins together with the first is another one all the same."""
        if self.goal is not None or self.after:
            return super().inside(occasions, customer, zero)
        first, count = occasions.between(customer, zero - 1, zero + microseconds(self.within))
        return first + 1, count - 1
