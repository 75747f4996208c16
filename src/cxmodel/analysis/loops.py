"""Loops: touchpoints passed again, at once or after leaving."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.model.estimates import Estimate, Origin, no_value
from cxmodel.model.listed import Listed
from cxmodel.stats.arrays import compress, integers
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, SumMetric, SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums


@frozen(kw_only=True)
class LoopRow:
    """What repeats at a touchpoint, or over whole journeys.

    Attributes:
        touchpoint: Its name; None for whole journeys.
        journeys: Journeys that pass it.
        events: Events there.
        self_loops: Events directly after one at the same touchpoint.
        returns: Events at a touchpoint of which the journey has left before.
        self_looping: Share of the journeys with a self-loop.
        returning: Share with a return.
        reworked: Share with either.
    """

    touchpoint: str | None
    journeys: int
    events: int
    self_loops: int
    returns: int
    self_looping: Estimate
    returning: Estimate
    reworked: Estimate

    @property
    def extra(self) -> int:
        """Events beyond the first of each journey at each touchpoint."""
        return self.self_loops + self.returns

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.touchpoint, "journeys": self.journeys, "events": self.events, "extra": self.extra,
            "self_loops": self.self_loops, "returns": self.returns, "self_looping": self.self_looping.to_dict(),
            "returning": self.returning.to_dict(), "reworked": self.reworked.to_dict(),
        }  # fmt: skip


@frozen(kw_only=True)
class LoopTable:
    """What repeats.

    Attributes:
        whole: Over whole journeys.
        touchpoints: At each touchpoint that is passed, most extra events first; their extra events sum to the whole's.
        repeating: How many touchpoints have extra events.
        origin: Which population it is.
    """

    whole: LoopRow
    touchpoints: Listed[LoopRow] = field(repr=False)
    repeating: int = 0
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        rows = [row.to_dict() for row in self.touchpoints]
        return {"whole": self.whole.to_dict(), "touchpoints": rows, "repeating": self.repeating}

    def __str__(self) -> str:
        whole = self.whole
        lines = [
            f"{whole.extra:,} of {whole.events:,} events repeat a touchpoint; journeys that do: {whole.reworked:.1%}"
        ]
        lines += [
            f"  {row.touchpoint}: {row.self_loops:,} self-loops, {row.returns:,} returns; journeys {row.reworked:.1%}"
            for row in self.touchpoints[: min(self.repeating, 10)]
        ]
        return "\n".join([*lines, *([f"  {self.repeating - 10:,} other touchpoints"] if self.repeating > 10 else [])])


Part = Literal["self_looping", "returning", "reworked"]


@frozen
class _Share(SumMetric):
    """Share of the journeys with one kind of repeat."""

    name: ClassVar[str] = "loop_share"
    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    part: Part

    def observe(self, block: Block) -> Observations:
        """As the table does."""
        return Loops().observe(block)

    def value(self, sums: Columns) -> Floats:
        """Journeys with the repeat over journeys."""
        return sums[self.part] / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed:
        """Wilson's interval."""
        low, high = wilson(sums[self.part] / sums["n"] * n_eff, n_eff, level)
        return Closed(low, high, "wilson, design effect")


@frozen(kw_only=True)
class Loops(SumTally[LoopTable]):
    """How much of the journeys repeats: self-loops, returns after leaving, and both together (rework).

    Extra events are those beyond the first of a journey at a touchpoint: self-loops + returns = events − different
    touchpoints. At a touchpoint the shares are of the journeys that pass it.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": who, "what": what, "at": f"2026-01-01T00:0{i}"}
        ...        for who, path in (("a", "ad ad cart ad"), ("b", "ad cart"))
        ...        for i, what in enumerate(path.split())]
        >>> whole = read_events(log, customer="who", touchpoint="what", time="at").measure(Loops()).whole
        >>> whole.self_loops, whole.returns, whole.extra, whole.reworked.value
        (1, 1, 2, 0.5)
    """

    name: ClassVar[str] = "loops"
    unit: ClassVar[str] = "events"
    observes: ClassVar[Unit] = "journey"

    def observe(self, block: Block) -> Observations:
        """One observation per journey and touchpoint, and one per journey under the key behind the last."""
        width = len(block.vocabulary.touchpoints)
        visit, place = compress(block.journey * width + block.touchpoint)
        new = np.zeros(block.events, np.bool_)
        first = np.empty(visit.size, np.int64)
        first[place[::-1]] = np.arange(block.events)[::-1]
        new[first] = True
        same = np.zeros(block.events, np.bool_)
        same[1:] = block.touchpoint[1:] == block.touchpoint[:-1]
        same[block.first] = False
        filled = np.flatnonzero(block.lengths > 0)
        numbers: dict[str, Floats] = {}
        for name, events in (("events", np.ones_like(new)), ("self_loops", same), ("returns", ~new & ~same)):
            parts = np.bincount(place[events], minlength=visit.size)
            wholes = np.bincount(block.journey[events], minlength=block.journeys)[filled]
            numbers[name] = np.concatenate([parts, wholes]).astype(np.float64)
        key = np.concatenate([visit % width, np.full(filled.size, width)])
        return observe(
            "journey", np.concatenate([visit // width, filled]), key, **numbers,
            self_looping=numbers["self_loops"] > 0, returning=numbers["returns"] > 0,
            reworked=numbers["self_loops"] + numbers["returns"] > 0,
        )  # fmt: skip

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> LoopTable:
        """The whole, and the touchpoints."""
        names = cells.vocabulary.touchpoints
        if not sums.rows:
            none = no_value("no journeys")
            return LoopTable(
                whole=LoopRow(touchpoint=None, journeys=0, events=0, self_loops=0, returns=0, self_looping=none,
                              returning=none, reworked=none),
                touchpoints=Listed.of((), ()), origin=cells.origin,
            )  # fmt: skip
        by_key = evolve(sums, group=sums.key)
        parts: tuple[Part, ...] = ("self_looping", "returning", "reworked")
        made = [_Share(part).made(by_key.renamed({"n": "n", part: part}), cells, level) for part in parts]

        def row(at: int) -> LoopRow:
            key = int(sums.key[at])
            return LoopRow(
                touchpoint=names[key] if key < len(names) else None, journeys=int(sums.count[at]),
                events=round(float(sums["events"][at])), self_loops=round(float(sums["self_loops"][at])),
                returns=round(float(sums["returns"][at])), self_looping=made[0](at), returning=made[1](at),
                reworked=made[2](at),
            )  # fmt: skip

        # the whole stands behind the last touchpoint
        extra = (sums["self_loops"] + sums["returns"])[:-1]
        order = np.argsort(-extra, kind="stable")
        return LoopTable(
            whole=row(sums.rows - 1), origin=cells.origin, repeating=int(np.count_nonzero(extra)),
            touchpoints=Listed([names[key] for key in integers(sums.key[order])], lambda at: row(int(order[at]))),
        )  # fmt: skip
