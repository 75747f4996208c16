"""Records as columns: for Arrow, Polars and pandas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from cxmodel.errors import MissingExtraError

if TYPE_CHECKING:
    from types import ModuleType

    import pandas as pd
    import polars as pl

_NUMBERS: Final = ("value", "low", "high", "level", "n_eff", "range_low", "range_high")
_WHOLE: Final = ("n", "censored")

Columns = Mapping[str, Sequence[Any]]


class Tabular:
    """What has records has columns: it is an Arrow table wherever one is taken, and a frame on request.

    One row per record. A group takes a column of its own per grouping; a transition reads ``a → b``, flags are joined
    by commas, ``range`` becomes ``range_low`` and ``range_high``, and what else is nested becomes JSON text. What is
    missing is null.

    Example:
        >>> import cxmodel as cx
        >>> rows = [{"who": i, "what": "ask", "at": "2026-01-01", "via": "web"} for i in range(30)]
        >>> log = cx.read_events(rows, customer="who", touchpoint="what", time="at", channel="via")
        >>> frame = log.measure(cx.metrics.Length(), by="channel").to_polars()
        >>> frame.select("channel", "quantity", "value", "n").row(0)
        ('web', 'length', 1.0, 30)
    """

    __slots__ = ()

    def to_records(self) -> list[dict[str, object]]:
        """One flat record per row."""
        raise NotImplementedError

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows for Arrow, as ``pyarrow.table(result)`` asks for them."""
        return _Rows(self.to_records()).__arrow_c_stream__(requested_schema)

    def to_polars(self) -> pl.DataFrame:
        """The rows as a Polars frame.

        Raises:
            MissingExtraError: Without Polars.
        """
        frame: pl.DataFrame = _library("polars").DataFrame(_Rows(self.to_records()))
        return frame

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a pandas frame.

        Raises:
            MissingExtraError: Without pandas.
        """
        frames = _library("pandas")
        columns = columns_of(self.to_records())
        kinds = {name: _PANDAS[_kind(name, each)] for name, each in columns.items()}
        frame: pd.DataFrame = frames.DataFrame(
            {name: frames.Series(list(each), dtype=kinds[name]) for name, each in columns.items()}
        )
        return frame


class _Rows:
    """Records that are nothing but an Arrow stream: what is a mapping too is taken for columns by some."""

    def __init__(self, records: Sequence[Mapping[str, object]]) -> None:
        self._columns = columns_of(records)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        import nanoarrow

        kinds = {name: getattr(nanoarrow, _kind(name, each))() for name, each in self._columns.items()}
        arrays = [nanoarrow.c_array(list(each), kinds[name]) for name, each in self._columns.items()]
        length = max(map(len, self._columns.values()), default=0)
        table = nanoarrow.c_array_from_buffers(nanoarrow.struct(kinds), length, buffers=[None], children=arrays)
        stream: object = nanoarrow.c_array_stream(table).__arrow_c_stream__(requested_schema)
        return stream


_PANDAS: Final = {"float64": "float64", "int64": "Int64", "bool_": "boolean", "string": "object"}


def columns_of(records: Sequence[Mapping[str, object]]) -> Columns:
    """The records as columns of equal length, in the order in which names are first met.

    Example:
        >>> columns_of([{"group": {"channel": "web"}, "n": 3}, {"group": {"channel": None}, "n": 1}])
        {'channel': ['web', None], 'n': [3, 1]}
    """
    flat = [_flat(record) for record in records]
    names = dict.fromkeys(name for row in flat for name in row)
    columns = {name: [row.get(name) for row in flat] for name in names}
    return {name: _texts(each) if _kind(name, each) == "string" else each for name, each in columns.items()}


def _flat(record: Mapping[str, object]) -> dict[str, object]:
    row: dict[str, object] = {}
    for name, each in record.items():
        if name == "group" and isinstance(each, Mapping):
            row |= {f"group_{key}" if key in record else str(key): _cell(part) for key, part in each.items()}
        elif isinstance(each, Mapping):
            row |= {f"{name}_{key}": _cell(part) for key, part in _flat(each).items()}
        elif name == "range" and isinstance(each, list) and len(each) == 2:
            row["range_low"], row["range_high"] = each
        elif name == "flags" and isinstance(each, list):
            row[name] = ", ".join(map(str, each))
        else:
            row[name] = _cell(each)
    return row


def _cell(each: object) -> object:
    if each is None or isinstance(each, bool | int | float | str):
        return each
    if isinstance(each, list | tuple) and all(isinstance(part, str) for part in each):
        return " → ".join(each)
    return json.dumps(each, default=str, ensure_ascii=False)


def _texts(column: Sequence[object]) -> list[str | None]:
    # a lone surrogate is no text for anybody else
    return [None if each is None else str(each).encode("utf-8", "replace").decode() for each in column]


def _kind(name: str, column: Sequence[object]) -> str:
    there = {type(each) for each in column if each is not None}
    if there <= {int, float} and (name in _NUMBERS or float in there):
        return "float64"
    if there == {int} or (name in _WHOLE and not there):
        return "int64"
    return "bool_" if there == {bool} else "string"


def _library(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError:
        raise MissingExtraError(f"{name} is not installed", hint=f"pip install {name}; or take to_records()") from None
