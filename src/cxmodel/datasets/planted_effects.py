"""A small study for checking methods: every effect on the goal is planted and known exactly."""

from collections.abc import Iterator, Mapping
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cxmodel.datasets.drawing import (
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
    logistic,
    numbered,
    pick,
    require_positive,
    texts,
)
from cxmodel.datasets.study import Study, Table

_PERSONAS = ("Just looking", "Comparing", "Ready to buy")
_SHARES = (0.3, 0.4, 0.3)
_INTENT = (-1.2, 0.0, 1.2)
_CHANCE = {"Ad": (0.15, 0.43, 0.76), "Chat": (0.35,) * 3, "Complaint": (0.2,) * 3, "Gift": (0.04,) * 3}
_LOGIT = {"Ad": 0.0, "Chat": 0.8, "Complaint": -1.2, "Gift": 1.5}
_POINTS = {"Ad": 0, "Chat": 1, "Complaint": -2, "Gift": 2}
_BASE_LOGIT, _BASE_POINTS = -1.6, 5

_CATALOGUE = {
    "Home": entry("Discover", "web", "Marketing", "action", "customer"),
    "Ad": entry("Discover", "advertising", "Marketing", "communication", "organisation"),
    "Chat": entry("Decide", "web", "Service", "communication", "customer"),
    "Complaint": entry("Decide", "phone", "Service", "communication", "customer"),
    "Gift": entry("Decide", "email", "Marketing", "communication", "organisation"),
    "Checkout": entry("Buy", "web", "Sales", "action", "customer"),
}
_SOURCES = {"web": "web analytics", "advertising": "ad server", "phone": "call centre", "email": "mailing"}


def known_truth(journeys: int = 5000, seed: int = 0) -> Study:
    """Generate journeys whose touchpoints have known effects on conversion and on a score.

    Everybody starts at Home. Ad, Chat, Complaint and Gift follow or not, in random order, and some journeys
    end with Checkout. The persona (how ready a customer is to buy) raises both the chance of seeing the Ad
    and the chance of
    Checkout: it is the one confounder. Planted on the log odds of Checkout: Chat +0.8, Gift +1.5, Complaint
    −1.2, Ad 0, Home 0 (it is in every journey). So the Ad *looks* effective until the persona is held
    constant, Home takes credit from every rule that shares credit out, and Complaint harms although it stands
    on paths that convert. Half of the journeys, at random, also answer a satisfaction question from 0 to 10
    on which effects are exactly
    additive: Chat +1, Gift +2, Complaint −2, Ad 0, persona −1, 0, +1, and noise of −1, 0 or +1.

    Truth, by exact enumeration of the 48 combinations of persona and touchpoints (no simulation):

    - `conversion` under "all" and per persona: P(Checkout).
    - `removal_effect` per touchpoint: (E[Y] − E[Y | do(touchpoint absent)]) / E[Y], a share of conversions,
      signed.
    - `naive_difference` per touchpoint: P(Checkout | seen) − P(Checkout | not seen), what confounding makes
      of it.
    - `score_effect` per touchpoint: points on the satisfaction scale.

    Args:
        journeys: Number of journeys, one customer each, 1 or more.
        seed: 0 or a positive whole number.

    Returns:
        The study.

    Raises:
        ValueError: `journeys` is below 1 or `seed` is negative.

    Example:
        >>> study = known_truth(100, seed=1)
        >>> {name: round(effect, 3) for name, effect in study.truth["removal_effect"].items()}
        {'Home': 0.0, 'Ad': 0.0, 'Chat': 0.186, 'Complaint': -0.129, 'Gift': 0.046}
    """
    require_positive("journeys", journeys)
    rng = generator(seed)
    customers = numbered("customer", journeys)
    names = numbered("journey", journeys)
    persona = pick(rng, _SHARES, journeys)
    seen = {name: happens(rng, np.array(chances)[persona], journeys) for name, chances in _CHANCE.items()}
    logit = _BASE_LOGIT + np.array(_INTENT)[persona] + sum(_LOGIT[name] * seen[name] for name in seen)
    converted = happens(rng, logistic(logit), journeys)
    rows = EventRows(_CATALOGUE, _SOURCES, names, customers)
    end = _add_events(rng, rows, seen, converted)
    responses = _answers(rng, ResponseRows(names, customers), persona, seen, end)
    return Study(
        name="known_truth",
        title="Four touchpoints whose effects are known",
        description=(
            "Customers start at Home and may meet an Ad, a Chat, a Complaint and a Gift before they "
            "check out. Chat and Gift help, Complaint harms, Ad and Home do nothing; readiness to buy "
            "brings both the Ad and the Checkout, so the Ad looks useful until the persona is held "
            "constant."
        ),
        events=rows.table(),
        responses=responses,
        customers=Table({"customer": customers, "persona": texts(_PERSONAS)[persona]}),
        journeys=Table({"journey": names, "customer": customers}),
        catalogue=_CATALOGUE,
        goals={"purchase": ("Checkout",)},
        scales={"satisfaction": "own:0:10:8:higher"},
        truth=_truth(),
    )


def _add_events(
    rng: np.random.Generator, rows: EventRows, seen: Mapping[str, Booleans], converted: Booleans
) -> Integers:
    size = len(converted)
    start = between(rng, 0, 330 * DAY, size)
    rows.add("Home", np.ones(size, np.bool_), start)
    # A random rank per journey is a random order; a slot of three hours each keeps times apart.
    rank = np.argsort(rng.random((size, len(seen))), axis=1)
    for place, (name, happened) in enumerate(seen.items()):
        slot = rank[:, place] * 3 * HOUR
        rows.add(name, happened, start + 5 * MINUTE + slot + between(rng, 0, 2 * HOUR, size))
    checkout = start + 12 * HOUR + between(rng, 30 * MINUTE, 2 * HOUR, size)
    rows.add("Checkout", converted, checkout)
    return checkout


def _answers(
    rng: np.random.Generator,
    rows: ResponseRows,
    persona: Integers,
    seen: Mapping[str, Booleans],
    end: Integers,
) -> Table:
    size = len(persona)
    effect: NDArray[np.int64] = np.sum([_POINTS[name] * seen[name].astype(np.int64) for name in seen], axis=0)
    score = _BASE_POINTS + (persona - 1) + effect + rng.integers(-1, 2, size)
    rows.add("satisfaction", happens(rng, 0.5, size), score, end + between(rng, HOUR, 3 * DAY, size))
    return rows.table()


def _cells() -> Iterator[tuple[float, int, dict[str, bool]]]:
    for persona, flags in product(range(len(_PERSONAS)), product((False, True), repeat=len(_CHANCE))):
        seen = dict(zip(_CHANCE, flags, strict=True))
        weight = _SHARES[persona]
        for name, there in seen.items():
            chance = _CHANCE[name][persona]
            weight *= chance if there else 1 - chance
        yield weight, persona, seen


def _conversion(persona: int, seen: Mapping[str, bool], without: str | None = None) -> float:
    logit = _BASE_LOGIT + _INTENT[persona]
    logit += sum(_LOGIT[name] for name, there in seen.items() if there and name != without)
    return float(logistic(logit))


def _truth() -> dict[str, dict[str, float]]:
    cells = list(_cells())
    total = sum(weight * _conversion(persona, seen) for weight, persona, seen in cells)
    conversion = {"all": total}
    for index, name in enumerate(_PERSONAS):
        part = sum(weight * _conversion(persona, seen) for weight, persona, seen in cells if persona == index)
        conversion[name] = part / _SHARES[index]
    removal, naive = {"Home": 0.0}, {}
    for name in _CHANCE:
        without = sum(weight * _conversion(persona, seen, name) for weight, persona, seen in cells)
        removal[name] = (total - without) / total
        reached = sum(weight for weight, _, seen in cells if seen[name])
        wins = sum(weight * _conversion(persona, seen) for weight, persona, seen in cells if seen[name])
        naive[name] = wins / reached - (total - wins) / (1 - reached)
    score: dict[str, float] = {"Home": 0.0} | {name: float(points) for name, points in _POINTS.items()}
    return {
        "conversion": conversion,
        "removal_effect": removal,
        "naive_difference": naive,
        "score_effect": score,
    }
