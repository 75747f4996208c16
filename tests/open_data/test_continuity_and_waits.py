"""Continuity, effort, bottlenecks and time to a goal on the open logs, against a slow reading of the same files."""

import csv
import statistics
import warnings
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.stats import CensoredData, ecdf

import cxmodel as cx
from cxmodel import metrics as m

pytestmark = pytest.mark.open_data

Row = dict[str, str]


def cases(path: Path, case: str, time: str) -> list[list[Row]]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        found[row[case]].append(row)
    return [sorted(events, key=lambda row: row[time]) for events in found.values()]


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def test_sepsis(open_data: Path) -> None:
    path = open_data / "data" / "service_logs" / "sepsis.csv"
    journeys = cx.read_events(path, customer="case_id", touchpoint="activity", time="timestamp", contact="resource")
    found = cases(path, "case_id", "timestamp")
    met = [[row["resource"] for row in events if row["resource"]] for events in found]
    enough = [each for each in met if len(each) >= 2]
    expected = {
        m.Upc(): [max(Counter(each).values()) / len(each) for each in enough],
        m.Coc(): [sum(k * (k - 1) for k in Counter(each).values()) / (len(each) * (len(each) - 1)) for each in enough],
        m.HandOffs(): [float(sum(a != b for a, b in pairwise(each))) for each in enough],
        m.EffortRepeats(): [float(len(events) - len({row["activity"] for row in events})) for events in found],
    }
    for metric, values in expected.items():
        result = journeys.measure(metric)
        assert result.n == len(values)
        assert result.require() == pytest.approx(mean(values)), metric.name


def test_marketplace_bottlenecks_and_time_to_delivery(open_data: Path) -> None:
    path = open_data / "data" / "marketplace_orders" / "events.csv"
    journeys = cx.read_events(path, customer="order_id", touchpoint="touchpoint", time="timestamp")
    waits: dict[tuple[str, str], list[float]] = defaultdict(list)
    ends: list[tuple[float, bool]] = []
    for events in cases(path, "order_id", "timestamp"):
        times = [datetime.fromisoformat(row["timestamp"]).replace(tzinfo=UTC) for row in events]
        for (a, before), (b, after) in pairwise(zip(times, events, strict=True)):
            waits[before["touchpoint"], after["touchpoint"]].append((b - a).total_seconds())
        hits = [at for at, row in zip(times, events, strict=True) if row["touchpoint"] == "Delivered"]
        ends.append((((hits or times[-1:])[0] - times[0]).total_seconds(), bool(hits)))
    table = journeys.measure(m.Bottlenecks(unknown_as="wait"))
    ranked = sorted(waits, key=lambda edge: -sum(waits[edge]))
    assert [(row.source, row.target) for row in table.rows[:10]] == ranked[:10]
    for row in table.rows:
        mine = waits[row.source, row.target]
        assert row.n == len(mine)
        assert row.total_s == pytest.approx(sum(mine))
        assert row.median_s == pytest.approx(statistics.median(mine))
        assert row.p90_s == pytest.approx(float(np.quantile(mine, 0.9)))
    delivered = journeys.measure(m.TimeTo(goal=cx.Goal("delivered", touchpoints=["Delivered"])))
    seen: Any = CensoredData(uncensored=[t for t, hit in ends if hit], right=[t for t, hit in ends if not hit])
    oracle: Any = ecdf(seen).sf
    with warnings.catch_warnings():
        # scipy says aloud where this interval does not exist; those places are not compared.
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = oracle.confidence_interval(method="log-log")
    for days in (5, 10, 20, 40):
        share = delivered.share_by(timedelta(days=days))
        at = days * 86_400.0
        assert share.require() == pytest.approx(1 - float(oracle.evaluate(at)))
        assert share.interval is not None
        assert share.interval.low == pytest.approx(1 - float(interval.high.evaluate(at)))
        assert share.interval.high == pytest.approx(1 - float(interval.low.evaluate(at)))
