"""Funnels: how many journeys pass given steps in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.data.times import microseconds
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.estimates import Estimate, Interval, Origin, no_value
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.model.validators import boolean, duration, optional
from cxmodel.stats.arrays import Bools, Ints, compress, counting_order
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.stats.medians import grouped_medians
from cxmodel.tallies.cells import FEW_CUSTOMERS, Cells
from cxmodel.tallies.inference import Columns, draws, percentiles, quiet, replicated, spread
from cxmodel.tallies.metrics import Tally
from cxmodel.tallies.observations import observe
from cxmodel.tallies.sums import Sums, grouped, merge_sums, no_sums, tabulate

_FEWEST: Final = 2
_ROUNDING: Final = 1e-9


@frozen(kw_only=True)
class FunnelStep:
    """One step of a funnel.

    Attributes:
        touchpoint: Name of the touchpoint or goal.
        reached: Journeys that passed all steps up to this one, in order.
        of_first: Their share of those that passed the first step.
        of_previous: Their share of those that passed the step before; no value at the first step.
        wait_median_s: Median seconds since the last time at the step before; None at the first step or where nobody
            came.
    """

    touchpoint: str
    reached: int
    of_first: Estimate
    of_previous: Estimate
    wait_median_s: float | None

    @property
    def median_wait(self) -> timedelta | None:
        """The median wait as a duration."""
        return None if self.wait_median_s is None else timedelta(seconds=self.wait_median_s)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.touchpoint, "reached": self.reached, "of_first": self.of_first.to_dict(),
            "of_previous": self.of_previous.to_dict(), "wait_median_s": self.wait_median_s,
        }  # fmt: skip


@frozen(kw_only=True)
class FunnelTable:
    """A funnel.

    Attributes:
        journeys: All journeys, whether they began the funnel or not.
        steps: The steps in order; ``reached`` never grows.
        within_s: Longest time from the first step to any later one, seconds; None for no limit.
        strict: Whether each step directly follows the one before it.
    """

    journeys: int
    steps: tuple[FunnelStep, ...]
    within_s: float | None = None
    strict: bool = False
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        steps = [step.to_dict() for step in self.steps]
        strict = {"strict": True} if self.strict else {}
        return {"journeys": self.journeys, "within_s": self.within_s, **strict, "steps": steps}

    def __str__(self) -> str:
        lines = [f"{self.journeys:,} journeys{', steps directly one after another' if self.strict else ''}"]
        for step in self.steps:
            wait = f", median wait {step.median_wait}" if step.median_wait is not None else ""
            share = f", {step.of_previous:.1%} of the step before" if step.of_previous.value is not None else ""
            lines.append(f"  {step.touchpoint}: {step.reached:,}{share}{wait}")
        return "\n".join(lines)


def as_steps(steps: Iterable[str | Goal]) -> tuple[Goal, ...]:
    """Steps as goals; at least two."""
    if isinstance(steps, str):
        raise InvalidValueError(f"steps takes a list, got the text {steps!r}", hint=f"Write steps=[{steps!r}, …]")
    out = tuple(map(as_goal, steps))
    if len(out) < _FEWEST:
        raise InvalidValueError(f"a funnel needs at least two steps, got {len(out)}")
    return out


@frozen(eq=False)
class FunnelState:
    """Journeys by step reached, and the waits.

    Attributes:
        sums: Numbers ``"0"``, ``"1"``… : journeys that passed each step.
        codes: Per wait: (group + 1) × steps + step.
        waits: µs.
    """

    sums: Sums
    codes: Ints
    waits: Ints


@frozen
class Funnel(Tally[FunnelState, FunnelTable]):
    """Journeys that pass the steps in order; other touchpoints may lie between, unless ``strict``.

    Attributes:
        steps: Touchpoints or goals.
        within: Longest time from the first step to a later one. A journey counts when any of its passages fits.
        strict: Each step is the very next touchpoint after the one before it.
    """

    name: ClassVar[str] = "funnel"
    unit: ClassVar[str] = "journeys"
    observes: ClassVar[Unit] = "journey"

    steps: tuple[Goal, ...] = field(converter=as_steps)
    within: timedelta | None = field(default=None, kw_only=True, validator=optional(duration))
    strict: bool = field(default=False, kw_only=True, validator=boolean)

    def missing(self, facts: Facts) -> str | None:
        """A step at a touchpoint that never occurs."""
        for step in self.steps:
            if not set(step.touchpoints) & set(facts.known_touchpoints):
                return unknown("touchpoint", step.touchpoints[0], facts.known_touchpoints)
        return None

    def start(self) -> FunnelState:
        """Nothing."""
        return FunnelState(no_sums(), np.zeros(0, np.int64), np.zeros(0, np.int64))

    def add(self, state: FunnelState, block: Block, cells: Cells[Any]) -> FunnelState:
        """Follow the steps through one block."""
        limit = None if self.within is None else microseconds(self.within)
        reached, at, step, waits = passages(block, self.steps, limit, strict=self.strict)
        numbers = {str(i): mask for i, mask in enumerate(reached)}
        seen = observe("journey", np.arange(block.journeys), **numbers)
        sums = tabulate(block, seen, cells)
        rows, group = grouped(block, "journey", at, cells)
        codes = (group + 1) * len(self.steps) + step[rows]
        return self.merge(state, FunnelState(sums, codes, waits[rows]))

    def merge(self, a: FunnelState, b: FunnelState) -> FunnelState:
        """Add the sums, keep all waits."""
        return FunnelState(
            merge_sums(a.sums, b.sums), np.concatenate([a.codes, b.codes]), np.concatenate([a.waits, b.waits])
        )

    def finish(self, state: FunnelState, cells: Cells[Any], level: float) -> Mapping[int, FunnelTable]:
        """Shares with intervals, and median waits."""
        code, place = compress(state.codes)
        offsets, order = counting_order(place, code.size)
        medians = dict(zip(code.tolist(), (grouped_medians(state.waits[order], offsets) / 1e6).tolist(), strict=True))
        groups = np.unique(state.sums.group).tolist() or ([0] if cells.by is None else [])
        return {group: self._table(group, state.sums.of(group), medians, cells, level) for group in groups}

    def _table(
        self, group: int, sums: Sums, medians: Mapping[int, float], cells: Cells[Any], level: float
    ) -> FunnelTable:
        steps = tuple(
            FunnelStep(
                touchpoint=step.name,
                reached=int(sums[str(i)][0]) if sums.rows else 0,
                of_first=_share(sums, i, 0, cells, level),
                of_previous=_share(sums, i, i - 1, cells, level)
                if i
                else no_value("the first step has none before it"),
                wait_median_s=medians.get((group + 1) * len(self.steps) + i),
            )
            for i, step in enumerate(self.steps)
        )
        return FunnelTable(
            journeys=int(sums.count[0]) if sums.rows else 0, steps=steps, origin=cells.origin,
            within_s=None if self.within is None else self.within.total_seconds(), strict=self.strict,
        )  # fmt: skip


def passages(
    block: Block, steps: tuple[Goal, ...], limit: int | None, *, strict: bool = False
) -> tuple[list[Bools], Ints, Ints, Ints]:
    """Journeys that pass each step, and the waits of each journey's first arrival at every later step.

    Returns:
        Per step (journeys,) whether it was reached; then per arrival: journey, step, wait in µs.
    """
    reached: list[Bools] = []
    found: list[tuple[Ints, Ints, Ints]] = []
    for i, (at, (journey, wait)) in enumerate(_arrivals(block, steps, limit, strict)):
        mask = np.zeros(block.journeys, np.bool_)
        mask[block.journey[at]] = True
        reached.append(mask)
        found.append((journey, np.full(journey.size, i), wait))
    parts = [np.concatenate([part[k] for part in found]) for k in range(3)]
    return reached, parts[0], parts[1], parts[2]


def last_arrivals(block: Block, steps: tuple[Goal, ...], limit: int | None, *, strict: bool = False) -> list[Ints]:
    """Per step (journeys,) the row of the last event at which a passage reaches it, or −1."""
    out = []
    for at, _ in _arrivals(block, steps, limit, strict):
        last = np.full(block.journeys, -1)
        last[block.journey[at]] = at
        out.append(last)
    return out


def _arrivals(
    block: Block, steps: tuple[Goal, ...], limit: int | None, strict: bool
) -> Iterator[tuple[Ints, tuple[Ints, Ints]]]:
    """Step by step: the events at which a passage reaches it, and journey and wait of first arrivals.

    At each event the passage with the latest beginning is carried along: if any passage fits the limit, that one does.
    """
    at_step = [block.events_at(step.touchpoints) for step in steps]
    rows = np.flatnonzero(np.logical_or.reduce(at_step))
    journey, time = block.journey[rows], block.time[rows]
    index = np.arange(rows.size)
    fresh = np.ones(rows.size, np.bool_)
    fresh[1:] = journey[1:] != journey[:-1]
    begin = np.maximum.accumulate(np.where(fresh, index, 0)) if rows.size else index
    next_to = np.diff(rows, prepend=-2) == 1 if strict else None
    hit = at_step[0][rows]
    started = np.where(hit, index, -1)
    none = np.zeros(0, np.int64)
    yield rows[hit], (none, none)
    for events in at_step[1:]:
        before = _before(hit, next_to)
        hit, started, first = _next_step(events[rows], before, started, begin, time, journey, limit)
        yield rows[hit], first


def _before(hit: Bools, next_to: Bools | None) -> Ints:
    """For each event the latest one before it that a passage has reached, −1 for none; or only its neighbour."""
    index = np.arange(hit.size)
    if next_to is not None:
        return np.where(next_to & np.append(False, hit[:-1])[: hit.size], index - 1, -1)
    latest = np.maximum.accumulate(np.where(hit, index, -1)) if hit.size else index
    return np.concatenate([[-1], latest[:-1]]) if hit.size else latest


def _next_step(
    here: Bools, before: Ints, started: Ints, begin: Ints, time: Ints, journey: Ints, limit: int | None
) -> tuple[Bools, Ints, tuple[Ints, Ints]]:
    """Events at the next step that a passage reaches; where each passage began; journey and wait of first arrivals."""
    arrives = here & (before >= begin)
    began = started[np.maximum(before, 0)]
    if limit is not None:
        arrives &= time - time[np.maximum(began, 0)] <= limit
    rows = np.flatnonzero(arrives)
    first = np.ones(rows.size, np.bool_)
    first[1:] = journey[rows[1:]] != journey[rows[:-1]]
    arrived = rows[first]
    return arrives, np.where(arrives, began, -1), (journey[arrived], time[arrived] - time[before[arrived]])


def _share(sums: Sums, part: int, whole: int, cells: Cells[Any], level: float) -> Estimate:
    about: dict[str, Any] = {
        "unit": "share",
        "direction": "higher",
        "range": (0.0, 1.0),
        "origin": cells.origin,
    }
    if not sums.rows or not sums[str(whole)][0]:
        return no_value("no journey reached the step before", **about)

    def ratio(columns: Columns) -> Floats:
        return columns[str(part)] / columns[str(whole)]

    n, k = float(sums[str(whole)][0]), float(sums[str(part)][0])
    se = float(spread(sums, ratio, cells.facts.customers).se[0])
    p = k / n
    plain = p * (1 - p) / max(n - 1, 1)
    effect = se**2 / plain if plain > 0 and np.isfinite(se) else 1.0
    # with one journey per customer the two variances are equal but for rounding
    n_eff = n / effect if effect > 1 + _ROUNDING else n
    low, high = wilson(np.array(p * n_eff), np.array(n_eff), level)
    interval = Interval(float(low), float(high), level, "wilson, design effect" if n_eff < n else "wilson")
    if cells.bootstrap and sums.customers[0] >= FEW_CUSTOMERS:
        replicates = quiet(ratio, Columns(sums.names, replicated(sums, draws(cells.bootstrap, cells.seed))))
        low, high = percentiles(replicates, level)
        interval = Interval(float(low[0]), float(high[0]), level, f"bootstrap of customers ({cells.bootstrap:,})")
    return Estimate(value=p, n=int(n), n_eff=n_eff, interval=interval, **about)
