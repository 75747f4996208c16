"""Drift: a score over periods, and the periods at which its level changed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np
from attrs import field, frozen

from cxmodel.errors import InvalidValueError, NotComparableError, NoValueError
from cxmodel.model.breakdowns import Breakdown, group_values, grouped
from cxmodel.model.estimates import Estimate
from cxmodel.model.frames import Tabular
from cxmodel.stats.floats import Floats

K = TypeVar("K")

FEWEST_PERIODS: Final = 8
_PERIODS: Final = (("year",), ("month",), ("week",), ("day",))


@frozen(kw_only=True)
class ChangePoint:
    """A period from which on the level is another.

    Attributes:
        at: First period of the new level.
        before: Mean level of the stretch before it, weighted by n.
        after: Mean level of the stretch that it begins.
        p: p value of no change, corrected for the places tried and for the stretches tested.
    """

    at: object
    before: float
    after: float
    p: float

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"at": group_values(self.at, 1)[0], "before": self.before, "after": self.after, "p": self.p}


@frozen(kw_only=True)
class Drift(Tabular):
    """A score over periods with its change points; see `drift`.

    Attributes:
        metric: What was measured.
        unit: Its unit.
        periods: Labels of the periods that have a value.
        values: Their values.
        n: Their observations.
        changes: Where the level changed, in the order of time; no interval, for the place was searched for.
        alarm: Risk of any change point where there is no change, 0 to 1.
        left_out: Periods without a value.
        reason: Why no change could be looked for, or None.
    """

    metric: str
    unit: str
    periods: tuple[object, ...] = field(repr=False)
    values: tuple[float, ...] = field(repr=False)
    n: tuple[int, ...] = field(repr=False)
    changes: tuple[ChangePoint, ...]
    alarm: float
    left_out: int = 0
    reason: str | None = None

    def to_records(self) -> list[dict[str, object]]:
        """One record per period, with the change point that it begins or None."""
        begins = {change.at: change for change in self.changes}
        return [
            {
                "period": group_values(period, 1)[0], "quantity": self.metric, "value": value, "n": n,
                "change": begins[period].to_dict() if period in begins else None,
            }
            for period, value, n in zip(self.periods, self.values, self.n, strict=True)
        ]  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "metric": self.metric, "unit": self.unit, "alarm": self.alarm, "left_out": self.left_out,
            "reason": self.reason, "changes": [change.to_dict() for change in self.changes],
            "periods": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"{self.metric} over {len(self.periods)} periods, {self.left_out} without a value"
        if self.reason is not None:
            return f"{head}: {self.reason}"
        rows = [f"  from {each.at}: {each.before:.4g} → {each.after:.4g} (p={each.p:.3g})" for each in self.changes]
        return "\n".join([head, *(rows or ["  no change of level found"])])


def drift(results: Mapping[K, Estimate], *, alarm: float = 0.05, permutations: int = 1999, seed: int = 0) -> Drift:
    """Find the periods at which the level of a score changed.

    For every place the mean before and the mean after (weighted by effective n) are compared; the largest standardised
    difference is held against the same maximum after the deviations of the periods were dealt out anew (permutation of
    √n · (value − mean)). Where p ≤ alarm the series is cut there and both parts are tested in the same way, each p
    times the number of parts tested so far. So the risk of any change point where nothing changed is at most ``alarm``,
    as long as the periods are independent: seasons and slow waves are changes to this method. Binary segmentation:
    Scott & Knott 1974, 10.2307/2529204.

    Args:
        results: A breakdown by period, in the order of time.
        alarm: Risk of any false change point, 0 to 1.
        permutations: How often the deviations are dealt out.
        seed: Seed of the dealing.

    Returns:
        The series and its change points. With fewer than eight periods with a value none is looked for, with the
        reason.

    Raises:
        NotComparableError: The breakdown is not by one kind of period.
        NoValueError: No period has a value.

    Example:
        >>> months = {f"2026-{i + 1:02d}": Estimate(value=20.0 + i % 2 + 15 * (i >= 6), n=100) for i in range(12)}
        >>> print(drift(months))
        value over 12 periods, 0 without a value
          from 2026-07: 20.5 → 35.5 (p=0.002)
    """
    if not 0 < alarm < 1:
        raise InvalidValueError(f"alarm is a risk between 0 and 1, got {alarm!r}", hint="Write alarm=0.05")
    if permutations < 1 / alarm:
        raise InvalidValueError(f"{permutations} permutations cannot give a p value of {alarm:g}")
    grouped("drift", results)
    _check_periods(results)
    known = {key: each for key, each in results.items() if each.value is not None}
    if not known:
        raise NoValueError("no period has a value")
    values = np.array([each.value for each in known.values()], np.float64)
    weights = np.array([each.n_eff or each.n for each in known.values()], np.float64)
    periods = tuple(known)
    reason: str | None = None
    cuts: dict[int, float] = {}
    if len(known) < FEWEST_PERIODS:
        reason = f"fewer than {FEWEST_PERIODS} periods with a value"
    else:
        generator = np.random.Generator(np.random.PCG64(seed))
        cuts = _cuts(values, weights, alarm, permutations, generator)
    return Drift(
        metric=results.metric if isinstance(results, Breakdown) else "value",
        unit=next(iter(known.values())).unit, periods=periods, values=tuple(map(float, values)),
        n=tuple(each.n for each in known.values()), changes=_changes(periods, values, weights, cuts), alarm=alarm,
        left_out=len(results) - len(known), reason=reason,
    )  # fmt: skip


def _check_periods(results: Mapping[K, Estimate]) -> None:
    if isinstance(results, Breakdown) and results.by not in _PERIODS:
        raise NotComparableError(
            f"{' and '.join(results.by)} is no order of time",
            hint="Measure by cx.by.month(), .week(), .day() or .year()",
        )


def _cuts(
    values: Floats, weights: Floats, alarm: float, permutations: int, generator: np.random.Generator
) -> dict[int, float]:
    """Place of each change point → its corrected p value."""
    found: dict[int, float] = {}
    waiting, tested = [(0, values.size, 0.0)], 0
    while waiting:
        start, end, parent = waiting.pop(0)
        if end - start < FEWEST_PERIODS:
            continue
        tested += 1
        place, p = _best_cut(values[start:end], weights[start:end], permutations, generator)
        # a part is never surer of its change than the whole was of its own
        p = max(parent, min(1.0, p * tested))
        if p <= alarm:
            found[start + place] = p
            waiting += [(start, start + place, p), (start + place, end, p)]
    return dict(sorted(found.items()))


def _best_cut(values: Floats, weights: Floats, permutations: int, generator: np.random.Generator) -> tuple[int, float]:
    """The place with the largest standardised difference, and the permutation p value of its size."""
    root = np.sqrt(weights)
    gaps = values - np.average(values, weights=weights)
    # what rounding leaves of equal values is no deviation
    deviations = root * np.where(np.abs(gaps) > 1e-12 * np.abs(values).max(), gaps, 0.0)
    sizes = _sizes(deviations[None, :] * root, weights)[0]
    dealt = generator.permuted(np.broadcast_to(deviations, (permutations, values.size)), axis=1)
    others = _sizes(dealt * root, weights).max(axis=1)
    highest = float(sizes.max())
    as_large = int((others >= highest * (1 - 1e-12)).sum())
    return int(np.argmax(sizes)) + 1, (1 + as_large) / (1 + permutations)


def _sizes(weighted: Floats, weights: Floats) -> Floats:
    """(b, t − 1) size of the difference of means at each place, in standard errors of unknown but equal scale.

    Args:
        weighted: (b, t) weight times deviation.
        weights: (t,) weights.
    """
    before = np.cumsum(weights)[:-1]
    after = weights.sum() - before
    sums = np.cumsum(weighted, axis=1)
    total = sums[:, -1:]
    gap = sums[:, :-1] / before - (total - sums[:, :-1]) / after
    return np.asarray(np.abs(gap) * np.sqrt(before * after / (before + after)))


def _changes(
    periods: tuple[object, ...], values: Floats, weights: Floats, cuts: Mapping[int, float]
) -> tuple[ChangePoint, ...]:
    edges = [0, *cuts, values.size]
    level = [math.fsum(values[a:b] * weights[a:b]) / math.fsum(weights[a:b]) for a, b in pairwise(edges)]
    return tuple(
        ChangePoint(at=periods[place], before=level[i], after=level[i + 1], p=p)
        for i, (place, p) in enumerate(cuts.items())
    )
