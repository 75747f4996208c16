"""Moments of surprise: touchpoints whose scores differ from those elsewhere, and single surprising answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import numpy as np
from attrs import asdict, evolve, field, frozen, validators

from cxmodel.data.blocks import Block, Unit
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, compress, grouped_sum, integers
from cxmodel.stats.comparisons import benjamini_hochberg
from cxmodel.stats.floats import Floats, floats, ratio, root
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally

SpreadRule = Literal["mad", "mean absolute deviation", "none"]
Verdict = Literal["delight", "disappointment", "as expected", "too few answers"]

_POINTS: Final = "points of the scale"
_MAD: Final = 1.482602218505602  # 1 over the normal quantile of ¾
_MEAN_DEVIATION: Final = 1.2533141373155003  # √(π/2)


def leave_one_out(values: Floats) -> Floats:
    """Each value minus the mean of all others: ``n/(n − 1)·(x − mean)``; NaN for a single value.

    Example:
        >>> leave_one_out(np.array([1.0, 2.0, 6.0])).tolist()
        [-3.0, -1.5, 4.5]
    """
    n = values.size
    return floats(ratio(n, n - 1) * (values - values.mean())) if n else values


def robust_scale(values: Floats, counts: Ints | None = None) -> tuple[float, float, SpreadRule]:
    """Median and spread of values: 1.4826 × the median absolute deviation, else 1.2533 × the mean one.

    On short scales the median absolute deviation is often 0; the mean absolute deviation about the median then takes
    its place. Where all values agree there is no spread.

    Args:
        values: Values.
        counts: How often each occurs; once if not given.

    Example:
        >>> middle, spread, rule = robust_scale(np.array([4.0, 4, 5, 4, 3, 4, 1, 5, 4, 4]))
        >>> middle, round(spread, 4), rule
        (4.0, 0.752, 'mean absolute deviation')
    """
    count = np.ones(values.size, np.int64) if counts is None else counts
    middle = _median(values, count)
    away = np.abs(values - middle)
    mad = _median(away, count)
    if mad > 0:
        return middle, _MAD * mad, "mad"
    mean = float((away * count).sum() / count.sum())
    return middle, _MEAN_DEVIATION * mean, "mean absolute deviation" if mean > 0 else "none"


def _median(values: Floats, counts: Ints) -> float:
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(counts[order])
    n = int(reached[-1])
    low, high = np.searchsorted(reached, [(n - 1) // 2, n // 2], side="right")
    return float(values[order[low]] + values[order[high]]) / 2


@frozen(kw_only=True)
class TouchpointSurprise:
    """What one touchpoint's scores say against what is expected.

    Attributes:
        touchpoint: Name of the touchpoint.
        n: Answers about it.
        mean: Mean score.
        expected: Mean score of the answers about all other touchpoints; None where there are none.
        surprise: Mean minus expected, in points; positive is good news unless lower scores are better.
        low: Lower end of its interval; None with fewer than two customers.
        high: Upper end.
        p: Two-sided p value; None where there is no test.
        p_adjusted: The same after Benjamini and Hochberg over the touchpoints that were tested.
        verdict: Delight, disappointment, as expected, or too few answers.
        spread: Robust spread of the scores, in points; 0 where all agree.
        rule: What the spread is made of.
        delights: Single answers at least ``threshold`` spreads better than the median.
        disappointments: Single answers as much worse.
    """

    touchpoint: str
    n: int
    mean: float
    expected: float | None
    surprise: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    verdict: Verdict
    spread: float
    rule: SpreadRule
    delights: int
    disappointments: int

    def to_dict(self) -> dict[str, object]:
        """As in JSON; ``value`` is the surprise."""
        rest = asdict(self)
        group = {"touchpoint": rest.pop("touchpoint")}
        return {"group": group, "quantity": "surprise", "value": rest.pop("surprise"), "unit": _POINTS, **rest}


@frozen(kw_only=True)
class SurpriseTable:
    """Touchpoints by the size of their surprise, the surest first.

    Attributes:
        rows: One row per touchpoint with an answer.
        question: Question of the scores.
        answers: Answers about a touchpoint.
        unassigned: Answers about a journey as a whole, which belong to no touchpoint.
        alpha: Share of false alarms that is accepted among the verdicts.
        threshold: From how many spreads a single answer counts as a surprise.
    """

    rows: tuple[TouchpointSurprise, ...]
    question: str
    answers: int
    unassigned: int
    alpha: float
    threshold: float
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_records(self) -> list[dict[str, object]]:
        """One record per touchpoint, the surest first."""
        return [row.to_dict() for row in self.rows]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "question": self.question, "answers": self.answers, "unassigned": self.unassigned, "alpha": self.alpha,
            "threshold": self.threshold, "touchpoints": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"{self.question}: {self.answers:,} answers about touchpoints, {self.unassigned:,} about whole journeys"
        lines = [
            f"  {row.touchpoint}: {row.mean:.3g}"
            + ("" if row.expected is None else f" against {row.expected:.3g} elsewhere")
            + f", {row.verdict} (n={row.n:,})"
            for row in self.rows
        ]
        return "\n".join([head, *lines])


@frozen(eq=False)
class SurpriseState:
    """Sums by touchpoint, and how often each score was given at it.

    Attributes:
        touchpoint: (k,) codes, ascending.
        products: (k, 4, 4) sums over the touchpoint's customers of the products of: their answers here and their
            summed score here, their answers anywhere and their summed score anywhere.
        sums: (k, 2) answers and summed score.
        customers: (k,) customers with an answer here.
        everywhere: (2, 2) sums over all customers of the products of answers and summed score.
        distinct: (d,) touchpoint of each different score.
        score: (d,) the score.
        count: (d,) how often.
        unassigned: Answers about a journey as a whole.
    """

    touchpoint: Ints
    products: Floats
    sums: Floats
    customers: Ints
    everywhere: Floats
    distinct: Ints
    score: Floats
    count: Ints
    unassigned: int


@frozen(kw_only=True)
class Surprises(Tally[SurpriseState, SurpriseTable]):
    """Moments of surprise: experience against expectation, signed and tested.

    For each touchpoint the mean score is held against the mean of the answers about all other touchpoints (it is left
    out of its own expectation). The standard error is clustered by customer; p values are adjusted over the touchpoints
    (Benjamini & Hochberg 1995, 10.1111/j.2517-6161.1995.tb02031.x). Single answers count as surprises where they lie
    ``threshold`` robust spreads from the touchpoint's median. Answer weights are not used.

    Attributes:
        question: Name of the question; may be left out where there is only one.
        min_n: Touchpoints with fewer answers get no verdict.
        alpha: Share of false alarms accepted among the verdicts.
        threshold: Spreads from which a single answer counts.
    """

    name: ClassVar[str] = "surprises"
    unit: ClassVar[str] = _POINTS
    observes: ClassVar[Unit] = "response"
    groups: ClassVar[bool] = False

    question: str | None = None
    min_n: int = field(default=10, validator=validators.ge(0))
    alpha: float = field(default=0.05, validator=[validators.gt(0), validators.lt(1)])
    threshold: float = field(default=2.5, validator=validators.gt(0))

    def missing(self, facts: Facts) -> str | None:
        """No answers, no such question, or several and none named."""
        if not facts.questions:
            return "there are no answers: attach some with journeys.with_responses(…)"
        asked = ", ".join(map(repr, facts.questions))
        if self.question is None and len(facts.questions) > 1:
            return f"several questions were asked, {asked}: name one with question="
        if self.question is not None and self.question not in facts.questions:
            return f"there is no question {self.question!r}; there is {asked}"
        return None

    def start(self) -> SurpriseState:
        """Nothing."""
        none, nothing = np.zeros(0, np.int64), np.zeros(0)
        return SurpriseState(
            none, np.zeros((0, 4, 4)), np.zeros((0, 2)), none, np.zeros((2, 2)), none, nothing, none, 0
        )

    def add(self, state: SurpriseState, block: Block, cells: Cells[Any]) -> SurpriseState:
        """Sum up one block."""
        return self.merge(state, self._seen(block))

    def _seen(self, block: Block) -> SurpriseState:
        answers = block.answers
        if answers is None:
            return self.start()
        asked = answers.question == list(block.vocabulary.questions).index(self._asked(block.vocabulary.questions))
        rows = np.flatnonzero(asked & (answers.touchpoint >= 0))
        if not rows.size:
            return _only_unassigned(self.start(), int(asked.sum()))
        touchpoint, place = compress(answers.touchpoint[rows])
        owner = block.customer_rows("response", rows)
        score = answers.score[rows]
        whole = np.stack([grouped_sum(owner, None, block.customers), grouped_sum(owner, score, block.customers)])
        pair, at = compress(owner * touchpoint.size + place)
        here = np.stack([grouped_sum(at, None, pair.size), grouped_sum(at, score, pair.size)])
        four = np.concatenate([here, whole[:, pair // touchpoint.size]])
        pair_at = pair % touchpoint.size
        products = np.empty((touchpoint.size, 4, 4))
        for i in range(4):
            for j in range(4):
                products[:, i, j] = grouped_sum(pair_at, four[i] * four[j], touchpoint.size)
        sums = np.stack([grouped_sum(place, None, touchpoint.size), grouped_sum(place, score, touchpoint.size)], axis=1)
        known, count = _distinct(answers.touchpoint[rows], score, np.ones(rows.size, np.int64))
        return SurpriseState(
            touchpoint, products, sums, np.bincount(pair_at, minlength=touchpoint.size), whole @ whole.T,
            known[0].astype(np.int64), known[1], count, int(asked.sum()) - rows.size,
        )  # fmt: skip

    def _asked(self, questions: Mapping[str, object]) -> str:
        return next(iter(questions)) if self.question is None else self.question

    def merge(self, a: SurpriseState, b: SurpriseState) -> SurpriseState:
        """Add the sums."""
        touchpoint, place = np.unique(np.concatenate([a.touchpoint, b.touchpoint]), return_inverse=True)
        products, sums = np.zeros((touchpoint.size, 4, 4)), np.zeros((touchpoint.size, 2))
        np.add.at(products, place, np.concatenate([a.products, b.products]))
        np.add.at(sums, place, np.concatenate([a.sums, b.sums]))
        customers = np.zeros(touchpoint.size, np.int64)
        np.add.at(customers, place, np.concatenate([a.customers, b.customers]))
        known, count = _distinct(
            np.concatenate([a.distinct, b.distinct]), np.concatenate([a.score, b.score]),
            np.concatenate([a.count, b.count]),
        )  # fmt: skip
        return SurpriseState(
            touchpoint, products, sums, customers, a.everywhere + b.everywhere, known[0].astype(np.int64), known[1],
            count, a.unassigned + b.unassigned,
        )  # fmt: skip

    def finish(self, state: SurpriseState, cells: Cells[Any], level: float) -> Mapping[int, SurpriseTable]:
        """Test every touchpoint with enough answers, and count its single surprises."""
        names = cells.vocabulary.touchpoints
        surprise, se, expected = _tests(state)
        se = np.where(state.customers > 1, se, np.nan)
        enough = (state.sums[:, 0] >= self.min_n) & (se > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.where(enough, _two_sided(surprise / se), np.nan)
        adjusted = benjamini_hochberg(p) if p.size else p
        question = self._asked(cells.facts.questions)
        sign = -1.0 if cells.facts.questions[question].scale.direction == "lower" else 1.0
        bounds = np.searchsorted(state.distinct, np.stack([state.touchpoint, state.touchpoint + 1]))
        half = z_value(level) * se
        rows = [
            self._row(
                names[code], sign, tuple(float(x[i]) for x in (expected, surprise, half, p, adjusted)),
                (float(state.sums[i, 0]), float(state.sums[i, 1])),
                state.score[bounds[0, i] : bounds[1, i]], state.count[bounds[0, i] : bounds[1, i]],
            )
            for i, code in enumerate(integers(state.touchpoint))
        ]  # fmt: skip
        rows.sort(key=lambda row: (2.0 if row.p_adjusted is None else row.p_adjusted, -abs(row.surprise or 0.0)))
        table = SurpriseTable(
            rows=tuple(rows), question=question, answers=int(state.sums[:, 0].sum()), unassigned=state.unassigned,
            alpha=self.alpha, threshold=self.threshold, origin=cells.origin,
        )  # fmt: skip
        return {0: table}

    def _row(
        self, name: str, sign: float, numbers: tuple[float, ...], sums: tuple[float, float], score: Floats, count: Ints
    ) -> TouchpointSurprise:
        expected, surprise, half, p, adjusted = (x if np.isfinite(x) else None for x in numbers)
        middle, scale, rule = robust_scale(score, count)
        away = sign * (score - middle) / scale if scale else np.zeros(score.size)
        n = int(sums[0])
        verdict: Verdict = "too few answers" if n < self.min_n else "as expected"
        if adjusted is not None and adjusted <= self.alpha and surprise:
            verdict = "delight" if sign * surprise > 0 else "disappointment"
        ends = (None, None) if surprise is None or half is None else (surprise - half, surprise + half)
        return TouchpointSurprise(
            touchpoint=name, n=n, mean=sums[1] / n, expected=expected, surprise=surprise, low=ends[0],
            high=ends[1], p=p, p_adjusted=adjusted, verdict=verdict, spread=scale, rule=rule,
            delights=int(count[away >= self.threshold].sum()),
            disappointments=int(count[away <= -self.threshold].sum()),
        )  # fmt: skip


def _only_unassigned(state: SurpriseState, count: int) -> SurpriseState:
    return evolve(state, unassigned=count)


def _distinct(touchpoint: Ints, score: Floats, count: Ints) -> tuple[Floats, Ints]:
    """Each different (touchpoint, score), as two rows, and how often."""
    order = np.lexsort((score, touchpoint))
    both = np.stack([touchpoint[order].astype(np.float64), score[order]])
    fresh = np.ones(order.size, np.bool_)
    fresh[1:] = (both[:, 1:] != both[:, :-1]).any(axis=0)
    total = np.bincount(np.cumsum(fresh) - 1, count[order], int(fresh.sum()))
    return both[:, fresh], total.astype(np.int64)


def _tests(state: SurpriseState) -> tuple[Floats, Floats, Floats]:
    """Per touchpoint: mean minus expectation, its standard error by customer, and the expectation."""
    n, total = state.sums[:, 0], state.sums[:, 1]
    rest_n, rest = n.sum() - n, total.sum() - total
    mean, expected = ratio(total, n), ratio(rest, rest_n)
    # Influence of a customer: (a − mean·m)/n − ((A − a) − expected·(M − m))/rest_n with m, a here and M, A anywhere.
    weights = np.stack(
        [ratio(-mean, n) - ratio(expected, rest_n), ratio(1.0, n) + ratio(1.0, rest_n), ratio(expected, rest_n),
         -ratio(1.0, rest_n)], axis=1,
    )  # fmt: skip
    inside = np.einsum("ki,kij,kj->k", weights, state.products, weights)
    outside = np.einsum("ki,kij,kj->k", weights[:, 2:], state.everywhere - state.products[:, 2:, 2:], weights[:, 2:])
    return mean - expected, root(inside + outside), expected


def _two_sided(z: Floats) -> Floats:
    from scipy.special import ndtr

    return floats(2 * ndtr(-np.abs(z)))
