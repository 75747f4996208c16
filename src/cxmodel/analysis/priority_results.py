"""What to fix first: one row per touchpoint, most pressing first."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import frozen

from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate
from cxmodel.model.rankings import RankStability


@frozen(kw_only=True)
class Priority:
    """What is known of one touchpoint.

    Attributes:
        name: The touchpoint.
        priority: What the rule makes of it, 0 to 1; higher is more pressing.
        reach: Share of the journeys that pass it, 0 to 1.
        score: Mean score of the answers about it, in points.
        shortfall: How far the mean is from the good end, as a share of the scale, 0 to 1; lower is better.
        pain: Share of the answers that are worse than the middle of the scale, 0 to 1; lower is better.
        effort: Events there beyond the first, per journey that passes it; lower is better.
        wait: Share of all time between events that passes after it, 0 to 1.
        impact: Impact on the outcome per journey of the whole population, signed; see `Impact`.
        front: Pareto front by reach, shortfall and effort, from 1: no touchpoint is worse in all three; None without
            a score.
    """

    name: str
    priority: Estimate
    reach: Estimate
    score: Estimate
    shortfall: Estimate
    pain: Estimate
    effort: Estimate
    wait: Estimate
    impact: Estimate
    front: int | None

    @property
    def quantities(self) -> Mapping[str, Estimate]:
        """The estimates by name."""
        return {
            "priority": self.priority, "reach": self.reach, "score": self.score, "shortfall": self.shortfall,
            "pain": self.pain, "effort": self.effort, "wait": self.wait, "impact": self.impact,
        }  # fmt: skip

    def to_records(self) -> list[dict[str, object]]:
        """One record per quantity."""
        group: dict[str, object] = {"touchpoint": self.name}
        return [{"group": group, "quantity": name, **each.to_dict()} for name, each in self.quantities.items()]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "touchpoint": self.name, "front": self.front,
            **{name: each.to_dict() for name, each in self.quantities.items()},
        }  # fmt: skip

    def __str__(self) -> str:
        if self.priority.value is None:
            return str(self.priority)
        return f"priority {self.priority:.3f}, reach {self.reach.value:.1%}, shortfall {self.shortfall.value:.1%}"


@frozen(kw_only=True, eq=False)
class PriorityTable(Breakdown[str, Priority]):
    """Touchpoints in the order in which to look at them; those without a score stand last, by reach.

    Attributes:
        question: The question whose scores count.
        rule: ``"shortfall"``: reach × shortfall; ``"pain"``: reach × share of bad answers; ``"pareto"``: front first,
            then reach × shortfall.
        journeys: Number of journeys.
        stability: How often the order held in replicates of the customers; None without replicates.
    """

    question: str
    rule: str
    journeys: int
    stability: RankStability | None = None

    @property
    def priorities(self) -> Breakdown[str, Estimate]:
        """The priority alone, to be drawn or compared."""
        return Breakdown(by=self.by, metric="priority", groups={name: each.priority for name, each in self.items()})

    def in_top(self, name: str, k: int = 3) -> float | None:
        """Share of replicates in which a touchpoint is among the first k; None where that is not known."""
        if self.stability is None or name not in self.stability.names:
            return None
        return self.stability.top(name, k)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        rows = [{**each.to_dict(), "in_top_3": self.in_top(name)} for name, each in self.items()]
        return {
            "question": self.question, "rule": self.rule, "journeys": self.journeys, "touchpoints": rows,
            "stability": None if self.stability is None else self.stability.to_dict(),
        }  # fmt: skip

    def to_records(self) -> list[dict[str, object]]:
        """One record per touchpoint and quantity."""
        return [record for each in self.values() for record in each.to_records()]

    def __str__(self) -> str:
        head = f"priorities by {self.rule} of {self.question}, {self.journeys:,} journeys"
        return "\n".join([head, *(f"  {name:<28} {each}" for name, each in self.items())])
