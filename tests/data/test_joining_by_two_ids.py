"""Joining on customer and journey: what is said when nothing meets."""

import pytest

import cxmodel as cx


def test_the_id_that_does_not_match_is_shown() -> None:
    orders = [{"who": "ann", "order": "7", "what": "buy", "at": "2026-01-01"}]
    journeys = cx.read_events(orders, customer="who", journey="order", touchpoint="what", time="at")
    table = [{"buyer": "ann@example.org", "order": "7", "state": "paid"}]
    with pytest.raises(cx.errors.NoRowsError) as caught:
        journeys.with_attributes(table, customer="buyer", journey="order", columns=["state"])
    assert "customer: here 'ann', there 'ann@example.org'" in str(caught.value)
    assert "journey: here '7', there '7'" in str(caught.value)


def test_one_id_is_shown_alone() -> None:
    events = [{"who": "ann", "what": "buy", "at": "2026-01-01"}]
    journeys = cx.read_events(events, customer="who", touchpoint="what", time="at")
    with pytest.raises(cx.errors.NoRowsError, match="not one id matched: here 'ann', there 'bob'"):
        journeys.with_customers([{"who": "bob", "age": "old"}], customer="who", attributes=["age"])
