"""Time to a goal, where some journeys are not seen to the end: shares by time, medians, and a test between groups."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.data.times import instant
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.estimates import Estimate, Flag, Interval, Origin, no_value
from cxmodel.model.frames import Tabular
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools, Ints, mix
from cxmodel.stats.floats import Floats, ratio, root
from cxmodel.stats.intervals import z_value
from cxmodel.stats.survival import (
    LogRank,
    RiskTable,
    aalen_johansen,
    clustered_error,
    log_rank,
    quantile_time,
    risk_table,
)
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import SMALL, Tally
from cxmodel.tallies.sums import grouped

DROPPED: Final = "dropped"
FOLDS: Final = 128
_ALWAYS: Final = -1


@frozen(eq=False)
class Spells:
    """How long journeys were seen, and how that ended; one row each.

    Attributes:
        entry: (n,) µs since the first touch at which the journey came under observation; −1 from the beginning.
        end: (n,) µs since the first touch at which the spell ended.
        cause: (n,) 0 for censored, 1 for the goal, then the competing goals, then dropped.
        customer: (n,) number of the customer.
        fold: (n,) one of 128 folds of customers, by their seeded hash.
    """

    entry: Ints
    end: Ints
    cause: Ints
    customer: Ints
    fold: Ints

    def table(self, causes: int) -> RiskTable:
        """Events and numbers at risk, times in seconds."""
        entries = self.entry / 1e6 if (self.entry >= 0).any() else None
        return risk_table(self.end / 1e6, self.cause, entries=entries, n_causes=causes)

    def kept(self, rows: Bools | Ints) -> Spells:
        """Some of the spells."""
        return Spells(self.entry[rows], self.end[rows], self.cause[rows], self.customer[rows], self.fold[rows])

    def error(self, table: RiskTable) -> tuple[Floats, str]:
        """Standard error of the goal's share, and how it is made: by customer where some have several journeys."""
        if np.unique(self.customer).size == self.customer.size:
            return cumulative_error(table.at_risk, table.events), "log-log"
        entries = self.entry / 1e6 if (self.entry >= 0).any() else None
        se = clustered_error(self.end / 1e6, self.cause, self.fold, entries, len(table.events))
        return se, "log-log, jackknife by customer"


@frozen(kw_only=True, eq=False)
class TimeToGoal(Tabular):
    """Shares of journeys that have reached a goal, by the time since their first touch.

    Attributes:
        goal: Name of the goal.
        causes: What can end a journey: the goal, competing goals, and ``"dropped"`` where an inactivity rule tells it.
        n: Journeys at risk.
        reached: Journeys seen to reach the goal.
        censored: Journeys not seen to the end.
        left_out: Journeys that had ended before the window began.
        times: (t,) seconds since the first touch.
        shares: (causes, t) share that has ended so by each time (Aalen-Johansen).
        without: (t,) share without any end yet.
        se: (t,) standard error of the goal's share; by customer where some have several journeys.
        median: Time by which half of all journeys have reached the goal; no value where fewer ever do.
        level: Confidence level.
        method: How intervals are made.
    """

    goal: str
    causes: tuple[str, ...]
    n: int
    reached: int
    censored: int
    left_out: int
    times: Floats = field(repr=False)
    shares: Floats = field(repr=False)
    without: Floats = field(repr=False)
    se: Floats = field(repr=False)
    median: Estimate
    level: float
    method: str
    spells: Spells = field(repr=False)
    origin: Origin | None = field(default=None, repr=False)

    def share_by(self, time: timedelta) -> Estimate:
        """Share of journeys that reach the goal within a time of their first touch."""
        at = int(np.searchsorted(self.times, time.total_seconds(), side="right")) - 1
        about: dict[str, Any] = {
            "unit": "share", "direction": "higher", "range": (0.0, 1.0), "origin": self.origin,
        }  # fmt: skip
        if not self.n:
            return no_value("no journey is at risk", **about)
        if time.total_seconds() > self.times[-1] and self.without[-1] > 1e-12:
            longest = timedelta(seconds=float(self.times[-1]))
            return no_value(f"no journey was seen that long; the longest was {longest}", n=self.n, **about)
        value = float(self.shares[0, at]) if at >= 0 else 0.0
        low, high = _bounds(self.shares[0], self.se, self.level)
        ends = (float(low[at]), float(high[at])) if at >= 0 else (np.nan, np.nan)
        interval = Interval(*ends, self.level, self.method) if np.isfinite(ends).all() else None
        return Estimate(value=value, n=self.n, interval=interval, flags=self.median.flags, **about)

    def to_records(self) -> list[dict[str, object]]:
        """One record per time at which the goal is reached, and one for the median."""
        steps: list[int] = np.flatnonzero(np.diff(self.shares[0], prepend=0.0) > 0).tolist() if self.n else []
        return [{"group": {}, "quantity": "median", **self.median.to_dict()}] + [
            {
                "group": {}, "quantity": "share reached", "time_s": float(self.times[i]),
                "value": float(self.shares[0, i]),
                "se": float(self.se[i]) if np.isfinite(self.se[i]) else None,
                "n": self.n, "unit": "share",
            }
            for i in steps
        ]  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "goal": self.goal, "causes": list(self.causes), "n": self.n, "reached": self.reached,
            "censored": self.censored, "left_out": self.left_out, "times": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{self.goal}: {self.reached:,} of {self.n:,} journeys, {self.censored:,} censored; median {self.median}"


def _bounds(share: Floats, se: Floats, level: float) -> tuple[Floats, Floats]:
    """Interval of a share on the scale log(−log(1 − F)); NaN where the share is 0 or 1."""
    rest = 1.0 - share
    inside = (rest > 1e-12) & (share > 1e-12)
    log_rest = np.where(inside, np.log(np.where(inside, rest, 0.5)), np.nan)
    half = z_value(level) * se / np.where(inside, rest * -log_rest, np.nan)
    return 1 - np.exp(log_rest * np.exp(-half)), 1 - np.exp(log_rest * np.exp(half))


def cumulative_error(at_risk: Floats, events: Floats, cause: int = 0) -> Floats:
    """(t,) standard error of the Aalen-Johansen share of one cause, by the delta method.

    ``Σ (F(t) − F(s))²·d/(n(n − d)) + Σ S(s⁻)²·d_c(n − d_c)/n³ − 2·Σ (F(t) − F(s))·S(s⁻)·d_c/n²`` over the times s up to
    t; Greenwood's where there is one cause. It is written out in running sums, so it takes linear time.

    Args:
        at_risk: (t,) numbers at risk.
        events: (causes, t) events.
        cause: Which cause.
    """
    shares, without = aalen_johansen(at_risk, events)
    share, d, mine = shares[cause], events.sum(axis=0), events[cause]
    before = np.concatenate([[1.0], without[:-1]])
    # Where all at risk have an end, nothing is left whose share could be uncertain in that first term.
    any_ = ratio(d, at_risk * (at_risk - d), empty=0.0)
    own = before**2 * mine * ratio(at_risk - mine, at_risk**3, empty=0.0)
    both = before * ratio(mine, at_risk**2, empty=0.0)
    a, b, c = np.cumsum(any_), np.cumsum(share * any_), np.cumsum(share**2 * any_)
    variance = share**2 * a - 2 * share * b + c + np.cumsum(own)
    variance -= 2 * (share * np.cumsum(both) - np.cumsum(share * both))
    return root(variance)


@frozen(eq=False)
class TimeToState:
    """Spells, one part per block.

    Attributes:
        parts: Group, entry, end, cause, customer (counted on over blocks) and fold of each spell, as in `Spells`.
        undeclared: Whether no inactivity rule tells lost journeys from those in progress.
        customers: Customers seen.
    """

    parts: tuple[tuple[Ints, Ints, Ints, Ints, Ints, Ints], ...]
    undeclared: bool
    customers: int


def _goals(goals: Iterable[Goal | str]) -> tuple[Goal, ...]:
    if isinstance(goals, str):
        raise InvalidValueError(f"competing takes a list, got the text {goals!r}", hint=f"Write [{goals!r}]")
    return tuple(map(as_goal, goals))


@frozen(kw_only=True)
class TimeTo(Tally[TimeToState, TimeToGoal]):
    """Time from a journey's first touch to a goal, where some journeys are not seen to the end.

    The share that has reached the goal by each time is Aalen and Johansen's, with competing goals and drop-off as other
    ends; with a single end it is one minus Kaplan and Meier's. A journey is *dropped* at its last event where an
    inactivity rule was declared and it is no longer in progress; in progress it is censored at the end of the data.
    Without such a rule whatever has not reached a goal is censored at its last event, and the result is flagged
    ``open_unknown``. A window of time lets journeys that began before it in late (left truncation) and censors at its
    end. Intervals are by customer: where some have several journeys, by a jackknife over folds of customers.

    Attributes:
        goal: What is waited for.
        competing: Goals after which this one no longer counts.
    """

    name: ClassVar[str] = "time_to"
    unit: ClassVar[str] = "s"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    observes: ClassVar[Unit] = "journey"

    goal: Goal = field(converter=as_goal)
    competing: tuple[Goal, ...] = field(default=(), converter=_goals)

    def __attrs_post_init__(self) -> None:
        for other in self.competing:
            shared = set(other.touchpoints) & set(self.goal.touchpoints)
            if shared:
                raise InvalidValueError(f"{min(shared)!r} cannot be both the goal and a competing one")

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur."""
        for goal in (self.goal, *self.competing):
            lost = [name for name in goal.touchpoints if name not in facts.touchpoints]
            if lost:
                return f"goal {goal.name!r}: {unknown('touchpoint', lost[0], facts.touchpoints)}"
        return None

    def start(self) -> TimeToState:
        """Nothing."""
        return TimeToState((), False, 0)

    def add(self, state: TimeToState, block: Block, cells: Cells[Any]) -> TimeToState:
        """The spells of one block."""
        journeys = np.flatnonzero(block.lengths > 0)
        spells = self._spells(block, journeys, cells)
        rows, group = grouped(block, "journey", journeys, cells)
        seen = spells.kept(rows)
        part = (group, seen.entry, seen.end, seen.cause, seen.customer, seen.fold)
        return self.merge(state, TimeToState((part,), block.still_open is None, block.customers))

    def _spells(self, block: Block, journeys: Ints, cells: Cells[Any]) -> Spells:
        begin, last = block.time[block.first], block.time[block.last]
        reached = np.stack([block.reached(goal)[journeys] for goal in (self.goal, *self.competing)])
        first = np.where(reached < 0, np.iinfo(np.int64).max, reached).min(axis=0)
        ended = first < np.iinfo(np.int64).max
        cause = np.where(ended, np.argmax(reached == first, axis=0) + 1, 0)
        end = np.where(ended, block.time[np.where(ended, first, 0)], last)
        if block.still_open is not None:
            open_ = block.still_open[journeys]
            cause = np.where(~ended & ~open_, len(self.competing) + 2, cause)
            if cells.facts.last is not None:
                end = np.where(~ended & open_, np.maximum(instant(cells.facts.last), last), end)
        entry = np.full(journeys.size, _ALWAYS)
        low, high = (None if each is None else instant(datetime.fromisoformat(each)) for each in cells.origin.window)
        cut = block.cut
        if cut is not None and low is not None:
            entry = np.where(cut[journeys] & (begin < low), low - begin, entry)
        if cut is not None and high is not None:
            beyond = cut[journeys] & (end >= high)
            cause, end = np.where(beyond, 0, cause), np.where(beyond, high, end)
        customer = block.customer_of_journey[journeys]
        fold = (mix(block.customer_key, cells.seed) % np.uint64(FOLDS)).astype(np.int64)[customer]
        return Spells(entry, end - begin, cause, customer, fold)

    def merge(self, a: TimeToState, b: TimeToState) -> TimeToState:
        """Both side by side."""
        moved = tuple((*part[:4], part[4] + a.customers, part[5]) for part in b.parts)
        return TimeToState(a.parts + moved, a.undeclared or b.undeclared, a.customers + b.customers)

    def finish(self, state: TimeToState, cells: Cells[Any], level: float) -> Mapping[int, TimeToGoal]:
        """The curves of every group."""
        group, *spells = (
            np.concatenate([part[i] for part in state.parts] or [np.zeros(0, np.int64)]) for i in range(6)
        )
        order = np.argsort(group, kind="stable")
        codes, begins = np.unique(group[order], return_index=True)
        ends = np.append(begins[1:], group.size)
        found = {
            int(code): self._curve(Spells(*(each[order[a:b]] for each in spells)), state.undeclared, cells, level)
            for code, a, b in zip(codes, begins, ends, strict=True)
        }
        if not found and cells.by is None:
            return {0: self._curve(Spells(*spells), state.undeclared, cells, level)}
        return found

    def _curve(self, spells: Spells, undeclared: bool, cells: Cells[Any], level: float) -> TimeToGoal:
        inside = spells.end > spells.entry
        kept = spells.kept(inside)
        names = (self.goal.name, *(goal.name for goal in self.competing), *(() if undeclared else (DROPPED,)))
        table = (
            kept.table(len(names)) if kept.end.size else RiskTable(np.zeros(0), np.zeros(0), np.zeros((len(names), 0)))
        )
        shares, without = aalen_johansen(table.at_risk, table.events) if kept.end.size else (table.events, table.times)
        se, method = kept.error(table) if kept.end.size else (table.times, "log-log")
        censored = int((kept.cause == 0).sum())
        marks: dict[Flag, bool] = {
            "censored": censored > 0,
            "open_unknown": undeclared,
            "small_n": 0 < kept.end.size < SMALL,
        }
        flags: tuple[Flag, ...] = tuple(flag for flag, holds in marks.items() if holds)
        return TimeToGoal(
            goal=self.goal.name, causes=names, n=int(kept.end.size), reached=int((kept.cause == 1).sum()),
            censored=censored, left_out=int((~inside).sum()), times=table.times, shares=shares, without=without, se=se,
            median=self._median(table.times, shares, se, int(kept.end.size), flags, cells, level, method), level=level,
            method=method, spells=kept, origin=cells.origin,
        )  # fmt: skip

    def _median(
        self,
        times: Floats,
        shares: Floats,
        se: Floats,
        n: int,
        flags: tuple[Flag, ...],
        cells: Cells[Any],
        level: float,
        method: str,
    ) -> Estimate:
        about: dict[str, Any] = {
            "unit": self.unit, "direction": self.direction, "range": self.range, "origin": cells.origin,
        }  # fmt: skip
        if not n:
            return no_value("no journey is at risk", **about)
        middle = float(quantile_time(times, 1 - shares[0]))
        if not np.isfinite(middle):
            return no_value("fewer than half of the journeys are seen to reach the goal", n=n, flags=flags, **about)
        low, high = _bounds(shares[0], se, level)
        ends = [float(quantile_time(times, 1 - np.nan_to_num(band, nan=0.0))) for band in (high, low)]
        interval = Interval(ends[0], ends[1], level, method) if np.isfinite(ends).all() else None
        return Estimate(value=middle, n=n, interval=interval, flags=flags, **about)


def compare_times(results: Sequence[TimeToGoal]) -> LogRank:
    """Log-rank test whether several groups reach the goal equally fast; other ends count as censored.

    It compares the rates among those still waiting (cause-specific hazards), not the final shares.

    Args:
        results: Results of one `TimeTo`, for instance the values of a breakdown.

    Raises:
        InvalidValueError: With fewer than two groups.
    """
    if len(results) < 2:
        raise InvalidValueError(f"a comparison needs at least two groups, got {len(results)}")
    times = np.unique(np.concatenate([result.spells.end for result in results]))
    at_risk = np.zeros((len(results), times.size))
    events = np.zeros_like(at_risk)
    for row, result in enumerate(results):
        spells = result.spells
        here = np.searchsorted(np.sort(spells.entry), times, side="left")
        gone = np.searchsorted(np.sort(spells.end), times, side="left")
        at_risk[row] = here - gone
        events[row] = np.bincount(np.searchsorted(times, spells.end[spells.cause == 1]), minlength=times.size)
    return log_rank(at_risk, events)
