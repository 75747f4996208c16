"""Finished images: words for those who do not see them, and nothing that changes from run to run."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Sequence
from typing import Final

from cxmodel.exporters.labels import xml_text

_HEADER: Final = 33  # signature and IHDR
_OPENING: Final = re.compile(r"<svg\b[^>]*>")


def described_png(png: bytes, title: str, alt: str) -> bytes:
    """The PNG with its title and its words as international text."""
    chunks = b"".join(_text_chunk(key, text) for key, text in (("Title", title), ("Description", alt)) if text)
    return png[:_HEADER] + chunks + png[_HEADER:]


def _text_chunk(key: str, text: str) -> bytes:
    body = key.encode() + b"\0\0\0\0\0" + text.encode("utf-8", "replace")
    kind = b"iTXt"
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def described_svg(svg: str, title: str, alt: str, names: Sequence[str] = ()) -> str:
    """The SVG as one image with a title and words; element ``touchpoint_3`` is called by the fourth name."""
    for number, name in enumerate(names):
        mark = f'id="touchpoint_{number}"'
        svg = re.sub(
            rf"(<g {mark}[^>]*>)\s*(<title>[^<]*</title>)?",
            lambda found, name=name: f"{found[1]}<title>{xml_text(name)}</title>",  # type: ignore[misc]
            svg,
            count=1,
        )
    opening = _OPENING.search(svg)
    assert opening is not None
    tag = opening[0].removesuffix(">") + ' role="img" aria-labelledby="picture-title picture-words">'
    words = f'<title id="picture-title">{xml_text(title)}</title><desc id="picture-words">{xml_text(alt)}</desc>'
    return svg[: opening.start()] + tag + words + svg[opening.end() :]
