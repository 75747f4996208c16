"""Listing: the distinct texts of a column, with a key for each that no other has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from attrs import frozen

from cxmodel.data.arrow import batches
from cxmodel.data.blocks import Labels
from cxmodel.data.fields import hash_of, text_of
from cxmodel.data.sources import Table
from cxmodel.data.texts import Texts
from cxmodel.errors import InvalidValueError
from cxmodel.stats.arrays import Bools, Keys, smallest_unsigned
from cxmodel.stats.key_tables import KeyTable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_SALTS: Final = 16


@frozen(eq=False)
class DistinctTexts:
    """The distinct texts of a column; blank ones count as missing.

    Attributes:
        salt: What the engine's hash is salted with, so that no two texts share a key.
        keys: Key of each text, ascending.
        texts: The texts in the same order.
        blank: Keys of blank texts.
    """

    salt: int
    keys: Keys
    texts: Texts
    blank: Keys

    def coded(self) -> tuple[KeyTable, Labels]:
        """The texts as labels in alphabetical order, and the code of each key; that of blank ones is 0."""
        names = list(self.texts)
        by_name = sorted(range(len(names)), key=names.__getitem__)
        codes = np.zeros(len(names) + self.blank.size, smallest_unsigned(len(names) + 1))
        codes[by_name] = np.arange(1, len(names) + 1)
        return KeyTable(np.concatenate([self.keys, self.blank]), codes), Labels(["", *(names[i] for i in by_name)])


def distinct_texts(connection: DuckDBPyConnection, tables: Sequence[Table], column: str) -> DistinctTexts:
    """List the distinct texts, under the first salt that gives each a key of its own.

    Raises:
        InvalidValueError: Texts share a key under every salt.
    """
    for salt in range(_SALTS):
        texts, keys, blank = _distinct(connection, tables, column, salt)
        order = np.argsort(keys)
        again = np.flatnonzero(keys[order[1:]] == keys[order[:-1]])
        first, second = order[again], order[again + 1]
        if (blank[first] == blank[second]).all() and (texts.take(first).same(texts.take(second)) | blank[first]).all():
            fresh = np.ones(order.size, np.bool_)
            fresh[again + 1] = False
            order = order[fresh]
            named = order[~blank[order]]
            return DistinctTexts(salt, keys[named], texts.take(named), keys[order[blank[order]]])
    raise InvalidValueError(
        f"{column!r} holds texts with one hash under each of {_SALTS} salts",
        hint="They were made to collide: look at where they come from",
    )


def _distinct(
    connection: DuckDBPyConnection, tables: Sequence[Table], column: str, salt: int
) -> tuple[Texts, Keys, Bools]:
    """Distinct texts with their keys, and which of them are blank or missing."""
    texts: list[Texts] = []
    keys: list[Keys] = []
    blank: list[Bools] = []
    for table in tables:
        text = text_of(column, table.columns[column])
        query = f"SELECT x, {hash_of('x', salt)} FROM (SELECT DISTINCT {text} AS x FROM {table.sql})"
        for x, key in batches(connection, query):
            assert x.texts is not None
            texts.append(Texts(x.texts.data.copy(), x.texts.offsets))
            keys.append(key.require().copy())
            blank.append(x.texts.blank() if x.missing is None else x.texts.blank() | x.missing)
    if not keys:
        return Texts.of([]), np.zeros(0, np.uint64), np.zeros(0, np.bool_)
    return Texts.joined(texts), np.concatenate(keys), np.concatenate(blank)
