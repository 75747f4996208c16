"""Paths: which sequences of touchpoints journeys take, with shares and an explicit remainder."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError
from cxmodel.model.estimates import Origin
from cxmodel.stats.arrays import (
    Ints,
    Keys,
    compress,
    counting_order,
    distinct_codes,
    integers,
    mix,
    offsets_of,
    picked,
    same_ranges,
    windows,
)
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally

_FEW: Final = 500_000
_GROWTH: Final = 4
_AT_ONCE: Final = 2**21
_STRETCH: Final = 2**15


@frozen
class Path:
    """One path.

    Attributes:
        touchpoints: Its touchpoints in order.
        count: Journeys that took exactly this path.
        share: Their share of all journeys, 0 to 1.
    """

    touchpoints: tuple[str, ...]
    count: int
    share: float

    def __str__(self) -> str:
        return f"{' → '.join(self.touchpoints)} ({self.count:,}, {self.share:.1%})"


@frozen
class Remainder:
    """What the shown paths leave out.

    Attributes:
        paths: Distinct paths not shown.
        count: Journeys on them.
        share: Their share of all journeys.
    """

    paths: int
    count: int
    share: float


@frozen(kw_only=True)
class TopPaths:
    """The most frequent paths and everything else as an explicit remainder; the counts sum to ``journeys``.

    Attributes:
        journeys: Journeys with an event.
        distinct: Distinct paths.
        shown: The most frequent paths; ties in the order of the names of their first touchpoints (as many as fit 64
            bits), then of length and of a hash.
        other: The remainder.
    """

    journeys: int
    distinct: int
    shown: tuple[Path, ...]
    other: Remainder
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def __iter__(self) -> Iterator[Path]:
        return iter(self.shown)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "journeys": self.journeys,
            "distinct": self.distinct,
            "paths": [
                {"touchpoints": list(path.touchpoints), "count": path.count, "share": path.share} for path in self.shown
            ],
            "other": {"paths": self.other.paths, "count": self.other.count, "share": self.other.share},
        }

    def __str__(self) -> str:
        lines = [
            f"{self.journeys:,} journeys on {self.distinct:,} distinct paths",
            *(f"  {p}" for p in self.shown),
        ]
        if self.other.paths:
            lines.append(f"  {self.other.paths:,} other paths ({self.other.count:,}, {self.other.share:.1%})")
        return "\n".join(lines)


@frozen(kw_only=True, eq=False)
class PathTable:
    """All distinct paths with their counts, most frequent first.

    Attributes:
        journeys: Journeys with an event.
        count: (p,) journeys on each path.
        offsets: (p + 1,) where the touchpoints of each path begin.
        codes: Touchpoint codes of all paths.
        touchpoints: Names of the codes.
        origin: Which population it is.
    """

    journeys: int
    count: Ints = field(repr=False)
    offsets: Ints = field(repr=False)
    codes: NDArray[Any] = field(repr=False)
    touchpoints: Sequence[str] = field(repr=False)
    origin: Origin = field(repr=False)

    @property
    def distinct(self) -> int:
        """Number of distinct paths."""
        return int(self.count.size)

    @property
    def singletons(self) -> int:
        """Number of paths that only one journey took."""
        return int((self.count == 1).sum())

    def path(self, row: int) -> Path:
        """One path by its rank, from 0."""
        codes = integers(self.codes[self.offsets[row] : self.offsets[row + 1]])
        count = int(self.count[row])
        return Path(tuple(self.touchpoints[code] for code in codes), count, count / self.journeys)

    def count_of(self, touchpoints: Sequence[str]) -> int:
        """Journeys that took exactly this path."""
        wanted = tuple(touchpoints)
        rows = np.flatnonzero(np.diff(self.offsets) == len(wanted)).tolist()
        return next((int(self.count[row]) for row in rows if self.path(row).touchpoints == wanted), 0)

    def top(self, n: int = 10) -> TopPaths:
        """The n most frequent paths and the remainder."""
        if n < 0:
            raise InvalidValueError(f"top takes a number of paths, got {n!r}")
        shown = tuple(self.path(row) for row in range(min(n, self.distinct)))
        rest = int(self.count[len(shown) :].sum())
        return TopPaths(
            journeys=self.journeys, distinct=self.distinct, shown=shown, origin=self.origin,
            other=Remainder(self.distinct - len(shown), rest, rest / self.journeys if self.journeys else 0.0),
        )  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """All paths, as in JSON."""
        return self.top(self.distinct).to_dict()

    def __str__(self) -> str:
        return str(self.top())


@frozen(eq=False)
class Variants:
    """Distinct paths.

    Attributes:
        key: (v,) ascending hash of the path.
        count: (v,) journeys that took it.
        offsets: (v + 1,) where its codes begin.
        codes: Touchpoint codes.
        seed: Seed of the hash; another one than 0 where two paths had one hash.
    """

    key: Keys
    count: Ints
    offsets: Ints
    codes: NDArray[Any]
    seed: int = 0

    def between(self, low: int, high: int) -> Variants:
        """Those with a hash from ``low`` to ``high``."""
        a = int(np.searchsorted(self.key, np.uint64(low)))
        b = int(np.searchsorted(self.key, np.uint64(high), side="right"))
        codes = self.codes[self.offsets[a] : self.offsets[b]]
        return Variants(self.key[a:b], self.count[a:b], self.offsets[a : b + 1] - self.offsets[a], codes, self.seed)


@frozen
class Paths(Tally[tuple[Variants, ...], PathTable]):
    """Distinct paths and how many journeys took each.

    Journeys without an event are left out. Equal paths are found by a 64-bit hash and then compared touchpoint by
    touchpoint, so a collision is seen and resolved.
    """

    name: ClassVar[str] = "paths"
    unit: ClassVar[str] = "journeys"
    observes: ClassVar[Unit] = "journey"
    groups: ClassVar[bool] = False

    def start(self) -> tuple[Variants, ...]:
        """Nothing."""
        return ()

    def add(self, state: tuple[Variants, ...], block: Block, cells: Cells[Any]) -> tuple[Variants, ...]:
        """Distinct paths of one block."""
        filled = block.journey_offsets if block.first.size == block.journeys else _without_empty(block)
        return (*state, distinct_paths(filled, block.touchpoint, None))

    def merge(self, a: tuple[Variants, ...], b: tuple[Variants, ...]) -> tuple[Variants, ...]:
        """Side by side, until they are several times the union so far: memory follows what is distinct."""
        parts = a + b
        if len(parts) > 1 and sum(part.key.size for part in parts) > max(_FEW, _GROWTH * parts[0].key.size):
            return (union(parts),)
        return parts

    def finish(self, state: tuple[Variants, ...], cells: Cells[Any], level: float) -> Mapping[int, PathTable]:
        """The union, most frequent first."""
        every = union(state)
        order = _ranked(every, len(cells.vocabulary.touchpoints))
        sizes = np.diff(every.offsets)[order]
        table = PathTable(
            journeys=int(every.count.sum()), count=every.count[order], offsets=offsets_of(sizes),
            codes=picked(every.codes, every.offsets[:-1][order], sizes),
            touchpoints=cells.vocabulary.touchpoints, origin=cells.origin,
        )  # fmt: skip
        return {0: table}


def _without_empty(block: Block) -> Ints:
    return np.concatenate([block.first, [block.events]]).astype(np.int64)


def distinct_paths(offsets: Ints, codes: NDArray[Any], counts: Ints | None) -> Variants:
    """Distinct sequences of codes and how often each occurs (or its summed counts).

    Args:
        offsets: (n + 1,) where each sequence begins; none is empty.
        codes: Codes of all sequences.
        counts: (n,) how much each counts; 1 when None.
    """
    if offsets.size < 2:
        return Variants(np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(1, np.int64), codes[:0])
    seed = 0
    while True:
        found = _grouped(path_keys(offsets, codes, seed), offsets, codes, counts, seed)
        if found is not None:
            return found
        seed += 1


def union(parts: Sequence[Variants]) -> Variants:
    """The distinct paths of all parts with their summed counts: one range of hashes after the other."""
    parts = [part for part in parts if part.key.size]
    if len(parts) < 2:
        return parts[0] if parts else distinct_paths(np.zeros(1, np.int64), np.zeros(0, np.uint8), None)
    if len({part.seed for part in parts}) == 1:
        pieces = sum(part.codes.size for part in parts) // _AT_ONCE + 1
        bounds = [2**64 * i // pieces for i in range(pieces + 1)]

        def within(bound: tuple[int, int]) -> Variants | None:
            return _side_by_side([part.between(bound[0], bound[1] - 1) for part in parts])

        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            found = list(pool.map(within, pairwise(bounds)))
        merged = [each for each in found if each is not None]
        if len(merged) == pieces:
            return _end_to_end(merged)
    every = _end_to_end(parts)
    return distinct_paths(every.offsets, every.codes, every.count)


def _end_to_end(parts: Sequence[Variants]) -> Variants:
    """The paths of all parts, one part after the other."""
    key, count, codes = (np.concatenate([getattr(part, name) for part in parts]) for name in ("key", "count", "codes"))
    offsets = offsets_of(np.concatenate([np.diff(part.offsets) for part in parts]))
    return Variants(key, count, offsets, codes, parts[0].seed)


def _side_by_side(parts: Sequence[Variants]) -> Variants | None:
    """The union of parts hashed with one seed; None where two paths have one hash."""
    every = _end_to_end(parts)
    return _grouped(every.key, every.offsets, every.codes, every.count, every.seed)


def _grouped(keys: Keys, offsets: Ints, codes: NDArray[Any], counts: Ints | None, seed: int) -> Variants | None:
    """Distinct sequences in the order of their hashes; None where two of them have one hash."""
    order = np.argsort(keys)
    ordered = keys[order]
    fresh = np.ones(keys.size, np.bool_)
    fresh[1:] = ordered[1:] != ordered[:-1]
    begins = np.flatnonzero(fresh)
    first = order[begins]
    again = np.flatnonzero(~fresh)
    twin = first[np.cumsum(fresh)[again] - 1]
    if not _all_equal(offsets, codes, order[again], twin):
        return None
    count = np.diff(begins, append=keys.size) if counts is None else np.add.reduceat(counts[order], begins)
    sizes = np.diff(offsets)[first]
    return Variants(ordered[begins], count, offsets_of(sizes), picked(codes, offsets[first], sizes), seed)


def path_keys(offsets: Ints, codes: NDArray[Any], seed: int) -> Keys:
    """64-bit hash of each sequence: a sum of mixed (code, position) pairs, so no table of positions is needed."""
    keys = np.empty(offsets.size - 1, np.uint64)
    for a, b in windows(np.diff(offsets), _STRETCH):
        begin, lengths = offsets[a], np.diff(offsets[a : b + 1])
        stretch = codes[begin : offsets[b]]
        starts = offsets[a:b] - begin
        position = np.arange(stretch.size, dtype=np.uint64)
        position -= np.repeat(starts, lengths).view(np.uint64)
        position *= np.uint64(0xD1342543DE82EF95)
        position += stretch
        np.add.reduceat(mix(position, seed), starts, out=keys[a:b])
    return keys


def _all_equal(offsets: Ints, codes: NDArray[Any], rows: Ints, twins: Ints) -> bool:
    """Whether each of these sequences equals its twin, code by code."""
    starts, lengths = offsets[:-1], np.diff(offsets)
    mine = lengths[rows]
    return np.array_equal(mine, lengths[twins]) and same_ranges(codes, starts[rows], starts[twins], mine)


def _ranked(variants: Variants, touchpoints: int) -> Ints:
    """Most frequent first; ties in the order of their first touchpoints, as many as fit 64 bits."""
    lengths = np.diff(variants.offsets)
    bits = touchpoints.bit_length()
    packed = np.zeros(lengths.size, np.uint64)
    for step in range(64 // max(bits, 1)):
        packed <<= np.uint64(bits)
        there = np.flatnonzero(lengths > step)
        packed[there] |= variants.codes[variants.offsets[there] + step].astype(np.uint64) + np.uint64(1)
    by_prefix = np.argsort(packed)
    _, rarity = compress(int(variants.count.max(initial=0)) - variants.count[by_prefix])
    _, by_count = counting_order(rarity, int(rarity.max(initial=-1)) + 1)
    order: Ints = by_prefix[by_count]
    # few paths share both: only those are put in the order of length and hash
    count, prefix = variants.count[order], packed[order]
    tied = np.flatnonzero((count[1:] == count[:-1]) & (prefix[1:] == prefix[:-1]))
    places = distinct_codes(np.concatenate([tied, tied + 1]))
    rows = order[places]
    order[places] = rows[np.lexsort((variants.key[rows], lengths[rows], packed[rows], -variants.count[rows]))]
    return order
