"""Rows of horizontal bars with intervals: the frame that breakdowns, credit, funnels and paths share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from attrs import frozen

from cxmodel.exporters.colours import BLUE, INK, QUIET
from cxmodel.exporters.matplotlib.drawing import (
    MARGIN,
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

MOST_ROWS: Final = 40
_PLOT: Final = 320.0
_SMALL: Final = 130.0
_LABEL: Final = 9.5
_CELL: Final = 9.0
_GAP: Final = 12.0
_STEP: Final = 24.0
_FARTHEST: Final = 1e15
_FINEST: Final = 1e-9
_LINE: Final = 11.5


@frozen(kw_only=True)
class Row:
    """One bar.

    Attributes:
        label: What it is of.
        value: Where it ends.
        low: Lower end of its interval.
        high: Upper end.
        cells: Texts to its right, one per column.
    """

    label: str
    value: float
    low: float | None = None
    high: float | None = None
    cells: tuple[str, ...] = ()


@frozen(kw_only=True)
class Panel:
    """Rows under one heading.

    Attributes:
        heading: What the panel shows; empty for a single one.
        rows: The bars, from the top.
        heads: Headings of the cells.
        axis: Label of the axis.
        limits: Ends of the axis.
        percent: Whether the axis is told in percent.
        dots: Whether values stand as dots, because zero means nothing on their scale.
        width: Most signs in a line of a label.
        lines: Most lines of a label.
    """

    heading: str = ""
    rows: Sequence[Row]
    heads: tuple[str, ...]
    axis: str
    limits: tuple[float, float]
    percent: bool = False
    dots: bool = False
    width: int = 28
    lines: int = 2


def limits_of(rows: Sequence[Row], least: float, most: float, *, dots: bool = False) -> tuple[float, float]:
    """Ends of an axis that holds all values and intervals; with zero, unless values stand as dots."""
    ends = [e for row in rows for e in (row.value, row.low, row.high) if e is not None and math.isfinite(e)]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    if not dots:
        low, high = min(low, 0.0), max(high, 0.0)
    low, high = max(low, -_FARTHEST), min(high, _FARTHEST)
    room = max(0.04 * (high - low), _FINEST, 1e-9 * max(abs(low), abs(high)))
    left = low - room if low < 0 or dots else low
    right = high + room if high > 0 or dots else high
    # a scale that ends at 100 % leaves no room beyond, unless something stands there
    left, right = max(left, min(least, low)), min(right, max(most, high))
    return (left, right) if right - left > _FINEST / 2 else (left, left + 1.0)


def panels_figure(pen: Pen, title: str, caption: str, panels: Sequence[Panel], *, foot: Sequence[str] = ()) -> Figure:
    """A figure of one panel, or of several below one another, all on one width."""
    labels = [[pen.lines(row.label, width=p.width, most=p.lines) for row in p.rows] for p in panels]
    left = max((pen.width(line, _LABEL) for each in labels for lines in each for line in lines), default=0.0)
    cells = _cell_widths(pen, panels)
    width = MARGIN + left + _GAP + _PLOT + sum(cells) + _GAP * (len(cells) + 1) + MARGIN
    head = head_lines(pen, title, caption, width - 2 * MARGIN)
    notes = [line for text in (*foot, pen.note) if text for line in pen.lines(text, width=int(width / 5.4), most=6)]
    heights = [[_row_height(lines) for lines in each] or [_STEP] for each in labels]
    tall = [sum(hs) + 52.0 + (18.0 if panel.heading else 0.0) for hs, panel in zip(heights, panels, strict=True)]
    height = head_height(head) + sum(tall) + 12.5 * len(notes) + MARGIN
    figure = sized(width, height)
    top = head_height(head)
    for panel, lines, hs, size in zip(panels, labels, heights, tall, strict=True):
        heading = 18.0 if panel.heading else 0.0
        if panel.heading:
            text = pen.line(panel.heading)
            figure.text(
                (MARGIN + left + _GAP) / width, 1 - (top + 4.0) / height, text, size=11, weight="bold", va="top"
            )
        box = (MARGIN + left + _GAP, top + heading + 16.0, _PLOT, sum(hs))
        axes = figure.add_axes((box[0] / width, 1 - (box[1] + box[3]) / height, box[2] / width, box[3] / height))
        _draw_panel(axes, pen, panel, lines, hs, cells)
        top += size
    write_head(figure, head)
    write_foot(figure, notes)
    return figure


def multiples_figure(
    pen: Pen, title: str, caption: str, panels: Sequence[Panel], *, foot: Sequence[str] = ()
) -> Figure:
    """Panels side by side on one scale; their rows are the same, so labels stand once."""
    labels = [pen.lines(row.label, width=panels[0].width, most=2) for row in panels[0].rows]
    left = MARGIN + max((pen.width(line, _LABEL) for lines in labels for line in lines), default=0.0) + _GAP
    cell = max(_cell_widths(pen, panels), default=0.0)
    each = _SMALL + cell + 3 * _GAP
    width = left + each * len(panels) + MARGIN
    head = head_lines(pen, title, caption, width - 2 * MARGIN)
    notes = [line for text in (*foot, pen.note) if text for line in pen.lines(text, width=int(width / 5.4), most=6)]
    heights = [_row_height(lines) for lines in labels] or [_STEP]
    height = head_height(head) + 34.0 + sum(heights) + 40.0 + 12.5 * len(notes) + MARGIN
    figure = sized(width, height)
    bottom = 1 - (head_height(head) + 34.0 + sum(heights)) / height
    for i, panel in enumerate(panels):
        x = left + i * each
        axes = figure.add_axes((x / width, bottom, _SMALL / width, sum(heights) / height))
        _draw_panel(axes, pen, panel, labels if i == 0 else [[]] * len(labels), heights, [cell])
        text = pen.line(panel.heading)
        figure.text(x / width, bottom + (sum(heights) + 16.0) / height, text, size=10.5, weight="bold", va="bottom")
    write_head(figure, head)
    write_foot(figure, notes)
    return figure


def _row_height(lines: Sequence[str]) -> float:
    return max(_STEP, _LINE * len(lines) + 9.0)


def _cell_widths(pen: Pen, panels: Sequence[Panel]) -> list[float]:
    columns = max((len(panel.heads) for panel in panels), default=0)
    return [
        max(
            [pen.width(p.heads[i], _CELL) for p in panels if i < len(p.heads)]
            + [pen.width(pen.line(row.cells[i]), _CELL) for p in panels for row in p.rows if i < len(row.cells)]
        )
        for i in range(columns)
    ]


def _draw_panel(
    axes: Axes,
    pen: Pen,
    panel: Panel,
    labels: Sequence[Sequence[str]],
    heights: Sequence[float],
    cells: Sequence[float],
) -> None:
    ys = [sum(heights[:i]) + height / 2 for i, height in enumerate(heights)]
    axes.set_ylim(sum(heights), 0.0)
    axes.set_xlim(*panel.limits)
    for row, lines, y, height in zip(panel.rows, labels, ys, heights, strict=False):
        (_draw_dot if panel.dots else _draw_bar)(axes, row, y, min(height, _STEP))
        axes.annotate(
            "\n".join(lines), (0, y), xycoords=("axes fraction", "data"), xytext=(-_GAP * 0.6, 0),
            textcoords="offset points", ha="right", va="center", size=_LABEL, annotation_clip=False,
        )  # fmt: skip
        _write_cells(axes, [pen.line(cell) for cell in row.cells], y, cells)
    _write_cells(axes, panel.heads, -7.0, cells, colour=QUIET)
    axes.set_yticks([])
    axes.set_xlabel(pen.line(panel.axis), size=9, color=QUIET)
    axes.tick_params(axis="x", labelsize=8.5, colors=QUIET, length=0)
    axes.xaxis.set_major_formatter(_in_percent if panel.percent else _in_figures)
    axes.grid(axis="x", color="#e6e6e6", linewidth=0.8, zorder=0)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    if not panel.dots:
        axes.axvline(0.0, color=INK, linewidth=0.8, zorder=3)


def _in_percent(share: float, _: object) -> str:
    return f"{share * 100:.3g}%".replace("-", "−")


def _in_figures(value: float, _: object) -> str:
    return f"{value:,.6g}".replace("-", "−")


def _write_cells(axes: Axes, cells: Sequence[str], y: float, widths: Sequence[float], colour: str = INK) -> None:
    x = _GAP
    for text, width in zip(cells, widths, strict=False):
        x += width
        axes.annotate(
            text, (1, y), xycoords=("axes fraction", "data"), xytext=(x, 0), textcoords="offset points", ha="right",
            va="center", size=_CELL, color=colour, annotation_clip=False,
        )  # fmt: skip
        x += _GAP


def _draw_bar(axes: Axes, row: Row, y: float, height: float) -> None:
    value = _within(axes, row.value)
    axes.barh(y, value, height=0.62 * height, color="#8fc1e0", edgecolor="none", zorder=2)
    _draw_interval(axes, row, y)
    if row.low is not None:
        axes.plot([value], [y], marker="o", markersize=4.5, color=BLUE, zorder=5)


def _draw_dot(axes: Axes, row: Row, y: float, height: float) -> None:
    _draw_interval(axes, row, y)
    axes.plot([_within(axes, row.value)], [y], marker="o", markersize=6, color=BLUE, zorder=5)


def _within(axes: Axes, value: float) -> float:
    least, most = axes.get_xlim()
    return min(max(value, least), most)


def _draw_interval(axes: Axes, row: Row, y: float) -> None:
    if row.low is None or row.high is None:
        return
    least, most = axes.get_xlim()
    axes.hlines(y, _within(axes, row.low), _within(axes, row.high), color=BLUE, linewidth=1.6, zorder=4)
    for end in (row.low, row.high):
        if least <= end <= most:
            axes.plot([end], [y], marker="|", markersize=7, markeredgewidth=1.6, color=BLUE, zorder=4)
