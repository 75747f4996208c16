"""What every model of credit shares: its options, and how its rows become a table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, NamedTuple

from attrs import field, frozen

from cxmodel.analysis.credits.conversions import Conversions
from cxmodel.analysis.credits.results import CreditTable
from cxmodel.data.blocks import Unit
from cxmodel.model.estimates import Estimate, Flag, Interval
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.rankings import RankStability
from cxmodel.model.readings import Facts
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import SMALL


class Due(NamedTuple):
    """The credit of a touchpoint, or why there is none."""

    value: float | None
    n: int
    interval: Interval | None
    flags: tuple[Flag, ...] = ()
    reason: str | None = None


class Counts(NamedTuple):
    """What a table of credit rests on."""

    conversions: int
    unvalued: int = 0


@frozen(kw_only=True)
class CreditOptions:
    """Options of every model of credit.

    Attributes:
        goal: What counts as a conversion.
        value: Numeric column of the goal's event that is split (``"value"`` for the one that `read_events` took as
            such); None to split conversions.
        within: Look-back window: only events at most this long before the conversion take part.
        collapse: Whether consecutive events at one touchpoint are one.
        every: Whether each attainment of the goal is a conversion of its own, with the events since the one before;
            else the first of a journey alone.
    """

    unit: ClassVar[str] = "conversions"
    direction: ClassVar[Any] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    observes: ClassVar[Unit] = "journey"

    goal: Goal = field(converter=as_goal)
    value: str | None = None
    within: timedelta | None = None
    collapse: bool = False
    every: bool = False

    def __attrs_post_init__(self) -> None:
        _ = self.conversions

    @property
    def conversions(self) -> Conversions:
        """What counts as a conversion and what comes before it."""
        return Conversions(
            goal=self.goal, value=self.value, within=self.within, collapse=self.collapse, every=self.every
        )

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur, or a value that is not there."""
        return self.conversions.missing(facts)

    @property
    def least(self) -> float:
        """The smallest possible credit; values may be negative."""
        return 0.0 if self.value is None else float("-inf")

    def estimate(self, due: Due, cells: Cells[Any], *flags: Flag) -> Estimate:
        """The credit of a touchpoint as an estimate."""
        unit = self.unit if self.value is None else cells.facts.currency or "value"
        small: tuple[Flag, ...] = ("small_n",) if due.n < SMALL else ()
        return Estimate(
            value=due.value, n=due.n, unit=unit, direction=self.direction, range=(self.least, self.range[1]),
            interval=due.interval, flags=(*small, *due.flags, *flags), reason=due.reason, origin=cells.origin,
        )  # fmt: skip

    def table(
        self, name: str, rows: Mapping[int, Due], counts: Counts, cells: Cells[Any], stable: RankStability | None
    ) -> CreditTable:
        """The table of the rows: touchpoint code → its credit; direct conversions behind the last touchpoint."""
        names = cells.vocabulary.touchpoints
        direct = rows.get(len(names), Due(0.0, 0, None))
        return CreditTable(
            by=("touchpoint",), metric=name, goal=self.goal.name, conversions=counts.conversions,
            groups={names[key]: self.estimate(each, cells) for key, each in rows.items() if key < len(names)},
            direct=self.estimate(direct, cells, "direct"), value=self.value, unvalued=counts.unvalued,
            stability=stable,
        )  # fmt: skip
