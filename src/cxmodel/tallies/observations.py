"""Observations: which rows of which unit a metric counts, with which numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from attrs import frozen

from cxmodel.data.blocks import Unit
from cxmodel.stats.arrays import Bools, Ints
from cxmodel.stats.floats import Floats


@frozen(eq=False)
class Observations:
    """What a metric saw in one block.

    Attributes:
        unit: What is counted: customers, journeys, events, transitions or responses.
        at: Row of each observation among the rows of the unit (a transition is the row of its first event).
        numbers: Name → one number per observation; ``"n"`` is 1 for each.
        key: A second index that the metric keeps apart (for instance the touchpoint credited), or None.
        apart: Whether each number is only ever asked about beside ``"n"``: products of two others are left out (NaN).
    """

    unit: Unit
    at: Ints
    numbers: Mapping[str, Floats]
    key: Ints | None = None
    apart: bool = False


def observe(unit: Unit, at: Ints, key: Ints | None = None, /, **numbers: Floats | Bools | Ints | float) -> Observations:
    """Observations with named numbers; a single number stands for all.

    Example:
        >>> observe("journey", np.arange(2), done=np.array([True, False])).numbers["done"].tolist()
        [1.0, 0.0]
    """
    full = {name: np.broadcast_to(np.asarray(value, np.float64), at.shape) for name, value in numbers.items()}
    return Observations(unit, at, {"n": np.broadcast_to(1.0, at.shape), **full}, key)
