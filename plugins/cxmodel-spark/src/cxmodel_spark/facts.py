"""Facts on Spark: a table of customers or journeys meets their events in the partitions, by the rules of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import reduce
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
from attrs import evolve, frozen

from cxmodel.data.answers import IdColumn
from cxmodel.data.attaching import shared_ids
from cxmodel.data.blocks import Block, Labels, Vocabulary
from cxmodel.data.fields import Field
from cxmodel.data.joining import FactRows, Meeting, join
from cxmodel.data.rows import Rows, read_rows
from cxmodel.data.sources import open_tables
from cxmodel.data.texts import Identifiers
from cxmodel.errors import NoRowsError, UnknownColumnError, unknown
from cxmodel.model.readings import Matched, Reading
from cxmodel.stats.arrays import Ints, smallest_unsigned
from cxmodel.tallies.codec import allow, encode
from cxmodel_spark.answers import here, ids_of
from cxmodel_spark.partitions import (
    KEY,
    PART,
    Partition,
    applied,
    keys_of,
    packed,
    part_of_keys,
    partitioned,
    selected,
    states,
)
from cxmodel_spark.recipe import Listing, Recipe, merge_listings, recoded

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

SHARED: Final = "cxmodel shared"
_OWNERS: Final = f"`{KEY}` long, `{PART}` int, `{SHARED}` boolean"

allow(FactRows)
allow(Meeting)


@frozen(kw_only=True, eq=False)
class Joining:
    """The stage that joins a table.

    Attributes:
        number: Its number among the stages.
        blank: The table without its rows.
        vocabulary: What codes mean where a partition has rows of the table and no events.
    """

    number: int
    blank: FactRows
    vocabulary: Vocabulary

    def of(self, blocks: Sequence[Block], partition: Partition) -> Sequence[Block]:
        """The blocks with their facts."""
        return self.told(blocks, partition)[0]

    def told(self, blocks: Sequence[Block], partition: Partition) -> tuple[Sequence[Block], Meeting]:
        """The blocks with their facts, and how the table met them."""
        rows = partition.share(self.number)
        rows = self.blank if rows is None else evolve(rows, labels=self.blank.labels)
        vocabulary = blocks[0].vocabulary if blocks else self.vocabulary
        population, meeting = join(here(blocks, vocabulary), rows)
        return population.parts, meeting


@frozen(kw_only=True, eq=False)
class FactFrame:
    """A table whose rows stay on Spark.

    Attributes:
        frame: The needed columns.
        fields: What they are read as.
        labels: Role of a coded text → its labels in the whole table.
        reading: What became of the rows.
    """

    frame: DataFrame
    fields: Sequence[Field]
    labels: Mapping[str, Labels]
    reading: Reading

    @classmethod
    def of(cls, frame: DataFrame, fields: Sequence[Field], bits: int) -> FactFrame:
        """The table after a look at its texts: one job.

        Raises:
            UnknownColumnError: A column is not there.
            NoRowsError: No row could be kept.
        """
        columns = list(dict.fromkeys(each.column for each in fields))
        for column in columns:
            if column not in frame.columns:
                raise UnknownColumnError(f"the Spark frame: {unknown('column', column, frame.columns)}")

        def listed(partition: Partition) -> Listing:
            return Listing.of(_rows(partition.rows, fields), partition.rows.num_rows)

        spread = partitioned(frame, columns, fields[0].column, bits)
        listing = reduce(merge_listings, states(spread, listed), Listing())
        reading = Reading(rows=listing.rows, kept=listing.kept, rejected=listing.rejected)
        if not reading.kept:
            raise NoRowsError("no row of the table could be kept", hint=str(reading))
        return cls(
            frame=selected(frame, columns), fields=fields,
            labels={role: Labels(["", *names]) for role, names in listing.labels.items()},
            reading=reading,
        )  # fmt: skip

    def blank(self) -> FactRows:
        """The table without its rows."""
        labels = {each.role[1:]: self.labels.get(each.role) for each in self.fields if each.role.startswith("=")}
        nobody = IdColumn(Identifiers(), np.zeros(0, np.uint64), np.zeros(0, np.bool_))
        return FactRows(
            ids={each.role: nobody for each in self.fields if each.kind == "id"}, labels=labels,
            columns={name: np.zeros(0, np.float64 if each is None else smallest_unsigned(len(each)))
                     for name, each in labels.items()},
            shared=np.zeros(0, np.bool_), reading=self.reading,
        )  # fmt: skip

    def beside(self, stage: int, events: DataFrame, recipe: Recipe, beside: DataFrame | None, bits: int) -> DataFrame:
        """The rows as shares of the partitions of their customers, or of the owners of their journeys.

        Args:
            stage: Number of the stage that joins them.
            events: The events.
            recipe: How a partition of them becomes blocks.
            beside: What other stages bring.
            bits: How many bits of a customer's key tell its partition.
        """
        fields, labels, columns = self.fields, self.labels, self.frame.columns
        first = fields[0]
        if first.role == "customer":
            spread = partitioned(self.frame, columns, first.column, bits)
        else:
            spread = _to_owners(self.frame, first.column, applied(events, _owners_by(recipe), _OWNERS, beside), bits)

        def share(partition: Partition) -> FactRows:
            return _share(partition.rows, fields, labels)

        return packed(spread, stage, share)


def shares_of(rows: FactRows, parts: Ints) -> dict[int, bytes]:
    """Partition → its encoded share of a table that was read on the driver."""
    return {part: encode(share_of(rows, np.flatnonzero(parts == part))) for part in np.unique(parts).tolist()}


def share_of(rows: FactRows, mine: Ints) -> FactRows:
    """Some of the rows; what their codes mean travels with the stage."""
    return FactRows(
        ids={role: ids_of(column, mine) for role, column in rows.ids.items()},
        columns={name: values[mine] for name, values in rows.columns.items()}, labels={}, shared=rows.shared[mine],
        reading=Reading(rows=0, kept=0),
    )  # fmt: skip


def no_meeting() -> Meeting:
    """Nothing was to be joined."""
    return Meeting(matched=Matched(rows=0, matched_rows=0, targets=0, matched_targets=0))


def _rows(table: pa.Table, fields: Sequence[Field]) -> Rows:
    with open_tables(table, [each.column for each in fields]) as (connection, tables):
        return read_rows(connection, tables, fields)


def _share(table: pa.Table, fields: Sequence[Field], labels: Mapping[str, Labels]) -> FactRows:
    """The share of one partition, in the codes of the whole table."""
    marked = SHARED in table.column_names
    rows = _rows(table, [*fields, Field("shared", SHARED, "number")] if marked else fields)
    found = FactRows.of(rows)
    columns = {name: recoded(values, f"={name}", rows.labels, labels) for name, values in found.columns.items()}
    shared = rows.arrays["shared"] > 0 if marked else found.shared
    return evolve(found, columns=columns, labels={}, shared=shared, reading=Reading(rows=0, kept=0))


def _to_owners(frame: DataFrame, journey: str, owners: DataFrame, bits: int) -> DataFrame:
    """The rows with the partition of the customer whose journey each names, and whether several customers have it."""
    from pyspark.sql import functions
    from pyspark.sql.types import IntegerType, LongType, StructField, StructType

    schema = StructType([
        *frame.schema.fields, StructField(KEY, LongType(), False), StructField(PART, IntegerType(), False)
    ])  # fmt: skip

    def keyed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            keys = keys_of(batch.column(journey))
            # what nobody owns goes anywhere
            more = pa.array(keys.view(np.int64)), pa.array(part_of_keys(keys, bits).astype(np.int32))
            yield pa.RecordBatch.from_arrays([*batch.columns, *more], names=[*batch.schema.names, KEY, PART])

    key, part, shared = (functions.col(f"`{name}`") for name in (KEY, PART, SHARED))
    found = owners.groupBy(key).agg(
        functions.min(part).alias("owner"), functions.max(shared).alias("inside"), functions.count(part).alias("owners")
    )
    several = (functions.col("inside") | (functions.col("owners") > 1)).cast("int")
    found = found.select(key.alias("known"), functions.col("owner"), several.alias(SHARED))
    rows = frame.mapInArrow(keyed, schema).join(found, key == functions.col("known"), "left")
    return rows.select(
        *selected(frame, frame.columns).columns,
        functions.coalesce(functions.col("owner"), part).alias(PART),
        functions.coalesce(shared, functions.lit(0)).alias(SHARED),
    )


def _owners_by(recipe: Recipe) -> Callable[[Partition], pa.Table]:
    """Whose journeys are in a partition: the hash of each id, and whether several of its customers have it."""

    def look(partition: Partition) -> pa.Table:
        blocks = recipe.blocks(partition)
        ids = [block.journey_id for block in blocks if block.journey_id is not None]
        journeys = blocks[0].vocabulary.journeys if blocks else None
        distinct = np.unique(np.concatenate(ids)) if ids else np.zeros(0, np.uint64)
        keys = distinct if journeys is None else journeys.stable(distinct)
        part = np.full(keys.size, partition.number, np.int32)
        shared = np.isin(distinct, shared_ids(blocks))
        columns = [pa.array(keys.view(np.int64)), pa.array(part), pa.array(shared)]
        return pa.table(columns, names=[KEY, PART, SHARED])

    return look
