"""Lifecycle: new, active, lapsed and returned customers by period, and how they pass from one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Final, Literal, get_args

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.data.times import DAY, Offsets, Period, first_day, instant, period_number
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Flag, Interval, Origin, no_value
from cxmodel.model.frames import Tabular
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import Columns, spread
from cxmodel.tallies.metrics import SMALL, SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums, merge_sums, tabulate

LifecycleState = Literal["new", "active", "returned", "lapsed"]
STATES: Final[tuple[LifecycleState, ...]] = get_args(LifecycleState)
LAPSED: Final = 3
_TOO_NEW: Final = 3  # in the keys of periods, where nobody is counted as lapsed


@frozen(kw_only=True)
class LifecycleMove:
    """From one state in a period to a state in the next.

    Attributes:
        period: First day of the period of ``source``; None for all periods together.
        source: State in the period.
        target: State in the next.
        count: Moves.
        share: Their share of all moves from ``source``.
    """

    period: date | None
    source: LifecycleState
    target: LifecycleState
    count: int
    share: Estimate

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "period": self.period and self.period.isoformat(), "source": self.source, "target": self.target,
            "count": self.count, "share": self.share.to_dict(),
        }  # fmt: skip


@frozen(kw_only=True)
class LifecyclePeriod:
    """Customers by their state in one period; the four sum to all customers seen so far.

    Attributes:
        period: First day of the period.
        new: Seen for the first time.
        active: Seen now and in the period before.
        returned: Seen now and earlier, but not in the period before.
        lapsed: Seen earlier, but not now.
    """

    period: date
    new: int
    active: int
    returned: int
    lapsed: int

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "period": self.period.isoformat(), "new": self.new, "active": self.active, "returned": self.returned,
            "lapsed": self.lapsed,
        }  # fmt: skip


@frozen(kw_only=True)
class LifecycleTable(Tabular):
    """States of customers by period, and the moves between them.

    Attributes:
        period: Kind of period.
        periods: Counts of the periods that are over, without gaps.
        moves: Moves of all periods together.
        moves_by_period: Moves from each period into the next.
        censored: Customers first seen in a period that was not over when observation ended; in no count here.
    """

    period: Period
    periods: tuple[LifecyclePeriod, ...] = field(repr=False)
    moves: tuple[LifecycleMove, ...]
    moves_by_period: tuple[LifecycleMove, ...] = field(repr=False)
    censored: int
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def share(self, source: LifecycleState, target: LifecycleState) -> Estimate:
        """Share of the moves from ``source`` that lead to ``target``, all periods together."""
        found = [move.share for move in self.moves if (move.source, move.target) == (source, target)]
        return found[0] if found else no_value(f"nobody was seen to move from {source} to {target}", unit="share")

    def to_records(self) -> list[dict[str, object]]:
        """One record per move: all periods together, then each."""
        return [move.to_dict() for move in (*self.moves, *self.moves_by_period)]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "period": self.period, "censored": self.censored, "periods": [each.to_dict() for each in self.periods],
            "moves": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"{len(self.periods)} periods ({self.period}), {self.censored:,} customers too new to be judged"
        rows = [f"  {move.source} → {move.target}: {move.count:,}, {move.share:.1%}" for move in self.moves]
        return "\n".join([head, *rows])


@frozen(kw_only=True)
class Lifecycle(SumTally[LifecycleTable]):
    """New, active, returned and lapsed customers by period, and the shares that pass from one state to the next.

    A customer is *new* in the period of the first event, *active* in a period that follows one with an event,
    *returned* in a period with an event after one without, *lapsed* in a period without. A share is moves from one
    state to another over all moves from it; 0 to 1, no direction. Periods that are not over when observation ends do
    not count, and customers first seen in one are censored and counted. Wilson's interval
    (10.1080/01621459.1927.10502953): within a period a customer moves once; all periods together on n over the design
    effect, by customer.

    Attributes:
        period: Kind of period: how long without an event makes a customer lapsed.
        tz: Zone of the calendar.
        end: When observation ended; the last event unless given.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": who, "what": "visit", "at": f"2026-{month:02d}-10"}
        ...        for who, months in (("a", (1, 2, 4)), ("b", (1,)), ("c", (3,))) for month in months]
        >>> journeys = read_events(log, customer="who", touchpoint="what", time="at")
        >>> table = journeys.measure(Lifecycle(period="month", end=datetime(2026, 5, 1)))
        >>> table.periods[3].to_dict()
        {'period': '2026-04-01', 'new': 0, 'active': 0, 'returned': 1, 'lapsed': 2}
        >>> table.share("lapsed", "returned").require()
        0.3333333333333333
    """

    name: ClassVar[str] = "lifecycle"
    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "customer"

    period: Period = field(default="month", validator=validators.in_(get_args(Period)))
    tz: str = "UTC"
    end: datetime | None = None

    def add(self, state: Sums, block: Block, cells: Cells[Any]) -> Sums:
        """What was observed until the end."""
        return merge_sums(state, tabulate(block, self._until(block, self._last(cells)), cells))

    def observe(self, block: Block) -> Observations:
        """All periods, as if the last were over."""
        numbers = self._numbers(block.time)
        return self._until(block, int(numbers.max(initial=0)))

    def _last(self, cells: Cells[Any]) -> int:
        """Number of the last period that is over when observation ends."""
        end = self.end or cells.facts.last
        return -1 if end is None else int(self._numbers(np.array([instant(end)]))[0]) - 1

    def _numbers(self, times: Ints) -> Ints:
        return period_number(Offsets.around(self.tz, times).to_wall(times) // DAY, self.period)

    def _until(self, block: Block, last: int) -> Observations:
        """Moves of each customer with the key of their state, and again with that of period and state."""
        numbers = self._numbers(block.time)
        customer = block.customer_of_journey[block.journey]
        order = np.lexsort((numbers, customer))
        customer, number = customer[order], numbers[order]
        fresh = _changes(customer) | _changes(number)
        customer, number = customer[fresh], number[fresh]
        first = _changes(customer)
        late = first & (number > last)
        too_new, too_late = customer[late], number[late]
        customer, number, first = customer[number <= last], number[number <= last], first[number <= last]
        back = np.diff(number, prepend=0)
        state = np.where(first, 0, np.where(back == 1, 1, 2))
        follows = np.append(~first[1:], np.zeros(min(first.size, 1), np.bool_))
        ahead = np.where(follows, np.append(number[1:], np.zeros(min(first.size, 1), np.int64)), last + 1) - number
        moves, again = (number < last).astype(np.float64), (follows & (ahead == 1)).astype(np.float64)
        # lapsed in the ahead − 1 periods in between; at the end of observation the last of them has no next period
        away, back_again = np.where(follows, ahead - 1, ahead - 2), (follows & (ahead > 1)).astype(np.float64)
        gone = away > 0
        keys = [state, np.full(int(gone.sum()), LAPSED), 4 + 4 * number + state, 4 + 4 * too_late + _TOO_NEW]
        none = np.zeros(too_new.size)
        return observe(
            "customer", np.concatenate([customer, customer[gone], customer, too_new]), np.concatenate(keys),
            moves=np.concatenate([moves, away[gone], moves, none]),
            again=np.concatenate([again, back_again[gone], again, none]),
        )  # fmt: skip

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> LifecycleTable:
        """Counts, and shares with their intervals."""
        told = sums.where(sums.key >= 4) if sums.rows else sums
        late = told.key % 4 == _TOO_NEW
        censored = int(told.count[late].sum())
        seen = told.where(~late) if told.rows else told
        start = int(seen.key.min(initial=4 * (self._last(cells) + 2))) // 4 - 1
        counts, moves, again = _tables(seen, start, self._last(cells) + 1 - start)
        days = first_day(start + np.arange(len(counts)), self.period).tolist()
        dates = [date(1970, 1, 1) + timedelta(days=day) for day in days]
        rows = tuple(
            LifecyclePeriod(period=day, new=row[0], active=row[1], returned=row[2], lapsed=row[3])
            for day, row in zip(dates, counts.tolist(), strict=True)
        )
        steps = [
            move
            for day, all_, hits in zip(dates, moves.tolist(), again.tolist(), strict=True)
            for state in range(4)
            for move in _moves(day, state, all_[state], hits[state], float(all_[state]), level, "wilson", cells)
        ]
        return LifecycleTable(
            period=self.period, periods=rows, moves=tuple(self._together(sums, cells, level)),
            moves_by_period=tuple(steps), censored=censored, origin=cells.origin,
        )  # fmt: skip

    def _together(self, sums: Sums, cells: Cells[Any], level: float) -> Iterator[LifecycleMove]:
        if not sums.rows:
            return
        pooled = sums.where((sums.key < 4) & (sums["moves"] > 0))
        error = spread(pooled, _again, cells.facts.customers).se
        for row in range(pooled.rows):
            moves, again = float(pooled["moves"][row]), float(pooled["again"][row])
            spare = again / moves * (1 - again / moves)
            # without any spread the number of customers is all that is known
            size = min(spare / error[row] ** 2, moves) if error[row] > 0 and spare else float(pooled.customers[row])
            state = int(pooled.key[row])
            yield from _moves(None, state, moves, again, size, level, "wilson, design effect", cells)


def _again(columns: Columns) -> Floats:
    return columns["again"] / columns["moves"]


def _changes(values: Ints) -> Bools:
    out = np.ones(values.size, np.bool_)
    out[1:] = values[1:] != values[:-1]
    return out


def _tables(seen: Sums, start: int, periods: int) -> tuple[Ints, Ints, Ints]:
    """(periods, 4) customers in each state, their moves, and those who are seen in the next period."""
    if not seen.rows:
        none = np.zeros((0, len(STATES)), np.int64)
        return none, none, none
    place = seen.key - 4 * (start + 1)
    counts, moves, again = (
        np.bincount(place, values, 4 * periods).round().astype(np.int64).reshape(-1, 4)
        for values in (seen.count.astype(np.float64), seen["moves"], seen["again"])
    )
    counts[:, LAPSED] = counts[:, 0].cumsum() - counts.sum(axis=1)
    moves[:-1, LAPSED], again[:-1, LAPSED] = counts[:-1, LAPSED], counts[1:, 2]
    return counts, moves, again


def _moves(
    period: date | None, state: int, moves: float, again: float, size: float, level: float, method: str,
    cells: Cells[Any],
) -> Iterator[LifecycleMove]:  # fmt: skip
    """Both moves from a state, where there are any."""
    if not moves:
        return
    back: LifecycleState = "returned" if state == LAPSED else "active"
    targets: tuple[tuple[LifecycleState, float], ...] = ((back, again), ("lapsed", moves - again))
    for target, count in targets:
        low, high = wilson(count / moves * size, size, level)
        flags: tuple[Flag, ...] = ("small_n",) if moves < SMALL else ()
        share = Estimate(
            value=count / moves, n=round(moves), n_eff=size, interval=Interval(float(low), float(high), level, method),
            unit="share", range=(0.0, 1.0), flags=flags, origin=cells.origin,
        )  # fmt: skip
        yield LifecycleMove(
            period=period, source=STATES[state], target=target, count=round(count), share=share
        )  # fmt: skip
