"""Every verb of `Journeys` gives on Spark what it gives in memory, or refuses in words."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from comparing import BUY, CATALOGUE, ROLES, START, answers, assert_same, comparable, survey, watched

import cxmodel as cx
from cxmodel import errors

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

PEOPLE = pd.DataFrame({
    # some twice, the last of them with other facts; ten strangers, and a row of nobody
    "id": [*(f"customer-{i}" for i in [*range(290), 3, 3, 4, *range(1000, 1010)]), None],
    "segment": [("gold", "tin", None)[i % 3] for i in range(304)], "size": np.arange(304) % 7 * 1.5,
})  # fmt: skip
TRIPS = pd.DataFrame({
    "who": [f"customer-{i}" for i in range(200)], "visit": ["0", "1", "2", "9"] * 50,
    "late": ["no", "yes", "yes", "yes"] * 50,
})  # fmt: skip
SHARED_TRIPS = ["0", "1 customer-17", "2242", "1 customer-8", "2x", None, *(f"1 customer-{i}" for i in range(1, 200))]
DAY = timedelta(days=1)


def stepped(journeys: cx.Journeys) -> object:
    """What a step leaves: facts, notes and paths."""
    return journeys.facts, journeys.population.origin, journeys.reading.notes, journeys.paths().top(30)


def rows_of(table: Any) -> object:
    return sorted(map(str, table.to_records()))


VERBS: Mapping[str, Callable[[cx.Journeys], object]] = {
    "append": lambda journeys: journeys.append(LATER).facts,
    "between": lambda journeys: stepped(journeys.between(START, START + 3 * DAY)),
    "chain_orders": lambda journeys: journeys.chain_orders(BUY),
    "drivers": lambda journeys: journeys.drivers("overall", items=["help: stars", "cart: ease"]),
    "events_where": lambda journeys: stepped(journeys.events_where(channel="web")),
    "fold_rare": lambda journeys: (
        stepped(journeys.fold_rare(keep=3)),
        journeys.fold_rare(keep=3, into="cart").measure(cx.metrics.Nps(question="before"), by="touchpoint"),
        journeys.fold_rare(min_events=1).reading.notes,
    ),
    "funnel": lambda journeys: journeys.funnel(["ad", "cart", BUY], within=DAY),
    "graph": lambda journeys: comparable(journeys.graph()),
    "measure": lambda journeys: journeys.measure("length", by="persona"),
    "merge_repeats": lambda journeys: stepped(journeys.merge_repeats()),
    "outlook": lambda journeys: journeys.outlook(BUY).to_dict(),
    "paths": lambda journeys: journeys.paths().top(10),
    "position": lambda journeys: (
        journeys.position("customer-0", goal=BUY),
        journeys.split(gap=timedelta(hours=8)).with_touchpoints(CATALOGUE).position("customer-17", goal="pay"),
    ),
    "positions": lambda journeys: rows_of(journeys.positions("pay")),
    "priorities": lambda journeys: journeys.priorities("before", outcome=BUY),
    "sample": lambda journeys: stepped(journeys.sample(0.3, seed=5)),
    "split": lambda journeys: stepped(journeys.split(gap=timedelta(hours=8), at=BUY)),
    "transitions": lambda journeys: journeys.transitions(),
    "what_if": lambda journeys: journeys.what_if(BUY),
    "where": lambda journeys: stepped(journeys.where(matches="ad => cart", persona="new")),
    "with_attributes": lambda journeys: stepped(
        journeys.with_attributes(TRIPS, customer="who", journey="visit", columns=["late"]).where(late="yes")
    ),
    "with_customers": lambda journeys: stepped(
        journeys.with_customers(PEOPLE, customer="id", attributes=["segment"]).where(segment="gold")
    ),
    "with_inactivity": lambda journeys: stepped(journeys.with_inactivity(DAY)),
    "with_responses": lambda journeys: journeys.with_responses(survey(answers().head(90))).attached,
    "with_touchpoints": lambda journeys: stepped(journeys.with_touchpoints(CATALOGUE)),
}  # fmt: skip
PLAIN = ("append", "between", "with_customers", "with_attributes", "position", "positions")
LATER = [{"who": "customer-1", "visit": "7", "what": "call", "at": "2026-03-09", "channel": "web", "stage": "x",
          "agent": "ann", "team": "desk", "value": "", "persona": "new"}]  # fmt: skip


def test_every_verb_is_compared_or_refused() -> None:
    verbs = {name for name, each in inspect.getmembers(cx.Journeys, callable) if not name.startswith("_")}
    assert verbs == {*VERBS, "save"}


@pytest.fixture(scope="module")
def asked(far: cx.Journeys, near: cx.Journeys) -> tuple[cx.Journeys, cx.Journeys]:
    answered = survey(answers())
    return far.with_responses(answered), near.with_responses(answered)


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "append"])
def test_verbs_give_what_they_give_in_memory(
    far: cx.Journeys, near: cx.Journeys, asked: tuple[cx.Journeys, cx.Journeys], verb: str
) -> None:
    there, here = (far, near) if verb in PLAIN else asked
    # a regression solves sums of squares, which are rounded in another order
    assert_same(VERBS[verb](there), VERBS[verb](here), "drivers.interval" if verb == "drivers" else verb)


def test_nobody_is_told_with_the_nearest(far: cx.Journeys, near: cx.Journeys) -> None:
    for journeys in (far, near):
        with pytest.raises(errors.UnknownCustomerError, match=r"'customer-1777' among 300\n.*'customer-177'"):
            journeys.position("customer-1777", goal=BUY)
        with pytest.raises(errors.NoRowsError, match="no event is left after channel is nowhere"):
            journeys.where(channel="nowhere").positions(BUY)


# joining

TABLES: Mapping[str, tuple[pd.DataFrame, Mapping[str, Any]]] = {
    "customers": (PEOPLE, {"customer": "id", "columns": ["segment", "size"]}),
    "journeys": (TRIPS, {"customer": "who", "journey": "visit", "columns": ["late"]}),
}  # fmt: skip


def in_spark(spark: SparkSession, table: pd.DataFrame) -> DataFrame:
    return spark.createDataFrame(table.sample(frac=1, random_state=2)).repartition(3)


def assert_joined(there: cx.Journeys, here: cx.Journeys, columns: list[str]) -> None:
    assert here.matched[-1].matched_targets
    assert there.matched == here.matched
    assert there.reading.notes == here.reading.notes
    assert there.facts == here.facts
    for name in columns:
        by = cx.by.bins(name, [0, 3, 20]) if name == "size" else cx.by.attribute(name)
        assert_same(there.measure(cx.metrics.Length(), by=by), here.measure(cx.metrics.Length(), by=by), name)


@pytest.mark.parametrize("place", ["local", "Spark"])
@pytest.mark.parametrize("table", TABLES)
def test_joined_facts_are_those_of_memory(
    spark: SparkSession, far: cx.Journeys, near: cx.Journeys, table: str, place: str
) -> None:
    rows, options = TABLES[table]
    source = rows if place == "local" else in_spark(spark, rows)
    assert_joined(far.with_attributes(source, **options), near.with_attributes(rows, **options), options["columns"])


@pytest.mark.parametrize("place", ["local", "Spark"])
def test_ids_of_journeys_alone_find_their_owners(
    spark: SparkSession, frame: DataFrame, told: pd.DataFrame, place: str
) -> None:
    """Those that several customers share are refused, wherever these are; a step may leave one owner alone."""
    table = pd.DataFrame({"trip": SHARED_TRIPS, "late": ["yes" if i % 3 else "no" for i in range(len(SHARED_TRIPS))]})
    source = table if place == "local" else in_spark(spark, table)
    roles = {**ROLES, "journey": "trip"}
    far, near = (cx.read_events(log, **roles) for log in (frame, told))
    there, here = (
        journeys.with_attributes(rows, journey="trip", columns=["late"])
        for journeys, rows in ((far, source), (near, table))
    )
    assert here.matched[-1].ambiguous
    assert_joined(there, here, ["late"])
    there, here = (
        journeys.sample(0.02, seed=3).with_attributes(rows, journey="trip", columns=["late"])
        for journeys, rows in ((far, source), (near, table))
    )
    assert_joined(there, here, ["late"])


def test_stages_stand_in_any_order(spark: SparkSession, far: cx.Journeys, near: cx.Journeys) -> None:
    there, here = (
        journeys.with_responses(survey(answers()))
        .with_customers(people, customer="id", attributes=["segment"])
        .split(gap=timedelta(hours=8))
        .fold_rare(keep=4)
        .with_attributes(trips, customer="who", journey="visit", columns=["late"])
        .with_responses(survey(answers().sample(200, random_state=1)))
        for journeys, people, trips in ((far, in_spark(spark, PEOPLE), TRIPS), (near, PEOPLE, TRIPS))
    )
    assert there.attached == here.attached
    assert_joined(there, here, ["segment", "late"])
    nps = cx.metrics.Nps(question="before")
    by = cx.by.attribute("segment")
    assert_same(there.measure(nps, by=by), here.measure(nps, by=by))
    assert_same(there.position("customer-5", goal=BUY), here.position("customer-5", goal=BUY))


def test_tables_that_meet_nothing_are_refused(spark: SparkSession, far: cx.Journeys) -> None:
    stranger = spark.createDataFrame([("x", "b")], "id string, a string")
    with pytest.raises(errors.NoRowsError, match=r"not one id matched: here 'customer-.*, there 'x'"):
        far.with_customers(stranger, customer="id", attributes=["a"])
    with pytest.raises(errors.UnknownColumnError, match="'b'"):
        far.with_customers(stranger, customer="id", attributes=["b"])
    nobody = spark.createDataFrame([(None, "b")], "id string, a string")
    with pytest.raises(errors.NoRowsError, match="no row of the table could be kept"):
        far.with_customers(nobody, customer="id", attributes=["a"])
    with pytest.raises(errors.InvalidValueError, match="no columns"):
        far.with_customers(stranger, customer="id", attributes=[])


# appending


@pytest.fixture(scope="module")
def pieces(told: pd.DataFrame) -> list[pd.DataFrame]:
    """The log in three parts; of the second 200 events are at the time of one of the first, in the same journey."""
    old, middle, new = told.iloc[:2500], told.iloc[2500:3500].copy(), told.iloc[3500:].copy()
    for name in ("at", "who", "visit"):
        middle[name] = [*old[name].iloc[10:210], *middle[name].iloc[200:]]
    new["what"] = new["what"].where(new.index % 7 > 0, "a new one")
    return [old, middle, new]


def assert_grown(there: cx.Journeys, here: cx.Journeys) -> None:
    assert there.facts == here.facts
    assert there.population.origin == here.population.origin
    assert (there.reading.rows, there.reading.kept) == (here.reading.rows, here.reading.kept)
    assert {why: each.count for why, each in there.reading.rejected.items()} == {
        why: each.count for why, each in here.reading.rejected.items()
    }
    notes = [note for note in there.reading.notes if "the order of appending" not in note]
    assert notes == list(here.reading.notes)
    assert len(notes) < len(there.reading.notes)
    assert there.vocabulary_report == here.vocabulary_report
    assert_same(comparable(there.graph()), comparable(here.graph()))
    assert_same(there.paths().top(100), here.paths().top(100))
    by = cx.by.attribute("persona")
    assert_same(there.measure(cx.metrics.Length(), by=by), here.measure(cx.metrics.Length(), by=by))


RULES = (cx.Rule.exact("help", to="support"), cx.Rule.glob("a new*", to="support"), cx.Rule.drop("question"))


@pytest.mark.parametrize("place", ["local", "Spark"])
@pytest.mark.parametrize("rules", [(), RULES], ids=["plain", "rules"])
def test_appended_events_follow_stored_ones(
    spark: SparkSession, pieces: list[pd.DataFrame], place: str, rules: tuple[cx.Rule, ...]
) -> None:
    old, middle, new = pieces
    there = cx.read_events(in_spark(spark, old), **ROLES, rules=rules)
    here = cx.read_events(old, **ROLES, rules=rules)
    for part in (middle, new):
        there = there.append(part if place == "local" else in_spark(spark, part))
        here = here.append(part)
    assert_grown(there, here)
    asked = survey(answers())
    assert there.with_responses(asked).attached == here.with_responses(asked).attached


def test_rows_of_python_can_be_appended(spark: SparkSession, pieces: list[pd.DataFrame]) -> None:
    roles = {**ROLES, "attributes": ["persona"], "order": ["agent"]}
    there, here = (cx.read_events(log, **roles) for log in (in_spark(spark, pieces[0]), pieces[0]))
    there, here = there.append(LATER * 2), here.append(LATER * 2)
    assert there.facts == here.facts
    assert there.population.origin == here.population.origin
    assert_same(there.paths().top(20), here.paths().top(20))


def test_what_cannot_be_appended_is_said(spark: SparkSession, far: cx.Journeys, pieces: list[pd.DataFrame]) -> None:
    new = pieces[2]
    with pytest.raises(errors.InvalidValueError, match="cannot append to passes cart\nAppend to what was read"):
        far.where(passes="cart").append(new)
    with pytest.raises(errors.InvalidValueError, match="described or joined since they were read"):
        far.with_touchpoints(CATALOGUE).append(new)
    with pytest.raises(errors.InvalidValueError, match="'age' is a double in what was read first and a string"):
        far.append(in_spark(spark, new.assign(age="old")))
    with pytest.raises(errors.InvalidValueError, match=r"'age' is a double in what was read first: .*old"):
        far.append(new.assign(age="old"))
    with pytest.raises(errors.UnknownColumnError, match="persona"):
        far.append(in_spark(spark, new.drop(columns="persona")))
    with pytest.raises(errors.NoRowsError, match="no event could be kept"):
        far.append(in_spark(spark, new.assign(what=" ")))
    roles = {"customer": "who", "touchpoint": "what", "time": "at"}
    wall = spark.sql("select 'a' as who, 'b' as what, timestamp_ntz'2026-01-01 02:00:00' as at")
    berlin = cx.read_events(wall, **roles, tz="Europe/Berlin")
    with pytest.raises(errors.InvalidValueError, match=r"wall clocks, of Europe/Berlin .* and of UTC"):
        berlin.append(wall)
    with pytest.raises(errors.InvalidValueError, match=r"'at' is a timestamp_ntz .* hold instants"):
        berlin.append([{"who": "a", "what": "b", "at": "2026-01-01"}])
    assert berlin.append(wall, tz="Europe/Berlin").facts.events == 2


# where the rows are


def test_verbs_bring_not_even_a_number_of_each_event(
    spark: SparkSession, frame: DataFrame, told: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    people, trips, later = (in_spark(spark, table) for table in (PEOPLE, TRIPS, told.head(500)))
    lone = in_spark(spark, pd.DataFrame({"trip": SHARED_TRIPS, "late": "yes"}))
    jobs = watched(frame, monkeypatch)
    far = cx.read_events(frame, **ROLES).append(later)
    joined = far.with_customers(people, customer="id", attributes=["segment"]).with_attributes(
        trips, customer="who", journey="visit", columns=["late"]
    )
    joined.fold_rare(keep=4).measure(cx.metrics.Length(), by=cx.by.attribute("segment"))
    cx.read_events(frame, **{**ROLES, "journey": "trip"}).with_attributes(lone, journey="trip", columns=["late"])
    assert len(jobs) >= 12
    assert max(jobs) < 4 * len(told)
    far.position("customer-0", goal=BUY)
    # one row of each customer, and the id
    before = len(jobs)
    far.positions(BUY)
    assert max(jobs[before:]) < 64 * 300


def test_one_customer_is_one_partition(spark: SparkSession, far: cx.Journeys) -> None:
    alone = far.population.of_customer("customer-17")
    assert alone.facts.customers == 1
    seen = alone.fold(lambda block: (block.customers,), lambda a, b: (*a, *b), ())
    assert seen == (1,)
