"""What answers say about orders and flights beyond the expected figures: where they are attached, and how sure."""

import csv
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import norm

import cxmodel as cx
from cxmodel import metrics

pytestmark = pytest.mark.open_data

Expected = Callable[[str], Any]


def test_every_answer_is_attached_by_the_id_of_its_order(orders: cx.Journeys, reviews: cx.Responses) -> None:
    attached = orders.attached
    assert attached is not None
    assert attached.answers == reviews.reading.kept == 2993
    assert attached.unmatched == {}
    assert attached.at_event + attached.whole_journey == attached.answers
    assert orders.measure(metrics.Csat()).n == attached.answers


def test_early_answers_are_about_the_whole_order(
    orders: cx.Journeys, data: Path, order_facts: list[dict[str, str | None]], expected: Expected
) -> None:
    """Answers dated before the delivery that they are to be about cannot be about it.

    The expected figure, 142, came from a join in which both orders and answers repeat: three orders with an early
    answer have two answers each, and each early answer counts once for either. There are 137 early answers.
    """
    with (data / "marketplace_orders/responses.csv").open(encoding="utf-8", newline="") as file:
        answers = [(row["order_id"], row["timestamp"]) for row in csv.DictReader(file)]
    with (data / "marketplace_orders/olist_orders_dataset.csv").open(encoding="utf-8", newline="") as file:
        came = {row["order_id"]: row["order_delivered_customer_date"] for row in csv.DictReader(file)}
    many = Counter(order for order, _ in answers)
    early = [order for order, time in answers if time < came[order]]
    never = [order for order, _ in answers if not came[order]]
    attached = orders.attached
    assert attached is not None
    assert attached.whole_journey == len(early) + len(never) == 137 + 90
    assert orders.funnel(["Survey answered", "Delivered"]).steps[1].reached == len(set(early)) == 135
    assert expected("marketplace_orders")["anomalies"]["survey_before_delivery"] == sum(many[each] for each in early)


def test_late_orders_please_far_less(orders: cx.Journeys) -> None:
    by_delivery = orders.measure(metrics.Csat(), by=cx.by.attribute("delivery"))
    assert by_delivery.unassigned is not None
    assert (by_delivery["late"].n, by_delivery["on_time"].n, by_delivery.unassigned.n) == (193, 2710, 90)
    gap = by_delivery["on_time"].minus(by_delivery["late"])
    assert gap.value == pytest.approx(2226 / 2710 - 51 / 193)
    assert gap.interval is not None
    assert 0.45 < gap.interval.low < gap.require() < gap.interval.high < 0.65


def test_answers_about_deliveries_count_there_and_no_others(orders: cx.Journeys) -> None:
    by_touchpoint = orders.measure(metrics.Csat(), by="touchpoint")
    assert by_touchpoint.unassigned is not None
    assert {name: each.n for name, each in by_touchpoint.items()} == {"Delivered": 2993 - 227}
    assert by_touchpoint.unassigned.n == 227


def test_every_order_meets_its_facts(orders: cx.Journeys) -> None:
    (matched,) = orders.matched
    assert (matched.rows, matched.matched_rows, matched.targets, matched.matched_targets) == (3000,) * 4
    assert matched.ambiguous == 0


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_score_interval_of_the_survey_ends_where_the_score_test_turns(passengers: cx.Responses, level: float) -> None:
    nps = passengers.measure(metrics.Nps(method="score"), level=level)
    assert nps.interval is not None
    assert nps.interval.low < nps.require() < nps.interval.high
    for end in (nps.interval.low, nps.interval.high):
        assert abs(score_statistic(342, 968, 1436, end / 100)) == pytest.approx(norm.ppf((1 + level) / 2), rel=1e-6)


def score_statistic(d: int, p: int, q: int, delta: float) -> float:
    """Score test of a difference of two shares of three counts, by its restricted likelihood equation."""
    n = d + p + q
    b = -d - q + (2 * n - q + d) * delta
    x = (math.sqrt(b * b + 8 * n * d * delta * (1 - delta)) - b) / (4 * n)
    return (q - d - n * delta) / math.sqrt(n * (2 * x + delta * (1 - delta)))


def test_weights_move_the_score_and_widen_its_interval(
    weighted_passengers: cx.Responses, passengers: cx.Responses
) -> None:
    weighted, plain = weighted_passengers.measure(metrics.Nps()), passengers.measure(metrics.Nps())
    assert weighted.n == plain.n == 2746
    assert weighted.n_eff is not None
    assert weighted.n_eff < plain.n
    assert weighted.interval is not None
    assert plain.interval is not None
    assert weighted.interval.high - weighted.interval.low > plain.interval.high - plain.interval.low


def test_answers_of_the_survey_and_what_was_left_out_add_up(passengers: cx.Responses) -> None:
    reading = passengers.reading
    assert reading.rows == 2831 * len(passengers.questions)
    assert reading.rows == reading.kept + reading.rejected_rows
