"""Matching patterns: all journeys of a block at once, one pass over the events per step of the pattern.

Along the pattern goes one array over the events: for each event, the latest beginning of a match of what was read of
the pattern so far that ends there. The latest beginning is all that later steps can ask for, because limits of time
are upper limits. A beginning is the row of an event, so a beginning before the journey's own first row tells that it
belongs to another journey: running maxima need no borders.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from attrs import frozen

from cxmodel.analysis.pattern_language import Either, Gap, Node, Pattern, Repeat, Sequence, Step
from cxmodel.data.blocks import Block
from cxmodel.stats.arrays import Bools, Ints

NONE = -1


def matching_journeys(block: Block, pattern: Pattern) -> Bools:
    """(journeys,) whether each has a match."""
    out = np.zeros(block.journeys, np.bool_)
    out[block.journey[latest_beginnings(block, pattern) >= 0]] = True
    return out


def matches_per_journey(block: Block, pattern: Pattern) -> Ints:
    """(journeys,) the most matches that share no event.

    Matches that contain another are set aside; of the rest, always taking the one that ends first yields the most.
    """
    found = latest_beginnings(block, pattern)
    ends = np.flatnonzero(found >= 0)
    begins = found[ends]
    before = np.concatenate([[NONE], np.maximum.accumulate(begins)[:-1]]) if ends.size else begins
    ends, begins = ends[begins > before], begins[begins > before]
    journey = block.journey[ends]
    counts = np.zeros(block.journeys, np.int64)
    following = np.searchsorted(begins, ends, side="right")
    fresh = np.ones(ends.size, np.bool_)
    fresh[1:] = journey[1:] != journey[:-1]
    at = np.flatnonzero(fresh)
    while at.size:
        counts[journey[at]] += 1
        later = following[at]
        inside = later < ends.size
        at, later = at[inside], later[inside]
        at = later[journey[later] == journey[at]]
    return counts


def latest_beginnings(block: Block, pattern: Pattern) -> Ints:
    """(events,) row where the shortest match that ends at this event begins, or −1 where none ends."""
    rows = _Rows(block, pattern.at_start)
    found = rows.read(pattern.root, _Read(np.full(block.events, NONE), True)).begins
    if pattern.limit is not None:
        found = np.where(block.time - block.time[found] <= pattern.limit, found, NONE)
    if pattern.at_end:
        last = np.zeros(block.events, np.bool_)
        last[block.last] = True
        found = np.where(last, found, NONE)
    return found


@frozen(eq=False)
class _Read:
    """What was read of the pattern.

    Attributes:
        begins: (events,) latest beginning of what was read and ends at this event, or −1.
        nothing: Whether nothing at all may have been read, so that a match can still begin.
    """

    begins: Ints
    nothing: bool

    def or_else(self, other: _Read) -> _Read:
        """One or the other."""
        return _Read(np.maximum(self.begins, other.begins), self.nothing or other.nothing)


@frozen(eq=False, slots=False)
class _Rows:
    """The events of a block, as patterns see them."""

    block: Block
    at_start: bool

    @cached_property
    def begin(self) -> Ints:
        """(events,) row of the first event of each event's journey."""
        return self.block.journey_offsets[self.block.journey]

    @cached_property
    def index(self) -> Ints:
        """(events,) row."""
        return np.arange(self.block.events)

    def read(self, node: Node | Gap, so_far: _Read) -> _Read:
        """Read one more part of the pattern."""
        match node:
            case Step():
                return _Read(np.where(self._at(node), self._entries(so_far), NONE), False)
            case Gap(later=False):
                return self._soon(node, so_far)
            case Gap():
                return self._later(node, so_far)
            case Sequence(parts):
                for part in parts:
                    so_far = self.read(part, so_far)
                return so_far
            case Either(options):
                out = self.read(options[0], so_far)
                for option in options[1:]:
                    out = out.or_else(self.read(option, so_far))
                return out
            case Repeat():
                return self._repeated(node, so_far)

    def _at(self, step: Step) -> Bools:
        here = self.block.events_at(step.names)
        return ~here if step.negated else here

    def _entries(self, so_far: _Read) -> Ints:
        """(events,) latest beginning of a match that reads this event next."""
        entries = np.full(self.block.events, NONE)
        entries[1:] = np.where(so_far.begins[:-1] >= self.begin[1:], so_far.begins[:-1], NONE)
        if so_far.nothing:
            own = np.where(self.begin == self.index, self.index, NONE) if self.at_start else self.index
            entries = np.maximum(entries, own)
        return entries

    def _soon(self, gap: Gap, so_far: _Read) -> _Read:
        if gap.limit is None:
            return so_far
        time, begins = self.block.time, so_far.begins.copy()
        begins[:-1][time[1:] - time[:-1] > gap.limit] = NONE
        return _Read(begins, so_far.nothing)

    def _later(self, gap: Gap, so_far: _Read) -> _Read:
        if gap.limit is not None:
            return _Read(self._lately(so_far.begins, gap.limit), so_far.nothing)
        begins = np.maximum.accumulate(so_far.begins) if self.index.size else so_far.begins
        begins = np.where(begins >= self.begin, begins, NONE)
        if so_far.nothing and self.at_start:
            begins = np.maximum(begins, self.begin)
        return _Read(begins, so_far.nothing)

    def _lately(self, begins: Ints, limit: int) -> Ints:
        """(events,) latest beginning of what ended here or earlier, and within the limit before the next event."""
        out = np.full(begins.size, NONE)
        latest = np.maximum.accumulate(np.where(begins >= 0, self.index, NONE)) if begins.size else begins
        time = self.block.time
        rows = np.flatnonzero(latest >= self.begin)
        rows = rows[rows + 1 < begins.size]
        rows = rows[self.begin[rows + 1] == self.begin[rows]]
        rows = rows[time[rows + 1] - time[latest[rows]] <= limit]
        if rows.size:
            out[rows] = _maxima(begins, _first_within(time, self.begin[rows], rows, limit), rows + 1)
        return out

    def _repeated(self, node: Repeat, so_far: _Read) -> _Read:
        for _ in range(max(node.low - 1, 0) if node.high is None else node.low):
            so_far = self.read(node.part, so_far)
        if node.high is not None:
            for _ in range(node.high - node.low):
                so_far = so_far.or_else(self.read(node.part, so_far))
            return so_far
        turns = self._runs(node.part, so_far) if isinstance(node.part, Step) else self._turns(node.part, so_far)
        return turns if node.low else turns.or_else(so_far)

    def _runs(self, step: Step, so_far: _Read) -> _Read:
        """One or more events of one step, one directly after another: the latest entry of each run up to each event."""
        here, entries = self._at(step), self._entries(so_far)
        size = self.block.events
        if not size:
            return _Read(entries, False)
        fresh = here.copy()
        fresh[1:] &= ~here[:-1] | (self.begin[1:] == self.index[1:])
        run = np.cumsum(fresh) * (size + 1)
        best = np.maximum.accumulate(np.where(here, run + entries + 1, 0)) - run - 1
        return _Read(np.where(here, best, NONE), False)

    def _turns(self, part: Node, so_far: _Read) -> _Read:
        """One or more of a longer part: turn by turn, as long as something new is found."""
        turn = self.read(part, so_far)
        out = turn
        while True:
            turn = self.read(part, _Read(turn.begins, False))
            new = turn.begins > out.begins
            if not new.any():
                return out
            out = out.or_else(turn)
            turn = _Read(np.where(new, turn.begins, NONE), False)


def _first_within(time: Ints, low: Ints, high: Ints, limit: int) -> Ints:
    """First row from ``low`` that is within the limit before the row after ``high``, by bisection of all at once."""
    bound = time[high + 1] - limit
    low, high = low.copy(), high.copy()
    while (low < high).any():
        middle = (low + high) // 2
        inside = time[middle] >= bound
        low, high = np.where(inside, low, middle + 1), np.where(inside, middle, high)
    return low


def _maxima(values: Ints, low: Ints, high: Ints) -> Ints:
    """Maximum of ``values[low:high]`` for many ranges, from maxima over ranges of 1, 2, 4, … rows."""
    out = np.full(low.size, NONE)
    lengths = high - low
    width, table = 1, values
    while width <= int(lengths.max(initial=0)):
        rows = np.flatnonzero((lengths >= width) & (lengths < 2 * width))
        out[rows] = np.maximum(table[low[rows]], table[high[rows] - width])
        table = np.maximum(table[:-width], table[width:])
        width *= 2
    return out
