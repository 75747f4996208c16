"""A metric: a tally with a state and a merge of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, floor, sqrt
from statistics import NormalDist
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from cxmodel.errors import InvalidValueError
from cxmodel.plugins import Block, Cells, Direction, Estimate, Facts, Flag, Interval, Ints, Tally, Unit

_MINUTE: Final = 60_000_000  # µs
_UNANSWERED: Final = np.iinfo(np.int64).max
_SMALL: Final = 30


def _names(touchpoints: Sequence[str]) -> tuple[str, ...]:
    if isinstance(touchpoints, str) or not touchpoints:
        raise InvalidValueError(f"touchpoints are a list of names, got {touchpoints!r}", hint='Write asks=["question"]')
    return tuple(touchpoints)


@frozen(eq=False)
class Waits:
    """The waits seen so far, in ascending order of (group, wait, customer): equal sets have equal arrays.

    Attributes:
        group: (n,) group of the question.
        wait: (n,) µs to the first reply; the largest int64 where none came.
        customer: (n,) hash of the customer's id.
    """

    group: Ints
    wait: Ints
    customer: NDArray[np.uint64]


@frozen(kw_only=True)
class AnswerWait(Tally[Waits, Estimate]):
    """Median wait between a customer's question and the first reply after it in the same journey.

    Unit minutes, 0 or more, lower is better. A question that follows an unanswered one belongs to the same wait, which
    begins with the first. The median is exact and taken over the answered questions (``n``); where some were never
    answered the result is flagged ``censored``, because theirs would be longer.

    The interval is Woodruff's: p̂ is the share of waits at or below the median, its standard error is clustered by
    customer (√(G/(G − 1) · Σ_c z_c²)/n over G customers, z_c the sum of (wait ≤ median) − p̂ over the customer's waits)
    and never below ½/√n, that of independent waits. The waits at ranks n · (½ ∓ z · se), rounded outwards, are its
    ends; where these ranks lie outside the sample there is no interval. ``bootstrap=`` does not change it.

    Source: Woodruff (1952), Confidence intervals for medians and other position measures, Journal of the American
    Statistical Association 47, 635-646.

    Attributes:
        asks: Touchpoints at which a customer asks.
        replies: Touchpoints at which an agent replies.

    Example:
        >>> import cxmodel as cx
        >>> rows = [{"who": "ann", "what": "question", "at": "2026-01-01 10:00"},
        ...         {"who": "ann", "what": "agent reply", "at": "2026-01-01 10:12"}]
        >>> journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at")
        >>> print(journeys.measure(AnswerWait()))
        12 min (n=1)
    """

    name: ClassVar[str] = "answer_wait"
    unit: ClassVar[str] = "min"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, float("inf"))
    observes: ClassVar[Unit] = "event"

    asks: tuple[str, ...] = field(
        default=("question",), converter=_names, metadata={"help": "touchpoints at which a customer asks"}
    )
    replies: tuple[str, ...] = field(
        default=("agent reply",), converter=_names, metadata={"help": "touchpoints at which an agent replies"}
    )

    def missing(self, facts: Facts) -> str | None:
        """No question or no reply ever occurs."""
        for option, names in (("asks", self.asks), ("replies", self.replies)):
            if not set(names) & set(facts.touchpoints):
                return f"no touchpoint is called {' or '.join(map(repr, names))}: give {option}=[…]"
        return None

    def start(self) -> Waits:
        """No waits."""
        none = np.zeros(0, np.int64)
        return Waits(none, none, np.zeros(0, np.uint64))

    def add(self, state: Waits, block: Block, cells: Cells[Any]) -> Waits:
        """The waits of one more block."""
        asked, wait = self._waits(block)
        rows, group = np.arange(asked.size), np.zeros(asked.size, np.int64)
        if cells.by is not None:
            rows, group = cells.by.assign(block, "event", asked)
        customer = block.customer_key[block.customer_rows("event", asked)]
        return self.merge(state, Waits(group, wait[rows], customer[rows]))

    def merge(self, a: Waits, b: Waits) -> Waits:
        """All waits of both, in order."""
        group, wait = np.concatenate([a.group, b.group]), np.concatenate([a.wait, b.wait])
        customer = np.concatenate([a.customer, b.customer])
        order = np.lexsort((customer, wait, group))
        return Waits(group[order], wait[order], customer[order])

    def finish(self, state: Waits, cells: Cells[Any], level: float) -> Mapping[int, Estimate]:
        """Group by group: each is a slice of the sorted waits."""
        groups, first = np.unique(state.group, return_index=True)
        if not groups.size:
            return {} if cells.by else {0: self._nothing("no question was asked", cells)}
        ends = np.append(first[1:], state.group.size)
        slices = zip(groups.tolist(), first.tolist(), ends.tolist(), strict=True)
        return {
            group: self._estimate(state.wait[low:high], state.customer[low:high], cells, level)
            for group, low, high in slices
        }

    def _waits(self, block: Block) -> tuple[Ints, Ints]:
        """Rows of the questions that begin a wait, and how long it was."""
        ask, reply = block.events_at(self.asks), block.events_at(self.replies)
        turn = np.flatnonzero(ask | reply)
        journey = block.journey[turn]
        again = np.zeros(turn.size, np.bool_)
        again[1:] = ask[turn[1:]] & ask[turn[:-1]] & (journey[1:] == journey[:-1])
        begin = np.flatnonzero(ask[turn] & ~again)
        replied = np.append(np.flatnonzero(reply[turn]), turn.size)
        end = replied[np.searchsorted(replied, begin, side="right")]
        answered = end < turn.size
        answered[answered] = journey[end[answered]] == journey[begin[answered]]
        wait = np.full(begin.size, _UNANSWERED)
        wait[answered] = block.time[turn[end[answered]]] - block.time[turn[begin[answered]]]
        return turn[begin], wait

    def _estimate(self, wait: Ints, customer: NDArray[np.uint64], cells: Cells[Any], level: float) -> Estimate:
        n = int(np.searchsorted(wait, _UNANSWERED))
        if not n:
            return self._nothing(f"none of {wait.size:,} questions was answered", cells)
        flags: list[Flag] = ["censored"] if n < wait.size else []
        if n < _SMALL:
            flags.append("small_n")
        low, high = int(wait[(n - 1) // 2]), int(wait[n // 2])
        return Estimate(
            value=(low + high) / 2 / _MINUTE, n=n, interval=_woodruff(wait[:n], customer[:n], high, level),
            unit=self.unit, direction=self.direction, range=self.range, flags=tuple(flags), origin=cells.origin,
        )  # fmt: skip

    def _nothing(self, reason: str, cells: Cells[Any]) -> Estimate:
        return Estimate(
            value=None, n=0, reason=reason, flags=("empty",), unit=self.unit, direction=self.direction,
            range=self.range, origin=cells.origin,
        )  # fmt: skip


def _woodruff(wait: Ints, customer: NDArray[np.uint64], median: int, level: float) -> Interval | None:
    """Ends of the interval from sorted waits; None where the sample is too small to hold them."""
    n = wait.size
    below = wait <= median
    _, of = np.unique(customer, return_inverse=True)
    sums = np.bincount(of, weights=below - below.mean())
    if sums.size < 2:
        return None
    error = max(sqrt(sums.size / (sums.size - 1) * float(sums @ sums)) / n, 0.5 / sqrt(n))
    half = NormalDist().inv_cdf((1 + level) / 2) * error
    low, high = floor(n * (0.5 - half)), ceil(n * (0.5 + half)) + 1
    if low < 1 or high > n:
        return None
    return Interval(int(wait[low - 1]) / _MINUTE, int(wait[high - 1]) / _MINUTE, level, "Woodruff, by customer")
