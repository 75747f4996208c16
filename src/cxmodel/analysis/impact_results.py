"""What an estimate of impact says: one row per touchpoint, with what it rests on and what speaks against it."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate, Flag


@frozen(kw_only=True)
class Positivity:
    """Whether the exposed journeys of one covariate cell have anything to be compared with.

    Attributes:
        cell: Attribute → its value.
        exposed: Journeys that pass the touchpoint.
        compared: Those of them with at least one journey of equal history that does not.
    """

    cell: Mapping[str, str] = field(hash=False)
    exposed: int
    compared: int

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"cell": dict(self.cell), "exposed": self.exposed, "compared": self.compared}


@frozen(kw_only=True)
class ImpactEstimate:
    """The estimated, signed impact of one touchpoint on the outcome.

    Attributes:
        touchpoint: Its name.
        reach: Share of the journeys that pass it before the outcome.
        effect: Outcome of the exposed journeys less what is expected of equal histories without it.
        population: The same per journey of the whole population.
        relative: The same as a share of all conversions: lost without it; below 0 where it costs conversions.
        risk_ratio: Outcome of the exposed over what is expected of them without it.
        placebo: Effect of a made-up touchpoint with equal positions in journeys of equal length.
        e_value: How strongly an unmeasured confounder must raise both, as risk ratios, to explain the effect away.
        e_value_limit: The same for the end of the interval that is nearest to no effect; 1 where that includes none.
        positivity: By covariate cell, how many of the exposed could be compared.
    """

    touchpoint: str
    reach: Estimate
    effect: Estimate
    population: Estimate
    relative: Estimate
    risk_ratio: Estimate
    placebo: Estimate
    e_value: float | None
    e_value_limit: float | None
    positivity: tuple[Positivity, ...] = field(repr=False)

    @property
    def n(self) -> int:
        """Exposed journeys that were compared."""
        return self.effect.n

    @property
    def flags(self) -> tuple[Flag, ...]:
        """What to mind about the effect, sorted."""
        return self.effect.flags

    @property
    def unmatched(self) -> float:
        """Share of the exposed journeys in cells without comparison, 0 to 1; lower is better."""
        exposed = sum(each.exposed for each in self.positivity)
        return 1 - sum(each.compared for each in self.positivity) / exposed if exposed else 0.0

    @property
    def quantities(self) -> Mapping[str, Estimate]:
        """The estimates by name."""
        return {
            "reach": self.reach, "effect": self.effect, "population": self.population, "relative": self.relative,
            "risk_ratio": self.risk_ratio, "placebo": self.placebo,
        }  # fmt: skip

    def to_records(self) -> list[dict[str, object]]:
        """One record per quantity."""
        group: dict[str, object] = {"touchpoint": self.touchpoint}
        return [{"group": group, "quantity": name, **each.to_dict()} for name, each in self.quantities.items()]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.touchpoint,
            **{name: each.to_dict() for name, each in self.quantities.items()},
            "e_value": self.e_value, "e_value_limit": self.e_value_limit,
            "positivity": [each.to_dict() for each in self.positivity],
        }  # fmt: skip

    def __str__(self) -> str:
        parts = [f"effect {_short(self.effect)}"]
        if self.relative.value is not None:
            parts.append(f"relative {_short(self.relative)}")
        if self.e_value is not None:
            parts.append(f"E-value {self.e_value:.2f}")
        if self.unmatched >= 0.005:
            parts.append(f"{self.unmatched:.0%} without comparison")
        return ", ".join([*parts, f"n={self.n:,}", *self.flags])


def _short(estimate: Estimate) -> str:
    if estimate.value is None:
        return str(estimate)
    ends = estimate.interval and f" [{estimate.interval.low:+.3f}, {estimate.interval.high:+.3f}]"
    return f"{estimate.value:+.3f}{ends or ''}"


@frozen(kw_only=True, eq=False)
class ImpactTable(Breakdown[str, ImpactEstimate]):
    """Impact by touchpoint. Rows are effects one at a time: they overlap and must not be summed.

    Attributes:
        outcome: Name of the goal or of the question.
        journeys: Journeys that could have the outcome.
        average: Mean outcome of these journeys: share converted, or mean score.
        instead: What a passing is compared with.
        adjusted_for: Attributes held constant.
        controls: Touchpoints declared to have no effect.
        failed: Controls and control outcomes whose interval excludes no effect.
        control_outcomes: Attributes declared to be moved by no touchpoint.
        holdout: Outcome of the others less that of the randomly held out; None where no hold-out was named.
    """

    outcome: str
    journeys: int
    average: Estimate
    instead: str
    adjusted_for: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    control_outcomes: tuple[str, ...] = ()
    holdout: Estimate | None = None

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ImpactTable):
            return NotImplemented
        return Breakdown.__eq__(self, other) is True and _facts(self) == _facts(other)

    __hash__ = None

    def to_records(self) -> list[dict[str, object]]:
        """The randomised hold-out first, then one record per touchpoint and quantity."""
        rows = [record for each in self.values() for record in each.to_records()]
        if self.holdout is None:
            return rows
        return [{"group": {"touchpoint": None}, "quantity": "holdout", **self.holdout.to_dict()}, *rows]

    def __str__(self) -> str:
        held = ", ".join(self.adjusted_for) or "nothing"
        lines = [f"impact on {self.outcome}, {self.journeys:,} journeys, held constant: {held} and the history"]
        if self.holdout is not None:
            lines.append(f"  {'(randomised hold-out)':<28} {_short(self.holdout)}, n={self.holdout.n:,}")
        return "\n".join([*lines, *(f"  {name:<28} {each}" for name, each in self.items())])


def _facts(table: ImpactTable) -> tuple[object, ...]:
    return (
        table.outcome, table.journeys, table.average, table.instead, table.adjusted_for, table.controls, table.failed,
        table.control_outcomes, table.holdout,
    )  # fmt: skip
