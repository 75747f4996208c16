"""How long a memory a chain needs: likelihood, parameters, information criteria and likelihood-ratio tests by order.

A step is one number as in `cxmodel.stats.backoff`: the digits of its context and of what follows, in base `width`.
All orders look at the same steps; a shorter memory looks at the last digits of the same contexts.
"""

from __future__ import annotations

import math

import numpy as np
from attrs import frozen

from cxmodel.stats.arrays import Ints, compress, grouped_sum
from cxmodel.stats.floats import Floats


@frozen(kw_only=True)
class OrderFit:
    """A maximum-likelihood chain of one order.

    Attributes:
        order: States remembered.
        log_likelihood: Σ n·ln(n/n_context) over the steps seen, in nats.
        contexts: Contexts that were seen.
        parameters: Free numbers: over all contexts that single steps allow, what may follow the last state, minus 1.
            Where anything may follow anything this is m^order·(m − 1).
        parameters_seen: Σ over the contexts seen of what followed them, minus 1; 0 for contexts seen once.
        n: Steps.
    """

    order: int
    log_likelihood: float
    contexts: int
    parameters: float
    parameters_seen: int
    n: float

    @property
    def aic(self) -> float:
        """−2L + 2·parameters (Akaike 1974, doi:10.1109/TAC.1974.1100705); lower is better."""
        return -2.0 * self.log_likelihood + 2.0 * self.parameters

    @property
    def bic(self) -> float:
        """−2L + parameters·ln n (Schwarz 1978, doi:10.1214/aos/1176344136); lower is better."""
        return -2.0 * self.log_likelihood + (self.parameters * math.log(self.n) if self.n else 0.0)


def order_fits(codes: Ints, counts: Floats, width: int, most: int) -> tuple[OrderFit, ...]:
    """Fit chains of order 0 to `most` to the same steps.

    Args:
        codes: (r,) distinct codes of (context of `most` digits, next).
        counts: (r,) how often each was seen.
        width: Base of the codes.
        most: Digits of a context.

    Returns:
        One fit per order.

    >>> fits = order_fits(np.array([4 + 2, 2 * 4 + 1, 2 * 4 + 2]), np.array([2.0, 1.0, 1.0]), 4, 1)
    >>> [round(fit.log_likelihood, 4) for fit in fits], [fit.parameters for fit in fits]
    ([-2.2493, -1.3863], [1.0, 1.0])
    """
    allowed = _parameters(codes, width, most)
    return tuple(_fit(codes, counts, width, order, allowed[order]) for order in range(most + 1))


def _fit(codes: Ints, counts: Floats, width: int, order: int, parameters: float) -> OrderFit:
    keys, place = compress(codes % width ** (order + 1))
    seen = grouped_sum(place, counts, keys.size)
    contexts, row = compress(keys // width)
    total = grouped_sum(row, seen, contexts.size)
    return OrderFit(
        order=order, log_likelihood=float(seen @ np.log(seen / total[row])), contexts=int(contexts.size),
        parameters=parameters, parameters_seen=int(keys.size - contexts.size), n=float(seen.sum()),
    )  # fmt: skip


def _parameters(codes: Ints, width: int, most: int) -> list[float]:
    """Parameters of each order, from the steps that were seen one by one: contexts are counted, never listed."""
    following, _ = compress(codes % width)
    out = [float(max(following.size - 1, 0))]
    if most == 0:
        return out
    steps, _ = compress(codes % width**2)
    here, row = compress(steps // width)
    free = np.bincount(row, minlength=here.size) - 1.0
    last = steps % width
    target = np.minimum(np.searchsorted(here, last), max(here.size - 1, 0))
    inner = (last > 0) & (here[target] == last) if here.size else np.zeros(0, np.bool_)
    ways = np.ones(here.size)
    for _ in range(most):
        out.append(float(ways @ free))
        # before the beginning only the beginning follows, so its one way stays
        ways = grouped_sum(target[inner], ways[row[inner]], here.size) + np.where(here == 0, ways, 0.0)
    return out


@frozen(kw_only=True)
class RatioTest:
    """Likelihood-ratio test of a shorter memory against a longer one.

    Attributes:
        statistic: 2·(L_longer − L_shorter), χ² where the shorter memory is enough.
        df: Parameters that the longer one has more.
        p: Chance of as much or more where the shorter is enough; nan where the longer has no more parameters.
    """

    statistic: float
    df: float
    p: float

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"statistic": self.statistic, "df": self.df, "p": self.p if math.isfinite(self.p) else None}


def ratio_test(shorter: OrderFit, longer: OrderFit) -> RatioTest:
    """Whether a longer memory explains more than chance would (Anderson & Goodman 1957, doi:10.1214/aoms/1177707039).

    >>> fits = order_fits(np.array([4 + 1, 4 + 2, 2 * 4 + 1, 2 * 4 + 2]), np.array([9.0, 1.0, 1.0, 9.0]), 4, 1)
    >>> test = ratio_test(*fits)
    >>> round(test.statistic, 3), test.df, round(test.p, 5)
    (14.723, 1.0, 0.00012)
    """
    from scipy.special import chdtrc

    statistic = max(2.0 * (longer.log_likelihood - shorter.log_likelihood), 0.0)
    df = longer.parameters - shorter.parameters
    return RatioTest(statistic=statistic, df=df, p=float(chdtrc(df, statistic)) if df > 0 else math.nan)
