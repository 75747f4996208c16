"""Seeded logs as Parquet files, and what the tasks need beside them: answers, small batches, prepared journeys."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal, cast

import duckdb
import numpy as np
from attrs import frozen

from cxmodel.datasets import event_log

DATA = Path(__file__).parent / "data"
CHUNK = 10_000_000
BATCHES, BATCH = 10, 1_000
Ids = Literal["int", "str"]
Order = Literal["time", "customer", "shuffled"]


@frozen
class Log:
    """A log that can be made again: the same arguments, the same events.

    Attributes:
        events: Number of events.
        ids: Customer ids as numbers or as text.
        order: Order of the rows.
        touchpoints: Size of the vocabulary.
        zipf: Exponent of Zipf's law.
    """

    events: int
    ids: Ids = "int"
    order: Order = "time"
    touchpoints: int = 30
    zipf: float = 1.0

    @property
    def name(self) -> str:
        """Its name; the usual vocabulary goes without saying."""
        size = f"{self.events:.0e}".replace("+0", "").replace("+", "")
        words = "" if self.touchpoints == 30 else f"_{self.touchpoints}_{self.zipf}"
        return f"{self.order}_{self.ids}{words}_{size}"

    @property
    def path(self) -> Path:
        """Where it stands once it is made."""
        return DATA / f"{self.name}.parquet"


def make(log: Log) -> Path:
    """The path of a log; it is made where it is not there yet."""
    DATA.mkdir(exist_ok=True)
    if not log.path.exists():
        draft = log.path.with_suffix(".part")
        if log.events <= CHUNK:
            _write(log, draft, seed=7, shift=0)
        else:
            _merge(log, draft)
        draft.rename(log.path)
    return log.path


def _write(log: Log, path: Path, *, seed: int, shift: int) -> None:
    made = event_log(log.events, seed=seed, order=log.order, touchpoints=log.touchpoints, zipf=log.zipf)
    connection = duckdb.connect()
    stamps = made.time.astype("datetime64[us]").view(np.int64)
    customers = made.customer.astype(np.int64) + shift
    connection.register("log", {"customer": customers, "ts": stamps, "code": made.code.astype(np.int64)})
    customer = "customer" if log.ids == "int" else "'cust-' || customer::VARCHAR AS customer"
    named = made.names[:30]
    names = "[" + ", ".join(f"'{name}'" for name in named) + "]"
    touchpoint = f"CASE WHEN code < {len(named)} THEN {names}[code + 1] ELSE 'touchpoint ' || (code + 1) END"
    connection.execute("SET preserve_insertion_order = true")
    connection.execute(
        f"COPY (SELECT {customer}, make_timestamp(ts) AS ts, {touchpoint} AS touchpoint FROM log) "
        f"TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 1000000)"
    )
    connection.close()


def _merge(log: Log, path: Path) -> None:
    """Chunks of different customers over the same days, put in the order of time on disk."""
    if log.order != "time":
        raise SystemExit(f"a log of {log.events:,} events is made in the order of time only")
    parts = []
    for number in range(log.events // CHUNK):
        parts.append(path.with_suffix(f".{number}.chunk"))
        part = Log(CHUNK, log.ids, "time", log.touchpoints, log.zipf)
        _write(part, parts[-1], seed=7 + number, shift=number * 10**11)
    connection = duckdb.connect()
    connection.execute(f"SET memory_limit = '6GB'; SET temp_directory = '{DATA}/sorting'")
    listed = ", ".join(f"'{part}'" for part in parts)
    connection.execute(
        f"COPY (SELECT * FROM read_parquet([{listed}]) ORDER BY ts) "
        f"TO '{path}' (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE 1000000)"
    )
    connection.close()
    for part in parts:
        part.unlink()


def answers(path: Path) -> Path:
    """One answer from 0 to 10 to every tenth event or so, a second after it; which ones follows from their hash."""
    out = path.with_suffix(".answers.parquet")
    if not out.exists():
        duckdb.execute(
            f"COPY (SELECT customer, ts + INTERVAL 1 SECOND AS ts, touchpoint, hash(ts, customer) % 11 AS score "
            f"FROM '{path}' WHERE hash(customer, ts, 1) % 10 = 0) TO '{out}' (FORMAT parquet)"
        )
    return out


def batches(path: Path) -> list[Path]:
    """Ten small files of later events of known customers."""
    parts = [path.with_suffix(f".batch{number}.parquet") for number in range(BATCHES)]
    for number, part in enumerate(parts):
        if not part.exists():
            duckdb.execute(
                f"COPY (SELECT customer, ts + INTERVAL 1000 DAY AS ts, touchpoint FROM '{path}' "
                f"LIMIT {BATCH} OFFSET {number * BATCH}) TO '{part}' (FORMAT parquet)"
            )
    return parts


def prepared(path: Path) -> Path:
    """A folder with the prepared journeys of a log."""
    import cxmodel as cx

    out = path.with_suffix(".prepared")
    if not out.exists():
        cx.read_events(str(path), customer="customer", touchpoint="touchpoint", time="ts").save(out)
    return out


def main() -> None:
    """Make a log and what stands beside it; print the path of the log."""
    events, ids, order, touchpoints, zipf = sys.argv[1:6]
    log = Log(int(events), cast("Ids", ids), cast("Order", order), int(touchpoints), float(zipf))
    path = make(log)
    if log == Log(log.events) and log.events <= CHUNK:
        answers(path)
        batches(path)
        prepared(path)
    print(path)


if __name__ == "__main__":
    main()
