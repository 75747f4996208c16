"""Seeded logs as Parquet files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, cast

import duckdb
import numpy as np

from cxmodel.datasets import event_log

DATA = Path(__file__).parent / "data"
Ids = Literal["int", "str"]
Order = Literal["time", "customer", "shuffled"]


def log(events: int, *, ids: Ids = "int", order: Order = "time") -> Path:
    """The path of a log; it is made where it is not there yet."""
    DATA.mkdir(exist_ok=True)
    path = DATA / f"{order}_{ids}_{events:.0e}.parquet".replace("+0", "").replace("+", "")
    if not path.exists():
        _make(path, events, ids, order)
    return path


def _make(path: Path, events: int, ids: Ids, order: Order) -> None:
    made = event_log(events, seed=7, ids="int", order=order)
    connection = duckdb.connect()
    stamps = made.time.astype("datetime64[us]").view(np.int64)
    connection.register("log", {"customer": made.customer, "ts": stamps, "code": made.code.astype(np.int64)})
    customer = "customer" if ids == "int" else "'cust-' || customer::VARCHAR AS customer"
    draft = path.with_suffix(".part")
    connection.execute("SET preserve_insertion_order = true")
    names = "[" + ", ".join(f"'{name}'" for name in made.names) + "]"
    connection.execute(
        f"COPY (SELECT {customer}, make_timestamp(ts) AS ts, {names}[code + 1] AS touchpoint FROM log) "
        f"TO '{draft}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 1000000)"
    )
    connection.close()
    draft.rename(path)


if __name__ == "__main__":
    size, ids, order = sys.argv[1:4]
    print(log(int(size), ids=cast("Ids", ids), order=cast("Order", order)))
