"""One log, however it is handed over, gives the same journeys; identifiers and times follow their rules."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import parquet
from tests.laws.reading import counts_of, edges_of, paths_of, read, whole

import cxmodel as cx
from cxmodel.testing import HOSTILE, Row

COLUMNS = ("customer", "journey", "touchpoint", "time", "channel", "amount", "turn")
NAMES = [text for text in HOSTILE if text and "\r" not in text]


def sample() -> list[Row]:
    """A log with hostile names, ids that look like numbers, ties that a column breaks, gaps and zones."""
    rows: list[Row] = []
    for i in range(240):
        minute = (i * 7) % 60 // 4
        rows.append({
            "customer": NAMES[i % len(NAMES)], "journey": str(i % 5), "touchpoint": NAMES[(i * 13) % len(NAMES)],
            "time": f"2026-03-{1 + i % 20:02}T{i % 24:02}:{minute:02}:00+02:00",
            "channel": NAMES[i % 3] if i % 4 else None, "amount": str(i / 4), "turn": str(240 - i),
        })  # fmt: skip
    return rows


def write_csv(path: Path, rows: Sequence[Row], opened: Callable[..., Any]) -> str:
    with opened(path, "wt", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows({**row, "channel": row["channel"] or ""} for row in rows)
    return str(path)


def write_json(path: Path, rows: Sequence[Row]) -> str:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return str(path)


def sources(folder: Path, rows: list[Row]) -> Iterator[tuple[str, Any]]:
    """The rows in every form that can be read; text in all of them."""
    table = pa.Table.from_pylist(rows, pa.schema([(name, pa.string()) for name in COLUMNS]))
    plain = write_csv(folder / "plain.csv", rows, open)
    yield "csv", plain
    yield "path", Path(plain)
    yield "csv.gz", write_csv(folder / "packed.csv.gz", rows, gzip.open)
    with pa.OSFile(str(folder / "packed.csv.zst"), "wb") as raw, pa.CompressedOutputStream(raw, "zstd") as out:
        out.write(Path(plain).read_bytes())
    yield "csv.zst", str(folder / "packed.csv.zst")
    parquet.write_table(table, folder / "log.parquet")
    yield "parquet", str(folder / "log.parquet")
    yield "json lines", write_json(folder / "log.jsonl", rows)
    (folder / "log.json").write_text(json.dumps(rows), encoding="utf-8")
    yield "json", str(folder / "log.json")
    yield "pandas", pd.DataFrame(rows)
    yield "polars", pl.DataFrame(rows)
    yield "pyarrow", table
    yield "stream", pa.RecordBatchReader.from_batches(table.schema, table.to_batches(max_chunksize=50))
    yield "chunks", pa.concat_tables([table.slice(0, 100), table.slice(100)])
    yield "relation", duckdb.connect().from_arrow(table)
    yield "dicts", rows
    parts = [write_csv(folder / f"part {i}.csv", rows[i * 80 : i * 80 + 80], open) for i in range(3)]
    yield "glob", str(folder / "part *.csv")
    yield "list", parts
    yield "mixed list", [parts[0], write_json(folder / "part 1b.jsonl", rows[80:160]), parts[2]]


def test_every_source_gives_the_same_journeys(tmp_path: Path) -> None:
    rows = sample()

    def seen(source: Any) -> dict[str, object]:
        journeys = cx.read_events(
            source, customer="customer", journey="journey", touchpoint="touchpoint", time="time", channel="channel",
            value="amount", order=["turn"], attributes=["amount"],
        )  # fmt: skip
        reading = journeys.reading
        return {
            "journeys": whole(journeys), "counts": counts_of(journeys), "edges": edges_of(journeys),
            "paths": paths_of(journeys), "rows": (reading.rows, reading.kept), "origin": journeys.population.origin,
            "channels": journeys.measure(cx.metrics.Length(), by="channel").groups,
            "values": {n: d.get("value") for n, d in journeys.graph().nodes(data=True)},
            "sample": whole(journeys.sample(0.4, seed=1)),
        }  # fmt: skip

    found = {name: seen(source) for name, source in sources(tmp_path, rows)}
    for name, each in found.items():
        for what, value in each.items():
            assert value == found["dicts"][what], f"{what} from {name}"


def test_columns_with_types_of_their_own(tmp_path: Path) -> None:
    """Whole numbers, floats, categories and zone-aware times stand for the texts that they would be written as."""
    rows: list[Row] = [
        {"customer": i % 7, "journey": float(i % 3), "touchpoint": f"p{i % 4}", "turn": 60 - i,
         "time": datetime(2026, 1, 1, i % 3, tzinfo=UTC)}
        for i in range(60)
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    frame["touchpoint"] = frame["touchpoint"].astype("category")
    polars = pl.DataFrame(rows).with_columns(
        pl.col("touchpoint").cast(pl.Categorical), pl.col("customer").cast(pl.UInt8)
    )
    polars.write_parquet(tmp_path / "typed.parquet")
    texts = [
        {name: value.isoformat() if isinstance(value, datetime) else str(value) for name, value in row.items()}
        for row in rows
    ]
    for row in texts:
        row["journey"] = row["journey"].removesuffix(".0")
    pl.DataFrame(texts).write_csv(tmp_path / "typed.csv")
    pl.DataFrame(texts).write_ndjson(tmp_path / "typed.jsonl")
    seen = [
        whole(read(source, journey="journey", order=["turn"]))
        for source in (
            rows,
            frame,
            polars,
            polars.lazy().collect().to_arrow(),
            texts,
            *map(str, sorted(tmp_path.iterdir())),
        )
    ]
    for each in seen[1:]:
        assert each == seen[0]


@pytest.mark.parametrize(
    "text", ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11", "2026-01-01", "2026-01-01T00:00:00Z", "12:30", "true", "1e3"]
)
def test_json_texts_stay_as_written(tmp_path: Path, text: str) -> None:
    rows: list[Row] = [{"customer": text, "touchpoint": text, "time": "2026-01-01T10:00:00"}]
    assert whole(read(write_json(tmp_path / "a.jsonl", rows))) == whole(read(rows))
    numbers = write_json(tmp_path / "b.jsonl", [*rows, {**rows[0], "customer": 7}, {**rows[0], "customer": "7"}])
    assert read(numbers).facts.customers == 2


# identifiers


def ids(*values: object) -> int:
    return read([{"customer": v, "touchpoint": "a", "time": "2026-01-01"} for v in values]).facts.customers


def test_identifiers_are_compared_as_text() -> None:
    assert ids("007", "7") == 2
    assert ids(7, "7", 7.0) == 1
    assert ids("NA", "null", "nan", "None") == 4
    assert ids(" 7", "7") == 2
    assert ids(2**53 + 1, 2**53) == 2
    assert ids(-1, "-1") == 1


@pytest.mark.parametrize(
    "kind",
    [pa.int8(), pa.int64(), pa.uint16(), pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(21, 0), pa.string()],
)
def test_ids_of_every_type_are_the_same_ids(kind: pa.DataType) -> None:
    """Integers keep their value as a key, all else is hashed; no result may tell."""
    values = [1, 2, 3, 100]
    table = pa.table({
        "customer": pa.array([str(v) if kind == pa.string() else v for v in values * 2]).cast(kind),
        "touchpoint": ["a"] * 4 + ["b"] * 4, "time": ["2026-01-01"] * 4 + ["2026-01-02"] * 4,
    })  # fmt: skip
    journeys = read(table)
    texts = read([{**row, "customer": str(v)} for row, v in zip(table.to_pylist(), values * 2, strict=True)])
    assert whole(journeys) == whole(texts)
    assert {c: k for b in journeys.population.parts for c, k in keys_of(journeys, b)} == {
        c: k for b in texts.population.parts for c, k in keys_of(texts, b)
    }
    assert whole(journeys.sample(0.5, seed=2)) == whole(texts.sample(0.5, seed=2))
    answers = cx.read_responses([{"c": 2, "s": 9}], customer="c", score="s", scale=cx.Scale.nps())
    assert journeys.with_responses(answers).attached == texts.with_responses(answers).attached
    joined = journeys.with_customers(pa.table({"c": [1.0, 3.0], "kind": ["x", "y"]}), customer="c", attributes=["kind"])
    assert joined.where(kind="y").facts.customers == 1


def keys_of(journeys: cx.Journeys, block: Any) -> Iterator[tuple[str, int]]:
    names = journeys.population.vocabulary.customers
    yield from ((names.text(int(k)), int(stable)) for k, stable in zip(block.customer, block.customer_key, strict=True))


def test_blank_identifiers_are_rejected_in_every_type() -> None:
    for values in (["a", None, "", "  "], [1, None, None, None], [1.5, None, None, None]):
        rows: list[Row] = [{"customer": v, "touchpoint": "a", "time": "2026-01-01"} for v in values]
        for source in (rows, pa.Table.from_pylist(rows), pd.DataFrame(rows)):
            reading = read(source).reading
            assert (reading.kept, reading.rejected["no customer"].count) == (1, 3)


# times


def times(*values: object, tz: str | None = None) -> tuple[list[str], cx.Journeys]:
    """Each value as an event of its own customer, and what instant it was read as."""
    rows = [{"customer": str(i), "touchpoint": "a", "time": v} for i, v in enumerate(values)]
    journeys = read(rows, tz=tz)
    found = {customer: events[0][1] for customer, _, events in whole(journeys)}
    return [
        (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=found[str(i)])).isoformat()
        for i in range(len(values))
    ], journeys


def test_offsets_and_zones_are_instants() -> None:
    found, _ = times(
        "2026-07-01T12:00:00Z", "2026-07-01T14:00:00+02:00", "2026-07-01 08:00:00-04", "2026-07-01T17:30:00+05:30",
        datetime(2026, 7, 1, 14, tzinfo=ZoneInfo("Europe/Berlin")), "2026-07-01T12:00:00", datetime(2026, 7, 1, 12),  # noqa: DTZ001
        "2026-07-01 14:00:00 Europe/Berlin",
    )  # fmt: skip
    assert set(found) == {"2026-07-01T12:00:00+00:00"}


def test_wall_clocks_take_the_zone_and_instants_do_not() -> None:
    found, _ = times("2026-07-01T14:00:00", "2026-07-01T12:00:00Z", "2026-07-01T14:00:00+02:00", tz="Europe/Berlin")
    assert set(found) == {"2026-07-01T12:00:00+00:00"}
    found, _ = times("2026-07-01", date(2026, 7, 1), tz="Europe/Berlin")
    assert set(found) == {"2026-06-30T22:00:00+00:00"}


def test_json_times_with_an_offset_are_instants(tmp_path: Path) -> None:
    rows: list[Row] = [{"customer": "x", "touchpoint": "a", "time": "2026-07-01T14:00:00+02:00"}]
    for tz in (None, "America/New_York"):
        assert whole(read(write_json(tmp_path / "a.jsonl", rows), tz=tz)) == whole(read(rows))


@given(
    st.datetimes(datetime(1950, 1, 1), datetime(2035, 1, 1)),  # noqa: DTZ001 - wall clocks are meant
    st.sampled_from(["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]),
)
def test_wall_clocks_agree_with_the_time_zone_database(wall: datetime, name: str) -> None:
    """Non-existent times move forward, ambiguous ones take the first reading: what ``fold=0`` means in Python."""
    found, _ = times(wall, tz=name)
    assert datetime.fromisoformat(found[0]) == wall.replace(tzinfo=ZoneInfo(name), fold=0).astimezone(UTC)


def test_changes_of_the_clock_are_counted() -> None:
    found, journeys = times("2026-03-29T02:30:00", "2026-10-25T02:30:00", "2026-10-25T03:00:00", tz="Europe/Berlin")
    assert found == ["2026-03-29T01:30:00+00:00", "2026-10-25T00:30:00+00:00", "2026-10-25T02:00:00+00:00"]
    notes = " ".join(journeys.reading.notes)
    assert "1 times do not exist in Europe/Berlin and moved forward" in notes
    assert "1 times are ambiguous in Europe/Berlin" in notes


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
@pytest.mark.parametrize("kind", [pa.int32(), pa.int64(), pa.uint64(), pa.float64(), pa.string(), None])
def test_seconds_milliseconds_and_microseconds_since_1970(unit: int, kind: pa.DataType | None, tmp_path: Path) -> None:
    if kind == pa.int32() and unit > 1:
        return
    values = [1_700_000_000 * unit, 1_700_000_060 * unit]
    rows: list[Row] = [{"customer": "x", "touchpoint": "a", "time": v} for v in values]
    table = pa.Table.from_pylist(rows)
    if kind is not None:
        table = table.set_column(2, "time", pa.array([str(v) for v in values]).cast(kind))
    pl.DataFrame(rows).write_csv(tmp_path / "a.csv")
    for source in (table, rows, str(tmp_path / "a.csv"), write_json(tmp_path / "a.jsonl", rows)):
        journeys = read(source)
        assert [e[2] for e in whole(journeys)] == [[("a", 1_700_000_000_000_000), ("a", 1_700_000_060_000_000)]]
        assert any("since 1970" in note for note in journeys.reading.notes)


def test_numbers_that_are_no_times_are_counted() -> None:
    source = pl.DataFrame({"customer": ["x", "y", "z"], "touchpoint": "a", "time": [1.7e9, float("nan"), None]})
    reading = read(source).reading
    assert (reading.rows, reading.kept, sum(each.count for each in reading.rejected.values())) == (3, 1, 2)
    with pytest.raises(cx.errors.InvalidValueError, match="no seconds"):
        read(pa.table({"customer": ["x"], "touchpoint": ["a"], "time": [2**62]}))


def test_far_times() -> None:
    found, _ = times("0001-01-01", "9999-12-31T23:59:59", "1900-01-01", "1969-12-31T23:59:59.999999")
    assert found == [
        "0001-01-01T00:00:00+00:00", "9999-12-31T23:59:59+00:00", "1900-01-01T00:00:00+00:00",
        "1969-12-31T23:59:59.999999+00:00",
    ]  # fmt: skip
    rows = [
        {"customer": "x", "touchpoint": "a", "time": t}
        for t in ("2026-01-01", "2026-02-30", "2026-13-01", "infinity", "soon")
    ]
    reading = read(rows).reading
    assert reading.kept == 1
    assert reading.rejected["time that cannot be read"].count == 4


def test_times_out_of_the_calendar_with_a_zone() -> None:
    """9999-12-31 is how many databases write "for ever": it must not break anything."""
    for tz in ("Europe/Berlin", "America/New_York"):
        rows = [
            {"customer": "x", "touchpoint": "a", "time": t} for t in ("0001-01-01", "2026-01-01", "9999-12-31T23:59:59")
        ]
        journeys = read(rows, tz=tz)
        assert journeys.facts.events == 3
        assert journeys.facts.first is not None
        assert journeys.facts.last is not None
        assert (journeys.facts.first.year, journeys.facts.last.year) == (1, 9999)
    rows = [{"customer": "x", "touchpoint": "a", "time": t} for t in ("2026-01-01", "20000-01-01", "0044-03-15 (BC)")]
    assert read(rows).reading.rejected["time that cannot be read"].count == 2
