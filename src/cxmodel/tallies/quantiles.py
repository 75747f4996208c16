"""Exact quantiles of what a metric observes, for all groups at once, with an interval that minds repeated customers."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Flag, Interval, no_value
from cxmodel.stats.arrays import Ints, compress, grouped_sum, mix, offsets_of
from cxmodel.stats.floats import Floats, ratio, root
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import BUCKETS, FEW_CUSTOMERS, Cells
from cxmodel.tallies.inference import draws, percentiles
from cxmodel.tallies.metrics import SMALL, Tally
from cxmodel.tallies.observations import Observations
from cxmodel.tallies.sums import grouped


@frozen(eq=False)
class QuantileState:
    """What was observed, one part per block.

    Attributes:
        parts: Group, customer (counted on from block to block) and value of each observation.
        customers: Customers seen.
        buckets: Bucket of each customer, block by block.
    """

    parts: tuple[tuple[Ints, Ints, Floats], ...]
    customers: int
    buckets: tuple[Ints, ...] = ()


def quantiles(ordered: Floats, offsets: Ints, share: float | Floats) -> Floats:
    """Quantiles of groups of ordered values, interpolated between neighbours: ``x[(n − 1)·share]``.

    Args:
        ordered: (n,) values, group after group, ascending in each.
        offsets: (g + 1,) where each group begins; none is empty.
        share: Share of the values below, 0 to 1; one for all or one per group.

    Example:
        >>> quantiles(np.array([1.0, 2.0, 5.0, 7.0]), np.array([0, 2, 4]), 0.5).tolist()
        [1.5, 6.0]
    """
    at = np.clip(share, 0.0, 1.0) * (np.diff(offsets) - 1)
    low = np.floor(at).astype(np.int64)
    lower, upper = ordered[offsets[:-1] + low], ordered[offsets[:-1] + np.ceil(at).astype(np.int64)]
    return np.asarray(lower + (upper - lower) * (at - low), np.float64)


@frozen(kw_only=True)
class QuantileMetric(Tally[QuantileState, Estimate]):
    """The value that a share of the observations does not exceed: exact, 0.5 for the median.

    The interval is Woodruff's (1952, J. Am. Stat. Assoc. 47:635): the share has a standard error by customer, and
    the quantiles at its two ends are the interval. It needs two customers. With ``bootstrap`` the interval runs between
    percentiles of the quantiles of replicates that draw customers, by bucket; below 200 customers it stays Woodruff's.

    Attributes:
        share: Share of the observations, between 0 and 1.
    """

    share: float = field(default=0.5, validator=[validators.gt(0), validators.lt(1)])

    @abstractmethod
    def observe(self, block: Block) -> Observations:
        """Which rows of which unit count, with ``value``."""

    def marks(self) -> tuple[Flag, ...]:
        """Flags that every result carries."""
        return ()

    def start(self) -> QuantileState:
        """Nothing."""
        return QuantileState((), 0)

    def add(self, state: QuantileState, block: Block, cells: Cells[Any]) -> QuantileState:
        """Keep what the block holds."""
        seen = self.observe(block)
        rows, group = grouped(block, seen.unit, seen.at, cells)
        customer = block.customer_rows(seen.unit, seen.at)
        part = (group, customer[rows], np.asarray(seen.numbers["value"][rows], np.float64))
        bucket = (mix(block.customer_key, cells.seed) % np.uint64(BUCKETS)).astype(np.int64)
        return self.merge(state, QuantileState((part,), block.customers, (bucket,)))

    def merge(self, a: QuantileState, b: QuantileState) -> QuantileState:
        """Both, the customers of the second counted on."""
        moved = tuple((group, customer + a.customers, value) for group, customer, value in b.parts)
        return QuantileState(a.parts + moved, a.customers + b.customers, a.buckets + b.buckets)

    def finish(self, state: QuantileState, cells: Cells[Any], level: float) -> Mapping[int, Estimate]:
        """Sort once by group and value; everything else is counting."""
        about: dict[str, Any] = {
            "unit": self.unit, "direction": self.direction, "range": self.range, "origin": cells.origin,
        }  # fmt: skip
        if not sum(part[0].size for part in state.parts):
            return {} if cells.by else {0: no_value("there is nothing to measure", **about)}
        group = np.concatenate([part[0] for part in state.parts])
        customer = np.concatenate([part[1] for part in state.parts])
        value = np.concatenate([part[2] for part in state.parts])
        order = np.lexsort((value, group))
        codes, place = compress(group[order] + 1)
        ordered, n = value[order], np.bincount(place)
        offsets = offsets_of(n)
        middle = quantiles(ordered, offsets, self.share)
        below = (ordered <= middle[place]).astype(np.float64)
        se, n_eff, customers = _spread(below, place, customer[order], n)
        half = z_value(level) * se
        low, high = (quantiles(ordered, offsets, np.nan_to_num(self.share + side * half)) for side in (-1, 1))
        method = np.full(n.size, "Woodruff, by customer", object)
        if cells.bootstrap:
            drawn = draws(cells.bootstrap, cells.seed)
            bucket = np.concatenate(state.buckets)[customer[order]]
            ends = percentiles(replicated_quantiles(ordered, offsets, self.share, bucket, drawn), level)
            many = customers >= FEW_CUSTOMERS
            low, high = np.where(many, ends[0], low), np.where(many, ends[1], high)
            method[many] = f"bootstrap of customers ({cells.bootstrap:,})"
            method[~many] = "Woodruff, by customer; too few customers to resample"
        out = {}
        for row, code in enumerate(codes.tolist()):
            known = np.isfinite(se[row])
            interval = Interval(float(low[row]), float(high[row]), level, str(method[row])) if known else None
            small: tuple[Flag, ...] = ("small_n",) if n[row] < SMALL else ()
            if known and low[row] == high[row]:
                small = (*small, "degenerate")
            out[code - 1] = Estimate(
                value=float(middle[row]), n=int(n[row]), n_eff=float(n_eff[row]), interval=interval,
                flags=(*small, *self.marks()), **about,
            )  # fmt: skip
        return out


def replicated_quantiles(ordered: Floats, offsets: Ints, share: float, bucket: Ints, drawn: Floats) -> Floats:
    """(groups, replicates) quantiles under drawn buckets: those of the values, each as often as its bucket is drawn."""
    out = np.full((offsets.size - 1, drawn.shape[1]), np.nan)
    for replicate, weights in enumerate(drawn.T):
        reached = np.concatenate([[0.0], np.cumsum(weights[bucket])])
        before = reached[offsets[:-1]]
        n = reached[offsets[1:]] - before
        some = np.flatnonzero(n > 0)
        at = share * (n[some] - 1)
        rank = before[some] + np.stack([np.floor(at), np.ceil(at)])
        lower, upper = ordered[np.searchsorted(reached[1:], rank, side="right")]
        out[some, replicate] = lower + (upper - lower) * (at - np.floor(at))
    return out


def _spread(below: Floats, place: Ints, customer: Ints, n: Ints) -> tuple[Floats, Floats, Floats]:
    """Standard error by customer of each group's share below its quantile, the effective number, and customers."""
    share = grouped_sum(place, below, n.size) / n
    pair, at = compress(place * (int(customer.max(initial=0)) + 1) + customer)
    residual = grouped_sum(at, below - share[place], pair.size)
    owner = pair // (int(customer.max(initial=0)) + 1)
    customers = grouped_sum(owner, None, n.size)
    variance = grouped_sum(owner, residual**2, n.size) / n.astype(np.float64) ** 2 * ratio(customers, customers - 1)
    kish = n.astype(np.float64) ** 2 / grouped_sum(owner, grouped_sum(at, None, pair.size) ** 2, n.size)
    effect = ratio(variance, share * (1 - share) / n)
    n_eff = np.where(np.isnan(effect), kish, n / np.maximum(np.nan_to_num(effect), 1.0))
    return np.where(customers > 1, root(variance), np.nan), n_eff, customers
