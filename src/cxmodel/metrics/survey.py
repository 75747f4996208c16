"""Survey metrics: NPS, CSAT, customer effort 1.0 and 2.0, and means in points and on 0–100."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar, Final, Literal

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model import validators
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Ces1Scale, Ces2Scale, CsatScale, Direction, NpsScale, OwnScale, Question, Scale
from cxmodel.stats import trinomial
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, SumMetric
from cxmodel.tallies.observations import Observations, observe

TOO_FEW: Final = 10


@frozen(kw_only=True)
class QuestionMetric(SumMetric):
    """A metric that rests on the answers to one question, whatever it counts.

    Attributes:
        question: Name of the question; may be left out where only one fits.
        min_n: Fewer observations than this are suppressed.
    """

    scale: ClassVar[type[Scale]] = Scale

    question: str | None = None
    min_n: int = field(default=TOO_FEW, validator=validators.ge(0))

    def missing(self, facts: Facts) -> str | None:
        """No such question, none on the right scale, or several and none named."""
        if not facts.questions:
            return "there are no answers: attach some with journeys.with_responses(…)"
        fitting = [name for name, each in facts.questions.items() if isinstance(each.scale, self.scale)]
        if self.question is not None:
            if self.question not in facts.questions:
                return unknown("question", self.question, list(facts.questions))
            if self.question not in fitting:
                return f"{self.question!r} is asked on the scale {facts.questions[self.question].scale}"
            return None
        if not fitting:
            asked = ", ".join(f"{name!r} ({each.scale})" for name, each in facts.questions.items())
            return f"no question is asked on such a scale; there is {asked}"
        if len(fitting) > 1:
            return (
                f"several questions fit, {', '.join(map(repr, fitting))}: name one with question=, or use by='question'"
            )
        return None

    def fitting(self, questions: dict[str, Question]) -> dict[int, Scale]:
        """Code and scale of the questions that count."""
        return {
            code: each.scale
            for code, (name, each) in enumerate(questions.items())
            if isinstance(each.scale, self.scale) and self.question in (None, name)
        }


@frozen(kw_only=True)
class SurveyMetric(QuestionMetric):
    """A metric of answers to one question."""

    observes: ClassVar[Unit] = "response"

    def observe(self, block: Block) -> Observations:
        """The answers to the question, with what the metric needs of each."""
        answers = block.answers
        if answers is None:
            return observe("response", np.zeros(0, np.int64), **self.numbers(np.zeros(0), Scale.own(0, 1)))
        scales = self.fitting(dict(block.vocabulary.questions))
        rows = np.flatnonzero(np.isin(answers.question, list(scales)))
        parts = {code: np.flatnonzero(answers.question[rows] == code) for code in scales}
        numbers: dict[str, Floats] = {}
        for code, scale in scales.items():
            mine = rows[parts[code]]
            for name, values in self.numbers(answers.score[mine], scale).items():
                numbers.setdefault(name, np.zeros(rows.size))[parts[code]] = values
        return observe("response", rows, **numbers)

    @abstractmethod
    def numbers(self, score: Floats, scale: Scale) -> dict[str, Floats]:
        """What to sum of each answer."""


NpsMethod = Literal["score, design effect", "score", "adjusted_wald", "wald", "goodman"]


def net_counts(sums: Columns, against: str, in_favour: str, n: Floats) -> Floats:
    """(groups, 3) answers against, neither and in favour, scaled so that they sum to n; zeros without answers."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(sums["n"] > 0, n / sums["n"], 0.0)
    low, high = sums[against] * scale, sums[in_favour] * scale
    return np.stack([low, np.maximum(sums["n"] * scale - low - high, 0.0), high], axis=-1)


@frozen(kw_only=True)
class Nps(SurveyMetric):
    """Net Promoter Score: share of promoters (9–10) minus share of detractors (0–6), times 100.

    Unit points, −100 to 100, higher is better. The interval is Tango's score interval for the difference of two
    multinomial shares (10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B), on counts scaled to n over
    the design effect; ``method="score"`` uses the plain counts. Net Promoter, NPS and Net Promoter Score are registered
    trademarks of Bain & Company, Satmetrix/NICE and Fred Reichheld (Reichheld 2003, HBR 81(12):46).

    Do not pool transactional and relational answers, and do not compare a touchpoint's NPS with the company's: only
    those who reached the touchpoint answered there.
    """

    name: ClassVar[str] = "nps"
    unit: ClassVar[str] = "points"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (-100.0, 100.0)
    scale: ClassVar[type[Scale]] = NpsScale

    method: NpsMethod = "score, design effect"

    def __attrs_post_init__(self) -> None:
        _check_method(self.method, NpsMethod)

    def numbers(self, score: Floats, scale: Scale) -> dict[str, Floats]:
        """Detractors and promoters."""
        return {"detractors": (score <= 6).astype(np.float64), "promoters": (score >= 9).astype(np.float64)}

    def value(self, sums: Columns) -> Floats:
        """100 · (promoters − detractors)/n."""
        return 100.0 * (sums["promoters"] - sums["detractors"]) / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """The score interval, or the one asked for by name."""
        counts = net_counts(sums, "detractors", "promoters", n_eff if "design" in self.method else n)
        ends = _NPS_INTERVALS[self.method.split(",")[0]](counts, level)
        return Closed(100 * ends[0], 100 * ends[1], self.method)


_NPS_INTERVALS: Final = {
    "score": trinomial.score, "wald": trinomial.wald, "adjusted_wald": trinomial.adjusted_wald,
    "goodman": trinomial.goodman,
}  # fmt: skip

ShareMethod = Literal["wilson, design effect", "wilson"]


@frozen(kw_only=True)
class SatisfiedShare(SurveyMetric):
    """Share of answers in the satisfied part of the scale, with the Wilson interval."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)

    method: ShareMethod = "wilson, design effect"

    def __attrs_post_init__(self) -> None:
        _check_method(self.method, ShareMethod)

    def numbers(self, score: Floats, scale: Scale) -> dict[str, Floats]:
        """Whether each answer is satisfied."""
        if scale.satisfied is None:
            raise InvalidValueError(
                f"the scale {scale} does not say from where an answer is satisfied",
                hint=f"Write cx.Scale.own({scale.low:g}, {scale.high:g}, satisfied=…)",
            )
        happy = score <= scale.satisfied if scale.direction == "lower" else score >= scale.satisfied
        return {"satisfied": happy.astype(np.float64)}

    def value(self, sums: Columns) -> Floats:
        """satisfied/n."""
        return sums["satisfied"] / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Wilson's interval on n over the design effect, or on plain n when asked for by name."""
        size = n_eff if "design" in self.method else n
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(sums["n"] > 0, sums["satisfied"] / sums["n"], 0.0)
        low, high = wilson(np.clip(share, 0, 1) * size, size, level)
        return Closed(low, high, self.method)


@frozen(kw_only=True)
class Csat(SatisfiedShare):
    """Customer satisfaction: share of answers that are satisfied (4–5 of 1–5 unless the scale says otherwise).

    Unit share, 0 to 1, higher is better; Wilson's interval (Wilson 1927, 10.1080/01621459.1927.10502953). The mean of
    the same answers is another number: `MeanScore`.
    """

    name: ClassVar[str] = "csat"
    scale: ClassVar[type[Scale]] = CsatScale


@frozen(kw_only=True)
class TopBox(SatisfiedShare):
    """Share of the answers on a scale of your own that are satisfied; the scale says from where.

    Unit share, 0 to 1, higher is better; Wilson's interval. ``Scale.own(1, 6, satisfied=5)`` counts 5 and 6, and with
    ``direction="lower"`` the answers up to ``satisfied``.
    """

    name: ClassVar[str] = "top_box"
    scale: ClassVar[type[Scale]] = OwnScale

    def missing(self, facts: Facts) -> str | None:
        """No such question, or a scale that does not say from where an answer is satisfied."""
        reason = super().missing(facts)
        if reason is not None:
            return reason
        for name, each in facts.questions.items():
            if isinstance(each.scale, OwnScale) and self.question in (None, name) and each.scale.satisfied is None:
                return f"the scale of {name!r} does not say from where it is satisfied: cx.Scale.own(…, satisfied=…)"
        return None


@frozen(kw_only=True)
class MeanScore(SurveyMetric):
    """Mean of the answers, in the points of the question's scale; interval by the delta method over customers."""

    name: ClassVar[str] = "mean_score"
    unit: ClassVar[str] = "points of the scale"
    direction: ClassVar[Direction] = "none"

    def numbers(self, score: Floats, scale: Scale) -> dict[str, Floats]:
        """The score."""
        return {"score": score}

    def value(self, sums: Columns) -> Floats:
        """Σ score/n."""
        return sums["score"] / sums["n"]


@frozen(kw_only=True)
class Ces1(MeanScore):
    """Customer effort score 1.0: mean of 1 (very low) to 5 (very high effort); **lower** is better.

    Dixon, Freeman & Toman 2010, HBR 88(7/8):116. Not to be mixed up with `Ces2`, whose direction is the opposite.
    """

    name: ClassVar[str] = "ces1"
    unit: ClassVar[str] = "points 1–5"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (1.0, 5.0)
    scale: ClassVar[type[Scale]] = Ces1Scale


@frozen(kw_only=True)
class Ces2(MeanScore):
    """Customer effort score 2.0: mean agreement, 1 to 7, that it was made easy; **higher** is better (CEB 2013)."""

    name: ClassVar[str] = "ces2"
    unit: ClassVar[str] = "points 1–7"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (1.0, 7.0)
    scale: ClassVar[type[Scale]] = Ces2Scale


@frozen(kw_only=True)
class Ces2Top(SatisfiedShare):
    """Share of customer effort 2.0 answers that agree (5–7 of 1–7); higher is better."""

    name: ClassVar[str] = "ces2_top"
    scale: ClassVar[type[Scale]] = Ces2Scale


@frozen(kw_only=True)
class Ces2Net(SurveyMetric):
    """Net ease of customer effort 2.0: share of answers 5–7 minus share of answers 1–3.

    −1 to 1, higher is better; 4 is neutral. The same difference of two shares as NPS, with the same score interval
    (10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B) on counts scaled to n over the design effect.
    """

    name: ClassVar[str] = "ces2_net"
    unit: ClassVar[str] = "net share"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    scale: ClassVar[type[Scale]] = Ces2Scale

    def numbers(self, score: Floats, scale: Scale) -> dict[str, Floats]:
        """Answers that disagree and answers that agree."""
        return {"hard": (score <= 3).astype(np.float64), "easy": (score >= 5).astype(np.float64)}

    def value(self, sums: Columns) -> Floats:
        """(easy − hard)/n."""
        return (sums["easy"] - sums["hard"]) / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """The score interval on n over the design effect."""
        return Closed(*trinomial.score(net_counts(sums, "hard", "easy", n_eff), level), "score, design effect")


@frozen(kw_only=True)
class Score100(MeanScore):
    """Mean of the answers with the bad end of their scale at 0 and the good end at 100; delta interval by customer.

    Points of 100, 0 to 100, higher is better whatever the direction of the scale: (mean − 1)/4 · 100 on 1–5, and
    (5 − mean)/4 · 100 for customer effort 1.0, which makes it ease. It is no percentage of people: that is `Csat`.
    """

    name: ClassVar[str] = "score_100"
    unit: ClassVar[str] = "points of 100"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 100.0)

    def missing(self, facts: Facts) -> str | None:
        """No such question, or a scale of which neither end is good."""
        reason = super().missing(facts)
        asked = facts.questions.items()
        unsaid = [name for name, each in asked if self.question in (None, name) and each.scale.direction == "none"]
        return reason or (f"the scale of {unsaid[0]!r} does not say which end is good" if unsaid else None)

    def numbers(self, score: Floats, scale: Scale) -> dict[str, Floats]:
        """How far each answer is from the bad end, as a share of the scale."""
        bad, good = (scale.high, scale.low) if scale.direction == "lower" else (scale.low, scale.high)
        return {"score": 100.0 * (score - bad) / (good - bad)}


def _check_method(method: str, literal: Any) -> None:
    from typing import get_args

    if method not in get_args(literal):
        raise InvalidValueError(unknown("method", method, get_args(literal)))
