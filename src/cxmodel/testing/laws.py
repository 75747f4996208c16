"""Laws that journeys keep from whatever source they come: one suite for memory, disk, engines, and readers of your own.

Each law draws logs with Hypothesis, reads them through the source, asks, and compares with `cxmodel.testing.reference`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, ParamSpec, Protocol, TypeVar

from attrs import field, frozen
from hypothesis import given, settings
from hypothesis import strategies as st

from cxmodel.analysis.credits import FirstCredit, LinearCredit, MarkovCredit
from cxmodel.analysis.paths import Paths, PathTable
from cxmodel.analysis.transitions import Graph
from cxmodel.errors import NoRowsError
from cxmodel.journeys import Journeys
from cxmodel.metrics.journey import ConversionRate, Duration, Length
from cxmodel.metrics.survey import Nps
from cxmodel.model.goals import Goal
from cxmodel.model.rules import Rule
from cxmodel.model.scales import Scale
from cxmodel.responses import Responses, read_responses
from cxmodel.testing import reference
from cxmodel.testing.strategies import Row, logs, surveys

P = ParamSpec("P")
T = TypeVar("T")
_MINUTE: Final = 60_000_000
_CLOSE: Final = 1e-9


class Read(Protocol):
    """How a source hands rows over: it writes them in its own form and reads them back with `cxmodel.read_events`.

    The rows are those of `logs`: ``customer``, ``touchpoint`` and ``time`` (ISO 8601), and ``journey`` in all
    rows or in none. A source without an order of rows adds a column with their number and reads with ``order=``.
    """

    def __call__(self, rows: Sequence[Row], *, rules: Sequence[Rule] = ()) -> Journeys:
        """The journeys of these rows."""
        ...


@frozen(eq=False)
class Law:
    """Something that holds for the journeys of every source.

    Attributes:
        name: What it is about.
        drawn: What is drawn for one example.
        holds: Raises an AssertionError where the law is broken.
    """

    name: str
    drawn: st.SearchStrategy[tuple[Any, ...]] = field(repr=False)
    holds: Callable[..., None] = field(repr=False)

    def __call__(self, read: Read, *, examples: int = 20) -> None:
        """Hold the law against a source.

        Args:
            read: How the source hands rows over.
            examples: How many logs are drawn; the same ones each time.
        """

        @settings(
            max_examples=examples, deadline=None, derandomize=True, database=None, report_multiple_bugs=False,
        )  # fmt: skip
        @given(self.drawn)
        def each(drawn: tuple[Any, ...]) -> None:
            self.holds(read, *drawn)

        each()

    def __str__(self) -> str:
        return self.name


def every_source(**sources: Read) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Run a test of pytest with every law and every one of these sources: a decorator.

    Args:
        sources: Name of the source → how it hands rows over.

    Example:
        ::

            @every_source(tickets=through_my_format)
            def test_laws(law: Law, read: Read) -> None:
                law(read, examples=20)
    """
    import pytest

    laws = pytest.mark.parametrize("law", LAWS, ids=str)
    reads = pytest.mark.parametrize("read", list(sources.values()), ids=list(sources))

    def decorated(test: Callable[P, T]) -> Callable[P, T]:
        return laws(reads(test))

    return decorated


def _rows_are_kept_or_counted(read: Read, rows: list[Row], faults: list[int]) -> None:
    faulty = [
        {**row, ("customer", "touchpoint")[i % 2]: None if i % 3 else " "} if i in faults else row
        for i, row in enumerate(rows)
    ]
    trips = reference.trips(faulty)
    if not trips:
        try:
            read(faulty)
        except NoRowsError:
            return
        raise AssertionError("a log without one row that can be kept was read")
    journeys = read(faulty)
    reading, facts = journeys.reading, journeys.facts
    kept = sum(len(trip.events) for trip in trips)
    _same("kept rows", reading.kept, kept)
    _same("rows", reading.rows, kept + reading.rejected_rows)
    times = [event.time for trip in trips for event in trip.events]
    found = (facts.customers, facts.journeys, facts.events, set(facts.touchpoints), facts.first, facts.last)
    names = {event.touchpoint for trip in trips for event in trip.events}
    own = (len({trip.customer for trip in trips}), len(trips), kept, names, _moment(min(times)), _moment(max(times)))
    _same("facts", found, own)


def _results_are_those_of_the_rows(read: Read, rows: list[Row]) -> None:
    trips, target = reference.trips(rows), [str(rows[-1]["touchpoint"])]
    goal = Goal("goal", touchpoints=target)
    journeys = read(rows)
    graph, paths, length, duration = journeys.measure(Graph(), Paths(), Length(), Duration())
    rate, first, linear, markov = journeys.measure(
        ConversionRate(goal=goal), FirstCredit(goal=goal), LinearCredit(goal=goal), MarkovCredit(goal=goal)
    )
    counted = {n: tuple(d[k] for k in ("count", "starts", "ends", "journeys")) for n, d in graph.nodes(data=True)}
    _same("touchpoints", counted, reference.nodes(trips))
    waits = {(a, b): (d["count"], d["wait_median_s"], d["wait_total_s"]) for a, b, d in graph.edges(data=True)}
    _same("transitions", waits, reference.edges(trips))
    _same("paths", _counts(paths), reference.paths(trips))
    _near("conversion rate", rate.value, reference.conversion_rate(trips, target))
    _near("length", length.value, reference.length(trips))
    _near("duration", duration.value, reference.duration_s(trips))
    for name, found, own in (
        ("first credit", first, reference.first_credit(trips, target)),
        ("linear credit", linear, reference.linear_credit(trips, target)),
        ("Markov credit", markov, reference.markov_credit(trips, target)),
    ):
        credit = {each: estimate.value for each, estimate in found.items() if estimate.value}
        _same(f"{name}: touchpoints", set(credit), {each for each, value in own.items() if value})
        for each, value in credit.items():
            _near(f"{name} of {each}", value, own[each])


def _steps_are_those_of_the_rows(read: Read, rows: list[Row], gap: int, start: int) -> None:
    trips, journeys, name = reference.trips(rows), read(rows), str(rows[0]["touchpoint"])
    begin = _moment(min(event.time for trip in trips for event in trip.events)) + timedelta(minutes=start)
    end = begin + timedelta(minutes=gap + 1)
    pieces = reference.split(trips, gap=gap * _MINUTE, at=[name])
    low, high = reference.micros(begin.isoformat()), reference.micros(end.isoformat())
    for step, found, own in (
        ("split", journeys.split(gap=timedelta(minutes=gap), at=name), pieces),
        ("merge_repeats", journeys.merge_repeats(), reference.merge_repeats(trips)),
        ("where", journeys.where(passes=name), reference.where(trips, lambda event: event.touchpoint == name)),
        ("between", journeys.between(begin, end), reference.between(trips, low, high)),
        ("events_where", journeys.events_where(touchpoint=name),
         reference.events_where(trips, lambda event: event.touchpoint == name)),
    ):  # fmt: skip
        _same(step, _counts(found.paths()), reference.paths(own))


def _answers_are_where_they_belong(
    read: Read, rows: list[Row], answers: list[Row], within: int | None, about: str | None
) -> None:  # fmt: skip
    trips = reference.trips(rows)
    if not any(event.touchpoint == about for trip in trips for event in trip.events):
        about = None
    placed = reference.attach(trips, answers, within=None if within is None else within * _MINUTE, about=about)
    limit = None if within is None else timedelta(minutes=within)
    journeys = read(rows).with_responses(_survey(answers), within=limit, about=about)
    _compare_answers(journeys, trips, placed)


def _answers_find_their_journeys(read: Read, rows: list[Row], answers: list[Row]) -> None:
    placed = reference.attach(reference.trips(rows), answers)
    journeys = read(rows).with_responses(_survey(answers, journey="journey"))
    _compare_answers(journeys, reference.trips(rows), placed)


def _compare_answers(
    journeys: Journeys, trips: Sequence[reference.Trip], placed: Sequence[reference.Placed]
) -> None:  # fmt: skip
    attached = journeys.attached
    assert attached is not None
    reasons = Counter(_WHY.get(each.why, each.why) for each in placed if each.trip is None)
    _same("unmatched answers", {why: each.count for why, each in attached.unmatched.items()}, dict(reasons))
    _same("answers about an event", attached.at_event, sum(each.event is not None for each in placed))
    _same("answers", attached.answers, len(placed))
    _same("attached answers", journeys.facts.responses, sum(each.trip is not None for each in placed))
    own: dict[str, list[reference.Row]] = {}
    for each in placed:
        if each.trip is not None and each.event is not None:
            own.setdefault(trips[each.trip].events[each.event].touchpoint, []).append(each.answer)
    if not attached.at_event:
        return
    found = journeys.measure(Nps(min_n=0), by="touchpoint")
    _same("answers by touchpoint", {name: e.n for name, e in found.items()}, {name: len(a) for name, a in own.items()})
    for name, estimate in found.items():
        scores, weights = ([float(str(answer[key])) for answer in own[name]] for key in ("score", "weight"))
        _near(f"NPS of {name}", estimate.value, reference.nps(scores, weights))


def _rules_rename(read: Read, rows: list[Row]) -> None:
    plain = sorted({str(row["touchpoint"]) for row in rows})
    rules = [Rule.exact(plain[0], to="first"), Rule.drop("p001"), Rule.glob("*2", to="other name")]
    own = [{**row, "touchpoint": _renamed(str(row["touchpoint"]), plain[0])} for row in rows]
    kept = [row for row in own if row["touchpoint"] is not None]
    if not kept:
        return
    journeys = read(rows, rules=rules)
    _same("paths", _counts(journeys.paths()), reference.paths(reference.trips(kept)))
    report = journeys.vocabulary_report
    assert report is not None
    matched = Counter(str(row["touchpoint"]) for row in rows)
    uses = [(plain[0],), ("p001",) if plain[0] != "p001" else (), ("p002",) if plain[0] != "p002" else ()]
    _same("events of the rules", [use.events for use in report.uses], [sum(matched[n] for n in each) for each in uses])
    _same(
        "events", (report.events, report.dropped, journeys.reading.kept), (len(rows), len(rows) - len(kept), len(kept))
    )


def _renamed(name: str, first: str) -> str | None:
    if name == first:
        return "first"
    return {"p001": None, "p002": "other name"}.get(name, name)


def _survey(answers: Sequence[Row], journey: str | None = None) -> Responses:
    return read_responses(
        answers, customer="customer", score="score", scale=Scale.nps(), time="time", touchpoint="touchpoint",
        weight="weight", journey=journey,
    )  # fmt: skip


def _counts(table: PathTable) -> dict[tuple[str, ...], int]:
    return {path.touchpoints: path.count for path in table.top(max(table.distinct, 1))}


def _moment(us: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=us)


def _same(what: str, found: object, own: object) -> None:
    assert found == own, f"{what}: the source gives {found!r}, the rows give {own!r}"


def _near(what: str, found: float | None, own: object) -> None:
    value = float(own)  # type: ignore[arg-type]
    assert found is not None, f"{what}: the source gives no value, the rows give {value!r}"
    assert abs(found - value) <= _CLOSE * max(1.0, abs(value)), f"{what}: the source gives {found!r}, not {value!r}"


_WHY: Final = {"too early": "before the customer's first touchpoint"}
_within = st.none() | st.integers(1, 20)
_who = ("c0", "c1", "c2", "c3", "stranger", None)
_named = surveys(journeys=True, customers=_who).filter(lambda answers: any(answer["journey"] for answer in answers))

LAWS: Final = (
    Law("rows are kept or counted", st.tuples(logs(), st.lists(st.integers(0, 29), max_size=6)),
        _rows_are_kept_or_counted),
    Law("results are those of the rows", st.tuples(logs()), _results_are_those_of_the_rows),
    Law("steps are those of the rows", st.tuples(logs(), st.integers(0, 15), st.integers(0, 40)),
        _steps_are_those_of_the_rows),
    Law("answers are where they belong",
        st.tuples(logs(journeys=False), surveys(), _within, st.sampled_from([None, "p001"])),
        _answers_are_where_they_belong),
    Law("answers find their journeys", st.tuples(logs(journeys=True), _named), _answers_find_their_journeys),
    Law("rules rename", st.tuples(logs()), _rules_rename),
)  # fmt: skip
"""Every law, in the order in which it pays to look."""
