"""Appending: new events of known and new customers, without preparing everything again."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, cast

import numpy as np
from attrs import evolve

from cxmodel.data import pieces
from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.events import (
    Intake,
    described,
    digest,
    fields_of,
    findings,
    intake_of,
    ledger_again,
    ledger_of,
    spans_of,
    waiting_on_disk,
)  # fmt: skip
from cxmodel.data.grouping import ROWS_PER_BLOCK, EventRows, constant, group, promoted
from cxmodel.data.handfuls import read_handful
from cxmodel.data.joining import described_by
from cxmodel.data.ledgers import Ledger
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.renaming import Renaming, renaming_of
from cxmodel.data.returning import returned
from cxmodel.data.roles import Roles
from cxmodel.data.rows import Rows, read_rows
from cxmodel.data.selecting import with_inactivity
from cxmodel.data.sources import open_tables
from cxmodel.data.widening import Recoding, widened
from cxmodel.errors import InvalidValueError, listed
from cxmodel.model.readings import Count, Reading
from cxmodel.stats.arrays import Keys
from cxmodel.typing import Source

_MANY: Final = 1_000_000
_COUNTED: Final = re.compile(r"([0-9,]+) (.*?)(; first: .*)?", re.DOTALL)
Event = Mapping[str, object]


def append(population: MemoryPopulation, source: Source | Event, *, tz: str | None = None) -> MemoryPopulation:
    """The population with further events; only the customers concerned are grouped again.

    New events follow stored ones of the same time. The columns are those of the first reading.

    Args:
        population: As it was read, before anything was selected, cut, attached or joined.
        source: The new rows, or one.
        tz: Zone of times that name none; that of the first reading when None.

    Raises:
        InvalidValueError: When the population was selected from, cut, or carries answers or joined facts.
    """
    roles = _appendable(population)
    new = _read(source, roles, tz or roles.tz, population.renaming)
    recoding, rows = widened(population.vocabulary, new.vocabulary, new.rows)
    ledger = population.ledger
    blocks, keeper = list(population.parts), population.keeper
    if ledger is None or not ledger.fits(blocks):
        ledger = ledger_again(blocks, population.vocabulary, roles)
    stored = [recoding.of(block) for block in blocks]
    if ledger.spans and not recoding.same:
        ledger = evolve(ledger, spans=spans_of(stored, list(roles.named)))
    most = ROWS_PER_BLOCK if keeper is None else keeper.rows_per_block
    parts, after = _regrouped(stored, rows, recoding, roles, ledger, most)
    before, renaming = population.renaming, new.renaming
    renaming = before if before is None or renaming is None else before.plus(renaming)
    told = [*_told(population, blocks, ledger), *_catalogued(population)]
    reading = _both(population.reading, new.reading, told)
    vocabulary, notes = _described(population, recoding.vocabulary, roles, after)
    parts = [_agreeing(block, vocabulary) for block in parts]
    parts = _declared(parts, population.inactivity)
    kept = parts if keeper is None else returned(parts, keeper)
    grown = evolve(population, parts=kept, vocabulary=vocabulary, renaming=renaming, ledger=after.of(kept))
    reading = reading.noting(*_told(grown, parts, after), *notes)
    origin = evolve(population.origin, source=digest(after.keys), rejected=reading.rejected_rows)
    return evolve(grown, reading=reading, origin=origin)


def _appendable(population: MemoryPopulation) -> Roles:
    """How it was read, where what is appended gives what reading everything at once would give."""
    roles, window = population.roles, [each for each in population.origin.window if each]
    if roles is None or population.origin.filters:
        what = ", ".join(population.origin.filters) or "journeys that were not read from a log"
        raise InvalidValueError(f"cannot append to {what}", hint="Append to what was read, then select and cut")
    if window or any(block.cut is not None for block in _some(population)):
        what = f" ({' – '.join(window)})" if window else ""
        raise InvalidValueError(
            f"cannot append to a window of time{what}", hint="Append first, then between(…): journeys.append(rows)"
        )
    for block in _some(population):
        if block.answers is not None:
            raise InvalidValueError(
                "cannot append events below attached answers", hint="Append the events first, then attach the answers"
            )
        joined = [name for name in block.journey_columns if name not in roles.attributes]
        if joined:
            raise InvalidValueError(
                f"cannot append below the joined facts {', '.join(joined)}",
                hint="Append the events first, then join the facts",
            )
        if block.still_open is not None and population.inactivity is None:
            raise InvalidValueError(
                "cannot append: it is not known any more which inactivity was declared",
                hint="Append to what was read, then with_inactivity(…)",
            )
    if roles.lifecycle is not None:
        raise InvalidValueError("cannot append to a log of starts and completes: a pair may reach over both parts")
    return roles


def _some(population: MemoryPopulation) -> Sequence[Block]:
    """One block tells what was done to all."""
    return population.parts[:1]


def _read(source: Source | Event, roles: Roles, tz: str | None, known: Renaming | None) -> Intake:
    """Events in the order of the source; there may be none."""
    fields, notes = fields_of(roles), list[str]()
    rows: Rows | None = None
    if isinstance(source, Mapping):
        source = [source]
    if isinstance(source, (list, tuple)) and all(isinstance(row, Mapping) for row in source):
        source, notes = _completed(cast("Sequence[Event]", source), roles)
        rows = read_handful(source, fields, tz)
    if rows is None:
        with open_tables(source, [each.column for each in fields]) as (connection, tables):
            rows = read_rows(connection, tables, fields, tz=tz)
    names = rows.labels["touchpoint"].names[1:]
    renaming = known.again(names) if known is not None else None
    intake = intake_of(rows, roles, renaming or renaming_of(names, roles))
    return evolve(intake, reading=intake.reading.noting(*notes))


def _completed(rows: Sequence[Event], roles: Roles) -> tuple[Sequence[Event], list[str]]:
    """Dicts with all columns that need not be there, and how many came without one; and what is not read, in words."""
    fields = fields_of(roles)
    optional = [each.column for each in fields if not each.required]
    lacking = Counter(column for column in optional for row in rows if column not in row)
    strange = sorted({str(key) for row in rows for key in row} - {each.column for each in fields})
    notes = [f"{count:,} appended events without a column {column!r}: read as missing"
             for column, count in lacking.items()]  # fmt: skip
    notes += [f"columns of appended events that are not read: {listed(strange)}"] if strange else []
    return [{**dict.fromkeys(optional), **row} for row in rows] if lacking else rows, notes


def _regrouped(
    stored: Sequence[Block], rows: EventRows, recoding: Recoding, roles: Roles, ledger: Ledger, most: int
) -> tuple[list[Block], Ledger]:
    """The blocks with the customers of the new rows grouped again, and what is counted over them."""
    if not rows.time.size:
        return list(stored), ledger
    events = sum(block.events for block in stored) + rows.time.size
    size, vocabulary = min(pieces.size_of_pieces(events), most), recoding.vocabulary
    kept, old = _parted(stored, np.unique(rows.customer), size)
    facts = ledger.facts
    before = [evolve(_demoted(block, roles, facts), vocabulary=vocabulary) for block in old]
    fresh = group(_joined([*map(_rows_of, before), _in_order(rows)]), vocabulary)
    left = tuple(constant(fresh, facts))
    fresh = [promoted(block, left) for block in fresh]
    gone = tuple(name for name in facts if name not in left)
    if gone:
        kept = [_demoted(block, roles, gone) for block in kept]
    after = evolve(ledger_of(fresh, vocabulary, roles), facts=left, spans=spans_of(fresh, list(roles.named)))
    return pieces.gathered([*kept, *fresh], size, vocabulary), ledger.replacing(
        ledger_of(old, vocabulary, roles), after
    )


def _parted(blocks: Sequence[Block], wanted: Keys, size: int) -> tuple[list[Block], list[Block]]:
    """What stays as it is, and the customers who are grouped again."""
    if sum(block.events for block in blocks) < _MANY or wanted.size < len(blocks):
        found = [pieces.taken_out(block, wanted, size) for block in blocks]
    else:
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            found = list(pool.map(lambda block: pieces.taken_out(block, wanted, size), blocks))
    return [each for stay, _ in found for each in stay], [each for _, concerned in found for each in concerned]


def _described(
    population: MemoryPopulation, vocabulary: Vocabulary, roles: Roles, ledger: Ledger
) -> tuple[Vocabulary, list[str]]:
    """The vocabulary with the facts about touchpoints, found and from catalogues; the same one where none changed."""
    out, notes = described(vocabulary, roles, ledger), list[str]()
    for entries in population.catalogues:
        out, more = described_by(out, entries)
        notes += more
    old, new = vocabulary.touchpoint_columns, out.touchpoint_columns
    same = old.keys() == new.keys() and all(
        np.array_equal(old[name][0], new[name][0]) and list(old[name][1].names) == list(new[name][1].names)
        for name in old
    )
    return vocabulary if same else out, notes


def _told(population: MemoryPopulation, parts: Sequence[Block], ledger: Ledger) -> list[str]:
    waiting = [] if population.keeper is None else [waiting_on_disk(len(population.parts))]
    return [*findings(parts, ledger, population.renaming), *waiting]


def _catalogued(population: MemoryPopulation) -> list[str]:
    """What the catalogues noted so far."""
    return [note for entries in population.catalogues for note in described_by(population.vocabulary, entries)[1]]


def _agreeing(block: Block, vocabulary: Vocabulary) -> Block:
    """The block in a vocabulary; one whose codes all mean the same is left alone."""
    return block if block.vocabulary.means_the_same(vocabulary) else evolve(block, vocabulary=vocabulary)


def _declared(blocks: Sequence[Block], limit: int | None) -> list[Block]:
    """Which journeys are in progress now that the data end later; a block where nothing changes is left alone."""
    if limit is None:
        return list(blocks)
    end = max((int(block.time[block.last].max()) for block in blocks if block.events), default=0)
    out = []
    for block in blocks:
        now = with_inactivity(block, limit, end)
        same = block.still_open is not None and np.array_equal(block.still_open, cast("Any", now.still_open))
        out.append(block if same else now)
        block.forget()
    return out


def _demoted(block: Block, roles: Roles, facts: Sequence[str]) -> Block:
    """Facts about journeys as facts about their events again: the new rows decide anew."""
    events = {**block.event_columns, **{name: block.journey_columns[name][block.journey] for name in facts}}
    order = [*roles.named, *roles.attributes]
    return evolve(
        block,
        event_columns={name: events[name] for name in order if name in events},
        journey_columns={name: column for name, column in block.journey_columns.items() if name not in facts},
    )


def _rows_of(block: Block) -> EventRows:
    """The events of a block as rows."""
    return EventRows(
        customer=block.customer[block.customer_of_journey[block.journey]], touchpoint=block.touchpoint, time=block.time,
        journey=None if block.journey_id is None else block.journey_id[block.journey], until=block.until,
        value=block.value, columns=dict(block.event_columns),
    )  # fmt: skip


def _in_order(rows: EventRows) -> EventRows:
    """New rows by time and their order columns, which are not kept beyond the reading."""
    if not rows.order:
        return rows
    place = np.lexsort((*reversed(rows.order), rows.time))
    return evolve(rows.picked(lambda array: array[place]), order=())


def _joined(parts: Sequence[EventRows]) -> EventRows:
    """Rows one after the other: stored ones first, so that they come first where times are equal."""

    def column(values: Sequence[Any]) -> Any:
        return None if values[0] is None else np.concatenate(values)

    return EventRows(
        customer=column([part.customer for part in parts]), touchpoint=column([part.touchpoint for part in parts]),
        time=column([part.time for part in parts]), journey=column([part.journey for part in parts]),
        until=column([part.until for part in parts]), value=column([part.value for part in parts]),
        columns={name: column([part.columns[name] for part in parts]) for name in parts[0].columns},
    )  # fmt: skip


def _both(a: Reading, b: Reading, told: Sequence[str]) -> Reading:
    """Both readings; what was told of the events so far is told of all events instead."""
    rejected: dict[str, Count] = dict(a.rejected)
    for reason, count in b.rejected.items():
        rejected[reason] = rejected.get(reason, Count(0)).plus(count)
    notes = [note for note in a.notes if note not in told] + list(b.notes)
    return Reading(rows=a.rows + b.rows, kept=a.kept + b.kept, rejected=rejected, notes=_summed(notes))


def _summed(notes: Sequence[str]) -> tuple[str, ...]:
    """The notes, each once; of those that count the same, one with the sum."""
    counts: dict[str, int] = {}
    endings: dict[str, str] = {}
    for note in notes:
        found = _COUNTED.fullmatch(note)
        count, words = (int(found[1].replace(",", "") or 0), found[2]) if found else (-1, note)
        counts[words] = count if count < 0 else counts.get(words, 0) + count
        endings.setdefault(words, (found[3] or "") if found else "")
    return tuple((words if count < 0 else f"{count:,} {words}") + endings[words] for words, count in counts.items())
