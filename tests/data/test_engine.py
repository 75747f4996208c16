"""The engine that reads: what it puts aside goes to a folder of ours, and its troubles are told in our words."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from cxmodel.data import sources
from cxmodel.data.folders import PREFIX, sweep
from cxmodel.data.sources import connect, large_engine
from cxmodel.errors import InvalidValueError

LARGE = "CREATE TEMP TABLE x AS SELECT hash(i) AS h FROM range(20000000) t(i)"  # 160 MB
STARTED = """
import os, resource, signal, sys
import cxmodel as cx
from cxmodel.data.arrow import batches
from cxmodel.data.sources import large_engine
"""
NOT_ROOM = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, 500_000))
"""


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of temporary files of our own, and another one to run in."""
    (tmp_path / "temporary").mkdir()
    (tmp_path / "here").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "temporary"


def spilled(parent: Path) -> int:
    return sum(path.stat().st_size for path in parent.glob(f"{PREFIX}*/*"))


def run(script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", STARTED + script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_what_does_not_fit_goes_to_a_folder_of_ours(parent: Path) -> None:
    with large_engine() as connection:
        connection.execute("SET memory_limit = '60MB'")
        connection.execute(LARGE)
        assert spilled(parent) > 50_000_000
    assert list(parent.iterdir()) == list(Path.cwd().iterdir()) == []


def test_what_a_killed_engine_left_is_swept(parent: Path) -> None:
    script = "with large_engine() as c: c.execute(\"SET memory_limit = '60MB'\"); c.execute(sys.argv[1]); os.kill(0, 9)"
    command = [sys.executable, "-c", STARTED + script, LARGE]
    assert subprocess.run(command, check=False, start_new_session=True).returncode == -signal.SIGKILL
    assert spilled(parent) > 50_000_000
    sweep(parent)
    assert list(parent.iterdir()) == list(Path.cwd().iterdir()) == []


def test_a_full_disk_is_told_as_one(parent: Path) -> None:
    """A limit on the size of files stands for the end of the disk."""
    script = """
try:
    with large_engine() as c: c.execute("SET memory_limit = '60MB'"); c.execute(sys.argv[1])
except cx.errors.CxmodelError as error: print(error.code, "|", error)
"""
    out = run(NOT_ROOM + script, LARGE).stdout
    assert out.startswith(f"full_disk | there is no room for temporary files in {parent}: ")
    assert "TMPDIR" in out
    assert list(parent.iterdir()) == []


def test_without_any_folder_what_fits_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with large_engine() as connection:
        assert connection.execute("SELECT 1").fetchall() == [(1,)]
    with pytest.raises(InvalidValueError, match="TMPDIR"), large_engine("256MiB") as connection:
        connection.execute(f"{LARGE}, range(4)")


def test_a_small_engine_writes_nowhere(parent: Path) -> None:
    with connect() as connection:
        assert connection.execute("SELECT current_setting('temp_directory')").fetchall() == [("",)]
        assert list(parent.iterdir()) == []


def test_without_a_limit_the_engine_takes_half_of_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container of 1 GB the machine's 80 % would be the end of it."""
    monkeypatch.setattr(sources, "free_memory", lambda: 600 * 2**20)
    with connect() as connection:
        asked = "SELECT current_setting('memory_limit'), current_setting('threads')"
        assert connection.execute(asked).fetchall() == [("300.0 MiB", 1)]


SOME = "SELECT hash(i) AS x FROM range(5000000) t(i)"  # the engine ends what it has begun before it heeds the signal
ASKING = {
    "while a table is made": f"while True: c.execute('CREATE OR REPLACE TEMP TABLE x AS {SOME}')",
    "while rows stream": f"while True: list(batches(c, '{SOME}'))",
}


@pytest.mark.parametrize("asking", ASKING)
def test_an_interrupt_is_one(parent: Path, asking: str) -> None:
    script = f"with large_engine() as c:\n    print('ready', flush=True)\n    {ASKING[asking]}"
    command = [sys.executable, "-c", STARTED + script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.5)
        os.kill(child.pid, signal.SIGINT)
        try:
            _, errors = child.communicate(timeout=20)
        finally:
            child.kill()
    assert errors.splitlines()[-1] == "KeyboardInterrupt", errors
    assert list(parent.iterdir()) == []


def test_long_lines_fit_into_what_the_engine_is_left(tmp_path: Path) -> None:
    """Without a word about buffers the engine wants 256 MiB for each, and there is no room for the second."""
    import cxmodel as cx

    path = tmp_path / "log.csv"
    rows = (f"c{i % 9999},step {i % 20},2026-01-01,{'x' * 90}\n" for i in range(300_000))
    path.write_text("who,what,at,text\n" + "".join(rows) + f"c0,step 0,2026-01-01,{'y' * 15_000_000}\n")
    journeys = cx.read_events(
        path, customer="who", touchpoint="what", time="at", attributes=["text"], memory_limit="20MB"
    )
    assert journeys.facts.events == 300_001
    assert "the engine that reads may take 256 MiB" in str(journeys.reading)
