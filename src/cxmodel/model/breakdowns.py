"""Breakdowns: one result per group, and what belongs to no group."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Generic, TypeVar, overload

from attrs import evolve, field, frozen

from cxmodel.errors import InvalidValueError, UnknownNameError, unknown
from cxmodel.model.estimates import Estimate
from cxmodel.model.frames import Tabular

K = TypeVar("K")
R = TypeVar("R")
T = TypeVar("T")


@frozen(kw_only=True, eq=False)
class Breakdown(Tabular, Mapping[K, R], Generic[K, R]):
    """Results by group: a mapping from the group to its result.

    It is an Arrow table wherever one is taken (``pyarrow.table(result)``), and ``to_polars()`` and ``to_pandas()`` give
    frames; see `Tabular`.

    Attributes:
        by: What it is grouped by (``("touchpoint",)``; two names for crosses).
        metric: Name of the metric.
        unassigned: Result of what belongs to no group, or None where everything does.
        overlapping: Whether one observation may stand in several groups; then groups must not be summed.
    """

    by: tuple[str, ...]
    metric: str
    groups: Mapping[K, R] = field(repr=False)
    unassigned: R | None = None
    overlapping: bool = False

    def __getitem__(self, key: K) -> R:
        try:
            return self.groups[key]
        except KeyError:
            raise UnknownNameError(unknown(self.by[0], str(key), [str(k) for k in self.groups])) from None

    @overload
    def get(self, key: K, /) -> R | None: ...
    @overload
    def get(self, key: K, /, default: R | T) -> R | T: ...
    def get(self, key: K, /, default: R | T | None = None) -> R | T | None:
        """The group's result, or the default where there is no such group."""
        return self.groups.get(key, default)

    def __contains__(self, key: object) -> bool:
        return key in self.groups

    def __iter__(self) -> Iterator[K]:
        return iter(self.groups)

    def __len__(self) -> int:
        return len(self.groups)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Breakdown):
            return NotImplemented
        return (self.by, self.metric, dict(self.groups), self.unassigned, self.overlapping) == (
            other.by, other.metric, dict(other.groups), other.unassigned, other.overlapping
        )  # fmt: skip

    __hash__ = None  # type: ignore[assignment]

    def group(self, key: K) -> dict[str, object]:
        """The group as an object, as in JSON: ``{"touchpoint": "pay"}``."""
        return dict(zip(self.by, group_values(key, len(self.by)), strict=True))

    def protected(self) -> Breakdown[K, R]:
        """The same, with a second group withheld where only one is suppressed.

        Beside the total, all groups but one give away the one that is suppressed. So where exactly one result is
        suppressed, the one with the fewest observations among the others is withheld as well. Overlapping groups give
        nothing away by subtraction and stay as they are. A pair of groupings is protected as one table, not line by
        line.
        """
        cells: list[tuple[K | None, object]] = [*self.groups.items(), (None, self.unassigned)]
        estimates = [(key, each) for key, each in cells if isinstance(each, Estimate)]
        shown = [(key, each) for key, each in estimates if each.value is not None]
        if self.overlapping or not shown or sum("suppressed" in each.flags for _, each in estimates) != 1:
            return self
        key, least = min(shown, key=lambda cell: cell[1].n)
        hidden: Any = evolve(
            least, value=None, interval=None, n_eff=None, flags=("suppressed",), dependence=None,
            reason=f"withheld (n={least.n}): with it and the total, the suppressed group could be worked out",
        )  # fmt: skip
        if key is None:
            return evolve(self, unassigned=hidden)
        return evolve(self, groups={**self.groups, key: hidden})

    def to_records(self) -> list[dict[str, object]]:
        """One flat record per group and quantity, groups first; the unassigned one has None as its group."""
        rows = [record for key, result in self.items() for record in _records(self.group(key), self.metric, result)]
        if self.unassigned is not None:
            nothing: dict[str, object] = {name: None for name in self.by}  # noqa: C420 - the values are objects
            rows += _records(nothing, self.metric, self.unassigned)
        return rows

    def __str__(self) -> str:
        rows = [f"  {_label(self.group(key)):<28} {value}" for key, value in self.items()]
        if self.unassigned is not None:
            rows.append(f"  {'(unassigned)':<28} {self.unassigned}")
        return "\n".join([f"{self.metric} by {' and '.join(self.by)}", *rows])

    def _repr_html_(self) -> str:
        from html import escape

        rows = "".join(
            f"<tr><td>{escape(_label(self.group(key)))}</td><td>{escape(str(value))}</td></tr>"
            for key, value in self.items()
        )
        if self.unassigned is not None:
            rows += f"<tr><td><i>unassigned</i></td><td>{escape(str(self.unassigned))}</td></tr>"
        head = f"<tr><th>{escape(' and '.join(self.by))}</th><th>{escape(self.metric)}</th></tr>"
        return f"<table><thead>{head}</thead><tbody>{rows}</tbody></table>"


def grouped(asking: str, *results: object) -> None:
    """Refuse what is no result by group.

    Raises:
        InvalidValueError: Something else was given; says what to give.

    Example:
        >>> grouped("compare", Breakdown[str, int](by=("channel",), metric="m", groups={}))
    """
    for each in results:
        if not isinstance(each, Mapping):
            raise InvalidValueError(
                f"{asking} takes results by group, got {type(each).__name__}",
                hint="Give journeys.measure(metric, by=…)",
            )


def group_values(key: object, width: int) -> tuple[object, ...]:
    """A group's key as JSON values, one per grouping."""
    parts = key if isinstance(key, tuple) and len(key) == width and width > 1 else (key,)
    return tuple(_json_value(part) for part in parts)


def _json_value(part: object) -> object:
    if isinstance(part, date):
        return part.isoformat()
    return list(part) if isinstance(part, tuple) else part


def _label(group: Mapping[str, object]) -> str:
    return ", ".join(" → ".join(map(str, v)) if isinstance(v, list) else str(v) for v in group.values())


def _records(group: dict[str, object], metric: str, result: object) -> list[dict[str, object]]:
    if isinstance(result, Estimate):
        return [{"group": group, "quantity": metric, **result.to_dict()}]
    if isinstance(result, Breakdown):
        return [{**row, "group": {**group, **_group_of(row)}} for row in result.to_records()]
    to_records = getattr(result, "to_records", None)
    if to_records is not None:
        return [{**row, "group": {**group, **_group_of(row)}} for row in to_records()]
    return [{"group": group, "quantity": metric, "result": result}]


def _group_of(row: Mapping[str, object]) -> dict[str, object]:
    group = row.get("group")
    return group if isinstance(group, dict) else {}
