"""What the worked example finds, told in words: every number with its interval and its number of cases."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from cxmodel.cli.demo import Folder, prepared
from cxmodel.cli.tables import lasting
from cxmodel.model.goals import Goal

if TYPE_CHECKING:
    from cxmodel.analysis.funnels import FunnelTable
    from cxmodel.datasets import Study
    from cxmodel.journeys import Journeys
    from cxmodel.model.breakdowns import Breakdown
    from cxmodel.model.estimates import Estimate

_LONG_QUEUE: Final = timedelta(minutes=15)
_CHOICES: Final = ("Post-visit e-mail", "Audio guide", "Café")


def museum_story(study: Study, folder: Folder) -> list[str]:
    """A museum: what the queue does to the visit, and what leads to a membership."""
    journeys = prepared(study, folder.path, until="until")
    return [
        *_opening(study, journeys),
        *_museum_scores(study, journeys, folder),
        *_museum_goal(study, journeys, folder),
    ]


def _opening(study: Study, journeys: Journeys) -> list[str]:
    facts = journeys.facts
    counts = (
        f"{facts.customers:,} customers, {facts.journeys:,} journeys, {facts.events:,} events, "
        f"{facts.responses:,} answers"
    )
    return [study.title, "─" * len(study.title), counts]


def _museum_scores(study: Study, journeys: Journeys, folder: Folder) -> list[str]:
    from cxmodel import by
    from cxmodel.metrics import Ces2, Csat, Nps

    graph = journeys.graph()
    folder.keep(graph, "graph.svg", "graph.png", "graph.json")
    nps = journeys.measure(Nps())
    folder.keep_measured(journeys.measure(Nps(), by="touchpoint"), "nps", "nps_by_touchpoint.json")
    ces, csat = journeys.measure(Ces2(), Csat(), by="touchpoint")
    folder.keep_measured(nps, "nps", "nps.json")
    folder.keep_measured(ces, "ces2", "ces2_by_touchpoint.json")
    folder.keep_measured(csat, "csat", "csat_by_touchpoint.json")
    queued = journeys.with_attributes(_queues(study), journey="journey", columns=["queue"])
    by_queue = queued.measure(Nps(), by=by.attribute("queue"))
    folder.keep_measured(by_queue, "nps", "nps_by_queue.json")
    long, short = by_queue["over 15 minutes"], by_queue["up to 15 minutes"]
    return [
        f"• Would they recommend it?  NPS {nps:.0f}",
        f"    after queueing up to 15 minutes at the desk: {short:.0f}",
        f"    after queueing longer:                       {long:.0f}",
        f"    between the two lie {short.minus(long):.0f}",
        *(f"• How easy was “{name}”?  {each:.1f}, higher is easier" for name, each in ces.items()),
        *(f"• Satisfied after “{name}”?  {each:.0%}" for name, each in csat.items()),
    ]


def _museum_goal(study: Study, journeys: Journeys, folder: Folder) -> list[str]:
    from cxmodel.metrics import ConversionRate, Credits

    goal = Goal("membership", touchpoints=study.goals["membership"], kind="loyalty")
    rate = journeys.measure(ConversionRate(goal=goal))
    passing = journeys.measure(ConversionRate(goal=goal), by="touchpoint")
    personas = journeys.measure(ConversionRate(goal=goal), by="persona")
    credit = journeys.measure(Credits(goal=goal))
    funnel = journeys.funnel(["Enters museum", "Post-visit e-mail", "Membership page", goal])
    paths = journeys.paths().top(10)
    for name, result in (("rate", rate), ("by_touchpoint", passing), ("by_persona", personas)):
        folder.keep_measured(result, "conversion_rate", f"membership_{name}.json")
    folder.keep_measured(credit, "credits", "membership_credits.json")
    folder.keep(funnel, "funnel.json", "funnel.svg")
    folder.keep(paths, "paths.json")
    markov = credit["markov_credit"]
    likely = max(personas, key=lambda name: personas[name].value or 0.0)
    return [
        f"• Do they become members?  {rate:.1%}",
        f"    most often the persona {likely}: {personas[likely]:.1%}",
        *_steps(funnel),
        f"    Of {markov.conversions} memberships, Markov's model credits:",
        *(f"      {name:<18} {_brief(markov[name])}" for name in _CHOICES),
        f"    Careful: {passing['Café']:.0%} of café guests join, {passing['Audio guide']:.0%} of audio guide users.",
        "    Yet in this made-up museum the café does nothing and the guide helps: families use the café, and",
        "    families join anyway. Credit and plain comparison describe; they do not say what caused it.",
    ]


def _brief(each: Estimate) -> str:
    ends = f" [{each.interval.low:.0f}, {each.interval.high:.0f}]" if each.interval else ""
    return f"{each.require():.0f}{ends}"


def _points(difference: Estimate) -> str:
    """A difference of shares in percentage points."""
    ends = difference.interval
    between = f" [{ends.low * 100:.0f}, {ends.high * 100:.0f}]" if ends else ""
    return f"{difference.require() * 100:.0f}{between} percentage points"


def _steps(funnel: FunnelTable) -> list[str]:
    first = funnel.steps[0]
    lines = [f"    of {first.reached:,} visits that begin at “{first.touchpoint}”:"]
    for step in funnel.steps[1:]:
        wait = lasting(step.wait_median_s)
        lines += [f"      {step.touchpoint:<18} {step.of_previous:.0%} of the step before, after {wait}"]
    return lines


def _queues(study: Study) -> list[dict[str, object]]:
    """Per journey that met the ticket desk: whether it queued long."""
    rows: list[dict[str, object]] = []
    for event in study.events.to_dicts():
        begin, end = event["time"], event["until"]
        if event["touchpoint"] == "Ticket desk" and isinstance(begin, datetime) and isinstance(end, datetime):
            long = end - begin > _LONG_QUEUE
            rows.append({"journey": event["journey"], "queue": "over 15 minutes" if long else "up to 15 minutes"})
    return rows


def car_rental_story(study: Study, folder: Folder) -> list[str]:
    """A car rental: calls that fail, and the message that rescues them."""
    from cxmodel.metrics import Csat

    journeys = prepared(study, folder.path, contact="contact")
    folder.keep(journeys.graph(), "graph.svg", "graph.png", "graph.json")
    calls = journeys.measure(Csat(question="call_csat"), by="touchpoint")
    folder.keep_measured(calls, "csat", "call_csat_by_touchpoint.json")
    outcomes = _outcomes(study, journeys)
    folder.keep_measured(outcomes, "csat", "rental_csat_by_outcome.json")
    failed = journeys.where(passes="Call fails")
    funnel = failed.funnel(["Call fails", "Direct message", "Problem solved"])
    folder.keep(funnel, "recovery.json", "recovery.svg")
    gain = outcomes["rescued by a message"].minus(outcomes["left alone"])
    return [
        *_opening(study, journeys),
        f"• Satisfied with the call?  answered {calls['Calls support']:.0%}; failed {calls['Call fails']:.0%}",
        "• Satisfied with the whole rental?",
        *(f"    {name + ':':<22} {each:.0%}" for name, each in outcomes.items()),
        f"• Of {funnel.steps[0].reached:,} rentals with a failed call:",
        *_steps(funnel)[1:],
        f"    A message that helps is worth {_points(gain)} of satisfaction over being left alone:",
        "    the failed call is where customers are lost, the message is where they are rescued.",
    ]


def _outcomes(study: Study, journeys: Journeys) -> Breakdown[str, Estimate]:
    """Satisfaction with the rental by how it went."""
    from cxmodel import by
    from cxmodel.metrics import Csat

    told = journeys.with_attributes(_ways(study), journey="journey", columns=["way"])
    return told.measure(Csat(question="rental_csat"), by=by.attribute("way"))


def _ways(study: Study) -> list[dict[str, object]]:
    """Per journey with a car: what became of its problem."""
    passed: dict[object, set[object]] = {}
    for event in study.events.to_dicts():
        passed.setdefault(event["journey"], set()).add(event["touchpoint"])
    return [{"journey": journey, "way": _way(names)} for journey, names in passed.items() if "Picks up car" in names]


def _way(passed: set[object]) -> str:
    if not passed & {"Breakdown", "Question"}:
        return "no problem"
    if "Problem solved" not in passed:
        return "left alone"
    return "rescued by a message" if "Direct message" in passed else "solved by a call"
