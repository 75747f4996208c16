"""Hypothesis strategies: event logs and surveys as lists of rows, with everything that real ones contain."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from hypothesis import strategies as st

from cxmodel.testing.notation import START

Row: TypeAlias = dict[str, object]

HOSTILE: Final = (
    "a", "a ", " a", "A", "NA", "null", "None", "nan", "0", "007", "7", "7.0", "1e3", "true", "direct", "start", "",
    "a,b", 'a"b', "a'b", "a;b", "a\tb", "a\nb", "a\\b", "ä", "a\u0308", "→", "🙂", "\u200b", "x" * 300,
    "%s", "{0}", "__proto__", "2026-01-01", "-1", "=1+1", "<b>", "&amp;", "]]>",
)  # fmt: skip
"""Names that have broken programs: look-alikes of numbers, dates and blanks, quotes, separators, markup, long ones."""


@st.composite
def logs(
    draw: st.DrawFn, *, customers: int = 5, touchpoints: int = 4, most: int = 30, minutes: int = 40,
    journeys: bool | None = None, hostile: bool = False, ties: bool = True,
) -> list[Row]:  # fmt: skip
    """Event logs: rows of ``customer``, ``journey``, ``touchpoint``, ``time`` (ISO 8601), ``channel`` and ``value``.

    Rows come in any order, with equal times, repeated rows, interleaved journeys and journeys of one event.

    Args:
        draw: Given by Hypothesis.
        customers: Most customers.
        touchpoints: How many touchpoints there are; with more than 8 one customer more passes all of them, so that the
            vocabulary has that size.
        most: Most rows, besides those of that customer.
        minutes: Times are whole minutes from 0 to this.
        journeys: Whether rows name a journey; drawn when None. Without, ``journey`` is None everywhere.
        hostile: Whether names are texts that have broken programs before.
        ties: Whether several rows may have one time.
    """
    named = draw(st.booleans()) if journeys is None else journeys
    wide = max(3, len(str(touchpoints)))
    names = [text for text in HOSTILE if text] if hostile else [f"p{i:0{wide}d}" for i in range(touchpoints)]
    people = names if hostile else [f"c{i}" for i in range(customers)]
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(people), st.sampled_from(["j1", "j2", "j3"]) if named else st.none(),
                st.sampled_from(names), st.integers(0, minutes), st.sampled_from([None, "web", "shop"]),
                st.sampled_from([None, 0.0, 1.5, -2.0]),
            ),
            min_size=1, max_size=most, unique_by=None if ties else (lambda row: row[3]),
        )
    )  # fmt: skip
    if touchpoints > 8 and not hostile:
        drawn += [("all", "j1" if named else None, name, minutes + 1 + i, None, None) for i, name in enumerate(names)]
    keys = ("customer", "journey", "touchpoint", "time", "channel", "value")
    return [dict(zip(keys, (*row[:3], _moment(row[3]), *row[4:]), strict=True)) for row in drawn]


@st.composite
def surveys(
    draw: st.DrawFn, *, customers: Sequence[str | None] = ("c0", "c1", "c2", "c3", "stranger"), touchpoints: int = 4,
    most: int = 15, minutes: int = 60, low: int = 0, high: int = 10, journeys: bool = False, about: bool = True,
) -> list[Row]:  # fmt: skip
    """Survey answers: rows with ``customer``, ``journey``, ``touchpoint``, ``score``, ``time`` and ``weight``.

    Args:
        draw: Given by Hypothesis.
        customers: Ids of the customers; some need not be in the log, and None carries no id.
        touchpoints: Touchpoints that answers may name, as in `logs`; one more does not occur there.
        most: Most answers.
        minutes: Times are whole minutes from −5 to this.
        low: Lowest score.
        high: Highest score.
        journeys: Whether answers may name a journey.
        about: Whether answers may name a touchpoint.
    """
    wide = max(3, len(str(touchpoints)))
    places = [None, *(f"p{i:0{wide}d}" for i in range(touchpoints)), "nowhere"] if about else [None]
    moments = st.integers(-5, minutes).map(_moment)
    answer: st.SearchStrategy[Row] = st.fixed_dictionaries({
        "customer": st.sampled_from(list(customers)),
        "journey": st.sampled_from([None, "j1", "j2", "j9"]) if journeys else st.none(),
        "touchpoint": st.sampled_from(places),
        "score": st.integers(low, high),
        "time": st.none() | moments if journeys else moments,
        "weight": st.sampled_from([0.5, 1.0, 2.0, 3.5]),
    })  # fmt: skip
    return draw(st.lists(answer, min_size=1, max_size=most))


def _moment(minute: int) -> str:
    moment: datetime = START + timedelta(minutes=minute)
    return moment.isoformat()
