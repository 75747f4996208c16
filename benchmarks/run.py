"""The ladder: every task against what it must keep to. ``python benchmarks/run.py [SIZE …] [--check]``."""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import Factory, frozen

sys.path.insert(0, str(Path(__file__).parent))

from machine import machine, make
from tasks import READERS, TASKS

Figures = dict[str, Any]
Found = dict[tuple[str, Path], Figures]
READING = "reading"
WHOLE, TEN_TIMES = 10**7, 10**8  # the sizes that the required figures speak of
HEAD = (
    "| {events:,} events | log | × | × CPU | of | median s | CPU s | peak MB | own MB | required | |\n"
    + "|---" * 11
    + "|"
)


@frozen(kw_only=True, eq=False)
class Row:
    """A task on a log, what it is measured against, and what it must keep to.

    Attributes:
        task: Name of the task.
        ids: Ids of the log.
        order: Order of the log.
        touchpoints: Vocabulary of the log.
        zipf: Its unevenness.
        of: What its time is a multiple of: reading the same file, or another task on the usual log.
        most: Size → the multiple that is required there.
        small: The multiple of CPU seconds that a check of any size below lets pass: wide, so that noise cannot fail it.
        seconds: Seconds that are required at 10⁷.
        beyond: A task whose seconds are taken off before they are compared.
        gigabytes: Peak that is required at 10⁷.
        sizes: Smallest and largest size that it runs at.
    """

    task: str
    ids: str = "int"
    order: str = "time"
    touchpoints: int = 30
    zipf: float = 1.0
    of: str = READING
    most: dict[int, float] = Factory(dict)
    small: float | None = None
    seconds: float | None = None
    beyond: str | None = None
    gigabytes: dict[int, float] = Factory(dict)
    sizes: tuple[float, float] = (0, WHOLE)

    @property
    def log(self) -> str:
        """The log in words."""
        wide = f", {self.touchpoints:,} touchpoints, Zipf {self.zipf}" if self.touchpoints != 30 else ""
        return f"{self.ids}, {self.order}{wide}"

    def make(self, events: int) -> Path:
        """The path of its log."""
        return make(events, self.ids, self.order, self.touchpoints, self.zipf)


ROWS = (
    Row(task="prepare"),
    Row(task="graph", most={WHOLE: 3.5}, small=10, sizes=(0, TEN_TIMES)),
    Row(task="variants"),
    Row(task="credits"),
    Row(task="funnel"),
    Row(
        task="one_pass", most={WHOLE: 7.0, TEN_TIMES: 14.0}, small=30, gigabytes={TEN_TIMES: 5.0}, sizes=(0, TEN_TIMES)
    ),
    Row(task="graph", ids="str", of="graph", most={WHOLE: 1.3}, small=3, sizes=(10**6, WHOLE)),
    Row(task="graph", order="shuffled", of="graph", most={WHOLE: 1.5}, small=3, sizes=(10**6, WHOLE)),
    Row(task="nps", of="graph", most={WHOLE: 1.2}, small=4),
    *(
        Row(
            task="transitions", touchpoints=200_000, zipf=zipf, most={WHOLE: 8.0}, gigabytes={WHOLE: 3.0},
            sizes=(WHOLE, WHOLE),
        )
        for zipf in (1.0, 1.3)
    ),
    Row(task="markov_solve", seconds=0.010),
    Row(task="markov"),
    Row(task="markov_replicates", seconds=1.0, beyond="markov"),
    Row(task="reopen", seconds=0.3),
    Row(task="reopen_graph", seconds=0.3),
    Row(task="append"),
    Row(task="append_one", sizes=(10**6, 10**6)),
    Row(task="append_one_graph", sizes=(10**6, 10**6)),
    Row(task="append_batches", sizes=(10**6, 10**6)),
    Row(task="outlook"),
    Row(task="position", seconds=0.5),
    Row(task="positions"),
    Row(task="one_pass_500mb", gigabytes={WHOLE: 0.5}, sizes=(WHOLE, WHOLE)),
    Row(task="graph_2gb", gigabytes={TEN_TIMES: 2.0}, sizes=(TEN_TIMES, TEN_TIMES)),
    Row(task="one_pass_2gb", gigabytes={TEN_TIMES: 2.0}, sizes=(TEN_TIMES, TEN_TIMES)),
)  # fmt: skip


def once(task: str, path: Path) -> Figures:
    """The figures of one process."""
    command = [sys.executable, str(Path(__file__).parent / "tasks.py"), task, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{task} on {path.name} failed:\n{done.stderr}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def median(found: list[Figures]) -> Figures:
    """Median times and the largest peaks of several runs."""
    times = {name: statistics.median(each[name] for each in found) for name in ("wall", "cpu", "imports")}
    return times | {name: max(each[name] for each in found) for name in ("mb", "own_mb")}


def measured(rows: list[Row], events: int, runs: int) -> Found:
    """Every task turn by turn, so that a machine that slows down slows all."""
    paths = {row: row.make(events) for row in rows}
    found: defaultdict[tuple[str, Path], list[Figures]] = defaultdict(list)
    for _ in range(runs):
        for path in dict.fromkeys(path for row, path in paths.items() if row.of == READING):
            for reader in READERS:
                found[reader.__name__, path].append(once(reader.__name__, path))
        for row, path in paths.items():
            found[row.task, path].append(once(row.task, path))
    out = {key: median(each) for key, each in found.items()}
    for path in dict.fromkeys(paths.values()):
        readers = [name for name, at in out if at == path and name.startswith(READING)]
        if not readers:
            continue
        best = min(readers, key=lambda name: out[name, path]["wall"])
        out[READING, path] = out[best, path] | {"reader": best.removeprefix("reading_")}
    return out


def judged(row: Row, events: int, found: Found, usual: Path) -> tuple[float, float, str, bool]:
    """The multiples of time and of CPU time, what is required at this size in words, and whether it is met."""
    path = row.make(events)
    mine, base = found[row.task, path], found[row.of, path if row.of == READING else usual]
    ratio, work = mine["wall"] / base["wall"], mine["cpu"] / base["cpu"]
    wanted, met = [], True
    if events in row.most:
        wanted.append(f"≤ {row.most[events]:g} ×")
        met &= ratio <= row.most[events]
    if events in row.gigabytes:
        wanted.append(f"≤ {row.gigabytes[events]:g} GB")
        met &= mine["mb"] <= row.gigabytes[events] * 1000
    if row.seconds is not None and events == WHOLE:
        spent = mine["wall"] - (found[row.beyond, path]["wall"] if row.beyond else 0.0)
        wanted.append(f"≤ {row.seconds:g} s" + (f" beyond {row.beyond}: {spent:.3f} s" if row.beyond else ""))
        met &= spent <= row.seconds
    if not wanted and row.small is not None and events < WHOLE:
        wanted.append(f"check: CPU ≤ {row.small:g} ×")
        met = work <= row.small
    return ratio, work, ", ".join(wanted), met


def table(rows: list[Row], events: int, runs: int) -> tuple[list[str], dict[str, float]]:
    """Print one size; what was missed, and the seconds per event of each task on the usual log."""
    usual = make(events)
    found = measured(rows, events, runs)
    print(HEAD.format(events=events))
    missed = []
    for row in rows:
        path = row.make(events)
        ratio, work, wanted, met = judged(row, events, found, usual)
        mine = found[row.task, path]
        verdict = ("met" if met else "missed") if wanted else ""
        if not met:
            missed.append(f"{row.task} ({row.log}) at {events:,}: {ratio:.1f} × {row.of}, required {wanted}")
        figures = f"{mine['wall']:.3f} | {mine['cpu']:.2f} | {mine['mb']:,} | {mine['own_mb']:,}"
        print(f"| {row.task} | {row.log} | {ratio:.2f} | {work:.2f} | {row.of} | {figures} | {wanted} | {verdict} |")
    for path in (path for name, path in found if name == READING):
        best = found[READING, path]
        figures = f"{best['wall']:.3f} | {best['cpu']:.2f} | {best['mb']:,} | {best['own_mb']:,}"
        print(f"| *reading: {best['reader']}* | {path.stem} | 1 | 1 | | {figures} | | |")
    print(flush=True)
    return missed, {task: each["wall"] / events for (task, path), each in found.items() if path == usual}


def main() -> None:
    """Print the tables; with --check, fail where something is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sizes", nargs="*", default=["1e5", "1e6", "1e7"])
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=[], choices=list(TASKS), help="only these tasks")
    parser.add_argument("--check", action="store_true", help="fail where a required figure is missed")
    options = parser.parse_args()
    print(f"{machine()}, Python {platform.python_version()}, median of {options.runs} runs\n")
    missed: list[str] = []
    speeds: list[tuple[int, dict[str, float]]] = []
    for size in options.sizes:
        events = int(float(size))
        rows = [row for row in ROWS if row.sizes[0] <= events <= row.sizes[1]]
        rows = [row for row in rows if row.task in (options.only or TASKS)]
        if options.check and events < WHOLE:
            rows = [row for row in rows if row.small is not None]
        at_size, speed = table(rows, events, options.runs)
        missed += at_size
        speeds.append((events, speed))
    for (small, before), (large, after) in pairwise(speeds):
        for task in (name for name in after if name in before and name in ("graph", "one_pass")):
            print(f"{task}: seconds per event × {after[task] / before[task]:.2f} from {small:,} to {large:,} events")
    print("\n".join(["", "Missed:", *missed]) if missed else "\nNothing missed.")
    if options.check and missed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
