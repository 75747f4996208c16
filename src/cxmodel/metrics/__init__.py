"""The built-in metrics: frozen classes whose fields are their options."""

from cxmodel.analysis.credits import (
    Credits,
    FirstCredit,
    LastCredit,
    LinearCredit,
    MarkovCredit,
    ShapleyCredit,
)
from cxmodel.analysis.distributions import DurationDistribution, LengthDistribution
from cxmodel.analysis.ends import Ends
from cxmodel.analysis.followings import EventuallyFollows
from cxmodel.analysis.funnel_details import FunnelDetail
from cxmodel.analysis.funnels import Funnel
from cxmodel.analysis.goal_paths import GoalPaths
from cxmodel.analysis.grams import Grams
from cxmodel.analysis.impact import Impact
from cxmodel.analysis.loops import Loops
from cxmodel.analysis.path_chains import PathChain
from cxmodel.analysis.paths import Paths
from cxmodel.analysis.patterns import PatternMatches, PatternShare
from cxmodel.analysis.transitions import Graph, Transitions
from cxmodel.metrics.journey import ConversionRate, Duration, Length
from cxmodel.metrics.survey import Ces1, Ces2, Ces2Top, Csat, MeanScore, Nps

__all__ = [
    "Ces1",
    "Ces2",
    "Ces2Top",
    "ConversionRate",
    "Credits",
    "Csat",
    "Duration",
    "DurationDistribution",
    "Ends",
    "EventuallyFollows",
    "FirstCredit",
    "Funnel",
    "FunnelDetail",
    "GoalPaths",
    "Grams",
    "Graph",
    "Impact",
    "LastCredit",
    "Length",
    "LengthDistribution",
    "LinearCredit",
    "Loops",
    "MarkovCredit",
    "MeanScore",
    "Nps",
    "PathChain",
    "Paths",
    "PatternMatches",
    "PatternShare",
    "ShapleyCredit",
    "Transitions",
]
