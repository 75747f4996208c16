"""A plugin as it was written for version 1 of the hooks. Never change this file: old plugins go on loading."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from attrs import field, frozen

from cxmodel import JourneyGraph
from cxmodel.plugins import (
    API_VERSION,
    Block,
    Columns,
    Exporter,
    Floats,
    Metric,
    Observations,
    RawEvent,
    Reader,
    RowError,
    SumMetric,
    hookimpl,
    observe,
)

WRITTEN_FOR = 1
assert API_VERSION >= WRITTEN_FOR


@frozen(kw_only=True)
class NightShare(SumMetric):
    """Share of events before a given hour (UTC)."""

    name: ClassVar[str] = "night_share"
    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Any] = "event"

    until: int = field(default=6)

    def observe(self, block: Block) -> Observations:
        hour = block.time // 3_600_000_000 % 24
        return observe("event", np.arange(block.events), night=hour < self.until)

    def value(self, sums: Columns) -> Floats:
        return sums["night"] / sums["n"]


@frozen
class NodeList(Exporter[JourneyGraph]):
    """Names of the touchpoints, one per line."""

    name: ClassVar[str] = "node_list"
    extensions: ClassVar[tuple[str, ...]] = (".nodes",)
    takes: ClassVar[tuple[type, ...]] = (JourneyGraph,)

    def write(self, obj: JourneyGraph, extension: str) -> bytes:
        return "\n".join(sorted(obj)).encode()


@frozen
class Lines(Reader):
    """Lines of customer, touchpoint and time."""

    name: ClassVar[str] = "lines"

    def detects(self, head: bytes) -> bool:
        return head.startswith(b"lines")

    def rows(self, path: Path) -> Iterator[RawEvent | RowError]:
        for i, line in enumerate(path.read_text(encoding="utf-8").splitlines()[1:]):
            parts = line.split()
            if len(parts) != 3:
                yield RowError(f"line {i}", "not three words", line)
                continue
            yield RawEvent(where=f"line {i}", customer=parts[0], touchpoint=parts[1], time=parts[2])


@hookimpl
def cxmodel_metrics() -> list[type[Metric[Any]]]:
    return [NightShare]


@hookimpl
def cxmodel_exporters() -> list[type[Exporter[Any]]]:
    return [NodeList]


@hookimpl
def cxmodel_readers() -> list[type[Reader]]:
    return [Lines]
