"""Columns as one code per event, whichever table they came from; the order of a customer's events; known neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from cxmodel.data.blocks import Block
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Bools, Ints, compress


def column_missing(name: str, facts: Facts) -> str | None:
    """Why a column cannot be had, or None when it can."""
    known = ["touchpoint", *facts.event_columns, *facts.journey_columns, *facts.touchpoint_columns]
    return None if name in known else unknown("column", name, known)


def event_codes(block: Block, name: str) -> Ints:
    """(events,) code of a column at each event; −1 where it is missing.

    The column may describe events, journeys or touchpoints; the nearest to the event wins, in this order.

    Raises:
        InvalidValueError: When the column holds numbers.
    """
    if name == "touchpoint":
        return block.touchpoint.astype(np.int64)
    if name in block.event_columns:
        return _held(block.event_columns[name], name)
    if name in block.journey_columns:
        return _held(block.journey_columns[name], name)[block.journey]
    return _held(block.vocabulary.touchpoint_columns[name][0], name)[block.touchpoint]


def journey_codes(block: Block, name: str) -> Ints:
    """(journeys,) code of a fact about journeys; −1 where it is missing.

    Raises:
        InvalidValueError: When the column holds numbers.
    """
    return _held(block.journey_columns[name], name)


def texts_of(block: Block, name: str) -> list[str]:
    """What the codes of `event_codes` mean: the text of code i stands at place i."""
    vocabulary = block.vocabulary
    if name == "touchpoint":
        return list(vocabulary.touchpoints)
    labels = vocabulary.columns.get(name) if name in {**block.event_columns, **block.journey_columns} else None
    return list((labels or vocabulary.touchpoint_columns[name][1]).names)


def events_with(block: Block, name: str, texts: frozenset[str]) -> Bools:
    """(events,) whether the column holds one of these texts."""
    wanted = np.array([text in texts for text in texts_of(block, name)] or [False], np.bool_)
    codes = event_codes(block, name)
    return (codes >= 0) & wanted[codes]


def by_customer(block: Block) -> tuple[Ints, Ints]:
    """Rows of the events in the order of (customer, time, row), and the customer of each."""
    customer = block.customer_of_journey[block.journey]
    rows = np.arange(block.events)
    if ((customer[1:] == customer[:-1]) & (block.time[1:] < block.time[:-1])).any():
        rows = np.lexsort((block.time, customer))
    return rows, customer[rows]


def neighbours(codes: Ints, segment: Ints) -> tuple[Ints, Ints]:
    """Places of each two consecutive known codes of one segment; what is unknown (−1) lies between and is passed over.

    Example:
        >>> before, after = neighbours(np.array([3, -1, 4, 4]), np.array([0, 0, 0, 1]))
        >>> before.tolist(), after.tolist()
        ([0], [2])
    """
    known = np.flatnonzero(codes >= 0)
    together = segment[known[1:]] == segment[known[:-1]]
    return known[:-1][together], known[1:][together]


def distinct(codes: Ints, segment: Ints, segments: int) -> Ints:
    """(segments,) number of different known codes in each segment.

    Example:
        >>> distinct(np.array([3, -1, 4, 3]), np.array([0, 0, 0, 1]), 2).tolist()
        [2, 1]
    """
    owner, _, _ = counted(codes, segment)
    return np.bincount(owner, minlength=segments)


def counted(codes: Ints, segment: Ints) -> tuple[Ints, Ints, Ints]:
    """Each pair of segment and known code that occurs: segment, code and how often."""
    known = codes >= 0
    width = int(codes.max(initial=0)) + 1
    pair, place = compress(segment[known] * width + codes[known])
    return pair // width, pair % width, np.bincount(place, minlength=pair.size)


def _held(column: NDArray[Any], name: str) -> Ints:
    if column.dtype.kind == "f":
        raise InvalidValueError(f"{name!r} holds numbers; here a column of texts is needed")
    codes = column.astype(np.int64)
    codes[codes == 0] = -1
    return codes
