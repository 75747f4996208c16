"""Transitions: from one touchpoint to the next."""

from __future__ import annotations

from typing import NamedTuple


class Transition(NamedTuple):
    """A touchpoint and the next one in the same journey.

    Example:
        >>> str(Transition("cart", "pay"))
        'cart → pay'
    """

    source: str
    target: str

    def __str__(self) -> str:
        return f"{self.source} → {self.target}"
