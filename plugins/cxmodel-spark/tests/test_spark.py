"""Spark gives what memory gives: counts exactly, floats to 1e-12, and no event comes to the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from attrs import NOTHING, fields, has
from cxmodel_example import AnswerWait
from cxmodel_spark import SparkPopulation
from cxmodel_spark.partitions import bits_for, parts_of

import cxmodel as cx
from cxmodel import errors
from cxmodel.analysis.episodes import Recovery
from cxmodel.analysis.paths import Paths
from cxmodel.analysis.pattern_language import as_pattern
from cxmodel.analysis.transitions import Transitions
from cxmodel.metrics.builtin import cxmodel_metrics
from cxmodel.tallies.metrics import Tally

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

START = datetime(2026, 3, 1, tzinfo=UTC)
ROLES: Mapping[str, Any] = {
    "customer": "who", "journey": "visit", "touchpoint": "what", "time": "at", "channel": "channel",
    "stage": "stage", "value": "value", "attributes": ["persona", "age"], "currency": "EUR",
}  # fmt: skip
BUY = cx.Goal("buy", touchpoints=["pay"])
OPTIONS: Mapping[str, Any] = {
    "goal": BUY, "outcome": BUY, "first": "before", "second": "after",
    "steps": ["ad", "cart", BUY], "pattern": as_pattern("cart -> pay"),
    "within": timedelta(days=2), "every": timedelta(days=1),
    "online": {"web": True, "shop": False}, "recovery": Recovery(failed=["help"], resolved=["agent reply"]),
}  # fmt: skip


def built_in() -> list[Any]:
    """Every built-in metric, given the options that it cannot do without."""
    classes: list[type[Any]] = list(cxmodel_metrics())
    needed = ([each.name for each in fields(class_) if each.default is NOTHING] for class_ in classes)
    return [class_(**{name: OPTIONS[name] for name in names}) for class_, names in zip(classes, needed, strict=True)]


def rows() -> pd.DataFrame:
    """4,000 events of 300 customers, one of whom has a quarter of them, with two faults and in no order."""
    draw = np.random.default_rng(7)
    count = 4_000
    who = np.where(draw.random(count) < 0.25, 0, draw.integers(0, 300, count))
    what = np.array(["ad", "cart", "help", "pay", "question", "agent reply"])[draw.integers(0, 6, count)]
    at = START + pd.to_timedelta(draw.permutation(count * 97)[:count] * 1_000_003, unit="us")
    frame = pd.DataFrame({
        "who": np.array([f"customer-{i}" for i in range(300)])[who],
        "visit": draw.integers(0, 3, count).astype(str),
        "what": what, "at": at, "channel": np.array(["web", "shop", None])[draw.integers(0, 3, count)],
        "stage": np.where(np.isin(what, ["ad", "question"]), "before", "during"),
        "value": np.where(what == "pay", draw.integers(1, 100, count) / 7, np.nan),
        "persona": np.array(["new", "loyal", "lost"])[who % 3], "age": 20.0 + who % 50,
    })  # fmt: skip
    frame.loc[5, "who"] = None
    frame.loc[6, "what"] = "  "
    return frame


@pytest.fixture(scope="module")
def told() -> pd.DataFrame:
    return rows()


@pytest.fixture(scope="module")
def frame(spark: SparkSession, told: pd.DataFrame) -> DataFrame:
    """The rows in eight pieces, shuffled."""
    return spark.createDataFrame(told.sample(frac=1, random_state=3)).repartition(8).cache()


@pytest.fixture(scope="module")
def far(frame: DataFrame) -> cx.Journeys:
    return cx.read_events(frame, **ROLES)


@pytest.fixture(scope="module")
def near(told: pd.DataFrame) -> cx.Journeys:
    return cx.read_events(told, **ROLES)


def same(a: object, b: object, at: str = "") -> None:
    """Equal: counts and texts exactly, floats to 1e-12; not what results remember of their run."""
    if isinstance(a, float) and isinstance(b, float):
        assert a == pytest.approx(b, rel=_near(at), abs=_near(at), nan_ok=True), at
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=_near(at), atol=_near(at), err_msg=at)
        else:
            np.testing.assert_array_equal(a, b, at)
    elif isinstance(a, (list, tuple)) and isinstance(b, (list, tuple)):
        assert len(a) == len(b), at
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            same(one, other, f"{at}[{i}]")
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        assert list(a) == list(b), at
        for key in a:
            same(a[key], b[key], f"{at}[{key!r}]")
    elif has(kind := type(a)):
        assert type(b) is kind, at
        for each in fields(kind):
            if each.name not in {"dependence", "cells", "_bounds", "spells"}:
                same(getattr(a, each.name), getattr(b, each.name), f"{at}.{each.name}")
    else:
        assert a == b, at


def _near(at: str) -> float:
    # spreads are small differences of large sums of squares: rounding in another order shows four digits earlier
    return 1e-8 if ".n_eff" in at or ".interval" in at else 1e-12


def comparable(result: Any) -> object:
    """A graph as its nodes, edges and totals; everything else as it is."""
    if isinstance(result, cx.JourneyGraph):
        return dict(result.nodes(data=True)), {edge[:2]: edge[2] for edge in result.edges(data=True)}
    return result


def test_the_readings_agree(far: cx.Journeys, near: cx.Journeys) -> None:
    assert isinstance(far.population, SparkPopulation)
    assert far.facts == near.facts
    assert far.population.origin == near.population.origin
    assert (far.reading.rows, far.reading.kept) == (near.reading.rows, near.reading.kept)
    assert {k: c.count for k, c in far.reading.rejected.items()} == {
        k: c.count for k, c in near.reading.rejected.items()
    }
    assert far.reading.notes == near.reading.notes


def test_every_metric_agrees(far: cx.Journeys, near: cx.Journeys) -> None:
    asked = [metric for metric in built_in() if isinstance(metric, Tally) and metric.missing(near.facts) is None]
    metrics = (*asked, AnswerWait(asks=["question"], replies=["agent reply"]))
    assert len(metrics) > 24
    for metric, there, here in zip(metrics, far.measure(*metrics), near.measure(*metrics), strict=True):
        same(comparable(there), comparable(here), metric.name)


STEPS: Mapping[str, Callable[[cx.Journeys], cx.Journeys]] = {
    "cut": lambda journeys: journeys.between(START, START + timedelta(days=3)).split(gap=timedelta(hours=8), at=BUY),
    "drop": lambda journeys: journeys.where(persona=["new", "lost"], passes="cart").events_where(channel="web"),
    "draw": lambda journeys: journeys.with_touchpoints({"ad": {"department": "sales"}})
    .where(department="sales").with_inactivity(timedelta(days=1)).sample(0.4, seed=2).merge_repeats(),
}  # fmt: skip


@pytest.mark.parametrize("name", STEPS)
def test_steps_are_carried_out_in_the_partitions(far: cx.Journeys, near: cx.Journeys, name: str) -> None:
    there, here = STEPS[name](far), STEPS[name](near)
    assert there.facts == here.facts
    assert there.population.origin == here.population.origin
    assert there.reading.notes == here.reading.notes
    metrics = (cx.metrics.Length(), Transitions(), Paths(), cx.metrics.ConversionRate(goal=BUY))
    same(there.measure(*metrics), here.measure(*metrics), name)


BY = ("channel", cx.by.attribute("persona"), (cx.by.bins("age", [20, 30, 50, 80]), cx.by.day(tz="Asia/Tokyo")))


@pytest.mark.parametrize("by", BY, ids=["column", "attribute", "pair"])
def test_groups_agree(far: cx.Journeys, near: cx.Journeys, by: Any) -> None:
    metrics = (cx.metrics.Length(), cx.metrics.Duration(), cx.metrics.ConversionRate(goal=BUY), Paths())
    same(far.measure(*metrics, by=by), near.measure(*metrics, by=by))


def test_replicates_draw_the_same_customers(far: cx.Journeys, near: cx.Journeys) -> None:
    metric = cx.metrics.MarkovCredit(goal=BUY)
    same(far.measure(metric, bootstrap=50, seed=4), near.measure(metric, bootstrap=50, seed=4))


def test_verbs_agree(far: cx.Journeys, near: cx.Journeys) -> None:
    steps = ["ad", "cart", BUY]
    same(far.funnel(steps), near.funnel(steps))
    same(far.paths().top(10), near.paths().top(10))
    same(comparable(far.graph()), comparable(near.graph()))


def test_only_states_reach_the_driver(frame: DataFrame, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, collected = type(frame), []
    collect = kind.collect

    def watched(self: Any) -> Any:
        collected.append([(each.name, each.dataType.simpleString()) for each in self.schema.fields])
        return collect(self)

    def refused(*_: object, **__: object) -> Any:
        raise AssertionError("rows were brought to the driver")

    for name in ("toPandas", "toArrow", "toLocalIterator", "take", "head", "first", "tail", "__arrow_c_stream__"):
        monkeypatch.setattr(kind, name, refused)
    monkeypatch.setattr(kind, "collect", watched)
    far = cx.read_events(frame, **ROLES).split(gap=timedelta(hours=8))
    far.graph()
    far.measure(cx.metrics.Length(), by="channel")
    assert len(collected) >= 4
    assert all(each == [("part", "int"), ("state", "binary")] for each in collected)


def test_partitions_hold_whole_customers_and_one_is_skewed(told: pd.DataFrame) -> None:
    import pyarrow as pa

    parts = parts_of(pa.array(told["who"]), bits_for(len(told)))
    assert set(parts.tolist()) == set(range(8))
    assert pd.Series(parts).groupby(told["who"]).nunique().eq(1).all()
    sizes = np.bincount(parts)
    assert sizes.max() > 2 * np.median(sizes)
    sliced = parts_of(pa.array(told["who"])[17:], bits_for(len(told)))
    np.testing.assert_array_equal(sliced, parts[17:])
    assert (bits_for(10**6), bits_for(10**9)) == (3, 11)


def test_ties_are_broken_by_name_and_counted(spark: SparkSession) -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    same_time = spark.createDataFrame([(7, "b", at), (7, "a", at), (8, "a", at)], "who long, what string, at timestamp")
    far = cx.read_events(same_time, customer="who", touchpoint="what", time="at")
    assert [path.touchpoints for path in far.paths().top(2)] == [("a",), ("a", "b")]
    assert "1 events have the time of the one before; the touchpoint's name decides" in far.reading.notes


def test_wall_clocks_take_the_zone(spark: SparkSession) -> None:
    wall = [(7, "a", datetime(2026, 3, 29, 2, 30)), (7, "b", datetime(2026, 3, 29, 4, 0))]  # noqa: DTZ001
    naive = spark.createDataFrame(wall, "who long, what string, at timestamp_ntz")
    far = cx.read_events(naive, customer="who", touchpoint="what", time="at", tz="Europe/Berlin")
    near = cx.read_events(pd.DataFrame(wall, columns=["who", "what", "at"]), customer="who", touchpoint="what",
                          time="at", tz="Europe/Berlin")  # fmt: skip
    assert far.facts == near.facts
    assert far.reading.notes == near.reading.notes


def test_what_cannot_be_is_said_in_words(spark: SparkSession, far: cx.Journeys, near: cx.Journeys) -> None:
    texts = spark.createDataFrame([("a", "b", "2026-01-01")], "who string, what string, at string")
    with pytest.raises(errors.InvalidValueError, match="'at' is a string; a Spark frame says its times as timestamps"):
        cx.read_events(texts, customer="who", touchpoint="what", time="at")
    with pytest.raises(errors.UnknownColumnError, match="whom"):
        cx.read_events(texts, customer="whom", touchpoint="what", time="at")
    empty = spark.createDataFrame([(None, "b", START)], "who string, what string, at timestamp")
    with pytest.raises(errors.NoRowsError, match="no event could be kept"):
        cx.read_events(empty, customer="who", touchpoint="what", time="at")
    with pytest.raises(errors.NotMeasurableError, match="save needs the journeys in memory"):
        far.save("nowhere")
    with pytest.raises(errors.NotMeasurableError, match="these stay on Spark"):
        len(far.population.parts)
