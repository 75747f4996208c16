"""Journeys: what users hold. Selecting, joining and asking; the work is done on the floors below."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve, field, frozen

from cxmodel.analysis.driver_results import DriverTable
from cxmodel.analysis.drivers import Missing, drivers
from cxmodel.analysis.funnels import Funnel, FunnelTable
from cxmodel.analysis.impact import Impact
from cxmodel.analysis.orders import ChainOrders, OrderTable
from cxmodel.analysis.outlook import Outlook
from cxmodel.analysis.outlook_fitting import Outlooks
from cxmodel.analysis.paths import Paths, PathTable
from cxmodel.analysis.pattern_language import Pattern, as_pattern
from cxmodel.analysis.pattern_matching import matching_journeys
from cxmodel.analysis.positions import Position, PositionTable, latest_history
from cxmodel.analysis.priorities import Order, Priorities, with_impact
from cxmodel.analysis.priority_results import PriorityTable
from cxmodel.analysis.score_tables import By, Per
from cxmodel.analysis.transitions import KEPT, MOST_EDGES, Transitions, TransitionTable, kept_table
from cxmodel.analysis.what_if import WhatIf
from cxmodel.analysis.what_if_fitting import WhatIfs
from cxmodel.data import appending, folding, joining, selecting, storage
from cxmodel.data.attaching import Attached, attach
from cxmodel.data.parts import Step
from cxmodel.data.populations import MemoryPopulation
from cxmodel.data.times import instant, microseconds
from cxmodel.errors import InvalidValueError, NotMeasurableError, UnknownColumnError, UnknownNameError, unknown
from cxmodel.graph import JourneyGraph
from cxmodel.measuring import Measurable
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.people import Touchpoint
from cxmodel.model.readings import Facts, Matched, Reading
from cxmodel.model.rules import OTHER, VocabularyReport
from cxmodel.typing import Population, Source, TakesAnswers

if TYPE_CHECKING:
    from cxmodel.responses import Responses


@frozen(eq=False)
class Journeys(Measurable):
    """Journeys of customers: immutable, and cheap to derive from one another.

    Attributes:
        population: What the metrics look at.
        attached: What became of attached answers; None without any.
        matched: How well joined tables met these journeys, in order of joining.
        known: Tables that were worked out or opened before, by name; whatever is derived begins without.
    """

    population: Population = field(repr=False)
    attached: Attached | None = None
    matched: tuple[Matched, ...] = ()
    _outlooks: dict[tuple[Goal, int, datetime | None], Outlook] = field(factory=dict, init=False, repr=False)
    known: dict[str, TransitionTable] = field(factory=dict, init=False, repr=False)

    def __repr__(self) -> str:
        facts = self.facts
        return f"<Journeys: {facts.customers:,} customers, {facts.journeys:,} journeys, {facts.events:,} events>"

    @property
    def reading(self) -> Reading:
        """What became of the rows."""
        return self.population.reading

    @property
    def facts(self) -> Facts:
        """What can be asked."""
        return self.population.facts

    @property
    def vocabulary_report(self) -> VocabularyReport | None:
        """What the rules of `read_events` made of the raw names; None without rules."""
        renaming = self.population.renaming
        return None if renaming is None else renaming.report()

    def _asked(self) -> Population:
        return self.population

    def _here(self, verb: str) -> MemoryPopulation:
        """The population, for what needs the blocks in this process."""
        if not isinstance(self.population, MemoryPopulation):
            raise NotMeasurableError(
                f"{verb} needs the journeys in memory, and these stay where they were read",
                hint="Read the rows of some customers into memory, from a file for instance",
            )
        return self.population

    # joining

    def with_touchpoints(self, catalogue: Mapping[str, Mapping[str, str | None]] | Iterable[Touchpoint]) -> Journeys:
        """Facts about touchpoints: stage, channel, department, kind, initiator, moment.

        Args:
            catalogue: Touchpoint → its facts, or `Touchpoint` values.
        """
        return evolve(self, population=joining.with_touchpoints(self.population, catalogue))

    def with_customers(
        self, src: Source, *, customer: str, attributes: Sequence[str], tz: str | None = None
    ) -> Journeys:
        """Facts about customers from another table, such as a persona or a segment.

        Args:
            src: The table.
            customer: Its column with the customer's id.
            attributes: Its columns to take over.
            tz: Zone of times that name none.
        """
        return self._with_facts(src, customer, None, attributes, tz)

    def with_attributes(
        self, src: Source, *, journey: str | None = None, customer: str | None = None, columns: Sequence[str] = (),
        tz: str | None = None,
    ) -> Journeys:  # fmt: skip
        """Facts about journeys from another table, joined on the journey's id, the customer's, or both.

        Args:
            src: The table.
            journey: Its column with the journey's id.
            customer: Its column with the customer's id; without it, journey ids that several customers share are
                refused and counted.
            columns: Its columns to take over.
            tz: Zone of times that name none.
        """
        if journey is None and customer is None:
            raise InvalidValueError("nothing to join on", hint="Write journey='order_id' or customer='customer_id'")
        return self._with_facts(src, customer, journey, columns, tz)

    def _with_facts(
        self, src: Source, customer: str | None, journey: str | None, columns: Sequence[str], tz: str | None
    ) -> Journeys:
        population, matched = joining.with_facts(
            self._here("a join"), src, customer=customer, journey=journey, columns=columns, tz=tz
        )
        return evolve(self, population=population, matched=(*self.matched, matched))

    def with_responses(
        self, responses: Responses, *, within: timedelta | None = None, about: str | None = None
    ) -> Journeys:
        """Attach answers to the journeys and touchpoints that they are about; see `attached` for what became of them.

        Args:
            responses: The answers, read with a customer or journey id.
            within: Longest time from a touchpoint to an answer about it.
            about: Touchpoint that all answers are about, where no column says so.

        Raises:
            UnknownNameError: ``about`` names no touchpoint of these journeys.
        """
        limit, place = None if within is None else microseconds(within), about or responses.about
        if place is not None and place not in self.population.vocabulary.touchpoint_codes:
            raise UnknownNameError(unknown("touchpoint", place, self.facts.known_touchpoints))
        population: Population
        if isinstance(self.population, TakesAnswers):
            population, attached = self.population.attach(responses.rows, within=limit, about=place)
        else:
            population, attached = attach(self._here("with_responses"), responses.rows, within=limit, about=place)
        return evolve(self, population=population, attached=attached.plus(self.attached))

    def with_inactivity(self, limit: timedelta) -> Journeys:
        """Journeys whose last event is less than ``limit`` before the end of the data are in progress, not lost."""
        if limit <= timedelta(0):
            raise InvalidValueError(f"the limit is a positive duration, got {limit}")
        last = self.facts.last
        end = instant(last) if last is not None else 0
        us = microseconds(limit)
        return self._then(
            lambda block: selecting.with_inactivity(block, us, end), saying=f"lost after {limit} without an event"
        )

    # cutting and selecting

    def merge_repeats(self) -> Journeys:
        """Consecutive events at one touchpoint become one event: first time, last end, summed values."""
        before = self.facts.events
        merged = self._then(selecting.merge_repeats, saying="repeats merged")
        note = f"{before - merged.facts.events:,} repeated events merged"
        return evolve(merged, population=merged.population.noting(note))

    def fold_rare(
        self, *, min_events: int | None = None, keep: int | None = None, into: str = OTHER
    ) -> Journeys:  # fmt: skip
        """Rare touchpoints become one explicit touchpoint; how many, and of how many events, stands in the reading.

        Args:
            min_events: Fold touchpoints with fewer events than this.
            keep: Fold all but this many of the most frequent; of equally frequent ones the first in order of name stay.
            into: What they become; events that are there already stay there.

        Example:
            >>> from cxmodel.opening import read_events
            >>> log = [{"who": "a", "what": what, "at": f"2026-01-0{day}"} for day, what in enumerate("ssxys", 1)]
            >>> folded = read_events(log, customer="who", touchpoint="what", time="at").fold_rare(min_events=2)
            >>> folded.paths().path(0).touchpoints
            ('s', 's', 'other', 'other', 's')
        """
        return evolve(
            self, population=folding.fold_rare(self._here("fold_rare"), min_events=min_events, keep=keep, into=into)
        )

    def split(self, *, gap: timedelta | None = None, at: Goal | str | None = None) -> Journeys:
        """Cut journeys where two events lie more than ``gap`` apart, and after each event that meets ``at``."""
        if gap is None and at is None:
            raise InvalidValueError("say where to cut", hint="Write split(gap=timedelta(minutes=30)) or split(at=goal)")
        if gap is not None and gap < timedelta(0):
            raise InvalidValueError(f"the gap is a duration of 0 or more, got {gap}")
        goal = self._goal(at) if at is not None else None
        us = None if gap is None else microseconds(gap)
        words = [f"cut at gaps over {gap}"] if gap is not None else []
        words += [f"cut after {goal}"] if goal is not None else []
        return self._then(lambda block: selecting.split(block, gap=us, goal=goal), saying=" and ".join(words))

    def where(
        self, *, passes: str | Goal | None = None, matches: str | Pattern | None = None, **equals: str | Sequence[str]
    ) -> Journeys:
        """Whole journeys with at least one event that matches all of these, and whose facts match.

        Args:
            passes: A touchpoint or goal that the journey passes.
            matches: A pattern that the journey matches (``"catalog => cart -> pay"``).
            equals: Column → text, or texts of which one must hold (``channel="email"``, ``state=["SP", "RJ"]``).
        """
        wanted = self._wanted(equals)
        of_journeys = {name: texts for name, texts in wanted.items() if name in self.facts.journey_columns}
        of_events = {name: texts for name, texts in wanted.items() if name not in of_journeys}
        out = self
        if wanted:
            saying = ", ".join(f"{name} is {' or '.join(texts)}" for name, texts in sorted(wanted.items()))
            out = out._then(lambda block: selecting.where(block, of_events, of_journeys), saying=saying)
        if passes is not None:
            goal = self._goal(passes)
            out = out._then(
                lambda block: selecting.keep_journeys(block, block.reached(goal) >= 0),
                saying=f"passes {goal}",
            )
        if matches is not None:
            pattern = self._pattern(matches)
            out = out._then(
                lambda block: selecting.keep_journeys(block, matching_journeys(block, pattern)),
                saying=f"matches {pattern}",
            )
        return out

    def between(self, start: datetime | None = None, end: datetime | None = None) -> Journeys:
        """Whole journeys that overlap [start, end); those that the window cuts are marked."""
        if start is not None and end is not None and instant(start) >= instant(end):
            raise InvalidValueError(f"the window begins at {start} and ends at {end}: nothing can lie in it")
        low, high = (None if each is None else instant(each) for each in (start, end))
        window = (start.isoformat() if start else None, end.isoformat() if end else None)
        return self._then(lambda block: selecting.between(block, low, high), window=window)

    def events_where(self, **equals: str | Sequence[str]) -> Journeys:
        """Only the events that match.

        Each remembers how many were removed before it, so that a transition over a hole can be told from a real one
        (``bridged`` in the graph).
        """
        wanted = self._wanted(equals)
        own = [name for name in wanted if name in self.facts.journey_columns]
        if own:
            raise InvalidValueError(f"{own[0]!r} is a fact about journeys", hint=f"Write where({own[0]}=…)")
        saying = "only events where " + ", ".join(f"{name} is {' or '.join(t)}" for name, t in sorted(wanted.items()))
        return self._then(lambda block: selecting.keep_events(block, selecting.matching(block, wanted)), saying=saying)

    def sample(self, share: float, *, seed: int = 0) -> Journeys:
        """A share of the customers, drawn by their seeded hash."""
        if not 0 < share <= 1:
            raise InvalidValueError(f"share is above 0 and at most 1, got {share!r}")
        return self._then(
            lambda block: selecting.sample(block, share, seed),
            saying=f"a share of {float(share)!r} of the customers, seed {seed}",
        )

    # asking

    def graph(self, *, max_edges: int | None = None) -> JourneyGraph:
        """The journey graph: a `networkx.DiGraph` with counts, shares and exact median waits.

        Args:
            max_edges: Keep only this many of the most frequent transitions; the rest is counted.
        """
        return self.transitions().graph(max_edges=max_edges)

    def transitions(self) -> TransitionTable:
        """All transitions as a columnar table."""
        table = self.known.get(KEPT)
        if table is None:
            table = self.measure(Transitions())
            if len(table) <= MOST_EDGES:
                self.known[KEPT] = table
        return table

    def paths(self) -> PathTable:
        """All distinct paths; ``paths().top(10)`` shows the most frequent with an explicit remainder."""
        return self.measure(Paths())

    def funnel(
        self, steps: Sequence[str | Goal], *, within: timedelta | None = None, strict: bool = False
    ) -> FunnelTable:
        """Journeys that pass the steps in order, with shares and waits; ``strict`` lets nothing lie between."""
        return self.measure(Funnel(steps, within=within, strict=strict))

    def drivers(
        self, of: str, *, items: Sequence[str] | None = None, by: By = "touchpoint", per: Per | None = None,
        missing: Missing = "mean", level: float = 0.95, bootstrap: int = 500, seed: int = 0,
    ) -> DriverTable:  # fmt: skip
        """What drives a score about the whole: the scores at touchpoints, or those of other questions.

        Args:
            of: Question of the outcome.
            items: Touchpoints (or questions) that may drive it; all with answers if not given.
            by: What a driver is: the score at a ``"touchpoint"``, or of a ``"question"`` wherever it was asked.
            per: Answers of one ``"journey"`` belong together, or all of one ``"customer"``.
            missing: Where a score is not there: ``"mean"`` puts in the column's mean, ``"leave out"`` drops the row.
            level: Confidence level.
            bootstrap: Number of replicates of customers; 0 for the jackknife.
            seed: Seed of buckets, replicates and sampled orders.

        Raises:
            NotMeasurableError: Too few rows, or drivers that cannot be told apart.
        """
        return drivers(
            self._here("drivers"), of=of, items=items, by=by, per=per, missing=missing, level=level,
            bootstrap=bootstrap, seed=seed,
        )  # fmt: skip

    def priorities(
        self, question: str | None = None, *, rule: Order = "shortfall", outcome: Goal | str | None = None,
        adjust_for: Sequence[str] = (), min_n: int = 10, level: float = 0.95, bootstrap: int = 500, seed: int = 0,
    ) -> PriorityTable:  # fmt: skip
        """What to fix first: reach, score, pain, effort and impact of each touchpoint, in the order of a declared rule.

        Args:
            question: Question whose scores count; may be left out where there is one.
            rule: ``"shortfall"``: reach × how far the mean score is from the good end; ``"pain"``: reach × share of bad
                answers; ``"pareto"``: Pareto fronts of reach, shortfall and effort.
            outcome: Goal whose impact is to be shown beside; see `cxmodel.metrics.Impact`.
            adjust_for: Attributes that the impact holds constant.
            min_n: Answers below which a touchpoint has no score.
            level: Confidence level.
            bootstrap: Number of replicates of customers; 0 for the jackknife.
            seed: Seed of buckets and replicates.
        """
        asked = Priorities(question=question, rule=rule, min_n=min_n)
        table = self.measure(asked, level=level, bootstrap=bootstrap, seed=seed)
        if outcome is None:
            return table
        wanted = Impact(outcome=self._goal(outcome), adjust_for=tuple(adjust_for))
        try:
            return with_impact(table, self.measure(wanted, level=level, seed=seed))
        except NotMeasurableError as error:
            return with_impact(table, str(error))

    # looking ahead

    def outlook(self, goal: Goal | str, *, order: int = 3, until: datetime | None = None) -> Outlook:
        """What is likely next and in the end, fitted in one pass: small, and quick to ask about one customer.

        Args:
            goal: Where journeys are to lead, or the touchpoint at which they do.
            order: Most touchpoints remembered.
            until: Fit on events before this moment only, to hold the rest against it (`Outlook.evaluate`).
        """
        wanted = self._goal(goal)
        key = (wanted, order, until)
        if key not in self._outlooks:
            self._outlooks[key] = self.measure(Outlooks(goal=wanted, order=order, until=until))
        return self._outlooks[key]

    def position(self, customer: str | int, *, goal: Goal | str, now: datetime | None = None) -> Position:
        """Where a customer is in their latest journey: before, now and next.

        Args:
            customer: The customer's id.
            goal: Where the journey is to lead, or the touchpoint at which it does.
            now: The present; the end of the data if not given.

        Raises:
            UnknownCustomerError: No event carries this id; names the nearest ones.
        """
        history = latest_history(self._here("position"), str(customer))
        return self.outlook(goal).position(history, now or self.facts.last)

    def positions(self, goal: Goal | str, *, now: datetime | None = None) -> PositionTable:
        """Where all customers are in their latest journeys, as a columnar table.

        Args:
            goal: Where journeys are to lead, or the touchpoint at which they do.
            now: The present; the end of the data if not given.
        """
        self._here("positions").require_events()
        return self.outlook(goal).positions(self, now)

    def chain_orders(self, goal: Goal | str, *, most: int = 4) -> OrderTable:
        """How many touchpoints journeys remember: likelihood, BIC, AIC and held-out log-loss of chains by order.

        Args:
            goal: Where journeys are to lead, or the touchpoint at which they do.
            most: Longest memory, 1 to 6 touchpoints.
        """
        return self.measure(ChainOrders(goal=self._goal(goal), most=most))

    def what_if(self, goal: Goal | str) -> WhatIf:
        """What would happen if a transition were removed, added, improved or redirected.

        The answers come from a first-order chain; they are refused, with the reason, unless that chain also
        reproduces on held-out customers what it was not fitted to.

        Args:
            goal: Where journeys are to lead, or the touchpoint at which they do.
        """
        return self.measure(WhatIfs(goal=self._goal(goal)))

    # keeping and growing

    def append(self, src: Source, *, tz: str | None = None) -> Journeys:
        """These journeys with further events; only the customers concerned are grouped again.

        The rows have the columns of the first reading. On equal times new events follow the stored ones.

        Args:
            src: The new rows.
            tz: Zone of times that name none.
        """
        return Journeys(appending.append(self._here("append"), src, tz=tz))

    def save(self, path: str | PathLike[str]) -> None:
        """Write the prepared journeys into a folder, so that `open_journeys` has them at once.

        All or nothing: a process that dies leaves what was there before. The table of transitions is written beside
        them, so that the graph of what is opened is there at once. What became of attached answers and joined tables
        is kept too.

        Args:
            path: The folder: a new or an empty one, or one of prepared journeys, which are replaced.

        Raises:
            InvalidValueError: When the folder holds something else.
            FullDiskError: There is no room.
            UnwritableError: It cannot be written there.
        """
        here = self._here("save")
        table = kept_table(self.transitions()) if self.facts.events else {}
        prepared = storage.Prepared(population=here, attached=self.attached, matched=self.matched, results=table)
        storage.save(prepared, Path(path))

    def _then(
        self, step: Step, *, saying: str | None = None, window: tuple[str | None, str | None] | None = None
    ) -> Journeys:
        return evolve(self, population=self.population.then(step, saying=saying, window=window))

    def _goal(self, at: Goal | str) -> Goal:
        goal = as_goal(at)
        for name in goal.touchpoints:
            if name not in self.population.vocabulary.touchpoint_codes:
                raise UnknownNameError(unknown("touchpoint", name, self.facts.known_touchpoints))
        return goal

    def _pattern(self, matches: str | Pattern) -> Pattern:
        pattern = as_pattern(matches)
        for name in pattern.touchpoints:
            if name not in self.population.vocabulary.touchpoint_codes:
                raise UnknownNameError(unknown("touchpoint", name, self.facts.known_touchpoints))
        return pattern

    def _wanted(self, equals: Mapping[str, str | Sequence[str]]) -> dict[str, tuple[str, ...]]:
        facts = self.facts
        known = ["touchpoint", *facts.event_columns, *facts.journey_columns, *facts.touchpoint_columns]
        out = {}
        for name, texts in equals.items():
            if name not in known:
                raise UnknownColumnError(unknown("column", name, known))
            out[name] = (texts,) if isinstance(texts, str) else tuple(texts)
            labels = self.population.vocabulary.columns.get(name)
            if name in self.population.vocabulary.columns and labels is None:
                raise InvalidValueError(f"{name!r} holds numbers; where(…) compares text")
        return out
