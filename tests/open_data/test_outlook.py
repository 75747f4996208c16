"""Outlooks on open logs: fitted on the first 70 % of the journeys by their beginning, held against the others."""

import numpy as np
import pytest

import cxmodel as cx
from cxmodel.analysis.forecasts import ForecastCheck
from cxmodel.data.times import moment

pytestmark = pytest.mark.open_data


def checked(journeys: cx.Journeys, goal: str) -> ForecastCheck:
    begins = np.sort(np.concatenate([block.time[block.first] for block in journeys.population.parts]))
    until = moment(int(begins[int(0.7 * begins.size)]))
    return journeys.outlook(goal, until=until).evaluate(journeys, bootstrap=300)


def high(estimate: cx.Estimate) -> float:
    assert estimate.interval is not None
    return estimate.interval.high


def low(estimate: cx.Estimate) -> float:
    assert estimate.interval is not None
    return estimate.interval.low


def test_clicks_are_foretold_better_than_by_either_baseline(clicks: cx.Journeys) -> None:
    check = checked(clicks, "payment_done")
    assert check.journeys + check.left_out == clicks.facts.journeys
    assert [high(gain) < 0 for gain in check.gains] == [True, True]


def test_hospital_steps_are_foretold_better_than_by_either_baseline(sepsis: cx.Journeys) -> None:
    check = checked(sepsis, "Release A")
    assert [high(gain) < 0 for gain in check.gains] == [True, True]
    assert check.slope.interval is not None
    assert 1.0 in check.slope.interval


def test_fines_that_nobody_was_seen_to_leave_may_go_anywhere(fines: cx.Journeys) -> None:
    """Credit collection never followed a penalty before the split; the many that were still there leave it open."""
    check = checked(fines, "Payment")
    assert [high(gain) < 0 for gain in check.gains] == [True, True]
    # which way it went was not to be known: the chance is too high everywhere
    assert [each.inside for each in check.bins] == [False] * len(check.bins)
    assert low(check.slope) > 1.0


def test_what_is_told_of_calibration_holds(clicks: cx.Journeys, sepsis: cx.Journeys) -> None:
    """The hospital is reliable in all ten bins; the clicks are not, and the slope says so too."""
    assert checked(sepsis, "Release A").reliable
    check = checked(clicks, "payment_done")
    assert sum(each.inside for each in check.bins) == 7
    assert 1.0 < low(check.slope) < 1.05
