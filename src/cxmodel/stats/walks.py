"""The most probable walks of an absorbing chain from its start to its goal."""

import heapq

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from cxmodel.stats.chains import Chain
from cxmodel.stats.floats import Floats


@frozen
class Walk:
    """A walk that reaches the goal.

    Attributes:
        probability: Probability of exactly this walk.
        states: Indices of the states it visits, in order; a state may come again.
    """

    probability: float
    states: tuple[int, ...]


def most_probable_walks(chain: Chain, k: int) -> list[Walk]:
    """Return the k most probable walks to the goal, the most probable first.

    Best-first search over prefixes of walks. A prefix is ranked by its probability times the greatest
    probability with which it can still be completed, which is exact, so no prefix is taken up that does not
    lead to an answer. Walks with equal probability come in the order of their states. Unlike shortest simple
    paths, walks may repeat a state.

    Args:
        chain: One chain, not a batch.
        k: How many walks are wanted.

    Returns:
        At most k walks: fewer if no more exist.

    Raises:
        ValueError: If the chain is a batch of chains.

    >>> from cxmodel.stats.chains import chain_from_counts
    >>> chain = chain_from_counts([[1, 2], [0, 0]], [4, 0], [1, 1], [0, 1])
    >>> [(round(walk.probability, 4), walk.states) for walk in most_probable_walks(chain, 3)]
    [(0.25, (0,)), (0.25, (0, 1)), (0.0625, (0, 0))]
    """
    if chain.goal.ndim != 1:
        raise ValueError(
            f"The walks of one chain can be listed, got a batch of shape {chain.goal.shape[:-1]}. Choose one of them."
        )
    best = _best_completion(chain)
    # An entry: minus its best possible probability, its states, its own probability, whether it is complete.
    queue: list[tuple[float, tuple[int, ...], bool, float]] = []

    def offer(states: tuple[int, ...], probability: float, complete: bool) -> None:
        bound = probability if complete else probability * float(best[states[-1]])
        if bound > 0:
            heapq.heappush(queue, (-bound, states, complete, probability))

    offer((), float(chain.start_goal), True)
    for state in np.flatnonzero(chain.start):
        offer((int(state),), float(chain.start[state]), False)
    found: list[Walk] = []
    while queue and len(found) < k:
        _, states, complete, probability = heapq.heappop(queue)
        if complete:
            found.append(Walk(probability, states))
            continue
        here = states[-1]
        offer(states, probability * float(chain.goal[here]), True)
        for following in np.flatnonzero(chain.transitions[here]):
            offer((*states, int(following)), probability * float(chain.transitions[here, following]), False)
    return found


def _best_completion(chain: Chain) -> Floats:
    """Return the greatest probability of one walk from each state to the goal (Dijkstra from the goal)."""
    best = chain.goal.copy()
    settled: NDArray[np.bool_] = np.zeros(best.shape, dtype=np.bool_)
    for _ in range(best.size):
        state = int(np.argmax(np.where(settled, -1.0, best)))
        settled[state] = True
        if best[state] <= 0:
            break
        best = np.where(settled, best, np.maximum(best, chain.transitions[:, state] * best[state]))
    return best
