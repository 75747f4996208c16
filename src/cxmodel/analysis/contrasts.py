"""Contrasts: outcomes of the exposed against equal histories without, from the sums of risk sets, in all replicates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from attrs import frozen

from cxmodel.analysis.iterated import NONE, Walk, sums_by
from cxmodel.analysis.risk_sets import ALL, BEFORE, NOW, WHOLE, Layout
from cxmodel.stats.arrays import Bools, Ints, compress
from cxmodel.stats.floats import Floats, ratio
from cxmodel.tallies.cells import BUCKETS
from cxmodel.tallies.inference import draws, jackknife_error, percentiles, replicated
from cxmodel.tallies.sums import Sums

_FOLDS: Final = 128


@frozen(eq=False)
class Contrast:
    """One touchpoint against its comparison; the first replicate is the data themselves.

    Attributes:
        exposed: (r,) exposed journeys.
        compared: (r,) those in cells with a comparison.
        outcome: (r,) sum of the outcomes of the compared.
        expected: (r,) the same as expected of equal histories without the touchpoint.
        whole: Exposed journeys by combination of attributes, in the data.
        matched: Compared ones by combination of attributes.
    """

    exposed: Floats
    compared: Floats
    outcome: Floats
    expected: Floats
    whole: Mapping[int, int]
    matched: Mapping[int, int]

    @property
    def lift(self) -> Floats:
        """(r,) outcome less what was expected, summed over the compared."""
        return self.outcome - self.expected


@frozen(eq=False)
class Replicates:
    """How the customers are resampled: which bucket counts how often in each replicate."""

    weights: Floats
    there: Bools
    drawn: bool

    @classmethod
    def of(cls, sums: Sums, bootstrap: int, seed: int) -> Replicates:
        """Leave one of 128 folds of the buckets out at a time; or draw buckets with replacement."""
        if bootstrap:
            weights, there = draws(bootstrap, seed), np.ones(bootstrap, np.bool_)
        else:
            fold = np.arange(BUCKETS) % _FOLDS
            weights = (fold[:, None] != np.arange(_FOLDS)).astype(np.float64)
            there = np.zeros(_FOLDS, np.bool_)
            there[fold[sums.bucket]] = True
        return cls(np.concatenate([np.ones((BUCKETS, 1)), weights], axis=1), there, bool(bootstrap))

    @property
    def method(self) -> str:
        """How the interval is made, in words."""
        size = self.weights.shape[1] - 1
        return f"bootstrap of customers ({size:,})" if self.drawn else "jackknife, by customer"

    def interval(self, values: Floats, level: float) -> tuple[float, float]:
        """Ends of the interval of a value from its replicates (r,); NaN where there is none."""
        if self.drawn:
            low, high = percentiles(values[1:], level)
            return float(low), float(high)
        from scipy.special import stdtrit

        known = self.there & np.isfinite(values[1:])
        if known.sum() < 2:
            return np.nan, np.nan
        half = stdtrit(known.sum() - 1, (1 + level) / 2) * float(jackknife_error(values[None, 1:], known)[0])
        return float(values[0] - half), float(values[0] + half)


class Contrasts:
    """The sums of all risk sets in all replicates, and the contrasts that can be made of them."""

    def __init__(self, sums: Sums, layout: Layout, replicates: Replicates, outcome: str = "outcome") -> None:
        self._layout = layout
        kind, self._when, self._step, self._length, cell, origin = layout.unpack(sums.key)
        self._n, self._y = replicated(sums, replicates.weights)[[sums.names.index(name) for name in ("n", outcome)]]
        self._attributes, self._kind = cell // layout.later_cells, kind
        risks, self._place = compress(self._step * layout.cells + cell)
        self._size = risks.size
        self._all = np.flatnonzero((kind == 0) & (self._when == ALL))
        self._whole = np.flatnonzero((kind == 0) & (self._when == WHOLE))
        self._lengths = sums_by(self._length[self._whole], self._n[self._whole], layout.lengths.size)
        self._walk = Walk.of(layout, risks, self._step, cell, origin) if layout.instead == "another" else None

    @property
    def journeys(self) -> Floats:
        """(r,) all journeys."""
        return np.asarray(self._n[self._whole].sum(axis=0))

    @property
    def outcomes(self) -> Floats:
        """(r,) sum of all outcomes."""
        return np.asarray(self._y[self._whole].sum(axis=0))

    @property
    def touchpoints(self) -> Ints:
        """Codes of the touchpoints that anybody passes before the outcome."""
        return np.unique(self._kind[self._kind > 0]) - 1

    def real(self, touchpoint: int) -> Contrast:
        """The contrast of a touchpoint."""
        mine = self._kind == touchpoint + 1
        now = np.flatnonzero(mine & (self._when == NOW))
        exposed = self._totals(now)
        if self._walk is None:
            others = self._totals(self._all) - self._totals(np.flatnonzero(mine))
            return self._contrast(exposed, others, others, now)
        before = np.flatnonzero(mine & (self._when == BEFORE))
        rows = np.concatenate([self._all, before])
        weight = np.concatenate([np.ones(self._all.size), -np.ones(before.size)])[:, None]
        others = self._totals(rows, weight) - exposed
        going = self._totals(rows, weight, self._walk)
        return self._contrast(exposed, others, self._walk.expected(exposed, others, going), now)

    def placebo(self, touchpoint: int) -> Contrast:
        """The contrast expected of a touchpoint drawn at random with equal positions in journeys of equal length."""
        now = np.flatnonzero((self._kind == touchpoint + 1) & (self._when == NOW))
        lengths, steps = self._layout.lengths.size, self._layout.edges.size
        passed = sums_by(self._length[now] * steps + self._step[now], self._n[now], lengths * steps)
        chance = ratio(passed.reshape(lengths, steps, -1), self._lengths[:, None, :], 0.0)
        length, step = self._length[self._all], self._step[self._all]
        exposed = self._totals(self._all, chance[length, step])
        if self._walk is None:
            others = self._totals(self._all, 1.0 - chance.sum(axis=1)[length])
            return self._contrast(exposed, others, others, now)
        left = 1.0 - chance.cumsum(axis=1)
        others = self._totals(self._all, left[length, step])
        going = self._totals(self._all, left[length, np.maximum(step - 1, 0)], self._walk)
        return self._contrast(exposed, others, self._walk.expected(exposed, others, going), now)

    def _totals(self, rows: Ints, weight: Floats | float = 1.0, walk: Walk | None = None) -> Floats:
        """(2, risk sets, r) journeys and outcomes; or (2, ways on, r)."""
        place, size = (self._place, self._size) if walk is None else (walk.place, walk.size)
        return np.stack([sums_by(place[rows], values[rows] * weight, size) for values in (self._n, self._y)])

    def _contrast(self, exposed: Floats, others: Floats, without: Floats, now: Ints) -> Contrast:
        """The exposed, against the mean outcome of those (count, sum) that do without."""
        usable = (others[0] > NONE) & (exposed[0] > NONE)
        mean = np.divide(without[1], without[0], out=np.zeros_like(without[1]), where=usable)
        compared = np.where(usable, exposed[0], 0.0)
        fine = usable[self._place[now], 0]
        return Contrast(
            exposed[0].sum(axis=0), compared.sum(axis=0), np.where(usable, exposed[1], 0.0).sum(axis=0),
            (compared * mean).sum(axis=0), self._by_attributes(now), self._by_attributes(now[fine]),
        )  # fmt: skip

    def _by_attributes(self, rows: Ints) -> Mapping[int, int]:
        code, place = compress(self._attributes[rows])
        counts = np.bincount(place, self._n[rows, 0], code.size)
        return {int(each): round(float(count)) for each, count in zip(code, counts, strict=True)}
