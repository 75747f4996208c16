"""Tests of two groups, corrections for many tests, and the split of a change into mix and rate."""

import math

import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike, NDArray

from cxmodel.stats.floats import Floats, floats, ratio, root
from cxmodel.stats.intervals import newcombe_difference, t_interval


@frozen
class Comparison:
    """A signed difference, second minus first, with a test and an interval.

    Attributes:
        value: Difference.
        statistic: Test statistic, with the sign of the difference.
        p: Two-sided p value.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: Floats
    statistic: Floats
    p: Floats
    low: Floats
    high: Floats


def holm(p_values: ArrayLike) -> Floats:
    """Adjust p values so that any false alarm among them has the nominal risk (Holm 1979, jstor:4615733).

    Formula: the running maximum of `(m − i)·p₍ᵢ₎` over the sorted values, at most 1.

    Args:
        p_values: p values along the last axis; nan means no test was made and does not count.

    Returns:
        Adjusted p values in the given order.

    >>> holm([0.01, 0.04, 0.03]).tolist()
    [0.03, 0.06, 0.06]
    """
    p = floats(p_values)
    order, ordered, made = _sorted(p)
    factor = made - np.arange(p.shape[-1])
    raised = np.maximum.accumulate(np.where(np.isnan(ordered), -np.inf, ordered * factor), axis=-1)
    return _unsorted(np.where(np.isnan(ordered), np.nan, np.minimum(raised, 1.0)), order)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Adjust p values so that the expected share of false alarms among the alarms has the nominal size.

    Formula: the running minimum from above of `m·p₍ᵢ₎/i` over the sorted values (Benjamini & Hochberg 1995,
    doi:10.1111/j.2517-6161.1995.tb02031.x).

    Args:
        p_values: p values along the last axis; nan means no test was made and does not count.

    Returns:
        Adjusted p values in the given order.

    >>> benjamini_hochberg([0.01, 0.04, 0.03]).round(6).tolist()
    [0.03, 0.04, 0.04]
    """
    p = floats(p_values)
    order, ordered, made = _sorted(p)
    scaled = np.where(np.isnan(ordered), np.inf, ordered * (made / np.arange(1, p.shape[-1] + 1)))
    lowered = np.minimum.accumulate(scaled[..., ::-1], axis=-1)[..., ::-1]
    return _unsorted(np.where(np.isnan(ordered), np.nan, np.minimum(lowered, 1.0)), order)


def _sorted(p: Floats) -> tuple[NDArray[np.intp], Floats, Floats]:
    """Return the order along the last axis, the sorted values (nan last) and how many tests were made."""
    if p.ndim == 0:
        raise ValueError("An adjustment needs the p values of all tests in one array, got a single number.")
    order = np.argsort(p, axis=-1)
    made = np.count_nonzero(~np.isnan(p), axis=-1, keepdims=True)
    return order, np.take_along_axis(p, order, axis=-1), floats(made)


def _unsorted(ordered: Floats, order: NDArray[np.intp]) -> Floats:
    out = np.empty_like(ordered)
    np.put_along_axis(out, order, ordered, axis=-1)
    return out


def welch(
    first: tuple[ArrayLike, ArrayLike, ArrayLike],
    second: tuple[ArrayLike, ArrayLike, ArrayLike],
    level: float = 0.95,
) -> Comparison:
    """Compare two means without assuming equal variances (Welch 1947, doi:10.1093/biomet/34.1-2.28).

    Args:
        first: Mean, variance (divisor n − 1) and number of observations of the first group.
        second: The same of the second group.
        level: Confidence level of the interval.

    Returns:
        Comparison; p and interval are nan where a group has fewer than two observations or nothing varies.

    >>> test = welch((5.0, 4.0, 20), (6.0, 9.0, 30))
    >>> round(float(test.statistic), 3), round(float(test.p), 4)
    (1.414, 0.1638)
    """
    from scipy.special import stdtr

    (mean_a, var_a, n_a), (mean_b, var_b, n_b) = (tuple(map(floats, group)) for group in (first, second))
    part_a, part_b = ratio(var_a, n_a), ratio(var_b, n_b)
    se = root(part_a + part_b)
    df = ratio((part_a + part_b) ** 2, _per_freedom(part_a, n_a) + _per_freedom(part_b, n_b))
    value = mean_b - mean_a
    statistic = ratio(value, se)
    low, high = t_interval(value, se, df, level)
    return Comparison(floats(value), statistic, floats(2 * stdtr(df, -np.abs(statistic))), low, high)


def _per_freedom(part: Floats, n: Floats) -> Floats:
    return ratio(part**2, np.where(n > 1, n - 1, np.nan))


def two_proportions(
    successes_a: ArrayLike, n_a: ArrayLike, successes_b: ArrayLike, n_b: ArrayLike, level: float = 0.95
) -> Comparison:
    """Compare two independent proportions: pooled z test, Newcombe interval.

    Test and interval come from different approximations, so near the edge they may disagree.

    Args:
        successes_a: Successes of the first group.
        n_a: Trials of the first group.
        successes_b: Successes of the second group.
        n_b: Trials of the second group.
        level: Confidence level of the interval.

    Returns:
        Comparison, second minus first, on the scale [-1, 1]; nan where a group is empty.

    >>> test = two_proportions(48, 80, 56, 70)
    >>> round(float(test.value), 3), round(float(test.p), 4), round(float(test.low), 4)
    (0.2, 0.008, 0.0524)
    """
    from scipy.special import erfc

    hits_a, trials_a, hits_b, trials_b = map(floats, (successes_a, n_a, successes_b, n_b))
    value = ratio(hits_b, trials_b) - ratio(hits_a, trials_a)
    pooled = ratio(hits_a + hits_b, trials_a + trials_b)
    se = root(pooled * (1 - pooled) * (ratio(1.0, trials_a) + ratio(1.0, trials_b)))
    statistic = ratio(value, se)
    low, high = newcombe_difference(hits_b, trials_b, hits_a, trials_a, level)
    return Comparison(floats(value), statistic, floats(erfc(np.abs(statistic) / math.sqrt(2))), low, high)


def mix_and_rate(
    share_before: ArrayLike, rate_before: ArrayLike, share_after: ArrayLike, rate_after: ArrayLike
) -> tuple[Floats, Floats]:
    """Split the change of a mean of groups into changed shares (mix) and changed values (rate).

    Formula: `mix_k = Δshare_k·(rate_before_k + rate_after_k)/2`, `rate_k = Δrate_k·(share_before_k +
    share_after_k)/2` (Kitagawa 1955, doi:10.1080/01621459.1955.10501299). Summed over the groups, both
    together give the change of `Σ share_k·rate_k` exactly. A group that exists at one time only has no rate
    at the other (nan); its whole contribution then counts as mix.

    Args:
        share_before: Shares of the groups before, along the last axis.
        rate_before: Values of the groups before.
        share_after: Shares after.
        rate_after: Values after.

    Returns:
        Contributions to the change by mix and by rate, one per group.

    >>> mix, rate = mix_and_rate([0.5, 0.5], [0.2, 0.4], [0.25, 0.75], [0.3, 0.4])
    >>> mix.round(4).tolist(), rate.round(4).tolist()
    ([-0.0625, 0.1], [0.0375, 0.0])
    """
    share_0, rate_0, share_1, rate_1 = map(floats, (share_before, rate_before, share_after, rate_after))
    known_0 = np.where(np.isnan(rate_0) & (share_0 == 0), rate_1, rate_0)
    known_1 = np.where(np.isnan(rate_1) & (share_1 == 0), rate_0, rate_1)
    neither = (share_0 == 0) & (share_1 == 0)
    mix = np.where(neither, 0.0, (share_1 - share_0) * (known_0 + known_1) / 2)
    return mix, np.where(neither, 0.0, (known_1 - known_0) * (share_0 + share_1) / 2)
