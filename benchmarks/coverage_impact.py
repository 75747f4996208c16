"""How often the intervals of `Impact` hold the truth: seeded studies of mechanisms, most of them not made for it.

`python benchmarks/coverage_impact.py [studies] [journeys]`; the seeds are fixed, so the figures come out the same.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np

import cxmodel as cx

START = datetime(2026, 1, 1, tzinfo=UTC)
GOAL = cx.Goal("purchase", touchpoints=["Checkout"])
NAMES = ("Ad", "Chat", "Complaint", "Gift")
SHARES = np.array([[0.2, 0.3, 0.2, 0.1], [0.4, 0.3, 0.2, 0.1], [0.8, 0.3, 0.2, 0.1]])
Rule = Callable[[np.random.Generator, int, int | None], tuple[list[list[str]], np.ndarray]]


def journeys_of(paths: list[list[str]], persona: np.ndarray) -> cx.Journeys:
    """Read paths as journeys, ten minutes from touch to touch."""
    rows = [
        {"who": str(who), "what": what, "at": START + timedelta(minutes=10 * place), "persona": f"p{persona[who]}"}
        for who, path in enumerate(paths)
        for place, what in enumerate(["Home", *path])
    ]
    log = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    facts = [{"who": str(who), "persona": f"p{code}"} for who, code in enumerate(persona)]
    return log.with_customers(facts, customer="who", attributes=["persona"])


def walks(effect: Callable[[list[str]], float]) -> Rule:
    """Step by step: convert, stop or pass one more touchpoint, even again; without one, its steps pass in silence."""

    def draw(rng: np.random.Generator, size: int, without: int | None) -> tuple[list[list[str]], np.ndarray]:
        persona = rng.choice(3, size, p=[0.3, 0.4, 0.3])
        shares = SHARES / SHARES.sum(axis=1, keepdims=True)
        paths = []
        for code in persona:
            path: list[str] = []
            for _ in range(12):
                if rng.random() < 1 / (1 + np.exp(2.6 - 0.6 * (code - 1) - effect(path))):
                    path.append("Checkout")
                    break
                if rng.random() < 0.25:
                    break
                touchpoint = int(rng.choice(4, p=shares[code]))
                path += [] if touchpoint == without else [NAMES[touchpoint]]
            paths.append(path)
        return paths, persona

    return draw


def repeated(path: list[str]) -> float:
    """What the last touchpoint does; each passing works anew."""
    return {"Chat": 0.6, "Complaint": -1.0, "Gift": 1.0}.get(path[-1], 0.0) if path else 0.0


def interacting(path: list[str]) -> float:
    """A chat helps only after a complaint; a gift twice as much after a chat."""
    there = set(path)
    return 1.2 * ({"Chat", "Complaint"} <= there) - 0.8 * ("Complaint" in there) + 0.6 * ("Gift" in there)


def fading(path: list[str]) -> float:
    """The later the first chat, the less it does."""
    return 1.2 / (1 + path.index("Chat")) if "Chat" in path else 0.0


def lengths(rng: np.random.Generator, size: int, without: int | None) -> tuple[list[list[str]], np.ndarray]:
    """How long a journey is decides, and which touchpoints it passes does not."""
    del without
    length = rng.integers(0, 8, size)
    paths = [[NAMES[k] for k in rng.choice(4, each)] for each in length]
    won = rng.random(size) < 0.1 + 0.08 * length
    return [[*path, "Checkout"] if yes else path for path, yes in zip(paths, won, strict=True)], np.zeros(
        size, np.int64
    )


def truth_of(rule: Rule, size: int = 60_000) -> dict[str, float]:
    """Relative impact by drawing again without each touchpoint, with the same seed."""

    def rate(without: int | None) -> float:
        paths, _ = rule(np.random.default_rng(7), size, without)
        return float(np.mean(["Checkout" in path for path in paths]))

    whole = rate(None)
    return {name: (whole - rate(code)) / whole for code, name in enumerate(NAMES)}


def known(seed: int, size: int) -> cx.Journeys:
    """The study of planted effects that ships."""
    study = cx.datasets.known_truth(size, seed=seed)
    log = cx.read_events(
        study.events.to_dicts(), customer="customer", journey="journey", touchpoint="touchpoint", time="time"
    )
    return log.with_customers(study.customers.to_dicts(), customer="customer", attributes=["persona"])


def report(name: str, make: Callable[[int], cx.Journeys], truth: dict[str, float], studies: int, instead: str) -> None:
    """Print mean, bias and coverage per touchpoint."""
    metric = cx.metrics.Impact(outcome=GOAL, adjust_for=["persona"], instead=instead)  # type: ignore[arg-type]
    tables = [make(seed).measure(metric) for seed in range(studies)]
    print(f"{name}, instead of {instead}, {studies} studies")
    for touchpoint in NAMES:
        rows = [table[touchpoint].relative for table in tables]
        values = np.array([row.require() for row in rows])
        hit = np.mean([row.interval is not None and truth[touchpoint] in row.interval for row in rows])
        wide = np.mean([row.interval.high - row.interval.low for row in rows if row.interval is not None]) / 2
        print(
            f"  {touchpoint:<10} truth {truth[touchpoint]:+.3f}  mean {values.mean():+.3f}  "
            f"bias {values.mean() - truth[touchpoint]:+.3f}  half width {wide:.3f}  coverage {hit:.0%}",
            flush=True,
        )


def main(studies: int, size: int) -> None:
    """All mechanisms."""
    planted = dict(cx.datasets.known_truth(10).truth["removal_effect"])
    report("planted effects", lambda seed: known(seed, size), planted, studies, "nothing")
    nothing = dict.fromkeys(NAMES, 0.0)
    for instead in ("nothing", "another"):
        make = _maker(lengths, size)
        report("longer journeys convert more", make, nothing, studies, instead)
    for rule in (repeated, interacting, fading):
        drawn = walks(rule)
        report(f"walks, {rule.__name__}", _maker(drawn, size), truth_of(drawn), studies, "nothing")


def _maker(rule: Rule, size: int) -> Callable[[int], cx.Journeys]:
    return lambda seed: journeys_of(*rule(np.random.default_rng([11, seed]), size, None))


if __name__ == "__main__":
    main(*(int(word) for word in (sys.argv[1:] + ["100", "5000"][len(sys.argv) - 1 :])))
