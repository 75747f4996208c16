"""Bottlenecks: the transitions at which customers wait, ranked by all the time that is waited there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from attrs import asdict, field, frozen

from cxmodel.analysis.waits import GAP_KINDS, GapKind, gaps
from cxmodel.data.blocks import Block, Unit
from cxmodel.model import validators
from cxmodel.model.calendars import BusinessHours
from cxmodel.model.estimates import Origin
from cxmodel.model.frames import Tabular
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools, Ints, compress, grouped_sum, offsets_of
from cxmodel.stats.floats import Floats, ratio
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally
from cxmodel.tallies.quantiles import quantiles


@frozen(kw_only=True)
class Bottleneck:
    """One transition.

    Attributes:
        source: Touchpoint before the wait.
        target: Touchpoint after it.
        n: How often.
        total_s: All waiting there, seconds.
        share: Share of all waiting, 0 to 1.
        mean_s: Mean wait, seconds.
        median_s: Exact median wait, seconds.
        p90_s: Wait that 90 % do not exceed, seconds.
        overlaps: How often the target began before the source had ended; those waits count as 0.
        bridged: How often events that were filtered out lay between.
    """

    source: str
    target: str
    n: int
    total_s: float
    share: float | None
    mean_s: float
    median_s: float
    p90_s: float
    overlaps: int
    bridged: int

    def to_dict(self) -> dict[str, object]:
        """As in JSON; ``value`` is the total wait."""
        rest = asdict(self)
        group = {"transition": [rest.pop("source"), rest.pop("target")]}
        return {"group": group, "quantity": "wait_total", "value": rest.pop("total_s"), "unit": "s", **rest}


@frozen(kw_only=True)
class BottleneckTable(Tabular):
    """Transitions by total wait, longest first.

    Attributes:
        rows: The longest.
        others: Transitions with waits that are not shown.
        others_total_s: All waiting at those, seconds.
        total_s: Seconds between events by kind: wait, pause, unknown.
        count: Gaps by kind.
        business_hours: Whether only opening hours count.
    """

    rows: tuple[Bottleneck, ...]
    others: int
    others_total_s: float
    total_s: Mapping[GapKind, float]
    count: Mapping[GapKind, int]
    business_hours: bool
    origin: Origin | None = field(default=None, repr=False, eq=False)

    @property
    def unknown_share(self) -> float | None:
        """Share of all time between events of which nobody knows whose turn it was; None where no time passed."""
        total = sum(self.total_s.values())
        return self.total_s["unknown"] / total if total else None

    def to_records(self) -> list[dict[str, object]]:
        """One record per transition that is shown, and one with transition None for all others."""
        rows = [row.to_dict() for row in self.rows]
        rest: dict[str, object] = {
            "group": {"transition": None}, "quantity": "wait_total", "value": self.others_total_s, "unit": "s",
            "transitions": self.others,
        }  # fmt: skip
        return [*rows, rest] if self.others else rows

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "total_s": dict(self.total_s), "count": dict(self.count), "unknown_share": self.unknown_share,
            "business_hours": self.business_hours, "transitions": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        share = self.unknown_share
        head = f"{self.total_s['wait']:,.0f} s waited" + (f", {share:.1%} of gaps' time unknown" if share else "")
        lines = [
            f"  {row.source} → {row.target}: {row.total_s:,.0f} s, median {row.median_s:,.0f} s (n={row.n:,})"
            for row in self.rows
        ]
        rest = [f"  {self.others:,} more: {self.others_total_s:,.0f} s"] if self.others else []
        return "\n".join([head, *lines, *rest])


@frozen(eq=False)
class BottleneckState:
    """Waits by transition, one part per block; sums by kind.

    Attributes:
        parts: Transition (source × touchpoints + target), wait in µs, overlap, and bridged of each wait.
        total: (3,) µs by kind.
        count: (3,) gaps by kind.
    """

    parts: tuple[tuple[Ints, Ints, Bools, Bools], ...]
    total: Ints
    count: Ints


@frozen(kw_only=True)
class Bottlenecks(Tally[BottleneckState, BottleneckTable]):
    """Where customers wait: transitions ranked by total wait, with median, 90 % quantile and share of all waiting.

    Only waits are ranked: gaps after which the organisation acts (initiator of the next touchpoint). Waits are of
    completed steps; what is still waited for has no target yet (see `TimeTo`).

    Attributes:
        calendar: Count only time within these opening hours.
        unknown_as: What a gap counts as where nobody knows whose turn it was; ``"wait"`` ranks those too.
        top: How many transitions to show; the rest is counted.
    """

    name: ClassVar[str] = "bottlenecks"
    unit: ClassVar[str] = "s"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    observes: ClassVar[Unit] = "transition"
    groups: ClassVar[bool] = False

    calendar: BusinessHours | None = None
    unknown_as: GapKind = field(default="unknown", validator=validators.in_(GAP_KINDS))
    top: int = field(default=100, validator=validators.ge(1))

    def missing(self, facts: Facts) -> str | None:
        """Nobody says whose turn it is."""
        return initiator_missing(facts, self.unknown_as)

    def start(self) -> BottleneckState:
        """Nothing."""
        none, never = np.zeros(0, np.int64), np.zeros(0, np.bool_)
        return BottleneckState(((none, none, never, never),), np.zeros(3, np.int64), np.zeros(3, np.int64))

    def add(self, state: BottleneckState, block: Block, cells: Cells[Any]) -> BottleneckState:
        """The waits of one block."""
        found = gaps(block, self.calendar, self.unknown_as)
        width = len(block.vocabulary.touchpoints)
        rows = np.flatnonzero(found.kind == GAP_KINDS.index("wait"))
        step = found.step[rows]
        edge = block.touchpoint[step].astype(np.int64) * width + block.touchpoint[step + 1]
        bridged = np.zeros(rows.size, np.bool_) if block.removed is None else block.removed[step + 1] > 0
        total = [int(found.length[found.kind == kind].sum()) for kind in range(3)]
        mine = BottleneckState(
            ((edge, found.length[rows], found.overlaps[rows], bridged),), np.array(total, np.int64),
            np.bincount(found.kind, minlength=3),
        )  # fmt: skip
        return self.merge(state, mine)

    def merge(self, a: BottleneckState, b: BottleneckState) -> BottleneckState:
        """Both side by side."""
        return BottleneckState(a.parts + b.parts, a.total + b.total, a.count + b.count)

    def finish(self, state: BottleneckState, cells: Cells[Any], level: float) -> Mapping[int, BottleneckTable]:
        """Rank the transitions by total wait."""
        edge = np.concatenate([part[0] for part in state.parts])
        wait = np.concatenate([part[1] for part in state.parts])
        order = np.lexsort((wait, edge))
        overlaps = np.concatenate([part[2] for part in state.parts])[order]
        bridged = np.concatenate([part[3] for part in state.parts])[order]
        wait = wait[order]
        codes, place = compress(edge[order])
        total = grouped_sum(place, wait / 1e6, codes.size)
        ranked = np.lexsort((codes, -total))
        table = BottleneckTable(
            rows=_rows(
                cells.vocabulary.touchpoints, codes, ranked[: self.top], total, wait / 1e6,
                offsets_of(np.bincount(place, minlength=codes.size)),
                (_counts(place, overlaps, codes.size), _counts(place, bridged, codes.size)),
            ),
            others=max(codes.size - self.top, 0), others_total_s=float(total[ranked[self.top :]].sum()),
            total_s={kind: float(state.total[i]) / 1e6 for i, kind in enumerate(GAP_KINDS)},
            count={kind: int(state.count[i]) for i, kind in enumerate(GAP_KINDS)},
            business_hours=self.calendar is not None, origin=cells.origin,
        )  # fmt: skip
        return {0: table}


def initiator_missing(facts: Facts, unknown_as: GapKind) -> str | None:
    """Why waits cannot be told from pauses, or None when they can."""
    if unknown_as == "wait" or "initiator" in {*facts.touchpoint_columns, *facts.event_columns}:
        return None
    return (
        "no touchpoint says who begins it, so waits cannot be told from pauses: add initiators with "
        "journeys.with_touchpoints(…), or count every gap as a wait with unknown_as='wait'"
    )


def _counts(place: Ints, marks: Bools, size: int) -> Ints:
    return np.bincount(place[marks], minlength=size)


def _rows(
    names: Any, codes: Ints, ranked: Ints, total: Floats, wait: Floats, offsets: Ints, counts: tuple[Ints, Ints]
) -> tuple[Bottleneck, ...]:
    width, n = max(len(names), 1), np.diff(offsets)
    median, p90 = quantiles(wait, offsets, 0.5), quantiles(wait, offsets, 0.9)
    share = ratio(total, total.sum())
    return tuple(
        Bottleneck(
            source=names[codes[row] // width], target=names[codes[row] % width], n=int(n[row]),
            total_s=float(total[row]), share=float(share[row]) if np.isfinite(share[row]) else None,
            mean_s=float(total[row] / n[row]), median_s=float(median[row]), p90_s=float(p90[row]),
            overlaps=int(counts[0][row]), bridged=int(counts[1][row]),
        )
        for row in ranked.tolist()
    )  # fmt: skip
