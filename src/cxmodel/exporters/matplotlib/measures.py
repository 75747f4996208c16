"""Estimates by group as bars with intervals: any breakdown of estimates, and credit."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from attrs import evolve, frozen

from cxmodel.analysis.credits import CreditComparison, CreditTable
from cxmodel.exporters.colours import figure as number
from cxmodel.exporters.labels import elided, visible
from cxmodel.exporters.matplotlib.drawing import FigureExporter, Pen
from cxmodel.exporters.matplotlib.rows import MOST_ROWS, Panel, Row, limits_of, multiples_figure, panels_figure
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate, no_value
from cxmodel.model.transitions import Transition

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NOT_CAUSE: Final = "Credit says where converting journeys passed, not what a touchpoint caused."
_NAMES: Final = {"nps": "NPS", "csat": "CSAT", "ces1": "Customer effort (CES 1)", "ces2": "Customer effort (CES 2)"}


@frozen(kw_only=True)
class BreakdownFigure(FigureExporter[Breakdown[Any, Any]]):
    """A breakdown of estimates as horizontal bars with intervals; as dots where zero means nothing on the scale."""

    name: ClassVar[str] = "matplotlib_bars"
    takes: ClassVar[tuple[type, ...]] = (Breakdown,)

    def missing(self, obj: object, extension: str) -> str | None:
        """Groups that hold something else than estimates."""
        if isinstance(obj, Breakdown):
            for key, each in obj.items():
                if not isinstance(each, Estimate):
                    return f"its groups hold {type(each).__name__} results; draw one of them: result[{key!r}]"
        return None

    def heading(self, obj: Breakdown[Any, Any]) -> str:
        """Metric and grouping."""
        return self.title or f"{spoken(obj.metric)} by {' and '.join(map(spoken_group, obj.by))}"

    def alt_text(self, obj: Breakdown[Any, Any]) -> str:
        """Highest and lowest group, and n."""
        return f"{self.heading(obj)}. {told({group_label(key): each for key, each in obj.items()})}"

    def draw(self, obj: Breakdown[Any, Any], pen: Pen) -> Figure:
        """One row per group."""
        named = [(group_label(key), each) for key, each in obj.items()]
        foot = [suppressed(named)]
        if obj.unassigned is not None:
            foot.append(f"Without a {obj.by[0]}: {obj.unassigned}.")
        if obj.overlapping:
            foot.append("One observation may stand in several groups, so groups must not be summed.")
        return panels_figure(pen, self.heading(obj), caption(named), [panel(named)], foot=[*foot, hidden(named)])


@frozen(kw_only=True)
class CreditFigure(FigureExporter[CreditTable | CreditComparison]):
    """Credit by touchpoint as bars with intervals; several models below one another on one scale."""

    name: ClassVar[str] = "matplotlib_credit"
    takes: ClassVar[tuple[type, ...]] = (CreditTable, CreditComparison)
    rank: ClassVar[int] = 55

    def heading(self, obj: CreditTable | CreditComparison) -> str:
        """Model and goal."""
        tables = _tables(obj)
        goals = ", ".join(dict.fromkeys(table.goal for table in tables.values()))
        what = spoken(next(iter(tables))) if len(tables) == 1 else "Credit"
        return self.title or f"{what} for {goals or 'no goal'}"

    def alt_text(self, obj: CreditTable | CreditComparison) -> str:
        """Highest and lowest touchpoint of each model."""
        parts = [f"{spoken(name)}: {told(dict(table))}" for name, table in _tables(obj).items()]
        return " ".join([f"{self.heading(obj)}.", *parts])

    def draw(self, obj: CreditTable | CreditComparison, pen: Pen) -> Figure:
        """One panel per model, touchpoints in the same order in each."""
        tables = _tables(obj)
        order = _by_credit(list(tables.values()))[:MOST_ROWS]
        rows = {name: [*_of(table, order), ("no touchpoint before", table.direct)] for name, table in tables.items()}
        everything = [row for each in rows.values() for row in each]
        conversions = max((table.conversions for table in tables.values()), default=0)
        words = f"{conversions:,} conversions. {caption(everything)} {_NOT_CAUSE}"
        more = max((len(table) for table in tables.values()), default=0) - len(order)
        foot = [suppressed(everything), f"{more:,} more touchpoints are not shown." if more else ""]
        if len(rows) == 1:
            one = panel(next(iter(rows.values())), axis=_unit(tables), most=MOST_ROWS + 1)
            return panels_figure(pen, self.heading(obj), words, [one], foot=foot)
        scale = limits_of([row for _, row in _drawn(everything)], 0.0, math.inf)
        panels = [aligned(each, heading=spoken(name), limits=scale, axis=_unit(tables)) for name, each in rows.items()]
        return multiples_figure(pen, self.heading(obj), words, panels, foot=foot) if panels else panels_figure(
            pen, self.heading(obj), words, [panel([])]
        )  # fmt: skip


def _of(table: CreditTable, order: Sequence[str]) -> list[tuple[str, Estimate]]:
    """The touchpoints in order; one that a model gives nothing has no value there."""
    none = no_value("the model does not know it")
    return [(name, table.get(name, none)) for name in order]


def _unit(tables: Mapping[str, CreditTable]) -> str:
    """Conversions, or the unit of their values."""
    return next((table.direct.unit for table in tables.values() if table.value is not None), "conversions")


def aligned(
    named: Sequence[tuple[str, Estimate]], *, heading: str, limits: tuple[float, float] | None = None, axis: str = ""
) -> Panel:
    """A panel to stand beside others: its values are the only cells, and every name has a row, with a value or not."""
    one = panel(named, heading=heading, limits=limits, axis=axis, most=len(named))
    drawn = iter(one.rows)
    rows = [
        Row(label=label, value=0.0, cells=("–",)) if each.value is None else _value_only(next(drawn))
        for label, each in named
    ]
    return evolve(one, rows=rows, heads=("value",), dots=False)


def _value_only(row: Row) -> Row:
    return evolve(row, cells=row.cells[:1])


def _tables(obj: CreditTable | CreditComparison) -> Mapping[str, CreditTable]:
    return obj.models if isinstance(obj, CreditComparison) else {obj.metric: obj}


def _by_credit(tables: Sequence[CreditTable]) -> list[str]:
    total: dict[str, float] = {}
    for table in tables:
        for name, each in table.items():
            total[name] = total.get(name, 0.0) + (each.value or 0.0)
    return sorted(total, key=lambda name: (-total[name], name))


def panel(
    named: Sequence[tuple[str, Estimate]], *, heading: str = "", limits: tuple[float, float] | None = None,
    axis: str = "", most: int = MOST_ROWS,
) -> Panel:  # fmt: skip
    """The rows of groups that have a value."""
    drawn = _drawn(named)[:most]
    rows = [row for _, row in drawn]
    first = drawn[0][0] if drawn else None
    dots = first is not None and not first.range[0] <= 0 <= first.range[1]
    level = next((e.interval.level for e, _ in drawn if e.interval is not None), None)
    heads = ("value", f"{level:.0%} interval" if level is not None else "interval", "n")
    unit = "" if first is None else first.unit
    ends = limits or limits_of(rows, *(first.range if first else (0.0, 1.0)), dots=dots)
    return Panel(
        heading=heading,
        rows=rows,
        heads=heads,
        axis=axis or _axis(first),
        limits=ends,
        percent=unit == "share",
        dots=dots,
    )


def _axis(first: Estimate | None) -> str:
    if first is None:
        return "no group has a value"
    way = {"higher": " (higher is better)", "lower": " (lower is better)", "none": ""}[first.direction]
    return ("share" if first.unit == "share" else first.unit or "value") + way


def _drawn(named: Sequence[tuple[str, Estimate]]) -> list[tuple[Estimate, Row]]:
    known = [(label, each) for label, each in named if each.value is not None]
    largest = max((abs(each.require()) for _, each in known), default=0.0)
    return [(each, _row(label, each, 0 if largest >= 1000 else 1 if largest >= 10 else 2)) for label, each in known]


def _row(label: str, each: Estimate, decimals: int) -> Row:
    value, interval = each.require(), each.interval
    spec = ".1%" if each.unit == "share" else f",.{decimals}f"
    ends = "none"
    if interval is not None:
        ends = f"{_short(interval.low, spec)} to {_short(interval.high, spec)}"
    return Row(
        label=label, value=value, low=None if interval is None else interval.low,
        high=None if interval is None else interval.high,
        cells=(_short(value, spec), ends, f"{each.n:,}"),
    )  # fmt: skip


def _short(value: float, spec: str) -> str:
    if not math.isfinite(value):
        return "unbounded"
    return format(value, spec if abs(value) < 1e9 else ".3g").replace("-", "−")


def caption(named: Sequence[tuple[str, Estimate]]) -> str:
    """What the lines across the bars are."""
    methods = dict.fromkeys(e.interval.method for _, e in named if e.interval is not None and e.value is not None)
    levels = dict.fromkeys(e.interval.level for _, e in named if e.interval is not None and e.value is not None)
    if not methods:
        return "No intervals."
    return f"Lines: {' and '.join(f'{level:.0%}' for level in levels)} intervals ({'; '.join(methods)})."


def suppressed(named: Sequence[tuple[str, Estimate]]) -> str:
    """Groups without a value and why."""
    reasons: dict[str, list[str]] = {}
    for label, each in named:
        if each.value is None:
            reasons.setdefault(str(each.reason), []).append(elided(label, 24))
    parts = []
    for reason, labels in reasons.items():
        more = f" and {len(labels) - 8} more" if len(labels) > 8 else ""
        parts.append(f"No value ({elided(reason, 80)}): {', '.join(labels[:8])}{more}.")
    return " ".join(parts)


def hidden(named: Sequence[tuple[str, Estimate]]) -> str:
    """How many groups there was no room for."""
    more = sum(each.value is not None for _, each in named) - MOST_ROWS
    return f"{more:,} more groups are not shown." if more > 0 else ""


def told(groups: Mapping[str, Estimate]) -> str:
    """Estimates in words: how many groups, the highest, the lowest, and n."""
    known = {label: each for label, each in groups.items() if each.value is not None}
    words = f"{len(groups):,} groups, {len(groups) - len(known):,} without a value."
    if not known:
        return words
    high = max(known, key=lambda label: known[label].require())
    low = min(known, key=lambda label: known[label].require())

    def said(label: str) -> str:
        each = known[label]
        return f"{visible(label)} {number(each.require(), each.unit)} (n={each.n:,})"

    return f"{words} Highest: {said(high)}. Lowest: {said(low)}."


def group_label(key: object) -> str:
    """A group in words."""
    if isinstance(key, tuple) and not isinstance(key, Transition):
        return ", ".join(group_label(part) for part in key)
    return str(key)


def spoken(metric: str) -> str:
    """A metric's name for a heading.

    Example:
        >>> spoken("nps"), spoken("markov_credit")
        ('NPS', 'Markov credit')
    """
    words = visible(metric).replace("_", " ")
    return _NAMES.get(metric, words[:1].upper() + words[1:])


def spoken_group(name: str) -> str:
    """A grouping's name for a heading."""
    return visible(name).replace("_", " ")
