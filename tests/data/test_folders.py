"""Folders of temporary files: forks share them, killed processes leave them to be swept, nobody loses a live one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import cxmodel as cx
from cxmodel.data.folders import PREFIX, OwnedFolder, sweep

READ = """
import gc, multiprocessing, os, sys, cxmodel as cx
j = cx.read_events(sys.argv[1], customer="who", touchpoint="what", time="at", memory_limit="2MB")
assert j.population.keeper is not None
"""


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import duckdb

    path = tmp_path_factory.mktemp("log") / "log.parquet"
    with duckdb.connect() as connection:
        connection.execute(
            "COPY (SELECT i % 5000 AS who, 'step ' || hash(i) % 20 AS what, make_timestamp(i * 1000000) AS at "
            f"FROM range(200000) t(i)) TO '{path}'"
        )
    return path


@pytest.fixture(autouse=True)
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of temporary files of our own."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def folders(parent: Path) -> list[Path]:
    return sorted(parent.glob(f"{PREFIX}*"))


def run(log: Path, script: str) -> str:
    command = [sys.executable, "-c", READ + script, str(log)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


CHILDREN = {
    "that ends": "if os.fork() == 0: sys.exit(0)\nos.wait()\n",
    "that ends at once": "if os.fork() == 0: os._exit(0)\nos.wait()\n",
    "that lets go": "if os.fork() == 0: j = None; gc.collect(); os._exit(0)\nos.wait()\n",
    "of multiprocessing": (
        "def lets_go():\n    global j\n    j = None\n    gc.collect()\n"
        "p = multiprocessing.get_context('fork').Process(target=lets_go)\np.start()\np.join()\n"
    ),
}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are asked about")
@pytest.mark.parametrize("child", CHILDREN)
def test_a_forked_child_takes_nothing_from_its_parent(log: Path, parent: Path, child: str) -> None:
    assert int(run(log, CHILDREN[child] + "print(j.graph().number_of_edges())")) > 0
    assert folders(parent) == []


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks are asked about")
def test_a_forked_child_outlives_its_parent(log: Path, parent: Path) -> None:
    """While the child asks, others start and sweep; the folder goes with the last of the family."""
    script = (
        "gone, go = os.pipe()\n"
        "if os.fork(): sys.exit(0)\n"
        "os.close(go)\n"
        "assert os.read(gone, 1) == b''\n"  # the end of the parent
        "sys.stdin.read()\n"
        "print(j.graph().number_of_edges())\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", READ + script, str(log)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    child.wait()
    sweep(parent)
    run(log, "")
    assert len(folders(parent)) == 1
    out, _ = child.communicate("")
    assert int(out) > 0
    assert folders(parent) == []


def test_a_number_of_a_process_says_nothing(parent: Path) -> None:
    """In a container every start has the same number; in two containers two live ones have."""
    live = OwnedFolder()
    other = parent / f"{PREFIX}{2**22 + 1}-other"  # no such process
    live.path.rename(other)
    left = parent / f"{PREFIX}{os.getpid()}-left"
    left.mkdir()
    (left / "block.bin").write_bytes(b"0" * 1000)
    sweep(parent)
    assert folders(parent) == [other]


def test_what_a_killed_process_left_goes_with_the_next_reading(log: Path, parent: Path) -> None:
    """Also with one that needs no temporary files itself."""
    with pytest.raises(subprocess.CalledProcessError):
        run(log, f"os.kill(os.getpid(), {signal.SIGTERM:d})")
    (left,) = folders(parent)
    assert list(left.glob("block-*"))
    rows = [{"who": "a", "what": "x", "at": "2026-01-01"}]
    cx.read_events(rows, customer="who", touchpoint="what", time="at")
    assert folders(parent) == []


def test_nobody_sweeps_a_folder_that_is_being_made(parent: Path) -> None:
    def made(_: int) -> bool:
        folder = OwnedFolder()
        sweep(parent)
        there = folder.path.exists()
        folder.close()
        return there

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(made, range(400)))
    assert folders(parent) == []
