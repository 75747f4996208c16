"""Moments: the scores on the touchpoints of a journey, in order of time, and what can be said of them."""

from __future__ import annotations

from typing import Final

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Block, no_answers
from cxmodel.model.scales import Scale
from cxmodel.stats.arrays import Ints, offsets_of, segment_of
from cxmodel.stats.floats import Floats

_DISTANT: Final = 1e-9


@frozen(eq=False)
class JourneyScores:
    """The scores on the touchpoints of each journey that has any, in order of time.

    Attributes:
        journey: (j,) row of each journey.
        offsets: (j + 1,) scores of journey i are ``offsets[i]:offsets[i + 1]``; none is empty.
        score: (n,) scores, in the points of the scale.
        time: (n,) µs UTC of the touchpoint.
        weight: (j,) mean answer weight of the journey's scores.
        neutral: Score that is neither good nor bad.
        sign: 1 where higher scores are better, −1 where lower ones are.
    """

    journey: Ints
    offsets: Ints
    score: Floats
    time: Ints
    weight: Floats
    neutral: float
    sign: float

    @property
    def owner(self) -> Ints:
        """(n,) place of each score's journey."""
        return segment_of(self.offsets)

    def total(self, values: Floats) -> Floats:
        """(j,) sum of values, one per score."""
        return np.add.reduceat(values, self.offsets[:-1])

    def highest(self, values: Floats) -> Floats:
        """(j,) largest value, one per score."""
        return np.maximum.reduceat(values, self.offsets[:-1])

    @property
    def mean(self) -> Floats:
        """(j,) plain mean of the scores."""
        return self.total(self.score) / np.diff(self.offsets)

    @property
    def end(self) -> Floats:
        """(j,) last score."""
        return self.score[self.offsets[1:] - 1]

    @property
    def trough(self) -> Floats:
        """(j,) worst score."""
        return -self.sign * self.highest(-self.sign * self.score)

    @property
    def extreme(self) -> Floats:
        """(j,) score farthest from neutral; of two that are equally far the bad one."""
        goodness = self.sign * (self.score - self.neutral)
        far = self.highest(np.abs(goodness))[self.owner]
        at_it = np.abs(goodness) >= far - _DISTANT * np.maximum(far, 1.0)
        return self.neutral - self.sign * self.highest(np.where(at_it, -goodness, -np.inf))


def moment_rows(block: Block, code: int) -> Ints:
    """Rows of the answers to one question that are about a touchpoint, in order of the touchpoints.

    An answer about the journey as a whole is no moment of it. Several answers about one event keep the order of their
    own times.
    """
    answers = block.answers
    if answers is None:
        return np.zeros(0, np.int64)
    rows = np.flatnonzero((answers.question == code) & (answers.event >= 0) & np.isfinite(answers.score))
    return rows[np.argsort(answers.event[rows], kind="stable")]


def scores_of(block: Block, rows: Ints, owner: Ints, scale: Scale, neutral: float | None) -> JourneyScores:
    """The scores of answers by their owner, a journey or a customer.

    Args:
        block: The block.
        rows: Rows of the answers, in order of time for each owner.
        owner: Row of the owner of each, ascending.
        scale: Scale of the scores.
        neutral: Score that is neither good nor bad; the middle of the scale if not given.
    """
    answers = no_answers() if block.answers is None else block.answers
    journey, length = np.unique(owner, return_counts=True)
    offsets = offsets_of(length)
    return JourneyScores(
        journey=journey, offsets=offsets, score=answers.score[rows], time=block.time[answers.event[rows]],
        weight=np.add.reduceat(answers.weight[rows], offsets[:-1]) / length,
        neutral=scale.neutral if neutral is None else neutral, sign=-1.0 if scale.direction == "lower" else 1.0,
    )  # fmt: skip


def journey_scores(block: Block, code: int, scale: Scale, neutral: float | None) -> JourneyScores:
    """The scores that answers to one question gave to touchpoints, by journey and in order of the touchpoints."""
    rows = moment_rows(block, code)
    owner = rows if block.answers is None else block.journey[block.answers.event[rows]]
    return scores_of(block, rows, owner, scale, neutral)
