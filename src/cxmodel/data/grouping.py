"""Grouping: rows become blocks, by customer, then journey, then time."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, Final

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.stats.arrays import Bools, Ints, Keys, counting_order, dense_codes, mix, offsets_of, segment_of

ROWS_PER_BLOCK: Final = 1_500_000
GIANT: Final = 1_000_000
PARTITION: Final = np.uint64(0xA24BAED4963EE407)
_STRETCH: Final = 1 << 16


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
    """

    customer: Keys
    touchpoint: NDArray[Any]
    time: Ints
    journey: Keys | None = None
    until: Ints | None = None
    value: NDArray[np.float64] | None = None
    columns: Mapping[str, NDArray[Any]]
    order: Sequence[NDArray[Any]] = ()


def group(rows: EventRows, vocabulary: Vocabulary, *, rows_per_block: int = ROWS_PER_BLOCK) -> list[Block]:
    """Blocks of whole customers, each about ``rows_per_block`` events.

    The order inside a journey is (time, order columns, row). Partitions follow from the customers' keys alone.
    """
    parts = partitions(rows.customer, rows_per_block)
    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        return list(pool.map(lambda part: _block(rows, vocabulary, part), parts))


def partitions(customer: Keys, rows_per_block: int) -> list[NDArray[Any]]:
    """Rows of each partition of customers, in the order of the source; empty partitions are left out."""
    bits = 0
    while customer.size >> bits > rows_per_block:
        bits += 1
    kind = np.int32 if customer.size < 2**31 - 1 else np.int64
    if not bits:
        return [np.arange(customer.size, dtype=kind)]
    threads = os.cpu_count() or 1
    bounds = [customer.size * i // threads for i in range(threads + 1)]

    def sorted_out(bound: tuple[int, int]) -> list[NDArray[Any]]:
        start, stop = bound
        offsets, order = counting_order(partition_of(customer[start:stop], bits), 1 << bits)
        order = order.astype(kind, copy=False)
        order += start
        return [order[a:b] for a, b in pairwise(offsets.tolist())]

    with ThreadPoolExecutor(max_workers=threads) as pool:
        stretches = list(pool.map(sorted_out, pairwise(bounds)))
    parts = [np.concatenate(pieces) for pieces in zip(*stretches, strict=True)]
    return [part for part in parts if part.size]


def partition_of(customer: Keys, bits: int) -> NDArray[np.int32]:
    """The partition of each customer's key, one of 2 ** bits; a stretch at a time, which stays in the cache."""
    out = np.empty(customer.size, np.int32)
    buffer = np.empty(min(customer.size, _STRETCH), np.uint64)
    for start in range(0, customer.size, _STRETCH):
        keys = customer[start : start + _STRETCH]
        hashed = np.multiply(keys, PARTITION, out=buffer[: keys.size])
        out[start : start + _STRETCH] = np.right_shift(hashed, np.uint64(64 - bits), out=hashed)
    return out


def _block(rows: EventRows, vocabulary: Vocabulary, part: NDArray[Any]) -> Block:
    whole = part.size == rows.customer.size
    customer = rows.customer if whole else rows.customer[part]
    codes, distinct = dense_codes(customer)
    if rows.journey is None:
        offsets, order = counting_order(codes, distinct.size)
        customer_offsets, journey_id = np.arange(distinct.size + 1), None
    else:
        journey = rows.journey if whole else rows.journey[part]
        customer_offsets, offsets, order, journey_id = _by_journey(codes, distinct, journey, rows.time[part])
    picked = order if whole else part[order]
    time = rows.time[picked]
    again = _resort(offsets, time, [key[picked] for key in rows.order])
    if again is not None:
        picked, time = picked[again], time[again]
    return Block(
        vocabulary=vocabulary, customer_offsets=customer_offsets, journey_offsets=offsets, customer=distinct,
        touchpoint=rows.touchpoint[picked], time=time, journey_id=journey_id,
        until=None if rows.until is None else rows.until[picked],
        value=None if rows.value is None else rows.value[picked],
        event_columns={name: column[picked] for name, column in rows.columns.items()},
    )  # fmt: skip


def _by_journey(
    codes: NDArray[np.int32], distinct: Keys, journey: Keys, time: Ints
) -> tuple[Ints, Ints, NDArray[Any], Keys]:
    """Offsets of customers and journeys, the order of rows, and the id of each journey."""
    pair = mix(journey) ^ mix(distinct, 3)[codes]
    journey_codes, first = _exact_codes(pair, codes, journey)
    count = first.size
    began = np.full(count, np.iinfo(np.int64).max)
    np.minimum.at(began, journey_codes, time)
    owner = codes[first]
    rank = np.lexsort((first, began, owner))
    place = np.empty(count, np.int64)
    place[rank] = np.arange(count)
    offsets, order = counting_order(place[journey_codes], count)
    customer_offsets = offsets_of(np.bincount(owner, minlength=distinct.size))
    return customer_offsets, offsets, order, journey[first[rank]]


def _exact_codes(pair: Keys, customer: NDArray[np.int32], journey: Keys) -> tuple[NDArray[Any], Ints]:
    """Dense codes of (customer, journey) and one row of each; a collision of the mixed key is seen and resolved."""
    codes, distinct = dense_codes(pair)
    first = np.full(distinct.size, pair.size)
    first[codes[::-1]] = np.arange(pair.size)[::-1]
    if (customer[first[codes]] == customer).all() and (journey[first[codes]] == journey).all():
        return codes, first
    order = np.lexsort((journey, customer))
    fresh = np.ones(pair.size, np.bool_)
    a, b = order[1:], order[:-1]
    fresh[1:] = (customer[a] != customer[b]) | (journey[a] != journey[b])
    exact = np.empty(pair.size, np.int64)
    exact[order] = np.cumsum(fresh) - 1
    return exact, order[fresh]


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
    """The order by (segment, time, row).

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
