"""How often the intervals of `Impact` hold the truth: 1,000 seeded studies of each mechanism.

`python benchmarks/coverage_impact.py run FOLDER [FIRST LAST]` measures the studies FIRST to LAST − 1 (0 to 999) of
every mechanism and writes what came to FOLDER; `python benchmarks/coverage_impact.py table FOLDER` prints the table of
all that is there. Shares of the studies may be measured one after the other, or side by side.

The seeds were fixed before the run, and are others than those with which the estimator was made (90,000 to 91,299).
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from attrs import frozen

import cxmodel as cx
from cxmodel.datasets import Study, known_truth, walks

FIRST_SEED = 1_000_000
JOURNEYS = 5_000
GOAL = cx.Goal("purchase", touchpoints=["Checkout"])
SCORE = cx.metrics.MeanScore(question="satisfaction")


@frozen
class Case:
    """One row of studies: a mechanism, what is asked of it, and where the answer stands in its truth."""

    mechanism: str
    instead: str
    truth: str
    score: bool = False

    @property
    def name(self) -> str:
        """Name of the file."""
        return f"{self.mechanism}-{self.instead}{'-score' if self.score else ''}"


CASES = (
    Case("interaction", "another", "replacement_effect"),
    Case("position", "another", "replacement_effect"),
    Case("repetition", "another", "replacement_effect"),
    Case("length", "another", "replacement_effect"),
    Case("nothing", "another", "replacement_effect"),
    Case("planted", "nothing", "removal_effect"),
    Case("repetition", "another", "score_effect", score=True),
)


def study_of(case: Case, seed: int) -> Study:
    """The study of a seed."""
    if case.mechanism == "planted":
        return known_truth(JOURNEYS, seed)
    return walks(case.mechanism, JOURNEYS, seed)  # type: ignore[arg-type]


def read(study: Study, score: bool = False) -> cx.Journeys:
    """The study as journeys with their persona; for a score with its answers, and without the Checkout.

    The Checkout ends a journey, so it is no other touchpoint that might have come instead.
    """
    events = study.events
    keep = events["touchpoint"] != "Checkout" if score else np.ones(len(events), np.bool_)
    table = pa.table({name: events[name][keep] for name in ("customer", "journey", "touchpoint", "time")})
    log = cx.read_events(table, customer="customer", journey="journey", touchpoint="touchpoint", time="time")
    people = pa.table(dict(study.customers.columns))
    log = log.with_customers(people, customer="customer", attributes=["persona"])
    if not score:
        return log
    columns = ("customer", "journey", "score", "time")
    answers = cx.read_responses(
        pa.table({name: study.responses[name] for name in columns}), customer="customer", journey="journey",
        question="satisfaction", score="score", time="time", scale=cx.Scale.own(0, 10, satisfied=8),
    )  # fmt: skip
    return log.with_responses(answers)


def measured(case: Case, seed: int) -> list[list[object]]:
    """Seed, touchpoint, truth, value, low, high and flags of one study."""
    study = study_of(case, seed)
    outcome = SCORE if case.score else GOAL
    metric = cx.metrics.Impact(outcome=outcome, adjust_for=["persona"], instead=case.instead)  # type: ignore[arg-type]
    table = read(study, case.score).measure(metric)
    rows: list[list[object]] = []
    for name, truth in study.truth[case.truth].items():
        row = table[name].population if case.score else table[name].relative
        if name != "Home" and row.interval is not None:
            lifted = "structural_lift" in row.flags
            rows.append([seed, name, truth, row.require(), row.interval.low, row.interval.high, int(lifted)])
    return rows


def run(folder: Path, first: int, last: int) -> None:
    """Measure a share of the studies of every mechanism."""
    folder.mkdir(parents=True, exist_ok=True)
    for case in CASES:
        with (folder / f"{case.name}.{first:04d}.csv").open("w", newline="", encoding="utf-8") as file:
            for study in range(first, last):
                csv.writer(file).writerows(measured(case, FIRST_SEED + study))


def table(folder: Path) -> None:
    """Print bias, width, coverage and false alarms by mechanism and touchpoint, as a table in Markdown."""
    print("| mechanism | touchpoint | truth | bias | spread | half width | coverage | excludes 0 | lift flag |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case in CASES:
        seen: dict[str, list[Sequence[float]]] = defaultdict(list)
        for path in sorted(folder.glob(f"{case.name}.*.csv")):
            with path.open(encoding="utf-8") as file:
                for _, name, *numbers in csv.reader(file):
                    seen[name].append([float(number) for number in numbers])
        for name, rows in seen.items():
            truth, value, low, high, lifted = np.array(rows).T
            print(
                f"| {case.name} ({value.size:,}) | {name} | {truth[0]:+.3f} | {value.mean() - truth[0]:+.4f} "
                f"| {value.std(ddof=1):.4f} | {(high - low).mean() / 2:.4f} "
                f"| {((low <= truth) & (truth <= high)).mean():.1%} | {((low > 0) | (high < 0)).mean():.1%} "
                f"| {lifted.mean():.1%} |"
            )


if __name__ == "__main__":
    command, where, *ends = sys.argv[1:]
    if command == "run":
        run(Path(where), *(int(end) for end in ends or ("0", "1000")))
    else:
        table(Path(where))
