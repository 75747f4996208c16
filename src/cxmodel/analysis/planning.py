"""Planning: how many answers a question needs, and what silence could hide."""

from __future__ import annotations

import math
from typing import Any

from cxmodel.errors import InvalidValueError, NoValueError
from cxmodel.model.estimates import Estimate, Interval
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.metrics import Metric


def sample_size(
    metric: Metric[Any] | type[Metric[Any]], margin: float, *, sd: float | None = None, level: float = 0.95
) -> int:
    """How many answers give an interval of about ± margin, for one answer per customer.

    Formula: n = ⌈z² · sd² / margin²⌉. Without a standard deviation the largest possible one is taken, half the range of
    the metric: half of the answers at either end. Divide by the expected response rate for how many to ask, and
    multiply by the design effect where answers are weighted or customers answer repeatedly.

    Args:
        metric: The metric; its range and unit are those of the margin.
        margin: Wanted half width, in the unit of the metric (10 points of NPS, 0.05 of a share).
        sd: Standard deviation of one answer, in the same unit (for NPS 100·√(promoters + detractors − NPS²)).
        level: Confidence level, 0 to 1.

    Raises:
        InvalidValueError: The margin is not above 0, or neither sd nor the range is known.

    Example:
        >>> from cxmodel.metrics import Csat, Nps
        >>> sample_size(Nps, 10), sample_size(Nps, 5), sample_size(Csat, 0.05)
        (385, 1537, 385)
    """
    if not 0 < level < 1:
        raise InvalidValueError(f"level is a share between 0 and 1, got {level!r}", hint="Write level=0.95")
    if not margin > 0 or not math.isfinite(margin):
        raise InvalidValueError(f"margin is a half width above 0, got {margin!r}")
    if sd is not None and not (sd >= 0 and math.isfinite(sd)):
        raise InvalidValueError(f"sd is a standard deviation of 0 or more, got {sd!r}")
    spread = (metric.range[1] - metric.range[0]) / 2 if sd is None else sd
    if not math.isfinite(spread):
        raise InvalidValueError(f"{metric.name} has no largest value", hint="Give the standard deviation: sd=…")
    # 385 · (1 + 1e-16) answers are 385
    return max(1, math.ceil((z_value(level) * spread / margin) ** 2 * (1 - 1e-12)))


def nonresponse_bounds(estimate: Estimate, response_rate: Estimate | float) -> Interval:
    """Bounds of a score among all who were asked, whatever those who kept silent would have said.

    Formula: r·θ + (1 − r)·low to r·θ + (1 − r)·high, for the ends of the metric's range (Manski 1989, 10.2307/145818).
    They hold for certain of the value observed; the error of sampling comes on top.

    Args:
        estimate: The score of those who answered.
        response_rate: Share of those asked who answered, 0 to 1: a number, or the result of `ResponseRate`.

    Raises:
        NoValueError: There is no score or no rate.
        InvalidValueError: The rate is no share, or the range of the score is not known.

    Example:
        >>> bounds = nonresponse_bounds(Estimate(value=40.0, n=200, range=(-100, 100)), 0.2)
        >>> round(bounds.low, 6), round(bounds.high, 6)
        (-72.0, 88.0)
    """
    rate = response_rate.require() if isinstance(response_rate, Estimate) else response_rate
    if not 0 <= rate <= 1:
        raise InvalidValueError(f"a response rate is a share between 0 and 1, got {rate!r}")
    low, high = estimate.range
    if estimate.value is None:
        raise NoValueError(f"no value: {estimate.reason}")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise InvalidValueError("the range of this score is not known, so neither is what silence could hide")
    answered, silent = rate * estimate.value, 1 - rate
    return Interval(answered + silent * low, answered + silent * high, 1.0, "bounds of non-response")
