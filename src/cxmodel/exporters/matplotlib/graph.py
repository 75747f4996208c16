"""Journey graphs by Matplotlib, with a layout of our own: nothing else needs to be installed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import field, frozen

from cxmodel.exporters.colours import FRAME, INK, LINE, PAPER, RUST, VERMILLION
from cxmodel.exporters.layout import Box, Layout, Point, laid_out, ports_needed
from cxmodel.exporters.matplotlib.drawing import (
    MARGIN,
    FigureExporter,
    Pen,
    head_height,
    head_lines,
    sized,
    write_foot,
    write_head,
)
from cxmodel.exporters.views import MOST_TOUCHPOINTS, SEPARATOR, JourneyView, Spot, Way, view
from cxmodel.graph import JourneyGraph
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAME: Final = 10.0
_NOTE: Final = 8.0
_LEAST_WIDTH: Final = 360.0
_AROUND: Final = 12.0
_PORT: Final = 7.5
_TRIES: Final = (0.5, 0.4, 0.6, 0.3, 0.7, 0.22, 0.78, 0.15, 0.85)


@frozen(kw_only=True)
class GraphFigure(FigureExporter[JourneyGraph]):
    """A journey graph with its stages as columns.

    Attributes:
        min_share: Transitions below this share of their source's events are hidden, 0 to 1.
        max_edges: Most transitions to show; without it the main ways of every touchpoint and 30 or more. What is
            hidden is counted in the caption.
        color: Touchpoint → estimate to colour it by, such as ``journeys.measure(Nps(), by="touchpoint")``.
    """

    name: ClassVar[str] = "matplotlib_graph"
    takes: ClassVar[tuple[type, ...]] = (JourneyGraph,)

    min_share: float = field(default=0.0, validator=[validators.ge(0), validators.le(1)])
    max_edges: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    color: Mapping[str, Estimate] | None = None

    def missing(self, obj: object, extension: str) -> str | None:
        """Too many touchpoints to see."""
        if isinstance(obj, JourneyGraph) and obj.number_of_nodes() > MOST_TOUCHPOINTS:
            return f"{obj.number_of_nodes():,} touchpoints are too many to see; draw graph.subgraph(…) of the main ones"
        return None

    def heading(self, obj: JourneyGraph) -> str:
        """The title."""
        return self.title or "Customer journey graph"

    def alt_text(self, obj: JourneyGraph) -> str:
        """Size, most frequent transitions, where most journeys end."""
        return self._view(obj).alt

    def names(self, obj: JourneyGraph) -> Sequence[str]:
        """The touchpoints."""
        return list(obj.nodes)

    def _view(self, graph: JourneyGraph) -> JourneyView:
        return view(graph, min_share=self.min_share, max_edges=self.max_edges, color=self.color)

    def draw(self, obj: JourneyGraph, pen: Pen) -> Figure:
        """The figure; one unit of its axes is one point."""
        seen = self._view(obj)
        texts = {name: _Text.of(spot, pen) for name, spot in seen.spots.items()}
        edges = [(way.source, way.target, float(way.count)) for way in seen.ways]
        busy = ports_needed(seen.columns, edges)
        sizes = {name: (text.size[0], max(text.size[1], _PORT * busy[name])) for name, text in texts.items()}
        layout = laid_out(seen.columns, edges, sizes, keep=any(seen.headings))
        headings = [pen.lines(each, width=22, most=2) if each else [] for each in seen.headings]
        width = max(layout.width + 2 * (MARGIN + _AROUND), _LEAST_WIDTH)
        head = head_lines(pen, self.heading(obj), seen.caption, width - 2 * MARGIN)
        foot = pen.lines(pen.note, width=int(width / 5.6), most=3) if pen.note else []
        above = head_height(head) + 6.0 + 14.0 * max(map(len, headings), default=0)
        height = above + layout.height + _AROUND + MARGIN + 12.5 * len(foot)
        figure = sized(width, height)
        axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
        axes.set_axis_off()
        left = MARGIN + _AROUND
        axes.set_xlim(-left, width - left)
        axes.set_ylim(height - above, -above)
        _draw_stages(axes, seen, layout, headings)
        for number, name in enumerate(seen.spots):
            _draw_node(axes, number, layout.boxes[name], texts[name], seen.spots[name])
        _draw_ways(axes, seen.ways, layout, pen)
        write_head(figure, head)
        write_foot(figure, foot)
        return figure


@frozen
class _Text:
    """What is written in a node: lines of the name, notes, and the size that they need."""

    lines: list[str]
    notes: list[list[str]]
    size: tuple[float, float]

    @classmethod
    def of(cls, spot: Spot, pen: Pen) -> _Text:
        lines = pen.lines(spot.name)
        notes = [[pen.line(part) for part in note.split(SEPARATOR)] for note in spot.notes]
        widths = [pen.width(line, _NAME) for line in lines] + [pen.width(SEPARATOR.join(n), _NOTE) for n in notes]
        height = 13.0 * len(lines) + 11.0 * len(notes) + 9.0
        return cls(lines, notes, (max(widths) + 16.0, height))


def _draw_stages(axes: Axes, seen: JourneyView, layout: Layout, headings: Sequence[Sequence[str]]) -> None:
    from matplotlib.patches import FancyBboxPatch

    if not any(seen.headings):
        return
    tall = 14.0 * max(map(len, headings))
    for column, lines in zip(seen.columns, headings, strict=True):
        boxes = [layout.boxes[name] for name in column]
        left = min(box.x - box.width / 2 for box in boxes) - _AROUND * 0.7
        right = max(box.x + box.width / 2 for box in boxes) + _AROUND * 0.7
        frame = FancyBboxPatch(
            (left, -tall - 6.0), right - left, layout.height + tall + _AROUND, boxstyle="round,pad=0,rounding_size=9",
            facecolor="none", edgecolor=FRAME, linewidth=0.8, zorder=0,
        )  # fmt: skip
        axes.add_patch(frame)
        axes.text(
            (left + right) / 2, -6.0, "\n".join(lines), size=11, weight="bold", ha="center", va="bottom", zorder=4
        )


def _draw_node(axes: Axes, number: int, box: Box, text: _Text, spot: Spot) -> None:
    from matplotlib.patches import FancyBboxPatch

    patch = FancyBboxPatch(
        (box.x - box.width / 2, box.y - box.height / 2), box.width, box.height,
        boxstyle="round,pad=0,rounding_size=7", facecolor=spot.shade.fill if spot.shade else PAPER, edgecolor=INK,
        linewidth=0.9, zorder=3, gid=f"touchpoint_{number}",
    )  # fmt: skip
    axes.add_patch(patch)
    y = box.y - text.size[1] / 2 + 4.5 + 6.5
    for line in text.lines:
        axes.text(box.x, y, line, size=_NAME, ha="center", va="center", zorder=4)
        y += 13.0
    y -= 1.0
    for parts in text.notes:
        _draw_note(axes, box.x, y, parts)
        y += 11.0


def _draw_note(axes: Axes, x: float, y: float, parts: Sequence[str]) -> None:
    """A line whose parts differ in colour, centred."""
    from matplotlib.offsetbox import AnnotationBbox, HPacker, TextArea

    if len(parts) == 1:
        axes.text(x, y, parts[0], size=_NOTE, color=_note_colour(parts[0]), ha="center", va="center", zorder=4)
        return
    spaced = [part for pair in zip(parts, [SEPARATOR] * len(parts), strict=True) for part in pair][:-1]
    areas: list[Artist] = [TextArea(part, textprops={"size": _NOTE, "color": _note_colour(part)}) for part in spaced]
    packed = HPacker(children=areas, pad=0, sep=0, align="baseline")
    axes.add_artist(AnnotationBbox(packed, (x, y), frameon=False, pad=0, zorder=4))


def _note_colour(note: str) -> str:
    return RUST if note.endswith("leave") else INK


# transitions


def curve(route: Sequence[Point]) -> list[tuple[Point, Point, Point, Point]]:
    """The route as cubic curves, level where they begin and end; along a line of equal height they are straight.

    Returns:
        Begin, two control points, end of each.
    """
    if len(route) == 4 and route[1][0] == route[2][0]:
        (a, b, c, d) = route
        return [(a, (b[0] + 8.0, b[1]), (c[0] + 8.0, c[1]), d)]
    out = []
    for a, b in pairwise(route):
        if a[0] == b[0]:
            out.append((a, (a[0], (2 * a[1] + b[1]) / 3), (a[0], (a[1] + 2 * b[1]) / 3), b))
            continue
        middle = (a[0] + b[0]) / 2
        out.append((a, (middle, a[1]), (middle, b[1]), b))
    return out


def at(piece: tuple[Point, Point, Point, Point], t: float) -> Point:
    """A point of a cubic curve."""
    weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
    return (
        sum(w * p[0] for w, p in zip(weights, piece, strict=True)),
        sum(w * p[1] for w, p in zip(weights, piece, strict=True)),
    )


def _draw_ways(axes: Axes, ways: Sequence[Way], layout: Layout, pen: Pen) -> None:
    taken = list(layout.boxes.values())
    # the rare ones first, so that the frequent ones lie on top
    for way, route in reversed(list(zip(ways, layout.routes, strict=True))):
        _draw_way(axes, way, route)
    for way, route in zip(ways, layout.routes, strict=True):
        text = f"{way.count:,}"
        place = label_place(route, pen.width(text, _NOTE) + 3.0, taken)
        taken.append(place)
        axes.text(
            place.x, place.y, text, size=_NOTE, ha="center", va="center", zorder=5,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 0.6, "alpha": 0.85},
        )  # fmt: skip


def _draw_way(axes: Axes, way: Way, route: Sequence[Point]) -> None:
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path

    pieces = curve(route)
    points = [pieces[0][0], *(point for piece in pieces for point in piece[1:])]
    codes = [Path.MOVETO, *[Path.CURVE4] * (len(points) - 1)]
    thick = 0.7 + 4.3 * way.share**0.5
    back = way.kind == "back"
    arrow = FancyArrowPatch(
        path=Path(points, codes), arrowstyle="-|>", mutation_scale=6.0 + 2.2 * thick, linewidth=thick, shrinkA=0,
        shrinkB=0, color=VERMILLION if back else LINE, linestyle=(0, (3, 1.6)) if back else "solid", zorder=2,
        joinstyle="miter", capstyle="butt",
    )  # fmt: skip
    axes.add_patch(arrow)


def label_place(route: Sequence[Point], width: float, taken: Sequence[Box]) -> Box:
    """Where the count of a transition stands: on its line, at the first place that is free; beside an upright line."""
    if len(route) == 2 and route[0][0] == route[1][0]:
        side = -1 if route[1][1] > route[0][1] else 1
        return Box(route[0][0] + side * (width / 2 + 4.0), (route[0][1] + route[1][1]) / 2, width, 10.0)
    pieces = sorted(curve(route), key=lambda piece: abs(piece[0][1] - piece[3][1]) < 1e-9 and len(route) > 2)
    spots = [Box(*at(piece, t), width, 10.0) for piece in pieces for t in _TRIES]

    def covered(box: Box) -> float:
        return sum(
            max(0.0, (box.width + o.width) / 2 - abs(box.x - o.x))
            * max(0.0, (box.height + o.height) / 2 - abs(box.y - o.y))
            for o in taken
            if box.overlaps(o)
        )

    return next((box for box in spots if not any(box.overlaps(o) for o in taken)), min(spots, key=covered))
