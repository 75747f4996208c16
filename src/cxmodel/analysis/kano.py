"""Kano's categories from pairs of questions: what people feel with a feature, and without it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from attrs import evolve

from cxmodel.analysis.driver_results import KanoFeature
from cxmodel.analysis.score_tables import score_table
from cxmodel.errors import InvalidValueError
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate, Interval, no_value
from cxmodel.stats.drivers import kano_category, kano_counts
from cxmodel.stats.intervals import wilson
from cxmodel.typing import Population


def kano(
    population: Population, features: Mapping[str, tuple[str, str]], level: float = 0.95
) -> Breakdown[str, KanoFeature]:
    """Categories of features.

    Args:
        population: The respondents.
        features: Feature → the question with it and the question without it, answered 1 like, 2 expect, 3 neutral,
            4 tolerate, 5 dislike.
        level: Confidence level.

    Raises:
        InvalidValueError: An answer is none of 1 to 5.
    """
    groups = {}
    for name, pair in features.items():
        table = score_table(population, outcome=pair[0], items=[pair[1]], by="question", per="journey")
        with_it, without_it = table.outcome, table.values[:, 0]
        both = ~np.isnan(without_it)
        pairs = np.stack([with_it[both], without_it[both]])
        if not np.isin(pairs, [1, 2, 3, 4, 5]).all():
            raise InvalidValueError(
                f"the answers about {name!r} are not all whole numbers from 1 to 5",
                hint="1 like, 2 expect, 3 neutral, 4 tolerate, 5 dislike; codes= translates others",
            )
        groups[name] = _feature(name, kano_counts(*(pairs.astype(np.int64) - 1)), level)
    return Breakdown(by=("feature",), metric="kano", groups=groups)


def _feature(name: str, counts: dict[str, int], level: float) -> KanoFeature:
    n = sum(counts[each] for each in "AOMI")
    better = _share(counts["A"] + counts["O"], n, level)
    worse = _share(counts["O"] + counts["M"], n, level)
    if worse.value is not None and worse.interval is not None:
        ends = Interval(-worse.interval.high, -worse.interval.low, level, worse.interval.method)
        worse = evolve(worse, value=-worse.value, interval=ends)
    return KanoFeature(
        name=name, counts=counts, category=kano_category(counts), better=better,
        worse=evolve(worse, range=(-1.0, 0.0)),
    )  # fmt: skip


def _share(k: int, n: int, level: float) -> Estimate:
    if not n:
        return no_value("no pair of answers is of use", unit="share")
    low, high = wilson(k, n, level)
    return Estimate(
        value=k / n, n=n, interval=Interval(float(low), float(high), level, "wilson"), unit="share", range=(0.0, 1.0)
    )
