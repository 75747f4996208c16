"""Layout laws: nothing overlaps, everything has a place, order and gaps are kept, the same answer every time."""

from itertools import combinations, pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from cxmodel.exporters.layout import Edge, columns_of, depths, laid_out, separated

NAMES = [f"n{i}" for i in range(9)]


@st.composite
def columned(draw: st.DrawFn) -> tuple[list[list[str]], list[Edge], dict[str, tuple[float, float]]]:
    names = NAMES[: draw(st.integers(1, 9))]
    column = {name: draw(st.integers(0, 4)) for name in names}
    columns = [[n for n in names if column[n] == c] for c in sorted(set(column.values()))]
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(names)).filter(lambda pair: pair[0] != pair[1])
    chosen = draw(st.lists(pairs, unique=True, max_size=20)) if len(names) > 1 else []
    edges = [(a, b, float(draw(st.integers(1, 99)))) for a, b in chosen]
    sizes = {name: (draw(st.floats(5, 200)), draw(st.floats(5, 80))) for name in names}
    return columns, edges, sizes


@given(columned(), st.booleans())
def test_no_two_nodes_overlap_and_all_lie_inside(
    case: tuple[list[list[str]], list[Edge], dict[str, tuple[float, float]]], keep: bool
) -> None:
    columns, edges, sizes = case
    layout = laid_out(columns, edges, sizes, keep=keep)
    assert set(layout.boxes) == {name for column in columns for name in column}
    assert not any(a.overlaps(b, 5.0) for a, b in combinations(layout.boxes.values(), 2))
    for name, box in layout.boxes.items():
        assert (box.width, box.height) == sizes[name]
        assert box.x - box.width / 2 >= -1e-6
        assert box.x + box.width / 2 <= layout.width + 1e-6
        assert box.y - box.height / 2 >= -1e-6
        assert box.y + box.height / 2 <= layout.height + 1e-6
    assert all(x <= layout.width + 1e-6 and y <= layout.height + 1e-6 for route in layout.routes for x, y in route)


@given(columned())
def test_columns_stand_from_left_to_right_and_kept_orders_are_kept(
    case: tuple[list[list[str]], list[Edge], dict[str, tuple[float, float]]],
) -> None:
    columns, edges, sizes = case
    layout = laid_out(columns, edges, sizes, keep=True)
    for left, right in pairwise(columns):
        assert max(layout.boxes[n].x + sizes[n][0] / 2 for n in left) < min(
            layout.boxes[n].x - sizes[n][0] / 2 for n in right
        )
    for column in columns:
        assert [layout.boxes[name].y for name in column] == sorted(layout.boxes[name].y for name in column)


@given(columned())
def test_routes_begin_and_end_at_their_nodes_and_touch_no_other_node_where_they_pass(
    case: tuple[list[list[str]], list[Edge], dict[str, tuple[float, float]]],
) -> None:
    columns, edges, sizes = case
    layout = laid_out(columns, edges, sizes)
    assert laid_out(columns, edges, sizes) == layout
    for (source, target, _), route in zip(edges, layout.routes, strict=True):
        for name, (x, y) in ((source, route[0]), (target, route[-1])):
            box = layout.boxes[name]
            assert abs(x - box.x) <= box.width / 2 + 1e-6
            assert abs(y - box.y) <= box.height / 2 + 1e-6
        for name, box in layout.boxes.items():
            passing = [y for x, y in route[1:-1] if abs(x - box.x) <= box.width / 2 - 1e-6]
            assert name in (source, target) or all(abs(y - box.y) >= box.height / 2 for y in passing)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=6), st.data())
def test_separated_is_the_least_squares_answer(wanted: list[float], data: st.DataObject) -> None:
    size = len(wanted) - 1
    gaps = data.draw(st.lists(st.floats(0, 30), min_size=size, max_size=size))
    got = np.array(separated(wanted, gaps))
    assert (np.diff(got) >= np.array(gaps) - 1e-9).all()
    rules = [{"type": "ineq", "fun": lambda y, i=i: y[i + 1] - y[i] - gaps[i]} for i in range(size)]
    start = np.concatenate([[0.0], np.cumsum(gaps)])
    best = minimize(lambda y: float(((y - wanted) ** 2).sum()), start, constraints=rules, method="SLSQP")  # type: ignore[call-overload]
    assert ((got - wanted) ** 2).sum() <= best.fun + 1e-3


@given(columned(), st.dictionaries(st.sampled_from(NAMES), st.floats(0, 50)))
def test_every_node_gets_a_column_one_right_of_a_node_that_leads_to_it(
    case: tuple[list[list[str]], list[Edge], dict[str, tuple[float, float]]], starts: dict[str, float]
) -> None:
    names = sorted(name for column in case[0] for name in column)
    edges = case[1]
    depth = depths(names, edges, {name: starts.get(name, 0.0) for name in names})
    assert set(depth) == set(names)
    for name in names:
        assert depth[name] == 0 or any(depth[a] == depth[name] - 1 for a, b, _ in edges if b == name)
    columns = columns_of(names, depth)
    assert sorted(name for column in columns for name in column) == names
    assert all(column for column in columns)


def test_a_chain_reads_from_left_to_right() -> None:
    edges = [("a", "b", 9.0), ("b", "c", 8.0), ("c", "a", 2.0), ("a", "c", 1.0)]
    assert depths(["c", "b", "a"], edges, {"a": 10.0}) == {"a": 0, "b": 1, "c": 2}
