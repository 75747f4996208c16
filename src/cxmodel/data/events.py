"""Reading events: roles of columns, the scan, and the blocks."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Labels, Vocabulary
from cxmodel.data.fields import Field
from cxmodel.data.grouping import GIANT, EventRows, constant, group, identified, interleaved, promoted, repeated
from cxmodel.data.ledgers import Ledger
from cxmodel.data.lifecycles import Lifecycle, ends_after_begins, pair
from cxmodel.data.partitioning import STRETCH
from cxmodel.data.parts import StoredParts, after
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.renaming import Renaming, check, renaming_of
from cxmodel.data.roles import Roles
from cxmodel.data.rows import Rows, Scan, collected, prepare
from cxmodel.data.sources import ENGINE_NEEDS, open_tables
from cxmodel.data.spilling import SpillShelf, spill_limit
from cxmodel.data.storage import block_arrays, block_of, read_arrays, write_arrays
from cxmodel.data.temporary import SpillFolder, full_disk
from cxmodel.data.texts import Identifiers
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
    roles = evolve(roles, tz=tz)
    fields = fields_of(roles)
    with open_tables(source, [each.column for each in fields], memory_limit=memory_limit) as (connection, tables):
        scan = prepare(connection, tables, fields, tz=tz, spelled=["customer"])
        limit = spill_limit(scan, memory_limit)
        if limit is not None:
            return _spilled(scan.listing(), roles, limit)
        rows = collected(scan)
    intake = intake_of(rows, roles, renaming_of(rows.labels["touchpoint"].names[1:], roles))
    if not intake.rows.time.size:
        raise NoRowsError("no event could be kept", hint=str(intake.reading))
    blocks, vocabulary = _blocks(intake, spelled="customer" in rows.spelling)
    return finished(blocks, vocabulary, roles, intake.reading, intake.renaming)


def _blocks(intake: Intake, *, spelled: bool) -> tuple[list[Block], Vocabulary]:
    if not spelled:
        return group(intake.rows, intake.vocabulary), intake.vocabulary
    blocks, customers = identified(intake.rows, intake.vocabulary)
    return blocks, intake.vocabulary.changed(customers=customers)


@frozen(eq=False)
class Intake:
    """Events in the order of the source, what their codes mean, and what became of the rows and of their names."""

    rows: EventRows
    vocabulary: Vocabulary
    reading: Reading
    renaming: Renaming | None


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


def _vocabulary(
    roles: Iterable[str], labels: Mapping[str, Labels], ids: Mapping[str, Identifiers], renaming: Renaming | None
) -> Vocabulary:
    return Vocabulary(
        touchpoints=labels["touchpoint"].names[1:] if renaming is None else renaming.touchpoints,
        columns={role[1:]: labels.get(role) for role in roles if _is(role, "=")},
        customers=ids.get("customer", Identifiers()),
        journeys=ids.get("journey"),
    )


def intake_of(rows: Rows, roles: Roles, renaming: Renaming | None) -> Intake:
    """Rows as events; there may be none.

    Args:
        rows: What was read.
        roles: How.
        renaming: What the rules make of the names; None without rules.
    """
    marks = {f"{role}:mark": absent for role, absent in rows.absent.items()}
    words = {f"customer:{i}": word for i, word in enumerate(rows.spelling.get("customer", ()))}
    events, renaming, counts = events_of({**rows.arrays, **marks, **words}, rows.labels, roles, renaming)
    reading = rows.reading if renaming is None else renaming.told(rows.reading)
    vocabulary = _vocabulary(rows.arrays, rows.labels, rows.identifiers, renaming)
    return Intake(events, vocabulary, reading.noting(*counted(counts)), renaming)


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
    vocabulary = _vocabulary(scan.kinds(), labels, scan.identifiers(), renaming)
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
    reading = reading.noting(*counted(counts), *beyond, waiting_on_disk(len(blocks)))
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


def waiting_on_disk(blocks: int) -> str:
    """How many blocks are not in memory, in words."""
    return f"{blocks:,} blocks of journeys wait on disk, not in memory"


def _stored(folder: SpillFolder, entry: dict[str, Any], vocabulary: Vocabulary) -> Block:
    return block_of(read_arrays(folder.path, entry, verify=False), vocabulary)


def finished(
    parts: Sequence[Block], vocabulary: Vocabulary, roles: Roles, reading: Reading, renaming: Renaming | None
) -> MemoryPopulation:
    """The population of grouped blocks: facts of journeys and touchpoints found, oddities noted.

    Args:
        parts: The blocks.
        vocabulary: What their codes mean.
        roles: How they were read.
        reading: What became of the rows.
        renaming: What became of the names.
    """
    facts = constant(parts, roles.attributes)
    blocks = after(parts, lambda block: promoted(block, facts)) if facts else parts
    ledger = evolve(ledger_of(blocks, vocabulary, roles), facts=tuple(facts), spans=spans_of(blocks, list(roles.named)))
    vocabulary = described(vocabulary, roles, ledger)
    blocks = after(blocks, lambda block: evolve(block, vocabulary=vocabulary))
    reading = reading.noting(*findings(blocks, ledger, renaming))
    return MemoryPopulation(
        parts=blocks, vocabulary=vocabulary, reading=reading, currency=roles.currency, roles=roles,
        renaming=renaming, ledger=None if isinstance(blocks, StoredParts) else ledger.of(blocks),
        origin=Origin(source=digest(ledger.keys), rejected=reading.rejected_rows),
    )  # fmt: skip


def ledger_again(blocks: Sequence[Block], vocabulary: Vocabulary, roles: Roles) -> Ledger:
    """Count over blocks that were finished before, in which facts of journeys and touchpoints were found."""
    facts = tuple(name for name in roles.attributes if blocks and name in blocks[0].journey_columns)
    return evolve(ledger_of(blocks, vocabulary, roles), facts=facts, spans=spans_of(blocks, list(roles.named)))


def findings(blocks: Sequence[Block], ledger: Ledger, renaming: Renaming | None) -> list[str]:
    """What the events and the rules showed, in words: true of these events, and of no part of them."""
    notes = oddities(ledger.facts, ledger.crossed, ledger.twins) + [note for block in blocks for note in giants(block)]
    return [*notes, *(renaming.report().notes() if renaming else ())]


def described(vocabulary: Vocabulary, roles: Roles, ledger: Ledger) -> Vocabulary:
    """Named columns that hold one value at each touchpoint describe the touchpoint as well as the event."""
    before = {name: each for name, each in vocabulary.touchpoint_columns.items() if name not in roles.named}
    found = {}
    for name, (lowest, highest) in ledger.spans.items():
        labels = vocabulary.columns[name]
        fact = None if labels is None else one_code(lowest, highest, labels)
        if fact is not None:
            found[name] = fact
    return vocabulary.changed(touchpoint_columns={**before, **found})


def event_rows(arrays: Mapping[str, NDArray[Any]], labels: Mapping[str, Labels]) -> EventRows:
    """Scanned arrays as events."""
    touchpoint = arrays["touchpoint"] - 1  # code 0 of a label is "missing"; touchpoints are always there
    return EventRows(
        customer=arrays["customer"], touchpoint=touchpoint, time=arrays["time"], journey=arrays.get("journey"),
        until=arrays.get("until"), value=arrays.get("value"),
        columns={role[1:]: array for role, array in arrays.items() if _is(role, "=")},
        order=[_rank(array, labels.get(role)) for role, array in arrays.items() if _is(role, "<")],
        spelling=[array for role, array in arrays.items() if role.startswith("customer:")],
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


def spans_of(blocks: Sequence[Block], names: Sequence[str]) -> dict[str, tuple[Ints, Ints]]:
    """Lowest and highest code of named columns at each touchpoint."""
    spans = {}
    for name in names if blocks else ():
        lowest, highest = zip(*(codes_by_touchpoint(block, name) for block in blocks), strict=True)
        spans[name] = np.minimum.reduce(lowest), np.maximum.reduce(highest)
    return spans


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
    names = vocabulary.touchpoint_keys

    def counts(number: int) -> tuple[int, int, int]:
        block = blocks[number]
        crossed = interleaved(block) if roles.journey is not None else 0
        found = key_sum(block, names), crossed, repeated(block)
        block.forget()
        return found

    if len(blocks) < 2:
        each = [counts(number) for number in range(len(blocks))]
    else:
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
    if block.events <= GIANT:
        return []
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
