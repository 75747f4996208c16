"""Pieces: blocks of a bounded size, so that whoever changes a few customers copies little, and blocks stay few."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from attrs import evolve

from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.selecting import keep_journeys
from cxmodel.stats.arrays import Ints, Keys, members, windows

SMALLEST: Final = 16_384
_MOST: Final = 256


def size_of_pieces(events: int) -> int:
    """Events of a piece: few are copied where little is stored, and pieces stay few where much is."""
    return max(SMALLEST, events // _MOST)


def taken_out(block: Block, wanted: Keys, size: int) -> tuple[list[Block], list[Block]]:
    """The block without these customers, and they alone; a large block falls into pieces that share its arrays."""
    touched = members(block.customer, wanted)
    if not touched.any():
        return [block], []
    if block.events > 2 * size and block.customers > 1:
        stay, concerned = zip(*(taken_out(piece, wanted, size) for piece in _sliced(block, size)), strict=True)
        return [each for found in stay for each in found], [each for found in concerned for each in found]
    inside = touched[block.customer_of_journey]
    try:
        return [] if inside.all() else [keep_journeys(block, ~inside)], [keep_journeys(block, inside)]
    finally:
        block.forget()


def gathered(blocks: Sequence[Block], size: int, vocabulary: Vocabulary) -> list[Block]:
    """The blocks with small ones put together, so that all but one have half the size or more."""
    out = [block for block in blocks if 2 * block.events >= size]
    waiting: list[Block] = []
    for block in blocks:
        if 2 * block.events < size:
            waiting.append(block)
        if 2 * sum(each.events for each in waiting) >= size:
            out.append(_stacked(waiting, vocabulary))
            waiting = []
    return [*out, _stacked(waiting, vocabulary)] if waiting else out


def _sliced(block: Block, size: int) -> list[Block]:
    """The block as several, cut between customers: their arrays are stretches of its own."""
    ends = block.journey_offsets[block.customer_offsets]
    return [_slice(block, a, b) for a, b in windows(np.diff(ends), size)]


def _slice(block: Block, first: int, last: int) -> Block:
    a, b = block.customer_offsets[[first, last]].tolist()
    journeys = slice(a, b)
    events = slice(*block.journey_offsets[[a, b]].tolist())

    def of(array: Any, part: slice) -> Any:
        return None if array is None else array[part]

    return evolve(
        block, customer=block.customer[first:last],
        customer_offsets=block.customer_offsets[first : last + 1] - a,
        journey_offsets=block.journey_offsets[a : b + 1] - events.start,
        touchpoint=block.touchpoint[events], time=block.time[events], until=of(block.until, events),
        value=of(block.value, events), journey_id=of(block.journey_id, journeys),
        event_columns={name: column[events] for name, column in block.event_columns.items()},
        journey_columns={name: column[journeys] for name, column in block.journey_columns.items()},
        still_open=of(block.still_open, journeys),
    )  # fmt: skip


def _stacked(blocks: Sequence[Block], vocabulary: Vocabulary) -> Block:
    """Several blocks as one; which journeys are in progress is declared anew afterwards."""
    if len(blocks) == 1:
        return blocks[0]
    first = blocks[0]

    def column(values: Iterable[Any]) -> Any:
        found = list(values)
        return None if found[0] is None else np.concatenate(found)

    def offsets(arrays: Sequence[Ints]) -> Ints:
        starts = np.cumsum([0, *(int(array[-1]) for array in arrays)])
        return np.concatenate([[0], *(array[1:] + at for array, at in zip(arrays, starts, strict=False))])

    return Block(
        vocabulary=vocabulary,
        customer_offsets=offsets([each.customer_offsets for each in blocks]),
        journey_offsets=offsets([each.journey_offsets for each in blocks]),
        customer=column(each.customer for each in blocks), touchpoint=column(each.touchpoint for each in blocks),
        time=column(each.time for each in blocks), until=column(each.until for each in blocks),
        value=column(each.value for each in blocks), journey_id=column(each.journey_id for each in blocks),
        event_columns={
            name: column(each.event_columns[name] for each in blocks) for name in first.event_columns
        },
        journey_columns={
            name: column(each.journey_columns[name] for each in blocks) for name in first.journey_columns
        },
    )  # fmt: skip
