"""Spooling: rows that come one by one go into the engine batch by batch, so that few Python objects live at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from attrs import define, field

from cxmodel.data.sources import quoted
from cxmodel.errors import InvalidValueError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

_NAME = "spooled"


@define(eq=False)
class Spool:
    """A table of texts that grows by rows and by columns.

    Attributes:
        connection: The engine that holds it.
        columns: Names of its columns so far.
        size: Number of its rows so far.
    """

    connection: DuckDBPyConnection
    columns: list[str]
    size: int = field(default=0, init=False)

    def __attrs_post_init__(self) -> None:
        listed = ", ".join(f"{quoted(column)} VARCHAR" for column in self.columns)
        self.connection.execute(f"CREATE TABLE {_NAME} ({listed})")

    def store(self, records: Sequence[Mapping[str, str | None]]) -> None:
        """Append rows; a name that is new becomes a column.

        Raises:
            InvalidValueError: When two names differ in nothing but case.
        """
        import numpy as np

        for name in dict.fromkeys(name for record in records for name in record):
            self._widen(name)
        batch = {
            str(i): np.array([record.get(name) for record in records], object) for i, name in enumerate(self.columns)
        }
        self.connection.register("batch", batch)
        chosen = ", ".join(f"{quoted(name)}::VARCHAR" for name in batch)
        self.connection.execute(f"INSERT INTO {_NAME} SELECT {chosen} FROM batch")
        self.connection.unregister("batch")
        self.size += len(records)

    def _widen(self, name: str) -> None:
        if name in self.columns:
            return
        twin = next((column for column in self.columns if column.casefold() == name.casefold()), None)
        if twin is not None:
            raise InvalidValueError(f"two columns are called {twin!r} and {name!r}", hint="Rename one of them")
        self.connection.execute(f"ALTER TABLE {_NAME} ADD COLUMN {quoted(name)} VARCHAR")
        self.columns.append(name)

    def has(self, column: str) -> bool:
        """Whether any row has a value in this column."""
        if column not in self.columns:
            return False
        return bool(self.connection.execute(f"SELECT count({quoted(column)}) FROM {_NAME}").fetchall()[0][0])

    def texts(self, row: int, columns: Sequence[str]) -> tuple[str | None, ...]:
        """The texts of a row, which is counted from 0."""
        chosen = ", ".join(quoted(column) for column in columns)
        found: tuple[str | None, ...] = self.connection.execute(
            f"SELECT {chosen} FROM {_NAME} WHERE rowid = {row}"
        ).fetchall()[0]
        return found

    def relation(self) -> DuckDBPyRelation:
        """The table, to be read."""
        return self.connection.table(_NAME)
