"""The same laws for journeys in memory, in many blocks, reopened from disk, and read through partitions on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from tests.laws.reading import read

import cxmodel as cx
from cxmodel.data import events
from cxmodel.data.grouping import group, identified
from cxmodel.testing import LAWS, Law, Read, Row, every_source, rows_of

folders: list[Path] = []
numbers = count()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path) -> Iterator[Path]:
    """Where journeys are saved."""
    folders.append(tmp_path)
    yield tmp_path
    folders.pop()


def in_memory(rows: Sequence[Row], *, rules: Sequence[cx.Rule] = ()) -> cx.Journeys:
    return read(list(rows), rules=rules)


def in_many_blocks(rows: Sequence[Row], *, rules: Sequence[cx.Rule] = ()) -> cx.Journeys:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events, "group", partial(group, rows_per_block=3))
        patch.setattr(events, "identified", partial(identified, rows_per_block=3))
        return in_memory(rows, rules=rules)


def reopened(rows: Sequence[Row], *, rules: Sequence[cx.Rule] = ()) -> cx.Journeys:
    path = folders[-1] / str(next(numbers))
    in_memory(rows, rules=rules).save(path)
    return cx.open_journeys(path)


def out_of_core(rows: Sequence[Row], *, rules: Sequence[cx.Rule] = ()) -> cx.Journeys:
    journeys = read(list(rows), rules=rules, memory_limit="16B")
    assert any("wait on disk" in note for note in journeys.reading.notes)
    return journeys


@every_source(memory=in_memory, blocks=in_many_blocks, disk=reopened, spilled=out_of_core)
def test_every_source_keeps_the_laws(law: Law, read: Read) -> None:
    law(read, examples=5)


def test_blocks_are_many() -> None:
    rows: list[Row] = [{"customer": f"c{i}", "touchpoint": "a", "time": f"2026-01-{i + 1:02}"} for i in range(30)]
    assert len(in_many_blocks(rows).population.parts) > 5


def test_a_source_that_loses_rows_breaks_the_laws() -> None:
    def lossy(rows: Sequence[Row], *, rules: Sequence[cx.Rule] = ()) -> cx.Journeys:
        return in_memory(rows[:-1], rules=rules)

    rows: list[Row] = [dict(row) for row in rows_of("anna: question 0, call 3, reply 9; bert: call 2, question 5")]
    answers: list[Row] = [
        {"customer": "bert", "touchpoint": None, "score": 9, "time": "2026-01-01T00:07:00", "weight": 1.0}
    ]
    drawn: dict[str, tuple[object, ...]] = {
        "rows are kept or counted": ([],), "results are those of the rows": (), "steps are those of the rows": (4, 0),
        "answers are where they belong": (answers, None, None), "rules rename": (),
    }  # fmt: skip
    laws = {law.name: law for law in LAWS}
    for name, more in drawn.items():
        laws[name].holds(in_memory, rows, *more)
        with pytest.raises(AssertionError, match="the source gives"):
            laws[name].holds(lossy, rows, *more)
