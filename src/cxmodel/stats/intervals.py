"""Intervals for means, proportions, differences and replicates, for whole arrays of groups at once.

Every function broadcasts over its array arguments and returns a pair `(low, high)`. A group without
observations gets `(nan, nan)`, without a warning. Sample sizes need not be whole numbers: pass the effective
sample size of a weighted or clustered sample.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cxmodel.stats.floats import Bounds, Floats, floats, ratio, root


def _tail(level: float) -> float:
    """Return the probability above a two-sided interval, after checking the level."""
    if not 0.0 < level < 1.0:
        raise ValueError(f"A confidence level lies between 0 and 1, got {level!r}. Write 0.95 for 95 %.")
    return (1.0 - level) / 2.0


def z_value(level: float) -> float:
    """Return the normal quantile that belongs to a two-sided level.

    Args:
        level: Confidence level, between 0 and 1.

    Returns:
        z with P(-z < Z < z) = level.

    Raises:
        ValueError: If the level is not between 0 and 1.

    >>> round(z_value(0.95), 6)
    1.959964
    """
    from scipy.special import ndtri

    return -float(ndtri(_tail(level)))


def normal_interval(
    value: ArrayLike, se: ArrayLike, level: float, low: float = -math.inf, high: float = math.inf
) -> Bounds:
    """Normal interval `value ± z·se`, clipped to the range of the quantity.

    Args:
        value: Estimates.
        se: Standard errors.
        level: Confidence level, between 0 and 1.
        low: Smallest possible value.
        high: Largest possible value.

    Returns:
        Lower and upper ends; nan where the value or its standard error is nan.

    >>> [round(float(end), 3) for end in normal_interval(0.9, 0.1, 0.95, high=1.0)]
    [0.704, 1.0]
    """
    return _around(value, z_value(level) * floats(se), low, high)


def t_interval(
    value: ArrayLike,
    se: ArrayLike,
    df: ArrayLike,
    level: float,
    low: float = -math.inf,
    high: float = math.inf,
) -> Bounds:
    """Student interval `value ± t(df)·se`, clipped to the range of the quantity.

    Args:
        value: Estimates.
        se: Standard errors.
        df: Degrees of freedom; below or at 0 the interval is (nan, nan).
        level: Confidence level, between 0 and 1.
        low: Smallest possible value.
        high: Largest possible value.

    Returns:
        Lower and upper ends.

    >>> [round(float(end), 3) for end in t_interval(4.8, 0.6, 9, 0.95)]
    [3.443, 6.157]
    """
    from scipy.special import stdtrit

    freedom = floats(df)
    usable = np.where(freedom > 0, freedom, np.nan)
    return _around(value, -floats(stdtrit(usable, _tail(level))) * floats(se), low, high)


def _around(value: ArrayLike, margin: Floats, low: float, high: float) -> Bounds:
    centre = floats(value)
    return floats(np.clip(centre - margin, low, high)), floats(np.clip(centre + margin, low, high))


def wilson(successes: ArrayLike, n: ArrayLike, level: float = 0.95) -> Bounds:
    """Wilson score interval of a proportion.

    Formula: `(p + z²/2n ± z·√(p(1−p)/n + z²/4n²)) / (1 + z²/n)` (Wilson 1927,
    doi:10.1080/01621459.1927.10502953). Always contains the observed proportion and stays in [0, 1].

    Args:
        successes: Numbers of successes, between 0 and n.
        n: Numbers of trials.
        level: Confidence level, between 0 and 1.

    Returns:
        Lower and upper ends, in [0, 1].

    >>> [round(float(end), 4) for end in wilson(45, 60)]
    [0.6277, 0.8422]
    """
    hits, trials = np.broadcast_arrays(floats(successes), floats(n))
    z2 = z_value(level) ** 2
    share = ratio(hits, trials)
    centre = ratio(hits + z2 / 2, trials + z2)
    margin = ratio(root(z2 * (trials * share * (1 - share) + z2 / 4)), trials + z2)
    low = np.where(hits == 0, 0.0, centre - margin)
    high = np.where(hits == trials, 1.0, centre + margin)
    # The score interval contains the estimate; the last bit of rounding must not say otherwise.
    return np.where(trials > 0, np.minimum(low, share), np.nan), np.where(trials > 0, np.maximum(high, share), np.nan)


def clopper_pearson(successes: ArrayLike, n: ArrayLike, level: float = 0.95) -> Bounds:
    """Exact interval of a proportion: never below the nominal coverage, so often too wide.

    Formula: beta quantiles `B(α/2; k, n−k+1)` and `B(1−α/2; k+1, n−k)` (Clopper & Pearson 1934,
    doi:10.1093/biomet/26.4.404).

    Args:
        successes: Numbers of successes, between 0 and n.
        n: Numbers of trials.
        level: Confidence level, between 0 and 1.

    Returns:
        Lower and upper ends, in [0, 1].

    >>> [round(float(end), 4) for end in clopper_pearson(0, 20)]
    [0.0, 0.1684]
    """
    from scipy.special import betaincinv

    tail = _tail(level)
    hits, trials = np.broadcast_arrays(floats(successes), floats(n))
    misses = trials - hits
    # The quantile functions want positive parameters; the ends they cannot give are 0 and 1.
    low = np.where(hits > 0, betaincinv(np.where(hits > 0, hits, 1.0), misses + 1, tail), 0.0)
    high = np.where(misses > 0, betaincinv(hits + 1, np.where(misses > 0, misses, 1.0), 1 - tail), 1.0)
    return np.where(trials > 0, low, np.nan), np.where(trials > 0, high, np.nan)


def mover_difference(
    value_a: ArrayLike,
    low_a: ArrayLike,
    high_a: ArrayLike,
    value_b: ArrayLike,
    low_b: ArrayLike,
    high_b: ArrayLike,
) -> Bounds:
    """Interval of `a − b` from the separate intervals of two independent estimates.

    Formula (MOVER): `low = a − b − √((a−low_a)² + (high_b−b)²)`, `high = a − b + √((high_a−a)² + (b−low_b)²)`
    (Zou & Donner 2008, doi:10.1002/sim.3095). It keeps the asymmetry of both intervals, and has their level.

    Args:
        value_a: Estimates of the first group.
        low_a: Their lower ends.
        high_a: Their upper ends.
        value_b: Estimates of the second group.
        low_b: Their lower ends.
        high_b: Their upper ends.

    Returns:
        Lower and upper ends of the difference first minus second.

    >>> low, high = mover_difference(0.8, 0.7, 0.85, 0.5, 0.4, 0.6)
    >>> round(float(low), 4), round(float(high), 4)
    (0.1586, 0.4118)
    """
    a, b = floats(value_a), floats(value_b)
    below = root((a - floats(low_a)) ** 2 + (floats(high_b) - b) ** 2)
    above = root((floats(high_a) - a) ** 2 + (b - floats(low_b)) ** 2)
    return floats(a - b - below), floats(a - b + above)


def newcombe_difference(
    successes_a: ArrayLike, n_a: ArrayLike, successes_b: ArrayLike, n_b: ArrayLike, level: float = 0.95
) -> Bounds:
    """Interval of the difference of two independent proportions, first minus second.

    Wilson intervals joined by MOVER: method 10 of Newcombe 1998
    (doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I).

    Args:
        successes_a: Successes of the first group.
        n_a: Trials of the first group.
        successes_b: Successes of the second group.
        n_b: Trials of the second group.
        level: Confidence level, between 0 and 1.

    Returns:
        Lower and upper ends, in [-1, 1].

    >>> [round(float(end), 4) for end in newcombe_difference(56, 70, 48, 80)]
    [0.0524, 0.3339]
    """
    low_a, high_a = wilson(successes_a, n_a, level)
    low_b, high_b = wilson(successes_b, n_b, level)
    return mover_difference(ratio(successes_a, n_a), low_a, high_a, ratio(successes_b, n_b), low_b, high_b)


def percentile_interval(replicates: ArrayLike, level: float = 0.95) -> Bounds:
    """Percentile interval of bootstrap replicates, taken along the last axis.

    Undefined (nan) replicates are left out, so count them with `numpy.isnan` and say so. The ends are the
    linearly interpolated sample quantiles (Efron 1979, doi:10.1214/aos/1176344552).

    Args:
        replicates: Replicates, shape (…, B).
        level: Confidence level, between 0 and 1.

    Returns:
        Lower and upper ends, shape (…); nan where no replicate is defined.

    >>> [float(end) for end in percentile_interval([0.0, 1.0, 2.0, 3.0, 4.0], 0.5)]
    [1.0, 3.0]
    """
    tail = _tail(level)
    ordered = np.sort(floats(replicates), axis=-1)  # nan sorts last
    defined = np.count_nonzero(~np.isnan(ordered), axis=-1)
    if ordered.shape[-1] == 0:
        nothing = np.full(ordered.shape[:-1], np.nan)
        return nothing, nothing.copy()
    return _quantile(ordered, defined, tail), _quantile(ordered, defined, 1.0 - tail)


def _quantile(ordered: Floats, defined: NDArray[np.intp], q: float) -> Floats:
    """Interpolate the quantile q of the first `defined` entries of each sorted row."""
    last = np.maximum(defined - 1, 0)
    position = last * q
    below = np.floor(position).astype(np.intp)
    above = np.minimum(below + 1, last)
    low = np.take_along_axis(ordered, below[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(ordered, above[..., None], axis=-1)[..., 0]
    return floats(low + (high - low) * (position - below))


def jackknife_se(leave_one_out: ArrayLike, value: ArrayLike | None = None) -> Floats:
    """Standard error from the estimates that leave out one group of observations each.

    Formula: `√((G−1)/G · Σ_g (θ_g − θ)²)` over the G groups of a delete-a-group jackknife; θ is the estimate
    from all data, or the mean of the θ_g where it is not given (Quenouille 1956,
    doi:10.1093/biomet/43.3-4.353).
    The groups should be random and about equally large.

    Args:
        leave_one_out: Estimates without group g, shape (…, G). An undefined one makes the result undefined.
        value: Estimate from all data, shape (…); the larger, more careful answer when given.

    Returns:
        Standard errors, shape (…); nan with fewer than two groups.

    >>> round(float(jackknife_se([2.5, 2.0, 1.5])), 4)
    0.5774
    """
    parts = floats(leave_one_out)
    groups = parts.shape[-1]
    if groups < 2:
        return np.full(parts.shape[:-1], np.nan)
    centre = parts.mean(axis=-1) if value is None else floats(value)
    squares = ((parts - centre[..., None]) ** 2).sum(axis=-1)
    return root((groups - 1) / groups * squares)
