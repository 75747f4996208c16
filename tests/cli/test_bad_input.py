"""What a user sees when something is amiss: one clear message on stderr, exit code 2, nothing on stdout."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests.cli.conftest import SOURCES, Run, in_shell

from cxmodel.cli import program

BAD = {
    "missing file": (("check", "nowhere.csv"), ["nowhere.csv does not exist"]),
    "glob that matches nothing": (("check", "none*.csv"), ["none*.csv matches no file"]),
    "folder": (("check", "folder"), ["folder is a folder", "folder/*.csv"]),
    "empty file": (("graph", "empty.csv"), ["empty.csv is empty"]),
    "header only": (("graph", "header.csv"), ["no event could be kept"]),
    "binary file": (("graph", "binary.csv"), ["binary.csv is no text in UTF-8"]),
    "unknown ending": (("graph", "notes.docx"), ["cannot tell the format", ".parquet"]),
    "columns that fit no role": (
        ("check", "strange.csv"),
        ["cannot tell which column holds the customer and the touchpoint", "'a', 'b'", "--customer COL"],
    ),
    "no row with enough columns": (("check", "ragged.csv"), ["no event could be kept", "too few columns"]),
    "missing column": (("graph", "events.csv", "--time", "wen"), ["no column 'wen'", "'time'"]),
    "missing attribute": (("graph", "events.csv", "--attribute", "plam"), ["Did you mean 'plan'?"]),
    "bad duration": (("graph", "events.csv", "--gap", "soon"), ["'soon' is no duration", "30min"]),
    "empty duration": (("graph", "events.csv", "--gap", "0s"), ["not longer than nothing"]),
    "huge duration": (("graph", "events.csv", "--gap", "99999999999999w"), ["is no duration"]),
    "bad zone": (("check", "events.csv", "--tz", "Mars/Phobos"), ["no time zone 'Mars/Phobos'"]),
    "unknown metric": (("measure", "npss", "events.csv"), ["no metric 'npss'", "Did you mean 'nps'?"]),
    "no file": (("measure", "length"), ["no file was named"]),
    "answers wanted, none named": (
        ("measure", "nps", "events.csv"),
        ["nps is measured on answers", "--responses FILE"],
    ),
    "code without answers": (("measure", "length", "events.csv", "--code", "11="), ["--code is about answers"]),
    "metric without a goal": (("measure", "conversion_rate", "events.csv"), ["needs a goal", "--goal"]),
    "option of another metric": (("measure", "length", "events.csv", "--goal", "pay"), ["length takes no --goal"]),
    "unknown option of a metric": (("measure", "length", "events.csv", "--option", "speed=3"), ["speed"]),
    "unknown goal": (("measure", "conversion_rate", "events.csv", "--goal", "won=payed"), ["no touchpoint 'payed'"]),
    "unknown grouping": (
        ("measure", "length", "events.csv", "--by", "chanel"),
        ["Did you mean 'channel'?", "attribute:"],
    ),
    "grouping by nothing there": (("measure", "length", "events.csv", "--by", "attribute:town"), ["no column 'town'"]),
    "grouping that makes no sense": (("measure", "length", "events.csv", "--by", "question"), ["length"]),
    "one grouping twice": (
        ("measure", "length", "events.csv", *["--by", "channel"] * 2),
        ["'channel' is grouped by twice"],
    ),
    "edges of bins": (("measure", "length", "events.csv", "--by", "bins:size:a,b"), ["not all numbers", "bins:age"]),
    "level": (("measure", "length", "events.csv", "--level", "95"), ["95"]),
    "unknown step": (("funnel", "events.csv", "--step", "ad", "--step", "payy"), ["no touchpoint 'payy'", "'pay'"]),
    "one step": (("funnel", "events.csv", "--step", "ad"), ["two steps or more"]),
    "unknown format": (("paths", "events.csv", "--format", "xml"), ["'xml' is not one of"]),
    "unknown option": (("paths", "events.csv", "--tob", "3"), ["No such option", "--top"]),
    "unknown command": (("grahp",), ["No such command 'grahp'"]),
    "score that is not there": (("measure", "nps", "survey.csv", "--score", "nps"), ["no column 'nps'"]),
    "scale unknown": (("measure", "mean_score", "survey.csv", "--score", "happy"), ["scale of 'happy'", "--scale"]),
    "bad scale": (("measure", "nps", "survey.csv", "--score", "happy", "--scale", "stars"), ["no scale 'stars'"]),
    "scale of another metric": (
        ("measure", "nps", "survey.csv", "--score", "happy", "--scale", "csat"),
        ["such a scale"],
    ),
    "scales for some scores": (
        ("measure", "nps", "survey.csv", *["--score", "happy"] * 3, *["--scale", "nps"] * 2),
        ["3 columns of answers and 2 scales"],
    ),
    "several questions fit": (
        ("measure", "csat", "survey.csv", "--score", "likely", "--score", "happy"),
        ["several questions fit", "--question NAME"],
    ),
    "about what is not there": (
        ("measure", "csat", "events.csv", "--responses", "survey.csv", "--score", "happy", "--about", "payy"),
        ["'payy' is neither a column of survey.csv nor a touchpoint", "Did you mean 'pay'?"],
    ),
    "code that says nothing": (("measure", "nps", "survey.csv", "--score", "likely", "--code", "11"), ["Write 11="]),
    "score not guessed": (
        ("measure", "nps", "--responses", "survey.csv"),
        ["which column holds the answers", "--score"],
    ),
    "facts without an id": (("check", "events.csv", "--attributes-from", "survey.csv"), ["which column holds the id"]),
    "facts from no file": (("check", "events.csv", "--attributes-from", "f.csv:id"), ["f.csv does not exist"]),
    "facts by another id": (("check", "events.csv", "--attributes-from", "survey.csv:jrny"), ["no column 'jrny'"]),
    "facts that meet nothing": (
        ("check", "events.csv", "--attributes-from", "survey.csv:happy"),
        ["not one id matched"],
    ),
    "picture of what cannot be drawn": (("paths", "events.csv", "--out", "p.parquet"), [".parquet"]),
    "out into a folder": (("graph", "events.csv", "--out", "folder"), ["is a directory"]),
    "out where nobody may write": (("graph", "events.csv", "--out", "/proc/nobody/g.json"), ["/proc/nobody"]),
    "out below a file": (("graph", "events.csv", "--out", "events.csv/g.json"), ["events.csv"]),
}


@pytest.fixture
def hostile(home: Path) -> Path:
    """Files that cannot be read."""
    (home / "folder").mkdir()
    (home / "empty.csv").touch()
    (home / "header.csv").write_text("customer,touchpoint,time\n", encoding="utf-8")
    (home / "binary.csv").write_bytes(bytes(range(255, 0, -1)) * 4)
    (home / "notes.docx").write_bytes(b"PK")
    (home / "strange.csv").write_text("a,b\n1,2\n", encoding="utf-8")
    (home / "ragged.csv").write_text("customer,touchpoint,time\nann\nbob,ad\n", encoding="utf-8")
    return home


@pytest.mark.parametrize(("arguments", "words"), BAD.values(), ids=list(BAD))
def test_bad_input_is_one_clear_message(run: Run, hostile: Path, arguments: tuple[str, ...], words: list[str]) -> None:
    del hostile
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, ""), result.output
    assert "Error: " in result.stderr
    assert [word for word in words if word not in result.stderr] == [], result.stderr
    for foreign in ("Traceback", "cxmodel itself failed", "SELECT", "duckdb", "journeys.", "cx."):
        assert foreign not in result.stderr


def test_a_fault_of_our_own_asks_for_a_report(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the tally lost count")

    monkeypatch.setattr("cxmodel.cli.reading.read_journeys", broken)
    result = run("graph", "events.csv")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "RuntimeError: the tally lost count" in result.stderr
    assert "report" in result.stderr
    assert "Traceback" not in result.stderr
    assert "Traceback" in run("--debug", "graph", "events.csv").stderr


def test_every_command_has_help_and_every_option_a_line(run: Run) -> None:
    for name, command in program.commands.items():
        result = run(name, "--help")
        assert result.exit_code == 0
        assert command.short_help
        assert all(each.help for each in command.params if isinstance(each, click.Option)), name


def test_help_comes_at_once(home: Path) -> None:
    heavy = "{'numpy', 'duckdb', 'networkx', 'scipy', 'matplotlib'} & set(sys.modules)"
    code = f"import sys; from cxmodel.cli import program; print({heavy} or 'light')"
    env = {**os.environ, "PYTHONPATH": SOURCES}
    done = subprocess.run([sys.executable, "-c", code], env=env, cwd=home, check=True, capture_output=True, text=True)
    assert done.stdout == "light\n"


def test_a_process_of_its_own(home: Path) -> None:
    good = in_shell(home, "paths", "events.csv", "--format", "json")
    assert (good.returncode, good.stdout[:1]) == (0, "{")
    assert "Assumed: --customer customer" in good.stderr
    bad = in_shell(home, "graph", "events.csv", "--gap", "1 fortnight")
    assert (bad.returncode, bad.stdout) == (2, "")
    assert "no duration" in bad.stderr
    assert "Traceback" not in bad.stderr
    none = in_shell(home, "measure", "csat", "survey.csv", "--score", "happy")
    assert none.returncode == 1


def test_a_terminal_without_arrows(home: Path) -> None:
    text = (home / "events.csv").read_text(encoding="utf-8").replace("shop", "Café")
    (home / "events.csv").write_text(text, encoding="utf-8")
    done = in_shell(home, "paths", "events.csv", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert "ad → Café → pay" in done.stdout
    assert '"Café"' in in_shell(home, "graph", "events.csv", "--format", "json", PYTHONIOENCODING="ascii").stdout


def test_a_reader_that_has_seen_enough(home: Path) -> None:
    rows = "".join(f"c{i},t{i},2026-01-01\n" for i in range(20_000))
    (home / "many.csv").write_text("customer,touchpoint,time\n" + rows, encoding="utf-8")
    command = [sys.executable, "-m", "cxmodel", "check", "many.csv", "--format", "text"]
    with subprocess.Popen(
        command, cwd=home, env={**os.environ, "PYTHONPATH": SOURCES}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        words = process.stderr.read().decode()
        assert process.wait(30) == 0
    assert "Traceback" not in words
    assert "Error" not in words
    assert "Exception" not in words
