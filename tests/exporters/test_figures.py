"""Figures of breakdowns, credit, funnels and paths, judged by their artists: what is written, and where."""

import io
import os
import subprocess
import sys
import xml.etree.ElementTree as ET
from itertools import combinations
from typing import cast

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from PIL import Image
from tests.exporters.results import HOSTILE, breakdowns, comparisons, funnels, top_paths

import cxmodel as cx
from cxmodel.analysis.credits import CreditComparison, CreditTable
from cxmodel.analysis.driver_results import Driver, DriverTable
from cxmodel.analysis.forecasts import ForecastCheck, ReliabilityBin
from cxmodel.analysis.funnels import FunnelTable
from cxmodel.analysis.paths import TopPaths
from cxmodel.exporters.matplotlib.effects import DriverFigure, ImpactFigure
from cxmodel.exporters.matplotlib.forecasts import ReliabilityFigure
from cxmodel.exporters.matplotlib.measures import BreakdownFigure, CreditFigure
from cxmodel.exporters.matplotlib.paths import FunnelFigure, PathsFigure
from cxmodel.testing import journeys_of

few = settings(max_examples=8, suppress_health_check=[HealthCheck.too_slow])


def texts_of(figure: Figure) -> list[Text]:
    return [text for text in cast("list[Text]", figure.findobj(Text)) if text.get_text() and text.get_visible()]


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in texts_of(figure)]


def extents(figure: Figure) -> list[tuple[str, Bbox]]:
    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()
    inside_axes = {id(t) for axes in figure.axes for t in [*axes.get_xticklabels(), *axes.get_yticklabels()]}
    return [(t.get_text(), t.get_window_extent(renderer)) for t in texts_of(figure) if id(t) not in inside_axes]


def check_layout(figure: Figure) -> None:
    """No text leaves the figure, and no two texts cover each other."""
    found = extents(figure)
    for text, box in found:
        assert box.x0 >= -1, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y0 >= -1, text
        assert box.y1 <= figure.bbox.y1 + 1, text
    for (a, one), (b, other) in combinations(found, 2):
        shared = Bbox.intersection(one, other)
        assert shared is None or min(shared.width, shared.height) < 2.0, (a, b)


def estimate(value: float | None, low: float = 0.0, high: float = 0.0, n: int = 20) -> cx.Estimate:
    if value is None:
        return cx.Estimate(value=None, n=n, reason="fewer than 10 answers", unit="points", direction="higher")
    return cx.Estimate(
        value=value,
        n=n,
        interval=cx.Interval(low, high, 0.95, "score"),
        unit="points",
        direction="higher",
        range=(-100, 100),
    )


def nps() -> cx.Breakdown[str, cx.Estimate]:
    groups = {"ad": estimate(32.0, 20, 44), "call": estimate(-9.0, -20, 2), "chat": estimate(None, n=3)}
    return cx.Breakdown(
        by=("touchpoint",), metric="nps", groups=groups, unassigned=estimate(5.0, 1, 9), overlapping=True
    )


def test_bars_say_value_interval_and_n() -> None:
    figure = BreakdownFigure().figure(nps())
    said = words(figure)
    assert {
        "NPS by touchpoint",
        "ad",
        "call",
        "32.0",
        "−9.0",
        "20.0 to 44.0",
        "−20.0 to 2.0",
        "20",
        "95% interval",
    } <= set(said)
    assert "chat" not in said
    assert any("No value (fewer than 10 answers): chat." in text for text in said)
    assert any("Without a touchpoint: 5" in text for text in said)
    assert any("must not be summed" in text for text in said)
    axes = figure.axes[0]
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert [bar.get_width() for bar in bars] == [32.0, -9.0]
    assert axes.get_xlim()[0] <= -20 <= 44 <= axes.get_xlim()[1]
    check_layout(figure)


def test_a_scale_without_zero_gets_dots() -> None:
    ces = cx.Estimate(value=5.5, n=9, interval=cx.Interval(5.0, 6.0, 0.9, "t"), range=(1.0, 7.0))
    axes = BreakdownFigure().figure(cx.Breakdown(by=("channel",), metric="ces2", groups={"web": ces})).axes[0]
    assert len(axes.patches) == 0
    assert axes.get_xlim()[0] > 1.0


def test_rows_beyond_the_limit_are_counted() -> None:
    groups = {f"t{i}": estimate(float(i), 0, 50) for i in range(45)}
    said = words(BreakdownFigure().figure(cx.Breakdown(by=("touchpoint",), metric="nps", groups=groups)))
    assert "t39" in said
    assert "t40" not in said
    assert "5 more groups are not shown." in said


def test_alt_text_names_highest_lowest_and_n() -> None:
    words_ = BreakdownFigure().alt_text(nps())
    assert words_ == (
        "NPS by touchpoint. 3 groups, 1 without a value. Highest: ad 32 points (n=20). Lowest: call -9 points (n=20)."
    )


def test_groups_of_tables_are_not_drawn() -> None:
    inner: cx.Breakdown[str, object] = cx.Breakdown(by=("channel",), metric="m", groups={"web": nps()})
    assert "result['web']" in str(BreakdownFigure().missing(inner, ".svg"))


def test_credit_keeps_direct_apart_and_models_on_one_scale() -> None:
    def table(name: str, scale: float) -> CreditTable:
        groups = {"ad": estimate(3 * scale, 0, 4), "direct": estimate(scale, 0, 2)}
        return CreditTable(
            by=("touchpoint",), metric=name, groups=groups, goal="buy", conversions=9, direct=estimate(2.0, 1, 3)
        )

    one = CreditFigure().figure(table("first_credit", 1.0))
    assert {"ad", "direct", "no touchpoint before"} <= set(words(one))
    check_layout(one)
    both = CreditFigure().figure(
        CreditComparison(models={n: table(n, s) for n, s in (("first_credit", 1.0), ("last_credit", 9.0))})
    )
    assert {"First credit", "Last credit"} <= set(words(both))
    assert words(both).count("ad") == 1
    assert len({axes.get_xlim() for axes in both.axes}) == 1
    check_layout(both)


def journeys() -> cx.Journeys:
    rows = [
        {"c": str(i), "t": t, "at": f"2026-01-0{k + 1}"}
        for i, path in enumerate(["abc", "abc", "ab", "ac", "b"])
        for k, t in enumerate(path)
    ]
    return cx.read_events(rows, customer="c", touchpoint="t", time="at")


def test_a_funnel_shows_counts_shares_and_waits() -> None:
    figure = FunnelFigure().figure(journeys().funnel(["a", "b", "c"]))
    assert {"Funnel from a to c", "4", "3", "2", "75.0%", "66.7%", "1 d"} <= set(words(figure))
    bars = [patch.get_width() for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]
    assert bars == [4, 3, 2]
    check_layout(figure)


def test_paths_show_the_remainder() -> None:
    figure = PathsFigure(most=2).figure(journeys().paths())
    assert {"a →\u00a0b →\u00a0c", "2 other paths (no bar)", "40%", "5 journeys on 4 distinct paths."} <= set(
        words(figure)
    )
    check_layout(figure)
    assert PathsFigure().alt_text(journeys().paths().top(1)).endswith("Other paths: 3 journeys (60%).")


def test_reliability_marks_what_lies_outside_its_band() -> None:
    loss = cx.Estimate(value=1.2, n=90, interval=cx.Interval(1.1, 1.3, 0.9, "bootstrap"), unit="nats")
    bins = (
        ReliabilityBin(forecast=0.2, observed=0.25, low=0.1, high=0.4, n=50),
        ReliabilityBin(forecast=0.8, observed=0.5, low=0.4, high=0.6, n=40),
    )
    check = ForecastCheck(
        goal="pay", log_loss=loss, baselines=(loss, loss), gains=(loss, loss), top=((1, loss),),
        slope=cx.Estimate(value=0.6, n=90, interval=cx.Interval(0.4, 0.8, 0.9, "sandwich"), unit="slope"), bins=bins,
        steps=90, journeys=30, left_out=70,
    )  # fmt: skip
    assert not check.reliable
    figure = ReliabilityFigure().figure(check)
    said = " ".join(words(figure))
    assert "1 of 2 bins lie inside their bands. Calibration slope 0.60, 0.40 to 0.80" in said
    assert "90%" in said
    dots = [line for line in figure.axes[0].lines if line.get_marker() != "None"]
    assert [line.get_marker() for line in dots] == ["o", "D"]
    assert [np.asarray(line.get_xydata()).tolist() for line in dots] == [[[0.2, 0.25]], [[0.8, 0.5]]]
    check_layout(figure)
    assert ReliabilityFigure().alt_text(check).endswith("Foretold 80%, came 50% (40 forecasts).")


def driver(name: str, share: float, coefficient: float) -> Driver:
    part, none = estimate(share, share / 2, 2 * share), estimate(None)
    return Driver(
        name=name, share=part, error=None, weight=part, correlation=none, penalty=none, reward=none, asymmetry=none,
        coefficient=estimate(coefficient, coefficient - 0.1, coefficient + 0.1),
    )  # fmt: skip


@pytest.mark.parametrize("names", [("food", "wait"), HOSTILE[:2]])
def test_drivers_show_share_and_coefficient_with_its_sign(names: tuple[str, str]) -> None:
    rows = {name: driver(name, *each) for name, each in zip(names, ((0.4, 0.5), (0.2, -0.3)), strict=True)}
    table = DriverTable(
        by=("driver",), metric="drivers", groups=rows, of="overall", r2=estimate(0.6), n=20, left_out=0, filled=0,
        method="all sets",
    )  # fmt: skip
    figure = DriverFigure().figure(table)
    check_layout(figure)
    said = " ".join(text.get_text() for text in texts_of(figure))
    assert "(+)" in said
    assert "(−)" in said
    assert "−0.30" in said
    # quantities without a value take no panel
    assert len(figure.axes) == 2
    assert "Signs: " in DriverFigure().alt_text(table)


def test_impact_is_drawn_signed_with_what_to_mind() -> None:
    goods = cx.Goal("goods", touchpoints=["pay"])
    paths = [("a", "ad", "pay"), ("b", "ad"), ("c", "shop", "pay"), ("d", "shop"), ("e", "ad", "shop"), ("f", "help")]
    journeys = journeys_of("; ".join(
        f"{who}{k}: " + ", ".join(f"{name} {at}" for at, name in enumerate(path)) for k in range(12)
        for who, *path in paths
    ))  # fmt: skip
    table = journeys.measure(cx.metrics.Impact(outcome=goods, instead="nothing"))
    figure = ImpactFigure().figure(table)
    check_layout(figure)
    said = " ".join(text.get_text() for text in texts_of(figure)).replace("\n", " ")
    assert "impact on all" in said
    assert "Nothing was held constant but the history" in said
    ad = table["ad"].population
    assert f"{ad.require():.1%}".replace("-", "−") in said
    assert "Highest: " in ImpactFigure().alt_text(table)
    assert table["ad"].reach.direction == "none"


@given(breakdowns())
@few
def test_any_breakdown_is_drawn(obj: cx.Breakdown[object, cx.Estimate]) -> None:
    before = str(obj)
    ET.fromstring(BreakdownFigure().write(obj, ".svg").decode())
    assert str(obj) == before


@given(comparisons)
@few
def test_any_credit_is_drawn(obj: CreditComparison) -> None:
    assert ET.fromstring(CreditFigure().write(obj, ".svg").decode()).tag.endswith("svg")


@given(funnels)
@few
def test_any_funnel_is_drawn(obj: FunnelTable) -> None:
    assert ET.fromstring(FunnelFigure().write(obj, ".svg").decode()).tag.endswith("svg")


@given(top_paths)
@few
def test_any_paths_are_drawn(obj: TopPaths) -> None:
    assert ET.fromstring(PathsFigure().write(obj, ".svg").decode()).tag.endswith("svg")


def hostile() -> cx.Breakdown[str, cx.Estimate]:
    return cx.Breakdown(by=("touchpoint",), metric=HOSTILE[0], groups={name: estimate(1.0, 0, 2) for name in HOSTILE})


def test_hostile_labels_do_not_cover_each_other() -> None:
    figure = BreakdownFigure().figure(hostile())
    check_layout(figure)
    said = words(figure)
    assert any("U+1F6D2" in text for text in said)
    assert any(text.endswith("…") for text in said)


@pytest.mark.parametrize("extension", [".svg", ".png", ".pdf"])
def test_same_bytes_everywhere(extension: str) -> None:
    code = (
        "import sys; from tests.exporters.test_figures import BreakdownFigure, hostile;"
        f"sys.stdout.buffer.write(BreakdownFigure().write(hostile(), {extension!r}))"
    )
    first = BreakdownFigure().write(hostile(), extension)
    run = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, env={**os.environ, "PYTHONHASHSEED": "5"}
    )
    assert run.stdout == first


def test_pictures_are_described() -> None:
    png = Image.open(io.BytesIO(BreakdownFigure().write(nps(), ".png")))
    assert png.info["Title"] == "NPS by touchpoint"
    assert "Highest: ad 32 points" in png.info["Description"]
    root = ET.fromstring(BreakdownFigure().write(nps(), ".svg").decode())
    assert root.get("role") == "img"
    assert "Lowest: call" in str(root.findtext("{http://www.w3.org/2000/svg}desc"))


def test_matplotlib_loads_only_when_something_is_drawn() -> None:
    code = "import sys, cxmodel.exporters.builtin; print('matplotlib' in sys.modules, 'pygraphviz' in sys.modules)"
    assert (
        subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
        == "False False\n"
    )


def test_the_users_settings_neither_leak_in_nor_out() -> None:
    import matplotlib as mpl

    plain = BreakdownFigure().write(nps(), ".png")
    with mpl.rc_context({"font.size": 33, "axes.facecolor": "red", "savefig.dpi": 10}):
        before = dict(mpl.rcParams)
        assert BreakdownFigure().write(nps(), ".png") == plain
        assert dict(mpl.rcParams) == before
