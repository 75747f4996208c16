"""Path analyses as documents, and back: their fields by name, with the population that they describe."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from attrs import NOTHING, fields

from cxmodel.analysis.distributions import Distribution
from cxmodel.analysis.ends import EndTable
from cxmodel.analysis.followings import FollowTable
from cxmodel.analysis.funnel_details import FunnelDetailTable
from cxmodel.analysis.goal_paths import GoalPathTable
from cxmodel.analysis.grams import GramTable, TopGrams
from cxmodel.analysis.loops import LoopTable
from cxmodel.analysis.path_chains import ChainTable
from cxmodel.analysis.patterns import MatchTable
from cxmodel.errors import DocumentError
from cxmodel.exporters.measures import origin_of, origin_record, read_estimate
from cxmodel.exporters.parsing import Place
from cxmodel.exporters.plain import plain
from cxmodel.model.estimates import Estimate, Origin
from cxmodel.model.listed import Listed

T = TypeVar("T")
Record = dict[str, Any]
Analysis = (
    Distribution | EndTable | FollowTable | FunnelDetailTable | GoalPathTable | GramTable | TopGrams | LoopTable
    | ChainTable | MatchTable
)  # fmt: skip
KINDS: Final[Mapping[type[object], str]] = {
    Distribution: "distribution", EndTable: "ends", FollowTable: "eventually_follows",
    FunnelDetailTable: "funnel_detail", GoalPathTable: "goal_paths", GramTable: "grams", TopGrams: "grams",
    LoopTable: "loops", ChainTable: "path_chain", MatchTable: "pattern_matches",
}  # fmt: skip
READ: Final[Mapping[str, type[Any]]] = {
    KINDS[each]: each
    for each in (EndTable, FunnelDetailTable, GoalPathTable, TopGrams, LoopTable, ChainTable, MatchTable)
}
_PLACES: Final[Mapping[tuple[type[object], str], tuple[str, ...]]] = {
    (ChainTable, "shown"): ("paths",), (ChainTable, "other"): ("other", "probability"),
    (TopGrams, "shown"): ("grams",), (TopGrams, "other"): ("other", "count"),
}  # fmt: skip


def analysis_body(found: Analysis, metric: str | None) -> Record:
    """One row with an empty group; its ``result`` has the fields of the analysis."""
    kind = KINDS[type(found)]
    row = {"group": {}, "quantity": metric or kind, "result": plain(found.to_dict(), kind)}
    return {
        "metric": metric or kind, "kind": kind, "results": [row], "unassigned": None, "overlapping": False,
        "population": origin_record(found.origin),
    }  # fmt: skip


def analysis_of(root: Place) -> object:
    """The analysis of a document."""
    rows = list(root["results"])
    if len(rows) != 1:
        raise DocumentError(f"{root.path}.results has {len(rows)} rows, expected one")
    return record_of(rows[0]["result"], READ[root["kind"].text()], origin_of(root.get("population")))


def record_of(record: Place, class_: type[T], origin: Origin | None) -> T:
    """A value from its fields.

    Args:
        record: The object.
        class_: What it describes: an attrs class whose fields are plain values, estimates, or such classes.
        origin: The population that it belongs to.
    """
    types = get_type_hints(class_)
    values: Record = {}
    for each in fields(cast("type[Any]", class_)):
        if each.name == "origin":
            values["origin"] = origin
            continue
        place = _place(record, _PLACES.get((class_, each.name), (each.name,)))
        if not place.missing or NoneType in get_args(types[each.name]):
            values[each.name] = _value(place, types[each.name], origin)
        elif each.default is NOTHING:
            record[each.name]  # says that it is not there
            place.fail("a value")
    return class_(**values)


def _place(record: Place, names: tuple[str, ...]) -> Place:
    for name in names:
        record = record.get(name)
    return record


def _value(place: Place, kind: Any, origin: Origin | None) -> object:
    if get_origin(kind) in (Union, UnionType):
        inner = next(each for each in get_args(kind) if each is not NoneType)
        return None if place.missing else _value(place, inner, origin)
    if get_origin(kind) is tuple:
        return tuple(_value(each, get_args(kind)[0], origin) for each in place)
    if get_origin(kind) is Listed:
        names = tuple(each["touchpoint"].text() for each in place)
        return Listed.of(names, [_value(each, get_args(kind)[0], origin) for each in place])
    if get_origin(kind) is Literal:
        return place.one_of(get_args(kind))
    if kind is Estimate:
        return read_estimate(place, origin)
    plainly = {str: Place.text, int: Place.whole, float: Place.number, bool: Place.flag}
    return plainly[kind](place) if kind in plainly else record_of(place, kind, origin)
