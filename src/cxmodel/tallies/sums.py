"""Sums: the state of nearly every metric, by (group, key): totals, products by customer, and bucket sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Unit
from cxmodel.stats.arrays import Bools, Ints, compress, grouped_sum, mix
from cxmodel.stats.floats import Floats
from cxmodel.tallies.cells import BUCKETS, Cells
from cxmodel.tallies.observations import Observations


@frozen(eq=False)
class Sums:
    """Weighted sums by (group, key), in ascending order of the two; f names, r rows.

    Attributes:
        names: Names of the numbers.
        group: (r,) group code; −1 for what belongs to no group.
        key: (r,) the metric's own index.
        count: (r,) observations, unweighted.
        customers: (r,) customers with an observation.
        total: (f, r) weighted sums.
        cross: (f, f, r) sums over customers of the products of their weighted sums.
        simple: (f, f, r) sums over observations of weight × products.
        bucket_row: (b,) row that a bucket sum belongs to.
        bucket: (b,) its bucket: the seeded customer hash modulo 1,024.
        bucket_total: (f, b) weighted sums of the bucket.
    """

    names: tuple[str, ...]
    group: Ints
    key: Ints
    count: Ints
    customers: Ints
    total: Floats
    cross: Floats
    simple: Floats
    bucket_row: Ints
    bucket: Ints
    bucket_total: Floats

    def __getitem__(self, name: str) -> Floats:
        return self.total[self.names.index(name)]  # type: ignore[no-any-return]

    @property
    def rows(self) -> int:
        """Number of (group, key) rows."""
        return int(self.group.size)

    def renamed(self, names: Mapping[str, str]) -> Sums:
        """Some of the numbers under new names: new name → name here."""
        if not self.rows:
            return self
        picked = [self.names.index(name) for name in names.values()]
        square = np.ix_(picked, picked)
        return evolve(
            self, names=tuple(names), total=self.total[picked], cross=self.cross[square], simple=self.simple[square],
            bucket_total=self.bucket_total[picked],
        )  # fmt: skip

    def of(self, group: int) -> Sums:
        """The rows of one group."""
        a, b = np.searchsorted(self.group, [group, group + 1])
        rows = np.arange(a, b)
        first, last = np.searchsorted(self.bucket_row, [a, b])
        inside = np.arange(first, last)
        return Sums(
            self.names, self.group[rows], self.key[rows], self.count[rows], self.customers[rows],
            self.total[:, rows], self.cross[:, :, rows], self.simple[:, :, rows],
            self.bucket_row[inside] - a, self.bucket[inside], self.bucket_total[:, inside],
        )  # fmt: skip

    def where(self, kept: Bools) -> Sums:
        """Some of the rows."""
        rows = np.flatnonzero(kept)
        inside = kept[self.bucket_row]
        place = np.cumsum(kept) - 1
        return Sums(
            self.names, self.group[rows], self.key[rows], self.count[rows], self.customers[rows],
            self.total[:, rows], self.cross[:, :, rows], self.simple[:, :, rows],
            place[self.bucket_row[inside]], self.bucket[inside], self.bucket_total[:, inside],
        )  # fmt: skip


def no_sums() -> Sums:
    """Nothing seen yet: neutral for merging."""
    none, ints = np.zeros((0, 0)), np.zeros(0, np.int64)
    return Sums((), ints, ints, ints, ints, none, np.zeros((0, 0, 0)), np.zeros((0, 0, 0)), ints, ints, none)


def tabulate(block: Block, seen: Observations, cells: Cells[Any], *, clustered: bool = True) -> Sums:
    """Group and weight the observations of one block.

    Args:
        block: The block they come from.
        seen: What the metric saw.
        cells: What to keep apart.
        clustered: Whether the products by customer are needed; without them only bucket sums carry the spread.
    """
    rows, group, weight = _grouped(block, seen, cells)
    customer = block.customer_rows(seen.unit, seen.at[rows])
    cell = _Flat.of(group, None if seen.key is None else seen.key[rows], customer.size)
    bucket = (mix(block.customer_key, cells.seed) % np.uint64(BUCKETS)).astype(np.int64)
    raw = [values[rows] for values in seen.numbers.values()]
    names = tuple(seen.numbers)
    if not clustered:
        return _bucketed(names, cell, bucket[customer], raw if weight is None else [weight * values for values in raw])
    return _clustered(names, cell, customer, bucket, raw, weight)


@frozen(eq=False)
class _Flat:
    """The cell of each row as one number of at most 52 bits, so that a bucket fits beside it.

    Attributes:
        code: The number.
        width: Keys in each group.
        first: Code of the first group.
        groups: What the groups stand for; None where they stand for themselves.
        keys: What the keys stand for.
    """

    code: Ints
    width: int = 1
    first: int = 0
    groups: Ints | None = None
    keys: Ints | None = None

    @classmethod
    def of(cls, group: Ints | None, key: Ints | None, size: int) -> _Flat:
        """Cells of groups (−1 for none; all in group 0 without) and keys."""
        row, first, rows = (0, 0, 1) if group is None else (group + 1, -1, int(group.max(initial=-1)) + 2)
        if key is None and rows < 2**52:
            return cls(np.zeros(size, np.int64) + row, 1, first)
        key = np.zeros(size, np.int64) if key is None else key
        width = int(key.max(initial=0)) + 1
        if rows * width < 2**52:
            return cls(key if group is None else row * width + key, width, first)
        # days × days × contexts: more numbers than 52 bits hold, but never more than there are rows
        groups, row = compress(np.zeros(size, np.int64) + row)
        keys, column = compress(key)
        return cls(row * keys.size + column, keys.size, first, groups, keys)

    def named(self, codes: Ints) -> tuple[Ints, Ints]:
        """Group and key of some codes."""
        row, column = codes // self.width, codes % self.width
        if self.groups is None or self.keys is None:
            return row + self.first, column
        return self.groups[row] + self.first, self.keys[column]


def _bucketed(names: tuple[str, ...], cell: _Flat, bucket: Ints, numbers: Sequence[Floats]) -> Sums:
    """Sums by cell and bucket, without products by customer."""
    slot, slot_of = compress(cell.code * BUCKETS + bucket)
    size = slot.size
    distinct, row = compress(slot // BUCKETS)
    group, key = cell.named(distinct)
    count = np.bincount(row, np.bincount(slot_of, minlength=size), distinct.size).astype(np.int64)
    bucket_total = np.stack([grouped_sum(slot_of, values, size) for values in numbers])
    total = np.stack([grouped_sum(row, values, distinct.size) for values in bucket_total])
    nothing = np.zeros((len(names), len(names), distinct.size))
    none = np.zeros(distinct.size, np.int64)
    return Sums(names, group, key, count, none, total, nothing, nothing, row, slot % BUCKETS, bucket_total)


def _clustered(
    names: tuple[str, ...], cell: _Flat, customer: Ints, bucket_of: Ints, raw: Sequence[Floats], weight: Floats | None
) -> Sums:
    """Sums by cell and bucket, with sums of products over customers."""
    distinct, place = compress(cell.code)
    group, key = cell.named(distinct)
    size = distinct.size
    numbers = raw if weight is None else [weight * values for values in raw]
    pair, pair_of = compress(customer * size + place)
    pair_cell, pair_bucket = pair % max(size, 1), bucket_of[pair // max(size, 1)]
    sums = np.stack([grouped_sum(pair_of, values, pair.size) for values in numbers])
    slot, slot_of = compress(pair_cell * BUCKETS + pair_bucket)
    bucket_total = np.stack([grouped_sum(slot_of, values, slot.size) for values in sums])
    cross = _products(pair_cell, sums, sums, size)
    once = weight is None and pair.size == place.size
    simple = cross if once else _products(place, numbers, raw, size)
    total = np.stack([grouped_sum(slot // BUCKETS, values, size) for values in bucket_total])
    count, customers = np.bincount(place, minlength=size), np.bincount(pair_cell, minlength=size)
    return Sums(
        names, group, key, count, customers, total, cross, simple,
        slot // BUCKETS, slot % BUCKETS, bucket_total,
    )  # fmt: skip


def _products(place: Ints, left: Sequence[Floats] | Floats, right: Sequence[Floats] | Floats, size: int) -> Floats:
    """(f, f, size) sums by place of the products of each two numbers."""
    out = np.zeros((len(left), len(left), size))
    for i in range(len(left)):
        for j in range(i, len(left)):
            product = left[i] * right[j]
            # one place for all needs no count by place, and most questions have but one
            out[i, j] = out[j, i] = product.sum() if size == 1 else grouped_sum(place, product, size)
    return out


def grouped(block: Block, unit: Unit, at: Ints, cells: Cells[Any]) -> tuple[Ints, Ints]:
    """Rows of observations with their group; one group where nothing is grouped by."""
    if cells.by is None:
        return np.arange(at.size), np.zeros(at.size, np.int64)
    return cells.by.assign(block, unit, at)


def _grouped(
    block: Block, seen: Observations, cells: Cells[Any]
) -> tuple[Ints | slice, Ints | None, Floats | None]:  # fmt: skip
    """Rows of the observations with their group (None for all in one), and answer weights where there are any."""
    rows: Ints | slice = slice(None)
    group = None
    if cells.by is not None:
        rows, group = cells.by.assign(block, seen.unit, seen.at)
    if seen.unit != "response" or block.answers is None:
        return rows, group, None
    return rows, group, block.answers.weight[seen.at[rows]]


def merge_sums(a: Sums, b: Sums) -> Sums:
    """What was seen in two sets of disjoint customers."""
    if not a.rows:
        return b
    if not b.rows:
        return a
    place, group, key = _union(a, b)
    size, split = group.size, a.rows
    bucket_row = np.concatenate([place[:split][a.bucket_row], place[split:][b.bucket_row]])
    slot, slot_of = compress(bucket_row * BUCKETS + np.concatenate([a.bucket, b.bucket]))
    both = np.concatenate([a.bucket_total, b.bucket_total], axis=1)
    return Sums(
        a.names, group, key, _added(a.count, b.count, place, size), _added(a.customers, b.customers, place, size),
        _added(a.total, b.total, place, size), _added(a.cross, b.cross, place, size),
        _added(a.simple, b.simple, place, size), slot // BUCKETS, slot % BUCKETS,
        np.stack([grouped_sum(slot_of, values, slot.size) for values in both]),
    )  # fmt: skip


def _union(a: Sums, b: Sums) -> tuple[Ints, Ints, Ints]:
    """Where each row of both goes, and the groups and keys of the union in ascending order."""
    group, key = np.concatenate([a.group, b.group]), np.concatenate([a.key, b.key])
    order = np.lexsort((key, group))
    fresh = np.ones(order.size, np.bool_)
    fresh[1:] = (group[order[1:]] != group[order[:-1]]) | (key[order[1:]] != key[order[:-1]])
    place = np.empty(order.size, np.int64)
    place[order] = np.cumsum(fresh) - 1
    return place, group[order[fresh]], key[order[fresh]]


def _added(a: NDArray[Any], b: NDArray[Any], place: Ints, size: int) -> NDArray[Any]:
    out = np.zeros((*a.shape[:-1], size), a.dtype)
    out[..., place[: a.shape[-1]]] += a
    out[..., place[a.shape[-1] :]] += b
    return out


def dense_buckets(sums: Sums, rows: Sequence[int] | Ints) -> Floats:
    """Bucket sums of some rows as an array (f, rows, 1,024)."""
    out = np.zeros((len(sums.names), len(rows), BUCKETS))
    place = np.full(sums.rows, -1)
    place[rows] = np.arange(len(rows))
    inside = place[sums.bucket_row] >= 0
    out[:, place[sums.bucket_row[inside]], sums.bucket[inside]] = sums.bucket_total[:, inside]
    return out
