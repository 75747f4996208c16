"""Journey graphs by Graphviz: DOT text needs nothing, pictures need pygraphviz or the program ``dot``."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from itertools import pairwise
from typing import Any, ClassVar, Final

from attrs import field, frozen

from cxmodel.errors import MissingExtraError
from cxmodel.exporters.colours import FRAME, INK, LINE, PAPER, QUIET, RUST, VERMILLION
from cxmodel.exporters.images import described_png, described_svg
from cxmodel.exporters.labels import wrapped, xml_text
from cxmodel.exporters.views import MOST_TOUCHPOINTS, SEPARATOR, JourneyView, Spot, Way, view
from cxmodel.graph import JourneyGraph
from cxmodel.model import validators
from cxmodel.model.estimates import Estimate
from cxmodel.plugins.bases import Exporter

FONT: Final = "Helvetica,Arial,sans-serif"
_FINE: Final = {"png": "-Gdpi=144", "svg": "", "pdf": ""}
_HOW: Final = "apt-get install graphviz, brew install graphviz, or pip install 'cxmodel[graphviz]'"


@frozen(kw_only=True)
class GraphvizExporter(Exporter[JourneyGraph]):
    """A journey graph with its stages as columns.

    Attributes:
        title: Heading of the picture.
        min_share: Transitions below this share of their source's events are hidden, 0 to 1.
        max_edges: Most transitions to show; without it the main ways of every touchpoint and 30 or more. What is
            hidden is counted in the caption.
        color: Touchpoint → estimate to colour it by, such as ``journeys.measure(Nps(), by="touchpoint")``.
    """

    name: ClassVar[str] = "graphviz"
    extensions: ClassVar[tuple[str, ...]] = (".dot", ".gv", ".svg", ".png", ".pdf")
    takes: ClassVar[tuple[type, ...]] = (JourneyGraph,)
    rank: ClassVar[int] = 40

    title: str = ""
    min_share: float = field(default=0.0, validator=[validators.ge(0), validators.le(1)])
    max_edges: int | None = field(default=None, validator=validators.optional(validators.ge(0)))
    color: Mapping[str, Estimate] | None = None

    def missing(self, obj: object, extension: str) -> str | None:
        """Neither pygraphviz nor ``dot`` is there, or too many touchpoints to see."""
        if extension in (".dot", ".gv"):
            return None
        if isinstance(obj, JourneyGraph) and obj.number_of_nodes() > MOST_TOUCHPOINTS:
            return f"{obj.number_of_nodes():,} touchpoints are too many to see; draw graph.subgraph(…) of the main ones"
        if _has_pygraphviz() or shutil.which("dot"):
            return None
        return f"neither pygraphviz nor the program dot is installed ({_HOW})"

    def write(self, obj: JourneyGraph, extension: str) -> bytes:
        """DOT text, or the picture that Graphviz makes of it."""
        seen = view(obj, min_share=self.min_share, max_edges=self.max_edges, color=self.color)
        dot = dot_text(seen, self.title)
        if extension in (".dot", ".gv"):
            return dot.encode()
        image = drawn(dot, extension.removeprefix("."))
        title = self.title or "Customer journey graph"
        if extension == ".svg":
            return described_svg(image.decode("utf-8"), title, seen.alt, list(seen.spots)).encode()
        return described_png(image, title, seen.alt) if extension == ".png" else image


def dot_text(seen: JourneyView, title: str) -> str:
    """The picture in the DOT language."""
    number = {name: i for i, name in enumerate(seen.spots)}
    lines = [
        "digraph journey {",
        "  rankdir=LR; newrank=true; nodesep=0.35; ranksep=1.0; splines=true; forcelabels=true;",
        f'  fontname="{FONT}"; fontcolor="{INK}"; fontsize=14; bgcolor="{PAPER}"; pad=0.2; labelloc=t; labeljust=l;',
        f"  label={_heading(title, seen.caption)};",
        (
            f'  node [shape=box, style="rounded,filled", fillcolor="{PAPER}", color="{INK}", fontname="{FONT}",'
            f' fontcolor="{INK}", fontsize=11, penwidth=1, margin="0.1,0.05"];'
        ),
        f'  edge [color="{LINE}", fontname="{FONT}", fontcolor="{INK}", fontsize=9, arrowsize=0.7];',
    ]
    joined = {frozenset((way.source, way.target)) for way in seen.ways}
    for i, column in enumerate(seen.columns):
        lines += _column(i, seen.headings[i], [(number[name], seen.spots[name]) for name in column])
        if seen.headings[i] is not None:
            lines += _order(list(column), number, joined)
    firsts = [f"n{number[column[0]]}" for column in seen.columns]
    if len(firsts) > 1:
        lines.append(f"  {' -> '.join(firsts)} [style=invis, weight=100];")
    place = {name: k for column in seen.columns for k, name in enumerate(column)}
    upward = {way for way in seen.ways if way.inside and place[way.source] < place[way.target]}
    lines += [_edge(way, number, turned=way in upward) for way in seen.ways]
    return "\n".join([*lines, "}"]) + "\n"


def _heading(title: str, caption: str) -> str:
    parts = [f"<B>{_html(line)}</B>" for line in (wrapped(title, width=80) if title else [])]
    parts += [f'<FONT POINT-SIZE="10" COLOR="{QUIET}">{_html(line)}</FONT>' for line in wrapped(caption, width=110)]
    parts += ['<FONT POINT-SIZE="6"> </FONT>']
    return "<" + "".join(part + '<BR ALIGN="LEFT"/>' for part in parts) + ">" if parts else '""'


def _column(i: int, heading: str | None, members: list[tuple[int, Spot]]) -> list[str]:
    nodes = [f"    n{number} [{_node(number, spot)}];" for number, spot in members]
    same = "    { rank=same; " + " ".join(f"n{number};" for number, _ in members) + " }"
    if heading is None:
        return ["  {", *nodes, same, "  }"]
    label = "<BR/>".join(_html(line) for line in wrapped(heading, width=24))
    head = f'    label=<{label}>; style=rounded; color="{FRAME}"; penwidth=1; margin=12; fontsize=13; labeljust=c;'
    return [f"  subgraph cluster_{i} {{", head, *nodes, same, "  }"]


def _order(column: list[str], number: Mapping[str, int], joined: set[frozenset[str]]) -> list[str]:
    """Keeps a column in its order: dot stacks it along its edges from the bottom up, and journeys read from the top."""
    pairs = [pair for pair in pairwise(column) if frozenset(pair) not in joined]
    return [f"  n{number[below]} -> n{number[above]} [style=invis];" for above, below in pairs]


def _node(number: int, spot: Spot) -> str:
    name = "<BR/>".join(_html(line) for line in wrapped(spot.name))
    notes = "".join(f"<BR/>{_note(note)}" for note in spot.notes)
    fill = f', fillcolor="{spot.shade.fill}"' if spot.shade else ""
    return f'id="touchpoint_{number}", label=<{name}{notes}>, tooltip={quoted(spot.name)}{fill}'


def _note(note: str) -> str:
    parts = [
        f'<FONT POINT-SIZE="9" COLOR="{RUST if part.endswith("leave") else INK}">{_html(part)}</FONT>'
        for part in note.split(SEPARATOR)
    ]
    return f'<FONT POINT-SIZE="9">{SEPARATOR}</FONT>'.join(parts)


def _edge(way: Way, number: Mapping[str, int], *, turned: bool) -> str:
    look = f'xlabel="{way.count:,}", penwidth={0.7 + 5.3 * way.share**0.5:.2f}'
    if way.kind == "back":
        look += f', style=dashed, color="{VERMILLION}"'
    if way.kind != "next" and not way.inside:
        look += ", constraint=false"
    tail, head = (way.target, way.source) if turned else (way.source, way.target)
    return f"  n{number[tail]} -> n{number[head]} [{look}{', dir=back' if turned else ''}];"


def _html(text: str) -> str:
    return xml_text(text).replace("&quot;", '"')


def quoted(text: str) -> str:
    r"""The text as a quoted string of the DOT language that comes out as it went in.

    Example:
        >>> print(quoted('say "hi" & \\N'))
        "say \"hi\" &amp; \\N"
    """
    safe = xml_text(text).replace("&quot;", '"').replace("&#10;", "\\n").replace("&#13;", "").replace("&#9;", " ")
    return '"' + safe.replace("\\", "\\\\").replace("\\\\n", "\\n").replace('"', '\\"') + '"'


def drawn(dot: str, kind: str) -> bytes:
    """The picture that Graphviz makes of DOT text.

    Raises:
        MissingExtraError: Graphviz is not there, or failed; says how to get it.
    """
    if _has_pygraphviz():
        import pygraphviz  # type: ignore[import-untyped]

        graph: Any = pygraphviz.AGraph(string=dot)
        return bytes(graph.draw(format=kind, prog="dot", args=_FINE[kind]))
    program = shutil.which("dot")
    if program is None:
        raise MissingExtraError("Graphviz is not installed", hint=_HOW)
    command = [program, f"-T{kind}", *_FINE[kind].split()]
    run = subprocess.run(command, input=dot.encode(), capture_output=True, check=False)  # noqa: S603
    if run.returncode:
        words = run.stderr.decode(errors="replace").strip().splitlines()
        raise MissingExtraError(f"dot could not draw {kind}: {words[0] if words else run.returncode}", hint=_HOW)
    return run.stdout


def _has_pygraphviz() -> bool:
    return find_spec("pygraphviz") is not None
