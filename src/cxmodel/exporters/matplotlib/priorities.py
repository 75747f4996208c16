"""Priorities as bars side by side: what the order rests on, one panel per quantity."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from attrs import frozen

from cxmodel.analysis.priority_results import PriorityTable
from cxmodel.exporters.matplotlib.drawing import FigureExporter, Pen
from cxmodel.exporters.matplotlib.measures import aligned, caption, suppressed, told
from cxmodel.exporters.matplotlib.rows import MOST_ROWS, multiples_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SHOWN: Final = ("priority", "reach", "shortfall", "pain", "effort", "wait", "impact")
_RULES: Final = {
    "shortfall": "reach × shortfall of the mean score", "pain": "reach × share of bad answers",
    "pareto": "Pareto fronts of reach, shortfall and effort",
}  # fmt: skip


@frozen(kw_only=True)
class PriorityFigure(FigureExporter[PriorityTable]):
    """What to fix first: touchpoints from the most pressing, with what the order rests on."""

    name: ClassVar[str] = "matplotlib_priorities"
    takes: ClassVar[tuple[type, ...]] = (PriorityTable,)
    rank: ClassVar[int] = 50

    def heading(self, obj: PriorityTable) -> str:
        """The rule."""
        return self.title or f"What to fix first: {_RULES.get(obj.rule, obj.rule)}"

    def alt_text(self, obj: PriorityTable) -> str:
        """The most pressing and the least."""
        return f"{self.heading(obj)}. {told(dict(obj.priorities))}"

    def draw(self, obj: PriorityTable, pen: Pen) -> Figure:
        """One panel per quantity with a value, touchpoints in the same order in each."""
        shown = list(obj)[:MOST_ROWS]
        named = {q: [(name, obj[name].quantities[q]) for name in shown] for q in _SHOWN}
        some = {q: rows for q, rows in named.items() if q == "priority" or any(e.value is not None for _, e in rows)}
        panels = [aligned(rows, heading=quantity) for quantity, rows in some.items()]
        words = f"{obj.journeys:,} journeys, question {obj.question}. {caption(named['priority'])}"
        more = len(obj) - len(shown)
        foot = [suppressed(named["priority"]), _order(obj), f"{more:,} more touchpoints are not shown." if more else ""]
        return multiples_figure(pen, self.heading(obj), words, panels, foot=foot)


def _order(table: PriorityTable) -> str:
    """How sure the first three are."""
    shares = [(name, table.in_top(name)) for name in list(table)[:3]]
    known = [f"{name} {share:.0%}" for name, share in shares if share is not None]
    return f"Among the first three in replicates of the customers: {', '.join(known)}." if known else ""
