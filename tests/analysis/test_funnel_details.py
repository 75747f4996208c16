"""Strict funnels, and what journeys did instead of the next step, against plain Python."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx

Events = list[tuple[str, int]]
JOURNEYS = st.lists(
    st.lists(st.tuples(st.sampled_from("abcx"), st.integers(0, 3)), min_size=1, max_size=8).map(
        lambda events: [(what, sum(gap for _, gap in events[: i + 1])) for i, (what, _) in enumerate(events)]
    ),
    min_size=1,
    max_size=6,
).map(lambda journeys: [[("a", 0), ("b", 0), ("c", 0)], *journeys])


def read(journeys: list[Events]) -> cx.Journeys:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    log = [
        {"who": str(who), "what": what, "at": start + timedelta(minutes=at), "place": place}
        for who, events in enumerate(journeys)
        for place, (what, at) in enumerate(events)
    ]
    return cx.read_events(log, customer="who", touchpoint="what", time="at", order=["place"])


def arrivals(events: Events, steps: str, within: int | None, strict: bool) -> list[set[int]]:
    """Per step the places at which some passage arrives, by trying all passages."""
    found: list[set[int]] = [set() for _ in steps]

    def follow(step: int, place: int, begun: int) -> None:
        found[step].add(place)
        if step + 1 == len(steps):
            return
        for later in range(place + 1, len(events)):
            late = within is not None and events[later][1] - events[begun][1] > within
            if events[later][0] == steps[step + 1] and not late and (later == place + 1 or not strict):
                follow(step + 1, later, begun)

    for place, (what, _) in enumerate(events):
        if what == steps[0]:
            follow(0, place, place)
    return found


@given(JOURNEYS, st.sampled_from(["abc", "ab", "aab", "aba"]), st.none() | st.integers(1, 4), st.booleans())
def test_drop_offs_are_what_followed_the_last_arrival(
    journeys: list[Events], steps: str, within: int | None, strict: bool
) -> None:
    limit = None if within is None else timedelta(minutes=within)
    detail = read(journeys).measure(cx.metrics.FunnelDetail(list(steps), within=limit, strict=strict))
    found = [arrivals(events, steps, within, strict) for events in journeys]
    reached = [sum(bool(each[step]) for each in found) for step in range(len(steps))]
    assert [step.reached for step in detail.funnel.steps] == reached
    assert detail.funnel == read(journeys).funnel(list(steps), within=limit, strict=strict)
    for step, drop in enumerate(detail.drop_offs):
        followed = (
            events[max(each[step]) + 1][0] if max(each[step]) + 1 < len(events) else "left"
            for events, each in zip(journeys, found, strict=True)
            if each[step] and not each[step + 1]
        )
        expected = Counter("too late" if name == steps[step + 1] else name for name in followed)
        assert limit is not None or not expected["too late"]
        assert {each.label: each.count for each in drop.instead} == expected
        assert drop.lost == drop.reached - reached[step + 1] == expected.total()
        assert all(each.share.value == pytest.approx(each.count / drop.lost) for each in drop.instead)


def test_journeys_in_progress_have_not_left() -> None:
    journeys = read([[("a", 0)], [("a", 90), ("x", 91)], [("a", 95)], [("a", 0), ("b", 100)]])
    detail = journeys.with_inactivity(timedelta(minutes=30)).measure(cx.metrics.FunnelDetail(["a", "b"]))
    assert {each.label: each.count for each in detail.drop_offs[0].instead} == {"left": 1, "still open": 1, "x": 1}
    assert str(detail).splitlines()[:2] == ["4 journeys", "  a: 4 reached, 3 lost"]
    assert detail.to_dict()["funnel"] == detail.funnel.to_dict()


def test_the_next_step_after_the_limit_is_too_late_and_not_done_instead() -> None:
    journeys = read([[("cart", 0), ("pay", 10)], [("cart", 0), ("help", 1), ("pay", 10)], [("cart", 0), ("pay", 2)]])
    detail = journeys.measure(cx.metrics.FunnelDetail(["cart", "pay"], within=timedelta(minutes=5)))
    (drop,) = detail.drop_offs
    assert {each.label: each.count for each in drop.instead} == {"help": 1, "too late": 1}
    assert [each.to_dict()["too_late"] for each in drop.instead] == [each.too_late for each in drop.instead]


def test_shares_say_that_they_are_not_resampled_and_what_no_rule_told() -> None:
    journeys = read([[("a", 0), ("b", 100)], [("a", 0)], [("a", 99), ("c", 100)]])
    detail = journeys.measure(cx.metrics.FunnelDetail(["a", "c"]), bootstrap=50).drop_offs[0].instead
    goal = journeys.measure(cx.metrics.GoalPaths("c"), bootstrap=50)
    ends = journeys.measure(cx.metrics.Ends(), bootstrap=50)
    follows = journeys.measure(cx.metrics.EventuallyFollows(), bootstrap=50)
    shares = [*(each.share for each in detail), *(each.share for each in (*ends.entries, *ends.exits))]
    shares += [goal["a"].share, goal["b"].share, follows.share("a", "b"), follows.share("c", "a")]
    for share in shares:
        assert share.interval is not None
        assert share.interval.method.endswith("not resampled")
    assert {each.label: "open_unknown" in each.share.flags for each in detail} == {"b": False, "left": True}
    declared = journeys.with_inactivity(timedelta(minutes=5))
    found = declared.measure(cx.metrics.FunnelDetail(["a", "c"])).drop_offs[0].instead
    assert not any("open_unknown" in each.share.flags for each in found)


def test_groups_have_their_own_details() -> None:
    journeys = read([[("a", 0), ("x", 1)], [("a", 0), ("b", 1)], [("a", 0)]])
    groups = journeys.measure(cx.metrics.FunnelDetail(["a", "b"]), by=cx.by.pattern({"with x": "x", "without": "a"}))
    assert {name: table.drop_offs[0].lost for name, table in groups.items()} == {"with x": 1, "without": 1}


def test_a_strict_funnel_says_so() -> None:
    journeys = read([[("a", 0), ("x", 1), ("b", 2)], [("a", 0), ("b", 1)]])
    loose, strict = journeys.funnel(["a", "b"]), journeys.funnel(["a", "b"], strict=True)
    assert [table.steps[1].reached for table in (loose, strict)] == [2, 1]
    assert str(strict).startswith("2 journeys, steps directly one after another")
    assert (strict.to_dict()["strict"], "strict" in loose.to_dict()) == (True, False)
