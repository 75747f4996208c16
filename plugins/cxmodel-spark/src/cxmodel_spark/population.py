"""The population on Spark: what looks at blocks goes to the partitions, and states come back."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.data.answers import AnswerRows
from cxmodel.data.attaching import Attached, told
from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.counting import Counts, counts_of, facts_of, merge_counts, no_counts
from cxmodel.data.parts import Step
from cxmodel.data.renaming import Renaming
from cxmodel.data.texts import Identifiers
from cxmodel.errors import NotMeasurableError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Facts, Reading
from cxmodel.stats.arrays import Ints
from cxmodel.tallies.codec import allow
from cxmodel_spark.answers import (
    Attaching,
    Attachment,
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
from cxmodel_spark.partitions import Partition, placed_beside, states
from cxmodel_spark.recipe import Change, Recipe

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

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
        bits: How many bits of a customer's key tell its partition.
        renaming: What became of the raw names, where rules were given.
        beside: Encoded answers of surveys with the partition of each share; None without any.
    """

    frame: DataFrame = field(repr=False)
    recipe: Recipe = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    reading: Reading
    origin: Origin
    bits: int
    renaming: Renaming | None = field(default=None, repr=False)
    beside: DataFrame | None = field(default=None, repr=False)
    _counts: Counts | None = field(default=None, repr=False)

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
        nothing = np.zeros(0, np.int64)
        blank = share_of(rows, nothing)
        known = evolve(self.vocabulary, journeys=Identifiers() if self.recipe.roles.journey else None)
        wider = vocabulary_with(known, blank, within, about)
        parts = self._parts(rows)
        number = sum(isinstance(stage, Attaching) for stage in self.recipe.stages)
        stage = Attaching(survey=number, blank=blank, vocabulary=known, within=within, about=about)
        sent = [
            (part, number, encoded(share_of(rows, np.flatnonzero(parts == part))))
            for part in (np.unique(parts[parts >= 0]).tolist() or [0])
        ]
        beside = placed_beside(self.frame.sparkSession, sent)
        after = evolve(
            self, recipe=self.recipe.then(stage), beside=beside if self.beside is None else self.beside.union(beside),
            vocabulary=evolve(wider, journeys=self.vocabulary.journeys), counts=None,
            origin=self.origin.after(told(rows, within, about)),
        )  # fmt: skip
        counts, report = after._attachment()
        return evolve(after, counts=counts), total([report, refused(rows, np.flatnonzero(parts < 0))])

    def _parts(self, rows: AnswerRows) -> Ints:
        """The partition that knows of each answer; −1 where several customers share its journey's id."""
        parts = np.zeros(rows.row.size, np.int64)
        nobody = np.ones(rows.row.size, np.bool_)
        if rows.customer is not None:
            parts, nobody = parts_of_customers(rows.customer, self.bits), rows.customer.absent
        if rows.journey is not None and (nobody & ~rows.journey.absent).any():
            recipe, wanted = self.recipe, rows.journey.listed[0]
            found: list[Owners] = states(self.frame, lambda partition: recipe.owners(wanted, partition), self.beside)
            parts[nobody] = parts_of_journeys(rows.journey, reduce(Owners.plus, found, no_owners()))[nobody]
        return parts

    def _attachment(self) -> tuple[Counts, Attached]:
        """What the blocks hold, and what became of the answers that were attached last: in one job."""
        recipe = self.recipe

        def seen(partition: Partition) -> Attachment:
            blocks, report = recipe.attached(partition)
            return Attachment(attached=report, counts=reduce(merge_counts, map(counts_of, blocks), no_counts()))

        found: list[Attachment] = states(self.frame, seen, self.beside)
        counts = reduce(merge_counts, (each.counts for each in found), no_counts())
        return counts, total([each.attached for each in found])

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
