"""What a study consists of: tables of columns, a touchpoint catalogue, and the truth that was planted."""

import csv
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from io import TextIOWrapper
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import TypeAlias

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from cxmodel.data.writing import drafted

Column: TypeAlias = NDArray[np.generic]


def _read_only(columns: Mapping[str, Column]) -> Mapping[str, Column]:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns differ in length: {lengths}; give every column one value per row")
    views = {name: column.view() for name, column in columns.items()}
    for view in views.values():
        view.flags.writeable = False
    return MappingProxyType(views)


@frozen(eq=False)
class Table:
    """Columns of equal length, in a fixed order.

    Text is an object array of `str` with `None` where there is nothing; times are `datetime64[us]` in UTC;
    numbers that may be missing are floats with NaN.

    Attributes:
        columns: Column name to array, read-only.

    Example:
        >>> import numpy as np
        >>> days = np.array(["2025-01-01", "NaT"], "datetime64[us]")
        >>> table = Table({"score": np.array([9, 4]), "time": days})
        >>> table.rows
        2
        >>> table.to_dicts()[1]
        {'score': 4, 'time': None}
    """

    columns: Mapping[str, Column] = field(converter=_read_only)

    @property
    def rows(self) -> int:
        """Number of rows."""
        return next((len(column) for column in self.columns.values()), 0)

    def __len__(self) -> int:
        """Give the number of rows."""
        return self.rows

    def __getitem__(self, name: str) -> Column:
        """Give one column."""
        return self.columns[name]

    def to_dicts(self) -> list[dict[str, object]]:
        """Give one dict per row, with zone-aware times and `None` for what is missing.

        Returns:
            As many dicts as there are rows, keys in column order.
        """
        names = list(self.columns)
        values = [_plain(column) for column in self.columns.values()]
        return [dict(zip(names, row, strict=True)) for row in zip(*values, strict=True)]

    def write_csv(self, path: str | PathLike[str]) -> Path:
        """Write the table as UTF-8 CSV: ISO 8601 times in UTC, an empty field for what is missing.

        Args:
            path: The file to write; an existing file is replaced.

        Returns:
            The path written.
        """
        rows = zip(*(_plain(column) for column in self.columns.values()), strict=True)
        return _write_rows(Path(path), list(self.columns), ([_text(value) for value in row] for row in rows))


@frozen(kw_only=True, eq=False)
class Study:
    """A generated study: what happened, what people answered, and the truth behind both.

    Attributes:
        name: Short name, also the name of the function that made it.
        title: One line for a heading.
        description: Who, what happens, and what is planted, in a few sentences.
        events: One row per event: customer, journey, touchpoint, time, channel, department, source …
        responses: One row per survey answer: response, customer, journey, question, score, time, about …
        customers: One row per customer: persona and other attributes.
        journeys: One row per journey: customer and facts known about the journey.
        catalogue: Touchpoint to its stage, channel, department, kind and initiator, in journey order.
        goals: Goal name to the touchpoints that attain it.
        scales: Question to its scale, named as on the command line.
        truth: What a right analysis must find: quantity to group to value.
        blank: The score that stands for "no answer", `None` where there is none.
        currency: Currency of the values, `None` where events have no values.
        identities: Id to source and true customer, where sources know customers by ids of their own (`by_source`).
    """

    name: str
    title: str
    description: str
    events: Table
    responses: Table
    customers: Table
    journeys: Table
    catalogue: Mapping[str, Mapping[str, str]]
    goals: Mapping[str, tuple[str, ...]]
    scales: Mapping[str, str]
    truth: Mapping[str, Mapping[str, float]]
    blank: int | None = None
    currency: str | None = None
    identities: Table | None = None

    def write_csv(self, folder: str | PathLike[str]) -> tuple[Path, ...]:
        """Write events, responses, customers, journeys, identities (where there are any) and catalogue as CSV files.

        Args:
            folder: Where the files go; it is made if it does not exist.

        Returns:
            The paths written, in the order above.
        """
        home = Path(folder)
        home.mkdir(parents=True, exist_ok=True)
        tables = {
            "events": self.events,
            "responses": self.responses,
            "customers": self.customers,
            "journeys": self.journeys,
        }
        if self.identities is not None:
            tables["identities"] = self.identities
        written = [table.write_csv(home / f"{name}.csv") for name, table in tables.items()]
        facts = ["stage", "channel", "department", "kind", "initiator"]
        rows = ([touchpoint, *(entry[fact] for fact in facts)] for touchpoint, entry in self.catalogue.items())
        return (*written, _write_rows(home / "catalogue.csv", ["touchpoint", *facts], rows))


def _plain(column: Column) -> list[object]:
    if np.issubdtype(column.dtype, np.datetime64):
        times: list[datetime | None] = column.astype("datetime64[us]").tolist()
        return [None if time is None else time.replace(tzinfo=UTC) for time in times]
    values: list[object] = column.tolist()
    if np.issubdtype(column.dtype, np.floating):
        missing: list[bool] = np.isnan(column.astype(np.float64)).tolist()
        return [None if absent else value for absent, value in zip(missing, values, strict=True)]
    return values


def _text(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def _write_rows(path: Path, header: list[str], rows: Iterable[list[object] | list[str]]) -> Path:
    with drafted(path) as out:
        file = TextIOWrapper(out, encoding="utf-8", newline="")
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
        file.detach()  # which writes what is left, and keeps the file open
    return path
