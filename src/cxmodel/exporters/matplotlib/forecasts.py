"""Reliability of an outlook: the chances that were foretold against what came of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from attrs import frozen

from cxmodel.analysis.forecasts import ForecastCheck
from cxmodel.exporters.colours import BLUE, INK, QUIET, VERMILLION
from cxmodel.exporters.labels import percent, visible
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
    from matplotlib.figure import Figure

_PLOT: Final = 300.0
_LEFT: Final = 62.0
_BELOW: Final = 36.0


@frozen(kw_only=True)
class ReliabilityFigure(FigureExporter[ForecastCheck]):
    """Chances of the goal in bins, with bands that hold together; on the line what was foretold is what came."""

    name: ClassVar[str] = "matplotlib_reliability"
    takes: ClassVar[tuple[type, ...]] = (ForecastCheck,)

    def heading(self, obj: ForecastCheck) -> str:
        """The goal."""
        return self.title or f"Reliability of the chance of {visible(obj.goal)}"

    def alt_text(self, obj: ForecastCheck) -> str:
        """How many bins are reliable, the slope, and each bin that is not."""
        parts = [f"{self.heading(obj)}. {_inside(obj)} {_slope(obj)}."]
        parts += [
            f"Foretold {percent(each.forecast)}, came {percent(each.observed)} ({each.n:,} forecasts)."
            for each in obj.bins
            if not each.inside
        ]
        return " ".join(parts)

    def draw(self, obj: ForecastCheck, pen: Pen) -> Figure:
        """One dot and one band a bin."""
        caption = f"{_inside(obj)} {_slope(obj)}: 1 is right, below 1 is too sure."
        foot = f"Bands hold together with {obj.level:.0%}, clustered by customer. "
        foot += f"{sum(each.n for each in obj.bins):,} forecasts; {obj.journeys:,} later journeys."
        width = MARGIN + _LEFT + _PLOT + 2 * MARGIN
        head = head_lines(pen, self.heading(obj), caption, width - 2 * MARGIN)
        notes = [line for text in (foot, pen.note) if text for line in pen.lines(text, width=int(width / 5.4), most=6)]
        height = head_height(head) + 2 * MARGIN + _PLOT + _BELOW + 12.5 * len(notes)
        figure = sized(width, height)
        bottom = height - head_height(head) - MARGIN - _PLOT
        axes = figure.add_axes(
            ((MARGIN + _LEFT) / width, bottom / height, _PLOT / width, _PLOT / height), xlim=(0, 1), ylim=(0, 1)
        )
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1.0, linestyle="--")
        for each in obj.bins:
            colour = BLUE if each.inside else VERMILLION
            axes.plot([each.forecast] * 2, [each.low, each.high], color=colour, linewidth=2.0, clip_on=False)
            # the dot differs as well, so that the colour is not all that tells
            axes.plot(
                [each.forecast], [each.observed], marker="o" if each.inside else "D", color=colour, markersize=6,
                clip_on=False,
            )  # fmt: skip
        ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
        axes.set_xticks(ticks, [percent(each) for each in ticks], size=9)
        axes.set_yticks(ticks, [percent(each) for each in ticks], size=9)
        axes.set_xlabel(pen.line("chance that was foretold"), size=9, color=INK)
        axes.set_ylabel(pen.line("share that reached it (◆ foretold outside the band)"), size=9, color=INK)
        axes.spines[["top", "right"]].set_visible(False)
        write_head(figure, head)
        write_foot(figure, notes)
        return figure


def _slope(obj: ForecastCheck) -> str:
    slope = obj.slope
    if slope.value is None or slope.interval is None:
        return f"No calibration slope ({slope.reason})"
    return f"Calibration slope {slope.value:.2f}, {slope.interval.low:.2f} to {slope.interval.high:.2f}"


def _inside(obj: ForecastCheck) -> str:
    return f"{sum(each.inside for each in obj.bins)} of {len(obj.bins)} bins lie inside their bands."
