"""Waits of transitions: kept block by block, and put together for a few transitions at a time."""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block
from cxmodel.data.temporary import let_go
from cxmodel.stats.arrays import Bools, Ints, compress, counting_sorted, few, offsets_of, ranges, windows
from cxmodel.stats.floats import Floats
from cxmodel.stats.medians import grouped_medians, median_of_pieces

_AT_ONCE: Final = 2**20
_PIECES: Final = 2**14


@frozen(eq=False)
class Waits:
    """Waits of one block, transition after transition.

    Attributes:
        edge: (e,) ascending code of each transition: source × touchpoints + target.
        offsets: (e + 1,) where its waits begin.
        waits: µs.
        bridged: (e,) how many of them skip events that were filtered out.
    """

    edge: Ints
    offsets: Ints
    waits: Ints
    bridged: Ints

    def between(self, first: int, last: int) -> Waits:
        """Those of the transitions with these codes and the codes between them."""
        a, b = np.searchsorted(self.edge, [first, last + 1]).tolist()
        inside = slice(int(self.offsets[a]), int(self.offsets[b]))
        offsets = self.offsets[a : b + 1] - self.offsets[a]
        return Waits(self.edge[a:b], offsets, self.waits[inside], self.bridged[a:b])


@frozen(eq=False)
class Edges:
    """All transitions.

    Attributes:
        edge: (e,) ascending code of each transition: source × touchpoints + target.
        count: (e,) how often.
        bridged: (e,) how many of them skip events that were filtered out.
        total: (e,) summed waits, µs.
        median: (e,) exact median wait, µs.
    """

    edge: Ints
    count: Ints
    bridged: Ints
    total: Floats | Ints
    median: Floats


def waits_of(block: Block, width: int) -> Waits:
    """The waits of a block with this many touchpoints."""
    ends = block.time
    if block.until is not None:
        ends = np.where(block.until == np.iinfo(np.int64).min, block.time, block.until)
    waits, skips = block.time[1:] - ends[:-1], None if block.removed is None else block.removed[1:] > 0
    within = width * width
    if few(4 * within, block.events) and within < 2**31 - 1:
        codes = block.touchpoint[:-1].astype(np.int32)
        codes *= width
        codes += block.touchpoint[1:]
        codes[block.last[:-1]] = within  # from one journey to the next is no transition
        return _by_code(codes, waits, skips, within)
    steps = block.steps
    far = block.touchpoint[steps].astype(np.int64) * width + block.touchpoint[steps + 1]
    edge, place = compress(far)
    found = _by_code(place, waits[steps], None if skips is None else skips[steps], edge.size)
    return evolve(found, edge=edge)


def _by_code(codes: NDArray[np.integer[Any]], waits: Ints, skips: Bools | None, size: int) -> Waits:
    """Waits by code; what has the code ``size`` is left out."""
    offsets, ordered = counting_sorted(codes, waits, size + 1)
    edge = np.flatnonzero(np.diff(offsets[:-1]))
    bridged = np.zeros(edge.size, np.int64)
    if skips is not None:
        bridged = np.bincount(codes[skips], minlength=size + 1)[edge]
    end = offsets[-2]
    return Waits(edge, np.append(offsets[edge], end), ordered[:end], bridged)


def _totals(waits: Ints, offsets: Ints) -> Floats | Ints:
    """(e,) summed waits, µs: whole numbers, but floats where whole numbers could overflow."""
    if offsets.size < 2:
        return np.zeros(0)
    longest = max(int(waits.max()), -int(waits.min()))
    kind = np.int64 if longest * int(np.diff(offsets).max()) < 2**63 else np.float64
    return np.add.reduceat(waits, offsets[:-1], dtype=kind)


def edges_of(parts: Sequence[Waits]) -> Edges:
    """The transitions of all parts. The waits of few transitions are put together at a time, never all of them."""
    none = np.zeros(0, np.int64)
    edge, place = np.unique(np.concatenate([none, *(part.edge for part in parts)]), return_inverse=True)
    sizes, bridged = (
        np.bincount(place, np.concatenate([none, *each]), edge.size).astype(np.int64)
        for each in ([np.diff(part.offsets) for part in parts], [part.bridged for part in parts])
    )

    def some(window: tuple[int, int]) -> tuple[Floats | Ints, Floats]:
        a, b = window
        inside = [part.between(int(edge[a]), int(edge[b - 1])) for part in parts]
        try:
            return summed(a, b, inside)
        finally:
            # of waits in files, those of all windows would be as large as the log
            let_go(part.waits for part in inside)

    def summed(a: int, b: int, inside: Sequence[Waits]) -> tuple[Floats | Ints, Floats]:
        if sizes[a] > _AT_ONCE:
            pieces = [part.waits for part in inside if part.waits.size]
            return _total(pieces), np.array([median_of_pieces(pieces)])
        offsets, waits = _joined(inside, edge[a:b], sizes[a:b])
        return _totals(waits, offsets), grouped_medians(waits, offsets)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        found = list(pool.map(some, windows(sizes, _AT_ONCE)))
    totals, medians = [each[0] for each in found], [each[1] for each in found]
    total = cast("Floats | Ints", np.concatenate([none, *totals]))
    return Edges(edge, sizes, bridged, total, np.concatenate([np.zeros(0), *medians]))


def _total(pieces: Sequence[Ints]) -> Floats | Ints:
    """(1,) the sum of all pieces."""
    total = sum(int(_totals(piece, np.array([0, piece.size]))[0]) for piece in pieces)
    return np.array([total]) if abs(total) < 2**63 else np.array([float(total)])


def _joined(parts: Sequence[Waits], edge: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Offsets and waits of all parts together, transition after transition."""
    offsets = offsets_of(sizes)
    if len(parts) == 1:
        return offsets, parts[0].waits
    if edge.size * len(parts) <= _PIECES:
        rows = [np.searchsorted(part.edge, [edge, edge + 1]) for part in parts]
        bounds = [part.offsets[row].T.tolist() for part, row in zip(parts, rows, strict=True)]
        pieces = [
            part.waits[a:b] for each in zip(*bounds, strict=True) for part, (a, b) in zip(parts, each, strict=True)
        ]
        return offsets, np.concatenate(pieces)
    waits = np.empty(int(offsets[-1]), np.int64)
    filled = offsets[:-1].copy()
    for part in parts:
        mine = np.searchsorted(edge, part.edge)
        size = np.diff(part.offsets)
        waits[ranges(filled[mine], size)] = part.waits
        filled[mine] += size
    return offsets, waits
