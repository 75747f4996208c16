"""Path chains: the first-order chain of journeys towards a goal, its most probable paths and how varied they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits import chain_steps, goal_missing
from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import NotMeasurableError
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Flag, Interval, Origin, no_value
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.listed import Listed
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, compress, integers
from cxmodel.stats.chains import (
    Chain,
    absorption_probabilities,
    chain_from_counts,
    path_entropy,
    reach_probability,
    visits_from_start,
)
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import z_value
from cxmodel.stats.sparse_chains import MOST_TERMS, SparseChain, sparse_chain, sparse_chain_from_counts
from cxmodel.stats.walks import most_probable_walks
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import draws, jackknife_error, left_out, percentiles, replicated
from cxmodel.tallies.metrics import SMALL, SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums

MOST_DENSE: Final = 2_000
MOST_REPLICATED: Final = 150


@frozen(kw_only=True)
class ProbablePath:
    """A path to the goal.

    Attributes:
        touchpoints: Before the goal, in order; a touchpoint may come again.
        probability: Probability that a journey of the chain takes exactly this path.
    """

    touchpoints: tuple[str, ...]
    probability: float

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"touchpoints": list(self.touchpoints), "probability": self.probability}


@frozen(kw_only=True)
class Visits:
    """How often journeys of the chain come to a touchpoint before they reach the goal or end.

    Attributes:
        touchpoint: Its name.
        visits: Expected visits of a journey.
        reach: Probability that a journey comes there at all; None where it cannot end from there, and in chains of more
            than 2,000 touchpoints.
        to_goal: Probability to reach the goal from there.
    """

    touchpoint: str
    visits: float | None
    reach: float | None
    to_goal: float

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.touchpoint, "visits": self.visits, "reach": self.reach, "to_goal": self.to_goal,
        }  # fmt: skip


@frozen(kw_only=True)
class ChainTable:
    """The chain of journeys towards a goal.

    Attributes:
        goal: Name of the goal.
        journeys: Journeys with an event.
        goal_share: Probability to reach the goal: the share of complete journeys that do.
        entropy: Entropy of whole paths, in bits.
        effective: Effective number of paths, 2 to the entropy: that many equally frequent ones would be as varied.
        events: Expected touchpoints of a journey before the goal or its end.
        visits: Touchpoints, most visited first.
        shown: The most probable paths to the goal.
        other: Probability of all other paths to the goal together.
    """

    goal: str
    journeys: int
    goal_share: float | None
    entropy: Estimate
    effective: Estimate
    events: Estimate
    visits: Listed[Visits] = field(repr=False)
    shown: tuple[ProbablePath, ...]
    other: float
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "goal": self.goal, "journeys": self.journeys, "goal_share": self.goal_share,
            "entropy": self.entropy.to_dict(), "effective": self.effective.to_dict(), "events": self.events.to_dict(),
            "visits": [each.to_dict() for each in self.visits], "paths": [each.to_dict() for each in self.shown],
            "other": {"probability": self.other},
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [
            f"{self.journeys:,} journeys towards {self.goal}; {self.entropy}, as varied as {self.effective}",
            *(f"  {' → '.join(each.touchpoints) or '(at once)'}: {each.probability:.2%}" for each in self.shown),
        ]
        return "\n".join([*lines, f"  other paths to {self.goal}: {self.other:.2%}"])


@frozen(kw_only=True)
class PathChain(SumTally[ChainTable]):
    """The first-order chain fitted to journeys up to their first attainment of a goal.

    Most probable paths may pass a touchpoint again. Entropy H = H(start) + Σ_i N_i·H(p_i) bits, with N_i the expected
    visits (Ekroot & Cover 1993, IEEE Trans. Inf. Theory 39:1418); it is a plug-in value and too low where journeys are
    few. Intervals by the jackknife over customer buckets, or ``bootstrap=``; above 150 touchpoints there are none
    (flagged ``not_replicated``). Without an inactivity rule journeys in progress count as ended: ``open_unknown``.

    Attributes:
        goal: Where paths lead.
        k: How many of the most probable paths to list.
    """

    name: ClassVar[str] = "path_chain"
    unit: ClassVar[str] = "bits"
    observes: ClassVar[Unit] = "journey"
    clustered: ClassVar[bool] = False

    goal: Goal = field(converter=as_goal)
    k: int = field(default=10, validator=validators.whole(0))

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur."""
        return goal_missing(self.goal, facts)

    def observe(self, block: Block) -> Observations:
        """One observation per step: its key says from where to where."""
        journey, key = chain_steps(block, self.goal, 1)
        return observe("journey", journey, key)

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> ChainTable:
        """Solve the chain for the data, and for each replicate."""
        steps = ChainSteps.of(sums.key, len(cells.vocabulary.touchpoints) + 2)
        if not sums.rows:
            return self._without(cells)
        solved = steps.solved(sums["n"])
        if not np.isfinite(solved.goal_share):
            raise NotMeasurableError(
                f"{self.name}: some of these journeys go round for more than {MOST_TERMS:,} steps, too long to follow",
                hint="Merge repeats, journeys.merge_repeats(), or fold rare touchpoints, journeys.fold_rare(keep=2000)",
            )
        entropy, events = self._estimates(sums, steps, solved, cells, level)
        names = cells.vocabulary.touchpoints
        shown = tuple(
            ProbablePath(
                touchpoints=tuple(names[int(steps.states[s])] for s in walk.states), probability=walk.probability
            )
            for walk in most_probable_walks(solved.chain, self.k)
        )
        return ChainTable(
            goal=self.goal.name, journeys=entropy.n, goal_share=solved.goal_share, entropy=entropy,
            effective=_effective(entropy), events=events, shown=shown,
            visits=solved.visited([names[s] for s in integers(steps.states)]),
            other=max(solved.goal_share - sum(each.probability for each in shown), 0.0),
            origin=cells.origin,
        )  # fmt: skip

    def _without(self, cells: Cells[Any]) -> ChainTable:
        none = no_value("no journeys", unit="bits")
        return ChainTable(
            goal=self.goal.name, journeys=0, goal_share=None, entropy=none, effective=none, events=none,
            visits=Listed.of((), ()), shown=(), other=0.0, origin=cells.origin,
        )  # fmt: skip

    def _estimates(
        self, sums: Sums, steps: ChainSteps, solved: Solved, cells: Cells[Any], level: float
    ) -> tuple[Estimate, Estimate]:
        """Entropy and expected events."""
        values = np.array([solved.entropy, solved.visits.sum()])
        low, high, method = self._ends(sums, steps, values, cells, level)
        n = round(float(sums["n"][steps.source < 0].sum()))
        marks: dict[Flag, bool] = {
            "small_n": n < SMALL, "open_unknown": not cells.facts.inactivity_declared,
            "not_replicated": steps.states.size > MOST_REPLICATED,
        }  # fmt: skip
        flags: tuple[Flag, ...] = tuple(flag for flag, there in marks.items() if there)
        found = []
        for i, unit in enumerate(("bits", "events")):
            if not np.isfinite(values[i]):
                found.append(no_value("some journeys in progress cannot be followed to an end", n=n, unit=unit))
                continue
            known = bool(np.isfinite(low[i] + high[i]))
            interval = Interval(max(float(low[i]), 0.0), float(high[i]), level, method) if known else None
            found.append(
                Estimate(
                    value=float(values[i]), n=n, unit=unit, range=(0.0, np.inf), interval=interval,
                    flags=flags, origin=cells.origin,
                )
            )  # fmt: skip
        return found[0], found[1]

    def _ends(
        self, sums: Sums, steps: ChainSteps, values: Floats, cells: Cells[Any], level: float
    ) -> tuple[Floats, Floats, str]:
        none = np.full(values.size, np.nan)
        if steps.states.size > MOST_REPLICATED:
            return none, none, ""
        if cells.bootstrap:
            totals = replicated(sums, draws(cells.bootstrap, cells.seed))[0].T
            low, high = percentiles(steps.values(totals).T, level)
            return low, high, f"bootstrap of customers ({cells.bootstrap:,})"
        without, there = left_out(sums)
        if there.sum() < 2:
            return none, none, ""
        se = jackknife_error(steps.values(without[0].T[there]).T, np.ones(int(there.sum()), np.bool_))
        half = z_value(level) * se
        return values - half, values + half, "jackknife over customer buckets"


def _effective(entropy: Estimate) -> Estimate:
    if entropy.value is None:
        return no_value(entropy.reason or "no entropy", n=entropy.n, unit="paths")
    ends = entropy.interval
    interval = Interval(2**ends.low, 2**ends.high, ends.level, ends.method) if ends else None
    return Estimate(
        value=2**entropy.value, n=entropy.n, unit="paths", range=(1.0, np.inf), interval=interval, flags=entropy.flags,
        origin=entropy.origin,
    )  # fmt: skip


@frozen(eq=False)
class Solved:
    """What follows from a chain of K touchpoints.

    Attributes:
        chain: The chain.
        visits: (K,) expected visits.
        reach: (K,) probability to come there at all; NaN where it is not known.
        to_goal: (K,) probability to reach the goal from there.
        goal_share: Probability to reach it from the start.
        entropy: Entropy of whole walks, in bits.
    """

    chain: SparseChain
    visits: Floats
    reach: Floats
    to_goal: Floats
    goal_share: float
    entropy: float

    def visited(self, names: Sequence[str]) -> Listed[Visits]:
        """The touchpoints, most visited first."""
        order = np.argsort(-np.nan_to_num(self.visits), kind="stable")
        known = [None if np.isnan(each) else each for each in (self.visits[order]).tolist()]
        reach = [None if np.isnan(each) else each for each in (self.reach[order]).tolist()]
        to_goal, names = self.to_goal[order].tolist(), [names[row] for row in integers(order)]
        return Listed(
            names, lambda at: Visits(touchpoint=names[at], visits=known[at], reach=reach[at], to_goal=to_goal[at])
        )


@frozen(eq=False)
class ChainSteps:
    """Where each row of the sums belongs in the chain.

    Attributes:
        states: Touchpoint codes that occur before the goal.
        source: (r,) state of each row; −1 for the start.
        target: (r,) state that follows; −1 for an end.
        to_goal: (r,) whether the goal follows.
    """

    states: Ints
    source: Ints
    target: Ints
    to_goal: Any

    @classmethod
    def of(cls, key: Ints, width: int) -> ChainSteps:
        """Read the keys: (code + 1 or 0 for the start) × width + (code + 1, 0 for lost, width − 1 for the goal)."""
        context, last = key // width, key % width
        to_goal = last == width - 1
        found, place = compress(np.concatenate([context, np.where(to_goal, 0, last)]))
        offset = int(found.size > 0 and found[0] == 0)
        return cls(found[offset:] - 1, place[: key.size] - offset, place[key.size :] - offset, to_goal)

    def solved(self, totals: Floats) -> Solved:
        """The chain for totals (r,), solved at once where that is small, else step by step."""
        size = self.states.size
        if size > MOST_DENSE:
            sparse = sparse_chain_from_counts(self.source, self.target, totals, self.to_goal, size)
            return Solved(
                sparse, sparse.visits, np.full(size, np.nan), sparse.to_goal, sparse.goal_share, sparse.entropy
            )
        chain = self.chain(totals)
        to_goal = absorption_probabilities(chain)[0]
        return Solved(
            sparse_chain(chain), visits_from_start(chain), reach_probability(chain), to_goal,
            float(chain.start @ to_goal + chain.start_goal), float(path_entropy(chain)),
        )  # fmt: skip

    def chain(self, totals: Floats) -> Chain:
        """The chain for totals (…, r)."""
        size, batch = self.states.size, totals.shape[:-1]
        counts = np.zeros((*batch, size + 1, size + 2))
        # the last row is the start; the last two columns are lost and goal
        column = np.where(self.target >= 0, self.target, np.where(self.to_goal, size + 1, size))
        counts[..., self.source, column] = totals
        inner, start = counts[..., :size, :], counts[..., size, :]
        return chain_from_counts(
            inner[..., :size], start[..., :size], inner[..., size + 1], inner[..., size], start[..., size + 1],
            start[..., size],
        )  # fmt: skip

    def values(self, totals: Floats) -> Floats:
        """(b, 2) path entropy and expected events of b sets of totals (b, r)."""
        pieces = [totals[a : a + 64] for a in range(0, totals.shape[0], 64)]
        return np.concatenate([_values(self.chain(piece)) for piece in pieces])


def _values(chain: Chain) -> Floats:
    return np.stack([path_entropy(chain), visits_from_start(chain).sum(axis=-1)], axis=-1)
