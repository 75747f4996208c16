"""Response rates: how many of those who could have answered did."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import unknown
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, SumMetric
from cxmodel.tallies.observations import Observations, observe


@frozen(kw_only=True)
class ResponseRate(SumMetric):
    """Share of the journeys with an event that an answer is attached to.

    Unit share, 0 to 1; no direction. Every journey of the selection counts as asked; where only some were, select those
    first. Wilson's interval (10.1080/01621459.1927.10502953) on n over the design effect.

    Attributes:
        question: Count answers to this question only.
    """

    name: ClassVar[str] = "response_rate"
    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "journey"

    question: str | None = None

    def missing(self, facts: Facts) -> str | None:
        """No answers, no such question, or a survey on its own, which does not know who kept silent."""
        if not facts.questions:
            return "there are no answers: attach some with journeys.with_responses(…)"
        if self.question is not None and self.question not in facts.questions:
            return unknown("question", self.question, list(facts.questions))
        if not facts.events:
            return "a survey on its own does not know who kept silent: attach it with journeys.with_responses(…)"
        return None

    def observe(self, block: Block) -> Observations:
        """Everybody who could have answered, and whether an answer came."""
        rows = self.eligible(block)
        counts = np.zeros(int(rows.max(initial=-1)) + 1, np.bool_)
        answered = self.answering(block)
        counts[answered[(answered >= 0) & (answered < counts.size)]] = True
        return observe(self.observes, rows, answered=counts[rows])

    def eligible(self, block: Block) -> Ints:
        """Rows of the unit that could have answered."""
        return np.flatnonzero(block.lengths > 0)

    def answering(self, block: Block) -> Ints:
        """Rows of the unit that each answer belongs to; −1 where it belongs to none."""
        return self._answers(block)[0]

    def _answers(self, block: Block) -> tuple[Ints, Ints]:
        """Journey and event of each answer that counts."""
        answers = block.answers
        if answers is None:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        kept = np.ones(answers.size, np.bool_)
        if self.question is not None:
            kept = answers.question == list(block.vocabulary.questions).index(self.question)
        return answers.journey[kept], answers.event[kept]

    def value(self, sums: Columns) -> Floats:
        """answered/n."""
        return sums["answered"] / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Wilson's interval on n over the design effect."""
        low, high = wilson(sums["answered"] / sums["n"] * n_eff, n_eff, level)
        return Closed(low, high, "wilson, design effect")


@frozen(kw_only=True)
class CustomerResponseRate(ResponseRate):
    """Share of the customers with an event who gave at least one answer; otherwise as `ResponseRate`."""

    name: ClassVar[str] = "customer_response_rate"
    observes: ClassVar[Unit] = "customer"

    def eligible(self, block: Block) -> Ints:
        """Customers with an event."""
        return np.unique(block.customer_of_journey[block.lengths > 0])

    def answering(self, block: Block) -> Ints:
        """The customer of each answer."""
        return block.customer_of_journey[self._answers(block)[0]]


@frozen(kw_only=True)
class VisitResponseRate(ResponseRate):
    """Share of the events that an answer is about; ``by="touchpoint"`` tells who answers where.

    Answers about a journey as a whole are about no event and do not count. Otherwise as `ResponseRate`.
    """

    name: ClassVar[str] = "visit_response_rate"
    observes: ClassVar[Unit] = "event"

    def eligible(self, block: Block) -> Ints:
        """All events."""
        return np.arange(block.events)

    def answering(self, block: Block) -> Ints:
        """The event that each answer is about."""
        return self._answers(block)[1]
