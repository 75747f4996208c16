"""The journey graph: a NetworkX graph of touchpoints that every NetworkX function accepts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from zlib import crc32

import networkx as nx

from cxmodel.errors import InvalidValueError, PartialGraphError, UnknownNameError, unknown

if TYPE_CHECKING:
    _DiGraph = nx.DiGraph[str]
else:
    _DiGraph = nx.DiGraph

Weight = Literal["count", "surprisal", "wait_median_s", "wait_mean_s"]


class JourneyGraph(_DiGraph):
    """Touchpoints as nodes, transitions as edges.

    Node attributes: ``count`` (events), ``starts``, ``ends``, ``journeys`` (that pass), ``share`` (of all events),
    ``leave_share`` (of its events that end a journey), ``value`` where events carry one, and the touchpoint's
    ``stage``, ``channel``, ``department``, ``kind`` where a catalogue gave them. Edge attributes: ``count``, ``share``
    (of the source's events), ``wait_mean_s``, ``wait_median_s``, ``wait_total_s``. All are plain int, float and str.

    No attribute is called ``weight``, because counts are not costs: `weighted` makes a copy with the weight you mean.
    Everything about the whole stands in ``graph.graph``; graphs derived by NetworkX (subgraphs, reversed, relabelled,
    composed) do not describe a population any more, so `journeys` and `events` refuse there.

    Example:
        >>> graph = JourneyGraph.of_counts(
        ...     [("ad", {"count": 2, "starts": 2, "ends": 0}), ("shop", {"count": 2, "starts": 0, "ends": 2})],
        ...     [("ad", "shop", {"count": 2, "share": 1.0, "wait_median_s": 60.0})],
        ...     journeys=2, events=4)
        >>> graph.journeys, graph.wait("ad", "shop")
        (2, datetime.timedelta(seconds=60))
    """

    @classmethod
    def of_counts(
        cls,
        nodes: Iterable[tuple[str, dict[str, Any]]],
        edges: Iterable[tuple[str, str, dict[str, Any]]],
        **totals: object,
    ) -> JourneyGraph:
        """A graph of a whole population.

        Args:
            nodes: Touchpoints with their attributes.
            edges: Transitions with their attributes.
            totals: ``journeys``, ``events``, and what else is known of the whole.
        """
        graph = cls()
        graph.add_nodes_from(nodes)
        graph.add_edges_from(edges)
        graph.graph.update(totals)
        graph.graph["whole"] = [graph.number_of_nodes(), graph.number_of_edges(), graph._checksum()]
        return graph

    @property
    def partial(self) -> bool:
        """Whether this is only part of a population's graph, or was changed since."""
        whole = self.graph.get("whole")
        return whole is None or list(whole) != [
            self.number_of_nodes(),
            self.number_of_edges(),
            self._checksum(),
        ]

    @property
    def journeys(self) -> int:
        """Number of journeys.

        Raises:
            PartialGraphError: On a graph that is only part of a population.
        """
        return self._total("journeys")

    @property
    def events(self) -> int:
        """Number of events."""
        return self._total("events")

    @property
    def customers(self) -> int:
        """Number of customers."""
        return self._total("customers")

    def _total(self, name: str) -> int:
        if self.partial:
            raise PartialGraphError(
                f"this graph is only part of a population, so it has no total of {name}",
                hint="Select journeys first: journeys.where(…).graph()",
            )
        return int(self.graph.get(name, 0))

    def _checksum(self) -> int:
        """Changes when a node or an edge is added, removed, renamed, reversed or counted anew."""
        nodes = sum(_crc(str(node)) * int(data.get("count", 0)) for node, data in self.nodes(data=True))
        edges = sum(_crc(f"{a}\0{b}") * int(data.get("count", 0)) for a, b, data in self.edges(data=True))
        return nodes + edges

    def wait(self, source: str, target: str, *, of: Literal["median", "mean"] = "median") -> timedelta:
        """Median or mean wait of a transition.

        Raises:
            UnknownNameError: When there is no such transition.
        """
        if not self.has_edge(source, target):
            known = [f"{a} → {b}" for a, b in self.edges()]
            raise UnknownNameError(unknown("transition", f"{source} → {target}", known))
        return timedelta(seconds=float(self.edges[source, target][f"wait_{of}_s"]))

    def weighted(self, by: Weight) -> JourneyGraph:
        """A copy whose edges carry ``weight``.

        Args:
            by: ``"count"``; ``"surprisal"`` (−log₂ of the edge's share: additive along a path, so shortest paths are
                the most probable ones); or a wait in seconds.
        """
        if by not in ("count", "surprisal", "wait_median_s", "wait_mean_s"):
            options = ["count", "surprisal", "wait_median_s", "wait_mean_s"]
            raise InvalidValueError(unknown("weight", by, options))
        graph: JourneyGraph = self.copy()
        for _, _, data in graph.edges(data=True):
            data["weight"] = -math.log2(data["share"]) if by == "surprisal" else data[by]
        return graph

    def to_dict(self) -> dict[str, Any]:
        """Nodes, edges and totals, as in JSON."""
        about = {key: value for key, value in self.graph.items() if key != "whole"}
        return {
            "nodes": [{"id": node, **data} for node, data in self.nodes(data=True)],
            "edges": [{"source": a, "target": b, **data} for a, b, data in self.edges(data=True)],
            **about,
            "partial": self.partial,
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> JourneyGraph:
        """The graph that `to_dict` wrote."""
        nodes = [(str(n["id"]), {k: v for k, v in n.items() if k != "id"}) for n in record["nodes"]]
        edges = [
            (
                str(e["source"]),
                str(e["target"]),
                {k: v for k, v in e.items() if k not in ("source", "target")},
            )
            for e in record["edges"]
        ]
        about = {k: v for k, v in record.items() if k not in ("nodes", "edges", "partial", "schema")}
        graph = cls.of_counts(nodes, edges, **about)
        if record.get("partial"):
            del graph.graph["whole"]
        return graph


def _crc(text: str) -> int:
    # half of a surrogate pair, as JSON may hold it, has no UTF-8
    return crc32(text.encode(errors="surrogatepass"))
