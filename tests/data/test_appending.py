"""Appending: the same answers as preparing everything at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.data import handfuls, pieces
from cxmodel.data.parts import StoredParts
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.temporary import SpillFolder, is_mapped
from cxmodel.errors import InvalidValueError

ROW = st.fixed_dictionaries(
    {
        "who": st.sampled_from(["ann", "bob", "cy", "7", "007", "dé"]),
        "trip": st.sampled_from(["1", "2"]),
        "what": st.sampled_from(["zoo", "ad", "pay", "mail", "call"]),
        "minute": st.integers(0, 40),
        "via": st.sampled_from(["web", "app", None]),
        "late": st.sampled_from(["yes", "no"]),
    }
)
LOG = st.lists(ROW, min_size=1, max_size=25)
GOAL = cx.Goal("sale", touchpoints=["pay"])


def read(rows: list[dict[str, Any]], **more: Any) -> cx.Journeys:
    return cx.read_events(
        rows, customer="who", journey="trip", touchpoint="what", time="at", channel="via", attributes=["late"], **more
    )


def dated(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "at": f"2026-01-01 10:{row['minute']:02d}"} for row in rows]


def answers(journeys: cx.Journeys) -> dict[str, Any]:
    graph = journeys.graph().to_dict()
    return {
        "facts": (journeys.facts.customers, journeys.facts.journeys, journeys.facts.events),
        "origin": journeys.population.origin,
        "nodes": sorted(graph["nodes"], key=lambda node: str(node["id"])),
        "edges": sorted(graph["edges"], key=lambda edge: (edge["source"], edge["target"])),
        "paths": journeys.paths().to_dict(),
        "length": journeys.measure(cx.metrics.Length(), by=cx.by.attribute("late")).to_records(),
        "kept": (journeys.reading.rows, journeys.reading.kept),
        "odd": {note for note in journeys.reading.notes if "repeat" in note or "begin before" in note},
    }


@given(LOG, LOG, LOG, st.sampled_from([1, 10, pieces.SMALLEST]))
def test_appending_equals_reading_at_once(
    first: list[dict[str, Any]], second: list[dict[str, Any]], third: list[dict[str, Any]], size: int
) -> None:
    parts = [dated(part) for part in (first, second, third)]
    at_once = read([row for part in parts for row in part])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "SMALLEST", size)
        grown = read(parts[0]).append(parts[1]).append(parts[2])
    assert answers(grown) == answers(at_once)
    if size == pieces.SMALLEST:
        assert len(grown.population.parts) == 1


def test_saved_journeys_grow(tmp_path: Any) -> None:
    rows = dated(
        [
            {"who": "ann", "trip": "1", "what": what, "minute": i, "via": "web", "late": "no"}
            for i, what in enumerate("abc")
        ]
    )
    read(rows[:1]).save(tmp_path / "kept")
    grown = cx.open_journeys(tmp_path / "kept").append(rows[1:])
    assert answers(grown) == answers(read(rows))


def test_grown_journeys_are_saved(tmp_path: Any) -> None:
    rows = dated(
        [
            {"who": f"c{i % 40}", "trip": "1", "what": "abc"[i % 3], "minute": i % 50, "via": "web", "late": "no"}
            for i in range(400)
        ]
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "SMALLEST", 50)
        grown = read(rows[:300]).append(rows[300:399]).append(rows[399])
        assert len(grown.population.parts) > 1
    grown.save(tmp_path / "kept")
    assert answers(cx.open_journeys(tmp_path / "kept")) == answers(grown) == answers(read(rows))


def test_what_was_selected_takes_no_more_rows() -> None:
    rows = dated([{"who": "ann", "trip": "1", "what": "pay", "minute": 1, "via": "web", "late": "no"}])
    with pytest.raises(InvalidValueError, match="channel is web"):
        read(rows).where(channel="web").append(rows)


def test_text_ids_do_not_join_whole_numbers() -> None:
    import pandas as pd

    frame = pd.DataFrame({"who": [1, 2], "what": ["a", "b"], "at": pd.to_datetime(["2026-01-01", "2026-01-02"])})
    numbers = cx.read_events(frame, customer="who", touchpoint="what", time="at")
    grown = numbers.append([{"who": "2", "what": "c", "at": "2026-01-03"}])
    assert (grown.facts.customers, grown.graph().edges["b", "c"]["count"]) == (2, 1)
    with pytest.raises(InvalidValueError, match="'x2'"):
        numbers.append([{"who": "x2", "what": "c", "at": "2026-01-03"}])


PLAIN: dict[str, str] = {"customer": "who", "touchpoint": "what", "time": "at"}


def plain(rows: list[dict[str, Any]], **more: Any) -> cx.Journeys:
    return cx.read_events(rows, **{**PLAIN, **more})


def step(who: object, what: str, at: str, **more: object) -> dict[str, Any]:
    return {"who": who, "what": what, "at": at, **more}


EARLY = [step("ann", "ad", "2026-01-01"), step("ann", "pay", "2026-01-02"), step("bob", "ad", "2026-01-03")]
LATE = [step("cy", "ad", "2026-03-01"), step("bob", "mail", "2026-01-04")]


def test_declared_inactivity_is_applied_to_what_is_new() -> None:
    limit = timedelta(days=30)
    grown = plain(EARLY).with_inactivity(limit).append(LATE)
    once = plain([*EARLY, *LATE]).with_inactivity(limit)
    rate = cx.metrics.ConversionRate(goal=GOAL)
    assert grown.facts.inactivity_declared
    assert all(block.still_open is not None for block in grown.population.parts)
    assert (grown.measure(rate).value, grown.measure(rate).n) == (once.measure(rate).value, once.measure(rate).n)


def test_declared_inactivity_is_saved(tmp_path: Any) -> None:
    limit = timedelta(days=30)
    plain(EARLY).with_inactivity(limit).save(tmp_path / "kept")
    grown = cx.open_journeys(tmp_path / "kept").append(LATE)
    rate = cx.metrics.ConversionRate(goal=GOAL)
    assert grown.measure(rate).n == plain([*EARLY, *LATE]).with_inactivity(limit).measure(rate).n


def test_a_catalogue_describes_touchpoints_that_are_met_later(tmp_path: Any) -> None:
    catalogue = {"ad": {"stage": "Find"}, "mail": {"stage": "Use"}, "zoo": {"stage": "Find"}}
    once = plain([*EARLY, *LATE]).with_touchpoints(catalogue)
    plain(EARLY).with_touchpoints(catalogue).save(tmp_path / "kept")
    for grown in (
        plain(EARLY).with_touchpoints(catalogue).append(LATE), cx.open_journeys(tmp_path / "kept").append(LATE)
    ):  # fmt: skip
        assert grown.graph().nodes(data=True) == once.graph().nodes(data=True)
        assert sorted(grown.reading.notes) == sorted(once.reading.notes)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda j: j.between(datetime(2026, 1, 1, tzinfo=UTC), None), "a window of time"),
        (lambda j: j.between(), "a window of time"),
        (lambda j: j.with_customers([{"c": "ann", "p": "x"}], customer="c", attributes=["p"]), "joined facts p"),
        (lambda j: j.split(gap=timedelta(days=1)), "cut at gaps"),
        (lambda j: j.fold_rare(min_events=1), "folded"),
    ],
)
def test_what_cannot_be_replayed_is_refused(change: Any, words: str) -> None:
    with pytest.raises(InvalidValueError, match=words) as caught:
        change(plain(EARLY)).append({"who": "new", "what": "ad", "at": "2026-02-01"})
    assert "ppend" in str(caught.value)


def test_blocks_on_disk_stay_there(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        step(f"c{i % 4000}", f"t{i % 7}", f"2026-01-0{1 + i % 9} 10:{i % 60:02}", late="yes" if i % 4000 < 9 else "no")
        for i in range(40_000)
    ]
    monkeypatch.setattr(SpillFolder, "rows_per_block", property(lambda self: 10_000))
    monkeypatch.setattr(pieces, "SMALLEST", 1_000)
    monkeypatch.setattr("cxmodel.data.events.spill_limit", lambda scan, limit: 1e8)
    journeys = plain(rows, memory_limit="100MB", attributes=["late"])
    later = [step("c5", "t9", "2026-02-01"), step("c9", "a", "2026-02-01", late="yes"), step("z", "t1", "2026-02-02")]
    grown = journeys
    for each in [*([one] for one in later), later[1:]]:
        grown = grown.append(each)
    monkeypatch.undo()
    once = plain([*rows, *later, *later[1:]], attributes=["late"])
    population = grown.population
    assert isinstance(population, MemoryPopulation)
    assert isinstance(population.parts, StoredParts)
    assert population.keeper is not None
    assert all(block.time.size < 5_000 or is_mapped(block.time) for block in population.parts)
    assert [note for note in grown.reading.notes if "wait on disk" in note] == [
        f"{len(population.parts):,} blocks of journeys wait on disk, not in memory"
    ]
    assert grown.facts == once.facts
    assert grown.population.origin == once.population.origin
    assert dict(grown.graph().edges) == dict(once.graph().edges)
    assert grown.split(gap=timedelta(days=2)).facts.journeys == once.split(gap=timedelta(days=2)).facts.journeys
    assert not list(population.keeper.path.glob("grown-*"))
    assert journeys.facts.events == 40_000


def test_the_zone_of_the_first_reading_is_kept(tmp_path: Any) -> None:
    first, later = [step("ann", "ad", "2026-01-01 10:00")], [step("ann", "pay", "2026-01-01 11:00")]
    read_first = plain(first, tz="Europe/Berlin")
    read_first.save(tmp_path / "kept")
    for journeys in (read_first, cx.open_journeys(tmp_path / "kept")):
        assert journeys.append(later).graph()["ad"]["pay"]["wait_median_s"] == 3600


def test_notes_of_all_readings_are_kept_and_summed() -> None:
    odd = [step("ann", "ad", "2026-03-29 02:30", worth="x"), step("ann", "pay", "2026-03-30", worth="1")]
    more = {"tz": "Europe/Rome", "value": "worth"}
    grown, once = plain(odd, **more).append(odd).append(odd), plain(odd * 3, **more)
    assert sorted(grown.reading.notes) == sorted(once.reading.notes)
    assert any(note.startswith("3 times do not exist") for note in grown.reading.notes)
    assert any(note.startswith("3 rows: 'worth' is not a number") for note in grown.reading.notes)


def test_columns_that_come_or_go_are_told() -> None:
    journeys = plain([step("ann", "ad", "2026-01-01", via="web")], channel="via")
    grown = journeys.append([step("ann", "pay", "2026-01-02", colour="red"), step("ann", "pay", "2026-01-03")])
    assert "columns of appended events that are not read: 'colour'" in grown.reading.notes
    assert "2 appended events without a column 'via': read as missing" in grown.reading.notes
    assert grown.facts.events == 3
    with pytest.raises(cx.errors.UnknownColumnError, match="'what'"):
        journeys.append({"who": "ann", "at": "2026-01-02"})


def test_one_event_is_a_dict() -> None:
    grown = plain(EARLY).append(step("bob", "pay", "2026-01-05"))
    assert list(grown.graph()["ad"]) == ["pay"]
    assert grown.graph()["ad"]["pay"]["count"] == 2


@pytest.mark.parametrize("batch", [[], [step("", "ad", "2026-01-01")], [step("ann", "ad", "nonsense")]])
def test_nothing_kept_is_no_error(batch: list[dict[str, Any]], tmp_path: Any) -> None:
    journeys = plain(EARLY)
    grown = journeys.append(batch)
    assert (grown.reading.rows, grown.reading.kept) == (3 + len(batch), 3)
    assert grown.reading.rejected_rows == grown.population.origin.rejected == len(batch)
    assert dict(grown.graph().edges) == dict(journeys.graph().edges)
    (tmp_path / "empty.csv").write_text("who,what,at\n")
    assert journeys.append(tmp_path / "empty.csv").facts.events == 3


@pytest.mark.parametrize("names", [["zz", "zoo"], ["aa", "b"], ["ad", "pay"]])
def test_touchpoints_are_met_wherever_they_sort(names: list[str]) -> None:
    later = [step("bob", name, f"2026-01-0{5 + i}") for i, name in enumerate(names)]
    grown, once = plain(EARLY), plain([*EARLY, *later])
    for each in later:
        grown = grown.append(each)
    assert grown.facts.known_touchpoints == once.facts.known_touchpoints
    assert dict(grown.graph().edges) == dict(once.graph().edges)
    assert grown.population.origin == once.population.origin


def test_facts_of_journeys_and_touchpoints_end_where_an_event_contradicts() -> None:
    first = [
        step("ann", "ad", "2026-01-01", via="web", late="no"),
        step("bob", "pay", "2026-01-01", via="app", late="no"),
    ]
    later = [
        step("cy", "ad", "2026-01-02", via="app", late="no"),
        step("bob", "pay", "2026-01-03", via="app", late="yes"),
    ]
    more: dict[str, Any] = {"channel": "via", "attributes": ["late"]}
    grown = plain(first, **more)
    assert (grown.facts.journey_columns, grown.facts.touchpoint_columns) == (("late",), ("channel",))
    for each in later:
        grown = grown.append(each)
    once = plain([*first, *later], **more)
    for name in ("journey_columns", "event_columns", "touchpoint_columns"):
        assert getattr(grown.facts, name) == getattr(once.facts, name)
    assert sorted(grown.reading.notes) == sorted(once.reading.notes)


RULES = [cx.Rule.glob("p*", to="P"), cx.Rule.drop("zoo")]


@given(LOG, LOG, st.booleans())
@settings(max_examples=25)
def test_rows_without_and_with_the_engine_give_the_same(
    first: list[dict[str, Any]], second: list[dict[str, Any]], ruled: bool
) -> None:
    first.append({"who": "ann", "trip": "1", "what": "ad", "minute": 0, "via": "web", "late": "no"})
    journeys = read(dated(first), **({"rules": RULES} if ruled else {}))
    found = journeys.append(dated(second))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handfuls, "MOST", -1)
        expected = journeys.append(dated(second))
    once = read(dated([*first, *second]), **({"rules": RULES} if ruled else {}))
    assert answers(found) == answers(expected) == answers(once)
    assert found.reading == expected.reading
    assert sorted(note for note in found.reading.notes if "not read" not in note) == sorted(once.reading.notes)
    assert found.vocabulary_report == expected.vocabulary_report
