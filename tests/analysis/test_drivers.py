"""Drivers from surveys and journeys: shapes of surveys, signs, what is left out, what is refused; the airport."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cxmodel as cx
from cxmodel.analysis.driver_results import DriverTable
from cxmodel.errors import InvalidValueError, NotMeasurableError, UnknownNameError
from cxmodel.exporters.documents import document
from cxmodel.stats.drivers import covariance, lmg, moments

SCALES = {"all": cx.Scale.csat(), "food": cx.Scale.csat(), "staff": cx.Scale.csat(), "queue": cx.Scale.ces1()}
QUESTIONS = {name: cx.Question(scale) for name, scale in SCALES.items()}


def answers(n: int = 600, seed: int = 1) -> list[dict[str, Any]]:
    """Food counts twice as much as staff; long queues cost."""
    rng = np.random.default_rng(seed)
    food, staff, queue = rng.integers(1, 6, (3, n))
    score = 3 + 0.6 * (food - 3) + 0.3 * (staff - 3) - 0.4 * (queue - 3) + rng.normal(0, 0.4, n)
    whole = np.clip(np.rint(score), 1, 5).astype(int)
    columns = zip(range(n), whole.tolist(), food.tolist(), staff.tolist(), queue.tolist(), strict=True)
    return [dict(zip(("who", "all", "food", "staff", "queue"), row, strict=True)) for row in columns]


def read(rows: list[dict[str, Any]], **more: Any) -> cx.Responses:
    return cx.read_responses(rows, customer="who", questions=QUESTIONS, **more)


def values(table: DriverTable) -> dict[str, float]:
    return {name: each.share.require() for name, each in table.items()}


def test_shares_come_with_the_sign_of_the_coefficient() -> None:
    rows = answers()
    table = read(rows).drivers("all")
    assert {name: each.sign for name, each in table.items()} == {"food": "+", "staff": "+", "queue": "−"}
    assert list(table) == ["food", "queue", "staff"]
    data = np.array([[row[name] for name in ("food", "staff", "queue", "all")] for row in rows], float)
    expected = dict(zip(("food", "staff", "queue"), lmg(covariance(moments(data, np.ones(600)))).tolist(), strict=True))
    assert values(table) == pytest.approx(expected)
    assert sum(values(table).values()) == pytest.approx(table.r2.value)
    for each in table.values():
        assert each.error is None
        assert each.share.interval is not None
        assert each.share.interval.low < each.share.require() < each.share.interval.high
        assert each.weight.require() == pytest.approx(each.share.require(), abs=0.03)
        assert each.penalty.require() < 0 < each.reward.require()
        assert each.asymmetry.require() == pytest.approx(
            (each.reward.require() + each.penalty.require()) / (each.range_of_impact or 1)
        )
    assert (table.bad["queue"], table.best["queue"]) == ("worse than 3", "at 1")


def test_replicates_and_the_jackknife_agree() -> None:
    survey = read(answers())
    drawn, left = survey.drivers("all", bootstrap=800), survey.drivers("all", bootstrap=0)
    for name in drawn:
        for quantity in ("share", "weight", "coefficient"):
            one, other = (table[name].quantities[quantity].interval for table in (drawn, left))
            assert one is not None
            assert other is not None
            assert one.method == "bootstrap of customers (800)"
            assert other.method == "jackknife over customer buckets"
            assert one.high - one.low == pytest.approx(other.high - other.low, rel=0.25)
    few = read(answers(120)).drivers("all")["food"].share.interval
    assert few is not None
    assert few.method.endswith("too few customers to resample")


def test_wide_long_and_repeated_surveys_say_the_same() -> None:
    rows = answers()
    wide = values(read(rows).drivers("all"))
    long = [
        {"who": row["who"], "all": None, **dict.fromkeys(QUESTIONS), name: row[name]}
        for row in rows
        for name in QUESTIONS
    ]
    assert values(read(long).drivers("all")) == pytest.approx(wide)
    assert values(read(rows).drivers("all", per="customer")) == pytest.approx(wide)
    order = np.random.default_rng(0).permutation(len(rows)).tolist()
    assert values(read([rows[i] for i in order]).drivers("all")) == pytest.approx(wide)


def test_weights_count_as_copies_do() -> None:
    rows = answers(300)
    copies = [{**row, "weight": 1} for i, row in enumerate(rows) for _ in range(1 + i % 3)]
    weighted = [{**row, "weight": 1 + i % 3} for i, row in enumerate(rows)]
    one, other = (read(each, weight="weight").drivers("all") for each in (copies, weighted))
    assert values(one) == pytest.approx(values(other))
    assert {n: d.coefficient.value for n, d in one.items()} == pytest.approx(
        {n: d.coefficient.value for n, d in other.items()}
    )


def test_gaps_are_counted_and_filled_on_request() -> None:
    rows = answers()
    for i, row in enumerate(rows):
        if i % 4 == 0:
            row["food"] = None
    plain, filled = read(rows).drivers("all"), read(rows).drivers("all", missing="mean")
    assert (plain.n, plain.left_out, plain.filled) == (450, 150, 0)
    assert (filled.n, filled.left_out, filled.filled) == (600, 0, 150)
    assert values(filled)["food"] < values(plain)["food"]
    assert values(plain) == pytest.approx(values(read([r for r in rows if r["food"] is not None]).drivers("all")))


def test_many_drivers_are_sampled_and_say_with_what_error() -> None:
    rng = np.random.default_rng(5)
    scores = rng.integers(1, 6, (400, 17))
    whole = np.clip(np.rint(scores[:, 0] * 0.7 + scores[:, 1] * 0.3), 1, 5).astype(int)
    rows = [
        {"all": int(y), **{f"q{i:02}": int(x) for i, x in enumerate(xs)}} for xs, y in zip(scores, whole, strict=True)
    ]
    asked = {name: cx.Question(cx.Scale.csat()) for name in rows[0]}
    survey = cx.read_responses(rows, questions=asked)
    table = survey.drivers("all", bootstrap=50)
    assert table.method == "2,000 random orders of the drivers"
    assert list(table)[:2] == ["q00", "q01"]
    assert sum(values(table).values()) == pytest.approx(table.r2.value)
    exact = values(survey.drivers("all", items=[f"q{i:02}" for i in range(15)], bootstrap=0))
    for name in ("q00", "q01"):
        error = table[name].error
        assert error is not None
        assert 0 < error < 0.01
        assert values(table)[name] == pytest.approx(exact[name], abs=0.02)


def test_scores_at_touchpoints_drive_the_score_of_the_whole() -> None:
    rng = np.random.default_rng(2)
    events, scores = [], []
    for who in range(400):
        shop, call = rng.integers(1, 6, 2).tolist()
        whole = int(np.clip(np.rint(3 + 0.8 * (shop - 3) + 0.1 * (call - 3) + rng.normal(0, 0.3)), 1, 5))
        for minute, place in enumerate(("shop", "call")):
            events.append({"who": who, "what": place, "at": f"2026-01-01 00:{minute:02}"})
        scores += [
            {"who": who, "place": "shop", "rating": shop, "all": None, "at": "2026-01-01 00:30"},
            {"who": who, "place": "call", "rating": call, "all": None, "at": "2026-01-01 00:30"},
            {"who": who, "place": None, "rating": None, "all": whole, "at": "2026-01-02 00:00"},
        ]
    given = cx.read_responses(
        scores, customer="who", time="at", touchpoint="place",
        questions={"rating": cx.Question(cx.Scale.csat()), "all": cx.Question(cx.Scale.csat(), kind="relational")},
    )  # fmt: skip
    journeys = cx.read_events(events, customer="who", touchpoint="what", time="at").with_responses(given)
    table = journeys.drivers("all")
    assert list(table) == ["shop", "call"]
    assert table["shop"].coefficient.require() == pytest.approx(0.8, abs=0.1)
    assert table.n == 400
    by_question = journeys.drivers("all", by="question")
    assert list(by_question) == ["rating"]


@pytest.mark.parametrize(
    ("ask", "error", "words"),
    [
        (lambda s: s.drivers("al"), UnknownNameError, "all"),
        (lambda s: s.drivers("all", items=["foot"]), UnknownNameError, "food"),
        (lambda s: s.drivers("all", missing="guess"), InvalidValueError, "leave out"),
    ],
)
def test_what_is_not_there_is_told(ask: Callable[[cx.Responses], object], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ask(read(answers(50)))


def test_what_cannot_be_told_apart_is_refused_by_name() -> None:
    rows = [{**row, "staff": row["food"]} for row in answers(100)]
    with pytest.raises(NotMeasurableError, match="'staff' do not vary, or say what other drivers say"):
        read(rows).drivers("all")
    with pytest.raises(NotMeasurableError, match="nothing can drive them"):
        read([{**row, "all": 3} for row in answers(100)]).drivers("all")
    with pytest.raises(NotMeasurableError, match="at least 5 are needed"):
        read(answers(4)).drivers("all")
    with pytest.raises(NotMeasurableError, match="stands beside"):
        cx.read_responses([{"x": 3}], score="x", scale=cx.Scale.csat()).drivers("answer")


def test_without_best_answers_there_is_no_reward_and_it_says_why() -> None:
    rows = [{**row, "food": min(row["food"], 4)} for row in answers()]
    food = read(rows).drivers("all")["food"]
    assert food.reward.value is None
    assert food.reward.reason == "no answer is best, or all that are not bad are"
    assert food.asymmetry.value is None
    assert food.penalty.require() < 0
    better = read(rows).drivers("all", best=4)["food"]
    assert better.reward.require() > 0


def test_a_table_tells_itself() -> None:
    table = read(answers()).drivers("all")
    told = document(table)["results"][0]["result"]
    assert (told["of"], told["n"], [each["driver"] for each in told["drivers"]]) == ("all", 600, list(table))
    assert told["drivers"][1]["sign"] == "−"
    assert str(table).startswith("drivers of all: R² 0.")
    assert [row["quantity"] for row in table.to_records()][:3] == ["r2", "share", "weight"]
    assert table.shares["food"] == table["food"].share


def test_kano_of_features() -> None:
    pairs = [(1, 5)] * 30 + [(2, 5)] * 35 + [(1, 3)] * 20 + [(3, 3)] * 10 + [(5, 1)] * 3 + [(1, 1)] * 2
    rows = [{"with": a, "without": b} for a, b in pairs]
    asked = {name: cx.Question(cx.Scale.own(1, 5)) for name in ("with", "without")}
    survey = cx.read_responses(rows, questions=asked)
    found = survey.kano({"search": ("with", "without")})["search"]
    assert dict(found.counts) == {"A": 20, "O": 30, "M": 35, "I": 10, "R": 3, "Q": 2}
    assert (found.category, found.better.n) == ("M", 95)
    assert (found.better.value, found.worse.value) == pytest.approx((50 / 95, -65 / 95))
    assert found.worse.interval is not None
    assert found.worse.interval.low < -65 / 95 < found.worse.interval.high < 0
    half = cx.read_responses([{"with": 1.5, "without": 2}], questions=asked)
    with pytest.raises(InvalidValueError, match="whole numbers from 1 to 5"):
        half.kano({"search": ("with", "without")})


@pytest.mark.open_data
def test_the_airport(open_data: Path) -> None:
    """What goes with the overall rating, of ten ratings with complete answers."""
    names = [
        "Q7ART", "Q7FOOD", "Q7STORE", "Q7SIGN", "Q7WALKWAYS", "Q7SCREENS", "Q7WIFI", "Q9BOARDING", "Q9FOOD",
        "Q9RESTROOM",
    ]  # fmt: skip
    survey = cx.read_responses(
        f"{open_data}/data/airport_survey/2017_SFO_Customer_Survey_20250817.csv",
        questions={name: cx.Question(cx.Scale.csat()) for name in ("Q7ALL", *names)}, weight="WEIGHT",
    )  # fmt: skip
    table = survey.drivers("Q7ALL", bootstrap=200)
    assert (table.n, table.left_out) == (1356, 1332)
    assert table.r2.require() == pytest.approx(0.595, abs=0.001)
    assert list(table)[:4] == ["Q7WALKWAYS", "Q7FOOD", "Q7SCREENS", "Q7SIGN"]
    assert {each.sign for each in table.values()} == {"+", "?"}
    assert sum(values(table).values()) == pytest.approx(table.r2.value)
