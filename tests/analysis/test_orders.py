"""Orders of journeys: what was planted is found, journeys in progress have no end, and the laws of fitted chains."""

import json
import math
from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.orders import ChainOrders
from cxmodel.analysis.outlook_fitting import Outlooks

GOAL = cx.Goal("purchase", touchpoints=["pay"])
PATHS = st.lists(
    st.lists(st.sampled_from(["ad", "shop", "cart", "pay"]), min_size=1, max_size=6), min_size=1, max_size=20
)


def log(paths: list[list[str]], *, running: int = 0) -> cx.Journeys:
    """One journey a customer; the last ``running`` of them begin ten days later."""
    late = len(paths) - running
    rows = [
        {"who": f"c{who}", "what": what, "at": f"2026-01-{1 if who < late else 11:02}T00:{place:02}"}
        for who, path in enumerate(paths)
        for place, what in enumerate(path)
    ]
    return cx.read_events(rows, customer="who", touchpoint="what", time="at")


def walk(rng: np.random.Generator, memory: int) -> list[str]:
    """Steps among three touchpoints; with a memory of two, the one before the last is avoided."""
    path: list[str] = []
    while rng.random() > 0.1 or not path:
        before = path[-memory] if len(path) >= memory else None
        shares = np.array([0.05 if name == before else 1.0 for name in "abc"])
        path.append("abc"[rng.choice(3, p=shares / shares.sum())])
    return [*path, "pay"] if rng.random() < 0.5 else path


@pytest.mark.parametrize("memory", [1, 2])
def test_the_planted_order_is_found(memory: int) -> None:
    rng = np.random.default_rng(memory)
    table = log([walk(rng, memory) for _ in range(1_200)]).chain_orders("pay", most=3)
    assert (table.by_bic, table.chosen) == (memory, memory)
    better = table.orders[memory].gain
    assert better is not None
    assert better.interval is not None
    assert better.interval.high < 0
    test = table.orders[memory].test
    assert test is not None
    assert test.p < 1e-6
    assert f"order {memory} for pay" in str(table)
    document = json.loads(json.dumps(table.to_dict()))
    assert [row["order"] for row in document["orders"]] == [0, 1, 2, 3]


@given(PATHS, st.integers(1, 3))
@settings(max_examples=25)
def test_beginnings_and_ends_are_steps(paths: list[list[str]], most: int) -> None:
    table = log([*paths, ["ad", "pay"]]).chain_orders("pay", most=most)
    steps: list[tuple[tuple[str, ...], str]] = []
    for path in [*paths, ["ad", "pay"]]:
        before = path[: path.index("pay")] if "pay" in path else path
        padded = ["^"] * most + before
        following = [*before, "goal" if "pay" in path else "lost"]
        steps += [(tuple(padded[i : i + most]), name) for i, name in enumerate(following)]
    assert table.steps == len(steps)
    for row in table.orders:
        runs = [(context[most - row.order :], name) for context, name in steps]
        pairs, contexts = Counter(runs), Counter(context for context, _ in runs)
        slow = sum(n * math.log(n / contexts[context]) for (context, _), n in pairs.items())
        assert row.fit.log_likelihood == pytest.approx(slow, abs=1e-9)
        assert row.fit.parameters >= row.fit.parameters_seen


@given(PATHS, st.integers(1, 3), st.integers(1, 3))
@settings(max_examples=25)
def test_running_journeys_are_no_losses_at_any_order(paths: list[list[str]], order: int, running: int) -> None:
    """Fitted to complete journeys, every order gives the observed rate; running ones counted as lost move it."""
    complete = [*paths, ["ad", "pay"]]
    rate = sum("pay" in path for path in complete) / len(complete)
    journeys = log([*complete, *[["late"]] * running], running=running)
    known = journeys.with_inactivity(timedelta(days=5)).chain_orders("pay", most=order)
    assert known.in_progress == running
    assert known.steps == journeys.chain_orders("pay", most=order).steps - running
    plain = Outlooks(goal=GOAL, order=order, smoothing=False)
    complete_only = log(complete).measure(plain)
    assert complete_only.chance() == pytest.approx(rate)
    counted_as_lost = journeys.measure(plain).chance()
    assert counted_as_lost == pytest.approx(rate * len(complete) / (len(complete) + running))
    assert counted_as_lost < rate


def test_too_few_customers_have_no_held_out_loss() -> None:
    table = log([["ad", "pay"]]).chain_orders("pay", most=1)
    assert table.orders[0].log_loss.value is None
    assert "too few" in (table.orders[0].log_loss.reason or "")
    assert table.chosen == table.by_bic


def test_orders_out_of_range_are_refused() -> None:
    with pytest.raises(cx.errors.InvalidValueError, match="1 to 6"):
        ChainOrders(goal=GOAL, most=7)
