"""Waits, sessions and rows of the open logs against a slow reading of the same files, row by row."""

import csv
import gzip
import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

import cxmodel as cx

pytestmark = pytest.mark.open_data

Event = tuple[datetime, int, str, datetime]


def rows_of(path: Path) -> list[dict[str, str]]:
    if path.suffix == ".gz":
        with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def cases(rows: Iterable[Mapping[str, str]], case: str, touchpoint: str, time: str) -> dict[str, list[Event]]:
    """Events of each case in order of (time, row), each with when it began and ended."""
    found: dict[str, list[Event]] = defaultdict(list)
    for place, row in enumerate(rows):
        at = instant(row[time])
        found[row[case]].append((at, place, row[touchpoint], at))
    return {case: sorted(events) for case, events in found.items()}


def waits(found: Mapping[str, list[Event]]) -> dict[tuple[str, str], list[float]]:
    out: dict[tuple[str, str], list[float]] = defaultdict(list)
    for events in found.values():
        for (_, _, before, end), (begin, _, after, _) in pairwise(events):
            out[before, after].append((begin - end).total_seconds())
    return out


def assert_waits(journeys: cx.Journeys, expected: Mapping[tuple[str, str], list[float]]) -> None:
    graph = journeys.graph()
    assert set(graph.edges()) == set(expected)
    for a, b, facts in graph.edges(data=True):
        seconds = expected[a, b]
        assert facts["count"] == len(seconds)
        assert facts["wait_median_s"] == pytest.approx(statistics.median(seconds), abs=1e-6)
        assert facts["wait_mean_s"] == pytest.approx(statistics.fmean(seconds), abs=1e-6)
        assert facts["wait_total_s"] == pytest.approx(sum(seconds), rel=1e-12)
        assert graph.wait(a, b) == timedelta(seconds=facts["wait_median_s"])


def test_waits_of_the_hospital_with_its_ties(sepsis: cx.Journeys, data: Path) -> None:
    found = cases(rows_of(data / "service_logs/sepsis.csv"), "case_id", "activity", "timestamp")
    assert_waits(sepsis, waits(found))


def test_waits_of_the_fines(fines: cx.Journeys, data: Path) -> None:
    found = cases(rows_of(data / "service_logs/traffic_fines.csv"), "case_id", "activity", "timestamp")
    assert_waits(fines, waits(found))


def test_waits_of_the_orders_as_one_customer_and_as_journeys(
    orders: cx.Journeys, buyers: cx.Journeys, data: Path
) -> None:
    rows = rows_of(data / "marketplace_orders/events.csv")
    assert_waits(orders, waits(cases(rows, "order_id", "touchpoint", "timestamp")))
    assert_waits(buyers, waits(cases(rows, "customer_id", "touchpoint", "timestamp")))


def test_waits_of_patients_run_from_an_end_to_the_next_start(treatments: cx.Journeys, data: Path) -> None:
    ends = {}
    rows = rows_of(data / "service_logs/patients.csv")
    for row in rows:
        if row["registration_type"] == "complete":
            ends[row["handling_id"]] = instant(row["time"])
    found: dict[str, list[Event]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row["registration_type"] == "start":
            event = (instant(row["time"]), place, row["handling"], ends[row["handling_id"]])
            found[row["patient"]].append(event)
    assert treatments.facts.events == sum(map(len, found.values())) == 2721
    assert_waits(treatments, waits({patient: sorted(events) for patient, events in found.items()}))


def test_cutting_at_gaps_finds_the_sessions_of_the_shop(shoppers: cx.Journeys, visits: cx.Journeys) -> None:
    """The shop's own sessions are what a gap of half an hour makes of its users."""
    cut = shoppers.split(gap=timedelta(minutes=30))
    assert cut.facts.journeys == visits.facts.journeys == 3605
    assert cut.graph().to_dict() | {"nodes": 0} == visits.graph().to_dict() | {"nodes": 0}
    assert cut.paths().to_dict() == visits.paths().to_dict()


@pytest.mark.parametrize(
    "name", ["shoppers", "visits", "clicks", "orders", "buyers", "fines", "sepsis", "patients"]
)  # fmt: skip
def test_every_row_is_an_event(request: pytest.FixtureRequest, name: str) -> None:
    journeys: cx.Journeys = request.getfixturevalue(name)
    reading = journeys.reading
    assert reading.rejected == {}
    assert reading.rows == reading.kept == journeys.facts.events


def test_a_case_called_na_is_a_case(sepsis: cx.Journeys, data: Path) -> None:
    rows = [row for row in rows_of(data / "service_logs/sepsis.csv") if row["case_id"] == "NA"]
    assert rows
    lengths = sepsis.measure(cx.metrics.Length(), by=cx.by.attribute("case_id"))
    assert lengths["NA"].value == len(rows)
    assert sepsis.where(case_id="NA").facts.journeys == 1


def test_every_handling_has_its_start_and_its_end(handlings: cx.Journeys) -> None:
    assert "2,721 pairs of start and end" in handlings.reading.notes
    assert not [note for note in handlings.reading.notes if "without" in note or "before" in note]
