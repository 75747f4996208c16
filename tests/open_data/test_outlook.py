"""Outlooks on open logs: fitted on the first 70 % of the journeys by their beginning, held against the others."""

import numpy as np
import pytest

import cxmodel as cx
from cxmodel.analysis.forecasts import ForecastCheck
from cxmodel.data.times import moment

pytestmark = pytest.mark.open_data


def checked(journeys: cx.Journeys, goal: str) -> ForecastCheck:
    begins = np.sort(np.concatenate([block.time[block.first] for block in journeys.population.blocks()]))
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


def test_fines_change_their_course_and_order_one_foretells_them_better(fines: cx.Journeys) -> None:
    """Credit collection never followed a penalty before the split: a long memory is surer of what is no longer so."""
    check = checked(fines, "Payment")
    assert high(check.gains[0]) < 0 < low(check.gains[1])
