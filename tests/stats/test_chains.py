"""Laws, deletion one by one, simulation-free oracles and published values of the chain functions."""

import itertools
import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from cxmodel.stats.chains import (
    Chain,
    absorption_probabilities,
    chain_from_counts,
    conditioned_on_goal,
    escapes,
    expected_steps,
    fundamental_matrix,
    goal_probability,
    gradient,
    path_entropy,
    reach_probability,
    removal_effects,
    return_probability,
    set_removal_effects,
    steps_variance,
    visits_from_start,
    visits_variance,
    what_if,
)
from cxmodel.stats.floats import Floats
from cxmodel.stats.sparse_chains import sparse_chain

Journey = tuple[tuple[int, ...], bool]
JOURNEYS = st.lists(
    st.tuples(st.lists(st.integers(0, 4), max_size=6).map(tuple), st.booleans()), min_size=1, max_size=25
)
STATES = 5


def fit(journeys: list[Journey], states: int = STATES) -> Chain:
    """Count the steps of journeys one by one."""
    steps, starts = np.zeros((states, states)), np.zeros(states)
    ends = {True: np.zeros(states), False: np.zeros(states)}
    bare = {True: 0, False: 0}
    for path, reached in journeys:
        if not path:
            bare[reached] += 1
            continue
        starts[path[0]] += 1
        ends[reached][path[-1]] += 1
        for here, following in itertools.pairwise(path):
            steps[here, following] += 1
    return chain_from_counts(steps, starts, ends[True], ends[False], bare[True], bare[False])


def slow_goal_probability(chain: Chain, removed: set[int], worth: Floats | None = None) -> float:
    """Follow the probability mass step by step, losing all that enters a removed state."""
    keep = np.array([i not in removed for i in range(chain.goal.size)])
    gain = chain.goal if worth is None else chain.goal * worth
    mass, total = chain.start * keep, float(chain.start_goal)
    for _ in range(20_000):
        total += float(mass @ gain)
        mass = (mass @ chain.transitions) * keep
        if mass.sum() < 1e-14:
            break
    return total


@given(JOURNEYS)
def test_a_fitted_chain_reproduces_the_observed_rate_and_visits(journeys: list[Journey]) -> None:
    chain = fit(journeys)
    n = len(journeys)
    assert float(goal_probability(chain)) == pytest.approx(sum(r for _, r in journeys) / n, abs=1e-10)
    observed = [sum(path.count(i) for path, _ in journeys) / n for i in range(STATES)]
    assert visits_from_start(chain) == pytest.approx(observed, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(JOURNEYS)
def test_removal_effects_equal_deletion(journeys: list[Journey]) -> None:
    chain = fit(journeys)
    whole = float(goal_probability(chain))
    effects = removal_effects(chain)
    if whole == 0:
        assert np.isnan(effects).all()
        return
    expected = [1 - slow_goal_probability(chain, {i}) / whole for i in range(STATES)]
    assert effects == pytest.approx(expected, abs=1e-8)
    assert np.all((effects >= -1e-12) & (effects <= 1 + 1e-12))


@settings(max_examples=40, deadline=None)
@given(JOURNEYS, st.sets(st.integers(0, STATES - 1)), st.lists(st.floats(0, 9), min_size=5, max_size=5))
def test_set_and_reward_effects_equal_deletion(journeys: list[Journey], removed: set[int], worth: list[float]) -> None:
    chain, reward = fit(journeys), np.array(worth)
    members = [[i in removed for i in range(STATES)], *np.eye(STATES, dtype=bool).tolist()]
    whole = slow_goal_probability(chain, set(), reward)
    effects = set_removal_effects(chain, members, reward)
    if whole < 1e-6:
        assert np.isnan(effects).all() or whole > 0
        return
    assert effects[0] == pytest.approx(1 - slow_goal_probability(chain, removed, reward) / whole, abs=1e-8)
    assert effects[1:] == pytest.approx(removal_effects(chain, reward), abs=1e-8)


@settings(max_examples=50, deadline=None)
@given(JOURNEYS)
def test_removal_effect_is_reach_among_those_who_reach_the_goal(journeys: list[Journey]) -> None:
    chain = fit(journeys)
    if float(goal_probability(chain)) > 0:
        converted = conditioned_on_goal(chain)
        assert float(goal_probability(converted)) == pytest.approx(1)
        assert reach_probability(converted) == pytest.approx(removal_effects(chain), abs=1e-9)


@given(JOURNEYS)
def test_collapsing_repeats_keeps_probability_and_effects(journeys: list[Journey]) -> None:
    collapsed = [
        (tuple(s for k, s in enumerate(path) if k == 0 or path[k - 1] != s), reached) for path, reached in journeys
    ]
    chain, short = fit(journeys), fit(collapsed)
    assert float(goal_probability(chain)) == pytest.approx(float(goal_probability(short)), abs=1e-10)
    assert removal_effects(chain) == pytest.approx(removal_effects(short), abs=1e-9, nan_ok=True)


@given(JOURNEYS)
def test_goal_and_lost_sum_to_one_for_complete_journeys(journeys: list[Journey]) -> None:
    chain = fit(journeys)
    goal, lost = absorption_probabilities(chain)
    seen = visits_from_start(chain) > 0
    assert (goal + lost)[seen] == pytest.approx(1.0, abs=1e-9)
    assert not (goal + lost)[~seen].any()


@settings(max_examples=60, deadline=None)
@given(
    JOURNEYS,
    st.integers(0, 4),
    st.sampled_from([0, 3, "goal", "lost"]),
    st.sampled_from([1, 2, "goal", "lost"]),
)
def test_what_if_equals_solving_again(journeys: list[Journey], state: int, to: Any, away: Any) -> None:
    chain = fit(journeys)
    rows = np.concatenate([chain.transitions, chain.goal[:, None], chain.lost[:, None]], axis=1)
    column = {"goal": STATES, "lost": STATES + 1}
    gains, loses = column.get(to, to), column.get(away, away)
    shift = rows[state, loses] / 2
    rows[state, gains] += shift
    rows[state, loses] -= shift
    changed = Chain(rows[:, :STATES], rows[:, STATES], rows[:, STATES + 1], chain.start, chain.start_goal)
    expected = float(goal_probability(changed))
    assert float(what_if(chain, state, to, away, shift)) == pytest.approx(expected, abs=1e-9)
    assert np.isnan(what_if(chain, state, to, away, 2 * shift + 0.01))


@given(JOURNEYS, st.integers(0, 4), st.integers(0, 4))
def test_gradient_is_the_slope_of_what_if(journeys: list[Journey], state: int, to: int) -> None:
    chain = fit(journeys)
    by_state, by_goal = gradient(chain)
    if chain.lost[state] > 1e-3:
        base, step = float(goal_probability(chain)), 1e-6
        slope = (float(what_if(chain, state, to, "lost", step)) - base) / step
        assert slope == pytest.approx(by_state[state, to], rel=1e-3, abs=1e-4)
        slope = (float(what_if(chain, state, "goal", "lost", step)) - base) / step
        assert slope == pytest.approx(by_goal[state], rel=1e-3, abs=1e-4)


def test_moving_all_that_leaves_into_a_loop_has_no_answer() -> None:
    chain = chain_from_counts([[1.0]], [1], [2], [0])
    assert np.isnan(what_if(chain, 0, 0, "goal", 2 / 3))
    assert float(what_if(chain, 0, "lost", "goal", 2 / 3)) == pytest.approx(0)


def test_a_state_without_a_way_to_the_goal_has_exactly_none() -> None:
    # Rounding in the inverse alone would leave -2e-16 for state 0 here.
    chain = fit([((1, 0, 0, 0, 0, 0), False), ((1, 1), True)])
    assert absorption_probabilities(chain)[0][0] == 0.0
    assert removal_effects(chain)[0] == 0.0
    assert not conditioned_on_goal(chain).transitions[0].any()


def test_a_closed_class_takes_walks_for_ever_but_breaks_nothing() -> None:
    # 0 leads to the goal, or into the loop between 1 and 2; 3 was entered but never left.
    steps = [[0, 1, 0, 1], [0, 0, 5, 0], [0, 5, 0, 0], [0, 0, 0, 0]]
    chain = chain_from_counts(steps, [4, 0, 0, 0], [2, 0, 0, 0], [0, 0, 0, 0])
    assert escapes(chain).tolist() == [True, False, False, True]
    assert float(goal_probability(chain)) == 0.5
    assert removal_effects(chain).tolist() == [1.0, 0.0, 0.0, 0.0]
    assert expected_steps(chain).tolist() == [np.inf, np.inf, np.inf, 1.0]
    assert np.isnan(steps_variance(chain)).tolist() == [True, True, True, False]
    assert visits_from_start(chain) == pytest.approx([1.0, np.nan, np.nan, 0.25], nan_ok=True)
    assert return_probability(chain) == pytest.approx([0.0, np.nan, np.nan, 0.0], nan_ok=True)
    assert reach_probability(chain) == pytest.approx([1.0, np.nan, np.nan, 0.25], nan_ok=True)
    assert np.isnan(fundamental_matrix(chain)[1]).all()
    assert np.isnan(what_if(chain, 1, "goal", 2, 0.1))


def test_an_escape_below_the_precision_of_floats_spoils_only_its_own_chain() -> None:
    steps = np.array([[[1e30]], [[1.0]]])
    chain = chain_from_counts(steps, np.ones((2, 1)), np.ones((2, 1)), np.zeros((2, 1)))
    probability = goal_probability(chain)
    assert np.isnan(probability[0])
    assert probability[1] == 1.0


def test_no_journeys_give_no_value() -> None:
    chain = fit([])
    assert np.isnan(goal_probability(chain))
    assert np.isnan(removal_effects(chain)).all()
    assert np.isnan(path_entropy(chain))


def test_a_batch_equals_its_chains_one_by_one() -> None:
    rng = np.random.default_rng(5)
    steps = rng.integers(0, 4, (3, 2, 6, 6)) * rng.integers(0, 2, (3, 2, 6, 6))
    starts, goal, lost = (rng.integers(0, 3, (3, 2, 6)) for _ in range(3))
    bare = rng.integers(0, 3, (3, 2))
    batch = chain_from_counts(steps, starts, goal, lost, bare, bare)
    members = rng.integers(0, 2, (4, 6)).astype(bool)
    functions: list[Callable[[Chain], Floats]] = [
        goal_probability,
        removal_effects,
        visits_from_start,
        fundamental_matrix,
        expected_steps,
        steps_variance,
        visits_variance,
        return_probability,
        reach_probability,
        path_entropy,
        lambda chain: absorption_probabilities(chain)[0],
        lambda chain: set_removal_effects(chain, members),
        lambda chain: what_if(chain, 2, "goal", "lost", 0.01),
        lambda chain: conditioned_on_goal(chain).transitions,
        lambda chain: gradient(chain)[0],
    ]
    for index in np.ndindex(3, 2):
        one = chain_from_counts(steps[index], starts[index], goal[index], lost[index], bare[index], bare[index])
        for function in functions:
            assert function(batch)[index] == pytest.approx(function(one), nan_ok=True)


def test_path_entropy_is_the_entropy_of_the_walks() -> None:
    chain = fit([((0, 1), True), ((0, 2), False), ((0, 1, 2), True), ((3,), True), ((), True), ((), False)])
    # The walks of this loop-free chain, written out.
    p_one, p_two = 1 / 2 * 2 / 3, 1 / 2 * 1 / 3
    walks = np.array(
        [
            p_one * 1 / 2,
            p_one * 1 / 2 * 1 / 2,
            p_one * 1 / 2 * 1 / 2,
            p_two / 2,
            p_two / 2,
            1 / 6,
            1 / 6,
            1 / 6,
        ]
    )
    assert walks.sum() == pytest.approx(1)
    assert float(path_entropy(chain)) == pytest.approx(float(-(walks * np.log2(walks)).sum()))


def fractions(values: list[list[str]]) -> Floats:
    return np.array([[float(Fraction(v)) for v in row] for row in values])


@pytest.fixture
def markov(open_data: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((open_data / "reference" / "markov.json").read_text(encoding="utf-8"))
    return content


def reference_chain(case: dict[str, Any]) -> tuple[Chain, list[str]]:
    states = case["transient"]
    steps = case["transitions"]
    rows = np.array([[float(Fraction(steps[a].get(b, "0"))) for b in states] for a in states])
    goal, lost = (np.array([float(Fraction(steps[a].get(end, "0"))) for a in states]) for end in ["BUY", "DROP"])
    start = np.array([float(name == "start") for name in states])
    return chain_from_counts(rows, start, goal, lost), states


def ever_visited(rows: Floats, ends: Floats) -> Floats:
    """(from, to): probability to be at a state after the start, the start itself only when it is met again."""
    size = len(rows)
    found = np.empty((size, size))
    for here in range(size):
        chain = chain_from_counts(rows, np.eye(size)[here], ends[:, 1], ends[:, 0])
        found[here] = reach_probability(chain)
        found[here, here] = return_probability(chain)[here]
    return found


@pytest.mark.open_data
def test_drunkard_and_weather_of_the_textbook(markov: dict[str, Any]) -> None:
    case = markov["drunkard"]
    ends = fractions(case["R"])
    chain = chain_from_counts(fractions(case["Q"]), [0, 1, 0], ends[:, 1], ends[:, 0])
    goal, lost = absorption_probabilities(chain)
    assert fundamental_matrix(chain) == pytest.approx(fractions(case["N"]))
    assert expected_steps(chain) == pytest.approx(fractions(case["t"])[:, 0])
    assert np.stack([lost, goal], axis=1) == pytest.approx(fractions(case["B"]))
    assert visits_variance(chain) == pytest.approx(fractions(case["var_visits"]), abs=1e-12)
    assert steps_variance(chain) == pytest.approx(fractions(case["var_time"])[:, 0])
    assert ever_visited(fractions(case["Q"]), ends) == pytest.approx(fractions(case["H_return"]), abs=1e-12)
    weather = fractions(markov["land_of_oz"]["P"])
    absorbing = chain_from_counts(weather[np.ix_([0, 2], [0, 2])], [1, 0], weather[[0, 2], 1], [0, 0])
    expected = markov["land_of_oz"]["nice_absorbing"]
    assert fundamental_matrix(absorbing) == pytest.approx(fractions(expected["N"]))
    assert expected_steps(absorbing) == pytest.approx(fractions(expected["t"])[:, 0])


@pytest.mark.open_data
def test_exact_rationals_of_the_toy_chain(markov: dict[str, Any]) -> None:
    case = markov["cx_toy"]
    chain, states = reference_chain(case)

    def by_state(name: str) -> list[float]:
        return [float(Fraction(case[name][state])) for state in states]

    assert fundamental_matrix(chain) == pytest.approx(fractions(case["N"]))
    assert expected_steps(chain) == pytest.approx(fractions(case["t"])[:, 0])
    assert np.stack(absorption_probabilities(chain), axis=1) == pytest.approx(fractions(case["B"]))
    assert visits_variance(chain) == pytest.approx(fractions(case["var_visits"]), abs=1e-12)
    assert steps_variance(chain) == pytest.approx(fractions(case["var_time"])[:, 0])
    assert absorption_probabilities(chain)[0] == pytest.approx(by_state("p_convert_from"))
    assert visits_from_start(chain) == pytest.approx(by_state("expected_visits_from_start"))
    assert reach_probability(chain) == pytest.approx(by_state("p_ever_visit"))
    assert return_probability(chain) == pytest.approx(by_state("p_return"), abs=1e-12)
    expected = {name: float(Fraction(value)) for name, value in case["removal_effect"].items()}
    assert dict(zip(states, removal_effects(chain), strict=True)) == pytest.approx({"start": 1.0, **expected})
    assert float(path_entropy(chain)) == pytest.approx(case["path_entropy_bits"], abs=1e-12)
    simulated, error = case["path_entropy_monte_carlo_bits"]
    assert float(path_entropy(chain)) == pytest.approx(simulated, abs=3 * error)
    steps = [[float(Fraction(case["transitions"][a].get(b, "0"))) for b in states] for a in states]
    ends = np.stack([chain.lost, chain.goal], axis=1)
    assert ever_visited(np.array(steps), ends) == pytest.approx(fractions(case["H_return"]), abs=1e-12)


@pytest.mark.open_data
def test_what_if_and_conditioning_references(markov: dict[str, Any]) -> None:
    case = markov["cx_toy"]
    chain, states = reference_chain(case)
    product, search, cart = (states.index(name) for name in ["product", "search", "cart"])
    buy = case["what_if"]["cart_BUY_plus_005_DROP_minus_005"]
    assert float(what_if(chain, cart, "goal", "lost", 0.05)) == pytest.approx(float(Fraction(buy["p_after"])))
    assert gradient(chain)[1][cart] == pytest.approx(float(Fraction(buy["derivative"])))
    found = case["what_if"]["product_cart_plus_005_search_minus_005"]
    after = float(Fraction(found["p_after"]))
    assert float(what_if(chain, product, cart, search, 0.05)) == pytest.approx(after)
    slopes = gradient(chain)[0][product]
    first_order = float(goal_probability(chain)) + 0.05 * (slopes[cart] - slopes[search])
    assert first_order == pytest.approx(float(Fraction(found["first_order"])))
    converted = conditioned_on_goal(chain)
    for name, row in case["conditioned_on_conversion"].items():
        for target, value in row.items():
            here = states.index(name)
            ends = {"BUY": converted.goal[here], "DROP": converted.lost[here]}
            found_value = ends[target] if target in ends else converted.transitions[here, states.index(target)]
            assert found_value == pytest.approx(float(Fraction(value)), abs=1e-12)


Row = tuple[list[str], int, int, float]


def higher_order(rows: list[Row], order: int) -> tuple[Chain, Any, Floats, list[str]]:
    """Count contexts of the last `order` steps; return chain, members of each name, rewards and names."""
    names = sorted({name for path, *_ in rows for name in path})
    contexts = sorted({tuple(path[max(0, k + 1 - order) : k + 1]) for path, *_ in rows for k in range(len(path))})
    index = {context: k for k, context in enumerate(contexts)}
    size = len(contexts)
    steps, starts = np.zeros((size, size)), np.zeros(size)
    goal, lost, value = np.zeros(size), np.zeros(size), np.zeros(size)
    for path, hits, misses, worth in rows:
        walk = [index[tuple(path[max(0, k + 1 - order) : k + 1])] for k in range(len(path))]
        starts[walk[0]] += hits + misses
        for here, following in itertools.pairwise(walk):
            steps[here, following] += hits + misses
        goal[walk[-1]] += hits
        lost[walk[-1]] += misses
        value[walk[-1]] += worth
    members = [[name in context for context in contexts] for name in names]
    reward = np.divide(value, goal, out=np.zeros(size), where=goal > 0)
    return chain_from_counts(steps, starts, goal, lost), members, reward, names


@pytest.mark.open_data
def test_removal_effect_references(open_data: Path) -> None:
    toys = json.loads((open_data / "reference" / "attribution_toys.json").read_text(encoding="utf-8"))
    toy = toys["toy_cx"]
    for order, key in [(1, "order1"), (2, "order2")]:
        chain, members, reward, names = higher_order(toy["rows"], order)
        expected = toy[key]
        assert float(goal_probability(chain)) == pytest.approx(expected["p_conversion"])
        effects = set_removal_effects(chain, members)
        assert dict(zip(names, effects, strict=True)) == pytest.approx(expected["removal_effect"], abs=1e-10)
        effects = set_removal_effects(chain, members, reward)
        assert dict(zip(names, effects, strict=True)) == pytest.approx(expected["removal_effect_value"], abs=1e-10)
    chain, _, _, names = higher_order(toys["toy_bryl"]["rows"], 1)
    effects = removal_effects(chain)
    assert dict(zip(names, effects, strict=True)) == pytest.approx(toys["toy_bryl"]["removal_effect"])
    credit = effects / effects.sum()
    assert dict(zip(names, credit, strict=True)) == pytest.approx(toys["toy_bryl"]["credit"])
    readme = chain_from_counts([[0, 1], [1, 0]], [1, 0], [1, 0], [0, 0])
    expected = toys["toy_pychattr"]["removal_effect"]
    assert removal_effects(readme) == pytest.approx([expected["A"], expected["B"]])


@pytest.mark.open_data
def test_long_contexts_make_the_effect_a_plain_share(markov: dict[str, Any]) -> None:
    example = markov["order_limit_example"]
    found: dict[str, float] = {}
    for key, expected in example["re_by_order"].items():
        order, collapsed = int(key.split("_")[0]), key.endswith("True")
        if not collapsed:
            chain, members, _, names = higher_order(example["rows"], order)
            found = dict(zip(names, set_removal_effects(chain, members), strict=True))
            assert found == pytest.approx(expected, abs=1e-10)
    assert found == pytest.approx(example["participation"], abs=1e-10)


def test_a_large_chain_is_solved_once_and_equals_deletion() -> None:
    generator = np.random.Generator(np.random.PCG64(2))
    size = 1_200
    journeys = [(tuple(generator.integers(0, size, 6).tolist()), bool(each % 3)) for each in range(3_000)]
    chain = fit(journeys, size)
    effects = set_removal_effects(chain, np.eye(size, dtype=np.bool_))
    whole = slow_goal_probability(chain, set())
    for state in range(0, size, 400):
        assert effects[state] == pytest.approx(1 - slow_goal_probability(chain, {state}) / whole, abs=1e-9)


@given(JOURNEYS, st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=4))
def test_followed_step_by_step_a_chain_gives_the_same(journeys: list[Journey], more: list[tuple[int, int]]) -> None:
    chain = fit(journeys)
    # some states lead to one other only: closed classes come about
    steps, goal, lost = chain.transitions.copy(), chain.goal.copy(), chain.lost.copy()
    for here, following in more:
        steps[here], goal[here], lost[here] = np.eye(STATES)[following], 0.0, 0.0
    chain = evolve(chain, transitions=steps, goal=goal, lost=lost)
    sparse = sparse_chain(chain)
    assert sparse.escapes.tolist() == escapes(chain).tolist()
    assert sparse.visits == pytest.approx(visits_from_start(chain), nan_ok=True)
    assert sparse.to_goal == pytest.approx(absorption_probabilities(chain)[0])
    assert sparse.goal_share == pytest.approx(float(goal_probability(chain)))
    assert sparse.entropy == pytest.approx(float(path_entropy(chain)), nan_ok=True, abs=1e-12)
