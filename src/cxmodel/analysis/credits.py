"""Credit: how descriptive models split conversions among the touchpoints before them. Credit is not impact."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate, Interval
from cxmodel.model.goals import Goal
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, compress, grouped_sum, ranges
from cxmodel.stats.chains import chain_from_counts, set_removal_effects
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import (
    Columns,
    draws,
    jackknife_error,
    left_out,
    percentiles,
    replicated,
    spread,
)
from cxmodel.tallies.metrics import SMALL, SumTally, Tally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums, merge_sums, no_sums, tabulate

_FEWEST: Final = 2


@frozen(kw_only=True, eq=False)
class CreditTable(Breakdown[str, Estimate]):
    """Credit by touchpoint. Rows plus ``direct`` sum to ``conversions``.

    Attributes:
        goal: Name of the goal.
        conversions: Journeys that reached it.
        direct: Conversions without a touchpoint before them.
    """

    goal: str
    conversions: int
    direct: Estimate

    def to_records(self) -> list[dict[str, object]]:
        """One record per touchpoint; the direct one has None as its touchpoint."""
        rows = super().to_records()
        return [*rows, {"group": {"touchpoint": None}, "quantity": self.metric, **self.direct.to_dict()}]


@frozen(kw_only=True, eq=False)
class CreditComparison:
    """Several credit models side by side.

    Attributes:
        models: Name of the model → its table.
    """

    models: Mapping[str, CreditTable]

    def __getitem__(self, model: str) -> CreditTable:
        return self.models[model]

    def to_records(self) -> list[dict[str, object]]:
        """The records of all models, one after the other."""
        return [record for table in self.models.values() for record in table.to_records()]

    def __str__(self) -> str:
        return "\n".join(str(table) for table in self.models.values())


@frozen(kw_only=True)
class CreditMetric(SumTally[CreditTable]):
    """A model that splits each conversion among the touchpoints before it.

    A journey counts at the first time that it reaches the goal; the goal's own event gets no credit. Credit is
    *descriptive*: it says where converting journeys passed, not what a touchpoint caused.

    Attributes:
        goal: What counts as a conversion.
    """

    unit: ClassVar[str] = "conversions"
    direction: ClassVar[Any] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    observes: ClassVar[Unit] = "journey"

    goal: Goal

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur."""
        return goal_missing(self.goal, facts)

    @abstractmethod
    def split(self, block: Block, journey: Ints, at: Ints, position: Ints, length: Ints) -> Floats:
        """Credit of each event before a conversion.

        Args:
            block: The block.
            journey: Row of the converting journey, per event.
            at: Row of the event.
            position: Its place in the journey, from 0.
            length: Events before the conversion.
        """

    def observe(self, block: Block) -> Observations:
        """One observation per converting journey and touchpoint; behind the last key direct ones, then all journeys."""
        return observe_splits(block, self.goal, {"credit": self})

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> CreditTable:
        """Totals by touchpoint with delta or resampled intervals."""
        low, high, method = _intervals_of_totals(sums, cells, level)
        estimates = {
            int(key): self._estimate(float(sums["credit"][row]), int(sums.count[row]), cells,
                                     _interval(low[row], high[row], level, method))
            for row, key in enumerate(sums.key)
            if key <= len(cells.vocabulary.touchpoints)
        }  # fmt: skip
        return self._table(estimates, round(float(sums["credit"].sum())) if sums.rows else 0, cells)

    def _estimate(self, value: float, n: int, cells: Cells[Any], interval: Interval | None) -> Estimate:
        return Estimate(
            value=value, n=n, unit=self.unit, direction=self.direction, range=self.range, interval=interval,
            flags=("small_n",) if n < SMALL else (), origin=cells.origin,
        )  # fmt: skip

    def _table(self, estimates: Mapping[int, Estimate], conversions: int, cells: Cells[Any]) -> CreditTable:
        names = cells.vocabulary.touchpoints
        none = self._estimate(0.0, 0, cells, None)
        direct = estimates.get(len(names), none)
        return CreditTable(
            by=("touchpoint",), metric=self.name, goal=self.goal.name, conversions=conversions,
            groups={names[key]: each for key, each in estimates.items() if key < len(names)},
            direct=_flagged(direct),
        )  # fmt: skip


def observe_splits(block: Block, goal: Goal, models: Mapping[str, CreditMetric]) -> Observations:
    """What several models make of the events before each conversion, one number per model.

    One observation per converting journey and touchpoint. Conversions without any stand under the key behind the last
    touchpoint; under the next key stand all journeys, so that replicates can be scaled to as many as there are.
    """
    width = len(block.vocabulary.touchpoints)
    journeys, at, position, length, direct = before_conversion(block, goal)
    pair, place = compress(journeys * width + block.touchpoint[at])
    everybody = np.flatnonzero(block.lengths > 0)
    rows = np.concatenate([pair // width, direct, everybody])
    key = np.concatenate([pair % width, np.full(direct.size, width), np.full(everybody.size, width + 1)])
    rest = [np.ones(direct.size), np.zeros(everybody.size)]
    numbers = {
        name: np.concatenate([grouped_sum(place, model.split(block, journeys, at, position, length), pair.size), *rest])
        for name, model in models.items()
    }
    return observe("journey", rows, key, **numbers)


def _flagged(direct: Estimate) -> Estimate:
    from attrs import evolve

    return evolve(direct, flags=(*direct.flags, "direct"))


def goal_missing(goal: Goal, facts: Facts) -> str | None:
    """Why a goal cannot be reached here."""
    known = set(facts.known_touchpoints)
    lost = [name for name in goal.touchpoints if name not in known]
    return f"goal {goal.name!r}: {unknown('touchpoint', lost[0], facts.known_touchpoints)}" if lost else None


def before_conversion(block: Block, goal: Goal) -> tuple[Ints, Ints, Ints, Ints, Ints]:
    """The events before each conversion, and the journeys that convert without any.

    Returns:
        Per event: journey, row, position, length of what comes before; then the direct journeys.
    """
    reached = block.reached(goal)
    journeys = np.flatnonzero(reached >= 0)
    start = block.journey_offsets[:-1][journeys]
    length = reached[journeys] - start
    direct, some = journeys[length == 0], length > 0
    journeys, start, length = journeys[some], start[some], length[some]
    at = ranges(start, length)
    owner = np.repeat(journeys, length)
    return owner, at, at - np.repeat(start, length), np.repeat(length, length), direct


def _intervals_of_totals(sums: Sums, cells: Cells[Any], level: float) -> tuple[Floats, Floats, str]:
    def credit(columns: Columns) -> Floats:
        return columns["credit"]

    if cells.bootstrap and sums.rows:
        both = replicated(sums, draws(cells.bootstrap, cells.seed))
        everybody = both[sums.names.index("n"), -1]
        # replicates hold more or fewer customers than there are: only what they did is to vary
        scale = float(sums["n"][-1]) / np.maximum(everybody, 1.0)
        low, high = percentiles(both[sums.names.index("credit")] * scale, level)
        return low, high, f"bootstrap of customers ({cells.bootstrap:,})"
    total = sums["credit"] if sums.rows else np.zeros(0)
    half = z_value(level) * spread(sums, credit, cells.facts.customers).se if sums.rows else total
    return np.maximum(total - half, 0.0), total + half, "delta, by customer"


def _interval(low: float, high: float, level: float, method: str) -> Interval | None:
    return Interval(float(low), float(high), level, method) if np.isfinite(low + high) else None


@frozen(kw_only=True)
class FirstCredit(CreditMetric):
    """All credit to the first touchpoint."""

    name: ClassVar[str] = "first_credit"

    def split(self, block: Block, journey: Ints, at: Ints, position: Ints, length: Ints) -> Floats:
        """1 at the first event."""
        return np.asarray(position == 0, np.float64)


@frozen(kw_only=True)
class LastCredit(CreditMetric):
    """All credit to the last touchpoint before the goal."""

    name: ClassVar[str] = "last_credit"

    def split(self, block: Block, journey: Ints, at: Ints, position: Ints, length: Ints) -> Floats:
        """1 at the last event."""
        return np.asarray(position == length - 1, np.float64)


@frozen(kw_only=True)
class LinearCredit(CreditMetric):
    """The same credit to every event before the goal."""

    name: ClassVar[str] = "linear_credit"

    def split(self, block: Block, journey: Ints, at: Ints, position: Ints, length: Ints) -> Floats:
        """1/length at each event."""
        return 1.0 / length


@frozen(kw_only=True)
class ShapleyCredit(CreditMetric):
    """The Shapley value of the count game, in closed form.

    With v(S) = conversions of journeys whose touchpoints all lie in S, touchpoint i is due ``Σ R/|T|`` over
    the converting journeys with distinct touchpoints T ∋ i (Zhao, Mahboobi & Bagheri 2018, arXiv:1804.05327): each
    conversion is shared equally among the distinct touchpoints before it.
    """

    name: ClassVar[str] = "shapley_credit"

    def split(self, block: Block, journey: Ints, at: Ints, position: Ints, length: Ints) -> Floats:
        """1/(distinct touchpoints) to each distinct touchpoint, at its first event."""
        width = len(block.vocabulary.touchpoints)
        pair = journey * width + block.touchpoint[at]
        distinct, place = compress(pair)
        first = np.empty(distinct.size, np.int64)
        first[place[::-1]] = np.arange(pair.size)[::-1]
        many = np.bincount(distinct // width, minlength=block.journeys)
        out = np.zeros(pair.size)
        out[first] = 1.0 / many[journey[first]]
        return out


@frozen(kw_only=True)
class MarkovCredit(SumTally[CreditTable]):
    """Removal effects of an absorbing chain, solved exactly, scaled to the conversions.

    RE_i = 1 − P(goal without i)/P(goal); the credit of i is RE_i/ΣRE · conversions that had a touchpoint (Anderl et
    al. 2016, 10.1016/j.ijresmar.2016.03.001). Journeys still in progress are censored: their last step is not a loss.

    Attributes:
        goal: What counts as a conversion.
        order: How many touchpoints the chain remembers.
    """

    name: ClassVar[str] = "markov_credit"
    unit: ClassVar[str] = "conversions"
    direction: ClassVar[Any] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    observes: ClassVar[Unit] = "journey"
    clustered: ClassVar[bool] = False

    goal: Goal
    order: int = field(default=1)

    def __attrs_post_init__(self) -> None:
        if self.order < 1:
            raise InvalidValueError(f"order is how many touchpoints the chain remembers, got {self.order!r}")

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur, or too many contexts to keep apart."""
        if (len(facts.known_touchpoints) + 2) ** (self.order + 1) >= 2**62:
            return f"order {self.order} with {len(facts.known_touchpoints):,} touchpoints has too many contexts"
        return goal_missing(self.goal, facts)

    def observe(self, block: Block) -> Observations:
        """One observation per step of the chain: its key is (context, what follows)."""
        journey, code = chain_steps(block, self.goal, self.order)
        return observe("journey", journey, code)

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> CreditTable:
        """Solve the chain for the data and for every replicate."""
        width = len(cells.vocabulary.touchpoints) + 2
        template = _template(cells, self)
        if not sums.rows:
            return template({}, 0)
        chain = _Chain.of(sums.key, width, self.order)
        credit = chain.credit(sums["n"][None, :])[0]
        low, high, method = self._ends(sums, chain, credit, cells, level)
        conversions = sums["n"] @ chain.to_goal
        passed = chain.passing(sums)
        estimates = {
            touchpoint: (credit[i], int(passed[i]), _interval(low[i], high[i], level, method))
            for i, touchpoint in enumerate(chain.touchpoints.tolist())
        }
        if chain.direct(sums):
            estimates[width - 2] = (float(chain.direct(sums)), int(chain.direct(sums)), None)
        return template(estimates, round(float(conversions)))

    def _ends(
        self, sums: Sums, chain: _Chain, credit: Floats, cells: Cells[Any], level: float
    ) -> tuple[Floats, Floats, str]:
        begun = chain.source < 0
        journeys = float(sums["n"][begun].sum())
        if cells.bootstrap:
            totals = replicated(sums, draws(cells.bootstrap, cells.seed))[0].T
            totals = totals * (journeys / np.maximum(totals[:, begun].sum(axis=1, keepdims=True), 1.0))
            low, high = percentiles(chain.credit(totals).T, level)
            return low, high, f"bootstrap of customers ({cells.bootstrap:,})"
        without, there = left_out(sums)
        if there.sum() < _FEWEST:
            return np.full_like(credit, np.nan), np.full_like(credit, np.nan), ""
        # without a bucket there are fewer journeys: scaled to all of them, only what differs remains
        totals = without[0].T[there]
        totals = totals * (journeys / np.maximum(totals[:, begun].sum(axis=1, keepdims=True), 1.0))
        se = jackknife_error(chain.credit(totals).T, np.ones(int(there.sum()), np.bool_))
        half = z_value(level) * se
        return np.maximum(credit - half, 0.0), credit + half, "jackknife over customer buckets"


def _template(
    cells: Cells[Any], metric: MarkovCredit
) -> Callable[[Mapping[int, tuple[float, int, Interval | None]], int], CreditTable]:
    def table(rows: Mapping[int, tuple[float, int, Interval | None]], conversions: int) -> CreditTable:
        estimates = {
            key: Estimate(
                value=float(value), n=n, unit=metric.unit, direction="higher", range=metric.range, interval=interval,
                flags=("small_n",) if n < SMALL else (), origin=cells.origin,
            )
            for key, (value, n, interval) in rows.items()
        }  # fmt: skip
        names = cells.vocabulary.touchpoints
        none = Estimate(value=0.0, n=0, unit=metric.unit, direction="higher", range=metric.range, origin=cells.origin)
        return CreditTable(
            by=("touchpoint",), metric=metric.name, goal=metric.goal.name, conversions=conversions,
            groups={names[key]: each for key, each in estimates.items() if key < len(names)},
            direct=_flagged(estimates.get(len(names), none)),
        )  # fmt: skip

    return table


def chain_steps(block: Block, goal: Goal, order: int) -> tuple[Ints, Ints]:
    """The steps of every journey up to its goal: journey and code of (context of `order` touchpoints, next).

    Codes are digits in base touchpoints + 2: 0 is the start, a touchpoint is its code + 1, the last digit may also be
    0 for lost and touchpoints + 1 for the goal.
    """
    width = len(block.vocabulary.touchpoints) + 2
    reached = block.reached(goal)
    starts = block.journey_offsets[:-1]
    stops = np.where(reached >= 0, reached, block.journey_offsets[1:])
    closes = (
        block.lengths > 0 if block.still_open is None else (block.lengths > 0) & ((reached >= 0) | ~block.still_open)
    )
    closing = np.flatnonzero(closes)
    digit = block.touchpoint.astype(np.int64)
    digit += 1
    code, final = _contexts(digit, starts, stops[closing], (stops - starts)[closing], width, order)
    code *= width
    code += digit
    before = _until(block, stops)
    final = final * width + np.where(reached[closing] >= 0, width - 1, 0)
    if before is None:
        return np.concatenate([block.journey, closing]), np.concatenate([code, final])
    return np.concatenate([block.journey[before], closing]), np.concatenate([code[before], final])


def _contexts(digit: Ints, starts: Ints, stop: Ints, length: Ints, width: int, order: int) -> tuple[Ints, Ints]:
    """What came before each event, and before the end of some journeys: up to `order` digits, 0 where there is none."""
    event, final = np.zeros(digit.size, np.int64), np.zeros(stop.size, np.int64)
    for back in range(order, 0, -1):
        earlier = np.zeros(digit.size, np.int64)
        earlier[back:] = digit[:-back]
        for place in range(back):
            # a journey that is shorter passes this on to the next one, which has nothing so far back either
            early = starts + place
            earlier[early[early < digit.size]] = 0
        event *= width
        event += earlier
        there = length >= back
        final *= width
        final[there] += digit[stop[there] - back]
    return event, final


def _until(block: Block, stops: Ints) -> Ints | None:
    """Events before these rows, journey by journey; None where that is all of them."""
    ends = block.journey_offsets[1:]
    some = np.flatnonzero(stops < ends)
    if not some.size:
        return None
    late = np.zeros(block.events + 1, np.int8)
    late[stops[some]] = 1
    late[ends[some]] -= 1
    return np.flatnonzero(np.cumsum(late[:-1], dtype=np.int8) == 0)


@frozen(eq=False)
class _Chain:
    """Where each row of the sums belongs in the chain.

    Attributes:
        states: Contexts that occur, as codes; the start is the context of all zeros and not among them.
        touchpoints: Touchpoint codes that occur.
        members: (touchpoints, states) whether a context holds a touchpoint.
        source: (r,) state of each row, −1 for the start.
        target: (r,) state that follows; −1 for goal or lost.
        to_goal: (r,) 1.0 where the goal follows.
    """

    states: Ints
    touchpoints: Ints
    members: Any
    source: Ints
    target: Ints
    to_goal: Floats
    seen: Ints

    @classmethod
    def of(cls, key: Ints, width: int, order: int) -> _Chain:
        """Read the contexts out of the keys."""
        context, last = key // width, key % width
        following = np.where((last > 0) & (last < width - 1), (context * width + last) % width**order, 0)
        states, place = np.unique(np.concatenate([context, following]), return_inverse=True)
        offset = 1 if states.size and states[0] == 0 else 0
        source, target = place[: key.size] - offset, place[key.size :] - offset
        states = states[offset:]
        digits = np.stack([states // width**back % width - 1 for back in range(order)], axis=-1)
        touchpoints = np.unique(digits[digits >= 0])
        members = (digits[None, :, :] == touchpoints[:, None, None]).any(axis=2)
        return cls(states, touchpoints, members, source, target, (last == width - 1).astype(np.float64), last)

    def credit(self, totals: Floats) -> Floats:
        """(b, touchpoints) credit for b sets of totals (b, r)."""
        size = self.states.size
        if not size:
            return np.zeros((totals.shape[0], 0))
        effects = np.concatenate([self._effects(totals[a : a + 256]) for a in range(0, totals.shape[0], 256)])
        effects = np.nan_to_num(effects)
        conversions = totals @ (self.to_goal * (self.source >= 0))
        whole = effects.sum(axis=1, keepdims=True)
        shares = np.divide(effects, whole, out=np.zeros_like(effects), where=whole > 0)
        return np.asarray(shares * conversions[:, None])

    def _effects(self, totals: Floats) -> Floats:
        size, b = self.states.size, totals.shape[0]
        counts = np.zeros((b, size, size))
        inner = np.flatnonzero((self.source >= 0) & (self.target >= 0))
        counts[:, self.source[inner], self.target[inner]] = totals[:, inner]
        ends = (self.source >= 0) & (self.target < 0)
        starts = np.zeros((b, size))
        begin = np.flatnonzero((self.source < 0) & (self.target >= 0))
        starts[:, self.target[begin]] = totals[:, begin]
        goal, lost = np.zeros((b, size)), np.zeros((b, size))
        for rows, out in ((ends & (self.to_goal > 0), goal), (ends & (self.to_goal == 0), lost)):
            at = np.flatnonzero(rows)
            out[:, self.source[at]] = totals[:, at]
        chain = chain_from_counts(counts, starts, goal, lost)
        return np.asarray(set_removal_effects(chain, self.members))

    def passing(self, sums: Sums) -> Floats:
        """(touchpoints,) events at each touchpoint before a goal or an end."""
        count = grouped_sum(self.seen, sums.count.astype(np.float64), int(self.seen.max(initial=0)) + 2)
        return np.asarray(count[self.touchpoints + 1])

    def direct(self, sums: Sums) -> float:
        """Conversions straight from the start."""
        return float(sums["n"] @ (self.to_goal * (self.source < 0)))


@frozen(kw_only=True)
class Credits(Tally[tuple[Sums, Sums], CreditComparison]):
    """First, last, linear, Shapley and Markov credit in one pass.

    Attributes:
        goal: What counts as a conversion.
        order: Order of the Markov chain.
    """

    name: ClassVar[str] = "credits"
    unit: ClassVar[str] = "conversions"
    observes: ClassVar[Unit] = "journey"

    goal: Goal
    order: int = 1

    @property
    def splits(self) -> dict[str, CreditMetric]:
        """The models that split each conversion on its own, by name."""
        models = (FirstCredit, LastCredit, LinearCredit, ShapleyCredit)
        return {model.name: model(goal=self.goal) for model in models}

    @property
    def chain(self) -> MarkovCredit:
        """The model that needs the whole chain."""
        return MarkovCredit(goal=self.goal, order=self.order)

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur."""
        return self.chain.missing(facts)

    def start(self) -> tuple[Sums, Sums]:
        """Nothing seen."""
        return no_sums(), no_sums()

    def add(self, state: tuple[Sums, Sums], block: Block, cells: Cells[Any]) -> tuple[Sums, Sums]:
        """All splits look at the events before conversions together, the chain at its steps."""
        splits = tabulate(block, observe_splits(block, self.goal, self.splits), cells)
        return merge_sums(state[0], splits), self.chain.add(state[1], block, cells)

    def merge(self, a: tuple[Sums, Sums], b: tuple[Sums, Sums]) -> tuple[Sums, Sums]:
        """Add the sums."""
        return merge_sums(a[0], b[0]), merge_sums(a[1], b[1])

    def finish(self, state: tuple[Sums, Sums], cells: Cells[Any], level: float) -> Mapping[int, CreditComparison]:
        """Model by model, then group by group."""
        tables = {
            name: model.finish(state[0].renamed({"n": "n", "credit": name}), cells, level)
            for name, model in self.splits.items()
        }
        tables[self.chain.name] = self.chain.finish(state[1], cells, level)
        groups = dict.fromkeys(group for each in tables.values() for group in each)
        return {
            group: CreditComparison(models={name: each[group] for name, each in tables.items() if group in each})
            for group in groups
        }
