"""Logs that do not fit into memory: the same answers within the limit, and nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import tempfile
import time
import tracemalloc
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import cxmodel as cx
from cxmodel.data.folders import sweep
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.sizes import parse_bytes
from cxmodel.data.temporary import FullDiskError
from cxmodel.errors import InvalidValueError

GOAL = cx.Goal("purchase", touchpoints=["purchase"])


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 million events with texts as ids: many partitions under a small limit."""
    import duckdb

    made = cx.datasets.event_log(2_000_000, seed=3)
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    connection = duckdb.connect()
    stamps = made.time.astype("datetime64[us]").view("int64")
    connection.register("log", {"customer": made.customer, "code": made.code.astype("int64"), "ts": stamps})
    names = "[" + ", ".join(f"'{name}'" for name in made.names) + "]"
    connection.execute(
        f"COPY (SELECT 'c' || (customer % 300000) AS who, {names}[code + 1] AS what, make_timestamp(ts) AS at, "
        f"CASE WHEN code % 3 = 0 THEN 'web' WHEN code % 3 = 1 THEN 'app' END AS via FROM log) TO '{path}'"
    )
    connection.close()
    return path


def spilled() -> list[Path]:
    return list(Path(tempfile.gettempdir()).glob(f"cxmodel-spill-{os.getpid()}-*"))


def compare(a: cx.Journeys, b: cx.Journeys) -> None:
    assert (a.facts, a.population.origin) == (b.facts, b.population.origin)
    assert a.graph().to_dict() == b.graph().to_dict()
    assert str(a.paths().top(50)) == str(b.paths().top(50))
    rate = cx.metrics.ConversionRate(goal=GOAL)
    for left, right in zip(*(j.measure(rate, by="channel").to_records() for j in (a, b)), strict=True):
        numbers = [key for key, value in left.items() if isinstance(value, float)]
        assert [left[key] for key in numbers] == pytest.approx([right[key] for key in numbers], rel=1e-12)
        assert {**left, **dict.fromkeys(numbers)} == {**right, **dict.fromkeys(numbers)}


def test_the_same_answers_as_in_memory(log: Path) -> None:
    def read(**more: Any) -> cx.Journeys:
        return cx.read_events(
            log, customer="who", touchpoint="what", time="at", channel="via", tz="Europe/Rome", **more
        )

    within, whole = read(memory_limit="100MB"), read()
    assert len(spilled()) == 1
    assert "on disk" in within.reading.notes[-1]
    compare(within, whole)
    compare(*(j.split(gap=timedelta(days=2), at=GOAL).where(channel="app") for j in (within, whole)))
    del within
    gc.collect()
    assert spilled() == []


def test_the_limit_holds(log: Path) -> None:
    """What a pass takes stays below the limit, and below what it takes without one."""

    def most(limit: str | None) -> int:
        tracemalloc.start()
        journeys = cx.read_events(log, customer="who", touchpoint="what", time="at", memory_limit=limit)
        tracemalloc.clear_traces()
        journeys.split(gap=timedelta(days=2), at=GOAL).measure(cx.metrics.Graph(), cx.metrics.Paths())
        try:
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    limit = 80_000_000
    assert most(f"{limit}") < min(limit, most(None))


def test_a_full_disk_is_told_and_nothing_stays(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A limit on the size of files stands for the end of the disk."""
    script = (
        "import resource, signal, sys, cxmodel as cx\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))\n"
        "try:\n"
        "    cx.read_events(sys.argv[1], customer='who', touchpoint='what', time='at', memory_limit='50MB')\n"
        "except cx.errors.CxmodelError as error:\n"
        "    print(error.code, '|', error)\n"
    )
    child = subprocess.run([sys.executable, "-c", script, str(log)], capture_output=True, text=True, check=True)
    assert child.stdout.startswith(f"{FullDiskError.code} | there is no room")
    assert child.stdout.count("there is no room") == child.stdout.count("TMPDIR") == 1
    assert "TMPDIR" in child.stdout
    assert not [each for each in Path(tempfile.gettempdir()).glob("cxmodel-spill-*") if str(child.args) in each.name]
    assert spilled() == []


def test_few_files_are_open_at_once(log: Path) -> None:
    """Partitions are many more than the files that some systems let a process open."""
    script = (
        "import resource, sys, cxmodel as cx\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (50, 50))\n"
        "j = cx.read_events(sys.argv[1], customer='who', touchpoint='what', time='at', memory_limit='20MB')\n"
        "print(len(j.population.parts), j.facts.events)\n"
    )
    child = subprocess.run([sys.executable, "-c", script, str(log)], capture_output=True, text=True, check=True)
    blocks, events = map(int, child.stdout.split())
    assert blocks > 50
    assert events == 2_000_000


def test_a_customer_beyond_the_limit_is_told() -> None:
    import duckdb
    import numpy as np

    customer = np.where(np.arange(300_000) % 10 < 8, 0, np.arange(300_000))
    log = duckdb.connect()
    log.register("log", {"who": customer, "i": np.arange(300_000)})
    source = log.sql("SELECT who, 'step ' || i % 9 AS what, make_timestamp(i) AS at FROM log")
    journeys = cx.read_events(source, customer="who", touchpoint="what", time="at", memory_limit="5MB")
    log.close()
    assert any("one customer has 240,000 events" in note for note in journeys.reading.notes)


def test_what_a_killed_process_left_is_swept(log: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time, numpy as np, cxmodel as cx\n"
        "j = cx.read_events(sys.argv[1], customer='who', touchpoint='what', time='at', memory_limit='50MB')\n"
        "state = j.population.keeper.settled((np.ones(2_000_000), j.graph().number_of_edges()))\n"
        "print('ready', type(state[0].base.base).__name__, flush=True)\n"
        "time.sleep(60)\n"
    )
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    child = subprocess.Popen(
        [sys.executable, "-c", script, str(log)], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert child.stdout is not None
    assert child.stdout.readline() in {"ready mmap\n", "ready memoryview\n"}
    sweep(tmp_path)
    (folder,) = tmp_path.glob("cxmodel-spill-*")
    assert {path.name[:6] for path in folder.iterdir()} == {"block-"}, "states have no name on disk"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    time.sleep(0.01)
    sweep(tmp_path)
    assert list(tmp_path.glob("cxmodel-spill-*")) == []


@pytest.mark.parametrize(
    ("text", "size"),
    [("2GB", 2 * 10**9), ("512 MiB", 512 * 2**20), ("1.5g", 0), ("100000", 100_000), ("0", 0), ("x", 0)],
)
def test_sizes(text: str, size: int) -> None:
    if size:
        assert parse_bytes(text) == size
    else:
        with pytest.raises(InvalidValueError, match="memory_limit"):
            parse_bytes(text)


@pytest.mark.parametrize("limit", ["a lot", "1 parsec", "-2GB"])
def test_a_limit_that_is_no_size_is_told_in_words(limit: str) -> None:
    rows = [{"c": str(i), "t": "a", "at": "2026-01-01"} for i in range(2000)]
    with pytest.raises(InvalidValueError, match="memory_limit"):
        cx.read_events(rows, customer="c", touchpoint="t", time="at", memory_limit=limit)


@pytest.mark.parametrize(("ids", "spilled"), [("short", False), ("an id of almost 32 bytes", True)])
def test_words_of_ids_count_before_anything_is_read(tmp_path: Path, ids: str, spilled: bool) -> None:
    """Rows carry the words of their customers until they are grouped; where these do not fit, ids are listed."""
    path = tmp_path / "log.csv"
    lines = [f"{ids} {i},a,2026-01-01T00:00:00Z\n" for i in range(60_000)]
    path.write_text("customer,touchpoint,time\n" + "".join(lines), encoding="utf-8")
    found = cx.read_events(path, customer="customer", touchpoint="touchpoint", time="time", memory_limit="10MB")
    assert isinstance(found.population, MemoryPopulation)
    assert (found.population.keeper is not None) == spilled
    assert found.facts.customers == 60_000
