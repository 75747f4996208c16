"""Parts: the blocks of a population, in memory, or on disk with the steps that are applied when one is visited."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import overload

from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block

Step = Callable[[Block], Block]
"""A step of a plan: a block in, a block out; the vocabulary it was given or a wider one."""


@frozen(eq=False)
class StoredParts(Sequence[Block]):
    """Blocks on disk. Each visit takes one as it is mapped and applies the steps; whoever visits it lets go of it.

    Attributes:
        stored: How to get each block.
        steps: What is done with it, in order.
    """

    stored: Sequence[Callable[[], Block]] = field(repr=False)
    steps: tuple[Step, ...] = ()

    def __len__(self) -> int:
        return len(self.stored)

    @overload
    def __getitem__(self, at: int) -> Block: ...
    @overload
    def __getitem__(self, at: slice) -> StoredParts: ...
    def __getitem__(self, at: int | slice) -> Block | StoredParts:
        if isinstance(at, slice):
            return evolve(self, stored=self.stored[at])
        return reduce(lambda block, step: step(block), self.steps, self.stored[at]())


def after(parts: Sequence[Block], step: Step) -> Sequence[Block]:
    """The parts after a step: at once in memory, when they are visited on disk."""
    if isinstance(parts, StoredParts):
        return evolve(parts, steps=(*parts.steps, step))
    return [visited(block, step) for block in parts]


def visited(block: Block, step: Step) -> Block:
    """The block after a step; what was worked out for the step alone does not stay."""
    try:
        return step(block)
    finally:
        block.forget()
