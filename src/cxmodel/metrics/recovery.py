"""What counts after a failure: each component of a recovery episode against the score given afterwards."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal, get_args

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.episodes import Episodes, Recovery, episodes, latest_episode
from cxmodel.data.answers import UNKNOWN_TIME
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.columns import column_missing, event_codes, neighbours
from cxmodel.metrics.survey import MeanScore
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate, Interval, Origin, no_value
from cxmodel.model.frames import Tabular
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools, Ints, rows_until
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import normal_interval
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import jackknife_error, left_out
from cxmodel.tallies.metrics import SumTally
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.sums import Sums

Component = Literal["resolved", "hours", "switches", "failures"]
COMPONENTS: Final[tuple[Component, ...]] = get_args(Component)
_COLUMNS: Final = (*COMPONENTS, "score")
_PAIRS: Final = [(i, j) for i in range(len(_COLUMNS)) for j in range(i, len(_COLUMNS))]
_METHOD: Final = "jackknife, by customer"
_UNITS: Final[dict[Component, str]] = {
    "resolved": "if resolved", "hours": "per hour", "switches": "per switch", "failures": "per failure",
}  # fmt: skip


@frozen(kw_only=True)
class RecoveryDriver:
    """One component of the episodes.

    Attributes:
        component: Its name.
        mean: Its mean over the answers.
        effect: Points of the score per unit of the component, the others held equal; signed.
        standardised: Standard deviations of the score per standard deviation of the component; signed.
        share: Its share of the explained variance: β · r / R²; the shares sum to 1, single ones may be negative.
    """

    component: Component
    mean: float
    effect: Estimate
    standardised: Estimate
    share: Estimate

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "component": self.component, "mean": self.mean, "effect": self.effect.to_dict(),
            "standardised": self.standardised.to_dict(), "share": self.share.to_dict(),
        }  # fmt: skip


@frozen(kw_only=True)
class RecoveryDriverTable(Tabular):
    """What the components of recovery episodes say of the score given afterwards; an association.

    Attributes:
        n: Answers after a failure.
        explained: R²: share of the variance of the score that the components explain together.
        drivers: One per component; those that never vary have no value, with the reason.
    """

    n: int
    explained: Estimate
    drivers: tuple[RecoveryDriver, ...]
    origin: Origin | None = field(default=None, repr=False, eq=False)

    def to_records(self) -> list[dict[str, object]]:
        """One record per component."""
        return [driver.to_dict() for driver in self.drivers]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"n": self.n, "explained": self.explained.to_dict(), "drivers": self.to_records()}

    def __str__(self) -> str:
        rows = [f"  {each.component:<10} {each.effect}, share {each.share:.1%}" for each in self.drivers]
        return "\n".join([f"{self.n:,} answers after a failure, explained {self.explained:.1%}", *rows])


@frozen(kw_only=True)
class RecoveryDrivers(SumTally[RecoveryDriverTable]):
    """Each component's share of the impression that a failure of service and its recovery leave.

    Every answer after a failure is held against the latest episode of its journey, as far as it had gone by then:
    whether it was *resolved*, the *hours* and the *switches* of channel from failure to resolution (0 where it was not
    resolved), and the *failures* met. One linear regression of the score on the components, all standardised: β = R⁻¹r
    (correlations among components, and of each with the score), R² = Σ β_i · r_i, share_i = β_i · r_i / R² (Pratt 1987;
    Thomas, Hughes & Zumbo 1998, 10.1023/A:1006954016433), effect_i = β_i · s(score)/s(i). So the effect of *resolved*
    is that of a resolution at once and on the same channel; each hour and each switch on the way adds its own.
    Intervals by jackknife over buckets of customers. Descriptive: customers who leave in anger do not answer, and
    lighter failures are resolved sooner.

    Attributes:
        recovery: Which touchpoints are failures and resolutions.
        question: Name of the question; may be left out where there is only one.
        min_n: Fewer answers than this are suppressed.
    """

    name: ClassVar[str] = "recovery_drivers"
    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "none"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "response"
    clustered: ClassVar[bool] = False

    recovery: Recovery
    question: str | None = None
    min_n: int = field(default=30, validator=validators.ge(0))

    def missing(self, facts: Facts) -> str | None:
        """No such question, or touchpoints that never occur."""
        return MeanScore(question=self.question).missing(facts) or self.recovery.missing(facts)

    def observe(self, block: Block) -> Observations:
        """The answers after a failure, with products of the components and the score."""
        rows, columns = self._columns(block)
        sums = {f"{i}": columns[i] for i in range(len(_COLUMNS))}
        return observe("response", rows, **sums, **{f"{i}×{j}": columns[i] * columns[j] for i, j in _PAIRS})

    def _columns(self, block: Block) -> tuple[Ints, Floats]:
        """Rows of the answers, and (5, rows) components and score."""
        answers = block.answers
        if answers is None:
            return np.zeros(0, np.int64), np.zeros((len(_COLUMNS), 0))
        codes = list(MeanScore(question=self.question).fitting(dict(block.vocabulary.questions)))
        rows = np.flatnonzero(np.isin(answers.question, codes) & (answers.time != UNKNOWN_TIME))
        found = episodes(block, self.recovery)
        mine = latest_episode(found, block, rows)
        rows, mine = rows[mine >= 0], mine[mine >= 0]
        time = answers.time[rows]
        start, resolved, end = _spans(block, found, mine, answers.journey[rows], time)
        hours = (block.time[end] - block.time[start]) / 3.6e9
        failed: Ints = np.cumsum(block.events_at(self.recovery.failed), dtype=np.int64)
        failures = failed[end] - failed[start] + 1
        parts: tuple[Floats | Ints | Bools, ...] = (
            resolved, np.where(resolved, hours, 0.0), np.where(resolved, _switches(block, start, end), 0),
            failures, answers.score[rows],
        )  # fmt: skip
        return rows, np.stack([part.astype(np.float64) for part in parts])

    def result(self, sums: Sums, cells: Cells[Any], level: float) -> RecoveryDriverTable:
        """The regression, with intervals from leaving one bucket of customers out at a time."""
        n = int(sums.count.sum())
        if n < max(self.min_n, len(_COLUMNS) + 1):
            return self._without(n, f"fewer than {max(self.min_n, len(_COLUMNS) + 1)} answers (n={n})", cells)
        without, there = left_out(sums)
        fit = _Fit(sums.names, np.concatenate([sums.total, without[:, 0, :]], axis=1))
        if not fit.varies[-1] or not fit.varies[:-1].any():
            return self._without(n, "neither the components nor the score may be all equal", cells)
        if fit.singular:
            return self._without(n, "the components cannot be told apart: one follows from the others", cells)

        def estimate(values: Floats, unit: str, ends: tuple[float, float]) -> Estimate:
            if not np.isfinite(values[0]):
                return no_value("nothing is explained, so there is nothing to share", n=n, unit=unit, range=ends)
            error = float(jackknife_error(values[None, 1:], there)[0])
            low, high = normal_interval(values[0], error, level, *ends)
            interval = Interval(float(low), float(high), level, _METHOD) if np.isfinite(error) else None
            return Estimate(
                value=float(values[0]), n=n, interval=interval, unit=unit, range=ends, origin=cells.origin
            )  # fmt: skip

        wide = (-np.inf, np.inf)
        drivers = [
            RecoveryDriver(
                component=name, mean=float(fit.mean[0, i]),
                effect=estimate(fit.effect[:, i], f"points {_UNITS[name]}", wide),
                standardised=estimate(fit.beta[:, i], "standard deviations", wide),
                share=estimate(fit.share[:, i], "share", wide),
            )
            if fit.varies[i]
            else _never_varies(name, float(fit.mean[0, i]), n, name == "switches" and self._no_channel(cells))
            for i, name in enumerate(COMPONENTS)
        ]  # fmt: skip
        return RecoveryDriverTable(
            n=n, explained=estimate(fit.explained, "share", self.range), drivers=tuple(drivers), origin=cells.origin
        )  # fmt: skip

    def _no_channel(self, cells: Cells[Any]) -> bool:
        return column_missing("channel", cells.facts) is not None

    def _without(self, n: int, reason: str, cells: Cells[Any]) -> RecoveryDriverTable:
        return RecoveryDriverTable(
            n=n, explained=no_value(reason, n=n, unit="share", range=self.range), drivers=(), origin=cells.origin
        )  # fmt: skip


class _Fit:
    """The regression in all replicates, the data themselves first.

    Components that do not vary in the data take no part: their correlations count as 0.
    """

    def __init__(self, names: tuple[str, ...], totals: Floats) -> None:
        size = len(_COLUMNS)
        total = dict(zip(names, totals, strict=True))
        self.mean = np.stack([total[f"{i}"] for i in range(size)], axis=-1) / total["n"][:, None]
        cov = np.empty((totals.shape[1], size, size))
        for i, j in _PAIRS:
            cov[:, i, j] = cov[:, j, i] = total[f"{i}×{j}"] / total["n"] - self.mean[:, i] * self.mean[:, j]
        variance = np.maximum(np.diagonal(cov, axis1=1, axis2=2), 0.0)
        # what is left of two nearly equal numbers is no variance
        moves = variance > 1e-12 * (self.mean**2 + variance)
        self.varies: Bools = moves[0]
        sd = np.where(self.varies, np.where(moves, np.sqrt(variance), np.nan), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            r = np.where(self.varies[:, None] & self.varies, cov / (sd[:, :, None] * sd[:, None, :]), np.eye(size))
            among, toward = r[:, :-1, :-1], r[:, :-1, -1]
            sound = np.isfinite(among).all(axis=(1, 2)) & (np.linalg.det(np.nan_to_num(among)) > 1e-10)
            self.singular = not sound[0]
            solved = np.linalg.solve(np.where(sound[:, None, None], among, np.eye(size - 1)), toward[:, :, None])
            self.beta = np.where(sound[:, None], solved[:, :, 0], np.nan)
            self.part = self.beta * toward
            self.explained = self.part.sum(axis=1)
            self.share = self.part / np.where(self.explained > 1e-12, self.explained, np.nan)[:, None]
            self.effect = self.beta * sd[:, -1:] / sd[:, :-1]


def _never_varies(name: Component, mean: float, n: int, no_channel: bool) -> RecoveryDriver:
    reason = "no channel is known" if no_channel else f"{name} is {mean:g} for every answer"
    lost = no_value(reason, n=n, flags=("not_identifiable",))
    return RecoveryDriver(component=name, mean=mean, effect=lost, standardised=lost, share=lost)


def _spans(block: Block, found: Episodes, mine: Ints, journey: Ints, time: Ints) -> tuple[Ints, Bools, Ints]:
    """Start of each episode, whether it was resolved when the answer came, and its last event until then."""
    resolution = found.resolution[mine]
    resolved = (resolution >= 0) & (block.time[np.maximum(resolution, 0)] <= time)
    latest = rows_until(block.journey, block.time, journey, time) - 1
    return found.start[mine], resolved, np.where(resolved, resolution, latest)


def _switches(block: Block, start: Ints, end: Ints) -> Ints:
    """How often the known channel changes between two events of each span."""
    if not _has_channel(block):
        return np.zeros(start.size, np.int64)
    codes = event_codes(block, "channel")
    before, after = neighbours(codes, block.journey)
    changes = codes[before] != codes[after]
    upto = np.concatenate([[0], np.cumsum(changes)])
    # changes whose later event is in the span, less the one whose earlier event lies before it
    first = np.searchsorted(before, start)
    last = np.searchsorted(after, end, side="right")
    return np.where(last > first, upto[last] - upto[np.minimum(first, last)], 0)


def _has_channel(block: Block) -> bool:
    return any(
        "channel" in names
        for names in (block.event_columns, block.journey_columns, block.vocabulary.touchpoint_columns)
    )
