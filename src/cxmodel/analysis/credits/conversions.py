"""What counts as a conversion, and the events before it: look-back window, repeats, what follows a conversion."""

from __future__ import annotations

from datetime import timedelta
from functools import cached_property
from typing import cast

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block
from cxmodel.data.times import microseconds
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Bools, Ints, compress, offsets_of, ranges
from cxmodel.stats.floats import Floats

#: The name of the column that `read_events(value=…)` took.
VALUE = "value"


@frozen(kw_only=True)
class Conversions:
    """What counts as a conversion and which events before it take part.

    Attributes:
        goal: What is reached.
        value: Numeric column of the goal's event that is split instead of conversions; None to split conversions.
        within: Longest time from an event to the conversion; where there is none, to the last event.
        collapse: Whether consecutive events at one touchpoint are one.
        every: Whether each attainment is a conversion, with what lies since the one before it; else the first alone.
    """

    goal: Goal = field(converter=as_goal)
    value: str | None = None
    within: timedelta | None = None
    collapse: bool = False
    every: bool = False

    def __attrs_post_init__(self) -> None:
        given = cast("object", self.within)
        if given is not None and (not isinstance(given, timedelta) or given <= timedelta(0)):
            raise InvalidValueError(
                f"within is a positive duration, got {given!r}", hint="Write within=timedelta(days=30)"
            )

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur, or a value that is not there."""
        reason = goal_missing(self.goal, facts)
        if reason is None and self.value == VALUE and not facts.has_value:
            return "events carry no value; read_events(…, value=COLUMN) takes one"
        if reason is None and self.value not in (None, VALUE) and self.value not in facts.event_columns:
            return unknown("column of events", str(self.value), [*facts.event_columns, VALUE])
        return reason

    def values(self, block: Block, rows: Ints) -> Floats:
        """The values of some rows, NaN where there is none."""
        if self.value == VALUE:
            return np.full(rows.size, np.nan) if block.value is None else block.value[rows]
        column = block.event_columns.get(str(self.value))
        if column is None:
            return np.full(rows.size, np.nan)
        if not np.issubdtype(column.dtype, np.floating):
            raise InvalidValueError(f"the column {self.value!r} holds texts, and a value is a number")
        return np.asarray(column[rows], np.float64)

    def stretches(self, block: Block) -> Stretches:
        """Parts of journeys that end with a conversion or without one."""
        made = _every(block, self.goal) if self.every else _first(block, self.goal)
        if self.within is None:
            return made
        reach = microseconds(self.within)
        last = np.where(made.goal >= 0, made.goal, made.stop - 1)
        at, owner = ranges(made.start, made.stop - made.start), np.repeat(np.arange(made.size), made.stop - made.start)
        early = block.time[at] < (block.time[last] - reach)[owner]
        return Stretches(
            made.journey, made.start + np.bincount(owner[early], minlength=made.size), made.stop, made.goal
        )

    def before(self, block: Block) -> Before:
        """The events before each conversion."""
        every = self.stretches(block)
        won = every.goal >= 0
        journey, start, goal = every.journey[won], every.start[won], every.goal[won]
        length = every.stop[won] - start
        at = ranges(start, length)
        if self.collapse:
            keep = changes(block, at, np.repeat(start, length))
            length = np.diff(np.concatenate([[0], np.cumsum(keep)])[offsets_of(length)])
            at = at[keep]
        return Before(block, journey, goal, length, at)


@frozen(eq=False)
class Stretches:
    """Parts of journeys, in their order.

    Attributes:
        journey: Row of the journey of each.
        start: Row of its first event.
        stop: Row behind its last event; the goal's own event is not in it.
        goal: Row of the event that reaches the goal, or −1.
    """

    journey: Ints
    start: Ints
    stop: Ints
    goal: Ints

    @property
    def size(self) -> int:
        """How many."""
        return int(self.journey.size)


@frozen(eq=False, slots=False)
class Before:
    """The events before conversions, one conversion after the other.

    Attributes:
        block: The block.
        journey: (conversions,) row of the journey.
        goal: (conversions,) row of the event that reaches the goal.
        lengths: (conversions,) events before it.
        at: (events,) row of each of these events.
    """

    block: Block
    journey: Ints
    goal: Ints
    lengths: Ints
    at: Ints

    @cached_property
    def owner(self) -> Ints:
        """(events,) the conversion that the event comes before."""
        return np.repeat(np.arange(self.lengths.size), self.lengths)

    @cached_property
    def offsets(self) -> Ints:
        """(conversions + 1,) where the events of each conversion stand."""
        return offsets_of(self.lengths)

    @cached_property
    def position(self) -> Ints:
        """(events,) place before the conversion, from 0."""
        return np.asarray(np.arange(self.at.size) - np.repeat(self.offsets[:-1], self.lengths))

    @cached_property
    def length(self) -> Ints:
        """(events,) how many events come before the same conversion."""
        return np.repeat(self.lengths, self.lengths)

    @cached_property
    def last(self) -> Bools:
        """(events,) whether it is the last before the conversion."""
        out = np.zeros(self.at.size, np.bool_)
        out[self.offsets[1:][self.lengths > 0] - 1] = True
        return out

    @property
    def width(self) -> int:
        """Number of touchpoints known."""
        return len(self.block.vocabulary.touchpoints)

    @cached_property
    def pairs(self) -> tuple[Ints, Ints]:
        """Distinct (conversion, touchpoint) as one code each, ascending; and for each event its place among them."""
        return compress(self.owner * self.width + self.block.touchpoint[self.at])

    def per_conversion(self, values: Floats) -> Floats:
        """(conversions,) sums of a number per event."""
        return np.bincount(self.owner, values, self.lengths.size).astype(np.float64)


def _first(block: Block, goal: Goal) -> Stretches:
    reached = block.reached(goal)
    journeys = np.flatnonzero(block.lengths > 0)
    reached, starts = reached[journeys], block.journey_offsets[journeys]
    return Stretches(journeys, starts, np.where(reached >= 0, reached, block.journey_offsets[journeys + 1]), reached)


def _every(block: Block, goal: Goal) -> Stretches:
    hits = np.flatnonzero(block.events_at(goal.touchpoints))
    after = hits[hits + 1 < block.journey_offsets[block.journey[hits] + 1]] + 1
    start = np.sort(np.concatenate([block.first, after]))
    journey = block.journey[start]
    place = np.searchsorted(hits, start)
    found = np.append(hits, -1)[place]
    reached = np.where((found >= 0) & (block.journey[np.maximum(found, 0)] == journey), found, -1)
    return Stretches(journey, start, np.where(reached >= 0, reached, block.journey_offsets[journey + 1]), reached)


def changes(block: Block, at: Ints, start: Ints) -> Bools:
    """Which events are at another touchpoint than the one before them, or the first of their stretch."""
    touchpoint = block.touchpoint
    return np.asarray((at == start) | (touchpoint[at] != touchpoint[np.maximum(at - 1, 0)]))


def goal_missing(goal: Goal, facts: Facts) -> str | None:
    """Why a goal cannot be reached here."""
    known = set(facts.known_touchpoints)
    lost = [name for name in goal.touchpoints if name not in known]
    return f"goal {goal.name!r}: {unknown('touchpoint', lost[0], facts.known_touchpoints)}" if lost else None


def before_conversion(block: Block, goal: Goal) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """The events before each first conversion, and the journeys that convert without any.

    Returns:
        Per event: journey, row, position, length of what comes before; then the direct journeys.
    """
    before = Conversions(goal=goal).before(block)
    return (
        before.journey[before.owner], before.at, before.position, before.length, before.journey[before.lengths == 0]
    )  # fmt: skip
