"""What every peer tells: its time from file to answer, its memory, and the answer. Standard library only."""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Row = tuple[Any, Any, int, float | None]  # source, target (None: the journey ends), how often, median wait in seconds
Answer = dict[str, dict[str, Any]]


def from_rows(rows: Iterable[Row]) -> Answer:
    """Edges, starts and ends of a table whose rows without a target are ends: what nothing led to is a start."""
    edges: dict[str, list[float]] = {}
    starts: dict[str, int] = {}
    ends: dict[str, int] = {}
    for source, target, count, median in rows:
        starts[source] = starts.get(source, 0) + count
        if target is None:
            ends[source] = count
        else:
            edges[f"{source} → {target}"] = [count, median or 0.0]
            starts[target] = starts.get(target, 0) - count
    return {"edges": edges, "starts": {name: n for name, n in starts.items() if n}, "ends": ends}


def tell(work: Callable[[str], Any], version: str, answer: Callable[[Any], Answer]) -> None:
    """Time the work on the file of the command line; bringing its result into the common shape is not timed."""
    path = sys.argv[1]
    subprocess.run([sys.executable, str(Path(__file__).parents[1] / "pages.py"), path], check=True)
    gc.collect()
    begun = time.perf_counter()
    result = work(path)
    wall = time.perf_counter() - begun
    mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"version": version, "wall": wall, "mb": mb, **answer(result)}))
