"""Further games of Shapley: by position in the journey, and of the conversion rate, where credit may be negative."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

import numpy as np
from attrs import frozen

from cxmodel.analysis.credits.base import CreditOptions, Due
from cxmodel.analysis.credits.results import stability
from cxmodel.analysis.credits.splits import shared_by_distinct
from cxmodel.analysis.credits.states import DIRECT, KINDS, Ends, beside, ends_of_totals, resampled, told, worth_of
from cxmodel.data.blocks import Block
from cxmodel.model.estimates import Estimate, Interval
from cxmodel.model.rankings import RankedBreakdown
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, compress, grouped_sum, ranges
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.games import shapley_values
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import draws, jackknife_error, left_out, percentiles, replicated
from cxmodel.tallies.metrics import SMALL, SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums

MOST_PLAYERS: Final = 12
MOST_KNOWN: Final = 52
_STEP: Final = 128
_FEWEST: Final = 2


@frozen(kw_only=True)
class OrderedShapleyCredit(CreditOptions, SumTally[RankedBreakdown[tuple[str, int]]]):
    """The Shapley value of the count game by touchpoint and place: what a touchpoint is due at each place from 1.

    A touchpoint's share of a conversion, 1/(distinct touchpoints), is divided equally among its events before the goal
    (Zhao, Mahboobi & Bagheri 2018, arXiv:1804.05327). Over all places it sums to `ShapleyCredit`; conversions without a
    touchpoint are ``unassigned``.
    """

    name: ClassVar[str] = "ordered_shapley_credit"

    def observe(self, block: Block) -> Observations:
        """One observation per event before a conversion; its key is place and touchpoint."""
        before = self.conversions.before(block)
        worth = worth_of(block, self.conversions, before)
        rest = beside(block, self.conversions, before, worth)
        pair, place = before.pairs
        share = grouped_sum(place, shared_by_distinct(before), pair.size) / np.bincount(place, minlength=pair.size)
        due = share[place] * np.nan_to_num(worth)[before.owner]
        key = (before.position + 1) * (before.width + KINDS) + block.touchpoint[before.at]
        return observe(
            "journey", np.concatenate([before.journey[before.owner], rest.journey]),
            np.concatenate([key, before.width + rest.kind]), credit=np.concatenate([due, rest.due]),
        )  # fmt: skip

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> RankedBreakdown[tuple[str, int]]:
        """Totals by touchpoint and place, touchpoints in their order."""
        names = cells.vocabulary.touchpoints
        width = len(names)
        ends = ends_of_totals(sums, width, cells, level, least=self.least)
        place, code = sums.key // (width + KINDS), sums.key % (width + KINDS)
        due = [
            Due(float(sums["credit"][row]), int(sums.count[row]), ends.interval(row, level)) for row in range(sums.rows)
        ]
        order = [row for row in np.lexsort((place, code)).tolist() if place[row] > 0] if sums.rows else []
        groups = {(names[int(code[row])], int(place[row])): self.estimate(due[row], cells) for row in order}
        direct = np.flatnonzero((place == 0) & (code == width + DIRECT)).tolist()
        first = due[direct[0]] if direct else Due(0.0, 0, None)
        called = [f"{names[int(code[row])]} at {int(place[row])}" for row in order]
        drawn = None if ends.replicates is None else ends.replicates[order]
        stable = stability(called, sums["credit"][order], drawn) if order else None
        return RankedBreakdown(
            by=("touchpoint", "place"), metric=self.name, groups=groups,
            unassigned=self.estimate(first, cells, "direct"), stability=stable,
        )  # fmt: skip


@frozen(kw_only=True)
class RateShapley(CreditOptions, SumTally[RankedBreakdown[str]]):
    """The Shapley value of the conversion-rate game: how much a touchpoint raises or lowers the rate, on average.

    v(S) is the share of conversions (or their mean value) among the journeys with a touchpoint whose touchpoints all
    lie in S, 0 where there is none. ``φ_i = Σ_S |S|!(n−|S|−1)!/n! · (v(S + i) − v(S))``, over all 2^n sets; it sums to
    the rate of all these journeys and may be negative. Above 12 touchpoints it is refused. Still descriptive: sets of
    journeys differ in more than their touchpoints.
    """

    name: ClassVar[str] = "rate_shapley"
    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    clustered: ClassVar[bool] = False

    def missing(self, facts: Facts) -> str | None:
        """A goal that never occurs, or too many touchpoints."""
        players = set(facts.touchpoints) - set(self.goal.touchpoints)
        if len(players) > MOST_PLAYERS or len(facts.known_touchpoints) > MOST_KNOWN:
            return (
                f"{len(players):,} touchpoints make 2^{len(players):,} sets; more than {MOST_PLAYERS} are refused: "
                f"fold rare ones first, journeys.fold_rare(keep={MOST_PLAYERS})"
            )
        return CreditOptions.missing(self, facts)

    def observe(self, block: Block) -> Observations:
        """One observation per journey with a touchpoint; its key is the set of its touchpoints, one bit each."""
        parts, width = self.conversions.stretches(block), len(block.vocabulary.touchpoints)
        length = parts.stop - parts.start
        pair, _ = compress(
            np.repeat(np.arange(parts.size), length) * width + block.touchpoint[ranges(parts.start, length)]
        )
        key = grouped_sum(pair // max(width, 1), np.exp2(pair % max(width, 1)), parts.size).astype(np.int64)
        won = parts.goal >= 0
        known = key > 0 if block.still_open is None else (key > 0) & (won | ~block.still_open[parts.journey])
        worth = won.astype(np.float64)
        if self.value is not None:
            worth[won] = np.nan_to_num(self.conversions.values(block, parts.goal[won]))
        return observe("journey", parts.journey[known], key[known], worth=worth[known])

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> RankedBreakdown[str]:
        """Solve the game for the data and for every replicate."""
        names, n = cells.vocabulary.touchpoints, sums.names.index("n") if sums.rows else 0
        codes = [code for code in range(len(names)) if (sums.key >> code & 1).any()]
        sets = np.zeros(sums.rows, np.int64)
        for bit, code in enumerate(codes):
            sets |= (sums.key >> code & 1) << bit

        def solve(totals: Floats) -> Floats:
            return rate_game(sets, totals[n], totals[sums.names.index("worth")], len(codes))

        value = solve(sums.total[:, None, :])[0] if codes else np.zeros(0)
        ends = _ends(sums, solve, value, cells, level) if codes else None
        if ends is not None and self.value is None:
            ends = ends._replace(low=np.maximum(ends.low, self.range[0]), high=np.minimum(ends.high, self.range[1]))
        seen = [int(sums.count[(sums.key >> code & 1) > 0].sum()) for code in codes]
        groups = {
            names[code]: self._share(float(value[i]), seen[i], None if ends is None else ends.interval(i, level), cells)
            for i, code in enumerate(codes)
        }
        stable = stability([names[code] for code in codes], value, None if ends is None else ends.replicates)
        return RankedBreakdown(by=("touchpoint",), metric=self.name, groups=groups, stability=stable)

    def _share(self, value: float, n: int, interval: Interval | None, cells: Cells[Any]) -> Estimate:
        counts = self.value is None
        return Estimate(
            value=value, n=n, interval=interval, unit=self.unit if counts else cells.facts.currency or "value",
            direction=self.direction, range=self.range if counts else (-np.inf, np.inf), origin=cells.origin,
            flags=("small_n",) if n < SMALL else (),
        )  # fmt: skip


def rate_game(sets: Ints, n: Floats, worth: Floats, players: int) -> Floats:
    """Shapley values of v(S) = Σ worth/Σ n over the rows whose sets lie in S; 0 where there is none.

    Args:
        sets: (r,) set of each row, one bit per player.
        n: (b, r) how many there are.
        worth: (b, r) what they are worth together.
        players: Number of players p; time and memory grow with 2^p.

    Returns:
        (b, p) values; each row sums to v of all players.

    Example:
        >>> rate_game(np.array([1, 3]), np.array([[2.0, 2.0]]), np.array([[2.0, 0.0]]), 2).tolist()
        [[0.75, -0.25]]
    """
    return np.concatenate([
        _rate_game(sets, n[a : a + _STEP], worth[a : a + _STEP], players) for a in range(0, n.shape[0], _STEP)
    ])  # fmt: skip


def _rate_game(sets: Ints, n: Floats, worth: Floats, players: int) -> Floats:
    inside = np.zeros((2, 2**players, n.shape[0]))
    for out, values in zip(inside, (n, worth), strict=True):
        np.add.at(out, sets, values.T)
    masks = np.arange(2**players)
    for bit in range(players):
        # sums over subsets, one player at a time
        having = masks[(masks >> bit & 1) > 0]
        inside[:, having] += inside[:, having ^ (1 << bit)]
    v = ratio(inside[1], inside[0], empty=0.0)
    return shapley_values(v.T)


def _ends(sums: Sums, solve: Callable[[Floats], Floats], value: Floats, cells: Cells[Any], level: float) -> Ends:
    if resampled(cells):
        found = solve(replicated(sums, draws(cells.bootstrap, cells.seed)).transpose(0, 2, 1)).T
        low, high = percentiles(found, level)
        return Ends(low, high, f"bootstrap of customers ({cells.bootstrap:,})", found)
    without, there = left_out(sums)
    if there.sum() < _FEWEST:
        return Ends(np.full_like(value, np.nan), np.full_like(value, np.nan), "", None)
    found = solve(without.transpose(0, 2, 1)[:, there]).T
    half = z_value(level) * jackknife_error(found, np.ones(int(there.sum()), np.bool_))
    return Ends(value - half, value + half, told("jackknife over customer buckets", cells), None)
