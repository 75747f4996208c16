"""Manifests that somebody edited, checksum and all: what does not fit is refused in this library's words."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.data.manifests import as_text
from cxmodel.errors import CxmodelError, DocumentError


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {
            "who": f"c{i % 50}", "trip": f"j{i % 3}", "what": f"t{i % 15}", "via": "ab"[i % 2], "worth": str(i),
            "segment": "xy"[i % 50 % 2], "at": f"2026-01-{1 + i % 28:02}",
        }
        for i in range(300)
    ]  # fmt: skip
    answers = [{"who": f"c{i}", "score": str(i % 11), "at": "2026-01-15"} for i in range(50)]
    journeys = cx.read_events(
        rows, customer="who", touchpoint="what", time="at", journey="trip", channel="via", value="worth",
        attributes=["segment"], rules=[cx.Rule.glob("t1*", to="T1")], currency="EUR",
    )  # fmt: skip
    journeys = journeys.with_touchpoints({"t2": {"stage": "Find"}, "T1": {"stage": "Buy"}})
    read = cx.read_responses(answers, customer="who", score="score", time="at", scale=cx.Scale.nps())
    folder = tmp_path_factory.mktemp("manifests") / "kept"
    journeys.with_responses(read).save(folder)
    return folder


def manifest_of(folder: Path) -> dict[str, Any]:
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["manifest"]
    return manifest


def edited(original: Path, folder: Path, manifest: object) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder)
    (folder / "manifest.json").write_text(as_text(manifest), encoding="utf-8")  # type: ignore[arg-type]
    return folder


def ask(folder: Path) -> None:
    journeys = cx.open_journeys(folder)
    _ = (str(journeys.reading), journeys.facts, str(journeys.vocabulary_report), str(journeys.attached))
    journeys.graph()
    str(journeys.paths())
    journeys.measure(cx.metrics.Nps(), by="touchpoint")
    journeys.measure(cx.metrics.Length(), by=cx.by.attribute("segment"))
    journeys.measure(cx.metrics.Length(), by="channel")
    journeys.append([{"who": "c1", "trip": "j1", "what": "t1", "via": "a", "worth": "1", "segment": "x", "at": "2027"}])


def places(document: object, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Ways to every part of a document."""
    if isinstance(document, dict):
        return [at, *(way for key, each in document.items() for way in places(each, (*at, key)))]
    if isinstance(document, list):
        return [at, *(way for i, each in enumerate(document) for way in places(each, (*at, i)))]
    return [at]


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.integers(-2, 60), st.floats(), st.text(max_size=5),
    st.sampled_from(["../outside.bin", "/dev/zero", "<i8", "|u1", "<f8", "|O", 2**40, 2**63, [2**40], [], {}, [None]]),
)  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_but_errors_of_this_library_escapes(original: Path, tmp_path: Path, data: st.DataObject) -> None:
    manifest = manifest_of(original)
    for _ in range(data.draw(st.integers(1, 2))):
        way = data.draw(st.sampled_from(places(manifest)[1:]))
        parent: Any = manifest
        for step in way[:-1]:
            parent = parent[step]
        how = data.draw(st.sampled_from(["put", "put", "remove", "double", "swap"]))
        others = list(parent) if isinstance(parent, dict) else list(range(len(parent)))
        if how == "put":
            parent[way[-1]] = data.draw(VALUES)
        elif how == "remove":
            del parent[way[-1]]
        elif how == "double" and isinstance(parent, list):
            parent.append(copy.deepcopy(parent[way[-1]]))
        else:
            other = data.draw(st.sampled_from(others))
            parent[way[-1]], parent[other] = parent[other], parent[way[-1]]
    with suppress(CxmodelError):
        ask(edited(original, tmp_path / "edited", manifest))


def put(*way: Any) -> Callable[[dict[str, Any]], None]:
    *steps, last, value = way

    def edit(manifest: dict[str, Any]) -> None:
        parent: Any = manifest
        for step in steps:
            parent = parent[step]
        parent[last] = value

    return edit


TIME = ("blocks", 0, "arrays", "time")


@pytest.mark.parametrize(
    ("edit", "why"),
    [
        (put("blocks", 0, "file", "../outside.bin"), r"'\.\./outside\.bin' is no name of a file"),
        (put("blocks", 0, "file", "/dev/zero"), "'/dev/zero' is no name of a file"),
        (put("blocks", 0, "file", None), r"blocks\[0\]\.file should be a text, and is None"),
        (put("blocks", 0, "bytes", -1), "bytes"),
        (lambda m: m["blocks"].append(m["blocks"][0]), "lists .*block-00000.bin more than once"),
        (lambda m: m.pop("reading"), "manifest has no 'reading'"),
        (put("origin", "window", ["2026-01-01"]), "does not fit together"),
        (put("reading", "rows", "many"), "reading.rows should be a whole number, and is 'many'"),
        (put(*TIME, ["|O", [300], 0]), "is no place of 'time'"),
        (put(*TIME, ["<i8", [2**62], 0]), "begins at 0"),
        (put(*TIME, ["<i8", [-1], 0]), "is no place of 'time'"),
        (put("vocabulary", "touchpoints", ["a"]), "touchpoint"),
        (put("vocabulary", "columns", "channel", [""]), "'event:channel'"),
        (put("vocabulary", "questions", {}), "'answer:question'"),
        (put("vocabulary", "questions", "answer", "scale", "kind", "zz"), "there is no kind of scale 'zz'"),
    ],
)
def test_what_does_not_fit_is_named(
    original: Path, tmp_path: Path, edit: Callable[[dict[str, Any]], object], why: str
) -> None:
    (tmp_path / "outside.bin").write_bytes(b"x")
    manifest = manifest_of(original)
    edit(manifest)
    with pytest.raises(DocumentError, match=why):
        ask(edited(original, tmp_path / "edited", manifest))


def test_an_empty_file_of_absurd_shapes_takes_no_memory(original: Path, tmp_path: Path) -> None:
    manifest = manifest_of(original)
    entry = manifest["blocks"][0]
    entry |= {"bytes": 0, "checksum": 0}
    for place in entry["arrays"].values():
        place[1:] = [[2**40], 0]
    folder = edited(original, tmp_path / "edited", manifest)
    (folder / entry["file"]).write_bytes(b"")
    with pytest.raises(DocumentError):
        ask(folder)


def test_offsets_that_go_back_are_refused(original: Path, tmp_path: Path) -> None:
    """A file with other content and its checksum renewed as well."""
    from zlib import crc32

    import numpy as np

    manifest = manifest_of(original)
    entry = manifest["blocks"][0]
    folder = edited(original, tmp_path / "edited", manifest)
    content = bytearray((folder / entry["file"]).read_bytes())
    kind, (count,), at = entry["arrays"]["journey_offsets"]
    np.frombuffer(content, kind, count, at)[1] = 10**9
    entry["checksum"] = crc32(content)
    (folder / entry["file"]).write_bytes(content)
    (folder / "manifest.json").write_text(as_text(manifest), encoding="utf-8")
    with pytest.raises(DocumentError, match="journey_offsets"):
        ask(folder)
