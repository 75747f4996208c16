"""JSON: nothing is lost on the way out and back, and a bad document says what is wrong with it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import asdict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.exporters.results import (
    HOSTILE,
    breakdowns,
    comparisons,
    credit_tables,
    estimates,
    funnels,
    graphs,
    names,
    tables,
    top_paths,
)

import cxmodel as cx
from cxmodel.analysis.credits import CreditComparison, CreditTable
from cxmodel.analysis.funnels import FunnelTable
from cxmodel.analysis.paths import TopPaths
from cxmodel.analysis.transitions import TransitionTable
from cxmodel.exporters.json import JsonExporter, dumps, loads
from cxmodel.model.estimates import Origin

results = st.one_of(estimates, breakdowns(), credit_tables, comparisons, top_paths, funnels, tables(), graphs())


def told(obj: object) -> object:
    """Everything that an object holds, as values that can be compared, whatever its own equality leaves out."""
    if isinstance(obj, cx.JourneyGraph):
        return "graph", list(obj.nodes(data=True)), list(obj.edges(data=True)), dict(obj.graph)
    if isinstance(obj, TransitionTable):
        columns = asdict(obj)
        return {
            key: ("column", np.asarray(v).dtype, repr(v.tolist())) if isinstance(v, np.ndarray) else v
            for key, v in columns.items()
        }
    if isinstance(obj, cx.Estimate):
        return {key: value for key, value in asdict(obj).items() if key != "dependence"}
    if isinstance(obj, CreditTable):
        return [*breakdown_parts(obj), obj.goal, obj.conversions, told(obj.direct)]
    if isinstance(obj, cx.Breakdown):
        return breakdown_parts(obj)
    if isinstance(obj, CreditComparison):
        return {name: told(table) for name, table in obj.models.items()}
    if isinstance(obj, (TopPaths, FunnelTable)):
        return type(obj), asdict(obj)
    if isinstance(obj, dict):
        return {name: told(each) for name, each in obj.items()}
    raise AssertionError(type(obj))


def breakdown_parts(obj: cx.Breakdown[Any, Any]) -> list[object]:
    groups = [(type(key), key, told(value)) for key, value in obj.items()]
    rest = None if obj.unassigned is None else told(obj.unassigned)
    return [type(obj), obj.by, obj.metric, obj.overlapping, groups, rest]


@given(results)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_nothing_is_lost(obj: object) -> None:
    before = told(obj)
    text = dumps(obj)
    assert told(loads(text)) == before
    assert dumps(loads(text)) == text
    assert told(obj) == before


@given(st.dictionaries(names, top_paths | estimates, max_size=3))
def test_a_bundle_of_named_results_is_not_lost(bundle: dict[str, object]) -> None:
    assert told(loads(dumps(bundle))) == told(bundle)


@given(st.dictionaries(names, credit_tables | funnels, max_size=3))
def test_a_breakdown_of_tables_is_not_lost(groups: Mapping[str, object]) -> None:
    obj: cx.Breakdown[str, object] = cx.Breakdown(by=("channel",), metric="first_credit", groups=groups)
    assert told(loads(dumps(obj))) == told(obj)


@given(results)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_the_text_is_strict_json_that_can_stand_in_a_script_element(obj: object) -> None:
    text = JsonExporter().write(obj, ".json").decode("utf-8")
    assert "<" not in text
    assert "\u2028" not in text
    assert "\u2029" not in text
    document = json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))
    assert document["schema"].startswith("cxmodel/")


@given(results)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_unknown_keys_are_ignored(obj: object) -> None:
    document = json.loads(dumps(obj))
    if document["schema"] == "cxmodel/graph/1":
        return
    widened = json.dumps(widen(document))
    assert told(loads(widened)) == told(obj)


def widen(value: Any) -> Any:
    """Add a key that nobody knows to every object whose keys are ours."""
    if isinstance(value, list):
        return [widen(each) for each in value]
    if isinstance(value, dict):
        return {key: each if key in ("group", "facts") else widen(each) for key, each in value.items()} | {"x-new": [1]}
    return value


@given(results, st.data())
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_a_broken_document_is_a_document_error(obj: object, data: st.DataObject) -> None:
    document = json.loads(dumps(obj))
    key = data.draw(st.sampled_from(sorted(document)))
    document[key] = data.draw(st.sampled_from([None, 7, "text", [1], {"a": 1}, True]))
    try:
        loads(json.dumps(document))
    except cx.errors.DocumentError as error:
        said = str(error)
    else:
        said = "$ is fine"
    assert "$" in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", ["line 1, column 2", "no JSON"]),
        ("[1]", ["no schema", "cxmodel/measure/1"]),
        ('{"nodes": []}', ["no schema"]),
        ('{"schema": "cxmodel/graph/2"}', ["cxmodel/graph/2", "pip install --upgrade cxmodel"]),
        ('{"schema": "cxmodel/graph/0"}', ["cxmodel/graph/0", "set the schema to cxmodel/graph/1"]),
        ('{"schema": "cxmodel/plum/1"}', ["cxmodel/plum/1", "cxmodel/paths/1"]),
        ('{"schema": "other/graph/1"}', ["not a result"]),
        ('{"schema": "cxmodel/graph/1", "nodes": NaN}', ["NaN", "null"]),
        (
            '{"schema": "cxmodel/graph/1", "nodes": [], "edges": [{"source": "a", "target": "b"}]}',
            ["$.edges[0].source", "'a'", "no node"],
        ),
        ('{"schema": "cxmodel/paths/1", "journeys": "3", "paths": []}', ["$ has no 'other'"]),
        ('{"schema": "cxmodel/measure/1", "kind": "tree"}', ["$.kind", "'tree'", "'estimate'"]),
        (
            '{"schema": "cxmodel/measure/1", "kind": "estimate", "results": [{"value": null, "n": 0}]}',
            ["without a reason"],
        ),
        (
            '{"schema": "cxmodel/measure/1", "kind": "estimate", "results": [{"value": "9", "n": 0}]}',
            ["$.results[0].value", "'9'", "a number"],
        ),
    ],
)
def test_a_fault_is_named_with_its_place(text: str, words: list[str]) -> None:
    with pytest.raises(cx.errors.DocumentError) as caught:
        loads(text)
    assert [word for word in words if word not in str(caught.value)] == []


def test_what_json_has_no_word_for_is_refused_by_name() -> None:
    graph = cx.JourneyGraph.of_counts([("ad", {"count": 1, "thing": object()})], [])
    with pytest.raises(cx.errors.InvalidValueError, match=r"graph\.nodes\[0\]\.thing holds a object"):
        dumps(graph)
    with pytest.raises(cx.errors.InvalidValueError, match="set holds a set"):
        dumps(set())
    mixed: cx.Breakdown[object, cx.Estimate] = cx.Breakdown(
        by=("x",), metric="m", groups={1: cx.Estimate(value=1.0, n=1), "1": cx.Estimate(value=2.0, n=1)}
    )
    with pytest.raises(cx.errors.InvalidValueError, match="int and str"):
        dumps(mixed)


def test_a_result_of_a_plugin_is_told_and_not_read_back() -> None:
    class Custom:
        def to_dict(self) -> dict[str, object]:
            return {"depth": 3}

    text = dumps(Custom())
    assert json.loads(text)["results"][0]["result"] == {"depth": 3}
    with pytest.raises(cx.errors.DocumentError, match="only its plugin knows"):
        loads(text)


def test_numpy_numbers_and_nan_in_a_graph_become_plain() -> None:
    graph = cx.JourneyGraph.of_counts(
        [("ad", {"count": np.int64(2), "rank": np.float64(0.5), "gap": float("nan")})], []
    )
    assert dict(loads(dumps(graph)).nodes["ad"]) == {"count": 2, "rank": 0.5, "gap": None}


def test_a_derived_graph_stays_partial() -> None:
    graph = cx.JourneyGraph.of_counts(
        [("a", {"count": 1}), ("b", {"count": 1})], [("a", "b", {"count": 1})], journeys=1
    )
    part = loads(dumps(graph.subgraph(["a"])))
    assert part.partial
    assert not loads(dumps(graph)).partial
    assert dict(part.nodes(data=True)) == {"a": {"count": 1}}


def test_the_documented_shapes() -> None:
    rows = [
        {"c": "1", "t": "ad", "at": "2026-01-01"},
        {"c": "1", "t": "shop", "at": "2026-01-02"},
        {"c": "2", "t": "shop", "at": "2026-01-02"},
    ]
    journeys = cx.read_events(rows, customer="c", touchpoint="t", time="at")
    graph = json.loads(dumps(journeys.graph()))
    assert graph["nodes"][0] | {"id": "ad", "count": 1, "starts": 1, "ends": 0} == graph["nodes"][0]
    edge = {"source": "ad", "target": "shop", "count": 1, "share": 1.0, "wait_median_s": 86400.0}
    assert graph["edges"][0] | edge == graph["edges"][0]
    assert (graph["journeys"], graph["events"]) == (2, 3)
    paths = json.loads(dumps(journeys.paths().top(1)))
    assert paths["paths"] == [{"touchpoints": ["ad", "shop"], "count": 1, "share": 0.5}]
    assert (paths["journeys"], paths["distinct"], paths["other"]["count"]) == (2, 2, 1)
    funnel = json.loads(dumps(journeys.funnel(["ad", "shop"])))
    assert funnel["steps"][1] | {"touchpoint": "shop", "reached": 1, "wait_median_s": 86400.0} == funnel["steps"][1]
    assert {"value", "low", "high", "n"} <= funnel["steps"][1]["of_first"].keys()
    measured = json.loads(dumps(journeys.measure(cx.metrics.Length(), by="touchpoint")))
    assert measured["metric"] == "length"
    assert {"unassigned", "overlapping"} <= measured.keys()
    assert measured["results"][0]["group"] == {"touchpoint": "ad"}
    wanted = {"group", "quantity", "value", "low", "high", "level", "n", "unit", "method", "flags", "reason"}
    assert wanted <= measured["results"][0].keys()
    goal = cx.Goal("buy", touchpoints=["shop"])
    credit = json.loads(dumps(journeys.measure(cx.metrics.FirstCredit(goal=goal))))
    assert credit["results"][-1]["group"] == {"touchpoint": None}
    assert "direct" in credit["results"][-1]["flags"]


def test_a_loaded_estimate_still_knows_its_population() -> None:
    one, other = (cx.Estimate(value=v, n=9, origin=Origin(source=s)) for v, s in ((1.0, "a"), (2.0, "b")))
    with pytest.raises(cx.errors.NotComparableError):
        loads(dumps(one)).minus(loads(dumps(other)))


def test_load_result_takes_a_file_or_the_text(tmp_path: Path) -> None:
    estimate = cx.Estimate(value=0.5, n=4, unit="share")
    done = cx.export(estimate, tmp_path / "it.json")
    assert (done.exporter, done.skipped) == ("json", ())
    assert (
        cx.load_result(done.path) == cx.load_result(str(done.path)) == cx.load_result(done.path.read_text()) == estimate
    )
    with pytest.raises(cx.errors.SourceNotFoundError, match="nowhere"):
        cx.load_result(tmp_path / "nowhere.json")
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(cx.errors.DocumentError, match=r"bad\.json"):
        cx.load_result(tmp_path / "bad.json")


def test_every_label_occurs_once_as_a_node() -> None:
    graph = cx.JourneyGraph.of_counts([(name, {"count": 1}) for name in HOSTILE], [])
    found = [node["id"] for node in json.loads(dumps(graph))["nodes"]]
    assert found == list(HOSTILE)


def test_half_a_surrogate_pair_survives() -> None:
    graph = cx.JourneyGraph.of_counts([("half \ud83d", {"count": 1})], [])
    data = JsonExporter().write(graph, ".json")
    assert list(loads(data.decode("utf-8"))) == ["half \ud83d"]


def test_bytes_do_not_depend_on_the_process() -> None:
    code = (
        "import cxmodel as cx; from cxmodel.exporters.json import dumps;"
        "rows=[{'c':str(i%7),'t':'abcde'[i*i%5],'at':f'2026-01-{i%28+1:02}'} for i in range(60)];"
        "j=cx.read_events(rows,customer='c',touchpoint='t',time='at');"
        "print(dumps({'graph':j.graph(),'length':j.measure(cx.metrics.Length(),by='touchpoint')}))"
    )
    runs = {
        subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}
        ).stdout
        for seed in ("1", "2")
    }
    assert len(runs) == 1


def test_what_looks_ahead_is_told_as_a_document(tmp_path: Path) -> None:
    rows = [
        {"c": str(i), "t": t, "at": f"2026-01-{1 + i % 28:02}T0{k}:00"}
        for i in range(60)
        for k, t in enumerate(["ad", "pay"] if i % 2 else ["ad", "shop"])
    ]
    journeys = cx.read_events(rows, customer="c", touchpoint="t", time="at")
    early = journeys.outlook("pay", until=datetime(2026, 1, 15, tzinfo=UTC), order=1)
    made = {
        "check": early.evaluate(journeys, bootstrap=20),
        "positions": journeys.positions("pay"),
        "position": journeys.position("1", goal="pay"),
        "what_if": journeys.what_if("pay"),
        "orders": journeys.chain_orders("pay", most=1),
    }
    for name, each in made.items():
        cx.export(each, tmp_path / f"{name}.json")
        told = json.loads((tmp_path / f"{name}.json").read_text(encoding="utf-8"))
        assert told["schema"] == "cxmodel/measure/1"
        assert told["results"][0]["result"] == json.loads(json.dumps(each.to_dict()))  # type: ignore[attr-defined]
