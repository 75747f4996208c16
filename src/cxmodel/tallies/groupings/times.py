"""Groupings by time: periods and parts of the clock."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final, Literal

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Block, Unit, Vocabulary
from cxmodel.data.times import DAY, Offsets, Period, first_day, period_number
from cxmodel.stats.arrays import Ints, integers
from cxmodel.tallies.groupings.base import NONE, Assigned, By

_MONDAY: Final = 3  # 1970-01-01 was a Thursday: days since a Monday are days since the epoch plus 3


@frozen
class ByPeriod(By[date]):
    """By year, month, week or day, told by its first day in a zone.

    An event and a transition belong to the period of their time, a journey and a customer to that of the first
    event, a response to that of its own time.
    """

    period: Period
    tz: str = "UTC"

    @property
    def names(self) -> tuple[str, ...]:
        """The period's name."""
        return (self.period,)

    def size(self, vocabulary: Vocabulary) -> int:
        """Days in ten thousand years."""
        return 4_000_000

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[date]:
        """First day of each period."""
        return [date(1, 1, 1) + timedelta(days=int(code)) for code in codes]

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """The period of each observation's time."""
        times = _times(block, unit, at)
        known_ = times != np.iinfo(np.int64).min
        codes = np.full(at.size, NONE)
        wall = Offsets.around(self.tz, times[known_]).to_wall(times[known_])
        codes[known_] = first_day(period_number(wall // DAY, self.period), self.period) + 719_162
        return Assigned(np.arange(at.size), codes)


_WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


@frozen
class ByClock(By[str]):
    """By day of the week or hour of the day in a zone; times as in `ByPeriod`."""

    part: Literal["weekday", "hour"]
    tz: str = "UTC"

    @property
    def names(self) -> tuple[str, ...]:
        """The part's name."""
        return (self.part,)

    def size(self, vocabulary: Vocabulary) -> int:
        """7 or 24."""
        return 7 if self.part == "weekday" else 24

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[str]:
        """``"Monday"`` … or ``"00"`` … ``"23"``."""
        return [_WEEKDAYS[code] if self.part == "weekday" else f"{code:02d}" for code in integers(codes)]

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """From the wall clock."""
        times = _times(block, unit, at)
        there = times != np.iinfo(np.int64).min
        wall = Offsets.around(self.tz, times[there]).to_wall(times[there])
        codes = np.full(at.size, NONE)
        codes[there] = (wall // DAY + _MONDAY) % 7 if self.part == "weekday" else wall % DAY // 3_600_000_000
        return Assigned(np.arange(at.size), codes)


def _times(block: Block, unit: Unit, at: Ints) -> Ints:
    if unit == "response":
        assert block.answers is not None
        return block.answers.time[at]
    if unit in ("event", "transition"):
        return block.time[at]
    journeys = block.customer_offsets[at] if unit == "customer" else at
    first = block.journey_offsets[journeys]
    out = np.full(at.size, np.iinfo(np.int64).min)
    there = first < block.events
    there &= block.lengths[journeys] > 0
    out[there] = block.time[first[there]]
    return out
