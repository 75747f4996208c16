"""Service: issues resolved at the first contact, and failures made good."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, ClassVar, Final, Literal

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.episodes import Chains, Recovery, chains, episodes, latest_episode
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.columns import column_missing, event_codes, events_with
from cxmodel.data.times import instant, microseconds
from cxmodel.errors import InvalidValueError
from cxmodel.metrics.contacts import contact_events, contacts_missing, names_of
from cxmodel.metrics.survey import MeanScore
from cxmodel.model import validators
from cxmodel.model.estimates import Flag
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.cells import Cells
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, SumMetric
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.quantiles import QuantileMetric
from cxmodel.tallies.sums import Sums, merge_sums, tabulate

_FOREVER: Final = np.iinfo(np.int64).max


@frozen(kw_only=True)
class EventShare(SumMetric):
    """Share of events of some sort that are ``hit``; Wilson's interval on n over the design effect."""

    unit: ClassVar[str] = "share"
    direction: ClassVar[Direction] = "higher"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    observes: ClassVar[Unit] = "event"

    def value(self, sums: Columns) -> Floats:
        """hit/n."""
        return sums["hit"] / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Wilson's interval."""
        low, high = wilson(sums["hit"] / sums["n"] * n_eff, n_eff, level)
        return Closed(low, high, "wilson, design effect")


def _resolved(
    resolved: Mapping[str, str | Iterable[str]] | tuple[str, frozenset[str]] | None,
) -> tuple[str, frozenset[str]] | None:
    if resolved is None or isinstance(resolved, tuple):
        return resolved
    if len(resolved) != 1:
        raise InvalidValueError(
            f"resolved names one column and its texts, got {len(resolved)}",
            hint='Write resolved={"status": ["solved"]}',
        )
    column, texts = next(iter(resolved.items()))
    return column, frozenset([texts] if isinstance(texts, str) else texts)


def _window(instance: object, attribute: object, value: timedelta) -> None:
    if value <= timedelta(0):
        raise InvalidValueError(f"window is a positive duration, got {value}")


@frozen(kw_only=True)
class FirstContactResolution(EventShare):
    """Share of issues that are resolved at the first contact.

    Share, 0 to 1, higher is better. Contacts of one customer about one issue form a chain while two follow each other
    within the window; a chain of one contact, resolved where ``resolved`` says how that is told, counts. Issues whose
    first contact lies in the last window of the data are left out: whether another contact follows is not yet known.
    Wilson's interval on n over the design effect.

    Attributes:
        window: Longest time between two contacts about the same issue.
        contacts: Touchpoints that are contacts; those of kind ``"communication"`` unless given.
        issue: Column that names the issue; without it all contacts of a customer are about one.
        resolved: Column → texts that say the contact resolved the issue (``{"status": ["solved"]}``); without it every
            contact that is not followed by another counts as resolved.
        end: When observation ended; the last event unless given.
    """

    name: ClassVar[str] = "first_contact_resolution"

    window: timedelta = field(default=timedelta(days=7), validator=_window)
    contacts: tuple[str, ...] | None = field(default=None, converter=names_of)
    issue: str | None = None
    resolved: tuple[str, frozenset[str]] | None = field(default=None, converter=_resolved)
    end: datetime | None = None

    def missing(self, facts: Facts) -> str | None:
        """Contacts or columns that are not there."""
        columns = [self.issue, self.resolved and self.resolved[0]]
        absent = [column_missing(name, facts) for name in columns if name is not None]
        return contacts_missing(self.contacts, facts) or next((each for each in absent if each), None)

    def add(self, state: Sums, block: Block, cells: Cells[Any]) -> Sums:
        """What was observed until the end of the data."""
        end = self.end or cells.facts.last
        seen = self.until(block, _FOREVER if end is None else instant(end))
        return merge_sums(state, tabulate(block, seen, cells))

    def observe(self, block: Block) -> Observations:
        """All issues, as if observation had gone on after the last event."""
        return self.until(block, _FOREVER)

    def linked(self, block: Block) -> Chains:
        """The contacts, chained by issue."""
        return chains(block, contact_events(block, self.contacts), self.issue, microseconds(self.window))

    def known(self, block: Block, rows: Ints, end: int) -> Bools:
        """Which of these contacts lie at least a window before the end."""
        return block.time[rows] <= end - microseconds(self.window)

    def until(self, block: Block, end: int) -> Observations:
        """Issues that began early enough to be judged."""
        found = self.linked(block)
        first = found.row[found.first]
        hit = found.length == 1
        if self.resolved is not None:
            hit &= events_with(block, *self.resolved)[first]
        kept = self.known(block, first, end)
        return observe("event", first[kept], hit=hit[kept])


@frozen(kw_only=True)
class RepeatContactRate(FirstContactResolution):
    """Share of contacts that another contact about the same issue follows within the window.

    Share, 0 to 1, lower is better. Contacts in the last window of the data are left out. Options as for
    `FirstContactResolution`; ``resolved`` plays no part.
    """

    name: ClassVar[str] = "repeat_contact_rate"
    direction: ClassVar[Direction] = "lower"

    def until(self, block: Block, end: int) -> Observations:
        """Contacts early enough to be judged."""
        found = self.linked(block)
        kept = self.known(block, found.row, end)
        return observe("event", found.row[kept], hit=found.followed[kept])


@frozen(kw_only=True)
class ContactsPerIssue(FirstContactResolution):
    """Mean number of contacts about one issue.

    Contacts, 1 or more, lower is better; delta interval by customer. Issues that began in the last window of the data
    are left out; others may still go on, so the number is a lower bound. Options as for `FirstContactResolution`.
    """

    name: ClassVar[str] = "contacts_per_issue"
    unit: ClassVar[str] = "contacts"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (1.0, np.inf)

    def until(self, block: Block, end: int) -> Observations:
        """Issues that began early enough to be judged, and their contacts."""
        found = self.linked(block)
        first = found.row[found.first]
        kept = self.known(block, first, end)
        return observe("event", first[kept], hit=found.length[kept])

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """None: it is a mean."""
        return None


@frozen(kw_only=True)
class RecoveryRate(EventShare):
    """Share of failures of service that are made good.

    Share, 0 to 1, higher is better; Wilson's interval on n over the design effect. An episode runs from a failed
    touchpoint to the next resolution in the same journey; further failures before it belong to the same episode.
    Episodes not made good in journeys still in progress are left out where an inactivity rule was declared; without
    one they count as not made good and the result is flagged ``open_unknown``.

    Attributes:
        recovery: Which touchpoints are failures and resolutions.
    """

    name: ClassVar[str] = "recovery_rate"

    recovery: Recovery

    def missing(self, facts: Facts) -> str | None:
        """Touchpoints that never occur."""
        return self.recovery.missing(facts)

    def observe(self, block: Block) -> Observations:
        """Episodes, made good or not."""
        found = episodes(block, self.recovery)
        kept = np.ones(found.start.size, np.bool_)
        if block.still_open is not None:
            kept = found.recovered | ~block.still_open[block.journey[found.start]]
        undeclared = float(block.still_open is None)
        return observe("event", found.start[kept], hit=found.recovered[kept], undeclared=undeclared)

    def flags(self, sums: Columns) -> dict[Flag, Bools]:
        """Whether episodes in progress could not be told from those that were given up."""
        return {"open_unknown": sums["undeclared"] > 0}


@frozen(kw_only=True)
class RecoveryTime(QuantileMetric):
    """Time from failure to resolution among failures that were made good; the median unless ``share`` is given.

    Seconds, 0 or more, lower is better; exact, Woodruff's interval by customer. Flagged ``censored``: failures never
    made good have no such time, so this is not how long customers wait on the whole; read it beside `RecoveryRate`.

    Attributes:
        share: 0.5 for the median.
        recovery: Which touchpoints are failures and resolutions.
    """

    name: ClassVar[str] = "recovery_time"
    unit: ClassVar[str] = "s"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    observes: ClassVar[Unit] = "event"

    recovery: Recovery

    def missing(self, facts: Facts) -> str | None:
        """Touchpoints that never occur."""
        return self.recovery.missing(facts)

    def marks(self) -> tuple[Flag, ...]:
        """Only those made good are seen."""
        return ("censored",)

    def observe(self, block: Block) -> Observations:
        """Episodes made good, and how long each took."""
        found = episodes(block, self.recovery)
        start, end = found.start[found.recovered], found.resolution[found.recovered]
        return observe("event", start, value=(block.time[end] - block.time[start]) / 1e6)


@frozen(kw_only=True)
class RecoverySwitchShare(EventShare):
    """Share of the failures made good whose resolution came on another channel than the failure.

    Share, 0 to 1, no direction: a rescue by another channel is better than none, staying is less effort. Only episodes
    whose two channels are known count.

    Attributes:
        recovery: Which touchpoints are failures and resolutions.
    """

    name: ClassVar[str] = "recovery_switch_share"
    direction: ClassVar[Direction] = "none"

    recovery: Recovery

    def missing(self, facts: Facts) -> str | None:
        """Touchpoints that never occur, or no channels."""
        return self.recovery.missing(facts) or column_missing("channel", facts)

    def observe(self, block: Block) -> Observations:
        """Episodes made good with two known channels."""
        found = episodes(block, self.recovery)
        start, end = found.start[found.recovered], found.resolution[found.recovered]
        codes = event_codes(block, "channel")
        known = (codes[start] >= 0) & (codes[end] >= 0)
        return observe("event", start[known], hit=codes[start[known]] != codes[end[known]])


After = Literal["recovered", "not recovered", "no failure"]
_AFTER: Final[tuple[After, ...]] = ("recovered", "not recovered", "no failure")


@frozen(kw_only=True)
class ScoreAfterRecovery(MeanScore):
    """Mean score of answers given after a failure was made good, after one that was not, or without any failure before.

    Points of the scale; delta interval by customer. What counts is the state of the journey when the answer was given:
    its latest episode at that time. Answers without a time are left out. Descriptive only: customers who left in anger
    do not answer, and failures that could be made good were lighter ones. The difference of two is
    ``a.minus(b)``.

    Attributes:
        recovery: Which touchpoints are failures and resolutions.
        after: Which answers count.
    """

    name: ClassVar[str] = "score_after_recovery"

    recovery: Recovery
    after: After = field(default="recovered", validator=validators.in_(_AFTER))

    def missing(self, facts: Facts) -> str | None:
        """No such question, or touchpoints that never occur."""
        return MeanScore.missing(self, facts) or self.recovery.missing(facts)

    def observe(self, block: Block) -> Observations:
        """The answers in that state."""
        seen = MeanScore.observe(self, block)
        if block.answers is None:
            return seen
        state = _states(block, seen.at, self.recovery)
        kept = np.flatnonzero(state == _AFTER.index(self.after))
        numbers = {name: values[kept] for name, values in seen.numbers.items()}
        return Observations(seen.unit, seen.at[kept], numbers)


def _states(block: Block, rows: Ints, recovery: Recovery) -> Ints:
    """(rows,) state of the journey when each answer was given, as a place in `_AFTER`; −1 without a time."""
    assert block.answers is not None
    time = block.answers.time[rows]
    found = episodes(block, recovery)
    mine = latest_episode(found, block, rows)
    here = mine >= 0
    state = np.full(rows.size, _AFTER.index("no failure"))
    resolution = found.resolution[mine[here]]
    made_good = (resolution >= 0) & (block.time[np.maximum(resolution, 0)] <= time[here])
    state[here] = np.where(made_good, _AFTER.index("recovered"), _AFTER.index("not recovered"))
    state[time == np.iinfo(np.int64).min] = -1
    return state
