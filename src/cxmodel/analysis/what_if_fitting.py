"""Fitting a what-if in one pass: the first-order chain of all customers, and one half held against the other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.chain_checks import PARTS, HeldOut, checks, parts_of_customers, time_check
from cxmodel.analysis.credits import chain_steps, goal_missing
from cxmodel.analysis.path_chains import ChainSteps
from cxmodel.analysis.what_if import WhatIf
from cxmodel.data.blocks import Block, Unit
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, integers, ranges
from cxmodel.stats.chains import time_to_goal
from cxmodel.stats.floats import Floats, ratio
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.counting import Counted, counted, nothing
from cxmodel.tallies.metrics import Tally

MOST_STATES: Final = 2_000
MOST_REPLICATED: Final = 300


@frozen(eq=False)
class Tried:
    """What a pass counts: steps of all customers by part, and what became of held-out ones.

    Attributes:
        steps: Code of (context, next) and part of the customers.
        waits: The same → seconds between the two, all together.
        held_out: Journeys of every second part.
    """

    steps: Counted
    waits: Counted
    held_out: HeldOut


@frozen(kw_only=True)
class WhatIfs(Tally[Tried, WhatIf]):
    """Fits the first-order chain and checks it on held-out customers.

    Attributes:
        goal: Where journeys are to lead.
    """

    name: ClassVar[str] = "what_if"
    unit: ClassVar[str] = "share"
    observes: ClassVar[Unit] = "journey"
    groups: ClassVar[bool] = False

    goal: Goal = field(converter=as_goal)

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur, or too many touchpoints."""
        if len(facts.known_touchpoints) > MOST_STATES:
            return (
                f"a chain of {len(facts.known_touchpoints):,} touchpoints is too large, {MOST_STATES:,} at most; fold "
                f"rare ones, journeys.fold_rare(keep={MOST_STATES - 1})"
            )
        return goal_missing(self.goal, facts)

    def start(self) -> Tried:
        """Nothing."""
        return Tried(nothing(), nothing(), HeldOut.none())

    def add(self, state: Tried, block: Block, cells: Cells[Any]) -> Tried:
        """Count the steps of a block, and look at its held-out journeys."""
        part = parts_of_customers(block, cells.seed)
        owner, code = chain_steps(block, self.goal, 1)
        steps = counted(code * PARTS + part[owner])
        waits = counted(*_waited(block, self.goal, part))
        return self.merge(state, Tried(steps, waits, HeldOut.of(block, self.goal, part % 2 == 1)))

    def merge(self, a: Tried, b: Tried) -> Tried:
        """Add what was counted."""
        return Tried(a.steps.plus(b.steps), a.waits.plus(b.waits), a.held_out.plus(b.held_out))

    def finish(self, state: Tried, cells: Cells[Any], level: float) -> Mapping[int, WhatIf]:
        """The chain of all, of all but each part, and of one half held against the other."""
        names = cells.vocabulary.touchpoints
        keys, row = np.unique(state.steps.keys // PARTS, return_inverse=True)
        by_part, seconds = np.zeros((PARTS, keys.size)), np.zeros((PARTS, keys.size))
        by_part[state.steps.keys % PARTS, row] = state.steps.counts
        seconds[state.steps.keys % PARTS, row] = state.waits.of(state.steps.keys)
        steps = ChainSteps.of(keys, len(names) + 2)
        whole, all_seconds = by_part.sum(axis=0), seconds.sum(axis=0)
        half = steps.chain(by_part[::2].sum(axis=0))
        half_waits = _mean_waits(steps, by_part[::2].sum(axis=0), seconds[::2].sum(axis=0))
        small = steps.states.size <= MOST_REPLICATED and bool((by_part.sum(axis=1) > 0).all())
        asked = WhatIf(
            goal=self.goal.name, touchpoints=tuple(names[code] for code in integers(steps.states)),
            chain=steps.chain(whole), replicates=steps.chain(whole - by_part) if small else None,
            waits=_mean_waits(steps, whole, all_seconds),
            replicate_waits=_mean_waits(steps, whole - by_part, all_seconds - seconds) if small else None,
            checks=checks(half, steps.states, state.held_out, len(names) + 2),
            time_check=time_check(float(time_to_goal(half, half_waits).sum()), state.held_out), level=level,
            origin=cells.origin, journeys=round(float(whole[steps.source < 0].sum())),
        )  # fmt: skip
        return {0: asked}


def _waited(block: Block, goal: Goal, part: Ints) -> tuple[Ints, Floats]:
    """Code of (touchpoint, next) and part of the customers of every step up to the goal, and its seconds."""
    reached, width = block.reached(goal), len(block.vocabulary.touchpoints) + 2
    stops = np.where(reached >= 0, reached + 1, block.journey_offsets[1:])
    starts = block.journey_offsets[:-1]
    after = ranges(starts + 1, np.maximum(stops - starts - 1, 0))
    owner = block.journey[after]
    following = np.where(after == reached[owner], width - 1, block.touchpoint[after].astype(np.int64) + 1)
    code = (block.touchpoint[after - 1].astype(np.int64) + 1) * width + following
    return code * PARTS + part[owner], (block.time[after] - block.time[after - 1]) / 1e6


def _mean_waits(steps: ChainSteps, counts: Floats, seconds: Floats) -> Floats:
    """(…, K, K + 1) mean seconds of each step; 0 where there is none."""
    size = steps.states.size
    out = np.zeros((*counts.shape[:-1], size, size + 1))
    timed = (steps.source >= 0) & ((steps.target >= 0) | steps.to_goal)
    column = np.where(steps.to_goal, size, steps.target)[timed]
    out[..., steps.source[timed], column] = ratio(seconds[..., timed], counts[..., timed], empty=0.0)
    return out
