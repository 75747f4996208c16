"""The journey graph is a NetworkX graph for all of NetworkX; what is derived from it claims no totals."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from datetime import timedelta
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from tests.laws.reading import read

import cxmodel as cx
from cxmodel.testing import Row, journeys_of, logs

few = settings(max_examples=25)


def example() -> cx.JourneyGraph:
    return journeys_of(
        "anna: ad 0, shop 2, cart 5, pay 9; bert: ad 0, shop 1, ad 3; carl: shop 0, cart 4, shop 6"
    ).graph()


WHOLE: dict[str, Callable[[Any], Any]] = {
    "copy": cx.JourneyGraph.copy,
    "pickle": lambda g: pickle.loads(pickle.dumps(g)),
    "constructor": cx.JourneyGraph,
    "full subgraph": lambda g: g.subgraph(g.nodes).copy(),
    "json": lambda g: cx.JourneyGraph.from_dict(g.to_dict()),
}
PARTIAL: dict[str, Callable[[Any], Any]] = {
    "subgraph": lambda g: g.subgraph(["ad", "shop"]),
    "subgraph copy": lambda g: g.subgraph(["ad", "shop"]).copy(),
    "edge subgraph": lambda g: g.edge_subgraph([("ad", "shop")]),
    "reverse": lambda g: g.reverse(),
    "reverse view": lambda g: g.reverse(copy=False),
    "relabel": lambda g: nx.relabel_nodes(g, {"ad": "advert"}),
    "compose": lambda g: nx.compose(g, nx.DiGraph([("pay", "thanks")])),
    "disjoint union": lambda g: nx.disjoint_union(g, g),
    "closure": nx.transitive_closure,
    "fresh": lambda g: g.__class__(),
}


@pytest.mark.parametrize("how", WHOLE)
def test_copies_describe_the_same_population(how: str) -> None:
    graph = example()
    derived = WHOLE[how](graph)
    assert type(derived) is cx.JourneyGraph
    assert list(derived.nodes(data=True)) == list(graph.nodes(data=True))
    assert list(derived.edges(data=True)) == list(graph.edges(data=True))
    assert not derived.partial
    assert (derived.journeys, derived.events, derived.customers) == (3, 10, 3)


@pytest.mark.parametrize("how", PARTIAL)
def test_derived_graphs_refuse_totals(how: str) -> None:
    derived = PARTIAL[how](example())
    assert type(derived) is cx.JourneyGraph
    assert derived.partial
    for total in ("journeys", "events", "customers"):
        with pytest.raises(cx.errors.PartialGraphError, match="only part of a population"):
            getattr(derived, total)


def test_changed_graphs_refuse_totals() -> None:
    changes: tuple[Callable[[Any], object], ...] = (
        lambda g: g.remove_node("pay"), lambda g: g.remove_edge("shop", "cart"), lambda g: g.add_edge("pay", "ad"),
        lambda g: g.edges["ad", "shop"].update(count=9), lambda g: g.nodes["ad"].update(count=9), lambda g: g.clear(),
    )  # fmt: skip
    for change in changes:
        graph = example()
        assert not graph.partial
        change(graph)
        assert graph.partial


def test_algorithms_take_it() -> None:
    graph: Any = example()
    assert nx.pagerank(graph, weight="count").keys() == set(graph)
    assert nx.shortest_path(graph.weighted("surprisal"), "ad", "pay", weight="weight") == ["ad", "shop", "cart", "pay"]
    assert nx.to_numpy_array(graph, weight="count").sum() == sum(n for _, _, n in graph.edges(data="count"))
    undirected: Any = nx.Graph(graph)
    assert (undirected.is_directed(), undirected.number_of_nodes()) == (False, 4)
    assert nx.is_isomorphic(graph, nx.DiGraph(graph))
    assert graph.wait("ad", "shop") == timedelta(seconds=90)
    rebuilt = nx.node_link_graph(nx.node_link_data(graph, edges="edges"), edges="edges")
    assert set(rebuilt.edges) == set(graph.edges)


@few
@given(logs(touchpoints=5))
def test_attributes_are_plain(rows: list[Row]) -> None:
    graph = read(rows).graph()
    values = [v for _, d in graph.nodes(data=True) for v in d.values()] + [
        v for *_, d in graph.edges(data=True) for v in d.values()
    ]
    assert {type(value) for value in values} <= {int, float, str}
    assert not any("weight" in data for *_, data in graph.edges(data=True))
    assert cx.JourneyGraph.from_dict(graph.to_dict()).to_dict() == graph.to_dict()
    assert not graph.partial
    renamed: Any = nx.relabel_nodes(graph, {name: f"{name}!" for name in graph})
    assert renamed.partial


@pytest.fixture
def loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """NetworkX's own test backend, switched on as its test suite does: every call converts there and back."""
    found = entry_points(name="nx_loopback", group="networkx.backends")
    assert found, "this NetworkX brings no loopback backend"
    backends: Any = import_module("networkx.utils.backends")
    monkeypatch.setitem(backends.backends, "nx_loopback", found["nx_loopback"])
    monkeypatch.setitem(backends.backend_info, "nx_loopback", {})
    config = nx.utils.Config(nx_loopback=nx.utils.Config(), **nx.config.backends)
    monkeypatch.setattr(nx.config, "backends", config)
    monkeypatch.setattr(backends._dispatchable, "__call__", backends._dispatchable._call_if_any_backends_installed)


@pytest.mark.usefixtures("loopback")
def test_backends_take_it() -> None:
    graph = example()
    without = {
        "pagerank": nx.pagerank(graph, weight="count"),
        "betweenness": nx.betweenness_centrality(graph),
        "path": nx.shortest_path(graph.weighted("wait_median_s"), "ad", "pay", weight="weight"),
        "components": sorted(map(sorted, nx.strongly_connected_components(graph))),
    }
    with nx.config(backend_priority=["nx_loopback"], cache_converted_graphs=False):
        assert nx.pagerank(graph, weight="count") == without["pagerank"]
        assert nx.betweenness_centrality(graph) == without["betweenness"]
        assert nx.shortest_path(graph.weighted("wait_median_s"), "ad", "pay", weight="weight") == without["path"]
        assert sorted(map(sorted, nx.strongly_connected_components(graph))) == without["components"]
        assert nx.betweenness_centrality(graph, backend="nx_loopback") == without["betweenness"]
    assert not graph.partial
    assert graph.journeys == 3
