"""The hand-over from the engine: query results as numpy arrays, batch by batch, without copies in between."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from cxmodel.data.texts import Texts
from cxmodel.stats.arrays import Bools

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_KINDS: Final[dict[str, type[np.generic]]] = {
    "int64": np.int64, "uint64": np.uint64, "double": np.float64, "int32": np.int32, "uint32": np.uint32,
    "uint8": np.uint8, "int8": np.int8, "uint16": np.uint16, "int16": np.int16,
}  # fmt: skip


@frozen(eq=False)
class Column:
    """One column of a batch.

    Attributes:
        values: Numbers; meaningless where missing. None for texts.
        texts: Texts; None for numbers.
        missing: Where there is no value; None where there is one everywhere.
    """

    values: NDArray[Any] | None
    texts: Texts | None
    missing: Bools | None

    def require(self) -> NDArray[Any]:
        """The numbers of a column that holds numbers."""
        assert self.values is not None
        return self.values


def batches(connection: DuckDBPyConnection, query: str) -> Iterator[list[Column]]:
    """The result of a query, batch by batch, as columns in the order of the query."""
    import nanoarrow

    for batch in nanoarrow.c_array_stream(connection.sql(query)):
        view = batch.view()
        yield [_column(view.child(i), batch.length) for i in range(view.n_children)]


def _column(child: Any, length: int) -> Column:
    offset, kind = child.offset, child.storage_type
    missing: Bools | None = None
    if child.null_count != 0 and len(child.buffer(0)):
        bits = np.unpackbits(np.frombuffer(child.buffer(0), np.uint8), count=offset + length, bitorder="little")
        missing = bits[offset:] == 0
    if kind in ("string", "large_string"):
        width = np.dtype(np.int32 if kind == "string" else np.int64)
        offsets = np.frombuffer(child.buffer(1), width)[offset : offset + length + 1].astype(np.int64)
        data = np.frombuffer(child.buffer(2), np.uint8)[offsets[0] : offsets[-1]] if length else np.zeros(0, np.uint8)
        return Column(None, Texts(data, offsets - offsets[0]), missing)
    values = np.frombuffer(child.buffer(1), _KINDS[kind])[offset : offset + length]
    return Column(values, None, missing)
