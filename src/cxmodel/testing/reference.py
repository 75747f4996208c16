"""The slow, obviously right implementation that any source of journeys is compared with: lists, fractions, brute force.

Nothing here is shared with the library: rows in, plain numbers out.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from fractions import Fraction
from itertools import combinations, groupby, pairwise
from math import factorial

from attrs import evolve, field, frozen

Row = Mapping[str, object]
Edge = tuple[str, str]


@frozen
class Event:
    """One event, with how many were filtered out before it."""

    touchpoint: str
    time: int  # µs UTC
    row: int = 0
    channel: str | None = None
    value: float | None = None
    removed: int = 0


@frozen
class Trip:
    """One journey."""

    customer: str
    journey: str | None
    events: tuple[Event, ...] = field()

    @property
    def path(self) -> tuple[str, ...]:
        """The touchpoints in order."""
        return tuple(event.touchpoint for event in self.events)


def micros(text: object) -> int:
    """A time in ISO 8601 as µs since 1970; UTC where it names no zone."""
    moment = datetime.fromisoformat(str(text))
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    delta = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (delta.days * 86_400 + delta.seconds) * 1_000_000 + delta.microseconds


def blank(text: object) -> bool:
    """Whether a value is missing."""
    return text is None or not str(text).strip(" ")


def trips(rows: Sequence[Row]) -> list[Trip]:
    """Journeys by customer, then by their first event."""
    grouped: dict[tuple[str, str | None], list[Event]] = {}
    for i, row in enumerate(rows):
        if blank(row["customer"]) or blank(row["touchpoint"]):
            continue
        journey = row.get("journey")
        value = row.get("value")
        event = Event(
            str(row["touchpoint"]), micros(row["time"]), i, None if blank(row.get("channel")) else str(row["channel"]),
            None if value is None else float(str(value)),
        )  # fmt: skip
        grouped.setdefault((str(row["customer"]), None if journey is None else str(journey)), []).append(event)
    found = [Trip(c, j, tuple(sorted(events, key=lambda e: (e.time, e.row)))) for (c, j), events in grouped.items()]
    first = {id(trip): (trip.customer, trip.events[0].time, min(e.row for e in trip.events)) for trip in found}
    return sorted(found, key=lambda trip: first[id(trip)])


# cutting and selecting


def split(trips: Iterable[Trip], *, gap: int | None = None, at: Collection[str] = ()) -> list[Trip]:
    """Journeys cut where two events lie more than the gap apart, and after each event at these touchpoints."""
    out = []
    for trip in trips:
        pieces = [[trip.events[0]]]
        for a, b in pairwise(trip.events):
            if (gap is not None and b.time - a.time > gap) or a.touchpoint in at:
                pieces.append([])
            pieces[-1].append(b)
        out += [evolve(trip, events=tuple(piece)) for piece in pieces]
    return out


def merge_repeats(trips: Iterable[Trip]) -> list[Trip]:
    """Consecutive events at one touchpoint become one."""
    out = []
    for trip in trips:
        events = []
        for _, run in groupby(trip.events, key=lambda e: e.touchpoint):
            same = list(run)
            values = [e.value for e in same if e.value is not None]
            events.append(evolve(same[0], value=sum(values) if values else None))
        out.append(evolve(trip, events=tuple(events)))
    return out


def where(trips: Iterable[Trip], match: Callable[[Event], bool]) -> list[Trip]:
    """Journeys with an event that matches."""
    return [trip for trip in trips if any(match(event) for event in trip.events)]


def between(trips: Iterable[Trip], start: int, end: int) -> list[Trip]:
    """Journeys that overlap [start, end)."""
    return [trip for trip in trips if trip.events[0].time < end and trip.events[-1].time >= start]


def events_where(trips: Iterable[Trip], match: Callable[[Event], bool]) -> list[Trip]:
    """Journeys with nothing but the events that match."""
    out = []
    for trip in trips:
        kept: list[Event] = []
        gone = 0
        for event in trip.events:
            if match(event):
                kept.append(evolve(event, removed=gone + event.removed if kept else 0))
                gone = 0
            else:
                gone += 1 + event.removed
        if kept:
            out.append(evolve(trip, events=tuple(kept)))
    return out


# graph, paths, funnel


def edges(trips: Iterable[Trip]) -> dict[Edge, tuple[int, float, float]]:
    """Transition → count, median wait and total wait in seconds."""
    waits: dict[Edge, list[int]] = {}
    for trip in trips:
        for a, b in pairwise(trip.events):
            waits.setdefault((a.touchpoint, b.touchpoint), []).append(b.time - a.time)
    return {
        edge: (len(each), float(statistics.median(map(Fraction, each)) / 10**6), float(Fraction(sum(each), 10**6)))
        for edge, each in waits.items()
    }


def nodes(trips: Sequence[Trip]) -> dict[str, tuple[int, int, int, int]]:
    """Touchpoint → events, starts, ends, journeys that pass."""
    count = Counter(name for trip in trips for name in trip.path)
    starts, ends = Counter(trip.path[0] for trip in trips), Counter(trip.path[-1] for trip in trips)
    passing = Counter(name for trip in trips for name in set(trip.path))
    return {name: (count[name], starts[name], ends[name], passing[name]) for name in count}


def paths(trips: Iterable[Trip]) -> Counter[tuple[str, ...]]:
    """How many journeys take each path."""
    return Counter(trip.path for trip in trips)


def funnel(trips: Iterable[Trip], steps: Sequence[Collection[str]], within: int | None) -> list[int]:
    """Journeys with some passage through the first 1, 2, … steps."""
    reached = [0] * len(steps)
    for trip in trips:
        for k in range(len(steps)):
            reached[k] += any(
                within is None or p[-1].time - p[0].time <= within for p in passages(trip.events, steps[: k + 1])
            )
    return reached


def passages(events: Sequence[Event], steps: Sequence[Collection[str]]) -> Iterator[tuple[Event, ...]]:
    """Every way through the steps in order."""
    if not steps:
        yield ()
        return
    for i, event in enumerate(events):
        if event.touchpoint in steps[0]:
            for rest in passages(events[i + 1 :], steps[1:]):
                yield (event, *rest)


# goals and credit


def before_goal(trip: Trip, goal: Collection[str]) -> tuple[str, ...] | None:
    """What lies before the first event of the goal; None without one."""
    at = next((i for i, name in enumerate(trip.path) if name in goal), None)
    return None if at is None else trip.path[:at]


def conversions(trips: Iterable[Trip], goal: Collection[str]) -> list[tuple[str, ...]]:
    """What lies before the goal in each journey that reaches it."""
    return [path for trip in trips if (path := before_goal(trip, goal)) is not None]


def first_credit(trips: Iterable[Trip], goal: Collection[str]) -> Counter[str]:
    """A conversion belongs to the first touchpoint before it."""
    return Counter(path[0] for path in conversions(trips, goal) if path)


def last_credit(trips: Iterable[Trip], goal: Collection[str]) -> Counter[str]:
    """A conversion belongs to the last touchpoint before it."""
    return Counter(path[-1] for path in conversions(trips, goal) if path)


def linear_credit(trips: Iterable[Trip], goal: Collection[str]) -> dict[str, Fraction]:
    """A conversion is shared equally by the touchpoints before it."""
    credit: dict[str, Fraction] = {}
    for path in conversions(trips, goal):
        for name in path:
            credit[name] = credit.get(name, Fraction(0)) + Fraction(1, len(path))
    return credit


def shapley_credit(trips: Iterable[Trip], goal: Collection[str]) -> dict[str, Fraction]:
    """The Shapley value of v(S) = conversions whose touchpoints all lie in S, over all 2^n coalitions."""
    sets = [set(path) for path in conversions(trips, goal) if path]
    players = sorted(set().union(*sets)) if sets else []
    n = len(players)

    def v(coalition: Collection[str]) -> int:
        return sum(each <= set(coalition) for each in sets)

    return {
        i: sum(
            (
                Fraction(factorial(k) * factorial(n - k - 1), factorial(n)) * (v((*s, i)) - v(s))
                for k in range(n)
                for s in combinations([p for p in players if p != i], k)
            ),
            Fraction(0),
        )
        for i in players
    }


Context = tuple[str, ...]


def markov_credit(trips: Sequence[Trip], goal: Collection[str], order: int = 1) -> dict[str, Fraction]:
    """Delete the contexts that hold a touchpoint, solve the chain again, share the conversions by what was lost."""
    steps: Counter[tuple[Context, object]] = Counter()
    for trip in trips:
        before = before_goal(trip, goal)
        path = trip.path if before is None else before
        if not path:
            continue
        context: Context = ()
        for name in path:
            following = (*context, name)[-order:]
            steps[context, following] += 1
            context = following
        steps[context, "LOST" if before is None else "GOAL"] += 1
    contexts = sorted({a for a, _ in steps} - {()})
    whole = _chance(steps, contexts)
    players = sorted({name for context in contexts for name in context})
    total = sum(bool(path) for path in conversions(trips, goal))
    if not whole:
        return dict.fromkeys(players, Fraction(0))
    effect = {i: 1 - _chance(steps, [c for c in contexts if i not in c]) / whole for i in players}
    share = sum(effect.values(), Fraction(0))
    return {i: effect[i] / share * total for i in players}


def _chance(steps: Mapping[tuple[Context, object], int], states: Sequence[Context]) -> Fraction:
    """P(goal) from the start where only these states are left; what led elsewhere is lost."""
    total: Counter[Context] = Counter()
    for (a, _), n in steps.items():
        total[a] += n
    if not total[()]:
        return Fraction(0)

    def p(a: Context, b: object) -> Fraction:
        return Fraction(steps.get((a, b), 0), total[a])

    table = [[Fraction(a == b) - p(a, b) for b in states] + [p(a, "GOAL")] for a in states]
    chance = _solved(table)
    return sum((p((), b) * chance[i] for i, b in enumerate(states)), p((), "GOAL"))


def _solved(table: list[list[Fraction]]) -> list[Fraction]:
    """Gauss-Jordan elimination."""
    size = len(table)
    for i in range(size):
        pivot = next(r for r in range(i, size) if table[r][i])
        table[i], table[pivot] = table[pivot], table[i]
        table[i] = [x / table[i][i] for x in table[i]]
        for r in range(size):
            if r != i and table[r][i]:
                factor = table[r][i]
                table[r] = [x - factor * y for x, y in zip(table[r], table[i], strict=True)]
    return [row[-1] for row in table]


def conversion_rate(trips: Sequence[Trip], goal: Collection[str]) -> Fraction:
    """The share of journeys that reach the goal."""
    return Fraction(len(conversions(trips, goal)), len(trips))


def length(trips: Sequence[Trip]) -> Fraction:
    """Events per journey."""
    return Fraction(sum(len(trip.events) for trip in trips), len(trips))


def duration_s(trips: Sequence[Trip]) -> Fraction:
    """Seconds from the first to the last event, on average."""
    return Fraction(sum(trip.events[-1].time - trip.events[0].time for trip in trips), 10**6 * len(trips))


# answers


@frozen
class Placed:
    """An answer with its place: the trip's number, and the event's number in it or None for the whole journey."""

    answer: Row
    trip: int | None = None
    event: int | None = None
    why: str = ""


def attach(
    trips: Sequence[Trip], answers: Sequence[Row], *, within: int | None = None, about: str | None = None,
    never: Collection[str] = (),
) -> list[Placed]:  # fmt: skip
    """Every answer with the journey and event that it is about, by the rules of the documentation."""
    return [_place(trips, answer, within, about, never) for answer in answers]


def _owner(trips: Sequence[Trip], answer: Row) -> tuple[str | None, str]:
    """Whose answer it is: who is named, or the only customer with a journey of that id; or why that is not known."""
    if answer["customer"] is not None:
        return str(answer["customer"]), ""
    if answer.get("journey") is None:
        return None, "no id"
    owners = {trip.customer for trip in trips if trip.journey == answer["journey"]}
    if len(owners) == 1:
        return owners.pop(), ""
    return None, "several customers share this journey id" if owners else "no journey with this id"


def _place(  # noqa: PLR0911 - one return per rule
    trips: Sequence[Trip], answer: Row, within: int | None, about: str | None, never: Collection[str]
) -> Placed:  # fmt: skip
    journey, time = answer.get("journey"), answer.get("time")
    customer, why = _owner(trips, answer)
    if customer is None:
        return Placed(answer, why=why)
    mine = [i for i, trip in enumerate(trips) if trip.customer == customer]
    if not mine:
        return Placed(answer, why="no customer with this id")
    if journey is not None:
        mine = [i for i in mine if trips[i].journey == journey]
        if not mine:
            return Placed(answer, why="no journey with this id")
    place = answer.get("touchpoint") or about
    if time is None:
        return (
            Placed(answer, mine[0])
            if len(mine) == 1
            else Placed(answer, why="no time, and the customer has several journeys")
        )
    now = micros(time)
    # the latest event before the answer; of equal times the later journey, then the later event
    candidates = [
        (event.time, i, k)
        for i in mine
        for k, event in enumerate(trips[i].events)
        if event.time <= now and (event.touchpoint == place if place else event.touchpoint not in never)
    ]
    if candidates:
        at, i, k = max(candidates)
        if within is None or now - at <= within:
            return Placed(answer, i, k)
    if journey is None and place is None:
        return Placed(answer, why="too early" if within is None else "no touchpoint within the window")
    if len(mine) == 1:
        return Placed(answer, mine[0])
    began = [(trips[i].events[0].time, -i) for i in mine if trips[i].events[0].time <= now]
    if began:
        return Placed(answer, -max(began)[1])
    if journey is not None:
        return Placed(answer, min(mine, key=lambda i: trips[i].events[0].time))
    return Placed(answer, why="too early")


def nps(scores: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """The net promoter score."""
    weights = weights or [1.0] * len(scores)
    points = [(score >= 9) - (score <= 6) for score in scores]
    return 100 * sum(w * p for w, p in zip(weights, points, strict=True)) / sum(weights)


def mean(values: Sequence[float], weights: Sequence[float] | None = None) -> float:
    """The weighted mean."""
    weights = weights or [1.0] * len(values)
    return sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)


# joins


def joined(trips: Sequence[Trip], table: Sequence[Row], column: str) -> list[object]:
    """The fact of each trip from a table keyed by journey id alone; shared and contradicting ids are refused."""
    owners: dict[str | None, set[str]] = {}
    for trip in trips:
        owners.setdefault(trip.journey, set()).add(trip.customer)
    facts: dict[str, set[object]] = {}
    for row in table:
        facts.setdefault(str(row["journey"]), set()).add(row[column])
    return [
        next(iter(facts[str(trip.journey)]))
        if len(owners[trip.journey]) == 1 and len(facts.get(str(trip.journey), ())) == 1
        else None
        for trip in trips
    ]
