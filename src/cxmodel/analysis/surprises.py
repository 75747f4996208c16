"""Moments of surprise: touchpoints whose scores differ from those elsewhere, and single surprising answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal

import numpy as np
from attrs import asdict, evolve, field, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Unit
from cxmodel.data.columns import column_missing, event_codes, journey_codes
from cxmodel.model import validators
from cxmodel.model.estimates import Origin
from cxmodel.model.frames import Tabular
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
        segment: Segment of those who answered; None where no segments were asked for.
        n: Answers about it.
        mean: Mean score.
        expected: Mean score of the answers about all other touchpoints, in the same segment; None where there are
            none.
        surprise: Mean minus expected, in points; positive is good news unless lower scores are better.
        low: Lower end of its interval; None with fewer than two customers.
        high: Upper end.
        p: Two-sided p value; None where there is no test.
        p_adjusted: The same after Benjamini and Hochberg over all rows that were tested.
        verdict: Delight, disappointment, as expected, or too few answers.
        spread: Robust spread of the scores, in points; 0 where all agree.
        rule: What the spread is made of.
        delights: Single answers at least ``threshold`` spreads better than the median.
        disappointments: Single answers as much worse.
    """

    touchpoint: str
    segment: str | None = None
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
        segment = rest.pop("segment")
        group = {"touchpoint": rest.pop("touchpoint"), **({} if segment is None else {"segment": segment})}
        return {"group": group, "quantity": "surprise", "value": rest.pop("surprise"), "unit": _POINTS, **rest}


@frozen(kw_only=True)
class SurpriseTable(Tabular):
    """Touchpoints by the size of their surprise, the surest first.

    Attributes:
        rows: One row per touchpoint with an answer; one per touchpoint and segment where segments were asked for.
        question: Question of the scores.
        segment: Attribute that tells the segments, or None.
        answers: Answers about a touchpoint.
        unassigned: Answers about a journey as a whole, which belong to no touchpoint.
        without_segment: Answers about a touchpoint by customers of unknown segment, which are left out.
        alpha: Share of false alarms that is accepted among the verdicts.
        threshold: From how many spreads a single answer counts as a surprise.
    """

    rows: tuple[TouchpointSurprise, ...]
    question: str
    segment: str | None = None
    answers: int
    unassigned: int
    without_segment: int = 0
    alpha: float
    threshold: float
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_records(self) -> list[dict[str, object]]:
        """One record per touchpoint, the surest first."""
        return [row.to_dict() for row in self.rows]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "question": self.question, "segment": self.segment, "answers": self.answers,
            "unassigned": self.unassigned, "without_segment": self.without_segment, "alpha": self.alpha,
            "threshold": self.threshold, "touchpoints": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"{self.question}: {self.answers:,} answers about touchpoints, {self.unassigned:,} about whole journeys"
        lines = [
            f"  {row.touchpoint}{'' if row.segment is None else f', {row.segment}'}: {row.mean:.3g}"
            + ("" if row.expected is None else f" against {row.expected:.3g} elsewhere")
            + f", {row.verdict} (n={row.n:,})"
            for row in self.rows
        ]
        return "\n".join([head, *lines])


@frozen(eq=False)
class SurpriseState:
    """Sums by cell, a touchpoint in a segment, and how often each score was given there.

    Attributes:
        cell: (k,) segment × touchpoints + touchpoint, ascending.
        products: (k, 4, 4) sums over the cell's customers of the products of: their answers here and their summed score
            here, their answers anywhere in the segment and their summed score there.
        sums: (k, 2) answers and summed score.
        customers: (k,) customers with an answer here.
        segment: (s,) codes of the segments, ascending.
        everywhere: (s, 2, 2) sums over the customers of a segment of the products of answers and summed score.
        distinct: (d,) cell of each different score.
        score: (d,) the score.
        count: (d,) how often.
        unassigned: Answers about a journey as a whole.
        without_segment: Answers about a touchpoint of unknown segment.
    """

    cell: Ints
    products: Floats
    sums: Floats
    customers: Ints
    segment: Ints
    everywhere: Floats
    distinct: Ints
    score: Floats
    count: Ints
    unassigned: int
    without_segment: int


@frozen(kw_only=True)
class Surprises(Tally[SurpriseState, SurpriseTable]):
    """Moments of surprise: experience against expectation, signed and tested.

    For each touchpoint the mean score is held against the mean of the answers about all other touchpoints (it is left
    out of its own expectation). With ``segment`` this is done for each segment of customers, against the same segment's
    answers elsewhere, so that a segment that scores everything low is no surprise. The standard error is clustered by
    customer; p values are adjusted over all rows (Benjamini & Hochberg 1995, 10.1111/j.2517-6161.1995.tb02031.x).
    Single answers count as surprises where they lie ``threshold`` robust spreads from the row's median. Answer weights
    are not used.

    Attributes:
        question: Name of the question; may be left out where there is only one.
        segment: Attribute of customers, journeys or events that tells the segments.
        min_n: Rows with fewer answers get no verdict.
        alpha: Share of false alarms accepted among the verdicts.
        threshold: Spreads from which a single answer counts.
    """

    name: ClassVar[str] = "surprises"
    unit: ClassVar[str] = _POINTS
    observes: ClassVar[Unit] = "response"
    groups: ClassVar[bool] = False

    question: str | None = None
    segment: str | None = None
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
        return None if self.segment is None else column_missing(self.segment, facts)

    def start(self) -> SurpriseState:
        """Nothing."""
        none, nothing = np.zeros(0, np.int64), np.zeros(0)
        return SurpriseState(
            none, np.zeros((0, 4, 4)), np.zeros((0, 2)), none, none, np.zeros((0, 2, 2)), none, nothing, none, 0, 0
        )

    def add(self, state: SurpriseState, block: Block, cells: Cells[Any]) -> SurpriseState:
        """Sum up one block."""
        return self.merge(state, self._seen(block))

    def _seen(self, block: Block) -> SurpriseState:
        answers = block.answers
        if answers is None:
            return self.start()
        asked = answers.question == list(block.vocabulary.questions).index(self._asked(block.vocabulary.questions))
        about = np.flatnonzero(asked & (answers.touchpoint >= 0))
        segment = self._segments(block, about)
        rows, segment = about[segment >= 0], segment[segment >= 0]
        lost = evolve(self.start(), unassigned=int(asked.sum()) - about.size, without_segment=about.size - rows.size)
        if not rows.size:
            return lost
        cell = segment * len(block.vocabulary.touchpoints) + answers.touchpoint[rows]
        owner, score = block.customer_rows("response", rows), answers.score[rows]
        cells, place = compress(cell)
        segments, of = compress(segment)
        person, person_at = compress(owner * segments.size + of)
        whole = np.stack([grouped_sum(person_at, None, person.size), grouped_sum(person_at, score, person.size)])
        pair, at = compress(person_at * cells.size + place)
        here = np.stack([grouped_sum(at, None, pair.size), grouped_sum(at, score, pair.size)])
        four = np.concatenate([here, whole[:, pair // cells.size]])
        known, count = _distinct(cell, score, np.ones(rows.size, np.int64))
        return evolve(
            lost, cell=cells, products=_products(four, pair % cells.size, cells.size),
            sums=np.stack([grouped_sum(place, None, cells.size), grouped_sum(place, score, cells.size)], axis=1),
            customers=np.bincount(pair % cells.size, minlength=cells.size), segment=segments,
            everywhere=_products(whole, person % segments.size, segments.size),
            distinct=known[0].astype(np.int64), score=known[1], count=count,
        )  # fmt: skip

    def _segments(self, block: Block, rows: Ints) -> Ints:
        """Segment of each answer; 0 for all without segments, −1 where it is unknown."""
        assert block.answers is not None
        if self.segment is None:
            return np.zeros(rows.size, np.int64)
        codes = np.full(rows.size, -1)
        if self.segment in block.journey_columns and self.segment not in block.event_columns:
            return journey_codes(block, self.segment)[block.answers.journey[rows]]
        event = block.answers.event[rows]
        codes[event >= 0] = event_codes(block, self.segment)[event[event >= 0]]
        return codes

    def _asked(self, questions: Mapping[str, object]) -> str:
        return next(iter(questions)) if self.question is None else self.question

    def merge(self, a: SurpriseState, b: SurpriseState) -> SurpriseState:
        """Add the sums."""
        cell, place = np.unique(np.concatenate([a.cell, b.cell]), return_inverse=True)
        segment, of = np.unique(np.concatenate([a.segment, b.segment]), return_inverse=True)
        known, count = _distinct(
            np.concatenate([a.distinct, b.distinct]), np.concatenate([a.score, b.score]),
            np.concatenate([a.count, b.count]),
        )  # fmt: skip
        return SurpriseState(
            cell, _added(a.products, b.products, place, cell.size), _added(a.sums, b.sums, place, cell.size),
            _added(a.customers, b.customers, place, cell.size), segment,
            _added(a.everywhere, b.everywhere, of, segment.size), known[0].astype(np.int64), known[1], count,
            a.unassigned + b.unassigned, a.without_segment + b.without_segment,
        )  # fmt: skip

    def finish(self, state: SurpriseState, cells: Cells[Any], level: float) -> Mapping[int, SurpriseTable]:
        """Test every touchpoint with enough answers, and count its single surprises."""
        names = cells.vocabulary.touchpoints
        segments = self._names(cells)
        surprise, se, expected = _tests(state, len(names))
        se = np.where(state.customers > 1, se, np.nan)
        enough = (state.sums[:, 0] >= self.min_n) & (se > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.where(enough, _two_sided(surprise / se), np.nan)
        adjusted = benjamini_hochberg(p) if p.size else p
        question = self._asked(cells.facts.questions)
        sign = -1.0 if cells.facts.questions[question].scale.direction == "lower" else 1.0
        bounds = np.searchsorted(state.distinct, np.stack([state.cell, state.cell + 1]))
        half = z_value(level) * se
        rows = [
            self._row(
                (names[code % len(names)], segments[code // len(names)]), sign,
                tuple(float(x[i]) for x in (expected, surprise, half, p, adjusted)),
                (float(state.sums[i, 0]), float(state.sums[i, 1])),
                state.score[bounds[0, i] : bounds[1, i]], state.count[bounds[0, i] : bounds[1, i]],
            )
            for i, code in enumerate(integers(state.cell))
        ]  # fmt: skip
        rows.sort(key=lambda row: (2.0 if row.p_adjusted is None else row.p_adjusted, -abs(row.surprise or 0.0)))
        table = SurpriseTable(
            rows=tuple(rows), question=question, segment=self.segment, answers=int(state.sums[:, 0].sum()),
            unassigned=state.unassigned, without_segment=state.without_segment,
            alpha=self.alpha, threshold=self.threshold, origin=cells.origin,
        )  # fmt: skip
        return {0: table}

    def _names(self, cells: Cells[Any]) -> list[str | None]:
        """What the codes of segments mean."""
        if self.segment is None:
            return [None]
        vocabulary = cells.vocabulary
        if self.segment == "touchpoint":
            return list(vocabulary.touchpoints)
        labels = vocabulary.columns.get(self.segment) or vocabulary.touchpoint_columns[self.segment][1]
        return list(labels.names)

    def _row(
        self, name: tuple[str, str | None], sign: float, numbers: tuple[float, ...], sums: tuple[float, float],
        score: Floats, count: Ints,
    ) -> TouchpointSurprise:  # fmt: skip
        expected, surprise, half, p, adjusted = (x if np.isfinite(x) else None for x in numbers)
        middle, scale, rule = robust_scale(score, count)
        away = sign * (score - middle) / scale if scale else np.zeros(score.size)
        n = int(sums[0])
        verdict: Verdict = "too few answers" if n < self.min_n else "as expected"
        if adjusted is not None and adjusted <= self.alpha and surprise:
            verdict = "delight" if sign * surprise > 0 else "disappointment"
        ends = (None, None) if surprise is None or half is None else (surprise - half, surprise + half)
        return TouchpointSurprise(
            touchpoint=name[0], segment=name[1], n=n, mean=sums[1] / n, expected=expected, surprise=surprise,
            low=ends[0], high=ends[1], p=p, p_adjusted=adjusted, verdict=verdict, spread=scale, rule=rule,
            delights=int(count[away >= self.threshold].sum()),
            disappointments=int(count[away <= -self.threshold].sum()),
        )  # fmt: skip


def _products(columns: Floats, place: Ints, size: int) -> Floats:
    """(size, c, c) sums by place of the products of c columns."""
    out = np.empty((size, len(columns), len(columns)))
    for i, one in enumerate(columns):
        for j, other in enumerate(columns):
            out[:, i, j] = grouped_sum(place, one * other, size)
    return out


def _added(a: NDArray[Any], b: NDArray[Any], place: Ints, size: int) -> NDArray[Any]:
    """Both, each row at its place."""
    out = np.zeros((size, *a.shape[1:]), a.dtype)
    np.add.at(out, place, np.concatenate([a, b]))
    return out


def _distinct(cell: Ints, score: Floats, count: Ints) -> tuple[Floats, Ints]:
    """Each different (cell, score), as two rows, and how often."""
    order = np.lexsort((score, cell))
    both = np.stack([cell[order].astype(np.float64), score[order]])
    fresh = np.ones(order.size, np.bool_)
    fresh[1:] = (both[:, 1:] != both[:, :-1]).any(axis=0)
    total = np.bincount(np.cumsum(fresh) - 1, count[order], int(fresh.sum()))
    return both[:, fresh], total.astype(np.int64)


def _tests(state: SurpriseState, width: int) -> tuple[Floats, Floats, Floats]:
    """Per cell: mean minus expectation, its standard error by customer, and the expectation."""
    n, total = state.sums[:, 0], state.sums[:, 1]
    of = np.searchsorted(state.segment, state.cell // max(width, 1))
    rest_n, rest = (grouped_sum(of, sums, state.segment.size)[of] - sums for sums in (n, total))
    mean, expected = ratio(total, n), ratio(rest, rest_n)
    # Influence of a customer: (a − mean·m)/n − ((A − a) − expected·(M − m))/rest_n with m, a here and M, A anywhere.
    weights = np.stack(
        [ratio(-mean, n) - ratio(expected, rest_n), ratio(1.0, n) + ratio(1.0, rest_n), ratio(expected, rest_n),
         -ratio(1.0, rest_n)], axis=1,
    )  # fmt: skip
    inside = np.einsum("ki,kij,kj->k", weights, state.products, weights)
    outside = np.einsum(
        "ki,kij,kj->k", weights[:, 2:], state.everywhere[of] - state.products[:, 2:, 2:], weights[:, 2:]
    )
    return mean - expected, root(inside + outside), expected


def _two_sided(z: Floats) -> Floats:
    from scipy.special import ndtr

    return floats(2 * ndtr(-np.abs(z)))
