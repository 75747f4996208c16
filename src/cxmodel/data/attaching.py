"""Attaching answers: to the journey and the event that they are about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

import numpy as np
from attrs import evolve, field, frozen
from numpy.typing import NDArray

from cxmodel.data.answers import UNKNOWN_TIME, AnswerRows, IdColumn
from cxmodel.data.blocks import Answers, Block, Vocabulary
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.texts import Identifiers, Texts, find
from cxmodel.errors import InvalidValueError, NotComparableError
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import MOST_EXAMPLES, Count, Example
from cxmodel.model.scales import Question
from cxmodel.stats.arrays import Bools, Ints, Keys, mix, offsets_of, ranges

_Words: TypeAlias = NDArray[np.object_]

_NO_CUSTOMER: Final = "no customer with this id"
_NO_JOURNEY: Final = "no journey with this id"
SHARED: Final = "several customers share this journey id"
_TOO_EARLY: Final = "before the customer's first touchpoint"
_TOO_LATE: Final = "no touchpoint within the window"
_NO_TIME: Final = "no time, and the customer has several journeys"
_NO_ID: Final = "no id"


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


@frozen(eq=False)
class _Wanted:
    """The answers with the keys that they carry here.

    Attributes:
        customer: Source key of the customer; meaningless without one.
        has_customer: Whether the customer is known here.
        journey: Source key of the journey; meaningless without one.
        has_journey: Whether an id of a journey was given and is known here.
        touchpoint: Code of the touchpoint that it is about; −1 where none was said.
        by_customer: The order of the answers by their customer.
    """

    customer: Keys
    has_customer: Bools
    journey: Keys
    has_journey: Bools
    touchpoint: Ints
    by_customer: Ints


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
    reasons = np.full(rows.row.size, "", object)
    wanted = _wanted(population, rows, about, reasons)
    placed = np.zeros(rows.row.size, np.bool_)
    at_event = 0
    blocks = []
    for block in population.parts:
        answers, taken, events = _of_block(block, rows, wanted, question, within, reasons)
        placed[taken] = True
        at_event += events
        blocks.append(evolve(block, vocabulary=vocabulary, answers=_merged(block.answers, answers)))
    unmatched = _counted(rows, reasons, placed)
    report = Attached(
        answers=rows.row.size,
        at_event=at_event,
        whole_journey=int(placed.sum()) - at_event,
        unmatched=unmatched,
    )
    return evolve(population, parts=blocks, vocabulary=vocabulary), report


def _with_questions(vocabulary: Vocabulary, rows: AnswerRows) -> tuple[Vocabulary, Ints]:
    """The vocabulary with these questions, and the new code of each."""
    questions: dict[str, Question] = dict(vocabulary.questions)
    for name, each in rows.questions.items():
        if name in questions and (questions[name].scale, questions[name].kind) != (each.scale, each.kind):
            raise NotComparableError(
                f"the question {name!r} is already there on the scale {questions[name].scale} "
                f"({questions[name].kind}), these answers are on {each.scale} ({each.kind})",
                hint="Give it another name: read_responses(…, question='…')",
            )
        questions.setdefault(name, each)
    codes = list(questions)
    return evolve(vocabulary, questions=questions), np.array([codes.index(name) for name in rows.questions], np.int64)


def _wanted(population: MemoryPopulation, rows: AnswerRows, about: str | None, reasons: _Words) -> _Wanted:
    size = rows.row.size
    customers = [block.customer for block in population.parts]
    customer, has_customer = _keys(population.vocabulary.customers, rows.customer, size, customers)
    if rows.customer is not None:
        reasons[~has_customer] = _NO_CUSTOMER
        reasons[rows.customer.code < 0] = _NO_ID
    journey, has_journey = np.zeros(size, np.uint64), np.zeros(size, np.bool_)
    if rows.journey is not None:
        if population.vocabulary.journeys is None:
            raise InvalidValueError(
                "the answers carry journey ids but the events have none",
                hint="Read the events with journey=…, or the answers without",
            )
        journeys = [block.journey_id for block in population.parts if block.journey_id is not None]
        journey, has_journey = _keys(population.vocabulary.journeys, rows.journey, size, journeys)
        lost = (rows.journey.code >= 0) & ~has_journey
        reasons[lost & (reasons == "")] = _NO_JOURNEY
        has_customer &= ~lost
        if rows.customer is None:
            reasons[rows.journey.code < 0] = _NO_ID
            shared = np.isin(journey, shared_ids(population.parts)) & has_journey
            reasons[shared], has_journey[shared] = SHARED, False
    codes = population.vocabulary.touchpoint_codes
    names = np.array([codes.get(name, -1) for name in rows.touchpoints.names], np.int64)
    touchpoint = np.where(rows.touchpoint > 0, names[rows.touchpoint], -1)
    # a touchpoint that never occurs here can be met by no event: the answer is about the whole journey
    touchpoint[(rows.touchpoint > 0) & (touchpoint < 0)] = -2
    if about is not None:
        touchpoint[touchpoint == -1] = codes.get(about, -2)
    return _Wanted(customer, has_customer, journey, has_journey, touchpoint, np.argsort(customer))


def _keys(
    identifiers: Identifiers, column: IdColumn | None, size: int, here: Sequence[Keys]
) -> tuple[Keys, Bools]:  # fmt: skip
    """The key of each answer's id, and whether it is among those that are here."""
    if column is None:
        return np.zeros(size, np.uint64), np.zeros(size, np.bool_)
    keys, found = find(identifiers, column.texts)
    found &= np.isin(keys, np.concatenate(here) if here else keys[:0])
    there = column.code >= 0
    out, has = np.zeros(size, np.uint64), np.zeros(size, np.bool_)
    out[there], has[there] = keys[column.code[there]], found[column.code[there]]
    return out, has


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


def _of_block(
    block: Block, rows: AnswerRows, wanted: _Wanted, question: Ints, within: int | None, reasons: _Words
) -> tuple[Answers, Ints, int]:  # fmt: skip
    """The answers of one block; which rows they are; how many are about an event."""
    taken, low, high, by_journey = _scopes(block, rows, wanted, reasons)
    time = rows.time[taken]
    order = _by_time(block)
    event = np.full(taken.size, -1)
    eligible = _eligible(block)
    about = wanted.touchpoint[taken]
    for code in np.unique(about[about != -2]).tolist():
        mine = np.flatnonzero((about == code) & (time != UNKNOWN_TIME))
        hits = eligible if code == -1 else block.touchpoint == code
        for scoped in (True, False):
            part = mine[by_journey[mine] == scoped]
            event[part] = _last_before(block, None if scoped else order, hits, low[part], high[part], time[part])
    if within is not None:
        event[(event >= 0) & (time - block.time[event] > within)] = -1
    journey, why = _journeys(block, event, low, high, by_journey, time, about, within is not None)
    lost = journey < 0
    reasons[taken[lost]] = why[lost]
    kept = np.flatnonzero(~lost)
    place = np.lexsort((taken[kept], time[kept], journey[kept]))
    kept = kept[place]
    row = taken[kept]
    touchpoint = np.where(event[kept] >= 0, block.touchpoint[event[kept]].astype(np.int64), -1)
    answers = Answers(
        journey=journey[kept], event=event[kept], touchpoint=touchpoint, question=question[rows.question[row]],
        score=rows.score[row], time=rows.time[row], weight=rows.weight[row],
    )  # fmt: skip
    return answers, row, int((event[kept] >= 0).sum())


def _scopes(
    block: Block, rows: AnswerRows, wanted: _Wanted, reasons: _Words
) -> tuple[Ints, Ints, Ints, Bools]:  # fmt: skip
    """Answers that meet this block, with the journeys they may belong to and whether a journey id said so."""
    size = rows.row.size
    low, high = np.full(size, -1), np.full(size, -1)
    if rows.customer is not None:
        row, found = _rows_of(block.customer, wanted.customer, wanted.by_customer)
        found &= wanted.has_customer
        low[found], high[found] = block.customer_offsets[row[found]], block.customer_offsets[row[found] + 1]
    named = wanted.has_journey
    if rows.journey is not None and block.journey_id is not None and named.any():
        owner = block.customer[block.customer_of_journey]
        mine, theirs = block.journey_id, wanted.journey
        if rows.customer is not None:
            mine, theirs = mix(mine) ^ mix(owner, 3), mix(theirs) ^ mix(wanted.customer, 3)
        order = np.argsort(mine, kind="stable")
        first = np.searchsorted(mine, theirs, "left", sorter=order)
        last = np.searchsorted(mine, theirs, "right", sorter=order)
        hit = named & (last > first) & (wanted.has_customer | (rows.customer is None))
        if rows.customer is not None:
            missed = named & (low >= 0) & ~hit
            reasons[missed] = _NO_JOURNEY
            low[missed] = -1
        low[hit], high[hit] = order[first[hit]], order[last[hit] - 1] + 1
    taken = np.flatnonzero(low >= 0)
    return taken, low[taken], high[taken], named[taken]


def _rows_of(keys: Keys, wanted: Keys, order: Ints) -> tuple[Ints, Bools]:
    """The row of each wanted key, where there is one; the keys are distinct, a wanted one may come often.

    The keys are looked up among the wanted ones, which were sorted once for all blocks: the other way round every
    block would look up all of them.
    """
    ascending, in_order = np.argsort(keys), wanted[order]
    first = np.searchsorted(in_order, keys[ascending], "left")
    last = np.searchsorted(in_order, keys[ascending], "right")
    hits = order[ranges(first, last - first)]
    row, found = np.zeros(wanted.size, np.int64), np.zeros(wanted.size, np.bool_)
    row[hits], found[hits] = np.repeat(ascending, last - first), True
    return row, found


def _by_time(block: Block) -> Ints | None:
    """Events by customer and time; None where they already are in that order."""
    customer = block.customer_of_journey[block.journey]
    if not ((customer[1:] == customer[:-1]) & (block.time[1:] < block.time[:-1])).any():
        return None
    return np.lexsort((block.time, customer))


def _eligible(block: Block) -> Bools:
    """Events that an answer can be about though it does not say so."""
    kinds = block.vocabulary.touchpoint_columns.get("kind")
    if kinds is None:
        return np.ones(block.events, np.bool_)
    codes, labels = kinds
    barred = [labels.codes[kind] for kind in ("survey", "system") if kind in labels.codes]
    return ~np.isin(codes[block.touchpoint], barred)


def _last_before(block: Block, order: Ints | None, hits: Bools, low: Ints, high: Ints, time: Ints) -> Ints:
    """The last of the hits at or before each time inside journeys low … high − 1; −1 where there is none."""
    if not low.size or not block.events:
        return np.full(low.size, -1)
    start, stop = block.journey_offsets[low], block.journey_offsets[high]
    times = block.time if order is None else block.time[order]
    marked = hits if order is None else hits[order]
    a, b = start.copy(), stop.copy()
    while (a < b).any():
        middle = np.minimum((a + b) // 2, times.size - 1)
        right = (a < b) & (times[middle] <= time)
        a, b = np.where(right, middle + 1, a), np.where((a < b) & ~right, middle, b)
    places = np.concatenate([[-1], np.flatnonzero(marked)])
    found = places[np.searchsorted(places, a) - 1]
    found = np.where(found >= start, found, -1)
    return found if order is None else np.where(found >= 0, order[found], -1)


def _journeys(
    block: Block,
    event: Ints,
    low: Ints,
    high: Ints,
    by_journey: Bools,
    time: Ints,
    about: Ints,
    limited: bool,
) -> tuple[Ints, _Words]:
    """The journey of each answer, or −1 with the reason."""
    journey = np.where(event >= 0, block.journey[event] if block.events else -1, -1)
    why = np.full(event.size, _TOO_LATE if limited else _TOO_EARLY, object)
    single = (high - low == 1) & (by_journey | (about != -1) | (time == UNKNOWN_TIME))
    journey = np.where((journey < 0) & single, low, journey)
    why[(time == UNKNOWN_TIME)] = _NO_TIME
    open_ = np.flatnonzero((journey < 0) & (time != UNKNOWN_TIME) & (by_journey | (about != -1)))
    for row in open_.tolist():
        pieces = np.arange(low[row], high[row])
        began = block.time[block.journey_offsets[pieces]]
        before = pieces[began <= time[row]]
        if before.size:
            journey[row] = before[np.argmax(began[began <= time[row]])]
        elif by_journey[row]:
            journey[row] = pieces[np.argmin(began)]
        else:
            why[row] = _TOO_EARLY
    return journey, why


def _counted(rows: AnswerRows, reasons: _Words, placed: Bools) -> dict[str, Count]:
    reasons = np.where(placed, "", reasons)
    reasons[(reasons == "") & ~placed] = _NO_CUSTOMER
    column = rows.customer if rows.customer is not None else rows.journey
    out: dict[str, Count] = {}
    for reason in sorted(set(reasons[~placed].tolist())):
        found = np.flatnonzero(reasons == reason)
        shown = found[:MOST_EXAMPLES]
        texts = [
            column.texts[int(column.code[i])] if column is not None and column.code[i] >= 0 else None for i in shown
        ]
        out[reason] = Count(
            int(found.size),
            tuple(Example("answers", int(rows.row[i]) + 1, text) for i, text in zip(shown, texts, strict=True)),
        )
    return out


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
        code = rows.customer.code[fresh]
        # an answer without an id is of somebody else each time
        owner = np.where(code >= 0, code, len(rows.customer.texts) + np.cumsum(code < 0) - 1)
        strangers = [f"without id {i + 1}" for i in range(int((code < 0).sum()))]
        texts = Texts.joined([rows.customer.texts, Texts.of(strangers)])
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
    who = identifiers.stable(owner.astype(np.uint64))[respondent]
    key = f"{_fingerprint(rows, who):016x}"
    return MemoryPopulation(
        parts=[block], vocabulary=vocabulary, reading=rows.reading,
        origin=Origin(source=key, rejected=rows.reading.rejected_rows),
    )  # fmt: skip


def _fingerprint(rows: AnswerRows, who: Keys) -> int:
    """Tells surveys apart by who answered what, when and how; the order of the rows does not matter."""
    parts = (rows.score, rows.question.astype(np.int64), rows.time, who)
    keys = np.zeros(rows.row.size, np.uint64)
    for turn, part in enumerate(parts):
        keys = mix(keys ^ np.ascontiguousarray(part).view(np.uint64), turn)
    return int(keys.sum(dtype=np.uint64))
