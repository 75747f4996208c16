"""A museum: an online visit that becomes a membership."""

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
    Floats,
    Integers,
    ResponseRows,
    between,
    generator,
    happens,
    numbered,
    only,
    pick,
    require_positive,
    texts,
)
from cxmodel.datasets.museum_mechanism import (
    CATALOGUE,
    CES_BASE,
    CES_NOISE,
    CHANCE,
    CSAT,
    DESK_SERVICE_S,
    EMAIL_WITHOUT_ORDER,
    ENTERS,
    HOUR_SHARES,
    JOINS_FROM_PAGE,
    LOAD,
    LONG_QUEUE_S,
    NPS_NOISE,
    OPENS,
    PERSONAS,
    RETURNS,
    SHARES,
    SOURCES,
    Facts,
    chance_of_interest,
    expected_truth,
    latent_nps,
)
from cxmodel.datasets.study import Study, Table

_RESPONSE_RATE, _BLANK_RATE = 0.35, 0.04
_FIRST_START_DAYS = 240


@frozen(kw_only=True, eq=False)
class _Visits:
    """What happens in each journey of one round, one entry per journey, times in seconds."""

    customer: Integers
    persona: Integers
    member: Booleans
    start: Integers
    poster: Booleans
    hours: Booleans
    buys: Booleans
    mobile: Booleans
    arrives: Integers
    wait: Integers
    desk: Booleans
    facts: Facts
    interest: Booleans
    joins: Booleans
    score: Integers
    party: Integers


def museum(customers: int = 2000, seed: int = 0) -> Study:
    """Generate a year of museum visits, some of which become memberships.

    Curious tourists, local families and art students see a poster or not, search the website, read the
    opening hours, and buy a ticket online or queue at the ticket desk. Some never come. Inside they may take
    the audio guide, sit in the café or ask staff. Those whose address is known get an e-mail the next day;
    everybody who entered gets an NPS survey on the third day. Some open the membership page in the weeks
    after, and six in ten of these join. Promoters come back for a second visit more often than others;
    members need no ticket then.

    The queue is the stationary waiting time of a desk with one clerk, P(wait > t) = ρ·exp(−(1 − ρ)·t /
    service), three minutes per party, with a load ρ of 0.35 to 0.92 by hour and weekend. About 35 % of those
    asked answer, at random, and 4 % of answers are blanks coded 11. Journeys start and end in 2025, times are
    UTC, money is EUR.

    Planted on the log odds of opening the membership page: audio guide +0.9, asking staff +0.3, post-visit
    e-mail +0.5, a queue of more than 15 minutes −1.1, café 0, poster 0, and the persona: tourists −2.6,
    families −0.9, students −1.4. Personas confound: tourists take the audio guide and rarely join, families
    sit in the café and often join, so without the persona the café looks better than the audio guide,
    although it does nothing. On the NPS: audio guide +1 point, asking staff +1, a long queue −3. Effort (CES
    2.0) is one point worse on a mobile.

    Truth, by exact enumeration of the mechanism for first visits (no simulation):

    - `membership` under "all" and per persona: P(joins), journeys that never enter included.
    - `removal_effect` per touchpoint and for "Long queue": (E[Y] − E[Y | do(absent)]) / E[Y], signed.
    - `naive_difference` per touchpoint: P(joins | reached) − P(joins | not reached), among those who
      entered.
    - `nps` in points under "all", "long queue", "no long queue".
    - `queue`: the share of desk visits of "over 15 minutes".
    - `ces2_mean` by channel and `csat` (share of 4 and 5) after "Asks staff".
    - `returns`: chance of a second visit for "promoters" and "others", by the score they would give.

    Args:
        customers: Number of customers, 1 or more.
        seed: 0 or a positive whole number.

    Returns:
        The study; goals "membership" and "ticket", questions "nps", "ces" and "csat".

    Raises:
        ValueError: `customers` is below 1 or `seed` is negative.

    Example:
        >>> study = museum(customers=50, seed=1)
        >>> study.events.to_dicts()[0]["touchpoint"]
        'Sees poster'
        >>> effects = study.truth["removal_effect"]
        >>> effects["Audio guide"] > 0 > effects["Long queue"], effects["Café"]
        (True, 0.0)
    """
    require_positive("customers", customers)
    rng = generator(seed)
    persona = pick(rng, SHARES, customers)
    start = between(rng, 0, _FIRST_START_DAYS * DAY - 1, customers)
    first = _draw(rng, np.arange(customers), persona, np.zeros(customers, np.bool_), start)
    chance = np.where(first.score >= 9, RETURNS["promoters"], RETURNS["others"])
    again = np.flatnonzero(happens(rng, chance, customers) & first.facts.entered)
    restart = first.arrives[again] + between(rng, 45 * DAY, 70 * DAY, len(again))
    second = _draw(rng, again, persona[again], first.joins[again], restart)
    return _study(rng, numbered("visitor", customers), persona, (first, second))


def _draw(
    rng: np.random.Generator, customer: Integers, persona: Integers, member: Booleans, start: Integers
) -> _Visits:
    size = len(customer)
    chosen = {name: happens(rng, np.array(chances)[persona], size) for name, chances in CHANCE.items()}
    buys = chosen["Buys ticket online"] & ~member
    ticket = buys | member
    entered = happens(rng, np.where(ticket, ENTERS["ticket"], ENTERS["none"]), size)
    arrives, load = _arrivals(rng, start)
    desk = entered & ~ticket
    wait = np.where(desk, _waits(rng, load), 0)
    address = ticket | happens(rng, EMAIL_WITHOUT_ORDER, size)
    facts = Facts(
        entered=entered,
        long_queue=wait > LONG_QUEUE_S,
        audio=chosen["Audio guide"] & entered,
        cafe=chosen["Café"] & entered,
        staff=chosen["Asks staff"] & entered,
        email=address & entered,
    )
    interest = happens(rng, chance_of_interest(persona, facts), size) & entered & ~member
    noise = np.array(list(NPS_NOISE))[pick(rng, list(NPS_NOISE.values()), size)]
    return _Visits(
        customer=customer,
        persona=persona,
        member=member,
        start=start,
        poster=chosen["Sees poster"],
        hours=chosen["Reads opening hours"],
        buys=buys,
        mobile=happens(rng, 0.4, size),
        arrives=arrives,
        wait=wait,
        desk=desk,
        facts=facts,
        interest=interest,
        joins=happens(rng, JOINS_FROM_PAGE, size) & interest,
        score=np.clip(latent_nps(persona, facts) + noise, 0, 10),
        party=np.where(persona == 1, rng.integers(2, 6, size), rng.integers(1, 3, size)),
    )


def _arrivals(rng: np.random.Generator, start: Integers) -> tuple[Integers, Floats]:
    """Give the instant and the load of the desk, on one of the seven days from the fourth after the start."""
    day = start // DAY + 4 + rng.integers(0, 7, len(start))
    hour = pick(rng, HOUR_SHARES, len(start))
    # The first of January 2025 is a Wednesday.
    weekend = ((day + 2) % 7 >= 5).astype(np.int64)
    return day * DAY + (OPENS + hour) * HOUR + between(rng, 0, HOUR - 1, len(start)), np.array(LOAD)[weekend, hour]


def _waits(rng: np.random.Generator, load: Floats) -> Integers:
    waits = rng.standard_exponential(len(load)) * DESK_SERVICE_S / (1 - load)
    # The door closes the queue at two hours; no planted quantity looks beyond 15 minutes.
    return np.where(rng.random(len(load)) < load, np.minimum(waits, 2 * HOUR), 0).astype(np.int64)


def _study(
    rng: np.random.Generator, ids: NDArray[np.object_], persona: Integers, rounds: tuple[_Visits, _Visits]
) -> Study:
    names = [texts([f"{ids[who]}/{number}" for who in visits.customer]) for number, visits in enumerate(rounds, 1)]
    journeys, owners = np.concatenate(names), ids[np.concatenate([visits.customer for visits in rounds])]
    visits = _joined(rounds)
    rows = EventRows(CATALOGUE, SOURCES, journeys, owners, ("until", "value"))
    answers = ResponseRows(journeys, owners)
    bought = _before(rng, rows, visits)
    _during(rng, rows, answers, visits)
    _afterwards(rng, rows, answers, visits)
    _ask(
        rng,
        answers,
        "ces",
        visits.buys,
        _effort(rng, visits),
        earliest=bought + 1,
        within=30 * MINUTE,
        about="Buys ticket online",
    )
    return Study(
        name="museum",
        title="A museum visit that becomes a membership",
        description=(
            "Tourists, families and students plan a visit online, queue or not, visit, are asked how it "
            "was, and some become members. The audio guide wins members and a long queue at the ticket "
            "desk loses them; the café does neither, although families, who join most, are the ones who "
            "sit in it."
        ),
        events=rows.table(),
        responses=answers.table(),
        customers=Table(
            {
                "customer": ids,
                "persona": texts(PERSONAS)[persona],
                "segment": texts(("from abroad", "local"))[(persona > 0).astype(np.int64)],
            }
        ),
        journeys=Table(
            {
                "journey": journeys,
                "customer": owners,
                "visit": np.repeat([1, 2], [len(visits.customer) for visits in rounds]),
                "party": visits.party,
            }
        ),
        catalogue=CATALOGUE,
        goals={"membership": ("Joins as member",), "ticket": ("Buys ticket online", "Ticket desk")},
        scales={"nps": "nps", "ces": "ces2", "csat": "csat"},
        truth=expected_truth(),
        blank=BLANK,
        currency="EUR",
    )


def _joined(rounds: tuple[_Visits, _Visits]) -> _Visits:
    first, second = rounds
    plain = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in _Visits.__annotations__
        if name != "facts"
    }
    return _Visits(facts=first.facts.followed_by(second.facts), **plain)


def _before(rng: np.random.Generator, rows: EventRows, visits: _Visits) -> Integers:
    size = len(visits.start)
    handheld = texts(("web", "mobile"))[visits.mobile.astype(np.int64)]
    rows.add("Sees poster", visits.poster, visits.start)
    searched = visits.start + between(rng, 10 * MINUTE, DAY, size)
    rows.add("Searches website", np.ones(size, np.bool_), searched, channel=handheld)
    read = searched + between(rng, MINUTE, 20 * MINUTE, size)
    rows.add("Reads opening hours", visits.hours, read)
    bought = read + between(rng, 2 * MINUTE, DAY, size)
    rows.add("Buys ticket online", visits.buys, bought, value=visits.party * 14.0, channel=handheld)
    return bought


def _during(rng: np.random.Generator, rows: EventRows, answers: ResponseRows, visits: _Visits) -> None:
    size, facts = len(visits.start), visits.facts
    served = visits.arrives + visits.wait + between(rng, MINUTE, 4 * MINUTE, size)
    rows.add("Ticket desk", visits.desk, visits.arrives, until=served, value=visits.party * 16.0)
    inside = np.where(visits.desk, served, visits.arrives) + between(rng, MINUTE, 3 * MINUTE, size)
    rows.add("Enters museum", facts.entered, inside)
    rows.add("Audio guide", facts.audio, inside + between(rng, 2 * MINUTE, 9 * MINUTE, size), value=5.0)
    asked = inside + between(rng, 10 * MINUTE, 100 * MINUTE, size)
    rows.add("Asks staff", facts.staff, asked)
    rested = inside + between(rng, 30 * MINUTE, 120 * MINUTE, size)
    rows.add("Café", facts.cafe, rested, value=visits.party * 6.5)
    _ask(
        rng,
        answers,
        "csat",
        facts.staff,
        1 + pick(rng, CSAT, size),
        earliest=asked + 1,
        within=20 * MINUTE,
        about="Asks staff",
    )


def _afterwards(rng: np.random.Generator, rows: EventRows, answers: ResponseRows, visits: _Visits) -> None:
    size, facts = len(visits.start), visits.facts
    next_day = visits.arrives // DAY * DAY + DAY
    rows.add("Post-visit e-mail", facts.email, next_day + between(rng, 8 * HOUR, 9 * HOUR, size))
    surveyed = next_day + 2 * DAY + between(rng, 8 * HOUR, 9 * HOUR, size)
    rows.add("NPS survey", facts.entered, surveyed)
    comments = only(facts.long_queue & (visits.score <= 6), "We waited far too long for our tickets.")
    _ask(
        rng,
        answers,
        "nps",
        facts.entered,
        visits.score,
        earliest=surveyed + MINUTE,
        within=2 * DAY,
        about=None,
        comment=comments,
    )
    opened = next_day + between(rng, 10 * HOUR, 20 * DAY, size)
    handheld = texts(("web", "mobile"))[happens(rng, 0.3, size).astype(np.int64)]
    rows.add("Membership page", visits.interest, opened, channel=handheld)
    by_phone = texts(("web", "phone"))[happens(rng, 0.15, size).astype(np.int64)]
    fee = np.where(visits.persona == 1, 90.0, np.where(visits.persona == 2, 35.0, 60.0))
    rows.add(
        "Joins as member",
        visits.joins,
        opened + between(rng, 3 * MINUTE, DAY, size),
        value=fee,
        channel=by_phone,
    )


def _effort(rng: np.random.Generator, visits: _Visits) -> Integers:
    noise = np.array(list(CES_NOISE))[pick(rng, list(CES_NOISE.values()), len(visits.start))]
    effort: Integers = np.where(visits.mobile, CES_BASE["mobile"], CES_BASE["web"]) + noise
    return effort


def _ask(
    rng: np.random.Generator,
    answers: ResponseRows,
    question: str,
    asked: Booleans,
    score: Integers,
    *,
    earliest: Integers,
    within: int,
    about: str | None,
    comment: NDArray[np.object_] | None = None,
) -> None:
    size = len(asked)
    answered = asked & happens(rng, _RESPONSE_RATE, size)
    given = np.where(happens(rng, _BLANK_RATE, size), BLANK, score)
    answers.add(question, answered, given, earliest + between(rng, 0, within, size), about=about, comment=comment)
