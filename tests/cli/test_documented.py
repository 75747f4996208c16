"""The commands of the how-to: every path analysis has one, and each of them answers."""

import re
import shlex
from pathlib import Path

import pytest
from tests.cli.conftest import Run

PAGE = Path(__file__).parents[2] / "docs" / "howto" / "command-line.md"
COMMANDS = re.findall(r"`cxmodel ((?:measure|paths) [^`]*log\.csv[^`]*)`", PAGE.read_text(encoding="utf-8"))
ANALYSES = {
    "paths", "transitions", "graph", "ends", "loops", "grams", "eventually_follows", "pattern_share",
    "pattern_matches", "funnel", "funnel_detail", "length_distribution", "duration_distribution", "goal_paths",
    "path_chain",
}  # fmt: skip
LOG = """\
customer,touchpoint,time,channel
a,cart,2026-01-01T00:00,web
a,call,2026-01-01T00:01,phone
a,pay,2026-01-01T00:02,web
b,cart,2026-01-02T00:00,web
b,help,2026-01-02T00:01,web
b,pay,2026-01-02T00:02,web
"""


def test_every_path_analysis_has_a_command() -> None:
    assert {command.split()[1] for command in COMMANDS if command.startswith("measure")} == ANALYSES


@pytest.mark.parametrize("command", COMMANDS)
def test_a_documented_command_answers(run: Run, home: Path, command: str) -> None:
    (home / "log.csv").write_text(LOG, encoding="utf-8")
    result = run(*shlex.split(command))
    assert result.exit_code == 0, result.stderr
    assert result.stdout
