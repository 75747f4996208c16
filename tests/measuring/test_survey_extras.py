"""Paired changes, response rates, emotion, top boxes, planning and suppression beside a total."""

import json
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel import metrics
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate, no_value


def panel(pairs: list[tuple[int, int]], scale: cx.Scale | None = None) -> cx.Responses:
    rows = [{"one": a, "two": b} for a, b in pairs]
    question = cx.Question(scale or cx.Scale.nps())
    return cx.read_responses(rows, questions={"one": question, "two": question})


@pytest.mark.open_data
def test_the_paired_reference_to_the_digits(open_data: Path) -> None:
    expected = json.loads((open_data / "reference" / "nps_csat_ces.json").read_text())["paired"]
    table = expected["table_rows_t1_cols_t2_DPQ"]
    pairs = [((3, 8, 10)[i], (3, 8, 10)[j]) for i in range(3) for j in range(3) for _ in range(table[i][j])]
    found = panel(pairs).measure(metrics.NpsChange(first="one", second="two"))
    assert found.require() == pytest.approx(100 * expected["delta"])
    assert found.interval is not None
    half = (found.interval.high - found.interval.low) / 2
    assert half == pytest.approx(100 * expected["se_ddof0"] * 1.959963984540054)


@settings(max_examples=25)
@given(st.lists(st.tuples(st.integers(0, 10), st.integers(0, 10)), min_size=2, max_size=40))
def test_a_paired_change_turns_round_and_is_the_difference_of_means(pairs: list[tuple[int, int]]) -> None:
    survey = panel(pairs)
    there = survey.measure(metrics.ScoreChange(first="one", second="two", min_n=0))
    back = survey.measure(metrics.ScoreChange(first="two", second="one", min_n=0))
    assert there.require() == pytest.approx(-back.require())
    assert there.require() == pytest.approx(sum(b - a for a, b in pairs) / len(pairs))
    means = [survey.measure(metrics.MeanScore(question=name, min_n=0)).require() for name in ("two", "one")]
    assert there.require() == pytest.approx(means[0] - means[1])


def test_only_customers_with_both_answers_make_a_pair() -> None:
    rows = [{"who": "a", "one": 3, "two": 10}, {"who": "b", "one": 3, "two": None}, {"who": "a", "one": 10, "two": 10}]
    question = cx.Question(cx.Scale.nps())
    survey = cx.read_responses(rows, customer="who", questions={"one": question, "two": question})
    found = survey.measure(metrics.NpsChange(first="one", second="two", min_n=0))
    assert (found.value, found.n, found.interval) == (100, 1, None)


def test_pairs_that_are_none_are_refused() -> None:
    rows = [{"one": 3, "two": 4, "w": 2}] * 12
    kinds = {"one": cx.Question(cx.Scale.csat()), "two": cx.Question(cx.Scale.csat(), kind="relational")}
    change = metrics.ScoreChange(first="one", second="two")
    with pytest.raises(cx.errors.NotMeasurableError, match="'one' is transactional and 'two' is relational"):
        cx.read_responses(rows, questions=kinds).measure(change)
    scales = {"one": cx.Question(cx.Scale.csat()), "two": cx.Question(cx.Scale.nps())}
    with pytest.raises(cx.errors.NotMeasurableError, match="'one' is asked on"):
        cx.read_responses(rows, questions=scales).measure(change)
    same = {name: cx.Question(cx.Scale.csat()) for name in ("one", "two")}
    with pytest.raises(cx.errors.NotMeasurableError, match="weights"):
        cx.read_responses(rows, questions=same, weight="w").measure(change)
    with pytest.raises(cx.errors.NotMeasurableError, match="three"):
        panel([(1, 2)]).measure(metrics.ScoreChange(first="one", second="three"))


def visited() -> cx.Journeys:
    rows = [
        {"who": who, "trip": f"{who}{trip}", "what": what, "at": f"2026-01-0{trip} 10:0{i}"}
        for who, trip, path in (("a", 1, "xy"), ("a", 2, "xx"), ("b", 1, "y"), ("c", 1, "x"))
        for i, what in enumerate(path)
    ]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at", journey="trip")
    answers = [
        {"trip": "a1", "at": "2026-01-01 11:00", "what": "y", "score": 9},
        {"trip": "a2", "at": "2026-01-02 11:00", "what": "x", "score": 9},
        {"trip": "b1", "at": "2026-01-01 11:00", "what": "y", "score": 2},
    ]
    survey = cx.read_responses(
        answers, journey="trip", time="at", touchpoint="what", score="score", scale=cx.Scale.nps(), question="nps"
    )
    return journeys.with_responses(survey)


def test_response_rates_by_hand() -> None:
    journeys = visited()
    assert [
        (found.value, found.n)
        for found in journeys.measure(
            metrics.ResponseRate(), metrics.CustomerResponseRate(), metrics.VisitResponseRate()
        )
    ] == [(3 / 4, 4), (2 / 3, 3), (3 / 6, 6)]
    places = journeys.measure(metrics.VisitResponseRate(question="nps"), by="touchpoint")
    assert {place: (each.value, each.n) for place, each in places.items()} == {"x": (1 / 4, 4), "y": (1, 2)}
    assert journeys.measure(metrics.ResponseRate(), by="touchpoint").overlapping


def test_a_rate_needs_somebody_who_could_keep_silent() -> None:
    with pytest.raises(cx.errors.NotMeasurableError, match="on its own"):
        panel([(1, 2)]).measure(metrics.ResponseRate())
    with pytest.raises(cx.errors.NotMeasurableError, match="csat"):
        visited().measure(metrics.ResponseRate(question="csat"))


polarities = st.lists(st.floats(-1, 1, allow_nan=False), min_size=1, max_size=40)


@settings(max_examples=25)
@given(polarities, st.sampled_from([0.0, 0.2]))
def test_net_sentiment_counts_signs_and_turns_round(values: list[float], neutral: float) -> None:
    def net(scores: list[float]) -> Estimate:
        survey = cx.read_responses([{"s": each} for each in scores], score="s", scale=cx.Scale.emotion())
        return survey.measure(metrics.NetSentiment(neutral=neutral, min_n=0))

    found, turned = net(values), net([-each for each in values])
    signs = [(each > neutral) - (each < -neutral) for each in values]
    assert found.require() == pytest.approx(sum(signs) / len(values))
    assert found.interval is not None
    assert turned.interval is not None
    assert found.require() in found.interval
    assert (turned.interval.low, turned.interval.high) == pytest.approx((-found.interval.high, -found.interval.low))


def test_the_top_box_follows_the_scale() -> None:
    def top(scale: cx.Scale) -> Estimate:
        rows = [{"s": each} for each in (1, 2, 3, 4, 5, 6) * 4]
        return cx.read_responses(rows, score="s", scale=scale).measure(metrics.TopBox())

    assert top(cx.Scale.own(1, 6, satisfied=5)).value == pytest.approx(1 / 3)
    assert top(cx.Scale.own(1, 6, satisfied=3, direction="lower")).value == pytest.approx(1 / 2)
    with pytest.raises(cx.errors.NotMeasurableError, match="does not say from where"):
        top(cx.Scale.own(1, 6))


def test_sample_sizes_to_the_digits() -> None:
    assert [cx.sample_size(metrics.Nps, margin) for margin in (10, 5, 3)] == [385, 1537, 4269]
    assert [cx.sample_size(metrics.Nps(), margin, sd=100 * 0.65**0.5) for margin in (10, 5, 3)] == [250, 999, 2775]
    assert cx.sample_size(metrics.Nps, 10, sd=0) == 1
    with pytest.raises(cx.errors.InvalidValueError, match="no largest value"):
        cx.sample_size(metrics.Length, 1)
    for margin in (0, -1, float("nan")):
        with pytest.raises(cx.errors.InvalidValueError, match="margin"):
            cx.sample_size(metrics.Nps, margin)


@given(st.floats(-100, 100), st.floats(0, 1), st.floats(-100, 100))
def test_bounds_hold_whatever_the_silent_would_say(value: float, rate: float, silent: float) -> None:
    bounds = cx.nonresponse_bounds(Estimate(value=value, n=50, range=(-100, 100)), rate)
    truth = rate * value + (1 - rate) * silent
    assert bounds.low - 1e-9 <= truth <= bounds.high + 1e-9


def test_bounds_need_a_score_a_rate_and_a_range() -> None:
    score = Estimate(value=40.0, n=50, range=(-100, 100))
    measured = Estimate(value=0.2, n=500, unit="share")
    assert cx.nonresponse_bounds(score, measured) == cx.nonresponse_bounds(score, 0.2)
    with pytest.raises(cx.errors.InvalidValueError, match=r"1\.2"):
        cx.nonresponse_bounds(score, 1.2)
    with pytest.raises(cx.errors.NoValueError, match="nobody"):
        cx.nonresponse_bounds(no_value("nobody"), 0.5)
    with pytest.raises(cx.errors.InvalidValueError, match="range"):
        cx.nonresponse_bounds(Estimate(value=1.0, n=3), 0.5)


def test_one_suppressed_group_takes_the_smallest_other_with_it() -> None:
    def table(*sizes: int, overlapping: bool = False, unassigned: int = 0) -> Breakdown[str, Estimate]:
        def cell(n: int) -> Estimate:
            few = no_value("few", n=n, flags=("suppressed",))
            return few if n < 10 else Estimate(value=1.0, n=n)

        groups = {name: cell(n) for name, n in zip("abcd", sizes, strict=False)}
        rest = cell(unassigned) if unassigned else None
        return Breakdown(by=("g",), metric="m", groups=groups, overlapping=overlapping, unassigned=rest)

    def hidden(found: Breakdown[str, Estimate]) -> list[str | None]:
        names: list[str | None] = [name for name, each in found.items() if each.value is None]
        return names + ([None] if found.unassigned is not None and found.unassigned.value is None else [])

    assert hidden(table(40, 3, 20).protected()) == ["b", "c"]
    assert hidden(table(40, 3, 20, unassigned=15).protected()) == ["b", None]
    assert hidden(table(40, 3, 2).protected()) == ["b", "c"]
    assert hidden(table(3).protected()) == ["a"]
    assert table(40, 20).protected() == table(40, 20)
    assert hidden(table(40, 3, 20, overlapping=True).protected()) == ["b"]


def test_a_scale_told_by_its_name_is_refused_with_what_to_write() -> None:
    wrong: Any = "nps"
    with pytest.raises(cx.errors.InvalidValueError, match="the scale of its answers, got 'nps'") as refused:
        cx.read_responses([{"score": 9}], score="score", scale=wrong)
    assert "cx.Scale.nps()" in str(refused.value)


def test_what_is_given_wrongly_is_refused_in_words() -> None:
    journeys, wrong = visited(), cx.errors.InvalidValueError
    nps, text = journeys.measure("nps", min_n=0), cast("Any", "7d")
    with pytest.raises(wrong, match="min_n is at least 0, got -1"):
        metrics.Csat(min_n=-1)
    with pytest.raises(wrong, match="min_n is at least 0, got 'few'"):
        journeys.measure("nps", min_n=cast("Any", "few"))
    with pytest.raises(wrong, match="repeat_rate needs within\nWrite within="):
        journeys.measure("repeat_rate")
    with pytest.raises(wrong, match="a duration is a timedelta, got '7d'"):
        journeys.with_responses(panel([(1, 2)]), within=text)
    for asking in (cx.drift, cx.contributions, lambda it: cx.compare(it, to="rest"), lambda it: cx.decompose(it, it)):
        for given_ in (nps, journeys):
            with pytest.raises(wrong, match="takes results by group, got "):
                cast("Any", asking)(given_)
    with pytest.raises(wrong, match="like_for_like takes results by group"):
        cx.like_for_like(cast("Any", nps), "a", "b")
