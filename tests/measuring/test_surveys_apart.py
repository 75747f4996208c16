"""Surveys of different people are not taken for one survey, however alike their answers."""

import pytest

import cxmodel as cx
from cxmodel import metrics

SCORES = [3] * 30 + [7] * 20 + [10] * 50


def survey(name: str, scores: list[int], customer: str | None = "who") -> cx.Responses:
    rows = [{"who": f"{name}-{i}", "score": score} for i, score in enumerate(scores)]
    return cx.read_responses(rows, customer=customer, score="score", scale=cx.Scale.nps())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (survey("a", SCORES), survey("b", SCORES)),
        (survey("a", SCORES, None), survey("a", SCORES[::-1], None)),
    ],
    ids=["other customers", "nobody named"],
)
def test_surveys_with_the_same_scores_differ(one: cx.Responses, other: cx.Responses) -> None:
    a, b = one.measure(metrics.Nps()), other.measure(metrics.Nps())
    with pytest.raises(cx.errors.NotComparableError):
        a.minus(b)
    difference = a.minus(b, across=True)
    assert difference.value == 0
    assert difference.interval is not None
    assert difference.interval.method.startswith("MOVER")
    assert difference.interval.high - difference.interval.low > 20


def test_a_survey_read_twice_is_one_survey() -> None:
    a, b = survey("a", SCORES).measure(metrics.Nps()), survey("a", SCORES).measure(metrics.Nps())
    difference = a.minus(b)
    assert difference.interval is not None
    assert (difference.interval.low, difference.interval.high) == (0, 0)


def test_the_order_of_rows_is_no_difference_where_customers_are_named() -> None:
    rows = [{"who": f"c{i}", "score": score} for i, score in enumerate(SCORES)]
    surveys = [
        cx.read_responses(each, customer="who", score="score", scale=cx.Scale.nps()) for each in (rows, rows[::-1])
    ]
    a, b = (each.measure(metrics.Nps()) for each in surveys)
    assert a.origin == b.origin


def test_a_difference_across_logs_says_that_shared_customers_are_not_known() -> None:
    one = cx.read_responses(
        [{"who": f"c{i}", "s": i % 11} for i in range(60)], customer="who", score="s", scale=cx.Scale.nps()
    )
    other = cx.read_responses(
        [{"who": f"c{i}", "s": i % 7} for i in range(60)], customer="who", score="s", scale=cx.Scale.nps()
    )
    a, b = (each.measure(cx.metrics.Nps()) for each in (one, other))
    assert "dependence_unknown" in a.minus(b, across=True).flags
    assert "dependence_unknown" not in a.minus(a).flags


def test_a_difference_has_a_width_where_each_side_agrees() -> None:
    """The same forty people, all pleased with one thing and all displeased with the other."""
    rows = [{"who": who, "what": what, "score": score} for who in range(40) for what, score in (("a", 5), ("b", 1))]
    survey = cx.read_responses(rows, customer="who", score="score", scale=cx.Scale.csat(), attributes=["what"])
    found = survey.measure(cx.metrics.Csat(), by=cx.by.attribute("what"))
    difference = found["a"].minus(found["b"])
    assert difference.value == 1
    assert difference.interval is not None
    assert difference.interval.low < 0.95
    assert difference.interval.method.startswith("MOVER")
    same = found["a"].minus(found["a"]).interval
    assert same is not None
    assert (same.low, same.high) == (0, 0)
