"""Options of path analyses: what they cannot be is refused in this library's words, before anything is read."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import cxmodel as cx

LOG = [{"who": "a", "what": what, "at": f"2026-01-01T00:0{i}"} for i, what in enumerate(("s", "x", "g", "s", "g"))]
untyped: Any = cx  # what type checkers would refuse
METRICS: Any = cx.metrics

REFUSED: dict[str, tuple[Callable[[], object], str]] = {
    "an order in quotes": (lambda: METRICS.Grams("2"), "order is a whole number from 1 to 8, got '2'"),
    "half an order": (lambda: METRICS.Grams(2.5), "from 1 to 8, got 2.5"),
    "a true order": (lambda: METRICS.Grams(True), "from 1 to 8, got True"),
    "too long a run": (lambda: METRICS.Grams(9), "from 1 to 8, got 9"),
    "paths in words": (lambda: METRICS.PathChain(goal="g", k="x"), "k is a whole number of at least 0, got 'x'"),
    "no cap": (lambda: METRICS.GoalPaths("g", cap=0), "cap is a whole number of at least 1, got 0"),
    "a touchpoint's number": (lambda: METRICS.GoalPaths("g", touchpoint=4), "touchpoint is the name of a touchpoint"),
    "a source's number": (lambda: METRICS.EventuallyFollows(source=404), "source is the name of a touchpoint, got 404"),
    "a pattern's number": (lambda: METRICS.PatternShare(5), "a pattern is a text, got 5"),
    "an unknown method": (lambda: METRICS.PatternShare("s", method="x"), "method is one of 'wilson, design effect'"),
    "edges in letters": (lambda: METRICS.LengthDistribution(edges="abc"), "ascending numbers, got 'abc'"),
    "edges that are no numbers": (lambda: METRICS.LengthDistribution(edges=["a", 1]), "numbers, got ['a', 1]"),
    "edges that fall": (lambda: METRICS.LengthDistribution(edges=[2, 1]), "ascending numbers, got [2, 1]"),
    "a duration in words": (lambda: METRICS.Funnel(["s", "g"], within="1h"), "within is a positive duration, got '1h'"),
    "a strictness in words": (lambda: METRICS.Funnel(["s", "g"], strict="no"), "strict is True or False, got 'no'"),
    "a detail's strictness": (lambda: METRICS.FunnelDetail(["s", "g"], strict="false"), "strict is True or False"),
    "a detail's duration": (lambda: METRICS.FunnelDetail(["s", "g"], within=timedelta(0)), "within is a positive"),
    "a pattern without a label": (lambda: untyped.by.pattern("s -> g"), "by.pattern takes labels with their patterns"),
    "minus one transition": (lambda: METRICS.Graph(max_edges=-1), "max_edges is a whole number of at least 0, got -1"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_an_option_that_cannot_be_is_refused(case: str) -> None:
    made, words = REFUSED[case]
    with pytest.raises(cx.errors.InvalidValueError) as refused:
        made()
    assert words in str(refused.value)


def journeys() -> Any:
    return cx.read_events(LOG, customer="who", touchpoint="what", time="at")


HELD: dict[str, tuple[Callable[[], object], str]] = {
    "a pattern's number": (lambda: journeys().where(matches=5), "a pattern is a text, got 5"),
    "a gap's number": (lambda: journeys().split(gap=5), "the gap is a duration of 0 or more, got 5"),
    "an inactivity's number": (lambda: journeys().with_inactivity(5), "the limit is a positive duration, got 5"),
    "fewer than no edges": (
        lambda: journeys().graph(max_edges=-1),
        "max_edges is a whole number of at least 0, got -1",
    ),
    "a path in letters": (lambda: journeys().paths().count_of("shop"), "a path is a list of touchpoints, got the text"),
    "one rule": (
        lambda: untyped.read_events(
            LOG, customer="who", touchpoint="what", time="at", rules=cx.Rule.exact("s", to="start")
        ),
        "rules takes a list of rules, got Rule(",
    ),
}


@pytest.mark.parametrize("case", HELD)
def test_a_verb_refuses_what_cannot_be(case: str) -> None:
    asked, words = HELD[case]
    with pytest.raises(cx.errors.InvalidValueError) as refused:
        asked()
    assert words in str(refused.value)


@pytest.mark.parametrize("text", ["(" * 3000 + "s" + ")" * 3000, "!" * 3000 + "s", "s" + "+" * 3000])
def test_a_pattern_too_deep_is_refused(text: str) -> None:
    with pytest.raises(cx.errors.InvalidValueError, match="nested more than 100 deep"):
        cx.metrics.PatternShare(text)


def test_repetitions_of_repetitions_are_limited() -> None:
    with pytest.raises(cx.errors.InvalidValueError, match="written out, this pattern has 1,048,576 steps"):
        cx.metrics.PatternShare("s" + "+" * 20)


def test_a_deep_pattern_is_read() -> None:
    text = "(" * 60 + "s" + ")" * 60 + " -> x" + "+" * 5
    assert journeys().measure(cx.metrics.PatternShare(text)).value == 1.0
