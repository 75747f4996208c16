"""One task in one process: ``python benchmarks/tasks.py TASK FILE`` prints its times as JSON."""

from __future__ import annotations

import importlib
import json
import resource
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from typing import Any

GAP = timedelta(days=30)
WITHIN = timedelta(days=7)


def reading_polars(path: str) -> int:
    """Ids, times and dictionary codes of touchpoints as arrays, through Polars."""
    import polars as pl

    frame = pl.read_parquet(path, columns=["customer", "ts", "touchpoint"])
    frame = frame.with_columns(pl.col("touchpoint").cast(pl.Categorical))
    columns = [frame["customer"], frame["ts"].to_physical(), frame["touchpoint"].to_physical()]
    return sum(len(column.to_numpy() if column.dtype.is_numeric() else column.to_arrow()) for column in columns)


def reading_duckdb_arrow(path: str) -> int:
    """The same columns as Arrow arrays, through DuckDB."""
    import duckdb
    import nanoarrow

    stream = nanoarrow.c_array_stream(duckdb.connect().sql(f"SELECT customer, ts, touchpoint FROM '{path}'"))
    return sum(batch.length for batch in stream)


def reading_duckdb_numpy(path: str) -> int:
    """The same columns as numpy arrays, touchpoints as codes, through DuckDB."""
    import duckdb

    connection = duckdb.connect()
    names = [row[0] for row in connection.execute(f"SELECT DISTINCT touchpoint FROM '{path}' ORDER BY 1").fetchall()]
    listed = ", ".join(f"'{name}'" for name in names)
    connection.execute(f"CREATE TYPE touchpoints AS ENUM ({listed})")
    query = f"SELECT customer, epoch_us(ts) AS ts, enum_code(touchpoint::touchpoints) AS code FROM '{path}'"
    return len(connection.execute(query).fetchnumpy()["ts"])


def _journeys(path: str) -> Any:
    import cxmodel as cx

    return cx.read_events(path, customer="customer", touchpoint="touchpoint", time="ts")


def _goal() -> Any:
    import cxmodel as cx

    return cx.Goal("purchase", touchpoints=["purchase"])


def prepare(path: str) -> int:
    """Read, group and sort."""
    return int(_journeys(path).facts.events)


def graph(path: str) -> int:
    """Transitions with exact median waits, as a NetworkX graph."""
    return int(_journeys(path).graph().number_of_edges())


def variants(path: str) -> int:
    """All distinct paths."""
    return int(_journeys(path).paths().distinct)


def credits(path: str) -> int:  # noqa: A001 - the field's word
    """Five models of credit, Markov among them."""
    import cxmodel as cx

    return len(_journeys(path).measure(cx.metrics.Credits(goal=_goal())).models)


def funnel(path: str) -> int:
    """Three steps within a week."""
    return len(_journeys(path).funnel(["search", "add to cart", _goal()], within=WITHIN).steps)


def one_pass(path: str) -> int:
    """Split at gaps and the goal, then graph, paths, credits and funnel in one pass."""
    import cxmodel as cx

    m, goal = cx.metrics, _goal()
    journeys = _journeys(path).split(gap=GAP, at=goal)
    steps = ["search", "add to cart", goal]
    return len(journeys.measure(m.Graph(), m.Paths(), m.Credits(goal=goal), m.Funnel(steps, within=WITHIN)))


READERS = (reading_polars, reading_duckdb_arrow, reading_duckdb_numpy)
TASKS: dict[str, Callable[[str], int]] = {
    task.__name__: task for task in (*READERS, prepare, graph, variants, credits, funnel, one_pass)
}
IMPORTS = {
    "reading_polars": ("polars",),
    "reading_duckdb_arrow": ("duckdb", "nanoarrow"),
    "reading_duckdb_numpy": ("duckdb", "numpy"),
}
OURS = (
    "numpy",
    "scipy.sparse",
    "scipy.special",
    "networkx",
    "duckdb",
    "nanoarrow",
    "cxmodel.journeys",
    "cxmodel.metrics",
)


def main() -> None:
    """Import, then time the task alone."""
    name, path = sys.argv[1:3]
    begun = time.perf_counter()
    for module in IMPORTS.get(name, OURS):
        importlib.import_module(module)
    imports = time.perf_counter() - begun
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.perf_counter()
    result = TASKS[name](path)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        json.dumps(
            {
                "task": name,
                "imports": imports,
                "wall": wall,
                "cpu": cpu,
                "mb": after.ru_maxrss // 1024,
                "result": result,
            }
        )
    )


if __name__ == "__main__":
    main()
