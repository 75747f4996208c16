"""Lifecycles: rows that start and rows that complete become one event with a time and an end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Labels
from cxmodel.data.grouping import EventRows
from cxmodel.errors import UnknownNameError, unknown
from cxmodel.stats.arrays import Bools, Ints, exact_codes, mix


@frozen
class Lifecycle:
    """Codes of the two texts of a lifecycle column."""

    start: int
    complete: int

    @classmethod
    def of(cls, labels: Labels, rule: tuple[str, str, str]) -> Lifecycle:
        """Look the texts up in the column's labels."""
        column, *texts = rule
        for text in texts:
            if text not in labels.codes:
                raise UnknownNameError(f"column {column!r}: {unknown('lifecycle', text, list(labels.codes))}")
        return cls(labels.codes[texts[0]], labels.codes[texts[1]])


def pair(
    rows: EventRows, rule: Lifecycle, lifecycle: NDArray[Any], instance: Sequence[NDArray[Any]]
) -> tuple[EventRows, dict[str, int]]:
    """One event for each pair of a start and a complete row; unpaired ones are counted.

    Rows of the same customer, journey, touchpoint (and instance) are paired in order: the first open start with the
    next complete. Rows without an instance are paired with each other. A start without an end keeps its time; an end
    without a start is an event of its own.

    Args:
        rows: The events.
        rule: Which code says what.
        lifecycle: (rows,) start, complete or something else.
        instance: (rows,) its key and where it is missing, if the log has one.
    """
    known = (lifecycle == rule.start) | (lifecycle == rule.complete)
    counts = {"rows are neither start nor complete and were left out": int((~known).sum())}
    kept = np.flatnonzero(known)
    starts = lifecycle[kept] == rule.start
    order, turn, same = _in_turn(rows, kept, starts, instance)
    start_of, end_of = _pairs(kept[order], starts[order], turn, same)
    begun, ended = start_of >= 0, end_of >= 0
    for mask, words in ((begun & ~ended, "starts without an end"), (~begun & ended, "ends without a start")):
        counts[words] = int(mask.sum())
    row = np.where(begun, start_of, end_of)
    until = np.where(begun & ended, rows.time[np.where(ended, end_of, 0)], np.iinfo(np.int64).min)
    place = np.argsort(row, kind="stable")
    counts["pairs of start and end"] = int((begun & ended).sum())
    return _taken(rows, row[place], until[place]), counts


def ends_after_begins(rows: EventRows) -> tuple[EventRows, dict[str, int]]:
    """The events with every end that lies before its beginning taken as unknown, and how many those are."""
    if rows.until is None:
        return rows, {}
    unknown = np.iinfo(np.int64).min
    wrong = (rows.until < rows.time) & (rows.until != unknown)
    count = int(wrong.sum())
    if not count:
        return rows, {}
    until = np.where(wrong, unknown, rows.until)
    return evolve(rows, until=until), {"events end before they begin; their end is taken as unknown": count}


def _in_turn(rows: EventRows, kept: Ints, starts: Bools, instance: Sequence[NDArray[Any]]) -> tuple[Ints, Ints, Bools]:
    """Rows ordered so that the i-th start and the i-th end of one thing are neighbours."""
    parts = (rows.customer, *rows.spelling, rows.touchpoint, rows.journey, *instance)
    thing = _things([each[kept] for each in parts if each is not None])
    by_kind = np.lexsort((kept, rows.time[kept], ~starts, thing))
    k, s = thing[by_kind], starts[by_kind]
    fresh = np.ones(k.size, np.bool_)
    fresh[1:] = (k[1:] != k[:-1]) | (s[1:] != s[:-1])
    index = np.arange(k.size)
    turn_of = index - np.maximum.accumulate(np.where(fresh, index, 0))
    together = np.lexsort((~s, turn_of, k))
    order = by_kind[together]
    same = np.zeros(k.size, np.bool_)
    kk, tt = k[together], turn_of[together]
    same[1:] = (kk[1:] == kk[:-1]) & (tt[1:] == tt[:-1])
    return order, turn_of[together], same


def _things(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """(rows,) one code for the rows of one customer, touchpoint, journey and instance."""
    key = np.zeros(parts[0].size, np.uint64)
    for turn, part in enumerate(parts):
        key = mix(key ^ part.astype(np.uint64, copy=False), turn)
    return exact_codes(key, *parts)[0]


def _pairs(rows: Ints, starts: Bools, turn: Ints, same: Bools) -> tuple[Ints, Ints]:
    """For each event its start row and its end row, −1 where it has none."""
    event = np.cumsum(~same) - 1
    size = int(event[-1]) + 1 if event.size else 0
    start_of, end_of = np.full(size, -1), np.full(size, -1)
    start_of[event[starts]] = rows[starts]
    end_of[event[~starts]] = rows[~starts]
    return start_of, end_of


def _taken(rows: EventRows, picked: Ints, until: Ints) -> EventRows:
    return evolve(evolve(rows, until=None).picked(lambda column: column[picked]), until=until)
