"""Evidence: the sums by customer bucket behind several estimates, so that they can be taken together and apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import numpy as np
from attrs import frozen

from cxmodel.errors import NotComparableError
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate
from cxmodel.model.scales import Question
from cxmodel.stats.floats import Floats
from cxmodel.tallies.inference import Columns, Value, quiet
from cxmodel.tallies.metrics import Remembered
from cxmodel.tallies.sums import dense_buckets

K = TypeVar("K")


@frozen(eq=False)
class Evidence:
    """Bucket sums of r estimates of one metric.

    Attributes:
        names: Names of the f sums.
        totals: (f, r, buckets) sums; a bucket holds the same customers in every row.
        value: From sums to the value.
        run: What bound the run.
    """

    names: tuple[str, ...]
    totals: Floats
    value: Value
    run: tuple[object, ...]

    @property
    def sums(self) -> Columns:
        """The sums of each row."""
        return Columns(self.names, self.totals.sum(axis=2))

    def values(self, totals: Floats) -> Floats:
        """The value of sums of any shape (f, …)."""
        return quiet(self.value, Columns(self.names, totals))


def evidence(estimates: Sequence[Estimate]) -> Evidence | None:
    """The bucket sums of estimates; None where one of them remembers none, or they count different things."""
    known = [each.dependence for each in estimates if isinstance(each.dependence, Remembered)]
    if not known or len(known) < len(estimates):
        return None
    first = known[0]
    if all(each.state is first.state for each in known):
        totals = dense_buckets(first.state, np.array([each.row for each in known]))
    elif all(each.state.names == first.state.names for each in known):
        totals = np.stack([each.sums().totals for each in known], axis=1)
    else:
        return None
    return Evidence(first.state.names, totals, first.value, first.sums().run)


def answered_once(estimate: Estimate) -> bool:
    """Whether every respondent of the survey gave one answer, so that its groups share nobody."""
    known = estimate.dependence
    if not isinstance(known, Remembered):
        return False
    facts = known.cells.facts
    return facts.events == 0 and facts.customers == facts.responses


def check_one_scale(results: Mapping[K, Estimate]) -> None:
    """Refuse groups that are questions of different kinds or on different scales.

    Raises:
        NotComparableError: Names the two questions.
    """
    if not isinstance(results, Breakdown) or "question" not in results.by:
        return
    place = results.by.index("question")
    asked: dict[str, Question] = {}
    for key, estimate in results.items():
        name = str(key[place]) if isinstance(key, tuple) else str(key)
        if isinstance(estimate.dependence, Remembered):
            asked[name] = estimate.dependence.cells.facts.questions[name]
    for name, question in asked.items():
        first, other = next(iter(asked.items()))
        if question.kind != other.kind:
            raise NotComparableError(
                f"{first!r} is {other.kind} and {name!r} is {question.kind}: they are asked of different people",
                hint="Compare questions of one kind; keep touchpoint answers and answers about the whole apart",
            )
        if question.scale != other.scale:
            raise NotComparableError(f"{first!r} is asked on {other.scale}, {name!r} on {question.scale}")


def check_apart(results: Mapping[K, Estimate], what: str) -> None:
    """Refuse groups that overlap.

    Raises:
        NotComparableError: An observation may stand in several groups.
    """
    if isinstance(results, Breakdown) and results.overlapping:
        raise NotComparableError(
            f"{what} needs groups that share nothing, but by {' and '.join(results.by)} "
            "an observation may stand in several",
            hint="Group by a fact that each journey or customer has once",
        )
