"""Sizes in words: ``"2GB"``."""

from __future__ import annotations

import re
from typing import Final

from cxmodel.errors import InvalidValueError

_UNITS: Final = {
    "": 1,
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "TB": 10**12,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}


def parse_bytes(limit: str) -> int:
    """A memory limit in bytes.

    Example:
        >>> parse_bytes("1.5 GB")
        1500000000
    """
    found = re.fullmatch(r"\s*([0-9]+(?:\.[0-9]+)?)\s*([KMGT]?i?B?)\s*", limit, re.IGNORECASE)
    unit = found[2].upper() if found else None
    if found is None or unit not in _UNITS or not float(found[1]):
        raise InvalidValueError(f"memory_limit is a size, got {limit!r}", hint='Write memory_limit="2GB"')
    return int(float(found[1]) * _UNITS[unit])
