"""Transitions: how often one touchpoint follows another, and how long that takes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.transition_waits import Waits, edges_of, waits_of
from cxmodel.data.blocks import Block, Unit, Vocabulary
from cxmodel.errors import DocumentError, InvalidValueError
from cxmodel.graph import JourneyGraph
from cxmodel.model.estimates import Origin
from cxmodel.model.frames import Tabular
from cxmodel.model.transitions import Transition
from cxmodel.model.validators import optional, whole
from cxmodel.stats.arrays import Ints, distinct_codes, few, grouped_sum, integers
from cxmodel.stats.floats import Floats
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.codec import allow, decode, encode
from cxmodel.tallies.metrics import Tally

MOST_EDGES = 200_000
KEPT: Final = "transitions/1"
"""Name of a kept table; another number where the columns or their meaning change."""


@frozen(eq=False)
class TransitionState:
    """Counts by touchpoint, and the waits of every transition.

    Attributes:
        nodes: (5, k) by touchpoint: events, starts, ends, journeys that pass, events with a value.
        values: (k,) summed values.
        parts: Waits, one part per block.
        journeys: Journeys with an event.
        customers: Customers.
    """

    nodes: Ints
    values: Floats
    parts: tuple[Waits, ...]
    journeys: int
    customers: int


@allow
@frozen(kw_only=True, eq=False)
class TransitionTable(Tabular):
    """All transitions as columns; touchpoints and transitions without an event are left out.

    Attributes:
        touchpoints: (k,) names.
        count: (k,) events at each touchpoint.
        starts: (k,) journeys that begin there.
        ends: (k,) journeys that end there.
        passing: (k,) journeys that pass there.
        value: (k,) summed value; NaN without values.
        source: (e,) row of the source among the touchpoints.
        target: (e,) row of the target.
        transitions: (e,) how often.
        bridged: (e,) how many of those skip filtered events.
        wait_mean_s: (e,) mean wait, seconds.
        wait_median_s: (e,) exact median wait, seconds.
        wait_total_s: (e,) total wait, seconds.
        journeys: Journeys with an event.
        customers: Customers.
        events: Events.
        currency: Currency of the values.
        facts: Name of a fact about touchpoints (stage, channel, …) → its text for each.
        stages: Stages in the order of the catalogue.
        origin: Which population it is.
    """

    touchpoints: tuple[str, ...] = field(repr=False)
    count: Ints = field(repr=False)
    starts: Ints = field(repr=False)
    ends: Ints = field(repr=False)
    passing: Ints = field(repr=False)
    value: Floats = field(repr=False)
    source: Ints = field(repr=False)
    target: Ints = field(repr=False)
    transitions: Ints = field(repr=False)
    bridged: Ints = field(repr=False)
    wait_mean_s: Floats = field(repr=False)
    wait_median_s: Floats = field(repr=False)
    wait_total_s: Floats = field(repr=False)
    journeys: int
    customers: int
    events: int
    currency: str | None
    facts: Mapping[str, tuple[str | None, ...]] = field(repr=False)
    stages: tuple[str, ...] = field(default=(), repr=False)
    origin: Origin = field(repr=False)

    def __len__(self) -> int:
        return int(self.source.size)

    @property
    def share(self) -> Floats:
        """(e,) share of the events at the source that the target follows, 0 to 1."""
        return np.asarray(self.transitions / self.count[self.source])

    def at(self, transition: Transition) -> int:
        """How often a transition happened."""
        try:
            a, b = (self.touchpoints.index(name) for name in transition)
        except ValueError:
            return 0
        found = np.flatnonzero((self.source == a) & (self.target == b))
        return int(self.transitions[found[0]]) if found.size else 0

    def median(self, row: int) -> timedelta:
        """Median wait of a transition."""
        return timedelta(seconds=float(self.wait_median_s[row]))

    def to_records(self, n: int | None = None) -> list[dict[str, object]]:
        """One record per transition, the n most frequent or all."""
        order = np.lexsort((self.target, self.source, -self.transitions))[:n]
        share = self.share
        return [
            {
                "source": self.touchpoints[self.source[row]], "target": self.touchpoints[self.target[row]],
                "count": int(self.transitions[row]), "share": float(share[row]),
                "wait_median_s": float(self.wait_median_s[row]), "wait_mean_s": float(self.wait_mean_s[row]),
                "wait_total_s": float(self.wait_total_s[row]), "bridged": int(self.bridged[row]),
            }
            for row in order.tolist()
        ]  # fmt: skip

    def graph(self, *, max_edges: int | None = None) -> JourneyGraph:
        """The journey graph.

        Args:
            max_edges: Keep only the most frequent transitions; the rest is counted in ``graph.graph["other"]``.

        Raises:
            InvalidValueError: With more than 200,000 transitions and no ``max_edges``, or with one below 0.
        """
        Graph(max_edges=max_edges)  # refuses what is no number of transitions
        if max_edges is None and len(self) > MOST_EDGES:
            raise InvalidValueError(
                f"{len(self):,} transitions make a graph of several gigabytes",
                hint="Keep the most frequent: journeys.graph(max_edges=1000); or use journeys.transitions(), a table",
            )
        return JourneyGraph.of_counts(self._nodes(), self._edges(max_edges), **self._totals(max_edges))

    def _nodes(self) -> list[tuple[str, dict[str, object]]]:
        nodes = []
        for row, name in enumerate(self.touchpoints):
            facts: dict[str, object] = {
                "count": int(self.count[row]), "starts": int(self.starts[row]), "ends": int(self.ends[row]),
                "journeys": int(self.passing[row]), "share": float(self.count[row] / max(self.events, 1)),
                "leave_share": float(self.ends[row] / self.count[row]),
            }  # fmt: skip
            if not np.isnan(self.value[row]):
                facts["value"] = float(self.value[row])
            facts |= {key: texts[row] for key, texts in self.facts.items() if texts[row] is not None}
            nodes.append((name, facts))
        return nodes

    def _edges(self, most: int | None) -> list[tuple[str, str, dict[str, object]]]:
        order = np.lexsort((self.target, self.source, -self.transitions))[:most]
        share = self.share
        return [
            (
                self.touchpoints[self.source[row]],
                self.touchpoints[self.target[row]],
                {
                    "count": int(self.transitions[row]), "share": float(share[row]),
                    "wait_mean_s": float(self.wait_mean_s[row]), "wait_median_s": float(self.wait_median_s[row]),
                    "wait_total_s": float(self.wait_total_s[row]),
                    **({"bridged": int(self.bridged[row])} if self.bridged[row] else {}),
                },
            )
            for row in order.tolist()
        ]  # fmt: skip

    def _totals(self, most: int | None) -> dict[str, Any]:
        kept = len(self) if most is None else min(most, len(self))
        counts = -np.sort(-self.transitions)
        totals: dict[str, Any] = {
            "journeys": self.journeys,
            "customers": self.customers,
            "events": self.events,
        }
        if self.currency:
            totals["currency"] = self.currency
        if self.stages:
            totals["stages"] = list(self.stages)
        if kept < len(self):
            totals["other"] = {"transitions": len(self) - kept, "count": int(counts[kept:].sum())}
        return totals


def kept_table(table: TransitionTable) -> Mapping[str, bytes]:
    """The table as a result to keep beside saved journeys; nothing where it is too large to be drawn."""
    return {KEPT: encode(table)} if len(table) <= MOST_EDGES else {}


def table_kept(results: Mapping[str, bytes], origin: Origin) -> TransitionTable | None:
    """The table among kept results, where there is one that can be read and is of this population."""
    try:
        table = decode(results[KEPT]) if KEPT in results else None
    except DocumentError:
        return None
    return table if isinstance(table, TransitionTable) and table.origin == origin else None


@frozen(kw_only=True)
class Transitions(Tally[TransitionState, TransitionTable]):
    """Transitions with exact median waits.

    A wait is the time from one event (from its end, where the source has one) to the next event of the same journey,
    in seconds; negative where the two overlap.
    """

    name: ClassVar[str] = "transitions"
    unit: ClassVar[str] = "transitions"
    observes: ClassVar[Unit] = "transition"
    groups: ClassVar[bool] = False

    def start(self) -> TransitionState:
        """Nothing."""
        return TransitionState(np.zeros((5, 0), np.int64), np.zeros(0), (), 0, 0)

    def add(self, state: TransitionState, block: Block, cells: Cells[Any]) -> TransitionState:
        """Count one block."""
        return self.merge(state, _count(block))

    def merge(self, a: TransitionState, b: TransitionState) -> TransitionState:
        """Add the counts, keep the parts side by side."""
        if not a.nodes.size:
            return b
        if not b.nodes.size:
            return a
        return TransitionState(
            a.nodes + b.nodes,
            a.values + b.values,
            a.parts + b.parts,
            a.journeys + b.journeys,
            a.customers + b.customers,
        )

    def finish(self, state: TransitionState, cells: Cells[Any], level: float) -> Mapping[int, TransitionTable]:
        """Put the parts together and take the medians."""
        vocabulary = cells.vocabulary
        width = max(len(vocabulary.touchpoints), 1)
        there = np.flatnonzero(state.nodes[0]) if state.nodes.size else np.zeros(0, np.int64)
        row = np.full(width, -1)
        row[there] = np.arange(there.size)
        edges = edges_of(state.parts)
        valued = state.nodes[4][there] > 0 if state.nodes.size else np.zeros(0, bool)
        nodes = state.nodes[:, there] if state.nodes.size else np.zeros((5, 0), np.int64)
        table = TransitionTable(
            touchpoints=tuple(vocabulary.touchpoints[code] for code in integers(there)),
            count=nodes[0], starts=nodes[1], ends=nodes[2], passing=nodes[3],
            value=np.where(valued, state.values[there], np.nan) if state.nodes.size else np.zeros(0),
            source=row[edges.edge // width], target=row[edges.edge % width],
            transitions=edges.count, bridged=edges.bridged,
            wait_mean_s=edges.total / np.maximum(edges.count, 1) / 1e6, wait_median_s=edges.median / 1e6,
            wait_total_s=edges.total / 1e6, journeys=state.journeys, customers=state.customers,
            events=int(nodes[0].sum()), currency=cells.facts.currency, origin=cells.origin,
            stages=_stages(vocabulary, there),
            facts={
                name: tuple(labels.names[code] if code else None for code in integers(codes[there]))
                for name, (codes, labels) in vocabulary.touchpoint_columns.items()
            },
        )  # fmt: skip
        return {0: table}


def _stages(vocabulary: Vocabulary, there: Ints) -> tuple[str, ...]:
    """Stages of these touchpoints, in the order of the catalogue."""
    if "stage" not in vocabulary.touchpoint_columns:
        return ()
    codes, labels = vocabulary.touchpoint_columns["stage"]
    return tuple(labels.names[code] for code in integers(np.unique(codes[there])) if code)


def _count(block: Block) -> TransitionState:
    width = len(block.vocabulary.touchpoints)
    touchpoint = block.touchpoint
    waits = waits_of(block, width)
    starts, ends = (np.bincount(touchpoint[rows], minlength=width) for rows in (block.first, block.last))
    arrivals = np.bincount(waits.edge % max(width, 1), np.diff(waits.offsets), width).astype(np.int64)
    values: Floats = np.zeros(width)
    valued = np.zeros(width, np.int64)
    if block.value is not None:
        known = np.flatnonzero(~np.isnan(block.value))
        values = grouped_sum(touchpoint[known].astype(np.int64), block.value[known], width)
        valued = np.bincount(touchpoint[known], minlength=width)
    nodes = np.stack([starts + arrivals, starts, ends, _passing(block, width), valued])
    return TransitionState(nodes, values, (waits,), int(block.first.size), block.customers)


def _passing(block: Block, width: int) -> Ints:
    """(touchpoints,) journeys that pass each."""
    size = block.journeys * width
    if not few(size, block.events):
        return np.bincount(distinct_codes(block.journey * width + block.touchpoint) % width, minlength=width)
    visit = np.repeat(np.arange(0, size, max(width, 1)), block.lengths)
    visit += block.touchpoint
    there = np.zeros(size, np.uint8)
    there[visit] = 1
    return np.asarray(there.reshape(block.journeys, width).sum(axis=0, dtype=np.int64))


@frozen(kw_only=True)
class Graph(Tally[TransitionState, JourneyGraph]):
    """The journey graph: touchpoints, transitions, counts and waits.

    Attributes:
        max_edges: Keep only this many of the most frequent transitions, with the remainder counted.
    """

    name: ClassVar[str] = "graph"
    unit: ClassVar[str] = "transitions"
    observes: ClassVar[Unit] = "transition"
    groups: ClassVar[bool] = False

    max_edges: int | None = field(default=None, validator=optional(whole(0)))

    def start(self) -> TransitionState:
        """Nothing."""
        return Transitions().start()

    def add(self, state: TransitionState, block: Block, cells: Cells[Any]) -> TransitionState:
        """Count one block."""
        return Transitions().add(state, block, cells)

    def merge(self, a: TransitionState, b: TransitionState) -> TransitionState:
        """Add the counts."""
        return Transitions().merge(a, b)

    def finish(self, state: TransitionState, cells: Cells[Any], level: float) -> Mapping[int, JourneyGraph]:
        """The table as a graph."""
        return {0: Transitions().finish(state, cells, level)[0].graph(max_edges=self.max_edges)}
