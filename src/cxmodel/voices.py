"""Two voices: employees' answers beside customers', touchpoint by touchpoint."""

from __future__ import annotations

from typing import Any, TypeVar, overload

from attrs import evolve

from cxmodel.analysis.comparing import Correction
from cxmodel.analysis.voices import Voices, voices_of
from cxmodel.errors import InvalidValueError, NotComparableError, NotMeasurableError, unknown
from cxmodel.measuring import Measurable
from cxmodel.metrics.survey import QuestionMetric
from cxmodel.model.scales import Question, Respondent
from cxmodel.tallies.groupings import By, ByName

K = TypeVar("K")


@overload
def compare_voices(
    metric: QuestionMetric, *, customers: Measurable, employees: Measurable, question: str | None = None,
    by: ByName = "touchpoint", correction: Correction | None = "holm", level: float = 0.95,
) -> Voices[str]: ...  # fmt: skip
@overload
def compare_voices(
    metric: QuestionMetric, *, customers: Measurable, employees: Measurable, question: str | None = None,
    by: By[K], correction: Correction | None = "holm", level: float = 0.95,
) -> Voices[K]: ...  # fmt: skip
def compare_voices(
    metric: QuestionMetric, *, customers: Measurable, employees: Measurable, question: str | None = None,
    by: Any = "touchpoint", correction: Correction | None = "holm", level: float = 0.95,
) -> Voices[Any]:  # fmt: skip
    """Hold what employees say of each touchpoint against what customers say of it.

    The gap is signed, employees minus customers, in the unit of the metric, with the interval and the p value of
    `compare`; all tests of the table are corrected together. The two questions must be asked on the same scale. Surveys
    on their own share nobody (MOVER, Zou & Donner 2008, 10.1002/sim.3095); where both are attached to the same
    journeys, the interval is by customer.

    Args:
        metric: A survey metric; its ``question`` is the customers', which may be left out where only one fits.
        customers: Their survey, or journeys that it is attached to.
        employees: Their survey (``read_responses(…, respondent="employee")``), or journeys that it is attached to.
        question: The employees' question; may be left out where only one fits.
        by: What to group by.
        correction: ``"holm"``, ``"bh"``, or None; as for `compare`.
        level: Confidence level of the intervals, 0 to 1.

    Raises:
        NotComparableError: The two are asked on different scales, or of different kinds.
        NotMeasurableError: No question of one of the voices fits the metric, or several do and none is named.

    Example:
        >>> from cxmodel.metrics import MeanScore
        >>> from cxmodel.model.scales import Scale
        >>> from cxmodel.responses import read_responses
        >>> def survey(scores, who):
        ...     rows = [{"score": score, "at": "desk"} for score in scores]
        ...     return read_responses(rows, score="score", scale=Scale.csat(), touchpoint="at", respondent=who)
        >>> gaps = compare_voices(
        ...     MeanScore(), customers=survey([2, 3, 3, 4] * 10, "customer"), employees=survey([4, 5] * 10, "employee")
        ... )
        >>> print(f"{gaps['desk'].gap:.2f}", gaps["desk"].verdict)
        1.50 [1.18, 1.82] points of the scale (n=60) employees answer higher
    """
    mine = _asked(metric, customers, "customer", metric.question)
    theirs = _asked(metric, employees, "employee", question)
    _check_alike(mine, customers.facts.questions[mine], theirs, employees.facts.questions[theirs])
    options: dict[str, Any] = {"by": by, "level": level}
    said = customers.measure(evolve(metric, question=mine), **options)
    told = employees.measure(evolve(metric, question=theirs), **options)
    return voices_of(said, told, (mine, theirs), correction, level)


def _asked(metric: QuestionMetric, where: Measurable, voice: Respondent, named: str | None) -> str:
    """The question of one voice that the metric is of."""
    questions = where.facts.questions
    own = {name: each for name, each in questions.items() if each.respondent == voice}
    if not own:
        hint = "Read them with read_responses(…, respondent='employee')" if voice == "employee" else None
        raise NotMeasurableError(f"{metric.name}: there are no answers of {voice}s", hint=hint)
    if named is not None:
        if named not in own:
            raise NotMeasurableError(f"{metric.name}: {unknown(f'question to {voice}s', named, list(own))}")
        return named
    fitting = [code for code, name in enumerate(questions) if name in own and code in metric.fitting(dict(questions))]
    if len(fitting) != 1:
        what = "no question" if not fitting else "more than one question"
        option = "question=…" if voice == "employee" else f"{type(metric).__name__}(question=…)"
        raise InvalidValueError(
            f"{metric.name}: {what} to {voice}s fits, there is {', '.join(map(repr, own))}",
            hint=f"Name one: {option}",
        )
    return list(questions)[fitting[0]]


def _check_alike(mine: str, asked: Question, theirs: str, told: Question) -> None:
    if asked.scale != told.scale:
        raise NotComparableError(
            f"customers are asked {mine!r} on {asked.scale}, employees {theirs!r} on {told.scale}",
            hint="Ask both on the same scale; a stretched scale is another question",
        )
    if asked.kind != told.kind:
        raise NotComparableError(f"{mine!r} is {asked.kind} and {theirs!r} is {told.kind}: they are about two things")
