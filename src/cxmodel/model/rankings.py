"""How sure an order is: what resampling the customers does to ranks."""

from __future__ import annotations

from typing import Generic, TypeVar

from attrs import frozen

from cxmodel.errors import UnknownNameError, unknown
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate

K = TypeVar("K")


@frozen(kw_only=True)
class RankStability:
    """How often the order of the first names held in replicates of the customers.

    Attributes:
        names: Names in the order of the data, the first at most 20.
        replicates: Number of replicates.
        others: Names further down; they compete in every replicate but are not told one by one.
        ranks: By name, the share of replicates at rank 1, 2, … as far as there are names here.
        beats: By name, the share of replicates in which it stands before each of the names; ties count one half.
    """

    names: tuple[str, ...]
    replicates: int
    others: int
    ranks: tuple[tuple[float, ...], ...]
    beats: tuple[tuple[float, ...], ...]

    def keeps(self, name: str) -> float:
        """Share of replicates in which it keeps its rank, 0 to 1; higher is surer."""
        row = self._row(name)
        return self.ranks[row][row]

    def top(self, name: str, k: int) -> float:
        """Share of replicates in which it is among the first k, 0 to 1."""
        return min(sum(self.ranks[self._row(name)][:k]), 1.0)

    def probability(self, name: str, other: str) -> float:
        """Share of replicates in which the one stands before the other, 0 to 1; ties count one half."""
        return self.beats[self._row(name)][self._row(other)]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "names": list(self.names), "replicates": self.replicates, "others": self.others,
            "ranks": [list(row) for row in self.ranks], "beats": [list(row) for row in self.beats],
        }  # fmt: skip

    def __str__(self) -> str:
        lines = [f"order in {self.replicates:,} replicates of customers"]
        for i, name in enumerate(self.names):
            lines.append(f"  {i + 1}. {name:<26} keeps its rank in {self.ranks[i][i]:.0%}")
        return "\n".join([*lines, *([f"  {self.others:,} more"] if self.others else [])])

    def _row(self, name: str) -> int:
        if name not in self.names:
            raise UnknownNameError(unknown("name among the first", name, self.names))
        return self.names.index(name)


@frozen(kw_only=True, eq=False)
class RankedBreakdown(Breakdown[K, Estimate], Generic[K]):
    """A breakdown that says how sure its order is.

    Attributes:
        stability: How often the order held in replicates of the customers; None without replicates.
    """

    stability: RankStability | None = None
