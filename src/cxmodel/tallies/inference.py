"""Inference from sums: the delta method by customer, effective n, and replicates from buckets."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from attrs import frozen

from cxmodel.model.estimates import Dependence
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.stats.floats import Floats
from cxmodel.tallies.cells import BUCKETS
from cxmodel.tallies.sums import Sums, dense_buckets


class Columns:
    """Named sums as arrays of one shape: (groups,) or (groups, replicates)."""

    __slots__ = ("_names", "_values")

    def __init__(self, names: Sequence[str], values: Floats) -> None:
        self._names, self._values = tuple(names), values

    def __getitem__(self, name: str) -> Floats:
        return self._values[self._names.index(name)]  # type: ignore[no-any-return]


Value = Callable[[Columns], Floats]
"""From sums to a value, elementwise: used for the data, all groups, all replicates and the interval."""


@frozen(eq=False)
class Spread:
    """How sure the values of r rows are.

    Attributes:
        se: (r,) cluster-robust standard error; NaN where there are fewer than two customers.
        n_eff: (r,) effective number of observations: n / max(1, design effect).
    """

    se: Floats
    n_eff: Floats


def quiet(value: Value, columns: Columns) -> Floats:
    """The value, with 0/0 as NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(value(columns), np.float64)


def gradient(sums: Sums, value: Value) -> Floats:
    """(f, r) derivative of the value by each sum, numerically."""
    # a step in proportion to each sum (and to n), so that neither units nor the scale of weights matter
    scale = np.maximum(np.abs(sums.total), np.abs(sums["n"])) if sums.rows else sums.total
    scale = np.where(scale > 0, scale, 1.0)
    out = np.zeros_like(sums.total)
    for i in range(len(sums.names)):
        step = scale[i] * 1e-6
        up, down = sums.total.copy(), sums.total.copy()
        up[i] += step
        down[i] -= step
        out[i] = (quiet(value, Columns(sums.names, up)) - quiet(value, Columns(sums.names, down))) / (2 * step)
    return np.nan_to_num(out)


def spread(sums: Sums, value: Value, population: int) -> Spread:
    """Standard errors by the delta method over customers, and effective n.

    With z = gradient · sums, the variance is G/(G − 1) · (Σ_c z_c² − (Σ_c z_c)²/N): G customers with an observation of
    N in the population. The design effect is that variance over the one that n single answers would have; where all
    agree and both are 0, or one customer gave all, Kish on the customers’ summed weights.

    Args:
        sums: The sums.
        value: From sums to the value.
        population: Customers in the population.
    """
    slope = gradient(sums, value)
    clustered = np.einsum("ir,ijr,jr->r", slope, sums.cross, slope)
    centred = np.einsum("ir,ir->r", slope, sums.total) ** 2 / max(population, 1)
    simple = np.einsum("ir,ijr,jr->r", slope, sums.simple, slope)
    n, groups = sums.count.astype(np.float64), sums.customers.astype(np.float64)
    weight = sums["n"]
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = np.maximum(clustered - centred, 0.0) * groups / (groups - 1)
        plain = np.maximum(weight * simple / n - centred, 0.0) * n / (n - 1)
        size = np.einsum("ir,ijr,jr->r", np.abs(slope), np.abs(sums.simple), np.abs(slope)) * weight / n
        effect = np.where((groups > 1) & (plain > 1e-12 * size), variance / plain, np.nan)
        kish = np.minimum(n, weight**2 / sums.cross[0, 0]) if sums.rows else n
        n_eff = np.where(np.isnan(effect), kish, n / np.maximum(effect, 1.0))
    return Spread(np.where(groups > 1, np.sqrt(variance), np.nan), np.where(n > 1, n_eff, n))


def draws(replicates: int, seed: int) -> Floats:
    """(buckets, replicates) how often each bucket is drawn when 1,024 are drawn with replacement."""
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.multinomial(BUCKETS, np.full(BUCKETS, 1 / BUCKETS), replicates).T.astype(np.float64)


def replicated(sums: Sums, weights: Floats) -> Floats:
    """(f, r, replicates) sums under drawn buckets, without ever holding rows × buckets densely."""
    from scipy.sparse import csr_array

    out = np.empty((len(sums.names), sums.rows, weights.shape[1]))
    for i, values in enumerate(sums.bucket_total):
        matrix = csr_array((values, (sums.bucket_row, sums.bucket)), shape=(sums.rows, BUCKETS))
        out[i] = matrix @ weights
    return out


def left_out(sums: Sums) -> tuple[Floats, Bools]:
    """(f, r, 1,024) sums without one bucket at a time, and which buckets hold customers at all."""
    there = np.zeros(BUCKETS, np.bool_)
    there[sums.bucket] = True
    return sums.total[:, :, None] - dense_buckets(sums, np.arange(sums.rows)), there


def jackknife_error(estimates: Floats, there: Bools) -> Floats:
    """Standard error from leave-one-bucket-out values (…, 1,024): √((g − 1)/g · Σ (θ_b − mean)²)."""
    inside = estimates[..., there]
    g = inside.shape[-1]
    if g < 2:
        return np.full(inside.shape[:-1], np.nan)
    deviations = inside - inside.mean(axis=-1, keepdims=True)
    return np.asarray(np.sqrt((g - 1) / g * (deviations**2).sum(axis=-1)))


def percentiles(values: Floats, level: float) -> tuple[Floats, Floats]:
    """Percentile interval along the last axis; replicates without a value are left out."""
    known = np.isfinite(values)
    ends = np.full((2, *values.shape[:-1]), np.nan)
    some = known.any(axis=-1)
    if some.any():
        ends[:, some] = np.nanquantile(
            np.where(known, values, np.nan)[some], [(1 - level) / 2, (1 + level) / 2], axis=-1
        )
    return ends[0], ends[1]


@frozen(eq=False)
class BucketSums:
    """The bucket sums behind one estimate, so that two estimates of one run can be compared as pairs.

    Attributes:
        names: Names of the sums.
        totals: (f, 1,024) bucket sums.
        value: From sums to the value.
        run: What bound the run: estimates of different runs are not paired.
    """

    names: tuple[str, ...]
    totals: Floats
    value: Value
    run: tuple[object, ...]

    def same_run(self, other: Dependence) -> bool:
        """Whether the other was made in the same run."""
        return isinstance(other, BucketSums) and self.run == other.run

    def difference(self, other: Dependence, level: float) -> tuple[float, float] | None:
        """Interval of self − other: jackknife over shared buckets.

        None where no bucket is shared, and where both are made of customers who all agree: leaving one out changes
        nothing then, which says nothing of how sure the difference is.
        """
        if not isinstance(other, BucketSums) or self.run != other.run:
            return None
        mine, theirs = (self.totals != 0).any(axis=0), (other.totals != 0).any(axis=0)
        if not (mine & theirs).any():
            return None
        from scipy.special import ndtri

        there = mine | theirs
        if not np.array_equal(self.totals, other.totals) and self._flat(mine) and other._flat(theirs):
            return None
        delta = self._without() - other._without()
        se = float(jackknife_error(delta[None, :], there)[0])
        middle = self._whole() - other._whole()
        half = float(ndtri((1 + level) / 2)) * se
        return (middle - half, middle + half) if np.isfinite(half) else None

    def _flat(self, there: Bools) -> bool:
        """Whether leaving out any bucket leaves the value as it is."""
        known = self._without()[there]
        known = known[np.isfinite(known)]
        return bool(np.ptp(known) <= 1e-9 * np.abs(known).max(initial=1e-300)) if known.size else True

    def _whole(self) -> float:
        return float(quiet(self.value, Columns(self.names, self.totals.sum(axis=1, keepdims=True)))[0])

    def _without(self) -> Floats:
        return quiet(self.value, Columns(self.names, self.totals.sum(axis=1, keepdims=True) - self.totals))


def rows_of_groups(sums: Sums) -> Ints:
    """Distinct groups, ascending."""
    return np.unique(sums.group)
