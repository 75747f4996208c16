"""How many touchpoints journeys remember: chains of several orders on the same steps, and which of them to take."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.chain_checks import PARTS, parts_of_customers
from cxmodel.analysis.credits import chain_steps, goal_missing
from cxmodel.data.blocks import Block, Unit
from cxmodel.errors import InvalidValueError
from cxmodel.model.estimates import Estimate, Interval, Origin, no_value
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Ints, grouped_sum
from cxmodel.stats.backoff import Backoff, even_base
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import jackknife_se, t_interval
from cxmodel.stats.orders import OrderFit, RatioTest, order_fits, ratio_test
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.counting import Counted, counted, nothing
from cxmodel.tallies.metrics import SMALL, Tally

MOST_ORDER: Final = 6
_METHOD: Final = "jackknife over parts of the customers"


@frozen(kw_only=True)
class ChainOrder:
    """A chain of one order.

    Attributes:
        fit: Likelihood, parameters, AIC and BIC on all customers.
        test: Likelihood-ratio test against one touchpoint less; None at order 0.
        log_loss: Mean −ln p of a step of held-out customers, in nats; lower is better.
        gain: That minus the log-loss of one touchpoint less; below 0 is better. None at order 0.
    """

    fit: OrderFit
    test: RatioTest | None
    log_loss: Estimate
    gain: Estimate | None

    @property
    def order(self) -> int:
        """Touchpoints remembered."""
        return self.fit.order

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        fit = self.fit
        return {
            "order": fit.order, "log_likelihood": fit.log_likelihood, "contexts": fit.contexts,
            "parameters": fit.parameters, "parameters_seen": fit.parameters_seen, "aic": fit.aic, "bic": fit.bic,
            "test": self.test.to_dict() if self.test else None, "log_loss": self.log_loss.to_dict(),
            "gain": self.gain.to_dict() if self.gain else None,
        }  # fmt: skip


@frozen(kw_only=True)
class OrderTable:
    """Chains of order 0 to some most, and which to take.

    Attributes:
        goal: Name of the goal.
        orders: One row per order, ascending.
        steps: Steps that all of them look at: to every touchpoint before the goal, and to the goal or the end.
        journeys: Journeys with an event.
        in_progress: Those of them whose end is not known; they have no last step.
    """

    goal: str
    orders: tuple[ChainOrder, ...]
    steps: int
    journeys: int
    in_progress: int
    origin: Origin | None = field(default=None, repr=False, eq=False)

    @property
    def by_bic(self) -> int:
        """Order with the smallest BIC."""
        return min(self.orders, key=lambda each: each.fit.bic).order

    @property
    def by_aic(self) -> int:
        """Order with the smallest AIC; it takes too long a memory more often than BIC."""
        return min(self.orders, key=lambda each: each.fit.aic).order

    @property
    def chosen(self) -> int:
        """The order of BIC; where AIC wants another, held-out log-loss decides among those from one to the other."""
        low, high = sorted((self.by_bic, self.by_aic))
        between = [each for each in self.orders[low : high + 1] if each.log_loss.value is not None]
        return min(between, key=lambda each: each.log_loss.require()).order if between else self.by_bic

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "goal": self.goal, "steps": self.steps, "journeys": self.journeys, "in_progress": self.in_progress,
            "by_bic": self.by_bic, "by_aic": self.by_aic, "chosen": self.chosen,
            "orders": [each.to_dict() for each in self.orders],
        }  # fmt: skip

    def __str__(self) -> str:
        head = f"order {self.chosen} for {self.goal}: {self.steps:,} steps of {self.journeys:,} journeys "
        lines = [head + f"({self.in_progress:,} in progress); BIC takes {self.by_bic}, AIC {self.by_aic}"]
        for each in self.orders:
            fit, test = each.fit, each.test
            words = f"  {fit.order}: log-likelihood {fit.log_likelihood:,.1f}, {fit.parameters:,.0f} parameters, "
            words += f"BIC {fit.bic:,.1f}, AIC {fit.aic:,.1f}, held-out {each.log_loss:.4f}"
            if test is not None and np.isfinite(test.p):
                words += f", G {test.statistic:,.1f} on {test.df:,.0f} (p {test.p:.2g})"
            lines.append(words)
        return "\n".join(lines)


@frozen(eq=False)
class Remembered:
    """What a pass counts.

    Attributes:
        steps: Code of (context, next) and part of the customers.
        total: Key 0 → journeys, key 1 → those of them in progress.
    """

    steps: Counted
    total: Counted


@frozen(kw_only=True)
class ChainOrders(Tally[Remembered, OrderTable]):
    """Fits chains of order 0 to `most` to the same steps: journeys are padded in front, the end is a step.

    Attributes:
        goal: Where journeys are to lead; a journey counts up to its first attainment.
        most: Longest memory, 1 to 6 touchpoints.
    """

    name: ClassVar[str] = "chain_orders"
    unit: ClassVar[str] = "nats"
    observes: ClassVar[Unit] = "journey"
    groups: ClassVar[bool] = False

    goal: Goal = field(converter=as_goal)
    most: int = 4

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.most <= MOST_ORDER:
            raise InvalidValueError(f"most is 1 to {MOST_ORDER} touchpoints, got {self.most!r}")

    def missing(self, facts: Facts) -> str | None:
        """A goal at touchpoints that never occur, or too many contexts to keep apart."""
        if PARTS * (len(facts.known_touchpoints) + 2) ** (self.most + 1) >= 2**62:
            return f"order {self.most} with {len(facts.known_touchpoints):,} touchpoints has too many contexts"
        return goal_missing(self.goal, facts)

    def start(self) -> Remembered:
        """Nothing."""
        return Remembered(nothing(), nothing())

    def add(self, state: Remembered, block: Block, cells: Cells[Any]) -> Remembered:
        """Count the steps of a block."""
        part = parts_of_customers(block, cells.seed)
        owner, code = chain_steps(block, self.goal, self.most)
        open_ = 0 if block.still_open is None else int((block.still_open & (block.reached(self.goal) < 0)).sum())
        total = Counted(np.arange(2), np.array([float((block.lengths > 0).sum()), float(open_)]))
        return self.merge(state, Remembered(counted(code * PARTS + part[owner]), total))

    def merge(self, a: Remembered, b: Remembered) -> Remembered:
        """Add what was counted."""
        return Remembered(a.steps.plus(b.steps), a.total.plus(b.total))

    def finish(self, state: Remembered, cells: Cells[Any], level: float) -> Mapping[int, OrderTable]:
        """Likelihoods of all customers, and log-losses of one half under chains of the other."""
        names = cells.vocabulary.touchpoints
        width = len(names) + 2
        codes, part, counts = state.steps.keys // PARTS, state.steps.keys % PARTS, state.steps.counts
        whole = counted(codes, counts)
        fits = order_fits(whole.keys, whole.counts, width, self.most)
        base = even_base([name in self.goal.touchpoints for name in names])
        losses, n = _held_out(codes, part, counts, base, self.most)
        orders = [
            ChainOrder(
                fit=fit, test=ratio_test(fits[k - 1], fit) if k else None,
                log_loss=_estimate(losses[k], n, level, cells.origin),
                gain=_estimate(losses[k] - losses[k - 1], n, level, cells.origin) if k else None,
            )
            for k, fit in enumerate(fits)
        ]  # fmt: skip
        journeys, in_progress = (round(each) for each in state.total.of(np.arange(2)).tolist())
        table = OrderTable(
            goal=self.goal.name, orders=tuple(orders), steps=round(float(whole.counts.sum())), journeys=journeys,
            in_progress=in_progress, origin=cells.origin,
        )  # fmt: skip
        return {0: table}


def _held_out(codes: Ints, part: Ints, counts: Floats, base: Floats, most: int) -> tuple[Floats, Floats]:
    """(orders, parts) sums of −ln p of the held-out parts' steps, and (parts,) how many steps those are."""
    width, later = base.size, part % 2 == 1
    n = grouped_sum(part[later] // 2, counts[later], PARTS // 2)
    losses = np.zeros((most + 1, PARTS // 2))
    if later.all() or not later.any():
        return losses, np.zeros_like(n)
    for order in range(most + 1):
        digits = width ** (order + 1)
        known = counted(codes[~later] % digits, counts[~later])
        model = Backoff(
            width=width, order=order, codes=known.keys, counts=known.counts, base=base,
            strengths=(0.0,) * (order + 1), novelty=1.0,
        ).fitted()  # fmt: skip
        loss = -np.log(model.probability(codes[later] % digits)) * counts[later]
        losses[order] = grouped_sum(part[later] // 2, loss, PARTS // 2)
    return losses, n


def _estimate(sums: Floats, n: Floats, level: float, origin: Origin) -> Estimate:
    """Mean per step, with the jackknife over the held-out parts that have steps."""
    steps = round(float(n.sum()))
    if not steps:
        return no_value("customers are too few to hold half of them out", unit="nats")
    there = n > 0
    value = float(sums.sum() / n.sum())
    interval = None
    if there.sum() > 1:
        without = (sums.sum() - sums[there]) / (n.sum() - n[there])
        low, high = t_interval(value, jackknife_se(without), int(there.sum()) - 1, level)
        interval = Interval(float(low), float(high), level, _METHOD)
    return Estimate(
        value=value, n=steps, unit="nats", direction="lower", interval=interval,
        flags=("small_n",) if steps < SMALL else (), origin=origin,
    )  # fmt: skip
