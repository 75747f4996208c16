"""Paired changes: two answers of the same customers."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Answers, Block, Unit
from cxmodel.errors import NotMeasurableError, unknown
from cxmodel.metrics.survey import TOO_FEW
from cxmodel.model import validators
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction, NpsScale, Scale
from cxmodel.stats.floats import Floats, ratio, root
from cxmodel.stats.intervals import normal_interval
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, SumMetric
from cxmodel.tallies.observations import Observations, observe


@frozen(kw_only=True)
class PairedChange(SumMetric):
    """A metric of customers who answered two questions: mean of the second minus the first.

    Attributes:
        first: Name of the first question.
        second: Name of the second, on the same scale.
        min_n: Fewer customers than this are suppressed.
    """

    observes: ClassVar[Unit] = "customer"
    scale: ClassVar[type[Scale]] = Scale
    factor: ClassVar[float] = 1.0

    first: str
    second: str
    min_n: int = field(default=TOO_FEW, validator=validators.ge(0))

    def missing(self, facts: Facts) -> str | None:
        """A question that is not asked, or two of different kinds or on different scales."""
        for name in (self.first, self.second):
            if name not in facts.questions:
                return unknown("question", name, list(facts.questions))
        one, other = facts.questions[self.first], facts.questions[self.second]
        if one.kind != other.kind:
            return f"{self.first!r} is {one.kind} and {self.second!r} is {other.kind}: these do not make a pair"
        if one.scale != other.scale:
            return f"{self.first!r} is asked on {one.scale}, {self.second!r} on {other.scale}"
        return None if isinstance(one.scale, self.scale) else f"{self.first!r} is asked on the scale {one.scale}"

    @abstractmethod
    def meaning(self, score: Floats) -> Floats:
        """What each answer counts as."""

    def observe(self, block: Block) -> Observations:
        """Customers with an answer to both; several answers to one question count as their mean."""
        names = list(block.vocabulary.questions)
        answers = block.answers
        if answers is None:
            return observe("customer", np.zeros(0, np.int64), change=np.zeros(0), square=np.zeros(0))
        if np.any(answers.weight != 1):
            raise NotMeasurableError(f"{self.name}: answers with weights cannot be paired")
        means = [self._means(block, answers, names.index(name)) for name in (self.first, self.second)]
        change = means[1] - means[0]
        rows = np.flatnonzero(np.isfinite(change))
        return observe("customer", rows, change=change[rows], square=change[rows] ** 2)

    def _means(self, block: Block, answers: Answers, question: int) -> Floats:
        """(customers,) mean of the answers to a question; NaN without any."""
        rows = np.flatnonzero(answers.question == question)
        customer = block.customer_of_journey[answers.journey[rows]]
        total = np.bincount(customer, self.meaning(answers.score[rows]), minlength=block.customers)
        return ratio(total, np.bincount(customer, minlength=block.customers))

    def value(self, sums: Columns) -> Floats:
        """Σ change/n, in the unit of the metric."""
        return self.factor * sums["change"] / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Normal interval with SE = √((mean(change²) − Δ²)/n)."""
        middle = ratio(sums["change"], sums["n"])
        error = root(ratio(ratio(sums["square"], sums["n"]) - middle**2, n))
        known = np.where(n > 1, self.factor * error, np.nan)
        low, high = normal_interval(self.factor * middle, known, level, *self.range)
        return Closed(low, high, "normal, paired by customer")


@frozen(kw_only=True)
class NpsChange(PairedChange):
    """Change of the NPS among customers who answered both times, in points, −200 to 200; higher is better.

    100 · mean(s₂ − s₁) with s = −1, 0, 1 for detractors, passives and promoters; SE = √((mean((s₂ − s₁)²) − Δ²)/n).
    People who answer high once tend to do so again, so the interval is nearly always narrower than that of two separate
    groups.
    """

    name: ClassVar[str] = "nps_change"
    unit: ClassVar[str] = "points"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (-200.0, 200.0)
    scale: ClassVar[type[Scale]] = NpsScale
    factor: ClassVar[float] = 100.0

    def meaning(self, score: Floats) -> Floats:
        """−1, 0 or 1."""
        return np.where(score <= 6, -1.0, np.where(score >= 9, 1.0, 0.0))


@frozen(kw_only=True)
class ScoreChange(PairedChange):
    """Mean change of the answers of customers who answered both times, in the points of the scale."""

    name: ClassVar[str] = "score_change"
    unit: ClassVar[str] = "points of the scale"

    def meaning(self, score: Floats) -> Floats:
        """The score itself."""
        return score
