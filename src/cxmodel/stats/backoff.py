"""Next steps from counted runs: long contexts where they were seen often, shorter ones where they were not.

A step is one number: the digits of its context and of what follows, in base `width`. Of what follows, 0 is lost,
width − 1 the goal, and the digits between are states; in a context 0 stands for "before the beginning".
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any, Final

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.stats.arrays import Bools, Ints, grouped_sum
from cxmodel.stats.floats import Floats

_DIRECT: Final = 2_000
_GRID: Final = tuple(2.0**power for power in range(14))


@frozen(eq=False)
class _Level:
    """Counts of one order.

    Attributes:
        keys: (r,) ascending codes of (context, next).
        counts: (r,) how often each was seen.
        contexts: (c,) ascending codes of the contexts.
        starts: (c + 1,) where the keys of each context begin.
        seen: (c,) how often each was seen.
        new: (c,) what is added for things never seen, in steps.
    """

    keys: Ints
    counts: Floats
    contexts: Ints
    starts: Ints
    seen: Floats
    new: Floats


def even_base(goal: Sequence[bool]) -> Floats:
    """What is held probable before anything was seen: all alike, except states that are the goal and so never follow.

    Args:
        goal: (states,) whether a state is the goal.

    Returns:
        Probabilities (states + 2,) of lost, the states and the goal.

    >>> even_base([False, True]).round(3).tolist()
    [0.333, 0.333, 0.0, 0.333]
    """
    possible = np.array([True, *(not each for each in goal), True])
    return np.asarray(possible / possible.sum(), np.float64)


def _at(keys: Ints, values: Floats, wanted: Ints, absent: float = 0.0) -> Floats:
    """Values of keys; `absent` where a key is not there."""
    row, there = _rows(keys, wanted)
    return np.where(there, np.append(values, 0.0)[np.where(there, row, -1)], absent)


def _rows(keys: Ints, wanted: Ints) -> tuple[Ints, Bools]:
    row = np.searchsorted(keys, wanted)
    inside = np.minimum(row, max(keys.size - 1, 0))
    return inside, (keys[inside] == wanted) if keys.size else np.zeros(wanted.shape, np.bool_)


@frozen(eq=False, slots=False)
class Backoff:
    """Probabilities of the next step, interpolated from order 0 to `order`.

    Formula: `p_k(j|c) = (n_cj + α_k·p_{k−1}(j|d))/(n_c + α_k)` with d, the context c without its oldest digit and
    p_{−1} = `base` (MacKay & Peto 1995, doi:10.1017/S1351324900000218). At order 1, `novelty·base` is added to the
    counts, so that what was never seen anywhere is not thought impossible. They sum to 1 for every context.

    Where steps are censored, `open` is the part of them that nothing seen can stand for. It may lead anywhere, so
    `open·n_c·base` is added to the counts.

    Attributes:
        width: Base of the codes.
        order: Digits of a context.
        codes: (r,) ascending codes of (context, next) that were seen.
        counts: (r,) how often.
        base: (width,) what is held probable before anything was seen.
        strengths: α of each order, from 0 to `order`; 0 takes what was seen as it is.
        novelty: What is added at order 1 for things never seen, in steps.
        open: (width,) by last digit of a context, steps that nothing stands for as a share of the others.
    """

    width: int
    order: int
    codes: Ints = field(repr=False)
    counts: Floats = field(repr=False)
    base: Floats = field(repr=False)
    strengths: tuple[float, ...]
    novelty: float = 0.0
    open: Floats | None = field(default=None, repr=False)

    @cached_property
    def levels(self) -> tuple[_Level, ...]:
        """Counts of each order."""
        return tuple(self._level(order) for order in range(self.order + 1))

    def _level(self, order: int) -> _Level:
        keys, place = np.unique(self.codes % self.width ** (order + 1), return_inverse=True)
        total = grouped_sum(place, self.counts, keys.size)
        contexts, starts, row = np.unique(keys // self.width, return_index=True, return_inverse=True)
        seen = grouped_sum(row, total, contexts.size)
        new = np.full(contexts.size, self._least(order))
        if order and self.open is not None:
            new = new + self.open[contexts % self.width] * seen
        return _Level(keys, total, contexts, np.append(starts, keys.size), seen, new)

    def _least(self, order: int) -> float:
        """What is added for things never seen in contexts that were not seen either."""
        return self.novelty if order == 1 else 0.0

    def probability(self, codes: Ints) -> Floats:
        """Probability of what follows, given the context.

        Args:
            codes: (n,) codes of (context, next), with `order` digits of context.
        """
        p: Floats = self.base[codes % self.width]
        for order, (level, strength) in enumerate(zip(self.levels, self.strengths, strict=True)):
            keys = codes % self.width ** (order + 1)
            seen = _at(level.contexts, level.seen, keys // self.width)
            new = _at(level.contexts, level.new, keys // self.width, self._least(order))
            mass = seen + strength + new
            lent = strength * p + new * self.base[codes % self.width]
            mixed = (_at(level.keys, level.counts, keys) + lent) / np.where(mass > 0, mass, 1.0)
            p = np.where(mass > 0, mixed, p)
        return p

    def distribution(self, context: int) -> Floats:
        """Probabilities (width,) of all that may follow a context; they sum to 1."""
        p = self.base.copy()
        for order, (level, strength) in enumerate(zip(self.levels, self.strengths, strict=True)):
            wanted = context % self.width**order
            row = int(np.searchsorted(level.contexts, wanted))
            there = row < level.contexts.size and int(level.contexts[row]) == wanted
            new = float(level.new[row]) if there else self._least(order)
            mass = strength + new + (float(level.seen[row]) if there else 0.0)
            if mass > 0:
                p = (strength / mass) * p + (new / mass) * self.base
            if there:
                rows = slice(int(level.starts[row]), int(level.starts[row + 1]))
                p[level.keys[rows] % self.width] += level.counts[rows] / mass
        return p

    def fitted(self) -> Backoff:
        """The same counts with the strengths that best predict each step from all others (leave one out).

        Deleting one step deletes it from every order at once, so this needs no second pass and no held-out part.
        """
        base: Floats = self.base[self.codes % self.width]
        p, chosen = base, []
        for order, level in enumerate(self.levels):
            keys = self.codes % self.width ** (order + 1)
            others = _at(level.keys, level.counts, keys) - 1
            around = _at(level.contexts, level.seen, keys // self.width) - 1
            new = _at(level.contexts, level.new, keys // self.width)
            found = [(others + a * p + new * base) / (around + a + new) for a in _GRID]
            best = int(np.argmax([float(self.counts @ np.log(each)) for each in found]))
            chosen.append(_GRID[best])
            p = found[best]
        return evolve(self, strengths=tuple(chosen))

    # the chain over contexts

    @cached_property
    def _offsets(self) -> Sequence[int]:
        return np.cumsum([0, *(level.contexts.size for level in self.levels)]).tolist()  # type: ignore[no-any-return]

    @property
    def size(self) -> int:
        """Number of contexts of all orders, and one more: after it anything may follow, as `base` says."""
        return self._offsets[-1] + 1

    def locate(self, contexts: Ints, depth: int | None = None) -> Ints:
        """Row of the longest context that was seen, of at most `depth` digits.

        Args:
            contexts: (n,) codes of contexts.
            depth: Most digits to look at; `order` if not given.
        """
        found = np.zeros(contexts.shape, np.int64)
        for order in range(1, (self.order if depth is None else depth) + 1):
            level = self.levels[order]
            row, there = _rows(level.contexts, contexts % self.width**order)
            found = np.where(there, self._offsets[order] + row, found)
        return found

    def outlook(self, waits: Floats) -> tuple[Floats, Floats, Floats]:
        """What comes of each context in the end.

        A step from a context is drawn as `probability` says: with n_c/(n_c + α) from what was seen there, else from
        the shorter context, and what follows then remembers only that. One sparse system for all contexts.

        Args:
            waits: (width,) mean time spent at each state before the next step.

        Returns:
            Per context (size,): probability of the goal; expected steps to it, and expected time to it once the
            present state is left, of those who reach it (nan where nobody does).
        """
        matrix, goal = self._system()
        free = _escapes(matrix, goal[0] + goal[1])
        solve = _solver(_identity(self.size) - matrix.multiply(free[:, None]).tocsr())
        chance = np.where(free, solve(np.where(free, goal[0], 0.0)), 0.0)
        arriving, waiting = self._charges(chance, waits)
        with np.errstate(divide="ignore", invalid="ignore"):
            steps = solve(np.where(free, arriving + goal[0], 0.0)) / chance
            time = solve(np.where(free, waiting, 0.0)) / chance
        return np.clip(chance, 0.0, 1.0), np.where(chance > 0, steps, np.nan), np.where(chance > 0, time, np.nan)

    @cached_property
    def _moves(self) -> tuple[Ints, Ints, Floats]:
        """Context, what follows and probability of every step that was seen, and of those that `base` allows."""
        source, codes, share = [np.full(self.width, self.size - 1)], [np.arange(self.width)], [self.base]
        for order, (level, strength) in enumerate(zip(self.levels, self.strengths, strict=True)):
            row = np.searchsorted(level.contexts, level.keys // self.width)
            source.append(self._offsets[order] + row)
            codes.append(level.keys)
            share.append(level.counts / (level.seen + strength + level.new)[row])
        return np.concatenate(source), np.concatenate(codes), np.concatenate(share)

    @cached_property
    def _targets(self) -> Ints:
        """Row of the context that each move leads to; −1 for an end."""
        parts = [self._led(np.arange(self.width), 0)]
        parts += [self._led(level.keys, order) for order, level in enumerate(self.levels)]
        return np.concatenate(parts)

    def _led(self, keys: Ints, order: int) -> Ints:
        last = keys % self.width
        inner = (last > 0) & (last < self.width - 1)
        depth = min(order + 1, self.order)
        return np.where(inner, self.locate(keys % self.width**depth, depth), -1)

    def _system(self) -> tuple[Any, tuple[Floats, Floats]]:
        from scipy.sparse import csr_array

        source, codes, share = self._moves
        target, last = self._targets, codes % self.width
        inner = target >= 0
        rows, columns, values = [source[inner]], [target[inner]], [share[inner]]
        for order, (level, strength) in enumerate(zip(self.levels, self.strengths, strict=True)):
            row = self._offsets[order] + np.arange(level.contexts.size)
            mass = level.seen + strength + level.new
            anything = np.full(row.size, self.size - 1)
            rows += [row, row]
            columns += [self.locate(level.contexts, order - 1) if order else anything, anything]
            values += [strength / mass, level.new / mass]
        entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
        goal, lost = (grouped_sum(source[ends], share[ends], self.size) for ends in (last == self.width - 1, last == 0))
        return csr_array(entries, shape=(self.size, self.size)), (goal, lost)

    def _charges(self, chance: Floats, waits: Floats) -> tuple[Floats, Floats]:
        """Steps and time that are spent on the way to the goal, by the context that they begin in."""
        source, codes, share = self._moves
        inner = self._targets >= 0
        worth = share[inner] * chance[self._targets[inner]]
        steps = grouped_sum(source[inner], worth, self.size)
        return steps, grouped_sum(source[inner], worth * waits[codes[inner] % self.width], self.size)


def _identity(size: int) -> Any:
    from scipy.sparse import eye_array

    return eye_array(size, format="csr")


def _solver(system: Any) -> Callable[[Floats], Floats]:
    """Solve the sparse system for one right side after the other.

    Elimination fills in where contexts follow one another in many ways: 21,000 of them took a minute and a gigabyte.
    Walks are short, so an iteration (BiCGSTAB, van der Vorst 1992, doi:10.1137/0913035) needs a few dozen steps.
    """
    from scipy.sparse.linalg import bicgstab, splu

    def solve(right: Floats) -> Floats:
        if right.size > _DIRECT:
            found, failed = bicgstab(system, right, rtol=1e-13, atol=0.0)
            if not failed:
                return np.asarray(found, np.float64)
        return np.asarray(splu(system.tocsc()).solve(right), np.float64)

    return solve


def _escapes(matrix: Any, ends: Floats) -> Bools:
    """From which contexts an end can be reached."""
    free = ends > 0
    while True:
        wider = free | (matrix @ free.astype(np.float64) > 0)
        if (wider == free).all():
            return np.asarray(free)
        free = wider
