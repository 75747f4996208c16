"""Priorities: reach, score, pain, effort and impact of each touchpoint, and what to look at first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.analysis.credits.results import stability
from cxmodel.analysis.credits.states import resampled, told
from cxmodel.analysis.impact_results import ImpactTable
from cxmodel.analysis.priority_results import Priority, PriorityTable
from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import listed, unknown
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Flag, Interval, no_value
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction, Scale
from cxmodel.stats.arrays import Bools, Ints, compress, grouped_sum, integers
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.fronts import pareto_fronts
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import BUCKETS, Cells
from cxmodel.tallies.inference import draws, jackknife_error, left_out, percentiles, replicated
from cxmodel.tallies.metrics import SMALL, Tally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums, merge_sums, no_sums, tabulate

Order = Literal["shortfall", "pain", "pareto"]
_NOT_ASKED: Final = "no outcome was asked for: priorities(outcome=…)"


@frozen(kw_only=True)
class Priorities(Tally[tuple[Sums, Sums, Sums], PriorityTable]):
    """Touchpoints in the order in which to look at them.

    By rule ``"shortfall"`` the priority is reach × shortfall: how much of the scale a journey of the population is
    short of the good end at this touchpoint, 0 to 1, higher is more pressing. ``"pain"`` takes the share of bad answers
    instead; ``"pareto"`` orders by Pareto fronts of reach, shortfall and effort, and by reach × shortfall in a front.

    Attributes:
        question: Question whose scores count; may be left out where there is one.
        rule: What to order by.
        min_n: Answers below which a touchpoint has no score.
    """

    name: ClassVar[str] = "priorities"
    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "journey"
    groups: ClassVar[bool] = False

    question: str | None = None
    rule: Order = field(default="shortfall", validator=validators.in_(("shortfall", "pain", "pareto")))
    min_n: int = 10

    def missing(self, facts: Facts) -> str | None:
        """No events, no answers, or several questions of which none is named."""
        if not facts.events:
            return "there are no events, so nothing is reached"
        if not facts.questions:
            return "no answers are attached: journeys.with_responses(…)"
        if self.question is not None and self.question not in facts.questions:
            return unknown("question", self.question, list(facts.questions))
        if self.question is None and len(facts.questions) > 1:
            return f"there are several questions, name one with question=: {listed(list(facts.questions))}"
        return None

    def start(self) -> tuple[Sums, Sums, Sums]:
        """Nothing seen."""
        return no_sums(), no_sums(), no_sums()

    def add(
        self, state: tuple[Sums, Sums, Sums], block: Block, cells: Cells[Any]
    ) -> tuple[Sums, Sums, Sums]:  # fmt: skip
        """Journeys, what passes each touchpoint, and what was answered about it."""
        everybody = observe("journey", np.flatnonzero(block.lengths > 0))
        seen = (everybody, _passing(block), _answered(block, self._asked(block)))
        new = tuple(
            tabulate(block, each, evolve(cells, by=None), clustered=False) if each.at.size else no_sums()
            for each in seen
        )
        return self.merge(state, (new[0], new[1], new[2]))

    def merge(self, a: tuple[Sums, Sums, Sums], b: tuple[Sums, Sums, Sums]) -> tuple[Sums, Sums, Sums]:
        """Add the sums."""
        return merge_sums(a[0], b[0]), merge_sums(a[1], b[1]), merge_sums(a[2], b[2])

    def finish(
        self, state: tuple[Sums, Sums, Sums], cells: Cells[Any], level: float
    ) -> Mapping[int, PriorityTable]:  # fmt: skip
        """Put the sums side by side, in the data and in every replicate."""
        questions = cells.vocabulary.questions
        asked = self.question if self.question is not None else next(iter(questions))
        scale = questions[asked].scale
        found = _Found.of(state, self.rule, scale, cells, level)
        names = [cells.vocabulary.touchpoints[code] for code in integers(found.codes)]
        known = np.flatnonzero(found.answers >= self.min_n)
        fronts = np.zeros(found.codes.size, np.int64)
        fronts[known] = pareto_fronts(np.stack([found.value[each] for each in _COMPARED], axis=1)[known])
        making = _Making(found, cells, level, self.min_n)
        rows = [making.row(i, name, int(fronts[i]) or None) for i, name in enumerate(names)]
        rows.sort(key=self._order)
        stable = None
        if known.size and self.rule != "pareto":
            drawn = None if found.drawn is None else found.drawn["priority"][known]
            stable = stability([names[i] for i in integers(known)], found.value["priority"][known], drawn)
        table = PriorityTable(
            by=("touchpoint",), metric=self.name, groups={each.name: each for each in rows}, overlapping=True,
            question=asked, rule=self.rule, journeys=round(found.journeys), stability=stable,
        )  # fmt: skip
        return {0: table}

    def _order(self, row: Priority) -> tuple[bool, int, float, float, str]:
        front = (row.front or 0) if self.rule == "pareto" else 0
        return row.priority.value is None, front, -(row.priority.value or 0.0), -row.reach.require(), row.name

    def _asked(self, block: Block) -> int:
        questions = list(block.vocabulary.questions)
        return questions.index(self.question) if self.question is not None else 0


def _passing(block: Block) -> Observations:
    """One observation per journey and touchpoint: events there, and the time from each to the next event."""
    width = len(block.vocabulary.touchpoints)
    pair, place = compress(block.journey * width + block.touchpoint)
    gap = np.zeros(block.events)
    gap[block.steps] = (block.time[block.steps + 1] - block.time[block.steps]) / 1e6
    beyond = np.bincount(place, minlength=pair.size) - 1
    return observe(
        "journey", pair // max(width, 1), pair % max(width, 1), more=beyond,
        wait=grouped_sum(place, gap, pair.size),
    )  # fmt: skip


def _answered(block: Block, question: int) -> Observations:
    """One observation per answer about a touchpoint."""
    answers = block.answers
    if answers is None:
        return observe("response", np.zeros(0, np.int64), np.zeros(0, np.int64), score=0.0, bad=0.0)
    rows = np.flatnonzero((answers.touchpoint >= 0) & (answers.question == question))
    scale = list(block.vocabulary.questions.values())[question].scale
    score = answers.score[rows]
    bad = score > scale.neutral if scale.direction == "lower" else score < scale.neutral
    return observe("response", rows, answers.touchpoint[rows], score=score, bad=bad)


Quantities = Mapping[str, Floats]
_COMPARED: Final = ("reach", "shortfall", "effort")


@frozen(eq=False)
class _Found:
    """Quantities by touchpoint, in the data and in replicates.

    Attributes:
        codes: (k,) touchpoint codes.
        journeys: Number of journeys.
        passed: (k,) journeys that pass it.
        answers: (k,) answers about it.
        value: Quantity → (k,).
        low: Quantity → (k,) lower ends.
        high: Quantity → (k,) upper ends.
        drawn: Quantity → (k, b) in the replicates; None where the jackknife was used.
        method: How the intervals were made.
    """

    codes: Ints
    journeys: float
    passed: Ints
    answers: Ints
    value: Quantities
    low: Quantities
    high: Quantities
    drawn: Quantities | None
    method: str

    @classmethod
    def of(cls, state: tuple[Sums, Sums, Sums], rule: Order, scale: Scale, cells: Cells[Any], level: float) -> _Found:
        codes = np.union1d(state[1].key, state[2].key)
        sets = [_Side.of(each, codes) for each in state[1:]]
        everybody = _Side.of(state[0], np.zeros(1, np.int64))

        def solve(journeys: Floats, passed: Floats, answered: Floats) -> Quantities:
            return _quantities(journeys, passed, answered, rule, scale)

        value = solve(everybody.whole[0], sets[0].whole, sets[1].whole)
        counts = [each.count for each in sets]
        journeys = float(everybody.whole[0].sum())
        if resampled(cells):
            weights = draws(cells.bootstrap, cells.seed)
            drawn = solve(everybody.resampled(weights)[0], *(each.resampled(weights) for each in sets))
            ends = {name: percentiles(each, level) for name, each in drawn.items()}
            method = f"bootstrap of customers ({cells.bootstrap:,})"
        else:
            drawn, method = None, told("jackknife over customer buckets", cells)
            without, there = everybody.left_out()
            left = solve(without[0], *(each.left_out()[0] for each in sets))
            ends = {name: _jackknifed(value[name], each, there, level) for name, each in left.items()}
        low, high = ({name: each[end] for name, each in ends.items()} for end in (0, 1))
        return cls(codes, journeys, counts[0], counts[1], value, low, high, drawn, method)


@frozen(eq=False)
class _Side:
    """Some sums laid out by the codes of all touchpoints; rows that are not there hold 0.

    Attributes:
        sums: The sums.
        place: Where each of their rows goes.
        size: Number of touchpoints.
    """

    sums: Sums
    place: Ints
    size: int

    @classmethod
    def of(cls, sums: Sums, codes: Ints) -> _Side:
        return cls(sums, np.searchsorted(codes, sums.key), codes.size)

    def _laid(self, values: Floats) -> Floats:
        out = np.zeros((max(len(self.sums.names), 4), self.size, *values.shape[2:]))
        out[: len(self.sums.names), self.place] = values
        return out

    @property
    def whole(self) -> Floats:
        return self._laid(self.sums.total)

    @property
    def count(self) -> Ints:
        out = np.zeros(self.size, np.int64)
        out[self.place] = self.sums.count
        return out

    def resampled(self, weights: Floats) -> Floats:
        return self._laid(replicated(self.sums, weights)) if self.sums.rows else self._none(weights.shape[1])

    def left_out(self) -> tuple[Floats, Bools]:
        if not self.sums.rows:
            return self._none(BUCKETS), np.zeros(BUCKETS, np.bool_)
        without, there = left_out(self.sums)
        return self._laid(without), there

    def _none(self, many: int) -> Floats:
        return np.zeros((4, self.size, many))


def _quantities(journeys: Floats, passed: Floats, answered: Floats, rule: Order, scale: Scale) -> Quantities:
    """Everything from sums: (1, …) journeys; (n, more, wait) and (n, score, bad) by touchpoint, (f, k, …)."""
    good, worst = (scale.low, scale.high) if scale.direction == "lower" else (scale.high, scale.low)
    reach = ratio(passed[0], journeys)
    score = ratio(answered[1], answered[0])
    shortfall = (good - score) / (good - worst)
    pain = ratio(answered[2], answered[0])
    return {
        "priority": reach * (pain if rule == "pain" else shortfall), "reach": reach, "score": score,
        "shortfall": shortfall, "pain": pain, "effort": ratio(passed[1], passed[0]),
        "wait": ratio(passed[2], passed[2].sum(axis=0)),
    }  # fmt: skip


def _jackknifed(value: Floats, left: Floats, there: Bools, level: float) -> tuple[Floats, Floats]:
    half = z_value(level) * jackknife_error(left, there)
    return value - half, value + half


_ABOUT: Final[Mapping[str, tuple[str, Direction, tuple[float, float]]]] = {
    "priority": ("share", "lower", (0.0, 1.0)), "reach": ("share", "none", (0.0, 1.0)),
    "score": ("points", "none", (-np.inf, np.inf)), "shortfall": ("share", "lower", (0.0, 1.0)),
    "pain": ("share", "lower", (0.0, 1.0)), "effort": ("repeats per journey", "lower", (0.0, np.inf)),
    "wait": ("share", "lower", (0.0, 1.0)),
}  # fmt: skip
_BY_ANSWERS: Final = ("priority", "score", "shortfall", "pain")


@frozen(eq=False)
class _Making:
    """What it takes to make rows."""

    found: _Found
    cells: Cells[Any]
    level: float
    min_n: int

    def row(self, i: int, name: str, front: int | None) -> Priority:
        """The row of a touchpoint."""
        made = {quantity: self._estimate(i, quantity) for quantity in _ABOUT}
        return Priority(
            name=name, front=front, impact=no_value(_NOT_ASKED, unit="share", origin=self.cells.origin), **made
        )

    def _estimate(self, i: int, quantity: str) -> Estimate:
        unit, direction, ends = _ABOUT[quantity]
        answered = quantity in _BY_ANSWERS
        n = int((self.found.answers if answered else self.found.passed)[i])
        reason: str | None = None
        if answered and n < self.min_n:
            reason = f"fewer than {self.min_n} answers about it (n={n})" if n else "no answer is about it"
        value = float(self.found.value[quantity][i])
        if reason is None and not np.isfinite(value):
            reason = "no time passes between events" if quantity == "wait" else "no journey passes it"
        if reason is not None:
            flags: tuple[Flag, ...] = ("suppressed",) if answered and n else ("empty",)
            return no_value(
                reason, n=n, flags=flags, unit=unit, direction=direction, range=ends, origin=self.cells.origin
            )
        low, high = (float(each[quantity][i]) for each in (self.found.low, self.found.high))
        low, high = max(low, ends[0]), min(high, ends[1])
        interval = Interval(low, high, self.level, self.found.method) if np.isfinite(low + high) else None
        return Estimate(
            value=value, n=n, unit=unit, direction=direction, range=ends, interval=interval,
            flags=("small_n",) if n < SMALL else (), origin=self.cells.origin,
        )  # fmt: skip


def with_impact(table: PriorityTable, impact: ImpactTable | str) -> PriorityTable:
    """The table with the impact of each touchpoint, or with why there is none.

    Args:
        table: Priorities.
        impact: What `Impact` gave, or the reason in words.
    """
    groups = {}
    for name, row in table.items():
        if isinstance(impact, str):
            found = evolve(row.impact, reason=impact)
        else:
            each = impact.get(name)
            found = (
                evolve(row.impact, reason="nothing passes it before the outcome") if each is None else each.population
            )
        groups[name] = evolve(row, impact=found)
    return evolve(table, groups=groups)
