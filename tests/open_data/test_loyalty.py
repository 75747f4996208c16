"""Loyalty on real orders: the share of customers with a second order, published beside the data."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

import cxmodel as cx
from cxmodel import metrics

pytestmark = pytest.mark.open_data


def test_customers_who_order_again(orders: cx.Journeys, expected: Callable[[str], Any]) -> None:
    figure = expected("marketplace_orders")["by_customer"]["conversion"]
    ever = metrics.RepeatRate(within=timedelta(days=3_000), end=datetime(2030, 1, 1, tzinfo=UTC))
    found = orders.measure(ever)
    assert (found.n, round(found.require() * found.n)) == (figure["cases"], figure["converted"])
    assert found.require() == pytest.approx(figure["rate"])
    assert found.interval is not None
    assert [found.interval.low, found.interval.high] == pytest.approx(figure["wilson95"])
    # Within half a year: who ordered in the last half year cannot be judged, and is not lost.
    soon = orders.measure(metrics.RepeatRate(within=timedelta(days=180)))
    assert soon.n + soon.censored == figure["cases"]
    assert soon.censored > 0


def test_months_of_the_click_stream_add_up(clicks: cx.Journeys) -> None:
    table = clicks.measure(metrics.Lifecycle(period="month"))
    assert sum(each.new for each in table.periods) + table.censored == clicks.facts.customers
    for before, after in pairwise(table.periods):
        everybody = before.new + before.active + before.returned + before.lapsed
        assert after.active + after.returned + after.lapsed == everybody


def test_satisfied_customers_do_not_yet_tell_themselves_apart(orders: cx.Journeys) -> None:
    """Two of 1,939 satisfied and none of 600 others ordered again within 90 days: nothing may be said."""
    after = orders.measure(metrics.JourneysAfterAnswer(within=timedelta(days=90)), by=cx.by.opinion)
    assert {name: (each.n, round(each.require() * each.n)) for name, each in after.items()} == {
        "satisfied": (1_939, 2), "not satisfied": (600, 0)
    }  # fmt: skip
    again = orders.measure(metrics.GoalAfterAnswer(goal="Order placed", within=timedelta(days=90)), by=cx.by.opinion)
    assert cx.compare(again, to="not satisfied")["satisfied"].verdict == "not told apart"


def test_states_differ_mostly_because_of_late_deliveries(orders: cx.Journeys) -> None:
    by = (cx.by.attribute("state"), cx.by.attribute("delivery"))
    found = cx.like_for_like(orders.measure(metrics.Csat(min_n=0), by=by), "RJ", "SP")
    assert found.raw.interval is not None
    assert found.raw.interval.high < 0
    assert found.difference.interval is not None
    assert 0 in found.difference.interval
    assert found.difference.require() == pytest.approx(-0.032, abs=0.001)
