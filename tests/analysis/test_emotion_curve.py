"""The emotion curve against plain loops, its bands against drawn truth, and its picture by its artists."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.figure import Figure
from tests.exporters.results import HOSTILE
from tests.exporters.test_figures import check_layout, words

import cxmodel as cx
from cxmodel.analysis.emotion_curve import CurveTable, EmotionCurve
from cxmodel.exporters.matplotlib.curves import EmotionCurveFigure

Scores = list[list[int | None]]
JOURNEYS = st.lists(st.lists(st.none() | st.integers(1, 5), min_size=1, max_size=6), min_size=2, max_size=6).filter(
    lambda journeys: any(score is not None for scores in journeys for score in scores)
)


def scored(journeys: Scores, stages: dict[str, str] | None = None, scale: cx.Scale | None = None) -> cx.Journeys:
    """One customer per two journeys; None is an event without a score."""
    rows: list[dict[str, Any]] = [
        {"who": f"c{j // 2}", "trip": f"j{j}", "what": f"t{i % 3}", "at": f"2026-01-{i + 1:02d}", "score": score}
        for j, scores in enumerate(journeys)
        for i, score in enumerate(scores)
    ]
    about: dict[str, Any] = {"customer": "who", "journey": "trip", "touchpoint": "what", "time": "at"}
    answers = cx.read_responses(
        [row for row in rows if row["score"] is not None], score="score", scale=scale or cx.Scale.csat(), **about
    )
    read = cx.read_events(rows, **about)
    if stages:
        read = read.with_touchpoints({name: {"stage": stage} for name, stage in stages.items()})
    return read.with_responses(answers)


def slow(journeys: Scores, along: str, bins: int) -> dict[str, list[tuple[int, int]]]:
    """Customer and score of the answers of each point."""
    out: dict[str, list[tuple[int, int]]] = {}
    for j, scores in enumerate(journeys):
        for i, score in enumerate(scores):
            if score is None:
                continue
            place = math.floor((i + 0.5) / len(scores) * bins)
            edges = f"{100 * place / bins:.3g}–{100 * (place + 1) / bins:.3g} %"
            label = {"step": str(i + 1), "position": edges, "stage": f"s{i % 3}"}[along]
            out.setdefault(label, []).append((j // 2, score))
    return out


@given(JOURNEYS, st.sampled_from(["step", "position", "stage"]), st.integers(1, 4))
def test_points_equal_plain_loops(journeys: Scores, along: Any, bins: int) -> None:
    log = scored(journeys, {f"t{i}": f"s{i}" for i in range(3)})
    table = log.measure(EmotionCurve(along=along, bins=bins, min_n=0))
    expected = slow(journeys, along, bins)
    assert {point.label: point.n for point in table.points} == {label: len(v) for label, v in expected.items()}
    for point in table.points:
        here = expected[point.label]
        assert point.value == pytest.approx(sum(score for _, score in here) / len(here))
        assert point.customers == len({customer for customer, _ in here})
        if point.low is not None and point.high is not None and point.band_low is not None:
            assert point.band_high is not None
            assert point.band_low <= point.low + 1e-9
            assert point.high <= point.band_high + 1e-9
            assert point.value is not None
            assert point.low <= point.value <= point.high
    assert table.answers == sum(map(len, expected.values()))


@settings(max_examples=10)
@given(JOURNEYS, st.integers(1, 3))
def test_later_steps_are_counted_and_nothing_is_lost(journeys: Scores, steps: int) -> None:
    table = scored(journeys).measure(EmotionCurve(along="step", steps=steps, min_n=0))
    given_ = sum(score is not None for scores in journeys for score in scores)
    assert table.answers + table.elsewhere == given_
    assert len(table.points) <= steps


def test_the_band_holds_the_whole_curve_as_often_as_it_says() -> None:
    generator = np.random.default_rng(5)
    points, people, times = 6, 80, 120
    scores = 50 + 5 * generator.normal(size=(times, people, 1)) + 10 * generator.normal(size=(times, people, points))
    rows = [
        {"who": f"{s}-{c}", "what": f"t{i}", "at": f"2026-01-{i + 1:02d}", "score": score, "survey": str(s)}
        for (s, c, i), score in np.ndenumerate(scores)
    ]
    about: dict[str, Any] = {"customer": "who", "touchpoint": "what", "time": "at"}
    answers = cx.read_responses(rows, score="score", scale=cx.Scale.own(-100, 200), **about)
    log = cx.read_events(rows, attributes=["survey"], **about).with_responses(answers)
    tables = list(log.measure(EmotionCurve(along="step"), by=cx.by.attribute("survey")).values())
    held = sum(all(p.band_low is not None and p.band_high is not None and p.band_low <= 50 <= p.band_high
                   for p in table.points) for table in tables)  # fmt: skip
    single = sum(all(p.low is not None and p.high is not None and p.low <= 50 <= p.high for p in table.points)
                 for table in tables)  # fmt: skip
    assert len(tables) == times
    assert 0.9 <= held / times <= 0.99
    assert single / times < 0.85


def test_edges_are_told() -> None:
    log = scored([[3], [4, None]])
    table = log.measure(EmotionCurve(along="step"))
    assert table.points[0].value is None
    assert table.points[0].reason == "fewer than 10 answers"
    with pytest.raises(cx.errors.NotMeasurableError, match="stage"):
        log.measure(EmotionCurve())
    assert log.measure(EmotionCurve(along="position")).open_unknown
    one = scored([[3, 3], [3, 3]]).measure(EmotionCurve(along="step", min_n=0))
    assert [(point.value, point.low) for point in one.points] == [(3.0, None), (3.0, None)]
    assert one.band_factor is None


def drawn(table: CurveTable) -> Figure:
    return EmotionCurveFigure().figure(table)


def test_the_picture_says_what_the_table_says() -> None:
    generator = np.random.default_rng(1)
    journeys: Scores = [[int(generator.integers(1, 6)) for _ in range(3)] for _ in range(40)]
    table = scored([*journeys, [1, 1, 1, 1]]).measure(EmotionCurve(along="step"))
    figure = drawn(table)
    check_layout(figure)
    axes = figure.axes[0]
    assert [tick.get_text() for tick in axes.get_xticklabels()] == [
        f"{point.label}\nn={point.n}" for point in table.points
    ]
    curve = next(line for line in axes.lines if len(line.get_xdata()) == len(table.points))  # type: ignore[arg-type]
    assert curve.get_ydata()[:3] == pytest.approx([p.value for p in table.points[:3]])  # type: ignore[index]
    assert any("No value (too few answers): 4" in text for text in words(figure))
    low, high = axes.get_ylim()
    assert low < table.scale[0] < table.scale[1] < high
    lower = scored(journeys, scale=cx.Scale.ces1()).measure(EmotionCurve(along="step"))
    bottom, top = drawn(lower).axes[0].get_ylim()
    assert bottom > top


def test_hostile_stages_are_drawn_and_files_do_not_change() -> None:
    journeys: Scores = [[3, 4, 5]] * 12
    for name in HOSTILE[:12]:
        check_layout(drawn(scored(journeys, {"t0": name, "t1": "b"}).measure(EmotionCurve())))
    exporter, table = EmotionCurveFigure(), scored(journeys, {"t0": "a"}).measure(EmotionCurve())
    assert exporter.write(table, ".svg") == exporter.write(table, ".svg")
    assert "Highest" in exporter.alt_text(table)


def test_nothing_to_draw() -> None:
    table = scored([[3, 4], [1, 2]]).measure(EmotionCurve(along="step"))
    assert "No point has a value" in EmotionCurveFigure().alt_text(table)
    check_layout(drawn(table))
