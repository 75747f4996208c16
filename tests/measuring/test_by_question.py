"""A survey of several questions, asked by question."""

import pytest

import cxmodel as cx
from cxmodel import metrics

ANSWERS = cx.read_responses(
    [{"room": 5, "food": 1, "again": 9}, {"room": 4, "food": 2, "again": 3}, {"room": 2, "food": 5, "again": 10}],
    questions={
        "room": cx.Question(cx.Scale.csat()),
        "food": cx.Question(cx.Scale.csat()),
        "again": cx.Question(cx.Scale.nps()),
    },
)


def test_several_questions_that_fit_are_all_answered() -> None:
    shares = ANSWERS.measure(metrics.Csat(min_n=0), by="question")
    assert {name: each.value for name, each in shares.items()} == {"room": 2 / 3, "food": 1 / 3}
    means = ANSWERS.measure(metrics.MeanScore(min_n=0), by=cx.by.question)
    assert {name: each.value for name, each in means.items()} == {"room": 11 / 3, "food": 8 / 3, "again": 22 / 3}


def test_each_answer_counts_as_it_does_when_its_question_is_named() -> None:
    shares = ANSWERS.measure(metrics.Csat(min_n=0), by="question")
    for name, each in shares.items():
        assert each == ANSWERS.measure(metrics.Csat(question=name, min_n=0))


def test_without_the_grouping_the_question_must_be_named() -> None:
    with pytest.raises(cx.errors.NotMeasurableError, match=r"several questions fit, 'room', 'food'.*by='question'"):
        ANSWERS.measure(metrics.Csat())


def test_no_question_that_fits_is_still_refused() -> None:
    with pytest.raises(cx.errors.NotMeasurableError, match="no question is asked on such a scale"):
        ANSWERS.measure(metrics.Ces2(), by="question")
