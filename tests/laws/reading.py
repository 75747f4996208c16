"""What the laws share: reading rows of the strategies, and reading results back as plain values."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import evolve

import cxmodel as cx
from cxmodel.data.events import event_rows
from cxmodel.data.fields import Field
from cxmodel.data.grouping import group
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.roles import Roles
from cxmodel.data.rows import read_rows
from cxmodel.data.sources import open_tables

Row = Mapping[str, object]


def read(rows: Any, **more: Any) -> cx.Journeys:
    """Rows of `cxmodel.testing.logs` as journeys; they name journeys when the first row does."""
    named = isinstance(rows, list) and rows[0].get("journey") is not None
    roles = {"journey": "journey"} if named else {}
    return cx.read_events(rows, customer="customer", touchpoint="touchpoint", time="time", **{**roles, **more})


def in_blocks(journeys: cx.Journeys, rows: Sequence[Row], size: int) -> cx.Journeys:
    """The same journeys in blocks of about this many events."""
    named = journeys.population.vocabulary.journeys is not None
    roles = Roles(customer="customer", touchpoint="touchpoint", time="time", journey="journey" if named else None)
    fields: list[Field] = roles.fields()
    with open_tables(list(rows), [each.column for each in fields]) as (connection, tables):
        encoded = read_rows(connection, tables, fields)
    population = journeys.population
    assert isinstance(population, MemoryPopulation)
    vocabulary = population.vocabulary.changed(customers=encoded.identifiers["customer"])
    blocks = group(event_rows(encoded.arrays, encoded.labels), vocabulary, rows_per_block=size)
    return evolve(journeys, population=evolve(population, parts=blocks, vocabulary=vocabulary))


def events(journeys: cx.Journeys) -> Iterator[tuple[str, str | None, list[tuple[str, int]]]]:
    """Every journey: customer, id, and its events in order."""
    vocabulary = journeys.population.vocabulary
    for block in journeys.population.parts:
        for j in range(block.journeys):
            rows = range(block.journey_offsets[j], block.journey_offsets[j + 1])
            name = None
            if block.journey_id is not None and vocabulary.journeys is not None:
                name = vocabulary.journeys.text(int(block.journey_id[j]))
            yield (
                vocabulary.customers.text(int(block.customer[block.customer_of_journey[j]])), name,
                [(vocabulary.touchpoints[block.touchpoint[i]], int(block.time[i])) for i in rows],
            )  # fmt: skip


def whole(journeys: cx.Journeys) -> list[tuple[str, str | None, list[tuple[str, int]]]]:
    """All journeys in an order of their own, so that two readings can be compared."""
    return sorted(events(journeys), key=repr)


def paths_of(journeys: cx.Journeys) -> dict[tuple[str, ...], int]:
    table = journeys.paths()
    return {path.touchpoints: path.count for path in table.top(table.distinct)}


def edges_of(journeys: cx.Journeys) -> dict[tuple[str, str], dict[str, Any]]:
    return {(a, b): dict(data) for a, b, data in journeys.graph().edges(data=True)}


def counts_of(journeys: cx.Journeys) -> dict[str, Any]:
    """Everything about a graph that is a count."""
    graph = journeys.graph()
    return {
        "nodes": {n: tuple(d[k] for k in ("count", "starts", "ends", "journeys")) for n, d in graph.nodes(data=True)},
        "edges": {(a, b): d["count"] for a, b, d in graph.edges(data=True)},
        "totals": (graph.journeys, graph.events, graph.customers),
    }  # fmt: skip


def credit_of(table: Any) -> dict[str, float]:
    return {name: estimate.value for name, estimate in table.items() if estimate.value}
