"""Estimates: a number with its n, interval, unit and direction; or no value, with the reason."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, Protocol, cast

from attrs import evolve, field, frozen

from cxmodel.errors import InvalidValueError, NotComparableError, NoValueError
from cxmodel.model.scales import Direction

Flag = Literal[
    "censored", "control_failed", "degenerate", "dependence_unknown", "direct", "empty", "not_identifiable",
    "not_replicated", "open_unknown", "out_of_range", "overlapping", "small_n", "structural_lift",
    "suppressed", "unadjusted",
]  # fmt: skip


def _ordered(flags: frozenset[Flag] | tuple[Flag, ...] | list[Flag]) -> tuple[Flag, ...]:
    return tuple(sorted(set(flags)))


@frozen
class Interval:
    """A confidence interval.

    Attributes:
        low: Lower end, in the unit of the estimate.
        high: Upper end.
        level: Confidence level, 0 to 1.
        method: How it was made.
    """

    low: float
    high: float
    level: float
    method: str

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high


@frozen(kw_only=True)
class Origin:
    """The population that a result describes.

    Attributes:
        source: Fingerprint of the log that was read.
        filters: What was selected from it, in words.
        window: First and last moment asked for (ISO 8601), or None at an open end.
        rejected: Rows that the reading rejected.
    """

    source: str
    filters: tuple[str, ...] = ()
    window: tuple[str | None, str | None] = (None, None)
    rejected: int = 0

    def after(self, saying: str | None, window: tuple[str | None, str | None] | None = None) -> Origin:
        """The origin after a step that selects (told in words) or sets a window."""
        filters = (*self.filters, saying) if saying else self.filters
        return evolve(self, filters=filters, window=self.window if window is None else window)

    def comparable(self, other: Origin) -> bool:
        """Whether the two differ in nothing but the window of time."""
        return self.source == other.source and self.filters == other.filters


class Dependence(Protocol):
    """What an estimate of this run remembers of its customers, so that two of them can be compared."""

    def same_run(self, other: Dependence) -> bool:
        """Whether both know the same customers, so that it can be told which they share."""
        ...

    def difference(self, other: Dependence, level: float) -> tuple[float, float] | None:
        """Interval of self − other from shared customers; None where they share none or nothing varies."""


@frozen(kw_only=True)
class Estimate:
    """A number that knows how sure it is.

    Attributes:
        value: The value in ``unit``, or None with a ``reason``.
        n: Unweighted count of what it rests on.
        n_eff: Effective count after weights and repeated customers: n / max(1, design effect).
        interval: Confidence interval, or None.
        unit: Unit in words (``"points"``, ``"share"``, ``"min"``).
        direction: Which way is better.
        range: Smallest and largest possible value.
        flags: What to mind, sorted.
        reason: Why there is no value.
        censored: How many are not in n because it is too early to judge them.
        origin: The population it describes.

    Example:
        >>> print(f"{Estimate(value=0.264, n=193, interval=Interval(0.207, 0.331, 0.95, 'wilson')):.1%}")
        26.4% [20.7%, 33.1%] (n=193)
    """

    value: float | None
    n: int
    n_eff: float | None = None
    interval: Interval | None = None
    unit: str = ""
    direction: Direction = "none"
    range: tuple[float, float] = (-math.inf, math.inf)
    flags: tuple[Flag, ...] = field(default=(), converter=_ordered)
    reason: str | None = None
    censored: int = 0
    origin: Origin | None = field(default=None, repr=False, eq=False)
    dependence: Dependence | None = field(default=None, repr=False, eq=False)

    def __attrs_post_init__(self) -> None:
        if self.value is None and not self.reason:
            raise InvalidValueError("an estimate without a value needs a reason in words")
        if self.value is not None and not math.isfinite(self.value):
            raise InvalidValueError(f"an estimate is a finite number or None with a reason, got {self.value!r}")

    def require(self) -> float:
        """The value.

        Raises:
            NoValueError: When there is none; the message is the reason.
        """
        if self.value is None:
            raise NoValueError(f"no value: {self.reason}")
        return self.value

    def minus(self, other: Estimate, *, across: bool = False) -> Estimate:
        """The signed difference self − other with its interval.

        Estimates of one run remember their customers: where customers are shared the interval comes from a jackknife
        over the buckets of both, else from the two intervals by MOVER (Zou & Donner 2008, 10.1002/sim.3095). MOVER also
        takes over where all customers of each side agree, for then the jackknife would have no width.

        Args:
            other: An estimate in the same unit.
            across: Compare although the two describe different populations.

        Raises:
            NotComparableError: When units differ, or the populations do and ``across`` is not set.
        """
        self._check_comparable(other, across)
        if self.value is None or other.value is None:
            reason = self.reason if self.value is None else other.reason
            return evolve(
                self, value=None, interval=None, n=self.n + other.n, n_eff=None, reason=reason,
                censored=self.censored + other.censored,
            )  # fmt: skip
        value = self.value - other.value
        width = self.range[1] - self.range[0]
        interval, flags = self._difference_interval(other, value)
        return evolve(
            self, value=value, n=self.n + other.n, n_eff=None, interval=interval, range=(-width, width),
            flags=(*self.flags, *other.flags, *flags), censored=self.censored + other.censored, dependence=None,
        )  # fmt: skip

    def _check_comparable(self, other: Estimate, across: bool) -> None:
        if self.unit != other.unit:
            raise NotComparableError(f"cannot subtract {other.unit!r} from {self.unit!r}")
        if not across:
            check_origins(self.origin, other.origin, "a.minus(b, across=True)")

    def _difference_interval(self, other: Estimate, value: float) -> tuple[Interval | None, tuple[Flag, ...]]:
        if self.interval is None or other.interval is None:
            return None, ()
        level = self.interval.level
        if self.dependence is not None and other.dependence is not None and self.dependence.same_run(other.dependence):
            paired = self.dependence.difference(other.dependence, level)
            if paired is not None:
                return Interval(paired[0], paired[1], level, "paired customer buckets"), ()
            unknown: tuple[Flag, ...] = ()
        else:
            unknown = ("dependence_unknown",)
        low, high = _mover(self, other, value)
        return Interval(low, high, level, f"MOVER({self.interval.method})"), unknown

    def to_dict(self) -> dict[str, object]:
        """Flat record, as in JSON: value, low, high, level, n, n_eff, unit, method, direction, flags, reason.

        Where anybody is censored, ``censored`` tells how many.
        """
        interval = self.interval
        return {
            "value": self.value,
            "low": interval and interval.low,
            "high": interval and interval.high,
            "level": interval and interval.level,
            "n": self.n,
            "n_eff": self.n_eff,
            "unit": self.unit,
            "direction": self.direction,
            "range": [bound if math.isfinite(bound) else None for bound in self.range],
            "method": interval and interval.method,
            "flags": list(self.flags),
            "reason": self.reason,
            **({"censored": self.censored} if self.censored else {}),
        }

    def __format__(self, spec: str) -> str:
        if self.value is None:
            return f"no value ({self.reason})"
        spec = spec or ".4g"
        unit = "" if "%" in spec or self.unit in ("", "share") else f" {self.unit}"
        ends = self.interval and f" [{self.interval.low:{spec}}, {self.interval.high:{spec}}]"
        waiting = f", {self.censored:,} censored" if self.censored else ""
        return f"{self.value:{spec}}{ends or ''}{unit} (n={self.n:,}{waiting})"

    def __str__(self) -> str:
        return format(self)

    def _repr_html_(self) -> str:
        from html import escape

        return f"<span title={escape(', '.join(self.flags))!r}>{escape(format(self))}</span>"


def no_value(reason: str, *, n: int = 0, flags: tuple[Flag, ...] = ("empty",), **about: object) -> Estimate:
    """An estimate without a value, because of ``reason``."""
    return evolve(Estimate(value=None, n=n, reason=reason, flags=flags), **about)  # type: ignore[arg-type]


def estimate_from_dict(record: Mapping[str, object]) -> Estimate:
    """The estimate that `Estimate.to_dict` wrote."""
    low, high, level = (_number(record.get(key)) for key in ("low", "high", "level"))
    interval = None
    if low is not None and high is not None and level is not None:
        interval = Interval(low, high, level, str(record.get("method") or ""))
    ends = record.get("range")
    low_end, high_end = ends if isinstance(ends, list) and len(ends) == 2 else (None, None)
    bounds = (_number(low_end), _number(high_end))
    return Estimate(
        value=_number(record.get("value")),
        n=int(_number(record.get("n")) or 0),
        n_eff=_number(record.get("n_eff")),
        interval=interval,
        unit=str(record.get("unit") or ""),
        direction=cast("Direction", record.get("direction") or "none"),
        range=(-math.inf if bounds[0] is None else bounds[0], math.inf if bounds[1] is None else bounds[1]),
        flags=cast("list[Flag]", record.get("flags") or []),
        reason=None if record.get("reason") is None else str(record["reason"]),
        censored=int(_number(record.get("censored")) or 0),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _mover(a: Estimate, b: Estimate, value: float) -> tuple[float, float]:
    i, j = a.interval, b.interval
    assert i is not None
    assert j is not None
    assert a.value is not None
    assert b.value is not None
    return (
        value - math.hypot(a.value - i.low, j.high - b.value),
        value + math.hypot(i.high - a.value, b.value - j.low),
    )


def check_origins(one: Origin | None, other: Origin | None, instead: str) -> None:
    """Refuse two populations that differ in more than the window of time; an unknown one may be any.

    Args:
        one: The one.
        other: The other.
        instead: What to write where that is meant.

    Raises:
        NotComparableError: They differ.
    """
    if one is None or other is None or one.comparable(other):
        return
    raise NotComparableError(
        f"these describe different populations ({_words(one)} against {_words(other)})",
        hint=f"If that is meant, write {instead}",
    )


def _words(origin: Origin) -> str:
    return f"log {origin.source[:8]}, {', '.join(origin.filters) or 'all of it'}"
