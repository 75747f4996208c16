"""What a picture of a journey graph shows: columns, node texts, the transitions worth a line, and what was left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Literal

from attrs import frozen

from cxmodel.exporters.colours import Shade, shades
from cxmodel.exporters.labels import percent, visible
from cxmodel.exporters.layout import columns_of, depths
from cxmodel.graph import JourneyGraph
from cxmodel.model.estimates import Estimate

Kind = Literal["next", "same", "skip", "back"]
MOST_TOUCHPOINTS: Final = 300
NO_STAGE: Final = "no stage"
SEPARATOR: Final = " · "
LEAST_NOTED: Final = 0.01
ENOUGH: Final = 30


@frozen(kw_only=True)
class Spot:
    """A touchpoint in the picture.

    Attributes:
        name: Its name.
        notes: Lines under the name: where journeys start and end, repeats, and the value it is coloured by.
        shade: Its colour, or None.
    """

    name: str
    notes: tuple[str, ...]
    shade: Shade | None


@frozen(kw_only=True)
class Way:
    """A transition in the picture.

    Attributes:
        source: Where from.
        target: Where to.
        count: How often.
        kind: To the next column, in the same column, over some columns, or back.
        share: Its count as a share of the largest one.
        inside: Whether it stays in its column.
    """

    source: str
    target: str
    count: int
    kind: Kind
    share: float
    inside: bool


@frozen(kw_only=True)
class JourneyView:
    """A journey graph as it is drawn.

    Attributes:
        columns: Touchpoints by column, left to right.
        headings: Name of each column's stage; None without stages.
        spots: Touchpoints.
        ways: Transitions shown, most frequent first; repeats of a touchpoint are notes.
        hidden: Transitions not shown.
        caption: What is shown and what is not, in words.
        alt: The picture in words.
    """

    columns: tuple[tuple[str, ...], ...]
    headings: tuple[str | None, ...]
    spots: Mapping[str, Spot]
    ways: tuple[Way, ...]
    hidden: int
    caption: str
    alt: str


def view(
    graph: JourneyGraph, *, min_share: float, max_edges: int | None, color: Mapping[str, Estimate] | None = None
) -> JourneyView:
    """What to draw of a graph.

    Args:
        graph: The journey graph.
        min_share: Transitions below this share of their source's events are hidden, 0 to 1.
        max_edges: Most transitions to show, each touchpoint's most frequent way in and out first. Without it these
            and the most frequent others, 30 or more.
        color: Touchpoint → estimate to colour it by.
    """
    stages = _stages(graph)
    depth = _depth(graph)
    columns, headings = _columns(graph, stages, depth)
    at = {name: i for i, column in enumerate(columns) for name in column}
    shown = _shown(graph, min_share, max_edges)
    ways = tuple(_way(graph, a, b, at, shown) for a, b in shown if a != b)
    shade = shades(color or {}, list(graph.nodes))
    total_starts = sum(int(data.get("starts", 0)) for _, data in graph.nodes(data=True))
    spots = {
        name: Spot(name=name, notes=_notes(graph, name, total_starts, shade.get(name), shown), shade=shade.get(name))
        for name in graph.nodes
    }
    hidden, caption = _caption(graph, shown, min_share)
    if color and shade:
        caption += " " + next(iter(shade.values())).legend
    return JourneyView(
        columns=columns, headings=headings, spots=spots, ways=ways, hidden=hidden, caption=caption,
        alt=_alt(graph, ways, caption),
    )  # fmt: skip


def _stages(graph: JourneyGraph) -> list[str]:
    """Stages in the order of the catalogue; those that it does not name by how early their touchpoints come."""
    of = {name: str(data["stage"]) for name, data in graph.nodes(data=True) if data.get("stage")}
    known = [str(stage) for stage in graph.graph.get("stages", ())]
    depth = _depth(graph)
    early: dict[str, list[int]] = {}
    for name, stage in of.items():
        early.setdefault(stage, []).append(depth[name])
    rest = sorted((s for s in early if s not in known), key=lambda s: sum(early[s]) / len(early[s]))
    return [stage for stage in known if stage in early] + rest


def _depth(graph: JourneyGraph) -> dict[str, int]:
    edges = [(a, b, float(data.get("count", 1))) for a, b, data in graph.edges(data=True)]
    starts = {name: float(data.get("starts", 0)) for name, data in graph.nodes(data=True)}
    names = sorted(graph.nodes, key=lambda name: (-int(graph.nodes[name].get("count", 0)), str(name)))
    return depths(names, edges, starts)


def _columns(
    graph: JourneyGraph, stages: Sequence[str], depth: Mapping[str, int]
) -> tuple[tuple[tuple[str, ...], ...], tuple[str | None, ...]]:
    names = sorted(graph.nodes, key=lambda name: (depth[name], -int(graph.nodes[name].get("count", 0)), str(name)))
    if not stages:
        columns = columns_of(names, depth)
        return tuple(map(tuple, columns)), (None,) * len(columns)
    of = {name: str(graph.nodes[name].get("stage") or "") for name in names}
    groups = [(stage or NO_STAGE, [name for name in names if of[name] == stage]) for stage in [*stages, ""]]
    groups = [(stage, members) for stage, members in groups if members]
    return tuple(_by_flow(graph, members) for _, members in groups), tuple(stage for stage, _ in groups)


def _by_flow(graph: JourneyGraph, members: Sequence[str]) -> tuple[str, ...]:
    """Touchpoints of a stage: those that lead to the others more often than back come first."""
    inside = set(members)
    net = dict.fromkeys(members, 0)
    for a, b, data in graph.subgraph(inside).edges(data=True):
        net[a] += int(data.get("count", 1))
        net[b] -= int(data.get("count", 1))
    return tuple(sorted(members, key=lambda name: -net[name]))


def _shown(graph: JourneyGraph, min_share: float, max_edges: int | None) -> dict[tuple[str, str], int]:
    """Transitions that are shown, most frequent first."""
    counts = {(a, b): int(data.get("count", 1)) for a, b, data in graph.edges(data=True)}
    ranked = sorted(counts, key=lambda pair: (-counts[pair], str(pair)))
    loops = [pair for pair in ranked if pair[0] == pair[1]]
    between = [
        pair for pair in ranked if pair[0] != pair[1] and float(graph.edges[pair].get("share", 1.0)) >= min_share
    ]
    first_in: dict[str, tuple[str, str]] = {}
    first_out: dict[str, tuple[str, str]] = {}
    for pair in between:
        first_out.setdefault(pair[0], pair)
        first_in.setdefault(pair[1], pair)
    main = {*first_in.values(), *first_out.values()}
    most = max(ENOUGH, len(main)) if max_edges is None else max_edges
    kept = sorted(between, key=lambda pair: pair not in main)[:most]
    return {pair: counts[pair] for pair in sorted([*kept, *loops], key=lambda pair: (-counts[pair], str(pair)))}


def _way(
    graph: JourneyGraph, source: str, target: str, at: Mapping[str, int], shown: Mapping[tuple[str, str], int]
) -> Way:
    count, step = shown[source, target], at[target] - at[source]
    kind: Kind = "next" if step == 1 else "skip" if step > 1 else "back" if step < 0 else "same"
    if kind == "same" and graph.has_edge(target, source) and int(graph.edges[target, source].get("count", 1)) > count:
        kind = "back"
    most = max((n for (a, b), n in shown.items() if a != b), default=1)
    return Way(source=source, target=target, count=count, kind=kind, share=count / max(most, 1), inside=step == 0)


def _notes(
    graph: JourneyGraph, name: str, starts: int, shade: Shade | None, shown: Mapping[tuple[str, str], int]
) -> tuple[str, ...]:
    data = graph.nodes[name]
    count = int(data.get("count", 0))
    notes = [shade.text] if shade else []
    begin = int(data.get("starts", 0)) / starts if starts and not graph.partial else 0.0
    leave = float(data.get("leave_share", int(data.get("ends", 0)) / count if count else 0.0))
    again = shown.get((name, name), 0) / count if count else 0.0
    parts = [f"{percent(share)} {word}" for share, word in ((begin, "start"), (leave, "leave")) if share >= LEAST_NOTED]
    notes.append(SEPARATOR.join(parts))
    notes.append(f"{percent(again)} repeat" if again >= LEAST_NOTED else "")
    return tuple(note for note in notes if note)


def _caption(graph: JourneyGraph, shown: Mapping[tuple[str, str], int], min_share: float) -> tuple[int, str]:
    other = graph.graph.get("other") or {}
    everything = graph.number_of_edges() + int(other.get("transitions", 0))
    traffic = sum(int(d.get("count", 1)) for _, _, d in graph.edges(data=True)) + int(other.get("count", 0))
    hidden = everything - len(shown)
    if not everything:
        return 0, "No transitions."
    part = percent(sum(shown.values()) / max(traffic, 1))
    words = f"{len(shown):,} of {everything:,} transitions shown, {part} of traffic."
    if hidden and min_share > 0:
        words += f" Hidden: below {min_share:.1%} of the events of their source, or rarer than those shown."
    return hidden, words


def _alt(graph: JourneyGraph, ways: Sequence[Way], caption: str) -> str:
    size = f"Journey graph of {graph.number_of_nodes():,} touchpoints. {caption}"
    leave = [(float(d.get("leave_share", 0.0)), int(d.get("ends", 0)), n) for n, d in graph.nodes(data=True)]
    parts = [size]
    if ways:
        top = ", ".join(f"{visible(w.source)} to {visible(w.target)} ({w.count:,})" for w in ways[:3])
        parts.append(f"Most frequent: {top}.")
    if leave:
        share, _, name = max(leave, key=lambda each: (each[1], str(each[2])))
        parts.append(f"Most journeys end at {visible(name)} ({percent(share)} of its events).")
    return " ".join(parts)
