"""Populations: journeys that can be asked, as blocks in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.data.renaming import Renaming
from cxmodel.data.roles import Roles
from cxmodel.data.times import moment
from cxmodel.errors import NoRowsError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Facts, Reading

Step = Callable[[Block], Block]
"""A step of a plan: a block in, a block out; the vocabulary it was given or a wider one."""


@frozen(eq=False, kw_only=True, slots=False)
class MemoryPopulation:
    """Blocks in memory. Steps are applied as soon as they are asked for; arrays that do not change are shared.

    Attributes:
        parts: The blocks.
        vocabulary: What their codes mean.
        reading: What became of the rows.
        origin: Which log, window and filters these are.
        currency: Currency of the values.
        roles: How it was read, where rows can be appended.
        renaming: What became of the raw names, where rules were given.
        keeper: What keeps blocks on disk alive; it goes with the last population that uses them.
    """

    parts: Sequence[Block] = field(repr=False)
    vocabulary: Vocabulary = field(repr=False)
    reading: Reading
    origin: Origin
    currency: str | None = None
    roles: Roles | None = None
    renaming: Renaming | None = field(default=None, repr=False)
    keeper: object = field(default=None, repr=False)

    def blocks(self) -> Iterator[Block]:
        """The blocks, one after the other."""
        return iter(self.parts)

    def then(self, step: Step, *, saying: str | None = None, vocabulary: Vocabulary | None = None) -> MemoryPopulation:
        """The population after a step.

        Args:
            step: What to do with each block.
            saying: What was selected, in words, where the step selects.
            vocabulary: What the codes mean afterwards, where the step widens that.
        """
        parts = [step(block) for block in self.parts]
        origin = evolve(self.origin, filters=(*self.origin.filters, saying)) if saying else self.origin
        return evolve(self, parts=parts, origin=origin, vocabulary=vocabulary or self.vocabulary)

    @property
    def facts(self) -> Facts:
        """What can be asked."""
        return self._facts

    @cached_property
    def _facts(self) -> Facts:
        blocks, vocabulary = self.parts, self.vocabulary
        there = np.zeros(len(vocabulary.touchpoints), np.bool_)
        for block in blocks:
            there |= np.bincount(block.touchpoint, minlength=there.size).astype(np.bool_)
        filled = [block for block in blocks if block.events]
        columns = blocks[0] if blocks else None
        return Facts(
            customers=sum(block.customers for block in blocks),
            journeys=sum(block.journeys for block in blocks),
            events=sum(block.events for block in blocks),
            responses=sum(block.answers.size for block in blocks if block.answers is not None),
            touchpoints=tuple(vocabulary.touchpoints[code] for code in np.flatnonzero(there).tolist()),
            known_touchpoints=vocabulary.touchpoint_labels,
            event_columns=tuple(columns.event_columns) if columns else (),
            journey_columns=tuple(columns.journey_columns) if columns else (),
            touchpoint_columns=tuple(vocabulary.touchpoint_columns),
            questions=dict(vocabulary.questions),
            first=moment(min(int(block.time.min()) for block in filled)) if filled else None,
            last=moment(max(int(block.time.max()) for block in filled)) if filled else None,
            has_value=bool(columns is not None and columns.value is not None),
            currency=self.currency,
            inactivity_declared=bool(columns is not None and columns.still_open is not None),
        )

    def require_events(self) -> None:
        """Raise where nothing is left to ask."""
        if not self.facts.events:
            words = ", ".join(self.origin.filters) or "the reading"
            raise NoRowsError(f"no event is left after {words}", hint=str(self.reading))


def columns_of(blocks: Sequence[Block]) -> Mapping[str, bool]:
    """Names of the columns of the first block; True for facts about journeys."""
    if not blocks:
        return {}
    return {**dict.fromkeys(blocks[0].event_columns, False), **dict.fromkeys(blocks[0].journey_columns, True)}
