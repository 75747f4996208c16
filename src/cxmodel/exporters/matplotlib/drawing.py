"""What all figures share: fonts that have every sign, sizes in points, and files that do not change from run to run."""

from __future__ import annotations

import atexit
import io
import os
import shutil
import sys
import tempfile
from abc import abstractmethod
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from attrs import define, field, frozen

from cxmodel.errors import InvalidValueError
from cxmodel.exporters.colours import INK, QUIET
from cxmodel.exporters.images import described_png, described_svg
from cxmodel.exporters.labels import BOX, visible, wrapped
from cxmodel.plugins.bases import Exporter

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")
POINTS: Final = 72.0
MARGIN: Final = 14.0
MOST_SIGNS: Final = 12
_RESOLUTION: Final = 144
_STYLE: Final = {
    "svg.hashsalt": "cxmodel", "svg.fonttype": "path", "pdf.fonttype": 42, "text.parse_math": False,
    "axes.edgecolor": INK, "text.color": INK, "xtick.color": INK, "ytick.color": INK,
}  # fmt: skip


def _fonts(names: str | Sequence[str]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)


@define
class Pen:
    """Writes text with signs that the fonts have, and remembers those that they lack.

    Attributes:
        fonts: Families, the first one preferred.
        lacking: Signs that were drawn as "□".
    """

    fonts: tuple[str, ...]
    lacking: set[str] = field(factory=set)
    _known: frozenset[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        from matplotlib.font_manager import FontProperties, findfont, get_font

        known: set[int] = set()
        for family in self.fonts:
            try:
                path = findfont(FontProperties(family=family), fallback_to_default=False)
            except ValueError:
                raise InvalidValueError(
                    f"there is no font {family!r} on this machine",
                    hint="Leave font out for DejaVu Sans, which comes with Matplotlib, or install it",
                ) from None
            known |= get_font(path).get_charmap().keys()
        self._known = frozenset(known)

    def line(self, text: str) -> str:
        """The text on one line, every sign drawable."""
        return "".join(self._drawable(sign) for sign in visible(text))

    def lines(self, text: str, *, width: int = 18, most: int = 3) -> list[str]:
        """The text wrapped and, where it is too long, cut with "…"."""
        return [self.line(part) for part in wrapped(text, width=width, lines=most)]

    def width(self, text: str, size: float, *, bold: bool = False) -> float:
        """Width of a line in points."""
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import text_to_path

        font = FontProperties(family=list(self.fonts), size=size, weight="bold" if bold else "normal")
        return float(text_to_path.get_text_width_height_descent(text, font, ismath=False)[0])

    @property
    def note(self) -> str:
        """What the boxes stand for."""
        if not self.lacking:
            return ""
        signs = sorted(self.lacking)
        shown = ", ".join(f"U+{ord(sign):04X}" for sign in signs[:MOST_SIGNS])
        more = f" and {len(signs) - MOST_SIGNS} more" if len(signs) > MOST_SIGNS else ""
        return f"{BOX} stands for signs that {self.fonts[0]} lacks: {shown}{more}. Another font=… may have them."

    def _drawable(self, sign: str) -> str:
        if ord(sign) in self._known:
            return sign
        self.lacking.add(sign)
        return BOX


@frozen(kw_only=True)
class FigureExporter(Exporter[T]):
    """A picture by Matplotlib.

    Attributes:
        title: Heading of the picture; a fitting one when left out.
        font: Font family, or several of which the first is preferred. DejaVu Sans comes with Matplotlib.
    """

    extensions: ClassVar[tuple[str, ...]] = (".svg", ".png", ".pdf")
    rank: ClassVar[int] = 60

    title: str = ""
    font: tuple[str, ...] = field(default=("DejaVu Sans",), converter=_fonts)

    @abstractmethod
    def draw(self, obj: T, pen: Pen) -> Figure:
        """The figure."""

    @abstractmethod
    def heading(self, obj: T) -> str:
        """The heading."""

    @abstractmethod
    def alt_text(self, obj: T) -> str:
        """The picture in words: what is highest and lowest, and how many it rests on."""

    def names(self, obj: T) -> Sequence[str]:
        """Names of the elements ``touchpoint_0``, ``touchpoint_1``… in an SVG."""
        return ()

    def figure(self, obj: T) -> Figure:
        """The figure, for those who want to add to it."""
        with _styled(self.font):
            return self.draw(obj, Pen(self.font))

    def write(self, obj: T, extension: str) -> bytes:
        """The picture, described in words for those who do not see it."""
        with _styled(self.font):
            figure = self.draw(obj, Pen(self.font))
            title, alt = visible(self.heading(obj)), self.alt_text(obj)
            if extension == ".pdf":
                about = {"Title": title, "Subject": alt, "CreationDate": None, "Producer": None, "Creator": "cxmodel"}
                return _saved(figure, "pdf", about)
            if extension == ".png":
                return described_png(_saved(figure, "png", {"Software": None}), title, alt)
            image = _saved(figure, "svg", {"Date": None, "Creator": "cxmodel"}).decode("utf-8")
            return described_svg(image, title, alt, self.names(obj)).encode()


def _saved(figure: Figure, kind: str, about: dict[str, str | None]) -> bytes:
    stream = io.BytesIO()
    figure.savefig(stream, format=kind, dpi=_RESOLUTION, metadata=about)
    return stream.getvalue()


@contextmanager
def _styled(fonts: tuple[str, ...]) -> Generator[None]:
    """Matplotlib's own defaults and ours on top, whatever a matplotlibrc says."""
    _configure()
    import matplotlib.style

    with matplotlib.style.context(["default", {**_STYLE, "font.family": list(fonts)}]):
        yield


def _configure() -> None:
    """Matplotlib keeps a cache of fonts at home; where that cannot be written it gets a place for this run."""
    if "matplotlib" in sys.modules or "MPLCONFIGDIR" in os.environ or os.access(Path.home(), os.W_OK):
        return
    folder = tempfile.mkdtemp(prefix="cxmodel-matplotlib-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["MPLCONFIGDIR"] = folder


def sized(width: float, height: float) -> Figure:
    """An empty figure, told in points."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width / POINTS, height / POINTS))


def head_lines(pen: Pen, title: str, caption: str, width: float) -> tuple[list[str], list[str]]:
    """Title and caption in lines that fit the width in points."""
    return (
        pen.lines(title, width=max(int(width / 8.6), 12), most=2) if title else [],
        pen.lines(caption, width=max(int(width / 5.6), 12), most=4) if caption else [],
    )


def head_height(head: tuple[list[str], list[str]]) -> float:
    """Points that the head takes."""
    return MARGIN + 17.0 * len(head[0]) + 12.5 * len(head[1]) + (8.0 if head[0] or head[1] else 0.0)


def write_head(figure: Figure, head: tuple[list[str], list[str]]) -> None:
    """Title and caption at the top left."""
    width, height = (float(inches) * POINTS for inches in figure.get_size_inches())
    y = height - MARGIN
    for lines, size, step, weight, colour in ((head[0], 13, 17.0, "bold", INK), (head[1], 9, 12.5, "normal", QUIET)):
        for line in lines:
            figure.text(MARGIN / width, y / height, line, size=size, weight=weight, color=colour, va="top", ha="left")
            y -= step


def write_foot(figure: Figure, lines: Sequence[str]) -> None:
    """Notes at the bottom left."""
    width, height = (float(inches) * POINTS for inches in figure.get_size_inches())
    for i, line in enumerate(reversed(lines)):
        y = (MARGIN * 0.6 + 12.5 * i) / height
        figure.text(MARGIN / width, y, line, size=9, color=QUIET, va="bottom", ha="left")
