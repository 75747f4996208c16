"""Blocks: some customers' complete history as read-only arrays; vocabularies: what their codes mean."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, Literal

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from cxmodel.data.texts import Identifiers
from cxmodel.model.goals import Goal
from cxmodel.model.scales import Question
from cxmodel.stats.arrays import Bools, Codes, Ints, Keys, segment_of
from cxmodel.stats.floats import Floats

Unit = Literal["customer", "journey", "event", "transition", "response"]


@frozen(eq=False, slots=False)
class Labels:
    """What the codes of one coded column mean; code 0 is "missing" and its label is empty.

    Attributes:
        names: Label of each code.
    """

    names: Sequence[str] = field(repr=False)

    @cached_property
    def codes(self) -> Mapping[str, int]:
        """Label → code, without the missing one."""
        return {name: code for code, name in enumerate(self.names) if code}

    def __len__(self) -> int:
        return len(self.names)


@frozen(eq=False, kw_only=True, slots=False)
class Vocabulary:
    """What the codes of blocks mean: one object for all blocks of a population.

    Attributes:
        touchpoints: Name of each touchpoint code.
        columns: Name of an event or journey column → its labels; None for a column of numbers.
        touchpoint_columns: Name of a fact about touchpoints → its code for each touchpoint, and its labels.
        questions: Name of each question, in the order of its code, with its scale.
        customers: Ids of customers.
        journeys: Ids of journeys; None where a journey is a customer's whole history or a part of it.
    """

    touchpoints: Sequence[str] = field(repr=False)
    columns: Mapping[str, Labels | None] = field(factory=dict)
    touchpoint_columns: Mapping[str, tuple[Codes, Labels]] = field(factory=dict, repr=False)
    questions: Mapping[str, Question] = field(factory=dict)
    customers: Identifiers = field(factory=Identifiers)
    journeys: Identifiers | None = None

    @cached_property
    def touchpoint_codes(self) -> Mapping[str, int]:
        """Name → code of each touchpoint."""
        return {name: code for code, name in enumerate(self.touchpoints)}

    @cached_property
    def touchpoint_labels(self) -> tuple[str, ...]:
        """Names of the touchpoints."""
        return tuple(self.touchpoints)


@frozen(kw_only=True, eq=False)
class Answers:
    """The answers of a block's customers, in the order of (journey, time, input).

    Attributes:
        journey: Row of the journey that the answer belongs to.
        event: Row of the event that it is about; −1 when it is about the journey as a whole.
        touchpoint: Code of the touchpoint that it is about; −1 for the journey as a whole.
        question: Code of the question.
        score: Score in the points of the question's scale.
        time: µs UTC; the smallest int64 where unknown.
        weight: Answer weight.
    """

    journey: Ints
    event: Ints
    touchpoint: Ints
    question: Ints
    score: Floats
    time: Ints
    weight: Floats

    @property
    def size(self) -> int:
        """Number of answers."""
        return int(self.journey.size)


@frozen(kw_only=True, eq=False, slots=False)
class Block:
    """Some customers' complete history.

    Attributes:
        vocabulary: What the codes mean; the same object in all blocks.
        customer_offsets: (customers + 1,) journeys of customer c are ``customer_offsets[c]:customer_offsets[c + 1]``.
        journey_offsets: (journeys + 1,) events of journey j are ``journey_offsets[j]:journey_offsets[j + 1]``.
        customer: (customers,) source key of each customer's id.
        touchpoint: (events,) code of the touchpoint.
        time: (events,) µs UTC, ascending inside a journey.
        until: (events,) end, where the source has start and end.
        value: (events,) value, NaN where there is none.
        event_columns: Name → (events,) codes or numbers.
        journey_columns: Name → (journeys,) codes or numbers.
        journey_id: (journeys,) source key of the journey's id, where it has one.
        removed: (events,) events that were filtered out between this event and the one before it in the journey.
        answers: Answers of these customers.
        still_open: (journeys,) in progress when the data end; None where no inactivity rule was declared.
        cut: (journeys,) the window of time cuts its beginning or end.
    """

    vocabulary: Vocabulary
    customer_offsets: Ints
    journey_offsets: Ints
    customer: Keys
    touchpoint: Codes
    time: Ints
    until: Ints | None = None
    value: Floats | None = None
    event_columns: Mapping[str, NDArray[Any]] = field(factory=dict)
    journey_columns: Mapping[str, NDArray[Any]] = field(factory=dict)
    journey_id: Keys | None = None
    removed: Ints | None = None
    answers: Answers | None = None
    still_open: Bools | None = None
    cut: Bools | None = None

    def __attrs_post_init__(self) -> None:
        arrays = (
            self.customer_offsets, self.journey_offsets, self.customer, self.touchpoint, self.time, self.until,
            self.value, self.journey_id, self.removed, self.still_open, self.cut,
            *self.event_columns.values(), *self.journey_columns.values(),
        )  # fmt: skip
        for array in arrays:
            if array is not None:
                array.flags.writeable = False

    @property
    def customers(self) -> int:
        """Number of customers."""
        return int(self.customer.size)

    @property
    def journeys(self) -> int:
        """Number of journeys."""
        return int(self.journey_offsets.size - 1)

    @property
    def events(self) -> int:
        """Number of events."""
        return int(self.time.size)

    @cached_property
    def customer_key(self) -> Keys:
        """(customers,) 64-bit hash of the id's text: equal on every engine; seeds resampling and sampling.

        Customers may share one: they are drawn together then, which does no harm. It does not stand for a customer.
        """
        return self.vocabulary.customers.stable(self.customer)

    @cached_property
    def journey(self) -> Ints:
        """(events,) row of the journey of each event."""
        return segment_of(self.journey_offsets)

    @cached_property
    def customer_of_journey(self) -> Ints:
        """(journeys,) row of the customer of each journey."""
        return segment_of(self.customer_offsets)

    @cached_property
    def lengths(self) -> Ints:
        """(journeys,) number of events of each journey."""
        return np.diff(self.journey_offsets)

    @cached_property
    def first(self) -> Ints:
        """Row of the first event of each journey that has any."""
        return self.journey_offsets[:-1][self.lengths > 0]

    @cached_property
    def last(self) -> Ints:
        """Row of the last event of each journey that has any."""
        return self.journey_offsets[1:][self.lengths > 0] - 1

    @cached_property
    def steps(self) -> Ints:
        """Rows of the events that another event of the same journey follows: the transitions."""
        followed = np.ones(self.events, np.bool_)
        followed[self.last] = False
        return np.flatnonzero(followed)

    def forget(self) -> None:
        """Let go of rows and lengths that were worked out on the way; whoever asks again has them worked out again."""
        for name in ("journey", "customer_of_journey", "lengths", "first", "last", "steps"):
            self.__dict__.pop(name, None)

    def codes_of(self, touchpoints: Iterable[str]) -> Ints:
        """Codes of those of these touchpoints that occur."""
        known = self.vocabulary.touchpoint_codes
        return np.array(sorted({known[name] for name in touchpoints if name in known}), np.int64)

    def events_at(self, touchpoints: Collection[str]) -> Bools:
        """(events,) whether the event is at one of these touchpoints."""
        codes = self.codes_of(touchpoints)
        if codes.size == 1:  # comparing is many times faster than a table
            return np.asarray(self.touchpoint == codes[0])
        wanted = np.zeros(max(len(self.vocabulary.touchpoints), 1), np.bool_)
        wanted[codes] = True
        return wanted[self.touchpoint]

    def reached(self, goal: Goal) -> Ints:
        """(journeys,) row of the first event that meets the goal, or −1."""
        hits = np.flatnonzero(self.events_at(goal.touchpoints))[::-1]
        out = np.full(self.journeys, -1)
        out[self.journey[hits]] = hits
        return out

    def journey_rows(self, unit: Unit, at: Ints) -> Ints:
        """The journeys that rows of a unit belong to (for a customer: its first)."""
        if unit == "journey":
            return at
        if unit == "customer":
            return self.customer_offsets[at]
        if unit == "response":
            assert self.answers is not None
            return self.answers.journey[at]
        return self.journey[at]

    def customer_rows(self, unit: Unit, at: Ints) -> Ints:
        """The customers that rows of a unit belong to."""
        return at if unit == "customer" else self.customer_of_journey[self.journey_rows(unit, at)]


def no_answers() -> Answers:
    """No answers at all."""
    none, nothing = np.zeros(0, np.int64), np.zeros(0)
    return Answers(journey=none, event=none, touchpoint=none, question=none, score=nothing, time=none, weight=nothing)
