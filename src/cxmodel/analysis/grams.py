"""Grams: which runs of a few touchpoints, directly one after another, are most frequent."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError
from cxmodel.model import validators
from cxmodel.model.estimates import Origin
from cxmodel.stats.arrays import Ints, compress, distinct_codes, integers
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally

MOST: Final = 8


@frozen
class Gram:
    """A run of touchpoints.

    Attributes:
        touchpoints: In order.
        count: How often it occurs.
        share: Its share of all runs of this length, 0 to 1.
        journeys: Journeys in which it occurs.
    """

    touchpoints: tuple[str, ...]
    count: int
    share: float
    journeys: int

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoints": list(self.touchpoints), "count": self.count, "share": self.share, "journeys": self.journeys,
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{' → '.join(self.touchpoints)} ({self.count:,}, {self.share:.1%}, {self.journeys:,} journeys)"


@frozen(kw_only=True)
class TopGrams:
    """The most frequent runs and everything else as an explicit remainder; the counts sum to ``total``.

    Attributes:
        order: Touchpoints in a run.
        total: Runs of this length in all journeys.
        distinct: Different ones.
        shown: The most frequent ones.
        other: How often the others occur.
        origin: Which population it is.
    """

    order: int
    total: int
    distinct: int
    shown: tuple[Gram, ...]
    other: int
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def __iter__(self) -> Iterator[Gram]:
        return iter(self.shown)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        rest = {"grams": self.distinct - len(self.shown), "count": self.other}
        return {
            "order": self.order, "total": self.total, "distinct": self.distinct,
            "grams": [gram.to_dict() for gram in self.shown], "other": rest,
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [f"{self.total:,} runs of {self.order} touchpoints, {self.distinct:,} different"]
        lines += [f"  {gram}" for gram in self.shown]
        if self.distinct > len(self.shown):
            lines.append(
                f"  {self.distinct - len(self.shown):,} others ({self.other:,}, {self.other / self.total:.1%})"
            )
        return "\n".join(lines)


@frozen(kw_only=True, eq=False)
class GramTable:
    """All different runs of one length, most frequent first.

    Attributes:
        order: Touchpoints in a run.
        count: (g,) how often each occurs.
        journeys: (g,) journeys in which it occurs.
        codes: (g, order) touchpoint codes.
        touchpoints: Names of the codes.
        origin: Which population it is.
    """

    order: int
    count: Ints = field(repr=False)
    journeys: Ints = field(repr=False)
    codes: NDArray[Any] = field(repr=False)
    touchpoints: Sequence[str] = field(repr=False)
    origin: Origin | None = field(default=None, repr=False)

    def __len__(self) -> int:
        return int(self.count.size)

    def top(self, n: int = 10) -> TopGrams:
        """The n most frequent ones and the remainder."""
        if n < 0:
            raise InvalidValueError(f"top takes a number of grams, got {n!r}")
        total = int(self.count.sum())
        shown = tuple(
            Gram(tuple(self.touchpoints[int(code)] for code in codes), count, count / total, journeys)
            for codes, count, journeys in zip(
                self.codes[:n].tolist(), integers(self.count[:n]), integers(self.journeys[:n]), strict=True
            )
        )
        return TopGrams(
            order=self.order, total=total, distinct=len(self), shown=shown, origin=self.origin,
            other=int(self.count[len(shown) :].sum()),
        )  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """All of them, as in JSON."""
        return self.top(len(self)).to_dict()

    def __str__(self) -> str:
        return str(self.top())


@frozen(eq=False)
class GramCounts:
    """Different runs of one block.

    Attributes:
        codes: (g, order) touchpoint codes.
        count: (g,) how often each occurs.
        journeys: (g,) journeys in which it occurs.
    """

    codes: NDArray[Any]
    count: Ints
    journeys: Ints


@frozen
class Grams(Tally[tuple[GramCounts, ...], GramTable]):
    """Runs of ``order`` touchpoints, directly one after another, and how often each occurs.

    Runs may overlap: a journey of n events has n − order + 1 of them.

    Attributes:
        order: Touchpoints in a run, 1 to 8.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": "a", "what": what, "at": f"2026-01-01T00:0{i}"}
        ...        for i, what in enumerate("ad cart ad cart".split())]
        >>> print(read_events(log, customer="who", touchpoint="what", time="at").measure(Grams(2)))
        3 runs of 2 touchpoints, 2 different
          ad → cart (2, 66.7%, 1 journeys)
          cart → ad (1, 33.3%, 1 journeys)
    """

    name: ClassVar[str] = "grams"
    unit: ClassVar[str] = "runs"
    observes: ClassVar[Unit] = "journey"
    groups: ClassVar[bool] = False

    order: int = field(default=2, validator=validators.whole(1, MOST))

    def start(self) -> tuple[GramCounts, ...]:
        """Nothing."""
        return ()

    def add(self, state: tuple[GramCounts, ...], block: Block, cells: Cells[Any]) -> tuple[GramCounts, ...]:
        """Different runs of one block."""
        rows = np.flatnonzero(block.journey_offsets[1:][block.journey] - np.arange(block.events) >= self.order)
        if not rows.size:
            return state
        codes, place = _distinct(block.touchpoint[rows[:, None] + np.arange(self.order)])
        size = codes.shape[0]
        pair = distinct_codes(block.journey[rows] * size + place)
        counted = GramCounts(codes, np.bincount(place, minlength=size), np.bincount(pair % size, minlength=size))
        return (*state, counted)

    def merge(self, a: tuple[GramCounts, ...], b: tuple[GramCounts, ...]) -> tuple[GramCounts, ...]:
        """Side by side; they are put together at the end."""
        return a + b

    def finish(self, state: tuple[GramCounts, ...], cells: Cells[Any], level: float) -> Mapping[int, GramTable]:
        """The union, most frequent first; ties in the order of their touchpoints' codes."""
        parts = state or (GramCounts(np.zeros((0, self.order), np.uint8), *[np.zeros(0, np.int64)] * 2),)
        codes, place = _distinct(np.concatenate([part.codes for part in parts]))
        count, journeys = (
            np.bincount(place, np.concatenate(numbers), codes.shape[0]).astype(np.int64)
            for numbers in ([part.count for part in parts], [part.journeys for part in parts])
        )
        order = np.argsort(-count, kind="stable")
        table = GramTable(
            order=self.order, count=count[order], journeys=journeys[order], codes=codes[order],
            touchpoints=cells.vocabulary.touchpoints, origin=cells.origin,
        )  # fmt: skip
        return {0: table}


def _distinct(codes: NDArray[Any]) -> tuple[NDArray[Any], Ints]:
    """Different rows of codes, in ascending order, and for each row its place among them: column by column."""
    place = np.zeros(codes.shape[0], np.int64)
    for column in codes.T:
        _, place = compress(place * (int(column.max(initial=0)) + 1) + column)
    first = np.empty(int(place.max(initial=-1)) + 1, np.int64)
    first[place[::-1]] = np.arange(place.size)[::-1]
    return codes[first], place
