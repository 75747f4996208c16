"""What if: exact on the reference chain, true to simulation, refused where a chain does not foretell."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from attrs import evolve

import cxmodel as cx
from cxmodel.analysis.what_if import WhatIf
from cxmodel.stats.chains import chain_from_counts

# Steps of the reference chain, in twentieths: touchpoint → (next, weight); None is left, pay the goal.
STEPS: Mapping[str, Sequence[tuple[str | None, float]]] = {
    "start": [("ad", 0.5), ("search", 0.5)],
    "ad": [("search", 0.4), ("product", 0.4), (None, 0.2)],
    "search": [("product", 0.7), ("ad", 0.1), (None, 0.2)],
    "product": [("cart", 0.3), ("search", 0.3), ("support", 0.1), (None, 0.3)],
    "cart": [("pay", 0.6), ("product", 0.2), ("support", 0.1), (None, 0.1)],
    "support": [("cart", 0.5), (None, 0.5)],
}
START = datetime(2026, 1, 1, tzinfo=UTC)
STATES = ("ad", "search", "product", "cart", "support")


def log(paths: list[list[str]]) -> cx.Journeys:
    rows = [
        {"who": who, "what": what, "at": f"2026-01-01 {place // 60:02}:{place % 60:02}"}
        for who, path in enumerate(paths)
        for place, what in enumerate(path)
    ]
    return cx.read_events(rows, customer="who", touchpoint="what", time="at")


def walk(rng: np.random.Generator, steps: Mapping[str, Sequence[tuple[str | None, float]]]) -> list[str]:
    path: list[str] = []
    here = "start"
    while here != "pay":
        names, weights = zip(*steps[here], strict=True)
        following = names[rng.choice(len(names), p=weights)]
        if following is None:
            return path
        path.append(following)
        here = following
    return path


def reference() -> WhatIf:
    index = {name: i for i, name in enumerate(STATES)}
    counts, goal, lost, starts = np.zeros((5, 5)), np.zeros(5), np.zeros(5), np.zeros(5)
    for name, i in index.items():
        for following, weight in STEPS[name]:
            if following is None:
                lost[i] = weight
            elif following == "pay":
                goal[i] = weight
            else:
                counts[i, index[following]] = weight
    starts[[index["ad"], index["search"]]] = 0.5
    return WhatIf(goal="pay", touchpoints=STATES, chain=chain_from_counts(counts, starts, goal, lost))


def test_exact_values_of_the_reference_chain() -> None:
    """Exact rationals of the reference file (markov.json, cx_toy)."""
    chain = reference()
    assert chain.chance == pytest.approx(497 / 2113, abs=1e-14)
    better = chain.improve("cart", to="pay", away="left", by=0.05)
    assert better.after == pytest.approx(6461 / 25356, abs=1e-14)
    assert chain.improve("product", to="cart", away="search", by=0.05).after == pytest.approx(3408 / 13189, abs=1e-14)
    assert better.change.value == pytest.approx(6461 / 25356 - 497 / 2113)
    assert "keep their probabilities" in better.assumes


def test_a_removed_or_redirected_transition_is_the_chain_without_it() -> None:
    rng = np.random.default_rng(5)
    moved = dict(STEPS)
    moved["product"] = [("cart", 0.6), ("search", 0.3), ("support", 0.1)]
    simulated = np.mean([walk(rng, moved)[-1:] == ["pay"] for _ in range(20_000)])
    answer = reference().redirect("product", away="left", to="cart").after
    assert answer == pytest.approx(simulated, abs=4 * np.sqrt(0.25 / 20_000))
    gone = dict(STEPS)
    gone["search"] = [("product", 0.7), (None, 0.3)]
    simulated = np.mean([walk(rng, gone)[-1:] == ["pay"] for _ in range(20_000)])
    answer = reference().remove("search", away="ad").after
    assert answer == pytest.approx(simulated, abs=4 * np.sqrt(0.25 / 20_000))


def test_a_first_order_study_is_answered_with_intervals() -> None:
    rng = np.random.default_rng(1)
    asked = log([walk(rng, STEPS) for _ in range(3_000)]).what_if("pay")
    assert asked.refused is None, str(asked)
    truth = 6461 / 25356 - 497 / 2113
    change = asked.improve("cart", to="pay", by=0.05).change
    assert change.interval is not None
    assert change.interval.low < change.require() < change.interval.high
    assert change.require() == pytest.approx(truth, rel=0.2)
    assert asked.ranking(3)[0].touchpoint == "product"
    gains = [each.gain.require() for each in asked.ranking(100)]
    assert gains == sorted(gains, reverse=True)
    first = asked.ranking(1)[0]
    again = asked.improve(first.touchpoint, to=first.to, by=0.01)
    assert again.change.value == pytest.approx(first.gain.value)
    assert again.change.interval == first.gain.interval
    assert first.gain.interval is not None
    assert first.gain.interval.low < first.gain.require() < first.gain.interval.high
    assert json.loads(json.dumps(asked.to_dict()))["refused"] is None
    assert "keep their probabilities" in first.assumes
    more = evolve(asked, by=0.05, most=2)
    told = json.loads(json.dumps(more.to_dict()))
    assert (told["by"], len(told["ranking"])) == (0.05, 2)
    assert [each["gain"]["value"] for each in told["ranking"]] == [
        each.gain.value for each in asked.ranking(2, by=0.05)
    ]


def test_a_second_order_study_is_refused_with_the_reason() -> None:
    """A share of .9 of those who came from ad, .1 of the others: the chain reproduces the mean of both and no more."""
    rng = np.random.default_rng(2)
    paths = []
    for _ in range(2_000):
        first = str(rng.choice(["ad", "search"]))
        won = rng.random() < (0.9 if first == "ad" else 0.1)
        paths.append([first, "offer", "pay" if won else "help"])
    asked = log(paths).what_if("pay")
    assert asked.chance == pytest.approx(np.mean([path[-1] == "pay" for path in paths]))
    failed = {check.what for check in asked.checks if not check.passed}
    assert {"conversion given the first touchpoint", "runs of three touchpoints"} <= failed
    for ask in (
        lambda: asked.improve("offer", to="pay"),
        lambda: asked.remove("ad", away="offer"),
        lambda: asked.add("ad", to="help", share=0.1, away="offer"),
        lambda: asked.redirect("ad", away="offer", to="help"),
        lambda: asked.speed_up("ad"),
        asked.ranking,
    ):
        with pytest.raises(cx.errors.NotMeasurableError, match="does not foretell"):
            ask()


def timed(paths: list[list[str]], minutes: Mapping[str, float]) -> cx.Journeys:
    """Every step away from a touchpoint takes its minutes."""
    rows = []
    for who, path in enumerate(paths):
        at = 0.0
        for what in path:
            rows.append({"who": who, "what": what, "at": START + timedelta(minutes=at)})
            at += minutes.get(what, 1.0)
    return cx.read_events(rows, customer="who", touchpoint="what", time="at")


def test_a_faster_step_saves_its_time() -> None:
    asked = timed([["ad", "shop", "cart", "pay"]] * 80 + [["ad"]] * 80, {"ad": 10, "shop": 20, "cart": 5})
    faster = asked.what_if("pay").speed_up("shop", by=0.25)
    assert [faster.before_s, faster.after_s] == pytest.approx([35 * 60, 30 * 60])
    assert faster.change.value == pytest.approx(-300)
    only = asked.what_if("pay").speed_up("shop", to="cart", by=0.25)
    assert only.change.value == pytest.approx(-300)
    assert asked.what_if("pay").speed_up("cart", to="pay", by=1.0).after_s == pytest.approx(30 * 60)
    with pytest.raises(cx.errors.InvalidValueError, match="nobody goes from 'ad' to 'cart'"):
        asked.what_if("pay").speed_up("ad", to="cart")
    with pytest.raises(cx.errors.InvalidValueError, match="at most 1"):
        asked.what_if("pay").speed_up("ad", by=1.5)
    assert "does not depend" in faster.assumes
    assert json.loads(json.dumps(faster.to_dict()))["after_s"] == faster.after_s


def test_a_faster_step_agrees_with_walking_again() -> None:
    """Simulated anew with 30 % less time at the product, the mean time of those who pay falls by what was said."""
    rng, minutes = np.random.default_rng(4), {"product": 10.0, "search": 3.0, "cart": 6.0}
    asked = timed([walk(rng, STEPS) for _ in range(3_000)], minutes).what_if("pay")
    answer = asked.speed_up("product", by=0.3)
    assert asked.time_check is not None
    assert asked.time_check.passed
    paths = [path for path in (walk(rng, STEPS) for _ in range(20_000)) if path[-1:] == ["pay"]]
    quicker = {**minutes, "product": 7.0}
    simulated = [sum(minutes.get(name, 1.0) for name in path[:-1]) for path in paths]
    again = [sum(quicker.get(name, 1.0) for name in path[:-1]) for path in paths]
    assert answer.before_s == pytest.approx(60 * np.mean(simulated), rel=0.05)
    assert answer.change.interval is not None
    assert answer.change.interval.low < 60 * (np.mean(again) - np.mean(simulated)) < answer.change.interval.high


def test_times_that_depend_on_more_than_the_step_are_refused() -> None:
    """Whoever will pay goes on after a minute, the others after 15 hours: the chain gives both the mean of them."""
    rng = np.random.default_rng(6)
    rows = []
    for who in range(1_500):
        won = rng.random() < 0.5
        path = [str(rng.choice(["ad", "search"])), "offer", "pay" if won else "help"]
        minutes = 1 if won else 900
        rows += [
            {"who": who, "what": what, "at": START + timedelta(minutes=minutes * place)}
            for place, what in enumerate(path)
        ]
    asked = cx.read_events(rows, customer="who", touchpoint="what", time="at").what_if("pay")
    assert asked.refused is None, str(asked)
    assert asked.improve("offer", to="pay", away="help", by=0.05).change.require() > 0
    with pytest.raises(cx.errors.NotMeasurableError, match="mean time to the goal"):
        asked.speed_up("offer")


def test_few_journeys_are_refused() -> None:
    asked = log([["ad", "pay"], ["ad"]]).what_if("pay")
    assert asked.refused is not None
    assert asked.refused.startswith("too few held-out journeys: ")
    assert asked.refused.endswith(", and 30 are needed")
    assert json.loads(json.dumps(asked.to_dict()))["checks"][0]["gap"] is None


def test_what_cannot_be_moved_is_said() -> None:
    chain = reference()
    with pytest.raises(cx.errors.InvalidValueError, match="at most 1, got 2"):
        chain.ranking(by=2)
    with pytest.raises(cx.errors.InvalidValueError, match="cannot be moved"):
        chain.improve("cart", to="pay", by=0.2)
    with pytest.raises(cx.errors.InvalidValueError, match=r"Write add\("):
        chain.improve("ad", to="cart")
    with pytest.raises(cx.errors.InvalidValueError, match=r"Write improve\("):
        chain.add("ad", to="product", share=0.1)
    with pytest.raises(cx.errors.InvalidValueError, match="cannot gain"):
        chain.redirect("ad", away="product", to="product")
    with pytest.raises(cx.errors.UnknownNameError, match="Did you mean 'cart'"):
        chain.improve("card", to="pay")
    assert chain.add("ad", to="cart", share=0.1).change.require() > 0
