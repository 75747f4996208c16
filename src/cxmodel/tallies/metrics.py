"""What a metric is: frozen attrs classes whose fields are the options and whose type parameter is the result."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final, Generic, NamedTuple, TypeVar

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.model.estimates import Estimate, Flag, Interval
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools
from cxmodel.stats.floats import Floats
from cxmodel.tallies.cells import BUCKETS, FEW_CUSTOMERS, Cells
from cxmodel.tallies.inference import (
    BucketSums,
    Columns,
    Spread,
    draws,
    percentiles,
    quiet,
    replicated,
    spread,
)
from cxmodel.tallies.observations import Observations
from cxmodel.tallies.sums import Sums, dense_buckets, merge_sums, no_sums, tabulate
from cxmodel.typing import Population

S = TypeVar("S")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

SMALL: Final = 30
MOST_PAIRABLE: Final = 2_000
_NO_WIDTH: Final = 1e-7  # what rounding leaves of a standard error of 0


class Metric(ABC, Generic[R_co]):
    """Something that can be measured; the type parameter is the type of its result.

    Attributes:
        name: What it is called on the command line and in results.
        unit: Unit of its values, in words.
        direction: Which way is better.
        range: Smallest and largest possible value.
    """

    __slots__ = ()
    name: ClassVar[str]
    unit: ClassVar[str] = ""
    direction: ClassVar[Direction] = "none"
    range: ClassVar[tuple[float, float]] = (-np.inf, np.inf)

    def missing(self, facts: Facts) -> str | None:
        """Why this cannot be measured here, in words; None when it can."""
        return None


class WholeMetric(Metric[R_co]):
    """A metric that needs the whole population at once; only in memory."""

    __slots__ = ()

    @abstractmethod
    def compute(self, population: Population, *, by: object | None, level: float) -> R_co:
        """The result, from all blocks."""


class Tally(Metric[R_co], Generic[S, R_co]):
    """A metric that looks at one block at a time.

    A state holds what was seen; `merge` is associative and commutative with `start` as its neutral element, because
    blocks hold disjoint customers. States are frozen attrs classes of arrays, numbers, text and tuples of these.

    Attributes:
        observes: What it counts; decides which groupings make sense.
        groups: Whether it keeps the groups of ``cells.by`` apart itself; if not, the house lets it look at each group's
            journeys on their own.
    """

    __slots__ = ()
    observes: ClassVar[Unit] = "journey"
    groups: ClassVar[bool] = True

    @abstractmethod
    def start(self) -> S:
        """Nothing seen yet."""

    @abstractmethod
    def add(self, state: S, block: Block, cells: Cells[Any]) -> S:
        """The state after one more block."""

    @abstractmethod
    def merge(self, a: S, b: S) -> S:
        """Both states together."""

    @abstractmethod
    def finish(self, state: S, cells: Cells[Any], level: float) -> Mapping[int, R_co]:
        """The result of every group: group code → result; −1 is what belongs to no group, 0 the only one."""

    def again(self, state: S) -> Tally[Any, R_co] | None:
        """A second pass that this state asks for, or None."""
        return None


class SumTally(Tally[Sums, R_co]):
    """Say what you see in a block and make one group's result of its sums; the house does the rest."""

    __slots__ = ()
    clustered: ClassVar[bool] = True

    @abstractmethod
    def observe(self, block: Block) -> Observations:
        """Which rows of which unit count, with which numbers."""

    @abstractmethod
    def result(self, sums: Sums, cells: Cells[Any], level: float) -> R_co:
        """The result of one group from its rows, one per key; there may be none."""

    def start(self) -> Sums:
        """No sums."""
        return no_sums()

    def add(self, state: Sums, block: Block, cells: Cells[Any]) -> Sums:
        """Tabulate what was observed."""
        return merge_sums(state, tabulate(block, self.observe(block), cells, clustered=self.clustered))

    def merge(self, a: Sums, b: Sums) -> Sums:
        """Add the sums."""
        return merge_sums(a, b)

    def finish(self, state: Sums, cells: Cells[Any], level: float) -> Mapping[int, R_co]:
        """Group by group."""
        groups = np.unique(state.group).tolist() or ([0] if cells.by is None else [])
        return {group: self.result(state.of(group), cells, level) for group in groups}


class Closed(NamedTuple):
    """A closed-form interval for all groups at once."""

    low: Floats
    high: Floats
    method: str


class SumMetric(Tally[Sums, Estimate]):
    """One number from sums: `value` is written once and used for the data, all groups, replicates and interval."""

    __slots__ = ()
    min_n: int = 0

    @abstractmethod
    def observe(self, block: Block) -> Observations:
        """Which rows of which unit count, with which numbers."""

    @abstractmethod
    def value(self, sums: Columns) -> Floats:
        """The value from sums, elementwise."""

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """A closed-form interval, where the metric has one."""
        return None

    def flags(self, sums: Columns) -> Mapping[Flag, Bools]:
        """Further flags: where each is set."""
        return {}

    def start(self) -> Sums:
        """No sums."""
        return no_sums()

    def add(self, state: Sums, block: Block, cells: Cells[Any]) -> Sums:
        """Tabulate what was observed."""
        return merge_sums(state, tabulate(block, self.observe(block), cells))

    def merge(self, a: Sums, b: Sums) -> Sums:
        """Add the sums."""
        return merge_sums(a, b)

    def finish(self, state: Sums, cells: Cells[Any], level: float) -> Mapping[int, Estimate]:
        """All groups at once."""
        if not state.rows:
            return {} if cells.by else {0: self._without(0, f"no {PLURALS[self.observes]} to measure", "empty", cells)}
        made = self.made(state, cells, level)
        return {int(group): made(row) for row, group in enumerate(state.group)}

    def made(self, state: Sums, cells: Cells[Any], level: float) -> Callable[[int], Estimate]:
        """What makes the estimate of a row, with the numbers of all rows worked out."""
        columns = Columns(state.names, state.total)
        values = quiet(self.value, columns)
        known = spread(state, self.value, cells.facts.customers)
        ends = self._ends(state, values, known, cells, level)
        marks: dict[Flag, Bools] = {
            flag: np.broadcast_to(mask, values.shape) for flag, mask in self.flags(columns).items()
        }
        return lambda row: self._estimate(row, state, values, known, ends, marks, cells, level)

    def _ends(self, state: Sums, values: Floats, known: Spread, cells: Cells[Any], level: float) -> _Ends:
        """Intervals of all rows, each with its method: replicates, closed form, or delta."""
        columns = Columns(state.names, state.total)
        closed = self.closed(columns, state.count.astype(np.float64), known.n_eff, level)
        low, high = self._delta(values, known.se, level)
        method = np.full(values.size, "delta, by customer", object)
        if closed is not None:
            low, high, method = closed.low, closed.high, np.full(values.size, closed.method, object)
        if cells.bootstrap:
            weights = draws(cells.bootstrap, cells.seed)
            replicates = quiet(self.value, Columns(state.names, replicated(state, weights)))
            b_low, b_high = percentiles(replicates, level)
            many = state.customers >= FEW_CUSTOMERS
            low, high = np.where(many, b_low, low), np.where(many, b_high, high)
            method[many] = f"bootstrap of customers ({cells.bootstrap:,})"
            method[~many] = [f"{words}; too few customers to resample" for words in method[~many]]
        return _Ends(low, high, method)

    def _delta(self, values: Floats, se: Floats, level: float) -> tuple[Floats, Floats]:
        from scipy.special import ndtri

        half = float(ndtri((1 + level) / 2)) * se
        return np.maximum(values - half, self.range[0]), np.minimum(values + half, self.range[1])

    def _estimate(
        self, row: int, state: Sums, values: Floats, known: Spread, ends: _Ends,
        marks: Mapping[Flag, Bools], cells: Cells[Any], level: float,
    ) -> Estimate:  # fmt: skip
        n = int(state.count[row])
        if n < self.min_n:
            return self._without(n, f"fewer than {self.min_n} {PLURALS[self.observes]} (n={n})", "suppressed", cells)
        if not np.isfinite(values[row]):
            return self._without(n, self.undefined(n), "empty", cells)
        flags: list[Flag] = [flag for flag, mask in marks.items() if mask[row]]
        if n < SMALL:
            flags.append("small_n")
        if ends.high[row] - ends.low[row] <= _NO_WIDTH * abs(values[row]):
            flags.append("degenerate")
        low, high = float(ends.low[row]), float(ends.high[row])
        interval = Interval(low, high, level, str(ends.method[row])) if np.isfinite(low + high) else None
        few = state.rows <= MOST_PAIRABLE
        return Estimate(
            value=float(values[row]), n=n, n_eff=float(known.n_eff[row]), interval=interval, unit=self.unit,
            direction=self.direction, range=self.range, flags=tuple(flags), origin=cells.origin,
            dependence=Remembered(state, row, self.value, cells) if few else None,
        )  # fmt: skip

    def undefined(self, n: int) -> str:
        """Why there is no value although something was observed."""
        return f"it cannot be computed from these {n:,} {PLURALS[self.observes]}"

    def _without(self, n: int, reason: str, flag: Flag, cells: Cells[Any]) -> Estimate:
        return Estimate(
            value=None, n=n, unit=self.unit, direction=self.direction, range=self.range, flags=(flag,), reason=reason,
            origin=cells.origin,
        )  # fmt: skip


@frozen(eq=False)
class _Ends:
    low: Floats
    high: Floats
    method: Any


@frozen(eq=False)
class Remembered:
    """Bucket sums of one row, taken out of the state only when two estimates are compared.

    Attributes:
        state: The sums of all groups.
        row: Row of this estimate among them.
        value: From sums to the value.
        cells: What the run kept apart.
    """

    state: Sums = field(repr=False)
    row: int
    value: Any
    cells: Cells[Any] = field(repr=False)

    def sums(self) -> BucketSums:
        """The bucket sums."""
        totals = dense_buckets(self.state, np.array([self.row]))[:, 0, :].reshape(len(self.state.names), BUCKETS)
        return BucketSums(self.state.names, totals, self.value, self._run())

    def same_run(self, other: object) -> bool:
        """Whether the other comes from the same log and seed."""
        return isinstance(other, Remembered) and self._run() == other._run()

    def _run(self) -> tuple[object, ...]:
        return (self.cells.origin.source, self.cells.seed)

    def difference(self, other: object, level: float) -> tuple[float, float] | None:
        """Interval of self − other from shared buckets."""
        return self.sums().difference(other.sums(), level) if isinstance(other, Remembered) else None


PLURALS: Final[dict[Unit, str]] = {
    "customer": "customers", "journey": "journeys", "event": "events", "transition": "transitions",
    "response": "answers",
}  # fmt: skip
