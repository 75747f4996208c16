"""Checks of a first-order chain against customers that it has not seen, on what it was not fitted to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from attrs import frozen

from cxmodel.analysis.credits import chain_steps
from cxmodel.data.blocks import Block
from cxmodel.data.selecting import keep_journeys
from cxmodel.model.goals import Goal
from cxmodel.stats.arrays import Bools, Ints, compress, distinct_codes, grouped_sum, mix
from cxmodel.stats.chains import Chain, absorption_probabilities
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.counting import Counted, counted, nothing

TOLERANCE: Final = 0.05
ERROR: Final = 0.01
MOST_LENGTH: Final = 200
FEWEST: Final = 30
PARTS: Final = 32


def parts_of_customers(block: Block, seed: int) -> Ints:
    """(journeys,) the part of each journey's customer, by the seeded hash; those of every second part are held out."""
    keys = mix(block.customer_key, seed + 1)
    return np.asarray(keys % np.uint64(PARTS), np.int64)[block.customer_of_journey]


@frozen(kw_only=True)
class ChainCheck:
    """One thing that the chain had to foretell.

    Attributes:
        what: What it is, with the worst place.
        gap: Largest difference between foretold and observed; None where there is too little to tell.
        allowed: What it may differ by: 5 points, or more where chance alone gives more.
        n: Held-out journeys, or steps, behind it.
        passed: Whether the gap is allowed.
    """

    what: str
    gap: float | None = None
    allowed: float | None = None
    n: int
    passed: bool

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"what": self.what, "gap": self.gap, "allowed": self.allowed, "n": self.n, "passed": self.passed}

    def __str__(self) -> str:
        if self.gap is None or self.allowed is None:
            return f"too few {self.what}: {self.n:,}, and {FEWEST} are needed"
        verdict = "holds" if self.passed else "fails"
        return f"{self.what} {verdict}: off by {self.gap:.3f}, allowed {self.allowed:.3f} (n={self.n:,})"


@frozen(eq=False)
class HeldOut:
    """Held-out journeys that came to an end, counted.

    Attributes:
        first: Code of the first touchpoint, and whether the goal was reached.
        visited: Code of a touchpoint that was visited, and whether the goal was reached.
        length: Touchpoints before the goal or the end.
        triples: Code of (two touchpoints, next).
        times: Key 0 → journeys that reached the goal, 1 → hours from their first touch to it, 2 → their squares.
    """

    first: Counted
    visited: Counted
    length: Counted
    triples: Counted
    times: Counted

    @classmethod
    def none(cls) -> HeldOut:
        """No journey."""
        return cls(*[nothing()] * 5)

    @classmethod
    def of(cls, block: Block, goal: Goal, held_out: Bools) -> HeldOut:
        """Look at the held-out journeys of a block; those in progress are left out."""
        came = block.reached(goal) >= 0
        ended = held_out & (block.lengths > 0)
        part = keep_journeys(block, ended if block.still_open is None else ended & (came | ~block.still_open))
        width = len(block.vocabulary.touchpoints) + 2
        owner, code = chain_steps(part, goal, 2)
        reached = (part.reached(goal) >= 0).astype(np.int64)
        last, context = code % width, code // width
        inner = (last > 0) & (last < width - 1)
        begins = inner & (context == 0)
        pairs = distinct_codes(owner[inner] * width + last[inner])
        return cls(
            first=counted((last[begins] - 1) * 2 + reached[owner[begins]]),
            visited=counted((pairs % width - 1) * 2 + reached[pairs // width]),
            length=counted(np.bincount(owner[inner], minlength=part.journeys)),
            triples=counted(code[context > 0]), times=_times(part, goal),
        )  # fmt: skip

    def plus(self, other: HeldOut) -> HeldOut:
        """Both together."""
        return HeldOut(
            self.first.plus(other.first), self.visited.plus(other.visited), self.length.plus(other.length),
            self.triples.plus(other.triples), self.times.plus(other.times),
        )  # fmt: skip


def _times(block: Block, goal: Goal) -> Counted:
    reached = block.reached(goal)
    won = np.flatnonzero(reached >= 0)
    hours = (block.time[reached[won]] - block.time[block.journey_offsets[:-1][won]]) / 3.6e9
    return Counted(np.arange(3), np.array([won.size, hours.sum(), (hours**2).sum()], np.float64))


def time_check(seconds: float, held_out: HeldOut) -> ChainCheck:
    """Hold the mean time to the goal that a chain of other customers foretells against held-out journeys.

    A gap is allowed up to 5 % of the time, or up to what chance gives in one of a hundred checks.
    """
    n, total, squares = held_out.times.of(np.arange(3)).tolist()
    if n < FEWEST or not np.isfinite(seconds) or not total:
        return ChainCheck(what="held-out times to the goal", n=int(n), passed=False)
    mean = total / n
    error = float(np.sqrt(max(squares / n - mean**2, 0.0) / (n - 1)))
    gap = abs(seconds / 3600 - mean) / mean
    # the chain comes from as many customers, so that its own error counts as well
    allowed = max(float(z_value(1 - ERROR)) * float(np.sqrt(2)) * error / mean, TOLERANCE)
    return ChainCheck(
        what="mean time to the goal, as a share of it", gap=gap, allowed=allowed, n=int(n), passed=gap <= allowed
    )


def checks(chain: Chain, states: Ints, held_out: HeldOut, width: int) -> tuple[ChainCheck, ...]:
    """Hold a chain against journeys that it has not seen.

    A gap is allowed up to 5 points, or up to what chance gives in one of a hundred checks where that is more. The
    share of conversions as a whole is no check: a chain of any order reproduces it.

    Args:
        chain: Fitted to other customers.
        states: Touchpoint codes of its states.
        held_out: The journeys.
        width: Base of the codes of steps.
    """
    return tuple(_checks(chain, states, held_out, width))


def _checks(chain: Chain, states: Ints, held_out: HeldOut, width: int) -> Iterator[ChainCheck]:
    if held_out.length.counts.sum() < FEWEST:
        n = int(held_out.length.counts.sum())
        yield ChainCheck(what="held-out journeys", n=n, passed=False)
        return
    chance = absorption_probabilities(chain)[0]
    yield _conversion("conversion given the first touchpoint", held_out.first, states, chance)
    yield _conversion("conversion given a visited touchpoint", held_out.visited, states, chance)
    yield _lengths(chain, held_out.length)
    yield from _memory(chain, states, held_out.triples, width)


def _conversion(what: str, seen: Counted, states: Ints, chance: Floats) -> ChainCheck:
    lost, won = seen.of(states * 2), seen.of(states * 2 + 1)
    n = lost + won
    enough = np.flatnonzero(n >= FEWEST)
    if not enough.size:
        return ChainCheck(
            what=f"{what}: none has {FEWEST} journeys, which", gap=0.0, allowed=TOLERANCE, n=0, passed=True
        )
    share = won[enough] / n[enough]
    gap = np.abs(share - chance[enough])
    # the chain comes from as many customers, so that its own error counts as well
    middle = (share + chance[enough]) / 2
    noise = z_value(1 - ERROR / enough.size) * np.sqrt(2 * middle * (1 - middle) / n[enough])
    allowed = np.maximum(noise, TOLERANCE)
    worst = int(np.argmax(gap - allowed))
    return ChainCheck(
        what=what, gap=float(gap[worst]), allowed=float(allowed[worst]), n=int(n[enough][worst]),
        passed=bool(gap[worst] <= allowed[worst]),
    )  # fmt: skip


def _lengths(chain: Chain, seen: Counted) -> ChainCheck:
    """Largest difference of the shares of journeys up to any length (Kolmogorov & Smirnov)."""
    n = float(seen.counts.sum())
    observed = np.cumsum(seen.of(np.arange(MOST_LENGTH))) / n
    foretold, at = np.empty(MOST_LENGTH), chain.start
    ended = float(chain.start_goal)
    for length in range(MOST_LENGTH):
        if length:
            ended += float(at @ (chain.goal + chain.lost))
            at = at @ chain.transitions
        foretold[length] = ended
    gap = float(np.abs(observed - foretold).max())
    allowed = max(float(np.sqrt(-np.log(ERROR / 2) / 2 * 2 / n)), TOLERANCE)
    return ChainCheck(what="distribution of lengths", gap=gap, allowed=allowed, n=int(n), passed=gap <= allowed)


def _memory(chain: Chain, states: Ints, seen: Counted, width: int) -> Iterator[ChainCheck]:
    """Whether what comes next depends on the touchpoint before the last: runs of three, and the test of the order."""
    pairs, pair = compress(seen.keys // width)
    total = grouped_sum(pair, seen.counts, pairs.size)[pair]
    share = _foretold(chain, states, seen.keys, width)
    n = float(seen.counts.sum())
    # what was foretold of runs that did not come is the rest of each pair
    missed = float(seen.counts.sum() - (total * share).sum())
    gap = (float(np.abs(seen.counts - total * share).sum()) + max(missed, 0.0)) / 2 / n
    # mean absolute difference of two counts that chance alone makes, half of it twice
    noise = float(np.sqrt(total * share * (1 - share)).sum()) / n / np.sqrt(np.pi)
    allowed = max(1.5 * float(noise), TOLERANCE)
    yield ChainCheck(what="runs of three touchpoints", gap=gap, allowed=allowed, n=int(n), passed=gap <= allowed)
    yield _order(seen, total, width)


def _foretold(chain: Chain, states: Ints, keys: Ints, width: int) -> Floats:
    """Probability of the last step of each run; 0 after a touchpoint that the chain does not know."""
    here, last = keys // width % width - 1, keys % width
    row, target = (np.minimum(np.searchsorted(states, code), states.size - 1) for code in (here, last - 1))
    inner = np.where(states[target] == last - 1, chain.transitions[row, target], 0.0)
    share = np.where(last == 0, chain.lost[row], np.where(last == width - 1, chain.goal[row], inner))
    return np.where(states[row] == here, share, 0.0)


def _order(seen: Counted, total: Floats, width: int) -> ChainCheck:
    """Likelihood-ratio test of order 1 against 2, in bits a step beyond what the free numbers save by chance."""
    from scipy.special import chdtrc

    n = float(seen.counts.sum())
    short, place = compress(seen.keys % width**2)
    here, at = compress(short // width)
    runs = grouped_sum(place, seen.counts, short.size)
    share = runs / grouped_sum(at, runs, here.size)[at]
    statistic = 2 * float(seen.counts @ np.log(seen.counts / total / share[place]))
    pairs = distinct_codes(seen.keys // width)
    before = np.bincount(np.searchsorted(here, pairs % width), minlength=here.size)
    degrees = int(((before - 1) * (np.bincount(at, minlength=here.size) - 1)).sum())
    saved = float(max(statistic - degrees, 0.0) / (2 * np.log(2) * n))
    chance = float(chdtrc(degrees, statistic)) if degrees else 1.0
    return ChainCheck(
        what="order of the chain, bits saved by a longer memory", gap=saved, allowed=TOLERANCE, n=int(n),
        passed=saved <= TOLERANCE or chance > ERROR,
    )  # fmt: skip
