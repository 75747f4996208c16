"""Hand-offs between departments against plain loops, and laws of the table."""

from collections import defaultdict
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.silos import Silos

Event = tuple[str, str | None, int, int | None]
EVENTS = st.tuples(
    st.sampled_from("abc"), st.sampled_from(["x", "y", "z", None]), st.integers(0, 3), st.none() | st.integers(1, 5)
)
JOURNEYS = st.lists(st.lists(EVENTS, min_size=1, max_size=6), min_size=2, max_size=6).filter(
    # a goal that nobody ever met is refused, and so is a log without departments
    lambda journeys: all(
        any(met) for met in zip(*[(event[1], event[0] == "c") for j in journeys for event in j], strict=True)
    )
)
GOAL = cx.Goal("there", touchpoints=["c"])


def read(journeys: list[list[Event]]) -> cx.Journeys:
    rows: list[dict[str, Any]] = []
    for j, journey in enumerate(journeys):
        at = 0
        for touchpoint, department, wait, score in journey:
            at += wait + 1
            rows.append(
                {"who": f"c{j // 2}", "trip": f"j{j}", "what": touchpoint, "unit": department,
                 "at": f"2026-01-01 00:00:{at:02d}", "score": score}
            )  # fmt: skip
    about: dict[str, Any] = {"customer": "who", "journey": "trip", "touchpoint": "what", "time": "at"}
    log = cx.read_events(rows, department="unit", **about)
    scored = [row for row in rows if row["score"] is not None]
    if not scored:
        return log
    return log.with_responses(cx.read_responses(scored, score="score", scale=cx.Scale.csat(), **about))


def slow(journeys: list[list[Event]]) -> dict[Any, dict[str, list[float]]]:
    out: dict[Any, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for journey in journeys:
        times = []
        at = 0
        for event in journey:
            at += event[2] + 1
            times.append(at)
        known = [i for i, event in enumerate(journey) if event[1]]
        for a, b in pairwise(known):
            pair = None if journey[a][1] == journey[b][1] else (journey[a][1], journey[b][1])
            here = out[pair]
            here["wait"].append(times[b] - times[a])
            here["repeated"].append(float(journey[b][0] in {event[0] for event in journey[:b]}))
            arrived = any(event[0] == "c" for event in journey[: b + 1])
            here["dropped"].append(float(b == len(journey) - 1 and not arrived))
            before, after = journey[a][3], journey[b][3]
            if before is not None and after is not None:
                here["score_change"].append(after - before)
    return out


@given(JOURNEYS)
def test_equals_plain_loops(journeys: list[list[Event]]) -> None:
    table = read(journeys).measure(Silos(goal=GOAL))
    expected = slow(journeys)
    assert {(row.source, row.target) for row in table.rows} == {pair for pair in expected if pair}
    within = expected.get(None, {})
    for name, estimate in table.within.items():
        values = within.get(name, [])
        assert estimate.n == len(values)
        assert estimate.value == (pytest.approx(sum(values) / len(values)) if values else None)
    for row in table.rows:
        for name, estimate in row.losses.items():
            values = expected[row.source, row.target].get(name, [])
            assert estimate.n == len(values)
            assert estimate.value == (pytest.approx(sum(values) / len(values)) if values else None)
            inside = table.within[name].value
            if estimate.value is not None and inside is not None:
                assert row.differences[name].value == pytest.approx(estimate.value - inside)
    assert table.hand_offs == sum(row.n for row in table.rows)
    assert table.steps == table.hand_offs + len(within.get("wait", []))
    assert table.unknown == sum(event[1] is None for journey in journeys for event in journey)


def test_a_lossy_hand_off_is_told_from_the_others() -> None:
    lossy: list[Event] = [("a", "x", 0, 5), ("b", "x", 0, 5), ("a", "y", 3, 1)]
    fine: list[Event] = [("a", "x", 0, 5), ("b", "z", 0, 5), ("c", "z", 0, 5)]
    mixed: list[Event] = [("a", "x", 0, 4), ("b", "x", 1, 5), ("d", "y", 2, 2)]
    table = read([lossy, fine, mixed] * 40).measure(Silos(goal=GOAL))
    by_pair = {(row.source, row.target): row for row in table.rows}
    bad = by_pair["x", "y"]
    assert bad.n == 80
    for name in ("wait", "dropped", "score_change"):
        p = bad.adjusted[name]
        assert p is not None
        assert p < 0.05
    assert bad.losses["dropped"].flags == ("open_unknown",)
    assert table.to_dict()["hand_offs"] == 120
    assert "x → y (n=80)" in str(table)


def test_edges() -> None:
    alone = read([[("a", "x", 0, None)], [("b", None, 0, None)]]).measure(Silos())
    assert (alone.rows, alone.steps, alone.unknown) == ((), 0, 1)
    assert alone.within["wait"].value is None
    with pytest.raises(cx.errors.NotMeasurableError, match="department"):
        cx.read_events([{"c": 1, "t": "a", "d": "2026-01-01"}], customer="c", touchpoint="t", time="d").measure(Silos())
