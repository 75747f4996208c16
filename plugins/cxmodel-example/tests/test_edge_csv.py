"""The exporter: the bytes parse to the graph's edges, and no spreadsheet runs them."""

import csv
import io
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from cxmodel_example import EdgeCsv
from cxmodel_example.edge_csv import harmless
from hypothesis import given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.errors import InvalidValueError

HOSTILE = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =1", "'quoted", 'a"b', "a,b", "a\nb", "naïve – 漢字", "pay"]


def journeys(path: list[str]) -> cx.Journeys:
    rows = [{"who": "ann", "what": name, "at": f"2026-01-01 10:{minute:02d}"} for minute, name in enumerate(path)]
    return cx.read_events(rows, customer="who", touchpoint="what", time="at")


def table(content: bytes, separator: str = ",") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode(), newline=""), delimiter=separator))


@given(
    path=st.lists(st.sampled_from(HOSTILE), min_size=1, max_size=20), separator=st.sampled_from([",", ";", "\t", "|"])
)
def test_parses_to_the_edges(path: list[str], separator: str) -> None:
    graph = journeys(path).graph()
    before = graph.to_dict()
    content = EdgeCsv(separator=separator).write(graph, ".edges.csv")
    found = {(row["source"], row["target"]): int(row["count"]) for row in table(content, separator)}
    assert found == {(harmless(a), harmless(b)): count for (a, b), count in Counter(pairwise(path)).items()}
    assert EdgeCsv(separator=separator).write(graph, ".edges.csv") == content
    assert graph.to_dict() == before


@given(st.text(max_size=8))
def test_no_cell_is_a_formula_and_names_come_back(name: str) -> None:
    cell = harmless(name)
    assert cell.lstrip(" ")[:1] not in {"=", "+", "-", "@", "\t", "\r", "\n"}
    assert name in {cell, cell[1:]}


def test_shares_and_waits_stand_beside_the_counts() -> None:
    assert table(EdgeCsv().write(journeys(["ad", "shop", "ad"]).graph(), ".edges.csv")) == [
        {"source": "ad", "target": "shop", "count": "1", "share": "0.5", "wait_median_s": "60.0"},
        {"source": "shop", "target": "ad", "count": "1", "share": "1.0", "wait_median_s": "60.0"},
    ]


def test_a_separator_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="';;'"):
        EdgeCsv(separator=";;")


def test_the_ending_finds_it(tmp_path: Path) -> None:
    written = cx.export(journeys(["ad", "shop"]).graph(), tmp_path / "small.edges.csv", separator=";")
    assert (written.exporter, written.path.read_text(encoding="utf-8").partition("\n")[0]) == (
        "edge_csv",
        "source;target;count;share;wait_median_s",
    )
