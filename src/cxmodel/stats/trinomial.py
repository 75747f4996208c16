"""The share of +1 minus the share of −1 among answers that are −1, 0 or +1.

Counts are arrays of shape (…, 3): how many −1, how many 0, how many +1. They need not be whole numbers:
divide them by the design effect of a weighted or clustered sample. Every value and bound is on the scale
[-1, 1]; the functions broadcast over the leading axes, and a group without answers gets nan, without a
warning. Net scores (promoters minus detractors, positive minus negative) are values of this kind.
"""

import math

import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike

from cxmodel.stats.floats import Bounds, Floats, floats, ratio, root
from cxmodel.stats.intervals import normal_interval, z_value

#: What the adjusted Wald method adds to the three counts.
ADJUSTMENT = (0.75, 1.5, 0.75)


@frozen
class Difference:
    """A signed difference, second minus first, with its normal test and interval.

    Attributes:
        value: Difference.
        se: Standard error.
        z: Test statistic value/se; nan where the standard error is 0.
        p: Two-sided p value.
        low: Lower end of the interval.
        high: Upper end of the interval.
    """

    value: Floats
    se: Floats
    z: Floats
    p: Floats
    low: Floats
    high: Floats


def _split(counts: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
    """Return the counts of −1, 0 and +1 and their total."""
    array = floats(counts)
    if array.ndim == 0 or array.shape[-1] != 3:
        raise ValueError(
            f"Counts of -1, 0 and +1 need a last axis of length 3, got shape {array.shape}. "
            "Write numpy.stack([negative, neutral, positive], axis=-1)."
        )
    negative, neutral, positive = array[..., 0], array[..., 1], array[..., 2]
    return negative, neutral, positive, (negative + positive) + neutral


def trinomial_value(counts: ArrayLike) -> Floats:
    """Return `θ = (q − d)/n`, the net share, in [-1, 1], higher means more +1.

    Args:
        counts: Numbers (d, p, q) of −1, 0 and +1, shape (…, 3).

    Returns:
        Values, shape (…); nan where there is no answer.

    >>> trinomial_value([[25, 25, 50], [0, 0, 0]]).tolist()
    [0.25, nan]
    """
    negative, _, positive, n = _split(counts)
    return ratio(positive - negative, n)


def trinomial_variance(counts: ArrayLike) -> Floats:
    """Return the variance of one answer, `σ² = (q + d)/n − θ²`, in [0, 1 − θ²].

    The standard error of θ is `√(σ²/n)`.

    Args:
        counts: Numbers (d, p, q) of −1, 0 and +1, shape (…, 3).

    Returns:
        Variances with divisor n, shape (…); nan where there is no answer.

    >>> round(float(trinomial_variance([1, 2, 3])), 4)
    0.5556
    """
    shares = _shares(counts)
    # The same as (q+d)/n − θ², without the cancellation that could make it negative.
    return floats(shares[1] * (shares[0] + shares[2]) + 4 * shares[0] * shares[2])


def _shares(counts: ArrayLike) -> Floats:
    """Return the shares of −1, 0 and +1, shape (3, …)."""
    negative, neutral, positive, n = _split(counts)
    return ratio(np.stack([negative, neutral, positive]), n)


def _standard_error(counts: ArrayLike) -> Floats:
    n = _split(counts)[3]
    return root(ratio(trinomial_variance(counts), n))


def wald(counts: ArrayLike, level: float = 0.95) -> Bounds:
    """Normal interval `θ ± z·√(σ²/n)`, clipped to [-1, 1].

    Too narrow for small n (exact coverage at n = 10 is about 85 % for a nominal 95 %) and of no width at
    all where everybody agrees. Use `score` unless you need this one for comparison.

    Args:
        counts: Numbers of −1, 0 and +1, shape (…, 3).
        level: Confidence level, between 0 and 1.

    Returns:
        Lower and upper ends, shape (…).

    >>> [round(float(end), 4) for end in wald([25, 25, 50])]
    [0.0875, 0.4125]
    """
    return normal_interval(trinomial_value(counts), _standard_error(counts), level, -1.0, 1.0)


def adjusted_wald(counts: ArrayLike, level: float = 0.95) -> Bounds:
    """Wald interval after adding (¾, 1½, ¾) to the counts (Rocks 2016, arXiv:1601.07235).

    Args:
        counts: Numbers of −1, 0 and +1, shape (…, 3).
        level: Confidence level, between 0 and 1.

    Returns:
        Lower and upper ends, shape (…). For n = 1 they need not contain the observed value.

    >>> [round(float(end), 4) for end in adjusted_wald([0, 0, 10])]
    [0.475, 1.0]
    """
    n = _split(counts)[3]
    low, high = wald(floats(counts) + floats(ADJUSTMENT), level)
    return np.where(n > 0, low, np.nan), np.where(n > 0, high, np.nan)


def goodman(counts: ArrayLike, level: float = 0.95) -> Bounds:
    """Simultaneous interval: Wald with `√χ²₂` in the place of z, clipped to [-1, 1].

    For several contrasts of the same three counts at once (Goodman 1964, Ann. Math. Statist. 35:716). Wider
    than needed for the one contrast +1 minus −1.

    Args:
        counts: Numbers of −1, 0 and +1, shape (…, 3).
        level: Joint confidence level, between 0 and 1.

    Returns:
        Lower and upper ends, shape (…).

    >>> [round(float(end), 4) for end in goodman([25, 25, 50])]
    [0.047, 0.453]
    """
    z_value(level)  # checks the level
    # The upper tail of χ² with two degrees of freedom is exp(−x/2).
    margin = math.sqrt(-2.0 * math.log(1.0 - level)) * _standard_error(counts)
    value = trinomial_value(counts)
    return floats(np.clip(value - margin, -1.0, 1.0)), floats(np.clip(value + margin, -1.0, 1.0))


def score(counts: ArrayLike, level: float = 0.95) -> Bounds:
    """Score interval, the default: all δ that a score test does not reject.

    Formula: `{δ: |q − d − nδ| ≤ z·√(n(2x + δ(1−δ)))}`, where x is the maximum-likelihood estimate of P(−1)
    under the restriction P(+1) − P(−1) = δ (Tango 1998,
    doi:10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B). It contains θ, stays in [-1, 1],
    turns round with the sign of the answers, and keeps its coverage down to a handful of answers.

    Args:
        counts: Numbers of −1, 0 and +1, shape (…, 3).
        level: Confidence level, between 0 and 1.

    Returns:
        Lower and upper ends, shape (…), exact to about 1e-12. The lower end is −1 where all answers are −1,
        the upper end 1 where all are +1.

    >>> [round(float(end), 4) for end in score([25, 25, 50])]
    [0.0816, 0.4031]
    >>> [round(float(end), 4) for end in score([0, 0, 10])]
    [0.4449, 1.0]
    """
    z2 = z_value(level) ** 2
    n = _split(counts)[3]
    shares = _shares(counts).reshape(3, -1)
    # The upper end is minus the lower end of the mirrored counts: one solver, and exact antisymmetry.
    both = np.concatenate([shares, shares[::-1]], axis=1)
    scale = np.tile(ratio(z2, n).ravel(), 2)
    ends = np.full(scale.shape, np.nan)
    filled = np.flatnonzero(~np.isnan(scale))
    for start in range(0, filled.size, _CHUNK):
        part = filled[start : start + _CHUNK]
        ends[part] = _lower_score_end(both[:, part], scale[part])
    low, high = ends.reshape(2, *n.shape) * np.array([1.0, -1.0]).reshape(2, *[1] * n.ndim)
    value = trinomial_value(counts)
    return floats(np.minimum(low, value)), floats(np.maximum(high, value))


# Pieces of this length keep the temporary arrays of the solver in the processor's cache.
_CHUNK = 8192
_ITERATIONS = 100


def _lower_score_end(shares: Floats, scale: Floats) -> Floats:
    """Solve for the lower score end from the shares (3, N) and scale = z²/n.

    Newton steps on the squared equation inside a shrinking bracket; where a step would leave it, bisection.
    The bracket keeps a positive value at its lower and a non-positive one at its upper side.
    """
    theta, opinion = shares[2] - shares[0], shares[2] + shares[0]
    low, high = np.full(scale.shape, -1.0), theta.copy()
    # Start where the bound would be if the share of 0 were fixed.
    at = (theta - root(scale * (opinion * (1 + scale) - theta**2))) / (1 + scale)
    at = floats(np.clip(at, low, high))
    open_ = np.flatnonzero(high > low)
    for _ in range(_ITERATIONS):
        if not open_.size:
            break
        here = at[open_]
        value, slope = _score_excess(shares[:, open_], scale[open_], here)
        rejected = value > 0
        left, right = np.where(rejected, here, low[open_]), np.where(rejected, high[open_], here)
        with np.errstate(divide="ignore", invalid="ignore"):
            newton = here - value / slope
        inside = (newton > left) & (newton < right)
        following = np.where(inside, newton, (left + right) / 2)
        low[open_], high[open_], at[open_] = left, right, following
        # Newton's error is about the square of its last step.
        done = (inside & (np.abs(following - here) < 1e-9)) | (right - left < 1e-15)
        open_ = open_[~done]
    return at


def _score_excess(shares: Floats, scale: Floats, delta: Floats) -> tuple[Floats, Floats]:
    """Return `(θ−δ)² − (z²/n)·V(δ)` and its slope; positive where δ is rejected."""
    d, p, q = shares
    theta, rest, above = q - d, p + q, 1 + delta
    # Restricted estimate x: the larger root of 2x² + bx + c = 0. The discriminant b² − 8c is expanded around
    # δ = −1, where it would cancel, and the root is taken in the form that does not subtract.
    b = (2 - theta) * delta - d - q
    linear = q * (1 + d) - rest * (2 - d)
    square = 4 * rest**2 + above * (4 * linear + above * ((2 - theta) ** 2 - 8 * d))
    spread = np.sqrt(np.maximum(square, 0.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        x = np.where(b <= 0, (spread - b) / 4, 2 * d * delta * (1 - delta) / (spread + b))
        x_slope = (d * (1 - 2 * delta) - (2 - theta) * x) / spread
    value = (theta - delta) ** 2 - scale * (2 * x + delta * (1 - delta))
    return floats(value), floats(2 * (delta - theta) - scale * (2 * x_slope + 1 - 2 * delta))


def difference(first: ArrayLike, second: ArrayLike, level: float = 0.95, *, adjusted: bool = False) -> Difference:
    """Compare two independent groups: signed difference second minus first, with a normal test.

    Formula: `Δ = θ₂ − θ₁`, `SE = √(σ₁²/n₁ + σ₂²/n₂)`; adjusted adds (¾, 1½, ¾) to the counts of each group
    first (Rocks 2016, arXiv:1601.07235), which is better for small groups.

    Args:
        first: Counts of −1, 0 and +1 of the first group, shape (…, 3).
        second: Counts of the second group.
        level: Confidence level of the interval.
        adjusted: Whether to adjust; value, standard error and interval are then those of the adjusted counts.

    Returns:
        Difference on the scale [-2, 2]; nan where a group is empty.

    >>> test = difference([30, 20, 50], [20, 20, 60])
    >>> round(float(test.value), 3), round(float(test.z), 3), round(float(test.p), 4)
    (0.2, 1.69, 0.091)
    """
    a, b = floats(first), floats(second)
    empty = (_split(a)[3] == 0) | (_split(b)[3] == 0)
    if adjusted:
        a, b = a + floats(ADJUSTMENT), b + floats(ADJUSTMENT)
    value = np.where(empty, np.nan, trinomial_value(b) - trinomial_value(a))
    se = np.where(empty, np.nan, np.hypot(_standard_error(a), _standard_error(b)))
    return _normal_test(value, se, level)


def paired_difference(table: ArrayLike, level: float = 0.95) -> Difference:
    """Compare two answers of the same people: mean of the second minus the first answer.

    Formula: `SE = √((mean((s₂−s₁)²) − Δ²)/n)`. Treating the answers as independent would nearly always be too
    wide, for people who answer high once tend to do so again.

    Args:
        table: How many people gave (first, second) answers −1, 0, +1: shape (…, 3, 3), rows first.
        level: Confidence level of the interval.

    Returns:
        Difference on the scale [-2, 2]; nan where nobody answered.

    >>> test = paired_difference([[20, 5, 3], [4, 18, 10], [1, 6, 33]])
    >>> round(float(test.value), 3), round(float(test.se), 4)
    (0.09, 0.0634)
    """
    people = floats(table)
    answers = np.array([-1.0, 0.0, 1.0])
    change = answers[None, :] - answers[:, None]
    n = people.sum(axis=(-2, -1))
    value = ratio((people * change).sum(axis=(-2, -1)), n)
    square = ratio((people * change**2).sum(axis=(-2, -1)), n)
    return _normal_test(value, root(ratio(square - value**2, n)), level)


def _normal_test(value: Floats, se: Floats, level: float) -> Difference:
    from scipy.special import erfc

    z = ratio(value, se)
    low, high = normal_interval(value, se, level, -2.0, 2.0)
    return Difference(value, se, z, floats(erfc(np.abs(z) / math.sqrt(2))), low, high)


def permutation_p_value(first: ArrayLike, second: ArrayLike) -> float:
    """Exact two-sided permutation test of two groups of whole answers.

    The probability, when the answers are dealt out to the groups at random, of a difference at least as large
    as the observed one. All deals are enumerated by their counts: n₁²/2 of them at most.

    Args:
        first: Whole counts of −1, 0 and +1 of the first group, shape (3,).
        second: Whole counts of the second group, shape (3,).

    Returns:
        p value in (0, 1]; nan where a group is empty.

    >>> round(permutation_p_value([3, 2, 5], [1, 1, 8]), 4)
    0.2848
    """
    from scipy.special import gammaln

    a, b = floats(first), floats(second)
    n_a, n_b, pool = float(a.sum()), float(b.sum()), a + b
    if n_a == 0 or n_b == 0:
        return math.nan

    def log_choose(total: float, part: Floats) -> Floats:
        return floats(gammaln(total + 1) - gammaln(part + 1) - gammaln(total - part + 1))

    negative = np.arange(max(0.0, n_a - pool[1] - pool[2]), min(n_a, pool[0]) + 1)[:, None]
    positive = np.arange(0.0, min(n_a, pool[2]) + 1)[None, :]
    neutral = n_a - negative - positive
    possible = (neutral >= 0) & (neutral <= pool[1])
    dealt = np.where(possible, neutral, 0.0)
    logs = log_choose(pool[0], negative) + log_choose(pool[1], dealt) + log_choose(pool[2], positive)
    chance = np.where(possible, np.exp(logs - log_choose(n_a + n_b, floats(n_a))), 0.0)
    dealt_value = (positive - negative) / n_a
    gap = (pool[2] - pool[0] - (positive - negative)) / n_b - dealt_value
    observed = abs(float(trinomial_value(b)) - float(trinomial_value(a)))
    return min(1.0, float(chance[np.abs(gap) >= observed - 1e-12].sum()))


def sample_size(margin: ArrayLike, variance: ArrayLike = 1.0, level: float = 0.95) -> Floats:
    """Return how many answers give an interval of `± margin`: `⌈z²σ²/margin²⌉`.

    Args:
        margin: Wanted half width, on the scale [-1, 1] (0.1 is ten points).
        variance: Variance of one answer; 1 is the worst case, half −1 and half +1.
        level: Confidence level.

    Returns:
        Numbers of answers, whole.

    Raises:
        ValueError: If a margin is not positive.

    >>> sample_size([0.1, 0.05, 0.03]).tolist()
    [385.0, 1537.0, 4269.0]
    """
    half = floats(margin)
    if not np.all(half > 0):
        raise ValueError(f"A margin must be above 0, got {float(np.min(half))!r}. Ten points are 0.1.")
    return floats(np.ceil(z_value(level) ** 2 * floats(variance) / half**2))


def nonresponse_bounds(value: ArrayLike, response_rate: ArrayLike) -> Bounds:
    """Bounds of the value among all people asked, whatever those who kept silent would have said.

    Formula: `r·θ − (1−r)` to `r·θ + (1−r)` (Manski 1989, doi:10.2307/145818). No sampling error is in them.

    Args:
        value: Value among those who answered, in [-1, 1].
        response_rate: Share r of those asked who answered, in [0, 1].

    Returns:
        Lower and upper bounds, in [-1, 1].

    >>> [round(float(end), 2) for end in nonresponse_bounds(0.4, 0.2)]
    [-0.72, 0.88]
    """
    rate = floats(response_rate)
    silent = 1.0 - rate
    return floats(rate * floats(value) - silent), floats(rate * floats(value) + silent)
