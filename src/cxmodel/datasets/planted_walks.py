"""Walks with planted effects: step by step to the goal, by mechanisms that no estimator was written for."""

from collections.abc import Callable, Mapping
from typing import Literal, TypeAlias

import numpy as np
from attrs import frozen

from cxmodel.datasets.drawing import (
    DAY,
    HOUR,
    MINUTE,
    Booleans,
    Floats,
    Integers,
    between,
    entry,
    generator,
    happens,
    logistic,
    numbered,
    pick,
    require_positive,
    texts,
    times,
)
from cxmodel.datasets.study import Study, Table

Mechanism: TypeAlias = Literal["interaction", "position", "repetition", "length", "nothing"]

_PERSONAS = ("Just looking", "Comparing", "Ready to buy")
_PERSONA_SHARES = (0.3, 0.4, 0.3)
_NAMES = ("Ad", "Chat", "Complaint", "Gift")
_AD, _CHAT, _COMPLAINT, _GIFT = range(4)
_SHARES = np.array([[0.25, 0.375, 0.25, 0.125], [0.4, 0.3, 0.2, 0.1], [0.58, 0.21, 0.14, 0.07]])
_STEPS = 12
_BASE_LOGIT, _PERSONA_LOGIT, _STOP = -2.6, 0.6, 0.25
_BASE_POINTS = 5

_CATALOGUE = {
    "Home": entry("Discover", "web", "Marketing", "action", "customer"),
    "Ad": entry("Discover", "advertising", "Marketing", "communication", "organisation"),
    "Chat": entry("Decide", "web", "Service", "communication", "customer"),
    "Complaint": entry("Decide", "phone", "Service", "communication", "customer"),
    "Gift": entry("Decide", "email", "Marketing", "communication", "organisation"),
    "Checkout": entry("Buy", "web", "Sales", "action", "customer"),
}


@frozen(eq=False)
class _Rules:
    """How touchpoints work: what a journey remembers of them, and what that does.

    Attributes:
        about: One sentence.
        states: Number of states of memory; every journey starts in state 0.
        follow: State and touchpoint to the next state.
        logit: (states,) what is added to the log odds of converting at the next step.
        plan: Most steps that a journey may be meant to have; 0 where each step may be the last.
    """

    about: str
    states: int
    follow: Callable[[Integers, Integers], Integers]
    logit: Floats
    plan: int = 0

    @property
    def points(self) -> Integers:
        """(states,) points on the satisfaction scale: twice the log odds, rounded."""
        return np.round(2 * self.logit).astype(np.int64)


def _rules(mechanism: str) -> _Rules:
    if mechanism == "interaction":
        there = np.arange(8)[:, None] >> np.arange(3) & 1
        chat, complaint, gift = there.T
        return _Rules(
            "A chat helps only after a complaint, and a gift helps always.", 8,
            lambda state, touch: np.where(touch == _AD, state, state | 1 << np.maximum(touch - 1, 0)),
            1.2 * chat * complaint - 0.8 * complaint + 0.6 * gift,
        )  # fmt: skip
    if mechanism == "position":
        late = 1.2 / (1 + np.arange(_STEPS + 1))
        return _Rules(
            "A chat helps for good, and the less the later it first comes.", 2 * _STEPS + 2,
            lambda state, touch: np.where(
                state > _STEPS, state, np.where(touch == _CHAT, state + _STEPS + 1, np.minimum(state + 1, _STEPS))
            ),
            np.concatenate([np.zeros(_STEPS + 1), late]),
        )  # fmt: skip
    if mechanism == "repetition":
        return _Rules(
            "Only the latest touchpoint works, and it works anew each time that it comes.", 5,
            lambda state, touch: touch + 1, np.array([0.0, 0.0, 0.6, -1.0, 1.0]),
        )  # fmt: skip
    if mechanism in ("length", "nothing"):
        planned = mechanism == "length"
        about = "Long journeys are meant to be long and convert more" if planned else "Chance and persona decide"
        return _Rules(
            f"{about}; touchpoints do nothing.", 1, lambda state, touch: state, np.zeros(1), 7 if planned else 0
        )
    raise ValueError(f"mechanism is {mechanism!r}; give 'interaction', 'position', 'repetition', 'length' or 'nothing'")


def walks(mechanism: Mechanism, journeys: int = 5000, seed: int = 0) -> Study:
    """Generate journeys that go step by step, under a mechanism whose effects are known exactly.

    Every journey starts at Home. Then, up to twelve times: it converts (Checkout) with log odds −2.6, +0.6 per
    rank of the persona (−1, 0, 1), plus what the mechanism adds; else it stops with chance 0.25; else it passes
    one of Ad, Chat, Complaint and Gift, which may come again. The persona is the one confounder: it moves the
    chance to convert and which touchpoints come (the readier, the more Ads).

    - ``"interaction"``: a chat adds 1.2 only if a complaint was there too, a complaint −0.8, a gift 0.6.
    - ``"position"``: a chat adds 1.2 / its place among the touchpoints after Home, from then on.
    - ``"repetition"``: the latest touchpoint adds: Chat 0.6, Complaint −1.0, Gift 1.0.
    - ``"length"``: each journey is meant to have 0 to 7 steps, and converts at its end with chance 0.05 per
      persona (1, 2, 3) and 0.07 per step meant. Touchpoints do nothing.
    - ``"nothing"``: the walk with nothing added.

    Identities: three of four journeys begin a new customer, the others belong to the customer before, whose
    persona they share; such a journey starts after the one before it. Half of the journeys, at random, also
    answer a satisfaction question: 5, the rank of the persona, twice the added log odds at the end (rounded; for
    "length" half a point per step meant, rounded down), and noise of −1, 0 or +1.

    Truth, by exact forward enumeration (no simulation), per touchpoint:

    - `replacement_effect`: (E[Y] − E[Y | do(another comes in its place)]) / E[Y], a share of conversions, signed:
      the others come in proportion to their shares.
    - `removal_effect`: the same if its steps pass in silence.
    - `score_effect`: E[score] − E[score | do(another comes in its place)], points per journey.

    Args:
        mechanism: Which effects are planted.
        journeys: Number of journeys, 1 or more.
        seed: 0 or a positive whole number.

    Returns:
        The study.

    Raises:
        ValueError: The mechanism is unknown, `journeys` is below 1 or `seed` is negative.

    Example:
        >>> study = walks("repetition", 100, seed=1)
        >>> {name: round(effect, 3) for name, effect in study.truth["replacement_effect"].items()}
        {'Ad': -0.073, 'Chat': 0.092, 'Complaint': -0.089, 'Gift': 0.058}
    """
    rules = _rules(mechanism)
    require_positive("journeys", journeys)
    rng = generator(seed)
    fresh = happens(rng, 0.75, journeys)
    fresh[0] = True
    owner = np.cumsum(fresh) - 1
    persona = pick(rng, _PERSONA_SHARES, int(owner[-1]) + 1)
    drawn = _walked(rng, rules, persona[owner])
    customers, names = numbered("customer", len(persona)), numbered("journey", journeys)
    start = between(rng, 0, 30 * DAY, len(persona))[owner] + _place_in(fresh) * 30 * DAY
    events, end = _events(rng, drawn, start, names, customers[owner])
    return Study(
        name="walks",
        title=f"Walks with known effects: {mechanism}",
        description=f"Customers start at Home, go on step by step, and buy or stop. {rules.about}",
        events=events,
        responses=_answers(rng, rules, drawn, persona[owner], end, names, customers[owner]),
        customers=Table({"customer": customers, "persona": texts(_PERSONAS)[persona]}),
        journeys=Table({"journey": names, "customer": customers[owner]}),
        catalogue=_CATALOGUE,
        goals={"purchase": ("Checkout",)},
        scales={"satisfaction": "own:0:10:8:higher"},
        truth=_truth(rules),
    )


@frozen(eq=False)
class _Drawn:
    """Journeys as drawn.

    Attributes:
        touch: (journeys, steps) touchpoint passed at each step, −1 for none.
        won: Whether each converted.
        state: Memory of each at its end.
        planned: Steps that each was meant to have.
    """

    touch: Integers
    won: Booleans
    state: Integers
    planned: Integers


def _walked(rng: np.random.Generator, rules: _Rules, persona: Integers) -> _Drawn:
    size = len(persona)
    planned = rng.integers(0, rules.plan + 1, size)
    touch = np.full((size, _STEPS), -1, np.int64)
    state, won, running = np.zeros(size, np.int64), np.zeros(size, np.bool_), np.ones(size, np.bool_)
    borders = np.cumsum(_SHARES, axis=1)[:, :-1]
    for step in range(_STEPS):
        if rules.plan:
            running = running & (step < planned)
        else:
            chance = logistic(_BASE_LOGIT + _PERSONA_LOGIT * (persona - 1) + rules.logit[state])
            converts = running & happens(rng, chance, size)
            won |= converts
            running = running & ~converts & ~happens(rng, _STOP, size)
        which = (rng.random(size)[:, None] > borders[persona]).sum(axis=1)
        touch[running, step] = which[running]
        state[running] = rules.follow(state[running], which[running])
    if rules.plan:
        won = happens(rng, 0.05 * (persona + 1) + 0.07 * planned, size)
    return _Drawn(touch, won, state, planned)


def _place_in(fresh: Booleans) -> Integers:
    """How many journeys of the same customer come before each."""
    rows = np.arange(len(fresh))
    return np.asarray(rows - np.maximum.accumulate(np.where(fresh, rows, 0)), dtype=np.int64)


def _events(
    rng: np.random.Generator, drawn: _Drawn, start: Integers, names: np.ndarray, customers: np.ndarray
) -> tuple[Table, Integers]:
    size = len(start)
    gaps = between(rng, 5 * MINUTE, HOUR, size * (_STEPS + 1)).reshape(size, _STEPS + 1)
    clock = start[:, None] + np.concatenate([np.zeros((size, 1), np.int64), np.cumsum(gaps, axis=1)], axis=1)
    passed = (drawn.touch >= 0).sum(axis=1)
    end = np.take_along_axis(clock, passed[:, None] + 1, axis=1)[:, 0]
    code = np.concatenate([np.zeros((size, 1), np.int64), drawn.touch + 1, np.zeros((size, 1), np.int64)], axis=1)
    there = np.concatenate([np.ones((size, 1), np.bool_), drawn.touch >= 0, drawn.won[:, None]], axis=1)
    code[:, -1] = len(_CATALOGUE) - 1
    when = np.concatenate([clock[:, :-1], end[:, None]], axis=1)[there]
    owner, what = np.nonzero(there)[0], code[there]
    order = np.argsort(when, kind="stable")
    owner, what = owner[order], what[order]
    channels = texts([facts["channel"] for facts in _CATALOGUE.values()])
    departments = texts([facts["department"] for facts in _CATALOGUE.values()])
    sources = texts(["web analytics", "ad server", "web analytics", "call centre", "mailing", "web analytics"])
    return Table({
        "customer": customers[owner], "journey": names[owner], "touchpoint": texts(list(_CATALOGUE))[what],
        "time": times(when[order]), "channel": channels[what], "department": departments[what], "source": sources[what],
    }), end  # fmt: skip


def _answers(
    rng: np.random.Generator, rules: _Rules, drawn: _Drawn, persona: Integers, end: Integers, names: np.ndarray,
    customers: np.ndarray,
) -> Table:  # fmt: skip
    size = len(persona)
    score = _BASE_POINTS + persona - 1 + rules.points[drawn.state] + drawn.planned // 2 + rng.integers(-1, 2, size)
    when = end + between(rng, HOUR, 3 * DAY, size)
    rows = np.flatnonzero(happens(rng, 0.5, size))
    rows = rows[np.argsort(when[rows], kind="stable")]
    return Table({
        "response": numbered("response", len(rows)), "customer": customers[rows], "journey": names[rows],
        "question": texts(["satisfaction"] * len(rows)), "score": score[rows], "time": times(when[rows]),
        "about": texts([None] * len(rows)), "comment": texts([None] * len(rows)),
    })  # fmt: skip


def _truth(rules: _Rules) -> Mapping[str, Mapping[str, float]]:
    if rules.plan:
        none: dict[str, float] = dict.fromkeys(_NAMES, 0.0)
        return {"replacement_effect": none, "removal_effect": none, "score_effect": none}
    won, score = _expected(rules, _SHARES)
    truth: dict[str, dict[str, float]] = {"replacement_effect": {}, "removal_effect": {}, "score_effect": {}}
    for code, name in enumerate(_NAMES):
        silent = _SHARES.copy()
        silent[:, code] = 0.0
        replaced, points = _expected(rules, silent / silent.sum(axis=1, keepdims=True))
        truth["replacement_effect"][name] = (won - replaced) / won
        truth["removal_effect"][name] = (won - _expected(rules, silent)[0]) / won
        truth["score_effect"][name] = score - points
    return truth


def _expected(rules: _Rules, shares: Floats) -> tuple[float, float]:
    """Share converted and mean score, where what lacks to 1 in the shares of touchpoints is silence."""
    state, won, score = np.arange(rules.states), 0.0, 0.0
    points = _BASE_POINTS + rules.points
    for persona, share in enumerate(_PERSONA_SHARES):
        chance = logistic(_BASE_LOGIT + _PERSONA_LOGIT * (persona - 1) + rules.logit)
        here = share * (state == 0)
        for _ in range(_STEPS):
            converts = here * chance
            stops = (here - converts) * _STOP
            won += converts.sum()
            score += ((converts + stops) * (points + persona - 1)).sum()
            on = here - converts - stops
            here = on * (1 - shares[persona].sum())
            for code in range(len(_NAMES)):
                there = rules.follow(state, np.full(rules.states, code))
                here = here + np.bincount(there, on * shares[persona, code], rules.states)
        score += (here * (points + persona - 1)).sum()
    return float(won), float(score)
