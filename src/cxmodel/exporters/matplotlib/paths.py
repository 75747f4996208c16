"""Paths and funnels as horizontal bars."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from attrs import field, frozen

from cxmodel.analysis.funnels import FunnelStep, FunnelTable
from cxmodel.analysis.paths import Path, PathTable, TopPaths
from cxmodel.exporters.labels import elided, percent, visible
from cxmodel.exporters.matplotlib.drawing import FigureExporter, Pen
from cxmodel.exporters.matplotlib.rows import MOST_ROWS, Panel, Row, limits_of, panels_figure
from cxmodel.model import validators

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@frozen(kw_only=True)
class PathsFigure(FigureExporter[TopPaths | PathTable]):
    """The most frequent paths, and all others as one bar.

    Attributes:
        most: Paths to show of a table of all.
    """

    name: ClassVar[str] = "matplotlib_paths"
    takes: ClassVar[tuple[type, ...]] = (TopPaths, PathTable)

    most: int = field(default=12, validator=[validators.ge(0), validators.le(MOST_ROWS)])

    def heading(self, obj: TopPaths | PathTable) -> str:
        """What is shown."""
        return self.title or "Most frequent paths"

    def alt_text(self, obj: TopPaths | PathTable) -> str:
        """Journeys, distinct paths, the first ones and the remainder."""
        top = self._top(obj)
        parts = [f"{self.heading(obj)}: {top.journeys:,} journeys on {top.distinct:,} distinct paths."]
        parts += [
            f"{' then '.join(map(visible, path.touchpoints))}: {path.count:,} ({percent(path.share)})."
            for path in top.shown[:3]
        ]
        return " ".join([*parts, f"Other paths: {top.other.count:,} journeys ({percent(top.other.share)})."])

    def draw(self, obj: TopPaths | PathTable, pen: Pen) -> Figure:
        """One row per path."""
        top = self._top(obj)
        rows = [
            Row(
                label=_spelled(path), value=path.share,
                cells=(f"{path.count:,}", percent(path.share)),
            )
            for path in top.shown
        ]  # fmt: skip
        if top.other.paths:
            rows.append(
                Row(
                    label=f"{top.other.paths:,} other paths (no bar)", value=0.0,
                    cells=(f"{top.other.count:,}", percent(top.other.share)),
                )
            )  # fmt: skip
        panel = Panel(
            rows=rows, heads=("journeys", "share"), axis="share of journeys", limits=limits_of(rows, 0.0, 1.0),
            percent=True, width=52, lines=4,
        )  # fmt: skip
        caption = f"{top.journeys:,} journeys on {top.distinct:,} distinct paths."
        return panels_figure(pen, self.heading(obj), caption, [panel])

    def _top(self, obj: TopPaths | PathTable) -> TopPaths:
        return obj.top(self.most) if isinstance(obj, PathTable) else obj


@frozen(kw_only=True)
class FunnelFigure(FigureExporter[FunnelTable]):
    """Journeys that reach each step, with the share of the step before and the median wait."""

    name: ClassVar[str] = "matplotlib_funnel"
    takes: ClassVar[tuple[type, ...]] = (FunnelTable,)

    def heading(self, obj: FunnelTable) -> str:
        """First and last step."""
        if self.title or not obj.steps:
            return self.title or "Funnel"
        return f"Funnel from {elided(obj.steps[0].touchpoint, 30)} to {elided(obj.steps[-1].touchpoint, 30)}"

    def alt_text(self, obj: FunnelTable) -> str:
        """Every step with its count and share."""
        steps = [f"{visible(step.touchpoint)} {step.reached:,} ({_share(step)})" for step in obj.steps]
        return f"{self.heading(obj)}, of {obj.journeys:,} journeys: {'; '.join(steps)}."

    def draw(self, obj: FunnelTable, pen: Pen) -> Figure:
        """One row per step."""
        rows = [
            Row(
                label=step.touchpoint, value=step.reached,
                cells=(f"{step.reached:,}", _share(step), _interval(step), _wait(step.wait_median_s)),
            )
            for step in obj.steps
        ]  # fmt: skip
        level = next((s.of_previous.interval.level for s in obj.steps if s.of_previous.interval is not None), 0.95)
        panel = Panel(
            rows=rows, heads=("journeys", "of previous", f"{level:.0%} interval", "median wait"), axis="journeys",
            limits=limits_of(rows, 0.0, float("inf")),
        )  # fmt: skip
        first = obj.steps[0].reached if obj.steps else 0
        caption = f"{first:,} of {obj.journeys:,} journeys begin; steps in order, others may lie between"
        if obj.within_s is not None:
            caption += f"; all within {_wait(obj.within_s)} of the first"
        return panels_figure(pen, self.heading(obj), f"{caption}.", [panel])


def _spelled(path: Path) -> str:
    """The path, to be broken only between touchpoints."""
    names = [elided(name, 40).replace(" ", "\u00a0") for name in path.touchpoints]
    return " →\u00a0".join(names)


def _share(step: FunnelStep) -> str:
    return "–" if step.of_previous.value is None else f"{step.of_previous.value:.1%}"


def _interval(step: FunnelStep) -> str:
    interval = step.of_previous.interval
    return "–" if interval is None else f"{interval.low:.1%} to {interval.high:.1%}"


def _wait(seconds: float | None) -> str:
    """A duration in its largest fitting unit."""
    if seconds is None:
        return "–"
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{timedelta(seconds=seconds).total_seconds():.3g} s"
