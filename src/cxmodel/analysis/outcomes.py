"""Outcomes: how far each journey had come before its outcome, and what the outcome was."""

from __future__ import annotations

from typing import Final

import numpy as np

from cxmodel.analysis.risk_sets import Runs
from cxmodel.data.blocks import Block
from cxmodel.errors import NotMeasurableError
from cxmodel.model.goals import Goal
from cxmodel.stats.arrays import Ints, grouped_sum, integers
from cxmodel.stats.floats import Floats
from cxmodel.tallies.inference import Columns, quiet
from cxmodel.tallies.metrics import SumMetric

_UNKNOWN_TIME: Final = np.iinfo(np.int64).min
_YES: Final = frozenset({"1", "true", "yes"})
_NO: Final = frozenset({"0", "false", "no"})


def until_goal(block: Block, goal: Goal) -> Runs:
    """Journeys up to the goal, or to their end; those in progress have no outcome yet."""
    reached = block.reached(goal)
    counts = block.lengths > 0
    if block.still_open is not None:
        counts &= (reached >= 0) | ~block.still_open
    rows = np.flatnonzero(counts)
    won = reached[rows] >= 0
    return Runs(
        rows, np.where(won, reached[rows] - block.journey_offsets[rows], block.lengths[rows]), won.astype(float)
    )


def until_answer(block: Block, metric: SumMetric) -> Runs:
    """Journeys with an answer of known time, up to the first one; their outcome is the mean of their answers."""
    if block.answers is None:
        return Runs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    seen = metric.observe(block)
    known = np.flatnonzero(block.answers.time[seen.at] != _UNKNOWN_TIME)
    at = seen.at[known]
    journey, weight = block.answers.journey[at], block.answers.weight[at]
    numbers = np.stack([values[known] for values in seen.numbers.values()])
    value = quiet(metric.value, Columns(tuple(seen.numbers), numbers))
    total = grouped_sum(journey, weight, block.journeys)
    cut = np.full(block.journeys, np.iinfo(np.int64).max)
    np.minimum.at(cut, journey, block.answers.time[at])
    before = grouped_sum(block.journey, (block.time < cut[block.journey]).astype(np.float64), block.journeys)
    rows = np.flatnonzero(total > 0)
    return Runs(
        rows, before[rows].astype(np.int64), (grouped_sum(journey, weight * value, block.journeys)[rows] / total[rows])
    )


def known_before(block: Block, runs: Runs, name: str) -> Floats:
    """(runs,) 1 where an attribute says true, 0 where it says false."""
    flags = held_out(block, name, "control outcome")[runs.journey]
    if (flags < 0).any():
        raise NotMeasurableError(
            f"impact: the control outcome {name!r} is not known of {(flags < 0).sum():,} journeys",
            hint="Keep the journeys of which it is known, or write false where that is meant",
        )
    return flags.astype(np.float64)


def held_out(block: Block, name: str, what: str = "hold-out") -> Ints:
    """(journeys,) 1 where an attribute says true, 0 where it says false, −1 where it is not known."""
    labels, values = block.vocabulary.columns.get(name), block.journey_columns[name]
    if labels is None:
        whole = np.where(np.isfinite(values.astype(np.float64)), values, -1).astype(np.int64)
        words = ["0", "1"] if np.isin(whole, [-1, 0, 1]).all() else ["other numbers"]
    else:
        used = integers(np.unique(values[values > 0]))
        words = [labels.names[code].lower() for code in used]
        meaning = np.array([1 if each.lower() in _YES else 0 if each.lower() in _NO else -1 for each in labels.names])
        whole = meaning[values.astype(np.int64)]
    strange = [word for word in words if word not in _YES | _NO]
    if strange:
        raise NotMeasurableError(
            f"impact: the {what} {name!r} says {strange[0]!r}, and it is not known whether that means held out or true",
            hint="Write true or false",
        )
    return np.asarray(whole, np.int64)
