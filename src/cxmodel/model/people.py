"""Who and where: touchpoints, channels, stages, departments and personas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal, get_args

from attrs import Attribute, Factory, field, frozen

from cxmodel.errors import InvalidValueError, unknown

ChannelKind = Literal[
    "advertising", "app", "chat", "email", "in person", "mail", "messaging", "mobile", "phone", "search", "social",
    "store", "system", "web", "other",
]  # fmt: skip
TouchpointKind = Literal["communication", "action", "survey", "system"]
Initiator = Literal["customer", "organisation", "unknown"]
Moment = Literal["stimulus", "zmot", "fmot", "smot", "umot"]

_OFFLINE: Final = frozenset({"in person", "mail", "phone", "store"})


def _filled(instance: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, str) or not value.strip():
        raise InvalidValueError(f"{type(instance).__name__}.{attribute.name} needs text, got {value!r}")


def _one_of(literal: object) -> Callable[[object, Attribute[Any], Any], None]:
    allowed = get_args(literal)

    def check(instance: object, attribute: Attribute[Any], value: object) -> None:
        if value not in allowed:
            what = f"{type(instance).__name__.lower()} {attribute.name}"
            raise InvalidValueError(unknown(what, str(value), allowed))

    return check


@frozen
class Channel:
    """A way in which customer and company meet.

    Attributes:
        name: What it is called in the data.
        kind: What sort of channel it is (``"web"``, ``"phone"``, ``"store"``, ``"social"``, …).
        online: Whether it is an online channel; follows from the kind unless given.

    Example:
        >>> Channel("Hotline", kind="phone").online
        False
    """

    name: str = field(validator=_filled)
    kind: ChannelKind = field(default="other", validator=_one_of(ChannelKind))
    online: bool = field(default=Factory(lambda self: self.kind not in _OFFLINE, takes_self=True))


@frozen
class Stage:
    """A part of the journey in the customer's eyes: Discover, Buy, Use."""

    name: str = field(validator=_filled)


@frozen
class Department:
    """A part of the company that owns touchpoints."""

    name: str = field(validator=_filled)


@frozen(kw_only=True)
class Persona:
    """A typical customer, described.

    Attributes:
        name: Short name.
        quote: One sentence in their own words.
        needs: Information and help that they need on the way.
    """

    name: str = field(validator=_filled)
    quote: str = ""
    needs: tuple[str, ...] = ()


@frozen
class Touchpoint:
    """One point at which a customer meets the company.

    Attributes:
        name: What it is called in the data.
        stage: Name of the stage that it belongs to.
        channel: Name of the channel.
        department: Name of the department that owns it.
        kind: ``"communication"`` (between both sides), ``"action"`` (of one side alone), ``"survey"`` or ``"system"``;
            answers are never attached to survey and system touchpoints.
        initiator: Who begins it.
        moment: Moment of truth that it is, if any.

    Example:
        >>> Touchpoint("Call", channel="Hotline", stage="Get help").kind
        'communication'
    """

    name: str = field(validator=_filled)
    stage: str | None = None
    channel: str | None = None
    department: str | None = None
    kind: TouchpointKind = field(default="communication", validator=_one_of(TouchpointKind))
    initiator: Initiator = field(default="unknown", validator=_one_of(Initiator))
    moment: Moment | None = None
