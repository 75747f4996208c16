"""Groupings: what results can be broken down by. Each turns observations into groups."""

from cxmodel.tallies.groupings.answers import ByOpinion, ByQuestion
from cxmodel.tallies.groupings.base import NONE, UNITS, Assigned, By, ByName
from cxmodel.tallies.groupings.columns import Bin, ByBins, ByColumn, ByTransition
from cxmodel.tallies.groupings.crosses import ByCross
from cxmodel.tallies.groupings.times import DAYPARTS, ByClock, ByDaypart, ByPeriod, BySeason, Hemisphere, Hour, seasons

__all__ = [
    "DAYPARTS", "NONE", "UNITS", "Assigned", "Bin", "By", "ByBins", "ByClock", "ByColumn", "ByCross", "ByDaypart",
    "ByName", "ByOpinion", "ByPeriod", "ByQuestion", "BySeason", "ByTransition", "Hemisphere", "Hour", "seasons",
]  # fmt: skip
