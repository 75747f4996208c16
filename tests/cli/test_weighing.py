"""The commands that weigh: what drives a score, and what to fix first."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from tests.analysis.test_drivers import answers
from tests.analysis.test_priorities import study

from cxmodel.cli.program import program


def write(path: Path, rows: list[dict[str, Any]]) -> str:
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str, str]:
    events, scores = study(250)
    return (
        write(tmp_path / "events.csv", events), write(tmp_path / "scores.csv", scores),
        write(tmp_path / "survey.csv", answers(250)),
    )  # fmt: skip


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(program, arguments)
    return result.exit_code, result.stdout, result.stderr


def test_drivers(files: tuple[str, str, str]) -> None:
    asked = ("drivers", files[2], "--customer", "who", "--score", "all", "--score", "food", "--score", "staff",
             "--scale", "csat", "--of", "all", "--bootstrap", "50")  # fmt: skip
    code, out, _ = run(*asked)
    lines = out.splitlines()
    assert code == 0
    assert lines[0].startswith("drivers of all: R²")
    assert [line.split()[:2] for line in lines[4:6]] == [["food", "+"], ["staff", "+"]]
    code, out, _ = run(*asked, "--format", "json")
    told = json.loads(out)["results"][0]["result"]
    assert [each["driver"] for each in told["drivers"]] == ["food", "staff"]
    assert run("drivers", "--of", "all")[0] == 2
    code, _, err = run(*asked[:-4], "--of", "al")
    assert code == 2
    assert "Error: unknown question 'al'" in err or "'al'" in err


def test_priorities(files: tuple[str, str, str], tmp_path: Path) -> None:
    asked = ("priorities", files[0], "--customer", "who", "--touchpoint", "what", "--time", "at", "--responses",
             files[1], "--score", "score", "--scale", "csat", "--about", "place", "--bootstrap", "50")  # fmt: skip
    code, out, _ = run(*asked)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[4:9]] == ["call", "cart", "search", "pay", "home"]
    assert "no outcome was asked for" in out
    picture = tmp_path / "first.svg"
    code, out, _ = run(*asked, "--goal", "pay", "--rule", "pain", "--format", "json", "--out", str(picture))
    assert code == 0
    told = json.loads(out)["results"][0]["result"]
    assert told["rule"] == "pain"
    assert told["touchpoints"][0]["impact"]["value"] is not None
    assert "<svg" in picture.read_text(encoding="utf-8")
    assert run(*asked[:8])[0] == 2


def test_models_of_credit_stand_side_by_side(files: tuple[str, str, str]) -> None:
    asked = ("measure", "credits", files[0], "--customer", "who", "--touchpoint", "what", "--time", "at",
             "--goal", "pay", "--option", "models=['first_credit', 'position_credit']")  # fmt: skip
    code, out, _ = run(*asked)
    assert code == 0
    assert out.splitlines()[1].split() == ["touchpoint", "first", "position"]
    code, out, _ = run(*asked, "--format", "json")
    assert [each["name"] for each in json.loads(out)["models"]] == ["first_credit", "position_credit"]


def test_a_half_life_is_a_duration_or_steps(files: tuple[str, str, str]) -> None:
    asked = (files[0], "--customer", "who", "--touchpoint", "what", "--time", "at", "--goal", "pay")
    code, out, _ = run("measure", "time_decay_credit", *asked, "--option", "half_life=90min", "--format", "json")
    assert code == 0
    slow = {row["group"]["touchpoint"]: row["value"] for row in json.loads(out)["results"]}
    code, out, _ = run("measure", "linear_credit", *asked, "--format", "json")
    even = {row["group"]["touchpoint"]: row["value"] for row in json.loads(out)["results"]}
    assert slow == pytest.approx(even, rel=0.1)
    assert slow != even
    code, _, err = run("measure", "time_decay_credit", *asked, "--option", "half_life=soon")
    assert code == 2
    assert "half_life is a duration, got 'soon'" in err


@pytest.mark.parametrize("command", sorted(program.commands))
def test_help_keeps_its_examples_on_lines_of_their_own(command: str) -> None:
    said = CliRunner().invoke(program, [command, "--help"]).stdout
    assert "\\b" not in said
    assert all(line.count("cxmodel ") <= 1 for line in said.splitlines())
