"""States of credit: what models that split each conversion keep in `Sums`, and the intervals of those sums.

Keys are touchpoint codes; behind the last touchpoint stand, in this order, direct conversions, all journeys, and, where
a value is split, conversions and those of them without a value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from attrs import evolve

from cxmodel.analysis.credits.conversions import Before, Conversions
from cxmodel.data.blocks import Block
from cxmodel.model.estimates import Interval
from cxmodel.stats.arrays import Ints, grouped_sum
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import FEW_CUSTOMERS, Cells
from cxmodel.tallies.inference import Columns, draws, percentiles, replicated, spread
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums

DIRECT, EVERYBODY, CONVERTED, UNVALUED = range(4)
KINDS: Final = 4


class Splitter(Protocol):
    """A model that splits each conversion on its own."""

    def split(self, before: Before) -> Floats:
        """(events,) the share of its conversion that each event is due; the shares of a conversion sum to 1."""
        ...


class Ends(NamedTuple):
    """Intervals of the rows of some sums.

    Attributes:
        low: Lower ends.
        high: Upper ends.
        method: How they were made.
        replicates: (rows, replicates) credit in each replicate; None without any.
    """

    low: Floats
    high: Floats
    method: str
    replicates: Floats | None

    def interval(self, row: int, level: float) -> Interval | None:
        """The interval of a row; None where there is none."""
        low, high = float(self.low[row]), float(self.high[row])
        return Interval(low, high, level, self.method) if np.isfinite(low + high) else None


def observe_splits(block: Block, conversions: Conversions, models: Mapping[str, Splitter]) -> Observations:
    """What several models make of the events before each conversion, one number per model.

    One observation per conversion and touchpoint, and those of `beside`.
    """
    before = conversions.before(block)
    pair, place = before.pairs
    worth = worth_of(block, conversions, before)
    rest = beside(block, conversions, before, worth)
    numbers = {}
    for name, model in models.items():
        share = model.split(before)
        due = share if conversions.value is None else share * np.nan_to_num(worth)[before.owner]
        numbers[name] = np.concatenate([grouped_sum(place, due, pair.size), rest.due])
    journeys = np.concatenate([before.journey[pair // max(before.width, 1)], rest.journey])
    key = np.concatenate([pair % max(before.width, 1), before.width + rest.kind])
    return evolve(observe("journey", journeys, key, **numbers), apart=True)


class Beside(NamedTuple):
    """What is observed besides touchpoints.

    Attributes:
        journey: Row of the journey of each observation.
        kind: ``DIRECT``, ``EVERYBODY``, ``CONVERTED`` or ``UNVALUED``.
        due: What it is due: the worth of a direct conversion, else 0.
    """

    journey: Ints
    kind: Ints
    due: Floats


def beside(block: Block, conversions: Conversions, before: Before, worth: Floats) -> Beside:
    """Direct conversions; all journeys, so that replicates can be scaled to as many; the account of values."""
    direct = np.flatnonzero(before.lengths == 0)
    journeys = [before.journey[direct], np.flatnonzero(block.lengths > 0)]
    if conversions.value is not None:
        journeys += [before.journey, before.journey[np.isnan(worth)]]
    due = [np.nan_to_num(worth[direct]), *(np.zeros(each.size) for each in journeys[1:])]
    kind = np.concatenate([np.full(each.size, i) for i, each in enumerate(journeys)])
    return Beside(np.concatenate(journeys), kind, np.concatenate(due))


def worth_of(block: Block, conversions: Conversions, before: Before) -> Floats:
    """(conversions,) what each is worth: 1, or its value, NaN where it has none."""
    return np.ones(before.goal.size) if conversions.value is None else conversions.values(block, before.goal)


def counted(sums: Sums, key: int) -> int:
    """Observations under a key."""
    return int(sums.count[sums.key == key].sum())


def resampled(cells: Cells[Any]) -> bool:
    """Whether intervals come from replicates: where they were asked for and there are customers enough."""
    return cells.bootstrap > 0 and cells.facts.customers >= FEW_CUSTOMERS


def told(method: str, cells: Cells[Any]) -> str:
    """How an interval was made, where replicates may have been asked for in vain."""
    return f"{method}; too few customers to resample" if cells.bootstrap else method


def ends_of_totals(sums: Sums, width: int, cells: Cells[Any], level: float, *, least: float) -> Ends:
    """Intervals of summed credit: replicates of customers, or the delta method.

    Args:
        sums: The sums of one group; their numbers are n and credit.
        width: Number of touchpoints known.
        cells: What the run keeps apart.
        level: Confidence level.
        least: The smallest possible credit.
    """
    if resampled(cells) and sums.rows:
        both = replicated(sums, draws(cells.bootstrap, cells.seed))
        row = int(np.searchsorted(sums.key, width + EVERYBODY))
        everybody = both[sums.names.index("n"), row]
        # replicates hold more or fewer customers than there are: only what they did is to vary
        credit = both[sums.names.index("credit")] * (float(sums["n"][row]) / np.maximum(everybody, 1.0))
        low, high = percentiles(credit, level)
        return Ends(low, high, f"bootstrap of customers ({cells.bootstrap:,})", credit)
    total = sums["credit"] if sums.rows else np.zeros(0)
    half = z_value(level) * spread(sums, _credit, cells.facts.customers).se if sums.rows else total
    return Ends(np.maximum(total - half, least), total + half, told("delta, by customer", cells), None)


def _credit(columns: Columns) -> Floats:
    return columns["credit"]
