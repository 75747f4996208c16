"""Distributions: how long journeys are, in events and in time, with exact counts and quantiles."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from itertools import pairwise
from math import ceil, floor, inf, isfinite
from typing import Any, ClassVar, Final, cast

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError
from cxmodel.model.estimates import Origin
from cxmodel.stats.arrays import Ints
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.metrics import Tally
from cxmodel.tallies.sums import grouped

SHARES: Final = (0.0, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 1.0)
_DAY: Final = 86_400.0
_SECONDS: Final = (
    0.0, 1.0, 10.0, 60.0, 600.0, 3_600.0, 21_600.0, _DAY, 3 * _DAY, 7 * _DAY, 30 * _DAY, 90 * _DAY, 365 * _DAY, inf,
)  # fmt: skip
_EVENTS: Final = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 11.0, 16.0, 21.0, 51.0, 101.0, 1_001.0, inf)


@frozen(kw_only=True)
class HistogramBin:
    """A half-open bin [low, high); ``high`` is infinite in the last.

    Attributes:
        low: Smallest value in it.
        high: What values stay below.
        count: Journeys in it.
        share: Their share of all.
    """

    low: float
    high: float
    count: int
    share: float

    def to_dict(self) -> dict[str, object]:
        """As in JSON; an open end is None."""
        high = self.high if isfinite(self.high) else None
        return {"low": self.low, "high": high, "count": self.count, "share": self.share}


@frozen(kw_only=True, eq=False)
class Distribution:
    """A distribution over journeys, exactly as observed.

    Attributes:
        journeys: Journeys with an event.
        unit: Unit of the values.
        values: (v,) different values, ascending.
        counts: (v,) journeys with each.
        scale: Values are this many to the unit.
        bins: Histogram; the counts sum to ``journeys`` less ``outside``.
        outside: Journeys outside all bins.
        origin: Which population it is.
    """

    journeys: int
    unit: str
    values: Ints = field(repr=False)
    counts: Ints = field(repr=False)
    scale: float = field(repr=False)
    bins: tuple[HistogramBin, ...] = field(repr=False)
    outside: int = 0
    origin: Origin | None = field(default=None, repr=False)

    def quantile(self, share: float) -> float | None:
        """The value below which this share of the journeys lies, interpolated between neighbours; None without any.

        Type 7 of Hyndman & Fan 1996 (doi:10.1080/00031305.1996.10473566): at 0.5 the usual median.
        """
        if not 0 <= share <= 1:
            raise InvalidValueError(f"a quantile is asked for by a share from 0 to 1, got {share!r}")
        if not self.journeys:
            return None
        place = (self.journeys - 1) * share
        upto = np.cumsum(self.counts)
        low, high = (int(self.values[np.searchsorted(upto, rank, "right")]) for rank in (floor(place), ceil(place)))
        return (low + (high - low) * (place - floor(place))) / self.scale

    @property
    def median(self) -> float | None:
        """Half of the journeys lie below it."""
        return self.quantile(0.5)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        quantiles = [{"share": share, "value": self.quantile(share)} for share in SHARES]
        return {
            "journeys": self.journeys, "unit": self.unit, "quantiles": quantiles,
            "bins": [each.to_dict() for each in self.bins], "outside": self.outside,
        }  # fmt: skip

    def __str__(self) -> str:
        if not self.journeys:
            return "no value (no journeys)"
        named = zip(("least", "5 %", "25 %", "median", "75 %", "90 %", "95 %", "most"), SHARES, strict=True)
        quantiles = ", ".join(f"{name} {self.quantile(share):g}" for name, share in named)
        rows = [f"  {_span(each)}: {each.count:,} ({each.share:.1%})" for each in self.bins]
        rows += [f"  outside: {self.outside:,}"] if self.outside else []
        return "\n".join([f"{self.journeys:,} journeys, in {self.unit}: {quantiles}", *rows])


def _span(each: HistogramBin) -> str:
    return f"{each.low:g} to below {each.high:g}" if isfinite(each.high) else f"{each.low:g} and more"


@frozen(eq=False)
class ValueCounts:
    """How many journeys have a value: (r,) arrays in the order of (group, value)."""

    group: Ints
    value: Ints
    count: Ints


def _edges(edges: Iterable[float] | None) -> tuple[float, ...] | None:
    if edges is None:
        return None
    try:
        out = () if isinstance(cast("object", edges), str) else tuple(float(edge) for edge in edges)
    except (TypeError, ValueError):
        out = ()
    if len(out) < 2 or not all(a < b for a, b in pairwise(out)):
        raise InvalidValueError(
            f"edges are two or more ascending numbers, got {edges!r}", hint="Write edges=[0, 10, 20]"
        )
    return out


@frozen(kw_only=True)
class _DistributionMetric(Tally[ValueCounts, Distribution]):
    """A whole number per journey, and how often each occurs."""

    observes: ClassVar[Unit] = "journey"
    scale: ClassVar[float] = 1.0
    usual: ClassVar[tuple[float, ...]]

    edges: tuple[float, ...] | None = field(default=None, converter=_edges)

    @abstractmethod
    def values(self, block: Block) -> Ints:
        """The number of each journey with an event."""

    def start(self) -> ValueCounts:
        """Nothing."""
        none = np.zeros(0, np.int64)
        return ValueCounts(none, none, none)

    def add(self, state: ValueCounts, block: Block, cells: Cells[Any]) -> ValueCounts:
        """Count the values of one block."""
        rows, group = grouped(block, "journey", np.flatnonzero(block.lengths > 0), cells)
        return self.merge(state, _counted(group, self.values(block)[rows], np.ones(rows.size, np.int64)))

    def merge(self, a: ValueCounts, b: ValueCounts) -> ValueCounts:
        """Add the counts."""
        both = ((a.group, b.group), (a.value, b.value), (a.count, b.count))
        return _counted(*(np.concatenate(pair) for pair in both))

    def finish(self, state: ValueCounts, cells: Cells[Any], level: float) -> Mapping[int, Distribution]:
        """The distribution of every group."""
        groups = np.unique(state.group).tolist() or ([0] if cells.by is None else [])
        out = {}
        for group in groups:
            a, b = np.searchsorted(state.group, [group, group + 1])
            out[group] = self._distribution(state.value[a:b], state.count[a:b], cells.origin)
        return out

    def _distribution(self, values: Ints, counts: Ints, origin: Origin) -> Distribution:
        edges = self.edges if self.edges is not None else self.usual
        place = np.searchsorted(edges, values / self.scale, side="right") - 1
        inside = (place >= 0) & (place < len(edges) - 1)
        in_bins = np.bincount(place[inside], counts[inside], len(edges) - 1).astype(np.int64)
        n = int(counts.sum())
        used = np.flatnonzero(in_bins)
        shown = range(int(used[0]), int(used[-1]) + 1) if used.size else range(0)
        bins = tuple(
            HistogramBin(low=edges[i], high=edges[i + 1], count=int(in_bins[i]), share=int(in_bins[i]) / n)
            for i in shown
        )
        return Distribution(
            journeys=n, unit=self.unit, values=values, counts=counts, scale=self.scale, bins=bins,
            outside=int(counts[~inside].sum()), origin=origin,
        )  # fmt: skip


def _counted(group: Ints, value: Ints, count: Ints) -> ValueCounts:
    order = np.lexsort((value, group))
    group, value = group[order], value[order]
    fresh = np.ones(order.size, np.bool_)
    fresh[1:] = (group[1:] != group[:-1]) | (value[1:] != value[:-1])
    total = np.add.reduceat(count[order], np.flatnonzero(fresh)) if order.size else count
    return ValueCounts(group[fresh], value[fresh], total)


@frozen(kw_only=True)
class LengthDistribution(_DistributionMetric):
    """How many events journeys have: exact counts, quantiles and a histogram.

    Attributes:
        edges: Edges of the histogram's bins [low, high), in events.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": who, "what": what, "at": f"2026-01-01T00:0{i}"}
        ...        for who, path in (("a", "ad cart pay"), ("b", "ad"))
        ...        for i, what in enumerate(path.split())]
        >>> read_events(log, customer="who", touchpoint="what", time="at").measure(LengthDistribution()).median
        2.0
    """

    name: ClassVar[str] = "length_distribution"
    unit: ClassVar[str] = "events"
    usual: ClassVar[tuple[float, ...]] = _EVENTS

    def values(self, block: Block) -> Ints:
        """Events of each journey."""
        return block.lengths[block.lengths > 0]


@frozen(kw_only=True)
class DurationDistribution(_DistributionMetric):
    """How long journeys take from first to last event (to its end, where the source has one), in seconds.

    Attributes:
        edges: Edges of the histogram's bins [low, high), in seconds.
    """

    name: ClassVar[str] = "duration_distribution"
    unit: ClassVar[str] = "s"
    scale: ClassVar[float] = 1e6
    usual: ClassVar[tuple[float, ...]] = _SECONDS

    def values(self, block: Block) -> Ints:
        """µs of each journey."""
        ends = block.time if block.until is None else np.maximum(block.time, block.until)
        last = np.maximum.reduceat(ends, block.first) if block.first.size else ends[:0]
        return np.asarray(last - block.time[block.first], np.int64)
