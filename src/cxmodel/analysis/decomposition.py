"""Decomposition: what each group gives to a score, and what mix and rate give to its change."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.analysis.evidence import Evidence, check_apart, check_one_scale, evidence
from cxmodel.errors import NotComparableError, NoValueError
from cxmodel.model.breakdowns import Breakdown, group_values, grouped
from cxmodel.model.estimates import Estimate, Interval, check_origins
from cxmodel.model.frames import Tabular
from cxmodel.stats.comparisons import mix_and_rate
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.inference import jackknife_error

K = TypeVar("K")


@frozen(kw_only=True)
class Contribution(Generic[K]):
    """What one group gives to the score.

    Attributes:
        group: The group; None for what belongs to no group.
        n: Observations.
        share: Its share of all observations (of their weights), 0 to 1.
        value: Its own score.
        contribution: share · value, in the unit of the score; the contributions sum to the score.
    """

    group: K | None
    n: int
    share: float
    value: float
    contribution: Estimate


@frozen(kw_only=True)
class Contributions(Tabular, Generic[K]):
    """A score as the sum of what its groups give; see `contributions`.

    Attributes:
        metric: What was measured.
        by: What it is grouped by.
        score: The score of all these observations together.
        parts: One per group with a value, and one for what belongs to no group.
        left_out: Observations in groups without a value (too few); they are in no number here.
    """

    metric: str
    by: tuple[str, ...]
    score: Estimate
    parts: tuple[Contribution[K], ...] = field(repr=False)
    left_out: int = 0

    def to_records(self) -> list[dict[str, object]]:
        """One record per part."""
        return [
            {
                "group": _group(self.by, part.group), "quantity": self.metric, "n": part.n, "share": part.share,
                "value": part.value, "contribution": part.contribution.to_dict(),
            }
            for part in self.parts
        ]  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "metric": self.metric, "by": list(self.by), "score": self.score.to_dict(), "left_out": self.left_out,
            "parts": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        rows = [f"  {_name(part.group):<24} {part.share:6.1%} × {part.value:.4g} = {part.contribution.value:.4g}"
                for part in self.parts]  # fmt: skip
        return "\n".join([f"{self.metric} {self.score}, by {' and '.join(self.by)}", *rows])


@frozen(kw_only=True)
class Change(Generic[K]):
    """What one group gives to a change.

    Attributes:
        group: The group; None for what belongs to no group.
        share_before: Its share of the observations before, 0 to 1.
        share_after: Its share after.
        before: Its score before; None where it did not exist.
        after: Its score after; None where it no longer exists.
        mix: What its changed share gives: Δshare · mean score.
        rate: What its changed score gives: Δscore · mean share.
    """

    group: K | None
    share_before: float
    share_after: float
    before: float | None
    after: float | None
    mix: Estimate
    rate: Estimate


@frozen(kw_only=True)
class Decomposition(Tabular, Generic[K]):
    """A change of a score as mix and rate; see `decompose`.

    Attributes:
        metric: What was measured.
        by: What it is grouped by.
        change: Score after minus score before; equals mix + rate.
        mix: What changed shares give together.
        rate: What changed scores give together.
        parts: One per group, and one for what belongs to no group.
        left_out: Observations in groups that have too few at one of the two times; they are in no number here.
    """

    metric: str
    by: tuple[str, ...]
    change: Estimate
    mix: Estimate
    rate: Estimate
    parts: tuple[Change[K], ...] = field(repr=False)
    left_out: int = 0

    def to_records(self) -> list[dict[str, object]]:
        """One record per part."""
        return [
            {
                "group": _group(self.by, part.group), "quantity": self.metric, "share_before": part.share_before,
                "share_after": part.share_after, "before": part.before, "after": part.after,
                "mix": part.mix.to_dict(), "rate": part.rate.to_dict(),
            }
            for part in self.parts
        ]  # fmt: skip

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "metric": self.metric, "by": list(self.by), "change": self.change.to_dict(), "mix": self.mix.to_dict(),
            "rate": self.rate.to_dict(), "left_out": self.left_out, "parts": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        rows = [f"  {_name(part.group):<24} mix {part.mix.value:+.4g}, rate {part.rate.value:+.4g}"
                for part in self.parts]  # fmt: skip
        head = f"{self.metric} changed by {self.change}: mix {self.mix.value:+.4g}, rate {self.rate.value:+.4g}"
        return "\n".join([head, *rows])


def contributions(results: Breakdown[K, Estimate]) -> Contributions[K]:
    """What each group gives to the score: share · value, summing to the score exactly.

    Formula: θ = Σ share_k · θ_k over all groups with a value and what belongs to no group. Works for every score that
    is a mean over its observations: NPS, shares, means. The intervals are jackknife intervals over customers of
    share_k · θ_k, so they hold the uncertainty of the share as well.

    Args:
        results: A breakdown into groups that share nothing.

    Raises:
        NotComparableError: Groups overlap, or the metric is not a mean over observations.
        NoValueError: No group has a value.

    Example:
        >>> import cxmodel as cx
        >>> rows = [{"score": 10, "shop": "a"}] * 30 + [{"score": 3, "shop": "b"}] * 10
        >>> survey = cx.read_responses(rows, score="score", scale=cx.Scale.nps(), attributes=["shop"])
        >>> parts = contributions(survey.measure(cx.metrics.Nps(), by=cx.by.attribute("shop")))
        >>> [round(part.contribution.require(), 6) for part in parts.parts], round(parts.score.require(), 6)
        ([75.0, -25.0], 50.0)
    """
    grouped("contributions", results)
    known, left_out = _parts(results)
    if not known:
        raise NoValueError("no group has a value, so there is nothing to take apart")
    seen = _evidence(list(known.values()))
    weight = seen.totals[seen.names.index("n")]
    share = weight.sum(axis=1) / weight.sum()
    values = seen.values(seen.totals.sum(axis=2))
    without = seen.totals.sum(axis=2, keepdims=True) - seen.totals
    there = (weight > 0).any(axis=0)
    error = jackknife_error(_terms(seen, without), there)
    whole = seen.totals.sum(axis=(1, 2), keepdims=True)[:, 0]
    overall_error = float(jackknife_error(seen.values(whole - seen.totals.sum(axis=1))[None, :], there)[0])
    first = next(iter(known.values()))
    n = sum(each.n for each in known.values())
    parts = tuple(
        Contribution(
            group=key, n=each.n, share=float(share[i]), value=float(values[i]),
            contribution=_part(each, float(share[i] * values[i]), float(error[i]), each.n),
        )
        for i, (key, each) in enumerate(known.items())
    )  # fmt: skip
    score = evolve(_part(first, float(seen.values(whole)[0]), overall_error, n), range=first.range)
    return Contributions(metric=results.metric, by=results.by, score=score, parts=parts, left_out=left_out)


def decompose(
    before: Breakdown[K, Estimate], after: Breakdown[K, Estimate], *, across: bool = False
) -> Decomposition[K]:  # fmt: skip
    """Split the change of a score between two breakdowns into mix and rate, exactly.

    Formula (Kitagawa 1955, 10.1080/01621459.1955.10501299): mix_k = Δshare_k · (θ_k before + θ_k after)/2,
    rate_k = Δθ_k · (share_k before + share_k after)/2; their sum is the change of Σ share_k · θ_k. A group that exists
    at one time only has no change of score: all it gives is mix. The intervals are jackknife intervals over customers,
    who may stand in both.

    Args:
        before: Results by group.
        after: The same metric by the same grouping, of another window, selection or survey.
        across: Whether before and after may describe different populations: another selection or survey.

    Raises:
        NotComparableError: Metric, unit, grouping or population differ, groups overlap, or the metric is not a mean.
        NoValueError: Before or after, no group has a value.

    Example:
        >>> import cxmodel as cx
        >>> def survey(a, b):
        ...     rows = [{"score": s, "shop": "a"} for s in a] + [{"score": s, "shop": "b"} for s in b]
        ...     found = cx.read_responses(rows, score="score", scale=cx.Scale.nps(), attributes=["shop"])
        ...     return found.measure(cx.metrics.Nps(), by=cx.by.attribute("shop"))
        >>> change = decompose(survey([10] * 50, [3] * 50), survey([10] * 75, [3] * 25), across=True)
        >>> change.change.require(), change.mix.require(), change.rate.require()
        (50.0, 50.0, 0.0)
    """
    grouped("decompose", before, after)
    if (before.metric, before.by) != (after.metric, after.by):
        raise NotComparableError(
            f"{before.metric} by {' and '.join(before.by)} and {after.metric} by {' and '.join(after.by)} differ"
        )
    keys, one, other, left_out = _both(before, after)
    example = next(iter(one.values()))
    if not across:
        instead = "cx.decompose(before, after, across=True)"
        check_origins(example.origin, next(iter(other.values())).origin, instead)
    early, late = _side(one, keys), _side(other, keys)
    if early.run != late.run:
        early, late = _unlinked(early, late)
    mix, rate = _mix_and_rate(early, late, *(each.totals.sum(axis=2, keepdims=True) for each in (early, late)))
    left = [each.totals.sum(axis=2, keepdims=True) - each.totals for each in (early, late)]
    mixes, rates = _mix_and_rate(early, late, left[0], left[1])
    there = (early.totals != 0).any(axis=(0, 1)) | (late.totals != 0).any(axis=(0, 1))
    n = sum(each.n for side in (one, other) for each in side.values())

    def part(value: Floats, replicates: Floats) -> Estimate:
        return _part(example, float(value.sum()), float(jackknife_error(replicates.sum(axis=0)[None, :], there)[0]), n)

    shares = [each.totals[each.names.index("n")].sum(axis=1) for each in (early, late)]
    parts = tuple(
        Change(
            group=key, share_before=float(shares[0][i] / shares[0].sum()),
            share_after=float(shares[1][i] / shares[1].sum()), before=_value_of(one, key), after=_value_of(other, key),
            mix=part(mix[i], mixes[i : i + 1]), rate=part(rate[i], rates[i : i + 1]),
        )
        for i, key in enumerate(keys)
    )  # fmt: skip
    return Decomposition(
        metric=before.metric, by=before.by, change=part(mix + rate, mixes + rates), mix=part(mix, mixes),
        rate=part(rate, rates), parts=parts, left_out=left_out,
    )  # fmt: skip


Known = dict[K | None, Estimate]


def _parts(results: Breakdown[K, Estimate]) -> tuple[Known[K], int]:
    """Groups with a value, what belongs to no group last, and how many observations the others hold."""
    check_apart(results, "a decomposition")
    check_one_scale(results)
    every: Known[K] = {}
    every.update(results.groups.items())
    if results.unassigned is not None:
        every[None] = results.unassigned
    known = {key: each for key, each in every.items() if each.value is not None}
    return known, sum(each.n for key, each in every.items() if key not in known)


def _both(
    before: Breakdown[K, Estimate], after: Breakdown[K, Estimate]
) -> tuple[list[K | None], Known[K], Known[K], int]:
    """Keys, both sides and what is left out: a group that one side suppresses is left out of both."""
    one, gone = _parts(before)
    other, lost = _parts(after)
    hidden = {key for side, known in ((before, one), (after, other)) for key in _every(side) if key not in known}
    left_out = gone + lost + sum(side[key].n for side in (one, other) for key in hidden if key in side)
    one = {key: each for key, each in one.items() if key not in hidden}
    other = {key: each for key, each in other.items() if key not in hidden}
    if not one or not other:
        raise NoValueError(f"{'before' if not one else 'after'}, no group has a value on both sides to compare")
    keys = [*one, *(key for key in other if key not in one)]
    if None in keys:
        keys.sort(key=lambda key: key is None)
    return keys, one, other, left_out


def _every(results: Breakdown[K, Estimate]) -> list[K | None]:
    return [*results.groups, *([] if results.unassigned is None else [None])]


def _side(known: Known[K], keys: list[K | None]) -> Evidence:
    """The evidence of one side with a row for every key; zeros where the group does not exist."""
    seen = _evidence(list(known.values()))
    place = [list(known).index(key) if key in known else -1 for key in keys]
    totals = np.zeros((len(seen.names), len(keys), seen.totals.shape[2]))
    for row, source in enumerate(place):
        if source >= 0:
            totals[:, row] = seen.totals[:, source]
    return evolve(seen, totals=totals)


def _unlinked(one: Evidence, other: Evidence) -> tuple[Evidence, Evidence]:
    """Two populations whose customers are not known to be the same: their buckets are set apart."""
    nothing = np.zeros_like(one.totals)
    return (
        evolve(one, totals=np.concatenate([one.totals, nothing], axis=2)),
        evolve(other, totals=np.concatenate([nothing, other.totals], axis=2)),
    )


def _evidence(estimates: list[Estimate]) -> Evidence:
    """The sums of all, where their metric is a mean over observations.

    Raises:
        NotComparableError: It is not, or the estimates remember nothing.
    """
    seen = evidence(estimates)
    if seen is None or "n" not in seen.names:
        raise NotComparableError(
            "these estimates do not remember what they were made of",
            hint="Take a breakdown as journeys.measure(…, by=…) gives it, not one read from a file",
        )
    totals = seen.totals.sum(axis=2)
    whole = float(seen.values(totals.sum(axis=1, keepdims=True))[0])
    parts = float(_terms(seen, totals[:, :, None]).sum())
    if not math.isclose(whole, parts, rel_tol=1e-9, abs_tol=1e-9):
        raise NotComparableError(
            f"the metric is no mean over its observations: groups give {parts:g} together, all at once {whole:g}"
        )
    return seen


def _terms(seen: Evidence, totals: Floats) -> Floats:
    """(r, b) share · value of sums (f, r, b); a group without observations gives nothing."""
    weight = totals[seen.names.index("n")]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = weight / weight.sum(axis=0)
    return np.asarray(np.where(weight > 0, share * seen.values(totals), 0.0))


def _mix_and_rate(early: Evidence, late: Evidence, before: Floats, after: Floats) -> tuple[Floats, Floats]:
    """(r, b) mix and rate from sums (f, r, b) of both sides."""
    sides = []
    for seen, totals in ((early, before), (late, after)):
        # a group that a jackknife step empties must have share 0 exactly, not what rounding leaves
        weight = np.where(totals[seen.names.index("n")] > 1e-9, totals[seen.names.index("n")], 0.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            sides.append((weight / weight.sum(axis=0), np.where(weight > 0, seen.values(totals), np.nan)))
    mix, rate = mix_and_rate(sides[0][0], sides[0][1], sides[1][0], sides[1][1])
    return mix, rate


def _part(example: Estimate, value: float, error: float, n: int) -> Estimate:
    """A part of a score, with a normal interval from a jackknife error."""
    level = example.interval.level if example.interval else 0.95
    half = z_value(level) * error
    interval = Interval(value - half, value + half, level, "jackknife, by customer") if math.isfinite(half) else None
    return evolve(
        example, value=value, n=n, n_eff=None, interval=interval, range=(-math.inf, math.inf), flags=(),
        dependence=None,
    )  # fmt: skip


def _value_of(known: Mapping[Any, Estimate], key: object) -> float | None:
    return known[key].value if key in known else None


def _group(by: tuple[str, ...], key: object) -> dict[str, object]:
    values = (None,) * len(by) if key is None else group_values(key, len(by))
    return dict(zip(by, values, strict=True))


def _name(key: object) -> str:
    return "(unassigned)" if key is None else str(key)
