"""Drivers of a score: importance with its sign, and what bad and best answers cost and earn."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal

import numpy as np
from attrs import frozen

from cxmodel.analysis.driver_results import Driver, DriverTable
from cxmodel.analysis.score_tables import By, Per, ScoreTable, score_table
from cxmodel.errors import InvalidValueError, NotMeasurableError, listed
from cxmodel.model.estimates import Estimate, Flag, Interval, Origin, no_value
from cxmodel.model.scales import Scale
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.stats.drivers import (
    MOST_EXACT,
    coefficients,
    contrast,
    correlation,
    covariance,
    dependent,
    johnson_weights,
    lmg,
    moments,
    sampled_lmg,
)
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import FEW_CUSTOMERS
from cxmodel.tallies.inference import draws, jackknife_error, percentiles
from cxmodel.tallies.metrics import SMALL
from cxmodel.typing import Population

Missing = Literal["leave out", "mean"]
_ORDERS: Final = 2_000
_FEW_ORDERS: Final = 60


def drivers(
    population: Population, *, of: str, items: Sequence[str] | None = None, by: By = "question",
    per: Per | None = None, missing: Missing = "leave out", bad: float | None = None, best: float | None = None,
    level: float = 0.95, bootstrap: int = 500, seed: int = 0,
) -> DriverTable:  # fmt: skip
    """What drives a score; see `cxmodel.Responses.drivers` for the arguments.

    Raises:
        NotMeasurableError: Too few rows, or drivers that cannot be told apart.
    """
    if missing not in ("leave out", "mean"):
        raise InvalidValueError(f"missing is 'leave out' or 'mean', got {missing!r}")
    table = score_table(population, outcome=of, items=items, by=by, per=per, seed=seed)
    rows = _Rows.of(table, missing)
    _check(rows, table, of)
    low, high = _thresholds(table, bad, best)
    sample = _Sample(rows.bucket, table.customers, bootstrap, seed, level)
    drawn = _importance(rows, sample, seed)
    extremes = _extremes(rows, low, high, table, sample)
    names = table.names
    made = _Making(rows.outcome.size, sample, population.origin)
    found = [_driver(name, i, drawn, extremes, made) for i, name in enumerate(names)]
    found.sort(key=lambda each: (-(each.share.value or 0.0), each.name))
    better = [f"at {x:g}" if end else f"{x:g} and better" for x, end in _ends(table, high)]
    return DriverTable(
        by=("driver",), metric="drivers", groups={each.name: each for each in found}, of=of,
        r2=made.estimate(drawn.r2, 0, "share", (0.0, 1.0), ""), n=int(rows.outcome.size), left_out=rows.left_out,
        filled=rows.filled, method=drawn.method,
        bad={name: f"worse than {x:g}" for name, x in zip(names, low.tolist(), strict=True)},
        best=dict(zip(names, better, strict=True)),
    )  # fmt: skip


@frozen(eq=False)
class _Rows:
    values: Floats
    outcome: Floats
    weight: Floats
    bucket: Ints
    left_out: int
    filled: int

    @classmethod
    def of(cls, table: ScoreTable, missing: Missing) -> _Rows:
        absent = np.isnan(table.values)
        if missing == "leave out":
            keep = ~absent.any(axis=1)
            return cls(
                table.values[keep], table.outcome[keep], table.weight[keep], table.bucket[keep], int((~keep).sum()), 0
            )
        given = ~absent * table.weight[:, None]
        mean = ratio((np.nan_to_num(table.values) * given).sum(axis=0), given.sum(axis=0))
        values = np.where(absent, mean, table.values)
        return cls(values, table.outcome, table.weight, table.bucket, 0, int(absent.sum()))


def _check(rows: _Rows, table: ScoreTable, of: str) -> None:
    n, p = rows.values.shape
    if n < p + 2:
        raise NotMeasurableError(
            f"drivers: {n:,} rows have {of!r} and all {p} drivers, and at least {p + 2} are needed",
            hint="Name fewer drivers with items=[…], or fill gaps with missing='mean'",
        )
    cov = covariance(moments(np.column_stack([rows.values, rows.outcome]), rows.weight))
    if not cov[-1, -1] > 0:
        raise NotMeasurableError(f"drivers: all answers to {of!r} are the same, so nothing can drive them")
    found = [table.names[i] for i in dependent(cov).tolist()]
    if found:
        raise NotMeasurableError(
            f"drivers: {listed(found)} do not vary, or say what other drivers say already; "
            "shares among them would mean nothing",
            hint=f"Leave out with items=: {listed(found)}",
        )


@frozen(eq=False)
class _Sample:
    """How the rows are resampled: buckets of customers."""

    bucket: Ints
    customers: int
    bootstrap: int
    seed: int
    level: float

    @property
    def drawn(self) -> bool:
        return self.bootstrap > 0 and self.customers >= FEW_CUSTOMERS

    @property
    def method(self) -> str:
        if self.drawn:
            return f"bootstrap of customers ({self.bootstrap:,})"
        few = "; too few customers to resample" if self.bootstrap else ""
        return f"jackknife over customer buckets{few}"

    def moments(self, values: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Moments of the data, and of the replicates or with one bucket left out at a time."""
        order = np.argsort(self.bucket, kind="stable")
        there, start = np.unique(self.bucket[order], return_index=True)
        stop = np.append(start[1:], order.size)
        parts = np.stack([
            moments(values[order[a:b]], weight[order[a:b]]) for a, b in zip(start.tolist(), stop.tolist(), strict=True)
        ])  # fmt: skip
        whole = parts.sum(axis=0)
        if not self.drawn:
            return whole, whole - parts
        weights = draws(self.bootstrap, self.seed)[there]
        return whole, np.tensordot(weights.T, parts, axes=1)

    def ends(self, value: Floats, replicates: Floats) -> tuple[Floats, Floats]:
        """Interval of (p,) values from (b, p) replicates."""
        if self.drawn:
            return percentiles(replicates.T, self.level)
        half = z_value(self.level) * jackknife_error(replicates.T, np.ones(len(replicates), np.bool_))
        return value - half, value + half


@frozen(eq=False)
class _Found:
    """Values with the ends of their intervals, one per driver."""

    value: Floats
    low: Floats
    high: Floats

    @classmethod
    def of(cls, solve: Callable[[Floats], Floats], whole: Floats, drawn: Floats, sample: _Sample) -> _Found:
        value = solve(whole[None])[0]
        return cls(value, *sample.ends(value, solve(drawn)))


@frozen(eq=False)
class _Importance:
    share: _Found
    error: Floats | None
    weight: _Found
    coefficient: _Found
    correlation: _Found
    r2: _Found
    method: str


def _importance(rows: _Rows, sample: _Sample, seed: int) -> _Importance:
    p = rows.values.shape[1]
    whole, drawn = map(covariance, sample.moments(np.column_stack([rows.values, rows.outcome]), rows.weight))
    error, method = None, f"all {2**p:,} sets of drivers"
    if p <= MOST_EXACT:
        share = _Found.of(lmg, whole, drawn, sample)
    else:
        one = sampled_lmg(whole, _ORDERS, seed)
        # the same few orders in every replicate: their own error is the same in all and widens nothing
        many = np.stack([sampled_lmg(each, _FEW_ORDERS, seed).share for each in drawn])
        middle = sampled_lmg(whole, _FEW_ORDERS, seed).share
        shifted = many + (one.share - middle)
        share, error = _Found(one.share, *sample.ends(one.share, shifted)), one.error
        method = f"{_ORDERS:,} random orders of the drivers"
    return _Importance(
        share, error, _Found.of(johnson_weights, whole, drawn, sample),
        _Found.of(coefficients, whole, drawn, sample),
        _Found.of(lambda cov: correlation(cov)[..., :-1, -1], whole, drawn, sample),
        _Found.of(_r2, whole, drawn, sample), method,
    )  # fmt: skip


def _r2(cov: Floats) -> Floats:
    told = (coefficients(cov) * cov[..., :-1, -1]).sum(axis=-1)
    return ratio(told, cov[..., -1, -1])[..., None]


def _thresholds(table: ScoreTable, bad: float | None, best: float | None) -> tuple[Floats, Floats]:
    """Answers worse than the first are bad, those at the second or better are best; by driver."""
    scales = table.scales
    low = np.array([scale.neutral if bad is None else bad for scale in scales])
    high = np.array([(_good_end(scale) if best is None else best) for scale in scales])
    return low, high


def _good_end(scale: Scale) -> float:
    return scale.low if scale.direction == "lower" else scale.high


def _ends(table: ScoreTable, high: Floats) -> list[tuple[float, bool]]:
    return [(x, x == _good_end(scale)) for x, scale in zip(high.tolist(), table.scales, strict=True)]


@frozen(eq=False)
class _Extremes:
    penalty: _Found
    reward: _Found
    asymmetry: _Found
    known: Bools


def _extremes(rows: _Rows, low: Floats, high: Floats, table: ScoreTable, sample: _Sample) -> _Extremes:
    """Penalty and reward from a regression on what is bad and what is best."""
    p = rows.values.shape[1]
    way = np.array([-1.0 if scale.direction == "lower" else 1.0 for scale in table.scales])
    values = rows.values * way
    marks = np.concatenate([values < low * way, values >= high * way], axis=1).astype(np.float64)
    whole, drawn = map(covariance, sample.moments(np.column_stack([marks, rows.outcome]), rows.weight))
    dropped = np.zeros(2 * p, np.bool_)
    dropped[dependent(whole)] = True
    kept = np.flatnonzero(~dropped)
    index = np.append(kept, 2 * p)
    good = -1.0 if table.scale.direction == "lower" else 1.0

    def solve(cov: Floats) -> Floats:
        out = np.full((len(cov), 2 * p), np.nan)
        if kept.size:
            out[:, kept] = coefficients(cov[:, index[:, None], index])
        return out

    def asymmetry(cov: Floats) -> Floats:
        found = solve(cov) * good
        return contrast(found[:, :p], found[:, p:]).ia

    both = _Found.of(solve, whole, drawn, sample)
    halves = [_Found(both.value[part], both.low[part], both.high[part]) for part in (np.s_[:p], np.s_[p:])]
    return _Extremes(halves[0], halves[1], _Found.of(asymmetry, whole, drawn, sample), ~(dropped[:p] | dropped[p:]))


@frozen(eq=False)
class _Making:
    n: int
    sample: _Sample
    origin: Origin | None

    def estimate(
        self, found: _Found, i: int, unit: str, ends: tuple[float, float], reason: str
    ) -> Estimate:  # fmt: skip
        """The estimate of one driver."""
        value, low, high = (float(each[i]) for each in (found.value, found.low, found.high))
        flags: tuple[Flag, ...] = ("small_n",) if self.n < SMALL else ()
        if not np.isfinite(value):
            return no_value(reason, n=self.n, unit=unit, origin=self.origin, range=ends)
        low, high = max(low, ends[0]), min(high, ends[1])
        interval = Interval(low, high, self.sample.level, self.sample.method) if np.isfinite(low + high) else None
        return Estimate(
            value=value, n=self.n, unit=unit, interval=interval, range=ends, flags=flags, origin=self.origin
        )


_SAME: Final = "there are not both bad and best answers beside middling ones"


def _driver(name: str, i: int, drawn: _Importance, extremes: _Extremes, made: _Making) -> Driver:
    part, plain = (0.0, 1.0), (-float("inf"), float("inf"))
    known = bool(extremes.known[i])
    none = no_value(_SAME, n=made.n, unit="asymmetry", range=(-1.0, 1.0))
    return Driver(
        name=name, share=made.estimate(drawn.share, i, "share", part, ""),
        error=None if drawn.error is None else float(drawn.error[i]),
        weight=made.estimate(drawn.weight, i, "share", part, ""),
        coefficient=made.estimate(drawn.coefficient, i, "points per point", plain, ""),
        correlation=made.estimate(drawn.correlation, i, "correlation", (-1.0, 1.0), ""),
        penalty=made.estimate(extremes.penalty, i, "points", plain, "no answer is bad, or all that are not best are"),
        reward=made.estimate(extremes.reward, i, "points", plain, "no answer is best, or all that are not bad are"),
        asymmetry=made.estimate(extremes.asymmetry, i, "asymmetry", (-1.0, 1.0), "it costs nothing and earns nothing")
        if known else none,
    )  # fmt: skip
