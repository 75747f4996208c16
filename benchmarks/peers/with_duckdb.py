"""Transitions with exact median waits as a DuckDB query, written by hand."""

from __future__ import annotations

from typing import Any

import duckdb
from telling import from_rows, tell


def work(path: str) -> list[tuple[Any, ...]]:
    """One window over each customer, then one grouping."""
    return duckdb.execute(
        f"""
        WITH steps AS (
            SELECT touchpoint AS source, lead(touchpoint) OVER w AS target, lead(us) OVER w - us AS wait
            FROM (SELECT customer, touchpoint, epoch_us(ts) AS us FROM '{path}')
            WINDOW w AS (PARTITION BY customer ORDER BY us)
        )
        SELECT source, target, count(*), median(wait) / 1e6 FROM steps GROUP BY ALL
        """
    ).fetchall()


if __name__ == "__main__":
    tell(work, duckdb.__version__, from_rows)
