"""Ledgers: counts over all events that are put forward when events are appended, not counted anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from weakref import ref

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block
from cxmodel.stats.arrays import Ints

Spans = Mapping[str, tuple[Ints, Ints]]
"""Name of a column → lowest and highest code at each touchpoint; the largest int64 and 0 where it has none."""


@frozen(eq=False)
class Ledger:
    """What was counted over some blocks.

    The first three are sums over customers, so parts are added and taken off. The others only ever narrow: a column
    that once had two values in a journey or at a touchpoint has them for good.

    Attributes:
        keys: Sum behind the fingerprint, modulo 2⁶⁴.
        crossed: Journeys that begin before an earlier one of the same customer has ended.
        twins: Events that repeat an earlier one of their journey.
        facts: Names of the attributes that no journey holds two values of.
        spans: Codes of the named columns at each touchpoint.
        blocks: The blocks, which this does not keep alive.
    """

    keys: int = 0
    crossed: int = 0
    twins: int = 0
    facts: tuple[str, ...] = ()
    spans: Spans = field(factory=dict, repr=False)
    blocks: tuple[ref[Block], ...] = field(default=(), repr=False)

    def of(self, blocks: Sequence[Block]) -> Ledger:
        """The same counts as those of these blocks."""
        return evolve(self, blocks=tuple(ref(block) for block in blocks))

    def fits(self, blocks: Sequence[Block]) -> bool:
        """Whether it was counted over these very blocks."""
        pairs = zip(self.blocks, blocks, strict=False)
        return len(self.blocks) == len(blocks) and all(known() is block for known, block in pairs)

    def replacing(self, old: Ledger, new: Ledger) -> Ledger:
        """The counts after the customers of ``old`` became those of ``new``, who have the same events and more."""
        return Ledger(
            (self.keys - old.keys + new.keys) % 2**64, self.crossed - old.crossed + new.crossed,
            self.twins - old.twins + new.twins, tuple(name for name in self.facts if name in new.facts),
            {name: _wider(span, new.spans[name]) if new.spans else span for name, span in self.spans.items()},
        )  # fmt: skip


def _wider(a: tuple[Ints, Ints], b: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Both spans; touchpoints that were met later stand at the end."""
    low, high = b[0].copy(), b[1].copy()
    known = a[0].size
    np.minimum(low[:known], a[0], out=low[:known])
    np.maximum(high[:known], a[1], out=high[:known])
    return low, high
