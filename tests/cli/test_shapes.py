"""What each command answers: the documented JSON, key by key, and text for people."""

import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run

import cxmodel as cx

ESTIMATE = {"value", "low", "high", "level", "n", "n_eff", "unit", "direction", "range", "method", "flags", "reason"}


def answer(run: Run, *arguments: object, code: int = 0) -> Any:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def test_check(run: Run, home: Path) -> None:
    with (home / "events.csv").open("a", encoding="utf-8") as file:
        file.write("dan,d1,ad,yesterday,web,basic,1\n,e1,ad,2026-01-03T10:00:00Z,web,basic,1\n")
    found = answer(run, "check", "events.csv")
    assert found["schema"] == "cxmodel/check/1"
    counts = ("rows", "kept", "customers", "journeys", "events", "touchpoints")
    assert {name: found[name] for name in counts} == {
        "rows": 10, "kept": 8, "customers": 3, "journeys": 4, "events": 8, "touchpoints": 3,
    }  # fmt: skip
    assert found["rows"] == found["kept"] + sum(each["count"] for each in found["rejected"])
    assert {frozenset(each) for each in found["rejected"]} == {frozenset({"reason", "count", "examples"})}
    examples = [example for each in found["rejected"] for example in each["examples"]]
    assert {"file": "events.csv", "row": 9, "value": "yesterday"} in examples
    assert all(set(example) == {"file", "row", "value"} for example in examples)
    assert found["names"] == ["ad", "pay", "shop"]


def test_several_files_are_one_log(run: Run, home: Path) -> None:
    (home / "more.csv").write_text("customer,touchpoint,time\ncat,pay,2026-02-01\n", encoding="utf-8")
    found = answer(run, "check", "events.csv", "more.csv")
    assert (found["rows"], found["customers"], found["journeys"]) == (9, 3, 3)
    assert "--journey" not in run("check", "events.csv", "more.csv").stderr


def test_graph(run: Run) -> None:
    found = answer(run, "graph", "events.csv")
    assert (found["schema"], found["journeys"], found["events"]) == ("cxmodel/graph/1", 4, 8)
    nodes = {node["id"]: node for node in found["nodes"]}
    assert {name: (node["count"], node["starts"], node["ends"]) for name, node in nodes.items()} == {
        "ad": (3, 3, 1), "shop": (3, 1, 1), "pay": (2, 0, 2),
    }  # fmt: skip
    edges = {(edge["source"], edge["target"]): edge for edge in found["edges"]}
    assert {pair: (edge["count"], edge["share"], edge["wait_median_s"]) for pair, edge in edges.items()} == {
        ("ad", "shop"): (2, pytest.approx(2 / 3), 1200.0),
        ("shop", "pay"): (2, pytest.approx(2 / 3), 5400.0),
    }


def test_graph_with_fewer_edges_counts_the_rest(run: Run) -> None:
    found = answer(run, "graph", "events.csv", "--max-edges", 1)
    assert len(found["edges"]) == 1
    assert found["other"] == {"transitions": 1, "count": 2}
    assert "1 rarer transitions are left out (2 times)" in run("graph", "events.csv", "--max-edges", 1).stdout


def test_paths(run: Run) -> None:
    found = answer(run, "paths", "events.csv", "--top", 2)
    assert {name: found[name] for name in ("schema", "journeys", "distinct")} == {
        "schema": "cxmodel/paths/1", "journeys": 4, "distinct": 4,
    }  # fmt: skip
    assert all(set(path) == {"touchpoints", "count", "share"} for path in found["paths"])
    assert sum(path["count"] for path in found["paths"]) + found["other"]["count"] == 4
    assert found["other"] == {"paths": 2, "count": 2, "share": 0.5}


def test_funnel(run: Run) -> None:
    found = answer(run, "funnel", "events.csv", "--step", "ad", "--step", "shop", "--goal", "bought=pay")
    assert (found["schema"], found["journeys"]) == ("cxmodel/funnel/1", 4)
    assert [(step["touchpoint"], step["reached"], step["wait_median_s"]) for step in found["steps"]] == [
        ("ad", 3, None), ("shop", 2, 1200.0), ("bought", 1, 3600.0),
    ]  # fmt: skip
    last = found["steps"][2]
    assert set(last) == {"touchpoint", "reached", "of_first", "of_previous", "wait_median_s"}
    assert {"value", "low", "high", "n"} <= set(last["of_first"])
    assert (last["of_first"]["value"], last["of_first"]["n"]) == (pytest.approx(1 / 3), 3)
    assert (last["of_previous"]["value"], last["of_previous"]["n"]) == (0.5, 2)


def test_funnel_within_a_time(run: Run) -> None:
    steps = ("--step", "ad", "--step", "shop", "--step", "pay")
    found = answer(run, "funnel", "events.csv", *steps, "--within", "15min")
    assert [step["reached"] for step in found["steps"]] == [3, 1, 0]
    assert answer(run, "funnel", "events.csv", *steps, "--within", "PT90M")["steps"][2]["reached"] == 1


def test_measure_without_groups_is_one_row(run: Run) -> None:
    found = answer(run, "measure", "length", "events.csv", "--level", 0.9)
    assert {name: found[name] for name in ("schema", "metric", "unassigned", "overlapping")} == {
        "schema": "cxmodel/measure/1", "metric": "length", "unassigned": None, "overlapping": False,
    }  # fmt: skip
    (row,) = found["results"]
    assert set(row) >= ESTIMATE | {"group", "quantity"}
    assert (row["group"], row["quantity"], row["value"], row["n"], row["level"]) == ({}, "length", 2.0, 4, 0.9)


def test_measure_answers_by_touchpoint(run: Run) -> None:
    found = answer(
        run, "measure", "csat", "events.csv", "--responses", "survey.csv", "--score", "happy", "--min-n", 1,
        "--by", "touchpoint",
    )  # fmt: skip
    values = {row["group"]["touchpoint"]: (row["value"], row["n"]) for row in found["results"]}
    assert values == {"pay": (1.0, 2), "shop": (0.0, 1), "ad": (0.0, 1)}


def test_answers_about_one_touchpoint(run: Run) -> None:
    survey = ("--responses", "survey.csv", "--score", "happy", "--min-n", 1)
    found = answer(run, "measure", "csat", "events.csv", *survey, "--about", "pay", "--by", "touchpoint")
    assert [(row["group"], row["n"]) for row in found["results"]] == [({"touchpoint": "pay"}, 2)]
    assert found["unassigned"]["n"] == 2
    late = answer(run, "measure", "csat", "events.csv", *survey, "--within", "20min", "--by", "touchpoint", code=1)
    assert (late["results"], late["unassigned"]["n"]) == ([], 4)


def test_answers_meet_customers_where_there_are_no_journeys(run: Run) -> None:
    survey = ("--responses", "survey.csv", "--score", "happy", "--min-n", 1, "--journey", "-")
    assert answer(run, "measure", "csat", "events.csv", *survey)["results"][0]["n"] == 4


def test_graph_paths_and_funnel_are_metrics_too(run: Run) -> None:
    assert answer(run, "measure", "graph", "events.csv") == answer(run, "graph", "events.csv")
    steps = ("--step", "ad", "--step", "pay", "--within", "PT2H")
    assert answer(run, "measure", "funnel", "events.csv", *steps) == answer(run, "funnel", "events.csv", *steps)
    for name, more in (("graph", ()), ("paths", ()), ("funnel", steps)):
        assert run("measure", name, "events.csv", *more).stdout == run(name, "events.csv", *more).stdout


def test_measure_by_two_groupings(run: Run) -> None:
    found = answer(run, "measure", "length", "events.csv", "--by", "attribute:plan", "--by", "month")
    values = {(row["group"]["plan"], row["group"]["month"]): row["n"] for row in found["results"]}
    assert values == {("gold", "2026-01-01"): 1, ("basic", "2026-01-01"): 3}


def test_measure_by_bins(run: Run) -> None:
    found = answer(run, "measure", "length", "events.csv", "--by", "bins:size:0,5,10")
    assert [row["n"] for row in found["results"]] == [1, 3]


def test_measure_a_survey_alone(run: Run) -> None:
    found = answer(run, "measure", "nps", "survey.csv", "--score", "likely", "--code", "11=", "--min-n", 0)
    (row,) = found["results"]
    assert (row["n"], row["unit"], row["value"]) == (3, "points", pytest.approx(100 / 3))
    weighted = answer(
        run, "measure", "nps", "--responses", "survey.csv", "--score", "likely", "--weight", "weight", "--min-n", 0
    )
    assert weighted["results"][0]["value"] == pytest.approx(0)
    assert weighted["results"][0]["n"] == 3


def test_two_questions_and_the_one_that_is_meant(run: Run) -> None:
    scores = ("--score", "likely", "--score", "happy", "--scale", "nps", "--scale", "own:1:5:4:higher")
    by_question = answer(run, "measure", "mean_score", "survey.csv", *scores, "--min-n", 1, "--by", "question")
    assert {row["group"]["question"]: row["n"] for row in by_question["results"]} == {"likely": 3, "happy": 4}
    one = answer(run, "measure", "mean_score", "survey.csv", *scores, "--min-n", 1, "--question", "happy")
    assert one["results"][0]["value"] == pytest.approx(3)


def test_measure_credit_has_a_row_without_a_touchpoint(run: Run) -> None:
    found = answer(run, "measure", "linear_credit", "events.csv", "--goal", "pay")
    rows = {row["group"]["touchpoint"]: row for row in found["results"]}
    assert {name: rows[name]["value"] for name in ("ad", "shop", None)} == {"ad": 0.5, "shop": 1.5, None: 0.0}
    assert "direct" in rows[None]["flags"]


def test_a_suppressed_value_is_exit_code_1(run: Run) -> None:
    (row,) = answer(run, "measure", "csat", "survey.csv", "--score", "happy", code=1)["results"]
    assert (row["value"], row["n"], row["flags"]) == (None, 4, ["suppressed"])
    text = run("measure", "csat", "survey.csv", "--score", "happy")
    assert text.exit_code == 1
    assert "no value" in text.stdout
    assert "fewer than 10 answers" in text.stdout


def test_bootstrap_is_repeatable(run: Run) -> None:
    asked = ("measure", "length", "events.csv", "--bootstrap", 50, "--seed", 3)
    assert answer(run, *asked) == answer(run, *asked)


def test_facts_from_another_table(run: Run, home: Path) -> None:
    (home / "more:facts.csv").write_text("id,late,why\na1,yes,x\nb1,no,y\nb2,no,y\nc1,no,z\n", encoding="utf-8")
    joined = ("--attributes-from", "more:facts.csv:id:late", "--by", "attribute:late")
    found = answer(run, "measure", "length", "events.csv", *joined)
    assert {row["group"]["late"]: row["value"] for row in found["results"]} == {"yes": 3.0, "no": pytest.approx(5 / 3)}
    every = answer(run, "check", "events.csv", "--attributes-from", "more:facts.csv:id")
    assert {"late", "why"} <= set(every["columns"]["journeys"])


def test_facts_of_customers_where_there_are_no_journeys(run: Run, home: Path) -> None:
    (home / "people.csv").write_text("id,town\nann,Rome\nbob,Oslo\ncat,Oslo\n", encoding="utf-8")
    joined = ("--journey", "-", "--attributes-from", "people.csv:id", "--by", "attribute:town")
    found = answer(run, "measure", "length", "events.csv", *joined)
    assert {row["group"]["town"]: row["n"] for row in found["results"]} == {"Rome": 1, "Oslo": 2}


def test_gap_and_repeats_change_the_journeys(run: Run) -> None:
    assert answer(run, "check", "events.csv", "--journey", "-")["journeys"] == 3
    assert answer(run, "check", "events.csv", "--journey", "-", "--gap", "1h30m")["journeys"] == 5
    merged = answer(run, "check", "events.csv", "--journey", "-", "--merge-repeats")
    assert merged["events"] == 7
    assert any("1 repeated events merged" in note for note in merged["notes"])


def test_plugins(run: Run) -> None:
    found = answer(run, "plugins")
    assert isinstance(found, list)
    assert all(set(each) == {"schema", "kind", "name", "distribution", "version", "status", "reason"} for each in found)
    assert {("metric", "nps"), ("exporter", "json")} <= {(each["kind"], each["name"]) for each in found}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("check", "events.csv"), ["8 rows read, 8 kept, 0 rejected", "3 customers, 4 journeys, 8 events"]),
        (("graph", "events.csv"), ["4 journeys, 8 events", "share of from", "66.7%", "20 min"]),
        (("paths", "events.csv", "--top", "4"), ["ad → shop → pay", "25.0%"]),
        (("funnel", "events.csv", "--step", "ad", "--step", "pay"), ["33.3%", "1.5 h"]),
        (("measure", "conversion_rate", "events.csv", "--goal", "pay"), ["50.0%", "higher is better", "open unknown"]),
        (("measure", "duration", "events.csv", "--by", "channel"), ["Groups overlap", "web", "app"]),
        (("measure", "markov_credit", "events.csv", "--goal", "pay"), ["(direct)", "conversions"]),
        (("plugins",), ["conversion_rate", "cxmodel"]),
    ],
)
def test_text_is_for_people(run: Run, arguments: tuple[str, ...], words: list[str]) -> None:
    result = run(*arguments)
    assert result.exit_code == 0, result.stderr
    assert [word for word in words if word not in result.stdout] == []


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("g.json", ("graph", "events.csv")), ("m.json", ("measure", "length", "events.csv", "--by", "channel"))],
)
def test_a_file_of_json_is_what_stdout_would_say(run: Run, home: Path, name: str, arguments: tuple[str, ...]) -> None:
    written = run(*arguments, "--out", f"new/{name}")
    assert (written.exit_code, written.stdout) == (0, "")
    assert f"Wrote new/{name}" in written.stderr
    assert (home / "new" / name).read_text(encoding="utf-8") == run(*arguments, "--format", "json").stdout


def test_a_preset_reads_a_format_of_its_own(run: Run, home: Path) -> None:
    comments = [{"author": "ann", "at": "2026-01-01T10:00:00Z", "role": "customer"}, {"author": "Eve", "role": "agent"}]
    tickets = [{"id": "7", "requester": "ann", "channel": "email", "comments": comments}]
    (home / "desk.json").write_text(json.dumps({"tickets": tickets}), encoding="utf-8")
    done = run("check", home / "desk.json", "--preset", "help_desk", "--format", "json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert (found["rows"], found["kept"], found["customers"]) == (2, 1, 1)
    unknown = run("check", home / "desk.json", "--preset", "help_dsk")
    assert unknown.exit_code == 2
    assert "help_desk" in unknown.stderr


def test_tables_of_their_own_are_told_in_words(run: Run, home: Path) -> None:
    rows = ["who,what,at", "ann,ad,2026-01-01", "ann,ad,2026-01-02", "ann,shop,2026-01-03", "bob,shop,2026-01-01"]
    (home / "log.csv").write_text("\n".join(rows), encoding="utf-8")
    roles = ("--customer", "who", "--touchpoint", "what", "--time", "at")
    told = run("measure", "loops", home / "log.csv", *roles)
    assert told.exit_code == 0, told.stderr
    assert "ad" in told.stdout
    assert "{" not in told.stdout
    matched = run("check", home / "log.csv", *roles, "--matches", "ad -> shop", "--format", "json")
    assert json.loads(matched.stdout)["journeys"] == 1
    wrong = run("check", home / "log.csv", *roles, "--matches", "ad -> -> shop")
    assert wrong.exit_code == 2
    assert "Traceback" not in wrong.stderr


def test_impact_is_asked_with_a_goal(run: Run, home: Path) -> None:
    paths = [["ad", "shop", "pay"], ["ad", "shop"], ["shop", "pay"], ["shop"], ["ad"], ["call", "ad", "pay"]] * 8
    rows = ["who,what,at"]
    rows += [f"c{i},{what},2026-01-0{k + 1}" for i, path in enumerate(paths) for k, what in enumerate(path)]
    (home / "log.csv").write_text("\n".join(rows), encoding="utf-8")
    done = run(
        "measure",
        "impact",
        home / "log.csv",
        "--customer",
        "who",
        "--touchpoint",
        "what",
        "--time",
        "at",
        "--goal",
        "pay",
    )
    assert done.exit_code == 0, done.stderr
    assert "unadjusted" in done.stdout
    wrong = run("measure", "impact", home / "log.csv", "--option", "outcome=pay")
    assert wrong.exit_code == 2
    assert "failed" not in wrong.stderr


def test_outlook_is_saved_for_an_app(run: Run, home: Path) -> None:
    found = answer(run, "outlook", "events.csv", "--goal", "pay", "--save", "outlook.json")
    assert found["results"][0]["result"]["n"] == 4
    opened = cx.open_outlook(home / "outlook.json")
    assert opened.position(["ad", "shop"]).goal == "pay"
    assert "outlook on pay from 4 journeys" in run("outlook", "events.csv", "--goal", "pay").stdout


def test_outlook_held_against_later_journeys_is_drawn(run: Run, home: Path) -> None:
    found = answer(
        run, "outlook", "events.csv", "--goal", "pay", "--split", "2026-01-03", "--order", 1, "--out", "picture.svg"
    )
    told = found["results"][0]["result"]
    assert (told["journeys"], told["left_out"]) == (2, 2)
    assert "<svg" in (home / "picture.svg").read_text(encoding="utf-8")
    assert "is no time" in run("outlook", "events.csv", "--goal", "pay", "--split", "soon").stderr


def test_positions_of_all_and_of_one(run: Run) -> None:
    found = answer(run, "positions", "events.csv", "--goal", "pay")
    rows = {row["customer"]: row for row in found["results"][0]["result"]["positions"]}
    assert {who: (row["touchpoint"], row["reached"]) for who, row in rows.items()} == {
        "ann": (None, True), "bob": (None, True), "cat": ("ad", False),
    }  # fmt: skip
    said = run("positions", "events.csv", "--goal", "pay", "--top", 1).stdout
    assert "cat" in said
    assert "2 more customers." in said
    one = answer(run, "positions", "events.csv", "--goal", "pay", "--who", "cat")
    assert one["results"][0]["result"]["touchpoint"] == "ad"


def test_what_if_without_enough_customers_is_refused_with_exit_code_one(run: Run) -> None:
    found = answer(run, "what-if", "events.csv", "--goal", "pay", code=1)
    assert "held-out journeys" in found["results"][0]["result"]["refused"]


def test_what_if_ranks_by_the_share_asked_for_in_text_and_json(run: Run, home: Path) -> None:
    paths = [["ad", "shop", "pay"]] * 90 + [["ad", "shop"]] * 60 + [["ad"]] * 90
    lines = [f"c{k},{what},2026-01-01 00:{at:02d}" for k, path in enumerate(paths) for at, what in enumerate(path)]
    (home / "walks.csv").write_text("\n".join(["customer,touchpoint,time", *lines]) + "\n")
    asked = ("what-if", "walks.csv", "--goal", "pay", "--by", 0.05, "--top", 1)
    told = answer(run, *asked)["results"][0]["result"]
    (row,) = told["ranking"]
    assert told["by"] == 0.05
    said = run(*asked, "--format", "text").stdout
    assert f"5.0% kept at {row['touchpoint']!r} for {row['to']!r}: {row['gain']['value']:+.2%}" in said
    assert "If all other steps keep their probabilities" in said


def test_orders(run: Run) -> None:
    found = answer(run, "orders", "events.csv", "--goal", "pay", "--most", 2)
    assert [row["order"] for row in found["results"][0]["result"]["orders"]] == [0, 1, 2]


def test_loyalty_and_context_are_asked_with_words(run: Run, home: Path) -> None:
    rows = ["who,visit,what,at"]
    rows += [f"c{i},{k},look,2026-01-{1 + 5 * k:02d} {7 * k:02d}:30" for i in range(12) for k in range(1 + i % 3)]
    (home / "log.csv").write_text("\n".join(rows), encoding="utf-8")
    roles = ("--customer", "who", "--touchpoint", "what", "--time", "at", "--journey", "visit")

    def asked(*more: str) -> dict[str, Any]:
        done = run("measure", more[0], home / "log.csv", *roles, *more[1:], "--format", "json")
        assert done.exit_code in (0, 1), done.stderr  # 1: there is no value, because it is too early
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    rate = asked("retention_rate", "--within", "6d", "--option", "end=2026-01-10")["results"][0]
    assert (rate["n"], rate["value"]) == (12, pytest.approx(8 / 12))
    late = asked("repeat_rate", "--within", "10d", "--option", "end=2026-01-10")["results"][0]
    assert (late["n"], late["censored"]) == (0, 12)
    table = asked("retention", "--option", "every=5d", "--option", "windows=1")["results"][0]["result"]
    assert table["every_s"] == 5 * 86_400
    groups = asked("length", "--by", "daypart", "--by", "season:northern", "--by", "weekday")["results"]
    assert {(row["group"]["daypart"], row["group"]["season"]) for row in groups} == {
        ("night", "winter"), ("morning", "winter"), ("afternoon", "winter")
    }  # fmt: skip
    told = run("measure", "retention_rate", home / "log.csv", *roles, "--within", "6d")
    assert "12" in told.stdout
    for wrong, words in (("every=soon", "every is a duration, got 'soon'"), ("end=soon", "end is a time, got 'soon'")):
        done = run("measure", "retention", home / "log.csv", *roles, "--option", "every=5d", "--option", wrong)
        assert done.exit_code == 2
        assert words in done.stderr
