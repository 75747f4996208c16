"""The log and the survey that Spark and memory are compared over, and how results are held against each other."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from attrs import fields, has

import cxmodel as cx
from cxmodel.analysis.episodes import Recovery
from cxmodel.analysis.pattern_language import as_pattern
from cxmodel.model.listed import Listed
from cxmodel.tallies.codec import MAGIC

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

START = datetime(2026, 3, 1, tzinfo=UTC)
ROLES: Mapping[str, Any] = {
    "customer": "who", "journey": "visit", "touchpoint": "what", "time": "at", "channel": "channel",
    "stage": "stage", "contact": "agent", "department": "team", "value": "value",
    "attributes": ["persona", "age"], "currency": "EUR",
}  # fmt: skip
BUY = cx.Goal("buy", touchpoints=["pay"])
OPTIONS: Mapping[str, Any] = {
    "goal": BUY, "outcome": BUY, "first": "before", "second": "after",
    "steps": ["ad", "cart", BUY], "pattern": as_pattern("cart -> pay"),
    "window": timedelta(hours=6), "within": timedelta(days=2), "every": timedelta(days=1),
    "ignored": ("ad",),
    "online": {"web": True, "shop": False}, "recovery": Recovery(failed=["help"], resolved=["agent reply"]),
}  # fmt: skip


def rows() -> pd.DataFrame:
    """4,000 events of 300 customers, one of whom has a quarter of them, with two faults and in no order."""
    draw = np.random.default_rng(7)
    size = 4_000
    who = np.where(draw.random(size) < 0.25, 0, draw.integers(0, 300, size))
    what = np.array(["ad", "cart", "help", "pay", "question", "agent reply"])[draw.integers(0, 6, size)]
    at = START + pd.to_timedelta(draw.permutation(size * 97)[:size] * 1_000_003, unit="us")
    name, visit = np.array([f"customer-{i}" for i in range(300)])[who], draw.integers(0, 3, size).astype(str)
    frame = pd.DataFrame({
        "who": name, "visit": visit,
        "trip": np.select([visit == "0", visit == "1"], [visit, "1 " + name.astype(object)], "2" + who.astype(str)),
        "what": what, "at": at, "channel": np.array(["web", "shop", None])[draw.integers(0, 3, size)],
        "stage": np.where(np.isin(what, ["ad", "question"]), "before", "during"),
        "agent": draw.choice(["ann", "bob", "", "cleo"], size), "team": draw.choice(["desk", "shop"], size),
        "value": np.where(what == "pay", draw.integers(1, 100, size) / 7, np.nan),
        "persona": np.array(["new", "loyal", "lost"])[who % 3], "age": 20.0 + who % 50,
    })  # fmt: skip
    frame.loc[5, "who"] = None
    frame.loc[6, "what"] = "  "
    return frame


def answers() -> pd.DataFrame:
    """900 answers of customers and strangers: about an event, a journey or nothing, some before all events."""
    draw = np.random.default_rng(11)
    size = 900
    at = START + pd.to_timedelta(draw.integers(-3_600, 5 * 86_400, size) * 1_000_003, unit="us")
    return pd.DataFrame({
        "who": [None if i % 41 == 0 else f"customer-{n}" for i, n in enumerate(draw.integers(0, 320, size))],
        "visit": [[None, None, "0", "1", "9"][n] for n in draw.integers(0, 5, size)],
        "where": [[None, "cart", "help", "nowhere"][n] for n in draw.integers(0, 4, size)],
        "at": pd.Series(at).where(draw.random(size) >= 0.1), "before": draw.integers(0, 11, size),
        "after": draw.integers(0, 11, size), "feeling": draw.integers(1, 6, size),
        "ease": draw.integers(1, 8, size), "effort": draw.integers(1, 6, size),
        "mood": draw.integers(-2, 3, size), "stars": draw.integers(1, 6, size),
        "weight": draw.choice([0.5, 1.0, 2.0], size), "overall": draw.integers(0, 11, size),
    })  # fmt: skip


QUESTIONS: Mapping[str, cx.Question] = {
    "before": cx.Question(cx.Scale.nps()), "after": cx.Question(cx.Scale.nps()),
    "feeling": cx.Question(cx.Scale.csat()),
    "ease": cx.Question(cx.Scale.ces2()), "effort": cx.Question(cx.Scale.ces1()),
    "mood": cx.Question(cx.Scale.emotion()), "stars": cx.Question(cx.Scale.own(1, 5, satisfied=4)),
    "overall": cx.Question(cx.Scale.nps(), kind="relational"),
}  # fmt: skip
CATALOGUE: Mapping[str, Mapping[str, str]] = {
    "ad": {"kind": "communication", "initiator": "organisation"}, "cart": {"kind": "action", "initiator": "customer"},
    "question": {"kind": "communication", "initiator": "customer"}, "help": {"kind": "survey"},
    "agent reply": {"kind": "communication", "initiator": "organisation"},
}  # fmt: skip


def survey(source: Any, **more: Any) -> cx.Responses:
    roles = {"customer": "who", "journey": "visit", "time": "at", "touchpoint": "where", "weight": "weight", **more}
    return cx.read_responses(source, questions=QUESTIONS, **roles)


def assert_same(a: object, b: object, at: str = "") -> None:
    """Equal: counts and texts exactly, floats to 1e-12; not what results remember of their run."""
    if isinstance(a, float) and isinstance(b, float):
        assert a == pytest.approx(b, rel=_near(at), abs=_near(at), nan_ok=True), at
    elif isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
        if a.dtype.kind == "f":
            np.testing.assert_allclose(a, b, rtol=_near(at), atol=_near(at), err_msg=at)
        else:
            np.testing.assert_array_equal(a, b, at)
    elif isinstance(a, (list, tuple, Listed)) and isinstance(b, (list, tuple, Listed)):
        assert len(a) == len(b), at
        for i, (one, other) in enumerate(zip(a, b, strict=True)):
            assert_same(one, other, f"{at}[{i}]")
    elif isinstance(a, Mapping) and isinstance(b, Mapping):
        assert list(a) == list(b), at
        for key in a:
            assert_same(a[key], b[key], f"{at}[{key!r}]")
    elif has(kind := type(a)):
        assert type(b) is kind, at
        for each in fields(kind):
            if each.name not in {"dependence", "cells", "_bounds", "spells"}:
                assert_same(getattr(a, each.name), getattr(b, each.name), f"{at}.{each.name}")
    else:
        assert a == b, at


def _near(at: str) -> float:
    # spreads are small differences of large sums of squares: rounding in another order shows four digits earlier
    return 1e-8 if ".n_eff" in at or ".interval" in at else 1e-12


def comparable(result: Any) -> object:
    """A graph as its nodes, edges and totals; everything else as it is."""
    if isinstance(result, cx.JourneyGraph):
        return dict(result.nodes(data=True)), {edge[:2]: edge[2] for edge in result.edges(data=True)}
    return result


def numbers_in(result: object) -> int:
    """How many numbers other than 0 a result holds, at any depth."""
    if isinstance(result, np.ndarray):
        return int(np.count_nonzero(np.nan_to_num(result))) if result.dtype.kind in "biuf" else 0
    if isinstance(result, Mapping):
        return sum(map(numbers_in, result.values()))
    if isinstance(result, (list, tuple, Listed)):
        return sum(map(numbers_in, result))
    if has(type(result)):
        skipped = {"origin", "level", "range", "dependence"}
        return sum(numbers_in(getattr(result, each.name)) for each in fields(type(result)) if each.name not in skipped)
    return int(
        isinstance(result, (int, float)) and not isinstance(result, bool) and bool(result) and math.isfinite(result)
    )


def watched(frame: DataFrame, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """From now on nothing but encoded states may come to the driver; how many bytes of them, by job."""
    kind, jobs = type(frame), list[int]()
    collect = kind.collect

    def states_only(self: Any) -> Any:
        assert [(each.name, each.dataType.simpleString()) for each in self.schema.fields] == [
            ("part", "int"), ("state", "binary"),
        ]  # fmt: skip
        rows = collect(self)
        assert all(bytes(row["state"]).startswith(MAGIC) for row in rows)
        jobs.append(sum(len(row["state"]) for row in rows))
        return rows

    def refused(*_: object, **__: object) -> Any:
        raise AssertionError("rows were brought to the driver")

    names = ("toPandas", "toArrow", "toLocalIterator", "take", "head", "first", "tail", "__arrow_c_stream__",
             "_collect_as_arrow", "foreach", "foreachPartition", "toJSON", "show")  # fmt: skip
    for name in names:
        monkeypatch.setattr(kind, name, refused)
    monkeypatch.setattr(kind, "rdd", property(refused))
    monkeypatch.setattr(kind, "collect", states_only)
    return jobs
