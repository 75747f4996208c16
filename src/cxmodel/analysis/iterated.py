"""Iterated expectations: what journeys would have come to without a touchpoint, from the last step back."""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import frozen

from cxmodel.analysis.risk_sets import Layout
from cxmodel.stats.arrays import Ints, compress
from cxmodel.stats.floats import Floats, ratio

NONE: Final = 1e-9
_PRIOR: Final = 3.0


@frozen(eq=False)
class Walk:
    """How risk sets lead to those of the next step.

    Attributes:
        place: Way on of each row: from a risk set of the step before to its own.
        size: Number of ways on.
        source: (ways,) risk set that each comes from; −1 at the first step.
        target: (ways,) risk set that each leads to.
        first: (steps + 1,) first risk set of each step.
        begin: (steps + 1,) first way on to each step.
    """

    place: Ints
    size: int
    source: Ints
    target: Ints
    first: Ints
    begin: Ints

    @classmethod
    def of(cls, layout: Layout, risks: Ints, step: Ints, cell: Ints, origin: Ints) -> Walk:
        """The ways on between the risk sets of sorted codes."""
        ways, place = compress((step * layout.cells + cell) * layout.moving + origin)
        risk, moved = np.divmod(ways, layout.moving)
        at, here = np.divmod(risk, layout.cells)
        came = np.searchsorted(risks, (at - 1) * layout.cells + layout.parent(at, here, moved))
        steps = np.arange(layout.edges.size + 1)
        return cls(
            place, ways.size, np.where(at > 0, came, -1), np.searchsorted(risks, risk),
            np.searchsorted(risks, steps * layout.cells), np.searchsorted(at, steps),
        )  # fmt: skip

    def expected(self, exposed: Floats, others: Floats, going: Floats) -> Floats:
        """In each risk set the mean outcome if the touchpoint is never passed from then on.

        Those that pass another touchpoint now, and then end or go on to a next risk set where the same holds. Each mean
        leans towards what the exposed had less the effect usual at this step and later (pooled with Mantel-Haenszel
        weights), as if up to three more journeys had said so: where few do without, few would decide for many.

        Args:
            exposed: (2, risk sets, r) journeys that pass it now, for the first time, and their outcomes.
            others: (2, risk sets, r) those that pass another now, and have not passed it.
            going: (2, ways on, r) of the others of the step before, those that go on.

        Returns:
            (2, risk sets, r) count and sum.
        """
        count, total = others[0].copy(), others[1].copy()
        won = ratio(exposed[1], exposed[0], 0.0)
        lift, pooled = np.zeros(count.shape[1]), np.zeros(count.shape[1])
        for step in range(self.first.size - 2, -1, -1):
            mine = slice(self.first[step], self.first[step + 1])
            now, mean = exposed[0, mine], won[mine]
            common = ratio(now * count[mine], now + count[mine], 0.0)
            lift += (common * (mean - ratio(total[mine], count[mine], 0.0))).sum(axis=0)
            pooled += common.sum(axis=0)
            prior = ratio(_PRIOR * now, now + _PRIOR)
            count[mine] += prior
            total[mine] += prior * (mean - ratio(lift, pooled, 0.0))
            if step:
                self._carry(step, ratio(total[mine], count[mine], 0.0), total, going)
        return np.stack([count, total])

    def _carry(self, step: int, ahead: Floats, total: Floats, going: Floats) -> None:
        """In the step before, put what is expected of those that go on in the place of what they came to."""
        ways = slice(self.begin[step], self.begin[step + 1])
        before = slice(self.first[step - 1], self.first[step])
        expected = going[0, ways] * ahead[self.target[ways] - self.first[step]]
        place = self.source[ways] - before.start
        total[before] += sums_by(place, expected - going[1, ways], before.stop - before.start)


def sums_by(place: Ints, values: Floats, size: int) -> Floats:
    """(size, r) sums of rows by place."""
    from scipy.sparse import csr_array

    rows = np.arange(place.size)
    matrix = csr_array((np.ones(place.size), (place, rows)), shape=(size, place.size))
    return np.asarray(matrix @ values)
