"""Responses: survey answers, on their own or on their way to the journeys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Literal

from attrs import evolve, field, frozen

from cxmodel.analysis.driver_results import DriverTable, KanoFeature
from cxmodel.analysis.drivers import Missing, drivers
from cxmodel.analysis.kano import kano
from cxmodel.analysis.score_tables import Per
from cxmodel.data import answers
from cxmodel.data.answers import AnswerRoles, AnswerRows
from cxmodel.data.attaching import alone
from cxmodel.data.populations import MemoryPopulation
from cxmodel.errors import InvalidValueError
from cxmodel.measuring import Measurable
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.readings import Facts, Reading
from cxmodel.model.scales import Question, Respondent, Scale, code_texts
from cxmodel.typing import Source


@frozen(eq=False, slots=False)
class Responses(Measurable):
    """Answers of a survey.

    Attributes:
        rows: The answers as arrays.
        about: Touchpoint that all of them are about, if one was named.
        respondent: Whose voice it is.
    """

    rows: AnswerRows = field(repr=False)
    about: str | None = None
    respondent: Respondent = "customer"

    @cached_property
    def population(self) -> MemoryPopulation:
        """The respondents as a population of their own."""
        return alone(self.rows)

    def _asked(self) -> MemoryPopulation:
        return self.population

    @property
    def reading(self) -> Reading:
        """What became of the rows."""
        return self.rows.reading

    @property
    def facts(self) -> Facts:
        """What can be asked."""
        return self.population.facts

    @property
    def questions(self) -> Mapping[str, Question]:
        """The questions and their scales."""
        return self.rows.questions

    def drivers(
        self, of: str, *, items: Sequence[str] | None = None, per: Literal["row", "customer"] | None = None,
        missing: Missing = "leave out", bad: float | None = None, best: float | None = None, level: float = 0.95,
        bootstrap: int = 500, seed: int = 0,
    ) -> DriverTable:  # fmt: skip
        """What drives the score of one question among the others: shares of R² with the sign of the coefficient.

        Args:
            of: Question of the outcome.
            items: Questions that may drive it; all others if not given.
            per: Answers of one ``"row"`` of the survey belong together, or all of one ``"customer"``; the row where it
                holds several answers, if not given.
            missing: What becomes of rows without all answers: ``"leave out"``, or ``"mean"`` puts in the column's mean.
            bad: Answers worse than this are bad; worse than the middle of their scale if not given.
            best: Answers at this or better are best; the good end of their scale if not given.
            level: Confidence level.
            bootstrap: Number of replicates of customers; 0 for the jackknife.
            seed: Seed of buckets, replicates and sampled orders.

        Raises:
            NotMeasurableError: Too few rows, or drivers that cannot be told apart.

        Example:
            >>> rows = [{"all": min(a + b, 5), "food": a + 1, "staff": b + 1} for a in range(4) for b in range(4)]
            >>> asked = {name: Question(Scale.csat(0, 5)) for name in ("all", "food", "staff")}
            >>> table = read_responses(rows, questions=asked).drivers("all")
            >>> [(name, each.sign, round(each.share.value, 2)) for name, each in table.items()]
            [('food', '+', 0.49), ('staff', '+', 0.49)]
        """
        unit: Per | None = "journey" if per == "row" else per
        return drivers(
            self.population, of=of, items=items, per=unit, missing=missing, bad=bad, best=best, level=level,
            bootstrap=bootstrap, seed=seed,
        )  # fmt: skip

    def kano(self, features: Mapping[str, tuple[str, str]], *, level: float = 0.95) -> Breakdown[str, KanoFeature]:
        """Kano's categories of features, from pairs of questions.

        Args:
            features: Feature → the question with it and the question without it, answered 1 like, 2 expect, 3 neutral,
                4 tolerate, 5 dislike.
            level: Confidence level.
        """
        return kano(self.population, features, level)

    def __repr__(self) -> str:
        asked = ", ".join(f"{name} ({each.scale})" for name, each in self.questions.items())
        return f"<Responses: {self.reading.kept:,} answers to {asked}>"


def read_responses(
    src: Source, *, customer: str | None = None, score: str | None = None, scale: Scale | None = None,
    questions: Mapping[str, Question] | None = None, question: str = "answer", time: str | None = None,
    touchpoint: str | None = None, journey: str | None = None, about: str | None = None, weight: str | None = None,
    respondent: Respondent = "customer", codes: Mapping[object, float | None] | None = None,
    kind: Literal["transactional", "relational"] = "transactional", attributes: Sequence[str] = (),
    tz: str | None = None,
) -> Responses:  # fmt: skip
    """Read survey answers.

    Answers outside the scale, blank codes and texts that are no number are counted by reason, not clipped.

    Args:
        src: As for `read_events`.
        customer: Column with the customer's id.
        score: Column with the score, for one question.
        scale: Scale of that score.
        questions: Column → `Question`, for several.
        question: What to call the one question.
        time: Column with the time of the answer.
        touchpoint: Column with the touchpoint that the answer was given at.
        journey: Column with the journey's id.
        about: Touchpoint that all answers are about.
        weight: Column with the answer weight.
        respondent: Whose voice it is; employees' answers need a question of their own where customers' are there too.
        codes: Answer → score that it stands for, None for "no answer" (``{11: None}``); compared as text.
        kind: Whether the question is about a touchpoint or about the whole.
        attributes: Further columns to group a survey by that is measured on its own.
        tz: Zone of times that name none.

    Example:
        >>> answers = read_responses([{"score": 10}, {"score": 3}, {"score": 12}], score="score", scale=Scale.nps())
        >>> answers.reading.rejected["score outside 0–10"].count
        1
    """
    if (score is None) == (questions is None):
        raise InvalidValueError(
            "name the score of one question, or several questions",
            hint="Write score='nps', scale=cx.Scale.nps(); or questions={'nps': cx.Question(cx.Scale.nps())}",
        )
    if score is not None:
        if scale is None:
            raise InvalidValueError(
                f"the scale of {score!r} is not known",
                hint="Write scale=cx.Scale.nps(), .csat(), .ces1(), .ces2()…",
            )
        asked = {
            score: (question, Question(scale, codes=code_texts(dict(codes or {})), kind=kind, respondent=respondent))
        }
    else:
        shared = code_texts(dict(codes or {}))

        def voice(each: Question) -> Respondent:
            return respondent if each.respondent == "customer" else each.respondent

        asked = {
            column: (column, evolve(each, codes={**shared, **each.codes}, respondent=voice(each)))
            for column, each in (questions or {}).items()
        }
    roles = AnswerRoles(
        questions=asked, customer=customer, journey=journey, time=time, touchpoint=touchpoint, weight=weight,
        attributes=tuple(attributes),
    )  # fmt: skip
    return Responses(answers.read(src, roles, tz=tz), about=about, respondent=respondent)
