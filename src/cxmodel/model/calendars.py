"""Opening hours: when a company could have acted."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final

from attrs import field, frozen

from cxmodel.errors import InvalidValueError, unknown

WEEKDAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_SPAN: Final = re.compile(r"(\d{1,2}):(\d{2})-(\d{1,2}):(\d{2})")
_DAY_MINUTES: Final = 24 * 60

Spans = tuple[tuple[int, int], ...]


def _week(week: Mapping[str, str] | tuple[Spans, ...]) -> tuple[Spans, ...]:
    if isinstance(week, tuple):
        return week
    for name in week:
        if name not in WEEKDAYS:
            raise InvalidValueError(unknown("weekday", name, WEEKDAYS))
    out = tuple(_spans(week.get(name, "")) for name in WEEKDAYS)
    if not any(out):
        raise InvalidValueError("these hours are never open", hint='Write {"Monday": "09:00-17:00"}')
    return out


def _spans(text: str) -> Spans:
    spans: list[tuple[int, int]] = []
    for part in text.split():
        found = _SPAN.fullmatch(part)
        numbers = [int(each) for each in found.groups()] if found else [0, 0, 0, 0]
        begin, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
        after = spans[-1][1] if spans else 0
        if not found or not after <= begin < end <= _DAY_MINUTES or max(numbers[1], numbers[3]) >= 60:
            raise InvalidValueError(
                f"{part!r} is no span of opening hours",
                hint='Write "09:00-17:00", or "09:00-12:00 13:00-17:00" in order',
            )
        spans.append((begin, end))
    return tuple(spans)


def _days(days: Iterable[date]) -> tuple[date, ...]:
    return tuple(sorted(set(days)))


_OFFICE: Final[tuple[Spans, ...]] = _week(dict.fromkeys(WEEKDAYS[:5], "09:00-17:00"))


@frozen(kw_only=True)
class BusinessHours:
    """Weekly opening hours in a zone, with holidays.

    Attributes:
        tz: IANA name of the zone whose clock the hours are read from.
        week: Weekday → its spans, ``"09:00-12:00 13:00-17:00"``; days that are not named are closed. Monday to Friday
            9 to 17 unless given.
        holidays: Dates on which nothing is open.

    Example:
        >>> BusinessHours(tz="Europe/Berlin", week={"Monday": "09:00-12:00"}).week[0]
        ((540, 720),)
    """

    tz: str = "UTC"
    week: tuple[Spans, ...] = field(default=_OFFICE, converter=_week)
    holidays: tuple[date, ...] = field(default=(), converter=_days)
