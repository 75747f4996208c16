"""A user's program: every type that cxmodel promises, as a type checker and the running program see it."""

from datetime import date
from typing import Any, assert_type

from cxmodel_example import AnswerWait, EdgeCsv

import cxmodel as cx
from cxmodel.analysis.funnels import FunnelTable
from cxmodel.analysis.paths import PathTable
from cxmodel.analysis.transitions import TransitionTable
from cxmodel.plugins import By, Metric

ROWS = [
    {
        "who": "ann",
        "what": "question",
        "at": "2026-01-01 10:00",
        "via": "chat",
        "team": "north",
        "nr": 1,
        "dep": "sales",
    },
    {
        "who": "ann",
        "what": "agent reply",
        "at": "2026-01-01 10:12",
        "via": "chat",
        "team": "north",
        "nr": 2,
        "dep": "help",
    },
]
journeys = cx.read_events(
    ROWS,
    customer="who",
    touchpoint="what",
    time="at",
    channel="via",
    department="dep",
    attributes=["team", "nr"],
    order=["nr"],
)
goal = cx.Goal("answered", touchpoints=["agent reply"])
assert_type(journeys, cx.Journeys)

# one metric: its own result
rate = cx.metrics.ConversionRate(goal=goal)
assert_type(journeys.measure(rate), cx.Estimate)
assert_type(journeys.measure(cx.metrics.Length(), level=0.9, bootstrap=10, seed=1), cx.Estimate)
assert_type(journeys.measure(cx.metrics.Graph()), cx.JourneyGraph)
assert_type(journeys.measure(cx.metrics.Paths()), PathTable)

# by a name: labels are text, transitions are transitions
assert_type(journeys.measure(rate, by="channel"), cx.Breakdown[str, cx.Estimate])
assert_type(journeys.measure(AnswerWait(), by="touchpoint")["question"], cx.Estimate)
assert_type(cx.by.transition, By[cx.Transition])

# by a grouping: the label's type is the grouping's
assert_type(journeys.measure(rate, by=cx.by.month(tz="Europe/Berlin")), cx.Breakdown[date, cx.Estimate])
assert_type(journeys.measure(rate, by=cx.by.attribute("team")), cx.Breakdown[str, cx.Estimate])
assert_type(
    journeys.measure(rate, by=(cx.by.channel, cx.by.daypart(), cx.by.month())),
    cx.Breakdown[tuple[str, str, date], cx.Estimate],
)
assert_type(
    journeys.measure(rate, by=("channel", "department", "touchpoint")), cx.Breakdown[tuple[str, str, str], cx.Estimate]
)
assert_type(journeys.measure(rate, by=cx.by.bins("nr", [0, 5])), cx.Breakdown[str, cx.Estimate])

# pairs: labels are pairs
both = journeys.measure(rate, by=(cx.by.channel, cx.by.month()))
assert_type(both, cx.Breakdown[tuple[str, date], cx.Estimate])
assert_type(journeys.measure(rate, by=("channel", "touchpoint")), cx.Breakdown[tuple[str, str], cx.Estimate])

# several metrics: a tuple of their results
assert_type(journeys.measure(rate, cx.metrics.Graph()), tuple[cx.Estimate, cx.JourneyGraph])
assert_type(
    journeys.measure(rate, cx.metrics.Length(), by="channel"),
    tuple[cx.Breakdown[str, cx.Estimate], cx.Breakdown[str, cx.Estimate]],
)
assert_type(
    journeys.measure(rate, cx.metrics.Length(), by=cx.by.month()),
    tuple[cx.Breakdown[date, cx.Estimate], cx.Breakdown[date, cx.Estimate]],
)
assert_type(journeys.measure(rate, cx.metrics.Paths(), cx.metrics.Length()), tuple[cx.Estimate, PathTable, cx.Estimate])
length = cx.metrics.Length()
assert_type(
    journeys.measure(rate, length, cx.metrics.Paths(), length),
    tuple[cx.Estimate, cx.Estimate, PathTable, cx.Estimate],
)
assert_type(journeys.measure(rate, length, rate, length, rate), tuple[object, ...])

# by name: for notebooks and the command line, untyped
assert_type(journeys.measure("length", by="channel", level=0.9), Any)

# shorthands
assert_type(journeys.graph(), cx.JourneyGraph)
assert_type(journeys.paths(), PathTable)
assert_type(journeys.transitions(), TransitionTable)
assert_type(journeys.funnel(["question", goal]), FunnelTable)

# a plugin's metric is typed like a built-in one
assert_type(journeys.measure(AnswerWait(asks=["question"]), by="channel"), cx.Breakdown[str, cx.Estimate])
assert_type(journeys.measure(AnswerWait(), cx.metrics.Graph()), tuple[cx.Estimate, cx.JourneyGraph])
assert_type(EdgeCsv(separator=";").write(journeys.graph(), ".edges.csv"), bytes)


# live: the results of what was asked for
live = cx.Live(journeys, rate)
assert_type(live, cx.Live[cx.Estimate])
assert_type(live.append(ROWS[0]).results, cx.Estimate)
assert_type(cx.Live(journeys, cx.metrics.Graph(), cx.metrics.Paths()).now.results, tuple[cx.JourneyGraph, PathTable])
assert_type(cx.Live(journeys, rate, by="channel").now.results, cx.Breakdown[str, cx.Estimate])
assert_type(cx.Live(journeys, rate, by=cx.by.month()).now.results, cx.Breakdown[date, cx.Estimate])

# a value may be missing: it is checked, or required
wait = journeys.measure(AnswerWait())
assert_type(wait.value, float | None)
assert wait.value is not None
assert_type(wait.value, float)
assert_type(wait.require(), float)
assert wait.require() < 60


def names(metrics: list[Metric[object]]) -> list[str]:
    """Metrics of different results stand in one list: the type parameter is covariant."""
    return [metric.name for metric in metrics]


assert names([rate, AnswerWait(), cx.metrics.Paths()]) == ["conversion_rate", "answer_wait", "paths"]
