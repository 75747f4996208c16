"""The most probable walks of an absorbing chain from its start to its goal."""

import heapq

import numpy as np
from attrs import frozen

from cxmodel.stats.arrays import offsets_of
from cxmodel.stats.chains import Chain
from cxmodel.stats.sparse_chains import SparseChain, sparse_chain


@frozen
class Walk:
    """A walk that reaches the goal.

    Attributes:
        probability: Probability of exactly this walk.
        states: Indices of the states it visits, in order; a state may come again.
    """

    probability: float
    states: tuple[int, ...]


def most_probable_walks(chain: Chain | SparseChain, k: int) -> list[Walk]:
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
    if isinstance(chain, Chain):
        chain = sparse_chain(chain)
    best = _best_completion(chain)
    # An entry: minus its best possible probability, its states, its own probability, whether it is complete.
    queue: list[tuple[float, tuple[int, ...], bool, float]] = []

    def offer(states: tuple[int, ...], probability: float, complete: bool) -> None:
        bound = probability if complete else probability * best[states[-1]]
        if bound > 0:
            heapq.heappush(queue, (-bound, states, complete, probability))

    offer((), float(chain.start_goal), True)
    for state in np.flatnonzero(chain.start).tolist():
        offer((state,), float(chain.start[state]), False)
    found: list[Walk] = []
    while queue and len(found) < k:
        _, states, complete, probability = heapq.heappop(queue)
        if complete:
            found.append(Walk(probability, states))
            continue
        here = states[-1]
        offer(states, probability * float(chain.goal[here]), True)
        for step in range(int(chain.offsets[here]), int(chain.offsets[here + 1])):
            offer((*states, int(chain.target[step])), probability * float(chain.probability[step]), False)
    return found


def _best_completion(chain: SparseChain) -> list[float]:
    """Return the greatest probability of one walk from each state to the goal (Dijkstra from the goal)."""
    order = np.argsort(chain.target, kind="stable")
    source, probability = chain.source[order].tolist(), chain.probability[order].tolist()
    into = offsets_of(np.bincount(chain.target, minlength=chain.size)).tolist()
    best: list[float] = chain.goal.tolist()
    queue = [(-chance, state) for state, chance in enumerate(best) if chance > 0]
    heapq.heapify(queue)
    while queue:
        chance, state = heapq.heappop(queue)
        if -chance < best[state]:
            continue
        for step in range(into[state], into[state + 1]):
            found, before = -chance * probability[step], source[step]
            if found > best[before]:
                best[before] = found
                heapq.heappush(queue, (-found, before))
    return best
