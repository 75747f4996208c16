"""The emotion curve: how scores go along the journey, with bands for each point and for the curve as a whole."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import numpy as np
from attrs import asdict, field, frozen

from cxmodel.analysis.moments import moment_rows
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.columns import column_missing, event_codes
from cxmodel.model import validators
from cxmodel.model.estimates import Origin
from cxmodel.model.frames import Tabular
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction, Scale
from cxmodel.stats.arrays import Ints
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.intervals import z_value
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import Columns, spread
from cxmodel.tallies.metrics import SMALL, SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums, dense_buckets

Along = Literal["stage", "step", "position"]

DRAWS: Final = 2_000
_FEWEST: Final = 2


@frozen(kw_only=True)
class CurvePoint:
    """One point of an emotion curve.

    Attributes:
        label: The stage, the step ("3"), or the part of the journey ("20–30 %").
        n: Answers.
        customers: Customers who gave them.
        value: Mean score; None below ``min_n`` answers.
        low: Lower end of its interval; None with fewer than two customers.
        high: Upper end.
        band_low: Lower end of the band of the whole curve.
        band_high: Upper end.
        small_n: Whether it rests on fewer than 30 answers.
        reason: Why there is no value.
    """

    label: str
    n: int
    customers: int
    value: float | None
    low: float | None
    high: float | None
    band_low: float | None
    band_high: float | None
    small_n: bool
    reason: str | None = None

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        rest = asdict(self)
        return {"group": {"point": rest.pop("label")}, "quantity": "mean_score", **rest}


@frozen(kw_only=True)
class CurveTable(Tabular):
    """Mean scores along the journey.

    Attributes:
        points: The points, in order of the journey.
        question: Question of the scores.
        scale: Lowest and highest score.
        neutral: Score that is neither good nor bad.
        direction: Which way is better.
        along: What the points are.
        answers: Answers about touchpoints at these points.
        elsewhere: Answers about touchpoints that have no point: no stage, later than the last step, journeys in
            progress.
        unassigned: Answers about a journey as a whole, which have no place on it.
        level: Confidence level of intervals and band.
        band_factor: Standard errors from the curve to the edge of the band; None without a band.
        open_unknown: Whether journeys in progress could not be told from ended ones, although positions need it.
    """

    points: tuple[CurvePoint, ...]
    question: str
    scale: tuple[float, float]
    neutral: float
    direction: Direction
    along: Along
    answers: int
    elsewhere: int
    unassigned: int
    level: float
    band_factor: float | None
    open_unknown: bool
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_records(self) -> list[dict[str, object]]:
        """One record per point."""
        return [point.to_dict() for point in self.points]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "question": self.question, "scale": list(self.scale), "neutral": self.neutral, "direction": self.direction,
            "along": self.along, "answers": self.answers, "elsewhere": self.elsewhere, "unassigned": self.unassigned,
            "level": self.level, "band_factor": self.band_factor, "open_unknown": self.open_unknown,
            "points": self.to_records(),
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"{self.question} by {self.along}: {self.answers:,} answers, neutral {self.neutral:g}"
        lines = [
            f"  {point.label}: "
            + (f"no value ({point.reason})" if point.value is None else f"{point.value:.2f}{_ends(point)}")
            + f" (n={point.n:,})"
            for point in self.points
        ]
        return "\n".join([head, *lines])


def _ends(point: CurvePoint) -> str:
    if point.low is None or point.high is None:
        return ""
    band = "" if point.band_low is None else f", band {point.band_low:.2f} to {point.band_high:.2f}"
    return f" [{point.low:.2f}, {point.high:.2f}]{band}"


@frozen(kw_only=True)
class EmotionCurve(SumTally[CurveTable]):
    """Mean score along the journey: by stage, by step, or by relative position, with bands.

    Points of the scale; direction of the scale. Each point is Σ weight·score/Σ weight over the answers about the
    touchpoints there. The interval of a point is the delta interval by customer. The band holds the whole curve at once
    with the same level: the points' errors are drawn together from the customers' contributions (Gaussian multipliers,
    Chernozhukov, Chetverikov & Kato 2013, 10.1214/13-AOS1161), and the band is as many standard errors wide as the
    largest of them needs.

    Attributes:
        along: ``"stage"``; ``"step"``, the number of the event in its journey; or ``"position"``, the place of the
            event from the beginning (0 %) to the end (100 %) of its journey.
        question: Question of the scores; may be left out where there is only one.
        neutral: Score that is neither good nor bad; the middle of the scale unless given.
        bins: Into how many equal parts positions are cut.
        steps: Steps to show; answers about later ones are counted.
        min_n: Points with fewer answers have no value.
    """

    name: ClassVar[str] = "emotion_curve"
    unit: ClassVar[str] = "points of the scale"
    observes: ClassVar[Unit] = "response"

    along: Along = field(default="stage", validator=validators.in_(("stage", "step", "position")))
    question: str | None = None
    neutral: float | None = None
    bins: int = field(default=10, validator=[validators.ge(1), validators.le(100)])
    steps: int = field(default=12, validator=[validators.ge(1), validators.le(1_000)])
    min_n: int = field(default=10, validator=validators.ge(0))

    def missing(self, facts: Facts) -> str | None:
        """No answers, no such question, several and none named, or no stages."""
        asked = ", ".join(map(repr, facts.questions))
        if not facts.questions:
            return "there are no answers: attach some with journeys.with_responses(…)"
        if self.question is None and len(facts.questions) > 1:
            return f"several questions were asked, {asked}: name one with question="
        if self.question is not None and self.question not in facts.questions:
            return f"there is no question {self.question!r}; there is {asked}"
        return column_missing("stage", facts) if self.along == "stage" else None

    def observe(self, block: Block) -> Observations:
        """The answers; the key is 0 without a point, 1 for whole journeys, else the point + 2."""
        answers = block.answers
        if answers is None:
            return observe("response", np.zeros(0, np.int64), np.zeros(0, np.int64), score=0.0, undeclared=0.0)
        questions = list(block.vocabulary.questions)
        code = 0 if self.question is None else questions.index(self.question)
        moments = moment_rows(block, code)
        point = self._points(block, answers.event[moments])
        whole = np.flatnonzero((answers.question == code) & (answers.event < 0) & np.isfinite(answers.score))
        rows = np.concatenate([moments, whole])
        key = np.concatenate([np.where(point < 0, 0, point + 2), np.ones(whole.size, np.int64)])
        undeclared = float(self.along == "position" and block.still_open is None)
        return observe("response", rows, key, score=answers.score[rows], undeclared=undeclared)

    def _points(self, block: Block, event: Ints) -> Ints:
        """The point of each event; −1 where it has none."""
        if self.along == "stage":
            return event_codes(block, "stage")[event]
        journey = block.journey[event]
        place = event - block.journey_offsets[journey]
        if self.along == "step":
            return np.where(place < self.steps, place, -1)
        bin_ = ((2 * place + 1) * self.bins) // (2 * block.lengths[journey])
        return bin_ if block.still_open is None else np.where(block.still_open[journey], -1, bin_)

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> CurveTable:
        """Means, intervals and the band of one group."""
        names = cells.facts.questions
        question = next(iter(names)) if self.question is None else self.question
        scale = names[question].scale
        row = np.flatnonzero(sums.key > 1)
        value, se = _means(sums, cells)
        enough = row[(sums.count[row] >= self.min_n) & np.isfinite(value[row])]
        factor = _factor(sums, enough[se[enough] > 0], value, se, level, cells)
        points = [self._point(i, sums, value, se, (z_value(level), factor), scale, cells) for i in row.tolist()]
        counts = {key: int(sums.count[sums.key == key].sum()) for key in (0, 1)}
        return CurveTable(
            points=tuple(points), question=question, scale=(scale.low, scale.high), along=self.along,
            neutral=scale.neutral if self.neutral is None else self.neutral, direction=scale.direction,
            answers=int(sums.count[row].sum()), elsewhere=counts[0], unassigned=counts[1], level=level,
            band_factor=factor, open_unknown=bool(row.size and sums["undeclared"][row].sum() > 0), origin=cells.origin,
        )  # fmt: skip

    def _point(
        self, row: int, sums: Sums, value: Floats, se: Floats, factors: tuple[float, float | None], scale: Scale,
        cells: Cells[Any],
    ) -> CurvePoint:  # fmt: skip
        n, middle, error = int(sums.count[row]), float(value[row]), float(se[row])
        label, customers = self._label(int(sums.key[row]) - 2, cells), int(sums.customers[row])
        if n < self.min_n or not np.isfinite(middle):
            reason = f"fewer than {self.min_n} answers" if n < self.min_n else "the answers weigh nothing"
            return CurvePoint(label=label, n=n, customers=customers, value=None, low=None, high=None, band_low=None,
                              band_high=None, small_n=n < SMALL, reason=reason)  # fmt: skip
        ends: list[float | None] = []
        for factor in factors:
            known = factor is not None and np.isfinite(error)
            half = (factor or 0.0) * error
            ends += [max(middle - half, scale.low), min(middle + half, scale.high)] if known else [None, None]
        return CurvePoint(label=label, n=n, customers=customers, value=middle, low=ends[0], high=ends[1],
                          band_low=ends[2], band_high=ends[3], small_n=n < SMALL)  # fmt: skip

    def _label(self, point: int, cells: Cells[Any]) -> str:
        if self.along == "step":
            return str(point + 1)
        if self.along == "position":
            return f"{100 * point / self.bins:.3g}–{100 * (point + 1) / self.bins:.3g} %"
        vocabulary = cells.vocabulary
        labels = vocabulary.columns.get("stage") or vocabulary.touchpoint_columns["stage"][1]
        return labels.names[point]


def _means(sums: Sums, cells: Cells[Any]) -> tuple[Floats, Floats]:
    """Mean and standard error by customer of every row."""
    if not sums.rows:
        return np.zeros(0), np.zeros(0)
    value = ratio(sums["score"], sums["n"])
    return value, spread(sums, _mean, cells.facts.customers).se


def _mean(sums: Columns) -> Floats:
    return sums["score"] / sums["n"]


def _factor(
    sums: Sums, rows: Ints, value: Floats, se: Floats, level: float, cells: Cells[Any]
) -> float | None:  # fmt: skip
    """How many standard errors hold all points at once; None with fewer than two points."""
    if rows.size < _FEWEST:
        return None
    total = dense_buckets(sums, rows)
    n, score = (total[sums.names.index(name)] for name in ("n", "score"))
    residual = score - value[rows, None] * n
    residual = residual[:, (residual != 0).any(axis=0)]
    residual /= np.sqrt((residual**2).sum(axis=1, keepdims=True))
    shape = (residual.shape[1], cells.bootstrap or DRAWS)
    drawn = np.random.Generator(np.random.PCG64(cells.seed)).standard_normal(shape)
    largest = np.abs(residual @ drawn).max(axis=0)
    return max(float(np.quantile(largest, level)), z_value(level))
