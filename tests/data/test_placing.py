"""Where answers are placed: long journeys, and ids that are numbers on both sides."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx

MINUTE = 60_000_000
NAMES = ["rare", "often", "survey"]


def times(minutes: np.ndarray[tuple[int], np.dtype[np.int64]]) -> pa.Array:
    return pa.array((minutes * MINUTE).astype("datetime64[us]"))


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_the_last_event_is_found_however_far_it_lies_back(seed: int, say: bool) -> None:
    rng = np.random.default_rng(seed)
    customer, minute = rng.integers(0, 4, 200), rng.integers(0, 300, 200)
    what = rng.choice(3, 200, p=[0.02, 0.28, 0.7])
    events = pa.table({"c": customer, "t": times(minute), "w": [NAMES[i] for i in what]})
    who, when, about = rng.integers(0, 5, 60), rng.integers(0, 330, 60), rng.integers(0, 2, 60)
    answers = {"c": pa.array(who), "t": times(when), "s": pa.array(np.arange(60) % 11)}
    if say:
        answers["w"] = pa.array([NAMES[i] for i in about])
    asked = cx.read_responses(
        pa.table(answers), customer="c", score="s", time="t", scale=cx.Scale.nps(), touchpoint="w" if say else None
    )
    journeys = cx.read_events(events, customer="c", touchpoint="w", time="t")
    found = journeys.with_touchpoints({"survey": {"kind": "survey"}}).with_responses(asked)
    place: dict[tuple[int, int, int], list[tuple[int, int] | None]] = {}
    for block in found.population.parts:
        assert block.answers is not None
        for event, score, time, journey in zip(
            block.answers.event, block.answers.score, block.answers.time, block.answers.journey, strict=True
        ):
            name = (
                None
                if event < 0
                else (int(block.time[event]), NAMES[0:2].index(block.vocabulary.touchpoints[block.touchpoint[event]]))
            )
            place.setdefault((int(block.customer[journey]), int(time), int(score)), []).append(name)
    for row in range(60):
        fits = (what == about[row]) if say else (what < 2)
        mine = np.flatnonzero((customer == who[row]) & (minute <= when[row]) & fits)
        wanted = None
        if mine.size:
            last = minute[mine].max()
            # of several events in one minute the last one in the order of the log
            wanted = (int(last) * MINUTE, int(what[mine[minute[mine] == last]][-1]))
        key = (int(who[row]), int(when[row]) * MINUTE, row % 11)
        if wanted is None:
            assert None in place.get(key, [None])
        else:
            assert wanted in place[key]


def test_numbers_on_both_sides_are_what_texts_are() -> None:
    who = np.array([7, -3, 7, 2**62, 0])
    minutes = times(np.arange(5))
    given = [7, 8, -3, 2**62, 0, None, 7]
    later = times(np.arange(7) + 10)

    def found(text: bool) -> cx.Journeys:
        ids = pa.array([str(each) for each in who.tolist()]) if text else pa.array(who)
        theirs = pa.array([None if each is None else str(each) for each in given]) if text else pa.array(given)
        journeys = cx.read_events(
            pa.table({"c": ids, "t": minutes, "w": list("abcde")}), customer="c", touchpoint="w", time="t"
        )
        answers = pa.table({"c": theirs, "t": later, "s": np.arange(7)})
        return journeys.with_responses(
            cx.read_responses(answers, customer="c", score="s", time="t", scale=cx.Scale.nps())
        )

    numbers, texts = found(text=False), found(text=True)
    assert numbers.attached == texts.attached
    assert numbers.attached is not None
    assert numbers.attached.at_event == 5
    assert {why: [each.value for each in count.examples] for why, count in numbers.attached.unmatched.items()} == {
        "no customer with this id": ["8"], "no id": [None],
    }  # fmt: skip
    left, right = (each.measure(cx.metrics.Nps(min_n=0), by="touchpoint") for each in (numbers, texts))
    assert {name: each.value for name, each in left.items()} == {name: each.value for name, each in right.items()}
