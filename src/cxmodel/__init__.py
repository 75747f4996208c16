"""Customer journeys as graphs of touchpoints: the drawn map, the event log and the survey in one model."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cxmodel import by as by
    from cxmodel import datasets as datasets
    from cxmodel import errors as errors
    from cxmodel import metrics as metrics
    from cxmodel.analysis.comparing import compare as compare
    from cxmodel.analysis.decomposition import contributions as contributions
    from cxmodel.analysis.decomposition import decompose as decompose
    from cxmodel.analysis.drift import drift as drift
    from cxmodel.analysis.outlook import Outlook as Outlook
    from cxmodel.analysis.outlook_documents import open_outlook as open_outlook
    from cxmodel.analysis.planning import nonresponse_bounds as nonresponse_bounds
    from cxmodel.analysis.planning import sample_size as sample_size
    from cxmodel.analysis.standardising import like_for_like as like_for_like
    from cxmodel.exporters.json import load_result as load_result
    from cxmodel.exporting import (
        Exported as Exported,
    )
    from cxmodel.exporting import (
        export as export,
    )
    from cxmodel.exporting import (
        installed_plugins as installed_plugins,
    )
    from cxmodel.graph import JourneyGraph as JourneyGraph
    from cxmodel.journeys import Journeys as Journeys
    from cxmodel.live import Live as Live
    from cxmodel.model.breakdowns import Breakdown as Breakdown
    from cxmodel.model.estimates import Estimate as Estimate
    from cxmodel.model.estimates import Interval as Interval
    from cxmodel.model.goals import Goal as Goal
    from cxmodel.model.people import (
        Channel as Channel,
    )
    from cxmodel.model.people import (
        Department as Department,
    )
    from cxmodel.model.people import (
        Persona as Persona,
    )
    from cxmodel.model.people import (
        Stage as Stage,
    )
    from cxmodel.model.people import (
        Touchpoint as Touchpoint,
    )
    from cxmodel.model.rules import Rule as Rule
    from cxmodel.model.scales import Question as Question
    from cxmodel.model.scales import Scale as Scale
    from cxmodel.model.transitions import Transition as Transition
    from cxmodel.opening import open_journeys as open_journeys
    from cxmodel.opening import read_events as read_events
    from cxmodel.responses import Responses as Responses
    from cxmodel.responses import read_responses as read_responses
    from cxmodel.voices import compare_voices as compare_voices

_MODULES: Final = ("by", "datasets", "errors", "metrics")
_HOMES: Final = {
    "Breakdown": "model.breakdowns", "Channel": "model.people", "Department": "model.people",
    "Estimate": "model.estimates", "Exported": "exporting", "Goal": "model.goals", "Interval": "model.estimates",
    "JourneyGraph": "graph", "Journeys": "journeys", "Live": "live", "Outlook": "analysis.outlook",
    "Persona": "model.people",
    "Question": "model.scales", "Responses": "responses", "Rule": "model.rules", "Scale": "model.scales",
    "Stage": "model.people", "Touchpoint": "model.people", "Transition": "model.transitions",
    "compare": "analysis.comparing", "compare_voices": "voices", "contributions": "analysis.decomposition",
    "decompose": "analysis.decomposition", "drift": "analysis.drift", "nonresponse_bounds": "analysis.planning",
    "sample_size": "analysis.planning", "export": "exporting",
    "installed_plugins": "exporting", "load_result": "exporters.json", "open_journeys": "opening",
    "like_for_like": "analysis.standardising", "open_outlook": "analysis.outlook_documents",
    "read_events": "opening", "read_responses": "responses",
}  # fmt: skip

__all__ = [
    "Breakdown", "Channel", "Department", "Estimate", "Exported", "Goal", "Interval", "JourneyGraph", "Journeys",
    "Live", "Outlook", "Persona", "Question", "Responses", "Rule", "Scale", "Stage", "Touchpoint", "Transition", "by",
    "compare", "compare_voices", "contributions", "datasets", "decompose", "drift", "errors", "export",
    "installed_plugins", "like_for_like", "load_result", "metrics", "nonresponse_bounds", "open_journeys",
    "open_outlook", "read_events", "read_responses", "sample_size",
]  # fmt: skip

__version__ = "0.1.0"


if not TYPE_CHECKING:  # a type checker that saw it would let every misspelt name pass

    def __getattr__(name: str) -> object:
        if name in _MODULES:
            return import_module(f"cxmodel.{name}")
        if name not in _HOMES:
            raise AttributeError(f"module 'cxmodel' has no attribute {name!r}")
        value: object = getattr(import_module(f"cxmodel.{_HOMES[name]}"), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
