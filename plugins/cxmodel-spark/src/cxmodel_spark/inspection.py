"""The inspection: what reading finds out about the blocks of a log, as a small state that merges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block
from cxmodel.data.counting import Counts, counts_of, merge_counts, no_counts
from cxmodel.data.events import codes_by_touchpoint, counted, giants, key_sum, oddities
from cxmodel.data.grouping import constant, interleaved, repeated
from cxmodel.data.roles import Roles
from cxmodel.data.texts import Texts
from cxmodel.stats.arrays import Ints
from cxmodel.tallies.codec import allow


@allow
@frozen(kw_only=True, eq=False)
class Inspection:
    """What reading finds out.

    Attributes:
        counts: What the blocks hold.
        constant: Attributes of which no journey holds two values; None before any block.
        lowest: Named column → (touchpoints,) its lowest code there.
        highest: Named column → (touchpoints,) its highest code there.
        crossed: Journeys that begin before an earlier one of the same customer has ended.
        twins: Events that repeat an earlier one.
        ties: Events at the time of the one before them, of which nothing but the touchpoint's name says which is first.
        giants: Customers with more events than a customer has, in words.
        keys: What the fingerprint is made of.
        met: What was met while pairing starts and ends.
        names: (names,) rows of each raw name, dropped or kept; empty without rules.
    """

    counts: Counts = field(factory=no_counts)
    constant: tuple[str, ...] | None = None
    lowest: Mapping[str, Ints] = field(factory=dict)
    highest: Mapping[str, Ints] = field(factory=dict)
    crossed: int = 0
    twins: int = 0
    ties: int = 0
    giants: tuple[str, ...] = ()
    keys: int = 0
    met: Mapping[str, int] = field(factory=dict)
    names: Ints = field(factory=lambda: np.zeros(0, np.int64))

    def notes(self, facts: Sequence[str], roles: Roles, *, turned: bool) -> list[str]:
        """What was found, in words; ``turned`` where appended rows come after others of the same time."""
        notes = [*counted(self.met), *oddities(facts, self.crossed if roles.journey else 0, self.twins), *self.giants]
        if self.ties and not roles.order:
            what = "the order of appending, then the touchpoint's name" if turned else "the touchpoint's name"
            notes.append(f"{self.ties:,} events have the time of the one before; {what} decides")
        return notes


def inspection_of(block: Block, roles: Roles) -> Inspection:
    """What one block, as it was grouped, tells."""
    coded = {name: codes_by_touchpoint(block, name) for name in roles.named}
    return Inspection(
        counts=counts_of(block), constant=tuple(constant([block], roles.attributes)),
        lowest={name: low for name, (low, _) in coded.items()},
        highest={name: high for name, (_, high) in coded.items()},
        crossed=interleaved(block), twins=repeated(block), ties=_ties(block), giants=tuple(giants(block)),
        keys=key_sum(block, Texts.of(block.vocabulary.touchpoints).keys()),
    )  # fmt: skip


def merge_inspections(a: Inspection, b: Inspection) -> Inspection:
    """What both tell."""
    met = {words: a.met.get(words, 0) + b.met.get(words, 0) for words in {**a.met, **b.met}}
    names = a.names + b.names if a.names.size and b.names.size else a.names if a.names.size else b.names
    if a.constant is None or b.constant is None:
        return evolve(b if a.constant is None else a, met=met, names=names)
    return Inspection(
        counts=merge_counts(a.counts, b.counts), constant=tuple(name for name in a.constant if name in b.constant),
        lowest={name: np.minimum(a.lowest[name], b.lowest[name]) for name in a.lowest},
        highest={name: np.maximum(a.highest[name], b.highest[name]) for name in a.highest},
        crossed=a.crossed + b.crossed, twins=a.twins + b.twins, ties=a.ties + b.ties, giants=(*a.giants, *b.giants),
        keys=(a.keys + b.keys) % 2**64, met=met, names=names,
    )  # fmt: skip


def _ties(block: Block) -> int:
    same = (block.time[1:] == block.time[:-1]) & (block.journey[1:] == block.journey[:-1])
    return int(np.count_nonzero(same & (block.touchpoint[1:] != block.touchpoint[:-1])))
