"""Transitions with exact median waits as a Polars query, written by hand."""

from __future__ import annotations

from typing import Any

import polars as pl
from telling import from_rows, tell


def work(path: str) -> list[tuple[Any, ...]]:
    """Sort by customer and time, look one row ahead, group."""
    same = pl.col("customer") == pl.col("customer").shift(-1)
    wait = pl.col("ts").shift(-1) - pl.col("ts")
    return (
        pl.scan_parquet(path)
        .select("customer", pl.col("ts").to_physical(), pl.col("touchpoint").cast(pl.Categorical))
        .sort("customer", "ts")
        .select(
            source="touchpoint",
            target=pl.when(same).then(pl.col("touchpoint").shift(-1)),
            wait=pl.when(same).then(wait),
        )
        .group_by("source", "target")
        .agg(pl.len(), pl.col("wait").median() / 1e6)
        .collect()
        .rows()
    )


if __name__ == "__main__":
    tell(work, pl.__version__, from_rows)
