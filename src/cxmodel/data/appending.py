"""Appending: new events of known and new customers, without preparing everything again."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Labels, Vocabulary
from cxmodel.data.events import finished, ledger_of, read_rows_of
from cxmodel.data.grouping import EventRows, group
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.roles import Roles
from cxmodel.data.selecting import keep_journeys
from cxmodel.data.texts import Identifiers, Texts, find
from cxmodel.errors import InvalidValueError
from cxmodel.model.readings import Count, Reading
from cxmodel.stats.arrays import Ints, Keys, members, mix, smallest_unsigned
from cxmodel.typing import Source

SMALL: Final = 100_000


def append(population: MemoryPopulation, source: Source, *, tz: str | None = None) -> MemoryPopulation:
    """The population with further events; only the customers concerned are grouped again.

    New events follow stored ones of the same time. The columns are those of the first reading.

    Args:
        population: As it was read, before anything was selected, cut or attached.
        source: The new rows.
        tz: Zone of times that name none.

    Raises:
        InvalidValueError: When the population was selected from, cut, or carries answers.
    """
    roles = _appendable(population)
    new = read_rows_of(source, roles, tz=tz)
    vocabulary, codes, rows = _widened(population.vocabulary, new.vocabulary, new.rows)

    def look(block: Block) -> tuple[Block | None, Block | None]:
        return _parted(_recoded(_demoted(block, roles), vocabulary, codes), rows.customer)

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        parted = list(pool.map(look, population.parts))
    kept = [stays for stays, _ in parted if stays is not None]
    old = [concerned for _, concerned in parted if concerned is not None]
    fresh = group(_joined([*map(_rows_of, old), _in_order(rows)]), vocabulary)
    parts = [*kept, *fresh]
    ledger = population.ledger
    if ledger is None or not ledger.fits(population.parts):
        ledger = ledger_of(population.parts, population.vocabulary, roles)
    ledger = ledger.replacing(ledger_of(old, vocabulary, roles), ledger_of(fresh, vocabulary, roles))
    before, after = population.renaming, new.renaming
    renaming = before if before is None or after is None else before.plus(after)
    return finished(parts, vocabulary, roles, _both(population.reading, new.reading), renaming, ledger)


def _parted(block: Block, wanted: Keys) -> tuple[Block | None, Block | None]:
    """The customers of a block who stay as they are, and those who are grouped again.

    A small block is grouped again as a whole: else every appended part would leave one more block behind.
    """
    if block.events < SMALL:
        return None, block
    touched = members(block.customer, wanted)
    if not touched.any():
        return block, None
    inside = touched[block.customer_of_journey]
    return None if touched.all() else keep_journeys(block, ~inside), keep_journeys(block, inside)


def _appendable(population: MemoryPopulation) -> Roles:
    if any(block.answers is not None for block in population.parts):
        raise InvalidValueError(
            "cannot append events below attached answers", hint="Append the events first, then attach the answers"
        )
    if population.roles is None or population.origin.filters:
        what = ", ".join(population.origin.filters) or "journeys that were not read from a log"
        raise InvalidValueError(f"cannot append to {what}", hint="Append to what was read, then select and cut")
    if population.roles.lifecycle is not None:
        raise InvalidValueError("cannot append to a log of starts and completes: a pair may reach over both parts")
    return population.roles


@frozen(eq=False)
class _Codes:
    """From codes of one vocabulary to those of a wider one."""

    touchpoint: Ints
    columns: Mapping[str, Ints]


def _widened(old: Vocabulary, new: Vocabulary, rows: EventRows) -> tuple[Vocabulary, _Codes, EventRows]:
    """One vocabulary for both, the stored codes in its terms, and the new rows in its terms."""
    touchpoints, stored, fresh = _union(old.touchpoints, new.touchpoints)
    columns, stored_columns, recoded = dict(old.columns), {}, dict(rows.columns)
    for name, labels in new.columns.items():
        before = old.columns[name]
        if (before is None) != (labels is None):
            raise InvalidValueError(f"{name!r} holds numbers in one part and text in the other")
        if before is not None and labels is not None:
            merged, stored_columns[name], codes = _union(before.names, labels.names)
            columns[name] = Labels(merged)
            recoded[name] = codes[rows.columns[name]].astype(smallest_unsigned(len(merged)))
    customers, customer = _identified(old.customers, new.customers, rows.customer)
    journeys, journey = old.journeys, rows.journey
    if old.journeys is not None and new.journeys is not None and rows.journey is not None:
        journeys, journey = _identified(old.journeys, new.journeys, rows.journey)
    facts = {}
    for name, (code, described) in old.touchpoint_columns.items():
        wide = np.zeros_like(code, shape=len(touchpoints))
        wide[stored] = code
        facts[name] = (wide, described)
    wider = evolve(
        old, touchpoints=touchpoints, columns=columns, touchpoint_columns=facts, customers=customers, journeys=journeys
    )
    touchpoint = fresh[rows.touchpoint].astype(smallest_unsigned(len(touchpoints)))
    rows = evolve(rows, touchpoint=touchpoint, customer=customer, journey=journey, columns=recoded)
    return wider, _Codes(stored, stored_columns), rows


def _union(old: Sequence[str], new: Sequence[str]) -> tuple[list[str], Ints, Ints]:
    """All names in order, and the code among them of each old and each new name."""
    names = sorted({*old, *new})
    code = {name: i for i, name in enumerate(names)}
    stored, fresh = (np.array([code[name] for name in part], np.int64) for part in (old, new))
    return names, stored, fresh


def _identified(old: Identifiers, new: Identifiers, keys: Keys) -> tuple[Identifiers, Keys]:
    """Ids of both; known ids keep their key, new ones get one that no other id has."""
    if old.keys is None and new.keys is None:
        return old, keys
    distinct, place = np.unique(keys, return_inverse=True)
    texts = new.texts_of(distinct)
    known, found = find(old, texts)
    if old.keys is None or old.texts is None:
        if found.all():
            return old, known[place]
        raise InvalidValueError(
            f"the ids read first are whole numbers, {texts[int(np.flatnonzero(~found)[0])]!r} is not",
            hint="Read the first part with that column as text",
        )
    added = np.flatnonzero(~found)
    fresh = texts.take(added).keys()
    while members(fresh, old.keys).any() or np.unique(fresh).size < fresh.size:
        fresh = mix(np.add(fresh, np.arange(fresh.size, dtype=np.uint64), dtype=np.uint64))
    known[added] = fresh
    all_keys, all_texts = np.concatenate([old.keys, fresh]), Texts.joined([old.texts, texts.take(added)])
    order = np.argsort(all_keys)
    return Identifiers(all_keys[order], all_texts.take(order)), known[place]


def _demoted(block: Block, roles: Roles) -> Block:
    """Facts about journeys as facts about their events again: the new rows decide anew."""
    facts = [name for name in roles.attributes if name in block.journey_columns]
    return evolve(
        block,
        event_columns={**block.event_columns, **{name: block.journey_columns[name][block.journey] for name in facts}},
        journey_columns={name: column for name, column in block.journey_columns.items() if name not in facts},
    )


def _recoded(block: Block, vocabulary: Vocabulary, codes: _Codes) -> Block:
    """The block in the codes of the wider vocabulary."""
    columns: dict[str, NDArray[Any]] = dict(block.event_columns)
    for name, code in codes.columns.items():
        columns[name] = _mapped(columns[name], code, len(vocabulary.columns[name] or ""))
    touchpoint = _mapped(block.touchpoint, codes.touchpoint, len(vocabulary.touchpoints))
    return evolve(block, vocabulary=vocabulary, touchpoint=touchpoint, event_columns=columns)


def _mapped(column: NDArray[Any], code: Ints, size: int) -> NDArray[Any]:
    kind = smallest_unsigned(size)
    if np.array_equal(code, np.arange(code.size)):
        return column.astype(kind, copy=False)
    return np.asarray(code.astype(kind)[column])


def _rows_of(block: Block) -> EventRows:
    """The events of a block as rows."""
    if block.journey_columns:
        raise InvalidValueError(
            f"cannot append below the joined facts {', '.join(block.journey_columns)}",
            hint="Append the events first, then join the facts",
        )
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
    return evolve(
        rows, customer=rows.customer[place], touchpoint=rows.touchpoint[place], time=rows.time[place],
        journey=None if rows.journey is None else rows.journey[place],
        until=None if rows.until is None else rows.until[place],
        value=None if rows.value is None else rows.value[place],
        columns={name: column[place] for name, column in rows.columns.items()}, order=(),
    )  # fmt: skip


def _joined(parts: Sequence[EventRows]) -> EventRows:
    """Rows one after the other: stored ones first, so that they come first where times are equal."""
    first = parts[0]

    def column(values: Sequence[Any]) -> Any:
        return None if values[0] is None else np.concatenate(values)

    return EventRows(
        customer=column([part.customer for part in parts]), touchpoint=column([part.touchpoint for part in parts]),
        time=column([part.time for part in parts]), journey=column([part.journey for part in parts]),
        until=column([part.until for part in parts]), value=column([part.value for part in parts]),
        columns={name: column([part.columns[name] for part in parts]) for name in first.columns},
    )  # fmt: skip


def _both(a: Reading, b: Reading) -> Reading:
    rejected: dict[str, Count] = dict(a.rejected)
    for reason, count in b.rejected.items():
        rejected[reason] = rejected.get(reason, Count(0)).plus(count)
    return Reading(rows=a.rows + b.rows, kept=a.kept + b.kept, rejected=rejected, notes=b.notes)
