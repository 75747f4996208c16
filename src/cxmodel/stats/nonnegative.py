"""Least squares with coefficients of 0 or more, from sums of products, for many replicates at once."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Final

import numpy as np
from numpy.typing import NDArray

from cxmodel.stats.floats import Floats, floats, ratio

_ALIKE: Final = 1e-9


def nonnegative_fit(products: Floats, features: Sequence[int], outcome: int) -> Floats:
    """Intercept and coefficients β ≥ 0 that minimise Σ w·(y − a − Σ βⱼxⱼ)².

    The intercept is free. For a handful of features the optimum is the best of the ordinary fits on subsets of them
    whose coefficients are all 0 or more, so all subsets are tried; the answer is that of Lawson & Hanson (1974,
    10.1137/1.9781611971217). Subsets in which one feature repeats the others are passed over, and of equally good ones
    the smallest and first is taken.

    Args:
        products: (…, k, k) sums of the products of k columns, the first of which is 1.
        features: Columns of the p features.
        outcome: Column of y.

    Returns:
        (…, 1 + p) intercept and coefficients; NaN where nothing was observed.

    >>> rows = np.array([[1.0, 0, 1], [1, 1, 3], [1, 2, 5]])
    >>> nonnegative_fit(rows.T @ rows, [1], 2).round(6).tolist()
    [1.0, 2.0]
    """
    n = products[..., 0, 0]
    means = ratio(products[..., 0, :], n[..., None])
    centred = products - products[..., 0, :, None] * means[..., None, :]
    size = np.abs(np.einsum("...ii->...i", products))
    varies = np.einsum("...ii->...i", centred) > 1e-12 * size
    best, found = np.zeros(n.shape), np.zeros((*n.shape, len(features)))
    for count in range(1, len(features) + 1):
        for subset in combinations(range(len(features)), count):
            gain, beta = _ordinary(centred, varies, [features[i] for i in subset], outcome)
            better = gain > best + _ALIKE * np.abs(centred[..., outcome, outcome])
            best = np.where(better, gain, best)
            fresh = np.zeros_like(found)
            fresh[..., list(subset)] = beta
            found = np.where(better[..., None], fresh, found)
    level = means[..., outcome] - (found * means[..., list(features)]).sum(axis=-1)
    return np.concatenate([level[..., None], np.where(n[..., None] > 0, found, np.nan)], axis=-1)


def _ordinary(
    centred: Floats, varies: NDArray[np.bool_], columns: Sequence[int], outcome: int
) -> tuple[Floats, Floats]:
    """What the ordinary fit on some features explains, −∞ where it is none or has a negative coefficient; and it."""
    inside = centred[..., columns, :][..., columns]
    spread = np.sqrt(np.maximum(np.einsum("...ii->...i", inside), 0.0))
    scale = np.where(spread > 0, spread, 1.0)
    alike = np.nan_to_num(inside / (scale[..., :, None] * scale[..., None, :]))
    usable = varies[..., columns].all(axis=-1)
    usable &= np.linalg.eigvalsh(alike)[..., 0] > _ALIKE
    alike = np.where(usable[..., None, None], alike, np.eye(len(columns)))
    with_outcome = np.nan_to_num(centred[..., columns, outcome] / scale)
    beta = np.linalg.solve(alike, with_outcome[..., None])[..., 0]
    usable &= (beta >= 0).all(axis=-1)
    gain = np.where(usable, (beta * with_outcome).sum(axis=-1), -np.inf)
    return floats(gain), floats(np.where(usable[..., None], beta / scale, 0.0))


def squared_error(products: Floats, fit: Floats, features: Sequence[int], outcome: int) -> Floats:
    """Σ w·(y − a − Σ βⱼxⱼ)² from sums of products.

    >>> rows = np.array([[1.0, 0, 1], [1, 1, 3], [1, 2, 6]])
    >>> float(squared_error(rows.T @ rows, np.array([1.0, 2.0]), [1], 2))
    1.0
    """
    slope = np.zeros((*fit.shape[:-1], products.shape[-1]))
    slope[..., [0, *features]] = -fit
    slope[..., outcome] = 1.0
    return floats(np.maximum(np.einsum("...i,...ij,...j->...", slope, products, slope), 0.0))
