"""Partitions: whole customers side by side with their answers, and one function over each that returns bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeGuard

import numpy as np
import pyarrow as pa
from attrs import field, frozen

from cxmodel import errors
from cxmodel.data.fields import text_of
from cxmodel.data.sources import connect
from cxmodel.stats.arrays import Ints, Keys, hash_texts
from cxmodel.stats.key_tables import PARTITION
from cxmodel.tallies.codec import allow, decode, encode

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS_PER_PARTITION: Final = 500_000
FEWEST_BITS: Final = 3
PART: Final = "cxmodel partition"
KEY: Final = "cxmodel key"
_STATE: Final = "part int, state binary"
_SHARE: Final = f"`{PART}` int, stage int, share binary"


@frozen(kw_only=True, eq=False)
class Partition:
    """What one worker is given at a time.

    Attributes:
        number: Number of the partition.
        rows: All rows of its customers.
        beside: Number of a stage → the encoded rows of a survey or table that are of its customers, if any.
    """

    number: int
    rows: pa.Table
    beside: Mapping[int, bytes] = field(factory=dict)

    def share(self, stage: int) -> Any:
        """The share of this partition in what a stage brings; None without one."""
        data = self.beside.get(stage)
        return None if data is None else _opened(data)


@allow
@frozen
class Refusal:
    """What a look raised.

    Attributes:
        kind: Name of the error's class.
        message: What it says.
        hint: What to type.
    """

    kind: str
    message: str
    hint: str | None


def bits_for(rows: int) -> int:
    """How many bits of a customer's key tell its partition: 8 partitions at least, more where they would be large."""
    bits = FEWEST_BITS
    while rows >> bits > ROWS_PER_PARTITION:
        bits += 1
    return bits


def partitioned(frame: DataFrame, columns: Sequence[str], customer: str, bits: int) -> DataFrame:
    """These columns, and the partition of each row by a hash of the customer's id that is equal on every engine."""
    from pyspark.sql.types import IntegerType, StructField, StructType

    chosen = selected(frame, columns)
    schema = StructType([*chosen.schema.fields, StructField(PART, IntegerType(), False)])

    def marked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            part = pa.array(parts_of(batch.column(customer), bits).astype(np.int32))
            yield pa.RecordBatch.from_arrays([*batch.columns, part], names=[*batch.schema.names, PART])

    return chosen.mapInArrow(marked, schema)


def is_frame(source: object) -> TypeGuard[DataFrame]:
    """Whether this is a frame of Spark, classic or Connect."""
    if not type(source).__module__.startswith("pyspark."):
        return False
    from pyspark.sql import DataFrame

    return isinstance(source, DataFrame)


def selected(frame: DataFrame, columns: Sequence[str]) -> DataFrame:
    """These columns of a frame, whatever their names hold."""
    from pyspark.sql import functions

    return frame.select(*(functions.col(f"`{column.replace('`', '``')}`") for column in columns))


def parts_of(ids: pa.Array, bits: int) -> Ints:
    """The partition of each id."""
    return part_of_keys(keys_of(ids), bits)


def keys_of(ids: pa.Array) -> Keys:
    """The hash of each id's text, equal on every engine."""
    texts = _as_texts(ids).cast(pa.large_string()).fill_null("")
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = texts.buffers()[2]
    return hash_texts(np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8), offsets)


def part_of_keys(keys: Keys, bits: int) -> Ints:
    """The partition of each customer's key."""
    return (keys * PARTITION >> np.uint64(64 - bits)).astype(np.int64)


def one_part(frame: DataFrame, number: int) -> DataFrame:
    """The rows of one partition."""
    from pyspark.sql import functions

    return frame.where(functions.col(f"`{PART}`") == number)


def _as_texts(ids: pa.Array) -> pa.Array:
    """Ids as the texts that they are compared by: what is neither text nor whole is written by the reading engine."""
    if pa.types.is_integer(ids.type) or pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type):
        return ids
    with connect() as connection:
        relation = connection.from_arrow(pa.table({"id": ids}))
        texts = relation.project(f"{text_of('id', str(relation.types[0]))} AS id")
        return pa.table(texts)["id"].combine_chunks()


def placed_beside(spark: SparkSession, stage: int, shares: Mapping[int, bytes]) -> DataFrame:
    """Encoded rows as a frame that meets the rows of their partitions.

    Args:
        spark: The session.
        stage: Number of the stage that brings them.
        shares: Partition → its share.
    """
    columns = [
        pa.array(list(shares), pa.int32()), pa.array([stage] * len(shares), pa.int32()),
        pa.array(list(shares.values()), pa.binary()),
    ]  # fmt: skip
    return spark.createDataFrame(pa.table(columns, names=[PART, "stage", "share"]))


def packed(frame: DataFrame, stage: int, look: Callable[[Partition], object]) -> DataFrame:
    """The rows of a frame, encoded where they are, as `placed_beside` has them: they never come here."""

    def share(rows: pa.Table) -> pa.Table:
        partition = _alone(rows)
        columns = [
            pa.array([partition.number], pa.int32()), pa.array([stage], pa.int32()),
            pa.array([_encoded(look, partition)], pa.binary()),
        ]  # fmt: skip
        return pa.table(columns, names=[PART, "stage", "share"])

    return frame.groupBy(PART).applyInArrow(share, _SHARE)


def states(frame: DataFrame, look: Callable[[Partition], object], beside: DataFrame | None = None) -> list[Any]:
    """What is seen in each partition, in the order of the partitions; only encoded states leave the workers.

    Raises:
        CxmodelError: What a look raised, as it would be here.
        UnreadableSourceError: Spark could not run it, with its reason.
    """
    from pyspark.errors import PySparkException

    def seen(partition: Partition) -> pa.Table:
        columns = [pa.array([partition.number], pa.int32()), pa.array([_encoded(look, partition)], pa.binary())]
        return pa.table(columns, names=["part", "state"])

    try:
        rows = applied(frame, seen, _STATE, beside).collect()
    except PySparkException as error:
        raise errors.UnreadableSourceError(f"Spark could not finish: {_reason(error)}") from error
    return [_opened(bytes(row["state"])) for row in sorted(rows, key=lambda row: int(row["part"]))]


def applied(
    frame: DataFrame, look: Callable[[Partition], pa.Table], schema: str, beside: DataFrame | None = None
) -> DataFrame:  # fmt: skip
    """A frame of what is seen in each partition."""

    def together(rows: pa.Table, shares: pa.Table) -> pa.Table:
        number = (rows if rows.num_rows else shares)[PART][0].as_py()
        given = dict(zip(shares["stage"].to_pylist(), shares["share"].to_pylist(), strict=True))
        return look(Partition(number=number, rows=rows.drop_columns([PART]), beside=given))

    if beside is None:
        return frame.groupBy(PART).applyInArrow(lambda rows: look(_alone(rows)), schema)
    return frame.groupBy(PART).cogroup(beside.groupBy(PART)).applyInArrow(together, schema)


def _alone(rows: pa.Table) -> Partition:
    return Partition(number=rows[PART][0].as_py(), rows=rows.drop_columns([PART]))


def _encoded(look: Callable[[Partition], object], partition: Partition) -> bytes:
    try:
        return encode(look(partition))
    except errors.CxmodelError as error:
        return encode(Refusal(type(error).__name__, str(Exception.__str__(error)), error.hint))


def _opened(data: bytes) -> Any:
    found = decode(data)
    if isinstance(found, Refusal):
        kind: type[errors.CxmodelError] = getattr(errors, found.kind, errors.CxmodelError)
        raise kind(found.message, hint=found.hint)
    return found


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if ("Error: " in line or "Exception: " in line) and not line.startswith("at ")]
    return (told or lines or [type(error).__name__])[-1]
