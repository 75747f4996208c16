"""Continuity: does the customer meet the same person again, or must the story be told once more?"""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Block, Unit
from cxmodel.data.columns import by_customer, column_missing, counted, event_codes, neighbours
from cxmodel.errors import InvalidValueError
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.stats.floats import Floats
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import SumMetric
from cxmodel.tallies.observations import Observations, observe


@frozen(eq=False)
class Encounters:
    """How often each customer met whom, and how often they met the same one again; unknown ones are left out.

    Attributes:
        n: (c,) encounters with a known provider.
        providers: (c,) different providers.
        most: (c,) encounters with the one met most often.
        squares: (c,) sum over providers of squared encounters.
        changes: (c,) consecutive encounters with different providers.
    """

    n: Floats
    providers: Floats
    most: Floats
    squares: Floats
    changes: Floats


def encounters(block: Block, column: str) -> Encounters:
    """The encounters of each customer, over all their journeys in order of time."""
    rows, customer = by_customer(block)
    codes = event_codes(block, column)[rows]
    owner, _, often = counted(codes, customer)
    most = np.zeros(block.customers, np.int64)
    np.maximum.at(most, owner, often)
    before, after = neighbours(codes, customer)
    changed = codes[before] != codes[after]

    def per_customer(of: Ints, weights: Ints | Bools | None) -> Floats:
        return np.bincount(of, weights, block.customers).astype(np.float64)

    return Encounters(
        n=per_customer(owner, often), providers=per_customer(owner, None), most=most.astype(np.float64),
        squares=per_customer(owner, often * often), changes=per_customer(customer[after], changed),
    )  # fmt: skip


@frozen(kw_only=True)
class ContinuityMetric(SumMetric):
    """One index per customer, then the mean over customers with enough encounters; delta interval by customer.

    Encounters whose provider is unknown are no provider of their own: they are left out, and `UnknownShare` says how
    many they are.

    Attributes:
        of: Column that names the provider: the contact person, or channel, department…
        at_least: Customers with fewer known encounters do not count; practice takes 2 to 4. One encounter has a usual
            provider and no hand-off (`Upc`, `HandOffs`); the other indices need two.
    """

    unit: ClassVar[str] = "index"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "customer"
    fewest: ClassVar[int] = 2

    of: str = "contact"
    at_least: int = 2

    def __attrs_post_init__(self) -> None:
        if self.at_least < self.fewest:
            raise InvalidValueError(f"at_least of {self.name} is {self.fewest} or more, got {self.at_least!r}")

    def missing(self, facts: Facts) -> str | None:
        """No such column."""
        return column_missing(self.of, facts)

    @abstractmethod
    def index(self, met: Encounters) -> Floats:
        """(c,) the index of each customer; each has at least `fewest` encounters."""

    def observe(self, block: Block) -> Observations:
        """Customers with enough encounters, and the index of each."""
        met = encounters(block, self.of)
        enough = met.n >= self.at_least
        kept = Encounters(met.n[enough], met.providers[enough], met.most[enough], met.squares[enough],
                          met.changes[enough])  # fmt: skip
        return observe("customer", np.flatnonzero(enough), index=self.index(kept))

    def value(self, sums: Columns) -> Floats:
        """Σ index/n."""
        return sums["index"] / sums["n"]


@frozen(kw_only=True)
class Upc(ContinuityMetric):
    """Usual provider continuity: mean over customers of the share of encounters with the one met most often.

    Index, above 0 to 1, higher is better. ``max nᵢ/n`` (Breslau & Reeb 1975; formulas compared in
    10.1186/s12913-022-07953-z).
    """

    name: ClassVar[str] = "upc"
    fewest: ClassVar[int] = 1

    def index(self, met: Encounters) -> Floats:
        """Largest nᵢ/n."""
        return met.most / met.n


@frozen(kw_only=True)
class Coc(ContinuityMetric):
    """Continuity of care index: mean over customers of the chance that two encounters are with the same provider.

    Index, 0 to 1, higher is better. ``(Σ nᵢ² − n)/(n(n − 1))`` (Bice & Boxerman 1977, Medical Care 15:347; compared in
    10.1186/s12913-022-07953-z).
    """

    name: ClassVar[str] = "coc"

    def index(self, met: Encounters) -> Floats:
        """(Σ nᵢ² − n)/(n(n − 1))."""
        return (met.squares - met.n) / (met.n * (met.n - 1))


@frozen(kw_only=True)
class Secon(ContinuityMetric):
    """Sequential continuity: mean over customers of the share of encounters with the same provider as the one before.

    Index, 0 to 1, higher is better. ``equal neighbours/(n − 1)`` (Steinwachs 1979; compared in
    10.1186/s12913-022-07953-z).
    """

    name: ClassVar[str] = "secon"

    def index(self, met: Encounters) -> Floats:
        """1 − changes/(n − 1)."""
        return 1 - met.changes / (met.n - 1)


@frozen(kw_only=True)
class Mmci(ContinuityMetric):
    """Modified modified continuity index: mean over customers of how few providers there are for the encounters.

    Index, 0 to 1, higher is better. ``(1 − M/(n + 0.1))/(1 − 1/(n + 0.1))`` with M providers (Magill & Senf 1987;
    compared in 10.1186/s12913-022-07953-z).
    """

    name: ClassVar[str] = "mmci"

    def index(self, met: Encounters) -> Floats:
        """(1 − M/(n + 0.1))/(1 − 1/(n + 0.1))."""
        return (1 - met.providers / (met.n + 0.1)) / (1 - 1 / (met.n + 0.1))


@frozen(kw_only=True)
class HandOffs(ContinuityMetric):
    """Mean number of hand-offs of a customer: consecutive encounters with different providers.

    Hand-offs, 0 or more, lower is better. The number grows with the encounters; `Secon` is its share.
    """

    name: ClassVar[str] = "hand_offs"
    fewest: ClassVar[int] = 1
    unit: ClassVar[str] = "hand-offs"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)

    def index(self, met: Encounters) -> Floats:
        """Changes."""
        return met.changes


@frozen(kw_only=True)
class UnknownShare(SumMetric):
    """Share of events whose provider is unknown, and which the continuity indices therefore leave out.

    Share, 0 to 1, lower is better; delta interval by customer.

    Attributes:
        of: Column that names the provider.
    """

    name: ClassVar[str] = "unknown_share"
    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "event"

    of: str = "contact"

    def missing(self, facts: Facts) -> str | None:
        """No such column."""
        return column_missing(self.of, facts)

    def observe(self, block: Block) -> Observations:
        """All events, known or not."""
        return observe("event", np.arange(block.events), unknown=event_codes(block, self.of) < 0)

    def value(self, sums: Columns) -> Floats:
        """unknown/n."""
        return sums["unknown"] / sums["n"]
