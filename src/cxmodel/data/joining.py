"""Joining: facts from other tables become columns of customers, journeys and touchpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from cxmodel.data.answers import IdColumn
from cxmodel.data.attaching import shared_ids
from cxmodel.data.blocks import Block, Labels, Vocabulary
from cxmodel.data.fields import Field
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.rows import Rows, read_rows
from cxmodel.data.sources import open_tables
from cxmodel.data.texts import Identifiers, Texts, find
from cxmodel.errors import InvalidValueError, NoRowsError, UnknownNameError, listed, unknown
from cxmodel.model.people import Touchpoint
from cxmodel.model.readings import Matched, Reading
from cxmodel.stats.arrays import Bools, Ints, Keys, smallest_unsigned
from cxmodel.typing import Population, Source

_FEW: Final = 0.05
_SHOWN: Final = 3
TOUCHPOINT_FACTS: Final = ("stage", "channel", "department", "kind", "initiator", "moment")


@frozen(kw_only=True, eq=False)
class FactRows:
    """Facts about customers or journeys, in the order of their table.

    Attributes:
        ids: ``"customer"``, ``"journey"`` or both → the ids to join on.
        columns: Name → codes or numbers.
        labels: Name → labels of its codes; None for numbers.
        shared: Where the id of a journey is known to be that of several customers, some of whom are elsewhere.
        reading: What became of the rows.
    """

    ids: Mapping[str, IdColumn]
    columns: Mapping[str, NDArray[Any]]
    labels: Mapping[str, Labels | None]
    shared: Bools
    reading: Reading

    @classmethod
    def of(cls, rows: Rows) -> FactRows:
        """The rows of a scan of `fields_of`."""
        here, size = rows.arrays, rows.size
        return cls(
            ids={role: IdColumn(each, here[role], np.zeros(size, np.bool_)) for role, each in rows.identifiers.items()},
            columns={role[1:]: here[role] for role in here if role.startswith("=")},
            labels={role[1:]: rows.labels.get(role) for role in here if role.startswith("=")},
            shared=np.zeros(size, np.bool_), reading=rows.reading,
        )  # fmt: skip


@frozen(kw_only=True)
class Meeting:
    """How a table met the journeys of some blocks, as a small state that merges.

    Attributes:
        matched: The counts.
        here: Role of an id → a few ids of these journeys.
        there: Role of an id → a few ids of the table.
    """

    matched: Matched
    here: Mapping[str, tuple[str, ...]] = field(factory=dict)
    there: Mapping[str, tuple[str, ...]] = field(factory=dict)

    def plus(self, other: Meeting) -> Meeting:
        """Both together."""
        return Meeting(
            matched=self.matched.plus(other.matched), here=_some_of(self.here, other.here),
            there=_some_of(self.there, other.there),
        )  # fmt: skip

    def told(self, columns: Sequence[str]) -> str:
        """What became of a join of these columns, in words.

        Raises:
            NoRowsError: Not one row matched.
        """
        shown = {
            role: f"here {listed(list(self.here.get(role, ())))}, there {listed(list(there))}"
            for role, there in self.there.items()
        }
        examples = "; ".join(f"{role}: {each}" if len(shown) > 1 else each for role, each in shown.items())
        if not self.matched.matched_targets:
            raise NoRowsError(f"not one id matched: {examples}", hint="Ids are compared as text: '007' is not '7'")
        few = self.matched.matched_targets < _FEW * self.matched.targets
        return f"{' and '.join(columns)}: {self.matched}" + (f"; {examples}" if few else "")


def _some_of(a: Mapping[str, tuple[str, ...]], b: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    return {role: (*a.get(role, ()), *b.get(role, ()))[:_SHOWN] for role in {**a, **b}}


@frozen(eq=False)
class _Facts:
    """Facts by key.

    Attributes:
        keys: Sorted distinct keys.
        row: The row of the table that holds the facts of each.
        refused: Sorted distinct keys whose rows contradict each other.
    """

    keys: Keys
    row: Ints
    refused: Keys


@frozen(eq=False)
class _Pairs:
    """The customers and the journeys that a table names, in order: each pair of the two has a number of its own."""

    customers: Keys
    journeys: Keys

    def numbers(self, customer: Keys, journey: Keys) -> Keys:
        """The number of each pair; where the table does not name one of the two, a number that none of its rows has."""
        rank = _rank(self.customers, customer) * (self.journeys.size + 1) + _rank(self.journeys, journey)
        return rank.astype(np.uint64)


def _rank(ids: Keys, wanted: Keys) -> Ints:
    """The place of each among ascending ids; their number where it is none of them."""
    at = np.searchsorted(ids, wanted)
    return np.where(ids[np.minimum(at, ids.size - 1)] == wanted, at, ids.size)


def with_facts(
    population: MemoryPopulation, source: Source, *, customer: str | None, journey: str | None,
    columns: Sequence[str], tz: str | None = None,
) -> tuple[MemoryPopulation, Matched]:  # fmt: skip
    """Join facts on the customer, on the journey, or on both.

    Args:
        population: Whose journeys.
        source: The table.
        customer: Its column with the customer's id.
        journey: Its column with the journey's id.
        columns: Its columns to take over.
        tz: Zone of times that name none.

    Raises:
        InvalidValueError: Nothing to join on, or nothing to take over.
        NoRowsError: Not one row matched.
    """
    named = population.vocabulary.journeys is not None
    rows = read_facts(source, fields_of(customer, journey, columns, named=named), tz=tz)
    joined, meeting = join(population, rows)
    return joined.noting(meeting.told(columns)), meeting.matched


def fields_of(customer: str | None, journey: str | None, columns: Sequence[str], *, named: bool) -> list[Field]:
    """What to read of a table of facts.

    Args:
        customer: Its column with the customer's id.
        journey: Its column with the journey's id.
        columns: Its columns to take over.
        named: Whether the journeys have ids.

    Raises:
        InvalidValueError: Nothing to join on, or nothing to take over.
    """
    if not columns:
        raise InvalidValueError("no columns to take over were named", hint="Write columns=['late']")
    if journey is not None and not named:
        raise InvalidValueError(
            "the events have no journey id to join on", hint="Read them with read_events(…, journey=…)"
        )
    roles = {role: column for role, column in (("customer", customer), ("journey", journey)) if column is not None}
    fields = [Field(role, column, "id", required=True) for role, column in roles.items()]
    return fields + [Field(f"={column}", column, "any") for column in columns]


def read_facts(source: Source, fields: Sequence[Field], *, tz: str | None = None) -> FactRows:
    """Read a table of facts.

    Raises:
        NoRowsError: No row could be kept.
    """
    with open_tables(source, [each.column for each in fields]) as (connection, tables):
        rows = read_rows(connection, tables, fields, tz=tz)
    if not rows.size:
        raise NoRowsError("no row of the table could be kept", hint=str(rows.reading))
    return FactRows.of(rows)


def join(population: MemoryPopulation, rows: FactRows) -> tuple[MemoryPopulation, Meeting]:
    """The population with these facts, and how they met it; what matches nothing is no error here."""
    roles = list(rows.ids)
    keys, found, pairs = _keys(population, rows)
    facts = _distinct(rows, keys, found)
    shared = np.zeros(0, np.uint64)
    if roles == ["journey"]:
        shared = np.union1d(shared_ids(population.parts), keys[found & rows.shared])
    refused = [shared]
    vocabulary = population.vocabulary.changed(columns={**population.vocabulary.columns, **rows.labels})
    blocks, targets, matched = [], 0, 0
    hit = np.zeros(keys.size, np.bool_)
    for block in population.parts:
        mine = _targets(block, roles, pairs)
        row = _match(mine, facts, shared)
        refused.append(facts.refused[np.isin(facts.refused, mine)])
        targets, matched = targets + row.size, matched + int((row >= 0).sum())
        hit[row[row >= 0]] = True
        blocks.append(evolve(_joined(block, rows, row), vocabulary=vocabulary))
    again = np.isin(keys, keys[hit]) & found
    report = Matched(
        rows=rows.reading.rows, matched_rows=int(again.sum()), targets=targets, matched_targets=matched,
        ambiguous=int(np.isin(keys[found], np.concatenate(refused)).sum()),
    )  # fmt: skip
    meeting = Meeting(
        matched=report, here={role: _ids_here(population, role) for role in roles},
        there={role: tuple(_first(each.identifiers, each.key)) for role, each in rows.ids.items()},
    )  # fmt: skip
    return evolve(population, parts=blocks, vocabulary=vocabulary), meeting


def _keys(population: MemoryPopulation, rows: FactRows) -> tuple[Keys, Bools, _Pairs | None]:
    """One key per row of the table, in the terms of the population: an id's own, or the number of a pair of ids."""
    keys, found = list[Keys](), np.ones(rows.shared.size, np.bool_)
    for role, column in rows.ids.items():
        here = population.vocabulary.customers if role == "customer" else population.vocabulary.journeys
        assert here is not None
        distinct, place = np.unique(column.key, return_inverse=True)
        mapped, there = find(here, column.identifiers.texts_of(distinct))
        found &= there[place]
        keys.append(mapped[place])
    if len(keys) == 1:
        return keys[0], found, None
    pairs = _Pairs(*(np.unique(each) for each in keys))
    return pairs.numbers(*keys), found, pairs


def _distinct(rows: FactRows, keys: Keys, found: Bools) -> _Facts:
    """One row per key; keys with contradicting rows are refused."""
    picked = np.flatnonzero(found)
    order = picked[np.argsort(keys[picked], kind="stable")]
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    differs = np.zeros(same.size, np.bool_)
    for column in rows.columns.values():
        values = column[order]
        differs |= values[1:] != values[:-1] if values.dtype.kind != "f" else _unequal(values)
    bad = np.unique(ordered[1:][same & differs])
    first = np.concatenate([[True], ~same]) if order.size else np.zeros(0, np.bool_)
    first &= ~np.isin(ordered, bad)
    return _Facts(ordered[first], order[first], bad)


def _unequal(values: NDArray[Any]) -> Bools:
    return np.asarray((values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1])))


def _targets(block: Block, roles: Sequence[str], pairs: _Pairs | None) -> Keys:
    """(customers or journeys) the key that each is joined by."""
    if list(roles) == ["customer"]:
        return block.customer
    assert block.journey_id is not None
    if pairs is None:
        return block.journey_id
    return pairs.numbers(block.customer[block.customer_of_journey], block.journey_id)


def _match(mine: Keys, facts: _Facts, refused: Keys) -> Ints:
    """(customers or journeys) row of the table for each, or −1."""
    if not facts.keys.size:
        return np.full(mine.size, -1)
    at = np.minimum(np.searchsorted(facts.keys, mine), facts.keys.size - 1)
    row = np.where(facts.keys[at] == mine, facts.row[at], -1)
    return np.where(np.isin(mine, refused), -1, row) if refused.size else row


def _joined(block: Block, rows: FactRows, row: Ints) -> Block:
    more: dict[str, NDArray[Any]] = {}
    per_journey = row[block.customer_of_journey] if row.size == block.customers and block.journeys != row.size else row
    for column, values in rows.columns.items():
        filled = (
            np.full(per_journey.size, np.nan) if values.dtype.kind == "f" else np.zeros(per_journey.size, values.dtype)
        )
        there = per_journey >= 0
        filled[there] = values[per_journey[there]]
        more[column] = filled
    return evolve(block, journey_columns={**block.journey_columns, **more})


def _ids_here(population: MemoryPopulation, role: str) -> tuple[str, ...]:
    vocabulary = population.vocabulary
    for block in population.parts:
        keys = block.journey_id if role == "journey" else block.customer
        identifiers = vocabulary.journeys if role == "journey" else vocabulary.customers
        if keys is not None and identifiers is not None:
            return tuple(_first(identifiers, keys))
    return ()


def _first(identifiers: Identifiers, keys: Keys) -> Texts:
    """A few of these ids."""
    return identifiers.texts_of(np.unique(keys)[:_SHOWN])


Entries = Mapping[str, Mapping[str, str | None]]
Catalogue = Entries | Iterable[Touchpoint]


def with_touchpoints(population: Population, catalogue: Catalogue) -> Population:
    """Facts about touchpoints: stage, channel, department, kind, initiator, moment."""
    entries = entries_of(catalogue)
    wider, notes = described_by(population.vocabulary, entries)
    described = population.then(lambda block: evolve(block, vocabulary=wider), vocabulary=wider).noting(*notes)
    if isinstance(described, MemoryPopulation):
        return evolve(described, catalogues=(*described.catalogues, entries))
    return described


def described_by(vocabulary: Vocabulary, entries: Entries) -> tuple[Vocabulary, list[str]]:
    """The vocabulary with the facts of a catalogue, and how well that met it, in words."""
    strange = [name for name in entries if name not in vocabulary.touchpoint_codes]
    bare = [name for name in vocabulary.touchpoints if name not in entries]
    columns = dict(vocabulary.touchpoint_columns)
    for fact in TOUCHPOINT_FACTS:
        texts = [entries.get(name, {}).get(fact) for name in vocabulary.touchpoints]
        if any(texts):
            columns[fact] = _coded(texts, [facts.get(fact) for facts in entries.values()])
    notes = [
        f"touchpoint catalogue describes {len(entries) - len(strange):,} of {len(vocabulary.touchpoints):,} touchpoints"
    ]
    notes += [f"not described: {listed(bare)}"] if bare else []
    notes += [f"described but never met: {listed(strange)}"] if strange else []
    return vocabulary.changed(touchpoint_columns=columns), notes


def entries_of(catalogue: Catalogue) -> Entries:
    """Touchpoint → its facts, checked."""
    if isinstance(catalogue, Mapping):
        # building each entry checks its words
        for name, facts in catalogue.items():
            strange = next((fact for fact in facts if fact not in TOUCHPOINT_FACTS), None)
            if strange is not None:
                raise UnknownNameError(f"touchpoint {name!r}: {unknown('fact', strange, TOUCHPOINT_FACTS)}")
            Touchpoint(name, **{key: value for key, value in facts.items() if value is not None})  # type: ignore[arg-type]
        return cast("Entries", {name: dict(facts) for name, facts in catalogue.items()})
    return {each.name: {fact: getattr(each, fact) for fact in TOUCHPOINT_FACTS} for each in catalogue}


def _coded(texts: Sequence[str | None], listed_: Sequence[str | None]) -> tuple[NDArray[Any], Labels]:
    # stages keep the order in which the catalogue first names them, so that pictures can follow it
    there = {text for text in texts if text}
    names = [text for text in dict.fromkeys(listed_) if text in there]
    code = {name: i + 1 for i, name in enumerate(names)}
    codes = np.array([code.get(text or "", 0) for text in texts], smallest_unsigned(len(names) + 1))
    return codes, Labels(["", *names])
