"""Reading, cutting and selecting agree with the slow implementation, whatever the rows."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import counts_of, edges_of, in_blocks, paths_of, read, whole

import cxmodel as cx
from cxmodel.testing import HOSTILE, Row, logs, reference

MINUTE = 60_000_000
START = reference.micros("2026-01-01T00:00:00+00:00")
gaps = st.integers(0, 15)
few = settings(max_examples=25)


def plain(trips: list[reference.Trip]) -> list[object]:
    return sorted(
        ((t.customer, t.journey, [(e.touchpoint, e.time) for e in t.events]) for t in trips), key=repr
    )  # fmt: skip


@given(logs())
def test_order_and_journeys(rows: list[Row]) -> None:
    assert whole(read(rows)) == plain(reference.trips(rows))


@given(logs(hostile=True))
def test_hostile_names_are_names(rows: list[Row]) -> None:
    assert whole(read(rows)) == plain(reference.trips(rows))


@pytest.mark.parametrize("touchpoints", [65, 255, 256, 257, 300])
def test_many_touchpoints(touchpoints: int) -> None:
    rows: list[Row] = [
        {
            "customer": c,
            "touchpoint": f"p{(i * 7 + len(c)) % touchpoints}",
            "time": f"2026-01-01T{i // 60:02}:{i % 60:02}",
        }
        for c in ("x", "yy")
        for i in range(touchpoints)
    ]  # fmt: skip
    trips, journeys = reference.trips(rows), read(rows)
    assert whole(journeys) == plain(trips)
    assert {edge: data["count"] for edge, data in edges_of(journeys).items()} == {
        edge: count for edge, (count, _, _) in reference.edges(trips).items()
    }
    assert paths_of(journeys) == reference.paths(trips)


@given(logs(), gaps, st.booleans())
def test_split(rows: list[Row], gap: int, at_goal: bool) -> None:
    goal = str(rows[0]["touchpoint"])
    pieces = read(rows).split(gap=timedelta(minutes=gap), at=goal if at_goal else None)
    assert whole(pieces) == plain(
        reference.split(reference.trips(rows), gap=gap * MINUTE, at={goal} if at_goal else ())
    )


@given(logs(), gaps)
def test_split_then_joined_gives_the_events_back(rows: list[Row], gap: int) -> None:
    journeys = read(rows)
    pieces = journeys.split(gap=timedelta(minutes=gap))
    for whole_block, cut in zip(journeys.population.parts, pieces.population.parts, strict=True):
        assert cut.time is whole_block.time or cut.time.tolist() == whole_block.time.tolist()
        assert cut.touchpoint.tolist() == whole_block.touchpoint.tolist()
        assert cut.journey_offsets[cut.customer_offsets].tolist() == (
            whole_block.journey_offsets[whole_block.customer_offsets].tolist()
        )
    assert pieces.facts.events == journeys.facts.events
    assert pieces.split(gap=timedelta(minutes=gap)).facts.journeys == pieces.facts.journeys


@few
@given(logs())
def test_merge_repeats(rows: list[Row]) -> None:
    journeys = read(rows, value="value")
    merged, expected = journeys.merge_repeats(), reference.merge_repeats(reference.trips(rows))
    assert whole(merged) == plain(expected)
    assert f"{journeys.facts.events - merged.facts.events:,} repeated events merged" in merged.reading.notes
    values = {
        name: data["value"] for name, data in merged.graph().nodes(data=True) if "value" in data
    }  # fmt: skip
    known = [event for trip in expected for event in trip.events if event.value is not None]
    assert values == pytest.approx({
        name: sum(e.value or 0.0 for e in known if e.touchpoint == name) for name in {e.touchpoint for e in known}
    })  # fmt: skip


@few
@given(logs())
def test_where_and_events_where(rows: list[Row]) -> None:
    if not any(row["channel"] == "web" for row in rows):
        return
    journeys, trips = read(rows, channel="channel"), reference.trips(rows)
    assert whole(journeys.where(channel="web")) == plain(reference.where(trips, lambda e: e.channel == "web"))
    passing = str(rows[0]["touchpoint"])
    assert whole(journeys.where(passes=passing)) == plain(reference.where(trips, lambda e: e.touchpoint == passing))
    kept = reference.events_where(trips, lambda e: e.channel == "web")
    filtered = journeys.events_where(channel="web")
    assert whole(filtered) == plain(kept)
    twice = reference.events_where(kept, lambda e: e.touchpoint != passing)
    others = [name for name in filtered.facts.touchpoints if name != passing]
    if twice:
        again = filtered.events_where(touchpoint=others)
        bridged: dict[tuple[str, str], int] = {}
        for trip in twice:
            for a, b in zip(trip.events, trip.events[1:], strict=False):
                bridged[a.touchpoint, b.touchpoint] = bridged.get((a.touchpoint, b.touchpoint), 0) + (b.removed > 0)
        assert {edge: data.get("bridged", 0) for edge, data in edges_of(again).items()} == bridged


@given(logs(), st.integers(-2, 42), st.integers(1, 30))
def test_between(rows: list[Row], start: int, minutes: int) -> None:
    low = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=start)
    high = low + timedelta(minutes=minutes)
    us = START + start * MINUTE
    expected = reference.between(reference.trips(rows), us, us + minutes * MINUTE)
    window = read(rows).between(low, high)
    assert whole(window) == plain(expected)
    cut = sum(
        trip.events[0].time < us or trip.events[-1].time >= us + minutes * MINUTE for trip in expected
    )  # fmt: skip
    assert sum(int(block.cut.sum()) for block in window.population.parts if block.cut is not None) == cut


@few
@given(logs(ties=False), st.randoms(use_true_random=False))
def test_order_of_rows_does_not_matter(rows: list[Row], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    a, b = read(rows), read(shuffled)
    assert whole(a) == whole(b)
    assert a.population.origin == b.population.origin
    assert counts_of(a) == counts_of(b)


@few
@given(logs())
def test_names_of_customers_do_not_matter(rows: list[Row]) -> None:
    renamed = [{**row, "customer": f"→ {row['customer']}"} for row in rows]
    a, b = read(rows), read(renamed)
    assert counts_of(a) == counts_of(b)
    assert paths_of(a) == paths_of(b)
    assert edges_of(a) == edges_of(b)


@few
@given(logs(hostile=True), st.data())
def test_no_row_is_lost(rows: list[Row], data: st.DataObject) -> None:
    """Kept plus rejected rows are all rows, whatever is missing in them."""
    spoilt = st.sampled_from([None, "", "  "])
    for row in rows:
        for column in data.draw(st.sets(st.sampled_from(["customer", "touchpoint", "time"]), max_size=2)):
            row[column] = "no time" if column == "time" and data.draw(st.booleans()) else data.draw(spoilt)
    rows.append({**rows[0], "customer": "a", "touchpoint": "b", "time": "2026-01-01"})
    reading = read(rows).reading
    assert reading.rows == len(rows)
    assert reading.kept + sum(each.count for each in reading.rejected.values()) == len(rows)
    good = [
        r
        for r in rows
        if not any(str(r[k] or " ").strip() in ("", "no time") for k in ("customer", "touchpoint", "time"))
    ]
    assert reading.kept == len(good) == read(rows).facts.events
    for each in reading.rejected.values():
        assert each.examples
        assert all(rows[example.row - 1] not in good for example in each.examples)


@few
@given(logs(), st.integers(1, 12))
def test_size_of_blocks_does_not_matter(rows: list[Row], size: int) -> None:
    journeys = read(rows)
    blocks = in_blocks(journeys, rows, size)
    assert whole(blocks) == whole(journeys)
    assert counts_of(blocks) == counts_of(journeys)
    assert edges_of(blocks) == edges_of(journeys)
    assert [*blocks.paths().top(99)] == [*journeys.paths().top(99)]
    assert whole(blocks.split(gap=timedelta(minutes=5)).merge_repeats()) == (
        whole(journeys.split(gap=timedelta(minutes=5)).merge_repeats())
    )
    assert whole(blocks.sample(0.5, seed=3)) == whole(journeys.sample(0.5, seed=3))


def test_hostile_names_are_distinct() -> None:
    rows = [{"customer": "x", "touchpoint": name, "time": f"2026-01-01T00:{i:02}"} for i, name in enumerate(HOSTILE)]
    journeys = read(rows)
    assert set(journeys.facts.touchpoints) == {name for name in HOSTILE if name}
    assert isinstance(journeys, cx.Journeys)
