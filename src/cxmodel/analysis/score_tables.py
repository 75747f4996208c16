"""Scores side by side: one row per respondent, journey or customer, one column per question or touchpoint."""

from __future__ import annotations

from collections.abc import Sequence
from operator import add
from typing import Literal

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Answers, Block, Vocabulary, no_answers
from cxmodel.errors import NotMeasurableError, UnknownNameError, unknown
from cxmodel.model.scales import Scale
from cxmodel.stats.arrays import Bools, Ints, compress, grouped_sum, integers, mix
from cxmodel.stats.floats import Floats
from cxmodel.tallies.cells import BUCKETS
from cxmodel.tallies.codec import allow
from cxmodel.typing import Population

By = Literal["question", "touchpoint"]
Per = Literal["journey", "customer"]


@frozen(eq=False, kw_only=True)
class ScoreTable:
    """Rows that have the outcome.

    Attributes:
        names: Names of the columns.
        scales: Their scales.
        values: (n, p) mean score of the row, NaN where there is none.
        outcome: (n,) the outcome.
        scale: Its scale.
        weight: (n,) answer weight of the outcome.
        bucket: (n,) bucket of the customer, 0 to 1,023.
        customers: Number of different customers.
    """

    names: tuple[str, ...]
    scales: tuple[Scale, ...]
    values: Floats
    outcome: Floats
    scale: Scale
    weight: Floats
    bucket: Ints
    customers: int


def score_table(
    population: Population, *, outcome: str, items: Sequence[str] | None, by: By, per: Per | None, seed: int = 0
) -> ScoreTable:
    """Put answers side by side.

    Args:
        population: Journeys with answers, or the respondents of a survey.
        outcome: Question of the outcome.
        items: Columns to take: questions, or touchpoints with ``by="touchpoint"``; None for all.
        by: What a column is.
        per: What a row is; None for the row of the survey (or journey) where one holds several answers, else the
            customer.
        seed: Seed of the buckets.
    """
    vocabulary = population.vocabulary
    if outcome not in vocabulary.questions:
        raise UnknownNameError(unknown("question", outcome, list(vocabulary.questions)))
    wanted = list(vocabulary.questions).index(outcome)
    size = len(vocabulary.questions)
    nothing = _Met(beside=False, columns=np.zeros(0, np.int64))
    met = population.fold(lambda block: _met(block, wanted, by, size), _Met.plus, nothing)
    row = per or ("journey" if met.beside else "customer")
    names, codes = _columns(vocabulary, met.columns, items, by)
    nobody: tuple[_Rows, ...] = ()
    parts = population.fold(lambda block: _rows(block, wanted, codes, by, row, size, seed), add, nobody)
    if not names or not any(part.outcome.size for part in parts):
        raise NotMeasurableError(f"no answer to {outcome!r} stands beside another answer of the same {row}")
    questions = list(vocabulary.questions.values())
    return ScoreTable(
        names=tuple(names), scales=tuple(questions[code % size].scale for code in codes),
        values=np.concatenate([part.values for part in parts]),
        outcome=np.concatenate([part.outcome for part in parts]),
        scale=vocabulary.questions[outcome].scale, weight=np.concatenate([part.weight for part in parts]),
        bucket=np.concatenate([part.bucket for part in parts]), customers=sum(part.customers for part in parts),
    )  # fmt: skip


@allow
@frozen(kw_only=True, eq=False)
class _Met:
    """What answers there are, before they are put side by side.

    Attributes:
        beside: Whether a journey holds the outcome and something else.
        columns: Distinct codes of what may stand beside it.
    """

    beside: bool
    columns: Ints

    def plus(self, other: _Met) -> _Met:
        """Both together."""
        return _Met(beside=self.beside or other.beside, columns=np.union1d(self.columns, other.columns))


@allow
@frozen(kw_only=True, eq=False)
class _Rows:
    """Some rows of the table; the attributes are those of `ScoreTable`."""

    values: Floats
    outcome: Floats
    weight: Floats
    bucket: Ints
    customers: int


def _met(block: Block, wanted: int, by: By, questions: int) -> _Met:
    answers = block.answers or no_answers()
    columns = compress(_code(answers, by, questions)[_item(answers, wanted, by)])[0]
    return _Met(beside=_beside(block, answers, wanted), columns=columns)


def _beside(block: Block, answers: Answers, wanted: int) -> bool:
    """Whether a journey of the block holds the outcome and something else."""
    has = np.zeros((2, block.journeys), np.bool_)
    has[(answers.question == wanted).astype(np.int64), answers.journey] = True
    return bool(has.all(axis=0).any())


def _code(answers: Answers, by: By, questions: int) -> Ints:
    """Column of each answer: touchpoint and question, the question alone where columns are questions."""
    return answers.question if by == "question" else (answers.touchpoint + 1) * questions + answers.question


def _columns(
    vocabulary: Vocabulary, found: Ints, items: Sequence[str] | None, by: By
) -> tuple[list[str], list[int]]:  # fmt: skip
    """Names and codes of the columns."""
    questions = list(vocabulary.questions)
    several = np.unique(found % len(questions)).size > 1
    names = {code: _name(vocabulary, questions, code, by, several) for code in integers(found)}
    if items is None:
        return list(names.values()), list(names)
    known = {name: code for code, name in names.items()}
    for item in items:
        if item not in known:
            raise UnknownNameError(unknown(by, item, list(known)))
    return list(items), [known[item] for item in items]


def _item(answers: Answers, wanted: int, by: By) -> Bools:
    """Answers that may be a driver: not the outcome, and at a touchpoint where columns are touchpoints."""
    other = np.asarray(answers.question != wanted)
    return other if by == "question" else np.asarray(other & (answers.touchpoint >= 0))


def _name(vocabulary: Vocabulary, questions: Sequence[str], code: int, by: By, several: bool) -> str:
    question = questions[code % len(questions)]
    if by == "question":
        return question
    touchpoint = vocabulary.touchpoints[code // len(questions) - 1]
    return f"{touchpoint}: {question}" if several else touchpoint


def _rows(
    block: Block, wanted: int, codes: Sequence[int], by: By, per: Per, questions: int, seed: int
) -> tuple[_Rows, ...]:
    if block.answers is None:
        return ()
    answers = block.answers
    owner = answers.journey if per == "journey" else block.customer_of_journey[answers.journey]
    is_outcome = answers.question == wanted
    rows, place = compress(owner[is_outcome])
    count = np.bincount(place, minlength=rows.size)
    outcome = grouped_sum(place, answers.score[is_outcome], rows.size) / count
    weight = grouped_sum(place, answers.weight[is_outcome], rows.size) / count
    at = np.full(block.journeys if per == "journey" else block.customers, -1)
    at[rows] = np.arange(rows.size)
    values = np.full((rows.size, len(codes)), np.nan)
    column = _code(answers, by, questions)
    for i, code in enumerate(codes):
        of = np.flatnonzero((column == code) & ~is_outcome & (at[owner] >= 0))
        to = at[owner[of]]
        many = np.bincount(to, minlength=rows.size)
        some = many > 0
        values[some, i] = grouped_sum(to, answers.score[of], rows.size)[some] / many[some]
    customer = block.customer_of_journey[rows] if per == "journey" else rows
    bucket = (mix(block.customer_key[customer], seed) % np.uint64(BUCKETS)).astype(np.int64)
    customers = int(np.unique(customer).size)
    return (_Rows(values=values, outcome=outcome, weight=weight, bucket=bucket, customers=customers),)
