"""Shares of journeys for many keys at once: which touchpoint they begin at, which pair they pass in order."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Block
from cxmodel.model.estimates import Estimate, Interval
from cxmodel.stats.arrays import Ints, compress, ranges
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import SMALL
from cxmodel.tallies.sums import grouped

_ROUNDING = 1e-9


@frozen(eq=False)
class Wholes:
    """Journeys by group: (g,) arrays.

    Attributes:
        group: Groups, ascending.
        journeys: Journeys with an event.
        squares: Σ over customers of their journeys².
        customers: Customers.
    """

    group: Ints
    journeys: Ints
    squares: Ints
    customers: Ints


@frozen(eq=False)
class Parts:
    """Journeys by (group, key): (r,) arrays, ascending.

    Attributes:
        group: Group.
        key: Key.
        journeys: Journeys with the key.
        times: How often the key occurs in them.
        squares: Σ over customers of (journeys with the key)².
        products: Σ over customers of journeys with the key × journeys.
    """

    group: Ints
    key: Ints
    journeys: Ints
    times: Ints
    squares: Ints
    products: Ints


@frozen(eq=False)
class KeyedCounts:
    """What was seen: mergeable sums."""

    wholes: Wholes
    parts: Parts


def no_counts() -> KeyedCounts:
    """Nothing seen yet."""
    none = np.zeros(0, np.int64)
    return KeyedCounts(Wholes(none, none, none, none), Parts(none, none, none, none, none, none))


def count_keys(block: Block, journey: Ints, key: Ints, times: Ints, cells: Cells[Any]) -> KeyedCounts:
    """Count keys of journeys.

    Args:
        block: The block.
        journey: Row of a journey with an event; each (journey, key) comes once.
        key: What it has.
        times: How often.
        cells: What to keep apart.
    """
    filled = np.flatnonzero(block.lengths > 0)
    rows, group = grouped(block, "journey", filled, cells)
    order = np.argsort(rows, kind="stable")
    owner, group = filled[rows[order]], group[order]
    groups, place = compress(group + 1)
    customer, own = compress(block.customer_of_journey[owner] * max(groups.size, 1) + place)
    of_customer = np.bincount(own, minlength=customer.size)
    in_group = customer % max(groups.size, 1)
    wholes = Wholes(
        groups - 1, np.bincount(place, minlength=groups.size), _sum(in_group, of_customer**2, groups.size),
        np.bincount(in_group, minlength=groups.size),
    )  # fmt: skip
    count = np.bincount(owner, minlength=block.journeys)
    starts = np.cumsum(count) - count
    seat = ranges(starts[journey], count[journey])
    seen = np.repeat(np.arange(journey.size), count[journey])
    keys, which = compress(key)
    cell, at = compress(place[seat] * max(keys.size, 1) + which[seen])
    pair, at_pair = compress(own[seat] * max(cell.size, 1) + at)
    y, n = np.bincount(at_pair, minlength=pair.size), of_customer[pair // max(cell.size, 1)]
    home = pair % max(cell.size, 1)
    parts = Parts(
        groups[cell // max(keys.size, 1)] - 1, keys[cell % max(keys.size, 1)], np.bincount(at, minlength=cell.size),
        _sum(at, times[seen], cell.size), _sum(home, y**2, cell.size), _sum(home, y * n, cell.size),
    )  # fmt: skip
    return KeyedCounts(wholes, parts)


def merge_counts(a: KeyedCounts, b: KeyedCounts) -> KeyedCounts:
    """What was seen in two sets of disjoint customers."""
    group = np.concatenate([a.wholes.group, b.wholes.group])
    groups, place = np.unique(group, return_inverse=True)
    wholes = Wholes(groups, *(
        _sum(place, np.concatenate([x, y]), groups.size)
        for x, y in ((a.wholes.journeys, b.wholes.journeys), (a.wholes.squares, b.wholes.squares),
                     (a.wholes.customers, b.wholes.customers))
    ))  # fmt: skip
    one, two = a.parts, b.parts
    group, key = np.concatenate([one.group, two.group]), np.concatenate([one.key, two.key])
    order = np.lexsort((key, group))
    fresh = np.ones(order.size, np.bool_)
    fresh[1:] = (np.diff(group[order]) != 0) | (np.diff(key[order]) != 0)
    place = np.empty(order.size, np.int64)
    place[order] = np.cumsum(fresh) - 1
    size = int(fresh.sum())
    parts = Parts(group[order[fresh]], key[order[fresh]], *(
        _sum(place, np.concatenate([x, y]), size)
        for x, y in ((one.journeys, two.journeys), (one.times, two.times), (one.squares, two.squares),
                     (one.products, two.products))
    ))  # fmt: skip
    return KeyedCounts(wholes, parts)


def _sum(groups: Ints, values: Ints, size: int) -> Ints:
    out = np.zeros(size, np.int64)
    np.add.at(out, groups, values)
    return out


@frozen(eq=False, slots=False)
class Shares:
    """Shares of one group's journeys, one per key, most frequent first.

    Wilson's interval on n over the design effect: the variance by customer, over that of as many single journeys.

    Attributes:
        key: (k,) keys.
        count: (k,) journeys with each.
        times: (k,) how often each occurs.
        journeys: Journeys with an event.
        n_eff: (k,) effective number of journeys.
        cells: The question.
        level: Confidence level.
    """

    key: Ints
    count: Ints
    times: Ints
    journeys: int
    n_eff: Floats
    cells: Cells[Any]
    level: float

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """Ends of all intervals."""
        return wilson(self.count / max(self.journeys, 1) * self.n_eff, self.n_eff, self.level)

    def estimate(self, row: int) -> Estimate:
        """The share of one key."""
        low, high = (float(ends[row]) for ends in self.bounds)
        method = self._told("wilson, design effect" if self.n_eff[row] < self.journeys else "wilson")
        return Estimate(
            value=int(self.count[row]) / self.journeys, n=self.journeys, n_eff=float(self.n_eff[row]), unit="share",
            range=(0.0, 1.0), interval=Interval(low, high, self.level, method), origin=self.cells.origin,
            flags=("small_n",) if self.journeys < SMALL else (),
        )  # fmt: skip

    def row_of(self, key: int) -> int | None:
        """The row of a key, or None where no journey has it."""
        found = np.flatnonzero(self.key == key)
        return int(found[0]) if found.size else None

    def estimate_of(self, key: int) -> Estimate:
        """The share of a key, 0 where no journey has it."""
        row = self.row_of(key)
        if row is not None:
            return self.estimate(row)
        if not self.journeys:
            return Estimate(value=None, n=0, unit="share", range=(0.0, 1.0), reason="no journeys", flags=("empty",))
        low, high = (float(end) for end in wilson(0.0, float(self.journeys), self.level))
        return Estimate(
            value=0.0, n=self.journeys, n_eff=float(self.journeys), unit="share", range=(0.0, 1.0),
            interval=Interval(low, high, self.level, self._told("wilson")), origin=self.cells.origin,
        )  # fmt: skip

    def _told(self, method: str) -> str:
        """How an interval was made, where replicates may have been asked for in vain."""
        return f"{method}; shares of many keys are not resampled" if self.cells.bootstrap else method


def shares_by_group(state: KeyedCounts, cells: Cells[Any], level: float) -> dict[int, Shares]:
    """The shares of every group."""
    wholes, parts = state.wholes, state.parts
    if not wholes.group.size and cells.by is None:
        none = np.zeros(0, np.int64)
        return {0: Shares(none, none, none, 0, np.zeros(0), cells, level)}
    out = {}
    for place, group in enumerate(wholes.group.tolist()):
        first, last = np.searchsorted(parts.group, [group, group + 1])
        rows = first + np.lexsort((parts.key[first:last], -parts.journeys[first:last]))
        n, customers = int(wholes.journeys[place]), int(wholes.customers[place])
        p = parts.journeys[rows] / n
        clustered = parts.squares[rows] - 2 * p * parts.products[rows] + p**2 * float(wholes.squares[place])
        effect = _effect(clustered, n * p * (1 - p), n, customers)
        out[group] = Shares(parts.key[rows], parts.journeys[rows], parts.times[rows], n, n / effect, cells, level)
    return out


def _effect(clustered: Floats, simple: Floats, n: int, customers: int) -> Floats:
    """Design effect, 1 or more; 1 where there is one journey per customer or all agree."""
    if customers < 2:
        return np.ones(clustered.size)
    with np.errstate(divide="ignore", invalid="ignore"):
        effect = clustered * customers / (customers - 1) / (simple * n / (n - 1))
    return np.where(np.isfinite(effect) & (effect > 1 + _ROUNDING), effect, 1.0)
