"""Answers longer than a screen are cut with a count; what was left out, and journeys that were, are told."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run
from tests.cli.test_shapes import answer

MANY = 60


@pytest.fixture
def wide(home: Path) -> str:
    """Give a log with many touchpoints, each but the first two passed by one customer."""
    rows = [f"c{i},{what},2026-01-01T00:0{k}" for i in range(MANY) for k, what in enumerate(("start", f"t{i:02}"))]
    (home / "wide.csv").write_text("\n".join(["customer,touchpoint,time", *rows]), encoding="utf-8")
    return "wide.csv"


def shown(run: Run, *arguments: object) -> str:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_transitions_are_a_table_with_the_rest_counted(run: Run, wide: str) -> None:
    text = shown(run, "measure", "transitions", wide, "--top", 2)
    assert "TransitionTable(" not in text
    assert "start  t00" in text
    assert "t02" not in text
    assert "58 more transitions (58 times)." in text
    assert "more transitions" not in shown(run, "measure", "transitions", wide, "--top", 100)


@pytest.mark.parametrize("command", [("graph",), ("measure", "graph"), ("check",)])
def test_many_touchpoints_are_cut_with_a_count(run: Run, wide: str, command: tuple[str, ...]) -> None:
    assert "11 more touchpoints." in shown(run, *command, wide)
    assert "58 more touchpoints." in shown(run, *command, wide, "--top", 3)
    assert "more touchpoints" not in shown(run, *command, wide, "--top", 100)
    assert len(shown(run, *command, wide, "--format", "json").split("t59")) > 1


def test_many_groups_are_cut_with_a_count(run: Run, wide: str) -> None:
    assert "58 more groups." in shown(run, "measure", "length", wide, "--by", "touchpoint", "--top", 3)
    assert "58 more groups." in shown(run, "measure", "ends", wide, "--by", "touchpoint", "--top", 3)
    assert "59 others" in shown(run, "measure", "grams", wide, "--top", 1)


def test_a_graph_by_group_is_no_repr(run: Run) -> None:
    text = shown(run, "measure", "graph", "events.csv", "--by", "channel")
    assert "JourneyGraph" not in text
    assert text.count("share of from") == 2


def test_names_that_no_rule_matches_are_listed(run: Run, home: Path, wide: str) -> None:
    (home / "rules.json").write_text('[{"exact": "start", "to": "Start"}]', encoding="utf-8")
    text = shown(run, "check", wide, "--rules", "rules.json", "--top", 5)
    assert "matched by no rule" in text
    assert "55 more names." in text


def test_what_a_pattern_leaves_out_is_told(run: Run) -> None:
    for command in ("paths", "graph"):
        result = run(command, "events.csv", "--matches", "ad -> shop", "--format", "json")
        assert "2 of 4 journeys match; the others are left out." in result.stderr
        assert json.loads(result.stdout)["population"]["selected"] == {"journeys": 2, "of": 4}


@pytest.mark.parametrize(
    "command",
    [
        ("paths",), ("graph",), ("check",), ("measure", "loops"), ("measure", "length"),
        ("funnel", "--step", "ad", "--step", "shop"), ("measure", "conversion_rate", "--goal", "pay"),
    ],
)  # fmt: skip
def test_no_journey_left_is_no_answer(run: Run, command: tuple[str, ...]) -> None:
    result = run(*command, "events.csv", "--matches", "pay -> ad") if command[0] != "measure" else run(
        *command[:2], "events.csv", *command[2:], "--matches", "pay -> ad"
    )  # fmt: skip
    assert result.exit_code == 1, result.stderr
    assert "0 of 4 journeys match" in result.stderr


def test_a_funnel_is_strict_by_group_at_a_level(run: Run) -> None:
    asked = ("funnel", "events.csv", "--step", "ad", "--step", "shop", "--strict", "--level", 0.9)
    found = answer(run, *asked, "--by", "attribute:plan")
    assert {row["group"]["plan"]: row["result"]["steps"][1]["reached"] for row in found["results"]} == {
        "basic": 1, "gold": 1,
    }  # fmt: skip
    assert all(row["result"]["strict"] for row in found["results"])
    assert found["results"][0]["result"]["steps"][0]["of_first"]["level"] == 0.9
    assert "steps directly one after another" in shown(run, *asked)
    assert "plan: gold" in shown(run, *asked, "--by", "attribute:plan")


def test_patterns_group(run: Run) -> None:
    asked = ("measure", "length", "events.csv")
    found = answer(run, *asked, "--by", "pattern:bought=ad =>[<=2d] pay", "--by", "pattern:ad")
    assert {row["group"]["pattern"]: row["n"] for row in found["results"]} == {"bought": 1, "ad": 2}
    assert found["unassigned"]["n"] == 1
    wrong = run(*asked, "--by", "pattern:ad pay")
    assert wrong.exit_code == 2
    assert "there is no arrow between 'ad' and 'pay'" in wrong.stderr
    twice = run(*asked, "--by", "pattern:x=ad", "--by", "pattern:x=pay")
    assert twice.exit_code == 2
    assert "two patterns are called 'x'" in twice.stderr


def test_rare_touchpoints_are_folded_and_memory_is_limited(run: Run, wide: str) -> None:
    found = answer(run, "check", wide, "--fold-rare", 2, "--memory-limit", "200MB")
    assert found["names"] == ["other", "start"]
    assert "became 'other'" in run("paths", wide, "--fold-rare", 2).stderr
    wrong = run("graph", wide, "--memory-limit", "much")
    assert wrong.exit_code == 2
    assert "memory_limit is a size, got 'much'" in wrong.stderr


def test_paths_to_a_goal_say_all_that_is_known(run: Run) -> None:
    text = shown(run, "measure", "goal_paths", "events.csv", "--goal", "pay")
    assert "as varied as 2 equally frequent ones" in text
    assert "0 of them reach it at once" in text
    assert "A smallest set that every allowed path passes: shop" in text
    assert "all       unavoidable" in text


def test_a_graph_too_large_says_what_to_type(run: Run, wide: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cxmodel.analysis.transitions.MOST_EDGES", 50)
    wrong = run("graph", wide)
    assert wrong.exit_code == 2
    assert "60 transitions are too many for a graph" in wrong.stderr
    assert "--max-edges 1000" in wrong.stderr
    assert "10 rarer transitions are left out (10 times)." in shown(run, "graph", wide, "--max-edges", 50)
