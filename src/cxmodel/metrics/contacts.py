"""Contacts: events in which customer and company speak, named outright or told by the kind of the touchpoint."""

from __future__ import annotations

from collections.abc import Iterable

from cxmodel.data.blocks import Block
from cxmodel.data.columns import events_with
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Bools


def names_of(names: Iterable[str] | None) -> tuple[str, ...] | None:
    """A list of names as a tuple.

    Raises:
        InvalidValueError: When it is one text.
    """
    if isinstance(names, str):
        raise InvalidValueError(f"a list of names is needed, got the text {names!r}", hint=f"Write [{names!r}]")
    return None if names is None else tuple(names)


def contacts_missing(names: tuple[str, ...] | None, facts: Facts) -> str | None:
    """Why contacts cannot be told, or None when they can."""
    if names is None:
        if "kind" in facts.touchpoint_columns:
            return None
        return "no touchpoint says its kind: name the contacts, or use journeys.with_touchpoints(…)"
    lost = [name for name in names if name not in facts.touchpoints]
    return unknown("touchpoint", lost[0], facts.touchpoints) if lost else None


def contact_events(block: Block, names: tuple[str, ...] | None) -> Bools:
    """(events,) whether the event is at one of these touchpoints, or at one of kind ``"communication"``."""
    return events_with(block, "kind", frozenset({"communication"})) if names is None else block.events_at(names)
