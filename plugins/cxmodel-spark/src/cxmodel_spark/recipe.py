"""The recipe that travels to the workers: how the rows of one partition become blocks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Labels, Vocabulary
from cxmodel.data.events import events_of, fields_of
from cxmodel.data.fields import Field
from cxmodel.data.grouping import EventRows, group, promoted
from cxmodel.data.parts import Step
from cxmodel.data.renaming import Renaming
from cxmodel.data.roles import Roles
from cxmodel.data.rows import Rows, ScanTally, read_rows
from cxmodel.data.sources import open_tables
from cxmodel.model.readings import Count, Example
from cxmodel.stats.arrays import smallest_unsigned
from cxmodel.tallies.codec import allow
from cxmodel_spark.answers import Owners, owners_of

if TYPE_CHECKING:
    import pyarrow as pa

    from cxmodel.data.texts import Texts
    from cxmodel_spark.partitions import Partition

R_co = TypeVar("R_co", covariant=True)


@allow
@frozen(kw_only=True, eq=False)
class Listing:
    """What the rows of some partitions hold before anything is grouped.

    Attributes:
        rows: Number of rows.
        kept: Rows that are kept.
        labels: Role of a coded text → its distinct texts, ascending.
        rejected: Reason → rejected rows.
        odd: Reason → rows of which a value was read as missing.
        moved: Wall clocks that do not exist.
        ambiguous: Wall clocks that exist twice.
    """

    rows: int = 0
    kept: int = 0
    labels: Mapping[str, tuple[str, ...]] = field(factory=dict)
    rejected: Mapping[str, Count] = field(factory=dict)
    odd: Mapping[str, Count] = field(factory=dict)
    moved: int = 0
    ambiguous: int = 0

    @classmethod
    def of(cls, rows: Rows, size: int) -> Listing:
        """What a scan of so many rows of a Spark frame found."""
        return cls(
            rows=size, kept=rows.size, rejected=_placeless(rows.tally.rejected), odd=_placeless(rows.tally.odd),
            moved=rows.tally.moved, ambiguous=rows.tally.ambiguous,
            labels={role: tuple(labels.names[1:]) for role, labels in rows.labels.items()},
        )  # fmt: skip

    def tally(self) -> ScanTally:
        """The counts as one scan would have them."""
        return ScanTally(dict(self.rejected), dict(self.odd), self.moved, self.ambiguous)


def merge_listings(a: Listing, b: Listing) -> Listing:
    """What both hold."""
    names = {**a.labels, **b.labels}
    return Listing(
        rows=a.rows + b.rows, kept=a.kept + b.kept, moved=a.moved + b.moved, ambiguous=a.ambiguous + b.ambiguous,
        labels={name: tuple(sorted({*a.labels.get(name, ()), *b.labels.get(name, ())})) for name in names},
        rejected=_added(a.rejected, b.rejected), odd=_added(a.odd, b.odd),
    )  # fmt: skip


def _placeless(counts: Mapping[str, Count]) -> dict[str, Count]:
    """Rows of a Spark frame have no number: an example shows the value alone."""
    return {
        reason: evolve(each, examples=tuple(Example("Spark frame", 0, e.value, "some row") for e in each.examples))
        for reason, each in counts.items()
    }


def _added(a: Mapping[str, Count], b: Mapping[str, Count]) -> dict[str, Count]:
    return {reason: a.get(reason, Count(0)).plus(b.get(reason, Count(0))) for reason in {**a, **b}}


@frozen(eq=False)
class Found:
    """What a partition holds.

    Attributes:
        events: The events.
        vocabulary: What their codes mean here.
        met: What was met while pairing starts and completes.
        renaming: What became of the raw names, where rules were given.
    """

    events: EventRows
    vocabulary: Vocabulary
    met: Mapping[str, int]
    renaming: Renaming | None


class Stage(Protocol):
    """What is done with the blocks of a partition."""

    def of(self, blocks: Sequence[Block], partition: Partition) -> Sequence[Block]:
        """The blocks afterwards."""
        ...


class Bringing(Stage, Protocol[R_co]):
    """A stage that brings rows of its own, and tells what became of them."""

    def told(self, blocks: Sequence[Block], partition: Partition) -> tuple[Sequence[Block], R_co]:
        """The blocks afterwards, and what became of the rows of this partition."""
        ...


@frozen(eq=False)
class Change:
    """The stage that changes each block on its own.

    Attributes:
        step: What to do with a block.
        vocabulary: What the codes mean afterwards, where the step widens that.
    """

    step: Step
    vocabulary: Vocabulary | None

    def of(self, blocks: Sequence[Block], partition: Partition) -> Sequence[Block]:
        """The blocks after the step."""
        return [self._changed(block) for block in blocks]

    def _changed(self, block: Block) -> Block:
        after = self.step(block)
        if self.vocabulary is None:
            return after
        return evolve(after, vocabulary=_at_home(self.vocabulary, block.vocabulary))


@frozen(kw_only=True, eq=False)
class Recipe:
    """How the rows of a partition become blocks.

    Attributes:
        roles: Which column plays which part.
        tz: Zone of times that name none.
        labels: Role of a coded text → its labels in the whole log.
        vocabulary: What the codes mean, without the ids of customers and journeys: these stay in the partitions.
        renaming: How the raw names become touchpoints, where rules were given.
        turn: Column that says when a row was appended, where some were; it breaks ties of time before all else.
        facts: Attributes of which every journey holds one value.
        stages: What to do with the blocks, in order.
    """

    roles: Roles
    tz: str | None = None
    labels: Mapping[str, Labels] = field(factory=dict)
    vocabulary: Vocabulary = field(factory=lambda: Vocabulary(touchpoints=()))
    renaming: Renaming | None = None
    turn: str | None = None
    facts: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()

    def listing(self, partition: Partition) -> Listing:
        """What the rows hold."""
        return Listing.of(self._rows(partition.rows), partition.rows.num_rows)

    def events(self, table: pa.Table) -> Found:
        """Events in the codes of the whole log, and what was met on the way."""
        rows = self._rows(table)
        arrays = {role: recoded(array, role, rows.labels, self.labels) for role, array in rows.arrays.items()}
        events, renaming, met = events_of(arrays, self.labels, self.roles, self.renaming)
        own = evolve(self.vocabulary, customers=rows.identifiers["customer"], journeys=rows.identifiers.get("journey"))
        return Found(evolve(events, order=_order(events, turned=self.turn is not None)), own, met, renaming)

    def then(self, stage: Stage) -> Recipe:
        """The recipe with a further stage."""
        return evolve(self, stages=(*self.stages, stage))

    def blocks(self, partition: Partition) -> Sequence[Block]:
        """The blocks after all stages."""
        return reduce(lambda blocks, stage: stage.of(blocks, partition), self.stages, self._plain(partition.rows))

    def owners(self, wanted: Texts, partition: Partition) -> Owners:
        """Which of these ids of journeys are here."""
        return owners_of(self.blocks(partition), wanted, partition.number)

    def _plain(self, table: pa.Table) -> Sequence[Block]:
        if not table.num_rows:
            return ()
        found = self.events(table)
        if not found.events.time.size:
            return ()
        return [promoted(plain, self.facts) for plain in group(found.events, found.vocabulary)]

    def _rows(self, table: pa.Table) -> Rows:
        fields = fields_of(self.roles)
        if self.turn is not None:
            # the last of the columns that break ties: the labels of the others keep their names
            fields.append(Field(f"<{len(self.roles.order)}", self.turn, "number"))
        with open_tables(table, [each.column for each in fields]) as (connection, tables):
            return read_rows(connection, tables, fields, tz=self.tz)


def recoded(
    array: NDArray[Any], role: str, own: Mapping[str, Labels], whole: Mapping[str, Labels]
) -> NDArray[Any]:  # fmt: skip
    """An array of one partition in the codes of all; numbers and ids as they are."""
    if role not in own:
        return array
    codes = whole[role].codes
    wide = np.array([0, *(codes[name] for name in own[role].names[1:])])
    return np.asarray(wide.astype(smallest_unsigned(len(whole[role])))[array])


def _order(events: EventRows, *, turned: bool) -> list[NDArray[Any]]:
    """What ties of time are broken by: the source has no order of rows, so everything that tells two rows apart."""
    named = [*events.order[-1:], *events.order[:-1]] if turned else events.order
    further = [each for each in (events.until, events.value, *events.columns.values()) if each is not None]
    return [*named, events.touchpoint, *further]


def _at_home(vocabulary: Vocabulary, own: Vocabulary) -> Vocabulary:
    return evolve(vocabulary, customers=own.customers, journeys=own.journeys)
