"""Registration of the built-in metrics, through the hooks that everybody uses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

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
from cxmodel.plugins.hooks import hookimpl
from cxmodel.tallies.metrics import Metric


@hookimpl
def cxmodel_metrics() -> Sequence[type[Metric[Any]]]:
    """All built-in metrics."""
    return [
        Nps, Csat, Ces1, Ces2, Ces2Top, MeanScore, ConversionRate, Length, Duration, FirstCredit, LastCredit,
        LinearCredit, ShapleyCredit, MarkovCredit, Credits, Graph, Transitions, Paths, Funnel,
        PatternShare, PatternMatches, EventuallyFollows, Ends, Loops, Grams, LengthDistribution, DurationDistribution,
        PathChain, GoalPaths, FunnelDetail, Impact,
    ]  # fmt: skip
