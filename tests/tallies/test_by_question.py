"""By question, every question stands alone: several that fit need not be told apart."""

import pytest

import cxmodel as cx


def test_several_fitting_questions_by_question() -> None:
    rows = [{"who": str(i), "a": 5, "b": 1 + i % 5} for i in range(20)]
    asked = {"a": cx.Question(cx.Scale.csat()), "b": cx.Question(cx.Scale.csat())}
    survey = cx.read_responses(rows, customer="who", questions=asked)
    found = survey.measure(cx.metrics.Csat(), by=cx.by.question)
    assert {name: each.value for name, each in found.items()} == {"a": 1.0, "b": 0.4}
    with pytest.raises(cx.errors.NotMeasurableError, match="several questions fit"):
        survey.measure(cx.metrics.Csat())
    with pytest.raises(cx.errors.NotMeasurableError, match="no question is asked on such a scale"):
        survey.measure(cx.metrics.Nps(), by=cx.by.question)
