"""Times until an event, where some are not seen to the end: Kaplan-Meier, log-rank, Aalen-Johansen.

Everything starts from a table by time: how many are at risk just before it and how many events happen at it.
Such tables add up over any split of the data and their counts may be weighted. The times run along the last
axis; leading axes may hold bootstrap replicates. Events come before censorings at the same time.
"""

import numpy as np
from attrs import frozen
from numpy.typing import ArrayLike, NDArray

from cxmodel.stats.floats import Bounds, Floats, floats, ratio, root
from cxmodel.stats.intervals import z_value


@frozen
class RiskTable:
    """Events and numbers at risk by time.

    Attributes:
        times: Distinct times of events and censorings, rising, shape (T,).
        at_risk: Number still under observation just before each time, shape (T,).
        events: Number of events at each time by cause 1..C, shape (C, T).
    """

    times: Floats
    at_risk: Floats
    events: Floats


def risk_table(
    times: ArrayLike,
    causes: ArrayLike,
    weights: ArrayLike | None = None,
    entries: ArrayLike | None = None,
    n_causes: int | None = None,
) -> RiskTable:
    """Count events and numbers at risk.

    Args:
        times: When each observation ended, shape (n,).
        causes: 0 for censored, else 1, 2, … for the cause of the event, shape (n,).
        weights: How many observations each stands for; 1 if not given.
        entries: When each came under observation (left truncation): at risk after this time; always if not given.
        n_causes: Number of causes C, if not the largest one seen.

    Returns:
        Table over the distinct times.

    Raises:
        ValueError: If an observation ends before it begins.

    >>> table = risk_table([6, 6, 7, 9], [1, 0, 1, 0])
    >>> table.times.tolist(), table.at_risk.tolist(), table.events.tolist()
    ([6.0, 7.0, 9.0], [4.0, 2.0, 1.0], [[1.0, 1.0, 0.0]])
    """
    ends, cause = floats(times), np.asarray(causes, dtype=np.intp)
    count = np.ones(ends.shape) if weights is None else floats(weights)
    points, position = np.unique(ends, return_inverse=True)
    kinds = max(int(cause.max(initial=1)), n_causes or 1)
    cells = np.bincount(cause * points.size + position, count, minlength=(kinds + 1) * points.size)
    by_cause = cells.reshape(kinds + 1, points.size)
    leaving = by_cause.sum(axis=0)
    at_risk = leaving[::-1].cumsum()[::-1]
    if entries is not None:
        begins = floats(entries)
        if np.any(begins > ends):
            first = int(np.argmax(begins > ends))
            raise ValueError(
                f"An observation must not end before it begins, got {ends[first]} before {begins[first]}. "
                "Leave it out, or give its true entry time."
            )
        # At time t those are missing who come under observation at t or later.
        coming = np.bincount(np.searchsorted(points, begins, side="right"), count, minlength=points.size + 1)
        at_risk = at_risk - coming[::-1].cumsum()[::-1][1:]
    return RiskTable(points, floats(at_risk), floats(by_cause[1:]))


def kaplan_meier(at_risk: ArrayLike, events: ArrayLike) -> Floats:
    """Return the share still without the event, `S(t) = Π(1 − d/n)`, just after each time.

    Kaplan & Meier 1958 (doi:10.1080/01621459.1958.10501452). With competing causes 1 − S of one cause
    overstates its share: use `aalen_johansen`.

    Args:
        at_risk: Numbers at risk, shape (…, T).
        events: Numbers of events of any cause, shape (…, T).

    Returns:
        Shares, shape (…, T), falling, in [0, 1].

    >>> kaplan_meier([4, 2, 1], [1, 1, 0]).tolist()
    [0.75, 0.375, 0.375]
    """
    return floats(np.cumprod(1.0 - ratio(events, at_risk, empty=0.0), axis=-1))


def greenwood_se(at_risk: ArrayLike, events: ArrayLike) -> Floats:
    """Return the standard error of the Kaplan-Meier shares, `S·√Σ d/(n(n − d))`.

    Args:
        at_risk: Numbers at risk, shape (…, T).
        events: Numbers of events, shape (…, T).

    Returns:
        Standard errors, shape (…, T); nan from where all have had the event.

    >>> greenwood_se([21, 17], [3, 1]).round(4).tolist()
    [0.0764, 0.0869]
    """
    return floats(kaplan_meier(at_risk, events) * root(_greenwood_sum(at_risk, events)))


def _greenwood_sum(at_risk: ArrayLike, events: ArrayLike) -> Floats:
    n, d = floats(at_risk), floats(events)
    terms = np.where(d > 0, ratio(d, n * (n - d)), 0.0)
    return floats(np.cumsum(terms, axis=-1))


def survival_interval(at_risk: ArrayLike, events: ArrayLike, level: float = 0.95) -> Bounds:
    """Interval of the Kaplan-Meier shares on the log(−log) scale, which stays in [0, 1].

    Formula: `S^exp(±z·σ/log S)` with `σ² = Σ d/(n(n − d))` (Kalbfleisch & Prentice 2002,
    doi:10.1002/9781118032985).

    Args:
        at_risk: Numbers at risk, shape (…, T).
        events: Numbers of events, shape (…, T).
        level: Confidence level, between 0 and 1.

    Returns:
        Lower and upper ends, shape (…, T); nan before the first event and from where the share is 0.

    >>> low, high = survival_interval([21, 17], [3, 1])
    >>> low.round(4).tolist(), high.round(4).tolist()
    ([0.6197, 0.5631], [0.9516, 0.9228])
    """
    share = kaplan_meier(at_risk, events)
    inside = (share > 0) & (share < 1)
    log_share = np.where(inside, np.log(np.where(inside, share, 0.5)), np.nan)
    width = z_value(level) * root(_greenwood_sum(at_risk, events)) / log_share
    return floats(np.exp(log_share * np.exp(-width))), floats(np.exp(log_share * np.exp(width)))


def quantile_time(times: ArrayLike, survival: ArrayLike, share: float = 0.5) -> Floats:
    """Return the first time at which at most `1 − share` are without the event; the median by default.

    Args:
        times: Rising times, shape (T,).
        survival: Shares without the event, shape (…, T).
        share: Share that has had the event, in (0, 1].

    Returns:
        Times, shape (…); nan where so many have not been seen to have it.

    >>> float(quantile_time([1, 2, 3], [0.8, 0.5, 0.2])), float(quantile_time([1, 2], [0.9, 0.7]))
    (2.0, nan)
    """
    points = np.append(floats(times), np.nan)
    # Rounding in the product must not move the time to the next one.
    reached = floats(survival) <= 1.0 - share + 1e-12
    first = np.where(reached.any(axis=-1), reached.argmax(axis=-1), points.size - 1)
    return floats(points[first])


def aalen_johansen(at_risk: ArrayLike, events: ArrayLike) -> tuple[Floats, Floats]:
    """Return the share that has had each of several competing events by each time.

    Formula: `F_c(t) = Σ S(t⁻)·d_c/n` with S over all causes (Aalen & Johansen 1978, jstor:4615704). The
    shares of all causes and the share without any event sum to 1.

    Args:
        at_risk: Numbers at risk, shape (…, T).
        events: Numbers of events by cause, shape (…, C, T).

    Returns:
        Shares F by cause, shape (…, C, T), rising, and the share S without any event, shape (…, T).

    >>> shares, without = aalen_johansen([4, 3, 1], [[1, 0, 1], [0, 1, 0]])
    >>> shares.round(4).tolist(), without.round(4).tolist()
    ([[0.25, 0.25, 0.75], [0.0, 0.25, 0.25]], [0.75, 0.5, 0.0])
    """
    n, by_cause = floats(at_risk), floats(events)
    without = kaplan_meier(n, by_cause.sum(axis=-2))
    before = np.concatenate([np.ones_like(without[..., :1]), without[..., :-1]], axis=-1)
    steps = before[..., None, :] * ratio(by_cause, n[..., None, :], empty=0.0)
    return floats(np.cumsum(steps, axis=-1)), without


@frozen
class LogRank:
    """Result of a log-rank test.

    Attributes:
        statistic: χ² with one degree less than there are groups.
        df: Degrees of freedom.
        p: p value; nan where the groups cannot be compared.
        observed: Events in each group.
        expected: Events to expect in each group if all had the same risk.
    """

    statistic: float
    df: int
    p: float
    observed: Floats
    expected: Floats


def log_rank(at_risk: ArrayLike, events: ArrayLike) -> LogRank:
    """Test whether several groups have the same risk at all times (Mantel 1966; Peto & Peto 1972).

    Args:
        at_risk: Numbers at risk by group at the common times, shape (G, T): see `common_tables`.
        events: Numbers of events by group, shape (G, T).

    Returns:
        Test of Peto & Peto (doi:10.2307/2344317) with the hypergeometric variance.

    >>> test = log_rank([[3, 2, 1], [3, 2, 2]], [[1, 1, 0], [0, 0, 1]])
    >>> round(test.statistic, 4), test.df
    (0.6154, 1)
    """
    from scipy.special import chdtrc

    n, d = floats(at_risk), floats(events)
    total_n, total_d = n.sum(axis=0), d.sum(axis=0)
    shares = ratio(n, total_n, empty=0.0)
    expected = (shares * total_d).sum(axis=1)
    spread = ratio(total_d * (total_n - total_d), total_n - 1, empty=0.0)
    covariance = np.diag((spread * shares).sum(axis=1)) - (spread * shares) @ shares.T
    surplus = d.sum(axis=1) - expected
    # One group follows from the others; the pseudo-inverse also takes groups that are never at risk.
    inverse = np.linalg.pinv(covariance, rtol=1e-10, hermitian=True)
    rank = int(np.linalg.matrix_rank(covariance, rtol=1e-10, hermitian=True))
    statistic = float(surplus @ inverse @ surplus)
    p = float(chdtrc(rank, statistic)) if rank else float("nan")
    return LogRank(statistic, rank, p, floats(d.sum(axis=1)), floats(expected))


def common_tables(tables: list[RiskTable]) -> tuple[Floats, Floats, Floats]:
    """Bring risk tables to their common times.

    Args:
        tables: Tables with the same number of causes, made without entry times.

    Returns:
        Times (T,), numbers at risk (G, T) and numbers of events (G, C, T).

    >>> times, n, d = common_tables([risk_table([1, 3], [1, 1]), risk_table([2], [1])])
    >>> times.tolist(), n.tolist(), d[:, 0].tolist()
    ([1.0, 2.0, 3.0], [[2.0, 1.0, 1.0], [1.0, 1.0, 0.0]], [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]])
    """
    times = np.unique(np.concatenate([table.times for table in tables]))
    at_risk = np.zeros((len(tables), times.size))
    events = np.zeros((len(tables), tables[0].events.shape[0], times.size))
    for row, table in enumerate(tables):
        following = np.searchsorted(table.times, times)
        at_risk[row] = np.append(table.at_risk, 0.0)[following]
        events[row][:, np.searchsorted(times, table.times)] = table.events
    return times, at_risk, events


def clustered_error(
    times: ArrayLike, causes: ArrayLike, folds: ArrayLike, entries: ArrayLike | None = None, n_causes: int = 1
) -> Floats:
    """Standard error of the Aalen-Johansen share of the first cause where observations come in clusters.

    Formula: `√((G−1)/G · Σ (F₋g(t) − mean)²)` over the G folds into which the clusters were dealt (delete-a-group
    jackknife; Quenouille 1956, doi:10.1093/biomet/43.3-4.353). The work grows with distinct times × folds.

    Args:
        times: When each observation ended, shape (n,).
        causes: 0 for censored, else 1, 2, … for the cause of the event, shape (n,).
        folds: Fold of the cluster of each, 0 or more, shape (n,).
        entries: When each came under observation; always if not given.
        n_causes: Number of causes.

    Returns:
        Standard errors at the distinct times; nan with fewer than two folds.

    >>> clustered_error([1, 1, 2, 2], [1, 0, 1, 1], [0, 0, 1, 1]).round(4).tolist()
    [0.25, 0.25]
    """
    ends, cause, fold = floats(times), np.asarray(causes, dtype=np.intp), np.asarray(folds, dtype=np.intp)
    points, position = np.unique(ends, return_inverse=True)
    begins = None if entries is None else np.searchsorted(points, floats(entries), side="right")
    order = np.argsort(fold, kind="stable")
    starts = np.flatnonzero(np.diff(fold[order], prepend=-1))
    at_risk, events = _counts(position, cause, begins, points.size, n_causes)
    whole = aalen_johansen(at_risk, events)[0][0]
    total, squares = np.zeros(points.size), np.zeros(points.size)
    for mine in np.split(order, starts[1:]):
        coming = None if begins is None else begins[mine]
        less, fewer = _counts(position[mine], cause[mine], coming, points.size, n_causes)
        away = aalen_johansen(at_risk - less, events - fewer)[0][0] - whole
        total += away
        squares += away**2
    g = starts.size
    return root((g - 1) / g * (squares - total**2 / g)) if g > 1 else np.full(points.size, np.nan)


def _counts(
    position: NDArray[np.intp], cause: NDArray[np.intp], begins: NDArray[np.intp] | None, size: int, kinds: int
) -> tuple[Floats, Floats]:
    """Numbers at risk and events by cause at every distinct time."""
    by_cause = np.bincount(cause * size + position, minlength=(kinds + 1) * size).reshape(kinds + 1, size)
    at_risk = by_cause.sum(axis=0)[::-1].cumsum()[::-1]
    if begins is not None:
        at_risk = at_risk - np.bincount(begins, minlength=size + 1)[::-1].cumsum()[::-1][1:]
    return floats(at_risk), floats(by_cause[1:])
