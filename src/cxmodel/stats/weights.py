"""Means of weighted and clustered answers: their variance, and what the weights cost.

Weights here say how many people an answer stands for; they are not frequencies, so doubling all of them
changes nothing. The variances need six sums over independent units only (one answer, or all answers of one
cluster), and these sums add up over any split of the data: see `UnitSums`. Groups with fewer than two units
have no variance.
"""

import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike

from cxmodel.stats.floats import Floats, floats, ratio


@frozen
class UnitSums:
    """Sums over independent units, each with its weight b and its weighted value a; arrays of any one shape.

    Attributes:
        units: Number of units with a weight above 0.
        b: Σb.
        a: Σa.
        bb: Σb².
        ab: Σab.
        aa: Σa².
    """

    units: Floats
    b: Floats
    a: Floats
    bb: Floats
    ab: Floats
    aa: Floats


def unit_sums(unit_weights: ArrayLike, unit_totals: ArrayLike) -> UnitSums:
    """Sum up units along the last axis.

    Args:
        unit_weights: Weight b of each unit, shape (…, n): of a cluster, the sum of the weights of its answers.
        unit_totals: Weighted value a of each unit, shape (…, n): of a cluster, the sum of weight
        times answer.

    Returns:
        Sums of shape (…); units without weight do not count, so rows may be padded with zeros.

    >>> sums = unit_sums([1.0, 2.0, 0.0], [5.0, 6.0, 0.0])
    >>> float(sums.units), float(sums.b), float(sums.aa)
    (2.0, 3.0, 61.0)
    """
    b, a = floats(unit_weights), floats(unit_totals)
    return UnitSums(
        units=floats(np.count_nonzero(b, axis=-1)),
        b=floats(b.sum(axis=-1)),
        a=floats(a.sum(axis=-1)),
        bb=floats((b * b).sum(axis=-1)),
        ab=floats((a * b).sum(axis=-1)),
        aa=floats((a * a).sum(axis=-1)),
    )


def ratio_mean(sums: UnitSums) -> Floats:
    """Return the weighted mean `R = Σa/Σb`; nan without weight.

    >>> float(ratio_mean(unit_sums([1.0, 3.0], [4.0, 0.0])))
    1.0
    """
    return ratio(sums.a, sums.b)


def ratio_variance(sums: UnitSums) -> Floats:
    """Return the linearised variance of the weighted mean, `G/(G−1)·Σ_g(a_g − R·b_g)²/(Σb)²`.

    With one answer per unit this is the HC1 variance; with clusters as units it is the cluster-robust CR1
    variance (Binder 1983, doi:10.2307/1402588).

    Args:
        sums: Sums over G independent units.

    Returns:
        Variances, 0 or more; nan with fewer than two units.

    >>> float(ratio_variance(unit_sums([1.0, 1.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]))).__round__(6)
    0.083333
    """
    mean = ratio_mean(sums)
    residual = np.maximum(sums.aa - 2 * mean * sums.ab + mean**2 * sums.bb, 0.0)
    correction = ratio(sums.units, np.where(sums.units > 1, sums.units - 1, np.nan))
    return floats(correction * ratio(residual, sums.b**2))


def mean_variance(values: ArrayLike, weights: ArrayLike) -> Floats:
    """Return the linearised (HC1) variance of a weighted mean of independent answers, along the last axis.

    Args:
        values: Answers, shape (…, n).
        weights: Their weights, 0 or more, shape (…, n).

    Returns:
        Variances, shape (…).

    >>> round(float(mean_variance([1, 1, -1, 0], [1.0, 2.0, 1.0, 0.5])), 4)
    0.2422
    """
    given = floats(weights)
    return ratio_variance(unit_sums(given, given * floats(values)))


def cluster_variance(values: ArrayLike, weights: ArrayLike, clusters: ArrayLike) -> Floats:
    """Return the cluster-robust (CR1) variance of a weighted mean.

    Args:
        values: Answers, shape (n,).
        weights: Their weights, shape (n,).
        clusters: Which cluster each answer belongs to, any labels, shape (n,).

    Returns:
        Variance, a single number; nan with fewer than two clusters.

    >>> round(float(cluster_variance([1, 1, -1, 0], [1, 1, 1, 1], ["a", "a", "b", "b"])), 4)
    0.5625
    """
    given = floats(weights)
    _, codes = np.unique(np.asarray(clusters), return_inverse=True)
    totals = np.bincount(codes, weights=given * floats(values))
    return ratio_variance(unit_sums(np.bincount(codes, weights=given), totals))


def kish_n(weights: ArrayLike) -> Floats:
    """Return Kish's effective number of answers, `(Σw)²/Σw²`, along the last axis.

    Between 1 and n; n where all weights are equal (Kish 1965, Survey Sampling).

    Args:
        weights: Weights, 0 or more, shape (…, n).

    Returns:
        Effective numbers, shape (…); 0 where there is no weight.

    >>> float(kish_n([1.0, 1.0, 2.0])).__round__(3)
    2.667
    """
    given = floats(weights)
    return ratio(given.sum(axis=-1) ** 2, (given**2).sum(axis=-1), empty=0.0)


def design_effect(variance: ArrayLike, spread: ArrayLike, n: ArrayLike) -> Floats:
    """Return how much larger a variance is than that of as many independent, equally weighted answers.

    Formula: `deff = Var·n/σ²` (Kish 1965, Survey Sampling).

    Args:
        variance: Variance of the mean, with weights and clusters.
        spread: Variance σ² of one answer.
        n: Number of answers.

    Returns:
        Design effects; nan where the answers do not differ, for then nothing is known of it.

    >>> float(design_effect(0.02, 0.8, 80))
    2.0
    """
    return ratio(floats(variance) * floats(n), spread)


def effective_n(n: ArrayLike, deff: ArrayLike, fallback: ArrayLike) -> Floats:
    """Return how many independent, equally weighted answers would be worth as much: `n/deff`.

    Args:
        n: Number of answers.
        deff: Design effect; where it is unknown (nan) or 0 the fallback is taken.
        fallback: For example Kish's number of the weights, or the number of clusters.

    Returns:
        Effective numbers, not above n where the design effect is at least 1.

    >>> effective_n([80, 80], [2.0, float("nan")], [60, 60]).tolist()
    [40.0, 60.0]
    """
    cost = floats(deff)
    known = np.where(cost > 0, cost, np.nan)
    return np.where(np.isnan(known), floats(fallback), floats(n) / known)
