"""Outlooks: what is likely next and in the end, fitted once, small, and quick to ask about one customer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.positions import LEFT, NextStep, Position, PositionTable, Stay, duration, position_table
from cxmodel.data.times import instant
from cxmodel.data.writing import write
from cxmodel.errors import InvalidValueError
from cxmodel.model.estimates import Estimate, Flag, Interval, Origin, no_value
from cxmodel.model.goals import Goal
from cxmodel.stats.arrays import integers
from cxmodel.stats.backoff import Backoff
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.counting import Counted
from cxmodel.tallies.metrics import SMALL
from cxmodel.typing import Journeyed

if TYPE_CHECKING:
    from cxmodel.analysis.forecasts import ForecastCheck

_METHOD: Final = "Wilson, by customer"
_READ_OFF: Final = "Wilson by customer, read off the curve"

Visit = str | tuple[str, datetime]
"""A touchpoint, or a touchpoint with the time of arrival."""


@frozen(kw_only=True, eq=False, slots=False)
class Outlook:
    """What is likely next and in the end, after the last few touchpoints. Holds counts, no customers.

    Attributes:
        goal: Where journeys are to lead.
        touchpoints: Names of the touchpoint codes.
        stages: Stage of each touchpoint, where stages are known.
        model: Counted runs and how they are smoothed.
        journeys: Code of order and context → journeys that were there.
        customers: The same → customers; intervals count each once.
        visits_left: (touchpoints,) visits that another step followed.
        mean_s: (touchpoints,) mean seconds until that step; nan without any.
        long_s: (touchpoints,) seconds within which 90 % of those who left had left; nan without any.
        stage_long_s: Stage → the same for the time from entering it to leaving it.
        to_goal_s: (touchpoints,) median seconds from arriving to the goal, of those who ever reach it; nan without any.
        to_goal_ends: (2, touchpoints) ends of its interval.
        n: Journeys.
        n_customers: Whose they are.
        n_open: Those of them in progress, whose last step counts as nothing.
        open_known: Whether journeys in progress could be told from lost ones.
        level: Confidence level of the intervals.
        until: End of the time that it was fitted on.
        origin: Which log it was fitted on.
    """

    goal: Goal
    touchpoints: tuple[str, ...] = field(repr=False)
    stages: tuple[str | None, ...] | None = field(default=None, repr=False)
    model: Backoff
    journeys: Counted = field(repr=False)
    customers: Counted = field(repr=False)
    visits_left: Floats = field(repr=False)
    mean_s: Floats = field(repr=False)
    long_s: Floats = field(repr=False)
    stage_long_s: Mapping[str, float] = field(repr=False)
    to_goal_s: Floats = field(repr=False)
    to_goal_ends: Floats = field(repr=False)
    n: int
    n_customers: int
    n_open: int
    open_known: bool
    level: float = 0.95
    until: datetime | None = None
    origin: Origin = field(repr=False)

    @cached_property
    def _codes(self) -> Mapping[str, int]:
        return {name: code for code, name in enumerate(self.touchpoints)}

    @cached_property
    def solved(self) -> tuple[Floats, Floats, Floats]:
        """Per context: chance of the goal, expected steps, expected seconds (`Backoff.outlook`)."""
        waits = np.zeros(self.model.width)
        waits[1:-1] = np.nan_to_num(self.mean_s)
        return self.model.outlook(waits)

    @cached_property
    def passing(self) -> Floats:
        """Journeys that were in each context, by its row."""
        return self._there(self.journeys, self.n)

    @cached_property
    def _persons(self) -> Floats:
        """Customers that were in each context, by its row; each counts once, however often it was there."""
        return self._there(self.customers, self.n_customers)

    def _there(self, counts: Counted, everybody: int) -> Floats:
        model, parts = self.model, [np.array([float(everybody)])]
        for order, level in enumerate(model.levels[1:], start=1):
            parts.append(counts.of(order * model.width**model.order + level.contexts))
        return np.concatenate([*parts, [0.0]])

    def chance(self, history: Sequence[Visit] = ()) -> float:
        """Chance to reach the goal after these touchpoints, 0 to 1; from the beginning without any."""
        return float(self.solved[0][self._row(self._context(_names(history)))])

    def position(self, history: Sequence[Visit], now: datetime | None = None, *, top: int = 5) -> Position:
        """Where a customer is: before, now, next.

        Args:
            history: Touchpoints so far, oldest first: names, or pairs of a name and the time of arrival.
            now: The present; without it nobody can be stuck.
            top: How many next touchpoints to list; the rest is summed up in ``other``.

        Returns:
            The position. A touchpoint that the outlook has never seen counts as no memory, and ``why`` says so.

        Raises:
            InvalidValueError: When ``now`` lies before the last touchpoint.
        """
        names = _names(history)
        last = history[-1] if history else None
        since = None if last is None or isinstance(last, str) else last[1]
        waited = self._waited(since, now)
        stay = self._stay(history, now)
        touchpoint = names[-1] if names else None
        if any(name in self.goal.touchpoints for name in names):
            nothing_left = no_value("the goal is reached already", unit="share")
            return Position(
                goal=self.goal.name, touchpoint=touchpoint, stage=self._stage(touchpoint), since=since,
                waited_s=waited, stay=stay, before=names[:-1], chance=nothing_left, reached=True,
                why=f"{self.goal.name} is reached already.",
            )  # fmt: skip
        context = self._context(names)
        row = self._row(context)
        listed, other = self._next(context, row, top)
        _, steps, seconds = (float(values[row]) for values in self.solved)
        usual = self._at(self.long_s, touchpoint)
        spent = self._at(self.mean_s, touchpoint) or 0.0
        stuck = None if usual is None or waited is None else waited > usual
        return Position(
            goal=self.goal.name, touchpoint=touchpoint, stage=self._stage(touchpoint), since=since, waited_s=waited,
            stay=stay, before=names[:-1], next=listed, other=other, chance=self._chance(row),
            steps_to_goal=steps if math.isfinite(steps) else None,
            seconds_to_goal=spent + seconds if math.isfinite(seconds) else None,
            median_to_goal_s=self._at(self.to_goal_s, touchpoint), median_to_goal=self._median_ends(touchpoint),
            usual_s=usual, stuck=stuck,
            why=self._why(touchpoint, waited, usual),
        )  # fmt: skip

    def positions(self, journeys: Journeyed, now: datetime | None = None) -> PositionTable:
        """Where the latest journey of every customer is; ``now`` is the end of the data if not given.

        Args:
            journeys: Journeys in memory; they may have touchpoints that this has never seen.
            now: The present.
        """
        return position_table(self, journeys.population, now)

    def evaluate(self, later: Journeyed, *, bootstrap: int = 1_000, seed: int = 0) -> ForecastCheck:
        """How well this foretells journeys that it has not seen: see `cxmodel.analysis.forecasts`.

        Args:
            later: Journeys; only those that begin at or after ``until`` count, where the outlook has one.
            bootstrap: Replicates of customers for the intervals of the differences.
            seed: Seed of the replicates.
        """
        from cxmodel.analysis.forecasts import evaluate

        return evaluate(self, later, bootstrap=bootstrap, seed=seed)

    def to_dict(self) -> dict[str, object]:
        """As in JSON: what `save` writes."""
        from cxmodel.analysis.outlook_documents import outlook_document

        return outlook_document(self)

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as versioned JSON, all or nothing; `open_outlook` reads it."""
        write(Path(path), (json.dumps(self.to_dict(), allow_nan=False) + "\n").encode())

    def __str__(self) -> str:
        return (
            f"outlook on {self.goal.name} from {self.n:,} journeys ({self.n_open:,} in progress): "
            f"{self.model.size - 1:,} contexts of up to {self.model.order} touchpoints, chance from the beginning "
            f"{self.chance():.1%}"
        )

    # parts of a position

    def _context(self, names: Sequence[str]) -> int:
        width, context = self.model.width, 0
        for name in names[-self.model.order :]:
            # a touchpoint never seen has the digit of the goal, which no context holds: no memory is found
            context = context * width + self._codes.get(name, width - 2) + 1
        return context

    def _row(self, context: int) -> int:
        return self._located(context) if context not in self._known else self._known[context]

    @cached_property
    def _known(self) -> Mapping[int, int]:
        model = self.model
        contexts = model.levels[-1].contexts
        first = model.size - 1 - contexts.size
        return {context: first + row for row, context in enumerate(integers(contexts))}

    def _located(self, context: int) -> int:
        return int(self.model.locate(np.array([context]))[0])

    def _next(self, context: int, row: int, top: int) -> tuple[tuple[NextStep, ...], float]:
        shares = self.model.distribution(context)
        best = np.argsort(-shares, kind="stable")[: max(top, 0)]
        low, high = wilson(shares[best] * self._weights[row], self._weights[row], self.level)
        listed = tuple(
            NextStep(self._called(code), share, Interval(a, b, self.level, _METHOD))
            for code, share, a, b in zip(
                integers(best), shares[best].tolist(), low.tolist(), high.tolist(), strict=True
            )
        )
        return listed, max(1.0 - sum(each.probability for each in listed), 0.0)

    @cached_property
    def _weights(self) -> Floats:
        """Customers behind the probabilities of each context, and what shorter ones lend: no more than they have."""
        model, weights, first = self.model, self._persons.copy(), 0
        for order, (level, strength) in enumerate(zip(model.levels, model.strengths, strict=True)):
            rows = slice(first, first + level.contexts.size)
            if order:
                weights[rows] += np.minimum(strength, weights[model.locate(level.contexts, order - 1)])
            first = rows.stop
        return np.maximum(weights, 1.0)

    def _called(self, code: int) -> str:
        if code == 0:
            return LEFT
        return self.goal.name if code == self.model.width - 1 else self.touchpoints[code - 1]

    def _chance(self, row: int) -> Estimate:
        value, n, persons = float(self.solved[0][row]), int(self.passing[row]), float(self._persons[row])
        low, high = wilson(value * persons, persons, self.level) if n else (np.nan, np.nan)
        flags: list[Flag] = [] if self.open_known else ["open_unknown"]
        return Estimate(
            value=value, n=n, unit="share", direction="higher", range=(0.0, 1.0),
            interval=Interval(float(low), float(high), self.level, _METHOD) if n else None,
            flags=(*flags, "small_n") if n < SMALL else tuple(flags), origin=self.origin,
        )  # fmt: skip

    def _at(self, values: Floats, touchpoint: str | None) -> float | None:
        code = self._codes.get(touchpoint or "", -1)
        return float(values[code]) if code >= 0 and math.isfinite(values[code]) else None

    def _median_ends(self, touchpoint: str | None) -> Interval | None:
        low, high = (self._at(each, touchpoint) for each in self.to_goal_ends)
        return None if low is None or high is None else Interval(low, high, self.level, _READ_OFF)

    def _stay(self, history: Sequence[Visit], now: datetime | None) -> Stay | None:
        """The present stage; its time counts from the first of the last touchpoints that all lie in it."""
        names, since = _names(history), None
        stage = self._stage(names[-1]) if names else None
        if stage is None:
            return None
        for each in reversed(history):
            name, time = (each, None) if isinstance(each, str) else each
            if self._stage(name) != stage:
                break
            since = time
        return Stay(stage=stage, since=since, waited_s=self._waited(since, now), usual_s=self.stage_long_s.get(stage))

    def _stage(self, touchpoint: str | None) -> str | None:
        code = self._codes.get(touchpoint or "")
        return None if self.stages is None or code is None else self.stages[code]

    def _waited(self, since: datetime | None, now: datetime | None) -> float | None:
        if since is None or now is None:
            return None
        seconds = (instant(now) - instant(since)) / 1e6
        if seconds < 0:
            raise InvalidValueError(f"now is {now}, before the last touchpoint at {since}")
        return seconds

    def _why(self, touchpoint: str | None, waited: float | None, usual: float | None) -> str:
        if touchpoint is None:
            return "Nothing has happened yet."
        if touchpoint not in self._codes:
            return f"{touchpoint!r} was never seen: what is said is true of customers in general."
        if usual is None:
            return f"At {touchpoint!r}, which nobody has left for another step."
        words = f"90% of those who left {touchpoint!r} did so within {duration(usual)}"
        if waited is None:
            return f"{words}; how long this customer is there is not known."
        return f"{'Stuck' if waited > usual else 'Not stuck'}: there for {duration(waited)}; {words}."


def _names(history: Sequence[Visit]) -> tuple[str, ...]:
    if isinstance(history, str):
        raise InvalidValueError(
            f"a history is a list of touchpoints, got the text {history!r}", hint=f"Write [{history!r}]"
        )
    return tuple(each if isinstance(each, str) else each[0] for each in history)
