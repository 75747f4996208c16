"""Widening: one vocabulary for what is stored and what is new. Codes that are stored stay where they can."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Labels, Vocabulary
from cxmodel.data.grouping import EventRows
from cxmodel.data.texts import Identifiers, Texts, find
from cxmodel.errors import InvalidValueError
from cxmodel.stats.arrays import Bools, Ints, Keys, members, mix, smallest_unsigned

_FEW: Final = 1_000


@frozen(eq=False)
class Recoding:
    """From stored codes to those of a wider vocabulary.

    Attributes:
        vocabulary: The wider one.
        touchpoint: New code of each stored touchpoint; None where all stay.
        columns: Name of a column → new code of each stored one, where not all stay.
        same: Whether every code means what it meant, and no touchpoint or label is new.
    """

    vocabulary: Vocabulary
    touchpoint: Ints | None
    columns: Mapping[str, Ints]
    same: bool

    def of(self, block: Block) -> Block:
        """A block in the wider vocabulary; one that knows all its codes is left alone."""
        if self.same:
            return block
        size = len(self.vocabulary.touchpoints)
        events: dict[str, NDArray[Any]] = dict(block.event_columns)
        journeys: dict[str, NDArray[Any]] = dict(block.journey_columns)
        for columns in (events, journeys):
            for name in columns.keys() & self.columns.keys():
                columns[name] = _mapped(columns[name], self.columns[name], len(self.vocabulary.columns[name] or ""))
        return evolve(
            block, vocabulary=self.vocabulary, touchpoint=_mapped(block.touchpoint, self.touchpoint, size),
            event_columns=events, journey_columns=journeys,
        )  # fmt: skip


def widened(old: Vocabulary, new: Vocabulary, rows: EventRows) -> tuple[Recoding, EventRows]:
    """One vocabulary for both, how the stored codes change, and the new rows in its codes."""
    wider, stored, fresh = _named(old, new.touchpoints)
    labels, stored_columns, recoded = dict(old.columns), {}, dict(rows.columns)
    for name, those in new.columns.items():
        before = old.columns[name]
        if (before is None) != (those is None):
            raise InvalidValueError(f"{name!r} holds numbers in one part and text in the other")
        if before is None or those is None:
            continue
        labels[name], moved, codes = _labelled(before, those)
        if moved is not None:
            stored_columns[name] = moved
        recoded[name] = codes[rows.columns[name]].astype(smallest_unsigned(len(labels[name] or "")))
    same = wider is old and all(labels[name] is old.columns[name] for name in labels)
    if not same:
        facts = {name: (_spread(codes, stored, len(wider.touchpoints)), words)
                 for name, (codes, words) in old.touchpoint_columns.items()}  # fmt: skip
        wider = wider.changed(columns=labels, touchpoint_columns=facts)
    customers, customer = _identified(old.customers, new.customers, rows.customer)
    journeys, journey = old.journeys, rows.journey
    if old.journeys is not None and new.journeys is not None and rows.journey is not None:
        journeys, journey = _identified(old.journeys, new.journeys, rows.journey)
    if customers is not old.customers or journeys is not old.journeys:
        wider = wider.changed(customers=customers, journeys=journeys)
    touchpoint = fresh[rows.touchpoint].astype(smallest_unsigned(len(wider.touchpoints)))
    rows = evolve(rows, touchpoint=touchpoint, customer=customer, journey=journey, columns=recoded)
    return Recoding(wider, stored, stored_columns, same), rows


def _named(old: Vocabulary, names: Sequence[str]) -> tuple[Vocabulary, Ints | None, Ints]:
    """The vocabulary with these touchpoints too, new codes of the stored ones (None: they stay), and theirs."""
    known = old.touchpoint_codes
    strange = sorted({name for name in names if name not in known})
    if not strange or not known or strange[0] > old.touchpoints[-1]:
        wider = old.naming(strange) if strange else old
        return wider, None, np.array([wider.touchpoint_codes[name] for name in names], np.int64)
    both, stored, fresh = _union(old.touchpoints, names)
    return evolve(old, touchpoints=both), stored, fresh


def _labelled(old: Labels, new: Labels) -> tuple[Labels, Ints | None, Ints]:
    """Labels of both, new codes of the stored ones (None: they stay), and the codes of the new ones."""
    if all(name in old.codes for name in new.names[1:]):
        return old, None, np.array([0, *(old.codes[name] for name in new.names[1:])], np.int64)
    both, stored, fresh = _union(old.names, new.names)
    return Labels(both), None if np.array_equal(stored, np.arange(stored.size)) else stored, fresh


def _union(old: Sequence[str], new: Sequence[str]) -> tuple[list[str], Ints, Ints]:
    """All names in order, and the code among them of each old and each new name."""
    names = sorted({*old, *new})
    code = {name: i for i, name in enumerate(names)}
    stored, fresh = (np.array([code[name] for name in part], np.int64) for part in (old, new))
    return names, stored, fresh


def _spread(codes: NDArray[Any], stored: Ints | None, size: int) -> NDArray[Any]:
    """Codes of facts about touchpoints, of which there are more now."""
    wide = np.zeros_like(codes, shape=size)
    wide[np.arange(codes.size) if stored is None else stored] = codes
    return wide


def _mapped(column: NDArray[Any], code: Ints | None, size: int) -> NDArray[Any]:
    kind = smallest_unsigned(size)
    return column.astype(kind, copy=False) if code is None else np.asarray(code.astype(kind)[column])


def _identified(old: Identifiers, new: Identifiers, keys: Keys) -> tuple[Identifiers, Keys]:
    """Ids of both; known ids keep their key, new ones get one that no other id has."""
    if old.keys is None and new.keys is None:
        return old, keys
    distinct, place = np.unique(keys, return_inverse=True)
    texts = new.texts_of(distinct)
    known, found = _found(old, texts)
    if found.all():
        return old, known[place]
    if old.keys is None or old.texts is None:
        raise InvalidValueError(
            f"the ids read first are whole numbers, {texts[int(np.flatnonzero(~found)[0])]!r} is not",
            hint="Read the first part with that column as text",
        )
    added = np.flatnonzero(~found)
    strange = texts.take(added)
    fresh = strange.keys()
    while members(old.keys, fresh).any() or np.unique(fresh).size < fresh.size:
        fresh = mix(np.add(fresh, np.arange(fresh.size, dtype=np.uint64), dtype=np.uint64))
    known[added] = fresh
    if added.size <= _FEW:
        return old.plus(fresh, strange), known[place]
    all_keys, all_texts = np.concatenate([old.keys, fresh]), Texts.joined([old.texts, strange])
    order = np.argsort(all_keys)
    return Identifiers(all_keys[order], all_texts.take(order)), known[place]


def _found(old: Identifiers, texts: Texts) -> tuple[Keys, Bools]:
    """The key of each of these ids, and whether it is known; a few are not worth an index of all."""
    if old.keys is None or len(texts) > _FEW:
        return find(old, texts)
    row = old.rows(texts)
    return np.where(row >= 0, old.keys[row], np.uint64(0)) if old.keys.size else np.zeros(row.size, np.uint64), row >= 0
