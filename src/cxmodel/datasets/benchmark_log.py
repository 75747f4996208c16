"""A large event log for benchmarks, made in one vectorised pass."""

from typing import Literal

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from cxmodel.datasets.drawing import generator, require_positive, texts
from cxmodel.datasets.study import Column, Table

_GOAL = "purchase"
_NAMES = (
    "web visit", "search", "product page", "email open", "ad click", "category page", "app open",
    "add to cart", "social click", "review read", "chat", _GOAL, "call centre", "store visit",
    "checkout", "faq", "wishlist", "newsletter", "push open", "compare", "delivery", "return",
    "survey", "support ticket", "loyalty login", "referral", "video view", "price alert", "invoice",
    "complaint",
)  # fmt: skip
_START = np.datetime64("2025-01-01T00:00:00", "us").astype(np.int64)
_DAY = 86_400_000_000


@frozen(kw_only=True, eq=False)
class EventLog:
    """Events as arrays, one entry per event.

    Attributes:
        customer: Customer ids, int64, or an object array of `str`.
        code: Position of the touchpoint in `names`, in the smallest unsigned integer that fits.
        names: Name per touchpoint.
        time: Instants in UTC, `datetime64[us]`.
        goal: The touchpoint that counts as success.
    """

    customer: Column
    code: NDArray[np.unsignedinteger]
    names: NDArray[np.object_]
    time: NDArray[np.datetime64]
    goal: str

    def __len__(self) -> int:
        """Give the number of events."""
        return len(self.code)

    def table(self) -> Table:
        """Give the columns customer, touchpoint (as names) and time."""
        return Table({"customer": self.customer, "touchpoint": self.names[self.code], "time": self.time})


def event_log(
    events: int,
    seed: int = 0,
    *,
    touchpoints: int = 30,
    zipf: float = 1.0,
    ids: Literal["int", "str"] = "int",
    order: Literal["time", "customer", "shuffled"] = "time",
) -> EventLog:
    """Generate a log of exactly so many events for benchmarks.

    Each customer has one history of geometric length with mean 10 (the last one is cut so that the total
    fits). Touchpoints follow Zipf's law, P(rank r) ∝ r^-zipf; with chance 0.35 an event is instead the fixed
    successor (3 × previous + 1) mod K of what was drawn for the event before, which gives the log first-order
    structure. Gaps are exponential: 70 % with a mean of 4 minutes, 30 % with a mean of 6 days. Histories
    start over 300 days from the first of January 2025.

    Args:
        events: Number of events, 1 or more.
        seed: 0 or a positive whole number.
        touchpoints: Size of the vocabulary K, at least 12, so that it holds the goal "purchase".
        zipf: Exponent of Zipf's law; higher is more uneven.
        ids: Customer ids as int64 or as text "cust-…".
        order: Rows by time (customers interleaved), by customer then time, or shuffled.

    Returns:
        The log. Ten million events take a few seconds and stay under 2 GB.

    Raises:
        ValueError: A size is too small, or an option is unknown.

    Example:
        >>> log = event_log(1_000, seed=1)
        >>> len(log), len(log.names), log.goal
        (1000, 30, 'purchase')
        >>> bool((log.time[1:] >= log.time[:-1]).all())
        True
    """
    _check(events, touchpoints, ids, order)
    rng = generator(seed)
    lengths = _lengths(rng, events)
    first = np.zeros(events, np.bool_)
    first[np.cumsum(lengths) - lengths] = True
    code = _codes(rng, first, touchpoints, zipf)
    time = _times(rng, first, lengths)
    owner = np.repeat(rng.permutation(len(lengths)).astype(np.int32), lengths)
    if order == "time":
        rows = np.argsort(time, kind="stable")
    elif order == "customer":
        rows = np.argsort(owner, kind="stable")
    else:
        rows = rng.permutation(events)
    return EventLog(
        customer=_ids(len(lengths), ids)[owner[rows]],
        code=code[rows],
        names=_names(touchpoints),
        time=time[rows].view("datetime64[us]"),
        goal=_GOAL,
    )


def _check(events: int, touchpoints: int, ids: str, order: str) -> None:
    require_positive("events", events)
    if touchpoints <= _NAMES.index(_GOAL):
        raise ValueError(f"touchpoints is {touchpoints}; give at least {_NAMES.index(_GOAL) + 1}")
    if ids not in ("int", "str"):
        raise ValueError(f"ids is {ids!r}; give 'int' or 'str'")
    if order not in ("time", "customer", "shuffled"):
        raise ValueError(f"order is {order!r}; give 'time', 'customer' or 'shuffled'")


def _lengths(rng: np.random.Generator, events: int) -> NDArray[np.int64]:
    # With a mean of 10 the first round nearly always suffices.
    drawn = rng.geometric(0.1, size=events // 9 + 100)
    while drawn.sum() < events:
        drawn = np.concatenate([drawn, rng.geometric(0.1, size=events // 9 + 100)])
    ends = np.cumsum(drawn)
    lengths = drawn[: np.searchsorted(ends, events) + 1]
    lengths[-1] -= ends[len(lengths) - 1] - events
    return lengths


def _codes(
    rng: np.random.Generator, first: NDArray[np.bool_], touchpoints: int, zipf: float
) -> NDArray[np.unsignedinteger]:
    chances = np.cumsum(np.arange(1, touchpoints + 1, dtype=np.float64) ** -zipf)
    drawn = np.searchsorted(chances[:-1] / chances[-1], rng.random(len(first)), side="right")
    follows = np.flatnonzero((rng.random(len(first)) < 0.35) & ~first)
    drawn[follows] = (drawn[follows - 1] * 3 + 1) % touchpoints
    return drawn.astype(np.min_scalar_type(touchpoints - 1))


def _times(rng: np.random.Generator, first: NDArray[np.bool_], lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    gaps = rng.standard_exponential(len(first))
    gaps *= np.where(rng.random(len(first)) < 0.7, 240e6, 6.0 * _DAY)
    steps = gaps.astype(np.int64) + 1_000
    starts = _START + rng.integers(0, 300 * _DAY, len(lengths))
    steps[first] = 0
    running = np.cumsum(steps)
    running += np.repeat(starts - running[first], lengths)
    return running


def _ids(customers: int, ids: str) -> Column:
    # Scrambled and far from 0, so that nothing can lean on small dense ids.
    numbers = np.arange(customers, dtype=np.int64) * 7_919 + 10_000_000_000
    return numbers if ids == "int" else texts([f"cust-{number}" for number in numbers.tolist()])


def _names(touchpoints: int) -> NDArray[np.object_]:
    further = [f"touchpoint {number}" for number in range(len(_NAMES) + 1, touchpoints + 1)]
    return texts([*_NAMES, *further][:touchpoints])
