"""Layered layout of a graph: columns, their order by barycentre, places without overlap, routes around the nodes."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from attrs import frozen

Point: TypeAlias = tuple[float, float]
Edge: TypeAlias = tuple[str, str, float]
_Item: TypeAlias = tuple[int, str]  # (-1, name) for a node, (edge, "") for an edge that passes a column
_SWEEPS: Final = 12
_LANE: Final = 10.0


@frozen
class Box:
    """A rectangle told by its centre.

    Attributes:
        x: Centre, growing to the right.
        y: Centre, growing downwards.
        width: Its width.
        height: Its height.
    """

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: Box, margin: float = 0.0) -> bool:
        """Whether the two share a place, or come closer than the margin."""
        near_x = abs(self.x - other.x) < (self.width + other.width) / 2 + margin
        return near_x and abs(self.y - other.y) < (self.height + other.height) / 2 + margin


@frozen(kw_only=True)
class Layout:
    """Places and routes.

    Attributes:
        boxes: Name → place.
        routes: Per edge its points; between two columns the line may curve, inside a column it is straight.
        width: Right end of everything.
        height: Lower end.
    """

    boxes: Mapping[str, Box]
    routes: Sequence[Sequence[Point]]
    width: float
    height: float


# columns


def depths(names: Sequence[str], edges: Sequence[Edge], starts: Mapping[str, float]) -> dict[str, int]:
    """Column of each node: one to the right of the node that it is most often reached from.

    A tree grows from the start along the heaviest edges (Prim's algorithm), so there is one answer, cycles or not.
    """
    onward: dict[str, list[tuple[float, str]]] = {name: [] for name in names}
    for source, target, weight in edges:
        onward[source].append((-weight, target))
    rank = {name: i for i, name in enumerate(names)}
    waiting = [(-starts.get(name, 0.0), 0, rank[name], name) for name in names if starts.get(name, 0.0) > 0]
    unreached = sorted(names, key=lambda name: (-starts.get(name, 0.0), rank[name]))
    heapq.heapify(waiting)
    found: dict[str, int] = {}
    while len(found) < len(names):
        if not waiting:
            first = next(name for name in unreached if name not in found)
            waiting = [(0.0, 0, rank[first], first)]
        _, depth, _, name = heapq.heappop(waiting)
        if name not in found:
            found[name] = depth
            for weight, target in onward[name]:
                heapq.heappush(waiting, (weight, depth + 1, rank[target], target))
    return found


def columns_of(names: Sequence[str], depth: Mapping[str, int]) -> list[list[str]]:
    """Nodes by column; a crowded column is told as several."""
    most = max(4, math.ceil(1.5 * math.sqrt(len(names))))
    out: list[list[str]] = []
    for level in sorted(set(depth.values())):
        here = [name for name in names if depth[name] == level]
        parts = math.ceil(len(here) / most)
        size = math.ceil(len(here) / parts)
        out += [here[i : i + size] for i in range(0, len(here), size)]
    return out


# order


def _with_passing(
    columns: Sequence[Sequence[str]], edges: Sequence[Edge]
) -> tuple[list[list[_Item]], list[list[_Item]]]:
    """The columns with a place for every edge that passes them, and the chain of places of every edge."""
    at = {name: i for i, column in enumerate(columns) for name in column}
    items: list[list[_Item]] = [[(-1, name) for name in column] for column in columns]
    chains: list[list[_Item]] = []
    for number, (source, target, _) in enumerate(edges):
        a, b = at[source], at[target]
        step = 1 if b >= a else -1
        chain: list[_Item] = [(-1, source)]
        for column in range(a + step, b, step):
            items[column].append((number, ""))
            chain.append((number, ""))
        chains.append([*chain, (-1, target)])
    return items, chains


def _neighbours(
    items: Sequence[Sequence[_Item]], chains: Sequence[Sequence[_Item]], columns: Sequence[Sequence[str]]
) -> dict[tuple[int, _Item], list[tuple[int, _Item]]]:
    """What each place is joined to in the columns beside it; a place is (column, item)."""
    at: dict[_Item, int] = {(-1, name): i for i, column in enumerate(columns) for name in column}
    joined: dict[tuple[int, _Item], list[tuple[int, _Item]]] = {
        (i, item): [] for i, c in enumerate(items) for item in c
    }
    for chain in chains:
        first, last = at[chain[0]], at[chain[-1]]
        step = 1 if last >= first else -1
        places = [(first + step * i, item) for i, item in enumerate(chain)] if first != last else []
        for a, b in pairwise(places):
            joined[a].append(b)
            joined[b].append(a)
    return joined


def ordered(
    columns: Sequence[Sequence[str]], edges: Sequence[Edge], *, keep: bool = False
) -> tuple[list[list[_Item]], list[list[_Item]]]:
    """Every column in the order with the fewest crossings found: barycentre sweeps from the left and from the right.

    Args:
        columns: Names by column.
        edges: Source, target, weight.
        keep: Keep the order of the names, and only find places for the edges that pass.

    Returns:
        The columns, with places for passing edges, and the chain of places of every edge.
    """
    items, chains = _with_passing(columns, edges)
    joined = _neighbours(items, chains, columns)
    best, fewest = [list(column) for column in items], _crossings(items, joined)
    for sweep in range(_SWEEPS):
        side = -1 if sweep % 2 == 0 else 1
        order = range(len(items)) if side < 0 else range(len(items) - 1, -1, -1)
        for i in order:
            if 0 <= i + side < len(items):
                items[i] = _by_barycentre(items, joined, i, side)
                items[i] = _names_in_order(items[i], columns[i]) if keep else items[i]
        crossings = _crossings(items, joined)
        if crossings < fewest:
            best, fewest = [list(column) for column in items], crossings
    return best, chains


def _by_barycentre(
    items: Sequence[Sequence[_Item]], joined: Mapping[tuple[int, _Item], list[tuple[int, _Item]]], i: int, side: int
) -> list[_Item]:
    beside = {item: (k + 0.5) / len(items[i + side]) for k, item in enumerate(items[i + side])}

    def centre(k: int) -> float:
        places = [beside[item] for column, item in joined[i, items[i][k]] if column == i + side]
        return sum(places) / len(places) if places else (k + 0.5) / len(items[i])

    return [items[i][k] for k in sorted(range(len(items[i])), key=lambda k: (centre(k), k))]


def _names_in_order(items: Sequence[_Item], names: Sequence[str]) -> list[_Item]:
    following = iter(names)
    return [(-1, next(following)) if name else (number, "") for number, name in items]


def _crossings(items: Sequence[Sequence[_Item]], joined: Mapping[tuple[int, _Item], list[tuple[int, _Item]]]) -> int:
    total = 0
    for i, column in enumerate(items[:-1]):
        right = {item: k for k, item in enumerate(items[i + 1])}
        ends = [(k, right[b]) for k, item in enumerate(column) for at, b in joined[i, item] if at == i + 1]
        total += sum((a < c and b > d) or (a > c and b < d) for n, (a, b) in enumerate(ends) for c, d in ends[:n])
    return total


# places


def laid_out(
    columns: Sequence[Sequence[str]], edges: Sequence[Edge], sizes: Mapping[str, tuple[float, float]], *,
    gap: float = 70.0, space: float = 26.0, keep: bool = False,
) -> Layout:  # fmt: skip
    """Places of nodes in columns from left to right, and routes of edges that pass between them.

    Args:
        columns: Names by column; every name in one of them.
        edges: Source, target, weight; no edge from a node to itself.
        sizes: Width and height of each node.
        gap: Free width between columns.
        space: Free height between nodes of a column.
        keep: Keep the order of the names in their columns.
    """
    items, chains = ordered(columns, edges, keep=keep)
    heights = [[sizes[name][1] if name else _LANE for _, name in column] for column in items]
    ys = _levelled(items, heights, _neighbours(items, chains, columns), space)
    boxes: dict[str, Box] = {}
    lanes: dict[tuple[int, int], Point] = {}  # (edge, column) -> where it enters and leaves
    spans: list[tuple[float, float]] = []
    x = 0.0
    for i, column in enumerate(items):
        width = max((sizes[name][0] for _, name in column if name), default=0.0)
        spans.append((x, x + width))
        for (number, name), y in zip(column, ys[i], strict=True):
            if name:
                boxes[name] = Box(x + width / 2, y, *sizes[name])
            else:
                lanes[number, i] = (y, y)
        x += width + gap
    routes = _routes(columns, edges, boxes, lanes, spans)
    points = [point for route in routes for point in route]
    height = max([0.0, *(box.y + box.height / 2 for box in boxes.values()), *(y for _, y in points)])
    width = max([0.0, x - gap, *(x + _LANE for x, _ in points)])
    return Layout(boxes=boxes, routes=routes, width=width, height=height)


def _levelled(
    items: Sequence[Sequence[_Item]], heights: Sequence[Sequence[float]],
    joined: Mapping[tuple[int, _Item], list[tuple[int, _Item]]], space: float,
) -> list[list[float]]:  # fmt: skip
    """Heights of the places: as close to what each is joined to as order and free space allow."""
    gaps = [
        [(a + b) / 2 + space * _tightness(p, q) for a, b, p, q in zip(hs, hs[1:], column, column[1:], strict=False)]
        for hs, column in zip(heights, items, strict=True)
    ]
    ys = [_centred(g, len(column)) for g, column in zip(gaps, items, strict=True)]
    for sweep in range(_SWEEPS):
        for i in range(len(items)) if sweep % 2 == 0 else reversed(range(len(items))):
            where = {
                (j, item): ys[j][k] for j in (i - 1, i + 1) if 0 <= j < len(items) for k, item in enumerate(items[j])
            }
            wanted = [
                sum(where[n] for n in beside) / len(beside) if (beside := joined[i, item]) else ys[i][k]
                for k, item in enumerate(items[i])
            ]
            ys[i] = separated(wanted, gaps[i])
    top = min(
        (y - h / 2 for column, hs in zip(ys, heights, strict=True) for y, h in zip(column, hs, strict=True)),
        default=0.0,
    )
    return [[y - top for y in column] for column in ys]


def _tightness(a: _Item, b: _Item) -> float:
    return 1.0 if a[1] and b[1] else 0.4


def _centred(gaps: Sequence[float], size: int) -> list[float]:
    ys = [0.0] * size
    for k, gap in enumerate(gaps):
        ys[k + 1] = ys[k] + gap
    middle = (ys[0] + ys[-1]) / 2 if ys else 0.0
    return [y - middle for y in ys]


def separated(wanted: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The places nearest to the wanted ones (least squares) that keep order and gaps: isotonic regression.

    Example:
        >>> separated([0.0, 0.0, 10.0], [2.0, 2.0])
        [-1.0, 1.0, 10.0]
    """
    offsets = [0.0]
    for gap in gaps:
        offsets.append(offsets[-1] + gap)
    pools: list[tuple[float, int]] = []
    for want, offset in zip(wanted, offsets, strict=False):
        mean, size = want - offset, 1
        while pools and pools[-1][0] >= mean:
            before, many = pools.pop()
            mean, size = (before * many + mean * size) / (many + size), many + size
        pools.append((mean, size))
    level = [mean for mean, size in pools for _ in range(size)]
    return [mean + offset for mean, offset in zip(level, offsets, strict=False)]


# routes


def _routes(
    columns: Sequence[Sequence[str]], edges: Sequence[Edge], boxes: Mapping[str, Box],
    lanes: Mapping[tuple[int, int], Point], spans: Sequence[tuple[float, float]],
) -> list[list[Point]]:  # fmt: skip
    at = {name: i for i, column in enumerate(columns) for name in column}
    beside = _beside(columns, boxes, list(lanes.items()))
    ends: dict[tuple[str, bool], list[tuple[float, int, int]]] = {}
    inner: list[list[Point]] = []
    for number, (source, target, _) in enumerate(edges):
        a, b = at[source], at[target]
        points: list[Point] = []
        for column in range(a + 1, b) if b > a else range(a - 1, b, -1):
            left, right = spans[column]
            y = lanes[number, column][0]
            points += [(left, y), (right, y)] if b > a else [(right, y), (left, y)]
        inner.append(points)
        if (source, target) in beside:
            continue
        toward, back = (points[0][1], points[-1][1]) if points else (boxes[target].y, boxes[source].y)
        ends.setdefault((source, b >= a), []).append((toward, number, 0))
        ends.setdefault((target, b <= a), []).append((back, number, 1))
    ports = _ports(ends, boxes)
    routes: list[list[Point]] = []
    for number, (source, target, _) in enumerate(edges):
        if (source, target) in beside:
            routes.append(_straight(boxes[source], boxes[target]))
        elif at[source] == at[target]:
            routes.append(_bulge(ports[number, 0], ports[number, 1], spans[at[source]][1]))
        else:
            routes.append([ports[number, 0], *inner[number], ports[number, 1]])
    return routes


def _beside(
    columns: Sequence[Sequence[str]], boxes: Mapping[str, Box], lanes: Sequence[tuple[tuple[int, int], Point]]
) -> set[tuple[str, str]]:
    """Nodes of one column with nothing between them, both ways."""
    out: set[tuple[str, str]] = set()
    for i, column in enumerate(columns):
        passing = [y for (_, at), (y, _) in lanes if at == i]
        stack = sorted(column, key=lambda name: boxes[name].y)
        for a, b in pairwise(stack):
            if not any(boxes[a].y < y < boxes[b].y for y in passing):
                out |= {(a, b), (b, a)}
    return out


def _straight(a: Box, b: Box) -> list[Point]:
    """Down on the left of the middle, up on the right of it."""
    down = b.y > a.y
    x = (a.x + b.x) / 2 + min(a.width, b.width) * (-0.18 if down else 0.18)
    side = 0.5 if down else -0.5
    return [(x, a.y + side * a.height), (x, b.y - side * b.height)]


def _bulge(start: Point, end: Point, edge: float) -> list[Point]:
    """An edge inside a column leaves it to the right and comes back, the further the longer it is."""
    x = max(start[0], end[0], edge - 12.0) + 12.0 + 0.09 * abs(end[1] - start[1])
    return [start, (x, start[1]), (x, end[1]), end]


def _ports(
    ends: Mapping[tuple[str, bool], Iterable[tuple[float, int, int]]], boxes: Mapping[str, Box]
) -> dict[tuple[int, int], Point]:
    """Where each edge touches its nodes: spread over the side, in the order of where the edges come from."""
    ports: dict[tuple[int, int], Point] = {}
    for (name, right), touching in ends.items():
        box, those = boxes[name], sorted(touching)
        x = box.x + box.width / 2 if right else box.x - box.width / 2
        for k, (_, number, end) in enumerate(those):
            ports[number, end] = (x, box.y + box.height * 0.84 * ((k + 0.5) / len(those) - 0.5))
    return ports


def ports_needed(columns: Sequence[Sequence[str]], edges: Sequence[Edge]) -> dict[str, int]:
    """How many edges touch the busier side of each node."""
    at = {name: i for i, column in enumerate(columns) for name in column}
    sides: dict[tuple[str, bool], int] = {}
    for source, target, _ in edges:
        for key in ((source, at[target] >= at[source]), (target, at[target] <= at[source])):
            sides[key] = sides.get(key, 0) + 1
    return {name: max(sides.get((name, True), 0), sides.get((name, False), 0)) for name in at}
