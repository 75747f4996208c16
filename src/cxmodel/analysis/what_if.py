"""What if: small changes to the chain of journeys, allowed only where the chain foretells what it was not fitted to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.chain_checks import PARTS, ChainCheck, HeldOut, checks, parts_of_customers
from cxmodel.analysis.credits import chain_steps, goal_missing
from cxmodel.analysis.path_chains import MOST_STATES, ChainSteps
from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError, NotMeasurableError, UnknownNameError, unknown
from cxmodel.model.estimates import Estimate, Interval, Origin
from cxmodel.model.goals import Goal
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import integers
from cxmodel.stats.chains import Chain, Target, goal_probability, gradient, what_if
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import jackknife_se, z_value
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.counting import Counted, counted, nothing
from cxmodel.tallies.metrics import SMALL, Tally

LEFT: Final = "left"
MOST_REPLICATED: Final = 300
ASSUMES: Final = (
    "all other steps keep their probabilities, and whoever is moved goes on as those did who went there before"
)


@frozen(kw_only=True)
class Change:
    """An answer: the chance of the goal before and after.

    Attributes:
        what: What is changed, in words.
        before: Chance of the goal as it is.
        after: Chance of the goal after the change.
        change: Their difference, a share; above 0 is better.
        assumes: What is held to stay as it is.
    """

    what: str
    before: float
    after: float
    change: Estimate
    assumes: str = ASSUMES

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "what": self.what, "before": self.before, "after": self.after, "change": self.change.to_dict(),
            "assumes": self.assumes,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{self.what}: {self.before:.2%} → {self.after:.2%}, {self.change:+.2%}; if {self.assumes}"


@frozen(kw_only=True)
class Improvement:
    """Where a point pays.

    Attributes:
        touchpoint: Where a share of those who leave is kept.
        to: Where they go instead: a touchpoint or the goal.
        share: Share that goes there now.
        gain: Change of the chance of the goal, a share.
    """

    touchpoint: str
    to: str
    share: float
    gain: float

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"touchpoint": self.touchpoint, "to": self.to, "share": self.share, "gain": self.gain}


@frozen(kw_only=True, eq=False)
class WhatIf:
    """A first-order chain that can be asked what would happen, where it has passed its checks.

    Attributes:
        goal: Name of the goal.
        touchpoints: Names of the chain's states.
        chain: The chain, fitted to all customers.
        replicates: The chain without each of some parts of the customers, for intervals; None where too large.
        checks: What the chain of half the customers foretold of the other half.
        journeys: Journeys behind the chain.
        level: Confidence level of intervals.
    """

    goal: str
    touchpoints: tuple[str, ...] = field(repr=False)
    chain: Chain = field(repr=False)
    replicates: Chain | None = field(default=None, repr=False)
    checks: tuple[ChainCheck, ...] = ()
    journeys: int = 0
    level: float = 0.95
    origin: Origin | None = field(default=None, repr=False)

    @property
    def refused(self) -> str | None:
        """Why nothing is answered, in words; None where answers are given."""
        failed = [str(check) for check in self.checks if not check.passed]
        return "; ".join(failed) or None

    @property
    def chance(self) -> float:
        """Chance of the goal as it is."""
        return float(goal_probability(self.chain))

    def improve(self, touchpoint: str, *, to: str, away: str = LEFT, by: float = 0.01) -> Change:
        """Move a share of what follows a touchpoint from one next step to another that it has already.

        Args:
            touchpoint: Where the change is made.
            to: Next step that gains: a touchpoint, the goal's name, or ``"left"``.
            away: Next step that loses.
            by: Share of the visits to the touchpoint that is moved, above 0.

        Raises:
            NotMeasurableError: When the chain has not passed its checks, with the reason.
            InvalidValueError: When the losing step has less than that share, or the gaining one does not exist yet.
        """
        state = self._state(touchpoint)
        if self._share(state, self._target(to)) == 0:
            raise InvalidValueError(f"nobody goes from {touchpoint!r} to {to!r} yet", hint="Write add(…) instead")
        return self._moved(f"{by:.1%} of {touchpoint!r} to {to!r} instead of {away!r}", touchpoint, to, away, by)

    def add(self, touchpoint: str, *, to: str, share: float, away: str = LEFT) -> Change:
        """Add a transition that nobody takes yet and give it a share of another next step.

        Raises:
            NotMeasurableError: When the chain has not passed its checks, with the reason.
            InvalidValueError: When the transition exists, or the losing step has less than that share.
        """
        if self._share(self._state(touchpoint), self._target(to)) > 0:
            raise InvalidValueError(f"{touchpoint!r} leads to {to!r} already", hint="Write improve(…) instead")
        words = f"new: {share:.1%} of {touchpoint!r} to {to!r} instead of {away!r}"
        return self._moved(words, touchpoint, to, away, share)

    def remove(self, touchpoint: str, *, away: str) -> Change:
        """Remove a transition: whoever took it leaves.

        Raises:
            NotMeasurableError: When the chain has not passed its checks, with the reason.
        """
        share = self._share(self._state(touchpoint), self._target(away))
        return self._moved(f"no way from {touchpoint!r} to {away!r}", touchpoint, LEFT, away, share)

    def redirect(self, touchpoint: str, *, away: str, to: str) -> Change:
        """Send everybody who takes one transition to another next step.

        Raises:
            NotMeasurableError: When the chain has not passed its checks, with the reason.
        """
        share = self._share(self._state(touchpoint), self._target(away))
        return self._moved(f"all from {touchpoint!r} to {to!r} instead of {away!r}", touchpoint, to, away, share)

    def ranking(self, n: int = 10, *, by: float = 0.01) -> tuple[Improvement, ...]:
        """Where it pays most to keep a share of the visits of a touchpoint from leaving.

        Each row moves ``by`` of the visits of one touchpoint from "left" to a next step that exists, as far as so
        many leave. The gain is exact for that change alone; gains do not add up.
        """
        self._allowed()
        slopes, to_goal = gradient(self.chain)
        every = np.concatenate([slopes, to_goal[:, None]], axis=1)
        shares = np.concatenate([self.chain.transitions, self.chain.goal[:, None]], axis=1)
        possible = (shares > 0) & (self.chain.lost >= by)[:, None] & np.isfinite(every)
        order = np.argsort(-np.where(possible, every, -np.inf), axis=None, kind="stable")[: int(possible.sum())][:n]
        found = []
        for flat in integers(order):
            state, target = divmod(flat, every.shape[1])
            to: Target = target if target < len(self.touchpoints) else "goal"
            after = float(what_if(self.chain, state, to, "lost", by))
            name = self.goal if to == "goal" else self.touchpoints[target]
            found.append(
                Improvement(
                    touchpoint=self.touchpoints[state], to=name, share=float(shares[state, target]),
                    gain=after - self.chance,
                )
            )  # fmt: skip
        return tuple(sorted(found, key=lambda each: -each.gain))

    def to_dict(self) -> dict[str, object]:
        """As in JSON: the checks and what came of them."""
        return {
            "goal": self.goal, "journeys": self.journeys, "chance": self.chance, "refused": self.refused,
            "checks": [check.to_dict() for check in self.checks],
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"what-if on {self.goal}: {'refused' if self.refused else 'allowed'} ({self.journeys:,} journeys)"
        return "\n".join([head, *(f"  {check}" for check in self.checks)])

    def _moved(self, what: str, touchpoint: str, to: str, away: str, share: float) -> Change:
        self._allowed()
        state, gains, loses = self._state(touchpoint), self._target(to), self._target(away)
        if gains == loses:
            raise InvalidValueError(f"{to!r} cannot gain what it loses itself")
        there = self._share(state, loses)
        if not 0 < share <= there + 1e-12:
            raise InvalidValueError(f"{there:.2%} go from {touchpoint!r} to {away!r}: {share:.2%} cannot be moved")
        after = float(what_if(self.chain, state, gains, loses, share))
        if not np.isfinite(after):
            raise NotMeasurableError(f"{what}: journeys could not come to an end")
        value = after - self.chance
        change = Estimate(
            value=value, n=self.journeys, unit="share", direction="higher", range=(-1.0, 1.0),
            interval=self._interval(value, state, gains, loses, share),
            flags=("small_n",) if self.journeys < SMALL else (), origin=self.origin,
        )  # fmt: skip
        return Change(what=what, before=self.chance, after=after, change=change)

    def _interval(self, value: float, state: int, to: Target, away: Target, share: float) -> Interval | None:
        if self.replicates is None:
            return None
        # where a part of the customers holds much of the losing step, no more can be moved than is there
        most = np.minimum(share, np.maximum(_shares(self.replicates, state, away), 0.0))
        changed = what_if(self.replicates, state, to, away, most) - goal_probability(self.replicates)
        if not np.isfinite(changed).all():
            return None
        half = z_value(self.level) * float(jackknife_se(changed))
        return Interval(value - half, value + half, self.level, "jackknife over parts of the customers")

    def _allowed(self) -> None:
        if self.refused is not None:
            raise NotMeasurableError(
                f"what-if on {self.goal}: the chain does not foretell customers it has not seen: {self.refused}",
                hint="Ask journeys.outlook(goal), which remembers more than one touchpoint, or make an experiment",
            )

    def _state(self, name: str) -> int:
        if name not in self.touchpoints:
            raise UnknownNameError(unknown("touchpoint before the goal", name, self.touchpoints))
        return self.touchpoints.index(name)

    def _target(self, name: str) -> Target:
        if name == self.goal:
            return "goal"
        return "lost" if name == LEFT else self._state(name)

    def _share(self, state: int, target: Target) -> float:
        return float(_shares(self.chain, state, target))


def _shares(chain: Chain, state: int, target: Target) -> Floats:
    if target == "goal":
        return np.asarray(chain.goal[..., state])
    return np.asarray(chain.lost[..., state] if target == "lost" else chain.transitions[..., state, target])


@frozen(eq=False)
class Tried:
    """What a pass counts: steps of all customers by part, and what became of held-out ones.

    Attributes:
        steps: Code of (context, next) and part of the customers.
        held_out: Journeys of every second part.
    """

    steps: Counted
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

    goal: Goal

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur, or too many touchpoints."""
        if len(facts.known_touchpoints) > MOST_STATES:
            return f"a chain of {len(facts.known_touchpoints):,} touchpoints is too large, {MOST_STATES:,} at most"
        return goal_missing(self.goal, facts)

    def start(self) -> Tried:
        """Nothing."""
        return Tried(nothing(), HeldOut.none())

    def add(self, state: Tried, block: Block, cells: Cells[Any]) -> Tried:
        """Count the steps of a block, and look at its held-out journeys."""
        part = parts_of_customers(block, cells.seed)
        owner, code = chain_steps(block, self.goal, 1)
        steps = counted(code * PARTS + part[owner])
        return self.merge(state, Tried(steps, HeldOut.of(block, self.goal, part % 2 == 1)))

    def merge(self, a: Tried, b: Tried) -> Tried:
        """Add what was counted."""
        return Tried(a.steps.plus(b.steps), a.held_out.plus(b.held_out))

    def finish(self, state: Tried, cells: Cells[Any], level: float) -> Mapping[int, WhatIf]:
        """The chain of all, of all but each part, and of one half held against the other."""
        names = cells.vocabulary.touchpoints
        keys, row = np.unique(state.steps.keys // PARTS, return_inverse=True)
        by_part = np.zeros((PARTS, keys.size))
        by_part[state.steps.keys % PARTS, row] = state.steps.counts
        steps = ChainSteps.of(keys, len(names) + 2)
        whole = by_part.sum(axis=0)
        half = steps.chain(by_part[::2].sum(axis=0))
        small = steps.states.size <= MOST_REPLICATED and bool((by_part.sum(axis=1) > 0).all())
        asked = WhatIf(
            goal=self.goal.name, touchpoints=tuple(names[code] for code in integers(steps.states)),
            chain=steps.chain(whole), replicates=steps.chain(whole - by_part) if small else None,
            checks=checks(half, steps.states, state.held_out, len(names) + 2), level=level, origin=cells.origin,
            journeys=round(float(whole[steps.source < 0].sum())),
        )  # fmt: skip
        return {0: asked}
