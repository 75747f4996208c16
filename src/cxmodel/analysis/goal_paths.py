"""Paths to a goal: how many lead there, through which touchpoints, and which cannot be avoided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import networkx as nx
import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits import before_conversion, chain_steps, goal_missing
from cxmodel.analysis.paths import Variants, distinct_paths, union
from cxmodel.analysis.shares import KeyedCounts, count_keys, merge_counts, no_counts, refuse_groups, shares_by_group
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.selecting import keep_journeys
from cxmodel.errors import NotMeasurableError, UnknownNameError, unknown
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Origin
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, distinct_codes, integers, segment_of
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally

if TYPE_CHECKING:
    _Graph = nx.DiGraph[int]
else:
    _Graph = nx.DiGraph

START: Final = -1
GOAL: Final = -2
MOST_STEPS: Final = 200_000
Role = Literal["all", "some", "none"]


@frozen(kw_only=True)
class GoalPathRow:
    """What leads to the goal through one touchpoint.

    Attributes:
        touchpoint: Its name.
        variants: Different observed paths to the goal that pass it.
        journeys: Journeys on them.
        share: Their share of the journeys that reach the goal.
        structural: Paths through it that the graph of observed transitions allows; a lower bound where capped.
        on: Whether all, some or none of the observed paths to the goal pass it.
        unavoidable: Whether every path that the graph allows passes it.
    """

    touchpoint: str
    variants: int
    journeys: int
    share: Estimate
    structural: int
    on: Role
    unavoidable: bool

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.touchpoint, "variants": self.variants, "journeys": self.journeys,
            "share": self.share.to_dict(), "structural": self.structural, "on": self.on,
            "unavoidable": self.unavoidable,
        }  # fmt: skip


@frozen(kw_only=True)
class GoalPathTable:
    """How journeys reach a goal.

    Attributes:
        goal: Name of the goal.
        journeys: Journeys that reach it.
        direct: Those without a touchpoint before it; among the journeys and, as one path, among the variants.
        variants: Different observed paths to it.
        effective: Effective number of observed paths: 2 to the entropy of their shares; None without any.
        structural: Paths that the graph of observed transitions allows, without a repeated touchpoint.
        acyclic: Whether that graph has no cycle; if it has, repeating paths would be endless and are not counted.
        capped: Whether counting stopped at the cap: then structural counts are lower bounds.
        cap: The cap.
        cut: A smallest set of touchpoints that every path passes one of; None where the goal is reached at once.
        touchpoints: The touchpoints asked for, those of most journeys first.
        origin: Which population it is.
    """

    goal: str
    journeys: int
    direct: int
    variants: int
    effective: float | None
    structural: int
    acyclic: bool
    capped: bool
    cap: int
    cut: tuple[str, ...] | None
    touchpoints: tuple[GoalPathRow, ...] = field(repr=False)
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def __getitem__(self, touchpoint: str) -> GoalPathRow:
        for row in self.touchpoints:
            if row.touchpoint == touchpoint:
                return row
        raise UnknownNameError(unknown("touchpoint", touchpoint, [row.touchpoint for row in self.touchpoints]))

    def on(self, role: Role) -> tuple[str, ...]:
        """Touchpoints on all, some or none of the observed paths to the goal."""
        return tuple(row.touchpoint for row in self.touchpoints if row.on == role)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "goal": self.goal, "journeys": self.journeys, "direct": self.direct, "variants": self.variants,
            "effective": self.effective, "structural": self.structural, "acyclic": self.acyclic,
            "capped": self.capped, "cap": self.cap, "cut": None if self.cut is None else list(self.cut),
            "touchpoints": [row.to_dict() for row in self.touchpoints],
        }  # fmt: skip

    def __str__(self) -> str:
        least = "at least " if self.capped else ""
        kind = "" if self.acyclic else " without a repeat"
        reach = f"{self.journeys:,} journeys reach {self.goal} on {self.variants:,} different paths"
        lines = [f"{reach}; the graph allows {least}{self.structural:,}{kind}"]
        for row in self.touchpoints[:10]:
            must = ", unavoidable" if row.unavoidable else ""
            lines.append(
                f"  {row.touchpoint}: {row.variants:,} paths, {row.share:.1%}, {least}{row.structural:,} allowed{must}"
            )
        rest = len(self.touchpoints) - 10
        return "\n".join([*lines, *([f"  {rest:,} other touchpoints"] if rest > 0 else [])])


@frozen(eq=False)
class GoalPathState:
    """What was seen.

    Attributes:
        paths: Different paths to the goal, one part per block.
        edges: Different steps up to the goal, as keys of `chain_steps`.
        counts: Touchpoints before the goal, among the journeys that reach it.
        direct: Journeys that reach it at once.
    """

    paths: tuple[Variants, ...]
    edges: Ints
    counts: KeyedCounts
    direct: int


@frozen
class GoalPaths(Tally[GoalPathState, GoalPathTable]):
    """How many paths lead to a goal through each touchpoint: observed ones, journeys on them, and possible ones.

    A path ends at the first attainment of the goal. Possible paths are those of the graph of all observed steps before
    the goal: without a cycle they are counted exactly; else only those without a repeated touchpoint are, one by one,
    up to ``cap``. Unavoidable touchpoints are the dominators of the goal in that graph.

    Attributes:
        goal: Where paths lead.
        touchpoint: Only this touchpoint; None for all.
        cap: Most paths, and a hundred times as many steps, that are tried one by one where the graph has a cycle.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": path, "what": what, "at": f"2026-01-01T00:0{i}"}
        ...        for path in ("s a c g", "s b c d g") for i, what in enumerate(path.split())]
        >>> journeys = read_events(log, customer="who", touchpoint="what", time="at")
        >>> table = journeys.measure(GoalPaths(Goal("goal", touchpoints=["g"])))
        >>> table.variants, table.structural, table["d"].structural, table.on("all")
        (2, 4, 2, ('c', 's'))
    """

    name: ClassVar[str] = "goal_paths"
    unit: ClassVar[str] = "paths"
    observes: ClassVar[Unit] = "journey"

    goal: Goal = field(converter=as_goal)
    touchpoint: str | None = field(default=None, validator=validators.optional(validators.touchpoint))
    cap: int = field(default=10_000, kw_only=True, validator=validators.whole(1))

    def missing(self, facts: Facts) -> str | None:
        """A goal or touchpoint that never occurs."""
        if self.touchpoint is not None and self.touchpoint not in facts.known_touchpoints:
            return unknown("touchpoint", self.touchpoint, facts.known_touchpoints)
        return goal_missing(self.goal, facts)

    def start(self) -> GoalPathState:
        """Nothing."""
        return GoalPathState((), np.zeros(0, np.int64), no_counts(), 0)

    def add(self, state: GoalPathState, block: Block, cells: Cells[Any]) -> GoalPathState:
        """Paths and steps of one block."""
        refuse_groups(self.name, cells)
        _, keys = chain_steps(block, self.goal, 1)
        converting = keep_journeys(block, block.reached(self.goal) >= 0)
        _, at, position, _, direct = before_conversion(converting, self.goal)
        codes = converting.touchpoint[at]
        offsets = np.append(np.flatnonzero(position == 0), at.size)
        paths = distinct_paths(offsets, codes, None)
        width = len(block.vocabulary.touchpoints)
        pair = distinct_codes(converting.journey[at] * width + codes)
        ones = np.ones(pair.size, np.int64)
        counts = count_keys(converting, pair // width, pair % width, ones, cells)
        return self.merge(state, GoalPathState((paths,), distinct_codes(keys), counts, int(direct.size)))

    def merge(self, a: GoalPathState, b: GoalPathState) -> GoalPathState:
        """Both."""
        edges = np.unique(np.concatenate([a.edges, b.edges]))
        return GoalPathState(a.paths + b.paths, edges, merge_counts(a.counts, b.counts), a.direct + b.direct)

    def finish(self, state: GoalPathState, cells: Cells[Any], level: float) -> Mapping[int, GoalPathTable]:
        """Count the paths."""
        refuse_groups(self.name, cells)
        names = cells.vocabulary.touchpoints
        variants = union(state.paths)
        total, through, capped, acyclic, graph = _structure(state.edges, len(names) + 2, self.cap)
        must = _dominators(graph)
        shares = shares_by_group(state.counts, cells, level)[0]
        pair = distinct_codes(segment_of(variants.offsets) * len(names) + variants.codes)
        passing = np.bincount(pair % len(names), minlength=len(names))
        journeys = dict(zip(integers(shares.key), integers(shares.count), strict=True))
        different = variants.count.size + (state.direct > 0)
        rows = [
            GoalPathRow(
                touchpoint=names[code], variants=int(passing[code]), journeys=journeys.get(code, 0),
                share=shares.estimate_of(code), structural=through.get(code, 0),
                on="none" if not passing[code] else "all" if passing[code] == different else "some",
                unavoidable=code in must,
            )
            for code in self._asked(state.edges, cells)
        ]  # fmt: skip
        cut = _cut(graph)
        table = GoalPathTable(
            goal=self.goal.name, journeys=shares.journeys, direct=state.direct, variants=different,
            effective=_effective(variants.count, state.direct), structural=total, acyclic=acyclic, capped=capped,
            cap=self.cap, cut=None if cut is None else tuple(sorted(names[code] for code in cut)),
            touchpoints=tuple(sorted(rows, key=lambda row: (-row.journeys, row.touchpoint))), origin=cells.origin,
        )  # fmt: skip
        return {0: table}

    def _asked(self, edges: Ints, cells: Cells[Any]) -> list[int]:
        if self.touchpoint is not None:
            return [cells.vocabulary.touchpoint_codes[self.touchpoint]]
        context = np.unique(edges // (len(cells.vocabulary.touchpoints) + 2))
        return integers(context[context > 0] - 1)


def _effective(counts: Ints, direct: int) -> float | None:
    every = np.append(counts, direct)
    every = every[every > 0]
    if not every.size:
        return None
    p = every / every.sum()
    return float(2 ** -(p * np.log2(p)).sum())


def _structure(edges: Ints, width: int, cap: int) -> tuple[int, dict[int, int], bool, bool, _Graph]:
    """Paths from start to goal: their number, by touchpoint, whether capped, whether acyclic, and the graph of them."""
    source, last = edges // width, edges % width
    there = last > 0
    if np.count_nonzero(there) > MOST_STEPS:
        raise NotMeasurableError(
            f"{np.count_nonzero(there):,} different steps make too large a graph to count its paths",
            hint=f"Keep the touchpoints that matter: journeys.events_where(…), at most {MOST_STEPS:,} different steps",
        )
    targets = np.where(last == width - 1, GOAL, last - 1)[there]
    graph = _Graph()
    graph.add_edges_from(zip(integers(source[there] - 1), integers(targets), strict=True))
    if START not in graph or GOAL not in graph or not nx.has_path(graph, START, GOAL):
        return 0, {}, False, True, _Graph()
    useful = {GOAL, *nx.ancestors(graph, GOAL)} & {START, *nx.descendants(graph, START)}
    graph = _Graph(graph.subgraph(useful))
    if nx.is_directed_acyclic_graph(graph):
        total, through = _exact(graph)
        return total, through, False, True, graph
    total, through, capped = _one_by_one(graph, cap)
    return total, through, capped, False, graph


def _exact(graph: _Graph) -> tuple[int, dict[int, int]]:
    """Paths of a graph without a cycle: those from the start to each node, times those from there to the goal."""
    order = list(nx.topological_sort(graph))
    before, after = dict.fromkeys(order, 0), dict.fromkeys(order, 0)
    before[START] = after[GOAL] = 1
    for node in order:
        for following in graph.successors(node):
            before[following] += before[node]
    for node in reversed(order):
        for following in graph.successors(node):
            after[node] += after[following]
    return after[START], {node: before[node] * after[node] for node in order if node >= 0}


def _one_by_one(graph: _Graph, cap: int) -> tuple[int, dict[int, int], bool]:
    """Paths without a repeated touchpoint, depth first, until there are more paths than the cap or too many steps."""
    total, through = 0, dict.fromkeys(graph, 0)
    path, seen = [START], {START}
    waiting = [iter(sorted(graph.successors(START)))]
    steps = 0
    while waiting:
        steps += 1
        following = next(waiting[-1], None)
        if following is None:
            waiting.pop()
            seen.discard(path.pop())
        elif steps > 100 * cap or (following == GOAL and total == cap):
            return total, through, True
        elif following == GOAL:
            total += 1
            for node in path:
                through[node] += 1
        elif following not in seen:
            path.append(following)
            seen.add(following)
            waiting.append(iter(sorted(graph.successors(following))))
    return total, through, False


def _dominators(graph: _Graph) -> set[int]:
    """Touchpoints that every path from the start to the goal passes."""
    if GOAL not in graph:
        return set()
    above = nx.immediate_dominators(graph, START)
    found, node = set(), above[GOAL]
    while node is not None and node != START:
        found.add(node)
        node = above[node]
    return found


def _cut(graph: _Graph) -> set[int] | None:
    """A smallest set of touchpoints that every path passes one of; None where the goal follows the start."""
    if GOAL not in graph:
        return set()
    if graph.has_edge(START, GOAL):
        return None
    return set(nx.minimum_node_cut(graph, START, GOAL))
