"""Facts from other tables."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import in_blocks, read

import cxmodel as cx
from cxmodel.testing import Row, logs, reference

few = settings(max_examples=25)
tables = st.lists(
    st.fixed_dictionaries({
        "journey": st.sampled_from(["j1", "j2", "j3", "j4"]), "customer": st.sampled_from(["c0", "c1", "c2", "c9"]),
        "late": st.sampled_from(["yes", "no"]),
    }), min_size=1, max_size=8,
)  # fmt: skip


def facts_of(journeys: cx.Journeys, column: str) -> list[tuple[str, str | None, object]]:
    vocabulary = journeys.population.vocabulary
    labels = vocabulary.columns[column]
    assert labels is not None
    found = []
    for block in journeys.population.parts:
        for j in range(block.journeys):
            owner = vocabulary.customers.text(int(block.customer[block.customer_of_journey[j]]))
            name = (
                None
                if block.journey_id is None or vocabulary.journeys is None
                else vocabulary.journeys.text(int(block.journey_id[j]))
            )
            code = int(block.journey_columns[column][j])
            found.append((owner, name, labels.names[code] if code else None))
    return sorted(found, key=repr)


@few
@given(logs(journeys=True), tables, st.integers(1, 30))
def test_facts_by_journey(rows: list[Row], table: list[Row], size: int) -> None:
    trips, journeys = reference.trips(rows), read(rows)
    expected = reference.joined(trips, table, "late")
    if not any(expected):
        with pytest.raises(cx.errors.NoRowsError, match="not one id matched"):
            journeys.with_attributes(table, journey="journey", columns=["late"])
        return
    for each in (journeys, in_blocks(journeys, rows, size)):
        found = each.with_attributes(table, journey="journey", columns=["late"])
        assert facts_of(found, "late") == sorted(
            ((t.customer, t.journey, fact) for t, fact in zip(trips, expected, strict=True)), key=repr
        )
        assert found.matched[-1].matched_targets == sum(fact is not None for fact in expected)
        assert found.matched[-1].targets == len(trips)
        late = [trip for trip, fact in zip(trips, expected, strict=True) if fact == "yes"]
        assert found.where(late="yes").facts.journeys == len(late)


@few
@given(logs(journeys=True), tables)
def test_facts_by_customer_and_by_both(rows: list[Row], table: list[Row]) -> None:
    trips, journeys = reference.trips(rows), read(rows)
    for keys in (("customer",), ("customer", "journey")):
        facts: dict[object, set[object]] = {}
        for row in table:
            facts.setdefault(tuple(row[key] for key in keys), set()).add(row["late"])
        expected = []
        for trip in trips:
            mine = facts.get((trip.customer,) if len(keys) == 1 else (trip.customer, trip.journey), set())
            expected.append(next(iter(mine)) if len(mine) == 1 else None)
        if not any(expected):
            continue
        found = (
            journeys.with_customers(table, customer="customer", attributes=["late"]) if len(keys) == 1
            else journeys.with_attributes(table, customer="customer", journey="journey", columns=["late"])
        )  # fmt: skip
        assert facts_of(found, "late") == sorted(
            ((t.customer, t.journey, fact) for t, fact in zip(trips, expected, strict=True)), key=repr
        )


def test_ids_are_joined_as_text() -> None:
    rows: list[Row] = [
        {"customer": c, "touchpoint": "a", "time": "2026-01-01", "journey": None} for c in ("7", "007", "NA", "8.0")
    ]
    table: list[Row] = [{"c": 7.0, "k": "seven"}, {"c": "NA", "k": "na"}, {"c": 8, "k": "eight"}]
    joined = read(rows).with_customers(table, customer="c", attributes=["k"])
    assert facts_of(joined, "k") == [("007", None, None), ("7", None, "seven"), ("8.0", None, None), ("NA", None, "na")]
    assert joined.matched[-1].matched_rows == 2


def test_a_fact_about_touchpoints_that_is_misspelt_is_said_with_the_nearest() -> None:
    rows = [{"who": "a", "what": "x", "at": "2026-01-01"}]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    with pytest.raises(
        cx.errors.UnknownNameError, match=r"touchpoint 'x': there is no fact 'stge'.*Did you mean 'stage'"
    ):
        journeys.with_touchpoints({"x": {"stge": "Buy"}})
