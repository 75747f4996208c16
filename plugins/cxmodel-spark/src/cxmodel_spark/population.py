"""The population on Spark: what looks at blocks goes to the partitions, and states come back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property, reduce
from typing import TYPE_CHECKING, TypeVar, cast

from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.counting import Counts, counts_of, facts_of, merge_counts, no_counts
from cxmodel.data.parts import Step
from cxmodel.errors import NotMeasurableError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Facts, Reading
from cxmodel.tallies.codec import allow
from cxmodel_spark.partitions import states
from cxmodel_spark.recipe import Recipe

if TYPE_CHECKING:
    import pyarrow as pa
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
    """

    frame: DataFrame = field(repr=False)
    recipe: Recipe = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    reading: Reading
    origin: Origin
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

    def fold(self, look: Callable[[Block], S], merge: Callable[[S, S], S], start: S) -> S:
        """Look at the blocks of every partition where it is, and merge in the order of the partitions."""
        recipe = self.recipe

        def seen(table: pa.Table) -> object:
            return reduce(merge, map(look, recipe.blocks(table)), start)

        return reduce(merge, cast("list[S]", states(self.frame, seen)), start)

    def then(
        self, step: Step, *, saying: str | None = None, vocabulary: Vocabulary | None = None,
        window: tuple[str | None, str | None] | None = None,
    ) -> SparkPopulation:  # fmt: skip
        """The population after a step, which waits until something is asked."""
        recipe = evolve(self.recipe, steps=(*self.recipe.steps, (step, vocabulary)))
        return evolve(
            self, recipe=recipe, vocabulary=vocabulary or self.vocabulary, origin=self.origin.after(saying, window),
            counts=None,
        )  # fmt: skip

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
