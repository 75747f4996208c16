"""Every metric that is registered gives a result that can be written as JSON; path analyses come back."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from attrs import NOTHING

import cxmodel as cx
from cxmodel.plugins.registry import default_registry

GOAL = cx.Goal("done", touchpoints=["pay"])
PATHS = "ad cart help pay", "ad cart", "cart cart pay", "ad help ad cart pay"
LOG = [
    {"who": f"{n}", "what": what, "at": f"2026-01-0{n + 1}T00:0{i}"}
    for n, path in enumerate(PATHS)
    for i, what in enumerate(path.split())
]
READ_BACK: dict[str, Any] = {
    "loops": cx.metrics.Loops(),
    "ends": cx.metrics.Ends(),
    "goal_paths": cx.metrics.GoalPaths(GOAL),
    "path_chain": cx.metrics.PathChain(goal=GOAL, k=2),
    "funnel_detail": cx.metrics.FunnelDetail(["ad", "cart", "pay"], strict=True, within=timedelta(hours=1)),
    "pattern_matches": cx.metrics.PatternMatches("cart => pay"),
    "funnel": cx.metrics.Funnel(["cart", "pay"], strict=True),
}
IN_SUMMARY: dict[str, Any] = {
    "length_distribution": cx.metrics.LengthDistribution(),
    "duration_distribution": cx.metrics.DurationDistribution(),
    "eventually_follows": cx.metrics.EventuallyFollows(),
}


def journeys() -> cx.Journeys:
    return cx.read_events(LOG, customer="who", touchpoint="what", time="at").where(passes="cart")


def written(result: object, path: Path) -> Any:
    return json.loads(cx.export(result, path).path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", READ_BACK)
def test_a_path_analysis_comes_back(name: str, tmp_path: Path) -> None:
    result: Any = journeys().measure(READ_BACK[name])
    document = written(result, tmp_path / "x.json")
    assert document["population"]["filters"] == ["passes cart"]
    back = cx.load_result(tmp_path / "x.json")
    assert back == result
    assert back.origin == result.origin


def test_grams_come_back_as_the_most_frequent(tmp_path: Path) -> None:
    table = journeys().measure(cx.metrics.Grams(2))
    assert written(table, tmp_path / "x.json")["kind"] == "grams"
    assert cx.load_result(tmp_path / "x.json") == table.top(len(table))
    written(table.top(1), tmp_path / "x.json")
    assert cx.load_result(tmp_path / "x.json") == table.top(1)


@pytest.mark.parametrize("name", IN_SUMMARY)
def test_a_summary_is_written_and_not_read_back(name: str, tmp_path: Path) -> None:
    document = written(journeys().measure(IN_SUMMARY[name]), tmp_path / "x.json")
    assert document["population"]["filters"] == ["passes cart"]
    assert document["results"][0]["result"]["journeys"] == 4
    with pytest.raises(cx.errors.DocumentError, match="written in summary and not read back"):
        cx.load_result(tmp_path / "x.json")


def test_groups_come_back(tmp_path: Path) -> None:
    by = cx.by.pattern({"helped": "help", "alone": "cart"})
    result = journeys().measure(cx.metrics.Ends(), by=by)
    cx.export(result, tmp_path / "x.json")
    assert cx.load_result(tmp_path / "x.json") == result


def test_a_field_that_is_not_there_is_named(tmp_path: Path) -> None:
    document = written(journeys().measure(cx.metrics.Loops()), tmp_path / "x.json")
    del document["results"][0]["result"]["whole"]["events"]
    with pytest.raises(cx.errors.DocumentError, match=r"\$\.results\[0\]\.result\.whole has no 'events'"):
        cx.load_result(json.dumps(document))


SCALES = {
    "likely": cx.Scale.nps(), "happy": cx.Scale.csat(), "ease1": cx.Scale.ces1(), "ease2": cx.Scale.ces2(),
    "felt": cx.Scale.emotion(), "own": cx.Scale.own(1, 5, satisfied=4, direction="higher"),
}  # fmt: skip
WEEK = timedelta(days=7)
MODES = {"web": True, "phone": False}
RECOVERY = cx.metrics.Recovery(failed=["help"], resolved=["pay"])
OPTIONS: dict[str, Any] = {
    "goal": "pay", "outcome": "pay", "steps": ["cart", "pay"], "pattern": "cart => pay", "online": MODES,
    "within": WEEK, "every": WEEK, "ignored": ["ad"], "recovery": RECOVERY, "first": "likely", "second": "again",
}  # fmt: skip


QUESTIONS = {
    "nps": "likely", "nps_change": "likely", "ces1": "ease1", "ces2": "ease2", "ces2_net": "ease2",
    "ces2_top": "ease2", "top_box": "own", "mean_emotion": "felt", "net_sentiment": "felt",
}  # fmt: skip
MORE: dict[str, dict[str, Any]] = {
    "answer_wait": {"asks": ["help"], "replies": ["ad"]},
    "peak_end_weights": {"whole": "likely"},
}


@pytest.fixture(scope="module")
def known() -> cx.Journeys:
    """Journeys with channels, departments, contacts, values, and an answer on every scale."""
    rows = [
        {
            **row, "who": f"{copy}.{row['who']}", "channel": "web" if i % 2 else "phone", "team": f"t{i % 3}",
            "agent": f"p{i % 4}", "value": i if row["what"] == "pay" else None,
        }
        for copy in range(40)
        for i, row in enumerate(LOG)
    ]  # fmt: skip
    read = cx.read_events(
        rows, customer="who", touchpoint="what", time="at", channel="channel", department="team", contact="agent",
        value="value",
    ).split(at="help")  # fmt: skip
    read = read.with_touchpoints({
        "ad": {"stage": "before", "initiator": "organisation"}, "cart": {"stage": "while", "initiator": "customer"},
        "help": {"stage": "while", "kind": "communication"}, "pay": {"stage": "while", "initiator": "customer"},
    })  # fmt: skip
    questions = {name: cx.Question(scale) for name, scale in SCALES.items()}
    questions["again"] = cx.Question(SCALES["likely"])
    answers = [
        {"who": f"{copy}.{n}", "at": f"2026-01-0{n + 1}T01:00", "about": "cart"}
        | {name: 1 + (copy + n) % 5 if name != "felt" else (copy + n) % 3 - 1 for name in questions}
        for copy in range(40)
        for n in range(len(PATHS))
    ]
    asked = cx.read_responses(answers, customer="who", time="at", touchpoint="about", questions=questions)
    return read.with_responses(asked)


@pytest.mark.parametrize("name", [each.name for each in default_registry().installed() if each.kind == "metric"])
def test_the_result_of_every_metric_is_written(name: str, known: cx.Journeys, tmp_path: Path) -> None:
    own = {each.name: each for each in getattr(default_registry().metric(name), "__attrs_attrs__", ())}
    options = {field: OPTIONS[field] for field, each in own.items() if each.default is NOTHING}
    if "question" in own:
        options["question"] = QUESTIONS.get(name, "happy")
    options |= MORE.get(name, {})
    document = written(known.measure(name, **options), tmp_path / "x.json")
    assert document["schema"].startswith("cxmodel/")
