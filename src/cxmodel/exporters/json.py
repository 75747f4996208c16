"""JSON: every result as a versioned document, and back."""

from __future__ import annotations

import json
import re
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol, runtime_checkable

from attrs import frozen

from cxmodel.analysis.credits import CreditComparison
from cxmodel.analysis.transitions import TransitionTable
from cxmodel.errors import DocumentError, SourceNotFoundError
from cxmodel.exporters.documents import document, result
from cxmodel.exporters.parsing import parsed
from cxmodel.model.breakdowns import Breakdown
from cxmodel.plugins.bases import Exporter

# "<" would end a script element, the two separators a line of script, and half of a surrogate pair has no UTF-8
_UNSAFE: Final = re.compile("[<\u2028\u2029\ud800-\udfff]")


@runtime_checkable
class Told(Protocol):
    """A result that can tell itself: built in, or a plugin's."""

    def to_dict(self) -> Any:
        """It as an object of JSON."""
        ...


@frozen(kw_only=True)
class JsonExporter(Exporter[Any]):
    """Every result as JSON, whatever has ``to_dict``; a dict of them as a bundle.

    The text can stand inside a script element of an HTML page as it is.
    """

    name: ClassVar[str] = "json"
    extensions: ClassVar[tuple[str, ...]] = (".json",)
    takes: ClassVar[tuple[type, ...]] = (Told, Breakdown, TransitionTable, CreditComparison, dict)

    def write(self, obj: object, extension: str) -> bytes:
        """UTF-8 text, indented by two."""
        return dumps(obj).encode()


def dumps(obj: object) -> str:
    """A result as JSON text.

    Example:
        >>> from cxmodel.model.estimates import Estimate
        >>> loads(dumps(Estimate(value=0.25, n=8, unit="share"))).value
        0.25
    """
    text = json.dumps(document(obj), ensure_ascii=False, indent=2, allow_nan=False)
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text) + "\n"


def loads(text: str) -> Any:
    """The result that `dumps` wrote; ``paths`` come back as `TopPaths`.

    Raises:
        DocumentError: The text is no JSON, or no document of this version; says where and what to do.
    """
    return result(parsed(text))


def load_result(source: str | PathLike[str]) -> Any:
    """Read a result that was exported as JSON.

    Args:
        source: The file, or the JSON text itself.

    Returns:
        What was exported: a graph, an estimate, a breakdown, paths, a funnel, transitions, credits, or a dict of these.

    Raises:
        SourceNotFoundError: There is no such file.
        DocumentError: It is not a result, or of a version that is not known.
    """
    if isinstance(source, str) and source.lstrip("\ufeff \t\r\n").startswith("{"):
        return loads(source.lstrip("\ufeff"))
    path = Path(source)
    if not path.is_file():
        raise SourceNotFoundError(f"there is no file {str(source)!r}")
    try:
        return loads(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"{path.name} is not UTF-8 text (byte {error.start})") from None
    except DocumentError as error:
        raise DocumentError(f"{path.name}: {error.args[0]}", hint=error.hint) from None
