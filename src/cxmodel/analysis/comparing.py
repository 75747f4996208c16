"""Comparing: differences between groups, each with its interval, tested together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, Generic, Literal, TypeVar

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.analysis.evidence import Evidence, answered_once, check_apart, check_one_scale, evidence
from cxmodel.errors import InvalidValueError, UnknownNameError, unknown
from cxmodel.model.breakdowns import Breakdown, group_values, grouped
from cxmodel.model.estimates import Estimate, Interval, no_value
from cxmodel.model.frames import Tabular
from cxmodel.stats import trinomial
from cxmodel.stats.comparisons import benjamini_hochberg, holm
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import normal_interval, z_value
from cxmodel.tallies.inference import BucketSums, jackknife_error
from cxmodel.tallies.metrics import SMALL, Remembered

K = TypeVar("K")

Pairs = list[tuple[K, object, Estimate]]
Correction = Literal["holm", "bh"]
Verdict = Literal["better", "worse", "higher", "lower", "not told apart", "no value"]
REST: Final = "rest"
PREVIOUS: Final = "previous"


@frozen(kw_only=True)
class Compared(Generic[K]):
    """One group against its reference.

    Attributes:
        group: The group.
        reference: The group it is held against, or ``"rest"``; None where there is none.
        value: The group's result.
        against: The reference's result.
        difference: Group minus reference, with its own interval (not widened for the number of tests).
        p: Two-sided p value of no difference, 0 to 1; None where nothing could be tested.
        adjusted: The p value after the correction for all tests of the table.
        test: How p was made.
        verdict: What may be said at the level of the table, by the adjusted p value.
    """

    group: K
    reference: object
    value: Estimate
    against: Estimate
    difference: Estimate
    p: float | None
    adjusted: float | None
    test: str
    verdict: Verdict

    def to_dict(self) -> dict[str, object]:
        """As in JSON, without the name of the grouping."""
        return {
            "value": self.value.to_dict(), "against": self.against.to_dict(), "difference": self.difference.to_dict(),
            "p": self.p, "adjusted": self.adjusted, "test": self.test, "verdict": self.verdict,
        }  # fmt: skip


@frozen(kw_only=True)
class Comparison(Tabular, Generic[K]):
    """Groups against a reference, tested together; see `compare`.

    Attributes:
        metric: What was measured.
        by: What it is grouped by.
        correction: Correction for the number of tests; None only where that was asked for.
        level: Confidence level of the intervals; an adjusted p value below 1 − level tells groups apart.
        tests: How many tests were made and corrected for.
        rows: One row per group, in the order of the groups.
    """

    metric: str
    by: tuple[str, ...]
    correction: Correction | None
    level: float
    tests: int
    rows: tuple[Compared[K], ...] = field(repr=False)

    def __getitem__(self, group: K) -> Compared[K]:
        for row in self.rows:
            if row.group == group:
                return row
        raise UnknownNameError(unknown("group", str(group), [str(row.group) for row in self.rows]))

    def __iter__(self) -> Iterator[Compared[K]]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_records(self) -> list[dict[str, object]]:
        """One record per group."""
        width = len(self.by)
        return [
            {
                "group": dict(zip(self.by, group_values(row.group, width), strict=True)),
                "reference": _told(row.reference, width),
                "quantity": self.metric,
                **row.to_dict(),
            }
            for row in self.rows
        ]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "metric": self.metric, "by": list(self.by), "correction": self.correction, "level": self.level,
            "tests": self.tests, "rows": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        words = {"holm": "Holm", "bh": "Benjamini–Hochberg", None: "none: false alarms grow with the number of tests"}
        head = f"{self.metric} by {' and '.join(self.by)}; {self.tests} tests, correction: {words[self.correction]}"
        return "\n".join([head, *(_line(row) for row in self.rows)])


def compare(
    results: Mapping[K, Estimate], *, to: object, correction: Correction | None = "holm", across: bool = False
) -> Comparison[K]:
    """Hold every group against a reference.

    The difference is signed, group minus reference, in the unit of the metric. Estimates of one run remember their
    customers, so customers that both share are accounted for; see `Estimate.minus`. The p value is the one that belongs
    to that interval. Where every respondent of a survey answered once and one of two NPS groups has fewer than 30
    answers, it comes from the exact permutation test. All tests of the table are corrected together.

    Args:
        results: A breakdown, or a mapping from a name to an estimate.
        to: A group; ``"rest"`` for all other groups with a value together; ``"previous"`` for the group before it.
        correction: ``"holm"`` bounds the risk of any false alarm (10.2307/4615733), ``"bh"`` the share of false alarms
            among the alarms (10.1111/j.2517-6161.1995.tb02031.x), None corrects nothing.
        across: Compare although the estimates describe different populations.

    Raises:
        NotComparableError: Different questions, units or populations; or ``"rest"`` where groups overlap.
        UnknownNameError: There is no such group.

    Example:
        >>> def share(value, low, high):
        ...     return Estimate(value=value, n=200, interval=Interval(low, high, 0.95, "wilson"), direction="higher")
        >>> table = compare({"shop": share(0.6, 0.53, 0.67), "web": share(0.8, 0.74, 0.85)}, to="shop")
        >>> print(f"{table['web'].difference:.2f}", table["web"].verdict)
        0.20 [0.11, 0.29] (n=400) better
    """
    grouped("compare", results)
    check_one_scale(results)
    pairs = _pairs(results, to)
    rows = [compared(group, reference, results[group], against, across) for group, reference, against in pairs]
    adjusted = corrected(rows, correction)
    level = next((each.interval.level for each in results.values() if each.interval), 0.95)
    name = results.metric if isinstance(results, Breakdown) else "value"
    return Comparison(
        metric=name, by=results.by if isinstance(results, Breakdown) else ("group",), correction=correction,
        level=level, tests=int(np.isfinite(adjusted).sum()),
        rows=tuple(judged(row, float(each), level) for row, each in zip(rows, adjusted, strict=True)),
    )  # fmt: skip


def corrected(rows: Sequence[Compared[K]], correction: Correction | None) -> Floats:
    """(rows,) p values corrected for the number of tests; NaN where nothing was tested.

    Raises:
        InvalidValueError: No such correction.
    """
    if correction not in ("holm", "bh", None):
        raise InvalidValueError(unknown("correction", str(correction), ["holm", "bh", "None"]))
    p = np.array([math.nan if row.p is None else row.p for row in rows], np.float64)
    return p if correction is None or not rows else (holm if correction == "holm" else benjamini_hochberg)(p)


def _pairs(results: Mapping[K, Estimate], to: object) -> Pairs[K]:
    """Each group with the label and the result of its reference."""
    if to in (REST, PREVIOUS) and any(key == to for key in results):
        raise InvalidValueError(f"there is a group called {to!r}, so it is not clear what to= means")
    if to == REST:
        check_apart(results, "comparing with the rest")
        return _with_rest(results)
    if to == PREVIOUS:
        keys = list(results)
        first: Pairs[K] = [(key, None, no_value("there is nothing before it")) for key in keys[:1]]
        return [*first, *((key, before, results[before]) for before, key in pairwise(keys))]
    found = [key for key in results if key == to]
    if not found:
        raise UnknownNameError(unknown("group", str(to), [*map(str, results), REST, PREVIOUS]))
    return [(key, found[0], results[found[0]]) for key in results if key != to]


def _with_rest(results: Mapping[K, Estimate]) -> Pairs[K]:
    known = {key: each for key, each in results.items() if each.value is not None}
    seen = evidence(list(known.values()))
    place = {key: row for row, key in enumerate(known)}
    everything = None if seen is None else seen.totals.sum(axis=1)
    out: Pairs[K] = []
    for key, estimate in results.items():
        if key not in known:
            rest = no_value("the group itself has no value", unit=estimate.unit)
        elif len(known) == 1:
            rest = no_value("no other group has a value", unit=estimate.unit)
        elif seen is None or everything is None:
            rest = no_value("these estimates do not remember what they were made of", unit=estimate.unit)
        else:
            rest = _rest(seen, everything - seen.totals[:, place[key]], estimate, known)
        out.append((key, REST, rest))
    return out


def _rest(seen: Evidence, totals: Floats, own: Estimate, known: Mapping[K, Estimate]) -> Estimate:
    """All groups but one as one estimate, with a jackknife interval over buckets of customers."""
    whole = totals.sum(axis=1, keepdims=True)
    there = (totals != 0).any(axis=0)
    error = float(jackknife_error(seen.values(whole - totals)[None, :], there)[0])
    value = float(seen.values(whole)[0])
    level = own.interval.level if own.interval else 0.95
    low, high = normal_interval(value, error, level, *own.range)
    return evolve(
        own, value=value, n=sum(each.n for each in known.values()) - own.n, n_eff=None, flags=(),
        interval=Interval(float(low), float(high), level, "jackknife, by customer") if math.isfinite(error) else None,
        dependence=BucketSums(seen.names, totals, seen.value, seen.run),
    )  # fmt: skip


def compared(
    group: K, reference: object, value: Estimate, against: Estimate, across: bool, *, apart: bool = False
) -> Compared[K]:  # fmt: skip
    """One group against its reference, not yet corrected for the number of tests.

    Args:
        group: The group.
        reference: What it is held against.
        value: Its result.
        against: The reference's result.
        across: Whether the two may describe different populations.
        apart: Whether it is known that they share nobody.
    """
    if value.value is None or against.value is None:
        reason = value.reason if value.value is None else against.reason
        difference = no_value(reason or "", n=value.n + against.n, unit=value.unit, direction=value.direction)
        return Compared(
            group=group, reference=reference, value=value, against=against, difference=difference, p=None,
            adjusted=None, test="none", verdict="no value",
        )  # fmt: skip
    difference = _difference(value, against, across, apart)
    p, test = _test(value, against, difference, apart)
    return Compared(
        group=group, reference=reference, value=value, against=against, difference=difference, p=p, adjusted=None,
        test=test, verdict="not told apart",
    )  # fmt: skip


def _difference(value: Estimate, against: Estimate, across: bool, apart: bool) -> Estimate:
    """Value minus reference: by shared customers, or by MOVER where nobody is shared or nothing varies."""
    one, other = value, against
    if isinstance(against.dependence, BucketSums) and isinstance(value.dependence, Remembered):
        one = evolve(value, dependence=value.dependence.sums())
    difference = one.minus(other, across=across)
    interval = difference.interval
    alone = apart or (answered_once(value) and value.origin == against.origin)
    flat = interval is not None and interval.low == interval.high and difference.value != 0
    if not (alone or flat):
        return difference
    singly = evolve(value, dependence=None).minus(evolve(against, dependence=None), across=across)
    known = alone or not flat
    return evolve(singly, flags=tuple(flag for flag in singly.flags if flag != "dependence_unknown" or not known))


def _test(value: Estimate, against: Estimate, difference: Estimate, apart: bool) -> tuple[float | None, str]:
    counts = [_opinions(each) for each in (value, against)]
    a, b = counts
    once = answered_once(value) and (value.origin == against.origin or (apart and answered_once(against)))
    if a is not None and b is not None and once:
        small, large = sorted((a, b), key=lambda each: float(each.sum()))
        if small.sum() < SMALL and _whole(a) and _whole(b):
            return trinomial.permutation_p_value(small, large), "permutation, exact"
    p = p_of(difference)
    return p, "none" if p is None else "the level at which the interval of the difference reaches 0"


def p_of(difference: Estimate) -> float | None:
    """Two-sided p value that belongs to a difference and its interval; None where the interval has no width.

    The distance from the difference to the end of the interval on the side of 0 counts as z standard errors, so p is
    below 1 − level exactly where the interval leaves 0 out.

    Example:
        >>> round(p_of(Estimate(value=0.2, n=200, interval=Interval(-0.032, 0.432, 0.95, "normal"))), 3)
        0.091
    """
    from scipy.special import ndtr

    value, interval = difference.value, difference.interval
    if value is None or interval is None:
        return None
    if value == 0:
        return 1.0
    reach = value - interval.low if value > 0 else interval.high - value
    return float(2 * ndtr(-z_value(interval.level) * abs(value) / reach)) if reach > 0 else None


def _opinions(estimate: Estimate) -> Floats | None:
    """Counts of detractors, passives and promoters, where the estimate is made of them."""
    known = estimate.dependence
    sums = known.sums() if isinstance(known, Remembered) else known
    if not isinstance(sums, BucketSums) or not {"detractors", "promoters"} <= set(sums.names):
        return None
    total = dict(zip(sums.names, sums.totals.sum(axis=1), strict=True))
    low, high = float(total["detractors"]), float(total["promoters"])
    return np.array([low, float(total["n"]) - low - high, high])


def _whole(counts: Floats) -> bool:
    return bool(np.all(counts == np.round(counts)))


def judged(row: Compared[K], adjusted: float, level: float) -> Compared[K]:
    """The row with its adjusted p value and what may be said by it."""
    if row.p is None:
        return row
    return evolve(row, adjusted=adjusted, verdict=_verdict(row.difference, adjusted, level))


def _verdict(difference: Estimate, adjusted: float, level: float) -> Verdict:
    if adjusted >= 1 - level or not difference.value:
        return "not told apart"
    up = difference.value > 0
    if difference.direction == "none":
        return "higher" if up else "lower"
    return "better" if up == (difference.direction == "higher") else "worse"


def _told(key: object, width: int) -> object:
    values = group_values(key, width)
    return values[0] if len(values) == 1 else list(values)


def _line(row: Compared[K]) -> str:
    if row.adjusted is None:
        return f"  {row.group!s:<24} {row.difference}"
    return f"  {row.group!s:<24} {row.difference} p={row.adjusted:.3g} {row.verdict}"
