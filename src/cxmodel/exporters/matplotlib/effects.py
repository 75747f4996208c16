"""Drivers and impact as bars side by side, always with the sign and the interval."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar, Final

from attrs import frozen

from cxmodel.analysis.driver_results import DriverTable
from cxmodel.analysis.impact_results import ImpactTable
from cxmodel.exporters.matplotlib.drawing import FigureExporter, Pen
from cxmodel.exporters.matplotlib.measures import aligned, caption, suppressed, told
from cxmodel.exporters.matplotlib.rows import MOST_ROWS, Panel, multiples_figure
from cxmodel.model.estimates import Estimate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DRIVERS: Final = {
    "share": "share of R², no sign", "coefficient": "coefficient", "penalty": "bad answers", "reward": "best answers"
}  # fmt: skip
_IMPACT: Final = {
    "population": "impact on all", "effect": "effect where passed", "relative": "relative impact", "reach": "reach"
}  # fmt: skip
_WARNINGS: Final = {
    "unadjusted": "Nothing was held constant but the history: what else differs is in these numbers.",
    "structural_lift": "A placebo in place of a touchpoint has an effect too (structural_lift): part is length.",
    "out_of_range": "Without it the share that is expected lies below 0 or above 1: too little is comparable.",
    "control_failed": "A negative control failed: do not read these numbers as effects.",
}


@frozen(kw_only=True)
class DriverFigure(FigureExporter[DriverTable]):
    """What drives a score: shares of R², and the signed coefficients, penalties and rewards beside them."""

    name: ClassVar[str] = "matplotlib_drivers"
    takes: ClassVar[tuple[type, ...]] = (DriverTable,)
    rank: ClassVar[int] = 50

    def heading(self, obj: DriverTable) -> str:
        """The score."""
        return self.title or f"What drives {obj.of}"

    def alt_text(self, obj: DriverTable) -> str:
        """The largest share and the smallest, and the signs."""
        signs = ", ".join(f"{name} {each.sign}" for name, each in list(obj.items())[:MOST_ROWS])
        return f"{self.heading(obj)}. Shares of R²: {told(dict(obj.shares))} Signs: {signs}."

    def draw(self, obj: DriverTable, pen: Pen) -> Figure:
        """One panel per quantity, drivers in the same order in each; the sign stands behind the name."""
        shown = list(obj.items())[:MOST_ROWS]
        named = {
            quantity: [(f"{name} ({each.sign})", each.quantities[quantity]) for name, each in shown]
            for quantity in _DRIVERS
        }
        r2 = "R² is not known" if obj.r2.value is None else f"R² {obj.r2.value:.3f}"
        words = f"{r2}, {obj.n:,} rows. {caption(named['share'])} An association, not an effect."
        foot = [
            "Behind the name: the sign of the coefficient, ? where its interval holds 0.", suppressed(named["share"]),
            _more(len(obj) - len(shown), "drivers"),
        ]  # fmt: skip
        return multiples_figure(pen, self.heading(obj), words, _panels(named, _DRIVERS, "share"), foot=foot)


@frozen(kw_only=True)
class ImpactFigure(FigureExporter[ImpactTable]):
    """Impact by touchpoint: on all journeys, where passed, relative, and reach, with what to mind."""

    name: ClassVar[str] = "matplotlib_impact"
    takes: ClassVar[tuple[type, ...]] = (ImpactTable,)
    rank: ClassVar[int] = 50

    def heading(self, obj: ImpactTable) -> str:
        """The outcome."""
        return self.title or f"Estimated impact on {obj.outcome}"

    def alt_text(self, obj: ImpactTable) -> str:
        """The largest impact and the smallest, and the warnings."""
        found = told({name: each.population for name, each in obj.items()})
        return " ".join([f"{self.heading(obj)}.", found, *_warnings(obj)])

    def draw(self, obj: ImpactTable, pen: Pen) -> Figure:
        """One panel per quantity, the largest impact first; those without one stand last."""
        order = sorted(
            obj.items(), key=lambda item: (item[1].population.value is None, -(item[1].population.value or 0))
        )
        shown = order[:MOST_ROWS]
        named = {q: [(name, each.quantities[q]) for name, each in shown] for q in _IMPACT}
        held = ", ".join((*obj.adjusted_for, "history"))
        words = f"{obj.journeys:,} journeys. Held constant: {held}. {caption(named['population'])}"
        if obj.holdout is not None and obj.holdout.value is not None:
            words = f"Randomised hold-out: {obj.holdout}. {words}"
        foot = [*_warnings(obj), suppressed(named["effect"]), _more(len(obj) - len(shown), "touchpoints")]
        return multiples_figure(pen, self.heading(obj), words, _panels(named, _IMPACT, "population"), foot=foot)


def _panels(
    named: Mapping[str, Sequence[tuple[str, Estimate]]], headings: Mapping[str, str], first: str
) -> list[Panel]:  # fmt: skip
    """Panels of the quantities that have values; the first stands in any case."""
    return [
        aligned(rows, heading=headings[quantity])
        for quantity, rows in named.items()
        if quantity == first or any(each.value is not None for _, each in rows)
    ]


def _warnings(table: ImpactTable) -> list[str]:
    flagged = {flag: [name for name, each in table.items() if flag in each.flags] for flag in _WARNINGS}
    return [
        words if len(flagged[flag]) == len(table) else f"{words} So with {', '.join(flagged[flag])}."
        for flag, words in _WARNINGS.items()
        if flagged[flag]
    ]


def _more(count: int, what: str) -> str:
    return f"{count:,} more {what} are not shown." if count > 0 else ""
