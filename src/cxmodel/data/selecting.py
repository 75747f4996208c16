"""Selecting and cutting: steps from a block to a block."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import numpy as np
from attrs import evolve
from numpy.typing import NDArray

from cxmodel.data.blocks import Answers, Block
from cxmodel.model.goals import Goal
from cxmodel.stats.arrays import Bools, Ints, Keys, members, mix, offsets_of

Matching = Callable[[Block], Bools]
"""Which events match."""


def split(block: Block, *, gap: int | None, goal: Goal | None) -> Block:
    """Cut journeys where two events lie further apart than the gap, and after each event that meets the goal.

    The event arrays are shared; facts about a journey go to each of its pieces; an answer goes to the piece of its
    event, else to the last piece that began before it.
    """
    if not block.events:
        return block
    begins = np.zeros(block.events, np.bool_)
    if gap is not None:
        begins[1:] |= block.time[1:] - block.time[:-1] > gap
    if goal is not None:
        begins[1:] |= block.events_at(goal.touchpoints)[:-1]
    begins[block.first] = True
    starts = np.flatnonzero(begins)
    owner = block.journey[starts]
    empty = np.flatnonzero(block.lengths == 0)
    if empty.size:
        starts, owner = np.concatenate([starts, block.journey_offsets[empty]]), np.concatenate([owner, empty])
        order = np.argsort(owner, kind="stable")
        starts, owner = starts[order], owner[order]
    pieces = np.bincount(owner, minlength=block.journeys)
    journey_offsets = np.concatenate([starts, [block.events]])
    out = evolve(
        block,
        journey_offsets=journey_offsets,
        customer_offsets=offsets_of(pieces)[block.customer_offsets],
        journey_columns={name: column[owner] for name, column in block.journey_columns.items()},
        journey_id=None if block.journey_id is None else block.journey_id[owner],
        still_open=None if block.still_open is None else _last_pieces(block.still_open, pieces, owner),
        cut=None if block.cut is None else block.cut[owner],
    )
    if block.answers is None:
        return out
    return evolve(out, answers=_reattached(block.answers, out, offsets_of(pieces)))


def _last_pieces(flags: Bools, pieces: Ints, owner: Ints) -> Bools:
    """Only the last piece of a journey can still be in progress."""
    out = np.zeros(owner.size, np.bool_)
    last = np.cumsum(pieces) - 1
    out[last[pieces > 0]] = flags[pieces > 0]
    return out


def _reattached(answers: Answers, block: Block, first_piece: Ints) -> Answers:
    """Answers with the piece that each belongs to."""
    journey = first_piece[answers.journey]
    about = answers.event >= 0
    journey[about] = block.journey[answers.event[about]]
    began = np.full(block.journeys, np.iinfo(np.int64).max)
    filled = block.lengths > 0
    began[filled] = block.time[block.first]
    for row in np.flatnonzero(~about & (np.diff(first_piece)[answers.journey] > 1)).tolist():
        a, b = first_piece[answers.journey[row]], first_piece[answers.journey[row] + 1]
        journey[row] = a + max(int(np.searchsorted(began[a:b], answers.time[row], side="right")) - 1, 0)
    order = np.lexsort((answers.time, journey))
    return _answers(answers, order, journey, answers.event)


def _answers(answers: Answers, rows: NDArray[Any], journey: Ints, event: Ints) -> Answers:
    return Answers(
        journey=journey[rows], event=event[rows], touchpoint=answers.touchpoint[rows], question=answers.question[rows],
        score=answers.score[rows], time=answers.time[rows], weight=answers.weight[rows],
    )  # fmt: skip


def keep_journeys(block: Block, keep: Bools) -> Block:
    """Only these journeys; customers without any are left out."""
    if keep.all():
        return block
    events = keep[block.journey]
    lengths = block.lengths[keep]
    journeys_left = np.bincount(block.customer_of_journey[keep], minlength=block.customers)
    customers = journeys_left > 0
    return _taken(block, events, keep, customers, offsets_of(lengths), offsets_of(journeys_left[customers]))


def keep_customers(block: Block, wanted: Keys) -> Block:
    """Only the customers with these source keys."""
    return keep_journeys(block, members(block.customer, wanted)[block.customer_of_journey])


def _taken(
    block: Block,
    events: Bools,
    journeys: Bools,
    customers: Bools,
    journey_offsets: Ints,
    customer_offsets: Ints,
) -> Block:
    return evolve(
        block, customer_offsets=customer_offsets, journey_offsets=journey_offsets, customer=block.customer[customers],
        touchpoint=block.touchpoint[events], time=block.time[events],
        until=_some(block.until, events), value=_some(block.value, events), removed=_some(block.removed, events),
        event_columns={name: column[events] for name, column in block.event_columns.items()},
        journey_columns={name: column[journeys] for name, column in block.journey_columns.items()},
        journey_id=_some(block.journey_id, journeys), still_open=_some(block.still_open, journeys),
        cut=_some(block.cut, journeys), answers=_kept_answers(block, events, journeys),
    )  # fmt: skip


def _some(array: NDArray[Any] | None, mask: Bools) -> Any:
    return None if array is None else array[mask]


def _kept_answers(block: Block, events: Bools, journeys: Bools) -> Answers | None:
    """Answers of the journeys that stay; one about an event that goes is about the journey from then on."""
    if block.answers is None:
        return None
    answers = block.answers
    rows = np.flatnonzero(journeys[answers.journey])
    event_row, journey_row = np.cumsum(events) - 1, np.cumsum(journeys) - 1
    event = np.where(answers.event >= 0, event_row[answers.event], -1) if events.size else answers.event
    gone = (answers.event >= 0) & ~events[answers.event] if events.size else np.zeros(answers.size, np.bool_)
    event = np.where(gone, -1, event)
    return _answers(answers, rows, journey_row[answers.journey], event)


def matching(block: Block, wanted: Mapping[str, Sequence[str]]) -> Bools:
    """(events,) events that match every one of these: touchpoint, event column or fact about touchpoints → texts."""
    out = np.ones(block.events, np.bool_)
    for name, texts in wanted.items():
        if name == "touchpoint":
            out &= block.events_at(texts)
        elif name in block.event_columns:
            out &= _held(block, name, texts)[block.event_columns[name]]
        else:
            codes, labels = block.vocabulary.touchpoint_columns[name]
            out &= _mask(len(labels), labels.codes, texts)[codes[block.touchpoint]]
    return out


def _held(block: Block, name: str, texts: Sequence[str]) -> Bools:
    labels = block.vocabulary.columns[name]
    assert labels is not None
    return _mask(len(labels), labels.codes, texts)


def _mask(size: int, codes: Mapping[str, int], texts: Sequence[str]) -> Bools:
    out = np.zeros(max(size, 1), np.bool_)
    out[[codes[text] for text in texts if text in codes]] = True
    return out


def where(block: Block, of_events: Mapping[str, Sequence[str]], of_journeys: Mapping[str, Sequence[str]]) -> Block:
    """Whole journeys with at least one event that matches, whose facts match too."""
    keep = np.ones(block.journeys, np.bool_)
    if of_events:
        keep[:] = False
        keep[block.journey[matching(block, of_events)]] = True
    for name, texts in of_journeys.items():
        keep &= _held(block, name, texts)[block.journey_columns[name]]
    return keep_journeys(block, keep)


def between(block: Block, start: int | None, end: int | None) -> Block:
    """Whole journeys that overlap [start, end); those that reach beyond it are marked as cut."""
    low = np.iinfo(np.int64).min if start is None else start
    high = np.iinfo(np.int64).max if end is None else end
    keep, cut = np.zeros(block.journeys, np.bool_), np.zeros(block.journeys, np.bool_)
    filled = block.lengths > 0
    began, ended = block.time[block.first], block.time[block.last]
    keep[filled] = (began < high) & (ended >= low)
    cut[filled] = keep[filled] & ((began < low) | (ended >= high))
    return keep_journeys(evolve(block, cut=cut if block.cut is None else cut | block.cut), keep)


def keep_events(block: Block, keep: Bools) -> Block:
    """Only these events; each remembers how many were removed between it and the one before it."""
    if keep.all():
        return block if block.removed is not None else evolve(block, removed=np.zeros(block.events, np.int64))
    gone = np.cumsum(~keep)
    rows = np.flatnonzero(keep)
    before = np.concatenate([[0], gone[rows][:-1]])
    journey = block.journey[rows]
    first = np.ones(rows.size, np.bool_)
    first[1:] = journey[1:] != journey[:-1]
    removed = np.where(first, 0, gone[rows] - before)
    if block.removed is not None:
        total = np.cumsum(block.removed)[rows]
        removed += np.where(first, 0, np.diff(total, prepend=0))
    lengths = np.bincount(journey, minlength=block.journeys)
    journeys = lengths > 0
    left = np.bincount(block.customer_of_journey[journeys], minlength=block.customers)
    out = _taken(block, keep, journeys, left > 0, offsets_of(lengths[journeys]), offsets_of(left[left > 0]))
    return evolve(out, removed=removed)


def sample(block: Block, share: float, seed: int) -> Block:
    """A share of the customers, drawn by their seeded hash: the same ones on every engine."""
    drawn = mix(block.customer_key, seed + 7919) < np.uint64(min(int(share * 2.0**64), 2**64 - 1))
    if share >= 1:
        return block
    return keep_journeys(block, drawn[block.customer_of_journey])


def merge_repeats(block: Block) -> Block:
    """Consecutive events of one journey at one touchpoint become one: first time, last end, summed value."""
    repeats = np.zeros(block.events, np.bool_)
    repeats[1:] = block.touchpoint[1:] == block.touchpoint[:-1]
    repeats[block.first] = False
    if not repeats.any():
        return block
    run = np.cumsum(~repeats) - 1
    last = np.concatenate([np.flatnonzero(~repeats)[1:] - 1, [block.events - 1]])
    until, value = block.until, block.value
    if until is not None:
        until = np.maximum.reduceat(until, np.flatnonzero(~repeats))
    if value is not None:
        known = ~np.isnan(value)
        total = np.bincount(run[known], value[known], last.size)
        value = np.where(np.bincount(run[known], minlength=last.size) > 0, total, np.nan)
    answers = block.answers
    if answers is not None:
        answers = evolve(answers, event=np.where(answers.event >= 0, run[answers.event], -1))
    keep = ~repeats
    lengths = np.bincount(block.journey[keep], minlength=block.journeys)
    return evolve(
        block, journey_offsets=offsets_of(lengths), touchpoint=block.touchpoint[keep], time=block.time[keep],
        until=until, value=value, answers=answers, removed=_some(block.removed, keep),
        event_columns={name: column[keep] for name, column in block.event_columns.items()},
    )  # fmt: skip


def lost_after(limit: int) -> str:
    """What is told of journeys for which an inactivity of so many µs was declared."""
    return f"lost after {timedelta(microseconds=limit)} without an event"


def with_inactivity(block: Block, limit: int, end: int) -> Block:
    """Journeys whose last event is less than the limit before the end of the data are still in progress."""
    open_ = np.zeros(block.journeys, np.bool_)
    open_[block.lengths > 0] = end - block.time[block.last] < limit
    if block.journeys > block.customers:
        last_of_customer = np.zeros(block.journeys, np.bool_)
        last_of_customer[block.customer_offsets[1:] - 1] = True
        open_ &= last_of_customer | (block.journey_id is not None)
    return evolve(block, still_open=open_)
