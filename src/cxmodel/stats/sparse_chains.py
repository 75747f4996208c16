"""Absorbing chains of very many states: only steps that were seen take memory, and walks are followed step by step.

What `cxmodel.stats.chains` reads off the inverse of I − Q is here the sum of what happens at each step, Σ_k Qᵏ·v, until
the chance that a walk is still under way no longer counts (10⁻¹⁵ of the whole).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any, Final

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from cxmodel.stats.arrays import Bools, Ints, grouped_sum, offsets_of
from cxmodel.stats.chains import Chain
from cxmodel.stats.floats import Floats, ratio

MOST_TERMS: Final = 20_000
_SMALL: Final = 1e-15


@frozen(eq=False, slots=False)
class SparseChain:
    """Transition probabilities of one absorbing chain; see `cxmodel.stats.chains.Chain`.

    Attributes:
        offsets: (K + 1,) where the steps of each state begin.
        target: (e,) the state that each leads to.
        probability: (e,) its probability.
        goal: (K,) from state to the goal.
        lost: (K,) from state to lost.
        start: (K,) into the first state.
        start_goal: Straight to the goal.
    """

    offsets: Ints
    target: Ints
    probability: Floats
    goal: Floats
    lost: Floats
    start: Floats
    start_goal: float

    @property
    def size(self) -> int:
        """How many states there are."""
        return int(self.goal.size)

    @cached_property
    def source(self) -> Ints:
        """(e,) the state that each step leaves."""
        return np.repeat(np.arange(self.size), np.diff(self.offsets))

    @cached_property
    def escapes(self) -> Bools:
        """(K,) from which states a walk can come to an end."""
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import breadth_first_order

        size = self.size
        ends = np.flatnonzero((np.diff(self.offsets) == 0) | (self.goal > 0) | (self.lost > 0))
        # backwards, from one more state that stands for every end
        steps = np.concatenate([self.target, np.full(ends.size, size)]), np.concatenate([self.source, ends])
        back = csr_array((np.ones(steps[0].size), steps), shape=(size + 1, size + 1))
        free = np.zeros(size + 1, np.bool_)
        free[breadth_first_order(back, size, return_predecessors=False)] = True
        return free[:size]

    @cached_property
    def _steps(self) -> tuple[Any, Floats]:
        """Steps to other states, none from where a walk cannot escape; and the chance to leave each state."""
        from scipy.sparse import csr_array

        again = self.target == self.source
        inner = np.where(self.escapes[self.source] & ~again, self.probability, 0.0)
        stay = np.where(self.escapes, grouped_sum(self.source, np.where(again, self.probability, 0.0), self.size), 0.0)
        return csr_array((inner, self.target, self.offsets), shape=(self.size, self.size)), 1 - stay

    @cached_property
    def visits(self) -> Floats:
        """(K,) expected visits in a walk from the start; NaN where a walk cannot escape, or goes on for too long."""
        steps, leave = self._steps
        back = steps.T.tocsr()
        return np.where(self.escapes, _followed(lambda term: back @ term / leave, self.start / leave), np.nan)

    @cached_property
    def to_goal(self) -> Floats:
        """(K,) probability to reach the goal from each state."""
        steps, leave = self._steps
        return _followed(lambda term: steps @ term / leave, self.goal / leave)

    @property
    def goal_share(self) -> float:
        """Probability that a walk from the start reaches the goal."""
        return float(self.start @ self.to_goal) + self.start_goal

    @property
    def entropy(self) -> float:
        """Entropy of whole walks in bits; see `cxmodel.stats.chains.path_entropy`."""
        beginning = np.append(self.start, [self.start_goal, max(1 - self.start.sum() - self.start_goal, 0.0)])
        choice = grouped_sum(self.source, _bits(self.probability), self.size) + _bits(self.goal) + _bits(self.lost)
        return float(_bits(beginning).sum() + np.where(choice > 0, self.visits * choice, 0.0).sum())


def _followed(step: Callable[[Floats], Floats], first: Floats) -> Floats:
    """The sum of all terms, each made of the one before; NaN where they do not come to an end in time."""
    total, term = first.copy(), first
    for _ in range(MOST_TERMS):
        if not term.sum() > _SMALL * total.sum():
            return total
        term = step(term)
        total += term
    return np.full(first.size, np.nan)


def _bits(probabilities: Floats) -> Floats:
    positive = np.where(probabilities <= 0, 1.0, probabilities)
    return np.asarray(-positive * np.log2(positive))


def sparse_chain(chain: Chain) -> SparseChain:
    """One dense chain with its steps listed.

    Raises:
        ValueError: It is a batch of chains.
    """
    if chain.goal.ndim != 1:
        raise ValueError(f"One chain can be listed, got a batch of shape {chain.goal.shape[:-1]}. Choose one of them.")
    source, target = np.nonzero(chain.transitions)
    offsets = offsets_of(np.bincount(source, minlength=chain.goal.size))
    return SparseChain(
        offsets, target, chain.transitions[source, target], chain.goal, chain.lost, chain.start, float(chain.start_goal)
    )


def sparse_chain_from_counts(
    source: Ints, target: Ints, counts: Floats, to_goal: NDArray[np.bool_], size: int
) -> SparseChain:
    """Estimate a chain by maximum likelihood from steps that were counted.

    Args:
        source: (r,) state that each step leaves; −1 for the start. Each (source, target, to_goal) comes once.
        target: (r,) state that it leads to; −1 for an end.
        counts: (r,) how often it was seen.
        to_goal: (r,) whether that end is the goal.
        size: How many states there are.
    """
    inner, begin = source >= 0, source < 0
    leaving = grouped_sum(source[inner], counts[inner], size)
    begun = float(counts[begin].sum())

    def spread(rows: NDArray[np.bool_], to: Ints) -> Floats:
        return grouped_sum(to[rows], counts[rows], size)

    ends = inner & (target < 0)
    steps = np.flatnonzero(inner & (target >= 0) & (counts > 0))
    steps = steps[np.lexsort((target[steps], source[steps]))]
    return SparseChain(
        offsets=offsets_of(np.bincount(source[steps], minlength=size)), target=target[steps],
        probability=counts[steps] / leaving[source[steps]],
        goal=ratio(spread(ends & to_goal, source), leaving, empty=0.0),
        lost=ratio(spread(ends & ~to_goal, source), leaving, empty=0.0),
        start=ratio(spread(begin & (target >= 0), target), begun),
        start_goal=float(ratio(counts[begin & (target < 0) & to_goal].sum(), begun)),
    )  # fmt: skip
