"""What drives a score: one row per driver, importance beside the signed coefficient."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate


@frozen(kw_only=True)
class Driver:
    """What one question, or the score at one touchpoint, has to do with the outcome.

    Attributes:
        name: The question or touchpoint.
        share: Its part of R², the mean gain over all orders (LMG, Shapley); 0 to 1, no sign.
        error: Monte Carlo standard error of ``share`` where orders were sampled; None where all were taken.
        weight: Johnson's relative weight: another part of R², 0 to 1, no sign.
        coefficient: Change of the outcome per point with all other drivers held, in points of the outcome; signed.
        correlation: Correlation with the outcome alone, −1 to 1.
        penalty: Outcome of bad answers less that of middling ones, others held; below 0 where bad answers cost.
        reward: Outcome of the best answers less that of middling ones, others held.
        asymmetry: Impact asymmetry ``(reward − |penalty|)/(reward + |penalty|)``, −1 basic to 1 excitement.
    """

    name: str
    share: Estimate
    error: float | None
    weight: Estimate
    coefficient: Estimate
    correlation: Estimate
    penalty: Estimate
    reward: Estimate
    asymmetry: Estimate

    @property
    def sign(self) -> str:
        """``+`` or ``−`` by the coefficient; ``?`` where its interval holds 0 or there is none."""
        value, interval = self.coefficient.value, self.coefficient.interval
        if value is None or interval is None or 0.0 in interval:
            return "?"
        return "+" if value > 0 else "−"

    @property
    def range_of_impact(self) -> float | None:
        """RIC: ``|penalty| + reward``; those against the grain count as none."""
        if self.penalty.value is None or self.reward.value is None:
            return None
        return max(-self.penalty.value, 0.0) + max(self.reward.value, 0.0)

    @property
    def quantities(self) -> Mapping[str, Estimate]:
        """The estimates by name."""
        return {
            "share": self.share, "weight": self.weight, "coefficient": self.coefficient,
            "correlation": self.correlation, "penalty": self.penalty, "reward": self.reward,
            "asymmetry": self.asymmetry,
        }  # fmt: skip

    def to_records(self) -> list[dict[str, object]]:
        """One record per quantity."""
        group: dict[str, object] = {"driver": self.name}
        return [{"group": group, "quantity": name, **each.to_dict()} for name, each in self.quantities.items()]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "driver": self.name, "sign": self.sign, "error": self.error, "range_of_impact": self.range_of_impact,
            **{name: each.to_dict() for name, each in self.quantities.items()},
        }  # fmt: skip

    def __str__(self) -> str:
        parts = [f"{self.sign} {self.share:.3f}"]
        if self.asymmetry.value is not None:
            parts.append(f"asymmetry {self.asymmetry.value:+.2f}")
        return ", ".join(parts)


@frozen(kw_only=True, eq=False)
class DriverTable(Breakdown[str, Driver]):
    """Drivers of a score, the largest share first. Shares sum to ``r2``.

    Attributes:
        of: The outcome's question.
        r2: Share of the outcome's variance that all drivers explain together.
        n: Rows that took part.
        left_out: Rows with the outcome that did not, for want of an answer.
        filled: Answers put in at the mean of their column; 0 where incomplete rows are left out.
        method: How shares were made.
        bad: What counts as a bad answer, by driver, in words.
        best: What counts as a best answer.
    """

    of: str
    r2: Estimate
    n: int
    left_out: int
    filled: int
    method: str
    bad: Mapping[str, str] = field(factory=dict)
    best: Mapping[str, str] = field(factory=dict)

    @property
    def shares(self) -> Breakdown[str, Estimate]:
        """The shares of R² alone, to be drawn or compared."""
        return Breakdown(by=self.by, metric="share", groups={name: each.share for name, each in self.items()})

    def to_records(self) -> list[dict[str, object]]:
        """R² first, then one record per driver and quantity."""
        rows = [record for each in self.values() for record in each.to_records()]
        return [{"group": {"driver": None}, "quantity": "r2", **self.r2.to_dict()}, *rows]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "of": self.of, "n": self.n, "left_out": self.left_out, "filled": self.filled, "method": self.method,
            "r2": self.r2.to_dict(), "bad": dict(self.bad), "best": dict(self.best),
            "drivers": [each.to_dict() for each in self.values()],
        }  # fmt: skip

    def __str__(self) -> str:
        r2 = "no value" if self.r2.value is None else f"{self.r2.value:.3f}"
        gone = f", {self.left_out:,} left out" if self.left_out else ""
        put = f", {self.filled:,} answers put in at the mean" if self.filled else ""
        head = f"drivers of {self.of}: R² {r2} (n={self.n:,}{gone}{put}); {self.method}"
        return "\n".join([head, *(f"  {name:<26} {each}" for name, each in self.items())])


@frozen(kw_only=True)
class KanoFeature:
    """The category of one feature.

    Attributes:
        name: The feature.
        counts: Category → how many: A attractive, O one-dimensional, M must-be, I indifferent, R reverse, Q
            questionable.
        category: The most frequent one; ties go to the first of M, O, A, I, R, Q. None without answers.
        better: (A + O)/(A + O + M + I): share whom having it would please, 0 to 1.
        worse: −(O + M)/(A + O + M + I): share whom lacking it would annoy, −1 to 0.
    """

    name: str
    counts: Mapping[str, int] = field(hash=False)
    category: str | None
    better: Estimate
    worse: Estimate

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "feature": self.name, "counts": dict(self.counts), "category": self.category,
            "better": self.better.to_dict(), "worse": self.worse.to_dict(),
        }  # fmt: skip

    def to_records(self) -> list[dict[str, object]]:
        """One record per quantity."""
        group: dict[str, object] = {"feature": self.name}
        return [
            {"group": group, "quantity": name, **each.to_dict()}
            for name, each in (("better", self.better), ("worse", self.worse))
        ]

    def __str__(self) -> str:
        return f"{self.category or 'no category'}, better {self.better:.2f}, worse {self.worse:.2f}"
