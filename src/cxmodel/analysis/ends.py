"""Ends: where journeys begin and where they end."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.analysis.shares import KeyedCounts, Shares, count_keys, merge_counts, no_counts, shares_by_group
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.selecting import keep_journeys
from cxmodel.model.estimates import Estimate, Flag, Origin
from cxmodel.stats.arrays import Ints, integers
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally


@frozen(kw_only=True)
class End:
    """A touchpoint at which journeys begin or end.

    Attributes:
        touchpoint: Its name.
        count: Journeys.
        share: Their share of all journeys; of the ended ones for exits.
    """

    touchpoint: str
    count: int
    share: Estimate

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"touchpoint": self.touchpoint, "count": self.count, "share": self.share.to_dict()}


@frozen(kw_only=True)
class EndTable:
    """Where journeys begin and end, most frequent first.

    Attributes:
        journeys: Journeys with an event; the counts of the entries sum to them.
        entries: Where they begin.
        exits: Where they end; the counts and ``still_open`` sum to ``journeys``.
        still_open: Journeys in progress when the data end: they have no exit yet.
        origin: Which population it is.
    """

    journeys: int
    entries: tuple[End, ...]
    exits: tuple[End, ...]
    still_open: int = 0
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "journeys": self.journeys,
            "entries": [end.to_dict() for end in self.entries],
            "exits": [end.to_dict() for end in self.exits],
            "still_open": self.still_open,
        }

    def __str__(self) -> str:
        lines = [f"{self.journeys:,} journeys"]
        for title, ends in (("begin at", self.entries), ("end at", self.exits)):
            lines += [f"  {title} {end.touchpoint}: {end.count:,}, {end.share:.1%}" for end in ends[:10]]
            lines += [f"  {title} {len(ends) - 10:,} other touchpoints"] if len(ends) > 10 else []
        return "\n".join([*lines, *([f"  still open: {self.still_open:,}"] if self.still_open else [])])


@frozen(kw_only=True)
class Ends(Tally[tuple[KeyedCounts, KeyedCounts], EndTable]):
    """At which touchpoints journeys begin and end, with shares of all journeys and of the ended ones.

    Journeys in progress have no exit yet; where no inactivity rule was declared none counts as in progress, and the
    shares of exits are flagged ``open_unknown``.

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

    def start(self) -> tuple[KeyedCounts, KeyedCounts]:
        """Nothing."""
        return no_counts(), no_counts()

    def add(
        self, state: tuple[KeyedCounts, KeyedCounts], block: Block, cells: Cells[Any]
    ) -> tuple[KeyedCounts, KeyedCounts]:
        """First touchpoints of all journeys, last ones of those that have ended."""
        ended = block if block.still_open is None else keep_journeys(block, ~block.still_open)
        return self.merge(state, (_counted(block, block.first, cells), _counted(ended, ended.last, cells)))

    def merge(
        self, a: tuple[KeyedCounts, KeyedCounts], b: tuple[KeyedCounts, KeyedCounts]
    ) -> tuple[KeyedCounts, KeyedCounts]:
        """Add the counts."""
        return merge_counts(a[0], b[0]), merge_counts(a[1], b[1])

    def finish(self, state: tuple[KeyedCounts, KeyedCounts], cells: Cells[Any], level: float) -> Mapping[int, EndTable]:
        """Shares of both."""
        begun, ended = (shares_by_group(counts, cells, level) for counts in state)
        unknown: tuple[Flag, ...] = () if cells.facts.inactivity_declared else ("open_unknown",)
        return {
            group: EndTable(
                journeys=shares.journeys, entries=_ends(shares, cells),
                exits=_ends(ended[group], cells, *unknown) if group in ended else (),
                still_open=shares.journeys - (ended[group].journeys if group in ended else 0),
                origin=cells.origin,
            )
            for group, shares in begun.items()
        }  # fmt: skip


def _counted(block: Block, rows: Ints, cells: Cells[Any]) -> KeyedCounts:
    """The touchpoints of these events, one per journey with an event."""
    filled = np.flatnonzero(block.lengths > 0)
    return count_keys(block, filled, block.touchpoint[rows].astype(np.int64), np.ones(filled.size, np.int64), cells)


def _ends(shares: Shares, cells: Cells[Any], *flags: Flag) -> tuple[End, ...]:
    names = cells.vocabulary.touchpoints
    estimates = (shares.estimate(row) for row in range(shares.key.size))
    return tuple(
        End(touchpoint=names[key], count=count, share=evolve(share, flags=(*share.flags, *flags)))
        for key, count, share in zip(integers(shares.key), integers(shares.count), estimates, strict=True)
    )
