"""Patterns against a slow matcher, against regular expressions, and by example."""

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import pytest
from attrs import field, frozen
from hypothesis import assume, given
from hypothesis import strategies as st

import cxmodel as cx
from cxmodel.analysis.pattern_language import parse
from cxmodel.analysis.pattern_matching import latest_beginnings, matches_per_journey, matching_journeys
from cxmodel.data.blocks import Block, Vocabulary
from cxmodel.errors import CxmodelError, InvalidValueError, NotMeasurableError, UnknownNameError

NAMES = ("a", "b", "c")
Events = list[tuple[int, int]]


def block_of(journeys: Sequence[Events]) -> Block:
    """A block with one customer per journey; an event is (touchpoint, seconds)."""
    offsets = np.concatenate([[0], np.cumsum([len(events) for events in journeys])]).astype(np.int64)
    flat = [event for events in journeys for event in events]
    return Block(
        vocabulary=Vocabulary(touchpoints=NAMES),
        customer_offsets=np.arange(len(journeys) + 1),
        journey_offsets=offsets,
        customer=np.arange(len(journeys)).astype(np.uint64),
        touchpoint=np.array([code for code, _ in flat], np.uint8),
        time=np.array([time for _, time in flat], np.int64) * 1_000_000,
    )


# A slow pattern: text, the same as a regular expression, and where a match that begins at i can stop.


@frozen
class Slow:
    text: str
    regex: str
    kind: str
    parts: tuple["Slow", ...] = ()
    codes: frozenset[int] = frozenset()
    gaps: tuple[tuple[bool, int | None], ...] = ()
    times: tuple[int, int | None] = field(default=(1, 1))

    @property
    def timed(self) -> bool:
        return any(limit is not None for _, limit in self.gaps) or any(part.timed for part in self.parts)

    def stops(self, events: Events, i: int) -> set[int]:
        if self.kind == "step":
            return {i + 1} if i < len(events) and events[i][0] in self.codes else set()
        if self.kind == "either":
            return set().union(*(part.stops(events, i) for part in self.parts))
        if self.kind == "repeat":
            return self._repeated(events, i)
        here = self.parts[0].stops(events, i)
        for (later, limit), part in zip(self.gaps, self.parts[1:], strict=True):
            entries = {
                k
                for j in here
                for k in range(j, len(events) + 1 if later else j + 1)
                if limit is None or (k < len(events) and events[k][1] - events[j - 1][1] < limit)
            }
            here = set().union(*(part.stops(events, k) for k in entries))
        return here

    def _repeated(self, events: Events, i: int) -> set[int]:
        low, high = self.times
        out: set[int] = set()
        here = {i}
        for turn in range((high if high is not None else low + len(events)) + 1):
            if turn >= low:
                out |= here
            here = set().union(*(self.parts[0].stops(events, j) for j in here))
        return out


@st.composite
def steps(draw: st.DrawFn) -> Slow:
    codes = draw(st.frozensets(st.integers(0, 2), min_size=1, max_size=2))
    names = " | ".join(NAMES[code] for code in sorted(codes))
    text = f"({names})" if len(codes) > 1 else names
    choice = draw(st.sampled_from(["plain", "plain", "other", "any"]))
    if choice == "any":
        return Slow("*", ".", "step", codes=frozenset(range(3)))
    if choice == "other":
        codes, text = frozenset(range(3)) - codes, "!" + text
    return Slow(text, f"[{''.join(NAMES[code] for code in codes)}]", "step", codes=codes)


@st.composite
def longer(draw: st.DrawFn, parts: st.SearchStrategy[Slow]) -> Slow:
    kind = draw(st.sampled_from(["sequence", "sequence", "either", "repeat"]))
    if kind == "repeat":
        part = draw(parts)
        low, high = draw(st.sampled_from([(0, 1), (1, None), (0, None), (2, 3), (2, None), (1, 2)]))
        sign = "+" if (low, high) == (1, None) and draw(st.booleans()) else f"{{{low},{'' if high is None else high}}}"
        regex = f"(?:{part.regex}){{{low},{'' if high is None else high}}}"
        return Slow(f"({part.text}){sign}", regex, kind, parts=(part,), times=(low, high))
    several = tuple(draw(st.lists(parts, min_size=2, max_size=3)))
    if kind == "either":
        text, regex = (sign.join(f"({each})" for each in texts) for sign, texts in (
            (" | ", [part.text for part in several]), ("|", [f"?:{part.regex}" for part in several])))  # fmt: skip
        return Slow(text, f"(?:{regex})", kind, parts=several)
    gaps = tuple(draw(st.tuples(st.booleans(), st.none() | st.integers(1, 4))) for _ in several[1:])
    text, regex = f"({several[0].text})", several[0].regex
    for (later, limit), part in zip(gaps, several[1:], strict=True):
        text += (" =>" if later else " ->") + (f"[<{limit}s]" if limit is not None else "") + f" ({part.text})"
        regex += (".*" if later else "") + part.regex
    return Slow(text, f"(?:{regex})", kind, parts=several, gaps=gaps)


TREES = st.recursive(steps(), longer, max_leaves=6)
JOURNEYS = st.lists(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), max_size=9).map(
        lambda events: [(code, sum(gap for _, gap in events[: i + 1])) for i, (code, _) in enumerate(events)]
    ),
    max_size=5,
)


def all_matches(tree: Slow, events: Events, start: bool, end: bool, limit: int | None) -> Iterator[tuple[int, int]]:
    for i in range(1 if start else len(events)):
        for stop in tree.stops(events, i):
            timely = limit is None or events[stop - 1][1] - events[i][1] < limit
            if stop > i and timely and (not end or stop == len(events)):
                yield i, stop


def most_apart(matches: set[tuple[int, int]], size: int) -> int:
    best = [0] * (size + 1)
    for stop in range(1, size + 1):
        best[stop] = max([best[stop - 1], *(best[i] + 1 for i, s in matches if s == stop)])
    return best[size]


@given(TREES, JOURNEYS, st.booleans(), st.booleans(), st.none() | st.integers(1, 8))
def test_matches_are_those_of_the_slow_matcher(
    tree: Slow, journeys: list[Events], start: bool, end: bool, limit: int | None
) -> None:
    text = f"{'^ ' * start}{tree.text}{' $' * end}{f' [<{limit}s]' if limit else ''}"
    try:
        pattern = parse(text)
    except InvalidValueError as error:
        assert "may be missing" in str(error) or "without any event" in str(error)  # noqa: PT017
        assume(False)
        raise
    block = block_of(journeys)
    expected = [set(all_matches(tree, events, start, end, limit)) for events in journeys]
    latest = [
        [max((block.journey_offsets[j] + i for i, stop in matches if stop == k + 1), default=-1) for k in range(len(e))]
        for j, (e, matches) in enumerate(zip(journeys, expected, strict=True))
    ]
    assert latest_beginnings(block, pattern).tolist() == [each for row in latest for each in row]
    assert matching_journeys(block, pattern).tolist() == [bool(matches) for matches in expected]
    counts = [most_apart(matches, len(events)) for events, matches in zip(journeys, expected, strict=True)]
    assert matches_per_journey(block, pattern).tolist() == counts


@given(TREES, JOURNEYS, st.booleans(), st.booleans())
def test_patterns_without_time_are_regular_expressions(
    tree: Slow, journeys: list[Events], start: bool, end: bool
) -> None:
    assume(not tree.timed)
    regex = re.compile(("^" if start else "") + tree.regex + (r"\Z" if end else ""))
    assume(not regex.search(""))
    pattern = parse(("^" if start else "") + tree.text + ("$" if end else ""))
    texts = ["".join(NAMES[code] for code, _ in events) for events in journeys]
    expected = [bool(regex.search(text)) for text in texts]
    assert matching_journeys(block_of(journeys), pattern).tolist() == expected


def test_a_long_journey_is_matched_turn_by_turn() -> None:
    events = [(i % 2, i) for i in range(301)]
    block = block_of([events])
    assert matching_journeys(block, parse("^ (a -> b)+ -> a $")).tolist() == [True]
    assert matching_journeys(block, parse("^ (a -> b)+ $")).tolist() == [False]
    assert matches_per_journey(block, parse("a -> b")).tolist() == [150]


@pytest.mark.parametrize(
    ("text", "column", "says"),
    [
        ("a -> -> b", 6, "expected a touchpoint, found '->'"),
        ("a ->", 5, "expected a touchpoint, found the end"),
        ("Add to cart -> pay", 5, 'Put a name with spaces in quotes: "Add to cart"'),
        ("(a | b -> c", 12, "the bracket of column 1 is not closed"),
        ("a | b) -> c", 6, "this bracket was never opened"),
        ("a -> b?", 7, "What may be missing is written a{0,1}"),
        ("a{3,2}", 2, "nothing can occur 3 to 2 times"),
        ("a{x}", 2, "{x} is no repetition"),
        ("a{2000}", 2, "repeats too often"),
        ("(a{500}){3}", 1, "1,500 steps"),
        ("a{0,2}", 1, "matches without any event"),
        ("a ->[<30m] b", 5, "m is no unit of time"),
        ("a ->[30min] b", 5, "[30min] is no limit of time"),
        ("a ->[<0s] b", 5, "[<=0s]"),
        ("a ->[<1h] b{0,1} -> c", 5, "may be missing"),
        ("a [<1h] -> b", 9, "expected an arrow"),
        ("a $ -> b", 5, "nothing but a limit of time follows $"),
        ("a -> ^ b", 6, "expected a touchpoint"),
        ("a ^", 3, "^ stands at the beginning"),
        ("!(a -> b)", 1, "! takes touchpoints"),
        ("!*", 1, "no touchpoint is other than any"),
        ('"a -> b', 1, "A name in quotes ends with a quote"),
        ("a - > b", 5, "Arrows are -> and =>"),
        ("", 1, "expected a touchpoint, found the end"),
    ],
)
def test_errors_point_at_the_column_and_say_what_to_type(text: str, column: int, says: str) -> None:
    with pytest.raises(InvalidValueError) as caught:
        parse(text)
    message = str(caught.value)
    assert f"column {column}:" in message
    assert says in message
    assert caught.value.hint
    lines = message.splitlines()
    assert next(b for a, b in pairwise(lines) if a == f"  {text}").index("^") == column + 1


@given(st.text(alphabet="ab->=<>()|!*^$+{}[],0123 \"'\\min?", max_size=14))
def test_any_text_is_a_pattern_or_a_refusal_in_words(text: str) -> None:
    try:
        pattern = parse(text)
    except CxmodelError as error:
        assert "column" in str(error)  # noqa: PT017
    else:
        assert parse(str(pattern)) == pattern


def test_names_may_hold_signs_and_quotes() -> None:
    assert parse(r'"say \"hi\"" -> page-view -> /cart#1 -> \'it(s)\''.replace(r"\'", "'")).touchpoints == (
        "/cart#1", "it(s)", "page-view", 'say "hi"',
    )  # fmt: skip


@pytest.fixture(scope="module")
def journeys() -> cx.Journeys:
    paths = {"ann": "ad shop fail message pay", "bob": "ad shop fail", "cat": "shop pay", "dan": "ad fail shop message"}
    log = [
        {"who": who, "what": what, "at": f"2026-01-01T00:{10 * i:02d}"}
        for who, path in paths.items()
        for i, what in enumerate(path.split())
    ]
    return cx.read_events(log, customer="who", touchpoint="what", time="at")


def test_journeys_are_selected_and_the_selection_is_told(journeys: cx.Journeys) -> None:
    chosen = journeys.where(matches="fail => message")
    assert chosen.facts.journeys == 2
    assert chosen.population.origin.filters == ("matches fail => message",)
    assert journeys.where(matches="fail =>[<15min] message").facts.journeys == 1
    assert journeys.where(matches="fail =>[<=20min] message").facts.journeys == 2
    assert journeys.where(matches="^ad => fail $").facts.journeys == 1
    with pytest.raises(UnknownNameError, match="Did you mean 'message'"):
        journeys.where(matches="fail => mesage")


def test_share_and_matches_agree_with_the_selection(journeys: cx.Journeys) -> None:
    share, table = journeys.measure(cx.metrics.PatternShare("fail => message"), cx.metrics.PatternMatches("ad | shop"))
    assert (share.value, share.n, share.unit) == (0.5, 4, "share")
    assert share.interval is not None
    assert (table.journeys, table.matching, table.matches) == (4, 4, 7)
    assert str(table).startswith("ad | shop: 7 matches in 4 journeys, 100.0%")
    assert table.to_dict()["matches"] == 7
    assert journeys.measure("pattern_share", pattern="fail => message").value == 0.5
    with pytest.raises(NotMeasurableError, match="no touchpoint 'lost'"):
        journeys.measure(cx.metrics.PatternShare("lost"))


def test_journeys_are_grouped_by_the_first_pattern_that_fits(journeys: cx.Journeys) -> None:
    by = cx.by.pattern({"rescued": "fail => message", "failed": "fail"})
    lengths = journeys.measure(cx.metrics.Length(), by=by)
    assert {label: (each.n, each.value) for label, each in lengths.items()} == {"rescued": (2, 4.5), "failed": (1, 3.0)}
    assert lengths.unassigned is not None
    assert (lengths.unassigned.n, lengths.unassigned.value) == (1, 2.0)
    assert not lengths.overlapping
    with pytest.raises(InvalidValueError, match="no pattern was named"):
        cx.by.pattern({})
