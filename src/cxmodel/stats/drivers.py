"""Drivers of a score: what each of several variables explains of an outcome, from moments, for one sample or a batch.

Everything starts from a covariance matrix of the p variables and, last, the outcome; leading axes are replicates.
Importance has no sign: look at the coefficients beside it.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from cxmodel.stats.arrays import Ints
from cxmodel.stats.floats import Floats, floats, ratio
from cxmodel.stats.games import shapley_values

MOST_EXACT: Final = 15
_TINY: Final = 1e-10
_ROOM: Final = 2**23


def moments(values: ArrayLike, weight: ArrayLike) -> Floats:
    """Weighted sums of products of columns, the first of which is 1: (m, m), additive over rows.

    >>> moments([[1.0, 2.0], [3.0, 5.0]], [1.0, 1.0])[0].tolist()
    [2.0, 4.0, 7.0]
    """
    columns = floats(values)
    design = np.concatenate([np.ones((columns.shape[0], 1)), columns], axis=1)
    return floats(design.T @ (design * floats(weight)[:, None]))


def covariance(products: ArrayLike) -> Floats:
    """Covariances (divisor Σw) of the columns from their `moments`, shape (…, m − 1, m − 1)."""
    sums = floats(products)
    n = sums[..., 0, 0][..., None, None]
    mean = ratio(sums[..., :1, 1:], n)
    return ratio(sums[..., 1:, 1:], n) - np.swapaxes(mean, -1, -2) * mean


def dependent(cov: ArrayLike) -> Ints:
    """Variables that are constant, or a combination of those before them: with these nothing can be told apart.

    >>> dependent([[1.0, 2.0, 0.1], [2.0, 4.0, 0.2], [0.1, 0.2, 1.0]]).tolist()
    [1]
    """
    a = floats(cov)[:-1, :-1].copy()
    own = np.diag(a).copy()
    found = []
    for i in range(len(a)):
        if a[i, i] <= _TINY * max(own[i], 1e-300) or own[i] <= 0:
            found.append(i)
            continue
        a -= np.outer(a[:, i], a[i]) / a[i, i]
    return np.array(found, np.int64)


def explained(cov: ArrayLike) -> Floats:
    """R² of the outcome on every set of variables, shape (…, 2^p); bit i of the index is variable i.

    One elimination step per variable and set: 2^p steps in all, not 2^p regressions.

    >>> explained([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8], [0.6, 0.8, 2.0]]).round(2).tolist()
    [0.0, 0.18, 0.32, 0.5]
    """
    whole = floats(cov)
    a, outcome = whole[..., None, :, :], whole[..., -1, -1]
    for own in np.moveaxis(np.diagonal(whole, axis1=-2, axis2=-1), -1, 0)[:-1]:
        a = np.concatenate([a[..., 1:, 1:], _eliminated(a, own[..., None])], axis=-3)
    return ratio(outcome[..., None] - a[..., 0, 0], outcome[..., None])


def _eliminated(a: Floats, own: Floats) -> Floats:
    """What is left of the others once the first variable is known; one that is known already takes nothing away."""
    pivot = a[..., 0, 0]
    free = pivot > _TINY * own
    step = a[..., 1:, :1] * a[..., :1, 1:] / np.where(free, pivot, 1.0)[..., None, None]
    return floats(a[..., 1:, 1:] - np.where(free[..., None, None], step, 0.0))


def lmg(cov: ArrayLike) -> Floats:
    """Shapley's share of R² of each variable: the mean gain in R² over all orders, shape (…, p); sums to R².

    Lindeman, Merenda & Gold 1980; Grömping 2006, doi:10.18637/jss.v017.i01. Each is 0 or more. Time and memory grow
    with 2^p: for p of at most 15.

    >>> lmg([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8], [0.6, 0.8, 2.0]]).round(2).tolist()
    [0.18, 0.32]
    """
    whole = floats(cov)
    p = whole.shape[-1] - 1
    flat = whole.reshape(-1, p + 1, p + 1)
    step = max(1, _ROOM // (3 * 2**p))
    parts = [shapley_values(explained(flat[i : i + step])) for i in range(0, len(flat), step)]
    return np.concatenate(parts).reshape(*whole.shape[:-2], p)


class Sampled(NamedTuple):
    """Shares of R² from random orders.

    Attributes:
        share: (p,) mean gain in R².
        error: (p,) Monte Carlo standard error of the mean.
    """

    share: Floats
    error: Floats


def sampled_lmg(cov: ArrayLike, orders: int = 2_000, seed: int = 0) -> Sampled:
    """`lmg` from random orders of the variables, for more of them than can be enumerated; still sums to R².

    Args:
        cov: (p + 1, p + 1) covariances, the outcome last.
        orders: Number of orders, 2 or more.
        seed: Seed of the orders.
    """
    whole = floats(cov)
    p = len(whole) - 1
    rng = np.random.Generator(np.random.PCG64(seed))
    order = rng.permuted(np.tile(np.arange(p), (orders, 1)), axis=1)
    step = max(1, _ROOM // (p + 1) ** 2)
    gains = np.concatenate([_gains(whole, order[i : i + step]) for i in range(0, orders, step)])
    return Sampled(gains.mean(axis=0), gains.std(axis=0, ddof=1) / np.sqrt(orders))


def _gains(cov: Floats, order: Ints) -> Floats:
    p = len(cov) - 1
    index = np.concatenate([order, np.full((len(order), 1), p)], axis=1)
    a, own = cov[index[:, :, None], index[:, None, :]], np.diagonal(cov)
    gains = np.empty((len(order), p))
    for i in range(p):
        smaller = _eliminated(a, own[order[:, i]])
        gains[np.arange(len(order)), order[:, i]] = a[:, -1, -1] - smaller[:, -1, -1]
        a = smaller
    return floats(gains / cov[-1, -1])


def johnson_weights(cov: ArrayLike) -> Floats:
    """Johnson's relative weights, shape (…, p): a quick relative of `lmg` for many variables; sums to R².

    With R = VDVᵀ the correlations of the variables and Λ = VD^½Vᵀ, ε = Λ²(Λ⁻¹r)², squares elementwise (Johnson 2000,
    doi:10.1207/S15327906MBR3501_1). nan where the variables are linearly dependent.

    >>> johnson_weights([[1.0, 0.0, 0.6], [0.0, 1.0, 0.8], [0.6, 0.8, 2.0]]).round(2).tolist()
    [0.18, 0.32]
    """
    r = correlation(cov)
    inner, outer = np.nan_to_num(r[..., :-1, :-1]), np.nan_to_num(r[..., :-1, -1])
    values, vectors = np.linalg.eigh(inner)
    fine = values[..., 0] > _TINY
    root = np.sqrt(np.where(fine[..., None], values, 1.0))
    half = (vectors * root[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    back = (vectors / root[..., None, :]) @ np.swapaxes(vectors, -1, -2)
    beta = (back @ outer[..., None])[..., 0]
    weights = ((half**2) @ (beta**2)[..., None])[..., 0]
    return np.where(fine[..., None], weights, np.nan)


def correlation(cov: ArrayLike) -> Floats:
    """Correlations from covariances; nan where a variable does not vary."""
    whole = floats(cov)
    spread = np.sqrt(np.maximum(np.diagonal(whole, axis1=-2, axis2=-1), 0.0))
    return ratio(whole, spread[..., :, None] * spread[..., None, :])


def coefficients(cov: ArrayLike) -> Floats:
    """Coefficients of the regression of the outcome on all variables, shape (…, p); nan where they are dependent.

    >>> coefficients([[2.0, 0.0, 1.0], [0.0, 1.0, -1.0], [1.0, -1.0, 4.0]]).tolist()
    [0.5, -1.0]
    """
    whole = floats(cov)
    inner = whole[..., :-1, :-1]
    own = np.maximum(np.diagonal(inner, axis1=-2, axis2=-1), 0.0)
    scale = np.sqrt(np.where(own > 0, own, 1.0))
    scaled = inner / scale[..., :, None] / scale[..., None, :]
    fine = np.linalg.eigvalsh(scaled)[..., 0] > _TINY
    safe = np.where(fine[..., None, None], scaled, np.eye(inner.shape[-1]))
    solved = np.linalg.solve(safe, (whole[..., :-1, -1] / scale)[..., None])[..., 0] / scale
    return np.where(fine[..., None], solved, np.nan)


class Contrast(NamedTuple):
    """Penalties and rewards, each of shape (…).

    Attributes:
        ric: Range of impact: ``|penalty| + reward``.
        sgp: Satisfaction-generating potential: reward/RIC.
        dgp: Dissatisfaction-generating potential: ``|penalty|/RIC``.
        ia: Impact asymmetry: SGP − DGP, −1 (a basic factor) to 1 (excitement).
    """

    ric: Floats
    sgp: Floats
    dgp: Floats
    ia: Floats


def contrast(penalty: ArrayLike, reward: ArrayLike) -> Contrast:
    """Penalty–reward contrast (Mikulić & Prebežac 2008); nan where neither matters.

    A penalty above 0 or a reward below 0 is against the grain and counts as none.

    >>> [round(float(each), 3) for each in contrast(-2.0, 0.2)]
    [2.2, 0.091, 0.909, -0.818]
    """
    pain, gain = np.maximum(-floats(penalty), 0.0), np.maximum(floats(reward), 0.0)
    ric = pain + gain
    sgp, dgp = ratio(gain, ric), ratio(pain, ric)
    return Contrast(ric, sgp, dgp, sgp - dgp)


#: Rows: the answer with the feature; columns: without it; like, expect, neutral, tolerate, dislike.
KANO: Final = ("QAAAO", "RIIIM", "RIIIM", "RIIIM", "RRRRQ")


def kano_counts(functional: ArrayLike, dysfunctional: ArrayLike) -> dict[str, int]:
    """How many pairs of answers fall in each category of the 5 × 5 table (Kano et al. 1984).

    Args:
        functional: (n,) answers with the feature: 0 like, 1 expect, 2 neutral, 3 tolerate, 4 dislike.
        dysfunctional: (n,) answers without it.

    Returns:
        Counts of A (attractive), O (one-dimensional), M (must-be), I (indifferent), R (reverse), Q (questionable).

    >>> kano_counts([0, 1, 0], [4, 4, 2])
    {'A': 1, 'O': 1, 'M': 1, 'I': 0, 'R': 0, 'Q': 0}
    """
    table = np.array([list(row) for row in KANO])
    found = table[np.asarray(functional, np.int64), np.asarray(dysfunctional, np.int64)]
    return {each: int((found == each).sum()) for each in "AOMIRQ"}


def kano_category(counts: dict[str, int]) -> str | None:
    """The most frequent category; of equally frequent ones the first of M, O, A, I, R, Q."""
    return max("MOAIRQ", key=lambda each: counts[each]) if sum(counts.values()) else None
