"""Opening: event logs are read, and prepared journeys opened, into `Journeys`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import get_args, overload

from cxmodel import reading
from cxmodel.analysis.transitions import KEPT, table_kept
from cxmodel.data import events, storage
from cxmodel.data.roles import Roles
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.journeys import Journeys
from cxmodel.model.rules import Rule, Unmatched
from cxmodel.typing import File, Source


@overload
def read_events(
    src: Source, *, customer: str, touchpoint: str, time: str, journey: str | None = None, channel: str | None = None,
    department: str | None = None, contact: str | None = None, stage: str | None = None, value: str | None = None,
    source: str | None = None, until: str | None = None, lifecycle: tuple[str, str, str] | None = None,
    instance: str | None = None, currency: str | None = None, order: Sequence[str] = (),
    attributes: Sequence[str] = (), rules: Sequence[Rule] = (), unmatched: Unmatched = "keep", tz: str | None = None,
    memory_limit: str | None = None,
) -> Journeys: ...  # fmt: skip
@overload
def read_events(
    src: File | Sequence[File], *, preset: str, channel: str | None = None, department: str | None = None,
    contact: str | None = None, stage: str | None = None, value: str | None = None, source: str | None = None,
    until: str | None = None, currency: str | None = None, order: Sequence[str] = (), attributes: Sequence[str] = (),
    rules: Sequence[Rule] = (), unmatched: Unmatched = "keep", tz: str | None = None, memory_limit: str | None = None,
) -> Journeys: ...  # fmt: skip
def read_events(
    src: Source, *, customer: str | None = None, touchpoint: str | None = None, time: str | None = None,
    journey: str | None = None, channel: str | None = None, department: str | None = None, contact: str | None = None,
    stage: str | None = None, value: str | None = None, source: str | None = None, until: str | None = None,
    lifecycle: tuple[str, str, str] | None = None, instance: str | None = None, currency: str | None = None,
    order: Sequence[str] = (), attributes: Sequence[str] = (), rules: Sequence[Rule] = (),
    unmatched: Unmatched = "keep", preset: str | None = None, tz: str | None = None, memory_limit: str | None = None,
) -> Journeys:  # fmt: skip
    """Read an event log.

    Every row is either kept or rejected for a reason that `Journeys.reading` counts, with examples. The order inside a
    journey is (time, ``order`` columns, file name, row). Ids are compared as text: ``7`` and ``"7"`` are one id,
    ``"007"`` is another, ``"NA"`` is an id.

    A format of its own is read by a reader, a plugin: by the one that ``preset`` names, or, where the engine does not
    know the file's ending, by the one that recognises its content; the reading notes which. A reader says itself who,
    where, when and which journey; the other options then name columns that it gives.

    Args:
        src: Path, glob, list of them, pandas or Polars frame, Arrow object, DuckDB relation, or list of dicts.
        customer: Column with the customer's id.
        touchpoint: Column with the touchpoint (the event's name).
        time: Column with the time; a time without a zone is UTC, or of ``tz``.
        journey: Column with the journey's id; without it a customer's whole history is one journey.
        channel: Column with the channel.
        department: Column with the department.
        contact: Column with the contact person.
        stage: Column with the stage.
        value: Column with the value.
        source: Column with the source system.
        until: Column with the end of the event.
        lifecycle: Column, start text and complete text, for logs with a row for each.
        instance: Column that says which start and complete belong together.
        currency: Currency of the values, for instance ``"EUR"``.
        order: Columns that break ties of time.
        attributes: Further columns to keep; those with one value per journey become facts about journeys.
        rules: How raw names and addresses become touchpoints; the first rule that matches wins, and
            `Journeys.vocabulary_report` says what each matched.
        unmatched: What becomes of names that no rule matches: ``"keep"`` their own name, or ``"other"``.
        preset: Name of a reader, instead of ``customer``, ``touchpoint``, ``time`` and ``journey``.
        tz: Zone of times that name none (``"Europe/Berlin"``).
        memory_limit: Limit of memory (``"2GB"``); what does not fit waits in temporary files, with the same answers.
            The engine that reads is left 256 MiB in any case; the reading says where the limit cannot be kept. Without
            one, logs that do not fit into what the machine or the container leaves go through temporary files too.

    Returns:
        The journeys, prepared once.

    Raises:
        UnknownColumnError: A column is not there; lists what is, and the nearest name.
        UnknownNameError: There is no reader of that name.
        InvalidValueError: It is not said which columns are who, where and when; a rule cannot be applied.
        NoRowsError: Nothing could be kept.

    Example:
        >>> log = [{"who": "a", "what": "ad", "at": "2026-01-01"}, {"who": "a", "what": "shop", "at": "2026-01-02"}]
        >>> read_events(log, customer="who", touchpoint="what", time="at")
        <Journeys: 1 customers, 1 journeys, 2 events>
    """
    named = {
        "channel": channel,
        "department": department,
        "contact": contact,
        "stage": stage,
        "source": source,
    }
    if until is not None and lifecycle is not None:
        raise InvalidValueError("until= and lifecycle= both say when an event ends; give one of them")
    own = {"customer": customer, "touchpoint": touchpoint, "time": time, "journey": journey}
    reader = reading.choose(src, preset, own)
    roles = Roles(
        customer=customer or "", touchpoint=touchpoint or "", time=time or "", journey=journey, until=until,
        value=value, named={role: column for role, column in named.items() if column is not None},
        attributes=tuple(attributes), order=tuple(order), lifecycle=lifecycle, instance=instance,
        currency=currency, rules=_rules(rules, unmatched), unmatched=unmatched,
    )  # fmt: skip
    if reader is not None:
        return Journeys(reading.read(src, reader, roles, tz=tz, memory_limit=memory_limit))
    return Journeys(events.read(src, roles, tz=tz, memory_limit=memory_limit))


def _rules(rules: Iterable[object], unmatched: str) -> tuple[Rule, ...]:
    own: list[Rule] = []
    for rule in rules:
        if not isinstance(rule, Rule):
            raise InvalidValueError(
                f"{rule!r} is no rule", hint="Write rules=[cx.Rule.glob('/product/*', to='Product')]"
            )
        own.append(rule)
    if unmatched not in get_args(Unmatched):
        raise InvalidValueError(unknown("treatment of unmatched names", str(unmatched), get_args(Unmatched)))
    return tuple(own)


def open_journeys(path: str | PathLike[str], *, verify: bool = True) -> Journeys:
    """Open journeys that `Journeys.save` prepared; the arrays are mapped into memory, not read.

    What was opened goes on working when others are saved in their place.

    Args:
        path: The folder.
        verify: Compare checksums first; a truncated or altered file is refused.

    Raises:
        SourceNotFoundError: No such folder.
        DocumentError: Cut short, altered, or of another version.
    """
    prepared = storage.load(Path(path), verify=verify)
    journeys = Journeys(prepared.population, prepared.attached, prepared.matched)
    table = table_kept(prepared.results, prepared.population.origin)
    if table is not None:
        journeys.known[KEPT] = table
    return journeys
