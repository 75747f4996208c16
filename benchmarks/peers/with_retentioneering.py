"""Transitions with median waits through retentioneering, in an environment of its own."""

from __future__ import annotations

from typing import Any

import pandas as pd
import retentioneering
from retentioneering.eventstream import Eventstream
from telling import Answer, tell

START, END = "path_start", "path_end"


def work(path: str) -> tuple[Any, Any]:
    """Counts and median waits are two calls."""
    frame = pd.read_parquet(path).rename(columns={"customer": "user_id", "touchpoint": "event", "ts": "timestamp"})
    stream = Eventstream(frame)
    return stream.transition_graph_data("count"), stream.transition_graph_data("time_median")


def answer(found: tuple[Any, Any]) -> Answer:
    """The matrices in the common shape."""
    counts, medians = found
    edges = {
        f"{a} → {b}": [int(counts.loc[a, b]), pd.Timedelta(medians.loc[a, b]).total_seconds()]
        for a in counts.index
        for b in counts.columns
        if counts.loc[a, b] and a != START and b != END
    }
    starts = {b: int(n) for b, n in counts.loc[START].items() if n}
    ends = {a: int(n) for a, n in counts[END].items() if n}
    return {"edges": edges, "starts": starts, "ends": ends}


if __name__ == "__main__":
    tell(work, retentioneering.__version__, answer)
