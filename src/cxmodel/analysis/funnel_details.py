"""Funnel details: what journeys did instead of going on to the next step."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.analysis.funnels import Funnel, FunnelState, FunnelTable, as_steps, last_arrivals
from cxmodel.analysis.shares import KeyedCounts, Shares, count_keys, merge_counts, no_counts, shares_by_group
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.selecting import keep_journeys
from cxmodel.data.times import microseconds
from cxmodel.model.estimates import Estimate, Flag, Origin
from cxmodel.model.goals import Goal
from cxmodel.model.readings import Facts
from cxmodel.model.validators import boolean, duration, optional
from cxmodel.stats.arrays import Ints, integers
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally

_LEFT, _OPEN, _LATE, _TOUCHPOINTS = range(4)


@frozen(kw_only=True)
class Instead:
    """What followed the last time at a step that was not gone on from.

    Attributes:
        touchpoint: The next touchpoint; None where the journey ended or went on too late.
        still_open: Whether it has not ended but is in progress.
        too_late: Whether the next step of the funnel followed, but after the longest time.
        count: Journeys.
        share: Their share of the journeys lost at this step.
    """

    touchpoint: str | None
    still_open: bool
    count: int
    share: Estimate
    too_late: bool = False

    @property
    def label(self) -> str:
        """The touchpoint, ``"left"``, ``"still open"`` or ``"too late"``."""
        return self.touchpoint or ("still open" if self.still_open else "too late" if self.too_late else "left")

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.touchpoint, "still_open": self.still_open, "too_late": self.too_late,
            "count": self.count, "share": self.share.to_dict(),
        }  # fmt: skip


@frozen(kw_only=True)
class DropOff:
    """Journeys that reached a step and not the next one.

    Attributes:
        touchpoint: Name of the step.
        reached: Journeys that reached it.
        lost: Those of them that did not reach the next step.
        instead: What they did next, most frequent first; the counts sum to ``lost``.
    """

    touchpoint: str
    reached: int
    lost: int
    instead: tuple[Instead, ...]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.touchpoint, "reached": self.reached, "lost": self.lost,
            "instead": [each.to_dict() for each in self.instead],
        }  # fmt: skip


@frozen(kw_only=True)
class FunnelDetailTable:
    """A funnel and what became of the journeys that it lost.

    Attributes:
        funnel: The funnel.
        drop_offs: One per step but the last.
    """

    funnel: FunnelTable
    drop_offs: tuple[DropOff, ...]

    @property
    def origin(self) -> Origin | None:
        """Which population it is."""
        return self.funnel.origin

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"funnel": self.funnel.to_dict(), "drop_offs": [each.to_dict() for each in self.drop_offs]}

    def __str__(self) -> str:
        lines = [f"{self.funnel.journeys:,} journeys"]
        for step in self.drop_offs:
            lines.append(f"  {step.touchpoint}: {step.reached:,} reached, {step.lost:,} lost")
            lines += [f"    {each.label}: {each.count:,}, {each.share:.1%}" for each in step.instead[:10]]
            lines += [f"    {len(step.instead) - 10:,} other touchpoints"] if len(step.instead) > 10 else []
        return "\n".join([*lines, f"  {self.funnel.steps[-1].touchpoint}: {self.funnel.steps[-1].reached:,} reached"])


@frozen(eq=False)
class FunnelDetailState:
    """What was seen.

    Attributes:
        funnel: State of the funnel.
        lost: Per step but the last: what the journeys lost there did next.
    """

    funnel: FunnelState
    lost: tuple[KeyedCounts, ...]


@frozen
class FunnelDetail(Tally[FunnelDetailState, FunnelDetailTable]):
    """A funnel, and for the journeys lost at each step what directly followed their last arrival there.

    Where that is the next step, it came after ``within``: "too late". Where no inactivity rule was declared, whoever
    left may be in progress: the share is flagged ``open_unknown``.

    Attributes:
        steps: Touchpoints or goals.
        within: Longest time from the first step to a later one.
        strict: Each step is the very next touchpoint after the one before it.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": path, "what": what, "at": f"2026-01-01T00:0{i}"}
        ...        for path in ("cart pay", "cart help", "cart") for i, what in enumerate(path.split())]
        >>> journeys = read_events(log, customer="who", touchpoint="what", time="at")
        >>> detail = journeys.measure(FunnelDetail(["cart", "pay"]))
        >>> [(each.label, each.count) for each in detail.drop_offs[0].instead]
        [('left', 1), ('help', 1)]
    """

    name: ClassVar[str] = "funnel_detail"
    unit: ClassVar[str] = "journeys"
    observes: ClassVar[Unit] = "journey"

    steps: tuple[Goal, ...] = field(converter=as_steps)
    within: timedelta | None = field(default=None, kw_only=True, validator=optional(duration))
    strict: bool = field(default=False, kw_only=True, validator=boolean)

    @property
    def funnel(self) -> Funnel:
        """The funnel alone."""
        return Funnel(self.steps, within=self.within, strict=self.strict)

    def missing(self, facts: Facts) -> str | None:
        """A step at a touchpoint that never occurs."""
        return self.funnel.missing(facts)

    def start(self) -> FunnelDetailState:
        """Nothing."""
        return FunnelDetailState(self.funnel.start(), (no_counts(),) * (len(self.steps) - 1))

    def add(self, state: FunnelDetailState, block: Block, cells: Cells[Any]) -> FunnelDetailState:
        """Follow the steps, then look at what came after."""
        limit = None if self.within is None else microseconds(self.within)
        last = last_arrivals(block, self.steps, limit, strict=self.strict)
        lost = tuple(
            _lost(block, here, there, step, cells)
            for (here, there), step in zip(pairwise(last), self.steps[1:], strict=True)
        )
        return self.merge(state, FunnelDetailState(self.funnel.add(self.funnel.start(), block, cells), lost))

    def merge(self, a: FunnelDetailState, b: FunnelDetailState) -> FunnelDetailState:
        """Both."""
        lost = tuple(merge_counts(x, y) for x, y in zip(a.lost, b.lost, strict=True))
        return FunnelDetailState(self.funnel.merge(a.funnel, b.funnel), lost)

    def finish(self, state: FunnelDetailState, cells: Cells[Any], level: float) -> Mapping[int, FunnelDetailTable]:
        """The funnel of every group, and the shares of what was done instead."""
        lost = [shares_by_group(counts, cells, level) for counts in state.lost]
        return {
            group: FunnelDetailTable(
                funnel=funnel,
                drop_offs=tuple(
                    _drop_off(step.touchpoint, step.reached, shares.get(group), cells)
                    for step, shares in zip(funnel.steps[:-1], lost, strict=True)
                ),
            )
            for group, funnel in self.funnel.finish(state.funnel, cells, level).items()
        }


def _lost(block: Block, here: Ints, there: Ints, step: Goal, cells: Cells[Any]) -> KeyedCounts:
    """What directly followed the last arrival at a step of the journeys that never reached the next."""
    gone = (here >= 0) & (there < 0)
    rows = here[gone]
    following = np.full(rows.size, _LEFT)
    if block.still_open is not None:
        following[block.still_open[gone]] = _OPEN
    on = np.flatnonzero(rows + 1 < block.journey_offsets[1:][gone])
    after = rows[on] + 1
    # the next step itself follows a journey that is lost there only where time had run out
    late = block.events_at(step.touchpoints)[after]
    following[on] = np.where(late, _LATE, block.touchpoint[after].astype(np.int64) + _TOUCHPOINTS)
    return count_keys(keep_journeys(block, gone), np.arange(rows.size), following, np.ones(rows.size, np.int64), cells)


def _drop_off(touchpoint: str, reached: int, shares: Shares | None, cells: Cells[Any]) -> DropOff:
    if shares is None:
        return DropOff(touchpoint=touchpoint, reached=reached, lost=0, instead=())
    names = cells.vocabulary.touchpoints
    unknown: tuple[Flag, ...] = () if cells.facts.inactivity_declared else ("open_unknown",)

    def share(row: int) -> Estimate:
        each = shares.estimate(row)
        return evolve(each, flags=(*each.flags, *unknown)) if shares.key[row] == _LEFT else each

    instead = tuple(
        Instead(
            touchpoint=names[key - _TOUCHPOINTS] if key >= _TOUCHPOINTS else None, still_open=key == _OPEN,
            too_late=key == _LATE, count=int(shares.count[row]), share=share(row),
        )
        for row, key in enumerate(integers(shares.key))
    )  # fmt: skip
    return DropOff(touchpoint=touchpoint, reached=reached, lost=shares.journeys, instead=instead)
