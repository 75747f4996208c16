"""Waits: the time between one event and the next of the same journey, and whose turn it was."""

from __future__ import annotations

from typing import Final, Literal

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Block
from cxmodel.data.business import business_time
from cxmodel.data.columns import event_codes, texts_of
from cxmodel.model.calendars import BusinessHours
from cxmodel.stats.arrays import Bools, Ints

GapKind = Literal["wait", "pause", "unknown"]
GAP_KINDS: Final[tuple[GapKind, ...]] = ("wait", "pause", "unknown")
_TURN: Final[dict[str, GapKind]] = {"organisation": "wait", "customer": "pause"}
_MISSING: Final = np.iinfo(np.int64).min


@frozen(eq=False)
class Gaps:
    """The gaps of one block.

    Attributes:
        step: (g,) row of the event before each gap.
        length: (g,) µs from its end, where it has one, to the next event; 0 where the two overlap.
        overlaps: (g,) whether the next event began before the end.
        kind: (g,) place among `GAP_KINDS`.
    """

    step: Ints
    length: Ints
    overlaps: Bools
    kind: Ints


def gaps(block: Block, calendar: BusinessHours | None, unknown_as: GapKind) -> Gaps:
    """All gaps of a block.

    A gap is a wait when the organisation acts next, a pause when the customer does: that is the initiator of the next
    touchpoint.

    Args:
        block: The block.
        calendar: Count only time within these hours.
        unknown_as: What a gap counts as where nobody is named.
    """
    step = block.steps
    begin = block.time
    if block.until is not None:
        begin = np.where(block.until == _MISSING, block.time, block.until)
    begin, end = begin[step], block.time[step + 1]
    length = end - begin if calendar is None else business_time(calendar, begin, end)
    return Gaps(step, np.maximum(length, 0), end < begin, _kinds(block, unknown_as)[step + 1])


def _kinds(block: Block, unknown_as: GapKind) -> Ints:
    """(events,) kind of the gap before each event."""
    other = GAP_KINDS.index(unknown_as)
    if not any("initiator" in known for known in (block.event_columns, block.vocabulary.touchpoint_columns)):
        return np.full(block.events, other)
    codes = event_codes(block, "initiator")
    kinds = [GAP_KINDS.index(_TURN.get(text, unknown_as)) for text in texts_of(block, "initiator")]
    return np.where(codes < 0, other, np.array(kinds, np.int64)[codes])
