"""Rules from a file, on every command that reads events."""

import json
from pathlib import Path

import pytest
from tests.cli.conftest import Run

RULES = '[{"regex": "^(?P<first>[as])", "to": "Page {first}"}, {"glob": "pay*", "to": "Payment"}]'


@pytest.mark.parametrize(
    "arguments",
    [["check"], ["graph"], ["paths"], ["funnel", "--step", "Page a", "--step", "Payment"],
     ["measure", "conversion_rate", "--goal", "Payment"]],
)  # fmt: skip
def test_every_command_reads_by_rules(run: Run, home: Path, arguments: list[str]) -> None:
    (home / "rules.json").write_text(RULES, encoding="utf-8")
    command, *more = arguments
    file = [more.pop(0), "events.csv"] if command == "measure" else ["events.csv"]
    result = run(command, *file, *more, "--rules", "rules.json", "--format", "json")
    assert result.exit_code == 0, result.output
    text = json.dumps(json.loads(result.stdout))
    assert '"shop"' not in text
    # the goal of a conversion rate is known by its new name alone
    assert "Payment" in text or command == "measure"


def test_check_tells_what_each_rule_matched(run: Run, home: Path) -> None:
    (home / "rules.toml").write_text(
        'unmatched = "other"\n[[rules]]\nexact = "pay"\nto = "Payment"\n', encoding="utf-8"
    )
    told = json.loads(run("check", "events.csv", "--rules", "rules.toml", "--format", "json").stdout)
    assert told["names"] == ["Payment", "other"]
    assert told["vocabulary"]["rules"] == [
        {"rule": {"exact": "pay", "to": "Payment"}, "names": 1, "events": 2, "touchpoints": 1}
    ]
    assert told["vocabulary"]["unmatched"] == [{"name": "ad", "events": 3}, {"name": "shop", "events": 3}]
    shown = run("check", "events.csv", "--rules", "rules.toml").stdout
    assert "exact 'pay' → 'Payment'" in shown


def test_bad_rules_are_bad_input(run: Run, home: Path) -> None:
    (home / "bad.json").write_text('[{"glob": "x"}]', encoding="utf-8")
    (home / "ahead.json").write_text('[{"regex": "(?=a)", "to": "x"}]', encoding="utf-8")
    for name, message in (("none.json", "does not exist"), ("bad.json", "is no rule"), ("ahead.json", "in one go")):
        result = run("check", "events.csv", "--rules", name)
        assert result.exit_code == 2
        assert message in result.stderr
        assert not result.stdout
