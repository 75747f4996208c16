"""States as bytes: what any tally saw comes back bit by bit, and nothing but states does."""

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from attrs import NOTHING, fields, frozen, has
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.episodes import Recovery
from cxmodel.analysis.orders import ChainOrders
from cxmodel.analysis.outlook_fitting import Outlooks
from cxmodel.analysis.pattern_language import as_pattern
from cxmodel.analysis.what_if_fitting import WhatIfs
from cxmodel.errors import DocumentError, InvalidValueError
from cxmodel.metrics.builtin import cxmodel_metrics
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.codec import MAGIC, allow, decode, encode
from cxmodel.tallies.grouped import Grouped
from cxmodel.tallies.metrics import Tally
from cxmodel.testing import logs, surveys

GOAL = cx.Goal("there", touchpoints=["p002"])
OPTIONS: Mapping[str, Any] = {
    "goal": GOAL, "outcome": GOAL, "first": "answer", "second": "again",
    "steps": ["p000", GOAL], "pattern": as_pattern("p000 => p001"),
    "within": timedelta(days=2), "every": timedelta(days=1),
    "ignored": ("p000",),
    "online": {"web": True, "shop": False}, "recovery": Recovery(failed=["p000"], resolved=["p001"]),
}  # fmt: skip


def every_tally() -> Iterator[Tally[Any, Any]]:
    """Every tally, those that look ahead included, with the options that it cannot do without, alone and by group."""
    classes: list[type[Any]] = [*cxmodel_metrics(), ChainOrders, Outlooks, WhatIfs]
    for class_ in classes:
        needed = [each.name for each in fields(class_) if each.default is NOTHING]
        tally = class_(**{name: OPTIONS[name] for name in needed})
        assert isinstance(tally, Tally)
        yield tally
        if not tally.groups:
            yield Grouped(tally)


def same(a: object, b: object) -> bool:
    """Equal in type and in every bit."""
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        return (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
    if isinstance(a, tuple) and isinstance(b, tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    class_: type[Any] = type(a)
    if has(class_):
        return all(same(getattr(a, each.name), getattr(b, each.name)) for each in fields(class_))
    return repr(a) == repr(b)


@given(logs(), surveys())
def test_the_state_of_every_tally_comes_back(log: list[Any], answers: list[Any]) -> None:
    responses = cx.read_responses(
        answers, customer="customer", score="score", scale=cx.Scale.nps(), time="time", weight="weight"
    )
    read = cx.read_events(
        log, customer="customer", touchpoint="touchpoint", time="time", value="value", channel="channel"
    )
    journeys = read.with_responses(responses).with_inactivity(timedelta(minutes=5))
    population = journeys.population
    for tally in every_tally():
        for by in (None, cx.by.channel):
            if (by is None) == isinstance(tally, Grouped):
                continue
            cells = Cells(vocabulary=population.vocabulary, facts=population.facts, origin=population.origin, by=by)
            if tally.missing(population.facts) is not None:
                continue
            state = tally.add(tally.start(), population.parts[0], cells)
            back = decode(encode(state))
            assert same(back, state), tally.name
            merged = tally.merge(tally.start(), back)
            assert same(merged, tally.merge(tally.start(), state)), tally.name


plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
keys = st.integers() | st.text()
values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=4).map(tuple) | st.dictionaries(keys, inner, max_size=4),
    max_leaves=12,
)


@given(values)
def test_plain_values_come_back(value: object) -> None:
    assert same(decode(encode(value)), value)


@given(st.sampled_from(["i8", ">i4", "u1", "u8", "f8", "?", "M8[us]", "U3", "c16"]), st.lists(st.integers(0, 3)))
def test_arrays_of_every_kind_and_shape_come_back(dtype: str, shape: list[int]) -> None:
    array = np.arange(int(np.prod(shape))).astype("i8").astype(dtype).reshape(shape)
    back = decode(encode((array, array.T)))
    for given_, found in zip((array, array.T), back, strict=True):
        assert found.dtype == given_.dtype.newbyteorder("<")
        np.testing.assert_array_equal(found, given_)


@frozen(eq=False)
class Unnamed:
    """A state that no tally names."""

    n: int


def test_only_states_of_tallies_are_made_from_bytes() -> None:
    with pytest.raises(DocumentError, match="Unnamed is the state of no tally"):
        decode(encode(Unnamed(1)))
    evil = json.dumps({"state": ["state", "subprocess:Popen", ["tuple", "true"]], "arrays": []}).encode()
    with pytest.raises(DocumentError, match="subprocess:Popen is the state of no tally"):
        decode(MAGIC + len(evil).to_bytes(8, "little") + evil)


@allow
@frozen(eq=False)
class Allowed:
    """A state that is named by hand."""

    n: int


def test_others_can_be_allowed() -> None:
    assert same(decode(encode(Allowed(7))), Allowed(7))


@pytest.mark.parametrize("value", [[1], {1, 2}, object(), np.array([object()]), b"x"])
def test_what_is_no_state_is_refused(value: object) -> None:
    with pytest.raises(InvalidValueError, match="a state holds"):
        encode((value,))


@given(st.data())
def test_a_state_that_was_cut_short_is_refused(data: st.DataObject) -> None:
    whole = encode((np.arange(5), "text", 1.5))
    with pytest.raises(DocumentError):
        decode(whole[: data.draw(st.integers(0, len(whole) - 1))])


def test_another_version_is_refused() -> None:
    with pytest.raises(DocumentError, match="no state of this version"):
        decode(MAGIC[:-1] + b"\x02" + encode(1)[8:])
