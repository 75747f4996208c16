"""Sources: whatever a user hands over becomes tables that one engine can scan."""

from __future__ import annotations

import csv
import errno
import glob
import math
import os
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import field, frozen

from cxmodel.data.folders import OwnedFolder
from cxmodel.data.memory import free_memory
from cxmodel.data.sizes import parse_bytes
from cxmodel.data.temporary import full_disk
from cxmodel.errors import (
    InvalidValueError,
    MissingExtraError,
    NoRowsError,
    SourceNotFoundError,
    UnknownColumnError,
    UnreadableSourceError,
    unknown,
)
from cxmodel.model.readings import MOST_EXAMPLES, Count, Example
from cxmodel.typing import ArrowStream, Source

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from numpy.typing import NDArray

ENGINE_NEEDS: Final = 256 * 2**20  # one thread takes half of it for a buffer of JSON
_PER_THREAD: Final = 192 * 2**20
_LINE: Final = 16 * 2**20  # the longest line; without a word about buffers the engine takes 16 lines for each
_INTERRUPTED: Final = "Query interrupted"
_DISK: Final = ("failed to offload data block", "No space left on device", "Disk quota exceeded", "File too large")
_AHEAD: Final = "64MB"
_CSV: Final = (".csv", ".tsv", ".txt", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst")
_JSON: Final = (
    ".jsonl",
    ".ndjson",
    ".json",
    ".jsonl.gz",
    ".ndjson.gz",
    ".json.gz",
    ".jsonl.zst",
    ".ndjson.zst",
)
_PARQUET: Final = (".parquet", ".pq")
_NUMBERS: Final = frozenset({"BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"})


def quoted(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text as an SQL literal."""
    return "'" + text.replace("'", "''") + "'"


@frozen(kw_only=True)
class Table:
    """One table to scan: a file, or an object in memory.

    Attributes:
        name: What to call it in reports.
        sql: What to write behind FROM.
        columns: Column → type, in the engine's words.
        faults: Rows that could not even be split into columns.
        lost: Where these stood, ascending, counted from 1.
    """

    name: str
    sql: str
    columns: Mapping[str, str]
    faults: Mapping[str, Count] = field(factory=dict)
    lost: Sequence[int] = ()

    def row(self, place: int) -> int:
        """The row in the file of what stands at ``place`` among the rows that could be split."""
        for lost in self.lost:
            if lost > place:
                break
            place += 1
        return place


@contextmanager
def connect(memory_limit: str | None = None, *, folder: Path | None = None) -> Generator[DuckDBPyConnection]:
    """A private engine in memory: it keeps the order of rows, counts in UTC, prints nothing, fetches nothing.

    Args:
        memory_limit: Limit of the engine, for instance ``"2GB"``; it is left a quarter of a gibibyte in any case, and
            without a limit half of what is free.
        folder: Where it puts what does not fit into its memory; None where nothing large is asked of it.

    Raises:
        FullDiskError: There is no room for what does not fit.
    """
    import duckdb

    config: dict[str, str | bool] = {
        "TimeZone": "UTC", "preserve_insertion_order": True, "enable_progress_bar": False,
        "autoinstall_known_extensions": False, "autoload_known_extensions": False,
        # a stream decodes ahead on all threads as far as this reaches; with the usual 1 MB one waits for the other
        "streaming_buffer_size": _AHEAD,
        # without a folder of its own the engine would write into the one that the program runs in
        "temp_directory": "" if folder is None else str(folder),
    }  # fmt: skip
    # what is read needs room beside the engine, and a container's limit is not the machine's
    limit = max(parse_bytes(memory_limit) if memory_limit else free_memory() / 2, ENGINE_NEEDS)
    if limit < math.inf:
        config |= {"memory_limit": f"{limit:.0f}B", "threads": f"{min(limit // _PER_THREAD, os.cpu_count() or 1):.0f}"}
    with duckdb.connect(":memory:") as connection, _in_our_words("the source"):
        for key, value in config.items():
            connection.execute(f"SET {key} = {value if isinstance(value, bool) else literal(value)}")
        yield connection


@contextmanager
def large_engine(memory_limit: str | None = None) -> Generator[DuckDBPyConnection]:
    """An engine with a temporary folder for what does not fit into its memory; where there can be none, without."""
    try:
        owned = OwnedFolder()
    except OSError:
        owned = None
    try:
        with connect(memory_limit, folder=None if owned is None else owned.path) as connection:
            yield connection
    finally:
        if owned is not None:
            owned.close()


@contextmanager
def open_tables(source: Source, wanted: Sequence[str], *, memory_limit: str | None = None) -> Generator[
    tuple[DuckDBPyConnection, list[Table]]
]:  # fmt: skip
    """An engine and the tables of a source, of which only the wanted columns are needed.

    Args:
        source: Path, glob, list of them, frame, Arrow object, DuckDB relation or list of dicts.
        wanted: Names of the columns that will be read.
        memory_limit: Limit of the engine, for instance ``"2GB"``; it is left a quarter of a gibibyte in any case.

    Raises:
        SourceNotFoundError: No such file.
        UnreadableSourceError: Not a table.
        UnknownColumnError: A wanted column is not there.
        FullDiskError: There is no room for temporary files.
    """
    with large_engine(memory_limit) as connection:
        yield connection, list(_tables(connection, source, list(dict.fromkeys(wanted))))


@contextmanager
def _in_our_words(name: str) -> Generator[None]:
    """Errors of the engine become ours; what is wrong may be the source of this name, or the place for its rows."""
    import duckdb

    try:
        yield
    except (duckdb.Error, RuntimeError) as error:
        told = _told(name, error)
        if told is None:
            raise
        raise told from None


def _told(name: str, error: Exception) -> BaseException | None:
    """What to raise instead of an error of the engine; None for an error of somebody else."""
    import duckdb

    words = str(error)
    if _INTERRUPTED in words:
        # the engine took note of the signal, and tells of it as of an error of its own
        return KeyboardInterrupt()
    if any(sign in words for sign in _DISK):
        return full_disk(OSError(errno.ENOSPC, _first_words(error)))
    if isinstance(error, duckdb.OutOfMemoryException):
        return InvalidValueError(
            "the engine that reads needs more memory than memory_limit= or the machine leaves it",
            hint='Write memory_limit="500MB" or more, and set TMPDIR to a folder that can be written to',
        )
    return _unreadable(name, error) if isinstance(error, duckdb.Error) else None


def _tables(connection: DuckDBPyConnection, source: Source, wanted: list[str]) -> Iterator[Table]:
    if isinstance(source, (str, os.PathLike)):
        for path in _matching(os.fspath(source)):
            yield _file(connection, path, wanted)
    elif isinstance(source, ArrowStream):
        yield _object(connection, source, wanted)
    elif all(isinstance(row, Mapping) for row in source):
        yield _rows(connection, source, wanted)  # type: ignore[arg-type]
    elif all(isinstance(item, (str, os.PathLike)) for item in source):
        paths = sorted({path for item in source for path in _matching(os.fspath(item))})  # type: ignore[arg-type]
        for path in paths:
            yield _file(connection, path, wanted)
    else:
        raise UnreadableSourceError(
            f"cannot read a {type(source).__name__} as a table",
            hint="Give a path, a glob, a list of paths, a pandas or Polars frame, an Arrow table, a DuckDB relation "
            "or a list of dicts",
        )


def paths_of(source: object) -> list[str] | None:
    """The files that a source names, in order; None where it is no path or list of paths.

    Raises:
        SourceNotFoundError: No such file.
    """
    if isinstance(source, (str, os.PathLike)):
        return _matching(os.fspath(source))
    if isinstance(source, (list, tuple)) and source and all(isinstance(item, (str, os.PathLike)) for item in source):
        return sorted({path for item in source for path in _matching(os.fspath(item))})
    return None


def engine_reads(path: str) -> bool:
    """Whether the engine reads files with this ending."""
    return path.lower().endswith((*_PARQUET, *_JSON, *_CSV))


def _matching(pattern: str) -> list[str]:
    if os.path.isdir(pattern):
        raise SourceNotFoundError(f"{pattern} is a folder", hint=f"Name its files: {os.path.join(pattern, '*.csv')}")
    if os.path.exists(pattern):
        return [pattern]
    found = sorted(path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path))
    if not found:
        what = "matches no file" if glob.has_magic(pattern) else "does not exist"
        raise SourceNotFoundError(f"{pattern} {what}", hint=f"This runs in {os.getcwd()}")
    return found


def _file(connection: DuckDBPyConnection, path: str, wanted: list[str]) -> Table:
    name, lower = Path(path).name, path.lower()
    if lower.endswith(_PARQUET):
        return _scanned(connection, f"read_parquet({literal(_plain(path))})", name, wanted)
    if lower.endswith(_JSON):
        return _json(connection, f"{literal(_plain(path))}, sample_size=-1, maximum_object_size=67108864", name, wanted)
    if lower.endswith(_CSV):
        return _csv(connection, path, name, wanted)
    raise UnreadableSourceError(
        f"{name}: cannot tell the format from the ending",
        hint=f"Known endings: {', '.join((*_CSV, *_JSON, *_PARQUET))}; or read it into a frame and hand that over",
    )


def _json(connection: DuckDBPyConnection, scan: str, name: str, wanted: list[str]) -> Table:
    """JSON knows texts and numbers: what the engine would guess to be dates, UUIDs or mixtures stays as written."""
    types = _describe(connection, f"read_json_auto({scan})", name)
    _check_columns(types, wanted, name)
    kept = [f"{literal(each)}: {literal(types[each] if types[each] in _NUMBERS else 'VARCHAR')}" for each in wanted]
    columns = f", columns={{{', '.join(kept)}}}" if kept else ""
    return _copied(connection, f"read_json({scan}{columns})", name, wanted)


def _plain(path: str) -> str:
    # the engine reads glob characters in a path; a file that is really called so needs them escaped
    return "".join(f"[{c}]" if c in "*?[" else c for c in path) if os.path.exists(path) else path


def _describe(connection: DuckDBPyConnection, sql: str, name: str) -> dict[str, str]:
    with _in_our_words(name):
        return {row[0]: row[1] for row in connection.execute(f"DESCRIBE SELECT * FROM {sql}").fetchall()}


def _unreadable(name: str, error: Exception) -> UnreadableSourceError:
    first = error.strerror.lower() if isinstance(error, OSError) and error.strerror else _first_words(error)
    return UnreadableSourceError(f"{name} cannot be read: {first}")


def _first_words(error: Exception) -> str:
    return str(error).splitlines()[0].split(": ", 1)[-1]


def _check_columns(columns: Mapping[str, str], wanted: list[str], name: str) -> None:
    for column in wanted:
        if column not in columns:
            raise UnknownColumnError(f"{name}: {unknown('column', column, list(columns))}")


def _scanned(connection: DuckDBPyConnection, sql: str, name: str, wanted: list[str]) -> Table:
    columns = _describe(connection, sql, name)
    _check_columns(columns, wanted, name)
    return Table(name=name, sql=sql, columns={column: columns[column] for column in wanted})


def _copied(connection: DuckDBPyConnection, sql: str, name: str, wanted: list[str]) -> Table:
    """A source that is costly, or impossible, to scan twice: its wanted columns go into the engine once."""
    columns = _describe(connection, sql, name)
    _check_columns(columns, wanted, name)
    copy = quoted(f"copy {connection.execute('SELECT count(*) FROM duckdb_tables()').fetchall()[0][0]}")
    listed = ", ".join(quoted(column) for column in wanted) or "1"
    with _in_our_words(name):
        connection.execute(f"CREATE TEMP TABLE {copy} AS SELECT {listed} FROM {sql}")
    return Table(name=name, sql=copy, columns={column: columns[column] for column in wanted})


def _object(connection: DuckDBPyConnection, source: ArrowStream, wanted: list[str]) -> Table:
    import duckdb

    name = type(source).__name__
    view = f"object {connection.execute('SELECT count(*) FROM duckdb_views()').fetchall()[0][0]}"
    one_shot = not hasattr(source, "columns") and not hasattr(source, "column_names")
    if isinstance(source, duckdb.DuckDBPyRelation):
        # another engine's relation: only its Arrow stream may cross over, and each stream is read once
        source, one_shot = _Streams(source), True
    try:
        connection.register(view, source)
    except (duckdb.Error, TypeError) as error:
        raise _unreadable(name, error) from None
    if one_shot:
        return _copied_once(connection, view, name, wanted)
    return _scanned(connection, quoted(view), name, wanted)


class _Streams:
    """A relation as nothing but a source of Arrow streams; DuckDB 1.5 asks for two, one of them for the schema."""

    def __init__(self, relation: ArrowStream) -> None:
        self._relation = relation

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self._relation.__arrow_c_stream__(requested_schema)


def _copied_once(connection: DuckDBPyConnection, view: str, name: str, wanted: list[str]) -> Table:
    with _in_our_words(name):
        connection.execute(f"CREATE TEMP TABLE {quoted(view + ' copy')} AS SELECT * FROM {quoted(view)}")
    return _scanned(connection, quoted(view + " copy"), name, wanted)


def _rows(connection: DuckDBPyConnection, rows: Sequence[Mapping[str, object]], wanted: list[str]) -> Table:
    import numpy as np

    if not rows:
        raise NoRowsError("the list of rows is empty")
    known = list(dict.fromkeys(key for row in rows for key in row))
    _check_columns(dict.fromkeys(known, ""), wanted, "rows")
    table: dict[str, NDArray[Any]] = {}
    for i, column in enumerate(wanted):
        texts = [as_text(row.get(column)) for row in rows]
        # what is missing goes apart: DuckDB 1.5 fails where a sample of a column holds nothing else
        table[str(i)] = np.array([text or "" for text in texts], object)
        table[f"{i} there"] = np.array([text is not None for text in texts], np.bool_)
    connection.register("rows", table or {"0": np.zeros(len(rows))})
    listed = ", ".join(
        f"CASE WHEN {quoted(f'{i} there')} THEN {quoted(str(i))}::VARCHAR END AS {quoted(column)}"
        for i, column in enumerate(wanted)
    ) or "1"  # fmt: skip
    connection.execute(f"CREATE TEMP TABLE {quoted('rows copy')} AS SELECT {listed} FROM rows")
    return Table(name="rows", sql=quoted("rows copy"), columns=dict.fromkeys(wanted, "VARCHAR"))


def as_text(value: object) -> str | None:
    """A Python value as the text that every other source would hold: integral floats without ``.0``."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat() if callable(isoformat) else value)


def _csv(connection: DuckDBPyConnection, path: str, name: str, wanted: list[str]) -> Table:
    header, delimiter = _header(path, name)
    _check_columns(dict.fromkeys(header, "VARCHAR"), wanted, name)
    types = ", ".join(f"{literal(column)}: 'VARCHAR'" for column in header)
    sql = (
        f"read_csv({literal(_plain(path))}, auto_detect=false, header=true, delim={literal(delimiter)}, quote='\"', "
        f"escape='\"', columns={{{types}}}, store_rejects=true, ignore_errors=true, nullstr='', "
        f"max_line_size={_LINE}, buffer_size={2 * _LINE})"
    )
    copy = quoted(f"copy {connection.execute('SELECT count(*) FROM duckdb_tables()').fetchall()[0][0]}")
    listed = ", ".join(quoted(column) for column in wanted) or "1"
    connection.execute("DROP TABLE IF EXISTS reject_errors")
    connection.execute("DROP TABLE IF EXISTS reject_scans")
    with _in_our_words(name):
        connection.execute(f"CREATE TEMP TABLE {copy} AS SELECT {listed} FROM {sql}")
    faults, lost = _csv_faults(connection, name)
    return Table(name=name, sql=copy, columns=dict.fromkeys(wanted, "VARCHAR"), faults=faults, lost=lost)


def _csv_faults(connection: DuckDBPyConnection, name: str) -> tuple[dict[str, Count], list[int]]:
    words = {
        "MISSING COLUMNS": "too few columns",
        "TOO MANY COLUMNS": "too many columns",
        "INVALID ENCODING": "not UTF-8",
    }
    found = connection.execute(
        "SELECT error_type::VARCHAR, line, first(csv_line) FROM reject_errors GROUP BY 1, 2 ORDER BY 2"
    ).fetchall()
    faults: dict[str, Count] = {}
    for kind, line, text in found:
        reason = words.get(str(kind).upper(), str(kind).replace("_", " ").lower())
        seen = faults.get(reason, Count(0))
        more = (Example(name, int(line) - 1, text),) if len(seen.examples) < MOST_EXAMPLES else ()
        faults[reason] = Count(seen.count + 1, (*seen.examples, *more))
    return faults, sorted({int(line) - 1 for _, line, _ in found})


def _header(path: str, name: str) -> tuple[list[str], str]:
    """The column names and the delimiter of a CSV file, from its first line."""
    try:
        line = _first_line(path)
    except UnicodeDecodeError:
        raise UnreadableSourceError(f"{name} is no text in UTF-8", hint="Save it as CSV in UTF-8") from None
    except (OSError, EOFError) as error:
        raise _unreadable(name, error) from None
    if not line.strip():
        raise NoRowsError(f"{name} is empty: it has no header line")
    outside = "".join(line.split('"')[::2])
    delimiter = max(",;\t|", key=outside.count)
    header = [column.strip() for column in next(csv.reader([line], delimiter=delimiter))]
    doubled = {column for column in header if header.count(column) > 1}
    seen: dict[str, int] = {}
    for i, column in enumerate(header):
        if column in doubled or not column:
            seen[column] = seen.get(column, 0) + 1
            header[i] = f"{column or 'column'}_{seen[column]}" if seen[column] > 1 or not column else column
    return header, delimiter


def _first_line(path: str) -> str:
    if path.lower().endswith(".gz"):
        import gzip

        with gzip.open(path, "rb") as packed:
            raw = packed.readline(1 << 20)
    elif path.lower().endswith(".zst"):
        raw = _first_line_zst(path)
    else:
        with open(path, "rb") as plain:
            raw = plain.readline(1 << 20)
    return raw.decode("utf-8-sig").rstrip("\r\n")


def _first_line_zst(path: str) -> bytes:
    import duckdb

    with connect() as connection:
        try:
            rows = connection.execute(
                f"SELECT line FROM read_csv({literal(_plain(path))}, auto_detect=false, header=false, delim='\x01', "
                "quote='', escape='', columns={'line': 'VARCHAR'}, max_line_size=16777216, strict_mode=false) LIMIT 1"
            ).fetchall()
        except duckdb.Error as error:
            raise MissingExtraError(f"{path} cannot be unpacked: {str(error).splitlines()[0]}") from None
    return str(rows[0][0]).encode() if rows else b""


def columns_of(source: str) -> list[str]:
    """The names of the columns of a file, or of the first that a glob matches.

    Raises:
        SourceNotFoundError: No such file.
        UnreadableSourceError: Not a table.
    """
    path = _matching(source)[0]
    name, lower = Path(path).name, path.lower()
    if lower.endswith(_CSV):
        return _header(path, name)[0]
    reader = "read_parquet" if lower.endswith(_PARQUET) else "read_json_auto"
    if not lower.endswith((*_PARQUET, *_JSON)):
        raise UnreadableSourceError(
            f"{name}: cannot tell the format from the ending",
            hint=f"Known endings: {', '.join((*_CSV, *_JSON, *_PARQUET))}",
        )
    with connect() as connection:
        return list(_describe(connection, f"{reader}({literal(_plain(path))})", name))
