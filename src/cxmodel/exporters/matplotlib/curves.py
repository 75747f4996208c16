"""The emotion curve: mean scores along the journey over the neutral line, with whiskers and a band."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import frozen

from cxmodel.analysis.emotion_curve import CurvePoint, CurveTable
from cxmodel.exporters.colours import BLUE, INK, LINE, QUIET
from cxmodel.exporters.labels import visible
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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_POINTS: Final = 40
_PLOT: Final = 230.0
_STEP: Final = 58.0
_LINE: Final = 11.5
_LEFT: Final = 46.0
_TINT: Final = "#dcebf5"


@frozen(kw_only=True)
class EmotionCurveFigure(FigureExporter[CurveTable]):
    """The emotion curve: a line of mean scores, whiskers for each point, a band for the curve, the neutral line."""

    name: ClassVar[str] = "matplotlib_emotion_curve"
    takes: ClassVar[tuple[type, ...]] = (CurveTable,)

    def heading(self, obj: CurveTable) -> str:
        """Question and axis."""
        return self.title or f"Emotion curve: {visible(obj.question)} by {obj.along}"

    def alt_text(self, obj: CurveTable) -> str:
        """Highest and lowest point, and n."""
        words = f"{self.heading(obj)}. {len(obj.points):,} points, {obj.answers:,} answers, neutral {obj.neutral:g}."
        known = [(point.value, point) for point in obj.points if point.value is not None]
        if not known:
            return f"{words} No point has a value."
        high, low = max(known, key=lambda each: each[0]), min(known, key=lambda each: each[0])
        told = [f"{word}: {visible(p.label)} {v:.2f} (n={p.n:,})." for word, (v, p) in
                (("Highest", high), ("Lowest", low))]  # fmt: skip
        return " ".join([words, *told])

    def draw(self, obj: CurveTable, pen: Pen) -> Figure:
        """The axes with one place per point, label and n below it."""
        points = obj.points[:MOST_POINTS]
        width = MARGIN + _LEFT + max(_STEP * max(len(points), 1), 300.0) + MARGIN
        head = head_lines(pen, self.heading(obj), _caption(obj), width - 2 * MARGIN)
        notes = [line for text in (*_foot(obj), pen.note) if text
                 for line in pen.lines(text, width=int(width / 5.4), most=4)]  # fmt: skip
        labels = [[*pen.lines(point.label, width=10, most=3), f"n={point.n:,}"] for point in points]
        below = _LINE * max((len(lines) for lines in labels), default=1) + 14.0
        top = head_height(head) + 6.0
        height = top + _PLOT + below + 12.5 * len(notes) + MARGIN
        figure = sized(width, height)
        box = ((MARGIN + _LEFT) / width, 1 - (top + _PLOT) / height, 1 - (2 * MARGIN + _LEFT) / width, _PLOT / height)
        axes = figure.add_axes(box)
        _frame(axes, obj, labels)
        _curve(axes, points)
        write_head(figure, head)
        write_foot(figure, notes)
        return figure


def _frame(axes: Axes, obj: CurveTable, labels: Sequence[Sequence[str]]) -> None:
    low, high = obj.scale
    room = 0.04 * (high - low)
    axes.set_xlim(-0.5, max(len(labels), 1) - 0.5)
    axes.set_ylim(low - room, high + room)
    if obj.direction == "lower":
        axes.invert_yaxis()
    axes.axhline(obj.neutral, color=LINE, linewidth=0.9, linestyle=(0, (4, 3)), zorder=1)
    axes.set_xticks(range(len(labels)), ["\n".join(lines) for lines in labels], size=9)
    axes.tick_params(axis="y", labelsize=9, colors=QUIET)
    axes.tick_params(axis="x", length=0, colors=INK)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _curve(axes: Axes, points: Sequence[CurvePoint]) -> None:
    """Band, line, whiskers and dots; a point without a value breaks the line."""
    nan = float("nan")
    at = list(range(len(points)))
    values = [nan if point.value is None else point.value for point in points]
    low = [nan if point.band_low is None else point.band_low for point in points]
    high = [nan if point.band_high is None else point.band_high for point in points]
    if points:
        axes.fill_between(at, low, high, color=_TINT, linewidth=0, zorder=0)
        axes.plot(at, values, color=BLUE, linewidth=1.6, zorder=3)
    for x, point in enumerate(points):
        if point.value is None:
            continue
        if point.low is not None and point.high is not None:
            axes.plot([x, x], [point.low, point.high], color=INK, linewidth=1.1, zorder=2)
        face = "white" if point.small_n else BLUE
        axes.plot([x], [point.value], marker="o", markersize=6.5, markerfacecolor=face, markeredgecolor=BLUE, zorder=4)


def _caption(obj: CurveTable) -> str:
    way = {"higher": "higher is better", "lower": "lower is better and stands on top", "none": "no better end"}
    words = [f"{obj.answers:,} answers; mean score, {way[obj.direction]}. Dashed: neutral {obj.neutral:g}."]
    words += [f"Lines: {obj.level:.0%} interval of a point, by customer."]
    if obj.band_factor is not None:
        words += [f"Band: holds the whole curve at {obj.level:.0%}."]
    if any(point.small_n and point.value is not None for point in obj.points):
        words += ["Open dots: fewer than 30 answers."]
    return " ".join(words)


def _foot(obj: CurveTable) -> list[str]:
    without = [visible(point.label) for point in obj.points if point.value is None]
    notes = [f"No value (too few answers): {', '.join(without[:8])}{'…' if len(without) > 8 else ''}."] * bool(without)
    rest = [(obj.elsewhere, "about touchpoints without a point"), (obj.unassigned, "about the journey as a whole")]
    told = [f"{count:,} {words}" for count, words in rest if count]
    notes += [f"Answers not shown: {'; '.join(told)}."] * bool(told)
    more = len(obj.points) - MOST_POINTS
    notes += [f"{more:,} more points are not shown."] * (more > 0)
    return notes
