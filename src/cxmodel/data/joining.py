"""Joining: facts from other tables become columns of customers, journeys and touchpoints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, cast

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.attaching import shared_ids
from cxmodel.data.blocks import Block, Labels
from cxmodel.data.fields import Field
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.rows import Rows, read_rows
from cxmodel.data.sources import open_tables
from cxmodel.data.texts import Identifiers, find
from cxmodel.errors import InvalidValueError, NoRowsError, UnknownNameError, listed, unknown
from cxmodel.model.people import Touchpoint
from cxmodel.model.readings import Matched
from cxmodel.stats.arrays import Bools, Ints, Keys, smallest_unsigned
from cxmodel.typing import Population, Source

_FEW: Final = 0.05
TOUCHPOINT_FACTS: Final = ("stage", "channel", "department", "kind", "initiator", "moment")


@frozen(eq=False)
class _Facts:
    """Facts by key: sorted distinct keys and the row of the table that holds their facts."""

    keys: Keys
    row: Ints


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
    if not columns:
        raise InvalidValueError("no columns to take over were named", hint="Write columns=['late']")
    if journey is not None and population.vocabulary.journeys is None:
        raise InvalidValueError(
            "the events have no journey id to join on", hint="Read them with read_events(…, journey=…)"
        )
    roles = {role: column for role, column in (("customer", customer), ("journey", journey)) if column is not None}
    fields = [Field(role, column, "id", required=True) for role, column in roles.items()]
    fields += [Field(f"={column}", column, "any") for column in columns]
    with open_tables(source, [each.column for each in fields]) as (connection, tables):
        rows = read_rows(connection, tables, fields, tz=tz)
    if not rows.size:
        raise NoRowsError("no row of the table could be kept", hint=str(rows.reading))
    keys, found, pairs = _keys(population, rows, list(roles))
    facts, refused = _distinct(rows, keys, found, columns)
    refused_here = shared_ids(population.parts) if list(roles) == ["journey"] else np.zeros(0, np.uint64)
    blocks, targets, matched = [], 0, 0
    hit = np.zeros(rows.size, np.bool_)
    for block in population.parts:
        row = _match(block, facts, list(roles), pairs, refused_here)
        targets, matched = targets + row.size, matched + int((row >= 0).sum())
        hit[row[row >= 0]] = True
        blocks.append(_joined(block, rows, row, columns))
    again = np.isin(keys, keys[hit]) & found
    report = Matched(
        rows=rows.reading.rows, matched_rows=int(again.sum()), targets=targets, matched_targets=matched,
        ambiguous=refused + int(np.isin(keys[found], refused_here).sum()),
    )  # fmt: skip
    shown = {role: _examples(population, rows, role) for role in roles}
    examples = "; ".join(f"{role}: {each}" if len(shown) > 1 else each for role, each in shown.items())
    if not matched:
        raise NoRowsError(f"not one id matched: {examples}", hint="Ids are compared as text: '007' is not '7'")
    vocabulary = evolve(
        population.vocabulary,
        columns={
            **population.vocabulary.columns,
            **{column: rows.labels.get(f"={column}") for column in columns},
        },
    )
    note = f"{' and '.join(columns)}: {report}" + (f"; {examples}" if matched < _FEW * targets else "")
    blocks = [evolve(block, vocabulary=vocabulary) for block in blocks]
    return evolve(population, parts=blocks, vocabulary=vocabulary, reading=population.reading.noting(note)), report


def _keys(population: MemoryPopulation, rows: Rows, roles: Sequence[str]) -> tuple[Keys, Bools, _Pairs | None]:
    """One key per row of the table, in the terms of the population: an id's own, or the number of a pair of ids."""
    keys, found = list[Keys](), np.ones(rows.size, np.bool_)
    for role in roles:
        here = population.vocabulary.customers if role == "customer" else population.vocabulary.journeys
        assert here is not None
        distinct, place = np.unique(rows.arrays[role], return_inverse=True)
        mapped, there = find(here, rows.identifiers[role].texts_of(distinct))
        found &= there[place]
        keys.append(mapped[place])
    if len(keys) == 1:
        return keys[0], found, None
    pairs = _Pairs(*(np.unique(each) for each in keys))
    return pairs.numbers(*keys), found, pairs


def _distinct(rows: Rows, keys: Keys, found: Bools, columns: Sequence[str]) -> tuple[_Facts, int]:
    """One row per key; keys with contradicting rows are refused, and counted."""
    picked = np.flatnonzero(found)
    order = picked[np.argsort(keys[picked], kind="stable")]
    ordered = keys[order]
    same = ordered[1:] == ordered[:-1]
    differs = np.zeros(same.size, np.bool_)
    for column in columns:
        values = rows.arrays[f"={column}"][order]
        differs |= values[1:] != values[:-1] if values.dtype.kind != "f" else _unequal(values)
    bad = np.unique(ordered[1:][same & differs])
    first = np.concatenate([[True], ~same]) if order.size else np.zeros(0, np.bool_)
    first &= ~np.isin(ordered, bad)
    return _Facts(ordered[first], order[first]), int(np.isin(ordered, bad).sum())


def _unequal(values: NDArray[Any]) -> Bools:
    return np.asarray((values[1:] != values[:-1]) & ~(np.isnan(values[1:]) & np.isnan(values[:-1])))


def _match(block: Block, facts: _Facts, roles: Sequence[str], pairs: _Pairs | None, refused: Keys) -> Ints:
    """(customers or journeys) row of the table for each, or −1."""
    if list(roles) == ["customer"]:
        mine = block.customer
    else:
        assert block.journey_id is not None
        mine = block.journey_id
        if pairs is not None:
            mine = pairs.numbers(block.customer[block.customer_of_journey], mine)
    if not facts.keys.size:
        return np.full(mine.size, -1)
    at = np.minimum(np.searchsorted(facts.keys, mine), facts.keys.size - 1)
    row = np.where(facts.keys[at] == mine, facts.row[at], -1)
    return np.where(np.isin(mine, refused), -1, row) if refused.size else row


def _joined(block: Block, rows: Rows, row: Ints, columns: Sequence[str]) -> Block:
    more: dict[str, NDArray[Any]] = {}
    per_journey = row[block.customer_of_journey] if row.size == block.customers and block.journeys != row.size else row
    for column in columns:
        values = rows.arrays[f"={column}"]
        filled = (
            np.full(per_journey.size, np.nan) if values.dtype.kind == "f" else np.zeros(per_journey.size, values.dtype)
        )
        there = per_journey >= 0
        filled[there] = values[per_journey[there]]
        more[column] = filled
    return evolve(block, journey_columns={**block.journey_columns, **more})


def _examples(population: MemoryPopulation, rows: Rows, role: str) -> str:
    there = rows.identifiers[role].texts_of(np.unique(rows.arrays[role])[:3])
    first = population.parts[0]
    here = first.journey_id if role == "journey" else first.customer
    identifiers = population.vocabulary.journeys if role == "journey" else population.vocabulary.customers
    assert here is not None
    assert isinstance(identifiers, Identifiers)
    return f"here {listed(list(identifiers.texts_of(np.unique(here)[:3])))}, there {listed(list(there))}"


Catalogue = Mapping[str, Mapping[str, str | None]] | Iterable[Touchpoint]


def with_touchpoints(population: Population, catalogue: Catalogue) -> Population:
    """Facts about touchpoints: stage, channel, department, kind, initiator, moment."""
    entries = _entries(catalogue)
    vocabulary = population.vocabulary
    strange = [name for name in entries if name not in vocabulary.touchpoint_codes]
    bare = [name for name in vocabulary.touchpoints if name not in entries]
    columns = dict(vocabulary.touchpoint_columns)
    for fact in TOUCHPOINT_FACTS:
        texts = [entries.get(name, {}).get(fact) for name in vocabulary.touchpoints]
        if any(texts):
            columns[fact] = _coded(texts, [facts.get(fact) for facts in entries.values()])
    wider = evolve(vocabulary, touchpoint_columns=columns)
    notes = [
        f"touchpoint catalogue describes {len(entries) - len(strange):,} of {len(vocabulary.touchpoints):,} touchpoints"
    ]
    notes += [f"not described: {listed(bare)}"] if bare else []
    notes += [f"described but never met: {listed(strange)}"] if strange else []
    return population.then(lambda block: evolve(block, vocabulary=wider), vocabulary=wider).noting(*notes)


def _entries(catalogue: Catalogue) -> dict[str, Mapping[str, str | None]]:
    if isinstance(catalogue, Mapping):
        # building each entry checks its words
        for name, facts in catalogue.items():
            strange = next((fact for fact in facts if fact not in TOUCHPOINT_FACTS), None)
            if strange is not None:
                raise UnknownNameError(f"touchpoint {name!r}: {unknown('fact', strange, TOUCHPOINT_FACTS)}")
            Touchpoint(name, **{key: value for key, value in facts.items() if value is not None})  # type: ignore[arg-type]
        return cast("dict[str, Mapping[str, str | None]]", dict(catalogue))
    return {each.name: {fact: getattr(each, fact) for fact in TOUCHPOINT_FACTS} for each in catalogue}


def _coded(texts: Sequence[str | None], listed_: Sequence[str | None]) -> tuple[NDArray[Any], Labels]:
    # stages keep the order in which the catalogue first names them, so that pictures can follow it
    there = {text for text in texts if text}
    names = [text for text in dict.fromkeys(listed_) if text in there]
    code = {name: i + 1 for i, name in enumerate(names)}
    codes = np.array([code.get(text or "", 0) for text in texts], smallest_unsigned(len(names) + 1))
    return codes, Labels(["", *names])
