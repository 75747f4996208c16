"""The ladder: every task as a ratio to reading the same columns. ``python benchmarks/run.py [SIZE …] [--check]``."""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from tasks import READERS, TASKS

# (task, ids, order) → the ratio to reading that must hold at 10⁷ events; smaller sizes only show their figures
LIMITS = {"graph": 6.0, "one_pass": 12.0}
ROWS = [
    *((task, "int", "time") for task in ("prepare", "graph", "variants", "credits", "funnel", "one_pass")),
    ("graph", "str", "time"),
    ("graph", "int", "shuffled"),
]


def timed(task: str, path: Path, runs: int) -> dict[str, Any]:
    """Median wall and CPU seconds, and the largest peak, of several processes."""
    found = []
    for _ in range(runs):
        done = subprocess.run(
            [sys.executable, str(Path(__file__).parent / "tasks.py"), task, str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"{task} on {path.name} failed:\n{done.stderr}")
        found.append(json.loads(done.stdout.splitlines()[-1]))
    return {
        "wall": statistics.median(each["wall"] for each in found),
        "cpu": statistics.median(each["cpu"] for each in found),
        "mb": max(each["mb"] for each in found),
        "imports": statistics.median(each["imports"] for each in found),
        "result": found[0]["result"],
    }


def log(events: int, ids: str, order: str) -> Path:
    """The path of a log, made in a process of its own: what a parent held counts as its children's peak memory."""
    script = str(Path(__file__).parent / "logs.py")
    done = subprocess.run([sys.executable, script, str(events), ids, order], capture_output=True, text=True, check=True)
    return Path(done.stdout.strip())


def show(name: str, ids: str, order: str, ratio: float, found: dict[str, Any]) -> None:
    """One row of the table."""
    figures = f"{ratio:.1f} | {found['wall']:.3f} | {found['cpu']:.2f} | {found['mb']}"
    print(f"| {name} | {ids} | {order} | {figures} |", flush=True)


def main() -> None:
    """Print the table; with --check, fail where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["1e5", "1e6", "1e7"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--check", action="store_true", help="fail when a ratio is above its limit")
    options = parser.parse_args()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}\n")
    missed = []
    for size in options.sizes:
        events = int(float(size))
        readings: dict[Path, float] = {}
        print(
            f"| {events:,} events | ids | order | × reading | wall s | CPU s | peak MB |\n|---|---|---|---|---|---|---|"
        )
        for task, ids, order in ROWS:
            path = log(events, ids, order)
            if path not in readings:
                times = {reader.__name__: timed(reader.__name__, path, options.runs) for reader in READERS}
                best = min(times, key=lambda name: times[name]["wall"])
                readings[path] = times[best]["wall"]
                show(f"*{best.replace('_', ' ')}*", ids, order, 1.0, times[best])
            found = timed(task, path, options.runs)
            ratio = found["wall"] / readings[path]
            show(task, ids, order, ratio, found)
            if events >= 10**7 and ids == "int" and order == "time" and ratio > LIMITS.get(task, 1e9):
                missed.append(f"{task}: {ratio:.1f} × reading, limit {LIMITS[task]}")
        print()
    if options.check and missed:
        raise SystemExit("\n".join(missed))


if __name__ == "__main__":
    assert all(task in TASKS for task, _, _ in ROWS)
    main()
