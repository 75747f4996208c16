"""Impact on a real click stream, where whoever pays has passed nearly every step before."""

from __future__ import annotations

from datetime import timedelta

import pytest

import cxmodel as cx


@pytest.mark.open_data
def test_a_share_expected_beyond_the_possible_is_flagged(clicks: cx.Journeys) -> None:
    table = clicks.split(gap=timedelta(minutes=30)).measure(cx.metrics.Impact(outcome="payment_done"))
    flagged = {name for name in table if "out_of_range" in table[name].relative.flags}
    # more than all conversions lost without it: fewer than none would be left
    impossible = {name for name in table if (table[name].relative.value or 0) > 1}
    assert flagged == impossible == {"cart", "catalog", "delivery_choice", "payment_choice"}
