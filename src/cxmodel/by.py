"""What results can be grouped by: ``journeys.measure(metric, by=cx.by.attribute("delivery"))``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

from cxmodel.analysis.pattern_language import Pattern
from cxmodel.analysis.patterns import ByPattern
from cxmodel.model.transitions import Transition
from cxmodel.tallies.groupings import By, ByBins, ByClock, ByColumn, ByOpinion, ByPeriod, ByQuestion, ByTransition

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
