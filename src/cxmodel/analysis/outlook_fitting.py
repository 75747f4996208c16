"""Fitting an outlook in one pass: steps, who was where, and how long it took, with journeys in progress censored."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar, Final

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.analysis.binned_times import ALWAYS, bins_of, places, quantile_ends, quantiles, time_codes
from cxmodel.analysis.credits import chain_steps, goal_missing
from cxmodel.analysis.outlook import Outlook
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.selecting import keep_events
from cxmodel.data.times import instant
from cxmodel.errors import InvalidValueError
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, compress, distinct_codes, grouped_sum, integers, ranges
from cxmodel.stats.backoff import Backoff, even_base
from cxmodel.stats.floats import Floats
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.counting import Counted, counted, nothing
from cxmodel.tallies.metrics import Tally

MOST_ORDER: Final = 6
LONG: Final = 0.9
_STILL: Final = 0
_LEFT: Final = 1


@frozen(eq=False)
class Seen:
    """What a pass counts for an outlook.

    Attributes:
        steps: Codes of (context, next).
        journeys: Code of order and context → journeys that were there.
        customers: The same → customers.
        waits: `time_codes` of touchpoint, next digit (0 for still there) and time until then.
        stays: The same of stages, left or still there.
        to_goal: The same of touchpoints, the goal or not, and time until then; the lost are at risk for ever.
        spent: Touchpoint → seconds of all visits that were left.
        total: Key 0 → journeys, key 1 → those of them in progress, key 2 → customers.
    """

    steps: Counted
    journeys: Counted
    customers: Counted
    waits: Counted
    stays: Counted
    to_goal: Counted
    spent: Counted
    total: Counted


@frozen(kw_only=True)
class Outlooks(Tally[Seen, Outlook]):
    """Fits an `Outlook` in one pass. Journeys still in progress are censored: their last step is not a loss.

    Attributes:
        goal: Where journeys are to lead; a journey counts up to its first attainment.
        order: Most touchpoints remembered, 1 to 6.
        smoothing: Whether short contexts help out where long ones were seldom seen, and steps that are still to come
            may lead anywhere; without it, plain shares.
        until: Look only at events before this moment; journeys that go on after it are in progress.
    """

    name: ClassVar[str] = "outlook"
    unit: ClassVar[str] = "share"
    observes: ClassVar[Unit] = "journey"
    groups: ClassVar[bool] = False

    goal: Goal = field(converter=as_goal)
    order: int = 3
    smoothing: bool = True
    until: datetime | None = None

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.order <= MOST_ORDER:
            raise InvalidValueError(f"order is 1 to {MOST_ORDER} touchpoints, got {self.order!r}")

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur, or too many contexts to keep apart."""
        if (self.order + 1) * (len(facts.known_touchpoints) + 2) ** (self.order + 1) >= 2**62:
            return f"order {self.order} with {len(facts.known_touchpoints):,} touchpoints has too many contexts"
        return goal_missing(self.goal, facts)

    def start(self) -> Seen:
        """Nothing seen."""
        return Seen(*[nothing()] * 8)

    def add(self, state: Seen, block: Block, cells: Cells[Any]) -> Seen:
        """Count steps, journeys and customers per context, and times."""
        end = self.until or cells.facts.last
        part = block if self.until is None else before(block, instant(self.until))
        owner, code = chain_steps(part, self.goal, self.order)
        width = len(part.vocabulary.touchpoints) + 2
        progress = 0 if part.still_open is None else int((part.still_open & (part.reached(self.goal) < 0)).sum())
        filled = part.lengths > 0
        people = np.unique(part.customer_of_journey[filled]).size
        total = Counted(np.arange(3), np.array([int(filled.sum()), progress, people], np.float64))
        visits = _Visits.of(part, self.goal, instant(end) if end else 0)
        stage = _stage_codes(cells)
        return self.merge(
            state,
            Seen(
                steps=counted(code), journeys=_visited(owner, code // width, width, self.order),
                customers=_visited(part.customer_of_journey[owner], code // width, width, self.order),
                waits=visits.waits(), stays=nothing() if stage is None else visits.stays(stage),
                to_goal=visits.to_goal(), spent=visits.spent(), total=total,
            ),
        )  # fmt: skip

    def merge(self, a: Seen, b: Seen) -> Seen:
        """Add what was counted."""
        return Seen(
            a.steps.plus(b.steps), a.journeys.plus(b.journeys), a.customers.plus(b.customers), a.waits.plus(b.waits),
            a.stays.plus(b.stays), a.to_goal.plus(b.to_goal), a.spent.plus(b.spent), a.total.plus(b.total),
        )  # fmt: skip

    def finish(self, state: Seen, cells: Cells[Any], level: float) -> Mapping[int, Outlook]:
        """Choose the strengths and read the quantiles off."""
        names, goal = tuple(cells.vocabulary.touchpoints), self.goal
        n, n_open, people = (round(each) for each in state.total.of(np.arange(3)).tolist())
        visits = _visits_left(state.waits, len(names))
        stages = cells.vocabulary.touchpoint_columns.get("stage")
        with np.errstate(divide="ignore", invalid="ignore"):
            mean_s = state.spent.of(np.arange(len(names))) / visits
        outlook = Outlook(
            goal=goal, touchpoints=names, model=self._model(state, names), journeys=state.journeys,
            customers=state.customers,
            stages=None if stages is None else tuple(stages[1].names[code] or None for code in integers(stages[0])),
            visits_left=visits, mean_s=mean_s, long_s=quantiles(state.waits, len(names) + 2, len(names), LONG),
            stage_long_s={} if stages is None else _named(state.stays, stages[1].names),
            to_goal_s=quantiles(state.to_goal, 2, len(names), 0.5),
            to_goal_ends=quantile_ends(state.to_goal, 2, 0.5, self._people(state, len(names)), level),
            n=n, n_customers=people, n_open=n_open, open_known=cells.facts.inactivity_declared, level=level,
            until=self.until or cells.facts.last, origin=cells.origin,
        )  # fmt: skip
        return {0: outlook}

    def _people(self, state: Seen, size: int) -> Floats:
        """(touchpoints,) customers who were at each."""
        return state.customers.of((size + 2) ** self.order + 1 + np.arange(size))

    def _model(self, state: Seen, names: tuple[str, ...]) -> Backoff:
        base = even_base([name in self.goal.touchpoints for name in names])
        model = Backoff(
            width=len(names) + 2, order=self.order, codes=state.steps.keys, counts=state.steps.counts, base=base,
            strengths=(0.0,) * (self.order + 1), novelty=1.0 if self.smoothing else 0.0,
        )  # fmt: skip
        if not self.smoothing:
            return model
        if state.total.of(np.array([1]))[0] > 0:
            model = evolve(model, open=_open_shares(state, len(names) + 2, lost_at_risk=self.until is None))
        return model.fitted()


def before(block: Block, until: int) -> Block:
    """The events before a moment; journeys that go on after it are in progress."""
    earlier = block.time < until
    if earlier.all():
        return block
    some, more = (np.bincount(block.journey[rows], minlength=block.journeys) > 0 for rows in (earlier, ~earlier))
    progress = more if block.still_open is None else more | block.still_open
    return evolve(keep_events(block, earlier), still_open=progress[some])


def _open_shares(state: Seen, width: int, *, lost_at_risk: bool) -> Floats:
    """(width,) by last digit of a context: steps that nothing seen can stand for, as a share of those seen.

    Whoever is still at a touchpoint after all others have left it will do something that nobody was yet seen to do
    there. That is the share without an event after the last one (Aalen-Johansen). Where it is known who goes on
    (`until`), the lost are apart; else whoever is still there may be lost as well, and nothing is left open.
    """
    steps = state.steps.keys % width**2
    ends = np.where(steps % width == 0, state.steps.counts, 0.0)
    lost = grouped_sum(steps // width, ends, width)[1:-1]
    out = np.zeros(width)
    for there in places(state.waits, width, lost if lost_at_risk else None):
        shares, rest = there.shares()
        if there.censored and not (lost_at_risk and lost[there.place]):
            known = shares.sum() * there.at_risk[0] + lost[there.place]
            out[there.place + 1] = rest * there.at_risk[0] / known if known else 0.0
    return out


def _visited(owner: Ints, context: Ints, width: int, order: int) -> Counted:
    """How many journeys, or customers, were in each context, of every order."""
    parts = []
    for digits in range(1, order + 1):
        found, place = compress(context % width**digits)
        pairs = distinct_codes(owner * max(found.size, 1) + place)
        parts.append(np.bincount(pairs % max(found.size, 1), minlength=found.size))
        parts.append(digits * width**order + found)
    counts, keys = parts[::2], parts[1::2]
    return counted(np.concatenate(keys), np.concatenate(counts).astype(np.float64))


def _visits_left(waits: Counted, size: int) -> Floats:
    """(touchpoints,) visits that another step followed."""
    out = np.zeros(size)
    for each in places(waits, size + 2):
        out[each.place] = each.events.sum()
    return out


def _named(stays: Counted, names: Sequence[str]) -> Mapping[str, float]:
    """Stage → seconds within which 90 % of those who left it had left, for stages that someone left."""
    found = quantiles(stays, 2, len(names), LONG).tolist()
    return {name: seconds for name, seconds in zip(names, found, strict=True) if name and math.isfinite(seconds)}


def _stage_codes(cells: Cells[Any]) -> Ints | None:
    """(touchpoints,) stage of each, −1 without; None where no stages are known."""
    stages = cells.vocabulary.touchpoint_columns.get("stage")
    if stages is None:
        return None
    codes, labels = stages
    named = np.array([bool(labels.names[code]) for code in integers(codes)], np.bool_)
    return np.where(named, codes.astype(np.int64), -1)


@frozen(eq=False)
class _Visits:
    """Visits of touchpoints before the goal.

    Attributes:
        block: Where they are.
        rows: (v,) events.
        owner: (v,) journeys.
        reached: (journeys,) event of the goal, −1 without.
        running: (journeys,) whether the end is not known.
        end: End of the data, µs.
    """

    block: Block
    rows: Ints
    owner: Ints
    reached: Ints
    running: Any
    end: int

    @classmethod
    def of(cls, block: Block, goal: Goal, end: int) -> _Visits:
        """All of a block."""
        reached = block.reached(goal)
        starts, ends = block.journey_offsets[:-1], block.journey_offsets[1:]
        rows = ranges(starts, np.where(reached >= 0, reached, ends) - starts)
        running = np.zeros(block.journeys, np.bool_) if block.still_open is None else block.still_open
        return cls(block, rows, block.journey[rows], reached, running & (reached < 0), end)

    def _left(self) -> Any:
        return self.rows + 1 < self.block.journey_offsets[1:][self.owner]

    def _so_far(self, rows: Ints) -> Ints:
        return np.maximum(self.end - self.block.time[rows], 0)

    def waits(self) -> Counted:
        """Times from arriving at a touchpoint to the next arrival; of journeys in progress, to the end of the data."""
        block, left = self.block, self._left()
        width = len(block.vocabulary.touchpoints) + 2
        at, still = self.rows[left], self.rows[~left & self.running[self.owner]]
        following = block.touchpoint[at + 1].astype(np.int64) + 1
        following[at + 1 == self.reached[self.owner[left]]] = width - 1
        kind = np.concatenate([following, np.full(still.size, _STILL)])
        times = np.concatenate([block.time[at + 1] - block.time[at], self._so_far(still)])
        place = block.touchpoint[np.concatenate([at, still])].astype(np.int64)
        return counted(time_codes(place, kind, bins_of(times), width))

    def spent(self) -> Counted:
        """Seconds until the next arrival, in all."""
        at = self.rows[self._left()]
        seconds = (self.block.time[at + 1] - self.block.time[at]) / 1e6
        return counted(self.block.touchpoint[at].astype(np.int64), seconds)

    def stays(self, stage: Ints) -> Counted:
        """Times from entering a stage to leaving it for the next touchpoint outside, or so far."""
        block, at = self.block, stage[self.block.touchpoint]
        new = np.ones(block.events, np.bool_)
        new[1:] = (at[1:] != at[:-1]) | (block.journey[1:] != block.journey[:-1])
        begins = self.rows[new[self.rows] & (at[self.rows] >= 0)]
        every = np.append(np.flatnonzero(new), block.events)
        nexts = every[np.searchsorted(every, begins, side="right")]
        owner = block.journey[begins]
        left = nexts < block.journey_offsets[1:][owner]
        still = ~left & self.running[owner]
        ends = block.time[np.minimum(nexts, block.events - 1)]
        times = np.where(left, ends - block.time[begins], self._so_far(begins))
        kind, told = np.where(left, _LEFT, _STILL), left | still
        return counted(time_codes(at[begins[told]], kind[told], bins_of(times[told]), 2))

    def to_goal(self) -> Counted:
        """Times from arriving at a touchpoint to the goal; the lost are at risk to the end."""
        block, reached = self.block, self.reached[self.owner]
        came, running = reached >= 0, self.running[self.owner]
        times = np.where(came, block.time[np.maximum(reached, 0)] - block.time[self.rows], self._so_far(self.rows))
        bins = np.where(came | running, bins_of(np.maximum(times, 0)), ALWAYS)
        return counted(time_codes(block.touchpoint[self.rows].astype(np.int64), came.astype(np.int64), bins, 2))
