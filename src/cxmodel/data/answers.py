"""Answers: reading survey answers into arrays, one row per answer and question."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from attrs import evolve, field, frozen

from cxmodel.data.blocks import Labels
from cxmodel.data.fields import Field
from cxmodel.data.rows import Rows, read_rows
from cxmodel.data.sources import open_tables
from cxmodel.data.texts import Identifiers, Texts
from cxmodel.errors import NoRowsError
from cxmodel.model.readings import MOST_EXAMPLES, Count, Example, Reading
from cxmodel.model.scales import Question
from cxmodel.stats.arrays import Bools, Ints, Keys, dense_codes, integers
from cxmodel.stats.floats import Floats
from cxmodel.typing import Source

UNKNOWN_TIME = int(np.iinfo(np.int64).min)


@frozen(kw_only=True)
class AnswerRoles:
    """Which column plays which part; only the questions are needed.

    Attributes:
        questions: Column of the score → name of the question and its scale.
        customer: Id of the customer.
        journey: Id of the journey.
        time: When it was answered.
        touchpoint: Touchpoint that it was given at.
        about: Touchpoint that it is about.
        weight: Answer weight.
        respondent: Whose voice it is.
        attributes: Further columns to keep.
    """

    questions: Mapping[str, tuple[str, Question]]
    customer: str | None = None
    journey: str | None = None
    time: str | None = None
    touchpoint: str | None = None
    about: str | None = None
    weight: str | None = None
    attributes: tuple[str, ...] = ()

    def fields(self) -> list[Field]:
        """What to read."""
        fields = [Field(f"?{i}", column, "text") for i, column in enumerate(self.questions)]
        ids = (("customer", self.customer), ("journey", self.journey))
        fields += [Field(role, column, "id") for role, column in ids if column is not None]
        if self.time is not None:
            fields.append(Field("time", self.time, "time"))
        place = self.about or self.touchpoint
        if place is not None:
            fields.append(Field("touchpoint", place, "text"))
        if self.weight is not None:
            fields.append(Field("weight", self.weight, "number"))
        return fields + [Field(f"={column}", column, "any") for column in self.attributes]


@frozen(kw_only=True, eq=False)
class AnswerRows:
    """Answers in the order of the source; one row of the source may hold several.

    Attributes:
        row: Row of the source among the kept ones: answers of one row are of one respondent.
        question: Code of the question.
        score: Score.
        time: µs UTC; the smallest int64 where unknown.
        weight: Answer weight.
        touchpoint: Code of the touchpoint in ``touchpoints``; 0 where there is none.
        touchpoints: Labels of the touchpoints.
        customer: Ids of the customers; None without the column.
        journey: Ids of the journeys, likewise.
        questions: The questions in the order of their code.
        columns: Further columns: codes or numbers.
        labels: Labels of the coded ones.
        reading: What became of the rows.
    """

    row: Ints
    question: Ints
    score: Floats
    time: Ints
    weight: Floats
    touchpoint: Ints
    touchpoints: Labels
    customer: IdColumn | None
    journey: IdColumn | None
    questions: Mapping[str, Question]
    columns: Mapping[str, Ints | Floats] = field(factory=dict)
    labels: Mapping[str, Labels | None] = field(factory=dict)
    reading: Reading


@frozen(eq=False, slots=False)
class IdColumn:
    """A column of ids.

    Attributes:
        identifiers: The distinct ids.
        key: Source key of the id of each answer; meaningless where absent.
        absent: Where an answer has no id.
    """

    identifiers: Identifiers
    key: Keys
    absent: Bools

    def text(self, row: int) -> str | None:
        """The id of an answer."""
        return None if self.absent[row] else self.identifiers.text(int(self.key[row]))

    @cached_property
    def coded(self) -> tuple[Keys, Ints]:
        """The distinct source keys, in no order, and for each answer the row of its among them or −1."""
        there = np.flatnonzero(~self.absent)
        place, distinct = dense_codes(self.key[there], repeated=False)
        code = np.full(self.key.size, -1)
        code[there] = place
        return distinct, code

    @cached_property
    def listed(self) -> tuple[Texts, Ints]:
        """The distinct texts, and for each answer the row of its among them or −1."""
        distinct, code = self.coded
        return self.identifiers.texts_of(distinct), code


def read(source: Source, roles: AnswerRoles, *, tz: str | None = None) -> AnswerRows:
    """Read answers.

    Args:
        source: What to read.
        roles: Which column plays which part.
        tz: Zone of times that name none.

    Raises:
        NoRowsError: When no answer could be kept.
    """
    fields = roles.fields()
    with open_tables(source, [each.column for each in fields]) as (connection, tables):
        rows = read_rows(connection, tables, fields, tz=tz)
        name = tables[0].name if tables else "rows"
    weight, bad_weights = _weights(rows)
    parts: list[tuple[Ints, Floats, int]] = []
    rejected: dict[str, Count] = dict(rows.reading.rejected)
    several = len(roles.questions) > 1
    for code, (question, asked) in enumerate(roles.questions.values()):
        scores, faults = _scores(rows, code, asked, name, question if several else None)
        scores[bad_weights] = np.nan
        kept = np.flatnonzero(~np.isnan(scores))
        parts.append((kept, scores[kept], code))
        for reason, count in faults.items():
            rejected[reason] = rejected.get(reason, Count(0)).plus(count)
    if bad_weights.any():
        rejected["weight that is missing or negative"] = _examples(np.flatnonzero(bad_weights), None, name)
    row, score, question_of = _in_order(parts)
    if not row.size:
        raise NoRowsError("no answer could be kept", hint=str(evolve(rows.reading, rejected=rejected, kept=0)))
    # of one question whose answers were all kept nothing is copied
    pick = row if several or row.size < rows.size else slice(None)
    total = (rows.size if several else rows.reading.rows) * (len(roles.questions) if several else 1)
    return AnswerRows(
        row=row, question=question_of, score=score, weight=weight[pick],
        time=rows.arrays["time"][pick] if "time" in rows.arrays else np.broadcast_to(UNKNOWN_TIME, row.size),
        touchpoint=rows.arrays.get("touchpoint", np.zeros(rows.size))[pick].astype(np.int64),
        touchpoints=rows.labels.get("touchpoint", Labels([""])),
        customer=_ids(rows, "customer", pick), journey=_ids(rows, "journey", pick),
        questions=dict(roles.questions.values()),
        columns={role[1:]: array[pick] for role, array in rows.arrays.items() if role.startswith("=")},
        labels={role[1:]: rows.labels.get(role) for role in rows.arrays if role.startswith("=")},
        reading=Reading(rows=total, kept=int(row.size), rejected=rejected, notes=rows.reading.notes),
    )  # fmt: skip


def _in_order(parts: Sequence[tuple[Ints, Floats, int]]) -> tuple[Ints, Floats, Ints]:
    """Row, score and question of the answers to all questions, in the order of rows; those to one are in order."""
    if len(parts) == 1:
        [(row, score, code)] = parts
        return row, score, np.broadcast_to(code, row.size)
    row = np.concatenate([part[0] for part in parts])
    order = np.argsort(row, kind="stable")
    question = np.concatenate([np.full(part[0].size, part[2]) for part in parts])
    return row[order], np.concatenate([part[1] for part in parts])[order], question[order]


def _weights(rows: Rows) -> tuple[Floats, Bools]:
    if "weight" not in rows.arrays:
        return np.broadcast_to(1.0, rows.size), np.broadcast_to(False, rows.size)
    weight = rows.arrays["weight"]
    return weight, ~(weight >= 0)


def _scores(rows: Rows, code: int, question: Question, file: str, named: str | None) -> tuple[Floats, dict[str, Count]]:
    """The scores of one question; NaN where there is no answer, and why."""
    labels, codes = rows.labels[f"?{code}"], rows.arrays[f"?{code}"]
    values = np.full(len(labels), np.nan)
    reasons: list[str] = ["no answer"] * len(labels)
    for i, text in enumerate(labels.names):
        if i:
            values[i], reasons[i] = _score(text, question)
    scores = values[codes]
    counts: dict[str, Count] = {}
    suffix = f" ({named})" if named else ""
    for i in integers(np.unique(codes[np.isnan(scores)])):
        found = _examples(np.flatnonzero(codes == i), labels.names[i] if i else None, file)
        counts[reasons[i] + suffix] = counts.get(reasons[i] + suffix, Count(0)).plus(found)
    return scores, counts


def _score(text: str, question: Question) -> tuple[float, str]:
    plain = text.strip()
    if plain in question.codes:
        meant = question.codes[plain]
        return (np.nan, f"code {plain} means no answer") if meant is None else (float(meant), "")
    try:
        score = float(plain)
    except ValueError:
        return np.nan, "score that is not a number"
    whole = str(int(score)) if score.is_integer() else plain
    if whole in question.codes:
        meant = question.codes[whole]
        return (np.nan, f"code {whole} means no answer") if meant is None else (float(meant), "")
    why = question.scale.reject(score)
    return (np.nan, f"score {why}") if why else (score, "")


def _examples(rows: Sequence[int] | Ints, value: str | None, file: str) -> Count:
    return Count(len(rows), tuple(Example(file, int(row) + 1, value) for row in rows[:MOST_EXAMPLES]))


def _ids(rows: Rows, role: str, pick: Ints | slice) -> IdColumn | None:
    if role not in rows.arrays:
        return None
    return IdColumn(rows.identifiers[role], rows.arrays[role][pick], rows.absent[role][pick])
