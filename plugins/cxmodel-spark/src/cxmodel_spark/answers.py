"""Answers on Spark: each partition is sent those of its customers, and attaches them as memory does."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import TYPE_CHECKING, overload

import numpy as np
from attrs import evolve, frozen

from cxmodel.data.answers import AnswerRows, IdColumn
from cxmodel.data.attaching import Attached, attach, shared_ids
from cxmodel.data.blocks import Block, Labels, Vocabulary
from cxmodel.data.placing import REASONS, SHARED
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.texts import Identifiers, Texts, find
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import MOST_EXAMPLES, Count, Example, Reading
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.tallies.codec import allow, encode
from cxmodel_spark.partitions import part_of_keys

if TYPE_CHECKING:
    from cxmodel_spark.partitions import Partition

allow(AnswerRows)
allow(Attached)


@allow
@frozen(kw_only=True, eq=False)
class Owners:
    """Which ids of journeys, by their number among the wanted ones, are in a partition.

    Attributes:
        part: (n,) number of the partition.
        journey: (n,) number of the id.
        shared: (n,) whether several customers of the partition have it.
    """

    part: Ints
    journey: Ints
    shared: Bools

    def plus(self, other: Owners) -> Owners:
        """Both together."""
        return Owners(
            part=np.concatenate([self.part, other.part]), journey=np.concatenate([self.journey, other.journey]),
            shared=np.concatenate([self.shared, other.shared]),
        )  # fmt: skip


@frozen(kw_only=True, eq=False)
class Attaching:
    """The stage that attaches a survey.

    Attributes:
        number: Its number among the stages.
        blank: The survey without its answers.
        vocabulary: What codes mean where a partition has answers and no events.
        within: Longest time from the event to the answer, µs.
        about: Touchpoint that all answers are about, where no column says so.
    """

    number: int
    blank: AnswerRows
    vocabulary: Vocabulary
    within: int | None
    about: str | None

    def of(self, blocks: Sequence[Block], partition: Partition) -> Sequence[Block]:
        """The blocks with their answers."""
        return self.told(blocks, partition)[0]

    def told(self, blocks: Sequence[Block], partition: Partition) -> tuple[Sequence[Block], Attached]:
        """The blocks with their answers, and what became of the answers."""
        rows = partition.share(self.number)
        if rows is None:
            rows = self.blank
        rows = evolve(rows, questions=self.blank.questions, touchpoints=self.blank.touchpoints)
        vocabulary = blocks[0].vocabulary if blocks else self.vocabulary
        population, report = attach(here(blocks, vocabulary), rows, within=self.within, about=self.about)
        return population.parts, report


def vocabulary_with(vocabulary: Vocabulary, blank: AnswerRows, within: int | None, about: str | None) -> Vocabulary:
    """The vocabulary with the questions of a survey; what cannot be attached is refused before any job runs."""
    return attach(here((), vocabulary), blank, within=within, about=about)[0].vocabulary


def here(blocks: Sequence[Block], vocabulary: Vocabulary) -> MemoryPopulation:
    """The blocks of one partition as a population of their own."""
    return MemoryPopulation(
        parts=blocks, vocabulary=vocabulary, reading=Reading(rows=0, kept=0), origin=Origin(source="")
    )


def share_of(rows: AnswerRows, mine: Ints) -> AnswerRows:
    """Some of the answers, without what measuring the survey alone needs."""
    return evolve(
        rows, row=rows.row[mine], question=rows.question[mine], score=rows.score[mine], time=rows.time[mine],
        weight=rows.weight[mine], touchpoint=rows.touchpoint[mine], customer=ids_of(rows.customer, mine),
        journey=ids_of(rows.journey, mine), columns={}, labels={}, reading=Reading(rows=0, kept=0),
    )  # fmt: skip


def encoded(rows: AnswerRows) -> bytes:
    """Answers as bytes; what the questions are travels with the stage."""
    return encode(evolve(rows, questions={}, touchpoints=Labels(())))


@overload
def ids_of(column: IdColumn, mine: Ints) -> IdColumn: ...
@overload
def ids_of(column: IdColumn | None, mine: Ints) -> IdColumn | None: ...
def ids_of(column: IdColumn | None, mine: Ints) -> IdColumn | None:
    """Some of the ids, and no texts of others."""
    if column is None:
        return None
    key, absent, identifiers = column.key[mine], column.absent[mine], column.identifiers
    if identifiers.keys is not None:
        used = np.unique(key[~absent])
        identifiers = Identifiers(used, identifiers.texts_of(used))
    return IdColumn(identifiers, key, absent)


def parts_of_customers(customers: IdColumn, bits: int) -> Ints:
    """The partition of each answer by its customer; without an id any will do, as none can know it."""
    there = ~customers.absent
    parts = np.zeros(there.size, np.int64)
    parts[there] = part_of_keys(customers.identifiers.stable(customers.key[there]), bits)
    return parts


def owners_of(blocks: Sequence[Block], wanted: Texts, part: int) -> Owners:
    """Which of these ids of journeys are here."""
    journeys = None if not blocks else blocks[0].vocabulary.journeys
    here = [block.journey_id for block in blocks if block.journey_id is not None]
    if journeys is None or not here:
        return no_owners()
    keys, found = find(journeys, wanted)
    row = np.flatnonzero(found & np.isin(keys, np.concatenate(here)))
    return Owners(part=np.full(row.size, part), journey=row, shared=np.isin(keys[row], shared_ids(blocks)))


def no_owners() -> Owners:
    """No journey of these ids."""
    none = np.zeros(0, np.int64)
    return Owners(part=none, journey=none, shared=np.zeros(0, np.bool_))


def parts_of_journeys(journeys: IdColumn, owners: Owners) -> tuple[Ints, Bools]:
    """A partition of each row by the id of its journey, and whether several customers share that id."""
    texts, code = journeys.listed
    # the last place is for rows without an id: no partition can know it
    parts, count = np.zeros(len(texts) + 1, np.int64), np.zeros(len(texts) + 1, np.int64)
    parts[owners.journey] = owners.part
    np.add.at(count, owners.journey, 1 + owners.shared.astype(np.int64))
    return parts[code], (count > 1)[code]


def merge_reports(a: Attached, b: Attached) -> Attached:
    """What became of all of these answers, as if they had been looked at in one go."""
    both = a.plus(b)
    unmatched = {
        reason: Count(count.count, _first(a.unmatched.get(reason), b.unmatched.get(reason)))
        for reason, count in sorted(both.unmatched.items())
    }
    return evolve(both, unmatched=unmatched)


def _first(*counts: Count | None) -> tuple[Example, ...]:
    examples = [example for count in counts if count is not None for example in count.examples]
    return tuple(sorted(examples, key=lambda example: example.row)[:MOST_EXAMPLES])


def refused(rows: AnswerRows, shared: Ints) -> Attached:
    """What is told of answers that name nothing but a journey's id that several customers share."""
    journeys = rows.journey
    if journeys is None or not shared.size:
        return no_answers_attached()
    shown = shared[:MOST_EXAMPLES].tolist()
    count = Count(int(shared.size), tuple(Example("answers", int(rows.row[i]) + 1, journeys.text(i)) for i in shown))
    return Attached(answers=count.count, at_event=0, whole_journey=0, unmatched={REASONS[SHARED]: count})


def no_answers_attached() -> Attached:
    """Nothing was to be attached."""
    return Attached(answers=0, at_event=0, whole_journey=0)


def total(reports: Sequence[Attached]) -> Attached:
    """What became of all answers."""
    return reduce(merge_reports, reports, no_answers_attached())
