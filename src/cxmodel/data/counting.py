"""Counting: what blocks hold, as a small state that merges, and the facts that it makes."""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import evolve, frozen

from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.times import moment
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints

_KEPT: Final = "counts"


@frozen(kw_only=True, eq=False)
class Counts:
    """What some blocks hold.

    Attributes:
        blocks: Number of blocks.
        customers: Number of customers.
        journeys: Number of journeys.
        events: Number of events.
        responses: Number of answers.
        at: (k,) events at each touchpoint; empty where there is no block.
        first: Time of the first event, µs UTC; None without an event.
        last: Time of the last event.
        event_columns: Names of the columns of events.
        journey_columns: Names of the facts about journeys.
        has_value: Whether events carry a value.
        inactivity_declared: Whether journeys in progress can be told from lost ones.
    """

    blocks: int = 0
    customers: int = 0
    journeys: int = 0
    events: int = 0
    responses: int = 0
    at: Ints
    first: int | None = None
    last: int | None = None
    event_columns: tuple[str, ...] = ()
    journey_columns: tuple[str, ...] = ()
    has_value: bool = False
    inactivity_declared: bool = False


def no_counts() -> Counts:
    """Nothing counted yet."""
    return Counts(at=np.zeros(0, np.int64))


def counts_of(block: Block) -> Counts:
    """What one block holds; it never changes, so a small count stays with it."""
    known: Counts | None = block.__dict__.get(_KEPT)
    if known is None:
        known = _counted(block)
        if known.at.size <= block.events:
            block.__dict__[_KEPT] = known
    return known


def is_counted(block: Block) -> bool:
    """Whether it is known what the block holds."""
    return _KEPT in block.__dict__


def _counted(block: Block) -> Counts:
    return Counts(
        blocks=1, customers=block.customers, journeys=block.journeys, events=block.events,
        responses=0 if block.answers is None else block.answers.size,
        at=np.bincount(block.touchpoint, minlength=len(block.vocabulary.touchpoints)),
        first=int(block.time.min()) if block.events else None, last=int(block.time.max()) if block.events else None,
        event_columns=tuple(block.event_columns), journey_columns=tuple(block.journey_columns),
        has_value=block.value is not None, inactivity_declared=block.still_open is not None,
    )  # fmt: skip


def merge_counts(a: Counts, b: Counts) -> Counts:
    """What both hold; all blocks of a population have the same columns."""
    if not a.blocks or not b.blocks:
        return a if a.blocks else b
    times = [each for each in (a.first, a.last, b.first, b.last) if each is not None]
    return evolve(
        a, blocks=a.blocks + b.blocks, customers=a.customers + b.customers, journeys=a.journeys + b.journeys,
        events=a.events + b.events, responses=a.responses + b.responses, at=a.at + b.at,
        first=min(times, default=None), last=max(times, default=None),
    )  # fmt: skip


def facts_of(counts: Counts, vocabulary: Vocabulary, currency: str | None) -> Facts:
    """What can be asked of what was counted."""
    return Facts(
        customers=counts.customers, journeys=counts.journeys, events=counts.events, responses=counts.responses,
        touchpoints=tuple(vocabulary.touchpoints[code] for code in np.flatnonzero(counts.at).tolist()),
        known_touchpoints=vocabulary.touchpoint_labels,
        event_columns=counts.event_columns, journey_columns=counts.journey_columns,
        touchpoint_columns=tuple(vocabulary.touchpoint_columns), questions=dict(vocabulary.questions),
        first=None if counts.first is None else moment(counts.first),
        last=None if counts.last is None else moment(counts.last),
        has_value=counts.has_value, currency=currency, inactivity_declared=counts.inactivity_declared,
    )  # fmt: skip
