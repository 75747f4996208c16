"""Online and offline: do journeys use both, and how do they cross from one to the other?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, Literal

import numpy as np
from attrs import field, frozen, validators

from cxmodel.data.blocks import Block, Unit
from cxmodel.data.columns import column_missing, event_codes, neighbours, texts_of
from cxmodel.errors import InvalidValueError
from cxmodel.model.readings import Facts
from cxmodel.model.scales import Direction
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
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
