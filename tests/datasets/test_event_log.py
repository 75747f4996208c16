"""The benchmark log has the size, order and structure it promises."""

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxmodel.datasets import EventLog, event_log

Order = Literal["time", "customer", "shuffled"]
orders = st.sampled_from(["time", "customer", "shuffled"])


def rows(log: EventLog) -> list[tuple[object, ...]]:
    return list(zip(log.customer.tolist(), log.code.tolist(), log.time.astype(np.int64).tolist(), strict=True))


@settings(max_examples=40, deadline=None)
@given(events=st.integers(1, 400), seed=st.integers(0, 2**32), touchpoints=st.integers(12, 700), order=orders)
def test_size_order_and_vocabulary(events: int, seed: int, touchpoints: int, order: Order) -> None:
    log = event_log(events, seed, touchpoints=touchpoints, order=order)
    assert len(log) == len(log.customer) == len(log.time) == events
    assert len(set(log.names.tolist())) == touchpoints
    assert log.goal in log.names.tolist()
    assert log.code.max() < touchpoints
    assert log.code.dtype == (np.uint8 if touchpoints <= 256 else np.uint16)
    assert rows(log) == rows(event_log(events, seed, touchpoints=touchpoints, order=order))
    times = log.time.astype(np.int64).tolist()
    if order == "time":
        assert times == sorted(times)
    if order == "customer":
        customers = log.customer.tolist()
        starts = [at for at in range(events) if at == 0 or customers[at] != customers[at - 1]]
        assert len(starts) == len(set(customers))
        assert all(times[at] > times[at - 1] for at in range(1, events) if at not in starts)


@settings(max_examples=10, deadline=None)
@given(events=st.integers(1, 300), seed=st.integers(0, 1000))
def test_orders_and_ids_are_views_of_one_log(events: int, seed: int) -> None:
    by_time = event_log(events, seed)
    assert sorted(rows(by_time)) == sorted(rows(event_log(events, seed, order="customer")))
    assert sorted(rows(by_time)) == sorted(rows(event_log(events, seed, order="shuffled")))
    named = event_log(events, seed, ids="str").customer.tolist()
    assert named == [f"cust-{number}" for number in by_time.customer.tolist()]


def test_lengths_gaps_and_structure_come_out_as_planted() -> None:
    log = event_log(200_000, 1, order="customer")
    customers = len(set(log.customer.tolist()))
    assert 200_000 / customers == pytest.approx(10, abs=0.3)
    same = log.customer[1:] == log.customer[:-1]
    gaps = (log.time[1:] - log.time[:-1]).astype(np.int64)[same] / 60e6
    # Means of 4 minutes and 6 days: one hour parts them nearly perfectly.
    assert (gaps < 60).mean() == pytest.approx(0.7, abs=0.01)
    follows = (log.code[1:] == (log.code[:-1].astype(np.int64) * 3 + 1) % 30)[same].mean()
    assert 0.2 < follows < 0.4
    counts = np.bincount(log.code, minlength=30)
    assert counts[0] > 2 * counts[20]
    assert "purchase" in log.table()["touchpoint"].tolist()


def test_another_seed_and_a_steeper_law_give_other_logs() -> None:
    assert rows(event_log(100, 1)) != rows(event_log(100, 2))
    flat, steep = event_log(5_000, 1, zipf=0.5), event_log(5_000, 1, zipf=2.0)
    assert (steep.code == 0).sum() > 2 * (flat.code == 0).sum()


def test_wrong_options_say_what_to_give() -> None:
    with pytest.raises(ValueError, match="events is 0; give 1 or more"):
        event_log(0)
    with pytest.raises(ValueError, match="touchpoints is 11; give at least 12"):
        event_log(10, touchpoints=11)
    with pytest.raises(ValueError, match="ids is 'text'; give 'int' or 'str'"):
        event_log(10, ids="text")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="order is 'none'"):
        event_log(10, order="none")  # type: ignore[arg-type]
