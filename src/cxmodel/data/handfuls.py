"""Handfuls: a few rows as dicts, read without the engine.

An engine that is started for one event costs more than all else about it. What is written in the usual way is read
here, as the engine reads it; at the first value that is not, the engine reads the rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from cxmodel.data.blocks import Labels
from cxmodel.data.fields import Field
from cxmodel.data.rows import Rows, ScanTally, to_instants
from cxmodel.data.sources import Table, as_text
from cxmodel.data.texts import Identifiers, Texts
from cxmodel.data.times import instant
from cxmodel.model.readings import MOST_EXAMPLES, Reading
from cxmodel.stats.arrays import Bools, smallest_unsigned

MOST: Final = 1_000
_TABLE: Final = Table(name="rows", sql="", columns={})
_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_TIME: Final = re.compile(
    r"[12][0-9]{3}-[01][0-9]-[0-3][0-9]"
    r"([ T][012][0-9]:[0-5][0-9](:[0-5][0-9](\.[0-9]{1,6})?)?(Z|[+-](0[0-9]|1[0-3]):[0-5][0-9])?)?"
)
_UNKNOWN: Final = np.iinfo(np.int64).min


class UnusualError(Exception):
    """A value that is left to the engine; nobody sees this."""


@define(eq=False)
class _Draft:
    """Columns on their way."""

    arrays: dict[str, NDArray[Any]] = field(factory=dict)
    zoned: dict[str, Bools] = field(factory=dict)
    absent: dict[str, Bools] = field(factory=dict)
    identifiers: dict[str, Identifiers] = field(factory=dict)
    labels: dict[str, Labels] = field(factory=dict)

    def take(self, each: Field, texts: Sequence[str | None]) -> None:
        """One column."""
        if each.kind == "time":
            found = [_time(text) for text in texts]
            self.arrays[each.role] = np.array([us for us, _ in found], np.int64)
            self.zoned[each.role] = np.array([zoned for _, zoned in found], np.bool_)
            self.absent[each.role] = self.arrays[each.role] == _UNKNOWN
        elif each.kind == "number":
            self.arrays[each.role] = np.array([_number(text) for text in texts], np.float64)
        else:
            self._take_names(each, [_name(text) for text in texts])

    def _take_names(self, each: Field, texts: Sequence[str]) -> None:
        names = sorted({text for text in texts if text})
        code = {name: i for i, name in enumerate(("", *names))}
        codes = np.array([code[text] for text in texts], np.int64)
        self.absent[each.role] = codes == 0
        if each.kind != "id":
            self.arrays[each.role] = codes.astype(smallest_unsigned(len(code)))
            self.labels[each.role] = Labels(["", *names])
            return
        ids = Texts.of(names)
        order = np.argsort(keys := ids.keys())
        if np.unique(keys).size < keys.size:
            raise UnusualError
        self.arrays[each.role] = np.concatenate([np.zeros(1, np.uint64), keys])[codes]
        self.identifiers[each.role] = Identifiers(keys[order], ids.take(order))


def read_handful(rows: Sequence[Mapping[str, object]], fields: Sequence[Field], tz: str | None) -> Rows | None:
    """A few rows with all these columns, as the engine reads them; None where something is left to the engine."""
    draft, tally = _Draft(), ScanTally()
    if len(rows) > MOST:
        return None
    try:
        for each in fields:
            draft.take(each, [as_text(row[each.column]) for row in rows])
    except (UnusualError, KeyError):
        return None
    keep = np.ones(len(rows), np.bool_)
    for each in fields:
        lost = draft.absent[each.role] & keep if each.required else np.zeros(0, np.bool_)
        nothing = [None] * MOST_EXAMPLES
        tally.count(tally.rejected, f"no {each.role}", np.flatnonzero(lost), 0, _TABLE, nothing)
        keep = keep & ~lost if each.required else keep
    arrays = {role: array[keep] for role, array in draft.arrays.items()}
    for role, zoned in draft.zoned.items() if tz is not None else ():
        to_instants(arrays[role], zoned[keep], str(tz), tally)
    size = int(np.count_nonzero(keep))
    notes = (*tally.notes_on_times(tz), *tally.notes_on_values())
    return Rows(
        size=size, arrays=arrays, identifiers=draft.identifiers, labels=draft.labels,
        absent={each.role: draft.absent[each.role][keep] for each in fields if each.kind == "id" and not each.required},
        reading=Reading(rows=len(rows), kept=size, rejected=dict(tally.rejected), notes=notes), tally=tally,
    )  # fmt: skip


def _name(text: str | None) -> str:
    if text is None:
        return ""
    if not text.isprintable():
        raise UnusualError
    return text if text.strip() else ""


def _number(text: str | None) -> float:
    if text is None:
        return np.nan
    if not _NUMBER.fullmatch(text):
        raise UnusualError
    return float(text)


def _time(text: str | None) -> tuple[int, bool]:
    """µs, of a wall clock where no zone is named, and whether one is."""
    if text is None:
        return _UNKNOWN, False
    if not _TIME.fullmatch(text):
        raise UnusualError
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        raise UnusualError from None
    return instant(when if when.tzinfo is not None else when.replace(tzinfo=UTC)), when.tzinfo is not None
