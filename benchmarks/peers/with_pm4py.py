"""Transitions with median waits through pm4py, in an environment of its own."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

with contextlib.redirect_stdout(sys.stderr):  # it greets
    import pandas as pd
    import pm4py

from telling import Answer, tell


def work(path: str) -> tuple[Any, ...]:
    """Counts and median waits are two calls."""
    frame = pd.read_parquet(path)
    frame["customer"] = frame["customer"].astype("string")
    columns = {"case_id": "customer", "activity_key": "touchpoint", "timestamp_key": "ts"}
    log = pm4py.format_dataframe(frame, **columns)
    counts, starts, ends = pm4py.discover_dfg(log)
    waits, _, _ = pm4py.discover_performance_dfg(log, perf_aggregation_key="median")
    return counts, starts, ends, waits


def answer(found: tuple[Any, ...]) -> Answer:
    """The dictionaries in the common shape."""
    counts, starts, ends, waits = found
    edges = {f"{a} → {b}": [int(n), float(waits[a, b])] for (a, b), n in counts.items()}
    named = ({name: int(n) for name, n in each.items()} for each in (starts, ends))
    return {"edges": edges, "starts": next(named), "ends": next(named)}


if __name__ == "__main__":
    tell(work, pm4py.__version__, answer)
