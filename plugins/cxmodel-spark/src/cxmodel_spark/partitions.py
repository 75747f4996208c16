"""Partitions: whole customers side by side, and one function over each of them that returns bytes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa

from cxmodel import errors
from cxmodel.data.grouping import PARTITION
from cxmodel.stats.arrays import Ints, hash_texts
from cxmodel.tallies.codec import decode, encode

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

ROWS_PER_PARTITION: Final = 500_000
FEWEST_BITS: Final = 3
_PART: Final = "cxmodel partition"
_REFUSED: Final = "refused"


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
    texts = ids.cast(pa.large_string()).fill_null("")
    offsets = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = texts.buffers()[2]
    keys = hash_texts(np.zeros(0, np.uint8) if data is None else np.frombuffer(data, np.uint8), offsets)
    return (keys * PARTITION >> np.uint64(64 - bits)).astype(np.int64)


def states(frame: DataFrame, look: Callable[[pa.Table], object]) -> list[Any]:
    """What is seen in each partition, in the order of the partitions; only encoded states leave the workers.

    Raises:
        CxmodelError: What a look raised, as it would be here.
        UnreadableSourceError: Spark could not run it, with its reason.
    """
    from pyspark.errors import PySparkException

    def applied(table: pa.Table) -> pa.Table:
        try:
            seen = encode(look(table.drop_columns([_PART])))
        except errors.CxmodelError as error:
            seen = encode((_REFUSED, type(error).__name__, str(Exception.__str__(error)), error.hint))
        part = table[_PART].combine_chunks()[:1]
        return pa.Table.from_arrays([part, pa.array([seen], pa.binary())], names=["part", "state"])

    try:
        rows = frame.groupBy(_PART).applyInArrow(applied, "part int, state binary").collect()
    except PySparkException as error:
        raise errors.UnreadableSourceError(f"Spark could not finish: {_reason(error)}") from error
    found = [decode(bytes(row["state"])) for row in sorted(rows, key=lambda row: int(row["part"]))]
    for each in found:
        if isinstance(each, tuple) and each[:1] == (_REFUSED,):
            kind: type[errors.CxmodelError] = getattr(errors, each[1], errors.CxmodelError)
            raise kind(each[2], hint=each[3])
    return found


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if ("Error: " in line or "Exception: " in line) and not line.startswith("at ")]
    return (told or lines or [type(error).__name__])[-1]
