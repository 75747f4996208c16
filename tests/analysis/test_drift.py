"""Change points: found where they are, and not more often than said where there are none."""

import json

import numpy as np
import pytest

import cxmodel as cx
from cxmodel.model.estimates import Estimate, no_value


def series(values: list[float], n: int = 100) -> dict[str, Estimate]:
    return {f"{i:03d}": Estimate(value=float(value), n=n) for i, value in enumerate(values)}


def test_false_alarms_stay_at_their_level_with_unequal_n() -> None:
    generator = np.random.Generator(np.random.PCG64(11))
    runs, alarms = 300, 0
    for run in range(runs):
        sizes = generator.integers(10, 400, 8 + run % 17)
        noise = {i: Estimate(value=float(generator.normal(30, 85 / n**0.5)), n=int(n)) for i, n in enumerate(sizes)}
        alarms += bool(cx.drift(noise, permutations=199, seed=run).changes)
    # 5 % nominal: above 27 of 300 with probability below 0.001
    assert alarms <= 27


def test_two_changes_are_found_where_they_are() -> None:
    noise = np.random.Generator(np.random.PCG64(2)).normal(0, 1, 36)
    found = cx.drift(series([float(10 * (12 <= i < 24) + each) for i, each in enumerate(noise)]))
    assert [change.at for change in found.changes] == ["012", "024"]
    assert found.changes[0].after == pytest.approx(10, abs=1)
    assert found.changes[0].after == found.changes[1].before


def test_time_turned_round_gives_the_same_places() -> None:
    noise = np.random.Generator(np.random.PCG64(5)).normal(0, 1, 20)
    values = [float(8 * (i >= 13) + each) for i, each in enumerate(noise)]
    there, back = cx.drift(series(values)), cx.drift(series([-each for each in values]))
    assert [change.at for change in there.changes] == [change.at for change in back.changes] == ["013"]


def test_levels_are_weighted_by_n() -> None:
    values = {i: Estimate(value=float(v), n=n) for i, (v, n) in enumerate([(0, 100), (1, 300)] * 5 + [(50, 100)] * 10)}
    change = cx.drift(values).changes[0]
    assert (change.at, change.before, change.after) == (10, 0.75, 50)


@pytest.mark.parametrize("value", [0.0, 0.1, 100.0])
def test_all_equal_is_no_change(value: float) -> None:
    assert cx.drift(series([value] * 20)).changes == ()


def test_few_periods_and_missing_ones_are_said() -> None:
    short = cx.drift({**series([0, 0, 0, 9, 9, 9, 9]), "empty": no_value("nobody answered")})
    assert (short.changes, short.left_out) == ((), 1)
    assert short.reason == "fewer than 8 periods with a value"
    with pytest.raises(cx.errors.NoValueError, match="no period has a value"):
        cx.drift({})
    with pytest.raises(cx.errors.InvalidValueError, match=r"1\.5"):
        cx.drift(series([1, 2]), alarm=1.5)
    with pytest.raises(cx.errors.InvalidValueError, match="5 permutations"):
        cx.drift(series([1, 2]), permutations=5)


def test_a_breakdown_by_period_is_followed_and_any_other_refused() -> None:
    rows = [
        {"score": 10 if i % 2 or month > 6 else 2, "at": f"2026-{month:02d}-{1 + i:02d}", "shop": "x"}
        for month in range(1, 13)
        for i in range(20)
    ]
    survey = cx.read_responses(rows, score="score", scale=cx.Scale.nps(), time="at", attributes=["shop"])
    found = cx.drift(survey.measure(cx.metrics.Nps(), by=cx.by.month()))
    assert [str(change.at) for change in found.changes] == ["2026-07-01"]
    told = json.loads(json.dumps(found.to_dict()))
    assert told["changes"][0]["at"] == "2026-07-01"
    assert [row["change"] is not None for row in told["periods"]] == [i == 6 for i in range(12)]
    with pytest.raises(cx.errors.NotComparableError, match="shop is no order of time"):
        cx.drift(survey.measure(cx.metrics.Nps(), by=cx.by.attribute("shop")))
