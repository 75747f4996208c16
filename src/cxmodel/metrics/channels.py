"""Online and offline: do journeys use both, and how do they cross from one to the other?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

import numpy as np
from attrs import field, frozen

from cxmodel.analysis.credits import goal_missing
from cxmodel.data.blocks import Block, Unit
from cxmodel.data.columns import column_missing, event_codes, neighbours, texts_of
from cxmodel.errors import InvalidValueError
from cxmodel.metrics.survey import MeanScore
from cxmodel.model import validators
from cxmodel.model.estimates import Flag
from cxmodel.model.goals import Goal, as_goal
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.stats.floats import Floats, ratio
from cxmodel.stats.intervals import newcombe_difference, wilson
from cxmodel.tallies.inference import Columns
from cxmodel.tallies.metrics import Closed, SumMetric
from cxmodel.tallies.observations import Observations, observe
from cxmodel.tallies.quantiles import QuantileMetric

Crossing = Literal["online to offline", "offline to online", "either"]
_CROSSINGS: Final[tuple[Crossing, ...]] = ("online to offline", "offline to online", "either")
_OFFLINE, _ONLINE = 0, 1

Modes = tuple[tuple[str, bool | None], ...]


def _modes(online: Mapping[str, bool | None] | Modes) -> Modes:
    return tuple(sorted(dict(online).items()))


def modes(block: Block, online: Modes) -> Ints:
    """(events,) 1 online, 0 offline, −1 where the channel is unknown or is said to be neither.

    Raises:
        InvalidValueError: When a channel occurs of which nothing is said.
    """
    said = dict(online)
    codes, texts = event_codes(block, "channel"), texts_of(block, "channel")
    occurring = np.unique(codes[codes >= 0])
    silent = [texts[code] for code in occurring.tolist() if texts[code] not in said]
    if silent:
        raise InvalidValueError(
            f"nothing says whether the channel {silent[0]!r} is online",
            hint=f"Add {silent[0]!r}: True, False, or None to leave it out",
        )
    table = np.array([-1 if said.get(text) is None else int(bool(said[text])) for text in texts], np.int64)
    return np.where(codes < 0, -1, table[codes])


def _passes(block: Block, events: Bools) -> Bools:
    """(journeys,) whether a journey has such an event."""
    out = np.zeros(block.journeys, np.bool_)
    out[block.journey[events]] = True
    return out


@frozen(kw_only=True)
class JourneyShare(SumMetric):
    """Share of journeys that are ``hit``; Wilson's interval on n over the design effect.

    Attributes:
        online: Channel → whether it is online; None leaves a channel out.
    """

    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (0.0, 1.0)
    direction: ClassVar[Direction] = "none"
    observes: ClassVar[Unit] = "journey"

    online: Modes = field(converter=_modes)

    def missing(self, facts: Facts) -> str | None:
        """No channels."""
        return column_missing("channel", facts)

    def value(self, sums: Columns) -> Floats:
        """hit/n."""
        return sums["hit"] / sums["n"]

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Wilson's interval."""
        low, high = wilson(sums["hit"] / sums["n"] * n_eff, n_eff, level)
        return Closed(low, high, "wilson, design effect")


@frozen(kw_only=True)
class OmnichannelShare(JourneyShare):
    """Share of journeys with a known channel that use at least one online and at least one offline channel.

    Share, 0 to 1, no direction; Wilson's interval on n over the design effect.
    """

    name: ClassVar[str] = "omnichannel_share"

    def observe(self, block: Block) -> Observations:
        """Journeys with a known channel."""
        mode = modes(block, self.online)
        online, offline = _passes(block, mode == _ONLINE), _passes(block, mode == _OFFLINE)
        rows = np.flatnonzero(online | offline)
        return observe("journey", rows, hit=(online & offline)[rows])


def _crossings(block: Block, mode: Ints, crossing: Crossing) -> tuple[Ints, Ints]:
    """Rows of the events before and after each crossing."""
    before, after = neighbours(mode, block.journey)
    crossed = mode[before] != mode[after]
    if crossing != "either":
        crossed &= mode[before] == (_ONLINE if crossing == "online to offline" else _OFFLINE)
    return before[crossed], after[crossed]


@frozen(kw_only=True)
class BridgeShare(JourneyShare):
    """Share of journeys with an online (or offline) event that cross over to the other side afterwards.

    Share, 0 to 1, no direction; Wilson's interval on n over the design effect. Journeys in progress count as not having
    crossed yet.

    Attributes:
        online: Channel → whether it is online; None leaves a channel out.
        crossing: Which way; with ``"either"`` all journeys with a known channel are the denominator.
    """

    name: ClassVar[str] = "bridge_share"

    crossing: Crossing = field(default="online to offline", validator=validators.in_(_CROSSINGS))

    def observe(self, block: Block) -> Observations:
        """Journeys that could cross."""
        mode = modes(block, self.online)
        before, _ = _crossings(block, mode, self.crossing)
        side = {"online to offline": mode == _ONLINE, "offline to online": mode == _OFFLINE, "either": mode >= 0}
        rows = np.flatnonzero(_passes(block, side[self.crossing]))
        crossed = np.zeros(block.journeys, np.bool_)
        crossed[block.journey[before]] = True
        return observe("journey", rows, hit=crossed[rows])


@frozen(kw_only=True)
class BridgeLag(QuantileMetric):
    """Time from the last event on one side to the first on the other; the median unless ``share`` is given.

    Seconds, 0 or more, lower is better; exact, Woodruff's interval by customer. Each crossing counts, at the touchpoint
    that it leaves from.

    Attributes:
        share: 0.5 for the median.
        online: Channel → whether it is online; None leaves a channel out.
        crossing: Which way.
    """

    name: ClassVar[str] = "bridge_lag"
    unit: ClassVar[str] = "s"
    direction: ClassVar[Direction] = "lower"
    range: ClassVar[tuple[float, float]] = (0.0, np.inf)
    observes: ClassVar[Unit] = "event"

    online: Modes = field(converter=_modes)
    crossing: Crossing = field(default="online to offline", validator=validators.in_(_CROSSINGS))

    def missing(self, facts: Facts) -> str | None:
        """No channels."""
        return column_missing("channel", facts)

    def observe(self, block: Block) -> Observations:
        """Crossings and their lags."""
        before, after = _crossings(block, modes(block, self.online), self.crossing)
        return observe("event", before, value=(block.time[after] - block.time[before]) / 1e6)


def _crossed_at(block: Block, online: Modes, crossing: Crossing) -> tuple[Bools, Ints]:
    """(journeys,) whether a journey could cross, and the row after its first crossing: huge where it has none."""
    mode = modes(block, online)
    _, after = _crossings(block, mode, crossing)
    first = np.full(block.journeys, np.iinfo(np.int64).max)
    np.minimum.at(first, block.journey[after], after)
    side = {"online to offline": mode == _ONLINE, "offline to online": mode == _OFFLINE, "either": mode >= 0}
    return _passes(block, side[crossing]), first


@frozen(kw_only=True)
class BridgeDifference(SumMetric):
    """Conversion rate of journeys that cross between online and offline, minus that of journeys that could and do not.

    Difference of two shares, −1 to 1, higher is better; Newcombe's interval (1998,
    10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I) on n over the design effect. A crossing counts up
    to the goal; one after it came too late. Journeys in progress that have not reached the goal are left out where an
    inactivity rule was declared. An association, not an effect: whoever means to buy also takes the trouble to cross,
    and long journeys have more occasions to do both. `Impact` adjusts for what is known.

    Attributes:
        online: Channel → whether it is online; None leaves a channel out.
        goal: What counts as a conversion.
        crossing: Which way.
    """

    name: ClassVar[str] = "bridge_difference"
    unit: ClassVar[str] = "share"
    range: ClassVar[tuple[float, float]] = (-1.0, 1.0)
    direction: ClassVar[Direction] = "higher"
    observes: ClassVar[Unit] = "journey"

    online: Modes = field(converter=_modes)
    goal: Goal = field(converter=as_goal)
    crossing: Crossing = field(default="online to offline", validator=validators.in_(_CROSSINGS))

    def missing(self, facts: Facts) -> str | None:
        """No channels, or a goal at touchpoints that never occur."""
        return goal_missing(self.goal, facts) or column_missing("channel", facts)

    def observe(self, block: Block) -> Observations:
        """Journeys that could cross and whose outcome is known."""
        could, first = _crossed_at(block, self.online, self.crossing)
        reached = block.reached(self.goal)
        if block.still_open is not None:
            could &= (reached >= 0) | ~block.still_open
        rows = np.flatnonzero(could)
        last = np.where(reached < 0, np.iinfo(np.int64).max - 1, reached)
        crossed, hit = (first <= last)[rows], (reached >= 0)[rows]
        undeclared = float(block.still_open is None)
        return observe("journey", rows, crossed=crossed, hit=hit, both=crossed & hit, undeclared=undeclared)

    def value(self, sums: Columns) -> Floats:
        """both/crossed − (hit − both)/(n − crossed)."""
        return sums["both"] / sums["crossed"] - (sums["hit"] - sums["both"]) / (sums["n"] - sums["crossed"])

    def closed(self, sums: Columns, n: Floats, n_eff: Floats, level: float) -> Closed | None:
        """Newcombe's interval."""
        scale = ratio(n_eff, n)
        both, crossed, hit, count = (scale * sums[name] for name in ("both", "crossed", "hit", "n"))
        low, high = newcombe_difference(both, crossed, hit - both, count - crossed, level)
        return Closed(low, high, "newcombe, design effect")

    def undefined(self, n: int) -> str:
        """One of the two groups is empty."""
        return f"of these {n:,} journeys none crosses, or all do"

    def flags(self, sums: Columns) -> dict[Flag, Bools]:
        """Nothing is adjusted for; journeys in progress may not be told from lost ones."""
        return {"unadjusted": sums["n"] > 0, "open_unknown": sums["undeclared"] > 0}


@frozen(kw_only=True)
class BridgeScoreDifference(MeanScore):
    """Mean score of answers given after a crossing, minus that of answers in journeys that could cross and had not.

    Points of the scale, better where it goes the scale's way; delta interval by customer. An answer counts by whether
    its journey had crossed when it was given; without a time, by whether it ever does. An association, not an effect.

    Attributes:
        online: Channel → whether it is online; None leaves a channel out.
        crossing: Which way.
    """

    name: ClassVar[str] = "bridge_score_difference"

    online: Modes = field(converter=_modes)
    crossing: Crossing = field(default="online to offline", validator=validators.in_(_CROSSINGS))

    def missing(self, facts: Facts) -> str | None:
        """No such question, or no channels."""
        return MeanScore.missing(self, facts) or column_missing("channel", facts)

    def observe(self, block: Block) -> Observations:
        """Answers in journeys that could cross, with whether they had."""
        seen = MeanScore.observe(self, block)
        if block.answers is None:
            return observe("response", seen.at, score=0.0, crossed=0.0, after=0.0)
        could, first = _crossed_at(block, self.online, self.crossing)
        journey = block.answers.journey[seen.at]
        kept = could[journey]
        rows, journey, score = seen.at[kept], journey[kept], seen.numbers["score"][kept]
        ever = first[journey] < block.events
        time = block.answers.time[rows]
        crossing = block.time[np.where(ever, first[journey], 0)] if block.events else time
        crossed = ever & ((time == np.iinfo(np.int64).min) | (crossing <= time))
        return observe("response", rows, score=score, crossed=crossed, after=crossed * score)

    def value(self, sums: Columns) -> Floats:
        """after/crossed − (score − after)/(n − crossed)."""
        return sums["after"] / sums["crossed"] - (sums["score"] - sums["after"]) / (sums["n"] - sums["crossed"])

    def undefined(self, n: int) -> str:
        """One of the two groups is empty."""
        return f"of these {n:,} answers none was given after a crossing, or all were"

    def flags(self, sums: Columns) -> dict[Flag, Bools]:
        """Nothing is adjusted for."""
        return {"unadjusted": sums["n"] > 0}
