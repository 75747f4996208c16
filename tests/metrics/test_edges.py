"""Every registered metric at the edges: nothing, one journey, all equal, all missing. See docs/methods/edge-cases."""

from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Literal

import pytest
from attrs import NOTHING, evolve, fields

import cxmodel as cx
from cxmodel.analysis.episodes import Recovery
from cxmodel.analysis.pattern_language import as_pattern
from cxmodel.exporters.json import dumps
from cxmodel.metrics.builtin import cxmodel_metrics

Case = Literal["empty", "one", "equal", "missing"]
GOAL = cx.Goal("there", touchpoints=["b"])
OPTIONS: Mapping[str, Any] = {
    "goal": GOAL, "outcome": GOAL, "first": "score", "second": "score", "steps": ["a", GOAL],
    "pattern": as_pattern("a => b"), "online": {"web": True, "shop": False},
    "recovery": Recovery(failed=["a"], resolved=["b"]), "within": timedelta(days=2), "every": timedelta(days=1),
    "ignored": ("a",),
}  # fmt: skip
SCALES: Mapping[str, cx.Scale] = {
    "nps": cx.Scale.nps(), "nps_change": cx.Scale.nps(), "ces1": cx.Scale.ces1(), "ces2": cx.Scale.ces2(),
    "ces2_net": cx.Scale.ces2(), "ces2_top": cx.Scale.ces2(), "net_sentiment": cx.Scale.emotion(),
    "mean_emotion": cx.Scale.emotion(), "top_box": cx.Scale.own(1, 5, satisfied=4),
}  # fmt: skip
METRICS: list[type[Any]] = list(cxmodel_metrics())


@cache
def log(case: Case, scale: cx.Scale) -> cx.Journeys:
    """Journeys a → b that are all alike; without anything optional where all is missing."""
    told = case != "missing"
    rows = [
        {
            "who": f"c{c}", "what": what, "at": f"2026-01-0{day}", "channel": channel if told else None,
            "unit": "sales" if told else None, "person": "p" if told else None, "stage": "s" if told else None,
            "score": scale.high,
        }
        for c in range(1 if case == "one" else 30)
        for what, day, channel in (("a", 1, "web"), ("b", 2, "shop"))
    ]  # fmt: skip
    about: dict[str, Any] = {"customer": "who", "touchpoint": "what", "time": "at"}
    read = cx.read_events(rows, channel="channel", department="unit", contact="person", stage="stage", **about)
    if told:
        read = read.with_touchpoints({name: {"kind": "communication", "initiator": "organisation"} for name in "ab"})
        scored = rows[:1] if case == "one" else rows
        read = read.with_responses(cx.read_responses(scored, questions={"score": cx.Question(scale)}, **about))
    return read.sample(1e-12) if case == "empty" else read


def measured(class_: type[Any], case: Case) -> Any:
    """The result, or the words of a refusal."""
    names = {each.name for each in fields(class_)}
    options = {each.name: OPTIONS[each.name] for each in fields(class_) if each.default is NOTHING}
    if "min_n" in names and class_.name != "peak_end_weights":
        options["min_n"] = 0
    try:
        return log(case, SCALES.get(class_.name, cx.Scale.csat())).measure(class_(**options))
    except cx.errors.NotMeasurableError as refused:
        return str(refused)


def told(found: Any, class_: type[Any]) -> None:
    """A refusal names the metric; a result goes into JSON, which knows no NaN."""
    if isinstance(found, str):
        assert found.startswith(class_.name)
        return
    assert dumps(found)
    if isinstance(found, cx.Estimate):
        assert (found.value is None) == bool(found.reason)
        if found.value is not None:
            low, high = found.range
            assert low <= found.value <= high


@pytest.mark.parametrize("class_", METRICS, ids=lambda class_: class_.name)
def test_nothing_has_no_value(class_: type[Any]) -> None:
    found = measured(class_, "empty")
    told(found, class_)
    if isinstance(found, cx.Estimate):
        assert (found.value, found.n, found.interval) == (None, 0, None)
        assert "empty" in found.flags


@pytest.mark.parametrize("class_", METRICS, ids=lambda class_: class_.name)
def test_one_journey_is_never_certain(class_: type[Any]) -> None:
    found = measured(class_, "one")
    told(found, class_)
    if isinstance(found, cx.Estimate) and found.value is not None:
        assert "small_n" in found.flags
        assert found.interval is None or found.interval.high > found.interval.low


@pytest.mark.parametrize("class_", METRICS, ids=lambda class_: class_.name)
def test_where_all_are_equal_an_interval_without_width_is_flagged(class_: type[Any]) -> None:
    found = measured(class_, "equal")
    told(found, class_)
    if isinstance(found, cx.Estimate) and found.interval is not None:
        flat = found.interval.high - found.interval.low <= 1e-6 * abs(found.value or 0)
        assert ("degenerate" in found.flags) == flat


@pytest.mark.parametrize("class_", METRICS, ids=lambda class_: class_.name)
def test_what_is_missing_is_said_or_plays_no_part(class_: type[Any]) -> None:
    found = measured(class_, "missing")
    told(found, class_)
    if isinstance(found, cx.Estimate) and found.value is not None and class_.name != "unknown_share":
        other = measured(class_, "equal")
        assert isinstance(other, cx.Estimate)
        assert evolve(found, origin=None, dependence=None) == evolve(other, origin=None, dependence=None)
