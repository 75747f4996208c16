"""Tables, numbers and durations for people who read a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast
from unicodedata import east_asian_width

_STEPS: Final = ((86_400.0, "d"), (3_600.0, "h"), (60.0, "min"), (1.0, "s"))


def table(head: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[int] = ()) -> str:
    """Columns side by side.

    Args:
        head: Names of the columns.
        rows: Cells as text.
        right: Columns whose cells end at the same place (numbers).
    """
    cells = [list(head), *([" ".join(cell.split()) for cell in row] for row in rows)]
    widths = [max(_width(row[i]) for row in cells) for i in range(len(head))]
    lines: list[str] = []
    for row in cells:
        padded = [_padded(cell, width, i in right) for i, (cell, width) in enumerate(zip(row, widths, strict=True))]
        lines.append("  ".join(padded).rstrip())
    return "\n".join([lines[0], "  ".join("─" * width for width in widths), *lines[1:]])


def _width(text: str) -> int:
    return sum(2 if east_asian_width(each) in "WF" else 1 for each in text)


def _padded(text: str, width: int, right: bool) -> str:
    space = " " * (width - _width(text))
    return space + text if right else text + space


def lasting(seconds: float | None) -> str:
    """A duration in the largest unit that it fills.

    Example:
        >>> lasting(90.0), lasting(None), lasting(0.5)
        ('1.5 min', '–', '0.5 s')
    """
    if seconds is None:
        return "–"
    for size, unit in _STEPS:
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}" if seconds / size < 1_000 else f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.3g} s"


def number(value: float, unit: str) -> str:
    """A value as its unit is read: shares in percent, seconds as durations.

    Example:
        >>> number(0.264, "share"), number(39.2137, "points"), number(7200, "s")
        ('26.4%', '39.2', '2 h')
    """
    if unit == "share":
        return f"{value:.1%}"
    if unit == "s":
        return lasting(value) if value >= 0 else "−" + lasting(-value)
    if unit == "points":
        return f"{value:.1f}"
    return f"{value:,.2f}" if abs(value) < 10_000 else f"{value:,.0f}"


def share(value: float) -> str:
    """A share in percent."""
    return f"{value:.1%}"


def cut(head: Sequence[str], rows: Sequence[Sequence[str]], top: int, what: str, *, right: Sequence[int] = ()) -> str:
    """A table of the first rows, and the number of the others in words."""
    shown = table(head, rows[:top], right=right)
    return f"{shown}\n{len(rows) - top:,} more {what}." if len(rows) > top else shown


def measured(document: Mapping[str, Any], top: int) -> str:
    """A measurement's document as a table, with what is flagged and why something has no value."""
    results: list[Mapping[str, Any]] = document["results"]
    names = list(dict.fromkeys(name for row in results for name in row["group"]))
    several = len({row["quantity"] for row in results}) > 1
    head = [*names, *(["quantity"] if several else []), str(document["metric"]), "interval", "n", "notes"]
    rows = [
        [*(_label(row, name) for name in names), *([row["quantity"]] if several else []), *_cells(row)]
        for row in results
    ]
    at = len(names) + several
    return "\n".join([cut(head, rows, top, "groups", right=(at, at + 1, at + 2)), *_below(document, results)])


def _below(document: Mapping[str, Any], results: Sequence[Mapping[str, Any]]) -> list[str]:
    lines: list[str] = []
    rest = document.get("unassigned")
    if rest and rest.get("n"):
        value = f": {number(rest['value'], rest['unit'])}" if rest.get("value") is not None else ""
        lines.append(f"In no group{value} (n={rest['n']:,}).")
    if document.get("overlapping"):
        lines.append("Groups overlap: one case may stand in several, so do not add them up.")
    valued = [row for row in results if row["value"] is not None and "direct" not in row["flags"]]
    about = {(row["unit"], row.get("direction"), row["level"], row["method"]) for row in valued}
    for unit, direction, level, method in sorted(about, key=str):
        better = f"; {direction} is better" if direction in ("higher", "lower") else ""
        ends = f"; {level:.0%} interval: {method}" if level is not None else "; no interval"
        lines.append(f"Unit: {'share of 100%' if unit == 'share' else unit or 'none'}{better}{ends}.")
    if not results:
        lines.append("No group has anything to measure.")
    return lines


def _cells(row: Mapping[str, Any]) -> list[str]:
    waiting = f"{row.get('censored', 0):,} " if row.get("censored") else ""
    notes = ", ".join(f"{waiting if flag == 'censored' else ''}{flag}".replace("_", " ") for flag in row["flags"])
    if row["value"] is None:
        return ["no value", "", f"{row['n']:,}", str(row["reason"])]
    unit = row["unit"]
    ends = "" if row["low"] is None else f"{number(row['low'], unit)} to {number(row['high'], unit)}"
    return [number(row["value"], unit), ends, f"{row['n']:,}", notes]


def _label(row: Mapping[str, Any], name: str) -> str:
    if name not in row["group"]:
        return ""
    value: object = row["group"][name]
    if value is None:
        return "(direct)" if "direct" in row["flags"] else "(none)"
    return " → ".join(map(str, cast("list[object]", value))) if isinstance(value, list) else str(value)
