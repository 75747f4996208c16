"""Groupings: what results can be broken down by. Each turns observations into groups."""

from cxmodel.tallies.groupings.answers import ByOpinion, ByQuestion
from cxmodel.tallies.groupings.base import NONE, UNITS, Assigned, By, ByName
from cxmodel.tallies.groupings.columns import Bin, ByBins, ByColumn, ByTransition
from cxmodel.tallies.groupings.crosses import ByBoth
from cxmodel.tallies.groupings.times import ByClock, ByPeriod

__all__ = [
    "NONE",
    "UNITS",
    "Assigned",
    "Bin",
    "By",
    "ByBins",
    "ByBoth",
    "ByClock",
    "ByColumn",
    "ByName",
    "ByOpinion",
    "ByPeriod",
    "ByQuestion",
    "ByTransition",
]  # fmt: skip
