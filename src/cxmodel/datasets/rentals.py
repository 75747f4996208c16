"""A car rental: failed phone calls that are rescued by a direct message."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from attrs import frozen
from numpy.typing import NDArray

from cxmodel.datasets.drawing import (
    BLANK,
    DAY,
    HOUR,
    MINUTE,
    Booleans,
    EventRows,
    Integers,
    ResponseRows,
    between,
    entry,
    generator,
    happens,
    numbered,
    only,
    pick,
    require_positive,
    texts,
)
from cxmodel.datasets.study import Study, Table

_PERSONAS = ("Business traveller", "Holiday driver", "Weekend mover")
_SHARES = (0.3, 0.45, 0.25)
_SENDS_MESSAGE = (0.7, 0.45, 0.55)
_PICKS_UP, _NEEDS_HELP, _BREAKS_DOWN = 0.95, 0.45, 0.6
_CALL_WORKS, _CALLS_AGAIN, _MESSAGE_SOLVES, _HANDED_OVER = 0.4, 0.35, 0.75, 0.25
_RESPONSE_RATE, _BLANK_RATE, _REVIEW_RATE = 0.4, 0.03, 0.3
_AGENTS = ("Ana", "Ben", "Chloé", "Dmitri", "Efua", "Farid")
# How a rental went, the chances of 1 to 5 in its two surveys, and the chance of renting again.
_OUTCOMES = ("no problem", "solved by call", "rescued by message", "not rescued")
_RENTAL_CSAT = (
    (0.02, 0.04, 0.12, 0.40, 0.42),
    (0.03, 0.07, 0.18, 0.40, 0.32),
    (0.03, 0.06, 0.14, 0.37, 0.40),
    (0.30, 0.30, 0.20, 0.14, 0.06),
)
_CALL_CSAT = MappingProxyType({"answered": (0.04, 0.08, 0.20, 0.38, 0.30), "failed": (0.50, 0.28, 0.13, 0.06, 0.03)})
_RENTS_AGAIN = (0.30, 0.28, 0.32, 0.10)

_CATALOGUE = {
    "Searches offers": entry("Book", "web", "Sales", "action", "customer"),
    "Books car": entry("Book", "web", "Sales", "action", "customer"),
    "Booking confirmation": entry("Book", "email", "Sales", "communication", "organisation"),
    "Picks up car": entry("Drive", "in person", "Stations", "communication", "customer"),
    "Breakdown": entry("Drive", "in person", "Fleet", "action", "customer"),
    "Question": entry("Drive", "in person", "Stations", "action", "customer"),
    "Calls support": entry("Get help", "phone", "Call centre", "communication", "customer"),
    "Call fails": entry("Get help", "phone", "Call centre", "communication", "organisation"),
    "Direct message": entry("Get help", "social", "Social media", "communication", "customer"),
    "Message answered": entry("Get help", "social", "Social media", "communication", "organisation"),
    "Problem solved": entry("Get help", "mobile", "Service", "communication", "organisation"),
    "Returns car": entry("Return", "in person", "Stations", "communication", "customer"),
    "Satisfaction survey": entry("Return", "email", "Research", "survey", "organisation"),
    "Writes review": entry("Return", "web", "Marketing", "action", "customer"),
}
_SOURCES = {
    "web": "web analytics",
    "email": "mailing",
    "in person": "rental system",
    "phone": "call centre",
    "social": "social inbox",
    "mobile": "service desk",
}


@frozen(kw_only=True, eq=False)
class _Rentals:
    """What happens in each rental of one round, one entry per rental."""

    customer: Integers
    start: Integers
    days: Integers
    picked_up: Booleans
    needs_help: Booleans
    broke_down: Booleans
    calls: Integers
    answered: Booleans
    messages: Booleans
    outcome: Integers


def car_rental(customers: int = 1500, seed: int = 0) -> Study:
    """Generate car rentals in which support calls often fail and a direct message may rescue them.

    Business travellers, holiday drivers and weekend movers book a car, pick it up and return it. In 45 % of
    rentals there is a breakdown or a question, and the customer calls support. A call is answered with chance
    0.4; otherwise it fails, and 35 % try a second time. Of those whose last call failed some send a direct
    message, business travellers most often. The message is always answered, in a quarter of cases by two
    people one after the other, and it solves the problem with chance 0.75. Customers of whom a call was
    answered always get their problem solved.

    Planted: two surveys of satisfaction from 1 to 5. "call_csat", asked right after the last call, is low
    where that call failed. "rental_csat", asked after the return, is low where nobody helped, and almost as
    high as without a
    problem where the message did: the recovery. Rescued customers rent again as often as others, those left
    alone rarely. Persona decides who sends a message, and nothing else. About 40 % answer, at random; 3 % of
    answers are blanks coded 11. Events carry the contact person. Times are UTC in 2025, values are EUR.

    Truth, exact from the chances above, for first rentals:

    - `outcome`: share of picked-up rentals per outcome ("no problem", "solved by call", "rescued by
      message", "not rescued").
    - `recovery`: P(solved | last call failed) under "all" and per persona, and "given message".
    - `call_fails`: P(last call failed | called) under "last call".
    - `call_csat` and `rental_csat`: share of 4 and 5, by "answered" or "failed", and by outcome.
    - `rental_csat_mean`: mean score per outcome.
    - `rents_again`: chance of a second rental per outcome.

    Args:
        customers: Number of customers, 1 or more.
        seed: 0 or a positive whole number.

    Returns:
        The study; goals "booking", "solved" and "review", questions "call_csat" and "rental_csat".

    Raises:
        ValueError: `customers` is below 1 or `seed` is negative.

    Example:
        >>> study = car_rental(customers=50, seed=1)
        >>> round(study.truth["recovery"]["given message"], 2)
        0.75
        >>> satisfied = study.truth["rental_csat"]
        >>> round(satisfied["rescued by message"], 2), round(satisfied["not rescued"], 2)
        (0.77, 0.2)
    """
    require_positive("customers", customers)
    rng = generator(seed)
    persona = pick(rng, _SHARES, customers)
    first = _draw(rng, np.arange(customers), persona, between(rng, 0, 200 * DAY, customers))
    again = np.flatnonzero(happens(rng, np.array(_RENTS_AGAIN)[first.outcome], customers) & first.picked_up)
    restart = first.start[again] + between(rng, 60 * DAY, 110 * DAY, len(again))
    second = _draw(rng, again, persona[again], restart)
    return _study(rng, numbered("driver", customers), persona, (first, second))


def _draw(rng: np.random.Generator, customer: Integers, persona: Integers, start: Integers) -> _Rentals:
    size = len(customer)
    picked_up = happens(rng, _PICKS_UP, size)
    needs_help = happens(rng, _NEEDS_HELP, size) & picked_up
    first_works = happens(rng, _CALL_WORKS, size)
    tries_again = happens(rng, _CALLS_AGAIN, size) & ~first_works
    answered = needs_help & (first_works | (tries_again & happens(rng, _CALL_WORKS, size)))
    messages = needs_help & ~answered & happens(rng, np.array(_SENDS_MESSAGE)[persona], size)
    rescued = messages & happens(rng, _MESSAGE_SOLVES, size)
    return _Rentals(
        customer=customer,
        start=start,
        days=rng.integers(2, 15, size),
        picked_up=picked_up,
        needs_help=needs_help,
        broke_down=needs_help & happens(rng, _BREAKS_DOWN, size),
        calls=needs_help * (1 + tries_again.astype(np.int64)),
        answered=answered,
        messages=messages,
        outcome=np.select([~needs_help, answered, rescued], [0, 1, 2], 3).astype(np.int64),
    )


def _study(
    rng: np.random.Generator, ids: NDArray[np.object_], persona: Integers, rounds: tuple[_Rentals, _Rentals]
) -> Study:
    rentals = _Rentals(
        **{name: np.concatenate([getattr(part, name) for part in rounds]) for name in _Rentals.__annotations__}
    )
    number = np.repeat([1, 2], [len(part.customer) for part in rounds])
    owners = ids[rentals.customer]
    names = texts([f"{owner}/{which}" for owner, which in zip(owners, number, strict=True)])
    rows = EventRows(_CATALOGUE, _SOURCES, names, owners, ("contact", "value"))
    answers = ResponseRows(names, owners)
    pick_up = _book(rng, rows, rentals)
    _get_help(rng, rows, answers, rentals, pick_up)
    _return(rng, rows, answers, rentals, pick_up + rentals.days * DAY)
    return Study(
        name="car_rental",
        title="Failed calls rescued by a direct message",
        description=(
            "Drivers who need help on the road call support, and the call often fails. Some write a "
            "direct message instead. Where it solves the problem, satisfaction recovers and customers "
            "rent again; where nobody helps, both stay low."
        ),
        events=rows.table(),
        responses=answers.table(),
        customers=Table({"customer": ids, "persona": texts(_PERSONAS)[persona]}),
        journeys=Table({"journey": names, "customer": owners, "rental": number, "days": rentals.days}),
        catalogue=_CATALOGUE,
        goals={"booking": ("Books car",), "solved": ("Problem solved",), "review": ("Writes review",)},
        scales={"call_csat": "csat", "rental_csat": "csat"},
        truth=_truth(),
        blank=BLANK,
        currency="EUR",
    )


def _book(rng: np.random.Generator, rows: EventRows, rentals: _Rentals) -> Integers:
    """Add the stage of booking and the pick-up; give the instant of the pick-up."""
    size = len(rentals.start)
    everybody = np.ones(size, np.bool_)
    rows.add("Searches offers", everybody, rentals.start)
    booked = rentals.start + between(rng, 5 * MINUTE, 2 * DAY, size)
    rows.add("Books car", everybody, booked, value=rentals.days * 45.0)
    rows.add("Booking confirmation", everybody, booked + between(rng, 5, 2 * MINUTE, size))
    pick_up = booked + between(rng, DAY, 20 * DAY, size)
    rows.add("Picks up car", rentals.picked_up, pick_up, contact=_agents(rng, size))
    return pick_up


def _get_help(
    rng: np.random.Generator, rows: EventRows, answers: ResponseRows, rentals: _Rentals, pick_up: Integers
) -> None:
    size = len(pick_up)
    # Help is over within a day, and every rental takes at least two.
    trouble = pick_up + between(rng, HOUR, DAY, size)
    rows.add("Breakdown", rentals.broke_down, trouble)
    rows.add("Question", rentals.needs_help & ~rentals.broke_down, trouble)
    agent = _agents(rng, size)
    called = trouble + between(rng, 5 * MINUTE, 30 * MINUTE, size)
    over = called
    for attempt in (1, 2):
        tried = rentals.calls >= attempt
        works = tried & rentals.answered & (rentals.calls == attempt)
        rows.add("Calls support", tried, called, contact=only(works, agent))
        failed = called + between(rng, 2 * MINUTE, 15 * MINUTE, size)
        rows.add("Call fails", tried & ~works, failed)
        over = np.where(tried, np.where(works, called, failed), over)
        called = failed + between(rng, 10 * MINUTE, 40 * MINUTE, size)
    solved = over + between(rng, 10 * MINUTE, 2 * HOUR, size)
    rows.add("Problem solved", rentals.answered, solved, contact=agent)
    for how, chances in _CALL_CSAT.items():
        asked = rentals.needs_help & (rentals.answered == (how == "answered"))
        about = "Calls support" if how == "answered" else "Call fails"
        _ask(rng, answers, "call_csat", asked, chances, earliest=over + MINUTE, within=8 * MINUTE, about=about)
    _exchange_messages(rng, rows, rentals, over + between(rng, 10 * MINUTE, 2 * HOUR, size))


def _exchange_messages(rng: np.random.Generator, rows: EventRows, rentals: _Rentals, written: Integers) -> None:
    size = len(written)
    agent, colleague = _agents(rng, size), _agents(rng, size)
    rows.add("Direct message", rentals.messages, written)
    replied = written + between(rng, 3 * MINUTE, HOUR, size)
    rows.add("Message answered", rentals.messages, replied, contact=agent)
    handed = happens(rng, _HANDED_OVER, size)
    passed_on = replied + between(rng, 5 * MINUTE, HOUR, size)
    rows.add("Message answered", rentals.messages & handed, passed_on, contact=colleague)
    solved = passed_on + between(rng, 5 * MINUTE, 3 * HOUR, size)
    solver = np.where(handed, colleague, agent)
    rows.add("Problem solved", rentals.outcome == 2, solved, contact=solver)


def _return(
    rng: np.random.Generator, rows: EventRows, answers: ResponseRows, rentals: _Rentals, returned: Integers
) -> None:
    size = len(returned)
    rows.add("Returns car", rentals.picked_up, returned, contact=_agents(rng, size))
    surveyed = returned + between(rng, 2 * HOUR, DAY, size)
    rows.add("Satisfaction survey", rentals.picked_up, surveyed)
    for index, chances in enumerate(_RENTAL_CSAT):
        asked = rentals.picked_up & (rentals.outcome == index)
        _ask(
            rng,
            answers,
            "rental_csat",
            asked,
            chances,
            earliest=surveyed + MINUTE,
            within=2 * DAY,
            about=None,
        )
    reviews = rentals.picked_up & happens(rng, _REVIEW_RATE, size)
    rows.add("Writes review", reviews, surveyed + between(rng, HOUR, 7 * DAY, size))


def _ask(
    rng: np.random.Generator,
    answers: ResponseRows,
    question: str,
    asked: Booleans,
    chances: Sequence[float],
    *,
    earliest: Integers,
    within: int,
    about: str | None,
) -> None:
    size = len(asked)
    score = np.where(happens(rng, _BLANK_RATE, size), BLANK, 1 + pick(rng, chances, size))
    answered = asked & happens(rng, _RESPONSE_RATE, size)
    answers.add(question, answered, score, earliest + between(rng, 0, within, size), about=about)


def _agents(rng: np.random.Generator, size: int) -> NDArray[np.object_]:
    return texts(_AGENTS)[rng.integers(0, len(_AGENTS), size)]


def _truth() -> Mapping[str, Mapping[str, float]]:
    fails = (1 - _CALL_WORKS) * (1 - _CALLS_AGAIN * _CALL_WORKS)
    writes = sum(share * chance for share, chance in zip(_SHARES, _SENDS_MESSAGE, strict=True))
    rescued = fails * writes * _MESSAGE_SOLVES
    shares = (1 - _NEEDS_HELP, *(_NEEDS_HELP * part for part in (1 - fails, rescued, fails - rescued)))
    recovery = {"all": writes * _MESSAGE_SOLVES, "given message": _MESSAGE_SOLVES}
    recovery |= {name: chance * _MESSAGE_SOLVES for name, chance in zip(_PERSONAS, _SENDS_MESSAGE, strict=True)}
    means = [sum(score * chance for score, chance in enumerate(chances, 1)) for chances in _RENTAL_CSAT]
    return {
        "outcome": dict(zip(_OUTCOMES, shares, strict=True)),
        "recovery": recovery,
        "call_fails": {"last call": fails},
        "call_csat": {how: chances[3] + chances[4] for how, chances in _CALL_CSAT.items()},
        "rental_csat": {name: chances[3] + chances[4] for name, chances in zip(_OUTCOMES, _RENTAL_CSAT, strict=True)},
        "rental_csat_mean": dict(zip(_OUTCOMES, means, strict=True)),
        "rents_again": dict(zip(_OUTCOMES, _RENTS_AGAIN, strict=True)),
    }
