"""Context: parts of the day, seasons, and several groupings at once."""

from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.exporters.json import dumps, loads
from cxmodel.testing import journeys_of

few = settings(max_examples=25)
ZONES = st.sampled_from(["UTC", "America/New_York", "Asia/Kolkata", "Australia/Sydney"])
MINUTES = st.lists(st.integers(0, 800 * 24 * 60), min_size=1, max_size=12)
START = datetime(2025, 1, 1, tzinfo=UTC)


def events(minutes: list[int]) -> cx.Journeys:
    rows = [
        {"who": f"c{i}", "what": "visit", "at": (START + timedelta(minutes=minute)).isoformat()}
        for i, minute in enumerate(minutes)
    ]
    return cx.read_events(rows, customer="who", touchpoint="what", time="at")


def counts(journeys: cx.Journeys, by: Any) -> dict[str | None, int]:
    found: Any = journeys.measure(cx.metrics.Length(), by=by)
    told = {name: each.n for name, each in found.items()}
    return {**told, None: found.unassigned.n} if found.unassigned is not None else told


def tallied(names: list[str | None]) -> dict[str | None, int]:
    return {name: names.count(name) for name in set(names)}


@few
@given(MINUTES, ZONES, st.lists(st.integers(0, 47), min_size=2, max_size=6, unique=True), st.booleans())
def test_parts_of_the_day_follow_the_wall_clock(minutes: list[int], tz: str, edges: list[int], whole: bool) -> None:
    """Parts between ascending half hours; the last passes midnight, or is left out."""
    edges = sorted(edges)
    spans = list(zip(edges, [*edges[1:], edges[0]], strict=True))[: None if whole else -1]
    parts = {f"p{i}": (low / 2, high / 2) for i, (low, high) in enumerate(spans)}

    def part(minute: int) -> str | None:
        clock = (START + timedelta(minutes=minute)).astimezone(ZoneInfo(tz))
        half = clock.hour * 2 + clock.minute / 30
        held = [
            f"p{i}"
            for i, (low, high) in enumerate(spans)
            if (low <= half < high if low < high else half >= low or half < high)
        ]
        return held[0] if held else None

    assert counts(events(minutes), cx.by.daypart(parts, tz=tz)) == tallied([part(each) for each in minutes])


@few
@given(MINUTES, ZONES)
def test_seasons_follow_the_calendar_and_turn_with_the_hemisphere(minutes: list[int], tz: str) -> None:
    months = [(START + timedelta(minutes=each)).astimezone(ZoneInfo(tz)).month for each in minutes]
    names = ("winter", "winter", *(name for name in ("spring", "summer", "autumn") for _ in range(3)), "winter")
    other = {"winter": "summer", "summer": "winter", "spring": "autumn", "autumn": "spring"}
    journeys = events(minutes)
    north: list[str | None] = [names[month - 1] for month in months]
    assert counts(journeys, cx.by.season("northern", tz=tz)) == tallied(north)
    south: list[str | None] = [other[names[month - 1]] for month in months]
    assert counts(journeys, cx.by.season("southern", tz=tz)) == tallied(south)
    high = cx.by.season(months={"high": [7, 12]}, tz=tz)
    assert counts(journeys, high) == tallied(["high" if month in (7, 12) else None for month in months])


@few
@given(MINUTES)
def test_the_default_parts_cover_the_day(minutes: list[int]) -> None:
    found = counts(events(minutes), cx.by.daypart())
    assert None not in found
    assert sum(found.values()) == len(minutes)


ROWS = st.lists(
    st.tuples(*(st.sampled_from([*letters, None]) for letters in ("ab", "cd", "ef", "gh"))), min_size=1, max_size=25
)


@few
@given(ROWS, st.permutations("wxyz"), st.integers(2, 4))
def test_several_groupings_are_every_combination(rows: list[Any], order: list[str], width: int) -> None:
    log = [
        {"who": f"c{i}", "what": what, "at": "2026-01-01", **dict(zip("wxyz", values, strict=True))}
        for i, values in enumerate(rows) for what in ("ad", "pay")
    ]  # fmt: skip
    journeys = cx.read_events(log, customer="who", touchpoint="what", time="at", attributes=list("wxyz"))
    labels = journeys.population.vocabulary.columns
    names = [name for name in order if labels[name] is not None][:width]
    if len(names) < 2:
        return
    by: Any = tuple(cx.by.attribute(name) for name in names)
    found: Any = journeys.measure(cx.metrics.Length(), by=by)
    keys = [tuple(values["wxyz".index(name)] for name in names) for values in rows]
    assert found.by == tuple(names)
    assert {key: each.n for key, each in found.items()} == {
        key: keys.count(key) for key in keys if None not in key
    }  # fmt: skip
    lost = sum(None in key for key in keys)
    assert (found.unassigned.n if found.unassigned is not None else 0) == lost
    assert (
        journeys.measure(cx.metrics.Length(), by=cx.by.cross(cx.by.cross(*by[:-1]), by[-1]) if width > 2 else by)
        == found
    )
    assert loads(dumps(found)) == found


def test_touchpoints_are_crossed_with_all_the_others() -> None:
    """A journey stands in every combination of the touchpoints and the stages that it passes."""
    plain = journeys_of("ann: a 1, b 2; bob: b 1; cid: a 1, b 2, a 3")
    journeys = plain.with_touchpoints({"a": {"stage": "s"}, "b": {"stage": "t"}})
    by: Any = ("touchpoint", "stage", cx.by.weekday())
    found: Any = journeys.measure(cx.metrics.Length(), by=by)
    day = f"{journeys.facts.first:%A}"
    expected = {("a", "s", day): 2, ("a", "t", day): 2, ("b", "s", day): 2, ("b", "t", day): 3}
    assert {key: each.n for key, each in found.items()} == expected
    assert found.overlapping


def test_what_is_no_part_of_a_day_or_year_is_refused() -> None:
    invalid = cx.errors.InvalidValueError
    with pytest.raises(invalid, match="'a' and 'b' overlap"):
        cx.by.daypart({"a": (22, 6), "b": (5, 8)})
    with pytest.raises(invalid, match="'a' has the hour 25"):
        cx.by.daypart({"a": (22, 25)})
    with pytest.raises(invalid, match="'a' begins and ends at 6"):
        cx.by.daypart({"a": (6, 6)})
    with pytest.raises(invalid, match="no part of the day"):
        cx.by.daypart({})
    with pytest.raises(invalid, match="say either the hemisphere or the months"):
        cx.by.season()
    with pytest.raises(invalid, match="there is no hemisphere 'south'"):
        cx.by.season("south")  # type: ignore[arg-type]
    with pytest.raises(invalid, match="month 6 belongs to 'a' and to 'b'"):
        cx.by.season(months={"a": [6], "b": [6]})
    with pytest.raises(invalid, match="'a' has the month 13"):
        cx.by.season(months={"a": [13]})
    with pytest.raises(invalid, match="'channel' is grouped by twice"):
        cx.by.cross(cx.by.channel, cx.by.channel)
    days = [cx.by.cross(cx.by.day(), cx.by.month(), cx.by.week(), cx.by.year())]
    with pytest.raises(invalid, match="too many combinations together"):
        events([1]).measure(cx.metrics.Length(), by=days[0])
    assert cx.by.daypart({"a": (time(22, 30), time(6))}) == cx.by.daypart({"a": (22.5, 6)})
