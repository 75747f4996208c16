"""How studies are drawn: seeded chances, catalogues, and rows that are collected touchpoint by touchpoint."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
from attrs import define, field
from numpy.typing import NDArray

from cxmodel.datasets.study import Column, Table

Booleans: TypeAlias = NDArray[np.bool_]
Integers: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]
Entry: TypeAlias = Mapping[str, str]

MINUTE, HOUR, DAY = 60, 3_600, 86_400
BLANK = 11
_YEAR_START = np.datetime64("2025-01-01T00:00:00", "us")


def generator(seed: int) -> np.random.Generator:
    """Make the one source of randomness of a study."""
    if seed < 0:
        raise ValueError(f"seed is {seed}; give 0 or a positive whole number")
    return np.random.Generator(np.random.PCG64(seed))


def require_positive(name: str, value: int) -> None:
    """Refuse a size below one."""
    if value < 1:
        raise ValueError(f"{name} is {value}; give 1 or more")


def happens(rng: np.random.Generator, chance: Floats | float, size: int) -> Booleans:
    """Draw one yes or no per row."""
    return rng.random(size) < chance


def between(rng: np.random.Generator, low: int, high: int, size: int) -> Integers:
    """Draw whole seconds from low to high, both included."""
    return rng.integers(low, high + 1, size)


def pick(rng: np.random.Generator, chances: Sequence[float] | Floats, size: int) -> Integers:
    """Draw positions 0, 1, … with the given chances, which add up to one."""
    return np.searchsorted(np.cumsum(chances)[:-1], rng.random(size), side="right").astype(np.int64)


def logistic(logit: Floats | float) -> Floats:
    """Turn log odds into chances."""
    return np.asarray(1.0 / (1.0 + np.exp(-logit)), dtype=np.float64)


def only(which: Booleans, values: NDArray[np.object_] | str) -> NDArray[np.object_]:
    """Keep a text where a condition holds, and nothing elsewhere."""
    kept = texts([None] * len(which))
    kept[which] = values if isinstance(values, str) else values[which]
    return kept


def texts(values: Sequence[str | None]) -> NDArray[np.object_]:
    """Make a text column."""
    return np.array(values, dtype=object)


def numbered(prefix: str, count: int) -> NDArray[np.object_]:
    """Name things `prefix-00001` and so on."""
    return texts([f"{prefix}-{number:05d}" for number in range(1, count + 1)])


def times(seconds: Integers) -> Column:
    """Turn seconds since the first day of 2025 into instants; a negative number is no time."""
    instants = _YEAR_START + (seconds * 1_000_000).astype("timedelta64[us]")
    return np.where(seconds < 0, np.datetime64("NaT", "us"), instants)


def entry(stage: str, channel: str, department: str, kind: str, initiator: str) -> Entry:
    """Describe a touchpoint."""
    return {
        "stage": stage,
        "channel": channel,
        "department": department,
        "kind": kind,
        "initiator": initiator,
    }


@define
class EventRows:
    """Collects events touchpoint by touchpoint and puts them in time order.

    Attributes:
        catalogue: Touchpoint to its entry; gives channel and department where an event names none.
        sources: Channel to the system that recorded it.
        journeys: Identifier per journey.
        customers: Identifier of the customer per journey.
        extras: Which of the columns until, contact and value the study records.
    """

    catalogue: Mapping[str, Entry]
    sources: Mapping[str, str]
    journeys: NDArray[np.object_]
    customers: NDArray[np.object_]
    extras: tuple[str, ...] = ()
    _chunks: list[dict[str, Column]] = field(factory=list[dict[str, Column]], init=False)

    def add(
        self,
        touchpoint: str,
        happened: Booleans,
        seconds: Integers,
        *,
        until: Integers | None = None,
        value: NDArray[np.floating] | float = np.nan,
        channel: NDArray[np.object_] | None = None,
        contact: NDArray[np.object_] | None = None,
    ) -> None:
        """Add one event for each journey where it happened; every array has one entry per journey."""
        size = len(happened)
        known = self.catalogue[touchpoint]
        used = texts([known["channel"]] * size) if channel is None else channel
        columns: dict[str, Column] = {
            "customer": self.customers,
            "journey": self.journeys,
            "touchpoint": texts([touchpoint] * size),
            "time": times(seconds),
            "channel": used,
            "department": texts([known["department"]] * size),
            "source": texts([self.sources[name] for name in used]),
        }
        extras: dict[str, Column] = {
            "until": times(np.full(size, -1, np.int64) if until is None else until),
            "contact": texts([None] * size) if contact is None else contact,
            "value": np.broadcast_to(np.asarray(value, np.float64), size),
        }
        columns |= {name: extras[name] for name in self.extras}
        self._chunks.append({name: column[happened] for name, column in columns.items()})

    def table(self) -> Table:
        """Give all events in time order; equal times keep the order in which touchpoints were added."""
        return _in_time_order(self._chunks)


@define
class ResponseRows:
    """Collects survey answers question by question and puts them in time order.

    Attributes:
        journeys: Identifier per journey.
        customers: Identifier of the customer per journey.
    """

    journeys: NDArray[np.object_]
    customers: NDArray[np.object_]
    _chunks: list[dict[str, Column]] = field(factory=list[dict[str, Column]], init=False)

    def add(
        self,
        question: str,
        answered: Booleans,
        score: Integers,
        seconds: Integers,
        *,
        about: str | None = None,
        comment: NDArray[np.object_] | None = None,
    ) -> None:
        """Add one answer for each journey that answered; every array has one entry per journey."""
        size = len(answered)
        columns: dict[str, Column] = {
            "customer": self.customers,
            "journey": self.journeys,
            "question": texts([question] * size),
            "score": score,
            "time": times(seconds),
            "about": texts([about] * size),
            "comment": texts([None] * size) if comment is None else comment,
        }
        self._chunks.append({name: column[answered] for name, column in columns.items()})

    def table(self) -> Table:
        """Give all answers in time order, numbered."""
        ordered = _in_time_order(self._chunks)
        return Table({"response": numbered("response", ordered.rows), **ordered.columns})


def _in_time_order(chunks: Sequence[Mapping[str, Column]]) -> Table:
    columns = {name: np.concatenate([chunk[name] for chunk in chunks]) for name in chunks[0]}
    order = np.argsort(columns["time"], kind="stable")
    return Table({name: column[order] for name, column in columns.items()})
