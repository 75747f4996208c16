"""Measuring: what journeys and surveys have in common. One pass for any number of metrics."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, Literal, TypeVar, overload

from attrs import NOTHING

from cxmodel.errors import InvalidValueError, NotMeasurableError, UnknownNameError, nearest, unknown
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.readings import Facts
from cxmodel.model.transitions import Transition
from cxmodel.plugins.registry import default_registry
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.groupings import By, ByColumn, ByCross, ByName, ByQuestion, ByTransition
from cxmodel.tallies.metrics import Metric, Tally, WholeMetric
from cxmodel.tallies.runner import Request, check, measure
from cxmodel.typing import Population

R = TypeVar("R")
R1 = TypeVar("R1")
R2 = TypeVar("R2")
R3 = TypeVar("R3")
R4 = TypeVar("R4")
K = TypeVar("K")
K1 = TypeVar("K1")
K2 = TypeVar("K2")
K3 = TypeVar("K3")

BY_NAMES = (
    "touchpoint",
    "stage",
    "channel",
    "department",
    "contact",
    "persona",
    "source",
    "question",
    "kind",
)


class Measurable:
    """Something that metrics can be asked of."""

    __slots__ = ()

    @abstractmethod
    def _asked(self) -> Population:
        """The population that metrics look at."""

    @property
    @abstractmethod
    def facts(self) -> Facts:
        """What can be asked."""

    @overload
    def measure(self, metric: Metric[R], /, *, level: float = ..., bootstrap: int = ..., seed: int = ...) -> R: ...
    @overload
    def measure(
        self,
        metric: Metric[R],
        /,
        *,
        by: Literal["transition"],
        level: float = ...,
        bootstrap: int = ...,
        seed: int = ...,
    ) -> Breakdown[Transition, R]: ...
    @overload
    def measure(
        self, metric: Metric[R], /, *, by: ByName, level: float = ..., bootstrap: int = ..., seed: int = ...
    ) -> Breakdown[str, R]: ...
    @overload
    def measure(
        self, metric: Metric[R], /, *, by: By[K], level: float = ..., bootstrap: int = ..., seed: int = ...
    ) -> Breakdown[K, R]: ...
    @overload
    def measure(
        self,
        metric: Metric[R],
        /,
        *,
        by: tuple[By[K1], By[K2]],
        level: float = ...,
        bootstrap: int = ...,
        seed: int = ...,
    ) -> Breakdown[tuple[K1, K2], R]: ...
    @overload
    def measure(
        self, metric: Metric[R], /, *, by: tuple[By[K1], By[K2], By[K3]], level: float = ..., bootstrap: int = ...,
        seed: int = ...,
    ) -> Breakdown[tuple[K1, K2, K3], R]: ...  # fmt: skip
    @overload
    def measure(
        self, metric: Metric[R], /, *, by: tuple[ByName, ByName, ByName], level: float = ..., bootstrap: int = ...,
        seed: int = ...,
    ) -> Breakdown[tuple[str, str, str], R]: ...  # fmt: skip
    @overload
    def measure(
        self,
        metric: Metric[R],
        /,
        *,
        by: tuple[ByName, ByName],
        level: float = ...,
        bootstrap: int = ...,
        seed: int = ...,
    ) -> Breakdown[tuple[str, str], R]: ...
    @overload
    def measure(
        self, m1: Metric[R1], m2: Metric[R2], /, *, level: float = ..., bootstrap: int = ..., seed: int = ...
    ) -> tuple[R1, R2]: ...
    @overload
    def measure(
        self,
        m1: Metric[R1],
        m2: Metric[R2],
        /,
        *,
        by: ByName,
        level: float = ...,
        bootstrap: int = ...,
        seed: int = ...,
    ) -> tuple[Breakdown[str, R1], Breakdown[str, R2]]: ...
    @overload
    def measure(
        self,
        m1: Metric[R1],
        m2: Metric[R2],
        /,
        *,
        by: By[K],
        level: float = ...,
        bootstrap: int = ...,
        seed: int = ...,
    ) -> tuple[Breakdown[K, R1], Breakdown[K, R2]]: ...
    @overload
    def measure(
        self,
        m1: Metric[R1],
        m2: Metric[R2],
        m3: Metric[R3],
        /,
        *,
        level: float = ...,
        bootstrap: int = ...,
        seed: int = ...,
    ) -> tuple[R1, R2, R3]: ...
    @overload
    def measure(
        self,
        m1: Metric[R1],
        m2: Metric[R2],
        m3: Metric[R3],
        /,
        *,
        by: ByName,
        level: float = ...,
        bootstrap: int = ...,
        seed: int = ...,
    ) -> tuple[Breakdown[str, R1], Breakdown[str, R2], Breakdown[str, R3]]: ...
    @overload
    def measure(
        self,
        m1: Metric[R1],
        m2: Metric[R2],
        m3: Metric[R3],
        m4: Metric[R4],
        /,
        *,
        level: float = ...,
        bootstrap: int = ...,
        seed: int = ...,
    ) -> tuple[R1, R2, R3, R4]: ...
    @overload
    def measure(
        self,
        m1: Metric[Any],
        m2: Metric[Any],
        m3: Metric[Any],
        m4: Metric[Any],
        m5: Metric[Any],
        /,
        *more: Metric[Any],
        by: By[Any] | ByName | None = ...,
        level: float = ...,
        bootstrap: int = ...,
        seed: int = ...,
    ) -> tuple[object, ...]: ...
    @overload
    def measure(
        self, metric: str, /, *, by: str | By[Any] | Sequence[str | By[Any]] | None = ..., level: float = ...,
        bootstrap: int = ..., seed: int = ..., **options: Any,
    ) -> Any: ...  # fmt: skip
    def measure(  # type: ignore[misc]  # mypy holds *metrics to be unable to take the one positional-only metric
        self, *metrics: Any, by: Any = None, level: float = 0.95, bootstrap: int = 0, seed: int = 0, **options: Any
    ) -> Any:  # fmt: skip
        """Measure one or several metrics in one pass.

        Args:
            metrics: Metrics, or the name of one with its options.
            by: What to group by: a name, a grouping of `cxmodel.by`, or several of them for every combination.
            level: Confidence level of the intervals, 0 to 1.
            bootstrap: Number of replicates of customers; 0 for closed forms and the delta method.
            seed: Seed of the replicates.
            options: Options of a metric asked for by name.

        Returns:
            One result, or a `Breakdown` with ``by=``; a tuple of these for several metrics.

        Raises:
            NotMeasurableError: When a metric cannot be had here, with the reason.
            UnknownNameError: When there is no such metric or grouping.
        """
        asked = [self._metric(metric, options) for metric in metrics]
        if not asked:
            raise InvalidValueError("no metric was named", hint="Write journeys.measure(cx.metrics.Nps())")
        grouping = as_by(by)
        population = self._asked()
        cells: Cells[Any] = Cells(
            vocabulary=population.vocabulary, facts=population.facts, origin=population.origin, by=grouping,
            level=level, bootstrap=bootstrap, seed=seed,
        )  # fmt: skip
        results = _results(population, asked, cells)
        return results[0] if len(results) == 1 else tuple(results)

    def _metric(self, metric: object, options: dict[str, object]) -> Metric[Any]:
        if isinstance(metric, str):
            return metric_named(metric, options)
        if not isinstance(metric, Metric):
            name = getattr(metric, "__name__", repr(metric))
            raise InvalidValueError(f"{name} is not a metric", hint=f"Give an instance: {name}()")
        if options:
            raise InvalidValueError(f"{next(iter(options))!r} is an option of a metric asked for by name")
        return metric


def metric_named(name: str, options: dict[str, object]) -> Metric[Any]:
    """A metric by its name and options.

    Raises:
        UnknownNameError: No such metric, or no such option.
    """
    class_ = default_registry().metric(name)
    known = [each.name for each in getattr(class_, "__attrs_attrs__", ())]
    for option in options:
        if option not in known:
            guess = nearest(option, known)
            raise UnknownNameError(unknown(f"option of {name}", option, known), hint=guess and f"Write {guess}=…")
    needed = [each.name for each in getattr(class_, "__attrs_attrs__", ()) if each.default is NOTHING]
    missing = [each for each in needed if each not in options]
    if missing:
        raise InvalidValueError(f"{name} needs {' and '.join(missing)}", hint=f"Write {missing[0]}=…")
    try:
        return class_(**options)
    except TypeError as error:
        raise InvalidValueError(f"{name} does not take these options: {error}") from None


def as_by(by: str | By[Any] | Sequence[str | By[Any]] | None) -> By[Any] | None:
    """A grouping from a name, a grouping, or several of them.

    Raises:
        UnknownNameError: No such grouping; attributes need `cxmodel.by.attribute`.
    """
    if by is None or isinstance(by, By):
        return by
    if isinstance(by, str):
        if by == "transition":
            return ByTransition()
        if by == "question":
            return ByQuestion()
        if by in BY_NAMES:
            return ByColumn(by)
        raise UnknownNameError(
            unknown("grouping", by, [*BY_NAMES, "transition"]),
            hint=f"A column of your own is grouped by with cx.by.attribute({by!r})",
        )
    parts = [as_by(part) for part in by]
    if len(parts) == 1:
        return parts[0]
    known = [part for part in parts if part is not None]
    if not parts or len(known) < len(parts):
        raise InvalidValueError(f"by takes one grouping or several, got {list(by)!r}")
    return ByCross(known)


def _results(population: Population, metrics: Sequence[Metric[Any]], cells: Cells[Any]) -> list[Any]:
    tallies = [metric for metric in metrics if isinstance(metric, Tally)]
    for tally in tallies:
        check(tally, cells)
    found = iter(measure(population, [Request(tally, cells) for tally in tallies]) if tallies else [])
    results = []
    for metric in metrics:
        if isinstance(metric, Tally):
            results.append(next(found))
        elif isinstance(metric, WholeMetric):
            reason = metric.missing(cells.facts)
            if reason is not None:
                raise NotMeasurableError(f"{metric.name}: {reason}")
            results.append(metric.compute(population, by=cells.by, level=cells.level))
        else:
            raise NotMeasurableError(f"{metric.name} is neither a tally nor a whole metric: it says nothing to compute")
    return results
