"""The built-in metrics: frozen classes whose fields are their options."""

from cxmodel.analysis.bottlenecks import Bottlenecks
from cxmodel.analysis.credits import (
    Credits,
    FirstCredit,
    LastCredit,
    LastNonDirectCredit,
    LinearCredit,
    LinearDistinctCredit,
    MarkovCredit,
    OrderedShapleyCredit,
    PositionCredit,
    RateShapley,
    RemovalEffects,
    ShapleyCredit,
    StepDecayCredit,
    TimeDecayCredit,
)
from cxmodel.analysis.distributions import DurationDistribution, LengthDistribution
from cxmodel.analysis.emotion_curve import EmotionCurve
from cxmodel.analysis.ends import Ends
from cxmodel.analysis.episodes import Recovery
from cxmodel.analysis.followings import EventuallyFollows
from cxmodel.analysis.funnel_details import FunnelDetail
from cxmodel.analysis.funnels import Funnel
from cxmodel.analysis.goal_paths import GoalPaths
from cxmodel.analysis.grams import Grams
from cxmodel.analysis.impact import Impact
from cxmodel.analysis.lifecycle import Lifecycle
from cxmodel.analysis.loops import Loops
from cxmodel.analysis.path_chains import PathChain
from cxmodel.analysis.paths import Paths
from cxmodel.analysis.patterns import PatternMatches, PatternShare
from cxmodel.analysis.peak_end_fit import PeakEndWeights
from cxmodel.analysis.priorities import Priorities
from cxmodel.analysis.retention import Retention
from cxmodel.analysis.silos import Silos
from cxmodel.analysis.surprises import Surprises
from cxmodel.analysis.time_to import TimeTo
from cxmodel.analysis.transitions import Graph, Transitions
from cxmodel.metrics.attitude import GoalAfterAnswer, JourneysAfterAnswer, ReturnAfterAnswer, ValueAfterAnswer
from cxmodel.metrics.channels import BridgeDifference, BridgeLag, BridgeScoreDifference, BridgeShare, OmnichannelShare
from cxmodel.metrics.continuity import Coc, HandOffs, Mmci, Secon, UnknownShare, Upc
from cxmodel.metrics.effort import (
    ChannelSwitches,
    DepartmentHandOffs,
    EffortContacts,
    EffortMinutes,
    EffortRepeats,
    EffortSteps,
    EffortTouchpoints,
)
from cxmodel.metrics.emotion import MeanEmotion, NetSentiment
from cxmodel.metrics.experience import (
    ExperienceEnd,
    ExperienceIntegral,
    ExperienceMean,
    ExperiencePeak,
    ExperienceTrough,
    ExtremePeak,
    MemoryDecay,
    PeakEnd,
)
from cxmodel.metrics.journey import ConversionRate, Duration, Length
from cxmodel.metrics.loyalty import RepeatRate, RetentionRate
from cxmodel.metrics.paired import NpsChange, ScoreChange
from cxmodel.metrics.recovery import RecoveryDrivers
from cxmodel.metrics.response import CustomerResponseRate, ResponseRate, VisitResponseRate
from cxmodel.metrics.service import (
    ContactsPerIssue,
    FirstContactResolution,
    RecoveryRate,
    RecoverySwitchShare,
    RecoveryTime,
    RepeatContactRate,
    ScoreAfterRecovery,
)
from cxmodel.metrics.survey import Ces1, Ces2, Ces2Net, Ces2Top, Csat, MeanScore, Nps, Score100, TopBox
from cxmodel.metrics.timing import WaitMean, WaitQuantile, WaitTotal
from cxmodel.model.calendars import BusinessHours

__all__ = [
    "Bottlenecks",
    "BridgeDifference",
    "BridgeLag",
    "BridgeScoreDifference",
    "BridgeShare",
    "BusinessHours",
    "Ces1",
    "Ces2",
    "Ces2Net",
    "Ces2Top",
    "ChannelSwitches",
    "Coc",
    "ContactsPerIssue",
    "ConversionRate",
    "Credits",
    "Csat",
    "CustomerResponseRate",
    "DepartmentHandOffs",
    "Duration",
    "DurationDistribution",
    "EffortContacts",
    "EffortMinutes",
    "EffortRepeats",
    "EffortSteps",
    "EffortTouchpoints",
    "EmotionCurve",
    "Ends",
    "EventuallyFollows",
    "ExperienceEnd",
    "ExperienceIntegral",
    "ExperienceMean",
    "ExperiencePeak",
    "ExperienceTrough",
    "ExtremePeak",
    "FirstContactResolution",
    "FirstCredit",
    "Funnel",
    "FunnelDetail",
    "GoalAfterAnswer",
    "GoalPaths",
    "Grams",
    "Graph",
    "HandOffs",
    "Impact",
    "JourneysAfterAnswer",
    "LastCredit",
    "LastNonDirectCredit",
    "Length",
    "LengthDistribution",
    "Lifecycle",
    "LinearCredit",
    "LinearDistinctCredit",
    "Loops",
    "MarkovCredit",
    "MeanEmotion",
    "MeanScore",
    "MemoryDecay",
    "Mmci",
    "NetSentiment",
    "Nps",
    "NpsChange",
    "OmnichannelShare",
    "OrderedShapleyCredit",
    "PathChain",
    "Paths",
    "PatternMatches",
    "PatternShare",
    "PeakEnd",
    "PeakEndWeights",
    "PositionCredit",
    "Priorities",
    "RateShapley",
    "Recovery",
    "RecoveryDrivers",
    "RecoveryRate",
    "RecoverySwitchShare",
    "RecoveryTime",
    "RemovalEffects",
    "RepeatContactRate",
    "RepeatRate",
    "ResponseRate",
    "Retention",
    "RetentionRate",
    "ReturnAfterAnswer",
    "Score100",
    "ScoreAfterRecovery",
    "ScoreChange",
    "Secon",
    "ShapleyCredit",
    "Silos",
    "StepDecayCredit",
    "Surprises",
    "TimeDecayCredit",
    "TimeTo",
    "TopBox",
    "Transitions",
    "UnknownShare",
    "Upc",
    "ValueAfterAnswer",
    "VisitResponseRate",
    "WaitMean",
    "WaitQuantile",
    "WaitTotal",
]
