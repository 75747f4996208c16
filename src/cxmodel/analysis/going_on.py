"""Going on: whether journeys that pass a touchpoint are otherwise as long as those that never do."""

from __future__ import annotations

from typing import Final

import numpy as np

from cxmodel.analysis.contrasts import Contrasts, Replicates
from cxmodel.analysis.risk_sets import Layout
from cxmodel.stats.arrays import integers
from cxmodel.stats.floats import ratio
from cxmodel.tallies.sums import Sums

LENGTH: Final = "length"
OWN: Final = "own"
_MARGIN: Final = 0.05


def go_on_alike(sums: Sums, layout: Layout, replicates: Replicates, level: float) -> bool:
    """Whether journeys that pass a touchpoint are seen to pass no more of the others than equal ones that never do.

    If it is as good as chance whether a journey ever passes a touchpoint, then those that do pass as many of the
    others. The excess, Σ (others passed − expected of those that never pass it) / Σ expected, pooled over touchpoints,
    must have an interval within ±5 %: a small log cannot show that, so it does not pass.

    Args:
        sums: Sums of the risk sets against nothing, with the lengths of journeys and the passings of touchpoints.
        layout: Their layout.
        replicates: How customers are resampled.
        level: Confidence level.
    """
    lengths, own = (Contrasts(sums, layout, replicates, name) for name in (LENGTH, OWN))
    more, expected = np.zeros(replicates.weights.shape[1]), np.zeros(replicates.weights.shape[1])
    for code in integers(lengths.touchpoints):
        passed = lengths.real(code)
        more += passed.lift - own.real(code).outcome
        expected += passed.expected
    low, high = replicates.interval(ratio(more, expected), level)
    return bool(low > -_MARGIN and high < _MARGIN)
