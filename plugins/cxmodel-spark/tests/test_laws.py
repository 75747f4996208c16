"""Journeys on Spark keep the laws of every source."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import pyarrow as pa

import cxmodel as cx
from cxmodel.testing import Law, Read, Row, every_source

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


def through_spark(rows: Sequence[Row], *, rules: Sequence[cx.Rule] = ()) -> cx.Journeys:
    """The rows in eight pieces; a Spark frame has no order of rows, so a column says it."""
    from pyspark.sql import SparkSession

    spark = SparkSession.builder.getOrCreate()
    names = ("customer", "journey", "touchpoint")
    table = pa.table({
        **{name: pa.array([row.get(name) for row in rows], pa.string()) for name in names},
        "time": pa.array([datetime.fromisoformat(str(row["time"])) for row in rows], pa.timestamp("us", "UTC")),
        "turn": pa.array(range(len(rows)), pa.int64()),
    })  # fmt: skip
    named = rows[0].get("journey") is not None
    return cx.read_events(
        spark.createDataFrame(table).repartition(8), customer="customer", touchpoint="touchpoint", time="time",
        journey="journey" if named else None, order=["turn"], rules=rules,
    )  # fmt: skip


@every_source(spark=through_spark)
def test_spark_keeps_the_laws(spark: SparkSession, law: Law, read: Read) -> None:
    law(read, examples=2)
