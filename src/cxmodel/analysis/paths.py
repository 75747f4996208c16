"""Paths: which sequences of touchpoints journeys take, with shares and an explicit remainder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

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
    dense_codes,
    distinct_codes,
    integers,
    mix,
    offsets_of,
    ranges,
)
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally


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
        shown: The most frequent paths, ties in the order of their touchpoints' names.
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
    """Distinct paths of one block.

    Attributes:
        key: (v,) hash of the path.
        count: (v,) journeys that took it.
        offsets: (v + 1,) where its codes begin.
        codes: Touchpoint codes.
    """

    key: Keys
    count: Ints
    offsets: Ints
    codes: NDArray[Any]


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
        """Side by side; they are put together at the end."""
        return a + b

    def finish(self, state: tuple[Variants, ...], cells: Cells[Any], level: float) -> Mapping[int, PathTable]:
        """The union, most frequent first."""
        parts = [part for part in state if part.count.size]
        codes = np.concatenate([part.codes for part in parts]) if parts else np.zeros(0, np.uint8)
        lengths = [np.diff(part.offsets) for part in parts]
        offsets = offsets_of(np.concatenate(lengths) if lengths else np.zeros(0, np.int64))
        counts = np.concatenate([part.count for part in parts]) if parts else np.zeros(0, np.int64)
        union = distinct_paths(offsets, codes, counts)
        order = _ranked(union, len(cells.vocabulary.touchpoints))
        sizes = np.diff(union.offsets)[order]
        table = PathTable(
            journeys=int(union.count.sum()), count=union.count[order], offsets=offsets_of(sizes),
            codes=union.codes[ranges(union.offsets[:-1][order], sizes)],
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
        keys = path_keys(offsets, codes, seed)
        group, distinct = dense_codes(keys)
        first = np.empty(distinct.size, np.int64)
        first[group[::-1]] = np.arange(keys.size)[::-1]
        if _all_equal(offsets, codes, first[group]):
            break
        seed += 1
    sizes = np.diff(offsets)[first]
    weights = np.bincount(group, counts, distinct.size).astype(np.int64)
    return Variants(distinct, weights, offsets_of(sizes), codes[ranges(offsets[:-1][first], sizes)])


def path_keys(offsets: Ints, codes: NDArray[Any], seed: int) -> Keys:
    """64-bit hash of each sequence: a sum of mixed (code, position) pairs, so no table of positions is needed."""
    starts, lengths = offsets[:-1], np.diff(offsets)
    position = np.arange(codes.size, dtype=np.uint64) - np.repeat(starts, lengths).astype(np.uint64)
    position *= np.uint64(0xD1342543DE82EF95)
    position += codes
    return np.add.reduceat(mix(position, seed), starts)


def _all_equal(offsets: Ints, codes: NDArray[Any], twin: Ints) -> bool:
    """Whether each sequence equals its twin, code by code."""
    lengths = np.diff(offsets)
    others = np.flatnonzero(twin != np.arange(twin.size))
    if (lengths[others] != lengths[twin[others]]).any():
        return False
    a, b = ranges(offsets[:-1][others], lengths[others]), ranges(offsets[:-1][twin[others]], lengths[others])
    return bool((codes[a] == codes[b]).all())


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
