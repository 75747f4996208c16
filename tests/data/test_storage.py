"""Prepared journeys: what is saved comes back, what was damaged is refused, nothing half-written stays."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest

import cxmodel as cx
from cxmodel.data.manifests import as_text
from cxmodel.errors import DocumentError, InvalidValueError, SourceNotFoundError

ROWS = [
    {"who": who, "trip": trip, "what": what, "at": f"2026-01-0{day} 10:00", "via": via, "worth": worth, "late": late}
    for who, trip, what, day, via, worth, late in [
        ("ann", "t1", "search", 1, "web", None, "yes"),
        ("ann", "t1", "pay 💳", 2, "app", 12.5, "yes"),
        ("bob", "t2", "search", 1, "web", None, "no"),
        ("bob", "t3", "call", 3, "phone", None, None),
        ("007", "t4", "pay 💳", 4, "app", 3.0, "no"),
    ]
]
GOAL = cx.Goal("sale", touchpoints=["pay 💳"])


def prepared() -> cx.Journeys:
    journeys = cx.read_events(
        ROWS, customer="who", journey="trip", touchpoint="what", time="at", channel="via", value="worth",
        attributes=["late"], currency="EUR",
    )  # fmt: skip
    answers = cx.read_responses(
        [{"who": "ann", "score": 9, "at": "2026-01-03"}, {"who": "bob", "score": 2, "at": "2026-01-05"}],
        customer="who", score="score", time="at", scale=cx.Scale.nps(), question="nps", codes={11: None},
    )  # fmt: skip
    journeys = journeys.with_customers([{"who": "ann", "persona": "calm"}], customer="who", attributes=["persona"])
    described = journeys.with_touchpoints({"search": {"stage": "Find"}, "pay 💳": {"stage": "Buy"}})
    return described.with_responses(answers).split(gap=timedelta(days=30))


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    before = prepared()
    before.save(tmp_path / "kept")
    after = cx.open_journeys(tmp_path / "kept")
    assert after.facts == before.facts
    assert after.attached == before.attached is not None
    assert after.matched == before.matched
    assert after.reading == before.reading
    assert after.population.origin == before.population.origin
    assert after.graph().to_dict() == before.graph().to_dict()
    assert str(after.paths()) == str(before.paths())
    for by in ("touchpoint", "channel", "stage"):
        nps = cx.metrics.Nps(min_n=0)
        assert after.measure(nps, by=by).to_records() == before.measure(nps, by=by).to_records()
    rate = cx.metrics.ConversionRate(goal=GOAL)
    late = cx.by.attribute("late")
    assert after.measure(rate, by=late, bootstrap=20) == before.measure(rate, by=late, bootstrap=20)
    assert after.where(late="yes").facts.journeys == 1


def test_saving_again_replaces_and_leaves_nothing_behind(tmp_path: Path) -> None:
    prepared().save(tmp_path / "kept")
    prepared().where(passes="call").save(tmp_path / "kept")
    assert cx.open_journeys(tmp_path / "kept").facts.events == 1
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]
    names = sorted(each.name.partition("-")[2] or each.name for each in (tmp_path / "kept").iterdir())
    assert names == [".lock", "block-00000.bin", "identifiers.bin", "manifest.json", "results.bin"]


def test_opened_journeys_outlive_a_replacement(tmp_path: Path) -> None:
    prepared().save(tmp_path / "kept")
    opened = cx.open_journeys(tmp_path / "kept")
    prepared().where(passes="call").save(tmp_path / "kept")
    assert opened.graph().events == 5


def data_file(folder: Path, name: str) -> Path:
    return next(each for each in folder.iterdir() if each.name.endswith(name))


@pytest.mark.parametrize("name", ["block-00000.bin", "identifiers.bin", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "altered", "gone"])
def test_a_damaged_folder_is_refused(tmp_path: Path, name: str, damage: str) -> None:
    prepared().save(tmp_path / "kept")
    file = data_file(tmp_path / "kept", name)
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        middle = len(content) // 2
        altered = bytes([content[middle] ^ 1])
        file.write_bytes(content[:middle] if damage == "cut" else content[:middle] + altered + content[middle + 1 :])
    with pytest.raises(DocumentError) as caught:
        cx.open_journeys(tmp_path / "kept")
    assert name in str(caught.value) or "manifest" in str(caught.value)


def test_another_version_is_refused(tmp_path: Path) -> None:
    prepared().save(tmp_path / "kept")
    file = tmp_path / "kept" / "manifest.json"
    manifest = json.loads(file.read_text(encoding="utf-8"))["manifest"] | {"schema": "cxmodel/prepared/9"}
    file.write_text(as_text(manifest), encoding="utf-8")
    with pytest.raises(DocumentError, match="prepared/9"):
        cx.open_journeys(tmp_path / "kept")


def test_only_prepared_folders_are_opened_or_replaced(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError):
        cx.open_journeys(tmp_path / "nothing")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "letter.txt").write_text("keep me")
    with pytest.raises(DocumentError):
        cx.open_journeys(tmp_path / "precious")
    with pytest.raises(InvalidValueError):
        prepared().save(tmp_path / "precious")
    assert (tmp_path / "precious" / "letter.txt").read_text() == "keep me"


def test_integer_ids_come_back(tmp_path: Path) -> None:
    rows = [{"who": 7, "what": "a", "at": "2026-01-01"}, {"who": -3, "what": "b", "at": "2026-01-01"}]
    cx.read_events(rows, customer="who", touchpoint="what", time="at").save(tmp_path / "kept")
    again = cx.open_journeys(tmp_path / "kept")
    answers = [{"who": "7", "s": 9}, {"who": "-3", "s": 1}, {"who": "07", "s": 1}]
    read = cx.read_responses(answers, customer="who", score="s", scale=cx.Scale.nps())
    attached = again.with_responses(read).attached
    assert attached is not None
    assert (attached.whole_journey, attached.unmatched["no customer with this id"].count) == (2, 1)


def test_a_kept_table_of_transitions_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = prepared()
    graph = before.graph().to_dict()
    before.save(tmp_path / "kept")
    first = cx.open_journeys(tmp_path / "kept")

    def refuse(*_: object) -> None:
        raise AssertionError("the blocks were counted again")

    monkeypatch.setattr(cx.metrics.Transitions, "add", refuse)
    assert first.graph().to_dict() == graph
    assert first.transitions().to_records() == before.transitions().to_records()
    # what was selected is another population
    with pytest.raises(AssertionError, match="counted again"):
        first.where(late="yes").graph()


@pytest.mark.parametrize("damage", ["missing", "cut", "altered", "another version"])
def test_a_damaged_table_of_transitions_is_worked_out_again(
    tmp_path: Path, damage: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if damage == "another version":
        monkeypatch.setattr("cxmodel.analysis.transitions.KEPT", "transitions/0")
    before = prepared()
    before.save(tmp_path / "kept")
    monkeypatch.undo()
    file = data_file(tmp_path / "kept", "results.bin")
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[:-1])
    elif damage == "altered":
        content[-1] ^= 1
        file.write_bytes(content)
    after = cx.open_journeys(tmp_path / "kept")
    assert after.graph().to_dict() == before.graph().to_dict()
