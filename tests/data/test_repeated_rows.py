"""Events that repeat an earlier one: counted in the reading, kept in the journeys."""

import re
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx

rows = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("xyz"), st.integers(0, 2)), min_size=1, max_size=30
)  # fmt: skip


@given(rows)
def test_an_event_counts_as_repeated_when_its_journey_had_it_already(events: list[tuple[str, str, int]]) -> None:
    journeys = cx.read_events(
        [{"who": who, "what": what, "at": f"2026-01-01 00:00:0{second}"} for who, what, second in events],
        customer="who", touchpoint="what", time="at",
    )  # fmt: skip
    found = [re.match(r"([\d,]+) events repeat", note) for note in journeys.reading.notes]
    assert sum(int(each[1]) for each in found if each) == sum(n - 1 for n in Counter(events).values())
    assert journeys.facts.events == len(events)
