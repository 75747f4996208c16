"""The population on Spark: what looks at blocks goes to the partitions, and states come back."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.data.answers import AnswerRows, IdColumn
from cxmodel.data.appending import PAIRS_REACH_OVER
from cxmodel.data.attaching import Attached, told
from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.counting import Counts, counts_of, facts_of, merge_counts, no_counts
from cxmodel.data.joining import FactRows, Meeting, fields_of, read_facts
from cxmodel.data.parts import Step
from cxmodel.data.renaming import Renaming
from cxmodel.data.selecting import keep_customers
from cxmodel.data.texts import Identifiers, Texts, find
from cxmodel.errors import InvalidValueError, NotMeasurableError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Facts, Matched, Reading
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.tallies.codec import allow
from cxmodel.typing import Source
from cxmodel_spark.answers import (
    Attaching,
    Owners,
    encoded,
    no_owners,
    parts_of_customers,
    parts_of_journeys,
    refused,
    share_of,
    total,
    vocabulary_with,
)
from cxmodel_spark.facts import FactFrame, Joining, no_meeting, shares_of
from cxmodel_spark.facts import share_of as share_of_facts
from cxmodel_spark.log import SparkLog
from cxmodel_spark.partitions import Partition, is_frame, one_part, part_of_keys, placed_beside, states
from cxmodel_spark.recipe import Bringing, Change, Recipe

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

R = TypeVar("R")
S = TypeVar("S")
allow(Counts)


@frozen(eq=False, kw_only=True, slots=False)
class SparkPopulation:
    """Journeys whose rows stay on Spark. Steps are a plan that each partition carries out when it is asked.

    Attributes:
        frame: The needed columns with the partition of each row.
        recipe: How a partition becomes blocks.
        vocabulary: What the codes mean; the ids of customers and journeys stay in the partitions.
        reading: What became of the rows.
        origin: Which log, window and filters these are.
        log: What was read, to which rows can be appended.
        renaming: What became of the raw names, where rules were given.
        beside: Encoded answers of surveys with the partition of each share; None without any.
    """

    frame: DataFrame = field(repr=False)
    recipe: Recipe = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    reading: Reading
    origin: Origin
    log: SparkLog = field(repr=False)
    renaming: Renaming | None = field(default=None, repr=False)
    beside: DataFrame | None = field(default=None, repr=False)
    _counts: Counts | None = field(default=None, repr=False)

    @classmethod
    def of(cls, log: SparkLog) -> SparkPopulation:
        """The journeys of a log. One job looks at its blocks."""
        found = log.prepared()
        return cls(
            log=log, frame=found.frame, recipe=found.recipe, vocabulary=found.recipe.vocabulary, reading=found.reading,
            origin=found.origin, counts=found.counts, renaming=found.renaming,
        )  # fmt: skip

    @property
    def parts(self) -> Sequence[Block]:
        """No blocks here.

        Raises:
            NotMeasurableError: Always.
        """
        raise NotMeasurableError(
            "this needs all journeys in memory, and these stay on Spark", hint="Read a part of them from a file"
        )

    @property
    def threads(self) -> int:
        """How many states may be finished side by side: one where memory is limited."""
        return os.cpu_count() or 1

    def fold(self, look: Callable[[Block], S], merge: Callable[[S, S], S], start: S) -> S:
        """Look at the blocks of every partition where it is, and merge in the order of the partitions."""
        recipe = self.recipe

        def seen(partition: Partition) -> object:
            return reduce(merge, map(look, recipe.blocks(partition)), start)

        return reduce(merge, cast("list[S]", states(self.frame, seen, self.beside)), start)

    def then(
        self, step: Step, *, saying: str | None = None, vocabulary: Vocabulary | None = None,
        window: tuple[str | None, str | None] | None = None,
    ) -> SparkPopulation:  # fmt: skip
        """The population after a step, which waits until something is asked."""
        return evolve(
            self, recipe=self.recipe.then(Change(step, vocabulary)), vocabulary=vocabulary or self.vocabulary,
            origin=self.origin.after(saying, window), counts=None,
        )  # fmt: skip

    def of_customer(self, customer: str) -> SparkPopulation:
        """The population of one customer, which is one partition's; without journeys where nobody has this id."""
        number = int(part_of_keys(Texts.of([customer]).keys(), self.log.bits)[0])

        def alone(block: Block) -> Block:
            keys, found = find(block.vocabulary.customers, Texts.of([customer]))
            return keep_customers(block, keys[found])

        beside = None if self.beside is None else one_part(self.beside, number)
        return evolve(self.then(alone), frame=one_part(self.frame, number), beside=beside)

    def attach(
        self, rows: AnswerRows, *, within: int | None, about: str | None
    ) -> tuple[SparkPopulation, Attached]:  # fmt: skip
        """The population with answers attached where its events are, and what became of them.

        One job runs; where answers name a journey and no customer, another first looks for whose journeys these are.

        Args:
            rows: The answers.
            within: Longest time from the event to the answer, µs; None for any.
            about: Touchpoint that all answers are about, where no column says so.
        """
        blank = share_of(rows, np.zeros(0, np.int64))
        wider = vocabulary_with(self._known, blank, within, about)
        parts, number = self._parts(rows), len(self.recipe.stages)
        shares = {
            part: encoded(share_of(rows, np.flatnonzero(parts == part)))
            for part in (np.unique(parts[parts >= 0]).tolist() or [0])
        }
        stage = Attaching(number=number, blank=blank, vocabulary=self._known, within=within, about=about)
        beside = placed_beside(self.frame.sparkSession, number, shares)
        after, reports = self._with(stage, beside, evolve(wider, journeys=self.vocabulary.journeys))
        after = evolve(after, origin=self.origin.after(told(rows, within, about)))
        return after, total([*reports, refused(rows, np.flatnonzero(parts < 0))])

    def join(
        self, source: Source, *, customer: str | None, journey: str | None, columns: Sequence[str], tz: str | None
    ) -> tuple[SparkPopulation, Matched]:
        """The population with facts from a table, and how the two met.

        One job runs. Of a Spark frame another first lists the texts; its rows go to the partitions of their customers.
        Rows of a local table that name a journey and no customer cost a job that looks for whose journeys these are.

        Args:
            source: The table: a Spark frame, or whatever else can be read.
            customer: Its column with the customer's id.
            journey: Its column with the journey's id.
            columns: Its columns to take over.
            tz: Zone of times that name none.

        Raises:
            InvalidValueError: Nothing to join on, or nothing to take over.
            NoRowsError: Not one row matched.
        """
        fields = fields_of(customer, journey, columns, named=self.recipe.roles.journey is not None)
        number = len(self.recipe.stages)
        if is_frame(source):
            facts = FactFrame.of(source, fields, self.log.bits)
            blank, beside = facts.blank(), facts.beside(number, self.frame, self.recipe, self.beside, self.log.bits)
        else:
            rows = read_facts(source, fields, tz=tz)
            parts, shared = self._owned(rows)
            blank = evolve(share_of_facts(rows, np.zeros(0, np.int64)), labels=rows.labels, reading=rows.reading)
            shares = shares_of(evolve(rows, shared=shared), parts)
            beside = placed_beside(self.frame.sparkSession, number, shares)
        stage = Joining(number=number, blank=evolve(blank, reading=Reading(rows=0, kept=0)), vocabulary=self._known)
        wider = evolve(self.vocabulary, columns={**self.vocabulary.columns, **blank.labels})
        after, reports = self._with(stage, beside, wider)
        meeting = reduce(Meeting.plus, reports, no_meeting())
        meeting = evolve(meeting, matched=evolve(meeting.matched, rows=blank.reading.rows))
        return after.noting(meeting.told(columns)), meeting.matched

    def append(self, source: Source, *, tz: str | None) -> SparkPopulation:
        """The population with further events, which follow those of the same time that are there.

        The new rows are counted and listed where they are, or read here if they are no Spark frame; one job then looks
        at all blocks.

        Args:
            source: The new rows: a Spark frame with columns of the same types, or whatever else can be read.
            tz: Zone of times that name none.

        Raises:
            InvalidValueError: When these are not the journeys as they were read, or the columns are of other types.
            NoRowsError: Not one of the rows could be kept.
        """
        roles = self.recipe.roles
        if self.recipe.stages:
            what = ", ".join(self.origin.filters) or "journeys that were described or joined since they were read"
            raise InvalidValueError(
                f"cannot append to {what}", hint="Append to what was read, then describe, join, select and cut"
            )
        if roles.lifecycle is not None:
            raise InvalidValueError(PAIRS_REACH_OVER)
        return SparkPopulation.of(self.log.plus(source, tz=tz))

    @property
    def _known(self) -> Vocabulary:
        """What codes mean where a partition has no events: whether journeys have ids at all is known here too."""
        return evolve(self.vocabulary, journeys=Identifiers() if self.recipe.roles.journey else None)

    def _parts(self, rows: AnswerRows) -> Ints:
        """The partition that knows of each answer; −1 where several customers share its journey's id."""
        parts = np.zeros(rows.row.size, np.int64)
        nobody = np.ones(rows.row.size, np.bool_)
        if rows.customer is not None:
            parts, nobody = parts_of_customers(rows.customer, self.log.bits), rows.customer.absent
        if rows.journey is not None and (nobody & ~rows.journey.absent).any():
            owned, shared = parts_of_journeys(rows.journey, self._owners(rows.journey))
            parts[nobody] = np.where(shared, -1, owned)[nobody]
        return parts

    def _owned(self, rows: FactRows) -> tuple[Ints, Bools]:
        """The partition of each row of a table, and whether several customers share its journey's id."""
        if "customer" in rows.ids:
            return parts_of_customers(rows.ids["customer"], self.log.bits), rows.shared
        return parts_of_journeys(rows.ids["journey"], self._owners(rows.ids["journey"]))

    def _owners(self, journeys: IdColumn) -> Owners:
        """In which partitions these journeys are: one job."""
        recipe, wanted = self.recipe, journeys.listed[0]
        found: list[Owners] = states(self.frame, lambda partition: recipe.owners(wanted, partition), self.beside)
        return reduce(Owners.plus, found, no_owners())

    def _with(self, stage: Bringing[R], beside: DataFrame, vocabulary: Vocabulary) -> tuple[SparkPopulation, list[R]]:
        """The population after a stage that brings rows, and what each partition tells of it: one job."""
        after = evolve(
            self, recipe=self.recipe.then(stage), beside=beside if self.beside is None else self.beside.union(beside),
            vocabulary=vocabulary, counts=None,
        )  # fmt: skip
        before = self.recipe

        def seen(partition: Partition) -> tuple[R, Counts]:
            blocks, report = stage.told(before.blocks(partition), partition)
            return report, reduce(merge_counts, map(counts_of, blocks), no_counts())

        found: list[tuple[R, Counts]] = states(self.frame, seen, after.beside)
        counts = reduce(merge_counts, (each for _, each in found), no_counts())
        return evolve(after, counts=counts), [report for report, _ in found]

    def noting(self, *notes: str) -> SparkPopulation:
        """The population with further notes in its reading."""
        return evolve(self, reading=self.reading.noting(*notes))

    @property
    def facts(self) -> Facts:
        """What can be asked; after a step the partitions are asked once."""
        return self._facts

    @cached_property
    def _facts(self) -> Facts:
        counts = self._counts
        if counts is None:
            counts = self.fold(counts_of, merge_counts, no_counts())
        return facts_of(counts, self.vocabulary, self.recipe.roles.currency)
