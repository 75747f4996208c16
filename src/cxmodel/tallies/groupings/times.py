"""Groupings by time: periods and parts of the clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, time, timedelta
from itertools import combinations
from typing import Final, Literal, get_args

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit, Vocabulary
from cxmodel.data.times import DAY, Offsets, Period, first_day, period_number
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.stats.arrays import Bools, Ints, integers
from cxmodel.tallies.groupings.base import NONE, Assigned, By

_HOUR: Final = 3_600_000_000
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
        there, wall = _walls(block, unit, at, self.tz)
        codes = np.full(at.size, NONE)
        codes[there] = first_day(period_number(wall // DAY, self.period), self.period) + 719_162
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
        there, wall = _walls(block, unit, at, self.tz)
        codes = np.full(at.size, NONE)
        codes[there] = (wall // DAY + _MONDAY) % 7 if self.part == "weekday" else wall % DAY // _HOUR
        return Assigned(np.arange(at.size), codes)


Hour = float | time
"""An hour of the day: 22, 9.5, or a `datetime.time`."""


@frozen
class Daypart:
    """A part of the day [start, stop); past midnight where it stops before it starts.

    Attributes:
        name: What to call it.
        start: Hour it begins, 0 to 24.
        stop: Hour it ends.
    """

    name: str
    start: float
    stop: float


DAYPARTS: Final[Mapping[str, tuple[Hour, Hour]]] = {
    "night": (22, 6), "morning": (6, 12), "afternoon": (12, 18), "evening": (18, 22),
}  # fmt: skip


def _hour(value: Hour, name: str) -> float:
    hour = value.hour + value.minute / 60 + value.second / 3600 if isinstance(value, time) else float(value)
    if not 0 <= hour <= 24:
        raise InvalidValueError(f"{name!r} has the hour {hour:g}; hours go from 0 to 24")
    return hour


def _dayparts(named: Mapping[str, tuple[Hour, Hour]]) -> tuple[Daypart, ...]:
    parts = tuple(Daypart(name, _hour(span[0], name), _hour(span[1], name)) for name, span in named.items())
    if not parts:
        raise InvalidValueError("no part of the day was named", hint='Write cx.by.daypart({"lunch": (11, 14)})')
    for part in parts:
        if part.start % 24 == part.stop % 24:
            raise InvalidValueError(f"{part.name!r} begins and ends at {part.start:g}: it must end at another hour")
    for one, other in combinations(parts, 2):
        if (other.start - one.start) % 24 < (one.stop - one.start) % 24 or (one.start - other.start) % 24 < (
            other.stop - other.start
        ) % 24:
            raise InvalidValueError(f"{one.name!r} and {other.name!r} overlap; an hour belongs to one part of the day")
    return parts


@frozen
class ByDaypart(By[str]):
    """By part of the day on the clock of a zone; hours that no part holds are unassigned; times as in `ByPeriod`.

    Attributes:
        parts: The parts of the day; they share no hour.
        tz: Zone of the clock.
    """

    parts: tuple[Daypart, ...] = field(converter=_dayparts)
    tz: str = "UTC"

    @property
    def names(self) -> tuple[str, ...]:
        """``("daypart",)``."""
        return ("daypart",)

    def size(self, vocabulary: Vocabulary) -> int:
        """Number of parts."""
        return len(self.parts)

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[str]:
        """Names of the parts."""
        return [self.parts[code].name for code in integers(codes)]

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """The part of the day of each observation's time."""
        there, wall = _walls(block, unit, at, self.tz)
        group = np.full(wall.size, NONE)
        for code, part in enumerate(self.parts):
            start, length = round(part.start * _HOUR), round((part.stop - part.start) % 24 * _HOUR)
            group[(wall - start) % DAY < length] = code
        codes = np.full(at.size, NONE)
        codes[there] = group
        return Assigned(np.arange(at.size), codes)


Hemisphere = Literal["northern", "southern"]
_SEASONS: Final = {"spring": (3, 4, 5), "summer": (6, 7, 8), "autumn": (9, 10, 11), "winter": (12, 1, 2)}


def seasons(hemisphere: Hemisphere) -> Mapping[str, Sequence[int]]:
    """The meteorological seasons of a hemisphere: name → months.

    Example:
        >>> seasons("southern")["summer"]
        (12, 1, 2)
    """
    if hemisphere not in get_args(Hemisphere):
        raise InvalidValueError(unknown("hemisphere", str(hemisphere), get_args(Hemisphere)))
    months = list(_SEASONS.values())
    turned = months if hemisphere == "northern" else [*months[2:], *months[:2]]
    return dict(zip(_SEASONS, turned, strict=True))


def _months(named: Mapping[str, Sequence[int]]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    if not named:
        raise InvalidValueError("no season was named", hint='Write months={"high": [6, 7, 8]}')
    owner: dict[int, str] = {}
    for name, months in named.items():
        for month in months:
            if month not in range(1, 13):
                raise InvalidValueError(f"{name!r} has the month {month!r}; months go from 1 to 12")
            if month in owner:
                raise InvalidValueError(f"month {month} belongs to {owner[month]!r} and to {name!r}; one is needed")
            owner[month] = name
    return tuple((name, tuple(months)) for name, months in named.items())


@frozen
class BySeason(By[str]):
    """By season, the same months of all years, in a zone; other months are unassigned; times as in `ByPeriod`.

    Attributes:
        months: Names with their months.
        tz: Zone of the calendar.
    """

    months: tuple[tuple[str, tuple[int, ...]], ...] = field(converter=_months)
    tz: str = "UTC"

    @property
    def names(self) -> tuple[str, ...]:
        """``("season",)``."""
        return ("season",)

    def size(self, vocabulary: Vocabulary) -> int:
        """Number of seasons."""
        return len(self.months)

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[str]:
        """Names of the seasons."""
        return [self.months[code][0] for code in integers(codes)]

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """The season of each observation's time."""
        there, wall = _walls(block, unit, at, self.tz)
        season = np.full(12, NONE)
        for code, (_, months) in enumerate(self.months):
            season[np.array(months, np.int64) - 1] = code
        codes = np.full(at.size, NONE)
        codes[there] = season[period_number(wall // DAY, "month") % 12]
        return Assigned(np.arange(at.size), codes)


def _walls(block: Block, unit: Unit, at: Ints, tz: str) -> tuple[Bools, Ints]:
    """Which observations have a time, and the wall clock of these."""
    times = _times(block, unit, at)
    there = times != np.iinfo(np.int64).min
    return there, Offsets.around(tz, times[there]).to_wall(times[there])


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
