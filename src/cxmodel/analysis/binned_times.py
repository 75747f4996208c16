"""Times in bins 1 % wide: small tables of who left a place when, and who was still there at the end of the data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from attrs import frozen

from cxmodel.stats.arrays import Ints, grouped_sum
from cxmodel.stats.floats import Floats
from cxmodel.stats.intervals import wilson
from cxmodel.stats.survival import aalen_johansen, kaplan_meier
from cxmodel.tallies.counting import Counted

BINS: Final = 4096
ALWAYS: Final = BINS - 1
"""The bin of what never ends: it is at risk to the end."""
_STEP: Final = math.log(1.01)


def bins_of(times: Ints) -> Ints:
    """Bin of each time, in µs; the upper end of a bin is not below what lies in it."""
    return np.minimum(np.ceil(np.log1p(times) / _STEP).astype(np.int64), ALWAYS - 1)


def seconds_of(bins: Ints) -> Floats:
    """Upper end of each bin, in seconds."""
    return np.asarray(np.expm1(bins * _STEP) / 1e6, np.float64)


def time_codes(place: Ints, kind: Ints, bins: Ints, kinds: int) -> Ints:
    """One number for where, what happened (0 for nothing) and when."""
    return (place * kinds + kind) * BINS + bins


@frozen(eq=False)
class TimesThere:
    """How visits of one place ended.

    Attributes:
        place: Code of the place.
        bins: (t,) rising bins in which something happened.
        at_risk: (t,) visits that lasted as long.
        events: (kinds − 1, t) how many ended so.
        censored: Visits that were not seen to the end.
    """

    place: int
    bins: Ints
    at_risk: Floats
    events: Floats
    censored: float

    def shares(self) -> tuple[Floats, float]:
        """Share that ends in each way, censoring-aware (Aalen-Johansen), and the share that nothing stands for."""
        shares, without = aalen_johansen(self.at_risk, self.events)
        return shares[:, -1], float(without[-1])

    def quantile(self, share: float) -> float:
        """Seconds within which this share of those who ever end here had ended; nan where nobody does."""
        gone = 1.0 - kaplan_meier(self.at_risk, self.events.sum(axis=0))
        if gone[-1] <= 0:
            return math.nan
        return float(seconds_of(self.bins[[np.argmax(gone >= share * gone[-1] - 1e-12)]])[0])


def places(times: Counted, kinds: int, lost: Floats | None = None) -> Iterator[TimesThere]:
    """The places that occur, ascending.

    Args:
        times: Codes of `time_codes`.
        kinds: Ways to end, 0 for not seen to the end included.
        lost: (places,) visits that never end, at risk all the time; none if not given.
    """
    # keys are ascending, so the rows of a place stand together
    code = times.keys // (kinds * BINS)
    found, starts = np.unique(code, return_index=True)
    for place, start, end in zip(found.tolist(), starts, np.append(starts, code.size)[1:], strict=True):
        rows = slice(start, end)
        kind, counts = times.keys[rows] // BINS % kinds, times.counts[rows]
        bins, column = np.unique(times.keys[rows] % BINS, return_inverse=True)
        cells = grouped_sum(kind * bins.size + column, counts, kinds * bins.size).reshape(kinds, bins.size)
        at_risk: Floats = np.cumsum(cells.sum(axis=0)[::-1])[::-1] + (0.0 if lost is None else float(lost[place]))
        yield TimesThere(place, bins, at_risk, cells[1:], float(counts[kind == 0].sum()))


def quantiles(times: Counted, kinds: int, size: int, share: float) -> Floats:
    """(size,) seconds within which this share of those who left a place had left; nan without any."""
    out = np.full(size, np.nan)
    for each in places(times, kinds):
        out[each.place] = each.quantile(share)
    return out


def quantile_ends(times: Counted, kinds: int, share: float, people: Floats, level: float) -> Floats:
    """(2, size) ends of the intervals of `quantiles`; nan without any.

    The share that n customers are sure of (Wilson) is read off the same curve (Woodruff 1952,
    10.1080/01621459.1952.10483443). Of several visits of a customer only one counts, and only those that ended.

    Args:
        times: Codes of `time_codes`.
        kinds: Ways to end, 0 for not seen to the end included.
        share: Which quantile.
        people: (size,) customers behind the visits of each place.
        level: Confidence level.
    """
    out = np.full((2, people.size), np.nan)
    for each in places(times, kinds):
        n = float(each.events.sum()) * min(float(people[each.place] / each.at_risk[0]), 1.0)
        if n > 0:
            out[:, each.place] = [each.quantile(float(end)) for end in wilson(share * n, n, level)]
    return out
