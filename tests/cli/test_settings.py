"""--option: a text becomes what the field of the metric is declared to hold, and nothing else."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.cli.conftest import Run
from tests.cli.test_shapes import answer

from cxmodel.cli.converting import kinds_of

LOG = """\
customer,touchpoint,time
a,cart,2026-01-01T00:00
a,add to cart,2026-01-01T00:01
a,pay,2026-01-01T00:02
b,cart,2026-01-02T00:00
b,pay,2026-01-02T00:01
c,404,2026-01-03T00:00
c,pay,2026-01-03T00:05
d,7d,2026-01-04T00:00
"""


@pytest.fixture
def log(home: Path) -> str:
    (home / "s.csv").write_text(LOG, encoding="utf-8")
    return "s.csv"


def reached(run: Run, log: str, strict: str) -> list[int]:
    steps = ("--step", "cart", "--step", "pay", "--option", f"strict={strict}")
    return [step["reached"] for step in answer(run, "measure", "funnel", log, *steps)["steps"]]


@pytest.mark.parametrize("word", ["false", "False", "no", "0", " NO "])
def test_a_no_is_no(run: Run, log: str, word: str) -> None:
    assert reached(run, log, word) == [2, 2]


@pytest.mark.parametrize("word", ["true", "True", "yes", "1"])
def test_a_yes_is_yes(run: Run, log: str, word: str) -> None:
    assert reached(run, log, word) == [2, 1]


def test_names_and_patterns_stay_what_was_typed(run: Run, log: str) -> None:
    for pattern, matching in (('"add to cart"', 1), ("404", 1), ("7d", 1), ("cart =>[<2min] pay", 1)):
        setting = f"pattern={pattern}"
        result = run("measure", "pattern_matches", log, "--option", setting, "--format", "json")
        assert result.exit_code == 0, result.stderr
        assert f'"matching": {matching}' in result.stdout
    asks: list[tuple[str, ...]] = [
        ("goal_paths", log, "--goal", "pay", "--option", "touchpoint=404"),
        ("eventually_follows", log, "--option", "source=404"),
        ("path_chain", log, "--option", "goal=pay", "--option", "k=2"),
        ("funnel", log, "--option", "steps=404,pay", "--option", "within=5min"),
        ("funnel", log, "--option", "steps=['add to cart', 404]", "--option", "within=none"),
        ("length_distribution", log, "--option", "edges=1,2,5"),
        ("length_distribution", log, "--option", "edges=[1, 2]"),
    ]
    for asked in asks:
        result = run("measure", *asked)
        assert result.exit_code == 0, result.stderr


REFUSED = {
    "no such truth": (("funnel", "--step", "cart", "--step", "pay"), "strict=maybe", "strict is true or false"),
    "half an order": (("grams",), "order=3.5", "order is a whole number, got '3.5'"),
    "a true order": (("grams",), "order=True", "order is a whole number, got 'True'"),
    "an order too high": (("grams",), "order=30", "order is a whole number from 1 to 8, got 30"),
    "letters for edges": (("length_distribution",), "edges=abc", "edges is a list; each part is a number, got 'abc'"),
    "a method": (("pattern_share", "--option", "pattern=cart"), "method=x", "method is one of 'wilson, design effect'"),
    "a soon": (("funnel", "--step", "cart", "--step", "pay"), "within=soon", "within is a duration, got 'soon'"),
    "a goal": (("path_chain",), "goal=payy", "no touchpoint 'payy'"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_such_value_is_refused(run: Run, log: str, case: str) -> None:
    (metric, *more), setting, words = REFUSED[case]
    result = run("measure", metric, log, *more, "--option", setting)
    assert result.exit_code == 2
    assert words in result.stderr
    assert "cxmodel itself failed" not in result.stderr


class Lost:
    """A metric of a plugin, one of whose annotations names what is imported for type checkers only."""

    __attrs_attrs__ = (SimpleNamespace(name="strict", type="bool"), SimpleNamespace(name="table", type="Nowhere"))
    strict: "bool"
    table: "Nowhere"  # type: ignore[name-defined]  # noqa: F821


def test_a_field_that_cannot_be_resolved_leaves_the_others_alone() -> None:
    assert kinds_of(Lost) == {"strict": bool, "table": object}
