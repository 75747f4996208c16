"""Episodes of service: chains of contacts about one issue, and failures with what became of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import numpy as np
from attrs import field, frozen

from cxmodel.data.blocks import Block
from cxmodel.data.columns import event_codes
from cxmodel.data.times import microseconds
from cxmodel.errors import InvalidValueError, unknown
from cxmodel.model.readings import Facts
from cxmodel.stats.arrays import Bools, Ints, rows_until


@frozen(eq=False)
class Chains:
    """Contacts in the order of customer, issue and time, linked where two lie no further apart than a window.

    Attributes:
        row: (c,) row of each contact.
        followed: (c,) whether another contact about the same issue follows within the window.
        chain: (c,) number of its chain, ascending.
        first: (k,) place of the first contact of each chain.
    """

    row: Ints
    followed: Bools
    chain: Ints
    first: Ints

    @property
    def length(self) -> Ints:
        """(k,) contacts of each chain."""
        return np.bincount(self.chain, minlength=self.first.size)


def chains(block: Block, contact: Bools, issue: str | None, window: int) -> Chains:
    """Link the contacts of each customer about one issue.

    Args:
        block: The block.
        contact: (events,) which events are contacts.
        issue: Column that names the issue; a customer has only one where it is not given. Contacts without an issue
            count as being about the same unnamed one.
        window: Longest time between two linked contacts, µs.
    """
    row = np.flatnonzero(contact)
    customer = block.customer_of_journey[block.journey[row]]
    about = np.zeros(row.size, np.int64) if issue is None else event_codes(block, issue)[row]
    order = np.lexsort((block.time[row], about, customer))
    row, customer, about = row[order], customer[order], about[order]
    linked = (customer[1:] == customer[:-1]) & (about[1:] == about[:-1]) & (np.diff(block.time[row]) <= window)
    fresh = np.concatenate([np.ones(min(row.size, 1), np.bool_), ~linked])
    followed = np.concatenate([linked, np.zeros(min(row.size, 1), np.bool_)])
    return Chains(row, followed, np.cumsum(fresh) - 1, np.flatnonzero(fresh))


def _names(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise InvalidValueError(f"a list of names is needed, got the text {names!r}", hint=f"Write [{names!r}]")
    return tuple(names)


@frozen(kw_only=True)
class Recovery:
    """What counts as a failure of service, and what as its resolution.

    Attributes:
        failed: Touchpoints at which service has failed.
        resolved: Touchpoints at which it is made good.
        within: Longest time from failure to resolution; no limit unless given.

    Example:
        >>> Recovery(failed=["call dropped"], resolved=["message answered"]).failed
        ('call dropped',)
    """

    failed: tuple[str, ...] = field(converter=_names)
    resolved: tuple[str, ...] = field(converter=_names)
    within: timedelta | None = None

    def __attrs_post_init__(self) -> None:
        both = sorted(set(self.failed) & set(self.resolved))
        if both:
            raise InvalidValueError(f"{both[0]!r} cannot be both a failure and its resolution")
        if not self.failed or not self.resolved:
            raise InvalidValueError("failed and resolved each need at least one touchpoint")
        if self.within is not None and self.within <= timedelta(0):
            raise InvalidValueError(f"within is a positive duration, got {self.within}")

    def missing(self, facts: Facts) -> str | None:
        """Touchpoints that never occur."""
        lost = [name for name in (*self.failed, *self.resolved) if name not in facts.touchpoints]
        return unknown("touchpoint", lost[0], facts.touchpoints) if lost else None


@frozen(eq=False)
class Episodes:
    """Failures, one row per episode: from the first failure that is not yet made good to the resolution after it.

    Attributes:
        start: (e,) row of the first failed event, ascending.
        resolution: (e,) row of the event that made it good in time; −1 where none did.
    """

    start: Ints
    resolution: Ints

    @property
    def recovered(self) -> Bools:
        """(e,) whether it was made good."""
        return self.resolution >= 0


def episodes(block: Block, recovery: Recovery) -> Episodes:
    """The episodes of all journeys of a block."""
    failed = block.events_at(recovery.failed)
    rows = np.flatnonzero(failed | block.events_at(recovery.resolved))
    journey, bad = block.journey[rows], failed[rows]
    place = np.arange(rows.size)
    open_before = np.zeros(rows.size, np.bool_)
    open_before[1:] = bad[:-1] & (journey[1:] == journey[:-1])
    starts = place[bad & ~open_before]
    # The next resolution at or after each place, looking back from the end.
    ahead = np.minimum.accumulate(np.where(bad, rows.size, place)[::-1])[::-1]
    following = ahead[starts]
    found = following < rows.size
    resolution = np.full(starts.size, -1)
    resolution[found] = rows[following[found]]
    start = rows[starts]
    same = found & (block.journey[np.maximum(resolution, 0)] == block.journey[start])
    if recovery.within is not None:
        same &= block.time[np.maximum(resolution, 0)] - block.time[start] <= microseconds(recovery.within)
    return Episodes(start, np.where(same, resolution, -1))


def latest_episode(found: Episodes, block: Block, rows: Ints) -> Ints:
    """(rows,) the episode of the same journey that began last before each of these answers; −1 without one."""
    assert block.answers is not None
    journey, time = block.answers.journey[rows], block.answers.time[rows]
    begun = block.journey[found.start]
    # episodes stand in the order of (journey, time), as events do
    mine = rows_until(begun, block.time[found.start], journey, time) - 1
    here = mine >= 0
    here[here] = begun[mine[here]] == journey[here]
    return np.where(here, mine, -1)
