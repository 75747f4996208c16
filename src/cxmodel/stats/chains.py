"""Absorbing Markov chains that end in a goal or are lost, for one chain or a whole batch of replicates.

A chain has K transient states and two ends. Its arrays may carry any leading axes, so that a thousand
bootstrap replicates are one call. With Q the transitions among the states, N = (I − Q)⁻¹ holds the expected
visits to state j from state i (Kemeny & Snell 1960; Grinstead & Snell, Introduction to Probability, ch. 11).
States from which no end can be reached are found beforehand: they convert with probability 0, and a walk
caught there takes for ever.
"""

from typing import Literal, TypeAlias

import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike, NDArray

from cxmodel.stats.floats import Floats, floats, ratio

#: Where a step can lead: a state by its index, or one of the two ends.
Target: TypeAlias = int | Literal["goal", "lost"]


@frozen
class Chain:
    """Transition probabilities of an absorbing chain, or of a batch of chains.

    What a row of `transitions`, `goal` and `lost` lacks to 1 stays where it is: a state without any observed
    way out. `start` and `start_goal` may also sum to less than 1; the rest is lost without a visit.

    Attributes:
        transitions: From state to state, shape (…, K, K).
        goal: From state to the goal, shape (…, K).
        lost: From state to lost, shape (…, K).
        start: Into the first state, shape (…, K).
        start_goal: Straight to the goal, shape (…).
    """

    transitions: Floats
    goal: Floats
    lost: Floats
    start: Floats
    start_goal: Floats


def chain_from_counts(
    counts: ArrayLike,
    starts: ArrayLike,
    to_goal: ArrayLike,
    to_lost: ArrayLike,
    starts_to_goal: ArrayLike = 0.0,
    starts_to_lost: ArrayLike = 0.0,
) -> Chain:
    """Estimate a chain by maximum likelihood: each row of counts over its sum.

    Args:
        counts: Steps from state to state, shape (…, K, K).
        starts: Walks that begin in a state, shape (…, K).
        to_goal: Steps from a state to the goal, shape (…, K).
        to_lost: Steps from a state to lost, shape (…, K).
        starts_to_goal: Walks that reach the goal without visiting a state, shape (…).
        starts_to_lost: Walks that are lost without visiting a state, shape (…).

    Returns:
        Chain; a state that was never left has a row of zeros, and without any start all starts are nan.

    >>> chain = chain_from_counts([[0, 3], [0, 0]], [4, 0], [0, 2], [1, 1])
    >>> chain.transitions.tolist(), chain.goal.round(3).tolist()
    ([[0.0, 0.75], [0.0, 0.0]], [0.0, 0.667])
    """
    steps, hits, losses, first = floats(counts), floats(to_goal), floats(to_lost), floats(starts)
    leaving = steps.sum(axis=-1) + hits + losses
    begun = first.sum(axis=-1) + floats(starts_to_goal) + floats(starts_to_lost)
    return Chain(
        transitions=ratio(steps, leaving[..., None], empty=0.0),
        goal=ratio(hits, leaving, empty=0.0),
        lost=ratio(losses, leaving, empty=0.0),
        start=ratio(first, begun[..., None]),
        start_goal=ratio(starts_to_goal, begun),
    )


def escapes(chain: Chain) -> NDArray[np.bool_]:
    """Return from which states a walk can come to an end, shape (…, K).

    The others form closed classes: once in, a walk goes round for ever.

    >>> caught = chain_from_counts([[0, 1, 0], [0, 0, 1], [0, 1, 0]], [1, 0, 0], [1, 0, 0], [0, 0, 0])
    >>> escapes(caught).tolist()
    [True, False, False]
    """
    linked = chain.transitions > 0
    return _leading(linked, ~linked.any(axis=-1) | (chain.goal > 0) | (chain.lost > 0))


def _coming(linked: NDArray[np.bool_], there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which states are there already or are come to from there, shape (…, K)."""
    return _leading(linked.swapaxes(-1, -2), there)


def _leading(linked: NDArray[np.bool_], there: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return which states are there already or lead there, going back step by step, shape (…, K)."""
    hops = linked.astype(np.float32)
    while True:
        more = there | (np.matmul(hops, there[..., None].astype(np.float32))[..., 0] > 0)
        if np.array_equal(more, there):
            return there
        there = more


def _leads_to(transitions: Floats) -> NDArray[np.bool_]:
    """Return whether state j can come after state i, or is i: the closure of the graph, by squaring it."""
    size = transitions.shape[-1]
    reach = (transitions > 0) | np.eye(size, dtype=np.bool_)
    for _ in range(max(size - 1, 1).bit_length()):
        hops = reach.astype(np.float32)
        reach = np.matmul(hops, hops) > 0
    return reach


def fundamental_matrix(chain: Chain) -> Floats:
    """Return the expected visits `N = (I − Q)⁻¹` to state j from state i, shape (…, K, K).

    The present visit counts. Rows and columns of states that cannot escape are nan: their visits may be
    infinite.

    >>> half = chain_from_counts([[0, 1, 0], [1, 0, 1], [0, 1, 0]], [0, 1, 0], [0, 0, 1], [1, 0, 0])
    >>> fundamental_matrix(half).round(6).tolist()
    [[1.5, 1.0, 0.5], [1.0, 2.0, 1.0], [0.5, 1.0, 1.5]]
    """
    free = escapes(chain)
    return np.where(free[..., :, None] & free[..., None, :], _visits(chain), np.nan)


def _visits(chain: Chain) -> Floats:
    """Return N with the closed classes opened: a walk that enters a state of them stops there."""
    inner = _opened(chain)
    visits = _inverse(np.eye(inner.shape[-1]) - inner)
    # Visits that cannot happen are exactly 0, whatever the rounding of the inverse.
    return np.where(_leads_to(inner), visits, 0.0)


def _opened(chain: Chain) -> Floats:
    """Return the transitions without those of closed classes."""
    return np.where(escapes(chain)[..., None], chain.transitions, 0.0)


def _inverse(systems: Floats) -> Floats:
    """Invert a batch of matrices; only those that are singular to the precision of a float become nan."""
    try:
        return floats(np.linalg.inv(systems))
    except np.linalg.LinAlgError:
        pass  # An escape can be too unlikely for a float: find the chains with that trouble.
    flat = systems.reshape(-1, *systems.shape[-2:])
    out = np.full(flat.shape, np.nan)
    for index, system in enumerate(flat):
        try:
            out[index] = np.linalg.inv(system)
        except np.linalg.LinAlgError:
            continue
    return out.reshape(systems.shape)


def absorption_probabilities(chain: Chain) -> tuple[Floats, Floats]:
    """Return the probabilities to end in the goal and to end lost from each state, two arrays (…, K).

    They sum to 1, except where a walk can get caught or can stop in a state without a known way out.

    >>> half = chain_from_counts([[0, 1, 0], [1, 0, 1], [0, 1, 0]], [0, 1, 0], [0, 0, 1], [1, 0, 0])
    >>> absorption_probabilities(half)[0].round(6).tolist()
    [0.25, 0.5, 0.75]
    """
    inner = _opened(chain)
    visits, linked = _inverse(np.eye(inner.shape[-1]) - inner), inner > 0
    goal, lost = (
        np.where(_leading(linked, end > 0), _apply(visits, end), 0.0) for end in (chain.goal, chain.lost)
    )  # fmt: skip
    return goal, lost


def _apply(matrix: Floats, vector: Floats) -> Floats:
    return floats(np.matmul(matrix, vector[..., None])[..., 0])


def _dot(first: Floats, second: Floats) -> Floats:
    return floats((first * second).sum(axis=-1))


def goal_probability(chain: Chain) -> Floats:
    """Return the probability that a walk from the start reaches the goal, shape (…).

    A chain estimated from complete walks reproduces their share of goals exactly, so this is no test of the
    chain.

    >>> float(goal_probability(chain_from_counts([[0, 3], [0, 0]], [4, 0], [0, 2], [1, 1])))
    0.5
    """
    return _dot(chain.start, absorption_probabilities(chain)[0]) + chain.start_goal


def visits_from_start(chain: Chain) -> Floats:
    """Return the expected visits to each state in a walk from the start, shape (…, K).

    nan for states from which a walk cannot escape: their visits may be infinite.

    >>> visits_from_start(chain_from_counts([[1, 2], [0, 0]], [3, 1], [0, 3], [1, 0])).round(6).tolist()
    [1.0, 0.75]
    """
    free, inner = escapes(chain), _opened(chain)
    visits = _start_visits(chain, _inverse(np.eye(inner.shape[-1]) - inner))
    return np.where(free, np.where(_coming(inner > 0, chain.start > 0), visits, 0.0), np.nan)


def _start_visits(chain: Chain, visits: Floats) -> Floats:
    return floats(np.matmul(chain.start[..., None, :], visits)[..., 0, :])


def expected_steps(chain: Chain) -> Floats:
    """Return the expected steps to an end, `t = N·1`, from each state, shape (…, K); infinite if caught.

    >>> half = chain_from_counts([[0, 1, 0], [1, 0, 1], [0, 1, 0]], [0, 1, 0], [0, 0, 1], [1, 0, 0])
    >>> expected_steps(half).round(6).tolist()
    [3.0, 4.0, 3.0]
    """
    visits = _visits(chain)
    return np.where(_may_be_caught(chain, visits), np.inf, visits.sum(axis=-1))


def steps_variance(chain: Chain) -> Floats:
    """Return the variance of the steps to an end, `(2N − I)t − t∘t`, from each state, shape (…, K).

    >>> half = chain_from_counts([[0, 1, 0], [1, 0, 1], [0, 1, 0]], [0, 1, 0], [0, 0, 1], [1, 0, 0])
    >>> steps_variance(half).round(6).tolist()
    [8.0, 8.0, 8.0]
    """
    visits = _visits(chain)
    steps = visits.sum(axis=-1)
    variance = 2 * _apply(visits, steps) - steps - steps**2
    return np.where(_may_be_caught(chain, visits), np.nan, variance)


def _may_be_caught(chain: Chain, visits: Floats) -> NDArray[np.bool_]:
    return _apply(visits, floats(~escapes(chain))) > 0


def visits_variance(chain: Chain) -> Floats:
    """Return the variance of the visits to j from i, `N(2·diag(N) − I) − N∘N`, shape (…, K, K)."""
    visits = fundamental_matrix(chain)
    return visits * (2 * _diagonal(visits)[..., None, :] - 1) - visits**2


def return_probability(chain: Chain) -> Floats:
    """Return the probability to come back to a state after leaving it, `1 − 1/N_ii`, shape (…, K).

    nan for states from which a walk cannot escape.
    """
    return 1 - 1 / _diagonal(fundamental_matrix(chain))


def reach_probability(chain: Chain) -> Floats:
    """Return the probability that a walk from the start ever visits a state, `N_si/N_ii`, shape (…, K).

    nan for states from which a walk cannot escape.
    """
    inner = _opened(chain)
    returns = _diagonal(_inverse(np.eye(inner.shape[-1]) - inner))
    return visits_from_start(chain) / np.where(escapes(chain), returns, np.nan)


def _diagonal(matrix: Floats) -> Floats:
    return floats(np.diagonal(matrix, axis1=-2, axis2=-1))


def removal_effects(chain: Chain, reward: ArrayLike = 1.0, start_reward: ArrayLike = 1.0) -> Floats:
    """Return by which share the goals drop if a state is taken out and all that flows into it is lost.

    Formula: `RE_i = N_si·v_i/(N_ii·v_s)`, with v the expected reward at the goal: one inverse for all
    states. With rewards of 1, v is the probability of the goal and RE_i = P(visit i | goal) (Anderl et al.
    2016, doi:10.1016/j.ijresmar.2016.03.001, compute it by deleting the states one by one). In [0, 1] for
    rewards that are not negative; a state that every walk to the goal passes has 1.

    Args:
        chain: Chain or batch of chains.
        reward: Reward of a goal reached from a state, shape (…, K).
        start_reward: Reward of a goal reached without a visit, shape (…).

    Returns:
        Removal effects, shape (…, K); nan where the expected reward is 0.

    >>> chain = chain_from_counts([[0, 1, 0], [0, 0, 2], [0, 0, 0]], [2, 1, 0], [0, 0, 1], [1, 0, 1])
    >>> removal_effects(chain).round(6).tolist()
    [0.5, 1.0, 1.0]
    """
    visits = _visits(chain)
    worth = _apply(visits, floats(chain.goal * floats(reward)))
    total = floats(_dot(chain.start, worth) + chain.start_goal * floats(start_reward))
    through = _start_visits(chain, visits) / _diagonal(visits) * worth
    return ratio(through, total[..., None])


def set_removal_effects(
    chain: Chain, members: ArrayLike, reward: ArrayLike = 1.0, start_reward: ArrayLike = 1.0
) -> Floats:
    """Return the removal effects of sets of states that are taken out together.

    Formula: `RE_S = h·v_S/v_s` with `h = N_sS·(N_SS)⁻¹`, the probabilities to enter S first at each of its
    states. Needed where a state is a context: removing a thing removes every context that holds it.

    Args:
        chain: Chain or batch of chains.
        members: Which states belong to each set, true or false, shape (G, K).
        reward: Reward of a goal reached from a state, shape (…, K).
        start_reward: Reward of a goal reached without a visit, shape (…).

    Returns:
        Removal effects, shape (…, G); 0 for an empty set, nan where the expected reward is 0.

    >>> chain = chain_from_counts([[0, 1, 0], [0, 0, 2], [0, 0, 0]], [2, 1, 0], [0, 0, 1], [1, 0, 1])
    >>> set_removal_effects(chain, [[True, True, False], [True, False, False]]).round(6).tolist()
    [1.0, 0.5]
    """
    inner = _opened(chain)
    visits, linked = _inverse(np.eye(inner.shape[-1]) - inner), inner > 0
    gain = floats(chain.goal * floats(reward))
    # What cannot happen is exactly 0, whatever the rounding of the inverse.
    worth = np.where(_leading(linked, gain != 0), _apply(visits, gain), 0.0)
    from_start = np.where(_coming(linked, chain.start > 0), _start_visits(chain, visits), 0.0)
    total = floats(_dot(chain.start, worth) + chain.start_goal * floats(start_reward))
    groups = np.asarray(members, dtype=np.bool_)
    through = np.zeros((*total.shape, groups.shape[0]))
    single = groups.sum(axis=1) == 1
    alone = groups[single].argmax(axis=1)
    through[..., single] = (from_start / _diagonal(visits) * worth)[..., alone]
    for row in np.flatnonzero(~single):
        inside = np.flatnonzero(groups[row])
        block = visits[..., inside[:, None], inside]
        # N_SS is the fundamental matrix of the chain watched on S, so its inverse exists where N does.
        later = _apply(_inverse(block), worth[..., inside])
        through[..., row] = _dot(from_start[..., inside], later)
    return ratio(through, total[..., None])


def gradient(chain: Chain) -> tuple[Floats, Floats]:
    """Return the derivative of the goal probability by each transition probability.

    Formula: `∂P/∂p_ij = N_si·b_j`, with b = 1 at the goal and 0 at lost. Moving a small ε from i→k to i→j
    changes P by ε times the difference of the two derivatives: where a point of improvement pays. Not
    defined (nan) for states from which a walk cannot escape.

    Args:
        chain: Chain or batch of chains.

    Returns:
        Derivatives by the transitions, shape (…, K, K), and by the steps to the goal, shape (…, K).
    """
    from_start = visits_from_start(chain)
    return from_start[..., :, None] * absorption_probabilities(chain)[0][..., None, :], from_start


def what_if(chain: Chain, state: int, to: Target, away: Target, shift: ArrayLike) -> Floats:
    """Return the goal probability after moving `shift` from one next step of a state to another.

    Formula: `P + ε·N_si(b_j − b_k)/(1 − ε(N_ji − N_ki))`, exact for any ε (Sherman & Morrison 1950,
    doi:10.1214/aoms/1177729893).

    Args:
        chain: Chain or batch of chains.
        state: Index i of the state that is changed.
        to: Next step j that gains: a state index, "goal" or "lost".
        away: Next step k that loses.
        shift: Probability ε to move, shape (…).

    Returns:
        New goal probability, shape (…); nan where the losing step has less than `shift`, or the gaining one
        less than `-shift`, and where a walk could not escape from the state before or after the move.

    >>> chain = chain_from_counts([[0, 3], [0, 0]], [4, 0], [0, 2], [1, 1])
    >>> round(float(what_if(chain, 0, 1, "lost", 0.25)), 6)
    0.666667
    """
    moved = floats(shift)
    visits = _visits(chain)
    worth = _apply(visits, chain.goal)
    gain_worth, gain_visits = _at_target(to, worth, visits[..., state])
    loss_worth, loss_visits = _at_target(away, worth, visits[..., state])
    before = _dot(chain.start, worth) + chain.start_goal
    from_start = _start_visits(chain, visits)[..., state]
    determinant = 1 - moved * (gain_visits - loss_visits)
    change = ratio(moved * from_start * (gain_worth - loss_worth), determinant)
    slack = 1e-12  # a probability may be moved whole, whatever its last bit
    allowed = (moved <= _step(chain, state, away) + slack) & (-moved <= _step(chain, state, to) + slack)
    return np.where(allowed & (determinant > slack) & escapes(chain)[..., state], before + change, np.nan)


def _at_target(target: Target, worth: Floats, visits: Floats) -> tuple[Floats, Floats]:
    """Return the goal probability at a target, and the visits that lead back from there."""
    if target == "goal":
        return floats(1.0), floats(0.0)
    if target == "lost":
        return floats(0.0), floats(0.0)
    return floats(worth[..., target]), floats(visits[..., target])


def _step(chain: Chain, state: int, target: Target) -> Floats:
    if target == "goal":
        return floats(chain.goal[..., state])
    if target == "lost":
        return floats(chain.lost[..., state])
    return floats(chain.transitions[..., state, target])


def conditioned_on_goal(chain: Chain) -> Chain:
    """Return the chain of those walks that reach the goal: `p_ij·b_j/b_i` (Doob's transform).

    States that cannot reach the goal have a row of zeros, and without any goal all starts are nan.

    >>> chain = chain_from_counts([[0, 3], [0, 0]], [4, 0], [1, 2], [1, 1])
    >>> conditioned_on_goal(chain).goal.round(6).tolist()
    [0.333333, 1.0]
    """
    worth = absorption_probabilities(chain)[0]
    total = (_dot(chain.start, worth) + chain.start_goal)[..., None]
    return Chain(
        transitions=ratio(chain.transitions * worth[..., None, :], worth[..., None], empty=0.0),
        goal=ratio(chain.goal, worth, empty=0.0),
        lost=np.zeros_like(chain.lost),
        start=ratio(chain.start * worth, total),
        start_goal=ratio(chain.start_goal, total[..., 0]),
    )


def time_to_goal(chain: Chain, waits: ArrayLike) -> Floats:
    """Return the mean time that walks which reach the goal spend before each step.

    Formula: `N'_si·p'_ij·w_ij` in the chain conditioned on the goal; all of them sum to the mean time to the goal.

    Args:
        chain: Chain or batch of chains.
        waits: Mean time in state i before going to state j, or to the goal in the last column, shape (…, K, K + 1).

    Returns:
        Times, shape (…, K, K + 1); nan where nobody reaches the goal.

    >>> chain = chain_from_counts([[0, 3], [0, 0]], [4, 0], [0, 2], [1, 1])
    >>> time_to_goal(chain, [[0, 60, 0], [0, 0, 30]]).tolist()
    [[0.0, 60.0, 0.0], [0.0, 0.0, 30.0]]
    """
    reaching = conditioned_on_goal(chain)
    steps = np.concatenate([reaching.transitions, reaching.goal[..., None]], axis=-1)
    return floats(visits_from_start(reaching)[..., None] * steps * floats(waits))


def path_entropy(chain: Chain) -> Floats:
    """Return the entropy of whole walks in bits, `H(start) + Σ_i N_si·H(p_i)`, shape (…), 0 or more.

    2 to this power is the effective number of different walks (Ekroot & Cover 1993, IEEE Trans. Inf. Theory
    39:1418). nan where there is a choice in a state from which a walk cannot escape.

    >>> float(path_entropy(chain_from_counts([[0]], [2], [1], [1])))
    1.0
    """
    first = np.concatenate([chain.start, chain.start_goal[..., None]], axis=-1)
    beginning = np.concatenate([first, 1 - first.sum(axis=-1, keepdims=True)], axis=-1)
    rows = np.concatenate([chain.transitions, chain.goal[..., None], chain.lost[..., None]], axis=-1)
    choice = _entropy(rows)
    spent = np.where(choice > 0, visits_from_start(chain), 0.0) * choice
    return _entropy(beginning) + floats(spent.sum(axis=-1))


def _entropy(probabilities: Floats) -> Floats:
    positive = np.where(probabilities <= 0, 1.0, probabilities)
    return floats(-(positive * np.log2(positive)).sum(axis=-1))
