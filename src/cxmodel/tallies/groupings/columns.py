"""Groupings by facts: columns, touchpoints, transitions, bins of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from attrs import field, frozen
from numpy.typing import NDArray

from cxmodel.data.blocks import Block, Labels, Unit, Vocabulary
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.readings import Facts
from cxmodel.model.transitions import Transition
from cxmodel.stats.arrays import Ints, distinct_codes, integers, ranges
from cxmodel.tallies.groupings.base import NONE, Assigned, By


@frozen
class ByColumn(By[str]):
    """By a fact about events, journeys or touchpoints that is coded text.

    Attributes:
        name: Name of the column.
        fixed: Whether it is one of the columns with a fixed meaning (touchpoint, channel, …).
    """

    name: str
    fixed: bool = True

    @property
    def names(self) -> tuple[str, ...]:
        """The column's name."""
        return (self.name,)

    def missing(self, facts: Facts, unit: Unit) -> str | None:
        """No such column, or a column of numbers."""
        if self.name == "touchpoint":
            return None
        known = [*facts.event_columns, *facts.journey_columns, *facts.touchpoint_columns]
        if self.name in known:
            return None
        what = "column" if self.fixed else "attribute"
        return f"{unknown(what, self.name, ['touchpoint', *known])}"

    def overlapping(self, facts: Facts, unit: Unit) -> bool:
        """Journeys pass several touchpoints, customers have several journeys."""
        return unit == "customer" or (unit == "journey" and self.name not in facts.journey_columns)

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[str]:
        """Names of touchpoints, or labels of the column."""
        names: Sequence[str] = vocabulary.touchpoints
        if self.name != "touchpoint":
            names = _labels_of(vocabulary, self.name).names
        return [names[code] for code in integers(codes)]

    def size(self, vocabulary: Vocabulary) -> int:
        """Number of touchpoints or labels."""
        if self.name == "touchpoint":
            return len(vocabulary.touchpoints)
        return len(_labels_of(vocabulary, self.name))

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """By the event, journey or touchpoint that each observation belongs to."""
        everything = np.arange(at.size)
        if self.name in block.journey_columns:
            column = block.journey_columns[self.name]
            _check_coded(column, self.name)
            if unit == "customer":
                return _passed(_held(column), block.customer_offsets, at)
            return Assigned(everything, _held(column[block.journey_rows(unit, at)]))
        if unit == "response":
            return Assigned(everything, self._of_answers(block, at))
        codes = self._of_events(block)
        if unit == "journey":
            return _passed(codes, block.journey_offsets, at)
        if unit == "customer":
            return _passed(codes, block.journey_offsets[block.customer_offsets], at)
        return Assigned(everything, codes[at])

    def _of_events(self, block: Block) -> Ints:
        if self.name == "touchpoint":
            return block.touchpoint.astype(np.int64)
        if self.name in block.event_columns:
            _check_coded(block.event_columns[self.name], self.name)
            return _held(block.event_columns[self.name])
        return _held(block.vocabulary.touchpoint_columns[self.name][0][block.touchpoint])

    def _of_answers(self, block: Block, at: Ints) -> Ints:
        assert block.answers is not None
        touchpoint = block.answers.touchpoint[at]
        if self.name == "touchpoint":
            return touchpoint
        if self.name in block.event_columns:
            event = block.answers.event[at]
            codes = np.full(at.size, NONE)
            codes[event >= 0] = self._of_events(block)[event[event >= 0]]
            return codes
        codes = np.full(at.size, NONE)
        there = touchpoint >= 0
        codes[there] = _held(block.vocabulary.touchpoint_columns[self.name][0])[touchpoint[there]]
        return codes


@frozen
class ByTransition(By[Transition]):
    """By transition: the touchpoint and the next one.

    A transition is of one group; a journey or customer of every transition made, so that groups overlap; an event, and
    an answer about it, of the transition that led there: the first event of a journey is unassigned.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """``("transition",)``."""
        return ("transition",)

    def overlapping(self, facts: Facts, unit: Unit) -> bool:
        """Journeys and customers make several."""
        return unit in ("journey", "customer")

    def missing(self, facts: Facts, unit: Unit) -> str | None:
        """A survey on its own holds no transitions."""
        return None if facts.events or not facts.questions else "a survey on its own holds no transitions"

    def size(self, vocabulary: Vocabulary) -> int:
        """Pairs of touchpoints."""
        return len(vocabulary.touchpoints) ** 2

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[Transition]:
        """Source and target."""
        names, width = vocabulary.touchpoints, len(vocabulary.touchpoints)
        return [Transition(names[code // width], names[code % width]) for code in integers(codes)]

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """Source × touchpoints + target."""
        if unit == "transition":
            return Assigned(np.arange(at.size), _transitions(block, at))
        steps = block.steps
        codes = np.full(block.events, NONE)
        # of an event the transition that led there; of a journey all of them, on whichever event they stand
        codes[steps + 1] = _transitions(block, steps)
        if unit == "journey":
            return _passed(codes, block.journey_offsets, at)
        if unit == "customer":
            return _passed(codes, block.journey_offsets[block.customer_offsets], at)
        if unit == "event":
            return Assigned(np.arange(at.size), codes[at])
        assert block.answers is not None
        event = block.answers.event[at]
        group = np.full(at.size, NONE)
        group[event >= 0] = codes[event[event >= 0]]
        return Assigned(np.arange(at.size), group)


def _transitions(block: Block, steps: Ints) -> Ints:
    width = len(block.vocabulary.touchpoints)
    return block.touchpoint[steps].astype(np.int64) * width + block.touchpoint[steps + 1]


@frozen
class Bin:
    """A half-open bin [low, high)."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g}–{self.high:g}"


def _ascending(edges: Sequence[float]) -> tuple[float, ...]:
    out = tuple(float(edge) for edge in edges)
    if len(out) < 2 or any(a >= b for a, b in pairwise(out)):
        raise InvalidValueError(f"bins need at least two ascending edges, got {list(edges)!r}")
    return out


@frozen
class ByBins(By[str]):
    """By bins [low, high) of a column of numbers; what lies outside all bins is unassigned."""

    name: str
    edges: tuple[float, ...] = field(converter=_ascending)

    @property
    def names(self) -> tuple[str, ...]:
        """The column's name."""
        return (self.name,)

    def missing(self, facts: Facts, unit: Unit) -> str | None:
        """No such column."""
        known = [*facts.event_columns, *facts.journey_columns]
        return None if self.name in known else unknown("attribute", self.name, known)

    def overlapping(self, facts: Facts, unit: Unit) -> bool:
        """As for text columns."""
        return ByColumn(self.name).overlapping(facts, unit)

    def size(self, vocabulary: Vocabulary) -> int:
        """Number of bins."""
        return len(self.edges) - 1

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[str]:
        """``"low–high"``."""
        return [str(Bin(self.edges[code], self.edges[code + 1])) for code in integers(codes)]

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """The bin of each observation's number."""
        of_journey = self.name in block.journey_columns
        column = block.journey_columns[self.name] if of_journey else block.event_columns[self.name]
        codes = self._bins(_numbers(column, block.vocabulary.columns.get(self.name)))
        everything = np.arange(at.size)
        if of_journey:
            if unit == "customer":
                return _passed(codes, block.customer_offsets, at)
            return Assigned(everything, codes[block.journey_rows(unit, at)])
        if unit in ("journey", "customer"):
            offsets = block.journey_offsets if unit == "journey" else block.journey_offsets[block.customer_offsets]
            return _passed(codes, offsets, at)
        if unit == "response":
            assert block.answers is not None
            event = block.answers.event[at]
            return Assigned(everything, np.where(event >= 0, codes[event], NONE))
        return Assigned(everything, codes[at])

    def _bins(self, numbers: NDArray[np.float64]) -> Ints:
        codes = np.searchsorted(self.edges, numbers, side="right") - 1
        return np.where(np.isnan(numbers) | (codes < 0) | (codes >= len(self.edges) - 1), NONE, codes)


def _held(column: NDArray[Any]) -> Ints:
    """Codes as groups: the missing one becomes −1."""
    codes = column.astype(np.int64)
    codes[codes == 0] = NONE
    return codes


def _passed(codes: Ints, offsets: Ints, at: Ints) -> Assigned:
    """Each distinct code in each of these segments; a segment without any is unassigned."""
    starts, lengths = offsets[at], np.diff(offsets)[at]
    inside = ranges(starts, lengths)
    row = np.repeat(np.arange(at.size), lengths)
    held = codes[inside] >= 0
    row, code = row[held], codes[inside][held]
    width = int(code.max(initial=0)) + 1
    pair = distinct_codes(row * width + code)
    rows, group = pair // width, pair % width
    without = np.ones(at.size, np.bool_)
    without[rows] = False
    none = np.flatnonzero(without)
    return Assigned(np.concatenate([rows, none]), np.concatenate([group, np.full(none.size, NONE)]))


def _labels_of(vocabulary: Vocabulary, name: str) -> Labels:
    if name in vocabulary.columns:
        labels = vocabulary.columns[name]
        if labels is None:
            raise InvalidValueError(
                f"{name!r} holds numbers", hint=f"Group them in bins: cx.by.bins({name!r}, [0, 10, 20])"
            )
        return labels
    return vocabulary.touchpoint_columns[name][1]


def _check_coded(column: NDArray[Any], name: str) -> None:
    if column.dtype.kind == "f":
        raise InvalidValueError(
            f"{name!r} holds numbers", hint=f"Group them in bins: cx.by.bins({name!r}, [0, 10, 20])"
        )


def _numbers(column: NDArray[Any], labels: Labels | None) -> NDArray[np.float64]:
    if column.dtype.kind == "f" or labels is None:
        return column.astype(np.float64)
    values = np.full(len(labels), np.nan)
    for code, text in enumerate(labels.names):
        try:
            values[code] = float(text) if code else np.nan
        except ValueError:
            raise InvalidValueError(f"cannot make bins of text: {text!r} is not a number") from None
    return np.asarray(values[column])
