"""Grouping: rows become blocks, by customer, then journey, then time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, Final

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.partitioning import blocks_of, parted
from cxmodel.data.spelling import apart, in_order
from cxmodel.data.texts import Identifiers
from cxmodel.stats.arrays import (
    Bools,
    Ints,
    Keys,
    counting_order,
    dense_codes,
    exact_codes,
    mix,
    offsets_of,
    segment_of,
)

ROWS_PER_BLOCK: Final = 1_500_000
ROWS_PER_PART: Final = 200_000
GIANT: Final = 1_000_000
_TURNS: Final = 16
_FEW_WRONG: Final = 3


@frozen(eq=False, kw_only=True)
class EventRows:
    """Events in the order of the source, before they are grouped.

    Attributes:
        customer: Source key of the customer's id.
        touchpoint: Code of the touchpoint.
        time: µs UTC.
        journey: Source key of the journey's id, where the source has one.
        until: End, where the source has one.
        value: Value, where the source has one.
        columns: Name → codes or numbers.
        order: Columns that break ties of time, most significant first.
        spelling: Words of the customer's id behind the first, where rows of one key may be of two customers.
    """

    customer: Keys
    touchpoint: NDArray[Any]
    time: Ints
    journey: Keys | None = None
    until: Ints | None = None
    value: NDArray[np.float64] | None = None
    columns: Mapping[str, NDArray[Any]]
    order: Sequence[NDArray[Any]] = ()
    spelling: Sequence[Keys] = ()

    @property
    def carried(self) -> list[NDArray[Any]]:
        """The columns that events carry in a block."""
        return [
            each
            for each in (self.touchpoint, self.time, self.until, self.value, *self.columns.values())
            if each is not None
        ]

    @property
    def others(self) -> list[NDArray[Any]]:
        """All columns but the customer's."""
        return [*self.carried, *self.order, *self.spelling, *([] if self.journey is None else [self.journey])]

    def picked(self, pick: Callable[[NDArray[Any]], NDArray[Any]]) -> EventRows:
        """The rows with something picked from each column."""

        def maybe(array: NDArray[Any] | None) -> NDArray[Any] | None:
            return None if array is None else pick(array)

        return EventRows(
            customer=pick(self.customer), touchpoint=pick(self.touchpoint), time=pick(self.time),
            journey=maybe(self.journey), until=maybe(self.until), value=maybe(self.value),
            columns={name: pick(column) for name, column in self.columns.items()},
            order=[pick(key) for key in self.order], spelling=[pick(word) for word in self.spelling],
        )  # fmt: skip

    def owned(self) -> EventRows:
        """The rows in arrays that may be changed."""
        return self.picked(lambda array: array if array.flags.writeable else array.copy())


def group(rows: EventRows, vocabulary: Vocabulary, *, rows_per_block: int = ROWS_PER_BLOCK) -> list[Block]:
    """Blocks of whole customers, each about ``rows_per_block`` events.

    The order inside a journey is (time, order columns, row). Blocks follow from the customers' keys alone. The rows are
    used up: their arrays are rearranged.
    """
    return _grouped(rows, vocabulary, rows_per_block)[0]


def identified(
    rows: EventRows, vocabulary: Vocabulary, *, rows_per_block: int = ROWS_PER_BLOCK
) -> tuple[list[Block], Identifiers]:
    """Blocks of customers whose ids are spelled, and these ids, which are put in order when somebody asks for them."""
    blocks, found = _grouped(rows, vocabulary, rows_per_block)
    key = np.concatenate([each.customer for each in found])
    more = [np.concatenate(word) for word in zip(*(each.spelling for each in found), strict=True)]
    keys = key
    if any(each.shared for each in found):
        keys = apart(key)
        ends = np.cumsum([block.customers for block in blocks])
        blocks = [evolve(block, customer=own) for block, own in zip(blocks, np.split(keys, ends[:-1]), strict=True)]
    return blocks, Identifiers(later=partial(in_order, keys, key, more))


def _grouped(rows: EventRows, vocabulary: Vocabulary, rows_per_block: int) -> tuple[list[Block], list[_Found]]:
    block_bits = _bits(rows.customer.size, rows_per_block)
    bits = max(block_bits, _bits(rows.customer.size, ROWS_PER_PART))
    rows = rows.owned()
    parts = parted(rows.customer, rows.others, bits)
    drafts = [_Draft.of(rows, run, offsets) for run, offsets in blocks_of(parts.sizes, bits, block_bits)]
    seats = [(draft, at) for draft in drafts for at in range(len(draft.run))]

    def filled(seat: tuple[_Draft, int]) -> _Found:
        draft, at = seat
        return _fill(draft.of_part(at), rows.picked(lambda array: parts.of(array, draft.run[at])))

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        found = list(pool.map(filled, seats))
    rest = iter(found)
    return [draft.finished([next(rest) for _ in draft.run], vocabulary) for draft in drafts], found


def _bits(rows: int, most: int) -> int:
    bits = 0
    while rows >> bits > most:
        bits += 1
    return bits


@frozen(eq=False)
class _Found:
    """What a part holds: its customers, the number of their journeys (None: one each), their lengths and ids.

    Attributes:
        spelling: Words of each customer's id behind the first.
        shared: Two customers share a key.
    """

    customer: Keys
    spelling: Sequence[Keys]
    shared: bool
    journeys: Ints | None
    lengths: Ints
    journey_id: Keys | None


@frozen(eq=False)
class _Draft:
    """A block that is being filled, part by part.

    Attributes:
        run: Its parts.
        offsets: (parts + 1,) where the events of each begin.
        events: Room for its events.
    """

    run: range
    offsets: Ints
    events: EventRows

    @classmethod
    def of(cls, rows: EventRows, run: range, offsets: Ints) -> _Draft:
        """Room for the events of these parts."""
        size = int(offsets[-1])
        return cls(run, offsets, rows.picked(lambda array: np.empty(size, array.dtype)))

    def of_part(self, at: int) -> EventRows:
        """The room of one part."""
        return self.events.picked(lambda array: array[self.offsets[at] : self.offsets[at + 1]])

    def finished(self, found: Sequence[_Found], vocabulary: Vocabulary) -> Block:
        """The block, once all parts are filled."""
        events, lengths = self.events, np.concatenate([each.lengths for each in found])
        journeys = [each.journeys for each in found if each.journeys is not None]
        ids = [each.journey_id for each in found if each.journey_id is not None]
        return Block(
            vocabulary=vocabulary, customer=np.concatenate([each.customer for each in found]),
            customer_offsets=offsets_of(np.concatenate(journeys)) if journeys else np.arange(lengths.size + 1),
            journey_offsets=offsets_of(lengths), journey_id=np.concatenate(ids) if ids else None,
            touchpoint=events.touchpoint, time=events.time, until=events.until, value=events.value,
            event_columns=events.columns,
        )  # fmt: skip


def _fill(room: EventRows, rows: EventRows) -> _Found:
    """Put the rows of one part into their room, in the order of customer, journey and time."""
    codes, distinct, spelling, shared = _customers(rows)
    if rows.journey is None:
        offsets, order = counting_order(codes, distinct.size)
        journeys, journey_id = None, None
    else:
        journeys, offsets, order, journey_id = _by_journey(codes, distinct, rows.journey, rows.time)
    order = order.astype(np.intp, copy=False)
    again = _resort(offsets, rows.time[order], [key[order] for key in rows.order])
    order = order if again is None else order[again]
    for array, target in zip(rows.carried, room.carried, strict=True):
        np.take(array, order, out=target, mode="clip")  # what raises would buffer the output
    return _Found(distinct, spelling, shared, journeys, np.diff(offsets), journey_id)


def _customers(rows: EventRows) -> tuple[NDArray[np.signedinteger[Any]], Keys, list[Keys], bool]:
    """A code for the customer of each row; key and further words of each customer; whether two share a key."""
    codes, distinct = dense_codes(rows.customer)
    spelling = []
    for word in rows.spelling:
        of_customer = np.empty(distinct.size, np.uint64)
        of_customer[codes] = word
        if not np.array_equal(of_customer[codes], word):
            exact, first = exact_codes(rows.customer, rows.customer, *rows.spelling)
            return exact, rows.customer[first], [each[first] for each in rows.spelling], True
        spelling.append(of_customer)
    return codes, distinct, spelling, False


def _by_journey(
    codes: NDArray[np.signedinteger[Any]], distinct: Keys, journey: Keys, time: Ints
) -> tuple[Ints, Ints, NDArray[Any], Keys]:
    """Journeys of each customer, offsets of journeys, the order of rows, and the id of each journey."""
    pair = mix(journey) ^ mix(distinct, 3)[codes]
    journey_codes, first = exact_codes(pair, codes, journey)
    count = first.size
    began = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(began, journey_codes, time)
    owner = codes[first]
    rank = np.lexsort((first, began, owner))
    place = np.empty(count, np.int64)
    place[rank] = np.arange(count)
    offsets, order = counting_order(place[journey_codes], count)
    return np.bincount(owner, minlength=distinct.size), offsets, order, journey[first[rank]]


def _resort(offsets: Ints, time: Ints, keys: Sequence[NDArray[Any]]) -> Ints | None:
    """The order that puts every journey in time, or None where all are; only broken journeys are sorted."""
    broken = time[1:] <= time[:-1] if keys else time[1:] < time[:-1]
    starts = offsets[1:-1]
    starts = starts[(starts > 0) & (starts < time.size)]
    broken[starts - 1] = False
    if not broken.any():
        return None
    segment = segment_of(offsets)
    wrong = np.zeros(offsets.size - 1, np.bool_)
    wrong[segment[1:][broken]] = True
    rows = np.flatnonzero(wrong[segment])
    if keys:
        inside = np.lexsort((*(key[rows] for key in reversed(keys)), time[rows], segment[rows]))
    else:
        inside = _stable_order(segment[rows], time[rows])
    order = np.arange(time.size)
    order[rows] = rows[inside]
    return order


def _stable_order(segment: Ints, time: Ints) -> Ints:
    """The order by (segment, time, row); segments ascend.

    Rows are put into as many slices of time as there are rows, then in the order of their segments, in linear time.
    What shares a slice changes places with its neighbour until all is in order; where times crowd in few slices, all
    is sorted instead.
    """
    bits = int(segment.size).bit_length()
    began, span = int(time.min()), int(time.max()) - int(time.min())
    if span.bit_length() > 62:
        return _sorted_order(segment, time)
    since: Ints = (time - began) >> max(span.bit_length() - bits, 0)
    by_time = counting_order(since, 1 << bits)[1]
    order = by_time[counting_order(segment[by_time], int(segment[-1]) + 1)[1]]
    ordered, inside = time[order], segment[1:] == segment[:-1]
    for turn in range(_TURNS):
        wrong = np.flatnonzero((ordered[1:] < ordered[:-1]) & inside)
        if not wrong.size:
            return np.asarray(order, np.int64)
        if wrong.size * _FEW_WRONG > segment.size:
            break
        first = wrong[wrong & 1 == turn & 1]  # neighbours that do not overlap
        for array in (ordered, order):
            array[first], array[first + 1] = array[first + 1], array[first]
    return _sorted_order(segment, time)


def _sorted_order(segment: Ints, time: Ints) -> Ints:
    """The same by sorting.

    One key of both where they fit 63 bits: sorting that is several times faster than sorting twice; rows with equal
    keys are put back in order afterwards.
    """
    began = int(time.min())
    bits = max(int(time.max()) - began, 1).bit_length()
    if bits + int(segment[-1]).bit_length() > 63:
        return np.lexsort((time, segment))
    key = segment << bits | (time - began)
    order = np.argsort(key)
    tied = np.flatnonzero(key[order[1:]] == key[order[:-1]])
    if tied.size:
        inside = np.unique(np.concatenate([tied, tied + 1]))
        rows = order[inside]
        order[inside] = rows[np.lexsort((rows, key[rows]))]
    return order


def constant(blocks: Sequence[Block], names: Sequence[str]) -> list[str]:
    """Names of the columns that no journey holds two values of: facts about journeys."""
    left = list(names)
    for block in blocks if left else ():
        left = [name for name in left if _constant(block, name)]
        block.forget()
    return left


def promoted(block: Block, facts: Sequence[str]) -> Block:
    """The block with these columns of events as facts about journeys."""
    return evolve(
        block,
        event_columns={name: column for name, column in block.event_columns.items() if name not in facts},
        journey_columns={**block.journey_columns, **{name: _first_known(block, name) for name in facts}},
    )


def known(column: NDArray[Any]) -> Bools:
    """Where a column has a value: a code that is not 0, a number that is not NaN."""
    return np.asarray(~np.isnan(column) if column.dtype.kind == "f" else column != 0)


def _constant(block: Block, name: str) -> bool:
    column = block.event_columns[name]
    rows = np.flatnonzero(known(column))
    same = block.journey[rows[1:]] == block.journey[rows[:-1]]
    return bool((~same | (column[rows[1:]] == column[rows[:-1]])).all())


def _first_known(block: Block, name: str) -> NDArray[Any]:
    column = block.event_columns[name]
    out = np.full(block.journeys, np.nan) if column.dtype.kind == "f" else np.zeros(block.journeys, column.dtype)
    rows = np.flatnonzero(known(column))
    out[block.journey[rows]] = column[rows]
    return out


def interleaved(block: Block) -> int:
    """Journeys that begin before an earlier one of the same customer has ended."""
    if block.journeys == block.customers:
        return 0
    last = block.time[block.journey_offsets[1:] - 1]
    rank = np.argsort(np.argsort(last, kind="stable"), kind="stable")
    ends = np.sort(last)
    running = np.maximum.accumulate(block.customer_of_journey * block.journeys + rank) % block.journeys
    began = block.time[block.journey_offsets[:-1]]
    same = block.customer_of_journey[1:] == block.customer_of_journey[:-1]
    return int((same & (began[1:] < ends[running[:-1]])).sum())


def repeated(block: Block) -> int:
    """Events with the touchpoint and the time of an earlier one of the same journey."""
    tied = block.time[1:] == block.time[:-1]
    starts = block.journey_offsets[1:-1]
    tied[starts[(starts > 0) & (starts < block.events)] - 1] = False
    again = np.concatenate([[False], tied])
    ties = np.flatnonzero(again | np.concatenate([tied, [False]]))
    moment = np.cumsum(~again[ties])
    keys = np.sort(moment * len(block.vocabulary.touchpoints) + block.touchpoint[ties], kind="stable")
    return int(np.count_nonzero(keys[1:] == keys[:-1]))
