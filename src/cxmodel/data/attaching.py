"""Attaching answers: to the journey and the event that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from operator import add
from typing import Any, Final

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from cxmodel.data import placing
from cxmodel.data.answers import AnswerRows, IdColumn
from cxmodel.data.blocks import Answers, Block, Vocabulary
from cxmodel.data.partitioning import STRETCH
from cxmodel.data.placing import REASONS, Reasons, Sought, Wanted
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.texts import Identifiers, Texts, find
from cxmodel.errors import InvalidValueError, NotComparableError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import MOST_EXAMPLES, Count, Example
from cxmodel.model.scales import Question
from cxmodel.stats.arrays import Bools, Ints, Keys, dense_codes, mix, offsets_of


@frozen(kw_only=True)
class Attached:
    """What became of the answers; ``answers`` = ``at_event`` + ``whole_journey`` + unmatched ones.

    Attributes:
        answers: Answers given.
        at_event: Answers that are about an event.
        whole_journey: Answers that are about a journey as a whole.
        unmatched: Reason → count and examples.
    """

    answers: int
    at_event: int
    whole_journey: int
    unmatched: Mapping[str, Count] = field(factory=dict)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "answers": self.answers, "at_event": self.at_event, "whole_journey": self.whole_journey,
            "unmatched": [{"reason": reason, **each.to_dict()} for reason, each in self.unmatched.items()],
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [
            f"{self.answers:,} answers: {self.at_event:,} about a touchpoint, {self.whole_journey:,} about a journey"
        ]
        for reason, each in self.unmatched.items():
            lines.append(f"  {each.count:,} unmatched: {reason} ({', '.join(repr(e.value) for e in each.examples)})")
        return "\n".join(lines)

    def plus(self, other: Attached | None) -> Attached:
        """Both together."""
        if other is None:
            return self
        unmatched = dict(self.unmatched)
        for reason, each in other.unmatched.items():
            unmatched[reason] = unmatched.get(reason, Count(0)).plus(each)
        return Attached(
            answers=self.answers + other.answers, at_event=self.at_event + other.at_event,
            whole_journey=self.whole_journey + other.whole_journey, unmatched=unmatched,
        )  # fmt: skip


def attach(
    population: MemoryPopulation, rows: AnswerRows, *, within: int | None, about: str | None
) -> tuple[MemoryPopulation, Attached]:
    """Attach answers to the events and journeys of a population.

    An answer with a journey id belongs to that journey whatever the times. With a touchpoint it is about the last
    event there at or before it within the window, otherwise about the journey as a whole. Without, it is about the
    last event at or before it within the window whose touchpoint is neither a survey nor a system's.

    Args:
        population: Whose journeys.
        rows: The answers.
        within: Longest time from the event to the answer, µs; None for any.
        about: Touchpoint that all answers are about, where no column says so.
    """
    if rows.customer is None and rows.journey is None:
        raise InvalidValueError(
            "these answers carry neither a customer nor a journey id",
            hint="Read them with customer= or journey=",
        )
    vocabulary, question = _with_questions(population.vocabulary, rows)
    with ThreadPoolExecutor(max_workers=1) as beside:
        what = beside.submit(told, rows, within, about)
        reasons = np.full(rows.row.size, placing.NO_JOURNEY if rows.customer is None else placing.NO_CUSTOMER, np.uint8)
        wanted = _wanted(population, rows, about, reasons)
    placed = np.zeros(rows.row.size, np.bool_)

    def look(block: Block) -> tuple[Answers, ...]:
        # answers of one customer meet one block alone: no two threads write about the same answer
        answers, taken = placing.place(block, rows, wanted, question, within, reasons)
        placed[taken] = True
        return (answers,)

    nothing: tuple[Answers, ...] = ()
    found = population.fold(look, add, nothing)
    blocks = [
        evolve(block, vocabulary=vocabulary, answers=_merged(block.answers, answers))
        for block, answers in zip(population.parts, found, strict=True)
    ]
    at_event = sum(int((answers.event >= 0).sum()) for answers in found)
    report = Attached(
        answers=rows.row.size,
        at_event=at_event,
        whole_journey=int(placed.sum()) - at_event,
        unmatched=_counted(rows, reasons, placed),
    )
    origin = population.origin.after(what.result())
    return evolve(population, parts=blocks, vocabulary=vocabulary, origin=origin), report


def told(rows: AnswerRows, within: int | None, about: str | None) -> str:
    """What was attached, in words: which survey, and how its answers found their events."""
    window = [] if within is None else [f"within {timedelta(microseconds=within)}"]
    return " ".join([f"answers {fingerprint(rows)}", *([f"about {about}"] if about else []), *window])


def _with_questions(vocabulary: Vocabulary, rows: AnswerRows) -> tuple[Vocabulary, Ints]:
    """The vocabulary with these questions, and the new code of each."""
    questions: dict[str, Question] = dict(vocabulary.questions)
    for name, each in rows.questions.items():
        if name in questions and questions[name].respondent != each.respondent:
            raise NotComparableError(
                f"the question {name!r} is already there, answered by {questions[name].respondent}s; these answers are "
                f"of {each.respondent}s",
                hint="Give it another name: read_responses(…, question='…')",
            )
        if name in questions and (questions[name].scale, questions[name].kind) != (each.scale, each.kind):
            raise NotComparableError(
                f"the question {name!r} is already there on the scale {questions[name].scale} "
                f"({questions[name].kind}), these answers are on {each.scale} ({each.kind})",
                hint="Give it another name: read_responses(…, question='…')",
            )
        questions.setdefault(name, each)
    codes = list(questions)
    return evolve(vocabulary, questions=questions), np.array([codes.index(name) for name in rows.questions], np.int64)


def _wanted(population: MemoryPopulation, rows: AnswerRows, about: str | None, reasons: Reasons) -> Wanted:
    named, known, journey = None, np.zeros(0, np.bool_), np.zeros(0, np.uint64)
    if rows.journey is not None:
        if population.vocabulary.journeys is None:
            raise InvalidValueError(
                "the answers carry journey ids but the events have none",
                hint="Read the events with journey=…, or the answers without",
            )
        named = ~rows.journey.absent
        journey, known = _of_each(*_keys(population.vocabulary.journeys, rows.journey))
    nobody = np.ones(rows.row.size, np.bool_) if rows.customer is None else rows.customer.absent
    by_customer = Sought.nothing()
    if rows.customer is not None:
        by_customer = Sought.of(*_keys(population.vocabulary.customers, rows.customer))
    by_journey = _by_journey(population, nobody, named, journey, known, reasons)
    return Wanted(by_customer, by_journey, named, known, journey, _touchpoints(population.vocabulary, rows, about))


def _by_journey(
    population: MemoryPopulation, nobody: Bools, named: Bools | None, journey: Keys, known: Bools, reasons: Reasons
) -> Sought:
    """The answers without a customer by the id of their journey, where it is that of one customer alone."""
    reasons[nobody] = placing.NO_ID
    if named is None or not (nobody & named).any():
        return Sought.nothing()
    reasons[nobody & named] = placing.NO_JOURNEY
    mine = nobody & named & known
    shared = mine & np.isin(journey, shared_ids(population.parts))
    reasons[shared] = placing.SHARED
    rest = np.flatnonzero(mine & ~shared)
    code, keys = dense_codes(journey[rest])
    of_each = np.full(journey.size, -1)
    of_each[rest] = code
    return Sought.of(keys, of_each)


def _touchpoints(vocabulary: Vocabulary, rows: AnswerRows, about: str | None) -> Ints:
    """(answers,) code of the touchpoint that each is about; one that never occurs here can be met by no event."""
    codes = vocabulary.touchpoint_codes
    unsaid = placing.ANYWHERE if about is None else codes.get(about, placing.NOWHERE)
    table = [unsaid, *(codes.get(name, placing.NOWHERE) for name in rows.touchpoints.names[1:])]
    return np.array(table, np.int64)[rows.touchpoint]


def _keys(identifiers: Identifiers, column: IdColumn) -> tuple[Keys, Ints]:
    """The keys here of the distinct ids that are known here, and for each answer the row of its among them or −1."""
    if identifiers.keys is None and column.identifiers.keys is None:
        return column.coded
    texts, code = column.listed
    keys, found = find(identifiers, texts)
    place = np.append(np.where(found, np.cumsum(found) - 1, -1), -1)
    return keys[found], place[code]


def _of_each(keys: Keys, code: Ints) -> tuple[Keys, Bools]:
    """The key of each answer, and whether it has one."""
    return np.append(keys, np.uint64(0))[code], code >= 0


def shared_ids(blocks: Sequence[Block]) -> Keys:
    """Ids of journeys that several customers have."""
    ids = [block.journey_id for block in blocks if block.journey_id is not None]
    owners = [block.customer[block.customer_of_journey] for block in blocks if block.journey_id is not None]
    if not ids:
        return np.zeros(0, np.uint64)
    journey, customer = np.concatenate(ids), np.concatenate(owners)
    order = np.lexsort((customer, journey))
    j, c = journey[order], customer[order]
    return np.unique(j[1:][(j[1:] == j[:-1]) & (c[1:] != c[:-1])])


def _counted(rows: AnswerRows, reasons: Reasons, placed: Bools) -> dict[str, Count]:
    out: dict[str, Count] = {}
    lost = np.flatnonzero(~placed)
    for reason, code in sorted((REASONS[code], code) for code in np.unique(reasons[lost]).tolist()):
        found = lost[reasons[lost] == code]
        out[reason] = Count(
            int(found.size),
            tuple(Example("answers", int(rows.row[i]) + 1, _told_id(rows, i)) for i in found[:MOST_EXAMPLES].tolist()),
        )
    return out


def _told_id(rows: AnswerRows, row: int) -> str | None:
    """The id of an answer: its customer's, or its journey's where it carries no customer."""
    there = (column.text(row) for column in (rows.customer, rows.journey) if column is not None)
    return next((text for text in there if text is not None), None)


def _merged(a: Answers | None, b: Answers) -> Answers:
    """Answers of two surveys, in the order of (journey, time, input)."""
    if a is None or not a.size:
        return b
    joined = {name: np.concatenate([getattr(a, name), getattr(b, name)]) for name in _NAMES}
    order = np.lexsort((joined["time"], joined["journey"]))
    return Answers(**{name: values[order] for name, values in joined.items()})


_NAMES: Final = ("journey", "event", "touchpoint", "question", "score", "time", "weight")


def alone(rows: AnswerRows) -> MemoryPopulation:
    """A survey as a population of its own: respondents with their answers, and no events."""
    last = int(rows.row.max()) + 1
    fresh = np.concatenate([[True], rows.row[1:] != rows.row[:-1]])
    respondent = np.cumsum(fresh) - 1
    if rows.customer is None:
        owner = np.arange(last)[rows.row[fresh]]
        identifiers, texts = Identifiers(), None
    else:
        known, code = rows.customer.listed[0], rows.customer.listed[1][fresh]
        # an answer without an id is of somebody else each time
        owner = np.where(code >= 0, code, len(known) + np.cumsum(code < 0) - 1)
        strangers = [f"without id {i + 1}" for i in range(int((code < 0).sum()))]
        texts = Texts.joined([known, Texts.of(strangers)])
        identifiers = Identifiers(np.arange(len(texts), dtype=np.uint64), texts)
    order = np.argsort(owner, kind="stable")
    customers, count = np.unique(owner, return_counts=True)
    rank = np.empty(order.size, np.int64)
    rank[order] = np.arange(order.size)
    journey = rank[respondent]
    place = np.lexsort((rows.time, journey))
    columns = {name: column[fresh][order] for name, column in rows.columns.items()}
    vocabulary = Vocabulary(
        touchpoints=rows.touchpoints.names[1:],
        questions=rows.questions,
        customers=identifiers,
        columns=rows.labels,
    )
    answers = Answers(
        journey=journey[place], event=np.full(place.size, -1), touchpoint=rows.touchpoint[place] - 1,
        question=rows.question[place], score=rows.score[place], time=rows.time[place], weight=rows.weight[place],
    )  # fmt: skip
    block = Block(
        vocabulary=vocabulary, customer_offsets=offsets_of(count), journey_offsets=np.zeros(order.size + 1, np.int64),
        customer=customers.astype(np.uint64), touchpoint=np.zeros(0, np.uint8), time=np.zeros(0, np.int64),
        journey_columns=columns, answers=answers,
    )  # fmt: skip
    return MemoryPopulation(
        parts=[block], vocabulary=vocabulary, reading=rows.reading,
        origin=Origin(source=fingerprint(rows), rejected=rows.reading.rejected_rows),
    )  # fmt: skip


def fingerprint(rows: AnswerRows) -> str:
    """Tells surveys apart by who answered what about what, when and how.

    The order of the rows does not matter, but where an answer names nobody: its row is all that tells who gave it.
    """
    questions = Texts.of([f"{name}: {question}" for name, question in rows.questions.items()]).keys()
    places = Texts.of(list(rows.touchpoints.names)).keys()
    ids = [column for column in (rows.customer, rows.journey) if column is not None]
    nobody = np.logical_and.reduce([np.ones(rows.row.size, np.bool_), *(column.absent for column in ids)])
    parts: list[tuple[NDArray[Any], Ints | None]] = [
        (rows.score, None), (questions, rows.question), (rows.time, None), (rows.weight, None),
        (places, rows.touchpoint), *(_id_keys(column) for column in ids), (np.where(nobody, rows.row, -1), None),
    ]  # fmt: skip
    total = 0
    for start in range(0, rows.row.size, STRETCH):
        part, keys = slice(start, start + STRETCH), np.zeros(1, np.uint64)
        for turn, (values, code) in enumerate(parts):
            found = values[part] if code is None else values[code[part]]
            keys = mix(keys ^ np.ascontiguousarray(found).view(np.uint64), turn)
        total += int(keys.sum(dtype=np.uint64))
    return f"{total % 2**64:016x}"


def _id_keys(column: IdColumn) -> tuple[Keys, Ints]:
    """The hashes of ids, equal whatever was read beside them, and which is each answer's; 0 where there is none."""
    texts, code = column.listed
    return np.append(texts.keys(), np.uint64(0)), code
