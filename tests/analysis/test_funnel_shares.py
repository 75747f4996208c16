"""Intervals of funnel shares: Wilson's, with a design effect only where customers have several journeys."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

import cxmodel as cx


def rows(customers: Sequence[Sequence[bool]]) -> list[dict[str, str]]:
    """Journeys of each customer; each begins with an ad, and some go on to the shop."""
    return [
        {"who": str(who), "visit": str(visit), "what": what, "at": f"2026-01-01 00:0{minute}"}
        for who, visits in enumerate(customers)
        for visit, bought in enumerate(visits)
        for minute, what in enumerate(["ad", "shop"] if bought else ["ad"])
    ]


def share(customers: Sequence[Sequence[bool]]) -> cx.Estimate:
    extra = [{"who": "more", "visit": "0", "what": "shop", "at": "2026-01-01"}]
    journeys = cx.read_events(
        [*rows(customers), *extra], customer="who", journey="visit", touchpoint="what", time="at"
    )  # fmt: skip
    return journeys.funnel(["ad", "shop"]).steps[1].of_first


@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_one_journey_per_customer_gives_the_plain_interval(bought: list[bool]) -> None:
    estimate = share([[each] for each in bought])
    plain = binomtest(sum(bought), len(bought)).proportion_ci(method="wilson")
    assert estimate.interval is not None
    assert estimate.n_eff == estimate.n == len(bought)
    assert (estimate.interval.low, estimate.interval.high) == pytest.approx((plain.low, plain.high))
    assert estimate.interval.method == "wilson"


def test_journeys_of_one_customer_that_end_alike_count_for_less() -> None:
    estimate = share([[True] * 5, [False] * 5] * 6)
    assert estimate.n == 60
    assert estimate.n_eff is not None
    assert estimate.n_eff < 20
    assert estimate.interval is not None
    assert estimate.interval.method == "wilson, design effect"
