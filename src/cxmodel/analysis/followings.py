"""Eventually follows: which touchpoint comes later than which, whatever lies between."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.shares import KeyedCounts, Shares, count_keys, merge_counts, no_counts, shares_by_group
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.selecting import keep_journeys
from cxmodel.errors import NotMeasurableError, UnknownNameError, unknown
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Origin
from cxmodel.model.frames import Tabular
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, compress, distinct_codes, ranges
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally

PAIRS_AT_ONCE: Final = 2_000_000
MOST_PAIRS: Final = 25_000_000


@frozen(kw_only=True, eq=False)
class FollowTable(Tabular):
    """Pairs of touchpoints that journeys pass in this order, most frequent first; pairs that never occur are left out.

    Attributes:
        journeys: Journeys with an event.
        shares: Counts and shares of the pairs.
        touchpoints: Names of the codes.
    """

    journeys: int
    shares: Shares = field(repr=False)
    touchpoints: Mapping[str, int] = field(repr=False)

    def __len__(self) -> int:
        return int(self.shares.key.size)

    @property
    def origin(self) -> Origin:
        """Which population it is."""
        return self.shares.cells.origin

    def share(self, source: str, target: str) -> Estimate:
        """Share of the journeys in which the target comes later than the source.

        Raises:
            UnknownNameError: No such touchpoint.
        """
        return self.shares.estimate_of(self._key(source, target))

    def count(self, source: str, target: str) -> int:
        """Journeys in which the target comes later than the source."""
        row = self.shares.row_of(self._key(source, target))
        return 0 if row is None else int(self.shares.count[row])

    def _key(self, source: str, target: str) -> int:
        for name in (source, target):
            if name not in self.touchpoints:
                raise UnknownNameError(unknown("touchpoint", name, list(self.touchpoints)))
        return self.touchpoints[source] * len(self.touchpoints) + self.touchpoints[target]

    def to_records(self, n: int | None = None) -> list[dict[str, object]]:
        """One record per pair, the n most frequent or all."""
        names, width = list(self.touchpoints), len(self.touchpoints)
        return [
            {
                "source": names[key // width], "target": names[key % width], "count": int(self.shares.count[row]),
                **self.shares.estimate(row).to_dict(),
            }
            for row, key in enumerate(self.shares.key[:n].tolist())
        ]  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"journeys": self.journeys, "pairs": self.to_records()}

    def __str__(self) -> str:
        shown = self.to_records(10)
        lines = [f"{self.journeys:,} journeys, {len(self):,} pairs in order"]
        lines += [
            f"  {each['source']} => {each['target']}: {each['count']:,}, {self.shares.estimate(row):.1%}"
            for row, each in enumerate(shown)
        ]
        return "\n".join([*lines, *([f"  {len(self) - 10:,} other pairs"] if len(self) > 10 else [])])


@frozen(kw_only=True)
class EventuallyFollows(Tally[KeyedCounts, FollowTable]):
    """In how many journeys each touchpoint comes later than each other, whatever lies between.

    A touchpoint follows itself where it comes again.
    Without ``source`` or ``target`` the work grows with the square of the *different* touchpoints of a journey.

    Attributes:
        source: Only pairs that begin there.
        target: Only pairs that end there.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": who, "what": what, "at": f"2026-01-01T00:0{i}"}
        ...        for who, path in (("a", "ad cart pay"), ("b", "cart ad ad"))
        ...        for i, what in enumerate(path.split())]
        >>> follows = read_events(log, customer="who", touchpoint="what", time="at").measure(EventuallyFollows())
        >>> follows.count("cart", "pay"), follows.count("pay", "cart"), follows.count("ad", "ad")
        (1, 0, 1)
    """

    name: ClassVar[str] = "eventually_follows"
    unit: ClassVar[str] = "share"
    observes: ClassVar[Unit] = "journey"

    source: str | None = field(default=None, validator=validators.optional(validators.touchpoint))
    target: str | None = field(default=None, validator=validators.optional(validators.touchpoint))

    def missing(self, facts: Facts) -> str | None:
        """A touchpoint that never occurs."""
        lost = [name for name in (self.source, self.target) if name is not None and name not in facts.known_touchpoints]
        return unknown("touchpoint", lost[0], facts.known_touchpoints) if lost else None

    def start(self) -> KeyedCounts:
        """Nothing."""
        return no_counts()

    def add(self, state: KeyedCounts, block: Block, cells: Cells[Any]) -> KeyedCounts:
        """Pairs of one block, some customers after others, so that memory does not follow the number of pairs."""
        for piece in self._pieces(block):
            journey, key = self._pairs(piece)
            state = merge_counts(state, count_keys(piece, journey, key, np.ones(key.size, np.int64), cells))
        return state

    def merge(self, a: KeyedCounts, b: KeyedCounts) -> KeyedCounts:
        """Add the counts."""
        return merge_counts(a, b)

    def finish(self, state: KeyedCounts, cells: Cells[Any], level: float) -> Mapping[int, FollowTable]:
        """Shares of the pairs."""
        names = cells.vocabulary.touchpoint_codes
        return {
            group: FollowTable(journeys=shares.journeys, shares=shares, touchpoints=names)
            for group, shares in shares_by_group(state, cells, level).items()
        }

    def _pieces(self, block: Block) -> list[Block]:
        """Customers with about as many pairs as are held at once."""
        width = len(block.vocabulary.touchpoints)
        visit = distinct_codes(block.journey * width + block.touchpoint)
        different = np.bincount(visit // width, minlength=block.journeys)
        pairs = different**2 if self.source is None and self.target is None else different
        if pairs.max(initial=0) > MOST_PAIRS:
            raise NotMeasurableError(
                f"{self.name}: a journey passes {int(different.max()):,} different touchpoints, too many for all pairs",
                hint="Ask for one side: EventuallyFollows(source=…) or EventuallyFollows(target=…)",
            )
        of_customers = np.bincount(block.customer_of_journey, pairs, block.customers)
        piece = (np.cumsum(of_customers) // PAIRS_AT_ONCE)[block.customer_of_journey]
        return [keep_journeys(block, piece == each) for each in np.unique(piece)]

    def _pairs(self, block: Block) -> tuple[Ints, Ints]:
        """Journey and pair: its first time at the source lies before its last at the target."""
        width = len(block.vocabulary.touchpoints)
        visit, place = compress(block.journey * width + block.touchpoint)
        first, last = np.empty(visit.size, np.int64), np.empty(visit.size, np.int64)
        last[place] = np.arange(block.events)
        first[place[::-1]] = np.arange(block.events)[::-1]
        journey, code = visit // width, visit % width
        sources, targets = (_chosen(block, name, code) for name in (self.source, self.target))
        count = np.bincount(journey[targets], minlength=block.journeys)
        start = np.cumsum(count) - count
        lengths = count[journey[sources]]
        left, right = np.repeat(sources, lengths), targets[ranges(start[journey[sources]], lengths)]
        later = first[left] < last[right]
        left, right = left[later], right[later]
        return journey[left], code[left] * width + code[right]


def _chosen(block: Block, name: str | None, code: Ints) -> Ints:
    return np.arange(code.size) if name is None else np.flatnonzero(np.isin(code, block.codes_of([name])))
