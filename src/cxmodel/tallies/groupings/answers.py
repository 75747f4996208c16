"""Groupings of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from attrs import evolve, frozen

from cxmodel.data.blocks import Block, Unit, Vocabulary
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, integers
from cxmodel.tallies.groupings.base import Assigned, By


@frozen
class ByQuestion(By[str]):
    """By question of the survey."""

    units: ClassVar[frozenset[Unit]] = frozenset({"response"})

    @property
    def names(self) -> tuple[str, ...]:
        """``("question",)``."""
        return ("question",)

    def views(self, facts: Facts) -> Sequence[Facts]:
        """One question at a time."""
        return [evolve(facts, questions={name: each}) for name, each in facts.questions.items()] or (facts,)

    def size(self, vocabulary: Vocabulary) -> int:
        """Number of questions."""
        return len(vocabulary.questions)

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[str]:
        """Names of the questions."""
        names = list(vocabulary.questions)
        return [names[code] for code in integers(codes)]

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """The question that each answer answers."""
        assert block.answers is not None
        return Assigned(np.arange(at.size), block.answers.question[at])
