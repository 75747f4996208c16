"""Ledgers: counts over all events that are put forward when events are appended, not counted anew."""

from __future__ import annotations

from collections.abc import Sequence
from weakref import ref

from attrs import field, frozen

from cxmodel.data.blocks import Block


@frozen(eq=False)
class Ledger:
    """What was counted over some blocks; each count is a sum over customers, so parts are added and taken off.

    Attributes:
        keys: Sum behind the fingerprint, modulo 2⁶⁴.
        crossed: Journeys that begin before an earlier one of the same customer has ended.
        twins: Events that repeat an earlier one of their journey.
        blocks: The blocks, which this does not keep alive.
    """

    keys: int
    crossed: int
    twins: int
    blocks: tuple[ref[Block], ...] = field(default=(), repr=False)

    def of(self, blocks: Sequence[Block]) -> Ledger:
        """The same counts as those of these blocks."""
        return Ledger(self.keys, self.crossed, self.twins, tuple(ref(block) for block in blocks))

    def fits(self, blocks: Sequence[Block]) -> bool:
        """Whether it was counted over these very blocks."""
        pairs = zip(self.blocks, blocks, strict=False)
        return len(self.blocks) == len(blocks) and all(known() is block for known, block in pairs)

    def replacing(self, old: Ledger, new: Ledger) -> Ledger:
        """The counts after the customers of ``old`` became those of ``new``."""
        return Ledger(
            (self.keys - old.keys + new.keys) % 2**64, self.crossed - old.crossed + new.crossed,
            self.twins - old.twins + new.twins,
        )  # fmt: skip
