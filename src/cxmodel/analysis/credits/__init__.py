"""Credit: how descriptive models split conversions among the touchpoints before them. Credit is not impact."""

from cxmodel.analysis.credits.comparing import Credits
from cxmodel.analysis.credits.conversions import Conversions, before_conversion, goal_missing
from cxmodel.analysis.credits.markov import MarkovCredit, RemovalEffects
from cxmodel.analysis.credits.results import CreditComparison, CreditTable
from cxmodel.analysis.credits.shapley import OrderedShapleyCredit, RateShapley
from cxmodel.analysis.credits.splits import (
    FirstCredit,
    LastCredit,
    LastNonDirectCredit,
    LinearCredit,
    LinearDistinctCredit,
    PositionCredit,
    ShapleyCredit,
    SplitCredit,
    StepDecayCredit,
    TimeDecayCredit,
)
from cxmodel.analysis.credits.steps import chain_steps

__all__ = [
    "Conversions",
    "CreditComparison",
    "CreditTable",
    "Credits",
    "FirstCredit",
    "LastCredit",
    "LastNonDirectCredit",
    "LinearCredit",
    "LinearDistinctCredit",
    "MarkovCredit",
    "OrderedShapleyCredit",
    "PositionCredit",
    "RateShapley",
    "RemovalEffects",
    "ShapleyCredit",
    "SplitCredit",
    "StepDecayCredit",
    "TimeDecayCredit",
    "before_conversion",
    "chain_steps",
    "goal_missing",
]
