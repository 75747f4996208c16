"""Which of mean, peak, end and trough goes with the remembered whole in these data: weights fitted, not asserted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, get_args

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.analysis.moments import JourneyScores, moment_rows, scores_of
from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Flag, Interval, Origin
from cxmodel.model.frames import Tabular
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Question, Scale
from cxmodel.stats.arrays import Bools, Ints, grouped_sum
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.intervals import normal_interval
from cxmodel.stats.nonnegative import nonnegative_fit, squared_error
from cxmodel.tallies.cells import BUCKETS, Cells
from cxmodel.tallies.inference import draws, percentiles
from cxmodel.tallies.metrics import SMALL, SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums, dense_buckets

Part = Literal["mean", "peak", "end", "trough"]
Better = Literal["better than the mean", "worse than the mean", "not told apart", "no value"]

PARTS: Final[tuple[Part, ...]] = get_args(Part)
REPLICATES: Final = 500
_COLUMNS: Final = ("one", *PARTS, "whole")
_WHOLE: Final = len(_COLUMNS) - 1
_PAIRS: Final = [(i, j) for i in range(len(_COLUMNS)) for j in range(i, len(_COLUMNS))]
_MATCHED, _UNMATCHED = 0, 1
_NEVER: Final = np.iinfo(np.int64).min
_ALIKE: Final = 1e-9


def _parts(names: object) -> tuple[Part, ...]:
    given: tuple[Any, ...] = (names,) if isinstance(names, str) else tuple(names)  # type: ignore[arg-type]
    for name in given:
        if name not in PARTS:
            raise InvalidValueError(unknown("part", str(name), PARTS))
    if len(given) < 2 or len(set(given)) != len(given):
        raise InvalidValueError(f"parts are two or more different ones of {', '.join(PARTS)}, got {given}")
    return tuple(part for part in PARTS if part in given)


@frozen(kw_only=True)
class PeakEndFit(Tabular):
    """Weights of the parts of an experience that go with what customers say of the whole.

    Attributes:
        question: Question of the moments.
        whole: Question about the whole.
        per: What one observation is, a journey or a customer.
        n: Observations with a score of the whole and at least one moment.
        customers: Customers among them.
        without_moments: Scores of the whole without any moment before them, which tell nothing here.
        weights: Weight of each part, a share; they sum to 1.
        slope: Points of the whole per point of the weighted moments.
        r2: Share of the variance of the whole that the weights explain in customers they were not fitted to.
        r2_mean: The same of the plain mean alone.
        difference: ``r2`` minus ``r2_mean``.
        verdict: What the interval of the difference says.
        folds: Into how many parts the customers were dealt.
    """

    question: str
    whole: str
    per: Literal["journey", "customer"]
    n: int
    customers: int
    without_moments: int
    weights: Mapping[str, Estimate]
    slope: Estimate
    r2: Estimate
    r2_mean: Estimate
    difference: Estimate
    verdict: Better
    folds: int
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_records(self) -> list[dict[str, object]]:
        """One record per weight, then slope, both shares of variance and their difference."""
        weights = [{"group": {"part": part}, "quantity": "weight", **each.to_dict()} for part, each in
                   self.weights.items()]  # fmt: skip
        rest = {"slope": self.slope, "r2": self.r2, "r2_mean": self.r2_mean, "r2_difference": self.difference}
        return [*weights, *({"group": {}, "quantity": name, **each.to_dict()} for name, each in rest.items())]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "question": self.question, "whole": self.whole, "per": self.per, "n": self.n, "customers": self.customers,
            "without_moments": self.without_moments, "folds": self.folds, "verdict": self.verdict,
            "estimates": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"{self.whole} from the moments of {self.question}: {self.n:,} {self.per}s, {self.customers:,} customers"
        lines = [f"  weight of {part}: {each:.2f}" for part, each in self.weights.items()]
        lines += [f"  out of sample R²: {self.r2:.3f}; of the plain mean: {self.r2_mean:.3f}"]
        return "\n".join([head, *lines, f"  difference: {self.difference:.3f}: {self.verdict}"])


@frozen(kw_only=True)
class PeakEndWeights(SumTally[PeakEndFit]):
    """Which mixture of mean, peak, end and trough goes with what customers say of the whole.

    Weights are shares, 0 to 1, and sum to 1; no direction. ``whole ≈ a + Σ βⱼ·partⱼ`` with βⱼ ≥ 0 by least squares and
    a free intercept (Lawson & Hanson 1974, 10.1137/1.9781611971217); the weight of a part is βⱼ/Σβ, the slope Σβ.
    Peak is the score farthest from neutral, as in `ExtremePeak`. What the weights are worth is told out of sample: they
    are fitted without one part of the customers after the other, and R² of what was left out stands beside that of the
    plain mean. Intervals are from replicates that draw customers. Association: who remembers a journey well may have
    answered its moments in the same mood.

    Attributes:
        parts: Two or more of mean, peak, end, trough.
        question: Question of the moments; may be left out where one is transactional.
        whole: Question about the whole; may be left out where one is relational. The same question as that of the
            moments means its answers about whole journeys.
        per: Whether moments are those of the journey that the score of the whole belongs to, or all of the customer's.
        neutral: Score that is neither good nor bad; the middle of the scale unless given.
        folds: Into how many parts customers are dealt.
        min_n: Fewer observations than this are not fitted.
    """

    name: ClassVar[str] = "peak_end_weights"
    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "journey"
    clustered: ClassVar[bool] = False

    parts: tuple[Part, ...] = field(default=("mean", "peak", "end"), converter=_parts)
    question: str | None = None
    whole: str | None = None
    per: Literal["journey", "customer"] = field(default="journey", validator=validators.in_(("journey", "customer")))
    neutral: float | None = None
    folds: int = field(default=5, validator=[validators.ge(2), validators.le(20)])
    min_n: int = field(default=SMALL, validator=validators.ge(10))

    def missing(self, facts: Facts) -> str | None:
        """No answers, no such question, or several and none named."""
        if not facts.questions:
            return "there are no answers: attach some with journeys.with_responses(…)"
        for name in (self.question, self.whole):
            if name is not None and name not in facts.questions:
                return unknown("question", name, list(facts.questions))
        if len(self._moments(facts.questions)) != 1:
            return f"say which question is about touchpoints, question= one of {', '.join(map(repr, facts.questions))}"
        if len(self._wholes(facts.questions)) != 1:
            return f"say which question is about the whole, whole= one of {', '.join(map(repr, facts.questions))}"
        return None

    def _moments(self, questions: Mapping[str, Question]) -> list[str]:
        if self.question is not None:
            return [self.question]
        others = [name for name in questions if name != self.whole] or list(questions)
        return others if len(others) == 1 else [name for name in others if questions[name].kind == "transactional"]

    def _wholes(self, questions: Mapping[str, Question]) -> list[str]:
        if self.whole is not None:
            return [self.whole]
        if len(questions) == 1:
            return list(questions)
        return [name for name, each in questions.items() if each.kind == "relational"]

    def observe(self, block: Block) -> Observations:
        """Products of the parts and the whole; scores of the whole without moments under a key of their own."""
        questions = block.vocabulary.questions
        names = list(questions)
        moments, whole = self._moments(questions)[0], self._wholes(questions)[0]
        owner, score, weight, until = self._remembered(block, names.index(whole), alone=moments == whole)
        rows, of = self._before(block, moment_rows(block, names.index(moments)), owner, until)
        seen = scores_of(block, rows, of, questions[moments].scale, self.neutral)
        there = np.searchsorted(owner, seen.journey)
        columns = [np.ones(seen.journey.size), *self._columns(seen), score[there] * _sign(questions[whole].scale)]
        unmatched = np.setdiff1d(owner, seen.journey)
        key = np.repeat([_MATCHED, _UNMATCHED], [seen.journey.size, unmatched.size])
        nothing = np.zeros(unmatched.size)
        numbers = {f"{i}·{j}": np.concatenate([weight[there] * columns[i] * columns[j], nothing]) for i, j in _PAIRS}
        customer = seen.journey if self.per == "customer" else block.customer_of_journey[seen.journey]
        part_of = 1.0 / grouped_sum(customer, None, block.customers)[customer]
        return observe(
            self.per, np.concatenate([seen.journey, unmatched]), key,
            customers=np.concatenate([part_of, nothing]), **numbers,
        )  # fmt: skip

    def _columns(self, seen: JourneyScores) -> list[Floats]:
        return [seen.sign * values for values in (seen.mean, seen.extreme, seen.end, seen.trough)]

    def _remembered(self, block: Block, code: int, *, alone: bool) -> tuple[Ints, Floats, Floats, Ints]:
        """Owners with a score of the whole, ascending: the mean score, its weight, and the time of the latest."""
        answers = block.answers
        none = np.zeros(0, np.int64)
        if answers is None:
            return none, np.zeros(0), np.zeros(0), none
        counts: Bools = (answers.question == code) & np.isfinite(answers.score) & (answers.weight > 0)
        if alone:
            counts &= answers.event < 0
        rows = np.flatnonzero(counts)
        whose = answers.journey[rows] if self.per == "journey" else block.customer_rows("response", rows)
        owner, place = np.unique(whose, return_inverse=True)
        weight = grouped_sum(place, answers.weight[rows], owner.size)
        score = ratio(grouped_sum(place, answers.weight[rows] * answers.score[rows], owner.size), weight)
        until = np.full(owner.size, _NEVER)
        np.maximum.at(until, place, answers.time[rows])
        return owner, score, weight / grouped_sum(place, None, owner.size), until

    def _before(self, block: Block, rows: Ints, owner: Ints, until: Ints) -> tuple[Ints, Ints]:
        """Moments of these owners that had passed when the whole was scored, by owner and time; and their owners."""
        if block.answers is None or not owner.size:
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        event = block.answers.event[rows]
        of = block.journey[event] if self.per == "journey" else block.customer_of_journey[block.journey[event]]
        at = np.minimum(np.searchsorted(owner, of), owner.size - 1)
        kept = (owner[at] == of) & ((until[at] == _NEVER) | (block.time[event] <= until[at]))
        rows, of, event = rows[kept], of[kept], event[kept]
        order = np.lexsort((event, block.time[event], of)) if self.per == "customer" else np.arange(rows.size)
        return rows[order], of[order]

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> PeakEndFit:
        """Fit on all customers and without each part of them, in all replicates."""
        questions = cells.facts.questions
        row = np.flatnonzero(sums.key == _MATCHED)
        n = int(sums.count[row].sum())
        customers = round(float(sums["customers"][row].sum())) if n else 0
        fitted = _Fitted(self.parts, self.folds, sums, row, cells) if n >= self.min_n else None
        reason = f"fewer than {self.min_n} {self.per}s with a score of the whole and of a moment (n={n})"
        told = _Teller(n=n, flags=_flags(customers, fitted), level=level, reason=reason, origin=cells.origin)
        weights: dict[str, Estimate] = {
            part: told.weight(None if fitted is None else fitted.weights[:, i]) for i, part in enumerate(self.parts)
        }
        difference = told.worth(None if fitted is None else fitted.r2 - fitted.r2_mean, high=np.inf)
        return PeakEndFit(
            question=self._moments(questions)[0], whole=self._wholes(questions)[0], per=self.per, n=n,
            customers=customers, without_moments=int(sums.count[sums.key == _UNMATCHED].sum()), weights=weights,
            slope=told.slope(None if fitted is None else fitted.slope),
            r2=told.worth(None if fitted is None else fitted.r2),
            r2_mean=told.worth(None if fitted is None else fitted.r2_mean),
            difference=difference, verdict=_verdict(difference), folds=self.folds, origin=cells.origin,
        )  # fmt: skip


def _sign(scale: Scale) -> float:
    return -1.0 if scale.direction == "lower" else 1.0


class _Fitted:
    """The fits of one group; the first replicate is the data themselves."""

    def __init__(self, parts: tuple[Part, ...], folds: int, sums: Sums, row: Ints, cells: Cells[Any]) -> None:
        features = [_COLUMNS.index(part) for part in parts]
        products = self._products(sums, row)
        drawn = draws(cells.bootstrap or REPLICATES, cells.seed)
        weights = np.concatenate([np.ones((BUCKETS, 1)), drawn], axis=1)
        fold = np.arange(BUCKETS) % folds
        held = np.stack([np.einsum("bij,br->rij", products[fold == k], weights[fold == k]) for k in range(folds)])
        whole = held.sum(axis=0)
        beta = nonnegative_fit(whole, features, _WHOLE)[:, 1:]
        self.slope = beta.sum(axis=1)
        self.weights = ratio(beta, self.slope[:, None])
        self.r2 = self._held_out(held, whole - held, features)
        self.r2_mean = self._held_out(held, whole - held, [_COLUMNS.index("mean")])
        self.identified = self._apart(whole[0], features)

    def _products(self, sums: Sums, row: Ints) -> Floats:
        """(buckets, columns, columns) sums of products."""
        size = len(_COLUMNS)
        dense = dense_buckets(sums, row)[:, 0, :]
        out = np.zeros((BUCKETS, size, size))
        for i, j in _PAIRS:
            out[:, i, j] = out[:, j, i] = dense[sums.names.index(f"{i}·{j}")]
        return out

    def _held_out(self, held: Floats, rest: Floats, features: list[int]) -> Floats:
        """(r,) share of the variance of those left out that a fit on the others explains."""
        error = squared_error(held, nonnegative_fit(rest, features, _WHOLE), features, _WHOLE)
        level = ratio(rest[..., 0, _WHOLE], rest[..., 0, 0])
        spread = held[..., _WHOLE, _WHOLE] - 2 * level * held[..., 0, _WHOLE] + level**2 * held[..., 0, 0]
        return 1 - ratio(error.sum(axis=0), np.where(spread.sum(axis=0) > 1e-12, spread.sum(axis=0), 0.0))

    def _apart(self, products: Floats, features: list[int]) -> bool:
        """Whether no part repeats the others."""
        centred = products - np.outer(products[0], products[0]) / products[0, 0]
        inside = centred[np.ix_(features, features)]
        spread = np.diag(inside)
        if (spread <= 1e-12 * np.abs(np.diag(products)[features])).any():
            return False
        return bool(np.linalg.eigvalsh(inside / np.sqrt(np.outer(spread, spread)))[0] > _ALIKE)


def _flags(customers: int, fitted: _Fitted | None) -> tuple[Flag, ...]:
    if fitted is None:
        return ("suppressed",)
    small: tuple[Flag, ...] = ("small_n",) if customers < 5 * SMALL else ()
    return small if fitted.identified else (*small, "not_identifiable")


@frozen(kw_only=True)
class _Teller:
    """Makes estimates of replicates, the first of which is the data themselves."""

    n: int
    flags: tuple[Flag, ...]
    level: float
    reason: str
    origin: Origin

    def weight(self, values: Floats | None) -> Estimate:
        """A share between 0 and 1."""
        return self._percentiles(values, evolve(self._about(), unit="share", range=(0.0, 1.0)))

    def slope(self, values: Floats | None) -> Estimate:
        """Points per point."""
        return self._percentiles(values, evolve(self._about(), unit="points per point", range=(0.0, np.inf)))

    def worth(self, values: Floats | None, high: float = 1.0) -> Estimate:
        """A share of variance, or the difference of two."""
        about = evolve(self._about(), unit="share of variance", direction="higher", range=(-np.inf, high))
        if values is None or not np.isfinite(values[0]):
            return self._without(values, about)
        known = values[1:][np.isfinite(values[1:])]
        low, high_ = normal_interval(values[0], known.std(ddof=1) if known.size > 1 else np.nan, self.level)
        return self._told(values, about, float(low), float(high_), "normal, ")

    def _percentiles(self, values: Floats | None, about: Estimate) -> Estimate:
        if values is None or not np.isfinite(values[0]):
            return self._without(values, about)
        low, high = percentiles(values[1:], self.level)
        return self._told(values, about, float(low), float(high), "")

    def _about(self) -> Estimate:
        return Estimate(value=None, n=self.n, flags=self.flags, reason=self.reason, origin=self.origin)

    def _without(self, values: Floats | None, about: Estimate) -> Estimate:
        if values is None:
            return about
        return evolve(about, flags=("empty",), reason="nothing varies here, or no part goes with the whole")

    def _told(self, values: Floats, about: Estimate, low: float, high: float, how: str) -> Estimate:
        method = f"{how}bootstrap of customers ({values.size - 1:,})"
        interval = Interval(low, high, self.level, method) if np.isfinite(low + high) else None
        return evolve(about, value=float(values[0]), interval=interval, reason=None)


def _verdict(difference: Estimate) -> Better:
    if difference.value is None or difference.interval is None:
        return "no value"
    if 0.0 in difference.interval:
        return "not told apart"
    return "better than the mean" if difference.value > 0 else "worse than the mean"
