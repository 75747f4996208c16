"""What if: small changes to the chain of journeys, allowed only where the chain foretells what it was not fitted to."""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.chain_checks import ChainCheck
from cxmodel.analysis.positions import LEFT, duration
from cxmodel.errors import InvalidValueError, NotMeasurableError, UnknownNameError, unknown
from cxmodel.model.estimates import Estimate, Interval, Origin
from cxmodel.stats.arrays import integers
from cxmodel.stats.chains import Chain, Target, goal_probability, gradient, time_to_goal, what_if
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import jackknife_se, z_value
from cxmodel.tallies.metrics import SMALL

_METHOD: Final = "jackknife over parts of the customers"
ASSUMES: Final = (
    "all other steps keep their probabilities, and whoever is moved goes on as those did who went there before"
)
ASSUMES_TIMES: Final = (
    "all steps keep their probabilities, all others take as long as before, and how long a step takes does not depend "
    "on what came before it"
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
class TimeChange:
    """An answer: the mean time from the first touch to the goal, of those who reach it, before and after.

    Attributes:
        what: What is changed, in words.
        before_s: Mean time as it is, in seconds.
        after_s: Mean time after the change.
        change: Their difference, in seconds; below 0 is faster.
        assumes: What is held to stay as it is.
    """

    what: str
    before_s: float
    after_s: float
    change: Estimate
    assumes: str = ASSUMES_TIMES

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "what": self.what, "before_s": self.before_s, "after_s": self.after_s, "change": self.change.to_dict(),
            "assumes": self.assumes,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{self.what}: {duration(self.before_s)} → {duration(self.after_s)}, {self.change}; if {self.assumes}"


@frozen(kw_only=True)
class Improvement:
    """Where a point pays.

    Attributes:
        touchpoint: Where a share of those who leave is kept.
        to: Where they go instead: a touchpoint or the goal.
        share: Share that goes there now.
        gain: Change of the chance of the goal, a share.
        assumes: What is held to stay as it is.
    """

    touchpoint: str
    to: str
    share: float
    gain: Estimate
    assumes: str = ASSUMES

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.touchpoint, "to": self.to, "share": self.share, "gain": self.gain.to_dict(),
            "assumes": self.assumes,
        }  # fmt: skip


def _a_share(value: float) -> float:
    if not 0 < value <= 1:
        raise InvalidValueError(f"by is a share above 0 and at most 1, got {value!r}")
    return value


@frozen(kw_only=True, eq=False)
class WhatIf:
    """A first-order chain that can be asked what would happen, where it has passed its checks.

    Attributes:
        goal: Name of the goal.
        touchpoints: Names of the chain's states.
        chain: The chain, fitted to all customers.
        replicates: The chain without each of some parts of the customers, for intervals; None where too large.
        waits: (K, K + 1) mean seconds in a touchpoint before each next one, and before the goal; None without times.
        replicate_waits: The same without each of the parts.
        checks: What the chain of half the customers foretold of the other half.
        time_check: The same of the mean time to the goal; `speed_up` needs it.
        journeys: Journeys behind the chain.
        level: Confidence level of intervals.
        by: Share of the visits to a touchpoint that `ranking` keeps from leaving, unless told otherwise.
        most: How many rows it gives, unless told otherwise.
    """

    goal: str
    touchpoints: tuple[str, ...] = field(repr=False)
    chain: Chain = field(repr=False)
    replicates: Chain | None = field(default=None, repr=False)
    waits: Floats | None = field(default=None, repr=False)
    replicate_waits: Floats | None = field(default=None, repr=False)
    checks: tuple[ChainCheck, ...] = ()
    time_check: ChainCheck | None = None
    journeys: int = 0
    level: float = 0.95
    by: float = field(default=0.01, converter=_a_share)
    most: int = 10
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

    def speed_up(self, touchpoint: str, *, to: str | None = None, by: float = 0.1) -> TimeChange:
        """Shorten the time in a touchpoint before the next step: what it does to the time to the goal.

        The mean time from the first touch to the goal, of those who reach it, falls by ``by`` times what they spend
        there, however often they come. The chance of the goal stays as it is.

        Args:
            touchpoint: Where it goes faster.
            to: Only before this next step; before all of them if not given.
            by: Share of the time that is saved, above 0 and at most 1.

        Raises:
            NotMeasurableError: When the chain has not passed its checks, that of the time included; with the reason.
            InvalidValueError: When ``by`` is no such share, or nobody goes that way.
        """
        self._allowed()
        state, target = self._state(touchpoint), None if to is None else self._target(to)
        _a_share(by)
        if target == "lost" or (target is not None and self._share(state, target) == 0):
            raise InvalidValueError(f"nobody goes from {touchpoint!r} to {to!r} and takes time for it")
        if self.waits is None or self.time_check is None or not self.time_check.passed:
            raise NotMeasurableError(f"what-if on the time to {self.goal}: {self.time_check or 'no times are known'}")
        spent = time_to_goal(self.chain, self.waits)
        saved = float(_saved(spent, state, target, by))
        interval = None
        if self.replicates is not None and self.replicate_waits is not None:
            without = _saved(time_to_goal(self.replicates, self.replicate_waits), state, target, by)
            half = z_value(self.level) * float(jackknife_se(without))
            interval = Interval(-saved - half, -saved + half, self.level, _METHOD) if np.isfinite(half) else None
        change = Estimate(
            value=-saved, n=self.journeys, unit="seconds", direction="lower", interval=interval,
            flags=("small_n",) if self.journeys < SMALL else (), origin=self.origin,
        )  # fmt: skip
        where = f"{touchpoint!r}" if to is None else f"{touchpoint!r} → {to!r}"
        before = float(spent.sum())
        return TimeChange(what=f"{by:.1%} less time at {where}", before_s=before, after_s=before - saved, change=change)

    def ranking(self, n: int | None = None, *, by: float | None = None) -> tuple[Improvement, ...]:
        """Where it pays most to keep a share of the visits of a touchpoint from leaving.

        Each row moves ``by`` of the visits of one touchpoint from "left" to a next step that exists, as far as so
        many leave. The gain is exact for that change alone; gains do not add up.

        Args:
            n: How many rows; `most` if not given.
            by: Share of the visits; `by` of this object if not given.

        Raises:
            NotMeasurableError: When the chain has not passed its checks, with the reason.
            InvalidValueError: When ``by`` is not above 0 and at most 1.
        """
        self._allowed()
        share, most = self.by if by is None else _a_share(by), self.most if n is None else n
        slopes, to_goal = gradient(self.chain)
        every = np.concatenate([slopes, to_goal[:, None]], axis=1)
        shares = np.concatenate([self.chain.transitions, self.chain.goal[:, None]], axis=1)
        possible = (shares > 0) & (self.chain.lost >= share)[:, None] & np.isfinite(every)
        order = np.argsort(-np.where(possible, every, -np.inf), axis=None, kind="stable")[: int(possible.sum())][:most]
        found = []
        for flat in integers(order):
            state, target = divmod(flat, every.shape[1])
            to: Target = target if target < len(self.touchpoints) else "goal"
            value = float(what_if(self.chain, state, to, "lost", share)) - self.chance
            name = self.goal if to == "goal" else self.touchpoints[target]
            found.append(
                Improvement(
                    touchpoint=self.touchpoints[state], to=name, share=float(shares[state, target]),
                    gain=self._gain(value, state, to, "lost", share),
                )
            )  # fmt: skip
        return tuple(sorted(found, key=lambda each: -each.gain.require()))

    def to_dict(self) -> dict[str, object]:
        """As in JSON: the checks and what came of them, and where a point pays if it may be said."""
        return {
            "goal": self.goal, "journeys": self.journeys, "chance": self.chance, "refused": self.refused,
            "checks": [check.to_dict() for check in self.checks],
            "time_check": self.time_check.to_dict() if self.time_check else None,
            "by": self.by, "ranking": [] if self.refused else [each.to_dict() for each in self.ranking()],
            "assumes": ASSUMES,
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"what-if on {self.goal}: {'refused' if self.refused else 'allowed'} ({self.journeys:,} journeys)"
        every = self.checks if self.time_check is None else (*self.checks, self.time_check)
        return "\n".join([head, *(f"  {check}" for check in every)])

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
        change = self._gain(after - self.chance, state, gains, loses, share)
        return Change(what=what, before=self.chance, after=after, change=change)

    def _gain(self, value: float, state: int, to: Target, away: Target, share: float) -> Estimate:
        return Estimate(
            value=value, n=self.journeys, unit="share", direction="higher", range=(-1.0, 1.0),
            interval=self._interval(value, state, to, away, share),
            flags=("small_n",) if self.journeys < SMALL else (), origin=self.origin,
        )  # fmt: skip

    def _interval(self, value: float, state: int, to: Target, away: Target, share: float) -> Interval | None:
        if self.replicates is None:
            return None
        # where a part of the customers holds much of the losing step, no more can be moved than is there
        most = np.minimum(share, np.maximum(_shares(self.replicates, state, away), 0.0))
        changed = what_if(self.replicates, state, to, away, most) - goal_probability(self.replicates)
        if not np.isfinite(changed).all():
            return None
        half = z_value(self.level) * float(jackknife_se(changed))
        return Interval(value - half, value + half, self.level, _METHOD)

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


def _saved(spent: Floats, state: int, target: Target | None, by: float) -> Floats:
    """Seconds that those who reach the goal save."""
    if target is None:
        return np.asarray(by * spent[..., state, :].sum(axis=-1))
    return np.asarray(by * spent[..., state, target if isinstance(target, int) else -1])


def _shares(chain: Chain, state: int, target: Target) -> Floats:
    if target == "goal":
        return np.asarray(chain.goal[..., state])
    return np.asarray(chain.lost[..., state] if target == "lost" else chain.transitions[..., state, target])
