"""The open data sets, each read once a session, and their expected figures."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cxmodel as cx

Rows = list[dict[str, str | None]]
AIRPORT = "airport_survey/2017_SFO_Customer_Survey_20250817.csv"


@pytest.fixture(scope="session")
def data(open_data: Path) -> Path:
    return open_data / "data"


@pytest.fixture(scope="session")
def reference(open_data: Path) -> Callable[[str], Any]:
    """Reads a file of reference values."""
    return lambda name: json.loads((open_data / "reference" / name).read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def expected(data: Path) -> Callable[[str], dict[str, Any]]:
    """Reads the expected figures of a data set."""
    files = {"traffic_fines": "service_logs", "sepsis": "service_logs", "patients": "service_logs"}

    def read(name: str) -> dict[str, Any]:
        path = f"{files[name]}/expected_{name}.json" if name in files else f"{name}/expected.json"
        figures: dict[str, Any] = json.loads((data / path).read_text(encoding="utf-8"))
        return figures

    return read


@pytest.fixture(scope="session")
def shoppers(data: Path) -> cx.Journeys:
    return cx.read_events(
        data / "shop_sessions/ecom.csv.gz", customer="user_id", touchpoint="event", time="timestamp",
        attributes=["user_id", "platform"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def visits(data: Path) -> cx.Journeys:
    return cx.read_events(
        data / "shop_sessions/ecom.csv.gz", customer="user_id", journey="session_id", touchpoint="event",
        time="timestamp", attributes=["session_id", "acquisition_channel"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def clicks(data: Path) -> cx.Journeys:
    return cx.read_events(
        data / "shop_clicks/simple-onlineshop.csv", customer="client_id", touchpoint="event", time="timestamp",
        attributes=["client_id"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def orders(data: Path, order_facts: Rows, reviews: cx.Responses) -> cx.Journeys:
    """Orders with what became of them and what their customers said."""
    journeys = cx.read_events(
        data / "marketplace_orders/events.csv", customer="customer_id", journey="order_id", touchpoint="touchpoint",
        time="timestamp", attributes=["order_id", "payment_type", "state"],
    )  # fmt: skip
    journeys = journeys.with_attributes(order_facts, journey="order_id", columns=["status", "delivery"])
    return journeys.with_responses(reviews, about="Delivered")


@pytest.fixture(scope="session")
def buyers(data: Path) -> cx.Journeys:
    return cx.read_events(
        data / "marketplace_orders/events.csv", customer="customer_id", touchpoint="touchpoint", time="timestamp",
        attributes=["customer_id"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def order_facts(data: Path) -> Rows:
    """One row per order: its status, and whether it came late, compared as calendar days."""
    with (data / "marketplace_orders/olist_orders_dataset.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    out: Rows = []
    for row in rows:
        came, promised = row["order_delivered_customer_date"][:10], row["order_estimated_delivery_date"][:10]
        delivery = ("late" if came > promised else "on_time") if came else None
        out.append({"order_id": row["order_id"], "status": row["order_status"], "delivery": delivery})
    return out


@pytest.fixture(scope="session")
def reviews(data: Path) -> cx.Responses:
    return cx.read_responses(
        data / "marketplace_orders/responses.csv", journey="order_id", time="timestamp", score="score",
        scale=cx.Scale.csat(), attributes=["response_id", "score", "comment"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def payments(data: Path) -> cx.Responses:
    """Payments, read as if each were an answer on a scale of money: a payment has no time to make it an event."""
    return cx.read_responses(
        data / "marketplace_orders/olist_order_payments_dataset.csv", journey="order_id", score="payment_value",
        scale=cx.Scale.own(0, 1e6), question="paid",
    )  # fmt: skip


@pytest.fixture(scope="session")
def fines(data: Path) -> cx.Journeys:
    return _service_log(data / "service_logs/traffic_fines.csv")


@pytest.fixture(scope="session")
def sepsis(data: Path) -> cx.Journeys:
    return _service_log(data / "service_logs/sepsis.csv")


def _service_log(path: Path) -> cx.Journeys:
    return cx.read_events(
        path, customer="case_id", touchpoint="activity", time="timestamp", attributes=["case_id"]
    )  # fmt: skip


@pytest.fixture(scope="session")
def patients(data: Path) -> cx.Journeys:
    """Every row an event: what starts and what completes."""
    return cx.read_events(
        data / "service_logs/patients.csv", customer="patient", touchpoint="handling", time="time",
        attributes=["patient", "registration_type"],
    )  # fmt: skip


@pytest.fixture(scope="session")
def handlings(data: Path) -> cx.Journeys:
    """Starts and completes paired, each handling a journey of its own."""
    return cx.read_events(
        data / "service_logs/patients.csv", customer="patient", journey="handling_id", touchpoint="handling",
        time="time", attributes=["handling_id"], lifecycle=("registration_type", "start", "complete"),
        instance="handling_id",
    )  # fmt: skip


@pytest.fixture(scope="session")
def treatments(data: Path) -> cx.Journeys:
    """Starts and completes paired, all handlings of a patient one journey."""
    return cx.read_events(
        data / "service_logs/patients.csv", customer="patient", touchpoint="handling", time="time",
        lifecycle=("registration_type", "start", "complete"), instance="handling_id",
    )  # fmt: skip


@pytest.fixture(scope="session")
def passengers(data: Path, expected: Callable[[str], Any]) -> cx.Responses:
    """The airport survey: 0 and 6 mean blank or not used, except in the question about recommending."""
    figures = expected("airport_survey")
    rated = [*figures["csat_1_5"], *figures["effort_ease_1_5"]]
    questions = {name: cx.Question(cx.Scale.csat(), codes={0: None, 6: None, "Blank": None}) for name in rated}
    questions["NETPRO"] = cx.Question(cx.Scale.nps(), codes={11: None})
    return cx.read_responses(data / AIRPORT, questions=questions, attributes=[*rated, "NETPRO"])


@pytest.fixture(scope="session")
def weighted_passengers(data: Path) -> cx.Responses:
    return cx.read_responses(
        data / AIRPORT, score="NETPRO", scale=cx.Scale.nps(), codes={11: None}, weight="WEIGHT"
    )  # fmt: skip


@pytest.fixture(scope="session")
def blanks_as_promoters(data: Path) -> cx.Responses:
    """The trap: code 11 of the airport survey taken for an enthusiastic answer."""
    return cx.read_responses(data / AIRPORT, score="NETPRO", scale=cx.Scale.nps(), codes={11: 10})
