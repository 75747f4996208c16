"""Strategies for results, and labels that are hard to write down."""

from datetime import date

import numpy as np
from hypothesis import strategies as st

from cxmodel.analysis.credits import CreditComparison, CreditTable
from cxmodel.analysis.funnels import FunnelStep, FunnelTable
from cxmodel.analysis.paths import Path, Remainder, TopPaths
from cxmodel.analysis.transitions import TransitionTable
from cxmodel.graph import JourneyGraph
from cxmodel.model.breakdowns import Breakdown
from cxmodel.model.estimates import Estimate, Interval, Origin
from cxmodel.model.rankings import RankStability
from cxmodel.model.transitions import Transition

HOSTILE = (
    '</script>"; drop table',
    "🛒 cart 💳",
    "two\nlines\r\nand a tab\t.",
    "\u05e9\u05dc\u05d5\u05dd",
    "\u202eright to left",
    'say "hi"',
    "back\\slash\\",
    "ends in a backslash\\",
    "\u200b",
    "a & b < c > d",
    "]]>",
    "&amp;",
    "\\N\\G\\l",
    "%s {0} $x$",
    "nul\x00 and bell\x07",
    "x" * 300,
    "word " * 60,
    "'",
    "<b>bold</b>",
    "日本語",
    "\U0001d518\U0001d52b",
    "$\\frac{1}{0}$",
    "-",
    "node",
)

names = st.one_of(st.text(min_size=1, max_size=12), st.sampled_from(HOSTILE))
counts = st.integers(0, 10**12)
numbers = st.floats(allow_nan=False, allow_infinity=False, width=64)
waits = st.none() | st.floats(0, 1e9)

origins = st.builds(
    Origin,
    source=names,
    filters=st.lists(names, max_size=2).map(tuple),
    window=st.tuples(st.none() | names, st.none() | names),
    rejected=counts,
)
intervals = st.builds(
    Interval,
    low=numbers | st.just(float("-inf")),
    high=numbers | st.just(float("inf")),
    level=st.floats(0.01, 0.999),
    method=names,
)
_about = {
    "n": counts,
    "n_eff": st.none() | st.floats(0, 1e9),
    "unit": st.sampled_from(["points", "share", "", "min"]),
    "direction": st.sampled_from(["higher", "lower", "none"]),
    "range": st.sampled_from([(0.0, 1.0), (-100.0, 100.0), (0.0, float("inf")), (float("-inf"), float("inf"))]),
    "flags": st.lists(st.sampled_from(["small_n", "suppressed", "censored"]), max_size=2).map(tuple),
    "origin": st.none() | origins,
}
estimates = st.one_of(
    st.builds(Estimate, value=numbers, interval=st.none() | intervals, **_about),
    st.builds(Estimate, value=st.none(), reason=names, **_about),
)
transitions = st.builds(Transition, names, names)
dates = st.dates(date(1970, 1, 1), date(2100, 1, 1))
_keys = st.one_of(
    st.just((("touchpoint",), names)),
    st.just((("transition",), transitions)),
    st.just((("month",), dates)),
    st.just((("score",), st.integers(-5, 5))),
    st.just((("touchpoint", "month"), st.tuples(names, dates))),
    st.just((("transition", "channel"), st.tuples(transitions, names))),
)


@st.composite
def breakdowns(draw: st.DrawFn) -> Breakdown[object, Estimate]:
    by, keys = draw(_keys)
    groups = draw(st.dictionaries(keys, estimates, max_size=5))
    return Breakdown(
        by=by,
        metric=draw(names),
        groups=groups,
        unassigned=draw(st.none() | estimates),
        overlapping=draw(st.booleans()),
    )


@st.composite
def stabilities(draw: st.DrawFn) -> RankStability:
    first = tuple(draw(st.lists(names, unique=True, max_size=3)))
    row = st.lists(st.floats(0, 1), min_size=len(first), max_size=len(first)).map(tuple)
    table = st.lists(row, min_size=len(first), max_size=len(first)).map(tuple)
    return RankStability(
        names=first, replicates=draw(counts), others=draw(counts), ranks=draw(table), beats=draw(table)
    )


credit_tables = st.builds(
    CreditTable,
    value=st.none() | names,
    unvalued=counts,
    stability=st.none() | stabilities(),
    by=st.just(("touchpoint",)),
    metric=names,
    goal=names,
    conversions=counts,
    direct=estimates,
    groups=st.dictionaries(names, estimates, max_size=4),
    unassigned=st.none() | estimates,
    overlapping=st.booleans(),
)
comparisons = st.builds(CreditComparison, models=st.dictionaries(names, credit_tables, max_size=3))
shares = st.floats(0, 1)
top_paths = st.builds(
    TopPaths,
    journeys=counts,
    distinct=counts,
    shown=st.lists(st.builds(Path, st.lists(names, min_size=1, max_size=4).map(tuple), counts, shares), max_size=4).map(
        tuple
    ),
    other=st.builds(Remainder, counts, counts, shares),
    origin=st.none() | origins,
)
funnels = st.builds(
    FunnelTable,
    journeys=counts,
    within_s=waits,
    origin=st.none() | origins,
    steps=st.lists(
        st.builds(
            FunnelStep, touchpoint=names, reached=counts, of_first=estimates, of_previous=estimates, wait_median_s=waits
        ),
        max_size=4,
    ).map(tuple),
)


@st.composite
def tables(draw: st.DrawFn) -> TransitionTable:
    touchpoints = tuple(draw(st.lists(names, unique=True, max_size=5)))
    k = len(touchpoints)
    pairs = (
        draw(st.lists(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)), unique=True, max_size=8)) if k else []
    )

    def ints(size: int) -> np.ndarray:
        return np.array(draw(st.lists(st.integers(1, 10**9), min_size=size, max_size=size)), np.int64)

    def floats(size: int) -> np.ndarray:
        return np.array(draw(st.lists(st.floats(0, 1e9), min_size=size, max_size=size)), np.float64)

    value = floats(k)
    if k:
        value[0] = np.nan
    stages = draw(st.lists(st.none() | names, min_size=k, max_size=k))
    return TransitionTable(
        touchpoints=touchpoints,
        count=ints(k),
        starts=ints(k),
        ends=ints(k),
        passing=ints(k),
        value=value,
        source=np.array([a for a, _ in pairs], np.int64),
        target=np.array([b for _, b in pairs], np.int64),
        transitions=ints(len(pairs)),
        bridged=ints(len(pairs)),
        wait_mean_s=floats(len(pairs)),
        wait_median_s=floats(len(pairs)),
        wait_total_s=floats(len(pairs)),
        journeys=draw(counts),
        customers=draw(counts),
        events=draw(counts),
        currency=draw(st.none() | names),
        facts={"stage": tuple(stages)},
        stages=tuple(dict.fromkeys(stage for stage in stages if stage)),
        origin=draw(origins),
    )


@st.composite
def graphs(draw: st.DrawFn, *, most: int = 8, stages: bool | None = None) -> JourneyGraph:
    touchpoints = draw(st.lists(names, unique=True, max_size=most))
    staged = draw(st.booleans()) if stages is None else stages
    nodes = []
    for name in touchpoints:
        count = draw(st.integers(1, 10**6))
        facts: dict[str, object] = {
            "count": count,
            "starts": draw(st.integers(0, count)),
            "ends": draw(st.integers(0, count)),
            "share": 0.5,
        }
        facts["leave_share"] = int(facts["ends"]) / count  # type: ignore[call-overload]
        if staged and draw(st.booleans()):
            facts["stage"] = draw(st.sampled_from(["Discover", "Buy", 'Use "it" <now>\\', "🛒"]))
        nodes.append((name, facts))
    pairs = st.tuples(st.sampled_from(touchpoints), st.sampled_from(touchpoints)) if touchpoints else st.nothing()
    edges = [
        (
            a,
            b,
            {"count": draw(st.integers(1, 10**6)), "share": draw(st.floats(0.001, 1)), "wait_median_s": draw(numbers)},
        )
        for a, b in draw(st.lists(pairs, unique=True, max_size=3 * most) if touchpoints else st.just([]))
    ]
    totals: dict[str, object] = {"journeys": draw(counts), "customers": draw(counts), "events": draw(counts)}
    if draw(st.booleans()):
        totals["other"] = {"transitions": draw(st.integers(1, 100)), "count": draw(st.integers(1, 1000))}
    return JourneyGraph.of_counts(nodes, edges, **totals)
