"""The reader: what becomes an event, what is counted instead, and where it stands."""

import json
from pathlib import Path

import pytest
from cxmodel_example import HelpDesk

import cxmodel as cx
from cxmodel.errors import UnreadableSourceError
from cxmodel.plugins import RawEvent, RowError


def dump(folder: Path, tickets: object, name: str = "desk.json") -> Path:
    path = folder / name
    path.write_text(json.dumps({"tickets": tickets}), encoding="utf-8")
    return path


def ticket(*comments: object, **about: object) -> dict[str, object]:
    return {"id": 7, "requester": "ann", "channel": "chat", "comments": list(comments), **about}


QUESTION = {"author": "ann", "at": "2026-01-05T10:00:00Z", "role": "customer"}
REPLY = {"author": "Bo", "at": "2026-01-05T10:12:00Z", "role": "agent"}


def test_comments_become_events_in_order(tmp_path: Path) -> None:
    rows = list(HelpDesk().rows(dump(tmp_path, [ticket(QUESTION, REPLY)])))
    assert rows == [
        RawEvent(
            where="tickets[0].comments[0]", customer="ann", journey="7", time="2026-01-05T10:00:00Z",
            touchpoint="question", columns={"channel": "chat", "contact": None},
        ),
        RawEvent(
            where="tickets[0].comments[1]", customer="ann", journey="7", time="2026-01-05T10:12:00Z",
            touchpoint="agent reply", columns={"channel": "chat", "contact": "Bo"},
        ),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("tickets", "expected"),
    [
        ([None], RowError("tickets[0]", "a ticket that is no object", None)),
        ([ticket()], RowError("tickets[0]", "a ticket without comments", [])),
        ([ticket(QUESTION), ticket(comments="none")], RowError("tickets[1]", "a ticket without comments", "none")),
        ([ticket(QUESTION, "hello")], RowError("tickets[0].comments[1]", "a comment that is no object", "hello")),
    ],
)
def test_other_shapes_are_faults_with_their_place(tmp_path: Path, tickets: list[object], expected: RowError) -> None:
    rows = list(HelpDesk().rows(dump(tmp_path, tickets)))
    assert [row for row in rows if isinstance(row, RowError)] == [expected]


@pytest.mark.parametrize("content", ["", "[]", "{", '{"tickets": 3}', '{"orders": []}'])
def test_another_document_is_refused_by_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "orders.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UnreadableSourceError, match=r"orders\.json"):
        list(HelpDesk().rows(path))


def test_detects_its_own_and_nothing_else() -> None:
    assert HelpDesk().detects(json.dumps({"tickets": [ticket(QUESTION)]}).encode())
    assert not HelpDesk().detects(b'{"tickets": []}')
    assert not HelpDesk().detects(b"customer,touchpoint,time\n")
    assert not HelpDesk().detects(b"")


def test_rows_in_are_kept_or_rejected_with_their_place(tmp_path: Path) -> None:
    unsaid = {key: value for key, value in QUESTION.items() if key != "at"}
    tickets = [
        ticket(QUESTION, REPLY),
        ticket(QUESTION, requester=None),
        ticket({**QUESTION, "at": "soon"}),
        ticket(unsaid, REPLY),
        None,
    ]
    reading = cx.read_events(dump(tmp_path, tickets), preset="help_desk").reading
    assert (reading.rows, reading.kept, reading.rejected_rows) == (7, 3, 4)
    found = {reason: [(e.file, e.where, e.value) for e in each.examples] for reason, each in reading.rejected.items()}
    assert found == {
        "no customer": [("desk.json", "tickets[1].comments[0]", None)],
        "time that cannot be read": [("desk.json", "tickets[2].comments[0]", "soon")],
        "no time": [("desk.json", "tickets[3].comments[0]", None)],
        "a ticket that is no object": [("desk.json", "tickets[4]", None)],
    }
    assert "desk.json tickets[1].comments[0]: None" in str(reading)
    assert reading.notes[-1].startswith("desk.json read by 'help_desk' of cxmodel-example 0.1.0")


def test_tickets_are_journeys_and_agents_contacts(tmp_path: Path) -> None:
    path = dump(tmp_path, [ticket(QUESTION, REPLY), ticket(QUESTION, id=8, channel="email")])
    journeys = cx.read_events(path, preset="help_desk")
    assert (journeys.facts.customers, journeys.facts.journeys, journeys.facts.events) == (1, 2, 3)
    lengths = journeys.measure(cx.metrics.Length(), by="channel")
    assert {channel: estimate.value for channel, estimate in lengths.items()} == {"chat": 2, "email": 1}
    assert set(journeys.measure(cx.metrics.Length(), by="contact")) == {"Bo"}
