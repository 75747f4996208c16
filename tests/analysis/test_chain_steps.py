"""Steps of the chain and ranks of paths, against plain Python."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import read

import cxmodel as cx
from cxmodel.analysis.credits import chain_steps
from cxmodel.data.blocks import Block
from cxmodel.testing import Row, logs

few = settings(max_examples=40)


def slow_steps(block: Block, goal: set[int], order: int) -> Counter[tuple[int, int]]:
    width = len(block.vocabulary.touchpoints) + 2
    found: Counter[tuple[int, int]] = Counter()
    for j in range(block.journeys):
        codes = block.touchpoint[block.journey_offsets[j] : block.journey_offsets[j + 1]].tolist()
        reached = next((i for i, code in enumerate(codes) if code in goal), None)
        walk = [code + 1 for code in (codes if reached is None else codes[:reached])]
        ends = [width - 1] if reached is not None else [0]
        if not codes or (reached is None and block.still_open is not None and block.still_open[j]):
            ends = []
        for i, digit in enumerate([*walk, *ends]):
            context = [0] * order + walk[:i]
            number = 0
            for each in [*context[-order:], digit]:
                number = number * width + each
            found[j, number] += 1
    return found


@few
@given(logs(), st.integers(1, 3), st.none() | st.integers(0, 15), st.booleans())
def test_steps_of_the_chain(rows: list[Row], order: int, gap: int | None, open_: bool) -> None:
    journeys = read(rows) if gap is None else read(rows).split(gap=timedelta(minutes=gap))
    if open_:
        journeys = journeys.with_inactivity(timedelta(minutes=30))
    name = str(rows[0]["touchpoint"])
    goal = cx.Goal("goal", touchpoints=[name])
    # without the events at one touchpoint some journeys are empty
    for block in (*journeys.population.parts, *journeys.events_where(touchpoint=name).population.parts):
        owner, code = chain_steps(block, goal, order)
        found = Counter(zip(owner.tolist(), code.tolist(), strict=True))
        assert found == slow_steps(block, set(block.codes_of([name]).tolist()), order)


@few
@given(st.lists(st.text("ab", min_size=1, max_size=70), min_size=1, max_size=12))
def test_paths_rank_by_count_then_by_touchpoints(paths: list[str]) -> None:
    rows = [
        {"c": f"{i}", "w": letter, "t": np.datetime64("2026-01-01") + np.timedelta64(k, "m")}
        for i, path in enumerate(paths)
        for k, letter in enumerate(path)
    ]
    table = cx.read_events(rows, customer="c", touchpoint="w", time="t").paths()
    found = [("".join(table.path(row).touchpoints), int(table.count[row])) for row in range(table.distinct)]
    assert Counter(dict(found)) == Counter(paths)
    # touchpoints are compared as far as 64 bits go: here the first 32
    ranks = [(-count, path[:32], len(path)) for path, count in found]
    assert ranks == sorted(ranks)
