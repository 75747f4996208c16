"""Path analyses of customers in blocks of their own are those of all customers in one block."""

import numpy as np
import pytest
from attrs import evolve

import cxmodel as cx
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.selecting import keep_journeys
from cxmodel.tallies.metrics import Metric

GOAL = cx.Goal("goal", touchpoints=["g"])
m = cx.metrics
METRICS: list[Metric[object]] = [
    m.PatternMatches("a => (b | c)"), m.EventuallyFollows(), m.Ends(), m.Loops(), m.Grams(3), m.LengthDistribution(),
    m.DurationDistribution(), m.PathChain(goal=GOAL), m.GoalPaths(GOAL), m.FunnelDetail(["a", "b", "g"]),
]  # fmt: skip


@pytest.fixture(scope="module")
def journeys() -> cx.Journeys:
    generator = np.random.Generator(np.random.PCG64(3))
    log = [
        {"who": str(who), "which": f"{who}-{which}", "what": what, "at": f"2026-01-0{who % 9 + 1}T0{which}:{place:02d}"}
        for who in range(40)
        for which in range(1 + who % 3)
        for place, what in enumerate(generator.choice(list("abcdg"), 1 + int(generator.integers(8))))
    ]
    return cx.read_events(log, customer="who", journey="which", touchpoint="what", time="at")


def apart(journeys: cx.Journeys) -> cx.Journeys:
    population = journeys.population
    assert isinstance(population, MemoryPopulation)
    blocks = [
        keep_journeys(block, block.customer_of_journey == customer)
        for block in population.parts
        for customer in range(block.customers)
    ]
    return evolve(journeys, population=evolve(population, parts=blocks))


def comparable(value: object) -> object:
    """Lists and dicts with numbers to ten digits."""
    if isinstance(value, float):
        return float(f"{value:.10g}")
    if isinstance(value, dict):
        return {key: comparable(each) for key, each in value.items()}
    return [comparable(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("pattern", ["*", "^ a -> b", "a{3} -> b{3}"])
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_blocks_apart_give_the_same(journeys: cx.Journeys, metric: Metric[object], pattern: str) -> None:
    """Also where nothing is left of some blocks, or of all."""
    together = journeys.where(matches=pattern).measure(metric)
    alone = apart(journeys).where(matches=pattern).measure(metric)
    assert str(together) == str(alone)
    assert comparable(together.to_dict()) == comparable(alone.to_dict())  # type: ignore[attr-defined]


def test_selecting_by_pattern_works_on_every_block(journeys: cx.Journeys) -> None:
    pattern = "a => b -> !g"
    assert repr(apart(journeys).where(matches=pattern)) == repr(journeys.where(matches=pattern))
