"""Sums: the state of nearly every metric, by (group, key): totals, products by customer, and bucket sums."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Unit
from cxmodel.stats.arrays import Bools, Ints, compress, few, grouped_sum, mix
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
    raw = [_of_rows(values, rows, customer.size) for values in seen.numbers.values()]
    numbers = raw if weight is None else [weight * values for values in raw]
    names = tuple(seen.numbers)
    if not clustered:
        return _bucketed(names, cell, bucket[customer], numbers)
    return _clustered(names, cell, customer, bucket, _Numbers(numbers, raw, weight is None, seen.apart))


def _of_rows(values: Floats, rows: Ints | slice, size: int) -> Floats:
    """_Numbers of some rows; one that is the same everywhere stays so."""
    same = _same(values)
    return values[rows] if same is None else np.broadcast_to(same, size)


def _same(values: Floats) -> float | None:
    """The number that stands in all rows, where that is known without a look at them."""
    return float(values[0]) if values.size and values.strides == (0,) else None


_Two = tuple[Floats, Floats]


class _Numbers(NamedTuple):
    """The numbers of observations.

    Attributes:
        weighted: Each times the weight of its row.
        raw: Each as it was observed.
        plain: Whether there are no weights.
        apart: Whether products of two numbers other than the first are left out.
    """

    weighted: Sequence[Floats]
    raw: Sequence[Floats]
    plain: bool
    apart: bool


@frozen(eq=False)
class _Slots:
    """The codes that occur.

    Attributes:
        codes: (s,) ascending.
        count: (s,) rows with each.
        of_row: (rows,) where sums of a row go.
        size: Size of a table of sums.
        taken: (s,) the places of that table that are used; None for all of them.
    """

    codes: Ints
    count: Ints
    of_row: Ints
    size: int
    taken: Ints | None

    @classmethod
    def of(cls, code: Ints, top: int) -> _Slots:
        """The codes below ``top`` that occur: in one pass over a table, where that is no larger than the rows."""
        if not few(4 * top, code.size):
            codes, place = compress(code)
            return cls(codes, np.bincount(place, minlength=codes.size), place, codes.size, None)
        count = np.bincount(code, minlength=top)
        codes = np.flatnonzero(count)
        return cls(codes, count[codes], code, top, codes)

    def sum(self, values: Floats) -> Floats:
        """(s,) sum of a number by code."""
        same = _same(values)
        if same is not None:
            return np.asarray(self.count * same, np.float64)
        table = grouped_sum(self.of_row, values, self.size)
        return table if self.taken is None else table[self.taken]


@frozen(eq=False)
class _Flat:
    """The cell of each row as one number of at most 52 bits, so that a bucket fits beside it.

    Attributes:
        code: The number.
        top: All numbers are smaller.
        width: Keys in each group.
        first: Code of the first group.
        groups: What the groups stand for; None where they stand for themselves.
        keys: What the keys stand for.
    """

    code: Ints
    top: int
    width: int = 1
    first: int = 0
    groups: Ints | None = None
    keys: Ints | None = None

    @classmethod
    def of(cls, group: Ints | None, key: Ints | None, size: int) -> _Flat:
        """Cells of groups (−1 for none; all in group 0 without) and keys."""
        row, first, rows = (0, 0, 1) if group is None else (group + 1, -1, int(group.max(initial=-1)) + 2)
        if key is None and rows < 2**52:
            return cls(np.zeros(size, np.int64) + row, rows, 1, first)
        key = np.zeros(size, np.int64) if key is None else key
        width = int(key.max(initial=0)) + 1
        if rows * width < 2**52:
            return cls(key if group is None else row * width + key, rows * width, width, first)
        # days × days × contexts: more numbers than 52 bits hold, but never more than there are rows
        groups, row = compress(np.zeros(size, np.int64) + row)
        keys, column = compress(key)
        return cls(row * keys.size + column, groups.size * keys.size, keys.size, first, groups, keys)

    def named(self, codes: Ints) -> tuple[Ints, Ints]:
        """Group and key of some codes."""
        row, column = codes // self.width, codes % self.width
        if self.groups is None or self.keys is None:
            return row + self.first, column
        return self.groups[row] + self.first, self.keys[column]


def _bucketed(names: tuple[str, ...], cell: _Flat, bucket: Ints, numbers: Sequence[Floats]) -> Sums:
    """Sums by cell and bucket, without products by customer."""
    slots = _Slots.of(cell.code * BUCKETS + bucket, cell.top * BUCKETS)
    distinct, row = compress(slots.codes // BUCKETS)
    group, key = cell.named(distinct)
    count = np.bincount(row, slots.count, distinct.size).astype(np.int64)
    bucket_total = np.stack([slots.sum(values) for values in numbers])
    total = np.stack([grouped_sum(row, values, distinct.size) for values in bucket_total])
    nothing = np.zeros((len(names), len(names), distinct.size))
    none = np.zeros(distinct.size, np.int64)
    return Sums(names, group, key, count, none, total, nothing, nothing, row, slots.codes % BUCKETS, bucket_total)


def _clustered(names: tuple[str, ...], cell: _Flat, customer: Ints, bucket_of: Ints, numbers: _Numbers) -> Sums:
    """Sums by cell and bucket, with sums of products over customers."""
    distinct, place = compress(cell.code)
    group, key = cell.named(distinct)
    size = distinct.size
    pair, pair_of = compress(customer * size + place)
    pairs = _Slots(pair, np.bincount(pair_of, minlength=pair.size), pair_of, pair.size, None)
    pair_cell, pair_bucket = pair % max(size, 1), bucket_of[pair // max(size, 1)]
    once = pair.size == place.size
    # with one observation each, what is the same in all observations is so in all customers
    sums = [values if once and _same(values) is not None else pairs.sum(values) for values in numbers.weighted]
    sums = [_of_rows(values, slice(None), pair.size) for values in sums]
    slots = _Slots.of(pair_cell * BUCKETS + pair_bucket, size * BUCKETS)
    bucket_total = np.stack([slots.sum(values) for values in sums])
    by_bucket = slots.codes // BUCKETS
    total = np.stack([grouped_sum(by_bucket, values, size) for values in bucket_total])
    cross = _products(pair_cell, sums, sums, total, apart=numbers.apart)
    simple = cross
    if not (once and numbers.plain):
        simple = _products(place, numbers.weighted, numbers.raw, total, apart=numbers.apart)
    count, customers = np.bincount(place, minlength=size), np.bincount(pair_cell, minlength=size)
    return Sums(
        names, group, key, count, customers, total, cross, simple, by_bucket, slots.codes % BUCKETS, bucket_total
    )


def _products(
    place: Ints, left: Sequence[Floats], right: Sequence[Floats], total: Floats, *, apart: bool
) -> Floats:  # fmt: skip
    """(f, f, size) sums by place of the products of each two numbers; those of the left alone are known."""
    out = np.full((len(left), *total.shape), np.nan)
    for i in range(len(left)):
        for j in range(i, len(left)):
            if apart and 0 < i < j:
                continue
            out[i, j] = out[j, i] = _product(place, (left[i], left[j]), (right[i], right[j]), (total[i], total[j]))
    return out


def _product(
    place: Ints, left: tuple[Floats, Floats], right: tuple[Floats, Floats], total: tuple[Floats, Floats]
) -> Floats:
    """(size,) sums by place of the product of two numbers, left one of the first with right one of the second."""
    size = total[0].size
    one, other = _same(right[1]), _same(right[0])
    if one is not None:
        return total[0] * one
    if other is not None:
        return total[1] * other
    product = left[0] * right[1]
    # one place for all needs no count by place, and most questions have but one
    return product.sum()[None] if size == 1 else grouped_sum(place, product, size)


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
    here, there = (part.bucket_row for part in (a, b))
    here, there = place[:split][here] * BUCKETS + a.bucket, place[split:][there] * BUCKETS + b.bucket
    slot, slot_of = compress(np.concatenate([here, there]))
    bucket_total = np.zeros((len(a.names), slot.size))
    bucket_total[:, slot_of[: here.size]] = a.bucket_total
    bucket_total[:, slot_of[here.size :]] += b.bucket_total
    return Sums(
        a.names, group, key, _added(a.count, b.count, place, size), _added(a.customers, b.customers, place, size),
        _added(a.total, b.total, place, size), _added(a.cross, b.cross, place, size),
        _added(a.simple, b.simple, place, size), slot // BUCKETS, slot % BUCKETS, bucket_total,
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
