"""A limit of memory changes no answer: blocks on disk, steps that wait, states in files, and small windows of waits."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import read, whole

import cxmodel as cx
from cxmodel.analysis import paths, transition_waits
from cxmodel.data import temporary
from cxmodel.data.parts import StoredParts
from cxmodel.model.breakdowns import Breakdown
from cxmodel.tallies.metrics import Metric
from cxmodel.testing import Row, logs

m = cx.metrics
GOAL = cx.Goal("goal", touchpoints=["p000"])
MINUTE = timedelta(minutes=1)
MIDDLE = datetime(2026, 1, 1, 0, 20, tzinfo=UTC)

TALLIES: dict[str, Metric[Any]] = {
    each.name: each
    for each in (
        m.Grams(2),
        m.Ends(),
        m.EventuallyFollows(),
        m.Loops(),
        m.LengthDistribution(),
        m.DurationDistribution(),
        m.FunnelDetail([GOAL, "p001"], within=5 * MINUTE),
        m.GoalPaths(GOAL),
        m.PathChain(goal=GOAL),
        m.PatternShare("p000 => p001"),
        m.PatternMatches("p000 -> p001"),
        m.RemovalEffects(goal=GOAL),
        m.OrderedShapleyCredit(goal=GOAL),
        m.RateShapley(goal=GOAL),
        m.Paths(),
        m.Graph(),
        m.Transitions(),
    )
}

STEPS: dict[str, Callable[[cx.Journeys], cx.Journeys]] = {
    "split": lambda j: j.split(gap=3 * MINUTE, at=GOAL),
    "where": lambda j: j.where(touchpoint="p001"),
    "events": lambda j: j.events_where(touchpoint=["p000", "p001"]),
    "window": lambda j: j.between(MIDDLE - 10 * MINUTE, MIDDLE),
    "repeats": lambda j: j.merge_repeats(),
    "open": lambda j: j.with_inactivity(5 * MINUTE),
    "sample": lambda j: j.sample(0.6, seed=1),
    "rare": lambda j: j.fold_rare(keep=2, into="other"),
    "described": lambda j: j.with_touchpoints({"p000": {"stage": "end"}, "p001": {"stage": "start"}}),
}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of a few events, every state in files, two waits or codes at a time, unions after two parts."""
    monkeypatch.setattr(temporary, "_FEWEST", 4)
    monkeypatch.setattr(temporary, "_SMALL", 1)
    monkeypatch.setattr(transition_waits, "_AT_ONCE", 2)
    monkeypatch.setattr(paths, "_AT_ONCE", 2)
    monkeypatch.setattr(paths, "_FEW", 2)


def answers(journeys: cx.Journeys) -> list[Any]:
    """Everything that is exact."""
    if not journeys.facts.events:
        # the notes tell of the limit, which one of the two does not have
        return [journeys.reading.rows, journeys.reading.kept, journeys.reading.rejected, journeys.facts]
    graph, table = journeys.measure(m.Graph(), m.Paths())
    return [
        journeys.facts, journeys.population.origin, graph.to_dict(), table.to_dict(),
        whole(journeys), journeys.transitions().to_records(),
    ]  # fmt: skip


def credit(journeys: cx.Journeys) -> list[dict[str, object]]:
    """Sums of fractions: equal but for the last digits."""
    return [
        {key: pytest.approx(value, nan_ok=True) if isinstance(value, float) else value for key, value in row.items()}
        for row in journeys.measure(m.Credits(goal=GOAL)).to_records()
    ]


@given(rows=logs(customers=9, most=60), chosen=st.lists(st.sampled_from(sorted(STEPS)), max_size=3, unique=True))
def test_the_same_answers_within_any_limit(rows: list[Row], chosen: list[str]) -> None:
    inside, free = read(rows, memory_limit="200B"), read(rows)
    if len(rows) >= 8:
        assert isinstance(inside.population.parts, StoredParts)
    for name in chosen:
        if "p000" in free.facts.known_touchpoints and "p001" in free.facts.known_touchpoints:
            inside, free = STEPS[name](inside), STEPS[name](free)
    assert answers(inside) == answers(free)
    if free.facts.events and "p000" in free.facts.known_touchpoints:
        assert inside.measure(m.Credits(goal=GOAL)).to_records() == credit(free)
        steps = [GOAL, GOAL]
        assert inside.funnel(steps, within=5 * MINUTE).to_dict() == free.funnel(steps, within=5 * MINUTE).to_dict()


def told(result: Any) -> Any:
    """A result as in JSON; sums of fractions are equal but for the last digits."""
    if isinstance(result, Breakdown):
        return {key: told(each) for key, each in result.items()}, told(result.unassigned)
    if isinstance(result, float):
        return pytest.approx(result, nan_ok=True)
    if isinstance(result, (dict, list, tuple)):
        return {k: told(v) for k, v in result.items()} if isinstance(result, dict) else [told(each) for each in result]
    if hasattr(result, "to_dict"):
        return told(result.to_dict())
    return told(result.to_records()) if hasattr(result, "to_records") else result


@settings(max_examples=15)
@given(rows=logs(customers=9, most=60), name=st.sampled_from(sorted(TALLIES)), grouped=st.booleans())
def test_the_same_paths_within_any_limit(rows: list[Row], name: str, grouped: bool) -> None:
    inside, free = (read(rows, channel="channel", memory_limit=limit) for limit in ("200B", None))
    if not {"p000", "p001"} <= set(free.facts.known_touchpoints):
        return
    metric = TALLIES[name]
    if grouped:
        assert told(inside.measure(metric, by="channel")) == told(free.measure(metric, by="channel"))
    assert told(inside.measure(metric)) == told(free.measure(metric))


@settings(max_examples=15)
@given(rows=logs(customers=9, most=60), name=st.sampled_from(["grams", "goal_paths", "paths", "graph", "transitions"]))
def test_groups_of_paths_are_those_of_the_journeys_in_them(rows: list[Row], name: str) -> None:
    journeys = read(rows, channel="channel")
    if "p000" not in journeys.facts.known_touchpoints:
        return
    for channel, found in journeys.measure(TALLIES[name], by="channel").items():
        assert told(found) == told(journeys.where(channel=channel).measure(TALLIES[name]))
