"""Wherever a goal is asked for, the name of a touchpoint will do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

import cxmodel as cx
from cxmodel.analysis.credits.conversions import Conversions
from cxmodel.analysis.orders import ChainOrders
from cxmodel.analysis.outlook_fitting import Outlooks
from cxmodel.analysis.what_if_fitting import WhatIfs
from cxmodel.testing import journeys_of

JOURNEYS = journeys_of("a: ad 0, shop 2, pay 5; b: ad 0, help 3; c: shop 1, pay 4, help 9")
PAY = cx.Goal("pay", touchpoints=["pay"])
ASKED: list[Callable[[Any], Any]] = [
    lambda goal: cx.metrics.ConversionRate(goal=goal),
    cx.metrics.GoalPaths,
    lambda goal: cx.metrics.TimeTo(goal=goal, competing=["help"]),
    lambda goal: cx.metrics.Funnel(steps=["ad", goal]),
    lambda goal: cx.metrics.RepeatRate(goal=goal, within=timedelta(days=1)),
    lambda goal: cx.metrics.Credits(goal=goal),
    lambda goal: cx.metrics.LinearCredit(goal=goal),
    lambda goal: cx.metrics.RateShapley(goal=goal),
    lambda goal: cx.metrics.RemovalEffects(goal=goal),
    lambda goal: cx.metrics.Impact(outcome=goal),
    lambda goal: cx.metrics.BridgeDifference(goal=goal, online={"web": True}),
    lambda goal: cx.metrics.Silos(goal=goal),
    lambda goal: Conversions(goal=goal),
    lambda goal: Outlooks(goal=goal),
    lambda goal: WhatIfs(goal=goal),
    lambda goal: ChainOrders(goal=goal),
]


@pytest.mark.parametrize("asked", ASKED)
def test_a_name_asks_what_the_goal_of_that_touchpoint_asks(asked: Callable[[Any], Any]) -> None:
    assert asked("pay") == asked(PAY)


@pytest.mark.parametrize("asked", [each for each in ASKED if not isinstance(each("pay"), Conversions)])
def test_a_misspelt_name_is_said_with_the_nearest(asked: Callable[[Any], Any]) -> None:
    with pytest.raises(cx.errors.NotMeasurableError, match=r"there is no touchpoint 'pey'.*Did you mean 'pay'"):
        JOURNEYS.measure(asked("pey"))


def test_what_is_no_goal_is_refused_in_words() -> None:
    wrong: Any = 7
    with pytest.raises(cx.errors.InvalidValueError, match="a goal is a Goal or the name of a touchpoint, got 7"):
        cx.metrics.ConversionRate(goal=wrong)
    names: Any = "help"
    with pytest.raises(cx.errors.InvalidValueError, match="competing takes a list, got the text 'help'"):
        cx.metrics.TimeTo(goal="pay", competing=names)
