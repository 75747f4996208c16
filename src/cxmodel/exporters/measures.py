"""Measurements as rows, one per group, and back: estimates, breakdowns, credit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, Final, cast, get_args

from cxmodel.analysis.credits import CreditComparison, CreditTable
from cxmodel.errors import DocumentError, InvalidValueError
from cxmodel.exporters.parsing import Place
from cxmodel.exporters.plain import finite
from cxmodel.model.breakdowns import Breakdown, group_values
from cxmodel.model.estimates import Estimate, Flag, Interval, Origin
from cxmodel.model.rankings import RankedBreakdown, RankStability
from cxmodel.model.scales import Direction
from cxmodel.model.transitions import Transition

Record = dict[str, Any]
_DIRECTIONS: Final = cast("tuple[str, ...]", get_args(Direction))
_FLAGS: Final = cast("tuple[str, ...]", get_args(Flag))
_PARTS: Final[dict[type[object], str]] = {
    str: "text", Transition: "transition", date: "date", bool: "flag", int: "whole", float: "number",
}  # fmt: skip


# estimates


def estimate_row(estimate: Estimate, usual: Origin | None) -> Record:
    """An estimate as a flat record; its population only where it is not the usual one."""
    row = {**estimate.to_dict(), "n_eff": finite(estimate.n_eff)}
    if estimate.interval is not None:
        row |= {"low": finite(estimate.interval.low), "high": finite(estimate.interval.high)}
    return row if estimate.origin == usual else {**row, "population": origin_record(estimate.origin)}


def read_estimate(row: Place, usual: Origin | None) -> Estimate:
    """The estimate of a record."""
    value, reason = row["value"].number_or_none(), row.get("reason").text_or_none()
    if value is None and not reason:
        raise DocumentError(f"{row.path}.value is null without a reason", hint='Write "reason": why there is no value')
    own = "population" in row.record()
    return Estimate(
        value=value, n=row["n"].whole(), n_eff=row.get("n_eff").number_or_none(), interval=_interval_of(row),
        unit=row.get("unit").text_or_none() or "", reason=reason, range=_range_of(row.get("range")),
        direction=cast("Direction", "none" if (to := row.get("direction")).missing else to.one_of(_DIRECTIONS)),
        flags=() if (flags := row.get("flags")).missing else cast("tuple[Flag, ...]", _words(flags)),
        censored=0 if (waiting := row.get("censored")).missing else waiting.whole(),
        origin=origin_of(row["population"]) if own else usual,
    )  # fmt: skip


def _words(flags: Place) -> tuple[str, ...]:
    return tuple(flag.one_of(_FLAGS) for flag in flags)


def _interval_of(row: Place) -> Interval | None:
    level = row.get("level").number_or_none()
    if level is None:
        return None
    low, high = row["low"].number_or_none(), row["high"].number_or_none()
    return Interval(
        -math.inf if low is None else low, math.inf if high is None else high, level,
        row.get("method").text_or_none() or "",
    )  # fmt: skip


def _range_of(ends: Place) -> tuple[float, float]:
    if ends.missing:
        return -math.inf, math.inf
    bounds = [end.number_or_none() for end in ends]
    if len(bounds) != 2:
        ends.fail("two numbers, smallest and largest possible value")
    return -math.inf if bounds[0] is None else bounds[0], math.inf if bounds[1] is None else bounds[1]


def origin_record(origin: Origin | None) -> Record | None:
    """The population that a result describes."""
    if origin is None:
        return None
    return {
        "source": origin.source, "filters": list(origin.filters), "window": list(origin.window),
        "rejected": origin.rejected,
    }  # fmt: skip


def origin_of(record: Place) -> Origin | None:
    """The population of a record."""
    if record.missing:
        return None
    window = [end.text_or_none() for end in record["window"]]
    if len(window) != 2:
        record["window"].fail("two times, or null at an open end")
    return Origin(
        source=record["source"].text(), filters=record["filters"].texts(), window=(window[0], window[1]),
        rejected=record["rejected"].whole(),
    )  # fmt: skip


def estimate_body(estimate: Estimate, metric: str) -> Record:
    """A single estimate: one row with an empty group."""
    row = {"group": {}, "quantity": metric, **estimate_row(estimate, estimate.origin)}
    return {
        "metric": metric, "kind": "estimate", "results": [row], "unassigned": None, "overlapping": False,
        "population": origin_record(estimate.origin),
    }  # fmt: skip


def single_estimate_of(root: Place) -> Estimate:
    """The estimate of a document with one row."""
    rows = list(root["results"])
    if len(rows) != 1:
        raise DocumentError(f"{root.path}.results has {len(rows)} rows, expected one")
    return read_estimate(rows[0], origin_of(root.get("population")))


def breakdown_body(breakdown: Breakdown[Any, Any], nested: Callable[[object], Record]) -> Record:
    """One row per group; a result that is no estimate stands in it as a document of its own."""
    usual = _usual([*breakdown.values(), breakdown.unassigned])

    def row(value: object) -> Record:
        return estimate_row(value, usual) if isinstance(value, Estimate) else {"result": nested(value)}

    rows = [
        {"group": _group(breakdown, key), "quantity": breakdown.metric, **row(value)}
        for key, value in breakdown.items()
    ]
    ranked = {"stability": stability_record(breakdown.stability)} if isinstance(breakdown, RankedBreakdown) else {}
    return {
        "metric": breakdown.metric, "kind": "breakdown", "by": list(breakdown.by), "keys": _key_kinds(breakdown),
        "results": rows, "unassigned": None if breakdown.unassigned is None else row(breakdown.unassigned),
        "overlapping": breakdown.overlapping, "population": origin_record(usual), **ranked,
    }  # fmt: skip


def breakdown_of(root: Place, nested: Callable[[Place], object]) -> Breakdown[Any, Any]:
    """The breakdown of a document."""
    usual = origin_of(root.get("population"))

    def value(row: Place) -> object:
        return nested(row["result"]) if "result" in row.record() else read_estimate(row, usual)

    by, kinds = root["by"].texts(), root["keys"].texts()
    rest = root.get("unassigned")
    shared: dict[str, Any] = {
        "by": by, "metric": root["metric"].text(), "overlapping": root["overlapping"].flag(),
        "groups": {_key(row["group"], by, kinds): value(row) for row in root["results"]},
        "unassigned": None if rest.missing else value(rest),
    }  # fmt: skip
    if "stability" in root.record():
        return RankedBreakdown(**shared, stability=stability_of(root["stability"]))
    return Breakdown(**shared)


def _usual(values: Iterable[object]) -> Origin | None:
    return next((each.origin for each in values if isinstance(each, Estimate) and each.origin is not None), None)


def _parts(key: object, width: int) -> tuple[object, ...]:
    if isinstance(key, tuple) and width > 1:
        parts: tuple[object, ...] = key
        return parts if len(parts) == width else (key,)
    return (key,)


def _group(breakdown: Breakdown[Any, Any], key: object) -> Record:
    if len(set(breakdown.by)) != len(breakdown.by):
        raise InvalidValueError(f"both groupings are called {breakdown.by[0]!r}, and JSON needs two names")
    return dict(zip(breakdown.by, group_values(key, len(breakdown.by)), strict=True))


def _key_kinds(breakdown: Breakdown[Any, Any]) -> list[str]:
    """Of what kind the keys of each grouping are, so that a date comes back as a date."""
    width = len(breakdown.by)
    kinds = []
    for place, name in enumerate(breakdown.by):
        types = {type(_parts(key, width)[place]) for key in breakdown}
        if not types <= _PARTS.keys() or len(types) > 1:
            words = sorted(each.__name__ for each in types)
            raise InvalidValueError(f"groups by {name!r} are told by {' and '.join(words)}, which JSON would not keep")
        kinds.append(_PARTS[types.pop()] if types else "text")
    return kinds


def _key(group: Place, by: tuple[str, ...], kinds: tuple[str, ...]) -> object:
    if not by or len(by) != len(kinds):
        raise DocumentError(f"$.by names {len(by)} groupings and $.keys {len(kinds)} kinds of keys, expected as many")
    parts = [_part(group[name], kind) for name, kind in zip(by, kinds, strict=True)]
    return tuple(parts) if len(parts) > 1 else parts[0]


def _part(place: Place, kind: str) -> object:
    readers: Mapping[str, Callable[[Place], object]] = {
        "text": Place.text, "whole": Place.whole, "number": Place.number, "flag": Place.flag, "date": _date,
        "transition": _transition,
    }  # fmt: skip
    if kind not in readers:
        raise DocumentError(f"$.keys names {kind!r}, expected one of {', '.join(sorted(readers))}")
    return readers[kind](place)


def _date(place: Place) -> date:
    try:
        return date.fromisoformat(place.text())
    except ValueError:
        place.fail("a date like 2026-01-31")


def _transition(place: Place) -> Transition:
    ends = place.texts()
    if len(ends) != 2:
        place.fail("two touchpoints")
    return Transition(*ends)


# attribution


def credit_body(table: CreditTable) -> Record:
    """One row per touchpoint; conversions without one have null as their touchpoint."""
    usual = _usual([table.direct, *table.values()])
    return {
        **_credit_facts(table), "kind": "credit", "results": _credit_rows(table, table.metric, usual),
        "unassigned": None if table.unassigned is None else estimate_row(table.unassigned, usual),
        "overlapping": table.overlapping, "population": origin_record(usual),
    }  # fmt: skip


def credit_of(root: Place) -> CreditTable:
    """The credit of a document."""
    return _credit(root, list(root["results"]), origin_of(root.get("population")))


def comparison_body(comparison: CreditComparison) -> Record:
    """The rows of all models, one after the other; ``quantity`` names the model."""
    tables = comparison.models
    usual = _usual(each for table in tables.values() for each in (table.direct, *table.values()))
    models = [
        {
            "name": name, **_credit_facts(table), "overlapping": table.overlapping,
            "unassigned": None if table.unassigned is None else estimate_row(table.unassigned, usual),
        }
        for name, table in tables.items()
    ]  # fmt: skip
    return {
        "metric": "credits", "kind": "credits", "models": models, "unassigned": None, "overlapping": False,
        "results": [row for name, table in tables.items() for row in _credit_rows(table, name, usual)],
        "population": origin_record(usual),
    }  # fmt: skip


def comparison_of(root: Place) -> CreditComparison:
    """The credits of a document."""
    usual = origin_of(root.get("population"))
    rows: dict[str, list[Place]] = {}
    for row in root["results"]:
        rows.setdefault(row["quantity"].text(), []).append(row)
    models = {model["name"].text(): model for model in root["models"]}
    return CreditComparison(models={name: _credit(model, rows.get(name, []), usual) for name, model in models.items()})


def _credit_facts(table: CreditTable) -> Record:
    return {
        "metric": table.metric, "by": list(table.by), "goal": table.goal, "conversions": table.conversions,
        "value": table.value, "unvalued": table.unvalued, "stability": stability_record(table.stability),
    }  # fmt: skip


def stability_record(stable: RankStability | None) -> Record | None:
    """How stable an order is."""
    return None if stable is None else dict(stable.to_dict())


def stability_of(record: Place) -> RankStability | None:
    """How stable an order is, of a record."""
    if record.missing:
        return None
    return RankStability(
        names=record["names"].texts(), replicates=record["replicates"].whole(), others=record["others"].whole(),
        ranks=tuple(tuple(each.number() for each in row) for row in record["ranks"]),
        beats=tuple(tuple(each.number() for each in row) for row in record["beats"]),
    )  # fmt: skip


def _credit_rows(table: CreditTable, quantity: str, usual: Origin | None) -> list[Record]:
    of: list[tuple[str | None, Estimate]] = [*table.items(), (None, table.direct)]
    return [
        {"group": {table.by[0]: name}, "quantity": quantity, **estimate_row(estimate, usual)} for name, estimate in of
    ]


def _credit(about: Place, rows: list[Place], usual: Origin | None) -> CreditTable:
    by = about["by"].texts()
    if len(by) != 1:
        about["by"].fail("one grouping")
    direct = [row for row in rows if row["group"][by[0]].missing]
    if len(direct) != 1:
        raise DocumentError(f"{about.path} has {len(direct)} rows without a {by[0]}, expected one: the direct one")
    rest = about.get("unassigned")
    return CreditTable(
        by=by, metric=about["metric"].text(), goal=about["goal"].text(), conversions=about["conversions"].whole(),
        groups={
            row["group"][by[0]].text(): read_estimate(row, usual) for row in rows if not row["group"][by[0]].missing
        },
        direct=read_estimate(direct[0], usual), overlapping=about["overlapping"].flag(),
        unassigned=None if rest.missing else read_estimate(rest, usual), value=about.get("value").text_or_none(),
        unvalued=0 if (without := about.get("unvalued")).missing else without.whole(),
        stability=stability_of(about.get("stability")),
    )  # fmt: skip
