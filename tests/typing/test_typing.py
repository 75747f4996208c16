"""What type checkers say of users' programs: right ones pass, and of the mistakes exactly the marked lines fail."""

import json
import os
import re
import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HERE = Path(__file__).parent
SOURCES = [ROOT / "src", ROOT / "plugins" / "cxmodel-example" / "src"]

Failures = dict[int, list[str]]
"""Line → what the checker said of it."""


def mypy(program: Path) -> Failures:
    options = ["--config-file", "pyproject.toml", "--no-error-summary", "--output", "json"]
    command = [sys.executable, "-m", "mypy", *options, str(program)]
    run = subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    found: Failures = {}
    for each in map(json.loads, run.stdout.splitlines()):
        assert Path(each["file"]).name == program.name, each
        if each["severity"] == "error":
            found.setdefault(each["line"], []).append(each["message"])
    return found


def pyright(program: Path) -> Failures:
    settings = {"include": [program.name], "strict": ["**"], "extraPaths": [str(path) for path in SOURCES]}
    (program.parent / "pyrightconfig.json").write_text(json.dumps(settings), encoding="utf-8")
    run = subprocess.run(
        [sys.executable, "-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "--project", program.parent],
        cwd=program.parent, check=False, capture_output=True, text=True,
        env={**os.environ, "PYRIGHT_PYTHON_GLOBAL_NODE": "0", "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"},
    )  # fmt: skip
    assert run.returncode in {0, 1}, run.stdout + run.stderr
    report = json.loads(run.stdout)
    assert report["summary"]["filesAnalyzed"] >= 1
    found: Failures = {}
    for each in report["generalDiagnostics"]:
        if each["severity"] == "error":
            found.setdefault(each["range"]["start"]["line"] + 1, []).append(each["message"])
    return found


CHECKERS = pytest.mark.parametrize("checker", [mypy, pyright], ids=["mypy", "pyright"])


@CHECKERS
def test_right_uses_have_the_promised_types(checker: Callable[[Path], Failures], tmp_path: Path) -> None:
    program = tmp_path / "right_uses.py"
    program.write_text((HERE / "right_uses.py").read_text(encoding="utf-8"), encoding="utf-8")
    assert checker(program) == {}


def test_right_uses_run() -> None:
    assert runpy.run_path(str(HERE / "right_uses.py"))["names"]


@CHECKERS
def test_exactly_the_mistakes_are_rejected(checker: Callable[[Path], Failures], tmp_path: Path) -> None:
    program = tmp_path / "mistakes.py"
    lines = (HERE / "mistakes.py.txt").read_text(encoding="utf-8").splitlines()
    program.write_text("\n".join([*lines, ""]), encoding="utf-8")
    marked = {number: line for number, line in enumerate(lines, start=1) if re.search(r"# E$", line)}
    found = checker(program)
    assert len(marked) > 30
    assert {line: text for line, text in marked.items() if line not in found} == {}
    assert {line: text for line, text in found.items() if line not in marked} == {}
