"""Reading events: roles of columns, the scan, and the blocks."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Labels, Vocabulary
from cxmodel.data.fields import Field
from cxmodel.data.grouping import GIANT, EventRows, constant, group, interleaved, promoted, repeated
from cxmodel.data.ledgers import Ledger
from cxmodel.data.lifecycles import Lifecycle, ends_after_begins, pair
from cxmodel.data.partitioning import STRETCH
from cxmodel.data.parts import StoredParts, after
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.renaming import Renaming, check, renaming_of
from cxmodel.data.roles import Roles
from cxmodel.data.rows import Scan, collected, prepare
from cxmodel.data.sources import ENGINE_NEEDS, open_tables
from cxmodel.data.spilling import SpillShelf, spill_limit
from cxmodel.data.storage import block_arrays, block_of, read_arrays, write_arrays
from cxmodel.data.temporary import SpillFolder, full_disk
from cxmodel.data.texts import Texts
from cxmodel.errors import InvalidValueError, NoRowsError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Reading
from cxmodel.stats.arrays import Ints, Keys, distinct_codes, mix, smallest_unsigned, windows
from cxmodel.typing import Source


def read(source: Source, roles: Roles, *, tz: str | None = None, memory_limit: str | None = None) -> MemoryPopulation:
    """Read events into a population.

    Args:
        source: What to read.
        roles: Which column plays which part.
        tz: Zone of times that name none.
        memory_limit: Limit of memory.

    Raises:
        NoRowsError: When no row could be kept.
        UnknownColumnError: When a named column is not there.
        InvalidValueError: When a rule holds an expression that the engine does not know.
    """
    fields = fields_of(roles)
    with open_tables(source, [each.column for each in fields], memory_limit=memory_limit) as (connection, tables):
        scan = prepare(connection, tables, fields, tz=tz)
        limit = spill_limit(scan, memory_limit)
        if limit is not None:
            return _spilled(scan, roles, limit)
        intake = _in_memory(scan, roles)
    return finished(group(intake.rows, intake.vocabulary), intake.vocabulary, roles, intake.reading, intake.renaming)


@frozen(eq=False)
class Intake:
    """Events in the order of the source, what their codes mean, and what became of the rows and of their names."""

    rows: EventRows
    vocabulary: Vocabulary
    reading: Reading
    renaming: Renaming | None


def read_rows_of(source: Source, roles: Roles, *, tz: str | None = None) -> Intake:
    """Events in the order of the source."""
    fields = fields_of(roles)
    with open_tables(source, [each.column for each in fields]) as (connection, tables):
        return _in_memory(prepare(connection, tables, fields, tz=tz), roles)


def fields_of(roles: Roles) -> list[Field]:
    """What to read.

    Raises:
        InvalidValueError: A column is named twice.
    """
    overlap = sorted(set(roles.named) & set(roles.attributes))
    if overlap:
        raise InvalidValueError(f"{overlap[0]!r} is named twice: as a role and in attributes=")
    check(roles.rules)
    return roles.fields()


def _vocabulary(scan: Scan, renaming: Renaming | None) -> Vocabulary:
    labels, identifiers = scan.labels(), scan.identifiers()
    return Vocabulary(
        touchpoints=labels["touchpoint"].names[1:] if renaming is None else renaming.touchpoints,
        columns={role[1:]: labels.get(role) for role in scan.kinds() if _is(role, "=")},
        customers=identifiers["customer"],
        journeys=identifiers.get("journey"),
    )


def _in_memory(scan: Scan, roles: Roles) -> Intake:
    rows = collected(scan)
    renaming = renaming_of(rows.labels["touchpoint"].names[1:], roles)
    marks = {f"{role}:mark": absent for role, absent in rows.absent.items()}
    events, renaming, counts = events_of({**rows.arrays, **marks}, rows.labels, roles, renaming)
    reading = rows.reading if renaming is None else renaming.told(rows.reading)
    if not events.time.size:
        raise NoRowsError("no event could be kept", hint=str(reading))
    return Intake(events, _vocabulary(scan, renaming), reading.noting(*counted(counts)), renaming)


def events_of(
    arrays: Mapping[str, NDArray[Any]], labels: Mapping[str, Labels], roles: Roles, renaming: Renaming | None
) -> tuple[EventRows, Renaming | None, dict[str, int]]:
    """Events with touchpoints by the rules, and with ends where the log has rows for starts and completes.

    An end before its beginning says nothing: it is taken as unknown, and counted.

    Starts and completes are paired by their raw names: a rule never pairs what the log keeps apart.
    """
    if renaming is not None:
        raw = arrays["touchpoint"] - 1
        renaming, keep = renaming.counting(raw), renaming.kept(raw)
        arrays = arrays if keep is None else {role: array[keep] for role, array in arrays.items()}
    events, counts = event_rows(arrays, labels), dict[str, int]()
    if roles.lifecycle is not None:
        rule = Lifecycle.of(labels["lifecycle"], roles.lifecycle)
        instance = [arrays[name] for name in ("instance", "instance:mark") if name in arrays]
        events, counts = pair(events, rule, arrays["lifecycle"], instance)
    events, wrong = ends_after_begins(events)
    counts |= wrong
    return events if renaming is None else renaming.renamed(events), renaming, counts


def counted(counts: Mapping[str, int]) -> list[str]:
    """Counts that are not 0, in words."""
    return [f"{count:,} {words}" for words, count in counts.items() if count]


def _spilled(scan: Scan, roles: Roles, limit: float) -> MemoryPopulation:
    """The population of blocks on disk: rows go through one file per partition of customers."""
    folder = SpillFolder(limit)
    try:
        return _by_partition(scan, roles, folder)
    except BaseException as error:
        # whoever keeps the error keeps all that it passed through: the folder must not wait for that
        folder.close()
        if isinstance(error, OSError):
            raise full_disk(error) from None
        raise


def _by_partition(scan: Scan, roles: Roles, folder: SpillFolder) -> MemoryPopulation:
    labels = scan.labels()
    renaming = renaming_of(labels["touchpoint"].names[1:], roles)
    vocabulary = _vocabulary(scan, renaming)
    shelf = SpillShelf(scan, folder.path, folder.rows_per_block)
    counts: Counter[str] = Counter()
    blocks: list[Callable[[], Block]] = []
    largest = 0
    scan.run(shelf, shelf.tally)
    shelf.flush()
    for number, arrays in shelf.partitions():
        events, renaming, met = events_of(arrays, labels, roles, renaming)
        counts.update(met)
        for i, block in enumerate(group(events, vocabulary, rows_per_block=2 * folder.rows_per_block)):
            entry = write_arrays(folder.path / f"block-{number:05d}-{i}.bin", block_arrays(block))
            blocks.append(partial(_stored, folder, entry, vocabulary))
            largest = max(largest, int(np.diff(block.journey_offsets[block.customer_offsets]).max()))
    reading = scan.reading(shelf.tally, shelf.kept)
    reading = reading if renaming is None else renaming.told(reading)
    if not blocks:
        raise NoRowsError("no event could be kept", hint=str(reading))
    beyond = _beyond(folder, largest)
    reading = reading.noting(
        *counted(counts), *beyond, f"{len(blocks):,} blocks of journeys wait on disk, not in memory"
    )
    return evolve(finished(StoredParts(blocks), vocabulary, roles, reading, renaming), keeper=folder)


def _beyond(folder: SpillFolder, largest: int) -> list[str]:
    """What cannot keep to the limit, in words."""
    notes = []
    if folder.limit < ENGINE_NEEDS:
        notes.append(f"the engine that reads may take {ENGINE_NEEDS >> 20} MiB, more than the limit of memory")
    if not folder.fits(largest):
        notes.append(
            f"one customer has {largest:,} events, which are looked at together: more than the limit of memory holds"
        )
    return notes


def _stored(folder: SpillFolder, entry: dict[str, Any], vocabulary: Vocabulary) -> Block:
    return block_of(read_arrays(folder.path, entry, verify=False), vocabulary)


def finished(
    parts: Sequence[Block], vocabulary: Vocabulary, roles: Roles, reading: Reading, renaming: Renaming | None,
    ledger: Ledger | None = None,
) -> MemoryPopulation:  # fmt: skip
    """The population of grouped blocks: facts of journeys and touchpoints found, oddities noted.

    Args:
        parts: The blocks.
        vocabulary: What their codes mean.
        roles: How they were read.
        reading: What became of the rows.
        renaming: What became of the names.
        ledger: What is counted over the blocks, where it is known.
    """
    facts = constant(parts, roles.attributes)
    blocks = after(parts, lambda block: promoted(block, facts)) if facts else parts
    ledger = ledger or ledger_of(blocks, vocabulary, roles)
    notes = oddities(facts, ledger.crossed, ledger.twins) + [note for block in blocks for note in giants(block)]
    reading = reading.noting(*notes, *(renaming.report().notes() if renaming else ()))
    found = _touchpoint_facts(blocks, vocabulary, list(roles.named))
    described = {name: each for name, each in vocabulary.touchpoint_columns.items() if name not in roles.named}
    vocabulary = evolve(vocabulary, touchpoint_columns={**described, **found})
    blocks = after(blocks, lambda block: evolve(block, vocabulary=vocabulary))
    return MemoryPopulation(
        parts=blocks, vocabulary=vocabulary, reading=reading, currency=roles.currency, roles=roles,
        renaming=renaming, ledger=None if isinstance(blocks, StoredParts) else ledger.of(blocks),
        origin=Origin(source=digest(ledger.keys), rejected=reading.rejected_rows),
    )  # fmt: skip


def event_rows(arrays: Mapping[str, NDArray[Any]], labels: Mapping[str, Labels]) -> EventRows:
    """Scanned arrays as events."""
    touchpoint = arrays["touchpoint"] - 1  # code 0 of a label is "missing"; touchpoints are always there
    return EventRows(
        customer=arrays["customer"], touchpoint=touchpoint, time=arrays["time"], journey=arrays.get("journey"),
        until=arrays.get("until"), value=arrays.get("value"),
        columns={role[1:]: array for role, array in arrays.items() if _is(role, "=")},
        order=[_rank(array, labels.get(role)) for role, array in arrays.items() if _is(role, "<")],
    )  # fmt: skip


def _is(role: str, mark: str) -> bool:
    return role.startswith(mark) and not role.endswith(":mark")


def _rank(array: NDArray[Any], labels: Labels | None) -> NDArray[Any]:
    """What to sort by: texts that are all numbers sort as numbers, as they would from a source with types."""
    if labels is None:
        return array
    try:
        numbers = np.array([float(text) for text in labels.names[1:]])
    except ValueError:
        return array
    return np.concatenate([[-np.inf], numbers])[array]  # type: ignore[no-any-return]


def _touchpoint_facts(
    blocks: Sequence[Block], vocabulary: Vocabulary, names: Sequence[str]
) -> dict[str, tuple[NDArray[Any], Labels]]:
    """Named columns that hold one value at each touchpoint: they describe the touchpoint as well as the event."""
    facts = {}
    for name in names:
        labels = vocabulary.columns[name]
        lowest, highest = zip(*(codes_by_touchpoint(block, name) for block in blocks), strict=True)
        found = None if labels is None else one_code(np.minimum.reduce(lowest), np.maximum.reduce(highest), labels)
        if found is not None:
            facts[name] = found
    return facts


def codes_by_touchpoint(block: Block, name: str) -> tuple[Ints, Ints]:
    """(touchpoints,) lowest and highest code of a coded column there; the largest int64 and 0 where it has none."""
    vocabulary = block.vocabulary
    lowest = np.full(len(vocabulary.touchpoints), np.iinfo(np.int64).max)
    highest = np.zeros(len(vocabulary.touchpoints), np.int64)
    size = len(vocabulary.columns[name] or "")
    rows = np.flatnonzero(block.event_columns[name])
    pair = distinct_codes(block.touchpoint[rows].astype(np.int64) * size + block.event_columns[name][rows])
    touchpoint, code = pair // max(size, 1), pair % max(size, 1)
    np.minimum.at(lowest, touchpoint, code)
    np.maximum.at(highest, touchpoint, code)
    return lowest, highest


def one_code(lowest: Ints, highest: Ints, labels: Labels) -> tuple[NDArray[Any], Labels] | None:
    """The fact about touchpoints that a column is, where no touchpoint has two of its codes."""
    if not highest.any() or not ((lowest == highest) | (highest == 0)).all():
        return None
    return highest.astype(smallest_unsigned(len(labels))), labels


def ledger_of(blocks: Sequence[Block], vocabulary: Vocabulary, roles: Roles) -> Ledger:
    """Count over some blocks, which are looked at side by side."""
    names = Texts.of(vocabulary.touchpoints).keys()

    def counts(number: int) -> tuple[int, int, int]:
        block = blocks[number]
        crossed = interleaved(block) if roles.journey is not None else 0
        found = key_sum(block, names), crossed, repeated(block)
        block.forget()
        return found

    with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
        each = list(pool.map(counts, range(len(blocks))))
    keys, crossed, twins = (sum(column) for column in zip(*each, strict=True)) if each else (0, 0, 0)
    return Ledger(keys % 2**64, crossed, twins)


def oddities(facts: Sequence[str], crossed: int, twins: int) -> list[str]:
    """Names of facts about journeys, interleaved journeys and repeated events, in words."""
    notes = [f"facts about the journey (one value in each): {', '.join(facts)}"] if facts else []
    if crossed:
        notes.append(f"{crossed:,} journeys begin before an earlier one of the same customer has ended")
    if twins:
        notes.append(f"{twins:,} events repeat an earlier one of their journey in touchpoint and time; all were kept")
    return notes


def giants(block: Block) -> list[str]:
    """Customers with more events than a customer has, in words."""
    events = block.journey_offsets[block.customer_offsets]
    names = block.vocabulary.customers
    return [
        f"customer {names.text(int(block.customer[row]))!r} has {events[row + 1] - events[row]:,} events: "
        "a shared id or a robot?"
        for row in np.flatnonzero(np.diff(events) > GIANT)
    ]


def key_sum(block: Block, names: Keys) -> int:
    """What a block adds to the fingerprint: a key of each customer's journeys, each of which is a key of its events.

    Keys are summed before they are mixed, so no order of events, journeys and customers matters, but who had which.

    Args:
        block: Whole customers.
        names: Keys of the touchpoints' names.
    """
    times, total = block.time.view(np.uint64), 0
    for a, b in windows(np.diff(block.journey_offsets[block.customer_offsets]), STRETCH):
        journeys_of = block.customer_offsets[a : b + 1]
        events_of_each = block.journey_offsets[journeys_of[0] : journeys_of[-1] + 1]
        rows = slice(int(events_of_each[0]), int(events_of_each[-1]))
        events = mix(times[rows] ^ names[block.touchpoint[rows]])
        journeys = mix(_sums(events, events_of_each), 1)
        customers = mix(_sums(journeys, journeys_of), 2)
        total += int(np.add.reduce(customers, dtype=np.uint64))
    return total


def _sums(keys: Keys, offsets: Ints) -> Keys:
    """The sum of the keys of each segment, modulo 2⁶⁴; offsets count from the first of them."""
    before = np.zeros(keys.size + 1, np.uint64)
    np.cumsum(keys, out=before[1:])
    sums: Keys = np.diff(before[offsets - offsets[0]])
    return sums


def digest(total: int) -> str:
    """The fingerprint of the summed keys: equal for the same events in the same journeys, in whatever order of rows."""
    return hashlib.blake2b((total % 2**64).to_bytes(8, "little"), digest_size=8).hexdigest()
