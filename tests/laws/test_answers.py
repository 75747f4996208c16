"""Answers: where they are attached, and what the survey metrics make of them."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.laws.reading import in_blocks, read

import cxmodel as cx
from cxmodel.testing import Row, journeys_of, logs, reference, surveys

MINUTE = 60_000_000
UNKNOWN = -(2**63)
WHY = {"too early": "before the customer's first touchpoint"}
few = settings(max_examples=25)
Place = tuple[str, int, int | None, float, int, float]


def survey(rows: list[Row], *, weight: bool = True, **more: Any) -> cx.Responses:
    roles = {"journey": "journey"} if any(row["journey"] is not None for row in rows) else {}
    if weight:
        roles["weight"] = "weight"
    return cx.read_responses(
        rows, customer="customer", score="score", scale=cx.Scale.nps(), time="time", touchpoint="touchpoint",
        **{**roles, **more},
    )  # fmt: skip


def places(journeys: cx.Journeys) -> Counter[Place]:
    """Each answer's customer, number of the journey, place of the event in it, score, time and weight."""
    found: Counter[Place] = Counter()
    for block in journeys.population.parts:
        answers = block.answers
        if answers is None:
            continue
        for k in range(answers.size):
            j = int(answers.journey[k])
            c = int(block.customer_of_journey[j])
            event = int(answers.event[k])
            place = None if event < 0 else event - int(block.journey_offsets[j])
            owner = journeys.population.vocabulary.customers.text(int(block.customer[c]))
            number = j - int(block.customer_offsets[c])
            score, weight = float(answers.score[k]), float(answers.weight[k])
            found[owner, number, place, score, int(answers.time[k]), weight] += 1
            assert answers.touchpoint[k] == (-1 if event < 0 else block.touchpoint[event])
            assert event < 0 or block.journey[event] == j
    return found


def expected(trips: list[reference.Trip], placed: list[reference.Placed]) -> Counter[Place]:
    found: Counter[Place] = Counter()
    for each in placed:
        if each.trip is None:
            continue
        owner = trips[each.trip].customer
        number = sum(trip.customer == owner for trip in trips[: each.trip])
        answer = each.answer
        time = UNKNOWN if answer["time"] is None else reference.micros(answer["time"])
        found[owner, number, each.event, float(str(answer["score"])), time, float(str(answer["weight"]))] += 1
    return found


def check_report(attached: Any, placed: list[reference.Placed]) -> None:
    reasons = Counter(WHY.get(each.why, each.why) for each in placed if each.trip is None)
    assert {reason: each.count for reason, each in attached.unmatched.items()} == reasons
    assert attached.at_event == sum(each.event is not None for each in placed)
    assert attached.answers == attached.at_event + attached.whole_journey + sum(reasons.values()) == len(placed)


@given(logs(journeys=False), surveys(), st.none() | st.integers(1, 20), st.sampled_from([None, "p001"]), st.booleans())
def test_attaching(rows: list[Row], answers: list[Row], within: int | None, about: str | None, kinds: bool) -> None:
    trips, journeys = reference.trips(rows), read(rows)
    never = {"p000"} if kinds and "p000" in journeys.facts.touchpoints else set()
    if never:
        journeys = journeys.with_touchpoints({"p000": {"kind": "survey"}})
    if about not in journeys.facts.known_touchpoints:
        about = None
    limit = None if within is None else timedelta(minutes=within)
    found = journeys.with_responses(survey(answers), within=limit, about=about)
    placed = reference.attach(
        trips, answers, within=None if within is None else within * MINUTE, about=about, never=never
    )  # fmt: skip
    assert places(found) == expected(trips, placed)
    check_report(found.attached, placed)


def test_what_all_answers_are_about_must_be_a_touchpoint() -> None:
    journeys = journeys_of("anna: question 0, call 5")
    answers = cx.read_responses([{"who": "anna", "score": 9}], customer="who", score="score", scale=cx.Scale.nps())
    with pytest.raises(cx.errors.UnknownNameError, match=r"there is no touchpoint 'cal'.*Did you mean 'call'"):
        journeys.with_responses(answers, about="cal")


WHO = ("c0", "c1", "c2", "c3", "stranger", None)


@given(logs(journeys=True), surveys(journeys=True, customers=WHO), st.none() | st.integers(1, 20))
def test_attaching_with_ids_of_journeys(rows: list[Row], answers: list[Row], within: int | None) -> None:
    trips = reference.trips(rows)
    limit = None if within is None else timedelta(minutes=within)
    if not any(answer["journey"] for answer in answers):
        return
    found = read(rows).with_responses(survey(answers), within=limit)
    placed = reference.attach(trips, answers, within=None if within is None else within * MINUTE)
    assert places(found) == expected(trips, placed)
    check_report(found.attached, placed)


@few
@given(logs(journeys=True), surveys(journeys=True, customers=WHO), st.integers(1, 9), st.integers(0, 10))
def test_size_of_blocks_does_not_matter(rows: list[Row], answers: list[Row], size: int, gap: int) -> None:
    journeys = read(rows)
    blocks = in_blocks(journeys, rows, size)
    if not any(answer["journey"] for answer in answers):
        return
    asked = survey(answers)
    a, b = journeys.with_responses(asked), blocks.with_responses(asked)
    assert places(a) == places(b)
    assert a.attached == b.attached
    cut = timedelta(minutes=gap)
    assert places(a.split(gap=cut)) == places(b.split(gap=cut))
    assert places(a.merge_repeats()) == places(b.merge_repeats())
    metric = cx.metrics.Nps(min_n=0)
    x, y = a.measure(metric, by="touchpoint"), b.measure(metric, by="touchpoint")
    assert list(x) == list(y)
    for left, right in zip(x.values(), y.values(), strict=True):
        assert left.value == pytest.approx(right.value)
        assert left.n_eff == pytest.approx(right.n_eff)
        assert left.n == right.n


@few
@given(logs(journeys=False), surveys(), st.integers(0, 15))
def test_cutting_after_attaching_keeps_events_of_answers(rows: list[Row], answers: list[Row], gap: int) -> None:
    """An answer about an event stays about that event, however its journey is cut, merged or filtered."""
    journeys = read(rows).with_responses(survey(answers))

    def about(which: cx.Journeys) -> Counter[tuple[str, int, float]]:
        return Counter(
            (block.vocabulary.touchpoints[block.touchpoint[e]], int(block.time[e]), float(s))
            for block in which.population.parts if block.answers is not None
            for e, s in zip(block.answers.event, block.answers.score, strict=True) if e >= 0
        )  # fmt: skip

    cut = journeys.split(gap=timedelta(minutes=gap))
    assert about(cut) == about(journeys)
    assert cut.facts.responses == journeys.facts.responses == journeys.merge_repeats().facts.responses
    name = str(rows[0]["touchpoint"])
    kept = journeys.events_where(touchpoint=name)
    assert about(kept) == Counter({key: n for key, n in about(journeys).items() if key[0] == name})


def test_ids_that_are_numbers_and_ids_that_are_texts_are_reported_alike() -> None:
    columns: dict[str, list[Any]] = {
        "customer": [0, 1, 2],
        "journey": [5, 6, 6],
        "touchpoint": ["a"] * 3,
        "time": ["2026-01-01"] * 3,
    }
    answers = [
        {"c": c, "j": j, "s": 9, "t": "2026-01-02"}
        for c, j in (
            ("0", "5"),
            ("zz", "5"),
            ("9", "5"),
            ("1", "7"),
            ("1", "x"),
            ("9", "7"),
            ("1", None),
            (None, "5"),
            ("1", "5"),
        )
    ]
    texts = {name: [str(v) for v in values] for name, values in columns.items()}
    for roles in ({"customer": "c", "journey": "j"}, {"customer": "c"}, {"journey": "j"}):
        asked = cx.read_responses(answers, score="s", scale=cx.Scale.nps(), time="t", **roles)  # type: ignore[arg-type]
        numbers, words = (
            read(pa.table(each), journey="journey").with_responses(asked) for each in (columns, texts)
        )  # fmt: skip
        assert numbers.attached == words.attached
        assert places(numbers) == places(words)
        if roles == {"customer": "c", "journey": "j"}:
            assert numbers.attached is not None
            assert numbers.attached.at_event == 3  # one of them carries no customer, and its journey is of one alone
        if "customer" not in roles:
            assert numbers.attached is not None
            assert {reason: each.count for reason, each in numbers.attached.unmatched.items()} == {
                "no journey with this id": 3, "no id": 1,
            }  # fmt: skip
    selected = read(pa.table(texts), journey="journey").where(passes="a").sample(1.0)
    assert selected.facts.journeys == 3


# metrics of answers


@few
@given(surveys())
def test_metrics_of_a_survey_alone(answers: list[Row]) -> None:
    scores = [float(str(answer["score"])) for answer in answers]
    weights = [float(str(answer["weight"])) for answer in answers]
    plain, weighted = survey(answers, weight=False), survey(answers)
    for asked, w in ((plain, None), (weighted, weights)):
        found = asked.measure(cx.metrics.Nps(min_n=0))
        assert found.value == pytest.approx(reference.nps(scores, w))
        assert found.n == len(scores)
        assert found.interval is not None
        assert found.interval.low - 1e-9 <= found.require() <= found.interval.high + 1e-9
        assert asked.measure(cx.metrics.MeanScore(min_n=0)).value == pytest.approx(reference.mean(scores, w))
    by = weighted.measure(cx.metrics.MeanScore(min_n=0), by="question")
    assert by["answer"].value == pytest.approx(reference.mean(scores, weights))


@given(st.lists(st.integers(1, 5), min_size=1, max_size=30), st.sampled_from(["wilson", "wilson, design effect"]))
def test_csat(scores: list[int], method: Any) -> None:
    asked = cx.read_responses([{"s": s} for s in scores], score="s", scale=cx.Scale.csat())
    found = asked.measure(cx.metrics.Csat(min_n=0, method=method))
    assert found.value == pytest.approx(sum(s >= 4 for s in scores) / len(scores))
    assert found.interval is not None
    assert 0 <= found.interval.low <= found.require() <= found.interval.high <= 1


@given(
    st.lists(st.integers(0, 10), min_size=1, max_size=30),
    st.sampled_from(["score", "adjusted_wald", "wald", "goodman"]),
)
def test_intervals_hold_the_value(scores: list[int], method: Any) -> None:
    asked = cx.read_responses([{"s": s} for s in scores], score="s", scale=cx.Scale.nps())
    found = asked.measure(cx.metrics.Nps(min_n=0, method=method))
    assert found.interval is not None
    if method == "adjusted_wald" and len(scores) == 1:
        return  # the one printed exception: a single answer
    assert found.interval.low - 1e-9 <= found.require() <= found.interval.high + 1e-9
    mirrored = cx.read_responses(
        [{"s": dict.fromkeys(range(7), 10).get(s, {7: 7, 8: 8}.get(s, 0))} for s in scores],
        score="s",
        scale=cx.Scale.nps(),
    ).measure(cx.metrics.Nps(min_n=0, method=method))
    assert mirrored.interval is not None
    assert mirrored.value == pytest.approx(-found.require())
    assert mirrored.interval.low == pytest.approx(-found.interval.high, abs=1e-6)


@given(surveys(customers=["a", "b", "c", "d"]), st.sampled_from([1e-9, 1e-3, 1e6]))
@settings(max_examples=15)
def test_scale_of_weights_does_not_matter(answers: list[Row], factor: float) -> None:
    scaled = [{**answer, "weight": float(str(answer["weight"])) * factor} for answer in answers]
    for metric in (cx.metrics.Nps(min_n=0), cx.metrics.MeanScore(min_n=0)):
        a, b = survey(answers).measure(metric), survey(scaled).measure(metric)
        assert b.value == pytest.approx(a.value)
        assert b.n_eff == pytest.approx(a.n_eff, rel=1e-6)
        assert b.n == a.n
        assert (a.interval is None) == (b.interval is None)
        if a.interval is not None and b.interval is not None:
            assert (b.interval.low, b.interval.high) == pytest.approx(
                (a.interval.low, a.interval.high), rel=1e-6, abs=1e-6
            )


@few
@given(surveys(customers=["a", "b", "c"]), st.integers(2, 4))
def test_copies_of_all_respondents(answers: list[Row], times: int) -> None:
    copies = [{**answer, "customer": f"{answer['customer']} {i}"} for i in range(times) for answer in answers]
    a, b = (survey(rows).measure(cx.metrics.Nps(min_n=0)) for rows in (answers, copies))
    assert b.value == pytest.approx(a.value)
    assert b.n == times * a.n


@settings(max_examples=12)
@given(logs(journeys=False), surveys(), surveys())
def test_nothing_is_lost_between_groups(rows: list[Row], first: list[Row], second: list[Row]) -> None:
    """Groups that do not overlap and the unassigned rest are the whole."""
    journeys = read(rows).with_responses(survey(first)).with_responses(survey(second, question="other"))
    if not journeys.facts.responses:
        return
    for question in ("answer", "other"):
        metric = cx.metrics.MeanScore(question=question, min_n=0)
        total = journeys.measure(metric)
        for by in (cx.by.touchpoint, cx.by.question, cx.by.day(), cx.by.hour(tz="Asia/Kathmandu"), cx.by.weekday()):
            groups: Any = journeys.measure(metric, by=by)
            assert not groups.overlapping
            parts = [*groups.values(), *([groups.unassigned] if groups.unassigned is not None else [])]
            assert sum(part.n for part in parts) == total.n
    found = journeys.measure(cx.metrics.MeanScore(question="answer", min_n=0), by="touchpoint")
    mine = Counter[str]()
    for block in journeys.population.parts:
        assert block.answers is not None
        for touchpoint, asked in zip(block.answers.touchpoint, block.answers.question, strict=True):
            if touchpoint >= 0 and asked == list(block.vocabulary.questions).index("answer"):
                mine[block.vocabulary.touchpoints[touchpoint]] += 1
    assert {name: estimate.n for name, estimate in found.items()} == mine


def test_answers_about_a_touchpoint_of_several_journeys() -> None:
    journeys = journeys_of("anna/1: question 0, reply 4; anna/2: question 2, reply 9")
    answer: Row = {
        "customer": "anna",
        "journey": None,
        "touchpoint": "question",
        "score": 9,
        "time": "2026-01-01T00:05",
        "weight": 1,
    }
    found = journeys.with_responses(survey([answer]))
    assert [place[:3] for place in places(found)] == [("anna", 1, 0)]
