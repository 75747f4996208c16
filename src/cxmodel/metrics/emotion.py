"""Emotion: net sentiment and the mean, of polarities from −1 to 1 that somebody else has rated."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import field, frozen

from cxmodel.metrics.survey import MeanScore, SurveyMetric, net_counts
from cxmodel.model import validators
from cxmodel.model.scales import Direction, EmotionScale, Scale
from cxmodel.stats import trinomial
from cxmodel.stats.floats import Floats
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed


@frozen(kw_only=True)
class NetSentiment(SurveyMetric):
    """Share of positive minus share of negative answers on the emotion scale.

    −1 to 1, higher is better. Positive is a polarity above ``neutral``, negative one below −``neutral``. The same
    difference of two shares as NPS, with the same score interval
    (10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B) on counts scaled to n over the design effect.

    Attributes:
        neutral: Polarities up to this size count as neutral.
    """

    name: ClassVar[str] = "net_sentiment"
    unit: ClassVar[str] = "net share"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    scale: ClassVar[type[Scale]] = EmotionScale

    neutral: float = field(default=0.0, validator=[validators.ge(0), validators.lt(1)])

    def numbers(self, score: Floats, scale: Scale) -> dict[str, Floats]:
        """Negative and positive answers."""
        return {
            "negative": (score < -self.neutral).astype(np.float64),
            "positive": (score > self.neutral).astype(np.float64),
        }

    def value(self, sums: Columns) -> Floats:
        """(positive − negative)/n."""
        return (sums["positive"] - sums["negative"]) / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """The score interval on n over the design effect."""
        counts = net_counts(sums, "negative", "positive", n_eff)
        return Closed(*trinomial.score(counts, level), "score, design effect")


@frozen(kw_only=True)
class MeanEmotion(MeanScore):
    """Mean polarity on the emotion scale, −1 (bad) to 1 (good); higher is better. Delta interval by customer.

    Strong feelings of opposite sign cancel out: a mean of 0 may be indifference or a quarrel. `NetSentiment` cancels in
    the same way; ``by=cx.by.touchpoint`` shows where.
    """

    name: ClassVar[str] = "mean_emotion"
    unit: ClassVar[str] = "points −1–1"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    scale: ClassVar[type[Scale]] = EmotionScale
