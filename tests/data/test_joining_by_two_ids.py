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


def test_contradictions_count_where_they_concern_a_journey_of_these() -> None:
    """Two rows of two customers each contradict each other, and both customers share the journey's id."""
    events = [
        {"who": who, "order": "7", "what": what, "at": "2026-01-01"} for who, what in (("ann", "buy"), ("bob", "look"))
    ]
    journeys = cx.read_events([*events, {**events[0], "who": "cleo", "order": "8"}], customer="who", journey="order",
                              touchpoint="what", time="at")  # fmt: skip
    table = [{"who": who, "order": "7", "state": state} for who in ("ann", "bob") for state in ("paid", "open")]
    table.append({"who": "cleo", "order": "8", "state": "paid"})
    assert journeys.with_attributes(table, customer="who", columns=["state"]).matched[0].ambiguous == 4
    assert (
        journeys.where(passes="buy").with_attributes(table, customer="who", columns=["state"]).matched[0].ambiguous == 2
    )
    assert journeys.with_attributes(table, journey="order", columns=["state"]).matched[0].ambiguous == 4
