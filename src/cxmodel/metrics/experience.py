"""Experience over a journey: what the scores on its touchpoints, in order of time, add up to."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import Any, ClassVar

import numpy as np
from attrs import Attribute, field, frozen

from cxmodel.analysis.moments import JourneyScores, journey_scores
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.times import microseconds
from cxmodel.errors import InvalidValueError
from cxmodel.metrics.survey import QuestionMetric
from cxmodel.model.scales import Scale
from cxmodel.stats.floats import Floats
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.observations import Observations, observe

_DISTANT = 1e-9


@frozen(kw_only=True)
class ExperienceMetric(QuestionMetric):
    """One value per journey from the scores on its touchpoints, then the mean over journeys.

    Journeys without a score do not count; missing scores are skipped, not 0. The interval is the delta interval by
    customer. A journey weighs as much as its answers do on average. Good and bad follow the direction of the scale.

    Attributes:
        neutral: The point that is neither good nor bad; the middle of the scale unless given.
    """

    unit: ClassVar[str] = "points of the scale"
    observes: ClassVar[Unit] = "journey"

    neutral: float | None = None

    @abstractmethod
    def of(self, scores: JourneyScores) -> Floats:
        """(j,) the value of each journey."""

    def observe(self, block: Block) -> Observations:
        """Journeys with a score, and the value of each."""
        scales = self.fitting(dict(block.vocabulary.questions))
        code, scale = next(iter(scales.items()), (-1, Scale.own(0, 1)))
        scores = journey_scores(block, code, scale, self.neutral)
        values = self.of(scores) if scores.journey.size else np.zeros(0)
        return observe("journey", scores.journey, weight=scores.weight, experience=scores.weight * values)

    def value(self, sums: Columns) -> Floats:
        """Σ weight · value/Σ weight."""
        return sums["experience"] / sums["weight"]


@frozen(kw_only=True)
class ExperienceMean(ExperienceMetric):
    """Mean over journeys of the mean score on a journey's touchpoints; in points, direction of the scale.

    As good a guide to what people remember as peak-end is, over 174 effects (Alaybek et al. 2022,
    10.1016/j.obhdp.2022.104149).
    """

    name: ClassVar[str] = "experience_mean"

    def of(self, scores: JourneyScores) -> Floats:
        """Σ score/number of scores."""
        return scores.mean


@frozen(kw_only=True)
class ExperiencePeak(ExperienceMetric):
    """Mean over journeys of the best score on a journey's touchpoints; in points, direction of the scale."""

    name: ClassVar[str] = "experience_peak"

    def of(self, scores: JourneyScores) -> Floats:
        """Best score."""
        return scores.sign * scores.highest(scores.sign * scores.score)


@frozen(kw_only=True)
class ExperienceTrough(ExperienceMetric):
    """Mean over journeys of the worst score on a journey's touchpoints; in points, direction of the scale."""

    name: ClassVar[str] = "experience_trough"

    def of(self, scores: JourneyScores) -> Floats:
        """Worst score."""
        return scores.trough


@frozen(kw_only=True)
class ExperienceEnd(ExperienceMetric):
    """Mean over journeys of the last score on a journey's touchpoints; in points, direction of the scale."""

    name: ClassVar[str] = "experience_end"

    def of(self, scores: JourneyScores) -> Floats:
        """Last score."""
        return scores.end


@frozen(kw_only=True)
class ExtremePeak(ExperienceMetric):
    """Mean over journeys of the score farthest from neutral, good or bad; in points, direction of the scale.

    Of two scores that are equally far the bad one counts, for bad weighs more than good.
    """

    name: ClassVar[str] = "extreme_peak"

    def of(self, scores: JourneyScores) -> Floats:
        """The score with the largest |score − neutral|."""
        return scores.extreme


@frozen(kw_only=True)
class PeakEnd(ExperienceMetric):
    """Mean over journeys of peak-end: the mean of the score farthest from neutral and the last one.

    In points, direction of the scale. ``peak·extreme + end·last + mean·average``, the three weights summing to 1
    (Fredrickson & Kahneman 1993, 10.1037/0022-3514.65.1.45; Redelmeier & Kahneman 1996,
    10.1016/0304-3959(96)02994-6). That ½ and ½ hold in your data is to be shown, not assumed.

    Attributes:
        peak: Weight of the score farthest from neutral.
        end: Weight of the last score.
        mean: Weight of the mean score.
    """

    name: ClassVar[str] = "peak_end"

    peak: float = 0.5
    end: float = 0.5
    mean: float = 0.0

    def __attrs_post_init__(self) -> None:
        weights = (self.peak, self.end, self.mean)
        if min(weights) < 0 or abs(sum(weights) - 1) > _DISTANT:
            raise InvalidValueError(
                f"the weights of peak, end and mean are 0 or more and sum to 1, got {weights}",
                hint="Write PeakEnd(peak=0.4, end=0.4, mean=0.2)",
            )

    def of(self, scores: JourneyScores) -> Floats:
        """Weighted sum of the three."""
        return self.peak * scores.extreme + self.end * scores.end + self.mean * scores.mean


def _positive(instance: object, attribute: Attribute[Any], value: float | timedelta) -> None:
    if not (value > timedelta(0) if isinstance(value, timedelta) else value > 0):
        raise InvalidValueError(f"{attribute.name} is positive, got {value}")


@frozen(kw_only=True)
class MemoryDecay(ExperienceMetric):
    """Mean over journeys of a mean score in which older touchpoints fade; in points, direction of the scale.

    ``Σ v·2^(−age/half_life)/Σ 2^(−age/half_life)``, the age being counted back from the journey's last score. A long
    half-life gives the plain mean, a short one the last score.

    Attributes:
        half_life: A number counts scored touchpoints, a duration counts time.
    """

    name: ClassVar[str] = "memory_decay"

    half_life: float | timedelta = field(default=1.0, validator=_positive)

    def of(self, scores: JourneyScores) -> Floats:
        """Weighted mean of the scores."""
        last = (scores.offsets[1:] - 1)[scores.owner]
        if isinstance(self.half_life, timedelta):
            age = (scores.time[last] - scores.time) / microseconds(self.half_life)
        else:
            age = (last - np.arange(scores.score.size)) / self.half_life
        kept = np.exp2(-age)
        return scores.total(kept * scores.score) / scores.total(kept)


@frozen(kw_only=True)
class ExperienceIntegral(ExperienceMetric):
    """Mean over journeys of the experience summed over time: how far from neutral, for how long.

    ``∫ (v(t) − neutral) dt`` with v drawn straight from score to score, in points × ``per``; direction of the scale. It
    grows with duration, which memory neglects; a journey with one score has lasted no time and counts as 0.

    Attributes:
        per: Unit of time; an hour unless given.
    """

    name: ClassVar[str] = "experience_integral"
    unit: ClassVar[str] = "points of the scale × time"

    per: timedelta = field(default=timedelta(hours=1), validator=_positive)

    def of(self, scores: JourneyScores) -> Floats:
        """Sum of trapezoids between neighbouring scores."""
        above = scores.score - scores.neutral
        area = np.zeros(above.size)
        area[:-1] = (above[:-1] + above[1:]) / 2 * np.diff(scores.time) / microseconds(self.per)
        area[scores.offsets[1:] - 1] = 0.0
        return scores.total(area)
