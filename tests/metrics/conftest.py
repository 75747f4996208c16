"""A small log as journeys, made without reading a file, so that laws can be tried on many of them."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

import numpy as np
import pytest

import cxmodel as cx
from cxmodel.data.blocks import Answers, Block, Labels, Vocabulary
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.texts import Identifiers, Texts
from cxmodel.model.estimates import Origin
from cxmodel.model.readings import Reading
from cxmodel.model.scales import Question, Scale

SECOND = 1_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
Row = Mapping[str, Any]
Build = Callable[..., cx.Journeys]
_OWN = {"who", "journey", "what", "at", "until", "score"}


def build(
    rows: Sequence[Row], *, facts: Mapping[str, Mapping[str, str]] | None = None, scale: Scale | None = None,
    still_open: set[tuple[str, str]] | None = None, blocks: int = 1,
) -> cx.Journeys:  # fmt: skip
    """Journeys from rows with who, what, at (seconds), and perhaps journey, until, score and columns of text.

    Args:
        rows: The events, in any order.
        facts: Column → touchpoint → text.
        scale: Scale of the scores.
        still_open: Journeys in progress; None declares no inactivity rule.
        blocks: Into how many blocks to deal the customers.
    """
    names = sorted({str(row["what"]) for row in rows})
    columns = sorted({key for row in rows for key in row} - _OWN)
    labels = {name: Labels(["", *sorted({row[name] for row in rows if row.get(name)})]) for name in columns}
    customers = sorted({str(row["who"]) for row in rows})
    described = {}
    for name, texts in (facts or {}).items():
        known = Labels(["", *sorted(set(texts.values()))])
        codes = np.array([known.codes.get(texts.get(each, ""), 0) for each in names], np.uint8)
        described[name] = (codes, known)
    vocabulary = Vocabulary(
        touchpoints=names, columns=dict(labels), touchpoint_columns=described,
        customers=Identifiers(np.arange(len(customers), dtype=np.uint64), Texts.of(customers)),
        questions={"answer": Question(scale or Scale.csat())} if any("score" in row for row in rows) else {},
    )  # fmt: skip
    parts = [
        _block(
            [row for row in rows if customers.index(str(row["who"])) % blocks == part],
            vocabulary, customers, labels, still_open,
        )
        for part in range(blocks)
    ]  # fmt: skip
    population = MemoryPopulation(
        parts=[part for part in parts if part.customers], vocabulary=vocabulary, origin=Origin(source="made"),
        reading=Reading(rows=len(rows), kept=len(rows)),
    )  # fmt: skip
    return cx.Journeys(population)


def _key(row: Row) -> tuple[str, str]:
    return str(row["who"]), str(row.get("journey", ""))


def _block(
    rows: Sequence[Row], vocabulary: Vocabulary, customers: list[str], labels: Mapping[str, Labels],
    still_open: set[tuple[str, str]] | None,
) -> Block:  # fmt: skip
    ordered = sorted(rows, key=lambda row: (_key(row), row["at"]))
    journeys = [(key, list(group)) for key, group in groupby(ordered, key=_key)]
    owners = [(who, len(list(group))) for who, group in groupby(journeys, key=lambda each: each[0][0])]
    time = np.array([round(row["at"] * SECOND) for row in ordered], np.int64)
    until = None
    if any("until" in row for row in rows):
        until = np.array([round(row.get("until", row["at"]) * SECOND) for row in ordered], np.int64)
    journey = np.repeat(np.arange(len(journeys)), [len(group) for _, group in journeys]).astype(np.int64)
    touchpoint = np.array([vocabulary.touchpoints.index(str(row["what"])) for row in ordered], np.uint8)
    scored = np.array([i for i, row in enumerate(ordered) if row.get("score") is not None], np.int64)
    answers = None
    if vocabulary.questions:
        answers = Answers(
            journey=journey[scored], event=scored, touchpoint=touchpoint[scored].astype(np.int64),
            question=np.zeros(scored.size, np.int64), score=np.array([ordered[i]["score"] for i in scored], np.float64),
            time=time[scored], weight=np.ones(scored.size),
        )  # fmt: skip
    return Block(
        vocabulary=vocabulary, customer_offsets=np.cumsum([0, *(count for _, count in owners)]),
        journey_offsets=np.cumsum([0, *(len(group) for _, group in journeys)]),
        customer=np.array([customers.index(who) for who, _ in owners], np.uint64), touchpoint=touchpoint, time=time,
        until=until, answers=answers,
        event_columns={
            name: np.array([labels[name].codes.get(row.get(name) or "", 0) for row in ordered], np.uint8)
            for name in labels
        },
        still_open=None if still_open is None else np.array([key in still_open for key, _ in journeys], np.bool_),
    )  # fmt: skip


@pytest.fixture(scope="session", name="build")
def _build() -> Build:
    return build
