"""Instants and wall clocks: µs UTC, and zones read from the time-zone database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final, Literal, cast
from zoneinfo import ZoneInfo

import numpy as np
from attrs import frozen

from cxmodel.errors import InvalidValueError
from cxmodel.stats.arrays import Ints

DAY: Final = 86_400_000_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
FIRST: Final = -62_135_596_800_000_000
LAST: Final = 253_402_300_799_999_999
_LOWEST: Final = FIRST + 2 * DAY
_HIGHEST: Final = LAST - 2 * DAY


def microseconds(delta: timedelta) -> int:
    """A duration in whole µs.

    Raises:
        InvalidValueError: When it is no duration.
    """
    if not isinstance(cast("object", delta), timedelta):
        raise InvalidValueError(f"a duration is a timedelta, got {delta!r}", hint="Write datetime.timedelta(days=7)")
    return delta // timedelta(microseconds=1)


def instant(moment: datetime) -> int:
    """A moment in µs UTC; a naive one counts as UTC."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return (aware - _EPOCH) // timedelta(microseconds=1)


def moment(us: int) -> datetime:
    """The zone-aware moment of an instant; a zone may move the calendar's first and last day out of it by hours."""
    return _EPOCH + timedelta(microseconds=min(max(int(us), FIRST), LAST))


def zone(name: str) -> ZoneInfo:
    """The zone with this IANA name.

    Raises:
        InvalidValueError: When there is no such zone.
    """
    from zoneinfo import available_timezones

    from cxmodel.errors import nearest

    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        guess = nearest(name, available_timezones())
        hint = f"Write an IANA name such as {guess or 'Europe/Berlin'!r}"
        raise InvalidValueError(f"there is no time zone {name!r}", hint=hint) from None


Period = Literal["year", "month", "week", "day"]
_UNITS: Final = {"year": "Y", "month": "M"}
_DAY_ONE: Final = -719_162  # 0001-01-01, a Monday, in days since 1970-01-01


def period_number(day: Ints, period: Period) -> Ints:
    """Number of the period that days since 1970 lie in, counted without gaps from 0001-01-01.

    Example:
        >>> period_number(np.array([0, 30, 31]), "month").tolist()
        [23628, 23628, 23629]
    """
    if period in ("day", "week"):
        return (day - _DAY_ONE) // (7 if period == "week" else 1)
    unit = f"datetime64[{_UNITS[period]}]"
    numbers: Ints = day.astype("datetime64[D]").astype(unit).astype(np.int64)
    return numbers + (1969 * 12 if period == "month" else 1969)


def first_day(number: Ints, period: Period) -> Ints:
    """First day of each numbered period, in days since 1970.

    Example:
        >>> first_day(period_number(np.array([40]), "month"), "month").tolist()
        [31]
    """
    if period in ("day", "week"):
        return number * (7 if period == "week" else 1) + _DAY_ONE
    unit = f"datetime64[{_UNITS[period]}]"
    since = number - (1969 * 12 if period == "month" else 1969)
    days: Ints = since.astype(unit).astype("datetime64[D]").astype(np.int64)
    return days


@frozen(eq=False)
class Offsets:
    """The offsets of a zone over the days that the data touch.

    Attributes:
        starts: (k − 1,) instants at which the offset changes.
        offsets: (k,) offset from UTC before the first, between, and after the last change; µs.
    """

    starts: Ints
    offsets: Ints

    @classmethod
    def around(cls, name: str, times: Ints) -> Offsets:
        """Read from the zone for every day within a day and a half of these times."""
        tz = zone(name)
        inside = np.clip(times, _LOWEST, _HIGHEST)
        days = np.unique(np.unique(inside // DAY)[:, None] + np.arange(-2, 4)[None, :])
        days = days[(days * DAY >= _LOWEST) & (days * DAY <= _HIGHEST)]
        probes = [int(day) * DAY for day in days]
        values = [_offset(tz, probe) for probe in probes]
        starts: list[int] = []
        offsets = values[:1] or [0]
        for (a, b), (before, after) in zip(pairwise(probes), pairwise(values), strict=True):
            if before != after:
                starts.append(_change(tz, a, b, before))
                offsets.append(after)
        return cls(np.array(starts, np.int64), np.array(offsets, np.int64))

    def to_wall(self, times: Ints) -> Ints:
        """Wall-clock µs of instants."""
        return times + self.offsets[np.searchsorted(self.starts, times, side="right")]

    def to_instants(self, wall: Ints) -> tuple[Ints, int, int]:
        """Instants of wall-clock times, with the number of non-existent and ambiguous ones.

        A non-existent time moves forward, an ambiguous one takes its first reading: both mean the offset before the
        change.
        """
        before, after = self.offsets[:-1], self.offsets[1:]
        low, high = self.starts + np.minimum(before, after), self.starts + np.maximum(before, after)
        at = np.searchsorted(high, wall, side="right")
        odd = (
            (at < high.size) & (wall >= low[np.minimum(at, high.size - 1)]) if high.size else np.zeros(wall.size, bool)
        )
        forward = odd & (after > before)[np.minimum(at, high.size - 1)] if high.size else odd
        return wall - self.offsets[at], int(forward.sum()), int((odd & ~forward).sum())


def _offset(tz: ZoneInfo, us: int) -> int:
    offset = moment(us).astimezone(tz).utcoffset()
    return microseconds(offset) if offset is not None else 0


def _change(tz: ZoneInfo, low: int, high: int, before: int) -> int:
    while high - low > 1_000_000:
        middle = (low + high) // 2_000_000 * 1_000_000
        if middle <= low:
            break
        low, high = (middle, high) if _offset(tz, middle) == before else (low, middle)
    return high
