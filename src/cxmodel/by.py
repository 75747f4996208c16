"""What results can be grouped by: ``journeys.measure(metric, by=cx.by.attribute("delivery"))``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from cxmodel.analysis.pattern_language import Pattern
from cxmodel.analysis.patterns import ByPattern
from cxmodel.errors import InvalidValueError
from cxmodel.model.transitions import Transition
from cxmodel.tallies.groupings import (
    DAYPARTS,
    By,
    ByBins,
    ByClock,
    ByColumn,
    ByCross,
    ByDaypart,
    ByOpinion,
    ByPeriod,
    ByQuestion,
    BySeason,
    ByTransition,
    Hemisphere,
    Hour,
    seasons,
)

touchpoint: By[str] = ByColumn("touchpoint")
stage: By[str] = ByColumn("stage")
channel: By[str] = ByColumn("channel")
department: By[str] = ByColumn("department")
contact: By[str] = ByColumn("contact")
persona: By[str] = ByColumn("persona")
source: By[str] = ByColumn("source")
kind: By[str] = ByColumn("kind")
question: By[str] = ByQuestion()
opinion: By[str] = ByOpinion()
transition: By[Transition] = ByTransition()


def attribute(name: str) -> By[str]:
    """By a column of your own."""
    return ByColumn(name, fixed=False)


def bins(name: str, edges: Sequence[float]) -> By[str]:
    """By bins [low, high) of a column of numbers."""
    return ByBins(name, edges)


def pattern(patterns: Mapping[str, str | Pattern]) -> By[str]:
    """By the first of these patterns that a journey matches, told by its label; others are unassigned.

    Example:
        >>> pattern({"rescued": "fail => message", "left alone": "fail"}).names
        ('pattern',)
    """
    return ByPattern(patterns)


def year(*, tz: str = "UTC") -> By[date]:
    """By year in a zone, told by its first day."""
    return ByPeriod("year", tz)


def month(*, tz: str = "UTC") -> By[date]:
    """By month in a zone, told by its first day."""
    return ByPeriod("month", tz)


def week(*, tz: str = "UTC") -> By[date]:
    """By week in a zone, told by its Monday."""
    return ByPeriod("week", tz)


def day(*, tz: str = "UTC") -> By[date]:
    """By day in a zone."""
    return ByPeriod("day", tz)


def weekday(*, tz: str = "UTC") -> By[str]:
    """By day of the week in a zone."""
    return ByClock("weekday", tz)


def hour(*, tz: str = "UTC") -> By[str]:
    """By hour of the day in a zone, ``"00"`` to ``"23"``."""
    return ByClock("hour", tz)


def daypart(parts: Mapping[str, tuple[Hour, Hour]] = DAYPARTS, *, tz: str = "UTC") -> By[str]:
    """By part of the day in a zone: night 22–6, morning 6–12, afternoon 12–18, evening 18–22 unless said otherwise.

    Args:
        parts: Name → hours [start, stop), 0 to 24 or `datetime.time`; one that stops before it starts passes midnight.
            Parts share no hour; what lies in none is unassigned.
        tz: Zone of the clock.

    Example:
        >>> daypart({"breakfast": (6, 10.5), "late": (23, 2)}).names
        ('daypart',)
    """
    return ByDaypart(parts, tz)


def season(
    hemisphere: Hemisphere | None = None, *, months: Mapping[str, Sequence[int]] | None = None, tz: str = "UTC"
) -> By[str]:
    """By season: the same months of all years. Where it is summer must be said.

    Args:
        hemisphere: ``"northern"`` or ``"southern"``: spring, summer, autumn and winter by whole months (summer in the
            north is June to August).
        months: Name → months, for seasons of your own; other months are unassigned.
        tz: Zone of the calendar.

    Example:
        >>> season(months={"high": [6, 7, 8], "low": [1, 2, 11]}).names
        ('season',)
    """
    if (hemisphere is None) == (months is None):
        raise InvalidValueError(
            "say either the hemisphere or the months, for summer is not in the same months everywhere",
            hint='Write cx.by.season("northern"), or cx.by.season(months={"high": [6, 7, 8]})',
        )
    return BySeason(months if months is not None else seasons(hemisphere or "northern"), tz)


def cross(*parts: By[Any]) -> By[tuple[object, ...]]:
    """By every combination of several groupings; ``by=(a, b)`` and ``by=(a, b, c)`` say the same.

    Example:
        >>> cross(channel, weekday(), daypart()).names
        ('channel', 'weekday', 'daypart')
    """
    return ByCross(parts)
