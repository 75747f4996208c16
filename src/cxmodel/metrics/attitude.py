"""Attitude against behaviour: what customers did after they had answered."""

from __future__ import annotations

from abc import abstractmethod
from datetime import timedelta
from typing import ClassVar

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits import goal_missing
from cxmodel.data.answers import UNKNOWN_TIME
from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.metrics.loyalty import RepeatRate, touchpoints_missing, touchpoints_of
from cxmodel.metrics.survey import TOO_FEW, MeanScore
from cxmodel.model import validators
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Ints, ranges
from cxmodel.stats.floats import Floats
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.windows import Occasions, WindowMetric, WindowShare


def answered(block: Block, question: str | None) -> tuple[Ints, Ints, Ints]:
    """Rows of the answers that have a time, their customers and their times."""
    answers = block.answers
    if answers is None:
        none = np.zeros(0, np.int64)
        return none, none, none
    codes = list(MeanScore(question=question).fitting(dict(block.vocabulary.questions)))
    rows = np.flatnonzero(np.isin(answers.question, codes) & (answers.time != UNKNOWN_TIME))
    return rows, block.customer_of_journey[answers.journey[rows]], answers.time[rows]


def answers_missing(question: str | None, facts: Facts) -> str | None:
    """No such question, or a survey on its own, which does not know what happened next."""
    reason = MeanScore(question=question).missing(facts)
    if reason is None and not facts.events:
        return "a survey on its own does not know what happened next: attach it with journeys.with_responses(…)"
    return reason


@frozen(kw_only=True)
class ShareAfterAnswer(WindowShare):
    """Share of answers that something of the same customer follows within a window.

    Attributes:
        question: Name of the question; may be left out where there is only one.
        min_n: Fewer answers than this are suppressed.
    """

    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "response"

    question: str | None = None
    min_n: int = field(default=TOO_FEW, validator=validators.ge(0))

    @abstractmethod
    def occasions(self, block: Block) -> Occasions:
        """What may follow an answer."""

    def until(self, block: Block, end: int) -> Observations:
        """The answers, and whether anything lies in the window of each."""
        rows, customer, zero = answered(block, self.question)
        _, count = self.inside(self.occasions(block), customer, zero)
        return observe("response", rows, self.judged_by(zero, end), hit=count > 0)


@frozen(kw_only=True)
class ReturnAfterAnswer(ShareAfterAnswer):
    """Share of answers after which the customer came again within a window.

    Share, 0 to 1, higher is better. Time zero is the answer; came again is an event later than ``after`` and no later
    than ``within`` after it. Answers whose window is not over are censored and counted; answers without a time are left
    out. Answer weights count. Wilson's interval (10.1080/01621459.1927.10502953) on n over the design effect. With
    ``by=cx.by.opinion`` it holds what promoters, passives and detractors say against what they do: an association, not
    what a higher score would bring about.

    Attributes:
        after: Events no later than this after the answer belong to the same visit; one day unless given.
        at: Touchpoints that count as coming again; all unless given.
    """

    name: ClassVar[str] = "return_after_answer"

    after: timedelta = timedelta(days=1)
    at: tuple[str, ...] | None = field(default=None, converter=touchpoints_of)

    def missing(self, facts: Facts) -> str | None:
        """No answers, or touchpoints that never occur."""
        return answers_missing(self.question, facts) or touchpoints_missing(self.at, facts)

    def occasions(self, block: Block) -> Occasions:
        """The events."""
        rows = np.arange(block.events) if self.at is None else np.flatnonzero(block.events_at(self.at))
        return Occasions.of(block, rows)


@frozen(kw_only=True)
class GoalAfterAnswer(ShareAfterAnswer):
    """Share of answers after which the customer reached a goal within a window; otherwise as `ReturnAfterAnswer`.

    Attributes:
        goal: What is reached, in whichever journey.
    """

    name: ClassVar[str] = "goal_after_answer"

    goal: Goal = field(converter=as_goal)

    def missing(self, facts: Facts) -> str | None:
        """No answers, or a goal at touchpoints that never occur."""
        return answers_missing(self.question, facts) or goal_missing(self.goal, facts)

    def occasions(self, block: Block) -> Occasions:
        """The events that meet the goal."""
        return Occasions.of(block, np.flatnonzero(block.events_at(self.goal.touchpoints)))


@frozen(kw_only=True)
class MeanAfterAnswer(WindowMetric):
    """Mean of something per answer, within a window of it.

    Attributes:
        question: Name of the question; may be left out where there is only one.
        min_n: Fewer answers than this are suppressed.
    """

    direction: ClassVar[Direction] = "higher"
    observes: ClassVar[Unit] = "response"

    question: str | None = None
    min_n: int = field(default=TOO_FEW, validator=validators.ge(0))

    def value(self, sums: Columns) -> Floats:
        """Σ amount/n."""
        return sums["amount"] / sums["n"]


@frozen(kw_only=True)
class JourneysAfterAnswer(MeanAfterAnswer):
    """Mean number of journeys that the customer began within a window of an answer.

    Journeys per answer, 0 or more, higher is better; delta interval by customer. Censoring as for `ReturnAfterAnswer`.
    """

    name: ClassVar[str] = "journeys_after_answer"
    unit: ClassVar[str] = "journeys"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)

    def missing(self, facts: Facts) -> str | None:
        """No answers, or only one journey per customer."""
        return answers_missing(self.question, facts) or RepeatRate(within=self.within).missing(facts)

    def until(self, block: Block, end: int) -> Observations:
        """The answers, and the journeys that begin in the window of each."""
        rows, customer, zero = answered(block, self.question)
        _, count = self.inside(Occasions.of(block, block.first), customer, zero)
        return observe("response", rows, self.judged_by(zero, end), amount=count)


@frozen(kw_only=True)
class ValueAfterAnswer(MeanAfterAnswer):
    """Mean value of the customer's events within a window of an answer: what was spent afterwards.

    In the unit of the values, higher is better; delta interval by customer. Events without a value add nothing.
    Censoring as for `ReturnAfterAnswer`.

    Attributes:
        column: Column of events with the numbers; the value of the events unless given.
    """

    name: ClassVar[str] = "value_after_answer"
    unit: ClassVar[str] = "value"

    column: str | None = None

    def missing(self, facts: Facts) -> str | None:
        """No answers, no values or no such column."""
        reason = answers_missing(self.question, facts)
        if reason is None and self.column is None and not facts.has_value:
            return "the events carry no value: read them with value=…, or name a column of numbers"
        if reason is None and self.column is not None and self.column not in facts.event_columns:
            return unknown("column of events", self.column, facts.event_columns)
        return reason

    def until(self, block: Block, end: int) -> Observations:
        """The answers, and the sum of the values in the window of each."""
        rows, customer, zero = answered(block, self.question)
        value = self._values(block)
        found = Occasions.of(block, np.flatnonzero(np.nan_to_num(value)))
        first, count = self.inside(found, customer, zero)
        spent = value[found.row[ranges(first, count)]]
        amount = np.bincount(np.repeat(np.arange(rows.size), count), spent, rows.size)
        return observe("response", rows, self.judged_by(zero, end), amount=amount)

    def _values(self, block: Block) -> Floats:
        if self.column is None:
            return np.zeros(block.events) if block.value is None else block.value
        values = block.event_columns[self.column]
        if values.dtype.kind != "f":
            raise InvalidValueError(f"{self.column!r} holds texts; here a column of numbers is needed")
        return values
