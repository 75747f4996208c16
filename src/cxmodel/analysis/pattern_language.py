r"""The pattern language: which journeys are meant, in one line of text.

| written | means |
|---|---|
| ``cart -> pay`` | ``pay`` is the next touchpoint after ``cart`` |
| ``cart => pay`` | ``pay`` comes later, whatever lies between |
| ``(call \| chat)`` | one or the other; whole sequences may stand there too |
| ``*`` | any touchpoint |
| ``!cart``, ``!(cart \| pay)`` | any other touchpoint |
| ``search{2,4}``, ``search{2}``, ``search{2,}``, ``search+`` | repeated, directly one after another; ``{0,1}`` may be missing |
| ``^`` first, ``$`` last | the match begins with the journey's first event, ends with its last |
| ``fail ->[<30min] help``, ``fail =>[<2d] help`` | with less than that between the two events |
| ``cart => pay [<1h]`` at the end | with less than that from the first event of the match to the last |
| ``"add to cart"`` | a name with spaces or signs |

Without ``^`` and ``$`` a match may lie anywhere in the journey. Units of time are ms, s, min, h, d and w.
"""  # noqa: E501 - one row per form

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile
from typing import Final, Literal, NamedTuple, NoReturn, TypeAlias, cast

from attrs import field, frozen

from cxmodel.errors import InvalidValueError

MOST_STEPS: Final = 1_000
MOST_NESTED: Final = 100


@frozen
class Step:
    """One event at one of these touchpoints; at any other where negated.

    Attributes:
        names: Touchpoints, sorted.
        negated: Whether it is any touchpoint but these.
    """

    names: tuple[str, ...]
    negated: bool = False


@frozen
class Gap:
    """What may lie between two steps.

    Attributes:
        later: Whether any number of events may.
        limit: Longest time from the one to the other, µs; None for no limit.
    """

    later: bool
    limit: int | None = None


@frozen
class Sequence:
    """Steps and the gaps between them, in turn."""

    parts: tuple[Node | Gap, ...]


@frozen
class Either:
    """One of several."""

    options: tuple[Node, ...]


@frozen
class Repeat:
    """The same several times, directly one after another; ``high`` None for any number of times."""

    part: Node
    low: int
    high: int | None


Node: TypeAlias = Step | Sequence | Either | Repeat


@frozen
class Pattern:
    """A pattern of touchpoints.

    Attributes:
        text: As it was written.
        root: What it means.
        at_start: Whether a match begins with the first event of the journey.
        at_end: Whether it ends with the last one.
        limit: Longest time from its first event to its last, µs; None for no limit.
    """

    text: str
    root: Node = field(repr=False, eq=False)
    at_start: bool = field(default=False, repr=False, eq=False)
    at_end: bool = field(default=False, repr=False, eq=False)
    limit: int | None = field(default=None, repr=False, eq=False)

    @property
    def touchpoints(self) -> tuple[str, ...]:
        """Touchpoints that it names, sorted."""
        return tuple(sorted({name for step in steps_of(self.root) for name in step.names}))

    def __str__(self) -> str:
        return self.text


def parse(text: str) -> Pattern:
    """Read a pattern.

    Args:
        text: The pattern, in the language above.

    Raises:
        InvalidValueError: It cannot be read; the message points at the column and says what to type.

    Example:
        >>> parse('catalog => "add to cart" -> (pay | invoice)').touchpoints
        ('add to cart', 'catalog', 'invoice', 'pay')
    """
    try:
        return _Parser(text).pattern()
    except RecursionError:
        raise _too_deep() from None


def _too_deep() -> InvalidValueError:
    return InvalidValueError(
        f"this pattern is nested more than {MOST_NESTED} deep", hint="Leave out brackets that change nothing: (a | b)"
    )


def as_pattern(pattern: str | Pattern) -> Pattern:
    """A pattern from its text.

    Raises:
        InvalidValueError: It is neither, or cannot be read.
    """
    if isinstance(pattern, Pattern):
        return pattern
    if not isinstance(cast("object", pattern), str):
        raise InvalidValueError(f"a pattern is a text, got {pattern!r}", hint='Write "catalog => cart -> pay"')
    return parse(pattern)


def steps_of(node: Node | Gap) -> Iterator[Step]:
    """All steps of a node."""
    match node:
        case Step():
            yield node
        case Sequence(parts):
            for part in parts:
                yield from steps_of(part)
        case Either(options):
            for option in options:
                yield from steps_of(option)
        case Repeat(part):
            yield from steps_of(part)
        case Gap():
            return


def may_be_empty(node: Node | Gap) -> bool:
    """Whether it can match without an event."""
    match node:
        case Sequence(parts):
            return all(may_be_empty(part) for part in parts if not isinstance(part, Gap))
        case Either(options):
            return any(may_be_empty(option) for option in options)
        case Repeat(part, low):
            return low == 0 or may_be_empty(part)
        case _:
            return False


def edge_may_be_empty(node: Node | Gap, edge: Literal[0, -1]) -> bool:
    """Whether the first (0) or last (−1) step of a node may be missing, so that another stands in its place."""
    match node:
        case Sequence(parts):
            return may_be_empty(parts[edge]) or edge_may_be_empty(parts[edge], edge)
        case Either(options):
            return any(edge_may_be_empty(option, edge) for option in options)
        case Repeat(part, low):
            return low == 0 or edge_may_be_empty(part, edge)
        case _:
            return False


def nested(node: Node) -> int:
    """How deep its parts stand in one another, counted level by level."""
    level: list[Node | Gap] = [node]
    depth = 0
    while level:
        level = [part for each in level for part in _inside(each)]
        depth += 1
    return depth


def _inside(node: Node | Gap) -> tuple[Node | Gap, ...]:
    match node:
        case Sequence(parts) | Either(parts):
            return parts
        case Repeat(part):
            return (part,)
        case _:
            return ()


def written_out(node: Node | Gap) -> int:
    """Number of steps when every repetition is written out; one without an end counts twice, so often is it read."""
    match node:
        case Step():
            return 1
        case Sequence(parts) | Either(parts):
            return sum(written_out(part) for part in parts)
        case Repeat(part, low, high):
            return max(high if high is not None else max(low, 2), 1) * written_out(part)
        case Gap():
            return 0


Kind = Literal["name", "quoted", "sign", "repeat", "limit", "end"]


class Token(NamedTuple):
    """A piece of the text, with its column from 1."""

    kind: Kind
    text: str
    column: int


_TOKENS: Final = re.compile(
    r"""\s*(?:
        (?P<sign>->|=>|[()|!*^$+])
      | (?P<repeat>\{[^}]*\})
      | (?P<limit>\[[^\]]*\])
      | (?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
      | (?P<name>(?:[^\s()|!*^$+{}\[\]<>=?"'\\-]|-(?!>))+)
      | (?P<end>$)
    )""",
    re.VERBOSE,
)
_REPEAT: Final = re.compile(r"\{\s*(\d+)\s*(?:(,)\s*(\d*)\s*)?\}")
_LIMIT: Final = re.compile(r"\[\s*<(=?)\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*\]")
_UNITS: Final = {
    "ms": 1_000, "s": 1_000_000, "sec": 1_000_000, "min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000,
    "w": 604_800_000_000,
}  # fmt: skip
_SIGNS: Final = {
    "?": "What may be missing is written a{0,1}",
    "{": "A repetition is written a{2,4}",
    "}": "A repetition is written a{2,4}",
    "[": "A limit of time is written a ->[<30min] b",
    "]": "A limit of time is written a ->[<30min] b",
    '"': 'A name in quotes ends with a quote: "add to cart"',
    "'": "A name in quotes ends with a quote: 'add to cart'",
}


class _Parser:
    """Reads a pattern from left to right, one function per form."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._split())
        self.place = 0

    def _split(self) -> Iterator[Token]:
        at = 0
        while True:
            found = _TOKENS.match(self.text, at)
            if found is None or found.lastgroup is None:
                column = at + len(self.text[at:]) - len(self.text[at:].lstrip())
                sign = self.text[column]
                self._fail(column + 1, f"{sign!r} means nothing here", _SIGNS.get(sign, "Arrows are -> and =>"))
            kind: Kind = found.lastgroup  # type: ignore[assignment]  # the names of the groups are the kinds
            yield Token(kind, found[kind], found.start(kind) + 1)
            if kind == "end":
                return
            at = found.end()

    def _fail(self, column: int, what: str, hint: str) -> NoReturn:
        pointer = " " * (column - 1) + "^"
        raise InvalidValueError(f"pattern, column {column}: {what}\n  {self.text}\n  {pointer}", hint=hint)

    @property
    def next(self) -> Token:
        return self.tokens[self.place]

    def _take(self, *signs: str) -> Token | None:
        token = self.next
        if token.kind != "sign" or token.text not in signs:
            return None
        self.place += 1
        return token

    def pattern(self) -> Pattern:
        at_start = self._take("^") is not None
        root = self._either()
        at_end = self._take("$") is not None
        limit = self._limit()
        if self.next.kind != "end":
            self._unexpected()
        if nested(root) > MOST_NESTED:
            raise _too_deep()
        if may_be_empty(root):
            self._fail(
                1, "this pattern matches without any event", "Name at least one step that must occur: a+, a{1,3}"
            )
        if written_out(root) > MOST_STEPS:
            hint = f"Repeat less often: at most {MOST_STEPS:,} steps in all"
            self._fail(1, f"written out, this pattern has {written_out(root):,} steps", hint)
        return Pattern(self.text, root, at_start, at_end, limit)

    def _unexpected(self) -> NoReturn:
        token, before = self.next, self.tokens[max(self.place - 1, 0)]
        if token.kind == "name" and before.kind == "name":
            row = [
                before.text,
                *(each.text for each in takewhile(lambda t: t.kind == "name", self.tokens[self.place :])),
            ]
            hint = f'Put a name with spaces in quotes: "{" ".join(row)}"; or write {" -> ".join(row)}'
            self._fail(token.column, f"there is no arrow between {before.text!r} and {token.text!r}", hint)
        if token.text == "^":
            self._fail(token.column, "^ stands at the beginning of the pattern only", "Write ^ a -> b")
        if token.text == ")":
            self._fail(token.column, "this bracket was never opened", "Write (a | b) -> c")
        if before.text == "$":
            self._fail(token.column, "nothing but a limit of time follows $", "Write a -> b $")
        if token.kind == "limit":
            self._fail(token.column, "a limit of time stands after an arrow or at the end", "Write a ->[<30min] b")
        self._fail(token.column, f"expected an arrow, found {token.text!r}", "Write a -> b, a => b or (a | b)")

    def _either(self) -> Node:
        options = [self._sequence()]
        while self._take("|"):
            options.append(self._sequence())
        if len(options) == 1:
            return options[0]
        names: set[str] = set()
        for option in options:
            if not isinstance(option, Step) or option.negated:
                return Either(tuple(options))
            names.update(option.names)
        return Step(tuple(sorted(names)))

    def _sequence(self) -> Node:
        parts: list[Node | Gap] = [self._repeated()]
        while arrow := self._take("->", "=>"):
            column = self.next.column
            limit = self._limit()
            before, after = parts[-1], self._repeated()
            if limit is not None and (edge_may_be_empty(before, -1) or edge_may_be_empty(after, 0)):
                hint = "Limit the time between steps that must occur: a ->[<30min] b"
                self._fail(column, "a limit of time stands beside a step that may be missing", hint)
            parts += [Gap(arrow.text == "=>", limit), after]
        return parts[0] if len(parts) == 1 and not isinstance(parts[0], Gap) else Sequence(tuple(parts))

    def _repeated(self) -> Node:
        node = self._atom()
        while self.next.kind == "repeat" or self.next.text == "+":
            token = self.next
            self.place += 1
            low, high = self._times(token)
            node = Repeat(node, low, high)
        return node

    def _times(self, token: Token) -> tuple[int, int | None]:
        if token.text == "+":
            return 1, None
        found = _REPEAT.fullmatch(token.text)
        if found is None:
            self._fail(token.column, f"{token.text} is no repetition", "Write a{2}, a{2,4}, a{2,} or a+")
        low = int(found[1])
        high = low if not found[2] else int(found[3]) if found[3] else None
        if high is not None and (high < low or high == 0):
            self._fail(token.column, f"nothing can occur {low} to {high} times", f"Write a{{{low},{max(low, 1)}}}")
        if max(low, high or 0) > MOST_STEPS:
            self._fail(
                token.column, f"{token.text} repeats too often", f"Repeat at most {MOST_STEPS:,} times, or any: +"
            )
        return low, high

    def _atom(self) -> Node:
        token = self.next
        self.place += token.kind != "end"
        if token.kind == "name":
            return Step((token.text,))
        if token.kind == "quoted":
            return Step((re.sub(r"\\(.)", r"\1", token.text[1:-1]),))
        if token.text == "*":
            return Step((), negated=True)
        if token.text == "!":
            return self._other(token)
        if token.text == "(":
            inner = self._either()
            return inner if self._take(")") else self._closing(token)
        found = "the end" if token.kind == "end" else repr(token.text)
        hint = 'Write a name, "a name", * (any), !a or (a | b)'
        return self._fail(token.column, f"expected a touchpoint, found {found}", hint)

    def _closing(self, opened: Token) -> NoReturn:
        if self.next.kind != "end":
            self._unexpected()
        self._fail(self.next.column, f"the bracket of column {opened.column} is not closed", "Write (a | b) -> c")

    def _other(self, sign: Token) -> Node:
        inner = self._atom()
        if not isinstance(inner, Step):
            self._fail(sign.column, "! takes touchpoints, not sequences", "Write !a or !(a | b)")
        if not inner.names:
            self._fail(sign.column, "no touchpoint is other than any", "Write !a or !(a | b)")
        return Step(inner.names, negated=not inner.negated)

    def _limit(self) -> int | None:
        token = self.next
        if token.kind != "limit":
            return None
        self.place += 1
        found = _LIMIT.fullmatch(token.text)
        if found is None:
            self._fail(token.column, f"{token.text} is no limit of time", "Write [<30min], [<=2h] or [<7d]")
        if found[3] not in _UNITS:
            hint = f"Units are {', '.join(_UNITS)}: [<{found[2]}min]"
            self._fail(token.column, f"{found[3] or 'a number alone'} is no unit of time", hint)
        limit = min(round(float(found[2]) * _UNITS[found[3]]), 2**62)
        if limit == 0 and not found[1]:
            self._fail(token.column, "no two events are less than no time apart", "Write [<=0s] for the same time")
        return limit if found[1] else limit - 1
