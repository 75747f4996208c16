"""What is planted in the museum study, and the truth that follows from it by enumeration."""

from collections.abc import Iterator, Mapping
from itertools import product
from math import exp
from types import MappingProxyType

import numpy as np
from attrs import fields_dict, frozen

from cxmodel.datasets.drawing import MINUTE, Booleans, Floats, Integers, entry, logistic

PERSONAS = ("Curious tourist", "Local family", "Art student")
SHARES = (0.45, 0.35, 0.2)
CHANCE: Mapping[str, tuple[float, float, float]] = MappingProxyType(
    {
        "Sees poster": (0.3, 0.5, 0.4),
        "Reads opening hours": (0.55, 0.6, 0.3),
        "Buys ticket online": (0.5, 0.35, 0.45),
        "Audio guide": (0.65, 0.2, 0.35),
        "Café": (0.25, 0.65, 0.25),
        "Asks staff": (0.25, 0.35, 0.15),
    }
)
ENTERS = MappingProxyType({"ticket": 0.96, "none": 0.75})
EMAIL_WITHOUT_ORDER = 0.4
JOINS_FROM_PAGE = 0.6
RETURNS = MappingProxyType({"promoters": 0.35, "others": 0.12})

OPENS = 10
HOUR_SHARES = (0.1, 0.2, 0.2, 0.15, 0.15, 0.12, 0.08)
LOAD = ((0.45, 0.7, 0.8, 0.7, 0.6, 0.5, 0.35), (0.7, 0.85, 0.92, 0.9, 0.85, 0.7, 0.5))
DESK_SERVICE_S = 3 * MINUTE
LONG_QUEUE_S = 15 * MINUTE

_LOGIT_PERSONA = (-2.6, -0.9, -1.4)
_LOGIT = MappingProxyType({"audio": 0.9, "staff": 0.3, "email": 0.5, "long_queue": -1.1, "cafe": 0.0, "entered": 0.0})
_POINTS_PERSONA = (8, 8, 9)
_POINTS = MappingProxyType({"audio": 1, "staff": 1, "long_queue": -3})
NPS_NOISE = MappingProxyType({-3: 0.05, -2: 0.1, -1: 0.2, 0: 0.35, 1: 0.2, 2: 0.1})
CES_BASE = MappingProxyType({"web": 6, "mobile": 5})
CES_NOISE = MappingProxyType({-3: 0.05, -2: 0.1, -1: 0.2, 0: 0.4, 1: 0.25})
CSAT = (0.05, 0.07, 0.13, 0.35, 0.4)

_NAMED = {
    "Audio guide": "audio",
    "Asks staff": "staff",
    "Post-visit e-mail": "email",
    "Café": "cafe",
    "Long queue": "long_queue",
}

CATALOGUE = MappingProxyType(
    {
        "Sees poster": entry("Discover", "advertising", "Marketing", "communication", "organisation"),
        "Searches website": entry("Discover", "web", "Digital", "action", "customer"),
        "Reads opening hours": entry("Plan", "mobile", "Digital", "action", "customer"),
        "Buys ticket online": entry("Plan", "web", "Sales", "action", "customer"),
        "Ticket desk": entry("Visit", "in person", "Sales", "communication", "customer"),
        "Enters museum": entry("Visit", "in person", "Visitor service", "action", "customer"),
        "Audio guide": entry("Visit", "in person", "Education", "action", "customer"),
        "Asks staff": entry("Visit", "in person", "Visitor service", "communication", "customer"),
        "Café": entry("Visit", "in person", "Catering", "action", "customer"),
        "Post-visit e-mail": entry("Remember", "email", "Marketing", "communication", "organisation"),
        "NPS survey": entry("Remember", "email", "Research", "survey", "organisation"),
        "Membership page": entry("Join", "web", "Membership", "action", "customer"),
        "Joins as member": entry("Join", "web", "Membership", "action", "customer"),
    }
)
SOURCES = MappingProxyType(
    {
        "advertising": "poster codes",
        "web": "web analytics",
        "mobile": "web analytics",
        "in person": "ticketing",
        "email": "mailing",
        "phone": "call centre",
    }
)


@frozen(kw_only=True, eq=False)
class Facts:
    """What joining and the NPS depend on, one entry per visit."""

    entered: Booleans
    long_queue: Booleans
    audio: Booleans
    cafe: Booleans
    staff: Booleans
    email: Booleans

    def followed_by(self, other: "Facts") -> "Facts":
        """Put the visits of another round behind these."""
        names = fields_dict(Facts)
        return Facts(**{name: np.concatenate([getattr(self, name), getattr(other, name)]) for name in names})


def chance_of_interest(persona: Integers, facts: Facts) -> Floats:
    """Give the chance that someone who entered opens the membership page."""
    logit = np.array(_LOGIT_PERSONA)[persona]
    return logistic(logit + sum(weight * getattr(facts, name) for name, weight in _LOGIT.items()))


def latent_nps(persona: Integers, facts: Facts) -> Integers:
    """Give the score before noise and before it is kept within 0 to 10."""
    score: Integers = np.array(_POINTS_PERSONA)[persona]
    for name, points in _POINTS.items():
        score = score + points * getattr(facts, name).astype(np.int64)
    return score


def chance_of_long_queue() -> float:
    """Give P(wait over 15 minutes) at the desk: every day of the week is equally likely, hours are not."""
    days = ((5 / 7, LOAD[0]), (2 / 7, LOAD[1]))
    return sum(
        day * hour * load * exp(-(1 - load) * LONG_QUEUE_S / DESK_SERVICE_S)
        for day, loads in days
        for hour, load in zip(HOUR_SHARES, loads, strict=True)
    )


def expected_truth() -> dict[str, dict[str, float]]:
    """Enumerate the mechanism of first visits."""
    cells = _enumerate()
    total = cells.membership()
    membership = {"all": total}
    for index, name in enumerate(PERSONAS):
        membership[name] = float(cells.joining[cells.persona == index].sum()) / SHARES[index]
    removal = {name: (total - cells.membership(without=fact)) / total for name, fact in _NAMED.items()}
    # Nothing downstream depends on these two, so taking them away changes nothing.
    removal |= {"Sees poster": 0.0, "Reads opening hours": 0.0}
    return {
        "membership": membership,
        "removal_effect": removal,
        "naive_difference": {name: cells.naive(fact) for name, fact in _NAMED.items()},
        "nps": {
            "all": cells.nps(cells.facts.entered),
            "long queue": cells.nps(cells.facts.long_queue),
            "no long queue": cells.nps(cells.facts.entered & ~cells.facts.long_queue),
        },
        "queue": {"over 15 minutes": chance_of_long_queue()},
        "ces2_mean": {channel: _mean_effort(base) for channel, base in CES_BASE.items()},
        "csat": {"Asks staff": CSAT[3] + CSAT[4]},
        "returns": dict(RETURNS),
    }


@frozen(kw_only=True, eq=False)
class _Cells:
    """Every combination of persona and facts with its probability."""

    weight: Floats
    persona: Integers
    facts: Facts

    @property
    def joining(self) -> Floats:
        """Probability of being in the cell and joining."""
        return self.weight * self.facts.entered * chance_of_interest(self.persona, self.facts) * JOINS_FROM_PAGE

    def membership(self, without: str | None = None) -> float:
        """P(joins), where one fact may be switched off everywhere."""
        kept = {name: getattr(self.facts, name) & (name != without) for name in fields_dict(Facts)}
        changed = _Cells(weight=self.weight, persona=self.persona, facts=Facts(**kept))
        return float(changed.joining.sum())

    def naive(self, fact: str) -> float:
        """P(joins | fact) − P(joins | no fact) among those who entered."""
        there = getattr(self.facts, fact)
        away = self.facts.entered & ~there
        return float(
            self.joining[there].sum() / self.weight[there].sum() - self.joining[away].sum() / self.weight[away].sum()
        )

    def nps(self, among: Booleans) -> float:
        """NPS in points among some cells."""
        latent = latent_nps(self.persona, self.facts)[among]
        weight = self.weight[among] / self.weight[among].sum()
        score = 0.0
        for noise, chance in NPS_NOISE.items():
            given = np.clip(latent + noise, 0, 10)
            score += chance * float((weight * ((given >= 9).astype(float) - (given <= 6))).sum())
        return 100 * score


def _enumerate() -> _Cells:
    found = list(_combinations())
    weight = np.array([chance for chance, _, _ in found])
    persona = np.array([who for _, who, _ in found])
    names = list(fields_dict(Facts))
    columns = {name: np.array([facts[name] for _, _, facts in found]) for name in names}
    return _Cells(weight=weight, persona=persona, facts=Facts(**columns))


def _combinations() -> Iterator[tuple[float, int, dict[str, bool]]]:
    queue = chance_of_long_queue()
    nothing = dict.fromkeys(fields_dict(Facts), False)
    for who, bought in product(range(len(PERSONAS)), (True, False)):
        enters = ENTERS["ticket" if bought else "none"]
        group = SHARES[who] * _either(CHANCE["Buys ticket online"][who], bought)
        yield group * (1 - enters), who, nothing
        for waits, audio, cafe, staff, email in product((True, False), repeat=5):
            chance = group * enters
            chance *= _either(0.0 if bought else queue, waits)
            chance *= _either(CHANCE["Audio guide"][who], audio) * _either(CHANCE["Café"][who], cafe)
            chance *= _either(CHANCE["Asks staff"][who], staff)
            chance *= _either(1.0 if bought else EMAIL_WITHOUT_ORDER, email)
            yield (
                chance,
                who,
                {
                    "entered": True,
                    "long_queue": waits,
                    "audio": audio,
                    "cafe": cafe,
                    "staff": staff,
                    "email": email,
                },
            )


def _either(chance: float, happens: bool) -> float:
    return chance if happens else 1 - chance


def _mean_effort(base: int) -> float:
    return sum(chance * (base + noise) for noise, chance in CES_NOISE.items())
