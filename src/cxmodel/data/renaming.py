"""Renaming: raw event names become touchpoints by rules, once per distinct name; rows go through one look-up table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from attrs import evolve, frozen
from numpy.typing import NDArray

from cxmodel.data.grouping import EventRows
from cxmodel.data.roles import Roles
from cxmodel.data.sources import connect, literal
from cxmodel.data.texts import Texts, match
from cxmodel.errors import InvalidValueError
from cxmodel.model.readings import Count, Reading
from cxmodel.model.rules import OTHER, Rule, RuleUse, Unmatched, VocabularyReport, group_numbers
from cxmodel.stats.arrays import Ints, smallest_unsigned

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_RULES_PER_PASS: Final = 50


@frozen(eq=False)
class Renaming:
    """What became of every raw name.

    Attributes:
        rules: The rules, in order.
        treatment: What becomes of names that no rule matches.
        raw: The distinct raw names.
        rule: (names,) number of the rule that matched, or −1.
        touchpoint: (names,) code of the touchpoint, or −1 where the rule drops the name.
        touchpoints: Name of each touchpoint code, in order.
        events: (names,) rows with that name, dropped or kept.
    """

    rules: tuple[Rule, ...]
    treatment: Unmatched
    raw: Texts
    rule: Ints
    touchpoint: Ints
    touchpoints: Sequence[str]
    events: Ints

    @classmethod
    def of(cls, names: Sequence[str], rules: Sequence[Rule], treatment: Unmatched) -> Renaming:
        """Apply rules to distinct names.

        Raises:
            InvalidValueError: When the engine does not know a regular expression.
        """
        rule, given = _applied(names, rules)
        dropping = np.array([each.to is None for each in rules] + [False])
        texts = [
            given.get(i, OTHER if treatment == "other" else name) if not dropping[rule[i]] else None
            for i, name in enumerate(names)
        ]
        touchpoints = sorted({text for text in texts if text is not None})
        code: dict[str | None, int] = {None: -1} | {text: i for i, text in enumerate(touchpoints)}
        touchpoint = np.array([code[text] for text in texts], np.int64)
        return cls(
            tuple(rules), treatment, Texts.of(names), rule, touchpoint, touchpoints, np.zeros(len(names), np.int64)
        )

    def again(self, names: Sequence[str]) -> Renaming | None:
        """What becomes of these names, as far as is known; None where one of them is new."""
        row = match(Texts.of(names), self.raw)
        if (row < 0).any():
            return None
        return evolve(
            self, raw=self.raw.take(row), rule=self.rule[row], touchpoint=self.touchpoint[row],
            events=np.zeros(row.size, np.int64),
        )  # fmt: skip

    def counting(self, raw: NDArray[Any]) -> Renaming:
        """With the rows of these raw codes counted too."""
        return evolve(self, events=self.events + np.bincount(raw, minlength=len(self.raw)))

    def kept(self, raw: NDArray[Any]) -> NDArray[np.bool_] | None:
        """Which rows of these raw codes no rule drops; None where that is all."""
        keep = (self.touchpoint >= 0)[raw]
        return None if keep.all() else np.asarray(keep)

    def renamed(self, rows: EventRows) -> EventRows:
        """Rows with raw codes, none of them dropped, in the codes of the touchpoints."""
        table = np.maximum(self.touchpoint, 0).astype(smallest_unsigned(len(self.touchpoints)))
        touchpoint = table[rows.touchpoint]
        touchpoint.flags.writeable = False
        return evolve(rows, touchpoint=touchpoint)

    def told(self, reading: Reading) -> Reading:
        """A reading of the rows before the rules, with what the rules dropped among the rejected."""
        dropped = {
            f"dropped by the rule {use.rule.kind} {use.rule.pattern!r}": Count(use.events)
            for use in self._uses()
            if use.rule.to is None and use.events
        }
        lost = sum(each.count for each in dropped.values())
        return evolve(reading, kept=reading.kept - lost, rejected={**reading.rejected, **dropped})

    def plus(self, other: Renaming) -> Renaming:
        """Both logs, read by the same rules; a name of both counts once."""
        row = match(other.raw, self.raw)
        events = self.events.copy()
        events[row[row >= 0]] += other.events[row >= 0]
        new = np.flatnonzero(row < 0)
        touchpoints = sorted({*self.touchpoints, *other.touchpoints})
        code = {text: i for i, text in enumerate(touchpoints)}
        mine, theirs = (np.array([*(code[t] for t in each.touchpoints), -1]) for each in (self, other))
        return evolve(
            self, raw=Texts.joined([self.raw, other.raw.take(new)]), rule=np.concatenate([self.rule, other.rule[new]]),
            touchpoint=np.concatenate([mine[self.touchpoint], theirs[other.touchpoint[new]]]), touchpoints=touchpoints,
            events=np.concatenate([events, other.events[new]]),
        )  # fmt: skip

    def report(self) -> VocabularyReport:
        """Names and events of each rule, and the names that none matched."""
        met = self.events > 0
        left = np.flatnonzero(met & (self.rule < 0))
        unmatched = sorted(
            zip(self.raw.take(left), self.events[left].tolist(), strict=True), key=lambda each: (-each[1], each[0])
        )
        return VocabularyReport(
            uses=self._uses(), unmatched=tuple(unmatched), names=int(met.sum()), events=int(self.events.sum()),
            treatment=self.treatment,
        )  # fmt: skip

    def _uses(self) -> tuple[RuleUse, ...]:
        size, width = len(self.rules), max(len(self.touchpoints), 1)
        mine = np.flatnonzero((self.events > 0) & (self.rule >= 0))
        rule, touchpoint = self.rule[mine], self.touchpoint[mine]
        events = np.zeros(size, np.int64)
        np.add.at(events, rule, self.events[mine])
        names = np.bincount(rule, minlength=size)
        given = np.bincount(np.unique((rule * width + touchpoint)[touchpoint >= 0]) // width, minlength=size)
        counts = zip(names.tolist(), events.tolist(), given.tolist(), strict=True)
        return tuple(
            RuleUse(rule=each, names=n, events=e, touchpoints=t)
            for each, (n, e, t) in zip(self.rules, counts, strict=True)
        )


def renaming_of(names: Sequence[str], roles: Roles) -> Renaming | None:
    """How these raw names are renamed; None without rules."""
    if not roles.rules:
        if roles.unmatched != "keep":
            raise InvalidValueError("unmatched='other' without rules makes every touchpoint 'other'")
        return None
    return Renaming.of(names, roles.rules, roles.unmatched)


def check(rules: Sequence[Rule]) -> None:
    """Refuse expressions that the engine does not know, before anything is read.

    Raises:
        InvalidValueError: Such an expression, and why.
    """
    own = [rule for rule in rules if rule.kind == "regex"]
    if not own:
        return
    import duckdb

    with connect() as connection:
        for rule in own:
            try:
                connection.execute(f"SELECT regexp_matches('', {literal(rule.expression)})")
            except duckdb.Error as error:
                why = str(error).splitlines()[0].partition("Error: ")[2]
                raise InvalidValueError(
                    f"{rule.pattern!r} is no expression that reads a name in one go: {why}",
                    hint="Leave out look-around, back-references and repetitions over 1000",
                ) from None


def _applied(names: Sequence[str], rules: Sequence[Rule]) -> tuple[Ints, Mapping[int, str]]:
    """For each name the number of the first rule that matches or −1, and the touchpoint where a rule gives one."""
    bare = [_bare(name) for name in names] if any(rule.without_query for rule in rules) else names
    first = np.minimum(_exact(names, rules, without_query=False), _exact(bare, rules, without_query=True))
    with connect() as engine:
        first = _patterns(engine, names, bare, rules, first)
        return _named(engine, names, bare, rules, first)


def _named(
    engine: DuckDBPyConnection, names: Sequence[str], bare: Sequence[str], rules: Sequence[Rule], first: Ints
) -> tuple[Ints, Mapping[int, str]]:
    order = np.argsort(first, kind="stable")
    bounds = np.searchsorted(first[order], np.arange(len(rules) + 1)).tolist()
    first[order[bounds[-1] :]] = -1
    given: dict[int, str] = {}
    for rule, (begin, end) in zip(rules, pairwise(bounds), strict=True):
        if rule.to is None:
            continue
        rows: list[int] = order[begin:end].tolist()
        looked = bare if rule.without_query else names
        for row, text in zip(rows, _given(engine, [looked[i] for i in rows], rule), strict=True):
            if text.strip():
                given[row] = text
            else:
                first[row] = -1
    return first, given


def _bare(name: str) -> str:
    return name.partition("#")[0].partition("?")[0]


def _exact(names: Sequence[str], rules: Sequence[Rule], *, without_query: bool) -> Ints:
    """The first exact rule of each name; the number of rules where there is none."""
    number: dict[str, int] = {}
    for i, rule in enumerate(rules):
        if rule.kind == "exact" and rule.without_query == without_query:
            number.setdefault(rule.pattern, i)
    if not number:
        return np.full(len(names), len(rules))
    return np.fromiter((number.get(name, len(rules)) for name in names), np.int64, len(names))


def _patterns(
    engine: DuckDBPyConnection, names: Sequence[str], bare: Sequence[str], rules: Sequence[Rule], best: Ints
) -> Ints:
    """The first glob or regular expression of each name that comes before the best rule so far."""
    numbers = [i for i, rule in enumerate(rules) if rule.kind != "exact"]
    out = best.copy()
    for start in range(0, len(numbers), _RULES_PER_PASS):
        batch = numbers[start : start + _RULES_PER_PASS]
        rows = np.flatnonzero(out > batch[0])
        cases = [
            f"WHEN regexp_matches({column}, {literal(rules[i].expression)}) THEN {i}"
            for i, column in ((i, "bare" if rules[i].without_query else "name") for i in batch)
        ]
        asked = [[texts[i] for i in rows.tolist()] for texts in (names, bare)]
        found = _asked(f"CASE {' '.join(cases)} ELSE {len(rules)} END::BIGINT", engine, *asked)
        out[rows] = np.minimum(out[rows], found)
    return out


def _given(engine: DuckDBPyConnection, names: Sequence[str], rule: Rule) -> Sequence[str]:
    """The touchpoint that a rule gives to each of these names, all of which it matches."""
    groups = group_numbers(rule)
    if not groups:
        return [rule.named({})] * len(names)
    found = {
        group: _asked(f"regexp_extract(name, {literal(rule.expression)}, {number})", engine, names, names)
        for group, number in groups.items()
    }
    return [rule.named({group: str(texts[i]) for group, texts in found.items()}) for i in range(len(names))]


def _asked(expression: str, engine: DuckDBPyConnection, names: Sequence[str], bare: Sequence[str]) -> NDArray[Any]:
    """An expression of the engine for every name."""
    if not names:
        return np.zeros(0, np.int64)
    engine.register("names", {"name": np.array(names, object), "bare": np.array(bare, object)})
    answer = engine.execute(f"SELECT {expression} AS x FROM names").fetchnumpy()
    engine.unregister("names")
    return np.asarray(answer["x"])
