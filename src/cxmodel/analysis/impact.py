"""Impact: how much of an outcome would be lost, or won, without a touchpoint. Estimated, signed, with its limits."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar, Final, cast

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.analysis.contrasts import Contrast, Contrasts, Replicates
from cxmodel.analysis.credits import goal_missing
from cxmodel.analysis.e_values import e_values
from cxmodel.analysis.going_on import LENGTH, OWN, go_on_alike
from cxmodel.analysis.impact_results import ImpactEstimate, ImpactTable, Positivity
from cxmodel.analysis.outcomes import held_out, known_before, until_answer, until_goal
from cxmodel.analysis.risk_sets import HELD, Instead, Layout, keyed
from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Flag, Interval
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import integers
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.intervals import newcombe_difference
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import SMALL, SumMetric, SumTally
from cxmodel.tallies.observations import Observations
from cxmodel.tallies.sums import Sums


def _outcome(value: Goal | str | SumMetric) -> Goal | SumMetric:
    if isinstance(value, SumMetric):
        return value
    if not isinstance(cast("object", value), (Goal, str)):
        raise InvalidValueError(
            f"outcome is a goal or a metric of answers, got {value!r}",
            hint='Write outcome="pay", outcome=cx.Goal("purchase", touchpoints=["pay"]) or '
            "outcome=cx.metrics.MeanScore()",
        )
    return as_goal(value)


def _names(names: Sequence[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise InvalidValueError(f"expected a list of names, got the text {names!r}", hint=f"Write [{names!r}]")
    return tuple(names)


@frozen(kw_only=True)
class Impact(SumTally[ImpactTable]):
    """Estimated impact of every touchpoint on an outcome: what would be lost without it. Signed, unlike credit.

    At each step the journeys that pass the touchpoint now, for the first time, are held against those of equal history
    that do not: that never pass it, or that pass another in its place (see ``instead``). Equal are the attributes held
    constant, the touches so far, the time so far (in classes), and the way in. The differences are averaged over the
    histories of those that pass it (standardisation, or g-computation, by cells); against another touchpoint the
    expectations are iterated from the last step back. Only events before the outcome are looked at. It is an effect
    only as far as nothing else tells the two apart: without attributes to hold constant every row is flagged
    ``unadjusted``.

    Share or points of the score, −1 to 1 for a goal, higher is better. Interval by customer: jackknife over 128 folds
    of customers, or ``bootstrap=``. E-value: VanderWeele & Ding 2017, 10.7326/M16-2607. Standardisation: Robins 1986,
    10.1016/0270-0255(86)90088-6.

    Attributes:
        outcome: A goal, the touchpoint at which it is reached, or a metric of the journeys' answers such as
            ``MeanScore``.
        adjust_for: Attributes of customers or journeys to hold constant: whatever moves both the touchpoint and the
            outcome, and is known before the touchpoint.
        seen: Touchpoints of which it is held constant whether they were passed before.
        controls: Touchpoints that cannot have an effect. If the interval of one excludes none, every row is flagged
            ``control_failed``.
        control_outcomes: Attributes, true or false, that no touchpoint can have an effect on, such as a purchase of
            last year. If the interval of a touchpoint's effect on one excludes none, at a level raised for the number
            of touchpoints (Bonferroni), every row is flagged ``control_failed``.
        holdout: Attribute that flags randomly held out journeys (true or false); told first, with Newcombe's interval.
        instead: ``"nothing"`` compares with journeys that never pass it, whether they go on or stop: right where it is
            as good as chance whether a journey ever passes it. ``"another"`` compares with journeys that pass another
            touchpoint at this very step, so that long journeys meet only long ones. None takes ``"nothing"`` only where
            journeys that pass a touchpoint are seen to pass no more of the others than those that do not (the interval
            of the excess lies within 5 %), else ``"another"``; the result says which.

    Example:
        >>> from cxmodel import datasets
        >>> from cxmodel.opening import read_events
        >>> study = datasets.known_truth(2000)
        >>> log = read_events(study.events.to_dicts(), customer="customer", journey="journey",
        ...                   touchpoint="touchpoint", time="time")
        >>> log = log.with_customers(study.customers.to_dicts(), customer="customer", attributes=["persona"])
        >>> goal = Goal("purchase", touchpoints=["Checkout"])
        >>> impact = log.measure(Impact(outcome=goal, adjust_for=["persona"]))
        >>> impact["Chat"].relative.value > 0 > impact["Complaint"].relative.value
        True
    """

    name: ClassVar[str] = "impact"
    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "higher"
    observes: ClassVar[Unit] = "journey"
    groups: ClassVar[bool] = False
    clustered: ClassVar[bool] = False

    outcome: Goal | SumMetric = field(converter=_outcome)
    adjust_for: tuple[str, ...] = field(default=(), converter=_names)
    seen: tuple[str, ...] = field(default=(), converter=_names)
    controls: tuple[str, ...] = field(default=(), converter=_names)
    control_outcomes: tuple[str, ...] = field(default=(), converter=_names)
    holdout: str | None = None
    instead: Instead | None = field(default=None, validator=validators.in_((None, "nothing", "another")))

    def missing(self, facts: Facts) -> str | None:
        """An outcome that cannot be had, or names that do not occur."""
        if isinstance(self.outcome, Goal):
            lost = goal_missing(self.outcome, facts)
        elif self.outcome.observes != "response":
            lost = f"an outcome is a goal or a metric of answers, and {self.outcome.name!r} is neither"
        else:
            lost = self.outcome.missing(facts)
        for name in (*self.controls, *self.seen):
            if lost is None and name not in facts.known_touchpoints:
                lost = f"{unknown('touchpoint', name, facts.known_touchpoints)}"
        for name in (*self.adjust_for, *self.control_outcomes, *([] if self.holdout is None else [self.holdout])):
            if lost is None and name not in facts.journey_columns:
                lost = f"{unknown('attribute', name, facts.journey_columns)}"
        return lost

    def observe(self, block: Block) -> Observations:
        """One observation per journey and step, and per touchpoint that it passes."""
        runs = until_goal(block, self.outcome) if isinstance(self.outcome, Goal) else until_answer(block, self.outcome)
        layouts = self._layouts(block.vocabulary)
        seen = [keyed(block, runs, layout) for layout in layouts]
        row, own = (np.concatenate(each) for each in zip(*((row, own) for row, _, own in seen), strict=True))
        key = np.concatenate([key * len(layouts) + place for place, (_, key, _) in enumerate(seen)])
        if self.holdout is not None:
            held = held_out(block, self.holdout)[runs.journey]
            some = np.flatnonzero(held >= 0)
            zero = np.zeros(some.size, np.int64)
            code = layouts[0].pack(0, HELD, held[some], zero, zero) * len(layouts)
            row, key, own = (np.concatenate(pair) for pair in ((row, some), (key, code), (own, zero)))
        numbers = {"n": np.ones(row.size), "outcome": runs.outcome[row]}
        if self.instead is None:
            numbers |= {LENGTH: runs.length[row].astype(np.float64), OWN: own.astype(np.float64)}
        for place, name in enumerate(self.control_outcomes):
            numbers[_control(place)] = known_before(block, runs, name)[row]
        return Observations("journey", runs.journey[row], numbers, key)

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> ImpactTable:
        """Contrast every touchpoint in all replicates."""
        layouts = self._layouts(cells.vocabulary)
        held, first = _apart(_part(sums, 0, len(layouts)), layouts[0])
        if not first.rows:
            return self._table({}, 0, self._none("no journeys to measure", 0, cells), None, layouts[0])
        replicates = Replicates.of(first, cells.bootstrap, cells.seed)
        if self.instead is None and not go_on_alike(first, layouts[0], replicates, level):
            layout, sums = layouts[1], _part(sums, 1, 2)
        else:
            layout, sums = layouts[0], first
        rows = _Rows(self, Contrasts(sums, layout, replicates), replicates, layout, cells, level)
        names = cells.vocabulary.touchpoints
        groups = {names[code]: rows.row(code) for code in integers(rows.contrasts.touchpoints)}
        moved = [
            name for place, name in enumerate(self.control_outcomes)
            if rows.moves(Contrasts(sums, layout, replicates, _control(place)))
        ]  # fmt: skip
        journeys = round(float(rows.contrasts.journeys[0]))
        average = rows.estimate(ratio(rows.contrasts.outcomes, rows.contrasts.journeys), journeys)
        return self._table(groups, journeys, average, self._holdout(held, layouts[0], cells, level), layout, moved)

    def _layouts(self, vocabulary: Any) -> tuple[Layout, ...]:
        """One layout per comparison that may be asked for."""
        asked: tuple[Instead, ...] = ("nothing", "another") if self.instead is None else (self.instead,)
        return tuple(Layout(vocabulary, each, self.adjust_for, self.seen) for each in asked)

    def _none(self, reason: str, n: int, cells: Cells[Any]) -> Estimate:
        return Estimate(value=None, n=n, unit=self.unit, reason=reason, flags=("empty",), origin=cells.origin)

    def _table(
        self, groups: dict[str, ImpactEstimate], journeys: int, average: Estimate, holdout: Estimate | None,
        layout: Layout, moved: Sequence[str] = (),
    ) -> ImpactTable:  # fmt: skip
        lifting = [name for name in self.controls if name in groups and _excludes_none(groups[name].effect)]
        failed = (*lifting, *moved)
        flags: list[Flag] = []
        if not self.adjust_for:
            flags.append("unadjusted")
        if failed:
            flags.append("control_failed")
        return ImpactTable(
            by=("touchpoint",), metric=self.name, overlapping=True, outcome=self.outcome.name, journeys=journeys,
            groups={name: _flagged(each, flags) for name, each in groups.items()},
            average=average, instead=layout.instead, adjusted_for=self.adjust_for, controls=self.controls,
            failed=failed, control_outcomes=self.control_outcomes, holdout=holdout,
        )  # fmt: skip

    def _holdout(self, held: Sums, layout: Layout, cells: Cells[Any], level: float) -> Estimate | None:
        if self.holdout is None:
            return None
        _, _, group, *_ = layout.unpack(held.key)
        n = [float(held["n"][group == each].sum()) if held.rows else 0.0 for each in (0, 1)]
        if not all(n):
            return self._none(f"{self.holdout!r} leaves one of the two groups empty", round(sum(n)), cells)
        won = [float(held["outcome"][group == each].sum()) for each in (0, 1)]
        interval = None
        if isinstance(self.outcome, Goal):
            low, high = newcombe_difference(won[0], n[0], won[1], n[1], level)
            interval = Interval(float(low), float(high), level, "newcombe, randomised groups")
        return Estimate(
            value=won[0] / n[0] - won[1] / n[1], n=round(sum(n)), interval=interval, unit=_unit(self.outcome),
            direction="higher", origin=cells.origin, flags=("small_n",) if min(n) < SMALL else (),
        )  # fmt: skip


@frozen(eq=False)
class _Rows:
    """What it takes to make the row of a touchpoint."""

    metric: Impact
    contrasts: Contrasts
    replicates: Replicates
    layout: Layout
    cells: Cells[Any]
    level: float

    def row(self, code: int) -> ImpactEstimate:
        """The row of a touchpoint."""
        real, placebo = self.contrasts.real(code), self.contrasts.placebo(code)
        n, whole = round(float(real.compared[0])), round(float(self.contrasts.journeys[0]))
        journeys, goal = self.contrasts.journeys, isinstance(self.metric.outcome, Goal)
        reason, flags = self._unidentifiable(real, goal), self._flags(real, placebo)
        risk = self.estimate(
            ratio(real.outcome, real.expected), n, "ratio", reason if goal else _SCORES, flags, log=True
        )
        e_value, limit = e_values(risk)
        return ImpactEstimate(
            touchpoint=self.cells.vocabulary.touchpoints[code],
            reach=evolve(self.estimate(ratio(real.exposed, journeys), whole, "share"), direction="none"),
            effect=self.estimate(ratio(real.lift, real.compared), n, reason=reason, flags=flags),
            population=self.estimate(ratio(real.lift, journeys), n, reason=reason, flags=flags),
            relative=self.estimate(
                ratio(real.lift, self.contrasts.outcomes), n, "share", reason if goal else _SCORES, flags
            ),
            risk_ratio=risk,
            placebo=self.estimate(ratio(placebo.lift, placebo.compared), n),
            e_value=e_value, e_value_limit=limit,
            positivity=tuple(
                Positivity(cell=self.layout.words(cell), exposed=count, compared=real.matched.get(cell, 0))
                for cell, count in real.whole.items()
            ),
        )  # fmt: skip

    def moves(self, control: Contrasts) -> bool:
        """Whether a touchpoint has an effect on a control outcome, at a level that holds for all of them together."""
        codes = integers(control.touchpoints)
        level = 1 - (1 - self.level) / max(len(codes), 1)
        for real in map(control.real, codes):
            low, high = self.replicates.interval(ratio(real.lift, real.compared), level)
            if low > 0 or high < 0:
                return True
        return False

    @property
    def direction(self) -> Direction:
        """Which way the outcome is better."""
        outcome = self.metric.outcome
        return "higher" if isinstance(outcome, Goal) else outcome.direction

    def estimate(
        self, values: Floats, n: int, unit: str | None = None, reason: str | None = None,
        flags: Sequence[Flag] = (), log: bool = False,
    ) -> Estimate:  # fmt: skip
        """The value with its interval; ratios are resampled as logarithms."""
        unit = _unit(self.metric.outcome) if unit is None else unit
        value = float(values[0])
        if reason is not None or not math.isfinite(value):
            reason = reason or "there is nothing to compare"
            return Estimate(
                value=None, n=n, unit=unit, reason=reason, flags=tuple(flags), origin=self.cells.origin,
                direction=self.direction,
            )  # fmt: skip
        low, high = self._ends(values, log)
        known = math.isfinite(low + high)
        return Estimate(
            value=value, n=n, unit=unit, direction=self.direction, flags=tuple(flags), origin=self.cells.origin,
            interval=Interval(low, high, self.level, self.replicates.method) if known else None,
        )  # fmt: skip

    def _ends(self, values: Floats, log: bool) -> tuple[float, float]:
        if not log:
            return self.replicates.interval(values, self.level)
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = self.replicates.interval(np.log(values), self.level)
        return math.exp(low), math.exp(high)

    def _unidentifiable(self, real: Contrast, goal: bool) -> str | None:
        if not real.compared[0]:
            reason = "no journey of equal history does without it"
        elif goal and real.outcome[0] == real.compared[0]:
            reason = "only journeys that reach the goal pass it"
        else:
            return None
        return f"{reason}; what_if(goal).ranking() tells what a change there would bring" if goal else reason

    def _flags(self, real: Contrast, placebo: Contrast) -> list[Flag]:
        flags: list[Flag] = ["small_n"] if real.compared[0] < SMALL else []
        goal = isinstance(self.metric.outcome, Goal)
        if self._unidentifiable(real, goal):
            flags.append("not_identifiable")
        if goal and not 0 <= real.expected[0] <= real.compared[0]:
            flags.append("out_of_range")  # iterated expectations are linear: no share is below 0 or above 1
        lift = self.estimate(ratio(placebo.lift, placebo.compared), 0)
        return [*flags, "structural_lift"] if _excludes_none(lift) else flags


_SCORES: Final = "a score has no natural zero, so it has no shares and no ratios"


def _apart(sums: Sums, layout: Layout) -> tuple[Sums, Sums]:
    """The rows of the hold-out, and the others."""
    if not sums.rows:
        return sums, sums
    kind, when, *_ = layout.unpack(sums.key)
    held = (kind == 0) & (when == HELD)
    return _rows_of(sums, held), _rows_of(sums, ~held)


def _part(sums: Sums, place: int, parts: int) -> Sums:
    """The rows of one of several layouts."""
    if not sums.rows or parts == 1:
        return sums
    mine = _rows_of(sums, sums.key % parts == place)
    return evolve(mine, key=mine.key // parts)


def _rows_of(sums: Sums, keep: Any) -> Sums:
    rows, inside = np.flatnonzero(keep), np.flatnonzero(keep[sums.bucket_row])
    place = np.cumsum(keep) - 1
    return Sums(
        sums.names, sums.group[rows], sums.key[rows], sums.count[rows], sums.customers[rows], sums.total[:, rows],
        sums.cross[:, :, rows], sums.simple[:, :, rows], place[sums.bucket_row[inside]], sums.bucket[inside],
        sums.bucket_total[:, inside],
    )  # fmt: skip


def _control(place: int) -> str:
    return f"control {place}"


def _unit(outcome: Goal | SumMetric) -> str:
    return "share" if isinstance(outcome, Goal) else outcome.unit


def _excludes_none(effect: Estimate) -> bool:
    return effect.interval is not None and 0.0 not in effect.interval


def _flagged(row: ImpactEstimate, flags: Sequence[Flag]) -> ImpactEstimate:
    def more(estimate: Estimate) -> Estimate:
        return evolve(estimate, flags=(*estimate.flags, *flags))

    return evolve(
        row, effect=more(row.effect), population=more(row.population), relative=more(row.relative),
        risk_ratio=more(row.risk_ratio),
    )  # fmt: skip
