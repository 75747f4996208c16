"""E-values: how strong an unmeasured confounder would have to be to explain an effect away."""

from __future__ import annotations

import math

from cxmodel.model.estimates import Estimate


def e_values(risk: Estimate) -> tuple[float | None, float | None]:
    """The E-value of a risk ratio, and of the end of its interval that is nearest to 1.

    RR + √(RR·(RR − 1)), with 1/RR for a ratio below 1 (VanderWeele & Ding 2017, 10.7326/M16-2607); from 1 (no
    confounding is needed) upwards.

    Args:
        risk: The risk ratio.

    Example:
        >>> from cxmodel.model.estimates import Interval
        >>> [round(each, 2) for each in e_values(Estimate(value=3.9, n=99, interval=Interval(1.8, 8.7, 0.95, "")))]
        [7.26, 3.0]
    """
    if risk.value is None or risk.value <= 0:
        return None, None
    if risk.interval is None:
        return _e_value(risk.value), None
    low, high = risk.interval.low, risk.interval.high
    return _e_value(risk.value), 1.0 if low <= 1 <= high else _e_value(low if low > 1 else high)


def _e_value(ratio_: float) -> float:
    away = ratio_ if ratio_ >= 1 else 1 / ratio_
    return away + math.sqrt(away * (away - 1))
