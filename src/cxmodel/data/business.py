"""Business time: how much of the time between two instants lies within opening hours."""

from __future__ import annotations

from datetime import date
from typing import Final

import numpy as np
from attrs import frozen

from cxmodel.data.times import DAY, Offsets
from cxmodel.model.calendars import BusinessHours
from cxmodel.stats.arrays import Ints

_MINUTE: Final = 60_000_000
_MONDAY: Final = 3  # 1970-01-01 was a Thursday
_EPOCH: Final = date(1970, 1, 1)


@frozen(eq=False)
class OpenTimes:
    """The spans in which something is open, as instants.

    Attributes:
        begins: (s,) µs UTC, ascending.
        lengths: (s,) µs.
        before: (s,) open µs before each span.
    """

    begins: Ints
    lengths: Ints
    before: Ints

    @classmethod
    def covering(cls, hours: BusinessHours, first: int, last: int) -> OpenTimes:
        """The spans from a day before ``first`` to a day after ``last``."""
        days = np.arange(first // DAY - 1, last // DAY + 2)
        closed = np.array([(day - _EPOCH).days for day in hours.holidays], np.int64)
        days = days[~np.isin(days, closed)]
        walls = [
            days[(days + _MONDAY) % 7 == weekday] * DAY + minute * _MINUTE
            for weekday, spans in enumerate(hours.week)
            for span in spans
            for minute in span
        ]
        begin, end = np.sort(np.concatenate(walls[::2])), np.sort(np.concatenate(walls[1::2]))
        offsets = Offsets.around(hours.tz, np.concatenate([begin, end]))
        opened, closed_at = offsets.to_instants(begin)[0], offsets.to_instants(end)[0]
        lengths = np.maximum(closed_at - opened, 0)
        return cls(opened, lengths, np.cumsum(lengths) - lengths)

    def until(self, times: Ints) -> Ints:
        """(n,) open µs from the first span to each instant."""
        if not self.begins.size:
            return np.zeros(times.size, np.int64)
        span = np.searchsorted(self.begins, times, side="right") - 1
        inside = np.clip(times - self.begins[span], 0, self.lengths[span])
        return np.where(span < 0, 0, self.before[span] + inside)


def business_time(hours: BusinessHours, begin: Ints, end: Ints) -> Ints:
    """(n,) µs within opening hours between two instants; negative where the end comes first.

    Opening hours are read from the wall clock of their zone, but what is counted is time that truly passes: a span in
    which the clocks are put forward is an hour shorter.

    Args:
        hours: Opening hours.
        begin: (n,) µs UTC.
        end: (n,) µs UTC.

    Example:
        >>> friday, monday = 1_767_366_000_000_000, 1_767_607_200_000_000  # 2 January 2026 15:00, 5 January 10:00
        >>> business_time(BusinessHours(), np.array([friday]), np.array([monday])).tolist()[0] / 3_600_000_000
        3.0
    """
    if not begin.size:
        return np.zeros(0, np.int64)
    open_ = OpenTimes.covering(hours, int(min(begin.min(), end.min())), int(max(begin.max(), end.max())))
    return open_.until(end) - open_.until(begin)
