"""Placing: the event or the journey of a block that each answer is about."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from cxmodel.data.answers import UNKNOWN_TIME, AnswerRows
from cxmodel.data.blocks import Answers, Block
from cxmodel.stats.arrays import Bools, Codes, Ints, Keys, counting_order, offsets_of, ranges, segment_of
from cxmodel.stats.key_tables import KeyTable

REASONS: Final = (
    "no customer with this id",
    "no journey with this id",
    "several customers share this journey id",
    "before the customer's first touchpoint",
    "no touchpoint within the window",
    "no time, and the customer has several journeys",
    "no id",
)
NO_CUSTOMER, NO_JOURNEY, SHARED, TOO_EARLY, TOO_LATE, NO_TIME, NO_ID = range(len(REASONS))
ANYWHERE: Final = -1
NOWHERE: Final = -2
_STEPS_BACK: Final = 8
_RARE: Final = 16

Reasons = NDArray[np.uint8]


@frozen(eq=False)
class Sought:
    """Answers by the key that they are looked up by.

    Attributes:
        table: The row of each key.
        offsets: (k + 1,) where the answers of each begin.
        rows: The answers, in the order of their keys, then of the input.
    """

    table: KeyTable
    offsets: Ints
    rows: NDArray[np.integer[Any]]

    @classmethod
    def of(cls, keys: Keys, code: Ints) -> Sought:
        """Answers by their keys.

        Args:
            keys: (k,) distinct keys.
            code: (answers,) which of them an answer carries; −1 for none.
        """
        there = np.flatnonzero(code >= 0)
        offsets, order = counting_order(code[there], keys.size)
        return cls(KeyTable(keys, np.arange(keys.size, dtype=np.int32)), offsets, there[order])

    @classmethod
    def nothing(cls) -> Sought:
        """No answers."""
        return cls.of(np.zeros(0, np.uint64), np.zeros(0, np.int64))

    def among(self, keys: Keys) -> tuple[Ints, Ints]:
        """Answers with one of these distinct keys, and the row of their key; in the order of (row, answer)."""
        code = self.table.found(keys)
        hit = np.flatnonzero(code >= 0)
        code = code[hit]
        count = self.offsets[code + 1] - self.offsets[code]
        answer = self.rows[ranges(self.offsets[code], count)]
        return answer.astype(np.int64, copy=False), np.repeat(hit, count)


@frozen(eq=False)
class Wanted:
    """The answers with the keys that they carry here.

    Attributes:
        by_customer: The answers that carry a customer, by it.
        by_journey: Those that carry only the id of a journey that one customer alone has, by it.
        named: Whether an id of a journey was given; None without the column.
        known: Whether that id is known here.
        journey: Its source key.
        touchpoint: Code of the touchpoint that an answer is about, `ANYWHERE`, or `NOWHERE` for one that never occurs.
    """

    by_customer: Sought
    by_journey: Sought
    named: Bools | None
    known: Bools
    journey: Keys
    touchpoint: Ints


@frozen(eq=False)
class _Scopes:
    """The answers that meet a block: their rows, the journeys low … high − 1 that they may belong to, and why."""

    row: Ints
    low: Ints
    high: Ints
    by_journey: Bools


def place(
    block: Block, rows: AnswerRows, wanted: Wanted, question: Ints, within: int | None, reasons: Reasons
) -> tuple[Answers, Ints]:
    """The answers of one block, and which rows they are; why others do not belong is written down."""
    met = _met(block, wanted, reasons)
    time, about = rows.time[met.row], wanted.touchpoint[met.row]
    event = _events(block, met, time, about)
    if within is not None:
        event[(event >= 0) & (time - block.time[event] > within)] = -1
    journey, why = _journeys(block, event, met, time, about, within is not None)
    reasons[met.row] = why
    kept = np.flatnonzero(journey >= 0)
    order = _by_time(journey[kept], time[kept])
    kept = kept if order is None else kept[order]
    row, event = met.row[kept], event[kept]
    touchpoint = np.where(event >= 0, block.touchpoint[event].astype(np.int64), -1)
    answers = Answers(
        journey=journey[kept], event=event, touchpoint=touchpoint, question=question[rows.question[row]],
        score=rows.score[row], time=time[kept], weight=rows.weight[row],
    )  # fmt: skip
    return answers, row


def _met(block: Block, wanted: Wanted, reasons: Reasons) -> _Scopes:
    if not wanted.by_journey.rows.size:
        return _by_customer(block, wanted, reasons)
    if not wanted.by_customer.rows.size:
        return _by_journey(block, wanted)
    a, b = _by_customer(block, wanted, reasons), _by_journey(block, wanted)
    order = np.argsort(np.concatenate([a.row, b.row]), kind="stable")
    return _Scopes(
        np.concatenate([a.row, b.row])[order], np.concatenate([a.low, b.low])[order],
        np.concatenate([a.high, b.high])[order], np.concatenate([a.by_journey, b.by_journey])[order],
    )  # fmt: skip


def _by_customer(block: Block, wanted: Wanted, reasons: Reasons) -> _Scopes:
    row, customer = wanted.by_customer.among(block.customer)
    low, high = block.customer_offsets[customer], block.customer_offsets[customer + 1]
    by_journey = np.zeros(row.size, np.bool_)
    if wanted.named is None:
        return _Scopes(row, low, high, by_journey)
    by_journey = wanted.named[row]
    given = np.flatnonzero(by_journey)
    first, last = _pieces(block, customer[given], wanted.journey[row[given]])
    low[given], high[given] = np.where(wanted.known[row[given]], first, -1), last
    reasons[row[low < 0]] = NO_JOURNEY
    stay = np.flatnonzero(low >= 0)
    return _Scopes(row[stay], low[stay], high[stay], by_journey[stay])


def _pieces(block: Block, customer: Ints, journey: Keys) -> tuple[Ints, Ints]:
    """The first journey with this id of this customer, and one past the last; −1 where there is none."""
    if block.journey_id is None or not block.journeys or not customer.size:
        return np.full(customer.size, -1), np.full(customer.size, -1)
    ids, rank = np.unique(block.journey_id, return_inverse=True)
    held = block.customer_of_journey * ids.size + rank
    order = np.argsort(held, kind="stable")
    place = np.minimum(np.searchsorted(ids, journey), ids.size - 1)
    sought = np.where(ids[place] == journey, customer * ids.size + place, -1)
    first, last = (np.searchsorted(held, sought, side, sorter=order) for side in ("left", "right"))
    hit = last > first
    return np.where(hit, order[np.where(hit, first, 0)], -1), np.where(hit, order[np.where(hit, last - 1, 0)] + 1, -1)


def _by_journey(block: Block, wanted: Wanted) -> _Scopes:
    none = np.zeros(0, np.int64)
    if block.journey_id is None or not block.journeys:
        return _Scopes(none, none, none, np.zeros(0, np.bool_))
    order = np.argsort(block.journey_id, kind="stable")
    ids = block.journey_id[order]
    fresh = np.flatnonzero(np.concatenate([[True], ids[1:] != ids[:-1]]))
    low, high = order[fresh], order[np.append(fresh[1:], ids.size) - 1] + 1
    row, at = wanted.by_journey.among(ids[fresh])
    return _Scopes(row, low[at], high[at], np.ones(row.size, np.bool_))


def _events(block: Block, met: _Scopes, time: Ints, about: Ints) -> Ints:
    """The event that each answer is about, or −1."""
    event = np.full(met.row.size, -1)
    if not block.events or not met.row.size:
        return event
    order = _order_of_events(block)
    able = np.flatnonzero((about != NOWHERE) & (time != UNKNOWN_TIME))
    eligible = _eligible(block)
    scopes: list[tuple[NDArray[np.intp], Ints | None]] = [(able, None)]
    if order is not None:
        # inside a journey events lie in the order of time, inside a customer whose journeys overlap they do not
        scopes = [(able[met.by_journey[able]], None), (able[~met.by_journey[able]], order)]
    for mine, by_time in scopes:
        start, stop = block.journey_offsets[met.low[mine]], block.journey_offsets[met.high[mine]]
        times = block.time if by_time is None else block.time[by_time]
        touchpoint = block.touchpoint if by_time is None else block.touchpoint[by_time]
        last = _last_before(times, start, stop, time[mine])
        found = _last_at(touchpoint, eligible, about[mine], start, last)
        event[mine] = found if by_time is None else np.where(found >= 0, by_time[found], -1)
    return event


def _order_of_events(block: Block) -> Ints | None:
    """Events by customer and time; None where they already are in that order."""
    if block.journeys == block.customers:
        return None
    customer = block.customer_of_journey[block.journey]
    if not ((customer[1:] == customer[:-1]) & (block.time[1:] < block.time[:-1])).any():
        return None
    return np.lexsort((block.time, customer))


def _eligible(block: Block) -> Bools:
    """(touchpoints,) whether an answer can be about an event there though it does not say so."""
    out = np.ones(len(block.vocabulary.touchpoints), np.bool_)
    kinds = block.vocabulary.touchpoint_columns.get("kind")
    if kinds is not None:
        codes, labels = kinds
        out[np.isin(codes, [labels.codes[kind] for kind in ("survey", "system") if kind in labels.codes])] = False
    return out


def _last_before(times: Ints, start: Ints, stop: Ints, time: Ints) -> Ints:
    """The last row of start … stop − 1 at or before each time; start − 1 where there is none.

    The times of such a range ascend. All ranges are searched side by side, by halves of the longest; a step looks only
    at ranges that are as long, which few are in the first steps.
    """
    found, length = start - 1, stop - start
    step = 1 << int(length.max(initial=0)).bit_length() >> 1
    while step:
        wide: NDArray[np.intp] | slice = np.flatnonzero(length >= step) if step >= _RARE else slice(None)
        ahead = found[wide] + step
        inside = ahead < stop[wide]
        inside &= times[np.minimum(ahead, times.size - 1)] <= time[wide]
        found[wide] += step * inside
        step >>= 1
    return found


def _last_at(touchpoint: Codes, eligible: Bools, about: Ints, start: Ints, last: Ints) -> Ints:
    """The last row of start … last at the touchpoint, or at an eligible one where none was said; −1 without one.

    It is mostly a few rows back. What lies further back is looked up among the rows of the touchpoint.
    """
    found = np.where(last >= start, last, -1)
    left = np.flatnonzero(found >= 0)
    for _ in range(_STEPS_BACK):
        here = touchpoint[found[left]]
        left = left[(here != about[left]) & ((about[left] != ANYWHERE) | ~eligible[here])]
        if not left.size:
            return found
        found[left] -= 1
        out = found[left] < start[left]
        found[left[out]] = -1
        left = left[~out]
    for code in np.unique(about[left]).tolist():
        mine = left[about[left] == code]
        rows = np.flatnonzero(eligible[touchpoint] if code == ANYWHERE else touchpoint == code)
        before = np.concatenate([[-1], rows])[np.searchsorted(rows, found[mine], "right")]
        found[mine] = np.where(before >= start[mine], before, -1)
    return found


def _journeys(
    block: Block, event: Ints, met: _Scopes, time: Ints, about: Ints, limited: bool
) -> tuple[Ints, Reasons]:  # fmt: skip
    """The journey of each answer, or −1 with the reason."""
    low, high, by_journey = met.low, met.high, met.by_journey
    owner = low if block.journeys == block.customers or not block.events else block.journey[event]
    journey = np.where(event >= 0, owner, -1)
    why = np.full(event.size, TOO_LATE if limited else TOO_EARLY, np.uint8)
    timeless = time == UNKNOWN_TIME
    told = by_journey | (about != ANYWHERE)
    single = (high - low == 1) & (told | timeless)
    journey = np.where((journey < 0) & single, low, journey)
    why[timeless] = NO_TIME
    left = np.flatnonzero((journey < 0) & ~timeless & told)
    journey[left] = _latest(block, low[left], high[left], time[left], by_journey[left])
    why[left[journey[left] < 0]] = TOO_EARLY
    return journey, why


def _latest(block: Block, low: Ints, high: Ints, time: Ints, certain: Bools) -> Ints:
    """Of the journeys low … high − 1 the one that began last before the time; the first of all where it is certain."""
    if not low.size:
        return low
    offsets = offsets_of(high - low)
    pieces, answer = ranges(low, high - low), segment_of(offsets)
    began = block.time[block.journey_offsets[pieces]]
    last = np.maximum.reduceat(np.where(began <= time[answer], began, UNKNOWN_TIME), offsets[:-1])
    wanted = np.where(last == UNKNOWN_TIME, np.minimum.reduceat(began, offsets[:-1]), last)
    hits = np.flatnonzero(began == wanted[answer])[::-1]
    out = np.full(low.size, -1)
    out[answer[hits]] = pieces[hits]
    return np.where((last == UNKNOWN_TIME) & ~certain, -1, out)


def _by_time(journey: Ints, time: Ints) -> Ints | None:
    """The order by journey, time and input; None where the input has it."""
    same = journey[1:] == journey[:-1]
    if ((journey[1:] > journey[:-1]) | (same & (time[1:] >= time[:-1]))).all():
        return None
    return np.lexsort((time, journey))
