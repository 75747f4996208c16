"""A few rows read without the engine are what the engine reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxmodel.data.handfuls import read_handful
from cxmodel.data.roles import Roles
from cxmodel.data.rows import Rows, read_rows
from cxmodel.data.sources import open_tables
from cxmodel.testing import HOSTILE

ROLES = Roles(
    customer="who", touchpoint="what", time="at", journey="trip", until="end", value="worth", named={"channel": "via"},
    attributes=("late",), order=("seq",),
)  # fmt: skip
FIELDS = ROLES.fields()
TEXT = st.one_of(
    st.sampled_from([*HOSTILE, "7", "007", " a", "a ", "", "  ", "dé", "日本", "\u00a0", "'; --", "NULL", "nan"]),
    st.none(), st.integers(-5, 5), st.floats(-3, 3), st.sampled_from([1.0, -0.0, 1e20, float("nan"), True]),
)  # fmt: skip
TIME = st.one_of(
    st.datetimes().map(str),
    st.datetimes().map(lambda when: when.isoformat()),
    st.builds(
        "2026-{}-{}{}{}{}".format, st.sampled_from(["01", "03", "10", "13"]), st.sampled_from(["01", "29", "25", "31"]),
        st.sampled_from(["T", " ", ""]), st.sampled_from(["02:30", "02:30:15", "23:59:59.5", "24:00", "02:60", ""]),
        st.sampled_from(["", "Z", "+01:00", "-13:59", "+0100", "+14", " UTC", "+15:00"]),
    ),
    st.sampled_from(["", None, "0001-01-01", "9999-12-31", 1767225600, "yesterday", "2026-1-1"]),
)  # fmt: skip
NUMBER = st.one_of(
    st.none(), st.floats(), st.integers(-(10**17), 10**17), st.sampled_from(["1.50", "1e3", " 2", "x", "", "٣", "1_0"]),
    st.decimals(allow_nan=False, allow_infinity=False, places=7).map(str),
)  # fmt: skip
ROW = st.fixed_dictionaries(
    {"who": TEXT, "what": TEXT, "at": TIME, "trip": TEXT, "end": TIME, "worth": NUMBER, "via": TEXT, "late": TEXT,
     "seq": NUMBER}
)  # fmt: skip
USUAL = st.fixed_dictionaries(
    {"who": TEXT, "what": TEXT, "trip": TEXT, "via": TEXT, "late": TEXT, "end": st.none(), "seq": st.none(),
     "at": st.builds("2026-{}T0{}:30:00".format, st.sampled_from(["03-29", "10-25", "01-01"]), st.integers(0, 9)),
     "worth": st.floats(-10, 10).map(lambda value: f"{value:.6f}")}
)  # fmt: skip


def plain(rows: Rows) -> dict[str, Any]:
    """What was read, with ids as texts."""
    arrays = {
        role: list(rows.identifiers[role].texts_of(array)) if role in rows.identifiers else
        [str(value) for value in array.tolist()]
        for role, array in rows.arrays.items()
    }  # fmt: skip
    return {
        "arrays": arrays,
        "labels": {role: list(labels.names) for role, labels in rows.labels.items()},
        "ids": {role: sorted(ids.texts or ()) for role, ids in rows.identifiers.items()},
        "size": rows.size,
        "reading": rows.reading,
        "kinds": {role: array.dtype for role, array in rows.arrays.items()},
    }


@given(
    st.one_of(st.lists(ROW, max_size=4), st.lists(USUAL, min_size=1, max_size=6)),
    st.sampled_from([None, "Europe/Rome"]),
)
@settings(max_examples=150)
def test_a_handful_is_read_as_the_engine_reads_it(rows: list[dict[str, object]], tz: str | None) -> None:
    found = read_handful(rows, FIELDS, tz)
    if found is None or not rows:
        return
    with open_tables(rows, [each.column for each in FIELDS]) as (connection, tables):
        assert plain(found) == plain(read_rows(connection, tables, FIELDS, tz=tz))


@pytest.mark.parametrize(
    "row",
    [
        {"who": "ann", "what": "zoo", "at": "2026-01-01T10:00:00Z", "worth": "12.5"},
        {"who": 7, "what": "dé", "at": "2026-01-01", "worth": 3.0},
        {"who": None, "what": "  ", "at": None, "worth": None},
    ],
)
def test_the_usual_needs_no_engine(row: dict[str, object]) -> None:
    full = {"trip": "1", "end": None, "via": "web", "late": None, "seq": None, **row}
    assert read_handful([full], FIELDS, "Europe/Berlin") is not None


@pytest.mark.parametrize("odd", [{"at": "1 Jan 2026"}, {"who": "a\tb"}, {"worth": "1e3"}, {"at": 1767225600}])
def test_the_unusual_is_left_to_the_engine(odd: dict[str, object]) -> None:
    full = {
        "who": "a",
        "what": "b",
        "at": "2026-01-01",
        "trip": "1",
        "end": None,
        "worth": 1,
        "via": "",
        "late": "",
        "seq": "1",
    }
    assert read_handful([{**full, **odd}], FIELDS, None) is None
