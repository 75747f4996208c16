"""Spark gives what memory gives: counts exactly, floats to 1e-12, and no event comes to the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from attrs import NOTHING, evolve, fields, has
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
from cxmodel.model.rules import Unmatched

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

START = datetime(2026, 3, 1, tzinfo=UTC)
ROLES: Mapping[str, Any] = {
    "customer": "who", "journey": "visit", "touchpoint": "what", "time": "at", "channel": "channel",
    "stage": "stage", "contact": "agent", "department": "team", "value": "value",
    "attributes": ["persona", "age"], "currency": "EUR",
}  # fmt: skip
BUY = cx.Goal("buy", touchpoints=["pay"])
OPTIONS: Mapping[str, Any] = {
    "goal": BUY, "outcome": BUY, "first": "before", "second": "after",
    "steps": ["ad", "cart", BUY], "pattern": as_pattern("cart -> pay"),
    "within": timedelta(days=2), "every": timedelta(days=1),
    "ignored": ("ad",),
    "online": {"web": True, "shop": False}, "recovery": Recovery(failed=["help"], resolved=["agent reply"]),
}  # fmt: skip


def built_in() -> list[Any]:
    """Every built-in metric, given the options that it cannot do without."""
    classes: list[type[Any]] = list(cxmodel_metrics())
    needed = ([each.name for each in fields(class_) if each.default is NOTHING] for class_ in classes)
    return [class_(**{name: OPTIONS[name] for name in names}) for class_, names in zip(classes, needed, strict=True)]


def about_one_question(metric: Any, facts: cx.Facts) -> Any:
    """The metric, told about which question where several fit."""
    if "question" not in {each.name for each in fields(type(metric))}:
        return metric
    fitting = (evolve(metric, question=name) for name in (metric.question, *QUESTIONS))
    return next(each for each in fitting if each.missing(facts) is None)


def rows() -> pd.DataFrame:
    """4,000 events of 300 customers, one of whom has a quarter of them, with two faults and in no order."""
    draw = np.random.default_rng(7)
    size = 4_000
    who = np.where(draw.random(size) < 0.25, 0, draw.integers(0, 300, size))
    what = np.array(["ad", "cart", "help", "pay", "question", "agent reply"])[draw.integers(0, 6, size)]
    at = START + pd.to_timedelta(draw.permutation(size * 97)[:size] * 1_000_003, unit="us")
    name, visit = np.array([f"customer-{i}" for i in range(300)])[who], draw.integers(0, 3, size).astype(str)
    frame = pd.DataFrame({
        "who": name, "visit": visit,
        "trip": np.select([visit == "0", visit == "1"], [visit, "1 " + name.astype(object)], "2" + who.astype(str)),
        "what": what, "at": at, "channel": np.array(["web", "shop", None])[draw.integers(0, 3, size)],
        "stage": np.where(np.isin(what, ["ad", "question"]), "before", "during"),
        "agent": draw.choice(["ann", "bob", "", "cleo"], size), "team": draw.choice(["desk", "shop"], size),
        "value": np.where(what == "pay", draw.integers(1, 100, size) / 7, np.nan),
        "persona": np.array(["new", "loyal", "lost"])[who % 3], "age": 20.0 + who % 50,
    })  # fmt: skip
    frame.loc[5, "who"] = None
    frame.loc[6, "what"] = "  "
    return frame


def answers() -> pd.DataFrame:
    """900 answers of customers and strangers: about an event, a journey or nothing, some before all events."""
    draw = np.random.default_rng(11)
    size = 900
    at = START + pd.to_timedelta(draw.integers(-3_600, 5 * 86_400, size) * 1_000_003, unit="us")
    return pd.DataFrame({
        "who": [None if i % 41 == 0 else f"customer-{n}" for i, n in enumerate(draw.integers(0, 320, size))],
        "visit": [[None, None, "0", "1", "9"][n] for n in draw.integers(0, 5, size)],
        "where": [[None, "cart", "help", "nowhere"][n] for n in draw.integers(0, 4, size)],
        "at": pd.Series(at).where(draw.random(size) >= 0.1), "before": draw.integers(0, 11, size),
        "after": draw.integers(0, 11, size), "feeling": draw.integers(1, 6, size),
        "ease": draw.integers(1, 8, size), "effort": draw.integers(1, 6, size),
        "mood": draw.integers(-2, 3, size), "stars": draw.integers(1, 6, size),
        "weight": draw.choice([0.5, 1.0, 2.0], size), "overall": draw.integers(0, 11, size),
    })  # fmt: skip


QUESTIONS: Mapping[str, cx.Question] = {
    "before": cx.Question(cx.Scale.nps()), "after": cx.Question(cx.Scale.nps()),
    "feeling": cx.Question(cx.Scale.csat()),
    "ease": cx.Question(cx.Scale.ces2()), "effort": cx.Question(cx.Scale.ces1()),
    "mood": cx.Question(cx.Scale.emotion()), "stars": cx.Question(cx.Scale.own(1, 5, satisfied=4)),
    "overall": cx.Question(cx.Scale.nps(), kind="relational"),
}  # fmt: skip
CATALOGUE: Mapping[str, Mapping[str, str]] = {
    "ad": {"kind": "communication", "initiator": "organisation"}, "cart": {"kind": "action", "initiator": "customer"},
    "question": {"kind": "communication", "initiator": "customer"}, "help": {"kind": "survey"},
    "agent reply": {"kind": "communication", "initiator": "organisation"},
}  # fmt: skip


def survey(source: Any, **more: Any) -> cx.Responses:
    roles = {"customer": "who", "journey": "visit", "time": "at", "touchpoint": "where", "weight": "weight", **more}
    return cx.read_responses(source, questions=QUESTIONS, **roles)


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


def assert_same(a: object, b: object, at: str = "") -> None:
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
            assert_same(one, other, f"{at}[{i}]")
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        assert list(a) == list(b), at
        for key in a:
            assert_same(a[key], b[key], f"{at}[{key!r}]")
    elif has(kind := type(a)):
        assert type(b) is kind, at
        for each in fields(kind):
            if each.name not in {"dependence", "cells", "_bounds", "spells"}:
                assert_same(getattr(a, each.name), getattr(b, each.name), f"{at}.{each.name}")
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
    """Those of journeys and those of surveys, after two surveys and a cut between them."""
    surveys = survey(answers(), weight=None), survey(answers().sample(200, random_state=1), weight=None)
    day = timedelta(days=1)
    there, here = (
        each.with_touchpoints(CATALOGUE)
        .with_inactivity(day)
        .with_responses(surveys[0], within=day)
        .split(gap=day)
        .with_responses(surveys[1])
        for each in (far, near)
    )
    assert there.attached == here.attached
    asked = [about_one_question(metric, here.facts) for metric in built_in()]
    metrics = (*asked, AnswerWait(asks=["question"], replies=["agent reply"]))
    for metric, a, b in zip(metrics, there.measure(*metrics), here.measure(*metrics), strict=True):
        assert_same(comparable(a), comparable(b), metric.name)


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
    assert_same(there.measure(*metrics), here.measure(*metrics), name)


BY = ("channel", cx.by.attribute("persona"), (cx.by.bins("age", [20, 30, 50, 80]), cx.by.day(tz="Asia/Tokyo")))


@pytest.mark.parametrize("by", BY, ids=["column", "attribute", "pair"])
def test_groups_agree(far: cx.Journeys, near: cx.Journeys, by: Any) -> None:
    metrics = (cx.metrics.Length(), cx.metrics.Duration(), cx.metrics.ConversionRate(goal=BUY), Paths())
    assert_same(far.measure(*metrics, by=by), near.measure(*metrics, by=by))


def test_replicates_draw_the_same_customers(far: cx.Journeys, near: cx.Journeys) -> None:
    metric = cx.metrics.MarkovCredit(goal=BUY)
    assert_same(far.measure(metric, bootstrap=50, seed=4), near.measure(metric, bootstrap=50, seed=4))


def test_verbs_agree(far: cx.Journeys, near: cx.Journeys) -> None:
    steps = ["ad", "cart", BUY]
    assert_same(far.funnel(steps), near.funnel(steps))
    assert_same(far.paths().top(10), near.paths().top(10))
    assert_same(comparable(far.graph()), comparable(near.graph()))


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
    asked = cx.read_events(frame, **ROLES, rules=RULES).with_responses(survey(answers()))
    asked.measure(cx.metrics.Nps(question="before"), by="touchpoint")
    assert len(collected) >= 8
    assert all(each == [("part", "int"), ("state", "binary")] for each in collected)


def test_questions_asked_at_once_are_one_job(spark: SparkSession, frame: DataFrame, far: cx.Journeys) -> None:
    numbers = count()

    def jobs(ask: Callable[[], object]) -> int:
        name = str(next(numbers))
        spark.sparkContext.setJobGroup(name, name)
        ask()
        return len(spark.sparkContext.statusTracker().getJobIdsForGroup(name))

    metrics = (cx.metrics.Length(), cx.metrics.Duration(), cx.metrics.ConversionRate(goal=BUY), Transitions(), Paths())
    split = far.split(gap=timedelta(hours=8))
    assert jobs(lambda: split.facts) == 1
    assert jobs(lambda: split.measure(*metrics)) == 1
    assert jobs(lambda: split.measure(*metrics, by="channel", bootstrap=20)) == 1
    asked: list[cx.Journeys] = []
    known = answers().dropna(subset=["who"])
    assert jobs(lambda: asked.append(far.with_responses(survey(known)))) == 1
    # whose journeys the others name is looked up before
    assert jobs(lambda: far.with_responses(survey(answers()))) == 2
    # attaching has told the facts
    assert jobs(lambda: asked[0].measure(*metrics, cx.metrics.Csat(question="feeling"))) == 1
    assert jobs(lambda: cx.read_events(frame, **ROLES)) == 3


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


def test_what_cannot_be_is_said_in_words(spark: SparkSession, frame: DataFrame, far: cx.Journeys) -> None:
    texts = spark.createDataFrame([("a", "b", "2026-01-01")], "who string, what string, at string")
    with pytest.raises(errors.InvalidValueError, match="'at' is a string; a Spark frame says its times as timestamps"):
        cx.read_events(texts, customer="who", touchpoint="what", time="at")
    with pytest.raises(errors.UnknownColumnError, match="whom"):
        cx.read_events(texts, customer="whom", touchpoint="what", time="at")
    empty = spark.createDataFrame([(None, "b", START)], "who string, what string, at timestamp")
    with pytest.raises(errors.NoRowsError, match="no event could be kept"):
        cx.read_events(empty, customer="who", touchpoint="what", time="at")
    with pytest.raises(errors.NoRowsError, match="no event could be kept"):
        cx.read_events(frame, **ROLES, rules=[cx.Rule.drop("*")])
    with pytest.raises(errors.InvalidValueError, match="neither a customer nor a journey id"):
        far.with_responses(survey(answers(), customer=None, journey=None))
    with pytest.raises(errors.NotMeasurableError, match="save needs the journeys in memory"):
        far.save("nowhere")
    with pytest.raises(errors.NotMeasurableError, match="these stay on Spark"):
        len(far.population.parts)


RULES = (
    cx.Rule.exact("help", to="support"), cx.Rule.regex(r"^agent (?P<what>\w+)$", to="{what}"),
    cx.Rule.glob("c*", to="support"), cx.Rule.drop("ad"), cx.Rule.exact("nothing", to="never"),
)  # fmt: skip


@pytest.mark.parametrize("unmatched", ["keep", "other"])
def test_rules_name_the_same_touchpoints(frame: DataFrame, told: pd.DataFrame, unmatched: Unmatched) -> None:
    there, here = (cx.read_events(log, **ROLES, rules=RULES, unmatched=unmatched) for log in (frame, told))
    assert here.vocabulary_report is not None
    assert here.vocabulary_report.dropped
    assert there.vocabulary_report == here.vocabulary_report
    assert there.reading.notes == here.reading.notes
    assert there.reading.kept == here.reading.kept
    assert {why: each.count for why, each in there.reading.rejected.items()} == {
        why: each.count for why, each in here.reading.rejected.items()
    }
    assert there.facts == here.facts
    assert there.population.origin == here.population.origin
    assert_same(comparable(there.graph()), comparable(here.graph()))


WAYS: Mapping[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "customer": ({"journey": None}, {}),
    "window": ({"journey": None, "touchpoint": None}, {"within": timedelta(hours=6)}),
    "about": ({"touchpoint": None}, {"about": "cart", "within": timedelta(hours=30)}),
    "both": ({}, {}),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_answers_find_the_same_events(far: cx.Journeys, near: cx.Journeys, way: str) -> None:
    roles, options = WAYS[way]
    asked = survey(answers(), **roles)
    there, here = far.with_responses(asked, **options), near.with_responses(asked, **options)
    assert here.attached is not None
    assert there.attached == here.attached
    assert here.attached.at_event
    assert here.attached.unmatched
    assert there.facts == here.facts
    metrics = (cx.metrics.Nps(question="before"), cx.metrics.Csat(question="feeling"))
    assert_same(there.measure(*metrics, by="touchpoint"), here.measure(*metrics, by="touchpoint"))


def test_journeys_of_several_customers_are_refused_across_partitions(
    frame: DataFrame, told: pd.DataFrame
) -> None:  # fmt: skip
    """Answers that carry a journey's id alone: some ids belong to one customer, some to several, some to none."""
    trips = ["0", "1 customer-17", "2242", "1 customer-8", "2x", None] * 150
    asked = survey(answers().assign(trip=trips), customer=None, journey="trip")
    roles = {**ROLES, "journey": "trip"}
    there, here = (cx.read_events(log, **roles).with_responses(asked) for log in (frame, told))
    assert here.attached is not None
    assert here.attached.at_event
    assert list(here.attached.unmatched) == [
        "no id",
        "no journey with this id",
        "several customers share this journey id",
    ]
    assert there.attached == here.attached
    assert_same(there.measure(cx.metrics.Nps(question="before")), here.measure(cx.metrics.Nps(question="before")))


def test_a_survey_may_come_from_spark(spark: SparkSession, far: cx.Journeys) -> None:
    table = answers()
    there, here = (survey(source) for source in (spark.createDataFrame(table).toArrow(), table))
    assert there.reading.kept == here.reading.kept
    assert far.with_responses(there).attached == far.with_responses(here).attached


@pytest.mark.parametrize("kind", ["double", "decimal(12,2)", "date", "boolean"])
def test_ids_of_every_type_meet_their_answers(spark: SparkSession, kind: str) -> None:
    """An id is a text, however Spark keeps it: the partition follows from that text."""
    own = {"date": [f"2026-01-{i:02}" for i in range(1, 13)], "boolean": ["false", "true"]}
    names = own.get(kind, [str(i) for i in range(12)])
    rows = (f"select cast('{name}' as {kind}) as who, 'a' as what, timestamp'2026-01-01' as at" for name in names)
    far = cx.read_events(spark.sql(" union all ".join(rows)), customer="who", touchpoint="what", time="at")
    given = [{"who": name, "score": 9} for name in names]
    asked = far.with_responses(cx.read_responses(given, customer="who", score="score", scale=cx.Scale.nps()))
    assert str(asked.attached) == f"{len(names)} answers: 0 about a touchpoint, {len(names)} about a journey"


# two and two have one hash of the reading engine, or one key by which partitions are told
COLLIDING = (("RkzBZsAr9fo2q0Ic", "8O2FsMJ6k83IO6hh"), ("wzJIgiIR5fbNw02u", "OV5clSDdFf8M6Wme"))


@pytest.mark.parametrize("ids", COLLIDING, ids=["engine", "house"])
def test_ids_that_collide_stay_apart(spark: SparkSession, ids: tuple[str, str]) -> None:
    """Customers who share a key share a partition, and stay two; so do their journeys and touchpoints."""
    table = pd.DataFrame({
        "who": [ids[i % 2] for i in range(12)], "trip": [ids[i // 2 % 2] for i in range(12)],
        "what": [ids[i // 3 % 2] for i in range(12)], "at": [START + timedelta(hours=i) for i in range(12)],
    })  # fmt: skip
    roles: Mapping[str, Any] = {"customer": "who", "journey": "trip", "touchpoint": "what", "time": "at"}
    given = [{"who": who, "trip": trip, "score": 9 * i} for i, who in enumerate(ids) for trip in ids]
    asked = cx.read_responses(given, customer="who", journey="trip", score="score", scale=cx.Scale.nps())
    there, here = (
        cx.read_events(log, **roles).with_responses(asked) for log in (spark.createDataFrame(table), table)
    )  # fmt: skip
    assert (here.facts.customers, here.facts.journeys) == (2, 4)
    assert str(here.attached) == "4 answers: 0 about a touchpoint, 4 about a journey"
    assert (there.facts, there.attached) == (here.facts, here.attached)
    assert there.population.origin == here.population.origin
    assert_same(there.measure(Transitions(), Paths()), here.measure(Transitions(), Paths()), "colliding")
