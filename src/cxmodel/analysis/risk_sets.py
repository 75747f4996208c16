"""Risk sets: at each step the journeys still running, and which of them pass a touchpoint now, earlier or later.

Everything about a journey that is looked at here lies before its outcome, so nothing of the outcome can leak in.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Final, Literal

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.times import DAY
from cxmodel.errors import NotMeasurableError
from cxmodel.stats.arrays import Ints, compress, offsets_of, ranges, segment_of
from cxmodel.stats.floats import Floats

Instead = Literal["nothing", "another"]

ALL, NOW, BEFORE, LATER = range(4)
WHOLE, HELD = NOW, BEFORE
_COARSE: Final = (0, 1, 4, 8, 16, 32, 64)
_EACH: Final = (*range(32), 32, 64)
_LENGTHS: Final = (*range(9), 12, 16, 24, 32, 64)
_TIMES: Final = (DAY // 24, DAY, 7 * DAY)


@frozen(eq=False)
class Runs:
    """The journeys of a block that count, as far as they had come before the outcome.

    Attributes:
        journey: Rows of the journeys.
        length: Events of each before its outcome.
        outcome: Its outcome.
    """

    journey: Ints
    length: Ints
    outcome: Floats


@frozen(eq=False, slots=False)
class Layout:
    """How touchpoint, time of passing, step, length, covariates and those a step before share one number.

    Attributes:
        vocabulary: What codes mean.
        instead: What a passing is compared with.
        attributes: Attributes held constant.
        seen: Touchpoints of which it is held constant whether they were passed before.
    """

    vocabulary: Vocabulary = field(repr=False)
    instead: Instead
    attributes: tuple[str, ...]
    seen: tuple[str, ...]

    @property
    def edges(self) -> Ints:
        """Touches so far with which each bin of steps begins."""
        return np.array(_COARSE if self.instead == "nothing" else _EACH, np.int64)

    @property
    def lengths(self) -> Ints:
        """Lengths with which each bin of lengths begins."""
        return np.array(_LENGTHS, np.int64)

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each attribute."""
        return tuple(len(_labels(self.vocabulary, name)) for name in self.attributes)

    @cached_property
    def moving(self) -> int:
        """Number of histories that may change from step to step: time so far, and what was seen."""
        return (len(_TIMES) + 1) << len(self.seen)

    @cached_property
    def later_cells(self) -> int:
        """Number of histories within one combination of attributes."""
        return (self.entries + 1) * self.moving

    @cached_property
    def entries(self) -> int:
        """Number of ways in: channels where they are known, else touchpoints."""
        channel = self.vocabulary.touchpoint_columns.get("channel")
        return len(self.vocabulary.touchpoints) if channel is None else len(channel[1].names)

    @cached_property
    def cells(self) -> int:
        """Number of covariate cells."""
        return math.prod(self.sizes, start=self.later_cells)

    def check(self) -> None:
        """Refuse covariates that do not fit one 64-bit number."""
        width = (len(self.vocabulary.touchpoints) + 1) * 4 * len(_EACH) * len(_LENGTHS) * self.moving
        if width * self.cells >= 2**62:
            raise NotMeasurableError(
                f"impact: the covariates have {self.cells:,} combinations, which is too many to keep apart",
                hint="Hold fewer attributes constant, or join coarser ones",
            )

    def pack(
        self, kind: Ints | int, when: Ints | int, step: Ints, length: Ints | int, cell: Ints, origin: Ints | int = 0
    ) -> Ints:
        """One number of the parts."""
        key = ((np.asarray(kind) * 4 + when) * len(self.edges) + step) * len(_LENGTHS) + length
        return np.asarray((key * self.cells + cell) * self.moving + origin, np.int64)

    def unpack(self, key: Ints) -> tuple[Ints, Ints, Ints, Ints, Ints, Ints]:
        """The parts: kind (0 for all, else touchpoint + 1), when, step, length, cell, what moved since."""
        rest, origin = np.divmod(key, self.moving)
        rest, cell = np.divmod(rest, self.cells)
        rest, length = np.divmod(rest, len(_LENGTHS))
        rest, step = np.divmod(rest, len(self.edges))
        return rest // 4, rest % 4, step, length, cell, origin

    def parent(self, step: Ints, cell: Ints, origin: Ints) -> Ints:
        """The cell that a journey in this cell at this step (1 or later) came from."""
        fixed = cell // self.moving
        fixed = np.where(step == 1, fixed - fixed % (self.entries + 1), fixed)
        return np.asarray(fixed * self.moving + origin, np.int64)

    def words(self, attributes: int) -> dict[str, str]:
        """The values of a combination of attributes."""
        out: dict[str, str] = {}
        for name, size in zip(reversed(self.attributes), reversed(self.sizes), strict=True):
            attributes, code = divmod(attributes, size)
            out[name] = _labels(self.vocabulary, name)[code] or "(missing)"
        return dict(reversed(out.items()))


def _labels(vocabulary: Vocabulary, name: str) -> Sequence[str]:
    labels = vocabulary.columns.get(name)
    if labels is None:
        raise NotMeasurableError(
            f"impact: {name!r} is a column of numbers, and only equal histories are compared",
            hint="Join it as classes, such as 'below 100' and '100 and more'",
        )
    return labels.names


def keyed(block: Block, runs: Runs, layout: Layout) -> tuple[Ints, Ints, Ints]:
    """The rows of all risk sets: which run each belongs to, its key, and how often it passes the touchpoint of the key.

    Every run is once in the risk set of each step that it reached; and once more for each touchpoint that it passes
    before the outcome, told apart by whether it passes now, did before or will later.
    """
    layout.check()
    steps = np.searchsorted(layout.edges, runs.length, "right" if layout.instead == "nothing" else "left")
    row = segment_of(offsets_of(steps))
    step = ranges(np.zeros_like(steps), steps)
    length = np.searchsorted(layout.lengths, runs.length, "right") - 1
    attributes = _attributes(block, runs, layout)
    *first, times = _first_passings(block, runs)
    cell = _cells(block, runs, layout, row, step, attributes, first)
    origin = np.zeros(row.size, np.int64)
    if layout.instead == "another":
        origin[1:] = np.where(step[1:] > 0, cell[:-1] % layout.moving, 0)
    inner, kind, when, passing = _passed(first, steps, step, layout)
    now = np.where(when == NOW, length[row[inner]], 0)
    everybody = np.arange(runs.length.size)
    whole = layout.pack(0, WHOLE, np.zeros_like(everybody), length, attributes * layout.later_cells)
    at_risk = layout.pack(0, ALL, step, length[row], cell, origin)
    passed = layout.pack(kind, when, step[inner], now, cell[inner], origin[inner])
    own = np.concatenate([np.zeros(everybody.size + row.size, np.int64), times[passing]])
    return np.concatenate([everybody, row, row[inner]]), np.concatenate([whole, at_risk, passed]), own


def _passed(first: Sequence[Ints], steps: Ints, step: Ints, layout: Layout) -> tuple[Ints, Ints, Ints, Ints]:
    """For each touchpoint and step of the runs that pass it: row, kind, whether now, before or later, and which."""
    owner, touchpoint, position = first
    turn = np.searchsorted(layout.edges, position, "right") - 1
    inner = ranges(offsets_of(steps)[:-1][owner], steps[owner])
    passing = segment_of(offsets_of(steps[owner]))
    when = np.select([step[inner] == turn[passing], step[inner] > turn[passing]], [NOW, BEFORE], LATER)
    # those who pass it later go on like those who never do, until then
    keep = when != LATER if layout.instead == "another" else np.ones(when.size, np.bool_)
    return inner[keep], touchpoint[passing][keep] + 1, when[keep], passing[keep]


def _first_passings(block: Block, runs: Runs) -> tuple[Ints, Ints, Ints, Ints]:
    """Run, touchpoint, position of the first passing before the outcome, and passings; by run and touchpoint."""
    at = ranges(block.journey_offsets[runs.journey], runs.length)
    owner = segment_of(offsets_of(runs.length))
    width = max(len(block.vocabulary.touchpoints), 1)
    pair, place = compress(owner * width + block.touchpoint[at])
    position = np.zeros(pair.size, np.int64)
    position[place[::-1]] = (at - block.journey_offsets[runs.journey[owner]])[::-1]
    return pair // width, pair % width, position, np.bincount(place, minlength=pair.size)


def _attributes(block: Block, runs: Runs, layout: Layout) -> Ints:
    code = np.zeros(runs.journey.size, np.int64)
    for name, size in zip(layout.attributes, layout.sizes, strict=True):
        code = code * size + block.journey_columns[name][runs.journey].astype(np.int64)
    return code


def _cells(
    block: Block, runs: Runs, layout: Layout, row: Ints, step: Ints, attributes: Ints, first: Sequence[Ints],
) -> Ints:  # fmt: skip
    """Covariate cell of each run at each step: what was so before the step began, and no more."""
    begun = layout.edges[step]
    start = block.journey_offsets[runs.journey[row]]
    some = begun > 0
    entry, passed = np.zeros(row.size, np.int64), np.zeros(row.size, np.int64)
    entry[some] = _entry(block, start[some]) + 1
    last = start[some] + begun[some] - 1
    passed[some] = np.searchsorted(_TIMES, block.time[last] - block.time[start[some]], "right")
    cell = (attributes[row] * (layout.entries + 1) + entry) * (len(_TIMES) + 1) + passed
    for code in (block.vocabulary.touchpoint_codes.get(name, -1) for name in layout.seen):
        at = np.full(runs.journey.size, np.iinfo(np.int64).max)
        mine = first[1] == code
        at[first[0][mine]] = first[2][mine]
        cell = cell * 2 + (at[row] < begun)
    return cell


def _entry(block: Block, at: Ints) -> Ints:
    codes = block.touchpoint[at].astype(np.int64)
    channel = block.vocabulary.touchpoint_columns.get("channel")
    return codes if channel is None else channel[0][codes].astype(np.int64)
