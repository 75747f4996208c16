"""Outlooks: what is likely next and in the end, fitted once, small, and quick to ask about one customer."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits import chain_steps, goal_missing
from cxmodel.analysis.positions import LEFT, NextStep, Position, PositionTable, duration, position_table
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.selecting import keep_events
from cxmodel.data.times import instant
from cxmodel.errors import DocumentError, InvalidValueError, SourceNotFoundError
from cxmodel.model.estimates import Estimate, Flag, Interval, Origin, no_value
from cxmodel.model.goals import Goal
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, compress, distinct_codes, grouped_sum, integers, ranges
from cxmodel.stats.backoff import Backoff
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.stats.survival import kaplan_meier
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.counting import Counted, counted, nothing
from cxmodel.tallies.metrics import SMALL, Tally

if TYPE_CHECKING:
    from cxmodel.analysis.forecasts import ForecastCheck, Journeyed

FORMAT: Final = "cxmodel.outlook"
VERSION: Final = 1
MOST_ORDER: Final = 6
LONG: Final = 0.9
_BINS: Final = 4096
_STEP: Final = math.log(1.01)
_METHOD: Final = "Wilson"

Visit = str | tuple[str, datetime]
"""A touchpoint, or a touchpoint with the time of arrival."""


@frozen(eq=False)
class Seen:
    """What a pass counts for an outlook.

    Attributes:
        steps: Codes of (context, next).
        journeys: Code of order and context → journeys that were there.
        waits: Code of (touchpoint, still there, bin of the time) → visits.
        spent: Touchpoint → seconds of all visits that were left.
        total: Key 0 → journeys, key 1 → those of them in progress.
    """

    steps: Counted
    journeys: Counted
    waits: Counted
    spent: Counted
    total: Counted


@frozen(kw_only=True)
class Outlooks(Tally[Seen, "Outlook"]):
    """Fits an `Outlook` in one pass. Journeys still in progress are censored: their last step is not a loss.

    Attributes:
        goal: Where journeys are to lead; a journey counts up to its first attainment.
        order: Most touchpoints remembered, 1 to 6.
        smoothing: Whether short contexts help out where long ones were seldom seen; without it, plain shares.
        until: Look only at events before this moment; journeys that go on after it are in progress.
    """

    name: ClassVar[str] = "outlook"
    unit: ClassVar[str] = "share"
    observes: ClassVar[Unit] = "journey"
    groups: ClassVar[bool] = False

    goal: Goal
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
        return Seen(*[nothing()] * 5)

    def add(self, state: Seen, block: Block, cells: Cells[Any]) -> Seen:
        """Count steps, journeys per context, and times."""
        end = self.until or cells.facts.last
        part = block if self.until is None else before(block, instant(self.until))
        owner, code = chain_steps(part, self.goal, self.order)
        width = len(part.vocabulary.touchpoints) + 2
        waits, spent = _waits(part, self.goal, instant(end) if end else 0)
        progress = 0 if part.still_open is None else int((part.still_open & (part.reached(self.goal) < 0)).sum())
        total = Counted(np.arange(2), np.array([float((part.lengths > 0).sum()), float(progress)]))
        journeys = _visited(owner, code // width, width, self.order)
        return self.merge(state, Seen(counted(code), journeys, waits, spent, total))

    def merge(self, a: Seen, b: Seen) -> Seen:
        """Add what was counted."""
        return Seen(
            a.steps.plus(b.steps), a.journeys.plus(b.journeys), a.waits.plus(b.waits), a.spent.plus(b.spent),
            a.total.plus(b.total),
        )  # fmt: skip

    def finish(self, state: Seen, cells: Cells[Any], level: float) -> Mapping[int, Outlook]:
        """Choose the strengths and read the quantiles off."""
        names, goal = tuple(cells.vocabulary.touchpoints), self.goal
        model = Backoff(
            width=len(names) + 2, order=self.order, codes=state.steps.keys, counts=state.steps.counts,
            base=_base(names, goal), strengths=(0.0,) * (self.order + 1),
            novelty=1.0 if self.smoothing else 0.0,
        )  # fmt: skip
        visits = grouped_sum(state.waits.keys // (2 * _BINS), _left(state.waits), len(names))
        stages = cells.vocabulary.touchpoint_columns.get("stage")
        outlook = Outlook(
            goal=goal, touchpoints=names, model=model.fitted() if self.smoothing else model, journeys=state.journeys,
            stages=None if stages is None else tuple(stages[1].names[code] or None for code in integers(stages[0])),
            visits_left=visits, mean_s=_means(state.spent, visits), long_s=_long(state.waits, len(names)),
            n=round(float(state.total.of(np.array([0]))[0])), n_open=round(float(state.total.of(np.array([1]))[0])),
            open_known=cells.facts.inactivity_declared, level=level, until=self.until or cells.facts.last,
            origin=cells.origin,
        )  # fmt: skip
        return {0: outlook}


@frozen(kw_only=True, eq=False, slots=False)
class Outlook:
    """What is likely next and in the end, after the last few touchpoints. Holds counts, no customers.

    Attributes:
        goal: Where journeys are to lead.
        touchpoints: Names of the touchpoint codes.
        stages: Stage of each touchpoint, where stages are known.
        model: Counted runs and how they are smoothed.
        journeys: Code of order and context → journeys that were there.
        visits_left: (touchpoints,) visits that another step followed.
        mean_s: (touchpoints,) mean seconds until that step; nan without any.
        long_s: (touchpoints,) seconds within which 90 % of those who left had left; nan without any.
        n: Journeys.
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
    visits_left: Floats = field(repr=False)
    mean_s: Floats = field(repr=False)
    long_s: Floats = field(repr=False)
    n: int
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
        model, parts = self.model, [np.array([float(self.n)])]
        for order, level in enumerate(model.levels[1:], start=1):
            parts.append(self.journeys.of(order * model.width**model.order + level.contexts))
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
        touchpoint = names[-1] if names else None
        if any(name in self.goal.touchpoints for name in names):
            nothing_left = no_value("the goal is reached already", unit="share")
            return Position(
                goal=self.goal.name, touchpoint=touchpoint, stage=self._stage(touchpoint), since=since,
                waited_s=waited, before=names[:-1], chance=nothing_left, reached=True,
                why=f"{self.goal.name} is reached already.",
            )  # fmt: skip
        context = self._context(names)
        row = self._row(context)
        listed, other = self._next(context, row, top)
        _, steps, seconds = (float(values[row]) for values in self.solved)
        code = self._codes.get(touchpoint or "", -1)
        usual = float(self.long_s[code]) if code >= 0 and np.isfinite(self.long_s[code]) else None
        spent = float(self.mean_s[code]) if code >= 0 and np.isfinite(self.mean_s[code]) else 0.0
        stuck = None if usual is None or waited is None else waited > usual
        return Position(
            goal=self.goal.name, touchpoint=touchpoint, stage=self._stage(touchpoint), since=since, waited_s=waited,
            before=names[:-1], next=listed, other=other, chance=self._chance(row),
            steps_to_goal=steps if math.isfinite(steps) else None,
            seconds_to_goal=spent + seconds if math.isfinite(seconds) else None, usual_s=usual, stuck=stuck,
            why=self._why(touchpoint, waited, usual),
        )  # fmt: skip

    def positions(self, population: MemoryPopulation, now: datetime | None = None) -> PositionTable:
        """Where the latest journey of every customer is; ``now`` is the end of the data if not given."""
        return position_table(self, population, now)

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
        model = self.model
        return {
            "format": FORMAT, "version": VERSION,
            "goal": {"name": self.goal.name, "touchpoints": list(self.goal.touchpoints), "kind": self.goal.kind},
            "touchpoints": list(self.touchpoints), "stages": None if self.stages is None else list(self.stages),
            "order": model.order, "strengths": list(model.strengths), "novelty": model.novelty,
            "codes": model.codes.tolist(),
            "counts": model.counts.tolist(), "contexts": self.journeys.keys.tolist(),
            "journeys_of_contexts": self.journeys.counts.tolist(), "visits_left": self.visits_left.tolist(),
            "mean_s": _plain(self.mean_s), "long_s": _plain(self.long_s), "n": self.n, "n_open": self.n_open,
            "open_known": self.open_known, "level": self.level,
            "until": self.until.isoformat() if self.until else None, "source": self.origin.source,
            "filters": list(self.origin.filters),
        }  # fmt: skip

    def save(self, path: str | PathLike[str]) -> None:
        """Write it as versioned JSON; `open_outlook` reads it."""
        Path(path).write_text(json.dumps(self.to_dict(), allow_nan=False) + "\n", encoding="utf-8")

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
        """Steps behind the probabilities of each context, those that shorter contexts lend included."""
        pairs = zip(self.model.levels, self.model.strengths, strict=True)
        return np.concatenate([*(np.maximum(level.seen + strength, 1.0) for level, strength in pairs), [1.0]])

    def _called(self, code: int) -> str:
        if code == 0:
            return LEFT
        return self.goal.name if code == self.model.width - 1 else self.touchpoints[code - 1]

    def _chance(self, row: int) -> Estimate:
        value, n = float(self.solved[0][row]), int(self.passing[row])
        low, high = wilson(value * n, n, self.level) if n else (np.nan, np.nan)
        flags: list[Flag] = [] if self.open_known else ["open_unknown"]
        return Estimate(
            value=value, n=n, unit="share", direction="higher", range=(0.0, 1.0),
            interval=Interval(float(low), float(high), self.level, _METHOD) if n else None,
            flags=(*flags, "small_n") if n < SMALL else tuple(flags), origin=self.origin,
        )  # fmt: skip

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


def open_outlook(path: str | PathLike[str]) -> Outlook:
    """Open an outlook that `Outlook.save` wrote.

    Raises:
        SourceNotFoundError: No such file.
        DocumentError: Not an outlook, or of another version.
    """
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceNotFoundError(f"there is no file {str(path)!r}", hint="Write outlook.save(path) first") from None
    except ValueError as error:
        raise DocumentError(f"{str(path)!r} is not JSON: {error}") from None
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise DocumentError(f"{str(path)!r} is not an outlook", hint="Write outlook.save(path), then open that file")
    if document.get("version") != VERSION:
        raise DocumentError(f"{str(path)!r} has version {document.get('version')!r}; this cxmodel reads {VERSION}")
    try:
        return _of_document(document)
    except (KeyError, TypeError, ValueError) as error:
        raise DocumentError(f"{str(path)!r} is damaged: {type(error).__name__} {error}") from None


def _of_document(root: Mapping[str, Any]) -> Outlook:
    names = tuple(root["touchpoints"])
    goal = Goal(root["goal"]["name"], touchpoints=root["goal"]["touchpoints"], kind=root["goal"]["kind"])
    model = Backoff(
        width=len(names) + 2, order=root["order"], codes=np.array(root["codes"], np.int64),
        counts=np.array(root["counts"], np.float64), base=_base(names, goal), strengths=tuple(root["strengths"]),
        novelty=root["novelty"],
    )  # fmt: skip
    journeys = Counted(np.array(root["contexts"], np.int64), np.array(root["journeys_of_contexts"], np.float64))
    if model.codes.shape != model.counts.shape or len(model.strengths) != model.order + 1:
        raise ValueError("codes, counts and strengths do not fit together")
    return Outlook(
        goal=goal, touchpoints=names, stages=None if root["stages"] is None else tuple(root["stages"]), model=model,
        journeys=journeys, visits_left=np.array(root["visits_left"], np.float64), mean_s=_numbers(root["mean_s"]),
        long_s=_numbers(root["long_s"]), n=root["n"], n_open=root["n_open"], open_known=root["open_known"],
        level=root["level"], until=None if root["until"] is None else datetime.fromisoformat(root["until"]),
        origin=Origin(source=root["source"], filters=tuple(root["filters"])),
    )  # fmt: skip


def before(block: Block, until: int) -> Block:
    """The events before a moment; journeys that go on after it are in progress."""
    earlier = block.time < until
    if earlier.all():
        return block
    some, more = (np.bincount(block.journey[rows], minlength=block.journeys) > 0 for rows in (earlier, ~earlier))
    progress = more if block.still_open is None else more | block.still_open
    from attrs import evolve

    return evolve(keep_events(block, earlier), still_open=progress[some])


def _base(names: Sequence[str], goal: Goal) -> Floats:
    """Anything may follow, equally likely, except touchpoints of the goal, which are the goal."""
    open_ = np.array([True, *(name not in goal.touchpoints for name in names), True])
    return np.asarray(open_ / open_.sum(), np.float64)


def _visited(owner: Ints, context: Ints, width: int, order: int) -> Counted:
    """How many journeys were in each context, of every order."""
    parts = []
    for digits in range(1, order + 1):
        found, place = compress(context % width**digits)
        pairs = distinct_codes(owner * max(found.size, 1) + place)
        parts.append(np.bincount(pairs % max(found.size, 1), minlength=found.size))
        parts.append(digits * width**order + found)
    counts, keys = parts[::2], parts[1::2]
    return counted(np.concatenate(keys), np.concatenate(counts).astype(np.float64))


def _waits(block: Block, goal: Goal, end: int) -> tuple[Counted, Counted]:
    """Times from arriving at a touchpoint to the next arrival; of journeys in progress, to the end of the data."""
    reached = block.reached(goal)
    starts, ends = block.journey_offsets[:-1], block.journey_offsets[1:]
    stops = np.where(reached >= 0, reached, ends)
    rows = ranges(starts, stops - starts)
    owner = block.journey[rows]
    left = rows + 1 < ends[owner]
    last = np.zeros(block.journeys, np.bool_) if block.still_open is None else block.still_open
    waiting = ~left & last[owner]
    spent = block.time[rows[left] + 1] - block.time[rows[left]]
    so_far = np.maximum(end - block.time[rows[waiting]], 0)
    code = np.concatenate([block.touchpoint[rows[left]], block.touchpoint[rows[waiting]]]).astype(np.int64)
    there = np.concatenate([np.zeros(spent.size, np.int64), np.ones(so_far.size, np.int64)])
    bins = np.ceil(np.log1p(np.concatenate([spent, so_far])) / _STEP).astype(np.int64)
    keys = (code * 2 + there) * _BINS + np.minimum(bins, _BINS - 1)
    return counted(keys), counted(block.touchpoint[rows[left]].astype(np.int64), spent / 1e6)


def _left(waits: Counted) -> Floats:
    return np.where(waits.keys // _BINS % 2 == 0, waits.counts, 0.0)


def _means(spent: Counted, visits: Floats) -> Floats:
    with np.errstate(divide="ignore", invalid="ignore"):
        return spent.of(np.arange(visits.size)) / visits


def _long(waits: Counted, size: int) -> Floats:
    """Time within which 90 % of those who leave have left, by touchpoint: Kaplan-Meier, among those who leave."""
    out = np.full(size, np.nan)
    left = _left(waits)
    # keys are ascending, so the rows of a touchpoint stand together
    ends = np.searchsorted(waits.keys, np.arange(size + 1) * 2 * _BINS)
    for touchpoint in np.flatnonzero(np.diff(ends)):
        rows = slice(ends[touchpoint], ends[touchpoint + 1])
        bins, place = np.unique(waits.keys[rows] % _BINS, return_inverse=True)
        events = np.bincount(place, left[rows], bins.size)
        at_risk = np.cumsum(np.bincount(place, waits.counts[rows], bins.size)[::-1])[::-1]
        gone = 1.0 - kaplan_meier(at_risk, events)
        if gone[-1] > 0:
            out[touchpoint] = np.expm1(bins[np.argmax(gone >= LONG * gone[-1] - 1e-12)] * _STEP) / 1e6
    return out


def _plain(values: Floats) -> list[float | None]:
    return [value if math.isfinite(value) else None for value in values.tolist()]


def _numbers(values: Sequence[float | None]) -> Floats:
    return np.array([math.nan if value is None else value for value in values], np.float64)


def _names(history: Sequence[Visit]) -> tuple[str, ...]:
    if isinstance(history, str):
        raise InvalidValueError(
            f"a history is a list of touchpoints, got the text {history!r}", hint=f"Write [{history!r}]"
        )
    return tuple(each if isinstance(each, str) else each[0] for each in history)
