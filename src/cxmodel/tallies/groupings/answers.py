"""Groupings of answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

import numpy as np
from attrs import evolve, frozen

from cxmodel.data.blocks import Block, Unit, Vocabulary
from cxmodel.model.readings import Facts
from cxmodel.model.scales import NpsScale, Scale
from cxmodel.stats.arrays import Ints, integers
from cxmodel.stats.floats import Floats
from cxmodel.tallies.groupings.base import NONE, Assigned, By


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


_OPINIONS: Final = ("promoter", "passive", "detractor", "satisfied", "not satisfied")


@frozen
class ByOpinion(By[str]):
    """By what an answer says: promoter, passive or detractor; on other scales satisfied or not.

    Promoters answer 9 or 10, passives 7 or 8, detractors 0 to 6. Where a scale does not say from where an answer is
    satisfied, its answers are unassigned.
    """

    units: ClassVar[frozenset[Unit]] = frozenset({"response"})

    @property
    def names(self) -> tuple[str, ...]:
        """``("opinion",)``."""
        return ("opinion",)

    def size(self, vocabulary: Vocabulary) -> int:
        """Number of opinions."""
        return len(_OPINIONS)

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[str]:
        """Names of the opinions."""
        return [_OPINIONS[code] for code in integers(codes)]

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """What each answer says on the scale of its question."""
        assert block.answers is not None
        group = np.full(at.size, NONE)
        for code, question in enumerate(block.vocabulary.questions.values()):
            mine = np.flatnonzero(block.answers.question[at] == code)
            group[mine] = _opinion(block.answers.score[at[mine]], question.scale)
        return Assigned(np.arange(at.size), group)


def _opinion(score: Floats, scale: Scale) -> Ints:
    """Place of what each score says among the opinions."""
    if isinstance(scale, NpsScale):
        return np.where(score >= 9, 0, np.where(score >= 7, 1, 2))
    if scale.satisfied is None:
        return np.full(score.size, NONE)
    happy = score <= scale.satisfied if scale.direction == "lower" else score >= scale.satisfied
    return np.where(happy, 3, 4)
