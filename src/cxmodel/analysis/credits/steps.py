"""Steps of a chain: what follows on the touchpoints before it, up to the goal or to the end."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from cxmodel.analysis.credits.conversions import Conversions, changes
from cxmodel.data.blocks import Block
from cxmodel.model.goals import Goal
from cxmodel.stats.arrays import Ints, offsets_of, ranges


@frozen(eq=False)
class Steps:
    """Steps of a chain: first those to touchpoints, then the last ones, to the goal or lost.

    Attributes:
        journey: Row of the journey of each.
        code: Context and what follows, see `chain_steps`.
        goal: Row of the goal's event of each of the last ones, −1 where it is lost; as many as stretches that ended.
    """

    journey: Ints
    code: Ints
    goal: Ints


def chain_steps(block: Block, goal: Goal, order: int) -> tuple[Ints, Ints]:
    """The steps of every journey up to its goal: journey and code of (context of `order` touchpoints, next).

    Codes are digits in base touchpoints + 2: 0 is the start, a touchpoint is its code + 1, the last digit may also be
    0 for lost and touchpoints + 1 for the goal.
    """
    steps = _whole_journeys(block, goal, order)
    return steps.journey, steps.code


def steps_before(block: Block, conversions: Conversions, order: int) -> Steps:
    """The steps of every stretch; the last one of a journey in progress is not known, so it is left out."""
    if conversions.within is None and not conversions.collapse and not conversions.every:
        return _whole_journeys(block, conversions.goal, order)
    return _stretches(block, conversions, order)


def _whole_journeys(block: Block, goal: Goal, order: int) -> Steps:
    """Where every event up to the first goal takes part, the events need not be picked one by one."""
    width = len(block.vocabulary.touchpoints) + 2
    reached = block.reached(goal)
    starts = block.journey_offsets[:-1]
    stops = np.where(reached >= 0, reached, block.journey_offsets[1:])
    closes = (
        block.lengths > 0 if block.still_open is None else (block.lengths > 0) & ((reached >= 0) | ~block.still_open)
    )
    closing = np.flatnonzero(closes)
    digit = block.touchpoint.astype(np.int64)
    digit += 1
    code, final = _contexts(digit, starts, stops[closing], (stops - starts)[closing], width, order)
    code *= width
    code += digit
    before = _until(block, stops)
    final = final * width + np.where(reached[closing] >= 0, width - 1, 0)
    journey = block.journey
    if before is not None:
        journey, code = journey[before], code[before]
    return Steps(np.concatenate([journey, closing]), np.concatenate([code, final]), reached[closing])


def _stretches(block: Block, conversions: Conversions, order: int) -> Steps:
    """The steps of stretches that leave events out or cut journeys."""
    width = len(block.vocabulary.touchpoints) + 2
    parts = conversions.stretches(block)
    length = parts.stop - parts.start
    events = ranges(parts.start, length)
    if conversions.collapse:
        keep = changes(block, events, np.repeat(parts.start, length))
        length = np.diff(np.concatenate([[0], np.cumsum(keep)])[offsets_of(length)])
        events = events[keep]
    ended = np.ones(parts.size, np.bool_)
    if block.still_open is not None:
        ended = (parts.goal >= 0) | ~block.still_open[parts.journey]
    digit = block.touchpoint[events].astype(np.int64) + 1
    offsets = offsets_of(length)
    code, final = _contexts(digit, offsets[:-1], offsets[1:][ended], length[ended], width, order)
    goal = parts.goal[ended]
    last = final * width + np.where(goal >= 0, width - 1, 0)
    journey = np.concatenate([np.repeat(parts.journey, length), parts.journey[ended]])
    return Steps(journey, np.concatenate([code * width + digit, last]), goal)


def _contexts(digit: Ints, starts: Ints, stop: Ints, length: Ints, width: int, order: int) -> tuple[Ints, Ints]:
    """What came before each event, and before the end of some journeys: up to `order` digits, 0 where there is none."""
    event, final = np.zeros(digit.size, np.int64), np.zeros(stop.size, np.int64)
    for back in range(order, 0, -1):
        if back < order:
            event *= width
            final *= width
        earlier = event if back == order else np.zeros(digit.size, np.int64)
        earlier[back:] = digit[:-back]
        for place in range(back):
            # a journey that is shorter passes this on to the next one, which has nothing so far back either
            early = starts + place
            earlier[early[early < digit.size]] = 0
        if earlier is not event:
            event += earlier
        there = length >= back
        final[there] += digit[stop[there] - back]
    return event, final


def _until(block: Block, stops: Ints) -> Ints | None:
    """Events before these rows, journey by journey; None where that is all of them."""
    ends = block.journey_offsets[1:]
    some = np.flatnonzero(stops < ends)
    if not some.size:
        return None
    late = np.zeros(block.events + 1, np.int8)
    late[stops[some]] = 1
    late[ends[some]] -= 1
    return np.flatnonzero(np.cumsum(late[:-1], dtype=np.int8) == 0)
