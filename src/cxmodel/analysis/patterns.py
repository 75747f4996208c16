"""Patterns of touchpoints: how many journeys follow one, how often, and journeys grouped by what they follow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal, cast, get_args

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.pattern_language import Pattern, as_pattern
from cxmodel.analysis.pattern_matching import matches_per_journey, matching_journeys
from cxmodel.data.blocks import Block, Unit, Vocabulary
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Origin
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, integers
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.groupings import NONE, Assigned, By
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, SumMetric, SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums

Method = Literal["wilson, design effect", "wilson"]


def pattern_missing(pattern: Pattern, facts: Facts) -> str | None:
    """Why a pattern cannot be looked for here: it names a touchpoint that never occurs."""
    known = set(facts.known_touchpoints)
    lost = [name for name in pattern.touchpoints if name not in known]
    return f"pattern {pattern.text!r}: {unknown('touchpoint', lost[0], facts.known_touchpoints)}" if lost else None


@frozen
class PatternShare(SumMetric):
    """Share of the journeys that match a pattern.

    Unit share, 0 to 1, no direction: whether a pattern is good is for you to say. matching/n over all journeys with an
    event, as far as they were seen. Wilson's interval on n over the design effect (customers with several journeys);
    ``method="wilson"`` uses plain n.

    Attributes:
        pattern: The pattern, or its text; the language is described in `cxmodel.analysis.pattern_language`.
        method: Which interval.

    Example:
        >>> from cxmodel.opening import read_events
        >>> log = [{"who": who, "what": what, "at": f"2026-01-01T00:0{i}"}
        ...        for who, path in (("a", "ad cart pay"), ("b", "ad cart"), ("c", "cart ad pay"))
        ...        for i, what in enumerate(path.split())]
        >>> journeys = read_events(log, customer="who", touchpoint="what", time="at")
        >>> round(journeys.measure(PatternShare("cart => pay")).require(), 4)
        0.6667
        >>> round(journeys.measure(PatternShare("cart -> pay")).require(), 4)
        0.3333
    """

    name: ClassVar[str] = "pattern_share"
    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "journey"

    pattern: Pattern = field(converter=as_pattern)
    method: Method = field(default="wilson, design effect", kw_only=True, validator=validators.in_(get_args(Method)))

    def missing(self, facts: Facts) -> str | None:
        """A touchpoint that never occurs."""
        return pattern_missing(self.pattern, facts)

    def observe(self, block: Block) -> Observations:
        """Journeys with an event, matching or not."""
        rows = np.flatnonzero(block.lengths > 0)
        return observe("journey", rows, matching=matching_journeys(block, self.pattern)[rows])

    def value(self, sums: Columns) -> Floats:
        """matching/n."""
        return sums["matching"] / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Wilson's interval."""
        size = n_eff if "design" in self.method else n
        low, high = wilson(sums["matching"] / sums["n"] * size, size, level)
        return Closed(low, high, self.method)


@frozen(kw_only=True)
class MatchTable:
    """How often a pattern is matched.

    Attributes:
        pattern: The pattern.
        journeys: Journeys with an event.
        matching: Journeys with a match.
        matches: Matches; those of one journey share no event.
        share: Share of the journeys that match.
    """

    pattern: str
    journeys: int
    matching: int
    matches: int
    share: Estimate
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "pattern": self.pattern, "journeys": self.journeys, "matching": self.matching, "matches": self.matches,
            "share": self.share.to_dict(),
        }  # fmt: skip

    def __str__(self) -> str:
        return f"{self.pattern}: {self.matches:,} matches in {self.matching:,} journeys, {self.share:.1%}"


@frozen
class PatternMatches(SumTally[MatchTable]):
    """How many journeys match a pattern, and how many matches there are.

    Of one journey's matches none shares an event with another; as many are counted as fit.

    Attributes:
        pattern: The pattern, or its text.
    """

    name: ClassVar[str] = "pattern_matches"
    unit: ClassVar[str] = "matches"
    observes: ClassVar[Unit] = "journey"

    pattern: Pattern = field(converter=as_pattern)

    def missing(self, facts: Facts) -> str | None:
        """A touchpoint that never occurs."""
        return pattern_missing(self.pattern, facts)

    def observe(self, block: Block) -> Observations:
        """Journeys with an event and their matches."""
        rows = np.flatnonzero(block.lengths > 0)
        matches = matches_per_journey(block, self.pattern)[rows]
        return observe("journey", rows, matching=matches > 0, matches=matches)

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> MatchTable:
        """Counts, and the share with its interval."""
        share = next(iter(PatternShare(self.pattern).finish(sums, cells, level).values()))
        totals = [round(float(sums[name][0])) if sums.rows else 0 for name in ("matching", "matches")]
        return MatchTable(
            pattern=self.pattern.text, journeys=int(sums.count.sum()), matching=totals[0], matches=totals[1],
            share=share, origin=cells.origin,
        )  # fmt: skip


def _named(patterns: Mapping[str, str | Pattern]) -> tuple[tuple[str, Pattern], ...]:
    if not isinstance(cast("object", patterns), Mapping):
        raise InvalidValueError(
            f"by.pattern takes labels with their patterns, got {patterns!r}",
            hint='Write cx.by.pattern({"rescued": "fail => help", "left alone": "fail"})',
        )
    if not patterns:
        raise InvalidValueError("no pattern was named", hint='Write cx.by.pattern({"rescued": "fail => help"})')
    return tuple((label, as_pattern(pattern)) for label, pattern in patterns.items())


@frozen
class ByPattern(By[str]):
    """By the first of several patterns that the journey matches; journeys that match none are unassigned.

    Attributes:
        patterns: Labels with their patterns, in the order in which they are tried.
    """

    units: ClassVar[frozenset[Unit]] = frozenset({"journey", "event", "transition", "response"})

    patterns: tuple[tuple[str, Pattern], ...] = field(converter=_named)

    @property
    def names(self) -> tuple[str, ...]:
        """``("pattern",)``."""
        return ("pattern",)

    def missing(self, facts: Facts, unit: Unit) -> str | None:
        """A touchpoint that never occurs, or customers, who may have several journeys."""
        for _, pattern in self.patterns:
            reason = pattern_missing(pattern, facts)
            if reason is not None:
                return reason
        if unit not in self.units:
            return "customers cannot be grouped by pattern, because they may have several journeys"
        return None

    def size(self, vocabulary: Vocabulary) -> int:
        """Number of patterns."""
        return len(self.patterns)

    def labels(self, vocabulary: Vocabulary, codes: Ints) -> list[str]:
        """Labels of the patterns."""
        return [self.patterns[code][0] for code in integers(codes)]

    def assign(self, block: Block, unit: Unit, at: Ints) -> Assigned:
        """The first pattern that the journey of each observation matches."""
        group = np.full(block.journeys, NONE)
        for code, (_, pattern) in reversed(list(enumerate(self.patterns))):
            group[matching_journeys(block, pattern)] = code
        return Assigned(np.arange(at.size), group[block.journey_rows(unit, at)])
