"""Ends: where journeys begin and where they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.shares import KeyedCounts, Shares, count_keys, merge_counts, no_counts, shares_by_group
from cxmodel.data.blocks import Block, Unit
from cxmodel.model.estimates import Estimate, Origin
from cxmodel.stats.arrays import integers
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally


@frozen(kw_only=True)
class End:
    """A touchpoint at which journeys begin or end.

    Attributes:
        touchpoint: Its name.
        count: Journeys.
        share: Their share of all journeys.
    """

    touchpoint: str
    count: int
    share: Estimate

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"touchpoint": self.touchpoint, "count": self.count, "share": self.share.to_dict()}


@frozen(kw_only=True)
class EndTable:
    """Where journeys begin and end, most frequent first; the counts of each sum to ``journeys``.

    Attributes:
        journeys: Journeys with an event.
        entries: Where they begin.
        exits: Where they end.
        origin: Which population it is.
    """

    journeys: int
    entries: tuple[End, ...]
    exits: tuple[End, ...]
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "journeys": self.journeys,
            "entries": [end.to_dict() for end in self.entries],
            "exits": [end.to_dict() for end in self.exits],
        }

    def __str__(self) -> str:
        lines = [f"{self.journeys:,} journeys"]
        for title, ends in (("begin at", self.entries), ("end at", self.exits)):
            lines += [f"  {title} {end.touchpoint}: {end.count:,}, {end.share:.1%}" for end in ends[:10]]
            lines += [f"  {title} {len(ends) - 10:,} other touchpoints"] if len(ends) > 10 else []
        return "\n".join(lines)


@frozen(kw_only=True)
class Ends(Tally[KeyedCounts, EndTable]):
    """At which touchpoints journeys begin and end, with shares of all journeys.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": who, "what": what, "at": f"2026-01-01T00:0{i}"}
        ...        for who, path in (("a", "ad cart pay"), ("b", "ad cart"))
        ...        for i, what in enumerate(path.split())]
        >>> ends = read_events(log, customer="who", touchpoint="what", time="at").measure(Ends())
        >>> [(end.touchpoint, end.count) for end in ends.exits]
        [('cart', 1), ('pay', 1)]
    """

    name: ClassVar[str] = "ends"
    unit: ClassVar[str] = "share"
    observes: ClassVar[Unit] = "journey"

    def start(self) -> KeyedCounts:
        """Nothing."""
        return no_counts()

    def add(self, state: KeyedCounts, block: Block, cells: Cells[Any]) -> KeyedCounts:
        """First touchpoints under even keys, last ones under odd keys."""
        filled = np.flatnonzero(block.lengths > 0)
        codes = [block.touchpoint[rows].astype(np.int64) * 2 for rows in (block.first, block.last)]
        key = np.concatenate([codes[0], codes[1] + 1])
        counted = count_keys(block, np.concatenate([filled, filled]), key, np.ones(key.size, np.int64), cells)
        return merge_counts(state, counted)

    def merge(self, a: KeyedCounts, b: KeyedCounts) -> KeyedCounts:
        """Add the counts."""
        return merge_counts(a, b)

    def finish(self, state: KeyedCounts, cells: Cells[Any], level: float) -> Mapping[int, EndTable]:
        """Shares of both."""
        return {
            group: EndTable(
                journeys=shares.journeys, entries=_ends(shares, 0, cells), exits=_ends(shares, 1, cells),
                origin=cells.origin,
            )
            for group, shares in shares_by_group(state, cells, level).items()
        }  # fmt: skip


def _ends(shares: Shares, side: int, cells: Cells[Any]) -> tuple[End, ...]:
    names = cells.vocabulary.touchpoints
    return tuple(
        End(touchpoint=names[key // 2], count=int(shares.count[row]), share=shares.estimate(row))
        for row, key in enumerate(integers(shares.key))
        if key % 2 == side
    )
