"""Scales: what the numbers of an answer mean. NPS, CSAT, CES 1.0 and CES 2.0 are different types on purpose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, Final, Literal, final

from attrs import Attribute, field, frozen

from cxmodel.errors import InvalidValueError, unknown

Direction = Literal["higher", "lower", "none"]
Respondent = Literal["customer", "employee"]


@frozen
class Scale:
    """The range of a survey answer and which end of it is good.

    Make one with `Scale.nps`, `Scale.csat`, `Scale.ces1`, `Scale.ces2`, `Scale.emotion` or `Scale.own`.

    Attributes:
        low: Lowest possible answer.
        high: Highest possible answer.
        satisfied: Answers from here to the good end count as satisfied, or None where the scale has no such share.
        direction: ``"higher"`` or ``"lower"``: which end is better.

    Example:
        >>> Scale.csat().satisfied
        4.0
    """

    kind: ClassVar[str] = "own"
    whole: ClassVar[bool] = False

    low: float = field(converter=float)
    high: float = field(converter=float)
    satisfied: float | None = None
    direction: Direction = "higher"

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high):
            raise InvalidValueError(f"a scale needs low < high, got {self.low:g} and {self.high:g}")
        if self.satisfied is not None and not self.low <= self.satisfied <= self.high:
            raise InvalidValueError(
                f"satisfied={self.satisfied:g} lies outside the scale {self.low:g} to {self.high:g}"
            )
        if self.direction not in ("higher", "lower", "none"):
            raise InvalidValueError(f"direction is 'higher', 'lower' or 'none', not {self.direction!r}")

    @property
    def neutral(self) -> float:
        """The point that is neither good nor bad: the middle of the scale."""
        return (self.low + self.high) / 2

    def __str__(self) -> str:
        return f"{self.kind} {self.low:g}–{self.high:g}"

    def reject(self, score: float) -> str | None:
        """Why ``score`` is no answer on this scale, or None when it is one.

        Example:
            >>> Scale.nps().reject(11)
            'outside 0–10'
        """
        if not self.low <= score <= self.high:
            return f"outside {self.low:g}–{self.high:g}"
        return "not a whole number" if self.whole and score != math.floor(score) else None

    @staticmethod
    def nps() -> NpsScale:
        """Likelihood to recommend, 0 to 10, whole numbers (Reichheld 2003)."""
        return NpsScale(0, 10)

    @staticmethod
    def csat(low: float = 1, high: float = 5, *, satisfied: float | None = None) -> CsatScale:
        """Satisfaction, 1 to 5 unless said otherwise; the two highest answers count as satisfied."""
        return CsatScale(low, high, satisfied=float(high - 1 if satisfied is None else satisfied))

    @staticmethod
    def ces1() -> Ces1Scale:
        """Customer effort 1.0: how much effort it took, 1 to 5; *lower* is better (Dixon et al. 2010)."""
        return Ces1Scale(1, 5, satisfied=2.0, direction="lower")

    @staticmethod
    def ces2() -> Ces2Scale:
        """Customer effort 2.0: it was made easy, 1 to 7; *higher* is better (CEB 2013)."""
        return Ces2Scale(1, 7, satisfied=5.0)

    @staticmethod
    def emotion() -> EmotionScale:
        """Emotion or sentiment, −1 (bad) to 1 (good)."""
        return EmotionScale(-1, 1)

    @staticmethod
    def own(low: float, high: float, *, satisfied: float | None = None, direction: Direction = "higher") -> OwnScale:
        """A scale of your own."""
        return OwnScale(low, high, satisfied=satisfied, direction=direction)

    @staticmethod
    def parse(text: str) -> Scale:
        """A scale from text, as the command line writes it.

        Args:
            text: ``nps``, ``csat``, ``ces1``, ``ces2``, ``emotion``, or ``own:LOW:HIGH[:SATISFIED[:DIRECTION]]``.

        Raises:
            InvalidValueError: When the text is no scale.

        Example:
            >>> Scale.parse("own:1:5:4:higher")
            OwnScale(low=1.0, high=5.0, satisfied=4.0, direction='higher')
        """
        kind, *rest = text.split(":")
        if kind in _PLAIN and not rest:
            return _PLAIN[kind]
        if kind != "own" or len(rest) not in (2, 3, 4):
            hint = "Write own:LOW:HIGH[:SATISFIED[:higher|lower]], for instance own:1:5:4:higher"
            raise InvalidValueError(unknown("scale", text, [*_PLAIN, "own:1:5:4:higher"]), hint=hint)
        try:
            numbers = [float(part) for part in rest[:3] if part]
        except ValueError:
            raise InvalidValueError(f"the scale {text!r} holds something that is not a number") from None
        direction: Direction = "lower" if rest[3:] == ["lower"] else "higher"
        if rest[3:] and rest[3] not in ("higher", "lower"):
            raise InvalidValueError(f"the scale {text!r} ends in {rest[3]!r}; write higher or lower")
        return OwnScale(numbers[0], numbers[1], satisfied=numbers[2] if len(numbers) > 2 else None, direction=direction)


@final
@frozen
class NpsScale(Scale):
    """0 to 10, whole numbers: promoters 9–10, passives 7–8, detractors 0–6."""

    kind: ClassVar[str] = "nps"
    whole: ClassVar[bool] = True


@final
@frozen
class CsatScale(Scale):
    """Satisfaction; answers from ``satisfied`` upwards count as satisfied."""

    kind: ClassVar[str] = "csat"


@final
@frozen
class Ces1Scale(Scale):
    """Customer effort 1.0, 1 to 5, lower is better."""

    kind: ClassVar[str] = "ces1"


@final
@frozen
class Ces2Scale(Scale):
    """Customer effort 2.0, 1 to 7, higher is better."""

    kind: ClassVar[str] = "ces2"


@final
@frozen
class EmotionScale(Scale):
    """Emotion, −1 to 1."""

    kind: ClassVar[str] = "emotion"


@final
@frozen
class OwnScale(Scale):
    """A scale with a range of its own."""


_PLAIN: Final[dict[str, Scale]] = {
    "nps": Scale.nps(),
    "csat": Scale.csat(),
    "ces1": Scale.ces1(),
    "ces2": Scale.ces2(),
    "emotion": Scale.emotion(),
}


def code_texts(codes: Mapping[Any, float | None]) -> dict[str, float | None]:
    """Codes compare as text: ``11``, ``11.0`` and ``"11"`` are one code."""
    return {_plain(code): score for code, score in codes.items()}


def _plain(code: object) -> str:
    if isinstance(code, float) and code.is_integer():
        return str(int(code))
    return "" if code is None else str(code)


def _a_scale(instance: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, Scale):
        raise InvalidValueError(
            f"a question needs the scale of its answers, got {value!r}",
            hint="Write cx.Scale.nps(), .csat(), .ces1(), .ces2(), .emotion() or .own(…)",
        )


@frozen
class Question:
    """One question of a survey: its scale, and which codes mean something other than an answer.

    Attributes:
        scale: The scale of its answers.
        codes: Answer as text → the score that it stands for, or None for "no answer" (``{"11": None}``).
        kind: ``"transactional"`` (about a touchpoint) or ``"relational"`` (about the whole); never pooled.
        respondent: Whose voice it is, ``"customer"`` or ``"employee"``; never pooled.

    Example:
        >>> Question(Scale.nps(), codes={11: None}).codes
        {'11': None}
    """

    scale: Scale = field(validator=_a_scale)
    codes: Mapping[str, float | None] = field(factory=dict, converter=code_texts)
    kind: Literal["transactional", "relational"] = "transactional"
    respondent: Respondent = "customer"


def scale_of(kind: str, low: float, high: float, satisfied: float | None, direction: Direction) -> Scale:
    """The scale with these facts, of the class that its kind names.

    Raises:
        InvalidValueError: When there is no such kind.

    Example:
        >>> scale_of("nps", 0, 10, None, "higher") == Scale.nps()
        True
    """
    classes: dict[str, type[Scale]] = {
        each.kind: each for each in (NpsScale, CsatScale, Ces1Scale, Ces2Scale, EmotionScale, OwnScale)
    }
    if kind not in classes:
        raise InvalidValueError(unknown("kind of scale", kind, list(classes)))
    return classes[kind](low, high, satisfied, direction)
