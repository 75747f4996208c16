"""Silos: hand-offs from one department to another, and what is lost at them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from attrs import converters, evolve, field, frozen

from cxmodel.analysis.comparing import p_of
from cxmodel.analysis.credits import goal_missing
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.columns import column_missing, event_codes, neighbours, texts_of
from cxmodel.model.estimates import Estimate, Flag, Origin
from cxmodel.model.frames import Tabular
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools, Ints, compress, grouped_sum
from cxmodel.stats.comparisons import benjamini_hochberg
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, SumMetric, Tally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums, merge_sums, no_sums, tabulate


@frozen(eq=False)
class _Steps:
    """Steps between events of known department: rows before and after, and the pair; within one it is the last code."""

    before: Ints
    after: Ints
    pair: Ints


def _steps(block: Block) -> _Steps:
    codes, width = event_codes(block, "department"), len(texts_of(block, "department"))
    before, after = neighbours(codes, block.journey)
    pair = codes[before] * width + codes[after]
    return _Steps(before, after, np.where(codes[before] == codes[after], width * width, pair))


@frozen(kw_only=True)
class StepMetric(SumMetric):
    """The mean of one number over the steps between two departments; the key is the pair."""

    observes: ClassVar[Unit] = "event"
    direction: ClassVar[Direction] = "lower"

    @abstractmethod
    def of(self, block: Block, steps: _Steps) -> tuple[Bools, Floats]:
        """Which steps count, and the number of each."""

    def observe(self, block: Block) -> Observations:
        """The steps, at the event after."""
        steps = _steps(block)
        kept, value = self.of(block, steps)
        undeclared = float(block.still_open is None)
        return observe("event", steps.after[kept], steps.pair[kept], value=value[kept], undeclared=undeclared)

    def value(self, sums: Columns) -> Floats:
        """Σ value/n."""
        return sums["value"] / sums["n"]


@frozen(kw_only=True)
class StepShare(StepMetric):
    """A share of the steps; Wilson's interval on n over the design effect."""

    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Wilson's interval."""
        low, high = wilson(sums["value"] / sums["n"] * n_eff, n_eff, level)
        return Closed(low, high, "wilson, design effect")


@frozen(kw_only=True)
class StepWait(StepMetric):
    """Mean seconds from the end of the event before to the event after."""

    name: ClassVar[str] = "wait"
    unit: ClassVar[str] = "s"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)

    def of(self, block: Block, steps: _Steps) -> tuple[Bools, Floats]:
        """All steps; where they overlap, 0."""
        ends = block.time if block.until is None else np.maximum(block.time, block.until)
        wait = np.maximum(block.time[steps.after] - ends[steps.before], 0) / 1e6
        return np.ones(wait.size, np.bool_), wait


@frozen(kw_only=True)
class StepRepeated(StepShare):
    """Share of steps after which the customer meets again what this journey has met before.

    Attributes:
        information: Column that says what was asked or told.
    """

    name: ClassVar[str] = "repeated"

    information: str

    def of(self, block: Block, steps: _Steps) -> tuple[Bools, Floats]:
        """Steps whose information after is known."""
        codes = event_codes(block, self.information)
        cell, place = compress(block.journey * (int(codes.max(initial=0)) + 2) + codes + 1)
        first = np.full(cell.size, block.events)
        np.minimum.at(first, place, np.arange(block.events))
        met = first[place[steps.after]] < steps.after
        return codes[steps.after] >= 0, met.astype(np.float64)


@frozen(kw_only=True)
class StepDropped(StepShare):
    """Share of steps with which the journey ends short of the goal.

    Attributes:
        goal: What counts as arrived; without one every end counts.
    """

    name: ClassVar[str] = "dropped"

    goal: Goal | None

    def of(self, block: Block, steps: _Steps) -> tuple[Bools, Floats]:
        """All steps but the last ones of journeys in progress."""
        last = np.zeros(block.events, np.bool_)
        last[block.last] = True
        journey = block.journey[steps.after]
        ends = last[steps.after]
        kept = np.ones(ends.size, np.bool_) if block.still_open is None else ~(ends & block.still_open[journey])
        if self.goal is not None:
            reached = block.reached(self.goal)[journey]
            ends &= (reached < 0) | (reached > steps.after)
        return kept, ends.astype(np.float64)

    def flags(self, sums: Columns) -> dict[Flag, Bools]:
        """Whether journeys in progress could not be told from lost ones."""
        return {"open_unknown": sums["undeclared"] > 0}


@frozen(kw_only=True)
class StepScoreChange(StepMetric):
    """Mean score of the event after minus that of the event before, where both have one.

    Attributes:
        question: Question of the scores.
    """

    name: ClassVar[str] = "score_change"
    unit: ClassVar[str] = "points of the scale"
    direction: ClassVar[Direction] = "none"

    question: str

    def of(self, block: Block, steps: _Steps) -> tuple[Bools, Floats]:
        """Steps with a score on both sides."""
        answers = block.answers
        if answers is None:
            return np.zeros(steps.after.size, np.bool_), np.zeros(steps.after.size)
        code = list(block.vocabulary.questions).index(self.question)
        rows = np.flatnonzero((answers.question == code) & (answers.event >= 0) & np.isfinite(answers.score))
        event, weight = answers.event[rows], answers.weight[rows]
        score = ratio(grouped_sum(event, weight * answers.score[rows], block.events),
                      grouped_sum(event, weight, block.events))  # fmt: skip
        change = score[steps.after] - score[steps.before]
        return np.isfinite(change), np.nan_to_num(change)


@frozen(kw_only=True)
class HandOff:
    """Hand-offs from one department to another, against steps within a department.

    Attributes:
        source: Department before.
        target: Department after.
        n: Hand-offs.
        customers: Customers with one.
        losses: Wait, repeated, dropped and, where scores are asked for, score change.
        differences: The same minus that of steps within a department.
        adjusted: p values of the differences, corrected over all pairs (Benjamini and Hochberg); None without a test.
    """

    source: str
    target: str
    n: int
    customers: int
    losses: Mapping[str, Estimate]
    differences: Mapping[str, Estimate]
    adjusted: Mapping[str, float | None]

    def to_records(self) -> list[dict[str, object]]:
        """One record per loss."""
        return [
            {
                "group": {"source": self.source, "target": self.target}, "quantity": name, **each.to_dict(),
                "difference": self.differences[name].to_dict(), "p_adjusted": self.adjusted[name],
            }
            for name, each in self.losses.items()
        ]  # fmt: skip


@frozen(kw_only=True)
class SiloTable(Tabular):
    """Hand-offs by pair of departments, most frequent first.

    Attributes:
        rows: One row per ordered pair that occurs.
        within: The losses of steps within a department.
        steps: Steps between two events of known department.
        hand_offs: Steps that change the department.
        unknown: Events without a department, which are passed over.
        events: All events.
        level: Confidence level.
    """

    rows: tuple[HandOff, ...]
    within: Mapping[str, Estimate]
    steps: int
    hand_offs: int
    unknown: int
    events: int
    level: float
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_records(self) -> list[dict[str, object]]:
        """One record per pair and loss, and those within a department with no pair."""
        inside = [
            {"group": {"source": None, "target": None}, "quantity": name, **each.to_dict()}
            for name, each in self.within.items()
        ]
        return [*(record for row in self.rows for record in row.to_records()), *inside]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "steps": self.steps, "hand_offs": self.hand_offs, "unknown": self.unknown, "events": self.events,
            "level": self.level, "pairs": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        head = (
            f"{self.hand_offs:,} hand-offs in {self.steps:,} steps; {self.unknown:,} of {self.events:,} events without"
        )
        lines = [f"{head} a department", f"  within a department: {_told(self.within)}"]
        for row in self.rows:
            clear = [name for name, p in row.adjusted.items() if p is not None and p < 1 - self.level]
            words = f"; apart: {', '.join(clear)}" if clear else ""
            lines.append(f"  {row.source} → {row.target} (n={row.n:,}): {_told(row.losses)}{words}")
        return "\n".join(lines)


def _told(losses: Mapping[str, Estimate]) -> str:
    words = []
    for name, each in losses.items():
        value = "no value"
        if each.value is not None:
            value = f"{each.value:.1%}" if each.unit == "share" else f"{each.value:,.4g}"
            if each.interval is not None:
                spec = ".1%" if each.unit == "share" else ",.4g"
                value += f" [{each.interval.low:{spec}}, {each.interval.high:{spec}}]"
        words.append(f"{name.replace('_', ' ')} {value}{' s' if each.unit == 's' and each.value is not None else ''}")
    return ", ".join(words)


@frozen(eq=False)
class SiloState:
    """Sums of each loss by pair.

    Attributes:
        losses: One for each loss, in the order of the metrics.
        unknown: Events without a department.
        events: All events.
    """

    losses: tuple[Sums, ...]
    unknown: int
    events: int


@frozen(kw_only=True)
class Silos(Tally[SiloState, SiloTable]):
    """Hand-offs between departments, and what is lost at them, against steps within a department.

    A hand-off is two consecutive events of different known departments; a step within a department is two of the same.
    For each ordered pair: the mean **wait** between the two (seconds, 0 or more, lower is better), the share
    **repeated** (the customer meets again what the journey has met before; 0 to 1, lower is better), the share
    **dropped** (the journey ends there short of the goal; 0 to 1, lower is better), and the mean **score change** from
    before to after (points, better where it goes the scale's way). Each with its interval, by customer (Wilson on n
    over the design effect for shares), and with its difference to steps within a department, corrected over the pairs
    (Benjamini & Hochberg 1995, 10.1111/j.2517-6161.1995.tb02031.x). Descriptive: difficult cases are handed on more
    often.

    Attributes:
        goal: What counts as arrived, for the share dropped; without it every end of a journey counts.
        information: Column that says what was asked or told; a touchpoint met again is a repetition unless given.
        question: Question of the scores; may be left out where there is only one or none.
    """

    name: ClassVar[str] = "silos"
    observes: ClassVar[Unit] = "event"
    groups: ClassVar[bool] = False

    goal: Goal | None = field(default=None, converter=converters.optional(as_goal))
    information: str = "touchpoint"
    question: str | None = None

    def missing(self, facts: Facts) -> str | None:
        """No departments, no such column, question or goal."""
        if self.question is not None and self.question not in facts.questions:
            return f"there is no question {self.question!r}; there is {', '.join(map(repr, facts.questions)) or 'none'}"
        if self.question is None and len(facts.questions) > 1:
            return f"several questions were asked, {', '.join(map(repr, facts.questions))}: name one with question="
        lost = None if self.goal is None else goal_missing(self.goal, facts)
        return lost or column_missing("department", facts) or column_missing(self.information, facts)

    def _metrics(self, questions: Sequence[str]) -> dict[str, StepMetric]:
        out: dict[str, StepMetric] = {
            "wait": StepWait(), "repeated": StepRepeated(information=self.information),
            "dropped": StepDropped(goal=self.goal),
        }  # fmt: skip
        question = self.question or next(iter(questions), None)
        return out if question is None else {**out, "score_change": StepScoreChange(question=question)}

    def start(self) -> SiloState:
        """Nothing."""
        return SiloState((), 0, 0)

    def add(self, state: SiloState, block: Block, cells: Cells[Any]) -> SiloState:
        """Sum up one block."""
        alone = evolve(cells, by=None)
        metrics = self._metrics(list(block.vocabulary.questions)).values()
        sums = tuple(tabulate(block, metric.observe(block), alone) for metric in metrics)
        unknown = int((event_codes(block, "department") < 0).sum())
        return self.merge(state, SiloState(sums, unknown, block.events))

    def merge(self, a: SiloState, b: SiloState) -> SiloState:
        """Add the sums."""
        if not a.losses or not b.losses:
            losses = a.losses or b.losses
        else:
            losses = tuple(merge_sums(one, other) for one, other in zip(a.losses, b.losses, strict=True))
        return SiloState(losses, a.unknown + b.unknown, a.events + b.events)

    def finish(self, state: SiloState, cells: Cells[Any], level: float) -> Mapping[int, SiloTable]:
        """Estimates of every pair, their differences, and the corrected p values."""
        metrics = self._metrics(list(cells.facts.questions))
        found = {
            name: _by_pair(metric, sums, cells, level)
            for (name, metric), sums in zip(metrics.items(), state.losses or [no_sums()] * len(metrics), strict=True)
        }
        names = _departments(cells)
        inside = len(names) ** 2
        steps = _counted(state.losses[0]) if state.losses else {}
        pairs = sorted((code for code in steps if code != inside), key=lambda code: (-steps[code][0], code))
        rows = [self._row(code, names, steps[code], found, metrics) for code in pairs]
        for name in metrics:
            rows = _corrected(rows, name)
        total = sum(count for count, _ in steps.values())
        return {0: SiloTable(
            rows=tuple(rows), within={name: _of(each, inside, metrics[name]) for name, each in found.items()},
            steps=total, hand_offs=total - steps.get(inside, (0, 0))[0], unknown=state.unknown, events=state.events,
            level=level, origin=cells.origin,
        )}  # fmt: skip

    def _row(
        self, code: int, names: Sequence[str], counts: tuple[int, int], found: Mapping[str, Mapping[int, Estimate]],
        metrics: Mapping[str, StepMetric],
    ) -> HandOff:  # fmt: skip
        losses = {name: _of(each, code, metrics[name]) for name, each in found.items()}
        inside = {name: _of(each, len(names) ** 2, metrics[name]) for name, each in found.items()}
        return HandOff(
            source=names[code // len(names)], target=names[code % len(names)], n=counts[0], customers=counts[1],
            losses=losses, differences={name: each.minus(inside[name]) for name, each in losses.items()},
            adjusted=dict.fromkeys(losses),
        )  # fmt: skip


def _departments(cells: Cells[Any]) -> Sequence[str]:
    vocabulary = cells.vocabulary
    labels = vocabulary.columns.get("department")
    return (labels or vocabulary.touchpoint_columns["department"][1]).names


def _by_pair(metric: StepMetric, sums: Sums, cells: Cells[Any], level: float) -> Mapping[int, Estimate]:
    """The estimate of every pair: pairs are keys, and a metric finishes groups."""
    if not sums.rows:
        return {}
    return metric.finish(evolve(sums, group=sums.key, key=np.zeros_like(sums.key)), cells, level)


def _counted(sums: Sums) -> dict[int, tuple[int, int]]:
    """Steps and customers by pair."""
    rows = zip(sums.key.tolist(), sums.count.tolist(), sums.customers.tolist(), strict=True)
    return {code: (count, customers) for code, count, customers in rows}


def _of(found: Mapping[int, Estimate], code: int, metric: StepMetric) -> Estimate:
    if code in found:
        return found[code]
    return Estimate(value=None, n=0, unit=metric.unit, direction=metric.direction, range=metric.range,
                    flags=("empty",), reason="no such step to measure")  # fmt: skip


def _corrected(rows: Sequence[HandOff], name: str) -> list[HandOff]:
    p = [p_of(row.differences[name]) for row in rows]
    if not rows:
        return []
    adjusted = benjamini_hochberg([np.nan if each is None else each for each in p]).tolist()
    return [
        evolve(row, adjusted={**row.adjusted, name: each if np.isfinite(each) else None})
        for row, each in zip(rows, adjusted, strict=True)
    ]
