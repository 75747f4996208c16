"""Same columns for the same seed, lawful rows, and planted truths that show in the data."""

import csv
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from math import exp
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cxmodel.datasets import Study, Table, car_rental, known_truth, museum, walks
from cxmodel.datasets.planted_walks import Mechanism

Maker = Callable[[int, int], Study]
MAKERS: dict[str, Maker] = {
    "museum": lambda size, seed: museum(customers=size, seed=seed),
    "car_rental": lambda size, seed: car_rental(customers=size, seed=seed),
    "known_truth": lambda size, seed: known_truth(journeys=size, seed=seed),
    "walks": lambda size, seed: walks("repetition", journeys=size, seed=seed),
}
DIGESTS = {
    "museum": "d07f11f1d56cec31",
    "car_rental": "6aeddaa4c70cceb7",
    "known_truth": "c849f5d685c079f5",
    "walks": "5a0b1ece49069d06",
}
RANGES = {"nps": (0, 10), "ces2": (1, 7), "csat": (1, 5), "own:0:10:8:higher": (0, 10)}
sizes = st.integers(1, 60)
seeds = st.integers(0, 2**32)
every_study = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())


def tables(study: Study) -> dict[str, list[dict[str, object]]]:
    found = {name: getattr(study, name) for name in ("events", "responses", "customers", "journeys")}
    return {name: table.to_dicts() for name, table in found.items()}


def happened(study: Study) -> dict[object, dict[object, datetime]]:
    """Journey to touchpoint to its first time."""
    seen: dict[object, dict[object, datetime]] = defaultdict(dict)
    for event in study.events.to_dicts():
        time = event["time"]
        assert isinstance(time, datetime)
        seen[event["journey"]].setdefault(event["touchpoint"], time)
    return seen


def share(flags: list[bool]) -> float:
    return sum(flags) / len(flags)


@every_study
@settings(max_examples=10, deadline=None)
@given(size=sizes, seed=seeds)
def test_the_same_seed_gives_the_same_study(make: Maker, size: int, seed: int) -> None:
    assert tables(make(size, seed)) == tables(make(size, seed))


@pytest.mark.parametrize(("name", "digest"), DIGESTS.items())
def test_columns_are_the_same_on_every_machine(name: str, digest: str) -> None:
    rows = tables(MAKERS[name](200, 1))
    assert sha256(repr(rows).encode()).hexdigest()[:16] == digest


@every_study
@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_another_seed_gives_other_events_but_the_same_truth(make: Maker, seed: int) -> None:
    one, other = make(20, seed), make(20, seed + 1)
    assert tables(one)["events"] != tables(other)["events"]
    assert one.truth == other.truth


@every_study
@settings(max_examples=15, deadline=None)
@given(size=sizes, seed=seeds)
def test_rows_are_lawful(make: Maker, size: int, seed: int) -> None:
    study = make(size, seed)
    rows = tables(study)
    owner = {row["journey"]: row["customer"] for row in rows["journeys"]}
    assert len(owner) == len(rows["journeys"])
    assert len({row["customer"] for row in rows["customers"]}) == len(rows["customers"])
    assert size in (len(rows["customers"]), len(rows["journeys"]))
    assert set(owner.values()) == {row["customer"] for row in rows["customers"]}
    assert {event["journey"] for event in rows["events"]} == set(owner)
    for event in rows["events"]:
        assert owner[event["journey"]] == event["customer"]
        assert event["touchpoint"] in study.catalogue
        assert datetime(2025, 1, 1, tzinfo=UTC) <= event["time"] < datetime(2026, 1, 1, tzinfo=UTC)  # type: ignore[operator]
        assert event.get("until") is None or event["until"] > event["time"]  # type: ignore[operator]
    times = study.events["time"].astype(np.int64)
    assert bool((times[1:] >= times[:-1]).all())
    assert all(touchpoint in study.catalogue for steps in study.goals.values() for touchpoint in steps)


@every_study
@settings(max_examples=15, deadline=None)
@given(size=sizes, seed=seeds)
def test_every_answer_is_in_range_and_follows_an_event_of_its_journey(make: Maker, size: int, seed: int) -> None:
    study = make(size, seed)
    seen = happened(study)
    owner = {row["journey"]: row["customer"] for row in study.journeys.to_dicts()}
    for answer in study.responses.to_dicts():
        low, high = RANGES[study.scales[str(answer["question"])]]
        assert answer["score"] == study.blank or low <= answer["score"] <= high  # type: ignore[operator]
        assert owner[answer["journey"]] == answer["customer"]
        about = answer["about"]
        first = min(seen[answer["journey"]].values()) if about is None else seen[answer["journey"]][about]
        assert first < answer["time"]  # type: ignore[operator]


MUSEUM_ORDER = [
    ("Sees poster", "Searches website"),
    ("Searches website", "Reads opening hours"),
    ("Searches website", "Buys ticket online"),
    ("Buys ticket online", "Enters museum"),
    ("Searches website", "Ticket desk"),
    ("Ticket desk", "Enters museum"),
    ("Enters museum", "Audio guide"),
    ("Enters museum", "Café"),
    ("Enters museum", "Asks staff"),
    ("Enters museum", "Post-visit e-mail"),
    ("Café", "NPS survey"),
    ("Asks staff", "NPS survey"),
    ("Enters museum", "Membership page"),
    ("Membership page", "Joins as member"),
]
RENTAL_ORDER = [
    ("Searches offers", "Books car"),
    ("Books car", "Booking confirmation"),
    ("Booking confirmation", "Picks up car"),
    ("Picks up car", "Breakdown"),
    ("Picks up car", "Question"),
    ("Picks up car", "Calls support"),
    ("Calls support", "Call fails"),
    ("Call fails", "Direct message"),
    ("Direct message", "Message answered"),
    ("Message answered", "Problem solved"),
    ("Calls support", "Problem solved"),
    ("Problem solved", "Returns car"),
    ("Direct message", "Returns car"),
    ("Returns car", "Satisfaction survey"),
    ("Satisfaction survey", "Writes review"),
]


@pytest.mark.parametrize(("make", "order"), [(museum, MUSEUM_ORDER), (car_rental, RENTAL_ORDER)])
def test_touchpoints_follow_the_mechanism(make: Callable[..., Study], order: list[tuple[str, str]]) -> None:
    for seed in range(3):
        both = [0] * len(order)
        for steps in happened(make(800, seed)).values():
            for which, (earlier, later) in enumerate(order):
                if earlier in steps and later in steps:
                    assert steps[earlier] < steps[later], (earlier, later)
                    both[which] += 1
        assert min(both) > 0


@pytest.fixture(scope="module")
def big_museum() -> Study:
    return museum(customers=20_000, seed=3)


def test_museum_membership_and_queue_come_out_as_planted(big_museum: Study) -> None:
    first = {name: steps for name, steps in happened(big_museum).items() if str(name).endswith("/1")}
    persona = {row["customer"]: row["persona"] for row in big_museum.customers.to_dicts()}
    truth = big_museum.truth["membership"]
    assert share(["Joins as member" in steps for steps in first.values()]) == pytest.approx(truth["all"], abs=0.01)
    for who in set(persona.values()):
        joined = ["Joins as member" in s for name, s in first.items() if persona[str(name)[:-2]] == who]
        assert share(joined) == pytest.approx(truth[str(who)], abs=0.02)
    waits = [
        (event["until"] - event["time"]).total_seconds()  # type: ignore[operator]
        for event in big_museum.events.to_dicts()
        if event["touchpoint"] == "Ticket desk"
    ]
    # Service itself takes one to four minutes on top of the wait.
    planted = big_museum.truth["queue"]["over 15 minutes"]
    assert share([wait > 17.5 * 60 for wait in waits]) == pytest.approx(planted, abs=0.03)


def test_museum_confounding_is_visible_and_vanishes_within_personas(big_museum: Study) -> None:
    persona = {row["customer"]: row["persona"] for row in big_museum.customers.to_dicts()}
    entered = {
        name: steps
        for name, steps in happened(big_museum).items()
        if str(name).endswith("/1") and "Enters museum" in steps
    }

    def difference(touchpoint: str, who: object = None) -> float:
        groups: dict[bool, list[bool]] = {True: [], False: []}
        for name, steps in entered.items():
            if who is None or persona[str(name)[:-2]] == who:
                groups[touchpoint in steps].append("Joins as member" in steps)
        return share(groups[True]) - share(groups[False])

    for touchpoint in ("Audio guide", "Café", "Asks staff", "Post-visit e-mail"):
        planted = big_museum.truth["naive_difference"][touchpoint]
        assert difference(touchpoint) == pytest.approx(planted, abs=0.02)
    assert difference("Café") > 0.02
    for who in set(persona.values()):
        assert abs(difference("Café", who)) < 0.035
        assert difference("Audio guide", who) > 0.04


def test_museum_answers_come_out_as_planted(big_museum: Study) -> None:
    answers = big_museum.responses.to_dicts()
    channel = {
        event["journey"]: event["channel"]
        for event in big_museum.events.to_dicts()
        if event["touchpoint"] == "Buys ticket online"
    }
    asked = sum(event["touchpoint"] == "NPS survey" for event in big_museum.events.to_dicts())
    nps = [answer for answer in answers if answer["question"] == "nps"]
    assert len(nps) / asked == pytest.approx(0.35, abs=0.02)
    assert share([answer["score"] == 11 for answer in answers]) == pytest.approx(0.04, abs=0.01)
    scores = [int(str(answer["score"])) for answer in nps if answer["score"] != 11]
    points = 100 * (share([score >= 9 for score in scores]) - share([score <= 6 for score in scores]))
    assert points == pytest.approx(big_museum.truth["nps"]["all"], abs=4)
    for how, mean in big_museum.truth["ces2_mean"].items():
        given = [
            int(str(answer["score"]))
            for answer in answers
            if answer["question"] == "ces" and channel[answer["journey"]] == how and answer["score"] != 11
        ]
        assert sum(given) / len(given) == pytest.approx(mean, abs=0.1)


def test_rental_recovery_comes_out_as_planted() -> None:
    study = car_rental(customers=20_000, seed=5)
    journeys = set(study.journeys["journey"].tolist())
    outcome: dict[object, str] = {}
    for name, steps in happened(study).items():
        if "Picks up car" not in steps:
            continue
        if "Calls support" not in steps:
            outcome[name] = "no problem"
        elif "Problem solved" in steps:
            outcome[name] = "rescued by message" if "Direct message" in steps else "solved by call"
        else:
            outcome[name] = "not rescued"
    first = {name: how for name, how in outcome.items() if str(name).endswith("/1")}
    scores: dict[str, list[int]] = defaultdict(list)
    for answer in study.responses.to_dicts():
        if answer["question"] == "rental_csat" and answer["score"] != study.blank:
            scores[outcome[answer["journey"]]].append(int(str(answer["score"])))
    for how, planted in study.truth["outcome"].items():
        assert share([found == how for found in first.values()]) == pytest.approx(planted, abs=0.015)
        assert sum(scores[how]) / len(scores[how]) == pytest.approx(study.truth["rental_csat_mean"][how], abs=0.12)
        assert share([score >= 4 for score in scores[how]]) == pytest.approx(study.truth["rental_csat"][how], abs=0.05)
        back = [str(name)[:-2] + "/2" in journeys for name, found in first.items() if found == how]
        assert share(back) == pytest.approx(study.truth["rents_again"][how], abs=0.03)
    failed = [how for how in first.values() if how in ("rescued by message", "not rescued")]
    assert share([how == "rescued by message" for how in failed]) == pytest.approx(
        study.truth["recovery"]["all"], abs=0.03
    )


def test_planted_effects_match_their_enumeration() -> None:
    study = known_truth(journeys=30_000, seed=2)
    steps = happened(study)
    persona = dict(zip(study.journeys["journey"].tolist(), study.customers["persona"].tolist(), strict=True))
    total = share(["Checkout" in seen for seen in steps.values()])
    assert total == pytest.approx(study.truth["conversion"]["all"], abs=0.01)
    groups: dict[tuple[object, frozenset[object]], list[bool]] = defaultdict(list)
    for name, seen in steps.items():
        groups[persona[name], frozenset(seen) - {"Checkout"}].append("Checkout" in seen)
    for touchpoint, planted in study.truth["removal_effect"].items():
        if touchpoint == "Home":
            continue
        lost = 0.0
        for (who, met), goals in groups.items():
            if touchpoint in met:
                twin = groups.get((who, met - {touchpoint}), goals)
                lost += len(goals) * (share(goals) - share(twin))
        assert lost / len(steps) / total == pytest.approx(planted, abs=0.03)
    for touchpoint, planted in study.truth["naive_difference"].items():
        there = ["Checkout" in seen for seen in steps.values() if touchpoint in seen]
        away = ["Checkout" in seen for seen in steps.values() if touchpoint not in seen]
        assert share(there) - share(away) == pytest.approx(planted, abs=0.03)


def test_planted_score_effects_are_additive() -> None:
    study = known_truth(journeys=20_000, seed=4)
    steps = happened(study)
    names = ["Ad", "Chat", "Complaint", "Gift"]
    persona = dict(zip(study.customers["customer"].tolist(), study.customers["persona"].tolist(), strict=True))
    level = {"Just looking": -1.0, "Comparing": 0.0, "Ready to buy": 1.0}
    answers = study.responses.to_dicts()
    design = np.array(
        [
            [
                1.0,
                level[str(persona[answer["customer"]])],
                *(name in steps[answer["journey"]] for name in names),
            ]
            for answer in answers
        ]
    )
    fitted = np.linalg.lstsq(design, np.array([answer["score"] for answer in answers], float), rcond=None)[0]
    planted = [5, 1, *(study.truth["score_effect"][name] for name in names)]
    assert fitted.tolist() == pytest.approx(planted, abs=0.08)


SHARES = ((0.25, 0.375, 0.25, 0.125), (0.4, 0.3, 0.2, 0.1), (0.58, 0.21, 0.14, 0.07))
NAMES = ("Ad", "Chat", "Complaint", "Gift")


def works(mechanism: str, path: tuple[str, ...]) -> float:
    """What the docstring says a path adds to the log odds."""
    if mechanism == "repetition":
        return {"Chat": 0.6, "Complaint": -1.0, "Gift": 1.0}.get(path[-1], 0.0) if path else 0.0
    if mechanism == "position":
        return 1.2 / (1 + path.index("Chat")) if "Chat" in path else 0.0
    return 1.2 * ({"Chat", "Complaint"} <= set(path)) - 0.8 * ("Complaint" in path) + 0.6 * ("Gift" in path)


def told_apart(mechanism: str, path: tuple[str, ...]) -> tuple[str, ...]:
    """The shortest path that works alike, so that not all four million have to be walked."""
    if mechanism == "repetition":
        return path[-1:]
    if mechanism == "position":
        return path[: path.index("Chat") + 1] if "Chat" in path else ("Ad",) * len(path)
    return tuple(sorted(set(path) - {"Ad"}))


def share_converted(mechanism: str, shares: tuple[tuple[float, ...], ...]) -> float:
    @cache
    def ahead(persona: int, path: tuple[str, ...], steps: int) -> float:
        if not steps:
            return 0.0
        converts = 1 / (1 + exp(2.6 - 0.6 * (persona - 1) - works(mechanism, path)))
        silence = 1 - sum(shares[persona])
        goes_on = silence * ahead(persona, path, steps - 1) + sum(
            share * ahead(persona, told_apart(mechanism, (*path, name)), steps - 1)
            for name, share in zip(NAMES, shares[persona], strict=True)
        )
        return converts + (1 - converts) * 0.75 * goes_on

    return 0.3 * ahead(0, (), 12) + 0.4 * ahead(1, (), 12) + 0.3 * ahead(2, (), 12)


@pytest.mark.parametrize("mechanism", ["interaction", "position", "repetition"])
def test_effects_of_walks_are_those_of_the_mechanism(mechanism: Mechanism) -> None:
    truth = walks(mechanism, 1).truth
    whole = share_converted(mechanism, SHARES)
    for code, name in enumerate(NAMES):
        silent = tuple(tuple(0.0 if at == code else share for at, share in enumerate(row)) for row in SHARES)
        instead = tuple(tuple(share / sum(row) for share in row) for row in silent)
        assert truth["removal_effect"][name] == pytest.approx(1 - share_converted(mechanism, silent) / whole)
        assert truth["replacement_effect"][name] == pytest.approx(1 - share_converted(mechanism, instead) / whole)
    drawn = happened(walks(mechanism, 20_000, seed=3))
    assert share(["Checkout" in seen for seen in drawn.values()]) == pytest.approx(whole, abs=0.012)


def test_where_nothing_is_planted_nothing_is_true() -> None:
    for mechanism in ("length", "nothing"):
        for effects in walks(mechanism, 1).truth.values():
            assert list(effects.values()) == pytest.approx([0.0] * 4, abs=1e-12)
    study = walks("length", 20_000, seed=1)
    lengths, won = defaultdict[object, int](int), set[object]()
    for event in study.events.to_dicts():
        lengths[event["journey"]] += event["touchpoint"] not in ("Home", "Checkout")
        won |= {event["journey"]} if event["touchpoint"] == "Checkout" else set()
    by_length: dict[int, list[bool]] = defaultdict(list)
    for journey, length in lengths.items():
        by_length[length].append(journey in won)
    for length, converted in by_length.items():
        assert share(converted) == pytest.approx(0.1 + 0.07 * length, abs=0.035)


def test_customers_of_walks_return_with_their_persona() -> None:
    study = walks("nothing", 4000, seed=2)
    assert len(study.customers) == pytest.approx(0.75 * 4000, rel=0.03)
    owner = dict(zip(study.journeys["journey"].tolist(), study.journeys["customer"].tolist(), strict=True))
    first = {journey: min(seen.values()) for journey, seen in happened(study).items()}
    last: dict[object, datetime] = {}
    for journey, customer in owner.items():
        assert customer not in last or first[journey] > last[customer]
        last[customer] = first[journey]


def test_an_unknown_mechanism_is_refused() -> None:
    with pytest.raises(ValueError, match="'luck'; give 'interaction'"):
        walks("luck")  # type: ignore[arg-type]


def test_a_study_is_written_as_csv_that_reads_back(tmp_path: Path) -> None:
    study = museum(customers=40, seed=9)
    paths = study.write_csv(tmp_path / "museum")
    assert [path.name for path in paths] == [
        "events.csv",
        "responses.csv",
        "customers.csv",
        "journeys.csv",
        "catalogue.csv",
    ]
    with paths[0].open(encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file))
    for row, event in zip(read, study.events.to_dicts(), strict=True):
        assert datetime.fromisoformat(row["time"]) == event["time"]
        assert row["value"] == ("" if event["value"] is None else str(event["value"]))
    with paths[4].open(encoding="utf-8", newline="") as file:
        assert {row["touchpoint"]: row["stage"] for row in csv.DictReader(file)} == {
            name: entry["stage"] for name, entry in study.catalogue.items()
        }


def test_a_table_refuses_columns_of_different_length_and_changes() -> None:
    with pytest.raises(ValueError, match=r"columns differ in length: \{'a': 1, 'b': 2\}"):
        Table({"a": np.array([1]), "b": np.array([1, 2])})
    table = Table({"a": np.array([1, 2])})
    with pytest.raises(ValueError, match="read-only"):
        table["a"][0] = 5
    assert len(table) == table.rows == 2
    assert len(Table({})) == 0


@every_study
@pytest.mark.parametrize(("size", "seed", "message"), [(0, 0, "is 0; give 1 or more"), (5, -1, "seed is -1")])
def test_impossible_sizes_and_seeds_are_refused(make: Maker, size: int, seed: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make(size, seed)


def test_naming_the_package_loads_no_numpy() -> None:
    code = "import sys, cxmodel.datasets as d; print('numpy' in sys.modules, set(d.__all__) <= set(dir(d)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False True"
