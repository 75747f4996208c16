"""Forecasts held against what came: log-loss, hits and calibration of an outlook on journeys it has not seen."""

from __future__ import annotations

import math
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits import chain_steps
from cxmodel.analysis.outlook import Outlook
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.selecting import keep_journeys
from cxmodel.data.times import instant
from cxmodel.errors import InvalidValueError, NoRowsError, NotComparableError
from cxmodel.model.estimates import Estimate, Interval, no_value
from cxmodel.stats.arrays import Ints, compress, integers
from cxmodel.stats.backoff import Backoff
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import percentiles
from cxmodel.tallies.metrics import SMALL, Tally
from cxmodel.tallies.runner import Request, measure
from cxmodel.typing import Journeyed

TOP: Final = (1, 3)
BINS: Final = 10


@frozen(kw_only=True)
class ReliabilityBin:
    """Chances of about one size, and what came of them.

    Attributes:
        forecast: Mean chance that was foretold.
        observed: Share that reached the goal.
        low: Lower end of the band around ``observed``; all bands hold together with the level.
        high: Upper end.
        n: Forecasts.
    """

    forecast: float
    observed: float
    low: float
    high: float
    n: int

    @property
    def inside(self) -> bool:
        """Whether what was foretold lies within the band."""
        return self.low <= self.forecast <= self.high

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "forecast": self.forecast, "observed": self.observed, "low": self.low, "high": self.high, "n": self.n,
            "inside": self.inside,
        }  # fmt: skip


@frozen(kw_only=True)
class ForecastCheck:
    """How well an outlook foretold journeys that it had not seen.

    Attributes:
        goal: Name of the goal.
        log_loss: Mean −ln p of the steps that came, in nats; lower is better.
        baselines: The same of chains of order 0 and 1 with ½ added to every count.
        gains: Log-loss minus that of each baseline, with bootstrap intervals by customer; below 0 is better.
        top: k → share of steps that were among the k most likely.
        slope: Calibration slope of the chance of the goal: 1 is right, below 1 too sure, above 1 too cautious.
        bins: Reliability of the chance of the goal in up to ten bins of about equal size.
        steps: Steps foretold.
        journeys: Journeys that were looked at.
        left_out: Journeys that were not, because they began before the outlook's end.
    """

    goal: str
    log_loss: Estimate
    baselines: tuple[Estimate, Estimate]
    gains: tuple[Estimate, Estimate]
    top: tuple[tuple[int, Estimate], ...]
    slope: Estimate
    bins: tuple[ReliabilityBin, ...] = field(repr=False)
    steps: int
    journeys: int
    left_out: int

    @property
    def level(self) -> float:
        """Confidence level of the intervals, and of all bands together."""
        return self.log_loss.interval.level if self.log_loss.interval is not None else 0.95

    @property
    def reliable(self) -> bool:
        """Whether no bin was foretold outside its band."""
        return all(each.inside for each in self.bins)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "goal": self.goal, "log_loss": self.log_loss.to_dict(),
            "baselines": [each.to_dict() for each in self.baselines],
            "gains": [each.to_dict() for each in self.gains],
            "top": [{"k": k, **share.to_dict()} for k, share in self.top], "slope": self.slope.to_dict(),
            "bins": [each.to_dict() for each in self.bins], "reliable": self.reliable,
            "steps": self.steps, "journeys": self.journeys, "left_out": self.left_out,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [
            f"{self.steps:,} steps of {self.journeys:,} journeys; {self.left_out:,} began earlier and were left out",
            f"  log-loss {self.log_loss:.4f}",
            *(f"  minus order {order}: {gain:.4f}" for order, gain in enumerate(self.gains)),
            *(f"  among the {k} most likely: {share:.1%}" for k, share in self.top),
            f"  calibration slope of the chance: {self.slope:.2f}",
            f"  reliability: {sum(each.inside for each in self.bins)} of {len(self.bins)} bins inside their bands",
        ]
        return "\n".join(lines)


@frozen(eq=False)
class _Scores:
    """One row per step, and one per forecast of the chance; customers are numbered through.

    Attributes:
        customers: Customers looked at.
        journeys: Journeys looked at and left out.
        step: (n,) customer of each step.
        scores: (5, n) −ln p of the outlook and of the baselines, and whether the step was among the most likely.
        forecast: (m,) customer of each forecast of the chance.
        chance: (m,) what was foretold.
        came: (m,) 1 where the goal was reached.
    """

    customers: int
    journeys: tuple[int, int]
    step: Ints
    scores: Floats
    forecast: Ints
    chance: Floats
    came: Floats


@frozen(kw_only=True)
class _Forecasts(Tally[_Scores, _Scores]):
    """Scores every step of journeys that begin at or after the outlook's end."""

    name: ClassVar[str] = "forecasts"
    observes: ClassVar[Unit] = "journey"

    outlook: Outlook
    baselines: tuple[Backoff, Backoff]

    def start(self) -> _Scores:
        """Nothing."""
        none, no_numbers = np.zeros(0, np.int64), np.zeros(0)
        return _Scores(0, (0, 0), none, np.zeros((3 + len(TOP), 0)), none, no_numbers, no_numbers)

    def add(self, state: _Scores, block: Block, cells: Cells[Any]) -> _Scores:
        """Score the steps of one block."""
        part = self._later(block)
        owner, code = chain_steps(part, self.outlook.goal, self.outlook.model.order)
        came = (part.reached(self.outlook.goal) >= 0).astype(np.float64)
        complete = np.ones(part.journeys, np.bool_) if part.still_open is None else ~part.still_open | (came > 0)
        width = self.outlook.model.width
        # a forecast of the chance is made at every touchpoint; the beginning is no place of its own
        asked = complete[owner] & (code // width > 0)
        rows = self.outlook.model.locate(code[asked] // width)
        looked_at = int((part.lengths > 0).sum())
        return self.merge(
            state,
            _Scores(
                part.customers, (looked_at, int((block.lengths > 0).sum()) - looked_at),
                part.customer_of_journey[owner], self._scores(code), part.customer_of_journey[owner[asked]],
                self.outlook.solved[0][rows], came[owner[asked]],
            ),
        )  # fmt: skip

    def _later(self, block: Block) -> Block:
        if self.outlook.until is None:
            return block
        begins = np.zeros(block.journeys, np.bool_)
        begins[block.journey[block.first]] = block.time[block.first] >= instant(self.outlook.until)
        return keep_journeys(block, begins)

    def _scores(self, code: Ints) -> Floats:
        if not code.size:
            return np.zeros((3 + len(TOP), 0))
        distinct, place = compress(code)
        model, width = self.outlook.model, self.outlook.model.width
        losses = [-np.log(each.probability(distinct)) for each in (model, *self.baselines)]
        contexts, row = compress(distinct // width)
        rank = np.empty(distinct.size, np.int64)
        order = np.argsort(row, kind="stable")
        pieces = np.split(order, np.searchsorted(row[order], np.arange(1, contexts.size)))
        for context, piece in zip(integers(contexts), pieces, strict=True):
            shares = model.distribution(context)
            rank[piece] = (shares[None, :] > shares[distinct[piece] % width][:, None]).sum(axis=1)
        return np.stack([*losses, *(np.asarray(rank < k, np.float64) for k in TOP)])[:, place]

    def merge(self, a: _Scores, b: _Scores) -> _Scores:
        """Side by side, with customers numbered through."""
        return _Scores(
            a.customers + b.customers, (a.journeys[0] + b.journeys[0], a.journeys[1] + b.journeys[1]),
            np.concatenate([a.step, b.step + a.customers]), np.concatenate([a.scores, b.scores], axis=1),
            np.concatenate([a.forecast, b.forecast + a.customers]), np.concatenate([a.chance, b.chance]),
            np.concatenate([a.came, b.came]),
        )  # fmt: skip

    def finish(self, state: _Scores, cells: Cells[Any], level: float) -> dict[int, _Scores]:
        """As it is."""
        return {0: state}


def evaluate(outlook: Outlook, later: Journeyed, *, bootstrap: int = 1_000, seed: int = 0) -> ForecastCheck:
    """Hold an outlook against later journeys.

    Only journeys that begin at or after ``outlook.until`` count. Every step up to the goal is foretold, the first and
    the end included, except the end of journeys in progress. The baselines are chains of order 0 and 1, fitted on the
    same steps as the outlook, with ½ added to the count of everything that may follow.

    Raises:
        NotComparableError: When the journeys come from another log, whose touchpoints have other codes.
        NoRowsError: When no journey begins late enough.
    """
    population = later.population
    if tuple(population.vocabulary.touchpoints) != outlook.touchpoints:
        raise NotComparableError(
            "these journeys have other touchpoints than the outlook",
            hint="Read both as one log, and fit with journeys.outlook(goal, until=…)",
        )
    if bootstrap < 2:
        raise InvalidValueError(f"bootstrap is a number of replicates, at least 2, got {bootstrap!r}")
    tally = _Forecasts(outlook=outlook, baselines=(_baseline(outlook, 0), _baseline(outlook, 1)))
    cells: Cells[Any] = Cells(
        vocabulary=population.vocabulary, facts=population.facts, origin=population.origin, level=outlook.level
    )
    scores: _Scores = measure(population, [Request(tally, cells)])[0]
    if not scores.step.size:
        raise NoRowsError(
            f"no journey begins at or after {outlook.until}", hint="Fit on less: journeys.outlook(goal, until=…)"
        )
    return _check(outlook, scores, bootstrap, seed)


def _baseline(outlook: Outlook, order: int) -> Backoff:
    """A chain of order 0 or 1 with ½ added to the count of everything that may follow."""
    model = outlook.model
    half = float((model.base > 0).sum()) / 2
    distinct, place = compress(model.codes % model.width ** (order + 1))
    counts = np.bincount(place, model.counts, distinct.size).astype(np.float64)
    # a strength beyond all counts leaves the base alone, so that order 1 does not rest on order 0
    strengths = (half,) if order == 0 else (1e15, half)
    return Backoff(
        width=model.width, order=order, codes=distinct, counts=counts, base=model.base, strengths=strengths
    )  # fmt: skip


def _check(outlook: Outlook, scores: _Scores, bootstrap: int, seed: int) -> ForecastCheck:
    n = np.bincount(scores.step, minlength=scores.customers).astype(np.float64)
    sums = np.stack([np.bincount(scores.step, each, scores.customers) for each in scores.scores])
    kept = n > 0
    sums, n = sums[:, kept], n[kept]
    values = np.stack([*sums, sums[0] - sums[1], sums[0] - sums[2]])
    low, high = percentiles(_replicates(values, n, bootstrap, seed), outlook.level)
    means, steps = values.sum(axis=1) / n.sum(), round(float(n.sum()))

    def estimate(row: int, unit: str, direction: Any) -> Estimate:
        interval = Interval(float(low[row]), float(high[row]), outlook.level, f"bootstrap of customers ({bootstrap:,})")
        return Estimate(
            value=float(means[row]), n=steps, unit=unit, direction=direction,
            interval=interval if n.size > 1 else None, flags=("small_n",) if steps < SMALL else (),
        )  # fmt: skip

    hits = tuple((k, estimate(3 + i, "share", "higher")) for i, k in enumerate(TOP))
    return ForecastCheck(
        goal=outlook.goal.name, log_loss=estimate(0, "nats", "lower"),
        baselines=(estimate(1, "nats", "lower"), estimate(2, "nats", "lower")),
        gains=(estimate(3 + len(TOP), "nats", "lower"), estimate(4 + len(TOP), "nats", "lower")), top=hits,
        slope=_slope(scores, outlook.level), bins=_bins(scores, outlook.level), steps=steps,
        journeys=scores.journeys[0], left_out=scores.journeys[1],
    )  # fmt: skip


def _replicates(values: Floats, n: Floats, bootstrap: int, seed: int) -> Floats:
    """(f, bootstrap) ratios of sums over customers that were drawn with replacement."""
    generator = np.random.Generator(np.random.PCG64(seed))
    out = np.empty((values.shape[0], bootstrap))
    for turn in range(bootstrap):
        drawn = np.bincount(generator.integers(0, n.size, n.size), minlength=n.size).astype(np.float64)
        out[:, turn] = values @ drawn / (n @ drawn)
    return out


def _slope(scores: _Scores, level: float) -> Estimate:
    """Slope of the logistic regression of what came on the logit of the chance, clustered by customer."""
    n = int(scores.came.size)
    chance = np.clip(scores.chance, 1e-9, 1 - 1e-9)
    x = np.stack([np.ones(n), np.log(chance / (1 - chance))])
    if n < SMALL or not 0 < scores.came.sum() < n or np.ptp(x[1]) < 1e-9:
        return no_value("too few forecasts, or all of them alike", n=n, unit="slope")
    beta, bread = np.array([0.0, 1.0]), np.zeros((2, 2))
    for _ in range(50):
        p = 1 / (1 + np.exp(-beta @ x))
        bread = np.linalg.pinv((x * (p * (1 - p))) @ x.T)
        step = bread @ (x @ (scores.came - p))
        beta = beta + np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-10:
            break
    else:
        return no_value("the chances part those who reached the goal from all others", n=n, unit="slope")
    p = 1 / (1 + np.exp(-beta @ x))
    by_customer = np.stack([np.bincount(scores.forecast, row * (scores.came - p)) for row in x])
    variance, slope = float((bread @ (by_customer @ by_customer.T) @ bread)[1, 1]), float(beta[1])
    if not variance > 0:
        return no_value("the chances are all but alike", n=n, unit="slope")
    half = z_value(level) * math.sqrt(variance)
    return Estimate(
        value=slope, n=n, unit="slope",
        interval=Interval(slope - half, slope + half, level, "sandwich, by customer"),
    )  # fmt: skip


def _bins(scores: _Scores, level: float) -> tuple[ReliabilityBin, ...]:
    """Up to ten bins of equally many forecasts, with Bonferroni bands clustered by customer."""
    if not scores.chance.size:
        return ()
    edges = np.unique(np.quantile(scores.chance, np.arange(1, BINS) / BINS))
    code = np.searchsorted(edges, scores.chance, side="left")
    found = []
    used = np.unique(code)
    z = z_value(1 - (1 - level) / used.size)
    for each in integers(used):
        inside = code == each
        came, n = scores.came[inside], int(inside.sum())
        share = float(came.mean())
        surplus = np.bincount(scores.forecast[inside], came - share)
        # a bin in which all agree is not certain: half a journey is added to either side
        half = z * max(float(np.sqrt((surplus**2).sum())) / n, 0.5 / n)
        found.append(
            ReliabilityBin(
                forecast=float(scores.chance[inside].mean()), observed=share, low=max(share - half, 0.0),
                high=min(share + half, 1.0), n=n,
            )
        )  # fmt: skip
    return tuple(found)
