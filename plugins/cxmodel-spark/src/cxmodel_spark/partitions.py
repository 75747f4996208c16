"""Partitions: whole customers side by side with their answers, and one function over each that returns bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
from attrs import field, frozen

from cxmodel import errors
from cxmodel.data.fields import text_of
from cxmodel.data.partitioning import PARTITION
from cxmodel.data.sources import connect
from cxmodel.stats.arrays import Ints, Keys, hash_texts
from cxmodel.tallies.codec import decode, encode

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

ROWS_PER_PARTITION: Final = 500_000
FEWEST_BITS: Final = 3
_PART: Final = "cxmodel partition"
_STATE: Final = "part int, state binary"
_REFUSED: Final = "refused"


@frozen(kw_only=True, eq=False)
class Partition:
    """What one worker is given at a time.

    Attributes:
        number: Number of the partition.
        rows: All rows of its customers.
        answers: Number of a survey → the encoded answers of its customers, where they gave any.
    """

    number: int
    rows: pa.Table
    answers: Mapping[int, bytes] = field(factory=dict)


def bits_for(rows: int) -> int:
    """How many bits of a customer's key tell its partition: 8 partitions at least, more where they would be large."""
    bits = FEWEST_BITS
    while rows >> bits > ROWS_PER_PARTITION:
        bits += 1
    return bits


def partitioned(frame: DataFrame, columns: Sequence[str], customer: str, bits: int) -> DataFrame:
    """These columns, and the partition of each row by a hash of the customer's id that is equal on every engine."""
    from pyspark.sql import functions
    from pyspark.sql.types import IntegerType, StructField, StructType

    chosen = frame.select(*(functions.col(f"`{column.replace('`', '``')}`") for column in columns))
    schema = StructType([*chosen.schema.fields, StructField(_PART, IntegerType(), False)])

    def marked(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            part = pa.array(parts_of(batch.column(customer), bits).astype(np.int32))
            yield pa.RecordBatch.from_arrays([*batch.columns, part], names=[*batch.schema.names, _PART])

    return chosen.mapInArrow(marked, schema)


def parts_of(ids: pa.Array, bits: int) -> Ints:
    """The partition of each id."""
    texts = _as_texts(ids).cast(pa.large_string()).fill_null("")
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = texts.buffers()[2]
    keys = hash_texts(np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8), offsets)
    return part_of_keys(keys, bits)


def part_of_keys(keys: Keys, bits: int) -> Ints:
    """The partition of each customer's key."""
    return (keys * PARTITION >> np.uint64(64 - bits)).astype(np.int64)


def _as_texts(ids: pa.Array) -> pa.Array:
    """Ids as the texts that they are compared by: what is neither text nor whole is written by the reading engine."""
    if pa.types.is_integer(ids.type) or pa.types.is_string(ids.type) or pa.types.is_large_string(ids.type):
        return ids
    with connect() as connection:
        relation = connection.from_arrow(pa.table({"id": ids}))
        texts = relation.project(f"{text_of('id', str(relation.types[0]))} AS id")
        return pa.table(texts)["id"].combine_chunks()


def placed_beside(spark: SparkSession, answers: Sequence[tuple[int, int, bytes]]) -> DataFrame:
    """Encoded answers as a frame that meets the rows of their partitions.

    Args:
        spark: The session.
        answers: Partition, number of the survey, and the answers.
    """
    part, survey, data = zip(*answers, strict=True)
    columns = [pa.array(part, pa.int32()), pa.array(survey, pa.int32()), pa.array(data, pa.binary())]
    return spark.createDataFrame(pa.table(columns, names=[_PART, "survey", "answers"]))


def states(frame: DataFrame, look: Callable[[Partition], object], beside: DataFrame | None = None) -> list[Any]:
    """What is seen in each partition, in the order of the partitions; only encoded states leave the workers.

    Raises:
        CxmodelError: What a look raised, as it would be here.
        UnreadableSourceError: Spark could not run it, with its reason.
    """
    from pyspark.errors import PySparkException

    def alone(rows: pa.Table) -> pa.Table:
        return _seen(look, Partition(number=rows[_PART][0].as_py(), rows=rows.drop_columns([_PART])))

    def together(rows: pa.Table, answers: pa.Table) -> pa.Table:
        number = (rows if rows.num_rows else answers)[_PART][0].as_py()
        given = dict(zip(answers["survey"].to_pylist(), answers["answers"].to_pylist(), strict=True))
        return _seen(look, Partition(number=number, rows=rows.drop_columns([_PART]), answers=given))

    try:
        if beside is None:
            rows = frame.groupBy(_PART).applyInArrow(alone, _STATE).collect()
        else:
            rows = frame.groupBy(_PART).cogroup(beside.groupBy(_PART)).applyInArrow(together, _STATE).collect()
    except PySparkException as error:
        raise errors.UnreadableSourceError(f"Spark could not finish: {_reason(error)}") from error
    return _opened([bytes(row["state"]) for row in sorted(rows, key=lambda row: int(row["part"]))])


def _seen(look: Callable[[Partition], object], partition: Partition) -> pa.Table:
    try:
        seen = encode(look(partition))
    except errors.CxmodelError as error:
        seen = encode((_REFUSED, type(error).__name__, str(Exception.__str__(error)), error.hint))
    part = pa.array([partition.number], pa.int32())
    return pa.Table.from_arrays([part, pa.array([seen], pa.binary())], names=["part", "state"])


def _opened(encoded: Sequence[bytes]) -> list[Any]:
    found = [decode(each) for each in encoded]
    for each in found:
        if isinstance(each, tuple) and each[:1] == (_REFUSED,):
            kind: type[errors.CxmodelError] = getattr(errors, each[1], errors.CxmodelError)
            raise kind(each[2], hint=each[3])
    return found


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if ("Error: " in line or "Exception: " in line) and not line.startswith("at ")]
    return (told or lines or [type(error).__name__])[-1]
