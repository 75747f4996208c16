"""Pictures of journey graphs: every touchpoint once, hidden transitions counted, hostile names harmless, same bytes."""

import copy
import io
import os
import re
import shutil
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.exporters.results import HOSTILE, graphs

import cxmodel as cx
from cxmodel.exporters import graphviz
from cxmodel.exporters.graphviz import GraphvizExporter
from cxmodel.exporters.labels import visible
from cxmodel.exporters.matplotlib.graph import GraphFigure, at, curve
from cxmodel.exporters.views import view
from cxmodel.plugins.registry import default_registry

SVG = "{http://www.w3.org/2000/svg}"


def hostile_graph(*, stages: bool) -> cx.JourneyGraph:
    """A ring through every hostile name."""
    facts = [{"count": 5, "starts": 1, "ends": 1, "leave_share": 0.2} for _ in HOSTILE]
    if stages:
        facts = [{**each, "stage": HOSTILE[i % 4]} for i, each in enumerate(facts)]  # type: ignore[dict-item]
    ring = zip(HOSTILE, [*HOSTILE[1:], HOSTILE[0]], strict=True)
    return cx.JourneyGraph.of_counts(
        zip(HOSTILE, facts, strict=True), [(a, b, {"count": 4}) for a, b in ring], journeys=23
    )


def two() -> cx.JourneyGraph:
    nodes = [("ad", {"count": 10, "starts": 9, "ends": 2}), ("shop", {"count": 8, "starts": 1, "ends": 8})]
    return cx.JourneyGraph.of_counts(nodes, [("ad", "shop", {"count": 7}), ("shop", "ad", {"count": 2})], journeys=10)


def node_tooltips(dot: str) -> list[str]:
    found = re.findall(r'^ +n\d+ \[.*tooltip=("(?:[^"\\]|\\.)*")', dot, flags=re.MULTILINE)
    return [unquoted(text) for text in found]


def unquoted(text: str) -> str:
    """A quoted string of DOT as Graphviz reads it: the lexer's \\", then escapes, then entities."""
    inner = text[1:-1].replace('\\"', '"')
    inner = re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], inner)
    return inner.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def xml_kept(name: str) -> str:
    """What of a name XML can hold."""
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f]", "\ufffd", name)


def svg_titles(svg: bytes) -> list[str]:
    root = ET.fromstring(svg.decode("utf-8"))
    groups = [each for each in root.iter(f"{SVG}g") if each.get("id", "").startswith("touchpoint_")]
    return [str(each.findtext(f"{SVG}title")) for each in groups]


# every touchpoint once


@given(graphs())
def test_dot_names_every_touchpoint_once(graph: cx.JourneyGraph) -> None:
    dot = GraphvizExporter().write(graph, ".dot").decode()
    shown = [name.replace("\n", "") for name in node_tooltips(dot)]
    wanted = [xml_kept(name).replace("\n", "").replace("\r", "").replace("\t", " ") for name in graph.nodes]
    assert sorted(shown) == sorted(wanted)
    assert set(re.findall(r'color="([^"]*)"', dot)) <= set(re.findall(r"#[0-9a-f]{6}", dot))


@given(graphs(most=6))
@settings(max_examples=12)
def test_matplotlib_names_every_touchpoint_once_and_nothing_overlaps(graph: cx.JourneyGraph) -> None:
    figure = GraphFigure().figure(graph)
    axes = figure.axes[0]
    patches = [patch for patch in axes.patches if (patch.get_gid() or "").startswith("touchpoint_")]
    assert len(patches) == graph.number_of_nodes()
    boxes = [patch.get_window_extent() for patch in patches]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    whole = figure.bbox
    assert all(whole.x0 <= b.x0 and b.x1 <= whole.x1 and whole.y0 <= b.y0 and b.y1 <= whole.y1 for b in boxes)
    titles = svg_titles(GraphFigure().write(graph, ".svg"))
    assert [title.replace("\r", "").replace("\n", "") for title in titles] == [
        xml_kept(name).replace("\r", "").replace("\n", "") for name in graph.nodes
    ]


@pytest.mark.parametrize("stages", [False, True])
@pytest.mark.parametrize("extension", [".svg", ".png", ".pdf"])
def test_hostile_names_by_matplotlib(stages: bool, extension: str) -> None:
    graph = hostile_graph(stages=stages)
    data = GraphFigure(title=HOSTILE[0]).write(graph, extension)
    if extension == ".svg":
        assert sorted(svg_titles(data)) == sorted(xml_kept(name) for name in HOSTILE)
        assert b"</script>" not in data
    elif extension == ".png":
        Image.open(io.BytesIO(data)).verify()
    else:
        assert data.startswith(b"%PDF")


def test_signs_that_the_font_lacks_are_shown_and_said() -> None:
    graph = cx.JourneyGraph.of_counts([("🛒 cart", {"count": 1})], [])
    texts = [
        text.get_text() for text in [*GraphFigure().figure(graph).axes[0].texts, *GraphFigure().figure(graph).texts]
    ]
    assert "□ cart" in texts
    assert any("U+1F6D2" in text and "DejaVu Sans" in text for text in texts)
    with pytest.raises(cx.errors.InvalidValueError, match="no font 'Nowhere Sans'"):
        GraphFigure(font="Nowhere Sans").figure(graph)


@pytest.mark.needs_dot
@pytest.mark.parametrize("stages", [False, True])
def test_dot_itself_reads_hostile_names(stages: bool) -> None:
    dot = GraphvizExporter(title='a "title" <b> \\N').write(hostile_graph(stages=stages), ".dot")
    assert sorted(node_tooltips(dot.decode())) == sorted(
        xml_kept(name).replace("\r", "").replace("\t", " ") for name in HOSTILE
    )
    run = subprocess.run(["dot", "-Tcanon"], input=dot, capture_output=True, check=False)
    assert run.returncode == 0
    assert [line for line in run.stderr.decode().splitlines() if "Fontconfig" not in line] == []


@pytest.mark.needs_dot
@pytest.mark.parametrize("by", ["pygraphviz", "dot"])
def test_pictures_by_graphviz_are_described(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphviz, "_has_pygraphviz", lambda: by == "pygraphviz")
    data = GraphvizExporter(title="Wares & <goods>").write(hostile_graph(stages=True), ".svg")
    root = ET.fromstring(data.decode("utf-8"))
    assert root.get("role") == "img"
    assert root.findtext(f"{SVG}title") == "Wares & <goods>"
    assert str(root.findtext(f"{SVG}desc")).startswith("Journey graph of 24 touchpoints. 24 of 24 transitions shown")
    assert sorted(svg_titles(data)) == sorted(xml_kept(name) for name in HOSTILE)
    png = Image.open(io.BytesIO(GraphvizExporter().write(two(), ".png")))
    assert "2 touchpoints" in png.info["Description"]


# what is hidden is counted


@given(graphs(), st.floats(0, 1), st.none() | st.integers(0, 12))
def test_hidden_transitions_are_counted(graph: cx.JourneyGraph, least: float, most: int | None) -> None:
    seen = view(graph, min_share=least, max_edges=most)
    loops = sum(a == b for a, b in graph.edges)
    everything = graph.number_of_edges() + graph.graph.get("other", {}).get("transitions", 0)
    shown = len(seen.ways) + loops
    assert shown + seen.hidden == everything
    if everything:
        assert f"{shown:,} of {everything:,} transitions shown" in seen.caption
    if most is not None:
        assert len(seen.ways) <= most
    assert all(graph.edges[way.source, way.target]["share"] >= least for way in seen.ways)
    assert sorted(name for column in seen.columns for name in column) == sorted(graph.nodes)


def test_traffic_counts_what_reading_left_out_too() -> None:
    graph = two()
    graph.graph["other"] = {"transitions": 3, "count": 1}
    assert view(graph, min_share=0, max_edges=1).caption.startswith("1 of 5 transitions shown, 70% of traffic.")


def test_stages_stand_in_the_order_of_the_catalogue() -> None:
    graph = cx.JourneyGraph.of_counts(
        [("a", {"count": 1, "stage": "Last"}), ("b", {"count": 1, "stage": "First"}), ("c", {"count": 1})],
        [],
        stages=["First", "Last"],
    )
    seen = view(graph, min_share=0, max_edges=None)
    assert list(zip(seen.headings, seen.columns, strict=True)) == [
        ("First", ("b",)),
        ("Last", ("a",)),
        ("no stage", ("c",)),
    ]
    del graph.graph["stages"]
    graph.add_edge("a", "b", count=1)
    graph.nodes["a"]["starts"] = 1
    assert view(graph, min_share=0, max_edges=None).headings == ("Last", "First", "no stage")


def test_ways_back_are_dashed_and_in_another_colour() -> None:
    dot = GraphvizExporter().write(two(), ".dot").decode()
    back = [line for line in dot.splitlines() if "n1 -> n0" in line]
    assert len(back) == 1
    assert "style=dashed" in back[0]
    assert "#d55e00" in back[0]
    assert "constraint=false" in back[0]
    assert "START" not in dot
    assert "90% start" in dot
    assert "20% leave" in dot


def test_colours_come_with_signs() -> None:
    def nps(value: float, half: float) -> cx.Estimate:
        return cx.Estimate(
            value=value,
            n=10,
            interval=cx.Interval(value - half, value + half, 0.95, "score"),
            unit="points",
            direction="higher",
        )

    graph = cx.JourneyGraph.of_counts([(name, {"count": 1}) for name in "abcd"], [])
    color = {"a": nps(60, 5), "b": nps(-60, 5), "c": nps(1, 30), "d": cx.Estimate(value=None, n=1, reason="too few")}
    spots = view(graph, min_share=0, max_edges=None, color=color).spots
    assert [spots[name].notes[0] for name in "abcd"] == ["▲ 60 points", "▼ -60 points", "≈ 1 points", "no value"]
    fills = [spots[name].shade.fill for name in "abcd" if spots[name].shade]  # type: ignore[union-attr]
    assert len(set(fills)) == 4


# purity


def drawings() -> list[tuple[str, str]]:
    return [
        ("graphviz", ".dot"),
        ("matplotlib_graph", ".svg"),
        ("matplotlib_graph", ".png"),
        ("matplotlib_graph", ".pdf"),
    ]


@pytest.mark.parametrize(("name", "extension"), drawings())
def test_same_bytes_here_and_in_other_processes(name: str, extension: str) -> None:
    code = (
        "import sys; from tests.exporters.test_graph_pictures import hostile_graph;"
        "from cxmodel.plugins.registry import default_registry as registry;"
        f"sys.stdout.buffer.write(registry().exporter({name!r})().write(hostile_graph(stages=True), {extension!r}))"
    )
    graph = hostile_graph(stages=True)
    before = copy.deepcopy((list(graph.nodes(data=True)), list(graph.edges(data=True)), graph.graph))
    exporter = default_registry().exporter(name)()
    first = exporter.write(graph, extension)
    assert exporter.write(graph, extension) == first
    assert (list(graph.nodes(data=True)), list(graph.edges(data=True)), graph.graph) == before
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code], check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        assert run.stdout == first


@pytest.mark.needs_dot
@pytest.mark.parametrize("extension", [".svg", ".png", ".pdf"])
def test_same_bytes_by_graphviz(extension: str) -> None:
    assert GraphvizExporter().write(two(), extension) == GraphvizExporter().write(two(), extension)


# choosing


def test_without_graphviz_the_other_draws_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graphviz, "_has_pygraphviz", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda _: None)
    done = cx.export(two(), tmp_path / "graph.svg", title="Both know a title")
    assert done.exporter == "matplotlib_graph"
    assert [name for name, _ in done.skipped] == ["graphviz"]
    assert "apt-get install graphviz" in done.skipped[0][1]
    assert cx.export(two(), tmp_path / "graph.dot").exporter == "graphviz"


def test_too_many_touchpoints_are_refused_in_pictures_and_kept_in_text(tmp_path: Path) -> None:
    names = [f"t{i}" for i in range(2000)]
    graph = cx.JourneyGraph.of_counts(
        [(n, {"count": 1}) for n in names], [(a, b, {"count": 1}) for a, b in pairwise(names)]
    )
    with pytest.raises(cx.errors.NotMeasurableError, match="2,000 touchpoints are too many to see"):
        cx.export(graph, tmp_path / "graph.png")
    assert sorted(node_tooltips(GraphvizExporter().write(graph, ".dot").decode())) == sorted(names)


@pytest.mark.parametrize("extension", [".dot", ".svg", ".png", ".pdf"])
def test_an_empty_graph_is_drawn(extension: str) -> None:
    empty = cx.JourneyGraph.of_counts([], [], journeys=0, events=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for exporter in (GraphFigure(), GraphvizExporter()):
            if extension in exporter.extensions and exporter.missing(empty, extension) is None:
                assert exporter.write(empty, extension)


def test_arrows_point_at_their_target() -> None:
    for route in ([(0.0, 0.0), (9.0, 4.0)], [(1.0, 0.0), (1.0, 9.0)], [(0.0, 0.0), (5.0, 0.0), (5.0, 8.0), (0.0, 8.0)]):
        pieces = curve(route)
        assert pieces[0][0] == route[0]
        assert pieces[-1][3] == route[-1]
        assert pieces[-1][2] != pieces[-1][3]
        assert at(pieces[0], 0.0) == route[0]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_visible_text_is_one_line_and_not_blank(text: str) -> None:
    shown = visible(text)
    assert shown.strip()
    assert len(shown.splitlines()) == 1
    assert "\u202e" not in shown
