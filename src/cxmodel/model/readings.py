"""Readings: what became of the rows of a source, and what can be asked of them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from attrs import evolve, field, frozen

from cxmodel.model.scales import Question

MOST_EXAMPLES = 3


@frozen
class Example:
    """One row that a reason was met in.

    Attributes:
        file: Name of the file, or of the kind of object that was read.
        row: Number of the row in it, counted from 1 without the header.
        value: The offending value as text, or None where it is missing.
        where: Its place in a file that has no rows (``"tickets[3].comments[0]"``), or None.
    """

    file: str
    row: int
    value: str | None
    where: str | None = None

    def to_dict(self) -> dict[str, object]:
        """As in JSON; ``where`` only where there is one."""
        place = {} if self.where is None else {"where": self.where}
        return {"file": self.file, "row": self.row, "value": self.value, **place}

    def __str__(self) -> str:
        return f"{self.file} {self.where or f'row {self.row}'}: {self.value!r}"


@frozen
class Count:
    """How often a reason was met, with the first few examples."""

    count: int
    examples: tuple[Example, ...] = ()

    def plus(self, other: Count) -> Count:
        """Both together; the first examples stay."""
        return Count(self.count + other.count, (*self.examples, *other.examples)[:MOST_EXAMPLES])

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"count": self.count, "examples": [example.to_dict() for example in self.examples]}


@frozen(kw_only=True)
class Reading:
    """What became of the rows: every row is either kept or rejected for a reason.

    Attributes:
        rows: Rows in the source.
        kept: Rows that became events or answers.
        rejected: Reason → count and examples.
        notes: What was done on the way, with counts (times moved, ids rewritten, ties broken…).
    """

    rows: int
    kept: int
    rejected: Mapping[str, Count] = field(factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def rejected_rows(self) -> int:
        """Rows that were rejected, whatever the reason."""
        return sum(each.count for each in self.rejected.values())

    def noting(self, *notes: str) -> Reading:
        """The same with further notes."""
        return evolve(self, notes=(*self.notes, *notes))

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        rejected = [{"reason": reason, **each.to_dict()} for reason, each in self.rejected.items()]
        return {"rows": self.rows, "kept": self.kept, "rejected": rejected, "notes": list(self.notes)}

    def __str__(self) -> str:
        lines = [f"{self.rows:,} rows read, {self.kept:,} kept"]
        for reason, each in self.rejected.items():
            shown = "; ".join(str(example) for example in each.examples)
            lines.append(f"  {each.count:,} rejected: {reason}" + (f" ({shown})" if shown else ""))
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes)])


@frozen(kw_only=True)
class Facts:
    """What can be asked of a population; costs no pass over the events.

    Attributes:
        customers: Number of customers.
        journeys: Number of journeys.
        events: Number of events.
        responses: Number of answers.
        touchpoints: Names of the touchpoints that occur.
        known_touchpoints: Names of all touchpoints of the log, whether they occur in this selection or not.
        event_columns: Names of facts about events (channel, department, …).
        journey_columns: Names of facts about journeys and customers (attributes, persona).
        touchpoint_columns: Names of facts about touchpoints (stage, channel, kind, …).
        questions: Name of each question → its scale and kind.
        first: Time of the first event.
        last: Time of the last event.
        has_value: Whether events carry a value.
        currency: Currency of the values, if known.
        inactivity_declared: Whether journeys in progress can be told from lost ones.
    """

    customers: int = 0
    journeys: int = 0
    events: int = 0
    responses: int = 0
    touchpoints: tuple[str, ...] = field(default=(), repr=False)
    known_touchpoints: tuple[str, ...] = field(default=(), repr=False)
    event_columns: tuple[str, ...] = ()
    journey_columns: tuple[str, ...] = ()
    touchpoint_columns: tuple[str, ...] = ()
    questions: Mapping[str, Question] = field(factory=dict)
    first: datetime | None = None
    last: datetime | None = None
    has_value: bool = False
    currency: str | None = None
    inactivity_declared: bool = False


@frozen(kw_only=True)
class Matched:
    """How well a join met the other side.

    Attributes:
        rows: Rows of the joined table.
        matched_rows: Rows that met a customer or journey here.
        targets: Customers or journeys here.
        matched_targets: Those that met a row.
        ambiguous: Rows refused because their id is shared by several customers or repeated with other facts.
    """

    rows: int
    matched_rows: int
    targets: int
    matched_targets: int
    ambiguous: int = 0

    def plus(self, other: Matched) -> Matched:
        """Both together, of parts that share no customer."""
        return Matched(
            rows=self.rows + other.rows, matched_rows=self.matched_rows + other.matched_rows,
            targets=self.targets + other.targets, matched_targets=self.matched_targets + other.matched_targets,
            ambiguous=self.ambiguous + other.ambiguous,
        )  # fmt: skip

    def __str__(self) -> str:
        return (
            f"{self.matched_rows:,} of {self.rows:,} rows matched, covering {self.matched_targets:,} of "
            f"{self.targets:,} here; {self.ambiguous:,} ambiguous rows refused"
        )
