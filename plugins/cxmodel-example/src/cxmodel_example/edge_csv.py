"""An exporter: the edges of a journey graph as CSV."""

from __future__ import annotations

import csv
import io
from typing import ClassVar, Final

from attrs import field, frozen

from cxmodel import JourneyGraph
from cxmodel.errors import InvalidValueError
from cxmodel.plugins import Exporter

_COLUMNS: Final = ("count", "share", "wait_median_s")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "'", "＝", "＋", "－", "＠")  # noqa: RUF001 - as spreadsheets read them


@frozen(kw_only=True)
class EdgeCsv(Exporter[JourneyGraph]):
    """Edges as CSV: source, target, count, share, median wait in seconds.

    UTF-8, one line per edge, sorted by source and target. A spreadsheet takes a cell that begins with ``=``, ``+``,
    ``-``, ``@`` or a control character for a formula, so such a name gets an apostrophe in front. A name that begins
    with an apostrophe gets one too, so that taking one off always gives the name back.

    Attributes:
        separator: One character between the cells.
    """

    name: ClassVar[str] = "edge_csv"
    extensions: ClassVar[tuple[str, ...]] = (".edges.csv",)
    takes: ClassVar[tuple[type, ...]] = (JourneyGraph,)

    separator: str = field(default=",", metadata={"help": "one character between the cells"})

    def __attrs_post_init__(self) -> None:
        if self.separator not in (",", ";", "\t", "|"):
            raise InvalidValueError(
                f"the separator is one of , ; | and tab, got {self.separator!r}", hint="Write separator=';'"
            )

    def write(self, obj: JourneyGraph, extension: str) -> bytes:
        """The table."""
        out = io.StringIO()
        table = csv.writer(out, delimiter=self.separator, lineterminator="\n")
        table.writerow(("source", "target", *_COLUMNS))
        edges = sorted((str(a), str(b), data) for a, b, data in obj.edges(data=True))
        for source, target, data in edges:
            table.writerow((harmless(source), harmless(target), *(data.get(column) for column in _COLUMNS)))
        return out.getvalue().encode()


def harmless(text: str) -> str:
    """A text that no spreadsheet runs.

    Example:
        >>> harmless("=1+1"), harmless("pay")
        ("'=1+1", 'pay')
    """
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) else text
