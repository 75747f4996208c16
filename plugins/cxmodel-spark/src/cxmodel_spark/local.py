"""Local rows on Spark: what was read on the driver becomes a frame with the types of another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from cxmodel.data.fields import Field
from cxmodel.data.rows import Rows
from cxmodel.errors import InvalidValueError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame
    from pyspark.sql.types import DataType


def frame_of(rows: Rows, fields: Sequence[Field], like: DataFrame) -> DataFrame:
    """Rows that were read here as a frame with the types of another.

    Raises:
        InvalidValueError: A value cannot be of such a type.
    """
    columns = {each.column: each for each in reversed(fields)}
    arrays = [_column(rows, each, like.schema[name].dataType) for name, each in columns.items()]
    return like.sparkSession.createDataFrame(pa.table(arrays, names=list(columns)))


def _column(rows: Rows, each: Field, type_: DataType) -> pa.Array:
    from pyspark.sql.pandas.types import to_arrow_type

    named = f"{each.column!r} is a {type_.simpleString()} in what was read first"
    if each.kind == "time":
        if type_.simpleString() != "timestamp":
            raise InvalidValueError(
                f"{named}, and rows from elsewhere hold instants",
                hint="Append a Spark frame, or read the first one with timestamps",
            )
        times = rows.arrays[each.role]
        return pa.array(times, pa.timestamp("us", "UTC"), mask=times == np.iinfo(np.int64).min)
    try:
        return _values(rows, each).cast(to_arrow_type(type_))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InvalidValueError(f"{named}: {str(error).splitlines()[0]}", hint="Append values of that type") from None


def _values(rows: Rows, each: Field) -> pa.Array:
    """Ids and texts as texts, numbers as numbers."""
    values = rows.arrays[each.role]
    if each.kind == "id":
        return pa.array(list(rows.identifiers[each.role].texts_of(values)), pa.string())
    labels = rows.labels.get(each.role)
    if labels is None:
        return pa.array(values, pa.float64(), mask=np.isnan(values))
    names = pa.array(["", *labels.names[1:]], pa.string())
    return pa.DictionaryArray.from_arrays(pa.array(values.astype(np.int64), mask=values == 0), names).cast(pa.string())
