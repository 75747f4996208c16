"""Models of credit against a slow implementation, by the axioms, and with every option."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from fractions import Fraction
from itertools import combinations, groupby
from math import factorial
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import credit_of, in_blocks, read

import cxmodel as cx
from cxmodel import metrics
from cxmodel.analysis.credits import markov
from cxmodel.errors import InvalidValueError, NotMeasurableError, UnknownNameError
from cxmodel.exporters.json import dumps, loads
from cxmodel.testing import Row, logs, reference
from cxmodel.testing.reference import Event, Trip

few = settings(max_examples=6)
GOAL = cx.Goal("there", touchpoints=["p003"])
MINUTE = 60_000_000

# the slow implementation


def conversions_of(
    trips: Sequence[Trip], *, within: timedelta | None = None, collapse: bool = False, every: bool = False
) -> list[tuple[list[Event], Event]]:
    """What lies before each conversion, and the event that reaches the goal."""
    found = []
    for trip in trips:
        since: list[Event] = []
        for event in trip.events:
            if event.touchpoint not in GOAL.touchpoints:
                since.append(event)
                continue
            reach = math.inf if within is None else within / timedelta(microseconds=1)
            path = [each for each in since if event.time - each.time <= reach]
            if collapse:
                path = [next(run) for _, run in groupby(path, key=lambda each: each.touchpoint)]
            found.append((path, event))
            since = []
            if not every:
                break
    return found


Split = Callable[[Sequence[Event], Event], Sequence[float]]


def first(path: Sequence[Event], goal: Event) -> Sequence[float]:
    return [float(i == 0) for i in range(len(path))]


def last(path: Sequence[Event], goal: Event) -> Sequence[float]:
    return [float(i == len(path) - 1) for i in range(len(path))]


def last_non_direct(path: Sequence[Event], goal: Event) -> Sequence[float]:
    counts = [i for i, event in enumerate(path) if event.touchpoint != "p000"] or [len(path) - 1]
    return [float(i == counts[-1]) for i in range(len(path))]


def linear(path: Sequence[Event], goal: Event) -> Sequence[float]:
    return [1 / len(path) for _ in path]


def distinct(path: Sequence[Event], goal: Event) -> Sequence[float]:
    names = [event.touchpoint for event in path]
    return [1 / len(set(names)) / names.count(name) for name in names]


def position(path: Sequence[Event], goal: Event) -> Sequence[float]:
    if len(path) <= 2:
        return [[1.0], [0.3 / 0.8, 0.5 / 0.8]][len(path) - 1]
    return [0.3, *[0.2 / (len(path) - 2)] * (len(path) - 2), 0.5]


def time_decay(path: Sequence[Event], goal: Event) -> Sequence[float]:
    weights = [2 ** (-(goal.time - event.time) / (3 * MINUTE)) for event in path]
    return [weight / sum(weights) for weight in weights]


def step_decay(path: Sequence[Event], goal: Event) -> Sequence[float]:
    weights = [2 ** (-(len(path) - 1 - i) / 2) for i in range(len(path))]
    return [weight / sum(weights) for weight in weights]


SLOW: Mapping[str, tuple[Split, type[Any], Mapping[str, Any]]] = {
    "first": (first, metrics.FirstCredit, {}),
    "last": (last, metrics.LastCredit, {}),
    "last_non_direct": (last_non_direct, metrics.LastNonDirectCredit, {"ignored": ["p000"]}),
    "linear": (linear, metrics.LinearCredit, {}),
    "linear_distinct": (distinct, metrics.LinearDistinctCredit, {}),
    "position": (position, metrics.PositionCredit, {"first": 0.3, "last": 0.5}),
    "time_decay": (time_decay, metrics.TimeDecayCredit, {"half_life": timedelta(minutes=3)}),
    "step_decay": (step_decay, metrics.StepDecayCredit, {"half_life": 2.0}),
    "shapley": (distinct, metrics.ShapleyCredit, {}),
}
choices = st.fixed_dictionaries({
    "within": st.sampled_from([None, timedelta(minutes=5)]), "collapse": st.booleans(), "every": st.booleans(),
})  # fmt: skip


def known(rows: Sequence[Row]) -> list[Row]:
    """The rows, and journeys that make every touchpoint known without converting."""
    more = [
        {**rows[0], "customer": f"more{i}", "touchpoint": f"p{i:03d}", "time": "2026-01-01T00:00:00+00:00"}
        for i in range(3)
    ]
    goal = {**rows[0], "customer": "sure", "touchpoint": "p003", "time": "2026-01-01T00:00:00+00:00"}
    return [*rows, *more, goal]


@settings(max_examples=12)
@given(logs(touchpoints=4, ties=False), choices, st.booleans())
def test_models_equal_the_slow_ones_under_every_option(
    rows: list[Row], options: Mapping[str, Any], valued: bool
) -> None:
    rows = known(rows)
    journeys = read(rows, value="value")
    if not journeys.facts.has_value:
        valued = False
    before = conversions_of(reference.trips(rows), **options)
    value = "value" if valued else None
    models = [model(goal=GOAL, value=value, **options, **more) for _, model, more in SLOW.values()]
    tables = journeys.measure(*models)
    for (slow, _, _), table in zip(SLOW.values(), tables, strict=True):
        expected: dict[str, float] = {}
        direct = 0.0
        for path, goal in before:
            worth = (goal.value or 0.0) if valued else 1.0
            direct += 0.0 if path else worth
            for event, share in zip(path, slow(path, goal) if path else [], strict=True):
                expected[event.touchpoint] = expected.get(event.touchpoint, 0.0) + share * worth
        assert {n: e.value for n, e in table.items()} == pytest.approx(expected)
        assert table.direct.value == pytest.approx(direct)
        assert table.conversions == len(before)
        assert table.unvalued == (sum(goal.value is None for _, goal in before) if valued else 0)


@few
@given(logs(touchpoints=4, ties=False), choices, st.integers(1, 3))
def test_markov_credit_takes_the_same_options(rows: list[Row], options: Mapping[str, Any], order: int) -> None:
    """Cutting the journeys beforehand and taking the options gives the same chain."""
    rows = known(rows)
    cut: list[Trip] = []
    for trip in reference.trips(rows):
        rest = list(trip.events)
        while rest:
            stop = next((i for i, event in enumerate(rest) if event.touchpoint in GOAL.touchpoints), None)
            piece = rest if stop is None else rest[: stop + 1]
            final = piece[-1].time
            if options["within"] is not None:
                reach = options["within"] / timedelta(microseconds=1)
                piece = [event for event in piece if final - event.time <= reach]
            if options["collapse"]:
                piece = [next(run) for _, run in groupby(piece, key=lambda each: each.touchpoint)]
            cut.append(Trip(trip.customer, trip.journey, tuple(piece)))
            if stop is None or not options["every"]:
                break
            rest = rest[stop + 1 :]
    expected = reference.markov_credit(cut, GOAL.touchpoints, order)
    found = read(rows).measure(metrics.MarkovCredit(goal=GOAL, order=order, **options))
    assert credit_of(found) == pytest.approx({name: float(each) for name, each in expected.items() if each})


@few
@given(logs(touchpoints=4))
def test_every_attainment_is_what_splitting_at_the_goal_gives(rows: list[Row]) -> None:
    journeys = read(known(rows))
    whole = journeys.measure(metrics.Credits(goal=GOAL, every=True, models="all", ignored=("p000",)))
    split = journeys.split(at=GOAL).measure(metrics.Credits(goal=GOAL, models="all", ignored=("p000",)))
    assert {name: credit_of(table) for name, table in whole.models.items()} == pytest.approx(
        {name: pytest.approx(credit_of(table)) for name, table in split.models.items()}
    )


# axioms


def paths(*texts: str, won: bool = True) -> list[Row]:
    return [
        {"customer": f"{number}{text}{won}", "touchpoint": name, "time": f"2026-01-01T00:{minute:02}:00+00:00"}
        for number, text in enumerate(texts)
        for minute, name in enumerate([*text, "p003"] if won else text)
    ]


letters = st.text(alphabet="abcd", min_size=1, max_size=6)
words = st.lists(letters, min_size=1, max_size=6)
MODELS: list[Any] = [model(goal=GOAL, **more) for _, model, more in SLOW.values() if "ignored" not in more]


def log(texts: Sequence[str], lost: Sequence[str] = ()) -> cx.Journeys:
    return read([*paths(*texts), *paths(*lost, won=False)])


@few
@given(words, words)
def test_credit_is_shared_out_and_nobody_gets_less_than_nothing(won: list[str], lost: list[str]) -> None:
    nowhere = set("".join(lost)) - set("".join(won))
    models: list[Any] = [*MODELS, metrics.MarkovCredit(goal=GOAL, order=2)]
    tables: Any = log(won, lost).measure(*models)
    for table in tables:
        assert sum(each.require() for each in table.values()) == pytest.approx(len(won))
        assert all(each.require() >= 0 for each in table.values())
        # a chain mixes paths: who only stands on lost ones may still lead to the goal on it
        assert table.metric == "markov_credit" or not nowhere & set(table)


@few
@given(a=words, b=words, names=st.permutations("abcd"))
def test_split_credit_adds_up_over_logs_and_follows_names(a: list[str], b: list[str], names: list[str]) -> None:
    renamed = str.maketrans("abcd", "".join(names))

    def credit(texts: Sequence[str]) -> list[dict[str, float]]:
        return [credit_of(table) for table in log(texts).measure(*MODELS)]

    for one, other, both, called in zip(
        credit(a), credit(b), credit([*a, *b]), credit([text.translate(renamed) for text in a]), strict=True
    ):
        assert both == pytest.approx({n: one.get(n, 0) + other.get(n, 0) for n in {*one, *other}})
        assert called == pytest.approx({name.translate(renamed): each for name, each in one.items()})


@few
@given(words)
def test_first_of_the_reversed_is_last_and_orders_that_do_not_matter(texts: list[str]) -> None:
    ahead, back = log(texts), log([text[::-1] for text in texts])
    assert credit_of(ahead.measure(metrics.FirstCredit(goal=GOAL))) == credit_of(
        back.measure(metrics.LastCredit(goal=GOAL))
    )
    for model in (metrics.LinearCredit, metrics.LinearDistinctCredit, metrics.ShapleyCredit, metrics.RateShapley):
        assert credit_of(ahead.measure(model(goal=GOAL))) == pytest.approx(credit_of(back.measure(model(goal=GOAL))))


@few
@given(words)
def test_interchangeable_touchpoints_get_the_same(texts: list[str]) -> None:
    """Every journey occurs with the two names exchanged as well."""
    both = [*texts, *(text.translate(str.maketrans("ab", "ba")) for text in texts)]
    models: list[Any] = [*MODELS, metrics.MarkovCredit(goal=GOAL), metrics.RateShapley(goal=GOAL)]
    for table in log(both).measure(*models):
        credit = credit_of(table)
        assert credit.get("a", 0.0) == pytest.approx(credit.get("b", 0.0)), table.metric


def by_name(table: Any) -> dict[str, float]:
    """Values by touchpoint; over all places where there are any."""
    total: dict[str, float] = {}
    for key, each in table.items():
        name = key[0] if isinstance(key, tuple) else key
        total[name] = total.get(name, 0.0) + each.require()
    return total


def others(ignored: str = "c") -> list[Any]:
    """The models that do not split each conversion on its own, and the one that ignores a touchpoint."""
    return [
        metrics.MarkovCredit(goal=GOAL), metrics.MarkovCredit(goal=GOAL, order=2), metrics.RemovalEffects(goal=GOAL),
        metrics.RemovalEffects(goal=GOAL, order=2), metrics.RateShapley(goal=GOAL),
        metrics.OrderedShapleyCredit(goal=GOAL), metrics.LastNonDirectCredit(goal=GOAL, ignored=ignored),
    ]  # fmt: skip


@few
@given(words, words, st.permutations("abcd"))
def test_chains_games_and_places_follow_names(won: list[str], lost: list[str], names: list[str]) -> None:
    renamed = str.maketrans("abcd", "".join(names))
    before: Any = log(won, [*lost, "c"]).measure(*others())
    called = [text.translate(renamed) for text in won], [text.translate(renamed) for text in [*lost, "c"]]
    after: Any = log(*called).measure(*others("c".translate(renamed)))
    for one, other in zip(before, after, strict=True):
        assert by_name(other) == pytest.approx({n.translate(renamed): v for n, v in by_name(one).items()}), one.metric


@few
@given(words)
def test_chains_and_places_treat_interchangeable_touchpoints_alike(texts: list[str]) -> None:
    both = [*texts, *(text.translate(str.maketrans("ab", "ba")) for text in texts)]
    for table in log(both, ["c"]).measure(*others()):
        found = by_name(table)
        assert found.get("a", 0.0) == pytest.approx(found.get("b", 0.0)), table.metric


@few
@given(words, words)
def test_places_and_the_last_that_counts_are_shared_out_and_add_up(a: list[str], b: list[str]) -> None:
    models: list[Any] = [
        metrics.OrderedShapleyCredit(goal=GOAL), metrics.LastNonDirectCredit(goal=GOAL, ignored=["c"])
    ]  # fmt: skip
    for model in models:
        one, other, both = (dict(log(texts, ["c"]).measure(model)) for texts in (a, b, [*a, *b]))
        values = {key: sum(each[key].require() for each in (one, other) if key in each) for key in {*one, *other}}
        assert {key: each.value for key, each in both.items()} == pytest.approx(values)
        assert sum(each.require() for each in both.values()) == pytest.approx(len(a) + len(b))
        assert all(each.require() >= 0 for each in both.values())


@few
@given(words, words)
def test_who_never_changes_the_rate_gets_nothing_in_its_game(won: list[str], lost: list[str]) -> None:
    """Every journey occurs once with e and once without, and ends the same way."""
    rate = log([*won, *(text + "e" for text in won)], [*lost, *(text + "e" for text in lost)]).measure(
        metrics.RateShapley(goal=GOAL)
    )
    assert rate["e"].value == pytest.approx(0.0, abs=1e-12)


@few
@given(words)
def test_ordered_shapley_sums_to_the_count_game(texts: list[str]) -> None:
    ordered = log(texts).measure(metrics.OrderedShapleyCredit(goal=GOAL))
    total: dict[str, float] = {}
    for (name, place), each in ordered.items():
        assert any(text[place - 1 : place] == name for text in texts)
        total[name] = total.get(name, 0.0) + each.require()
    assert total == pytest.approx(credit_of(log(texts).measure(metrics.ShapleyCredit(goal=GOAL))))


@few
@given(words, words)
def test_the_rate_game_is_the_game_over_all_sets(won: list[str], lost: list[str]) -> None:
    sets = [*((frozenset(text), 1) for text in won), *((frozenset(text), 0) for text in lost)]
    players = sorted(frozenset().union(*(each for each, _ in sets)))
    n = len(players)

    def v(coalition: Sequence[str]) -> Fraction:
        inside = [each for names, each in sets if names <= set(coalition)]
        return Fraction(sum(inside), len(inside)) if inside else Fraction(0)

    expected = {
        i: sum(
            Fraction(factorial(k) * factorial(n - k - 1), factorial(n)) * (v([*s, i]) - v(s))
            for k in range(n) for s in combinations([p for p in players if p != i], k)
        )
        for i in players
    }  # fmt: skip
    found = log(won, lost).measure(metrics.RateShapley(goal=GOAL))
    assert {name: each.value for name, each in found.items()} == pytest.approx(
        {name: float(each) for name, each in expected.items()}
    )
    assert sum(each.require() for each in found.values()) == pytest.approx(len(won) / len(sets))


@few
@given(words, words)
def test_removal_effects_become_participation(won: list[str], lost: list[str]) -> None:
    """With a memory of whole journeys the effect is the share of conversions that pass the touchpoint."""
    effects = log(won, lost).measure(metrics.RemovalEffects(goal=GOAL, order=6))
    for name, each in effects.items():
        assert each.value == pytest.approx(sum(name in text for text in won) / len(won))


@few
@given(words, words)
def test_repeats_change_nothing_at_order_one(won: list[str], lost: list[str]) -> None:
    plain, collapsed = (
        log(won, lost).measure(metrics.MarkovCredit(goal=GOAL, collapse=collapse)) for collapse in (False, True)
    )
    assert credit_of(plain) == pytest.approx(credit_of(collapsed))


@few
@given(logs(touchpoints=4, ties=False), st.integers(1, 20))
def test_blocks_do_not_matter(rows: list[Row], size: int) -> None:
    rows = known(rows)
    models: list[Any] = [metrics.Credits(goal=GOAL, models="all"), metrics.OrderedShapleyCredit(goal=GOAL),
              metrics.RateShapley(goal=GOAL)]  # fmt: skip
    one = read(rows)
    apart = in_blocks(one, rows, size)
    for model in models:
        a, b = one.measure(model), apart.measure(model)
        assert [each["value"] for each in a.to_records()] == pytest.approx(
            [each["value"] for each in b.to_records()], abs=1e-12
        )


# intervals and the order


def people(count: int) -> list[Row]:
    chosen = ["ab", "ba", "aab", "b", "abc", "c"]
    return [
        {"customer": str(number), "touchpoint": name, "time": f"2026-01-01T00:{minute:02}:00+00:00"}
        for number in range(count)
        for minute, name in enumerate([*chosen[number % 6], *(["p003"] if number % 5 else [])])
    ]


def test_replicates_give_intervals_near_the_delta_method_and_say_how_sure_the_order_is() -> None:
    journeys = read(people(900))
    plain = journeys.measure(metrics.Credits(goal=GOAL))
    drawn = journeys.measure(metrics.Credits(goal=GOAL), bootstrap=800, seed=3)
    for name, table in drawn.models.items():
        for touchpoint, each in table.items():
            interval, formula = each.interval, plain[name][touchpoint].interval
            assert interval is not None
            assert formula is not None
            assert interval.method == "bootstrap of customers (800)"
            assert interval.high - interval.low == pytest.approx(formula.high - formula.low, rel=0.15)
        stable = table.stability
        assert stable is not None
        assert (stable.replicates, stable.others) == (800, 0)
        assert stable.names == tuple(sorted(table, key=lambda n: -table[n].require()))
        a, b = stable.names[:2]
        assert stable.probability(a, b) + stable.probability(b, a) == pytest.approx(1)
        assert stable.probability(a, b) > 0.5
        assert stable.top(a, len(stable.names)) == pytest.approx(1)
        assert sum(stable.keeps(n) for n in stable.names) <= len(stable.names)
    assert plain["first_credit"].stability is None
    with pytest.raises(UnknownNameError, match="nobody"):
        drawn["first_credit"].stability.keeps("nobody")  # type: ignore[union-attr]
    back = loads(dumps(drawn))
    assert {n: t.stability for n, t in back.models.items()} == {n: t.stability for n, t in drawn.models.items()}


def test_games_effects_and_places_say_how_sure_their_order_is() -> None:
    journeys = read(people(900))
    for model in (metrics.RateShapley(goal=GOAL), metrics.RemovalEffects(goal=GOAL)):
        assert journeys.measure(model).stability is None
        table = journeys.measure(model, bootstrap=200, seed=3)
        stable = table.stability
        assert stable is not None
        assert stable.replicates == 200
        assert stable.names == tuple(sorted(table, key=lambda n: -table[n].require()))
        assert sum(stable.ranks[0]) == pytest.approx(1)
        assert loads(dumps(table)).stability == stable
    places = journeys.measure(metrics.OrderedShapleyCredit(goal=GOAL), bootstrap=200, seed=3)
    assert places.stability is not None
    first = max(places, key=lambda key: places[key].require())
    assert places.stability.names[0] == f"{first[0]} at {first[1]}"
    for each in log(["ab", "b", "c"]).measure(metrics.RateShapley(goal=GOAL)).values():
        assert each.interval is not None
        assert -1.0 <= each.interval.low <= each.interval.high <= 1.0


def test_the_effect_of_a_mandatory_step_has_no_width_and_says_so() -> None:
    effects = log(["ab", "ab", "b", "cb"] * 20, ["a", "b", "c"] * 9).measure(metrics.RemovalEffects(goal=GOAL))
    assert effects["b"].value == pytest.approx(1.0)
    assert "degenerate" in effects["b"].flags
    assert "degenerate" not in effects["a"].flags


def test_too_few_customers_are_not_resampled() -> None:
    drawn = read(people(150)).measure(
        metrics.Credits(goal=GOAL, models="all"), metrics.RateShapley(goal=GOAL), bootstrap=50
    )
    tables = [*drawn[0].models.values(), drawn[1]]
    for table in tables:
        for each in table.values():
            assert each.interval is not None
            assert each.interval.method.endswith("too few customers to resample")
    assert all(table.stability is None for table in drawn[0].models.values())


# what is refused


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: metrics.PositionCredit(goal=GOAL, first=0.7, last=0.5), "sum to at most 1"),
        (lambda: metrics.TimeDecayCredit(goal=GOAL, half_life=timedelta(0)), "positive duration"),
        (lambda: metrics.StepDecayCredit(goal=GOAL, half_life=0), "positive number of steps"),
        (lambda: metrics.LinearCredit(goal=GOAL, within=timedelta(0)), "within is a positive duration"),
        (lambda: metrics.MarkovCredit(goal=GOAL, order=0), "how many touchpoints"),
        (lambda: metrics.Credits(goal=GOAL, models=[]), "no model of credit"),
        (lambda: metrics.Credits(goal=GOAL, models=[metrics.LastCredit(goal=GOAL, every=True)]), "another goal"),
        (lambda: metrics.Credits(goal=GOAL, models=["lost_credit"]), "last_credit"),
    ],
)
def test_nonsense_is_refused_in_words(make: Callable[[], object], words: str) -> None:
    with pytest.raises((InvalidValueError, UnknownNameError), match=words):
        make()


def test_what_is_not_there_is_told() -> None:
    journeys = read(people(10))
    for metric, said in (
        (metrics.LinearCredit(goal=GOAL, value="value"), "no value"),
        (metrics.LinearCredit(goal=GOAL, value="revenue"), "revenue"),
        (metrics.LastNonDirectCredit(goal=GOAL, ignored="nowhere"), "nowhere"),
    ):
        with pytest.raises(NotMeasurableError, match=said):
            journeys.measure(metric)
    many = [{"customer": "x", "touchpoint": f"t{i}", "time": f"2026-01-01T00:{i:02}:00"} for i in range(14)]
    with pytest.raises(NotMeasurableError, match=r"2\^14 sets"):
        read([*many, *people(3)]).measure(metrics.RateShapley(goal=cx.Goal("g", touchpoints=["p003", "a", "b", "c"])))


def test_a_table_says_which_models_disagree() -> None:
    text = str(log(["abc", "abc", "b"]).measure(metrics.Credits(goal=GOAL, models=["first_credit", "last_credit"])))
    assert text.splitlines()[:2] == ["credit for 3 conversions (there)", "touchpoint  first  last"]
    assert [line.split() for line in text.splitlines()[2:]] == [
        ["a", "2.00", "0.00"], ["b", "1.00", "1.00"], ["c", "0.00", "2.00"], ["(direct)", "0.00", "0.00"],
    ]  # fmt: skip


def test_large_chains_are_solved_without_replicates_and_too_large_ones_leave_the_other_models(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    journeys = log(["ab", "bc", ""] * 20, ["ca", "b"] * 20)
    small = journeys.measure(metrics.Credits(goal=GOAL))
    monkeypatch.setattr(markov, "MOST_REPLICATED", 2)
    effects = journeys.measure(metrics.RemovalEffects(goal=GOAL), bootstrap=100)
    for name, each in journeys.measure(metrics.MarkovCredit(goal=GOAL)).items():
        assert each.value == pytest.approx(small["markov_credit"][name].value)
        for found in (each, effects[name]):
            assert (found.interval, found.flags) == (None, ("not_replicated",))
    monkeypatch.setattr(markov, "MOST_CONTEXTS", 2)
    large = journeys.measure(metrics.Credits(goal=GOAL))
    for name in ("first_credit", "last_credit", "linear_credit", "shapley_credit"):
        assert large[name].to_records() == small[name].to_records()
    chain = large["markov_credit"]
    assert (set(chain), chain.conversions, chain.direct.value) == ({"a", "b", "c"}, 60, 20)
    for each in (*chain.values(), *journeys.measure(metrics.RemovalEffects(goal=GOAL)).values()):
        assert (each.value, each.interval) == (None, None)
        assert each.reason is not None
        assert re.search(r"3 contexts[\s\S]*fold_rare", each.reason)
    assert loads(dumps(large))["markov_credit"].to_records() == chain.to_records()
    assert str(large).count("–") == 3
    assert "markov: no value (a chain of 3 contexts" in str(large).splitlines()[-1]
