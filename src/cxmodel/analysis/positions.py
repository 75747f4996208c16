"""Positions: where customers are on their way to a goal, what came before, and what is likely next."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import get_close_matches
from operator import add
from typing import TYPE_CHECKING, Final

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block
from cxmodel.data.texts import Texts
from cxmodel.data.times import instant, moment
from cxmodel.errors import NoRowsError, UnknownCustomerError, listed
from cxmodel.model.estimates import Estimate, Interval
from cxmodel.model.frames import Tabular
from cxmodel.stats.arrays import Bools, Ints, integers
from cxmodel.stats.floats import Floats
from cxmodel.tallies.codec import allow
from cxmodel.typing import Population

if TYPE_CHECKING:
    from cxmodel.analysis.outlook import Outlook

LEFT: Final = "left"
_LOOKED_AT: Final = 20_000

_History = tuple[Ints, Ints]


@frozen
class NextStep:
    """What may follow.

    Attributes:
        touchpoint: Name of a touchpoint or of the goal; ``"left"`` where no step follows.
        probability: Its probability, 0 to 1.
        interval: Wilson interval on the customers seen after the same touchpoints; each counts once.
    """

    touchpoint: str
    probability: float
    interval: Interval | None = None

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"touchpoint": self.touchpoint, "probability": self.probability, "interval": _ends(self.interval)}


def _ends(interval: Interval | None) -> dict[str, object] | None:
    if interval is None:
        return None
    return {"low": interval.low, "high": interval.high, "level": interval.level, "method": interval.method}


@frozen(kw_only=True)
class Stay:
    """How long a customer is in a stage.

    Attributes:
        stage: Its name.
        since: When they entered it, where times are known.
        waited_s: Seconds there until now; None without times.
        usual_s: Time within which 90 % of those who left this stage did so, in seconds; None where nobody did.
    """

    stage: str
    since: datetime | None = None
    waited_s: float | None = None
    usual_s: float | None = None

    @property
    def stuck(self) -> bool | None:
        """Whether the customer is there for longer than usual; None where it cannot be told."""
        return None if self.waited_s is None or self.usual_s is None else self.waited_s > self.usual_s

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "stage": self.stage, "since": self.since.isoformat() if self.since else None, "waited_s": self.waited_s,
            "usual_s": self.usual_s, "stuck": self.stuck,
        }  # fmt: skip


@frozen(kw_only=True)
class Position:
    """Before, now and next for one customer.

    Attributes:
        goal: Name of the goal.
        touchpoint: Where the customer is; None before the first touchpoint.
        stage: Stage of that touchpoint, where stages are known.
        since: When they came there, where times are known.
        waited_s: Seconds there until now; None without times.
        stay: The same of the stage, where stages are known.
        before: What came before, oldest first.
        next: What is likely next, the most likely first.
        other: Probability of everything that ``next`` does not list.
        chance: Chance to reach the goal, a share; n counts the journeys that were in the same place. Its interval
            counts each of their customers once.
        steps_to_goal: Expected steps to the goal, of those who reach it.
        seconds_to_goal: Expected seconds from arriving here to the goal, of those who reach it.
        median_to_goal_s: Seconds from arriving here within which half of those who ever reach the goal do, with
            journeys in progress censored.
        median_to_goal: Its interval.
        usual_s: Time within which 90 % of those who left this touchpoint did so, in seconds.
        stuck: Whether the customer is here for longer than that; None where it cannot be told.
        reached: Whether the goal is reached already.
        why: The same in words.
    """

    goal: str
    touchpoint: str | None
    stage: str | None = None
    since: datetime | None = None
    waited_s: float | None = None
    stay: Stay | None = None
    before: tuple[str, ...] = ()
    next: tuple[NextStep, ...] = ()
    other: float = 0.0
    chance: Estimate
    steps_to_goal: float | None = None
    seconds_to_goal: float | None = None
    median_to_goal_s: float | None = None
    median_to_goal: Interval | None = None
    usual_s: float | None = None
    stuck: bool | None = None
    reached: bool = False
    why: str = ""

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {
            "goal": self.goal, "touchpoint": self.touchpoint, "stage": self.stage,
            "since": self.since.isoformat() if self.since else None, "waited_s": self.waited_s,
            "before": list(self.before), "next": [each.to_dict() for each in self.next], "other": self.other,
            "chance": self.chance.to_dict(), "steps_to_goal": self.steps_to_goal,
            "seconds_to_goal": self.seconds_to_goal, "median_to_goal_s": self.median_to_goal_s,
            "median_to_goal": _ends(self.median_to_goal), "usual_s": self.usual_s, "stuck": self.stuck,
            "stay": self.stay.to_dict() if self.stay else None,
            "reached": self.reached, "why": self.why,
        }  # fmt: skip

    def __str__(self) -> str:
        if self.reached:
            return self.why
        likely = ", ".join(f"{each.touchpoint} {each.probability:.0%}" for each in self.next[:3])
        return f"{self.why} Next: {likely}. Chance of {self.goal}: {self.chance}."


@frozen(kw_only=True, eq=False)
class PositionTable(Tabular):
    """Where all customers are, one row for the latest journey of each.

    Attributes:
        goal: Name of the goal.
        touchpoints: Names of touchpoint codes.
        customer: Ids.
        stages: Stage of each touchpoint code, where stages are known; None else.
        touchpoint: (n,) code of the touchpoint; −1 where the goal is reached.
        since_us: (n,) when they came there, µs UTC.
        waited_s: (n,) seconds there until now.
        chance: (n,) chance to reach the goal; nan where it is reached.
        likely: (n,) most likely next: a touchpoint code, −1 for the goal, −2 for left, −3 where the goal is reached.
        likely_share: (n,) its probability.
        stuck: (n,) whether it is above the 90 % quantile of those who left.
        stage_waited_s: (n,) seconds in the stage until now; nan without one.
        stuck_in_stage: (n,) whether that is above the 90 % quantile of those who left the stage.
    """

    goal: str
    touchpoints: Sequence[str] = field(repr=False)
    stages: Sequence[str | None] | None = field(default=None, repr=False)
    customer: Sequence[str] = field(repr=False)
    touchpoint: Ints = field(repr=False)
    since_us: Ints = field(repr=False)
    waited_s: Floats = field(repr=False)
    chance: Floats = field(repr=False)
    likely: Ints = field(repr=False)
    likely_share: Floats = field(repr=False)
    stuck: Bools = field(repr=False)
    stage_waited_s: Floats = field(repr=False)
    stuck_in_stage: Bools = field(repr=False)

    def __len__(self) -> int:
        return int(self.touchpoint.size)

    @property
    def reached(self) -> Bools:
        """(n,) whether the goal is reached already."""
        return self.touchpoint < 0

    def to_records(self) -> list[dict[str, object]]:
        """One record per customer."""
        columns = zip(
            self.customer, self.touchpoint.tolist(), self.since_us.tolist(), self.waited_s.tolist(),
            self.chance.tolist(), self.likely.tolist(), self.likely_share.tolist(), self.stuck.tolist(),
            self.stage_waited_s.tolist(), self.stuck_in_stage.tolist(), strict=True,
        )  # fmt: skip
        return [
            {
                "customer": who, "touchpoint": self.touchpoints[at] if at >= 0 else None, "reached": at < 0,
                "since": moment(since).isoformat(), "waited_s": waited, "chance": chance if at >= 0 else None,
                "next": self._name(likely), "next_probability": share if at >= 0 else None, "stuck": stuck,
                "stage": stage, "stage_waited_s": stayed if stage else None,
                "stuck_in_stage": long if stage else None,
            }
            for who, at, since, waited, chance, likely, share, stuck, stayed, long in columns
            for stage in (self._stage(at),)
        ]  # fmt: skip

    def _name(self, code: int) -> str | None:
        return self.touchpoints[code] if code >= 0 else {-1: self.goal, -2: LEFT}.get(code)

    def _stage(self, code: int) -> str | None:
        return None if self.stages is None or code < 0 else self.stages[code]

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        return {"goal": self.goal, "positions": self.to_records()}

    def __str__(self) -> str:
        there = int((~self.reached).sum())
        return (
            f"{len(self):,} customers: {len(self) - there:,} reached {self.goal}, {there:,} are on the way or left, "
            f"{int(self.stuck.sum()):,} of them for longer than usual in one touchpoint"
        )


def duration(seconds: float) -> str:
    """A duration in words, in its largest unit.

    Example:
        >>> duration(90.0), duration(3 * 86_400)
        ('1.5 min', '3 d')
    """
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds:.3g} s"


def require_events(population: Population) -> None:
    """Raise where nobody is anywhere, for no event is left."""
    if not population.facts.events:
        words = ", ".join(population.origin.filters) or "the reading"
        raise NoRowsError(f"no event is left after {words}", hint=str(population.reading))


def position_table(outlook: Outlook, population: Population, now: datetime | None) -> PositionTable:
    """Where the latest journey of every customer is, all at once."""
    require_events(population)
    end = now or population.facts.last
    # an opened outlook has its own codes; what it has never seen comes after them
    names = list(dict.fromkeys([*outlook.touchpoints, *population.vocabulary.touchpoints]))
    place_of = {name: code for code, name in enumerate(names)}
    own = np.array([place_of[name] for name in population.vocabulary.touchpoints], np.int64)
    stages = _Stages.of(outlook, names)

    def look(block: Block) -> tuple[_Places, ...]:
        return (_places(outlook, block, own, stages),)

    nowhere: tuple[_Places, ...] = ()
    places = _Places.joined(population.fold(look, add, nowhere))
    code, since, context, entered = places.touchpoint, places.since, places.context, places.entered
    on_the_way = code >= 0
    distinct, place = np.unique(context, return_inverse=True)
    shares = [outlook.model.distribution(each) for each in integers(distinct)]
    best = np.array([int(np.argmax(each)) for each in shares], np.int64)
    share = np.array([float(each.max()) for each in shares])
    name = np.where(best == 0, -2, np.where(best == outlook.model.width - 1, -1, best - 1))
    waited, stayed = (np.maximum(((instant(end) if end else 0) - each) / 1e6, 0.0) for each in (since, entered))
    staged = on_the_way & (stages.code[code] >= 0)
    chance = outlook.solved[0][outlook.model.locate(context)]
    long_s = np.append(outlook.long_s, np.full(len(names) - len(outlook.touchpoints) + 1, np.nan))
    return PositionTable(
        goal=outlook.goal.name, touchpoints=tuple(names), stages=stages.names,
        customer=list(places.customer),
        touchpoint=code, since_us=since, waited_s=waited, chance=np.where(on_the_way, chance, np.nan),
        likely=np.where(on_the_way, name[place], -3), likely_share=np.where(on_the_way, share[place], np.nan),
        stuck=on_the_way & (waited > long_s[code]), stage_waited_s=np.where(staged, stayed, np.nan),
        stuck_in_stage=staged & (stayed > stages.long_s[code]),
    )  # fmt: skip


@frozen(eq=False)
class _Stages:
    """Stages of an outlook by touchpoint code; those that it has never seen have none.

    Attributes:
        names: Stage of each touchpoint; None where no stages are known.
        code: (k,) number of the stage, −1 without one.
        long_s: (k,) seconds within which 90 % of those who left that stage had left; nan without any.
    """

    names: tuple[str | None, ...] | None
    code: Ints
    long_s: Floats

    @classmethod
    def of(cls, outlook: Outlook, touchpoints: Sequence[str]) -> _Stages:
        """The stages of these touchpoints, of which the outlook's own come first."""
        known = outlook.stages or ()
        names = (*known, *[None] * (len(touchpoints) - len(known)))
        number = {name: code for code, name in enumerate(dict.fromkeys(name for name in names if name))}
        code = np.array([number.get(name or "", -1) for name in names], np.int64)
        long_s = np.array([outlook.stage_long_s.get(name or "", np.nan) for name in names])
        return cls(names if number else None, code, long_s)

    def entered(self, block: Block, own: Ints, last: Ints) -> Ints:
        """When the run of events in one stage began that these events end, in µs."""
        if self.names is None:
            return block.time[last]
        at = self.code[own[block.touchpoint]]
        new = np.ones(block.events, np.bool_)
        new[1:] = (at[1:] != at[:-1]) | (block.journey[1:] != block.journey[:-1])
        began = np.maximum.accumulate(np.where(new, np.arange(block.events), 0))
        return block.time[began[last]]


def latest(block: Block) -> Ints:
    """The journey of each customer that has the latest last event; customers without events have none."""
    filled = np.flatnonzero(block.lengths > 0)
    order = np.lexsort((block.time[block.last], block.customer_of_journey[filled]))
    owner = block.customer_of_journey[filled][order]
    final = np.append(owner[1:] != owner[:-1], np.ones(min(owner.size, 1), np.bool_))
    return np.asarray(filled[order][final], np.int64)


@allow
@frozen(kw_only=True, eq=False)
class _Places:
    """Where customers are, one of each in a row: in the codes of the table.

    Attributes:
        customer: Ids.
        touchpoint: Where they are; −1 at the goal.
        since: When they came there, µs.
        context: The last touchpoints as one code.
        entered: When they came into the stage, µs.
    """

    customer: Texts
    touchpoint: Ints
    since: Ints
    context: Ints
    entered: Ints

    @classmethod
    def joined(cls, parts: Sequence[_Places]) -> _Places:
        """All of these, one after the other."""
        return cls(
            customer=Texts.joined([part.customer for part in parts]),
            touchpoint=np.concatenate([part.touchpoint for part in parts]),
            since=np.concatenate([part.since for part in parts]),
            context=np.concatenate([part.context for part in parts]),
            entered=np.concatenate([part.entered for part in parts]),
        )


def _places(outlook: Outlook, block: Block, own: Ints, stages: _Stages) -> _Places:
    """Where the customers of a block are."""
    journeys = latest(block)
    first, last = block.journey_offsets[:-1][journeys], block.journey_offsets[1:][journeys] - 1
    code = np.where(block.reached(outlook.goal)[journeys] >= 0, -1, own[block.touchpoint[last]])
    context = np.zeros(journeys.size, np.int64)
    for back in range(outlook.model.order - 1, -1, -1):
        there = last - back >= first
        # as in a single position, what was never seen has the digit of the goal, which no context holds
        digit = np.minimum(own[block.touchpoint[np.maximum(last - back, 0)]] + 1, outlook.model.width - 1)
        digit = np.where(there, digit, 0)
        context = context * outlook.model.width + digit
    customers = block.customer[block.customer_of_journey[journeys]]
    return _Places(
        customer=block.vocabulary.customers.texts_of(customers), touchpoint=code, since=block.time[last],
        context=context, entered=stages.entered(block, own, last),
    )  # fmt: skip


def latest_history(population: Population, customer: str) -> list[tuple[str, datetime]]:
    """Touchpoints and times of a customer's latest journey.

    Raises:
        UnknownCustomerError: No event carries this id; names the nearest ones.
    """
    nothing: _History | None = None
    found = population.of_customer(customer).fold(_history, lambda a, b: b if a is None else a, nothing)
    if found is None:
        raise _unknown_customer(population, customer)
    names, (codes, times) = population.vocabulary.touchpoints, found
    return [(names[code], moment(time)) for code, time in zip(integers(codes), integers(times), strict=True)]


def _history(block: Block) -> _History | None:
    """Codes and times of the latest journey of the one customer of a block; None without events."""
    for journey in integers(latest(block)):
        rows = slice(int(block.journey_offsets[journey]), int(block.journey_offsets[journey + 1]))
        return block.touchpoint[rows].astype(np.int64), block.time[rows]
    return None


def _unknown_customer(population: Population, customer: str) -> UnknownCustomerError:
    customers = population.facts.customers
    share = min(_LOOKED_AT / max(customers, 1), 1.0)

    def near(block: Block) -> tuple[str, ...]:
        looked_at = block.vocabulary.customers.texts_of(block.customer[: math.ceil(share * block.customers)])
        return _nearest(customer, looked_at)

    nobody: tuple[str, ...] = ()
    found = population.fold(near, lambda a, b: _nearest(customer, (*a, *b)), nobody)
    message = f"there is no customer {customer!r} among {customers:,}"
    return UnknownCustomerError(message, hint=f"Near it: {listed(list(found))}" if found else None)


def _nearest(customer: str, others: Iterable[str]) -> tuple[str, ...]:
    return tuple(get_close_matches(customer, list(others), n=3, cutoff=0.6))
