"""Cells beyond 52 bits: groups are numbered anew, and nothing overflows."""

from datetime import date
from typing import Any

import cxmodel as cx
from cxmodel.metrics import Recovery, RecoveryDrivers


def test_unclustered_tallies_take_more_groups_than_52_bits_number() -> None:
    log = [
        {"who": f"c{i}", "what": what, "at": f"2026-01-0{1 + i % 2} 1{k}:00", "shop": f"s{i % 3}"}
        for i in range(60) for k, what in enumerate(("fail", "fix")[: 1 + i % 2])
    ]  # fmt: skip
    said = [{"who": f"c{i}", "score": 1 + (i * 7) % 5, "at": "2026-01-05"} for i in range(60)]
    survey = cx.read_responses(said, customer="who", score="score", scale=cx.Scale.csat(), time="at")
    journeys = cx.read_events(log, customer="who", touchpoint="what", time="at", attributes=["shop"])
    journeys = journeys.with_responses(survey)
    drivers = RecoveryDrivers(recovery=Recovery(failed=["fail"], resolved=["fix"]), min_n=6)
    by = (cx.by.day(), cx.by.month(), cx.by.attribute("shop"))
    assert cx.by.cross(*by).size(journeys.population.vocabulary) < 2**62
    many: Any = cx.by.cross(*by, cx.by.hour(), cx.by.weekday(), cx.by.daypart(), cx.by.season("northern"))
    wide = journeys.measure(drivers, by=many)
    plain = journeys.measure(drivers, by=cx.by.attribute("shop"))
    day, month = date(2026, 1, 5), date(2026, 1, 1)
    assert {key[2]: table.n for key, table in wide.items()} == {shop: table.n for shop, table in plain.items()}
    assert all(key[:2] == (day, month) for key in wide)
