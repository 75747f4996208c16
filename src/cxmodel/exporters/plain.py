"""Plain values: what JSON has words for."""

from __future__ import annotations

import math
from datetime import date
from numbers import Integral, Real

import numpy as np

from cxmodel.errors import InvalidValueError


def plain(value: object, where: str) -> object:
    """The value as JSON knows it: NumPy scalars as numbers, tuples as lists, dates as text, NaN as null.

    Args:
        value: What an attribute holds.
        where: Its name, for the message.

    Raises:
        InvalidValueError: JSON has no word for it.
    """
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, Integral):
        return int(value)
    if isinstance(value, Real):
        return finite(float(value))
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, dict):
        return {str(key): plain(each, f"{where}.{key}") for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(each, f"{where}[{i}]") for i, each in enumerate(value)]
    raise InvalidValueError(
        f"{where} holds a {type(value).__name__}, {str(value)[:60]!r}, and JSON has no word for it",
        hint="Write it as text or as a number",
    )


def finite(value: float | None) -> float | None:
    """The number, or None where there is none: JSON has no NaN and no infinity."""
    return value if value is not None and math.isfinite(value) else None
