"""Standardising: the difference of two segments as it would be if both met the same touchpoints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final, Generic, Literal, NamedTuple, TypeVar, get_args

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.analysis.comparing import p_of
from cxmodel.analysis.evidence import Evidence, evidence
from cxmodel.errors import InvalidValueError, NotComparableError, NoValueError, UnknownNameError, unknown
from cxmodel.model.breakdowns import Breakdown, group_values, grouped
from cxmodel.model.estimates import Estimate, Flag, Interval
from cxmodel.model.frames import Tabular
from cxmodel.stats.arrays import Bools
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.intervals import normal_interval
from cxmodel.tallies.inference import jackknife_error

S = TypeVar("S")
T = TypeVar("T")

Standard = Literal["both", "first", "second"]
METHOD: Final = "jackknife, by customer"


@frozen(kw_only=True)
class Stratum(Generic[T]):
    """One stratum that both segments meet.

    Attributes:
        stratum: Its label.
        weight: Its share of the standard, 0 to 1; the weights sum to 1.
        first: Result of the first segment in it.
        second: Result of the second.
    """

    stratum: T
    weight: float
    first: Estimate
    second: Estimate

    def to_dict(self) -> dict[str, object]:
        """As in JSON, without the name of the stratum."""
        return {"weight": self.weight, "first": self.first.to_dict(), "second": self.second.to_dict()}


@frozen(kw_only=True)
class LikeForLike(Tabular, Generic[S, T]):
    """The difference of two segments over the strata that both meet; see `like_for_like`.

    Attributes:
        metric: What was measured.
        by: Names of the segment and of the strata.
        segments: The first segment and the second.
        standard: Whose mix of strata weighs them.
        difference: First minus second, standardised.
        p: Two-sided p value of no standardised difference; None where there is no interval.
        raw: First minus second, each over all its own strata.
        strata: The strata that both meet.
        left_out: Strata that only one meets, or in which one has no value.
        left_out_share: Share of the observations of each segment that lie in those strata, 0 to 1.
    """

    metric: str
    by: tuple[str, ...]
    segments: tuple[S, S]
    standard: Standard
    difference: Estimate
    p: float | None
    raw: Estimate
    strata: tuple[Stratum[T], ...] = field(repr=False)
    left_out: tuple[T, ...]
    left_out_share: tuple[float, float]

    def to_records(self) -> list[dict[str, object]]:
        """One record per stratum."""
        names = self.by[1:]
        return [
            {
                "group": dict(zip(names, group_values(each.stratum, len(names)), strict=True)),
                "quantity": self.metric, **each.to_dict(),
            }
            for each in self.strata
        ]  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "metric": self.metric, "by": list(self.by),
            "segments": [group_values(each, 1)[0] for each in self.segments], "standard": self.standard,
            "difference": self.difference.to_dict(), "p": self.p, "raw": self.raw.to_dict(),
            "left_out": [list(group_values(each, len(self.by) - 1)) for each in self.left_out],
            "left_out_share": list(self.left_out_share), "strata": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        first, second = self.segments
        shares = " and ".join(f"{share:.1%}" for share in self.left_out_share)
        return "\n".join([
            f"{self.metric}, {first} minus {second}, over {len(self.strata)} common {' and '.join(self.by[1:])}",
            f"  like for like  {self.difference}",
            f"  raw            {self.raw}",
            f"  left out       {len(self.left_out)} strata with {shares} of the observations",
        ])  # fmt: skip


class _Side(NamedTuple):
    """Sums of one segment: (f, strata, buckets), and over all its strata (f, buckets)."""

    common: Floats
    everything: Floats


def like_for_like(
    results: Breakdown[tuple[S, T], Estimate], first: S, second: S, *, standard: Standard = "both"
) -> LikeForLike[S, T]:
    """The difference of a metric between two segments, standardised over the strata that both meet.

    Segments differ because they are treated differently, and because they meet other touchpoints. Direct
    standardisation takes the second reason away: Δ = Σ_k w_k · (θ_first,k − θ_second,k) over the strata k that both
    meet, with w_k the share of the stratum among the observations of both (or of one). Strata without both are left
    out and counted. The interval is a jackknife over buckets of customers, the weights included, so that customers in
    several strata or segments are accounted for. An association: the segments may differ in more than the strata.

    Args:
        results: A breakdown by segment and stratum (``by=(cx.by.attribute("segment"), cx.by.touchpoint)``), measured
            with ``min_n=0`` where the metric has it, so that small strata count.
        first: A segment.
        second: Another one.
        standard: Whose mix of strata weighs them: ``"both"`` together, the ``"first"`` or the ``"second"``.

    Raises:
        NotComparableError: The breakdown is by one thing only, or its estimates do not remember their customers.
        UnknownNameError: There is no such segment.
        NoValueError: No stratum has a value for both.

    Example:
        >>> import cxmodel as cx
        >>> said = [("new", "desk", 2, 30), ("new", "web", 4, 10), ("old", "desk", 3, 10), ("old", "web", 5, 30)]
        >>> rows = [{"score": score, "who": who, "at": at} for who, at, score, n in said for _ in range(n)]
        >>> survey = cx.read_responses(rows, score="score", scale=cx.Scale.csat(), attributes=["who", "at"])
        >>> by = (cx.by.attribute("who"), cx.by.attribute("at"))
        >>> found = like_for_like(survey.measure(cx.metrics.MeanScore(), by=by), "new", "old")
        >>> round(found.difference.require(), 6), found.raw.require()
        (-1.0, -2.0)
    """
    grouped("like_for_like", results)
    if len(results.by) < 2:
        raise NotComparableError(
            f"by {' and '.join(results.by)} alone there are no strata",
            hint='Measure with by=(cx.by.attribute("segment"), cx.by.touchpoint)',
        )
    if standard not in get_args(Standard):
        raise InvalidValueError(unknown("standard", str(standard), get_args(Standard)))
    tables = [_of(results, segment) for segment in (first, second)]
    common = [stratum for stratum in tables[0] if stratum in tables[1]]
    if not common:
        raise NoValueError(f"{first} and {second} have no stratum with a value in common")
    known = [*tables[0].values(), *tables[1].values()]
    seen = evidence(known)
    if seen is None:
        raise NotComparableError("these estimates do not remember what they were made of, or are too many")
    sides = _sides(seen, tables, common)
    difference, raw = _estimates(seen, sides, known[0], standard, results.overlapping)
    n = [sum(table[stratum].n for table in tables for stratum in common), sum(each.n for each in known)]
    difference, raw = evolve(difference, n=n[0]), evolve(raw, n=n[1])
    weights = _weights(seen, [side.common.sum(axis=2) for side in sides], standard)
    rows = tuple(
        Stratum(stratum=stratum, weight=float(weight), first=tables[0][stratum], second=tables[1][stratum])
        for stratum, weight in zip(common, weights, strict=True)
    )
    left_out, shares = _left_out(results, (first, second), common)
    return LikeForLike(
        metric=results.metric, by=results.by, segments=(first, second), standard=standard, difference=difference,
        p=p_of(difference), raw=raw, strata=rows, left_out=left_out, left_out_share=shares,
    )  # fmt: skip


def _of(results: Breakdown[Any, Estimate], segment: object) -> dict[Any, Estimate]:
    """The strata of a segment that have a value."""
    mine = [key for key in results if key[0] == segment]
    if not mine:
        raise UnknownNameError(unknown("segment", str(segment), list(dict.fromkeys(str(key[0]) for key in results))))
    return {_stratum(key): results[key] for key in mine if results[key].value is not None}


def _stratum(key: tuple[Any, ...]) -> Any:
    return key[1] if len(key) == 2 else key[1:]


def _sides(seen: Evidence, tables: list[dict[Any, Estimate]], common: list[Any]) -> tuple[_Side, _Side]:
    split = len(tables[0])
    parts = (seen.totals[:, :split], seen.totals[:, split:])
    places = [[list(table).index(stratum) for stratum in common] for table in tables]
    one, other = (
        _Side(part[:, place], part.sum(axis=1)) for part, place in zip(parts, places, strict=True)
    )  # fmt: skip
    return one, other


def _weights(seen: Evidence, sides: list[Floats], standard: Standard) -> Floats:
    """Shares of the strata in the standard, from sums (f, strata, …); 0 where one of the two has nobody."""
    n = [side[seen.names.index("n")] for side in sides]
    size = n[0] + n[1] if standard == "both" else n[0] if standard == "first" else n[1]
    size = np.where((n[0] > 0) & (n[1] > 0), size, 0.0)
    return ratio(size, np.broadcast_to(size.sum(axis=0), size.shape))


def _standardised(seen: Evidence, one: Floats, other: Floats, standard: Standard) -> Floats:
    """Σ w · (θ − θ') from sums (f, strata, …)."""
    weights = _weights(seen, [one, other], standard)
    differences = seen.values(one) - seen.values(other)
    return np.asarray(np.where(weights > 0, weights * differences, 0.0).sum(axis=0))


def _estimates(
    seen: Evidence, sides: tuple[_Side, _Side], like: Estimate, standard: Standard, overlapping: bool
) -> tuple[Estimate, Estimate]:
    """Both differences with their intervals: from all buckets, and without one bucket at a time."""
    one, other = (side.common.sum(axis=2, keepdims=True) for side in sides)
    value = float(_standardised(seen, one, other, standard)[0])
    without = _standardised(seen, one - sides[0].common, other - sides[1].common, standard)
    there = (sides[0].common != 0).any(axis=(0, 1)) | (sides[1].common != 0).any(axis=(0, 1))
    standardised = _estimate(like, value, without, there, ())
    whole = [side.everything.sum(axis=1, keepdims=True) for side in sides]
    raw = float((seen.values(whole[0]) - seen.values(whole[1]))[0])
    left = seen.values(whole[0] - sides[0].everything) - seen.values(whole[1] - sides[1].everything)
    there = (sides[0].everything != 0).any(axis=0) | (sides[1].everything != 0).any(axis=0)
    flags: tuple[Flag, ...] = ("overlapping",) if overlapping else ()
    return standardised, _estimate(like, raw, left, there, flags)


def _estimate(like: Estimate, value: float, without: Floats, there: Bools, flags: tuple[Flag, ...]) -> Estimate:
    width = like.range[1] - like.range[0]
    level = like.interval.level if like.interval else 0.95
    error = float(jackknife_error(without[None, :], there)[0])
    low, high = normal_interval(value, error, level, -width, width)
    interval = Interval(float(low), float(high), level, METHOD) if math.isfinite(error) and error > 0 else None
    return evolve(
        like, value=value, n_eff=None, interval=interval, range=(-width, width), flags=flags, censored=0,
        dependence=None,
    )  # fmt: skip


def _left_out(
    results: Mapping[Any, Estimate], segments: tuple[object, object], common: list[Any]
) -> tuple[tuple[Any, ...], tuple[float, float]]:
    """Strata of the two segments that are not common, and the share of each segment's observations in them."""
    kept = set(common)
    out = dict.fromkeys(_stratum(key) for key in results if key[0] in segments and _stratum(key) not in kept)
    shares = []
    for segment in segments:
        counts = {_stratum(key): each.n for key, each in results.items() if key[0] == segment}
        whole = sum(counts.values())
        shares.append(sum(n for stratum, n in counts.items() if stratum not in kept) / whole if whole else 0.0)
    return tuple(out), (shares[0], shares[1])
