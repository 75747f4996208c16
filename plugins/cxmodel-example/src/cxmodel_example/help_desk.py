"""A reader: tickets and comments of a help desk, from JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar, TypeAlias

from attrs import frozen

from cxmodel.errors import UnreadableSourceError
from cxmodel.plugins import RawEvent, Reader, RowError

Record: TypeAlias = dict[str, object]
"""An object of JSON, of which nothing is known yet."""


@frozen
class HelpDesk(Reader):
    """A help desk's dump: ``{"tickets": [{"id", "requester", "channel", "comments": [{"author", "at", "role"}]}]}``.

    A ticket is a journey, its requester the customer. A comment by an agent is an ``"agent reply"`` with the author as
    contact, any other a ``"question"``.
    """

    name: ClassVar[str] = "help_desk"
    extensions: ClassVar[tuple[str, ...]] = (".json", ".helpdesk")

    def detects(self, head: bytes) -> bool:
        """An object that begins with tickets."""
        return head.lstrip().startswith(b"{") and b'"tickets"' in head and b'"requester"' in head

    def rows(self, path: Path) -> Iterator[RawEvent | RowError]:
        """One event per comment; whatever has another shape is a fault with its place."""
        try:
            document = json.loads(path.read_bytes())
        except ValueError as error:
            raise UnreadableSourceError(f"{path.name} is not JSON: {error}") from None
        tickets = document.get("tickets") if isinstance(document, dict) else None
        if not isinstance(tickets, list):
            raise UnreadableSourceError(f'{path.name} has no list of "tickets"')
        for i, ticket in enumerate(tickets):
            yield from _of_ticket(ticket, f"tickets[{i}]")


def _of_ticket(ticket: object, where: str) -> Iterator[RawEvent | RowError]:
    if not isinstance(ticket, dict):
        yield RowError(where, "a ticket that is no object", ticket)
        return
    comments = ticket.get("comments")
    if not isinstance(comments, list) or not comments:
        yield RowError(where, "a ticket without comments", comments)
        return
    for j, comment in enumerate(comments):
        place = f"{where}.comments[{j}]"
        if isinstance(comment, dict):
            yield _of_comment(ticket, comment, place)
        else:
            yield RowError(place, "a comment that is no object", comment)


def _of_comment(ticket: Record, comment: Record, where: str) -> RawEvent:
    by_agent = comment.get("role") == "agent"
    return RawEvent(
        where=where,
        customer=_text(ticket.get("requester")),
        journey=_text(ticket.get("id")),
        time=comment.get("at"),
        touchpoint="agent reply" if by_agent else "question",
        columns={
            "channel": _text(ticket.get("channel")),
            "contact": _text(comment.get("author")) if by_agent else None,
        },
    )


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)
