"""A short notation for journeys, so that a test shows its data in one line."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from cxmodel.errors import InvalidValueError
from cxmodel.journeys import Journeys
from cxmodel.opening import read_events

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_EVENT: Final = re.compile(r"(?P<touchpoint>[^@]+?)(@(?P<channel>\S+))?\s+(?P<time>-?\d+(\.\d+)?)")


def journeys_of(text: str, *, unit: timedelta = timedelta(minutes=1)) -> Journeys:
    """Journeys from a short text: ``customer: touchpoint time, touchpoint@channel time; customer: …``.

    Times count ``unit`` from 2026-01-01 00:00 UTC. ``anna/order 1:`` names a journey of anna; without a journey's name
    all events of a customer are one journey. Name it for all customers or for none.

    Args:
        text: The journeys.
        unit: What one step of time is.

    Raises:
        InvalidValueError: When the text does not follow the notation.

    Example:
        >>> journeys = journeys_of("anna: question@chat 0, question 4, agent reply 10; bert: question@phone 0")
        >>> journeys
        <Journeys: 2 customers, 2 journeys, 4 events>
        >>> journeys.graph().wait("question", "agent reply")
        datetime.timedelta(seconds=360)
    """
    rows = rows_of(text, unit=unit)
    named = {row["journey"] is not None for row in rows}
    if len(named) > 1:
        raise InvalidValueError("name the journey of every customer or of none", hint="Write 'anna/1: …; bert/1: …'")
    channels = any(row["channel"] is not None for row in rows)
    return read_events(
        rows, customer="customer", touchpoint="touchpoint", time="time", journey="journey" if named == {True} else None,
        channel="channel" if channels else None,
    )  # fmt: skip


def rows_of(text: str, *, unit: timedelta = timedelta(minutes=1)) -> list[dict[str, str | None]]:
    """The rows that `journeys_of` reads: customer, journey, touchpoint, channel and time, in the order of the text."""
    rows: list[dict[str, str | None]] = []
    for part in filter(str.strip, text.split(";")):
        owner, colon, events = part.partition(":")
        if not colon or not owner.strip():
            raise InvalidValueError(f"{part.strip()!r} names no customer", hint="Write 'anna: question 0, reply 4'")
        customer, _, journey = (piece.strip() for piece in owner.partition("/"))
        rows += [{"customer": customer, "journey": journey or None, **_event(each, unit)} for each in events.split(",")]
    if not rows:
        raise InvalidValueError("there is no journey in an empty text", hint="Write 'anna: question 0, reply 4'")
    return rows


def _event(text: str, unit: timedelta) -> dict[str, str | None]:
    found = _EVENT.fullmatch(text.strip())
    if found is None:
        raise InvalidValueError(
            f"{text.strip()!r} is no event", hint="Write a touchpoint and a time: 'question@chat 4'"
        )
    time = START + float(found["time"]) * unit
    return {"touchpoint": found["touchpoint"].strip(), "channel": found["channel"], "time": time.isoformat()}
