"""The main job on real data, as a user would type it."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from tests.cli.conftest import Run

pytestmark = pytest.mark.open_data


def answer(run: Run, *arguments: object) -> Any:
    result = run(*arguments, "--format", "json")
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def orders(open_data: Path) -> Path:
    return open_data / "data" / "marketplace_orders"


@pytest.fixture
def sessions(open_data: Path) -> Path:
    return open_data / "data" / "shop_sessions" / "ecom.csv.gz"


@pytest.fixture
def lateness(orders: Path, home: Path) -> Path:
    """Per delivered order whether it came after the day that was promised."""
    path = home / "lateness.csv"
    with (
        (orders / "olist_orders_dataset.csv").open(encoding="utf-8") as source,
        path.open("w", encoding="utf-8") as file,
    ):
        print("order_id,delivery", file=file)
        for row in csv.DictReader(source):
            came, promised = row["order_delivered_customer_date"][:10], row["order_estimated_delivery_date"][:10]
            if came:
                print(row["order_id"], "late" if came > promised else "on time", sep=",", file=file)
    return path


def expected(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_orders_are_checked(run: Run, orders: Path) -> None:
    truth = expected(orders / "expected.json")
    found = answer(run, "check", orders / "events.csv", "--journey", "order_id")
    assert (found["rows"], found["kept"], found["rejected"]) == (17827, 17827, [])
    assert (found["customers"], found["journeys"]) == (truth["customers"], truth["orders"])
    assert found["touchpoints"] == truth["by_order"]["touchpoints"]


def test_the_graph_of_orders(run: Run, orders: Path) -> None:
    truth = expected(orders / "expected.json")["by_order"]
    found = answer(run, "graph", orders / "events.csv", "--journey", "order_id")
    assert {node["id"]: node["count"] for node in found["nodes"]} == truth["touchpoint_counts"]
    counts = {(edge["source"], edge["target"]): edge["count"] for edge in found["edges"]}
    assert len(counts) == truth["transitions_distinct"]
    for source, target, count in truth["transitions_top"]:
        assert counts[source, target] == count


def test_late_orders_make_dissatisfied_customers(run: Run, orders: Path, lateness: Path) -> None:
    found = answer(
        run, "measure", "csat", orders / "events.csv", "--journey", "order_id", "--responses", orders / "responses.csv",
        "--score", "score", "--attributes-from", f"{lateness}:order_id", "--by", "attribute:delivery",
    )  # fmt: skip
    rows = {row["group"]["delivery"]: row for row in found["results"]}
    assert (rows["late"]["n"], round(100 * rows["late"]["value"], 1)) == (193, 26.4)
    assert round(100 * rows["on time"]["value"], 1) == 82.1
    assert rows["late"]["low"] < rows["late"]["value"] < rows["late"]["high"] < rows["on time"]["low"]


def test_sessions_as_paths_and_funnel(run: Run, sessions: Path) -> None:
    read = (sessions, "--customer", "user_id", "--journey", "session_id")
    truth = expected(sessions.parent / "expected.json")
    found = answer(run, "paths", *read, "--top", 5)
    assert found["journeys"] == 3605
    assert sum(path["count"] for path in found["paths"]) + found["other"]["count"] == 3605
    assert answer(run, "check", sessions)["journeys"] == truth["by_user"]["cases"]
    steps = answer(run, "funnel", *read, "--step", "catalog", "--step", "add_to_cart", "--step", "purchase")["steps"]
    assert steps[0]["reached"] >= steps[1]["reached"] >= steps[2]["reached"] > 0
    within = answer(
        run, "funnel", *read, "--step", "catalog", "--step", "add_to_cart", "--step", "purchase", "--within", "10min"
    )["steps"]
    assert [a["reached"] for a in within] != [b["reached"] for b in steps]
    assert all(a["reached"] <= b["reached"] for a, b in zip(within, steps, strict=True))


def test_sessions_convert_by_channel(run: Run, sessions: Path) -> None:
    read = (sessions, "--journey", "session_id", "--goal", "purchase")
    whole = answer(run, "measure", "conversion_rate", *read)["results"][0]
    assert whole["n"] == 3605
    parts = answer(run, "measure", "conversion_rate", *read, "--by", "attribute:acquisition_channel")["results"]
    assert sum(row["n"] for row in parts) == 3605
    assert sum(row["n"] * row["value"] for row in parts) == pytest.approx(whole["n"] * whole["value"])
    credit = answer(run, "measure", "markov_credit", *read)["results"]
    assert sum(row["value"] for row in credit) == pytest.approx(whole["n"] * whole["value"])


def test_a_survey_alone_without_its_blanks(run: Run, open_data: Path) -> None:
    survey = open_data / "data" / "airport_survey" / "2017_SFO_Customer_Survey_20250817.csv"
    found = answer(run, "measure", "nps", survey, "--score", "NETPRO", "--code", "11=")
    assert round(found["results"][0]["value"], 2) == 39.84
