"""Rows: one scan of a source into arrays, with every rejected row counted by reason."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import numpy as np
from attrs import define, evolve, frozen
from attrs import field as field_
from numpy.typing import NDArray

from cxmodel.data.arrow import Column, batches
from cxmodel.data.blocks import Labels
from cxmodel.data.fields import (
    Field,
    fault_of,
    hash_of,
    is_integer,
    is_number,
    names_zone,
    number_of,
    text_of,
    time_of,
)
from cxmodel.data.listing import distinct_texts
from cxmodel.data.sources import Table, quoted
from cxmodel.data.spelling import MOST_BYTES, MOST_WORDS, UnspellableError, key_of, words_of
from cxmodel.data.texts import Identifiers, Texts
from cxmodel.data.times import Offsets
from cxmodel.errors import InvalidValueError
from cxmodel.model.readings import MOST_EXAMPLES, Count, Example, Reading
from cxmodel.stats.arrays import Bools, Ints, Keys, smallest_unsigned
from cxmodel.stats.key_tables import KeyTable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_FIRST_ROWS: Final = 2_000
_EPOCH_UNITS: Final = ((1e11, 1_000_000, "seconds"), (1e14, 1_000, "milliseconds"), (1e17, 1, "microseconds"))
# of 9, 10, 13 or 16 digits: seconds, milliseconds and microseconds of our time, never 20260131 or 20260131235959
_EPOCH_TEXT: Final = re.compile(r"-?(\d{9,10}|\d{13}|\d{16})(\.\d+)?")


@frozen(eq=False, kw_only=True)
class Rows:
    """The kept rows of a source as arrays.

    Attributes:
        size: Number of kept rows.
        arrays: Role → ids as source keys, texts as codes, numbers, times in µs UTC.
        identifiers: Role of an id → its distinct ids.
        labels: Role of a coded text → its labels; code 0 is missing.
        absent: Role of an optional id → where a row has none.
        spelling: Role of an id whose texts were spelled, not listed → the words behind the first.
        reading: What became of the rows.
        tally: The same as counts, which merge.
    """

    size: int
    arrays: Mapping[str, NDArray[Any]]
    absent: Mapping[str, Bools]
    identifiers: Mapping[str, Identifiers]
    labels: Mapping[str, Labels]
    reading: Reading
    tally: ScanTally
    spelling: Mapping[str, Sequence[Keys]] = field_(factory=dict)


@define(eq=False)
class _Plan:
    """How one field is read from every table of a source."""

    field: Field
    as_integer: bool = False
    as_number: bool = False
    salt: int = 0
    unit: int | None = None
    table: KeyTable | None = None
    labels: Labels | None = None
    identifiers: Identifiers | None = None
    blank: Keys = field_(factory=lambda: np.zeros(0, np.uint64))
    spelled: bool = False
    words: int = 0


@define(eq=False)
class ScanTally:
    """Counts of rejected and odd rows while scanning."""

    rejected: dict[str, Count] = field_(factory=dict)
    odd: dict[str, Count] = field_(factory=dict)
    moved: int = 0
    ambiguous: int = 0

    @staticmethod
    def count(
        into: dict[str, Count], reason: str, rows: NDArray[np.intp], start: int, table: Table,
        texts: Sequence[str | None],
    ) -> None:  # fmt: skip
        """Count rows for a reason, with the first few as examples."""
        if rows.size:
            shown = zip(rows, texts, strict=False)
            examples = tuple(Example(table.name, table.row(start + int(row) + 1), text) for row, text in shown)
            into[reason] = into.get(reason, Count(0)).plus(Count(int(rows.size), examples))

    def notes_on_times(self, tz: str | None) -> list[str]:
        """What was done to wall clocks of this zone, in words."""
        notes = []
        if self.moved:
            notes.append(f"{self.moved:,} times do not exist in {tz} and moved forward")
        if self.ambiguous:
            notes.append(f"{self.ambiguous:,} times are ambiguous in {tz}; the first reading was taken")
        return notes

    def notes_on_values(self) -> list[str]:
        """What was read as missing, in words."""
        return [f"{each.count:,} rows: {why}; first: {each.examples[0].value!r}" for why, each in self.odd.items()]


class Shelf(Protocol):
    """Where the kept rows of a scan go: arrays in memory, or files of their partitions."""

    def room(self, size: int) -> Mapping[str, NDArray[Any]]:
        """Role (or ``role:mark``) → an array of this size to fill with the next kept rows."""
        ...

    def word(self, role: str) -> Keys:
        """Room for a further word of this role's ids in the rows that are filled now; all were 0 before."""
        ...

    def filled(self) -> None:
        """The room that was given last is filled."""
        ...


@define(eq=False)
class MemoryShelf:
    """All rows in arrays of their full size."""

    arrays: dict[str, NDArray[Any]]
    at: int = 0
    size: int = 0

    def room(self, size: int) -> Mapping[str, NDArray[Any]]:
        """The next rows of the arrays."""
        self.size = size
        return {role: array[self.at : self.at + size] for role, array in self.arrays.items()}

    def word(self, role: str) -> Keys:
        """The same rows of a column that begins with zeros."""
        if role not in self.arrays:
            self.arrays[role] = np.zeros(next(iter(self.arrays.values())).size, np.uint64)
        return self.arrays[role][self.at : self.at + self.size]

    def filled(self) -> None:
        """Go on behind them."""
        self.at += self.size


@frozen(eq=False)
class Scan:
    """How a source will be read: prepared, but not scanned yet.

    Attributes:
        connection: The engine that holds the tables.
        tables: Tables in order.
        plans: How each field is read.
        rows: Number of rows.
        tz: Zone of times that name none.
    """

    connection: DuckDBPyConnection
    tables: Sequence[Table]
    plans: Sequence[_Plan]
    rows: int
    tz: str | None

    def listing(self) -> Scan:
        """The same with all ids listed beforehand."""
        plans = [evolve(plan, spelled=False) for plan in self.plans]
        for before, plan in zip(self.plans, plans, strict=True):
            if before.spelled:
                _list_texts(self.connection, self.tables, plan)
        return evolve(self, plans=plans)

    @property
    def row_bytes(self) -> int:
        """Bytes of a row in the arrays, without the further words of ids."""
        return sum(kind.itemsize for kind in self.kinds().values())

    @property
    def word_bytes(self) -> int:
        """Bytes of the further words that each row carries until it is grouped, as the first rows tell."""
        return 8 * sum(max(plan.words - 1, 0) for plan in self.plans if plan.spelled)

    def kinds(self) -> dict[str, np.dtype[Any]]:
        """Role → type of its array; marks (a time names its zone, an id is absent) stand behind a colon."""
        kinds = {plan.field.role: _dtype(plan) for plan in self.plans}
        return kinds | {f"{plan.field.role}:mark": np.dtype(np.bool_) for plan in self.plans if _is_marked(plan)}

    def run(self, shelf: Shelf, tally: ScanTally) -> None:
        """Scan all tables onto a shelf."""
        for table in self.tables:
            _scan(self.connection, table, self.plans, shelf, tally)

    def to_instants(self, arrays: Mapping[str, NDArray[Any]], tally: ScanTally) -> None:
        """Wall clocks become instants, in place; what had to be moved or chosen is counted."""
        if self.tz is None:
            return
        for plan in self.plans:
            if plan.field.kind == "time":
                role = plan.field.role
                to_instants(arrays[role], arrays[f"{role}:mark"], self.tz, tally)

    def identifiers(self) -> dict[str, Identifiers]:
        """Role of an id → its distinct ids."""
        return {plan.field.role: plan.identifiers for plan in self.plans if plan.identifiers is not None}

    def labels(self) -> dict[str, Labels]:
        """Role of a coded text → its labels."""
        return {plan.field.role: plan.labels for plan in self.plans if plan.labels is not None}

    def reading(self, tally: ScanTally, kept: int) -> Reading:
        """What became of the rows."""
        notes = [*tally.notes_on_times(self.tz), *(_epoch_note(plan) for plan in self.plans if plan.unit)]
        notes += tally.notes_on_values()
        faults: dict[str, Count] = {}
        for table in self.tables:
            for reason, each in table.faults.items():
                faults[reason] = faults.get(reason, Count(0)).plus(each)
        rows = self.rows + sum(each.count for each in faults.values())
        return Reading(rows=rows, kept=kept, rejected={**faults, **tally.rejected}, notes=tuple(notes))


def prepare(
    connection: DuckDBPyConnection,
    tables: Sequence[Table],
    fields: Sequence[Field],
    *,
    tz: str | None = None,
    spelled: Collection[str] = (),
) -> Scan:
    """List the distinct texts and count the rows.

    Args:
        connection: The engine that holds the tables.
        tables: Tables in order.
        fields: What to read.
        tz: Zone of times that name none; UTC when None.
        spelled: Roles of ids that are spelled while rows are read into memory, where they are texts: nobody lists them
            before.
    """
    plans = [_plan(connection, tables, each, spelled) for each in fields]
    rows = sum(int(connection.execute(f"SELECT count(*) FROM {table.sql}").fetchall()[0][0]) for table in tables)
    return Scan(connection, tables, plans, rows, tz)


def read_rows(
    connection: DuckDBPyConnection, tables: Sequence[Table], fields: Sequence[Field], *, tz: str | None = None
) -> Rows:
    """Scan the tables once into memory and encode the fields; the arguments are those of `prepare`."""
    return collected(prepare(connection, tables, fields, tz=tz))


def collected(scan: Scan) -> Rows:
    """The kept rows in memory; ids that cannot be spelled are listed after all."""
    try:
        return _collected(scan)
    except UnspellableError:
        return _collected(scan.listing())


def _collected(scan: Scan) -> Rows:
    shelf = MemoryShelf({role: np.empty(scan.rows, kind) for role, kind in scan.kinds().items()})
    tally = ScanTally()
    scan.run(shelf, tally)
    arrays = {role: array[: shelf.at] for role, array in shelf.arrays.items()}
    scan.to_instants(arrays, tally)
    optional = [plan.field.role for plan in scan.plans if plan.field.kind == "id" and not plan.field.required]
    spelled = [plan.field.role for plan in scan.plans if plan.spelled]
    return Rows(
        size=shelf.at,
        arrays={role: array for role, array in arrays.items() if ":" not in role},
        identifiers=scan.identifiers(),
        labels=scan.labels(),
        absent={role: arrays[f"{role}:mark"] for role in optional},
        spelling={role: [array for name, array in arrays.items() if name.startswith(f"{role}:")] for role in spelled},
        reading=scan.reading(tally, shelf.at),
        tally=tally,
    )


def _plan(connection: DuckDBPyConnection, tables: Sequence[Table], each: Field, spelled: Collection[str]) -> _Plan:
    types = [table.columns[each.column] for table in tables]
    plan = _Plan(each)
    if each.kind == "id" and all(is_integer(type_) for type_ in types):
        plan.as_integer, plan.identifiers = True, Identifiers()
    elif each.kind == "number" or (each.kind == "any" and all(is_number(type_) for type_ in types)):
        plan.as_number = True
    elif each.kind == "time":
        plan.unit = _epoch_unit(connection, tables, each, types)
    else:
        words = _words(connection, tables[0], each) if each.role in spelled else MOST_WORDS + 1
        plan.spelled, plan.words = words <= MOST_WORDS, words
        if not plan.spelled:
            _list_texts(connection, tables, plan)
    return plan


def _words(connection: DuckDBPyConnection, table: Table, each: Field) -> int:
    """How many words the ids of the first rows have."""
    text = text_of(each.column, table.columns[each.column])
    query = f"SELECT max(strlen(x)) FROM (SELECT {text} AS x FROM {table.sql} LIMIT {_FIRST_ROWS})"
    return -(-int(connection.execute(query).fetchall()[0][0] or 0) // 8)


def _list_texts(connection: DuckDBPyConnection, tables: Sequence[Table], plan: _Plan) -> None:
    """The distinct texts of a column, as ids or as codes."""
    found = distinct_texts(connection, tables, plan.field.column)
    plan.salt, plan.blank = found.salt, found.blank
    if plan.field.kind == "id":
        plan.identifiers = Identifiers(found.keys, found.texts)
    else:
        plan.table, plan.labels = found.coded()


def _dtype(plan: _Plan) -> np.dtype[Any]:
    if plan.labels is not None:
        return np.dtype(smallest_unsigned(len(plan.labels)))
    if plan.field.kind == "id":
        return np.dtype(np.uint64)
    return np.dtype(np.float64 if plan.as_number else np.int64)


def _expressions(plan: _Plan, table: Table) -> list[str]:
    """What to select for a field: its value, then what else is needed to judge it."""
    column, type_ = plan.field.column, table.columns[plan.field.column]
    if plan.as_integer:
        return [f"{quoted(column)}::BIGINT"]
    if plan.as_number:
        value = number_of(column, type_)
        return [value] if is_number(type_) else [value, fault_of(column, value, type_)]
    if plan.field.kind == "time":
        value = time_of(column, type_, plan.unit)
        faults = [] if type_.startswith("TIMESTAMP") or type_ == "DATE" else [fault_of(column, value, type_)]
        return [value, names_zone(column, type_, plan.unit), *faults]
    text = text_of(column, type_)
    if not plan.spelled:
        return [hash_of(text, plan.salt)]
    # a batch of texts must fit memory however long they are: one byte too many is enough to see that one is too long
    return [f"(CASE WHEN strlen({text}) <= {MOST_BYTES} THEN {text} ELSE substr({text}, 1, {MOST_BYTES + 1}) END)"]


def _scan(connection: DuckDBPyConnection, table: Table, plans: Sequence[_Plan], shelf: Shelf, tally: ScanTally) -> None:
    """Scan one table onto a shelf."""
    expressions = [_expressions(plan, table) for plan in plans]
    query = "SELECT " + ", ".join(e for group in expressions for e in group) + f" FROM {table.sql}"
    start = 0
    for columns in batches(connection, query):
        cursor = iter(columns)
        groups = [_judged(plan, [next(cursor) for _ in group]) for plan, group in zip(plans, expressions, strict=True)]
        length = _length(groups[0][0])
        keep: Bools | None = None
        for plan, group in zip(plans, groups, strict=True):
            _count_odd(plan, group, start, table, tally)
            if plan.field.required and group[0].missing is not None and group[0].missing.any():
                lost = group[0].missing if keep is None else group[0].missing & keep
                _count_rejected(plan, group, lost, start, table, tally)
                keep = ~lost if keep is None else keep & ~lost
        room = shelf.room(length if keep is None else int(np.count_nonzero(keep)))
        for plan, group in zip(plans, groups, strict=True):
            _store(plan, group, keep, room[plan.field.role])
            for i, word in enumerate(group[1:] if plan.spelled else (), start=1):
                further = word.require()
                shelf.word(f"{plan.field.role}:{i}")[:] = further if keep is None else further[keep]
            if _is_marked(plan):
                flags = _marks(plan, group)
                room[f"{plan.field.role}:mark"][:] = flags if keep is None else flags[keep]
        shelf.filled()
        start += length


def _is_marked(plan: _Plan) -> bool:
    return plan.field.kind == "time" or (plan.field.kind == "id" and not plan.field.required)


def _judged(plan: _Plan, group: list[Column]) -> list[Column]:
    """A column of texts as keys, with its blank texts as missing; behind spelled ones their further words."""
    if plan.spelled and group[0].texts is not None:
        return _spelled(group[0].texts)
    if not plan.blank.size or group[0].values is None:
        return group
    blank = np.isin(group[0].values, plan.blank)
    return [Column(group[0].values, None, blank if blank.any() else None), *group[1:]]


def _spelled(texts: Texts) -> list[Column]:
    words = words_of(texts)
    blank = texts.blank(words[0].astype(np.uint8))
    return [
        Column(key_of(words), None, blank if blank.any() else None),
        *(Column(word, None, None) for word in words[1:]),
    ]


def _marks(plan: _Plan, group: Sequence[Column]) -> Bools:
    """Times that name their zone; ids that are absent."""
    if plan.field.kind == "time":
        return np.asarray(group[1].require() != 0)
    missing = group[0].missing
    return np.zeros(_length(group[0]), np.bool_) if missing is None else missing


def _length(column: Column) -> int:
    return len(column.texts) if column.texts is not None else int(column.require().size)


def _store(plan: _Plan, group: Sequence[Column], keep: Bools | None, out: NDArray[Any]) -> None:
    values, missing = group[0].require(), group[0].missing
    if keep is not None:
        values, missing = values[keep], None if missing is None else missing[keep]
    if plan.table is not None:
        out[:] = plan.table.codes(values)
        return
    out[:] = values.view(np.uint64) if plan.as_integer else values
    if missing is not None:
        out[missing] = np.nan if plan.as_number else np.iinfo(out.dtype).min


def _count_rejected(
    plan: _Plan, group: Sequence[Column], lost: Bools, start: int, table: Table, tally: ScanTally
) -> None:
    fault = group[-1] if len(group) > 1 and group[-1].texts is not None else None
    bad = lost if fault is None or fault.missing is None else lost & ~fault.missing
    if fault is None:
        bad = np.zeros_like(lost)
    elif fault.missing is None:
        bad = lost
    rows = np.flatnonzero(bad)
    texts = (
        [fault.texts[int(row)] for row in rows[:MOST_EXAMPLES]] if fault is not None and fault.texts is not None else []
    )
    what = "time that cannot be read" if plan.field.kind == "time" else f"{plan.field.role} that cannot be read"
    tally.count(tally.rejected, what, rows, start, table, texts)
    empty = np.flatnonzero(lost & ~bad)
    tally.count(tally.rejected, f"no {plan.field.role}", empty, start, table, [None] * MOST_EXAMPLES)


def _count_odd(plan: _Plan, group: Sequence[Column], start: int, table: Table, tally: ScanTally) -> None:
    fault = group[-1]
    if plan.field.required or len(group) == 1 or fault.texts is None:
        return
    rows = np.flatnonzero(~fault.missing) if fault.missing is not None else np.arange(len(fault.texts))
    texts = [fault.texts[int(row)] for row in rows[:MOST_EXAMPLES]]
    tally.count(
        tally.odd,
        f"{plan.field.column!r} is not a {plan.field.kind}, read as missing",
        rows,
        start,
        table,
        texts,
    )


def to_instants(times: Ints, zoned: Bools, tz: str, tally: ScanTally) -> None:
    """Wall clocks of a zone become instants, in place; those that name theirs are instants already."""
    naive = np.flatnonzero(~zoned & (times != np.iinfo(np.int64).min))
    wall: Ints = times[naive]
    times[naive], moved, ambiguous = Offsets.around(tz, wall).to_instants(wall)
    tally.moved += moved
    tally.ambiguous += ambiguous


def _epoch_unit(
    connection: DuckDBPyConnection, tables: Sequence[Table], each: Field, types: Sequence[str]
) -> int | None:
    """How many µs a number since 1970 is worth; None where the column holds written times."""
    column = quoted(each.column)
    told = {_since_1970(connection, table, column, type_) for table, type_ in zip(tables, types, strict=True)} - {None}
    if True not in told:
        return None
    if False in told:
        raise InvalidValueError(f"{each.column!r} is a number in one file and a time in another")
    number = f"TRY_CAST({column} AS DOUBLE)"
    highest = [
        connection.execute(f"SELECT max(abs({number})) FILTER (WHERE isfinite({number})) FROM {t.sql}").fetchall()[0][0]
        for t in tables
    ]
    size = max((float(value) for value in highest if value is not None), default=0.0)
    for limit, unit, _ in _EPOCH_UNITS:
        if size < limit:
            return unit
    raise InvalidValueError(
        f"{each.column!r} holds numbers up to {size:.3g}: no seconds, milliseconds or microseconds since 1970",
        hint="Turn them into times first",
    )


def _since_1970(connection: DuckDBPyConnection, table: Table, column: str, type_: str) -> bool | None:
    """Whether a column counts from 1970; of texts the first one tells, and None says that there is none."""
    if is_number(type_):
        return True
    if type_ != "VARCHAR":
        return False
    first = connection.execute(f"SELECT {column} FROM {table.sql} WHERE trim({column}) != '' LIMIT 1").fetchall()
    return _EPOCH_TEXT.fullmatch(first[0][0].strip()) is not None if first else None


def _epoch_note(plan: _Plan) -> str:
    words = next(name for _, unit, name in _EPOCH_UNITS if unit == plan.unit)
    return f"{plan.field.column!r} holds numbers: read as {words} since 1970"
