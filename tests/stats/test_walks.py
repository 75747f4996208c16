"""The most probable walks against full enumeration and the reference list."""

import itertools
import json
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxmodel.stats.chains import Chain, chain_from_counts, goal_probability
from cxmodel.stats.walks import most_probable_walks

SIZE = 3
CELLS = st.lists(st.integers(0, 4), min_size=SIZE * (SIZE + 3), max_size=SIZE * (SIZE + 3))


def build(cells: list[int]) -> Chain:
    table = np.array(cells, dtype=float).reshape(SIZE, SIZE + 3)
    # One lost walk everywhere keeps long walks improbable, so that enumeration up to a length is complete.
    return chain_from_counts(
        table[:, :SIZE],
        table[:, SIZE] + 1,
        table[:, SIZE + 1],
        table[:, SIZE + 2] + table.sum(axis=1) + 1,
        1,
        2,
    )


def enumerated(chain: Chain, longest: int) -> list[float]:
    found = [float(chain.start_goal)]
    for length in range(1, longest + 1):
        for states in itertools.product(range(SIZE), repeat=length):
            probability = chain.start[states[0]] * chain.goal[states[-1]]
            for here, following in itertools.pairwise(states):
                probability *= chain.transitions[here, following]
            found.append(float(probability))
    return sorted((p for p in found if p > 0), reverse=True)


@settings(max_examples=30, deadline=None)
@given(CELLS)
def test_walks_equal_enumeration(cells: list[int]) -> None:
    chain = build(cells)
    longest = 6
    found = most_probable_walks(chain, 12)
    # Each step stays among the states with probability below one half.
    certain = [walk for walk in found if walk.probability > 0.5**longest]
    expected = [p for p in enumerated(chain, longest) if p > 0.5**longest][:12]
    assert [walk.probability for walk in certain] == pytest.approx(expected)
    assert len({walk.states for walk in found}) == len(found)
    for walk in found:
        probability = chain.start[walk.states[0]] * chain.goal[walk.states[-1]] if walk.states else chain.start_goal
        for here, following in itertools.pairwise(walk.states):
            probability = probability * chain.transitions[here, following]
        assert walk.probability == pytest.approx(float(probability))


@settings(max_examples=30, deadline=None)
@given(CELLS, st.integers(0, 10))
def test_walks_come_in_order_and_never_exceed_the_goal_probability(cells: list[int], k: int) -> None:
    chain = build(cells)
    found = [walk.probability for walk in most_probable_walks(chain, k)]
    assert len(found) <= k
    assert found == sorted(found, reverse=True)
    assert sum(found) <= float(goal_probability(chain)) + 1e-12


def test_all_walks_of_a_loop_free_chain_and_no_more() -> None:
    chain = chain_from_counts([[0, 1, 1], [0, 0, 1], [0, 0, 0]], [3, 1, 0], [1, 1, 2], [0, 0, 1])
    found = most_probable_walks(chain, 100)
    assert len({walk.states for walk in found}) == len(found) == 6
    assert sum(walk.probability for walk in found) == pytest.approx(float(goal_probability(chain)))
    assert most_probable_walks(chain_from_counts([[1]], [1], [0], [1]), 5) == []


def test_a_batch_is_refused() -> None:
    chain = chain_from_counts(np.zeros((2, 1, 1)), np.ones((2, 1)), np.ones((2, 1)), np.zeros((2, 1)))
    with pytest.raises(ValueError, match=r"got a batch of shape \(2,\)"):
        most_probable_walks(chain, 3)


@pytest.mark.open_data
def test_reference_walks(open_data: Path) -> None:
    case = json.loads((open_data / "reference" / "markov.json").read_text(encoding="utf-8"))["cx_toy"]
    states, steps = case["transient"], case["transitions"]
    rows = np.array([[float(Fraction(steps[a].get(b, "0"))) for b in states] for a in states])
    goal, lost = (np.array([float(Fraction(steps[a].get(end, "0"))) for a in states]) for end in ["BUY", "DROP"])
    chain = chain_from_counts(rows, np.array([float(name == "start") for name in states]), goal, lost)
    expected = case["k_best_converting_walks"]
    found = most_probable_walks(chain, len(expected))
    assert [walk.probability for walk in found] == pytest.approx([entry["p"] for entry in expected])
    names = {(*[states[i] for i in walk.states], "BUY"): walk.probability for walk in found}
    top = {tuple(entry["path"]): entry["p"] for entry in expected[:3]}
    assert {path: names[path] for path in top} == pytest.approx(top)
