"""Models that split each conversion on its own: first, last, linear, position, decay, and the count game of Shapley."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, ClassVar, cast

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits.base import Counts, CreditOptions, Due
from cxmodel.analysis.credits.conversions import Before
from cxmodel.analysis.credits.results import CreditTable, stability
from cxmodel.analysis.credits.states import (
    CONVERTED,
    DIRECT,
    UNVALUED,
    counted,
    ends_of_totals,
    observe_splits,
)
from cxmodel.data.blocks import Block
from cxmodel.data.times import microseconds
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import integers
from cxmodel.stats.floats import Floats
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import SumTally
from cxmodel.tallies.observations import Observations
from cxmodel.tallies.sums import Sums


@frozen(kw_only=True)
class SplitCredit(CreditOptions, SumTally[CreditTable]):
    """A model that splits each conversion among the touchpoints before it.

    The goal's own event gets no credit. Credit is *descriptive*: it says where converting journeys passed, not what a
    touchpoint caused.
    """

    @abstractmethod
    def split(self, before: Before) -> Floats:
        """(events,) the share of its conversion that each event is due; the shares of a conversion sum to 1."""

    def observe(self, block: Block) -> Observations:
        """One observation per conversion and touchpoint."""
        return observe_splits(block, self.conversions, {"credit": self})

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> CreditTable:
        """Totals by touchpoint with delta or resampled intervals."""
        width = len(cells.vocabulary.touchpoints)
        ends = ends_of_totals(sums, width, cells, level, least=self.least)
        shown = np.flatnonzero(sums.key <= width + DIRECT).tolist()
        credit = sums["credit"] if sums.rows else np.zeros(0)
        rows = {
            int(sums.key[row]): Due(float(credit[row]), int(sums.count[row]), ends.interval(row, level))
            for row in shown
        }
        many = round(float(credit.sum())) if self.value is None else counted(sums, width + CONVERTED)
        at = np.flatnonzero(sums.key < width)
        names = [cells.vocabulary.touchpoints[key] for key in integers(sums.key[at])]
        stable = stability(names, credit[at], None if ends.replicates is None else ends.replicates[at])
        return self.table(self.name, rows, Counts(many, counted(sums, width + UNVALUED)), cells, stable)


@frozen(kw_only=True)
class FirstCredit(SplitCredit):
    """All credit to the first touchpoint."""

    name: ClassVar[str] = "first_credit"

    def split(self, before: Before) -> Floats:
        """1 at the first event."""
        return np.asarray(before.position == 0, np.float64)


@frozen(kw_only=True)
class LastCredit(SplitCredit):
    """All credit to the last touchpoint before the goal."""

    name: ClassVar[str] = "last_credit"

    def split(self, before: Before) -> Floats:
        """1 at the last event."""
        return np.asarray(before.last, np.float64)


def _names(names: str | Iterable[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


@frozen(kw_only=True)
class LastNonDirectCredit(SplitCredit):
    """All credit to the last touchpoint that is not ignored; to the last one where all are.

    Attributes:
        ignored: Touchpoints that only get credit where there is no other: direct visits, for instance.
    """

    name: ClassVar[str] = "last_non_direct_credit"

    ignored: tuple[str, ...] = field(converter=_names)

    def missing(self, facts: Facts) -> str | None:
        """A goal or ignored touchpoints that never occur."""
        lost = [name for name in self.ignored if name not in facts.known_touchpoints]
        return unknown("touchpoint", lost[0], facts.known_touchpoints) if lost else CreditOptions.missing(self, facts)

    def split(self, before: Before) -> Floats:
        """1 at the last event that counts."""
        counts = ~before.block.events_at(self.ignored)[before.at]
        # the last that counts is the largest place among them; without any, the last of all
        place = np.where(counts, before.position, -1)
        latest = np.full(before.lengths.size, -1)
        np.maximum.at(latest, before.owner, place)
        latest = np.where(latest < 0, before.lengths - 1, latest)
        return np.asarray(before.position == latest[before.owner], np.float64)


@frozen(kw_only=True)
class LinearCredit(SplitCredit):
    """The same credit to every event before the goal."""

    name: ClassVar[str] = "linear_credit"

    def split(self, before: Before) -> Floats:
        """1/length at each event."""
        return 1.0 / before.length


def shared_by_distinct(before: Before) -> Floats:
    """1/(distinct touchpoints) to each distinct touchpoint, at its first event."""
    pair, place = before.pairs
    first = np.empty(pair.size, np.int64)
    first[place[::-1]] = np.arange(before.at.size)[::-1]
    many = np.bincount(pair // max(before.width, 1), minlength=before.lengths.size)
    out = np.zeros(before.at.size)
    out[first] = 1.0 / many[before.owner[first]]
    return out


@frozen(kw_only=True)
class LinearDistinctCredit(SplitCredit):
    """The same credit to every distinct touchpoint before the goal, however often it occurs."""

    name: ClassVar[str] = "linear_distinct_credit"

    def split(self, before: Before) -> Floats:
        """1/(distinct touchpoints) to each distinct touchpoint."""
        return shared_by_distinct(before)


@frozen(kw_only=True)
class ShapleyCredit(SplitCredit):
    """The Shapley value of the count game, in closed form: equal to `LinearDistinctCredit`.

    With v(S) = conversions of journeys whose touchpoints all lie in S, touchpoint i is due ``Σ R/|T|`` over
    the conversions with distinct touchpoints T ∋ i before them (Zhao, Mahboobi & Bagheri 2018, arXiv:1804.05327).
    """

    name: ClassVar[str] = "shapley_credit"

    def split(self, before: Before) -> Floats:
        """1/(distinct touchpoints) to each distinct touchpoint, at its first event."""
        return shared_by_distinct(before)


@frozen(kw_only=True)
class PositionCredit(SplitCredit):
    """Fixed shares to the first and the last event, the rest equally to those between.

    A single event gets all; of two the first gets first/(first + last).

    Attributes:
        first: Share of the first event, 0 to 1.
        last: Share of the last event, 0 to 1.
    """

    name: ClassVar[str] = "position_credit"

    first: float = 0.4
    last: float = 0.4

    def __attrs_post_init__(self) -> None:
        CreditOptions.__attrs_post_init__(self)
        if min(self.first, self.last) < 0 or not 0 < self.first + self.last <= 1:
            raise InvalidValueError(
                f"first and last are shares that sum to at most 1, got {self.first!r} and {self.last!r}",
                hint="Write first=0.4, last=0.4",
            )

    def split(self, before: Before) -> Floats:
        """The shares, by position and length."""
        length = before.length
        both = self.first + self.last
        middle = (1.0 - both) / np.maximum(length - 2, 1)
        whole = np.where(length == 2, both, 1.0)
        ends = np.where(before.position == 0, self.first, self.last) / whole
        outer = (before.position == 0) | before.last
        return np.where(length == 1, 1.0, np.where(outer, ends, middle))


def _halved(before: Before, halvings: Floats) -> Floats:
    """Shares in proportion to 2^−halvings; the last event has the fewest, so nothing underflows all together."""
    least = np.full(before.lengths.size, np.inf)
    np.minimum.at(least, before.owner, halvings)
    weight = np.exp2(least[before.owner] - halvings)
    return np.asarray(weight / before.per_conversion(weight)[before.owner])


@frozen(kw_only=True)
class TimeDecayCredit(SplitCredit):
    """Credit that halves with every half-life between the event and the conversion.

    Attributes:
        half_life: Time after which an event weighs half.
    """

    name: ClassVar[str] = "time_decay_credit"

    half_life: timedelta = timedelta(days=7)

    def __attrs_post_init__(self) -> None:
        CreditOptions.__attrs_post_init__(self)
        given = cast("object", self.half_life)
        if not isinstance(given, timedelta) or given <= timedelta(0):
            raise InvalidValueError(
                f"half_life is a positive duration, got {given!r}", hint="Write half_life=timedelta(days=7)"
            )

    def split(self, before: Before) -> Floats:
        """2^(−time to the conversion/half-life), summing to 1."""
        time = before.block.time
        apart = (time[before.goal][before.owner] - time[before.at]).astype(np.float64)
        return _halved(before, apart / microseconds(self.half_life))


@frozen(kw_only=True)
class StepDecayCredit(SplitCredit):
    """Credit that halves with every so many steps between the event and the last one before the goal.

    Attributes:
        half_life: Number of steps after which an event weighs half.
    """

    name: ClassVar[str] = "step_decay_credit"

    half_life: float = 1.0

    def __attrs_post_init__(self) -> None:
        CreditOptions.__attrs_post_init__(self)
        given = cast("object", self.half_life)
        if not isinstance(given, (int, float)) or not given > 0:
            raise InvalidValueError(f"half_life is a positive number of steps, got {given!r}", hint="Write half_life=1")

    def split(self, before: Before) -> Floats:
        """2^(−steps to the last event/half-life), summing to 1."""
        return _halved(before, (before.length - 1 - before.position) / self.half_life)
