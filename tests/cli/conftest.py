"""Small files that every command is tried on, and two ways to run it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import cxmodel
from cxmodel.cli import program

EVENTS = """\
customer,journey,touchpoint,time,channel,plan,size
ann,a1,ad,2026-01-01T10:00:00Z,web,gold,1
ann,a1,shop,2026-01-01T10:30:00Z,app,gold,1
ann,a1,pay,2026-01-01T11:30:00Z,app,gold,1
bob,b1,ad,2026-01-02T10:00:00Z,web,basic,5
bob,b1,shop,2026-01-02T10:10:00Z,web,basic,5
bob,b2,shop,2026-01-05T10:00:00Z,app,basic,9
bob,b2,pay,2026-01-05T12:00:00Z,app,basic,9
cat,c1,ad,2026-01-03T10:00:00Z,web,basic,5
"""
SURVEY = """\
customer,journey,time,likely,happy,weight
ann,a1,2026-01-01T12:00:00Z,10,5,1
bob,b1,2026-01-02T11:00:00Z,3,2,2
bob,b2,2026-01-05T13:00:00Z,9,4,1
cat,c1,2026-01-03T11:00:00Z,11,1,1
"""

SOURCES = str(Path(cxmodel.__file__).parents[1])
Run = Callable[..., Result]
Completed = subprocess.CompletedProcess[str]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a folder with events.csv and survey.csv that commands run in."""
    (tmp_path / "events.csv").write_text(EVENTS, encoding="utf-8")
    (tmp_path / "survey.csv").write_text(SURVEY, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(home: Path) -> Run:
    """Run a command in this process."""
    del home
    return lambda *arguments: CliRunner().invoke(program, [str(each) for each in arguments], prog_name="cxmodel")


def in_shell(folder: Path, *arguments: object, **more: str) -> Completed:
    """Run a command as a process of its own, with an empty home and no path to any other program."""
    (folder / "nothing").mkdir(exist_ok=True)
    bare = {"HOME": str(folder / "nothing"), "PATH": "", "PYTHONPATH": SOURCES}
    kept = {name: value for name, value in os.environ.items() if name in {"SYSTEMROOT", "TMPDIR"}}
    command = [sys.executable, "-m", "cxmodel", *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=kept | bare | more, check=False, capture_output=True, encoding="utf-8"
    )
