"""What models of credit say: one table per model, or several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from attrs import frozen

from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate
from cxmodel.model.frames import Tabular
from cxmodel.model.rankings import RankStability
from cxmodel.stats.arrays import integers
from cxmodel.stats.floats import Floats
from cxmodel.stats.rankings import rank_shares


@frozen(kw_only=True, eq=False)
class CreditTable(Breakdown[str, Estimate]):
    """Credit by touchpoint. Rows plus ``direct`` sum to ``conversions``, or to their value where that is split.

    Attributes:
        goal: Name of the goal.
        conversions: Conversions: journeys that reached it, or times that it was reached.
        direct: Conversions without a touchpoint before them, or their value.
        value: Column whose values are split; None where conversions are.
        unvalued: Conversions without a value; they add nothing.
        stability: How often the order held in replicates of the customers; None without replicates.
    """

    goal: str
    conversions: int
    direct: Estimate
    value: str | None = None
    unvalued: int = 0
    stability: RankStability | None = None

    def to_records(self) -> list[dict[str, object]]:
        """One record per touchpoint; the direct one has None as its touchpoint."""
        rows = super().to_records()
        return [*rows, {"group": {"touchpoint": None}, "quantity": self.metric, **self.direct.to_dict()}]


@frozen(kw_only=True, eq=False)
class CreditComparison(Tabular):
    """Several credit models side by side.

    Attributes:
        models: Name of the model → its table.
    """

    models: Mapping[str, CreditTable]

    def __getitem__(self, model: str) -> CreditTable:
        return self.models[model]

    @property
    def touchpoints(self) -> tuple[str, ...]:
        """All touchpoints with credit in any model, the most over all models first."""
        total: dict[str, float] = {}
        for table in self.models.values():
            for name, each in table.items():
                total[name] = total.get(name, 0.0) + (each.value or 0.0)
        return tuple(sorted(total, key=lambda name: (-total[name], name)))

    def to_records(self) -> list[dict[str, object]]:
        """The records of all models, one after the other."""
        return [record for table in self.models.values() for record in table.to_records()]

    def __str__(self) -> str:
        if not self.models:
            return "no model"
        names = [*self.touchpoints, None]
        rows = [[name or "(direct)", *(_cell(table, name) for table in self.models.values())] for name in names]
        head = ["touchpoint", *(name.removesuffix("_credit") for name in self.models)]
        widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
        lines = ["  ".join(cell.ljust(w) if not i else cell.rjust(w) for i, (cell, w) in enumerate(zip(
            row, widths, strict=True))) for row in [head, *rows]]  # fmt: skip
        table = next(iter(self.models.values()))
        what = f"{table.value} of " if table.value else ""
        why = {name: next((each.reason for each in table.values() if each.reason), None)
               for name, table in self.models.items()}  # fmt: skip
        lines += [f"{name.removesuffix('_credit')}: no value ({reason})" for name, reason in why.items() if reason]
        return "\n".join([f"credit for {what}{table.conversions:,} conversions ({table.goal})", *lines])


def _cell(table: CreditTable, name: str | None) -> str:
    each = table.direct if name is None else table.get(name)
    return "–" if each is None or each.value is None else f"{each.value:,.2f}"


def stability(names: Sequence[str], values: Floats, replicates: Floats | None) -> RankStability | None:
    """How often the order of the names held.

    Args:
        names: (k,) names.
        values: (k,) what they are ordered by, highest first.
        replicates: (k, b) the same in the replicates; None without any.
    """
    if replicates is None or not len(names):
        return None
    ranks = rank_shares(values, replicates)
    return RankStability(
        names=tuple(names[i] for i in integers(ranks.order)), replicates=int(replicates.shape[1]),
        others=len(names) - int(ranks.order.size),
        ranks=tuple(tuple(row) for row in ranks.shares.tolist()),
        beats=tuple(tuple(row) for row in ranks.beats.tolist()),
    )  # fmt: skip
