"""Labels: any text made visible, short enough and safe, with a mark wherever something was changed."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from typing import Final

BOX: Final = "□"
_MARKS: Final = {"\n": "⏎", "\r": "", "\t": "⇥", "\x0b": "⏎", "\x0c": "⏎", "\x85": "⏎", "\u2028": "⏎", "\u2029": "⏎"}
_UNSEEN: Final = {"Cc", "Cs", "Co", "Cn"}
_DIRECTING: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
_NOT_XML: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def visible(text: str) -> str:
    """The text on one line: line breaks and tabs as signs, what cannot be seen or turns the line around as a box.

    Example:
        >>> visible("two" + chr(10) + "lines"), visible(" ")
        ('two⏎lines', '□')
    """
    shown = "".join(_MARKS.get(sign, BOX if _unseen(sign) else sign) for sign in text)
    blank = all(unicodedata.category(sign) in {"Zs", "Cf", "Mn"} for sign in shown)
    return BOX if blank else shown


def _unseen(sign: str) -> bool:
    return sign in _DIRECTING or unicodedata.category(sign) in _UNSEEN


def wrapped(text: str, *, width: int = 18, lines: int = 3) -> list[str]:
    """The visible text in lines; what does not fit is cut with "…".

    Example:
        >>> wrapped("Reads the product page and compares", width=14, lines=2)
        ['Reads the', 'product page…']
    """
    parts = textwrap.wrap(visible(text), width, break_on_hyphens=False) or [BOX]
    if len(parts) > lines:
        parts = [*parts[: lines - 1], parts[lines - 1][: width - 1].rstrip() + "…"]
    return parts


def elided(text: str, width: int) -> str:
    """The visible text on one line of at most ``width`` signs, cut with "…".

    Example:
        >>> elided("Reads the product page", 10)
        'Reads the…'
    """
    shown = visible(text)
    return shown if len(shown) <= width else shown[: width - 1].rstrip() + "…"


def xml_text(text: str) -> str:
    """The text between tags or in an attribute; what XML cannot hold becomes U+FFFD.

    Example:
        >>> xml_text('<b> & "c"')
        '&lt;b&gt; &amp; &quot;c&quot;'
    """
    safe = _NOT_XML.sub("\ufffd", text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return safe.replace('"', "&quot;").replace("\n", "&#10;").replace("\r", "&#13;").replace("\t", "&#9;")


def percent(share: float) -> str:
    """A share as whole percent; small ones stay apart from none, large ones from all.

    Example:
        >>> percent(0.004), percent(0.07), percent(0.998)
        ('<1%', '7%', '>99%')
    """
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"
