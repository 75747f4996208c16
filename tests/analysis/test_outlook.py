"""Outlooks: probabilities are probabilities, plain shares reproduce what was seen, and a position says it in words."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.outlook import Outlook
from cxmodel.analysis.outlook_fitting import Outlooks
from cxmodel.analysis.positions import Stay, latest_history
from cxmodel.data.selecting import keep_journeys
from cxmodel.plugins import Block
from cxmodel.stats import backoff
from cxmodel.stats.intervals import wilson
from cxmodel.tallies.cells import Cells

GOAL = cx.Goal("purchase", touchpoints=["pay"])
START = datetime(2026, 1, 1, tzinfo=UTC)
PATHS = st.lists(
    st.lists(st.sampled_from(["ad", "shop", "cart", "pay"]), min_size=1, max_size=7), min_size=1, max_size=25
)


def log(paths: list[list[str]], minutes: int = 1) -> cx.Journeys:
    rows = [
        {"who": f"c{who}", "what": what, "at": START + timedelta(minutes=minutes * place)}
        for who, path in enumerate(paths)
        for place, what in enumerate(path)
    ]
    return cx.read_events(rows, customer="who", touchpoint="what", time="at")


def fit(journeys: cx.Journeys, **options: object) -> Outlook:
    return journeys.measure(Outlooks(goal=GOAL, **options))  # type: ignore[arg-type]


@given(PATHS, st.integers(1, 3))
@settings(max_examples=30)
def test_what_may_follow_sums_to_one_and_touchpoints_of_the_goal_are_the_goal(
    paths: list[list[str]], order: int
) -> None:
    outlook = fit(log([*paths, ["pay"]]), order=order)
    for history in ([], ["ad"], ["cart", "shop"], ["never", "ad", "ad"], ["cart", "cart", "cart", "cart"]):
        position = outlook.position(history, top=100)
        shares = {each.touchpoint: each.probability for each in position.next}
        assert sum(shares.values()) == pytest.approx(1.0)
        assert shares["pay"] == 0.0
        assert 0.0 <= position.chance.require() <= 1.0
        assert position.other == pytest.approx(0.0, abs=1e-9)
        for each in position.next:
            assert each.interval is not None
            assert each.interval.low - 1e-9 <= each.probability <= each.interval.high + 1e-9


@given(PATHS, st.integers(1, 4))
@settings(max_examples=30)
def test_without_smoothing_any_order_reproduces_the_share_of_conversions(paths: list[list[str]], order: int) -> None:
    complete = [*paths, ["ad", "pay"]]
    share = sum("pay" in path for path in complete) / len(complete)
    assert fit(log(complete), order=order, smoothing=False).chance() == pytest.approx(share)


def test_without_smoothing_a_long_memory_is_a_count() -> None:
    paths = [["ad", "cart", "pay"]] * 3 + [["ad", "cart"]] + [["shop", "cart"]] * 4 + [["shop", "cart", "pay"]]
    outlook = fit(log(paths), order=2, smoothing=False)
    assert outlook.chance(["ad", "cart"]) == pytest.approx(3 / 4)
    assert outlook.chance(["shop", "cart"]) == pytest.approx(1 / 5)
    assert outlook.position(["ad", "cart"]).chance.n == 4
    assert fit(log(paths), order=1, smoothing=False).chance(["ad", "cart"]) == pytest.approx(4 / 9)


def solved_slowly(outlook: Outlook, steps: int = 4_000) -> float:
    """Walk the masses from the beginning, context by context: back off, then draw what was seen there."""
    model = outlook.model
    source, codes, share = model._moves  # the same numbers, used step by step
    matrix, _ = model._system()
    goal = np.bincount(source, share * (codes % model.width == model.width - 1), model.size)
    mass = np.zeros(model.size)
    mass[model.locate(np.array([0]))] = 1.0
    won = 0.0
    for _ in range(steps):
        won += float(mass @ goal)
        mass = mass @ matrix
    return won


@given(PATHS)
@settings(max_examples=15)
def test_chance_is_what_walking_gives(paths: list[list[str]]) -> None:
    outlook = fit(log([*paths, ["ad", "pay"], ["shop"]]))
    assert outlook.chance() == pytest.approx(solved_slowly(outlook), abs=1e-6)


def test_many_contexts_are_solved_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """The iteration for large systems gives what elimination gives."""
    rng = np.random.default_rng(7)
    names = ["ad", "shop", "cart", "help", "pay"]
    journeys = log([[str(each) for each in rng.choice(names, rng.integers(1, 9))] for _ in range(200)])
    exact = fit(journeys).solved
    monkeypatch.setattr(backoff, "_DIRECT", 0)
    for one, other in zip(exact, fit(journeys).solved, strict=True):
        assert other == pytest.approx(one, rel=1e-9, abs=1e-9, nan_ok=True)


@given(PATHS, st.randoms(use_true_random=False))
@settings(max_examples=20)
def test_the_order_of_customers_changes_nothing(paths: list[list[str]], random: object) -> None:
    paths = [*paths, ["ad", "pay"]]
    shuffled = list(paths)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = fit(log(paths)), fit(log(shuffled))
    assert one.model.strengths == other.model.strengths
    for history in ([], ["ad"], ["shop", "cart"]):
        assert one.chance(history) == pytest.approx(other.chance(history))


def halves(block: Block) -> tuple[Block, Block]:
    first = np.arange(block.journeys) < block.journeys // 2
    return keep_journeys(block, first), keep_journeys(block, ~first)


@given(PATHS)
@settings(max_examples=20)
def test_blocks_merge(paths: list[list[str]]) -> None:
    journeys = log([*paths, ["ad", "pay"], ["cart"]])
    population = journeys.population
    cells: Cells[Any] = Cells(vocabulary=population.vocabulary, facts=population.facts, origin=population.origin)
    tally = Outlooks(goal=GOAL)
    (block,) = population.parts
    apart = [tally.add(tally.start(), part, cells) for part in halves(block)]
    together = tally.finish(tally.merge(apart[1], apart[0]), cells, 0.95)[0]
    whole = fit(journeys)
    assert json.dumps(together.to_dict()) == json.dumps(whole.to_dict())


def test_journeys_in_progress_do_not_count_as_losses() -> None:
    paths = [["ad", "shop", "pay"], ["ad"], ["ad", "shop", "pay", "ad"]]
    lost = fit(log(paths), smoothing=False, order=1)
    progress = fit(log(paths).with_inactivity(timedelta(days=1)), smoothing=False, order=1)
    assert lost.chance() == pytest.approx(2 / 3)
    assert progress.chance() == 1.0
    assert (lost.n_open, progress.n_open) == (0, 1)
    assert "open_unknown" in lost.position(["ad"]).chance.flags
    assert "open_unknown" not in progress.position(["ad"]).chance.flags


def test_until_hides_what_comes_later_and_keeps_it_in_progress() -> None:
    paths = [["ad", "shop", "pay"], ["ad"], ["shop", "cart"]]
    outlook = fit(log(paths), smoothing=False, until=START + timedelta(minutes=1))
    assert (outlook.n, outlook.n_open) == (3, 2)
    assert outlook.chance() == 0.0


def test_position_before_now_and_next() -> None:
    slow = [["ad", "cart", "pay"]] * 9
    journeys = log(slow, minutes=10).with_touchpoints({"cart": {"stage": "Buy"}})
    outlook = fit(journeys)
    arrived = START + timedelta(hours=5)
    position = outlook.position([("ad", START), ("cart", arrived)], now=arrived + timedelta(minutes=30))
    assert (position.touchpoint, position.stage, position.since) == ("cart", "Buy", arrived)
    assert position.before == ("ad",)
    assert position.next[0].touchpoint == "purchase"
    assert position.waited_s == 1800.0
    assert position.usual_s == pytest.approx(600, rel=0.011)
    assert position.stuck is True
    assert position.why.startswith("Stuck: there for 30 min")
    assert position.seconds_to_goal == pytest.approx(600, rel=0.2)
    assert outlook.position([("cart", arrived)], now=arrived + timedelta(minutes=9)).stuck is False
    assert outlook.position(["cart"]).stuck is None
    assert json.loads(json.dumps(position.to_dict()))["stuck"] is True
    with pytest.raises(cx.errors.InvalidValueError, match="before the last touchpoint"):
        outlook.position([("cart", arrived)], now=START)


def test_usual_time_counts_those_who_are_still_there() -> None:
    """Of those who left, 9 of 10 did so within 10 minutes; with one who is there for 94 minutes it is 9 of 11."""
    rows = [
        {"who": f"c{who}", "what": what, "at": START + timedelta(minutes=10 * place)}
        for who in range(9)
        for place, what in enumerate(["ad", "cart"])
    ]
    rows += [
        {"who": "late", "what": what, "at": START + timedelta(minutes=at)} for what, at in (("ad", 0), ("pay", 99))
    ]
    rows += [{"who": "open", "what": "ad", "at": START + timedelta(minutes=5)}]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at").with_inactivity(timedelta(days=2))
    outlook = fit(journeys)
    assert outlook.position(["ad"]).usual_s == pytest.approx(99 * 60, rel=0.011)
    declared_lost = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    assert fit(declared_lost).position(["ad"]).usual_s == pytest.approx(600, rel=0.011)
    assert outlook.position(["cart"]).usual_s is None
    assert "nobody has left" in outlook.position(["cart"]).why


def test_expected_time_and_steps_of_a_plain_line() -> None:
    outlook = fit(log([["ad", "shop", "cart", "pay"]] * 5, minutes=10), smoothing=False)
    position = outlook.position(["ad"])
    assert position.steps_to_goal == pytest.approx(3.0)
    assert position.seconds_to_goal == pytest.approx(1800.0)
    assert outlook.position(["ad", "pay"]).reached
    assert outlook.position(["ad", "pay"]).chance.value is None


def test_time_to_the_goal_counts_those_who_are_still_on_their_way() -> None:
    """Of 4 who reach it after 10, 20, 30 and 40 minutes the median is 20; with one who is out for 25 it is 30."""
    rows = [
        {"who": f"c{who}", "what": what, "at": START + timedelta(minutes=at)}
        for who in range(4)
        for what, at in (("ad", 0), ("pay", 10 * (who + 1)))
    ]
    rows += [{"who": "lost", "what": "ad", "at": START - timedelta(days=9)}]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    assert fit(journeys).position(["ad"]).median_to_goal_s == pytest.approx(1_200, rel=0.011)
    rows += [{"who": "open", "what": "ad", "at": START + timedelta(minutes=15)}]
    more = cx.read_events(rows, customer="who", touchpoint="what", time="at").with_inactivity(timedelta(days=2))
    position = fit(more).position(["ad"])
    # at risk are 6, 5, then 3 after the censored one: .167, .333, .556, .778, of which half is .389
    assert position.median_to_goal_s == pytest.approx(1_800, rel=0.011)
    assert fit(more).position(["unheard of"]).median_to_goal_s is None


def test_the_median_time_to_the_goal_has_an_interval_by_customer() -> None:
    """Without censoring the ends are the order statistics at Wilson's ends about one half of the customers."""
    rows = [
        {"who": f"c{who:02}", "journey": f"{who}-{turn}", "what": what, "at": START + timedelta(days=turn, minutes=at)}
        for who in range(40)
        for turn in range(3)
        for what, at in (("ad", 0), ("pay", 10 * (who + 1)))
    ]
    journeys = cx.read_events(rows, customer="who", journey="journey", touchpoint="what", time="at")
    position = fit(journeys).position(["ad"])
    minutes = sorted(10 * (who + 1) for who in range(40) for _ in range(3))
    low, high = (minutes[int(np.ceil(float(end) * 120)) - 1] for end in wilson(20, 40))
    assert position.median_to_goal is not None
    assert position.median_to_goal.low == pytest.approx(60 * low, rel=0.011)
    assert position.median_to_goal.high == pytest.approx(60 * high, rel=0.011)
    assert position.median_to_goal_s is not None
    assert position.median_to_goal_s in position.median_to_goal
    told: Any = position.to_dict()["median_to_goal"]
    assert told["method"] == "Wilson by customer, read off the curve"
    assert fit(journeys).position(["unheard of"]).median_to_goal is None


@given(PATHS, st.integers(0, 90))
@settings(max_examples=15)
def test_the_table_says_of_the_stage_what_a_position_says(paths: list[list[str]], later: int) -> None:
    stages = {"ad": {"stage": "Look"}, "shop": {"stage": "Look"}, "cart": {"stage": "Buy"}}
    journeys = log([*paths, ["ad", "pay"]]).with_touchpoints(stages)
    outlook, now = fit(journeys), START + timedelta(minutes=later + 7)
    rows = {str(each["customer"]): each for each in outlook.positions(journeys, now).to_records()}
    for who in range(len(paths)):
        row = rows[f"c{who}"]
        stay = outlook.position(latest_history(journeys.population, f"c{who}"), now).stay
        if row["reached"] or stay is None:
            assert (row["stage"], row["stage_waited_s"], row["stuck_in_stage"]) == (None, None, None)
        else:
            assert (row["stage"], row["stage_waited_s"]) == (stay.stage, stay.waited_s)
            assert row["stuck_in_stage"] == bool(stay.stuck)


def test_a_stay_counts_from_entering_the_stage() -> None:
    rows = [
        {"who": f"c{who}", "what": what, "at": START + timedelta(minutes=at)}
        for who in range(9)
        for what, at in (("ad", 0), ("shop", 5), ("cart", 20), ("help", 60))
    ]
    stages = {"ad": {"stage": "Look"}, "shop": {"stage": "Look"}, "cart": {"stage": "Buy"}}
    journeys = cx.read_events(
        [*rows, {"who": "x", "what": "pay", "at": START}], customer="who", touchpoint="what", time="at"
    ).with_touchpoints(stages)
    outlook = fit(journeys)
    history = [("cart", START), ("ad", START + timedelta(minutes=1)), ("shop", START + timedelta(minutes=8))]
    position = outlook.position(history, now=START + timedelta(minutes=30))
    assert position.stay is not None
    assert (position.stay.stage, position.stay.since) == ("Look", START + timedelta(minutes=1))
    assert position.stay.waited_s == 29 * 60
    assert position.stay.usual_s == pytest.approx(20 * 60, rel=0.011)
    assert (position.stuck, position.stay.stuck) == (True, True)
    assert outlook.position(["help"]).stay is None
    assert outlook.position(["shop"]).stay == Stay(stage="Look", usual_s=position.stay.usual_s)
    assert json.loads(json.dumps(position.to_dict()))["stay"]["stuck"] is True


def test_steps_that_nobody_was_seen_to_take_may_lead_anywhere() -> None:
    """Of 10 at the cart 4 paid at once; the 6 others go on later, so Aalen-Johansen leaves .6 open."""
    rows = [{"who": f"c{who}", "what": "cart", "at": START} for who in range(10)]
    rows += [{"who": f"c{who}", "what": "pay", "at": START + timedelta(minutes=1)} for who in range(4)]
    rows += [{"who": f"c{who}", "what": "court", "at": START + timedelta(days=30)} for who in range(4, 10)]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    outlook = fit(journeys, until=START + timedelta(days=20), order=1)
    assert outlook.model.open is not None
    code = outlook.touchpoints.index("cart") + 1
    assert outlook.model.open[code] == pytest.approx(0.6 / 0.4)
    shares = {each.touchpoint: each.probability for each in outlook.position(["cart"]).next}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert 0.1 < shares["court"] < shares["purchase"] < 0.7
    sure = fit(journeys, until=START + timedelta(days=20), order=1, smoothing=False).position(["cart"]).next[0]
    assert sure.probability == 1.0
    assert fit(journeys).model.open is None


def test_a_customer_with_many_journeys_counts_once_in_an_interval() -> None:
    """Forty journeys of eight customers: as wide as eight of one each, about the same share."""
    rows = [
        {"who": f"c{who}", "journey": f"{who}-{turn}", "what": what, "at": START + timedelta(days=turn, minutes=place)}
        for who in range(8)
        for turn in range(5)
        for place, what in enumerate(["ad", "pay"] if who % 2 else ["ad", "help"])
    ]
    journeys = cx.read_events(rows, customer="who", journey="journey", touchpoint="what", time="at")
    chance = fit(journeys, smoothing=False).position(["ad"]).chance
    assert chance.n == 40
    assert chance.value == pytest.approx(0.5)
    low, high = wilson(4, 8)
    assert chance.interval is not None
    assert chance.interval.low == pytest.approx(float(low))
    assert chance.interval.high == pytest.approx(float(high))


@given(PATHS, st.integers(0, 24))
@settings(max_examples=5)
def test_live_events_handed_to_a_saved_outlook_equal_appended_journeys(paths: list[list[str]], whose: int) -> None:
    journeys = log([*paths, ["ad", "pay"]])
    who, later = f"c{whose % (len(paths) + 1)}", START + timedelta(hours=1)
    with TemporaryDirectory() as folder:
        journeys.outlook(GOAL).save(Path(folder) / "outlook.json")
        opened = cx.open_outlook(Path(folder) / "outlook.json")
    history = [*latest_history(journeys.population, who), ("cart", later)]
    grown = journeys.append([{"who": who, "what": "cart", "at": later}])
    (there,) = (each for each in opened.positions(grown).to_records() if each["customer"] == who)
    position = opened.position(history, now=later)
    assert position == opened.position(latest_history(grown.population, who), now=later)
    assert position.reached == there["reached"]
    if not position.reached:
        assert position.chance.value == pytest.approx(there["chance"])
        assert position.next[0].probability == pytest.approx(there["next_probability"])


def test_a_saved_outlook_says_the_same(tmp_path: Path) -> None:
    journeys = log([["ad", "cart", "pay"], ["ad"], ["shop", "cart"]]).with_touchpoints({"cart": {"stage": "Buy"}})
    outlook = fit(journeys)
    outlook.save(tmp_path / "outlook.json")
    again = cx.open_outlook(tmp_path / "outlook.json")
    for history in ([], ["ad"], ["shop", "cart"], ["unheard of"]):
        assert again.position(history) == outlook.position(history)
    text = (tmp_path / "outlook.json").read_text(encoding="utf-8")
    assert "c0" not in text
    (tmp_path / "outlook.json").write_text(text.replace('"version": 1', '"version": 9'), encoding="utf-8")
    with pytest.raises(cx.errors.DocumentError, match="version 9"):
        cx.open_outlook(tmp_path / "outlook.json")


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "is not JSON"), ("[1]", "is not an outlook"), ('{"format": "cxmodel.outlook", "version": 1}', "is damaged")],
)
def test_a_file_that_is_no_outlook_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "x.json").write_text(text, encoding="utf-8")
    with pytest.raises(cx.errors.DocumentError, match=message):
        cx.open_outlook(tmp_path / "x.json")
    with pytest.raises(cx.errors.SourceNotFoundError):
        cx.open_outlook(tmp_path / "y.json")


@given(PATHS)
@settings(max_examples=15)
def test_all_positions_are_the_single_ones(paths: list[list[str]]) -> None:
    journeys = log([*paths, ["ad", "pay"]])
    records = journeys.positions(GOAL).to_records()
    assert len(records) == journeys.facts.customers
    for record in records:
        position = journeys.position(str(record["customer"]), goal=GOAL)
        assert position.reached == record["reached"]
        assert position.stuck in (record["stuck"], None)
        if not position.reached:
            assert position.touchpoint == record["touchpoint"]
            assert position.chance.value == pytest.approx(record["chance"])
            assert position.next[0].probability == pytest.approx(record["next_probability"])


def test_one_fit_per_goal_and_near_ids() -> None:
    journeys = log([["ad", "pay"], ["ad"]])
    assert journeys.outlook(GOAL) is journeys.outlook(GOAL)
    with pytest.raises(cx.errors.UnknownCustomerError, match="Near it: 'c"):
        journeys.position("c17", goal=GOAL)
    with pytest.raises(cx.errors.InvalidValueError, match=r"Write \['ad'\]"):
        journeys.outlook(GOAL).position("ad")


def test_forecasts_leave_earlier_journeys_out() -> None:
    rng = np.random.default_rng(3)
    rows = []
    for who in range(400):
        begins = START + timedelta(days=who)
        first = str(rng.choice(["ad", "shop"]))
        won = rng.random() < (0.9 if first == "ad" else 0.1)
        path = [first, "cart", "pay" if won else "help"]
        rows += [{"who": who, "what": what, "at": begins + timedelta(minutes=i)} for i, what in enumerate(path)]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    outlook = journeys.outlook(GOAL, until=START + timedelta(days=200))
    check = outlook.evaluate(journeys, bootstrap=200)
    assert (check.journeys, check.left_out) == (200, 200)
    for gain in check.gains:
        assert gain.interval is not None
        assert gain.interval.high < 0
    assert check.slope.interval is not None
    assert 1.0 in check.slope.interval
    assert all(each.low <= each.forecast <= each.high for each in check.bins)
    assert json.loads(json.dumps(check.to_dict()))["journeys"] == 200
    with pytest.raises(cx.errors.NotComparableError):
        outlook.evaluate(log([["elsewhere", "pay"]]))
    with pytest.raises(cx.errors.NoRowsError):
        outlook.evaluate(journeys.sample(1.0).between(end=START + timedelta(days=100)))


def test_chances_that_part_the_outcomes_have_no_slope() -> None:
    rows = []
    for who in range(300):
        begins = START + timedelta(days=who)
        path = ["ad", "pay"] if who % 2 else ["shop", "help"]
        rows += [{"who": who, "what": what, "at": begins + timedelta(minutes=i)} for i, what in enumerate(path)]
    journeys = cx.read_events(rows, customer="who", touchpoint="what", time="at")
    check = journeys.outlook(GOAL, until=START + timedelta(days=150)).evaluate(journeys, bootstrap=50)
    assert check.slope.value is None
    assert check.slope.reason
    assert json.loads(json.dumps(check.to_dict()))["slope"]["value"] is None
