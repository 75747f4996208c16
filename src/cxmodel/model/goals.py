"""Goals: what a journey may reach."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, cast

from attrs import field, frozen

from cxmodel.errors import InvalidValueError

GoalKind = Literal["purchase", "usage", "delight", "advocacy", "loyalty", "other"]


def _names(names: Iterable[str]) -> tuple[str, ...]:
    if isinstance(names, str):
        raise InvalidValueError(
            f"touchpoints takes a list of names, got the text {names!r}",
            hint=f"Write touchpoints=[{names!r}]",
        )
    return tuple(names)


@frozen
class Goal:
    """Something a journey reaches at the first of these touchpoints.

    Attributes:
        name: What to call it.
        touchpoints: The touchpoints at which it is reached.
        kind: Purchase, usage, delight, advocacy, loyalty or other.

    Example:
        >>> Goal("purchase", touchpoints=["payment_done"], kind="purchase").touchpoints
        ('payment_done',)
    """

    name: str
    touchpoints: tuple[str, ...] = field(kw_only=True, converter=_names)
    kind: GoalKind = field(default="other", kw_only=True)

    def __attrs_post_init__(self) -> None:
        if not self.touchpoints:
            raise InvalidValueError(
                f"the goal {self.name!r} names no touchpoint",
                hint='Write Goal("purchase", touchpoints=["pay"])',
            )

    def __str__(self) -> str:
        places = " or ".join(self.touchpoints)
        return self.name if places == self.name else f"{self.name} ({places})"


def as_goal(goal: Goal | str) -> Goal:
    """A goal as it is; the name of a touchpoint is the goal of reaching it.

    Args:
        goal: A goal, or the name of a touchpoint.

    Returns:
        The goal.

    Raises:
        InvalidValueError: It is neither.

    Example:
        >>> as_goal("pay")
        Goal(name='pay', touchpoints=('pay',), kind='other')
    """
    if isinstance(goal, Goal):
        return goal
    if not isinstance(cast("object", goal), str):
        raise InvalidValueError(
            f"a goal is a Goal or the name of a touchpoint, got {goal!r}",
            hint='Write cx.Goal("purchase", touchpoints=["pay"]) or "pay"',
        )
    return Goal(goal, touchpoints=[goal])
