"""Paths to a goal: how many lead there, through which touchpoints, and which cannot be avoided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

import networkx as nx
import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits import before_conversion, chain_steps, goal_missing
from cxmodel.analysis.paths import Variants, distinct_paths, union
from cxmodel.analysis.shares import KeyedCounts, count_keys, merge_counts, no_counts, shares_by_group
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.selecting import keep_journeys
from cxmodel.errors import unknown
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Origin
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.listed import Listed
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
        structural: Paths through it that the graph of observed transitions allows; None with a ``reason``.
        on: Whether all, some or none of the observed paths to the goal pass it.
        unavoidable: Whether every path that the graph allows passes it; None where the graph is too large.
        reason: Why paths through it are not counted.
    """

    touchpoint: str
    variants: int
    journeys: int
    share: Estimate
    structural: int | None
    on: Role
    unavoidable: bool | None
    reason: str | None = None

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.touchpoint, "variants": self.variants, "journeys": self.journeys,
            "share": self.share.to_dict(), "structural": self.structural, "on": self.on,
            "unavoidable": self.unavoidable, "reason": self.reason,
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
        structural: Paths that the graph of observed transitions allows, without a repeated touchpoint; None with a
            ``reason``.
        acyclic: Whether that graph has no cycle; if it has, repeating paths would be endless and are not counted.
        capped: Whether counting stopped at the cap: then the structural count is a lower bound.
        cap: The cap.
        cut: A smallest set of touchpoints that every path passes one of; None where the goal is reached at once.
        touchpoints: The touchpoints asked for (all but those of the goal), those of most journeys first.
        reason: Why structural counts are missing; what was observed is there all the same.
        origin: Which population it is.
    """

    goal: str
    journeys: int
    direct: int
    variants: int
    effective: float | None
    structural: int | None
    acyclic: bool | None
    capped: bool
    cap: int
    cut: tuple[str, ...] | None
    touchpoints: Listed[GoalPathRow] = field(repr=False)
    reason: str | None = None
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def __getitem__(self, touchpoint: str) -> GoalPathRow:
        return self.touchpoints.named(touchpoint)

    def on(self, role: Role) -> tuple[str, ...]:
        """Touchpoints on all, some or none of the observed paths to the goal."""
        return tuple(row.touchpoint for row in self.touchpoints if row.on == role)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "goal": self.goal, "journeys": self.journeys, "direct": self.direct, "variants": self.variants,
            "effective": self.effective, "structural": self.structural, "acyclic": self.acyclic,
            "capped": self.capped, "cap": self.cap, "cut": None if self.cut is None else list(self.cut),
            "touchpoints": [row.to_dict() for row in self.touchpoints], "reason": self.reason,
        }  # fmt: skip

    def __str__(self) -> str:
        least = "at least " if self.capped else ""
        kind = "" if self.acyclic else " without a repeat"
        reach = f"{self.journeys:,} journeys reach {self.goal} on {self.variants:,} different paths"
        lines = [reach if self.structural is None else f"{reach}; the graph allows {least}{self.structural:,}{kind}"]
        for row in self.touchpoints[:10]:
            allowed = "" if row.structural is None else f", {row.structural:,} allowed"
            must = ", unavoidable" if row.unavoidable else ""
            lines.append(f"  {row.touchpoint}: {row.variants:,} paths, {row.share:.1%}{allowed}{must}")
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
    up to ``cap``; where it is met there are no counts by touchpoint. Unavoidable touchpoints are the dominators of the
    goal in that graph. What was observed is there however large the graph.

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
    groups: ClassVar[bool] = False

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
        names = cells.vocabulary.touchpoints
        variants = union(state.paths)
        structure = _structure(state.edges, len(names) + 2, self.cap)
        shares = shares_by_group(state.counts, cells, level)[0]
        pair = distinct_codes(segment_of(variants.offsets) * len(names) + variants.codes)
        different = variants.count.size + (state.direct > 0)
        passing, row_of = np.bincount(pair % len(names), minlength=len(names)), np.full(len(names), -1)
        row_of[shares.key] = np.arange(shares.key.size)
        journeys = np.where(row_of >= 0, np.append(shares.count, 0)[row_of], 0)
        codes = self._asked(cells)
        codes.sort(key=lambda code: (-int(journeys[code]), names[code]))

        def row(at: int) -> GoalPathRow:
            code = codes[at]
            on = int(passing[code])
            return GoalPathRow(
                touchpoint=names[code], variants=on, journeys=int(journeys[code]), share=shares.estimate_of(code),
                structural=None if structure.reason else structure.through.get(code, 0),
                on="none" if not on else "all" if on == different else "some",
                unavoidable=None if structure.total is None else code in structure.unavoidable,
                reason=structure.reason,
            )  # fmt: skip

        table = GoalPathTable(
            goal=self.goal.name, journeys=shares.journeys, direct=state.direct, variants=different,
            effective=_effective(variants.count, state.direct), structural=structure.total, acyclic=structure.acyclic,
            capped=structure.capped, cap=self.cap, reason=structure.reason,
            cut=None if structure.cut is None else tuple(sorted(names[code] for code in structure.cut)),
            touchpoints=Listed([names[code] for code in codes], row), origin=cells.origin,
        )  # fmt: skip
        return {0: table}

    def _asked(self, cells: Cells[Any]) -> list[int]:
        codes = cells.vocabulary.touchpoint_codes
        if self.touchpoint is not None:
            return [codes[self.touchpoint]]
        return [code for name, code in codes.items() if name not in self.goal.touchpoints]


def _effective(counts: Ints, direct: int) -> float | None:
    every = np.append(counts, direct)
    every = every[every > 0]
    if not every.size:
        return None
    p = every / every.sum()
    return float(2 ** -(p * np.log2(p)).sum())


@frozen(kw_only=True)
class _Structure:
    """What the graph of observed steps allows.

    Attributes:
        total: Paths from the start to the goal; None where the graph is too large.
        through: Those through each touchpoint.
        capped: Whether counting stopped at the cap.
        acyclic: Whether the graph has no cycle.
        unavoidable: Touchpoints that every path passes.
        cut: A smallest set of touchpoints that every path passes one of.
        reason: Why paths through touchpoints are not counted.
    """

    total: int | None
    through: Mapping[int, int] = field(factory=dict)
    capped: bool = False
    acyclic: bool | None = True
    unavoidable: frozenset[int] = frozenset()
    cut: frozenset[int] | None = frozenset()
    reason: str | None = None


def _structure(edges: Ints, width: int, cap: int) -> _Structure:
    source, last = edges // width, edges % width
    there = last > 0
    if np.count_nonzero(there) > MOST_STEPS:
        reason = (
            f"{np.count_nonzero(there):,} different steps make too large a graph to count its paths ({MOST_STEPS:,} at "
            "most): fold rare touchpoints, journeys.fold_rare(keep=100)"
        )
        return _Structure(total=None, acyclic=None, cut=None, reason=reason)
    targets = np.where(last == width - 1, GOAL, last - 1)[there]
    graph = _Graph()
    graph.add_edges_from(zip(integers(source[there] - 1), integers(targets), strict=True))
    if START not in graph or GOAL not in graph or not nx.has_path(graph, START, GOAL):
        return _Structure(total=0)
    useful = {GOAL, *nx.ancestors(graph, GOAL)} & {START, *nx.descendants(graph, START)}
    graph = _Graph(graph.subgraph(useful))
    acyclic, capped = nx.is_directed_acyclic_graph(graph), False
    if acyclic:
        total, through = _exact(graph)
    else:
        total, through, capped = _one_by_one(graph, cap)
    # which paths came first follows the names of the touchpoints: then no count of one says anything
    more = f"there are more than {total:,} paths without a repeat: raise cap={cap}, or fold rare touchpoints"
    return _Structure(
        total=total, through={} if capped else through, capped=capped, acyclic=acyclic,
        unavoidable=_dominators(graph), cut=_cut(graph), reason=more if capped else None,
    )  # fmt: skip


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


def _dominators(graph: _Graph) -> frozenset[int]:
    """Touchpoints that every path from the start to the goal passes."""
    above = nx.immediate_dominators(graph, START)
    found, node = set(), above[GOAL]
    while node is not None and node != START:
        found.add(node)
        node = above[node]
    return frozenset(found)


def _cut(graph: _Graph) -> frozenset[int] | None:
    """A smallest set of touchpoints that every path passes one of; None where the goal follows the start."""
    if graph.has_edge(START, GOAL):
        return None
    return frozenset(nx.minimum_node_cut(graph, START, GOAL))
