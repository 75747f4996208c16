"""Populations: journeys that can be asked, as blocks in memory or on disk."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property, reduce
from typing import Final, TypeVar

from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.counting import counts_of, facts_of, is_counted, merge_counts, no_counts
from cxmodel.data.ledgers import Ledger
from cxmodel.data.parts import Step, after
from cxmodel.data.renaming import Renaming
from cxmodel.data.roles import Roles
from cxmodel.data.temporary import SpillFolder
from cxmodel.errors import NoRowsError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Facts, Reading

S = TypeVar("S")

_FEW: Final = 100_000


@frozen(eq=False, kw_only=True, slots=False)
class MemoryPopulation:
    """Blocks in this process.

    In memory a step is applied when it is asked for, and arrays that it does not change are shared. Blocks on disk
    collect their steps, which are applied whenever a block is visited.

    Attributes:
        parts: The blocks.
        vocabulary: What their codes mean.
        reading: What became of the rows.
        origin: Which log, window and filters these are.
        currency: Currency of the values.
        roles: How it was read, where rows can be appended.
        renaming: What became of the raw names, where rules were given.
        ledger: What was counted over the blocks as they were read, for appending.
        keeper: The folder of blocks on disk and its limit of memory; None in memory.
        inactivity: The declared time without an event, µs, for what is appended.
        catalogues: The catalogues of touchpoints that were joined, for touchpoints that are met later.
    """

    parts: Sequence[Block] = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    reading: Reading
    origin: Origin
    currency: str | None = None
    roles: Roles | None = None
    renaming: Renaming | None = field(default=None, repr=False)
    ledger: Ledger | None = field(default=None, repr=False)
    keeper: SpillFolder | None = field(default=None, repr=False)
    inactivity: int | None = None
    catalogues: tuple[Mapping[str, Mapping[str, str | None]], ...] = field(default=(), repr=False)

    @property
    def threads(self) -> int:
        """How many states may be finished side by side: one where memory is limited."""
        return (os.cpu_count() or 1) if self.keeper is None else 1

    def fold(self, look: Callable[[Block], S], merge: Callable[[S, S], S], start: S) -> S:
        """Look at the blocks on threads and merge what was seen, in their order.

        Nothing that a block worked out on the way stays; under a limit of memory a large state waits in files.
        """
        keeper = self.keeper

        def visit(at: int) -> S:
            block = self.parts[at]
            try:
                return look(block)
            finally:
                block.forget()

        def together(a: S, b: S) -> S:
            both = merge(a, b)
            return both if keeper is None else keeper.settled(both)

        threads = (os.cpu_count() or 1) if keeper is None else keeper.threads
        return reduce(together, _in_order(visit, len(self.parts), threads), start)

    def then(
        self, step: Step, *, saying: str | None = None, vocabulary: Vocabulary | None = None,
        window: tuple[str | None, str | None] | None = None,
    ) -> MemoryPopulation:  # fmt: skip
        """The population after a step.

        Args:
            step: What to do with each block.
            saying: What was selected, in words, where the step selects.
            vocabulary: What the codes mean afterwards, where the step widens that.
            window: The window of time, where the step sets one.
        """
        origin = self.origin.after(saying, window)
        return evolve(self, parts=after(self.parts, step), origin=origin, vocabulary=vocabulary or self.vocabulary)

    def noting(self, *notes: str) -> MemoryPopulation:
        """The population with further notes in its reading."""
        return evolve(self, reading=self.reading.noting(*notes))

    @property
    def facts(self) -> Facts:
        """What can be asked."""
        return self._facts

    @cached_property
    def _facts(self) -> Facts:
        parts = self.parts
        if self.keeper is None and sum(block.events for block in parts if not is_counted(block)) < _FEW:
            counts = reduce(merge_counts, map(counts_of, parts), no_counts())
        else:
            counts = self.fold(counts_of, merge_counts, no_counts())
        return facts_of(counts, self.vocabulary, self.currency)

    def require_events(self) -> None:
        """Raise where nothing is left to ask."""
        if not self.facts.events:
            words = ", ".join(self.origin.filters) or "the reading"
            raise NoRowsError(f"no event is left after {words}", hint=str(self.reading))


def _in_order(visit: Callable[[int], S], size: int, threads: int) -> Iterator[S]:
    """What is seen at each place, in order; only a few are ahead of whoever takes them."""
    ahead: deque[Future[S]] = deque()
    with ThreadPoolExecutor(max_workers=threads) as pool:
        for at in range(size):
            ahead.append(pool.submit(visit, at))
            if len(ahead) > threads:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def columns_of(blocks: Sequence[Block]) -> Mapping[str, bool]:
    """Names of the columns of the first block; True for facts about journeys."""
    if not blocks:
        return {}
    return {**dict.fromkeys(blocks[0].event_columns, False), **dict.fromkeys(blocks[0].journey_columns, True)}
