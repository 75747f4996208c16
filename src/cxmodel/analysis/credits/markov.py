"""Markov credit: removal effects of an absorbing chain of any order, solved exactly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, TypeVar

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits.base import Counts, CreditOptions, Due
from cxmodel.analysis.credits.results import CreditTable, stability
from cxmodel.analysis.credits.states import Ends, resampled, told
from cxmodel.analysis.credits.steps import steps_before
from cxmodel.data.blocks import Block
from cxmodel.errors import InvalidValueError
from cxmodel.model.estimates import Estimate, Flag
from cxmodel.model.rankings import RankedBreakdown, RankStability
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, grouped_sum, integers
from cxmodel.stats.chains import chain_from_counts, set_removal_effects
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import draws, jackknife_error, left_out, percentiles, replicated
from cxmodel.tallies.metrics import SMALL, SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums

R_co = TypeVar("R_co", covariant=True)

_FEWEST: Final = 2
_NO_WIDTH: Final = 1e-9
MOST_CONTEXTS: Final = 4_000
MOST_REPLICATED: Final = 200
_ROOM: Final = 2**24


@frozen(kw_only=True)
class ChainCredit(CreditOptions, SumTally[R_co]):
    """What is made of a chain of contexts that ends in the goal or is lost.

    Attributes:
        order: How many touchpoints the chain remembers.
    """

    clustered: ClassVar[bool] = False

    order: int = field(default=1)

    def __attrs_post_init__(self) -> None:
        CreditOptions.__attrs_post_init__(self)
        if self.order < 1:
            raise InvalidValueError(f"order is how many touchpoints the chain remembers, got {self.order!r}")

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur, or too many contexts to keep apart."""
        if (len(facts.known_touchpoints) + 2) ** (self.order + 1) >= 2**62:
            return f"order {self.order} with {len(facts.known_touchpoints):,} touchpoints has too many contexts"
        return CreditOptions.missing(self, facts)

    def observe(self, block: Block) -> Observations:
        """One observation per step of the chain: its key is (context, what follows)."""
        steps = steps_before(block, self.conversions, self.order)
        if self.value is None:
            return observe("journey", steps.journey, steps.code)
        value, valued = np.zeros(steps.code.size), np.zeros(steps.code.size)
        won = np.flatnonzero(steps.goal >= 0)
        at = steps.code.size - steps.goal.size + won
        found = self.conversions.values(block, steps.goal[won])
        value[at], valued[at] = np.nan_to_num(found), ~np.isnan(found)
        return observe("journey", steps.journey, steps.code, value=value, valued=valued)

    def chain(self, sums: Sums, cells: Cells[Any]) -> Chained:
        """The chain of the sums of one group."""
        return Chained.of(sums.key, len(cells.vocabulary.touchpoints) + 2, self.order)

    def dues(
        self, values: Floats | None, ends: Ends, chain: Chained, sums: Sums, level: float
    ) -> dict[int, Due]:  # fmt: skip
        """What each touchpoint is due, by its code; without values, why there are none."""
        passed = chain.passing(sums)
        flags: tuple[Flag, ...] = () if chain.replicable else ("not_replicated",)
        if values is None:
            reason = (
                f"a chain of {chain.states.size:,} contexts; more than {MOST_CONTEXTS:,} are not solved: fold rare "
                "touchpoints, journeys.fold_rare(keep=100), or take a lower order"
            )
            return {
                touchpoint: Due(None, int(passed[i]), None, reason=reason)
                for i, touchpoint in enumerate(integers(chain.touchpoints))
            }
        return {
            touchpoint: Due(float(values[i]), int(passed[i]), ends.interval(i, level), flags)
            for i, touchpoint in enumerate(integers(chain.touchpoints))
        }


@frozen(kw_only=True)
class MarkovCredit(ChainCredit[CreditTable]):
    """Removal effects of an absorbing chain, solved exactly, scaled to the conversions.

    RE_i = 1 − P(goal without i)/P(goal); the credit of i is RE_i/ΣRE · conversions that had a touchpoint (Anderl et
    al. 2016, 10.1016/j.ijresmar.2016.03.001). With ``value``, a conversion is worth the mean value of those with the
    same last context. Journeys still in progress are censored: their last step is not a loss. Above 200 contexts there
    is no interval, flagged ``not_replicated``; above 4,000 no value, with the reason.

    Attributes:
        order: How many touchpoints the chain remembers.
    """

    name: ClassVar[str] = "markov_credit"

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> CreditTable:
        """Solve the chain for the data and for every replicate."""
        if not sums.rows:
            return self.table(self.name, {}, Counts(0), cells, None)
        chain, names = self.chain(sums, cells), cells.vocabulary.touchpoints
        worth = None if self.value is None else "value"
        credit, ends = _solved(sums, chain, cells, level, lambda totals: chain.credit(totals, sums.names, worth))
        ends = ends._replace(low=np.maximum(ends.low, self.least) if ends.replicates is None else ends.low)
        rows = self.dues(credit, ends, chain, sums, level)
        conversions = float(sums["n"] @ chain.to_goal)
        straight = chain.to_goal * (chain.source < 0)
        if straight.any():
            due = float(sums[worth or "n"] @ straight)
            rows[len(names)] = Due(due, int(sums["n"] @ straight), None)
        without = 0 if worth is None else round(conversions - float(sums["valued"].sum()))
        stable = chain.stability(names, credit, ends)
        return self.table(self.name, rows, Counts(round(conversions), without), cells, stable)


@frozen(kw_only=True)
class RemovalEffects(ChainCredit[RankedBreakdown[str]]):
    """By which share conversions (or their value) would drop on the chain without a touchpoint.

    RE_i = 1 − P(goal without i)/P(goal), where whatever would enter i is lost. It is what the chain says, not what a
    removal would do: see `Impact`. Each is 0 to 1; they overlap and do not sum to anything. A touchpoint that every
    conversion passes has 1 in any replicate as well, flagged ``degenerate``: ask `Journeys.what_if` there. Above
    200 contexts there is no interval, flagged ``not_replicated``; above 4,000 no value, with the reason.

    Attributes:
        order: How many touchpoints the chain remembers.
    """

    name: ClassVar[str] = "removal_effects"
    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> RankedBreakdown[str]:
        """Solve the chain for the data and for every replicate."""
        groups: dict[str, Estimate] = {}
        stable = None
        if sums.rows:
            chain, names = self.chain(sums, cells), cells.vocabulary.touchpoints
            worth = None if self.value is None else "value"
            effects, ends = _solved(sums, chain, cells, level, lambda totals: chain.effects(totals, sums.names, worth))
            ends = ends._replace(low=np.maximum(ends.low, self.least), high=np.minimum(ends.high, 1.0))
            dues = self.dues(effects, ends, chain, sums, level)
            groups = {names[touchpoint]: self._effect(due, cells) for touchpoint, due in dues.items()}
            stable = chain.stability(names, effects, ends)
        return RankedBreakdown(by=("touchpoint",), metric=self.name, groups=groups, overlapping=True, stability=stable)

    def _effect(self, due: Due, cells: Cells[Any]) -> Estimate:
        if due.value is None or not np.isfinite(due.value):
            return Estimate(
                value=None, n=due.n, unit=self.unit, direction=self.direction, range=self.range,
                flags=() if due.reason else ("empty",), origin=cells.origin,
                reason=due.reason or "no journey with a touchpoint before the goal reaches it",
            )  # fmt: skip
        flags: list[Flag] = ["small_n", *due.flags] if due.n < SMALL else [*due.flags]
        if due.interval is not None and due.interval.high - due.interval.low < _NO_WIDTH:
            flags.append("degenerate")
        return Estimate(
            value=min(due.value, 1.0), n=due.n, unit=self.unit, direction=self.direction, range=self.range,
            interval=due.interval, flags=tuple(flags), origin=cells.origin,
        )  # fmt: skip


def _solved(
    sums: Sums, chain: Chained, cells: Cells[Any], level: float, solve: Callable[[Floats], Floats]
) -> tuple[Floats | None, Ends]:
    """What the chain says of each touchpoint, with intervals where it is not too large; None where it is not solved."""
    nothing = np.full(chain.touchpoints.size, np.nan)
    if chain.members is None:
        return None, Ends(nothing, nothing, "", None)
    values = solve(sums.total[:, None, :])[0]
    if not chain.replicable:
        return values, Ends(nothing, nothing, "", None)
    return values, _ends(sums, chain, cells, level, solve)


def _ends(sums: Sums, chain: Chained, cells: Cells[Any], level: float, solve: Callable[[Floats], Floats]) -> Ends:
    """Intervals from replicates of customers, or from leaving out one bucket of customers at a time."""
    begun = chain.source < 0
    journeys = float(sums["n"][begun].sum())
    n = sums.names.index("n")

    def scaled(totals: Floats) -> Floats:
        # fewer or more journeys than there are: scaled to all of them, only what differs remains
        return np.asarray(totals * (journeys / np.maximum(totals[n][:, begun].sum(axis=1), 1.0))[:, None])

    if resampled(cells):
        found = solve(scaled(replicated(sums, draws(cells.bootstrap, cells.seed)).transpose(0, 2, 1))).T
        low, high = percentiles(found, level)
        return Ends(low, high, f"bootstrap of customers ({cells.bootstrap:,})", found)
    without, there = left_out(sums)
    if there.sum() < _FEWEST:
        nothing = np.full(chain.touchpoints.size, np.nan)
        return Ends(nothing, nothing, "", None)
    found = solve(scaled(without.transpose(0, 2, 1)[:, there])).T
    middle = solve(sums.total[:, None, :])[0]
    half = z_value(level) * jackknife_error(found, np.ones(int(there.sum()), np.bool_))
    return Ends(middle - half, middle + half, told("jackknife over customer buckets", cells), None)


@frozen(eq=False)
class Chained:
    """Where each row of the sums belongs in the chain.

    Attributes:
        states: Contexts that occur, as codes; the start is the context of all zeros and not among them.
        touchpoints: Touchpoint codes that occur.
        members: (touchpoints, states) whether a context holds a touchpoint; None where there are too many to solve.
        source: (r,) state of each row, −1 for the start.
        target: (r,) state that follows; −1 for goal or lost.
        to_goal: (r,) 1.0 where the goal follows.
        seen: (r,) what follows, as the last digit of the key.
    """

    states: Ints
    touchpoints: Ints
    members: Any
    source: Ints
    target: Ints
    to_goal: Floats
    seen: Ints

    @classmethod
    def of(cls, key: Ints, width: int, order: int) -> Chained:
        """Read the contexts out of the keys."""
        context, last = key // width, key % width
        following = np.where((last > 0) & (last < width - 1), (context * width + last) % width**order, 0)
        states, place = np.unique(np.concatenate([context, following]), return_inverse=True)
        offset = 1 if states.size and states[0] == 0 else 0
        source, target = place[: key.size] - offset, place[key.size :] - offset
        states = states[offset:]
        digits = np.stack([states // width**back % width - 1 for back in range(order)], axis=-1)
        touchpoints = np.unique(digits[digits >= 0])
        few = states.size <= MOST_CONTEXTS
        members = (digits[None, :, :] == touchpoints[:, None, None]).any(axis=2) if few else None
        return cls(states, touchpoints, members, source, target, (last == width - 1).astype(np.float64), last)

    @property
    def replicable(self) -> bool:
        """Whether it is small enough to be solved again for every replicate."""
        return self.states.size <= MOST_REPLICATED

    def stability(self, names: Sequence[str], values: Floats | None, ends: Ends) -> RankStability | None:
        """How often the order of the touchpoints held in replicates."""
        if values is None:
            return None
        return stability([names[i] for i in integers(self.touchpoints)], values, ends.replicates)

    def credit(self, totals: Floats, names: tuple[str, ...], worth: str | None) -> Floats:
        """(b, touchpoints) credit for b sets of totals (f, b, r)."""
        effects = np.nan_to_num(self.effects(totals, names, worth))
        conversions = totals[names.index(worth or "n")] @ (self.to_goal * (self.source >= 0))
        return np.asarray(ratio(effects, effects.sum(axis=1, keepdims=True), empty=0.0) * conversions[:, None])

    def effects(self, totals: Floats, names: tuple[str, ...], worth: str | None) -> Floats:
        """(b, touchpoints) removal effects for b sets of totals (f, b, r); NaN without a goal to lose."""
        size, b = self.states.size, totals.shape[1]
        if not size:
            return np.zeros((b, 0))
        step = max(1, min(256, _ROOM // size**2))
        n = totals[names.index("n")]
        value = None if worth is None else totals[names.index(worth)]
        return np.concatenate([
            self._effects(n[a : a + step], None if value is None else value[a : a + step]) for a in range(0, b, step)
        ])  # fmt: skip

    def _effects(self, totals: Floats, value: Floats | None) -> Floats:
        size, b = self.states.size, totals.shape[0]
        counts = np.zeros((b, size, size))
        inner = np.flatnonzero((self.source >= 0) & (self.target >= 0))
        counts[:, self.source[inner], self.target[inner]] = totals[:, inner]
        ends = (self.source >= 0) & (self.target < 0)
        begin = np.flatnonzero((self.source < 0) & (self.target >= 0))
        starts = self._spread(totals, begin, self.target)
        goals = np.flatnonzero(ends & (self.to_goal > 0))
        goal = self._spread(totals, goals, self.source)
        lost = self._spread(totals, np.flatnonzero(ends & (self.to_goal == 0)), self.source)
        chain = chain_from_counts(counts, starts, goal, lost)
        reward = 1.0 if value is None else ratio(self._spread(value, goals, self.source), goal, empty=0.0)
        return np.asarray(set_removal_effects(chain, self.members, reward))

    def _spread(self, totals: Floats, rows: Ints, to: Ints) -> Floats:
        out = np.zeros((totals.shape[0], self.states.size))
        out[:, to[rows]] = totals[:, rows]
        return out

    def passing(self, sums: Sums) -> Floats:
        """(touchpoints,) events at each touchpoint before a goal or an end."""
        count = grouped_sum(self.seen, sums.count.astype(np.float64), int(self.seen.max(initial=0)) + 2)
        return np.asarray(count[self.touchpoints + 1])
