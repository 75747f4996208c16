"""Rules: how raw event names and addresses become touchpoints, and what became of them."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, Literal, cast, get_args

from attrs import Attribute, field, frozen

from cxmodel.errors import InvalidValueError, listed, unknown

RuleKind = Literal["exact", "glob", "regex"]
Unmatched = Literal["keep", "other"]

OTHER: Final = "other"
_PLACE: Final = re.compile(r"\{(\w+)\}")
_KEYS: Final = (*get_args(RuleKind), "to", "drop", "without_query")
_SHOWN: Final = 3


def _holding(words: str, *kinds: type) -> Callable[[object, Attribute[Any], object], None]:
    def check(_rule: object, attribute: Attribute[Any], value: object) -> None:
        if not isinstance(value, kinds):
            raise InvalidValueError(f"{attribute.name} of a rule is {words}, got {value!r}")

    return check


@frozen
class Rule:
    """One rule: raw names of this form become this touchpoint. Of several rules the first that matches wins.

    Build one with `Rule.exact`, `Rule.glob`, `Rule.regex` or `Rule.drop`.

    Attributes:
        kind: ``"exact"``, ``"glob"`` or ``"regex"``.
        pattern: What names look like.
        to: The touchpoint; None drops the events, and counts them.
        without_query: Leave off the query and the fragment of an address (from the first ``?`` or ``#``) before
            looking at it.

    Example:
        >>> print(Rule.glob("/product/*", to="Product page"))
        glob '/product/*' → 'Product page'
    """

    kind: RuleKind
    pattern: str = field(validator=_holding("a text", str))
    to: str | None = field(kw_only=True, validator=_holding("a text", str, NoneType))
    without_query: bool = field(default=False, kw_only=True, validator=_holding("True or False", bool))

    def __attrs_post_init__(self) -> None:
        if self.kind not in get_args(RuleKind):
            raise InvalidValueError(unknown("kind of rule", str(self.kind), get_args(RuleKind)))
        if self.to is not None and not self.to.strip():
            raise InvalidValueError(
                f"the rule for {self.pattern!r} gives an empty name", hint="Write to='Product page'"
            )
        if self.kind == "regex":
            groups = _groups(self.pattern)
            for name in self.places:
                if name not in groups:
                    raise InvalidValueError(
                        f"{self.to!r} asks for the group {name!r}; {self.pattern!r} has {listed(list(groups))}",
                        hint=f"Name it in the pattern: (?P<{name}>…)",
                    )

    @classmethod
    def exact(cls, name: str, *, to: str, without_query: bool = False) -> Rule:
        """The name itself, letter by letter."""
        return cls("exact", name, to=to, without_query=without_query)

    @classmethod
    def glob(cls, pattern: str, *, to: str, without_query: bool = False) -> Rule:
        """Whole names: ``*`` is any text, slashes too, ``?`` is one character, all else is itself."""
        return cls("glob", pattern, to=to, without_query=without_query)

    @classmethod
    def regex(cls, pattern: str, *, to: str, without_query: bool = False) -> Rule:
        r"""Names in which a regular expression is found; anchor it with ``^`` and ``$``.

        The expression is one that both Python and RE2 know: no look-around and no back-references; ``\w``, ``\d``,
        ``\s`` and ``\b`` are those of ASCII; ``$`` is the very end. RE2 matches in time linear in the name, whatever
        the expression, so no name can make it hang.

        Args:
            pattern: The expression.
            to: The touchpoint; ``{topic}`` stands for what the group ``(?P<topic>…)`` has found.
            without_query: Leave off query and fragment first.

        Example:
            >>> Rule.regex(r"^/help/(?P<topic>\\w+)", to="Help: {topic}").places
            ('topic',)
        """
        return cls("regex", pattern, to=to, without_query=without_query)

    @classmethod
    def drop(cls, pattern: str, *, kind: RuleKind = "glob", without_query: bool = False) -> Rule:
        """Events of such names are left out; the reading counts them among the rejected rows."""
        return cls(kind, pattern, to=None, without_query=without_query)

    @classmethod
    def from_dict(cls, document: object) -> Rule:
        """A rule from JSON or TOML: ``{"glob": "/product/*", "to": "Product page"}``, ``{"exact": …, "drop": true}``.

        Raises:
            InvalidValueError: When it names no pattern or several, no touchpoint, or an unknown key.

        Example:
            >>> Rule.from_dict({"glob": "*.png", "drop": True}) == Rule.drop("*.png")
            True
        """
        if not isinstance(document, Mapping):
            raise InvalidValueError(
                f"{document!r} is no rule", hint='Write {"glob": "/product/*", "to": "Product page"}'
            )
        content = {str(key): value for key, value in cast("Mapping[object, object]", document).items()}
        for key in content:
            if key not in _KEYS:
                raise InvalidValueError(unknown("key of a rule", key, _KEYS))
        kinds = [kind for kind in get_args(RuleKind) if kind in content]
        if len(kinds) != 1 or ("to" in content) == bool(content.get("drop", False)):
            raise InvalidValueError(
                f"{content!r} is no rule: it takes one of exact, glob and regex, and either to or drop",
                hint='Write {"glob": "/product/*", "to": "Product page"}',
            )
        pattern, to, bare = content[kinds[0]], content.get("to"), content.get("without_query", False)
        return cls(kinds[0], cast("str", pattern), to=cast("str | None", to), without_query=cast("bool", bare))

    def to_dict(self) -> dict[str, object]:
        """As in JSON; `from_dict` reads it back."""
        target: dict[str, object] = {"drop": True} if self.to is None else {"to": self.to}
        query = {"without_query": True} if self.without_query else {}
        return {self.kind: self.pattern, **target, **query}

    @property
    def places(self) -> tuple[str, ...]:
        """The groups that ``to`` asks for, in order; only those of a regular expression are filled in."""
        return tuple(_PLACE.findall(self.to)) if self.kind == "regex" and self.to is not None else ()

    @property
    def expression(self) -> str:
        """The regular expression that finds the same names."""
        if self.kind == "regex":
            return self.pattern
        wild = {"*": ".*", "?": "."} if self.kind == "glob" else {}
        return "(?s)^" + "".join(wild.get(letter) or _literal(letter) for letter in self.pattern) + "$"

    def named(self, found: Mapping[str, str]) -> str:
        """The touchpoint for what the groups have found."""
        return _PLACE.sub(lambda place: found[place[1]], self.to or "") if self.places else self.to or ""

    def __str__(self) -> str:
        query = " without query" if self.without_query else ""
        return f"{self.kind} {self.pattern!r}{query} " + ("→ dropped" if self.to is None else f"→ {self.to!r}")


def _literal(letter: str) -> str:
    return letter if letter.isalnum() or ord(letter) >= 128 else f"\\x{ord(letter):02x}"


def _groups(pattern: str) -> Mapping[str, int]:
    """Names of the groups of an expression, and their numbers."""
    if "{," in pattern:
        raise InvalidValueError(f"{pattern!r} repeats without a lower end", hint="Write {0,3}, or \\{ for the brace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            return re.compile(pattern).groupindex
    except (re.error, OverflowError, RecursionError) as error:
        raise InvalidValueError(f"{pattern!r} is no regular expression: {error}") from None


def group_numbers(rule: Rule) -> dict[str, int]:
    """The number of each group that the rule asks for."""
    groups = _groups(rule.pattern) if rule.places else {}
    return {name: groups[name] for name in rule.places}


@frozen(kw_only=True)
class RuleUse:
    """What one rule did.

    Attributes:
        rule: The rule.
        names: Distinct raw names that it was the first to match.
        events: Rows with these names: those that were kept, or for a rule that drops those that were dropped.
        touchpoints: Distinct touchpoints that it gave.
    """

    rule: Rule
    names: int
    events: int
    touchpoints: int

    def __str__(self) -> str:
        return f"{self.rule}: {self.names:,} names, {self.events:,} events"


@frozen(kw_only=True)
class VocabularyReport:
    """What became of the raw names of a log; names and events of all rules and of the unmatched add up to all.

    Attributes:
        uses: What each rule did, in the order of the rules.
        unmatched: Names that no rule matched with their events, the most frequent first.
        names: Distinct raw names of the kept and dropped rows.
        events: Kept and dropped rows.
        treatment: What became of unmatched names: ``"keep"`` (under their own name) or ``"other"``.
    """

    uses: tuple[RuleUse, ...]
    unmatched: tuple[tuple[str, int], ...] = field(repr=False)
    names: int
    events: int
    treatment: Unmatched = "keep"

    @property
    def unmatched_events(self) -> int:
        """Events of names that no rule matched."""
        return sum(events for _, events in self.unmatched)

    @property
    def dropped(self) -> int:
        """Events that rules dropped."""
        return sum(use.events for use in self.uses if use.rule.to is None)

    def to_dict(self) -> dict[str, object]:
        """As in JSON."""
        uses = [{"rule": u.rule.to_dict(), "names": u.names, "events": u.events, "touchpoints": u.touchpoints}
                for u in self.uses]  # fmt: skip
        return {
            "rules": uses, "unmatched": [{"name": name, "events": events} for name, events in self.unmatched],
            "names": self.names, "events": self.events, "treatment": self.treatment,
        }  # fmt: skip

    def notes(self) -> list[str]:
        """In a few lines: what the rules matched, what they did not, and which of them matched nothing."""
        names, events = self.names - len(self.unmatched), self.events - self.unmatched_events
        rules = f"{len(self.uses):,} rule{'s' * (len(self.uses) != 1)}"
        out = [f"{rules} matched {names:,} of {self.names:,} names, {events:,} of {self.events:,} events"]
        if self.unmatched:
            shown = ", ".join(f"{name!r} ({count:,})" for name, count in self.unmatched[:_SHOWN])
            rest = f" and {len(self.unmatched) - _SHOWN:,} more" if len(self.unmatched) > _SHOWN else ""
            became = "kept their own name" if self.treatment == "keep" else f"became {OTHER!r}"
            count = f"{len(self.unmatched):,} names of {self.unmatched_events:,} events"
            out.append(f"{count} matched no rule and {became}: {shown}{rest}")
        idle = [str(use.rule) for use in self.uses if not use.names]
        return [*out, f"{len(idle):,} rules matched nothing: {'; '.join(idle)}"] if idle else out

    def __str__(self) -> str:
        return "\n".join([*self.notes(), *(f"  {use}" for use in self.uses)])
